/* Reductions: each follower closes the part of its own copied position that the master closes of
 * his (SEMANTICS 4), a reversal's close goes before its opening (6), and what could not be closed
 * at once is closed by follow-ups. */
#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/pipeline/full.h"
#include "engine/core/pipeline/gather.h"
#include "engine/core/pipeline/work.h"
#include "engine/core/positions.h"

/* --- one position -------------------------------------------------------------------------------
 */

static struct eng_close close_of(const struct eng_work *work, const struct eng_position *position,
    const struct eng_plan *plan, bool by_fill, uint8_t side)
{
    return (struct eng_close){.position = position,
        .plan = plan,
        .run = &work->run[by_fill],
        .side = side,
        .by_fill = by_fill,
        .is_stop = !by_fill && eng_order_is_stop(work->plan.order) &&
                   work->plan.order->status < IPC_STATUS_FILLED};
}

/* The terms in which a verdict's leg leaves; of a skip, those that it would have had. */
static void take_terms(const struct eng_work *work, const struct eng_close *close,
    const struct eng_verdict *verdict, struct eng_shape *shape, struct eng_terms *terms)
{
    *shape = close->plan->shape;
    shape->side = close->side;
    *terms = (struct eng_terms){.shape = shape,
        .instrument = close->position->instrument,
        .product = close->position->product,
        .flags = close->by_fill ? IPC_WIDE_EXIT | IPC_WIDE_ON_FILL : IPC_WIDE_EXIT,
        .leg = ENG_LEG_MAIN};
    if (LS_UNLIKELY(close->plan->sample != work->sample))
        terms->price_sample_e8 = close->plan->sample->price_e8;
    if (verdict->leg_count == 0)
        return;
    const struct eng_leg *leg = &verdict->legs[0];
    shape->type = leg->type;
    shape->validity = leg->validity;
    shape->price_e8 = leg->price_e8;
    shape->trigger_e8 = leg->trigger_e8;
    terms->market_protection_e8 = leg->market_protection_e8;
    terms->slice_e8 = leg->slice_e8;
    /* An order has its largest quantity also where no freeze is known. */
    if (leg->slices == 1)
        terms->slice_e8 =
            ls_min_i64(leg->qty_e8, eng_lot_floor(&close->plan->sizer, ENG_QTY_MAX_E8));
}

static bool skip_exit(
    struct eng_work *work, const struct eng_terms *terms, enum ipc_reason reason, int64_t qty_e8)
{
    eng_fact_skip(&work->children[work->count - 1], reason, qty_e8);
    eng_work_terms(work, terms, 0);
    return true;
}

/* Facts of a close that was judged: an order, or why there is none, and what of its entries ends.
 *   returns  false when the frame is too short */
static bool note_close(struct eng_work *work, const struct eng_follower *follower, uint32_t slot,
    const struct eng_close *close, const struct eng_verdict *verdict)
{
    const struct eng_position *position = close->position;
    struct eng_shape shape;
    struct eng_terms terms;
    take_terms(work, close, verdict, &shape, &terms);
    struct ipc_fact_child *fact = eng_work_add(work, follower, slot);
    fact->incarnation = position->incarnation;
    fact->sample_e8 = position->held_e8;
    fact->reason = verdict->reason;
    bool flattens = (verdict->cancels & ENG_CANCELS_ENTRY) != 0;
    /* A target above what is held is for openings to reach. */
    bool opens = verdict->leg_count != 0 && !(verdict->legs[0].flags & ENG_LEG_CLOSE);
    if (opens) {
        (void)skip_exit(work, &terms, IPC_REASON_AT_TARGET, 0);
    } else if (verdict->leg_count != 0) {
        bool blocked = eng_held_e8(position, close->side) == 0;
        fact->qty_e8 = verdict->legs[0].qty_e8;
        if (verdict->act == ENG_ACT_WAIT) /* queued: why, is known to who looks at the queue */
            fact->reason = !blocked && fact->qty_e8 < verdict->asked_e8 ? IPC_REASON_CLOSE_CLAMPED
                                                                        : IPC_REASON_NONE;
        if (!eng_work_place(work, follower, &terms, blocked))
            return false;
    } else if (flattens) {
        work->count--;
    } else {
        (void)skip_exit(work, &terms, (enum ipc_reason)verdict->reason, verdict->asked_e8);
    }
    if (!flattens || eng_work_room(work) == 0)
        return true;
    fact = eng_work_add(work, follower, slot);
    fact->kind = IPC_CHILD_FLATTEN;
    fact->incarnation = position->incarnation;
    fact->qty_e8 = verdict->cancel_e8;
    eng_work_terms(work, &terms, 0);
    return true;
}

