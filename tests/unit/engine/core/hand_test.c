/* A follower's owner who trades by hand (SEMANTICS 4.9): what he closed of the copies is not closed
 * again, what is his own is left alone, and no state counts twice. Worlds restart at the end: the
 * fold of the journal is the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/engine/core/core_world.h"

#include <string.h>

#define E8(units) ((int64_t)(units)*LS_E8)

static void open_world(struct world *world, uint32_t followers)
{
    world_open(world, followers);
    for (uint32_t i = 0; i < followers; i++)
        world->followers[i].ratio_e8 = LS_E8 / 2;
    world->price_e8 = E8(100);
    world_adopt(world);
}

static void close_world(struct world *world)
{
    world_check(world);
    eng_core_verify(world->core);
    world_restart(world, true);
    world_check(world);
    eng_core_verify(world->core);
    world_close(world);
}

static int64_t held(const struct world *world, uint32_t slot)
{
    return eng_core_copied_position(world->core, 100 + slot, 1, IPC_PRODUCT_MIS, NULL) / LS_E8;
}

/* The owner of a follower's account has an order by hand, filled so far. */
static struct ipc_event by_hand(
    struct world *world, uint32_t slot, enum ipc_side side, int64_t units, int64_t filled)
{
    struct ipc_event event = world_order(world, side, units, 0);
    event.account = world->followers[slot].account;
    event.status = filled == units ? IPC_STATUS_FILLED : IPC_STATUS_OPEN;
    event.filled_qty_e8 = E8(filled);
    event.average_price_e8 = filled == 0 ? 0 : E8(100);
    return event;
}

static uint32_t sells(struct world *world, uint32_t slot, int64_t units)
{
    struct ipc_event event = by_hand(world, slot, IPC_SIDE_SELL, units, units);
    return world_event(world, &event);
}

static uint32_t buys(struct world *world, uint32_t slot, int64_t units)
{
    struct ipc_event event = by_hand(world, slot, IPC_SIDE_BUY, units, units);
    return world_event(world, &event);
}

static void settle(struct world *world, uint32_t from)
{
    for (uint32_t round = 0; round < 12; round++) {
        (void)world_waves(world);
        (void)world_release(world);
        for (; from < world->command_count; from++) {
            const struct ipc_command command = world->commands[from];
            world_ack(world, &command);
            if (command.action == IPC_ACTION_PLACE && command.type == IPC_TYPE_MARKET)
                (void)world_update(
                    world, command.child, IPC_STATUS_FILLED, command.qty_e8 / LS_E8, E8(100));
        }
    }
    assert_int_equal(world_waves(world), 0);
    eng_core_verify(world->core);
}

/* The master trades at the market; quantities that left for the follower, summed by side. */
static int64_t trades(struct world *world, uint32_t slot, enum ipc_side side, int64_t units)
{
    struct ipc_event event = world_order(world, side, units, 0);
    uint32_t from = world->command_count;
    event.status = IPC_STATUS_FILLED;
    event.filled_qty_e8 = E8(units);
    event.average_price_e8 = E8(100);
    assert_int_equal(world_event(world, &event), 1);
    settle(world, from);
    int64_t sum = 0;
    for (uint32_t i = from; i < world->command_count; i++)
        if (world->commands[i].slot == slot && world->commands[i].action == IPC_ACTION_PLACE)
            sum += world->commands[i].qty_e8 / LS_E8;
    return sum;
}

/* Copied 50, sold 20 by hand: 30 are closed, and the next position starts at nothing. */
static void what_was_sold_is_not_sold_again(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 2);
    assert_int_equal(trades(&world, 0, IPC_SIDE_BUY, 100), 50);
    assert_int_equal(sells(&world, 0, 20), 2); /* and an alarm */
    assert_int_equal(held(&world, 0), 50);
    assert_int_equal(trades(&world, 0, IPC_SIDE_SELL, 100), 30);
    assert_int_equal(held(&world, 0), 0);
    assert_int_equal(held(&world, 1), 0);
    assert_int_equal(trades(&world, 0, IPC_SIDE_BUY, 40), 20);
    assert_int_equal(trades(&world, 0, IPC_SIDE_SELL, 20), 10);
    assert_int_equal(trades(&world, 0, IPC_SIDE_SELL, 20), 10);
    close_world(&world);
}

/* The share is that of what was copied; the clamp comes after it. */
static void parts_are_shares_of_the_copy(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    (void)trades(&world, 0, IPC_SIDE_BUY, 100);
    (void)sells(&world, 0, 20);
    assert_int_equal(trades(&world, 0, IPC_SIDE_SELL, 50), 25);
    assert_int_equal(trades(&world, 0, IPC_SIDE_SELL, 25), 5);
    assert_int_equal(trades(&world, 0, IPC_SIDE_SELL, 25), 0);
    assert_int_equal(held(&world, 0), 0);
    close_world(&world);
}

