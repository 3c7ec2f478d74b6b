#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/core/breaker.h"
#include "tests/unit/engine/core/core_world.h"

#include <stdio.h>
#include <string.h>

/* Breakers: what trips them, whom they stop, that they hold through restarts, and who resets them.
 */

#define E8(units) ((int64_t)(units)*LS_E8)

static void open_with(
    struct world *world, uint32_t followers, const struct eng_controls_config *set)
{
    world_open(world, followers);
    world->config.controls = *set;
    world_restart(world, true); /* a core that was made with these settings */
}

/* Slots from `first` on are at broker 1. */
static void second_broker(struct world *world, uint32_t first, uint32_t followers)
{
    world->policies[1] = world->policies[0];
    for (uint32_t slot = first; slot < followers; slot++) {
        world->followers[slot].broker = 1;
        world->accounts[world->followers[slot].account - 1].broker = 1;
    }
    world_adopt(world);
}

/* Journals what is due. Returns the facts. */
static uint32_t tell_all(struct world *world, struct ipc_fact_guard *last)
{
    struct ipc_fact_guard fact;
    uint32_t count = 0;
    while (eng_breaker_next(world->core, world->now_mono_ns, &fact)) {
        world_apply(world, IPC_FACT_GUARD, &fact, sizeof fact, 1);
        *last = fact;
        count++;
    }
    return count;
}

/* A new order; every copy that leaves is answered like this. Returns how many left. */
static uint32_t trade(struct world *world, enum ipc_outcome_class outcome)
{
    struct ipc_event event = world_order(world, IPC_SIDE_BUY, 1, E8(100));
    (void)world_event(world, &event);
    uint32_t from = world->command_count;
    uint32_t left = world_waves(world);
    for (uint32_t i = from; i < from + left; i++) {
        if (outcome == IPC_OUTCOME_ACKED)
            world_ack(world, &world->commands[i]);
        else if (outcome != 0)
            world_reply(world, &world->commands[i], outcome, IPC_EVIDENCE_REPLY, NULL);
    }
    return left;
}

static void says(struct world *world, enum ipc_operator_act act, enum ipc_guard_scope scope,
    uint32_t account, uint32_t follower_no, uint32_t broker, uint32_t expected)
{
    struct ipc_event event = {.kind = IPC_EVENT_OPERATOR,
        .account = account,
        .side = (uint8_t)scope,
        .instrument = broker,
        .book_order_count = follower_no,
        .reserved = act,
        .received_mono_ns = world->now_mono_ns};
    snprintf(event.broker_order_id, sizeof event.broker_order_id, "anna");
    assert_int_equal(ipc_event_check(&event, NULL), IPC_OK);
    assert_int_equal(world_event(world, &event), expected);
}

/* --- accounts and brokers -----------------------------------------------------------------------
 */

static void refusals_in_a_row_stop_an_account(void **state)
{
    (void)state;
    struct world world;
    struct ipc_fact_guard fact;
    open_with(&world, 2, &(struct eng_controls_config){.reject_streak = 3});
    assert_int_equal(trade(&world, IPC_OUTCOME_REJECTED), 2);
    assert_int_equal(trade(&world, IPC_OUTCOME_REJECTED), 2);
    assert_int_equal(tell_all(&world, &fact), 0);
    assert_int_equal(trade(&world, IPC_OUTCOME_REJECTED), 2);
    /* It bars before anybody journaled it. */
    assert_int_equal(trade(&world, IPC_OUTCOME_REJECTED), 0);
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_BREAKER);
    assert_int_equal(tell_all(&world, &fact), 2);
    assert_int_equal(fact.act, IPC_GUARD_ACT_TRIP);
    assert_int_equal(fact.kind, IPC_GUARD_REJECT_STREAK);
    assert_int_equal(fact.scope, IPC_GUARD_SCOPE_ACCOUNT);
    assert_int_equal(fact.value, 3);
    assert_int_equal(fact.limit, 3);
    assert_int_equal(fact.generation, world.view.generation);
    assert_int_equal(trade(&world, IPC_OUTCOME_REJECTED), 0);
    world_restart(&world, true);
    assert_int_equal(trade(&world, IPC_OUTCOME_REJECTED), 0);
    /* One account's is reset; the other stays. */
    says(&world, IPC_OPERATOR_GUARD_RESET, IPC_GUARD_SCOPE_ACCOUNT, world.followers[0].account, 0,
        0, 1);
    assert_int_equal(trade(&world, IPC_OUTCOME_ACKED), 1);
    assert_int_equal(world_last_fact(&world, 1).reason, IPC_REASON_BREAKER);
    world_restart(&world, true);
    assert_int_equal(trade(&world, IPC_OUTCOME_ACKED), 1);
    world_restart(&world, false); /* another boot, too */
    assert_int_equal(eng_breaker_bar(world.core, 0, &world.followers[0]), IPC_REASON_NONE);
    assert_int_equal(eng_breaker_bar(world.core, 1, &world.followers[1]), IPC_REASON_BREAKER);
    world_check(&world);
    world_close(&world);
}

