/* event.h: the record that travels in the rings: an absolute order state, a book marker, or an
 * operator's act.
 *
 * Written by ingest and by lockstepctl, read by engines. Fixed size, no padding, little-endian host
 * order (one machine). An order state is absolute: terms, status and cumulative fill as of
 * `version`. Joining states is monotonic, so duplicates, rescans, reordering and a second feed
 * converge (ORDER-SAFETY 3.1). */
#ifndef LS_IPC_EVENT_H
#define LS_IPC_EVENT_H

#include "ipc/vocab.h"

#define IPC_EVENT_LIST(X)                                                                          \
    X(IPC_EVENT_ORDER, 1, "order")                 /* one order's absolute state */                \
    X(IPC_EVENT_BOOK_BEGIN, 2, "book-begin")       /* a whole book of `account` follows */         \
    X(IPC_EVENT_BOOK_END, 3, "book-end")           /* `book_order_count` orders were published */  \
    X(IPC_EVENT_FEED_GAP, 4, "feed-gap")           /* the feed of `account` was interrupted */     \
    X(IPC_EVENT_COPY_SELECTED, 5, "copy-selected") /* an operator's act: reserved, refused */      \
    X(IPC_EVENT_OPERATOR, 6, "operator")           /* an operator's act: enum ipc_operator_act */
IPC_DECLARE_ENUM(ipc_event_kind, IPC_EVENT_LIST)

/* What a person does in the engine: `reserved` holds the act, `book_order_count` the follower
 * number (0 = the group of master `account`, or with the two ALL acts the shard), `broker_order_id` who
 * it is, without blanks. */
#define IPC_OPERATOR_LIST(X)                                                                       \
    X(IPC_OPERATOR_RESUME, 1, "resume")           /* tripped money limits of a follower or group */\
    X(IPC_OPERATOR_BREAKER_RESET, 2, "breaker-reset") /* a follower's circuit */                   \
    X(IPC_OPERATOR_RESUME_ALL, 3, "resume-all")   /* what stopped the whole shard */               \
    X(IPC_OPERATOR_FLATTEN, 4, "flatten") /* copied positions of a follower or group are closed,   \
                                             of `instrument` alone where it is not 0 */            \
    X(IPC_OPERATOR_FLATTEN_ALL, 5, "flatten-all") /* those of the whole shard */                   \
    X(IPC_OPERATOR_CATCH_UP, 6, "catch-up")   /* the missed order of `client_tag` is made good */  \
    X(IPC_OPERATOR_RECONCILE, 7, "reconcile") /* the book of `account` is asked now */            \
    X(IPC_OPERATOR_POSITIONS, 8, "positions") /* those of `account` are compared with the broker's,  \
                                                by the shell: no state changes */                  \
    X(IPC_OPERATOR_POSITIONS_ALL, 9, "positions-all") /* those of all accounts of the shard */     \
    X(IPC_OPERATOR_GUARD_RESET, 10, "guard-reset") /* breakers of the scope that `side` holds      \
                                                      (enum ipc_guard_scope), of the kind `type`   \
                                                      (0 = all); a broker's number in `instrument` */  \
    X(IPC_OPERATOR_RESOLVE, 11, "resolve") /* the UNRESOLVED order of `client_tag` filled             \
                                              `filled_qty_e8` at `average_price_e8` (0 = its limit),  \
                                              no more; filled 0 = it was never placed */
IPC_DECLARE_ENUM(ipc_operator_act, IPC_OPERATOR_LIST)

/* Bits of `flags`. */
#define IPC_EVENT_FROM_BOOK 1u /* read from a book between begin and end */
#define IPC_EVENT_OWN_TAG   2u /* carries a tag of ours: client_tag parsed as one */
#define IPC_EVENT_CHAINED   4u /* carries our tag, and the account is configured for chaining */

struct ipc_event {
    uint8_t kind;     /* enum ipc_event_kind */
    uint8_t side;     /* enum ipc_side */
    uint8_t type;     /* enum ipc_type */
    uint8_t product;  /* enum ipc_product */
    uint8_t validity; /* enum ipc_validity */
    uint8_t status;   /* enum ipc_status */
    uint8_t source;   /* enum ipc_source */
    uint8_t flags;
    uint32_t account;    /* ipc_account_id of the account whose order this is */
    uint32_t instrument; /* ipc_instrument_id; 0 when the token is unknown here */
    struct ipc_key
        order_key; /* SHA-256(cluster, account, broker order id), first 128 bits (ipc/tag.h) */
    struct ipc_key event_key; /* SHA-256 over key, version, terms, status, filled (ipc/tag.h) */
    uint64_t order_digits;    /* the tag's nine order digits as a number, [0, 36^9) */
    int64_t qty_e8;           /* total quantity, > 0 */
    int64_t price_e8;         /* limit price; 0 for MARKET and SLM */
    int64_t trigger_e8;       /* 0 unless SL, SLM */
    int64_t filled_qty_e8;    /* cumulative, [0, qty_e8] */
    int64_t average_price_e8; /* of what is filled; 0 if nothing */
    int64_t version; /* broker's update time in ns UTC, else the adapter's read time; newest terms
                        win */
    int64_t broker_wall_ns;    /* the broker's time of the order, UTC; 0 unknown */
    int64_t received_mono_ns;  /* adapter's CLOCK_MONOTONIC when the state was read */
    int64_t published_mono_ns; /* adapter's CLOCK_MONOTONIC just before the publish */
    int64_t feed_lag_ns; /* how old the state may have been when read: poll interval, gap; >= 0 */
    uint32_t book_order_count; /* BOOK_END: orders published since BOOK_BEGIN; OPERATOR: follower */
    uint32_t reserved;         /* OPERATOR: enum ipc_operator_act; else 0 */
    char broker_order_id[IPC_BROKER_ORDER_ID_BYTES]; /* NUL-padded */
    char client_tag[IPC_TAG_BYTES];                  /* NUL-padded, our tag when OWN_TAG */
    char reject_code[12]; /* NUL-padded, broker's short code when REJECTED; it contains MARGIN
                             where the dialect knows that the margin check refused it */
    int64_t stop_e8;      /* protective stop that comes with the order (bracket), 0 = none */
    int64_t target_e8;    /* its target, 0 = none */
    int64_t trail_e8;     /* what the stop trails behind the market, 0 = it stands */
};

_Static_assert(sizeof(struct ipc_event) == 232, "event layout");

/* ipc_event_check bounds every field of an event that came from another process.
 *   returns IPC_OK or IPC_BAD_INPUT with the field named in *error (may be NULL) */
struct ipc_error;
#include "ipc/rc.h"
LS_MUST_USE enum ipc_rc ipc_event_check(const struct ipc_event *event, struct ipc_error *error);

#endif
