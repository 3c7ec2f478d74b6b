/* The judge. What it knows comes from complete frames of the journal, from bytes that the kernel
 * took, and from the brokers' books; the engine's tables are compared with these. */
#include <stdio.h>
#include <string.h>

#include "ipc/tag.h"
#include "tests/sim/sim.h"

void sim_check_begin(struct sim *sim)
{
    struct sim_tag *tags = sim->judge.tags;
    memset(tags, 0, SIM_TAGS * sizeof(*tags));
    memset(&sim->judge, 0, sizeof(sim->judge));
    sim->judge.tags = tags;
}

/* ---- tags ------------------------------------------------------------------------------------ */

static struct sim_tag *tag_slot(struct sim *sim, const char *tag)
{
    for (uint64_t at = ipc_tag_hash(tag);; at++) {
        struct sim_tag *slot = &sim->judge.tags[at % SIM_TAGS];
        if (slot->tag[0] == '\0' || memcmp(slot->tag, tag, IPC_TAG_CHARACTERS) == 0)
            return slot;
    }
}

struct sim_tag *sim_tag_find(struct sim *sim, const char *tag)
{
    struct ipc_tag_parts parts;
    if (ipc_tag_parse(tag, strlen(tag), &parts) != IPC_OK)
        return NULL;
    struct sim_tag *slot = tag_slot(sim, tag);
    return slot->tag[0] == '\0' ? NULL : slot;
}

static uint32_t order_find(const struct sim *sim, struct ipc_key key)
{
    for (uint64_t i = sim->judge.digits_count; i-- > 0;) {
        if (ipc_key_equal(sim->judge.orders[i].key, key))
            return (uint32_t)i;
    }
    return UINT32_MAX;
}

static uint32_t order_of_digits(const struct sim *sim, uint64_t digits)
{
    for (uint64_t i = sim->judge.digits_count; i-- > 0;) {
        if (sim->judge.orders[i].digits == digits)
            return (uint32_t)i;
    }
    return UINT32_MAX;
}

/* ---- the journal ----------------------------------------------------------------------------- */

static void event_read(struct sim *sim, const struct ipc_fact_event *fact)
{
    struct sim_judge *judge = &sim->judge;
    uint32_t index = order_find(sim, fact->event.order_key);
    if (index == UINT32_MAX) {
        LS_CHECK(judge->digits_count < LS_COUNT_OF(judge->orders));
        index = (uint32_t)judge->digits_count++;
        judge->orders[index].key = fact->event.order_key;
        judge->orders[index].digits = fact->event.order_digits;
        judge->orders[index].master = fact->event.account;
        judge->orders[index].instrument = fact->event.instrument;
        judge->orders[index].product = fact->event.product;
        judge->orders[index].type = fact->event.type;
        judge->orders[index].side = fact->event.side;
    }
    bool is_new = judge->orders[index].version == 0;
    if (fact->event.version >= judge->orders[index].version) { /* the newest terms win */
        judge->orders[index].version = fact->event.version;
        judge->orders[index].qty_e8 = fact->event.qty_e8;
    }
    if (fact->event.filled_qty_e8 > judge->orders[index].filled_e8)
        judge->orders[index].average_e8 = fact->event.average_price_e8;
    judge->orders[index].filled_e8 =
        ls_max_i64(judge->orders[index].filled_e8, fact->event.filled_qty_e8);
    judge->orders[index].status =
        (uint8_t)ls_max_i64(judge->orders[index].status, fact->event.status);
    judge->orders[index].is_own = fact->transition == IPC_TRANSITION_FOLLOW_UP;
    judge->orders[index].source = judge->orders[index].instrument;
    if (judge->orders[index].is_own && fact->event.reserved != 0)
        judge->orders[index].source = fact->event.reserved;
    if (!judge->is_rereading)
        sim_positions_event(sim, index, fact, is_new);
    if (!judge->is_rereading) {
        judge->orders[index].received_mono_ns = fact->event.received_mono_ns;
        judge->orders[index].feed_lag_ns = fact->event.feed_lag_ns;
        judge->orders[index].boot_ns = sim->boot_ns;
    }
    if (fact->wave != 0) {
        judge->expected += fact->follower_count;
        sim->figures.waves += !judge->is_rereading;
    }
}

