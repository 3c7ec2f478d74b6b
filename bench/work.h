/* work.h: one shard's stages in this process, without threads and sockets: a published snapshot of
 * any number of followers, adopted by the engine's own adopter; its core; its journal, with the
 * scribe; connections into a sink. For measurements that a real engine process cannot give stage by
 * stage, or not for a million followers.
 *
 * One thread calls everything; two works may run in two threads. */
#ifndef LS_BENCH_WORK_H
#define LS_BENCH_WORK_H

#include "bench/sink.h"
#include "engine/adopt.h"
#include "engine/core/step.h"
#include "engine/journal.h"
#include "ipc/clock.h"

struct bench_work_options {
    uint32_t followers;   /* of one master, [1, 2^20] */
    uint32_t connections; /* of the sink, shared by all; 0 = plan and apply only */
    uint32_t token_bytes; /* of each bearer, >= 1: an account without one is skipped */
    uint32_t waves;       /* that will be run: sizes the tables */
    bool mixed;           /* modes, caps and settings of all kinds in turn, else FIXED_RATIO */
    bool journal;         /* into tmpfs, copied by a scribe to the temporary directory */
    enum eng_tier tier;
};

/* Ticks of the time stamp counter, summed over the batches of one wave. */
struct bench_work_cost {
    uint64_t plan, journal, apply, encode, seal;
    uint64_t first; /* from the wave's start until the first batch was sealed */
    uint64_t records, cipher_bytes, journal_bytes;
    uint32_t batches, orders;
};

struct bench_work;

/* bench_work_open publishes the snapshot and makes everything else.
 *   returns  IPC_OK, or a sentence and *out NULL. bench_work_close takes all of it away again */
LS_MUST_USE enum ipc_rc bench_work_open(
    struct bench_work **out, const struct bench_work_options *options, struct ipc_error *error);
void bench_work_close(struct bench_work *work);

/* bench_work_adopt takes the newest generation over, as porter and pinned thread do.
 *   prepare_ns  until it could be offered: copying, checking, opening tokens, header blocks
 *   swap_ns     of the pinned thread's part: the fact, its folding, and the new rows */
LS_MUST_USE enum ipc_rc bench_work_adopt(
    struct bench_work *work, int64_t *prepare_ns, int64_t *swap_ns, struct ipc_error *error);

/* bench_work_change publishes a generation in which one follower's ratio differs.
 *   publish_ns  of the publisher */
LS_MUST_USE enum ipc_rc bench_work_change(
    struct bench_work *work, int64_t *publish_ns, struct ipc_error *error);

/* bench_work_wave runs one new order of the master through all followers.
 *   cost  filled */
void bench_work_wave(struct bench_work *work, struct bench_work_cost *cost);

/* bench_work_order begins a wave and leaves it there; bench_work_plan_first decides its next batch
 * and applies nothing: the work of `plan` alone. It returns the followers decided. */
void bench_work_order(struct bench_work *work);
uint32_t bench_work_plan_first(struct bench_work *work);

/* bench_work_own_bytes is the private memory that is not the engine's for its followers: the
 * publisher's image, and the table of the day's orders. */
double bench_work_own_bytes(const struct bench_work *work);

const struct ipc_clock *bench_work_clock(const struct bench_work *work);

#endif
