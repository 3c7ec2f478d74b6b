/* lockstep-ingest: watches accounts and writes what happens there into shared memory.
 *
 * One thread: follow the snapshot, read accounts (or lines), publish, beat the rings' hearts. */
#include "adapters/ingest/config.h"
#include "adapters/ingest/feed.h"
#include "adapters/ingest/ndjson.h"
#include "adapters/ingest/poll.h"
#include "adapters/ingest/report.h"
#include "ipc/clock.h"
#include "version.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define FOLLOW_NS   (200 * LS_NS_PER_MS) /* looks for a new snapshot generation */
#define STATUS_NS   (60 * LS_NS_PER_S)   /* one line of figures */
#define FILES_LEAST 1024u

static volatile sig_atomic_t stop;

static void on_signal(int signal_number)
{
    (void)signal_number;
    stop = 1;
}

static const char help[] =
    "lockstep-ingest watches accounts and writes order states, books and money into shared "
    "memory.\n"
    "\n"
    "  lockstep-ingest [OPTION...] ndjson [FILE|-]     order states, one JSON object per line\n"
    "  lockstep-ingest [OPTION...] alice-blue --poll   order books and funds of the snapshot's\n"
    "                                                  accounts at brokers of that dialect\n"
    "\n"
    "  --instance NAME   shared memory /dev/shm/lockstep.NAME (main)\n"
    "  --config FILE     YAML; conf/ingest.yaml has every field\n"
    "  --producer NAME   names the rings; two processes need two names (the subcommand)\n"
    "  --key FILE        opens sealed tokens (/etc/lockstep/<instance>.key)\n"
    "  --poll            read the books again and again\n"
    "  --follow          ndjson: wait for more at the end of the file\n"
    "  --book            ndjson: the lines are whole books of their accounts\n"
    "  --check           validate, say what would be done, do nothing\n"
    "  --log-level WORD  error, warn, info or debug\n"
    "  --help, --version\n"
    "\n"
    "Exit codes: 0 done or told to stop, 1 lines were bad or something was refused, 2 cannot "
    "start.\n";

struct options {
    struct adp_ingest_config config;
    const struct adp_dialect *dialect; /* NULL = ndjson */
    struct adp_ndjson_options ndjson;
    bool is_check, is_poll;
};

enum parsed { PARSED_RUN, PARSED_DONE, PARSED_BAD };

static enum parsed complain(const char *text, const char *what)
{
    (void)fprintf(stderr, "lockstep-ingest: %s%s; see --help\n", text, what);
    return PARSED_BAD;
}

static bool keep_text(char *out, size_t out_bytes, const char *text)
{
    return snprintf(out, out_bytes, "%s", text) < (int)out_bytes;
}

static const struct option long_options[] = {
    {"instance", required_argument, NULL, 'i'},
    {"config", required_argument, NULL, 'c'},
    {"producer", required_argument, NULL, 'p'},
    {"key", required_argument, NULL, 'k'},
    {"log-level", required_argument, NULL, 'l'},
    {"poll", no_argument, NULL, 'P'},
    {"follow", no_argument, NULL, 'f'},
    {"book", no_argument, NULL, 'b'},
    {"check", no_argument, NULL, 'C'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

/* The file goes under the command line, so it is read in a first pass. */
static enum parsed parse_options(int argc, char **argv, bool is_first_pass, struct options *options)
{
    struct adp_ingest_config *config = &options->config;
    struct ipc_error error = {.text = ""};
    int letter;
    optind = 1;
    opterr = is_first_pass;
    while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        bool fits = true;
        switch (letter) {
        case 'c':
            if (is_first_pass && adp_ingest_config_load(config, optarg, &error) != IPC_OK)
                return complain(error.text, "");
            break;
        case 'i':
            fits = keep_text(config->instance, sizeof(config->instance), optarg);
            break;
        case 'p':
            fits = keep_text(config->producer, sizeof(config->producer), optarg);
            break;
        case 'k':
            fits = keep_text(config->key_file, sizeof(config->key_file), optarg);
            break;
        case 'l':
            fits = ipc_log_level_parse(optarg, &config->log_level);
            break;
        case 'P':
            options->is_poll = true;
            break;
        case 'f':
            options->ndjson.follow = true;
            break;
        case 'b':
            options->ndjson.is_book = true;
            break;
        case 'C':
            options->is_check = true;
            break;
        case 'h':
            (void)fputs(help, stdout);
            return PARSED_DONE;
        case 'V':
            (void)printf("lockstep-ingest %s (%s)\n", LS_VERSION, LS_COMMIT);
            return PARSED_DONE;
        default: /* getopt has named the option */
            (void)fputs("lockstep-ingest: see --help for the options and their values\n", stderr);
            return PARSED_BAD;
        }
        if (!fits)
            return complain("this cannot be used: ", optarg);
    }
    return PARSED_RUN;
}

static enum parsed parse_command(int argc, char **argv, struct options *options)
{
    struct ipc_error error = {.text = ""};
    if (optind >= argc)
        return complain("say what to read: ndjson or alice-blue", "");
    const char *command = argv[optind++];
    options->ndjson.path = "-";
    if (strcmp(command, "ndjson") == 0) {
        if (optind < argc)
            options->ndjson.path = argv[optind++];
        if (options->is_poll)
            return complain("--poll is not for ndjson", "");
    } else {
        options->dialect = adp_dialect_find(command);
        if (options->dialect == NULL)
            return complain("there is no such subcommand: ", command);
        if (!options->is_poll)
            return complain("accounts are read with --poll", "");
        if (options->ndjson.follow || options->ndjson.is_book)
            return complain("--follow and --book are for ndjson", "");
    }
    if (optind < argc)
        return complain("not understood: ", argv[optind]);
    if (adp_ingest_config_finish(&options->config, command, &error) != IPC_OK)
        return complain(error.text, "");
    return PARSED_RUN;
}

/* Limits of the system: each account may hold a connection, and tokens must not reach a disk. */
static bool check_limits(const struct adp_ingest_config *config)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        if (limit.rlim_cur < FILES_LEAST)
            ipc_log(IPC_LOG_WARN, "RLIMIT_NOFILE is %llu; raise it to %u or more (ulimit -n)",
                (unsigned long long)limit.rlim_cur, FILES_LEAST);
    }
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        return true;
    const bool may_lock = limit.rlim_cur == RLIM_INFINITY || geteuid() == 0;
    if (may_lock && mlockall(MCL_CURRENT | MCL_FUTURE) == 0)
        return true;
    ipc_log(config->memory_lock ? IPC_LOG_ERROR : IPC_LOG_WARN,
        "memory is not locked (RLIMIT_MEMLOCK is %llu bytes): libcurl's buffers, which hold tokens "
        "while a request leaves, may reach swap; raise it (ulimit -l unlimited)",
        (unsigned long long)limit.rlim_cur);
    return !config->memory_lock;
}

