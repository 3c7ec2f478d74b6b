/* fact.h: payloads of journal frames. The fold of facts is the engine's state; nothing else is.
 *
 * Written by an engine's pinned thread, read by recovery, by control and by lockstepctl. Fixed
 * layout, no padding, never renumbered. A fact is named by (lsn, index in its frame). */
#ifndef LS_IPC_FACT_H
#define LS_IPC_FACT_H

#include "ipc/command.h"
#include "ipc/event.h"
#include "ipc/step_code.h"

#define IPC_FACT_LIST(X)                                                                           \
    X(IPC_FACT_OPEN, 1, "open")       /* struct ipc_fact_open: a process opened the journal */     \
    X(IPC_FACT_ADOPT, 2, "adopt")     /* struct ipc_fact_adopt: a generation came into force */    \
    X(IPC_FACT_EVENT, 3, "event")     /* struct ipc_fact_event: an order state was seen */         \
    X(IPC_FACT_BATCH, 4, "batch")     /* struct ipc_fact_batch + children: intents and skips */    \
    X(IPC_FACT_RELEASE, 5, "release") /* struct ipc_fact_release[]: queued children go or end */   \
    X(IPC_FACT_REPLY, 6, "reply")     /* struct ipc_fact_reply[]: outcomes with evidence */        \
    X(IPC_FACT_UPDATE, 7, "update")   /* struct ipc_fact_event: a follower order's state */        \
    X(IPC_FACT_CHECKPOINT, 8, "checkpoint") /* a piece of the whole state */                       \
    X(IPC_FACT_ALARM, 9, "alarm")           /* struct ipc_fact_alarm */                            \
    X(IPC_FACT_BOOK, 10, "book")   /* struct ipc_fact_book: history or gap of an account */        \
    X(IPC_FACT_LIMIT, 11, "limit") /* struct ipc_fact_limit: market day, money limits, breakers */ \
    X(IPC_FACT_RECON, 12,                                                                          \
        "recon") /* struct ipc_fact_recon + list: books asked, what they prove */                  \
    X(IPC_FACT_GUARD, 13, "guard")       /* struct ipc_fact_guard: breakers, suspicions */         \
    X(IPC_FACT_DAY, 14, "day")           /* struct ipc_fact_day: a day began, old ones are gone */ \
    X(IPC_FACT_CATCH_UP, 15, "catch-up") /* struct ipc_fact_catch_up: a missed order, by a person  \
                                          */                                                       \
    X(IPC_FACT_ACCOUNT, 16, "account") /* struct ipc_fact_account: what an owner traded by hand */ \
    X(IPC_FACT_POSITIONS, 17, "positions") /* struct ipc_fact_positions: compared with the broker  \
                                            */                                                       \
    X(IPC_FACT_RESOLVE, 18, "resolve") /* struct ipc_fact_resolve: what a person found out of an     \
                                          UNRESOLVED order */
IPC_DECLARE_ENUM(ipc_fact_type, IPC_FACT_LIST)

struct ipc_fact_open {
    uint8_t engine_uuid[16];
    uint8_t boot_id[16];
    uint64_t previous_lsn;  /* last lsn that recovery folded, 0 = a new journal */
    uint64_t state_hash;    /* of the state after the fold */
    uint64_t dropped_bytes; /* bytes of the tail that were not taken, kept as evidence in the old
                               segment */
    uint32_t shard;
    uint32_t unknown_children; /* in flight at the crash, marked UNKNOWN by this fact */
    uint32_t same_boot;        /* 1 = monotonic times before this fact are comparable */
    uint16_t tier;             /* 0 = process, 1 = power */
    uint16_t reconcile_all;    /* 1 = nothing is placed before its account's book was read: another
                                  boot, holes, or something that was committed is gone */
    char cluster_id[64];
};

struct ipc_fact_adopt {
    uint64_t generation;
    uint64_t content_hash;
    uint32_t follower_slots, enabled_followers;
    int64_t total_multiplier_e8, largest_multiplier_e8;
};

/* What changed, derived by the engine from the joined state. */
#define IPC_TRANSITION_LIST(X)                                                                     \
    X(IPC_TRANSITION_NONE, 0, "none") /* joining changed nothing that is copied */                 \
    X(IPC_TRANSITION_NEW, 1, "new")                                                                \
    X(IPC_TRANSITION_AMENDED, 2, "amended")                                                        \
    X(IPC_TRANSITION_FILLED_MORE, 3, "filled-more")                                                \
    X(IPC_TRANSITION_CANCELLED, 4, "cancelled")                                                    \
    X(IPC_TRANSITION_REJECTED, 5, "rejected")                                                      \
    X(IPC_TRANSITION_HISTORY, 6, "history") /* first book of an account: noted, never copied */    \
    X(IPC_TRANSITION_FOLLOW_UP, 7, "follow-up") /* of a BATCH outside a wave: what a position      \
                                                   still has to close, or an opening that waited   \
                                                   for its close */