static enum ipc_action action_of(uint8_t kind)
{
    switch ((enum ipc_child_kind)kind) {
    case IPC_CHILD_PLACE:
        return IPC_ACTION_PLACE;
    case IPC_CHILD_MODIFY:
        return IPC_ACTION_MODIFY;
    case IPC_CHILD_CANCEL:
        return IPC_ACTION_CANCEL;
    case IPC_CHILD_SKIP:
    case IPC_CHILD_PLACE_QUEUED:
    case IPC_CHILD_MODIFY_QUEUED:
    case IPC_CHILD_CANCEL_QUEUED:
    case IPC_CHILD_WAIT:
    case IPC_CHILD_FLATTEN:
        break;
    }
    return (enum ipc_action)0;
}

/* A frame lets bytes of this tag leave, once. */
static void permit(struct sim *sim, struct sim_tag *tag, enum ipc_action action)
{
    if (action == 0 || sim->judge.is_rereading)
        return;
    const struct ipc_row_follower *row = &sim->shell.adopted->followers[tag->slot];
    uint8_t word =
        sim_switch_word(&sim->switches, tag->master, tag->instrument, tag->slot, row->broker);
    if (sim->shell.halt_word)
        word = IPC_SWITCH_HALT;
    if (action != IPC_ACTION_CANCEL &&
        (word == IPC_SWITCH_HALT || (word == IPC_SWITCH_CLOSE_ONLY && !tag->is_exit)))
        sim_fail(sim, "switches: %s of %s is decided although the word is %s",
            ipc_action_name(action), tag->tag, ipc_switch_name((enum ipc_switch)word));
    if ((!sim->takes_entries || sim->shell.is_stepped) && action != IPC_ACTION_CANCEL &&
        !tag->is_exit)
        sim_fail(sim,
            "%s of %s is decided although nothing may be entered: the journal, or the clock",
            ipc_action_name(action), tag->tag);
    if (action == IPC_ACTION_PLACE) {
        tag->was_sent = 1;
        sim_positions_permit(sim, tag);
    }
    tag->permits[action]++;
}

/* A compact child of a follower who copies fills has no flag that says so. */
static bool copies_fills(const struct sim *sim, uint32_t slot)
{
    return sim->shell.adopted != NULL &&
           sim->shell.adopted->followers[slot].copy == IPC_COPY_ON_FILL;
}

static const struct ipc_fact_wide *wide_of(const struct ipc_fact_batch *fact, uint32_t at)
{
    const struct ipc_fact_wide *wides = ipc_fact_batch_wides(fact);
    for (uint32_t i = 0; i < fact->wide_count; i++) {
        if (wides[i].at == at)
            return &wides[i];
    }
    return NULL;
}

/* A reversal's opening leg is no exit, though its batch is one. */
static bool is_exit(const struct ipc_fact_batch *fact, uint32_t at)
{
    const struct ipc_fact_wide *wide = wide_of(fact, at);
    return wide != NULL ? (wide->flags & IPC_WIDE_EXIT) != 0 : fact->is_exit != 0;
}