/* An acceptance ends the row, an acknowledgement that is refused behind the door does not. */
static void what_ends_the_row(void **state)
{
    (void)state;
    struct world world;
    struct ipc_fact_guard fact;
    open_with(&world, 1, &(struct eng_controls_config){.reject_streak = 3});
    (void)trade(&world, IPC_OUTCOME_REJECTED);
    (void)trade(&world, IPC_OUTCOME_REJECTED);
    (void)trade(&world, IPC_OUTCOME_ACKED);
    (void)world_update(
        &world, world.commands[world.command_count - 1].child, IPC_STATUS_OPEN, 0, 0);
    (void)trade(&world, IPC_OUTCOME_REJECTED);
    (void)trade(&world, IPC_OUTCOME_REJECTED);
    assert_int_equal(tell_all(&world, &fact), 0);
    (void)trade(&world, IPC_OUTCOME_ACKED);
    (void)world_update(
        &world, world.commands[world.command_count - 1].child, IPC_STATUS_REJECTED, 0, 0);
    assert_int_equal(tell_all(&world, &fact), 1);
    assert_int_equal(fact.value, 3);
    world_close(&world);
}

static void refusals_stop_a_broker(void **state)
{
    (void)state;
    struct world world;
    struct ipc_fact_guard fact;
    open_with(&world, 4, &(struct eng_controls_config){.broker_reject_streak = 4});
    second_broker(&world, 3, 4);
    assert_int_equal(trade(&world, IPC_OUTCOME_REJECTED), 4);
    assert_int_equal(trade(&world, IPC_OUTCOME_REJECTED), 4); /* broker 0 six, broker 1 two */
    assert_int_equal(tell_all(&world, &fact), 1);
    assert_int_equal(fact.scope, IPC_GUARD_SCOPE_BROKER);
    assert_int_equal(fact.broker, 0);
    assert_int_equal(trade(&world, IPC_OUTCOME_ACKED), 1);
    assert_int_equal(world_last_fact(&world, 2).reason, IPC_REASON_BREAKER);
    world_restart(&world, true);
    says(&world, IPC_OPERATOR_GUARD_RESET, IPC_GUARD_SCOPE_BROKER, 1, 0, 63, 1); /* not this one */
    assert_int_equal(trade(&world, IPC_OUTCOME_ACKED), 1);
    says(&world, IPC_OPERATOR_GUARD_RESET, IPC_GUARD_SCOPE_BROKER, 1, 0, 64, 0); /* there is none */
    says(&world, IPC_OPERATOR_GUARD_RESET, IPC_GUARD_SCOPE_BROKER, 1, 0, 0, 1);
    assert_int_equal(trade(&world, IPC_OUTCOME_ACKED), 4);
    world_check(&world);
    world_close(&world);
}

