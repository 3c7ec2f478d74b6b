#include "engine/core/hand.h"

#include "engine/core/bracket.h"
#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/hash.h"
#include "engine/core/money.h"
#include "engine/core/positions.h"

/* --- what is remembered --------------------------------------------------------------------------
 */

static uint32_t order_cell(const struct eng_core *core, struct ipc_key key, uint64_t *hash)
{
    const struct eng_map *map = &core->hand_order_map;
    *hash = eng_mix(key.word[0] ^ eng_mix(key.word[1]));
    uint32_t at = eng_map_home(map, *hash, 0);
    for (; map->cells[at] != 0; at = eng_map_step(map, at)) {
        if (ipc_key_equal(core->hand_orders[(uint32_t)map->cells[at] - 1].key, key))
            break;
    }
    return at;
}

static uint32_t book_cell(const struct eng_core *core, uint32_t account, uint32_t instrument,
    uint8_t product, uint64_t *hash)
{
    const struct eng_map *map = &core->hand_book_map;
    *hash = eng_mix(eng_mix(((uint64_t)account << 32) | instrument) + product);
    uint32_t at = eng_map_home(map, *hash, 0);
    for (; map->cells[at] != 0; at = eng_map_step(map, at)) {
        const struct eng_hand_book *book = &core->hand_books[(uint32_t)map->cells[at] - 1];
        if (book->account == account && book->instrument == instrument && book->product == product)
            break;
    }
    return at;
}

static int64_t filled_before_e8(const struct eng_core *core, struct ipc_key key, bool *is_known)
{
    uint64_t hash;
    uint64_t cell = core->hand_order_map.cells[order_cell(core, key, &hash)];
    *is_known = cell != 0;
    return cell == 0 ? 0 : core->hand_orders[(uint32_t)cell - 1].filled_e8;
}

static int64_t net_before_e8(const struct eng_core *core, const struct ipc_event *event)
{
    uint64_t hash;
    uint32_t at = book_cell(core, event->account, event->instrument, event->product, &hash);
    uint64_t cell = core->hand_book_map.cells[at];
    return cell == 0 ? 0 : core->hand_books[(uint32_t)cell - 1].net_e8;
}

/* --- deciding ------------------------------------------------------------------------------------
 */

/* What of a position an order of this side can take away: held on the other side and what own
 * working entries may still bring to it, less what is lost already. */
static int64_t takes_e8(const struct eng_position *position, uint8_t side)
{
    int64_t all = eng_add_saturated(eng_held_e8(position, side), eng_coming_e8(position, side));
    return ls_max_i64(all - position->lost_e8, 0);
}

static bool is_held_by(const struct eng_position *position, uint8_t side)
{
    return side == IPC_SIDE_BUY ? position->held_e8 > 0 : position->held_e8 < 0;
}

/* Gives the next part of a fill to one position: found again, or lost.
 *   finds  only what was lost before is looked for */
static void book_position(const struct eng_position *position, uint8_t side, bool finds,
    int64_t *left_e8, struct ipc_fact_account *fact)
{
    int64_t part =
        finds ? (is_held_by(position, side) ? position->lost_e8 : 0) : takes_e8(position, side);
    part = ls_min_i64(part, *left_e8);
    if (part <= 0 || fact->change_count == IPC_ACCOUNT_CHANGES)
        return; /* what cannot be named is taken for the owner's own */
    *left_e8 -= part;
    fact->changes[fact->change_count++] =
        (struct ipc_account_change){.follower_no = position->follower_no,
            .source = position->source,
            .incarnation = position->incarnation,
            .lost_e8 = position->lost_e8 + (finds ? -part : part)};
}

static void book_positions(const struct eng_core *core, const struct ipc_event *event, bool finds,
    int64_t *left_e8, struct ipc_fact_account *fact)
{
    const struct ipc_snapshot_view *view = core->view;
    const struct eng_account *account = &core->accounts[event->account];
    /* An account has one subscription, or several behind the first of them. */
    uint32_t last = account->flags & ENG_ACCOUNT_SHARED ? view->follower_slots : account->slot;
    for (uint32_t slot = account->slot; slot != 0 && slot <= last && *left_e8 > 0; slot++) {
        const struct ipc_row_follower *row = &view->followers[slot - 1];
        if (row->follower_no == 0 || row->account != event->account)
            continue;
        uint32_t at = core->slot_positions[slot - 1];
        for (; at != 0 && *left_e8 > 0; at = core->slot_position_next[at - 1]) {
            const struct eng_position *position = &core->positions[at - 1];
            if (position->follower_no == row->follower_no &&
                position->instrument == event->instrument && position->product == event->product)
                book_position(position, event->side, finds, left_e8, fact);
        }
    }
}

