#include "engine/core/step.h"

#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/fanout.h"
#include "engine/core/join.h"
#include "engine/core/limits_private.h"
#include "engine/core/money.h"
#include "engine/core/pace.h"
#include "engine/core/positions.h"
#include "engine/core/recover.h"
#include "engine/core/sighting.h"

/* Back-off of what is queued again: doubled each time up to half a minute. */
#define BACKOFF_SEND_NS    (20 * LS_NS_PER_MS)   /* no connection took it */
#define BACKOFF_LIMITED_NS (1100 * LS_NS_PER_MS) /* the broker's second is over by then */
#define BACKOFF_CANCEL_NS  (1000 * LS_NS_PER_MS) /* a cancel whose outcome is unknown */
#define BACKOFF_MAX_NS     (30 * LS_NS_PER_S)

static int64_t backed_off(struct eng_child *child, int64_t first_ns, int64_t mono_ns)
{
    int64_t wait = first_ns << (child->retries < 12 ? child->retries : 12);
    if (child->retries < UINT8_MAX)
        child->retries++;
    return mono_ns + ls_min_i64(wait, BACKOFF_MAX_NS);
}

/* --- EVENT
 * ------------------------------------------------------------------------------------------ */

static int64_t signed_fill(const struct eng_order *order)
{
    if (order->instrument == 0)
        return 0; /* nobody knows yet what it is a position of */
    return order->side == IPC_SIDE_BUY ? order->filled_qty_e8 : -order->filled_qty_e8;
}

static enum ipc_rc apply_event(struct eng_core *core, const struct eng_frame *frame)
{
    const struct ipc_fact_event *fact = frame->payload;
    const struct ipc_event *event = &fact->event;
    if (event->account == 0 || event->account > core->limits.account_max ||
        !ipc_transition_valid(fact->transition) || !ipc_side_valid(event->side) ||
        !ipc_product_valid(event->product) || event->order_digits >= IPC_TAG_ORDERS)
        return IPC_BAD_INPUT;
    uint32_t index = eng_order_find(core, event->order_key);
    bool is_new = index == ENG_NONE;
    bool needs_position =
        eng_master_find(core, event->account, event->instrument, event->product) == ENG_NONE;
    if ((is_new && core->fold.order_count >= core->limits.order_max) ||
        (needs_position && core->fold.master_position_count >= core->limits.master_position_max))
        return IPC_BAD_INPUT;
    if (fact->wave != 0 && (fact->wave != core->fold.wave_number + 1 || fact->follower_count == 0 ||
                               core->fold.wave_count >= core->limits.wave_max))
        return IPC_BAD_INPUT;

    int64_t before = 0;
    struct eng_order *order;
    if (is_new) {
        index = core->fold.order_count++;
        order = &core->orders[index];
        eng_join_first(event, core->fold.era, order);
        ipc_tag_order_text(order->order_digits, order->digits);
        order->position_before_e8 = fact->master_position_e8;
        if (fact->reduces)
            order->flags |= ENG_ORDER_EXIT;
        if (fact->transition == IPC_TRANSITION_HISTORY)
            order->flags |= ENG_ORDER_HISTORY;
        else if (fact->transition != IPC_TRANSITION_NEW)
            order->flags |= ENG_ORDER_TOMBSTONE;
        if (eng_order_by_digits(core, order->order_digits) != ENG_NONE)
            order->flags |= ENG_ORDER_COLLIDES;
        eng_order_index(core, index);
    } else {
        order = &core->orders[index];
        before = signed_fill(order);
        (void)eng_join(order, event, core->fold.era);
    }
    order->event_lsn = frame->lsn;
    int64_t more = signed_fill(order) - before;
    uint32_t position = eng_master_take(core, order->account, order->instrument, order->product);
    core->master_positions[position].held_e8 =
        eng_add_saturated(core->master_positions[position].held_e8, more);
    core->fold.counters.events++;
    if (fact->wave != 0)
        eng_wave_start(core, fact->wave, index, order->account,
            (enum ipc_transition)fact->transition, (order->flags & ENG_ORDER_EXIT) != 0,
            fact->follower_count);
    return IPC_OK;
}