IPC_DECLARE_ENUM(ipc_transition, IPC_TRANSITION_LIST)

/* An EVENT of transition FOLLOW_UP is no state of a master's order: it is an own order, which
 * closes what one follower copied (engine/core/flatten.h). `book_order_count` holds the follower
 * number, follower_count its incarnation, `reserved` the master's instrument, ring_sequence one of
 * these. */
#define IPC_FLATTEN_BEGINS   1u
#define IPC_FLATTEN_AGAIN    2u /* what was tried ended unfilled: derived anew */
#define IPC_FLATTEN_GIVEN_UP 3u

struct ipc_fact_event {
    struct ipc_event event;
    uint64_t wave;      /* number of the wave that it starts, 0 = none */
    uint8_t transition; /* enum ipc_transition */
    uint8_t reduces;    /* 1 = it reduces the master's position: an exit */
    uint8_t producer;   /* ring it came from */
    uint8_t reserved8;
    uint32_t follower_count;    /* followers that the wave visits */
    int64_t master_position_e8; /* of this instrument and product before the event (fills so far) */
    uint64_t ring_sequence;
};
_Static_assert(sizeof(struct ipc_fact_event) == 232 + 32, "event fact");

#define IPC_CHILD_LIST(X)                                                                          \
    X(IPC_CHILD_SKIP, 1, "skip")   /* reason says why; nothing will be sent for it */              \
    X(IPC_CHILD_PLACE, 2, "place") /* intent and sending in one: bytes may leave now */            \
    X(IPC_CHILD_PLACE_QUEUED, 3, "place-queued") /* intent; a RELEASE fact comes before bytes */   \
    X(IPC_CHILD_MODIFY, 4, "modify")                                                               \
    X(IPC_CHILD_MODIFY_QUEUED, 5, "modify-queued")                                                 \
    X(IPC_CHILD_CANCEL, 6, "cancel")                                                               \
    X(IPC_CHILD_CANCEL_QUEUED, 7, "cancel-queued")                                                 \
    X(IPC_CHILD_WAIT, 8, "wait")       /* its earlier request is unanswered; follows when it is */ \
    X(IPC_CHILD_FLATTEN, 9, "flatten") /* the master is flat: its working entries of the position  \
                                          are cancelled, what they still fill is closed */
IPC_DECLARE_ENUM(ipc_child_kind, IPC_CHILD_LIST)

/* One decision, 32 bytes. A follower may have several in one frame, one behind the other: legs,
 * slices, the copies of one order; the first stands for the follower's visit by the wave. */
struct ipc_fact_child {
    uint32_t follower_no;
    uint32_t slot;
    uint32_t action; /* the tag's four action digits as a number, [0, 36^4) */
    uint16_t incarnation;
    uint8_t kind;   /* enum ipc_child_kind */
    uint8_t reason; /* enum ipc_reason (ipc/reason.h); of a skip, or of what reduced the quantity;
                       of a CANCEL SUPERSEDED = what is left of its total is placed anew */
    int64_t qty_e8; /* quantity to send; of a skip, the quantity before the reason struck */
    int64_t sample_e8; /* the follower's own sample: capital of PERCENTAGE, copied position of an
                          exit; else 0 */
};
_Static_assert(sizeof(struct ipc_fact_child) == 32, "child fact");

#define IPC_BATCH_CHILDREN_MAX 64

/* A BATCH payload: struct ipc_fact_batch, child_count compact children, wide_count wide ones. */
struct ipc_fact_batch {
    uint64_t wave;      /* wave number, > 0; 0 for decisions outside a wave (settling a WAIT) */
    uint64_t event_lsn; /* lsn of the EVENT fact decided from */
    struct ipc_key order_key;
    uint64_t generation;
    uint64_t switch_sequence; /* switches page sequence that was read before */
    int64_t price_sample_e8;  /* last price used, 0 = unknown */
    int64_t price_mono_ns;    /* its time */
    int64_t price_e8;         /* limit price that leaves (after protection, tick) */
    int64_t trigger_e8;
    uint8_t side, type, product, validity; /* that leave */
    uint8_t transition;                    /* enum ipc_transition */
    uint8_t is_exit;
    uint8_t switch_word;  /* strictest of global, broker, master, instrument */
    uint8_t wide_count;   /* wide children follow the compact ones, [0, child_count] */
    uint32_t first_place; /* place in the wave of the first child */
    uint32_t child_count; /* children follow, [1, 64] */
};
_Static_assert(sizeof(struct ipc_fact_batch) == 96, "batch fact");

