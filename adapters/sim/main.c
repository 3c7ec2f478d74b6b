/* main.c: lockstep-brokersim, the simulated broker: command line, start-up, end. */
#include "adapters/sim/admin.h"
#include "adapters/sim/config.h"
#include "adapters/sim/contracts.h"
#include "adapters/sim/hooks.h"
#include "adapters/sim/log.h"
#include "adapters/sim/sockets.h"
#include "adapters/sim/tls.h"

#include "version.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define EXIT_USAGE 2

static volatile int stop_asked;

static const char help[] =
    "lockstep-brokersim: a simulated Alice Blue v2 broker over TLS and HTTP/2, with an admin port\n"
    "\n"
    "usage: lockstep-brokersim [--config FILE] [options]\n"
    "       lockstep-brokersim --make-certs DIR | --write-contracts DIR [--date YYYY-MM-DD]\n"
    "\n"
    "  --config FILE           YAML configuration; conf/brokersim.yaml is a commented example\n"
    "  --certs DIR             use DIR/server.pem and DIR/server.key, made by --make-certs\n"
    "  --contracts DIR         contract masters, qtyfreeze.csv and prices.csv to load\n"
    "  --accounts FILE         accounts as a JSON array\n"
    "  --port N, --admin-port N, --feed-port N  ports to listen on; 0 takes free ones\n"
    "  --ports-file FILE       write {\"port\":N,\"admin_port\":N,\"feed_port\":N,\"pid\":N} there "
    "once\n"
    "                          listening\n"
    "  --seed N                seed of latency, faults and partial fills\n"
    "  --quiet                 log errors and warnings only\n"
    "  --check                 read everything, say what would be done, and exit\n"
    "  --make-certs DIR        write a test authority and server certificates, good and bad, and "
    "exit\n"
    "  --write-contracts DIR   write contract masters for today, or for --date, and exit\n"
    "  --version, --help\n"
    "\n"
    "The admin port's endpoints are described in adapters/sim/README.md.\n";

struct options {
    const char *config, *certs, *contracts, *accounts, *ports_file, *make_certs, *write_contracts,
        *date;
    int port, admin_port, feed_port; /* negative: not given */
    bool check, has_seed;
    uint64_t seed;
};

struct program {
    struct options options;
    struct adp_sim_config *config;
    struct adp_sim_broker broker;
    struct adp_sim_admin admin;
    SSL_CTX *tls;
    uint16_t port, admin_port, feed_port;
    struct adp_sim_hooks *hooks;
    struct adp_sim_push *push;
    struct adp_sim_sockets *sockets;
    char certificate[1024], key[1024];
    int64_t instrument_count;
    uint32_t connections_max;
};

static void on_signal(int signal_number)
{
    (void)signal_number;
    stop_asked = 1;
}

/* ---- command line
 * -----------------------------------------------------------------------------------------------
 */

static bool read_port(const char *text, int *out)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (text[0] == '\0' || *end != '\0' || value < 0 || value > 65535)
        return false;
    *out = (int)value;
    return true;
}

