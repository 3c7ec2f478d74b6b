#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/engine/core/core_world.h"

#include <string.h>

/* Answers, and what may be sent again (ORDER-SAFETY 3.3). */

#define E8(units) ((int64_t)(units)*LS_E8)

static void place(struct world *world, uint32_t followers)
{
    world_open(world, followers);
    struct ipc_event event = world_order(world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(world, &event);
    (void)world_waves(world);
}

static void state_is(const struct world *world, uint32_t slot, enum eng_state expected)
{
    struct eng_child_view view = world_child(world, slot);
    if (view.state != expected)
        fail_msg("slot %u is %s, expected %s", slot, eng_state_name((enum eng_state)view.state),
            eng_state_name(expected));
}

static void accepted_and_refused_are_final_words(void **state)
{
    (void)state;
    struct world world;
    place(&world, 1);
    world_ack(&world, &world.commands[0]);
    state_is(&world, 0, ENG_STATE_ACKED);
    assert_string_equal(world_child(&world, 0).broker_order_id, "B0");
    world_close(&world);

    place(&world, 1);
    world_reply(&world, &world.commands[0], IPC_OUTCOME_REJECTED, IPC_EVIDENCE_REPLY, NULL);
    state_is(&world, 0, ENG_STATE_REJECTED);
    assert_int_equal(world_child(&world, 0).reason, IPC_REASON_BROKER_REJECT);
    world.now_mono_ns += LS_NS_PER_S;
    assert_int_equal(world_release(&world), 0);
    world_check(&world);
    world_close(&world);
}

static void proof_of_not_being_sent_allows_one_more(void **state)
{
    (void)state;
    static const struct {
        enum ipc_outcome_class outcome;
        enum ipc_evidence evidence;
        int64_t back_off_ns;
        enum ipc_reason end;
    } rows[] = {
        {IPC_OUTCOME_NOT_SENT, IPC_EVIDENCE_GOAWAY, 20 * LS_NS_PER_MS, IPC_REASON_NO_CONNECTION},
        {IPC_OUTCOME_LIMITED, IPC_EVIDENCE_REPLY, 1100 * LS_NS_PER_MS, IPC_REASON_RATE_BUDGET},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct world world;
        place(&world, 1);
        world_reply(&world, &world.commands[0], rows[i].outcome, rows[i].evidence, NULL);
        state_is(&world, 0, ENG_STATE_NOT_SENT);
        world.now_mono_ns += rows[i].back_off_ns - 1;
        assert_int_equal(world_release(&world), 0);
        world.now_mono_ns += 1;
        assert_int_equal(world_release(&world), 1);
        assert_memory_equal(world.commands[1].tag, world.commands[0].tag, IPC_TAG_BYTES);
        assert_int_equal(world.commands[1].request_no, 2);
        state_is(&world, 0, ENG_STATE_SENDING);
        world_reply(&world, &world.commands[1], rows[i].outcome, rows[i].evidence, NULL);
        world.now_mono_ns += 3 * LS_NS_PER_S;
        assert_int_equal(world_release(&world), 0); /* a place is sent at most twice */
        state_is(&world, 0, ENG_STATE_SKIPPED);
        assert_int_equal(world_child(&world, 0).reason, rows[i].end);
        world_check(&world);
        world_close(&world);
    }
}

static void a_second_attempt_only_while_fresh(void **state)
{
    (void)state;
    struct world world;
    place(&world, 1);
    world_reply(&world, &world.commands[0], IPC_OUTCOME_NOT_SENT, IPC_EVIDENCE_GOAWAY, NULL);
    world.now_mono_ns += 5 * LS_NS_PER_S + 1;
    assert_int_equal(world_release(&world), 0);
    state_is(&world, 0, ENG_STATE_SKIPPED);
    assert_int_equal(world_child(&world, 0).reason, IPC_REASON_STALE_EVENT);
    world_check(&world);
    world_close(&world);
}

/* Bytes that never left are no attempt, however often. */
static void no_bytes_is_no_attempt(void **state)
{
    (void)state;
    struct world world;
    place(&world, 1);
    for (uint32_t i = 0; i < 6; i++) {
        world_reply(&world, &world.commands[i], IPC_OUTCOME_NOT_SENT, IPC_EVIDENCE_NO_BYTES, NULL);
        world.now_mono_ns += (20 << i) * LS_NS_PER_MS;
        assert_int_equal(world_release(&world), 1);
    }
    world_ack(&world, &world.commands[6]);
    state_is(&world, 0, ENG_STATE_ACKED);
    world_check(&world);
    world_close(&world);
}

static void a_refused_token_pauses_the_account(void **state)
{
    (void)state;
    struct world world;
    place(&world, 2);
    uint32_t first = world.commands[0].slot;
    world_reply(&world, &world.commands[0], IPC_OUTCOME_AUTH, IPC_EVIDENCE_REPLY, NULL);
    world.now_mono_ns += LS_NS_PER_S;
    assert_int_equal(world_release(&world), 0);
    struct ipc_event second = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &second);
    assert_int_equal(world_waves(&world), 1); /* the other follower */
    assert_int_equal(world_last_fact(&world, first).reason, IPC_REASON_SESSION_EXPIRED);

    world_adopt(&world); /* a new generation with the same token changes nothing */
    assert_int_equal(world_release(&world), 0);
    world.accounts[WORLD_MASTERS + first].token_version++;
    world_adopt(&world);
    assert_int_equal(world_release(&world), 1); /* the second attempt, while fresh */
    world_check(&world);
    world_close(&world);
}

