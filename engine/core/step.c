#include "engine/core/step.h"

#include "engine/core/apply.h"
#include "engine/core/breaker.h"
#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/fanout.h"
#include "engine/core/forget.h"
#include "engine/core/flatten_private.h"
#include "engine/core/hand.h"
#include "engine/core/join.h"
#include "engine/core/limits_private.h"
#include "engine/core/money.h"
#include "engine/core/masters.h"
#include "engine/core/pace.h"
#include "engine/core/positions.h"
#include "engine/core/reconcile_private.h"
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

static enum ipc_rc apply_event(struct eng_core *core, const struct eng_frame *frame)
{
    const struct ipc_fact_event *fact = frame->payload;
    const struct ipc_event *event = &fact->event;
    if (event->account == 0 || event->account > core->limits.account_max ||
        !ipc_transition_valid(fact->transition) || !ipc_side_valid(event->side) ||
        !ipc_product_valid(event->product) || event->order_digits >= IPC_TAG_ORDERS)
        return IPC_BAD_INPUT;
    uint32_t index = eng_order_find(core, event->order_key);
    if (fact->transition == IPC_TRANSITION_FOLLOW_UP)
        return eng_flatten_event(core, frame, index);
    bool is_new = index == ENG_NONE;
    uint32_t placeholder = is_new ? eng_recon_placeholder(core, event) : ENG_NONE;
    bool needs_position =
        eng_master_find(core, event->account, event->instrument, event->product) == ENG_NONE;
    if ((is_new && eng_order_room(core) == 0) ||
        (needs_position && core->fold.master_position_count >= core->limits.master_position_max))
        return IPC_BAD_INPUT;
    if (fact->wave != 0 && (fact->wave != core->fold.wave_number + 1 || fact->follower_count == 0 ||
                               core->fold.wave_count >= core->limits.wave_max))
        return IPC_BAD_INPUT;

    struct eng_order before;
    struct eng_order *order;
    if (is_new) {
        index = placeholder == ENG_NONE ? eng_order_take(core) : placeholder;
        order = &core->orders[index];
        const struct eng_order kept = *order;
        eng_join_first(event, core->fold.era, order);
        ipc_tag_order_text(order->order_digits, order->digits);
        order->position_before_e8 = fact->master_position_e8;
        order->exit_previous = ENG_NONE;
        if (fact->reduces)
            order->flags |= ENG_ORDER_EXIT;
        if (fact->transition == IPC_TRANSITION_HISTORY)
            order->flags |= ENG_ORDER_HISTORY;
        else if (fact->transition != IPC_TRANSITION_NEW)
            order->flags |= ENG_ORDER_TOMBSTONE;
        if (LS_UNLIKELY(placeholder != ENG_NONE)) { /* its copies were adopted before it was seen */
            order->flags |= ENG_ORDER_ORPHAN;
            order->child_count = kept.child_count;
            order->digits_next = kept.digits_next;
            eng_order_index_key(core, index);
        } else {
            if (eng_order_by_digits(core, order->order_digits) != ENG_NONE)
                order->flags |= ENG_ORDER_COLLIDES;
            eng_order_index(core, index);
        }
    } else {
        order = &core->orders[index];
        before = *order;
        (void)eng_join(order, event, core->fold.era);
        order->amendments += fact->transition == IPC_TRANSITION_AMENDED;
    }
    order->event_lsn = frame->lsn;
    if (order->first_lsn == 0)
        order->first_lsn = frame->lsn;
    order->master_position =
        eng_master_take(core, order->account, order->instrument, order->product);
    eng_master_fold(core, index, is_new ? NULL : &before,
        is_new && fact->transition == IPC_TRANSITION_NEW);
    core->fold.counters.events++;
    if (fact->wave != 0) {
        bool is_exit = (order->flags & ENG_ORDER_EXIT) != 0;
        eng_wave_start(core, fact->wave, index, order->account,
            (enum ipc_transition)fact->transition, is_exit, fact->follower_count);
    }
    return IPC_OK;
}

/* An opening that the margin check refused may go again with less: who chose so is asked when it is
 * settled. */
static void note_margin(struct eng_core *core, uint32_t index)
{
    struct eng_child *child = &core->children[index];
    child->reason = IPC_REASON_MARGIN;
    if ((child->flags & (ENG_CHILD_EXIT | ENG_CHILD_PROTECTS | ENG_CHILD_AFTER)) ||
        child->filled_qty_e8 != 0)
        return;
    child->flags |= ENG_CHILD_STEP;
    eng_settle_put(core, index);
}

