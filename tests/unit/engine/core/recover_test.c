#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/engine/core/core_world.h"

#include <stdlib.h>
#include <string.h>

/* Restarts: the fold gives the same state, what was in flight is UNKNOWN, what waited goes on. */

#define E8(units) ((int64_t)(units)*LS_E8)

static void in_flight_is_unknown_and_queued_goes_on(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 4);
    world.cannot_send[2] = world.cannot_send[3] = 1;
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &event);
    (void)world_waves(&world);
    assert_int_equal(world.command_count, 2);
    uint32_t acked = world.commands[0].slot;
    world_ack(&world, &world.commands[0]);

    world_restart(&world, true);
    assert_int_equal(world_child(&world, acked).state, ENG_STATE_ACKED);
    assert_int_equal(world_child(&world, 1 - acked).state, ENG_STATE_UNKNOWN);
    assert_int_equal(world_child(&world, 1 - acked).evidence, IPC_EVIDENCE_RECOVERY);
    assert_int_equal(world_waves(&world), 0); /* never blindly again */
    world.cannot_send[2] = 0;
    assert_int_equal(world_release(&world), 1); /* it provably had not left, and is fresh */
    assert_int_equal(world.commands[2].slot, 2);
    world_check(&world);

    world_restart(&world, false); /* the power was lost: everything before is infinitely old */
    world.cannot_send[3] = 0;
    assert_int_equal(world_release(&world), 0);
    assert_int_equal(world_child(&world, 3).reason, IPC_REASON_STALE_EVENT);
    world_check(&world);
    world_close(&world);
}

static void a_cut_wave_goes_on_where_it_was(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 30);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &event);
    assert_true(world_wave_step(&world));
    assert_true(world_wave_step(&world)); /* 12 of 30 */
    world_restart(&world, true);
    (void)world_waves(&world);
    assert_int_equal(world.command_count, 30);
    for (uint32_t i = 0; i < 30; i++) {
        for (uint32_t j = 0; j < i; j++)
            assert_true(world.commands[i].slot != world.commands[j].slot);
    }
    assert_int_equal(eng_core_counters(world.core)->remaining, 0);
    world_check(&world);
    world_close(&world);
}

/* The list changes under a wave: nobody twice, nobody lost, who left is counted. */
static void a_wave_survives_another_list(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 30);
    world.masters[0].count = 26;
    world.view.master_slot_count = 26;
    world_adopt(&world);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &event);
    assert_true(world_wave_step(&world));
    assert_true(world_wave_step(&world)); /* 12 of 26 */
    /* turned round, four new ones, and slots 0 to 4 gone */
    for (uint32_t i = 0; i < 25; i++)
        world.master_slots[i] = 29 - i;
    world.masters[0].count = 25;
    world_adopt(&world);
    (void)world_waves(&world);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < world.command_count; i++) {
        assert_false(seen >> world.commands[i].slot & 1);
        seen |= UINT64_C(1) << world.commands[i].slot;
    }
    assert_true((seen >> 5) == (UINT64_C(1) << 25) - 1);
    const struct eng_core_counters *counters = eng_core_counters(world.core);
    assert_int_equal(counters->remaining, 0);
    assert_int_equal(counters->placed, world.command_count);
    world_check(&world);

    /* and the next event visits each of the new list once */
    struct ipc_event next = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &next);
    uint32_t before = world.command_count;
    assert_int_equal(world_waves(&world), 25);
    assert_int_equal(world.command_count - before, 25);
    world_check(&world);
    world_close(&world);
}

static void all_that_waits_survives(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 3);
    struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 10, 0);
    entry.status = IPC_STATUS_FILLED;
    entry.filled_qty_e8 = E8(10);
    (void)world_event(&world, &entry);
    (void)world_waves(&world);
    struct ipc_event leave = world_order(&world, IPC_SIDE_SELL, 10, E8(120));
    (void)world_event(&world, &leave);
    (void)world_waves(&world); /* blocked exits */
    struct ipc_event pending = world_order(&world, IPC_SIDE_BUY, 10, E8(90));
    pending.instrument = 3;
    pending.qty_e8 = E8(30);
    (void)world_event(&world, &pending);
    (void)world_waves(&world);
    pending.version = 0;
    pending.price_e8 = E8(91);
    (void)world_event(&world, &pending);
    (void)world_waves(&world); /* amendments that wait for their answer */
    for (uint32_t i = 0; i < 6; i++)
        world_ack(&world, &world.commands[i]); /* and now are to be settled */
    for (uint32_t i = 0; i < 3; i++)
        (void)world_update(&world, world.commands[i].child, IPC_STATUS_FILLED, 10, E8(100));
    world_restart(&world, true);
    assert_int_equal(world_waves(&world), 3);
    assert_int_equal(world_release(&world), 3);
    for (uint32_t i = 6; i < 12; i++)
        assert_int_equal(world.commands[i].action, i < 9 ? IPC_ACTION_MODIFY : IPC_ACTION_PLACE);
    /* crash with a modify and a cancel in flight */
    pending.version = 0;
    pending.status = IPC_STATUS_CANCELLED;
    for (uint32_t i = 6; i < 9; i++)
        world_ack(&world, &world.commands[i]);
    (void)world_event(&world, &pending);
    assert_int_equal(world_waves(&world), 3);
    world_restart(&world, true);
    assert_int_equal(world_release(&world), 3); /* a cancel is idempotent */
    for (uint32_t i = 15; i < 18; i++)
        assert_int_equal(world.commands[i].action, IPC_ACTION_CANCEL);
    world_check(&world);
    world_close(&world);
}

