/* vocab.h: the words that cross every layer: sides, types, products, statuses, ids.
 *
 * Values are stored in shared memory and in the journal: never renumber, only append (and raise
 * IPC_ABI). Each list is an X-macro that also makes the name table; names are what files, logs and
 * people use. */
#ifndef LS_IPC_VOCAB_H
#define LS_IPC_VOCAB_H

#include "ipc/base.h"

/* The version of everything in shared memory and in the journal. Attachers refuse another one. */
#define IPC_ABI 4u

/* Ids that must not mix. */
struct ipc_account_id {
    uint32_t value; /* dense number of an account (a login at a broker), permanent, [1, 2^32) */
};
struct ipc_follower_no {
    uint32_t value; /* permanent number of a subscription, never reused, [1, 36^5): the five digits
                       of the tag */
};
struct ipc_instrument_id {
    uint32_t value; /* dense, permanent, [1, 2^32) */
};

#define IPC_SIDE_LIST(X)                                                                           \
    X(IPC_SIDE_BUY, 1, "BUY")                                                                      \
    X(IPC_SIDE_SELL, 2, "SELL")

#define IPC_TYPE_LIST(X)                                                                           \
    X(IPC_TYPE_MARKET, 1, "MARKET")                                                                \
    X(IPC_TYPE_LIMIT, 2, "LIMIT")                                                                  \
    X(IPC_TYPE_SL, 3, "SL")   /* stop with limit: price and trigger */                             \
    X(IPC_TYPE_SLM, 4, "SLM") /* stop at market: trigger only */

#define IPC_PRODUCT_LIST(X)                                                                        \
    X(IPC_PRODUCT_MIS, 1, "MIS")   /* intraday */                                                  \
    X(IPC_PRODUCT_CNC, 2, "CNC")   /* delivery */                                                  \
    X(IPC_PRODUCT_NRML, 3, "NRML") /* carry-forward derivatives */                                 \
    X(IPC_PRODUCT_MTF, 4, "MTF")   /* margin funding */

#define IPC_VALIDITY_LIST(X)                                                                       \
    X(IPC_VALIDITY_DAY, 1, "DAY")                                                                  \
    X(IPC_VALIDITY_IOC, 2, "IOC")

/* Status of an order at its broker. Final ones are FILLED and later; a final status never goes
 * back. */
#define IPC_STATUS_LIST(X)                                                                         \
    X(IPC_STATUS_PENDING, 1, "PENDING") /* taken by the broker, not at the exchange */             \
    X(IPC_STATUS_OPEN, 2, "OPEN")       /* working, also waiting for its trigger */                \
    X(IPC_STATUS_FILLED, 3, "FILLED")                                                              \
    X(IPC_STATUS_CANCELLED, 4, "CANCELLED") /* may hold a partial fill */                          \
    X(IPC_STATUS_REJECTED, 5, "REJECTED")                                                          \
    X(IPC_STATUS_EXPIRED, 6, "EXPIRED")

/* How the order came to its broker. */
#define IPC_SOURCE_LIST(X)                                                                         \
    X(IPC_SOURCE_UNKNOWN, 0, "UNKNOWN")                                                            \
    X(IPC_SOURCE_TERMINAL, 1, "TERMINAL") /* the broker's own web, app or dealer terminal */       \
    X(IPC_SOURCE_API, 2, "API")

#define IPC_EXCHANGE_LIST(X)                                                                       \
    X(IPC_EXCHANGE_NSE, 1, "NSE")                                                                  \
    X(IPC_EXCHANGE_BSE, 2, "BSE")                                                                  \
    X(IPC_EXCHANGE_NFO, 3, "NFO")                                                                  \
    X(IPC_EXCHANGE_BFO, 4, "BFO")                                                                  \
    X(IPC_EXCHANGE_CDS, 5, "CDS")                                                                  \
    X(IPC_EXCHANGE_BCD, 6, "BCD")                                                                  \
    X(IPC_EXCHANGE_MCX, 7, "MCX")                                                                  \
    X(IPC_EXCHANGE_NCO, 8, "NCO")                                                                  \
    X(IPC_EXCHANGE_BCO, 9, "BCO")

/* Switch words: what still may leave. */
#define IPC_SWITCH_LIST(X)                                                                         \
    X(IPC_SWITCH_RUN, 0, "run")                                                                    \
    X(IPC_SWITCH_CLOSE_ONLY, 1, "close-only") /* exits and cancels */                              \
    X(IPC_SWITCH_HALT, 2, "halt")             /* cancels only */

/* Sizing modes (SEMANTICS 1). Which settings each reads: ipc/policy.h. The first three are the seed
 * documents' modes and need nothing beside the follower's row. */
