/* ring_bench.h: `lockstep-bench ring`: the hop from an adapter to the engine, across processes:
 * one way, there and back, and throughput of 1, 2 and 8 producers, beside a bare ping-pong of one
 * shared word on the same two processors. */
#ifndef LS_BENCH_RING_BENCH_H
#define LS_BENCH_RING_BENCH_H

#include "bench/report.h"

struct bench_ring_options {
    uint32_t rounds;          /* of each ping-pong, [1000, 10^7] */
    uint32_t records;         /* of each throughput run, all producers together */
    int engine_cpu, peer_cpu; /* -1 = the first two this process may use */
};

/* bench_ring_run measures into `report` (begun by the caller).
 *   returns  IPC_OK, else with a sentence */
LS_MUST_USE enum ipc_rc bench_ring_run(
    const struct bench_ring_options *options, struct bench_report *report, struct ipc_error *error);

#endif
