/* case.h: everything that one follower's decision depends on, as plain values, and the decision.
 *
 * The seam between the core's tables and the rules of SEMANTICS 1-8: whoever holds state (the
 * engine's core, lockstep-whatif) gathers a case from it and eng_judge decides; `run` and `base` of
 * the verdict are what the follower's next case starts from, fold.h carries the rest. Nothing here
 * points into the core but const rows of the adopted view. Pure: no clock, allocation, float,
 * thread or global. Any thread.
 *
 * Units: quantities, prices, money, ratios and fractions are scaled by 1e8 (`_e8`), a percent is a
 * fraction; signed positions are positive long. Zero means "not set" or "unknown", unless said.
 *
 * How a wave calls it cheaply
 *   - struct eng_case_shared is what all followers of a batch share: made once per batch.
 *   - A follower without policy and map, in one of the first three modes, at a plain NEW opening
 *     takes eng_judge_plain (plain.h): the same rules in the same order on one row and one line of
 *     numbers, no trace, no case to fill. It says itself when the follower is not plain.
 *   - Everybody else: fill a struct eng_case_follower and call eng_judge with trace == NULL; only
 *     what is journaled wide (and lockstep-whatif) asks for the trace. */
#ifndef LS_ENGINE_CORE_PIPELINE_CASE_H
#define LS_ENGINE_CORE_PIPELINE_CASE_H

#include "ipc/reason.h"
#include "ipc/rows.h"
#include "ipc/step_code.h"

/* Largest quantity that any order may have (1e9 units): beyond it a ratio is wrong. */
#define ENG_CASE_QTY_MAX_E8 (INT64_C(1000000000) * LS_E8)

/* What happened at the master's side. */
enum eng_occasion {
    ENG_ON_ORDER = 1,  /* a new order, nothing filled: an opening, a protective stop, a target */
    ENG_ON_FILL = 2,   /* it filled more */
    ENG_ON_AMEND = 3,  /* a working order changed; the follower's copy is in child_* */
    ENG_ON_CANCEL = 4, /* it was cancelled or expired, perhaps after filling in part */
    ENG_ON_REJECT = 5, /* its broker refused it */
    ENG_ON_TARGET = 6, /* a position is named, not an order */
    ENG_ON_EXIT = 7, /* something of the follower's own is to be closed: trip, unfollow, trigger */
};

/* What the master's figure of size is in. */
enum eng_size {
    ENG_SIZE_NONE = 0, /* nothing is known: steps 9-13 are passed over by modes that need it */
    ENG_SIZE_QTY = 1,
    ENG_SIZE_COST = 2,     /* money put in (margin) */
    ENG_SIZE_NOTIONAL = 3, /* money moved */
};

/* Whether the market is open for entries, from the calendar (hours.h). */
enum eng_market {
    ENG_MARKET_ANY = 0, /* nobody keeps a calendar for it */
    ENG_MARKET_OPEN = 1,
    ENG_MARKET_CLOSED = 2, /* MARKET_CLOSED */
    ENG_MARKET_UNKNOWN =
        3, /* a day that the calendar does not know: intraday entries are refused */
};

/* How market orders leave at this broker. */
enum eng_market_orders {
    ENG_MARKET_PLAIN = 0,     /* as they are */
    ENG_MARKET_PROTECTED = 1, /* as they are, with the field market_protection */
    ENG_MARKET_AS_LIMIT = 2,  /* refused: a limit at the protected price takes their place */
};

#define ENG_MINUTE_UNKNOWN (-1) /* a window or a cut-off then bars */

