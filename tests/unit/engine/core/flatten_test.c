#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/core/flatten.h"
#include "engine/core/limits.h"
#include "tests/unit/engine/core/core_world.h"

#include <string.h>

/* Positions that are closed though no order of their master says so: after a money limit (F24,
 * F26), when a subscription ends (D29, D30), by a person's word.
 * And openings that the margin check refused (F15, F16). */

#define E8(units) ((int64_t)(units)*LS_E8)

static struct ipc_row_policy policy;

static int64_t held_of(const struct world *world, uint32_t slot, uint32_t instrument)
{
    return eng_core_copied_position(world->core, 100 + slot, instrument, IPC_PRODUCT_MIS, NULL) /
           LS_E8;
}

static int64_t held(const struct world *world, uint32_t slot)
{
    return held_of(world, slot, 1);
}

/* All that left from here on is acknowledged and filled; what was queued goes then. */
static void fill_from(struct world *world, uint32_t from)
{
    for (uint32_t i = from; i < world->command_count; i++) {
        world_ack(world, &world->commands[i]);
        if (world->commands[i].action == IPC_ACTION_PLACE)
            (void)world_update(world, world->commands[i].child, IPC_STATUS_FILLED,
                world->commands[i].qty_e8 / LS_E8, E8(100));
    }
}

static void master_trades(
    struct world *world, enum ipc_side side, uint32_t instrument, int64_t units)
{
    struct ipc_event event = world_order(world, side, units, 0);
    event.instrument = instrument;
    event.status = IPC_STATUS_FILLED;
    event.filled_qty_e8 = E8(units);
    event.average_price_e8 = E8(100);
    (void)world_event(world, &event);
    uint32_t from = world->command_count;
    (void)world_waves(world);
    fill_from(world, from);
}

static void open_world(struct world *world, uint32_t followers)
{
    world_open(world, followers);
    policy = (struct ipc_row_policy){0};
    world->view.policies = &policy;
    world->view.policy_count = 1;
}

static void close_world(struct world *world)
{
    world_check(world);
    eng_core_verify(world->core);
    world_close(world);
}

/* --- the shell's part ---------------------------------------------------------------------------
 */

static uint32_t ask(struct world *world)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < eng_limits_count(world->core); i++) {
        struct ipc_fact_limit fact;
        if (!eng_flatten_want(world->core, eng_limits_slot(world->core, i), &fact))
            continue;
        world_apply(world, IPC_FACT_LIMIT, &fact, sizeof fact, 1);
        count++;
    }
    return count;
}

/* One look at all positions; the facts that it made. */
static uint32_t look(struct world *world, struct ipc_fact_alarm *alarm)
{
    uint32_t cursor = 0, count = 0;
    struct eng_flatten due;
    while (eng_flatten_next(world->core, &cursor, UINT32_MAX, world->now_mono_ns, &due)) {
        struct ipc_fact_event fact;
        struct ipc_fact_alarm said;
        bool has_alarm;
        uint8_t word = world->word > world->follower_word[due.slot]
                           ? world->word
                           : world->follower_word[due.slot];
        if (eng_flatten_decide(world->core, &due, word, world->now_mono_ns, world->now_wall_ns,
                &fact, &said, &has_alarm)) {
            world_apply(world, IPC_FACT_EVENT, &fact, sizeof fact, 1);
            count++;
        }
        if (has_alarm && alarm != NULL)
            *alarm = said;
    }
    return count;
}

/* As a few turns: wishes, looks, follow-ups, queues. Returns how many requests left. */
static uint32_t turns(struct world *world)
{
    uint32_t before = world->command_count;
    (void)world_reconcile(world);
    (void)ask(world);
    (void)look(world, NULL);
    (void)world_waves(world);
    (void)world_release(world);
    return world->command_count - before;
}

static void pass(struct world *world, int64_t seconds)
{
    world->now_mono_ns += seconds * LS_NS_PER_S;
    world->now_wall_ns += seconds * LS_NS_PER_S;
}

static void trips(struct world *world, uint32_t slot, enum ipc_limit_kind kind, bool flattens)
{
    const struct ipc_fact_limit day = {.act = IPC_LIMIT_ACT_DAY, .day = 20260105};
    const struct ipc_fact_limit fact = {.act = IPC_LIMIT_ACT_TRIP,
        .kind = (uint8_t)kind,
        .scope = IPC_LIMIT_SCOPE_LINK,
        .flatten = flattens,
        .incarnation = 1,
        .follower_no = 100 + slot,
        .slot = slot,
        .account = world->followers[slot].account};
    world_apply(world, IPC_FACT_LIMIT, &day, sizeof day, 1);
    world_apply(world, IPC_FACT_LIMIT, &fact, sizeof fact, 1);
}

