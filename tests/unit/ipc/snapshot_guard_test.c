/* snapshot_guard_test.c: the table of what may move at once, and the numbers it compares. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "snapshot_world.h"

#define HALF (LS_E8 / 2)

/* Enabled count, and for one mode total and largest, in whole units; before and after. */
struct guard_case {
    int64_t fraction_e8;
    uint32_t enabled[2];
    int64_t total[2], largest[2];
    bool override, passes;
    const char *sentence;
};

static const struct guard_case cases[] = {
    /* nothing moves */
    {HALF, {10, 10}, {20, 20}, {5, 5}, false, true, NULL},
    /* the enabled count: exactly the fraction passes, one more does not */
    {HALF, {10, 15}, {20, 20}, {5, 5}, false, true, NULL},
    {HALF, {10, 16}, {20, 20}, {5, 5}, false, false, "number of enabled followers moves from 10"},
    {HALF, {10, 5}, {20, 20}, {5, 5}, false, true, NULL},
    {HALF, {10, 4}, {20, 20}, {5, 5}, false, false, "enabled followers"},
    {HALF, {10, 0}, {20, 0}, {5, 0}, false, false, "enabled followers"},
    {HALF, {1, 2}, {1, 2}, {1, 1}, false, false, "enabled followers"},
    {HALF, {2, 3}, {2, 3}, {1, 1}, false, true, NULL},
    /* the total */
    {HALF, {10, 10}, {20, 30}, {5, 5}, false, true, NULL},
    {HALF, {10, 10}, {20, 31}, {5, 5}, false, false, "total ratio"},
    {HALF, {10, 10}, {20, 9}, {5, 5}, false, false, "total ratio"},
    /* the largest */
    {HALF, {10, 10}, {20, 20}, {10, 15}, false, true, NULL},
    {HALF, {10, 10}, {20, 20}, {10, 16}, false, false, "largest ratio"},
    {HALF, {10, 10}, {20, 20}, {10, 4}, false, false, "largest ratio"},
    /* other fractions; 0 lets nothing move */
    {LS_E8 / 10, {10, 11}, {20, 22}, {10, 11}, false, true, NULL},
    {LS_E8 / 10, {10, 12}, {20, 22}, {10, 11}, false, false, "10.00 %"},
    {0, {10, 10}, {20, 20}, {10, 10}, false, true, NULL},
    {0, {10, 10}, {20, 21}, {10, 10}, false, false, "total"},
    {2 * LS_E8, {10, 30}, {20, 60}, {10, 30}, false, true, NULL},
    /* a person's word, and a generation with nothing enabled before it */
    {HALF, {10, 1000}, {20, 9000}, {10, 800}, true, true, NULL},
    {HALF, {0, 1000}, {0, 9000}, {0, 800}, false, true, NULL},
    /* sums that are large but did not stop */
    {HALF, {10, 10}, {INT64_MAX / LS_E8, INT64_MAX / LS_E8}, {5, 5}, false, true, NULL},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(cases); i++) {
        const struct guard_case *c = &cases[i];
        struct ipc_error error = {{0}};
        struct ipc_snapshot_stats stats[2];
        memset(stats, 0, sizeof(stats));
        for (int j = 0; j < 2; j++) {
            stats[j].enabled_followers = c->enabled[j];
            stats[j].total_e8[IPC_MODE_FIXED_RATIO] = c->total[j] * LS_E8;
            stats[j].largest_e8[IPC_MODE_FIXED_RATIO] = c->largest[j] * LS_E8;
        }
        enum ipc_rc rc =
            ipc_snapshot_guard(&stats[0], &stats[1], c->fraction_e8, c->override, &error);
        if (rc != (c->passes ? IPC_OK : IPC_REFUSED) ||
            (c->sentence && !strstr(error.text, c->sentence)))
            fail_msg("case %zu: %d %s", i, (int)rc, error.text);
    }
}

static void test_stopped_sums(void **state)
{
    (void)state;
    struct ipc_snapshot_stats old = {.enabled_followers = 5};
    old.total_e8[IPC_MODE_FIXED_QUANTITY] = INT64_MAX;
    assert_int_equal(ipc_snapshot_guard(&old, &old, HALF, false, NULL), IPC_REFUSED);
    assert_int_equal(ipc_snapshot_guard(&old, &old, HALF, true, NULL), IPC_OK);
}

