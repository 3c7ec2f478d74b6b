/* What the market's day and the follower's say of an opening: F10-F14, F18, F19, F30 and others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/core/pipeline/day.h"
#include "money_world.h"

#define E8(x)       ((int64_t)((x)*100000000.0 + ((x) < 0 ? -0.5 : 0.5)))
#define MIN_NS      (60 * LS_NS_PER_S)

/* 00:00 of 2026-01-05 in India. */
#define MIDNIGHT_NS ((INT64_C(1767571200) - 19800) * LS_NS_PER_S)

static struct money_world world;
static struct ipc_row_session session;
static struct ipc_row_instrument instrument;
static struct eng_order order;
static struct eng_batch_sample sample;
static struct eng_plan plan;
static struct eng_follower follower;

static int open_world(void **state)
{
    (void)state;
    money_world_open(&world, 0);
    money_world_day(&world, MONEY_DAY, MONEY_DAY);
    session = (struct ipc_row_session){.midnight_wall_ns = MIDNIGHT_NS,
        .open_wall_ns = MIDNIGHT_NS + 555 * MIN_NS,
        .close_wall_ns = MIDNIGHT_NS + 930 * MIN_NS,
        .intraday_cutoff_wall_ns = MIDNIGHT_NS + 920 * MIN_NS,
        .yyyymmdd = MONEY_DAY,
        .exchange = IPC_EXCHANGE_NSE};
    instrument = (struct ipc_row_instrument){.instrument = 1, .exchange = IPC_EXCHANGE_NSE};
    order = (struct eng_order){
        .account = MONEY_MASTER, .instrument = 1, .side = IPC_SIDE_BUY, .product = IPC_PRODUCT_MIS};
    sample = (struct eng_batch_sample){.now_mono_ns = world.now_mono_ns};
    memset(&plan, 0, sizeof plan);
    plan.core = world.core;
    plan.view = &world.view;
    plan.order = &order;
    plan.instrument = &instrument;
    plan.sample = &sample;
    follower = (struct eng_follower){.row = &world.followers[0], .slot = &world.core->slots[0]};
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    eng_money_verify(world.core);
    money_world_close(&world);
    return 0;
}

static enum ipc_reason hours(int minute, enum ipc_product product, bool calendar)
{
    order.product = (uint8_t)product;
    world.view.sessions = calendar ? &session : NULL;
    world.view.session_count = calendar ? 1 : 0;
    sample.now_wall_ns = MIDNIGHT_NS + minute * MIN_NS;
    assert_int_equal(eng_day_plan(&plan), IPC_REASON_NONE);
    return eng_day_asks(&plan, &follower) ? eng_day_hours(&plan, &follower) : IPC_REASON_NONE;
}

static void hours_by_table(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        int minute;
        enum ipc_product product;
        bool calendar;
        uint16_t from, to, cutoff;
        enum ipc_reason reason;
    } rows[] = {
        {"F18 by the calendar", 921, IPC_PRODUCT_MIS, true, 0, 0, 0, IPC_REASON_MARKET_CLOSED},
        {"at the cut-off", 920, IPC_PRODUCT_MIS, true, 0, 0, 0, IPC_REASON_MARKET_CLOSED},
        {"before it", 919, IPC_PRODUCT_MIS, true, 0, 0, 0, 0},
        {"delivery has none", 921, IPC_PRODUCT_CNC, true, 0, 0, 0, 0},
        {"F18 by the follower", 921, IPC_PRODUCT_MIS, false, 0, 0, 920, IPC_REASON_MARKET_CLOSED},
        {"its own is earlier", 901, IPC_PRODUCT_MIS, true, 0, 0, 900, IPC_REASON_MARKET_CLOSED},
        {"F19", 558, IPC_PRODUCT_MIS, true, 560, 900, 0, IPC_REASON_OUTSIDE_WINDOW},
        {"F19 without a calendar", 558, IPC_PRODUCT_MIS, false, 560, 900, 0,
            IPC_REASON_OUTSIDE_WINDOW},
        {"F19 at its begin", 560, IPC_PRODUCT_MIS, true, 560, 900, 0, 0},
        {"F19 at its end", 900, IPC_PRODUCT_CNC, true, 560, 900, 0, IPC_REASON_OUTSIDE_WINDOW},
        {"before the open", 554, IPC_PRODUCT_CNC, true, 0, 0, 0, IPC_REASON_MARKET_CLOSED},
        {"the open", 555, IPC_PRODUCT_CNC, true, 0, 0, 0, 0},
        {"the close", 930, IPC_PRODUCT_CNC, true, 0, 0, 0, IPC_REASON_MARKET_CLOSED},
        {"nobody keeps hours", 100, IPC_PRODUCT_MIS, false, 0, 0, 0, 0},
        {"a year that it does not know, intraday", 600 + 1440 * 400, IPC_PRODUCT_MIS, true, 0, 0, 0,
            IPC_REASON_MARKET_CLOSED},
        {"a year that it does not know, delivery", 600 + 1440 * 400, IPC_PRODUCT_CNC, true, 0, 0, 0,
            0},
    };
    uint32_t failed = 0;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        world.policies[0] = (struct ipc_row_policy){.window_from_min = rows[i].from,
            .window_to_min = rows[i].to,
            .intraday_cutoff_min = rows[i].cutoff};
        enum ipc_reason reason = hours(rows[i].minute, rows[i].product, rows[i].calendar);
        if (reason != rows[i].reason) {
            print_error("%s: %s\n", rows[i].id, ipc_reason_name(reason));
            failed++;
        }
    }
    assert_int_equal(failed, 0);
}

