#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/engine/core/core_world.h"

#include "ipc/prng.h"

#include <stdlib.h>
#include <string.h>

/* Random days against two naive models in another style: a broker that knows only what it was
 * sent, and an accountant who sizes every decision from scratch by walking over all children.
 *
 * The master's states are delivered late, twice and out of order; answers are lost, refused,
 * contradicted by nothing; rows, switches and connections change at any moment; the process dies.
 * Checked: never a second live order of a tag, never above a cap, no exit beyond what is held,
 * every decision as the accountant says, conservation and the fold after every day, and that all
 * settles when the faults stop. */

#define E8(units)   ((int64_t)(units)*LS_E8)
#define FOLLOWERS   8
#define DAYS        100
#define STEPS       500
#define FIRST_SEED  UINT64_C(20261121)
#define ORDERS_MAX  512
#define CHILDREN    8192
#define PENDING_MAX 4096

/* The master's order as it really is, and the states of it that are still to be delivered. */
struct truth_order {
    struct ipc_event event;
    bool ended;
};

/* One follower order at the broker. */
struct truth_child {
    bool exists, ended, is_exit;
    uint32_t follower_no, slot, instrument;
    uint8_t product;
    int64_t qty_e8, filled_e8;
    enum ipc_status status;
};

struct day {
    struct world world;
    struct ipc_prng prng;
    uint64_t seed;
    struct truth_order orders[ORDERS_MAX];
    uint32_t order_count;
    struct ipc_event pending[PENDING_MAX];
    uint32_t pending_count;
    struct ipc_event delivered[PENDING_MAX];
    uint32_t delivered_count;
    struct truth_child book[CHILDREN]; /* by child handle */
    uint32_t answered;                 /* commands that the broker has seen */
    uint32_t decisions, entries, exits;
};

static uint64_t roll(struct day *day, uint64_t bound)
{
    return ipc_prng_below(&day->prng, bound);
}

static bool chance(struct day *day, uint64_t hits, uint64_t of)
{
    return ipc_prng_chance(&day->prng, hits, of);
}

#define REQUIRE(day, condition)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("seed %llu: %s", (unsigned long long)(day)->seed, #condition);                \
    } while (0)

/* --- the accountant
 * ----------------------------------------------------------------------------------- */

struct account_of {
    int64_t held, closing, opening;
    int64_t buys, sells; /* all that may still fill, entries and exits, by side */
    bool doubt;
};

static bool may_fill(enum eng_state state)
{
    return state == ENG_STATE_INTENT || state == ENG_STATE_NOT_SENT || state == ENG_STATE_SENDING ||
           state == ENG_STATE_ACKED || state == ENG_STATE_OPEN || state == ENG_STATE_PARTIAL ||
           state == ENG_STATE_UNKNOWN || state == ENG_STATE_ADOPTED;
}

static struct account_of add_up(
    const struct world *world, uint32_t follower_no, uint32_t instrument, uint8_t product)
{
    struct account_of sum = {0};
    struct eng_child_view child;
    for (uint32_t i = 0; eng_core_child(world->core, i, &child); i++) {
        if (child.follower_no != follower_no || child.instrument != instrument)
            continue;
        if (child.state == ENG_STATE_UNKNOWN)
            sum.doubt = true;
        if (child.product != product)
            continue;
        sum.held += child.side == IPC_SIDE_BUY ? child.filled_qty_e8 : -child.filled_qty_e8;
        int64_t rest = child.qty_e8 - child.filled_qty_e8;
        if (may_fill((enum eng_state)child.state) && rest > 0) {
            *(child.is_exit ? &sum.closing : &sum.opening) += rest;
            *(child.side == IPC_SIDE_BUY ? &sum.buys : &sum.sells) += rest;
        }
    }
    return sum;
}

static int64_t whole_lots(int64_t qty, int64_t lot)
{
    int64_t lots = 0;
    lots = qty / lot;
    return lots * lot;
}

static bool listed(const struct world *world, uint32_t list, uint32_t instrument)
{
    for (uint32_t i = 0; i < world->lists[list - 1].count; i++) {
        if (world->list_items[world->lists[list - 1].first + i] == instrument)
            return true;
    }
    return false;
}

