#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/core/reconcile.h"
#include "ipc/prng.h"
#include "ipc/tag.h"
#include "tests/unit/engine/core/core_world.h"

#include <stdio.h>
#include <string.h>

/* Random hours with a broker whose answers get lost and whose books lag, flip, are empty, cut, odd
 * or never come; orders are accepted late, some carry our tag and were never ours to know, the
 * process dies in this boot and in another.
 *
 * The naive model is the broker's own list and a diary of the answers that were given. Checked:
 * no tag is placed twice; nobody is called MISSED without two books in the diary that prove it; in
 * honest hours (no book later than it says, nothing accepted later than that) nobody who is called
 * MISSED exists; each order that appears after all is a GHOST and counts; when the faults stop,
 * everything settles, and what the followers hold is what the broker filled. */

#define E8(units)    ((int64_t)(units)*LS_E8)
#define SECONDS(n)   ((int64_t)(n)*LS_NS_PER_S)
#define FOLLOWERS    4
#define HOURS        30
#define STEPS        260
#define FIRST_SEED   UINT64_C(20261122)
#define ORDERS_MAX   1024
#define ANSWERS_MAX  4096
#define CHILDREN_MAX 4096
#define LAG_NS       LS_NS_PER_S
#define SETTLE_NS    SECONDS(4) /* four times the lag */

/* One order at the broker. */
struct truth {
    uint32_t account, slot, instrument;
    char tag[IPC_TAG_BYTES];
    char id[IPC_BROKER_ORDER_ID_BYTES];
    uint8_t side;
    int64_t qty_e8, filled_e8, price_e8;
    int64_t placed_ns; /* when it begins to exist */
    enum ipc_status status;
    bool known; /* the engine was told of it */
};

/* One answer that was given. */
struct diary {
    uint32_t account;
    int64_t sent_ns;
    bool proves, odd;
    uint64_t shown[ORDERS_MAX / 64];
};

struct pending {
    struct eng_book_ask ask;
    int64_t sent_ns, due_ns;
    bool taken;
};

struct hour {
    struct world world;
    struct ipc_prng prng;
    bool honest;
    struct truth orders[ORDERS_MAX];
    uint32_t order_count;
    struct diary answers[ANSWERS_MAX];
    uint32_t answer_count;
    uint32_t last_count[WORLD_ACCOUNTS + 1];
    struct pending pending[FOLLOWERS];
    uint8_t state[CHILDREN_MAX];
    int64_t doubt_ns[CHILDREN_MAX];
    uint32_t answered; /* commands that the broker has seen */
    uint32_t missed, adopted, ghosts, unresolved, orphans;
};

static uint32_t below(struct hour *hour, uint32_t n)
{
    return (uint32_t)ipc_prng_below(&hour->prng, n);
}

static bool chance(struct hour *hour, uint32_t percent)
{
    return below(hour, 100) < percent;
}

/* --- the broker ---------------------------------------------------------------------------------
 */

static struct truth *add_order(struct hour *hour, uint32_t slot, const char *tag, uint8_t side,
    uint32_t instrument, int64_t qty_e8, int64_t price_e8, int64_t placed_ns)
{
    assert_true(hour->order_count < ORDERS_MAX);
    struct truth *order = &hour->orders[hour->order_count];
    *order = (struct truth){.account = hour->world.followers[slot].account,
        .slot = slot,
        .instrument = instrument,
        .side = side,
        .qty_e8 = qty_e8,
        .price_e8 = price_e8,
        .placed_ns = placed_ns,
        .status = IPC_STATUS_OPEN};
    memcpy(order->tag, tag, sizeof order->tag);
    snprintf(order->id, sizeof order->id, "T%u", hour->order_count);
    for (uint32_t i = 0; i < hour->order_count; i++)
        assert_memory_not_equal(hour->orders[i].tag, tag, sizeof order->tag); /* never twice */
    hour->order_count++;
    return order;
}

