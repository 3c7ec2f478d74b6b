#include "engine/core/pipeline/full.h"

#include "engine/core/limits_private.h"
#include "engine/core/money.h"
#include "engine/core/pace.h"
#include "engine/core/pipeline/case.h"
#include "engine/core/pipeline/controls.h"
#include "engine/core/pipeline/day.h"
#include "engine/core/positions.h"

static int64_t age_since(int64_t mono_ns, int64_t now_mono_ns)
{
    if (mono_ns <= 0)
        return INT64_MAX;
    return now_mono_ns > mono_ns ? now_mono_ns - mono_ns : 0;
}

/* The order as it is copied: whole, or what filled of it as a market order. */
static void gather_order(const struct eng_plan *plan, struct eng_case_shared *out)
{
    const struct eng_order *order = plan->order;
    bool fills = order->type == IPC_TYPE_MARKET && order->qty_e8 > 0 &&
                 order->filled_qty_e8 >= order->qty_e8;
    out->occasion = fills ? ENG_ON_FILL : ENG_ON_ORDER;
    out->complete = 1; /* on_fill = complete was looked at by whoever made the plan */
    out->side = order->side;
    out->type = order->type;
    out->product = order->product;
    out->validity = order->validity;
    out->size_kind = ENG_SIZE_QTY;
    out->qty_e8 = order->qty_e8;
    out->order_qty_e8 = plan->core->orders[plan->order_index].qty_e8;
    out->price_e8 = fills ? order->average_price_e8 : order->price_e8;
    out->trigger_e8 = order->trigger_e8;
    out->stop_e8 = order->stop_e8;
    out->after_e8 = order->side == IPC_SIDE_BUY ? order->qty_e8 : -order->qty_e8;
    out->age_ns = plan->age_ns;
    out->barred = (uint8_t)plan->barred;
}

static void gather_market(const struct eng_plan *plan, bool refuses_market, uint32_t row_max_age_ms,
    struct eng_case_shared *out)
{
    const struct ipc_row_instrument *row = plan->instrument;
    const struct eng_batch_sample *sample = plan->sample;
    if (row != NULL) {
        out->instrument = row->instrument;
        out->lot_e8 = row->lot_qty_e8;
        out->tick_e8 = row->tick_e8;
        out->freeze_e8 = row->freeze_qty_e8;
        out->is_option = row->kind == IPC_KIND_OPTION;
        out->strike_e8 = row->strike_e8;
    }
    out->master_equity_e8 = sample->master_equity_e8;
    out->master_balance_e8 = sample->master_balance_e8;
    out->master_free_e8 = sample->master_free_e8;
    out->master_capital_age_ns = age_since(sample->master_capital_mono_ns, sample->now_mono_ns);
    struct eng_hours hours;
    eng_day_now(plan, &hours);
    uint32_t most_ms = row_max_age_ms ? row_max_age_ms : ENG_CAPITAL_AGE_MS;
    if (out->master_capital_age_ns <= (int64_t)most_ms * LS_NS_PER_MS)
        out->master_max_available_e8 = sample->master_free_e8;
    out->market = (uint8_t)eng_hours_market(&hours);
    out->minute = hours.minute;
    out->cutoff_minute = hours.cutoff_minute;
    out->last_e8 = sample->price_e8;
    out->price_age_ns = plan->price_age_ns;
    out->market_orders = refuses_market ? ENG_MARKET_AS_LIMIT : ENG_MARKET_PROTECTED;
    if (!refuses_market)
        return;
    int64_t base = out->type == IPC_TYPE_SLM ? out->trigger_e8 : sample->price_e8;
    for (int at = 0; base > 0 && at < 2; at++)
        out->protected_e8[at] = eng_protected_price(&plan->core->config, base, out->tick_e8,
            at == 0 ? IPC_SIDE_BUY : IPC_SIDE_SELL, out->is_option);
}

