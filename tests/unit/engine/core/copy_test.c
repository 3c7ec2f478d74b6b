#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/engine/core/core_world.h"

#include <string.h>

/* The life of copies on order: new, amended, cancelled, in any order, with answers that are late.
 */

#define E8(units) ((int64_t)(units)*LS_E8)

static void state_is(const struct world *world, uint32_t slot, enum eng_state expected)
{
    struct eng_child_view view = world_child(world, slot);
    if (view.state != expected)
        fail_msg("slot %u is %s, expected %s", slot, eng_state_name((enum eng_state)view.state),
            eng_state_name(expected));
}

static void fact_is(
    const struct world *world, uint32_t slot, enum ipc_child_kind kind, enum ipc_reason reason)
{
    struct ipc_fact_child fact = world_last_fact(world, slot);
    if (fact.kind != kind || fact.reason != reason)
        fail_msg("slot %u: %s %s, expected %s %s", slot,
            ipc_child_kind_name((enum ipc_child_kind)fact.kind),
            ipc_reason_name((enum ipc_reason)fact.reason), ipc_child_kind_name(kind),
            ipc_reason_name(reason));
}

static void wave_ramps_and_rotates(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 64);
    uint32_t starts[8];
    for (int order = 0; order < 8; order++) {
        struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
        assert_int_equal(world_event(&world, &event), 1);
        static const uint32_t sizes[] = {4, 8, 16, 32, 4};
        uint64_t seen = 0;
        for (size_t i = 0; i < LS_COUNT_OF(sizes); i++) {
            struct eng_batch batch;
            assert_true(eng_wave_next(world.core, &batch));
            assert_int_equal(batch.slot_count, sizes[i]);
            if (i == 0)
                starts[order] = batch.slots[0];
            for (uint32_t s = 0; s < batch.slot_count; s++) {
                assert_false(seen >> batch.slots[s] & 1);
                seen |= UINT64_C(1) << batch.slots[s];
            }
            assert_true(world_wave_step(&world));
        }
        assert_true(seen == UINT64_MAX);
        assert_false(world_wave_step(&world));
    }
    int moved = 0;
    for (int order = 1; order < 8; order++)
        moved += starts[order] != starts[order - 1];
    assert_true(moved >= 5);
    assert_int_equal(world.command_count, 8 * 64);
    world_check(&world);
    world_close(&world);
}

static void duplicates_change_nothing(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 3);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    assert_int_equal(world_event(&world, &event), 1);
    assert_int_equal(world_event(&world, &event), 0);
    assert_int_equal(world_waves(&world), 3);
    event.received_mono_ns += LS_NS_PER_S; /* read again by a rescan */
    assert_int_equal(world_event(&world, &event), 0);
    assert_int_equal(world_waves(&world), 0);
    struct eng_event_facts facts;
    eng_step_event(world.core, &event, 0, 0, world.now_mono_ns, &facts);
    assert_int_equal(facts.why, IPC_REASON_DUPLICATE_EVENT);
    world_check(&world);
    world_close(&world);
}

static void amendments_follow_and_coalesce(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world.followers[0].ratio_e8 = LS_E8 / 2;
    world_adopt(&world);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 100, E8(50));
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 1);

    /* 25 amendments while the place is unanswered: one modify, to the newest terms */
    for (int i = 1; i <= 25; i++) {
        event.version = 0;
        event.price_e8 = E8(50 + i);
        event.qty_e8 = E8(100 + i);
        assert_int_equal(world_event(&world, &event), 1);
        assert_int_equal(world_waves(&world), 0);
        fact_is(&world, 0, IPC_CHILD_WAIT, IPC_REASON_NONE);
    }
    world_ack(&world, &world.commands[0]);
    assert_int_equal(world_waves(&world), 1);
    struct ipc_command *modify = &world.commands[1];
    assert_int_equal(modify->action, IPC_ACTION_MODIFY);
    assert_int_equal(modify->price_e8, E8(75));
    assert_int_equal(modify->qty_e8, E8(62)); /* 125 x 0.5, to whole units */
    assert_string_equal(modify->broker_order_id, "B0");
    assert_int_equal(modify->request_no, 2);
    assert_memory_equal(modify->tag, world.commands[0].tag, IPC_TAG_BYTES);

    /* refused: the terms that the broker has stand, and the next amendment is made from them */
    world_reply(&world, modify, IPC_OUTCOME_REJECTED, IPC_EVIDENCE_REPLY, NULL);
    assert_int_equal(world_child(&world, 0).price_e8, E8(50));
    event.version = 0;
    event.price_e8 = E8(80);
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 1);
    world_ack(&world, &world.commands[2]);
    assert_int_equal(world_child(&world, 0).price_e8, E8(80));

    /* the same terms again, by a newer version: nothing to do */
    event.version = 0;
    event.validity = IPC_VALIDITY_IOC;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 0);
    fact_is(&world, 0, IPC_CHILD_SKIP, IPC_REASON_AT_TARGET);
    const struct eng_core_counters *counters = eng_core_counters(world.core);
    assert_int_equal(counters->acts, 26);
    assert_int_equal(counters->acts_open, 0);
    world_check(&world);
    world_close(&world);
}

