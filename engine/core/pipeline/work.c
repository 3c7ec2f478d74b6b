#include "engine/core/pipeline/work.h"

#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/pace.h"
#include "engine/core/throttle.h"

static uint8_t usual_flags(const struct ipc_fact_batch *out)
{
    uint8_t usual = out->is_exit ? IPC_WIDE_EXIT : 0;
    return out->transition == IPC_TRANSITION_FILLED_MORE ? usual | IPC_WIDE_ON_FILL : usual;
}

struct ipc_fact_wide *eng_work_wide_at(struct eng_work *work, uint32_t at)
{
    const struct ipc_fact_batch *out = work->out;
    uint32_t place = work->wide_count;
    while (place > 0 && work->wides[place - 1].at >= at)
        place--;
    struct ipc_fact_wide *wide = &work->wides[place];
    if (place < work->wide_count && wide->at == at)
        return wide;
    memmove(wide + 1, wide, (work->wide_count - place) * sizeof *wide);
    work->wide_count++;
    *wide = (struct ipc_fact_wide){.at = (uint8_t)at,
        .side = out->side,
        .type = out->type,
        .product = out->product,
        .validity = out->validity,
        .flags = usual_flags(out),
        .instrument = work->plan.order->instrument,
        .price_e8 = out->price_e8,
        .trigger_e8 = out->trigger_e8};
    return wide;
}

struct ipc_fact_wide *eng_work_wide(struct eng_work *work)
{
    return eng_work_wide_at(work, work->count - 1);
}

void eng_work_terms(struct eng_work *work, const struct eng_terms *terms, uint32_t sibling)
{
    const struct ipc_fact_batch *out = work->out;
    const struct eng_shape *shape = terms->shape;
    if (LS_LIKELY(shape->side == out->side && shape->type == out->type &&
                  terms->product == out->product && shape->validity == out->validity &&
                  shape->price_e8 == out->price_e8 && shape->trigger_e8 == out->trigger_e8 &&
                  terms->instrument == work->plan.order->instrument &&
                  terms->flags == usual_flags(out) && terms->market_protection_e8 == 0 &&
                  sibling == 0))
        return;
    struct ipc_fact_wide *wide = eng_work_wide(work);
    wide->side = shape->side;
    wide->type = shape->type;
    wide->product = terms->product;
    wide->validity = shape->validity;
    wide->flags = terms->flags;
    wide->instrument = terms->instrument;
    if (terms->price_sample_e8 != 0)
        wide->price_sample_e8 = terms->price_sample_e8;
    wide->sibling = sibling;
    wide->price_e8 = shape->price_e8;
    wide->trigger_e8 = shape->trigger_e8;
    wide->market_protection_e8 = terms->market_protection_e8;
}

/* --- the order budget ---------------------------------------------------------------------------
 */

/* Calls of this batch that count against the same log: of the same account, or where a shared
 * address is limited, of the same address. An account that has one subscription is in a batch once,
 * but for its further legs and slices, which lie together at the end. */
static uint32_t planned_calls(const struct eng_work *work, const struct eng_follower *follower)
{
    uint32_t count = 0;
    uint32_t account = follower->row->account;
    if (LS_LIKELY(!(follower->account->flags & ENG_ACCOUNT_SHARED))) {
        for (uint32_t i = work->immediate_count; i > 0 && work->accounts[i - 1] == account; i--)
            count++;
        return count;
    }
    const struct eng_core *core = work->core;
    bool by_address = core->policies[follower->account->broker].address_orders_per_second != 0;
    for (uint32_t i = 0; i < work->immediate_count; i++) {
        uint32_t number = work->accounts[i];
        count += number == account ||
                 (by_address && core->accounts[number].address == follower->account->address);
    }
    return count;
}

