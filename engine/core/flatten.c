#include "engine/core/flatten_private.h"

#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/lifecycle.h"
#include "engine/core/limits_private.h"
#include "engine/core/positions.h"

#define BACKOFF_FIRST_NS LS_NS_PER_S
#define BACKOFF_MAX_NS   (30 * LS_NS_PER_S)
#define KEY_TRIES        8u

/* --- what stands --------------------------------------------------------------------------------
 */

uint32_t eng_flatten_open(const struct eng_core *core)
{
    return core->fold.flatten_open;
}

uint32_t eng_flatten_fresh(const struct eng_core *core)
{
    return core->fold.flatten_wanted;
}

/* Something of it is held, works or is in doubt. */
static bool is_open(const struct eng_position *position)
{
    return position->held_e8 != 0 || position->unknown_count != 0 ||
           (position->opening_e8[0] | position->opening_e8[1] | position->closing_e8[0] |
               position->closing_e8[1]) != 0;
}

/* The own order of a marked position, NULL when none was made yet. */
static struct eng_order *own_order(const struct eng_core *core, const struct eng_position *position)
{
    return position->flatten == 0 || position->flatten == ENG_FLATTEN_WANTED
               ? NULL
               : &core->orders[position->flatten - 1];
}

static bool is_given_up(const struct eng_core *core, const struct eng_position *position)
{
    const struct eng_order *order = own_order(core, position);
    return order != NULL && order->status == IPC_STATUS_EXPIRED;
}

/* --- apply: the wish ----------------------------------------------------------------------------
 */

void eng_flatten_list(struct eng_core *core, uint32_t position, uint32_t slot)
{
    core->positions[position].listed = 1;
    core->slot_position_next[position] = core->slot_positions[slot];
    core->slot_positions[slot] = position + 1;
}

static void end(struct eng_core *core, struct eng_position *position)
{
    struct eng_fold *fold = &core->fold;
    if (!is_given_up(core, position)) {
        fold->flatten_open--;
        fold->flatten_wanted -= position->flatten == ENG_FLATTEN_WANTED;
        fold->counters.flattens_done++;
    }
    position->flatten = 0;
}

static void mark(
    struct eng_core *core, struct eng_position *position, const struct ipc_fact_limit *fact)
{
    if (!is_open(position) || (fact->value_e8 != 0 && fact->value_e8 != position->instrument) ||
        (position->flatten != 0 && !is_given_up(core, position)))
        return;
    position->flatten = ENG_FLATTEN_WANTED;
    core->fold.flatten_open++;
    core->fold.flatten_wanted++;
    core->fold.counters.flattens++;
}

static void mark_follower(struct eng_core *core, const struct ipc_fact_limit *fact)
{
    uint32_t at = core->slot_positions[fact->slot];
    for (; at != 0; at = core->slot_position_next[at - 1]) {
        struct eng_position *position = &core->positions[at - 1];
        if (position->follower_no == fact->follower_no &&
            (fact->flatten != 0 || position->incarnation == fact->incarnation))
            mark(core, position, fact);
    }
}

void eng_flatten_mark(struct eng_core *core, const struct ipc_fact_limit *fact)
{
    if (fact->follower_no != 0) {
        mark_follower(core, fact);
        return;
    }
    /* A group, or all: people do it, rarely. */
    for (uint32_t i = 0; i < core->fold.position_count; i++) {
        struct eng_position *position = &core->positions[i];
        if (fact->scope == IPC_LIMIT_SCOPE_ALL ||
            core->master_positions[position->master].account == fact->account)
            mark(core, position, fact);
    }
}

void eng_flatten_look(struct eng_core *core, uint32_t index)
{
    struct eng_position *position = &core->positions[index];
    if (!is_open(position))
        end(core, position);
}

bool eng_flatten_opens(struct eng_core *core, uint32_t index)
{
    struct eng_position *position = &core->positions[index];
    uint8_t side = eng_closing_side(position);
    if (position->flatten == ENG_FLATTEN_WANTED || (position->flags & ENG_POSITION_REFUSED) ||
        (side != 0 && eng_closable_e8(position, side, 0) != 0))
        return false;
    end(core, position);
    return true;
}

/* --- apply: the own order -----------------------------------------------------------------------
 */