#define IPC_WIDE_EXIT     1u  /* it reduces the follower's position, whatever the batch does */
#define IPC_WIDE_ON_FILL  2u  /* copied from the master's fill: its age counts from there */
#define IPC_WIDE_OPEN_LEG 4u  /* the opening part of a reversal */
#define IPC_WIDE_CANCEL   8u  /* a DAY limit in place of an IOC: cancelled when it works */
#define IPC_WIDE_CATCH_UP 32u /* makes a missed order good: its age counts from this frame */
#define IPC_WIDE_PROTECTS 16u /* a stop or target of a filled copy; one fills, the other goes */

#define IPC_WIDE_STEPS    12

/* What of a child is not as in the batch: its own terms, the samples that only its decision read,
 * and the steps of its arithmetic. Ascending by `at`, at most one a child. */
struct ipc_fact_wide {
    uint8_t at; /* index of its compact child */
    uint8_t side, type, product, validity;
    uint8_t flags;      /* IPC_WIDE_* */
    uint8_t step_count; /* [0, IPC_WIDE_STEPS] */
    uint8_t reserved8;
    uint32_t instrument; /* that it trades */
    uint32_t sibling; /* action digits + 1 of the child that goes when this one fills, 0 = none */
    int64_t price_e8, trigger_e8;
    int64_t market_protection_e8; /* fraction sent beside a market order, 0 = none */
    int64_t price_sample_e8;      /* last price of its own instrument, 0 = the batch's */
    /* its account when it was decided; 0 = not read */
    int64_t equity_e8, balance_e8, free_e8;
    /* remainder = carry: the run of openings after it: master's quantity, what it came to */
    int64_t run_sum_e8, run_granted_e8;
    struct ipc_step steps[IPC_WIDE_STEPS];
};
_Static_assert(sizeof(struct ipc_fact_wide) == 88 + 16 * IPC_WIDE_STEPS, "wide child fact");

#define IPC_BATCH_LIST_BYTES                                                                       \
    (IPC_BATCH_CHILDREN_MAX * (sizeof(struct ipc_fact_child) + sizeof(struct ipc_fact_wide)))
#define IPC_BATCH_BYTES_MAX (sizeof(struct ipc_fact_batch) + IPC_BATCH_LIST_BYTES)

/* ipc_fact_batch_bytes returns the bytes of the whole payload. */
static inline uint32_t ipc_fact_batch_bytes(const struct ipc_fact_batch *batch)
{
    return (uint32_t)(sizeof *batch + batch->child_count * sizeof(struct ipc_fact_child) +
                      batch->wide_count * sizeof(struct ipc_fact_wide));
}

/* ipc_fact_batch_children, _wides return the lists behind the fixed part. */
static inline const struct ipc_fact_child *ipc_fact_batch_children(
    const struct ipc_fact_batch *batch)
{
    return (const struct ipc_fact_child *)(batch + 1);
}
static inline const struct ipc_fact_wide *ipc_fact_batch_wides(const struct ipc_fact_batch *batch)
{
    return (const struct ipc_fact_wide *)(ipc_fact_batch_children(batch) + batch->child_count);
}

/* Room for the largest BATCH payload. */
struct ipc_fact_batch_room {
    struct ipc_fact_batch batch;
    struct ipc_fact_child children[IPC_BATCH_CHILDREN_MAX]; /* child_count of them, then the wide */
    struct ipc_fact_wide wides[IPC_BATCH_CHILDREN_MAX];     /* room only: see above */
};
_Static_assert(sizeof(struct ipc_fact_batch_room) == IPC_BATCH_BYTES_MAX, "batch room");

/* What became of a queued child. */
struct ipc_fact_release {
    char tag[IPC_TAG_BYTES];
    uint32_t request_no;
    uint8_t kind; /* PLACE, MODIFY, CANCEL = bytes may leave now; SKIP = ended, see reason */
    uint8_t reason;
    uint8_t reserved[6];
    int64_t qty_e8, price_e8;
};
_Static_assert(sizeof(struct ipc_fact_release) == 48, "release fact");

struct ipc_fact_reply {
    char tag[IPC_TAG_BYTES];
    uint32_t request_no;
    uint8_t action; /* enum ipc_action of the request */
    uint8_t again;  /* 1 = UNKNOWN at a broker that enforces ids: the same one goes once more */
    uint8_t reserved8[6];
    int64_t accepted_mono_ns; /* when the kernel took its last byte; 0 = never */
    int64_t parsed_mono_ns;
    struct ipc_outcome outcome;
};
_Static_assert(sizeof(struct ipc_fact_reply) == 48 + sizeof(struct ipc_outcome), "reply fact");

struct ipc_fact_book {
    uint32_t account;
    uint32_t order_count;
    uint8_t is_history; /* 1 = the journal had never seen the account */
    uint8_t phase;      /* 1 = begin, 2 = end */
    uint8_t reserved[6];
};

