/* Step 9 of SEMANTICS 2: the raw quantity of each mode of SEMANTICS 1, floored at 1e-8 once. */
#include "engine/core/pipeline/judging.h"

#define CAPITAL_AGE_MS 60000
#define PERCENT_E8     (LS_E8 / 100)

/* --- figures of accounts ------------------------------------------------------------------------
 */

static enum ipc_reason capital_fresh(
    struct eng_judging *judging, int64_t age_ns, enum ipc_step_code code)
{
    if (age_ns == INT64_MAX)
        return IPC_REASON_CAPITAL_UNKNOWN;
    uint32_t ms =
        judging->row->capital_max_age_ms ? judging->row->capital_max_age_ms : CAPITAL_AGE_MS;
    if (age_ns <= (int64_t)ms * LS_NS_PER_MS)
        return IPC_REASON_NONE;
    eng_note(judging, code, eng_muldiv(age_ns, LS_E8, LS_NS_PER_MS), IPC_REASON_STALE_ACCOUNT_DATA);
    return IPC_REASON_STALE_ACCOUNT_DATA;
}

static int64_t own_figure_e8(const struct eng_judging *judging, enum ipc_basis basis)
{
    const struct eng_case_follower *follower = judging->follower;
    switch (basis) {
    case IPC_BASIS_BALANCE:
        return follower->balance_e8;
    case IPC_BASIS_FREE_MARGIN:
        return follower->free_e8;
    case IPC_BASIS_EQUITY:
        break;
    }
    return follower->equity_e8;
}

static int64_t master_figure_e8(const struct eng_judging *judging, enum ipc_basis basis)
{
    const struct eng_case_shared *shared = judging->shared;
    switch (basis) {
    case IPC_BASIS_BALANCE:
        return shared->master_balance_e8;
    case IPC_BASIS_FREE_MARGIN:
        return shared->master_free_e8;
    case IPC_BASIS_EQUITY:
        break;
    }
    return shared->master_equity_e8;
}

/* The follower's figure, known and fresh. */
static enum ipc_reason own_capital(
    struct eng_judging *judging, enum ipc_basis basis, int64_t *figure_e8)
{
    enum ipc_reason reason =
        capital_fresh(judging, judging->follower->capital_age_ns, IPC_STEP_CAPITAL_AGE);
    if (reason != IPC_REASON_NONE)
        return reason;
    *figure_e8 = own_figure_e8(judging, basis);
    judging->out->sample_e8 = *figure_e8;
    return *figure_e8 > 0 ? IPC_REASON_NONE : IPC_REASON_CAPITAL_UNKNOWN;
}

static enum ipc_reason both_capitals(
    struct eng_judging *judging, enum ipc_basis basis, int64_t *own_e8, int64_t *master_e8)
{
    enum ipc_reason reason = own_capital(judging, basis, own_e8);
    if (reason == IPC_REASON_NONE)
        reason = capital_fresh(
            judging, judging->shared->master_capital_age_ns, IPC_STEP_MASTER_CAPITAL_AGE);
    if (reason != IPC_REASON_NONE)
        return reason;
    *master_e8 = master_figure_e8(judging, basis);
    return *master_e8 > 0 ? IPC_REASON_NONE : IPC_REASON_CAPITAL_UNKNOWN;
}

static int64_t or_one(int64_t value_e8)
{
    return value_e8 != 0 ? value_e8 : LS_E8;
}

/* --- the master's size and what it comes to -----------------------------------------------------
 */

static void note_master(struct eng_judging *judging, int64_t master_e8)
{
    enum ipc_step_code code = IPC_STEP_MASTER_QTY;
    if (judging->shared->size_kind == ENG_SIZE_COST)
        code = IPC_STEP_MASTER_COST;
    else if (judging->shared->size_kind == ENG_SIZE_NOTIONAL)
        code = IPC_STEP_MASTER_NOTIONAL;
    eng_note(judging, code, master_e8, 0);
}

