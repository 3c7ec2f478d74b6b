#include "engine/journal_private.h"

#include "ipc/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SCRIBE_SYNC_MS_DEFAULT 10u
#define SCRIBE_WRITE_BYTES_MAX (1u << 20) /* of one write call */

/* --- the operating system --- */

static int real_open_file(void *context, int directory_fd, const char *name)
{
    (void)context;
    return openat(directory_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660);
}

static int real_allocate(void *context, int fd, off_t bytes)
{
    (void)context;
    int refused = posix_fallocate(fd, 0, bytes);
    errno = refused;
    return refused == 0 ? 0 : -1;
}

static ssize_t real_write_at(void *context, int fd, const void *bytes, size_t count, off_t offset)
{
    (void)context;
    return pwrite(fd, bytes, count, offset);
}

static int real_sync(void *context, int fd)
{
    (void)context;
    return fdatasync(fd);
}

static int real_sync_directory(void *context, int fd)
{
    (void)context;
    return fsync(fd);
}

static int real_close_file(void *context, int fd)
{
    (void)context;
    return close(fd);
}

const struct eng_scribe_system eng_scribe_system_real = {
    .open_file = real_open_file,
    .allocate = real_allocate,
    .write_at = real_write_at,
    .sync = real_sync,
    .sync_directory = real_sync_directory,
    .close_file = real_close_file,
};

/* --- failure --- */

void eng_journal_fail(
    struct eng_journal *journal, enum ipc_journal_state state, int error_number, const char *text)
{
    uint32_t now = atomic_load_explicit(&journal->state, memory_order_relaxed);
    if (now == IPC_JOURNAL_STATE_DISK_FAILED || now == IPC_JOURNAL_STATE_DAMAGED)
        return;
    snprintf(journal->failed_text, sizeof journal->failed_text, "%s", text);
    memcpy(journal->owner->failed_text, journal->failed_text, sizeof journal->owner->failed_text);
    atomic_store_explicit(
        &journal->owner->failed_errno, (uint32_t)error_number, memory_order_relaxed);
    atomic_store_explicit(&journal->state, state, memory_order_release);
    atomic_store_explicit(&journal->owner->state, state, memory_order_release);
}

static bool disk_failed(struct eng_journal *journal, const char *call, uint64_t segment_no)
{
    char text[160];
    int reason = errno;
    snprintf(text, sizeof text, "%s of journal segment %llu: %s", call,
        (unsigned long long)segment_no, strerror(reason));
    eng_journal_fail(journal, IPC_JOURNAL_STATE_DISK_FAILED, reason, text);
    return false;
}

static bool is_failed(const struct eng_journal *journal)
{
    return atomic_load_explicit(&journal->state, memory_order_relaxed) != IPC_JOURNAL_STATE_OK;
}

/* --- disk files --- */

bool eng_scribe_write(
    struct eng_journal *journal, int fd, const void *bytes, uint64_t count, uint64_t offset)
{
    const struct eng_scribe_system *system = journal->system;
    while (count > 0) {
        size_t some = count < SCRIBE_WRITE_BYTES_MAX ? (size_t)count : SCRIBE_WRITE_BYTES_MAX;
        ssize_t written = system->write_at(system->context, fd, bytes, some, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            if (written == 0)
                errno = ENOSPC;
            return false;
        }
        bytes = (const uint8_t *)bytes + written;
        count -= (uint64_t)written;
        offset += (uint64_t)written;
    }
    return true;
}

int eng_scribe_file_make(struct eng_journal *journal, uint64_t segment_no, const char **call)
{
    const struct eng_scribe_system *system = journal->system;
    char name[IPC_SEGMENT_NAME_BYTES];
    ipc_segment_name(segment_no, name);
    *call = "open";
    int fd = system->open_file(system->context, journal->disk_fd, name);
    if (fd < 0)
        return -1;
    *call = "allocation";
    if (system->allocate(system->context, fd, (off_t)journal->config.segment_bytes) != 0) {
        int reason = errno;
        system->close_file(system->context, fd);
        errno = reason;
        return -1;
    }
    return fd;
}