/* --- UPDATE
 * ----------------------------------------------------------------------------------------- */

static void know_terms(struct eng_child *child)
{
    child->known_qty_e8 = child->qty_e8;
    child->known_price_e8 = child->price_e8;
    child->known_trigger_e8 = child->trigger_e8;
}

static enum ipc_rc apply_update(struct eng_core *core, const struct eng_frame *frame)
{
    const struct ipc_event *event = &((const struct ipc_fact_event *)frame->payload)->event;
    uint32_t index = eng_child_by_tag_text(core, event->client_tag);
    if (index == ENG_NONE || !ipc_status_valid(event->status) || event->filled_qty_e8 < 0)
        return IPC_BAD_INPUT;
    struct eng_child_touch touch = eng_child_begin(core, index);
    struct eng_child *child = touch.child;
    eng_child_learn_id(core, index, event->broker_order_id);
    eng_child_fill(core, child, event->filled_qty_e8, event->average_price_e8);
    (void)eng_child_live(core, child, eng_sighting_event(event));
    if (child->state != touch.state)
        eng_money_status(core, index, (enum eng_state)child->state, frame->mono_ns);
    if (eng_sighting_settles_doubt(child, event)) {
        if (eng_sighting_shows_change(child, event))
            child->asked_qty_e8 = 0; /* else its answer may still come, later than anyone waits */
        child->flags &= (uint8_t)~ENG_CHILD_DOUBT;
        child->qty_e8 = event->qty_e8;
        child->price_e8 = event->price_e8;
        child->trigger_e8 = event->trigger_e8;
        know_terms(child);
    } else if (child->known_qty_e8 == 0) {
        know_terms(child); /* seen before its reply: it stands there with the terms of its place */
    }
    eng_child_end(core, &touch);
    core->fold.counters.updates++;
    return IPC_OK;
}

/* --- BATCH
 * ------------------------------------------------------------------------------------------ */

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

static uint32_t existing_child(
    const struct eng_core *core, uint32_t order, const struct ipc_fact_child *fact, uint32_t *cell)
{
    uint32_t child = eng_child_find_at(core, order, fact->follower_no, cell);
    while (child != ENG_NONE && core->children[child].action != fact->action)
        child = core->children[child].older;
    return child;
}

static void set_terms(
    struct eng_child *child, const struct ipc_fact_batch *batch, const struct ipc_fact_child *fact)
{
    child->qty_e8 = fact->qty_e8;
    child->price_e8 = batch->price_e8;
    child->trigger_e8 = batch->trigger_e8;
    child->type = batch->type;
    child->validity = batch->validity;
    child->reason = fact->reason;
}

/* The terms that the broker has stand. Only behind a hole in the journal are they not known. */
static void revert_terms(struct eng_child *child)
{
    if (LS_UNLIKELY(child->known_qty_e8 == 0))
        return;
    child->qty_e8 = child->known_qty_e8;
    child->price_e8 = child->known_price_e8;
    child->trigger_e8 = child->known_trigger_e8;
}

/* A queued change that will not be sent. */
static void drop_change(struct eng_core *core, uint32_t index)
{
    struct eng_child *child = &core->children[index];
    if (child->queued == IPC_ACTION_MODIFY)
        revert_terms(child);
    eng_child_unqueue(core, index);
}

static void stop_waiting(struct eng_core *core, uint32_t index)
{
    core->children[index].waits = 0;
    eng_settle_drop(core, index);
}

/* An exit that finds nothing copied yet, while its own entry is still on the way, waits for it. */
static bool waits_for_entry(const struct eng_core *core, const struct eng_child *child)
{
    const struct eng_position *position = &core->positions[child->position];
    return (child->flags & ENG_CHILD_EXIT) && eng_held_e8(position, child->side) == 0 &&
           eng_coming_e8(position, child->side) > 0;
}

