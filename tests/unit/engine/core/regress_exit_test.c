#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "engine/core/reconcile.h"
#include "tests/unit/engine/core/core_world.h"

/* What the simulated world (tests/sim) has found in the core about closes that go again, about
 * amendments of copies that have filled and about decisions that were made again from their
 * frames, one test each. */

#define E8(units) ((int64_t)(units)*LS_E8)

static void open_with(struct world *world, int64_t units)
{
    world_open(world, 1);
    struct ipc_event entry = world_order(world, IPC_SIDE_BUY, units, 0);
    entry.status = IPC_STATUS_FILLED;
    entry.filled_qty_e8 = E8(units);
    (void)world_event(world, &entry);
    assert_int_equal(world_waves(world), 1);
    world_ack(world, &world->commands[0]);
    (void)world_update(world, world->commands[0].child, IPC_STATUS_FILLED, units, E8(100));
}

/* A close of unknown outcome is to go once more, with the same id, at a broker that enforces ids:
 * it waits for the answer to another one that left meanwhile, as any close does. */
static void a_close_that_goes_again_goes_alone(void **state)
{
    (void)state;
    struct world world;
    open_with(&world, 20);
    world.policies[0].idempotency = ENG_ID_ENFORCED;
    world.policies[0].dedupe_window_ns = 60 * LS_NS_PER_S;
    world_adopt(&world);
    for (uint32_t i = 1; i <= 2; i++) {
        struct ipc_event leave = world_order(&world, IPC_SIDE_SELL, 5, E8(100));
        (void)world_event(&world, &leave);
        assert_int_equal(world_waves(&world) + world_release(&world), 1);
        assert_int_equal(world.commands[i].qty_e8, E8(5));
        if (i == 1) /* in doubt: it holds up no other */
            world_reply(
                &world, &world.commands[1], IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_TIMEOUT, NULL);
    }
    assert_string_not_equal(world.commands[2].tag, world.commands[1].tag);
    world.now_mono_ns += 100 * LS_NS_PER_MS;
    world.now_wall_ns += 100 * LS_NS_PER_MS;
    struct eng_event_facts facts;
    while (eng_recon_time(world.core, world.now_mono_ns, world.now_wall_ns, &facts)) {
        for (uint32_t i = 0; i < facts.count; i++)
            world_apply(&world, facts.fact[i].type, &facts.fact[i].event, facts.fact[i].bytes, 1);
    }
    assert_int_equal(world_release(&world), 0);
    world_check(&world);
    world_ack(&world, &world.commands[2]);
    assert_int_equal(world_release(&world), 1);
    assert_string_equal(world.commands[3].tag, world.commands[1].tag);
    world_check(&world);
    world_close(&world);
}

/* What an amendment adds to a copy that filled already leaves in orders below the freeze quantity,
 * however few there are. */
static void what_is_added_to_a_filled_copy_is_sliced(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world.instruments[1].freeze_qty_e8 = E8(1800);
    world_adopt(&world);
    struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 130, E8(100));
    entry.instrument = 2;
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 1);
    world_ack(&world, &world.commands[0]);
    (void)world_update(&world, world.commands[0].child, IPC_STATUS_FILLED, 130, E8(100));
    entry.version = 0;
    entry.qty_e8 = E8(130 + 3900);
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 3);
    assert_int_equal(world.commands[1].qty_e8, E8(1755));
    assert_int_equal(world.commands[2].qty_e8, E8(1755));
    assert_int_equal(world.commands[3].qty_e8, E8(390));
    world_check(&world);
    world_close(&world);
}

/* Places one child for a master's order and leaves it working. */
static struct ipc_event rests(struct world *world, enum ipc_side side, int64_t units, int64_t price)
{
    struct ipc_event order = world_order(world, side, units, E8(price));
    (void)world_event(world, &order);
    assert_int_equal(world_waves(world), 1);
    world_ack(world, &world->commands[world->command_count - 1]);
    return order;
}

static uint32_t trades(struct world *world, enum ipc_side side, int64_t units)
{
    struct ipc_event order = world_order(world, side, units, 0);
    order.type = IPC_TYPE_MARKET;
    order.status = IPC_STATUS_FILLED;
    order.filled_qty_e8 = E8(units);
    (void)world_event(world, &order);
    return world_waves(world);
}

/* A copy that stands on the other side of the order which leaves the master flat is closed at a
 * price that trades: the limit of a protected sell is below the market though the order bought. */