static void batch_read(struct sim *sim, const struct ipc_fact_batch *fact, uint64_t lsn)
{
    const struct ipc_fact_child *children = (const struct ipc_fact_child *)(fact + 1);
    struct sim_judge *judge = &sim->judge;
    uint32_t order = order_find(sim, fact->order_key);
    if (order == UINT32_MAX)
        sim_fail(sim, "a decision for an order that no EVENT frame introduced");
    sim_positions_batch(sim, order, fact);
    for (uint32_t i = 0; i < fact->child_count; i++) {
        const struct ipc_fact_child *child = &children[i];
        bool visit = i == 0 || child->follower_no != children[i - 1].follower_no;
        if (fact->wave != 0 && visit)
            judge->decided += child->follower_no == 0 ? (uint64_t)(child->qty_e8 / LS_E8) : 1;
        if (child->kind == IPC_CHILD_SKIP || child->kind == IPC_CHILD_FLATTEN) {
            sim->figures.skips++;
            continue;
        }
        struct ipc_tag_parts parts = {
            judge->orders[order].digits, child->follower_no, child->action};
        char text[IPC_TAG_BYTES];
        ipc_tag_compose(&parts, text);
        struct sim_tag *tag = tag_slot(sim, text);
        if (tag->tag[0] == '\0') {
            LS_CHECK(judge->tag_count < SIM_TAGS * 3 / 4);
            const struct ipc_fact_wide *wide = wide_of(fact, i);
            *tag = (struct sim_tag){.follower_no = child->follower_no,
                .slot = child->slot,
                .action = child->action,
                .order_digits = parts.order_digits,
                .is_exit = is_exit(fact, i),
                .instrument = (uint8_t)(wide != NULL && wide->instrument != 0
                                            ? wide->instrument
                                            : judge->orders[order].instrument),
                .source = (uint8_t)judge->orders[order].source,
                .master = (uint8_t)judge->orders[order].master,
                .product = wide != NULL ? wide->product : fact->product,
                .incarnation = child->incarnation,
                .side = wide != NULL ? wide->side : fact->side,
                .on_fill = (wide != NULL && (wide->flags & IPC_WIDE_ON_FILL)) ||
                           copies_fills(sim, child->slot),
                .open_leg = wide != NULL && (wide->flags & IPC_WIDE_OPEN_LEG),
                .decision = lsn,
                .ordered_e8 = child->qty_e8,
                .generation = fact->generation};
            judge->tag_count++;
            memcpy(tag->tag, text, sizeof(text));
        }
        if (child->kind == IPC_CHILD_PLACE || child->kind == IPC_CHILD_PLACE_QUEUED)
            tag->ordered_e8 = child->qty_e8;
        else if (child->kind == IPC_CHILD_MODIFY)
            tag->ordered_e8 = ls_max_i64(tag->ordered_e8, child->qty_e8);
        permit(sim, tag, action_of(child->kind));
    }
}

static void release_read(struct sim *sim, const struct ipc_fact_release *facts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct sim_tag *tag = sim_tag_find(sim, facts[i].tag);
        if (tag == NULL)
            sim_fail(sim, "%s is released, but was never decided", facts[i].tag);
        if (facts[i].kind == IPC_CHILD_SKIP) {
            tag->is_over = !tag->was_sent;
            if (tag->is_exit)
                sim_line_of(sim, tag)->is_excused = 1;
        }
        if (facts[i].kind == IPC_CHILD_PLACE)
            tag->ordered_e8 = facts[i].qty_e8;
        permit(sim, tag, action_of(facts[i].kind));
    }
}

void sim_check_journal(struct sim *sim)
{
    const struct ipc_frame *frame;
    while ((frame = sim_journal_next(&sim->journal, &sim->judge.journal_offset)) != NULL) {
        sim->figures.frames += !sim->judge.is_rereading;
        if (frame->type == IPC_FACT_EVENT)
            event_read(sim, (const void *)(frame + 1));
        else if (frame->type == IPC_FACT_BATCH)
            batch_read(sim, (const void *)(frame + 1), frame->lsn);
        else if (frame->type == IPC_FACT_RELEASE)
            release_read(sim, (const void *)(frame + 1), frame->count);
        else if (frame->type == IPC_FACT_REPLY)
            sim_positions_reply(sim, (const void *)(frame + 1), frame->count);
        else if (frame->type == IPC_FACT_UPDATE)
            sim_positions_update(sim, (const void *)(frame + 1));
        else if (frame->type == IPC_FACT_LIMIT)
            sim_positions_limit(sim, (const void *)(frame + 1));
        else if (frame->type == IPC_FACT_RECON)
            sim_absence_fact(sim, (const void *)(frame + 1));
    }
}

void sim_check_crash(struct sim *sim, bool power)
{
    for (uint32_t i = 0; i < SIM_TAGS; i++) {
        if (sim->judge.tags[i].permits[IPC_ACTION_PLACE] != 0) /* its bytes never left */
            sim->judge.tags[i].is_unanswered = 0;
        if (sim->judge.tags[i].is_unanswered)
            sim->judge.tags[i].is_unanswered = SIM_IN_DOUBT;
        memset(sim->judge.tags[i].permits, 0, sizeof(sim->judge.tags[i].permits));
        if (power) /* the frames that counted its requests may be gone */
            sim->judge.tags[i].last_request_no = 0;
    }
    if (power) /* what was given in lost frames is not known any more */
        memset(sim->judge.given, 0xff, sizeof(sim->judge.given));
    sim->judge.is_rereading = true;
    if (power) /* frames are gone: count what is left */
        sim->judge.journal_offset = sim->judge.expected = sim->judge.decided = 0;
    sim_check_journal(sim);
    sim->judge.is_rereading = false;
}

