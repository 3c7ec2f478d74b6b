/* A BATCH frame: what was decided for the followers of one order. And RELEASE frames. */
#include "engine/core/apply.h"
#include "engine/core/bracket.h"
#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/fanout.h"
#include "engine/core/masters.h"
#include "engine/core/money.h"
#include "engine/core/pace.h"
#include "engine/core/positions.h"
#include "engine/core/reconcile_private.h"
#include "engine/core/throttle.h"

struct batch_apply {
    const struct eng_frame *frame;
    const struct ipc_fact_batch *batch;
    uint32_t order;
    uint32_t instrument;   /* of the order */
    uint32_t master;       /* its master position */
    uint32_t source;       /* the master's: an own order has the follower's */
    struct eng_wave *wave; /* NULL = outside a wave */
    struct eng_sending sending;
    uint32_t new_children, new_exits;
    bool moves_legs; /* the master may have moved his stop or target */
    /* by element: the child that it is about, where a first one of its follower would go, and its
     * own terms */
    uint32_t child[IPC_BATCH_CHILDREN_MAX];
    uint32_t cell[IPC_BATCH_CHILDREN_MAX];
    const struct ipc_fact_wide *wide[IPC_BATCH_CHILDREN_MAX]; /* NULL = those of the batch */
};

/* --- what an element says -----------------------------------------------------------------------
 */

static bool is_place(uint8_t kind)
{
    return kind == IPC_CHILD_PLACE || kind == IPC_CHILD_PLACE_QUEUED;
}

static bool is_exit(const struct batch_apply *apply, uint32_t at)
{
    const struct ipc_fact_wide *wide = apply->wide[at];
    return wide == NULL ? apply->batch->is_exit != 0 : (wide->flags & IPC_WIDE_EXIT) != 0;
}

/* A protective leg: no part of the master's reductions. */
static bool is_leg(const struct batch_apply *apply, uint32_t at)
{
    const struct ipc_fact_wide *wide = apply->wide[at];
    return wide != NULL && (wide->flags & IPC_WIDE_PROTECTS) != 0;
}

static bool is_by_fill(const struct batch_apply *apply, uint32_t at)
{
    const struct ipc_fact_wide *wide = apply->wide[at];
    return wide == NULL ? apply->batch->transition == IPC_TRANSITION_FILLED_MORE
                        : (wide->flags & IPC_WIDE_ON_FILL) != 0;
}

static uint32_t instrument_of(const struct batch_apply *apply, uint32_t at)
{
    const struct ipc_fact_wide *wide = apply->wide[at];
    return wide == NULL ? apply->instrument : wide->instrument;
}

static uint8_t product_of(const struct batch_apply *apply, uint32_t at)
{
    const struct ipc_fact_wide *wide = apply->wide[at];
    return wide == NULL ? apply->batch->product : wide->product;
}

static uint32_t position_of(const struct eng_core *core, const struct batch_apply *apply,
    const struct ipc_fact_child *fact, uint32_t at)
{
    return eng_position_of(core, fact->follower_no, fact->incarnation, apply->source,
        instrument_of(apply, at), product_of(apply, at));
}

/* --- one element --------------------------------------------------------------------------------
 */

static void own_slot(struct eng_core *core, const struct ipc_fact_child *fact)
{
    struct eng_slot *slot = &core->slots[fact->slot];
    if (LS_LIKELY(slot->follower_no == fact->follower_no)) {
        slot->incarnation = fact->incarnation;
        return;
    }
    *slot = (struct eng_slot){.follower_no = fact->follower_no, .incarnation = fact->incarnation};
    ipc_tag_follower_text(fact->follower_no, slot->digits);
}

__attribute__((noinline)) static void fly_mapped(
    struct eng_core *core, const struct batch_apply *apply, uint32_t index, enum ipc_action action)
{
    struct eng_sending sending = eng_sending_make(
        core, core->children[index].instrument, apply->frame->mono_ns, apply->frame->wall_ns);
    eng_child_fly(core, index, action, &sending);
}

/* Its bytes may leave now. The call counts at the exchange of what it trades. */
__attribute__((always_inline)) static inline void fly(
    struct eng_core *core, const struct batch_apply *apply, uint32_t index, enum ipc_action action)
{
    if (LS_LIKELY(core->children[index].instrument == apply->instrument))
        eng_child_fly(core, index, action, &apply->sending);
    else
        fly_mapped(core, apply, index, action);
}