/* What the entry should be: the quantity, or a reason with quantity 0. Plain steps, no sharing. */
static enum ipc_reason naive_entry(struct day *day, uint32_t slot, const struct ipc_event *order,
    const struct eng_batch_sample *sample, const struct eng_follower_sample *own, int64_t *qty)
{
    struct world *world = &day->world;
    const struct ipc_row_follower *row = &world->followers[slot];
    const struct ipc_row_account *account = &world->accounts[row->account - 1];
    const struct ipc_row_instrument *instrument = &world->instruments[order->instrument - 1];
    bool market = order->price_e8 == 0;
    int64_t limit_ms = market ? 2000 : 5000;
    int64_t lot = instrument->lot_qty_e8;
    enum ipc_reason reduced = IPC_REASON_NONE;
    *qty = 0;
    if (sample->switch_word != 0 || own->switch_word != 0)
        return IPC_REASON_KILL_SWITCH;
    if (!sample->journal_takes_entries)
        return IPC_REASON_JOURNAL;
    if (!(row->flags & IPC_FOLLOWER_ENABLED))
        return IPC_REASON_FOLLOWER_DISABLED;
    if (row->flags & IPC_FOLLOWER_PAUSED)
        return IPC_REASON_COPY_PAUSED;
    if (account->token_bytes == 0)
        return IPC_REASON_SESSION_EXPIRED;
    if (row->sides != 0 && (row->sides & (1 << order->side)) == 0)
        return IPC_REASON_SIDE_NOT_ALLOWED;
    if (row->allowed_list != 0 && !listed(world, row->allowed_list, order->instrument))
        return IPC_REASON_SYMBOL_NOT_ALLOWED;
    if (row->denied_list != 0 && listed(world, row->denied_list, order->instrument))
        return IPC_REASON_SYMBOL_NOT_ALLOWED;
    if (row->products != 0 && (row->products & (1 << order->product)) == 0)
        return IPC_REASON_PRODUCT_NOT_ALLOWED;
    if (row->types != 0 && (row->types & (1 << order->type)) == 0)
        return IPC_REASON_ORDER_TYPE_NOT_ALLOWED;
    if (sample->now_mono_ns - order->received_mono_ns > limit_ms * 1000000)
        return IPC_REASON_STALE_EVENT;
    bool fresh =
        sample->price_e8 > 0 && sample->now_mono_ns - sample->price_mono_ns <= INT64_C(5000000000);
    __int128 raw;
    if (row->mode == IPC_MODE_FIXED_RATIO) {
        raw = (__int128)order->qty_e8 * row->ratio_e8 / LS_E8;
    } else if (row->mode == IPC_MODE_FIXED_QUANTITY) {
        raw = row->fixed_qty_e8;
    } else {
        if (own->capital_mono_ns == 0)
            return IPC_REASON_CAPITAL_UNKNOWN;
        if (sample->now_mono_ns - own->capital_mono_ns > INT64_C(60000000000))
            return IPC_REASON_STALE_ACCOUNT_DATA;
        if (market && !fresh)
            return IPC_REASON_PRICE_UNKNOWN;
        raw = (__int128)own->capital_e8 * row->ratio_e8 / 100 /
              (market ? sample->price_e8 : order->price_e8);
    }
    int64_t amount = whole_lots((int64_t)raw, lot);
    if (amount == 0)
        return lot > LS_E8 ? IPC_REASON_SUB_LOT : IPC_REASON_QTY_ZERO;
    if (row->max_qty_e8 != 0 && amount > row->max_qty_e8) {
        if (row->flags & IPC_FOLLOWER_CAP_SKIPS)
            return IPC_REASON_MAX_QTY;
        reduced = IPC_REASON_MAX_QTY_CAPPED;
        amount = whole_lots(row->max_qty_e8, lot);
        if (amount == 0)
            return reduced;
    }
    struct account_of sum = add_up(world, row->follower_no, order->instrument, order->product);
    if (row->max_position_e8 != 0) {
        int64_t used = llabs(sum.held) + sum.opening;
        if (used < sum.held + sum.buys) /* a buy to close that finds nothing short opens */
            used = sum.held + sum.buys;
        if (used < sum.sells - sum.held)
            used = sum.sells - sum.held;
        int64_t room = row->max_position_e8 - used;
        room = room < 0 ? 0 : whole_lots(room, lot);
        if (amount > room) {
            if (room == 0)
                return IPC_REASON_MAX_POSITION_REDUCED;
            if (reduced == IPC_REASON_NONE)
                reduced = IPC_REASON_MAX_POSITION_REDUCED;
            amount = room;
        }
    }
    if (row->max_order_value_e8 != 0) {
        if (market && !fresh)
            return IPC_REASON_PRICE_UNKNOWN;
        int64_t price = market ? sample->price_e8 : order->price_e8;
        if ((__int128)amount * price > (__int128)row->max_order_value_e8 * LS_E8) {
            if (!(row->flags & IPC_FOLLOWER_VALUE_REDUCES))
                return IPC_REASON_MAX_ORDER_VALUE;
            /* one lot less at a time would be the definition; this is its closed form */
            amount = whole_lots((int64_t)((__int128)row->max_order_value_e8 * LS_E8 / price), lot);
            if (amount == 0)
                return IPC_REASON_MAX_ORDER_VALUE;
            if (reduced == IPC_REASON_NONE)
                reduced = IPC_REASON_MAX_ORDER_VALUE_REDUCED;
        }
    }
    if (sum.doubt)
        return IPC_REASON_UNKNOWN_PENDING;
    if (order->side == IPC_SIDE_SELL)
        return IPC_REASON_SHORT_NOT_ALLOWED;
    if (market && row->broker == 1 && !fresh)
        return IPC_REASON_PRICE_UNKNOWN;
    if (instrument->freeze_qty_e8 != 0 && amount > 20 * whole_lots(instrument->freeze_qty_e8, lot))
        return IPC_REASON_TOO_MANY_SLICES;
    *qty = amount;
    return reduced;
}

