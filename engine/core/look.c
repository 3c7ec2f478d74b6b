/* What people, tests and the hash of a state see of the core; and the walk over all invariants. */
#include "engine/core/bracket.h"
#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/fanout.h"
#include "engine/core/money.h"
#include "engine/core/positions.h"
#include "engine/core/reconcile_private.h"

const struct ipc_snapshot_view *eng_core_view(const struct eng_core *core)
{
    return core->view;
}

const struct eng_core_counters *eng_core_counters(const struct eng_core *core)
{
    return &core->fold.counters;
}

uint64_t eng_core_generation(const struct eng_core *core)
{
    return core->fold.generation;
}

uint32_t eng_core_child_count(const struct eng_core *core)
{
    return core->fold.child_count;
}

uint32_t eng_core_find_tag(const struct eng_core *core, const char tag[IPC_TAG_BYTES])
{
    return eng_child_by_tag_text(core, tag);
}

bool eng_core_child(const struct eng_core *core, uint32_t index, struct eng_child_view *out)
{
    if (index >= core->fold.child_count || eng_child_is_free(&core->children[index]))
        return false;
    const struct eng_child *child = &core->children[index];
    const struct eng_order *order = &core->orders[child->order];
    memset(out, 0, sizeof *out);
    ipc_tag_compose(
        &(struct ipc_tag_parts){order->order_digits, child->follower_no, child->action}, out->tag);
    memcpy(out->broker_order_id, child->broker_order_id, sizeof out->broker_order_id);
    out->order_key = order->key;
    out->handle = index;
    out->follower_no = child->follower_no;
    out->slot = child->slot;
    out->request_no = child->request_no;
    out->instrument = child->instrument;
    out->state = child->state;
    out->reason = child->reason;
    out->evidence = child->evidence;
    out->side = child->side;
    out->type = child->type;
    out->product = child->product;
    out->is_exit = (child->flags & ENG_CHILD_EXIT) != 0;
    out->is_queued = child->queued != 0;
    out->qty_e8 = child->qty_e8;
    out->price_e8 = child->price_e8;
    out->trigger_e8 = child->trigger_e8;
    out->filled_qty_e8 = child->filled_qty_e8;
    out->average_price_e8 = child->average_price_e8;
    return true;
}

/* The newest position in an instrument: the master's own, or one that it is mapped to. */
static uint32_t position_in(
    const struct eng_core *core, uint32_t follower_no, uint32_t instrument, uint8_t product)
{
    uint32_t index = eng_position_find(core, follower_no, instrument, product);
    while (index != ENG_NONE && core->positions[index].instrument != instrument)
        index = core->positions[index].older;
    for (uint32_t at = core->fold.position_count; index == ENG_NONE && at > 0; at--) {
        const struct eng_position *position = &core->positions[at - 1];
        if (position->follower_no == follower_no && position->instrument == instrument &&
            position->product == product)
            index = at - 1;
    }
    return index;
}

int64_t eng_core_copied_position(const struct eng_core *core, uint32_t follower_no,
    uint32_t instrument, enum ipc_product product, int64_t *reserved_e8)
{
    uint32_t index = position_in(core, follower_no, instrument, (uint8_t)product);
    if (reserved_e8 != NULL)
        *reserved_e8 = index == ENG_NONE ? 0 : eng_reserved_e8(&core->positions[index]);
    return index == ENG_NONE ? 0 : core->positions[index].held_e8;
}

int64_t eng_core_master_position(
    const struct eng_core *core, uint32_t account, uint32_t instrument, enum ipc_product product)
{
    uint32_t index = eng_master_find(core, account, instrument, (uint8_t)product);
    return index == ENG_NONE ? 0 : core->master_positions[index].held_e8;
}

/* --- invariants
 * ------------------------------------------------------------------------------------- */

static void verify_counters(const struct eng_core *core)
{
    const struct eng_core_counters *c = &core->fold.counters;
    uint64_t placed = 0, open = 0, remaining = 0;
    for (size_t i = 0; i < ENG_STATE_COUNT; i++)
        placed += c->children_by_state[i];
    for (uint32_t i = 0; i < core->fold.child_count; i++)
        open += core->children[i].acts_open;
    for (uint32_t i = 0; i < core->fold.wave_count; i++)
        remaining += eng_wave_remaining(&core->waves[core->wave_active[i]]);
    LS_CHECK(c->children_by_state[ENG_STATE_NONE] == 0);
    LS_CHECK(placed == c->placed &&
             placed == core->fold.child_count - core->fold.children_free + core->fold.forgotten);
    LS_CHECK(open == c->acts_open && c->acts == c->acts_open + c->acts_settled);
    LS_CHECK(remaining == c->remaining);
    uint64_t flattens = 0, wanted = 0;
    for (uint32_t i = 0; i < core->fold.position_count; i++) {
        uint32_t own = core->positions[i].flatten;
        wanted += own == ENG_FLATTEN_WANTED;
        flattens += own == ENG_FLATTEN_WANTED ||
                    (own != 0 && core->orders[own - 1].status != IPC_STATUS_EXPIRED);
    }
    LS_CHECK(flattens == core->fold.flatten_open && wanted == core->fold.flatten_wanted);
    LS_CHECK(c->flattens == flattens + c->flattens_done + c->flattens_left);
    LS_CHECK(
        c->expected + c->extra == c->remaining + c->skipped + c->vanished + c->placed + c->acts);
}

