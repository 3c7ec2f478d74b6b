#include "engine/core/children.h"

#include "engine/core/bracket.h"
#include "engine/core/throttle.h"
#include "engine/core/dedupe.h"
#include "engine/core/flatten_private.h"
#include "engine/core/hand.h"
#include "engine/core/money.h"
#include "engine/core/pace.h"
#include "engine/core/positions.h"
#include "engine/core/reconcile_private.h"

int64_t eng_child_claim_e8(const struct eng_child *child)
{
    if (!eng_state_exposed(child->state))
        return 0;
    int64_t most = ls_max_i64(child->qty_e8, child->known_qty_e8);
    if (child->flags & ENG_CHILD_DOUBT)
        most = ls_max_i64(most, child->asked_qty_e8);
    int64_t rest = most - child->filled_qty_e8;
    return rest > 0 ? rest : 0;
}

struct eng_claims eng_claims_alone(const struct eng_child *child)
{
    struct eng_claims claims = {.all_e8 = eng_child_claim_e8(child)};
    if ((child->flags & ENG_CHILD_EXIT) && eng_state_unsent(child->state))
        claims.unsent_e8 = claims.all_e8;
    return claims;
}

struct eng_claims eng_claims_of(const struct eng_core *core, const struct eng_child *child)
{
    struct eng_claims own = eng_claims_alone(child);
    if (LS_LIKELY(child->sibling == ENG_NONE))
        return own;
    struct eng_claims other = eng_claims_alone(&core->children[child->sibling]);
    int64_t sent = ls_max_i64(own.all_e8 - own.unsent_e8, other.all_e8 - other.unsent_e8);
    int64_t all = ls_max_i64(own.all_e8, other.all_e8);
    return (struct eng_claims){.all_e8 = all, .unsent_e8 = all - sent};
}

struct eng_sending eng_sending_make(
    const struct eng_core *core, uint32_t instrument, int64_t mono_ns, int64_t wall_ns)
{
    struct eng_sending sending = {
        .mono_ns = mono_ns, .wall_ns = wall_ns, .day = (uint16_t)eng_market_day(wall_ns)};
    if (core->view != NULL) {
        const struct ipc_row_instrument *row = eng_instrument_row(core->view, instrument);
        sending.exchange = row == NULL ? 0 : row->exchange;
    }
    return sending;
}

uint32_t eng_child_make(struct eng_core *core, uint32_t order, const struct ipc_fact_child *fact,
    uint32_t position, uint32_t cell)
{
    uint32_t index = eng_child_take(core);
    struct eng_child *child = &core->children[index];
    struct eng_position *copied = &core->positions[position];
    memset(child, 0, sizeof *child);
    child->order = order;
    child->slot = fact->slot;
    child->follower_no = fact->follower_no;
    child->incarnation = fact->incarnation;
    child->action = fact->action;
    child->position = position;
    child->position_older = copied->newest_child;
    child->instrument = copied->instrument;
    child->product = copied->product;
    child->sibling = ENG_NONE;
    child->born_era = (uint16_t)core->fold.era;
    if (LS_UNLIKELY(copied->listed == 0))
        eng_flatten_list(core, position, fact->slot);
    copied->newest_child = index;
    copied->slot = fact->slot;
    core->links[index] = (struct eng_link){.next = ENG_NONE, .previous = ENG_NONE};
    core->settle_next[index] = ENG_NONE;
    eng_child_index(core, index, cell);
    core->orders[order].child_count++;
    return index;
}

/* Where the child's claim counts in its position. */
static int64_t *claim_sum(struct eng_position *position, const struct eng_child *child)
{
    int side = child->side == IPC_SIDE_BUY ? 0 : 1;
    return child->flags & ENG_CHILD_EXIT ? &position->closing_e8[side]
                                         : &position->opening_e8[side];
}

/* A close whose bytes are out and unanswered. One whose outcome nobody knows holds up no other:
 * what it may still fill is taken, the rest of the position is certain (ORDER-SAFETY 3.2 d). */