/* The state that the core has joined so far, found again by joining everything that was delivered.
 */
static bool newest(const struct day *day, struct ipc_key key, struct ipc_event *out)
{
    bool found = false;
    for (uint32_t i = 0; i < day->delivered_count; i++) {
        const struct ipc_event *event = &day->delivered[i];
        if (!ipc_key_equal(event->order_key, key))
            continue;
        if (!found || event->version > out->version) {
            uint8_t status = found && out->status > event->status ? out->status : event->status;
            int64_t filled = found && out->filled_qty_e8 > event->filled_qty_e8
                                 ? out->filled_qty_e8
                                 : event->filled_qty_e8;
            *out = *event;
            out->status = status;
            out->filled_qty_e8 = filled;
        } else {
            if (event->status > out->status)
                out->status = event->status;
            if (event->filled_qty_e8 > out->filled_qty_e8)
                out->filled_qty_e8 = event->filled_qty_e8;
        }
        found = true;
    }
    return found;
}

/* The element is the opening part of a reversal. */
static bool opens(const struct ipc_fact_batch *fact, uint32_t at)
{
    const struct ipc_fact_wide *wides = ipc_fact_batch_wides(fact);
    for (uint32_t i = 0; i < fact->wide_count; i++) {
        if (wides[i].at == at)
            return (wides[i].flags & IPC_WIDE_OPEN_LEG) != 0;
    }
    return false;
}

