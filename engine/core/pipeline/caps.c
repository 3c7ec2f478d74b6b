/* Steps 12 to 14 of SEMANTICS 2: caps on quantity, value, exposure and margin. Each reduction is
 * floored again; what is equal to a cap passes. */
#include "engine/core/pipeline/judging.h"

/* A cap leaves `room_e8` of the quantity.
 *   skips    on_cap = skip
 *   reduced  reason when it is less but something; `refused` when nothing may be left */
static enum ipc_reason apply_cap(struct eng_judging *judging, struct eng_sizing *sizing,
    int64_t room_e8, bool skips, enum ipc_reason reduced, enum ipc_reason refused)
{
    if (sizing->qty_e8 <= room_e8)
        return IPC_REASON_NONE;
    if (skips)
        return refused;
    int64_t left = eng_unit_floor(room_e8 > 0 ? room_e8 : 0, judging->unit_e8);
    if (left == 0)
        return reduced;
    eng_because(judging, reduced);
    sizing->qty_e8 = left;
    eng_note(judging, IPC_STEP_REDUCED, left, (uint8_t)reduced);
    return IPC_REASON_NONE;
}

static enum ipc_reason cap_risk(struct eng_judging *judging, struct eng_sizing *sizing)
{
    const struct eng_case_follower *follower = judging->follower;
    int64_t most = judging->policy->max_trade_risk_e8;
    if (most == 0)
        return IPC_REASON_NONE;
    /* A risk that cannot be told is not below the limit. */
    if (judging->shared->stop_e8 <= 0)
        return IPC_REASON_NO_STOP_LOSS;
    if (judging->value_price_e8 <= 0)
        return IPC_REASON_PRICE_UNKNOWN;
    if (follower->capital_age_ns == INT64_MAX || follower->equity_e8 <= 0)
        return IPC_REASON_CAPITAL_UNKNOWN;
    int64_t distance = eng_magnitude(judging->value_price_e8 - judging->shared->stop_e8);
    if (distance == 0)
        return IPC_REASON_NONE;
    struct eng_exact exact = {0};
    eng_exact_times(&exact, follower->equity_e8);
    eng_exact_times(&exact, most);
    eng_exact_over(&exact, distance);
    int64_t room = eng_exact_floor(&exact, NULL);
    if (sizing->qty_e8 > room) {
        eng_note(judging, IPC_STEP_MAX_TRADE_RISK, most, IPC_REASON_RISK_REDUCED);
        eng_note(judging, IPC_STEP_STOP_DISTANCE, distance, 0);
    }
    return apply_cap(judging, sizing, room, eng_policy_has(judging, IPC_POLICY_RISK_SKIPS),
        IPC_REASON_RISK_REDUCED, IPC_REASON_RISK_REDUCED);
}

enum ipc_reason eng_caps_qty(struct eng_judging *judging, struct eng_sizing *sizing)
{
    const struct ipc_row_follower *row = judging->row;
    if (sizing->in_money)
        return IPC_REASON_NONE;
    enum ipc_reason reason = IPC_REASON_NONE;
    if (row->max_qty_e8 != 0 && sizing->qty_e8 > row->max_qty_e8) {
        eng_note(judging, IPC_STEP_MAX_QUANTITY, row->max_qty_e8, IPC_REASON_MAX_QTY_CAPPED);
        reason =
            apply_cap(judging, sizing, row->max_qty_e8, (row->flags & IPC_FOLLOWER_CAP_SKIPS) != 0,
                IPC_REASON_MAX_QTY_CAPPED, IPC_REASON_MAX_QTY);
    }
    if (reason == IPC_REASON_NONE && row->max_position_e8 != 0) {
        int64_t used = judging->follower->reach_e8 - sizing->freed_e8;
        used = used > 0 ? used : 0;
        int64_t room = row->max_position_e8 > used ? row->max_position_e8 - used : 0;
        if (sizing->qty_e8 > room) {
            eng_note(judging, IPC_STEP_MAX_POSITION, row->max_position_e8,
                IPC_REASON_MAX_POSITION_REDUCED);
            eng_note(judging, IPC_STEP_HELD_OR_WORKING, used, 0);
            reason =
                apply_cap(judging, sizing, room, eng_policy_has(judging, IPC_POLICY_POSITION_SKIPS),
                    IPC_REASON_MAX_POSITION_REDUCED, IPC_REASON_MAX_POSITION_REDUCED);
        }
    }
    return reason == IPC_REASON_NONE ? cap_risk(judging, sizing) : reason;
}

