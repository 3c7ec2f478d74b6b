/* step.h: the one entry point of the core: decide, then apply.
 *
 * decide_* functions read the state, an event and samples of the outside world, and write facts;
 * they change nothing. eng_apply is the only writer of the state, live and at recovery. Between the
 * two the caller puts the facts into the journal, so that whatever leaves is on record before its
 * first byte does.
 *
 * The core is pure: no clock, system call, allocation, float, thread or global. All memory is one
 * block of the caller's; everything inside is named by index. One thread (an engine's pinned
 * thread) calls all of it; decide functions may also run on another thread over a state that nobody
 * writes meanwhile (whatif, verify-journal).
 *
 * What always holds
 * - a follower gets at most one PLACE per (order, follower, leg, slice, ordinal), whatever is
 *   delivered twice, late or out of order;
 * - a child moves only by the table of lifecycle.c;
 * - expected + extra == remaining + skipped + children + acts in eng_core_counters;
 * - a copied position is the fold of its children's fills, what working closes may still fill is
 *   never more than it, and at most one batch of closes of a position is unanswered;
 * - the state after folding the same frames is the same, with or without a snapshot: rows are read
 *   by decide, never by the fold (what apply derives from rows is rebuilt by eng_core_adopt and is
 *   not part of eng_core_hash).
 *
 * One turn of the shell
 *   event   eng_step_event -> facts -> journal -> eng_apply
 *   wave    eng_wave_next -> samples -> eng_decide_batch -> journal -> eng_apply
 *           -> eng_core_applied -> eng_core_command for each child whose bytes may leave
 *   settle  eng_settle_next -> as a wave, with wave 0
 *   queue   eng_release_next -> samples -> eng_decide_release -> journal -> eng_apply
 *           -> eng_core_applied -> eng_core_command
 *   reply   eng_decide_reply -> facts -> journal -> eng_apply */
#ifndef LS_ENGINE_CORE_STEP_H
#define LS_ENGINE_CORE_STEP_H

#include "ipc/command.h"
#include "ipc/fact.h"
#include "ipc/rc.h"
#include "ipc/reason.h"
#include "ipc/rows.h"

struct eng_core; /* lives at the start of the caller's block */

#define ENG_NONE UINT32_MAX /* no child, no order */

/* Bounds, chosen at start-up. A full table stops entries (CAPACITY) and never overwrites. */
struct eng_core_limits {
    uint32_t account_max;         /* dense account numbers [1, account_max] */
    uint32_t follower_slot_max;   /* slots [0, follower_slot_max) */
    uint32_t order_max;           /* master orders of the day and the day before */
    uint32_t child_max;           /* children of the day and the day before */
    uint32_t position_max;        /* copied positions: (follower, instrument, product) */
    uint32_t master_position_max; /* (master account, instrument, product) */
    uint32_t wave_max;            /* unfinished waves at a time, [2, 4096] */
    uint32_t pace_logs;           /* exchanges paced apart per account, [1, 9]; further exchanges
                                     share the last log */
    uint32_t lot_max; /* FIFO lots of copied positions; 0 = half more than position_max */
};

/* Bands of market-price protection: a price below `below_e8` gets `fraction_e8` of itself, or
 * `amount_e8` where that is set. Ascending; the last band has below_e8 = INT64_MAX. */
#define ENG_BANDS_MAX 8
struct eng_band {
    int64_t below_e8;
    int64_t fraction_e8;
    int64_t amount_e8;
};

/* Pre-trade controls of the whole shard (ORDER-SAFETY 3.9); 0 = not set. They bear on openings;
 * exits and cancels always go. */
struct eng_controls_config {
    uint32_t slices_per_follower; /* copies of one master's order: matching followers x this, at
                                     least what a policy's slices_max says */
    uint32_t open_orders_max;     /* per account, where its row says none */
    uint32_t messages_per_second, messages_per_minute, messages_per_day; /* of the engine */
    uint32_t instrument_openings_per_minute;
    uint32_t duplicate_window_ms; /* where a policy says none */
    uint32_t reject_streak, broker_reject_streak;
    uint32_t unknown_per_minute, broker_unknown_per_minute;
    uint32_t repeats_per_minute;
    int64_t price_collar_e8; /* fraction of the last price */
    int64_t order_qty_max_e8, order_value_max_e8;
    int64_t exposure_max_e8; /* of all followers of the shard */
};

