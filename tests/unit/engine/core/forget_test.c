/* engine/core/forget: what is older than the day before is gone from tables and maps, and nothing
 * that is decided afterwards is another for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/core_private.h"
#include "engine/core/dedupe.h"
#include "engine/core/forget.h"
#include "engine/core/positions.h"
#include "tests/support/story.h"

#define DAY_FIRST 20260105u

/* Journals the market's next day and every step of forgetting. Returns the steps. */
static uint32_t day_goes_on(struct world *world, uint32_t day)
{
    const struct eng_market_times times = {.day = day};
    struct ipc_fact_day fact;
    uint32_t steps = 0;
    while (eng_day_next(world->core, &times, &fact)) {
        world_apply(world, IPC_FACT_DAY, &fact, sizeof fact, 1);
        steps++;
        assert_true(steps < 100000);
    }
    return steps;
}

/* Every record that is in use is found under all its names, and nothing else is. */
static void maps_check(const struct eng_core *core)
{
    uint32_t children = 0, orders = 0, ids = 0, cells[3] = {0};
    for (uint32_t i = 0; i < core->fold.child_count; i++) {
        const struct eng_child *child = &core->children[i];
        if (eng_child_is_free(child))
            continue;
        uint32_t newest = eng_child_find(core, child->order, child->follower_no);
        bool found = false;
        children += newest == i;
        for (uint32_t at = newest; at != ENG_NONE; at = core->children[at].older)
            found |= at == i;
        assert_true(found);
        found = false;
        for (uint32_t at = core->positions[child->position].newest_child; at != ENG_NONE;
             at = core->children[at].position_older)
            found |= at == i;
        assert_true(found);
        ids += child->broker_order_id[0] != '\0';
    }
    for (uint32_t i = 0; i < core->fold.order_count; i++) {
        const struct eng_order *order = &core->orders[i];
        if (eng_order_is_free(order))
            continue;
        orders++;
        assert_int_equal(eng_order_find(core, order->key), i);
        uint32_t at = eng_order_by_digits(core, order->order_digits);
        while (at != i)
            at = core->orders[at].digits_next;
    }
    for (uint32_t i = 0; i <= core->child_map.mask; i++)
        cells[0] += core->child_map.cells[i] != 0;
    for (uint32_t i = 0; i <= core->order_map.mask; i++)
        cells[1] += core->order_map.cells[i] != 0;
    for (uint32_t i = 0; i <= core->broker_map.mask; i++)
        cells[2] += core->broker_map.cells[i] != 0;
    assert_int_equal(cells[0], children);
    assert_int_equal(cells[1], orders);
    assert_int_equal(cells[2], ids);
}

/* The same random days with and without forgetting: every decision is the same, byte for byte. */
static void test_decisions_are_the_same(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct world with, without;
        struct ipc_prng prng[2];
        struct story stories[2];
        uint32_t day = DAY_FIRST;
        print_message("seed %llu\n", (unsigned long long)seed);
        memset(stories, 0, sizeof stories);
        ipc_prng_seed(&prng[0], seed);
        ipc_prng_seed(&prng[1], seed);
        world_open(&with, 20);
        world_open(&without, 20);
        for (int step = 0; step < 120; step++) {
            story_act(&stories[0], &with, &prng[0]);
            story_act(&stories[1], &without, &prng[1]);
            if (step % 8 == 7) {
                (void)day_goes_on(&with, ++day);
                maps_check(with.core);
            }
        }
        assert_true(with.core->fold.forgotten > 0);
        assert_true(with.core->fold.orders_free > 0);
        assert_int_equal(with.core->fold.child_count, without.core->fold.child_count);
        assert_int_equal(with.command_count, without.command_count);
        for (uint32_t i = 0; i < with.command_count; i++)
            assert_memory_equal(&with.commands[i], &without.commands[i], sizeof with.commands[i]);
        assert_memory_equal(eng_core_counters(with.core), eng_core_counters(without.core),
            sizeof(struct eng_core_counters));
        for (uint32_t i = 0; i < with.core->fold.position_count; i++)
            assert_int_equal(with.core->positions[i].held_e8, without.core->positions[i].held_e8);
        world_check(&with); /* the fold of the journal is the live state */
        world_close(&with);
        world_close(&without);
    }
}

/* One order that everybody copies and that fills everywhere. */
static void order_fills(struct world *world, enum ipc_side side)
{
    uint32_t before = world->command_count;
    world->now_mono_ns += LS_NS_PER_S;
    world->now_wall_ns += LS_NS_PER_S;
    world->price_mono_ns = world->now_mono_ns;
    struct ipc_event event = world_order(world, side, 10, 100 * LS_E8);
    (void)world_event(world, &event);
    assert_int_equal(world_waves(world), 20);
    for (uint32_t i = before; i < before + 20; i++) {
        world_ack(world, &world->commands[i]);
        (void)world_update(world, world->commands[i].child, IPC_STATUS_FILLED, 10, 100 * LS_E8);
    }
    event.status = IPC_STATUS_FILLED;
    event.filled_qty_e8 = event.qty_e8;
    event.average_price_e8 = event.price_e8;
    event.version++;
    (void)world_event(world, &event);
    (void)world_waves(world);
}