#define IPC_ALARM_LIST(X)                                                                          \
    X(IPC_ALARM_GHOST, 1, "GHOST") /* a late reply or sighting after the end */                    \
    X(IPC_ALARM_RING_FULL, 2, "RING_FULL")                                                         \
    X(IPC_ALARM_JOURNAL_FULL, 3, "JOURNAL_FULL") /* entries stopped: the scribe is behind */       \
    X(IPC_ALARM_DISK, 4, "DISK")                 /* entries stopped: write or sync failed */       \
    X(IPC_ALARM_CLOCK, 5, "CLOCK")               /* wall stepped against monotonic */              \
    X(IPC_ALARM_SNAPSHOT_REFUSED, 6, "SNAPSHOT_REFUSED")                                           \
    X(IPC_ALARM_CAPACITY, 7, "CAPACITY") /* a table of the core is full: entries stop */           \
    X(IPC_ALARM_TAG_COLLISION, 8, "TAG_COLLISION")                                                 \
    X(IPC_ALARM_AUTH, 9, "AUTH") /* token refused; the account is paused */                        \
    X(IPC_ALARM_FEED_GAP, 10, "FEED_GAP")                                                          \
    X(IPC_ALARM_BAD_EVENT, 11, "BAD_EVENT")                                                        \
    X(IPC_ALARM_LIMIT, 12, "LIMIT")           /* a money limit was reached */                      \
    X(IPC_ALARM_MISSED, 13, "MISSED")         /* proved not placed: a catch-up is offered */       \
    X(IPC_ALARM_UNRESOLVED, 14, "UNRESOLVED") /* no proof either way in time: a person decides */  \
    X(IPC_ALARM_ORPHAN, 15, "ORPHAN")         /* an order of ours that the journal did not know */ \
    X(IPC_ALARM_CATCH_UP, 16, "CATCH_UP") /* a catch-up was refused, or asked for by a policy */   \
    X(IPC_ALARM_POSITION, 17, "POSITION") /* the broker's position is not the fold of the fills */ \
    X(IPC_ALARM_GUARD, 20, "GUARD") /* a breaker tripped, or a control held something back */
IPC_DECLARE_ENUM(ipc_alarm, IPC_ALARM_LIST)

struct ipc_fact_alarm {
    uint32_t alarm; /* enum ipc_alarm */
    uint32_t account;
    char tag[IPC_TAG_BYTES];
    char text[76]; /* NUL-terminated, printable */
};
_Static_assert(sizeof(struct ipc_fact_alarm) == 104, "alarm fact");

/* --- reconciliation (ORDER-SAFETY 3.6) ---------------------------------------------------------
 */

/* Why an account's book is asked. Bits (1 << why) say what is wanted; at most 7. */
#define IPC_RECON_WHY_LIST(X)                                                                      \
    X(IPC_RECON_WHY_UNKNOWN, 1, "unknown") /* an outcome or the terms of an order are unknown */   \
    X(IPC_RECON_WHY_START, 2, "start")     /* the engine started */                                \
    X(IPC_RECON_WHY_OUTAGE, 3, "outage")   /* the account's orders or its feed were cut off */     \
    X(IPC_RECON_WHY_TIMER, 4, "timer")     /* orders are open */                                   \
    X(IPC_RECON_WHY_DAY_END, 5, "day-end")                                                         \
    X(IPC_RECON_WHY_PERSON, 6, "person")
IPC_DECLARE_ENUM(ipc_recon_why, IPC_RECON_WHY_LIST)

/* What a RECON fact says. */
#define IPC_RECON_ACT_LIST(X)                                                                      \
    X(IPC_RECON_ACT_WANT, 1, "want")     /* the account's book is to be asked */                   \
    X(IPC_RECON_ACT_ASK, 2, "ask")       /* it is asked; its children in doubt are RECONCILING */  \
    X(IPC_RECON_ACT_ANSWER, 3, "answer") /* what came back, and what follows for the children that \
                                            it does not show; what it shows are UPDATE facts */    \
    X(IPC_RECON_ACT_TIME, 4, "time")     /* what follows from the time alone */                    \
    X(IPC_RECON_ACT_ORPHAN, 5, "orphan") /* struct ipc_fact_orphan behind it */                    \
    X(IPC_RECON_ACT_REPEAT, 6, "repeat") /* a cancel that was accepted and not done: once more */
IPC_DECLARE_ENUM(ipc_recon_act, IPC_RECON_ACT_LIST)

/* What an answer is worth. Only GOOD is an answer; all else proves nothing. */
#define IPC_BOOK_LIST(X)                                                                           \
    X(IPC_BOOK_GOOD, 1, "good")           /* well formed, every row understood, at least one */    \
    X(IPC_BOOK_ERROR, 2, "error")         /* status, refusal, malformed */                         \
    X(IPC_BOOK_EMPTY, 3, "empty")         /* a well-formed list without a row */                   \
    X(IPC_BOOK_NO_ORDERS, 4, "no-orders") /* the broker's code for it */                           \
    X(IPC_BOOK_ODD, 5, "odd") /* rows that were not understood, session or paging in doubt: what   \
                                 it shows counts, what it lacks does not */                        \
    X(IPC_BOOK_TOO_LARGE, 6, "too-large")                                                          \
    X(IPC_BOOK_NO_CONNECTION, 7, "no-connection")                                                  \
    X(IPC_BOOK_AUTH, 8, "auth") /* the token was refused */
