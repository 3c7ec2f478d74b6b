#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/core/pipeline/pool.h"
#include "tests/unit/engine/core/core_world.h"

/* Worked cases of shape `scenario`, with their own numbers, that are no single decision and no test
 * of another file. The ids are those of tests/data/sizing/cases.csv. */

#define E8(units) ((int64_t)(units)*LS_E8)

static int64_t held(const struct world *world, uint32_t slot)
{
    return eng_core_copied_position(world->core, 100 + slot, 1, IPC_PRODUCT_MIS, NULL);
}

static void done(struct world *world)
{
    world_check(world);
    world_restart(world, true);
    world_check(world);
    world_close(world);
}

static struct ipc_event filled(struct world *world, enum ipc_side side, int64_t units)
{
    struct ipc_event event = world_order(world, side, units, E8(100));
    event.status = IPC_STATUS_FILLED;
    event.filled_qty_e8 = E8(units);
    event.average_price_e8 = E8(100);
    return event;
}

/* B25, B26, B28, B29: the sum is the block, or what is left over is nobody's. */
static void blocks_by_table(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        int64_t qty;
        enum eng_pool_rest rest;
        uint32_t count;
        int64_t weights[6], want[6];
    } rows[] = {
        {"B25", 400, ENG_POOL_DISTRIBUTE, 6, {1, 1, 1, 1, 1, 1}, {67, 67, 67, 67, 66, 66}},
        {"B26", 40, ENG_POOL_DROP, 6, {1, 1, 1, 1, 1, 1}, {6, 6, 6, 6, 6, 6}},
        {"B28", 1000, ENG_POOL_DISTRIBUTE, 4, {4, 2, 1, 1}, {500, 250, 125, 125}},
        {"B29", 100, ENG_POOL_LARGEST_FRACTION, 3, {3000000, 3000000, 4000001}, {30, 30, 40}},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        int64_t out[6];
        enum ipc_rc rc = eng_pool_split(
            E8(rows[i].qty), E8(1), rows[i].weights, rows[i].count, rows[i].rest, out);
        assert_int_equal(rc, IPC_OK);
        for (uint32_t k = 0; k < rows[i].count; k++)
            if (out[k] != E8(rows[i].want[k]))
                fail_msg("%s: account %u gets %lld", rows[i].id, k, (long long)(out[k] / LS_E8));
    }
}

/* D14, D27: the master leaves while the follower's entry works. The rest of it is cancelled, what
 * has filled is sold, and what fills before the cancel is seen is sold too. */
static void a_working_entry_goes_when_the_master_leaves(void **state)
{
    (void)state;
    static const struct {
        int64_t filled, late; /* of 50: when the master leaves, and before the cancel held */
    } rows[] = {{0, 0}, {0, 7}, {30, 0}, {30, 12}};
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct world world;
        world_open(&world, 1);
        struct ipc_event entry = filled(&world, IPC_SIDE_BUY, 50);
        (void)world_event(&world, &entry);
        assert_int_equal(world_waves(&world), 1);
        world_ack(&world, &world.commands[0]);
        (void)world_update(&world, 0, IPC_STATUS_OPEN, rows[i].filled, E8(100));
        struct ipc_event leave = filled(&world, IPC_SIDE_SELL, 50);
        (void)world_event(&world, &leave);
        (void)world_waves(&world);
        (void)world_release(&world);

        int64_t sold = 0;
        uint32_t cancels = 0, count = world.command_count;
        for (uint32_t k = 1; k < count; k++) {
            const struct ipc_command command = world.commands[k];
            if (command.action == IPC_ACTION_CANCEL) {
                assert_int_equal(command.child, world.commands[0].child);
                cancels++;
                continue;
            }
            assert_int_equal(command.side, IPC_SIDE_SELL);
            assert_true(command.is_exit);
            sold += command.qty_e8;
            world_ack(&world, &command);
            (void)world_update(
                &world, command.child, IPC_STATUS_FILLED, command.qty_e8 / LS_E8, E8(100));
        }
        assert_int_equal(cancels, 1);
        assert_int_equal(sold, E8(rows[i].filled));
        for (uint32_t k = 1; k < count; k++)
            if (world.commands[k].action == IPC_ACTION_CANCEL)
                world_ack(&world, &world.commands[k]);
        (void)world_update(&world, world.commands[0].child, IPC_STATUS_CANCELLED,
            rows[i].filled + rows[i].late, E8(100));
        (void)world_waves(&world);
        (void)world_release(&world);
        for (uint32_t k = count; k < world.command_count; k++) {
            const struct ipc_command command = world.commands[k];
            assert_int_equal(command.side, IPC_SIDE_SELL);
            assert_int_equal(command.qty_e8, E8(rows[i].late));
            world_ack(&world, &command);
            (void)world_update(&world, command.child, IPC_STATUS_FILLED, rows[i].late, E8(100));
        }
        assert_int_equal(world.command_count - count, rows[i].late != 0);
        assert_int_equal(held(&world, 0), 0);
        done(&world);
    }
}