static struct ipc_event state_of(const struct hour *hour, const struct truth *order)
{
    struct ipc_event event = {.kind = IPC_EVENT_ORDER,
        .side = order->side,
        .type = IPC_TYPE_LIMIT,
        .product = IPC_PRODUCT_MIS,
        .validity = IPC_VALIDITY_DAY,
        .status = (uint8_t)order->status,
        .flags = IPC_EVENT_OWN_TAG,
        .account = order->account,
        .instrument = order->instrument,
        .order_key = {{(uint64_t)(order - hour->orders), 3}},
        .qty_e8 = order->qty_e8,
        .price_e8 = order->price_e8,
        .filled_qty_e8 = order->filled_e8,
        .average_price_e8 = order->filled_e8 > 0 ? order->price_e8 : 0,
        .received_mono_ns = hour->world.now_mono_ns};
    memcpy(event.client_tag, order->tag, sizeof event.client_tag);
    memcpy(event.broker_order_id, order->id, sizeof event.broker_order_id);
    return event;
}

static void feed(struct hour *hour, struct truth *order)
{
    struct ipc_event event = state_of(hour, order);
    (void)world_event(&hour->world, &event);
    order->known = true;
}

static struct truth *of_id(struct hour *hour, const char *id)
{
    for (uint32_t i = 0; i < hour->order_count; i++) {
        if (strcmp(hour->orders[i].id, id) == 0)
            return &hour->orders[i];
    }
    return NULL;
}

static void take_place(struct hour *hour, const struct ipc_command *command, bool calm)
{
    struct world *world = &hour->world;
    int64_t now = world->now_mono_ns;
    uint32_t dice = calm ? 0 : below(hour, 100);
    if (dice >= 86) { /* it never got there */
        bool proof = dice >= 94;
        world_reply(world, command, proof ? IPC_OUTCOME_REJECTED : IPC_OUTCOME_UNKNOWN,
            proof ? IPC_EVIDENCE_REPLY : IPC_EVIDENCE_RESET, NULL);
        hour->doubt_ns[command->child] = now;
        return;
    }
    bool late = !hour->honest && dice >= 80;
    int64_t placed = late ? now + SECONDS(5 + below(hour, 40)) : now;
    struct truth *order = add_order(hour, command->slot, command->tag, command->side,
        command->instrument, command->qty_e8, command->price_e8, placed);
    if (dice < 60) {
        world_reply(world, command, IPC_OUTCOME_ACKED, IPC_EVIDENCE_REPLY, order->id);
        order->known = true;
        return;
    }
    world_reply(world, command, IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_TIMEOUT, NULL);
    hour->doubt_ns[command->child] = now;
}

static void take_commands(struct hour *hour, bool calm)
{
    struct world *world = &hour->world;
    for (; hour->answered < world->command_count; hour->answered++) {
        const struct ipc_command *command = &world->commands[hour->answered];
        if (command->action == IPC_ACTION_PLACE) {
            take_place(hour, command, calm);
            continue;
        }
        assert_int_equal(command->action, IPC_ACTION_CANCEL);
        struct truth *order = of_id(hour, command->broker_order_id);
        assert_non_null(order);
        if (order->status == IPC_STATUS_OPEN && (calm || chance(hour, 60)))
            order->status = IPC_STATUS_CANCELLED;
        world_reply(world, command,
            calm || chance(hour, 80) ? IPC_OUTCOME_ACKED : IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_REPLY,
            NULL);
    }
}

static void live(struct hour *hour)
{
    for (uint32_t i = 0; i < hour->order_count; i++) {
        struct truth *order = &hour->orders[i];
        if (order->placed_ns > hour->world.now_mono_ns || order->status != IPC_STATUS_OPEN ||
            !chance(hour, 15))
            continue;
        order->filled_e8 = chance(hour, 50) ? order->qty_e8 : order->qty_e8 / 2 / LS_E8 * LS_E8;
        if (order->filled_e8 == order->qty_e8)
            order->status = IPC_STATUS_FILLED;
        if (chance(hour, 40))
            feed(hour, order);
    }
}

/* --- books --------------------------------------------------------------------------------------
 */