/* A figure in the unit of the master's size becomes the raw quantity, or stays money. */
static enum ipc_reason settle_raw(
    struct eng_judging *judging, struct eng_sizing *sizing, int64_t raw_e8, bool is_money)
{
    if (!is_money) {
        sizing->qty_e8 = raw_e8;
        eng_note(judging, IPC_STEP_RAW, raw_e8, 0);
        return IPC_REASON_NONE;
    }
    sizing->money_e8 = raw_e8;
    eng_note(judging,
        judging->shared->size_kind == ENG_SIZE_NOTIONAL ? IPC_STEP_NOTIONAL : IPC_STEP_COST, raw_e8,
        0);
    /* Money has its own step where the quantity has a lot. */
    bool priced = judging->value_price_e8 > 0;
    judging->out->money_e8 =
        eng_unit_floor(raw_e8, priced && judging->lot_e8 != 0 ? 0 : judging->policy->step_e8);
    if (priced) {
        sizing->qty_e8 = eng_muldiv(raw_e8, LS_E8, judging->value_price_e8);
        eng_note(judging, IPC_STEP_PRICE, judging->value_price_e8, 0);
        eng_note(judging, IPC_STEP_RAW, sizing->qty_e8, 0);
        return IPC_REASON_NONE;
    }
    if (!judging->shared->money_answers)
        return IPC_REASON_PRICE_UNKNOWN;
    sizing->in_money = true;
    sizing->money_e8 = judging->out->money_e8;
    return IPC_REASON_NONE;
}

/* The map's factor belongs to every quantity that follows the master's. */
static void times_map(struct eng_judging *judging, struct eng_exact *exact)
{
    int64_t factor = judging->follower->mapped ? judging->follower->own.factor_e8 : 0;
    if (factor == 0)
        return;
    eng_exact_times_e8(exact, factor);
    eng_note(judging, IPC_STEP_MAP_FACTOR, factor, 0);
}

static enum ipc_reason settle_master(
    struct eng_judging *judging, struct eng_sizing *sizing, struct eng_exact *exact)
{
    eng_exact_times(exact, sizing->master_e8);
    times_map(judging, exact);
    return settle_raw(
        judging, sizing, eng_exact_floor(exact, NULL), judging->shared->size_kind > ENG_SIZE_QTY);
}

/* --- modes --------------------------------------------------------------------------------------
 */

static enum ipc_reason raw_ratio(
    struct eng_judging *judging, struct eng_sizing *sizing, int64_t ratio_e8)
{
    struct eng_exact exact = {0};
    note_master(judging, sizing->master_e8);
    eng_exact_times_e8(&exact, ratio_e8);
    eng_note(judging, IPC_STEP_RATIO, ratio_e8, 0);
    return settle_master(judging, sizing, &exact);
}

static enum ipc_reason raw_percentage(struct eng_judging *judging, struct eng_sizing *sizing)
{
    int64_t capital;
    enum ipc_basis basis =
        judging->policy->basis != 0 ? (enum ipc_basis)judging->policy->basis : IPC_BASIS_EQUITY;
    enum ipc_reason reason = own_capital(judging, basis, &capital);
    if (reason != IPC_REASON_NONE)
        return reason;
    if (judging->value_price_e8 <= 0)
        return IPC_REASON_PRICE_UNKNOWN;
    struct eng_exact exact = {0};
    eng_exact_times(&exact, capital);
    eng_exact_times(&exact, eng_magnitude(judging->row->ratio_e8));
    eng_exact_over(&exact, 100);
    eng_exact_over(&exact, judging->value_price_e8);
    eng_note(judging, IPC_STEP_CAPITAL, capital, 0);
    eng_note(judging, IPC_STEP_PERCENT, eng_magnitude(judging->row->ratio_e8), 0);
    eng_note(judging, IPC_STEP_PRICE, judging->value_price_e8, 0);
    return settle_raw(judging, sizing, eng_exact_floor(&exact, NULL), false);
}

