/* policy.h: what a subscription sets beyond its row: further sizing modes, rounding, caps, guards
 * and money limits (SEMANTICS 1, 2, 3, 10).
 *
 * One row of the snapshot's policy table; a follower row names it by `policy` (1 + index), most
 * followers have none and the wave never reads one for them. Followers with equal settings may
 * share a row. Fixed layout, no padding; zero means "not set". Fractions and ratios are scaled by
 * 1e8 and are fractions (0.01 = 1 %), never percents. */
#ifndef LS_IPC_POLICY_H
#define LS_IPC_POLICY_H

#include "ipc/vocab.h"

/* Which figure of an account a mode divides by. */
#define IPC_BASIS_LIST(X)                                                                          \
    X(IPC_BASIS_EQUITY, 1, "equity")                                                               \
    X(IPC_BASIS_BALANCE, 2, "balance")                                                             \
    X(IPC_BASIS_FREE_MARGIN, 3, "free_margin")
IPC_DECLARE_ENUM(ipc_basis, IPC_BASIS_LIST)

#define IPC_ROUND_LIST(X)                                                                          \
    X(IPC_ROUND_DOWN, 0, "down")                                                                   \
    X(IPC_ROUND_NEAREST, 1, "nearest")
IPC_DECLARE_ENUM(ipc_round, IPC_ROUND_LIST)

/* When a follower in copy-on-fill follows: at each fill, or when the master's order is complete. */
#define IPC_ON_FILL_LIST(X)                                                                        \
    X(IPC_ON_FILL_EACH, 0, "each")                                                                 \
    X(IPC_ON_FILL_COMPLETE, 1, "complete")
IPC_DECLARE_ENUM(ipc_on_fill, IPC_ON_FILL_LIST)

/* What a difference between copied and held positions does. */
#define IPC_DRIFT_LIST(X)                                                                          \
    X(IPC_DRIFT_ALERT, 0, "alert")                                                                 \
    X(IPC_DRIFT_FLATTEN_ORPHAN, 1, "flatten_orphan")                                               \
    X(IPC_DRIFT_TOP_UP, 2, "top_up")
IPC_DECLARE_ENUM(ipc_drift, IPC_DRIFT_LIST)

/* What each mode reads besides the master's order (IPC_MODE_LIST). "needs" must be set:
 * ipc_snapshot_validate refuses a row without it. The plain modes need no policy.
 *
 *   FIXED_RATIO             needs the row's ratio_e8
 *   PERCENTAGE              needs the row's ratio_e8, a percent (5 = 5 %); basis (default equity)
 *   FIXED_QUANTITY          needs the row's fixed_qty_e8
 *   EQUITY_PROPORTIONAL     mult_e8
 *   BALANCE_PROPORTIONAL    mult_e8
 *   AUTO_RISK               mult_e8 (the field's "value"); needs basis
 *   MULTIPLIER_NOTIONAL     mult_e8, contract_factor_e8 (a document needs it)
 *   MQL5_PCT                needs deposit_fraction_e8; fx_e8, both leverages (a document needs them)
 *   USAGE_RATIO             needs invest_e8
 *   USAGE_RATIO_DISCOUNT    needs invest_e8, slippage_discount_e8, leverage_e8
 *   STEP_OF_BALANCE         needs step_money_e8, step_qty_e8
 *   FIXED_RISK              needs fraction_e8
 *   TIERED_MULTIPLIER       needs tiers
 *   COPY_RATIO_FROZEN       needs frozen_coefficient_e8
 *   SMART_TARGET            needs the row's ratio_e8: target = master's position x ratio
 *   PCT_BALANCE_BASIS       needs basis_money_e8, fraction_e8
 *   AVAILABLE_RATIO_CAPPED  needs available_factor_e8; system_max_e8, user_max_e8
 *   POOLED_*                one block split between accounts: worked by lockstep-whatif from its
 *                           case; no follower's row may have it */
#define IPC_TIERS_MAX 8
struct ipc_tier {
    int64_t from_e8; /* master's notional, included */
    int64_t to_e8;   /* excluded; 0 = no end */
    int64_t mult_e8; /* > 0 */
};

struct ipc_row_policy {
    /* --- sizing (SEMANTICS 1) --- */
    uint8_t basis;                 /* enum ipc_basis; 0 = the mode's own */
    uint8_t tier_count;            /* [0, IPC_TIERS_MAX], ascending, not overlapping */
    uint8_t round;                 /* enum ipc_round */
    uint8_t on_fill;               /* enum ipc_on_fill */
    uint32_t flags;                /* IPC_POLICY_* */
    int64_t mult_e8;               /* further factor of proportional and notional modes; 0 = 1 */
    int64_t invest_e8;             /* USAGE_RATIO: money the follower puts in */
    int64_t slippage_discount_e8;  /* USAGE_RATIO_DISCOUNT: S, a fraction */
    int64_t leverage_e8;           /* USAGE_RATIO*: echoed; DISCOUNT: part of k */
    int64_t step_money_e8;         /* STEP_OF_BALANCE */
    int64_t step_qty_e8;           /* STEP_OF_BALANCE */
    int64_t basis_money_e8;        /* PCT_BALANCE_BASIS: money that one `fraction` stands for */
    int64_t fraction_e8;           /* PCT_BALANCE_BASIS, FIXED_RISK */
    int64_t frozen_coefficient_e8; /* COPY_RATIO_FROZEN: k, fixed at join */
    int64_t available_factor_e8;   /* AVAILABLE_RATIO_CAPPED: k */
    int64_t system_max_e8, user_max_e8; /* AVAILABLE_RATIO_CAPPED */
    int64_t deposit_fraction_e8;        /* MQL5_PCT */
    int64_t fx_e8;                      /* MQL5_PCT: master's money in the follower's; 0 = 1 */
    int64_t follower_leverage_e8, master_leverage_e8; /* MQL5_PCT */
    int64_t contract_factor_e8; /* MULTIPLIER_NOTIONAL: contract_m / contract_f; 0 = from the
                                   instruments */
    struct ipc_tier tiers[IPC_TIERS_MAX];

