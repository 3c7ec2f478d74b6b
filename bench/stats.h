/* stats.h: series of measurements, one value per round, and what is said about them. */
#ifndef LS_BENCH_STATS_H
#define LS_BENCH_STATS_H

#include "ipc/base.h"

#define BENCH_ROUNDS_MAX 1000u

/* Values in the order of the rounds; a unit is the user's business. */
struct bench_series {
    double value[BENCH_ROUNDS_MAX];
    uint32_t count;
};

/* Percentiles by nearest rank; all 0 for an empty series. */
struct bench_summary {
    double min, p10, p50, p90, p99, max;
    uint32_t count;
};

void bench_series_add(struct bench_series *series, double value);
struct bench_summary bench_summarize(const struct bench_series *series);

/* bench_growth is the growth of a cost per doubling of the size between two measurements. */
double bench_growth(double small, double small_cost, double large, double large_cost);

#endif