/* Gives the segment its disk file. The header is durable before any frame is written: without it,
 * what else survives a power cut could not be read. */
static bool file_begin(struct eng_journal *journal, const uint8_t *base)
{
    struct eng_scribe *scribe = &journal->scribe;
    const struct eng_scribe_system *system = journal->system;
    const char *call;
    if (scribe->next_fd < 0) {
        scribe->next_fd = eng_scribe_file_make(journal, scribe->segment_no, &call);
        if (scribe->next_fd < 0)
            return disk_failed(journal, call, scribe->segment_no);
    }
    scribe->fd = scribe->next_fd;
    scribe->next_fd = -1;
    if (!eng_scribe_write(journal, scribe->fd, base, IPC_SEGMENT_HEADER_BYTES, 0))
        return disk_failed(journal, "write", scribe->segment_no);
    if (system->sync(system->context, scribe->fd) != 0)
        return disk_failed(journal, "sync", scribe->segment_no);
    if (system->sync_directory(system->context, journal->disk_fd) != 0)
        return disk_failed(journal, "directory sync", scribe->segment_no);
    return true;
}

/* Makes the next segment's file ahead of its need. */
static bool file_make_ahead(struct eng_journal *journal)
{
    struct eng_scribe *scribe = &journal->scribe;
    const char *call;
    if (scribe->next_fd >= 0)
        return true;
    scribe->next_fd = eng_scribe_file_make(journal, scribe->segment_no + 1, &call);
    return scribe->next_fd >= 0 || disk_failed(journal, call, scribe->segment_no + 1);
}

static bool file_sync(struct eng_journal *journal)
{
    struct eng_scribe *scribe = &journal->scribe;
    const struct eng_scribe_system *system = journal->system;
    if (!scribe->dirty)
        return true;
    int64_t started_ns = ipc_clock_mono_ns();
    if (system->sync(system->context, scribe->fd) != 0)
        return disk_failed(journal, "sync", scribe->segment_no);
    uint64_t took_ns = (uint64_t)(ipc_clock_mono_ns() - started_ns);
    scribe->dirty = false;
    scribe->sync_count++;
    scribe->synced_bytes += scribe->dirty_bytes;
    scribe->dirty_bytes = 0;
    if (took_ns > scribe->sync_ns_max)
        scribe->sync_ns_max = took_ns;
    uint64_t durable_lsn = scribe->next_lsn - 1;
    struct ipc_journal_owner *owner = journal->owner;
    atomic_store_explicit(&owner->sync_count, scribe->sync_count, memory_order_relaxed);
    atomic_store_explicit(&owner->synced_bytes, scribe->synced_bytes, memory_order_relaxed);
    atomic_store_explicit(&owner->sync_ns_max, scribe->sync_ns_max, memory_order_relaxed);
    atomic_store_explicit(&owner->durable_lsn, durable_lsn, memory_order_release);
    /* Pairs with the acquire of eng_journal_is_durable. */
    atomic_store_explicit(&journal->durable_lsn, durable_lsn, memory_order_release);
    return true;
}

/* --- copying --- */

/* Is the frame at offset complete, and what the writer wrote? Damage here means that somebody else
 * wrote into the memory journal.
 *   returns its length; 0 = not complete, or damaged (then the state is DAMAGED) */
static uint32_t frame_length(struct eng_journal *journal, const uint8_t *base, uint64_t offset,
    uint64_t lsn, uint32_t previous_crc)
{
    uint64_t room = journal->config.segment_bytes - offset;
    const struct ipc_frame *frame = (const struct ipc_frame *)(base + offset);
    const struct ipc_segment_header *header = (const struct ipc_segment_header *)base;
    if (room < sizeof *frame)
        return 0;
    /* Pairs with the release of eng_journal_commit. */
    uint32_t length = atomic_load_explicit(&frame->length, memory_order_acquire);
    if (length == 0)
        return 0;
    if (ipc_frame_check(frame, room, header->salt) == length && frame->lsn == lsn &&
        frame->previous_crc == previous_crc)
        return length;
    char text[160];
    snprintf(text, sizeof text,
        "journal segment %llu was changed in memory by another: lsn %llu is damaged",
        (unsigned long long)journal->scribe.segment_no, (unsigned long long)lsn);
    eng_journal_fail(journal, IPC_JOURNAL_STATE_DAMAGED, EIO, text);
    return 0;
}