static void new_total_below_the_fill_cancels_the_rest(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 100, E8(50));
    (void)world_event(&world, &event);
    (void)world_waves(&world);
    world_ack(&world, &world.commands[0]);
    (void)world_update(&world, 0, IPC_STATUS_OPEN, 60, E8(50));
    state_is(&world, 0, ENG_STATE_PARTIAL);
    event.version = 0;
    event.qty_e8 = E8(40);
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[1].action, IPC_ACTION_CANCEL);
    world_check(&world);
    world_close(&world);
}

static void cancels_follow(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 3);
    world.cannot_send[2] = 1;
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 2);
    fact_is(&world, 2, IPC_CHILD_PLACE_QUEUED, IPC_REASON_NONE);
    uint32_t acked = world.commands[0].slot == 0 ? 0 : 1;
    world_ack(&world, &world.commands[acked]); /* slot 0 answers, slot 1 has not */
    event.version = 0;
    event.status = IPC_STATUS_CANCELLED;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[2].action, IPC_ACTION_CANCEL);
    assert_int_equal(world.commands[2].slot, 0);
    fact_is(&world, 1, IPC_CHILD_WAIT, IPC_REASON_NONE);
    fact_is(&world, 2, IPC_CHILD_SKIP, IPC_REASON_SUPERSEDED); /* it never left */
    state_is(&world, 2, ENG_STATE_SKIPPED);
    assert_int_equal(world_release(&world), 0);

    world_ack(&world, &world.commands[1 - acked]);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[3].action, IPC_ACTION_CANCEL);
    assert_int_equal(world.commands[3].slot, 1);
    world_ack(&world, &world.commands[2]);
    world_ack(&world, &world.commands[3]);
    (void)world_update(&world, world.commands[2].child, IPC_STATUS_CANCELLED, 0, 0);
    (void)world_update(
        &world, world.commands[3].child, IPC_STATUS_FILLED, 10, E8(100)); /* lost the race */
    state_is(&world, 0, ENG_STATE_CANCELLED);
    state_is(&world, 1, ENG_STATE_FILLED);
    assert_int_equal(eng_core_copied_position(world.core, 101, 1, IPC_PRODUCT_MIS, NULL), E8(10));
    assert_int_equal(eng_core_counters(world.core)->acts_open, 0);

    /* whatever is delivered afterwards, nothing is placed again */
    event.version = 0;
    event.status = IPC_STATUS_OPEN;
    event.qty_e8 = E8(20);
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 0);
    world_check(&world);
    world_close(&world);
}

/* The master changed its mind while a place was unanswered, and the place turns out unsent: what
 * goes again is what the master wants now. */
static void an_unsent_place_follows_the_newest_word(void **state)
{
    (void)state;
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        struct world world;
        world_open(&world, 1);
        struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
        (void)world_event(&world, &event);
        (void)world_waves(&world);
        event.version = 0;
        event.status = cancelled ? IPC_STATUS_CANCELLED : IPC_STATUS_OPEN;
        event.price_e8 = E8(101);
        (void)world_event(&world, &event);
        assert_int_equal(world_waves(&world), 0);
        fact_is(&world, 0, IPC_CHILD_WAIT, IPC_REASON_NONE);
        world_reply(&world, &world.commands[0], IPC_OUTCOME_NOT_SENT, IPC_EVIDENCE_NO_BYTES, NULL);
        assert_int_equal(world_waves(&world), 0);
        world.now_mono_ns += LS_NS_PER_S;
        assert_int_equal(world_release(&world), cancelled ? 0 : 1);
        if (cancelled)
            state_is(&world, 0, ENG_STATE_SKIPPED);
        else
            assert_int_equal(world.commands[1].price_e8, E8(101));
        if (!cancelled)
            world_ack(&world, &world.commands[1]);
        assert_int_equal(world_waves(&world), 0);
        assert_int_equal(eng_core_counters(world.core)->acts_open, 0);
        world_check(&world);
        world_close(&world);
    }
}

