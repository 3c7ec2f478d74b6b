/* flatten_private.h: the part of flatten.h that apply calls. */
#ifndef LS_ENGINE_CORE_FLATTEN_PRIVATE_H
#define LS_ENGINE_CORE_FLATTEN_PRIVATE_H

#include "engine/core/core_private.h"
#include "engine/core/flatten.h"

/* eng_flatten_list notes a position that was made in this slot: once, ever. Twice would make a ring of
 * the list. */
void eng_flatten_list(struct eng_core *core, uint32_t position, uint32_t slot);

/* eng_flatten_mark folds a LIMIT fact of act FLATTEN, which was checked. */
void eng_flatten_mark(struct eng_core *core, const struct ipc_fact_limit *fact);

/* eng_flatten_event folds an EVENT fact of transition FOLLOW_UP.
 *   order    of its key, ENG_NONE when there is none yet
 *   returns  IPC_BAD_INPUT when it cannot be one of ours: nothing was changed */
LS_MUST_USE enum ipc_rc eng_flatten_event(
    struct eng_core *core, const struct eng_frame *frame, uint32_t order);

/* eng_flatten_look: a child of a marked position changed; ends the wish when nothing is left. */
void eng_flatten_look(struct eng_core *core, uint32_t position);

/* eng_flatten_opens: a marked position is opened anew.
 *   returns  true when the wish ended by it: all that is held is being closed already */
bool eng_flatten_opens(struct eng_core *core, uint32_t position);

#endif