/* Returns -1 to go on, else the exit status. */
static int read_options(int argc, char **argv, struct options *options)
{
    enum {
        CONFIG = 256,
        CERTS,
        CONTRACTS,
        ACCOUNTS,
        PORT,
        ADMIN_PORT,
        FEED_PORT,
        PORTS_FILE,
        SEED,
        QUIET,
        CHECK,
        MAKE_CERTS,
        WRITE_CONTRACTS,
        DATE,
        VERSION,
        HELP
    };
    static const struct option known[] = {
        {"config", required_argument, NULL, CONFIG},
        {"certs", required_argument, NULL, CERTS},
        {"contracts", required_argument, NULL, CONTRACTS},
        {"accounts", required_argument, NULL, ACCOUNTS},
        {"port", required_argument, NULL, PORT},
        {"admin-port", required_argument, NULL, ADMIN_PORT},
        {"feed-port", required_argument, NULL, FEED_PORT},
        {"ports-file", required_argument, NULL, PORTS_FILE},
        {"seed", required_argument, NULL, SEED},
        {"quiet", no_argument, NULL, QUIET},
        {"check", no_argument, NULL, CHECK},
        {"make-certs", required_argument, NULL, MAKE_CERTS},
        {"write-contracts", required_argument, NULL, WRITE_CONTRACTS},
        {"date", required_argument, NULL, DATE},
        {"version", no_argument, NULL, VERSION},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    bool good = true;
    int option;

    *options = (struct options){.port = -1, .admin_port = -1, .feed_port = -1};
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case CONFIG:
            options->config = optarg;
            break;
        case CERTS:
            options->certs = optarg;
            break;
        case CONTRACTS:
            options->contracts = optarg;
            break;
        case ACCOUNTS:
            options->accounts = optarg;
            break;
        case PORT:
            good = good && read_port(optarg, &options->port);
            break;
        case ADMIN_PORT:
            good = good && read_port(optarg, &options->admin_port);
            break;
        case FEED_PORT:
            good = good && read_port(optarg, &options->feed_port);
            break;
        case PORTS_FILE:
            options->ports_file = optarg;
            break;
        case SEED:
            options->has_seed = true;
            options->seed = strtoull(optarg, NULL, 0);
            break;
        case QUIET:
            adp_sim_log_only(ADP_SIM_WARN);
            break;
        case CHECK:
            options->check = true;
            break;
        case MAKE_CERTS:
            options->make_certs = optarg;
            break;
        case WRITE_CONTRACTS:
            options->write_contracts = optarg;
            break;
        case DATE:
            options->date = optarg;
            break;
        case VERSION:
            printf("lockstep-brokersim %s (%s)\n", LS_VERSION, LS_COMMIT);
            return EXIT_SUCCESS;
        case HELP:
            fputs(help, stdout);
            return EXIT_SUCCESS;
        default:
            good = false;
        }
    }
    if (!good || optind < argc) {
        if (optind < argc)
            fprintf(stderr, "lockstep-brokersim: \"%s\" is not an option\n", argv[optind]);
        fputs("lockstep-brokersim: see --help for the options and their values\n", stderr);
        return EXIT_USAGE;
    }
    return -1;
}

static int make_certs(const char *folder)
{
    struct adp_sim_error error = {.text = ""};
    if (!adp_sim_tls_make_certs(folder, &error)) {
        adp_sim_log(ADP_SIM_ERROR, "%s", error.text);
        return EXIT_FAILURE;
    }
    adp_sim_log(
        ADP_SIM_INFO, "certificates are in %s; clients are to trust %s/ca.pem", folder, folder);
    return EXIT_SUCCESS;
}

static int write_contracts(const struct options *options)
{
    struct adp_sim_error error = {.text = ""};
    struct adp_sim_civil today = adp_sim_civil_of(adp_sim_wall_ns());
    int64_t days = adp_sim_days_of(today.year, today.month, today.day);
    if (options->date != NULL) {
        int year = 0, month = 0, day = 0;
        char rest;
        if (sscanf(options->date, "%d-%d-%d%c", &year, &month, &day, &rest) != 3 || year < 2000 ||
            year > 2100 || month < 1 || month > 12 || day < 1 || day > 31) {
            adp_sim_log(
                ADP_SIM_ERROR, "--date: \"%s\" is not a date such as 2026-08-31", options->date);
            return EXIT_USAGE;
        }
        days = adp_sim_days_of(year, month, day);
    }
    if (!adp_sim_contracts_write(options->write_contracts, days, &error)) {
        adp_sim_log(ADP_SIM_ERROR, "%s", error.text);
        return EXIT_FAILURE;
    }
    adp_sim_log(ADP_SIM_INFO, "contract masters are in %s", options->write_contracts);
    return EXIT_SUCCESS;
}

/* ---- start
 * ------------------------------------------------------------------------------------------------------
 */

/* One descriptor for each connection and some for ourselves. */
static bool raise_file_limit(uint32_t connections_max, struct adp_sim_error *error)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)connections_max + 64;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return true;
    if (limit.rlim_max < wanted) {
        limit.rlim_max = wanted; /* root may */
    }
    limit.rlim_cur = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return true;
    getrlimit(RLIMIT_NOFILE, &limit);
    snprintf(error->text, sizeof(error->text),
        "%u connections need %llu open files but the limit is %llu; raise it with ulimit -n, or "
        "lower "
        "connections_max",
        connections_max, (unsigned long long)wanted, (unsigned long long)limit.rlim_max);
    return false;
}