struct batch_apply {
    const struct eng_frame *frame;
    const struct ipc_fact_batch *batch;
    uint32_t order;
    struct eng_wave *wave; /* NULL = settling */
    struct eng_sending sending;
    uint32_t new_children;
    /* by element: the child that it is about, and where a first one of its follower would go */
    uint32_t child[IPC_BATCH_CHILDREN_MAX];
    uint32_t cell[IPC_BATCH_CHILDREN_MAX];
};

static uint32_t apply_new_place(struct eng_core *core, const struct batch_apply *apply,
    const struct ipc_fact_child *fact, uint32_t at)
{
    const struct ipc_fact_batch *batch = apply->batch;
    bool now = fact->kind == IPC_CHILD_PLACE;
    uint32_t index = eng_child_make(core, apply->order, fact, apply->cell[at]);
    struct eng_child *child = &core->children[index];
    child->side = batch->side;
    child->product = batch->product;
    child->wave_place = batch->first_place + at;
    if (batch->is_exit)
        child->flags |= ENG_CHILD_EXIT;
    set_terms(child, batch, fact);
    if (LS_LIKELY(now)) {
        (void)eng_child_live(core, child, ENG_LIFE_SEND);
        eng_child_fly(core, index, IPC_ACTION_PLACE, &apply->sending);
    } else {
        if (waits_for_entry(core, child))
            child->flags |= ENG_CHILD_BLOCKED;
        (void)eng_child_live(core, child, ENG_LIFE_QUEUE);
        eng_child_queue(core, index, IPC_ACTION_PLACE, 0);
    }
    eng_child_born(core, child);
    if (!batch->is_exit)
        eng_money_opening(core, index, batch->price_sample_e8);
    return now ? index : ENG_NONE;
}

/* New terms for a place that has not left. */
static uint32_t apply_place_again(struct eng_core *core, const struct batch_apply *apply,
    const struct ipc_fact_child *fact, uint32_t index)
{
    bool now = fact->kind == IPC_CHILD_PLACE;
    struct eng_child_touch touch = eng_child_begin(core, index);
    struct eng_child *child = touch.child;
    stop_waiting(core, index);
    set_terms(child, apply->batch, fact);
    if (now) {
        eng_child_unqueue(core, index);
        (void)eng_child_live(core, child, ENG_LIFE_RELEASE);
        eng_child_fly(core, index, IPC_ACTION_PLACE, &apply->sending);
    } else {
        (void)eng_child_live(core, child, ENG_LIFE_QUEUE);
        eng_child_queue(core, index, IPC_ACTION_PLACE, child->not_before_mono_ns);
    }
    eng_child_end(core, &touch);
    return now ? index : ENG_NONE;
}

static void apply_skip(struct eng_core *core, const struct ipc_fact_child *fact, uint32_t index)
{
    if (index == ENG_NONE)
        return;
    struct eng_child_touch touch = eng_child_begin(core, index);
    struct eng_child *child = touch.child;
    stop_waiting(core, index);
    if (child->queued == IPC_ACTION_PLACE) {
        child->reason = fact->reason;
        (void)eng_child_live(core, child, ENG_LIFE_SKIP);
        eng_child_unqueue(core, index);
    } else if (child->queued == IPC_ACTION_MODIFY) {
        drop_change(core, index);
    }
    eng_child_end(core, &touch);
}

