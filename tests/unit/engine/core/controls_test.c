#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/core/breaker.h"
#include "engine/core/pipeline/controls.h"
#include "tests/unit/engine/core/core_world.h"

#include <string.h>

/* The pre-trade controls of ORDER-SAFETY 3.9 that no follower sets: each at its boundary, and that
 * none of them holds back an exit. Slot 0 has a plain row, slot 1 one with a policy. */

#define E8(units) ((int64_t)(units)*LS_E8)
#define FOLLOWERS 2u

static struct ipc_row_policy policies[1];

static void open_with(
    struct world *world, uint32_t followers, const struct eng_controls_config *set)
{
    world_open(world, followers);
    world->config.controls = *set;
    policies[0] = (struct ipc_row_policy){0};
    world->view.policies = policies;
    world->view.policy_count = 1;
    if (followers > 1)
        world->followers[1].policy = 1;
    world_adopt(world);
    world_restart(world, true); /* a core that was made with these settings */
}

static int64_t held(const struct world *world, uint32_t slot)
{
    return eng_core_copied_position(world->core, 100 + slot, 1, IPC_PRODUCT_MIS, NULL);
}

/* Everything that left since `from` is accepted and fills at 100. */
static void fill_from(struct world *world, uint32_t from)
{
    for (uint32_t i = from; i < world->command_count; i++) {
        if (world->commands[i].action != IPC_ACTION_PLACE)
            continue;
        world_ack(world, &world->commands[i]);
        (void)world_update(world, world->commands[i].child, IPC_STATUS_FILLED,
            world->commands[i].qty_e8 / LS_E8, E8(100));
    }
}

/* A new order of the master, decided. Returns how many orders left. */
static uint32_t trade(
    struct world *world, enum ipc_side side, int64_t units, int64_t price_e8, bool filled)
{
    struct ipc_event event = world_order(world, side, units, price_e8);
    if (filled) {
        event.status = IPC_STATUS_FILLED;
        event.filled_qty_e8 = event.qty_e8;
        event.average_price_e8 = E8(100);
    }
    (void)world_event(world, &event);
    return world_waves(world);
}

static void tell_all(struct world *world)
{
    struct ipc_fact_guard fact;
    while (eng_breaker_next(world->core, world->now_mono_ns, &fact))
        world_apply(world, IPC_FACT_GUARD, &fact, sizeof fact, 1);
}

static uint8_t reason_of(const struct world *world, uint32_t slot)
{
    struct ipc_fact_child fact = world_last_fact(world, slot);
    return fact.kind == IPC_CHILD_SKIP ? fact.reason : (uint8_t)IPC_REASON_NONE;
}

/* --- one order ----------------------------------------------------------------------------------
 */

