/* The copies that a follower has of one order: amended, cancelled, replaced, topped up to what the
 * master's fills come to. They are one total, however many orders carry it (SEMANTICS 7, 8). */
#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/pipeline/full.h"
#include "engine/core/pipeline/gather.h"
#include "engine/core/pipeline/work.h"
#include "engine/core/positions.h"

#define FAMILY_MAX 192u /* slices of a total and their replacements */

/* The copies of one order and follower that share a total: its closes, its openings, or its opening
 * legs; oldest first. */
struct family {
    uint32_t child[FAMILY_MAX];
    uint32_t count;
    uint32_t live;       /* may still fill, or wait */
    uint32_t next_slice; /* above those of the live ones */
    int64_t gone_e8;     /* share of those that ended */
    int64_t live_e8;     /* newest quantities of the live ones */
    int64_t own_e8;      /* what all of them hold and may still fill */
    int64_t claim_e8;    /* what may still fill */
    bool is_broken;      /* one ended unfilled: what it was for is not placed again */
};

static bool is_over(const struct eng_child *child)
{
    return eng_state_ended(child->state) || child->state == ENG_STATE_NOT_PLACED;
}

#define KIND_MASK (ENG_CHILD_EXIT | ENG_CHILD_OPEN_LEG | ENG_CHILD_PROTECTS | ENG_CHILD_ON_FILL)

static void gather(const struct eng_core *core, uint32_t newest, uint16_t kind, struct family *out)
{
    out->count = out->live = out->next_slice = 0;
    out->gone_e8 = out->live_e8 = out->own_e8 = out->claim_e8 = 0;
    out->is_broken = false;
    for (uint32_t at = newest; at != ENG_NONE && out->count < FAMILY_MAX;
         at = core->children[at].older) {
        const struct eng_child *child = &core->children[at];
        if ((child->flags & KIND_MASK) != kind)
            continue;
        out->child[out->count++] = at;
        out->own_e8 += child->filled_qty_e8 + eng_child_claim_e8(child);
        out->claim_e8 += eng_child_claim_e8(child);
        if (!is_over(child)) {
            uint32_t slice = ipc_tag_action_slice(child->action);
            out->live++;
            out->next_slice = slice >= out->next_slice ? slice + 1 : out->next_slice;
            out->live_e8 += child->qty_e8;
        } else if (child->state == ENG_STATE_FILLED || (child->flags & ENG_CHILD_REPLACE)) {
            out->gone_e8 += child->filled_qty_e8;
        } else if (child->flags & ENG_CHILD_STEP) {
            int64_t gone = eng_step_gone_e8(core, newest, at);
            out->gone_e8 += gone;
            out->is_broken = out->is_broken || gone == child->qty_e8;
        } else {
            out->gone_e8 += child->qty_e8;
            out->is_broken = true;
        }
    }
    for (uint32_t i = 0; i < out->count / 2; i++) {
        uint32_t other = out->child[i];
        out->child[i] = out->child[out->count - 1 - i];
        out->child[out->count - 1 - i] = other;
    }
}

static struct ipc_fact_child *add_for(
    struct eng_work *work, const struct eng_follower *follower, const struct eng_child *child)
{
    struct ipc_fact_child *fact = eng_work_add(work, follower, child->slot);
    fact->action = child->action;
    fact->incarnation = child->incarnation;
    fact->qty_e8 = child->qty_e8;
    return fact;
}

/* The kinds of its terms that the batch may not have. */
static uint8_t wide_flags(const struct eng_child *child)
{
    uint8_t flags = child->flags & ENG_CHILD_EXIT ? IPC_WIDE_EXIT : 0;
    if (child->flags & ENG_CHILD_ON_FILL)
        flags |= IPC_WIDE_ON_FILL;
    if (child->flags & ENG_CHILD_OPEN_LEG)
        flags |= IPC_WIDE_OPEN_LEG;
    if (child->flags & ENG_CHILD_AFTER)
        flags |= IPC_WIDE_CANCEL;
    if (child->flags & ENG_CHILD_PROTECTS)
        flags |= IPC_WIDE_PROTECTS;
    return flags;
}