/* Unknown outcomes: of this minute and the one before; then they are forgotten. */
static void unknown_outcomes_stop_an_account(void **state)
{
    (void)state;
    struct world world;
    struct ipc_fact_guard fact;
    open_with(&world, 1, &(struct eng_controls_config){.unknown_per_minute = 3});
    world.now_mono_ns = 1200 * LS_NS_PER_S; /* a minute begins */
    for (uint32_t i = 0; i < 2; i++) {
        struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 1, E8(100));
        event.instrument = i == 0 ? 1 : 4;
        (void)world_event(&world, &event);
        assert_int_equal(world_waves(&world), 1);
        world_reply(&world, &world.commands[world.command_count - 1], IPC_OUTCOME_UNKNOWN,
            IPC_EVIDENCE_TIMEOUT, NULL);
    }
    world.now_mono_ns += 121 * LS_NS_PER_S; /* two minutes later they are no more counted */
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 30, E8(100));
    event.instrument = 3;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 1);
    uint32_t third = world.command_count - 1;
    world_reply(&world, &world.commands[third], IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_TIMEOUT, NULL);
    assert_int_equal(tell_all(&world, &fact), 0);
    event = world_order(&world, IPC_SIDE_BUY, 65, E8(100));
    event.instrument = 2;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 1);
    world.now_mono_ns += 58 * LS_NS_PER_S; /* the next minute */
    world_reply(
        &world, &world.commands[third + 1], IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_TIMEOUT, NULL);
    assert_int_equal(tell_all(&world, &fact), 0);
    world_close(&world);

    open_with(&world, 1, &(struct eng_controls_config){.unknown_per_minute = 2});
    for (uint32_t i = 0; i < 2; i++) {
        event = world_order(&world, IPC_SIDE_BUY, 1, E8(100));
        event.instrument = i == 0 ? 1 : 4;
        (void)world_event(&world, &event);
        assert_int_equal(world_waves(&world), 1);
        world_reply(&world, &world.commands[world.command_count - 1], IPC_OUTCOME_UNKNOWN,
            IPC_EVIDENCE_TIMEOUT, NULL);
    }
    assert_int_equal(tell_all(&world, &fact), 1);
    assert_int_equal(fact.kind, IPC_GUARD_UNKNOWN_RATE);
    event = world_order(&world, IPC_SIDE_BUY, 30, E8(100));
    event.instrument = 3;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 0);
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_BREAKER);
    world_close(&world);
}

/* --- a follower, the engine ---------------------------------------------------------------------
 */

/* The same execution again and again stops its follower, wherever the orders come from. */
static void repeated_executions_stop_a_follower(void **state)
{
    (void)state;
    struct world world;
    struct ipc_fact_guard fact;
    open_with(&world, 2, &(struct eng_controls_config){.repeats_per_minute = 3});
    second_broker(&world, 1, 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(trade(&world, IPC_OUTCOME_ACKED), 2);
    assert_int_equal(tell_all(&world, &fact), 0);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 1, E8(100));
    event.instrument = 4; /* another instrument is another execution */
    (void)world_event(&world, &event);
    (void)world_waves(&world);
    world_ack(&world, &world.commands[world.command_count - 1]);
    assert_int_equal(tell_all(&world, &fact), 0);
    assert_int_equal(trade(&world, IPC_OUTCOME_ACKED), 2);
    assert_int_equal(tell_all(&world, &fact), 2);
    assert_int_equal(fact.kind, IPC_GUARD_REPEATED);
    assert_int_equal(fact.scope, IPC_GUARD_SCOPE_FOLLOWER);
    assert_int_equal(fact.instrument, 1);
    assert_int_equal(trade(&world, IPC_OUTCOME_ACKED), 0);
    world_restart(&world, false);
    assert_int_equal(eng_breaker_bar(world.core, 0, &world.followers[0]), IPC_REASON_BREAKER);
    /* Whoever closes its circuit resets it: two facts, both with the name. */
    says(&world, IPC_OPERATOR_BREAKER_RESET, 0, world.followers[0].account, 100, 0, 2);
    const struct ipc_fact_guard *reset = world.last->frame.payload;
    assert_int_equal(world.last->frame.type, IPC_FACT_GUARD);
    assert_string_equal(reset->by, "anna");
    assert_int_equal(reset->follower_no, 100);
    assert_int_equal(eng_breaker_bar(world.core, 0, &world.followers[0]), IPC_REASON_NONE);
    says(&world, IPC_OPERATOR_BREAKER_RESET, 0, world.followers[0].account, 999, 0, 0);
    world_check(&world);
    world_close(&world);
}

