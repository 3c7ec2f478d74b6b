/* What a subscription sets beyond its row, drawn: modes, rounding, caps, guards, money limits; and
 * what owners of accounts do by hand. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/sim.h"

static bool sometimes(struct sim *sim)
{
    return sim_chance(sim, 1, 6);
}

/* ---- sizing ---------------------------------------------------------------------------------- */

static void tiers_draw(struct sim *sim, struct ipc_row_policy *policy)
{
    int64_t from_e8 = 0;
    policy->tier_count = (uint8_t)sim_between(sim, 1, 3);
    for (uint32_t i = 0; i < policy->tier_count; i++) {
        int64_t to_e8 = from_e8 + sim_between(sim, 20000, 200000) * LS_E8;
        policy->tiers[i] = (struct ipc_tier){.from_e8 = from_e8,
            .to_e8 = i + 1u == policy->tier_count ? 0 : to_e8,
            .mult_e8 = sim_between(sim, 1, 8) * LS_E8 / 4};
        from_e8 = to_e8;
    }
}

/* What the mode cannot do without. */
static void mode_draw(struct sim *sim, struct ipc_row_follower *row, struct ipc_row_policy *policy)
{
    row->mode = (uint8_t)sim_between(sim, IPC_MODE_FIXED_RATIO, IPC_MODE_AVAILABLE_RATIO_CAPPED);
    if (sim_chance(sim, 1, 2)) /* the arithmetic of all modes has tables of its own elsewhere */
        row->mode = (uint8_t)sim_between(sim, IPC_MODE_FIXED_RATIO, IPC_MODE_FIXED_QUANTITY);
    policy->mult_e8 = sim_between(sim, 1, 8) * LS_E8 / 4;
    policy->basis = (uint8_t)sim_between(sim, IPC_BASIS_EQUITY, IPC_BASIS_FREE_MARGIN);
    switch ((enum ipc_mode)row->mode) {
    case IPC_MODE_MQL5_PCT:
        policy->deposit_fraction_e8 = sim_between(sim, 1, 100) * LS_E8 / 100;
        break;
    case IPC_MODE_USAGE_RATIO_DISCOUNT:
        policy->slippage_discount_e8 = LS_E8 / 100;
        policy->leverage_e8 = sim_between(sim, 1, 20) * LS_E8;
        policy->invest_e8 = sim_between(sim, 10000, 500000) * LS_E8;
        break;
    case IPC_MODE_USAGE_RATIO:
        policy->invest_e8 = sim_between(sim, 10000, 500000) * LS_E8;
        break;
    case IPC_MODE_STEP_OF_BALANCE:
        policy->step_money_e8 = sim_between(sim, 5000, 50000) * LS_E8;
        policy->step_qty_e8 = sim_between(sim, 1, 30) * LS_E8;
        break;
    case IPC_MODE_FIXED_RISK:
        policy->fraction_e8 = sim_between(sim, 1, 5) * LS_E8 / 100;
        break;
    case IPC_MODE_TIERED_MULTIPLIER:
        tiers_draw(sim, policy);
        break;
    case IPC_MODE_COPY_RATIO_FROZEN:
        policy->frozen_coefficient_e8 = sim_between(sim, 1, 8) * LS_E8 / 4;
        break;
    case IPC_MODE_PCT_BALANCE_BASIS:
        policy->basis_money_e8 = sim_between(sim, 1000, 50000) * LS_E8;
        policy->fraction_e8 = sim_between(sim, 1, 100) * LS_E8 / 100;
        break;
    case IPC_MODE_AVAILABLE_RATIO_CAPPED:
        policy->available_factor_e8 = sim_between(sim, 1, 4) * LS_E8 / 2;
        policy->user_max_e8 = sim_between(sim, 10, 400) * LS_E8;
        break;
    case IPC_MODE_FIXED_RATIO:
    case IPC_MODE_PERCENTAGE:
    case IPC_MODE_FIXED_QUANTITY:
    case IPC_MODE_EQUITY_PROPORTIONAL:
    case IPC_MODE_BALANCE_PROPORTIONAL:
    case IPC_MODE_AUTO_RISK:
    case IPC_MODE_MULTIPLIER_NOTIONAL:
    case IPC_MODE_SMART_TARGET:
    case IPC_MODE_POOLED_EQUAL:
    case IPC_MODE_POOLED_RATIO:
    case IPC_MODE_POOLED_NETLIQ:
        break;
    }
}

