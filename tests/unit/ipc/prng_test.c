#include "ipc/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* A seed printed by a failed run must replay on any machine and any later version. */
static void test_sequence_is_what_it_was(void **state)
{
    (void)state;
    struct ipc_prng prng;
    ipc_prng_seed(&prng, 1);
    static const uint64_t expected[] = {UINT64_C(0xcfc5d07f6f03c29b), UINT64_C(0xbf424132963fe08d),
        UINT64_C(0x19a37d5757aaf520), UINT64_C(0xbf08119f05cd56d6)};
    for (size_t i = 0; i < LS_COUNT_OF(expected); i++)
        assert_int_equal(ipc_prng_next(&prng), expected[i]);
}

static void test_below_stays_below_and_reaches_all(void **state)
{
    (void)state;
    struct ipc_prng prng;
    ipc_prng_seed(&prng, 0);
    unsigned seen[7] = {0};
    for (unsigned i = 0; i < 70000; i++) {
        uint64_t value = ipc_prng_below(&prng, 7);
        assert_true(value < 7);
        seen[value]++;
    }
    for (unsigned i = 0; i < 7; i++)
        assert_in_range(seen[i], 9500, 10500); /* five standard deviations */
    assert_int_equal(ipc_prng_below(&prng, 1), 0);
    for (unsigned i = 0; i < 1000; i++)
        assert_true(ipc_prng_below(&prng, UINT64_MAX) < UINT64_MAX);
}

static void test_fill_writes_exactly_its_bytes(void **state)
{
    (void)state;
    struct ipc_prng prng;
    ipc_prng_seed(&prng, 5);
    uint8_t bytes[32];
    for (size_t count = 0; count <= 24; count++) {
        memset(bytes, 0xee, sizeof bytes);
        ipc_prng_fill(&prng, bytes + 1, count);
        assert_int_equal(bytes[0], 0xee);
        assert_int_equal(bytes[count + 1], 0xee);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequence_is_what_it_was),
        cmocka_unit_test(test_below_stays_below_and_reaches_all),
        cmocka_unit_test(test_fill_writes_exactly_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