static void unknown_counts_and_shuts_the_instrument(void **state)
{
    (void)state;
    struct world world;
    place(&world, 1);
    world.followers[0].max_position_e8 = E8(12);
    world_adopt(&world);
    world_reply(&world, &world.commands[0], IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_TIMEOUT, NULL);
    state_is(&world, 0, ENG_STATE_UNKNOWN);
    world.now_mono_ns += LS_NS_PER_S;
    assert_int_equal(world_release(&world), 0); /* never blindly again */

    struct ipc_event same = world_order(&world, IPC_SIDE_BUY, 2, E8(100));
    (void)world_event(&world, &same);
    assert_int_equal(world_waves(&world), 0);
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_UNKNOWN_PENDING);
    same = world_order(&world, IPC_SIDE_BUY, 2, E8(100));
    same.product = IPC_PRODUCT_CNC; /* the instrument, whatever the product */
    (void)world_event(&world, &same);
    assert_int_equal(world_waves(&world), 0);
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_UNKNOWN_PENDING);
    struct ipc_event other = world_order(&world, IPC_SIDE_BUY, 30, E8(100));
    other.instrument = 3;
    world.followers[0].max_position_e8 = 0;
    world_adopt(&world);
    (void)world_event(&world, &other);
    assert_int_equal(world_waves(&world), 1);

    /* a late reply is always applied; what it was is open again */
    world_ack(&world, &world.commands[0]);
    assert_int_equal(eng_core_counters(world.core)->late_replies, 1);
    struct eng_child_view view;
    assert_true(eng_core_child(world.core, 0, &view));
    assert_int_equal(view.state, ENG_STATE_ACKED);
    same = world_order(&world, IPC_SIDE_BUY, 2, E8(100));
    (void)world_event(&world, &same);
    assert_int_equal(world_waves(&world), 1);
    world_check(&world);
    world_close(&world);
}

/* UNKNOWN counts as filled for limits. */
static void unknown_fills_the_position_cap(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world.followers[0].max_position_e8 = E8(15);
    world_adopt(&world);
    struct ipc_event first = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &first);
    (void)world_waves(&world);
    struct ipc_event second = world_order(&world, IPC_SIDE_BUY, 10, E8(99));
    (void)world_event(&world, &second);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[1].qty_e8, E8(5));
    world_reply(&world, &world.commands[0], IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_RESET, NULL);
    world_reply(&world, &world.commands[1], IPC_OUTCOME_REJECTED, IPC_EVIDENCE_REPLY, NULL);
    (void)world_update(&world, 0, IPC_STATUS_FILLED, 10, E8(100)); /* found in the feed */
    state_is(&world, 0, ENG_STATE_REJECTED);
    assert_int_equal(eng_core_copied_position(world.core, 100, 1, IPC_PRODUCT_MIS, NULL), E8(10));
    struct ipc_event third = world_order(&world, IPC_SIDE_BUY, 10, E8(99));
    (void)world_event(&world, &third);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[2].qty_e8, E8(5));
    world_check(&world);
    world_close(&world);
}

