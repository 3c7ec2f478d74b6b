/* Steps 1 to 8 of SEMANTICS 2: whether an opening may be copied at all. */
#include "engine/core/pipeline/full.h"
#include "engine/core/pipeline/judging.h"

#define MARKET_AGE_MS 2000
#define LIMIT_AGE_MS  5000

/* Steps 1 and 2. */
static enum ipc_reason bar_switches(const struct eng_judging *judging)
{
    if (judging->follower->word != IPC_SWITCH_RUN)
        return IPC_REASON_KILL_SWITCH;
    return (enum ipc_reason)judging->shared->barred;
}

/* Step 3. */
static enum ipc_reason bar_follower(struct eng_judging *judging)
{
    const struct eng_case_follower *follower = judging->follower;
    uint8_t flags = judging->row->flags;
    if (flags & IPC_FOLLOWER_RETIRED)
        return eng_ended_reason(judging->policy);
    if (!(flags & IPC_FOLLOWER_ENABLED))
        return IPC_REASON_FOLLOWER_DISABLED;
    if (flags & IPC_FOLLOWER_PAUSED)
        return IPC_REASON_COPY_PAUSED;
    if (!follower->session_valid)
        return IPC_REASON_SESSION_EXPIRED;
    if (follower->breaker != IPC_REASON_NONE)
        return (enum ipc_reason)follower->breaker;
    uint32_t most = judging->policy->failures_max;
    if (most != 0 && follower->failures >= most && !follower->probe) {
        eng_note(judging, IPC_STEP_FAILURES, follower->failures * LS_E8, IPC_REASON_CIRCUIT_OPEN);
        return IPC_REASON_CIRCUIT_OPEN;
    }
    return IPC_REASON_NONE;
}

static bool mask_bars(uint8_t mask, uint8_t bit)
{
    return mask != 0 && !(mask >> bit & 1);
}

/* Steps 4 and 5. Filters speak of the master's order. */
static enum ipc_reason bar_filters(struct eng_judging *judging)
{
    const struct eng_case_shared *shared = judging->shared;
    const struct ipc_row_follower *row = judging->row;
    const struct ipc_row_policy *policy = judging->policy;
    if (judging->instrument == 0)
        return IPC_REASON_INSTRUMENT_UNKNOWN;
    if (judging->follower->mismatch)
        return IPC_REASON_INSTRUMENT_MISMATCH;
    if (mask_bars(row->sides, shared->side))
        return IPC_REASON_SIDE_NOT_ALLOWED;
    if (!judging->follower->symbol_allowed)
        return IPC_REASON_SYMBOL_NOT_ALLOWED;
    if (mask_bars(row->products, shared->product))
        return IPC_REASON_PRODUCT_NOT_ALLOWED;
    if (mask_bars(row->types, shared->type))
        return IPC_REASON_ORDER_TYPE_NOT_ALLOWED;
    if (shared->size_kind == ENG_SIZE_NONE || shared->occasion == ENG_ON_TARGET)
        return IPC_REASON_NONE;
    int64_t size_e8 = shared->order_qty_e8 != 0 ? shared->order_qty_e8 : shared->qty_e8;
    if (policy->master_min_e8 != 0 && size_e8 < policy->master_min_e8) {
        eng_note(judging, IPC_STEP_MASTER_QTY, size_e8, 0);
        eng_note(
            judging, IPC_STEP_MASTER_MIN, policy->master_min_e8, IPC_REASON_MASTER_SIZE_FILTER);
        return IPC_REASON_MASTER_SIZE_FILTER;
    }
    if (policy->master_max_e8 != 0 && size_e8 > policy->master_max_e8) {
        eng_note(judging, IPC_STEP_MASTER_QTY, size_e8, 0);
        eng_note(
            judging, IPC_STEP_MASTER_MAX, policy->master_max_e8, IPC_REASON_MASTER_SIZE_FILTER);
        return IPC_REASON_MASTER_SIZE_FILTER;
    }
    return IPC_REASON_NONE;
}

static bool minute_inside(int32_t minute, int32_t from, int32_t to)
{
    if (minute < 0)
        return false;
    return from <= to ? minute >= from && minute < to : minute >= from || minute < to;
}

/* Step 6. The end of a window and a cut-off are outside of it. */
static enum ipc_reason bar_hours(struct eng_judging *judging)
{
    const struct eng_case_shared *shared = judging->shared;
    const struct ipc_row_policy *policy = judging->policy;
    bool intraday = shared->product == IPC_PRODUCT_MIS;
    if (shared->market == ENG_MARKET_CLOSED || (shared->market == ENG_MARKET_UNKNOWN && intraday))
        return IPC_REASON_MARKET_CLOSED;
    int32_t cutoff =
        policy->intraday_cutoff_min != 0 ? policy->intraday_cutoff_min : shared->cutoff_minute;
    if (intraday && cutoff != 0 && (shared->minute < 0 || shared->minute >= cutoff)) {
        eng_note(judging, IPC_STEP_MARKET_TIME, shared->minute * LS_E8, 0);
        eng_note(judging, IPC_STEP_INTRADAY_CUTOFF, cutoff * LS_E8, IPC_REASON_MARKET_CLOSED);
        return IPC_REASON_MARKET_CLOSED;
    }
    if (policy->window_from_min == 0 && policy->window_to_min == 0)
        return IPC_REASON_NONE;
    if (!minute_inside(shared->minute, policy->window_from_min, policy->window_to_min)) {
        eng_note(judging, IPC_STEP_MARKET_TIME, shared->minute * LS_E8, 0);
        eng_note(judging, IPC_STEP_WINDOW_FROM, policy->window_from_min * LS_E8, 0);
        eng_note(
            judging, IPC_STEP_WINDOW_TO, policy->window_to_min * LS_E8, IPC_REASON_OUTSIDE_WINDOW);
        return IPC_REASON_OUTSIDE_WINDOW;
    }
    return IPC_REASON_NONE;
}

