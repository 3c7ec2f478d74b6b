/* Followers who trade another contract than their master (symbol maps) in the core: what leaves is
 * the mapped instrument in its own lots and ticks, at its own price; what was copied is closed in
 * the instrument that it is in, also after the map was changed; a flat master leaves flat
 * followers. The world decides every batch twice, from its facts alone too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/core/flatten.h"
#include "tests/unit/engine/core/core_world.h"

#include <stdio.h>
#include <string.h>

#define E8(units) ((int64_t)((units)*100) * (LS_E8 / 100))

static struct ipc_row_list maps[3];
static struct ipc_row_map_item items[4];
static struct ipc_row_policy policies[2];

/* Follower 0 trades what its master trades; 1 maps instrument 1 to the future (3, lot 30), 2 maps
 * it and instrument 2 to the cash instrument with a freeze quantity (4), by factors. */
static void open_world(struct world *world)
{
    world_open(world, 3);
    memset(policies, 0, sizeof policies);
    items[0] = (struct ipc_row_map_item){.from = 1, .to = 3};
    items[1] = (struct ipc_row_map_item){.from = 1, .to = 4, .factor_e8 = E8(0.5)};
    items[2] = (struct ipc_row_map_item){.from = 2, .to = 4, .factor_e8 = E8(2)};
    items[3] = (struct ipc_row_map_item){.from = 1, .to = 4};
    maps[0] = (struct ipc_row_list){.first = 0, .count = 1};
    maps[1] = (struct ipc_row_list){.first = 1, .count = 2};
    maps[2] = (struct ipc_row_list){.first = 3, .count = 1};
    world->view.maps = maps;
    world->view.map_items = items;
    world->view.map_count = LS_COUNT_OF(maps);
    world->view.map_item_count = LS_COUNT_OF(items);
    world->view.policies = policies;
    world->view.policy_count = LS_COUNT_OF(policies);
    world->followers[1].map = 1;
    world->followers[2].map = 2;
    world->instruments[2].tick_e8 = E8(0.1);
    world->price_e8 = E8(100);
    world->mapped_price_e8 = E8(50);
    world_adopt(world);
}

static void close_world(struct world *world)
{
    world_check(world);
    eng_core_verify(world->core);
    world_restart(world, true);
    world_check(world);
    world_close(world);
}

static int64_t held(const struct world *world, uint32_t slot, uint32_t instrument)
{
    return eng_core_copied_position(world->core, 100 + slot, instrument, IPC_PRODUCT_MIS, NULL) /
           LS_E8;
}

/* Everything that leaves is answered and fills. */
static void settle(struct world *world, uint32_t from)
{
    for (uint32_t round = 0; round < 12; round++) {
        (void)world_waves(world);
        (void)world_release(world);
        for (; from < world->command_count; from++) {
            const struct ipc_command command = world->commands[from];
            world_ack(world, &command);
            if (command.action == IPC_ACTION_PLACE && command.type != IPC_TYPE_SLM)
                (void)world_update(
                    world, command.child, IPC_STATUS_FILLED, command.qty_e8 / LS_E8, E8(50));
            else if (command.action == IPC_ACTION_CANCEL)
                (void)world_update(world, command.child, IPC_STATUS_CANCELLED, 0, 0);
        }
    }
    assert_int_equal(world_waves(world), 0);
    eng_core_verify(world->core);
}

static void trade(struct world *world, uint32_t instrument, enum ipc_side side, int64_t units)
{
    struct ipc_event event = world_order(world, side, units, 0);
    uint32_t from = world->command_count;
    event.instrument = instrument;
    event.status = IPC_STATUS_FILLED;
    event.filled_qty_e8 = E8(units);
    event.average_price_e8 = E8(100);
    assert_int_equal(world_event(world, &event), 1);
    settle(world, from);
}

static const struct ipc_command *last_of(const struct world *world, uint32_t slot)
{
    for (uint32_t i = world->command_count; i > 0; i--)
        if (world->commands[i - 1].slot == slot)
            return &world->commands[i - 1];
    fail_msg("nothing left for slot %u", slot);
    return NULL;
}

