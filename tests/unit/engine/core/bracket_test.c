#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/engine/core/core_world.h"

#include <string.h>

/* Protective legs of copies (E30, E31, E32) through the core: placed on the follower's own fill,
 * one takes what the other had, and they give way to an exit of the master. */

#define E8(units) ((int64_t)(units)*LS_E8)
#define CENTS(n)  ((int64_t)(n)*LS_E8 / 100)

static struct ipc_row_policy policy;

static void open_world(struct world *world, uint32_t policy_flags)
{
    world_open(world, 1);
    world->instruments[0].tick_e8 = CENTS(5);
    policy = (struct ipc_row_policy){.flags = policy_flags};
    world->view.policies = &policy;
    world->view.policy_count = 1;
    if (policy_flags != 0)
        world->followers[0].policy = 1;
    world_adopt(world);
}

static void close_world(struct world *world)
{
    world_check(world);
    eng_core_verify(world->core);
    world_close(world);
}

static int64_t held(const struct world *world)
{
    return eng_core_copied_position(world->core, 100, 1, IPC_PRODUCT_MIS, NULL) / LS_E8;
}

/* Everything that was decided leaves and is acknowledged, until nothing new does. */
static void settle(struct world *world, uint32_t from)
{
    for (uint32_t round = 0; round < 20; round++) {
        (void)world_waves(world);
        world->now_mono_ns += LS_NS_PER_S;
        world->now_wall_ns += LS_NS_PER_S;
        (void)world_release(world);
        for (; from < world->command_count; from++)
            world_ack(world, &world->commands[from]);
    }
    assert_int_equal(world_waves(world), 0);
    eng_core_verify(world->core);
}

static const struct ipc_command *command_of(
    const struct world *world, uint32_t from, enum ipc_action action, enum ipc_type type)
{
    for (uint32_t i = world->command_count; i > from; i--) {
        const struct ipc_command *command = &world->commands[i - 1];
        if (command->action == action && command->type == type)
            return command;
    }
    return NULL;
}

static void fill(
    struct world *world, uint32_t child, enum ipc_status status, int64_t units, int64_t price_e8)
{
    uint32_t from = world->command_count;
    (void)world_update(world, child, status, units, price_e8);
    settle(world, from);
}

/* The master buys 50 at 500 with a stop 2 % below and a target 4 % above. */
static struct ipc_event enter(struct world *world, int64_t stop_e8, int64_t target_e8)
{
    struct ipc_event event = world_order(world, IPC_SIDE_BUY, 50, E8(500));
    event.stop_e8 = stop_e8;
    event.target_e8 = target_e8;
    (void)world_event(world, &event);
    settle(world, 0);
    assert_int_equal(world->command_count, 1);
    return event;
}

static uint32_t live_legs(const struct world *world, int64_t *qty_e8)
{
    uint32_t count = 0;
    *qty_e8 = 0;
    for (uint32_t i = 0; i < eng_core_child_count(world->core); i++) {
        struct eng_child_view view;
        assert_true(eng_core_child(world->core, i, &view));
        if (!view.is_exit || view.type == IPC_TYPE_MARKET || view.state != ENG_STATE_OPEN)
            continue;
        count++;
        *qty_e8 += view.qty_e8 - view.filled_qty_e8;
    }
    return count;
}

/* Sees what left as open at the broker. */
static void see_open(struct world *world)
{
    for (uint32_t i = 0; i < eng_core_child_count(world->core); i++) {
        struct eng_child_view view;
        assert_true(eng_core_child(world->core, i, &view));
        if (view.state == ENG_STATE_ACKED)
            fill(world, i, IPC_STATUS_OPEN, 0, 0);
    }
}

static void legs_are_anchored_on_the_own_fill(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 0);
    (void)enter(&world, E8(490), E8(520));
    fill(&world, world.commands[0].child, IPC_STATUS_FILLED, 50, E8(502));

    assert_int_equal(world.command_count, 3); /* E31 */
    const struct ipc_command *stop = command_of(&world, 1, IPC_ACTION_PLACE, IPC_TYPE_SLM);
    const struct ipc_command *target = command_of(&world, 1, IPC_ACTION_PLACE, IPC_TYPE_LIMIT);
    assert_non_null(stop);
    assert_non_null(target);
    assert_int_equal(stop->side, IPC_SIDE_SELL);
    assert_int_equal(stop->qty_e8, E8(50));
    assert_int_equal(stop->trigger_e8, CENTS(49195)); /* 491.96, SELL goes down */
    assert_int_equal(target->side, IPC_SIDE_SELL);
    assert_int_equal(target->qty_e8, E8(50));
    assert_int_equal(target->price_e8, CENTS(52210)); /* 522.08, nearest */
    int64_t reserved;
    (void)eng_core_copied_position(world.core, 100, 1, IPC_PRODUCT_MIS, &reserved);
    assert_int_equal(reserved, E8(50)); /* the two hold it together */
    world_restart(&world, true);
    close_world(&world);
}

