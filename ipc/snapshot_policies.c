/* snapshot_policies.c: bounds of the tables that followers name beside their rows: policies, symbol
 * maps, contracts per broker, market sessions. */
#include "ipc/snapshot_rules.h"

#include "ipc/fact.h"

#define MINUTES_PER_DAY 1440u
#define MS_PER_DAY      86400000u
#define COUNT_MAX       1000000u

static bool within(int64_t value, int64_t most)
{
    return value >= 0 && value <= most;
}

static const char *tiers_problem(const struct ipc_row_policy *row)
{
    if (row->tier_count > IPC_TIERS_MAX)
        return "tier_count is above 8";
    for (uint32_t i = 0; i < row->tier_count; i++) {
        const struct ipc_tier *tier = &row->tiers[i];
        bool last = i + 1u == row->tier_count;
        if (!within(tier->from_e8, IPC_MONEY_E8_MAX) || !within(tier->to_e8, IPC_MONEY_E8_MAX) ||
            tier->mult_e8 < 1 || tier->mult_e8 > IPC_RATIO_E8_MAX)
            return "a tier's bounds or multiplier are negative or absurd";
        if (tier->to_e8 == 0 ? !last : tier->to_e8 <= tier->from_e8)
            return "a tier ends before it starts, or an earlier one has no end";
        if (i > 0 && tier->from_e8 < row->tiers[i - 1].to_e8)
            return "tiers overlap or do not ascend";
    }
    return NULL;
}

static const char *policy_problem(const struct ipc_row_policy *row)
{
    if ((row->basis != 0 && !ipc_basis_valid(row->basis)) || !ipc_round_valid(row->round) ||
        !ipc_on_fill_valid(row->on_fill) || !ipc_drift_valid(row->drift))
        return "basis, round, on_fill or drift is not known";
    if (row->flags & ~(IPC_POLICY_LAST * 2 - 1))
        return "flags has unknown bits";
    const int64_t factors[] = {row->mult_e8, row->leverage_e8, row->frozen_coefficient_e8,
        row->available_factor_e8, row->fx_e8, row->follower_leverage_e8, row->master_leverage_e8,
        row->contract_factor_e8, row->deposit_fraction_e8};
    for (uint32_t i = 0; i < LS_COUNT_OF(factors); i++) {
        if (!within(factors[i], IPC_RATIO_E8_MAX))
            return "a factor is negative or above 10000";
    }
    const int64_t fractions[] = {row->slippage_discount_e8, row->slippage_cap_e8,
        row->market_protection_e8, row->max_trade_risk_e8, row->daily_loss_fraction_e8,
        row->drawdown_fraction_e8, row->equity_stop_fraction_e8, row->margin_use_max_e8,
        row->fraction_e8, row->price_collar_e8};
    for (uint32_t i = 0; i < LS_COUNT_OF(fractions); i++) {
        if (!within(fractions[i], LS_E8))
            return "a fraction is not in [0, 1]";
    }
    const int64_t quantities[] = {row->step_qty_e8, row->step_e8, row->refuse_below_e8,
        row->master_min_e8, row->master_max_e8, row->split_qty_e8, row->system_max_e8,
        row->user_max_e8};
    for (uint32_t i = 0; i < LS_COUNT_OF(quantities); i++) {
        if (!within(quantities[i], IPC_QTY_E8_MAX))
            return "a quantity is negative or absurd";
    }
    const int64_t moneys[] = {row->invest_e8, row->step_money_e8, row->basis_money_e8,
        row->min_notional_e8, row->day_notional_e8, row->daily_loss_e8, row->drawdown_e8,
        row->trailing_protect_e8, row->equity_stop_e8, row->exposure_max_e8};
    for (uint32_t i = 0; i < LS_COUNT_OF(moneys); i++) {
        if (!within(moneys[i], IPC_MONEY_E8_MAX))
            return "an amount is negative or absurd";
    }
    if (row->window_from_min > MINUTES_PER_DAY || row->window_to_min > MINUTES_PER_DAY ||
        row->intraday_cutoff_min > MINUTES_PER_DAY)
        return "a time of day is above 24:00";
    if (row->window_from_min > row->window_to_min)
        return "the copy window ends before it starts";
    if (row->master_max_e8 != 0 && row->master_max_e8 < row->master_min_e8)
        return "the window of the master's quantity ends before it starts";
    if (row->slices_max > COUNT_MAX || row->modifications_max > COUNT_MAX ||
        row->open_positions_max > COUNT_MAX || row->trades_day_max > COUNT_MAX ||
        row->failures_max > COUNT_MAX)
        return "a count is above a million";
    if (row->circuit_hold_ms > MS_PER_DAY || row->duplicate_window_ms > MS_PER_DAY)
        return "circuit_hold_ms or duplicate_window_ms is above a day";
    if (row->trip_scope != 0 && !ipc_limit_scope_valid(row->trip_scope))
        return "trip_scope is not known";
    if (row->reserved16 != 0 || row->reserved8[0] != 0 || row->reserved8[1] != 0)
        return "reserved is not zero";
    for (uint32_t i = 0; i < LS_COUNT_OF(row->reserved); i++) {
        if (row->reserved[i] != 0)
            return "reserved is not zero";
    }
    return tiers_problem(row);
}