static void verify_child(const struct eng_core *core, uint32_t index)
{
    const struct eng_child *child = &core->children[index];
    if (eng_child_is_free(child))
        return;
    LS_CHECK(child->order < core->fold.order_count);
    LS_CHECK(child->state != ENG_STATE_NONE && child->state < ENG_STATE_COUNT);
    LS_CHECK(child->flight == 0 || child->queued == 0);
    LS_CHECK(child->places <= ENG_PLACES_MAX);
    LS_CHECK(child->filled_qty_e8 >= 0 && child->qty_e8 > 0);
    if (child->state == ENG_STATE_INTENT)
        LS_CHECK(child->request_no == 0 && child->queued == IPC_ACTION_PLACE);
    if (child->state == ENG_STATE_SENDING)
        LS_CHECK(child->flight == IPC_ACTION_PLACE);
    if (child->queued == IPC_ACTION_PLACE)
        LS_CHECK(eng_state_unsent(child->state) ||
                 (eng_state_may_go_again(child->state) && core->recon_children[index].asked_again));
    if (child->queued != 0)
        LS_CHECK(core->links[index].list != ENG_LIST_NONE);
    else
        LS_CHECK(core->links[index].list == ENG_LIST_NONE);
    LS_CHECK(
        (core->links[index].list == ENG_LIST_BLOCKED) == ((child->flags & ENG_CHILD_BLOCKED) != 0));
    /* The tag is its own: no other child answers to it. */
    struct ipc_tag_parts parts = {
        core->orders[child->order].order_digits, child->follower_no, child->action};
    LS_CHECK(eng_child_by_tag(core, &parts) == index);
}

/* Each position against the children that made it; quadratic, so only for small states. */
static void verify_positions(const struct eng_core *core)
{
    for (uint32_t p = 0; p < core->fold.position_count; p++) {
        const struct eng_position *position = &core->positions[p];
        int64_t held = position->forgotten_e8, unsent = 0, closing[2] = {0, 0}, opening[2] = {0, 0};
        uint32_t unknown = 0, flying = 0;
        for (uint32_t i = 0; i < core->fold.child_count; i++) {
            const struct eng_child *child = &core->children[i];
            if (child->position != p || eng_child_is_free(child))
                continue;
            held += child->side == IPC_SIDE_BUY ? child->filled_qty_e8 : -child->filled_qty_e8;
            int64_t *sums = child->flags & ENG_CHILD_EXIT ? closing : opening;
            bool pair = child->sibling != ENG_NONE;
            if (!pair || child->sibling < i) { /* a pair counts once, with the younger one */
                struct eng_claims claims = eng_claims_of(core, child);
                sums[child->side == IPC_SIDE_BUY ? 0 : 1] += claims.all_e8;
                unsent += claims.unsent_e8;
            }
            LS_CHECK(!pair || (core->children[child->sibling].sibling == i &&
                                  core->children[child->sibling].position == p));
            unknown += eng_state_in_doubt(child->state);
            if ((child->flags & ENG_CHILD_EXIT) && child->state == ENG_STATE_SENDING) {
                flying++;
                LS_CHECK(child->decision == position->flying_decision); /* one unanswered batch */
            }
        }
        LS_CHECK(position->flying == flying);
        LS_CHECK(position->held_e8 + position->gone_e8 == held && position->lost_e8 >= 0);
        LS_CHECK(position->closing_e8[0] == closing[0]);
        LS_CHECK(position->closing_e8[1] == closing[1]);
        LS_CHECK(position->unsent_e8 == unsent);
        LS_CHECK(position->opening_e8[0] == opening[0]);
        LS_CHECK(position->opening_e8[1] == opening[1]);
        LS_CHECK(position->unknown_count == unknown);
    }
}

static void verify_queues(const struct eng_core *core)
{
    uint32_t queued = 0, listed = 0;
    for (uint32_t i = 0; i < core->fold.child_count; i++) {
        uint8_t list = core->links[i].list;
        queued += list == ENG_LIST_EXITS || list == ENG_LIST_ENTRIES;
    }
    uint32_t number = core->active_head;
    for (uint32_t seen = 0; seen < core->active_count; seen++) {
        const struct eng_account *account = &core->accounts[number];
        for (int which = 0; which < 2; which++) {
            uint64_t last = 0;
            for (uint32_t at = account->head[which]; at != ENG_NONE; at = core->links[at].next) {
                LS_CHECK(core->children[at].queue_seq > last);
                last = core->children[at].queue_seq;
                listed++;
            }
        }
        number = account->active_next;
    }
    LS_CHECK(number == core->active_head && listed == queued);
}

/* Every position stands in the list of one slot, once; no list is a ring. */
static void verify_slots(const struct eng_core *core)
{
    uint32_t listed = 0, seen = 0;
    for (uint32_t i = 0; i < core->fold.position_count; i++)
        listed += core->positions[i].listed;
    for (uint32_t slot = 0; slot < core->limits.follower_slot_max; slot++) {
        uint32_t at = core->slot_positions[slot];
        for (; at != 0; at = core->slot_position_next[at - 1]) {
            LS_CHECK(at <= core->fold.position_count && core->positions[at - 1].listed == 1);
            LS_CHECK(++seen <= listed);
        }
    }
    LS_CHECK(seen == listed);
}

void eng_core_verify(const struct eng_core *core)
{
    verify_counters(core);
    for (uint32_t i = 0; i < core->fold.child_count; i++)
        verify_child(core, i);
    verify_positions(core);
    verify_slots(core);
    verify_queues(core);
    eng_money_verify(core);
    eng_recon_verify(core);
}