static uint32_t existing_child(
    const struct eng_core *core, uint32_t order, const struct ipc_fact_child *fact, uint32_t *cell)
{
    uint32_t child = eng_child_find_at(core, order, fact->follower_no, cell);
    while (child != ENG_NONE && core->children[child].action != fact->action)
        child = core->children[child].older;
    return child;
}

static void set_terms(const struct batch_apply *apply, struct eng_child *child,
    const struct ipc_fact_child *fact, uint32_t at)
{
    const struct ipc_fact_wide *wide = apply->wide[at];
    child->qty_e8 = fact->qty_e8;
    child->reason = fact->reason;
    if (LS_LIKELY(wide == NULL)) {
        child->price_e8 = apply->batch->price_e8;
        child->trigger_e8 = apply->batch->trigger_e8;
        child->type = apply->batch->type;
        child->validity = apply->batch->validity;
        return;
    }
    child->price_e8 = wide->price_e8;
    child->trigger_e8 = wide->trigger_e8;
    child->type = wide->type;
    child->validity = wide->validity;
    child->market_protection_e8 = wide->market_protection_e8;
}

/* A queued change that will not be sent. */
static void drop_change(struct eng_core *core, uint32_t index)
{
    struct eng_child *child = &core->children[index];
    if (child->queued == IPC_ACTION_MODIFY)
        eng_terms_revert(child);
    eng_child_unqueue(core, index);
}

/* What it waited for is decided; its legs are by an element that says so. */
static void stop_waiting(struct eng_core *core, uint32_t index, bool with_legs)
{
    struct eng_child *child = &core->children[index];
    child->waits = 0;
    if (LS_UNLIKELY(child->flags & ENG_CHILD_LEGS) && !with_legs)
        return;
    child->flags &= (uint16_t) ~(ENG_CHILD_LEGS | ENG_CHILD_CATCH);
    eng_settle_drop(core, index);
}

/* An exit that finds nothing copied yet, while its own entry is still on the way, waits for it. */
static bool waits_for_entry(const struct eng_core *core, const struct eng_child *child)
{
    const struct eng_position *position = &core->positions[child->position];
    return (child->flags & ENG_CHILD_EXIT) && eng_held_e8(position, child->side) == 0 &&
           eng_coming_e8(position, child->side) > 0;
}

static uint16_t flags_of(const struct batch_apply *apply, uint32_t at)
{
    const struct ipc_fact_wide *wide = apply->wide[at];
    uint16_t flags = is_exit(apply, at) ? ENG_CHILD_EXIT : 0;
    if (is_by_fill(apply, at))
        flags |= ENG_CHILD_ON_FILL;
    if (wide == NULL)
        return flags;
    if (wide->flags & IPC_WIDE_OPEN_LEG)
        flags |= ENG_CHILD_OPEN_LEG;
    if (wide->flags & IPC_WIDE_CANCEL)
        flags |= ENG_CHILD_AFTER;
    if (wide->flags & IPC_WIDE_PROTECTS)
        flags |= ENG_CHILD_PROTECTS;
    if (wide->flags & IPC_WIDE_CATCH_UP)
        flags |= ENG_CHILD_FRESH;
    return flags;
}

/* The two of a pair name each other, before the younger one is born. */
static void join_sibling(struct eng_core *core, uint32_t index, uint32_t sibling_action)
{
    struct eng_child *child = &core->children[index];
    for (uint32_t at = child->older; at != ENG_NONE; at = core->children[at].older) {
        const struct eng_child *other = &core->children[at];
        if (other->action + 1 != sibling_action || other->sibling != ENG_NONE ||
            other->position != child->position || other->side != child->side ||
            !(other->flags & child->flags & ENG_CHILD_PROTECTS))
            continue;
        child->sibling = at;
        core->children[at].sibling = index;
        return;
    }
}