bool eng_work_may_leave(
    struct eng_work *work, const struct eng_follower *follower, bool as_exit, uint32_t instrument)
{
    const struct eng_account *account = follower->account;
    const struct eng_batch_sample *sample = work->sample;
    if (!follower->sample->can_send || !eng_account_may_place(account))
        return false;
    if (LS_UNLIKELY(!as_exit && work->immediate_count >= work->plan.calls_left))
        return false;
    if (account->head[as_exit ? 0 : 1] != ENG_NONE)
        return false; /* others of its class wait already */
    const struct ipc_row_instrument *row = work->plan.instrument;
    if (LS_UNLIKELY(instrument != work->plan.order->instrument))
        row = eng_instrument_row(work->core->view, instrument);
    if (!eng_pace_allows(work->core, account, follower->row->account,
            row == NULL ? 0 : row->exchange, as_exit, planned_calls(work, follower),
            sample->now_mono_ns, sample->now_wall_ns))
        return false;
    work->accounts[work->immediate_count++] = follower->row->account;
    return true;
}

/* --- places -------------------------------------------------------------------------------------
 */

/* Takes the element added last back, with what hangs on it. */
static bool take_back(struct eng_work *work)
{
    work->count--;
    if (work->wide_count > 0 && work->wides[work->wide_count - 1].at == work->count)
        work->wide_count--;
    work->is_full = true;
    return false;
}

static bool first_of_its_tag(const struct eng_work *work, uint32_t follower_no)
{
    return LS_LIKELY(!work->may_have_copies && !(work->plan.order->flags & ENG_ORDER_COLLIDES)) ||
           (!(work->plan.order->flags & ENG_ORDER_COLLIDES) &&
               eng_child_find(work->core, work->batch->order, follower_no) == ENG_NONE);
}

/* Places of this leg that the follower has in this frame already (of an earlier incarnation): their
 * slices are taken. */
static uint32_t places_before(const struct eng_work *work, uint32_t follower_no, uint32_t leg)
{
    uint32_t count = 0;
    for (uint32_t at = work->count - 1; at > 0; at--) {
        const struct ipc_fact_child *fact = &work->children[at - 1];
        if (LS_LIKELY(fact->follower_no != follower_no))
            break;
        count += (fact->kind == IPC_CHILD_PLACE || fact->kind == IPC_CHILD_PLACE_QUEUED) &&
                 ipc_tag_action_leg(fact->action) == leg;
    }
    return count;
}

/* What the account may have open, less what this frame has placed for it. */
static uint32_t orders_left(const struct eng_work *work, const struct eng_follower *follower)
{
    const struct eng_core *core = work->core;
    uint32_t account = follower->row->account, placed = 0;
    for (uint32_t at = 0; at + 1 < work->count; at++) {
        const struct ipc_fact_child *fact = &work->children[at];
        placed += (fact->kind == IPC_CHILD_PLACE || fact->kind == IPC_CHILD_PLACE_QUEUED) &&
                  fact->slot < core->view->follower_slots &&
                  core->view->followers[fact->slot].account == account;
    }
    uint32_t left = eng_throttle_orders_left(core, account);
    return left > placed ? left - placed : 0;
}