/* What works of its entries is looked at again: their own orders' decisions cancel them. */
static void stop_entries(struct eng_core *core, const struct eng_position *position)
{
    for (uint32_t at = position->newest_child; at != ENG_NONE;
         at = core->children[at].position_older) {
        const struct eng_child *child = &core->children[at];
        if (!(child->flags & ENG_CHILD_EXIT) && !eng_state_ended(child->state))
            eng_settle_put(core, at);
    }
}

static void start(struct eng_core *core, uint32_t index, uint32_t order)
{
    struct eng_position *position = &core->positions[index];
    position->exit_order = order;
    position->flags &=
        (uint8_t) ~(ENG_POSITION_WANTS | ENG_POSITION_REFUSED | ENG_POSITION_REVERSES);
    position->flags |= ENG_POSITION_FLAT;
    eng_due_drop(core, index);
    stop_entries(core, position);
    eng_position_wants(core, index);
}

static void make_order(
    struct eng_core *core, const struct eng_frame *frame, struct eng_position *position)
{
    const struct ipc_event *event = &((const struct ipc_fact_event *)frame->payload)->event;
    uint32_t index = eng_order_take(core);
    core->orders[index] = (struct eng_order){.key = event->order_key,
        .order_digits = event->order_digits,
        .event_lsn = frame->lsn,
        .first_lsn = frame->lsn,
        .qty_e8 = event->qty_e8,
        .version = event->version,
        .received_mono_ns = event->received_mono_ns,
        .account = event->account,
        .instrument = event->instrument,
        .era = core->fold.era,
        .master_position = position->master,
        .exit_previous = ENG_NONE,
        .side = event->side,
        .type = event->type,
        .product = event->product,
        .validity = event->validity,
        .status = event->status,
        .source = event->source,
        .flags = ENG_ORDER_EXIT | ENG_ORDER_OWN | ENG_ORDER_TOMBSTONE};
    ipc_tag_order_text(event->order_digits, core->orders[index].digits);
    eng_order_index(core, index);
    position->flatten = index + 1;
    core->fold.flatten_wanted--;
}

static bool event_fits(
    const struct eng_core *core, const struct ipc_event *event, uint32_t order, uint64_t act)
{
    bool begins = act == IPC_FLATTEN_BEGINS;
    if (act < IPC_FLATTEN_BEGINS || act > IPC_FLATTEN_GIVEN_UP || begins != (order == ENG_NONE) ||
        !ipc_status_valid(event->status) || !ipc_type_valid(event->type) ||
        !ipc_validity_valid(event->validity) || event->qty_e8 <= 0)
        return false;
    return begins ? eng_order_room(core) > 0
                  : (core->orders[order].flags & ENG_ORDER_OWN) != 0;
}

enum ipc_rc eng_flatten_event(struct eng_core *core, const struct eng_frame *frame, uint32_t index)
{
    const struct ipc_fact_event *fact = frame->payload;
    const struct ipc_event *event = &fact->event;
    if (!event_fits(core, event, index, fact->ring_sequence))
        return IPC_BAD_INPUT;
    uint32_t at = eng_position_of(core, event->book_order_count, (uint16_t)fact->follower_count,
        event->reserved, event->instrument, event->product);
    if (at == ENG_NONE)
        return IPC_BAD_INPUT;
    struct eng_position *position = &core->positions[at];
    if (position->flatten != (index == ENG_NONE ? ENG_FLATTEN_WANTED : index + 1))
        return IPC_BAD_INPUT;
    core->fold.counters.events++;
    if (fact->ring_sequence == IPC_FLATTEN_BEGINS) {
        make_order(core, frame, position);
        start(core, at, position->flatten - 1);
        return IPC_OK;
    }
    struct eng_order *order = &core->orders[index];
    order->event_lsn = frame->lsn;
    order->received_mono_ns = event->received_mono_ns;
    order->era = core->fold.era;
    if (fact->ring_sequence == IPC_FLATTEN_AGAIN) {
        order->amendments++;
        start(core, at, index);
        return IPC_OK;
    }
    order->status = IPC_STATUS_EXPIRED;
    order->filled_era = core->money->fold.session_day; /* an own order has no fill of its own */
    core->fold.flatten_open--;
    core->fold.counters.flattens_left++;
    return IPC_OK;
}

/* --- deciding: the wish -------------------------------------------------------------------------
 */