static uint32_t apply_new_place(struct eng_core *core, const struct batch_apply *apply,
    const struct ipc_fact_child *fact, uint32_t at)
{
    const struct ipc_fact_batch *batch = apply->batch;
    const struct ipc_fact_wide *wide = apply->wide[at];
    bool now = fact->kind == IPC_CHILD_PLACE;
    uint32_t position = eng_position_take(core, fact->follower_no, fact->incarnation, apply->source,
        instrument_of(apply, at), product_of(apply, at), apply->master);
    uint32_t index = eng_child_make(core, apply->order, fact, position, apply->cell[at]);
    struct eng_child *child = &core->children[index];
    child->side = wide == NULL ? batch->side : wide->side;
    child->wave_place = batch->first_place + at;
    child->decision = (uint32_t)apply->frame->lsn;
    child->flags = flags_of(apply, at);
    if (LS_UNLIKELY(child->flags & ENG_CHILD_FRESH))
        core->recon_children[index].doubt_mono_ns = apply->frame->mono_ns;
    set_terms(apply, child, fact, at);
    if (LS_UNLIKELY(wide != NULL) && wide->sibling != 0)
        join_sibling(core, index, wide->sibling);
    if (LS_LIKELY(now)) {
        (void)eng_child_live(core, child, ENG_LIFE_SEND);
        fly(core, apply, index, IPC_ACTION_PLACE);
    } else {
        if (waits_for_entry(core, child))
            child->flags |= ENG_CHILD_BLOCKED;
        (void)eng_child_live(core, child, ENG_LIFE_QUEUE);
        eng_child_queue(core, index, IPC_ACTION_PLACE, 0);
    }
    eng_child_born(core, index);
    if (!(child->flags & ENG_CHILD_EXIT))
        eng_money_opening(core, index,
            wide != NULL && wide->price_sample_e8 != 0 ? wide->price_sample_e8
                                                       : batch->price_sample_e8);
    if (LS_UNLIKELY(core->controls->values))
        eng_throttle_value(core, index);
    return now ? index : ENG_NONE;
}

/* New terms for a place that has not left. */
static uint32_t apply_place_again(struct eng_core *core, const struct batch_apply *apply,
    const struct ipc_fact_child *fact, uint32_t index, uint32_t at)
{
    bool now = fact->kind == IPC_CHILD_PLACE;
    struct eng_child_touch touch = eng_child_begin(core, index);
    struct eng_child *child = touch.child;
    stop_waiting(core, index, is_leg(apply, at));
    set_terms(apply, child, fact, at);
    if (now) {
        eng_child_unqueue(core, index);
        (void)eng_child_live(core, child, ENG_LIFE_RELEASE);
        fly(core, apply, index, IPC_ACTION_PLACE);
    } else {
        (void)eng_child_live(core, child, ENG_LIFE_QUEUE);
        eng_child_queue(core, index, IPC_ACTION_PLACE, child->not_before_mono_ns);
    }
    eng_child_end(core, &touch);
    return now ? index : ENG_NONE;
}

static void apply_skip(struct eng_core *core, const struct batch_apply *apply,
    const struct ipc_fact_child *fact, uint32_t index, uint32_t at)
{
    if (index == ENG_NONE)
        return;
    struct eng_child_touch touch = eng_child_begin(core, index);
    struct eng_child *child = touch.child;
    /* A catch-up that something held back did not make it good: it may be asked for again. */
    if (LS_UNLIKELY(child->flags & ENG_CHILD_CATCH) && fact->reason != IPC_REASON_AT_TARGET)
        child->flags &= (uint16_t)~ENG_CHILD_CAUGHT;
    stop_waiting(core, index, is_leg(apply, at));
    if (child->queued == IPC_ACTION_PLACE) {
        /* What is in doubt waits to be sent again under its id: it stays in doubt. */
        if (!eng_state_in_doubt(child->state)) {
            child->reason = fact->reason;
            (void)eng_child_live(core, child, ENG_LIFE_SKIP);
        }
        eng_child_unqueue(core, index);
    } else if (child->queued == IPC_ACTION_MODIFY) {
        drop_change(core, index);
    }
    eng_child_end(core, &touch);
}

/* A cancel that makes room for newer terms: its rest is placed when it is seen ended. */
static void mark_replaced(struct eng_child *child, const struct ipc_fact_child *fact)
{
    if (fact->reason != IPC_REASON_SUPERSEDED)
        return;
    child->flags |= ENG_CHILD_REPLACE;
    child->waits = 1;
}

