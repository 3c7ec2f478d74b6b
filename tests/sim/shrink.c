/* A world that fails is lived again and again with fewer faults, until each that is left is needed:
 * first whole kinds are left out, then halves, quarters, single ones (delta debugging), then the
 * steps at the end. Each life is a process of its own: a check of the engine that stops it, or a
 * world that never ends, is an outcome like any other. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/sim.h"

#define LIFE_SECONDS 20u
#define LIVES_MAX    4000u

/* What a life leaves behind; written by its process, read by this one. */
struct last_words {
    struct sim_faults faults;
    char failure[320];
    uint64_t step;
};

struct shrink {
    struct sim *sim;
    struct last_words *words; /* shared memory */
    struct sim_options options;
    uint64_t seed;
    char sought[64]; /* the class of failure that must stay */
    uint32_t lives;
};

/* The class of a failure: its first words, before what differs from run to run. */
static void class_of(const char *failure, char *out, size_t out_bytes)
{
    size_t bytes = strcspn(failure, ":0123456789");
    snprintf(out, out_bytes, "%.*s", (int)(bytes < out_bytes ? bytes : out_bytes - 1), failure);
}

_Noreturn static void life(struct shrink *shrink)
{
    struct sim *sim = shrink->sim;
    if (freopen("/dev/null", "w", stderr) == NULL || freopen("/dev/null", "w", stdout) == NULL)
        _exit(2);
    signal(SIGALRM, SIG_DFL);
    alarm(LIFE_SECONDS);
    bool passed = sim_live(sim, &shrink->options, shrink->seed);
    memcpy(shrink->words->failure, sim->tape.failure, sizeof(shrink->words->failure));
    shrink->words->step = sim->step;
    _exit(passed ? 0 : 1);
}

/* Lives the world with these faults only; NULL = all.
 *   returns  true when it fails */
static bool fails(struct shrink *shrink, struct sim_fired *list, uint32_t count, uint32_t steps)
{
    int status = 0;
    shrink->lives++;
    shrink->options.steps = steps;
    shrink->options.replay =
        (struct sim_replay){.list = list, .count = count, .is_set = list != NULL};
    shrink->words->failure[0] = '\0';
    shrink->words->step = steps;
    fflush(NULL);
    pid_t pid = fork();
    LS_CHECK(pid >= 0);
    if (pid == 0)
        life(shrink);
    LS_CHECK(waitpid(pid, &status, 0) == pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return false;
    if (shrink->words->failure[0] == '\0')
        snprintf(shrink->words->failure, sizeof(shrink->words->failure), "it does not end");
    return true;
}

static bool fails_alike(
    struct shrink *shrink, struct sim_fired *list, uint32_t count, uint32_t steps)
{
    char class[64];
    if (shrink->lives >= LIVES_MAX || !fails(shrink, list, count, steps))
        return false;
    class_of(shrink->words->failure, class, sizeof(class));
    return strcmp(class, shrink->sought) == 0;
}

/* `list` without the elements [first, first + count), into `out`. */
static uint32_t without(const struct sim_fired *list, uint32_t list_count, uint32_t first,
    uint32_t count, struct sim_fired *out)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list_count; i++) {
        if (i < first || i >= first + count)
            out[kept++] = list[i];
    }
    return kept;
}

static uint32_t drop_kinds(
    struct shrink *shrink, struct sim_fired *list, uint32_t count, struct sim_fired *other)
{
    for (uint32_t kind = 1; kind < SIM_FAULT_COUNT; kind++) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (list[i].kind != kind)
                other[kept++] = list[i];
        }
        if (kept == count || !fails_alike(shrink, other, kept, shrink->options.steps))
            continue;
        memcpy(list, other, kept * sizeof(*list));
        count = kept;
    }
    return count;
}

static uint32_t drop_pieces(
    struct shrink *shrink, struct sim_fired *list, uint32_t count, struct sim_fired *other)
{
    for (uint32_t piece = (count + 1) / 2; piece > 0 && count > 0;) {
        bool dropped = false;
        for (uint32_t first = 0; first < count;) {
            uint32_t kept = without(list, count, first, piece, other);
            if (fails_alike(shrink, other, kept, shrink->options.steps)) {
                memcpy(list, other, kept * sizeof(*list));
                count = kept;
                dropped = true;
            } else {
                first += piece;
            }
        }
        if (piece == 1 && !dropped)
            break;
        piece = piece > 1 ? (piece + 1) / 2 : 1;
    }
    return count;
}

static void drop_steps(struct shrink *shrink, struct sim_fired *list, uint32_t count)
{
    uint32_t steps = shrink->options.steps;
    for (uint32_t less = steps / 2; less > 0;) {
        if (less < steps && fails_alike(shrink, list, count, steps - less))
            steps -= less;
        else
            less /= 2;
    }
    shrink->options.steps = steps;
}

static void one_shrink(struct shrink *shrink)
{
    struct sim_faults *faults = &shrink->words->faults;
    uint32_t count = faults->count < SIM_FIRED_MAX ? faults->count : SIM_FIRED_MAX;
    struct sim_fired *list = calloc(count + 1, sizeof(*list));
    struct sim_fired *other = calloc(count + 1, sizeof(*other));
    LS_CHECK(list != NULL && other != NULL);
    memcpy(list, faults->fired, count * sizeof(*list));
    printf("seed %llu: %s\n", (unsigned long long)shrink->seed, shrink->words->failure);
    class_of(shrink->words->failure, shrink->sought, sizeof(shrink->sought));
    uint32_t all = count;
    count = drop_kinds(shrink, list, count, other);
    count = drop_pieces(shrink, list, count, other);
    drop_steps(shrink, list, count);
    uint32_t steps = shrink->options.steps;
    bool still = fails(shrink, list, count, steps);
    printf("  %s with %u of its %u faults, %u lives: %s\n", still ? "fails" : "PASSES", count, all,
        shrink->lives, shrink->words->failure);
    for (uint32_t i = 0; i < count; i++)
        printf("    step %-5u %s\n", list[i].step, sim_fault_name((enum sim_fault)list[i].kind));
    printf("  Again: lockstep-sim --seed %llu --steps %u --replay ",
        (unsigned long long)shrink->seed, steps);
    sim_replay_print(list, count);
    printf("\n");
    free(list);
    free(other);
}

int sim_shrink(struct sim *sim, const struct sim_options *options)
{
    uint32_t failed = 0;
    struct shrink shrink = {.sim = sim, .options = *options};
    shrink.options.verbose = false;
    shrink.words = mmap(
        NULL, sizeof(*shrink.words), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    LS_CHECK(shrink.words != MAP_FAILED);
    sim->faults = &shrink.words->faults;
    for (uint32_t i = 0; i < options->seeds; i++) {
        shrink.seed = options->seed + i;
        shrink.lives = 0;
        bool has_list = options->replay.is_set;
        if (!fails(&shrink, has_list ? options->replay.list : NULL, options->replay.count,
                options->steps))
            continue;
        failed++;
        one_shrink(&shrink);
    }
    printf("%u passed, %u failed\n", options->seeds - failed, failed);
    return failed == 0 ? 0 : 1;
}