/* Both kinds of followers get the same answer; a market order is valued at the last price, 100. */
static void one_order_at_its_bound(void **state)
{
    (void)state;
    static const struct {
        struct eng_controls_config set;
        int64_t units, price_e8; /* BUY */
        int64_t last_e8, last_age_ms;
        enum ipc_reason expected;
    } rows[] = {
        /* quantity: equal passes */
        {{.order_qty_max_e8 = E8(10)}, 10, E8(100), E8(100), 0, IPC_REASON_NONE},
        {{.order_qty_max_e8 = E8(10)}, 11, E8(100), E8(100), 0, IPC_REASON_MAX_QTY},
        /* value, by the limit, by the last price, by nothing */
        {{.order_value_max_e8 = E8(1000)}, 10, E8(100), E8(500), 0, IPC_REASON_NONE},
        {{.order_value_max_e8 = E8(1000)}, 10, E8(100) + 5000000, E8(1), 0,
            IPC_REASON_MAX_ORDER_VALUE},
        {{.order_value_max_e8 = E8(1000)}, 10, 0, E8(100), 0, IPC_REASON_NONE},
        {{.order_value_max_e8 = E8(1000)}, 11, 0, E8(100), 0, IPC_REASON_MAX_ORDER_VALUE},
        {{.order_value_max_e8 = E8(1000)}, 1, 0, 0, 0, IPC_REASON_PRICE_UNKNOWN},
        /* collar: only the side that costs money, only a price that the order names */
        {{.price_collar_e8 = LS_E8 / 10}, 1, E8(110), E8(100), 0, IPC_REASON_NONE},
        {{.price_collar_e8 = LS_E8 / 10}, 1, E8(110) + 5000000, E8(100), 0,
            IPC_REASON_PRICE_COLLAR},
        {{.price_collar_e8 = LS_E8 / 10}, 1, E8(10), E8(100), 0, IPC_REASON_NONE},
        {{.price_collar_e8 = LS_E8 / 10}, 1, 0, E8(100), 0, IPC_REASON_NONE},
        {{.price_collar_e8 = LS_E8 / 10}, 1, 0, 0, 0, IPC_REASON_NONE},
        {{.price_collar_e8 = LS_E8 / 10}, 1, E8(100), 0, 0, IPC_REASON_PRICE_UNKNOWN},
        {{.price_collar_e8 = LS_E8 / 10}, 1, E8(100), E8(100), 5000, IPC_REASON_NONE},
        {{.price_collar_e8 = LS_E8 / 10}, 1, E8(100), E8(100), 5001, IPC_REASON_PRICE_UNKNOWN},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct world world;
        open_with(&world, FOLLOWERS, &rows[i].set);
        world.price_e8 = rows[i].last_e8;
        world.price_mono_ns = world.now_mono_ns - rows[i].last_age_ms * LS_NS_PER_MS;
        uint32_t left = trade(&world, IPC_SIDE_BUY, rows[i].units, rows[i].price_e8, false);
        for (uint32_t slot = 0; slot < FOLLOWERS; slot++) {
            if (reason_of(&world, slot) != rows[i].expected)
                print_message("row %zu, slot %u\n", i, slot);
            assert_int_equal(reason_of(&world, slot), rows[i].expected);
        }
        assert_int_equal(left, rows[i].expected == IPC_REASON_NONE ? FOLLOWERS : 0);
        world_check(&world);
        world_close(&world);
    }
}

static void the_collar_of_a_sell_is_below(void **state)
{
    (void)state;
    static const struct {
        uint8_t side;
        int64_t price_e8;
        bool bars;
    } rows[] = {
        {IPC_SIDE_SELL, E8(90), false},
        {IPC_SIDE_SELL, E8(90) - 1, true},
        {IPC_SIDE_SELL, E8(900), false},
        {IPC_SIDE_BUY, E8(110), false},
        {IPC_SIDE_BUY, E8(110) + 1, true},
        {IPC_SIDE_BUY, 0, false},
        {IPC_SIDE_BUY, INT64_MAX, true},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++)
        assert_int_equal(
            eng_collar_bars(rows[i].side, rows[i].price_e8, E8(100), LS_E8 / 10), rows[i].bars);
    assert_false(eng_collar_bars(IPC_SIDE_BUY, INT64_MAX, E8(1), 0)); /* not set */
}

/* A policy's own collar, and one that the engine sets beside it: the stricter counts. */
static void a_policy_has_its_own_collar(void **state)
{
    (void)state;
    struct world world;
    open_with(&world, FOLLOWERS, &(struct eng_controls_config){.price_collar_e8 = LS_E8 / 5});
    policies[0].price_collar_e8 = LS_E8 / 20;
    world_adopt(&world);
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 1, E8(106), false), 1);
    assert_int_equal(reason_of(&world, 0), IPC_REASON_NONE);
    assert_int_equal(reason_of(&world, 1), IPC_REASON_PRICE_COLLAR);
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 2, E8(105), false), 2);
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 3, E8(121), false), 0);
    assert_int_equal(reason_of(&world, 0), IPC_REASON_PRICE_COLLAR);
    world_close(&world);
}