static bool is_flying(const struct eng_child *child)
{
    return (child->flags & ENG_CHILD_EXIT) && child->state == ENG_STATE_SENDING;
}

/* What of a close counts as ordered for its base: filled and working, but not what is being
 * cancelled, nor what a protective leg may fill some day. */
static int64_t committed_e8(const struct eng_child *child, int64_t claim_e8)
{
    bool leaves = child->queued == IPC_ACTION_CANCEL ||
                  (child->flags & (ENG_CHILD_CANCELLED | ENG_CHILD_PROTECTS));
    return child->filled_qty_e8 + (leaves ? 0 : claim_e8);
}

/* Keeps count of the positions that have a working entry. */
static void count_openings(
    struct eng_core *core, const struct eng_position *position, bool was_opening)
{
    bool is_opening = (position->opening_e8[0] | position->opening_e8[1]) != 0;
    if (is_opening != was_opening)
        core->master_positions[position->master].openings += is_opening ? 1 : UINT32_MAX;
}

/* An opening out of nothing: what an earlier episode left behind does not count any more. */
static void begin_episode(struct eng_position *position)
{
    position->flags = 0;
    position->exit_order = ENG_NONE;
    position->base_run = 0;
    position->base_e8 = position->closed_e8 = 0;
    position->base_no++;
}

/* What the younger leg adds to what the two hold together. */
static void add_to_pair(const struct eng_core *core, struct eng_position *position,
    const struct eng_child *child, int64_t *sum)
{
    struct eng_claims before = eng_claims_alone(&core->children[child->sibling]);
    struct eng_claims claims = eng_claims_of(core, child);
    *sum = eng_add_saturated(*sum, claims.all_e8 - before.all_e8);
    position->unsent_e8 += claims.unsent_e8 - before.unsent_e8;
}

void eng_child_born(struct eng_core *core, uint32_t index)
{
    struct eng_child *child = &core->children[index];
    struct eng_position *position = &core->positions[child->position];
    LS_CHECK(child->state == ENG_STATE_INTENT || child->state == ENG_STATE_SENDING);
    core->fold.counters.placed++;
    core->fold.counters.children_by_state[child->state]++;
    struct eng_slot *slot = &core->slots[child->slot];
    slot->open_orders += slot->follower_no == child->follower_no;
    bool was_opening = (position->opening_e8[0] | position->opening_e8[1]) != 0;
    if (!(child->flags & ENG_CHILD_EXIT)) {
        if (position->held_e8 == 0 && !was_opening && eng_reserved_e8(position) == 0) {
            eng_due_drop(core, child->position);
            begin_episode(position);
        }
        if (LS_LIKELY(position->flatten == 0) || eng_flatten_opens(core, child->position))
            position->flags &= (uint8_t)~ENG_POSITION_FLAT; /* its fills are wanted */
        if (LS_UNLIKELY(child->side != core->orders[child->order].side))
            position->flags |= ENG_POSITION_REVERSED;
    } else if (is_flying(child)) {
        position->flying++;
        position->flying_decision = child->decision;
    }
    child->base_no = position->base_no;
    int64_t *sum = claim_sum(position, child);
    if (LS_UNLIKELY(child->sibling != ENG_NONE)) {
        add_to_pair(core, position, child, sum);
    } else {
        *sum = eng_add_saturated(*sum, child->qty_e8);
        if (LS_UNLIKELY(child->state == ENG_STATE_INTENT) && (child->flags & ENG_CHILD_EXIT))
            position->unsent_e8 += child->qty_e8;
    }
    if ((child->flags & (ENG_CHILD_EXIT | ENG_CHILD_PROTECTS)) == ENG_CHILD_EXIT)
        position->closed_e8 = eng_add_saturated(position->closed_e8, child->qty_e8);
    count_openings(core, position, was_opening);
}

