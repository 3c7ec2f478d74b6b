#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/engine/core/core_world.h"

#include <string.h>

/* What a copy is, played through the whole core: runs of closes, slices, reversals, copies of
 * fills, new subscriptions. The ids are those of the worked cases. After each test the state is the
 * fold of its journal. */

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

/* Everything that left since `from` is accepted and filled at once. */
static void fill_all(struct world *world, uint32_t from)
{
    for (uint32_t i = from; i < world->command_count; i++) {
        const struct ipc_command command = world->commands[i];
        world_ack(world, &command);
        if (command.action == IPC_ACTION_PLACE)
            (void)world_update(
                world, command.child, IPC_STATUS_FILLED, command.qty_e8 / LS_E8, E8(100));
    }
}

static struct ipc_event filled(struct world *world, enum ipc_side side, int64_t units)
{
    struct ipc_event event = world_order(world, side, units, 0);
    event.status = IPC_STATUS_FILLED;
    event.filled_qty_e8 = E8(units);
    event.average_price_e8 = E8(100);
    return event;
}

/* The master fills an order at once; followers' orders are accepted and filled, in every round that
 * comes of it. */
static uint32_t trades(struct world *world, enum ipc_side side, int64_t units)
{
    struct ipc_event event = filled(world, side, units);
    uint32_t before = world->command_count;
    (void)world_event(world, &event);
    for (int round = 0; round < 4; round++) {
        uint32_t from = world->command_count;
        (void)world_waves(world);
        (void)world_release(world);
        fill_all(world, from);
    }
    return world->command_count - before;
}

/* D04, D05: seven closes of one and a last of three, from a base of ten and three. */
static void closes_are_cumulative(void **state)
{
    (void)state;
    static const struct {
        int64_t close, sent;
    } rows[] = {{1, 0}, {1, 0}, {1, 0}, {1, 1}, {1, 0}, {1, 0}, {1, 1}, {3, 1}};
    struct world world;
    world_open(&world, 1);
    world.followers[0].mode = IPC_MODE_FIXED_QUANTITY;
    world.followers[0].fixed_qty_e8 = E8(3);
    world_adopt(&world);
    (void)trades(&world, IPC_SIDE_BUY, 10);
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        int64_t before = held(&world, 0);
        (void)trades(&world, IPC_SIDE_SELL, rows[i].close);
        assert_int_equal(before - held(&world, 0), E8(rows[i].sent));
    }
    assert_int_equal(held(&world, 0), 0);
    done(&world);
}

/* 4.2: a scale-in between two closes takes the base anew from what is held. */
static void a_scale_in_takes_the_base_anew(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world.followers[0].ratio_e8 = LS_E8 / 2;
    world_adopt(&world);
    (void)trades(&world, IPC_SIDE_BUY, 100); /* 50 */
    (void)trades(&world, IPC_SIDE_SELL, 50); /* of 50 x 50 / 100 = 25 */
    assert_int_equal(held(&world, 0), E8(25));
    world.followers[0].ratio_e8 = LS_E8; /* D28: the ratio of today is not that of a close */
    world_adopt(&world);
    (void)trades(&world, IPC_SIDE_BUY, 50); /* 75 of 100 */
    assert_int_equal(held(&world, 0), E8(75));
    (void)trades(&world, IPC_SIDE_SELL, 20); /* 75 x 20 / 100 = 15 */
    assert_int_equal(held(&world, 0), E8(60));
    (void)trades(&world, IPC_SIDE_SELL, 80);
    assert_int_equal(held(&world, 0), 0);
    done(&world);
}

/* D25: a close that comes while an earlier one is unanswered joins it; one order makes good for all
 * that came meanwhile. */