/* An acceptance without an order id can be neither changed nor cancelled until the id is seen. */
static void without_an_id_it_waits_for_the_feed(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &event);
    (void)world_waves(&world);
    world_reply(&world, &world.commands[0], IPC_OUTCOME_ACKED, IPC_EVIDENCE_REPLY, NULL);
    event.version = 0;
    event.price_e8 = E8(101);
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 0);
    fact_is(&world, 0, IPC_CHILD_WAIT, IPC_REASON_NONE);
    (void)world_update(&world, 0, IPC_STATUS_OPEN, 0, 0);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[1].action, IPC_ACTION_MODIFY);
    assert_string_equal(world.commands[1].broker_order_id, "B0");
    world_check(&world);
    world_close(&world);
}

static void a_cancel_before_its_new_is_a_tombstone(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    event.version = 10;
    event.status = IPC_STATUS_CANCELLED;
    assert_int_equal(world_event(&world, &event), 1);
    assert_int_equal(world_waves(&world), 0);
    event.version = 5;
    event.status = IPC_STATUS_OPEN;
    (void)world_event(&world, &event);
    event.version = 11; /* even a newer "open" of an order that ended */
    event.price_e8 = E8(101);
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 0);
    assert_int_equal(eng_core_child_count(world.core), 0);
    world_check(&world);
    world_close(&world);
}

static void unreached_followers_are_decided_from_the_newest_state(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 20);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &event);
    assert_true(world_wave_step(&world)); /* four of twenty */
    assert_int_equal(world.command_count, 4);
    event.version = 0;
    event.price_e8 = E8(99);
    (void)world_event(&world, &event);
    (void)world_waves(&world);
    /* four wait with the old price, sixteen were placed once with the new one */
    assert_int_equal(world.command_count, 20);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(world.commands[i].price_e8, i < 4 ? E8(100) : E8(99));

    struct ipc_event second = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &second);
    assert_true(world_wave_step(&world));
    second.version = 0;
    second.status = IPC_STATUS_CANCELLED;
    (void)world_event(&world, &second);
    uint32_t before = world.command_count;
    (void)world_waves(&world);
    assert_int_equal(world.command_count, before); /* four wait for their answer to cancel */
    const struct eng_core_counters *counters = eng_core_counters(world.core);
    assert_int_equal(counters->skips_by_reason[IPC_REASON_SUPERSEDED], 16);
    assert_int_equal(counters->skips_by_reason[IPC_REASON_NO_COPY], 16);
    world_check(&world);
    world_close(&world);
}

/* What the master has closed before the wave came to a follower is not opened there any more. */
static void closed_meanwhile_is_superseded(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 20);
    struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 10, 0);
    entry.status = IPC_STATUS_FILLED;
    entry.filled_qty_e8 = E8(10);
    entry.average_price_e8 = E8(100);
    (void)world_event(&world, &entry);
    assert_true(world_wave_step(&world));
    struct ipc_event leave = world_order(&world, IPC_SIDE_SELL, 10, 0);
    leave.status = IPC_STATUS_FILLED;
    leave.filled_qty_e8 = E8(10);
    (void)world_event(&world, &leave);
    (void)world_waves(&world);
    const struct eng_core_counters *counters = eng_core_counters(world.core);
    assert_int_equal(counters->skips_by_reason[IPC_REASON_SUPERSEDED], 16);
    assert_int_equal(counters->skips_by_reason[IPC_REASON_NO_POSITION], 16);
    world_check(&world);
    world_close(&world);
}

