#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/engine/core/core_world.h"

#include <stdio.h>
#include <string.h>

/* The identity guard in decisions: followers 0 and 1 are at broker 0 like the master, 2 and 3 at
 * broker 1. */

#define E8(units)  ((int64_t)(units)*LS_E8)
#define OPTION     2u /* lot 65 in the instrument's own row */
#define FOLLOWERS  4u
#define MASTER_OF0 0u

struct guard {
    struct world world;
    struct ipc_row_contract contracts[4];
};

static void guard_open(struct guard *guard)
{
    world_open(&guard->world, FOLLOWERS);
    for (uint32_t slot = 2; slot < FOLLOWERS; slot++) {
        guard->world.followers[slot].broker = 1;
        guard->world.accounts[guard->world.followers[slot].account - 1].broker = 1;
    }
    guard->world.brokers[1] = guard->world.brokers[0];
    guard->world.policies[1] = guard->world.policies[0];
    guard->world.view.broker_count = 2;
    guard->world.view.contracts = guard->contracts;
    guard->world.view.contract_count = 0;
    world_adopt(&guard->world);
}

static void set_contract(struct guard *guard, uint16_t broker, uint64_t identity, int64_t lot,
    const char *token, uint16_t flags)
{
    struct ipc_row_contract *row = &guard->contracts[guard->world.view.contract_count++];
    *row = (struct ipc_row_contract){.instrument = OPTION,
        .broker = broker,
        .identity = identity,
        .flags = flags,
        .lot_qty_e8 = E8(lot),
        .tick_e8 = 5000000};
    snprintf(row->token, sizeof row->token, "%s", token);
    snprintf(row->symbol, sizeof row->symbol, "OPT");
}

/* The master's order fills at once; every copy that leaves fills too. Returns how many left. */
static uint32_t trade(struct guard *guard, enum ipc_side side, int64_t units)
{
    struct world *world = &guard->world;
    struct ipc_event event = world_order(world, side, units, E8(100));
    event.instrument = OPTION;
    event.status = IPC_STATUS_FILLED;
    event.filled_qty_e8 = E8(units);
    event.average_price_e8 = E8(100);
    (void)world_event(world, &event);
    const uint32_t from = world->command_count;
    (void)world_waves(world);
    const uint32_t count = world->command_count - from;
    for (uint32_t i = from; i < from + count; i++) {
        world_ack(world, &world->commands[i]);
        (void)world_update(world, world->commands[i].child, IPC_STATUS_FILLED,
            world->commands[i].qty_e8 / LS_E8, E8(100));
    }
    (void)world_release(world);
    return count;
}

static const struct ipc_command *newest_of(const struct guard *guard, uint32_t slot)
{
    for (uint32_t i = guard->world.command_count; i > 0; i--)
        if (guard->world.commands[i - 1].slot == slot)
            return &guard->world.commands[i - 1];
    fail_msg("nothing left for slot %u", slot);
    return NULL;
}

static int64_t held(const struct guard *guard, uint32_t slot)
{
    return eng_core_copied_position(guard->world.core, 100 + slot, OPTION, IPC_PRODUCT_MIS, NULL);
}

static void alike_contracts_are_copied_under_their_own_tokens(void **state)
{
    (void)state;
    struct guard guard;
    guard_open(&guard);
    set_contract(&guard, 0, 7, 65, "500", 0);
    set_contract(&guard, 1, 7, 65, "900", 0);
    world_adopt(&guard.world);
    assert_int_equal(trade(&guard, IPC_SIDE_BUY, 130), 4);
    for (uint32_t slot = 0; slot < FOLLOWERS; slot++) {
        assert_string_equal(newest_of(&guard, slot)->token, slot < 2 ? "500" : "900");
        assert_int_equal(held(&guard, slot), E8(130));
    }
    world_check(&guard.world);
    world_close(&guard.world);
}

static void entries_are_refused_and_exits_are_not(void **state)
{
    (void)state;
    static const struct {
        uint16_t flags;    /* of broker 1's contract after the first entry */
        uint64_t identity; /* of it; the master's is 7 */
        int64_t lot;
        enum ipc_reason entry;
    } rows[] = {
        {0, 8, 75, IPC_REASON_INSTRUMENT_MISMATCH},
        {IPC_CONTRACT_GONE, 7, 65, IPC_REASON_INSTRUMENT_UNKNOWN},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct guard guard;
        guard_open(&guard);
        set_contract(&guard, 0, 7, 65, "500", 0);
        set_contract(&guard, 1, 7, 65, "900", 0);
        world_adopt(&guard.world);
        assert_int_equal(trade(&guard, IPC_SIDE_BUY, 130), 4);
        /* Broker 1's file changes while its followers hold what they copied. */
        guard.contracts[1].flags = rows[i].flags;
        guard.contracts[1].identity = rows[i].identity;
        guard.contracts[1].lot_qty_e8 = E8(rows[i].lot);
        world_adopt(&guard.world);
        assert_int_equal(trade(&guard, IPC_SIDE_BUY, 65), 2);
        for (uint32_t slot = 2; slot < FOLLOWERS; slot++) {
            assert_int_equal(world_last_fact(&guard.world, slot).reason, rows[i].entry);
            assert_int_equal(held(&guard, slot), E8(130));
        }
        /* The master goes out: everybody closes what he holds, the refused entry left out. */
        assert_int_equal(trade(&guard, IPC_SIDE_SELL, 195), 4);
        for (uint32_t slot = 0; slot < FOLLOWERS; slot++) {
            assert_string_equal(newest_of(&guard, slot)->token, slot < 2 ? "500" : "900");
            assert_int_equal(held(&guard, slot), 0);
        }
        world_check(&guard.world);
        world_close(&guard.world);
    }
}

