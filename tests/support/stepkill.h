/* stepkill.h: kills the code under test after every single instruction and looks at what is left.
 *
 * For n = 0, 1, 2 ...: reset the shared state, fork, let the child prepare (attach), single-step n
 * instructions of the code under test, SIGKILL, check what the child left in shared memory. Ends
 * with the first n at which the code has finished, which is checked too. Stores to shared mappings
 * survive the kill because they live in the page cache.
 *
 * The cost is the square of the length at about 3 us a step: 1,000 instructions are 2 s. Longer
 * code is started at a function (start_at), or strided with a prime.
 *
 * Shared mappings of ipc/region.h are not inherited by fork: the child attaches in prepare, the
 * parent in reset or check. Single-threaded callers only. */
#ifndef LS_TEST_STEPKILL_H
#define LS_TEST_STEPKILL_H

#include <stdbool.h>
#include <stdint.h>

struct stepkill {
    void (*reset)(void *context);   /* parent, before each child; may be NULL */
    void (*prepare)(void *context); /* child, not stepped; may be NULL */
    void (*run)(void *context);     /* child, stepped and killed */
    /* Parent, after each death. steps: instructions executed after the start. finished: run
     * returned before the kill. */
    void (*check)(void *context, uint64_t steps, bool finished);
    void *context;
    const void *start_at; /* address of a function that run calls: stepping begins at its entry;
                             NULL = at the beginning of run */
    unsigned start_hits;  /* at which call of it, from 1; 0 = 1 */
    uint64_t stride;      /* n goes up by it; 0 = 1 */
    uint64_t points_max;  /* stop after so many; 0 = no bound */
};

enum stepkill_end {
    STEPKILL_FINISHED,      /* every point was killed and checked, the finished run too */
    STEPKILL_BOUND,         /* points_max was reached first */
    STEPKILL_NO_PTRACE,     /* the kernel does not let us trace: skip, with this sentence */
    STEPKILL_NEVER_STARTED, /* run ended without reaching start_at */
    STEPKILL_BROKEN,        /* the child stopped on a signal of its own; printed to stderr */
};

struct stepkill_result {
    uint64_t points;        /* children killed and checked */
    uint64_t longest_steps; /* instructions of the last one */
};

enum stepkill_end stepkill_run(const struct stepkill *plan, struct stepkill_result *result);

#endif