/* --check: what would be done, without taking a lock or making a file. */
static int check(const struct options *options)
{
    const struct adp_ingest_config *config = &options->config;
    struct ipc_error error = {.text = ""};
    struct ipc_shm shm;
    uint32_t watched = 0, masters = 0;
    (void)printf("instance %s, rings ring.%s.<shard>.orders and .updates\n", config->instance,
        config->producer);
    enum ipc_rc rc = ipc_shm_open(&shm, NULL, config->instance, false, &error);
    if (rc == IPC_NOT_FOUND) {
        (void)printf("no shared memory yet: %s\n", error.text);
        return 0;
    }
    if (rc != IPC_OK) {
        (void)fprintf(stderr, "lockstep-ingest: %s\n", error.text);
        return 2;
    }
    struct adp_live *live = adp_live_open(&shm);
    const struct ipc_snapshot_view *view = adp_live_follow(live) ? adp_live_view(live) : NULL;
    for (uint32_t i = 0; view != NULL && options->dialect != NULL && i < view->account_count; i++) {
        const struct ipc_row_account *row = &view->accounts[i];
        if (row->account == 0 || row->roles == 0 || row->token_bytes == 0 ||
            (row->flags & IPC_ACCOUNT_DISABLED) != 0 ||
            strcmp(view->brokers[row->broker].dialect, options->dialect->name) != 0)
            continue;
        watched++;
        masters += (row->roles & IPC_ROLE_MASTER) != 0;
    }
    if (view == NULL)
        (void)printf("no snapshot is in force\n");
    else if (options->dialect == NULL)
        (void)printf("would read %s for %u accounts of generation %llu\n", options->ndjson.path,
            view->account_count, (unsigned long long)view->generation);
    else
        (void)printf("would watch %u accounts (%u masters) of generation %llu, books every %u and "
                     "%u ms, funds every %u ms, key %s\n",
            watched, masters, (unsigned long long)view->generation, config->poll_master_ms,
            config->poll_follower_ms, config->funds_ms, config->key_file);
    adp_live_close(live);
    ipc_shm_close(&shm);
    return 0;
}

/* The loop of --poll. Timers: FOLLOW_NS, STATUS_NS; the accounts' own are in poll.c. */
static void poll_until_stopped(struct adp_live *live, struct adp_feed *feed,
    struct adp_publisher *publisher, struct adp_poll *poll, struct adp_report *report)
{
    int64_t next_follow = 0, next_status = ipc_clock_mono_ns() + STATUS_NS;
    while (!stop) {
        const int64_t now = ipc_clock_mono_ns();
        if (now >= next_follow) {
            next_follow = now + FOLLOW_NS;
            adp_report_update(report, feed, publisher, poll);
            if (adp_live_follow(live)) {
                adp_feed_generation(feed);
                adp_poll_generation(poll);
            }
        }
        if (now >= next_status) {
            next_status = now + STATUS_NS;
            adp_report_say(feed, publisher, poll);
        }
        adp_poll_step(poll, adp_live_view(live) == NULL ? FOLLOW_NS : FOLLOW_NS / 4);
        (void)adp_publisher_flush(publisher, ipc_clock_mono_ns());
    }
}

