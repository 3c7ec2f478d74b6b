#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/engine/core/core_world.h"

#include <string.h>

/* Reductions: sized from the follower's own copied position, clamped, never barred but by halt. */

#define E8(units) ((int64_t)(units)*LS_E8)

static int64_t held(const struct world *world, uint32_t slot)
{
    return eng_core_copied_position(world->core, 100 + slot, 1, IPC_PRODUCT_MIS, NULL);
}

/* The master fills an order of this side at once; all answers and fills follow. */
static void master_trades(struct world *world, enum ipc_side side, int64_t units)
{
    struct ipc_event event = world_order(world, side, units, 0);
    event.status = IPC_STATUS_FILLED;
    event.filled_qty_e8 = E8(units);
    event.average_price_e8 = E8(100);
    (void)world_event(world, &event);
    uint32_t from = world->command_count;
    (void)world_waves(world);
    for (uint32_t i = from; i < world->command_count; i++) {
        world_ack(world, &world->commands[i]);
        (void)world_update(world, world->commands[i].child, IPC_STATUS_FILLED,
            world->commands[i].qty_e8 / LS_E8, E8(100));
    }
    (void)world_release(world);
}

/* D01-D03, D06: the fraction of the own copied position; a full exit closes everything. */
static void closes_are_proportional(void **state)
{
    (void)state;
    static const struct {
        int64_t master, followers, close, expected;
    } rows[] = {
        {1000, 100, 200, 20}, {1000, 100, 1000, 100}, {1000, 100, 999, 99}, {3, 1, 1, 0},
        {3, 1, 3, 1}, {10, 7, 5, 3}, {10, 7, 25, 7}, /* reversal: only the close */
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct world world;
        world_open(&world, 1);
        world.followers[0].mode = IPC_MODE_FIXED_QUANTITY; /* independent of the mode */
        world.followers[0].fixed_qty_e8 = E8(rows[i].followers);
        world_adopt(&world);
        master_trades(&world, IPC_SIDE_BUY, rows[i].master);
        assert_int_equal(held(&world, 0), E8(rows[i].followers));
        world.followers[0].fixed_qty_e8 = E8(5); /* changing it later changes nothing (D28) */
        world_adopt(&world);
        master_trades(&world, IPC_SIDE_SELL, rows[i].close);
        assert_int_equal(held(&world, 0), E8(rows[i].followers - rows[i].expected));
        world_check(&world);
        world_close(&world);
    }
}

/* D04, D05: what is too small is carried, and the last close takes the rest. */
static void small_closes_are_carried(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world.followers[0].mode = IPC_MODE_FIXED_QUANTITY;
    world.followers[0].fixed_qty_e8 = E8(3);
    world_adopt(&world);
    master_trades(&world, IPC_SIDE_BUY, 10);
    for (int i = 0; i < 10; i++)
        master_trades(&world, IPC_SIDE_SELL, 1);
    assert_int_equal(held(&world, 0), 0);
    assert_int_equal(eng_core_master_position(world.core, 1, 1, IPC_PRODUCT_MIS), 0);
    world_check(&world);
    world_close(&world);
}