/* What is held and on its way, less what the copies of this order are of it. */
static void gather_position(const struct eng_plan *plan, const struct eng_follower *follower,
    int64_t own_e8, struct eng_case_follower *out)
{
    const struct eng_core *core = plan->core;
    const struct eng_order *order = plan->order;
    if (LS_LIKELY(!out->mapped)) {
        uint32_t index =
            eng_position_find(core, out->row->follower_no, order->instrument, order->product);
        while (index != ENG_NONE && core->positions[index].instrument != order->instrument)
            index = core->positions[index].older; /* of an earlier symbol map */
        if (index != ENG_NONE)
            out->reach_e8 = ls_max_i64(eng_reach_e8(&core->positions[index]) - own_e8, 0);
        return;
    }
    if (follower->slot == NULL)
        return;
    /* Several instruments of the master may be mapped to one. */
    int64_t sum = 0;
    uint32_t at = core->slot_positions[follower->slot - core->slots];
    for (; at != 0; at = core->slot_position_next[at - 1]) {
        const struct eng_position *position = &core->positions[at - 1];
        if (position->follower_no == out->row->follower_no &&
            position->instrument == out->own.instrument && position->product == order->product)
            sum = eng_add_saturated(sum, eng_reach_e8(position));
    }
    out->reach_e8 = ls_max_i64(sum - own_e8, 0);
}

/* What a symbol map puts in place of the master's instrument: its numbers at the follower's broker,
 * and its own price (SEMANTICS 2, step 4).
 *   returns  NONE; INSTRUMENT_UNKNOWN when the follower's broker does not know it */
static enum ipc_reason gather_mapped(const struct eng_plan *plan,
    const struct eng_follower *follower, const struct ipc_row_map_item *item, bool refuses_market,
    struct eng_case_shared *shared, struct eng_case_follower *out)
{
    struct eng_contracts contracts;
    struct eng_contract at;
    eng_contracts_of(plan->view, item->to, &contracts);
    out->mapped = 1;
    out->own.instrument = item->to;
    out->own.factor_e8 = item->factor_e8;
    uint32_t broker = follower->row->broker;
    enum ipc_reason reason = eng_contract_bars(&contracts, broker, broker, false);
    if (reason != IPC_REASON_NONE || !eng_contract_at(&contracts, broker, &at))
        return IPC_REASON_INSTRUMENT_UNKNOWN;
    struct eng_batch_sample sample = *plan->sample;
    eng_sample_price(follower->sample, item->to, &sample);
    out->own.lot_e8 = at.lot_qty_e8;
    out->own.tick_e8 = at.tick_e8;
    out->own.freeze_e8 = at.freeze_qty_e8;
    out->own.last_e8 = sample.price_e8;
    shared->price_age_ns = sample.price_e8 > 0 ? age_since(sample.price_mono_ns, sample.now_mono_ns)
                                               : ENG_AGE_INFINITE;
    shared->is_option = contracts.instrument->kind == IPC_KIND_OPTION;
    shared->strike_e8 = contracts.instrument->strike_e8;
    /* A stop of the master's contract is as far from this one's price as from that one's. */
    int64_t reference = plan->sample->price_e8;
    if (shared->stop_e8 != 0 && (shared->price_e8 == 0 || shared->occasion == ENG_ON_FILL)) {
        if (shared->occasion == ENG_ON_FILL && shared->price_e8 > 0)
            reference = shared->price_e8;
        shared->stop_e8 = reference > 0 && sample.price_e8 > 0
                              ? (int64_t)((__int128)shared->stop_e8 * sample.price_e8 / reference)
                              : 0;
    }
    if (plan->instrument == NULL || contracts.instrument->exchange != plan->instrument->exchange) {
        struct eng_hours hours;
        eng_hours_at(plan->view, contracts.instrument->exchange, sample.now_wall_ns, &hours);
        shared->market = (uint8_t)eng_hours_market(&hours);
        shared->minute = hours.minute;
        shared->cutoff_minute = hours.cutoff_minute;
    }
    int64_t base = shared->type == IPC_TYPE_SLM ? shared->trigger_e8 : sample.price_e8;
    for (int side = 0; refuses_market && base > 0 && side < 2; side++)
        out->own.protected_e8[side] = eng_protected_price(&plan->core->config, base, at.tick_e8,
            side == 0 ? IPC_SIDE_BUY : IPC_SIDE_SELL, shared->is_option);
    return IPC_REASON_NONE;
}