static uint32_t apply_request(struct eng_core *core, const struct batch_apply *apply,
    const struct ipc_fact_child *fact, uint32_t index, uint32_t at)
{
    struct eng_child_touch touch = eng_child_begin(core, index);
    struct eng_child *child = touch.child;
    uint32_t handle = ENG_NONE;
    stop_waiting(core, index, is_leg(apply, at));
    switch ((enum ipc_child_kind)fact->kind) {
    case IPC_CHILD_MODIFY:
    case IPC_CHILD_CANCEL:
        if (child->queued != 0)
            drop_change(core, index);
        if (fact->kind == IPC_CHILD_MODIFY)
            set_terms(apply, child, fact, at);
        else
            mark_replaced(child, fact);
        child->retries = 0;
        fly(core, apply, index,
            fact->kind == IPC_CHILD_MODIFY ? IPC_ACTION_MODIFY : IPC_ACTION_CANCEL);
        handle = index;
        break;
    case IPC_CHILD_MODIFY_QUEUED:
        set_terms(apply, child, fact, at);
        eng_child_queue(core, index, IPC_ACTION_MODIFY, 0);
        break;
    case IPC_CHILD_CANCEL_QUEUED:
        if (child->queued == IPC_ACTION_MODIFY)
            drop_change(core, index);
        mark_replaced(child, fact);
        child->retries = 0;
        eng_child_queue(core, index, IPC_ACTION_CANCEL, 0);
        break;
    case IPC_CHILD_WAIT:
        child->waits = 1;
        break;
    case IPC_CHILD_SKIP:
    case IPC_CHILD_PLACE:
    case IPC_CHILD_PLACE_QUEUED:
    case IPC_CHILD_FLATTEN:
        break;
    }
    eng_child_end(core, &touch);
    return handle;
}

/* --- the run of reductions ----------------------------------------------------------------------
 */

/* Its working entries are looked at again: they are decided as cancels of their own orders. */
static void flatten(struct eng_core *core, struct eng_position *position)
{
    position->flags |= ENG_POSITION_FLAT;
    for (uint32_t at = position->newest_child; at != ENG_NONE;
         at = core->children[at].position_older) {
        const struct eng_child *child = &core->children[at];
        if (!(child->flags & ENG_CHILD_EXIT) && !eng_state_ended(child->state))
            eng_settle_put(core, at);
    }
}

/* What leaves now goes before what rests. */
static bool leaves_now(const struct eng_order *order, bool by_fill)
{
    return by_fill || order->type == IPC_TYPE_MARKET || order->status == IPC_STATUS_FILLED;
}

/* Resting stops of the position are looked at again: they make room for a close that was clamped by
 * them. */
static void ask_stops(struct eng_core *core, const struct eng_position *position)
{
    for (uint32_t at = position->newest_child; at != ENG_NONE;
         at = core->children[at].position_older) {
        const struct eng_child *child = &core->children[at];
        if ((child->flags & ENG_CHILD_EXIT) && !eng_state_ended(child->state) &&
            (child->type == IPC_TYPE_SL || child->type == IPC_TYPE_SLM))
            eng_settle_put(core, at);
    }
}

/* A reason that leaves something to close when the way is free. */
static bool leaves_a_rest(uint8_t reason)
{
    return reason == IPC_REASON_CLOSE_CLAMPED || reason == IPC_REASON_EXIT_IN_FLIGHT ||
           reason == IPC_REASON_UNKNOWN_PENDING; /* of another boot: derived anew */
}

/* Reasons of a skip that say that the reduction counts, though nothing was sent for it. */
static bool counts(const struct ipc_fact_child *fact, uint8_t transition)
{
    uint8_t reason = fact->reason;
    return transition == IPC_TRANSITION_FOLLOW_UP || leaves_a_rest(reason) ||
           reason == IPC_REASON_SUB_LOT || reason == IPC_REASON_QTY_ZERO ||
           reason == IPC_REASON_KILL_SWITCH || reason == IPC_REASON_UNKNOWN_PENDING;
}

/* An exit was decided for this follower, or skipped: its position takes its base, and remembers
 * what it still wants. Before its children are made. */
