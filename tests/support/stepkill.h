/* stepkill.h: kills the code under test after every single instruction and looks at what is left.
 *
 * stepkill_run: for n = 0, 1, 2 ...: reset the shared state, fork, let the child prepare (attach),
 * single-step n instructions of the code under test, SIGKILL, check what the child left in shared
 * memory. Ends with the first n at which the code has finished, which is checked too. Stores to
 * shared mappings survive the kill because they live in the page cache. The cost is the square of
 * the length, and a step is 3 us on bare metal and 30 in a virtual machine: long code is started at
 * a function (start_at), strided with a prime, or stopped at system calls only (by_syscall).
 *
 * stepkill_walk: one child, one walk; after each instruction the child stands still and check looks
 * at a copy of the shared memory, which is what a kill at that instruction would leave. Linear, so
 * every instruction of long code can be looked at; but the child lives and holds its locks.
 *
 * Shared mappings of ipc/region.h are not inherited by fork: the child attaches in prepare, the
 * parent in reset or check. Single-threaded callers only. */
#ifndef LS_TEST_STEPKILL_H
#define LS_TEST_STEPKILL_H

#include <stdbool.h>
#include <stdint.h>

/* A sanitizer makes tens of instructions of each and slows every fork: tests of the harness itself
 * skip under both, and steps under the thread sanitizer, which wants threads anyway, are skipped.
 */
#if defined(__SANITIZE_THREAD__)
#define STEPKILL_WORTHWHILE 0
#else
#define STEPKILL_WORTHWHILE 1
#endif

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
    bool by_syscall;      /* a step is to the next entry or exit of a system call */
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
enum stepkill_end stepkill_walk(const struct stepkill *plan, struct stepkill_result *result);

#endif