IPC_DECLARE_ENUM(ipc_book, IPC_BOOK_LIST)

/* What becomes of one child. */
#define IPC_VERDICT_LIST(X)                                                                        \
    X(IPC_VERDICT_ASKED, 1, "asked")   /* RECONCILING: the book is being asked */                  \
    X(IPC_VERDICT_ABSENT, 2, "absent") /* a complete book after the settle time lacks it */        \
    X(IPC_VERDICT_NOT_PLACED, 3, "not-placed") /* the second one does too: it was never placed */  \
    X(IPC_VERDICT_MISSED, 4, "missed")         /* reported; on watch until the day's end */        \
    X(IPC_VERDICT_UNRESOLVED, 5, "unresolved") /* no proof either way in time */                   \
    X(IPC_VERDICT_AGAIN, 6, "again") /* a cancel, or the same id to an ENFORCED broker */          \
    X(IPC_VERDICT_DAY_END, 7, "day-end")
IPC_DECLARE_ENUM(ipc_verdict, IPC_VERDICT_LIST)

#define IPC_RECON_COMPLETE 1u /* the book has rejected and filled orders too */
#define IPC_RECON_SENTINEL                                                                         \
    2u /* it shows an order that we knew to exist, or no fewer than before                         \
        */
#define IPC_RECON_BY_TAG       4u /* one tag was asked for, not the whole book */

#define IPC_RECON_ODD          8u  /* it casts doubt on the answers before it */
#define IPC_RECON_OPENS        16u /* the account may place again after a start */
#define IPC_RECON_QUIET        32u /* no order that it shows works */

#define IPC_PRODUCER_BOOK      255u /* `producer` of an UPDATE that an answered question showed */

#define IPC_RECON_CHILDREN_MAX 16
#define IPC_DIGEST_BYTES       16

struct ipc_fact_recon_child {
    char tag[IPC_TAG_BYTES];
    uint8_t verdict;  /* enum ipc_verdict */
    uint8_t state;    /* enum eng_state after it, for people who read the journal */
    uint8_t absences; /* good books that lacked it, with this one */
    uint8_t reserved;
    int64_t doubt_mono_ns; /* since when its outcome is unknown */
};
_Static_assert(sizeof(struct ipc_fact_recon_child) == 32, "recon child fact");

/* A RECON payload: this, then child_count children, or one struct ipc_fact_orphan. */
struct ipc_fact_recon {
    uint8_t act;    /* enum ipc_recon_act */
    uint8_t why;    /* enum ipc_recon_why, 0 = none */
    uint8_t result; /* ANSWER: enum ipc_book, else 0 */
    uint8_t flags;  /* IPC_RECON_* */
    uint32_t account;
    uint32_t ask_no;      /* of the account; ASK counts it up */
    uint32_t order_count; /* ANSWER: rows of the book */
    uint32_t own_count;   /* ANSWER: of them, orders of ours that were known before */
    uint32_t child_count; /* [0, IPC_RECON_CHILDREN_MAX] */
    uint16_t http_status; /* ANSWER, 0 = none */
    uint8_t more;         /* 1 = further facts of the same answer follow */
    uint8_t reserved[5];
    int64_t sent_mono_ns, received_mono_ns; /* ANSWER: of the request and of its last byte */
    uint8_t digest[IPC_DIGEST_BYTES];       /* ANSWER: SHA-256 of the body, first half */
    char by[IPC_BROKER_ORDER_ID_BYTES];     /* WANT by a person: who, NUL-padded */
};
_Static_assert(sizeof(struct ipc_fact_recon) == 96, "recon fact");

#define IPC_ORPHAN_EXIT         1u /* it reduced what was copied */
#define IPC_ORPHAN_GHOST        2u /* a second order with the tag of a child that has another order */
#define IPC_ORPHAN_CANCEL       4u /* it still works and is cancelled */
#define IPC_ORPHAN_ORDER        8u /* nothing is known of its master's order: a place is kept for it */
#define IPC_ORPHAN_CANCEL_FIRST 16u /* GHOST: it filled, so the child's own order is cancelled */

/* An order at a broker that carries a tag of ours and that no child is: it becomes one. */
struct ipc_fact_orphan {
    struct ipc_event event;  /* as the book or the feed has it; client_tag is the one it carries */
    char tag[IPC_TAG_BYTES]; /* under which it is kept: its own, or the next action's of a GHOST */
    uint32_t follower_no, slot, action;
    uint16_t incarnation;
    uint8_t flags; /* IPC_ORPHAN_* */
    uint8_t reserved;
    uint32_t master;     /* the follower's master account */
    uint32_t instrument; /* the master's: what it copies */
    uint32_t reserved4;
};
_Static_assert(sizeof(struct ipc_fact_orphan) == 232 + 48, "orphan fact");

