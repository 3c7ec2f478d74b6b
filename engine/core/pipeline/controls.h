/* controls.h: what the pre-trade controls of ORDER-SAFETY 3.9 say of an opening: engine's breakers,
 * price collar, copies per master order and openings per instrument (of a batch); breakers, caps of
 * one order, exposure of the firm, duplicates (of one follower).
 *
 * The wave pays for what a batch has alike; a follower is asked only where a breaker has tripped, a
 * cap of one order is configured, or another order of the same instrument and side was seen within
 * the window of duplicates. Pure. */
#ifndef LS_ENGINE_CORE_PIPELINE_CONTROLS_H
#define LS_ENGINE_CORE_PIPELINE_CONTROLS_H

#include "engine/core/pipeline/risk.h"

/* eng_controls_plan fills what a batch shares: asks_day, entries_left with its reason, plain_left,
 * calls_left, suspects, firm_own_e8. Last in eng_plan_make.
 *   returns  what stops every opening of the batch, IPC_REASON_NONE when nothing does */
enum ipc_reason eng_controls_plan(struct eng_plan *plan);

/* eng_controls_bar is step 3: breakers of the follower, its account and its broker. */
enum ipc_reason eng_controls_bar(const struct eng_plan *plan, const struct eng_follower *follower);

/* One opening, sized. */
struct eng_controls_order {
    int64_t qty_e8, own_e8; /* of it, what the copies of this order hold and may still fill */
    int64_t price_e8;       /* that values it; 0 = none is known */
    uint32_t instrument;    /* that it trades */
    uint8_t side;
};

/* eng_controls_order judges one opening after steps 1 to 17: quantity and value of one order, the
 * exposure of the firm (taken from what the batch has left when it passes), duplicates.
 *   suspect  set when it looks like a duplicate and goes all the same
 *   returns  IPC_REASON_NONE or the reason */
enum ipc_reason eng_controls_order(struct eng_plan *plan, const struct eng_follower *follower,
    const struct eng_controls_order *order, bool *suspect);

/* eng_collar_bars: a price is further from the last price, on the side that costs money, than the
 * collar allows. */
bool eng_collar_bars(uint8_t side, int64_t price_e8, int64_t last_e8, int64_t collar_e8);

#endif