/* Tables for a few days only last for as many as there are, also while something is held. */
static void test_tables_last(void **state)
{
    (void)state;
    struct world world;
    uint32_t day = DAY_FIRST;
    world_open(&world, 20);
    world.limits.child_max = 2048;
    world.limits.order_max = 96;
    world.core = eng_core_init(world.memory, &world.limits, &world.config);
    world_adopt(&world);
    order_fills(&world, IPC_SIDE_BUY); /* held throughout */
    for (int step = 0; step < 400; step++) {
        order_fills(&world, step % 2 == 0 ? IPC_SIDE_BUY : IPC_SIDE_SELL);
        if (step % 16 != 15)
            continue;
        assert_true(day_goes_on(&world, ++day) > 0);
        maps_check(world.core);
        if (step % 64 == 63)
            world_restart(&world, true);
    }
    assert_int_equal(eng_core_counters(world.core)->placed, 401 * 20);
    assert_true(world.core->fold.child_count <= 2048);
    assert_int_equal(eng_core_counters(world.core)->skips_by_reason[IPC_REASON_CAPACITY], 0);
    assert_int_equal(
        eng_core_copied_position(world.core, 100, 1, IPC_PRODUCT_MIS, NULL), 10 * LS_E8);
    world_check(&world);
    world_close(&world);
}

/* A position whose children are all forgotten is copied again: it stands in its slot's list once,
 * and whoever walks that list comes to its end, before and after a restart. */
static void test_positions_are_listed_once(void **state)
{
    (void)state;
    struct world world;
    uint32_t day = DAY_FIRST;
    world_open(&world, 20);
    for (int step = 0; step < 6; step++) {
        order_fills(&world, step % 2 == 0 ? IPC_SIDE_BUY : IPC_SIDE_SELL);
        (void)day_goes_on(&world, ++day);
        (void)day_goes_on(&world, ++day);
        assert_int_equal(world.core->positions[0].newest_child, ENG_NONE);
        eng_core_verify(world.core);
        assert_false(eng_position_unknown(world.core, 0, 100, 1));
        if (step % 3 == 2)
            world_restart(&world, true);
    }
    order_fills(&world, IPC_SIDE_BUY);
    assert_int_equal(world.core->fold.position_count, 20);
    world_check(&world);
    world_close(&world);
}

/* Random days in tables that do not suffice for them: what does not fit is skipped, all the rest
 * goes on, and every decision comes to an end. */
static void test_random_days_in_small_tables(void **state)
{
    (void)state;
    struct world world;
    struct story story = {0};
    struct ipc_prng prng;
    uint32_t day = DAY_FIRST;
    print_message("seed 99\n");
    ipc_prng_seed(&prng, 99);
    world_open(&world, 20);
    world.limits.child_max = 4096;
    world.limits.order_max = 512;
    world.core = eng_core_init(world.memory, &world.limits, &world.config);
    world_adopt(&world);
    for (int step = 0; step < 600; step++) {
        story_act(&story, &world, &prng);
        if (step % 8 == 7)
            (void)day_goes_on(&world, ++day);
    }
    maps_check(world.core);
    assert_true(world.core->fold.forgotten > 0);
    world_check(&world);
    world_close(&world);
}

/* Nothing of the day and the one before goes, and neither does what is not over. */
static void test_what_stays(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, 100 * LS_E8);
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 2);
    world_ack(&world, &world.commands[0]); /* it works on; the other is refused */
    world_reply(&world, &world.commands[1], IPC_OUTCOME_REJECTED, IPC_EVIDENCE_REPLY, NULL);
    event.status = IPC_STATUS_FILLED;
    event.filled_qty_e8 = event.qty_e8;
    event.average_price_e8 = event.price_e8;
    event.version++;
    (void)world_event(&world, &event);
    (void)world_waves(&world);
    (void)day_goes_on(&world, DAY_FIRST);
    assert_int_equal(world.core->fold.forgotten, 0);
    (void)day_goes_on(&world, DAY_FIRST + 1); /* it is of the day before the first: gone */
    assert_int_equal(world.core->fold.forgotten, 1);
    assert_int_equal(world.core->fold.orders_free, 0); /* a copy of it works */
    assert_int_equal(day_goes_on(&world, DAY_FIRST + 1), 0);
    struct ipc_fact_day wrong = {.act = IPC_DAY_ACT_BEGIN, .day = DAY_FIRST};
    const struct eng_frame frame = {.type = IPC_FACT_DAY,
        .count = 1,
        .payload = &wrong,
        .payload_bytes = sizeof wrong,
        .lsn = world.lsn + 1};
    assert_int_equal(eng_apply(world.core, &frame), IPC_BAD_INPUT);
    wrong.act = 9;
    assert_int_equal(eng_apply(world.core, &frame), IPC_BAD_INPUT);
    wrong.act = IPC_DAY_ACT_ORDERS;
    assert_int_equal(eng_apply(world.core, &frame), IPC_BAD_INPUT);
    world_check(&world);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decisions_are_the_same),
        cmocka_unit_test(test_tables_last),
        cmocka_unit_test(test_positions_are_listed_once),
        cmocka_unit_test(test_random_days_in_small_tables),
        cmocka_unit_test(test_what_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