/* A person's act, as it comes from the ring. */
static void operator_says(
    struct world *world, enum ipc_operator_act act, uint32_t follower_no, uint32_t instrument)
{
    struct ipc_event event = {.kind = IPC_EVENT_OPERATOR,
        .account = 1,
        .reserved = act,
        .instrument = instrument,
        .book_order_count = follower_no,
        .received_mono_ns = world->now_mono_ns,
        .published_mono_ns = world->now_mono_ns,
        .broker_order_id = "asha"};
    (void)world_event(world, &event);
}

/* --- who wants it -------------------------------------------------------------------------------
 */

/* F24, F26: a trip closes where that was chosen, once; figures that are unknown close nothing. */
static void a_trip_closes_by_choice(void **state)
{
    (void)state;
    static const struct {
        enum ipc_limit_kind kind;
        bool flattens, closes;
        int64_t units; /* of the master */
    } rows[] = {
        {IPC_LIMIT_EQUITY_STOP, true, true, 40},
        {IPC_LIMIT_EQUITY_STOP, false, false, 40},
        {IPC_LIMIT_DAILY_LOSS, true, true, -25},
        {IPC_LIMIT_TRAILING, true, true, 1},
        {IPC_LIMIT_FIGURES, true, false, 40},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct world world;
        open_world(&world, 2);
        policy.equity_stop_e8 = E8(1);
        policy.flags = rows[i].flattens ? IPC_POLICY_TRIP_FLATTENS : 0;
        world_adopt(&world);
        enum ipc_side side = rows[i].units > 0 ? IPC_SIDE_BUY : IPC_SIDE_SELL;
        master_trades(&world, side, 1, rows[i].units > 0 ? rows[i].units : -rows[i].units);
        world.followers[0].policy = 1; /* as if it had been set from the start */
        world_adopt(&world);
        assert_int_equal(held(&world, 0), rows[i].units);
        assert_int_equal(turns(&world), 0);
        trips(&world, 0, rows[i].kind, rows[i].flattens);
        uint32_t from = world.command_count;
        assert_int_equal(turns(&world), rows[i].closes);
        assert_int_equal(turns(&world), 0); /* once */
        if (rows[i].closes) {
            const struct ipc_command *command = &world.commands[from];
            assert_int_equal(command->side, rows[i].units > 0 ? IPC_SIDE_SELL : IPC_SIDE_BUY);
            assert_int_equal(command->qty_e8 / LS_E8, rows[i].units > 0 ? rows[i].units : 25);
            assert_true(command->is_exit);
            assert_string_not_equal(command->tag, world.commands[0].tag);
        }
        fill_from(&world, from);
        assert_int_equal(held(&world, 0), rows[i].closes ? 0 : rows[i].units);
        assert_int_equal(held(&world, 1), rows[i].units); /* nobody else */
        assert_int_equal(eng_flatten_open(world.core), 0);
        assert_int_equal(eng_core_counters(world.core)->flattens_done, rows[i].closes);
        pass(&world, 100);
        assert_int_equal(turns(&world), 0);
        close_world(&world);
    }
}

/* D29, D30: a subscription that ended closes its positions, or keeps them for the master's exits.
 */
