#include "engine/core/pipeline/fold.h"

void eng_fold_filled(
    struct eng_case_follower *follower, const struct eng_verdict *verdict, bool same_order)
{
    bool carries = follower->policy != NULL && (follower->policy->flags & IPC_POLICY_CARRY) != 0;
    follower->run = verdict->run;
    if (!same_order)
        follower->run.seen_e8 = 0;
    if (!same_order && !carries)
        follower->run = (struct eng_run){0};
    /* Reductions have set it; an opening ends it, the next reduction takes it anew. */
    follower->base = verdict->base;
    if (verdict->act != ENG_ACT_PLACE)
        return;
    for (uint32_t i = 0; i < verdict->leg_count; i++) {
        const struct eng_leg *leg = &verdict->legs[i];
        int64_t change = leg->side == IPC_SIDE_BUY ? leg->qty_e8 : -leg->qty_e8;
        if (__builtin_add_overflow(follower->held_e8, change, &follower->held_e8))
            follower->held_e8 = change < 0 ? INT64_MIN : INT64_MAX;
        if (leg->flags & ENG_LEG_OPEN) {
            follower->trades++;
            if (!follower->holds)
                follower->open_positions++;
            follower->holds = 1;
        }
    }
    if (follower->held_e8 == 0 && follower->holds) {
        follower->holds = 0;
        follower->open_positions -= follower->open_positions > 0;
    }
    int64_t held = follower->held_e8 == INT64_MIN ? INT64_MAX : follower->held_e8;
    follower->reach_e8 = held < 0 ? -held : held;
}
