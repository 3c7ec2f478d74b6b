/* Decimals, the exchange's calendar, the generator. */
#include "adapters/sim/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void decimals_are_read_exactly(void **state)
{
    static const struct {
        const char *text;
        bool good;
        int64_t value_e8;
    } rows[] = {
        {"1120.15", true, INT64_C(112015000000)},
        {"0", true, 0},
        {"-3", true, -3 * LS_E8},
        {".5", true, LS_E8 / 2},
        {"0.00000001", true, 1},
        {"1.0000000000", true, LS_E8}, /* zeros beyond the eighth decimal say nothing */
        {"0.000000001", false, 0},
        {"92233720368.54775807", true, INT64_MAX},
        {"92233720368.54775808", false, 0},
        {"", false, 0},
        {".", false, 0},
        {"-", false, 0},
        {"1e3", false, 0},
        {" 1", false, 0},
        {"1.2.3", false, 0},
        {"99999999999999999999999", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        int64_t value = -7;
        assert_int_equal(
            adp_sim_parse_e8(rows[i].text, strlen(rows[i].text), &value), rows[i].good);
        assert_int_equal(value, rows[i].good ? rows[i].value_e8 : -7);
    }
}

static void decimals_are_written_as_read(void **state)
{
    static const struct {
        int64_t value_e8;
        int decimals;
        const char *text;
    } rows[] = {
        {INT64_C(112015000000), 0, "1120.15"},
        {INT64_C(10000000), 2, "0.10"},
        {0, 0, "0"},
        {0, 2, "0.00"},
        {-LS_E8 / 4, 0, "-0.25"},
        {INT64_MAX, 0, "92233720368.54775807"},
        {-INT64_MAX, 0, "-92233720368.54775807"},
    };
    char out[ADP_SIM_E8_BYTES];
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        assert_int_equal(
            adp_sim_format_e8(rows[i].value_e8, rows[i].decimals, out), strlen(rows[i].text));
        assert_string_equal(out, rows[i].text);
    }
}

static void days_and_dates_are_inverse(void **state)
{
    (void)state;
    assert_int_equal(adp_sim_days_of(1970, 1, 1), 0);
    assert_int_equal(adp_sim_days_of(2000, 3, 1) - adp_sim_days_of(2000, 2, 28), 2);
    assert_int_equal(adp_sim_days_of(2100, 3, 1) - adp_sim_days_of(2100, 2, 28), 1);
    for (int64_t days = -100000; days < 100000; days++) {
        struct adp_sim_civil date = adp_sim_date_of(days);
        assert_true(date.month >= 1 && date.month <= 12 && date.day >= 1 && date.day <= 31);
        assert_int_equal(adp_sim_days_of(date.year, date.month, date.day), days);
    }
}

static void the_exchange_is_in_india(void **state)
{
    (void)state;
    /* 2025-05-26 18:30:00 UTC is midnight of the next day there. */
    int64_t utc_s = adp_sim_days_of(2025, 5, 26) * 86400 + 18 * 3600 + 30 * 60;
    struct adp_sim_civil at = adp_sim_civil_of(utc_s * LS_NS_PER_S);
    assert_int_equal(at.day, 27);
    assert_int_equal(at.hour, 0);
    at = adp_sim_civil_of(utc_s * LS_NS_PER_S - 1);
    assert_int_equal(at.day, 26);
    assert_int_equal(at.hour * 3600 + at.minute * 60 + at.second, 86399);
}

static void equal_seeds_give_equal_numbers(void **state)
{
    struct adp_sim_prng a = {.state = 5}, b = {.state = 5}, c = {.state = 6};
    int same = 0;
    (void)state;
    for (int i = 0; i < 100; i++) {
        uint64_t one = adp_sim_prng_next(&a);
        assert_int_equal(one, adp_sim_prng_next(&b));
        same += one == adp_sim_prng_next(&c);
    }
    assert_int_equal(same, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimals_are_read_exactly),
        cmocka_unit_test(decimals_are_written_as_read),
        cmocka_unit_test(days_and_dates_are_inverse),
        cmocka_unit_test(the_exchange_is_in_india),
        cmocka_unit_test(equal_seeds_give_equal_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