/* Writes the complete frames that are not on disk yet. */
static bool frames_copy(struct eng_journal *journal, const uint8_t *base)
{
    struct eng_scribe *scribe = &journal->scribe;
    uint64_t end = scribe->offset, lsn = scribe->next_lsn;
    uint32_t previous_crc = scribe->previous_crc, length;
    while ((length = frame_length(journal, base, end, lsn, previous_crc)) != 0) {
        previous_crc = ((const struct ipc_frame *)(base + end))->crc;
        end += length;
        lsn++;
    }
    if (is_failed(journal))
        return false;
    if (end == scribe->offset)
        return true;
    if (scribe->fd < 0 && !file_begin(journal, base))
        return false;
    if (!eng_scribe_write(
            journal, scribe->fd, base + scribe->offset, end - scribe->offset, scribe->offset))
        return disk_failed(journal, "write", scribe->segment_no);
    scribe->dirty = true;
    scribe->dirty_bytes += end - scribe->offset;
    scribe->offset = end;
    scribe->next_lsn = lsn;
    scribe->previous_crc = previous_crc;
    return true;
}

/* Has the writer left the scribe's segment? Then nothing is written there any more. */
static bool writer_left(struct eng_journal *journal)
{
    uint64_t next_no = journal->scribe.segment_no + 1;
    if (next_no > atomic_load_explicit(&journal->ready_no, memory_order_relaxed))
        return false;
    const struct ipc_segment_header *header =
        (const struct ipc_segment_header *)eng_journal_slot_of(journal, next_no);
    /* Pairs with the release of eng_journal_roll. */
    return atomic_load_explicit(&header->magic, memory_order_acquire) == IPC_JOURNAL_MAGIC &&
           header->segment_no == next_no;
}

/* The scribe's segment is durable to its end: its memory takes the number behind the last. */
static bool segment_recycle(struct eng_journal *journal)
{
    uint64_t old_no = journal->scribe.segment_no;
    uint64_t new_no = old_no + journal->config.segment_count;
    char old_name[IPC_SEGMENT_NAME_BYTES], new_name[IPC_SEGMENT_NAME_BYTES];
    ipc_segment_name(old_no, old_name);
    ipc_segment_name(new_no, new_name);
    if (!eng_journal_segment_prepare(journal, eng_journal_slot_of(journal, old_no), new_no))
        return disk_failed(journal, "random salt", new_no);
    if (renameat(journal->memory_fd, old_name, journal->memory_fd, new_name) != 0)
        return disk_failed(journal, "renaming in memory", new_no);
    /* Pairs with the acquire of eng_journal_roll: memory and header are ready. */
    atomic_store_explicit(&journal->ready_no, new_no, memory_order_release);
    return true;
}

/* Ends the segment that the writer has left and goes to the next. */
static bool segment_finish(struct eng_journal *journal)
{
    struct eng_scribe *scribe = &journal->scribe;
    const struct eng_scribe_system *system = journal->system;
    if (!file_sync(journal) || !file_make_ahead(journal))
        return false;
    if (scribe->fd >= 0) {
        int fd = scribe->fd;
        scribe->fd = -1;
        if (system->close_file(system->context, fd) != 0)
            return disk_failed(journal, "close", scribe->segment_no);
    }
    if (!segment_recycle(journal))
        return false;
    scribe->segment_no++;
    scribe->offset = IPC_SEGMENT_HEADER_BYTES;
    return true;
}

