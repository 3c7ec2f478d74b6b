#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/engine/core/core_world.h"

#include "engine/core/core_private.h"

/* Pacing and queues: what must wait, in which order it goes, and when it has waited too long. */

#define E8(units) ((int64_t)(units)*LS_E8)
#define GUARDED   (LS_NS_PER_S + 50 * LS_NS_PER_MS)

static void paced(struct world *world, uint32_t followers, uint32_t a_second)
{
    world_open(world, followers);
    world->policies[0] = (struct eng_broker_policy){.orders_per_second = a_second};
    world_adopt(world);
}

static uint32_t orders(struct world *world, int count, enum ipc_side side)
{
    uint32_t before = world->command_count;
    for (int i = 0; i < count; i++) {
        struct ipc_event event = world_order(world, side, 1, E8(100));
        (void)world_event(world, &event);
        (void)world_waves(world);
    }
    return world->command_count - before;
}

static void one_below_the_limit_less_the_share_of_exits(void **state)
{
    (void)state;
    struct world world;
    paced(&world, 1, 10);
    assert_int_equal(orders(&world, 20, IPC_SIDE_BUY), 7); /* nine, two of them kept for exits */
    assert_int_equal(world_release(&world), 0);
    world.now_mono_ns += GUARDED - 1;
    assert_int_equal(world_release(&world), 0);
    world.now_mono_ns += 1;
    assert_int_equal(world_release(&world), 7);
    for (uint32_t i = 1; i < 14; i++) /* first in, first out */
        assert_true(world.commands[i].child > world.commands[i - 1].child);
    world.now_mono_ns += GUARDED;
    assert_true(
        eng_release_due(world.core, world.now_mono_ns, world.now_wall_ns) <= world.now_mono_ns);
    assert_int_equal(world_release(&world), 6);
    assert_true(eng_release_due(world.core, world.now_mono_ns, world.now_wall_ns) == INT64_MAX);
    world_check(&world);
    world_close(&world);
}

/* Never more than the limit in any window of a second, whatever the times of the orders. */
static void no_second_holds_more_than_allowed(void **state)
{
    (void)state;
    struct world world;
    paced(&world, 1, 10);
    int64_t sent[4096];
    uint32_t count = 0, seen = 0;
    for (int step = 0; step < 400; step++) {
        world.now_mono_ns += (step * 37 % 90) * LS_NS_PER_MS;
        (void)orders(&world, step % 3, IPC_SIDE_BUY);
        (void)world_release(&world);
        for (; seen < world.command_count; seen++)
            sent[count++] = world.now_mono_ns;
    }
    assert_true(count > 100);
    for (uint32_t i = 9; i < count; i++)
        assert_true(sent[i] - sent[i - 9] >= GUARDED);
    world_check(&world);
    world_close(&world);
}

static void the_share_serves_exits_and_cancels(void **state)
{
    (void)state;
    struct world world;
    paced(&world, 1, 10);
    struct ipc_event first = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &first);
    (void)world_waves(&world);
    world_ack(&world, &world.commands[0]);
    assert_int_equal(orders(&world, 10, IPC_SIDE_BUY), 6); /* entries have used their part */
    first.version = 0;
    first.status = IPC_STATUS_CANCELLED;
    (void)world_event(&world, &first);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[7].action, IPC_ACTION_CANCEL);
    world_check(&world);
    world_close(&world);
}

static void what_cannot_go_in_time_is_skipped_by_name(void **state)
{
    (void)state;
    static const struct {
        bool cannot_send, no_token, journal_full;
        enum ipc_reason reason;
    } rows[] = {
        {.reason = IPC_REASON_RATE_BUDGET},
        {.cannot_send = true, .reason = IPC_REASON_NO_CONNECTION},
        {.no_token = true, .reason = IPC_REASON_SESSION_EXPIRED},
        {.journal_full = true, .reason = IPC_REASON_JOURNAL},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct world world;
        paced(&world, 1, i == 0 ? 2 : 10); /* one a second */
        world.cannot_send[0] = i != 0;
        (void)orders(&world, 10, IPC_SIDE_BUY);
        world.cannot_send[0] = rows[i].cannot_send;
        world.accounts[WORLD_MASTERS].token_bytes = rows[i].no_token ? 0 : 64;
        world.journal_full = rows[i].journal_full;
        world_adopt(&world);
        world.now_mono_ns += 5 * LS_NS_PER_S;
        if (i == 0) /* still fresh: one goes */
            assert_int_equal(world_release(&world), 1);
        world.now_mono_ns += 1;
        assert_int_equal(world_release(&world), 0);
        assert_int_equal(world_child(&world, 0).state, ENG_STATE_SKIPPED);
        assert_int_equal(world_child(&world, 0).reason, rows[i].reason);
        world_check(&world);
        world_close(&world);
    }
}

static void queued_entries_end_when_barred(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        struct world world;
        world_open(&world, 1);
        world.cannot_send[0] = 1;
        (void)orders(&world, 1, IPC_SIDE_BUY);
        world.cannot_send[0] = 0;
        enum ipc_reason expected = IPC_REASON_KILL_SWITCH;
        switch (way) {
        case 0:
            world.word = IPC_SWITCH_CLOSE_ONLY;
            break;
        case 1:
            world.follower_word[0] = IPC_SWITCH_CLOSE_ONLY;
            break;
        case 2:
            world.followers[0].flags |= IPC_FOLLOWER_PAUSED;
            expected = IPC_REASON_COPY_PAUSED;
            break;
        default:
            world.followers[0].follower_no = 4000; /* the slot has another owner */
            expected = IPC_REASON_FOLLOWER_DISABLED;
            break;
        }
        world_adopt(&world);
        assert_int_equal(world_release(&world), 0);
        assert_int_equal(world_child(&world, 0).state, ENG_STATE_SKIPPED);
        assert_int_equal(world_child(&world, 0).reason, expected);
        world_check(&world);
        world_close(&world);
    }
}