static void closes_in_flight_are_joined(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    (void)trades(&world, IPC_SIDE_BUY, 100);
    for (int i = 0; i < 4; i++) {
        struct ipc_event leave = filled(&world, IPC_SIDE_SELL, 10);
        (void)world_event(&world, &leave);
        assert_int_equal(world_waves(&world), i == 0 ? 1 : 0);
        if (i > 0)
            assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_EXIT_IN_FLIGHT);
    }
    world_ack(&world, &world.commands[1]);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[2].qty_e8, E8(30));
    done(&world);
}

/* D26, C20: a close above the freeze quantity is sliced, whatever the number; its slices leave by
 * the order budget. */
static void a_large_exit_is_sliced(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world.instruments[0].lot_qty_e8 = E8(65);
    world.instruments[0].freeze_qty_e8 = E8(1800);
    world.followers[0].max_age_market_ms = 10000;
    world.policies[0] = (struct eng_broker_policy){.orders_per_second = 2};
    world_adopt(&world);
    struct ipc_event entry = filled(&world, IPC_SIDE_BUY, 3640);
    (void)world_event(&world, &entry);
    (void)world_waves(&world);
    for (int i = 0; i < 4; i++) {
        world.now_mono_ns += 600 * LS_NS_PER_MS;
        (void)world_release(&world);
    }
    assert_int_equal(world.command_count, 3); /* an entry within its slices, at its pace */
    fill_all(&world, 0);
    assert_int_equal(held(&world, 0), E8(3640));
    world.now_mono_ns += 10 * LS_NS_PER_S;
    struct ipc_event leave = filled(&world, IPC_SIDE_SELL, 3640);
    (void)world_event(&world, &leave);
    assert_int_equal(world_waves(&world), 1);
    static const int64_t expected[] = {1755, 1755, 130};
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(world.command_count, 4 + i);
        assert_int_equal(world.commands[3 + i].qty_e8, E8(expected[i]));
        world.now_mono_ns += 1100 * LS_NS_PER_MS;
        (void)world_release(&world);
    }
    for (uint32_t i = 1; i < 3; i++)
        assert_true(memcmp(world.commands[3].tag, world.commands[3 + i].tag, IPC_TAG_BYTES) != 0);
    fill_all(&world, 3);
    assert_int_equal(held(&world, 0), 0);
    done(&world);
}

/* C24: an entry that needs too many slices is refused whole; an exit never. */
static void only_entries_have_too_many_slices(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world.instruments[0].freeze_qty_e8 = E8(1);
    world_adopt(&world);
    struct ipc_event entry = filled(&world, IPC_SIDE_BUY, 21);
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 0);
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_TOO_MANY_SLICES);
    for (int i = 0; i < 5; i++)
        (void)trades(&world, IPC_SIDE_BUY, 20);
    assert_int_equal(held(&world, 0), E8(100));
    /* More than a frame holds, and more than any entry may have. */
    assert_int_equal(trades(&world, IPC_SIDE_SELL, 121), 100);
    assert_int_equal(held(&world, 0), 0);
    done(&world);
}

/* E04-E06: close, acknowledged, then open; only the close where shorts are forbidden; only the
 * opening of who has nothing to close; nothing is opened when the close is refused. */