struct eng_core_config {
    uint32_t shard;
    uint32_t pace_guard_ms;         /* added to the broker's second; 0 = 50 */
    uint32_t exit_share;            /* calls of a second that entries leave to exits; 0 = 2 */
    uint32_t exit_price_max_age_ms; /* ladder of an exit's price: what counts as fresh; 0 = 5000 */
    uint32_t cash_band_count;       /* 0 = the published grid of protect.c */
    uint32_t option_band_count;
    struct eng_band cash_bands[ENG_BANDS_MAX]; /* equity and futures */
    struct eng_band option_bands[ENG_BANDS_MAX];
    struct eng_controls_config controls;
};

#define ENG_ID_NONE     0u
#define ENG_ID_ECHOED   1u
#define ENG_ID_ENFORCED 2u

/* What the core must know of a broker beyond its row; the shell fills it from the dialect's
 * capabilities, row values over dialect values. Index = broker number. */
struct eng_broker_policy {
    uint32_t orders_per_second; /* per account and exchange; the log keeps one below it; 0 = not
                                   limited, at most 17 */
    uint32_t orders_per_minute, orders_per_day; /* per account; 0 = not limited */
    uint32_t address_orders_per_second;         /* per source address; 0 = not limited */
    uint32_t modifications_max;                 /* per order; 0 = not limited */
    bool refuses_market;                        /* MARKET and SLM leave as protected limits */
    bool no_pacing;                             /* IPC_BROKER_NO_PACING: measurements only */
    /* what a repeated client id does, as enum adp_idempotency: 0 = there is none, 1 = it is only
     * echoed, 2 = ENFORCED: it is refused or gives the first order */
    uint8_t idempotency; /* ENG_ID_* */
    bool one_in_flight;       /* a broker without client ids: an account's next order waits until
                                 the outcome of the one before it is known */
    bool book_by_tag;         /* one order can be asked for by its tag */
    int64_t book_lag_ns;      /* how long an accepted order may be missing from the book */
    int64_t dedupe_window_ns; /* ENFORCED: how long an id is remembered */
};

/* eng_core_footprint returns the bytes of the block for these limits, a multiple of 4096. */
size_t eng_core_footprint(const struct eng_core_limits *limits);

/* eng_core_init makes an empty core in the caller's block.
 *   memory   eng_core_footprint bytes, 128-byte aligned, zeroed by the callee; the caller's
 *   returns  memory as a core; never fails (limits out of range are a bug) */
struct eng_core *eng_core_init(
    void *memory, const struct eng_core_limits *limits, const struct eng_core_config *config);
/* eng_core_init_zeroed is the same for memory that is known to be all zeros, which is not touched
 * beyond what must not be zero: a fresh mapping stays as small as its use. */
struct eng_core *eng_core_init_zeroed(
    void *memory, const struct eng_core_limits *limits, const struct eng_core_config *config);

/* eng_core_settle_image makes a core of the bytes of another core's whole block (a checkpoint):
 * everything in it is named by index, and the few pointers are laid out anew.
 *   memory   as of eng_core_init; holds a block of a core of this very version of the sources that
 *            had only folded: no view was ever adopted
 *   limits   must be those that it was made with
 *   returns  IPC_OK; IPC_BAD_LAYOUT for anything else that can be told, memory is to be
 *            initialised again then */
LS_MUST_USE enum ipc_rc eng_core_settle_image(
    void *memory, const struct eng_core_limits *limits, const struct eng_core_config *config);

/* A frame as apply takes it: live just after it was journaled, at recovery from the reader. */
struct eng_frame {
    enum ipc_fact_type type;
    uint32_t count;      /* elements of a list payload; 1 otherwise */
    const void *payload; /* struct of ipc/fact.h, 8-byte aligned */
    uint32_t payload_bytes;
    uint64_t lsn;
    int64_t mono_ns, wall_ns; /* of the frame: the `now` that was decided with */
};

/* eng_apply folds one frame into the state. The only writer.
 *   returns  IPC_OK; IPC_BAD_INPUT when the payload cannot be one of ours (sizes, ranges, an order
 *            that no fact introduced): nothing was changed. Live that is a bug of the caller. */