static void gather_money(const struct eng_plan *plan, const struct eng_follower *follower,
    int64_t own_e8, struct eng_case_follower *out)
{
    const struct eng_core *core = plan->core;
    const struct eng_follower_sample *sample = follower->sample;
    out->equity_e8 = sample->capital_e8;
    out->balance_e8 = sample->balance_e8;
    out->free_e8 = sample->free_e8;
    out->capital_age_ns = age_since(sample->capital_mono_ns, plan->sample->now_mono_ns);
    uint32_t most_ms =
        out->row->capital_max_age_ms ? out->row->capital_max_age_ms : ENG_CAPITAL_AGE_MS;
    if (out->capital_age_ns <= (int64_t)most_ms * LS_NS_PER_MS) {
        /* What an account may still put in is its free margin; what is in, the rest. */
        out->max_available_e8 = sample->free_e8;
        out->margin_total_e8 = sample->capital_e8;
        out->margin_used_e8 = ls_max_i64(sample->capital_e8 - sample->free_e8, 0);
        out->margin_own_qty_e8 = own_e8;
    }
    if (follower->slot == NULL)
        return;
    uint32_t slot = (uint32_t)(follower->slot - core->slots);
    out->limit = (uint8_t)eng_limits_bar(core, slot, follower->row);
    if (out->policy != NULL)
        eng_money_case(core, slot, follower->row, out->policy,
            out->mapped ? out->own.instrument : plan->order->instrument, plan->order->product,
            plan->sample->now_mono_ns, out);
    if (own_e8 == 0)
        return;
    /* Its own copies are counted already. */
    int64_t last = out->mapped ? out->own.last_e8 : plan->sample->price_e8;
    int64_t price = plan->value_price_e8 != 0 ? plan->value_price_e8 : last;
    int64_t worth = (int64_t)((__int128)own_e8 * price / LS_E8);
    out->trades = 0;
    out->holds = 1;
    out->day_notional_e8 = ls_max_i64(out->day_notional_e8 - worth, 0);
    out->exposure_e8 = ls_max_i64(out->exposure_e8 - worth, 0);
}

static void take_leg(const struct eng_leg *leg, struct eng_shape *shape, struct eng_terms *terms)
{
    *shape = (struct eng_shape){.side = leg->side,
        .type = leg->type,
        .product = leg->product,
        .validity = leg->validity,
        .price_e8 = leg->price_e8,
        .trigger_e8 = leg->trigger_e8};
    terms->shape = shape;
    terms->instrument = leg->instrument;
    terms->product = leg->product;
    terms->market_protection_e8 = leg->market_protection_e8;
    terms->slice_e8 = leg->slices > 1 ? leg->slice_e8 : 0;
}

/* Its samples and steps go on record: the first ones, which are the inputs, and the outcome. */
static void record(struct ipc_fact_wide *wide, const struct eng_case_follower *follower,
    const struct eng_trace *trace, uint32_t instrument)
{
    wide->instrument = instrument;
    wide->price_sample_e8 = follower->own.last_e8; /* 0 = not mapped: the batch's */
    wide->equity_e8 = follower->equity_e8;
    wide->balance_e8 = follower->balance_e8;
    wide->free_e8 = follower->free_e8;
    uint32_t count = trace->count < IPC_WIDE_STEPS ? trace->count : IPC_WIDE_STEPS;
    wide->step_count = (uint8_t)count;
    for (uint32_t i = 0; i < count; i++) {
        bool is_tail = i + 2 >= count;
        wide->steps[i] = trace->steps[is_tail ? trace->count - count + i : i];
    }
}

/* The remainders of the episode's earlier openings (5): counted for new orders, not for fills,
 * whose run is the order's own. */