bool eng_scribe_round(struct eng_journal *journal)
{
    struct eng_scribe *scribe = &journal->scribe;
    if (is_failed(journal))
        return false;
    if (atomic_load_explicit(&journal->owner->generation, memory_order_acquire) !=
        journal->generation) {
        eng_journal_fail(
            journal, IPC_JOURNAL_STATE_DAMAGED, EBUSY, "another engine has opened this journal");
        return false;
    }
    for (;;) {
        const uint8_t *base = eng_journal_slot_of(journal, scribe->segment_no);
        bool left = writer_left(journal); /* asked first: what is copied below is then all of it */
        if (!frames_copy(journal, base))
            return false;
        if (!left)
            break;
        if (!segment_finish(journal))
            return false;
    }
    if (!file_sync(journal) || !file_make_ahead(journal))
        return false;
    bool behind = atomic_load_explicit(&journal->is_behind, memory_order_relaxed) != 0;
    atomic_store_explicit(&journal->owner->state,
        behind ? IPC_JOURNAL_STATE_BEHIND : IPC_JOURNAL_STATE_OK, memory_order_release);
    return true;
}

/* --- the thread --- */

static void futex_wait(_Atomic uint32_t *word, uint32_t seen, int64_t wait_ns)
{
    struct timespec wait = {.tv_sec = wait_ns / LS_NS_PER_S, .tv_nsec = wait_ns % LS_NS_PER_S};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, &wait, NULL, 0);
}

void eng_scribe_ring(struct eng_journal *journal)
{
    /* Sequentially consistent on both sides: either the scribe sees the new bell and does not
     * sleep, or we see that it sleeps. */
    atomic_fetch_add_explicit(&journal->bell, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&journal->is_asleep, memory_order_seq_cst) != 0)
        syscall(SYS_futex, &journal->bell, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void scribe_sleep(struct eng_journal *journal, int64_t wait_ns)
{
    uint32_t seen = atomic_load_explicit(&journal->bell, memory_order_seq_cst);
    atomic_store_explicit(&journal->is_asleep, 1, memory_order_seq_cst);
    bool wanted = atomic_load_explicit(&journal->wanted_lsn, memory_order_seq_cst) >
                      atomic_load_explicit(&journal->durable_lsn, memory_order_relaxed) &&
                  !is_failed(journal);
    if (!wanted && atomic_load_explicit(&journal->stop, memory_order_seq_cst) == 0)
        futex_wait(&journal->bell, seen, wait_ns);
    atomic_store_explicit(&journal->is_asleep, 0, memory_order_seq_cst);
}

static void *scribe_main(void *argument)
{
    struct eng_journal *journal = argument;
    uint32_t sync_ms =
        journal->config.sync_ms != 0 ? journal->config.sync_ms : SCRIBE_SYNC_MS_DEFAULT;
    int64_t wait_ns = (int64_t)sync_ms * LS_NS_PER_MS / 2;
    while (atomic_load_explicit(&journal->stop, memory_order_acquire) == 0) {
        (void)eng_scribe_round(journal);
        scribe_sleep(journal, wait_ns);
    }
    (void)eng_scribe_round(journal);
    return NULL;
}

enum ipc_rc eng_scribe_start(struct eng_journal *journal, int cpu, struct ipc_error *error)
{
    LS_CHECK(journal->is_started && !journal->scribe.is_running);
    /* Signals are the main thread's. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int refused = pthread_create(&journal->scribe.thread, NULL, scribe_main, journal);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (refused != 0) {
        ipc_error_set(error, "the scribe thread cannot be started: %s", strerror(refused));
        return IPC_SYSTEM;
    }
    journal->scribe.is_running = true;
    (void)pthread_setname_np(journal->scribe.thread, "scribe");
    if (cpu >= 0) {
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        CPU_SET((unsigned)cpu, &cpus);
        refused = pthread_setaffinity_np(journal->scribe.thread, sizeof cpus, &cpus);
        if (refused != 0) {
            ipc_error_set(
                error, "the scribe cannot be bound to processor %d: %s", cpu, strerror(refused));
            eng_scribe_stop(journal);
            return IPC_BAD_INPUT;
        }
    }
    return IPC_OK;
}

bool eng_scribe_stop(struct eng_journal *journal)
{
    if (journal->scribe.is_running) {
        atomic_store_explicit(&journal->stop, 1, memory_order_seq_cst);
        eng_scribe_ring(journal);
        pthread_join(journal->scribe.thread, NULL);
        journal->scribe.is_running = false;
        atomic_store_explicit(&journal->stop, 0, memory_order_relaxed);
    }
    return eng_journal_durable_lsn(journal) == eng_journal_last_lsn(journal);
}