static uint32_t apply_request(struct eng_core *core, const struct batch_apply *apply,
    const struct ipc_fact_child *fact, uint32_t index)
{
    struct eng_child_touch touch = eng_child_begin(core, index);
    struct eng_child *child = touch.child;
    uint32_t handle = ENG_NONE;
    stop_waiting(core, index);
    switch ((enum ipc_child_kind)fact->kind) {
    case IPC_CHILD_MODIFY:
    case IPC_CHILD_CANCEL:
        if (child->queued != 0)
            drop_change(core, index);
        if (fact->kind == IPC_CHILD_MODIFY)
            set_terms(child, apply->batch, fact);
        child->retries = 0;
        eng_child_fly(core, index,
            fact->kind == IPC_CHILD_MODIFY ? IPC_ACTION_MODIFY : IPC_ACTION_CANCEL,
            &apply->sending);
        handle = index;
        break;
    case IPC_CHILD_MODIFY_QUEUED:
        set_terms(child, apply->batch, fact);
        eng_child_queue(core, index, IPC_ACTION_MODIFY, 0);
        break;
    case IPC_CHILD_CANCEL_QUEUED:
        if (child->queued == IPC_ACTION_MODIFY)
            drop_change(core, index);
        child->retries = 0;
        eng_child_queue(core, index, IPC_ACTION_CANCEL, 0);
        break;
    case IPC_CHILD_WAIT:
        child->waits = 1;
        break;
    case IPC_CHILD_SKIP:
    case IPC_CHILD_PLACE:
    case IPC_CHILD_PLACE_QUEUED:
        break;
    }
    eng_child_end(core, &touch);
    return handle;
}

/* Can this decision be applied to the state as it is? Nothing is changed before all of them can. */
static bool child_fact_fits(const struct eng_core *core, struct batch_apply *apply,
    const struct ipc_fact_child *fact, uint32_t at)
{
    if (fact->follower_no == 0)
        return fact->kind == IPC_CHILD_SKIP && apply->batch->wave != 0 &&
               apply->batch->child_count == 1;
    if (fact->slot >= core->limits.follower_slot_max || fact->reason >= IPC_REASON_COUNT ||
        fact->follower_no >= IPC_TAG_FOLLOWERS || fact->action >= IPC_TAG_ACTIONS)
        return false;
    const struct eng_slot *slot = &core->slots[fact->slot];
    if (apply->wave != NULL && slot->follower_no == fact->follower_no &&
        slot->last_wave >= apply->wave->number)
        return false; /* no follower is decided twice by one wave */
    uint32_t index = existing_child(core, apply->order, fact, &apply->cell[at]);
    const struct eng_child *child = index == ENG_NONE ? NULL : &core->children[index];
    apply->child[at] = index;
    switch ((enum ipc_child_kind)fact->kind) {
    case IPC_CHILD_SKIP:
        return true;
    case IPC_CHILD_PLACE:
    case IPC_CHILD_PLACE_QUEUED:
        if (fact->qty_e8 <= 0 || fact->qty_e8 > ENG_QTY_MAX_E8)
            return false;
        if (child != NULL) /* never a second place: only new terms for one that has not left */
            return eng_state_unsent(child->state) && child->flight == 0;
        apply->new_children++;
        return core->fold.child_count + apply->new_children <= core->limits.child_max &&
               core->fold.position_count + apply->new_children <=
                   core->limits.position_max + (apply->batch->is_exit ? apply->new_children : 0);
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

static void apply_child(struct eng_core *core, const struct batch_apply *apply,
    const struct ipc_fact_child *fact, uint32_t at)
{
    struct eng_core_counters *counters = &core->fold.counters;
    uint32_t index = apply->child[at];
    bool is_place = fact->kind == IPC_CHILD_PLACE || fact->kind == IPC_CHILD_PLACE_QUEUED;
    own_slot(core, fact);
    if (apply->wave != NULL) {
        core->slots[fact->slot].last_wave = apply->wave->number;
        eng_wave_decided(core, apply->wave);
        if (fact->kind == IPC_CHILD_SKIP) {
            counters->skipped++;
        } else if (index != ENG_NONE) {
            counters->acts++;
            counters->acts_open++;
            core->children[index].acts_open++;
        }
    }
    core->applied[at] = ENG_NONE;
    if (fact->kind == IPC_CHILD_SKIP) {
        counters->skips_by_reason[fact->reason]++;
        apply_skip(core, fact, index);
    } else if (is_place && index == ENG_NONE) {
        core->applied[at] = apply_new_place(core, apply, fact, at);
    } else if (is_place) {
        core->applied[at] = apply_place_again(core, apply, fact, index);
    } else {
        core->applied[at] = apply_request(core, apply, fact, index);
    }
}

static enum ipc_rc apply_batch(struct eng_core *core, const struct eng_frame *frame)
{
    const struct ipc_fact_batch *batch = frame->payload;
    const struct ipc_fact_child *facts = (const struct ipc_fact_child *)(batch + 1);
    if (frame->payload_bytes < sizeof *batch || batch->child_count == 0 ||
        batch->child_count > IPC_BATCH_CHILDREN_MAX ||
        frame->payload_bytes != sizeof *batch + batch->child_count * sizeof *facts ||
        !ipc_side_valid(batch->side) || !ipc_product_valid(batch->product) ||
        !ipc_type_valid(batch->type) || !ipc_validity_valid(batch->validity))
        return IPC_BAD_INPUT;
    struct batch_apply apply;
    apply.frame = frame;
    apply.batch = batch;
    apply.order = eng_order_find(core, batch->order_key);
    apply.wave = NULL;
    apply.new_children = 0;
    if (apply.order == ENG_NONE)
        return IPC_BAD_INPUT;
    if (batch->wave != 0) {
        apply.wave = eng_wave_by_number(core, batch->wave);
        if (apply.wave == NULL || apply.wave->order != apply.order)
            return IPC_BAD_INPUT;
    }
    for (uint32_t i = 0; i < batch->child_count; i++) {
        if (!child_fact_fits(core, &apply, &facts[i], i))
            return IPC_BAD_INPUT;
    }
    if (facts[0].follower_no == 0) { /* the end marker: one element, and nothing leaves */
        core->applied_count = 1;
        core->applied[0] = ENG_NONE;
        eng_wave_close(core, apply.wave);
        return IPC_OK;
    }
    apply.sending = eng_sending_make(core, apply.order, frame->mono_ns, frame->wall_ns);
    core->applied_count = batch->child_count;
    for (uint32_t i = 0; i < batch->child_count; i++)
        apply_child(core, &apply, &facts[i], i);
    if (apply.wave != NULL)
        eng_wave_batch_done(core, apply.wave);
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
        if (action == IPC_ACTION_PLACE) {
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
            (void)eng_child_live(core, child, ENG_LIFE_RELEASE);
        }
        struct eng_sending sending =
            eng_sending_make(core, child->order, frame->mono_ns, frame->wall_ns);
        eng_child_fly(core, index, action, &sending);
        handle = index;
    }
    eng_child_end(core, &touch);
    return handle;
}

static enum ipc_rc apply_release(struct eng_core *core, const struct eng_frame *frame)
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
    return IPC_OK;
}

