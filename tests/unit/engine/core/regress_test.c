#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/engine/core/core_world.h"

/* What the simulated world (tests/sim) has found in the core, one test each. */

#define E8(units) ((int64_t)(units)*LS_E8)

/* A wave whose list shrank under it ends with a marker; it is one applied element, and nothing
 * leaves for it. */
static void the_end_marker_is_an_applied_element(void **state)
{
    (void)state;
    struct world world;
    const uint32_t *handles = NULL;
    world_open(&world, 12);
    struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &entry);
    assert_true(world_wave_step(&world)); /* the first four */
    assert_int_equal(world.command_count, 4);
    for (uint32_t i = 0; i < 4; i++) /* the list is now those that were visited */
        world.master_slots[i] = world.commands[i].slot;
    world.masters[0].count = 4;
    world.view.master_slot_count = 4;
    world_adopt(&world);
    assert_true(world_wave_step(&world));
    assert_int_equal(eng_core_applied(world.core, &handles), 1);
    assert_int_equal(handles[0], ENG_NONE);
    assert_int_equal(eng_core_counters(world.core)->vanished, 8);
    assert_false(world_wave_step(&world));
    world_check(&world);
    world_close(&world);
}

/* Exits that wait for the same entry go one after the other when it fills, each with what is left;
 * none is held back by what another in the queue has reserved. */
static void queued_exits_do_not_wait_for_each_other(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 20, 0);
    entry.status = IPC_STATUS_FILLED;
    entry.filled_qty_e8 = E8(20);
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 1);
    world_ack(&world, &world.commands[0]);
    for (int i = 0; i < 2; i++) { /* all of it, twice: the second before the first has filled */
        struct ipc_event leave = world_order(&world, IPC_SIDE_SELL, 20, E8(100));
        (void)world_event(&world, &leave);
        assert_int_equal(world_waves(&world), 0);
    }
    assert_int_equal(world_release(&world), 0);
    (void)world_update(&world, world.commands[0].child, IPC_STATUS_FILLED, 20, E8(100));
    assert_int_equal(world_release(&world), 1);
    assert_int_equal(world.commands[1].qty_e8, E8(20));
    world_ack(&world, &world.commands[1]);
    assert_int_equal(world_release(&world), 0);
    /* The first ends with five filled: the second closes the rest. */
    (void)world_update(&world, world.commands[1].child, IPC_STATUS_CANCELLED, 5, E8(100));
    assert_int_equal(world_release(&world), 1);
    assert_int_equal(world.commands[2].qty_e8, E8(15));
    world_check(&world);
    world_close(&world);
}

/* An exit that waits for another close of its position lets exits of other instruments pass. */
static void a_waiting_exit_lets_others_pass(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    struct ipc_event other = world_order(&world, IPC_SIDE_BUY, 30, 0);
    other.instrument = 3;
    other.status = IPC_STATUS_FILLED;
    other.filled_qty_e8 = E8(30);
    (void)world_event(&world, &other);
    struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 20, 0);
    entry.status = IPC_STATUS_FILLED;
    entry.filled_qty_e8 = E8(20);
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 2);
    for (int i = 0; i < 2; i++)
        world_ack(&world, &world.commands[i]);
    (void)world_update(&world, world.commands[0].child, IPC_STATUS_FILLED, 30, E8(100));
    for (int i = 0; i < 2; i++) { /* the second has nothing to close until the first ends */
        struct ipc_event leave = world_order(&world, IPC_SIDE_SELL, 20, E8(100));
        (void)world_event(&world, &leave);
        assert_int_equal(world_waves(&world), 0);
    }
    (void)world_update(&world, world.commands[1].child, IPC_STATUS_FILLED, 20, E8(100));
    assert_int_equal(world_release(&world), 1);
    world_ack(&world, &world.commands[2]);

    struct ipc_event leave = world_order(&world, IPC_SIDE_SELL, 30, E8(100));
    leave.instrument = 3;
    (void)world_event(&world, &leave);
    assert_int_equal(world_waves(&world), 0); /* others of its class wait already */
    assert_int_equal(world_release(&world), 1);
    assert_int_equal(world.commands[3].instrument, 3);
    assert_int_equal(world.commands[3].qty_e8, E8(30));
    world_check(&world);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_marker_is_an_applied_element),
        cmocka_unit_test(queued_exits_do_not_wait_for_each_other),
        cmocka_unit_test(a_waiting_exit_lets_others_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
