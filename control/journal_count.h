/* journal_count.h: is every decision accounted for? (ORDER-SAFETY P2)
 *
 *     events x followers = skipped + vanished + placed + acts + remaining
 *     placed + extra     = terminal + open
 *
 * Counted from the facts of a journal alone, frame by frame, and by none of the engine's code, so
 * that an error there does not cancel itself. A wave's followers are told by its EVENT; each is
 * visited once, as a skip, a new order, or an act on an order that exists; the wave's end marker
 * says that the rest left the list. An order is open until a fact ends it. What does not fit is a
 * difference, and the first ones are kept with their lsn. One thread; allocates. */
#ifndef LS_CONTROL_JOURNAL_COUNT_H
#define LS_CONTROL_JOURNAL_COUNT_H

#include "ipc/journal_format.h"

#define CTL_DIFFERENCES_KEPT 20u

/* Where an order stands. */
#define CTL_STAND_LIST(X)                                                                          \
    X(CTL_STAND_QUEUED, 1, "queued")                                                               \
    X(CTL_STAND_SENDING, 2, "sending")                                                             \
    X(CTL_STAND_NOT_SENT, 3, "not-sent")     /* proved unsent, or refused for now: may go again */ \
    X(CTL_STAND_UNKNOWN, 4, "unknown")       /* also while its book is asked */                    \
    X(CTL_STAND_UNRESOLVED, 5, "unresolved") /* a person decides */                                \
    X(CTL_STAND_NOT_PLACED, 6, "not-placed") /* proved; not reported yet */                        \
    X(CTL_STAND_WORKING, 7, "working")       /* acknowledged, or seen open */                      \
    X(CTL_STAND_FILLED, 8, "filled")         /* the first of the terminal ones */                  \
    X(CTL_STAND_CANCELLED, 9, "cancelled")                                                         \
    X(CTL_STAND_EXPIRED, 10, "expired")                                                            \
    X(CTL_STAND_REJECTED, 11, "rejected")                                                          \
    X(CTL_STAND_SKIPPED, 12, "skipped") /* made, and ended unsent */                               \
    X(CTL_STAND_MISSED, 13, "missed")
IPC_DECLARE_ENUM(ctl_stand, CTL_STAND_LIST)
#define CTL_STAND_COUNT 14

struct ctl_journal_counts {
    uint64_t events, waves, updates, replies, releases, batches;
    uint64_t expected;  /* events x followers */
    uint64_t skipped;   /* visits */
    uint64_t placed;    /* visits that made an order */
    uint64_t acts;      /* visits that changed an order, or wait for it */
    uint64_t vanished;  /* left the list before their wave reached them */
    uint64_t remaining; /* not visited yet */
    uint64_t extra;     /* orders beside the one of a visit: legs, slices, follow-ups */
    uint64_t stands[CTL_STAND_COUNT]; /* orders */
    uint64_t terminal, open;          /* their sums */
    uint64_t unnamed;                 /* facts about orders from before the journal's beginning */
    uint64_t differences;
    struct {
        uint64_t lsn;
        char text[120];
    } kept[CTL_DIFFERENCES_KEPT];
};

struct ctl_journal_count;

/* ctl_journal_count_make: NULL without memory. */
struct ctl_journal_count *ctl_journal_count_make(void);
void ctl_journal_count_free(struct ctl_journal_count *count);

/* ctl_journal_count_take takes the next frame, in lsn order. Bytes come from files: any payload.
 *   maybe  it lies behind a hole: what it builds on may be missing, which is no difference */
void ctl_journal_count_take(struct ctl_journal_count *count, const struct ipc_frame *frame,
    const void *payload, bool maybe);

/* ctl_journal_count_end adds up; further frames may follow, and another end. */
void ctl_journal_count_end(struct ctl_journal_count *count, struct ctl_journal_counts *out);

#endif
