/* The command line of lockstep-sim, and its configuration file. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/option_file.h"
#include "tests/sim/sim.h"
#include "version.h"

#define STEPS_DEFAULT       500u
#define STEPS_MAX           20000u
#define SOAK_EVENTS_DEFAULT 1000000u

static void usage(FILE *out)
{
    fputs(
        "Usage: lockstep-sim [--seed N] [--seeds N] [--steps N] [--verbose] [--json]\n"
        "                    [--shrink | --replay FAULTS | --soak [--hours H | --events N]]\n"
        "Runs simulated worlds around the real engine core and HTTP/2 machine: masters, brokers,\n"
        "network, disk and crashes come from one seed each. Exit 1 when a promise was broken.\n"
        "  --seed N      first seed; default 1\n"
        "  --seeds N     how many seeds from there on; default 1\n"
        "  --steps N     steps of each world before it heals, 1 to 20000; default 500\n"
        "  --shrink      for each seed that fails: the few faults that it needs\n"
        "  --replay LIST only these faults happen: kind@site,kind@site, as --shrink prints them; "
        "none\n"
        "  --except LIST seeds that are left out: n,n,n\n"
        "  --soak        worlds until 1000000 events were taken, and a result\n"
        "  --events N    of the soak instead, 1 to 10^12\n"
        "  --hours H     of the soak instead: as long as this, 0.001 to 1000\n"
        "  --verbose     every event to stderr\n"
        "  --json        the result as one JSON object\n"
        "  --config FILE these options from YAML (conf/sim.yaml); the command line goes first\n"
        "  --check       validate, say what would be run, and exit\n"
        "  --help, --version\n",
        out);
}

static uint64_t number_of(const char *text, uint64_t low, uint64_t high, const char *option)
{
    char *end = NULL;
    unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || text[0] == '-' || value < low || value > high) {
        fprintf(stderr, "lockstep-sim: --%s must be a number from %llu to %llu, not '%s'\n", option,
            (unsigned long long)low, (unsigned long long)high, text);
        exit(2);
    }
    return value;
}

static double hours_of(const char *text)
{
    char *end = NULL;
    double hours = strtod(text, &end);
    if (end == text || *end != '\0' || !(hours >= 0.001 && hours <= 1000)) {
        fprintf(
            stderr, "lockstep-sim: --hours must be a number from 0.001 to 1000, not '%s'\n", text);
        exit(2);
    }
    return hours;
}

bool sim_options_excepts(const struct sim_options *options, uint64_t seed)
{
    for (const char *at = options->except; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strtoull(at, NULL, 10) == seed)
            return true;
    }
    return false;
}

bool sim_options_read(int count, char **arguments, struct sim_options *options)
{
    static const struct option known[] = {{"seed", required_argument, NULL, 's'},
        {"seeds", required_argument, NULL, 'n'}, {"steps", required_argument, NULL, 't'},
        {"verbose", no_argument, NULL, 'v'}, {"json", no_argument, NULL, 'j'},
        {"shrink", no_argument, NULL, 'm'}, {"replay", required_argument, NULL, 'r'},
        {"soak", no_argument, NULL, 'k'}, {"except", required_argument, NULL, 'x'},
        {"events", required_argument, NULL, 'e'}, {"hours", required_argument, NULL, 'o'},
        {"check", no_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'}, {0}};
    int letter;
    bool check = false;
    char words[160];
    struct ipc_error error;
    if (bench_option_file(known, &count, &arguments, &error) != IPC_OK) {
        fprintf(stderr, "lockstep-sim: %s\n", error.text);
        return false;
    }
    *options = (struct sim_options){
        .seed = 1, .seeds = 1, .steps = STEPS_DEFAULT, .soak_events = SOAK_EVENTS_DEFAULT};
    while ((letter = getopt_long(count, arguments, "", known, NULL)) != -1) {
        switch (letter) {
        case 's':
            options->seed = number_of(optarg, 0, UINT64_MAX, "seed");
            break;
        case 'n':
            options->seeds = (uint32_t)number_of(optarg, 1, UINT32_MAX, "seeds");
            break;
        case 't':
            options->steps = (uint32_t)number_of(optarg, 1, STEPS_MAX, "steps");
            break;
        case 'v':
            options->verbose = true;
            break;
        case 'j':
            options->json = true;
            break;
        case 'm':
            options->shrink = true;
            break;
        case 'r':
            options->replay_text = optarg;
            if (!sim_replay_read(optarg, &options->replay, words, sizeof(words))) {
                fprintf(stderr, "lockstep-sim: --replay: %s\n", words);
                return false;
            }
            break;
        case 'x':
            options->except = optarg;
            break;
        case 'k':
            options->soak = true;
            break;
        case 'e':
            options->soak_events = number_of(optarg, 1, UINT64_C(1000000000000), "events");
            break;
        case 'o':
            options->soak_hours = hours_of(optarg);
            break;
        case 'c':
            check = true;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        case 'V':
            printf("lockstep-sim %s (%s)\n", LS_VERSION, LS_COMMIT);
            exit(0);
        default:
            fputs("try --help\n", stderr);
            return false;
        }
    }
    if (optind != count)
        fprintf(stderr, "lockstep-sim: '%s' is not an option; try --help\n", arguments[optind]);
    else if (check) {
        printf("valid: seeds %llu and %u more, %u steps each\n", (unsigned long long)options->seed,
            options->seeds - 1, options->steps);
        exit(0);
    }
    return optind == count;
}