static void an_ended_subscription_closes_or_keeps(void **state)
{
    (void)state;
    for (int flattens = 0; flattens < 2; flattens++) {
        struct world world;
        open_world(&world, 2);
        policy.flags = flattens ? IPC_POLICY_END_FLATTENS : IPC_POLICY_CARRY;
        world.followers[0].policy = 1;
        world_adopt(&world);
        master_trades(&world, IPC_SIDE_BUY, 1, 60);
        master_trades(&world, IPC_SIDE_SELL, 3, 30);
        assert_int_equal(held_of(&world, 0, 3), -30);
        assert_int_equal(turns(&world), 0);
        world.followers[0].flags |= IPC_FOLLOWER_RETIRED;
        world_adopt(&world);
        world_restart(&world, true); /* not done yet: done after the restart */
        uint32_t from = world.command_count;
        assert_int_equal(turns(&world), 2 * flattens);
        world_restart(&world, true); /* unanswered: not again */
        assert_int_equal(turns(&world), 0);
        fill_from(&world, from);
        assert_int_equal(held(&world, 0), flattens ? 0 : 60);
        assert_int_equal(held_of(&world, 0, 3), flattens ? 0 : -30);
        master_trades(&world, IPC_SIDE_BUY, 1, 20); /* its end takes no opening */
        assert_int_equal(held(&world, 0), flattens ? 0 : 60);
        assert_int_equal(world_last_fact(&world, 0).reason,
            flattens ? IPC_REASON_FOLLOWER_DISABLED : IPC_REASON_POSITION_KEPT);
        master_trades(&world, IPC_SIDE_SELL, 1, 80);
        assert_int_equal(held(&world, 0), 0);
        assert_int_equal(held(&world, 1), 0);
        assert_int_equal(turns(&world), 0);
        close_world(&world);
    }
}

static void a_person_closes(void **state)
{
    (void)state;
    static const struct {
        enum ipc_operator_act act;
        uint32_t follower_no, instrument;
        int64_t left[2][2]; /* by slot; of instruments 1 and 4 */
    } rows[] = {
        {IPC_OPERATOR_FLATTEN, 100, 0, {{0, 0}, {10, 20}}},
        {IPC_OPERATOR_FLATTEN, 101, 4, {{10, 20}, {10, 0}}},
        {IPC_OPERATOR_FLATTEN, 0, 0, {{0, 0}, {0, 0}}},
        {IPC_OPERATOR_FLATTEN, 0, 1, {{0, 20}, {0, 20}}},
        {IPC_OPERATOR_FLATTEN_ALL, 0, 0, {{0, 0}, {0, 0}}},
        {IPC_OPERATOR_FLATTEN, 999, 0, {{10, 20}, {10, 20}}},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct world world;
        open_world(&world, 2);
        master_trades(&world, IPC_SIDE_BUY, 1, 10);
        master_trades(&world, IPC_SIDE_BUY, 4, 20);
        operator_says(&world, rows[i].act, rows[i].follower_no, rows[i].instrument);
        operator_says(&world, rows[i].act, rows[i].follower_no, rows[i].instrument);
        uint32_t from = world.command_count;
        (void)turns(&world);
        fill_from(&world, from);
        for (uint32_t slot = 0; slot < 2; slot++) {
            assert_int_equal(held_of(&world, slot, 1), rows[i].left[slot][0]);
            assert_int_equal(held_of(&world, slot, 4), rows[i].left[slot][1]);
        }
        /* It is an act, no switch: the next entry is copied. */
        int64_t before = held(&world, 0);
        master_trades(&world, IPC_SIDE_BUY, 1, 5);
        assert_int_equal(held(&world, 0), before + 5);
        assert_int_equal(turns(&world), 0);
        close_world(&world);
    }
}

/* --- how it is closed ---------------------------------------------------------------------------
 */

/* Halt stops it and it goes on afterwards; close-only does not; a queue without a session keeps it.
 */
static void switches_and_sessions(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 3);
    master_trades(&world, IPC_SIDE_BUY, 1, 10);
    world.follower_word[0] = IPC_SWITCH_HALT;
    world.follower_word[1] = IPC_SWITCH_CLOSE_ONLY;
    world.accounts[2 + 2].token_bytes = 0;
    world_adopt(&world);
    operator_says(&world, IPC_OPERATOR_FLATTEN, 0, 0);
    uint32_t from = world.command_count;
    assert_int_equal(turns(&world), 1);
    fill_from(&world, from);
    for (int i = 0; i < 50; i++) {
        pass(&world, 40);
        assert_int_equal(turns(&world), 0);
    }
    assert_int_equal(held(&world, 0), 10);
    assert_int_equal(held(&world, 1), 0);
    assert_int_equal(held(&world, 2), 10);
    assert_int_equal(eng_flatten_open(world.core), 2);
    world.follower_word[0] = IPC_SWITCH_RUN;
    world.accounts[2 + 2].token_bytes = 64;
    world_adopt(&world);
    from = world.command_count;
    assert_int_equal(turns(&world), 2);
    fill_from(&world, from);
    assert_int_equal(held(&world, 0), 0);
    assert_int_equal(held(&world, 2), 0);
    assert_int_equal(eng_core_counters(world.core)->flattens_done, 3);
    close_world(&world);
}

