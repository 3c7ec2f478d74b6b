/* full.h: openings of followers that set more than their row says: a policy, a symbol map, a mode
 * beyond the first three. Their case is gathered from the plan and the core's tables and judged by
 * eng_judge; everybody else takes the short way of risk.c, which is the same rules on one row.
 * Pure.
 */
#ifndef LS_ENGINE_CORE_PIPELINE_FULL_H
#define LS_ENGINE_CORE_PIPELINE_FULL_H

#include "engine/core/pipeline/case.h"
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

/* eng_ended_reason: why nothing opens for a follower whose subscription ended. policy: its own,
 * NULL = none. What it holds is kept, and follows the master's exits alone, unless it asked to be
 * flat. */
static inline enum ipc_reason eng_ended_reason(const struct ipc_row_policy *policy)
{
    return policy != NULL && (policy->flags & IPC_POLICY_END_FLATTENS)
               ? IPC_REASON_FOLLOWER_DISABLED
               : IPC_REASON_POSITION_KEPT;
}

/* eng_plan_opening sizes and checks an opening of any follower: as eng_plan_entry, and
 *   work   gets the samples and steps of the element added last; NULL = nobody records them
 *   shape  storage for terms->shape, where it becomes another one than the plan's
 *   terms  filled for the plan by the caller; changed where the follower's order differs from the
 *          batch's: type, price and validity of a price guard, product, slices, protection field */
LS_MUST_USE bool eng_plan_opening(struct eng_work *work, struct eng_plan *plan,
    const struct eng_follower *follower, int64_t own_e8, struct ipc_fact_child *fact,
    struct eng_shape *shape, struct eng_terms *terms);

/* The total that the copies of an amended opening are to come to. */
struct eng_amended {
    struct eng_terms
        terms; /* of what is placed beside the copies, and of those that have not left */
    struct eng_shape shape; /* terms.shape may point to it */
    struct eng_case_follower follower;
    struct eng_trace trace;
    bool is_recorded; /* of a follower that sets more than its row says */
};

/* eng_plan_amend judges the new total of an opening that was copied (SEMANTICS 8).
 *   open_e8, filled_e8  of all of its copies
 *   fact     qty_e8 becomes the total, reason why it is less, or why there is none
 *   returns  false when no total can be made: the copies stay as they are */
LS_MUST_USE bool eng_plan_amend(struct eng_plan *plan, const struct eng_follower *follower,
    int64_t open_e8, int64_t filled_e8, struct ipc_fact_child *fact, struct eng_amended *out);

/* eng_record_amend puts samples and steps on record with the element `at`. */
void eng_record_amend(struct eng_work *work, const struct eng_amended *amended, uint32_t at);

#endif
