/* Orders at a broker that no child is: adopted with what the book or the feed says (ORDER-SAFETY
 * 3.4, 3.6), and the second order of a child. */
#include "engine/core/apply.h"
#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/fanout.h"
#include "engine/core/money.h"
#include "engine/core/pace.h"
#include "engine/core/pipeline/work.h"
#include "engine/core/positions.h"
#include "engine/core/reconcile_private.h"
#include "engine/core/sighting.h"

#define PLACEHOLDER_WORD                                                                           \
    UINT64_C(0x4e414850524f2121) /* key of an order that nobody has seen yet                       \
                                  */

static struct ipc_key placeholder_key(uint64_t order_digits)
{
    return (struct ipc_key){{PLACEHOLDER_WORD, order_digits}};
}

/* --- decide -------------------------------------------------------------------------------------
 */

static bool works(const struct ipc_event *event)
{
    return event->status == IPC_STATUS_PENDING || event->status == IPC_STATUS_OPEN;
}

static bool parse(const struct ipc_event *event, struct ipc_tag_parts *parts)
{
    if (event->client_tag[IPC_TAG_CHARACTERS] != '\0')
        return false;
    for (uint32_t i = 0; i < IPC_TAG_CHARACTERS; i++) {
        if (event->client_tag[i] == '\0')
            return false;
    }
    return ipc_tag_parse(event->client_tag, IPC_TAG_CHARACTERS, parts) == IPC_OK;
}

/* The row of a follower number; strange tags are rare. */
static const struct ipc_row_follower *row_of(
    const struct eng_core *core, uint32_t follower_no, uint32_t *slot)
{
    for (*slot = 0; *slot < core->view->follower_slots; ++*slot) {
        if (core->view->followers[*slot].follower_no == follower_no)
            return &core->view->followers[*slot];
    }
    return NULL;
}

static bool tables_full(const struct eng_core *core)
{
    return eng_child_room(core) == 0 ||
           core->fold.position_count >= core->limits.position_max ||
           eng_order_room(core) == 0 ||
           core->fold.master_position_count >= core->limits.master_position_max;
}

/* Did it reduce what was copied? Its master's order knows, else what is held. */
static bool reduces(const struct eng_core *core, const struct ipc_event *event, uint32_t order,
    uint32_t source, const struct ipc_row_follower *row, uint32_t action)
{
    uint32_t leg = ipc_tag_action_leg(action);
    if (leg == ENG_LEG_STOP || leg == ENG_LEG_TARGET)
        return true;
    if (leg == ENG_LEG_REVERSED)
        return false;
    if (order != ENG_NONE && !(core->orders[order].flags & ENG_ORDER_ORPHAN))
        return (core->orders[order].flags & (ENG_ORDER_EXIT | ENG_ORDER_OWN)) != 0;
    uint32_t position = eng_position_of(
        core, row->follower_no, row->incarnation, source, event->instrument, event->product);
    return position != ENG_NONE && eng_held_e8(&core->positions[position], event->side) > 0;
}

static struct ipc_fact_orphan *add_orphan(
    struct eng_event_facts *out, const struct ipc_event *event, uint32_t why)
{
    struct ipc_fact_recon_room *room = eng_recon_add(out, IPC_RECON_ACT_ORPHAN, event->account);
    room->recon.why = (uint8_t)why;
    out->fact[out->count - 1].bytes = ipc_fact_recon_bytes(&room->recon);
    memset(&room->orphan, 0, sizeof room->orphan);
    room->orphan.event = *event;
    return &room->orphan;
}