static uint32_t value_or(const uint32_t *value, uint32_t absent)
{
    return value == NULL ? absent : *value;
}

static bool check_http2(const struct adp_sim_h2_settings *settings, struct adp_sim_error *error)
{
    const char *wrong = NULL;
    if (settings->max_concurrent_streams < 1)
        wrong = "max_concurrent_streams: must be at least 1";
    else if (settings->initial_window_bytes < 1 || settings->initial_window_bytes > INT32_MAX)
        wrong = "initial_window_bytes: must be 1 to 2147483647";
    else if (settings->connection_window_bytes < 65535 ||
             settings->connection_window_bytes > INT32_MAX)
        wrong = "connection_window_bytes: must be 65535 to 2147483647";
    if (wrong != NULL)
        snprintf(error->text, sizeof(error->text), "http2.%s", wrong);
    return wrong == NULL;
}

static bool open_tls(struct program *program, struct adp_sim_error *error)
{
    const struct adp_sim_config_tls *tls = &program->config->tls;
    char *certificate = program->certificate, *key = program->key;
    const size_t bytes = sizeof(program->certificate);
    const char *certs = program->options.certs;

    snprintf(certificate, bytes, "%s", tls->certificate == NULL ? "" : tls->certificate);
    snprintf(key, bytes, "%s", tls->key == NULL ? "" : tls->key);
    if (certs != NULL) {
        snprintf(certificate, bytes, "%s/server.pem", certs);
        snprintf(key, bytes, "%s/server.key", certs);
    }
    if (certificate[0] == '\0' || key[0] == '\0') {
        snprintf(error->text, sizeof(error->text),
            "tls.certificate and tls.key are not set; lockstep-brokersim --make-certs DIR makes "
            "them, "
            "--certs DIR uses them");
        return false;
    }
    program->tls = adp_sim_tls_server(certificate, key,
        tls->min_version == NULL ? "1.2" : tls->min_version,
        tls->max_version == NULL ? "1.3" : tls->max_version, tls->h2 == NULL || *tls->h2, error);
    return program->tls != NULL;
}

static bool make_broker(struct program *program, struct adp_sim_error *error)
{
    const struct adp_sim_config *config = program->config;
    struct adp_sim_broker *broker = &program->broker;
    uint64_t seed = program->options.has_seed ? program->options.seed : config->seed;
    const char *contracts =
        program->options.contracts != NULL ? program->options.contracts : config->contracts;

    if (config->partial_fill_ppm > 1000000) {
        snprintf(error->text, sizeof(error->text), "partial_fill_ppm: must be 0 to 1000000");
        return false;
    }
    broker->book = adp_sim_book_create(&(struct adp_sim_book_config){
        .api_market_orders = config->market_orders == ADP_SIM_MARKET_ACCEPT,
        .short_delivery = config->short_delivery,
        .exchange_latency_ns = config->exchange_latency_ms * LS_NS_PER_MS,
        .partial_ppm = config->partial_fill_ppm,
        .seed = seed});
    broker->api = (struct adp_sim_api){.book = broker->book,
        .members = &broker->members,
        .error_form = config->error_form,
        .prng = {.state = seed ^ 1}};
    broker->prng.state = seed ^ 2;
    broker->faults.seed = seed;
    broker->latency.min_ns = config->latency.min_us * LS_NS_PER_US;
    broker->latency.mean_ns = config->latency.mean_us * LS_NS_PER_US;
    broker->members.orders_per_second = value_or(config->limits.orders_per_second, 10);
    broker->members.reads_per_quarter = value_or(config->limits.reads_per_15_min, 1800);
    if (contracts == NULL) {
        snprintf(error->text, sizeof(error->text),
            "contracts is not set; lockstep-brokersim --write-contracts DIR makes a folder of "
            "them");
        return false;
    }
    program->instrument_count = adp_sim_contracts_load(broker->book, contracts, error);
    if (program->instrument_count < 0)
        return false;
    if (!adp_sim_config_accounts(
            config, program->options.accounts, broker->book, &broker->members, error))
        return false;
    if (broker->members.count == 0) {
        snprintf(error->text, sizeof(error->text),
            "there is no account; list some under accounts, in accounts_file or with --accounts");
        return false;
    }
    return true;
}

