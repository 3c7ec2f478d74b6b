/* fold.h: what a verdict leaves in the follower's numbers when everything that it sends fills: the
 * smallest world in which the next case can be judged. lockstep-whatif plays runs of events with
 * it. Pure. */
#ifndef LS_ENGINE_CORE_PIPELINE_FOLD_H
#define LS_ENGINE_CORE_PIPELINE_FOLD_H

#include "engine/core/pipeline/case.h"

/* eng_fold_filled folds a verdict whose orders fill whole and at once.
 *   same_order  the next event is of the same master order: the run of a mode without carry goes
 *               on; false = another order begins */
void eng_fold_filled(
    struct eng_case_follower *follower, const struct eng_verdict *verdict, bool same_order);

#endif
