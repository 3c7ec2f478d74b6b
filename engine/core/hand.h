/* hand.h: what the owner of a follower's account trades by hand: the orders of its feed that carry
 * no tag of ours (SEMANTICS 4.9).
 *
 * Copied positions are the fold of our own orders, apart from what the owner holds. But when he
 * sells what we bought, the account does not have it any more, and a close of all that was copied
 * would turn the account round. So each fill by hand is booked: against what he trades on his own
 * account first, then against copied positions of the other side, as `lost`: a close never takes
 * what is lost. What he buys back is found again. What is left of a position when all else of it is
 * closed is written off: it is drift, told by an alarm, and no part of the next position.
 *
 *     event -> eng_hand_step -> ACCOUNT fact -> journal -> eng_hand_apply
 *
 * What always holds
 * - an account without a feed has no hand orders: nothing is lost, nothing is clamped;
 * - what an account had traded before its first book was read is its owner's and was never copied:
 *   the base from which the rest counts;
 * - cumulative: a state that comes twice, late or out of order changes nothing;
 * - the decision reads the snapshot (which subscription an account has), the fold does not.
 * Pure; the engine's pinned thread. */
#ifndef LS_ENGINE_CORE_HAND_H
#define LS_ENGINE_CORE_HAND_H

#include "engine/core/core_private.h"

/* One of the owner's orders, as far as it was booked. */
struct eng_hand_order {
    struct ipc_key key;
    int64_t filled_e8; /* cumulative */
};

/* What the owner has of one instrument and product on his own account, since the first book. */
struct eng_hand_book {
    uint32_t account, instrument;
    uint64_t product; /* enum ipc_product */
    int64_t net_e8;   /* signed */
};

/* eng_hand_orders_max returns how many of the owners' orders are remembered in all; one more is an
 * alarm (CAPACITY) and is not booked. */
static inline uint32_t eng_hand_orders_max(const struct eng_core_limits *limits)
{
    return limits->order_max;
}

/* eng_hand_step books one state of an order that is not ours: an ACCOUNT fact, and an alarm where
 * copied quantity is lost by it. Adds nothing when it filled nothing new.
 *   event  of a follower's account, checked; FROM_BOOK while its first book is open = the base */
void eng_hand_step(
    const struct eng_core *core, const struct ipc_event *event, struct eng_event_facts *out);

/* eng_hand_apply folds an ACCOUNT fact.
 *   returns  IPC_OK; IPC_BAD_INPUT for what this state cannot have made */
LS_MUST_USE enum ipc_rc eng_hand_apply(struct eng_core *core, const struct eng_frame *frame);

/* eng_hand_look bounds what is lost of a position after something of it changed, and writes off
 * what is left when nothing else of it is held or works. Part of apply. */
void eng_hand_look_lost(struct eng_core *core, uint32_t position);
static inline void eng_hand_look(struct eng_core *core, uint32_t position)
{
    if (LS_UNLIKELY(core->positions[position].lost_e8 != 0))
        eng_hand_look_lost(core, position);
}

/* eng_hand_hash adds the fold of it to a hash. */
uint64_t eng_hand_hash(const struct eng_core *core, uint64_t hash);

#endif