static void a_reversal_closes_before_it_opens(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        bool joined_late, no_short, refused;
        int64_t after;
    } rows[] = {
        {"E04", false, false, false, -25},
        {"E05", true, false, false, -25},
        {"E06", false, true, false, 0},
        {"6, close refused", false, false, true, 50},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct world world;
        world_open(&world, 1);
        world.followers[0].ratio_e8 = LS_E8 / 2;
        if (rows[i].joined_late)
            world.followers[0].flags |= IPC_FOLLOWER_PAUSED;
        world_adopt(&world);
        (void)trades(&world, IPC_SIDE_BUY, 100);
        world.followers[0].flags = IPC_FOLLOWER_ENABLED;
        if (!rows[i].no_short)
            world.followers[0].flags |= IPC_FOLLOWER_ALLOW_SHORT;
        world_adopt(&world);
        uint32_t from = world.command_count;
        struct ipc_event turn = filled(&world, IPC_SIDE_SELL, 150);
        (void)world_event(&world, &turn);
        assert_int_equal(world_waves(&world), 1); /* never both before an answer */
        if (rows[i].joined_late)
            assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_LATE_JOINER);
        if (!rows[i].joined_late) {
            assert_int_equal(world.commands[from].qty_e8, E8(50));
            assert_true(world.commands[from].is_exit);
        }
        if (rows[i].refused) {
            world_reply(
                &world, &world.commands[from], IPC_OUTCOME_REJECTED, IPC_EVIDENCE_REPLY, NULL);
            assert_int_equal(world_waves(&world), 0);
            assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_BROKER_REJECT);
        } else {
            fill_all(&world, from);
            from = world.command_count;
            uint32_t more = world_waves(&world);
            assert_int_equal(more, rows[i].joined_late || rows[i].no_short ? 0 : 1);
            if (rows[i].no_short)
                assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_SHORT_NOT_ALLOWED);
            fill_all(&world, from);
        }
        if (held(&world, 0) != E8(rows[i].after))
            fail_msg("%s: holds %lld", rows[i].id, (long long)(held(&world, 0) / LS_E8));
        done(&world);
    }
}

/* E13-E17: the cumulative fill counts, never the single one; repeats and old news add nothing. */
static void fills_are_copied_cumulatively(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        int64_t qty, cum[6], sent[6];
    } rows[] = {
        {"E14", 3, {1, 2, 3}, {0, 1, 0}},
        {"E16", 100, {60, 30, 60, 100}, {30, 0, 0, 20}},
        {"E13", 100, {40, 60, 100}, {20, 10, 20}},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct world world;
        world_open(&world, 1);
        world.followers[0].ratio_e8 = LS_E8 / 2;
        world.followers[0].copy = IPC_COPY_ON_FILL;
        world_adopt(&world);
        struct ipc_event order = world_order(&world, IPC_SIDE_BUY, rows[i].qty, E8(100));
        (void)world_event(&world, &order);
        assert_int_equal(world_waves(&world), 0); /* E28 */
        world.now_mono_ns += 3600 * LS_NS_PER_S;  /* the fill is fresh, the order is not */
        for (int at = 0; at < 6 && rows[i].cum[at] != 0; at++) {
            struct ipc_event fill = order;
            fill.version = 0;
            fill.received_mono_ns = 0;
            fill.filled_qty_e8 = E8(rows[i].cum[at]);
            fill.average_price_e8 = E8(100);
            if (rows[i].cum[at] == rows[i].qty)
                fill.status = IPC_STATUS_FILLED;
            (void)world_event(&world, &fill);
            uint32_t from = world.command_count;
            (void)world_waves(&world);
            int64_t sent = 0;
            for (uint32_t c = from; c < world.command_count; c++) {
                sent += world.commands[c].qty_e8;
                assert_int_equal(world.commands[c].type, IPC_TYPE_MARKET);
            }
            if (sent != E8(rows[i].sent[at]))
                fail_msg("%s: fill %d sends %lld", rows[i].id, at, (long long)(sent / LS_E8));
            fill_all(&world, from);
        }
        /* The exit by its fills: half of what the master closes, and all of the rest. */
        int64_t before = held(&world, 0);
        (void)trades(&world, IPC_SIDE_SELL, rows[i].qty);
        assert_true(before > 0);
        assert_int_equal(held(&world, 0), 0);
        done(&world);
    }
}

/* A subscription made anew starts flat; what the old one holds is closed with the master's exit. */
static void a_new_subscription_starts_flat(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    (void)trades(&world, IPC_SIDE_BUY, 100);
    world.followers[0].incarnation = 2;
    world.followers[0].max_position_e8 = E8(1000);
    world_adopt(&world);
    (void)trades(&world, IPC_SIDE_BUY, 100);
    assert_int_equal(held(&world, 0), E8(100)); /* of the new one */
    assert_int_equal(trades(&world, IPC_SIDE_SELL, 200), 2);
    assert_int_equal(held(&world, 0), 0);
    done(&world);
}