LS_MUST_USE enum ipc_rc eng_apply(struct eng_core *core, const struct eng_frame *frame);

/* --- generations ----------------------------------------------------------------------------- */

/* eng_decide_adopt fills the ADOPT fact of a validated view for this shard. Walks all slots.
 *   returns  IPC_OK, or IPC_REFUSED with a sentence when it has more accounts or follower slots
 * than eng_core_limits. A sizing or copy mode that this build does not know refuses nothing: its
 *            followers' entries are skipped, MODE_UNSUPPORTED
 *   error    may be NULL */
LS_MUST_USE enum ipc_rc eng_decide_adopt(const struct eng_core *core,
    const struct ipc_snapshot_view *view, uint64_t content_hash, struct ipc_fact_adopt *out,
    struct ipc_error *error);

/* eng_core_adopt makes the view the one that decide reads, right after its ADOPT fact was applied.
 *   view      stays the caller's; must live, unchanged, until the next adopt
 *   policies  view->broker_count entries, copied
 * May be called between any two batches; unfinished waves go on over the new list, and no follower
 * is decided twice by one wave. The first adopt after recovery also binds queued children and the
 * pacing of the last second to their accounts. */
void eng_core_adopt(struct eng_core *core, const struct ipc_snapshot_view *view,
    const struct eng_broker_policy *policies);

/* eng_core_view returns the adopted view, NULL before the first. */
const struct ipc_snapshot_view *eng_core_view(const struct eng_core *core);

/* --- events ---------------------------------------------------------------------------------- */

/* What one ring record becomes: a few facts, to be journaled and applied in order. */
#define ENG_EVENT_FACTS_MAX 5
struct eng_event_facts {
    uint32_t count;      /* 0 = it changed nothing: a duplicate, or not ours; see `why` */
    bool retry_later;    /* with count 0: too many unfinished waves; do not consume it yet */
    enum ipc_reason why; /* of count 0: DUPLICATE_EVENT, OWN_ORDER, INSTRUMENT_UNKNOWN, ... */
    struct {
        enum ipc_fact_type type; /* EVENT, UPDATE, BOOK, ALARM, LIMIT, RECON, ACCOUNT,
                                    CATCH_UP or RESOLVE */
        uint32_t bytes;          /* of the payload; the frame's count is 1 */
        union {
            struct ipc_fact_event event; /* EVENT, UPDATE */
            struct ipc_fact_book book;
            struct ipc_fact_alarm alarm;
            struct ipc_fact_limit limit;
            struct ipc_fact_guard guard;
            struct ipc_fact_recon_room recon;
            struct ipc_fact_catch_up catch_up;
            struct ipc_fact_resolve resolve;
            struct ipc_fact_account account;
        };
    } fact[ENG_EVENT_FACTS_MAX];
};

/* eng_step_event joins a checked event (ipc_event_check passed) with what is known and derives the
 * transition, whether it reduces the master's position, and whether it needs a wave.
 *   producer, ring_sequence  where it was read, kept in the fact
 * Full tables: the event is not taken, an ALARM fact (CAPACITY) says so, and the caller must not
 * advance past it silently: it counts as not copied. */
void eng_step_event(const struct eng_core *core, const struct ipc_event *event, uint8_t producer,
    uint64_t ring_sequence, int64_t now_mono_ns, struct eng_event_facts *out);

/* --- waves ----------------------------------------------------------------------------------- */

/* The next followers of one wave, or of one order to settle. Filled by the core, not changed by the
 * caller. */
struct eng_batch {
    uint64_t wave;        /* number; 0 = settling WAITs */
    uint32_t order;       /* handle of the master order */
    uint32_t master;      /* master account: its switch word counts for the batch */
    uint32_t instrument;  /* its switch word and last price count for the batch; 0 = unknown */
    uint32_t first_place; /* place in the wave of slots[0] */
    uint8_t transition;   /* enum ipc_transition */
    uint8_t is_exit;
    uint8_t refuses_market; /* shape class of all slots in it */
    uint8_t ends_wave;      /* 1 = no slots: the end marker of a wave whose list had changed */
    uint32_t slot_count;    /* [1, 64]; 0 with ends_wave */
    uint32_t slots[IPC_BATCH_CHILDREN_MAX];
    uint32_t children[IPC_BATCH_CHILDREN_MAX]; /* of wave 0: the children to settle, or the
                                                  positions of a follow-up */
};

