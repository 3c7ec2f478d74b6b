/* snapshot_guard.c: the blast-radius guard: what changed between two generations, in numbers. */
#include "ipc/snapshot.h"

#include <stdio.h>
#include <string.h>

static int64_t add_stopping(int64_t sum, int64_t more)
{
    int64_t result;
    return __builtin_add_overflow(sum, more, &result) ? INT64_MAX : result;
}

static int64_t per_money(int64_t value_e8, int64_t money_e8)
{
    __int128 each = money_e8 > 0 ? (__int128)value_e8 * LS_E8 / money_e8 : 0;
    return each > INT64_MAX ? INT64_MAX : (int64_t)each;
}

static int64_t largest_tier(const struct ipc_row_policy *policy)
{
    int64_t largest = 0;
    for (uint32_t i = 0; i < policy->tier_count; i++)
        largest = ls_max_i64(largest, policy->tiers[i].mult_e8);
    return largest;
}

static int64_t multiplier_of(
    const struct ipc_snapshot_view *view, const struct ipc_row_follower *row)
{
    static const struct ipc_row_policy none;
    const struct ipc_row_policy *policy =
        row->policy != 0 ? &view->policies[row->policy - 1] : &none;
    switch ((enum ipc_mode)row->mode) {
    case IPC_MODE_FIXED_RATIO:
    case IPC_MODE_PERCENTAGE:
    case IPC_MODE_SMART_TARGET:
        return row->ratio_e8;
    case IPC_MODE_FIXED_QUANTITY:
        return row->fixed_qty_e8;
    case IPC_MODE_EQUITY_PROPORTIONAL:
    case IPC_MODE_BALANCE_PROPORTIONAL:
    case IPC_MODE_AUTO_RISK:
    case IPC_MODE_MULTIPLIER_NOTIONAL:
        return policy->mult_e8 != 0 ? policy->mult_e8 : LS_E8;
    case IPC_MODE_MQL5_PCT:
        return policy->deposit_fraction_e8;
    case IPC_MODE_USAGE_RATIO:
    case IPC_MODE_USAGE_RATIO_DISCOUNT:
        return policy->invest_e8;
    case IPC_MODE_STEP_OF_BALANCE:
        return per_money(policy->step_qty_e8, policy->step_money_e8);
    case IPC_MODE_FIXED_RISK:
        return policy->fraction_e8;
    case IPC_MODE_TIERED_MULTIPLIER:
        return largest_tier(policy);
    case IPC_MODE_COPY_RATIO_FROZEN:
        return policy->frozen_coefficient_e8;
    case IPC_MODE_PCT_BALANCE_BASIS:
        return per_money(policy->fraction_e8, policy->basis_money_e8);
    case IPC_MODE_AVAILABLE_RATIO_CAPPED:
        return policy->available_factor_e8;
    case IPC_MODE_POOLED_EQUAL:
    case IPC_MODE_POOLED_RATIO:
    case IPC_MODE_POOLED_NETLIQ:
        break; /* no valid row has them */
    }
    return 0;
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
        int64_t multiplier = multiplier_of(view, row);
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

/* "the total ratio of FIXED_RATIO followers" */
static const char *named(const char *which, enum ipc_mode mode, char *out, size_t bytes)
{
    const char *number = mode == IPC_MODE_FIXED_RATIO      ? "ratio"
                         : mode == IPC_MODE_PERCENTAGE     ? "percentage"
                         : mode == IPC_MODE_FIXED_QUANTITY ? "quantity"
                                                           : "multiplier";
    (void)snprintf(out, bytes, "the %s %s of %s followers", which, number, ipc_mode_name(mode));
    return out;
}

enum ipc_rc ipc_snapshot_guard(const struct ipc_snapshot_stats *old,
    const struct ipc_snapshot_stats *new_stats, int64_t fraction_e8, bool override,
    struct ipc_error *error)
{
    LS_CHECK(fraction_e8 >= 0);
    if (override || !old || old->enabled_followers == 0)
        return IPC_OK;
    if (moved(old->enabled_followers, new_stats->enabled_followers, fraction_e8))
        return refuse(error, "the number of enabled followers", old->enabled_followers,
            new_stats->enabled_followers, fraction_e8, 1);
    for (uint32_t mode = 1; mode < IPC_MODE_LIMIT; mode++) {
        char what[80];
        int64_t before = old->total_e8[mode];
        int64_t after = new_stats->total_e8[mode];
        if (moved(before, after, fraction_e8))
            return refuse(error, named("total", (enum ipc_mode)mode, what, sizeof(what)), before,
                after, fraction_e8, LS_E8);
        before = old->largest_e8[mode];
        after = new_stats->largest_e8[mode];
        if (moved(before, after, fraction_e8))
            return refuse(error, named("largest", (enum ipc_mode)mode, what, sizeof(what)), before,
                after, fraction_e8, LS_E8);
    }
    return IPC_OK;
}