/* ---- bytes that left ------------------------------------------------------------------------- */

/* The widest value that a follower's row had since a generation. */
static int64_t widest(
    const struct sim *sim, const struct sim_tag *tag, size_t offset, bool zero_is_none)
{
    int64_t most = 0;
    uint64_t last = sim->published.view.generation;
    for (uint64_t generation = tag->generation; generation <= last; generation++) {
        const struct ipc_row_follower *row =
            &sim->judge.rows[generation % SIM_GENERATIONS][tag->slot];
        int64_t value;
        if (row->follower_no != tag->follower_no)
            continue;
        memcpy(&value, (const char *)row + offset, sizeof(value));
        if (value == 0 && zero_is_none)
            return INT64_MAX;
        most = ls_max_i64(most, value);
    }
    return most;
}

static void check_age(struct sim *sim, const struct sim_tag *tag)
{
    uint32_t order = order_of_digits(sim, tag->order_digits);
    const struct ipc_row_follower *row = &sim->shell.adopted->followers[tag->slot];
    bool is_market = tag->on_fill || sim->judge.orders[order].type == IPC_TYPE_MARKET ||
                     sim->judge.orders[order].type == IPC_TYPE_SLM;
    uint32_t limit_ms = is_market ? (row->max_age_market_ms ? row->max_age_market_ms : 2000)
                                  : (row->max_age_limit_ms ? row->max_age_limit_ms : 5000);
    int64_t age = sim_mono(sim) - sim->judge.orders[order].received_mono_ns +
                  sim->judge.orders[order].feed_lag_ns;
    if (row->follower_no != tag->follower_no)
        return;
    if (sim->judge.orders[order].boot_ns != sim->boot_ns || age > limit_ms * LS_NS_PER_MS)
        sim_fail(sim, "stale: entry %s leaves %lld ms after its event, %u are allowed", tag->tag,
            (long long)(age / LS_NS_PER_MS), limit_ms);
}

void sim_check_handed(
    struct sim *sim, const struct sim_connection *connection, struct sim_request *request)
{
    struct sim_tag *tag = sim_tag_find(sim, request->tag);
    if (tag == NULL || tag->permits[request->action] == 0)
        sim_fail(sim, "journal: bytes of %s %s leave before a complete frame lets them",
            ipc_action_name((enum ipc_action)request->action), request->tag);
    tag->permits[request->action]--;
    if (request->request_no <= tag->last_request_no)
        sim_fail(sim, "order: request %u of %s leaves after request %u", request->request_no,
            tag->tag, tag->last_request_no);
    tag->last_request_no = request->request_no;
    if (request->action == IPC_ACTION_PLACE)
        tag->left_ns = sim->now_ns;
    if (request->action == IPC_ACTION_PLACE && !tag->is_exit)
        check_age(sim, tag);
    const struct ipc_row_follower *row = &sim->shell.adopted->followers[request->slot];
    uint8_t word =
        sim_switch_word(&sim->shell.seen, tag->master, tag->instrument, tag->slot, row->broker);
    if (request->switch_sequence < sim->shell.seen.sequence &&
        request->action != IPC_ACTION_CANCEL &&
        (word == IPC_SWITCH_HALT || (word == IPC_SWITCH_CLOSE_ONLY && !tag->is_exit)))
        sim_fail(sim, "switches: %s leaves on %llu although %s had been seen", tag->tag,
            (unsigned long long)connection->number, ipc_switch_name((enum ipc_switch)word));
}

