/* lockstep_bench.c: `lockstep-bench NAME`, one measurement each. */
#include "bench/fanout.h"
#include "bench/option_file.h"
#include "bench/peers.h"
#include "version.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const char usage[] =
    "lockstep-bench: measures the engine of this build beside what the machine allows at best\n"
    "\n"
    "  lockstep-bench fanout [OPTIONS]   from an event in the ring to its first, median and last\n"
    "                                    order accepted by the kernel, against the floor: the "
    "same\n"
    "                                    bytes, sealed by SSL_write and sent by bare sends\n"
    "  lockstep-bench peers [OPTIONS]    the same orders to the same server by nghttp2, libcurl "
    "and\n"
    "                                    Python httpx, interleaved with the engine's\n"
    "\n"
    "  --followers N      of the one master (500; 1 to 5000)\n"
    "  --rounds N         of each scenario (40; 1 to 1000)\n"
    "  --lanes KIND       own, shared or all (all)\n"
    "  --pool N           connections of the shared pool (8)\n"
    "  --bearer BYTES     length of a follower's token (64 and then 1100)\n"
    "  --io KIND          uring, epoll or all (all)\n"
    "  --engine-cpu N, --peer-cpu N   processors (the first two this process may use)\n"
    "  --seconds N        bound for the whole; rounds are cut to fit (50)\n"
    "  --json             one JSON object with every round's values instead of the table\n"
    "  --keep             leave the engine's files for a look\n"
    "  --config FILE      these options from YAML (conf/bench.yaml); the command line goes first\n"
    "  --check            validate, say what would be measured, and exit\n"
    "  --version, --help\n"
    "\n"
    "Starts lockstep-engine and lockstepctl from its own directory. Exit code 0 also when the\n"
    "machine was too noisy to be believed: the table says so per row.\n";

struct options {
    struct bench_fanout_options fanout;
    bool peers; /* that is measured, not fanout */
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
    *options = (struct options){.fanout = {.followers = 500,
                                    .rounds = 40,
                                    .pool_connections = 8,
                                    .lanes = "all",
                                    .io = "all",
                                    .engine_cpu = -1,
                                    .peer_cpu = -1,
                                    .seconds_max = 50}};
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
            options->peers = optind + 1 == argc && strcmp(argv[optind], "peers") == 0;
            if (options->peers || (optind + 1 == argc && strcmp(argv[optind], "fanout") == 0))
                return -1;
            (void)fprintf(
                stderr, "lockstep-bench: say what to measure: fanout or peers; try --help\n");
            return 2;
        case FOLLOWERS:
            good = read_number("followers", optarg, 1, BENCH_FOLLOWERS_MAX, &number);
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

int main(int argc, char **argv)
{
    struct options options;
    const int code = options_read(argc, argv, &options);
    if (code >= 0)
        return code;
    if (options.check) {
        const struct bench_fanout_options *fanout = &options.fanout;
        if (options.peers)
            (void)printf("valid: peers, %u orders over %u connections, %u rounds, at most %.0f s\n",
                fanout->followers, fanout->pool_connections, fanout->rounds, fanout->seconds_max);
        else
            (void)printf(
                "valid: fanout to %u followers, %u rounds each of %s lanes (pool of %u) by "
                "%s, at most %.0f s\n",
                fanout->followers, fanout->rounds, fanout->lanes, fanout->pool_connections,
                fanout->io, fanout->seconds_max);
        return 0;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    raise_files_limit();
    return options.peers ? run_peers(&options) : run_fanout(&options);
}
