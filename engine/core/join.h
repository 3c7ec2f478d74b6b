/* join.h: the monotone join of absolute order states (ORDER-SAFETY 3.1).
 *
 * Joining is commutative, associative and idempotent over the copied fields: terms are those of the
 * newest version, status and cumulative fill only go up. So duplicates, rescans, reordering and a
 * second feed end in the same state. Pure. */
#ifndef LS_ENGINE_CORE_JOIN_H
#define LS_ENGINE_CORE_JOIN_H

#include "engine/core/core_private.h"

/* Bits of what joining changed. */
#define ENG_JOIN_TERMS   1u /* quantity, price, trigger, type, product, validity or side */
#define ENG_JOIN_STATUS  2u
#define ENG_JOIN_FILLED  4u
#define ENG_JOIN_VERSION 8u /* only the version of equal terms rose */

/* eng_join_first makes the state of an order that was never seen; fields that are not the event's
 * (lsn, flags, digits text, position) are zero. */
void eng_join_first(const struct ipc_event *event, uint32_t era, struct eng_order *out);

/* eng_join joins one more state of the same order into *order.
 *   returns  bits of what changed, 0 = a duplicate */
unsigned eng_join(struct eng_order *order, const struct ipc_event *event, uint32_t era);

/* eng_join_transition names the change.
 *   before  the order before the join, NULL at first sight */
enum ipc_transition eng_join_transition(
    const struct eng_order *before, const struct eng_order *after, unsigned changed);

#endif