#define IPC_MODE_LIST(X)                                                                           \
    X(IPC_MODE_FIXED_RATIO, 1, "FIXED_RATIO")                                                      \
    X(IPC_MODE_PERCENTAGE, 2, "PERCENTAGE")                                                        \
    X(IPC_MODE_FIXED_QUANTITY, 3, "FIXED_QUANTITY")                                                \
    X(IPC_MODE_EQUITY_PROPORTIONAL, 4, "EQUITY_PROPORTIONAL")                                      \
    X(IPC_MODE_BALANCE_PROPORTIONAL, 5, "BALANCE_PROPORTIONAL")                                    \
    X(IPC_MODE_AUTO_RISK, 6, "AUTO_RISK")                                                          \
    X(IPC_MODE_MULTIPLIER_NOTIONAL, 7, "MULTIPLIER_NOTIONAL")                                      \
    X(IPC_MODE_MQL5_PCT, 8, "MQL5_PCT")                                                            \
    X(IPC_MODE_USAGE_RATIO, 9, "USAGE_RATIO")                                                      \
    X(IPC_MODE_USAGE_RATIO_DISCOUNT, 10, "USAGE_RATIO_DISCOUNT")                                   \
    X(IPC_MODE_STEP_OF_BALANCE, 11, "STEP_OF_BALANCE")                                             \
    X(IPC_MODE_FIXED_RISK, 12, "FIXED_RISK")                                                       \
    X(IPC_MODE_TIERED_MULTIPLIER, 13, "TIERED_MULTIPLIER")                                         \
    X(IPC_MODE_COPY_RATIO_FROZEN, 14, "COPY_RATIO_FROZEN")                                         \
    X(IPC_MODE_SMART_TARGET, 15, "SMART_TARGET")                                                   \
    X(IPC_MODE_PCT_BALANCE_BASIS, 16, "PCT_BALANCE_BASIS")                                         \
    X(IPC_MODE_AVAILABLE_RATIO_CAPPED, 17, "AVAILABLE_RATIO_CAPPED")                               \
    X(IPC_MODE_POOLED_EQUAL, 18, "POOLED_EQUAL")                                                   \
    X(IPC_MODE_POOLED_RATIO, 19, "POOLED_RATIO")                                                   \
    X(IPC_MODE_POOLED_NETLIQ, 20, "POOLED_NETLIQ")
#define IPC_MODE_LIMIT 21 /* every value is below it: the size of an array by mode */

#define IPC_COPY_LIST(X)                                                                           \
    X(IPC_COPY_ON_ORDER, 1, "order") /* pending copied as pending; amends and cancels follow */    \
    X(IPC_COPY_ON_FILL, 2, "fill")   /* cumulative fills */

#define IPC_ACTION_LIST(X)                                                                         \
    X(IPC_ACTION_PLACE, 1, "PLACE")                                                                \
    X(IPC_ACTION_MODIFY, 2, "MODIFY")                                                              \
    X(IPC_ACTION_CANCEL, 3, "CANCEL")

#define IPC_LANES_LIST(X)                                                                          \
    X(IPC_LANES_OWN, 1, "own")       /* one connection per account, bound to its source address */ \
    X(IPC_LANES_SHARED, 2, "shared") /* a pool per (broker, source address) */

#define IPC_ROLE_MASTER   1u /* bits of an account's roles */
#define IPC_ROLE_FOLLOWER 2u

#define IPC_DECLARE_ENUM(tag, LIST)                                                                \
    enum tag { LIST(IPC_ENUM_VALUE_) };                                                            \
    /* returns the name, "?" for a value that is not in the list */                                \
    const char *tag##_name(enum tag value);                                                        \
    /* exact, case-sensitive; false leaves *out unchanged */                                       \
    LS_MUST_USE bool tag##_parse(const char *text, size_t bytes, enum tag *out);                   \
    /* true when a number read from elsewhere is in the list */                                    \
    LS_MUST_USE bool tag##_valid(uint32_t value);
#define IPC_ENUM_VALUE_(name, value, text) name = (value),

IPC_DECLARE_ENUM(ipc_side, IPC_SIDE_LIST)
IPC_DECLARE_ENUM(ipc_type, IPC_TYPE_LIST)
IPC_DECLARE_ENUM(ipc_product, IPC_PRODUCT_LIST)
IPC_DECLARE_ENUM(ipc_validity, IPC_VALIDITY_LIST)
IPC_DECLARE_ENUM(ipc_status, IPC_STATUS_LIST)
IPC_DECLARE_ENUM(ipc_source, IPC_SOURCE_LIST)
IPC_DECLARE_ENUM(ipc_exchange, IPC_EXCHANGE_LIST)
IPC_DECLARE_ENUM(ipc_switch, IPC_SWITCH_LIST)
IPC_DECLARE_ENUM(ipc_mode, IPC_MODE_LIST)
IPC_DECLARE_ENUM(ipc_copy, IPC_COPY_LIST)
IPC_DECLARE_ENUM(ipc_action, IPC_ACTION_LIST)
IPC_DECLARE_ENUM(ipc_lanes, IPC_LANES_LIST)

static inline bool ipc_status_final(enum ipc_status status)
{
    return status >= IPC_STATUS_FILLED;
}

static inline enum ipc_side ipc_side_opposite(enum ipc_side side)
{
    return side == IPC_SIDE_BUY ? IPC_SIDE_SELL : IPC_SIDE_BUY;
}

/* A 128-bit key: the first half of a SHA-256. */
struct ipc_key {
    uint64_t word[2];
};

static inline bool ipc_key_equal(struct ipc_key a, struct ipc_key b)
{
    return a.word[0] == b.word[0] && a.word[1] == b.word[1];
}

#define IPC_BROKER_ORDER_ID_BYTES 32 /* NUL-padded; the longest known is 25 */
#define IPC_TAG_BYTES             20 /* 19 of [0-9A-Z] and a NUL */
#define IPC_NAME_BYTES            32

#endif