static enum ipc_reason raw_proportional(
    struct eng_judging *judging, struct eng_sizing *sizing, enum ipc_basis basis)
{
    int64_t own, master;
    enum ipc_reason reason = both_capitals(judging, basis, &own, &master);
    if (reason != IPC_REASON_NONE)
        return reason;
    struct eng_exact exact = {0};
    note_master(judging, sizing->master_e8);
    eng_exact_times_e8(&exact, or_one(judging->policy->mult_e8));
    eng_exact_times(&exact, own);
    eng_exact_over(&exact, master);
    eng_note(judging, IPC_STEP_MULT, or_one(judging->policy->mult_e8), 0);
    eng_note(judging, IPC_STEP_CAPITAL_TIMES, own, 0);
    eng_note(judging, IPC_STEP_MASTER_CAPITAL, master, 0);
    return settle_master(judging, sizing, &exact);
}

static enum ipc_reason raw_contract(struct eng_judging *judging, struct eng_sizing *sizing)
{
    struct eng_exact exact = {0};
    note_master(judging, sizing->master_e8);
    eng_exact_times_e8(&exact, or_one(judging->policy->mult_e8));
    eng_note(judging, IPC_STEP_MULT, or_one(judging->policy->mult_e8), 0);
    if (judging->policy->contract_factor_e8 != 0) {
        eng_exact_times_e8(&exact, judging->policy->contract_factor_e8);
        eng_note(judging, IPC_STEP_CONTRACT_FACTOR, judging->policy->contract_factor_e8, 0);
        return settle_master(judging, sizing, &exact);
    }
    int64_t master = or_one(judging->shared->contract_e8);
    int64_t own = or_one(judging->follower->contract_e8);
    eng_exact_times(&exact, master);
    eng_exact_over(&exact, own);
    eng_note(judging, IPC_STEP_CONTRACT_FACTOR, eng_muldiv(master, LS_E8, own), 0);
    return settle_master(judging, sizing, &exact);
}

/* MQL5: whole percents, then steps of 5 and 10, always down; never below 1 %. */
static int64_t mql5_step_e8(int64_t fraction_e8)
{
    if (fraction_e8 < PERCENT_E8)
        return PERCENT_E8;
    int64_t step = fraction_e8 < 10 * PERCENT_E8    ? PERCENT_E8
                   : fraction_e8 < 100 * PERCENT_E8 ? 5 * PERCENT_E8
                                                    : 10 * PERCENT_E8;
    return eng_unit_floor(fraction_e8, step);
}

static enum ipc_reason raw_mql5(struct eng_judging *judging, struct eng_sizing *sizing)
{
    const struct ipc_row_policy *policy = judging->policy;
    int64_t fraction = judging->shared->given_fraction_e8;
    if (fraction == 0) {
        int64_t own, master;
        enum ipc_reason reason = both_capitals(judging, IPC_BASIS_BALANCE, &own, &master);
        if (reason != IPC_REASON_NONE)
            return reason;
        int64_t own_leverage = policy->follower_leverage_e8 ? policy->follower_leverage_e8
                                                            : judging->follower->leverage_e8;
        int64_t master_leverage = policy->master_leverage_e8 ? policy->master_leverage_e8
                                                             : judging->shared->master_leverage_e8;
        struct eng_exact exact = {0};
        eng_exact_times(&exact, own);
        eng_exact_over(&exact, master);
        eng_exact_times(&exact, or_one(policy->deposit_fraction_e8));
        eng_exact_times_e8(&exact, or_one(policy->fx_e8));
        eng_note(judging, IPC_STEP_CAPITAL, own, 0);
        eng_note(judging, IPC_STEP_FRACTION, or_one(policy->deposit_fraction_e8), 0);
        eng_note(judging, IPC_STEP_MASTER_CAPITAL, master, 0);
        if (policy->fx_e8 != 0)
            eng_note(judging, IPC_STEP_FX, policy->fx_e8, 0);
        if (own_leverage > 0 && master_leverage > 0 && own_leverage < master_leverage) {
            eng_exact_times(&exact, own_leverage);
            eng_exact_over(&exact, master_leverage);
            eng_note(judging, IPC_STEP_MULT, eng_muldiv(own_leverage, LS_E8, master_leverage), 0);
        }
        fraction = eng_exact_floor(&exact, NULL);
    }
    int64_t step = mql5_step_e8(fraction);
    judging->out->fraction_e8 = step;
    eng_note(judging, IPC_STEP_PCT_STEP, step > INT64_MAX / 100 ? INT64_MAX : step * 100, 0);
    if (judging->shared->size_kind == ENG_SIZE_NONE) {
        sizing->passed_over = true;
        return IPC_REASON_NONE;
    }
    return raw_ratio(judging, sizing, step);
}