static void check_batch(struct world *world, const struct eng_batch *batch,
    const struct eng_batch_sample *sample, const struct eng_follower_sample *samples,
    const struct ipc_fact_batch *fact, const struct ipc_fact_child *children, void *context)
{
    struct day *day = context;
    struct ipc_event order = {0};
    REQUIRE(day, newest(day, fact->order_key, &order));
    if (batch->ends_wave)
        return;
    uint32_t visit = 0;
    for (uint32_t i = 0, next; i < fact->child_count; i = next, visit++) {
        day->decisions++;
        const struct ipc_fact_child *child = &children[i];
        int64_t total = 0;
        bool placed = false;
        for (next = i; next < fact->child_count && children[next].slot == child->slot; next++) {
            bool is_place = children[next].kind == IPC_CHILD_PLACE ||
                            children[next].kind == IPC_CHILD_PLACE_QUEUED;
            placed = placed || is_place;
            total += is_place ? children[next].qty_e8 : 0;
        }
        if (batch->transition != IPC_TRANSITION_NEW || child->reason == IPC_REASON_DUPLICATE_EVENT)
            continue;
        struct account_of sum = add_up(world, child->follower_no, order.instrument, order.product);
        if (fact->is_exit) {
            if (!placed || opens(fact, i))
                continue;
            day->exits++;
            /* never more than is held, or will be, less what closes already */
            REQUIRE(day, total <= sum.held + sum.opening - sum.closing || sum.held <= 0);
            REQUIRE(day, sum.held > 0 || child->kind == IPC_CHILD_PLACE_QUEUED);
            if (child->kind == IPC_CHILD_PLACE)
                REQUIRE(day, total <= sum.held - sum.closing);
            continue;
        }
        if (order.status > IPC_STATUS_FILLED || child->reason == IPC_REASON_SUPERSEDED) {
            REQUIRE(day, !placed);
            continue;
        }
        int64_t qty;
        enum ipc_reason reason =
            naive_entry(day, child->slot, &order, sample, &samples[visit], &qty);
        if (placed)
            day->entries++;
        if (child->reason != reason || placed != (qty != 0) || (placed && total != qty))
            fail_msg("seed %llu: follower %u: %s %lld, the accountant says %s %lld",
                (unsigned long long)day->seed, child->follower_no,
                ipc_reason_name((enum ipc_reason)child->reason), (long long)total,
                ipc_reason_name(reason), (long long)qty);
    }
}

/* --- the broker
 * ----------------------------------------------------------------------------------------- */

static int64_t truly_held(const struct day *day, const struct truth_child *like, int64_t *closing)
{
    int64_t held = 0;
    *closing = 0;
    for (uint32_t i = 0; i < CHILDREN; i++) {
        const struct truth_child *child = &day->book[i];
        if (child->follower_no != like->follower_no || child->instrument != like->instrument ||
            child->product != like->product)
            continue;
        held += child->is_exit ? -child->filled_e8 : child->filled_e8;
        if (child->exists && child->is_exit && !child->ended)
            *closing += child->qty_e8 - child->filled_e8;
    }
    return held;
}

static void broker_places(struct day *day, const struct ipc_command *command)
{
    struct truth_child *child = &day->book[command->child];
    const struct ipc_row_follower *row = &day->world.followers[command->slot];
    REQUIRE(day, !child->exists); /* never a second live order of one tag */
    *child = (struct truth_child){.exists = true,
        .is_exit = command->side == IPC_SIDE_SELL,
        .follower_no = row->follower_no,
        .slot = command->slot,
        .instrument = command->instrument,
        .product = command->product,
        .qty_e8 = command->qty_e8,
        .status = IPC_STATUS_OPEN};
    int64_t closing;
    int64_t held = truly_held(day, child, &closing);
    if (child->is_exit) {
        REQUIRE(day, closing <= held); /* even if all of them fill, nothing turns round */
    } else {
        REQUIRE(day, row->max_qty_e8 == 0 || command->qty_e8 <= row->max_qty_e8);
    }
    REQUIRE(
        day, command->qty_e8 % day->world.instruments[command->instrument - 1].lot_qty_e8 == 0 ||
                 child->is_exit);
}

