/* flatten.h: copied positions that are to become flat though no order of their master says so: a
 * money limit was reached (on_breach: flatten), a subscription ended with flatten, a person wants
 * it. Flattening is an act of its own: no switch does it, and it stops no later entry.
 *
 * Two facts. A LIMIT fact of act FLATTEN marks positions: the wish is on record. Then each marked
 * position gets an own order (an EVENT fact of transition FOLLOW_UP): a market order of nobody,
 * with a key and tag digits of its own, on the side that closes. Applying it sends what works of
 * the position's entries to be cancelled and puts the position into the list of follow-ups, so that
 * its closes are decided, clamped, sliced, priced, queued, paced and recovered as those of any
 * other exit: halt stops them, close-only does not, and nothing is sent while an earlier close is
 * unanswered. What an entry still fills meanwhile is closed too.
 *
 * A close that ended unfilled is tried again with a back-off, from what is held then, as the next
 * child of the same own order; after ENG_FLATTEN_TRIES repeats it is given up with an alarm. The
 * wish ends when nothing of the position is held, working or in doubt; or when it is opened anew
 * while everything held is being closed.
 *
 * Exactly once: the wish, the own order and each close are facts before any byte leaves, a marked
 * position is not marked again, and what working closes may fill is never closed twice. */
#ifndef LS_ENGINE_CORE_FLATTEN_H
#define LS_ENGINE_CORE_FLATTEN_H

#include "engine/core/step.h"

#define ENG_FLATTEN_TRIES 8u /* repeats of a close that ended unfilled */

/* eng_flatten_open counts positions that are to become flat and were not given up. */
uint32_t eng_flatten_open(const struct eng_core *core);

/* eng_flatten_fresh counts those of them that have no own order yet. */
uint32_t eng_flatten_fresh(const struct eng_core *core);

/* eng_flatten_want makes the FLATTEN fact of a follower of eng_limits_slot whose limits or whose
 * ended subscription want its positions closed, when something of it is not marked yet.
 *   returns  true with *out filled */
LS_MUST_USE bool eng_flatten_want(
    const struct eng_core *core, uint32_t slot, struct ipc_fact_limit *out);

/* A marked position that something is to be decided about. */
struct eng_flatten {
    uint32_t position;
    uint32_t slot, master, instrument;
};

/* eng_flatten_next looks at no more than `most` positions, from *cursor on: at those that are short
 * first, then at all others.
 *   cursor   0 at first; 0 again when all were looked at
 *   returns  true with *out filled; false when there was none among them */
LS_MUST_USE bool eng_flatten_next(const struct eng_core *core, uint32_t *cursor, uint32_t most,
    int64_t now_mono_ns, struct eng_flatten *out);

/* eng_flatten_decide makes the own order of a marked position, its repeat, or its end.
 *   word     strictest switch word of the follower, its master and instrument: under halt nothing
 *            is tried again
 *   now_*    times of the fact
 *   alarm    filled when *has_alarm
 *   returns  true with *out to journal (type EVENT) and apply; false when nothing is to be done
 * now: halted, the follower's slot is not in the view, or a table is full (alarm CAPACITY) */
LS_MUST_USE bool eng_flatten_decide(const struct eng_core *core, const struct eng_flatten *flatten,
    uint8_t word, int64_t now_mono_ns, int64_t now_wall_ns, struct ipc_fact_event *out,
    struct ipc_fact_alarm *alarm, bool *has_alarm);

#endif
