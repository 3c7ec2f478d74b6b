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

/* A close that still works when its position was turned round opens more of the new one: an entry
 * has only the room that is left when it fills. */
static void a_close_that_outlived_its_position_takes_room(void **state)
{
    (void)state;
    static const enum ipc_side sides[] = {IPC_SIDE_SELL, IPC_SIDE_BUY};
    for (int i = 0; i < 2; i++) {
        enum ipc_side side = sides[i], back = sides[1 - i];
        struct world world;
        world_open(&world, 1);
        struct ipc_event first = world_order(&world, side, 60, 0);
        first.status = IPC_STATUS_FILLED;
        first.filled_qty_e8 = E8(60);
        (void)world_event(&world, &first);
        assert_int_equal(world_waves(&world), 1);
        world_ack(&world, &world.commands[0]);
        (void)world_update(&world, 0, IPC_STATUS_FILLED, 60, E8(100));
        struct ipc_event leave = world_order(&world, back, 20, E8(100));
        (void)world_event(&world, &leave);
        assert_int_equal(world_waves(&world), 1);
        assert_int_equal(world.commands[1].qty_e8, E8(20));
        world_ack(&world, &world.commands[1]); /* it works, nothing of it is filled */
        /* The master goes flat and turns round before the closes have filled. */
        struct ipc_event flat = world_order(&world, back, 60, 0);
        flat.status = IPC_STATUS_FILLED;
        flat.filled_qty_e8 = E8(60);
        (void)world_event(&world, &flat);
        (void)world_waves(&world);
        uint32_t before = world.command_count;
        struct ipc_event turn = world_order(&world, back, 150, E8(100));
        (void)world_event(&world, &turn);
        (void)world_waves(&world);
        assert_true(world.command_count > before);
        struct ipc_command entry = world.commands[world.command_count - 1];
        assert_int_equal(entry.qty_e8, E8(150));
        world_ack(&world, &entry);
        (void)world_update(&world, entry.child, IPC_STATUS_FILLED, 150, E8(100));
        int64_t reserved_e8 = 0;
        int64_t held_e8 = eng_core_copied_position(
            world.core, world.followers[0].follower_no, 1, IPC_PRODUCT_MIS, &reserved_e8);
        held_e8 = held_e8 < 0 ? -held_e8 : held_e8;
        assert_int_equal(held_e8, E8(90));
        assert_int_equal(reserved_e8, E8(60));
        world.followers[0].max_position_e8 = held_e8 + reserved_e8 + E8(30);
        world_adopt(&world);
        struct ipc_event more = world_order(&world, back, 100, E8(100));
        (void)world_event(&world, &more);
        assert_int_equal(world_waves(&world), 1);
        entry = world.commands[world.command_count - 1];
        assert_int_equal(entry.qty_e8, E8(30));
        assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_MAX_POSITION_REDUCED);
        world_check(&world);
        world_close(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_marker_is_an_applied_element),
        cmocka_unit_test(queued_exits_do_not_wait_for_each_other),
        cmocka_unit_test(a_waiting_exit_lets_others_pass),
        cmocka_unit_test(a_close_that_outlived_its_position_takes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