static void give_answer(struct hour *hour, struct pending *pending, bool calm)
{
    struct world *world = &hour->world;
    struct diary *entry = &hour->answers[hour->answer_count++];
    assert_true(hour->answer_count < ANSWERS_MAX);
    memset(entry, 0, sizeof *entry);
    entry->account = pending->ask.account;
    entry->sent_ns = pending->sent_ns;
    struct ipc_event rows[ORDERS_MAX];
    struct eng_book_answer answer = {.account = pending->ask.account,
        .ask_no = pending->ask.ask_no,
        .result = IPC_BOOK_GOOD,
        .complete = 1,
        .http_status = 200,
        .sent_mono_ns = pending->sent_ns,
        .received_mono_ns = world->now_mono_ns,
        .orders = rows};
    /* An honest book misses what was accepted within its lag; another may flip to a replica. */
    int64_t until = pending->sent_ns - (calm ? 0 : (int64_t)below(hour, 1000) * LS_NS_PER_MS);
    if (!calm && !hour->honest && chance(hour, 15))
        until = pending->sent_ns - SECONDS(20);
    bool sentinel = false;
    for (uint32_t i = 0; i < hour->order_count; i++) {
        struct truth *order = &hour->orders[i];
        if (order->account != answer.account || order->placed_ns > until)
            continue;
        rows[answer.orders_count++] = state_of(hour, order);
        entry->shown[i / 64] |= UINT64_C(1) << (i % 64);
        sentinel |= order->known;
    }
    answer.order_count = answer.orders_count;
    if (answer.order_count == 0)
        answer.result = chance(hour, 50) ? IPC_BOOK_EMPTY : IPC_BOOK_NO_ORDERS;
    if (!calm && chance(hour, 30)) {
        static const uint8_t faults[] = {IPC_BOOK_ERROR, IPC_BOOK_EMPTY, IPC_BOOK_NO_ORDERS,
            IPC_BOOK_ODD, IPC_BOOK_TOO_LARGE, IPC_BOOK_AUTH, IPC_BOOK_GOOD};
        answer.result = faults[below(hour, LS_COUNT_OF(faults))];
        if (answer.result == IPC_BOOK_GOOD) { /* cut in the middle, and said so */
            answer.complete = 0;
            answer.orders_count = answer.order_count /= 2;
        }
        if (answer.result == IPC_BOOK_EMPTY || answer.result == IPC_BOOK_NO_ORDERS)
            answer.orders_count = answer.order_count = 0;
    }
    bool good = answer.result == IPC_BOOK_GOOD;
    uint32_t *last = &hour->last_count[answer.account];
    bool shrank = good && answer.order_count < *last;
    entry->proves = good && answer.complete && !shrank &&
                    (sentinel || (*last != 0 && answer.order_count >= *last));
    entry->odd = shrank || answer.result == IPC_BOOK_ODD || answer.result == IPC_BOOK_EMPTY ||
                 answer.result == IPC_BOOK_NO_ORDERS || answer.result == IPC_BOOK_AUTH;
    if (good)
        *last = answer.order_count;
    if (good || answer.result == IPC_BOOK_ODD) {
        for (uint32_t i = 0; i < answer.orders_count; i++)
            of_id(hour, rows[i].broker_order_id)->known = true;
    }
    struct eng_recon_walk walk = {0};
    struct eng_event_facts facts;
    while (eng_recon_answer(
        world->core, &answer, &walk, world->now_mono_ns, world->now_wall_ns, &facts)) {
        for (uint32_t i = 0; i < facts.count; i++)
            world_apply(world, facts.fact[i].type, &facts.fact[i].event, facts.fact[i].bytes, 1);
    }
    pending->taken = false;
}

static void books(struct hour *hour, bool calm)
{
    struct world *world = &hour->world;
    for (uint32_t i = 0; i < FOLLOWERS; i++) {
        struct pending *pending = &hour->pending[i];
        if (pending->taken && pending->due_ns <= world->now_mono_ns)
            give_answer(hour, pending, calm);
    }
    struct eng_book_ask ask;
    while (eng_recon_next(world->core, world->now_mono_ns, world->now_wall_ns, &ask)) {
        world_apply(world, IPC_FACT_RECON, &ask.facts.fact[0].recon, ask.facts.fact[0].bytes, 1);
        struct pending *pending = &hour->pending[ask.account - WORLD_MASTERS - 1];
        *pending = (struct pending){.ask = ask,
            .sent_ns = world->now_mono_ns,
            .due_ns = world->now_mono_ns + (calm ? 0 : (int64_t)below(hour, 2000) * LS_NS_PER_MS),
            .taken = calm || !chance(hour, 5)}; /* else it is never answered */
        if (calm)
            give_answer(hour, pending, true);
    }
}

/* --- the judge ----------------------------------------------------------------------------------
 */

static const struct truth *truth_of(const struct hour *hour, const char tag[IPC_TAG_BYTES])
{
    for (uint32_t i = 0; i < hour->order_count; i++) {
        if (memcmp(hour->orders[i].tag, tag, IPC_TAG_BYTES) == 0)
            return &hour->orders[i];
    }
    return NULL;
}