/* A close that ends unfilled is tried again with what is held then, later and later, and not for
 * ever. */
static void refused_closes_are_repeated_and_given_up(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    master_trades(&world, IPC_SIDE_BUY, 1, 10);
    operator_says(&world, IPC_OPERATOR_FLATTEN, 100, 0);
    uint32_t from = world.command_count;
    assert_int_equal(turns(&world), 1);
    /* Partly filled, then cancelled by the exchange: the rest. */
    world_ack(&world, &world.commands[from]);
    (void)world_update(&world, world.commands[from].child, IPC_STATUS_CANCELLED, 4, E8(100));
    assert_int_equal(turns(&world), 0); /* not at once */
    uint32_t tries = 0;
    struct ipc_fact_alarm alarm = {0};
    for (int second = 0; second < 600; second++) {
        pass(&world, 1);
        from = world.command_count;
        (void)look(&world, &alarm);
        (void)world_waves(&world);
        if (world.command_count == from)
            continue;
        tries++;
        assert_int_equal(world.commands[from].qty_e8 / LS_E8, 6);
        world_reply(&world, &world.commands[from], IPC_OUTCOME_REJECTED, IPC_EVIDENCE_REPLY, NULL);
    }
    assert_int_equal(tries, ENG_FLATTEN_TRIES);
    assert_int_equal(alarm.alarm, IPC_ALARM_LIMIT);
    assert_int_equal(eng_flatten_open(world.core), 0);
    assert_int_equal(eng_core_counters(world.core)->flattens_left, 1);
    assert_int_equal(held(&world, 0), 6);
    world_restart(&world, false);
    assert_int_equal(turns(&world), 0);
    /* A person says it anew. */
    operator_says(&world, IPC_OPERATOR_FLATTEN, 100, 0);
    from = world.command_count;
    assert_int_equal(turns(&world), 1);
    fill_from(&world, from);
    assert_int_equal(held(&world, 0), 0);
    close_world(&world);
}

/* Working entries are cancelled first, and what they still fill is closed too. */
static void working_entries_go_and_late_fills_are_closed(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    master_trades(&world, IPC_SIDE_BUY, 1, 10);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 8, E8(99));
    uint32_t entry = world.command_count;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 1);
    world_ack(&world, &world.commands[entry]);
    operator_says(&world, IPC_OPERATOR_FLATTEN, 100, 0);
    assert_int_equal(turns(&world), 2);
    const struct ipc_command *cancel = NULL, *close = NULL;
    for (uint32_t i = entry + 1; i < world.command_count; i++) {
        if (world.commands[i].action == IPC_ACTION_CANCEL)
            cancel = &world.commands[i];
        else
            close = &world.commands[i];
    }
    assert_non_null(cancel);
    assert_non_null(close);
    assert_int_equal(cancel->child, world.commands[entry].child);
    assert_int_equal(close->qty_e8 / LS_E8, 10);
    world_ack(&world, close);
    (void)world_update(&world, close->child, IPC_STATUS_FILLED, 10, E8(100));
    assert_int_equal(eng_flatten_open(world.core), 1); /* the entry may still fill */
    world_ack(&world, cancel);
    uint32_t from = world.command_count;
    (void)world_update(&world, world.commands[entry].child, IPC_STATUS_CANCELLED, 3, E8(99));
    assert_int_equal(held(&world, 0), 3);
    assert_int_equal(turns(&world), 1);
    assert_int_equal(world.commands[from].qty_e8 / LS_E8, 3);
    fill_from(&world, from);
    assert_int_equal(held(&world, 0), 0);
    assert_int_equal(eng_flatten_open(world.core), 0);
    close_world(&world);
}

/* An entry that comes before anything of the wish was done belongs to what is closed; one that
 * comes while all that is held is being closed is wanted, and ends the wish. */