static void note_exit(struct eng_core *core, const struct batch_apply *apply,
    const struct ipc_fact_child *fact, uint32_t at)
{
    const struct eng_order *order = &core->orders[apply->order];
    uint8_t transition = apply->batch->transition;
    bool flattens = fact->kind == IPC_CHILD_FLATTEN;
    bool settles = transition == IPC_TRANSITION_AMENDED || transition == IPC_TRANSITION_CANCELLED ||
                   transition == IPC_TRANSITION_REJECTED;
    if ((settles && !flattens) || (fact->kind == IPC_CHILD_SKIP && !counts(fact, transition)))
        return;
    uint32_t index = position_of(core, apply, fact, at);
    if (index != ENG_NONE && (order->flags & ENG_ORDER_OWN))
        core->positions[index].decision = (uint32_t)apply->frame->lsn;
    if (index == ENG_NONE || (order->run == 0 && !flattens))
        return;
    struct eng_position *position = &core->positions[index];
    bool by_fill = is_by_fill(apply, at);
    if (!eng_base_taken(position, order->run, by_fill)) {
        const struct ipc_fact_wide *wide = apply->wide[at];
        position->base_e8 = eng_base_now(position, wide == NULL ? apply->batch->side : wide->side);
        if (LS_UNLIKELY(position->flags & ENG_POSITION_PROTECTED))
            position->base_e8 += eng_bracket_claim_e8(core, index); /* they give way to it */
        position->closed_e8 = 0;
        position->base_run = order->run;
        position->base_no++;
        position->flags &= (uint8_t) ~(ENG_POSITION_BY_FILL | ENG_POSITION_WANTS);
        if (by_fill)
            position->flags |= ENG_POSITION_BY_FILL;
    }
    if (position->exit_order == ENG_NONE ||
        core->orders[apply->order].first_lsn > core->orders[position->exit_order].first_lsn)
        position->exit_order = apply->order;
    if (transition != IPC_TRANSITION_FOLLOW_UP) {
        position->decision = (uint32_t)apply->frame->lsn;
        position->flags &= (uint8_t)~ENG_POSITION_REFUSED;
    }
    position->flags &= (uint8_t)~ENG_POSITION_WANTS;
    if (leaves_a_rest(fact->reason))
        position->flags |= ENG_POSITION_WANTS;
    if (flattens && fact->qty_e8 == 0)
        position->flags |= ENG_POSITION_WANTS; /* whatever of it the close does not get */
    else if (flattens)
        flatten(core, position);
    if (fact->reason == IPC_REASON_CLOSE_CLAMPED && leaves_now(order, by_fill))
        ask_stops(core, position);
    /* More than it held: the rest opens on the other side once the close is acknowledged. */
    bool closes = is_place(fact->kind) || (flattens && !settles) ||
                  fact->reason == IPC_REASON_EXIT_IN_FLIGHT;
    if (closes && transition != IPC_TRANSITION_FOLLOW_UP &&
        (by_fill ? order->filled_qty_e8 > eng_order_reduces_e8(order, order->filled_qty_e8)
                 : order->qty_e8 > eng_order_reduces_e8(order, order->qty_e8)))
        position->flags |= ENG_POSITION_REVERSES;
}

/* The run of openings in which remainders are carried. It may begin with one that came to nothing,
 * so that there is no position yet; a table that is nearly full carries nothing. */
static void note_carry(struct eng_core *core, const struct batch_apply *apply,
    const struct ipc_fact_child *fact, uint32_t at)
{
    const struct ipc_fact_wide *wide = apply->wide[at];
    if (wide == NULL || wide->run_sum_e8 == 0 || (wide->flags & IPC_WIDE_EXIT))
        return;
    uint32_t master = core->orders[apply->order].master_position;
    uint32_t index = position_of(core, apply, fact, at);
    if (index == ENG_NONE) {
        if (core->fold.position_count + IPC_BATCH_CHILDREN_MAX >= core->limits.position_max)
            return;
        index = eng_position_take(core, fact->follower_no, fact->incarnation, apply->source,
            wide->instrument, wide->product, master);
        core->positions[index].slot = fact->slot;
    }
    struct eng_position *position = &core->positions[index];
    position->carry_sum_e8 = wide->run_sum_e8;
    position->carry_granted_e8 = wide->run_granted_e8;
    position->episode = core->master_positions[master].episode;
}

/* The master moved his stop or target, or it is known what he filled at: the legs follow. */
static void note_protection(struct eng_core *core, const struct batch_apply *apply,
    const struct ipc_fact_child *fact, uint32_t at)
{
    uint32_t index = position_of(core, apply, fact, at);
    if (index != ENG_NONE && (core->positions[index].flags & ENG_POSITION_PROTECTED))
        eng_bracket_look(core, index);
}

/* The position of a follow-up was looked at. */
static void note_follow_up(struct eng_core *core, const struct batch_apply *apply,
    const struct ipc_fact_child *fact, uint32_t at)
{
    uint32_t index = position_of(core, apply, fact, at);
    if (index == ENG_NONE)
        return;
    struct eng_position *position = &core->positions[index];
    eng_due_drop(core, index);
    if (!is_exit(apply, at))
        position->flags &= (uint8_t)~ENG_POSITION_REVERSES;
    else if (fact->kind == IPC_CHILD_SKIP && fact->reason != IPC_REASON_EXIT_IN_FLIGHT)
        position->flags |= ENG_POSITION_REFUSED; /* not again before something happens to it */
    if (LS_UNLIKELY(position->flags & ENG_POSITION_PROTECTED))
        eng_bracket_look(core, index); /* what is not being closed is protected again */
}