/* One follower's samples. The shell reads them after the batch is known and before deciding. */
struct eng_follower_sample {
    int64_t capital_e8;          /* accounts page: equity; read only for modes that ask, else 0 */
    int64_t capital_mono_ns;     /* its time, and that of the two below; 0 = unknown */
    int64_t balance_e8, free_e8; /* cash, and what no margin holds; may be 0 = unknown */
    /* where eng_batch_instrument names another instrument than the batch's: that one, its last
     * price and its time; 0 = the batch's price counts */
    int64_t price_e8, price_mono_ns;
    uint32_t instrument;
    uint8_t switch_word; /* enum ipc_switch: strictest of the follower's, its broker's and that
                            instrument's */
    uint8_t can_send;    /* 1 = a ready connection, a stream is free, the body fits */
    uint8_t reserved[2];
};

struct eng_batch_sample {
    uint64_t generation;      /* of the adopted view */
    uint64_t switch_sequence; /* switches page, read before the words */
    int64_t price_e8;         /* last price of batch.instrument; 0 = unknown */
    int64_t price_mono_ns;
    /* the master's account, for modes that divide by it; time 0 = unknown */
    int64_t master_equity_e8, master_balance_e8, master_free_e8, master_capital_mono_ns;
    int64_t now_mono_ns, now_wall_ns;
    uint8_t switch_word;           /* strictest of global, master, instrument */
    uint8_t journal_takes_entries; /* eng_journal_takes_entries */
    uint8_t reserved[6];
};

/* eng_wave_next picks the wave whose turn it is (exits and cancels first, then round robin; never
 * overtaking an earlier wave of the same master at one follower) and the followers of its next
 * batch: 4, 8, 16, 32, then 54.
 *   returns  true with *out filled; false when no wave has anything to do */
LS_MUST_USE bool eng_wave_next(const struct eng_core *core, struct eng_batch *out);

/* eng_batch_instrument says what the follower at one place of a batch trades: the batch's own
 * instrument, or what a symbol map put in its place, now or when its position was opened. The
 * shell samples its price and switch word. Asked only of followers with a map, of batches outside a
 * wave, and of exits: all others trade the batch's.
 *   at       [0, slot_count)
 *   returns  0 when the batch's instrument is unknown, too */
uint32_t eng_batch_instrument(
    const struct eng_core *core, const struct eng_batch *batch, uint32_t at);

/* eng_settle_next yields children whose WAIT ended (the reply to their earlier request came, or
 * the broker's order id became known), of one order.
 *   returns  true with *out filled (wave 0); false when there is none */
LS_MUST_USE bool eng_settle_next(const struct eng_core *core, struct eng_batch *out);

/* eng_decide_batch decides each slot of the batch.
 *   samples   slot_count entries, parallel to batch->slots
 *   out       written whole; the caller puts `out` and then the children into one frame
 *   children  room for IPC_BATCH_CHILDREN_MAX
 *   returns   number of children, [1, 64]; settling may give fewer than slots, also 0: no frame */
uint32_t eng_decide_batch(const struct eng_core *core, const struct eng_batch *batch,
    const struct eng_batch_sample *sample, const struct eng_follower_sample *samples,
    struct ipc_fact_batch *out, struct ipc_fact_child *children);

/* eng_core_applied gives the child handles of the BATCH or RELEASE frame applied last, parallel to
 * its elements; ENG_NONE where no bytes may leave now (skip, queued, wait, ended).
 *   returns  number of elements, [0, 64] */
uint32_t eng_core_applied(const struct eng_core *core, const uint32_t **handles);

/* eng_core_command makes the request of a child whose bytes may leave now, from applied facts and
 * the adopted view.
 *   child    a handle from eng_core_applied
 *   returns  IPC_OK; IPC_NOT_FOUND when its slot, account or instrument left the snapshot between
 *            the decision and now: nothing may be sent; reply NOT_SENT for it, with the action
 *            and request_no of *out, which are set in either case */
LS_MUST_USE enum ipc_rc eng_core_command(
    const struct eng_core *core, uint32_t child, struct ipc_command *out);

/* --- queued children ------------------------------------------------------------------------- */