void sim_check_arrival(struct sim *sim, struct sim_call *call)
{
    struct sim_tag *tag = sim_tag_find(sim, call->tag);
    if (tag == NULL)
        sim_fail(sim, "journal: the broker received %s, which no frame tells of", call->tag);
    /* The power took the frames that told of the first, and of its refusal: the book has none. */
    if (sim->judge.lost_tail && tag->accepted == 0)
        tag->arrivals = 0;
    tag->arrivals++;
    if (tag->arrivals > 2)
        sim_fail(sim, "twice: place of %s reaches the broker for the %uth time", tag->tag,
            tag->arrivals);
    const struct sim_broker *broker = &sim->brokers[call->connection->broker];
    if (tag->arrivals == 2 && !tag->last_definite &&
        broker->character.idempotency != ADP_IDEMPOTENCY_ENFORCED)
        sim_fail(sim, "twice: place of %s is sent again although the first may have been taken",
            tag->tag);
    tag->last_definite = 0;
}

/* ---- the brokers' books ---------------------------------------------------------------------- */

/* Quantity and value of an entry are within what the follower's rows allowed. */
static void check_caps(struct sim *sim, const struct sim_tag *tag,
    const struct adp_sim_order *order, int64_t units, int64_t price_e8)
{
    int64_t most_qty = widest(sim, tag, offsetof(struct ipc_row_follower, max_qty_e8), true);
    int64_t most_value =
        widest(sim, tag, offsetof(struct ipc_row_follower, max_order_value_e8), true);
    uint32_t index = order_of_digits(sim, tag->order_digits);
    if (units > most_qty / LS_E8)
        sim_fail(sim, "caps: %s has %lld units, max_quantity is %lld", tag->tag, (long long)units,
            (long long)(most_qty / LS_E8));
    /* The value of a market order was judged at a price that the broker does not know. */
    if (index != UINT32_MAX && !tag->on_fill && sim->judge.orders[index].type != IPC_TYPE_MARKET &&
        sim->judge.orders[index].type != IPC_TYPE_SLM && most_value != INT64_MAX &&
        (__int128)units * price_e8 > most_value)
        sim_fail(sim, "caps: %s, %s, is worth %lld, max_order_value is %lld", tag->tag,
            ipc_type_name((enum ipc_type)sim->judge.orders[index].type),
            (long long)((__int128)units * price_e8 / LS_E8), (long long)(most_value / LS_E8));
    if (order->terms.type == ADP_SIM_MARKET || order->terms.type == ADP_SIM_SLM)
        sim_fail(sim, "%s is a market order at a broker that refuses them", tag->tag);
}

/* An opening that copies an order (copies of fills work side by side) is placed again under a
 * further ordinal only when the one before it has ended: the difference of an amended total, or
 * what a replaced one left. Closes go on as long as something is held, and trade_check sees that
 * they never exceed it. */
static void check_ordinals(
    struct sim *sim, const struct adp_sim_book *book, const struct sim_tag *tag)
{
    for (uint32_t ordinal = 0; ordinal < ipc_tag_action_ordinal(tag->action); ordinal++) {
        struct ipc_tag_parts parts = {tag->order_digits, tag->follower_no,
            ipc_tag_action(
                ipc_tag_action_leg(tag->action), ipc_tag_action_slice(tag->action), ordinal)};
        char text[IPC_TAG_BYTES];
        ipc_tag_compose(&parts, text);
        for (uint32_t i = 0; i < adp_sim_book_order_count(book); i++) {
            const struct adp_sim_order *other = adp_sim_book_order(book, i);
            if (other->refusal == 0 && strcmp(other->terms.tag, text) == 0 &&
                other->filled_units + other->cancelled_units < other->terms.units &&
                other->reason == NULL)
                sim_fail(sim, "twice: %s and %s work at the broker together", text, tag->tag);
        }
    }
}

/* The largest quantity of one order. */
static int64_t freeze_e8(const struct sim *sim, const struct adp_sim_order *order)
{
    int64_t freeze = sim->published.instruments[order->terms.instrument].freeze_qty_e8;
    return freeze == 0 ? INT64_MAX : freeze;
}

/* The owner's own orders at the broker's terminal are nobody's copies. */
static bool is_by_hand(const struct adp_sim_order *order)
{
    return order->origin.source == ADP_SIM_TERMINAL;
}

