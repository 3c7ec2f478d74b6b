#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
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
    assert_int_equal(world_waves(&world), 1);
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
    assert_int_equal(world_waves(&world), 1);
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

/* The follower's first order as its broker's book has it, read at `received_mono_ns`. */
static void read_order(
    struct world *world, const struct ipc_event *master, int64_t units, int64_t received_mono_ns)
{
    uint32_t handle = world->commands[1].child;
    struct eng_child_view view;
    assert_true(eng_core_child(world->core, handle, &view));
    struct ipc_event seen = *master;
    seen.order_key = (struct ipc_key){{handle, 99}};
    seen.account = world->followers[0].account;
    seen.flags = IPC_EVENT_OWN_TAG;
    seen.status = IPC_STATUS_OPEN;
    memcpy(seen.client_tag, view.tag, sizeof seen.client_tag);
    memcpy(seen.broker_order_id, view.broker_order_id, sizeof seen.broker_order_id);
    seen.version = 0;
    seen.qty_e8 = E8(units);
    seen.received_mono_ns = received_mono_ns;
    (void)world_event(world, &seen);
}

/* An exit of 40 of 145 is changed to 129 and nobody knows whether it was: until that is certain
 * another exit has only 16 to close. Once it is, the other closes all that is left: together they
 * reduce more than the master held. */
static void a_modify_in_doubt_counts_with_the_larger_quantity(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        int read_ms[2];              /* readings, after the modify was given up; 0 = none */
        int read_units[2];           /* and what they show */
        enum ipc_outcome_class late; /* the late answer, after the readings */
        bool has_late, cancels;      /* a cancel that waits in the queue */
        int second;                  /* what the second exit may close */
    } rows[] = {
        {"nothing is heard", {0}, {0}, 0, false, false, 16},
        {"read too early", {51}, {40}, 0, false, false, 16},
        {"read just before it is settled", {3000}, {40}, 0, false, false, 16},
        {"read once it is settled", {3001}, {40}, 0, false, false, 105},
        {"seen done, early", {51}, {129}, 0, false, false, 16},
        {"seen done, then an old reading", {51, 60}, {129, 40}, 0, false, false, 16},
        {"read too early, then accepted", {51}, {40}, IPC_OUTCOME_ACKED, true, false, 16},
        {"settled, accepted even later", {3001}, {40}, IPC_OUTCOME_ACKED, true, false, 16},
        {"accepted late", {0}, {0}, IPC_OUTCOME_ACKED, true, false, 16},
        {"refused late", {0}, {0}, IPC_OUTCOME_REJECTED, true, false, 105},
        {"lost again", {0}, {0}, IPC_OUTCOME_UNKNOWN, true, false, 16},
        {"its cancel waits, read too early", {51}, {40}, 0, false, true, 16},
        {"its cancel waits, refused late", {0}, {0}, IPC_OUTCOME_REJECTED, true, true, 24},
        {"its cancel waits, limited late", {0}, {0}, IPC_OUTCOME_LIMITED, true, true, 24},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world world;
        world_open(&world, 1);
        struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 145, 0);
        entry.status = IPC_STATUS_FILLED;
        entry.filled_qty_e8 = E8(145);
        (void)world_event(&world, &entry);
        (void)world_waves(&world);
        world_ack(&world, &world.commands[0]);
        (void)world_update(&world, 0, IPC_STATUS_FILLED, 145, E8(100));
        struct ipc_event leave = world_order(&world, IPC_SIDE_SELL, 40, E8(100));
        (void)world_event(&world, &leave);
        assert_int_equal(world_waves(&world), 1);
        world_ack(&world, &world.commands[1]);
        leave.version = 0;
        leave.qty_e8 = E8(129);
        (void)world_event(&world, &leave);
        assert_int_equal(world_waves(&world), 1);
        struct ipc_command modify = world.commands[2];
        assert_int_equal(modify.action, IPC_ACTION_MODIFY);
        assert_int_equal(modify.qty_e8, E8(129));
        world_reply(&world, &modify, IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_TIMEOUT, NULL);
        int64_t given_up = world.now_mono_ns;

        if (rows[i].cancels) {
            world.cannot_send[0] = 1;
            struct ipc_event end = leave;
            end.version = 0;
            end.status = IPC_STATUS_CANCELLED;
            (void)world_event(&world, &end);
            assert_int_equal(world_waves(&world), 0);
        }
        for (int r = 0; r < 2 && rows[i].read_ms[r] != 0; r++) {
            world.now_mono_ns = given_up + rows[i].read_ms[r] * LS_NS_PER_MS;
            read_order(&world, &leave, rows[i].read_units[r], world.now_mono_ns);
        }
        world.now_mono_ns += LS_NS_PER_MS;
        if (rows[i].has_late)
            world_reply(&world, &modify, rows[i].late, IPC_EVIDENCE_REPLY, NULL);
        struct ipc_event second = world_order(&world, IPC_SIDE_SELL, 24, E8(99));
        (void)world_event(&world, &second);
        (void)world_waves(&world);
        struct eng_child_view view = world_child(&world, 0);
        if (view.qty_e8 != E8(rows[i].second))
            fail_msg(
                "%s: the second exit is of %lld", rows[i].what, (long long)(view.qty_e8 / LS_E8));
        world_check(&world);
        world_restart(&world, true);
        world_check(&world);
        world_close(&world);
    }
}