/* --- UPDATE
 * ----------------------------------------------------------------------------------------- */

/* A change that was read not done goes once more, from what the master's order is now. */
static void change_once_more(struct eng_core *core, uint32_t index)
{
    if (core->recon_children[index].amended || eng_state_ended(core->children[index].state))
        return;
    core->recon_children[index].amended = 1;
    core->children[index].waits = 1;
}

static enum ipc_rc apply_update(struct eng_core *core, const struct eng_frame *frame)
{
    const struct ipc_fact_event *fact = frame->payload;
    const struct ipc_event *event = &fact->event;
    uint32_t index = eng_child_by_tag_text(core, event->client_tag);
    if (index == ENG_NONE || !ipc_status_valid(event->status) || event->filled_qty_e8 < 0)
        return IPC_BAD_INPUT;
    struct eng_child_touch touch = eng_child_begin(core, index);
    struct eng_child *child = touch.child;
    eng_child_learn_id(core, index, event->broker_order_id);
    eng_child_fill(core, child, event->filled_qty_e8, event->average_price_e8);
    bool ghost = eng_child_live(core, child, eng_sighting_event(event)) == ENG_LIFE_GHOST;
    if (child->state == ENG_STATE_EXCH_REJECTED && child->state != touch.state &&
        eng_code_is_margin(event->reject_code))
        note_margin(core, index);
    if (child->state != touch.state) {
        eng_money_status(core, index, (enum eng_state)child->state, frame->mono_ns);
        eng_breaker_status(core, index, (enum eng_state)child->state);
    }
    if (fact->reduces && eng_sighting_settles_doubt(child, event)) {
        if (eng_sighting_shows_change(child, event))
            child->asked_qty_e8 = 0; /* else its answer may still come, later than anyone waits */
        else
            change_once_more(core, index);
        child->flags &= (uint16_t)~ENG_CHILD_DOUBT;
        child->qty_e8 = event->qty_e8;
        child->price_e8 = event->price_e8;
        child->trigger_e8 = event->trigger_e8;
        eng_terms_known(child);
    } else if (child->known_qty_e8 == 0) {
        eng_terms_known(child); /* seen before its reply: it stands there with the terms of its place */
    }
    eng_child_end(core, &touch);
    if (LS_UNLIKELY(ghost))
        eng_recon_ghost(core, index);
    core->fold.counters.updates++;
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
    eng_recon_refresh(core, number);
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
            eng_terms_known(child);
    }
    uint8_t was = child->state;
    enum eng_life event = place_event(outcome->outcome);
    /* Of two places with one id no refusal says that the other was refused, too. */
    if (LS_UNLIKELY(core->recon_children[index].asked_again) && event != ENG_LIFE_ACKED)
        event = ENG_LIFE_LOST;
    (void)eng_child_live(core, child, event);
    if (child->state == ENG_STATE_REJECTED && was != ENG_STATE_REJECTED) {
        child->reason = IPC_REASON_BROKER_REJECT;
        if (eng_reject_is_margin(outcome))
            note_margin(core, index);
    }
    if (child->state == ENG_STATE_NOT_SENT && child->queued == 0)
        place_again(core, index, outcome, mono_ns);
}