/* --- one copy -----------------------------------------------------------------------------------
 */

static void decide_cancel(struct eng_work *work, const struct eng_follower *follower,
    const struct eng_child *child, enum ipc_reason unsent_reason)
{
    struct ipc_fact_child *fact = add_for(work, follower, child);
    if (eng_state_unsent(child->state)) {
        /* It never left: nothing to cancel, the intent ends here. */
        eng_fact_skip(fact, unsent_reason, child->qty_e8);
        return;
    }
    if (child->flight == IPC_ACTION_CANCEL || child->queued == IPC_ACTION_CANCEL ||
        (child->flags & ENG_CHILD_REPLACE)) {
        eng_fact_skip(fact, IPC_REASON_AT_TARGET, child->qty_e8);
        return;
    }
    if (child->flight != 0 || child->broker_order_id[0] == '\0') {
        fact->kind = IPC_CHILD_WAIT; /* its id or its answer comes first */
        return;
    }
    fact->kind = eng_work_may_leave(work, follower, true, child->instrument)
                     ? IPC_CHILD_CANCEL
                     : IPC_CHILD_CANCEL_QUEUED;
}

static bool modifications_used_up(
    const struct eng_work *work, const struct eng_follower *follower, const struct eng_child *child)
{
    const struct ipc_row_follower *row = follower->row;
    uint32_t most = work->core->policies[row->broker].modifications_max;
    if (row->policy != 0 && work->core->view->policies[row->policy - 1].modifications_max != 0)
        most = work->core->view->policies[row->policy - 1].modifications_max;
    return most != 0 && child->modifications >= most;
}

static bool has_terms(const struct eng_plan *plan, const struct eng_shape *shape,
    const struct eng_child *child, int64_t qty_e8, bool acknowledged)
{
    int64_t have = acknowledged ? child->known_qty_e8 : child->qty_e8;
    if (have != qty_e8)
        return false;
    /* A market order's protected price moves with the market; it is not the master's term. */
    if (plan->order->type == IPC_TYPE_MARKET)
        return true;
    return child->type == shape->type &&
           (acknowledged ? child->known_price_e8 : child->price_e8) == shape->price_e8 &&
           (acknowledged ? child->known_trigger_e8 : child->trigger_e8) == shape->trigger_e8;
}