/* An amendment that goes outside leaves the copy as it is, and a queued entry is judged again. */
static void the_collar_follows_amendments_and_queues(void **state)
{
    (void)state;
    struct world world;
    open_with(&world, 1, &(struct eng_controls_config){.price_collar_e8 = LS_E8 / 10});
    world.cannot_send[0] = 1;
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 5, E8(105), false), 0);
    world.cannot_send[0] = 0;
    world.price_e8 = E8(90);
    world.now_mono_ns += LS_NS_PER_MS;
    assert_int_equal(world_release(&world), 0);
    assert_int_equal(world_child(&world, 0).state, ENG_STATE_SKIPPED);
    assert_int_equal(world_child(&world, 0).reason, IPC_REASON_PRICE_COLLAR);

    world.price_e8 = E8(100);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 5, E8(105));
    (void)world_event(&world, &event);
    uint32_t from = world.command_count;
    assert_int_equal(world_waves(&world), 1);
    world_ack(&world, &world.commands[from]);
    event.version = 0;
    event.price_e8 = E8(150);
    (void)world_event(&world, &event);
    from = world.command_count;
    (void)world_waves(&world);
    for (uint32_t i = from; i < world.command_count; i++)
        assert_int_not_equal(world.commands[i].action, IPC_ACTION_MODIFY);
    assert_int_equal(world_child(&world, 0).price_e8, E8(105));
    world_close(&world);
}

/* --- many orders --------------------------------------------------------------------------------
 */

/* Copies of one master's order: matching followers x slices, replacements and slices counted. */
static void children_of_one_order(void **state)
{
    (void)state;
    struct world world;
    open_with(&world, 2, &(struct eng_controls_config){.slices_per_follower = 3});
    world.followers[1].policy = 0;
    world_adopt(&world);
    /* Instrument 4 freezes at 1,800: 2 x 3 copies may be made, so 7 slices may not. */
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 1800 * 3, E8(100));
    event.instrument = 4;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 6);
    event = world_order(&world, IPC_SIDE_BUY, 1800 * 4, E8(100));
    event.instrument = 4;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 4); /* the first follower's four, then two are left */
    assert_int_equal(reason_of(&world, 0) + reason_of(&world, 1), IPC_REASON_CHILDREN_CAP);
    world_check(&world);
    world_close(&world);
}

/* Openings of one instrument; another one goes on, and the minute ends. */
static void openings_of_one_instrument(void **state)
{
    (void)state;
    struct world world;
    open_with(&world, 2, &(struct eng_controls_config){.instrument_openings_per_minute = 5});
    uint32_t from = world.command_count;
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 1, E8(100), true), 2);
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 2, E8(100), true), 2);
    fill_from(&world, from);
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 3, E8(100), true), 1); /* five, and no more */
    assert_int_equal(reason_of(&world, 0) + reason_of(&world, 1), IPC_REASON_INSTRUMENT_RATE);
    struct ipc_event other = world_order(&world, IPC_SIDE_BUY, 4, E8(100));
    other.instrument = 4;
    (void)world_event(&world, &other);
    assert_int_equal(world_waves(&world), 2);
    /* The exit goes. */
    from = world.command_count;
    assert_int_equal(trade(&world, IPC_SIDE_SELL, 6, E8(100), true), 2);
    fill_from(&world, from);
    tell_all(&world);
    /* After the minute, and a seventh of it at most. */
    world.now_mono_ns += 69 * LS_NS_PER_S;
    world.now_wall_ns += 69 * LS_NS_PER_S;
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 5, E8(100), true), 2);
    world_check(&world);
    world_close(&world);
}

/* Calls of the whole engine: what is above waits, and goes when there is room; exits go. */
static void calls_of_the_engine(void **state)
{
    (void)state;
    struct world world;
    open_with(&world, 4, &(struct eng_controls_config){.messages_per_second = 3});
    for (uint32_t slot = 0; slot < 4; slot++)
        world.followers[slot].policy = 0;
    world_adopt(&world);
    uint32_t from = world.command_count;
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 10, E8(100), true), 3);
    assert_int_equal(world_release(&world), 0);
    world.now_mono_ns += 1300 * LS_NS_PER_MS;
    assert_int_equal(world_release(&world), 1);
    fill_from(&world, from);
    /* Four calls of an exit above the cap of three. */
    from = world.command_count;
    assert_int_equal(trade(&world, IPC_SIDE_SELL, 10, E8(100), true), 4);
    fill_from(&world, from);
    for (uint32_t slot = 0; slot < 4; slot++)
        assert_int_equal(held(&world, slot), 0);
    /* They are counted all the same: an entry waits behind them, and ages. */
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 11, E8(100), false), 0);
    world.now_mono_ns += 6 * LS_NS_PER_S;
    assert_int_equal(world_release(&world), 0);
    world_check(&world);
    world_close(&world);
}