/* What all followers of a batch share. */
struct eng_case_shared {
    /* --- the master's order ------------------------------------------------------------------ */
    uint8_t occasion;  /* enum eng_occasion */
    uint8_t side;      /* enum ipc_side of the master's order */
    uint8_t type;      /* enum ipc_type */
    uint8_t product;   /* enum ipc_product; 0 = not said */
    uint8_t validity;  /* enum ipc_validity; 0 = DAY */
    uint8_t size_kind; /* enum eng_size: what qty_e8 is in */
    uint8_t complete;  /* the master's order is filled whole (or ended): on_fill = complete acts */
    uint8_t barred;    /* enum ipc_reason that stops every opening of the batch before a follower is
                          looked at: JOURNAL, OWN_ORDER, DUPLICATE_EVENT, LOOP_DETECTED, SUPERSEDED */
    int64_t qty_e8;    /* ORDER, AMEND: the order's whole quantity. FILL: of the order's cumulative
                          filled quantity the part that opened (all of it but what reduced the
                          position that the master had before the order). EXIT: what to close in the
                          follower's units, 0 = all. With size_kind COST or NOTIONAL: the money */
    int64_t order_qty_e8; /* FILL: the order's whole quantity, for the size window; 0 = qty_e8 */
    int64_t price_e8;     /* limit price; of a FILL the fill price; 0 = none */
    int64_t trigger_e8;
    int64_t stop_e8;     /* protective stop that comes with the order (risk modes); 0 = none */
    int64_t target_e8;   /* TARGET: the master's position that is wanted, signed */
    int64_t fraction_e8; /* EXIT: of what is held, (0, 1]; 0 = not said */
    int64_t
        before_e8;    /* master's position of this instrument and product before this event, signed;
                         of a FILL before the first fill that followers may not have seen */
    int64_t after_e8; /* FILL: after it, signed. Of an ORDER it follows from before, qty and side */
    int64_t filled_e8;     /* CANCEL, REJECT: what had filled */
    int64_t age_ns;        /* of the event */
    uint32_t amendment;    /* AMEND: how many this order has had, this one included; 0 = the
                              follower's own count decides */
    int32_t minute;        /* of the market's day, [0, 1440), or ENG_MINUTE_UNKNOWN */
    int32_t cutoff_minute; /* intraday cut-off by the calendar; 0 = none */
    uint8_t market;        /* enum eng_market */
    uint8_t has_qty;       /* AMEND: qty_e8 is said; 0 = only price or trigger changed */
    uint8_t money_answers; /* 1 = a mode that sizes in money may answer in money where no price is
                              known (lockstep-whatif); 0 = PRICE_UNKNOWN then: the core's */
    uint8_t idle;          /* read with flat: nothing of his works on the other side either */
    uint8_t flat; /* read with base_kept: the master is flat after it for certain, and nothing of
                     his that would open works any more */

    /* --- the master's account (modes that divide by it); 0 = unknown -------------------------- */
    int64_t master_equity_e8, master_balance_e8, master_free_e8;
    int64_t master_leverage_e8;
    int64_t master_max_available_e8; /* AVAILABLE_RATIO_CAPPED */
    int64_t given_fraction_e8;       /* MQL5_PCT: the proportion is given, not derived */
    int64_t master_capital_age_ns;

    /* --- the instrument at this shape class, after no mapping --------------------------------- */
    int64_t lot_e8;      /* quantity step; 0 = quantities are not rounded (never in the core) */
    int64_t tick_e8;     /* 0 = prices stay as they are */
    int64_t freeze_e8;   /* largest quantity of one order; 0 = none */
    int64_t contract_e8; /* money of one unit and price 1, master's side; 0 = 1 */
    int64_t strike_e8;   /* of an option, mapped or not: what a written one's margin counts */
    uint32_t instrument; /* 0 = unknown: INSTRUMENT_UNKNOWN (lockstep-whatif numbers its symbols) */

    /* --- market and broker class ---------------------------------------------------------------
     */
    uint8_t is_option;     /* which grid of protection */
    uint8_t market_orders; /* enum eng_market_orders */
    uint8_t no_ioc;        /* 1 = IOC is barred: DAY limit, ENG_LEG_CANCEL_AFTER. lockstep-whatif's:
                              in the core every broker takes IOC, and one that does not rejects it */
    uint8_t hedges;        /* 1 = close and open of a reversal may be sent together */
    int64_t last_e8;       /* last price when the event was received; 0 = unknown */
    int64_t bid_e8, ask_e8;  /* 0 = unknown: the last price stands for them */
    int64_t price_age_ns;    /* of last, bid, ask; INT64_MAX = unknown */
    int64_t protected_e8[2]; /* AS_LIMIT: price of a market order at this moment, [0] BUY, [1] SELL;
                                0 = there is no base for one. From eng_protected_price; of an SLM,
                                of its trigger */
};

/* The run of openings that remainders are counted in: one master order, or with remainder = carry
 * the whole episode since flat (then `seen` is still the order's, the rest is the episode's). All
 * zero at its start. */
struct eng_run {
    int64_t seen_e8;    /* the order's cumulative fill that decisions have seen; of a FILL */
    int64_t sum_e8;     /* master quantity that was counted for this follower */
    int64_t granted_e8; /* what it came to, rounded, before caps */
};

/* The run of reductions from one base (SEMANTICS 4.2). All zero = take the base anew: so it is
 * after every opening that was judged, refused ones too. */
struct eng_base {
    int64_t master_e8;  /* M0 > 0 */
    int64_t copied_e8;  /* F0 >= 0 */
    int64_t reduced_e8; /* D: what the master has reduced of M0 */
    int64_t closed_e8;  /* what was ordered for it */
};

