/* Step 17 of SEMANTICS 2: orders above the freeze quantity leave in slices. */
#include "engine/core/pipeline/judging.h"

#define SLICES_MAX 20

static int64_t smaller_set(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

enum ipc_reason eng_slice(struct eng_judging *judging, struct eng_leg *leg, bool is_exit)
{
    leg->slices = 1;
    leg->slice_e8 = leg->qty_e8;
    int64_t most = smaller_set(judging->freeze_e8, judging->policy->split_qty_e8);
    if (most == 0 || leg->qty_e8 <= most)
        return IPC_REASON_NONE;
    int64_t slice = eng_unit_floor(most, judging->unit_e8);
    eng_note(judging, IPC_STEP_FREEZE, most, 0);
    if (slice == 0)
        return is_exit ? IPC_REASON_NONE : IPC_REASON_TOO_MANY_SLICES;
    int64_t count = leg->qty_e8 / slice + (leg->qty_e8 % slice != 0);
    uint32_t budget = judging->policy->slices_max ? judging->policy->slices_max : SLICES_MAX;
    eng_note(judging, IPC_STEP_SLICE, slice, 0);
    eng_note(judging, IPC_STEP_SLICES, count > INT64_MAX / LS_E8 ? INT64_MAX : count * LS_E8, 0);
    if (!is_exit && count > budget) {
        eng_note(judging, IPC_STEP_SLICES_MAX, budget * LS_E8, IPC_REASON_TOO_MANY_SLICES);
        return IPC_REASON_TOO_MANY_SLICES;
    }
    if (count > UINT32_MAX)
        return IPC_REASON_NONE; /* an exit beyond any count goes as it is: its broker answers */
    leg->slices = (uint32_t)count;
    leg->slice_e8 = slice;
    return IPC_REASON_NONE;
}
