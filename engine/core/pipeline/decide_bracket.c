/* Protective legs of a follower's copies of one order: a stop and a target, sized on what the
 * copies filled and priced from what they filled at (SEMANTICS 8, 3). */
#include "engine/core/bracket.h"
#include "engine/core/dedupe.h"
#include "engine/core/pipeline/work.h"
#include "engine/core/positions.h"
#include "engine/core/protect.h"

struct bracket {
    const struct eng_child *entry; /* newest copy that filled */
    const struct eng_position *position;
    uint32_t newest; /* newest child of order and follower */
    uint8_t side;    /* that closes */
    int64_t want_e8; /* what the legs may still fill */
    int64_t slice_e8;
    bool may_place;
    bool has[2];               /* [0] stop, [1] target */
    struct eng_shape shape[2]; /* valid where has */
};

/* One pair: newest legs of a slice, NULL where there is none that lives. */
struct pair {
    const struct eng_child *leg[2];
    bool is_broken[2]; /* ended without us: not placed again blindly */
};

static bool is_over(const struct eng_child *child)
{
    return eng_state_ended(child->state) || child->state == ENG_STATE_NOT_PLACED;
}

static uint32_t leg_digit(int which)
{
    return which == 0 ? ENG_LEG_STOP : ENG_LEG_TARGET;
}

/* --- prices -------------------------------------------------------------------------------------
 */

/* The same fraction away from the follower's own price as from the master's; without his, his price
 * as it is. */
static int64_t anchored_e8(int64_t leg_e8, int64_t master_e8, int64_t own_e8)
{
    if (master_e8 <= 0 || own_e8 <= 0)
        return leg_e8;
    __int128 scaled = (__int128)leg_e8 * own_e8 / master_e8;
    return scaled > 0 && scaled < INT64_MAX / 2 ? (int64_t)scaled : 0;
}

/* A stop goes to the tick away from the market: SELL down, BUY up; a target to the nearest. */
static int64_t stop_tick_e8(int64_t price_e8, int64_t tick_e8, uint8_t side)
{
    int64_t over = tick_e8 > 0 ? price_e8 % tick_e8 : 0;
    if (over == 0)
        return price_e8;
    return side == IPC_SIDE_SELL ? price_e8 - over : price_e8 - over + tick_e8;
}

static int64_t target_tick_e8(int64_t price_e8, int64_t tick_e8)
{
    int64_t over = tick_e8 > 0 ? price_e8 % tick_e8 : 0;
    return over * 2 >= tick_e8 && over != 0 ? price_e8 - over + tick_e8 : price_e8 - over;
}

/* Below what was paid for what was bought, above it for what was sold; else it is no stop. */
static bool is_on_side(int64_t price_e8, int64_t own_e8, bool below)
{
    return price_e8 > 0 && (own_e8 <= 0 || (below ? price_e8 < own_e8 : price_e8 > own_e8));
}

static void shape_legs(struct eng_work *work, const struct eng_follower *follower,
    struct bracket *bracket, int64_t own_e8)
{
    const struct eng_core *core = work->core;
    const struct eng_order *order = work->plan.order;
    struct eng_batch_sample sample = *work->sample;
    uint32_t instrument = bracket->position->instrument;
    if (LS_UNLIKELY(instrument != order->instrument))
        eng_sample_price(follower->sample, instrument, &sample);
    const struct ipc_row_instrument *row = eng_instrument_row(core->view, instrument);
    int64_t tick = row == NULL ? 0 : row->tick_e8;
    int64_t ref = order->average_price_e8 > 0 ? order->average_price_e8 : order->price_e8;
    bool sells = bracket->side == IPC_SIDE_SELL;
    int64_t stop = stop_tick_e8(anchored_e8(order->stop_e8, ref, own_e8), tick, bracket->side);
    int64_t target = target_tick_e8(anchored_e8(order->target_e8, ref, own_e8), tick);
    bracket->has[0] = bracket->has[0] && is_on_side(stop, own_e8, sells);
    bracket->has[1] = bracket->has[1] && is_on_side(target, own_e8, !sells);
    struct eng_order like = *order;
    like.side = bracket->side;
    like.validity = IPC_VALIDITY_DAY;
    like.type = IPC_TYPE_SLM;
    like.price_e8 = 0;
    like.trigger_e8 = stop;
    int64_t age =
        sample.price_mono_ns > 0 ? sample.now_mono_ns - sample.price_mono_ns : ENG_AGE_INFINITE;
    bracket->shape[0] = eng_shape_make(&core->config, &like, row, true,
        core->policies[follower->row->broker].refuses_market, sample.price_e8, age);
    bracket->shape[1] = (struct eng_shape){.side = bracket->side,
        .type = IPC_TYPE_LIMIT,
        .product = bracket->shape[0].product,
        .validity = IPC_VALIDITY_DAY,
        .price_e8 = target};
}