bool eng_work_place(struct eng_work *work, const struct eng_follower *follower,
    const struct eng_terms *terms, bool blocked)
{
    struct ipc_fact_child *first = &work->children[work->count - 1];
    struct eng_plan *plan = &work->plan;
    bool as_exit = (terms->flags & IPC_WIDE_EXIT) != 0;
    uint32_t slices = 1;
    if (LS_UNLIKELY(terms->slice_e8 > 0 && first->qty_e8 > terms->slice_e8))
        slices = (uint32_t)ls_min_i64(
            (first->qty_e8 + terms->slice_e8 - 1) / terms->slice_e8, IPC_TAG_SLICES);
    uint32_t room = eng_work_room(work) + 1;
    if (LS_UNLIKELY(slices > room)) {
        if (work->count > 1)
            return take_back(work); /* a whole frame is its own */
        slices = room; /* an entry never has so many; an exit goes on with a follow-up */
    }
    uint32_t left = (as_exit ? plan->exits_left : plan->entries_left);
    left = left > work->place_count ? left - work->place_count : 0;
    if (LS_UNLIKELY(left < slices)) {
        if (!as_exit || left == 0) {
            eng_fact_skip(first, as_exit ? IPC_REASON_CAPACITY : plan->entries_why, first->qty_e8);
            eng_work_terms(work, terms, 0);
            return true;
        }
        slices = left;
    }
    if (LS_UNLIKELY(follower->account->open_orders_max != 0) && !as_exit &&
        slices > orders_left(work, follower)) {
        eng_fact_skip(first, IPC_REASON_OPEN_ORDERS, first->qty_e8);
        eng_work_terms(work, terms, 0);
        return true;
    }
    bool fresh = first_of_its_tag(work, follower->row->follower_no);
    uint32_t at = terms->slice + places_before(work, follower->row->follower_no, terms->leg);
    if (LS_UNLIKELY(!as_exit && (plan->order->flags & ENG_ORDER_COLLIDES))) {
        eng_fact_skip(first, IPC_REASON_TAG_COLLISION, first->qty_e8);
        return true;
    }
    int64_t rest = first->qty_e8;
    const struct ipc_fact_child like = *first;
    for (uint32_t slice = 0; slice < slices; slice++) {
        struct ipc_fact_child *fact = first;
        if (slice > 0) {
            fact = &work->children[work->count++];
            *fact = like;
        }
        fact->qty_e8 =
            slices > 1 || rest > terms->slice_e8 ? ls_min_i64(rest, terms->slice_e8) : rest;
        if (terms->slice_e8 <= 0)
            fact->qty_e8 = rest;
        rest -= fact->qty_e8;
        fact->action = fresh ? ipc_tag_action(terms->leg, (at + slice) % IPC_TAG_SLICES, 0)
                             : eng_child_next_action(work->core, work->batch->order,
                                   fact->follower_no, terms->leg, (at + slice) % IPC_TAG_SLICES);
        if (LS_UNLIKELY(fact->action == ENG_NONE)) {
            fact->action = 0;
            eng_fact_skip(fact, IPC_REASON_TAG_COLLISION, fact->qty_e8);
            return true;
        }
        work->place_count++;
        bool now = !blocked && eng_work_may_leave(work, follower, as_exit, terms->instrument);
        fact->kind = now ? IPC_CHILD_PLACE : IPC_CHILD_PLACE_QUEUED;
        eng_work_terms(work, terms, 0);
    }
    if (LS_UNLIKELY(rest > 0)) /* more than one frame holds: a follow-up places the rest */
        work->children[work->count - 1].reason = IPC_REASON_CLOSE_CLAMPED;
    return true;
}

/* --- parts of the order -------------------------------------------------------------------------
 */

struct eng_plan *eng_work_fill_plan(struct eng_work *work)
{
    if (work->has_fill)
        return &work->fill_plan;
    const struct eng_order *order = work->plan.order;
    struct eng_order *part = &work->fill_order;
    *part = *order;
    int64_t reduces = eng_order_reduces_e8(order, order->filled_qty_e8);
    /* What of the fill opens, as a market order of the fill's time. Of an exit, its shape. */
    part->qty_e8 = order->flags & ENG_ORDER_EXIT ? ls_max_i64(reduces, 1) : order->filled_qty_e8;
    part->filled_qty_e8 = part->qty_e8;
    part->status = IPC_STATUS_FILLED;
    part->type = IPC_TYPE_MARKET;
    part->price_e8 = part->trigger_e8 = 0;
    part->validity = IPC_VALIDITY_DAY;
    part->received_mono_ns = order->filled_mono_ns;
    part->feed_lag_ns = order->filled_lag_ns;
    part->era = order->filled_era;
    eng_plan_make(&work->fill_plan, work->core, work->batch->order, part,
        work->batch->refuses_market, work->sample);
    work->fill_plan.firm_left_e8 = &work->plan.firm_own_e8;
    work->has_fill = true;
    return &work->fill_plan;
}

