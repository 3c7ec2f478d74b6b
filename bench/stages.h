/* stages.h: `lockstep-bench plan`, `journal` and `scale`: the stages of a wave one by one, in this
 * process (work.h). Each case runs in a child, so that its memory is its own and is given back. */
#ifndef LS_BENCH_STAGES_H
#define LS_BENCH_STAGES_H

#include "bench/report.h"

struct bench_stages_options {
    uint32_t followers_max; /* scale and plan: the largest case, [1000, 2^20] */
    uint32_t rounds;        /* waves of a small case; large ones run fewer */
    int cpu, other_cpu;     /* -1 = the first two this process may use */
};

/* Each measures into `report` (begun by the caller) and says on stderr which case it is at.
 *   returns  IPC_OK, else with a sentence */
LS_MUST_USE enum ipc_rc bench_plan_run(const struct bench_stages_options *options,
    struct bench_report *report, struct ipc_error *error);
LS_MUST_USE enum ipc_rc bench_journal_run(const struct bench_stages_options *options,
    struct bench_report *report, struct ipc_error *error);
LS_MUST_USE enum ipc_rc bench_scale_run(const struct bench_stages_options *options,
    struct bench_report *report, struct ipc_error *error);

#endif