/* Room for the largest RECON payload. */
struct ipc_fact_recon_room {
    struct ipc_fact_recon recon;
    union {
        struct ipc_fact_recon_child children[IPC_RECON_CHILDREN_MAX];
        struct ipc_fact_orphan orphan;
    };
};

static inline uint32_t ipc_fact_recon_bytes(const struct ipc_fact_recon *recon)
{
    return (uint32_t)(sizeof *recon +
                      (recon->act == IPC_RECON_ACT_ORPHAN
                              ? sizeof(struct ipc_fact_orphan)
                              : recon->child_count * sizeof(struct ipc_fact_recon_child)));
}
static inline const struct ipc_fact_recon_child *ipc_fact_recon_children(
    const struct ipc_fact_recon *recon)
{
    return (const struct ipc_fact_recon_child *)(recon + 1);
}
static inline const struct ipc_fact_orphan *ipc_fact_recon_orphan(
    const struct ipc_fact_recon *recon)
{
    return (const struct ipc_fact_orphan *)(recon + 1);
}

/* A missed order is to be made good: what is still wanted of it is decided next, under action
 * digits of its own. */
struct ipc_fact_catch_up {
    char tag[IPC_TAG_BYTES]; /* of the missed child */
    uint8_t refused;         /* 1 = nothing changes; `text` says why */
    uint8_t reserved[3];
    char by[IPC_BROKER_ORDER_ID_BYTES]; /* who, NUL-padded; "policy" = the follower's own choice */
    char text[72];                      /* NUL-terminated, printable */
};
_Static_assert(sizeof(struct ipc_fact_catch_up) == 128, "catch-up fact");

/* What a person found out about an UNRESOLVED order. It ends it: MISSED, FILLED or CANCELLED. */
struct ipc_fact_resolve {
    char tag[IPC_TAG_BYTES];
    uint8_t refused; /* 1 = nothing changes; `text` says why */
    uint8_t reserved[3];
    int64_t filled_qty_e8;              /* in all, [0, its quantity]; 0 = it was never placed */
    int64_t average_price_e8;           /* of what filled; 0 with filled_qty_e8 0 */
    char by[IPC_BROKER_ORDER_ID_BYTES]; /* who, NUL-padded */
    char text[72];                      /* NUL-terminated, printable */
};
_Static_assert(sizeof(struct ipc_fact_resolve) == 144, "resolve fact");

/* --- what an owner trades by hand (SEMANTICS 4.9; engine/core/hand.h) --------------------------
 */

#define IPC_ACCOUNT_CHANGES 4u
struct ipc_account_change {
    uint32_t follower_no, source; /* of a copied position: whose, the master's instrument */
    uint16_t incarnation;
    uint16_t reserved[3];
    int64_t lost_e8; /* of it, after this fill: what its owner closed by hand */
};

/* An order of a follower's account that is not ours filled more. */
struct ipc_fact_account {
    struct ipc_key order_key;
    uint32_t account, instrument;
    uint8_t product, side;
    uint8_t is_base;      /* 1 = read from the account's first book: its owner's, before any copy */
    uint8_t loses;        /* 1 = it took away what was copied */
    uint8_t change_count; /* [0, IPC_ACCOUNT_CHANGES] */
    uint8_t reserved[3];
    int64_t filled_qty_e8, average_price_e8; /* cumulative */
    int64_t net_e8; /* of instrument and product on the owner's own account, after it; signed */
    char broker_order_id[IPC_BROKER_ORDER_ID_BYTES];
    struct ipc_account_change changes[IPC_ACCOUNT_CHANGES];
};
_Static_assert(sizeof(struct ipc_account_change) == 24, "account change");
_Static_assert(
    sizeof(struct ipc_fact_account) == 56 + IPC_BROKER_ORDER_ID_BYTES + IPC_ACCOUNT_CHANGES * 24,
    "account fact");

/* --- positions (ORDER-SAFETY 3.6, 7) ----------------------------------------------------------
 */

/* One position of an account that is not what the broker says. */
struct ipc_fact_position_line {
    uint32_t instrument;
    uint8_t product; /* enum ipc_product */
    uint8_t reserved[3];
    int64_t ours_e8;   /* the fold of our fills, signed */
    int64_t broker_e8; /* what the broker says */
    int64_t others_e8; /* of that, filled today by orders that are not ours */
};
_Static_assert(sizeof(struct ipc_fact_position_line) == 32, "position line");

#define IPC_POSITION_LINES_MAX 8