/* Not marked; or given up in an earlier session. */
static bool wants_mark(const struct eng_core *core, const struct eng_position *position)
{
    if (!is_open(position))
        return false;
    return position->flatten == 0 ||
           (is_given_up(core, position) &&
               own_order(core, position)->filled_era != core->money->fold.session_day);
}

bool eng_flatten_want(const struct eng_core *core, uint32_t slot, struct ipc_fact_limit *out)
{
    const struct ipc_row_follower *row = eng_follower_row(core->view, slot);
    if (row == NULL || core->slot_positions[slot] == 0)
        return false;
    const char *by = eng_limits_flatten(core, slot, row);
    if (by == NULL)
        return false;
    for (uint32_t at = core->slot_positions[slot]; at != 0; at = core->slot_position_next[at - 1]) {
        const struct eng_position *position = &core->positions[at - 1];
        if (position->follower_no != row->follower_no ||
            position->incarnation != row->incarnation || !wants_mark(core, position))
            continue;
        *out = (struct ipc_fact_limit){.act = IPC_LIMIT_ACT_FLATTEN,
            .scope = IPC_LIMIT_SCOPE_LINK,
            .incarnation = row->incarnation,
            .follower_no = row->follower_no,
            .slot = slot,
            .account = row->account,
            .day = core->money->fold.day};
        for (size_t i = 0; by[i] != '\0' && i + 1 < sizeof out->by; i++)
            out->by[i] = by[i];
        return true;
    }
    return false;
}

/* --- deciding: the own order --------------------------------------------------------------------
 */

static int64_t backoff_ns(const struct eng_order *order)
{
    uint32_t shift = order->amendments < 5 ? order->amendments : 5;
    return ls_min_i64(BACKOFF_FIRST_NS << shift, BACKOFF_MAX_NS);
}

/* A close of it ended unfilled, or others have taken it over; and its back-off is over. */
static bool is_due(
    const struct eng_core *core, const struct eng_position *position, int64_t now_mono_ns)
{
    const struct eng_order *order = own_order(core, position);
    if (order == NULL)
        return position->flatten == ENG_FLATTEN_WANTED;
    if (order->status == IPC_STATUS_EXPIRED || position->flying != 0)
        return false;
    bool stands =
        (position->flags & (ENG_POSITION_REFUSED | ENG_POSITION_FLAT)) == ENG_POSITION_FLAT;
    return !stands && (order->era != core->fold.era ||
                          now_mono_ns - order->received_mono_ns >= backoff_ns(order));
}

bool eng_flatten_next(const struct eng_core *core, uint32_t *cursor, uint32_t most,
    int64_t now_mono_ns, struct eng_flatten *out)
{
    /* What is short goes first (E34): its margin is free before what it may have hedged is sold. */
    const uint32_t others = core->limits.position_max; /* where the second round begins */
    for (; most > 0; most--) {
        if (*cursor < others && *cursor >= core->fold.position_count)
            *cursor = others;
        uint32_t at = *cursor < others ? *cursor : *cursor - others;
        if (at >= core->fold.position_count)
            break;
        ++*cursor;
        const struct eng_position *position = &core->positions[at];
        bool first_round = *cursor <= others;
        if (LS_LIKELY(position->flatten == 0) || (position->held_e8 < 0) != first_round ||
            !is_due(core, position, now_mono_ns))
            continue;
        *out = (struct eng_flatten){.position = at,
            .slot = position->slot,
            .master = core->master_positions[position->master].account,
            .instrument = position->instrument};
        return true;
    }
    if (*cursor >= others && *cursor - others >= core->fold.position_count)
        *cursor = 0;
    return false;
}

/* Never that of another order: times and the frame make it new, and what is known is looked up. */
static bool new_key(const struct eng_core *core, const struct eng_position *position,
    int64_t now_wall_ns, struct ipc_event *event)
{
    uint64_t seed = eng_mix(((uint64_t)position->follower_no << 32) | position->instrument);
    seed = eng_mix(seed ^ ((uint64_t)position->incarnation << 16) ^ position->product);
    seed = eng_mix(seed ^ (uint64_t)now_wall_ns);
    seed = eng_mix(seed ^ core->fold.last_lsn ^ ((uint64_t)core->config.shard << 56));
    for (uint32_t salt = 0; salt < KEY_TRIES; salt++) {
        event->order_key.word[0] = eng_mix(seed + 3 * salt);
        event->order_key.word[1] = eng_mix(seed + 3 * salt + 1);
        event->order_digits = eng_mix(seed + 3 * salt + 2) % IPC_TAG_ORDERS;
        if (eng_order_find(core, event->order_key) == ENG_NONE &&
            eng_order_by_digits(core, event->order_digits) == ENG_NONE)
            return true;
    }
    return false;
}