/* Parts of what is held are closed in lots of the follower's own broker; the last close takes all.
 */
static void parts_are_closed_in_the_own_lot(void **state)
{
    (void)state;
    struct guard guard;
    guard_open(&guard);
    set_contract(&guard, 0, 7, 65, "500", 0);
    set_contract(&guard, 1, 7, 65, "900", 0);
    world_adopt(&guard.world);
    assert_int_equal(trade(&guard, IPC_SIDE_BUY, 260), 4);
    guard.contracts[1].identity = 8;
    guard.contracts[1].lot_qty_e8 = E8(75);
    world_adopt(&guard.world);
    assert_int_equal(trade(&guard, IPC_SIDE_SELL, 130), 4);
    assert_int_equal(held(&guard, 0), E8(130));
    assert_int_equal(held(&guard, 2), E8(260 - 75)); /* a lot of 75, not two of 65 */
    assert_int_equal(trade(&guard, IPC_SIDE_SELL, 130), 4);
    for (uint32_t slot = 0; slot < FOLLOWERS; slot++)
        assert_int_equal(held(&guard, slot), 0);
    world_check(&guard.world);
    world_close(&guard.world);
}

static void a_broker_without_the_contract_gets_nothing(void **state)
{
    (void)state;
    struct guard guard;
    guard_open(&guard);
    set_contract(&guard, 0, 7, 65, "500", 0);
    world_adopt(&guard.world);
    assert_int_equal(trade(&guard, IPC_SIDE_BUY, 130), 2);
    assert_int_equal(world_last_fact(&guard.world, 3).reason, IPC_REASON_INSTRUMENT_UNKNOWN);
    assert_int_equal(held(&guard, 3), 0);
    world_check(&guard.world);
    world_close(&guard.world);
}

static void an_instrument_that_is_gone_is_left_but_not_entered(void **state)
{
    (void)state;
    struct guard guard;
    guard_open(&guard);
    assert_int_equal(trade(&guard, IPC_SIDE_BUY, 130), 4);
    guard.world.instruments[OPTION - 1].flags = IPC_INSTRUMENT_GONE;
    world_adopt(&guard.world);
    assert_int_equal(trade(&guard, IPC_SIDE_BUY, 65), 0);
    assert_int_equal(world_last_fact(&guard.world, 0).reason, IPC_REASON_INSTRUMENT_UNKNOWN);
    assert_int_equal(trade(&guard, IPC_SIDE_SELL, 195), 4);
    for (uint32_t slot = 0; slot < FOLLOWERS; slot++)
        assert_int_equal(held(&guard, slot), 0);
    world_check(&guard.world);
    world_close(&guard.world);
}

/* The instrument's own row is that of the first broker; master and follower may be at another. */
static void the_masters_lot_counts(void **state)
{
    (void)state;
    struct guard guard;
    guard_open(&guard);
    guard.world.accounts[MASTER_OF0].broker = 1;
    set_contract(&guard, 0, 7, 65, "500", 0);
    set_contract(&guard, 1, 8, 75, "900", 0);
    world_adopt(&guard.world);
    assert_int_equal(trade(&guard, IPC_SIDE_BUY, 150), 2);
    assert_int_equal(held(&guard, 2), E8(150)); /* two lots of 75, not two of 65 */
    assert_int_equal(world_last_fact(&guard.world, 0).reason, IPC_REASON_INSTRUMENT_MISMATCH);
    world_check(&guard.world);
    world_close(&guard.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alike_contracts_are_copied_under_their_own_tokens),
        cmocka_unit_test(entries_are_refused_and_exits_are_not),
        cmocka_unit_test(parts_are_closed_in_the_own_lot),
        cmocka_unit_test(a_broker_without_the_contract_gets_nothing),
        cmocka_unit_test(an_instrument_that_is_gone_is_left_but_not_entered),
        cmocka_unit_test(the_masters_lot_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