static void ghosts_are_seen_and_told(void **state)
{
    (void)state;
    struct world world;
    place(&world, 1);
    world_reply(&world, &world.commands[0], IPC_OUTCOME_REJECTED, IPC_EVIDENCE_REPLY, NULL);
    struct ipc_outcome outcome = {
        .outcome = IPC_OUTCOME_ACKED, .evidence = IPC_EVIDENCE_REPLY, .broker_order_id = "B0"};
    struct ipc_fact_reply fact;
    struct ipc_fact_alarm alarm;
    bool has_alarm;
    assert_int_equal(eng_decide_reply(world.core, 0, 1, IPC_ACTION_PLACE, &outcome, 1, 2, &fact,
                         &alarm, &has_alarm),
        IPC_OK);
    assert_true(has_alarm);
    assert_int_equal(alarm.alarm, IPC_ALARM_GHOST);
    assert_memory_equal(alarm.tag, world.commands[0].tag, IPC_TAG_BYTES);
    assert_int_equal(eng_decide_reply(world.core, 77, 1, IPC_ACTION_PLACE, &outcome, 1, 2, &fact,
                         &alarm, &has_alarm),
        IPC_NOT_FOUND);
    assert_int_equal(world_update(&world, 0, IPC_STATUS_FILLED, 10, E8(100)), 2); /* and an alarm */
    state_is(&world, 0, ENG_STATE_FILLED);
    assert_int_equal(eng_core_counters(world.core)->ghosts, 1);
    assert_int_equal(eng_core_copied_position(world.core, 100, 1, IPC_PRODUCT_MIS, NULL), E8(10));
    world_check(&world);
    world_close(&world);
}

static void updates_find_their_child_by_tag_or_id(void **state)
{
    (void)state;
    struct world world;
    place(&world, 2);
    world_ack(&world, &world.commands[0]);
    struct ipc_event event = {.kind = IPC_EVENT_ORDER,
        .side = IPC_SIDE_BUY,
        .type = IPC_TYPE_LIMIT,
        .product = IPC_PRODUCT_MIS,
        .validity = IPC_VALIDITY_DAY,
        .status = IPC_STATUS_OPEN,
        .account = WORLD_MASTERS + 1 + world.commands[0].slot,
        .instrument = 1,
        .qty_e8 = E8(10),
        .price_e8 = E8(100),
        .filled_qty_e8 = E8(3),
        .average_price_e8 = E8(100),
        .order_key = {{5, 5}}};
    memcpy(event.broker_order_id, "B0", 2); /* no tag: an API that does not echo it */
    assert_int_equal(world_event(&world, &event), 1);
    assert_int_equal(world_child(&world, world.commands[0].slot).filled_qty_e8, E8(3));
    assert_int_equal(world_event(&world, &event), 0); /* the same again */
    event.filled_qty_e8 = E8(2);                      /* older news */
    assert_int_equal(world_event(&world, &event), 0);
    event.filled_qty_e8 = E8(9);
    event.account++; /* somebody else's order of that number: what he traded by hand */
    assert_int_equal(world_event(&world, &event), 1);
    memcpy(event.broker_order_id, "XX", 2);
    assert_int_equal(world_event(&world, &event), 0); /* booked already */
    assert_int_equal(world_child(&world, world.commands[0].slot).filled_qty_e8, E8(3));
    world_check(&world);
    world_close(&world);
}

static void a_modify_without_answer_is_read_not_repeated(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &event);
    (void)world_waves(&world);
    world_ack(&world, &world.commands[0]);
    event.version = 0;
    event.price_e8 = E8(101);
    (void)world_event(&world, &event);
    (void)world_waves(&world);
    world_reply(&world, &world.commands[1], IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_TIMEOUT, NULL);
    event.version = 0;
    event.price_e8 = E8(102);
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 0);
    world.now_mono_ns += LS_NS_PER_S;
    (void)world_update(
        &world, 0, IPC_STATUS_OPEN, 0, 0); /* the order is read: its terms are known */
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[2].action, IPC_ACTION_MODIFY);
    assert_int_equal(world.commands[2].price_e8, E8(102));
    world_check(&world);
    world_close(&world);
}

