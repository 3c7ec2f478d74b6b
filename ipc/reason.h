/* reason.h: why a follower's copy is not, or is less than, what was asked. Numbers are in the
 * journal: append only. */
#ifndef LS_IPC_REASON_H
#define LS_IPC_REASON_H

#include "ipc/vocab.h"

#define IPC_REASON_LIST(X)                                                                         \
    X(IPC_REASON_NONE, 0, "NONE", "nothing stood in the way")                                      \
    X(IPC_REASON_QTY_ZERO, 1, "QTY_ZERO", "the quantity floors to zero")                           \
    X(IPC_REASON_SUB_LOT, 2, "SUB_LOT", "the quantity is below one lot")                           \
    X(IPC_REASON_MAX_QTY_CAPPED, 3, "MAX_QTY_CAPPED", "reduced to max_quantity")                   \
    X(IPC_REASON_MAX_QTY, 4, "MAX_QTY", "above max_quantity, and on_cap is skip")                  \
    X(IPC_REASON_MAX_POSITION_REDUCED, 5, "MAX_POSITION_REDUCED", "reduced to max_position")       \
    X(IPC_REASON_MAX_ORDER_VALUE, 6, "MAX_ORDER_VALUE",                                            \
        "the order's value is above max_order_value")                                              \
    X(IPC_REASON_MAX_ORDER_VALUE_REDUCED, 7, "MAX_ORDER_VALUE_REDUCED",                            \
        "reduced to max_order_value")                                                              \
    X(IPC_REASON_PRICE_UNKNOWN, 8, "PRICE_UNKNOWN", "a limit needs a price and none is fresh")     \
    X(IPC_REASON_CAPITAL_UNKNOWN, 9, "CAPITAL_UNKNOWN",                                            \
        "the mode needs capital and none is fresh")                                                \
    X(IPC_REASON_STALE_EVENT, 10, "STALE_EVENT", "the entry is older than its age limit")          \
    X(IPC_REASON_SYMBOL_NOT_ALLOWED, 11, "SYMBOL_NOT_ALLOWED",                                     \
        "the instrument is not on the allowed list, or is denied")                                 \
    X(IPC_REASON_PRODUCT_NOT_ALLOWED, 12, "PRODUCT_NOT_ALLOWED", "the product is not allowed")     \
    X(IPC_REASON_ORDER_TYPE_NOT_ALLOWED, 13, "ORDER_TYPE_NOT_ALLOWED",                             \
        "the order type is not allowed")                                                           \
    X(IPC_REASON_SHORT_NOT_ALLOWED, 14, "SHORT_NOT_ALLOWED", "it would open a short position")     \
    X(IPC_REASON_FOLLOWER_DISABLED, 15, "FOLLOWER_DISABLED", "the follower is not enabled")        \
    X(IPC_REASON_COPY_PAUSED, 16, "COPY_PAUSED", "copying is paused")                              \
    X(IPC_REASON_KILL_SWITCH, 17, "KILL_SWITCH", "a switch bars it")                               \
    X(IPC_REASON_SESSION_EXPIRED, 18, "SESSION_EXPIRED", "the account has no valid token")         \
    X(IPC_REASON_NO_POSITION, 19, "NO_POSITION", "an exit, and nothing copied is held")            \
    X(IPC_REASON_CLOSE_CLAMPED, 20, "CLOSE_CLAMPED", "reduced to the copied position")             \
    X(IPC_REASON_MASTER_REJECTED, 21, "MASTER_REJECTED", "the master's order was rejected")        \
    X(IPC_REASON_CHILD_FILLED, 22, "CHILD_FILLED", "the copy is filled or ended already")          \
    X(IPC_REASON_OWN_ORDER, 23, "OWN_ORDER", "the order is one of our own copies")                 \
    X(IPC_REASON_INSTRUMENT_UNKNOWN, 24, "INSTRUMENT_UNKNOWN",                                     \
        "the instrument is not in the snapshot")                                                   \
    X(IPC_REASON_RATE_BUDGET, 25, "RATE_BUDGET",                                                   \
        "it could not leave within its age at the allowed rate")                                   \
    X(IPC_REASON_BROKER_REJECT, 26, "BROKER_REJECT", "the broker refused it")                      \
    X(IPC_REASON_DUPLICATE_EVENT, 27, "DUPLICATE_EVENT", "the event was seen before")              \
    X(IPC_REASON_UNKNOWN_PENDING, 28, "UNKNOWN_PENDING",                                           \
        "an order of this follower and instrument has an unknown outcome")                         \
    X(IPC_REASON_SUPERSEDED, 29, "SUPERSEDED",                                                     \
        "the master changed or ended the order before it left")                                    \
    X(IPC_REASON_NO_COPY, 30, "NO_COPY", "an amendment or cancel of an order that was not copied") \
    X(IPC_REASON_NO_CONNECTION, 31, "NO_CONNECTION", "no connection within its age")               \
    X(IPC_REASON_CAPACITY, 32, "CAPACITY", "a table of the engine is full")                        \
    X(IPC_REASON_SIDE_NOT_ALLOWED, 33, "SIDE_NOT_ALLOWED", "the side is not allowed")              \
    X(IPC_REASON_TOO_MANY_SLICES, 34, "TOO_MANY_SLICES", "above the freeze quantity")              \
    X(IPC_REASON_AT_TARGET, 35, "AT_TARGET", "the working copy has these terms already")           \
    X(IPC_REASON_JOURNAL, 36, "JOURNAL", "the journal cannot take entries")                        \
    X(IPC_REASON_TAG_COLLISION, 37, "TAG_COLLISION", "another order has the same tag digits")      \
    X(IPC_REASON_MODE_UNSUPPORTED, 38, "MODE_UNSUPPORTED",                                         \
        "the sizing mode is not known to this build")                                              \
    X(IPC_REASON_INSTRUMENT_MISMATCH, 39, "INSTRUMENT_MISMATCH",                                   \
        "the instrument is not the same contract at the master's and the follower's broker")

enum ipc_reason {
#define X(name, value, text, sentence) name = (value),
    IPC_REASON_LIST(X)
#undef X
        IPC_REASON_COUNT = 40
};

/* ipc_reason_name returns "SUB_LOT" and the like, "?" outside the list. */
const char *ipc_reason_name(enum ipc_reason reason);
/* ipc_reason_sentence returns the explanation for people. */
const char *ipc_reason_sentence(enum ipc_reason reason);

#endif