static void an_entry_meets_the_wish(void **state)
{
    (void)state;
    for (int closing = 0; closing < 2; closing++) {
        struct world world;
        open_world(&world, 1);
        master_trades(&world, IPC_SIDE_BUY, 1, 10);
        operator_says(&world, IPC_OPERATOR_FLATTEN, 100, 0);
        uint32_t close = world.command_count;
        if (closing)
            assert_int_equal(turns(&world), 1);
        struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 8, E8(99));
        uint32_t entry = world.command_count;
        (void)world_event(&world, &event);
        while (world.command_count == entry)
            assert_true(world_wave_step(&world));
        world_ack(&world, &world.commands[entry]);
        assert_int_equal(eng_flatten_open(world.core), !closing);
        if (!closing)
            close = world.command_count;
        assert_int_equal(turns(&world), closing ? 0 : 2); /* a cancel and a close */
        for (uint32_t i = close; i < world.command_count; i++) {
            if (world.commands[i].child == world.commands[entry].child)
                continue;
            world_ack(&world, &world.commands[i]);
            (void)world_update(&world, world.commands[i].child, IPC_STATUS_FILLED, 10, E8(100));
        }
        (void)world_update(&world, world.commands[entry].child,
            closing ? IPC_STATUS_FILLED : IPC_STATUS_CANCELLED, closing ? 8 : 0, E8(99));
        assert_int_equal(turns(&world), 0);
        assert_int_equal(held(&world, 0), closing ? 8 : 0);
        assert_int_equal(eng_flatten_open(world.core), 0);
        close_world(&world);
    }
}

/* Above the freeze quantity in slices, as a protected limit where market orders are refused, and
 * behind an exit of the master that is unanswered. */
static void as_any_exit(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    world.brokers[1].live = 1;
    world.followers[0].broker = 1;
    world_adopt(&world);
    world.price_mono_ns = world.now_mono_ns;
    master_trades(&world, IPC_SIDE_BUY, 4, 3640);
    struct ipc_event event = world_order(&world, IPC_SIDE_SELL, 1820, 0);
    event.instrument = 4;
    uint32_t exit = world.command_count;
    (void)world_event(&world, &event);
    (void)world_waves(&world);
    assert_int_equal(world.command_count - exit, 2);
    operator_says(&world, IPC_OPERATOR_FLATTEN, 100, 4);
    assert_int_equal(turns(&world), 0); /* its earlier exit is unanswered */
    uint32_t from = world.command_count;
    for (uint32_t i = exit; i < from; i++) {
        world_ack(&world, &world.commands[i]);
        (void)world_update(&world, world.commands[i].child, IPC_STATUS_FILLED,
            world.commands[i].qty_e8 / LS_E8, E8(100));
    }
    assert_int_equal(turns(&world), 2);
    int64_t sum = 0;
    for (uint32_t i = from; i < world.command_count; i++) {
        assert_true(world.commands[i].qty_e8 <= E8(1800));
        assert_int_equal(world.commands[i].type, IPC_TYPE_LIMIT);
        assert_true(world.commands[i].price_e8 > 0 && world.commands[i].price_e8 < E8(100));
        sum += world.commands[i].qty_e8 / LS_E8;
    }
    assert_int_equal(sum, 1820);
    fill_from(&world, from);
    assert_int_equal(held_of(&world, 0, 4), 0);
    close_world(&world);
}

/* In another boot the books are read before anything is placed. */
static void restart(struct world *world, bool same_boot)
{
    world_restart(world, same_boot);
    if (!same_boot)
        (void)world_reconcile(world);
}

/* Killed behind each fact: the same state, and each close leaves once. */
static void a_kill_behind_each_fact_doubles_nothing(void **state)
{
    (void)state;
    for (int kill = 0; kill < 10; kill++) {
        struct world world;
        open_world(&world, 2);
        master_trades(&world, IPC_SIDE_BUY, 1, 10);
        bool same_boot = kill < 5;
        uint32_t from = world.command_count;
        operator_says(&world, IPC_OPERATOR_FLATTEN, 0, 0);
        if (kill % 5 == 0)
            restart(&world, same_boot);
        assert_int_equal(look(&world, NULL), 2);
        if (kill % 5 == 1)
            restart(&world, same_boot);
        (void)world_waves(&world);
        assert_int_equal(world.command_count - from, 2);
        if (kill % 5 == 2) { /* sent, unanswered: in doubt, nothing goes before it is seen */
            restart(&world, same_boot);
            pass(&world, 100);
            assert_int_equal(turns(&world), 0);
        }
        fill_from(&world, from);
        if (kill % 5 == 3)
            restart(&world, same_boot);
        pass(&world, 100);
        assert_int_equal(turns(&world), 0);
        assert_int_equal(world.command_count - from, 2);
        assert_int_equal(held(&world, 0), 0);
        assert_int_equal(held(&world, 1), 0);
        assert_int_equal(eng_flatten_open(world.core), 0);
        close_world(&world);
    }
}