static void a_cancel_is_repeated_until_the_end_is_seen(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &event);
    (void)world_waves(&world);
    world_ack(&world, &world.commands[0]);
    event.version = 0;
    event.status = IPC_STATUS_CANCELLED;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 1);
    for (uint32_t i = 1; i <= 4; i++) {
        assert_int_equal(world.commands[i].action, IPC_ACTION_CANCEL);
        world_reply(&world, &world.commands[i], IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_TIMEOUT, NULL);
        assert_int_equal(world_release(&world), 0);
        world.now_mono_ns += 30 * LS_NS_PER_S;
        assert_int_equal(world_release(&world), 1);
    }
    assert_int_equal(eng_core_counters(world.core)->acts_open, 1);
    (void)world_update(&world, 0, IPC_STATUS_CANCELLED, 0, 0);
    world_reply(&world, &world.commands[5], IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_TIMEOUT, NULL);
    world.now_mono_ns += 60 * LS_NS_PER_S;
    assert_int_equal(world_release(&world), 0);
    assert_int_equal(eng_core_counters(world.core)->acts_open, 0);
    world_check(&world);
    world_close(&world);
}

static void foreign_bytes_are_refused_and_change_nothing(void **state)
{
    (void)state;
    struct world world;
    place(&world, 2);
    uint64_t before = eng_core_hash(world.core);
    struct {
        struct ipc_fact_batch batch;
        struct ipc_fact_child child;
    } batch = {0};
    struct ipc_fact_reply reply = {.request_no = 1, .action = IPC_ACTION_PLACE};
    struct ipc_fact_release release = {.kind = IPC_CHILD_PLACE, .qty_e8 = E8(1)};
    memcpy(reply.tag, world.commands[0].tag, sizeof reply.tag);
    memcpy(release.tag, world.commands[0].tag, sizeof release.tag); /* it is not queued */
    struct eng_child_view view = world_child(&world, 0);
    batch.batch = (struct ipc_fact_batch){.wave = 0,
        .order_key = view.order_key,
        .side = IPC_SIDE_BUY,
        .type = IPC_TYPE_LIMIT,
        .product = IPC_PRODUCT_MIS,
        .validity = IPC_VALIDITY_DAY,
        .child_count = 1};
    /* a second place of a child that has left */
    batch.child = (struct ipc_fact_child){
        .follower_no = 100, .kind = IPC_CHILD_PLACE, .qty_e8 = E8(10), .incarnation = 1};
    struct {
        enum ipc_fact_type type;
        const void *payload;
        uint32_t bytes, count;
    } frames[] = {
        {IPC_FACT_BATCH, &batch, sizeof batch, 1},
        {IPC_FACT_BATCH, &batch, sizeof batch - 8, 1},
        {IPC_FACT_RELEASE, &release, sizeof release, 1},
        {IPC_FACT_RELEASE, &release, sizeof release, 2},
        {IPC_FACT_REPLY, &reply, sizeof reply, 1}, /* outcome 0 */
        {IPC_FACT_EVENT, &batch, sizeof(struct ipc_fact_event) - 1, 1},
        {IPC_FACT_BOOK, &reply, sizeof(struct ipc_fact_book) + 1, 1},
        {(enum ipc_fact_type)77, &reply, sizeof reply, 1},
        {IPC_FACT_ADOPT, NULL, 0, 0},
    };
    for (size_t i = 0; i < LS_COUNT_OF(frames); i++) {
        struct eng_frame frame = {.type = frames[i].type,
            .payload = frames[i].payload,
            .payload_bytes = frames[i].bytes,
            .count = frames[i].count,
            .lsn = 999};
        assert_int_equal(eng_apply(world.core, &frame), IPC_BAD_INPUT);
        assert_true(eng_core_hash(world.core) == before);
    }
    world_close(&world);
}

static uint32_t alarms(const struct world *world, enum ipc_alarm kind)
{
    uint32_t count = 0;
    for (const struct world_frame *at = world->first; at != NULL; at = at->next) {
        if (at->frame.type == IPC_FACT_ALARM &&
            ((const struct ipc_fact_alarm *)at->frame.payload)->alarm == (uint32_t)kind)
            count++;
    }
    return count;
}

