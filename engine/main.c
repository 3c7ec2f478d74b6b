/* main.c: lockstep-engine: options, checks of the environment, start-up in order, and the end.
 *
 * Start: configuration, limits of the process, core dumps off, instance directory, engine page (its
 * lock says that this shard runs here), journal and its fold, then scribe, pinned thread, porter.
 * Nothing is sent before the fold is complete. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/checkpointer.h"
#include "engine/net/memory.h"
#include "engine/porter.h"
#include "engine/recovery.h"
#include "engine/scribe.h"
#include "engine/turn.h"
#include "engine/verify.h"
#include "ipc/secret.h"
#include "version.h"

#define LIBRARY_BYTES_BASE       (8u << 20)
#define LIBRARY_BYTES_CONNECTION (4u << 10)

static const char usage[] =
    "lockstep-engine: copies a master's orders to its followers' accounts (one process, one "
    "shard)\n"
    "\n"
    "  --config FILE     YAML, see conf/engine.yaml; without it everything has its default\n"
    "  --instance NAME   over the file: shared memory is /dev/shm/lockstep.NAME\n"
    "  --shard K         over the file: [0, 63]\n"
    "  --io KIND         over the file: uring, epoll or auto\n"
    "  --journal DIR     over the file: directory of the disk journal\n"
    "  --key FILE        over the file: key that opens tokens (/etc/lockstep/NAME.key)\n"
    "  --accept-corrupt  a person has decided: go on past a damaged place of the journal\n"
    "  --verify-journal  make every stored decision again from its samples, compare, and exit: 0\n"
    "                    when all are the same; a running engine does not notice\n"
    "  --check           validate, say what a start would do, and exit\n"
    "  --debug           log more\n"
    "  --version, --help\n"
    "\n"
    "SIGTERM or SIGINT finishes waves and open replies and exits 0; a second one exits at once.\n";

struct options {
    const char *config, *instance, *io, *journal, *key;
    int shard; /* -1 = not given */
    bool check, debug, accept_corrupt, verify;
};

/* All that a start makes, so that the end can take it apart whatever failed. */
struct engine {
    struct eng_config config;
    struct ipc_shm shm;
    struct ipc_engine_page page;
    struct eng_telemetry telemetry;
    struct ipc_waves waves;
    struct ipc_wake wake;
    struct eng_adopter *adopter;
    struct eng_journal *journal;
    struct eng_link link;
    struct eng_porter *porter;
    struct eng_turn *turn;
    struct eng_checkpointer *checkpointer;
    struct eng_core *core;
    struct eng_checkpointer_config checkpoints; /* what the core was made of, too */
    size_t core_bytes, library_bytes;
    void *library_memory;
    struct eng_recovery_result recovered;
    bool has_shm, has_page, has_telemetry, has_waves, has_wake, has_scribe;
};

static int options_read(int argc, char **argv, struct options *options)
{
    enum { OPT_CHECK = 256, OPT_VERSION, OPT_HELP, OPT_DEBUG, OPT_CORRUPT, OPT_VERIFY };
    static const struct option names[] = {
        {"config", required_argument, NULL, 'c'},
        {"instance", required_argument, NULL, 'i'},
        {"shard", required_argument, NULL, 's'},
        {"io", required_argument, NULL, 'o'},
        {"journal", required_argument, NULL, 'j'},
        {"key", required_argument, NULL, 'k'},
        {"check", no_argument, NULL, OPT_CHECK},
        {"debug", no_argument, NULL, OPT_DEBUG},
        {"accept-corrupt", no_argument, NULL, OPT_CORRUPT},
        {"verify-journal", no_argument, NULL, OPT_VERIFY},
        {"version", no_argument, NULL, OPT_VERSION},
        {"help", no_argument, NULL, OPT_HELP},
        {NULL, 0, NULL, 0},
    };
    *options = (struct options){.shard = -1};
    for (;;) {
        char *end = NULL;
        int option = getopt_long(argc, argv, "", names, NULL);
        switch (option) {
        case -1:
            if (optind < argc) {
                (void)fprintf(stderr, "lockstep-engine: '%s' is not an option\n", argv[optind]);
                return 2;
            }
            return -1;
        case 'c':
            options->config = optarg;
            break;
        case 'i':
            options->instance = optarg;
            break;
        case 's':
            options->shard = (int)strtol(optarg, &end, 10);
            if (*optarg == '\0' || *end != '\0' || options->shard < 0 ||
                options->shard >= (int)ENG_SHARD_MAX) {
                (void)fprintf(stderr, "lockstep-engine: --shard %s: give a number from 0 to %u\n",
                    optarg, ENG_SHARD_MAX - 1);
                return 2;
            }
            break;
        case 'o':
            options->io = optarg;
            break;
        case 'j':
            options->journal = optarg;
            break;
        case 'k':
            options->key = optarg;
            break;
        case OPT_CHECK:
            options->check = true;
            break;
        case OPT_DEBUG:
            options->debug = true;
            break;
        case OPT_CORRUPT:
            options->accept_corrupt = true;
            break;
        case OPT_VERIFY:
            options->verify = true;
            break;
        case OPT_VERSION:
            (void)printf("lockstep-engine %s (%s)\n", LS_VERSION, LS_COMMIT);
            return 0;
        case OPT_HELP:
            (void)fputs(usage, stdout);
            return 0;
        default:
            (void)fputs("try --help\n", stderr);
            return 2;
        }
    }
}

