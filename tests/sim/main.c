/* lockstep-sim: runs simulated worlds, one per seed, and says which of them broke a promise. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/option_file.h"
#include "tests/sim/sim.h"
#include "version.h"

#define STEPS_DEFAULT 500u
#define STEPS_MAX     20000u
#define HEAL_STEPS    900u
#define EVENTS_A_STEP 60u

static struct sim *running; /* for the handler of SIGABRT */

/* ---- one world ------------------------------------------------------------------------------- */

/* Something happens that nobody asked for. */
static void trouble(struct sim *sim)
{
    switch (sim_below(sim, sim->is_calm ? 40 : 18)) {
    case 0:
        sim_world_flip(sim);
        break;
    case 1:
        if (sim_chance(sim, 1, 3))
            sim_world_publish(sim);
        break;
    case 2:
        if (sim_chance(sim, 1, 4))
            sim_masters_rescan(sim, 1 + sim_below(sim, sim->master_count), false);
        break;
    case 3:
        sim->takes_entries = sim_chance(sim, 14, 15);
        break;
    case 4:
        if (sim->can_crash && sim->shell.crash_in == 0)
            sim->shell.crash_in = 1 + sim_below(sim, sim_chance(sim, 1, 2) ? 12 : 200);
        break;
    case 5:
        if (!sim->is_calm && sim_chance(sim, 1, 12))
            sim->shell.paused_until_ns = sim->now_ns + sim_between(sim, 0, 10 * LS_NS_PER_S);
        break;
    case 6:
        if (sim_chance(sim, 1, 3))
            sim_owner_act(sim);
        break;
    case 7:
        if (sim_chance(sim, 1, 10))
            sim_operator_act(sim);
        break;
    case 8:
    case 9:
    case 10:
    case 11:
        sim_broker_trouble(sim);
        break;
    default:
        break;
    }
}

static void act(struct sim *sim)
{
    uint32_t what = sim_below(sim, 10);
    if (what < 4)
        sim_masters_act(sim);
    else if (what < 6)
        sim_world_price(sim);
    else if (what < 8)
        sim_broker_fill(sim);
    if (sim_chance(sim, 1, 4))
        sim_feed_poll(sim, false);
    trouble(sim);
    sim_journal_sync(&sim->journal, &sim->prng, false);
}

/* The engine's turn, or its death. */
static void turn(struct sim *sim)
{
    struct sim_shell *shell = &sim->shell;
    if (setjmp(sim->crashed) != 0) {
        sim->in_turn = false;
        sim_shell_kill(sim, sim->can_lose_power && sim_chance(sim, 1, 3));
        return;
    }
    if (!shell->lives) {
        if (shell->restart_ns > sim->now_ns)
            return;
        sim_shell_start(sim);
        if (sim_chance(sim, 1, 2))
            sim_check_replay(sim);
    }
    if (shell->paused_until_ns <= sim->now_ns)
        sim_shell_turn(sim);
    sim_check_books(sim);
    if (!shell->lives)
        return;
    sim_check_counters(sim);
    if (sim_chance(sim, 1, 16))
        eng_core_verify(shell->core);
    if (sim_chance(sim, 1, 150))
        sim_check_replay(sim);
}

static int64_t step_length(struct sim *sim)
{
    uint32_t roll = sim_below(sim, 60);
    if (sim->is_calm)
        return sim_between(sim, 20 * LS_NS_PER_MS, 2 * LS_NS_PER_S);
    if (roll < 42)
        return sim_between(sim, LS_NS_PER_US, 2 * LS_NS_PER_MS);
    if (roll < 58)
        return sim_between(sim, 0, 60 * LS_NS_PER_MS);
    return sim_between(sim, 0, roll == 58 ? LS_NS_PER_S : 6 * LS_NS_PER_S);
}

/* Time goes on; whatever is due on the way happens at its time. */
static void advance(struct sim *sim, int64_t length_ns)
{
    int64_t until = sim->now_ns + length_ns;
    for (uint32_t events = 0; events < EVENTS_A_STEP; events++) {
        int64_t next = ls_min_i64(sim_net_due(sim), sim_broker_due(sim));
        next = ls_min_i64(next, ls_min_i64(sim_feed_due(sim), sim_shell_due(sim)));
        if (events + 1 == EVENTS_A_STEP)
            next = until;
        sim->now_ns = ls_min_i64(ls_max_i64(next, sim->now_ns + 20 * LS_NS_PER_US), until);
        sim_feed_step(sim);
        sim_net_up(sim);
        sim_broker_step(sim);
        turn(sim);
        sim_net_sweep(sim);
        if (sim->now_ns >= until)
            return;
    }
}