/* --- days at random -----------------------------------------------------------------------------
 */

static uint64_t random_state;

static uint32_t below(uint32_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 20) % bound);
}

static bool is_over(uint8_t state)
{
    return state == ENG_STATE_FILLED || state == ENG_STATE_CANCELLED ||
           state == ENG_STATE_REJECTED || state == ENG_STATE_EXCH_REJECTED ||
           state == ENG_STATE_SKIPPED || state == ENG_STATE_EXPIRED;
}

static void answer(struct world *world, const struct ipc_command *command)
{
    if (command->action != IPC_ACTION_PLACE) {
        world_ack(world, command);
        (void)world_update(world, command->child, IPC_STATUS_CANCELLED, below(3), E8(100));
        return;
    }
    int64_t units = command->qty_e8 / LS_E8;
    switch (below(6)) {
    case 0:
        world_reply(world, command, IPC_OUTCOME_REJECTED, IPC_EVIDENCE_REPLY, NULL);
        return;
    case 1:
        world_reply(world, command, IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_TIMEOUT, NULL);
        return;
    case 2:
        world_ack(world, command);
        return;
    case 3:
        world_ack(world, command);
        (void)world_update(
            world, command->child, IPC_STATUS_CANCELLED, below((uint32_t)units + 1), E8(100));
        return;
    default:
        world_ack(world, command);
        (void)world_update(world, command->child, IPC_STATUS_FILLED, units, E8(100));
        return;
    }
}

static void one_step(struct world *world, uint32_t *answered)
{
    switch (below(8)) {
    case 0:
    case 1: {
        struct ipc_event event =
            world_order(world, below(2) ? IPC_SIDE_BUY : IPC_SIDE_SELL, 1 + below(30), 0);
        event.price_e8 = below(3) ? 0 : E8(100);
        event.type = event.price_e8 ? IPC_TYPE_LIMIT : IPC_TYPE_MARKET;
        if (below(4)) {
            event.status = IPC_STATUS_FILLED;
            event.filled_qty_e8 = event.qty_e8;
            event.average_price_e8 = E8(100);
        }
        (void)world_event(world, &event);
        break;
    }
    case 2:
        operator_says(world, IPC_OPERATOR_FLATTEN, below(2) ? 100 + below(3) : 0, 0);
        break;
    case 3:
        pass(world, below(40));
        break;
    case 4:
        if (below(4) == 0)
            world_restart(world, below(4) != 0);
        break;
    case 5:
        world->follower_word[below(3)] = below(3) ? IPC_SWITCH_RUN : IPC_SWITCH_HALT;
        break;
    default:
        while (*answered < world->command_count)
            answer(world, &world->commands[(*answered)++]);
        break;
    }
    if (below(4))
        (void)turns(world);
}

/* Everything that is out comes to its end, and everything that is due is done. */
static void calm_down(struct world *world)
{
    for (int round = 0; round < 60; round++) {
        struct eng_child_view view;
        for (uint32_t i = 0; eng_core_child(world->core, i, &view); i++) {
            if (!is_over(view.state) && view.request_no != 0)
                (void)world_update(world, i, IPC_STATUS_FILLED, view.qty_e8 / LS_E8, E8(100));
        }
        pass(world, 40);
        (void)turns(world);
    }
}

/* Whatever happened in between: a wish is fulfilled or given up, nothing turns round, no tag is
 * sent twice (core_world counts them), and folding all frames again gives the same state. */
static void days_at_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct world world;
        uint32_t answered = 0;
        random_state = seed * UINT64_C(0x9e3779b97f4a7c15);
        open_world(&world, 3);
        for (int step = 0; step < 80; step++) {
            one_step(&world, &answered);
            eng_core_verify(world.core);
        }
        memset(world.follower_word, 0, sizeof world.follower_word);
        calm_down(&world);
        operator_says(&world, IPC_OPERATOR_FLATTEN_ALL, 0, 0);
        calm_down(&world);
        for (uint32_t slot = 0; slot < 3; slot++) {
            if (held(&world, slot) != 0)
                print_error("seed %llu: slot %u holds %lld\n", (unsigned long long)seed, slot,
                    (long long)held(&world, slot));
            assert_int_equal(held(&world, slot), 0);
        }
        assert_int_equal(eng_flatten_open(world.core), 0);
        close_world(&world);
    }
}

/* --- one lot fewer ------------------------------------------------------------------------------
 */

