#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "ipc/prng.h"
#include "tests/unit/engine/core/core_world.h"

/* Amended openings are judged as openings are (SEMANTICS 2, 8): what is added is one, what is taken
 * away is none. And the two ways of deciding an opening, the short one of plain followers and
 * eng_judge, give the same. */

#define E8(units) ((int64_t)(units)*LS_E8)

static struct ipc_row_policy policies[2];

static void open_world(struct world *world, uint32_t followers)
{
    world_open(world, followers);
    memset(policies, 0, sizeof policies);
    world->view.policies = policies;
    world->view.policy_count = LS_COUNT_OF(policies);
    world->price_e8 = E8(100);
    world->price_mono_ns = world->now_mono_ns;
}

/* An order that fills against a market order of the master is guarded also where it is placed
 * beside a copy, because he made his larger; the copy that left keeps its form. */
static void what_an_amendment_adds_is_guarded(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    policies[0].slippage_cap_e8 = LS_E8 / 200;
    world.followers[0].policy = 1;
    world_adopt(&world);
    struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 10, 0);
    entry.type = IPC_TYPE_MARKET;
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 1);
    world_ack(&world, &world.commands[0]);
    (void)world_update(&world, world.commands[0].child, IPC_STATUS_FILLED, 10, E8(100));
    entry.version = 0;
    entry.qty_e8 = E8(25);
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 1);
    const struct ipc_command *added = &world.commands[1];
    assert_int_equal(added->action, IPC_ACTION_PLACE);
    assert_int_equal(added->qty_e8, E8(15));
    assert_int_equal(added->type, IPC_TYPE_LIMIT);
    assert_int_equal(added->validity, IPC_VALIDITY_IOC);
    assert_int_equal(added->price_e8, E8(100) + LS_E8 / 2);
    world_ack(&world, added);
    entry.version = 0;
    entry.qty_e8 = E8(40);
    (void)world_event(&world, &entry); /* while the second one works */
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world.commands[2].action, IPC_ACTION_MODIFY);
    assert_int_equal(world.commands[2].qty_e8, E8(30));
    assert_int_equal(world.commands[2].type, IPC_TYPE_LIMIT);
    assert_int_equal(world.commands[2].price_e8, E8(100) + LS_E8 / 2);
    world_check(&world);
    world_restart(&world, true);
    world_close(&world);
}

/* A pause, a cap of the day and the like bar what would be added; what the master takes away is
 * taken away. */
static void what_an_amendment_takes_away_is_not_barred(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint8_t flags, word;
        int64_t qty;    /* of 50 */
        uint8_t action; /* that leaves, 0 = nothing */
        uint8_t reason; /* of what does not */
    } rows[] = {
        {"smaller", 0, IPC_SWITCH_RUN, 30, IPC_ACTION_MODIFY, 0},
        {"larger", 0, IPC_SWITCH_RUN, 60, IPC_ACTION_MODIFY, 0},
        {"paused, smaller", IPC_FOLLOWER_PAUSED, IPC_SWITCH_RUN, 30, IPC_ACTION_MODIFY, 0},
        {"paused, larger", IPC_FOLLOWER_PAUSED, IPC_SWITCH_RUN, 60, 0, IPC_REASON_COPY_PAUSED},
        {"close-only, smaller", 0, IPC_SWITCH_CLOSE_ONLY, 30, 0, IPC_REASON_KILL_SWITCH},
        {"close-only, larger", 0, IPC_SWITCH_CLOSE_ONLY, 60, 0, IPC_REASON_KILL_SWITCH},
    };
    for (size_t i = 0; i < 2 * LS_COUNT_OF(rows); i++) { /* plain, and with a policy */
        size_t at = i / 2;
        struct world world;
        open_world(&world, 1);
        world.followers[0].policy = i % 2;
        world_adopt(&world);
        struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 50, E8(100));
        (void)world_event(&world, &entry);
        assert_int_equal(world_waves(&world), 1);
        world_ack(&world, &world.commands[0]);
        world.followers[0].flags |= rows[at].flags;
        world.word = rows[at].word;
        world_adopt(&world);
        entry.version = 0;
        entry.qty_e8 = E8(rows[at].qty);
        (void)world_event(&world, &entry);
        uint32_t left = world_waves(&world);
        if (left != (rows[at].action != 0 ? 1 : 0))
            fail_msg("%s: %u leave", rows[at].what, left);
        if (left != 0 && (world.commands[1].action != rows[at].action ||
                             world.commands[1].qty_e8 != E8(rows[at].qty)))
            fail_msg("%s: %lld", rows[at].what, (long long)(world.commands[1].qty_e8 / LS_E8));
        if (left == 0 && world_last_fact(&world, 0).reason != rows[at].reason)
            fail_msg("%s: reason %u", rows[at].what, world_last_fact(&world, 0).reason);
        world_check(&world);
        world_restart(&world, true);
        world_close(&world);
    }
}