/* Storm: 25 amendments while one is in flight are one more call (8). */
static void a_storm_of_amendments_is_coalesced(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    struct ipc_event order = world_order(&world, IPC_SIDE_BUY, 100, E8(100));
    (void)world_event(&world, &order);
    assert_int_equal(world_waves(&world), 1);
    for (int i = 1; i <= 25; i++) {
        order.version = 0;
        order.price_e8 = E8(100 + i);
        (void)world_event(&world, &order);
        assert_int_equal(world_waves(&world), 0);
    }
    world_ack(&world, &world.commands[0]);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[1].action, IPC_ACTION_MODIFY);
    assert_int_equal(world.commands[1].price_e8, E8(125));
    done(&world);
}

/* The master's amendment upwards after the copy filled: only the difference is placed (8, E21). */
static void a_filled_copy_grows_by_the_difference(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    struct ipc_event order = world_order(&world, IPC_SIDE_BUY, 50, E8(100));
    (void)world_event(&world, &order);
    (void)world_waves(&world);
    fill_all(&world, 0);
    order.version = 0;
    order.qty_e8 = E8(80);
    (void)world_event(&world, &order);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[1].action, IPC_ACTION_PLACE);
    assert_int_equal(world.commands[1].qty_e8, E8(30));
    fill_all(&world, 1);
    assert_int_equal(held(&world, 0), E8(80));
    done(&world);
}

/* The master goes flat by a later fill: entries that still work at followers are cancelled (D14).
 */
static void a_flat_master_ends_working_entries(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    struct ipc_event entry = filled(&world, IPC_SIDE_BUY, 10);
    entry.price_e8 = E8(100);
    entry.type = IPC_TYPE_LIMIT;
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 1);
    world_ack(&world, &world.commands[0]);
    (void)world_update(&world, 0, IPC_STATUS_OPEN, 4, E8(100));
    struct ipc_event leave = world_order(&world, IPC_SIDE_SELL, 10, E8(120));
    (void)world_event(&world, &leave); /* a resting target: the entry goes on */
    assert_int_equal(world_waves(&world), 1);
    world_ack(&world, &world.commands[1]);
    assert_int_equal(world.commands[1].qty_e8, E8(4));
    leave.version = 0;
    leave.status = IPC_STATUS_FILLED;
    leave.filled_qty_e8 = E8(10);
    (void)world_event(&world, &leave);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[2].action, IPC_ACTION_CANCEL);
    assert_int_equal(world.commands[2].child, world.commands[0].child);
    world_ack(&world, &world.commands[2]);
    (void)world_update(&world, world.commands[0].child, IPC_STATUS_CANCELLED, 6, E8(100));
    assert_int_equal(world_waves(&world), 1); /* what filled before the cancel is closed too */
    assert_int_equal(world.commands[3].side, IPC_SIDE_SELL);
    assert_int_equal(world.commands[3].qty_e8, E8(2));
    done(&world);
}

/* B31, E35: the side flipped; closes follow the magnitude of what was copied. */
static void a_reversed_copy_is_closed_by_its_magnitude(void **state)
{
    (void)state;
    struct ipc_row_policy policy = {.flags = IPC_POLICY_REVERSE};
    struct world world;
    world_open(&world, 1);
    world.view.policies = &policy;
    world.view.policy_count = 1;
    world.followers[0].policy = 1;
    world_adopt(&world);
    (void)trades(&world, IPC_SIDE_BUY, 100);
    assert_int_equal(held(&world, 0), -E8(100));
    (void)trades(&world, IPC_SIDE_SELL, 30);
    assert_int_equal(held(&world, 0), -E8(70));
    (void)trades(&world, IPC_SIDE_SELL, 70);
    assert_int_equal(held(&world, 0), 0);
    done(&world);
}

