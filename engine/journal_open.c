/* journal_open.c: the cold half of the journal: directories, locks, segments' memory. */
#include "engine/journal_private.h"

#include "ipc/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_zero(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

enum ipc_rc eng_journal_config_fill(struct eng_journal_config *out, const struct eng_config *config,
    const char *instance_directory, const char *cluster_id, struct ipc_error *error)
{
    memset(out, 0, sizeof *out);
    int memory =
        snprintf(out->memory_directory, sizeof out->memory_directory, "%s", instance_directory);
    int disk = snprintf(out->disk_directory, sizeof out->disk_directory, "%s/lockstep.%s",
        config->journal_directory, config->instance);
    if (memory < 0 || (size_t)memory >= sizeof out->memory_directory || disk < 0 ||
        (size_t)disk >= sizeof out->disk_directory) {
        ipc_error_set(error, "journal.directory %s is too long (at most %zu characters)",
            config->journal_directory, sizeof out->disk_directory - 48);
        return IPC_BAD_INPUT;
    }
    snprintf(out->cluster_id, sizeof out->cluster_id, "%s", cluster_id);
    out->shard = config->shard;
    out->segment_bytes = config->journal_segment_bytes;
    out->segment_count = config->journal_segments;
    out->tier = config->tier;
    out->lock_memory = config->memory_lock != 0;
    return IPC_OK;
}

static enum ipc_rc config_check(const struct eng_journal_config *config, struct ipc_error *error)
{
    if (config->segment_bytes % 4096 != 0 ||
        config->segment_bytes < ENG_JOURNAL_SEGMENT_BYTES_MIN ||
        config->segment_bytes > ENG_JOURNAL_SEGMENT_BYTES_MAX) {
        ipc_error_set(error, "journal segments of %u bytes: must be a multiple of 4096 in [%u, %u]",
            config->segment_bytes, ENG_JOURNAL_SEGMENT_BYTES_MIN, ENG_JOURNAL_SEGMENT_BYTES_MAX);
        return IPC_BAD_INPUT;
    }
    if (config->segment_count < ENG_JOURNAL_SEGMENTS_MIN ||
        config->segment_count > ENG_JOURNAL_SEGMENTS_MAX) {
        ipc_error_set(error, "%u journal segments: must be in [%u, %u]", config->segment_count,
            ENG_JOURNAL_SEGMENTS_MIN, ENG_JOURNAL_SEGMENTS_MAX);
        return IPC_BAD_INPUT;
    }
    uint64_t ring = (uint64_t)config->segment_bytes * (config->segment_count - 1);
    if (config->reserve_bytes > ring / 2) {
        ipc_error_set(error, "journal reserve of %u bytes: at most half of the ring, %llu",
            config->reserve_bytes, (unsigned long long)(ring / 2));
        return IPC_BAD_INPUT;
    }
    return IPC_OK;
}

/* Makes a directory with its parents; those that exist are left as they are. */
static bool directories_make(const char *path)
{
    char partial[512];
    int bytes = snprintf(partial, sizeof partial, "%s", path);
    if (bytes <= 0 || (size_t)bytes >= sizeof partial) {
        errno = ENAMETOOLONG;
        return false;
    }
    for (char *at = partial + 1; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(partial, 0750) != 0 && errno != EEXIST)
            return false;
        *at = '/';
    }
    return mkdir(partial, 0750) == 0 || errno == EEXIST;
}

/* Opens <parent>/journal.<shard>, made when missing. It must be ours or root's: another user's
 * directory could be emptied under us. */