static void filled_at_once(struct world *world, enum ipc_side side, int64_t units)
{
    struct ipc_event order = world_order(world, side, units, 0);
    order.type = IPC_TYPE_MARKET;
    order.status = IPC_STATUS_FILLED;
    order.filled_qty_e8 = E8(units);
    order.average_price_e8 = E8(100);
    (void)world_event(world, &order);
    uint32_t first = world->command_count;
    (void)world_waves(world);
    for (uint32_t i = first; i < world->command_count; i++) {
        struct ipc_command command = world->commands[i];
        world_ack(world, &command);
        (void)world_update(
            world, command.child, IPC_STATUS_FILLED, command.qty_e8 / LS_E8, E8(100));
    }
}

/* D06: a pending entry of the master counts in what his closes are a part of; once it is cancelled
 * it does not, or closing all he has would leave most of the copy open. */
static void a_cancelled_entry_is_no_part_of_what_is_closed(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    filled_at_once(&world, IPC_SIDE_BUY, 10);
    struct ipc_event pending = world_order(&world, IPC_SIDE_BUY, 50, E8(90));
    (void)world_event(&world, &pending);
    assert_int_equal(world_waves(&world), 1);
    uint32_t entry = world.commands[1].child;
    world_ack(&world, &world.commands[1]);
    filled_at_once(&world, IPC_SIDE_SELL, 4);
    pending.version = 0;
    pending.status = IPC_STATUS_CANCELLED;
    (void)world_event(&world, &pending);
    assert_int_equal(world_waves(&world), 1);
    world_ack(&world, &world.commands[3]);
    (void)world_update(&world, entry, IPC_STATUS_CANCELLED, 0, 0);
    (void)world_waves(&world);
    filled_at_once(&world, IPC_SIDE_SELL, 6);
    assert_int_equal(eng_core_copied_position(world.core, 100, 1, IPC_PRODUCT_MIS, NULL), 0);
    world_check(&world);
    world_restart(&world, true);
    world_close(&world);
}

/* D06: a pending short that was placed while the master was flat closes a part of what he bought
 * meanwhile; closing all that is left then closes all of the copy. */
static void an_opening_that_closes_is_no_part_of_the_run(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world.followers[0].sides = 1u << IPC_SIDE_BUY;
    world_adopt(&world);
    struct ipc_event pending = world_order(&world, IPC_SIDE_SELL, 30, E8(120));
    (void)world_event(&world, &pending);
    assert_int_equal(world_waves(&world), 0);
    filled_at_once(&world, IPC_SIDE_BUY, 80);
    struct ipc_event resting = world_order(&world, IPC_SIDE_SELL, 70, E8(130));
    (void)world_event(&world, &resting);
    assert_int_equal(world_waves(&world), 1);
    world_ack(&world, &world.commands[1]);
    pending.version = 0;
    pending.status = IPC_STATUS_FILLED;
    pending.filled_qty_e8 = E8(30);
    pending.average_price_e8 = E8(120);
    (void)world_event(&world, &pending);
    (void)world_waves(&world);
    resting.version = 0;
    resting.status = IPC_STATUS_CANCELLED;
    (void)world_event(&world, &resting);
    assert_int_equal(world_waves(&world), 1);
    world_ack(&world, &world.commands[2]);
    (void)world_update(&world, world.commands[1].child, IPC_STATUS_CANCELLED, 0, 0);
    (void)world_waves(&world);
    filled_at_once(&world, IPC_SIDE_SELL, 50);
    assert_int_equal(eng_core_copied_position(world.core, 100, 1, IPC_PRODUCT_MIS, NULL), 0);
    world_check(&world);
    world_restart(&world, true);
    world_close(&world);
}