static bool shows(const struct diary *entry, const struct hour *hour, const struct truth *order)
{
    if (order == NULL)
        return false;
    size_t at = (size_t)(order - hour->orders);
    return (entry->shown[at / 64] >> (at % 64)) & 1;
}

/* Two books in the diary that lack it, each a settle after what was before, nothing odd between. */
static bool is_proved(const struct hour *hour, uint32_t child, const struct eng_child_view *view)
{
    const struct truth *order = truth_of(hour, view->tag);
    uint32_t account = hour->world.followers[view->slot].account;
    for (uint32_t a = 0; a < hour->answer_count; a++) {
        const struct diary *first = &hour->answers[a];
        if (first->account != account || !first->proves || shows(first, hour, order) ||
            first->sent_ns < hour->doubt_ns[child] + SETTLE_NS)
            continue;
        for (uint32_t b = a + 1; b < hour->answer_count; b++) {
            const struct diary *second = &hour->answers[b];
            if (second->account != account)
                continue;
            if (second->odd)
                break;
            if (second->proves && !shows(second, hour, order) &&
                second->sent_ns >= first->sent_ns + SETTLE_NS)
                return true;
        }
    }
    return false;
}

static void judge(struct hour *hour, uint64_t seed)
{
    struct eng_child_view view;
    for (uint32_t i = 0; eng_core_child(hour->world.core, i, &view); i++) {
        assert_true(i < CHILDREN_MAX);
        uint8_t was = hour->state[i];
        hour->state[i] = view.state;
        if (was == view.state)
            continue;
        if (view.state == ENG_STATE_MISSED || view.state == ENG_STATE_NOT_PLACED) {
            const struct truth *order = truth_of(hour, view.tag);
            if (!is_proved(hour, i, &view) || (hour->honest && order != NULL))
                print_error("seed %llu: child %u is called missed\n", (unsigned long long)seed, i);
            assert_true(is_proved(hour, i, &view));
            if (hour->honest)
                assert_null(order);
            hour->missed += view.state == ENG_STATE_MISSED;
        }
        bool lives = view.state == ENG_STATE_OPEN || view.state == ENG_STATE_PARTIAL ||
                     view.state == ENG_STATE_FILLED || view.state == ENG_STATE_CANCELLED;
        hour->ghosts += was == ENG_STATE_MISSED && lives;
        hour->adopted += view.state == ENG_STATE_ADOPTED;
        hour->unresolved += view.state == ENG_STATE_UNRESOLVED;
    }
}

/* --- the master and the process -----------------------------------------------------------------
 */

static void trade(struct hour *hour)
{
    struct world *world = &hour->world;
    struct ipc_event event = world_order(
        world, chance(hour, 60) ? IPC_SIDE_BUY : IPC_SIDE_SELL, 10 + below(hour, 20), E8(100));
    event.instrument = chance(hour, 50) ? 1 : 4;
    event.status = IPC_STATUS_FILLED;
    event.filled_qty_e8 = event.qty_e8;
    event.average_price_e8 = E8(100);
    (void)world_event(world, &event);
}

/* An order with our tag that no journal knows: its frame was in the tail that the power took. */
static void lose_a_frame(struct hour *hour)
{
    char tag[IPC_TAG_BYTES];
    uint32_t slot = below(hour, FOLLOWERS);
    ipc_tag_compose(&(struct ipc_tag_parts){1000000 + hour->order_count,
                        hour->world.followers[slot].follower_no, 0},
        tag);
    (void)add_order(hour, slot, tag, IPC_SIDE_BUY, 1, E8(10), E8(100), hour->world.now_mono_ns);
    hour->orphans++;
}

static void die(struct hour *hour)
{
    bool same_boot = chance(hour, 60);
    struct eng_child_view view;
    for (uint32_t i = 0; eng_core_child(hour->world.core, i, &view); i++) {
        bool in_doubt = view.state == ENG_STATE_UNKNOWN || view.state == ENG_STATE_RECONCILING ||
                        view.state == ENG_STATE_UNRESOLVED;
        if (view.state == ENG_STATE_SENDING || (in_doubt && !same_boot))
            hour->doubt_ns[i] = hour->world.now_mono_ns;
    }
    world_restart(&hour->world, same_boot);
    for (uint32_t i = 0; i < FOLLOWERS; i++)
        hour->pending[i].taken = false; /* whoever asked is gone */
}