/* --- value --------------------------------------------------------------------------------------
 */

/* qty x price > value, exactly. */
static bool value_above(const struct eng_judging *judging, const struct eng_sizing *sizing,
    int64_t before_e8, int64_t most_e8)
{
    __int128 value = sizing->in_money ? (__int128)sizing->money_e8 * LS_E8
                                      : (__int128)sizing->qty_e8 * judging->value_price_e8;
    return value > ((__int128)most_e8 - before_e8) * LS_E8;
}

/* Keeps `before + value` at or below `most`. */
static enum ipc_reason cap_value(struct eng_judging *judging, struct eng_sizing *sizing,
    enum ipc_step_code code, int64_t before_e8, int64_t most_e8, enum ipc_reason reduced,
    enum ipc_reason refused)
{
    if (most_e8 == 0 || !value_above(judging, sizing, before_e8, most_e8))
        return IPC_REASON_NONE;
    bool reduces = (judging->row->flags & IPC_FOLLOWER_VALUE_REDUCES) != 0;
    eng_note(judging, code, most_e8, (uint8_t)(reduces ? reduced : refused));
    if (!sizing->in_money)
        eng_note(judging, IPC_STEP_VALUE_PRICE, judging->value_price_e8, 0);
    if (!reduces)
        return refused;
    int64_t room = most_e8 > before_e8 ? most_e8 - before_e8 : 0;
    if (sizing->in_money) {
        if (room == 0)
            return refused;
        eng_because(judging, reduced);
        sizing->money_e8 = judging->out->money_e8 = room;
        return IPC_REASON_NONE;
    }
    enum ipc_reason reason = apply_cap(
        judging, sizing, eng_muldiv(room, LS_E8, judging->value_price_e8), false, reduced, refused);
    return reason == IPC_REASON_NONE ? reason : refused;
}

enum ipc_reason eng_caps_value(struct eng_judging *judging, struct eng_sizing *sizing)
{
    const struct ipc_row_policy *policy = judging->policy;
    int64_t order_most = judging->row->max_order_value_e8;
    if ((order_most | policy->day_notional_e8 | policy->min_notional_e8) == 0)
        return IPC_REASON_NONE;
    if (!sizing->in_money && judging->value_price_e8 <= 0)
        return IPC_REASON_PRICE_UNKNOWN;
    enum ipc_reason reason = cap_value(judging, sizing, IPC_STEP_MAX_ORDER_VALUE, 0, order_most,
        IPC_REASON_MAX_ORDER_VALUE_REDUCED, IPC_REASON_MAX_ORDER_VALUE);
    if (reason == IPC_REASON_NONE)
        reason =
            cap_value(judging, sizing, IPC_STEP_DAY_NOTIONAL, judging->follower->day_notional_e8,
                policy->day_notional_e8, IPC_REASON_DAY_NOTIONAL, IPC_REASON_DAY_NOTIONAL);
    if (reason != IPC_REASON_NONE || policy->min_notional_e8 == 0)
        return reason;
    __int128 value = sizing->in_money ? (__int128)sizing->money_e8 * LS_E8
                                      : (__int128)sizing->qty_e8 * judging->value_price_e8;
    if (value >= (__int128)policy->min_notional_e8 * LS_E8)
        return IPC_REASON_NONE;
    eng_note(judging, IPC_STEP_MIN_NOTIONAL, policy->min_notional_e8, IPC_REASON_MIN_NOTIONAL);
    return IPC_REASON_MIN_NOTIONAL;
}

