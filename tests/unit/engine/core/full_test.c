/* Followers that set more than their row says, in the core: what leaves for them, what is on record
 * of it, and that the record decides the same again (the world decides every batch twice). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "engine/core/pipeline/case.h"
#include "tests/unit/engine/core/core_world.h"

#define E8(units) ((int64_t)((units)*100) * (LS_E8 / 100))

static struct ipc_row_policy policies[8];

static void open_world(struct world *world, uint32_t followers)
{
    world_open(world, followers);
    memset(policies, 0, sizeof policies);
    world->view.policies = policies;
    world->view.policy_count = LS_COUNT_OF(policies);
    world->price_e8 = E8(100);
    for (uint32_t i = 0; i < followers; i++)
        world->followers[i].policy = 1 + i;
}

static uint32_t market_order(struct world *world, enum ipc_side side, int64_t units)
{
    struct ipc_event event = world_order(world, side, units, 0);
    event.type = IPC_TYPE_MARKET;
    assert_int_equal(world_event(world, &event), 1);
    return world_waves(world);
}

static const struct ipc_command *command_of(const struct world *world, uint32_t slot)
{
    struct eng_child_view child = world_child(world, slot);
    for (uint32_t i = world->command_count; i > 0; i--)
        if (world->commands[i - 1].child == child.handle)
            return &world->commands[i - 1];
    fail_msg("nothing left for slot %u", slot);
    return NULL;
}

static void a_price_guard_leaves_as_an_ioc_limit(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 2);
    policies[0].slippage_cap_e8 = LS_E8 / 200;
    world_adopt(&world);
    assert_int_equal(market_order(&world, IPC_SIDE_BUY, 10), 2);
    const struct ipc_command *guarded = command_of(&world, 0), *bare = command_of(&world, 1);
    assert_int_equal(guarded->type, IPC_TYPE_LIMIT);
    assert_int_equal(guarded->validity, IPC_VALIDITY_IOC);
    assert_int_equal(guarded->price_e8, E8(100.5));
    assert_int_equal(bare->type, IPC_TYPE_MARKET);
    world_check(&world);
    world_restart(&world, true);
    world_close(&world);
}

static void modes_divide_by_the_accounts(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 5);
    world.followers[0].mode = IPC_MODE_EQUITY_PROPORTIONAL;
    world.followers[1].mode = IPC_MODE_BALANCE_PROPORTIONAL;
    world.followers[2].mode = IPC_MODE_STEP_OF_BALANCE;
    world.followers[3].mode = IPC_MODE_FIXED_RISK;          /* no stop comes with the order */
    world.followers[4].mode = IPC_MODE_EQUITY_PROPORTIONAL; /* nobody has read its account */
    policies[1].mult_e8 = 2 * LS_E8;
    policies[2].step_money_e8 = E8(100);
    policies[2].step_qty_e8 = 3 * LS_E8;
    policies[3].fraction_e8 = LS_E8 / 100;
    for (uint32_t i = 0; i < 4; i++) {
        world.capital_e8[i] = E8(250);
        world.capital_mono_ns[i] = world.now_mono_ns;
    }
    world.master_capital_e8 = E8(1000);
    world.master_capital_mono_ns = world.now_mono_ns;
    world_adopt(&world);
    assert_int_equal(market_order(&world, IPC_SIDE_BUY, 10), 3);
    assert_int_equal(command_of(&world, 0)->qty_e8, E8(2)); /* 10 x 250 / 1000 = 2.5 */
    assert_int_equal(command_of(&world, 1)->qty_e8, E8(5));
    assert_int_equal(command_of(&world, 2)->qty_e8, E8(6));
    assert_int_equal(world_last_fact(&world, 3).reason, IPC_REASON_NO_STOP_LOSS);
    assert_int_equal(world_last_fact(&world, 4).reason, IPC_REASON_CAPITAL_UNKNOWN);
    /* Figures grow old: the account's own limit is a minute. */
    world.now_mono_ns += INT64_C(61000000000);
    world.now_wall_ns += INT64_C(61000000000);
    world.master_capital_mono_ns = world.now_mono_ns;
    market_order(&world, IPC_SIDE_BUY, 10);
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_STALE_ACCOUNT_DATA);
    world_check(&world);
    world_close(&world);
}