static void working_closes_are_reserved(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    master_trades(&world, IPC_SIDE_BUY, 100);
    struct ipc_event stop = world_order(&world, IPC_SIDE_SELL, 70, E8(90));
    (void)world_event(&world, &stop);
    assert_int_equal(world_waves(&world), 1);
    struct ipc_event target = world_order(&world, IPC_SIDE_SELL, 70, E8(120));
    (void)world_event(&world, &target);
    assert_int_equal(world_waves(&world), 0); /* the stop is sent and unanswered */
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_EXIT_IN_FLIGHT);
    world_ack(&world, &world.commands[1]);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[2].qty_e8, E8(30)); /* the rest is promised to the stop */
    world_ack(&world, &world.commands[2]);
    struct ipc_event third = world_order(&world, IPC_SIDE_SELL, 70, E8(130));
    (void)world_event(&world, &third);
    assert_int_equal(world_waves(&world), 0);
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_CLOSE_CLAMPED);
    int64_t reserved;
    (void)eng_core_copied_position(world.core, 100, 1, IPC_PRODUCT_MIS, &reserved);
    assert_int_equal(reserved, E8(100));
    /* The stop is cancelled: what it reserved goes to what was clamped for it. */
    stop.version = 0;
    stop.status = IPC_STATUS_CANCELLED;
    (void)world_event(&world, &stop);
    assert_int_equal(world_waves(&world), 1);
    world_ack(&world, &world.commands[3]);
    (void)world_update(&world, world.commands[1].child, IPC_STATUS_CANCELLED, 0, 0);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[4].qty_e8, E8(70));
    /* an outcome that is not known keeps its reservation */
    world_reply(&world, &world.commands[4], IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_TIMEOUT, NULL);
    (void)eng_core_copied_position(world.core, 100, 1, IPC_PRODUCT_MIS, &reserved);
    assert_int_equal(reserved, E8(100));
    world_check(&world);
    world_close(&world);
}

/* A27, D18, D20-D22, F07: nothing but halt stops a reduction. */
static void exits_pass_what_stops_entries(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 8);
    master_trades(&world, IPC_SIDE_BUY, 100);
    struct ipc_row_follower *f = world.followers;
    f[0].flags = 0; /* disabled */
    f[1].flags |= IPC_FOLLOWER_PAUSED;
    f[2].denied_list = 1;
    f[3].max_order_value_e8 = 1;
    f[3].max_qty_e8 = 1;
    f[4].products = 1 << IPC_PRODUCT_CNC;
    f[5].sides = 1 << IPC_SIDE_BUY;
    f[6].types = 1 << IPC_TYPE_SL;
    f[7].flags &= (uint8_t)~IPC_FOLLOWER_ALLOW_SHORT;
    world_adopt(&world);
    world.word = IPC_SWITCH_CLOSE_ONLY;
    world.journal_full = true;
    world.price_e8 = 0;
    struct ipc_event leave = world_order(&world, IPC_SIDE_SELL, 100, E8(100));
    leave.received_mono_ns = world.now_mono_ns - 600 * LS_NS_PER_S;
    (void)world_event(&world, &leave);
    assert_int_equal(world_waves(&world), 8);
    for (uint32_t i = 8; i < 16; i++) {
        assert_int_equal(world.commands[i].qty_e8, E8(100));
        assert_true(world.commands[i].is_exit);
        assert_true(world.commands[i].deadline_mono_ns == INT64_MAX);
    }
    world_check(&world);
    world_close(&world);
}

static void halt_stops_exits_but_not_cancels(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    master_trades(&world, IPC_SIDE_BUY, 100);
    struct ipc_event working = world_order(&world, IPC_SIDE_SELL, 50, E8(120));
    (void)world_event(&world, &working);
    (void)world_waves(&world);
    world_ack(&world, &world.commands[1]);
    world.word = IPC_SWITCH_HALT;
    struct ipc_event leave = world_order(&world, IPC_SIDE_SELL, 50, E8(100));
    (void)world_event(&world, &leave);
    assert_int_equal(world_waves(&world), 0);
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_KILL_SWITCH);
    working.version = 0;
    working.status = IPC_STATUS_CANCELLED;
    (void)world_event(&world, &working);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[2].action, IPC_ACTION_CANCEL);
    world_check(&world);
    world_close(&world);
}

/* D13: never a short by accident. */
static void nothing_held_is_no_position(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2);
    world.followers[0].flags |= IPC_FOLLOWER_PAUSED; /* did not copy the entry */
    world_adopt(&world);
    master_trades(&world, IPC_SIDE_BUY, 100);
    world.followers[0].flags &= (uint8_t)~IPC_FOLLOWER_PAUSED;
    world_adopt(&world);
    master_trades(&world, IPC_SIDE_SELL, 100);
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_NO_POSITION);
    assert_int_equal(held(&world, 0), 0);
    assert_int_equal(held(&world, 1), 0);
    world_check(&world);
    world_close(&world);
}