struct eng_child_touch eng_child_begin(struct eng_core *core, uint32_t index)
{
    struct eng_child *child = &core->children[index];
    struct eng_claims claims = eng_claims_of(core, child);
    return (struct eng_child_touch){.child = child,
        .index = index,
        .state = child->state,
        .in_doubt = eng_state_in_doubt(child->state),
        .flying = is_flying(child),
        .committed_e8 = committed_e8(child, claims.all_e8),
        .claim_e8 = claims.all_e8,
        .unsent_e8 = claims.unsent_e8,
        .filled_e8 = child->filled_qty_e8};
}

/* Nothing of it is under way, waiting or uncertain: its decisions have come to their end. */
static bool is_idle(const struct eng_child *child)
{
    return child->flight == 0 && child->queued == 0 && child->waits == 0 &&
           !(child->flags & ENG_CHILD_DOUBT);
}

/* The answer that a decision waited for is here: it is taken now, from the newest joined state. An
 * order whose outcome or terms are unknown has not answered, and one without its broker's id can
 * neither be changed nor cancelled yet. */
static bool may_be_settled(const struct eng_child *child)
{
    if (eng_state_ended(child->state) || eng_state_unsent(child->state))
        return true;
    if (child->flags & ENG_CHILD_REPLACE)
        return false; /* its end counts, with what it filled */
    return child->flight == 0 && child->queued == 0 && !(child->flags & ENG_CHILD_DOUBT) &&
           !eng_state_in_doubt(child->state) && child->broker_order_id[0] != '\0';
}

/* A position of which more is held or less is opening may let its blocked exits go. */
static void unblock(struct eng_core *core, uint32_t position)
{
    const struct eng_position *state = &core->positions[position];
    uint32_t next;
    for (uint32_t at = core->position_blocked[position]; at != ENG_NONE; at = next) {
        next = core->links[at].next;
        struct eng_child *child = &core->children[at];
        if (eng_held_e8(state, child->side) == 0 && eng_coming_e8(state, child->side) > 0)
            continue;
        eng_queue_drop(core, at);
        child->flags &= (uint16_t)~ENG_CHILD_BLOCKED;
        eng_queue_put(core, at, eng_child_account(core, at), ENG_LIST_EXITS);
    }
}

/* The order is over and not all of it filled, without a cancel of ours: a close is not repeated
 * blindly, a person or the next event decides. */
static bool ended_refused(const struct eng_child *child)
{
    switch ((enum eng_state)child->state) {
    case ENG_STATE_REJECTED:
    case ENG_STATE_EXCH_REJECTED:
    case ENG_STATE_EXPIRED:
        return true;
    case ENG_STATE_CANCELLED:
        return !(child->flags & ENG_CHILD_CANCELLED);
    case ENG_STATE_SKIPPED:
        return child->reason != IPC_REASON_SUPERSEDED && child->reason != IPC_REASON_AT_TARGET &&
               child->reason != IPC_REASON_MASTER_REJECTED &&
               child->reason != IPC_REASON_UNKNOWN_PENDING;
    case ENG_STATE_NONE:
    case ENG_STATE_INTENT:
    case ENG_STATE_SENDING:
    case ENG_STATE_ACKED:
    case ENG_STATE_OPEN:
    case ENG_STATE_PARTIAL:
    case ENG_STATE_FILLED:
    case ENG_STATE_NOT_SENT:
    case ENG_STATE_UNKNOWN:
    case ENG_STATE_RECONCILING:
    case ENG_STATE_ADOPTED:
    case ENG_STATE_NOT_PLACED:
    case ENG_STATE_MISSED:
    case ENG_STATE_UNRESOLVED:
        return false;
    }
    return false;
}