static void refuse(struct world *world, const struct ipc_command *command, const char *text)
{
    struct ipc_outcome out = {
        .outcome = IPC_OUTCOME_REJECTED, .evidence = IPC_EVIDENCE_REPLY, .http_status = 400};
    strcpy(out.text, text);
    struct ipc_fact_reply fact;
    struct ipc_fact_alarm alarm;
    bool has_alarm;
    assert_int_equal(eng_decide_reply(world->core, command->child, command->request_no,
                         (enum ipc_action)command->action, &out, world->now_mono_ns,
                         world->now_mono_ns, &fact, &alarm, &has_alarm),
        IPC_OK);
    world_apply(world, IPC_FACT_REPLY, &fact, sizeof fact, 1);
}

/* The broker takes the order and its risk system rejects it later, with this code. */
static void refuse_later(struct world *world, const struct ipc_command *command, const char *code)
{
    world_ack(world, command);
    struct eng_child_view view;
    assert_true(eng_core_child(world->core, command->child, &view));
    struct ipc_event event = {.kind = IPC_EVENT_ORDER,
        .side = view.side,
        .type = view.type,
        .product = view.product,
        .validity = IPC_VALIDITY_DAY,
        .status = IPC_STATUS_REJECTED,
        .flags = IPC_EVENT_OWN_TAG,
        .account = world->followers[view.slot].account,
        .instrument = view.instrument,
        .order_key = {{command->child, 99}},
        .qty_e8 = view.qty_e8,
        .price_e8 = view.price_e8};
    memcpy(event.client_tag, view.tag, sizeof event.client_tag);
    memcpy(event.broker_order_id, view.broker_order_id, sizeof event.broker_order_id);
    strcpy(event.reject_code, code);
    (void)world_event(world, &event);
}

/* F15, F16: after a margin rejection one lot fewer, and never after another. */
static void a_margin_rejection_steps_down_by_choice(void **state)
{
    (void)state;
    static const struct {
        const char *text; /* NULL = taken, and rejected later with the code */
        const char *code;
        bool chosen, halts;
        int64_t late_s; /* how long the answer takes */
        int64_t tries[5];
    } rows[] = {
        {"RED:Margin Shortfall:INR 28,030.64", "", true, false, 0, {195, 130, 65}},
        {NULL, "RED:MARGIN", true, false, 0, {195, 130, 65}},
        {"RED:Margin Shortfall:INR 28,030.64", "", false, false, 0, {195}},
        {"Price is not a multiple of tick size", "", true, false, 0, {195}},
        {NULL, "ORA", true, false, 0, {195}},
        {"Insufficient funds", "", true, false, 60, {195}}, /* too old to go again */
        {"Insufficient funds", "", true, true, 0, {195}},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct world world;
        open_world(&world, 2);
        policy.flags = rows[i].chosen ? IPC_POLICY_MARGIN_STEP : IPC_POLICY_CARRY;
        world.followers[0].policy = 1;
        world_adopt(&world);
        struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 195, 0);
        event.instrument = 2;
        (void)world_event(&world, &event);
        assert_int_equal(world_waves(&world), 2);
        uint32_t at = world.commands[0].slot == 0 ? 0 : 1;
        world_ack(&world, &world.commands[1 - at]);
        for (int try = 0; try < 5; try++) {
            assert_int_equal(world.commands[at].qty_e8 / LS_E8, rows[i].tries[try]);
            pass(&world, rows[i].late_s);
            if (rows[i].halts)
                world.word = IPC_SWITCH_CLOSE_ONLY;
            uint32_t next = world.command_count;
            if (rows[i].text != NULL)
                refuse(&world, &world.commands[at], rows[i].text);
            else
                refuse_later(&world, &world.commands[at], rows[i].code);
            world_restart(&world, true); /* what was refused is settled after it */
            (void)world_waves(&world);
            (void)world_release(&world);
            if (world.command_count == next) {
                assert_int_equal(try == 4 ? 0 : rows[i].tries[try + 1], 0);
                break;
            }
            assert_int_equal(world.command_count - next, 1);
            assert_int_equal(world.commands[next].slot, 0);
            assert_string_not_equal(world.commands[next].tag, world.commands[at].tag);
            at = next;
        }
        assert_int_equal(world_waves(&world), 0);
        close_world(&world);
    }
}

/* What was given up stays given up: an amendment keeps the smaller size, and moves with the master.
 */