/* Without further faults everything comes to its end. */
static void heal(struct sim *sim)
{
    char why[256] = "";
    bool is_flat = false;
    sim_world_heal(sim);
    for (uint32_t i = 0; i < sim->order_count; i++) {
        struct ipc_event *state = &sim->orders[i].state;
        if (!ipc_status_final((enum ipc_status)state->status)) {
            state->status = IPC_STATUS_CANCELLED;
            state->version = sim->version = ls_max_i64(sim->version + 1, sim_wall(sim));
        }
        sim->orders[i].changed_ns = sim->now_ns;
    }
    for (uint32_t i = 0; i < HEAL_STEPS; i++) {
        sim->step++;
        if (i % 50 == 0) {
            for (uint32_t account = 1; account <= sim->master_count; account++)
                sim_masters_rescan(sim, account, false);
        }
        if (i % 10 == 0)
            sim_feed_poll(sim, true);
        sim_world_price(sim);
        if (i % 5 == 0)
            sim_broker_fill_exits(sim);
        sim_journal_sync(&sim->journal, &sim->prng, true);
        advance(sim, 50 * LS_NS_PER_MS);
        if (i <= 20 || i % 10 != 9 || !sim->shell.lives ||
            !sim_check_settled(sim, why, sizeof(why)))
            continue;
        if (is_flat) {
            sim_positions_flat(sim);
            return;
        }
        is_flat = true;
        sim_positions_begin_flat(sim);
        sim_masters_flat(sim);
        i = 0;
    }
    sim_fail(sim, "liveness: %s, %u s after the last fault", why, HEAL_STEPS / 20);
}

static void world_reset(struct sim *sim, const struct sim_options *options, uint64_t seed)
{
    /* Large memory is kept from one world to the next. */
    struct sim_connection *connections = sim->connections;
    struct sim_shell shell = sim->shell;
    struct sim_journal journal = sim->journal;
    struct sim_feed feed = sim->feed;
    struct sim_tag *tags = sim->judge.tags;
    nghttp2_session_callbacks *callbacks = sim->callbacks;
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        struct sim_connection *connection = &connections[i];
        if (connection->number != 0 && connection->client_lives && connection->h2 != NULL)
            eng_h2_free(connection->h2);
        if (connection->server != NULL)
            nghttp2_session_del(connection->server);
        connection->h2 = NULL;
        connection->server = NULL;
        connection->number = 0;
    }
    if (sim->brokers[0].book != NULL)
        sim_broker_free(sim);
    memset(sim, 0, sizeof(*sim));
    sim->connections = connections;
    sim->shell.core_memory = shell.core_memory;
    sim->shell.core_other_memory = shell.core_other_memory;
    sim->shell.bodies_memory = shell.bodies_memory;
    sim->shell.limits = shell.limits;
    sim->journal = journal;
    for (uint32_t i = 0; i < SIM_BROKERS; i++) {
        sim->feed.published[i] = feed.published[i];
        sim->feed.published_capacity[i] = feed.published_capacity[i];
        if (feed.published[i] != NULL)
            memset(
                feed.published[i], 0, feed.published_capacity[i] * sizeof(**sim->feed.published));
    }
    sim->judge.tags = tags;
    sim->callbacks = callbacks;
    sim->options = options;
    sim->seed = seed;
    ipc_prng_seed(&sim->prng, seed);
    sim_journal_reset(&sim->journal, ipc_prng_next(&sim->prng));
    sim_check_begin(sim);
}

static bool world_run(struct sim *sim, const struct sim_options *options, uint64_t seed)
{
    world_reset(sim, options, seed);
    if (setjmp(sim->failed) != 0)
        return false;
    sim_world_make(sim);
    sim_shell_start(sim);
    for (uint32_t account = 1; account <= sim->master_count; account++)
        sim_masters_rescan(sim, account, false);
    while (sim->step < options->steps) {
        sim->step++;
        act(sim);
        advance(sim, step_length(sim));
    }
    sim->figures.steps = sim->step;
    heal(sim);
    sim_check_end(sim);
    const struct eng_core_counters *counters = eng_core_counters(sim->shell.core);
    for (uint32_t i = 0; i < IPC_REASON_COUNT && options->verbose; i++) {
        if (counters->skips_by_reason[i] != 0)
            sim_note(sim, "skipped %s: %llu", ipc_reason_name((enum ipc_reason)i),
                (unsigned long long)counters->skips_by_reason[i]);
    }
    return true;
}

/* ---- the program ----------------------------------------------------------------------------- */

static void failure_print(const struct sim *sim, const char *what)
{
    sim_tape_print(sim);
    dprintf(STDERR_FILENO, "seed %llu step %llu: %s\nAgain: lockstep-sim --seed %llu --steps %u\n",
        (unsigned long long)sim->seed, (unsigned long long)sim->step, what,
        (unsigned long long)sim->seed, sim->options->steps);
}

