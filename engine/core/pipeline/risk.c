#include "engine/core/pipeline/risk.h"

#include "engine/core/children.h"
#include "engine/core/pace.h"
#include "engine/core/pipeline/controls.h"
#include "engine/core/pipeline/day.h"
#include "engine/core/pipeline/full.h"
#include "engine/core/positions.h"

/* --- what a batch shares ------------------------------------------------------------------------
 */

static int64_t age_of(int64_t mono_ns, int64_t now_mono_ns)
{
    if (mono_ns <= 0)
        return ENG_AGE_INFINITE;
    return now_mono_ns > mono_ns ? now_mono_ns - mono_ns : 0;
}

/* A filled entry whose position the master no longer holds was closed meanwhile. */
static bool closed_meanwhile(const struct eng_core *core, const struct eng_order *order)
{
    if (order->status != IPC_STATUS_FILLED || (order->flags & ENG_ORDER_EXIT))
        return false;
    uint32_t index = eng_master_find(core, order->account, order->instrument, order->product);
    if (index == ENG_NONE)
        return false;
    int64_t held = core->master_positions[index].held_e8;
    return order->side == IPC_SIDE_BUY ? held <= 0 : held >= 0;
}

/* What stops all entries of the batch alike, after the switches. */
static enum ipc_reason batch_bar(const struct eng_plan *plan)
{
    if (!plan->sample->journal_takes_entries)
        return IPC_REASON_JOURNAL;
    if (plan->ended)
        return plan->order->status == IPC_STATUS_REJECTED ? IPC_REASON_MASTER_REJECTED
                                                          : IPC_REASON_SUPERSEDED;
    return plan->closed ? IPC_REASON_SUPERSEDED : plan->group_bar;
}

const struct ipc_row_map_item *eng_map_item(
    const struct ipc_snapshot_view *view, const struct ipc_row_follower *row, uint32_t instrument)
{
    if (row->map == 0)
        return NULL;
    const struct ipc_row_list *run = &view->maps[row->map - 1];
    const struct ipc_row_map_item *items = view->map_items + run->first;
    uint32_t low = 0, high = run->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (items[middle].from < instrument)
            low = middle + 1;
        else
            high = middle;
    }
    return low < run->count && items[low].from == instrument ? &items[low] : NULL;
}

/* The instrument with the numbers of the master's broker: entries are made where the follower's
 * broker has the same (the guard of step 4), in slices that every broker takes. */
static const struct ipc_row_instrument *plan_instrument(
    struct eng_plan *plan, const struct ipc_snapshot_view *view, const struct eng_order *order)
{
    struct eng_contract at;
    eng_contracts_of(view, order->instrument, &plan->contracts);
    plan->master_broker = order->account != 0 && order->account <= view->account_count
                              ? view->accounts[order->account - 1].broker
                              : ENG_CONTRACT_BROKERS;
    if (LS_LIKELY(plan->contracts.count == 0) ||
        !eng_contract_at(&plan->contracts, plan->master_broker, &at))
        return plan->contracts.instrument;
    plan->master_row = *plan->contracts.instrument;
    plan->master_row.lot_qty_e8 = at.lot_qty_e8;
    plan->master_row.tick_e8 = at.tick_e8;
    plan->master_row.freeze_qty_e8 = eng_contract_freeze_e8(&plan->contracts);
    return &plan->master_row;
}

void eng_plan_make(struct eng_plan *plan, const struct eng_core *core, uint32_t order_index,
    const struct eng_order *order, bool refuses_market, const struct eng_batch_sample *sample)
{
    const struct ipc_row_instrument *row = plan_instrument(plan, core->view, order);
    plan->core = core;
    plan->view = core->view;
    plan->order = order;
    plan->order_index = order_index;
    plan->instrument = row;
    plan->sample = sample;
    plan->is_exit = (order->flags & ENG_ORDER_EXIT) != 0;
    plan->ended = order->status > IPC_STATUS_FILLED;
    plan->closed = closed_meanwhile(core, order);
    plan->age_ns = eng_order_age_ns(core, order, sample->now_mono_ns);
    plan->age_limit_ns = eng_entry_age_limit_ns(&(struct ipc_row_follower){0}, order->type);
    plan->group_bar = eng_day_plan(plan);
    plan->barred = batch_bar(plan);
    plan->price_age_ns = sample->price_e8 > 0 ? age_of(sample->price_mono_ns, sample->now_mono_ns)
                                              : ENG_AGE_INFINITE;
    plan->shape = eng_shape_make(&core->config, order, row, plan->is_exit, refuses_market,
        sample->price_e8, plan->price_age_ns);
    /* The value of a limit order is at its limit; a stop at market is valued at its trigger. */
    plan->value_price_e8 = order->price_e8 != 0 ? order->price_e8 : order->trigger_e8;
    plan->sizer = eng_sizer_make(order->qty_e8, row == NULL ? 0 : row->lot_qty_e8,
        plan->value_price_e8 != 0 ? plan->value_price_e8 : sample->price_e8);
    plan->freeze_qty_e8 = row == NULL || row->freeze_qty_e8 <= 0
                              ? 0
                              : eng_lot_floor(&plan->sizer, row->freeze_qty_e8);
    memset(plan->lists, 0, sizeof plan->lists);

    /* Exits may use what entries leave: the last eighth of the children is theirs. */
    uint32_t children = eng_child_room(core);
    uint32_t share = core->limits.child_max / 8;
    uint32_t positions = core->limits.position_max - core->fold.position_count;
    plan->exits_left = children;
    plan->entries_left = children > share ? children - share : 0;
    if (plan->entries_left > positions)
        plan->entries_left = positions;
    enum ipc_reason reason = eng_controls_plan(plan);
    if (plan->barred == IPC_REASON_NONE)
        plan->barred = reason;
}

