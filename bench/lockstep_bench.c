/* lockstep_bench.c: `lockstep-bench NAME`, one measurement each. */
#include "bench/fanout.h"
#include "bench/load.h"
#include "bench/option_file.h"
#include "bench/peers.h"
#include "bench/ring_bench.h"
#include "bench/stages.h"
#include "version.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const char usage[] =
    "lockstep-bench: measures the engine of this build beside what the machine allows at best\n"
    "\n"
    "  lockstep-bench ring       the hop from an adapter to the engine, beside a bare ping-pong;\n"
    "                            throughput of 1, 2 and 8 producers\n"
    "  lockstep-bench plan       ns and instructions a follower, 500 to 1,000,000 rows\n"
    "  lockstep-bench journal    the journal's part of a wave, both tiers\n"
    "  lockstep-bench fanout     from an event in the ring to its first, median and last order\n"
    "                            accepted by the kernel, against the floor: the same bytes, "
    "sealed\n"
    "                            by SSL_write and sent by bare sends\n"
    "  lockstep-bench peers      the same orders to the same server by nghttp2, libcurl and "
    "Python\n"
    "                            httpx, interleaved with the engine's\n"
    "  lockstep-bench scale      1,000 to 1,000,000 followers on one shard, and on two: cost,\n"
    "                            memory, time to adopt\n"
    "  lockstep-bench burst      1,000 events a second for 500 followers, 10 s\n"
    "  lockstep-bench sustained  100 events a second for 500 followers through the simulated\n"
    "                            broker, 60 s; an exit behind a wave of 100,000 followers\n"
    "  lockstep-bench restart    from SIGKILL to the first order, 10,000 followers\n"
    "\n"
    "  --followers N      of the one master (fanout, peers, burst, sustained 500; restart 10000;\n"
    "                     plan and scale: the largest case, 1000000)\n"
    "  --rounds N         of each case (40; 1 to 1000)\n"
    "  --lanes KIND       fanout: own, shared or all (all)\n"
    "  --pool N           connections of the shared pool (8)\n"
    "  --bearer BYTES     length of a follower's token (fanout: 64 and then 1100)\n"
    "  --io KIND          uring, epoll or all (all)\n"
    "  --engine-cpu N, --peer-cpu N   processors (the first two this process may use)\n"
    "  --seconds N        fanout, peers: bound for the whole, rounds are cut to fit (50);\n"
    "                     burst (10) and sustained (60): how long events come\n"
    "  --json             one JSON object instead of the table\n"
    "  --keep             leave the engine's files for a look\n"
    "  --config FILE      these options from YAML (conf/bench.yaml); the command line goes first\n"
    "  --check            validate, say what would be measured, and exit\n"
    "  --version, --help\n"
    "\n"
    "Starts lockstep-engine and lockstepctl from its own directory. Exit code 0 also when the\n"
    "machine was too noisy to be believed: the table says so. `./lockstep.sh bench` runs all.\n";

struct options {
    const char *name; /* what is measured */
    struct bench_fanout_options fanout;
    bool json, check;
};

static bool read_number(const char *name, const char *text, long least, long most, long *out)
{
    char *end = NULL;
    *out = strtol(text, &end, 10);
    if (*text != '\0' && *end == '\0' && *out >= least && *out <= most)
        return true;
    (void)fprintf(stderr, "lockstep-bench: --%s %s: give a number from %ld to %ld\n", name, text,
        least, most);
    return false;
}

static bool read_word(
    const char *name, const char *text, const char *a, const char *b, const char **out)
{
    *out = text;
    if (strcmp(text, a) == 0 || strcmp(text, b) == 0 || strcmp(text, "all") == 0)
        return true;
    (void)fprintf(stderr, "lockstep-bench: --%s %s: give %s, %s or all\n", name, text, a, b);
    return false;
}

/* What there is to measure. */
static const struct bench {
    const char *name;
    int (*run)(const struct options *options);
    uint32_t followers, followers_max; /* the default, and what it can hold */
    double seconds;
} * bench_find(const char *name);

/* Settles what depends on the name. Returns an exit code, or -1 to go on. */
static int choose_bench(struct options *options, const char *name)
{
    const struct bench *bench = bench_find(name);
    struct bench_fanout_options *fanout = &options->fanout;
    if (bench == NULL) {
        (void)fprintf(stderr, "lockstep-bench: say what to measure: ring, plan, journal, fanout, "
                              "peers, scale, burst, sustained or restart; try --help\n");
        return 2;
    }
    options->name = bench->name;
    if (fanout->followers == 0)
        fanout->followers = bench->followers;
    if (fanout->seconds_max == 0)
        fanout->seconds_max = bench->seconds;
    if (fanout->followers > bench->followers_max) {
        (void)fprintf(stderr, "lockstep-bench: --followers %u: %s takes at most %u\n",
            fanout->followers, bench->name, bench->followers_max);
        return 2;
    }
    return -1;
}