/* Lot, instrument, factor; the share of what is held in the lots of its own instrument. */
static void copies_are_in_the_mapped_contract(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    trade(&world, 1, IPC_SIDE_BUY, 100);
    assert_int_equal(held(&world, 0, 1), 100);
    assert_int_equal(held(&world, 1, 3), 90); /* 100 -> lot 30 */
    assert_int_equal(held(&world, 2, 4), 50); /* 100 x 0.5 */
    assert_int_equal(last_of(&world, 1)->instrument, 3);
    assert_int_equal(held(&world, 1, 1), 0);

    trade(&world, 1, IPC_SIDE_SELL, 50);
    assert_int_equal(held(&world, 0, 1), 50);
    assert_int_equal(held(&world, 1, 3), 60); /* 90 x 50 / 100 = 45 -> 30 */
    assert_int_equal(held(&world, 2, 4), 25);
    trade(&world, 1, IPC_SIDE_BUY, 31);
    assert_int_equal(held(&world, 1, 3), 90);
    trade(&world, 1, IPC_SIDE_SELL, 81);
    for (uint32_t slot = 0; slot < 3; slot++)
        assert_int_equal(held(&world, slot, slot == 0 ? 1 : slot == 1 ? 3 : 4), 0);
    close_world(&world);
}

/* Pending orders keep the master's terms, on the tick of what is traded; they follow amendments. */
static void pending_copies_follow_in_their_lots(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    struct ipc_event order = world_order(&world, IPC_SIDE_BUY, 100, E8(99.95));
    assert_int_equal(world_event(&world, &order), 1);
    assert_int_equal(world_waves(&world), 3);
    for (uint32_t i = 0; i < 3; i++)
        world_ack(&world, &world.commands[i]);
    const struct ipc_command *mapped = last_of(&world, 1);
    assert_int_equal(mapped->qty_e8, E8(90));
    assert_int_equal(mapped->price_e8, E8(99.9)); /* its tick is 0.1 */
    uint32_t child = mapped->child;

    order.version = 0;
    order.qty_e8 = E8(160);
    order.price_e8 = E8(98.05);
    assert_int_equal(world_event(&world, &order), 1);
    assert_int_equal(world_waves(&world), 3);
    mapped = last_of(&world, 1);
    assert_int_equal(mapped->action, IPC_ACTION_MODIFY);
    assert_int_equal(mapped->child, child);
    assert_int_equal(mapped->qty_e8, E8(150));
    assert_int_equal(mapped->price_e8, E8(98));
    assert_int_equal(last_of(&world, 2)->qty_e8, E8(80));
    for (uint32_t i = 3; i < 6; i++)
        world_ack(&world, &world.commands[i]);

    /* The map is changed: the copy stays what it is, its rest goes with the master's order. */
    world.followers[1].map = 3;
    world_adopt(&world);
    order.version = 0;
    order.qty_e8 = E8(200);
    (void)world_event(&world, &order);
    assert_int_equal(world_waves(&world), 2);
    assert_int_equal(world_last_fact(&world, 1).reason, IPC_REASON_SUPERSEDED);
    order.version = 0;
    order.status = IPC_STATUS_CANCELLED;
    (void)world_event(&world, &order);
    for (uint32_t i = 6; i < 8; i++)
        world_ack(&world, &world.commands[i]);
    (void)world_waves(&world);
    assert_int_equal(last_of(&world, 1)->action, IPC_ACTION_CANCEL);
    assert_int_equal(last_of(&world, 1)->instrument, 3);
    close_world(&world);
}

/* A position is closed in what it is in, whatever the map says since. */
static void closes_follow_the_position_not_the_map(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    trade(&world, 1, IPC_SIDE_BUY, 100);
    world.followers[1].map = 3; /* instrument 4 from now on */
    world.followers[2].map = 0; /* and instrument 1 itself */
    world_adopt(&world);
    trade(&world, 1, IPC_SIDE_BUY, 100);
    assert_int_equal(held(&world, 1, 3), 90);
    assert_int_equal(held(&world, 1, 4), 100);
    assert_int_equal(held(&world, 2, 4), 50);
    assert_int_equal(held(&world, 2, 1), 100);
    trade(&world, 1, IPC_SIDE_SELL, 100);
    assert_int_equal(held(&world, 1, 3), 60); /* 90 x 100 / 200 = 45 -> 30 */
    assert_int_equal(held(&world, 1, 4), 50);
    assert_int_equal(held(&world, 2, 4), 25);
    assert_int_equal(held(&world, 2, 1), 50);
    trade(&world, 1, IPC_SIDE_SELL, 150); /* and 50 more: a reversal */
    assert_int_equal(held(&world, 1, 3), 0);
    assert_int_equal(held(&world, 1, 4), -50);
    assert_int_equal(held(&world, 2, 4), 0);
    assert_int_equal(held(&world, 2, 1), -50);
    assert_int_equal(held(&world, 0, 1), -50);
    trade(&world, 1, IPC_SIDE_BUY, 50);
    assert_int_equal(held(&world, 1, 4), 0);
    assert_int_equal(held(&world, 2, 1), 0);
    close_world(&world);
}