static bool make_net(struct program *program, struct adp_sim_error *error)
{
    const struct adp_sim_config_http2 *http2 = &program->config->http2;
    struct adp_sim_h2_settings settings = {
        .max_concurrent_streams = value_or(http2->max_concurrent_streams, 128),
        .initial_window_bytes = value_or(http2->initial_window_bytes, 65535),
        .connection_window_bytes = value_or(http2->connection_window_bytes, 1 << 20),
        .header_table_bytes = value_or(http2->header_table_bytes, 4096)};
    if (!check_http2(&settings, error))
        return false;
    program->connections_max =
        program->config->connections_max == 0 ? 4096 : program->config->connections_max;
    if (!raise_file_limit(program->connections_max, error))
        return false;
    program->broker.net =
        adp_sim_net_create(program->broker.book, &settings, program->connections_max);
    adp_sim_broker_start(&program->broker);
    return true;
}

struct tick {
    struct program *program;
    int64_t every_ns;
};

static void tick(void *context)
{
    const struct tick *every = context;
    adp_sim_push_tick(every->program->push, adp_sim_wall_ns());
    adp_sim_net_after(every->program->broker.net, every->every_ns, tick, context);
}

static void start_ticks(struct program *program, uint32_t every_ms)
{
    struct tick *every = malloc(sizeof(*every));
    LS_CHECK(every != NULL);
    *every = (struct tick){.program = program, .every_ns = every_ms * LS_NS_PER_MS};
    adp_sim_net_after(program->broker.net, every->every_ns, tick, every);
}

/* The push side: its rules, the thread of its webhooks and the thread of its sockets. */
static bool start_feed(struct program *program, struct adp_sim_error *error)
{
    const struct adp_sim_config *config = program->config;
    const struct adp_sim_config_feed *feed = &config->feed;
    struct adp_sim_broker *broker = &program->broker;
    uint32_t heartbeat_ms = value_or(feed->heartbeat_ms, 60000);
    const char *address = feed->address;
    uint16_t plain = 0;

    if (heartbeat_ms == 0) {
        snprintf(error->text, sizeof(error->text), "feed.heartbeat_ms: must be above 0");
        return false;
    }
    if (address == NULL)
        address = config->listen.addresses_count > 0 ? config->listen.addresses[0] : "127.0.0.1";
    program->hooks = adp_sim_hooks_start(feed->webhook_ca);
    program->push = adp_sim_push_create(broker->book,
        &(struct adp_sim_push_config){.heartbeat_ns = heartbeat_ms * LS_NS_PER_MS,
            .market_ack_is_ck = feed->market_ack == ADP_SIM_MARKET_CK,
            .seed = broker->faults.seed ^ 3},
        program->hooks);
    broker->api.push = program->push;
    for (uint32_t i = 0; i < broker->members.count; i++) {
        adp_sim_push_set_session(program->push, i, broker->members.rows[i].token);
        adp_sim_push_set_token_answer(
            program->push, i, (enum adp_sim_token_answer)broker->members.rows[i].token_answer);
    }
    program->feed_port =
        program->options.feed_port >= 0 ? (uint16_t)program->options.feed_port : feed->port;
    program->sockets = adp_sim_sockets_start(program->push, address, &program->feed_port, &plain,
        program->certificate, program->key, error);
    adp_sim_net_relay_to(broker->net, plain);
    if (value_or(feed->tick_ms, 1000) > 0)
        start_ticks(program, value_or(feed->tick_ms, 1000));
    return program->sockets != NULL;
}

static bool listen_all(struct program *program, struct adp_sim_error *error)
{
    const struct adp_sim_config *config = program->config;
    static char *usual[] = {"127.0.0.1", "::1"};
    char **addresses = config->listen.addresses_count > 0 ? config->listen.addresses : usual;
    unsigned count = config->listen.addresses_count > 0 ? config->listen.addresses_count : 2;

    program->port =
        program->options.port >= 0 ? (uint16_t)program->options.port : config->listen.port;
    program->admin_port = program->options.admin_port >= 0 ? (uint16_t)program->options.admin_port
                                                           : config->admin.port;
    for (unsigned i = 0; i < count; i++) {
        /* The second address takes the port that the first one got. */
        if (!adp_sim_net_listen(program->broker.net, addresses[i], &program->port, program->tls,
                adp_sim_broker_call, &program->broker, error)) {
            /* A host without IPv6 still runs with the usual addresses. */
            if (addresses != usual || i == 0)
                return false;
            adp_sim_log(ADP_SIM_WARN, "%s", error->text);
        }
    }
    program->admin = (struct adp_sim_admin){.broker = &program->broker,
        .started_mono_ns = adp_sim_mono_ns(),
        .version = LS_VERSION,
        .commit = LS_COMMIT,
        .feed_port = program->feed_port};
    return adp_sim_net_listen(program->broker.net,
        config->admin.address == NULL ? "127.0.0.1" : config->admin.address, &program->admin_port,
        NULL, adp_sim_admin_call, &program->admin, error);
}