/* ---- caps, guards, money --------------------------------------------------------------------- */

static void caps_draw(struct sim *sim, struct ipc_row_policy *policy)
{
    policy->round = sometimes(sim) ? IPC_ROUND_NEAREST : IPC_ROUND_DOWN;
    policy->on_fill = sim_chance(sim, 1, 3) ? IPC_ON_FILL_COMPLETE : IPC_ON_FILL_EACH;
    const uint32_t flags[] = {IPC_POLICY_FORCE_MIN, IPC_POLICY_CARRY, IPC_POLICY_CARRY,
        IPC_POLICY_CLOSE_UP, IPC_POLICY_REVERSE, IPC_POLICY_NO_PENDING, IPC_POLICY_ONE_RESTING,
        IPC_POLICY_TRIP_FLATTENS, IPC_POLICY_END_FLATTENS, IPC_POLICY_END_FLATTENS,
        IPC_POLICY_TRIP_GROUP, IPC_POLICY_POSITION_SKIPS, IPC_POLICY_RISK_SKIPS};
    for (uint32_t i = 0; i < LS_COUNT_OF(flags); i++)
        policy->flags |= sometimes(sim) ? flags[i] : 0;
    policy->step_e8 = sometimes(sim) ? sim_between(sim, 1, 10) * LS_E8 : 0;
    policy->refuse_below_e8 = sometimes(sim) ? sim_between(sim, 1, 5) * LS_E8 : 0;
    policy->min_notional_e8 = sometimes(sim) ? sim_between(sim, 100, 5000) * LS_E8 : 0;
    policy->master_min_e8 = sometimes(sim) ? sim_between(sim, 1, 20) * LS_E8 : 0;
    policy->day_notional_e8 = sometimes(sim) ? sim_between(sim, 50000, 900000) * LS_E8 : 0;
    policy->split_qty_e8 = sometimes(sim) ? sim_between(sim, 65, 400) * LS_E8 : 0;
    policy->slices_max = sometimes(sim) ? (uint32_t)sim_between(sim, 1, 6) : 0;
    policy->modifications_max = sometimes(sim) ? (uint32_t)sim_between(sim, 1, 4) : 0;
    if (sim_chance(sim, 1, 3))
        policy->slippage_cap_e8 = sim_between(sim, 1, 30) * LS_E8 / 1000;
}

static void limits_draw(struct sim *sim, struct ipc_row_policy *policy)
{
    policy->daily_loss_e8 = sometimes(sim) ? sim_between(sim, 50, 3000) * LS_E8 : 0;
    policy->drawdown_fraction_e8 = sometimes(sim) ? LS_E8 / 50 : 0;
    policy->equity_stop_fraction_e8 = sometimes(sim) ? LS_E8 / 2 : 0;
    policy->trailing_protect_e8 = sometimes(sim) ? sim_between(sim, 100, 3000) * LS_E8 : 0;
    policy->exposure_max_e8 = sometimes(sim) ? sim_between(sim, 50000, 500000) * LS_E8 : 0;
    policy->open_positions_max = sometimes(sim) ? (uint32_t)sim_between(sim, 1, 3) : 0;
    policy->trades_day_max = sometimes(sim) ? (uint32_t)sim_between(sim, 1, 20) : 0;
    policy->failures_max = sometimes(sim) ? (uint32_t)sim_between(sim, 1, 4) : 0;
    policy->circuit_hold_ms = (uint32_t)sim_between(sim, 100, 5000);
    policy->trip_scope = sometimes(sim) ? (uint8_t)sim_between(sim, 1, 3) : 0;
}