/* A reversal closes in the old contract and opens in the new one. */
static void a_reversal_opens_by_the_map_of_now(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    trade(&world, 1, IPC_SIDE_BUY, 100);
    world.followers[1].map = 3;
    world.followers[2].map = 0;
    world_adopt(&world);
    trade(&world, 1, IPC_SIDE_SELL, 160);
    assert_int_equal(held(&world, 1, 3), 0);
    assert_int_equal(held(&world, 1, 4), -60);
    assert_int_equal(held(&world, 2, 4), 0);
    assert_int_equal(held(&world, 2, 1), -60);
    assert_int_equal(held(&world, 0, 1), -60);
    close_world(&world);
}

/* Two instruments of the master in one of the follower's are two positions, and one exposure. */
static void two_sources_are_two_positions(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    world.followers[2].max_position_e8 = E8(200);
    world_adopt(&world);
    trade(&world, 1, IPC_SIDE_BUY, 100);
    trade(&world, 2, IPC_SIDE_BUY, 130); /* 130 x 2 = 260, room for 150 */
    assert_int_equal(last_of(&world, 2)->qty_e8, E8(150));
    assert_int_equal(last_of(&world, 2)->instrument, 4);
    trade(&world, 1, IPC_SIDE_SELL, 100);
    assert_int_equal(last_of(&world, 2)->qty_e8, E8(50));
    trade(&world, 2, IPC_SIDE_SELL, 65);
    assert_int_equal(last_of(&world, 2)->qty_e8, E8(75));
    trade(&world, 2, IPC_SIDE_SELL, 65);
    assert_int_equal(last_of(&world, 2)->qty_e8, E8(75));
    close_world(&world);
}

/* The value is that of what is traded; without its price nothing opens, and exits go all the same.
 */
static void its_own_price_counts(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    world.followers[1].max_order_value_e8 = E8(3000); /* 60 at 50, none at 100 x 100 */
    world.followers[1].flags |= IPC_FOLLOWER_VALUE_REDUCES;
    world.followers[2].policy = 1;
    policies[0].slippage_cap_e8 = LS_E8 / 100;
    world_adopt(&world);
    trade(&world, 1, IPC_SIDE_BUY, 100);
    assert_int_equal(held(&world, 1, 3), 60);
    assert_int_equal(last_of(&world, 2)->type, IPC_TYPE_LIMIT);
    assert_int_equal(last_of(&world, 2)->price_e8, E8(50.5)); /* not 101 */
    world.mapped_price_e8 = 0;
    trade(&world, 1, IPC_SIDE_BUY, 100);
    assert_int_equal(world_last_fact(&world, 1).reason, IPC_REASON_PRICE_UNKNOWN);
    assert_int_equal(world_last_fact(&world, 2).reason, IPC_REASON_PRICE_UNKNOWN);
    trade(&world, 1, IPC_SIDE_SELL, 200);
    assert_int_equal(held(&world, 1, 3), 0);
    assert_int_equal(held(&world, 2, 4), 0);
    close_world(&world);
}

/* A broker that takes no market orders gets the band around the mapped price, never around the
 * master's fill. */
static void protected_prices_are_its_own(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    world.followers[1].broker = 1;
    world_adopt(&world);
    trade(&world, 1, IPC_SIDE_BUY, 100);
    const struct ipc_command *entry = last_of(&world, 1);
    assert_int_equal(entry->type, IPC_TYPE_LIMIT);
    assert_in_range(entry->price_e8, E8(50), E8(55));
    trade(&world, 1, IPC_SIDE_SELL, 60);
    const struct ipc_command *exit = last_of(&world, 1);
    assert_int_equal(exit->type, IPC_TYPE_LIMIT);
    assert_in_range(exit->price_e8, E8(45), E8(50));
    trade(&world, 1, IPC_SIDE_SELL, 40);
    assert_int_equal(held(&world, 1, 3), 0);
    close_world(&world);
}