static void calls_of_a_day(void **state)
{
    (void)state;
    struct world world;
    open_with(&world, 1, &(struct eng_controls_config){.messages_per_day = 2});
    for (int64_t i = 1; i <= 2; i++) {
        uint32_t from = world.command_count;
        assert_int_equal(trade(&world, IPC_SIDE_BUY, i, E8(100), true), 1);
        fill_from(&world, from);
    }
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 3, E8(100), false), 0);
    assert_int_equal(eng_release_due(world.core, world.now_mono_ns, world.now_wall_ns) > 0, 1);
    world.now_mono_ns += 6 * LS_NS_PER_S;
    (void)world_release(&world);
    assert_int_equal(world_child(&world, 0).reason, IPC_REASON_RATE_BUDGET);
    assert_int_equal(trade(&world, IPC_SIDE_SELL, 3, E8(100), true), 1);
    world.now_wall_ns += INT64_C(86400) * LS_NS_PER_S;
    world.now_mono_ns += INT64_C(86400) * LS_NS_PER_S;
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 4, E8(100), false), 1);
    world_close(&world);
}

/* Open orders of an account: the engine's bound, the row's own over it; slices count, an order that
 * ended does not. */
static void open_orders_of_an_account(void **state)
{
    (void)state;
    struct world world;
    open_with(&world, 2, &(struct eng_controls_config){.open_orders_max = 2});
    world.accounts[world.followers[1].account - 1].open_orders_max = 1;
    world_adopt(&world);
    uint32_t from = world.command_count;
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 1, E8(100), true), 2);
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 2, E8(100), true), 1);
    assert_int_equal(reason_of(&world, 1), IPC_REASON_OPEN_ORDERS);
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 3, E8(100), false), 0);
    assert_int_equal(reason_of(&world, 0), IPC_REASON_OPEN_ORDERS);
    fill_from(&world, from); /* nothing of them is open any more */
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 1800 * 3, E8(100));
    event.instrument = 4;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 0); /* three slices */
    event = world_order(&world, IPC_SIDE_BUY, 1800 * 2, E8(100));
    event.instrument = 4;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 2); /* two, at the first account */
    /* An exit of both, with two of two open. */
    assert_int_equal(trade(&world, IPC_SIDE_SELL, 3, E8(100), true), 2);
    world_check(&world);
    world_close(&world);
}

/* Two subscriptions of one account share its bound. */
static void subscriptions_share_the_bound(void **state)
{
    (void)state;
    struct world world;
    open_with(&world, 2, &(struct eng_controls_config){.open_orders_max = 3});
    world.followers[1].account = world.followers[0].account;
    world.followers[1].policy = 0;
    world_adopt(&world);
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 1, E8(100), false), 2);
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 2, E8(100), false), 1);
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 3, E8(100), false), 0);
    world_check(&world);
    world_close(&world);
}

/* The firm: what is held, works, is in flight or unknown, together with this batch. */
static void exposure_of_the_firm(void **state)
{
    (void)state;
    static const enum ipc_outcome_class outcomes[] = {
        IPC_OUTCOME_ACKED, IPC_OUTCOME_UNKNOWN, (enum ipc_outcome_class)0};
    for (size_t i = 0; i < LS_COUNT_OF(outcomes); i++) {
        struct world world;
        open_with(&world, 2, &(struct eng_controls_config){.exposure_max_e8 = E8(3000)});
        uint32_t from = world.command_count;
        assert_int_equal(trade(&world, IPC_SIDE_BUY, 10, E8(100), false), 2); /* 2,000 */
        for (uint32_t at = from; at < from + 2 && outcomes[i] != 0; at++)
            world_reply(&world, &world.commands[at], outcomes[i], IPC_EVIDENCE_REPLY,
                outcomes[i] == IPC_OUTCOME_ACKED ? (at == from ? "A" : "B") : NULL);
        /* 1,000 are left: one of 600 goes, the second would be 1,200. In another instrument: what
         * is unknown bars its own. */
        struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 6, E8(100));
        event.instrument = 4;
        (void)world_event(&world, &event);
        assert_int_equal(world_waves(&world), 1);
        assert_int_equal(reason_of(&world, 0) + reason_of(&world, 1), IPC_REASON_FIRM_EXPOSURE);
        event = world_order(&world, IPC_SIDE_BUY, 2, E8(100));
        event.instrument = 4;
        (void)world_event(&world, &event);
        assert_int_equal(world_waves(&world), 2); /* equal passes */
        world_check(&world);
        /* It is the same behind a restart. */
        world_restart(&world, true);
        event = world_order(&world, IPC_SIDE_BUY, 1, E8(100));
        event.instrument = 4;
        (void)world_event(&world, &event);
        assert_int_equal(world_waves(&world), 0);
        world_close(&world);
    }
}