static void legs_follow_a_fill_in_parts(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 0);
    (void)enter(&world, E8(490), 0);
    fill(&world, world.commands[0].child, IPC_STATUS_OPEN, 20, E8(500));
    const struct ipc_command *stop = command_of(&world, 1, IPC_ACTION_PLACE, IPC_TYPE_SLM);
    assert_non_null(stop);
    assert_int_equal(stop->qty_e8, E8(20));
    uint32_t from = world.command_count;
    fill(&world, world.commands[0].child, IPC_STATUS_FILLED, 50, E8(502));
    assert_int_equal(world.command_count, from + 1);
    assert_int_equal(world.commands[from].action, IPC_ACTION_MODIFY);
    assert_int_equal(world.commands[from].qty_e8, E8(50));
    assert_int_equal(world.commands[from].trigger_e8, CENTS(49195));
    close_world(&world);
}

static void one_fills_and_the_other_goes(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 0);
    (void)enter(&world, E8(490), E8(520));
    fill(&world, world.commands[0].child, IPC_STATUS_FILLED, 50, E8(502));
    uint32_t stop = command_of(&world, 1, IPC_ACTION_PLACE, IPC_TYPE_SLM)->child;
    uint32_t target = command_of(&world, 1, IPC_ACTION_PLACE, IPC_TYPE_LIMIT)->child;
    see_open(&world);

    uint32_t from = world.command_count; /* a part: the stop keeps what is left */
    fill(&world, target, IPC_STATUS_OPEN, 20, CENTS(52210));
    assert_int_equal(world.command_count, from + 1);
    assert_int_equal(world.commands[from].action, IPC_ACTION_MODIFY);
    assert_int_equal(world.commands[from].child, stop);
    assert_int_equal(world.commands[from].qty_e8, E8(30));
    assert_int_equal(held(&world), 30);

    from = world.command_count; /* E32 */
    fill(&world, target, IPC_STATUS_FILLED, 50, CENTS(52210));
    assert_int_equal(world.command_count, from + 1);
    assert_int_equal(world.commands[from].action, IPC_ACTION_CANCEL);
    assert_int_equal(world.commands[from].child, stop);
    assert_int_equal(held(&world), 0);
    from = world.command_count;
    fill(&world, stop, IPC_STATUS_CANCELLED, 0, 0);
    assert_int_equal(world.command_count, from); /* nothing comes after them */
    close_world(&world);
}

static void an_exit_goes_before_the_legs(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 0);
    struct ipc_event entry = enter(&world, E8(490), E8(520));
    entry.status = IPC_STATUS_FILLED;
    entry.filled_qty_e8 = E8(50);
    entry.average_price_e8 = E8(500);
    entry.version++;
    (void)world_event(&world, &entry);
    settle(&world, world.command_count);
    fill(&world, world.commands[0].child, IPC_STATUS_FILLED, 50, E8(502));
    uint32_t stop = command_of(&world, 1, IPC_ACTION_PLACE, IPC_TYPE_SLM)->child;
    uint32_t target = command_of(&world, 1, IPC_ACTION_PLACE, IPC_TYPE_LIMIT)->child;
    see_open(&world);

    /* He sells 20 at the market: the legs are cancelled, then 20 close, then 30 are protected. */
    uint32_t from = world.command_count;
    struct ipc_event exit = world_order(&world, IPC_SIDE_SELL, 20, 0);
    exit.type = IPC_TYPE_MARKET;
    (void)world_event(&world, &exit);
    settle(&world, from);
    assert_int_equal(world.command_count, from + 2);
    assert_int_equal(world.commands[from].action, IPC_ACTION_CANCEL);
    assert_int_equal(world.commands[from + 1].action, IPC_ACTION_CANCEL);
    from = world.command_count;
    fill(&world, stop, IPC_STATUS_CANCELLED, 0, 0);
    fill(&world, target, IPC_STATUS_CANCELLED, 0, 0);
    const struct ipc_command *close = command_of(&world, from, IPC_ACTION_PLACE, IPC_TYPE_MARKET);
    assert_non_null(close);
    assert_int_equal(close->qty_e8, E8(20));
    fill(&world, close->child, IPC_STATUS_FILLED, 20, E8(501));
    assert_int_equal(held(&world), 30);
    see_open(&world);
    int64_t left;
    assert_int_equal(live_legs(&world, &left), 2);
    assert_int_equal(left, E8(60));
    close_world(&world);
}