/* An account's positions were compared with the broker's. A record for people: nothing follows. */
struct ipc_fact_positions {
    uint32_t account;
    uint8_t result;     /* enum ipc_book: only GOOD was a comparison */
    uint8_t line_count; /* [0, IPC_POSITION_LINES_MAX] of `lines`, those that differ */
    uint8_t more;       /* 1 = further facts of the same comparison follow */
    uint8_t reserved;
    uint32_t compared, differing; /* positions of either side; of them not equal */
    int64_t read_wall_ns;         /* when the broker was asked */
    char by[16];                  /* who asked, "" = the day's end; NUL-padded */
    struct ipc_fact_position_line lines[IPC_POSITION_LINES_MAX];
};
_Static_assert(sizeof(struct ipc_fact_positions) == 296, "positions fact");

/* --- days (ORDER-SAFETY 3.8) --------------------------------------------------------------------
 */

/* What a DAY fact says. The tables of orders and children hold the market's day and the one before;
 * what is older and over is forgotten in small steps, each of them a fact. */
#define IPC_DAY_ACT_LIST(X)                                                                        \
    X(IPC_DAY_ACT_BEGIN, 1, "begin")       /* a market day began */                                \
    X(IPC_DAY_ACT_CHILDREN, 2, "children") /* so many children were looked at, old ones are gone */ \
    X(IPC_DAY_ACT_ORDERS, 3, "orders")     /* all master orders were */
IPC_DECLARE_ENUM(ipc_day_act, IPC_DAY_ACT_LIST)

struct ipc_fact_day {
    uint8_t act; /* enum ipc_day_act */
    uint8_t reserved[3];
    uint32_t day;         /* the market's, yyyymmdd */
    uint32_t first, count; /* CHILDREN: records looked at */
};
_Static_assert(sizeof(struct ipc_fact_day) == 16, "day fact");

/* --- money limits (SEMANTICS 10) ---------------------------------------------------------------
 */

/* What a LIMIT fact says. */
#define IPC_LIMIT_ACT_LIST(X)                                                                      \
    X(IPC_LIMIT_ACT_DAY, 1, "day")         /* a market day began: day figures start from zero */   \
    X(IPC_LIMIT_ACT_SESSION, 2, "session") /* its first session opened: day limits lift */         \
    X(IPC_LIMIT_ACT_BASE, 3, "base")       /* what the day began with: equity, unrealised */       \
    X(IPC_LIMIT_ACT_PEAK, 4, "peak")       /* a new maximum of equity of the day */                \
    X(IPC_LIMIT_ACT_TRIP, 5, "trip")       /* a limit was reached: entries stop */                 \
    X(IPC_LIMIT_ACT_LIFT, 6, "lift")       /* figures that were unknown are known again */         \
    X(IPC_LIMIT_ACT_RESUME, 7, "resume")   /* a person lets entries go again */                    \
    X(IPC_LIMIT_ACT_BREAKER, 8, "breaker-reset") /* a person closes the circuit again */           \
    X(IPC_LIMIT_ACT_FLATTEN, 9, "flatten") /* copied positions are closed: of a follower (scope    \
                                              link), a master's group or all of the shard */
IPC_DECLARE_ENUM(ipc_limit_act, IPC_LIMIT_ACT_LIST)

/* What was reached. Bits (1 << kind) make the word that decisions test; at most 15. */
#define IPC_LIMIT_KIND_LIST(X)                                                                     \
    X(IPC_LIMIT_DAILY_LOSS, 1, "daily-loss")                                                       \
    X(IPC_LIMIT_DAILY_LOSS_FRACTION, 2, "daily-loss-fraction")                                     \
    X(IPC_LIMIT_DRAWDOWN, 3, "drawdown")                                                           \
    X(IPC_LIMIT_DRAWDOWN_FRACTION, 4, "drawdown-fraction")                                         \
    X(IPC_LIMIT_TRAILING, 5, "trailing")       /* stays until a person resumes */                  \
    X(IPC_LIMIT_EQUITY_STOP, 6, "equity-stop") /* stays until a person resumes */                  \
    X(IPC_LIMIT_FIGURES, 7, "figures-unknown") /* a limit's figures are unknown or too old */
IPC_DECLARE_ENUM(ipc_limit_kind, IPC_LIMIT_KIND_LIST)

/* Whose entries it stops. */
#define IPC_LIMIT_SCOPE_LIST(X)                                                                    \
    X(IPC_LIMIT_SCOPE_LINK, 1, "link")         /* one subscription */                              \
    X(IPC_LIMIT_SCOPE_FOLLOWER, 2, "follower") /* all subscriptions of the account */              \
    X(IPC_LIMIT_SCOPE_GROUP, 3, "group")       /* all followers of the master */                   \
    X(IPC_LIMIT_SCOPE_ALL, 4, "all")           /* the shard */
IPC_DECLARE_ENUM(ipc_limit_scope, IPC_LIMIT_SCOPE_LIST)

#define IPC_LIMIT_BY_BYTES 32