static void all_sold_is_no_position(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    (void)trades(&world, 0, IPC_SIDE_BUY, 100);
    (void)sells(&world, 0, 70); /* 20 of them his own */
    assert_int_equal(held(&world, 0), 0);
    assert_int_equal(trades(&world, 0, IPC_SIDE_SELL, 100), 0);
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_NO_POSITION);
    (void)buys(&world, 0, 70); /* nothing of it is found: it is his */
    assert_int_equal(trades(&world, 0, IPC_SIDE_BUY, 10), 5);
    assert_int_equal(trades(&world, 0, IPC_SIDE_SELL, 10), 5);
    close_world(&world);
}

/* What he trades for himself closes what he traded for himself. */
static void his_own_comes_first(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    assert_int_equal(buys(&world, 0, 30), 1);
    (void)trades(&world, 0, IPC_SIDE_BUY, 100);
    assert_int_equal(sells(&world, 0, 30), 1);
    assert_int_equal(trades(&world, 0, IPC_SIDE_SELL, 100), 50);
    close_world(&world);
}

static void what_he_buys_back_is_found(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    (void)trades(&world, 0, IPC_SIDE_BUY, 100);
    (void)sells(&world, 0, 20);
    assert_int_equal(buys(&world, 0, 25), 1); /* 5 of them his own */
    (void)sells(&world, 0, 5);
    assert_int_equal(trades(&world, 0, IPC_SIDE_SELL, 100), 50);
    close_world(&world);
}

static void shorts_are_the_mirror(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    assert_int_equal(trades(&world, 0, IPC_SIDE_SELL, 100), 50);
    (void)sells(&world, 0, 10); /* his own short */
    (void)buys(&world, 0, 25);  /* and 15 of ours */
    assert_int_equal(trades(&world, 0, IPC_SIDE_BUY, 100), 35);
    assert_int_equal(held(&world, 0), 0);
    close_world(&world);
}

/* The close leaves nothing; the opening leg of the reversal follows. */
static void a_reversal_opens_all_the_same(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    (void)trades(&world, 0, IPC_SIDE_BUY, 100);
    (void)sells(&world, 0, 20);
    assert_int_equal(trades(&world, 0, IPC_SIDE_SELL, 150), 30 + 25);
    assert_int_equal(held(&world, 0), -25);
    assert_int_equal(trades(&world, 0, IPC_SIDE_BUY, 50), 25);
    close_world(&world);
}

/* A state that comes twice or late changes nothing, a further fill counts by its difference. */
static void fills_are_cumulative(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    (void)trades(&world, 0, IPC_SIDE_BUY, 100);
    struct ipc_event event = by_hand(&world, 0, IPC_SIDE_SELL, 40, 0);
    assert_int_equal(world_event(&world, &event), 0);
    event.version = 0;
    event.filled_qty_e8 = E8(10);
    struct ipc_event early = event;
    assert_int_equal(world_event(&world, &event), 2);
    event.version = 0;
    event.filled_qty_e8 = E8(20);
    assert_int_equal(world_event(&world, &event), 2);
    assert_int_equal(world_event(&world, &early), 0);
    assert_int_equal(world_event(&world, &event), 0);
    assert_int_equal(trades(&world, 0, IPC_SIDE_SELL, 100), 30);
    close_world(&world);
}

/* What had filled when the account was first read was never copied. */
static void the_first_book_is_the_base(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    struct ipc_event book = {.kind = IPC_EVENT_BOOK_BEGIN, .account = world.followers[0].account};
    (void)world_event(&world, &book);
    struct ipc_event old = by_hand(&world, 0, IPC_SIDE_SELL, 40, 20);
    old.flags = IPC_EVENT_FROM_BOOK;
    assert_int_equal(world_event(&world, &old), 1);
    book.kind = IPC_EVENT_BOOK_END;
    book.book_order_count = 1;
    book.version = 0;
    (void)world_event(&world, &book);
    (void)trades(&world, 0, IPC_SIDE_BUY, 100);
    old.version = 0;
    old.flags = 0;
    old.filled_qty_e8 = E8(35); /* 15 more */
    assert_int_equal(world_event(&world, &old), 2);
    assert_int_equal(trades(&world, 0, IPC_SIDE_SELL, 100), 35);
    close_world(&world);
}

/* Other products and instruments are other positions. */
static void another_product_is_another_position(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    (void)trades(&world, 0, IPC_SIDE_BUY, 100);
    struct ipc_event event = by_hand(&world, 0, IPC_SIDE_SELL, 20, 20);
    event.product = IPC_PRODUCT_CNC;
    assert_int_equal(world_event(&world, &event), 1);
    event = by_hand(&world, 0, IPC_SIDE_SELL, 20, 20);
    event.instrument = 4;
    assert_int_equal(world_event(&world, &event), 1);
    assert_int_equal(trades(&world, 0, IPC_SIDE_SELL, 100), 50);
    close_world(&world);
}

