/* lifecycle.h: the life of a child, as one table: state by event to next state and action
 * (ORDER-SAFETY 3.2).
 *
 *                  +-------- SKIPPED
 *   event -> INTENT+
 *                  +-> SENDING -> ACKED -> OPEN / PARTIAL / FILLED / CANCELLED / EXPIRED /
 *                        |  |              EXCH_REJECTED
 *                        |  +-> REJECTED
 *                        |  +-> NOT_SENT -> once more while fresh, else SKIPPED
 *                        +-> UNKNOWN -> RECONCILING -> ADOPTED -> as ACKED
 *                                          +-> NOT_PLACED -> MISSED
 *                                          +-> UNRESOLVED
 *
 * Only answers to a PLACE and sightings of the order move it; a MODIFY or CANCEL that is under way
 * is the child's flight, not a state. Pure; the table is constant. */
#ifndef LS_ENGINE_CORE_LIFECYCLE_H
#define LS_ENGINE_CORE_LIFECYCLE_H

#include "engine/core/step.h"

#define ENG_LIFE_LIST(X)                                                                           \
    X(ENG_LIFE_SEND, 0, "send")           /* decided, bytes may leave */                           \
    X(ENG_LIFE_QUEUE, 1, "queue")         /* decided, waits; also its terms replaced */            \
    X(ENG_LIFE_RELEASE, 2, "release")     /* leaves the queue, bytes may leave */                  \
    X(ENG_LIFE_SKIP, 3, "skip")           /* ends unsent */                                        \
    X(ENG_LIFE_ACKED, 4, "acked")         /* reply: accepted */                                    \
    X(ENG_LIFE_REJECTED, 5, "rejected")   /* reply: listed refusal */                              \
    X(ENG_LIFE_NOT_SENT, 6, "not-sent")   /* proof, or a refusal that allows a second attempt */   \
    X(ENG_LIFE_LOST, 7, "lost")           /* anything else: outcome unknown */                     \
    X(ENG_LIFE_SEEN_OPEN, 8, "seen-open") /* in a book or feed, pending or working */              \
    X(ENG_LIFE_SEEN_PARTIAL, 9, "seen-partial")                                                    \
    X(ENG_LIFE_SEEN_FILLED, 10, "seen-filled")                                                     \
    X(ENG_LIFE_SEEN_CANCELLED, 11, "seen-cancelled")                                               \
    X(ENG_LIFE_SEEN_EXPIRED, 12, "seen-expired")                                                   \
    X(ENG_LIFE_SEEN_REJECTED, 13, "seen-rejected")                                                 \
    X(ENG_LIFE_RECOVERED, 14, "recovered") /* the process died; in flight or not */                \
    X(ENG_LIFE_RECONCILE, 15, "reconcile") /* the broker's book is being asked */                  \
    X(ENG_LIFE_ABSENT, 16, "absent")       /* two complete books with a sentinel lack it */        \
    X(ENG_LIFE_GIVE_UP, 17, "give-up")     /* no proof either way in time */                       \
    X(ENG_LIFE_MISS, 18, "miss")           /* not placed, and reported */                          \
    X(ENG_LIFE_DAY_END, 19, "day-end")     /* the market's day is over */
IPC_DECLARE_ENUM(eng_life, ENG_LIFE_LIST)
#define ENG_LIFE_COUNT 20

enum eng_life_action {
    ENG_LIFE_KEEP = 0,       /* legal, changes nothing */
    ENG_LIFE_MOVE = 1,       /* the ordinary way on */
    ENG_LIFE_LATE = 2,       /* older news than what is known: counted */
    ENG_LIFE_GHOST = 3,      /* it lives though it had ended: moves, counted, alarm */
    ENG_LIFE_IMPOSSIBLE = 4, /* cannot happen: counted, reported, changes nothing */
};

struct eng_life_cell {
    uint8_t action; /* enum eng_life_action */
    uint8_t next;   /* enum eng_state */
};

/* eng_life_cell returns the cell of a state and an event. */
struct eng_life_cell eng_life_cell(enum eng_state state, enum eng_life event);

/* eng_state_ended: nothing more is expected of the order. */
static inline bool eng_state_ended(uint8_t state)
{
    return ((1u << state) & ((1u << ENG_STATE_FILLED) | (1u << ENG_STATE_CANCELLED) |
                                (1u << ENG_STATE_EXPIRED) | (1u << ENG_STATE_EXCH_REJECTED) |
                                (1u << ENG_STATE_REJECTED) | (1u << ENG_STATE_MISSED) |
                                (1u << ENG_STATE_SKIPPED) | (1u << ENG_STATE_NONE))) != 0;
}

/* eng_state_exposed: it may still fill, so what is open of it counts for limits and reservations.
 */
static inline bool eng_state_exposed(uint8_t state)
{
    return !eng_state_ended(state) && state != ENG_STATE_NOT_PLACED;
}

/* eng_state_in_doubt: entries of its follower and instrument are skipped (UNKNOWN_PENDING). */
static inline bool eng_state_in_doubt(uint8_t state)
{
    return state == ENG_STATE_UNKNOWN || state == ENG_STATE_RECONCILING ||
           state == ENG_STATE_UNRESOLVED;
}

/* eng_state_may_go_again: what may be asked with the same id where the broker enforces ids. */
static inline bool eng_state_may_go_again(uint8_t state)
{
    return state == ENG_STATE_UNKNOWN || state == ENG_STATE_RECONCILING;
}

/* eng_state_unsent: the place waits in a queue, no byte of it is out. */
static inline bool eng_state_unsent(uint8_t state)
{
    return state == ENG_STATE_INTENT || state == ENG_STATE_NOT_SENT;
}

#endif