/* D06: when the master is flat by what leaves now, a stop that rests gives way with all it holds.
 */
static void a_stop_gives_way_to_a_flat_master(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 100, E8(100));
    entry.status = IPC_STATUS_FILLED;
    entry.filled_qty_e8 = E8(100);
    entry.average_price_e8 = E8(100);
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 1);
    world_ack(&world, &world.commands[0]);
    (void)world_update(&world, world.commands[0].child, IPC_STATUS_FILLED, 100, E8(100));
    struct ipc_event stop = world_order(&world, IPC_SIDE_SELL, 60, 0);
    stop.type = IPC_TYPE_SLM;
    stop.trigger_e8 = E8(95);
    (void)world_event(&world, &stop);
    assert_int_equal(world_waves(&world), 1);
    uint32_t resting = world.commands[1].child;
    world_ack(&world, &world.commands[1]);
    struct ipc_event leave = world_order(&world, IPC_SIDE_SELL, 100, 0);
    leave.type = IPC_TYPE_MARKET;
    leave.status = IPC_STATUS_FILLED;
    leave.filled_qty_e8 = E8(100);
    leave.average_price_e8 = E8(99);
    (void)world_event(&world, &leave);
    uint32_t seen = world.command_count;
    for (int round = 0; round < 8; round++) {
        (void)world_waves(&world);
        (void)world_release(&world);
        for (; seen < world.command_count; seen++) {
            struct ipc_command command = world.commands[seen];
            world_ack(&world, &command);
            if (command.child == resting)
                (void)world_update(&world, resting, IPC_STATUS_CANCELLED, 0, 0);
            else
                (void)world_update(
                    &world, command.child, IPC_STATUS_FILLED, command.qty_e8 / LS_E8, E8(99));
        }
    }
    assert_int_equal(eng_core_copied_position(world.core, 100, 1, IPC_PRODUCT_MIS, NULL), 0);
    world_check(&world);
    world_close(&world);
}

/* What a price guard did not let fill is told, whole or in part. */
static void what_the_guard_left_is_told(void **state)
{
    (void)state;
    for (int filled = 0; filled <= 4; filled += 4) {
        struct world world;
        open_world(&world, 1);
        policies[0].slippage_cap_e8 = LS_E8 / 200;
        world.followers[0].policy = 1;
        world_adopt(&world);
        struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 10, 0);
        entry.type = IPC_TYPE_MARKET;
        (void)world_event(&world, &entry);
        assert_int_equal(world_waves(&world), 1);
        world_ack(&world, &world.commands[0]);
        (void)world_update(&world, world.commands[0].child, IPC_STATUS_CANCELLED, filled, E8(100));
        assert_int_equal(world_child(&world, 0).reason,
            filled != 0 ? IPC_REASON_SLIPPAGE_PARTIAL : IPC_REASON_SLIPPAGE);
        world_check(&world);
        world_restart(&world, true);
        world_close(&world);
    }
}

/* The freeze quantity fell while a copy waited: its amendment leaves in orders that are allowed. */
static void a_waiting_copy_is_cut_to_the_freeze_quantity_of_now(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1);
    world.cannot_send[0] = 1;
    struct ipc_event entry = world_order(&world, IPC_SIDE_BUY, 900, E8(100));
    entry.instrument = 4;
    (void)world_event(&world, &entry);
    assert_int_equal(world_waves(&world), 0);
    world.instruments[3].freeze_qty_e8 = E8(600);
    world.cannot_send[0] = 0;
    world_adopt(&world);
    entry.version = 0;
    entry.price_e8 = E8(101);
    (void)world_event(&world, &entry);
    (void)world_waves(&world);
    for (int i = 0; i < 4; i++)
        (void)world_release(&world);
    assert_int_equal(world.command_count, 2);
    assert_int_equal(world.commands[0].qty_e8 + world.commands[1].qty_e8, E8(900));
    assert_true(world.commands[0].qty_e8 <= E8(600) && world.commands[1].qty_e8 <= E8(600));
    world_check(&world);
    world_close(&world);
}

