/* reason.h: why a follower's copy is not, or is less than, what was asked. Numbers are in the
 * journal: append only. */
#ifndef LS_IPC_REASON_H
#define LS_IPC_REASON_H

#include "ipc/vocab.h"

/* LOOP_DETECTED is no decision's word: a snapshot in which chained accounts copy each other is
 * refused as a whole (ipc/snapshot_relations.c), so no order can go round.
 *
 * X(code, number, name, what it means, what to do) */
#define IPC_REASON_LIST(X)                                                                         \
    X(IPC_REASON_NONE, 0, "NONE", "nothing stood in the way", "nothing to do")                     \
    X(IPC_REASON_QTY_ZERO, 1, "QTY_ZERO", "the quantity floors to zero",                           \
        "raise the ratio, or set rounding.min_policy to force_min")                                \
    X(IPC_REASON_SUB_LOT, 2, "SUB_LOT", "the quantity is below one lot",                           \
        "raise the ratio, or set rounding.min_policy to force_min")                                \
    X(IPC_REASON_MAX_QTY_CAPPED, 3, "MAX_QTY_CAPPED", "reduced to max_quantity",                   \
        "raise max_quantity if it should be larger")                                               \
    X(IPC_REASON_MAX_QTY, 4, "MAX_QTY", "above max_quantity, and on_cap is skip",                  \
        "raise max_quantity, or set on_max_quantity to reduce")                                    \
    X(IPC_REASON_MAX_POSITION_REDUCED, 5, "MAX_POSITION_REDUCED", "reduced to max_position",       \
        "raise max_position if it should be larger")                                               \
    X(IPC_REASON_MAX_ORDER_VALUE, 6, "MAX_ORDER_VALUE",                                            \
        "the order's value is above max_order_value",                                              \
        "raise max_order_value, or set on_max_order_value to reduce")                              \
    X(IPC_REASON_MAX_ORDER_VALUE_REDUCED, 7, "MAX_ORDER_VALUE_REDUCED",                            \
        "reduced to max_order_value", "raise max_order_value if it should be larger")              \
    X(IPC_REASON_PRICE_UNKNOWN, 8, "PRICE_UNKNOWN", "a limit needs a price and none is fresh",     \
        "look at the price feed: lockstepctl price show BROKER")                                   \
    X(IPC_REASON_CAPITAL_UNKNOWN, 9, "CAPITAL_UNKNOWN",                                            \
        "the mode needs capital and none is fresh",                                                \
        "look at the account's figures: lockstepctl account show BROKER")                          \
    X(IPC_REASON_STALE_EVENT, 10, "STALE_EVENT", "the entry is older than its age limit",          \
        "look at the master's feed and its lag; raise max_age_market_ms or max_age_limit_ms if "   \
        "it is meant")                                                                             \
    X(IPC_REASON_SYMBOL_NOT_ALLOWED, 11, "SYMBOL_NOT_ALLOWED",                                     \
        "the instrument is not on the allowed list, or is denied",                                 \
        "change allowed_instruments or denied_instruments")                                        \
    X(IPC_REASON_PRODUCT_NOT_ALLOWED, 12, "PRODUCT_NOT_ALLOWED", "the product is not allowed",     \
        "change allowed_products")                                                                 \
    X(IPC_REASON_ORDER_TYPE_NOT_ALLOWED, 13, "ORDER_TYPE_NOT_ALLOWED",                             \
        "the order type is not allowed", "change allowed_order_types")                             \
    X(IPC_REASON_SHORT_NOT_ALLOWED, 14, "SHORT_NOT_ALLOWED", "it would open a short position",     \
        "set allow_short if the account may sell short")                                           \
    X(IPC_REASON_FOLLOWER_DISABLED, 15, "FOLLOWER_DISABLED", "the follower is not enabled",        \
        "set enabled; an ended subscription is taken up again by the file")                        \
    X(IPC_REASON_COPY_PAUSED, 16, "COPY_PAUSED", "copying is paused",                              \
        "set paused to false; what was skipped is not made good")                                  \
    X(IPC_REASON_KILL_SWITCH, 17, "KILL_SWITCH", "a switch bars it",                               \
        "when the cause is gone: lockstepctl switch SCOPE run")                                    \
    X(IPC_REASON_SESSION_EXPIRED, 18, "SESSION_EXPIRED", "the account has no valid token",         \
        "log in again: lockstepctl token set ACCOUNT")                                             \
    X(IPC_REASON_NO_POSITION, 19, "NO_POSITION", "an exit, and nothing copied is held",            \
        "nothing to do: there is nothing to close")                                                \
    X(IPC_REASON_CLOSE_CLAMPED, 20, "CLOSE_CLAMPED", "reduced to the copied position",             \
        "compare with the broker's position: the owner may have sold by hand")                     \
    X(IPC_REASON_MASTER_REJECTED, 21, "MASTER_REJECTED", "the master's order was rejected",        \
        "nothing to do: the master has no such order")                                             \
    X(IPC_REASON_CHILD_FILLED, 22, "CHILD_FILLED", "the copy is filled or ended already",          \
        "nothing to do; a difference to the master shows as drift")                                \
    X(IPC_REASON_OWN_ORDER, 23, "OWN_ORDER", "the order is one of our own copies",                 \
        "nothing to do: copies are not copied again unless chaining is on")                        \
    X(IPC_REASON_INSTRUMENT_UNKNOWN, 24, "INSTRUMENT_UNKNOWN",                                     \
        "the instrument is not in the snapshot",                                                   \
        "load the broker's contract file: lockstepctl instruments")                                \
    X(IPC_REASON_RATE_BUDGET, 25, "RATE_BUDGET",                                                   \
        "it could not leave within its age at the allowed rate",                                   \
        "spread followers over more accounts or addresses, or raise the age limit")                \
    X(IPC_REASON_BROKER_REJECT, 26, "BROKER_REJECT", "the broker refused it",                      \
        "read the broker's words in: lockstepctl why TAG")                                         \
    X(IPC_REASON_DUPLICATE_EVENT, 27, "DUPLICATE_EVENT", "the event was seen before",              \
        "nothing to do: it was decided when it was seen first")                                    \
    X(IPC_REASON_UNKNOWN_PENDING, 28, "UNKNOWN_PENDING",                                           \
        "an order of this follower and instrument has an unknown outcome",                         \
        "wait for the broker's book, or look at the order there")                                  \
    X(IPC_REASON_SUPERSEDED, 29, "SUPERSEDED",                                                     \
        "the master changed or ended the order before it left",                                    \
        "nothing to do: a later state of the order was copied")                                    \
    X(IPC_REASON_NO_COPY, 30, "NO_COPY", "an amendment or cancel of an order that was not copied", \
        "nothing to do: see why the order itself was not copied")                                  \
    X(IPC_REASON_NO_CONNECTION, 31, "NO_CONNECTION", "no connection within its age",               \
        "look at the connections: lockstepctl top")                                                \
    X(IPC_REASON_CAPACITY, 32, "CAPACITY", "a table of the engine is full",                        \
        "raise the limit that the engine's log names, and restart it")                             \
    X(IPC_REASON_SIDE_NOT_ALLOWED, 33, "SIDE_NOT_ALLOWED", "the side is not allowed",              \
        "change allowed_sides")                                                                    \
    X(IPC_REASON_TOO_MANY_SLICES, 34, "TOO_MANY_SLICES", "above the freeze quantity",              \
        "raise caps.max_slices, or lower the ratio")                                               \
    X(IPC_REASON_AT_TARGET, 35, "AT_TARGET", "the working copy has these terms already",           \
        "nothing to do: it is as it should be")                                                    \
    X(IPC_REASON_JOURNAL, 36, "JOURNAL", "the journal cannot take entries",                        \
        "look at the journal's disk: entries start again when it can be written")                  \
    X(IPC_REASON_TAG_COLLISION, 37, "TAG_COLLISION", "another order has the same tag digits",      \
        "place the order by hand; the next one has other digits")                                  \
    X(IPC_REASON_MODE_UNSUPPORTED, 38, "MODE_UNSUPPORTED",                                         \
        "the sizing mode is not known to this build",                                              \
        "take another mode, or the build that has it")                                             \
    X(IPC_REASON_INSTRUMENT_MISMATCH, 39, "INSTRUMENT_MISMATCH",                                   \
        "the instrument is not the same contract at the master's and the follower's broker",       \
        "load both brokers' contract files: lockstepctl instruments")                              \
    X(IPC_REASON_MIN_NOTIONAL, 40, "MIN_NOTIONAL", "the order's value is below min_notional",      \
        "lower caps.min_notional, or raise the ratio")                                             \
    X(IPC_REASON_MASTER_SIZE_FILTER, 41, "MASTER_SIZE_FILTER",                                     \
        "the master's quantity is outside master_min and master_max",                              \
        "change caps.master_min or caps.master_max")                                               \
    X(IPC_REASON_RISK_REDUCED, 42, "RISK_REDUCED", "reduced to max_trade_risk",                    \
        "raise caps.max_trade_risk_pct if it should be larger")                                    \
    X(IPC_REASON_NO_STOP_LOSS, 43, "NO_STOP_LOSS",                                                 \
        "sizing by risk needs a stop, and the order has none",                                     \
        "the master places orders with a stop, or take another mode")                              \
    X(IPC_REASON_SLIPPAGE, 44, "SLIPPAGE", "the market is outside the price guard",                \
        "raise guards.max_slippage_pct if the price would still be good")                          \
    X(IPC_REASON_SLIPPAGE_PARTIAL, 45, "SLIPPAGE_PARTIAL",                                         \
        "filled in part inside the price guard; the rest is drift",                                \
        "decide about the drift by hand; the rest is not chased")                                  \
    X(IPC_REASON_DAILY_LOSS, 46, "DAILY_LOSS", "the day's loss has reached its limit",             \
        "entries start again with the market's next session")                                      \
    X(IPC_REASON_DRAWDOWN, 47, "DRAWDOWN",                                                         \
        "the fall from the highest equity has reached its limit",                                  \
        "entries start again with the market's next session")                                      \
    X(IPC_REASON_TRAILING_CAPITAL, 48, "TRAILING_CAPITAL",                                         \
        "the accumulated result is at the protected level", "a named person resumes copying")      \
    X(IPC_REASON_EQUITY_STOP, 49, "EQUITY_STOP", "the account's equity is at its stop",            \
        "a named person resumes copying")                                                          \
    X(IPC_REASON_MAX_OPEN_POSITIONS, 50, "MAX_OPEN_POSITIONS",                                     \
        "as many positions are open as may be",                                                    \
        "raise limits.max_open_positions, or wait for a position to close")                        \
    X(IPC_REASON_MAX_TRADES_DAY, 51, "MAX_TRADES_DAY",                                             \
        "as many openings were accepted today as may be",                                          \
        "raise limits.max_trades_per_day, or wait for the next session")                           \
    X(IPC_REASON_MAX_CAPITAL_EXPOSURE, 52, "MAX_CAPITAL_EXPOSURE",                                 \
        "exposure or margin in use would be above its limit",                                      \
        "raise limits.max_exposure or limits.max_margin_util_pct, or add money")                   \
    X(IPC_REASON_DAY_NOTIONAL, 53, "DAY_NOTIONAL",                                                 \
        "the day's openings would be worth more than day_notional",                                \
        "raise caps.day_notional, or wait for the next session")                                   \
    X(IPC_REASON_CIRCUIT_OPEN, 54, "CIRCUIT_OPEN",                                                 \
        "the broker refused too many orders in a row; entries wait for a probe",                   \
        "read the last refusals: lockstepctl orders; one probe is sent after circuit_hold_ms")     \
    X(IPC_REASON_MARKET_CLOSED, 55, "MARKET_CLOSED",                                               \
        "the market, or the product's part of the day, is closed",                                 \
        "wait for the session; look at the market calendar if it should be open")                  \
    X(IPC_REASON_OUTSIDE_WINDOW, 56, "OUTSIDE_WINDOW",                                             \
        "outside the hours that the subscription copies in", "change guards.copy_window")          \
    X(IPC_REASON_EXIT_IN_FLIGHT, 57, "EXIT_IN_FLIGHT",                                             \
        "an earlier exit is not answered yet; this one joins it",                                  \
        "nothing to do: it follows when the earlier one is answered")                              \
    X(IPC_REASON_POSITION_KEPT, 58, "POSITION_KEPT",                                               \
        "copying ended; what is held is kept and only exits follow",                               \
        "close it by hand, or set flatten_on_unfollow")                                            \
    X(IPC_REASON_KEEP_STOP, 59, "KEEP_STOP",                                                       \
        "the account backs one resting order and the stop has it",                                 \
        "nothing to do: the target is not placed while the stop rests")                            \
    X(IPC_REASON_WAIT_MASTER_FILL, 60, "WAIT_MASTER_FILL",                                         \
        "it is copied when the master's order fills",                                              \
        "nothing to do; set copy_pending to copy resting orders")                                  \
    X(IPC_REASON_MARGIN, 61, "MARGIN", "the broker's margin check refused it",                     \
        "add money, or set limits.margin_step_down")                                               \
    X(IPC_REASON_LOOP_DETECTED, 62, "LOOP_DETECTED",                                               \
        "the order goes round between accounts that copy each other",                              \
        "take chaining off one of the accounts")                                                   \
    X(IPC_REASON_STALE_ACCOUNT_DATA, 63, "STALE_ACCOUNT_DATA",                                     \
        "the account's figures are older than their limit",                                        \
        "look at the account's figures: lockstepctl account show BROKER")                          \
    X(IPC_REASON_LATE_JOINER, 64, "LATE_JOINER",                                                   \
        "it holds nothing of what the master closes: it came later; the opening part is copied",   \
        "nothing to do: it has its part of the master's new position")                             \
    X(IPC_REASON_DUPLICATE_SUSPECT, 65, "DUPLICATE_SUSPECT",                                       \
        "the same order as one of another source moments ago",                                     \
        "look at both orders; set guards.on_duplicate to alert if they are meant")                 \
    X(IPC_REASON_MASTER_BREACH, 66, "MASTER_BREACH", "the master's own limit stopped its group",   \
        "look at the master's limits; a named person resumes its group")                           \
    X(IPC_REASON_PRICE_COLLAR, 67, "PRICE_COLLAR",                                                 \
        "its price is further from the last price than the collar allows",                         \
        "look at the master's price; widen the collar if it is meant")                             \
    X(IPC_REASON_CHILDREN_CAP, 68, "CHILDREN_CAP",                                                 \
        "the master's order has as many copies as it may have",                                    \
        "look at why it makes so many; controls.slices_per_follower is the bound")                 \
    X(IPC_REASON_INSTRUMENT_RATE, 69, "INSTRUMENT_RATE",                                           \
        "as many openings of the instrument were made within a minute as may be",                  \
        "look at its orders; controls.instrument_openings_per_minute is the bound")                \
    X(IPC_REASON_OPEN_ORDERS, 70, "OPEN_ORDERS",                                                   \
        "the account has as many open orders as it may have",                                      \
        "cancel what is not wanted, or raise max_open_orders of the account")                      \
    X(IPC_REASON_BREAKER, 71, "BREAKER", "a breaker has stopped openings",                         \
        "look at why with: lockstepctl breaker list; a named person resets it")                    \
    X(IPC_REASON_CLOCK_STEP, 72, "CLOCK_STEP", "the wall clock stepped, nobody has acknowledged",  \
        "look at the clock, then: lockstepctl breaker reset --clock --by NAME")                    \
    X(IPC_REASON_FIRM_EXPOSURE, 73, "FIRM_EXPOSURE",                                               \
        "all accounts together would hold more than the firm's limit",                             \
        "raise controls.exposure_max, or wait until something is closed")

enum ipc_reason {
#define X(name, value, text, sentence, advice) name = (value),
    IPC_REASON_LIST(X)
#undef X
        IPC_REASON_COUNT = 74
};

/* ipc_reason_name returns "SUB_LOT" and the like, "?" outside the list. */
const char *ipc_reason_name(enum ipc_reason reason);
/* ipc_reason_sentence returns the explanation for people. */
const char *ipc_reason_sentence(enum ipc_reason reason);
/* ipc_reason_advice returns what a person can do about it. */
const char *ipc_reason_advice(enum ipc_reason reason);

#endif