/* Slices are those of what is traded. */
static void slices_are_of_the_mapped_freeze(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    trade(&world, 1, IPC_SIDE_BUY, 8000); /* x 0.5 = 4,000: 1,800, 1,800, 400 */
    uint32_t count = 0;
    for (uint32_t i = 0; i < world.command_count; i++) {
        count += world.commands[i].slot == 2;
        assert_true(world.commands[i].slot != 2 || world.commands[i].qty_e8 <= E8(1800));
    }
    assert_int_equal(count, 3);
    assert_int_equal(held(&world, 2, 4), 4000);
    trade(&world, 1, IPC_SIDE_SELL, 8000);
    assert_int_equal(held(&world, 2, 4), 0);
    close_world(&world);
}

/* An order in doubt bars further openings of what is traded, from whichever instrument they come.
 */
static void doubt_is_about_what_is_traded(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    struct ipc_event order = world_order(&world, IPC_SIDE_BUY, 100, 0);
    (void)world_event(&world, &order);
    assert_int_equal(world_waves(&world), 3);
    for (uint32_t i = 0; i < 3; i++) {
        if (world.commands[i].slot == 2)
            world_reply(
                &world, &world.commands[i], IPC_OUTCOME_UNKNOWN, IPC_EVIDENCE_TIMEOUT, NULL);
        else
            world_ack(&world, &world.commands[i]);
    }
    struct ipc_event other = world_order(&world, IPC_SIDE_BUY, 65, 0);
    other.instrument = 2;
    (void)world_event(&world, &other);
    (void)world_waves(&world);
    assert_int_equal(world_last_fact(&world, 2).reason, IPC_REASON_UNKNOWN_PENDING);
    close_world(&world);
}

/* A bracket's legs protect what was bought, priced from what it cost there. */
static void legs_are_in_the_mapped_contract(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    struct ipc_event order = world_order(&world, IPC_SIDE_BUY, 100, E8(100));
    order.stop_e8 = E8(98);
    order.status = IPC_STATUS_FILLED;
    order.filled_qty_e8 = E8(100);
    order.average_price_e8 = E8(100);
    (void)world_event(&world, &order);
    settle(&world, 0);
    const struct ipc_command *leg = last_of(&world, 1);
    assert_int_equal(leg->type, IPC_TYPE_SLM);
    assert_int_equal(leg->instrument, 3);
    assert_int_equal(leg->qty_e8, E8(90));
    assert_int_equal(leg->trigger_e8, E8(49)); /* 2 % below 50 */
    trade(&world, 1, IPC_SIDE_SELL, 100);
    assert_int_equal(held(&world, 1, 3), 0);
    assert_int_equal(held(&world, 2, 4), 0);
    close_world(&world);
}

/* Flattening by a person closes it in its own instrument. */
static void flattening_closes_what_is_held(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    trade(&world, 1, IPC_SIDE_BUY, 100);
    trade(&world, 2, IPC_SIDE_BUY, 65);
    struct ipc_fact_limit fact = {.act = IPC_LIMIT_ACT_FLATTEN,
        .scope = IPC_LIMIT_SCOPE_LINK,
        .flatten = 1,
        .follower_no = 102,
        .incarnation = 1,
        .slot = 2,
        .account = world.followers[2].account};
    world_apply(&world, IPC_FACT_LIMIT, &fact, sizeof fact, 1);
    uint32_t cursor = 0, from = world.command_count;
    struct eng_flatten flatten;
    for (int i = 0; i < 2; i++) {
        struct ipc_fact_event own;
        struct ipc_fact_alarm alarm;
        bool has_alarm;
        assert_true(eng_flatten_next(world.core, &cursor, 100, world.now_mono_ns, &flatten));
        assert_true(eng_flatten_decide(world.core, &flatten, IPC_SWITCH_RUN, world.now_mono_ns,
            world.now_wall_ns + i, &own, &alarm, &has_alarm));
        world_apply(&world, IPC_FACT_EVENT, &own, sizeof own, 1);
    }
    settle(&world, from);
    assert_int_equal(eng_flatten_open(world.core), 0);
    int64_t sold = 0;
    for (uint32_t i = from; i < world.command_count; i++) {
        assert_int_equal(world.commands[i].instrument, 4);
        sold += world.commands[i].qty_e8;
    }
    assert_int_equal(sold, E8(50 + 130));
    close_world(&world);
}

/* --- property ------------------------------------------------------------------------------------
 */

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

struct naive {
    int64_t master, held, base_m, base_f, reduced, closed;
};