/* What a change of a close means for the run of reductions of its position. */
static void carry_close(struct eng_position *position, const struct eng_child_touch *touch,
    const struct eng_child *child, int64_t claim_e8)
{
    if (child->base_no == position->base_no)
        position->closed_e8 += committed_e8(child, claim_e8) - touch->committed_e8;
    bool flying = is_flying(child);
    if (flying != touch->flying) {
        position->flying += flying ? 1 : UINT32_MAX;
        if (flying)
            position->flying_decision = child->decision;
    }
    if (child->state == touch->state || (child->flags & ENG_CHILD_PROTECTS))
        return; /* what a leg did not fill is decided with the legs */
    if (eng_state_ended(child->state) && child->filled_qty_e8 < child->qty_e8) {
        /* What a broker refused to take is refused again: two refused closes of a flat master's
         * position would follow each other for ever. Neither is a follow-up repeated by the next:
         * only a later reduction of the master's takes up what an earlier one did not close. */
        bool rejected =
            child->state == ENG_STATE_REJECTED || child->state == ENG_STATE_EXCH_REJECTED;
        if ((int32_t)(child->decision - position->decision) < 0 &&
            !(rejected && (position->flags & ENG_POSITION_FLAT)))
            position->flags |= ENG_POSITION_WANTS; /* a later one may close what it did not */
        else if (ended_refused(child))
            position->flags |= ENG_POSITION_REFUSED;
    }
    /* After doubt it is derived anew: never placed, or from before the power was cut. */
    if (child->state == ENG_STATE_NOT_PLACED || child->state == ENG_STATE_MISSED ||
        (child->state == ENG_STATE_SKIPPED && child->reason == IPC_REASON_UNKNOWN_PENDING))
        position->flags |= ENG_POSITION_WANTS;
}

/* What a change of an entry means for it: what was counted on and will not come is no part of F0,
 * and a fill after the master went flat is to be closed. */
static void carry_entry(struct eng_position *position, const struct eng_child_touch *touch,
    const struct eng_child *child, int64_t claim_e8)
{
    int64_t filled = child->filled_qty_e8 - touch->filled_e8;
    int64_t lost = touch->claim_e8 - claim_e8 - filled;
    if (lost > 0 && child->base_no != position->base_no && position->base_run != 0)
        position->base_e8 = ls_max_i64(position->base_e8 - lost, 0);
    if (filled > 0)
        position->flags &= (uint8_t)~ENG_POSITION_REFUSED;
}

/* A price guard's limit of an instant that did not fill, or not whole: the rest is drift, and not
 * chased (SEMANTICS 3). */
static void note_slippage(const struct eng_core *core, struct eng_child *child)
{
    bool of_guard = core->orders[child->order].validity != IPC_VALIDITY_IOC;
    if ((child->flags & (ENG_CHILD_EXIT | ENG_CHILD_CANCELLED)) || !of_guard ||
        (child->state != ENG_STATE_CANCELLED && child->state != ENG_STATE_EXPIRED))
        return;
    child->reason = child->filled_qty_e8 > 0 ? IPC_REASON_SLIPPAGE_PARTIAL : IPC_REASON_SLIPPAGE;
}