struct eng_candidate {
    uint32_t child; /* handle */
    uint32_t slot, account, master, instrument;
    uint16_t broker;
    uint8_t is_exit;
    uint8_t action; /* enum ipc_action of what is queued */
};

/* eng_release_next lists heads of account queues that may go or end now: pacing allows a call, or
 * the age limit is over. Bounded: looks at no more than 4 x max accounts, from *cursor on.
 *   cursor   caller's, 0 at first; goes round the accounts that have a queue
 *   returns  number of candidates, [0, max] */
uint32_t eng_release_next(const struct eng_core *core, int64_t now_mono_ns, int64_t now_wall_ns,
    uint32_t *cursor, struct eng_candidate *out, uint32_t max);

/* eng_decide_release checks age, pacing and switches again; an exit's quantity is clamped and its
 * protected price made anew.
 *   batch_sample  as for a batch of the candidate's instrument and master
 *   sample        of the candidate's follower; capital is not read
 * Decide, journal and apply one candidate before the next: calls are counted as they are applied.
 *   returns  true with *out filled (go now, or ended with a reason); false: it stays queued */
LS_MUST_USE bool eng_decide_release(const struct eng_core *core,
    const struct eng_candidate *candidate, const struct eng_batch_sample *batch_sample,
    const struct eng_follower_sample *sample, struct ipc_fact_release *out);

/* eng_release_due returns the earliest mono_ns at which eng_release_next may have something,
 * INT64_MAX when nothing is queued: the shell's sleep bound. */
int64_t eng_release_due(const struct eng_core *core, int64_t now_mono_ns, int64_t now_wall_ns);

/* --- replies --------------------------------------------------------------------------------- */

/* eng_decide_reply makes the REPLY fact of a request's outcome.
 *   child, request_no, action  from the command
 *   alarm    filled when *has_alarm: GHOST (the child had ended), AUTH
 *   returns  IPC_OK; IPC_NOT_FOUND for a handle that never was: a bug of the caller's tables */
LS_MUST_USE enum ipc_rc eng_decide_reply(const struct eng_core *core, uint32_t child,
    uint32_t request_no, enum ipc_action action, const struct ipc_outcome *outcome,
    int64_t accepted_mono_ns, int64_t parsed_mono_ns, struct ipc_fact_reply *out,
    struct ipc_fact_alarm *alarm, bool *has_alarm);

/* --- recovery -------------------------------------------------------------------------------- */

/* eng_core_recovered is told that all frames are folded; called before the OPEN fact is written.
 * *out gets state_hash and unknown_children (requests in flight at the crash); the caller fills the
 * rest and journals it. Applying an OPEN fact marks what was in flight UNKNOWN(recovery) and, with
 * same_boot 0, makes every monotonic time before it infinitely old. */
void eng_core_recovered(const struct eng_core *core, struct ipc_fact_open *out);

/* eng_core_hash is a deterministic hash of the whole folded state. */
uint64_t eng_core_hash(const struct eng_core *core);

/* eng_core_verify walks the whole state and checks every invariant (LS_CHECK). For tests, the
 * simulated world and LS_SLOW_CHECKS builds. */
void eng_core_verify(const struct eng_core *core);

/* --- what people see ------------------------------------------------------------------------- */

#define ENG_STATE_LIST(X)                                                                          \
    X(ENG_STATE_NONE, 0, "NONE")       /* no such child */                                         \
    X(ENG_STATE_INTENT, 1, "INTENT")   /* queued, provably not sent */                             \
    X(ENG_STATE_SENDING, 2, "SENDING") /* its bytes may be on the way */                           \
    X(ENG_STATE_ACKED, 3, "ACKED")                                                                 \
    X(ENG_STATE_OPEN, 4, "OPEN")                                                                   \
    X(ENG_STATE_PARTIAL, 5, "PARTIAL")                                                             \
    X(ENG_STATE_FILLED, 6, "FILLED")                                                               \
    X(ENG_STATE_CANCELLED, 7, "CANCELLED")                                                         \
    X(ENG_STATE_EXPIRED, 8, "EXPIRED")                                                             \
    X(ENG_STATE_EXCH_REJECTED, 9, "EXCH_REJECTED")                                                 \
    X(ENG_STATE_REJECTED, 10, "REJECTED")                                                          \
    X(ENG_STATE_NOT_SENT, 11, "NOT_SENT") /* proof; queued once more while fresh */                \
    X(ENG_STATE_UNKNOWN, 12, "UNKNOWN")                                                            \
    X(ENG_STATE_RECONCILING, 13, "RECONCILING")                                                    \
    X(ENG_STATE_ADOPTED, 14, "ADOPTED")                                                            \
    X(ENG_STATE_NOT_PLACED, 15, "NOT_PLACED")                                                      \
    X(ENG_STATE_MISSED, 16, "MISSED")                                                              \
    X(ENG_STATE_UNRESOLVED, 17, "UNRESOLVED")                                                      \
    X(ENG_STATE_SKIPPED, 18, "SKIPPED")
