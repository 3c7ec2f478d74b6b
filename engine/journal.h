/* journal.h: the engine's journal, writer's side (ORDER-SAFETY 3.4, DESIGN 6).
 *
 *     eng_journal_open -> eng_recovery_run (engine/recovery.h) -> begin/commit ... -> close
 *
 * Threads: everything here belongs to the pinned thread, except open, start and close (start-up and
 * shutdown, one thread) and what is marked otherwise. The scribe (engine/scribe.h) runs beside it.
 *
 * What always holds:
 * - begin and commit make no system call, allocate nothing and take no lock. A frame is complete
 *   when its `length` is stored (release); before that nobody sees it, after that it survives any
 *   death of the process.
 * - A segment in memory is used again only when every frame in it is durable on disk, so the memory
 *   ring never overwrites what the disk does not have. When it runs low, entries stop
 *   (eng_journal_takes_entries) and the reserve is left to exits, cancels and replies.
 * - One engine per journal: the file `owner` in both directories is locked (OFD), and its
 *   generation is checked before entries.
 *
 * Files: <memory_directory>/journal.<shard>/segment.NNNNNNNNNN and the same under disk_directory.
 */
#ifndef LS_ENGINE_JOURNAL_H
#define LS_ENGINE_JOURNAL_H

#include "engine/config.h"
#include "ipc/journal_format.h"

struct eng_journal;
struct eng_scribe_system; /* engine/scribe.h */

#define ENG_JOURNAL_SEGMENT_BYTES_MIN (192u * 1024u) /* header and at least two largest frames */
#define ENG_JOURNAL_SEGMENT_BYTES_MAX (1u << 30)
#define ENG_JOURNAL_SEGMENTS_MIN      3u
#define ENG_JOURNAL_SEGMENTS_MAX      64u

struct eng_journal_config {
    char
        memory_directory[192]; /* of the instance, in tmpfs: /dev/shm/lockstep.<instance>; exists */
    char disk_directory[192];  /* of the instance on disk; made with its parents when missing */
    char cluster_id[64];       /* for the OPEN fact */
    uint32_t shard;
    uint32_t segment_bytes; /* a multiple of 4096, [MIN, MAX] above */
    uint32_t segment_count; /* segments in memory, [3, 64] */
    uint32_t reserve_bytes; /* kept for exits, cancels and replies; 0 = a quarter of the ring */
    uint32_t sync_ms;       /* a frame is durable at most this long after its commit plus the time
                               of one fdatasync; 0 = 10 */
    enum eng_tier tier;
    bool lock_memory;        /* mlock must succeed; false (tests) = tried, not required */
    bool accept_corrupt;     /* a person has decided: go on past a damaged place of this boot */
    uint8_t engine_uuid[16]; /* zeros = drawn by eng_journal_open */
    uint8_t boot_id[16];     /* zeros = of this boot; another one only in tests */
    const struct eng_scribe_system *system; /* disk calls, NULL = the real ones */
};

/* eng_journal_config_fill takes what the engine's configuration says.
 *   instance_directory  the instance's directory in shared memory
 *   The disk directory becomes <config->journal_directory>/lockstep.<config->instance>. */
LS_MUST_USE enum ipc_rc eng_journal_config_fill(struct eng_journal_config *out,
    const struct eng_config *config, const char *instance_directory, const char *cluster_id,
    struct ipc_error *error);

/* eng_journal_open makes the directories if needed, takes the locks of both and raises the
 * generation. Nothing is read or written beyond that; eng_recovery_run goes on.
 *   returns IPC_OK and *out (to be closed), else *out is NULL and *error says why: IPC_BUSY
 *           another engine has it, IPC_BAD_INPUT, IPC_SYSTEM
 *   thread  start-up; allocates */
LS_MUST_USE enum ipc_rc eng_journal_open(
    const struct eng_journal_config *config, struct eng_journal **out, struct ipc_error *error);

/* Where a new life begins; eng_recovery_run fills it. */
struct eng_journal_start {
    uint64_t segment_no;   /* of the first new segment, above every number seen, >= 1 */
    uint64_t next_lsn;     /* >= 1 */
    uint32_t previous_crc; /* of the last frame taken, 0 for a new journal */
    bool disk_failed;      /* the old segments could not be made durable: entries stay stopped */
    char disk_failed_text[160];
};

/* eng_journal_start makes, fills, locks and faults in the segments and starts the first one. Called
 * by eng_recovery_run, and by tests of the journal alone.
 *   returns IPC_OK; IPC_SYSTEM when memory or the directory refuse, with the sentence in *error */
