/* rig.h: the product under measurement: a real engine process, adopted and warm, its shared memory
 * and files in places of its own, and the peer it sends to.
 *
 * Started by exec from the directory of this program; ended by its own process id. The engine stops
 * (SIGSTOP) while the floor runs on its processor, so both are measured on the same one. */
#ifndef LS_BENCH_RIG_H
#define LS_BENCH_RIG_H

#include "bench/files.h"
#include "bench/peer.h"
#include "ipc/waves.h"

struct bench_rig_options {
    uint32_t
        followers; /* of the first master, [1, 131072]; own lanes at most BENCH_FOLLOWERS_MAX */
    uint32_t pool_connections;
    uint32_t token_bytes; /* of each follower's bearer */
    uint32_t rounds;      /* that will be run: sizes the tables */
    bool own_lanes;
    bool simulator;     /* orders go to lockstep-brokersim, its rate limits off, not to the peer */
    bool second_master; /* account followers + 2 with one follower, number followers + 1 */
    const char *io;     /* "uring" or "epoll" */
    int engine_cpu, peer_cpu;
    bool keep; /* leave files for a look */
};

struct bench_rig {
    struct bench_rig_options options;
    char directory[BENCH_PATH_BYTES], binaries[256], instance[40];
    struct bench_peer peer;
    struct ipc_shm shm;
    struct ipc_waves waves;
    pid_t engine, simulator; /* 0 or less = none */
    uint16_t simulator_port, simulator_admin_port;
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

/* bench_rig_event makes the next new order of a master (1, or followers + 2): what is published in
 * a round or a series. */
struct ipc_event bench_rig_event(struct bench_rig *rig, uint32_t master);

/* bench_rig_identify gives an event another account's order id, and the key that belongs to it. */
void bench_rig_identify(struct ipc_event *event, uint32_t account, const char *broker_order_id);

/* bench_rig_publish publishes one event at once and waits for its wave's record, as a round. */
LS_MUST_USE enum ipc_rc bench_rig_publish(struct bench_rig *rig, const struct ipc_event *event,
    struct ipc_wave_record *record, struct ipc_error *error);

/* bench_rig_series publishes `count` new orders of the first master, one each interval.
 *   count  at most BENCH_SERIES_MAX */
void bench_rig_series(
    struct bench_rig *rig, uint32_t count, int64_t start_mono_ns, int64_t interval_ns);

/* bench_rig_record takes the next wave's record, when it is there: IPC_OK, IPC_EMPTY, or IPC_STALE
 * when records were overwritten before they were read. */
LS_MUST_USE enum ipc_rc bench_rig_record(struct bench_rig *rig, struct ipc_wave_record *record);

/* bench_rig_alive says whether the engine lives. */
bool bench_rig_alive(struct bench_rig *rig);

/* bench_rig_kill_engine ends it with SIGKILL; bench_rig_start_engine starts it again and returns at
 * once. */
void bench_rig_kill_engine(struct bench_rig *rig);
LS_MUST_USE enum ipc_rc bench_rig_start_engine(struct bench_rig *rig, struct ipc_error *error);

/* The engine's threads stand still, or go on. False when it has ended. */
LS_MUST_USE bool bench_rig_stop_engine(struct bench_rig *rig);
void bench_rig_continue_engine(struct bench_rig *rig);

#endif