static void test_first_generation(void **state)
{
    (void)state;
    struct ipc_snapshot_stats new_stats = {.enabled_followers = 1000000};
    assert_int_equal(ipc_snapshot_guard(NULL, &new_stats, HALF, false, NULL), IPC_OK);
}

/* Every mode is compared with itself: a quantity does not hide among ratios. */
static void test_each_mode(void **state)
{
    (void)state;
    for (uint32_t mode = IPC_MODE_FIXED_RATIO; mode < IPC_MODE_LIMIT; mode++) {
        struct ipc_snapshot_stats old = {.enabled_followers = 5};
        for (uint32_t i = IPC_MODE_FIXED_RATIO; i < IPC_MODE_LIMIT; i++)
            old.total_e8[i] = old.largest_e8[i] = 1000000 * LS_E8;
        old.total_e8[mode] = old.largest_e8[mode] = LS_E8;
        struct ipc_snapshot_stats new_stats = old;
        assert_int_equal(ipc_snapshot_guard(&old, &new_stats, HALF, false, NULL), IPC_OK);
        new_stats.total_e8[mode] = 2 * LS_E8;
        assert_int_equal(ipc_snapshot_guard(&old, &new_stats, HALF, false, NULL), IPC_REFUSED);
        new_stats = old;
        new_stats.largest_e8[mode] = 2 * LS_E8;
        assert_int_equal(ipc_snapshot_guard(&old, &new_stats, HALF, false, NULL), IPC_REFUSED);
        /* A mode that nobody used before has moved by more than any fraction. */
        old.total_e8[mode] = old.largest_e8[mode] = 0;
        new_stats = old;
        new_stats.total_e8[mode] = 1;
        assert_int_equal(ipc_snapshot_guard(&old, &new_stats, HALF, false, NULL), IPC_REFUSED);
    }
}

static void test_stats(void **state)
{
    (void)state;
    struct world world;
    struct ipc_snapshot_view view;
    struct ipc_snapshot_stats stats;
    world_make(&world, 10, 10, 0);
    world_follower(&world, 0)->ratio_e8 = 3 * LS_E8;
    world_follower(&world, 1)->flags = 0; /* switched off: counts nowhere but as a follower */
    world_follower(&world, 1)->ratio_e8 = 100 * LS_E8;
    world_follower(&world, 2)->mode = IPC_MODE_PERCENTAGE;
    world_follower(&world, 2)->ratio_e8 = 25 * LS_E8;
    world_follower(&world, 3)->mode = IPC_MODE_FIXED_QUANTITY;
    world_follower(&world, 3)->fixed_qty_e8 = 7 * LS_E8;
    world_follower(&world, 4)->flags = IPC_FOLLOWER_RETIRED;
    memset(world_follower(&world, 5), 0, sizeof(struct ipc_row_follower));
    world_follower(&world, 6)->flags |= IPC_FOLLOWER_PAUSED; /* still enabled */
    ipc_snapshot_view_of(&world.image, &view);
    ipc_snapshot_stats(&view, &stats);
    assert_int_equal(stats.followers, 8);
    assert_int_equal(stats.enabled_followers, 7);
    assert_int_equal(stats.total_e8[IPC_MODE_FIXED_RATIO], 7 * LS_E8);
    assert_int_equal(stats.largest_e8[IPC_MODE_FIXED_RATIO], 3 * LS_E8);
    assert_int_equal(stats.total_e8[IPC_MODE_PERCENTAGE], 25 * LS_E8);
    assert_int_equal(stats.total_e8[IPC_MODE_FIXED_QUANTITY], 7 * LS_E8);
    assert_int_equal(stats.total_multiplier_e8, 39 * LS_E8);
    assert_int_equal(stats.largest_multiplier_e8, 25 * LS_E8);
    assert_int_equal(ipc_snapshot_guard_fraction_e8(&view), HALF);
    world_cluster(&world)->guard_fraction_e8 = LS_E8 / 5;
    assert_int_equal(ipc_snapshot_guard_fraction_e8(&view), LS_E8 / 5);
    /* Sums stop at their end instead of turning negative. */
    for (uint32_t i = 0; i < 10; i++) {
        world_follower(&world, i)->follower_no = i + 1;
        world_follower(&world, i)->flags = IPC_FOLLOWER_ENABLED;
        world_follower(&world, i)->mode = IPC_MODE_FIXED_QUANTITY;
        world_follower(&world, i)->fixed_qty_e8 = INT64_MAX / 4;
    }
    ipc_snapshot_stats(&view, &stats);
    assert_int_equal(stats.total_e8[IPC_MODE_FIXED_QUANTITY], INT64_MAX);
    world_free(&world);
}