/* --- REPLY
 * ------------------------------------------------------------------------------------------ */

static void pause_account(struct eng_core *core, uint32_t index)
{
    uint32_t number = eng_child_account(core, index);
    if (number == 0 || number > core->limits.account_max)
        return;
    struct eng_account *account = &core->accounts[number];
    /* The token was renewed while the request was under way: the new one is not refused. */
    uint64_t sent = core->links[index].sent_token_version;
    if (sent != 0 && sent < account->token_version)
        return;
    account->flags |= ENG_ACCOUNT_AUTH_PAUSE;
    account->refused_token_version = account->token_version;
}

/* A place that provably did not happen waits for its second attempt; whether there is one is
 * decided when its turn comes. */
static void place_again(
    struct eng_core *core, uint32_t index, const struct ipc_outcome *outcome, int64_t mono_ns)
{
    struct eng_child *child = &core->children[index];
    int64_t first = BACKOFF_SEND_NS;
    child->reason = IPC_REASON_NO_CONNECTION;
    if (outcome->outcome == IPC_OUTCOME_AUTH)
        child->reason = IPC_REASON_SESSION_EXPIRED;
    if (outcome->outcome == IPC_OUTCOME_LIMITED) {
        child->reason = IPC_REASON_RATE_BUDGET;
        first = BACKOFF_LIMITED_NS;
    }
    /* No byte left, so it was no attempt (ORDER-SAFETY 3.3, first row). */
    if (outcome->outcome == IPC_OUTCOME_NOT_SENT && outcome->evidence == IPC_EVIDENCE_NO_BYTES &&
        child->places > 0)
        child->places--;
    eng_child_queue(core, index, IPC_ACTION_PLACE, backed_off(child, first, mono_ns));
}

