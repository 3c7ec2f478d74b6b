/* What one ring record means: facts about a master's order, a follower's order, a book. */
#include "engine/core/breaker.h"
#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/fanout.h"
#include "engine/core/hand.h"
#include "engine/core/join.h"
#include "engine/core/limits_private.h"
#include "engine/core/masters.h"
#include "engine/core/positions.h"
#include "engine/core/reconcile_private.h"
#include "engine/core/sighting.h"

static void text_into(char *out, size_t bytes, const char *text)
{
    size_t at = 0;
    for (; at + 1 < bytes && text[at] != '\0'; at++)
        out[at] = text[at];
    memset(out + at, 0, bytes - at);
}

static void add_alarm(struct eng_event_facts *out, enum ipc_alarm alarm, uint32_t account,
    const char *tag, const char *text)
{
    LS_CHECK(out->count < ENG_EVENT_FACTS_MAX);
    out->fact[out->count].type = IPC_FACT_ALARM;
    out->fact[out->count].bytes = sizeof(struct ipc_fact_alarm);
    struct ipc_fact_alarm *fact = &out->fact[out->count++].alarm;
    memset(fact, 0, sizeof *fact);
    fact->alarm = (uint32_t)alarm;
    fact->account = account;
    if (tag != NULL)
        memcpy(fact->tag, tag, sizeof fact->tag);
    text_into(fact->text, sizeof fact->text, text);
}

static struct ipc_fact_event *add_event(struct eng_event_facts *out, enum ipc_fact_type type,
    const struct ipc_event *event, uint8_t producer, uint64_t ring_sequence)
{
    LS_CHECK(out->count < ENG_EVENT_FACTS_MAX);
    out->fact[out->count].type = type;
    out->fact[out->count].bytes = sizeof(struct ipc_fact_event);
    struct ipc_fact_event *fact = &out->fact[out->count++].event;
    memset(fact, 0, sizeof *fact);
    fact->event = *event;
    fact->producer = producer;
    fact->ring_sequence = ring_sequence;
    return fact;
}

static bool in_bounds(const struct ipc_event *event)
{
    return event->qty_e8 <= ENG_QTY_MAX_E8 && event->price_e8 <= ENG_PRICE_MAX_E8 &&
           event->trigger_e8 <= ENG_PRICE_MAX_E8 && event->average_price_e8 <= ENG_PRICE_MAX_E8;
}

/* --- a follower's own order
 * ------------------------------------------------------------------------ */

static uint32_t child_of_event(const struct eng_core *core, const struct ipc_event *event)
{
    uint32_t child = ENG_NONE;
    if (event->client_tag[0] != '\0')
        child = eng_child_by_tag_text(core, event->client_tag);
    if (child != ENG_NONE && eng_child_account(core, child) != event->account)
        child = ENG_NONE;
    if (child != ENG_NONE && !eng_child_is_other(&core->children[child], event->broker_order_id))
        return child;
    /* Of two orders with one tag, the second one is known by its id. */
    uint32_t by_id = eng_child_by_broker_id(core, event->broker_order_id, event->account);
    return by_id != ENG_NONE ? by_id : child;
}

/* The doubt about an order's terms ends with what is read a settle time after the change's answer was
 * given up. The fold knows no broker's settle time: the fact says so. */
static bool settles_doubt(
    const struct eng_core *core, uint32_t index, const struct ipc_event *event)
{
    const struct eng_child *child = &core->children[index];
    if (!eng_sighting_settles_doubt(child, event))
        return false;
    int64_t settle = eng_recon_settle_ns(core, event->account);
    return eng_sighting_shows_change(child, event) ||
           event->received_mono_ns > child->doubt_end_mono_ns - ENG_DOUBT_SETTLE_NS + settle;
}