static void broker_sees(struct day *day, const struct ipc_command *command, bool faults)
{
    struct truth_child *child = &day->book[command->child];
    bool taken = !faults || !chance(day, 1, 4);
    enum ipc_outcome_class outcome = IPC_OUTCOME_ACKED;
    enum ipc_evidence evidence = IPC_EVIDENCE_REPLY;
    if (taken) {
        if (command->action == IPC_ACTION_PLACE) {
            broker_places(day, command);
        } else if (child->ended) {
            outcome = IPC_OUTCOME_REJECTED;
        } else if (command->action == IPC_ACTION_MODIFY) {
            child->qty_e8 = command->qty_e8 > child->filled_e8 ? command->qty_e8 : child->filled_e8;
        } else {
            child->ended = true;
            child->status = IPC_STATUS_CANCELLED;
        }
        if (faults && chance(day, 1, 6)) {
            outcome = IPC_OUTCOME_UNKNOWN; /* done, and the answer is lost */
            evidence = IPC_EVIDENCE_TIMEOUT;
        }
    } else {
        static const enum ipc_outcome_class refusals[] = {IPC_OUTCOME_REJECTED,
            IPC_OUTCOME_NOT_SENT, IPC_OUTCOME_NOT_SENT, IPC_OUTCOME_LIMITED, IPC_OUTCOME_UNKNOWN};
        outcome = refusals[roll(day, LS_COUNT_OF(refusals))];
        if (outcome == IPC_OUTCOME_NOT_SENT)
            evidence = chance(day, 1, 2) ? IPC_EVIDENCE_NO_BYTES : IPC_EVIDENCE_GOAWAY;
    }
    if (outcome == IPC_OUTCOME_ACKED)
        world_ack(&day->world, command);
    else
        world_reply(&day->world, command, outcome, evidence, NULL);
}

static void broker_fills(struct day *day, struct truth_child *child)
{
    if (!child->exists || child->ended)
        return;
    int64_t units = (child->qty_e8 - child->filled_e8) / LS_E8;
    child->filled_e8 += E8(1 + (int64_t)roll(day, (uint64_t)(units > 0 ? units : 1)));
    if (child->filled_e8 >= child->qty_e8) {
        child->filled_e8 = child->qty_e8;
        child->ended = true;
        child->status = IPC_STATUS_FILLED;
    }
}

static void broker_publishes(struct day *day, uint32_t index)
{
    const struct truth_child *child = &day->book[index];
    if (child->exists)
        (void)world_update(&day->world, index, child->status, child->filled_e8 / LS_E8, E8(100));
}

/* --- the master
 * ------------------------------------------------------------------------------------------- */

static void publish(struct day *day, struct ipc_event event)
{
    event.version = ++day->world.version;
    event.received_mono_ns = 0;
    if (day->pending_count < PENDING_MAX)
        day->pending[day->pending_count++] = event;
}

static void master_acts(struct day *day)
{
    struct world *world = &day->world;
    if (day->order_count < ORDERS_MAX && (day->order_count == 0 || chance(day, 2, 5))) {
        bool sells = chance(day, 2, 5);
        bool market = chance(day, 1, 4);
        uint32_t instrument = chance(day, 1, 2) ? 1 : 1 + (uint32_t)roll(day, 4);
        int64_t lot = world->instruments[instrument - 1].lot_qty_e8 / LS_E8;
        struct ipc_event event = world_order(world, sells ? IPC_SIDE_SELL : IPC_SIDE_BUY,
            lot * (1 + (int64_t)roll(day, 40)), market ? 0 : E8(90 + (int64_t)roll(day, 20)));
        event.instrument = instrument;
        event.product = chance(day, 1, 5) ? IPC_PRODUCT_CNC : IPC_PRODUCT_MIS;
        struct truth_order *order = &day->orders[day->order_count++];
        order->event = event;
        publish(day, event);
        return;
    }
    struct truth_order *order = &day->orders[roll(day, day->order_count)];
    if (order->ended)
        return;
    switch (roll(day, 5)) {
    case 0:
        if (order->event.price_e8 != 0)
            order->event.price_e8 = E8(90 + (int64_t)roll(day, 20));
        break;
    case 1: {
        int64_t lot = world->instruments[order->event.instrument - 1].lot_qty_e8;
        int64_t least = order->event.filled_qty_e8 / lot + 1;
        order->event.qty_e8 = lot * (least + (int64_t)roll(day, 30));
        break;
    }
    case 2:
    case 3: {
        int64_t rest = (order->event.qty_e8 - order->event.filled_qty_e8) / LS_E8;
        order->event.filled_qty_e8 += E8(1 + (int64_t)roll(day, (uint64_t)rest));
        order->event.average_price_e8 = E8(100);
        if (order->event.filled_qty_e8 >= order->event.qty_e8) {
            order->event.filled_qty_e8 = order->event.qty_e8;
            order->event.status = IPC_STATUS_FILLED;
            order->ended = true;
        }
        break;
    }
    default:
        order->event.status = chance(day, 1, 4) ? IPC_STATUS_REJECTED : IPC_STATUS_CANCELLED;
        order->ended = true;
        break;
    }
    publish(day, order->event);
}