/* --- two ways, one answer -----------------------------------------------------------------------
 */

#define PAIRS  16
#define LIVES  16
#define ORDERS 480

static struct ipc_prng prng;
static uint64_t compared;

static int64_t pick(int64_t low, int64_t high)
{
    return low + (int64_t)(ipc_prng_next(&prng) % (uint64_t)(high - low + 1));
}

static bool chance(int64_t of)
{
    return pick(1, of) == 1;
}

/* Settings that the short way knows; the odd one of each pair has an empty policy beside. */
static void random_row(struct ipc_row_follower *row)
{
    static const uint8_t modes[] = {
        IPC_MODE_FIXED_RATIO, IPC_MODE_FIXED_RATIO, IPC_MODE_FIXED_QUANTITY, IPC_MODE_PERCENTAGE};
    row->mode = modes[pick(0, 3)];
    row->ratio_e8 = row->mode == IPC_MODE_PERCENTAGE ? pick(1, 30) * (LS_E8 / 100)
                                                     : pick(0, 300) * (LS_E8 / 100);
    row->fixed_qty_e8 = row->mode == IPC_MODE_FIXED_QUANTITY ? E8(pick(1, 200)) : 0;
    row->flags = IPC_FOLLOWER_ENABLED;
    row->flags |= chance(4) ? 0 : IPC_FOLLOWER_ALLOW_SHORT;
    row->flags |= chance(12) ? IPC_FOLLOWER_PAUSED : 0;
    row->flags |= chance(2) ? IPC_FOLLOWER_CAP_SKIPS : 0;
    row->flags |= chance(2) ? IPC_FOLLOWER_VALUE_REDUCES : 0;
    row->max_qty_e8 = chance(3) ? E8(pick(1, 300)) : 0;
    row->max_position_e8 = chance(3) ? E8(pick(1, 600)) : 0;
    row->max_order_value_e8 = chance(3) ? E8(pick(100, 60000)) : 0;
    row->sides = (uint8_t)(chance(8) ? 1u << pick(IPC_SIDE_BUY, IPC_SIDE_SELL) : 0u);
    row->types = chance(8) ? (uint8_t)(1u << IPC_TYPE_LIMIT) : 0;
    row->price_max_age_ms = chance(3) ? (uint32_t)pick(1, 3000) : 0;
    row->capital_max_age_ms = chance(3) ? (uint32_t)pick(1, 3000) : 0;
    row->max_age_market_ms = chance(6) ? (uint32_t)pick(1, 3000) : 0;
}

static void compare(struct world *world, const struct eng_batch *batch,
    const struct eng_batch_sample *sample, const struct eng_follower_sample *samples,
    const struct ipc_fact_batch *fact, const struct ipc_fact_child *children, void *context)
{
    (void)batch;
    (void)sample;
    (void)samples;
    const struct ipc_fact_child *of[2 * PAIRS] = {NULL};
    for (uint32_t i = 0; i < fact->child_count; i++) {
        if (children[i].follower_no != 0 && of[children[i].slot] == NULL)
            of[children[i].slot] = &children[i];
    }
    for (uint32_t pair = 0; pair < PAIRS; pair++) {
        const struct ipc_fact_child *plain = of[2 * pair], *full = of[2 * pair + 1];
        if (plain == NULL || full == NULL)
            continue; /* its twin is in another frame: see below */
        compared++;
        bool places = plain->kind != IPC_CHILD_SKIP;
        if (plain->kind == full->kind && plain->reason == full->reason &&
            (!places || plain->qty_e8 == full->qty_e8))
            continue;
        fail_msg(
            "seed %llu: slot %u, mode %u: %s %lld %s by the short way, %s %lld %s by the judge",
            (unsigned long long)*(uint64_t *)context, 2 * pair, world->followers[2 * pair].mode,
            ipc_child_kind_name((enum ipc_child_kind)plain->kind), (long long)plain->qty_e8,
            ipc_reason_name((enum ipc_reason)plain->reason),
            ipc_child_kind_name((enum ipc_child_kind)full->kind), (long long)full->qty_e8,
            ipc_reason_name((enum ipc_reason)full->reason));
    }
}