static bool exit_position(struct eng_work *work, const struct eng_follower *follower, uint32_t slot,
    const struct eng_position *position, bool by_fill)
{
    if (eng_work_room(work) < 2) {
        work->is_full = true;
        return false;
    }
    const struct eng_plan *plan = eng_work_close_plan(work, follower, position, by_fill);
    struct eng_close close = close_of(work, position, plan, by_fill, plan->shape.side);
    close.number = work->plan.order->run;
    struct eng_case_shared shared;
    struct eng_case judged;
    struct eng_verdict verdict;
    eng_gather_close(work, follower, &close, &shared, &judged);
    eng_judge(&judged, &verdict, NULL);
    return note_close(work, follower, slot, &close, &verdict);
}

/* --- one follower -------------------------------------------------------------------------------
 */

static bool has_something(const struct eng_position *position, uint8_t side)
{
    return eng_held_e8(position, side) > 0 || eng_coming_e8(position, side) > 0;
}

/* Positions of all incarnations in one product; earlier ones are close-only.
 *   found  counts those that have something to close */
static bool exit_product(struct eng_work *work, const struct eng_follower *follower, uint32_t slot,
    uint8_t product, bool by_fill, uint32_t *found)
{
    uint32_t index = eng_position_find(
        work->core, follower->row->follower_no, work->plan.order->instrument, product);
    for (; index != ENG_NONE; index = work->core->positions[index].older) {
        const struct eng_position *position = &work->core->positions[index];
        if (!has_something(
                position, eng_work_close_plan(work, follower, position, by_fill)->shape.side))
            continue;
        ++*found;
        if (!exit_position(work, follower, slot, position, by_fill))
            return false;
    }
    return true;
}

/* What it copied of this order's instrument is in another one. */
static bool is_elsewhere(const struct eng_work *work, const struct eng_follower *follower)
{
    const struct eng_order *order = work->plan.order;
    if (eng_map_item(work->plan.view, follower->row, order->instrument) != NULL)
        return true;
    uint32_t index = eng_position_find(
        work->core, follower->row->follower_no, order->instrument, order->product);
    return index != ENG_NONE && work->core->positions[index].instrument != order->instrument;
}

/* What stops a reduction before its size: halt alone, and what nobody can size. */
static enum ipc_reason exit_bar(
    const struct eng_work *work, const struct eng_follower *follower, bool by_fill)
{
    const struct eng_order *order = work->plan.order;
    if (follower->word == IPC_SWITCH_HALT)
        return IPC_REASON_KILL_SWITCH;
    enum ipc_reason contract = eng_plan_contract(&work->plan, follower, true);
    if (LS_UNLIKELY(contract != IPC_REASON_NONE) && !is_elsewhere(work, follower))
        return contract; /* of a mapped position, its own instrument's counts */
    if (order->era != work->core->fold.era && !by_fill)
        return IPC_REASON_UNKNOWN_PENDING; /* it may have left before the cut */
    if (work->run[by_fill].own_e8 == 0 && eng_order_ended(order))
        return order->status == IPC_STATUS_REJECTED ? IPC_REASON_MASTER_REJECTED
                                                    : IPC_REASON_SUPERSEDED;
    if (work->run[by_fill].own_e8 == 0)
        return IPC_REASON_WAIT_MASTER_FILL;
    return IPC_REASON_NONE;
}