/* New terms and a new quantity for one copy that lives. */
static void decide_amend(struct eng_work *work, const struct eng_follower *follower,
    const struct eng_plan *plan, const struct eng_shape *shape, const struct eng_child *child,
    int64_t qty_e8, enum ipc_reason reason)
{
    struct ipc_fact_child *fact = add_for(work, follower, child);
    const struct eng_terms terms = {.shape = shape,
        .instrument = child->instrument,
        .product = child->product,
        .flags = wide_flags(child)};
    bool as_exit = (child->flags & ENG_CHILD_EXIT) != 0;
    if (child->flags & ENG_CHILD_REPLACE) {
        fact->kind = IPC_CHILD_WAIT; /* the newest terms go when it is seen ended */
        return;
    }
    if (child->flight == IPC_ACTION_CANCEL || child->queued == IPC_ACTION_CANCEL) {
        eng_fact_skip(fact, IPC_REASON_SUPERSEDED, child->qty_e8);
        return;
    }
    bool unsent = eng_state_unsent(child->state);
    if (!unsent && (child->flight != 0 || (child->flags & ENG_CHILD_DOUBT) ||
                       eng_state_in_doubt(child->state) || child->broker_order_id[0] == '\0')) {
        fact->kind = IPC_CHILD_WAIT; /* coalesced: what is newest then counts */
        return;
    }
    fact->reason = (uint8_t)reason;
    if (unsent) {
        if (qty_e8 <= 0) {
            eng_fact_skip(fact, IPC_REASON_AT_TARGET, child->qty_e8);
            return;
        }
        fact->kind = IPC_CHILD_PLACE_QUEUED; /* new terms, same place in the queue */
        fact->qty_e8 = qty_e8;
        eng_work_terms(work, &terms, 0);
        return;
    }
    if (qty_e8 <= child->filled_qty_e8) {
        /* What is filled is enough: the rest is cancelled and the difference is drift. */
        fact->kind = eng_work_may_leave(work, follower, true, child->instrument)
                         ? IPC_CHILD_CANCEL
                         : IPC_CHILD_CANCEL_QUEUED;
        fact->reason = IPC_REASON_NONE;
        fact->qty_e8 = ls_max_i64(qty_e8, 0);
        return;
    }
    fact->qty_e8 = qty_e8;
    if (has_terms(plan, shape, child, qty_e8, true)) {
        eng_fact_skip(fact, IPC_REASON_AT_TARGET, qty_e8); /* drops a queued change */
        return;
    }
    if (child->queued != 0 && has_terms(plan, shape, child, qty_e8, false)) {
        fact->kind = IPC_CHILD_MODIFY_QUEUED; /* as it waits already */
    } else if (modifications_used_up(work, follower, child)) {
        /* Cancelled, and once that is confirmed with what it filled, the difference is placed. */
        fact->kind = eng_work_may_leave(work, follower, true, child->instrument)
                         ? IPC_CHILD_CANCEL
                         : IPC_CHILD_CANCEL_QUEUED;
        fact->reason = IPC_REASON_SUPERSEDED;
        return;
    } else {
        fact->kind =
            child->queued == 0 && eng_work_may_leave(work, follower, as_exit, child->instrument)
                ? IPC_CHILD_MODIFY
                : IPC_CHILD_MODIFY_QUEUED;
    }
    eng_work_terms(work, &terms, 0);
}

/* --- a total over its copies --------------------------------------------------------------------
 */

static bool lacks_room(struct eng_work *work, uint32_t wanted)
{
    if (eng_work_room(work) >= wanted || (work->count == 0 && eng_work_room(work) > 0))
        return false;
    work->is_full = true;
    return true;
}

/* The form in which a copy is changed: that of what is judged now. An order whose form a price
 * guard made keeps its own once it has left: it is no order of the master's. */
static struct eng_shape form_of(
    const struct eng_plan *plan, const struct eng_amended *amended, const struct eng_child *child)
{
    if (amended == NULL || !amended->is_recorded)
        return plan->shape;
    const struct eng_shape *judged = amended->terms.shape;
    if (judged->type == plan->shape.type || eng_state_unsent(child->state))
        return *judged;
    return (struct eng_shape){.side = child->side,
        .type = child->type,
        .product = child->product,
        .validity = child->validity,
        .price_e8 = child->price_e8,
        .trigger_e8 = child->trigger_e8};
}

/* Shares a new total out: what lives keeps its quantity as far as it goes, the newest gives or
 * takes the difference, and what one order cannot carry is placed beside it. */