bool eng_recon_orphan(
    const struct eng_core *core, const struct ipc_event *event, struct eng_event_facts *out)
{
    struct ipc_tag_parts parts;
    uint32_t slot;
    if (event->client_tag[0] == '\0' || !parse(event, &parts) ||
        event->broker_order_id[0] == '\0' || eng_child_by_tag(core, &parts) != ENG_NONE)
        return false;
    const struct ipc_row_follower *row = row_of(core, parts.follower_no, &slot);
    if (row == NULL || row->account != event->account || row->shard != core->config.shard)
        return false;
    if (event->instrument == 0 || tables_full(core)) {
        eng_recon_alarm(out, IPC_ALARM_ORPHAN, event->account, event->client_tag,
            event->instrument == 0 ? "an order with our tag in an instrument that is not known"
                                   : "an order with our tag, and no room to adopt it");
        return true;
    }
    uint32_t order = eng_order_by_digits(core, parts.order_digits);
    struct ipc_fact_orphan *orphan = add_orphan(out, event, 0);
    memcpy(orphan->tag, event->client_tag, sizeof orphan->tag);
    orphan->follower_no = parts.follower_no;
    orphan->slot = slot;
    orphan->action = parts.action;
    orphan->incarnation = row->incarnation;
    orphan->master = order == ENG_NONE ? row->master : core->orders[order].account;
    orphan->instrument = order == ENG_NONE ? event->instrument : core->orders[order].instrument;
    if (order == ENG_NONE)
        orphan->flags |= IPC_ORPHAN_ORDER;
    if (reduces(core, event, order, orphan->instrument, row, parts.action))
        orphan->flags |= IPC_ORPHAN_EXIT;
    eng_recon_alarm(out, IPC_ALARM_ORPHAN, event->account, event->client_tag,
        "an order of ours that the journal did not know is adopted");
    return true;
}

void eng_recon_second(const struct eng_core *core, const struct ipc_event *event, uint32_t index,
    struct eng_event_facts *out)
{
    const struct eng_child *child = &core->children[index];
    const struct eng_order *order = &core->orders[child->order];
    uint32_t action = eng_child_next_action(core, child->order, child->follower_no,
        ipc_tag_action_leg(child->action), ipc_tag_action_slice(child->action));
    bool room = action != ENG_NONE && !tables_full(core) && event->instrument != 0;
    if (room) {
        struct ipc_fact_orphan *orphan = add_orphan(out, event, 0);
        ipc_tag_compose(
            &(struct ipc_tag_parts){order->order_digits, child->follower_no, action}, orphan->tag);
        orphan->follower_no = child->follower_no;
        orphan->slot = child->slot;
        orphan->action = action;
        orphan->incarnation = child->incarnation;
        orphan->master = order->account;
        orphan->instrument = order->instrument;
        orphan->flags = IPC_ORPHAN_GHOST;
        if (child->flags & ENG_CHILD_EXIT)
            orphan->flags |= IPC_ORPHAN_EXIT;
        /* Of two, one goes: the newcomer, or where that has filled or ended, the other. */
        if (works(event))
            orphan->flags |= IPC_ORPHAN_CANCEL;
        else if (event->filled_qty_e8 > 0)
            orphan->flags |= IPC_ORPHAN_CANCEL_FIRST;
    }
    eng_recon_alarm(out, IPC_ALARM_GHOST, event->account, event->client_tag,
        room ? "two orders carry one tag: what of them still works is cancelled, look at both"
             : "two orders at the broker carry the tag of one child: look at its book");
}

uint32_t eng_recon_placeholder(const struct eng_core *core, const struct ipc_event *event)
{
    uint32_t at = eng_order_by_digits(core, event->order_digits);
    for (; at != ENG_NONE; at = core->orders[at].digits_next) {
        const struct eng_order *order = &core->orders[at];
        if ((order->flags & ENG_ORDER_ORPHAN) && order->account == event->account &&
            ipc_key_equal(order->key, placeholder_key(event->order_digits)))
            return at;
    }
    return ENG_NONE;
}

/* --- apply --------------------------------------------------------------------------------------
 */

