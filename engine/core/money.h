/* money.h: what each follower made and lost, as a fold of its own child fills: FIFO lots per copied
 * position, realised of the day and since it joined, fees, counts and values of accepted openings,
 * consecutive broker failures. SEMANTICS 10; what is compared with limits is limits.h.
 *
 * Fold: everything here is a function of applied frames alone, hashed with the state. Rows are not
 * read: fees come with the follower's BASE fact, the market's day with a DAY fact. Bounded: lots
 * are a pool of eng_core_limits.lot_max; when it is used up a fill joins the newest lot of its
 * position at their average, which keeps every sum and loses only the order of lots.
 *
 * Money of one follower may be up to 9e10 units; beyond that sums saturate. */
#ifndef LS_ENGINE_CORE_MONEY_H
#define LS_ENGINE_CORE_MONEY_H

#include "engine/core/core_private.h"
#include "engine/core/pipeline/case.h"

/* Figures of one follower, by slot; of `follower_no` and `incarnation` only. The part of the day is
 * of `day`: in another one it counts as zero. */
struct eng_purse {
    uint32_t follower_no;
    uint16_t incarnation;
    uint16_t tripped;      /* money limits, bits 1 << enum ipc_limit_kind */
    uint32_t day;          /* market day of the day figures, yyyymmdd */
    uint32_t base_day;     /* of the base; another than the fold's day: there is none yet */
    uint32_t trip_session; /* session day of the trips that lift with the next one */
    uint32_t override_session;
    uint16_t overridden;     /* day limits that a person resumed: bits, until the next session */
    uint16_t failures;       /* consecutive broker errors */
    uint16_t failures_acked; /* what they were before the newest acknowledgement */
    uint16_t reserved2;
    uint32_t positions; /* 1 + newest copied position, 0 = none */
    uint32_t trades;    /* openings of the day that were accepted, or are in doubt */
    uint32_t flight;    /* 1 + newest opening that is queued or unanswered, 0 = none */
    uint32_t fee_fraction_e8, fee_order_e4; /* in force, from the newest BASE fact */
    uint16_t failed_era;                    /* of failed_mono_ns, modulo 2^16 */
    uint8_t flatten;                        /* 1 = a trip wants its copied positions closed */
    uint8_t reserved;
    int64_t failed_mono_ns;
    int64_t day_realised_e8;  /* after fees */
    int64_t day_notional_e8;  /* value of the openings that `trades` counts */
    int64_t realised_e8;      /* since it joined, after fees */
    int64_t realised_high_e8; /* its maximum, >= 0 */
    int64_t open_cost_e8;     /* what its open lots cost, long and short alike */
    int64_t working_e8;       /* value of what its accepted openings may still fill */
    int64_t base_equity_e8, base_unrealised_e8; /* of base_day */
    int64_t equity_high_e8;                     /* of base_day */
    int64_t invested_e8;                        /* equity of its first base */
};

/* One FIFO lot. Its side is its position's. */
struct eng_lot {
    int64_t qty_e8;  /* > 0 */
    int64_t cost_e8; /* what it cost, or as a short what it brought, >= 0 */
    uint32_t next;   /* 1 + newer lot, or next free one; 0 = none */
    uint32_t child;
};

/* The lots of one copied position. */
struct eng_lots {
    uint32_t oldest, newest; /* 1 + index, 0 = flat */
    uint32_t
        next_position; /* of the follower: 1 + index, ENG_NONE at the end; 0 = in no list yet */
    uint32_t count;
    int64_t cost_e8; /* sum over lots */
};

/* How far an opening is. */
enum eng_phase {
    ENG_PHASE_NONE = 0,
    ENG_PHASE_WAITING = 1,  /* queued or unanswered */
    ENG_PHASE_DOUBT = 2,    /* of unknown outcome: counts as accepted and filled */
    ENG_PHASE_ACCEPTED = 3, /* its broker took it, whatever became of it later */
    ENG_PHASE_REFUSED = 4,  /* it never came to be: not counted any more */
};

/* What an opening was counted with. Until its answer it is only in the list of its purse: most
 * followers are never asked what is in flight, so a wave does no arithmetic for it. */