bool eng_decide_exit(
    struct eng_work *work, const struct eng_follower *follower, uint32_t slot, bool by_fill)
{
    const struct eng_order *order = work->plan.order;
    uint32_t count = work->count, wides = work->wide_count;
    enum ipc_reason bar = exit_bar(work, follower, by_fill);
    if (bar != IPC_REASON_NONE) {
        eng_fact_skip(eng_work_add(work, follower, slot), bar, order->qty_e8);
        return true;
    }
    uint32_t found = 0;
    bool fits = exit_product(work, follower, slot, order->product, by_fill, &found);
    if (fits && found == 0) {
        /* A late joiner has nothing to close: only the opening part of a reversal is its own. */
        int64_t all = eng_order_effective_e8(order);
        if (by_fill)
            all = order->filled_qty_e8;
        if (all > eng_order_reduces_e8(order, all)) {
            bool went = eng_decide_open_leg(work, follower, slot, by_fill);
            for (uint32_t i = count; i < work->count; i++)
                if (work->children[i].kind == IPC_CHILD_PLACE &&
                    work->children[i].reason == IPC_REASON_NONE)
                    work->children[i].reason = IPC_REASON_LATE_JOINER;
            return went;
        }
        eng_fact_skip(eng_work_add(work, follower, slot), IPC_REASON_NO_POSITION, 0);
        return true;
    }
    if (!fits) { /* none of it: the follower begins the next frame */
        work->count = count;
        work->wide_count = wides;
    }
    return fits;
}

/* --- the master is flat -------------------------------------------------------------------------
 */

/* What he held of the side that this order closes is gone, by what has filled. */
static bool is_gone(const struct eng_work *work)
{
    const struct eng_order *order = work->plan.order;
    int64_t held = work->core->master_positions[order->master_position].held_e8;
    return order->filled_qty_e8 > 0 && (order->side == IPC_SIDE_SELL ? held <= 0 : held >= 0);
}

/* An order that opened when it was new has its own copies: they net what they were to net, and only
 * what they leave is closed. */
static bool leaves_nothing(const struct eng_work *work, const struct eng_position *position,
    uint8_t side, int64_t *coming_e8)
{
    const struct eng_order *order = work->plan.order;
    int64_t closable = eng_closable_e8(position, side, 0);
    *coming_e8 = eng_master_opens(work->core, order) ? 0 : eng_coming_e8(position, side);
    if (eng_held_e8(position, side) != 0 && eng_master_is_idle(work->core, order))
        *coming_e8 =
            eng_add_saturated(*coming_e8, position->opening_e8[side == IPC_SIDE_SELL ? 1 : 0]);
    return closable == 0 && (order->run == 0 || *coming_e8 == 0);
}

/* The order has a close of this position, whose total is decided with its amendment. */
static bool is_amended(const struct eng_work *work, const struct eng_position *position)
{
    const struct eng_core *core = work->core;
    if (work->transition != IPC_TRANSITION_AMENDED || work->plan.order->run == 0)
        return false;
    uint32_t at = eng_child_find(core, work->batch->order, position->follower_no);
    for (; at != ENG_NONE; at = core->children[at].older) {
        const struct eng_child *child = &core->children[at];
        if ((child->flags & (ENG_CHILD_EXIT | ENG_CHILD_PROTECTS)) == ENG_CHILD_EXIT &&
            &core->positions[child->position] == position)
            return true;
    }
    return false;
}

static bool gone_position(struct eng_work *work, const struct eng_follower *follower, uint32_t slot,
    const struct eng_position *position)
{
    const struct eng_order *order = work->plan.order;
    const struct eng_plan *plan = eng_work_close_plan(work, follower, position, true);
    uint8_t side = plan->shape.side;
    int64_t coming;
    if (LS_LIKELY(leaves_nothing(work, position, side, &coming)))
        return true;
    if (eng_work_room(work) < 3) {
        work->is_full = true;
        return false;
    }
    bool amended = is_amended(work, position);
    if (amended && coming == 0)
        return true;
    const struct eng_run_sum none = {.base_e8 = 1};
    struct eng_close close = close_of(work, position, plan, false, side);
    close.run = work->plan.is_exit ? &work->run[0] : &none;
    close.number = position->base_run;
    close.everything = close.held_only = true;
    close.is_stop = false;
    struct eng_case_shared shared;
    struct eng_case judged;
    struct eng_verdict verdict;
    eng_gather_close(work, follower, &close, &shared, &judged);
    eng_judge(&judged, &verdict, NULL);
    verdict.cancels = 0;
    if (order->filled_era != work->core->fold.era) { /* it may have left before the cut */
        verdict.leg_count = 0;
        verdict.reason = IPC_REASON_UNKNOWN_PENDING;
    }
    bool halted =
        verdict.reason == IPC_REASON_KILL_SWITCH || verdict.reason == IPC_REASON_UNKNOWN_PENDING;
    if (!amended && (halted || verdict.leg_count != 0) &&
        !note_close(work, follower, slot, &close, &verdict))
        return false;
    if (halted && coming == 0)
        return true;                /* a halt stops all but cancels */
    if (eng_work_room(work) == 0) { /* its slices fill a frame: a follow-up goes on with them */
        work->children[work->count - 1].reason = IPC_REASON_CLOSE_CLAMPED;
        return true;
    }
    /* What the close leaves, because others work or are unanswered, is followed up. */
    struct eng_shape shape;
    struct eng_terms terms;
    take_terms(work, &close, &verdict, &shape, &terms);
    struct ipc_fact_child *fact = eng_work_add(work, follower, slot);
    fact->kind = IPC_CHILD_FLATTEN;
    fact->incarnation = position->incarnation;
    fact->qty_e8 = coming;
    eng_work_terms(work, &terms, 0);
    return true;
}