    /* --- rounding, minima, caps (SEMANTICS 2) --- */
    int64_t step_e8;         /* quantity step where it is coarser than the lot; 0 = the lot */
    int64_t refuse_below_e8; /* raw quantities below it are refused */
    int64_t min_notional_e8;
    int64_t master_min_e8, master_max_e8; /* window of the master's quantity; 0 = open */
    int64_t max_trade_risk_e8;            /* fraction of equity */
    int64_t day_notional_e8;              /* accepted openings of a market day */
    int64_t split_qty_e8;                 /* largest order by choice; freeze counts besides */
    uint32_t slices_max;                  /* of an entry; 0 = 20 */
    uint32_t modifications_max;           /* per order; 0 = the broker's */

    /* --- guards of openings (SEMANTICS 3, 11) --- */
    int64_t slippage_cap_e8;      /* fraction; 0 = none */
    int64_t market_protection_e8; /* fraction sent where the broker has the field; 0 = none */
    uint16_t window_from_min, window_to_min; /* of the market's day, minutes; both 0 = no window */
    uint16_t intraday_cutoff_min;            /* MIS entries; 0 = the calendar's */
    uint16_t reserved16;

    /* --- money limits (SEMANTICS 10) --- */
    int64_t daily_loss_e8;          /* amount */
    int64_t daily_loss_fraction_e8; /* of day-start equity */
    int64_t drawdown_e8;            /* from the day's running maximum of equity */
    int64_t drawdown_fraction_e8;
    int64_t trailing_protect_e8;     /* stop level = maximum of accumulated P&L - this */
    int64_t equity_stop_e8;          /* stop at equity <= this */
    int64_t equity_stop_fraction_e8; /* of what was invested: 0.6 on 100 stops at 40 */
    int64_t exposure_max_e8;         /* value of open copied positions with the order */
    int64_t margin_use_max_e8;       /* fraction of total margin after the order */
    uint32_t open_positions_max;
    uint32_t trades_day_max;
    uint32_t failures_max;        /* consecutive broker errors that open the circuit; 0 = off */
    uint32_t circuit_hold_ms;     /* until the one probe; 0 = 60000 */
    uint32_t duplicate_window_ms; /* same instrument, side and quantity of another order; 0 = off */
    uint8_t drift;                /* enum ipc_drift */
    uint8_t trip_scope;           /* whose entries a trip stops: enum ipc_limit_scope; 0 = link */
    uint8_t reserved8[2];
    int64_t price_collar_e8; /* fraction of the last price; 0 = the engine's alone */
    int64_t reserved[13];
};
_Static_assert(sizeof(struct ipc_row_policy) == 640, "policy row");

#define IPC_POLICY_FORCE_MIN       (1u << 0)  /* a quantity floored to zero becomes one lot */
#define IPC_POLICY_CARRY           (1u << 1)  /* remainder of openings = carry */
#define IPC_POLICY_CLOSE_UP        (1u << 2)  /* close_round = up */
#define IPC_POLICY_REVERSE         (1u << 3)  /* side flipped */
#define IPC_POLICY_NO_PENDING      (1u << 4)  /* copy_pending = false: wait for the fill */
#define IPC_POLICY_NO_STOPS        (1u << 5)  /* copy_sl_tp = false */
#define IPC_POLICY_ONE_RESTING     (1u << 6)  /* the account backs one resting order: KEEP_STOP */
#define IPC_POLICY_TOP_UP          (1u << 7)  /* a partly filled child is topped up */
#define IPC_POLICY_MARGIN_STEP     (1u << 8)  /* one lot fewer per margin rejection */
#define IPC_POLICY_TRIP_FLATTENS   (1u << 9)  /* a tripped money limit also closes positions */
#define IPC_POLICY_END_FLATTENS    (1u << 10) /* flatten when the subscription ends */
#define IPC_POLICY_TRIP_GROUP      (1u << 11) /* the master's breach stops its whole group */
#define IPC_POLICY_POSITION_SKIPS  (1u << 12) /* on_cap = skip for max_position */
#define IPC_POLICY_DUPLICATE_SKIPS (1u << 13) /* duplicate suspicion skips, not only alarms */
#define IPC_POLICY_RISK_SKIPS      (1u << 14) /* on_cap = skip for max_trade_risk */
#define IPC_POLICY_CATCH_UP        (1u << 15) /* a missed order is made good without a person */

#define IPC_POLICY_LAST            IPC_POLICY_CATCH_UP /* the highest bit in use */

#endif