static bool share_out(struct eng_work *work, const struct eng_follower *follower,
    const struct eng_plan *plan, const struct family *family, const struct eng_amended *amended,
    int64_t total_e8, enum ipc_reason reason)
{
    const struct eng_core *core = work->core;
    const struct eng_child *last = &core->children[family->child[family->count - 1]];
    int64_t rest = total_e8 - family->gone_e8;
    int64_t change = rest - family->live_e8;
    int64_t slice = plan->freeze_qty_e8 != 0 ? plan->freeze_qty_e8 : ENG_QTY_MAX_E8;
    if (amended != NULL && amended->terms.slice_e8 != 0)
        slice = amended->terms.slice_e8;
    int64_t quantity[FAMILY_MAX];
    if (lacks_room(work, family->live + 1))
        return false;
    for (uint32_t i = family->count; i > 0; i--) {
        const struct eng_child *child = &core->children[family->child[i - 1]];
        quantity[i - 1] = child->qty_e8;
        if (is_over(child))
            continue;
        /* What has not left is cut to what one order may carry now; the rest goes beside it. */
        if (LS_UNLIKELY(child->qty_e8 > slice) && eng_state_unsent(child->state)) {
            quantity[i - 1] = slice;
            change += child->qty_e8 - slice;
        }
        int64_t more = change > 0 ? ls_min_i64(change, ls_max_i64(slice - quantity[i - 1], 0))
                                  : ls_max_i64(change, child->filled_qty_e8 - quantity[i - 1]);
        quantity[i - 1] += more;
        change -= more;
    }
    uint32_t first = work->count;
    for (uint32_t i = 0; i < family->count && eng_work_room(work) > 1; i++) {
        const struct eng_child *child = &core->children[family->child[i]];
        if (is_over(child))
            continue;
        const struct eng_shape shape = form_of(plan, amended, child);
        decide_amend(work, follower, plan, &shape, child, quantity[i], reason);
    }
    bool places = change > 0 && !family->is_broken;
    if (!places) {
        if (work->count == first)
            eng_fact_skip(add_for(work, follower, last), IPC_REASON_CHILD_FILLED, last->qty_e8);
        return true;
    }
    struct ipc_fact_child *fact = eng_work_add(work, follower, last->slot);
    fact->incarnation = last->incarnation;
    fact->qty_e8 = change;
    fact->reason = (uint8_t)reason;
    struct eng_terms terms = {.shape = &plan->shape,
        .instrument = last->instrument,
        .product = last->product,
        .flags = wide_flags(last),
        .leg = ipc_tag_action_leg(last->action),
        .slice = family->next_slice,
        .slice_e8 = slice};
    if (amended != NULL && amended->is_recorded) {
        terms.shape = amended->terms.shape;
        terms.market_protection_e8 = amended->terms.market_protection_e8;
        terms.price_sample_e8 = amended->terms.price_sample_e8;
    }
    /* Behind an unanswered close of another decision it waits in the queue. */
    bool behind = (last->flags & ENG_CHILD_EXIT) && core->positions[last->position].flying != 0;
    if (eng_work_place(work, follower, &terms, behind) || work->count > first) {
        work->is_full = false;
        return true; /* what did not fit is looked at with the next amendment */
    }
    return false;
}

/* No total can be made of it: what has not left ends, the rest stands as it is. */
static void skip_all(struct eng_work *work, const struct eng_follower *follower,
    const struct family *family, enum ipc_reason reason, int64_t qty_e8)
{
    uint32_t first = work->count;
    for (uint32_t i = 0; i < family->count && eng_work_room(work) > 1; i++) {
        const struct eng_child *child = &work->core->children[family->child[i]];
        if (is_over(child))
            continue;
        /* The answer in flight comes first, and then the newest state is looked at again. */
        struct ipc_fact_child *fact = add_for(work, follower, child);
        if (child->flight != 0 && !eng_state_unsent(child->state))
            fact->kind = IPC_CHILD_WAIT;
        else
            eng_fact_skip(fact, reason, qty_e8);
    }
    if (work->count == first)
        eng_fact_skip(
            add_for(work, follower, &work->core->children[family->child[family->count - 1]]),
            reason, qty_e8);
}

/* Copied by an earlier subscription, or with the other side: what the follower's settings make of
 * the order now says nothing about it. */
static bool is_of_another(const struct eng_work *work, const struct eng_follower *follower,
    const struct eng_plan *plan, const struct eng_child *child)
{
    bool turned = child->side != plan->order->side;
    return child->incarnation != follower->row->incarnation ||
           turned != eng_row_reverses(work->core->view, follower->row);
}

/* What the copies are to come to. One that was cancelled before it filled, to be placed anew, is an
 * opening again. */
static bool amended_total(struct eng_plan *plan, const struct eng_follower *follower,
    const struct family *family, struct ipc_fact_child *fact, struct eng_amended *out)
{
    if (family->own_e8 != 0)
        return eng_plan_amend(
            plan, follower, family->claim_e8, family->own_e8 - family->claim_e8, fact, out);
    out->is_recorded = !eng_row_is_plain(follower->row);
    out->terms = (struct eng_terms){.shape = &plan->shape, .instrument = plan->order->instrument};
    out->trace.count = 0;
    out->follower = (struct eng_case_follower){0};
    return eng_plan_opening(NULL, plan, follower, 0, fact, &out->shape, &out->terms);
}

