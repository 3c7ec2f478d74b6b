/* The small parts of the pipeline by themselves: exact products, units, blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "engine/core/pipeline/exact.h"
#include "engine/core/pipeline/pool.h"
#include "ipc/prng.h"

#define E8(x) ((int64_t)(x)*LS_E8)

static int64_t floor_of(
    const int64_t *above, size_t above_count, const int64_t *below, size_t below_count, bool *rest)
{
    struct eng_exact exact = {0};
    for (size_t i = 0; i < above_count; i++)
        eng_exact_times(&exact, above[i]);
    for (size_t i = 0; i < below_count; i++)
        eng_exact_over(&exact, below[i]);
    return eng_exact_floor(&exact, rest);
}

static void products_are_floored_once(void **state)
{
    (void)state;
    static const struct {
        int64_t above[4], below[3], expected;
        bool rest;
    } rows[] = {
        {{E8(100), 29000000, 1, 1}, {LS_E8, 1, 1}, E8(29), false},
        {{E8(3), E8(3), 1, 1}, {E8(9), 1, 1}, LS_E8, false},
        {{7, 7, 7, 7}, {2, 3, 5}, 80, true}, /* 2401 / 30 */
        {{7, 7, 7, 7}, {5, 3, 2}, 80, true}, /* in any order */
        {{INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX}, {INT64_MAX, INT64_MAX, INT64_MAX}, INT64_MAX,
            false},
        {{INT64_MAX, INT64_MAX, INT64_MAX, 2}, {INT64_MAX, INT64_MAX, INT64_MAX}, 2, false},
        {{INT64_MAX, INT64_MAX, 1, 1}, {1, 1, 1}, INT64_MAX, false}, /* saturates */
        {{INT64_MAX, 0, INT64_MAX, 1}, {1, 1, 1}, 0, false},
        {{INT64_MAX, -5, 1, 1}, {1, 1, 1}, 0, false}, /* nothing is negative here */
        {{1, 1, 1, 1}, {INT64_MAX, 1, 1}, 0, true},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        bool rest;
        assert_int_equal(floor_of(rows[i].above, 4, rows[i].below, 3, &rest), rows[i].expected);
        if (rows[i].expected != INT64_MAX)
            assert_int_equal(rest, rows[i].rest);
    }
}

/* Against one division in 128 bits, where that is enough. */
static void products_agree_with_wide_division(void **state)
{
    (void)state;
    const uint64_t seed = 20260301;
    struct ipc_prng prng;
    ipc_prng_seed(&prng, seed);
    for (int i = 0; i < 20000; i++) {
        int64_t above[3], below[2];
        for (int k = 0; k < 3; k++)
            above[k] = (int64_t)(ipc_prng_next(&prng) >> (22 + ipc_prng_below(&prng, 40)));
        for (int k = 0; k < 2; k++)
            below[k] = 1 + (int64_t)(ipc_prng_next(&prng) >> (2 + ipc_prng_below(&prng, 60)));
        unsigned __int128 product = (unsigned __int128)above[0] * (uint64_t)above[1];
        if (product != 0 && (unsigned __int128)above[2] > ~(unsigned __int128)0 / product)
            continue;
        product *= (uint64_t)above[2];
        unsigned __int128 divisor = (unsigned __int128)below[0] * (uint64_t)below[1];
        unsigned __int128 expected = product / divisor;
        bool rest;
        int64_t got = floor_of(above, 3, below, 2, &rest);
        if (got != (expected > INT64_MAX ? INT64_MAX : (int64_t)expected) ||
            rest != (product % divisor != 0))
            fail_msg("seed %llu, case %d", (unsigned long long)seed, i);
    }
}

static void units_round_where_they_should(void **state)
{
    (void)state;
    static const struct {
        int64_t value, unit, down, up, nearest;
    } rows[] = {
        {0, 65, 0, 0, 0}, {64, 65, 0, 65, 65}, {65, 65, 65, 65, 65}, {97, 65, 65, 130, 65},
        {98, 65, 65, 130, 130}, {15, 10, 10, 20, 20}, /* half goes up */
        {123, 0, 123, 123, 123},
        {INT64_MAX, 10, INT64_MAX - 7, INT64_MAX - 7, INT64_MAX - 7}, /* no unit fits above */
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        assert_int_equal(eng_unit_floor(rows[i].value, rows[i].unit), rows[i].down);
        assert_int_equal(eng_unit_ceil(rows[i].value, rows[i].unit), rows[i].up);
        assert_int_equal(eng_unit_nearest(rows[i].value, rows[i].unit), rows[i].nearest);
    }
}

/* Shares are whole lots, the whole of the block unless the rest is dropped, and nobody is more than
 * one lot away from the exact share. */
static void blocks_are_split_exactly(void **state)
{
    (void)state;
    const uint64_t seed = 20260302;
    struct ipc_prng prng;
    ipc_prng_seed(&prng, seed);
    for (int i = 0; i < 3000; i++) {
        int64_t weights[40], out[40], sum = 0, given = 0;
        uint32_t count = 1 + (uint32_t)ipc_prng_below(&prng, 40);
        for (uint32_t k = 0; k < count; k++)
            sum += weights[k] = (int64_t)ipc_prng_below(&prng, 5) == 0
                                    ? 0
                                    : (int64_t)ipc_prng_below(&prng, 1000000);
        int64_t lot = 1 + (int64_t)ipc_prng_below(&prng, 90);
        int64_t qty = (int64_t)ipc_prng_below(&prng, 100000);
        enum eng_pool_rest rest = (enum eng_pool_rest)ipc_prng_below(&prng, 3);
        enum ipc_rc rc = eng_pool_split(qty, lot, weights, count, rest, out);
        if (sum == 0) {
            assert_int_equal(rc, IPC_BAD_INPUT);
            continue;
        }
        assert_int_equal(rc, IPC_OK);
        int64_t lots = qty / lot;
        for (uint32_t k = 0; k < count; k++) {
            __int128 away = (__int128)(out[k] / lot) * sum - (__int128)lots * weights[k];
            given += out[k];
            if (out[k] % lot != 0 || away > sum || away < -sum || (rest == 2 && away > 0) ||
                (weights[k] == 0 && out[k] != 0))
                fail_msg("seed %llu, case %d, account %u", (unsigned long long)seed, i, k);
        }
        if (rest != ENG_POOL_DROP)
            assert_int_equal(given, lots * lot);
        assert_true(given <= qty);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_floored_once),
        cmocka_unit_test(products_agree_with_wide_division),
        cmocka_unit_test(units_round_where_they_should),
        cmocka_unit_test(blocks_are_split_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