static int64_t lots(int64_t num, int64_t den, int64_t lot)
{
    return num / (den * lot) * lot;
}

/* The model: one follower, one instrument, everything fills at once. Ratio num/den, its lot. */
static void naive_trade(struct naive *at, int64_t units, int64_t num, int64_t den, int64_t lot)
{
    int64_t size = units < 0 ? -units : units, was = at->master < 0 ? -at->master : at->master;
    int64_t sign = at->master > 0 ? 1 : -1;
    bool reduces = at->master != 0 && (units > 0) != (at->master > 0);
    if (reduces) {
        int64_t part = size < was ? size : was;
        if (at->base_m == 0) {
            at->base_m = was;
            at->base_f = at->held * sign;
            at->reduced = at->closed = 0;
        }
        at->reduced += part;
        int64_t total = at->reduced == at->base_m ? at->base_f
                                                  : lots(at->base_f * at->reduced, at->base_m, lot);
        at->held -= sign * (total - at->closed);
        at->closed = total;
        size -= part;
    }
    at->master += units;
    if (size == 0)
        return;
    at->base_m = 0;
    at->held += (units > 0 ? 1 : -1) * lots(size * num, den, lot);
}

static void positions_are_what_the_model_says(void **state)
{
    (void)state;
    uint64_t seed = 20261121;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 12; round++) {
        struct world world;
        struct naive plain = {0}, future = {0}, factor = {0};
        open_world(&world);
        for (int step = 0; step < 20; step++) {
            int64_t units = 1 + (int64_t)(next_random(&seed) % 160);
            if (next_random(&seed) % 2 == 0)
                units = -units;
            if (step == 19)
                units = -plain.master;
            if (units == 0)
                continue;
            trade(&world, 1, units > 0 ? IPC_SIDE_BUY : IPC_SIDE_SELL, units > 0 ? units : -units);
            naive_trade(&plain, units, 1, 1, 1);
            naive_trade(&future, units, 1, 1, 30);
            naive_trade(&factor, units, 1, 2, 1);
            assert_int_equal(held(&world, 0, 1), plain.held);
            assert_int_equal(held(&world, 1, 3), future.held);
            assert_int_equal(held(&world, 2, 4), factor.held);
        }
        for (uint32_t slot = 0; slot < 3; slot++)
            assert_int_equal(held(&world, slot, slot == 0 ? 1 : slot == 1 ? 3 : 4), 0);
        close_world(&world);
    }
}

/* With maps that change at any time: a flat master leaves nothing anywhere. */
static void a_flat_master_leaves_flat_followers(void **state)
{
    (void)state;
    uint64_t seed = 7001;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 12; round++) {
        struct world world;
        int64_t master = 0;
        open_world(&world);
        for (int step = 0; step < 16; step++) {
            int64_t units = 1 + (int64_t)(next_random(&seed) % 200);
            if (next_random(&seed) % 4 == 0) {
                world.followers[1 + next_random(&seed) % 2].map =
                    (uint32_t)(next_random(&seed) % 4);
                world_adopt(&world);
            }
            if (next_random(&seed) % 2 == 0)
                units = -units;
            if (step == 15)
                units = -master;
            if (units == 0)
                continue;
            trade(&world, 1, units > 0 ? IPC_SIDE_BUY : IPC_SIDE_SELL, units > 0 ? units : -units);
            master += units;
        }
        for (uint32_t slot = 0; slot < 3; slot++)
            for (uint32_t instrument = 1; instrument <= 4; instrument++)
                assert_int_equal(held(&world, slot, instrument), 0);
        close_world(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_are_in_the_mapped_contract),
        cmocka_unit_test(pending_copies_follow_in_their_lots),
        cmocka_unit_test(closes_follow_the_position_not_the_map),
        cmocka_unit_test(a_reversal_opens_by_the_map_of_now),
        cmocka_unit_test(two_sources_are_two_positions),
        cmocka_unit_test(its_own_price_counts),
        cmocka_unit_test(protected_prices_are_its_own),
        cmocka_unit_test(slices_are_of_the_mapped_freeze),
        cmocka_unit_test(doubt_is_about_what_is_traded),
        cmocka_unit_test(legs_are_in_the_mapped_contract),
        cmocka_unit_test(flattening_closes_what_is_held),
        cmocka_unit_test(positions_are_what_the_model_says),
        cmocka_unit_test(a_flat_master_leaves_flat_followers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