/* --- lists --------------------------------------------------------------------------------------
 */

static bool list_search(const struct ipc_snapshot_view *view, uint32_t list, uint32_t instrument)
{
    const struct ipc_row_list *run = &view->lists[list];
    const uint32_t *items = view->list_items + run->first;
    uint32_t low = 0, high = run->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (items[middle] < instrument)
            low = middle + 1;
        else
            high = middle;
    }
    return low < run->count && items[low] == instrument;
}

/* Followers share lists, and all of a batch ask for the same instrument. */
static bool list_contains(struct eng_plan *plan, uint32_t list_no)
{
    size_t at = list_no % ENG_LIST_CACHE;
    if (plan->lists[at].list != list_no) {
        plan->lists[at].contains = list_search(plan->view, list_no - 1, plan->order->instrument);
        plan->lists[at].list = list_no;
    }
    return plan->lists[at].contains;
}

bool eng_plan_symbol_allowed(struct eng_plan *plan, const struct ipc_row_follower *row)
{
    return (row->allowed_list == 0 || list_contains(plan, row->allowed_list)) &&
           (row->denied_list == 0 || !list_contains(plan, row->denied_list));
}

/* --- openings -----------------------------------------------------------------------------------
 */

static bool mask_bars(uint8_t mask, uint8_t bit)
{
    return mask != 0 && !(mask >> bit & 1);
}

/* Step 5 for followers that filter at all. */
static enum ipc_reason entry_lists(struct eng_plan *plan, const struct ipc_row_follower *row)
{
    const struct eng_order *order = plan->order;
    if (mask_bars(row->sides, order->side))
        return IPC_REASON_SIDE_NOT_ALLOWED;
    if (row->allowed_list != 0 && !list_contains(plan, row->allowed_list))
        return IPC_REASON_SYMBOL_NOT_ALLOWED;
    if (row->denied_list != 0 && list_contains(plan, row->denied_list))
        return IPC_REASON_SYMBOL_NOT_ALLOWED;
    if (mask_bars(row->products, order->product))
        return IPC_REASON_PRODUCT_NOT_ALLOWED;
    if (mask_bars(row->types, order->type))
        return IPC_REASON_ORDER_TYPE_NOT_ALLOWED;
    return IPC_REASON_NONE;
}

static enum ipc_reason entry_state(
    const struct ipc_snapshot_view *view, const struct ipc_row_follower *row)
{
    if (row->flags & IPC_FOLLOWER_RETIRED)
        return eng_ended_reason(row->policy != 0 ? &view->policies[row->policy - 1] : NULL);
    if (!(row->flags & IPC_FOLLOWER_ENABLED))
        return IPC_REASON_FOLLOWER_DISABLED;
    return row->flags & IPC_FOLLOWER_PAUSED ? IPC_REASON_COPY_PAUSED : IPC_REASON_NONE;
}