/* k = (1 - S) / (1 - S + leverage x S) x 0.98, of what is available. */
static int64_t discounted_e8(const struct ipc_row_policy *policy, int64_t available_e8)
{
    int64_t slip = policy->slippage_discount_e8;
    int64_t kept = slip < LS_E8 ? LS_E8 - slip : 0;
    int64_t burden = eng_muldiv(or_one(policy->leverage_e8), slip, LS_E8);
    if (kept + burden <= 0)
        return 0;
    struct eng_exact exact = {0};
    eng_exact_times(&exact, available_e8);
    eng_exact_times(&exact, kept);
    eng_exact_over(&exact, kept + burden);
    eng_exact_times(&exact, 98);
    eng_exact_over(&exact, 100);
    return eng_exact_floor(&exact, NULL);
}

static enum ipc_reason raw_usage(
    struct eng_judging *judging, struct eng_sizing *sizing, bool discounted)
{
    const struct ipc_row_policy *policy = judging->policy;
    int64_t own, master, invest = policy->invest_e8;
    enum ipc_reason reason = IPC_REASON_NONE;
    if (invest == 0)
        reason = own_capital(judging, IPC_BASIS_EQUITY, &invest);
    if (reason == IPC_REASON_NONE)
        reason = capital_fresh(
            judging, judging->shared->master_capital_age_ns, IPC_STEP_MASTER_CAPITAL_AGE);
    if (reason != IPC_REASON_NONE)
        return reason;
    master = judging->shared->master_equity_e8;
    if (master <= 0)
        return IPC_REASON_CAPITAL_UNKNOWN;
    judging->out->leverage_e8 = policy->leverage_e8 != 0 ? policy->leverage_e8
                                : judging->shared->master_leverage_e8 != 0
                                    ? judging->shared->master_leverage_e8
                                    : judging->follower->leverage_e8;
    struct eng_exact exact = {0};
    note_master(judging, sizing->master_e8);
    eng_exact_times(&exact, sizing->master_e8);
    eng_exact_times(&exact, invest);
    eng_exact_over(&exact, master);
    eng_note(judging, IPC_STEP_INVEST, invest, 0);
    eng_note(judging, IPC_STEP_MASTER_CAPITAL, master, 0);
    times_map(judging, &exact);
    int64_t raw = eng_exact_floor(&exact, NULL);
    bool is_money = judging->shared->size_kind > ENG_SIZE_QTY;
    if (discounted) {
        reason = own_capital(judging, IPC_BASIS_FREE_MARGIN, &own);
        if (reason != IPC_REASON_NONE)
            return reason;
        int64_t most = discounted_e8(policy, own);
        if (!is_money && judging->value_price_e8 <= 0)
            return IPC_REASON_PRICE_UNKNOWN;
        if (!is_money)
            most = eng_muldiv(most, LS_E8, judging->value_price_e8);
        if (raw > most) {
            eng_note(judging, IPC_STEP_DISCOUNT_LIMIT, most, 0);
            raw = most;
        }
    }
    return settle_raw(judging, sizing, raw, is_money);
}