/* Two orders at the broker with the tag of one child: a person is called, and what happens to the
 * second is not taken for the first. */
static void a_second_order_of_one_tag_is_an_alarm(void **state)
{
    (void)state;
    struct world world;
    place(&world, 1);
    world_ack(&world, &world.commands[0]); /* id B0 */
    struct ipc_event twin = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    twin.account = world.followers[0].account;
    twin.flags = IPC_EVENT_OWN_TAG;
    memcpy(twin.client_tag, world.commands[0].tag, sizeof twin.client_tag);
    memset(twin.broker_order_id, 0, sizeof twin.broker_order_id);
    memcpy(twin.broker_order_id, "OTHER7", 6);
    twin.status = IPC_STATUS_CANCELLED;
    (void)world_event(&world, &twin);
    assert_int_equal(alarms(&world, IPC_ALARM_GHOST), 1);
    struct eng_child_view first;
    assert_true(eng_core_child(world.core, world.commands[0].child, &first));
    assert_int_equal(first.state, ENG_STATE_ACKED); /* the first still works */
    state_is(&world, 0, ENG_STATE_CANCELLED);       /* the twin is a child of its own */
    (void)world_update(&world, 0, IPC_STATUS_FILLED, 10, E8(100));
    assert_true(eng_core_child(world.core, world.commands[0].child, &first));
    assert_int_equal(first.state, ENG_STATE_FILLED);
    assert_int_equal(alarms(&world, IPC_ALARM_GHOST), 1);
    world_check(&world);
    world_close(&world);
}

/* A reply that names another order than the book has shown for the tag: the same. */
static void a_reply_of_another_order_is_an_alarm(void **state)
{
    (void)state;
    struct world world;
    place(&world, 1);
    (void)world_update(&world, 0, IPC_STATUS_OPEN, 0, 0); /* id B0 */
    world_reply(&world, &world.commands[0], IPC_OUTCOME_ACKED, IPC_EVIDENCE_REPLY, "OTHER7");
    assert_int_equal(alarms(&world, IPC_ALARM_GHOST), 1);
    assert_string_equal(world_child(&world, 0).broker_order_id, "B0");
    world_check(&world);
    world_close(&world);
}

/* The refusal of a token that was renewed while the request was under way says nothing about the
 * new one: exits go on. */
static void a_late_refusal_does_not_pause_a_new_token(void **state)
{
    (void)state;
    struct world world;
    place(&world, 1);
    world.accounts[world.followers[0].account - 1].token_version++;
    world_adopt(&world);
    world_reply(&world, &world.commands[0], IPC_OUTCOME_AUTH, IPC_EVIDENCE_REPLY, NULL);
    world.now_mono_ns += 20 * LS_NS_PER_MS;
    assert_int_equal(world_release(&world), 1); /* its second attempt, with the new token */
    world_reply(&world, &world.commands[1], IPC_OUTCOME_AUTH, IPC_EVIDENCE_REPLY, NULL);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 0); /* now it is this token that is refused */
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_SESSION_EXPIRED);
    world_check(&world);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_order_of_one_tag_is_an_alarm),
        cmocka_unit_test(a_reply_of_another_order_is_an_alarm),
        cmocka_unit_test(a_late_refusal_does_not_pause_a_new_token),
        cmocka_unit_test(accepted_and_refused_are_final_words),
        cmocka_unit_test(proof_of_not_being_sent_allows_one_more),
        cmocka_unit_test(a_second_attempt_only_while_fresh),
        cmocka_unit_test(no_bytes_is_no_attempt),
        cmocka_unit_test(a_refused_token_pauses_the_account),
        cmocka_unit_test(unknown_counts_and_shuts_the_instrument),
        cmocka_unit_test(unknown_fills_the_position_cap),
        cmocka_unit_test(ghosts_are_seen_and_told),
        cmocka_unit_test(updates_find_their_child_by_tag_or_id),
        cmocka_unit_test(a_modify_without_answer_is_read_not_repeated),
        cmocka_unit_test(a_cancel_is_repeated_until_the_end_is_seen),
        cmocka_unit_test(foreign_bytes_are_refused_and_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