static enum ipc_reason limits(bool is_own)
{
    (void)eng_day_plan(&plan);
    return eng_day_limits(&plan, &follower, is_own);
}

/* F10, F11. */
static void open_positions(void **state)
{
    (void)state;
    world.policies[0].open_positions_max = 2;
    money_world_trade(&world, 0, 1, IPC_SIDE_BUY, 1, E8(10));
    assert_int_equal(limits(false), IPC_REASON_NONE);
    uint32_t child =
        money_world_child(&world, 0, 2, IPC_SIDE_BUY, false, 1, E8(10)); /* in flight */
    order.instrument = 3;
    assert_int_equal(limits(false), IPC_REASON_MAX_OPEN_POSITIONS);
    assert_int_equal(limits(true), IPC_REASON_NONE);
    order.instrument = 1; /* adding to one is not a new one */
    assert_int_equal(limits(false), IPC_REASON_NONE);
    order.instrument = 3;
    money_world_state(&world, child, ENG_STATE_REJECTED);
    assert_int_equal(limits(false), IPC_REASON_NONE);
    world.policies[0].open_positions_max = 0; /* not set */
    for (uint32_t i = 4; i < 9; i++)
        money_world_trade(&world, 0, i, IPC_SIDE_BUY, 1, E8(10));
    assert_int_equal(limits(false), IPC_REASON_NONE);
}

/* F12, F13. */
static void trades_a_day(void **state)
{
    (void)state;
    world.policies[0].trades_day_max = 2;
    money_world_trade(&world, 0, 1, IPC_SIDE_BUY, 1, E8(10));
    uint32_t child = money_world_child(&world, 0, 1, IPC_SIDE_BUY, false, 1, E8(10));
    assert_int_equal(limits(false), IPC_REASON_MAX_TRADES_DAY); /* the second is in flight */
    assert_int_equal(limits(true), IPC_REASON_NONE);
    money_world_state(&world, child, ENG_STATE_REJECTED);
    assert_int_equal(limits(false), IPC_REASON_NONE);
    money_world_trade(&world, 0, 1, IPC_SIDE_BUY, 1, E8(10));
    assert_int_equal(limits(false), IPC_REASON_MAX_TRADES_DAY);
    money_world_day(&world, MONEY_DAY + 1, MONEY_DAY + 1);
    assert_int_equal(limits(false), IPC_REASON_NONE);
    world.policies[0].trades_day_max = 0; /* F13 */
    for (int i = 0; i < 5; i++)
        money_world_trade(&world, 0, 1, IPC_SIDE_BUY, 1, E8(10));
    assert_int_equal(limits(false), IPC_REASON_NONE);
}

static enum ipc_reason value(int64_t qty, double price)
{
    return eng_day_value(&plan, &follower, qty * LS_E8, 0, E8(price));
}

