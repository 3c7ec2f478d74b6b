#include "engine/core/pipeline/gather.h"

#include "engine/core/bracket.h"
#include "engine/core/children.h"
#include "engine/core/pace.h"
#include "engine/core/pipeline/full.h"
#include "engine/core/positions.h"

/* --- what all of a batch have alike -------------------------------------------------------------
 */

static void gather_instrument(
    const struct eng_plan *plan, const struct eng_follower *follower, struct eng_case_shared *out)
{
    const struct ipc_row_instrument *row = plan->instrument;
    if (row == NULL)
        return;
    out->instrument = row->instrument;
    out->lot_e8 = row->lot_qty_e8;
    out->tick_e8 = row->tick_e8;
    out->freeze_e8 = row->freeze_qty_e8;
    /* Closed in the lots of the own broker; in slices that every broker takes. */
    struct eng_contract at;
    if (LS_UNLIKELY(plan->contracts.count != 0) &&
        eng_contract_at(&plan->contracts, follower->row->broker, &at)) {
        out->lot_e8 = at.lot_qty_e8;
        out->tick_e8 = at.tick_e8;
    }
    out->is_option = row->kind == IPC_KIND_OPTION;
}

static void gather_order(const struct eng_work *work, const struct eng_follower *follower,
    const struct eng_close *close, struct eng_case_shared *out)
{
    const struct eng_plan *plan = close->plan;
    const struct eng_order *order = plan->order;
    gather_instrument(plan, follower, out);
    if (eng_plan_contract(plan, follower, true) != IPC_REASON_NONE)
        out->instrument = 0;
    bool turned = eng_row_reverses(plan->view, follower->row);
    out->side = turned ? (uint8_t)ipc_side_opposite((enum ipc_side)close->side) : close->side;
    out->type = order->type;
    out->product = close->position->product;
    out->validity = order->validity;
    out->size_kind = ENG_SIZE_QTY;
    out->complete = 1;
    out->price_e8 = order->price_e8;
    out->trigger_e8 = order->trigger_e8;
    out->age_ns = plan->age_ns;
    out->last_e8 = plan->sample->price_e8;
    out->price_age_ns = plan->price_age_ns;
    bool refuses = work->core->policies[follower->row->broker].refuses_market;
    out->market_orders = refuses ? ENG_MARKET_AS_LIMIT : ENG_MARKET_PROTECTED;
    if (refuses && eng_type_is_market(order->type) && plan->shape.type != order->type)
        out->protected_e8[close->side == IPC_SIDE_BUY ? 0 : 1] = plan->shape.price_e8;
}

/* The master's position before this event and what the event takes of it; how far the whole run has
 * come stands in the base. */
static void gather_part(
    const struct eng_work *work, const struct eng_close *close, struct eng_case_shared *out)
{
    const struct eng_order *order = work->plan.order;
    int64_t part = ls_max_i64(close->run->own_e8, 1);
    int64_t before = ls_max_i64(eng_abs(order->position_before_e8), part);
    out->before_e8 = out->side == IPC_SIDE_SELL ? before : -before;
    out->flat = (close->run->is_over || close->run->certain_e8 >= close->run->base_e8) &&
                !eng_master_opens(work->core, order);
    out->idle = eng_master_is_idle(work->core, order);
    if (!close->by_fill) {
        out->occasion = ENG_ON_ORDER;
        out->qty_e8 = part;
        return;
    }
    out->occasion = ENG_ON_FILL;
    out->after_e8 = out->side == IPC_SIDE_SELL ? before - part : part - before;
}

/* --- the follower -------------------------------------------------------------------------------
 */

/* What working closes of a protective stop may still fill. */
struct resting {
    int64_t all_e8;
    int64_t of_base_e8; /* of it, what was ordered for the position's base */
};

static struct resting stops_of(const struct eng_core *core, const struct eng_position *position)
{
    struct resting sum = {0};
    if (LS_LIKELY(eng_reserved_e8(position) == 0))
        return sum;
    int64_t rest = eng_reserved_e8(position);
    for (uint32_t at = position->newest_child; at != ENG_NONE && rest > 0;
         at = core->children[at].position_older) {
        const struct eng_child *child = &core->children[at];
        if (!(child->flags & ENG_CHILD_EXIT))
            continue;
        if (LS_UNLIKELY(child->flags & ENG_CHILD_PROTECTS)) {
            /* A pair counts once, with the younger one. */
            if (child->sibling == ENG_NONE || child->sibling < at) {
                int64_t pair = eng_claims_of(core, child).all_e8;
                rest -= pair;
                sum.all_e8 = eng_add_saturated(sum.all_e8, pair);
            }
            continue;
        }
        int64_t claim = eng_child_claim_e8(child);
        rest -= claim;
        if (child->type != IPC_TYPE_SL && child->type != IPC_TYPE_SLM)
            continue;
        sum.all_e8 = eng_add_saturated(sum.all_e8, claim);
        bool leaves = child->queued == IPC_ACTION_CANCEL || (child->flags & ENG_CHILD_CANCELLED);
        if (child->base_no == position->base_no && !leaves)
            sum.of_base_e8 = eng_add_saturated(sum.of_base_e8, claim);
    }
    return sum;
}