/* Steps 1-7: whether it may be copied at all. */
__attribute__((always_inline)) static inline enum ipc_reason entry_filters(
    struct eng_plan *plan, const struct eng_follower *follower, const bool asks_day)
{
    const struct ipc_row_follower *row = follower->row;
    const uint32_t states = IPC_FOLLOWER_ENABLED | IPC_FOLLOWER_RETIRED | IPC_FOLLOWER_PAUSED;
    if (LS_UNLIKELY(follower->word != IPC_SWITCH_RUN))
        return IPC_REASON_KILL_SWITCH;
    if (LS_UNLIKELY(plan->barred != IPC_REASON_NONE))
        return plan->barred;
    if (LS_UNLIKELY((row->flags & states) != IPC_FOLLOWER_ENABLED))
        return entry_state(plan->view, row);
    if (LS_UNLIKELY(!eng_account_session_valid(follower->account)))
        return IPC_REASON_SESSION_EXPIRED;
    if (asks_day && eng_controls_bar(plan, follower) != IPC_REASON_NONE)
        return IPC_REASON_BREAKER;
    if (asks_day && eng_day_circuit(plan, follower) != IPC_REASON_NONE)
        return IPC_REASON_CIRCUIT_OPEN;
    enum ipc_reason contract = eng_plan_contract(plan, follower, false);
    if (LS_UNLIKELY(contract != IPC_REASON_NONE))
        return contract;
    if ((row->sides | row->products | row->types | row->allowed_list | row->denied_list) != 0) {
        enum ipc_reason reason = entry_lists(plan, row);
        if (reason != IPC_REASON_NONE)
            return reason;
    }
    if (asks_day) {
        enum ipc_reason reason = eng_day_hours(plan, follower);
        if (reason != IPC_REASON_NONE)
            return reason;
    }
    int64_t limit_ns = plan->age_limit_ns;
    if (LS_UNLIKELY((row->max_age_market_ms | row->max_age_limit_ms) != 0))
        limit_ns = eng_entry_age_limit_ns(row, plan->order->type);
    return plan->age_ns > limit_ns ? IPC_REASON_STALE_EVENT : IPC_REASON_NONE;
}

/* Steps 1-8 for those of whom the day is asked. */
__attribute__((noinline)) static enum ipc_reason asked_filters(
    struct eng_plan *plan, const struct eng_follower *follower, bool is_own)
{
    enum ipc_reason reason = entry_filters(plan, follower, true);
    return reason != IPC_REASON_NONE ? reason : eng_day_limits(plan, follower, is_own);
}

static bool price_fresh(const struct eng_plan *plan, const struct ipc_row_follower *row)
{
    uint32_t ms = row->price_max_age_ms ? row->price_max_age_ms : ENG_PRICE_AGE_MS;
    return plan->price_age_ns <= (int64_t)ms * LS_NS_PER_MS;
}

static int64_t usable_capital_e8(const struct eng_plan *plan, const struct ipc_row_follower *row,
    const struct eng_follower_sample *sample)
{
    int64_t age = age_of(sample->capital_mono_ns, plan->sample->now_mono_ns);
    return age <= eng_capital_age_ns(row) && sample->capital_e8 > 0 ? sample->capital_e8 : 0;
}

/* Nobody has read the account's figures, or nobody lately. */
static enum ipc_reason capital_reason(const struct eng_plan *plan,
    const struct ipc_row_follower *row, const struct eng_follower_sample *sample)
{
    return sample->capital_mono_ns > 0 && age_of(sample->capital_mono_ns,
                                              plan->sample->now_mono_ns) > eng_capital_age_ns(row)
               ? IPC_REASON_STALE_ACCOUNT_DATA
               : IPC_REASON_CAPITAL_UNKNOWN;
}

/* Step 9: the raw quantity of the mode. */
static enum ipc_reason entry_raw(const struct eng_plan *plan, const struct ipc_row_follower *row,
    int64_t capital_e8, int64_t *raw_e8)
{
    switch ((enum ipc_mode)row->mode) {
    case IPC_MODE_FIXED_RATIO:
        *raw_e8 = eng_ratio_qty(&plan->sizer, row->ratio_e8);
        return IPC_REASON_NONE;
    case IPC_MODE_FIXED_QUANTITY:
        *raw_e8 = row->fixed_qty_e8 > 0 ? row->fixed_qty_e8 : 0;
        return IPC_REASON_NONE;
    case IPC_MODE_PERCENTAGE:
        if (capital_e8 == 0)
            return IPC_REASON_CAPITAL_UNKNOWN;
        if (plan->sizer.reference_e8 <= 0 || (plan->value_price_e8 == 0 && !price_fresh(plan, row)))
            return IPC_REASON_PRICE_UNKNOWN;
        *raw_e8 = eng_percentage_qty(&plan->sizer, capital_e8, row->ratio_e8);
        return IPC_REASON_NONE;
    case IPC_MODE_EQUITY_PROPORTIONAL:
    case IPC_MODE_BALANCE_PROPORTIONAL:
    case IPC_MODE_AUTO_RISK:
    case IPC_MODE_MULTIPLIER_NOTIONAL:
    case IPC_MODE_MQL5_PCT:
    case IPC_MODE_USAGE_RATIO:
    case IPC_MODE_USAGE_RATIO_DISCOUNT:
    case IPC_MODE_STEP_OF_BALANCE:
    case IPC_MODE_FIXED_RISK:
    case IPC_MODE_TIERED_MULTIPLIER:
    case IPC_MODE_COPY_RATIO_FROZEN:
    case IPC_MODE_SMART_TARGET:
    case IPC_MODE_PCT_BALANCE_BASIS:
    case IPC_MODE_AVAILABLE_RATIO_CAPPED:
    case IPC_MODE_POOLED_EQUAL:
    case IPC_MODE_POOLED_RATIO:
    case IPC_MODE_POOLED_NETLIQ:
        break;
    }
    return IPC_REASON_MODE_UNSUPPORTED;
}