/* E30: where the account backs one resting order the stop stays and the target is dropped. */
static void the_stop_stays_and_the_target_is_dropped(void **state)
{
    (void)state;
    struct ipc_row_policy policy = {.flags = IPC_POLICY_ONE_RESTING};
    struct world world;
    world_open(&world, 1);
    world.view.policies = &policy;
    world.view.policy_count = 1;
    world.followers[0].policy = 1;
    world_adopt(&world);
    (void)trades(&world, IPC_SIDE_BUY, 100);
    struct ipc_event stop = world_order(&world, IPC_SIDE_SELL, 50, 0);
    stop.type = IPC_TYPE_SLM; /* E29: a protective stop is a close */
    stop.trigger_e8 = E8(90);
    (void)world_event(&world, &stop);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[1].trigger_e8, E8(90));
    assert_true(world.commands[1].is_exit);
    world_ack(&world, &world.commands[1]);
    struct ipc_event target = world_order(&world, IPC_SIDE_SELL, 50, E8(120));
    (void)world_event(&world, &target);
    assert_int_equal(world_waves(&world), 0);
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_KEEP_STOP);
    done(&world);
}

/* E02: with remainder = carry the openings of an episode are counted together; flat ends it. */
static void remainders_of_openings_are_carried(void **state)
{
    (void)state;
    struct ipc_row_policy policy = {.flags = IPC_POLICY_CARRY};
    struct world world;
    world_open(&world, 1);
    world.view.policies = &policy;
    world.view.policy_count = 1;
    world.followers[0].policy = 1;
    world.followers[0].ratio_e8 = LS_E8 / 2;
    world_adopt(&world);
    for (int episode = 0; episode < 2; episode++) {
        static const int64_t holds[] = {0, 1, 1, 2, 2};
        for (size_t i = 0; i < LS_COUNT_OF(holds); i++) {
            (void)trades(&world, IPC_SIDE_BUY, 1);
            assert_int_equal(held(&world, 0), E8(holds[i]));
        }
        (void)trades(&world, IPC_SIDE_SELL, 5);
        assert_int_equal(held(&world, 0), 0);
    }
    done(&world);
}

/* A market exit goes before a stop that rests for all of it: the stop makes room, and is never
 * above what is left. */
static void a_stop_makes_room_for_what_leaves(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    (void)trades(&world, IPC_SIDE_BUY, 100);
    struct ipc_event stop = world_order(&world, IPC_SIDE_SELL, 100, 0);
    stop.type = IPC_TYPE_SLM;
    stop.trigger_e8 = E8(90);
    (void)world_event(&world, &stop);
    assert_int_equal(world_waves(&world), 1);
    const struct ipc_command placed = world.commands[1];
    assert_int_equal(placed.qty_e8, E8(100));
    world_ack(&world, &placed);

    struct ipc_event leave = filled(&world, IPC_SIDE_SELL, 40);
    (void)world_event(&world, &leave);
    assert_int_equal(
        world_waves(&world), 1); /* nothing is closed yet: 100 are promised to the stop */
    assert_int_equal(world.commands[2].action, IPC_ACTION_MODIFY);
    assert_int_equal(world.commands[2].qty_e8, E8(60));
    world_ack(&world, &world.commands[2]);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[3].action, IPC_ACTION_PLACE);
    assert_int_equal(world.commands[3].type, IPC_TYPE_MARKET);
    assert_int_equal(world.commands[3].qty_e8, E8(40));
    fill_all(&world, 3);
    assert_int_equal(held(&world, 0), E8(60));

    /* The master's own stop follows: it is 60 here already. */
    stop.version = 0;
    stop.qty_e8 = E8(60);
    (void)world_event(&world, &stop);
    assert_int_equal(world_waves(&world), 0);

    struct ipc_event rest = filled(&world, IPC_SIDE_SELL, 60);
    (void)world_event(&world, &rest);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[4].action, IPC_ACTION_CANCEL);
    world_ack(&world, &world.commands[4]);
    (void)world_update(&world, placed.child, IPC_STATUS_CANCELLED, 0, 0);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[5].qty_e8, E8(60));
    fill_all(&world, 5);
    assert_int_equal(held(&world, 0), 0);
    done(&world);
}

