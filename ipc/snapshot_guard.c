/* snapshot_guard.c: the blast-radius guard: what changed between two generations, in numbers. */
#include "ipc/snapshot.h"

#include <string.h>

/* Enum values index the arrays of struct ipc_snapshot_stats. */
_Static_assert(IPC_MODE_FIXED_QUANTITY < 4, "a place for every mode");

static int64_t add_stopping(int64_t sum, int64_t more)
{
    int64_t result;
    return __builtin_add_overflow(sum, more, &result) ? INT64_MAX : result;
}

void ipc_snapshot_stats(const struct ipc_snapshot_view *view, struct ipc_snapshot_stats *out)
{
    memset(out, 0, sizeof(*out));
    for (uint32_t slot = 0; slot < view->follower_slots; slot++) {
        const struct ipc_row_follower *row = &view->followers[slot];
        if (row->follower_no == 0 || (row->flags & IPC_FOLLOWER_RETIRED))
            continue;
        out->followers++;
        if (!(row->flags & IPC_FOLLOWER_ENABLED))
            continue;
        LS_CHECK(ipc_mode_valid(row->mode));
        int64_t multiplier =
            row->mode == IPC_MODE_FIXED_QUANTITY ? row->fixed_qty_e8 : row->ratio_e8;
        out->enabled_followers++;
        out->total_e8[row->mode] = add_stopping(out->total_e8[row->mode], multiplier);
        out->largest_e8[row->mode] = ls_max_i64(out->largest_e8[row->mode], multiplier);
        out->total_multiplier_e8 = add_stopping(out->total_multiplier_e8, multiplier);
        out->largest_multiplier_e8 = ls_max_i64(out->largest_multiplier_e8, multiplier);
    }
}

int64_t ipc_snapshot_guard_fraction_e8(const struct ipc_snapshot_view *view)
{
    int64_t fraction = view->cluster ? view->cluster->guard_fraction_e8 : 0;
    return fraction == 0 ? LS_E8 / 2 : fraction;
}

/* Exact: |new - old| > old * fraction, in 128 bits. A sum that stopped at its end is not a number
 * any more, and counts as moved. */
static bool moved(int64_t old, int64_t new, int64_t fraction_e8)
{
    if (old == INT64_MAX || new == INT64_MAX)
        return true;
    __int128 change = new > old ? (__int128)new - old : (__int128)old - new;
    return change * LS_E8 > (__int128)old * fraction_e8;
}

static enum ipc_rc refuse(struct ipc_error *error, const char *what, int64_t old, int64_t new,
    int64_t fraction_e8, int64_t unit)
{
    /* In thousandths, cut: the sentence is for orientation. */
    ipc_error_set(error,
        "%s moves from %lld.%03lld to %lld.%03lld, more than %lld.%02lld %% at once; publish with "
        "--override if that is meant",
        what, (long long)(old / unit), (long long)(old % unit * 1000 / unit),
        (long long)(new / unit), (long long)(new % unit * 1000 / unit),
        (long long)(fraction_e8 * 100 / LS_E8), (long long)(fraction_e8 / 10000 % 100));
    return IPC_REFUSED;
}

enum ipc_rc ipc_snapshot_guard(const struct ipc_snapshot_stats *old,
    const struct ipc_snapshot_stats *new_stats, int64_t fraction_e8, bool override,
    struct ipc_error *error)
{
    static const char *const totals[] = {NULL, "the total ratio of FIXED_RATIO followers",
        "the total percentage of PERCENTAGE followers",
        "the total quantity of FIXED_QUANTITY followers"};
    static const char *const largests[] = {NULL, "the largest ratio of a FIXED_RATIO follower",
        "the largest percentage of a PERCENTAGE follower",
        "the largest quantity of a FIXED_QUANTITY follower"};
    LS_CHECK(fraction_e8 >= 0);
    if (override || !old || old->enabled_followers == 0)
        return IPC_OK;
    if (moved(old->enabled_followers, new_stats->enabled_followers, fraction_e8))
        return refuse(error, "the number of enabled followers", old->enabled_followers,
            new_stats->enabled_followers, fraction_e8, 1);
    for (uint32_t mode = IPC_MODE_FIXED_RATIO; mode <= IPC_MODE_FIXED_QUANTITY; mode++) {
        int64_t before = old->total_e8[mode];
        int64_t after = new_stats->total_e8[mode];
        if (moved(before, after, fraction_e8))
            return refuse(error, totals[mode], before, after, fraction_e8, LS_E8);
        before = old->largest_e8[mode];
        after = new_stats->largest_e8[mode];
        if (moved(before, after, fraction_e8))
            return refuse(error, largests[mode], before, after, fraction_e8, LS_E8);
    }
    return IPC_OK;
}
