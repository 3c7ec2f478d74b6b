/* The long run: worlds, one seed after the other, until enough events were taken or enough time
 * went by; a line of progress on a terminal, a result at the end. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/sim.h"
#include "version.h"

#define FAILED_MAX    32u
#define LONG_EVERY    10u /* one world in so many is long */
#define LONG_STEPS    4000u
#define WORLD_SECONDS 240u
#define PROGRESS_S    0.5

struct soak {
    const struct sim_options *options;
    struct sim_figures sum;
    struct timespec start;
    uint64_t seeds, failures;
    uint64_t failed[FAILED_MAX]; /* the first */
    double shown_s;
};

static double seconds_of(const struct soak *soak)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - soak->start.tv_sec) +
           (double)(now.tv_nsec - soak->start.tv_nsec) / 1e9;
}

static bool goes_on(const struct soak *soak)
{
    if (soak->options->soak_hours > 0)
        return seconds_of(soak) < soak->options->soak_hours * 3600;
    return soak->sum.events < soak->options->soak_events;
}

static void progress(struct soak *soak, bool is_last)
{
    double seconds = seconds_of(soak);
    if (!isatty(STDERR_FILENO) || (!is_last && seconds - soak->shown_s < PROGRESS_S))
        return;
    soak->shown_s = seconds;
    fprintf(stderr, "\r%llu seeds, %llu events, %llu faults, %llu failures, %.0f s ",
        (unsigned long long)soak->seeds, (unsigned long long)soak->sum.events,
        (unsigned long long)soak->sum.faults, (unsigned long long)soak->failures, seconds);
    if (is_last)
        fputc('\n', stderr);
}

static void failure_keep(struct soak *soak, const struct sim *sim)
{
    if (soak->failures < FAILED_MAX)
        soak->failed[soak->failures] = sim->seed;
    soak->failures++;
    if (isatty(STDERR_FILENO))
        fputc('\n', stderr);
    sim_failure_print(sim, sim->tape.failure);
}

static void result_json(const struct soak *soak)
{
    const struct sim_figures *sum = &soak->sum;
    const char *comma = "";
    printf("{\"version\":\"%s\",\"commit\":\"%s\",\"seed\":%llu,\"seeds\":%llu,\"events\":%llu,"
           "\"orders_at_brokers\":%llu,\"fills\":%llu,\"crashes\":%llu,\"power_cuts\":%llu,"
           "\"faults\":%llu,\"faults_by_kind\":{",
        LS_VERSION, LS_COMMIT, (unsigned long long)soak->options->seed,
        (unsigned long long)soak->seeds, (unsigned long long)sum->events,
        (unsigned long long)sum->accepted, (unsigned long long)sum->fills,
        (unsigned long long)sum->crashes, (unsigned long long)sum->boots,
        (unsigned long long)sum->faults);
    for (uint32_t kind = 1; kind < SIM_FAULT_COUNT; kind++) {
        printf("%s\"%s\":%llu", comma, sim_fault_name((enum sim_fault)kind),
            (unsigned long long)sum->by_kind[kind]);
        comma = ",";
    }
    printf("},\"hours_simulated\":%.2f,\"hours_real\":%.4f,\"failures\":%llu,\"failed_seeds\":[",
        (double)sum->seconds / 3600, seconds_of(soak) / 3600, (unsigned long long)soak->failures);
    for (uint32_t i = 0; i < soak->failures && i < FAILED_MAX; i++)
        printf("%s%llu", i == 0 ? "" : ",", (unsigned long long)soak->failed[i]);
    printf("]}\n");
}

static void result_print(const struct soak *soak)
{
    const struct sim_figures *sum = &soak->sum;
    printf("%llu seeds, %llu events, %llu orders at brokers, %llu fills, %llu crashes, %llu power "
           "cuts\n%llu faults:",
        (unsigned long long)soak->seeds, (unsigned long long)sum->events,
        (unsigned long long)sum->accepted, (unsigned long long)sum->fills,
        (unsigned long long)sum->crashes, (unsigned long long)sum->boots,
        (unsigned long long)sum->faults);
    for (uint32_t kind = 1; kind < SIM_FAULT_COUNT; kind++)
        printf(" %s %llu", sim_fault_name((enum sim_fault)kind),
            (unsigned long long)sum->by_kind[kind]);
    printf("\n%.1f hours simulated in %.3f hours, %llu failures\n", (double)sum->seconds / 3600,
        seconds_of(soak) / 3600, (unsigned long long)soak->failures);
    for (uint32_t i = 0; i < soak->failures && i < FAILED_MAX; i++)
        printf("failed: seed %llu\n", (unsigned long long)soak->failed[i]);
}

int sim_soak(struct sim *sim, const struct sim_options *options)
{
    struct soak soak = {.options = options};
    clock_gettime(CLOCK_MONOTONIC, &soak.start);
    while (goes_on(&soak)) {
        struct sim_options one = *options;
        if (soak.seeds % LONG_EVERY == LONG_EVERY - 1 && one.steps < LONG_STEPS)
            one.steps = LONG_STEPS;
        alarm(WORLD_SECONDS);
        if (!sim_live(sim, &one, options->seed + soak.seeds))
            failure_keep(&soak, sim);
        sim_figures_add(&soak.sum, &sim->figures);
        soak.seeds++;
        progress(&soak, false);
    }
    progress(&soak, true);
    if (options->json)
        result_json(&soak);
    else
        result_print(&soak);
    return soak.failures == 0 ? 0 : 1;
}
