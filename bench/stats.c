#include "bench/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void bench_series_add(struct bench_series *series, double value)
{
    LS_CHECK(series->count < BENCH_ROUNDS_MAX);
    series->value[series->count++] = value;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Nearest rank: the smallest value with at least this share of the values at or below it. */
static double rank(const double *sorted, uint32_t count, uint32_t percent)
{
    const uint32_t at = (count * percent + 99) / 100;
    return sorted[at == 0 ? 0 : at - 1];
}

struct bench_summary bench_summarize(const struct bench_series *series)
{
    struct bench_summary out = {.count = series->count};
    static double sorted[BENCH_ROUNDS_MAX];
    if (series->count == 0)
        return out;
    memcpy(sorted, series->value, series->count * sizeof *sorted);
    qsort(sorted, series->count, sizeof *sorted, ascending);
    out.min = sorted[0];
    out.max = sorted[series->count - 1];
    out.p10 = rank(sorted, series->count, 10);
    out.p50 = rank(sorted, series->count, 50);
    out.p90 = rank(sorted, series->count, 90);
    out.p99 = rank(sorted, series->count, 99);
    return out;
}

double bench_growth(double small, double small_cost, double large, double large_cost)
{
    return pow(large_cost / small_cost, 1 / log2(large / small));
}