static int directory_open(const char *parent, uint32_t shard, mode_t mode, struct ipc_error *error)
{
    char path[256];
    snprintf(path, sizeof path, "%s/journal.%u", parent, shard);
    bool made = mkdir(path, mode & 0777) == 0;
    if (!made && errno != EEXIST) {
        ipc_error_set(error, "%s cannot be made: %s", path, strerror(errno));
        return -1;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0 || (made && fchmod(fd, mode) != 0)) {
        ipc_error_set(error, "%s cannot be opened: %s", path, strerror(errno));
    } else if (status.st_uid != geteuid() && status.st_uid != 0) {
        ipc_error_set(error, "%s belongs to user %u; the journal must belong to the engine's user",
            path, (unsigned)status.st_uid);
    } else {
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Opens and locks the file `owner` of a directory.
 *   page  what it holds, zeros when it is new
 *   returns the descriptor, or -1 with *rc and *error */
static int owner_lock(int directory_fd, const char *where, struct ipc_journal_owner *page,
    enum ipc_rc *rc, struct ipc_error *error)
{
    *rc = IPC_SYSTEM;
    int fd = openat(
        directory_fd, IPC_JOURNAL_OWNER_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660);
    if (fd < 0) {
        ipc_error_set(error, "%s: the file owner cannot be opened: %s", where, strerror(errno));
        return -1;
    }
    /* An open-file-description lock: the kernel drops it on any death of the process. */
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    memset(page, 0, sizeof *page);
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        bool busy = errno == EAGAIN || errno == EACCES;
        int reason = errno;
        if (busy && pread(fd, page, sizeof *page, 0) == (ssize_t)sizeof *page)
            ipc_error_set(error,
                "%s: another engine (process %u) has this journal; stop it first, or start this "
                "engine with another instance or shard",
                where, page->pid);
        else
            ipc_error_set(
                error, "%s: the file owner cannot be locked: %s", where, strerror(reason));
        if (busy)
            *rc = IPC_BUSY;
        close(fd);
        return -1;
    }
    struct stat status;
    ssize_t got = -1;
    if (fstat(fd, &status) == 0 && (status.st_size >= (off_t)IPC_JOURNAL_OWNER_BYTES ||
                                       posix_fallocate(fd, 0, IPC_JOURNAL_OWNER_BYTES) == 0))
        got = pread(fd, page, sizeof *page, 0);
    if (got != (ssize_t)sizeof *page) {
        ipc_error_set(error, "%s: the file owner cannot be read: %s", where, strerror(errno));
        close(fd);
        return -1;
    }
    (void)fchmod(fd, 0660); /* the umask may have taken the group's bits */
    uint64_t magic = page->magic;
    if (magic != 0 && (magic != IPC_JOURNAL_OWNER_MAGIC || page->abi != IPC_ABI)) {
        ipc_error_set(
            error, "%s: the file owner is not of this version; move the directory away", where);
        *rc = magic != IPC_JOURNAL_OWNER_MAGIC ? IPC_BAD_MAGIC : IPC_BAD_ABI;
        close(fd);
        return -1;
    }
    *rc = IPC_OK;
    return fd;
}

static void owner_fill(struct eng_journal *journal, struct ipc_journal_owner *page)
{
    const struct eng_journal_config *config = &journal->config;
    page->abi = IPC_ABI;
    page->shard = config->shard;
    memcpy(page->engine_uuid, config->engine_uuid, sizeof page->engine_uuid);
    memcpy(page->boot_id, config->boot_id, sizeof page->boot_id);
    page->pid = (uint32_t)getpid();
    page->tier = config->tier;
    page->segment_bytes = config->segment_bytes;
    page->segment_count = config->segment_count;
    snprintf(page->disk_directory, sizeof page->disk_directory, "%s/journal.%u",
        config->disk_directory, config->shard);
    memset(page->failed_text, 0, sizeof page->failed_text);
    atomic_store_explicit(&page->failed_errno, 0, memory_order_relaxed);
    atomic_store_explicit(&page->durable_lsn, 0, memory_order_relaxed);
    atomic_store_explicit(&page->state, IPC_JOURNAL_STATE_OPENING, memory_order_relaxed);
    page->magic = IPC_JOURNAL_OWNER_MAGIC;
    atomic_store_explicit(&page->generation, journal->generation, memory_order_release);
}

/* Locks both directories, raises the generation in both. */
static enum ipc_rc ownership_take(struct eng_journal *journal, struct ipc_error *error)
{
    struct ipc_journal_owner memory_page, disk_page;
    enum ipc_rc rc;
    journal->memory_owner_fd =
        owner_lock(journal->memory_fd, journal->config.memory_directory, &memory_page, &rc, error);
    if (journal->memory_owner_fd < 0)
        return rc;
    journal->disk_owner_fd =
        owner_lock(journal->disk_fd, journal->config.disk_directory, &disk_page, &rc, error);
    if (journal->disk_owner_fd < 0)
        return rc;
    void *page = mmap(NULL, IPC_JOURNAL_OWNER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
        journal->memory_owner_fd, 0);
    if (page == MAP_FAILED) {
        ipc_error_set(error, "%s: the file owner cannot be mapped: %s",
            journal->config.memory_directory, strerror(errno));
        return IPC_SYSTEM;
    }
    journal->owner = page;
    uint64_t memory_generation = memory_page.generation, disk_generation = disk_page.generation;
    journal->generation =
        1 + (memory_generation > disk_generation ? memory_generation : disk_generation);
    if (memory_page.magic == IPC_JOURNAL_OWNER_MAGIC &&
        memcmp(memory_page.boot_id, journal->config.boot_id, sizeof memory_page.boot_id) == 0)
        journal->previous_durable_lsn = memory_page.durable_lsn;
    owner_fill(journal, &disk_page);
    if (pwrite(journal->disk_owner_fd, &disk_page, sizeof disk_page, 0) !=
        (ssize_t)sizeof disk_page) {
        ipc_error_set(error, "%s: the file owner cannot be written: %s",
            journal->config.disk_directory, strerror(errno));
        return IPC_SYSTEM;
    }
    owner_fill(journal, journal->owner);
    return IPC_OK;
}

static enum ipc_rc identity_fill(struct eng_journal *journal, struct ipc_error *error)
{
    struct eng_journal_config *config = &journal->config;
    if (is_zero(config->engine_uuid, sizeof config->engine_uuid) &&
        getrandom(config->engine_uuid, sizeof config->engine_uuid, 0) !=
            (ssize_t)sizeof config->engine_uuid) {
        ipc_error_set(error, "the kernel gives no random bytes: %s", strerror(errno));
        return IPC_SYSTEM;
    }
    if (is_zero(config->boot_id, sizeof config->boot_id) &&
        ipc_clock_boot_id(config->boot_id) != IPC_OK) {
        ipc_error_set(error, "/proc/sys/kernel/random/boot_id cannot be read: is /proc mounted?");
        return IPC_SYSTEM;
    }
    return IPC_OK;
}

enum ipc_rc eng_journal_open(
    const struct eng_journal_config *config, struct eng_journal **out, struct ipc_error *error)
{
    *out = NULL;
    enum ipc_rc rc = config_check(config, error);
    if (rc != IPC_OK)
        return rc;
    struct eng_journal *journal = aligned_alloc(LS_LINE_BYTES, sizeof *journal);
    if (journal == NULL) {
        ipc_error_set(error, "no memory for the journal");
        return IPC_SYSTEM;
    }
    memset(journal, 0, sizeof *journal);
    journal->config = *config;
    journal->system = config->system != NULL ? config->system : &eng_scribe_system_real;
    journal->memory_fd = journal->disk_fd = -1;
    journal->memory_owner_fd = journal->disk_owner_fd = -1;
    journal->scribe.fd = journal->scribe.next_fd = -1;
    journal->next_lsn = 1;
    rc = identity_fill(journal, error);
    if (rc == IPC_OK) {
        rc = IPC_SYSTEM;
        journal->memory_fd = directory_open(config->memory_directory, config->shard, 02770, error);
        if (journal->memory_fd >= 0 && !directories_make(config->disk_directory))
            ipc_error_set(error, "%s cannot be made: %s", config->disk_directory, strerror(errno));
        else if (journal->memory_fd >= 0)
            journal->disk_fd = directory_open(config->disk_directory, config->shard, 02750, error);
        if (journal->disk_fd >= 0)
            rc = ownership_take(journal, error);
    }
    if (rc != IPC_OK) {
        eng_journal_close(journal);
        return rc;
    }
    *out = journal;
    return IPC_OK;
}

static bool header_prepare(struct eng_journal *journal, uint8_t *base, uint64_t segment_no)
{
    struct ipc_segment_header *header = (struct ipc_segment_header *)base;
    header->abi = IPC_ABI;
    header->shard = journal->config.shard;
    memcpy(header->engine_uuid, journal->config.engine_uuid, sizeof header->engine_uuid);
    memcpy(header->boot_id, journal->config.boot_id, sizeof header->boot_id);
    header->segment_no = segment_no;
    header->segment_bytes = journal->config.segment_bytes;
    return getrandom(&header->salt, sizeof header->salt, 0) == (ssize_t)sizeof header->salt;
}

bool eng_journal_segment_prepare(struct eng_journal *journal, uint8_t *base, uint64_t segment_no)
{
    struct ipc_segment_header *header = (struct ipc_segment_header *)base;
    /* First of all it stops being a segment in use: who reads it now goes to the disk file. */
    atomic_store_explicit(&header->magic, 0, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    memset(base + sizeof header->magic, 0, journal->config.segment_bytes - sizeof header->magic);
    return header_prepare(journal, base, segment_no);
}

/* Makes one segment's file in memory: allocated, mapped, touched, locked. */
static enum ipc_rc segment_make(struct eng_journal *journal, struct eng_journal_slot *slot,
    uint64_t segment_no, struct ipc_error *error)
{
    char name[IPC_SEGMENT_NAME_BYTES];
    ipc_segment_name(segment_no, name);
    const char *directory = journal->config.memory_directory;
    size_t bytes = journal->config.segment_bytes;
    int fd =
        openat(journal->memory_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0660);
    if (fd < 0) {
        ipc_error_set(error, "%s: %s cannot be made: %s", directory, name, strerror(errno));
        return IPC_SYSTEM;
    }
    (void)fchmod(fd, 0660);
    int refused = posix_fallocate(fd, 0, (off_t)bytes);
    void *base = refused == 0
                     ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0)
                     : MAP_FAILED;
    if (base == MAP_FAILED) {
        ipc_error_set(error, "%s: no room for a journal segment of %zu bytes: %s", directory, bytes,
            strerror(refused != 0 ? refused : errno));
        close(fd);
        unlinkat(journal->memory_fd, name, 0);
        return IPC_SYSTEM;
    }
    close(fd);
    slot->base = base;
    (void)madvise(base, bytes, MADV_DONTFORK);
    if (mlock(base, bytes) != 0 && journal->config.lock_memory) {
        ipc_error_set(error,
            "the journal's %zu bytes a segment cannot be locked in memory: %s; raise "
            "RLIMIT_MEMLOCK "
            "(ulimit -l, LimitMEMLOCK=) or use smaller segments",
            bytes, strerror(errno));
        return IPC_SYSTEM;
    }
    if (!header_prepare(journal, base, segment_no)) { /* the rest is new, and so all zeros */
        ipc_error_set(error, "the kernel gives no random bytes: %s", strerror(errno));
        return IPC_SYSTEM;
    }
    return IPC_OK;
}

enum ipc_rc eng_journal_start(
    struct eng_journal *journal, const struct eng_journal_start *start, struct ipc_error *error)
{
    LS_CHECK(!journal->is_started);
    LS_CHECK(start->segment_no >= 1 && start->next_lsn >= 1);
    uint32_t count = journal->config.segment_count;
    for (uint64_t no = start->segment_no; no < start->segment_no + count; no++) {
        enum ipc_rc rc = segment_make(journal, &journal->slots[no % count], no, error);
        if (rc != IPC_OK)
            return rc;
    }
    uint64_t ring = (uint64_t)journal->config.segment_bytes * (count - 1);
    journal->reserve_bytes =
        journal->config.reserve_bytes != 0 ? journal->config.reserve_bytes : ring / 4;
    journal->first_segment_no = start->segment_no;
    journal->next_lsn = start->next_lsn;
    journal->previous_crc = start->previous_crc;
    journal->segment_no = start->segment_no - 1;
    journal->wall_ns = ipc_clock_wall_ns();
    journal->mono_ns = ipc_clock_mono_ns();
    journal->scribe.segment_no = start->segment_no;
    journal->scribe.offset = IPC_SEGMENT_HEADER_BYTES;
    journal->scribe.next_lsn = start->next_lsn;
    journal->scribe.previous_crc = start->previous_crc;
    atomic_store_explicit(&journal->ready_no, start->segment_no + count - 1, memory_order_release);
    /* Everything before this life is on disk, or nobody knows how much of it. */
    uint64_t durable_lsn = start->disk_failed ? 0 : start->next_lsn - 1;
    atomic_store_explicit(&journal->durable_lsn, durable_lsn, memory_order_release);
    atomic_store_explicit(&journal->owner->durable_lsn, durable_lsn, memory_order_release);
    atomic_store_explicit(&journal->state, IPC_JOURNAL_STATE_OK, memory_order_release);
    atomic_store_explicit(&journal->owner->state, IPC_JOURNAL_STATE_OK, memory_order_release);
    journal->reported = IPC_JOURNAL_STATE_OK;
    if (start->disk_failed)
        eng_journal_fail(journal, IPC_JOURNAL_STATE_DISK_FAILED, EIO, start->disk_failed_text);
    bool rolled = eng_journal_roll(journal);
    LS_CHECK(rolled);
    journal->is_started = true;
    return IPC_OK;
}

void eng_journal_close(struct eng_journal *journal)
{
    if (journal == NULL)
        return;
    LS_CHECK(!journal->scribe.is_running);
    if (journal->scribe.fd >= 0)
        journal->system->close_file(journal->system->context, journal->scribe.fd);
    if (journal->scribe.next_fd >= 0)
        journal->system->close_file(journal->system->context, journal->scribe.next_fd);
    for (uint32_t i = 0; i < journal->config.segment_count; i++)
        if (journal->slots[i].base != NULL)
            munmap(journal->slots[i].base, journal->config.segment_bytes);
    if (journal->owner != NULL) {
        if (journal->is_started &&
            atomic_load_explicit(&journal->state, memory_order_acquire) == IPC_JOURNAL_STATE_OK)
            atomic_store_explicit(
                &journal->owner->state, IPC_JOURNAL_STATE_CLOSED, memory_order_release);
        munmap(journal->owner, IPC_JOURNAL_OWNER_BYTES);
    }
    int fds[] = {
        journal->memory_owner_fd, journal->disk_owner_fd, journal->memory_fd, journal->disk_fd};
    for (size_t i = 0; i < LS_COUNT_OF(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(journal);
}
