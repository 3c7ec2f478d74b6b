/* Margin step-down by choice (SEMANTICS 10): an opening that the broker's margin check refused goes
 * again with one lot fewer, as the next child of its order, while it is fresh and all else still
 * allows it. */
#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/money.h"
#include "engine/core/pipeline/full.h"
#include "engine/core/pipeline/work.h"
#include "engine/core/positions.h"

#define STEPS_MAX 10u /* of one slice of one opening */

static int64_t lot_of(
    const struct eng_work *work, const struct eng_child *child, const struct ipc_row_policy *policy)
{
    const struct ipc_row_instrument *row = eng_instrument_row(work->core->view, child->instrument);
    int64_t lot = row == NULL || row->lot_qty_e8 <= 0 ? LS_E8 : row->lot_qty_e8;
    return ls_max_i64(lot, policy->step_e8);
}

static bool is_same_slice(const struct eng_child *a, const struct eng_child *b)
{
    return ipc_tag_action_leg(a->action) == ipc_tag_action_leg(b->action) &&
           ipc_tag_action_slice(a->action) == ipc_tag_action_slice(b->action);
}

int64_t eng_step_gone_e8(const struct eng_core *core, uint32_t newest, uint32_t index)
{
    const struct eng_child *child = &core->children[index];
    int64_t next_e8 = 0;
    for (uint32_t at = newest; at != index && at != ENG_NONE; at = core->children[at].older) {
        if (is_same_slice(&core->children[at], child))
            next_e8 = core->children[at].qty_e8; /* the one nearest to it is found last */
    }
    return ls_max_i64(child->qty_e8 - next_e8, 0);
}

/* Steps of this slice so far, and what the order's other copies hold and may still fill. */
static uint32_t steps_of(
    const struct eng_work *work, const struct eng_child *child, int64_t *own_e8)
{
    const struct eng_core *core = work->core;
    uint32_t count = 0;
    *own_e8 = 0;
    uint32_t at = eng_child_find(core, work->batch->order, child->follower_no);
    for (; at != ENG_NONE; at = core->children[at].older) {
        const struct eng_child *other = &core->children[at];
        if (other->flags & ENG_CHILD_PROTECTS)
            continue;
        count += (other->flags & ENG_CHILD_STEP) && is_same_slice(other, child);
        *own_e8 = eng_add_saturated(*own_e8, other->filled_qty_e8 + eng_child_claim_e8(other));
    }
    return count;
}

/* The quantity of the next try, 0 when there is none. */
static int64_t next_qty(const struct eng_work *work, const struct eng_follower *follower,
    const struct eng_child *child, int64_t *own_e8)
{
    const struct ipc_row_follower *row = follower->row;
    if (row->policy == 0 || row->incarnation != child->incarnation || work->plan.ended ||
        (work->core->positions[child->position].flags & ENG_POSITION_FLAT))
        return 0;
    const struct ipc_row_policy *policy = &work->core->view->policies[row->policy - 1];
    if (!(policy->flags & IPC_POLICY_MARGIN_STEP) || steps_of(work, child, own_e8) > STEPS_MAX)
        return 0;
    return eng_margin_step_e8(child->qty_e8, lot_of(work, child, policy));
}

static struct eng_plan *plan_of(struct eng_work *work, const struct eng_child *child)
{
    bool by_fill = (child->flags & ENG_CHILD_ON_FILL) != 0;
    if (child->flags & ENG_CHILD_OPEN_LEG)
        return eng_work_open_plan(work, by_fill);
    return by_fill ? eng_work_fill_plan(work) : &work->plan;
}

static void leave(struct eng_work *work, const struct eng_follower *follower,
    const struct eng_child *child, enum ipc_reason reason)
{
    struct ipc_fact_child *fact = eng_work_add(work, follower, child->slot);
    fact->action = child->action;
    fact->incarnation = child->incarnation;
    eng_fact_skip(fact, reason, child->qty_e8);
}

bool eng_decide_step_down(
    struct eng_work *work, const struct eng_follower *follower, uint32_t index)
{
    const struct eng_child *child = &work->core->children[index];
    int64_t own = 0;
    if (eng_work_room(work) < 2) {
        work->is_full = true;
        return false;
    }
    int64_t qty = next_qty(work, follower, child, &own);
    if (qty == 0) {
        leave(work, follower, child, IPC_REASON_MARGIN);
        return true;
    }
    struct eng_plan *plan = plan_of(work, child);
    struct eng_shape shape;
    struct eng_terms terms = {.shape = &plan->shape,
        .instrument = child->instrument,
        .product = child->product,
        .leg = ipc_tag_action_leg(child->action)};
    if (child->flags & ENG_CHILD_ON_FILL)
        terms.flags |= IPC_WIDE_ON_FILL;
    if (child->flags & ENG_CHILD_OPEN_LEG)
        terms.flags |= IPC_WIDE_OPEN_LEG;
    struct ipc_fact_child *fact = eng_work_add(work, follower, child->slot);
    bool goes = eng_plan_opening(work, plan, follower, own, fact, &shape, &terms);
    if (goes && (fact->qty_e8 <= own || terms.instrument != child->instrument)) {
        fact->reason = IPC_REASON_AT_TARGET;
        goes = false;
    }
    if (!goes) { /* its age, a switch, a limit: it stays refused */
        fact->action = child->action;
        eng_fact_skip(fact, (enum ipc_reason)fact->reason, child->qty_e8);
        return true;
    }
    fact->qty_e8 = ls_min_i64(qty, fact->qty_e8 - own);
    fact->reason = IPC_REASON_MARGIN;
    terms.slice = ipc_tag_action_slice(child->action);
    terms.slice_e8 = 0; /* less than an order that fitted */
    if (!eng_work_place(work, follower, &terms, false))
        return false;
    leave(work, follower, child, IPC_REASON_MARGIN);
    return true;
}
