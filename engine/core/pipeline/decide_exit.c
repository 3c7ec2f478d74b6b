/* Reductions: each follower closes the part of its own copied position that the master closes of
 * his (SEMANTICS 4), a reversal's close goes before its opening (6), and what could not be closed
 * at once is closed by follow-ups. */
#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/pipeline/full.h"
#include "engine/core/pipeline/work.h"
#include "engine/core/positions.h"

/* --- one position -------------------------------------------------------------------------------
 */

int64_t eng_wanted_e8(const struct eng_work *work, const struct eng_follower *follower,
    const struct eng_position *position, const struct eng_run_sum *run, uint32_t number,
    bool by_fill, uint8_t side, bool *all)
{
    bool taken = eng_base_taken(position, number, by_fill);
    int64_t base = taken ? position->base_e8 : eng_base_now(position, side);
    int64_t closed = taken ? position->closed_e8 : 0;
    *all = run->base_e8 > 0 && run->reduced_e8 >= run->base_e8;
    int64_t total = base;
    if (!*all && run->base_e8 > 0)
        total = eng_exit_floor_e8(
            &work->plan, follower, eng_fraction_qty(base, run->reduced_e8, run->base_e8));
    return ls_max_i64(total - closed, 0);
}

/* The master is flat, or will be for sure: nothing of it works any more. */
static bool master_is_flat(const struct eng_work *work, const struct eng_run_sum *run)
{
    const struct eng_order *order = work->plan.order;
    const struct eng_master_position *master =
        &work->core->master_positions[order->master_position];
    return run->certain_e8 >= run->base_e8 &&
           master->opening_e8[order->side == IPC_SIDE_SELL ? 0 : 1] == 0;
}

static void add_flatten(struct eng_work *work, const struct eng_follower *follower, uint32_t slot,
    const struct eng_terms *terms, uint16_t incarnation, int64_t coming_e8)
{
    struct ipc_fact_child *fact = eng_work_add(work, follower, slot);
    fact->kind = IPC_CHILD_FLATTEN;
    fact->incarnation = incarnation;
    fact->qty_e8 = coming_e8;
    eng_work_terms(work, terms, 0);
}

static bool skip_exit(
    struct eng_work *work, const struct eng_terms *terms, enum ipc_reason reason, int64_t qty_e8)
{
    eng_fact_skip(&work->children[work->count - 1], reason, qty_e8);
    eng_work_terms(work, terms, 0);
    return true;
}

/* Its broker backs one resting order: the stop that works stays, a target is dropped (E30). */
static bool keeps_stop(const struct eng_work *work, const struct eng_follower *follower,
    const struct eng_position *position)
{
    const struct eng_core *core = work->core;
    const struct ipc_row_follower *row = follower->row;
    if (LS_LIKELY(row->policy == 0) || work->plan.order->type != IPC_TYPE_LIMIT ||
        work->plan.order->status == IPC_STATUS_FILLED ||
        !(core->view->policies[row->policy - 1].flags & IPC_POLICY_ONE_RESTING) ||
        eng_reserved_e8(position) == 0)
        return false;
    for (uint32_t at = position->newest_child; at != ENG_NONE;
         at = core->children[at].position_older) {
        const struct eng_child *child = &core->children[at];
        if ((child->flags & ENG_CHILD_EXIT) && eng_child_claim_e8(child) > 0 &&
            (child->type == IPC_TYPE_SL || child->type == IPC_TYPE_SLM))
            return true;
    }
    return false;
}