/* true = the event was an order of ours: nothing else is to be made of it unless it is chained. */
bool eng_step_own(const struct eng_core *core, const struct ipc_event *event, uint8_t producer,
    uint64_t ring_sequence, struct eng_event_facts *out)
{
    uint32_t index = child_of_event(core, event);
    if (index == ENG_NONE)
        return in_bounds(event) && eng_recon_orphan(core, event, out);
    const struct eng_child *child = &core->children[index];
    if (!in_bounds(event)) {
        add_alarm(out, IPC_ALARM_BAD_EVENT, event->account, event->client_tag,
            "quantity or price of a follower's order is out of bounds; not counted");
        return true;
    }
    if (eng_child_is_other(child, event->broker_order_id)) {
        /* The end or the fills of one are not those of the other: it becomes a child of its own. */
        eng_recon_second(core, event, index, out);
        return true;
    }
    if (!eng_sighting_changes(child, event)) {
        out->why = IPC_REASON_DUPLICATE_EVENT;
        return true;
    }
    struct ipc_fact_event *fact = add_event(out, IPC_FACT_UPDATE, event, producer, ring_sequence);
    fact->reduces = settles_doubt(core, index, event);
    /* The fold finds the child by its tag alone, with or without a view. */
    ipc_tag_compose(&(struct ipc_tag_parts){core->orders[child->order].order_digits,
                        child->follower_no, child->action},
        fact->event.client_tag);
    struct eng_life_cell cell =
        eng_life_cell((enum eng_state)child->state, eng_sighting_event(event));
    if (cell.action == ENG_LIFE_GHOST)
        add_alarm(out, IPC_ALARM_GHOST, event->account, fact->event.client_tag,
            "seen at the broker although it had ended here");
    return true;
}

/* --- a master's order
 * ------------------------------------------------------------------------------- */

static int64_t master_position(
    const struct eng_core *core, uint32_t account, uint32_t instrument, uint8_t product)
{
    uint32_t index = eng_master_find(core, account, instrument, product);
    return index == ENG_NONE ? 0 : core->master_positions[index].held_e8;
}

/* A fill concerns followers when somebody copies on fill, or when it leaves the master flat, or turns
 * him round, while entries of followers still work or not all of his position was being closed. */
static bool fill_needs_wave(
    const struct eng_core *core, const struct eng_order *before, const struct eng_order *after)
{
    if (core->accounts[after->account].flags & ENG_ACCOUNT_FILLS)
        return true;
    uint32_t index = eng_master_find(core, after->account, after->instrument, after->product);
    if (index == ENG_NONE || index != before->master_position)
        return false;
    const struct eng_master_position *position = &core->master_positions[index];
    int64_t more = after->filled_qty_e8 - before->filled_qty_e8;
    int64_t held = eng_add_saturated(position->held_e8, after->side == IPC_SIDE_BUY ? more : -more);
    if (!eng_master_crosses(position->held_e8, held))
        return false;
    return (position->openings != 0 && (before->flags & ENG_ORDER_EXIT)) ||
           eng_master_leaves_rest(core, before);
}

static bool needs_wave(const struct eng_core *core, enum ipc_transition transition,
    const struct eng_order *before, const struct eng_order *after)
{
    switch (transition) {
    case IPC_TRANSITION_NEW:
    case IPC_TRANSITION_AMENDED:
    case IPC_TRANSITION_CANCELLED:
    case IPC_TRANSITION_REJECTED:
        return true;
    case IPC_TRANSITION_FILLED_MORE:
        return before != NULL && fill_needs_wave(core, before, after);
    case IPC_TRANSITION_NONE:
    case IPC_TRANSITION_HISTORY:
    case IPC_TRANSITION_FOLLOW_UP:
        return false;
    }
    return false;
}

static bool tables_full(const struct eng_core *core, uint32_t known, const struct ipc_event *event)
{
    if (known == ENG_NONE && eng_order_room(core) == 0)
        return true;
    return core->fold.master_position_count >= core->limits.master_position_max &&
           eng_master_find(core, event->account, event->instrument, event->product) == ENG_NONE;
}