/* Returns an exit code, or -1 to go on. */
static int options_read(int argc, char **argv, struct options *options)
{
    enum {
        FOLLOWERS = 256,
        ROUNDS,
        LANES,
        POOL,
        BEARER,
        IO,
        ENGINE_CPU,
        PEER_CPU,
        SECONDS,
        JSON,
        KEEP,
        CHECK,
        VERSION,
        HELP
    };
    static const struct option names[] = {{"followers", required_argument, NULL, FOLLOWERS},
        {"rounds", required_argument, NULL, ROUNDS}, {"lanes", required_argument, NULL, LANES},
        {"pool", required_argument, NULL, POOL}, {"bearer", required_argument, NULL, BEARER},
        {"io", required_argument, NULL, IO}, {"engine-cpu", required_argument, NULL, ENGINE_CPU},
        {"peer-cpu", required_argument, NULL, PEER_CPU},
        {"seconds", required_argument, NULL, SECONDS}, {"json", no_argument, NULL, JSON},
        {"keep", no_argument, NULL, KEEP}, {"check", no_argument, NULL, CHECK},
        {"version", no_argument, NULL, VERSION}, {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0}};
    struct bench_fanout_options *fanout = &options->fanout;
    *options = (struct options){.fanout = {
                                    .rounds = 40,
                                    .pool_connections = 8,
                                    .lanes = "all",
                                    .io = "all",
                                    .engine_cpu = -1,
                                    .peer_cpu = -1,
                                }};
    struct ipc_error error;
    if (bench_option_file(names, &argc, &argv, &error) != IPC_OK) {
        (void)fprintf(stderr, "lockstep-bench: %s\n", error.text);
        return 2;
    }
    for (;;) {
        long number = 0;
        bool good = true;
        const int option = getopt_long(argc, argv, "", names, NULL);
        switch (option) {
        case -1:
            return choose_bench(options, optind + 1 == argc ? argv[optind] : "");
        case FOLLOWERS:
            good = read_number("followers", optarg, 1, 1 << 20, &number);
            fanout->followers = (uint32_t)number;
            break;
        case ROUNDS:
            good = read_number("rounds", optarg, 1, BENCH_ROUNDS_MAX, &number);
            fanout->rounds = (uint32_t)number;
            break;
        case LANES:
            good = read_word("lanes", optarg, "own", "shared", &fanout->lanes);
            break;
        case POOL:
            good = read_number("pool", optarg, 1, 64, &number);
            fanout->pool_connections = (uint32_t)number;
            break;
        case BEARER:
            good = read_number("bearer", optarg, 8, 1400, &number);
            fanout->bearer = (uint32_t)number;
            break;
        case IO:
            good = read_word("io", optarg, "uring", "epoll", &fanout->io);
            break;
        case ENGINE_CPU:
            good = read_number("engine-cpu", optarg, 0, 1023, &number);
            fanout->engine_cpu = (int)number;
            break;
        case PEER_CPU:
            good = read_number("peer-cpu", optarg, 0, 1023, &number);
            fanout->peer_cpu = (int)number;
            break;
        case SECONDS:
            good = read_number("seconds", optarg, 1, 3600, &number);
            fanout->seconds_max = (double)number;
            break;
        case JSON:
            options->json = true;
            break;
        case KEEP:
            fanout->keep = true;
            break;
        case CHECK:
            options->check = true;
            break;
        case VERSION:
            (void)printf("lockstep-bench %s (%s)\n", LS_VERSION, LS_COMMIT);
            return 0;
        case HELP:
            (void)fputs(usage, stdout);
            return 0;
        default:
            (void)fputs("try --help\n", stderr);
            return 2;
        }
        if (!good)
            return 2;
    }
}

static void raise_files_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int run_fanout(const struct options *options)
{
    struct bench_fanout fanout = {.options = options->fanout};
    struct ipc_error error = {{0}};
    const enum ipc_rc rc = bench_fanout_run(&fanout, &error);
    if (fanout.result_count > 0) {
        if (options->json)
            bench_fanout_json(&fanout, stdout);
        else
            bench_fanout_print(&fanout, stdout);
    }
    if (rc != IPC_OK)
        (void)fprintf(stderr, "lockstep-bench: %s\n", error.text);
    free(fanout.results);
    return rc == IPC_OK ? 0 : 1;
}

static int run_peers(const struct options *options)
{
    const struct bench_fanout_options *from = &options->fanout;
    struct bench_peers *peers = calloc(1, sizeof *peers);
    struct ipc_error error = {{0}};
    LS_CHECK(peers != NULL);
    peers->options = (struct bench_peers_options){.followers = from->followers,
        .rounds = from->rounds,
        .pool_connections = from->pool_connections,
        .bearer = from->bearer,
        .io = strcmp(from->io, "epoll") == 0 ? "epoll" : "uring",
        .engine_cpu = from->engine_cpu,
        .peer_cpu = from->peer_cpu,
        .seconds_max = from->seconds_max};
    const enum ipc_rc rc = bench_peers_run(peers, &error);
    if (options->json)
        bench_peers_json(peers, stdout);
    else
        bench_peers_print(peers, stdout);
    if (rc != IPC_OK)
        (void)fprintf(stderr, "lockstep-bench: %s\n", error.text);
    free(peers);
    return rc == IPC_OK ? 0 : 1;
}

