#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/core/sizing.h"
#include "ipc/prng.h"

static void ratios_are_exact(void **state)
{
    (void)state;
    static const struct {
        int64_t qty_e8, ratio_e8, expected_e8;
    } rows[] = {
        {100 * LS_E8, 29000000, 29 * LS_E8}, /* 0.29 x 100 is 29, not 28.999... */
        {100 * LS_E8, 57000000, 57 * LS_E8},
        {3 * LS_E8, 50000000, 150000000},
        {10 * LS_E8, 33333333, 333333330},
        {LS_E8 / 2, 50000000, 25000000}, /* half a unit: the wide way */
        {LS_E8 / 3, LS_E8, LS_E8 / 3},
        {100 * LS_E8, 0, 0},
        {100 * LS_E8, -LS_E8, 0},
        {ENG_QTY_MAX_E8, INT64_C(1000) * LS_E8, INT64_MAX}, /* saturates, never wraps */
        {ENG_QTY_MAX_E8 + 1, INT64_C(1000) * LS_E8, INT64_MAX},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct eng_sizer sizer = eng_sizer_make(rows[i].qty_e8, LS_E8, 0);
        assert_int_equal(eng_ratio_qty(&sizer, rows[i].ratio_e8), rows[i].expected_e8);
    }
}

static void percentages_are_exact(void **state)
{
    (void)state;
    static const struct {
        int64_t capital_e8, percent_e8, price_e8, expected_e8;
    } rows[] = {
        {400000 * LS_E8, 50 * LS_E8, 120 * LS_E8, INT64_C(166666666666)}, /* 1666.66666666 */
        {10000 * LS_E8, 1 * LS_E8, 285050000000, 3508156},                /* 0.03508156 */
        {INT64_C(10000000000) * LS_E8 / 100, 100 * LS_E8, 1, INT64_MAX},
        {0, 50 * LS_E8, LS_E8, 0},
        {LS_E8, 0, LS_E8, 0},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct eng_sizer sizer = eng_sizer_make(LS_E8, LS_E8, rows[i].price_e8);
        assert_int_equal(eng_percentage_qty(&sizer, rows[i].capital_e8, rows[i].percent_e8),
            rows[i].expected_e8);
    }
}

/* The reciprocal against plain division, at the edges and in the middle. */
static void the_lot_floor_is_division(void **state)
{
    (void)state;
    const uint64_t seed = 20260801;
    struct ipc_prng prng;
    ipc_prng_seed(&prng, seed);
    static const int64_t lots[] = {1, 2, 3, 7, 1000, 25 * LS_E8 / 100, LS_E8, 15 * LS_E8,
        30 * LS_E8, 65 * LS_E8, 75 * LS_E8, 1755 * LS_E8, 4000 * LS_E8, ENG_QTY_MAX_E8,
        INT64_MAX / 3, INT64_MAX};
    for (size_t l = 0; l < LS_COUNT_OF(lots); l++) {
        struct eng_sizer sizer = eng_sizer_make(LS_E8, lots[l], 0);
        int64_t edges[] = {0, 1, lots[l] - 1, lots[l], lots[l] < INT64_MAX ? lots[l] + 1 : lots[l],
            INT64_MAX / lots[l] * lots[l], INT64_MAX / lots[l] * lots[l] - 1, INT64_MAX,
            INT64_MAX - 1};
        for (size_t e = 0; e < LS_COUNT_OF(edges); e++)
            assert_int_equal(eng_lot_floor(&sizer, edges[e]), edges[e] / lots[l] * lots[l]);
        for (int i = 0; i < 20000; i++) {
            int64_t value = (int64_t)(ipc_prng_next(&prng) >> (1 + ipc_prng_below(&prng, 63)));
            if (eng_lot_floor(&sizer, value) != value / lots[l] * lots[l])
                fail_msg("seed %llu: %lld to lot %lld", (unsigned long long)seed, (long long)value,
                    (long long)lots[l]);
        }
    }
}

static void values_compare_without_rounding(void **state)
{
    (void)state;
    assert_false(eng_value_exceeds(10 * LS_E8, 5000 * LS_E8, 50000 * LS_E8)); /* equal passes */
    assert_true(eng_value_exceeds(10 * LS_E8, 5000 * LS_E8 + 1, 50000 * LS_E8));
    assert_true(eng_value_exceeds(ENG_QTY_MAX_E8, ENG_PRICE_MAX_E8, INT64_MAX));
    assert_int_equal(eng_value_qty(50000 * LS_E8, 285050000000), INT64_C(1754078231));
    assert_int_equal(eng_value_qty(-1, LS_E8), 0);
    assert_int_equal(eng_fraction_qty(100 * LS_E8, 200 * LS_E8, 1000 * LS_E8), 20 * LS_E8);
    assert_int_equal(eng_fraction_qty(INT64_MAX, INT64_MAX, INT64_MAX), INT64_MAX);
    assert_int_equal(eng_fraction_qty(5 * LS_E8, 0, LS_E8), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ratios_are_exact),
        cmocka_unit_test(percentages_are_exact),
        cmocka_unit_test(the_lot_floor_is_division),
        cmocka_unit_test(values_compare_without_rounding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