static void closing_makes_room_for_the_firm(void **state)
{
    (void)state;
    struct world world;
    open_with(&world, 1, &(struct eng_controls_config){.exposure_max_e8 = E8(1000)});
    uint32_t from = world.command_count;
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 10, E8(100), true), 1);
    fill_from(&world, from);
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 1, E8(100), false), 0);
    assert_int_equal(reason_of(&world, 0), IPC_REASON_FIRM_EXPOSURE);
    /* What works at the master counts: 4 of 11, of the 10 that are held here. */
    from = world.command_count;
    assert_int_equal(trade(&world, IPC_SIDE_SELL, 4, E8(100), true), 1);
    fill_from(&world, from);
    assert_int_equal(held(&world, 0), E8(7));
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 4, E8(100), false), 0);
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 3, E8(100), true), 1);
    /* Without a price nobody knows what it would add. */
    world.price_e8 = 0;
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 1, 0, false), 0);
    assert_int_equal(reason_of(&world, 0), IPC_REASON_PRICE_UNKNOWN);
    world_close(&world);
}

/* --- duplicates ---------------------------------------------------------------------------------
 */

static void duplicates_are_told_or_skipped(void **state)
{
    (void)state;
    static const struct {
        uint32_t engine_ms, policy_ms;
        bool skips;
        int64_t apart_ms;
        int64_t units; /* of the second order; the first has 7 */
        enum ipc_side side;
        uint8_t place, skip; /* reason of the second: of a place, of a skip */
    } rows[] = {
        {1000, 0, false, 0, 7, IPC_SIDE_BUY, IPC_REASON_DUPLICATE_SUSPECT, 0},
        {1000, 0, false, 1000, 7, IPC_SIDE_BUY, IPC_REASON_DUPLICATE_SUSPECT, 0},
        {1000, 0, false, 1001, 7, IPC_SIDE_BUY, 0, 0}, {1000, 0, false, 0, 8, IPC_SIDE_BUY, 0, 0},
        {0, 0, false, 0, 7, IPC_SIDE_BUY, 0, 0},
        {1000, 0, true, 0, 7, IPC_SIDE_BUY, 0, IPC_REASON_DUPLICATE_SUSPECT},
        {1000, 5000, true, 5000, 7, IPC_SIDE_BUY, 0, IPC_REASON_DUPLICATE_SUSPECT},
        {1000, 5000, true, 5001, 7, IPC_SIDE_BUY, 0, 0},
        {0, 300, true, 300, 7, IPC_SIDE_BUY, 0, IPC_REASON_DUPLICATE_SUSPECT},
        {0, 300, false, 300, 7, IPC_SIDE_BUY, IPC_REASON_DUPLICATE_SUSPECT, 0},
        {1000, 0, true, 0, 7, IPC_SIDE_SELL, 0, 0}, /* it closes */
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct world world;
        open_with(
            &world, 2, &(struct eng_controls_config){.duplicate_window_ms = rows[i].engine_ms});
        policies[0].duplicate_window_ms = rows[i].policy_ms;
        policies[0].flags = rows[i].skips ? IPC_POLICY_DUPLICATE_SKIPS : 0;
        world_adopt(&world);
        uint32_t from = world.command_count;
        assert_int_equal(trade(&world, IPC_SIDE_BUY, 7, E8(100), true), 2);
        fill_from(&world, from);
        world.now_mono_ns += rows[i].apart_ms * LS_NS_PER_MS;
        (void)trade(&world, rows[i].side, rows[i].units, E8(100), true);
        struct ipc_fact_child fact = world_last_fact(&world, 1);
        if ((fact.kind == IPC_CHILD_SKIP) != (rows[i].skip != 0))
            print_message("row %zu\n", i);
        assert_int_equal(fact.kind == IPC_CHILD_SKIP, rows[i].skip != 0);
        assert_int_equal(fact.reason, rows[i].skip != 0 ? rows[i].skip : rows[i].place);
        /* The plain one has no choice: it is told by the engine's window. */
        fact = world_last_fact(&world, 0);
        assert_int_equal(fact.kind, IPC_CHILD_PLACE);
        bool told = rows[i].side == IPC_SIDE_BUY && rows[i].units == 7 && rows[i].engine_ms != 0 &&
                    rows[i].apart_ms <= rows[i].engine_ms;
        assert_int_equal(fact.reason, told ? IPC_REASON_DUPLICATE_SUSPECT : IPC_REASON_NONE);
        struct ipc_fact_guard alarm;
        bool due = eng_breaker_next(world.core, world.now_mono_ns, &alarm);
        assert_int_equal(due, told || rows[i].place != 0 || rows[i].skip != 0);
        if (due) {
            assert_int_equal(alarm.act, IPC_GUARD_ACT_ALARM);
            assert_int_equal(alarm.kind, IPC_GUARD_DUPLICATE);
            assert_int_equal(alarm.value, told + (rows[i].place != 0 || rows[i].skip != 0));
        }
        tell_all(&world);
        assert_false(eng_breaker_pending(world.core));
        world_check(&world);
        world_close(&world);
    }
}