/* The price of one reduction is amended when a later one was copied already: its size stays. */
static void an_earlier_close_keeps_its_size(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    (void)trades(&world, IPC_SIDE_BUY, 100);
    struct ipc_event target = world_order(&world, IPC_SIDE_SELL, 30, E8(120));
    (void)world_event(&world, &target);
    assert_int_equal(world_waves(&world), 1);
    world_ack(&world, &world.commands[1]);
    assert_int_equal(trades(&world, IPC_SIDE_SELL, 40), 1);
    assert_int_equal(world.commands[2].qty_e8, E8(40));
    target.version = 0;
    target.price_e8 = E8(125);
    (void)world_event(&world, &target);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[3].action, IPC_ACTION_MODIFY);
    assert_int_equal(world.commands[3].qty_e8, E8(30));
    assert_int_equal(world.commands[3].price_e8, E8(125));
    done(&world);
}

/* A target of the master would be a stop of who copies him reversed: it waits for the fill. */
static void resting_closes_are_not_reversed(void **state)
{
    (void)state;
    struct ipc_row_policy policy = {.flags = IPC_POLICY_REVERSE};
    struct world world;
    world_open(&world, 1);
    world.view.policies = &policy;
    world.view.policy_count = 1;
    world.followers[0].policy = 1;
    world_adopt(&world);
    (void)trades(&world, IPC_SIDE_BUY, 100);
    assert_int_equal(held(&world, 0), E8(-100));
    struct ipc_event target = world_order(&world, IPC_SIDE_SELL, 50, E8(120));
    (void)world_event(&world, &target);
    assert_int_equal(world_waves(&world), 0);
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_WAIT_MASTER_FILL);
    target.version = 0;
    target.status = IPC_STATUS_FILLED;
    target.filled_qty_e8 = E8(50);
    target.average_price_e8 = E8(120);
    (void)world_event(&world, &target);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[1].side, IPC_SIDE_BUY);
    assert_int_equal(world.commands[1].type, IPC_TYPE_MARKET);
    assert_int_equal(world.commands[1].qty_e8, E8(50));
    done(&world);
}

/* close_round = up: rather too small a position than too large a one. */
static void small_closes_may_be_rounded_up(void **state)
{
    (void)state;
    struct ipc_row_policy policy = {.flags = IPC_POLICY_CLOSE_UP};
    struct world world;
    world_open(&world, 1);
    world.view.policies = &policy;
    world.view.policy_count = 1;
    world.followers[0].policy = 1;
    world.followers[0].ratio_e8 = LS_E8 / 10;
    world_adopt(&world);
    (void)trades(&world, IPC_SIDE_BUY, 100);
    (void)trades(&world, IPC_SIDE_SELL, 5); /* 10 x 5 / 100 = 0.5 */
    assert_int_equal(held(&world, 0), E8(9));
    (void)trades(&world, IPC_SIDE_SELL, 5); /* 10 x 10 / 100 = 1: closed already */
    assert_int_equal(held(&world, 0), E8(9));
    (void)trades(&world, IPC_SIDE_SELL, 90);
    assert_int_equal(held(&world, 0), 0);
    done(&world);
}