/* D14, D15: the fill of the entry is not known yet when the exit comes. */
static void an_exit_waits_for_its_own_entry(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 3);
    struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 10, 0);
    entry.status = IPC_STATUS_FILLED;
    entry.filled_qty_e8 = E8(10);
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 3);
    struct ipc_event leave = world_order(&world, IPC_SIDE_SELL, 10, 0);
    leave.status = IPC_STATUS_FILLED;
    leave.filled_qty_e8 = E8(10);
    (void)world_event(&world, &leave);
    assert_int_equal(world_waves(&world), 0);
    /* Its working entry is to be cancelled, and what it fills to be closed. */
    for (uint32_t slot = 0; slot < 3; slot++)
        assert_int_equal(world_last_fact(&world, slot).kind, IPC_CHILD_WAIT);
    assert_int_equal(world_release(&world), 0);
    world_check(&world);

    for (uint32_t i = 0; i < 3; i++) {
        uint32_t slot = world.commands[i].slot;
        if (slot == 2) { /* refused: there is nothing to close */
            world_reply(&world, &world.commands[i], IPC_OUTCOME_REJECTED, IPC_EVIDENCE_REPLY, NULL);
            continue;
        }
        world_ack(&world, &world.commands[i]);
        (void)world_update(&world, world.commands[i].child,
            slot == 0 ? IPC_STATUS_FILLED : IPC_STATUS_OPEN, slot == 0 ? 10 : 4, E8(100));
    }
    world.now_mono_ns += 600 * LS_NS_PER_S; /* an exit is never too late */
    /* Two closes of what filled, and the cancel of what still works. */
    uint32_t left = world_waves(&world);
    assert_int_equal(left + world_release(&world), 3);
    for (uint32_t i = 3; i < 6; i++) {
        if (world.commands[i].action == IPC_ACTION_CANCEL) {
            assert_int_equal(world.commands[i].slot, 1);
            world_ack(&world, &world.commands[i]);
            continue;
        }
        assert_int_equal(world.commands[i].side, IPC_SIDE_SELL);
        assert_int_equal(world.commands[i].qty_e8, E8(world.commands[i].slot == 0 ? 10 : 4));
        world_ack(&world, &world.commands[i]);
    }
    assert_int_equal(world_child(&world, 2).state, ENG_STATE_REJECTED); /* and no close of it */
    /* A fill that beats the cancel is closed too: flat master, flat follower. */
    uint32_t entry_child = ENG_NONE;
    for (uint32_t i = 0; i < 3; i++)
        if (world.commands[i].slot == 1)
            entry_child = world.commands[i].child;
    (void)world_update(&world, entry_child, IPC_STATUS_CANCELLED, 7, E8(100));
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[6].side, IPC_SIDE_SELL);
    assert_int_equal(world.commands[6].qty_e8, E8(3));
    world_check(&world);
    world_restart(&world, true);
    world_check(&world);
    world_close(&world);
}

static void a_queued_exit_is_protected_anew(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world.followers[0].broker = 1; /* refuses market orders */
    world.accounts[WORLD_MASTERS].broker = 1;
    world_adopt(&world);
    master_trades(&world, IPC_SIDE_BUY, 10);
    world.cannot_send[0] = 1;
    struct ipc_event leave = world_order(&world, IPC_SIDE_SELL, 10, 0);
    (void)world_event(&world, &leave);
    assert_int_equal(world_waves(&world), 0);
    world.cannot_send[0] = 0;
    world.price_e8 = E8(80);
    world.now_mono_ns += 60 * LS_NS_PER_S;
    assert_int_equal(world_release(&world), 1);
    assert_int_equal(world.commands[1].type, IPC_TYPE_LIMIT);
    assert_int_equal(world.commands[1].price_e8, E8(80) - E8(160) / 100);
    world_check(&world);
    world_close(&world);
}