#define ENG_STATE_COUNT 19
IPC_DECLARE_ENUM(eng_state, ENG_STATE_LIST)

/* Counters, folded from facts; conservation: each visit of a follower by a wave ends as one skip,
 * one child, or one act on a child that exists, and what one visit or follow-up makes beyond that
 * (also for an own order, which has no wave: flatten.h) is counted as extra:
 *   expected + extra == remaining + skipped + vanished + placed + acts
 *   placed == sum of children_by_state, acts == acts_open + acts_settled */
struct eng_core_counters {
    uint64_t events, updates, waves; /* EVENT facts, UPDATE facts, waves that were started */
    uint64_t expected;               /* events that started a wave x their followers */
    uint64_t remaining;              /* followers that unfinished waves have still to visit */
    uint64_t skipped;                /* decided: nothing sent */
    uint64_t vanished;               /* left the snapshot before their wave reached them */
    uint64_t placed;                 /* children made */
    uint64_t extra; /* of them, beside the one that stands for the visit of a wave: further legs and
                       slices, follow-ups, replacements */
    uint64_t acts, acts_open, acts_settled; /* decisions on children that exist */
    uint64_t children_by_state[ENG_STATE_COUNT];
    uint64_t skips_by_reason[IPC_REASON_COUNT];
    uint64_t replies_by_outcome[7];
    /* Copied positions that were to become flat without an order of the master: each is open, or
     * it became flat (or was opened anew while all of it was being closed), or was given up:
     *   flattens == open (eng_flatten_open) + flattens_done + flattens_left */
    uint64_t flattens, flattens_done, flattens_left;
    uint64_t late_replies, ghosts, impossible; /* impossible: cells of the table that cannot be */
};
const struct eng_core_counters *eng_core_counters(const struct eng_core *core);

/* One child as people and tests see it. */
struct eng_child_view {
    char tag[IPC_TAG_BYTES];
    char broker_order_id[IPC_BROKER_ORDER_ID_BYTES];
    struct ipc_key order_key;
    uint32_t handle, follower_no, slot, request_no, instrument;
    uint8_t state;  /* enum eng_state */
    uint8_t reason; /* enum ipc_reason of a SKIPPED one, or of what reduced it */
    uint8_t evidence;
    uint8_t side, type, product, is_exit, is_queued;
    int64_t qty_e8, price_e8, trigger_e8, filled_qty_e8, average_price_e8;
};

/* eng_core_child fills a view; false when there is no such child. */
LS_MUST_USE bool eng_core_child(
    const struct eng_core *core, uint32_t child, struct eng_child_view *out);
/* eng_core_find_tag returns the handle of a tag's child, ENG_NONE when there is none. */
uint32_t eng_core_find_tag(const struct eng_core *core, const char tag[IPC_TAG_BYTES]);
/* eng_core_child_count: handles are [0, count). */
uint32_t eng_core_child_count(const struct eng_core *core);
/* eng_core_copied_position returns the signed copied position, and the quantity reserved by own
 * working closes in *reserved_e8 (may be NULL). */
int64_t eng_core_copied_position(const struct eng_core *core, uint32_t follower_no,
    uint32_t instrument, enum ipc_product product, int64_t *reserved_e8);
/* eng_core_master_position returns the signed fold of the master's fills. */
int64_t eng_core_master_position(
    const struct eng_core *core, uint32_t account, uint32_t instrument, enum ipc_product product);
/* eng_core_generation returns the generation of the last ADOPT fact, 0 = none. */
uint64_t eng_core_generation(const struct eng_core *core);

#endif