/* G01: three deliveries of one event, one child a follower. */
static void deliveries_do_not_count(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 4);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    for (int delivery = 0; delivery < 3; delivery++) {
        struct ipc_event again = event;
        (void)world_event(&world, &again);
        (void)world_waves(&world);
    }
    assert_int_equal(eng_core_child_count(world.core), 4);
    assert_int_equal(world.command_count, 4);
    done(&world);
}

/* G04: a timeout is no refusal. The book has the order under our tag: it is taken as it is, nothing
 * is sent again, and the instrument opens again. */
static void what_the_book_finds_is_not_sent_again(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 1);
    world_reply(&world, &world.commands[0], IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_TIMEOUT, NULL);
    assert_int_equal(world_child(&world, 0).state, ENG_STATE_UNKNOWN);
    (void)world_update(&world, 0, IPC_STATUS_OPEN, 4, E8(100));
    assert_int_equal(world_child(&world, 0).state, ENG_STATE_PARTIAL);
    assert_int_equal(world_waves(&world) + world_release(&world), 0);
    assert_int_equal(held(&world, 0), E8(4));
    struct ipc_event next = world_order(&world, IPC_SIDE_BUY, 5, E8(100));
    (void)world_event(&world, &next);
    assert_int_equal(world_waves(&world), 1);
    done(&world);
}

/* G07: twelve orders from before the connection are history. */
static void the_first_book_is_history(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 3);
    struct ipc_event begin = {.kind = IPC_EVENT_BOOK_BEGIN, .account = 1};
    struct ipc_event end = {.kind = IPC_EVENT_BOOK_END, .account = 1, .book_order_count = 12};
    (void)world_event(&world, &begin);
    for (int i = 0; i < 12; i++) {
        struct ipc_event old = i % 2 ? filled(&world, IPC_SIDE_BUY, 10)
                                     : world_order(&world, IPC_SIDE_SELL, 10, E8(110));
        old.flags = IPC_EVENT_FROM_BOOK;
        (void)world_event(&world, &old);
    }
    (void)world_event(&world, &end);
    assert_int_equal(world_waves(&world), 0);
    assert_int_equal(eng_core_child_count(world.core), 0);
    done(&world);
}

/* G08: four entries while paused; resuming replays none of them. */
static void resuming_replays_nothing(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world.followers[0].flags |= IPC_FOLLOWER_PAUSED;
    world_adopt(&world);
    for (int i = 0; i < 4; i++) {
        struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
        (void)world_event(&world, &event);
        assert_int_equal(world_waves(&world), 0);
        assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_COPY_PAUSED);
    }
    world.followers[0].flags &= (uint8_t)~IPC_FOLLOWER_PAUSED;
    world_adopt(&world);
    world.now_mono_ns += LS_NS_PER_S;
    assert_int_equal(world_waves(&world) + world_release(&world), 0);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 1);
    done(&world);
}