static void order_check(
    struct sim *sim, const struct adp_sim_book *book, const struct adp_sim_order *order)
{
    if (is_by_hand(order))
        return;
    struct sim_tag *tag = sim_tag_find(sim, order->terms.tag);
    if (tag == NULL)
        sim_fail(sim, "journal: an order at the broker, tag '%s', which no frame tells of",
            order->terms.tag);
    if (order->terms.units * LS_E8 > freeze_e8(sim, order))
        sim_fail(sim, "slices: %s has %lld units, more than one order may carry", tag->tag,
            (long long)order->terms.units);
    if (order->refusal != 0) {
        sim_note(sim, "book refuses %s: EC%03d", tag->tag, order->refusal);
        return;
    }
    tag->accepted++;
    sim->figures.accepted++;
    if (tag->accepted > 1)
        sim_fail(sim, "twice: the broker's book has two orders of %s", tag->tag);
    if (!tag->is_exit && !tag->on_fill)
        check_ordinals(sim, book, tag);
    if (order->reason != NULL)
        sim_note(sim, "exchange rejects %s: %s", tag->tag, order->reason);
    if (tag->is_exit)
        sim_positions_works(sim, book, tag);
    else
        check_caps(sim, tag, order, order->terms.units, order->terms.price_e8);
}

static void act_check(
    struct sim *sim, const struct adp_sim_book *book, const struct adp_sim_act *act)
{
    if (act->order == ADP_SIM_NONE || act->cancel || act->refusal != 0)
        return;
    const struct adp_sim_order *order = adp_sim_book_order(book, act->order);
    const struct sim_tag *tag = sim_tag_find(sim, order->terms.tag);
    /* What is filled already may be above a cap that was lowered meanwhile. */
    if (tag != NULL && tag->is_exit)
        sim_positions_works(sim, book, tag);
    else if (tag != NULL)
        check_caps(sim, tag, order, act->units, act->price_e8);
}

static void trade_check(
    struct sim *sim, const struct adp_sim_book *book, const struct adp_sim_trade *trade)
{
    const struct adp_sim_order *order = adp_sim_book_order(book, trade->order);
    if (is_by_hand(order))
        return;
    const struct sim_tag *tag = sim_tag_find(sim, order->terms.tag);
    LS_CHECK(tag != NULL && tag->follower_no >= SIM_FOLLOWER_FIRST &&
             tag->follower_no < SIM_FOLLOWER_FIRST + SIM_FOLLOWER_NOS);
    sim->figures.fills++;
    sim_positions_trade(sim, tag, order->terms.side == ADP_SIM_BUY, trade);
    if (sim->judge.lost_tail)
        return;
    const struct sim_line *line = sim_line_of(sim, tag);
    int64_t net = line->entries[1] + line->exits[1] - line->entries[0] - line->exits[0];
    int64_t most = widest(sim, tag, offsetof(struct ipc_row_follower, max_position_e8), true);
    int64_t units = net < 0 ? -net : net;
    /* What its owner closed by hand is room again. */
    uint32_t account = sim->judge.rows[tag->generation % SIM_GENERATIONS][tag->slot].account;
    bool by_hand = account != 0 && sim->by_hand[account - 1][line->instrument - 1] != 0;
    if (!tag->is_exit && !by_hand && most != INT64_MAX && units > most / LS_E8)
        sim_fail(sim, "caps: %s brings the position to %lld, max_position is %lld", tag->tag,
            (long long)units, (long long)(most / LS_E8));
}

void sim_check_books(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_BROKERS; i++) {
        struct sim_broker *broker = &sim->brokers[i];
        const struct adp_sim_book *book = broker->book;
        while (broker->orders_seen < adp_sim_book_order_count(book))
            order_check(sim, book, adp_sim_book_order(book, broker->orders_seen++));
        while (broker->acts_seen < adp_sim_book_act_count(book))
            act_check(sim, book, adp_sim_book_act(book, broker->acts_seen++));
        while (broker->trades_seen < adp_sim_book_trade_count(book))
            trade_check(sim, book, adp_sim_book_trade(book, broker->trades_seen++));
    }
}

/* ---- the engine's own sums ------------------------------------------------------------------- */