struct eng_counted {
    int64_t price_e8; /* that values it: its limit, else the last price; 0 = not known */
    int64_t value_e8; /* in day_notional_e8 */
    uint32_t mark;    /* in flight: 1 + the next older one; then the day that counted it */
    uint8_t phase;    /* enum eng_phase */
    uint8_t reserved[3];
};

/* A master account whose own figures stop its group. */
struct eng_group {
    uint32_t account, base_day;
    uint32_t trip_session, override_session;
    uint32_t tripped, overridden; /* bits, as above */
    int64_t base_equity_e8, equity_high_e8, invested_e8;
};
#define ENG_GROUPS_MAX 1024u

/* Trips of scope follower, by account. */
struct eng_owner {
    uint32_t tripped, trip_session;
};

struct eng_money_fold {
    uint32_t day, session_day; /* of the newest DAY and SESSION facts; 0 = none yet */
    uint32_t lot_count;        /* lots ever used: free ones are chained among them */
    uint32_t lot_free;         /* 1 + index */
    uint32_t lots_further;     /* in use, beside the first of each position */
    uint32_t lots_joined;      /* fills that found the pool used up */
    uint32_t all_tripped, all_session;
    uint32_t owner_trips; /* accounts whose word is not zero */
    uint32_t group_trips; /* groups, likewise */
    uint32_t link_trips;  /* followers, likewise; one that left its slot may still be in it */
    uint32_t group_count;
};

/* Everything of it, at the start of a part of the core's block. */
struct eng_money {
    struct eng_money_fold fold;
    uint32_t lot_max, lots_spare;
    struct eng_purse *purses;    /* by slot */
    struct eng_lots *lots_of;    /* by position */
    struct eng_lot *lots;        /* pool */
    struct eng_counted *counted; /* by child */
    struct eng_group *groups;    /* fold.group_count of ENG_GROUPS_MAX */
    struct eng_owner *owners;    /* by account number, [0] unused */
    uint32_t *limited;           /* derived from the view: slots with money limits */
    uint32_t limited_count;
};

/* eng_money_footprint / eng_money_init: as of the core, which calls them. The part is zeroed. */
size_t eng_money_footprint(const struct eng_core_limits *limits);
struct eng_money *eng_money_init(void *memory, const struct eng_core_limits *limits);

/* eng_money_hash adds the whole fold of money to a hash. */
uint64_t eng_money_hash(const struct eng_core *core, uint64_t hash);
/* eng_money_verify checks that lots, costs and positions agree (LS_CHECK). */
void eng_money_verify(const struct eng_core *core);

/* eng_money_write_off takes all lots of a position away at their cost, before its held_e8 becomes 0:
 * nothing is realised. Part of apply. */
void eng_money_write_off(struct eng_core *core, uint32_t position);

/* eng_money_value_e8 returns qty x price, rounded down, saturated. Neither is negative. */
int64_t eng_money_value_e8(int64_t qty_e8, int64_t price_e8);

/* eng_purse_take finds or makes the purse of the slot's owner; NULL for an earlier owner. */
struct eng_purse *eng_purse_take(
    struct eng_core *core, uint32_t slot, uint32_t follower_no, uint16_t incarnation);

/* --- hooks of apply ---------------------------------------------------------------------------
 */

/* eng_money_opening_first is the rare part of the next one. */
void eng_money_opening_first(struct eng_core *core, uint32_t child, int64_t last_price_e8);
/* eng_money_opening: a child that opens was born; it is in flight from here on.
 *   last_price_e8  of the decision, 0 = unknown; values an order without a limit */
static inline void eng_money_opening(struct eng_core *core, uint32_t child, int64_t last_price_e8)
{
    const struct eng_child *of = &core->children[child];
    struct eng_money *money = core->money;
    struct eng_purse *purse = &money->purses[of->slot];
    /* A new incarnation takes its purse over at the first answer; what is placed anew for an
     * earlier one is not in flight for it. */
    if (LS_UNLIKELY(
            purse->follower_no != of->follower_no || of->incarnation < purse->incarnation)) {
        eng_money_opening_first(core, child, last_price_e8);
        return;
    }
    struct eng_counted *counted = &money->counted[child];
    counted->price_e8 = last_price_e8;
    counted->mark = purse->flight;
    counted->phase = ENG_PHASE_WAITING;
    purse->flight = child + 1;
}
/* eng_money_change: something of an opening changed: state, terms, fill.
 *   before_claim_e8  what it could still fill before */