static int run_poll(const struct options *options, const struct ipc_shm *shm, struct adp_live *live,
    struct adp_feed *feed, struct adp_publisher *publisher)
{
    struct ipc_secret_arena *secrets = NULL;
    struct ipc_seal_key *key = NULL;
    struct adp_poll *poll = NULL;
    struct ipc_error error = {.text = ""};
    int code = 2;
    if (ipc_secret_arena_create(4096, &secrets, &error) != IPC_OK ||
        ipc_seal_key_load(secrets, options->config.key_file, &key, &error) != IPC_OK ||
        adp_poll_open(&options->config, options->dialect, shm, key, live, feed, &poll, &error) !=
            IPC_OK) {
        ipc_log(IPC_LOG_ERROR, "%s", error.text);
    } else {
        struct adp_report *report = adp_report_open(shm, options->config.producer);
        poll_until_stopped(live, feed, publisher, poll, report);
        /* What waits is read again after the next start: a book is published whole then. */
        (void)adp_publisher_flush(publisher, ipc_clock_mono_ns());
        adp_report_say(feed, publisher, poll);
        adp_report_update(report, feed, publisher, poll);
        adp_report_close(report);
        code = 0;
    }
    adp_poll_close(poll);
    ipc_secret_arena_destroy(secrets);
    return code;
}

static int run_ndjson(const struct options *options, struct adp_live *live, struct adp_feed *feed,
    struct adp_publisher *publisher)
{
    if (adp_live_view(live) == NULL) {
        ipc_log(IPC_LOG_ERROR,
            "no snapshot is in force in instance %s: publish one first (lockstepctl snapshot "
            "publish FILE)",
            options->config.instance);
        return 2;
    }
    return adp_ndjson_run(&options->ndjson, live, feed, publisher, &stop);
}

/* A live process with these rings is found here, before anything is read. */
static bool prepare_rings(const struct adp_live *live, struct adp_publisher *publisher)
{
    const struct ipc_snapshot_view *view = adp_live_view(live);
    struct ipc_error error = {.text = ""};
    const uint32_t shards = view == NULL ? 1 : view->cluster->shard_count;
    for (uint32_t shard = 0; shard < shards; shard++) {
        if (adp_publisher_prepare(publisher, shard, IPC_RING_ORDERS, &error) != IPC_OK ||
            adp_publisher_prepare(publisher, shard, IPC_RING_UPDATES, &error) != IPC_OK) {
            ipc_log(IPC_LOG_ERROR, "%s", error.text);
            return false;
        }
    }
    return true;
}

static int run(const struct options *options)
{
    const struct adp_ingest_config *config = &options->config;
    struct ipc_error error = {.text = ""};
    struct ipc_shm shm;
    int code = 2;
    if (ipc_shm_open(&shm, NULL, config->instance, true, &error) != IPC_OK) {
        ipc_log(IPC_LOG_ERROR, "%s", error.text);
        return 2;
    }
    struct adp_live *live = adp_live_open(&shm);
    struct adp_publisher *publisher =
        adp_publisher_open(&shm, config->producer, config->ring_slots, config->held_events);
    struct adp_feed *feed = adp_feed_open(live, publisher);
    if (options->dialect == NULL)
        (void)adp_live_follow(live); /* --poll waits for its first snapshot, and hears of it */
    if (prepare_rings(live, publisher))
        code = options->dialect != NULL ? run_poll(options, &shm, live, feed, publisher)
                                        : run_ndjson(options, live, feed, publisher);
    adp_feed_close(feed);
    adp_publisher_close(publisher);
    adp_live_close(live);
    ipc_shm_close(&shm);
    return code;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct ipc_error error = {.text = ""};
    const struct sigaction action = {.sa_handler = on_signal};
    adp_ingest_config_defaults(&options.config);
    enum parsed parsed = parse_options(argc, argv, true, &options);
    if (parsed == PARSED_RUN)
        parsed = parse_options(argc, argv, false, &options);
    if (parsed == PARSED_RUN)
        parsed = parse_command(argc, argv, &options);
    if (parsed != PARSED_RUN)
        return parsed == PARSED_DONE ? 0 : 2;
    ipc_log_init(options.dialect != NULL ? "ingest" : "ingest ndjson", options.config.log_level);
    if (options.is_check)
        return check(&options);
    if (ipc_secret_process_harden(&error) != IPC_OK) {
        ipc_log(IPC_LOG_ERROR, "%s", error.text);
        return 2;
    }
    if (!check_limits(&options.config))
        return 2;
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    ipc_log(IPC_LOG_INFO, "lockstep-ingest %s (%s), instance %s", LS_VERSION, LS_COMMIT,
        options.config.instance);
    return run(&options);
}