static void step(struct hour *hour, bool calm)
{
    struct world *world = &hour->world;
    struct eng_event_facts facts;
    int64_t pause = (50 + (int64_t)below(hour, calm ? 500 : 900)) * LS_NS_PER_MS;
    world->now_mono_ns += pause;
    world->now_wall_ns += pause;
    world->price_mono_ns = world->now_mono_ns;
    (void)world_waves(world);
    (void)world_release(world);
    take_commands(hour, calm);
    live(hour);
    books(hour, calm);
    while (eng_recon_time(world->core, world->now_mono_ns, world->now_wall_ns, &facts)) {
        for (uint32_t i = 0; i < facts.count; i++)
            world_apply(world, facts.fact[i].type, &facts.fact[i].event, facts.fact[i].bytes, 1);
    }
    eng_core_verify(world->core);
}

/* When the faults have stopped. */
static void judge_end(struct hour *hour)
{
    struct eng_child_view view;
    int64_t held[FOLLOWERS][5] = {{0}};
    for (uint32_t i = 0; eng_core_child(hour->world.core, i, &view); i++) {
        assert_true(view.state != ENG_STATE_UNKNOWN && view.state != ENG_STATE_RECONCILING &&
                    view.state != ENG_STATE_SENDING && view.state != ENG_STATE_NOT_PLACED);
        if (view.state == ENG_STATE_UNRESOLVED)
            assert_null(truth_of(hour, view.tag));
    }
    for (uint32_t i = 0; i < hour->order_count; i++) {
        const struct truth *order = &hour->orders[i];
        uint32_t child = eng_core_find_tag(hour->world.core, order->tag);
        assert_true(child != ENG_NONE && eng_core_child(hour->world.core, child, &view));
        assert_string_equal(view.broker_order_id, order->id);
        assert_int_equal(view.filled_qty_e8, order->filled_e8);
        held[order->slot][order->instrument] +=
            order->side == IPC_SIDE_BUY ? order->filled_e8 : -order->filled_e8;
    }
    for (uint32_t slot = 0; slot < FOLLOWERS; slot++) {
        for (uint32_t instrument = 1; instrument <= 4; instrument++)
            assert_int_equal(
                eng_core_copied_position(hour->world.core, hour->world.followers[slot].follower_no,
                    instrument, IPC_PRODUCT_MIS, NULL),
                held[slot][instrument]);
        assert_true(eng_recon_settled(hour->world.core, hour->world.followers[slot].account));
    }
}

static struct hour the_hour;

static void hours_at_random(void **state)
{
    (void)state;
    uint32_t missed = 0, adopted = 0, ghosts = 0, unresolved = 0, orphans = 0, answers = 0;
    for (uint64_t seed = FIRST_SEED; seed < FIRST_SEED + HOURS; seed++) {
        struct hour *hour = &the_hour;
        memset(hour, 0, sizeof *hour);
        ipc_prng_seed(&hour->prng, seed);
        hour->honest = seed % 2 == 0;
        world_open(&hour->world, FOLLOWERS);
        hour->world.policies[0].book_lag_ns = LAG_NS;
        world_adopt(&hour->world);
        for (int i = 0; i < STEPS; i++) {
            if (chance(hour, 8))
                trade(hour);
            if (chance(hour, 1))
                lose_a_frame(hour);
            if (chance(hour, 2))
                die(hour);
            step(hour, false);
            judge(hour, seed);
        }
        for (int i = 0; i < 700; i++) {
            step(hour, true);
            judge(hour, seed);
        }
        for (uint32_t i = 0; i < hour->order_count; i++)
            feed(hour, &hour->orders[i]);
        judge_end(hour);
        world_check(&hour->world);
        world_close(&hour->world);
        missed += hour->missed;
        adopted += hour->adopted;
        ghosts += hour->ghosts;
        unresolved += hour->unresolved;
        orphans += hour->orphans;
        answers += hour->answer_count;
    }
    print_message("seeds %llu to %llu: %u answers, %u adopted, %u missed, %u ghosts, %u "
                  "unresolved, %u orphans\n",
        (unsigned long long)FIRST_SEED, (unsigned long long)(FIRST_SEED + HOURS - 1), answers,
        adopted, missed, ghosts, unresolved, orphans);
    /* The test would prove little of what did not happen. */
    assert_true(missed > 20 && adopted > 50 && ghosts > 3 && unresolved > 2 && orphans > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hours_at_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