struct eng_plan *eng_work_open_plan(struct eng_work *work, bool by_fill)
{
    if (work->has_open[by_fill])
        return &work->open_plan[by_fill];
    const struct eng_order *order = work->plan.order;
    struct eng_order *part = &work->open_order[by_fill];
    *part = by_fill ? *eng_work_fill_plan(work)->order : *order;
    int64_t filled = order->filled_qty_e8 - eng_order_reduces_e8(order, order->filled_qty_e8);
    int64_t all = eng_order_effective_e8(order);
    part->qty_e8 = by_fill ? filled : all - eng_order_reduces_e8(order, all);
    part->filled_qty_e8 = filled;
    part->flags &= (uint8_t)~ENG_ORDER_EXIT;
    eng_plan_make(&work->open_plan[by_fill], work->core, work->batch->order, part,
        work->batch->refuses_market, work->sample);
    work->open_plan[by_fill].firm_left_e8 = &work->plan.firm_own_e8;
    work->has_open[by_fill] = true;
    return &work->open_plan[by_fill];
}

struct eng_plan *eng_work_mapped_plan(struct eng_work *work, const struct eng_follower *follower,
    struct eng_plan *plan, uint32_t instrument)
{
    if (LS_LIKELY(instrument == plan->order->instrument))
        return plan;
    uint32_t account = follower->row->account;
    if (work->mapped.of == plan && work->mapped.instrument == instrument &&
        work->mapped.account == account)
        return &work->mapped.plan;
    work->mapped.of = plan;
    work->mapped.instrument = instrument;
    work->mapped.account = account;
    struct eng_order *order = &work->mapped.order;
    *order = *plan->order;
    order->instrument = instrument;
    order->account = account;    /* its broker's contract counts, not the master's */
    order->average_price_e8 = 0; /* another instrument's fill says nothing about its price */
    work->mapped.sample = *work->sample;
    eng_sample_price(follower->sample, instrument, &work->mapped.sample);
    eng_plan_make(&work->mapped.plan, work->core, work->batch->order, order,
        work->batch->refuses_market, &work->mapped.sample);
    return &work->mapped.plan;
}

static struct eng_plan *close_plan(struct eng_work *work, bool flipped, bool by_fill)
{
    struct eng_plan *plan = by_fill ? eng_work_fill_plan(work) : &work->plan;
    if (LS_LIKELY(!flipped))
        return plan;
    if (!work->has_flipped[by_fill]) {
        struct eng_order *order = &work->flipped_order[by_fill];
        *order = *plan->order;
        order->side = (uint8_t)ipc_side_opposite((enum ipc_side)order->side);
        eng_plan_make(&work->flipped_plan[by_fill], work->core, work->batch->order, order,
            work->batch->refuses_market, work->sample);
        work->has_flipped[by_fill] = true;
    }
    return &work->flipped_plan[by_fill];
}

struct eng_plan *eng_work_close_plan(struct eng_work *work, const struct eng_follower *follower,
    const struct eng_position *position, bool by_fill)
{
    bool flipped = (position->flags & ENG_POSITION_REVERSED) != 0;
    return eng_work_mapped_plan(
        work, follower, close_plan(work, flipped, by_fill), position->instrument);
}

struct eng_plan *eng_work_side_plan(struct eng_work *work, const struct eng_follower *follower,
    const struct eng_position *position, uint8_t side, bool by_fill)
{
    if (side == 0)
        return eng_work_close_plan(work, follower, position, by_fill);
    return eng_work_mapped_plan(work, follower,
        close_plan(work, side != work->plan.order->side, by_fill), position->instrument);
}