static void rounding_and_caps_of_a_policy_hold(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 6);
    world.followers[0].ratio_e8 = LS_E8 / 10; /* 0.5: one, by choice */
    policies[0].flags = IPC_POLICY_FORCE_MIN;
    world.followers[1].ratio_e8 = LS_E8 * 7 / 10; /* 3.5 to the nearest */
    policies[1].round = IPC_ROUND_NEAREST;
    policies[2].min_notional_e8 = E8(501);
    policies[3].master_min_e8 = E8(6);
    policies[4].split_qty_e8 = E8(2);
    policies[5].split_qty_e8 = E8(2);
    policies[5].slices_max = 2;
    world_adopt(&world);
    market_order(&world, IPC_SIDE_BUY, 5);
    assert_int_equal(command_of(&world, 0)->qty_e8, E8(1));
    assert_int_equal(command_of(&world, 1)->qty_e8, E8(4));
    assert_int_equal(world_last_fact(&world, 2).reason, IPC_REASON_MIN_NOTIONAL);
    assert_int_equal(world_last_fact(&world, 3).reason, IPC_REASON_MASTER_SIZE_FILTER);
    assert_int_equal(command_of(&world, 4)->qty_e8, E8(1)); /* 2, 2, 1 */
    assert_int_equal(world_last_fact(&world, 5).reason, IPC_REASON_TOO_MANY_SLICES);
    world_check(&world);
    world_close(&world);
}

/* How far a market order may go is said with the order, entry or exit; of a limit order it is not.
 */
static void market_protection_is_sent(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 2);
    policies[0].market_protection_e8 = LS_E8 / 200;
    world_adopt(&world);
    struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 10, 0);
    entry.status = IPC_STATUS_FILLED;
    entry.filled_qty_e8 = E8(10);
    entry.average_price_e8 = E8(100);
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 2);
    assert_int_equal(command_of(&world, 0)->market_protection_bp, 50);
    assert_int_equal(command_of(&world, 1)->market_protection_bp, 0);
    for (uint32_t i = 0; i < 2; i++) {
        const struct ipc_command command = world.commands[i];
        world_ack(&world, &command);
        (void)world_update(&world, command.child, IPC_STATUS_FILLED, 10, E8(100));
    }
    assert_int_equal(market_order(&world, IPC_SIDE_SELL, 5), 2);
    assert_true(command_of(&world, 0)->is_exit);
    assert_int_equal(command_of(&world, 0)->market_protection_bp, 50);
    world_check(&world);
    world_restart(&world, true);
    world_close(&world);
}

/* What is skipped because nobody here knows the instrument is on record like everything else. */
static void unknown_instruments_are_skipped(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 2);
    policies[0].flags = IPC_POLICY_REVERSE;
    world_adopt(&world);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 5, E8(100));
    event.instrument = 0;
    assert_int_equal(world_event(&world, &event), 1);
    assert_int_equal(world_waves(&world), 0);
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_INSTRUMENT_UNKNOWN);
    assert_int_equal(world_last_fact(&world, 1).reason, IPC_REASON_INSTRUMENT_UNKNOWN);
    assert_int_equal(market_order(&world, IPC_SIDE_BUY, 5), 2);
    assert_int_equal(command_of(&world, 0)->side, IPC_SIDE_SELL);
    world_check(&world);
    world_restart(&world, true);
    world_close(&world);
}

/* Risk modes read the stop that comes with the order; available is the free margin. */
static void stops_and_free_margins_size(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 4);
    world.followers[0].mode = IPC_MODE_FIXED_RISK;
    policies[0].fraction_e8 = LS_E8 / 100;
    policies[1].max_trade_risk_e8 = LS_E8 / 100;
    world.followers[2].mode = IPC_MODE_AVAILABLE_RATIO_CAPPED;
    policies[2].available_factor_e8 = 2 * LS_E8;
    policies[3].margin_use_max_e8 = LS_E8 / 2;
    for (uint32_t i = 0; i < 4; i++) {
        world.capital_e8[i] = E8(5000);
        world.capital_mono_ns[i] = world.now_mono_ns;
    }
    world.master_capital_e8 = E8(10000);
    world.master_capital_mono_ns = world.now_mono_ns;
    world_adopt(&world);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    event.stop_e8 = E8(90);
    assert_int_equal(world_event(&world, &event), 1);
    (void)world_waves(&world);
    assert_int_equal(command_of(&world, 0)->qty_e8, E8(5));  /* 5,000 x 1 % / 10 */
    assert_int_equal(command_of(&world, 1)->qty_e8, E8(5));  /* 10, cut to it */
    assert_int_equal(command_of(&world, 2)->qty_e8, E8(10)); /* 2 x 10 / 10,000 x 5,000 */
    assert_int_equal(command_of(&world, 3)->qty_e8, E8(10)); /* a fifth of it */
    world.capital_mono_ns[2] = world.master_capital_mono_ns = 1;
    event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &event);
    (void)world_waves(&world);
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_NO_STOP_LOSS);
    assert_int_equal(world_last_fact(&world, 1).reason, IPC_REASON_NO_STOP_LOSS);
    assert_int_equal(world_last_fact(&world, 2).reason, IPC_REASON_STALE_ACCOUNT_DATA);
    world_check(&world);
    world_close(&world);
}