/* --- the frame ----------------------------------------------------------------------------------
 */

static bool is_visit(const struct ipc_fact_child *facts, uint32_t at)
{
    return at == 0 || facts[at].follower_no != facts[at - 1].follower_no;
}

/* Can this decision be applied to the state as it is? Nothing is changed before all of them can. */
static bool child_fact_fits(const struct eng_core *core, struct batch_apply *apply,
    const struct ipc_fact_child *facts, uint32_t at)
{
    const struct ipc_fact_child *fact = &facts[at];
    if (fact->follower_no == 0)
        return fact->kind == IPC_CHILD_SKIP && apply->batch->wave != 0 &&
               apply->batch->child_count == 1;
    if (fact->slot >= core->limits.follower_slot_max || fact->reason >= IPC_REASON_COUNT ||
        fact->follower_no >= IPC_TAG_FOLLOWERS || fact->action >= IPC_TAG_ACTIONS)
        return false;
    const struct eng_slot *slot = &core->slots[fact->slot];
    if (apply->wave != NULL && slot->follower_no == fact->follower_no && is_visit(facts, at) &&
        slot->last_wave >= apply->wave->number)
        return false; /* no follower is decided twice by one wave */
    uint32_t index = existing_child(core, apply->order, fact, &apply->cell[at]);
    const struct eng_child *child = index == ENG_NONE ? NULL : &core->children[index];
    apply->child[at] = index;
    switch ((enum ipc_child_kind)fact->kind) {
    case IPC_CHILD_SKIP:
    case IPC_CHILD_FLATTEN:
        return true;
    case IPC_CHILD_PLACE:
    case IPC_CHILD_PLACE_QUEUED:
        if (fact->qty_e8 <= 0 || fact->qty_e8 > ENG_QTY_MAX_E8)
            return false;
        if (child != NULL) /* never a second place: only new terms for one that has not left */
            return eng_state_unsent(child->state) && child->flight == 0;
        for (uint32_t before = at; before > 0 && !is_visit(facts, before); before--) {
            if (facts[before - 1].action == fact->action && is_place(facts[before - 1].kind))
                return false; /* one tag, two orders */
        }
        apply->new_children++;
        apply->new_exits += is_exit(apply, at);
        return apply->new_children <= eng_child_room(core) &&
               core->fold.position_count + apply->new_children <=
                   core->limits.position_max + apply->new_exits;
    case IPC_CHILD_MODIFY:
    case IPC_CHILD_MODIFY_QUEUED:
        return child != NULL && child->flight == 0 && fact->qty_e8 > 0 &&
               child->queued != IPC_ACTION_PLACE && child->queued != IPC_ACTION_CANCEL;
    case IPC_CHILD_CANCEL:
    case IPC_CHILD_CANCEL_QUEUED:
        return child != NULL && child->flight == 0 && child->queued != IPC_ACTION_PLACE;
    case IPC_CHILD_WAIT:
        return child != NULL;
    }
    return false;
}

/* Binds the wide records to their children. */
static bool wides_fit(struct batch_apply *apply)
{
    const struct ipc_fact_batch *batch = apply->batch;
    const struct ipc_fact_wide *wides = ipc_fact_batch_wides(batch);
    const struct ipc_fact_child *facts = ipc_fact_batch_children(batch);
    memset(apply->wide, 0, batch->child_count * sizeof apply->wide[0]);
    for (uint32_t i = 0; i < batch->wide_count; i++) {
        const struct ipc_fact_wide *wide = &wides[i];
        if (wide->at >= batch->child_count || (i > 0 && wide->at <= wides[i - 1].at) ||
            !ipc_side_valid(wide->side) || !ipc_type_valid(wide->type) ||
            !ipc_product_valid(wide->product) || !ipc_validity_valid(wide->validity) ||
            wide->step_count > IPC_WIDE_STEPS ||
            (wide->instrument == 0 && facts[wide->at].kind != IPC_CHILD_SKIP))
            return false; /* an instrument that is not known here is skipped */
        apply->wide[wide->at] = wide;
    }
    return true;
}