static void value_of_the_day_and_exposure(void **state)
{
    (void)state;
    world.policies[0].day_notional_e8 = E8(1000);
    assert_int_equal(value(10, 100), IPC_REASON_NONE); /* equal passes */
    assert_int_equal(value(10, 100.01), IPC_REASON_DAY_NOTIONAL);
    assert_int_equal(value(10, 0), IPC_REASON_PRICE_UNKNOWN);
    uint32_t child = money_world_child(&world, 0, 1, IPC_SIDE_BUY, false, 4, E8(100));
    assert_int_equal(value(6, 100), IPC_REASON_NONE);
    assert_int_equal(value(7, 100), IPC_REASON_DAY_NOTIONAL);
    money_world_fill(&world, child, E8(4), E8(100));
    uint32_t close = money_world_child(&world, 0, 1, IPC_SIDE_SELL, true, 4, E8(100));
    money_world_fill(&world, close, E8(4), E8(100));
    assert_int_equal(value(7, 100), IPC_REASON_DAY_NOTIONAL); /* closed, but the day counts it */
    world.policies[0] = (struct ipc_row_policy){.exposure_max_e8 = E8(1000)};
    assert_int_equal(value(10, 100), IPC_REASON_NONE);          /* nothing is open */
    money_world_trade(&world, 0, 2, IPC_SIDE_SELL, 5, E8(100)); /* short counts alike */
    assert_int_equal(value(5, 100), IPC_REASON_NONE);
    assert_int_equal(value(6, 100), IPC_REASON_MAX_CAPITAL_EXPOSURE);
    assert_int_equal(eng_day_value(&plan, &follower, E8(6), E8(1), E8(100)), IPC_REASON_NONE);
}

/* F30: entries of that follower, and no other's. */
static void the_circuit_bars_its_follower(void **state)
{
    (void)state;
    world.policies[0].failures_max = world.policies[1].failures_max = 3;
    for (int i = 0; i < 3; i++) {
        uint32_t child = money_world_child(&world, 0, 1, IPC_SIDE_BUY, false, 1, E8(1));
        assert_int_equal(eng_day_circuit(&plan, &follower), IPC_REASON_NONE);
        eng_money_reply(
            world.core, child, IPC_ACTION_PLACE, IPC_OUTCOME_REJECTED, world.now_mono_ns);
        money_world_state(&world, child, ENG_STATE_REJECTED);
    }
    assert_int_equal(eng_day_circuit(&plan, &follower), IPC_REASON_CIRCUIT_OPEN);
    struct eng_follower other = {.row = &world.followers[1], .slot = &world.core->slots[1]};
    assert_int_equal(eng_day_circuit(&plan, &other), IPC_REASON_NONE);
    sample.now_mono_ns += 60 * LS_NS_PER_S; /* one probe */
    assert_int_equal(eng_day_circuit(&plan, &follower), IPC_REASON_NONE);
    (void)money_world_child(&world, 0, 1, IPC_SIDE_BUY, false, 1, E8(1));
    assert_int_equal(eng_day_circuit(&plan, &follower), IPC_REASON_CIRCUIT_OPEN);
}

static void what_tripped_bars(void **state)
{
    (void)state;
    world.policies[0].daily_loss_e8 = E8(100);
    money_world_adopt(&world);
    (void)money_world_settle(&world, 0);
    assert_int_equal(limits(false), IPC_REASON_NONE);
    money_world_trade(&world, 0, 1, IPC_SIDE_BUY, 1, E8(200));
    money_world_trade(&world, 0, 1, IPC_SIDE_SELL, 1, E8(100));
    (void)money_world_settle(&world, 0);
    assert_int_equal(limits(false), IPC_REASON_DAILY_LOSS);
    assert_true(eng_day_asks(&plan, &follower));
    money_world_day(&world, MONEY_DAY + 1, MONEY_DAY + 1);
    assert_int_equal(limits(false), IPC_REASON_NONE);
}

static void the_plain_follower_is_not_asked(void **state)
{
    (void)state;
    world.followers[0].policy = 0;
    assert_int_equal(eng_day_plan(&plan), IPC_REASON_NONE);
    assert_false(eng_day_asks(&plan, &follower));
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)
    const struct CMUnitTest tests[] = {
        T(hours_by_table),
        T(open_positions),
        T(trades_a_day),
        T(value_of_the_day_and_exposure),
        T(the_circuit_bars_its_follower),
        T(what_tripped_bars),
        T(the_plain_follower_is_not_asked),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