static enum eng_life place_event(uint8_t outcome)
{
    switch ((enum ipc_outcome_class)outcome) {
    case IPC_OUTCOME_ACKED:
        return ENG_LIFE_ACKED;
    case IPC_OUTCOME_REJECTED:
        return ENG_LIFE_REJECTED;
    case IPC_OUTCOME_AUTH:
    case IPC_OUTCOME_LIMITED:
    case IPC_OUTCOME_NOT_SENT:
        return ENG_LIFE_NOT_SENT;
    case IPC_OUTCOME_UNKNOWN:
        return ENG_LIFE_LOST;
    }
    return ENG_LIFE_LOST;
}

static void place_reply(
    struct eng_core *core, uint32_t index, const struct ipc_outcome *outcome, int64_t mono_ns)
{
    struct eng_child *child = &core->children[index];
    if (outcome->outcome == IPC_OUTCOME_ACKED) {
        eng_child_learn_id(core, index, outcome->broker_order_id);
        if (child->known_qty_e8 == 0)
            know_terms(child);
    }
    (void)eng_child_live(core, child, place_event(outcome->outcome));
    if (child->state == ENG_STATE_REJECTED)
        child->reason = IPC_REASON_BROKER_REJECT;
    if (child->state == ENG_STATE_NOT_SENT && child->queued == 0)
        place_again(core, index, outcome, mono_ns);
}

static void modify_reply(
    struct eng_core *core, uint32_t index, const struct ipc_outcome *outcome, int64_t mono_ns)
{
    struct eng_child *child = &core->children[index];
    switch ((enum ipc_outcome_class)outcome->outcome) {
    case IPC_OUTCOME_ACKED:
        know_terms(child);
        child->retries = 0;
        return;
    case IPC_OUTCOME_REJECTED:
        revert_terms(child);
        return;
    case IPC_OUTCOME_AUTH:
    case IPC_OUTCOME_LIMITED:
    case IPC_OUTCOME_NOT_SENT:
        if (child->waits || eng_state_ended(child->state)) {
            revert_terms(child); /* newer terms are decided next */
            return;
        }
        eng_child_queue(core, index, IPC_ACTION_MODIFY,
            backed_off(child,
                outcome->outcome == IPC_OUTCOME_LIMITED ? BACKOFF_LIMITED_NS : BACKOFF_SEND_NS,
                mono_ns));
        return;
    case IPC_OUTCOME_UNKNOWN:
        child->asked_qty_e8 = ls_max_i64(child->asked_qty_e8, child->qty_e8);
        eng_doubt_start(child, mono_ns); /* until the order is read */
        return;
    }
}

/* The answer to a modify that was given up: the newest request's ends the doubt. Where a reading or
 * a newer request came between, it tells only that the terms in hand may not be the broker's. */
static void late_modify_reply(
    struct eng_core *core, uint32_t index, const struct ipc_fact_reply *fact, int64_t mono_ns)
{
    struct eng_child *child = &core->children[index];
    if (fact->outcome.outcome == IPC_OUTCOME_UNKNOWN || eng_state_ended(child->state) ||
        child->asked_qty_e8 == 0)
        return;
    bool newest = fact->request_no == child->request_no && child->flight == 0 &&
                  (child->flags & ENG_CHILD_DOUBT) && child->qty_e8 == child->asked_qty_e8;
    if (!newest) {
        if (fact->outcome.outcome == IPC_OUTCOME_ACKED)
            eng_doubt_start(child, mono_ns);
        return;
    }
    child->flags &= (uint8_t)~ENG_CHILD_DOUBT;
    child->asked_qty_e8 = 0;
    if (child->queued == 0 || fact->outcome.outcome == IPC_OUTCOME_ACKED)
        modify_reply(core, index, &fact->outcome, mono_ns);
    else
        revert_terms(child); /* its cancel waits: it is not changed again */
}