/* A stop works beside what else reduces: it is no part of their sum, nor they wait for it. */
static struct eng_base base_of(const struct eng_close *close, const struct resting *stops)
{
    const struct eng_position *position = close->position;
    bool taken = eng_base_taken(position, close->number, close->by_fill);
    struct eng_base base = {.master_e8 = ls_max_i64(close->run->base_e8, 1),
        .copied_e8 = taken ? position->base_e8 : eng_base_now(position, close->side),
        .reduced_e8 = close->run->reduced_e8,
        .closed_e8 = taken ? position->closed_e8 : 0};
    if (close->is_stop)
        return base;
    base.reduced_e8 -= close->run->stops_e8;
    if (taken)
        base.closed_e8 -= stops->of_base_e8;
    else
        base.copied_e8 = eng_add_saturated(base.copied_e8, stops->all_e8);
    return base;
}

static void gather_follower(const struct eng_work *work, const struct eng_follower *follower,
    const struct eng_close *close, struct eng_case_follower *out)
{
    const struct eng_position *position = close->position;
    const struct ipc_row_follower *row = follower->row;
    struct resting stops = stops_of(work->core, position);
    out->row = row;
    out->policy = row->policy == 0 ? NULL : &close->plan->view->policies[row->policy - 1];
    out->word = (uint8_t)follower->word;
    out->session_valid = eng_account_session_valid(follower->account);
    out->symbol_allowed = 1;
    out->entry_product = position->product;
    out->held_e8 = position->held_e8;
    out->has_account = position->lost_e8 != 0;
    out->account_e8 = eng_there_e8(position, close->side);
    if (close->side == IPC_SIDE_BUY)
        out->account_e8 = -out->account_e8;
    out->coming_e8 = eng_coming_e8(position, close->side);
    out->reserved_e8 = eng_reserved_e8(position);
    out->stop_e8 = stops.all_e8;
    out->in_flight_e8 = position->flying;
    out->against_e8 = position->opening_e8[close->side == IPC_SIDE_SELL ? 1 : 0];
    out->base_kept = 1;
    out->base = base_of(close, &stops);
    if (LS_LIKELY(!close->held_only && !close->run->is_over))
        return;
    /* His entries of this side still work: what copies of them bring is of his next position. */
    if (close->held_only || eng_master_opens(work->core, work->plan.order)) {
        out->coming_e8 = 0;
        out->base.copied_e8 = out->base.closed_e8; /* all that is held and free */
    }
}

void eng_gather_close(const struct eng_work *work, const struct eng_follower *follower,
    const struct eng_close *close, struct eng_case_shared *shared, struct eng_case *judged)
{
    *shared = (struct eng_case_shared){0};
    *judged = (struct eng_case){.shared = shared};
    gather_order(work, follower, close, shared);
    gather_follower(work, follower, close, &judged->follower);
    if (close->everything)
        shared->occasion = ENG_ON_EXIT;
    else
        gather_part(work, close, shared);
}

void eng_gather_amend(const struct eng_work *work, const struct eng_follower *follower,
    const struct eng_close *close, const struct eng_copies *copies, struct eng_case_shared *shared,
    struct eng_case *judged)
{
    eng_gather_close(work, follower, close, shared, judged);
    shared->occasion = ENG_ON_AMEND;
    shared->has_qty = 1;
    shared->qty_e8 = close->run->own_e8;
    struct eng_case_follower *out = &judged->follower;
    out->child_open_e8 = copies->open_e8;
    out->child_filled_e8 = copies->filled_e8;
    /* What leaves now and was clamped goes before a stop that rests. */
    if (!close->is_stop || !(close->position->flags & ENG_POSITION_WANTS) ||
        close->position->exit_order == ENG_NONE)
        return;
    const struct eng_order *newest = &work->core->orders[close->position->exit_order];
    if (newest->type != IPC_TYPE_MARKET && newest->status != IPC_STATUS_FILLED)
        return;
    struct eng_run_sum run = eng_run_sum(work->core, newest, false);
    struct eng_close leaving = *close;
    leaving.run = &run;
    leaving.is_stop = false;
    struct eng_base base = base_of(&leaving, &(struct resting){out->stop_e8, copies->open_e8});
    int64_t total = base.copied_e8;
    if (base.reduced_e8 < base.master_e8)
        total = eng_exit_floor_e8(close->plan, follower,
            eng_fraction_qty(base.copied_e8, base.reduced_e8, base.master_e8));
    out->owed_e8 = ls_max_i64(total - base.closed_e8, 0);
    if (run.reduced_e8 - run.stops_e8 >= run.base_e8 && shared->flat)
        out->owed_e8 = ls_max_i64(out->owed_e8, eng_abs(out->held_e8)); /* he has nothing left */
}
