#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "adapters/ingest/market_wanted.h"
#include "ipc/prng.h"

#define IDS 5000u

static void each_is_wanted_once_in_the_order_it_came(void **state)
{
    (void)state;
    struct adp_market_wanted wanted;
    adp_market_wanted_init(&wanted, 3);
    assert_false(adp_market_wanted_has(&wanted, 1));
    assert_true(adp_market_wanted_add(&wanted, 70000));
    assert_true(adp_market_wanted_add(&wanted, 1));
    assert_false(adp_market_wanted_add(&wanted, 70000));
    assert_true(adp_market_wanted_add(&wanted, 64));
    assert_int_equal(wanted.refused, 0);
    assert_false(adp_market_wanted_add(&wanted, 65)); /* beyond the bound */
    assert_false(adp_market_wanted_add(&wanted, 66));
    assert_int_equal(wanted.refused, 2);
    assert_int_equal(wanted.count, 3);
    const uint32_t want[] = {70000, 1, 64};
    assert_memory_equal(wanted.instruments, want, sizeof(want));
    assert_true(adp_market_wanted_has(&wanted, 64));
    assert_false(adp_market_wanted_has(&wanted, 65));
    assert_false(adp_market_wanted_has(&wanted, 63));
    assert_false(adp_market_wanted_has(&wanted, UINT32_MAX));
    adp_market_wanted_free(&wanted);
}

static void a_set_of_bits_is_a_set(void **state)
{
    (void)state;
    const uint64_t seed = 81;
    struct ipc_prng prng;
    static bool known[IDS];
    uint32_t count = 0;
    struct adp_market_wanted wanted;
    ipc_prng_seed(&prng, seed);
    print_message("seed %llu\n", (unsigned long long)seed);
    adp_market_wanted_init(&wanted, 1000);
    for (int i = 0; i < 20000; i++) {
        const uint32_t id = 1 + (uint32_t)ipc_prng_below(&prng, IDS - 1);
        const bool fits = !known[id] && count < 1000;
        assert_int_equal(adp_market_wanted_has(&wanted, id), known[id]);
        assert_int_equal(adp_market_wanted_add(&wanted, id), fits);
        known[id] = known[id] || fits;
        count += fits;
    }
    assert_int_equal(wanted.count, count);
    adp_market_wanted_free(&wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_wanted_once_in_the_order_it_came),
        cmocka_unit_test(a_set_of_bits_is_a_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
