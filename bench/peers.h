/* peers.h: `lockstep-bench peers`: the same orders to the same server by other means, interleaved
 * with the engine's rounds in one run: nghttp2 with OpenSSL and epoll, libcurl's multi interface,
 * Python's httpx. Compared where the kernel has accepted the bytes; replies parsed beside it. */
#ifndef LS_BENCH_PEERS_H
#define LS_BENCH_PEERS_H

#include "bench/machine.h"
#include "bench/stats.h"

#include <stdio.h>

#define BENCH_CLIENTS 4u /* the engine, then three peers */

struct bench_peers_options {
    uint32_t followers, rounds, pool_connections;
    uint32_t bearer;          /* 0 = 64 and 1,100 */
    const char *io;           /* "uring" or "epoll" */
    int engine_cpu, peer_cpu; /* -1 = the first two this process may use */
    double seconds_max;
};

/* One client's times of one scenario, microseconds from the intended time of each event. */
struct bench_client_result {
    struct bench_series first, median, last, parsed;
    struct bench_series times_engine; /* its last / the engine's last of the same round */
    struct bench_series sends;
    char missing[160]; /* why it did not run, "" = it ran */
};

struct bench_peers_result {
    uint32_t token_bytes;
    struct bench_client_result client[BENCH_CLIENTS];
    struct bench_sentinel before, after;
};

struct bench_peers {
    struct bench_peers_options options;
    struct bench_machine machine;
    struct bench_peers_result results[2];
    uint32_t result_count;
    double seconds;
};

/* bench_peers_run measures; a peer that cannot run here (no python3-httpx) is said so in its row.
 *   returns  IPC_OK; else with a sentence */
LS_MUST_USE enum ipc_rc bench_peers_run(struct bench_peers *peers, struct ipc_error *error);
void bench_peers_print(const struct bench_peers *peers, FILE *out);
void bench_peers_json(const struct bench_peers *peers, FILE *out);

#endif
