/* bracket.h: the protective legs of a copy: a stop and a target that close what the copy filled
 * (SEMANTICS 8). The part that apply calls.
 *
 * When the master's order carries a stop or a target and a follower's entry of it fills, the
 * follower gets its own legs: closes, children of the same order with leg digits of their own,
 * sized on what its entries filled less what its legs filled. The two of a pair are siblings: what
 * they may still fill counts once in the position (the larger of the two), as one takes what the
 * other had. What a leg may still fill is no part of what a run of reductions has closed: its
 * fills are.
 *
 * A reduction goes before them: while a position still wants to close something, or is to become
 * flat, its legs are cancelled, which frees what they held; what is left afterwards gets legs
 * anew. */
#ifndef LS_ENGINE_CORE_BRACKET_H
#define LS_ENGINE_CORE_BRACKET_H

#include "engine/core/children.h"

/* What of a child counts in its position; of a pair, what counts of both. */
struct eng_claims {
    int64_t all_e8;    /* may still fill */
    int64_t unsent_e8; /* of a close: of it, what nothing that has left may fill */
};

/* eng_claims_of returns them for a child and its sibling, if it has one. */
struct eng_claims eng_claims_of(const struct eng_core *core, const struct eng_child *child);

/* eng_claims_alone returns them without the sibling. */
struct eng_claims eng_claims_alone(const struct eng_child *child);

/* eng_bracket_yields: its legs make room, as something else closes what they hold. */
static inline bool eng_bracket_yields(const struct eng_position *position)
{
    return ((position->flags & (ENG_POSITION_WANTS | ENG_POSITION_FLAT)) &&
               !(position->flags & ENG_POSITION_REFUSED)) ||
           position->flatten != 0;
}

/* eng_bracket_claim_e8 returns what the legs of a position may still fill. */
int64_t eng_bracket_claim_e8(const struct eng_core *core, uint32_t position);

/* eng_bracket_look lets the legs of all copies of a position be decided anew. */
void eng_bracket_look(struct eng_core *core, uint32_t position);

/* eng_bracket_yield: the position wants to close what its legs hold; called after every change of
 * a position with ENG_POSITION_PROTECTED. */
void eng_bracket_yield(struct eng_core *core, uint32_t position);

/* eng_bracket_changed: a child ended a change (part of eng_child_end). */
void eng_bracket_changed(struct eng_core *core, const struct eng_child_touch *touch);

#endif