static bool amend_entries(struct eng_work *work, const struct eng_follower *follower,
    struct eng_plan *plan, const struct family *family)
{
    const struct eng_child *last = &work->core->children[family->child[family->count - 1]];
    if (lacks_room(work, family->live + 1))
        return false;
    if (family->live == 0 && family->is_broken) {
        eng_fact_skip(add_for(work, follower, last), IPC_REASON_CHILD_FILLED, last->qty_e8);
        return true;
    }
    if (is_of_another(work, follower, plan, last)) {
        for (uint32_t i = 0; i < family->count && eng_work_room(work) > 1; i++) {
            const struct eng_child *child = &work->core->children[family->child[i]];
            if (!is_over(child))
                decide_cancel(work, follower, child, IPC_REASON_SUPERSEDED);
        }
        if (family->live == 0)
            eng_fact_skip(add_for(work, follower, last), IPC_REASON_CHILD_FILLED, last->qty_e8);
        return true;
    }
    struct ipc_fact_child probe = {0};
    uint32_t first = work->count;
    bool fits = true;
    struct eng_amended amended;
    if (!amended_total(plan, follower, family, &probe, &amended))
        skip_all(work, follower, family, (enum ipc_reason)probe.reason, probe.qty_e8);
    else if (amended.terms.instrument !=
             last->instrument) /* the symbol map was changed meanwhile */
        skip_all(work, follower, family, IPC_REASON_SUPERSEDED, probe.qty_e8);
    else
        fits =
            share_out(work, follower, eng_work_mapped_plan(work, follower, plan, last->instrument),
                family, &amended, probe.qty_e8, (enum ipc_reason)probe.reason);
    for (uint32_t i = first; i < work->count; i++)
        work->children[i].sample_e8 = probe.sample_e8; /* all of them were decided with it */
    if (work->count > first)
        eng_record_amend(work, &amended, first);
    return fits;
}

/* What the position's base counts reaches to the newest reduction that it follows. */
static const struct eng_order *newest_of_run(
    const struct eng_work *work, const struct eng_position *position)
{
    const struct eng_order *order = work->plan.order;
    if (position->exit_order == ENG_NONE ||
        work->core->orders[position->exit_order].run != order->run)
        return order;
    const struct eng_order *newest = &work->core->orders[position->exit_order];
    return newest->master_position == order->master_position ? newest : order;
}

static bool amend_exits(
    struct eng_work *work, const struct eng_follower *follower, const struct family *family)
{
    const struct eng_child *last = &work->core->children[family->child[family->count - 1]];
    const struct eng_position *position = &work->core->positions[last->position];
    const struct eng_plan *plan = eng_work_close_plan(work, follower, position, false);
    if (lacks_room(work, family->live + 1))
        return false;
    struct eng_run_sum run = eng_run_sum(work->core, newest_of_run(work, position), false);
    const struct eng_close close = {.position = position,
        .plan = plan,
        .run = &run,
        .number = work->plan.order->run,
        .side = last->side,
        .is_stop = eng_order_is_stop(work->plan.order)};
    const struct eng_copies copies = {
        .open_e8 = family->claim_e8, .filled_e8 = family->own_e8 - family->claim_e8};
    struct eng_case_shared shared;
    struct eng_case judged;
    struct eng_verdict verdict;
    eng_gather_amend(work, follower, &close, &copies, &shared, &judged);
    eng_judge(&judged, &verdict, NULL);
    if (verdict.act == ENG_ACT_SKIP) {
        skip_all(work, follower, family, (enum ipc_reason)verdict.reason, last->qty_e8);
        return true;
    }
    int64_t total = verdict.asked_e8 + family->gone_e8;
    for (uint32_t i = 0; i < family->count; i++) { /* both count what the ended ones filled */
        const struct eng_child *child = &work->core->children[family->child[i]];
        if (is_over(child))
            total -= child->filled_qty_e8;
    }
    return share_out(work, follower, plan, family, NULL, ls_max_i64(total, 0),
        verdict.reason == IPC_REASON_CLOSE_CLAMPED ? IPC_REASON_CLOSE_CLAMPED : IPC_REASON_NONE);
}