static enum ipc_reason raw_balance_steps(struct eng_judging *judging, struct eng_sizing *sizing)
{
    const struct ipc_row_policy *policy = judging->policy;
    int64_t balance;
    enum ipc_reason reason = own_capital(judging, IPC_BASIS_BALANCE, &balance);
    if (reason != IPC_REASON_NONE)
        return reason;
    if (policy->step_money_e8 <= 0)
        return IPC_REASON_MODE_UNSUPPORTED;
    int64_t steps = balance / policy->step_money_e8;
    eng_note(judging, IPC_STEP_CAPITAL, balance, 0);
    eng_note(judging, IPC_STEP_STEP_MONEY, policy->step_money_e8, 0);
    eng_note(judging, IPC_STEP_STEP_QTY, policy->step_qty_e8, 0);
    return settle_raw(judging, sizing, eng_muldiv(steps, policy->step_qty_e8, 1), false);
}

static enum ipc_reason raw_fixed_risk(struct eng_judging *judging, struct eng_sizing *sizing)
{
    const struct eng_case_shared *shared = judging->shared;
    if (shared->stop_e8 <= 0)
        return IPC_REASON_NO_STOP_LOSS;
    if (judging->value_price_e8 <= 0)
        return IPC_REASON_PRICE_UNKNOWN;
    int64_t distance = eng_magnitude(judging->value_price_e8 - shared->stop_e8);
    if (distance == 0)
        return IPC_REASON_NO_STOP_LOSS;
    int64_t equity;
    enum ipc_reason reason = own_capital(judging, IPC_BASIS_EQUITY, &equity);
    if (reason != IPC_REASON_NONE)
        return reason;
    struct eng_exact exact = {0};
    eng_exact_times(&exact, equity);
    eng_exact_times(&exact, judging->policy->fraction_e8);
    eng_exact_over(&exact, distance);
    eng_note(judging, IPC_STEP_CAPITAL, equity, 0);
    eng_note(judging, IPC_STEP_FRACTION, judging->policy->fraction_e8, 0);
    eng_note(judging, IPC_STEP_STOP_DISTANCE, distance, 0);
    return settle_raw(judging, sizing, eng_exact_floor(&exact, NULL), false);
}

/* The tier's lower bound belongs to it, the upper one to the next. Outside of all nothing is
 * copied. */
static enum ipc_reason raw_tiers(struct eng_judging *judging, struct eng_sizing *sizing)
{
    int64_t notional = sizing->master_e8;
    if (judging->shared->size_kind == ENG_SIZE_QTY) {
        if (judging->value_price_e8 <= 0)
            return IPC_REASON_PRICE_UNKNOWN;
        notional = eng_muldiv(sizing->master_e8, judging->value_price_e8, LS_E8);
    }
    const struct ipc_row_policy *policy = judging->policy;
    for (uint32_t i = 0; i < policy->tier_count && i < IPC_TIERS_MAX; i++) {
        const struct ipc_tier *tier = &policy->tiers[i];
        if (notional < tier->from_e8 || (tier->to_e8 != 0 && notional >= tier->to_e8))
            continue;
        struct eng_exact exact = {0};
        note_master(judging, sizing->master_e8);
        eng_exact_times_e8(&exact, tier->mult_e8);
        eng_note(judging, IPC_STEP_TIER, tier->mult_e8, 0);
        return settle_master(judging, sizing, &exact);
    }
    eng_note(judging, IPC_STEP_MASTER_NOTIONAL, notional, IPC_REASON_MASTER_SIZE_FILTER);
    return IPC_REASON_MASTER_SIZE_FILTER;
}