static void deliver(struct day *day, uint32_t at, bool keep)
{
    struct ipc_event event = day->pending[at];
    event.received_mono_ns = day->world.now_mono_ns;
    struct eng_event_facts facts;
    eng_step_event(day->world.core, &event, 0, 0, day->world.now_mono_ns, &facts);
    if (facts.retry_later)
        return;
    /* The terms' time is of their first sight: a repeated delivery is not younger. */
    bool known = false;
    for (uint32_t i = 0; i < day->delivered_count; i++)
        known = known || (ipc_key_equal(day->delivered[i].order_key, event.order_key) &&
                             day->delivered[i].version == event.version);
    if (!known && day->delivered_count < PENDING_MAX) {
        struct ipc_event noted = event;
        struct ipc_event before;
        if (newest(day, event.order_key, &before) && event.version > before.version &&
            before.qty_e8 == event.qty_e8 && before.price_e8 == event.price_e8)
            noted.received_mono_ns = before.received_mono_ns;
        day->delivered[day->delivered_count++] = noted;
    }
    (void)world_event(&day->world, &event);
    if (!keep)
        day->pending[at] = day->pending[--day->pending_count];
}

/* --- the day
 * ------------------------------------------------------------------------------------------------
 */

static void random_row(struct day *day, uint32_t slot)
{
    struct ipc_row_follower *row = &day->world.followers[slot];
    row->mode = (uint8_t)(1 + roll(day, 3));
    row->flags = IPC_FOLLOWER_ENABLED;
    row->ratio_e8 = (int64_t)roll(day, 3 * LS_E8);
    if (row->mode == IPC_MODE_PERCENTAGE)
        row->ratio_e8 = E8(1 + (int64_t)roll(day, 50));
    row->fixed_qty_e8 = E8((int64_t)roll(day, 200));
    /* caps stay for the day, so that the broker's checks know them */
    if (day->world.view.generation == 1 && chance(day, 1, 3))
        row->max_qty_e8 = E8(1 + (int64_t)roll(day, 300));
    row->max_order_value_e8 = chance(day, 1, 3) ? E8(1000 + (int64_t)roll(day, 100000)) : 0;
    row->max_position_e8 = chance(day, 1, 3) ? E8(1 + (int64_t)roll(day, 2000)) : 0;
    if (chance(day, 1, 12))
        row->flags |= IPC_FOLLOWER_PAUSED;
    if (chance(day, 1, 16))
        row->flags = 0;
    if (chance(day, 1, 3))
        row->flags |= IPC_FOLLOWER_CAP_SKIPS;
    if (chance(day, 1, 2))
        row->flags |= IPC_FOLLOWER_VALUE_REDUCES;
    row->allowed_list = chance(day, 1, 12) ? 1 : 0;
    row->denied_list = chance(day, 1, 12) ? 2 : 0;
    row->sides = chance(day, 1, 16) ? 1 << IPC_SIDE_SELL : 0;
    row->products = chance(day, 1, 16) ? 1 << IPC_PRODUCT_MIS : 0;
    row->types = chance(day, 1, 16) ? 1 << IPC_TYPE_LIMIT : 0;
    day->world.capital_e8[slot] = E8(1000 + (int64_t)roll(day, 1000000));
    day->world.capital_mono_ns[slot] = chance(day, 1, 6) ? 0 : day->world.now_mono_ns;
    day->world.accounts[row->account - 1].token_bytes = chance(day, 1, 12) ? 0 : 64;
}