static bool exit_position(struct eng_work *work, const struct eng_follower *follower, uint32_t slot,
    const struct eng_position *position, bool by_fill)
{
    const struct eng_plan *plan = eng_work_close_plan(work, position, by_fill);
    const struct eng_run_sum *run = &work->run[by_fill];
    uint8_t side = plan->shape.side;
    const struct eng_terms terms = {.shape = &plan->shape,
        .instrument = position->instrument,
        .product = position->product,
        .flags = by_fill ? IPC_WIDE_EXIT | IPC_WIDE_ON_FILL : IPC_WIDE_EXIT,
        .leg = ENG_LEG_MAIN,
        .slice_e8 = plan->freeze_qty_e8 != 0 ? plan->freeze_qty_e8
                                             : eng_lot_floor(&plan->sizer, ENG_QTY_MAX_E8)};
    if (eng_work_room(work) < 2) {
        work->is_full = true;
        return false;
    }
    struct ipc_fact_child *fact = eng_work_add(work, follower, slot);
    fact->incarnation = position->incarnation;
    fact->sample_e8 = position->held_e8;

    bool all = false;
    int64_t want =
        eng_wanted_e8(work, follower, position, run, work->plan.order->run, by_fill, side, &all);
    int64_t held = eng_held_e8(position, side), coming = eng_coming_e8(position, side);
    int64_t closable = eng_closable_e8(position, side, 0);
    if (all)
        want = ls_max_i64(want, closable);
    if (position->flying != 0)
        return skip_exit(work, &terms, IPC_REASON_EXIT_IN_FLIGHT, want);
    if (keeps_stop(work, follower, position))
        return skip_exit(work, &terms, IPC_REASON_KEEP_STOP, want);
    bool flat = all && coming > 0 && master_is_flat(work, run);
    if (want == 0 && !flat) {
        enum ipc_reason reason =
            plan->sizer.lot_e8 > LS_E8 ? IPC_REASON_SUB_LOT : IPC_REASON_QTY_ZERO;
        if (eng_reserved_e8(position) > 0 && closable == 0)
            reason = IPC_REASON_CLOSE_CLAMPED;
        return skip_exit(work, &terms, reason, 0);
    }
    bool blocked = held == 0 && coming > 0;
    fact->qty_e8 = want;
    if (!blocked && want > closable) {
        if (closable == 0 && !flat)
            return skip_exit(work, &terms, IPC_REASON_CLOSE_CLAMPED, want);
        fact->reason = IPC_REASON_CLOSE_CLAMPED;
        fact->qty_e8 = closable;
    }
    if (fact->qty_e8 == 0) {
        work->count--;
    } else if (!eng_work_place(work, follower, &terms, blocked)) {
        return false;
    }
    if (flat && eng_work_room(work) > 0)
        add_flatten(work, follower, slot, &terms, position->incarnation, coming);
    return true;
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
        if (!has_something(position, eng_work_close_plan(work, position, by_fill)->shape.side))
            continue;
        ++*found;
        if (!exit_position(work, follower, slot, position, by_fill))
            return false;
    }
    return true;
}

/* What stops a reduction before its size: halt alone, and what nobody can size. */
static enum ipc_reason exit_bar(
    const struct eng_work *work, const struct eng_follower *follower, bool by_fill)
{
    const struct eng_order *order = work->plan.order;
    if (follower->word == IPC_SWITCH_HALT)
        return IPC_REASON_KILL_SWITCH;
    enum ipc_reason contract = eng_plan_contract(&work->plan, follower, true);
    if (LS_UNLIKELY(contract != IPC_REASON_NONE))
        return contract;
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
        if (all > eng_order_reduces_e8(order, all))
            return eng_decide_open_leg(work, follower, slot, by_fill);
        eng_fact_skip(eng_work_add(work, follower, slot), IPC_REASON_NO_POSITION, 0);
        return true;
    }
    if (!fits) { /* none of it: the follower begins the next frame */
        work->count = count;
        work->wide_count = wides;
    }
    return fits;
}

bool eng_decide_flat(struct eng_work *work, const struct eng_follower *follower, uint32_t slot)
{
    const struct eng_order *order = work->plan.order;
    uint32_t index = eng_position_of(work->core, follower->row->follower_no,
        follower->row->incarnation, order->instrument, order->product);
    const struct eng_plan *plan =
        index == ENG_NONE ? &work->plan
                          : eng_work_close_plan(work, &work->core->positions[index], false);
    uint8_t side = plan->shape.side;
    if (eng_work_room(work) == 0) {
        work->is_full = true;
        return false;
    }
    if (order->run == 0 || index == ENG_NONE || work->run[0].reduced_e8 < work->run[0].base_e8 ||
        eng_coming_e8(&work->core->positions[index], side) == 0 ||
        !master_is_flat(work, &work->run[0])) {
        eng_fact_skip(eng_work_add(work, follower, slot), IPC_REASON_AT_TARGET, order->qty_e8);
        return true;
    }
    const struct eng_terms terms = {.shape = &plan->shape,
        .instrument = order->instrument,
        .product = order->product,
        .flags = IPC_WIDE_EXIT};
    add_flatten(work, follower, slot, &terms, follower->row->incarnation,
        eng_coming_e8(&work->core->positions[index], side));
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
    return sum;
}