/* --- one follower -------------------------------------------------------------------------------
 */

/* The copy is not wanted any more, whatever the master's order says: its position is flat at the
 * master, or its time is over. */
/* What closes the rest of a position of which this order's fill left the master nothing: no copy of
 * the order, whose end says nothing about it. */
static bool is_apart(const struct eng_order *order, const struct eng_child *child)
{
    return (child->flags & ENG_CHILD_EXIT) != 0 && order->run == 0;
}

static bool is_unwanted(const struct eng_core *core, const struct eng_child *child)
{
    if (!(child->flags & ENG_CHILD_EXIT) &&
        (core->positions[child->position].flags & ENG_POSITION_FLAT))
        return true;
    return (child->flags & ENG_CHILD_AFTER) != 0;
}

static bool cancel_some(struct eng_work *work, const struct eng_follower *follower, uint32_t newest,
    bool all, uint32_t *live)
{
    const struct eng_core *core = work->core;
    const struct eng_order *order = work->plan.order;
    enum ipc_reason reason =
        order->status == IPC_STATUS_REJECTED ? IPC_REASON_MASTER_REJECTED : IPC_REASON_SUPERSEDED;
    uint32_t wanted = 0;
    for (uint32_t at = newest; at != ENG_NONE; at = core->children[at].older) {
        const struct eng_child *child = &core->children[at];
        if ((child->flags & ENG_CHILD_PROTECTS) || is_apart(order, child))
            continue; /* legs are decided with what filled */
        *live += !is_over(child);
        wanted += !is_over(child) && (all || is_unwanted(core, child));
    }
    if (lacks_room(work, wanted))
        return false;
    for (uint32_t at = newest; at != ENG_NONE; at = core->children[at].older) {
        const struct eng_child *child = &core->children[at];
        if (is_over(child) || (child->flags & ENG_CHILD_PROTECTS) || is_apart(order, child) ||
            !(all || is_unwanted(core, child)))
            continue;
        --*live;
        if (eng_work_room(work) > 1) {
            decide_cancel(work, follower, child, reason);
            continue;
        }
        if (eng_work_room(work) == 1) /* the others go in the next frame */
            add_for(work, follower, child)->kind = IPC_CHILD_WAIT;
        break;
    }
    return true;
}

static bool is_named(const struct eng_work *work, uint32_t first, uint32_t action)
{
    for (uint32_t i = first; i < work->count; i++) {
        if (work->children[i].action == action)
            return true;
    }
    return false;
}

/* Whoever was to be settled is told something, so that it leaves the list. */
static void name_settled(
    struct eng_work *work, const struct eng_follower *follower, uint32_t newest, uint32_t first)
{
    for (uint32_t at = newest; at != ENG_NONE && eng_work_room(work) > 0;
         at = work->core->children[at].older) {
        const struct eng_child *child = &work->core->children[at];
        if ((child->flags & ENG_CHILD_SETTLE) && !eng_child_settles_alone(child) &&
            !is_named(work, first, child->action))
            eng_fact_skip(add_for(work, follower, child),
                is_over(child) ? IPC_REASON_CHILD_FILLED : IPC_REASON_AT_TARGET, child->qty_e8);
    }
}

