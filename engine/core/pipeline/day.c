#include "engine/core/pipeline/day.h"

#include "engine/core/positions.h"

void eng_day_now(const struct eng_plan *plan, struct eng_hours *hours)
{
    uint8_t exchange = plan->instrument == NULL ? 0 : plan->instrument->exchange;
    eng_hours_at(plan->view, exchange, plan->sample->now_wall_ns, hours);
}

enum ipc_reason eng_day_plan(struct eng_plan *plan)
{
    const struct eng_core *core = plan->core;
    plan->asks_day =
        plan->view->session_count | core->money->fold.owner_trips | core->money->fold.link_trips;
    if (plan->view->session_count != 0)
        eng_day_now(plan, &plan->hours);
    return eng_limits_batch_bar(core, plan->order->account);
}

static const struct ipc_row_policy *policy_of(
    const struct eng_plan *plan, const struct eng_follower *follower)
{
    uint32_t policy = follower->row->policy;
    return policy == 0 || policy > plan->view->policy_count ? NULL
                                                            : &plan->view->policies[policy - 1];
}

/* What is folded of the follower's money, NULL when nothing is. */
static const struct eng_purse *purse_of(
    const struct eng_plan *plan, const struct eng_follower *follower)
{
    if (follower->slot == NULL)
        return NULL;
    return eng_money_of(plan->core, (uint32_t)(follower->slot - plan->core->slots),
        follower->row->follower_no, follower->row->incarnation);
}

enum ipc_reason eng_day_circuit(const struct eng_plan *plan, const struct eng_follower *follower)
{
    const struct ipc_row_policy *policy = policy_of(plan, follower);
    const struct eng_purse *purse = purse_of(plan, follower);
    if (policy == NULL || purse == NULL || policy->failures_max == 0 ||
        purse->failures < policy->failures_max)
        return IPC_REASON_NONE;
    return eng_circuit_probe(plan->core, purse, policy, plan->sample->now_mono_ns)
               ? IPC_REASON_NONE
               : IPC_REASON_CIRCUIT_OPEN;
}

enum ipc_reason eng_day_hours(const struct eng_plan *plan, const struct eng_follower *follower)
{
    const struct ipc_row_policy *policy = policy_of(plan, follower);
    const struct eng_hours *hours = &plan->hours;
    struct eng_hours bare;
    if (plan->view->session_count == 0) { /* the clock alone, for the follower's own window */
        if (policy == NULL ||
            (policy->window_from_min | policy->window_to_min | policy->intraday_cutoff_min) == 0)
            return IPC_REASON_NONE;
        eng_day_now(plan, &bare);
        hours = &bare;
    }
    bool intraday = plan->order->product == IPC_PRODUCT_MIS;
    enum eng_market market = eng_hours_market(hours);
    if (market == ENG_MARKET_CLOSED || (market == ENG_MARKET_UNKNOWN && intraday))
        return IPC_REASON_MARKET_CLOSED;
    uint16_t cutoff = hours->cutoff_minute;
    if (policy != NULL && policy->intraday_cutoff_min != 0)
        cutoff = policy->intraday_cutoff_min;
    if (intraday && cutoff != 0 && hours->minute >= cutoff)
        return IPC_REASON_MARKET_CLOSED;
    if (policy == NULL || (policy->window_from_min | policy->window_to_min) == 0)
        return IPC_REASON_NONE;
    bool inside = hours->minute >= policy->window_from_min &&
                  (policy->window_to_min == 0 || hours->minute < policy->window_to_min);
    return inside ? IPC_REASON_NONE : IPC_REASON_OUTSIDE_WINDOW;
}

enum ipc_reason eng_day_limits(
    const struct eng_plan *plan, const struct eng_follower *follower, bool is_own)
{
    const struct eng_core *core = plan->core;
    const struct ipc_row_follower *row = follower->row;
    const struct ipc_row_policy *policy = policy_of(plan, follower);
    if (eng_limits_may_bar(core, follower->slot)) {
        uint32_t slot = follower->slot == NULL ? 0 : (uint32_t)(follower->slot - core->slots);
        enum ipc_reason reason = eng_limits_bar(core, slot, row);
        if (reason != IPC_REASON_NONE)
            return reason;
    }
    const struct eng_purse *purse = purse_of(plan, follower);
    if (policy == NULL || purse == NULL || is_own ||
        (policy->trades_day_max | policy->open_positions_max) == 0)
        return IPC_REASON_NONE;
    struct eng_case_follower figures = {.row = row};
    eng_money_case(core, (uint32_t)(follower->slot - core->slots), row, policy,
        plan->order->instrument, plan->order->product, plan->sample->now_mono_ns, &figures);
    if (policy->trades_day_max != 0 && figures.trades >= policy->trades_day_max)
        return IPC_REASON_MAX_TRADES_DAY;
    if (policy->open_positions_max != 0 && !figures.holds &&
        figures.open_positions >= policy->open_positions_max)
        return IPC_REASON_MAX_OPEN_POSITIONS;
    return IPC_REASON_NONE;
}

enum ipc_reason eng_day_value(const struct eng_plan *plan, const struct eng_follower *follower,
    int64_t qty_e8, int64_t own_e8, int64_t price_e8)
{
    const struct ipc_row_policy *policy = policy_of(plan, follower);
    if (policy == NULL || (policy->day_notional_e8 | policy->exposure_max_e8) == 0)
        return IPC_REASON_NONE;
    if (price_e8 == 0)
        return IPC_REASON_PRICE_UNKNOWN;
    struct eng_figures figures = {.trades = 0};
    if (follower->slot != NULL)
        eng_money_figures(plan->core, (uint32_t)(follower->slot - plan->core->slots),
            follower->row->follower_no, follower->row->incarnation, &figures);
    int64_t more_e8 = qty_e8 - own_e8;
    int64_t value_e8 = eng_money_value_e8(more_e8 > 0 ? more_e8 : 0, price_e8);
    if (policy->day_notional_e8 != 0 &&
        eng_add_saturated(figures.day_notional_e8, value_e8) > policy->day_notional_e8)
        return IPC_REASON_DAY_NOTIONAL;
    if (policy->exposure_max_e8 != 0 &&
        eng_add_saturated(figures.exposure_e8, value_e8) > policy->exposure_max_e8)
        return IPC_REASON_MAX_CAPITAL_EXPOSURE;
    return IPC_REASON_NONE;
}
