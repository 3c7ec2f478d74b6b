/* step_code.h: the steps of one follower's decision, as they are recorded and as a person reads
 * them (ipc_explain_steps in ipc/explain.h):
 *
 *     MASTER_QTY 100, RATIO 0.5, RAW 50, LOT 65, FLOORED 0, SKIP SUB_LOT
 *     100 × 0.5 = 50 → lot 65 → 0 → SKIP SUB_LOT
 *
 * The list is the vocabulary: a code, its number, its name in JSON, how it hangs on what stands
 * before it, its label, the unit of its value. A recorder puts operands before the result that
 * they make, in the order of the pipeline; what did not apply is left out. Numbers are in the
 * journal: append only. */
#ifndef LS_IPC_STEP_CODE_H
#define LS_IPC_STEP_CODE_H

#include "ipc/reason.h"

/* How a step hangs on the text before it. */
#define IPC_JOIN_LIST(X)                                                                           \
    X(IPC_JOIN_ARROW, 0, " → ") /* a next step; nothing when it is the first */                    \
    X(IPC_JOIN_TIMES, 1, " × ")                                                                    \
    X(IPC_JOIN_OVER, 2, " / ")                                                                     \
    X(IPC_JOIN_EQUALS, 3, " = ")                                                                   \
    X(IPC_JOIN_PLUS, 4, " + ")                                                                     \
    X(IPC_JOIN_MINUS, 5, " - ")                                                                    \
    X(IPC_JOIN_SPACE, 6, " ")  /* a detail of the step before */                                   \
    X(IPC_JOIN_LEG, 7, "; ")   /* another leg, or another order of the same event */               \
    X(IPC_JOIN_COMMA, 8, ", ") /* a further input */
IPC_DECLARE_ENUM(ipc_join, IPC_JOIN_LIST)

/* How value_e8 reads. All are scaled by 1e8, counts and times too. */
#define IPC_UNIT_LIST(X)                                                                           \
    X(IPC_UNIT_NUMBER, 0, "number")     /* quantity, price, money, ratio */                        \
    X(IPC_UNIT_NONE, 1, "none")         /* the label says it all */                                \
    X(IPC_UNIT_PERCENT, 2, "percent")   /* 5 is 5 % */                                             \
    X(IPC_UNIT_FRACTION, 3, "fraction") /* 0.05 is read as 5 % */                                  \
    X(IPC_UNIT_MS, 4, "ms")                                                                        \
    X(IPC_UNIT_MINUTE, 5, "minute")         /* of the market's day: 555 is 09:15 */                \
    X(IPC_UNIT_INSTRUMENT, 6, "instrument") /* its number */                                       \
    X(IPC_UNIT_REASON, 7, "reason")         /* the step's reason, instead of a value */
IPC_DECLARE_ENUM(ipc_unit, IPC_UNIT_LIST)