/* --- quantities ---------------------------------------------------------------------------------
 */

/* What the entries filled, at what, less what the legs filled; and what working legs hold.
 *   returns  what is left to protect */
static int64_t left_e8(
    const struct eng_core *core, struct bracket *bracket, int64_t *average_e8, int64_t *held_e8)
{
    int64_t filled = 0, closed = 0;
    __int128 worth = 0;
    bool is_priced = true;
    *held_e8 = 0;
    for (uint32_t at = bracket->newest; at != ENG_NONE; at = core->children[at].older) {
        const struct eng_child *child = &core->children[at];
        if (child->position != (uint32_t)(bracket->position - core->positions))
            continue;
        if (child->flags & ENG_CHILD_PROTECTS) {
            closed = eng_add_saturated(closed, child->filled_qty_e8);
            if (child->sibling == ENG_NONE || child->sibling < at)
                *held_e8 = eng_add_saturated(*held_e8, eng_claims_of(core, child).all_e8);
        } else if (!(child->flags & ENG_CHILD_EXIT) && child->filled_qty_e8 > 0) {
            filled = eng_add_saturated(filled, child->filled_qty_e8);
            worth += (__int128)child->filled_qty_e8 * child->average_price_e8;
            is_priced = is_priced && child->average_price_e8 > 0;
        }
    }
    *average_e8 = is_priced && filled > 0 ? (int64_t)(worth / filled) : 0;
    return ls_max_i64(filled - closed, 0);
}

static const struct eng_child *newest_entry(const struct eng_core *core, uint32_t newest)
{
    for (uint32_t at = newest; at != ENG_NONE; at = core->children[at].older) {
        const struct eng_child *child = &core->children[at];
        if (!(child->flags & ENG_CHILD_EXIT) && child->filled_qty_e8 > 0)
            return child;
    }
    return NULL;
}

static void read_policy(
    struct eng_work *work, const struct eng_follower *follower, struct bracket *bracket)
{
    const struct eng_order *order = work->plan.order;
    uint32_t flags = follower->row->policy == 0
                         ? 0
                         : work->core->view->policies[follower->row->policy - 1].flags;
    bool copies = !(flags & IPC_POLICY_NO_STOPS) && bracket->entry->side == order->side &&
                  order->trail_e8 == 0;
    bracket->has[0] = copies && order->stop_e8 > 0;
    bracket->has[1] =
        copies && order->target_e8 > 0 && !((flags & IPC_POLICY_ONE_RESTING) && order->stop_e8 > 0);
    bracket->may_place = follower->word != IPC_SWITCH_HALT && order->era == work->core->fold.era;
}

static void read_bracket(
    struct eng_work *work, const struct eng_follower *follower, struct bracket *bracket)
{
    const struct eng_core *core = work->core;
    const struct eng_position *position = &core->positions[bracket->entry->position];
    int64_t average, held;
    bracket->position = position;
    bracket->side = (uint8_t)ipc_side_opposite((enum ipc_side)bracket->entry->side);
    read_policy(work, follower, bracket);
    int64_t left = left_e8(core, bracket, &average, &held);
    if (eng_bracket_yields(position))
        left = 0;
    bracket->want_e8 = ls_min_i64(left, eng_closable_e8(position, bracket->side, held));
    const struct ipc_row_instrument *row = eng_instrument_row(core->view, position->instrument);
    bracket->slice_e8 = ENG_QTY_MAX_E8;
    if (row != NULL && row->freeze_qty_e8 > 0) {
        int64_t lot = ls_max_i64(row->lot_qty_e8, 1);
        bracket->slice_e8 = ls_max_i64(row->freeze_qty_e8 - row->freeze_qty_e8 % lot, lot);
    }
    shape_legs(work, follower, bracket, average);
    if (!bracket->has[0] && !bracket->has[1])
        bracket->want_e8 = 0;
}

static struct pair pair_of(const struct eng_core *core, uint32_t newest, uint32_t slice)
{
    struct pair pair = {0};
    for (int which = 0; which < 2; which++) {
        for (uint32_t at = newest; at != ENG_NONE; at = core->children[at].older) {
            const struct eng_child *child = &core->children[at];
            if (!(child->flags & ENG_CHILD_PROTECTS) ||
                ipc_tag_action_leg(child->action) != leg_digit(which) ||
                ipc_tag_action_slice(child->action) != slice)
                continue;
            if (!is_over(child))
                pair.leg[which] = child;
            else
                pair.is_broken[which] =
                    child->state != ENG_STATE_FILLED && !(child->flags & ENG_CHILD_CANCELLED) &&
                    !(child->state == ENG_STATE_SKIPPED && child->reason == IPC_REASON_SUPERSEDED);
            break;
        }
    }
    return pair;
}

