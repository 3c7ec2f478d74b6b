/* load.h: `lockstep-bench burst`, `sustained` and `restart`: a real engine under many events, and
 * after its death. */
#ifndef LS_BENCH_LOAD_H
#define LS_BENCH_LOAD_H

#include "bench/report.h"

struct bench_load_options {
    uint32_t followers; /* burst, sustained: [1, 5000]; restart: [1, 131072] */
    uint32_t events_a_second;
    uint32_t behind_followers; /* sustained: of the wave that an exit waits behind; 0 = not run */
    uint32_t pool_connections;
    double seconds;           /* how long events come */
    uint32_t kills;           /* restart */
    const char *io;           /* "uring" or "epoll" */
    int engine_cpu, peer_cpu; /* -1 = the first two this process may use */
    bool keep;
};

/* Each measures into `report` (begun by the caller).
 *   returns  IPC_OK; else with a sentence: orders that were lost or sent twice are a failure, not
 *            a figure */
LS_MUST_USE enum ipc_rc bench_burst_run(
    const struct bench_load_options *options, struct bench_report *report, struct ipc_error *error);
LS_MUST_USE enum ipc_rc bench_sustained_run(
    const struct bench_load_options *options, struct bench_report *report, struct ipc_error *error);
LS_MUST_USE enum ipc_rc bench_restart_run(
    const struct bench_load_options *options, struct bench_report *report, struct ipc_error *error);

#endif