static enum ipc_reason raw_frozen(struct eng_judging *judging, struct eng_sizing *sizing)
{
    struct eng_exact exact = {0};
    note_master(judging, sizing->master_e8);
    if (judging->policy->frozen_coefficient_e8 != 0) {
        eng_exact_times_e8(&exact, judging->policy->frozen_coefficient_e8);
        eng_note(judging, IPC_STEP_COEFFICIENT, judging->policy->frozen_coefficient_e8, 0);
        return settle_master(judging, sizing, &exact);
    }
    int64_t own = judging->follower->join_equity_e8;
    int64_t master = judging->follower->master_join_equity_e8;
    if (own <= 0 || master <= 0)
        return IPC_REASON_CAPITAL_UNKNOWN;
    eng_exact_times(&exact, own);
    eng_exact_over(&exact, master);
    eng_note(judging, IPC_STEP_COEFFICIENT, eng_muldiv(own, LS_E8, master), 0);
    return settle_master(judging, sizing, &exact);
}

static enum ipc_reason raw_balance_basis(struct eng_judging *judging, struct eng_sizing *sizing)
{
    const struct ipc_row_policy *policy = judging->policy;
    int64_t balance;
    enum ipc_reason reason = own_capital(judging, IPC_BASIS_BALANCE, &balance);
    if (reason != IPC_REASON_NONE)
        return reason;
    if (policy->basis_money_e8 <= 0)
        return IPC_REASON_MODE_UNSUPPORTED;
    struct eng_exact exact = {0};
    eng_exact_times(&exact, balance);
    eng_exact_over(&exact, policy->basis_money_e8);
    eng_exact_times(&exact, policy->fraction_e8);
    eng_note(judging, IPC_STEP_CAPITAL, balance, 0);
    eng_note(judging, IPC_STEP_BASIS, policy->basis_money_e8, 0);
    eng_note(judging, IPC_STEP_FRACTION, policy->fraction_e8, 0);
    return settle_raw(judging, sizing, eng_exact_floor(&exact, NULL), false);
}

/* Whole units, then what the system and the user leave beside what is held. */
static enum ipc_reason raw_available(struct eng_judging *judging, struct eng_sizing *sizing)
{
    const struct ipc_row_policy *policy = judging->policy;
    int64_t own = judging->follower->max_available_e8;
    int64_t master = judging->shared->master_max_available_e8;
    /* Figures that are too old count as none: the record says so, or they would be fresh in it. */
    enum ipc_reason reason = IPC_REASON_NONE;
    if (own <= 0)
        reason = capital_fresh(judging, judging->follower->capital_age_ns, IPC_STEP_CAPITAL_AGE);
    else if (master <= 0)
        reason = capital_fresh(
            judging, judging->shared->master_capital_age_ns, IPC_STEP_MASTER_CAPITAL_AGE);
    if (reason != IPC_REASON_NONE)
        return reason;
    if (own <= 0 || master <= 0)
        return IPC_REASON_CAPITAL_UNKNOWN;
    struct eng_exact exact = {0};
    eng_exact_times(&exact, sizing->master_e8);
    eng_exact_times_e8(&exact, or_one(policy->available_factor_e8));
    eng_exact_times(&exact, own);
    eng_exact_over(&exact, master);
    eng_note(judging, IPC_STEP_MASTER_SIZE, sizing->master_e8, 0);
    eng_note(judging, IPC_STEP_COEFFICIENT, or_one(policy->available_factor_e8), 0);
    eng_note(judging, IPC_STEP_MAX_AVAILABLE, own, 0);
    eng_note(judging, IPC_STEP_MASTER_MAX_AVAILABLE, master, 0);
    times_map(judging, &exact);
    int64_t raw = eng_unit_floor(eng_exact_floor(&exact, NULL), judging->unit_e8 != 0 ? 0 : LS_E8);
    int64_t used = judging->follower->reach_e8 - sizing->freed_e8;
    used = used > 0 ? used : 0;
    const int64_t caps[2] = {policy->system_max_e8, policy->user_max_e8};
    for (int i = 0; i < 2; i++) {
        int64_t room = caps[i] > used ? caps[i] - used : 0;
        if (caps[i] == 0 || raw <= room)
            continue;
        eng_note(judging, i == 0 ? IPC_STEP_SYSTEM_MAX : IPC_STEP_USER_MAX, caps[i],
            IPC_REASON_MAX_POSITION_REDUCED);
        if (room == 0)
            return IPC_REASON_MAX_POSITION_REDUCED;
        eng_because(judging, IPC_REASON_MAX_POSITION_REDUCED);
        raw = room;
    }
    return settle_raw(judging, sizing, raw, false);
}

