#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "engine/core/reconcile.h"
#include "tests/unit/engine/core/core_world.h"

/* What the simulated world (tests/sim) has found in the core about closes that go again and about
 * amendments of copies that have filled, one test each. */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_close_that_goes_again_goes_alone),
        cmocka_unit_test(what_is_added_to_a_filled_copy_is_sliced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
