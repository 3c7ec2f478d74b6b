/* lockstep-sim: runs simulated worlds, one per seed, and says which of them broke a promise. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/sim.h"
#include "version.h"

#define WORLD_SECONDS_MAX 240u /* a world that takes longer never ends */

static struct sim *running; /* for the handlers of signals */

void sim_failure_print(const struct sim *sim, const char *what)
{
    const char *replay = sim->options->replay_text;
    sim_tape_print(sim);
    dprintf(STDERR_FILENO,
        "seed %llu step %llu: %s\nAgain: lockstep-sim --seed %llu --steps %u%s%s\n",
        (unsigned long long)sim->seed, (unsigned long long)sim->step, what,
        (unsigned long long)sim->seed, sim->options->steps, replay == NULL ? "" : " --replay ",
        replay == NULL ? "" : replay);
}

/* A check inside the engine failed: this world is over. */
static void on_abort(int number)
{
    (void)number;
    if (running == NULL || running->options == NULL)
        _exit(1);
    strcpy(running->tape.failure, "check: a check of the engine stopped the process");
    longjmp(running->failed, 1);
}

static void on_alarm(int number)
{
    (void)number;
    if (running != NULL && running->options != NULL)
        sim_failure_print(running, "it does not end");
    _exit(1);
}

void sim_figures_add(struct sim_figures *sum, const struct sim_figures *one)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)one;
    for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
        to[i] += from[i];
}

void sim_figures_print(const struct sim_figures *f, bool json, double seconds)
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
        {"closes_checked", f->closes_checked}, {"flats_checked", f->flats_checked},
        {"ring_gaps", f->gaps}, {"simulated_seconds", f->seconds}, {"questions", f->questions},
        {"missed", f->missed}, {"unresolved", f->unresolved}, {"orphans", f->orphans},
        {"breakers", f->guards}};
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++)
        printf(
            json ? "\"%s\":%llu," : "%s %llu, ", rows[i].name, (unsigned long long)rows[i].value);
    printf(json ? "\"seconds\":%.3f" : "%.1f s\n", seconds);
}

static double seconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static int seeds_run(struct sim *sim, const struct sim_options *options)
{
    struct sim_figures sum = {0};
    struct timespec start;
    uint32_t passed = 0, failed = 0, excepted = 0;
    uint64_t first_failed = 0;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (uint32_t i = 0; i < options->seeds; i++) {
        if (sim_options_excepts(options, options->seed + i)) {
            excepted++;
            continue;
        }
        alarm(WORLD_SECONDS_MAX);
        if (sim_live(sim, options, options->seed + i)) {
            passed++;
        } else {
            if (failed == 0)
                first_failed = sim->seed;
            failed++;
            sim_failure_print(sim, sim->tape.failure);
        }
        sim_figures_add(&sum, &sim->figures);
    }
    double seconds = seconds_since(&start);
    if (options->json) {
        printf("{\"version\":\"%s\",\"commit\":\"%s\",\"seed\":%llu,\"passed\":%u,\"failed\":%u,",
            LS_VERSION, LS_COMMIT, (unsigned long long)options->seed, passed, failed);
        if (failed > 0)
            printf("\"first_failed\":%llu,", (unsigned long long)first_failed);
        sim_figures_print(&sum, true, seconds);
        printf("}\n");
    } else {
        sim_figures_print(&sum, false, seconds);
        printf("%u passed, %u failed, %u excepted\n", passed, failed, excepted);
    }
    return failed == 0 ? 0 : 1;
}

int main(int count, char **arguments)
{
    struct sim_options options;
    if (!sim_options_read(count, arguments, &options))
        return 2;
    struct sim *sim = sim_make();
    running = sim;
    signal(SIGABRT, on_abort);
    signal(SIGALRM, on_alarm);
    fprintf(options.json ? stderr : stdout, "lockstep-sim %s, commit %s, seed %llu", LS_VERSION,
        LS_COMMIT, (unsigned long long)options.seed);
    if (!options.soak)
        fprintf(options.json ? stderr : stdout, ", %u seeds", options.seeds);
    fprintf(options.json ? stderr : stdout, ", %u steps\n", options.steps);
    fflush(stdout);
    if (options.soak)
        return sim_soak(sim, &options);
    if (options.shrink)
        return sim_shrink(sim, &options);
    return seeds_run(sim, &options);
}