static void the_other_side_is_closed_at_its_own_price(void **state)
{
    (void)state;
    struct world world;
    open_with(&world, 20);
    world.followers[0].broker = 1; /* refuses market orders */
    world.accounts[WORLD_MASTERS].broker = 1;
    world_adopt(&world);
    struct ipc_event target = rests(&world, IPC_SIDE_SELL, 20, 110);
    uint32_t close = world.commands[1].child;
    assert_int_equal(trades(&world, IPC_SIDE_SELL, 20), 0); /* clamped: the target has it all */
    struct ipc_event wish = rests(&world, IPC_SIDE_SELL, 30, 120);
    uint32_t entry = world.commands[2].child;
    world.word = IPC_SWITCH_CLOSE_ONLY;
    assert_int_equal(trades(&world, IPC_SIDE_SELL, 20), 0); /* the master is short, nobody else */
    struct ipc_event *gone[] = {&target, &wish};
    for (uint32_t i = 0; i < 2; i++) {
        gone[i]->version = 0;
        gone[i]->status = IPC_STATUS_CANCELLED;
        (void)world_event(&world, gone[i]);
        (void)world_waves(&world);
    }
    (void)world_update(&world, close, IPC_STATUS_CANCELLED, 0, 0);
    uint32_t before = world.command_count;
    (void)trades(&world, IPC_SIDE_BUY, 20); /* flat; the follower's sell is being cancelled */
    (void)world_update(&world, entry, IPC_STATUS_CANCELLED, 0, 0);
    (void)world_waves(&world);
    (void)world_release(&world);
    assert_int_equal(world.command_count, before + 1);
    const struct ipc_command *command = &world.commands[before];
    assert_int_equal(command->side, IPC_SIDE_SELL);
    assert_int_equal(command->qty_e8, E8(20));
    assert_int_equal(command->type, IPC_TYPE_LIMIT);
    assert_true(command->price_e8 < world.price_e8);
    world_check(&world);
    world_close(&world);
}

/* Decided again from its frame (the world does so with every batch), an amendment that a switch
 * barred from a copy which is still on its way is barred again: the copy itself has no reason. */
static void an_amendment_that_a_switch_barred_is_decided_again(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2);
    static const struct ipc_row_map_item items[1] = {{.from = 2, .to = 3}};
    static const struct ipc_row_list maps[1] = {{.first = 0, .count = 1}};
    world.view.maps = maps;
    world.view.map_count = 1;
    world.view.map_items = items;
    world.view.map_item_count = 1;
    world.followers[0].map = 1; /* not of this instrument: its steps go on record */
    world_adopt(&world);
    struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 28, E8(100));
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 2); /* nobody has answered */
    world.follower_word[0] = IPC_SWITCH_HALT;
    entry.version = 0;
    entry.qty_e8 = E8(64);
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 0);
    assert_int_equal(world_last_fact(&world, 0).kind, IPC_CHILD_WAIT);
    assert_int_equal(world_last_fact(&world, 1).kind, IPC_CHILD_WAIT);
    world_ack(&world, &world.commands[0]);
    world_ack(&world, &world.commands[1]);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[2].qty_e8, E8(64));
    assert_int_equal(world.commands[2].child, world.commands[1].child);
    world_check(&world);
    world_close(&world);
}

/* Figures that were too old for one follower are so again, also beside fresh ones of another, whose
 * steps name the master's. */
static void figures_too_old_are_decided_again(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2);
    static struct ipc_row_policy policy;
    policy = (struct ipc_row_policy){.available_factor_e8 = LS_E8};
    world.view.policies = &policy;
    world.view.policy_count = 1;
    for (uint32_t i = 0; i < 2; i++) {
        world.followers[i].mode = IPC_MODE_AVAILABLE_RATIO_CAPPED;
        world.followers[i].policy = 1;
        world.capital_e8[i] = E8(5000);
        world.capital_mono_ns[i] = world.now_mono_ns;
    }
    world.capital_mono_ns[1] = 1;
    world.master_capital_e8 = E8(10000);
    world.master_capital_mono_ns = world.now_mono_ns;
    world_adopt(&world);
    struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[0].qty_e8, E8(5));
    assert_int_equal(world_last_fact(&world, 1).reason, IPC_REASON_STALE_ACCOUNT_DATA);
    world_check(&world);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_close_that_goes_again_goes_alone),
        cmocka_unit_test(what_is_added_to_a_filled_copy_is_sliced),
        cmocka_unit_test(the_other_side_is_closed_at_its_own_price),
        cmocka_unit_test(an_amendment_that_a_switch_barred_is_decided_again),
        cmocka_unit_test(figures_too_old_are_decided_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