struct ipc_fact_limit {
    uint8_t act;     /* enum ipc_limit_act */
    uint8_t kind;    /* TRIP, LIFT: enum ipc_limit_kind, else 0 */
    uint8_t scope;   /* TRIP, LIFT, RESUME: enum ipc_limit_scope, else 0 */
    uint8_t flatten; /* TRIP: 1 = copied positions are closed too; FLATTEN: 1 = of all incarnations
                        of the follower, 0 = of `incarnation` */
    uint16_t incarnation;
    uint16_t reserved;
    uint32_t follower_no;    /* 0 = not about one subscription */
    uint32_t slot;           /* of follower_no */
    uint32_t account;        /* the follower's; the master's of scope group */
    uint32_t day;            /* the market's day, yyyymmdd */
    int64_t value_e8;        /* TRIP: what was compared with -limit or with the stop level; FLATTEN:
                                number of the instrument, 0 = all */
    int64_t limit_e8;        /* TRIP: the limit as money, or the stop level */
    int64_t equity_e8;       /* sample of the account; BASE: what the day began with; 0 = unknown */
    int64_t realised_e8;     /* of the day so far, after fees */
    int64_t unrealised_e8;   /* sample; BASE: what the day began with */
    int64_t fee_fraction_e8; /* BASE: of turnover, in force from here on */
    int64_t fee_order_e8;    /* BASE: of an order with a fill */
    char by[IPC_LIMIT_BY_BYTES]; /* RESUME, BREAKER: who, NUL-padded, printable, no blanks */
};
_Static_assert(sizeof(struct ipc_fact_limit) == 24 + 7 * 8 + IPC_LIMIT_BY_BYTES, "limit fact");

/* --- pre-trade controls (ORDER-SAFETY 3.9) -----------------------------------------------------
 */

/* What a GUARD fact says. */
#define IPC_GUARD_ACT_LIST(X)                                                                      \
    X(IPC_GUARD_ACT_TRIP, 1, "trip")   /* openings of the scope stop until a person resets it */   \
    X(IPC_GUARD_ACT_RESET, 2, "reset") /* by a named person */                                     \
    X(IPC_GUARD_ACT_ALARM, 3, "alarm") /* nothing stops: somebody should look */
IPC_DECLARE_ENUM(ipc_guard_act, IPC_GUARD_ACT_LIST)

/* What was seen. Bits (1 << kind) make the word of a scope; at most 15. */
#define IPC_GUARD_KIND_LIST(X)                                                                     \
    X(IPC_GUARD_REJECT_STREAK, 1, "reject-streak") /* orders refused in a row */                   \
    X(IPC_GUARD_UNKNOWN_RATE, 2, "unknown-rate")   /* unknown outcomes within a minute */          \
    X(IPC_GUARD_REPEATED, 3, "repeated-execution") /* openings of one follower in one instrument   \
                                                      that were accepted within a minute */        \
    X(IPC_GUARD_CLOCK, 4, "clock-step")            /* wall against monotonic time */               \
    X(IPC_GUARD_DUPLICATE, 5, "duplicate")         /* ALARM: orders that look like duplicates */   \
    X(IPC_GUARD_CAPPED, 6, "capped")               /* ALARM: a cap on a runaway held orders back */
IPC_DECLARE_ENUM(ipc_guard_kind, IPC_GUARD_KIND_LIST)

#define IPC_GUARD_SCOPE_LIST(X)                                                                    \
    X(IPC_GUARD_SCOPE_FOLLOWER, 1, "follower") /* one subscription */                              \
    X(IPC_GUARD_SCOPE_ACCOUNT, 2, "account")   /* all subscriptions of an account */               \
    X(IPC_GUARD_SCOPE_BROKER, 3, "broker")     /* all accounts of a broker */                      \
    X(IPC_GUARD_SCOPE_ENGINE, 4, "engine")     /* the shard */
IPC_DECLARE_ENUM(ipc_guard_scope, IPC_GUARD_SCOPE_LIST)

struct ipc_fact_guard {
    uint8_t act;   /* enum ipc_guard_act */
    uint8_t kind;  /* enum ipc_guard_kind; RESET: 0 = all of the scope */
    uint8_t scope; /* enum ipc_guard_scope */
    uint8_t reserved8;
    uint16_t incarnation;
    uint16_t broker;      /* broker number; scope broker */
    uint32_t follower_no; /* scope follower, else 0 */
    uint32_t slot;        /* of follower_no */
    uint32_t account;     /* scope account and follower, else 0 */
    uint32_t instrument;  /* REPEATED: in which, else 0 */
    uint64_t generation;  /* adopted when it was decided */
    int64_t value;        /* what was counted; CLOCK: the step in ns; ALARM: since the last one */
    int64_t limit;        /* of the count */
    char by[IPC_LIMIT_BY_BYTES]; /* RESET: who, NUL-padded, printable, no blanks */
};
_Static_assert(sizeof(struct ipc_fact_guard) == 24 + 3 * 8 + IPC_LIMIT_BY_BYTES, "guard fact");

#endif
