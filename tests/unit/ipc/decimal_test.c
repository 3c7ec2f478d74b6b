#include "ipc/decimal.h"
#include "ipc/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void test_parse_table(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum ipc_rc rc;
        int64_t value_e8;
    } rows[] = {
        {"0", IPC_OK, 0},
        {"-0", IPC_OK, 0},
        {"1", IPC_OK, 100000000},
        {"22150.05", IPC_OK, 2215005000000},
        {"0.0025", IPC_OK, 250000},
        {"0.00000001", IPC_OK, 1},
        {"-0.00000001", IPC_OK, -1},
        {"007.50", IPC_OK, 750000000},
        {"1.50000000000", IPC_OK, 150000000}, /* the zeros say nothing */
        {"92233720368.54775807", IPC_OK, INT64_MAX},
        {"-92233720368.54775808", IPC_OK, INT64_MIN},
        {"92233720368.54775808", IPC_TOO_LONG, 0},
        {"-92233720368.54775809", IPC_TOO_LONG, 0},
        {"92233720369", IPC_TOO_LONG, 0},
        {"99999999999999999999999", IPC_TOO_LONG, 0},
        {"0.000000001", IPC_TOO_LONG, 0}, /* a ninth decimal */
        {"1.123456780001", IPC_TOO_LONG, 0},
        {"0.0000000000000000000000000000000000000000", IPC_TOO_LONG, 0}, /* above 40 bytes */
        {"", IPC_BAD_INPUT, 0},
        {"-", IPC_BAD_INPUT, 0},
        {".", IPC_BAD_INPUT, 0},
        {".5", IPC_BAD_INPUT, 0},
        {"5.", IPC_BAD_INPUT, 0},
        {"-.5", IPC_BAD_INPUT, 0},
        {"+5", IPC_BAD_INPUT, 0},
        {" 5", IPC_BAD_INPUT, 0},
        {"5 ", IPC_BAD_INPUT, 0},
        {"1,000", IPC_BAD_INPUT, 0},
        {"1e3", IPC_BAD_INPUT, 0},
        {"1.5e3", IPC_BAD_INPUT, 0},
        {"1.2.3", IPC_BAD_INPUT, 0},
        {"--1", IPC_BAD_INPUT, 0},
        {"0x10", IPC_BAD_INPUT, 0},
        {"nan", IPC_BAD_INPUT, 0},
        {"Infinity", IPC_BAD_INPUT, 0},
        {"NA", IPC_BAD_INPUT, 0},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        int64_t value_e8 = 424242;
        enum ipc_rc rc = ipc_decimal_parse(rows[i].text, strlen(rows[i].text), &value_e8);
        int64_t expected = rows[i].rc == IPC_OK ? rows[i].value_e8 : 424242;
        if (rc != rows[i].rc || value_e8 != expected)
            fail_msg("'%s': %s, %" PRId64, rows[i].text, ipc_rc_text(rc), value_e8);
    }
    int64_t value_e8;
    assert_int_equal(ipc_decimal_parse("12345", 2, &value_e8), IPC_OK);
    assert_int_equal(value_e8, 12 * LS_E8);
}

static void test_format_table(void **state)
{
    (void)state;
    static const struct {
        int64_t value_e8;
        unsigned places;
        const char *text;
    } rows[] = {
        {0, 0, "0"},
        {0, 2, "0.00"},
        {1, 0, "0.00000001"},
        {-1, 0, "-0.00000001"},
        {100000000, 0, "1"},
        {100000000, 2, "1.00"},
        {2215050000000, 0, "22150.5"},
        {2215050000000, 2, "22150.50"},
        {2215050000000, 8, "22150.50000000"},
        {250000, 2, "0.0025"},
        {INT64_MAX, 0, "92233720368.54775807"},
        {INT64_MIN, 8, "-92233720368.54775808"},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        char text[IPC_DECIMAL_BYTES];
        size_t bytes = ipc_decimal_format_places(rows[i].value_e8, rows[i].places, text);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(bytes, strlen(text));
    }
}

/* Text made here is the shortest, and it is read back to the same number. */
static void test_random_values_round_trip(void **state)
{
    (void)state;
    const uint64_t seed = 8101;
    struct ipc_prng prng;
    ipc_prng_seed(&prng, seed);
    for (unsigned i = 0; i < 50000; i++) {
        int64_t value_e8 = (int64_t)(ipc_prng_next(&prng) >> ipc_prng_below(&prng, 64));
        if (ipc_prng_chance(&prng, 1, 2))
            value_e8 = (int64_t)(0 - (uint64_t)value_e8);
        char text[IPC_DECIMAL_BYTES];
        size_t bytes = ipc_decimal_format(value_e8, text);
        int64_t back;
        if (ipc_decimal_parse(text, bytes, &back) != IPC_OK || back != value_e8)
            fail_msg("seed %" PRIu64 ": %" PRId64 " became '%s'", seed, value_e8, text);
        if (strchr(text, '.') != NULL)
            assert_true(text[bytes - 1] != '0' && text[bytes - 1] != '.');
    }
}

static void test_whole_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t largest;
        enum ipc_rc rc;
        uint64_t value;
    } rows[] = {
        {"0", 0, IPC_OK, 0},
        {"63", 63, IPC_OK, 63},
        {"64", 63, IPC_TOO_LONG, 0},
        {"18446744073709551615", UINT64_MAX, IPC_OK, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, IPC_TOO_LONG, 0},
        {"184467440737095516150", UINT64_MAX, IPC_TOO_LONG, 0},
        {"", 9, IPC_BAD_INPUT, 0},
        {"-1", 9, IPC_BAD_INPUT, 0},
        {"1.0", 9, IPC_BAD_INPUT, 0},
        {"99999999999999999999999x", 9, IPC_BAD_INPUT, 0},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        uint64_t value = 4242;
        enum ipc_rc rc =
            ipc_decimal_parse_whole(rows[i].text, strlen(rows[i].text), rows[i].largest, &value);
        if (rc != rows[i].rc || value != (rc == IPC_OK ? rows[i].value : 4242))
            fail_msg("'%s': %s", rows[i].text, ipc_rc_text(rc));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_table),
        cmocka_unit_test(test_format_table),
        cmocka_unit_test(test_random_values_round_trip),
        cmocka_unit_test(test_whole_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