/* What was lost is found first, then what he trades for himself is closed, then it takes what was
 * copied, and the rest is his own. */
static void book_fill(const struct eng_core *core, const struct ipc_event *event, int64_t more_e8,
    struct ipc_fact_account *fact)
{
    bool buys = event->side == IPC_SIDE_BUY;
    int64_t left = more_e8;
    book_positions(core, event, true, &left, fact);
    int64_t against = buys ? -fact->net_e8 : fact->net_e8;
    int64_t own = ls_min_i64(left, ls_max_i64(against, 0));
    fact->net_e8 += buys ? own : -own;
    left -= own;
    uint32_t found = fact->change_count;
    if (left > 0)
        book_positions(core, event, false, &left, fact);
    fact->loses = fact->change_count > found;
    fact->net_e8 = eng_add_saturated(fact->net_e8, buys ? left : -left);
}

static void alarm(struct eng_event_facts *out, enum ipc_alarm kind, uint32_t account,
    const char *text, size_t bytes)
{
    LS_CHECK(out->count < ENG_EVENT_FACTS_MAX);
    out->fact[out->count].type = IPC_FACT_ALARM;
    out->fact[out->count].bytes = sizeof(struct ipc_fact_alarm);
    struct ipc_fact_alarm *fact = &out->fact[out->count++].alarm;
    *fact = (struct ipc_fact_alarm){.alarm = (uint32_t)kind, .account = account};
    memcpy(fact->text, text, bytes < sizeof fact->text ? bytes : sizeof fact->text - 1);
}

#define ALARM(out, kind, account, text) alarm(out, kind, account, text, sizeof(text))

void eng_hand_step(
    const struct eng_core *core, const struct ipc_event *event, struct eng_event_facts *out)
{
    bool is_known;
    int64_t before = filled_before_e8(core, event->order_key, &is_known);
    if (event->filled_qty_e8 <= before || event->filled_qty_e8 > ENG_QTY_MAX_E8 ||
        event->instrument == 0)
        return;
    if (!is_known && core->fold.hand_order_count >= eng_hand_orders_max(&core->limits)) {
        ALARM(out, IPC_ALARM_CAPACITY, event->account,
            "the table of orders by hand is full: closes are not clamped by it");
        return;
    }
    struct ipc_fact_account fact = {.order_key = event->order_key,
        .account = event->account,
        .instrument = event->instrument,
        .product = event->product,
        .side = event->side,
        .is_base = core->account_folds[event->account].book == 1 &&
                   (event->flags & IPC_EVENT_FROM_BOOK) != 0,
        .filled_qty_e8 = event->filled_qty_e8,
        .average_price_e8 = event->average_price_e8,
        .net_e8 = net_before_e8(core, event)};
    memcpy(fact.broker_order_id, event->broker_order_id, sizeof fact.broker_order_id);
    if (!fact.is_base)
        book_fill(core, event, event->filled_qty_e8 - before, &fact);
    out->fact[out->count].type = IPC_FACT_ACCOUNT;
    out->fact[out->count].bytes = sizeof fact;
    out->fact[out->count++].account = fact;
    if (fact.loses)
        ALARM(out, IPC_ALARM_POSITION, event->account,
            "its owner closed by hand what was copied: closes are smaller by it");
}

/* --- apply ---------------------------------------------------------------------------------------
 */

static int64_t abs_e8(int64_t value)
{
    return value < 0 ? -value : value;
}

void eng_hand_look_lost(struct eng_core *core, uint32_t index)
{
    struct eng_position *position = &core->positions[index];
    uint8_t side = eng_closing_side(position);
    int64_t coming = side == 0 ? eng_add_saturated(position->opening_e8[0], position->opening_e8[1])
                               : eng_coming_e8(position, side);
    int64_t held = abs_e8(position->held_e8);
    position->lost_e8 = ls_min_i64(position->lost_e8, eng_add_saturated(held, coming));
    if (position->lost_e8 < held || coming != 0 || eng_reserved_e8(position) != 0 || held == 0)
        return;
    eng_money_write_off(core, index);
    position->gone_e8 += position->held_e8;
    position->held_e8 = position->lost_e8 = 0;
}