static void change_something(struct day *day)
{
    struct world *world = &day->world;
    uint32_t slot = (uint32_t)roll(day, FOLLOWERS);
    switch (roll(day, 8)) {
    case 0:
        random_row(day, slot);
        world_adopt(world);
        break;
    case 1:
        world->word = (uint8_t)(chance(day, 4, 5) ? 0 : roll(day, 3));
        break;
    case 2:
        world->follower_word[slot] = (uint8_t)(chance(day, 4, 5) ? 0 : roll(day, 3));
        break;
    case 3:
        world->cannot_send[slot] = !world->cannot_send[slot];
        break;
    case 4:
        world->journal_full = chance(day, 1, 4);
        break;
    case 5:
        world->price_e8 = chance(day, 1, 5) ? 0 : E8(80 + (int64_t)roll(day, 40));
        world->price_mono_ns = world->now_mono_ns - (int64_t)roll(day, 8) * LS_NS_PER_S;
        break;
    case 6:
        if (chance(day, 1, 4)) {
            /* What was in flight at the crash is answered by nobody. */
            for (; day->answered < world->command_count; day->answered++) {
                if (chance(day, 1, 2) && world->commands[day->answered].action == IPC_ACTION_PLACE)
                    broker_places(day, &world->commands[day->answered]);
            }
            world_restart(world, true);
        }
        break;
    default:
        world->now_mono_ns += (int64_t)roll(day, 3000) * LS_NS_PER_MS;
        break;
    }
}

static void step(struct day *day)
{
    struct world *world = &day->world;
    world->now_mono_ns += (int64_t)roll(day, 60) * LS_NS_PER_MS;
    switch (roll(day, 7)) {
    case 0:
        master_acts(day);
        break;
    case 1:
    case 2:
        if (day->pending_count != 0)
            deliver(day, (uint32_t)roll(day, day->pending_count), chance(day, 1, 4));
        break;
    case 3:
        for (uint64_t i = roll(day, 6); i > 0; i--)
            (void)world_wave_step(world);
        break;
    case 4:
        (void)world_release(world);
        break;
    case 5:
        for (uint64_t i = roll(day, 12); i > 0 && day->answered < world->command_count; i--)
            broker_sees(day, &world->commands[day->answered++], true);
        break;
    default:
        if (chance(day, 1, 6)) {
            change_something(day);
        } else {
            uint32_t count = eng_core_child_count(world->core);
            for (uint64_t i = roll(day, 8); i > 0 && count != 0; i--) {
                uint32_t at = (uint32_t)roll(day, count);
                if (chance(day, 1, 2))
                    broker_fills(day, &day->book[at]);
                broker_publishes(day, at);
            }
        }
        break;
    }
}

/* The faults stop: everything that was accepted comes to an end that is recorded. */
static void heal(struct day *day)
{
    struct world *world = &day->world;
    world->word = 0;
    memset(world->follower_word, 0, sizeof world->follower_word);
    memset(world->cannot_send, 0, sizeof world->cannot_send);
    world->journal_full = false;
    world->price_e8 = E8(100);
    world->price_mono_ns = 0;
    for (uint32_t i = 0; i < FOLLOWERS; i++)
        world->accounts[WORLD_MASTERS + i].token_bytes = 64;
    world_adopt(world);
    for (uint32_t i = 0; i < day->order_count; i++) { /* the master goes home */
        if (day->orders[i].ended)
            continue;
        day->orders[i].event.status = IPC_STATUS_CANCELLED;
        publish(day, day->orders[i].event);
    }
    while (day->pending_count != 0) {
        deliver(day, day->pending_count - 1, false);
        (void)world_waves(world);
    }
    for (int round = 0; round < 40; round++) {
        (void)world_waves(world);
        (void)world_release(world);
        while (day->answered < world->command_count)
            broker_sees(day, &world->commands[day->answered++], false);
        for (uint32_t i = 0; i < eng_core_child_count(world->core); i++) {
            struct eng_child_view child;
            LS_CHECK(eng_core_child(world->core, i, &child));
            struct truth_child *real = &day->book[i];
            /* The exchange's day ends for exits that still work, and the book tells of all. */
            if (real->exists && !real->ended && round > 20) {
                real->ended = true;
                real->status = IPC_STATUS_EXPIRED;
            }
            broker_publishes(day, i);
            /* Proof of absence is reconciliation's; here the late refusal arrives after all. */
            if (child.state == ENG_STATE_UNKNOWN && !real->exists) {
                struct ipc_command late = {
                    .child = i, .request_no = child.request_no, .action = IPC_ACTION_PLACE};
                world_reply(world, &late, IPC_OUTCOME_REJECTED, IPC_EVIDENCE_REPLY, NULL);
            }
        }
        world->now_mono_ns += 31 * LS_NS_PER_S;
    }
}