static void a_step_down_outlives_amendments(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    policy.flags = IPC_POLICY_MARGIN_STEP;
    world.followers[0].policy = 1;
    world_adopt(&world);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 195, E8(50));
    event.instrument = 2;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 1);
    refuse(&world, &world.commands[0], "Margin Shortfall");
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[1].qty_e8 / LS_E8, 130);
    world_ack(&world, &world.commands[1]);
    event.price_e8 = E8(51);
    event.version++;
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[2].action, IPC_ACTION_MODIFY);
    assert_int_equal(world.commands[2].qty_e8 / LS_E8, 130);
    assert_int_equal(world.commands[2].price_e8, E8(51));
    close_world(&world);
}

/* What cannot be one of ours changes nothing. */
static void impossible_facts_are_refused(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    master_trades(&world, IPC_SIDE_BUY, 1, 10);
    operator_says(&world, IPC_OPERATOR_FLATTEN, 100, 0);
    uint32_t cursor = 0;
    struct eng_flatten due;
    struct ipc_fact_event good, bad;
    struct ipc_fact_alarm alarm;
    bool has_alarm;
    assert_true(eng_flatten_next(world.core, &cursor, UINT32_MAX, world.now_mono_ns, &due));
    assert_true(eng_flatten_decide(world.core, &due, IPC_SWITCH_RUN, world.now_mono_ns,
        world.now_wall_ns, &good, &alarm, &has_alarm));
    for (int i = 0; i < 6; i++) {
        bad = good;
        if (i == 0)
            bad.ring_sequence = IPC_FLATTEN_AGAIN;
        if (i == 1)
            bad.ring_sequence = 9;
        if (i == 2)
            bad.event.book_order_count = 5;
        if (i == 3)
            bad.follower_count = 2;
        if (i == 4)
            bad.event.qty_e8 = 0;
        if (i == 5)
            bad.event.instrument = 4;
        struct eng_frame frame = {.type = IPC_FACT_EVENT,
            .count = 1,
            .payload = &bad,
            .payload_bytes = sizeof bad,
            .lsn = world.lsn + 1};
        uint64_t hash = eng_core_hash(world.core);
        assert_int_equal(eng_apply(world.core, &frame), IPC_BAD_INPUT);
        assert_int_equal(eng_core_hash(world.core), hash);
    }
    close_world(&world);
}

/* E34: a position that is short is bought back before one that is long is sold. */
static void shorts_go_first(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    master_trades(&world, IPC_SIDE_BUY, 1, 65);
    master_trades(&world, IPC_SIDE_SELL, 2, 65);
    assert_int_equal(held_of(&world, 0, 1), 65);
    assert_int_equal(held_of(&world, 0, 2), -65);
    struct ipc_fact_limit fact = {.act = IPC_LIMIT_ACT_FLATTEN,
        .scope = IPC_LIMIT_SCOPE_LINK,
        .incarnation = world.followers[0].incarnation,
        .follower_no = 100,
        .account = world.followers[0].account};
    world_apply(&world, IPC_FACT_LIMIT, &fact, sizeof fact, 1);
    uint32_t from = world.command_count;
    assert_int_equal(look(&world, NULL), 2);
    (void)world_waves(&world);
    assert_int_equal(world.command_count, from + 2);
    assert_int_equal(world.commands[from].side, IPC_SIDE_BUY);
    assert_int_equal(world.commands[from + 1].side, IPC_SIDE_SELL);
    fill_from(&world, from);
    assert_int_equal(held_of(&world, 0, 1) | held_of(&world, 0, 2), 0);
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shorts_go_first),
        cmocka_unit_test(a_trip_closes_by_choice),
        cmocka_unit_test(an_ended_subscription_closes_or_keeps),
        cmocka_unit_test(a_person_closes),
        cmocka_unit_test(switches_and_sessions),
        cmocka_unit_test(refused_closes_are_repeated_and_given_up),
        cmocka_unit_test(working_entries_go_and_late_fills_are_closed),
        cmocka_unit_test(an_entry_meets_the_wish),
        cmocka_unit_test(as_any_exit),
        cmocka_unit_test(a_kill_behind_each_fact_doubles_nothing),
        cmocka_unit_test(days_at_random),
        cmocka_unit_test(a_margin_rejection_steps_down_by_choice),
        cmocka_unit_test(a_step_down_outlives_amendments),
        cmocka_unit_test(impossible_facts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