static void step_master(const struct eng_core *core, const struct ipc_event *event,
    uint8_t producer, uint64_t ring_sequence, struct eng_event_facts *out)
{
    if (!in_bounds(event)) {
        add_alarm(out, IPC_ALARM_BAD_EVENT, event->account, NULL,
            "quantity or price of a master's order is out of bounds; not copied");
        return;
    }
    uint32_t known = eng_order_find(core, event->order_key);
    if (tables_full(core, known, event)) {
        add_alarm(out, IPC_ALARM_CAPACITY, event->account, NULL,
            "the table of master orders or positions is full; not copied");
        return;
    }
    const struct eng_order *before = known == ENG_NONE ? NULL : &core->orders[known];
    struct eng_order after;
    unsigned changed = 0;
    if (before == NULL) {
        eng_join_first(event, core->fold.era, &after);
    } else {
        after = *before;
        changed = eng_join(&after, event, core->fold.era);
        if (changed == 0) {
            out->why = IPC_REASON_DUPLICATE_EVENT;
            return;
        }
    }
    enum ipc_transition transition = eng_join_transition(before, &after, changed);
    if (before == NULL && core->account_folds[event->account].book == 1 &&
        (event->flags & IPC_EVENT_FROM_BOOK))
        transition = IPC_TRANSITION_HISTORY;

    int64_t held = master_position(core, after.account, after.instrument, after.product);
    bool reduces;
    if (before == NULL)
        reduces = held != 0 && (held > 0) == (after.side == IPC_SIDE_SELL);
    else
        reduces = (before->flags & ENG_ORDER_EXIT) != 0;
    /* What was never copied has nothing to amend or to cancel, unless copies of it were found at
     * the brokers: they go when it goes. */
    bool copied = before == NULL ? transition == IPC_TRANSITION_NEW
                                 : !(before->flags & (ENG_ORDER_HISTORY | ENG_ORDER_TOMBSTONE)) ||
                                       (before->child_count != 0 &&
                                           transition == IPC_TRANSITION_CANCELLED);
    uint32_t first;
    uint32_t followers =
        copied && needs_wave(core, transition, before, &after) ? eng_followers_of(core, event->account, &first) : 0;
    if (followers != 0 && core->fold.wave_count >= core->limits.wave_max) {
        out->retry_later = true;
        out->why = IPC_REASON_CAPACITY;
        return;
    }
    struct ipc_fact_event *fact = add_event(out, IPC_FACT_EVENT, event, producer, ring_sequence);
    fact->transition = (uint8_t)transition;
    fact->reduces = reduces;
    fact->master_position_e8 = held;
    fact->follower_count = followers;
    fact->wave = followers != 0 ? core->fold.wave_number + 1 : 0;
}

static void step_order(const struct eng_core *core, const struct ipc_event *event, uint8_t producer,
    uint64_t ring_sequence, struct eng_event_facts *out)
{
    const struct ipc_row_account *row = &core->view->accounts[event->account - 1];
    if (row->account != event->account) {
        out->why = IPC_REASON_FOLLOWER_DISABLED; /* nobody's account in this snapshot */
        return;
    }
    bool ours = false;
    if (row->roles & IPC_ROLE_FOLLOWER) {
        ours = eng_step_own(core, event, producer, ring_sequence, out);
        if (!ours && !(event->flags & IPC_EVENT_OWN_TAG))
            eng_hand_step(core, event, out);
    }
    if (!(row->roles & IPC_ROLE_MASTER)) {
        if (!ours && out->count == 0)
            out->why = IPC_REASON_NO_COPY;
        return;
    }
    /* Own orders never become master events unless chaining is configured: known by tag, and by
     * source where the account also follows. */
    bool tagged = ours || (event->flags & IPC_EVENT_OWN_TAG);
    bool foreign_api = event->source == IPC_SOURCE_API && (row->roles & IPC_ROLE_FOLLOWER) &&
                       !(row->flags & IPC_ACCOUNT_API_TRADER);
    bool chained = (event->flags & IPC_EVENT_CHAINED) && (row->flags & IPC_ACCOUNT_CHAINING);
    if ((tagged || foreign_api) && !chained) {
        if (out->count == 0 && out->why == IPC_REASON_NONE)
            out->why = IPC_REASON_OWN_ORDER;
        return;
    }
    step_master(core, event, producer, ring_sequence, out);
    if (out->retry_later)
        out->count = 0; /* all of it again */
}