/* X(code, number, name, join, label, unit) */
#define IPC_STEP_LIST(X)                                                                           \
    /* the master's side */                                                                        \
    X(IPC_STEP_MASTER_QTY, 1, "master_qty", ARROW, "", NUMBER)                                     \
    X(IPC_STEP_MASTER_FILLED, 2, "master_filled", ARROW, "filled", NUMBER) /* cumulative */        \
    X(IPC_STEP_MASTER_COST, 3, "master_cost", ARROW, "cost", NUMBER)                               \
    X(IPC_STEP_MASTER_NOTIONAL, 4, "master_notional", ARROW, "notional", NUMBER)                   \
    X(IPC_STEP_MASTER_SIZE, 5, "master_size", ARROW, "size", NUMBER)                               \
    X(IPC_STEP_MASTER_MAX_AVAILABLE, 6, "master_max_available", OVER, "max available", NUMBER)     \
    X(IPC_STEP_MASTER_CAPITAL, 7, "master_capital", OVER, "master's", NUMBER)                      \
    X(IPC_STEP_MASTER_POSITION, 8, "master_position", OVER, "", NUMBER) /* before the event */     \
    X(IPC_STEP_TARGET, 9, "target", ARROW, "target", NUMBER)                                       \
    /* the mode's numbers */                                                                       \
    X(IPC_STEP_RATIO, 10, "ratio", TIMES, "", NUMBER)                                              \
    X(IPC_STEP_MULT, 11, "mult", TIMES, "", NUMBER)                                                \
    X(IPC_STEP_CAPITAL, 12, "capital", ARROW, "capital", NUMBER)   /* opens the arithmetic */      \
    X(IPC_STEP_CAPITAL_TIMES, 13, "capital", TIMES, "own", NUMBER) /* inside of it */              \
    X(IPC_STEP_PERCENT, 14, "percent", TIMES, "", PERCENT)                                         \
    X(IPC_STEP_FRACTION, 15, "fraction", TIMES, "", FRACTION)                                      \
    X(IPC_STEP_PRICE, 16, "price", OVER, "", NUMBER)                                               \
    X(IPC_STEP_FIXED_QTY, 17, "fixed_qty", ARROW, "fixed", NUMBER)                                 \
    X(IPC_STEP_CONTRACT_FACTOR, 18, "contract_factor", TIMES, "contract", NUMBER)                  \
    X(IPC_STEP_INVEST, 19, "invest", TIMES, "invest", NUMBER)                                      \
    X(IPC_STEP_LEVERAGE, 20, "leverage", COMMA, "leverage", NUMBER)                                \
    X(IPC_STEP_DISCOUNT_LIMIT, 21, "discount_limit", ARROW, "k × available", NUMBER)               \
    X(IPC_STEP_STEP_MONEY, 22, "step_money", OVER, "step", NUMBER)                                 \
    X(IPC_STEP_STEP_QTY, 23, "step_qty", TIMES, "per step", NUMBER)                                \
    X(IPC_STEP_STOP_DISTANCE, 24, "stop_distance", OVER, "stop distance", NUMBER)                  \
    X(IPC_STEP_TIER, 25, "tier", TIMES, "tier", NUMBER)                                            \
    X(IPC_STEP_COEFFICIENT, 26, "coefficient", TIMES, "k", NUMBER)                                 \
    X(IPC_STEP_BASIS, 27, "basis", OVER, "basis", NUMBER)                                          \
    X(IPC_STEP_MAX_AVAILABLE, 28, "max_available", TIMES, "available", NUMBER)                     \
    X(IPC_STEP_FX, 29, "fx", TIMES, "fx", NUMBER)                                                  \
    X(IPC_STEP_PCT_STEP, 30, "pct_step", ARROW, "steps to", PERCENT)                               \
    X(IPC_STEP_MAP_FACTOR, 31, "map_factor", TIMES, "map", NUMBER)                                 \
    X(IPC_STEP_MAPPED, 32, "mapped", COMMA, "as instrument", INSTRUMENT)                           \
    X(IPC_STEP_POSITION, 33, "position", MINUS, "held", NUMBER) /* of a target */                  \
    X(IPC_STEP_POOL_SHARE, 34, "pool_share", ARROW, "share of the block", NUMBER)                  \
    X(IPC_STEP_COST, 35, "cost", EQUALS, "cost", NUMBER)                                           \
    X(IPC_STEP_NOTIONAL, 36, "notional", EQUALS, "notional", NUMBER)                               \
    X(IPC_STEP_RAW, 37, "raw", EQUALS, "", NUMBER)                                                 \
    /* rounding and minima */                                                                      \
    X(IPC_STEP_CARRY, 40, "carry", COMMA, "sent before", NUMBER) /* of openings, cumulative */     \
    X(IPC_STEP_CARRY_TOTAL, 41, "carry_total", ARROW, "total", NUMBER)                             \
    X(IPC_STEP_LOT, 42, "lot", ARROW, "lot", NUMBER)                                               \
    X(IPC_STEP_STEP, 43, "step", ARROW, "step", NUMBER)                                            \
    X(IPC_STEP_NEAREST, 44, "nearest", ARROW, "nearest", NUMBER)                                   \
    X(IPC_STEP_FLOORED, 45, "floored", ARROW, "", NUMBER)                                          \
    X(IPC_STEP_FORCE_MIN, 46, "force_min", ARROW, "at least", NUMBER)                              \
    X(IPC_STEP_REFUSE_BELOW, 47, "refuse_below", ARROW, "refuse_below", NUMBER)                    \
    X(IPC_STEP_MIN_NOTIONAL, 48, "min_notional", ARROW, "min_notional", NUMBER)                    \
    /* caps: the limit that struck or reduced */                                                   \
    X(IPC_STEP_MASTER_MIN, 50, "master_min", ARROW, "master_min", NUMBER)                          \
    X(IPC_STEP_MASTER_MAX, 51, "master_max", ARROW, "master_max", NUMBER)                          \
    X(IPC_STEP_MAX_QUANTITY, 52, "max_quantity", ARROW, "max_quantity", NUMBER)                    \
    X(IPC_STEP_MAX_POSITION, 53, "max_position", ARROW, "max_position", NUMBER)                    \
    X(IPC_STEP_HELD_OR_WORKING, 54, "held_or_working", COMMA, "held and working", NUMBER)          \
    X(IPC_STEP_MAX_TRADE_RISK, 55, "max_trade_risk", ARROW, "max_trade_risk", FRACTION)            \
    X(IPC_STEP_MAX_ORDER_VALUE, 56, "max_order_value", ARROW, "max_order_value", NUMBER)           \
    X(IPC_STEP_VALUE, 57, "value", ARROW, "value", NUMBER)                                         \
    X(IPC_STEP_VALUE_PRICE, 58, "value_price", SPACE, "at", NUMBER)                                \
    X(IPC_STEP_DAY_NOTIONAL, 59, "day_notional", ARROW, "day_notional", NUMBER)                    \
    X(IPC_STEP_SYSTEM_MAX, 60, "system_max", ARROW, "system_max", NUMBER)                          \
    X(IPC_STEP_USER_MAX, 61, "user_max", ARROW, "user_max", NUMBER)                                \
    X(IPC_STEP_REDUCED, 62, "reduced", ARROW, "", NUMBER) /* the quantity after a cap */           \
    /* guards of openings */                                                                       \
    X(IPC_STEP_REFERENCE, 70, "reference", ARROW, "reference", NUMBER)                             \
    X(IPC_STEP_SLIPPAGE_CAP, 71, "slippage_cap", SPACE, "±", FRACTION)                             \
    X(IPC_STEP_PRICE_LIMIT, 72, "price_limit", ARROW, "limit", NUMBER)                             \
    X(IPC_STEP_MARKET_AT, 73, "market_at", COMMA, "market at", NUMBER)                             \
    X(IPC_STEP_MARKET_PROTECTION, 74, "market_protection", ARROW, "protection", FRACTION)          \
    X(IPC_STEP_AGE, 75, "age", ARROW, "age", MS)                                                   \
    X(IPC_STEP_AGE_LIMIT, 76, "age_limit", COMMA, "limit", MS)                                     \
    X(IPC_STEP_MARKET_TIME, 77, "market_time", ARROW, "market time", MINUTE)                       \
    X(IPC_STEP_WINDOW_FROM, 78, "window_from", COMMA, "window from", MINUTE)                       \
    X(IPC_STEP_WINDOW_TO, 79, "window_to", COMMA, "to", MINUTE)                                    \
    X(IPC_STEP_INTRADAY_CUTOFF, 80, "intraday_cutoff", COMMA, "intraday entries until", MINUTE)    \
    X(IPC_STEP_REVERSE, 81, "reverse", ARROW, "side reversed", NONE)                               \
    X(IPC_STEP_CAPITAL_AGE, 82, "capital_age", COMMA, "capital read before", MS)                   \
    X(IPC_STEP_MASTER_CAPITAL_AGE, 85, "master_capital_age", COMMA,                                \
        "master's capital read before", MS)                                                        \
    X(IPC_STEP_PRICE_AGE, 83, "price_age", COMMA, "price read before", MS)                         \
    X(IPC_STEP_COLLAR, 84, "collar", COMMA, "collar", FRACTION)                                    \
    /* money limits: figure and limit */                                                           \
    X(IPC_STEP_DAY_PNL, 90, "day_pnl", ARROW, "day P&L", NUMBER)                                   \
    X(IPC_STEP_DAILY_LOSS, 91, "daily_loss", COMMA, "max_daily_loss", NUMBER)                      \
    X(IPC_STEP_DRAWDOWN, 92, "drawdown", ARROW, "drawdown", NUMBER)                                \
    X(IPC_STEP_DRAWDOWN_LIMIT, 93, "drawdown_limit", COMMA, "max_drawdown", NUMBER)                \
    X(IPC_STEP_EQUITY, 94, "equity", ARROW, "equity", NUMBER)                                      \
    X(IPC_STEP_EQUITY_STOP, 95, "equity_stop", COMMA, "equity_stop", NUMBER)                       \
    X(IPC_STEP_EXPOSURE, 96, "exposure", ARROW, "exposure", NUMBER)                                \
    X(IPC_STEP_EXPOSURE_LIMIT, 97, "exposure_limit", COMMA, "max_exposure", NUMBER)                \
    X(IPC_STEP_MARGIN_USE, 98, "margin_use", ARROW, "margin use", FRACTION)                        \
    X(IPC_STEP_MARGIN_LIMIT, 99, "margin_limit", COMMA, "max_margin_util", FRACTION)               \
    X(IPC_STEP_OPEN_POSITIONS, 100, "open_positions", ARROW, "open positions", NUMBER)             \
    X(IPC_STEP_OPEN_POSITIONS_LIMIT, 101, "open_positions_limit", COMMA, "max_open_positions",     \
        NUMBER)                                                                                    \
    X(IPC_STEP_TRADES, 102, "trades", ARROW, "trades today", NUMBER)                               \
    X(IPC_STEP_TRADES_LIMIT, 103, "trades_limit", COMMA, "max_trades_per_day", NUMBER)             \
    X(IPC_STEP_FAILURES, 104, "failures", ARROW, "failures in a row", NUMBER)                      \
    X(IPC_STEP_LIMIT_TRIPPED, 105, "limit_tripped", ARROW, "a limit was reached earlier", NONE)    \
    /* closing */                                                                                  \
    X(IPC_STEP_HELD, 110, "held", ARROW, "holds", NUMBER)                                          \
    X(IPC_STEP_MASTER_CLOSES, 111, "master_closes", TIMES, "", NUMBER)                             \
    X(IPC_STEP_BASE_MASTER, 112, "base_master", OVER, "", NUMBER)                                  \
    X(IPC_STEP_CLOSE_WANTED, 113, "close_wanted", EQUALS, "", NUMBER)                              \
    X(IPC_STEP_CLOSED_SO_FAR, 114, "closed_so_far", MINUS, "closed", NUMBER)                       \
    X(IPC_STEP_ALL, 115, "all", ARROW, "all of it", NONE)                                          \
    X(IPC_STEP_CLOSES_WORKING, 116, "closes_working", COMMA, "closes working", NUMBER)             \
    X(IPC_STEP_CLAMP, 117, "clamp", ARROW, "closable", NUMBER)                                     \
    X(IPC_STEP_CLOSE_UP, 118, "close_up", ARROW, "rounded up to", NUMBER)                          \
    X(IPC_STEP_BASE, 119, "base", ARROW, "base", NUMBER) /* F0 of the run of reductions */         \
    X(IPC_STEP_CANCEL_ENTRY, 120, "cancel_entry", ARROW, "cancel the working entry", NUMBER)       \
    /* an amendment or a fill of a copy that exists */                                             \
    X(IPC_STEP_CHILD_OPEN, 125, "child_open", ARROW, "working copy", NUMBER)                       \
    X(IPC_STEP_CHILD_FILLED, 126, "child_filled", COMMA, "filled", NUMBER)                         \
    X(IPC_STEP_CHILD_TOTAL, 127, "child_total", ARROW, "total", NUMBER)                            \
    X(IPC_STEP_CHILD_SENT, 128, "child_sent", MINUS, "sent", NUMBER)                               \
    X(IPC_STEP_MODIFICATIONS, 129, "modifications", ARROW, "modifications used", NUMBER)           \
    X(IPC_STEP_DRIFT, 130, "drift", ARROW, "drift", NUMBER)                                        \
    /* slices and budget */                                                                        \
    X(IPC_STEP_FREEZE, 135, "freeze", ARROW, "freeze", NUMBER)                                     \
    X(IPC_STEP_SLICE, 136, "slice", ARROW, "slices of", NUMBER)                                    \
    X(IPC_STEP_SLICES, 137, "slices", TIMES, "", NUMBER)                                           \
    X(IPC_STEP_SLICES_MAX, 138, "slices_max", COMMA, "max_slices", NUMBER)                         \
    X(IPC_STEP_BUDGET, 139, "budget", ARROW, "orders left this second", NUMBER)                    \
    /* legs and outcomes */                                                                        \
    X(IPC_STEP_LEG_CLOSE, 145, "leg_close", LEG, "close:", NONE)                                   \
    X(IPC_STEP_LEG_OPEN, 146, "leg_open", LEG, "open:", NONE)                                      \
    X(IPC_STEP_BUY, 147, "buy", ARROW, "BUY", NUMBER)                                              \
    X(IPC_STEP_SELL, 148, "sell", ARROW, "SELL", NUMBER)                                           \
    X(IPC_STEP_MODIFY, 149, "modify", ARROW, "MODIFY to", NUMBER)                                  \
    X(IPC_STEP_CANCEL, 150, "cancel", ARROW, "CANCEL", NONE)                                       \
    X(IPC_STEP_SKIP, 151, "skip", ARROW, "SKIP", REASON)                                           \
    X(IPC_STEP_WAIT, 152, "wait", ARROW, "WAIT", REASON)                                           \
    X(IPC_STEP_NOTHING, 153, "none", ARROW, "NONE", REASON)                                        \
    X(IPC_STEP_TYPE_MARKET, 154, "market", SPACE, "MARKET", NONE)                                  \
    X(IPC_STEP_TYPE_LIMIT, 155, "limit", SPACE, "LIMIT", NUMBER)                                   \
    X(IPC_STEP_TYPE_TRIGGER, 156, "trigger", SPACE, "trigger", NUMBER)                             \
    X(IPC_STEP_TYPE_IOC, 157, "ioc", SPACE, "IOC", NONE)                                           \
    X(IPC_STEP_QUEUED, 158, "queued", SPACE, "(queued)", NONE)                                     \
    X(IPC_STEP_BLOCKED, 159, "blocked", ARROW, "BLOCKED", REASON)                                  \
    X(IPC_STEP_HALT, 160, "halt", ARROW, "HALT", REASON)

enum ipc_step_code {
#define X(name, value, text, join, label, unit) name = (value),
    IPC_STEP_LIST(X)
#undef X
};

/* One recorded step. 16 bytes, no padding; it stands in the journal. */
struct ipc_step {
    int64_t value_e8;
    uint16_t code;  /* enum ipc_step_code */
    uint8_t reason; /* enum ipc_reason: what this step reduced or struck for; 0 = nothing */
    uint8_t reserved[5];
};
_Static_assert(sizeof(struct ipc_step) == 16, "step");

/* Most steps of one decision; a recorder that is full drops inputs, never the outcome. */
#define IPC_STEPS_MAX 24

/* ipc_step_code_name returns "master_qty" and the like, "?" outside the list. */
const char *ipc_step_code_name(uint16_t code);

#endif