/* An entry that waited for a connection does not go once a money limit of its follower was
 * reached. */
static void a_reached_limit_ends_what_is_queued(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world.cannot_send[0] = 1;
    struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 0);
    const struct ipc_fact_limit trip = {.act = IPC_LIMIT_ACT_TRIP,
        .kind = IPC_LIMIT_TRAILING,
        .scope = IPC_LIMIT_SCOPE_LINK,
        .incarnation = world.followers[0].incarnation,
        .follower_no = world.followers[0].follower_no,
        .account = world.followers[0].account};
    world_apply(&world, IPC_FACT_LIMIT, &trip, sizeof(trip), 1);
    world.cannot_send[0] = 0;
    assert_int_equal(world_release(&world), 0);
    struct eng_child_view child = world_child(&world, 0);
    assert_int_equal(child.state, ENG_STATE_SKIPPED);
    assert_int_equal(child.reason, IPC_REASON_TRAILING_CAPITAL);
    world_check(&world);
    world_close(&world);
}

/* The subscription is made anew while a reversal waits for its close: what the earlier one copied
 * is closed, and nothing is opened for it, nor asked for ever. */
static void an_earlier_subscription_does_not_reverse(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    filled_at_once(&world, IPC_SIDE_BUY, 10);
    struct ipc_event turn = world_order(&world, IPC_SIDE_SELL, 25, E8(100));
    (void)world_event(&world, &turn);
    assert_int_equal(world_waves(&world), 1); /* the close */
    assert_int_equal(world.commands[1].qty_e8, E8(10));
    world.followers[0].incarnation++;
    world_adopt(&world);
    world_ack(&world, &world.commands[1]);
    (void)world_update(&world, world.commands[1].child, IPC_STATUS_FILLED, 10, E8(100));
    struct eng_batch batch;
    for (int i = 0; i < 8; i++)
        (void)world_wave_step(&world);
    assert_int_equal(world.command_count, 2);
    assert_false(eng_settle_next(world.core, &batch));
    world_check(&world);
    world_close(&world);
}

/* A copy of an earlier subscription that was cancelled to be placed anew is not: only the newest
 * one opens. */
static void an_earlier_subscription_places_nothing_anew(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world.policies[0].modifications_max = 1;
    world_adopt(&world);
    struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 20, E8(100));
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 1);
    world_ack(&world, &world.commands[0]);
    for (int i = 0; i < 2; i++) { /* the second is one too many: cancelled, then placed anew */
        entry.version = 0;
        entry.qty_e8 = E8(30 + 10 * i);
        (void)world_event(&world, &entry);
        assert_int_equal(world_waves(&world), 1);
        struct ipc_command command = world.commands[world.command_count - 1];
        if (i == 0)
            world_ack(&world, &command);
    }
    world.followers[0].incarnation++;
    world_adopt(&world);
    filled_at_once(&world, IPC_SIDE_BUY, 5); /* the new subscription has its purse */
    uint32_t before = world.command_count;
    world_ack(&world, &world.commands[2]);
    (void)world_update(&world, world.commands[0].child, IPC_STATUS_CANCELLED, 0, 0);
    assert_int_equal(world_waves(&world), 0); /* an earlier subscription opens nothing */
    assert_int_equal(world.command_count, before);
    world_check(&world);
    world_close(&world);
}

/* Two closes of one position are refused, one after the other: what they were for is tried once
 * more, and not for ever by turns. */
