/* full.h: openings of followers that set more than their row says: a policy, a symbol map, a mode
 * beyond the first three. Their case is gathered from the plan and the core's tables and judged by
 * eng_judge; everybody else takes the short way of risk.c, which is the same rules on one row.
 * Pure.
 */
#ifndef LS_ENGINE_CORE_PIPELINE_FULL_H
#define LS_ENGINE_CORE_PIPELINE_FULL_H

#include "engine/core/pipeline/work.h"

/* eng_row_is_plain: the short way knows all that the row asks for. */
static inline bool eng_row_is_plain(const struct ipc_row_follower *row)
{
    return (row->policy | row->map | (row->mode > IPC_MODE_FIXED_QUANTITY)) == 0;
}

/* eng_row_reverses: its copies have the other side. */
static inline bool eng_row_reverses(
    const struct ipc_snapshot_view *view, const struct ipc_row_follower *row)
{
    bool asked = row->policy != 0 && (view->policies[row->policy - 1].flags & IPC_POLICY_REVERSE);
    return asked != (row->ratio_e8 < 0);
}

/* eng_plan_opening sizes and checks an opening of any follower: as eng_plan_entry, and
 *   work   gets the samples and steps of the element added last; NULL = nobody records them
 *   shape  storage for terms->shape, where it becomes another one than the plan's
 *   terms  filled for the plan by the caller; changed where the follower's order differs from the
 *          batch's: type, price and validity of a price guard, product, slices, protection field */
LS_MUST_USE bool eng_plan_opening(struct eng_work *work, struct eng_plan *plan,
    const struct eng_follower *follower, int64_t own_e8, struct ipc_fact_child *fact,
    struct eng_shape *shape, struct eng_terms *terms);

#endif
