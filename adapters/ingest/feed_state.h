/* feed_state.h: what is to be done next about one account's order feed. Pure: the caller brings
 * time, chance and what happened.
 *
 *     WAIT ──due──▶ TOKEN ──token──▶ CONNECT ──open──▶ SUBSCRIBE ──ack──▶ LIVE
 *      ▲ ▲            │                 │                  │               │ cut: gap begins,
 *      │ └─ back-off ─┴── failed ───────┴──────────────────┴───────────────┘ read the book
 *      │
 *      └── after absent_ms ── ABSENT ◀── "no feed" absent_most times, or failed_most failures, in
 *                                        a row
 *
 * While it is not LIVE, or LIVE with a gap, the account's book is read at the polling interval;
 * LIVE without a gap at the slow safety interval. A gap ends with a book that was asked for after
 * the acknowledgement. */
#ifndef LS_ADAPTERS_INGEST_FEED_STATE_H
#define LS_ADAPTERS_INGEST_FEED_STATE_H

#include "adapters/ingest/backoff.h"

#define ADP_FEED_PHASE_LIST(X)                                                                     \
    X(ADP_FEED_OFF, 0, "off")    /* the account is only polled */                                  \
    X(ADP_FEED_WAIT, 1, "waits") /* for due_ns */                                                  \
    X(ADP_FEED_TOKEN, 2, "asks for a token")                                                       \
    X(ADP_FEED_CONNECT, 3, "connects")                                                             \
    X(ADP_FEED_SUBSCRIBE, 4, "waits for the acknowledgement") /* until due_ns */                   \
    X(ADP_FEED_LIVE, 5, "live")                                                                    \
    X(ADP_FEED_ABSENT, 6, "given up for a while") /* for due_ns */
enum adp_feed_phase {
#define X(name, value, text) name = (value),
    ADP_FEED_PHASE_LIST(X)
#undef X
};

#define ADP_FEED_INPUT_LIST(X)                                                                     \
    X(ADP_FEED_START, 0, "start") /* the account is watched from now on, with a feed */            \
    X(ADP_FEED_STOP, 1, "stop")   /* not watched any more, or its session is over */               \
    X(ADP_FEED_TIME, 2, "time")   /* time has passed */                                            \
    X(ADP_FEED_GOT_TOKEN, 3, "token")                                                              \
    X(ADP_FEED_NO_FEED, 4, "no feed") /* the broker says, or shows, that there is none */          \
    X(ADP_FEED_FAILED, 5, "failed")   /* the token call, any other way */                          \
    X(ADP_FEED_OPENED, 6, "opened")   /* the socket */                                             \
    X(ADP_FEED_ACKED, 7, "acknowledged")                                                           \
    X(ADP_FEED_REFUSED, 8, "refused") /* the first message */                                      \
    X(ADP_FEED_CUT, 9, "cut")         /* the socket ended, however */                              \
    X(ADP_FEED_BOOK, 10, "book")      /* one that was asked for at book_ns was taken */
enum adp_feed_input {
#define X(name, value, text) name = (value),
    ADP_FEED_INPUT_LIST(X)
#undef X
};

/* What the caller has to do; bits. */
#define ADP_FEED_ASK_TOKEN  1u
#define ADP_FEED_DO_CONNECT 2u
#define ADP_FEED_SAY_FIRST  4u  /* send the first message */
#define ADP_FEED_CLOSE      8u  /* the socket, if there is one */
#define ADP_FEED_READ_BOOK  16u /* at once */
#define ADP_FEED_READ_WHOLE 32u /* and publish it whole: a gap began */
#define ADP_FEED_GAVE_UP    64u /* entered ABSENT: say so once */

struct adp_feed_rules {
    uint32_t absent_most; /* "no feed" so often in a row; > 0 */
    uint32_t failed_most; /* failures so often in a row; > 0 */
    int64_t absent_ns;    /* then this pause */
    int64_t ack_ns;       /* the acknowledgement comes within this */
    int64_t settled_ns;   /* a feed that lived so long starts its back-off anew */
};

struct adp_feed_state {
    enum adp_feed_phase phase;
    bool has_gap;            /* LIVE: no book yet since the acknowledgement */
    uint32_t absent, failed; /* in a row */
    int64_t due_ns, live_since_ns;
    struct adp_backoff backoff;
};

/* adp_feed_next takes one input.
 *   book_ns  ADP_FEED_BOOK: when the book was asked for
 *   returns  bits of what to do */
unsigned adp_feed_next(struct adp_feed_state *state, const struct adp_feed_rules *rules,
    enum adp_feed_input input, int64_t book_ns, int64_t now_ns, struct ipc_prng *prng);

/* adp_feed_is_covering says whether the feed alone tells what happens, so that books are only a
 * safety net. */
bool adp_feed_is_covering(const struct adp_feed_state *state);

/* adp_feed_due_ns returns when the next ADP_FEED_TIME matters, INT64_MAX for never. */
int64_t adp_feed_due_ns(const struct adp_feed_state *state);

const char *adp_feed_phase_name(enum adp_feed_phase phase);

#endif