static void exits_go_first_but_never_overtake(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 40);
    world.masters[0] = (struct ipc_row_master){.account = 1, .first = 0, .count = 20};
    world.masters[1] = (struct ipc_row_master){.account = 2, .first = 20, .count = 20};
    for (uint32_t i = 20; i < 40; i++)
        world.followers[i].master = 2;
    world_adopt(&world);
    struct ipc_event held = world_order(&world, IPC_SIDE_BUY, 10, E8(100)); /* master 2 holds 10 */
    held.account = 2;
    held.status = IPC_STATUS_FILLED;
    held.filled_qty_e8 = E8(10);
    (void)world_event(&world, &held);
    (void)world_waves(&world);

    struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &entry);
    struct ipc_event second = world_order(&world, IPC_SIDE_BUY, 10, E8(90));
    second.account = 2;
    (void)world_event(&world, &second);
    struct ipc_event leave = world_order(&world, IPC_SIDE_SELL, 10, E8(110));
    leave.account = 2;
    (void)world_event(&world, &leave);

    /* the exit waits only for the wave before it of its own master, follower by follower */
    struct eng_batch batch;
    uint32_t reached = 0, exits = 0;
    uint64_t entry_seen = 0;
    while (eng_wave_next(world.core, &batch)) {
        for (uint32_t i = 0; i < batch.slot_count; i++) {
            if (batch.master == 2 && !batch.is_exit)
                entry_seen |= UINT64_C(1) << batch.slots[i];
            if (batch.is_exit)
                assert_true(entry_seen >> batch.slots[i] & 1);
        }
        exits += batch.is_exit ? batch.slot_count : 0;
        reached += batch.slot_count;
        if (exits == 4 && batch.is_exit)
            assert_true(reached < 60); /* long before the others were through */
        assert_true(world_wave_step(&world));
    }
    assert_int_equal(exits, 20);
    world_check(&world);
    world_close(&world);
}

static void other_orders_of_ours_are_not_copied(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2);
    world.accounts[0].roles = IPC_ROLE_MASTER | IPC_ROLE_FOLLOWER;
    world_adopt(&world);
    struct eng_event_facts facts;
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    event.version = 1;
    event.flags = IPC_EVENT_OWN_TAG;
    memcpy(event.client_tag, "L00000000100002W0000", 20);
    event.client_tag[19] = '\0';
    eng_step_event(world.core, &event, 0, 0, world.now_mono_ns, &facts);
    assert_int_equal(facts.count, 0);
    assert_int_equal(facts.why, IPC_REASON_OWN_ORDER);
    event.flags = 0;
    memset(event.client_tag, 0, sizeof event.client_tag);
    event.source = IPC_SOURCE_API; /* of an account that also follows */
    eng_step_event(world.core, &event, 0, 0, world.now_mono_ns, &facts);
    assert_int_equal(facts.count, 0);
    world.accounts[0].flags = IPC_ACCOUNT_API_TRADER;
    eng_step_event(world.core, &event, 0, 0, world.now_mono_ns, &facts);
    assert_int_equal(facts.count, 1);
    event.flags = IPC_EVENT_OWN_TAG | IPC_EVENT_CHAINED;
    world.accounts[0].flags = IPC_ACCOUNT_CHAINING;
    eng_step_event(world.core, &event, 0, 0, world.now_mono_ns, &facts);
    assert_int_equal(facts.count, 1);
    world_close(&world);
}

static void the_first_book_is_history_and_a_later_one_a_gap(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2);
    struct ipc_event begin = {.kind = IPC_EVENT_BOOK_BEGIN, .account = 1};
    struct ipc_event end = {.kind = IPC_EVENT_BOOK_END, .account = 1, .book_order_count = 2};
    (void)world_event(&world, &begin);
    struct ipc_event old = world_order(&world, IPC_SIDE_BUY, 100, E8(100));
    old.status = IPC_STATUS_FILLED;
    old.filled_qty_e8 = E8(100);
    old.flags = IPC_EVENT_FROM_BOOK;
    (void)world_event(&world, &old);
    struct ipc_event working = world_order(&world, IPC_SIDE_BUY, 5, E8(90));
    working.flags = IPC_EVENT_FROM_BOOK;
    (void)world_event(&world, &working);
    (void)world_event(&world, &end);
    assert_int_equal(world_waves(&world), 0);
    assert_int_equal(eng_core_master_position(world.core, 1, 1, IPC_PRODUCT_MIS), E8(100));
    working.version = 0;
    working.price_e8 = E8(91); /* never copied, so there is nothing to amend */
    (void)world_event(&world, &working);
    assert_int_equal(world_waves(&world), 0);
    assert_int_equal(eng_core_counters(world.core)->expected, 0);

    /* after a restart of the feed: what is new in the book happened meanwhile */
    (void)world_event(&world, &begin);
    struct ipc_event missed = world_order(&world, IPC_SIDE_BUY, 5, E8(90));
    missed.flags = IPC_EVENT_FROM_BOOK;
    missed.feed_lag_ns = LS_NS_PER_S;
    (void)world_event(&world, &missed);
    struct ipc_event too_late = world_order(&world, IPC_SIDE_BUY, 5, E8(90));
    too_late.flags = IPC_EVENT_FROM_BOOK;
    too_late.feed_lag_ns = 60 * LS_NS_PER_S;
    (void)world_event(&world, &too_late);
    (void)world_event(&world, &end);
    assert_int_equal(world_waves(&world), 2);
    assert_int_equal(eng_core_counters(world.core)->skips_by_reason[IPC_REASON_STALE_EVENT], 2);
    world_check(&world);
    world_close(&world);
}