static void a_clock_step_stops_the_engine(void **state)
{
    (void)state;
    struct world world;
    struct ipc_fact_guard fact;
    open_with(&world, 2, &(struct eng_controls_config){0});
    eng_breaker_clock(world.core, -LS_NS_PER_S, &fact);
    world.cannot_send[0] = 1;
    assert_int_equal(trade(&world, IPC_OUTCOME_ACKED), 1); /* one waits in its queue */
    world_apply(&world, IPC_FACT_GUARD, &fact, sizeof fact, 1);
    world.cannot_send[0] = 0;
    world.now_mono_ns += LS_NS_PER_MS;
    assert_int_equal(world_release(&world), 0);
    assert_int_equal(world_child(&world, 0).reason, IPC_REASON_CLOCK_STEP);
    assert_int_equal(trade(&world, 0), 0);
    assert_int_equal(world_last_fact(&world, 1).reason, IPC_REASON_CLOCK_STEP);
    world_restart(&world, true);
    assert_int_equal(trade(&world, 0), 0);
    says(&world, IPC_OPERATOR_GUARD_RESET, IPC_GUARD_SCOPE_ENGINE, 1, 0, 0, 1);
    assert_int_equal(trade(&world, 0), 2);
    world_check(&world);
    world_close(&world);
}

/* --- facts --------------------------------------------------------------------------------------
 */

static void facts_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct ipc_fact_guard rows[] = {
        {.act = 0, .kind = 1, .scope = 4},
        {.act = 4, .kind = 1, .scope = 4},
        {.act = IPC_GUARD_ACT_TRIP, .kind = 0, .scope = 4},
        {.act = IPC_GUARD_ACT_TRIP, .kind = 99, .scope = 4},
        {.act = IPC_GUARD_ACT_TRIP, .kind = 1, .scope = 0},
        {.act = IPC_GUARD_ACT_TRIP, .kind = 1, .scope = 5},
        {.act = IPC_GUARD_ACT_TRIP, .kind = 1, .scope = IPC_GUARD_SCOPE_FOLLOWER},
        {.act = IPC_GUARD_ACT_TRIP,
            .kind = 1,
            .scope = IPC_GUARD_SCOPE_FOLLOWER,
            .follower_no = 100,
            .slot = WORLD_FOLLOWERS},
        {.act = IPC_GUARD_ACT_TRIP, .kind = 1, .scope = IPC_GUARD_SCOPE_ACCOUNT},
        {.act = IPC_GUARD_ACT_TRIP,
            .kind = 1,
            .scope = IPC_GUARD_SCOPE_ACCOUNT,
            .account = WORLD_ACCOUNTS + 1},
        {.act = IPC_GUARD_ACT_TRIP, .kind = 1, .scope = IPC_GUARD_SCOPE_BROKER, .broker = 64},
    };
    struct world world;
    world_open(&world, 1);
    uint64_t hash = eng_core_hash(world.core);
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct eng_frame frame = {.type = IPC_FACT_GUARD,
            .count = 1,
            .payload = &rows[i],
            .payload_bytes = sizeof rows[i],
            .lsn = 1000};
        assert_int_equal(eng_apply(world.core, &frame), IPC_BAD_INPUT);
    }
    assert_int_equal(eng_core_hash(world.core), hash);
    world_close(&world);
}

/* A slot that got a new owner has not got the old one's breaker. */
static void a_new_owner_starts_without(void **state)
{
    (void)state;
    struct world world;
    struct ipc_fact_guard fact;
    open_with(&world, 1, &(struct eng_controls_config){.repeats_per_minute = 1});
    (void)trade(&world, IPC_OUTCOME_ACKED);
    assert_int_equal(tell_all(&world, &fact), 1);
    assert_int_equal(trade(&world, IPC_OUTCOME_ACKED), 0);
    world.followers[0].follower_no = 555;
    world_adopt(&world);
    assert_int_equal(trade(&world, IPC_OUTCOME_ACKED), 1);
    world_check(&world);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_in_a_row_stop_an_account),
        cmocka_unit_test(what_ends_the_row),
        cmocka_unit_test(refusals_stop_a_broker),
        cmocka_unit_test(unknown_outcomes_stop_an_account),
        cmocka_unit_test(repeated_executions_stop_a_follower),
        cmocka_unit_test(a_clock_step_stops_the_engine),
        cmocka_unit_test(facts_that_cannot_be_are_refused),
        cmocka_unit_test(a_new_owner_starts_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