/* What the order needs counts with what is used: 75,000 of 100,000 and 10,000 more is above 80 %,
 * 5,000 more is at it. Nobody says what a product's margin is: it is all that the order is worth,
 * or that over the leverage that the subscription has. */
static void margin_counts_what_the_order_needs(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 5);
    for (uint32_t i = 0; i < 5; i++) {
        policies[i].margin_use_max_e8 = LS_E8 * 8 / 10;
        world.capital_e8[i] = E8(100000);
        world.margin_used_e8[i] = E8(75000);
        world.capital_mono_ns[i] = world.now_mono_ns;
    }
    world.followers[1].ratio_e8 = LS_E8 / 2;
    policies[2].leverage_e8 = 2 * LS_E8;
    world.margin_used_e8[3] = E8(70000);
    world.capital_mono_ns[4] = 1; /* too old */
    world_adopt(&world);
    (void)market_order(&world, IPC_SIDE_BUY, 100);
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_MAX_CAPITAL_EXPOSURE);
    assert_int_equal(command_of(&world, 1)->qty_e8, E8(50));
    assert_int_equal(command_of(&world, 2)->qty_e8, E8(100));
    assert_int_equal(command_of(&world, 3)->qty_e8, E8(100));
    assert_int_equal(world_last_fact(&world, 4).reason, IPC_REASON_CAPITAL_UNKNOWN);
    /* Without a price nobody knows what it is worth; what is used above the limit bars any. */
    world.margin_used_e8[1] = E8(80001);
    (void)market_order(&world, IPC_SIDE_BUY, 2);
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_NONE);
    assert_int_equal(world_last_fact(&world, 1).reason, IPC_REASON_MAX_CAPITAL_EXPOSURE);
    world.price_e8 = 0;
    (void)market_order(&world, IPC_SIDE_BUY, 2);
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_PRICE_UNKNOWN);
    world_check(&world);
    world_close(&world);
}

/* An option that is written stands in for its strike, of which its price is no measure. */
static void a_written_option_counts_its_strike(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 2);
    world.instruments[0].kind = IPC_KIND_OPTION;
    world.instruments[0].strike_e8 = E8(20000);
    for (uint32_t i = 0; i < 2; i++) {
        policies[i].margin_use_max_e8 = LS_E8 / 2;
        world.capital_e8[i] = E8(i == 0 ? 401999 : 402000);
        world.capital_mono_ns[i] = world.now_mono_ns;
        world.followers[i].flags |= IPC_FOLLOWER_ALLOW_SHORT;
    }
    world_adopt(&world);
    (void)market_order(&world, IPC_SIDE_SELL, 10); /* 10 x (20,000 + 100) */
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_MAX_CAPITAL_EXPOSURE);
    assert_int_equal(command_of(&world, 1)->qty_e8, E8(10));
    world_check(&world);
    world_close(&world);
}

/* A copy that was made as ordered goes with its order, also when its follower follows fills now. */
static void an_ordered_copy_goes_with_its_order(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    world_adopt(&world);
    struct ipc_event order = world_order(&world, IPC_SIDE_BUY, 10, E8(99));
    assert_int_equal(world_event(&world, &order), 1);
    assert_int_equal(world_waves(&world), 1);
    world_ack(&world, &world.commands[0]);
    world.followers[0].copy = IPC_COPY_ON_FILL;
    world_adopt(&world);
    order.version = 0;
    order.status = IPC_STATUS_CANCELLED;
    assert_int_equal(world_event(&world, &order), 1);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[1].action, IPC_ACTION_CANCEL);
    world_check(&world);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_price_guard_leaves_as_an_ioc_limit),
        cmocka_unit_test(modes_divide_by_the_accounts),
        cmocka_unit_test(rounding_and_caps_of_a_policy_hold),
        cmocka_unit_test(market_protection_is_sent),
        cmocka_unit_test(unknown_instruments_are_skipped),
        cmocka_unit_test(stops_and_free_margins_size),
        cmocka_unit_test(margin_counts_what_the_order_needs),
        cmocka_unit_test(a_written_option_counts_its_strike),
        cmocka_unit_test(an_ordered_copy_goes_with_its_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