/* What a mode cannot do without (the table in ipc/policy.h). `row` is bounded already. */
static const char *mode_problem(
    const struct ipc_row_follower *row, const struct ipc_row_policy *policy)
{
    switch ((enum ipc_mode)row->mode) {
    case IPC_MODE_FIXED_RATIO:
    case IPC_MODE_PERCENTAGE:
    case IPC_MODE_FIXED_QUANTITY:
    case IPC_MODE_SMART_TARGET:
    case IPC_MODE_EQUITY_PROPORTIONAL:
    case IPC_MODE_BALANCE_PROPORTIONAL:
    case IPC_MODE_MULTIPLIER_NOTIONAL:
        return NULL;
    case IPC_MODE_AUTO_RISK:
        return policy->basis ? NULL : "mode AUTO_RISK needs basis";
    case IPC_MODE_MQL5_PCT:
        return policy->deposit_fraction_e8 ? NULL : "mode MQL5_PCT needs deposit_fraction_e8";
    case IPC_MODE_USAGE_RATIO:
        return policy->invest_e8 ? NULL : "mode USAGE_RATIO needs invest_e8";
    case IPC_MODE_USAGE_RATIO_DISCOUNT:
        return policy->invest_e8 && policy->slippage_discount_e8 && policy->leverage_e8
                   ? NULL
                   : "mode USAGE_RATIO_DISCOUNT needs invest_e8, slippage_discount_e8 and "
                     "leverage_e8";
    case IPC_MODE_STEP_OF_BALANCE:
        return policy->step_money_e8 && policy->step_qty_e8
                   ? NULL
                   : "mode STEP_OF_BALANCE needs step_money_e8 and step_qty_e8";
    case IPC_MODE_FIXED_RISK:
        return policy->fraction_e8 ? NULL : "mode FIXED_RISK needs fraction_e8";
    case IPC_MODE_TIERED_MULTIPLIER:
        return policy->tier_count ? NULL : "mode TIERED_MULTIPLIER needs tiers";
    case IPC_MODE_COPY_RATIO_FROZEN:
        return policy->frozen_coefficient_e8 ? NULL
                                             : "mode COPY_RATIO_FROZEN needs frozen_coefficient_e8";
    case IPC_MODE_PCT_BALANCE_BASIS:
        return policy->basis_money_e8 && policy->fraction_e8
                   ? NULL
                   : "mode PCT_BALANCE_BASIS needs basis_money_e8 and fraction_e8";
    case IPC_MODE_AVAILABLE_RATIO_CAPPED:
        return policy->available_factor_e8
                   ? NULL
                   : "mode AVAILABLE_RATIO_CAPPED needs available_factor_e8";
    case IPC_MODE_POOLED_EQUAL:
    case IPC_MODE_POOLED_RATIO:
    case IPC_MODE_POOLED_NETLIQ:
        return "a POOLED mode is not one of a single follower";
    }
    return "mode is not known";
}

static enum ipc_rc check_rows(const struct ipc_snapshot_view *view, struct ipc_error *error)
{
    for (uint32_t i = 0; i < view->policy_count; i++) {
        const char *problem = policy_problem(&view->policies[i]);
        if (problem)
            return ipc_row_refused(error, "policies", i, problem);
    }
    for (uint32_t i = 0; i < view->follower_slots; i++) {
        const struct ipc_row_follower *row = &view->followers[i];
        if (row->follower_no == 0)
            continue;
        if (row->policy > view->policy_count || row->map > view->map_count)
            return ipc_row_refused(error, "followers", i, "policy or map is out of range");
        static const struct ipc_row_policy none;
        const char *problem =
            mode_problem(row, row->policy ? &view->policies[row->policy - 1] : &none);
        if (problem)
            return ipc_row_refused(error, "followers", i, problem);
    }
    return IPC_OK;
}

static bool instrument_in_use(const struct ipc_snapshot_view *view, uint32_t instrument)
{
    return instrument != 0 && instrument <= view->instrument_count &&
           view->instruments[instrument - 1].instrument != 0;
}

