/* One opening leg: steps 1 to 17 of SEMANTICS 2 in their order; section 5's remainders. */
#include "engine/core/pipeline/judging.h"

/* One of these sizes an order by itself: every opening event is its own, and the fills of one order
 * are one event. */
static bool sized_by_event(enum ipc_mode mode)
{
    return mode == IPC_MODE_PERCENTAGE || mode == IPC_MODE_FIXED_QUANTITY ||
           mode == IPC_MODE_STEP_OF_BALANCE || mode == IPC_MODE_FIXED_RISK ||
           mode == IPC_MODE_PCT_BALANCE_BASIS;
}

/* Steps 9 to 11: what the run comes to with this part, less what it came to before. */
static enum ipc_reason size_opening(
    struct eng_judging *judging, struct eng_sizing *sizing, const struct eng_run *before, bool runs)
{
    struct eng_run *run = &judging->out->run;
    int64_t part_e8 = sizing->master_e8;
    bool by_event = sized_by_event((enum ipc_mode)judging->row->mode);
    if (by_event && judging->shared->occasion == ENG_ON_FILL && before->seen_e8 > 0)
        return IPC_REASON_AT_TARGET; /* an earlier fill of the order was the event */
    if (runs && !by_event)
        sizing->master_e8 = eng_sum(before->sum_e8, part_e8);
    enum ipc_reason reason = eng_mode_raw(judging, sizing);
    if (reason != IPC_REASON_NONE || sizing->passed_over || sizing->in_money)
        return reason;
    reason = eng_round_opening(judging, sizing);
    if (reason != IPC_REASON_NONE)
        return reason;
    if (runs && !by_event) {
        int64_t total = sizing->qty_e8;
        if (before->granted_e8 != 0)
            eng_note(judging, IPC_STEP_CHILD_SENT, before->granted_e8, 0);
        sizing->qty_e8 = total > before->granted_e8 ? total - before->granted_e8 : 0;
    }
    run->sum_e8 = eng_sum(before->sum_e8, part_e8);
    run->granted_e8 = eng_sum(before->granted_e8, sizing->qty_e8);
    if (sizing->qty_e8 != 0)
        return IPC_REASON_NONE;
    return judging->unit_e8 > LS_E8 ? IPC_REASON_SUB_LOT : IPC_REASON_QTY_ZERO;
}

/* Steps 12 to 14. */
static enum ipc_reason cap_opening(struct eng_judging *judging, struct eng_sizing *sizing)
{
    enum ipc_reason reason = IPC_REASON_NONE;
    if (!sizing->passed_over) {
        reason = eng_caps_qty(judging, sizing);
        if (reason == IPC_REASON_NONE)
            reason = eng_caps_value(judging, sizing);
    }
    return reason == IPC_REASON_NONE ? eng_caps_margin(judging, sizing) : reason;
}

enum ipc_reason eng_judge_opening(
    struct eng_judging *judging, int64_t master_e8, bool fresh, int64_t freed_e8, uint8_t flags)
{
    struct eng_verdict *out = judging->out;
    enum ipc_reason reason = eng_bars(judging, false);
    if (reason != IPC_REASON_NONE)
        return reason;
    bool fills = judging->shared->occasion == ENG_ON_FILL;
    bool runs = fills || eng_policy_has(judging, IPC_POLICY_CARRY);
    struct eng_run before = {.seen_e8 = judging->follower->run.seen_e8};
    if (runs && !fresh)
        before = judging->follower->run;
    struct eng_sizing sizing = {.master_e8 = master_e8, .freed_e8 = freed_e8};
    reason = size_opening(judging, &sizing, &before, runs);
    if (reason == IPC_REASON_NONE && !sizing.in_money && !sizing.passed_over)
        out->asked_e8 = sizing.qty_e8;
    if (reason == IPC_REASON_NONE)
        reason = cap_opening(judging, &sizing);
    if (reason != IPC_REASON_NONE)
        return reason;
    if (sizing.in_money && sizing.money_e8 <= 0)
        return IPC_REASON_QTY_ZERO;
    struct eng_leg leg = {.flags = (uint8_t)(ENG_LEG_OPEN | flags), .qty_e8 = sizing.qty_e8};
    reason = eng_guard_opening(judging, &leg);
    if (reason != IPC_REASON_NONE || sizing.passed_over || sizing.in_money)
        return reason;
    reason = eng_slice(judging, &leg, false);
    if (reason == IPC_REASON_NONE)
        out->legs[out->leg_count++] = leg;
    return reason;
}