/* A trailing stop is the master's: he moves it, and each copy's leg follows; what he moves while
 * one amendment is unanswered comes to one. */
static void a_moved_stop_is_followed(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 0);
    struct ipc_event entry = enter(&world, E8(490), 0);
    fill(&world, world.commands[0].child, IPC_STATUS_FILLED, 50, E8(500));
    see_open(&world);
    uint32_t from = world.command_count;
    for (int64_t i = 1; i <= 25; i++) {
        entry.stop_e8 = E8(490) + i * CENTS(10);
        entry.version++;
        (void)world_event(&world, &entry);
        (void)world_waves(&world);
    }
    assert_int_equal(world.command_count, from + 1); /* the first; the others wait for its answer */
    assert_int_equal(world.commands[from].action, IPC_ACTION_MODIFY);
    assert_int_equal(world.commands[from].trigger_e8, CENTS(49010));
    settle(&world, from);
    assert_int_equal(world.command_count, from + 2);
    assert_int_equal(world.commands[from + 1].trigger_e8, CENTS(49250));
    close_world(&world);
}

static void choices(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t flags;
        int64_t trail_e8;
        uint32_t stops, targets;
    } table[] = {
        {"both", 0, 0, 1, 1},
        {"E30: one order rests", IPC_POLICY_ONE_RESTING, 0, 1, 0},
        {"no stops", IPC_POLICY_NO_STOPS, 0, 0, 0},
        {"a trail is not made", 0, E8(5), 0, 0},
    };
    for (size_t i = 0; i < LS_COUNT_OF(table); i++) {
        struct world world;
        open_world(&world, table[i].flags);
        struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 50, E8(500));
        event.stop_e8 = E8(490);
        event.target_e8 = E8(520);
        event.trail_e8 = table[i].trail_e8;
        (void)world_event(&world, &event);
        settle(&world, 0);
        fill(&world, world.commands[0].child, IPC_STATUS_FILLED, 50, E8(502));
        uint32_t stops = 0, targets = 0;
        for (uint32_t at = 1; at < world.command_count; at++) {
            stops += world.commands[at].type == IPC_TYPE_SLM;
            targets += world.commands[at].type == IPC_TYPE_LIMIT;
        }
        if (stops != table[i].stops || targets != table[i].targets)
            fail_msg("%s: %u stops, %u targets", table[i].name, stops, targets);
        close_world(&world);
    }
}

static void a_refused_leg_is_not_repeated(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 0);
    (void)enter(&world, E8(490), 0);
    (void)world_update(&world, world.commands[0].child, IPC_STATUS_FILLED, 50, E8(502));
    (void)world_waves(&world);
    assert_int_equal(world.command_count, 2);
    world_reply(&world, &world.commands[1], IPC_OUTCOME_REJECTED, IPC_EVIDENCE_REPLY, NULL);
    settle(&world, world.command_count);
    assert_int_equal(world.command_count, 2);
    close_world(&world);
}

static void both_fill(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 0);
    (void)enter(&world, E8(490), E8(520));
    fill(&world, world.commands[0].child, IPC_STATUS_FILLED, 50, E8(502));
    uint32_t stop = command_of(&world, 1, IPC_ACTION_PLACE, IPC_TYPE_SLM)->child;
    uint32_t target = command_of(&world, 1, IPC_ACTION_PLACE, IPC_TYPE_LIMIT)->child;
    fill(&world, target, IPC_STATUS_FILLED, 50, CENTS(52210));
    uint32_t from = world.command_count;
    fill(&world, stop, IPC_STATUS_FILLED, 50, CENTS(49195));
    assert_int_equal(held(&world), -50);         /* what the broker says is what stands */
    assert_int_equal(world.command_count, from); /* and nothing is done about it blindly */
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legs_are_anchored_on_the_own_fill),
        cmocka_unit_test(legs_follow_a_fill_in_parts),
        cmocka_unit_test(one_fills_and_the_other_goes),
        cmocka_unit_test(an_exit_goes_before_the_legs),
        cmocka_unit_test(a_moved_stop_is_followed),
        cmocka_unit_test(choices),
        cmocka_unit_test(a_refused_leg_is_not_repeated),
        cmocka_unit_test(both_fill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