void eng_child_end(struct eng_core *core, const struct eng_child_touch *touch)
{
    struct eng_child *child = touch->child;
    struct eng_position *position = &core->positions[child->position];
    bool was_opening = (position->opening_e8[0] | position->opening_e8[1]) != 0;

    if (child->state != touch->state) {
        if (LS_UNLIKELY(child->validity == IPC_VALIDITY_IOC))
            note_slippage(core, child);
        core->fold.counters.children_by_state[touch->state]--;
        core->fold.counters.children_by_state[child->state]++;
    }
    struct eng_claims claims = eng_claims_of(core, child);
    int64_t claim = claims.all_e8;
    if (claim != touch->claim_e8) {
        int64_t *sum = claim_sum(position, child);
        *sum = eng_add_saturated(*sum, claim - touch->claim_e8);
        LS_CHECK(*sum >= 0);
    }
    position->unsent_e8 += claims.unsent_e8 - touch->unsent_e8;
    if (child->flags & ENG_CHILD_EXIT)
        carry_close(position, touch, child, claim);
    else
        carry_entry(position, touch, child, claim);
    count_openings(core, position, was_opening);
    bool in_doubt = eng_state_in_doubt(child->state);
    if (in_doubt != touch->in_doubt) {
        struct eng_slot *slot = &core->slots[child->slot];
        uint32_t one = in_doubt ? 1 : UINT32_MAX; /* +1 or -1 */
        position->unknown_count += one;
        if (slot->follower_no == child->follower_no)
            slot->unknown_count += one;
        if (in_doubt)
            eng_recon_doubts(core, touch->index);
    }
    bool ended = eng_state_ended(child->state);
    if (ended != eng_state_ended(touch->state) &&
        core->slots[child->slot].follower_no == child->follower_no)
        core->slots[child->slot].open_orders += ended ? UINT32_MAX : 1;
    if (ended)
        child->flags &= (uint16_t)~ENG_CHILD_DOUBT;
    /* Nothing is left to modify or cancel of an order that ended, and a place whose order was seen
     * alive must not go again. */
    if (child->queued != 0 &&
        (eng_state_ended(child->state) ||
            (child->queued == IPC_ACTION_PLACE && !eng_state_unsent(child->state) &&
                !eng_state_may_go_again(child->state))))
        eng_child_unqueue(core, touch->index);
    if (child->waits && may_be_settled(child))
        eng_settle_put(core, touch->index);
    if (child->acts_open != 0 && is_idle(child)) {
        core->fold.counters.acts_open -= child->acts_open;
        core->fold.counters.acts_settled += child->acts_open;
        child->acts_open = 0;
    }
    if (LS_UNLIKELY(core->position_blocked[child->position] != ENG_NONE))
        unblock(core, child->position);
    if (LS_UNLIKELY(position->flags & ENG_POSITION_PROTECTED) ||
        child->filled_qty_e8 > touch->filled_e8)
        eng_bracket_changed(core, touch);
    eng_hand_look(core, child->position);
    if (LS_UNLIKELY(position->flatten != 0))
        eng_flatten_look(core, child->position);
    eng_position_wants(core, child->position);
    if (LS_UNLIKELY(core->recon_links[touch->index].account != 0 || eng_recon_watches(child)))
        eng_recon_changed(core, touch->index);
    if (!(child->flags & ENG_CHILD_EXIT))
        eng_money_change(core, touch->index, touch->claim_e8);
    if (LS_UNLIKELY(core->controls->values))
        eng_throttle_value(core, touch->index);
}

enum eng_life_action eng_child_live(
    struct eng_core *core, struct eng_child *child, enum eng_life event)
{
    struct eng_life_cell cell = eng_life_cell((enum eng_state)child->state, event);
    switch ((enum eng_life_action)cell.action) {
    case ENG_LIFE_KEEP:
        break;
    case ENG_LIFE_MOVE:
        child->state = cell.next;
        break;
    case ENG_LIFE_LATE:
        core->fold.counters.late_replies++;
        break;
    case ENG_LIFE_GHOST:
        core->fold.counters.ghosts++;
        child->flags |= ENG_CHILD_GHOST;
        child->state = cell.next;
        break;
    case ENG_LIFE_IMPOSSIBLE:
        core->fold.counters.impossible++;
        break;
    }
    return (enum eng_life_action)cell.action;
}

void eng_child_fill(
    struct eng_core *core, struct eng_child *child, int64_t filled_qty_e8, int64_t average_price_e8)
{
    if (filled_qty_e8 <= child->filled_qty_e8)
        return;
    int64_t more = filled_qty_e8 - child->filled_qty_e8;
    int64_t before_qty_e8 = child->filled_qty_e8, before_price_e8 = child->average_price_e8;
    child->filled_qty_e8 = filled_qty_e8;
    child->average_price_e8 = average_price_e8;
    struct eng_position *position = &core->positions[child->position];
    position->held_e8 =
        eng_add_saturated(position->held_e8, child->side == IPC_SIDE_BUY ? more : -more);
    eng_money_fill(core, (uint32_t)(child - core->children), before_qty_e8, before_price_e8);
}

/* --- queue and flight ---------------------------------------------------------------------------
 */