static void cancel_reply(
    struct eng_core *core, uint32_t index, const struct ipc_outcome *outcome, int64_t mono_ns)
{
    struct eng_child *child = &core->children[index];
    if (outcome->outcome == IPC_OUTCOME_ACKED || outcome->outcome == IPC_OUTCOME_REJECTED ||
        eng_state_ended(child->state))
        return; /* its end, or that it could not be cancelled, is seen in the feed */
    int64_t first = BACKOFF_CANCEL_NS;
    if (outcome->outcome == IPC_OUTCOME_LIMITED)
        first = BACKOFF_LIMITED_NS;
    if (outcome->outcome == IPC_OUTCOME_NOT_SENT)
        first = BACKOFF_SEND_NS;
    /* Cancelling is idempotent by the broker's order id: again, until the order is seen ended. */
    eng_child_queue(core, index, IPC_ACTION_CANCEL, backed_off(child, first, mono_ns));
}

/* The answer to a request that was journaled in a hole (recovery after a power cut): the request
 * did leave, and what the hole had to say of earlier ones is unknown. */
static void request_was_lost(
    struct eng_core *core, uint32_t index, const struct ipc_fact_reply *fact)
{
    struct eng_child *child = &core->children[index];
    eng_child_unqueue(core, index);
    if (eng_state_unsent(child->state)) {
        (void)eng_child_live(core, child, ENG_LIFE_RELEASE);
        if (child->places < ENG_PLACES_MAX)
            child->places++;
    }
    if (fact->action != IPC_ACTION_PLACE && child->state == ENG_STATE_SENDING)
        (void)eng_child_live(core, child, ENG_LIFE_LOST);
    child->request_no = fact->request_no;
    child->flight = fact->action;
}

static void apply_one_reply(struct eng_core *core, const struct eng_frame *frame,
    const struct ipc_fact_reply *fact, uint32_t index)
{
    struct eng_child_touch touch = eng_child_begin(core, index);
    struct eng_child *child = touch.child;
    const struct ipc_outcome *outcome = &fact->outcome;
    if (LS_UNLIKELY(fact->request_no > child->request_no))
        request_was_lost(core, index, fact);
    bool current = child->request_no == fact->request_no && child->flight == fact->action;
    core->fold.counters.replies_by_outcome[outcome->outcome]++;
    child->evidence = outcome->evidence;
    if (current)
        child->flight = 0;
    else
        core->fold.counters.late_replies++;
    if (outcome->outcome == IPC_OUTCOME_AUTH)
        pause_account(core, index);
    eng_money_reply(core, index, (enum ipc_action)fact->action,
        (enum ipc_outcome_class)outcome->outcome, frame->mono_ns);
    if (fact->action == IPC_ACTION_PLACE)
        place_reply(core, index, outcome, frame->mono_ns); /* a late one always counts */
    else if (current && fact->action == IPC_ACTION_MODIFY)
        modify_reply(core, index, outcome, frame->mono_ns);
    else if (fact->action == IPC_ACTION_MODIFY)
        late_modify_reply(core, index, fact, frame->mono_ns);
    else if (current && fact->action == IPC_ACTION_CANCEL)
        cancel_reply(core, index, outcome, frame->mono_ns);
    eng_child_end(core, &touch);
}

static enum ipc_rc apply_reply(struct eng_core *core, const struct eng_frame *frame)
{
    const struct ipc_fact_reply *facts = frame->payload;
    if (frame->count == 0 || frame->payload_bytes != frame->count * sizeof *facts)
        return IPC_BAD_INPUT;
    for (uint32_t i = 0; i < frame->count; i++) {
        if (eng_child_by_tag_text(core, facts[i].tag) == ENG_NONE ||
            !ipc_outcome_class_valid(facts[i].outcome.outcome) ||
            !ipc_evidence_valid(facts[i].outcome.evidence) || !ipc_action_valid(facts[i].action))
            return IPC_BAD_INPUT;
    }
    for (uint32_t i = 0; i < frame->count; i++)
        apply_one_reply(core, frame, &facts[i], eng_child_by_tag_text(core, facts[i].tag));
    return IPC_OK;
}

