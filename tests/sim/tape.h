/* tape.h: the last things that happened in a simulated world, and how it ends when a check fails.
 */
#ifndef LS_TESTS_SIM_TAPE_H
#define LS_TESTS_SIM_TAPE_H

#include "ipc/base.h"

#define SIM_TAPE_LINES 48u
#define SIM_TAPE_BYTES 176u

struct sim_tape {
    char lines[SIM_TAPE_LINES][SIM_TAPE_BYTES];
    uint64_t count;
    char failure[320]; /* empty = none */
};

struct sim;

/* sim_note writes one line on the tape: step, time, text. */
void sim_note(struct sim *sim, const char *format, ...) LS_PRINTF(2, 3);

/* sim_fail ends this world: the failure is kept, and control goes back to the runner. */
_Noreturn void sim_fail(struct sim *sim, const char *format, ...) LS_PRINTF(2, 3);

/* sim_tape_print writes the lines, oldest first, to stderr; async-signal-safe. */
void sim_tape_print(const struct sim *sim);

#endif