/* Step 7. As old as the limit passes. */
enum ipc_reason eng_bar_age(struct eng_judging *judging)
{
    const struct ipc_row_follower *row = judging->row;
    bool market = judging->shared->occasion == ENG_ON_FILL ||
                  judging->shared->type == IPC_TYPE_MARKET || judging->shared->type == IPC_TYPE_SLM;
    uint32_t ms = market ? (row->max_age_market_ms ? row->max_age_market_ms : MARKET_AGE_MS)
                         : (row->max_age_limit_ms ? row->max_age_limit_ms : LIMIT_AGE_MS);
    if (judging->shared->age_ns <= (int64_t)ms * LS_NS_PER_MS)
        return IPC_REASON_NONE;
    eng_note(judging, IPC_STEP_AGE, eng_muldiv(judging->shared->age_ns, LS_E8, LS_NS_PER_MS), 0);
    eng_note(judging, IPC_STEP_AGE_LIMIT, ms * LS_E8, IPC_REASON_STALE_EVENT);
    return IPC_REASON_STALE_EVENT;
}

static enum ipc_reason bar_loss(struct eng_judging *judging)
{
    const struct eng_case_follower *follower = judging->follower;
    const struct ipc_row_policy *policy = judging->policy;
    __int128 result = (__int128)follower->realised_e8 +
                      (follower->loss_realised_only ? 0 : follower->unrealised_e8);
    int64_t result_e8 = result < INT64_MIN   ? INT64_MIN
                        : result > INT64_MAX ? INT64_MAX
                                             : (int64_t)result;
    int64_t limit_e8 = policy->daily_loss_e8;
    if (policy->daily_loss_fraction_e8 != 0) {
        if (follower->day_start_equity_e8 <= 0)
            return IPC_REASON_CAPITAL_UNKNOWN;
        int64_t share =
            eng_muldiv(follower->day_start_equity_e8, policy->daily_loss_fraction_e8, LS_E8);
        if (limit_e8 == 0 || share < limit_e8)
            limit_e8 = share;
    }
    if (limit_e8 <= 0 || result > -(__int128)limit_e8)
        return IPC_REASON_NONE;
    eng_note(judging, IPC_STEP_DAY_PNL, result_e8, 0);
    eng_note(judging, IPC_STEP_DAILY_LOSS, limit_e8, IPC_REASON_DAILY_LOSS);
    return IPC_REASON_DAILY_LOSS;
}

/* Step 8: loss, what tripped before, trades, open positions. */
static enum ipc_reason bar_day(struct eng_judging *judging)
{
    const struct eng_case_follower *follower = judging->follower;
    const struct ipc_row_policy *policy = judging->policy;
    enum ipc_reason reason = bar_loss(judging);
    if (reason != IPC_REASON_NONE)
        return reason;
    if (follower->limit != IPC_REASON_NONE) {
        eng_note(judging, IPC_STEP_LIMIT_TRIPPED, 0, follower->limit);
        return (enum ipc_reason)follower->limit;
    }
    if (policy->trades_day_max != 0 && follower->trades >= policy->trades_day_max) {
        eng_note(judging, IPC_STEP_TRADES, follower->trades * LS_E8, 0);
        eng_note(judging, IPC_STEP_TRADES_LIMIT, policy->trades_day_max * LS_E8,
            IPC_REASON_MAX_TRADES_DAY);
        return IPC_REASON_MAX_TRADES_DAY;
    }
    if (policy->open_positions_max != 0 && !follower->holds &&
        follower->open_positions >= policy->open_positions_max) {
        eng_note(judging, IPC_STEP_OPEN_POSITIONS, follower->open_positions * LS_E8, 0);
        eng_note(judging, IPC_STEP_OPEN_POSITIONS_LIMIT, policy->open_positions_max * LS_E8,
            IPC_REASON_MAX_OPEN_POSITIONS);
        return IPC_REASON_MAX_OPEN_POSITIONS;
    }
    return IPC_REASON_NONE;
}

enum ipc_reason eng_bars(struct eng_judging *judging, bool amends)
{
    enum ipc_reason reason = bar_switches(judging);
    if (reason == IPC_REASON_NONE)
        reason = bar_follower(judging);
    if (reason == IPC_REASON_NONE)
        reason = bar_filters(judging);
    if (reason != IPC_REASON_NONE || amends)
        return reason;
    reason = bar_hours(judging);
    if (reason == IPC_REASON_NONE)
        reason = eng_bar_age(judging);
    return reason == IPC_REASON_NONE ? bar_day(judging) : reason;
}