static void pacing_is_remembered(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2);
    world.policies[0] = (struct eng_broker_policy){.orders_per_second = 10, .orders_per_day = 20};
    world_adopt(&world);
    world.cannot_send[1] = 1;
    for (int i = 0; i < 7; i++) {
        struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 1, E8(100));
        (void)world_event(&world, &event);
        (void)world_waves(&world);
        world_ack(&world, &world.commands[world.command_count - 1]);
        world.now_mono_ns += LS_NS_PER_MS;
    }
    assert_int_equal(world.command_count, 7);
    world_restart(&world, true);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 1, E8(100));
    (void)world_event(&world, &event);
    (void)world_waves(&world);
    assert_int_equal(world_last_fact(&world, 0).kind, IPC_CHILD_PLACE_QUEUED);
    world.cannot_send[1] = 0;
    assert_int_equal(world_release(&world), 7); /* an unaffected account goes at once */
    world.now_mono_ns += 2 * LS_NS_PER_S;
    assert_int_equal(world_release(&world), 2);
    world_check(&world);
    world_close(&world);
}

/* A power cut may have taken the frame that says an exit has left: of what was begun before it no
 * exit goes without asking the broker, neither of a cut wave nor of a queue. */
static void exits_of_another_boot_are_not_repeated(void **state)
{
    (void)state;
    for (int queued = 0; queued < 2; queued++) {
        struct world world;
        world_open(&world, 1);
        struct ipc_event buy = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
        buy.status = IPC_STATUS_FILLED;
        buy.filled_qty_e8 = E8(10);
        buy.average_price_e8 = E8(100);
        (void)world_event(&world, &buy);
        assert_int_equal(world_waves(&world), 1);
        world_ack(&world, &world.commands[0]);
        (void)world_update(&world, world.commands[0].child, IPC_STATUS_FILLED, 10, E8(100));
        struct ipc_event sell = world_order(&world, IPC_SIDE_SELL, 10, E8(100));
        (void)world_event(&world, &sell);
        if (queued) {
            world.cannot_send[0] = 1;
            assert_int_equal(world_waves(&world), 0);
            world.cannot_send[0] = 0;
        }
        world_restart(&world, false);
        assert_int_equal(world_waves(&world), 0);
        assert_int_equal(world_release(&world), 0);
        assert_int_equal(world.command_count, 1);
        const uint64_t *skips = eng_core_counters(world.core)->skips_by_reason;
        assert_int_equal(skips[IPC_REASON_UNKNOWN_PENDING], !queued);
        /* Its book is read: what is held is closed, once, as a new intent. */
        assert_int_equal(world_reconcile(&world), 1);
        (void)world_release(&world);
        assert_int_equal(skips[IPC_REASON_UNKNOWN_PENDING], 1);
        (void)world_waves(&world);
        (void)world_release(&world);
        assert_int_equal(world.command_count, 2);
        assert_int_equal(world.commands[1].qty_e8, E8(10));
        assert_int_equal(world.commands[1].side, IPC_SIDE_SELL);
        world_check(&world);
        world_close(&world);
    }
}

/* A reading of the order that is older than the crash says nothing of the change in flight. */
static void an_old_reading_settles_no_doubt(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    struct ipc_event order = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &order);
    (void)world_waves(&world);
    world_ack(&world, &world.commands[0]);
    (void)world_update(&world, 0, IPC_STATUS_OPEN, 0, 0);
    struct eng_child_view before = world_child(&world, 0);
    order.version = 0;
    order.qty_e8 = E8(50);
    (void)world_event(&world, &order);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[1].action, IPC_ACTION_MODIFY);
    int64_t read_mono_ns = world.now_mono_ns;
    world.now_mono_ns += LS_NS_PER_MS;
    world_restart(&world, true);
    struct ipc_event seen = order;
    seen.order_key = (struct ipc_key){{7, 7}};
    seen.account = world.followers[0].account;
    seen.flags = IPC_EVENT_OWN_TAG;
    memcpy(seen.client_tag, before.tag, sizeof seen.client_tag);
    memcpy(seen.broker_order_id, before.broker_order_id, sizeof seen.broker_order_id);
    seen.qty_e8 = E8(10);
    seen.received_mono_ns = read_mono_ns; /* it lay in the ring */
    (void)world_event(&world, &seen);
    assert_int_equal(world_child(&world, 0).qty_e8, E8(50));
    world.now_mono_ns += 3001 * LS_NS_PER_MS;
    seen.received_mono_ns = world.now_mono_ns;
    (void)world_event(&world, &seen);
    assert_int_equal(world_child(&world, 0).qty_e8, E8(10));
    world_check(&world);
    world_close(&world);
}