static void check_end(struct day *day)
{
    struct world *world = &day->world;
    const struct eng_core_counters *counters = eng_core_counters(world->core);
    REQUIRE(day, counters->remaining == 0);
    REQUIRE(day, counters->acts_open == 0);
    REQUIRE(day, counters->impossible == 0);
    for (uint32_t i = 0; i < eng_core_child_count(world->core); i++) {
        struct eng_child_view child;
        LS_CHECK(eng_core_child(world->core, i, &child));
        const struct truth_child *real = &day->book[i];
        REQUIRE(day, !child.is_queued);
        REQUIRE(day, child.filled_qty_e8 == real->filled_e8); /* the fold of fills is the truth */
        bool ended = child.state == ENG_STATE_FILLED || child.state == ENG_STATE_CANCELLED ||
                     child.state == ENG_STATE_EXPIRED || child.state == ENG_STATE_REJECTED ||
                     child.state == ENG_STATE_SKIPPED;
        if (!ended)
            fail_msg("seed %llu: child %u is still %s", (unsigned long long)day->seed, i,
                eng_state_name((enum eng_state)child.state));
    }
    /* Everything again, newest first: nothing changes and nothing leaves. */
    uint32_t commands = world->command_count;
    uint64_t hash = eng_core_hash(world->core);
    for (uint32_t i = day->delivered_count; i-- > 0;)
        REQUIRE(day, world_event(world, &day->delivered[i]) == 0);
    REQUIRE(day, world_waves(world) == 0);
    REQUIRE(day, world->command_count == commands);
    REQUIRE(day, eng_core_hash(world->core) == hash);
    world_check(world);
}

static void random_days_keep_every_promise(void **state)
{
    (void)state;
    struct day *day = malloc(sizeof *day);
    LS_CHECK(day != NULL);
    uint32_t decisions = 0, entries = 0, exits = 0;
    print_message("seeds %llu to %llu\n", (unsigned long long)FIRST_SEED,
        (unsigned long long)(FIRST_SEED + DAYS - 1));
    for (uint64_t seed = FIRST_SEED; seed < FIRST_SEED + DAYS; seed++) {
        memset(day, 0, sizeof *day);
        day->seed = seed;
        ipc_prng_seed(&day->prng, seed);
        world_open(&day->world, FOLLOWERS);
        day->world.on_batch = check_batch;
        day->world.context = day;
        if (seed % 3 == 0) /* some days are paced */
            day->world.policies[0] = day->world.policies[1] =
                (struct eng_broker_policy){.orders_per_second = 10, .orders_per_minute = 120};
        day->world.policies[1].refuses_market = true;
        for (uint32_t i = 0; i < FOLLOWERS; i++) {
            day->world.followers[i].broker = i % 2;
            day->world.accounts[WORLD_MASTERS + i].broker = i % 2;
            random_row(day, i);
        }
        world_adopt(&day->world);
        for (int i = 0; i < STEPS; i++) {
            step(day);
            if (i % 16 == 0)
                eng_core_verify(day->world.core);
        }
        heal(day);
        check_end(day);
        decisions += day->decisions;
        entries += day->entries;
        exits += day->exits;
        world_close(&day->world);
    }
    print_message("%u decisions, %u entries, %u exits\n", decisions, entries, exits);
    assert_true(entries > 1000 && exits > 100);
    free(day);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_days_keep_every_promise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
