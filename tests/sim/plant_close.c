/* A planted bug: a close is sized by the follower's ratio, as an opening is, and not by the part of
 * what is held. In place of close.c in lockstep-sim-plant-close. */
#include "engine/core/pipeline/judging.h"

#define eng_exact_over(exact, whole)                                                               \
    do {                                                                                           \
        *(exact) = (struct eng_exact){0};                                                          \
        eng_exact_times(exact, part_e8);                                                           \
        eng_exact_times(exact, judging->row->ratio_e8);                                            \
        (eng_exact_over)(exact, LS_E8);                                                            \
    } while (0)

#include "engine/core/pipeline/close.c"