static uint32_t cores_allowed(void)
{
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
        return 1;
    int count = CPU_COUNT(&cpus);
    return count > 0 ? (uint32_t)count : 1;
}

static enum ipc_rc config_make(
    const struct options *options, struct eng_config *config, struct ipc_error *error)
{
    eng_config_defaults(config);
    if (options->config != NULL) {
        enum ipc_rc rc = eng_config_load(config, options->config, error);
        if (rc != IPC_OK)
            return rc;
    }
    if (options->instance != NULL) {
        if (strlen(options->instance) >= sizeof(config->instance)) {
            ipc_error_set(
                error, "--instance: at most %zu characters", sizeof(config->instance) - 1);
            return IPC_BAD_INPUT;
        }
        (void)snprintf(config->instance, sizeof(config->instance), "%s", options->instance);
    }
    if (options->journal != NULL) {
        if (strlen(options->journal) >= 160) {
            ipc_error_set(error, "--journal: at most 159 characters");
            return IPC_BAD_INPUT;
        }
        (void)snprintf(
            config->journal_directory, sizeof(config->journal_directory), "%s", options->journal);
    }
    if (options->key != NULL) {
        if (strlen(options->key) >= sizeof(config->key_file)) {
            ipc_error_set(error, "--key: at most %zu characters", sizeof(config->key_file) - 1);
            return IPC_BAD_INPUT;
        }
        (void)snprintf(config->key_file, sizeof(config->key_file), "%s", options->key);
    }
    if (options->shard >= 0)
        config->shard = (uint32_t)options->shard;
    if (options->io != NULL && !eng_io_parse(options->io, &config->io)) {
        ipc_error_set(error, "--io %s: give uring, epoll or auto", options->io);
        return IPC_BAD_INPUT;
    }
    return eng_config_finish(config, cores_allowed(), error);
}

/* ---- limits of the process --------------------------------------------------------------------
 */

static uint64_t descriptors_needed(const struct eng_config *config)
{
    /* sockets, two descriptors a ring at most, two files a journal segment, kept connections of book
     * queries, and what is always open */
    return (uint64_t)config->connections + 2u * config->rings + 2u * config->journal_segments + 512;
}

static enum ipc_rc limits_check(const struct eng_config *config, struct ipc_error *error)
{
    struct rlimit files, memory;
    uint64_t needed = descriptors_needed(config);
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || getrlimit(RLIMIT_MEMLOCK, &memory) != 0) {
        ipc_error_set(error, "the limits of this process cannot be read: %m");
        return IPC_SYSTEM;
    }
    if (files.rlim_cur < needed && files.rlim_max >= needed) {
        files.rlim_cur = needed;
        if (setrlimit(RLIMIT_NOFILE, &files) != 0) {
            ipc_error_set(
                error, "RLIMIT_NOFILE cannot be raised to %llu: %m", (unsigned long long)needed);
            return IPC_SYSTEM;
        }
    }
    if (files.rlim_cur < needed) {
        ipc_error_set(error,
            "RLIMIT_NOFILE is %llu, and %llu descriptors are needed: raise it (ulimit -n, or "
            "LimitNOFILE=) or lower limits.connections",
            (unsigned long long)files.rlim_cur, (unsigned long long)needed);
        return IPC_REFUSED;
    }
    return IPC_OK;
}

/* All present and future memory is locked where the limit allows it: a page fault on the pinned
 * thread costs more than an order. Not for what is only reserved: pages are locked as they appear.
 */