/* The same when the order is seen working before it is seen filled: nothing is lost on the way. */
static void a_reversal_may_be_seen_in_parts(void **state)
{
    (void)state;
    static const struct {
        bool fills_first; /* before the close is answered */
    } rows[] = {{false}, {true}};
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct world world;
        world_open(&world, 1);
        world.followers[0].ratio_e8 = LS_E8 / 2;
        world_adopt(&world);
        (void)trades(&world, IPC_SIDE_BUY, 100);
        struct ipc_event turn = world_order(&world, IPC_SIDE_SELL, 150, 0);
        (void)world_event(&world, &turn);
        assert_int_equal(world_waves(&world), 1);
        assert_int_equal(world.commands[1].qty_e8, E8(50));
        turn.version = 0;
        turn.status = IPC_STATUS_FILLED;
        turn.filled_qty_e8 = E8(150);
        turn.average_price_e8 = E8(100);
        if (rows[i].fills_first) {
            (void)world_event(&world, &turn);
            assert_int_equal(world_waves(&world), 0);
            fill_all(&world, 1);
        } else {
            fill_all(&world, 1);
            assert_int_equal(world_waves(&world), 1);
            (void)world_event(&world, &turn);
        }
        (void)world_waves(&world);
        assert_int_equal(world.command_count, 3);
        assert_int_equal(world.commands[2].qty_e8, E8(25));
        assert_int_equal(world.commands[2].side, IPC_SIDE_SELL);
        fill_all(&world, 2);
        assert_int_equal(held(&world, 0), E8(-25));
        done(&world);
    }
}

/* A reversal while the follower's own entry is still on the way: the entry is cancelled, what it
 * fills is closed, and then the other side is opened. */
static void a_reversal_waits_for_its_own_entry(void **state)
{
    (void)state;
    for (int64_t filled_units = 0; filled_units <= 50; filled_units += 25) {
        struct world world;
        world_open(&world, 1);
        world.followers[0].ratio_e8 = LS_E8 / 2;
        world_adopt(&world);
        struct ipc_event entry = filled(&world, IPC_SIDE_BUY, 100);
        (void)world_event(&world, &entry);
        assert_int_equal(world_waves(&world), 1);
        struct ipc_event turn = filled(&world, IPC_SIDE_SELL, 150);
        (void)world_event(&world, &turn);
        assert_int_equal(world_waves(&world), 0);
        world_ack(&world, &world.commands[0]);
        (void)world_update(&world, world.commands[0].child,
            filled_units == 50 ? IPC_STATUS_FILLED : IPC_STATUS_CANCELLED, filled_units, E8(100));
        (void)world_waves(&world);
        uint32_t at = 1;
        if (filled_units != 0) {
            assert_int_equal(world.command_count, 2); /* the close alone, before its answer */
            assert_int_equal(world.commands[1].qty_e8, E8(filled_units));
            fill_all(&world, at++);
            (void)world_waves(&world);
        }
        assert_int_equal(world.command_count, at + 1);
        assert_int_equal(world.commands[at].qty_e8, E8(25));
        fill_all(&world, at);
        assert_int_equal(held(&world, 0), E8(-25));
        done(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closes_are_cumulative),
        cmocka_unit_test(a_scale_in_takes_the_base_anew),
        cmocka_unit_test(closes_in_flight_are_joined),
        cmocka_unit_test(a_large_exit_is_sliced),
        cmocka_unit_test(only_entries_have_too_many_slices),
        cmocka_unit_test(a_reversal_closes_before_it_opens),
        cmocka_unit_test(a_reversal_may_be_seen_in_parts),
        cmocka_unit_test(a_reversal_waits_for_its_own_entry),
        cmocka_unit_test(fills_are_copied_cumulatively),
        cmocka_unit_test(a_new_subscription_starts_flat),
        cmocka_unit_test(a_storm_of_amendments_is_coalesced),
        cmocka_unit_test(a_filled_copy_grows_by_the_difference),
        cmocka_unit_test(a_flat_master_ends_working_entries),
        cmocka_unit_test(remainders_of_openings_are_carried),
        cmocka_unit_test(a_reversed_copy_is_closed_by_its_magnitude),
        cmocka_unit_test(the_stop_stays_and_the_target_is_dropped),
        cmocka_unit_test(a_stop_makes_room_for_what_leaves),
        cmocka_unit_test(an_earlier_close_keeps_its_size),
        cmocka_unit_test(resting_closes_are_not_reversed),
        cmocka_unit_test(small_closes_may_be_rounded_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