/* A check inside the engine failed: say where we were. */
static void on_abort(int number)
{
    (void)number;
    if (running != NULL)
        failure_print(running, "a check of the engine stopped the process");
    _exit(1);
}

static void figures_add(struct sim_figures *sum, const struct sim_figures *one)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)one;
    for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
        to[i] += from[i];
}

static void figures_print(const struct sim_figures *f, bool json, double seconds)
{
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {{"steps", f->steps}, {"turns", f->turns}, {"events", f->events},
        {"waves", f->waves}, {"skips", f->skips}, {"frames", f->frames}, {"requests", f->requests},
        {"arrivals", f->arrivals}, {"accepted", f->accepted}, {"fills", f->fills},
        {"replies", f->replies}, {"losses", f->losses}, {"unknown_at_end", f->unknown},
        {"faults", f->faults}, {"crashes", f->crashes}, {"power_cuts", f->boots},
        {"generations", f->generations}, {"switch_flips", f->flips},
        {"decided_again", f->redecided}, {"replays", f->replays}, {"by_hand", f->by_hand},
        {"trips", f->trips}, {"flattens", f->flattens}, {"sizes_checked", f->sizes_checked},
        {"closes_checked", f->closes_checked}, {"flats_checked", f->flats_checked}};
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++)
        printf(
            json ? "\"%s\":%llu," : "%s %llu, ", rows[i].name, (unsigned long long)rows[i].value);
    printf(json ? "\"seconds\":%.3f" : "%.1f s\n", seconds);
}

static void usage(FILE *out)
{
    fputs(
        "Usage: lockstep-sim [--seed N] [--seeds N] [--steps N] [--verbose] [--json]\n"
        "Runs simulated worlds around the real engine core and HTTP/2 machine: masters, brokers,\n"
        "network, disk and crashes come from one seed each. Exit 1 when a promise was broken.\n"
        "  --seed N      first seed; default 1\n"
        "  --seeds N     how many seeds from there on; default 1\n"
        "  --steps N     steps of each world before it heals, 1 to 20000; default 500\n"
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

static bool options_read(int count, char **arguments, struct sim_options *options)
{
    static const struct option known[] = {{"seed", required_argument, NULL, 's'},
        {"seeds", required_argument, NULL, 'n'}, {"steps", required_argument, NULL, 't'},
        {"verbose", no_argument, NULL, 'v'}, {"json", no_argument, NULL, 'j'},
        {"check", no_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'}, {0}};
    int letter;
    bool check = false;
    struct ipc_error error;
    if (bench_option_file(known, &count, &arguments, &error) != IPC_OK) {
        fprintf(stderr, "lockstep-sim: %s\n", error.text);
        return false;
    }
    *options = (struct sim_options){.seed = 1, .seeds = 1, .steps = STEPS_DEFAULT};
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

int main(int count, char **arguments)
{
    struct sim_options options;
    struct sim_figures sum = {0};
    struct timespec start, end;
    uint32_t passed = 0, failed = 0;
    uint64_t first_failed = 0;
    if (!options_read(count, arguments, &options))
        return 2;
    struct sim *sim = calloc(1, sizeof(*sim));
    LS_CHECK(sim != NULL);
    sim->connections = calloc(SIM_CONNECTIONS, sizeof(*sim->connections));
    sim->judge.tags = calloc(SIM_TAGS, sizeof(*sim->judge.tags));
    LS_CHECK(sim->connections != NULL && sim->judge.tags != NULL);
    sim_journal_open(&sim->journal, 0);
    running = sim;
    signal(SIGABRT, on_abort);
    fprintf(options.json ? stderr : stdout,
        "lockstep-sim %s, commit %s, seed %llu, %u seeds, %u steps\n", LS_VERSION, LS_COMMIT,
        (unsigned long long)options.seed, options.seeds, options.steps);
    fflush(stdout);
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (uint32_t i = 0; i < options.seeds; i++) {
        if (world_run(sim, &options, options.seed + i)) {
            passed++;
        } else {
            if (failed == 0)
                first_failed = sim->seed;
            failed++;
            failure_print(sim, sim->tape.failure);
        }
        figures_add(&sum, &sim->figures);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds =
        (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    if (options.json) {
        printf("{\"version\":\"%s\",\"commit\":\"%s\",\"seed\":%llu,\"passed\":%u,\"failed\":%u,",
            LS_VERSION, LS_COMMIT, (unsigned long long)options.seed, passed, failed);
        if (failed > 0)
            printf("\"first_failed\":%llu,", (unsigned long long)first_failed);
        figures_print(&sum, true, seconds);
        printf("}\n");
    } else {
        figures_print(&sum, false, seconds);
        printf("%u passed, %u failed\n", passed, failed);
    }
    return failed == 0 ? 0 : 1;
}
