/* rig.h: the product under measurement: a real engine process, adopted and warm, its shared memory
 * and files in places of its own, and the peer it sends to.
 *
 * Started by exec from the directory of this program; ended by its own process id. The engine stops
 * (SIGSTOP) while the floor runs on its processor, so both are measured on the same one. */
#ifndef LS_BENCH_RIG_H
#define LS_BENCH_RIG_H

#include "bench/peer.h"
#include "ipc/waves.h"

struct bench_rig_options {
    uint32_t followers; /* [1, BENCH_FOLLOWERS_MAX] */
    uint32_t pool_connections;
    uint32_t token_bytes; /* of each follower's bearer */
    uint32_t rounds;      /* that will be run: sizes the tables */
    bool own_lanes;
    const char *io; /* "uring" or "epoll" */
    int engine_cpu, peer_cpu;
    bool keep; /* leave files for a look */
};

struct bench_rig {
    struct bench_rig_options options;
    char directory[128], binaries[256], instance[40];
    struct bench_peer peer;
    struct ipc_shm shm;
    struct ipc_waves waves;
    pid_t engine;
    uint64_t wave_seen; /* newest record that was looked at */
    uint64_t event_number;
    bool has_shm, has_waves;
};

/* bench_rig_open starts everything and returns when each connection is warm.
 *   rig      zeroed; bench_rig_close in any case
 *   returns  IPC_OK; IPC_SYSTEM with a sentence */
LS_MUST_USE enum ipc_rc bench_rig_open(
    struct bench_rig *rig, const struct bench_rig_options *options, struct ipc_error *error);
void bench_rig_close(struct bench_rig *rig);

/* bench_rig_round publishes one new order of the master at `intended_mono_ns` and waits for its
 * wave's record.
 *   lag_ns   by how much the publication was late
 *   returns  IPC_OK with *record; IPC_STALE when no record came in 5 s; IPC_SYSTEM the engine or
 *            the peer ended. With a sentence. */
LS_MUST_USE enum ipc_rc bench_rig_round(struct bench_rig *rig, int64_t intended_mono_ns,
    struct ipc_wave_record *record, int64_t *lag_ns, struct ipc_error *error);

/* The engine's threads stand still, or go on. False when it has ended. */
LS_MUST_USE bool bench_rig_stop_engine(struct bench_rig *rig);
void bench_rig_continue_engine(struct bench_rig *rig);

#endif