static void count_visit(struct eng_core *core, const struct batch_apply *apply,
    const struct ipc_fact_child *facts, uint32_t at)
{
    struct eng_core_counters *counters = &core->fold.counters;
    const struct ipc_fact_child *fact = &facts[at];
    uint32_t index = apply->child[at];
    bool visit = apply->wave != NULL && is_visit(facts, at);
    if (visit) {
        core->slots[fact->slot].last_wave = apply->wave->number;
        eng_wave_decided(core, apply->wave);
    }
    bool nothing = fact->kind == IPC_CHILD_SKIP || fact->kind == IPC_CHILD_FLATTEN;
    bool made = is_place(fact->kind) && index == ENG_NONE;
    if (nothing)
        counters->skips_by_reason[fact->reason]++;
    if (!visit) {
        counters->extra += made; /* placed counts every child; this one stands for no visit */
        return;
    }
    if (nothing) {
        counters->skipped++;
    } else if (index != ENG_NONE) {
        counters->acts++;
        counters->acts_open++;
        core->children[index].acts_open++;
    }
}

static void apply_child(struct eng_core *core, const struct batch_apply *apply,
    const struct ipc_fact_child *facts, uint32_t at)
{
    const struct ipc_fact_child *fact = &facts[at];
    uint32_t index = apply->child[at];
    own_slot(core, fact);
    count_visit(core, apply, facts, at);
    if (LS_UNLIKELY(apply->batch->transition == IPC_TRANSITION_FOLLOW_UP))
        note_follow_up(core, apply, fact, at);
    if (LS_UNLIKELY(is_exit(apply, at)) && !is_leg(apply, at))
        note_exit(core, apply, fact, at);
    core->applied[at] = ENG_NONE;
    if (fact->kind == IPC_CHILD_SKIP)
        apply_skip(core, apply, fact, index, at);
    else if (is_place(fact->kind) && index == ENG_NONE)
        core->applied[at] = apply_new_place(core, apply, fact, at);
    else if (is_place(fact->kind))
        core->applied[at] = apply_place_again(core, apply, fact, index, at);
    else if (fact->kind != IPC_CHILD_FLATTEN)
        core->applied[at] = apply_request(core, apply, fact, index, at);
    if (LS_UNLIKELY(fact->reason == IPC_REASON_DUPLICATE_SUSPECT))
        core->controls->fold.suspects++;
    if (LS_UNLIKELY(apply->wide[at] != NULL))
        note_carry(core, apply, fact, at);
    if (LS_UNLIKELY(apply->moves_legs))
        note_protection(core, apply, fact, at);
    if (LS_UNLIKELY(is_exit(apply, at))) {
        uint32_t position = position_of(core, apply, fact, at);
        if (position != ENG_NONE)
            eng_position_wants(core, position);
    }
}

enum ipc_rc eng_apply_batch(struct eng_core *core, const struct eng_frame *frame)
{
    const struct ipc_fact_batch *batch = frame->payload;
    const struct ipc_fact_child *facts = ipc_fact_batch_children(batch);
    if (frame->payload_bytes < sizeof *batch || batch->child_count == 0 ||
        batch->child_count > IPC_BATCH_CHILDREN_MAX || batch->wide_count > batch->child_count ||
        frame->payload_bytes != ipc_fact_batch_bytes(batch) || !ipc_side_valid(batch->side) ||
        !ipc_product_valid(batch->product) || !ipc_type_valid(batch->type) ||
        !ipc_validity_valid(batch->validity))
        return IPC_BAD_INPUT;
    struct batch_apply apply;
    apply.frame = frame;
    apply.batch = batch;
    apply.order = eng_order_find(core, batch->order_key);
    apply.wave = NULL;
    apply.new_children = apply.new_exits = 0;
    if (apply.order == ENG_NONE || !wides_fit(&apply))
        return IPC_BAD_INPUT;
    if (batch->wave != 0) {
        apply.wave = eng_wave_by_number(core, batch->wave);
        if (apply.wave == NULL || apply.wave->order != apply.order)
            return IPC_BAD_INPUT;
    }
    for (uint32_t i = 0; i < batch->child_count; i++) {
        if (!child_fact_fits(core, &apply, facts, i))
            return IPC_BAD_INPUT;
    }
    if (facts[0].follower_no == 0) { /* the end marker: one element, and nothing leaves */
        core->applied_count = 1;
        core->applied[0] = ENG_NONE;
        eng_wave_close(core, apply.wave);
        return IPC_OK;
    }
    const struct eng_order *order = &core->orders[apply.order];
    apply.instrument = order->instrument;
    apply.master = order->master_position;
    apply.source = core->master_positions[apply.master].instrument;
    apply.moves_legs = apply.wave != NULL && (order->stop_e8 | order->target_e8) != 0 &&
                       (batch->transition == IPC_TRANSITION_AMENDED ||
                           batch->transition == IPC_TRANSITION_FILLED_MORE);
    apply.sending = eng_sending_make(
        core, core->orders[apply.order].instrument, frame->mono_ns, frame->wall_ns);
    core->applied_count = batch->child_count;
    for (uint32_t i = 0; i < batch->child_count; i++)
        apply_child(core, &apply, facts, i);
    if (apply.wave != NULL)
        eng_wave_batch_done(core, apply.wave);
    eng_throttle_frame(core, frame->mono_ns, frame->wall_ns);
    if (apply.new_children != apply.new_exits)
        eng_throttle_made(
            core, apply.order, apply.new_children - apply.new_exits, frame->mono_ns);
    return IPC_OK;
}

