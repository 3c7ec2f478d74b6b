/* gather.h: the case of a close, or of an amended close, from the core's tables. What eng_judge
 * says about it is what the wave does. Pure.
 *
 * The run of reductions is folded with every fill and cancel (positions.h, masters.h), so a
 * gathered case has base_kept: M0, F0, D with the event in it, and what was ordered for it. Numbers
 * of one position are numbers of one incarnation: an earlier one is closed by what it copied
 * itself. */
#ifndef LS_ENGINE_CORE_PIPELINE_GATHER_H
#define LS_ENGINE_CORE_PIPELINE_GATHER_H

#include "engine/core/pipeline/case.h"
#include "engine/core/pipeline/work.h"

/* What of a position is closed, and by what. */
struct eng_close {
    const struct eng_position *position;
    const struct eng_plan *plan;   /* its terms: eng_work_close_plan */
    const struct eng_run_sum *run; /* of the master's reductions */
    uint32_t number;               /* of that run */
    uint8_t side;                  /* that closes: enum ipc_side */
    bool by_fill;                  /* it follows the master's fills */
    bool is_stop;                  /* it is a protective stop itself: counted beside the others */
    bool everything;               /* whatever is held: the master is flat already */
    bool held_only;                /* his entries still work: what copies of them bring stays */
};

/* eng_gather_close fills the case of a reduction: ENG_ON_ORDER, ENG_ON_FILL, or with `everything`
 * ENG_ON_EXIT. *judged points to *shared afterwards. */
void eng_gather_close(const struct eng_work *work, const struct eng_follower *follower,
    const struct eng_close *close, struct eng_case_shared *shared, struct eng_case *judged);

/* What a follower's working copies of one exit order come to together. */
struct eng_copies {
    int64_t open_e8;   /* may still fill */
    int64_t filled_e8; /* did, of those that share the total */
};

/* eng_gather_amend fills the case of an amended exit. */
void eng_gather_amend(const struct eng_work *work, const struct eng_follower *follower,
    const struct eng_close *close, const struct eng_copies *copies, struct eng_case_shared *shared,
    struct eng_case *judged);

#endif