static void step_book(
    const struct eng_core *core, const struct ipc_event *event, struct eng_event_facts *out)
{
    out->fact[0].type = IPC_FACT_BOOK;
    out->fact[0].bytes = sizeof(struct ipc_fact_book);
    out->count = 1;
    struct ipc_fact_book *fact = &out->fact[0].book;
    memset(fact, 0, sizeof *fact);
    fact->account = event->account;
    fact->order_count = event->book_order_count;
    fact->phase = event->kind == IPC_EVENT_BOOK_BEGIN ? 1 : 2;
    const struct eng_account_fold *account = &core->account_folds[event->account];
    fact->is_history = fact->phase == 1 ? !account->seen : account->book == 1;
}

void eng_step_event(const struct eng_core *core, const struct ipc_event *event, uint8_t producer,
    uint64_t ring_sequence, int64_t now_mono_ns, struct eng_event_facts *out)
{
    (void)now_mono_ns; /* ages are judged when followers are decided */
    LS_CHECK(core->view != NULL);
    out->count = 0;
    out->retry_later = false;
    out->why = IPC_REASON_NONE;
    if (event->account == 0 || event->account > core->limits.account_max ||
        event->account > core->view->account_count) {
        out->why = IPC_REASON_FOLLOWER_DISABLED;
        return;
    }
    switch ((enum ipc_event_kind)event->kind) {
    case IPC_EVENT_ORDER:
        step_order(core, event, producer, ring_sequence, out);
        return;
    case IPC_EVENT_BOOK_BEGIN:
    case IPC_EVENT_BOOK_END:
        step_book(core, event, out);
        return;
    case IPC_EVENT_FEED_GAP:
        if (!eng_recon_want(core, event->account, IPC_RECON_WHY_OUTAGE, NULL, out))
            out->count = 0; /* a master's, or wanted already */
        add_alarm(out, IPC_ALARM_FEED_GAP, event->account, NULL,
            "the order feed of the account was interrupted");
        return;
    case IPC_EVENT_OPERATOR:
        if (event->reserved == IPC_OPERATOR_CATCH_UP) {
            eng_catch_up_step(core, event, out);
            return;
        }
        if (event->reserved == IPC_OPERATOR_RESOLVE) {
            eng_resolve_step(core, event, out);
            return;
        }
        if (event->reserved == IPC_OPERATOR_RECONCILE) {
            if (!eng_recon_want(
                    core, event->account, IPC_RECON_WHY_PERSON, event->broker_order_id, out))
                out->why = IPC_REASON_DUPLICATE_EVENT;
            return;
        }
        if (event->reserved != IPC_OPERATOR_GUARD_RESET)
            eng_limits_step(core, event, out);
        /* Whoever closes a follower's circuit resets its breakers too. */
        if (event->reserved == IPC_OPERATOR_GUARD_RESET ||
            (event->reserved == IPC_OPERATOR_BREAKER_RESET && out->count != 0))
            eng_breaker_step(core, event, out);
        return;
    case IPC_EVENT_COPY_SELECTED:
        out->why = IPC_REASON_MODE_UNSUPPORTED;
        return;
    }
    out->why = IPC_REASON_MODE_UNSUPPORTED;
}