static void refused_closes_do_not_take_turns(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    filled_at_once(&world, IPC_SIDE_BUY, 20);
    uint32_t seen = world.command_count;
    static const int64_t parts[] = {12, 8};
    for (size_t i = 0; i < LS_COUNT_OF(parts); i++) {
        struct ipc_event leave = world_order(&world, IPC_SIDE_SELL, parts[i], 0);
        leave.type = IPC_TYPE_MARKET;
        leave.status = IPC_STATUS_FILLED;
        leave.filled_qty_e8 = E8(parts[i]);
        leave.average_price_e8 = E8(100);
        (void)world_event(&world, &leave);
        (void)world_waves(&world);
    }
    uint32_t first = seen;
    for (int round = 0; round < 12; round++) {
        for (; seen < world.command_count; seen++) {
            struct ipc_command command = world.commands[seen];
            world_reply(&world, &command, IPC_OUTCOME_REJECTED, IPC_EVIDENCE_REPLY, NULL);
        }
        (void)world_waves(&world);
        (void)world_release(&world);
    }
    assert_in_range(world.command_count - first, 2, 3);
    assert_int_equal(seen, world.command_count);
    struct eng_batch batch;
    assert_false(eng_settle_next(world.core, &batch));
    world_check(&world);
    world_restart(&world, true);
    world_close(&world);
}

/* D06: the master buys back less than his pending sale would have made, and more than it did: by
 * what fills he is flat, or long. Nothing of the short is left to anybody who copied it, though the
 * run of closes counted all that was pending. */
static void a_master_turned_round_by_fills_leaves_no_copy(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        int64_t sold, bought; /* of 270 pending, of all that may be */
        bool cancels;         /* the rest of what is pending */
    } rows[] = {
        {"turned round", 120, 130, false},
        {"flat", 120, 120, false},
        {"flat, nothing pending", 120, 120, true},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct world world;
        world_open(&world, 1);
        struct ipc_event pending = world_order(&world, IPC_SIDE_SELL, 270, E8(101));
        (void)world_event(&world, &pending);
        assert_int_equal(world_waves(&world), 1);
        uint32_t entry = world.commands[0].child;
        world_ack(&world, &world.commands[0]);
        pending.version = 0;
        pending.filled_qty_e8 = E8(rows[i].sold);
        pending.average_price_e8 = E8(101);
        (void)world_event(&world, &pending);
        (void)world_waves(&world);
        (void)world_update(&world, entry, IPC_STATUS_OPEN, rows[i].sold, E8(101));
        (void)world_waves(&world);
        struct ipc_event back = world_order(&world, IPC_SIDE_BUY, rows[i].bought, 0);
        back.type = IPC_TYPE_MARKET;
        (void)world_event(&world, &back);
        uint32_t seen = world.command_count;
        (void)world_waves(&world);
        back.version = 0;
        back.status = IPC_STATUS_FILLED;
        back.filled_qty_e8 = back.qty_e8;
        back.average_price_e8 = E8(100);
        (void)world_event(&world, &back);
        if (rows[i].cancels) {
            pending.version = 0;
            pending.status = IPC_STATUS_CANCELLED;
            (void)world_event(&world, &pending);
        }
        for (int round = 0; round < 6; round++) {
            (void)world_waves(&world);
            (void)world_release(&world);
            for (; seen < world.command_count; seen++) {
                struct ipc_command command = world.commands[seen];
                world_ack(&world, &command);
                if (command.action == IPC_ACTION_CANCEL)
                    (void)world_update(&world, entry, IPC_STATUS_CANCELLED, rows[i].sold, E8(101));
                else if (command.side == IPC_SIDE_BUY)
                    (void)world_update(
                        &world, command.child, IPC_STATUS_FILLED, command.qty_e8 / LS_E8, E8(100));
            }
        }
        int64_t held = eng_core_copied_position(world.core, 100, 1, IPC_PRODUCT_MIS, NULL);
        if (held != 0)
            fail_msg("%s: %lld are left", rows[i].what, (long long)(held / LS_E8));
        /* What the master still has pending, the follower has too. */
        struct eng_child_view child;
        assert_true(eng_core_child(world.core, entry, &child));
        assert_int_equal(child.state, rows[i].cancels ? ENG_STATE_CANCELLED : ENG_STATE_PARTIAL);
        world_check(&world);
        world_restart(&world, true);
        world_close(&world);
    }
}

/* A pending sale that was placed while the master was flat, and that its follower may not copy,
 * closes what he bought meanwhile: his follower holds nothing either. */