static void equal_tag_digits_refuse_entries_and_move_exits(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    struct ipc_event first = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    first.status = IPC_STATUS_FILLED;
    first.filled_qty_e8 = E8(10);
    (void)world_event(&world, &first);
    (void)world_waves(&world);
    world_ack(&world, &world.commands[0]);
    (void)world_update(&world, 0, IPC_STATUS_FILLED, 10, E8(100));

    struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    entry.order_digits = first.order_digits;
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 0);
    fact_is(&world, 0, IPC_CHILD_SKIP, IPC_REASON_TAG_COLLISION);

    struct ipc_event leave = world_order(&world, IPC_SIDE_SELL, 10, E8(100));
    leave.order_digits = first.order_digits;
    (void)world_event(&world, &leave);
    assert_int_equal(world_waves(&world), 1);
    assert_string_equal(world.commands[1].tag + 15, "0001");
    assert_int_equal(eng_core_find_tag(world.core, world.commands[1].tag), 1);
    assert_int_equal(eng_core_find_tag(world.core, world.commands[0].tag), 0);
    world_ack(&world, &world.commands[1]);
    world_check(&world);
    world_close(&world);
}

/* E26, E27: at the broker's limit it is cancelled, and when that is confirmed with what it filled,
 * only the difference is placed, with the newest terms. A cancel that lost to the fill places
 * nothing. */
static void beyond_the_modification_limit_it_is_replaced(void **state)
{
    (void)state;
    for (int64_t filled = 0; filled <= 10; filled += 5) {
        struct world world;
        world_open(&world, 1);
        world.policies[0].modifications_max = 2;
        world_adopt(&world);
        struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
        (void)world_event(&world, &event);
        (void)world_waves(&world);
        world_ack(&world, &world.commands[0]);
        for (int i = 1; i <= 4; i++) {
            event.version = 0;
            event.price_e8 = E8(100 + i);
            (void)world_event(&world, &event);
            uint32_t left = world_waves(&world);
            assert_int_equal(left, i <= 3 ? 1 : 0);
            if (left != 0 && i <= 2)
                world_ack(&world, &world.commands[world.command_count - 1]);
        }
        fact_is(&world, 0, IPC_CHILD_WAIT, IPC_REASON_NONE);
        assert_int_equal(world.commands[3].action, IPC_ACTION_CANCEL);
        world_ack(&world, &world.commands[3]);
        assert_int_equal(world_waves(&world), 0); /* its end has not been seen */
        (void)world_update(&world, 0, filled == 10 ? IPC_STATUS_FILLED : IPC_STATUS_CANCELLED,
            filled, E8(100));
        assert_int_equal(world_waves(&world), filled == 10 ? 0 : 1);
        if (filled != 10) {
            assert_int_equal(world.commands[4].action, IPC_ACTION_PLACE);
            assert_int_equal(world.commands[4].qty_e8, E8(10 - filled));
            assert_int_equal(world.commands[4].price_e8, E8(104));
            assert_true(memcmp(world.commands[4].tag, world.commands[0].tag, IPC_TAG_BYTES) != 0);
        } else {
            fact_is(&world, 0, IPC_CHILD_SKIP, IPC_REASON_CHILD_FILLED);
        }
        world_check(&world);
        world_restart(&world, true);
        world_check(&world);
        world_close(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wave_ramps_and_rotates),
        cmocka_unit_test(duplicates_change_nothing),
        cmocka_unit_test(amendments_follow_and_coalesce),
        cmocka_unit_test(new_total_below_the_fill_cancels_the_rest),
        cmocka_unit_test(cancels_follow),
        cmocka_unit_test(an_unsent_place_follows_the_newest_word),
        cmocka_unit_test(without_an_id_it_waits_for_the_feed),
        cmocka_unit_test(a_cancel_before_its_new_is_a_tombstone),
        cmocka_unit_test(unreached_followers_are_decided_from_the_newest_state),
        cmocka_unit_test(closed_meanwhile_is_superseded),
        cmocka_unit_test(exits_go_first_but_never_overtake),
        cmocka_unit_test(other_orders_of_ours_are_not_copied),
        cmocka_unit_test(the_first_book_is_history_and_a_later_one_a_gap),
        cmocka_unit_test(equal_tag_digits_refuse_entries_and_move_exits),
        cmocka_unit_test(beyond_the_modification_limit_it_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