static void note(struct ipc_fact_child *fact, enum ipc_reason reason)
{
    if (fact->reason == IPC_REASON_NONE)
        fact->reason = (uint8_t)reason;
}

static bool refuse(struct ipc_fact_child *fact, enum ipc_reason reason)
{
    fact->reason = (uint8_t)reason;
    return false;
}

/* Step 12, max_position: held and working count, orders of unknown outcome with all of their rest,
 * and a close of the position's own side, which opens more when it fills. */
static int64_t position_room_e8(
    const struct eng_plan *plan, const struct ipc_row_follower *row, int64_t own_e8)
{
    const struct eng_order *order = plan->order;
    uint32_t index =
        eng_position_find(plan->core, row->follower_no, order->instrument, order->product);
    while (index != ENG_NONE && plan->core->positions[index].instrument != order->instrument)
        index = plan->core->positions[index].older; /* of an earlier symbol map */
    if (index == ENG_NONE)
        return row->max_position_e8;
    const struct eng_position *position = &plan->core->positions[index];
    int64_t used = eng_reach_e8(position);
    /* The total of a working copy is decided anew: what it holds and may still fill is not in its
     * own way. */
    used -= own_e8;
    return ls_max_i64(row->max_position_e8 - ls_max_i64(used, 0), 0);
}

/* Step 12: quantity caps, each floored again. */
static bool entry_qty_caps(const struct eng_plan *plan, const struct ipc_row_follower *row,
    int64_t own_e8, struct ipc_fact_child *fact)
{
    if (row->max_qty_e8 != 0 && fact->qty_e8 > row->max_qty_e8) {
        if (row->flags & IPC_FOLLOWER_CAP_SKIPS)
            return refuse(fact, IPC_REASON_MAX_QTY);
        int64_t capped = eng_lot_floor(&plan->sizer, ls_max_i64(row->max_qty_e8, 0));
        if (capped == 0)
            return refuse(fact, IPC_REASON_MAX_QTY_CAPPED);
        note(fact, IPC_REASON_MAX_QTY_CAPPED);
        fact->qty_e8 = capped;
    }
    if (row->max_position_e8 != 0) {
        int64_t room = eng_lot_floor(&plan->sizer, position_room_e8(plan, row, own_e8));
        if (fact->qty_e8 > room) {
            if (room == 0)
                return refuse(fact, IPC_REASON_MAX_POSITION_REDUCED);
            note(fact, IPC_REASON_MAX_POSITION_REDUCED);
            fact->qty_e8 = room;
        }
    }
    return true;
}

/* What values the order: its own limit, else a fresh last price; 0 = none. */
static int64_t value_price_e8(const struct eng_plan *plan, const struct ipc_row_follower *row)
{
    if (plan->value_price_e8 != 0)
        return plan->value_price_e8;
    return price_fresh(plan, row) ? plan->sample->price_e8 : 0;
}

/* Step 13: the order's value at its limit, else at a fresh last price. */
static bool entry_value_cap(
    const struct eng_plan *plan, const struct ipc_row_follower *row, struct ipc_fact_child *fact)
{
    int64_t price_e8 = plan->value_price_e8;
    if (price_e8 == 0) {
        if (!price_fresh(plan, row))
            return refuse(fact, IPC_REASON_PRICE_UNKNOWN);
        price_e8 = plan->sample->price_e8;
    }
    if (!eng_value_exceeds(fact->qty_e8, price_e8, row->max_order_value_e8))
        return true;
    if (!(row->flags & IPC_FOLLOWER_VALUE_REDUCES))
        return refuse(fact, IPC_REASON_MAX_ORDER_VALUE);
    int64_t capped = eng_lot_floor(&plan->sizer, eng_value_qty(row->max_order_value_e8, price_e8));
    if (capped == 0)
        return refuse(fact, IPC_REASON_MAX_ORDER_VALUE);
    note(fact, IPC_REASON_MAX_ORDER_VALUE_REDUCED);
    fact->qty_e8 = capped;
    return true;
}