/* --- one leg ------------------------------------------------------------------------------------
 */

static struct ipc_fact_child *add_for(
    struct eng_work *work, const struct eng_follower *follower, const struct eng_child *child)
{
    struct ipc_fact_child *fact = eng_work_add(work, follower, child->slot);
    fact->action = child->action;
    fact->incarnation = child->incarnation;
    fact->qty_e8 = child->qty_e8;
    return fact;
}

static struct eng_terms terms_of(const struct bracket *bracket, int which)
{
    return (struct eng_terms){.shape = &bracket->shape[which],
        .instrument = bracket->position->instrument,
        .product = bracket->position->product,
        .flags = IPC_WIDE_EXIT | IPC_WIDE_PROTECTS,
        .leg = leg_digit(which)};
}

static bool leaves(const struct eng_child *leg)
{
    return leg->queued == IPC_ACTION_CANCEL || leg->flight == IPC_ACTION_CANCEL ||
           (leg->flags & ENG_CHILD_CANCELLED) != 0;
}

/* Nothing can be asked of it before its answer or its id is here. */
static bool is_waiting(const struct eng_child *leg)
{
    return leg->flight != 0 || (leg->flags & ENG_CHILD_DOUBT) || eng_state_in_doubt(leg->state) ||
           leg->broker_order_id[0] == '\0';
}

static void cancel_leg(
    struct eng_work *work, const struct eng_follower *follower, const struct eng_child *leg)
{
    if (leaves(leg))
        return;
    struct ipc_fact_child *fact = add_for(work, follower, leg);
    if (eng_state_unsent(leg->state))
        eng_fact_skip(fact, IPC_REASON_SUPERSEDED, leg->qty_e8);
    else if (is_waiting(leg))
        fact->kind = IPC_CHILD_WAIT;
    else
        fact->kind = eng_work_may_leave(work, follower, true, leg->instrument)
                         ? IPC_CHILD_CANCEL
                         : IPC_CHILD_CANCEL_QUEUED;
}

static bool has_terms(const struct bracket *bracket, const struct eng_child *leg, int which,
    int64_t qty_e8, bool asked)
{
    const struct eng_shape *shape = &bracket->shape[which];
    return asked ? leg->qty_e8 == qty_e8 && leg->price_e8 == shape->price_e8 &&
                       leg->trigger_e8 == shape->trigger_e8
                 : leg->known_qty_e8 == qty_e8 && leg->known_price_e8 == shape->price_e8 &&
                       leg->known_trigger_e8 == shape->trigger_e8;
}

static bool used_up(
    const struct eng_work *work, const struct eng_follower *follower, const struct eng_child *leg)
{
    const struct ipc_row_follower *row = follower->row;
    uint32_t most = work->core->policies[row->broker].modifications_max;
    if (row->policy != 0 && work->core->view->policies[row->policy - 1].modifications_max != 0)
        most = work->core->view->policies[row->policy - 1].modifications_max;
    return most != 0 && leg->modifications >= most;
}

/* A leg that lives gets its quantity and price; what it filled counts in its quantity. */
static void amend_leg(struct eng_work *work, const struct eng_follower *follower,
    const struct bracket *bracket, const struct eng_child *leg, int which, int64_t want_e8)
{
    int64_t qty = leg->filled_qty_e8 + want_e8;
    bool settles = (leg->flags & ENG_CHILD_SETTLE) != 0;
    if (leaves(leg))
        return;
    if (!bracket->has[which] || (used_up(work, follower, leg) && !eng_state_unsent(leg->state) &&
                                    !has_terms(bracket, leg, which, qty, true))) {
        cancel_leg(work, follower, leg); /* and placed anew when that is confirmed */
        return;
    }
    if (has_terms(bracket, leg, which, qty, true) && !settles)
        return; /* it has them, or they are on the way */
    if (!bracket->may_place && !settles)
        return;
    struct eng_terms terms = terms_of(bracket, which);
    struct ipc_fact_child *fact = add_for(work, follower, leg);
    if (eng_state_unsent(leg->state)) {
        fact->kind = IPC_CHILD_PLACE_QUEUED;
        fact->qty_e8 = qty;
    } else if (is_waiting(leg)) {
        fact->kind = IPC_CHILD_WAIT;
        return;
    } else if (has_terms(bracket, leg, which, qty, false) || !bracket->may_place) {
        eng_fact_skip(fact, IPC_REASON_AT_TARGET, qty); /* drops a queued change */
    } else {
        fact->qty_e8 = qty;
        fact->kind = leg->queued == 0 && eng_work_may_leave(work, follower, true, leg->instrument)
                         ? IPC_CHILD_MODIFY
                         : IPC_CHILD_MODIFY_QUEUED;
    }
    eng_work_terms(work, &terms, 0);
}