static void amended_exits_stay_within_what_is_held(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world.followers[0].ratio_e8 = LS_E8 / 2;
    world_adopt(&world);
    master_trades(&world, IPC_SIDE_BUY, 100);
    struct ipc_event leave = world_order(&world, IPC_SIDE_SELL, 40, E8(120));
    (void)world_event(&world, &leave);
    (void)world_waves(&world);
    assert_int_equal(world.commands[1].qty_e8, E8(20));
    world_ack(&world, &world.commands[1]);
    (void)world_update(&world, world.commands[1].child, IPC_STATUS_OPEN, 5, E8(120));
    leave.version = 0;
    leave.qty_e8 = E8(80); /* new total 40, of which 5 are filled */
    (void)world_event(&world, &leave);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[2].action, IPC_ACTION_MODIFY);
    assert_int_equal(world.commands[2].qty_e8, E8(40));
    world_ack(&world, &world.commands[2]);
    leave.version = 0;
    leave.qty_e8 = E8(500);
    (void)world_event(&world, &leave);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[3].qty_e8, E8(50)); /* all of it, never more */
    world_check(&world);
    world_close(&world);
}

/* Fills beyond every order that may be sent: what one order may carry goes, and the frame can be
 * applied; a row that no order of ours can be is not folded at all. */
static void absurd_fills_do_not_stop_the_engine(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    for (int i = 0; i < 3; i++) {
        struct ipc_event buy = world_order(&world, IPC_SIDE_BUY, 900000000, E8(1));
        buy.status = IPC_STATUS_FILLED;
        buy.filled_qty_e8 = buy.qty_e8;
        buy.average_price_e8 = E8(1);
        (void)world_event(&world, &buy);
        assert_int_equal(world_waves(&world), 1);
        world_ack(&world, &world.commands[i]);
        (void)world_update(&world, world.commands[i].child, IPC_STATUS_FILLED, 900000000, E8(1));
    }
    /* A hostile row about the third: the quantity of no order. */
    struct eng_child_view view = world_child(&world, 0);
    struct ipc_event lie = {.kind = IPC_EVENT_ORDER,
        .side = view.side,
        .type = view.type,
        .product = view.product,
        .validity = IPC_VALIDITY_DAY,
        .status = IPC_STATUS_FILLED,
        .flags = IPC_EVENT_OWN_TAG,
        .account = world.followers[0].account,
        .instrument = 1,
        .qty_e8 = INT64_MAX,
        .price_e8 = view.price_e8,
        .filled_qty_e8 = INT64_MAX,
        .average_price_e8 = E8(1)};
    memcpy(lie.client_tag, view.tag, sizeof lie.client_tag);
    memcpy(lie.broker_order_id, view.broker_order_id, sizeof lie.broker_order_id);
    (void)world_event(&world, &lie);
    assert_int_equal(held(&world, 0), E8(2700000000));
    struct ipc_event sell = world_order(&world, IPC_SIDE_SELL, 900000000, E8(1));
    sell.qty_e8 = E8(1000000000);
    struct ipc_event flat = sell;
    (void)world_event(&world, &flat);
    (void)world_waves(&world);
    assert_true(world.command_count >= 4);
    assert_true(world.commands[3].qty_e8 > 0 && world.commands[3].qty_e8 <= E8(1000000000));
    world_check(&world);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absurd_fills_do_not_stop_the_engine),
        cmocka_unit_test(closes_are_proportional),
        cmocka_unit_test(small_closes_are_carried),
        cmocka_unit_test(working_closes_are_reserved),
        cmocka_unit_test(exits_pass_what_stops_entries),
        cmocka_unit_test(halt_stops_exits_but_not_cancels),
        cmocka_unit_test(nothing_held_is_no_position),
        cmocka_unit_test(an_exit_waits_for_its_own_entry),
        cmocka_unit_test(a_queued_exit_is_protected_anew),
        cmocka_unit_test(amended_exits_stay_within_what_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