/* --- the rest
 * ----------------------------------------------------------------------------------------- */

static enum ipc_rc apply_book(struct eng_core *core, const struct eng_frame *frame)
{
    const struct ipc_fact_book *fact = frame->payload;
    if (fact->account == 0 || fact->account > core->limits.account_max || fact->phase < 1 ||
        fact->phase > 2)
        return IPC_BAD_INPUT;
    struct eng_account_fold *account = &core->account_folds[fact->account];
    account->seen = 1;
    account->book = fact->phase == 2 ? 0 : (fact->is_history ? 1 : 2);
    return IPC_OK;
}

static enum ipc_rc apply_adopt(struct eng_core *core, const struct eng_frame *frame)
{
    const struct ipc_fact_adopt *fact = frame->payload;
    core->fold.generation = fact->generation;
    eng_waves_open_end(core);
    return IPC_OK;
}

/* Bytes of one element of each fact type; 0 = of variable length, checked by its own function. */
static uint32_t element_bytes(enum ipc_fact_type type)
{
    switch (type) {
    case IPC_FACT_OPEN:
        return sizeof(struct ipc_fact_open);
    case IPC_FACT_ADOPT:
        return sizeof(struct ipc_fact_adopt);
    case IPC_FACT_EVENT:
    case IPC_FACT_UPDATE:
        return sizeof(struct ipc_fact_event);
    case IPC_FACT_ALARM:
        return sizeof(struct ipc_fact_alarm);
    case IPC_FACT_BOOK:
        return sizeof(struct ipc_fact_book);
    case IPC_FACT_LIMIT:
        return sizeof(struct ipc_fact_limit);
    case IPC_FACT_BATCH:
    case IPC_FACT_RELEASE:
    case IPC_FACT_REPLY:
    case IPC_FACT_CHECKPOINT:
        return 0;
    }
    return UINT32_MAX;
}

static enum ipc_rc apply_frame(struct eng_core *core, const struct eng_frame *frame)
{
    uint32_t bytes = element_bytes(frame->type);
    if (frame->payload == NULL || (bytes != 0 && frame->payload_bytes != bytes) ||
        (bytes == 0 && frame->payload_bytes < sizeof(struct ipc_fact_release)))
        return IPC_BAD_INPUT;
    switch (frame->type) {
    case IPC_FACT_OPEN:
        return eng_recover_open(core, frame->payload, frame->mono_ns);
    case IPC_FACT_ADOPT:
        return apply_adopt(core, frame);
    case IPC_FACT_EVENT:
        return apply_event(core, frame);
    case IPC_FACT_BATCH:
        return apply_batch(core, frame);
    case IPC_FACT_RELEASE:
        return apply_release(core, frame);
    case IPC_FACT_REPLY:
        return apply_reply(core, frame);
    case IPC_FACT_UPDATE:
        return apply_update(core, frame);
    case IPC_FACT_CHECKPOINT:
        return IPC_BAD_INPUT; /* pieces of a state are read by recovery, not folded */
    case IPC_FACT_ALARM:
        return IPC_OK;
    case IPC_FACT_BOOK:
        return apply_book(core, frame);
    case IPC_FACT_LIMIT:
        return eng_limits_apply(core, frame->payload);
    }
    return IPC_BAD_INPUT;
}

enum ipc_rc eng_apply(struct eng_core *core, const struct eng_frame *frame)
{
    LS_CHECK(core->magic == ENG_CORE_MAGIC);
    enum ipc_rc rc = apply_frame(core, frame);
    if (rc == IPC_OK) {
        core->fold.last_lsn = frame->lsn;
#ifdef LS_SLOW_CHECKS
        eng_core_verify(core);
#endif
    }
    return rc;
}