/* Steps 14-17: exposure in doubt, short, price guard, slices. */
static bool entry_guards(const struct eng_plan *plan, const struct ipc_row_follower *row,
    const struct eng_slot *slot, struct ipc_fact_child *fact)
{
    if (slot != NULL && LS_UNLIKELY(slot->unknown_count != 0) &&
        eng_position_unknown(plan->core, (uint32_t)(slot - plan->core->slots), row->follower_no,
            plan->order->instrument))
        return refuse(fact, IPC_REASON_UNKNOWN_PENDING);
    if (plan->order->side == IPC_SIDE_SELL && !(row->flags & IPC_FOLLOWER_ALLOW_SHORT))
        return refuse(fact, IPC_REASON_SHORT_NOT_ALLOWED);
    if (plan->shape.needs_price && !price_fresh(plan, row))
        return refuse(fact, IPC_REASON_PRICE_UNKNOWN);
    if (plan->freeze_qty_e8 != 0 &&
        LS_UNLIKELY(fact->qty_e8 > plan->freeze_qty_e8 * ENG_SLICES_MAX))
        return refuse(fact, IPC_REASON_TOO_MANY_SLICES);
    return true;
}

/* Values of the day, and what no follower sets (ORDER-SAFETY 3.9). */
__attribute__((noinline)) static bool asked_values(struct eng_plan *plan,
    const struct eng_follower *follower, int64_t own_e8, struct ipc_fact_child *fact)
{
    int64_t price_e8 = value_price_e8(plan, follower->row);
    enum ipc_reason reason = eng_day_value(plan, follower, fact->qty_e8, own_e8, price_e8);
    if (reason != IPC_REASON_NONE)
        return refuse(fact, reason);
    const struct eng_controls_order order = {.qty_e8 = fact->qty_e8,
        .own_e8 = own_e8,
        .price_e8 = price_e8,
        .instrument = plan->order->instrument,
        .side = plan->order->side};
    bool suspect;
    reason = eng_controls_order(plan, follower, &order, &suspect);
    if (reason != IPC_REASON_NONE)
        return refuse(fact, reason);
    if (suspect)
        fact->reason = IPC_REASON_DUPLICATE_SUSPECT;
    return true;
}

bool eng_plan_entry(struct eng_plan *plan, const struct eng_follower *follower, int64_t own_e8,
    struct ipc_fact_child *fact)
{
    const struct ipc_row_follower *row = follower->row;
    if (row->mode == IPC_MODE_PERCENTAGE)
        fact->sample_e8 = usable_capital_e8(plan, row, follower->sample);

    int64_t raw_e8 = 0;
    bool asks_day = eng_day_asks(plan, follower);
    enum ipc_reason reason = LS_UNLIKELY(asks_day) ? asked_filters(plan, follower, own_e8 != 0)
                                                   : entry_filters(plan, follower, false);
    if (reason == IPC_REASON_NONE)
        reason = entry_raw(plan, row, fact->sample_e8, &raw_e8);
    fact->qty_e8 = raw_e8;
    /* Far outside what any order may be: a wrong ratio, not a large follower. */
    if (LS_UNLIKELY(raw_e8 > ENG_QTY_MAX_E8) && reason == IPC_REASON_NONE)
        reason = IPC_REASON_MAX_QTY;
    if (LS_UNLIKELY(reason != IPC_REASON_NONE)) {
        if (reason == IPC_REASON_CAPITAL_UNKNOWN)
            reason = capital_reason(plan, row, follower->sample);
        fact->reason = (uint8_t)reason;
        return false;
    }
    int64_t floored = eng_lot_floor(&plan->sizer, raw_e8);
    if (LS_UNLIKELY(floored == 0)) {
        fact->reason = plan->sizer.lot_e8 > LS_E8 ? IPC_REASON_SUB_LOT : IPC_REASON_QTY_ZERO;
        return false;
    }
    fact->qty_e8 = floored;
    if ((row->max_qty_e8 | row->max_position_e8) != 0 && !entry_qty_caps(plan, row, own_e8, fact))
        return false;
    if (row->max_order_value_e8 != 0 && !entry_value_cap(plan, row, fact))
        return false;
    if (LS_UNLIKELY(asks_day) && !asked_values(plan, follower, own_e8, fact))
        return false;
    return entry_guards(plan, row, follower->slot, fact);
}
