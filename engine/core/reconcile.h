/* reconcile.h: what became of an order whose outcome nobody knows: asking the broker's book, and
 * what its answers prove (ORDER-SAFETY 3.6).
 *
 * The core decides when which account's book is asked and what follows from the answer; the shell
 * carries the question to whoever reads books and brings the answer back. Every step is a fact,
 * journaled and applied before the next is taken, so that a crash anywhere goes on from there.
 *
 *     due     eng_recon_next   -> ASK facts    -> journal -> eng_apply -> the question leaves
 *     answer  eng_recon_answer -> facts        -> journal -> eng_apply, and again until false
 *     time    eng_recon_time   -> facts        -> journal -> eng_apply, and again until false
 *
 * What always holds
 * - one question of an account is under way at a time, and questions take at most a fifth of the
 *   account's calls; they are in the same sliding log as its orders;
 * - presence in any well-formed answer is proof. Absence is proof only in two complete good books
 *   with a sentinel, the first a settle time after the doubt began, the second a settle time after
 *   the first, with nothing odd between. An error, an empty book or the broker's "no orders" proves
 *   nothing;
 * - what is not proved within a minute is UNRESOLVED: alarm, and the instrument stays shut for the
 *   follower. It is still asked about, more seldom, and a later proof counts;
 * - after a restart in another boot an account places nothing before a good answer was read; what
 *   its exits close is derived anew then. In the same boot that holds for accounts that had
 *   requests in flight;
 * - nothing here sends a place a second time, but for the same id to an ENFORCED broker.
 *
 * All functions are pure (reads of the core); one thread, the engine's pinned thread. */
#ifndef LS_ENGINE_CORE_RECONCILE_H
#define LS_ENGINE_CORE_RECONCILE_H

#include "engine/core/step.h"

#define ENG_RECON_SETTLE_MIN_NS (3 * LS_NS_PER_S)  /* and at least four times the book's lag */
#define ENG_RECON_RESOLVE_NS    (60 * LS_NS_PER_S) /* doubt without proof pages a person */
#define ENG_RECON_ANSWER_NS     (30 * LS_NS_PER_S) /* a question without an answer is over */
#define ENG_RECON_OUTAGE_NS     (1 * LS_NS_PER_S)  /* a shorter outage asks nothing */
#define ENG_RECON_OPEN_NS       (60 * LS_NS_PER_S) /* while orders are open */

/* Whom to ask now. */
struct eng_book_ask {
    uint32_t account; /* follower account, [1, account_max]: whose connection, token and address */
    uint32_t ask_no;  /* comes back with the answer; grows by one per account and question */
    uint8_t why;      /* enum ipc_recon_why: the most urgent of those that were wanted */
    uint8_t by_tag;   /* 1 = one tag (`tag`) will do and the dialect can; 0 = the whole book */
    uint8_t reserved[2];
    char tag[IPC_TAG_BYTES];
    struct eng_event_facts facts; /* the ASK fact: journal and apply it, then send the question */
};

/* What came back. The memory is the shell's and stays as it is until eng_recon_answer gave false.
 */
struct eng_book_answer {
    uint32_t account, ask_no; /* of the ask */
    uint8_t result;           /* enum ipc_book; GOOD only when every row was understood */
    uint8_t complete;         /* 1 = the book holds rejected and filled orders too (book_complete of
                                 the dialect), and was read to its end */
    uint8_t by_tag;           /* 1 = only `ask.tag` was asked for */
    uint8_t reserved;
    uint16_t http_status; /* 0 = none came */
    uint16_t reserved2;
    uint32_t order_count; /* rows of the book, also those that are not in `orders` */
    int64_t sent_mono_ns; /* when the request's first byte left: nothing later is in the answer */
    int64_t received_mono_ns;
    uint8_t digest[IPC_DIGEST_BYTES]; /* SHA-256 of the body, first half */
    /* The orders whose client_tag is one of ours, or that have an id at all: event records of
     * `account` with flag FROM_BOOK, checked by ipc_event_check. May be all rows. */
    const struct ipc_event *orders;
    uint32_t orders_count;
};

/* Where eng_recon_answer is in an answer; zeroed by the caller before the first call. */
struct eng_recon_walk {
    uint32_t phase;
    uint32_t at;        /* order, later child */
    uint32_t own_count; /* own orders that were known before this answer */
    uint32_t odd;       /* rows that contradict what they should be */
};

/* eng_recon_next finds an account whose book is to be asked now, and makes the ASK fact.
 *   returns  true with *out filled: journal and apply out->facts, then ask. false: nothing is due.
 * Bounded: looks at the accounts that are due. */
LS_MUST_USE bool eng_recon_next(const struct eng_core *core, int64_t now_mono_ns,
    int64_t now_wall_ns, struct eng_book_ask *out);

/* eng_recon_answer says what follows from an answer, a step at a time: UPDATE facts of the orders
 * that it shows (those of a feed), ORPHAN facts, alarms, and at the end the ANSWER fact with what
 * becomes of children that it does not show.
 *   walk     zeroed before the first call
 *   returns  true with out->count facts, none after 64 rows that say nothing new: journal and apply
 *            them in order, then call again;
 *            false: the answer is dealt with and may be given back. An answer whose ask_no is not
 *            the account's newest proves nothing absent; what it shows counts all the same */
LS_MUST_USE bool eng_recon_answer(const struct eng_core *core, const struct eng_book_answer *answer,
    struct eng_recon_walk *walk, int64_t now_mono_ns, int64_t now_wall_ns,
    struct eng_event_facts *out);

/* eng_recon_time says what follows from the time alone: UNRESOLVED after a minute, a question that
 * was never answered, a cancel that was accepted and not done, an exit to be derived anew. Call it
 * on a timer (every 100 ms will do) until it gives false.
 *   returns  true with out->count >= 1 facts to journal and apply in order */
LS_MUST_USE bool eng_recon_time(const struct eng_core *core, int64_t now_mono_ns,
    int64_t now_wall_ns, struct eng_event_facts *out);

/* eng_recon_want makes the WANT fact: something outside calls for the account's book (an outage of
 * its connections or feed above ENG_RECON_OUTAGE_NS, the day's end, a person).
 *   by       who, for why PERSON; else NULL
 *   returns  true with *out filled; false when nothing is to be journaled: not a follower's
 * account, or it is wanted for that reason already */
LS_MUST_USE bool eng_recon_want(const struct eng_core *core, uint32_t account,
    enum ipc_recon_why why, const char *by, struct eng_event_facts *out);

/* eng_recon_due returns the earliest mono_ns at which eng_recon_next or eng_recon_time may have
 * something, now or earlier = at once, INT64_MAX = nothing is open: the shell's sleep bound. */
int64_t eng_recon_due(const struct eng_core *core, int64_t now_mono_ns, int64_t now_wall_ns);

/* eng_recon_settled: the account may place: nothing has to be read from its book first. */
bool eng_recon_settled(const struct eng_core *core, uint32_t account);

#endif