/* What each mode counts by: the number that makes its orders larger. */
static void test_stats_by_mode(void **state)
{
    (void)state;
    struct mode_case {
        enum ipc_mode mode;
        struct ipc_row_policy policy;
        int64_t multiplier_e8;
    };
    static const struct mode_case rows[] = {
        {IPC_MODE_EQUITY_PROPORTIONAL, {.mult_e8 = 2 * LS_E8}, 2 * LS_E8},
        {IPC_MODE_EQUITY_PROPORTIONAL, {.mult_e8 = 0}, LS_E8},
        {IPC_MODE_BALANCE_PROPORTIONAL, {.mult_e8 = LS_E8 / 2}, LS_E8 / 2},
        {IPC_MODE_AUTO_RISK, {.mult_e8 = 3 * LS_E8, .basis = IPC_BASIS_EQUITY}, 3 * LS_E8},
        {IPC_MODE_MULTIPLIER_NOTIONAL, {.mult_e8 = 4 * LS_E8}, 4 * LS_E8},
        {IPC_MODE_MQL5_PCT, {.deposit_fraction_e8 = LS_E8 / 4}, LS_E8 / 4},
        {IPC_MODE_USAGE_RATIO, {.invest_e8 = 500 * LS_E8}, 500 * LS_E8},
        {IPC_MODE_USAGE_RATIO_DISCOUNT, {.invest_e8 = 70 * LS_E8}, 70 * LS_E8},
        {IPC_MODE_STEP_OF_BALANCE, {.step_money_e8 = 50 * LS_E8, .step_qty_e8 = 2 * LS_E8},
            LS_E8 / 25},
        {IPC_MODE_FIXED_RISK, {.fraction_e8 = LS_E8 / 100}, LS_E8 / 100},
        {IPC_MODE_TIERED_MULTIPLIER,
            {.tier_count = 2, .tiers = {{.mult_e8 = LS_E8}, {.mult_e8 = 2 * LS_E8}}}, 2 * LS_E8},
        {IPC_MODE_COPY_RATIO_FROZEN, {.frozen_coefficient_e8 = LS_E8 / 5}, LS_E8 / 5},
        {IPC_MODE_SMART_TARGET, {.mult_e8 = 9 * LS_E8}, LS_E8}, /* the row's ratio */
        {IPC_MODE_PCT_BALANCE_BASIS, {.basis_money_e8 = 1000 * LS_E8, .fraction_e8 = LS_E8 / 10},
            LS_E8 / 10000},
        {IPC_MODE_AVAILABLE_RATIO_CAPPED, {.available_factor_e8 = 97 * LS_E8 / 100},
            97 * LS_E8 / 100},
    };
    struct world world;
    struct ipc_snapshot_view view;
    struct ipc_snapshot_stats stats;
    world_make(&world, 10, 10, 0);
    for (uint32_t slot = 1; slot < 10; slot++)
        world_follower(&world, slot)->flags = 0;
    ipc_snapshot_view_of(&world.image, &view);
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        *world_policy(&world, 0) = rows[i].policy;
        world_follower(&world, 0)->mode = (uint8_t)rows[i].mode;
        world_follower(&world, 0)->policy = 1;
        ipc_snapshot_stats(&view, &stats);
        if (stats.total_e8[rows[i].mode] != rows[i].multiplier_e8 ||
            stats.largest_e8[rows[i].mode] != rows[i].multiplier_e8)
            fail_msg("row %zu: %lld", i, (long long)stats.total_e8[rows[i].mode]);
    }
    world_free(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_stopped_sums),
        cmocka_unit_test(test_first_generation),
        cmocka_unit_test(test_each_mode),
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_stats_by_mode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
