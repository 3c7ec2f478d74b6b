/* recovery.h: what an engine does with its journal before anything else: folds every fact, makes
 * the old segments durable, opens a new segment and writes the OPEN fact (ORDER-SAFETY 3.4).
 *
 * Idempotent: killed anywhere and started again it folds the same facts, because it changes nothing
 * in the old segments; a life that wrote nothing leaves an empty segment, which is legal. Nothing
 * is sent before it has returned. Start-up thread. */
#ifndef LS_ENGINE_RECOVERY_H
#define LS_ENGINE_RECOVERY_H

#include "engine/checkpoint.h"
#include "engine/core/step.h"
#include "engine/journal.h"
#include "ipc/journal_reader.h"

/* The state that facts are folded into: the core, or a test's model. */
struct eng_recovery_fold {
    /* apply takes one fact, exactly as live: eng_apply.
     *   maybe    it was found behind a hole: it may have been sent, and counts as such
     *   returns  IPC_OK; else recovery stops: no correct engine wrote that fact */
    enum ipc_rc (*apply)(void *context, const struct eng_frame *frame, bool maybe);
    /* recovered is told that all is folded, before the OPEN fact is written: it fills in state_hash
     * and unknown_children (in flight at the crash; applying the OPEN marks them UNKNOWN). */
    void (*recovered)(void *context, struct ipc_fact_open *out);
    /* restore puts the state of a checkpoint in the place of the empty one; NULL = every fact is
     * folded. What it leaves when it refuses is emptied by reset.
     *   returns  IPC_OK with *out; else this checkpoint is passed over */
    enum ipc_rc (*restore)(void *context, int directory_fd, uint32_t shard, uint64_t lsn,
        struct eng_checkpoint_about *out);
    void (*reset)(void *context);
    uint64_t until_lsn; /* last fact that is folded; 0 = all */
    void *context;
};

/* eng_recovery_fold_core folds into a core that has just been initialised, from the first fact on.
 */
struct eng_recovery_fold eng_recovery_fold_core(struct eng_core *core);

/* A core and what it was made of, so that it can be emptied, or be put back from a checkpoint. */
struct eng_recovery_core {
    struct eng_core *core;
    struct eng_core_limits limits;
    struct eng_core_config config;
};

/* eng_recovery_fold_restored begins with the newest checkpoint that is right.
 *   keeper  stays the caller's until the fold is over; its core has just been initialised */
struct eng_recovery_fold eng_recovery_fold_restored(struct eng_recovery_core *keeper);

/* eng_recovery_about fills what a checkpoint says of a state that eng_recovery_read has just
 * folded: all but lsn, frame_crc and segment_no, which are in *result. */
void eng_recovery_about(
    const struct eng_recovery_core *keeper, uint32_t shard, struct eng_checkpoint_about *out);

struct eng_recovery_result {
    struct ipc_fact_open open; /* as written and applied */
    uint64_t open_lsn;
    uint64_t frames, frames_from_disk, frames_repaired, frames_maybe;
    uint64_t frames_unfit; /* of frames_maybe: their state is in the hole, so they are not folded */
    uint64_t holes;
    uint64_t folded_bytes;   /* of the frames that were folded */
    uint64_t checkpoint_lsn; /* of the checkpoint that the fold began with, 0 = none */
    uint32_t
        checkpoints_refused; /* newer ones that were passed over; `refused` says why the newest */
    struct ipc_error refused;
    uint64_t last_lsn, last_segment_no; /* of the last fact folded, 0 = none */
    uint32_t last_crc;                  /* of its frame */
    char cluster_id[64]; /* of the newest life that had one, "" = none: identities derive from it */
    bool is_new;         /* there was no journal */
    bool same_boot;      /* the last fact is of this boot */
    bool reconcile_all;  /* everything must be asked at the brokers before the next entry: another
                            boot, a hole, or a lost tail that may have been sent */
    int64_t elapsed_ns;
};

/* eng_recovery_read folds what a journal has and changes nothing: for whoever looks at the state
 * beside a live engine, or after it. The OPEN fact of *out is not filled.
 *   options  with take_complete for a journal that nobody writes; without it only frames that are
 *            committed are folded, and what lies behind them is not judged
 *   returns  IPC_OK; IPC_NOT_FOUND when there is no journal; else as eng_recovery_run */
LS_MUST_USE enum ipc_rc eng_recovery_read(const struct ipc_journal_reader_options *options,
    const struct eng_recovery_fold *fold, struct eng_recovery_result *out, struct ipc_error *error);

/* eng_recovery_run folds, starts the journal's new life and writes the OPEN fact, which is applied
 * too.
 *   journal   from eng_journal_open
 *   now_...   this moment, for the OPEN fact
 *   returns   IPC_OK; IPC_BAD_CRC when a committed fact of this boot is damaged (nothing was
 *             changed; *error says where and what a person can do); IPC_BAD_INPUT when the fold
 *             refuses a fact that does not lie behind a hole; IPC_GONE when the beginning is
 * missing; IPC_SYSTEM */
LS_MUST_USE enum ipc_rc eng_recovery_run(struct eng_journal *journal,
    const struct eng_recovery_fold *fold, int64_t now_mono_ns, int64_t now_wall_ns,
    struct eng_recovery_result *out, struct ipc_error *error);

#endif