static void a_pending_order_that_closes_all_closes_what_was_copied(void **state)
{
    (void)state;
    for (int by_fill = 0; by_fill < 2; by_fill++) {
        struct world world;
        world_open(&world, 1);
        world.followers[0].flags &= (uint8_t)~IPC_FOLLOWER_ALLOW_SHORT;
        world.followers[0].copy = by_fill ? IPC_COPY_ON_FILL : IPC_COPY_ON_ORDER;
        world_adopt(&world);
        struct ipc_event pending = world_order(&world, IPC_SIDE_SELL, 30, E8(120));
        (void)world_event(&world, &pending);
        assert_int_equal(world_waves(&world), 0);
        filled_at_once(&world, IPC_SIDE_BUY, 30);
        pending.version = 0;
        pending.status = IPC_STATUS_FILLED;
        pending.filled_qty_e8 = E8(30);
        pending.average_price_e8 = E8(120);
        (void)world_event(&world, &pending);
        assert_int_equal(world_waves(&world), 1);
        assert_int_equal(world.commands[1].side, IPC_SIDE_SELL);
        assert_int_equal(world.commands[1].qty_e8, E8(30));
        world_ack(&world, &world.commands[1]);
        (void)world_update(&world, world.commands[1].child, IPC_STATUS_FILLED, 30, E8(120));
        assert_int_equal(world_waves(&world), 0);
        world_check(&world);
        world_restart(&world, true);
        world_close(&world);
    }
}

/* Copies of an earlier subscription take no amendment: what the settings of now make of the order
 * may have the other side. */
static void a_copy_of_an_earlier_subscription_is_not_amended(void **state)
{
    (void)state;
    struct world world;
    static struct ipc_row_policy policy;
    world_open(&world, 1);
    memset(&policy, 0, sizeof policy);
    policy.flags = IPC_POLICY_REVERSE;
    world.view.policies = &policy;
    world.view.policy_count = 1;
    world.followers[0].policy = 1;
    world_adopt(&world);
    struct ipc_event entry = world_order(&world, IPC_SIDE_SELL, 10, E8(100));
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[0].side, IPC_SIDE_BUY);
    world_ack(&world, &world.commands[0]);
    world.followers[0].policy = 0;
    world.followers[0].incarnation++;
    world.followers[0].flags &= (uint8_t)~IPC_FOLLOWER_ALLOW_SHORT;
    world_adopt(&world);
    entry.version = 0;
    entry.qty_e8 = E8(70);
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[1].action, IPC_ACTION_CANCEL);
    world_ack(&world, &world.commands[1]);
    (void)world_update(&world, world.commands[0].child, IPC_STATUS_CANCELLED, 0, 0);
    assert_int_equal(world_waves(&world), 0);
    world_check(&world);
    world_close(&world);
}

/* Figures that are too old are told from those that nobody read, the master's and the own, also
 * when they were stored: the world decides every batch twice. */
static void figures_too_old_are_decided_the_same_again(void **state)
{
    (void)state;
    static struct ipc_row_policy policy[2];
    for (int which = 0; which < 2; which++) {
        struct world world;
        world_open(&world, 2);
        memset(policy, 0, sizeof policy);
        policy[1].invest_e8 = E8(1000);
        world.view.policies = policy;
        world.view.policy_count = 2;
        for (uint32_t i = 0; i < 2; i++) {
            world.followers[i].policy = i + 1;
            world.followers[i].mode = IPC_MODE_USAGE_RATIO;
            world.capital_e8[i] = E8(500);
            world.capital_mono_ns[i] = world.now_mono_ns;
        }
        world.master_capital_e8 = E8(1000);
        world.master_capital_mono_ns = world.now_mono_ns;
        world_adopt(&world);
        int64_t later = 61 * LS_NS_PER_S;
        world.now_mono_ns += later;
        world.now_wall_ns += later;
        world.price_e8 = E8(100);
        world.price_mono_ns = world.now_mono_ns;
        if (which == 0)
            world.master_capital_mono_ns = world.now_mono_ns; /* the own are old, of who asks */
        struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
        (void)world_event(&world, &entry);
        assert_int_equal(world_waves(&world), which == 0 ? 1 : 0);
        assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_STALE_ACCOUNT_DATA);
        assert_int_equal(world_last_fact(&world, 1).reason,
            which == 0 ? IPC_REASON_NONE : IPC_REASON_STALE_ACCOUNT_DATA);
        world_check(&world);
        world_close(&world);
    }
}