void eng_child_queue(
    struct eng_core *core, uint32_t index, enum ipc_action action, int64_t not_before_mono_ns)
{
    struct eng_child *child = &core->children[index];
    LS_CHECK(child->flight == 0);
    enum eng_list list = action == IPC_ACTION_CANCEL || (child->flags & ENG_CHILD_EXIT)
                             ? ENG_LIST_EXITS
                             : ENG_LIST_ENTRIES;
    child->not_before_mono_ns = not_before_mono_ns;
    if (child->queued == action && core->links[index].list != ENG_LIST_NONE)
        return; /* new terms, same place in the queue */
    eng_queue_drop(core, index);
    child->queued = (uint8_t)action;
    child->queue_seq = ++core->fold.queue_seq;
    if (child->flags & ENG_CHILD_BLOCKED)
        eng_queue_block(core, index);
    else
        eng_queue_put(core, index, eng_child_account(core, index), list);
}

void eng_child_unqueue(struct eng_core *core, uint32_t index)
{
    struct eng_child *child = &core->children[index];
    eng_queue_drop(core, index);
    child->queued = 0;
    child->flags &= (uint16_t)~ENG_CHILD_BLOCKED;
}

void eng_child_fly(struct eng_core *core, uint32_t index, enum ipc_action action,
    const struct eng_sending *sending)
{
    struct eng_child *child = &core->children[index];
    LS_CHECK(child->flight == 0);
    child->flight = (uint8_t)action;
    child->request_no++;
    child->sent_mono_ns = sending->mono_ns;
    child->sent_day = sending->day;
    child->era = (uint16_t)core->fold.era;
    if (action == IPC_ACTION_MODIFY && child->modifications < UINT8_MAX)
        child->modifications++;
    if (action == IPC_ACTION_PLACE)
        child->places++;
    if (action == IPC_ACTION_CANCEL)
        child->flags |= ENG_CHILD_CANCELLED;
    if (core->view != NULL) {
        uint32_t number = eng_child_account(core, index);
        if (number <= core->limits.account_max)
            core->links[index].sent_token_version = core->accounts[number].token_version;
        if (LS_UNLIKELY(core->one_in_flight) && action == IPC_ACTION_PLACE)
            eng_recon_flew(core, number, index);
        eng_pace_note(core, number, sending->exchange, sending->mono_ns, sending->day);
    }
}

void eng_child_learn_id(
    struct eng_core *core, uint32_t index, const char id[IPC_BROKER_ORDER_ID_BYTES])
{
    struct eng_child *child = &core->children[index];
    if (id[0] == '\0' || child->broker_order_id[0] != '\0')
        return;
    memcpy(child->broker_order_id, id, IPC_BROKER_ORDER_ID_BYTES);
    eng_broker_id_index(core, index);
    if (core->view != NULL)
        eng_recon_works(core, eng_child_account(core, index));
}

/* --- settle list --------------------------------------------------------------------------------
 */

void eng_settle_put(struct eng_core *core, uint32_t index)
{
    struct eng_child *child = &core->children[index];
    if (child->flags & ENG_CHILD_SETTLE)
        return;
    child->flags |= ENG_CHILD_SETTLE;
    core->settle_next[index] = ENG_NONE;
    if (core->settle_head == ENG_NONE)
        core->settle_head = index;
    else
        core->settle_next[core->settle_tail] = index;
    core->settle_tail = index;
}

void eng_settle_drop(struct eng_core *core, uint32_t index)
{
    struct eng_child *child = &core->children[index];
    if (!(child->flags & ENG_CHILD_SETTLE))
        return;
    child->flags &= (uint16_t)~ENG_CHILD_SETTLE;
    /* Settled in the order of the list, so it is at the head but for children of a few orders. */
    uint32_t before = ENG_NONE;
    uint32_t at = core->settle_head;
    while (at != index) {
        LS_CHECK(at != ENG_NONE);
        before = at;
        at = core->settle_next[at];
    }
    uint32_t next = core->settle_next[index];
    if (before == ENG_NONE)
        core->settle_head = next;
    else
        core->settle_next[before] = next;
    if (core->settle_tail == index)
        core->settle_tail = before;
}