bool eng_decide_open_leg(
    struct eng_work *work, const struct eng_follower *follower, uint32_t slot, bool by_fill)
{
    struct eng_plan *plan = eng_work_open_plan(work, by_fill);
    struct eng_shape shape;
    struct eng_terms terms = {.shape = &plan->shape,
        .instrument = work->plan.order->instrument,
        .product = plan->shape.product,
        .flags = by_fill ? IPC_WIDE_OPEN_LEG | IPC_WIDE_ON_FILL : IPC_WIDE_OPEN_LEG,
        .leg = ENG_LEG_REVERSED,
        .slice_e8 = plan->freeze_qty_e8};
    if (eng_work_room(work) == 0) {
        work->is_full = true;
        return false;
    }
    struct ipc_fact_child *fact = eng_work_add(work, follower, slot);
    int64_t opened = opened_e8(work, follower->row->follower_no);
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
    bool by_fill =
        (position->flags & ENG_POSITION_BY_FILL) != 0 && !(order->flags & ENG_ORDER_OWN);
    /* What an ended order still owes goes as its fill would; its limit is of the past. */
    const struct eng_plan *plan =
        eng_work_close_plan(work, position, by_fill || eng_order_ended(order));
    struct eng_shape shape = plan->shape;
    shape.side = eng_closing_side(position);
    uint8_t side = shape.side == 0 ? plan->shape.side : shape.side;
    shape.side = side;
    const struct eng_terms terms = {.shape = &shape,
        .instrument = position->instrument,
        .product = position->product,
        .flags = by_fill ? IPC_WIDE_EXIT | IPC_WIDE_ON_FILL : IPC_WIDE_EXIT,
        .leg = ENG_LEG_MAIN,
        .slice_e8 = plan->freeze_qty_e8 != 0 ? plan->freeze_qty_e8
                                             : eng_lot_floor(&plan->sizer, ENG_QTY_MAX_E8)};
    struct ipc_fact_child *fact = eng_work_add(work, follower, slot);
    fact->incarnation = position->incarnation;
    fact->sample_e8 = position->held_e8;
    bool all = false;
    int64_t closable = eng_closable_e8(position, side, 0);
    int64_t want = eng_wanted_e8(
        work, follower, position, &work->run[by_fill], position->base_run, by_fill, side, &all);
    if (position->flags & ENG_POSITION_FLAT)
        want = closable;
    int64_t qty = ls_min_i64(want, closable);
    enum ipc_reason bar = IPC_REASON_NONE;
    if (follower->word == IPC_SWITCH_HALT)
        bar = IPC_REASON_KILL_SWITCH;
    else
        bar = eng_plan_contract(plan, follower, true);
    if (bar == IPC_REASON_NONE && qty == 0)
        bar = IPC_REASON_AT_TARGET;
    if (bar != IPC_REASON_NONE) {
        (void)skip_exit(work, &terms, bar, want);
        return;
    }
    fact->qty_e8 = qty;
    if (want > qty)
        fact->reason = IPC_REASON_CLOSE_CLAMPED;
    if (!eng_work_place(work, follower, &terms, false))
        work->is_full = true; /* it begins the next frame */
}

void eng_decide_follow_up(
    struct eng_work *work, const struct eng_follower *follower, uint32_t slot, uint32_t index)
{
    const struct eng_position *position = &work->core->positions[index];
    uint32_t count = work->count;
    const uint8_t closes = ENG_POSITION_WANTS | ENG_POSITION_FLAT;
    bool reverses = (position->flags & ENG_POSITION_REVERSES) && position->unsent_e8 == 0;
    if (!reverses || ((position->flags & closes) && !(position->flags & ENG_POSITION_REFUSED) &&
                         eng_closable_e8(position, eng_closing_side(position), 0) > 0))
        follow_close(work, follower, slot, position);
    if (work->is_full || !reverses || eng_work_room(work) == 0)
        return;
    if (!(position->flags & ENG_POSITION_REFUSED)) {
        bool by_fill = (position->flags & ENG_POSITION_BY_FILL) != 0;
        if (!eng_decide_open_leg(work, follower, slot, by_fill))
            work->is_full = work->count == count; /* its close went; it is looked at again */
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
    eng_fact_skip(fact, IPC_REASON_BROKER_REJECT, plan->order->qty_e8);
    eng_work_terms(work, &terms, 0);
}
