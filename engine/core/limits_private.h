/* limits_private.h: the core's own side of money limits (limits.h): what they bar, and their fold.
 */
#ifndef LS_ENGINE_CORE_LIMITS_PRIVATE_H
#define LS_ENGINE_CORE_LIMITS_PRIVATE_H

#include "engine/core/limits.h"
#include "engine/core/money.h"

/* --- in force ----------------------------------------------------------------------------------
 */

/* eng_limits_may_bar is the cheap test of a wave: false means that nothing of this follower or its
 * account has tripped. slot may be NULL. */
static inline bool eng_limits_may_bar(const struct eng_core *core, const struct eng_slot *slot)
{
    return (slot != NULL && slot->tripped != 0) || core->money->fold.owner_trips != 0;
}
/* eng_limits_bar returns why openings of this follower may not go: its own trips and those of its
 * account; IPC_REASON_NONE when none is in force. */
enum ipc_reason eng_limits_bar(
    const struct eng_core *core, uint32_t slot, const struct ipc_row_follower *row);
/* eng_limits_batch_bar: the same for all followers of a master: its group, the shard. */
enum ipc_reason eng_limits_batch_bar(const struct eng_core *core, uint32_t master);

/* eng_limits_flatten says whether a trip in force, or the end of its subscription, wants the
 * follower's copied positions closed.
 *   returns  who wants it, for the fact; NULL when nothing does */
const char *eng_limits_flatten(
    const struct eng_core *core, uint32_t slot, const struct ipc_row_follower *row);

/* eng_limits_reason returns the reason that a tripped kind gives. */
enum ipc_reason eng_limits_reason(enum ipc_limit_kind kind);

/* --- apply -------------------------------------------------------------------------------------
 */

/* eng_limits_apply folds a LIMIT fact: IPC_OK, or IPC_BAD_INPUT and nothing changed. */
LS_MUST_USE enum ipc_rc eng_limits_apply(struct eng_core *core, const struct ipc_fact_limit *fact);

/* eng_limits_adopt lists the followers of this shard that have money limits. Derived. */
void eng_limits_adopt(struct eng_core *core);

/* eng_limits_step makes the LIMIT fact of an operator's act (IPC_EVENT_OPERATOR). */
void eng_limits_step(
    const struct eng_core *core, const struct ipc_event *event, struct eng_event_facts *out);

#endif