static void random_market(struct world *world)
{
    int64_t step = pick(0, 800) * LS_NS_PER_MS;
    world->now_mono_ns += step;
    world->now_wall_ns += step;
    if (chance(3)) {
        world->price_e8 = chance(8) ? 0 : pick(5000, 15000) * (LS_E8 / 100) / 5 * 5;
        world->price_mono_ns = world->now_mono_ns;
    }
    for (uint32_t i = 0; i < PAIRS; i++) {
        if (!chance(4))
            continue;
        int64_t capital = chance(8) ? 0 : E8(pick(1000, 90000));
        for (uint32_t twin = 2 * i; twin < 2 * i + 2; twin++) {
            world->capital_e8[twin] = capital;
            world->capital_mono_ns[twin] = world->now_mono_ns;
        }
    }
}

/* Twins live the same life: what the one fills, the other fills. */
static void fill_some(struct world *world, uint32_t first)
{
    uint64_t luck = ipc_prng_next(&prng);
    for (uint32_t i = first; i < world->command_count; i++) {
        struct ipc_command command = world->commands[i];
        if (command.action != IPC_ACTION_PLACE)
            continue;
        world_ack(world, &command);
        uint64_t own = (luck >> (command.slot / 2)) & 3;
        int64_t units = own == 0   ? 0
                        : own == 1 ? command.qty_e8 / LS_E8 / 2
                                   : command.qty_e8 / LS_E8;
        if (units > 0)
            (void)world_update(world, command.child,
                units == command.qty_e8 / LS_E8 ? IPC_STATUS_FILLED : IPC_STATUS_OPEN, units,
                E8(100));
    }
}

static void random_twins(struct world *world)
{
    for (uint32_t i = 0; i < PAIRS; i++) {
        struct ipc_row_follower *plain = &world->followers[2 * i], *full = plain + 1;
        uint32_t account = full->account, follower_no = full->follower_no;
        random_row(plain);
        *full = *plain;
        full->account = account;
        full->follower_no = follower_no;
        full->policy = 1;
    }
    world_adopt(world);
}

static void one_life(uint64_t seed)
{
    struct world world;
    ipc_prng_seed(&prng, seed);
    open_world(&world, 2 * PAIRS);
    world.on_batch = compare;
    world.context = &seed;
    for (int i = 0; i < ORDERS; i++) {
        if (i % 24 == 0)
            random_twins(&world);
        random_market(&world);
        struct ipc_event order =
            world_order(&world, chance(2) ? IPC_SIDE_BUY : IPC_SIDE_SELL, pick(1, 400), 0);
        order.instrument = (uint32_t)pick(1, WORLD_INSTRUMENTS);
        order.type = chance(2) ? IPC_TYPE_MARKET : IPC_TYPE_LIMIT;
        if (order.type == IPC_TYPE_LIMIT)
            order.price_e8 = pick(1000, 3000) * (LS_E8 / 20);
        uint32_t first = world.command_count;
        (void)world_event(&world, &order);
        (void)world_waves(&world);
        (void)world_release(&world);
        fill_some(&world, first);
        if (chance(2) && order.type == IPC_TYPE_LIMIT) {
            order.version = 0;
            order.qty_e8 = E8(pick(1, 500));
            order.price_e8 = pick(1000, 3000) * (LS_E8 / 20);
            (void)world_event(&world, &order);
            (void)world_waves(&world);
        }
    }
    world_close(&world);
}

static void both_ways_decide_the_same(void **state)
{
    (void)state;
    print_message("seeds 1 to %d\n", LIVES);
    compared = 0;
    for (uint64_t seed = 1; seed <= LIVES; seed++)
        one_life(seed);
    print_message("%llu decisions compared\n", (unsigned long long)compared);
    assert_true(compared > 50000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_amendment_adds_is_guarded),
        cmocka_unit_test(what_an_amendment_takes_away_is_not_barred),
        cmocka_unit_test(a_stop_gives_way_to_a_flat_master),
        cmocka_unit_test(what_the_guard_left_is_told),
        cmocka_unit_test(a_waiting_copy_is_cut_to_the_freeze_quantity_of_now),
        cmocka_unit_test(both_ways_decide_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
