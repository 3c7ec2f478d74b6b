/* hist.c: reading, merging and emptying histograms; recording is inline in hist.h. */
#include "ipc/hist.h"

_Static_assert(IPC_HIST_BUCKETS == 2368, "36 powers of two of 64 buckets, and 64 exact ones");

static uint64_t load(const _Atomic uint64_t *word)
{
    /* Relaxed: every word stands for itself. */
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

uint64_t ipc_hist_bucket_top(uint32_t bucket)
{
    LS_CHECK(bucket < IPC_HIST_BUCKETS);
    if (bucket < (2u << IPC_HIST_SUB_BITS))
        return bucket; /* below 128 a bucket is one value wide */
    if (bucket == IPC_HIST_BUCKETS - 1)
        return UINT64_MAX;
    uint32_t shift = (bucket >> IPC_HIST_SUB_BITS) - 1;
    uint64_t leading = (1u << IPC_HIST_SUB_BITS) + (bucket & ((1u << IPC_HIST_SUB_BITS) - 1));
    return ((leading + 1) << shift) - 1;
}

uint64_t ipc_hist_count(const struct ipc_hist *hist)
{
    return load(&hist->count);
}

uint64_t ipc_hist_sum(const struct ipc_hist *hist)
{
    return load(&hist->sum);
}

uint64_t ipc_hist_max(const struct ipc_hist *hist)
{
    return load(&hist->max);
}

uint64_t ipc_hist_min(const struct ipc_hist *hist)
{
    uint64_t lowest = load(&hist->min_plus_one);
    return lowest == 0 ? 0 : lowest - 1;
}

uint64_t ipc_hist_percentile(const struct ipc_hist *hist, uint32_t per_million)
{
    LS_CHECK(per_million <= 1000000);
    uint64_t total = 0;
    for (uint32_t i = 0; i < IPC_HIST_BUCKETS; i++)
        total += load(&hist->buckets[i]);
    if (total == 0)
        return 0;
    /* The rank is rounded up: p100 is the last record, p0 the first. */
    uint64_t rank = (uint64_t)(((unsigned __int128)total * per_million + 999999) / 1000000);
    if (rank == 0)
        rank = 1;
    uint64_t highest = load(&hist->max);
    uint64_t below = 0;
    for (uint32_t i = 0; i < IPC_HIST_BUCKETS; i++) {
        below += load(&hist->buckets[i]);
        if (below >= rank) {
            uint64_t top = ipc_hist_bucket_top(i);
            return top < highest ? top : highest;
        }
    }
    /* Buckets only grow, so a second look finds at least as many. */
    return highest;
}

void ipc_hist_merge(struct ipc_hist *into, const struct ipc_hist *from)
{
    for (uint32_t i = 0; i < IPC_HIST_BUCKETS; i++)
        ipc_hist_add_(&into->buckets[i], load(&from->buckets[i]));
    ipc_hist_add_(&into->count, load(&from->count));
    ipc_hist_add_(&into->sum, load(&from->sum));
    if (load(&from->max) > load(&into->max))
        store(&into->max, load(&from->max));
    uint64_t lowest = load(&from->min_plus_one);
    uint64_t own = load(&into->min_plus_one);
    if (lowest != 0 && (own == 0 || lowest < own))
        store(&into->min_plus_one, lowest);
}

void ipc_hist_reset(struct ipc_hist *hist)
{
    for (uint32_t i = 0; i < IPC_HIST_BUCKETS; i++)
        store(&hist->buckets[i], 0);
    store(&hist->count, 0);
    store(&hist->sum, 0);
    store(&hist->min_plus_one, 0);
    store(&hist->max, 0);
}