/* Written under another name and renamed, so that who waits for the file never reads half of it. */
static bool write_ports(const struct program *program, struct adp_sim_error *error)
{
    const char *path = program->options.ports_file != NULL ? program->options.ports_file
                                                           : program->config->ports_file;
    char temporary[1024];
    if (path == NULL)
        return true;
    snprintf(temporary, sizeof(temporary), "%s.new", path);
    FILE *file = fopen(temporary, "we");
    bool good = file != NULL;
    if (file != NULL) {
        fprintf(file, "{\"port\":%u,\"admin_port\":%u,\"feed_port\":%u,\"pid\":%ld}\n",
            program->port, program->admin_port, program->feed_port, (long)getpid());
        good = fclose(file) == 0 && rename(temporary, path) == 0;
    }
    if (!good)
        snprintf(error->text, sizeof(error->text), "ports_file: cannot write %.300s: %s", path,
            strerror(errno));
    return good;
}

static void program_end(struct program *program)
{
    adp_sim_sockets_stop(program->sockets);
    adp_sim_net_destroy(program->broker.net);
    adp_sim_push_destroy(program->push);
    adp_sim_hooks_stop(program->hooks);
    adp_sim_book_destroy(program->broker.book);
    adp_sim_members_free(&program->broker.members);
    adp_sim_config_free(program->config);
    SSL_CTX_free(program->tls);
}

static int serve(struct program *program)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct adp_sim_error error = {.text = ""};

    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (!start_feed(program, &error) || !listen_all(program, &error) ||
        !write_ports(program, &error)) {
        adp_sim_log(ADP_SIM_ERROR, "%s", error.text);
        return EXIT_FAILURE;
    }
    adp_sim_log(ADP_SIM_INFO,
        "version %s (%s): %u accounts, %lld instruments; broker port %u, admin port %u, feed port "
        "%u",
        LS_VERSION, LS_COMMIT, program->broker.members.count, (long long)program->instrument_count,
        program->port, program->admin_port, program->feed_port);
    printf("port=%u admin_port=%u feed_port=%u\n", program->port, program->admin_port,
        program->feed_port);
    fflush(stdout);
    adp_sim_net_run(program->broker.net, &stop_asked);
    adp_sim_log(ADP_SIM_INFO, "stopped after %u orders and %llu connections",
        adp_sim_book_order_count(program->broker.book),
        (unsigned long long)adp_sim_net_stats(program->broker.net)->connections_opened);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static struct program program;
    struct adp_sim_error error = {.text = ""};
    int status = read_options(argc, argv, &program.options);
    if (status >= 0)
        return status;
    if (program.options.make_certs != NULL)
        return make_certs(program.options.make_certs);
    if (program.options.write_contracts != NULL)
        return write_contracts(&program.options);

    program.config = program.options.config == NULL
                         ? calloc(1, sizeof(*program.config))
                         : adp_sim_config_load(program.options.config, &error);
    if (program.config == NULL || !make_broker(&program, &error) || !open_tls(&program, &error) ||
        !make_net(&program, &error)) {
        adp_sim_log(ADP_SIM_ERROR, "%s", error.text);
        status = EXIT_FAILURE;
    } else if (program.options.check) {
        printf("would serve %u accounts and %lld instruments, market orders from the API %s, "
               "%u order calls a second, up to %u connections\n",
            program.broker.members.count, (long long)program.instrument_count,
            program.config->market_orders == ADP_SIM_MARKET_ACCEPT ? "accepted" : "refused",
            program.broker.members.orders_per_second, program.connections_max);
        status = EXIT_SUCCESS;
    } else {
        status = serve(&program);
    }
    program_end(&program);
    return status;
}