static void minutes_days_and_addresses_are_limited(void **state)
{
    (void)state;
    struct world world;
    paced(&world, 1, 0);
    world.policies[0] = (struct eng_broker_policy){.orders_per_minute = 30};
    world_adopt(&world);
    assert_int_equal(orders(&world, 40, IPC_SIDE_BUY), 25); /* 30 less a tenth less two */
    world.now_mono_ns += 4 * LS_NS_PER_S;
    assert_int_equal(world_release(&world), 0);
    world_close(&world);

    paced(&world, 1, 0);
    world.policies[0] = (struct eng_broker_policy){.orders_per_day = 30};
    world_adopt(&world);
    assert_int_equal(orders(&world, 40, IPC_SIDE_BUY), 25);
    world.now_mono_ns += 4 * LS_NS_PER_S;
    assert_int_equal(world_release(&world), 0);
    world.now_wall_ns += 24 * 3600 * LS_NS_PER_S; /* the market's next day */
    assert_int_equal(world_release(&world), 15);
    world_close(&world);

    paced(&world, 4, 0);
    world.policies[0] = (struct eng_broker_policy){.address_orders_per_second = 7};
    for (uint32_t i = 0; i < 4; i++) /* two and two behind one address */
        world.accounts[WORLD_MASTERS + i].source_address[3] = (uint8_t)(i / 2);
    world_adopt(&world);
    assert_int_equal(orders(&world, 5, IPC_SIDE_BUY), 10); /* five each, within one batch too */
    world.now_mono_ns += 2 * LS_NS_PER_S;
    assert_int_equal(world_release(&world), 10);
    world_check(&world);
    world_close(&world);
}

/* Two subscriptions of one account in one batch are counted together. */
static void subscriptions_of_one_account_share_its_budget(void **state)
{
    (void)state;
    struct world world;
    paced(&world, 12, 10);
    for (uint32_t i = 0; i < 12; i++)
        world.followers[i].account = WORLD_MASTERS + 1;
    world_adopt(&world);
    assert_int_equal(orders(&world, 1, IPC_SIDE_BUY), 7);
    world.now_mono_ns += GUARDED;
    assert_int_equal(world_release(&world), 5);
    world_check(&world);
    world_close(&world);
}

static void exchanges_are_paced_apart(void **state)
{
    (void)state;
    struct world world;
    paced(&world, 1, 10);
    assert_int_equal(orders(&world, 7, IPC_SIDE_BUY), 7);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 30, E8(100));
    event.instrument = 3;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 1);
    world_check(&world);
    world_close(&world);
}

static void full_tables_stop_entries_and_leave_room_for_exits(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 8);
    world.core->limits.child_max = 16; /* less of the same block */
    world.limits.child_max = 16;
    struct ipc_event first = world_order(&world, IPC_SIDE_BUY, 10, 0);
    first.status = IPC_STATUS_FILLED;
    first.filled_qty_e8 = E8(10);
    (void)world_event(&world, &first);
    assert_int_equal(world_waves(&world), 8);
    for (uint32_t i = 0; i < 8; i++) {
        world_ack(&world, &world.commands[i]);
        (void)world_update(&world, world.commands[i].child, IPC_STATUS_FILLED, 10, E8(100));
    }
    struct ipc_event more = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &more);
    assert_int_equal(world_waves(&world), 6);
    assert_int_equal(eng_core_counters(world.core)->skips_by_reason[IPC_REASON_CAPACITY], 2);
    struct ipc_event leave = world_order(&world, IPC_SIDE_SELL, 10, E8(100));
    (void)world_event(&world, &leave);
    assert_int_equal(world_waves(&world), 2);
    assert_int_equal(eng_core_counters(world.core)->skips_by_reason[IPC_REASON_CAPACITY], 8);
    eng_core_verify(world.core);
    world_close(&world);
}

static void unfinished_waves_are_bounded(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2);
    struct eng_event_facts facts;
    for (uint32_t i = 0; i < world.limits.wave_max; i++) {
        struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 1, E8(100));
        assert_int_equal(world_event(&world, &event), 1);
    }
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 1, E8(100));
    event.version = 1;
    eng_step_event(world.core, &event, 0, 0, world.now_mono_ns, &facts);
    assert_int_equal(facts.count, 0);
    assert_true(facts.retry_later);
    (void)world_waves(&world);
    eng_step_event(world.core, &event, 0, 0, world.now_mono_ns, &facts);
    assert_int_equal(facts.count, 1);
    world_check(&world);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_below_the_limit_less_the_share_of_exits),
        cmocka_unit_test(no_second_holds_more_than_allowed),
        cmocka_unit_test(the_share_serves_exits_and_cancels),
        cmocka_unit_test(what_cannot_go_in_time_is_skipped_by_name),
        cmocka_unit_test(queued_entries_end_when_barred),
        cmocka_unit_test(minutes_days_and_addresses_are_limited),
        cmocka_unit_test(subscriptions_of_one_account_share_its_budget),
        cmocka_unit_test(exchanges_are_paced_apart),
        cmocka_unit_test(full_tables_stop_entries_and_leave_room_for_exits),
        cmocka_unit_test(unfinished_waves_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