bool eng_decide_gone(struct eng_work *work, const struct eng_follower *follower, uint32_t slot)
{
    const struct eng_order *order = work->plan.order;
    if (LS_LIKELY(!is_gone(work)))
        return true;
    uint32_t count = work->count, wides = work->wide_count;
    uint32_t index = eng_position_find(
        work->core, follower->row->follower_no, order->instrument, order->product);
    for (; index != ENG_NONE; index = work->core->positions[index].older) {
        if (gone_position(work, follower, slot, &work->core->positions[index]))
            continue;
        work->count = count; /* none of it: the follower begins the next frame */
        work->wide_count = wides;
        return false;
    }
    return true;
}

/* --- the opening leg ----------------------------------------------------------------------------
 */

/* What its opening legs of this order were given already. */
static int64_t opened_e8(const struct eng_work *work, uint32_t follower_no)
{
    int64_t sum = 0;
    uint32_t at = eng_child_find(work->core, work->batch->order, follower_no);
    for (; at != ENG_NONE; at = work->core->children[at].older) {
        if (work->core->children[at].flags & ENG_CHILD_OPEN_LEG)
            sum = eng_add_saturated(sum, work->core->children[at].qty_e8);
    }
    /* In this frame too: positions of an earlier symbol map turn round beside the newest one. */
    for (uint32_t i = work->count; i > 0; i--) {
        const struct ipc_fact_child *fact = &work->children[i - 1];
        if (fact->follower_no == follower_no && fact->kind != IPC_CHILD_SKIP &&
            fact->kind != IPC_CHILD_FLATTEN && fact->qty_e8 > 0 &&
            ipc_tag_action_leg(fact->action) == ENG_LEG_REVERSED)
            sum = eng_add_saturated(sum, fact->qty_e8);
    }
    return sum;
}

bool eng_decide_open_leg(
    struct eng_work *work, const struct eng_follower *follower, uint32_t slot, bool by_fill)
{
    struct eng_plan *plan = eng_work_open_plan(work, by_fill);
    struct eng_shape shape;
    struct eng_terms terms = {.shape = &plan->shape,
        .instrument = eng_row_trades(plan->view, follower->row, plan->order->instrument),
        .product = plan->shape.product,
        .flags = by_fill ? IPC_WIDE_OPEN_LEG | IPC_WIDE_ON_FILL : IPC_WIDE_OPEN_LEG,
        .leg = ENG_LEG_REVERSED,
        .slice_e8 = plan->freeze_qty_e8};
    if (eng_work_room(work) == 0) {
        work->is_full = true;
        return false;
    }
    int64_t opened = opened_e8(work, follower->row->follower_no);
    struct ipc_fact_child *fact = eng_work_add(work, follower, slot);
    bool goes = eng_plan_opening(work, plan, follower, opened, fact, &shape, &terms);
    if (goes && fact->qty_e8 <= opened) {
        fact->reason = IPC_REASON_AT_TARGET;
        goes = false;
    }
    if (!goes) {
        fact->kind = IPC_CHILD_SKIP;
        eng_work_terms(work, &terms, 0);
        return true;
    }
    fact->qty_e8 -= opened;
    return eng_work_place(work, follower, &terms, false);
}