static void modify_reply(
    struct eng_core *core, uint32_t index, const struct ipc_outcome *outcome, int64_t mono_ns)
{
    struct eng_child *child = &core->children[index];
    switch ((enum ipc_outcome_class)outcome->outcome) {
    case IPC_OUTCOME_ACKED:
        eng_terms_known(child);
        child->retries = 0;
        core->recon_children[index].amended = 0;
        return;
    case IPC_OUTCOME_REJECTED:
        eng_terms_revert(child);
        return;
    case IPC_OUTCOME_AUTH:
    case IPC_OUTCOME_LIMITED:
    case IPC_OUTCOME_NOT_SENT:
        if (child->waits || eng_state_ended(child->state)) {
            eng_terms_revert(child); /* newer terms are decided next */
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
    child->flags &= (uint16_t)~ENG_CHILD_DOUBT;
    child->asked_qty_e8 = 0;
    if (child->queued == 0 || fact->outcome.outcome == IPC_OUTCOME_ACKED)
        modify_reply(core, index, &fact->outcome, mono_ns);
    else
        eng_terms_revert(child); /* its cancel waits: it is not changed again */
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
    uint64_t ghosts = core->fold.counters.ghosts;
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
    eng_breaker_reply(core, index, (enum ipc_action)fact->action,
        (enum ipc_outcome_class)outcome->outcome, frame->mono_ns);
    if (fact->action == IPC_ACTION_PLACE) {
        place_reply(core, index, outcome, frame->mono_ns); /* a late one always counts */
        if (LS_UNLIKELY(fact->again) && child->state == ENG_STATE_UNKNOWN && child->flight == 0 &&
            child->queued == 0 && child->places < ENG_PLACES_MAX) {
            core->recon_children[index].asked_again = 1;
            eng_child_queue(core, index, IPC_ACTION_PLACE,
                backed_off(child, BACKOFF_SEND_NS, frame->mono_ns));
        }
    }
    if (current && fact->action == IPC_ACTION_MODIFY)
        modify_reply(core, index, outcome, frame->mono_ns);
    else if (fact->action == IPC_ACTION_MODIFY)
        late_modify_reply(core, index, fact, frame->mono_ns);
    else if (current && fact->action == IPC_ACTION_CANCEL)
        cancel_reply(core, index, outcome, frame->mono_ns);
    eng_child_end(core, &touch);
    if (LS_UNLIKELY(core->fold.counters.ghosts != ghosts))
        eng_recon_ghost(core, index);
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
    case IPC_FACT_GUARD:
        return sizeof(struct ipc_fact_guard);
    case IPC_FACT_BATCH:
    case IPC_FACT_RELEASE:
    case IPC_FACT_REPLY:
    case IPC_FACT_CHECKPOINT:
    case IPC_FACT_RECON:
        return 0;
    case IPC_FACT_DAY:
        return sizeof(struct ipc_fact_day);
    case IPC_FACT_CATCH_UP:
        return sizeof(struct ipc_fact_catch_up);
    case IPC_FACT_RESOLVE:
        return sizeof(struct ipc_fact_resolve);
    case IPC_FACT_ACCOUNT:
        return sizeof(struct ipc_fact_account);
    case IPC_FACT_POSITIONS:
        return sizeof(struct ipc_fact_positions);
    }
    return UINT32_MAX;
}

static enum ipc_rc apply_limit(struct eng_core *core, const struct eng_frame *frame)
{
    const struct ipc_fact_limit *fact = frame->payload;
    enum ipc_rc rc = eng_limits_apply(core, fact);
    if (rc == IPC_OK && fact->act == IPC_LIMIT_ACT_DAY)
        eng_recon_day(core, (uint16_t)eng_market_day(frame->wall_ns));
    return rc;
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
        return eng_apply_batch(core, frame);
    case IPC_FACT_RELEASE:
        return eng_apply_release(core, frame);
    case IPC_FACT_REPLY:
        return apply_reply(core, frame);
    case IPC_FACT_UPDATE:
        return apply_update(core, frame);
    case IPC_FACT_CHECKPOINT:
        return IPC_BAD_INPUT; /* pieces of a state are read by recovery, not folded */
    case IPC_FACT_ALARM:
    case IPC_FACT_POSITIONS:
        return IPC_OK;
    case IPC_FACT_BOOK:
        return apply_book(core, frame);
    case IPC_FACT_LIMIT:
        return apply_limit(core, frame);
    case IPC_FACT_GUARD:
        return eng_breaker_apply(core, frame->payload, frame->mono_ns);
    case IPC_FACT_RECON:
        return eng_recon_apply(core, frame);
    case IPC_FACT_DAY:
        return eng_day_apply(core, frame->payload, frame->lsn);
    case IPC_FACT_CATCH_UP:
        return eng_catch_up_apply(core, frame);
    case IPC_FACT_RESOLVE:
        return eng_resolve_apply(core, frame);
    case IPC_FACT_ACCOUNT:
        return eng_hand_apply(core, frame);
    }
    return IPC_BAD_INPUT;
}

enum ipc_rc eng_apply(struct eng_core *core, const struct eng_frame *frame)
{
    LS_CHECK(core->magic == ENG_CORE_MAGIC);
    core->applied_mono_ns = frame->mono_ns;
    enum ipc_rc rc = apply_frame(core, frame);
    if (rc == IPC_OK) {
        core->fold.last_lsn = frame->lsn;
#ifdef LS_SLOW_CHECKS
        eng_core_verify(core);
#endif
    }
    return rc;
}