static enum ipc_rc check_maps(const struct ipc_snapshot_view *view, struct ipc_error *error)
{
    for (uint32_t i = 0; i < view->map_count; i++) {
        const struct ipc_row_list *map = &view->maps[i];
        if ((uint64_t)map->first + map->count > view->map_item_count)
            return ipc_row_refused(error, "symbol maps", i, "its run ends behind the map items");
        for (uint32_t j = 0; j < map->count; j++) {
            const struct ipc_row_map_item *item = &view->map_items[map->first + j];
            if (!instrument_in_use(view, item->from) || !instrument_in_use(view, item->to))
                return ipc_row_refused(
                    error, "symbol map items", map->first + j, "it is not an instrument in use");
            if (!within(item->factor_e8, IPC_RATIO_E8_MAX))
                return ipc_row_refused(error, "symbol map items", map->first + j,
                    "factor_e8 is negative or above 10000");
            if (j > 0 && item->from <= item[-1].from)
                return ipc_row_refused(
                    error, "symbol map items", map->first + j, "it is not above the one before it");
        }
    }
    return IPC_OK;
}

static const char *contract_problem(
    const struct ipc_snapshot_view *view, const struct ipc_row_contract *row)
{
    if (!instrument_in_use(view, row->instrument))
        return "it is not of an instrument in use";
    if (row->broker >= view->broker_count || !view->brokers[row->broker].live)
        return "broker is not one in use";
    if (row->flags & ~IPC_CONTRACT_GONE)
        return "flags has unknown bits";
    if (row->lot_qty_e8 < 1 || row->lot_qty_e8 > IPC_QTY_E8_MAX || row->tick_e8 < 1 ||
        row->tick_e8 > IPC_PRICE_E8_MAX)
        return "lot_qty_e8 or tick_e8 is not above 0, or absurd";
    if (row->freeze_qty_e8 != 0 &&
        (row->freeze_qty_e8 < row->lot_qty_e8 || row->freeze_qty_e8 > IPC_QTY_E8_MAX))
        return "freeze_qty_e8 is below one lot, or absurd";
    if (!ipc_row_text_plain(row->symbol, sizeof(row->symbol)) ||
        !ipc_row_text_digits(row->token, sizeof(row->token)))
        return "symbol is not plain text, or token not digits";
    return NULL;
}

static enum ipc_rc check_contracts(const struct ipc_snapshot_view *view, struct ipc_error *error)
{
    for (uint32_t i = 0; i < view->contract_count; i++) {
        const struct ipc_row_contract *row = &view->contracts[i];
        const char *problem = contract_problem(view, row);
        if (!problem && i > 0 &&
            (row->instrument < row[-1].instrument ||
                (row->instrument == row[-1].instrument && row->broker <= row[-1].broker)))
            problem = "rows do not ascend by instrument and broker";
        if (problem)
            return ipc_row_refused(error, "contracts", i, problem);
    }
    return IPC_OK;
}

static enum ipc_rc check_sessions(const struct ipc_snapshot_view *view, struct ipc_error *error)
{
    const int64_t day_ns = INT64_C(86400) * LS_NS_PER_S;
    for (uint32_t i = 0; i < view->session_count; i++) {
        const struct ipc_row_session *row = &view->sessions[i];
        const char *problem = NULL;
        if (!ipc_exchange_valid(row->exchange))
            problem = "exchange is not known";
        else if (row->midnight_wall_ns < 0 || row->midnight_wall_ns > INT64_MAX - 3 * day_ns ||
                 row->open_wall_ns < row->midnight_wall_ns ||
                 row->close_wall_ns <= row->open_wall_ns ||
                 row->close_wall_ns > row->midnight_wall_ns + 2 * day_ns)
            problem = "it is not midnight, then open, then close within two days";
        else if (row->intraday_cutoff_wall_ns != 0 &&
                 (row->intraday_cutoff_wall_ns < row->open_wall_ns ||
                     row->intraday_cutoff_wall_ns > row->close_wall_ns))
            problem = "intraday_cutoff_wall_ns is outside of the session";
        else if (!ipc_row_date_fits(row->yyyymmdd))
            problem = "yyyymmdd is not a date";
        else if (row->reserved[0] != 0 || row->reserved[1] != 0 || row->reserved[2] != 0)
            problem = "reserved is not zero";
        else if (i > 0 && (row->exchange < row[-1].exchange ||
                              (row->exchange == row[-1].exchange &&
                                  row->open_wall_ns < row[-1].close_wall_ns)))
            problem = "rows do not ascend by exchange and time";
        if (problem)
            return ipc_row_refused(error, "sessions", i, problem);
    }
    return IPC_OK;
}

enum ipc_rc ipc_snapshot_check_policies(
    const struct ipc_snapshot_view *view, struct ipc_error *error)
{
    enum ipc_rc rc = check_rows(view, error);
    if (rc == IPC_OK)
        rc = check_maps(view, error);
    if (rc == IPC_OK)
        rc = check_contracts(view, error);
    if (rc == IPC_OK)
        rc = check_sessions(view, error);
    return rc;
}