void sim_check_counters(struct sim *sim)
{
    const struct eng_core_counters *c = eng_core_counters(sim->shell.core);
    uint64_t states = 0;
    for (uint32_t i = 0; i < ENG_STATE_COUNT; i++)
        states += c->children_by_state[i];
    if (c->expected + c->extra != c->remaining + c->skipped + c->vanished + c->placed + c->acts ||
        c->placed != states || c->acts != c->acts_open + c->acts_settled)
        sim_fail(sim,
            "conservation: expected %llu, remaining %llu, skipped %llu, vanished %llu, "
            "placed %llu (%llu), acts %llu = %llu + %llu",
            (unsigned long long)c->expected, (unsigned long long)c->remaining,
            (unsigned long long)c->skipped, (unsigned long long)c->vanished,
            (unsigned long long)c->placed, (unsigned long long)states, (unsigned long long)c->acts,
            (unsigned long long)c->acts_open, (unsigned long long)c->acts_settled);
    /* Followers that joined a master's list during a wave are visited too. */
    if (c->expected < sim->judge.expected || c->expected - c->remaining != sim->judge.decided)
        sim_fail(sim,
            "conservation: the journal has %llu followers to visit and %llu decisions, "
            "the engine counts %llu and %llu",
            (unsigned long long)sim->judge.expected, (unsigned long long)sim->judge.decided,
            (unsigned long long)c->expected, (unsigned long long)(c->expected - c->remaining));
    if (c->impossible != 0)
        sim_fail(sim, "the engine met %llu transitions that cannot be",
            (unsigned long long)c->impossible);
    sim->figures.unknown = c->children_by_state[ENG_STATE_UNKNOWN];
}

void sim_check_replay(struct sim *sim)
{
    struct eng_core *core =
        eng_core_init(sim->shell.core_other_memory, &sim->shell.limits, &sim->shell.config);
    uint64_t offset = 0;
    const struct ipc_frame *frame;
    while ((frame = sim_journal_next(&sim->journal, &offset)) != NULL) {
        const struct eng_frame fact = {.type = (enum ipc_fact_type)frame->type,
            .count = frame->count,
            .payload = frame + 1,
            .payload_bytes = frame->payload_bytes,
            .lsn = frame->lsn,
            .mono_ns = frame->mono_ns,
            .wall_ns = frame->wall_ns};
        if (eng_apply(core, &fact) != IPC_OK)
            sim_fail(sim, "replay: lsn %llu cannot be folded", (unsigned long long)frame->lsn);
    }
    eng_core_verify(core);
    sim->figures.replays++;
    if (eng_core_hash(core) != eng_core_hash(sim->shell.core))
        sim_fail(sim, "replay: folding the journal again gives another state");
}

/* ---- after healing --------------------------------------------------------------------------- */

static bool is_over(const struct adp_sim_order *order)
{
    return order->status == ADP_SIM_COMPLETE || order->status == ADP_SIM_CANCELLED ||
           order->status == ADP_SIM_REJECTED;
}

/* A copy goes on working when its master's order is filled, and an exit of what was filled. */
static bool may_work(const struct sim *sim, const struct eng_child_view *child)
{
    for (uint32_t i = 0; i < sim->order_count; i++) {
        const struct ipc_event *state = &sim->orders[i].state;
        if (ipc_key_equal(state->order_key, child->order_key))
            return state->status == IPC_STATUS_FILLED ||
                   (child->is_exit && state->filled_qty_e8 > 0);
    }
    return false;
}

/* An exit waits while an entry that works, or may, can still bring what it would close, and while
 * another exit that works may still close it. */
static bool waits_for_other(const struct sim *sim, const struct eng_child_view *child)
{
    struct eng_child_view other;
    for (uint32_t i = 0; child->is_exit && i < eng_core_child_count(sim->shell.core); i++) {
        if (eng_core_child(sim->shell.core, i, &other) && other.handle != child->handle &&
            (other.state == ENG_STATE_UNKNOWN || other.state == ENG_STATE_RECONCILING ||
                other.state == ENG_STATE_UNRESOLVED || other.state == ENG_STATE_ACKED ||
                other.state == ENG_STATE_OPEN || other.state == ENG_STATE_PARTIAL ||
                other.state == ENG_STATE_ADOPTED) &&
            other.follower_no == child->follower_no && other.instrument == child->instrument)
            return true;
    }
    return false;
}