/* Orders in every kind of trouble, so that the journal holds every kind of fact. */
static void troubled_day(struct world *world)
{
    struct ipc_event order[3];
    world_open(world, 6);
    for (int i = 0; i < 3; i++) {
        order[i] = world_order(world, i == 2 ? IPC_SIDE_SELL : IPC_SIDE_BUY, 10, E8(100));
        (void)world_event(world, &order[i]);
        (void)world_waves(world);
        uint32_t end = world->command_count;
        for (uint32_t c = end - 6; c < end; c++) {
            const struct ipc_command *command = &world->commands[c];
            switch ((c + (uint32_t)i) % 6) {
            case 0:
                world_reply(world, command, IPC_OUTCOME_NOT_SENT, IPC_EVIDENCE_GOAWAY, NULL);
                break;
            case 1:
                world_reply(world, command, IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_TIMEOUT, NULL);
                break;
            case 2:
                world_reply(world, command, IPC_OUTCOME_LIMITED, IPC_EVIDENCE_REPLY, NULL);
                break;
            case 3:
                break; /* under way */
            default:
                world_ack(world, command);
                (void)world_update(world, command->child, IPC_STATUS_OPEN, 4, E8(100));
                break;
            }
        }
        world->now_mono_ns += 1200 * LS_NS_PER_MS;
        uint32_t before = world->command_count;
        (void)world_release(world);
        for (uint32_t c = before; c < world->command_count; c++)
            world_reply(world, &world->commands[c],
                c % 2 ? IPC_OUTCOME_NOT_SENT : IPC_OUTCOME_ACKED, IPC_EVIDENCE_GOAWAY,
                c % 2 ? NULL : "A7");
        order[i].version = 0;
        order[i].price_e8 = E8(101);
        (void)world_event(world, &order[i]);
        (void)world_waves(world);
        for (uint32_t c = before; c < world->command_count; c++) {
            if (world->commands[c].action == IPC_ACTION_MODIFY)
                world_reply(world, &world->commands[c],
                    c % 2 ? IPC_OUTCOME_NOT_SENT : IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_RESET, NULL);
        }
        (void)world_release(world);
        order[i].version = 0;
        order[i].status = IPC_STATUS_CANCELLED;
        (void)world_event(world, &order[i]);
        (void)world_waves(world);
        for (uint32_t c = before; c < world->command_count; c++) {
            if (world->commands[c].action == IPC_ACTION_CANCEL)
                world_reply(
                    world, &world->commands[c], IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_RESET, NULL);
        }
        world->now_mono_ns += 2 * LS_NS_PER_S;
        (void)world_release(world);
    }
}

/* A power cut may take any run of facts from the middle: what follows is folded or refused, and
 * never stops the process or leaves a state that contradicts itself. */
static void facts_behind_a_hole_are_folded_or_refused(void **state)
{
    (void)state;
    struct world world;
    troubled_day(&world);
    uint32_t refused = 0, folded = 0;
    for (uint64_t first = 1; first < world.frame_count; first++) {
        for (uint64_t count = 1; count <= 7; count++) {
            void *memory = aligned_alloc(4096, eng_core_footprint(&world.limits));
            struct eng_core *core = eng_core_init(memory, &world.limits, &world.config);
            uint64_t at = 0;
            for (const struct world_frame *f = world.first; f != NULL; f = f->next, at++) {
                if (at >= first && at < first + count)
                    continue;
                if (eng_apply(core, &f->frame) == IPC_OK)
                    folded++;
                else
                    refused++;
            }
            eng_core_verify(core);
            free(memory);
        }
    }
    print_message("%u facts folded, %u refused\n", folded, refused);
    assert_true(refused > 0 && folded > refused);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_flight_is_unknown_and_queued_goes_on),
        cmocka_unit_test(exits_of_another_boot_are_not_repeated),
        cmocka_unit_test(facts_behind_a_hole_are_folded_or_refused),
        cmocka_unit_test(an_old_reading_settles_no_doubt),
        cmocka_unit_test(a_cut_wave_goes_on_where_it_was),
        cmocka_unit_test(a_wave_survives_another_list),
        cmocka_unit_test(all_that_waits_survives),
        cmocka_unit_test(pacing_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