static bool gather_carry(const struct eng_work *work, const struct eng_plan *plan,
    const struct eng_terms *terms, int64_t own_e8, struct eng_case_follower *out)
{
    if (work == NULL || own_e8 != 0 || terms->flags != 0 || out->policy == NULL ||
        !(out->policy->flags & IPC_POLICY_CARRY))
        return false;
    const struct eng_core *core = plan->core;
    const struct eng_order *order = plan->order;
    uint32_t index = eng_position_of(core, out->row->follower_no, out->row->incarnation,
        order->instrument, out->mapped ? out->own.instrument : order->instrument, order->product);
    if (index != ENG_NONE &&
        core->positions[index].episode == core->master_positions[order->master_position].episode)
        out->run = (struct eng_run){.sum_e8 = core->positions[index].carry_sum_e8,
            .granted_e8 = core->positions[index].carry_granted_e8};
    return true;
}

/* Last: what no follower sets (ORDER-SAFETY 3.9). Its own value price: the leg's limit, else the
 * last price of what it trades. */
static bool controls_pass(struct eng_plan *plan, const struct eng_follower *follower,
    const struct eng_case_follower *judged, const struct eng_leg *leg, int64_t own_e8,
    struct ipc_fact_child *fact)
{
    int64_t last_e8 = judged->mapped ? judged->own.last_e8 : plan->sample->price_e8;
    const struct eng_controls_order order = {.qty_e8 = leg->qty_e8,
        .own_e8 = own_e8,
        .price_e8 = leg->price_e8 != 0     ? leg->price_e8
                    : leg->trigger_e8 != 0 ? leg->trigger_e8
                                           : last_e8,
        .instrument = leg->instrument,
        .side = leg->side};
    bool suspect;
    enum ipc_reason reason = eng_controls_order(plan, follower, &order, &suspect);
    if (reason != IPC_REASON_NONE)
        fact->reason = (uint8_t)reason;
    else if (suspect)
        fact->reason = IPC_REASON_DUPLICATE_SUSPECT;
    return reason == IPC_REASON_NONE;
}

/* The case of an opening, or of the total of one that was copied.
 *   own_e8    what its copies hold and may still fill
 *   in_reach  of it, what counts against max_position as if it were another order's
 *   returns   the instrument that it trades */
static uint32_t gather(struct eng_plan *plan, const struct eng_follower *follower, int64_t own_e8,
    int64_t in_reach_e8, struct eng_case_shared *shared, struct eng_case *judged)
{
    const struct ipc_row_follower *row = follower->row;
    *shared = (struct eng_case_shared){0};
    *judged = (struct eng_case){.shared = shared, .follower = {.row = row}};
    if (row->policy != 0)
        judged->follower.policy = &plan->view->policies[row->policy - 1];
    bool refuses_market = plan->core->policies[row->broker].refuses_market;
    gather_order(plan, shared);
    gather_market(plan, refuses_market, row->capital_max_age_ms, shared);
    judged->follower.word = (uint8_t)follower->word;
    judged->follower.session_valid = eng_account_session_valid(follower->account);
    judged->follower.breaker = (uint8_t)eng_controls_bar(plan, follower);
    judged->follower.symbol_allowed = eng_plan_symbol_allowed(plan, row);
    const struct ipc_row_map_item *item = eng_map_item(plan->view, row, plan->order->instrument);
    enum ipc_reason contract = item == NULL ? eng_plan_contract(plan, follower, false)
                                            : gather_mapped(plan, follower, item, refuses_market,
                                                  shared, &judged->follower);
    judged->follower.mismatch = contract == IPC_REASON_INSTRUMENT_MISMATCH;
    if (contract == IPC_REASON_INSTRUMENT_UNKNOWN)
        shared->instrument = judged->follower.own.instrument = 0;
    uint32_t trades = item == NULL ? plan->order->instrument : item->to;
    judged->follower.unknown_pending =
        follower->slot != NULL && follower->slot->unknown_count != 0 &&
        eng_position_unknown(
            plan->core, (uint32_t)(follower->slot - plan->core->slots), row->follower_no, trades);
    gather_position(plan, follower, own_e8 - in_reach_e8, &judged->follower);
    gather_money(plan, follower, own_e8, &judged->follower);
    return trades;
}

