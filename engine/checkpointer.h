/* checkpointer.h: the thread that writes checkpoints.
 *
 * It never looks at the engine's own state. It folds: the newest checkpoint, then the facts behind
 * it up to the durable lsn, in memory of its own and with a core of its own, as recovery would; the
 * result is written, and the memory given back. The pinned thread pays nothing for it, not even a
 * load, and a checkpoint is what recovery would have folded, because that is how it was made.
 *
 * Timers: it looks every LOOK_MS. A checkpoint is due when `every_bytes` of facts became durable
 * since the newest one, when some did and it is `every_s` old, and when a market's day began
 * (eng_journal_day). It runs at the lowest priority. A failure is told once and tried again at the
 * next due time; nothing depends on it but the length of the next start. */
#ifndef LS_ENGINE_CHECKPOINTER_H
#define LS_ENGINE_CHECKPOINTER_H

#include "engine/journal.h"
#include "engine/recovery.h"

struct eng_checkpointer;

struct eng_checkpointer_config {
    struct eng_core_limits limits;
    struct eng_core_config core;
    uint64_t every_bytes; /* 0 = 64 MiB */
    uint32_t every_s;     /* 0 = 600 */
    int cpu;              /* processor that it is bound to, -1 = not bound */
};

/* eng_checkpointer_start starts the thread; the journal has been recovered.
 *   recovered  what the start folded without a checkpoint counts towards the first one
 *   returns    IPC_OK with *out; IPC_SYSTEM with the sentence in *error */
LS_MUST_USE enum ipc_rc eng_checkpointer_start(struct eng_journal *journal,
    const struct eng_checkpointer_config *config, const struct eng_recovery_result *recovered,
    struct eng_checkpointer **out, struct ipc_error *error);

/* eng_checkpointer_stop ends the thread (between two facts, if it is folding) and frees it. NULL is
 * allowed. */
void eng_checkpointer_stop(struct eng_checkpointer *checkpointer);

/* eng_checkpoint_make makes one checkpoint of what is durable now, in the caller's thread.
 *   config    of the journal; its directories
 *   until_lsn last fact in it, > 0 and durable
 *   stop      looked at between facts, NULL = never; set: nothing is written, IPC_BUSY
 *   returns   IPC_OK, *out_lsn is what it covers (that of the newest one, if nothing came since);
 *             as eng_recovery_read and eng_checkpoint_write otherwise */
LS_MUST_USE enum ipc_rc eng_checkpoint_make(const struct eng_journal_config *journal,
    const struct eng_checkpointer_config *config, uint64_t until_lsn, const _Atomic uint32_t *stop,
    uint64_t *out_lsn, struct ipc_error *error);

#endif
