/* recovery.h: what an engine does with its journal before anything else: folds every fact, makes
 * the old segments durable, opens a new segment and writes the OPEN fact (ORDER-SAFETY 3.4).
 *
 * Idempotent: killed anywhere and started again it folds the same facts, because it changes nothing
 * in the old segments; a life that wrote nothing leaves an empty segment, which is legal. Nothing
 * is sent before it has returned. Start-up thread. */
#ifndef LS_ENGINE_RECOVERY_H
#define LS_ENGINE_RECOVERY_H

#include "engine/journal.h"

/* The state that facts are folded into: the core, or a test's model. */
struct eng_recovery_fold {
    /* apply takes one fact, exactly as live (eng_apply). maybe: it was found behind a hole; it may
     * have been sent and counts as such. Returns false when the fact cannot be (a fact that no
     * correct engine wrote): recovery stops. */
    bool (*apply)(void *context, enum ipc_fact_type type, const void *payload,
        uint32_t payload_bytes, uint32_t count, uint64_t lsn, int64_t mono_ns, bool maybe);
    /* in_flight counts the children whose bytes may have left without an answer: the OPEN fact
     * marks them UNKNOWN when it is applied. */
    uint32_t (*in_flight)(void *context);
    /* state_hash of everything folded so far. */
    uint64_t (*state_hash)(void *context);
    void *context;
};

struct eng_recovery_result {
    struct ipc_fact_open open; /* as written and applied */
    uint64_t open_lsn;
    uint64_t frames, frames_from_disk, frames_repaired, frames_maybe;
    uint64_t holes;
    bool is_new;        /* there was no journal */
    bool same_boot;     /* the last fact is of this boot */
    bool reconcile_all; /* everything must be asked at the brokers before the next entry: another
                           boot, a hole, or a lost tail that may have been sent */
    int64_t elapsed_ns;
};

/* eng_recovery_run folds, starts the journal's new life and writes the OPEN fact, which is applied
 * too.
 *   journal   from eng_journal_open
 *   now_...   this moment, for the OPEN fact
 *   returns   IPC_OK; IPC_BAD_CRC when a committed fact of this boot is damaged (nothing was
 *             changed; *error says where and what a person can do); IPC_BAD_INPUT when the fold
 *             refuses a fact; IPC_GONE when the beginning is missing; IPC_SYSTEM */
LS_MUST_USE enum ipc_rc eng_recovery_run(struct eng_journal *journal,
    const struct eng_recovery_fold *fold, int64_t now_mono_ns, int64_t now_wall_ns,
    struct eng_recovery_result *out, struct ipc_error *error);

#endif
