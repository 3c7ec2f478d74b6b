/* lockstep-ingest: watches accounts and writes what happens there into shared memory.
 *
 * One thread: follow the snapshot, read accounts (or lines), publish, beat the rings' hearts. */
#include "adapters/broker/market.h"
#include "adapters/ingest/config.h"
#include "adapters/ingest/feed.h"
#include "adapters/ingest/market.h"
#include "adapters/ingest/ndjson.h"
#include "adapters/ingest/order_feed.h"
#include "adapters/ingest/poll.h"
#include "adapters/ingest/report.h"
#include "adapters/ingest/webhook.h"
#include "adapters/ingest/webhook_register.h"
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
/* libwebsockets makes tables of as many descriptors as are allowed, 24 bytes each. */
#define FILES_MOST  65536u

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
    "  lockstep-ingest [OPTION...] alice-blue [--poll] order feed, books and funds of the\n"
    "                                                  snapshot's accounts at brokers of that\n"
    "                                                  dialect; --poll: books and funds only\n"
    "  lockstep-ingest [OPTION...] webhook [DIALECT]   takes the broker's order webhook\n"
    "                                                  (alice-blue)\n"
    "  lockstep-ingest [OPTION...] webhook-register on|off ACCOUNT   tells the broker where to\n"
    "                                                  post an account's orders, or not to\n"
    "\n"
    "  --instance NAME   shared memory /dev/shm/lockstep.NAME (main)\n"
    "  --config FILE     YAML; conf/ingest.yaml has every field\n"
    "  --producer NAME   names the rings; two processes need two names (the subcommand)\n"
    "  --key FILE        opens sealed tokens (/etc/lockstep/<instance>.key)\n"
    "  --poll            without the broker's order feed: read the books again and again\n"
    "  --follow          ndjson: wait for more at the end of the file\n"
    "  --book            ndjson: the lines are whole books of their accounts\n"
    "  --check           validate, say what would be done, do nothing\n"
    "  --log-level WORD  error, warn, info or debug\n"
    "  --help, --version\n"
    "\n"
    "Exit codes: 0 done or told to stop, 1 lines were bad or something was refused, 2 cannot "
    "start.\n";

enum command {
    COMMAND_NDJSON,
    COMMAND_ACCOUNTS, /* of a dialect */
    COMMAND_WEBHOOK,
    COMMAND_REGISTER, /* of a webhook */
};