/* --- RELEASE
 * ---------------------------------------------------------------------------------------- */

static uint32_t apply_one_release(struct eng_core *core, const struct eng_frame *frame,
    const struct ipc_fact_release *fact, uint32_t index)
{
    struct eng_child_touch touch = eng_child_begin(core, index);
    struct eng_child *child = touch.child;
    enum ipc_action action = (enum ipc_action)child->queued;
    uint32_t handle = ENG_NONE;
    if (fact->kind == IPC_CHILD_SKIP) {
        core->fold.counters.skips_by_reason[fact->reason]++;
        if (action == IPC_ACTION_PLACE && eng_state_unsent(child->state)) {
            child->reason = fact->reason;
            (void)eng_child_live(core, child, ENG_LIFE_SKIP);
        }
        drop_change(core, index);
    } else {
        eng_child_unqueue(core, index);
        if (action == IPC_ACTION_PLACE) {
            child->qty_e8 = fact->qty_e8;
            child->price_e8 = fact->price_e8;
            if (fact->reason != IPC_REASON_NONE)
                child->reason = fact->reason;
            if ((child->flags & ENG_CHILD_EXIT) && fact->reason == IPC_REASON_CLOSE_CLAMPED)
                core->positions[child->position].flags |= ENG_POSITION_WANTS;
            (void)eng_child_live(core, child, ENG_LIFE_RELEASE);
        }
        struct eng_sending sending =
            eng_sending_make(core, child->instrument, frame->mono_ns, frame->wall_ns);
        eng_child_fly(core, index, action, &sending);
        handle = index;
    }
    eng_child_end(core, &touch);
    return handle;
}

enum ipc_rc eng_apply_release(struct eng_core *core, const struct eng_frame *frame)
{
    const struct ipc_fact_release *facts = frame->payload;
    if (frame->count == 0 || frame->count > IPC_BATCH_CHILDREN_MAX ||
        frame->payload_bytes != frame->count * sizeof *facts)
        return IPC_BAD_INPUT;
    uint32_t children[IPC_BATCH_CHILDREN_MAX];
    for (uint32_t i = 0; i < frame->count; i++) {
        children[i] = eng_child_by_tag_text(core, facts[i].tag);
        if (children[i] == ENG_NONE || facts[i].reason >= IPC_REASON_COUNT ||
            facts[i].qty_e8 <= 0 || facts[i].qty_e8 > ENG_QTY_MAX_E8)
            return IPC_BAD_INPUT;
        const struct eng_child *child = &core->children[children[i]];
        bool kind_fits =
            facts[i].kind == IPC_CHILD_SKIP ||
            (facts[i].kind == IPC_CHILD_PLACE && child->queued == IPC_ACTION_PLACE) ||
            (facts[i].kind == IPC_CHILD_MODIFY && child->queued == IPC_ACTION_MODIFY) ||
            (facts[i].kind == IPC_CHILD_CANCEL && child->queued == IPC_ACTION_CANCEL);
        if (child->queued == 0 || !kind_fits)
            return IPC_BAD_INPUT;
        for (uint32_t j = 0; j < i; j++) {
            if (children[j] == children[i])
                return IPC_BAD_INPUT;
        }
    }
    core->applied_count = frame->count;
    for (uint32_t i = 0; i < frame->count; i++)
        core->applied[i] = apply_one_release(core, frame, &facts[i], children[i]);
    eng_throttle_frame(core, frame->mono_ns, frame->wall_ns);
    return IPC_OK;
}