/* --- follow-ups ---------------------------------------------------------------------------------
 */

/* The rest of the position's newest reduction, or of the master's flatness. */
static void follow_close(struct eng_work *work, const struct eng_follower *follower, uint32_t slot,
    const struct eng_position *position)
{
    const struct eng_order *order = work->plan.order;
    bool by_fill = (position->flags & ENG_POSITION_BY_FILL) != 0 && !(order->flags & ENG_ORDER_OWN);
    bool flat = (position->flags & ENG_POSITION_FLAT) != 0;
    /* What an ended order still owes goes as its fill would; its limit is of the past. */
    uint8_t side = eng_closing_side(position);
    const struct eng_plan *plan = eng_work_side_plan(work, follower, position, side,
        by_fill || eng_order_ended(order) || (flat && order->filled_qty_e8 > 0));
    struct eng_close close =
        close_of(work, position, plan, by_fill, side == 0 ? plan->shape.side : side);
    close.number = position->base_run;
    /* An order of no run is the one whose fill left the master with nothing of this side. */
    close.everything = flat || order->run == 0;
    close.held_only = !flat && close.everything;
    struct eng_case_shared shared;
    struct eng_case judged;
    struct eng_verdict verdict;
    eng_gather_close(work, follower, &close, &shared, &judged);
    eng_judge(&judged, &verdict, NULL);
    verdict.cancels = 0; /* its entries are being cancelled since it was found flat */
    if (verdict.leg_count == 0 && verdict.reason == IPC_REASON_NONE)
        verdict.reason = IPC_REASON_AT_TARGET;
    if (!note_close(work, follower, slot, &close, &verdict))
        work->is_full = true; /* it begins the next frame */
}

/* Of an earlier symbol map: it is named as done, what opens does so in another instrument. */
static void leave_map(struct eng_work *work, const struct eng_follower *follower, uint32_t slot,
    const struct eng_position *position)
{
    const struct eng_terms terms = {.shape = &work->plan.shape,
        .instrument = position->instrument,
        .product = position->product,
        .flags = IPC_WIDE_OPEN_LEG,
        .leg = ENG_LEG_REVERSED};
    eng_fact_skip(eng_work_add(work, follower, slot), IPC_REASON_SUPERSEDED, 0);
    eng_work_terms(work, &terms, 0);
}

void eng_decide_follow_up(
    struct eng_work *work, const struct eng_follower *follower, uint32_t slot, uint32_t index)
{
    const struct eng_position *position = &work->core->positions[index];
    uint32_t count = work->count;
    /* Never both: the opening leg waits for the answer to the close. */
    if (!eng_position_reverses(work->core, position)) {
        follow_close(work, follower, slot, position);
        return;
    }
    /* What an earlier subscription copied is closed, never opened. */
    bool is_older = position->incarnation != follower->row->incarnation;
    if (!(position->flags & ENG_POSITION_REFUSED) && !is_older) {
        bool by_fill = (position->flags & ENG_POSITION_BY_FILL) != 0;
        uint32_t wides = work->wide_count;
        if (position->instrument !=
            eng_row_trades(work->plan.view, follower->row, position->source))
            leave_map(work, follower, slot, position);
        uint32_t named = work->count;
        if (!eng_decide_open_leg(work, follower, slot, by_fill) && work->count == named) {
            work->wide_count = wides;
            work->count = count;
            work->is_full = true;
        }
        return;
    }
    /* The close was refused: nothing is opened against a position that still stands. */
    struct eng_plan *plan = eng_work_open_plan(work, false);
    const struct eng_terms terms = {.shape = &plan->shape,
        .instrument = position->instrument,
        .product = position->product,
        .flags = IPC_WIDE_OPEN_LEG,
        .leg = ENG_LEG_REVERSED};
    struct ipc_fact_child *fact = eng_work_add(work, follower, slot);
    fact->incarnation = position->incarnation;
    eng_fact_skip(
        fact, is_older ? IPC_REASON_SUPERSEDED : IPC_REASON_BROKER_REJECT, plan->order->qty_e8);
    eng_work_terms(work, &terms, 0);
}
