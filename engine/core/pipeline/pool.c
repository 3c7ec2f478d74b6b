#include "engine/core/pipeline/pool.h"

/* What account `at` lost by the floor, as a numerator over the sum of weights. */
static unsigned __int128 lost(
    int64_t lots, const int64_t *weights, uint32_t at, unsigned __int128 sum)
{
    return (unsigned __int128)(uint64_t)lots * (uint64_t)weights[at] % sum;
}

/* The next account that gets a lot: in order, or who lost most among those that have none yet.
 * `given` lots are the floor's. */
static uint32_t next_of(int64_t lots, int64_t lot_e8, const int64_t *weights, uint32_t count,
    unsigned __int128 sum, const int64_t *out)
{
    uint32_t best = count;
    for (uint32_t i = 0; i < count; i++) {
        unsigned __int128 floor = (unsigned __int128)(uint64_t)lots * (uint64_t)weights[i] / sum;
        if ((unsigned __int128)(uint64_t)(out[i] / lot_e8) != floor)
            continue; /* it has had its lot */
        if (best == count || lost(lots, weights, i, sum) > lost(lots, weights, best, sum))
            best = i;
    }
    return best;
}

enum ipc_rc eng_pool_split(int64_t qty_e8, int64_t lot_e8, const int64_t *weights, uint32_t count,
    enum eng_pool_rest rest, int64_t *out)
{
    unsigned __int128 sum = 0;
    bool negative = qty_e8 < 0 || lot_e8 <= 0 || count == 0 || count > ENG_POOL_MAX;
    if (count > ENG_POOL_MAX)
        return IPC_BAD_INPUT;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = 0;
        negative |= weights[i] < 0;
        sum += weights[i] > 0 ? (uint64_t)weights[i] : 0;
    }
    if (negative || sum == 0)
        return IPC_BAD_INPUT;
    int64_t lots = qty_e8 / lot_e8, left = lots;
    for (uint32_t i = 0; i < count; i++) {
        int64_t share = (int64_t)((unsigned __int128)(uint64_t)lots * (uint64_t)weights[i] / sum);
        out[i] = share * lot_e8;
        left -= share;
    }
    /* Fewer lots are left than accounts that have a weight. */
    if (rest == ENG_POOL_DISTRIBUTE) {
        for (uint32_t i = 0; i < count && left > 0; i++) {
            if (weights[i] == 0)
                continue;
            out[i] += lot_e8;
            left--;
        }
    }
    while (rest == ENG_POOL_LARGEST_FRACTION && left > 0) {
        uint32_t at = next_of(lots, lot_e8, weights, count, sum, out);
        if (at == count)
            break;
        out[at] += lot_e8;
        left--;
    }
    return IPC_OK;
}