void sim_policy_draw(struct sim *sim, uint32_t slot)
{
    struct ipc_row_follower *row = &sim->published.followers[slot];
    struct ipc_row_policy *policy = &sim->published.policies[slot];
    *policy = (struct ipc_row_policy){0};
    row->policy = 0;
    row->map = sim_chance(sim, 1, 24) ? 1 : 0;
    if (row->map != 0)
        sim_note(sim, "%u has a map", row->follower_no);
    row->copy = sim_chance(sim, 1, 3) ? IPC_COPY_ON_FILL : IPC_COPY_ON_ORDER;
    if (sim_chance(sim, 1, 2))
        return;
    row->policy = slot + 1;
    mode_draw(sim, row, policy);
    caps_draw(sim, policy);
    if (sim_chance(sim, 1, 3))
        limits_draw(sim, policy);
}

/* People change a policy while positions are open. How it copies stays: that is another
 * subscription. */
void sim_policy_change(struct sim *sim, uint32_t slot)
{
    struct ipc_row_follower *row = &sim->published.followers[slot];
    struct ipc_row_policy *policy = &sim->published.policies[slot];
    if (row->policy == 0)
        return;
    struct ipc_row_policy before = *policy;
    policy->flags = 0;
    caps_draw(sim, policy);
    const uint32_t kept = IPC_POLICY_REVERSE | IPC_POLICY_NO_PENDING | IPC_POLICY_CARRY;
    policy->flags = (policy->flags & ~kept) | (before.flags & kept);
    policy->on_fill = before.on_fill;
    if (sim_chance(sim, 1, 2))
        limits_draw(sim, policy);
}

/* ---- owners ---------------------------------------------------------------------------------- */

/* The owner of a follower's account trades at the broker's own terminal: mostly he sells part of
 * what was copied. */
void sim_owner_act(struct sim *sim)
{
    uint32_t slot = sim_below(sim, sim->follower_count);
    const struct ipc_row_follower *row = &sim->published.followers[slot];
    struct adp_sim_book *book = sim->brokers[row->broker].book;
    uint32_t instrument = sim_below(sim, SIM_INSTRUMENTS);
    const struct adp_sim_instrument *contract = adp_sim_book_instrument(book, instrument);
    const struct adp_sim_origin origin = {.account = row->account - 1,
        .source = ADP_SIM_TERMINAL,
        .mono_ns = sim->now_ns,
        .wall_ns = sim_wall(sim)};
    const struct adp_sim_terms terms = {.instrument = instrument,
        .token = contract->token,
        .exchange = contract->exchange,
        .side = sim_chance(sim, 3, 4) ? ADP_SIM_SELL : ADP_SIM_BUY,
        .type = ADP_SIM_MARKET,
        .product = ADP_SIM_INTRADAY,
        .validity = ADP_SIM_DAY,
        .complexity = ADP_SIM_REGULAR,
        .units = contract->lot_units * sim_between(sim, 1, contract->lot_units > 1 ? 3 : 40)};
    uint32_t order = adp_sim_book_place(book, &origin, &terms, 0);
    sim->figures.by_hand++;
    sim->by_hand[row->account - 1][instrument] = 1;
    sim_note(sim, "owner of %u trades by hand: %s %lld of %u, %s", row->follower_no,
        adp_sim_side_word(terms.side), (long long)terms.units, instrument + 1,
        adp_sim_status_word(adp_sim_book_order(book, order)->status));
}

/* A person at the operator's desk. */
void sim_operator_act(struct sim *sim)
{
    static const uint8_t acts[] = {IPC_OPERATOR_RESUME, IPC_OPERATOR_RESUME,
        IPC_OPERATOR_BREAKER_RESET, IPC_OPERATOR_RESUME_ALL, IPC_OPERATOR_FLATTEN};
    uint8_t act = acts[sim_below(sim, LS_COUNT_OF(acts))];
    struct ipc_event event = {.kind = IPC_EVENT_OPERATOR,
        .reserved = act,
        .received_mono_ns = sim_mono(sim),
        .published_mono_ns = sim_mono(sim)};
    const struct ipc_row_follower *row =
        &sim->published.followers[sim_below(sim, sim->follower_count)];
    event.account = 1; /* every event names one */
    if (act != IPC_OPERATOR_RESUME_ALL) {
        event.account = row->account;
        event.book_order_count = row->follower_no;
    }
    memcpy(event.broker_order_id, "desk", 5);
    sim_feed_put(sim, &event);
    sim_note(sim, "operator: %s of %u", ipc_operator_act_name((enum ipc_operator_act)act),
        event.book_order_count);
}