bool eng_recon_orphan_fits(const struct eng_core *core, const struct ipc_fact_recon *fact)
{
    const struct ipc_fact_orphan *orphan = ipc_fact_recon_orphan(fact);
    const struct ipc_event *event = &orphan->event;
    struct ipc_tag_parts parts;
    if (tables_full(core) || fact->child_count != 0 || event->account != fact->account ||
        fact->account == 0 || !ipc_side_valid(event->side) || !ipc_product_valid(event->product) ||
        !ipc_type_valid(event->type) || !ipc_validity_valid(event->validity) ||
        !ipc_status_valid(event->status) || event->qty_e8 <= 0 || event->qty_e8 > ENG_QTY_MAX_E8 ||
        event->filled_qty_e8 < 0 || event->filled_qty_e8 > event->qty_e8 ||
        event->instrument == 0 || orphan->instrument == 0 ||
        orphan->slot >= core->limits.follower_slot_max || orphan->master == 0 ||
        orphan->master > core->limits.account_max || orphan->tag[IPC_TAG_CHARACTERS] != '\0' ||
        ipc_tag_parse(orphan->tag, IPC_TAG_CHARACTERS, &parts) != IPC_OK ||
        parts.follower_no != orphan->follower_no || parts.action != orphan->action)
        return false;
    uint32_t order = eng_order_by_digits(core, parts.order_digits);
    return (order == ENG_NONE) == ((orphan->flags & IPC_ORPHAN_ORDER) != 0) &&
           eng_child_by_tag(core, &parts) == ENG_NONE;
}

/* A place for the master's order that nobody has seen: it takes it when it is seen. */
static uint32_t make_order(struct eng_core *core, const struct eng_frame *frame,
    const struct ipc_fact_orphan *orphan, uint64_t order_digits)
{
    const struct ipc_event *event = &orphan->event;
    uint32_t index = eng_order_take(core);
    struct eng_order *order = &core->orders[index];
    memset(order, 0, sizeof *order);
    order->key = placeholder_key(order_digits);
    order->order_digits = order_digits;
    order->event_lsn = frame->lsn;
    order->first_lsn = frame->lsn;
    order->qty_e8 = event->qty_e8;
    order->price_e8 = event->price_e8;
    order->trigger_e8 = event->trigger_e8;
    order->account = orphan->master;
    order->instrument = orphan->instrument;
    order->era = order->filled_era = core->fold.era;
    order->exit_previous = ENG_NONE;
    order->received_mono_ns = order->filled_mono_ns = event->received_mono_ns;
    order->side = event->side;
    order->type = event->type;
    order->product = event->product;
    order->validity = event->validity;
    order->status = IPC_STATUS_OPEN;
    order->source = event->source;
    order->flags = ENG_ORDER_ORPHAN;
    if (orphan->flags & IPC_ORPHAN_EXIT)
        order->flags |= ENG_ORDER_EXIT;
    ipc_tag_order_text(order_digits, order->digits);
    order->master_position =
        eng_master_take(core, order->account, order->instrument, order->product);
    eng_order_index(core, index);
    return index;
}

static void own_slot(struct eng_core *core, const struct ipc_fact_orphan *orphan)
{
    struct eng_slot *slot = &core->slots[orphan->slot];
    if (slot->follower_no == orphan->follower_no)
        return;
    *slot =
        (struct eng_slot){.follower_no = orphan->follower_no, .incarnation = orphan->incarnation};
    ipc_tag_follower_text(orphan->follower_no, slot->digits);
}

static uint32_t make_child(struct eng_core *core, const struct eng_frame *frame,
    const struct ipc_fact_orphan *orphan, uint32_t order)
{
    const struct ipc_event *event = &orphan->event;
    struct ipc_fact_child fact = {.follower_no = orphan->follower_no,
        .slot = orphan->slot,
        .action = orphan->action,
        .incarnation = orphan->incarnation,
        .kind = IPC_CHILD_PLACE,
        .qty_e8 = event->qty_e8};
    uint32_t cell;
    (void)eng_child_find_at(core, order, orphan->follower_no, &cell);
    uint32_t position = eng_position_take(core, orphan->follower_no, orphan->incarnation,
        orphan->instrument, event->instrument, event->product, core->orders[order].master_position);
    uint32_t index = eng_child_make(core, order, &fact, position, cell);
    struct eng_child *child = &core->children[index];
    child->side = event->side;
    child->type = event->type;
    child->validity = event->validity;
    child->qty_e8 = event->qty_e8;
    child->price_e8 = event->price_e8;
    child->trigger_e8 = event->trigger_e8;
    child->decision = (uint32_t)frame->lsn;
    child->request_no = 1;
    child->places = 1;
    child->sent_mono_ns = event->received_mono_ns;
    child->sent_day = (uint16_t)eng_market_day(frame->wall_ns);
    if (orphan->flags & IPC_ORPHAN_EXIT)
        child->flags |= ENG_CHILD_EXIT;
    if (orphan->flags & IPC_ORPHAN_GHOST)
        child->flags |= ENG_CHILD_GHOST;
    (void)eng_child_live(core, child, ENG_LIFE_SEND);
    eng_child_born(core, index);
    core->fold.counters.extra++; /* it stands for no visit of a wave */
    if (!(child->flags & ENG_CHILD_EXIT))
        eng_money_opening(core, index, event->average_price_e8);
    return index;
}