/* A measurement that says what it has in one report. */
static int report_end(struct bench_report *report, const struct options *options, enum ipc_rc rc,
    struct ipc_error *error)
{
    bench_report_end(report, options->json, stdout);
    if (rc != IPC_OK)
        (void)fprintf(stderr, "lockstep-bench: %s\n", error->text);
    return rc == IPC_OK ? 0 : 1;
}

static int run_ring(const struct options *options)
{
    struct bench_report report;
    struct ipc_error error = {{0}};
    const struct bench_ring_options ring = {.rounds = 20000 * options->fanout.rounds,
        .records = 100000 * options->fanout.rounds,
        .engine_cpu = options->fanout.engine_cpu,
        .peer_cpu = options->fanout.peer_cpu};
    bench_report_begin(&report, options->name);
    return report_end(&report, options, bench_ring_run(&ring, &report, &error), &error);
}

static int run_stages(
    const struct options *options, enum ipc_rc (*run)(const struct bench_stages_options *,
                                       struct bench_report *, struct ipc_error *))
{
    struct bench_report report;
    struct ipc_error error = {{0}};
    const struct bench_stages_options stages = {.followers_max = options->fanout.followers,
        .rounds = options->fanout.rounds,
        .cpu = options->fanout.engine_cpu,
        .other_cpu = options->fanout.peer_cpu};
    bench_report_begin(&report, options->name);
    return report_end(&report, options, run(&stages, &report, &error), &error);
}

static int run_plan(const struct options *options)
{
    return run_stages(options, bench_plan_run);
}

static int run_journal(const struct options *options)
{
    return run_stages(options, bench_journal_run);
}

static int run_scale(const struct options *options)
{
    return run_stages(options, bench_scale_run);
}

static int run_load(const struct options *options, uint32_t events_a_second,
    enum ipc_rc (*run)(
        const struct bench_load_options *, struct bench_report *, struct ipc_error *))
{
    struct bench_report report;
    struct ipc_error error = {{0}};
    const struct bench_fanout_options *from = &options->fanout;
    const struct bench_load_options load = {.followers = from->followers,
        .events_a_second = events_a_second,
        .behind_followers = from->followers < 500 ? from->followers * 10 : 100000,
        .pool_connections = from->pool_connections,
        .seconds = from->seconds_max,
        .kills = from->rounds < 5 ? from->rounds : 5,
        .io = strcmp(from->io, "epoll") == 0 ? "epoll" : "uring",
        .engine_cpu = from->engine_cpu,
        .peer_cpu = from->peer_cpu,
        .keep = from->keep};
    bench_report_begin(&report, options->name);
    return report_end(&report, options, run(&load, &report, &error), &error);
}

static int run_burst(const struct options *options)
{
    return run_load(options, 1000, bench_burst_run);
}

static int run_sustained(const struct options *options)
{
    return run_load(options, 100, bench_sustained_run);
}

static int run_restart(const struct options *options)
{
    return run_load(options, 1, bench_restart_run);
}

static const struct bench benches[] = {
    {"ring", run_ring, 1, 1 << 20, 0},
    {"plan", run_plan, 1000000, 1 << 20, 0},
    {"journal", run_journal, 5000, 1 << 20, 0},
    {"fanout", run_fanout, 500, BENCH_FOLLOWERS_MAX, 50},
    {"peers", run_peers, 500, BENCH_FOLLOWERS_MAX, 50},
    {"scale", run_scale, 1000000, 1 << 20, 0},
    {"burst", run_burst, 500, BENCH_FOLLOWERS_MAX, 10},
    {"sustained", run_sustained, 500, BENCH_FOLLOWERS_MAX, 60},
    {"restart", run_restart, 10000, 1 << 17, 0},
};

static const struct bench *bench_find(const char *name)
{
    for (size_t i = 0; i < LS_COUNT_OF(benches); i++)
        if (strcmp(benches[i].name, name) == 0)
            return &benches[i];
    return NULL;
}

static int check_print(const struct options *options)
{
    const struct bench_fanout_options *fanout = &options->fanout;
    if (strcmp(options->name, "fanout") == 0)
        (void)printf("valid: fanout to %u followers, %u rounds each of %s lanes (pool of %u) by "
                     "%s, at most %.0f s\n",
            fanout->followers, fanout->rounds, fanout->lanes, fanout->pool_connections, fanout->io,
            fanout->seconds_max);
    else
        (void)printf("valid: %s, %u followers, pool of %u, %u rounds\n", options->name,
            fanout->followers, fanout->pool_connections, fanout->rounds);
    return 0;
}

int main(int argc, char **argv)
{
    struct options options;
    const int code = options_read(argc, argv, &options);
    if (code >= 0)
        return code;
    if (options.check)
        return check_print(&options);
    (void)signal(SIGPIPE, SIG_IGN);
    raise_files_limit();
    return bench_find(options.name)->run(&options);
}