/* What is no other order: slices, an amendment, a rejected one tried again, another sizing of the
 * master's quantity that comes to the same (that is one). */
static void what_is_no_duplicate(void **state)
{
    (void)state;
    struct world world;
    open_with(&world, 1, &(struct eng_controls_config){.duplicate_window_ms = 1000});
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 1800 * 3, E8(100));
    event.instrument = 4;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 3);
    event = world_order(&world, IPC_SIDE_BUY, 1800, E8(100)); /* as one slice, not as the order */
    event.instrument = 4;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 1);
    assert_false(eng_breaker_pending(world.core));
    event = world_order(&world, IPC_SIDE_BUY, 1800 * 3, E8(100)); /* as the whole order */
    event.instrument = 4;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 3);
    assert_true(eng_breaker_pending(world.core));
    tell_all(&world);

    uint32_t from = world.command_count;
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 5, E8(100), false), 1);
    world_reply(&world, &world.commands[from], IPC_OUTCOME_REJECTED, IPC_EVIDENCE_REPLY, NULL);
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 5, E8(100), false), 1);
    assert_false(eng_breaker_pending(world.core));

    world.followers[0].mode = IPC_MODE_FIXED_QUANTITY;
    world.followers[0].fixed_qty_e8 = E8(5);
    world_adopt(&world);
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 77, E8(100), false), 1);
    assert_true(eng_breaker_pending(world.core));
    world_close(&world);
}

/* Alarms are facts, at most one a second, and tell how many there were. */
static void alarms_are_counted_together(void **state)
{
    (void)state;
    struct world world;
    struct ipc_fact_guard fact;
    open_with(&world, 1,
        &(struct eng_controls_config){.order_qty_max_e8 = E8(1), .price_collar_e8 = LS_E8 / 10});
    (void)trade(&world, IPC_SIDE_BUY, 1, E8(200), false);
    assert_true(eng_breaker_next(world.core, world.now_mono_ns, &fact));
    assert_int_equal(fact.kind, IPC_GUARD_CAPPED);
    assert_int_equal(fact.value, 1);
    tell_all(&world);
    for (int i = 0; i < 5; i++)
        (void)trade(&world, IPC_SIDE_BUY, 1, E8(200 + i), false);
    assert_true(eng_breaker_pending(world.core));
    assert_false(eng_breaker_next(world.core, world.now_mono_ns + LS_NS_PER_S - 1, &fact));
    assert_true(eng_breaker_next(world.core, world.now_mono_ns + LS_NS_PER_S, &fact));
    assert_int_equal(fact.value, 5);
    world_close(&world);
}

