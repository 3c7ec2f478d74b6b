/* hist_test.c: buckets, and percentiles against a sorted array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ipc/hist.h"
#include "ipc/prng.h"

static struct ipc_hist hist;

/* Every bucket ends where the next begins, and its top is at most 1/64 above its values. */
static void test_buckets(void **state)
{
    (void)state;
    for (uint32_t i = 0; i + 1 < IPC_HIST_BUCKETS; i++) {
        uint64_t top = ipc_hist_bucket_top(i);
        assert_int_equal(ipc_hist_bucket(top), i);
        assert_int_equal(ipc_hist_bucket(top + 1), i + 1);
        uint64_t lowest = i == 0 ? 0 : ipc_hist_bucket_top(i - 1) + 1;
        assert_true((top - lowest) * 64 <= lowest);
    }
    assert_int_equal(ipc_hist_bucket_top(IPC_HIST_BUCKETS - 1), UINT64_MAX);
    assert_int_equal(ipc_hist_bucket(UINT64_MAX), IPC_HIST_BUCKETS - 1);
    assert_int_equal(ipc_hist_bucket(UINT64_C(1) << 42), IPC_HIST_BUCKETS - 1);
}

static void test_edges(void **state)
{
    (void)state;
    ipc_hist_reset(&hist);
    assert_int_equal(ipc_hist_percentile(&hist, 500000), 0);
    assert_int_equal(ipc_hist_min(&hist), 0);
    assert_int_equal(ipc_hist_max(&hist), 0);
    ipc_hist_record(&hist, -5);
    assert_int_equal(ipc_hist_count(&hist), 1);
    assert_int_equal(ipc_hist_max(&hist), 0);
    ipc_hist_record(&hist, INT64_MAX);
    assert_int_equal(ipc_hist_max(&hist), INT64_MAX);
    assert_int_equal(ipc_hist_percentile(&hist, 1000000), INT64_MAX);
    assert_int_equal(ipc_hist_percentile(&hist, 0), 0);
    ipc_hist_reset(&hist);
    ipc_hist_record(&hist, 1000003);
    assert_int_equal(ipc_hist_min(&hist), 1000003);
    /* Never above the exact maximum. */
    assert_int_equal(ipc_hist_percentile(&hist, 500000), 1000003);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

#define SAMPLES 20000

static void test_percentiles(void **state)
{
    (void)state;
    static const uint32_t wanted[] = {0, 1, 10000, 500000, 900000, 990000, 999000, 999999, 1000000};
    static int64_t values[SAMPLES];
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct ipc_prng prng;
        uint64_t sum = 0;
        print_message("seed %llu\n", (unsigned long long)seed);
        ipc_prng_seed(&prng, seed);
        ipc_hist_reset(&hist);
        for (int i = 0; i < SAMPLES; i++) {
            /* All magnitudes alike, up to 2^40. */
            values[i] = (int64_t)(ipc_prng_next(&prng) >> (24 + ipc_prng_below(&prng, 40)));
            sum += (uint64_t)values[i];
            ipc_hist_record(&hist, values[i]);
        }
        qsort(values, SAMPLES, sizeof(values[0]), compare);
        for (size_t i = 0; i < LS_COUNT_OF(wanted); i++) {
            uint64_t rank = ((uint64_t)SAMPLES * wanted[i] + 999999) / 1000000;
            uint64_t exact = (uint64_t)values[rank == 0 ? 0 : rank - 1];
            uint64_t got = ipc_hist_percentile(&hist, wanted[i]);
            assert_true(got >= exact && got - exact <= exact / 64);
        }
        assert_int_equal(ipc_hist_count(&hist), SAMPLES);
        assert_int_equal(ipc_hist_sum(&hist), sum);
        assert_int_equal(ipc_hist_min(&hist), values[0]);
        assert_int_equal(ipc_hist_max(&hist), values[SAMPLES - 1]);
    }
}

/* Two halves merged are the whole. */
static void test_merge(void **state)
{
    (void)state;
    static struct ipc_hist halves[2];
    static struct ipc_hist merged;
    struct ipc_prng prng;
    ipc_prng_seed(&prng, 9);
    ipc_hist_reset(&hist);
    for (int i = 0; i < 10000; i++) {
        int64_t value = (int64_t)ipc_prng_below(&prng, 5000000);
        ipc_hist_record(&hist, value);
        ipc_hist_record(&halves[ipc_prng_below(&prng, 2)], value);
    }
    ipc_hist_merge(&merged, &halves[0]);
    ipc_hist_merge(&merged, &halves[1]);
    assert_memory_equal(&merged, &hist, sizeof(hist));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_merge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
