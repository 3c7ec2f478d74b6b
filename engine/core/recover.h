/* recover.h: what a restart does to the state after folding, and how a stored decision is decided
 * again.
 *
 * Recovery folds facts and never decides. The OPEN fact that the new process writes marks what was
 * in flight UNKNOWN(recovery): its bytes may have left. What waited in a queue provably did not
 * leave and is decided by its age like any other; monotonic times of another boot are infinitely
 * old. Reconciliation starts from the states that this leaves. */
#ifndef LS_ENGINE_CORE_RECOVER_H
#define LS_ENGINE_CORE_RECOVER_H

#include "engine/core/core_private.h"

/* eng_recover_open folds an OPEN fact of this moment. */
enum ipc_rc eng_recover_open(
    struct eng_core *core, const struct ipc_fact_open *fact, int64_t mono_ns);

/* eng_recover_bind puts queued children and the calls of before the restart to their accounts: the
 * last step of the first adopt. */
void eng_recover_bind(struct eng_core *core);

/* eng_recover_batch makes a stored BATCH fact's batch and samples again, so that deciding with
 * them over the state before it must give the same bytes (--verify-journal).
 *   children  fact->child_count of them
 *   mono_ns, wall_ns  of the frame
 *   samples   room for IPC_BATCH_CHILDREN_MAX
 *   returns   IPC_OK; IPC_NOT_FOUND when the order or a settled child is not in the state */
LS_MUST_USE enum ipc_rc eng_recover_batch(const struct eng_core *core,
    const struct ipc_fact_batch *fact, const struct ipc_fact_child *children, int64_t mono_ns,
    int64_t wall_ns, struct eng_batch *batch, struct eng_batch_sample *batch_sample,
    struct eng_follower_sample *samples);

#endif