/* A new pair. The target names the stop before it. */
static void place_pair(struct eng_work *work, const struct eng_follower *follower,
    const struct bracket *bracket, const struct pair *pair, uint32_t slice,
    const uint32_t placed[2], int64_t qty_e8)
{
    uint32_t sibling = 0;
    for (int which = 0; which < 2; which++) {
        if (!bracket->has[which] || pair->is_broken[which] || eng_work_room(work) == 0)
            continue;
        struct eng_terms terms = terms_of(bracket, which);
        terms.slice = slice - placed[which];
        struct ipc_fact_child *fact = eng_work_add(work, follower, bracket->entry->slot);
        fact->incarnation = bracket->entry->incarnation;
        fact->sample_e8 = bracket->position->held_e8;
        fact->qty_e8 = qty_e8;
        /* Behind an unanswered close of its position it waits in the queue. */
        if (!eng_work_place(work, follower, &terms, bracket->position->flying != 0))
            return;
        fact = &work->children[work->count - 1];
        if (fact->kind == IPC_CHILD_SKIP)
            continue;
        if (which == 1 && sibling != 0)
            eng_work_wide(work)->sibling = sibling;
        sibling = fact->action + 1;
    }
}

/* --- one follower -------------------------------------------------------------------------------
 */

static bool is_named(const struct eng_work *work, uint32_t first, uint32_t action)
{
    for (uint32_t i = first; i < work->count; i++) {
        if (work->children[i].action == action)
            return true;
    }
    return false;
}

/* Whoever was to be settled is told something, so that it leaves the list; what waits for another
 * answer goes on waiting for it. */
static void name_settled(
    struct eng_work *work, const struct eng_follower *follower, uint32_t newest, uint32_t first)
{
    const struct eng_core *core = work->core;
    for (uint32_t at = newest; at != ENG_NONE && eng_work_room(work) > 0;
         at = core->children[at].older) {
        const struct eng_child *child = &core->children[at];
        if (!(child->flags & ENG_CHILD_SETTLE) ||
            !(child->flags & (ENG_CHILD_LEGS | ENG_CHILD_PROTECTS)) ||
            is_named(work, first, child->action))
            continue;
        struct ipc_fact_child *fact = add_for(work, follower, child);
        eng_fact_skip(fact, IPC_REASON_AT_TARGET, child->qty_e8);
        if ((child->flags & ENG_CHILD_LEGS) && (child->waits || child->queued != 0))
            fact->kind = IPC_CHILD_WAIT;
        eng_work_wide(work)->flags =
            child->flags & ENG_CHILD_EXIT ? IPC_WIDE_EXIT | IPC_WIDE_PROTECTS : IPC_WIDE_PROTECTS;
    }
}

static void decide_pair(struct eng_work *work, const struct eng_follower *follower,
    const struct bracket *bracket, uint32_t slice, uint32_t placed[2], int64_t want_e8)
{
    struct pair pair = pair_of(work->core, bracket->newest, slice);
    bool lives = pair.leg[0] != NULL || pair.leg[1] != NULL;
    if (!lives && want_e8 > 0 && bracket->may_place) {
        place_pair(work, follower, bracket, &pair, slice, placed, want_e8);
        for (int which = 0; which < 2; which++)
            placed[which] += bracket->has[which] && !pair.is_broken[which];
    }
    for (int which = 0; which < 2; which++) {
        if (pair.leg[which] == NULL)
            continue;
        if (want_e8 > 0)
            amend_leg(work, follower, bracket, pair.leg[which], which, want_e8);
        else
            cancel_leg(work, follower, pair.leg[which]);
    }
}

bool eng_decide_bracket(struct eng_work *work, const struct eng_follower *follower, uint32_t index)
{
    const struct eng_core *core = work->core;
    struct bracket bracket = {
        .newest = eng_child_find(core, work->batch->order, core->children[index].follower_no)};
    uint32_t first = work->count;
    bracket.entry = newest_entry(core, bracket.newest);
    if (bracket.entry != NULL) {
        read_bracket(work, follower, &bracket);
        uint32_t placed[2] = {0, 0};
        int64_t rest = bracket.want_e8;
        for (uint32_t slice = 0; slice < IPC_TAG_SLICES && eng_work_room(work) > 4; slice++) {
            int64_t part = ls_min_i64(rest, bracket.slice_e8);
            decide_pair(work, follower, &bracket, slice, placed, part);
            rest -= part;
        }
        work->is_full = false;
    }
    name_settled(work, follower, bracket.newest, first);
    return true;
}