/* One state of the master's order says that it was amended and that it left him flat: its close is
 * decided once. */
static void an_amendment_that_leaves_the_master_flat_closes_once(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    struct ipc_event pending = world_order(&world, IPC_SIDE_BUY, 270, E8(99));
    (void)world_event(&world, &pending);
    assert_int_equal(world_waves(&world), 1);
    uint32_t entry = world.commands[0].child;
    world_ack(&world, &world.commands[0]);
    pending.version = 0;
    pending.filled_qty_e8 = E8(120);
    pending.average_price_e8 = E8(99);
    (void)world_event(&world, &pending);
    (void)world_waves(&world);
    (void)world_update(&world, entry, IPC_STATUS_OPEN, 120, E8(99));
    struct ipc_event leave = world_order(&world, IPC_SIDE_SELL, 60, E8(101));
    (void)world_event(&world, &leave);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[1].qty_e8, E8(60));
    world_ack(&world, &world.commands[1]);
    (void)world_update(&world, world.commands[1].child, IPC_STATUS_FILLED, 60, E8(101));
    leave.version = 0;
    leave.qty_e8 = E8(130);
    leave.filled_qty_e8 = E8(120);
    leave.average_price_e8 = E8(101);
    (void)world_event(&world, &leave);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[2].side, IPC_SIDE_SELL);
    assert_int_equal(world.commands[2].qty_e8, E8(60));
    world_ack(&world, &world.commands[2]);
    (void)world_update(&world, world.commands[2].child, IPC_STATUS_FILLED, 60, E8(101));
    assert_int_equal(world_waves(&world), 0);
    world_check(&world);
    world_restart(&world, true);
    world_close(&world);
}

/* The setting says how the next order is copied; one that has copies is copied to its end as it
 * began. */
static void an_order_is_copied_to_its_end_as_it_began(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2);
    world.followers[1].copy = IPC_COPY_ON_FILL;
    world_adopt(&world);
    struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 100, E8(100));
    entry.filled_qty_e8 = E8(10);
    entry.average_price_e8 = E8(100);
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 2);
    for (uint32_t i = 0; i < 2; i++)
        world_ack(&world, &world.commands[i]);
    world.followers[0].copy = IPC_COPY_ON_FILL;
    world.followers[1].copy = IPC_COPY_ON_ORDER;
    world_adopt(&world);
    entry.version = 0;
    entry.filled_qty_e8 = E8(40);
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 1); /* of fills: the second one's, as it began */
    assert_int_equal(world.commands[2].slot, 1);
    assert_int_equal(world.commands[2].qty_e8, E8(30));
    world_ack(&world, &world.commands[2]);
    entry.version = 0;
    entry.status = IPC_STATUS_CANCELLED;
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 1); /* what rests of the first one's copy */
    assert_int_equal(world.commands[3].slot, 0);
    assert_int_equal(world.commands[3].action, IPC_ACTION_CANCEL);
    world_check(&world);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_marker_is_an_applied_element),
        cmocka_unit_test(queued_exits_do_not_wait_for_each_other),
        cmocka_unit_test(a_waiting_exit_lets_others_pass),
        cmocka_unit_test(a_close_that_outlived_its_position_takes_room),
        cmocka_unit_test(a_modify_in_doubt_counts_with_the_larger_quantity),
        cmocka_unit_test(a_cancelled_entry_is_no_part_of_what_is_closed),
        cmocka_unit_test(an_opening_that_closes_is_no_part_of_the_run),
        cmocka_unit_test(a_reached_limit_ends_what_is_queued),
        cmocka_unit_test(an_earlier_subscription_does_not_reverse),
        cmocka_unit_test(an_earlier_subscription_places_nothing_anew),
        cmocka_unit_test(refused_closes_do_not_take_turns),
        cmocka_unit_test(a_master_turned_round_by_fills_leaves_no_copy),
        cmocka_unit_test(a_pending_order_that_closes_all_closes_what_was_copied),
        cmocka_unit_test(a_copy_of_an_earlier_subscription_is_not_amended),
        cmocka_unit_test(figures_too_old_are_decided_the_same_again),
        cmocka_unit_test(an_amendment_that_leaves_the_master_flat_closes_once),
        cmocka_unit_test(an_order_is_copied_to_its_end_as_it_began),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