static void put_name(struct ipc_event *event)
{
    static const char name[] = "flatten-";
    memcpy(event->broker_order_id, name, sizeof name - 1);
    ipc_tag_order_text(event->order_digits, event->broker_order_id + sizeof name - 1);
}

static void fill_event(
    const struct eng_core *core, const struct eng_position *position, struct ipc_fact_event *out)
{
    struct ipc_event *event = &out->event;
    uint8_t side = eng_closing_side(position);
    if (side == 0)
        side = position->opening_e8[1] != 0 ? IPC_SIDE_BUY : IPC_SIDE_SELL;
    int64_t qty = eng_abs(position->held_e8);
    if (qty == 0)
        qty = eng_add_saturated(position->opening_e8[0], position->opening_e8[1]);
    event->kind = IPC_EVENT_ORDER;
    event->side = side;
    event->type = IPC_TYPE_MARKET;
    event->product = position->product;
    event->validity = IPC_VALIDITY_DAY;
    event->status = IPC_STATUS_OPEN;
    event->account = core->master_positions[position->master].account;
    event->instrument = position->instrument;
    event->qty_e8 = qty > 0 ? ls_min_i64(qty, ENG_QTY_MAX_E8) : LS_E8;
    event->book_order_count = position->follower_no;
    event->reserved = position->source;
    out->transition = IPC_TRANSITION_FOLLOW_UP;
    out->reduces = 1;
    out->follower_count = position->incarnation;
}

static void say(struct ipc_fact_alarm *alarm, enum ipc_alarm kind, uint32_t account,
    const char *text, size_t bytes)
{
    *alarm = (struct ipc_fact_alarm){.alarm = (uint32_t)kind, .account = account};
    memcpy(alarm->text, text, bytes < sizeof alarm->text ? bytes : sizeof alarm->text - 1);
}

#define SAY(alarm, kind, account, text) say(alarm, kind, account, text, sizeof(text))

bool eng_flatten_decide(const struct eng_core *core, const struct eng_flatten *flatten,
    uint8_t word, int64_t now_mono_ns, int64_t now_wall_ns, struct ipc_fact_event *out,
    struct ipc_fact_alarm *alarm, bool *has_alarm)
{
    const struct eng_position *position = &core->positions[flatten->position];
    const struct ipc_row_follower *row = eng_follower_row(core->view, position->slot);
    const struct eng_order *order = own_order(core, position);
    *has_alarm = false;
    if (row == NULL || row->follower_no != position->follower_no)
        return false; /* there is no route to its account */
    if (order != NULL && word == IPC_SWITCH_HALT)
        return false;
    memset(out, 0, sizeof *out);
    fill_event(core, position, out);
    struct ipc_event *event = &out->event;
    event->version = event->broker_wall_ns = now_wall_ns;
    event->received_mono_ns = event->published_mono_ns = now_mono_ns;
    if (order == NULL) {
        if (eng_order_room(core) == 0 ||
            !new_key(core, position, now_wall_ns, event)) {
            *has_alarm = true;
            SAY(alarm, IPC_ALARM_CAPACITY, row->account,
                "no room for an own order: a position cannot be flattened");
            return false;
        }
        out->ring_sequence = IPC_FLATTEN_BEGINS;
    } else {
        event->order_key = order->key;
        event->order_digits = order->order_digits;
        bool ends = order->amendments >= ENG_FLATTEN_TRIES;
        out->ring_sequence = ends ? IPC_FLATTEN_GIVEN_UP : IPC_FLATTEN_AGAIN;
        if (ends) {
            event->status = IPC_STATUS_EXPIRED;
            *has_alarm = true;
            SAY(alarm, IPC_ALARM_LIMIT, row->account,
                "flattening was given up, its closes end unfilled: close it at the broker");
        }
    }
    event->event_key = event->order_key;
    event->event_key.word[1] ^= eng_mix((uint64_t)now_wall_ns);
    put_name(event);
    return true;
}
