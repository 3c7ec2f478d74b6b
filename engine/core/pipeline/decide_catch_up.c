/* A missed opening that is made good: what the master's position still wants of it, at the price of
 * now, under the next action digits of its order. */
#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/money.h"
#include "engine/core/pipeline/exact.h"
#include "engine/core/pipeline/full.h"
#include "engine/core/pipeline/work.h"
#include "engine/core/positions.h"

/* What of the missed quantity is still wanted: all of it while the master's order works, else the
 * part of his position that he has not closed since. */
static int64_t wanted_e8(const struct eng_work *work, const struct eng_child *child)
{
    const struct eng_core *core = work->core;
    const struct eng_order *order = work->plan.order;
    int64_t missed = child->qty_e8 - child->filled_qty_e8;
    if (core->positions[child->position].flags & ENG_POSITION_FLAT)
        return 0;
    if (order->filled_qty_e8 == 0)
        return missed;
    const struct eng_master_position *master = &core->master_positions[order->master_position];
    int64_t held = order->side == IPC_SIDE_BUY ? master->held_e8 : -master->held_e8;
    if (held <= 0)
        return 0;
    if (master->fill_base_e8 <= held)
        return missed;
    return eng_muldiv(missed, held, master->fill_base_e8);
}

/* What the order's other copies hold and may still fill. */
static int64_t own_e8(const struct eng_work *work, const struct eng_child *child)
{
    int64_t sum = 0;
    uint32_t at = eng_child_find(work->core, work->batch->order, child->follower_no);
    for (; at != ENG_NONE; at = work->core->children[at].older) {
        const struct eng_child *other = &work->core->children[at];
        if (other->flags & (ENG_CHILD_PROTECTS | ENG_CHILD_EXIT))
            continue;
        sum = eng_add_saturated(sum, other->filled_qty_e8 + eng_child_claim_e8(other));
    }
    return sum;
}

static bool leave(struct eng_work *work, const struct eng_follower *follower,
    const struct eng_child *child, enum ipc_reason reason)
{
    struct ipc_fact_child *fact = eng_work_add(work, follower, child->slot);
    fact->action = child->action;
    fact->incarnation = child->incarnation;
    eng_fact_skip(fact, reason, child->qty_e8);
    return true;
}

bool eng_decide_catch_up(struct eng_work *work, const struct eng_follower *follower, uint32_t index)
{
    const struct eng_core *core = work->core;
    const struct eng_child *child = &core->children[index];
    if (eng_work_room(work) < 2) {
        work->is_full = true;
        return false;
    }
    if (follower->row->incarnation != child->incarnation)
        return leave(work, follower, child, IPC_REASON_SUPERSEDED);
    int64_t wanted = wanted_e8(work, child);
    if (wanted <= 0)
        return leave(work, follower, child, IPC_REASON_AT_TARGET);
    /* The act is of this moment: the order's age does not count, prices and limits do. */
    struct eng_order order = *work->plan.order;
    order.received_mono_ns = order.filled_mono_ns = work->sample->now_mono_ns;
    order.feed_lag_ns = order.filled_lag_ns = 0;
    order.era = order.filled_era = core->fold.era;
    struct eng_plan plan;
    eng_plan_make(
        &plan, core, work->batch->order, &order, work->batch->refuses_market, work->sample);
    struct eng_shape shape;
    struct eng_terms terms = {.shape = &plan.shape,
        .instrument = child->instrument,
        .product = child->product,
        .flags = IPC_WIDE_CATCH_UP,
        .leg = ipc_tag_action_leg(child->action),
        .slice = ipc_tag_action_slice(child->action),
        .slice_e8 = plan.freeze_qty_e8};
    if (child->flags & ENG_CHILD_ON_FILL)
        terms.flags |= IPC_WIDE_ON_FILL;
    if (child->flags & ENG_CHILD_OPEN_LEG)
        terms.flags |= IPC_WIDE_OPEN_LEG;
    int64_t own = own_e8(work, child);
    struct ipc_fact_child *fact = eng_work_add(work, follower, child->slot);
    bool goes = eng_plan_opening(work, &plan, follower, own, fact, &shape, &terms);
    int64_t qty = eng_lot_floor(&plan.sizer, ls_min_i64(wanted, fact->qty_e8 - own));
    if (goes && qty <= 0) {
        fact->reason = IPC_REASON_AT_TARGET;
        goes = false;
    }
    if (!goes) {
        fact->action = child->action;
        eng_fact_skip(fact, (enum ipc_reason)fact->reason, child->qty_e8);
        return true;
    }
    fact->qty_e8 = qty;
    if (!eng_work_place(work, follower, &terms, false))
        return false;
    return leave(work, follower, child, IPC_REASON_AT_TARGET);
}
