/* waves.h: what became of each wave, one record per wave, kept for the last 1,024: the source of
 * the demo's table and of `lockstepctl top`, so that nobody has to ask the pinned thread.
 *
 * File `waves.<shard>`. One writer, the shard's pinned thread, which writes a record when the last
 * reply of a wave is parsed. A record is a seqlock (seqlock.h): readers in any process copy it and
 * retry; a record that was overwritten meanwhile is recognised by its number. */
#ifndef LS_IPC_WAVES_H
#define LS_IPC_WAVES_H

#include "ipc/rc.h"
#include "ipc/region.h"
#include "ipc/vocab.h"

#define IPC_WAVES_KEPT 1024u /* a power of two */

/* All times in nanoseconds; `_ns` are spans from the moment the event was published in its ring.
 * The three ends are never mixed: accepted = the kernel took the order's last byte, parsed = its
 * reply was decoded. */
struct ipc_wave_record {
    uint64_t number; /* records counted by the writer, from 1 */
    uint64_t wave;   /* wave number of the facts */
    uint64_t event_lsn;
    struct ipc_key order_key;
    int64_t published_mono_ns, finished_wall_ns;
    int64_t read_ns;                                                 /* out of the ring */
    int64_t first_accepted_ns, median_accepted_ns, last_accepted_ns; /* 0 = nothing was sent */
    int64_t parsed_ns;                                               /* last reply; 0 = none */
    int64_t decide_ns, journal_ns, encode_ns, seal_ns, send_ns;      /* summed over its batches */
    uint32_t master, instrument;
    uint32_t followers; /* visited */
    uint32_t sent;      /* requests whose bytes left, a second attempt counted once */
    uint32_t acked, rejected, unknown, not_sent;
    uint32_t skipped;
    uint32_t waiting; /* wait for the reply to an earlier request; they follow outside the wave */
    uint32_t queued;  /* of the followers, those that left later than the wave's turn */
    uint32_t batches, sends, records;
    uint64_t bytes;      /* sealed */
    uint32_t transition; /* enum ipc_transition */
    uint32_t is_exit;
};
#define IPC_WAVE_WORDS (sizeof(struct ipc_wave_record) / 8)
_Static_assert(sizeof(struct ipc_wave_record) % 8 == 0, "wave record is whole words");

struct ipc_waves {
    struct ipc_waves_body *body;
    struct ipc_region region;
};

/* ipc_waves_create makes the shard's file anew.
 *   returns  IPC_OK; IPC_BAD_INPUT; IPC_SYSTEM. Close with ipc_waves_close. */
LS_MUST_USE enum ipc_rc ipc_waves_create(
    const struct ipc_shm *shm, uint32_t shard, struct ipc_waves *waves, struct ipc_error *error);

/* ipc_waves_open attaches read-only: IPC_OK, IPC_NOT_FOUND, IPC_BAD_*, IPC_SYSTEM. */
LS_MUST_USE enum ipc_rc ipc_waves_open(
    const struct ipc_shm *shm, uint32_t shard, struct ipc_waves *waves, struct ipc_error *error);
void ipc_waves_close(struct ipc_waves *waves);

/* ipc_waves_put appends a record; sets record->number. Wait-free; the writer's thread only. */
void ipc_waves_put(struct ipc_waves *waves, struct ipc_wave_record *record);

/* ipc_waves_last returns the number of the newest record, 0 = none. */
uint64_t ipc_waves_last(const struct ipc_waves *waves);

/* ipc_waves_get copies record `number`.
 *   returns IPC_OK; IPC_NOT_FOUND not written yet, or overwritten; IPC_TORN try again */
LS_MUST_USE enum ipc_rc ipc_waves_get(
    const struct ipc_waves *waves, uint64_t number, struct ipc_wave_record *out);

#endif
