/* Steps 10 and 11 of SEMANTICS 2: the lot or step, and what floors to nothing. */
#include "engine/core/pipeline/judging.h"

int64_t eng_round_qty(const struct eng_judging *judging, int64_t raw_e8)
{
    if (judging->policy->round == IPC_ROUND_NEAREST)
        return eng_unit_nearest(raw_e8, judging->unit_e8);
    return eng_unit_floor(raw_e8, judging->unit_e8);
}

enum ipc_reason eng_round_opening(struct eng_judging *judging, struct eng_sizing *sizing)
{
    const struct ipc_row_policy *policy = judging->policy;
    int64_t raw = sizing->qty_e8;
    judging->out->asked_e8 = raw;
    /* Far outside what any order may be: a wrong ratio, not a large follower. */
    if (raw > ENG_CASE_QTY_MAX_E8)
        return IPC_REASON_MAX_QTY;
    if (raw < policy->refuse_below_e8) {
        eng_note(judging, IPC_STEP_REFUSE_BELOW, policy->refuse_below_e8, IPC_REASON_QTY_ZERO);
        return IPC_REASON_QTY_ZERO;
    }
    sizing->qty_e8 = eng_round_qty(judging, raw);
    if (judging->unit_e8 != 0) {
        eng_note(judging, judging->unit_e8 == judging->lot_e8 ? IPC_STEP_LOT : IPC_STEP_STEP,
            judging->unit_e8, 0);
        eng_note(judging, policy->round == IPC_ROUND_NEAREST ? IPC_STEP_NEAREST : IPC_STEP_FLOORED,
            sizing->qty_e8, 0);
    }
    if (sizing->qty_e8 == 0 && raw > 0 && eng_policy_has(judging, IPC_POLICY_FORCE_MIN)) {
        sizing->qty_e8 = judging->unit_e8;
        eng_note(judging, IPC_STEP_FORCE_MIN, judging->unit_e8, 0);
    }
    return IPC_REASON_NONE;
}