/* --- exposure and margin ------------------------------------------------------------------------
 */

/* What the order takes of the account's margin. Nobody says what a product's margin is, so it
 * counts with all that it is worth, or with that over the leverage that the subscription has; a
 * written option with its strike besides, of which its price is no measure. What its own copies
 * took is in what is used already. returns  false where no price tells it */
static bool margin_needed(
    const struct eng_judging *judging, const struct eng_sizing *sizing, __int128 *out)
{
    const struct eng_case_follower *follower = judging->follower;
    const struct ipc_row_policy *policy = judging->policy;
    *out = follower->margin_needed_e8;
    if (*out != 0 || sizing->passed_over)
        return true;
    *out = sizing->money_e8;
    if (!sizing->in_money) {
        bool writes = judging->shared->is_option && judging->side == IPC_SIDE_SELL;
        __int128 price_e8 = judging->value_price_e8;
        if (price_e8 <= 0 || (writes && judging->shared->strike_e8 <= 0))
            return false;
        if (writes)
            price_e8 += judging->shared->strike_e8;
        int64_t added_e8 = sizing->qty_e8 - follower->margin_own_qty_e8;
        *out = added_e8 > 0 ? (added_e8 * price_e8 + LS_E8 - 1) / LS_E8 : 0;
    }
    int64_t leverage_e8 =
        policy->leverage_e8 != 0 ? policy->leverage_e8 : policy->follower_leverage_e8;
    if (leverage_e8 > 0)
        *out = (*out * LS_E8 + leverage_e8 - 1) / leverage_e8;
    return true;
}

enum ipc_reason eng_caps_margin(struct eng_judging *judging, const struct eng_sizing *sizing)
{
    const struct eng_case_follower *follower = judging->follower;
    const struct ipc_row_policy *policy = judging->policy;
    if (follower->unknown_pending)
        return IPC_REASON_UNKNOWN_PENDING;
    if (policy->exposure_max_e8 != 0 && !sizing->passed_over) {
        if (!sizing->in_money && judging->value_price_e8 <= 0)
            return IPC_REASON_PRICE_UNKNOWN;
        if (value_above(judging, sizing, follower->exposure_e8, policy->exposure_max_e8)) {
            eng_note(judging, IPC_STEP_EXPOSURE, follower->exposure_e8, 0);
            eng_note(judging, IPC_STEP_EXPOSURE_LIMIT, policy->exposure_max_e8,
                IPC_REASON_MAX_CAPITAL_EXPOSURE);
            return IPC_REASON_MAX_CAPITAL_EXPOSURE;
        }
    }
    if (policy->margin_use_max_e8 == 0)
        return IPC_REASON_NONE;
    if (follower->margin_total_e8 <= 0) {
        /* Figures that were there and too old: the record says so, or they would be fresh in it. */
        if (follower->capital_age_ns < INT64_MAX)
            eng_note(judging, IPC_STEP_CAPITAL_AGE,
                eng_muldiv(follower->capital_age_ns, LS_E8, LS_NS_PER_MS),
                IPC_REASON_CAPITAL_UNKNOWN);
        return IPC_REASON_CAPITAL_UNKNOWN;
    }
    __int128 used;
    if (!margin_needed(judging, sizing, &used))
        return IPC_REASON_PRICE_UNKNOWN;
    used += follower->margin_used_e8;
    if (used * LS_E8 <= (__int128)follower->margin_total_e8 * policy->margin_use_max_e8)
        return IPC_REASON_NONE;
    __int128 use = used * LS_E8 / follower->margin_total_e8;
    eng_note(judging, IPC_STEP_MARGIN_USE, use > INT64_MAX ? INT64_MAX : (int64_t)use, 0);
    eng_note(
        judging, IPC_STEP_MARGIN_LIMIT, policy->margin_use_max_e8, IPC_REASON_MAX_CAPITAL_EXPOSURE);
    return IPC_REASON_MAX_CAPITAL_EXPOSURE;
}
