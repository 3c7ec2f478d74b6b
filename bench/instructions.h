/* instructions.h: how many instructions a function takes, counted by stepping through it in a child
 * process (PTRACE_SINGLESTEP): the same on a noisy machine, and on one without counters. */
#ifndef LS_BENCH_INSTRUCTIONS_H
#define LS_BENCH_INSTRUCTIONS_H

#include "ipc/base.h"

/* bench_instructions counts run(context) in a copy of this process; nothing changes here.
 *   most     steps until it gives up: some 300,000 take a second
 *   returns  instructions, all libraries' included; -1 when tracing is not allowed or `most` is
 *            not enough */
int64_t bench_instructions(void (*run)(void *context), void *context, int64_t most);

#endif
