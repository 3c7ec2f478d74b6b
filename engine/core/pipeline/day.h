/* day.h: what the market's day and the follower's day say of an opening: hours (step 6 of SEMANTICS
 * 2), circuit (3), tripped limits and counts (8), value of the day and exposure (13, 14).
 *
 * Asked only of followers that have a policy, and of all where a market calendar is published or
 * somebody has tripped; the rest pay one test (eng_day_asks). Pure. */
#ifndef LS_ENGINE_CORE_PIPELINE_DAY_H
#define LS_ENGINE_CORE_PIPELINE_DAY_H

#include "engine/core/limits_private.h"
#include "engine/core/pipeline/risk.h"

/* eng_day_plan fills what a batch shares: plan->hours and plan->asks_day.
 *   returns  what stops the whole group or shard, IPC_REASON_NONE when nothing does */
enum ipc_reason eng_day_plan(struct eng_plan *plan);

/* eng_day_now looks the hours of the order's instrument up; the clock alone counts where no
 * calendar is published. */
void eng_day_now(const struct eng_plan *plan, struct eng_hours *hours);

/* eng_day_asks: false means that none of the functions below can have anything to say. */
static inline bool eng_day_asks(const struct eng_plan *plan, const struct eng_follower *follower)
{
    return (plan->asks_day | follower->row->policy) != 0;
}

/* eng_day_circuit is step 3, eng_day_hours step 6, eng_day_limits step 8.
 *   is_own   the copy is there already and only its terms are decided anew: it is in no count's way
 *   returns  IPC_REASON_NONE, or the reason */
enum ipc_reason eng_day_circuit(const struct eng_plan *plan, const struct eng_follower *follower);
enum ipc_reason eng_day_hours(const struct eng_plan *plan, const struct eng_follower *follower);
enum ipc_reason eng_day_limits(
    const struct eng_plan *plan, const struct eng_follower *follower, bool is_own);

/* eng_day_value is steps 13 and 14: the value of the day's openings and of all open positions, with
 * this order.
 *   price_e8  that values it, 0 = none is known
 *   own_e8    of it what is counted already */
enum ipc_reason eng_day_value(const struct eng_plan *plan, const struct eng_follower *follower,
    int64_t qty_e8, int64_t own_e8, int64_t price_e8);

#endif