/* Two subscriptions of one account: together they close what the account has. */
static void subscriptions_share_an_account(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 2);
    world.followers[1].account = world.followers[0].account;
    world_adopt(&world);
    (void)trades(&world, 0, IPC_SIDE_BUY, 100);
    assert_int_equal(held(&world, 0) + held(&world, 1), 100);
    (void)sells(&world, 0, 60);
    uint32_t from = world.command_count;
    (void)trades(&world, 0, IPC_SIDE_SELL, 100);
    int64_t sum = 0;
    for (uint32_t i = from; i < world.command_count; i++)
        sum += world.commands[i].qty_e8 / LS_E8;
    assert_int_equal(sum, 40);
    assert_int_equal(held(&world, 0) + held(&world, 1), 0);
    close_world(&world);
}

/* A close that waits in the queue is clamped when it goes, or does not go at all. */
static void queued_closes_are_clamped(void **state)
{
    (void)state;
    static const int64_t sold[] = {20, 50};
    for (size_t i = 0; i < LS_COUNT_OF(sold); i++) {
        struct world world;
        open_world(&world, 1);
        (void)trades(&world, 0, IPC_SIDE_BUY, 100);
        world.cannot_send[0] = 1;
        struct ipc_event event = world_order(&world, IPC_SIDE_SELL, 100, 0);
        (void)world_event(&world, &event);
        assert_int_equal(world_waves(&world), 0);
        (void)sells(&world, 0, sold[i]);
        uint32_t from = world.command_count;
        world.cannot_send[0] = 0;
        settle(&world, from);
        int64_t sum = 0;
        for (; from < world.command_count; from++)
            sum += world.commands[from].qty_e8 / LS_E8;
        assert_int_equal(sum, 50 - sold[i]);
        assert_int_equal(held(&world, 0), 0);
        close_world(&world);
    }
}

/* A resting stop becomes smaller with what it protects, and goes with it. */
static void a_resting_stop_follows(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    (void)trades(&world, 0, IPC_SIDE_BUY, 100);
    struct ipc_event stop = world_order(&world, IPC_SIDE_SELL, 100, 0);
    stop.type = IPC_TYPE_SLM;
    stop.trigger_e8 = E8(90);
    uint32_t from = world.command_count;
    (void)world_event(&world, &stop);
    settle(&world, from);
    assert_int_equal(world.commands[from].qty_e8, E8(50));
    from = world.command_count;
    (void)sells(&world, 0, 20);
    settle(&world, from);
    assert_int_equal(world.command_count, from + 1);
    assert_int_equal(world.commands[from].action, IPC_ACTION_MODIFY);
    assert_int_equal(world.commands[from].qty_e8, E8(30));
    close_world(&world);
}

/* --- property ------------------------------------------------------------------------------------
 */

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

/* Whatever the owner does: what we close is never more than the account has left of the copies by
 * a count of its own, and a flat master leaves nothing copied. */
static void closes_never_exceed_what_is_there(void **state)
{
    (void)state;
    uint64_t seed = 41;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 6; round++) {
        struct world world;
        int64_t master = 0, copied = 0, lost = 0, own = 0;
        open_world(&world, 1);
        for (int step = 0; step < 30; step++) {
            int64_t units = 1 + (int64_t)(next_random(&seed) % 40);
            if (next_random(&seed) % 2 == 0) { /* the owner */
                bool sold = next_random(&seed) % 2 == 0;
                (void)(sold ? sells(&world, 0, units) : buys(&world, 0, units));
                int64_t left = units;
                if (sold) {
                    int64_t part = own > 0 ? (own < left ? own : left) : 0;
                    own -= part;
                    left -= part;
                    part = copied - lost < left ? copied - lost : left;
                    lost += part;
                    own -= left - part;
                } else {
                    int64_t part = lost < left ? lost : left;
                    lost -= part;
                    own += left - part;
                }
            } else if (master == 0 || next_random(&seed) % 2 == 0) {
                copied += trades(&world, 0, IPC_SIDE_BUY, 2 * units);
                master += 2 * units;
            } else {
                int64_t part = master < 2 * units || step > 27 ? master : 2 * units;
                int64_t sold = trades(&world, 0, IPC_SIDE_SELL, part);
                master -= part;
                assert_true(sold <= copied - lost);
                if (master == 0)
                    assert_int_equal(sold, copied - lost);
                copied -= sold;
            }
            if (copied == lost) /* over: what is missing is written off */
                copied = lost = 0;
            assert_int_equal(held(&world, 0), copied);
        }
        if (master != 0)
            (void)trades(&world, 0, IPC_SIDE_SELL, master);
        assert_int_equal(held(&world, 0), 0);
        close_world(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sold_is_not_sold_again),
        cmocka_unit_test(parts_are_shares_of_the_copy),
        cmocka_unit_test(all_sold_is_no_position),
        cmocka_unit_test(his_own_comes_first),
        cmocka_unit_test(what_he_buys_back_is_found),
        cmocka_unit_test(shorts_are_the_mirror),
        cmocka_unit_test(a_reversal_opens_all_the_same),
        cmocka_unit_test(fills_are_cumulative),
        cmocka_unit_test(the_first_book_is_the_base),
        cmocka_unit_test(another_product_is_another_position),
        cmocka_unit_test(subscriptions_share_an_account),
        cmocka_unit_test(queued_closes_are_clamped),
        cmocka_unit_test(a_resting_stop_follows),
        cmocka_unit_test(closes_never_exceed_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
