/* apply.h: the parts of eng_apply, one file each. Part of apply: the only writers of the state. */
#ifndef LS_ENGINE_CORE_APPLY_H
#define LS_ENGINE_CORE_APPLY_H

#include "engine/core/core_private.h"

/* eng_apply_batch folds a BATCH frame: intents, skips and changes of one order's copies.
 *   returns  IPC_BAD_INPUT when it cannot be one of ours; nothing was changed then */
LS_MUST_USE enum ipc_rc eng_apply_batch(struct eng_core *core, const struct eng_frame *frame);

/* eng_apply_release folds a RELEASE frame: queued children that go or end. Results as above. */
LS_MUST_USE enum ipc_rc eng_apply_release(struct eng_core *core, const struct eng_frame *frame);

/* eng_terms_known: the broker has the child's newest terms. */
static inline void eng_terms_known(struct eng_child *child)
{
    child->known_qty_e8 = child->qty_e8;
    child->known_price_e8 = child->price_e8;
    child->known_trigger_e8 = child->trigger_e8;
}

/* eng_terms_revert: the terms that the broker has stand. Only behind a hole in the journal are they
 * not known. */
static inline void eng_terms_revert(struct eng_child *child)
{
    if (LS_UNLIKELY(child->known_qty_e8 == 0))
        return;
    child->qty_e8 = child->known_qty_e8;
    child->price_e8 = child->known_price_e8;
    child->trigger_e8 = child->known_trigger_e8;
}

#endif