/* What works of its closes is looked at again: it may be more than there is. */
static void ask_closes(struct eng_core *core, uint32_t index)
{
    const struct eng_position *position = &core->positions[index];
    for (uint32_t at = position->newest_child; at != ENG_NONE && eng_reserved_e8(position) != 0;
         at = core->children[at].position_older) {
        const struct eng_child *child = &core->children[at];
        if ((child->flags & (ENG_CHILD_EXIT | ENG_CHILD_PROTECTS)) == ENG_CHILD_EXIT &&
            !eng_state_ended(child->state) && child->type != IPC_TYPE_MARKET)
            eng_settle_put(core, at);
    }
    if (position->flags & ENG_POSITION_PROTECTED)
        eng_bracket_look(core, index);
}

static uint32_t position_of(const struct eng_core *core, const struct ipc_fact_account *fact,
    const struct ipc_account_change *change)
{
    return eng_position_of(core, change->follower_no, change->incarnation, change->source,
        fact->instrument, fact->product);
}

static bool fits(const struct eng_core *core, const struct ipc_fact_account *fact, bool is_known,
    int64_t before_e8)
{
    if (fact->account == 0 || fact->account > core->limits.account_max ||
        !ipc_side_valid(fact->side) || !ipc_product_valid(fact->product) ||
        fact->filled_qty_e8 <= before_e8 || fact->change_count > IPC_ACCOUNT_CHANGES ||
        (!is_known && core->fold.hand_order_count >= eng_hand_orders_max(&core->limits)))
        return false;
    for (uint32_t i = 0; i < fact->change_count; i++) {
        if (fact->changes[i].lost_e8 < 0 || position_of(core, fact, &fact->changes[i]) == ENG_NONE)
            return false;
    }
    return true;
}

static void note_order(struct eng_core *core, const struct ipc_fact_account *fact)
{
    uint64_t hash;
    uint64_t *cell = &core->hand_order_map.cells[order_cell(core, fact->order_key, &hash)];
    if (*cell == 0) {
        uint32_t index = core->fold.hand_order_count++;
        core->hand_orders[index] = (struct eng_hand_order){.key = fact->order_key};
        *cell = eng_map_cell(hash, index);
    }
    core->hand_orders[(uint32_t)*cell - 1].filled_e8 = fact->filled_qty_e8;
    cell = &core->hand_book_map
                .cells[book_cell(core, fact->account, fact->instrument, fact->product, &hash)];
    if (*cell == 0) { /* never more of them than of orders */
        uint32_t index = core->fold.hand_book_count++;
        core->hand_books[index] = (struct eng_hand_book){
            .account = fact->account, .instrument = fact->instrument, .product = fact->product};
        *cell = eng_map_cell(hash, index);
    }
    core->hand_books[(uint32_t)*cell - 1].net_e8 = fact->net_e8;
}

enum ipc_rc eng_hand_apply(struct eng_core *core, const struct eng_frame *frame)
{
    const struct ipc_fact_account *fact = frame->payload;
    bool is_known;
    int64_t before = filled_before_e8(core, fact->order_key, &is_known);
    if (frame->payload_bytes != sizeof *fact || !fits(core, fact, is_known, before))
        return IPC_BAD_INPUT;
    note_order(core, fact);
    for (uint32_t i = 0; i < fact->change_count; i++) {
        uint32_t index = position_of(core, fact, &fact->changes[i]);
        bool more = fact->changes[i].lost_e8 > core->positions[index].lost_e8;
        core->positions[index].lost_e8 = fact->changes[i].lost_e8;
        eng_hand_look(core, index);
        if (more)
            ask_closes(core, index);
        eng_position_wants(core, index);
    }
    return IPC_OK;
}

uint64_t eng_hand_hash(const struct eng_core *core, uint64_t hash)
{
    const struct eng_fold *fold = &core->fold;
    hash = eng_hash(hash, core->hand_orders, fold->hand_order_count * sizeof *core->hand_orders);
    return eng_hash(hash, core->hand_books, fold->hand_book_count * sizeof *core->hand_books);
}