struct options {
    struct adp_ingest_config config;
    enum command command;
    const struct adp_dialect *dialect; /* NULL for ndjson */
    struct adp_ndjson_options ndjson;
    const char *account; /* COMMAND_REGISTER */
    bool is_check, is_poll, is_on;
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

static enum parsed take_dialect(struct options *options, const char *name)
{
    options->dialect = adp_dialect_find(name);
    return options->dialect == NULL ? complain("there is no such subcommand or dialect: ", name)
                                    : PARSED_RUN;
}

static enum parsed parse_words(int argc, char **argv, struct options *options)
{
    const char *command = argv[optind++];
    options->ndjson.path = "-";
    if (strcmp(command, "ndjson") == 0) {
        options->command = COMMAND_NDJSON;
        if (optind < argc)
            options->ndjson.path = argv[optind++];
        return PARSED_RUN;
    }
    if (strcmp(command, "webhook") == 0) {
        options->command = COMMAND_WEBHOOK;
        return take_dialect(options, optind < argc ? argv[optind++] : "alice-blue");
    }
    if (strcmp(command, "webhook-register") == 0) {
        options->command = COMMAND_REGISTER;
        if (argc - optind != 2 ||
            (strcmp(argv[optind], "on") != 0 && strcmp(argv[optind], "off") != 0))
            return complain("webhook-register wants: on|off ACCOUNT", "");
        options->is_on = strcmp(argv[optind++], "on") == 0;
        options->account = argv[optind++];
        return PARSED_RUN;
    }
    options->command = COMMAND_ACCOUNTS;
    return take_dialect(options, command);
}

static enum parsed parse_command(int argc, char **argv, struct options *options)
{
    struct ipc_error error = {.text = ""};
    if (optind >= argc)
        return complain("say what to read: ndjson, alice-blue or webhook", "");
    const char *command = argv[optind];
    if (parse_words(argc, argv, options) != PARSED_RUN)
        return PARSED_BAD;
    if (options->is_poll && options->command != COMMAND_ACCOUNTS)
        return complain("--poll is for alice-blue", "");
    if ((options->ndjson.follow || options->ndjson.is_book) && options->command != COMMAND_NDJSON)
        return complain("--follow and --book are for ndjson", "");
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
        limit.rlim_cur = limit.rlim_max < FILES_MOST ? limit.rlim_max : FILES_MOST;
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

static int check_webhook(const struct adp_ingest_config *config)
{
    struct ipc_error error = {.text = ""};
    uint32_t paths = 0;
    if (adp_webhook_validate(config, &paths, &error) != IPC_OK) {
        (void)fprintf(stderr, "lockstep-ingest: %s\n", error.text);
        return 2;
    }
    (void)printf("would serve %u paths at %s port %u, %s, for peers %s\n", paths,
        config->hook_address, config->hook_port,
        config->hook_certificate[0] != '\0' ? "TLS" : "plain HTTP", config->hook_allow);
    return 0;
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
    if (options->command == COMMAND_WEBHOOK || options->command == COMMAND_REGISTER)
        return check_webhook(config);
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
    const bool is_accounts = options->command == COMMAND_ACCOUNTS;
    for (uint32_t i = 0; view != NULL && is_accounts && i < view->account_count; i++) {
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
    if (view != NULL && is_accounts)
        (void)printf(options->is_poll || options->dialect->push == NULL
                         ? "order feed: none, books only\n"
                         : "order feed: %s, books of accounts with a live feed every %u ms\n",
            options->is_poll || options->dialect->push == NULL
                ? ""
                : options->dialect->push->socket_path,
            config->feed_book_ms);
    adp_live_close(live);
    ipc_shm_close(&shm);
    return 0;
}

/* What runs for a dialect's accounts. */
struct watch {
    struct adp_live *live;
    struct adp_feed *feed;
    struct adp_publisher *publisher;
    struct adp_sockets *sockets;
    struct adp_poll *poll;
    struct adp_order_feed *order_feed; /* NULL with --poll */
    struct adp_market_feed *market;    /* NULL with --poll, and without market: 1 */
    struct adp_report *report;
};

static struct adp_report_sources sources_of(const struct watch *watch)
{
    return (struct adp_report_sources){.feed = watch->feed,
        .publisher = watch->publisher,
        .poll = watch->poll,
        .order_feed = watch->order_feed,
        .market = watch->market};
}

/* Timers here: FOLLOW_NS, STATUS_NS; the accounts' own are in poll.c and order_feed.c. */
static void watch_until_stopped(const struct watch *watch)
{
    const struct adp_report_sources sources = sources_of(watch);
    int64_t next_follow = 0, next_status = ipc_clock_mono_ns() + STATUS_NS;
    while (!stop) {
        const int64_t now = ipc_clock_mono_ns();
        if (now >= next_follow) {
            next_follow = now + FOLLOW_NS;
            adp_report_update(watch->report, &sources);
            if (adp_live_follow(watch->live)) {
                adp_feed_generation(watch->feed);
                adp_poll_generation(watch->poll);
                if (watch->market != NULL)
                    adp_market_feed_generation(watch->market);
            }
        }
        if (now >= next_status) {
            next_status = now + STATUS_NS;
            adp_report_say(&sources);
        }
        int64_t wait = FOLLOW_NS / 4;
        if (watch->order_feed != NULL)
            wait = ls_min_i64(wait, adp_order_feed_step(watch->order_feed));
        if (watch->market != NULL)
            wait = ls_min_i64(wait, adp_market_feed_step(watch->market));
        wait = ls_min_i64(wait, adp_poll_step(watch->poll));
        adp_sockets_wait(watch->sockets, wait);
        (void)adp_publisher_flush(watch->publisher, ipc_clock_mono_ns());
    }
}

/* Every order that is read needs the price of its instrument sooner or later. */
static void want_price(uint32_t instrument, void *context)
{
    adp_market_feed_want(context, instrument);
}

static bool open_watch(struct watch *watch, const struct options *options,
    const struct ipc_shm *shm, const struct ipc_seal_key *key, struct ipc_error *error)
{
    const struct adp_ingest_config *config = &options->config;
    if (adp_sockets_open(&watch->sockets, error) != IPC_OK ||
        adp_poll_open(config, options->dialect, shm, key, watch->live, watch->feed, watch->sockets,
            &watch->poll, error) != IPC_OK)
        return false;
    watch->report = adp_report_open(shm, config->producer);
    if (!options->is_poll && options->dialect->push != NULL)
        watch->order_feed = adp_order_feed_open(config, options->dialect, watch->live, watch->feed,
            watch->publisher, watch->sockets, watch->poll, adp_report_frame_to_ring(watch->report));
    if (options->is_poll || config->market == 0 || adp_market_find(options->dialect->name) == NULL)
        return true;
    if (adp_market_feed_open(config, options->dialect, shm, key, watch->live, watch->sockets,
            &watch->market, error) != IPC_OK)
        return false;
    adp_publisher_watch(watch->publisher, want_price, watch->market);
    return true;
}

static void close_watch(struct watch *watch)
{
    adp_publisher_watch(watch->publisher, NULL, NULL);
    adp_market_feed_close(watch->market);
    adp_order_feed_close(watch->order_feed);
    adp_poll_close(watch->poll);
    adp_sockets_close(watch->sockets);
    adp_report_close(watch->report);
}

static int run_accounts(const struct options *options, const struct ipc_shm *shm,
    struct adp_live *live, struct adp_feed *feed, struct adp_publisher *publisher)
{
    struct ipc_secret_arena *secrets = NULL;
    struct ipc_seal_key *key = NULL;
    struct watch watch = {.live = live, .feed = feed, .publisher = publisher};
    struct ipc_error error = {.text = ""};
    int code = 2;
    if (ipc_secret_arena_create(4096, &secrets, &error) != IPC_OK ||
        ipc_seal_key_load(secrets, options->config.key_file, &key, &error) != IPC_OK ||
        !open_watch(&watch, options, shm, key, &error)) {
        ipc_log(IPC_LOG_ERROR, "%s", error.text);
    } else {
        const struct adp_report_sources sources = sources_of(&watch);
        watch_until_stopped(&watch);
        /* What waits is read again after the next start: a book is published whole then. */
        (void)adp_publisher_flush(publisher, ipc_clock_mono_ns());
        adp_report_say(&sources);
        adp_report_update(watch.report, &sources);
        code = 0;
    }
    close_watch(&watch);
    ipc_secret_arena_destroy(secrets);
    return code;
}

static int run_webhook(const struct options *options, const struct ipc_shm *shm,
    struct adp_live *live, struct adp_feed *feed, struct adp_publisher *publisher)
{
    struct adp_webhook *webhook = NULL;
    struct ipc_error error = {.text = ""};
    struct adp_report *report = adp_report_open(shm, options->config.producer);
    int64_t next_follow = 0, next_status = ipc_clock_mono_ns() + STATUS_NS;
    if (adp_webhook_open(&options->config, options->dialect, live, feed, publisher,
            adp_report_frame_to_ring(report), &webhook, &error) != IPC_OK) {
        ipc_log(IPC_LOG_ERROR, "%s", error.text);
        adp_report_close(report);
        return 2;
    }
    const struct adp_report_sources sources = {
        .feed = feed, .publisher = publisher, .webhook = webhook};
    while (!stop) {
        const int64_t now = ipc_clock_mono_ns();
        if (now >= next_follow) {
            next_follow = now + FOLLOW_NS;
            adp_report_update(report, &sources);
            if (adp_live_follow(live)) {
                adp_feed_generation(feed);
                adp_webhook_generation(webhook);
            }
        }
        if (now >= next_status) {
            next_status = now + STATUS_NS;
            adp_report_say(&sources);
        }
        adp_webhook_wait(webhook, FOLLOW_NS / 4);
        (void)adp_publisher_flush(publisher, ipc_clock_mono_ns());
    }
    (void)adp_publisher_flush(publisher, ipc_clock_mono_ns());
    adp_report_say(&sources);
    adp_report_update(report, &sources);
    adp_webhook_close(webhook);
    adp_report_close(report);
    return 0;
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

static int run_register(const struct options *options, struct adp_live *live)
{
    struct ipc_secret_arena *secrets = NULL;
    struct ipc_seal_key *key = NULL;
    struct ipc_error error = {.text = ""};
    (void)adp_live_follow(live);
    const bool is_done =
        ipc_secret_arena_create(4096, &secrets, &error) == IPC_OK &&
        ipc_seal_key_load(secrets, options->config.key_file, &key, &error) == IPC_OK &&
        adp_webhook_register(
            &options->config, live, key, options->account, options->is_on, &error) == IPC_OK;
    if (is_done)
        (void)printf("the broker posts the orders of %s %s\n", options->account,
            options->is_on ? "from now on" : "no more");
    else
        ipc_log(IPC_LOG_ERROR, "%s", error.text);
    ipc_secret_arena_destroy(secrets);
    return is_done ? 0 : 1;
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
    if (options->command == COMMAND_REGISTER) {
        code = run_register(options, live);
        adp_live_close(live);
        ipc_shm_close(&shm);
        return code;
    }
    struct adp_publisher *publisher =
        adp_publisher_open(&shm, config->producer, config->ring_slots, config->held_events);
    struct adp_feed *feed = adp_feed_open(live, publisher);
    if (options->command == COMMAND_NDJSON)
        (void)adp_live_follow(live); /* the others wait for their first snapshot, and hear of it */
    if (prepare_rings(live, publisher))
        code = options->command == COMMAND_ACCOUNTS
                   ? run_accounts(options, &shm, live, feed, publisher)
               : options->command == COMMAND_WEBHOOK
                   ? run_webhook(options, &shm, live, feed, publisher)
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
    ipc_log_init(options.command == COMMAND_ACCOUNTS ? "ingest"
                 : options.command == COMMAND_NDJSON ? "ingest ndjson"
                                                     : "ingest webhook",
        options.config.log_level);
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
