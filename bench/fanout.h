/* fanout.h: `lockstep-bench fanout`: from the event read in the ring to the first, median and last
 * follower's order accepted by the kernel, beside the floor of the same run.
 *
 * Each scenario (lanes, bearer, edge) has an engine process of its own. Its rounds alternate: one
 * event through the engine, one single order of the floor, one whole wave of the floor. */
#ifndef LS_BENCH_FANOUT_H
#define LS_BENCH_FANOUT_H

#include "bench/machine.h"
#include "bench/stats.h"

#include <stdio.h>

#define BENCH_SCENARIOS_MAX 16u

struct bench_fanout_options {
    uint32_t followers, rounds, pool_connections;
    const char *lanes;        /* "own", "shared" or "all" */
    const char *io;           /* "uring", "epoll" or "all" */
    uint32_t bearer;          /* 0 = 64 and 1,100 */
    int engine_cpu, peer_cpu; /* -1 = the first two this process may use */
    double seconds_max;       /* for everything; scenarios are shortened to fit */
    bool keep;
};

/* What one scenario gave; times in microseconds, one value per round. */
struct bench_fanout_result {
    bool own_lanes;
    uint32_t token_bytes;
    const char *io;
    char cipher[40];
    uint32_t sessions, order_bytes;
    /* engine, from the intended time of the event */
    struct bench_series hop, first, median, last, parsed, lag;
    /* engine, from the event's read in the ring: what is compared with the floor */
    struct bench_series read_first, read_median, read_last;
    struct bench_series decide, journal, encode, seal, send;
    struct bench_series sends, records, batches;
    /* floor, and engine / floor of the same round */
    struct bench_series floor_first, floor_median, floor_last;
    struct bench_series ratio_first, ratio_median, ratio_last;
    struct bench_series floor_sends, floor_records;
    struct bench_sentinel before, after;
    uint64_t preemptions; /* of the pinned thread, in the rounds */
    char noise[200];      /* "" = believable */
};

struct bench_fanout {
    struct bench_fanout_options options;
    struct bench_machine machine;
    struct bench_fanout_result *results;
    uint32_t result_count;
    double seconds;
};

/* bench_fanout_run runs every scenario, saying on stderr which one it is at.
 *   returns  IPC_OK, also when noisy; else with a sentence */
LS_MUST_USE enum ipc_rc bench_fanout_run(struct bench_fanout *fanout, struct ipc_error *error);

/* The results as a table for people, or as one JSON object. */
void bench_fanout_print(const struct bench_fanout *fanout, FILE *out);
void bench_fanout_json(const struct bench_fanout *fanout, FILE *out);

#endif