static void cancel(struct eng_core *core, uint32_t index)
{
    struct eng_child *child = &core->children[index];
    if (eng_state_ended(child->state) || child->flight != 0 || child->queued != 0 ||
        child->broker_order_id[0] == '\0')
        return;
    struct eng_child_touch touch = eng_child_begin(core, index);
    eng_child_queue(core, index, IPC_ACTION_CANCEL, 0);
    eng_child_end(core, &touch);
}

void eng_recon_orphan_apply(
    struct eng_core *core, const struct eng_frame *frame, const struct ipc_fact_orphan *orphan)
{
    const struct ipc_event *event = &orphan->event;
    struct ipc_tag_parts parts;
    LS_CHECK(ipc_tag_parse(orphan->tag, IPC_TAG_CHARACTERS, &parts) == IPC_OK);
    uint32_t order = eng_order_by_digits(core, parts.order_digits);
    if (order == ENG_NONE)
        order = make_order(core, frame, orphan, parts.order_digits);
    eng_waves_adopted(core, order);
    own_slot(core, orphan);
    uint32_t index = make_child(core, frame, orphan, order);
    /* What is known of it begins with this sighting: its place has no reply. */
    struct eng_child_touch touch = eng_child_begin(core, index);
    (void)eng_child_live(core, touch.child, ENG_LIFE_LOST);
    eng_child_learn_id(core, index, event->broker_order_id);
    eng_child_fill(core, touch.child, event->filled_qty_e8, event->average_price_e8);
    (void)eng_child_live(core, touch.child, eng_sighting_event(event));
    eng_terms_known(touch.child);
    eng_child_end(core, &touch);
    eng_money_status(core, index, (enum eng_state)touch.child->state, frame->mono_ns);
    if (!(orphan->flags & IPC_ORPHAN_GHOST))
        return;
    core->fold.counters.ghosts++;
    if (orphan->flags & IPC_ORPHAN_CANCEL)
        cancel(core, index);
    if (orphan->flags & IPC_ORPHAN_CANCEL_FIRST) {
        uint32_t first = eng_child_by_tag_text(core, event->client_tag);
        if (first != ENG_NONE && core->children[first].filled_qty_e8 == 0)
            cancel(core, first);
    }
}

void eng_recon_ghost(struct eng_core *core, uint32_t index)
{
    const struct eng_child *child = &core->children[index];
    const uint16_t kind = ENG_CHILD_EXIT | ENG_CHILD_PROTECTS | ENG_CHILD_OPEN_LEG;
    uint32_t at = eng_child_find(core, child->order, child->follower_no);
    for (; at != ENG_NONE && at != index; at = core->children[at].older) {
        struct eng_child *other = &core->children[at];
        if (other->position != child->position || other->side != child->side ||
            (other->flags & kind) != (child->flags & kind) || eng_state_ended(other->state))
            continue;
        if (!eng_state_unsent(other->state)) {
            cancel(core, at);
            continue;
        }
        struct eng_child_touch touch = eng_child_begin(core, at);
        other->reason = IPC_REASON_SUPERSEDED;
        (void)eng_child_live(core, other, ENG_LIFE_SKIP);
        eng_child_unqueue(core, at);
        core->fold.counters.skips_by_reason[IPC_REASON_SUPERSEDED]++;
        eng_child_end(core, &touch);
    }
}