void eng_money_change(struct eng_core *core, uint32_t child, int64_t before_claim_e8);
/* eng_money_fill: a child's cumulative fill has risen; called after the child and its position
 * hold the new sums.
 *   before_qty_e8, before_price_e8  its fill and average until now */
void eng_money_fill(
    struct eng_core *core, uint32_t child, int64_t before_qty_e8, int64_t before_price_e8);
/* eng_money_reply: an outcome came for a request of the child. */
void eng_money_reply(struct eng_core *core, uint32_t child, enum ipc_action action,
    enum ipc_outcome_class outcome, int64_t mono_ns);
/* eng_money_status: the child moved to this state by what its feed says. */
void eng_money_status(struct eng_core *core, uint32_t child, enum eng_state state, int64_t mono_ns);

/* --- what decisions ask -----------------------------------------------------------------------
 */

/* eng_money_of returns the purse of a slot when it is this follower's, else NULL: nothing of it was
 * ever filled, opened or tripped. */
const struct eng_purse *eng_money_of(
    const struct eng_core *core, uint32_t slot, uint32_t follower_no, uint16_t incarnation);

/* Figures of a follower's day. */
struct eng_figures {
    int64_t realised_e8; /* of the day, after fees */
    int64_t total_e8;    /* realised since it joined */
    int64_t day_notional_e8, exposure_e8;
    int64_t base_equity_e8; /* 0 = the day has no base yet */
    uint32_t trades, open_positions, failures;
};
/* eng_money_figures fills zeros where nothing is known. Walks the follower's positions. */
void eng_money_figures(const struct eng_core *core, uint32_t slot, uint32_t follower_no,
    uint16_t incarnation, struct eng_figures *out);

/* eng_money_case fills what a case has of the follower's day: trades, open_positions, holds,
 * day_notional_e8, exposure_e8, failures, probe, limit, day_start_equity_e8. Realised and
 * unrealised stay zero: in the engine they are compared with limits by limits.h, a few followers a
 * turn, and a decision sees only what has tripped.
 *   row     policy != 0 (else nothing of it can matter but `limit`)
 *   holds is of row's follower, instrument and product */
void eng_money_case(const struct eng_core *core, uint32_t slot, const struct ipc_row_follower *row,
    const struct ipc_row_policy *policy, uint32_t instrument, uint8_t product, int64_t now_mono_ns,
    struct eng_case_follower *out);

/* --- pure rules -------------------------------------------------------------------------------
 */

/* eng_circuit_probe: the open circuit of a follower lets one opening through: its hold-off is over
 * and no earlier opening is unanswered. */
bool eng_circuit_probe(const struct eng_core *core, const struct eng_purse *purse,
    const struct ipc_row_policy *policy, int64_t now_mono_ns);

/* eng_margin_step_e8 returns the quantity of the next try after a margin rejection, one lot fewer;
 * 0 = give up. Other rejections never step down.
 *   lot_e8  > 0 */
int64_t eng_margin_step_e8(int64_t qty_e8, int64_t lot_e8);

/* eng_reject_is_margin says whether a definite refusal was the broker's margin check. */
bool eng_reject_is_margin(const struct ipc_outcome *outcome);

/* eng_code_is_margin says the same of the short code of an order that was rejected later. */
bool eng_code_is_margin(const char code[12]);

/* eng_high_water_fee_e8 returns what is owed now of a share of profit: the share of the highest
 * accumulated result less what was paid already, never negative (SEMANTICS H01-H03).
 *   total_e8     accumulated result now
 *   share_e8     fraction, [0, 1e8]
 *   paid_e8      fees so far */
int64_t eng_high_water_fee_e8(int64_t total_e8, int64_t share_e8, int64_t paid_e8);

/* How much worse than the master a follower was filled; positive is worse. */
struct eng_slip {
    int64_t per_unit_e8, money_e8;
    int64_t points_e8; /* basis points of the master's price */
};
/* eng_slip_of: master_price_e8 > 0. */
struct eng_slip eng_slip_of(
    uint8_t side, int64_t master_price_e8, int64_t follower_price_e8, int64_t qty_e8);

#endif