/* G09: after a gap of 90 s a missed entry is told and not made, a missed exit is made good. */
static void a_missed_exit_is_made_good(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world.followers[0].max_age_limit_ms = world.followers[0].max_age_market_ms = 5000;
    world_adopt(&world);
    struct ipc_event begin = {.kind = IPC_EVENT_BOOK_BEGIN, .account = 1};
    struct ipc_event end = {.kind = IPC_EVENT_BOOK_END, .account = 1};
    (void)world_event(&world, &begin);
    (void)world_event(&world, &end);
    struct ipc_event entry = filled(&world, IPC_SIDE_BUY, 50);
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 1);
    world_ack(&world, &world.commands[0]);
    (void)world_update(&world, 0, IPC_STATUS_FILLED, 50, E8(100));

    (void)world_event(&world, &begin);
    struct ipc_event missed[2] = {
        filled(&world, IPC_SIDE_SELL, 50), world_order(&world, IPC_SIDE_BUY, 20, E8(100))};
    for (int i = 0; i < 2; i++) {
        missed[i].flags = IPC_EVENT_FROM_BOOK;
        missed[i].feed_lag_ns = 90 * LS_NS_PER_S;
        (void)world_event(&world, &missed[i]);
    }
    (void)world_event(&world, &end);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(eng_core_counters(world.core)->skips_by_reason[IPC_REASON_STALE_EVENT], 1);
    assert_int_equal(world.commands[1].side, IPC_SIDE_SELL);
    assert_int_equal(world.commands[1].qty_e8, E8(50));
    assert_true(world.commands[1].is_exit);
    done(&world);
}

/* G16: nobody is always the last: each of four is the first, and the last, in about a quarter of
 * the events. Which one is drawn from the wave's number, not counted. */
static void the_first_follower_rotates(void **state)
{
    (void)state;
    struct world world;
    uint32_t first[4] = {0}, last[4] = {0};
    world_open(&world, 4);
    for (uint32_t i = 0; i < 200; i++) {
        struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
        uint32_t from = world.command_count;
        (void)world_event(&world, &event);
        assert_int_equal(world_waves(&world), 4);
        first[world.commands[from].slot]++;
        last[world.commands[from + 3].slot]++;
    }
    for (uint32_t slot = 0; slot < 4; slot++) {
        assert_in_range(first[slot], 25, 75);
        assert_in_range(last[slot], 25, 75);
    }
    done(&world);
}

/* G18: one broker answers nothing for 30 s; whoever else copies is decided and sent as ever. */
static void a_silent_broker_holds_up_nobody_else(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2);
    for (int i = 0; i < 5; i++) {
        struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
        uint32_t from = world.command_count, other = 0;
        (void)world_event(&world, &event);
        (void)world_waves(&world);
        for (uint32_t k = from; k < world.command_count; k++) {
            if (world.commands[k].slot != 1)
                continue;
            other++;
            world_ack(&world, &world.commands[k]);
        }
        assert_int_equal(other, 1); /* in the same step, without a wait */
        world.now_mono_ns += 6 * LS_NS_PER_S;
        world.now_wall_ns += 6 * LS_NS_PER_S;
        world.price_mono_ns = world.now_mono_ns;
    }
    world_reply(&world, &world.commands[world.commands[0].slot == 0 ? 0 : 1], IPC_OUTCOME_UNKNOWN,
        IPC_EVIDENCE_TIMEOUT, NULL);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[world.command_count - 1].slot, 1);
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_UNKNOWN_PENDING);
    world_check(&world);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_by_table),
        cmocka_unit_test(a_working_entry_goes_when_the_master_leaves),
        cmocka_unit_test(deliveries_do_not_count),
        cmocka_unit_test(what_the_book_finds_is_not_sent_again),
        cmocka_unit_test(the_first_book_is_history),
        cmocka_unit_test(resuming_replays_nothing),
        cmocka_unit_test(a_missed_exit_is_made_good),
        cmocka_unit_test(the_first_follower_rotates),
        cmocka_unit_test(a_silent_broker_holds_up_nobody_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
