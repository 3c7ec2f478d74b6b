#include "engine/checkpointer.h"

#include "engine/days.h"

#include "engine/journal_private.h"
#include "ipc/clock.h"
#include "ipc/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS             200
#define EVERY_BYTES_DEFAULT (UINT64_C(64) << 20)
#define EVERY_S_DEFAULT     600u

struct eng_checkpointer {
    struct eng_journal *journal;
    struct eng_checkpointer_config config;
    pthread_t thread;
    _Atomic uint32_t stop; /* writer: eng_checkpointer_stop, release; the thread's acquire */
    /* the thread's own */
    uint64_t newest_lsn; /* covered by the newest checkpoint, 0 = none */
    uint64_t bytes_then; /* owner->synced_bytes at that time */
    uint64_t bytes_owed; /* folded at the start, with no checkpoint over it */
    uint64_t day_lsn;    /* of the newest DAY that was followed by one */
    uint64_t sealed_no;  /* files below it are sealed */
    int64_t newest_mono_ns;
    bool has_failed; /* and was told */
};

/* --- one checkpoint --- */

/* Recovery's fold, which can be told to stop. */
struct stoppable {
    struct eng_recovery_fold inner;
    const _Atomic uint32_t *stop;
};

static enum ipc_rc stoppable_apply(void *context, const struct eng_frame *frame, bool maybe)
{
    struct stoppable *fold = context;
    if (fold->stop != NULL && atomic_load_explicit(fold->stop, memory_order_acquire) != 0)
        return IPC_BUSY;
    return fold->inner.apply(fold->inner.context, frame, maybe);
}

static enum ipc_rc stoppable_restore(
    void *context, int directory_fd, uint32_t shard, uint64_t lsn, struct eng_checkpoint_about *out)
{
    struct stoppable *fold = context;
    return fold->inner.restore(fold->inner.context, directory_fd, shard, lsn, out);
}

static void stoppable_reset(void *context)
{
    struct stoppable *fold = context;
    fold->inner.reset(fold->inner.context);
}

static enum ipc_rc image_fold(const struct eng_journal_config *journal, uint64_t until_lsn,
    const _Atomic uint32_t *stop, struct eng_recovery_core *keeper,
    struct eng_recovery_result *result, struct ipc_error *error)
{
    struct ipc_journal_reader_options options = {
        .memory_directory = journal->memory_directory,
        .disk_directory = journal->disk_directory,
        .shard = journal->shard,
        .accept_corrupt = journal->accept_corrupt,
    };
    memcpy(options.boot_id, journal->boot_id, sizeof options.boot_id);
    struct stoppable stoppable = {.inner = eng_recovery_fold_restored(keeper), .stop = stop};
    struct eng_recovery_fold fold = {.apply = stoppable_apply,
        .restore = stoppable_restore,
        .reset = stoppable_reset,
        .until_lsn = until_lsn,
        .context = &stoppable};
    enum ipc_rc rc = eng_recovery_read(&options, &fold, result, error);
    if (stop != NULL && atomic_load_explicit(stop, memory_order_acquire) != 0)
        return IPC_BUSY;
    return rc;
}

static enum ipc_rc image_write(const struct eng_journal_config *journal,
    const struct eng_recovery_core *keeper, const struct eng_recovery_result *result,
    struct ipc_error *error)
{
    char path[256];
    struct eng_checkpoint_about about;
    snprintf(path, sizeof path, "%s/journal.%u", journal->disk_directory, journal->shard);
    int directory_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (directory_fd < 0) {
        ipc_error_set(error, "%s cannot be opened: %s", path, strerror(errno));
        return IPC_SYSTEM;
    }
    eng_recovery_about(keeper, journal->shard, &about);
    about.lsn = result->last_lsn;
    about.frame_crc = result->last_crc;
    about.segment_no = result->last_segment_no;
    about.created_wall_ns = ipc_clock_wall_ns();
    memcpy(about.cluster_id, result->cluster_id, sizeof about.cluster_id);
    /* The older of the two kept goes first: a disk that is nearly full needs the room. */
    eng_checkpoint_prune(directory_fd, ENG_CHECKPOINT_KEPT - 1);
    enum ipc_rc rc = eng_checkpoint_write(directory_fd, &about, keeper->core, error);
    close(directory_fd);
    return rc;
}

enum ipc_rc eng_checkpoint_make(const struct eng_journal_config *journal,
    const struct eng_checkpointer_config *config, uint64_t until_lsn, const _Atomic uint32_t *stop,
    uint64_t *out_lsn, struct ipc_error *error)
{
    LS_CHECK(until_lsn > 0);
    struct eng_recovery_core keeper = {.limits = config->limits, .config = config->core};
    size_t bytes = eng_core_footprint(&config->limits);
    void *memory = mmap(
        NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        ipc_error_set(error, "no %zu MiB for a checkpoint: %s", bytes >> 20, strerror(errno));
        return IPC_SYSTEM;
    }
    keeper.core = eng_core_init_zeroed(memory, &config->limits, &config->core);
    struct eng_recovery_result result;
    enum ipc_rc rc = image_fold(journal, until_lsn, stop, &keeper, &result, error);
    if (rc == IPC_OK && result.frames > 0)
        rc = image_write(journal, &keeper, &result, error);
    if (rc == IPC_OK)
        *out_lsn = result.last_lsn;
    (void)munmap(memory, bytes);
    return rc;
}

/* --- the thread --- */

static uint64_t synced_bytes(const struct eng_checkpointer *checkpointer)
{
    return atomic_load_explicit(&checkpointer->journal->owner->synced_bytes, memory_order_relaxed);
}

