/* hist.h: log-linear histogram of non-negative 64-bit values, fixed size, for one writer.
 *
 * Values below 64 have a bucket each; above, every power of two is split into 64 buckets, so a
 * percentile is at most 1/64 (1.6 %) above the true value. Values from 2^42 (73 minutes in ns) on
 * are counted in the last bucket; the maximum is kept exactly.
 *
 * All fields are relaxed atomics: the writer needs no locked instruction, readers in other threads
 * or processes get counts that may be one record apart from each other. All zero is empty. */
#ifndef LS_IPC_HIST_H
#define LS_IPC_HIST_H

#include <stdatomic.h>

#include "ipc/base.h"

#define IPC_HIST_SUB_BITS 6
#define IPC_HIST_MAX_BITS 42
#define IPC_HIST_BUCKETS  ((IPC_HIST_MAX_BITS - IPC_HIST_SUB_BITS + 1) << IPC_HIST_SUB_BITS)

struct ipc_hist {
    _Atomic uint64_t count;
    _Atomic uint64_t sum;          /* wraps after 2^64 */
    _Atomic uint64_t min_plus_one; /* 0 = empty */
    _Atomic uint64_t max;
    _Atomic uint64_t buckets[IPC_HIST_BUCKETS];
};

/* ipc_hist_bucket returns the bucket of a value, [0, IPC_HIST_BUCKETS). */
static inline uint32_t ipc_hist_bucket(uint64_t value)
{
    if (value < (1u << IPC_HIST_SUB_BITS))
        return (uint32_t)value;
    uint32_t top = 63u - (uint32_t)__builtin_clzll(value);
    if (top >= IPC_HIST_MAX_BITS)
        return IPC_HIST_BUCKETS - 1;
    uint32_t shift = top - IPC_HIST_SUB_BITS;
    /* The leading one of the shifted value selects the power of two, the rest the bucket in it. */
    return (shift << IPC_HIST_SUB_BITS) + (uint32_t)(value >> shift);
}

/* ipc_hist_bucket_top returns the largest value of a bucket, UINT64_MAX for the last one. */
uint64_t ipc_hist_bucket_top(uint32_t bucket);

static inline void ipc_hist_add_(_Atomic uint64_t *word, uint64_t more)
{
    /* One writer: load and store instead of a locked add. */
    atomic_store_explicit(
        word, atomic_load_explicit(word, memory_order_relaxed) + more, memory_order_relaxed);
}

/* ipc_hist_record counts one value; negative values count as 0. The writer's thread only. */
static inline void ipc_hist_record(struct ipc_hist *hist, int64_t value)
{
    uint64_t v = value < 0 ? 0 : (uint64_t)value;
    ipc_hist_add_(&hist->buckets[ipc_hist_bucket(v)], 1);
    ipc_hist_add_(&hist->count, 1);
    ipc_hist_add_(&hist->sum, v);
    if (v > atomic_load_explicit(&hist->max, memory_order_relaxed))
        atomic_store_explicit(&hist->max, v, memory_order_relaxed);
    uint64_t lowest = atomic_load_explicit(&hist->min_plus_one, memory_order_relaxed);
    if (lowest == 0 || v + 1 < lowest)
        atomic_store_explicit(&hist->min_plus_one, v + 1, memory_order_relaxed);
}

/* ipc_hist_percentile returns the smallest bucket top with at least per_million / 10^6 of the
 * records at or below it, never above the exact maximum: 500000 is the median, 999000 p99.9. 0
 * when empty. per_million: [0, 1000000]. Counts the buckets, so a racing writer does no harm. */
uint64_t ipc_hist_percentile(const struct ipc_hist *hist, uint32_t per_million);

uint64_t ipc_hist_count(const struct ipc_hist *hist);
uint64_t ipc_hist_sum(const struct ipc_hist *hist);
uint64_t ipc_hist_max(const struct ipc_hist *hist); /* 0 when empty */
uint64_t ipc_hist_min(const struct ipc_hist *hist); /* 0 when empty */

/* ipc_hist_merge adds the records of `from` to `into`; the caller is the writer of `into`. */
void ipc_hist_merge(struct ipc_hist *into, const struct ipc_hist *from);

/* ipc_hist_reset empties it; the writer's thread only. */
void ipc_hist_reset(struct ipc_hist *hist);

#endif