/* Modes that do not look at the master's size. */
static bool ignores_master(enum ipc_mode mode)
{
    return mode == IPC_MODE_PERCENTAGE || mode == IPC_MODE_FIXED_QUANTITY ||
           mode == IPC_MODE_STEP_OF_BALANCE || mode == IPC_MODE_FIXED_RISK ||
           mode == IPC_MODE_PCT_BALANCE_BASIS;
}

enum ipc_reason eng_mode_raw(struct eng_judging *judging, struct eng_sizing *sizing)
{
    enum ipc_mode mode = (enum ipc_mode)judging->row->mode;
    if (!ipc_mode_valid(mode))
        return IPC_REASON_MODE_UNSUPPORTED;
    if (judging->shared->size_kind == ENG_SIZE_NONE && !ignores_master(mode) &&
        mode != IPC_MODE_MQL5_PCT) {
        sizing->passed_over = true;
        return IPC_REASON_NONE;
    }
    switch (mode) {
    case IPC_MODE_FIXED_RATIO:
    case IPC_MODE_SMART_TARGET:
        return raw_ratio(judging, sizing, eng_magnitude(judging->row->ratio_e8));
    case IPC_MODE_PERCENTAGE:
        return raw_percentage(judging, sizing);
    case IPC_MODE_FIXED_QUANTITY:
        eng_note(judging, IPC_STEP_FIXED_QTY, judging->row->fixed_qty_e8, 0);
        sizing->qty_e8 = judging->row->fixed_qty_e8 > 0 ? judging->row->fixed_qty_e8 : 0;
        return IPC_REASON_NONE;
    case IPC_MODE_EQUITY_PROPORTIONAL:
        return raw_proportional(judging, sizing, IPC_BASIS_EQUITY);
    case IPC_MODE_BALANCE_PROPORTIONAL:
        return raw_proportional(judging, sizing, IPC_BASIS_BALANCE);
    case IPC_MODE_AUTO_RISK:
        return raw_proportional(judging, sizing,
            judging->policy->basis != 0 ? (enum ipc_basis)judging->policy->basis
                                        : IPC_BASIS_EQUITY);
    case IPC_MODE_MULTIPLIER_NOTIONAL:
        return raw_contract(judging, sizing);
    case IPC_MODE_MQL5_PCT:
        return raw_mql5(judging, sizing);
    case IPC_MODE_USAGE_RATIO:
        return raw_usage(judging, sizing, false);
    case IPC_MODE_USAGE_RATIO_DISCOUNT:
        return raw_usage(judging, sizing, true);
    case IPC_MODE_STEP_OF_BALANCE:
        return raw_balance_steps(judging, sizing);
    case IPC_MODE_FIXED_RISK:
        return raw_fixed_risk(judging, sizing);
    case IPC_MODE_TIERED_MULTIPLIER:
        return raw_tiers(judging, sizing);
    case IPC_MODE_COPY_RATIO_FROZEN:
        return raw_frozen(judging, sizing);
    case IPC_MODE_PCT_BALANCE_BASIS:
        return raw_balance_basis(judging, sizing);
    case IPC_MODE_AVAILABLE_RATIO_CAPPED:
        return raw_available(judging, sizing);
    case IPC_MODE_POOLED_EQUAL:
    case IPC_MODE_POOLED_RATIO:
    case IPC_MODE_POOLED_NETLIQ:
        break; /* one block is split by pool.h before anybody is judged */
    }
    return IPC_REASON_MODE_UNSUPPORTED;
}