LS_MUST_USE enum ipc_rc eng_journal_start(
    struct eng_journal *journal, const struct eng_journal_start *start, struct ipc_error *error);

/* eng_journal_clock gives the times that the next frames carry; once a turn. */
void eng_journal_clock(struct eng_journal *journal, int64_t mono_ns, int64_t wall_ns);

/* eng_journal_begin gives the place of the next frame's payload.
 *   type         enum ipc_fact_type
 *   max_payload  bytes that the caller may write there, [0, IPC_FRAME_BYTES_MAX - 64]
 *   returns      memory in the segment, 64-byte aligned, valid until commit or the next begin (a
 *                begin that is not committed leaves no trace); NULL when the ring is full even for
 *                exits: nothing may be sent then, and the caller tries again next turn */
LS_MUST_USE void *eng_journal_begin(
    struct eng_journal *journal, enum ipc_fact_type type, uint32_t max_payload);

/* eng_journal_commit completes the frame of the last begin: CRC, then `length` with release.
 *   payload_bytes  [0, max_payload]
 *   count          elements in the payload, for lists; else 1
 *   returns        its lsn. What the frame intends may be given to TLS only after this returns */
uint64_t eng_journal_commit(struct eng_journal *journal, uint32_t payload_bytes, uint32_t count);

/* eng_journal_append is begin, a copy, and commit.
 *   returns the lsn, or 0 when begin gave NULL */
LS_MUST_USE uint64_t eng_journal_append(struct eng_journal *journal, enum ipc_fact_type type,
    const void *payload, uint32_t payload_bytes, uint32_t count);

/* eng_journal_takes_entries says whether orders that open may be decided: the disk works, and more
 * than the reserve is free. Costs two loads. It turns true again by itself only after BEHIND, with
 * some distance to the reserve; after a disk error only a restart of the engine helps. */
bool eng_journal_takes_entries(struct eng_journal *journal);

/* eng_journal_room returns how many payload bytes surely fit now, in frames of any size. */
uint64_t eng_journal_room(const struct eng_journal *journal);

/* eng_journal_last_lsn returns the lsn of the last committed frame; 0 = none. */
uint64_t eng_journal_last_lsn(const struct eng_journal *journal);

/* eng_journal_durable_lsn returns the last lsn that is on disk. Any thread. */
uint64_t eng_journal_durable_lsn(const struct eng_journal *journal);

/* eng_journal_is_durable says whether what the frame `lsn` intends may leave: always true in tier
 * process; in tier power when the disk has it. When it is not yet, the scribe is asked for it (a
 * store, and a futex wake when it sleeps). After a disk error it stays false for what is not on
 * disk: entries that wait then never leave (the caller ends them), and exits leave from memory
 * alone when eng_journal_state is DISK_FAILED. */
bool eng_journal_is_durable(struct eng_journal *journal, uint64_t lsn);

/* eng_journal_turn_page lets the next frame begin a new segment, if one can be spared: the one that
 * is left is complete and can be sealed. A segment without a frame is not left. */
void eng_journal_turn_page(struct eng_journal *journal);

/* eng_journal_mark_day tells whoever seals and checkpoints that the DAY fact `lsn` was committed;
 * eng_journal_day returns the newest one of this life, 0 = none. The latter from any thread. */
void eng_journal_mark_day(struct eng_journal *journal, uint64_t lsn, uint32_t ended_day);
uint64_t eng_journal_day(const struct eng_journal *journal);

enum ipc_journal_state eng_journal_state(const struct eng_journal *journal);

/* eng_journal_alarm reports each change of state once; call it once a turn.
 *   returns true and *out filled (JOURNAL_FULL or DISK, with one sentence), to be journaled,
 * counted and logged; false when nothing changed. A return to OK is not an alarm: see
 *           eng_journal_state. */
LS_MUST_USE bool eng_journal_alarm(struct eng_journal *journal, struct ipc_fact_alarm *out);

/* Counters for the metrics page: plain reads of the pinned thread's own numbers. */
struct eng_journal_counters {
    uint64_t frames, payload_bytes, rolls, refused_begins, entry_stops;
};
const struct eng_journal_counters *eng_journal_counters(const struct eng_journal *journal);

/* eng_journal_config_of, eng_journal_generation: what it was opened with. */
const struct eng_journal_config *eng_journal_config_of(const struct eng_journal *journal);
uint64_t eng_journal_generation(const struct eng_journal *journal);

/* eng_journal_close unmaps, drops the locks and frees. Segments stay for the next life. The scribe
 * must have been stopped. NULL is allowed. */
void eng_journal_close(struct eng_journal *journal);

#endif