/* One follower. `row` is never NULL. */
struct eng_case_follower {
    const struct ipc_row_follower *row;
    const struct ipc_row_policy *policy; /* NULL = none */

    /* --- who and what it may -------------------------------------------------------------------
     */
    uint8_t word;            /* enum ipc_switch: strictest of all that concern it */
    uint8_t session_valid;   /* a token that was not refused */
    uint8_t symbol_allowed;  /* by allowed and denied list */
    uint8_t mapped;          /* 1 = the numbers of `own` below replace the shared instrument's */
    uint8_t mismatch;        /* its broker's contract is another one: INSTRUMENT_MISMATCH */
    uint8_t unknown_pending; /* an order of this follower and instrument is in doubt */
    uint8_t probe;           /* the open circuit lets one order through */
    uint8_t limit;     /* enum ipc_reason of a money limit that has tripped (limits.h), 0 = none.
                          Stops openings at step 8 */
    uint32_t failures; /* consecutive broker errors */
    uint8_t entry_product; /* enum ipc_product of its own entry, for exits; 0 = the master's */
    uint8_t has_account;   /* account_e8 is known */
    uint8_t cancel_lost;   /* the cancel before a replacement lost to a fill */
    uint8_t base_kept;     /* `base` is true: who gathers carries it with every fill and cancel, and
                              reduced_e8 has this event in it already */

    /* --- the instrument it trades, when mapped --------------------------------------------------
     */
    struct {
        uint32_t instrument;
        uint32_t reserved;
        int64_t factor_e8; /* of the map's line; 0 = 1 */
        int64_t lot_e8, tick_e8, freeze_e8;
        int64_t last_e8, bid_e8, ask_e8;
        int64_t protected_e8[2]; /* as in the shared part */
    } own;
    int64_t contract_e8; /* contract size at its side; 0 = 1 */

    /* --- its account; 0 = unknown ----------------------------------------------------------------
     */
    int64_t equity_e8, balance_e8, free_e8;
    int64_t leverage_e8;
    int64_t max_available_e8;                      /* AVAILABLE_RATIO_CAPPED */
    int64_t join_equity_e8, master_join_equity_e8; /* COPY_RATIO_FROZEN without a coefficient */
    int64_t margin_used_e8, margin_total_e8;
    int64_t margin_needed_e8;  /* of this order, where somebody says it; 0 = not said: its worth */
    int64_t margin_own_qty_e8; /* of the quantity, what is in margin_used already: its own copies */
    int64_t capital_age_ns;    /* of the figures above; INT64_MAX = never read */

    /* --- its copied position of this instrument and product --------------------------------------
     */
    int64_t held_e8;     /* signed fold of its fills, also before the broker's position feed */
    int64_t account_e8;  /* signed: what the account itself holds of the instrument, by hand too;
                            read when has_account: a close is never above it */
    int64_t coming_e8;   /* >= 0: what own working entries may still bring */
    int64_t reserved_e8; /* >= 0: what own working closes may still fill, in-flight ones included */
    int64_t stop_e8;     /* >= 0: of it, by a protective stop that rests */
    int64_t in_flight_e8; /* >= 0: of it, sent and unanswered, or of unknown outcome */
    int64_t against_e8;   /* >= 0: own working entries on the side of a close: they take room too */
    int64_t owed_e8;  /* >= 0: AMEND of a resting stop: what a close that leaves now still wants */
    int64_t reach_e8; /* >= 0: what counts against max_position: held and working, either side */
    struct eng_run run;
    struct eng_base base;

    /* --- its copy of the order (AMEND, CANCEL, REJECT), or of an earlier part of it --------------
     */
    int64_t child_open_e8;                    /* what still works */
    int64_t child_filled_e8;                  /* what filled */
    int64_t child_price_e8, child_trigger_e8; /* terms the broker has; 0 = not known */
    uint32_t child_modifications;             /* that its broker has counted */
    uint32_t modifications_max; /* of its broker; the policy's counts first; 0 = none */

    /* --- its day (SEMANTICS 10) ------------------------------------------------------------------
     */
    int64_t realised_e8, unrealised_e8; /* of the market's day, signed */
    int64_t day_start_equity_e8;
    int64_t day_notional_e8;    /* of accepted openings */
    int64_t exposure_e8;        /* value of open copied positions */
    uint32_t trades;            /* accepted openings of the day */
    uint32_t open_positions;    /* copied */
    uint8_t holds;              /* it has a position of this instrument: an opening adds to it */
    uint8_t loss_realised_only; /* daily loss counts what is realised, not what is open */
    uint8_t breaker; /* enum ipc_reason of a breaker that a person has to reset, 0 = none */
    uint8_t reserved16[5];
};

struct eng_case {
    const struct eng_case_shared *shared;
    struct eng_case_follower follower;
};

