/* copied.h: what an account holds by the fold of our own fills, for a comparison with its broker
 * (ORDER-SAFETY 3.6, 7). Nothing here changes anything: a difference is an incident for a person.
 * Pure; one thread, the engine's pinned thread. */
#ifndef LS_ENGINE_CORE_COPIED_H
#define LS_ENGINE_CORE_COPIED_H

#include "engine/core/step.h"

struct eng_copied {
    uint32_t follower_no, instrument; /* that it trades */
    uint8_t product;                  /* enum ipc_product */
    int64_t qty_e8;                   /* signed, not 0 */
};

/* eng_copied_next finds the next copied position that is not zero, of a follower of the account as
 * the adopted view has it.
 *   cursor   the caller's, 0 at first
 *   max      positions looked at, at most
 *   returns  true with *out filled; false when `max` were looked at, or with *cursor 0 when all
 *            were */
LS_MUST_USE bool eng_copied_next(const struct eng_core *core, uint32_t account, uint32_t *cursor,
    uint32_t max, struct eng_copied *out);

#endif