/* --- exits --------------------------------------------------------------------------------------
 */

/* Every control at its strictest: a reduction leaves for all that is held. */
static void exits_pass_every_control(void **state)
{
    (void)state;
    static const struct eng_controls_config strict = {.slices_per_follower = 1,
        .open_orders_max = 1,
        .messages_per_second = 1,
        .messages_per_minute = 1,
        .messages_per_day = 1,
        .instrument_openings_per_minute = 1,
        .duplicate_window_ms = 60000,
        .reject_streak = 1,
        .broker_reject_streak = 1,
        .unknown_per_minute = 1,
        .broker_unknown_per_minute = 1,
        .repeats_per_minute = 1,
        .price_collar_e8 = 1,
        .order_qty_max_e8 = E8(10),
        .order_value_max_e8 = E8(1000),
        .exposure_max_e8 = E8(1000)};
    struct world world;
    open_with(&world, 1, &strict);
    uint32_t from = world.command_count;
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 10, E8(100), true), 1);
    fill_from(&world, from); /* the first execution trips the breaker of repeats */
    tell_all(&world);
    struct ipc_fact_guard clock;
    eng_breaker_clock(world.core, LS_NS_PER_S, &clock);
    world_apply(&world, IPC_FACT_GUARD, &clock, sizeof clock, 1);
    assert_int_equal(eng_breaker_engine(world.core), IPC_REASON_CLOCK_STEP);
    assert_int_equal(eng_breaker_bar(world.core, 0, &world.followers[0]), IPC_REASON_BREAKER);
    assert_int_equal(trade(&world, IPC_SIDE_BUY, 1, E8(100), false), 0);
    world.price_e8 = 0;
    from = world.command_count;
    assert_int_equal(trade(&world, IPC_SIDE_SELL, 5, E8(1), true), 1);
    world_reply(&world, &world.commands[from], IPC_OUTCOME_REJECTED, IPC_EVIDENCE_REPLY, NULL);
    tell_all(&world);
    from = world.command_count;
    assert_int_equal(trade(&world, IPC_SIDE_SELL, 5, E8(1), true), 1);
    fill_from(&world, from);
    assert_int_equal(held(&world, 0), 0);
    world_check(&world);
    world_close(&world);
}

/* A cancel of a working entry goes too. */
static void cancels_pass_every_control(void **state)
{
    (void)state;
    struct world world;
    open_with(
        &world, 1, &(struct eng_controls_config){.messages_per_second = 1, .messages_per_day = 1});
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 5, E8(100));
    (void)world_event(&world, &event);
    uint32_t from = world.command_count;
    assert_int_equal(world_waves(&world), 1);
    world_ack(&world, &world.commands[from]);
    event.version = 0;
    event.status = IPC_STATUS_CANCELLED;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[from + 1].action, IPC_ACTION_CANCEL);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_order_at_its_bound),
        cmocka_unit_test(the_collar_of_a_sell_is_below),
        cmocka_unit_test(a_policy_has_its_own_collar),
        cmocka_unit_test(the_collar_follows_amendments_and_queues),
        cmocka_unit_test(children_of_one_order),
        cmocka_unit_test(openings_of_one_instrument),
        cmocka_unit_test(calls_of_the_engine),
        cmocka_unit_test(calls_of_a_day),
        cmocka_unit_test(open_orders_of_an_account),
        cmocka_unit_test(subscriptions_share_the_bound),
        cmocka_unit_test(exposure_of_the_firm),
        cmocka_unit_test(closing_makes_room_for_the_firm),
        cmocka_unit_test(duplicates_are_told_or_skipped),
        cmocka_unit_test(what_is_no_duplicate),
        cmocka_unit_test(alarms_are_counted_together),
        cmocka_unit_test(exits_pass_every_control),
        cmocka_unit_test(cancels_pass_every_control),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