static bool is_due(const struct eng_checkpointer *checkpointer, uint64_t durable_lsn)
{
    const struct eng_checkpointer_config *config = &checkpointer->config;
    uint64_t day_lsn = eng_journal_day(checkpointer->journal);
    if (durable_lsn == 0 || durable_lsn <= checkpointer->newest_lsn)
        return false;
    if (day_lsn > checkpointer->day_lsn && day_lsn <= durable_lsn)
        return true;
    if (checkpointer->bytes_owed + synced_bytes(checkpointer) - checkpointer->bytes_then >=
        config->every_bytes)
        return true;
    return ipc_clock_mono_ns() - checkpointer->newest_mono_ns >=
           (int64_t)config->every_s * LS_NS_PER_S;
}

static void look(struct eng_checkpointer *checkpointer)
{
    uint64_t durable_lsn = eng_journal_durable_lsn(checkpointer->journal);
    if (!is_due(checkpointer, durable_lsn))
        return;
    struct ipc_error error = {{0}};
    uint64_t lsn = 0, bytes = synced_bytes(checkpointer);
    uint64_t day_lsn = eng_journal_day(checkpointer->journal);
    int64_t started_ns = ipc_clock_mono_ns();
    enum ipc_rc rc = eng_checkpoint_make(&checkpointer->journal->config, &checkpointer->config,
        durable_lsn, &checkpointer->stop, &lsn, &error);
    if (rc == IPC_BUSY)
        return;
    /* After a failure too: it is tried again when the next one would be due. */
    checkpointer->bytes_then = bytes;
    checkpointer->bytes_owed = 0;
    checkpointer->newest_mono_ns = ipc_clock_mono_ns();
    checkpointer->day_lsn = day_lsn <= durable_lsn ? day_lsn : checkpointer->day_lsn;
    if (rc == IPC_OK) {
        checkpointer->newest_lsn = lsn;
        checkpointer->has_failed = false;
        ipc_log(IPC_LOG_DEBUG, "checkpoint of lsn %llu made in %lld ms", (unsigned long long)lsn,
            (long long)((ipc_clock_mono_ns() - started_ns) / LS_NS_PER_MS));
        return;
    }
    if (!checkpointer->has_failed)
        ipc_log(IPC_LOG_WARN, "no checkpoint, the next start takes longer: %s", error.text);
    checkpointer->has_failed = true;
}

/* Files of days that are over, once their memory serves other segments: a start writes to none of
 * them again. */
static void seal(struct eng_checkpointer *checkpointer)
{
    struct eng_journal *journal = checkpointer->journal;
    struct ipc_error error = {{0}};
    uint32_t sealed;
    if (eng_journal_day(journal) == 0)
        return;
    uint64_t below_no = atomic_load_explicit(&journal->day_segment_no, memory_order_relaxed);
    uint64_t in_memory = atomic_load_explicit(&journal->ready_no, memory_order_acquire) + 1 -
                         journal->config.segment_count;
    if (in_memory < below_no)
        below_no = in_memory;
    if (below_no <= checkpointer->sealed_no)
        return;
    uint32_t day = atomic_load_explicit(&journal->ended_day, memory_order_relaxed);
    checkpointer->sealed_no = below_no; /* told once: the next day tries again */
    if (eng_days_seal(journal->disk_fd, below_no, day, &sealed, &error) != IPC_OK)
        ipc_log(IPC_LOG_WARN, "%s", error.text);
    else if (sealed > 0)
        ipc_log(IPC_LOG_INFO, "day %u is sealed: %u journal files", day, sealed);
}

static void *checkpointer_main(void *argument)
{
    struct eng_checkpointer *checkpointer = argument;
    /* Of this thread alone, which Linux means by a thread's id. */
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
    while (atomic_load_explicit(&checkpointer->stop, memory_order_acquire) == 0) {
        struct timespec pause = {.tv_nsec = LOOK_MS * LS_NS_PER_MS};
        look(checkpointer);
        seal(checkpointer);
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

enum ipc_rc eng_checkpointer_start(struct eng_journal *journal,
    const struct eng_checkpointer_config *config, const struct eng_recovery_result *recovered,
    struct eng_checkpointer **out, struct ipc_error *error)
{
    *out = NULL;
    struct eng_checkpointer *checkpointer = calloc(1, sizeof *checkpointer);
    if (checkpointer == NULL) {
        ipc_error_set(error, "no memory for the checkpointer");
        return IPC_SYSTEM;
    }
    checkpointer->journal = journal;
    checkpointer->config = *config;
    if (config->every_bytes == 0)
        checkpointer->config.every_bytes = EVERY_BYTES_DEFAULT;
    if (config->every_s == 0)
        checkpointer->config.every_s = EVERY_S_DEFAULT;
    checkpointer->newest_lsn = recovered->checkpoint_lsn;
    checkpointer->bytes_owed = recovered->folded_bytes;
    checkpointer->newest_mono_ns = ipc_clock_mono_ns();
    /* Signals are the main thread's. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int refused = pthread_create(&checkpointer->thread, NULL, checkpointer_main, checkpointer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (refused != 0) {
        ipc_error_set(error, "the checkpointer cannot be started: %s", strerror(refused));
        free(checkpointer);
        return IPC_SYSTEM;
    }
    (void)pthread_setname_np(checkpointer->thread, "checkpointer");
    if (config->cpu >= 0) {
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        CPU_SET((unsigned)config->cpu, &cpus);
        (void)pthread_setaffinity_np(checkpointer->thread, sizeof cpus, &cpus);
    }
    *out = checkpointer;
    return IPC_OK;
}

void eng_checkpointer_stop(struct eng_checkpointer *checkpointer)
{
    if (checkpointer == NULL)
        return;
    atomic_store_explicit(&checkpointer->stop, 1, memory_order_release);
    pthread_join(checkpointer->thread, NULL);
    free(checkpointer);
}