static enum ipc_rc memory_lock(const struct eng_config *config, struct ipc_error *error)
{
    struct rlimit limit;
    int saved = ENOMEM;
    /* A finite limit would let this call through and make some later mapping fail instead. */
    bool is_free = geteuid() == 0 ||
                   (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY);
    if (is_free) {
        if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0)
            return IPC_OK;
        saved = errno;
    }
    if (config->memory_lock) {
        ipc_error_set(error,
            "memory cannot be locked (%s): raise RLIMIT_MEMLOCK (ulimit -l unlimited, or "
            "LimitMEMLOCK=infinity), or set memory_lock: false",
            is_free ? strerror(saved) : "RLIMIT_MEMLOCK is finite");
        return IPC_REFUSED;
    }
    ipc_log(IPC_LOG_WARN,
        "memory is not locked (%s): the machine may swap it out; raise RLIMIT_MEMLOCK",
        is_free ? strerror(saved) : "RLIMIT_MEMLOCK is finite");
    return IPC_OK;
}

/* ---- the core ---------------------------------------------------------------------------------
 */

static void *map_faulted(size_t bytes)
{
    void *memory = mmap(
        NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static enum ipc_rc core_make(struct engine *engine, struct ipc_error *error)
{
    const struct eng_config *config = &engine->config;
    struct eng_core_limits limits;
    struct eng_core_config core;
    eng_config_core(config, &limits, &core);
    engine->core_bytes = eng_core_footprint(&limits);
    void *memory = map_faulted(engine->core_bytes);
    engine->library_bytes =
        LIBRARY_BYTES_BASE + (size_t)config->connections * LIBRARY_BYTES_CONNECTION;
    engine->library_memory = map_faulted(engine->library_bytes);
    if (memory == NULL || engine->library_memory == NULL) {
        ipc_error_set(error, "%zu MiB for orders and positions are not available: lower limits.*",
            engine->core_bytes >> 20);
        return IPC_SYSTEM;
    }
    engine->core = eng_core_init_zeroed(memory, &limits, &core);
    engine->checkpoints = (struct eng_checkpointer_config){
        .limits = limits,
        .core = core,
        .every_bytes = (uint64_t)config->checkpoint_kib * 1024,
        .every_s = config->checkpoint_s,
        .cpu = config->scribe_cpu};
    return IPC_OK;
}

static enum ipc_rc journal_make(
    struct engine *engine, const struct options *options, struct ipc_error *error)
{
    struct eng_journal_config config;
    char cluster[64];
    eng_adopter_cluster(engine->adopter, cluster);
    enum ipc_rc rc =
        eng_journal_config_fill(&config, &engine->config, engine->shm.path, cluster, error);
    if (rc != IPC_OK)
        return rc;
    config.accept_corrupt = options->accept_corrupt;
    config.lock_memory = engine->config.memory_lock != 0;
    rc = eng_journal_open(&config, &engine->journal, error);
    if (rc != IPC_OK)
        return rc;
    struct eng_recovery_core keeper = {.core = engine->core,
        .limits = engine->checkpoints.limits,
        .config = engine->checkpoints.core};
    const struct eng_recovery_fold fold = eng_recovery_fold_restored(&keeper);
    rc = eng_recovery_run(engine->journal, &fold, ipc_clock_mono_ns(), ipc_clock_wall_ns(),
        &engine->recovered, error);
    if (rc != IPC_OK)
        return rc;
    const struct eng_recovery_result *result = &engine->recovered;
    eng_adopter_bind(engine->adopter, result->cluster_id);
    if (result->checkpoints_refused > 0)
        ipc_log(IPC_LOG_WARN, "%s (%u passed over)", result->refused.text,
            result->checkpoints_refused);
    if (result->checkpoint_lsn > 0)
        ipc_log(IPC_LOG_INFO, "journal: begun with the checkpoint of lsn %llu",
            (unsigned long long)result->checkpoint_lsn);
    if (result->is_new)
        ipc_log(IPC_LOG_INFO, "a new journal begins");
    else
        ipc_log(result->open.unknown_children > 0 ? IPC_LOG_WARN : IPC_LOG_INFO,
            "journal: %llu facts folded in %lld ms, %u orders were in flight and are UNKNOWN now%s",
            (unsigned long long)result->frames, (long long)(result->elapsed_ns / LS_NS_PER_MS),
            result->open.unknown_children,
            result->same_boot ? "" : " (another boot: all earlier times are infinitely old)");
    if (result->reconcile_all)
        ipc_log(IPC_LOG_WARN,
            "facts may be missing from the journal: compare the brokers' order books with "
            "'lockstepctl orders' before you rely on positions (%llu behind a hole, %llu of them "
            "could not be used)",
            (unsigned long long)result->frames_maybe, (unsigned long long)result->frames_unfit);
    return IPC_OK;
}

/* ---- start and end ----------------------------------------------------------------------------
 */

static enum ipc_rc engine_open(
    struct engine *engine, const struct options *options, int signal_fd, struct ipc_error *error)
{
    const struct eng_config *config = &engine->config;
    enum ipc_rc rc = ipc_shm_open(&engine->shm, NULL, config->instance, true, error);
    if (rc != IPC_OK)
        return rc;
    engine->has_shm = true;
    rc = ipc_engine_page_create(
        &engine->shm, config->shard, LS_VERSION " " LS_COMMIT, &engine->page, error);
    if (rc != IPC_OK)
        return rc;
    engine->has_page = true;
    ipc_engine_set_state(&engine->page, IPC_ENGINE_RECOVERING);
    rc = eng_telemetry_open(&engine->telemetry, &engine->shm, config->shard, error);
    if (rc != IPC_OK)
        return rc;
    engine->has_telemetry = true;
    rc = ipc_waves_create(&engine->shm, config->shard, &engine->waves, error);
    if (rc != IPC_OK)
        return rc;
    engine->has_waves = true;
    rc = ipc_wake_open_shard(&engine->shm, config->shard, &engine->wake, error);
    if (rc != IPC_OK)
        return rc;
    engine->has_wake = true;
    rc = eng_adopter_make(config, &engine->shm, &engine->adopter, error);
    if (rc == IPC_OK)
        rc = core_make(engine, error);
    if (rc == IPC_OK)
        rc = journal_make(engine, options, error);
    if (rc == IPC_OK)
        rc = eng_link_make(&engine->link, config->connections, config->rings, error);
    if (rc == IPC_OK)
        rc = eng_scribe_start(engine->journal, config->scribe_cpu, error);
    if (rc != IPC_OK)
        return rc;
    engine->has_scribe = true;
    rc = eng_checkpointer_start(engine->journal, &engine->checkpoints, &engine->recovered,
        &engine->checkpointer, error);
    if (rc != IPC_OK)
        return rc;
    const struct eng_porter_wiring porter = {
        .config = config,
        .shm = &engine->shm,
        .link = &engine->link,
        .adopter = engine->adopter,
        .telemetry = &engine->telemetry,
        .page = &engine->page,
        .signal_fd = signal_fd,
    };
    rc = eng_porter_make(&porter, &engine->porter, error);
    if (rc != IPC_OK)
        return rc;
    struct eng_turn_wiring turn = {
        .config = config,
        .core = engine->core,
        .journal = engine->journal,
        .link = &engine->link,
        .telemetry = &engine->telemetry,
        .page = &engine->page,
        .waves = &engine->waves,
        .wake = &engine->wake,
        .lanes = eng_lanes_of(config),
        .library_memory = engine->library_memory,
        .library_bytes = engine->library_bytes,
        .reconcile_all = engine->recovered.reconcile_all,
    };
    ipc_clock_calibrate(&turn.clock, 20 * LS_NS_PER_MS);
    return eng_turn_make(&turn, &engine->turn, error);
}

static void engine_close(struct engine *engine)
{
    eng_checkpointer_stop(engine->checkpointer);
    if (engine->has_scribe && !eng_scribe_stop(engine->journal))
        ipc_log(IPC_LOG_ERROR, "the last facts are not on disk; they are in memory until the next "
                               "start of this machine");
    eng_porter_free(engine->porter);
    eng_turn_free(engine->turn);
    eng_link_free(&engine->link);
    eng_journal_close(engine->journal);
    eng_adopter_free(engine->adopter);
    if (engine->has_wake)
        ipc_wake_close(&engine->wake);
    if (engine->has_waves)
        ipc_waves_close(&engine->waves);
    if (engine->has_telemetry)
        eng_telemetry_close(&engine->telemetry);
    if (engine->has_page)
        ipc_engine_page_close(&engine->page);
    if (engine->has_shm)
        ipc_shm_close(&engine->shm);
    if (engine->core != NULL)
        (void)munmap(engine->core, engine->core_bytes);
    if (engine->library_memory != NULL)
        (void)munmap(engine->library_memory, engine->library_bytes);
}

static int engine_run(struct engine *engine)
{
    pthread_t thread;
    int rc = pthread_create(&thread, NULL, eng_turn_run, engine->turn);
    if (rc != 0) {
        ipc_log(IPC_LOG_ERROR, "the pinned thread cannot be started: %s", strerror(rc));
        return 1;
    }
    ipc_log(IPC_LOG_INFO, "engine of shard %u, instance '%s': %s, tier %s, journal %s/lockstep.%s",
        engine->config.shard, engine->config.instance, eng_idle_name(engine->config.idle),
        eng_tier_name(engine->config.tier), engine->config.journal_directory,
        engine->config.instance);
    int status = eng_porter_run(engine->porter);
    if (status != 0)
        _exit(status); /* the pinned thread still runs: nothing may be taken apart under it */
    (void)pthread_join(thread, NULL);
    if (eng_turn_failure(engine->turn)[0] != '\0') {
        ipc_log(
            IPC_LOG_ERROR, "the pinned thread cannot start: %s", eng_turn_failure(engine->turn));
        return 1;
    }
    return 0;
}

static int check_report(const struct eng_config *config, struct ipc_error *error)
{
    struct eng_core_limits limits;
    struct eng_core_config core;
    struct ipc_shm shm;
    eng_config_core(config, &limits, &core);
    const char *missing = eng_edge_uring_works();
    if (config->io == ENG_IO_URING && missing != NULL) {
        ipc_error_set(error, "io: uring was asked for, but this kernel lacks %s", missing);
        return 1;
    }
    {
        struct ipc_secret_arena *arena = NULL;
        struct ipc_seal_key *key = NULL;
        enum ipc_rc rc = ipc_secret_arena_create(4096, &arena, error);
        if (rc == IPC_OK)
            rc = ipc_seal_key_load(arena, config->key_file, &key, error);
        ipc_secret_arena_destroy(arena);
        if (rc != IPC_OK && !(rc == IPC_NOT_FOUND && config->key_is_default))
            return 1;
    }
    (void)printf(
        "configuration is valid. A start would\n"
        "  run shard %u of instance '%s' (%s)\n"
        "  use %s for sockets, idle by %s, tier %s\n"
        "  take %zu MiB for orders and positions, %u connections at most, %llu descriptors\n"
        "  keep %u x %u KiB of journal in memory and copy it to %s/lockstep.%s\n",
        config->shard, config->instance,
        ipc_shm_open(&shm, NULL, config->instance, false, NULL) == IPC_OK
            ? (ipc_shm_close(&shm), "its directory exists")
            : "its directory would be made",
        config->io != ENG_IO_AUTO ? eng_io_name(config->io)
        : missing == NULL         ? "uring"
                                  : "epoll",
        eng_idle_name(config->idle), eng_tier_name(config->tier), eng_core_footprint(&limits) >> 20,
        config->connections, (unsigned long long)descriptors_needed(config),
        config->journal_segments, config->journal_segment_bytes / 1024, config->journal_directory,
        config->instance);
    if (config->io == ENG_IO_AUTO && missing != NULL)
        (void)printf("  (not uring: this kernel lacks %s)\n", missing);
    return 0;
}

int main(int argc, char **argv)
{
    static struct engine engine;
    struct options options;
    struct ipc_error error = {{0}};
    char name[32];
    /* Before anything else allocates in OpenSSL, and before a secret can exist. */
    enum ipc_rc rc = eng_memory_install();
    if (rc == IPC_OK)
        rc = ipc_secret_process_harden(&error);
    if (rc != IPC_OK) {
        (void)fprintf(stderr, "lockstep-engine: %s\n",
            error.text[0] != '\0' ? error.text : "OpenSSL's allocator cannot be set");
        return 1;
    }
    int done = options_read(argc, argv, &options);
    if (done >= 0)
        return done;
    rc = config_make(&options, &engine.config, &error);
    if (rc == IPC_OK)
        rc = limits_check(&engine.config, &error);
    if (rc != IPC_OK) {
        (void)fprintf(stderr, "lockstep-engine: %s\n", error.text);
        return 1;
    }
    (void)snprintf(name, sizeof(name), "engine[%u]", engine.config.shard);
    ipc_log_init(name, options.debug ? IPC_LOG_DEBUG : IPC_LOG_INFO);
    if (options.verify)
        return eng_verify_journal(&engine.config);
    if (options.check) {
        int status = check_report(&engine.config, &error);
        if (status != 0)
            (void)fprintf(stderr, "lockstep-engine: %s\n", error.text);
        return status;
    }
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    rc = memory_lock(&engine.config, &error);
    if (rc == IPC_OK)
        rc = engine_open(&engine, &options, signal_fd, &error);
    int status = 1;
    if (rc != IPC_OK)
        ipc_log(IPC_LOG_ERROR, "%s", error.text);
    else
        status = engine_run(&engine);
    engine_close(&engine);
    (void)close(signal_fd);
    return status;
}