static bool book_agrees(
    const struct sim *sim, const struct adp_sim_order *order, char *why, size_t why_bytes)
{
    struct eng_child_view child;
    uint32_t handle = eng_core_find_tag(sim->shell.core, order->terms.tag);
    if (handle == ENG_NONE || !eng_core_child(sim->shell.core, handle, &child)) {
        snprintf(why, why_bytes, "the broker has %s, the engine does not", order->terms.tag);
        return false;
    }
    if (child.filled_qty_e8 != order->filled_units * LS_E8 || child.state == ENG_STATE_UNKNOWN ||
        (is_over(order) && child.state != ENG_STATE_FILLED && child.state != ENG_STATE_CANCELLED &&
            child.state != ENG_STATE_EXCH_REJECTED)) {
        snprintf(why, why_bytes, "%s is %s with %lld filled at the broker, %s with %lld here",
            order->terms.tag, adp_sim_status_word(order->status), (long long)order->filled_units,
            eng_state_name((enum eng_state)child.state), (long long)(child.filled_qty_e8 / LS_E8));
        return false;
    }
    if (!is_over(order) && !sim->shell.halt_word && !may_work(sim, &child)) {
        snprintf(why, why_bytes, "%s still works although its master's order has ended (%s)",
            order->terms.tag, eng_state_name((enum eng_state)child.state));
        return false;
    }
    return true;
}

#define PAGED_NS (90 * LS_NS_PER_S) /* long enough for every question and its page */

bool sim_check_shut(const struct sim *sim, uint32_t slot)
{
    return sim->now_ns - sim->healed_ns > PAGED_NS &&
           !eng_recon_settled(sim->shell.core, sim->published.followers[slot].account);
}

bool sim_check_settled(const struct sim *sim, char *why, size_t why_bytes)
{
    const struct eng_core_counters *c = eng_core_counters(sim->shell.core);
    if (c->remaining != 0 || sim->feed.ring_count != 0 || sim->feed.pending_count != 0) {
        snprintf(why, why_bytes, "%llu followers of waves are still to be visited",
            (unsigned long long)c->remaining);
        return false;
    }
    for (uint32_t i = 0; i < eng_core_child_count(sim->shell.core); i++) {
        struct eng_child_view child;
        if (!eng_core_child(sim->shell.core, i, &child))
            continue;
        if (child.state == ENG_STATE_UNKNOWN || child.state == ENG_STATE_RECONCILING ||
            child.state == ENG_STATE_NOT_PLACED) {
            snprintf(why, why_bytes, "%s is still %s", child.tag,
                eng_state_name((enum eng_state)child.state));
            return false;
        }
        if ((child.is_queued || child.state == ENG_STATE_SENDING ||
                child.state == ENG_STATE_INTENT || child.state == ENG_STATE_NOT_SENT) &&
            !waits_for_other(sim, &child) && !sim_check_shut(sim, child.slot)) {
            int64_t reserved_e8 = 0;
            int64_t held_e8 = eng_core_copied_position(sim->shell.core, child.follower_no,
                child.instrument, (enum ipc_product)child.product, &reserved_e8);
            snprintf(why, why_bytes, "%s is still %s%s%s: %lld of %u, %lld held, %lld reserved",
                child.tag, eng_state_name((enum eng_state)child.state),
                child.is_queued ? ", queued" : "", child.is_exit ? ", an exit" : "",
                (long long)(child.qty_e8 / LS_E8), child.instrument, (long long)(held_e8 / LS_E8),
                (long long)(reserved_e8 / LS_E8));
            return false;
        }
    }
    for (uint32_t i = 0; i < SIM_BROKERS; i++) {
        const struct adp_sim_book *book = sim->brokers[i].book;
        for (uint32_t k = 0; k < adp_sim_book_order_count(book); k++) {
            const struct adp_sim_order *order = adp_sim_book_order(book, k);
            if (order->status != ADP_SIM_REFUSED && !is_by_hand(order) &&
                !book_agrees(sim, order, why, why_bytes))
                return false;
        }
    }
    return sim_positions_agree(sim, why, why_bytes);
}

void sim_check_end(struct sim *sim)
{
    sim_check_counters(sim);
    eng_core_verify(sim->shell.core);
    sim_check_replay(sim);
}