static bool judge(struct eng_work *work, struct eng_plan *plan, const struct eng_follower *follower,
    int64_t own_e8, struct ipc_fact_child *fact, struct eng_shape *shape, struct eng_terms *terms)
{
    struct eng_case_shared shared;
    struct eng_case judged;
    uint32_t trades = gather(plan, follower, own_e8, 0, &shared, &judged);
    terms->instrument = trades;
    bool carries = gather_carry(work, plan, terms, own_e8, &judged.follower);
    struct eng_verdict verdict;
    struct eng_trace trace;
    eng_judge(&judged, &verdict, work == NULL ? NULL : &trace);
    if (work != NULL)
        record(eng_work_wide(work), &judged.follower, &trace, trades);
    if (carries) {
        eng_work_wide(work)->run_sum_e8 = verdict.run.sum_e8;
        eng_work_wide(work)->run_granted_e8 = verdict.run.granted_e8;
    }
    fact->reason = verdict.reason;
    fact->sample_e8 = verdict.sample_e8;
    fact->qty_e8 = verdict.asked_e8;
    if (verdict.act != ENG_ACT_PLACE || verdict.leg_count != 1)
        return false;
    fact->qty_e8 = verdict.legs[0].qty_e8;
    if (verdict.legs[0].slices > IPC_TAG_SLICES) {
        fact->reason = IPC_REASON_TOO_MANY_SLICES;
        return false;
    }
    if (!controls_pass(plan, follower, &judged.follower, &verdict.legs[0], own_e8, fact))
        return false;
    take_leg(&verdict.legs[0], shape, terms);
    return true;
}

bool eng_plan_opening(struct eng_work *work, struct eng_plan *plan,
    const struct eng_follower *follower, int64_t own_e8, struct ipc_fact_child *fact,
    struct eng_shape *shape, struct eng_terms *terms)
{
    if (LS_LIKELY(eng_row_is_plain(follower->row)))
        return eng_plan_entry(plan, follower, own_e8, fact);
    return judge(work, plan, follower, own_e8, fact, shape, terms);
}

bool eng_plan_amend(struct eng_plan *plan, const struct eng_follower *follower, int64_t open_e8,
    int64_t filled_e8, struct ipc_fact_child *fact, struct eng_amended *out)
{
    struct eng_case_shared shared;
    struct eng_case judged;
    int64_t own_e8 = eng_add_saturated(open_e8, filled_e8);
    uint32_t trades = gather(plan, follower, own_e8, own_e8, &shared, &judged);
    bool is_plain = eng_row_is_plain(follower->row);
    shared.occasion = ENG_ON_AMEND;
    shared.has_qty = 1;
    judged.follower.child_open_e8 = open_e8;
    judged.follower.child_filled_e8 = filled_e8;
    struct eng_verdict verdict;
    struct eng_trace *trace = is_plain ? NULL : &out->trace;
    eng_judge(&judged, &verdict, trace);
    out->follower = judged.follower;
    out->is_recorded = !is_plain;
    out->terms = (struct eng_terms){.shape = &plan->shape,
        .instrument = trades,
        .product = plan->shape.product,
        .price_sample_e8 = judged.follower.own.last_e8};
    fact->reason = verdict.reason;
    fact->sample_e8 = verdict.sample_e8;
    fact->qty_e8 = verdict.asked_e8;
    if (verdict.act == ENG_ACT_SKIP)
        return false;
    if (verdict.leg_count == 0)
        return true;
    struct eng_leg *leg = &verdict.legs[0];
    leg->qty_e8 = verdict.asked_e8;
    if (leg->qty_e8 > own_e8 && !controls_pass(plan, follower, &judged.follower, leg, own_e8, fact))
        return false;
    if (leg->slice_e8 < leg->qty_e8)
        out->terms.slice_e8 = leg->slice_e8;
    if (is_plain)
        return true;
    int64_t slice_e8 = out->terms.slice_e8;
    take_leg(leg, &out->shape, &out->terms);
    out->terms.slice_e8 = slice_e8;
    return true;
}

void eng_record_amend(struct eng_work *work, const struct eng_amended *amended, uint32_t at)
{
    if (amended->is_recorded)
        record(eng_work_wide_at(work, at), &amended->follower, &amended->trace,
            amended->terms.instrument);
}