bool eng_decide_copies(
    struct eng_work *work, const struct eng_follower *follower, uint32_t slot, uint32_t newest)
{
    const struct eng_core *core = work->core;
    while (core->children[newest].flags & ENG_CHILD_PROTECTS)
        newest = core->children[newest].older; /* legs come after what they protect */
    const struct eng_child *last = &core->children[newest];
    const struct eng_plan *plan = &work->plan;
    (void)slot;
    if (lacks_room(work, 1))
        return false;
    if (work->transition == IPC_TRANSITION_NEW) {
        eng_fact_skip(add_for(work, follower, last), IPC_REASON_DUPLICATE_EVENT, last->qty_e8);
        return true;
    }
    uint32_t first = work->count, live = 0;
    /* The newest joined state counts, not the event that started the wave. */
    if (!cancel_some(work, follower, newest, plan->ended, &live))
        return false;
    static const uint16_t kinds[] = {ENG_CHILD_EXIT, 0, ENG_CHILD_OPEN_LEG};
    bool is_done = plan->ended || work->count > first;
    for (size_t i = plan->order->run == 0 ? 1 : 0; i < LS_COUNT_OF(kinds) && !is_done; i++) {
        struct family family;
        gather(core, newest, kinds[i], &family);
        if (family.count == 0)
            continue;
        bool fits;
        if (kinds[i] == ENG_CHILD_EXIT)
            fits = amend_exits(work, follower, &family);
        else
            fits = amend_entries(work, follower,
                kinds[i] == 0 ? &work->plan : eng_work_open_plan(work, false), &family);
        if (!fits && work->count == first)
            return false;
        is_done = !fits; /* the second kind is looked at with the next amendment */
    }
    work->is_full = false;
    if (work->batch->wave == 0)
        name_settled(work, follower, newest, first);
    if (work->count == first)
        eng_fact_skip(add_for(work, follower, last), IPC_REASON_CHILD_FILLED, last->qty_e8);
    return true;
}

/* --- fills --------------------------------------------------------------------------------------
 */

bool eng_decide_fill(struct eng_work *work, const struct eng_follower *follower, uint32_t slot)
{
    const struct eng_core *core = work->core;
    const struct eng_order *order = work->plan.order;
    const struct ipc_row_follower *row = follower->row;
    if (lacks_room(work, 1))
        return false;
    bool whole =
        row->policy != 0 && core->view->policies[row->policy - 1].on_fill == IPC_ON_FILL_COMPLETE;
    struct ipc_fact_child *fact = eng_work_add(work, follower, slot);
    if (order->filled_qty_e8 == 0 || (whole && order->status < IPC_STATUS_FILLED)) {
        eng_fact_skip(fact, IPC_REASON_WAIT_MASTER_FILL, order->qty_e8);
        return true;
    }
    struct eng_plan *plan = eng_work_fill_plan(work);
    int64_t given = 0, own = 0;
    uint32_t at = eng_child_find(core, work->batch->order, row->follower_no);
    for (; at != ENG_NONE; at = core->children[at].older) {
        const struct eng_child *child = &core->children[at];
        if (child->flags & ENG_CHILD_PROTECTS)
            continue;
        int64_t asked = child->flags & ENG_CHILD_STEP
                            ? eng_step_gone_e8(core,
                                  eng_child_find(core, work->batch->order, row->follower_no), at)
                            : child->qty_e8;
        given = eng_add_saturated(given, asked); /* what did not fill is not chased */
        own += child->filled_qty_e8 + eng_child_claim_e8(child);
    }
    struct eng_shape shape;
    struct eng_terms terms = {.shape = &plan->shape,
        .instrument = order->instrument,
        .product = plan->shape.product,
        .flags = IPC_WIDE_ON_FILL,
        .leg = ENG_LEG_MAIN,
        .slice_e8 = plan->freeze_qty_e8};
    bool goes = eng_plan_opening(work, plan, follower, own, fact, &shape, &terms);
    if (goes && fact->qty_e8 <= given) {
        fact->reason = IPC_REASON_AT_TARGET;
        goes = false;
    }
    if (!goes) {
        fact->kind = IPC_CHILD_SKIP;
        eng_work_terms(work, &terms, 0);
        return true;
    }
    fact->qty_e8 -= given;
    return eng_work_place(work, follower, &terms, false);
}