/* --- the verdict ---------------------------------------------------------------------------------
 */

enum eng_act {
    ENG_ACT_SKIP = 1,  /* nothing leaves; `reason` says why */
    ENG_ACT_NONE = 2,  /* nothing is to be done: AT_TARGET, EXIT_IN_FLIGHT, WAIT_MASTER_FILL, ... */
    ENG_ACT_PLACE = 3, /* legs[] */
    ENG_ACT_MODIFY = 4,  /* the copy's total becomes legs[0].qty_e8, its terms legs[0]'s */
    ENG_ACT_CANCEL = 5,  /* the rest of the copy is cancelled; or, of an exit that finds only a
                            working entry, that entry (`cancels` says which) */
    ENG_ACT_REPLACE = 6, /* cancel, wait for the confirmation with its filled quantity, then judge
                            again; legs[0].qty_e8 is what would be placed if nothing more fills */
    ENG_ACT_WAIT = 7,    /* an exit that cannot go now (no session: SESSION_EXPIRED): it stays
                            open and is judged anew; legs[] say what it would be */
};

#define ENG_CANCELS_CHILD 1u /* the copy itself */
#define ENG_CANCELS_ENTRY 2u /* the follower's working entry; close whatever it filled */
#define ENG_CANCELS_STOP  4u /* a resting stop that holds what a market exit closes */

#define ENG_LEG_CLOSE     1u
#define ENG_LEG_OPEN      2u
#define ENG_LEG_SPLIT                                                                              \
    4u /* one of the two legs of a reversal; close stands first, and where                         \
          the broker nets, open waits for its acknowledgement */
#define ENG_LEG_CANCEL_AFTER 8u /* a DAY limit in place of an IOC: cancel what did not fill */
#define ENG_LEG_REDUCE_ONLY  16u

/* One order, or its slices: `slices` orders of slice_e8, the last of what is left. */
struct eng_leg {
    uint8_t flags; /* ENG_LEG_* */
    uint8_t side, type, product, validity;
    uint8_t reserved[3];
    uint32_t instrument;
    uint32_t slices; /* >= 1; exits may have any number */
    int64_t qty_e8;  /* all of it, > 0 */
    int64_t slice_e8;
    int64_t price_e8, trigger_e8;
    int64_t market_protection_e8; /* fraction, 0 = none */
};

/* eng_leg_slice returns the quantity of slice `at`, [0, slices). */
static inline int64_t eng_leg_slice(const struct eng_leg *leg, uint32_t at)
{
    return at + 1 < leg->slices ? leg->slice_e8
                                : leg->qty_e8 - (int64_t)(leg->slices - 1) * leg->slice_e8;
}

struct eng_verdict {
    uint8_t act;       /* enum eng_act */
    uint8_t reason;    /* enum ipc_reason: why not, or why less; 0 = nothing stood in the way */
    uint8_t cancels;   /* ENG_CANCELS_* */
    uint8_t leg_count; /* [0, 2]; PLACE with 0: the size is not known, only that it may */
    uint8_t has_drift; /* drift_e8 is meant, 0 too */
    uint8_t reserved[3];
    struct eng_leg legs[2];
    int64_t asked_e8;     /* of a skip: what it was before the reason struck; of an AMEND the copy's
                             new total */
    int64_t remaining_e8; /* MODIFY: what is left to fill after it; CANCEL: what is cancelled */
    int64_t drift_e8;     /* copied less what it should be, signed by magnitude: + = too much */
    int64_t sample_e8;    /* the capital figure that sizing used, or of an exit what was held */
    /* what the follower's next case starts from: the run after this opening, the base after this
     * reduction; zero when the master is flat after it */
    struct eng_run run;
    struct eng_base base;
    /* answers of modes that size in money, and of a bare guard */
    int64_t money_e8;    /* cost or notional, by size_kind; 0 = none */
    int64_t fraction_e8; /* MQL5_PCT: the step that was used */
    int64_t limit_e8;    /* price guard of an opening, on the tick; 0 = none */
    int64_t leverage_e8; /* USAGE_RATIO*: echoed */
    int64_t cancel_e8;   /* what of a working entry is cancelled */
};

/* Recorder of steps; IPC_STEPS_MAX of them, the outcome always among them. */
struct eng_trace {
    uint32_t count;
    uint32_t reserved;
    struct ipc_step steps[IPC_STEPS_MAX];
};

/* eng_judge decides one follower. Total: every case gives a verdict, also one of nonsense.
 *   out    written whole
 *   trace  NULL = nobody asks */
void eng_judge(const struct eng_case *judged, struct eng_verdict *out, struct eng_trace *trace);

#endif
