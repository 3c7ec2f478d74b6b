/* core_private.h: the state of the core, shared by its source files and by nobody else.
 *
 * Two kinds of memory, both in the caller's one block:
 * - the fold (struct eng_fold and the tables named "fold" below): a function of the applied frames
 *   alone, hashed, checkpointed;
 * - what is derived from the fold and the adopted view (queues, pacing, binding of accounts):
 *   rebuilt by eng_core_adopt, never hashed.
 * Records are named by index into their table, indexes are handed out in order and never reused. */
#ifndef LS_ENGINE_CORE_PRIVATE_H
#define LS_ENGINE_CORE_PRIVATE_H

#include "engine/core/step.h"
#include "engine/core/window.h"
#include "ipc/tag.h"

#include <string.h>

#define ENG_CORE_MAGIC      UINT64_C(0x31524f4343474e45)  /* "ENGCCOR1" */
#define ENG_QTY_MAX_E8      (INT64_C(1000000000) * LS_E8) /* 10^9 units an order */
#define ENG_PRICE_MAX_E8    (INT64_C(100000000) * LS_E8)  /* 10^8 a unit */
#define ENG_PACE_LOG        16u
#define ENG_EXCHANGE_MAX    9u
#define ENG_AGE_INFINITE    INT64_MAX
#define ENG_MARKET_AGE_MS   2000u
#define ENG_LIMIT_AGE_MS    5000u
#define ENG_CAPITAL_AGE_MS  60000u
#define ENG_PRICE_AGE_MS    5000u
#define ENG_SLICES_MAX      20 /* slices of an entry, where no policy says otherwise */
#define ENG_PLACES_MAX      2u /* a place is sent at most twice in total (ORDER-SAFETY 3.2 c) */

/* --- the fold ----------------------------------------------------------------------------------
 */

#define ENG_ORDER_HISTORY   1u /* noted from a first book, never copied */
#define ENG_ORDER_TOMBSTONE 2u /* first seen ended and unfilled: a later "new" is not copied */
#define ENG_ORDER_EXIT      4u /* it reduced the master's position when it was first seen */
#define ENG_ORDER_COLLIDES  8u /* an earlier order has equal tag digits */
#define ENG_ORDER_RUN_OVER  128u /* the master's fills came to zero in its run: nothing of M0 is left */
#define ENG_ORDER_CLOSES    16u /* it is in the list of its master position's run of reductions */
#define ENG_ORDER_ORPHAN    64u /* copies of it were adopted before it was seen */
#define ENG_ORDER_OWN       32u /* nobody's: made by eng_flatten_decide to close a copied position */

/* A master's order: the join of all its states. */
struct eng_order {
    struct ipc_key key;
    uint64_t order_digits;
    uint64_t event_lsn; /* of the newest EVENT fact of this order */
    int64_t qty_e8, price_e8, trigger_e8;
    int64_t filled_qty_e8, average_price_e8;
    int64_t version;          /* of the terms */
    int64_t filled_version;   /* of the fill */
    int64_t received_mono_ns; /* when these terms were first read */
    int64_t feed_lag_ns;
    int64_t position_before_e8; /* master's position before the order was first seen */
    uint32_t account, instrument;
    uint32_t child_count;
    uint32_t digits_next; /* next order with equal digits, ENG_NONE */
    uint32_t era;         /* of received_mono_ns */
    uint32_t master_position; /* index */
    uint32_t exit_previous;   /* the reduction before it in the same run, ENG_NONE */
    uint32_t run;             /* run of reductions that it belongs to, 0 = none */
    uint32_t amendments;
    uint32_t filled_era;      /* of filled_mono_ns */
    int64_t filled_mono_ns;   /* when the newest fill was read */
    int64_t filled_lag_ns;
    int64_t stop_e8, target_e8, trail_e8; /* protective prices that come with it */
    uint64_t first_lsn; /* of its first EVENT fact: orders are older and newer by it */
    int64_t base_e8, fill_base_e8; /* M0 of its run: counting working orders, counting fills */
    uint8_t side, type, product, validity;
    uint8_t status, source, flags, reserved;
    char digits[IPC_TAG_ORDER_DIGITS];
    char reserved3[3];
    uint32_t openings; /* of child_count: those that open */
};

#define ENG_CHILD_EXIT    1u
#define ENG_CHILD_SETTLE  2u /* in the settle list */
#define ENG_CHILD_DOUBT   4u /* a modify has an unknown outcome: the terms are not certain */
#define ENG_CHILD_BLOCKED 8u /* an exit that waits for its own entry to fill or end */
#define ENG_CHILD_GHOST    16u
#define ENG_CHILD_REPLACE  32u  /* cancelled so that its rest can be placed with newer terms */
#define ENG_CHILD_ON_FILL  64u  /* copied from the master's fill: its age counts from there */
#define ENG_CHILD_OPEN_LEG 128u /* the opening part of a reversal */
#define ENG_CHILD_AFTER    256u /* a DAY limit in place of an IOC: cancelled when it works */
#define ENG_CHILD_PROTECTS 512u /* a stop or target of a filled copy */
#define ENG_CHILD_CANCELLED 1024u /* a cancel of ours left */
#define ENG_CHILD_STEP 2048u      /* an opening that the broker's margin check refused */

#define ENG_CHILD_CATCH  8192u    /* missed, and to be made good: what is wanted is decided next */
#define ENG_CHILD_CAUGHT 16384u   /* missed, and a person or the follower's choice made it good */
#define ENG_CHILD_FRESH  32768u   /* made by a catch-up: its age counts from there */
#define ENG_CHILD_LEGS 4096u      /* an entry whose protective legs are to be decided anew */

/* A child: one order of one follower. */
struct eng_child {
    uint32_t order, follower_no, slot, action;
    uint32_t older; /* the next older child of the same order and follower, ENG_NONE */
    uint32_t position;
    uint32_t request_no; /* requests whose bytes were let go */
    uint32_t wave_place;
    uint64_t queue_seq; /* age among queued children */
    uint16_t incarnation;
    uint16_t flags; /* ENG_CHILD_* */
    uint8_t state;  /* enum eng_state */
    uint8_t flight; /* enum ipc_action whose bytes may be on the way, 0 = none */
    uint8_t queued; /* enum ipc_action that waits in a queue, 0 = none */
    uint8_t waits;  /* 1 = a decision waits for the answer in flight */
    uint8_t reason; /* enum ipc_reason */
    uint8_t side, type, product, validity;
    uint8_t evidence;
    uint8_t modifications;
    uint8_t places;  /* places that counted as attempts */
    uint8_t retries; /* requeues, for the back-off; saturates */
    uint8_t reserved[5];
    uint16_t born_era;       /* of the decision that made it, modulo 2^16 */
    uint32_t instrument;     /* that it trades; the order's, or what it is mapped to */
    uint32_t position_older; /* the next older child of the same position, ENG_NONE */
    uint32_t decision;       /* frame that made it: slices of one exit have one */
    uint32_t base_no;        /* of its position when it was made */
    uint32_t sibling;        /* child that goes when this one fills, ENG_NONE */
    uint32_t reserved4;
    int64_t market_protection_e8;
    int64_t qty_e8, price_e8, trigger_e8; /* newest terms decided */
    int64_t known_qty_e8, known_price_e8, known_trigger_e8; /* terms the broker has acknowledged */
    int64_t filled_qty_e8, average_price_e8;
    int64_t sent_mono_ns, not_before_mono_ns;
    int64_t asked_qty_e8;      /* most that a modify without a known outcome asked for, 0 = none */
    int64_t doubt_end_mono_ns; /* DOUBT: what is read until then may be older than the modify */
    uint32_t acts_open;
    uint16_t sent_day; /* market day of the last request, modulo 2^16 */
    uint16_t era;      /* of sent_mono_ns, modulo 2^16 */
    char broker_order_id[IPC_BROKER_ORDER_ID_BYTES];
};

#define ENG_POSITION_DUE      1u  /* in the list of follow-ups */
#define ENG_POSITION_WANTS    2u  /* less was closed than was wanted, or the close had to wait */
#define ENG_POSITION_FLAT     4u  /* the master is flat: whatever still fills is closed */
#define ENG_POSITION_REFUSED  8u  /* a close ended unfilled: nothing is repeated blindly */
#define ENG_POSITION_REVERSES 16u /* an opening leg waits for its close */
#define ENG_POSITION_REVERSED 64u /* copied with the side flipped */
#define ENG_POSITION_PROTECTED 128u /* a copy of it came with a stop or a target */
#define ENG_POSITION_BY_FILL  32u /* the base counts the master's fills, not its orders */

#define ENG_FLATTEN_WANTED    UINT32_MAX /* no own order was made for it yet */

/* What one incarnation of a subscription copied of one instrument and product of its master. */
struct eng_position {
    uint32_t follower_no;
    uint32_t instrument; /* that it trades: the master's, or what a symbol map says */
    uint8_t product;
    uint8_t flags; /* ENG_POSITION_* */
    uint16_t incarnation;
    uint32_t unknown_count; /* children whose outcome is unknown */
    int64_t held_e8;        /* signed fold of child fills */
    int64_t closing_e8[2];  /* what own working closes may still fill, >= 0: [0] BUY, [1] SELL */
    int64_t unsent_e8;      /* of it, by closes that wait in a queue, >= 0 */
    int64_t opening_e8[2];  /* what own working entries may still fill, >= 0: [0] BUY, [1] SELL */
    /* the run of reductions (SEMANTICS 4.2): closed = floor(base x D / M0) */
    int64_t base_e8;     /* F0 */
    int64_t closed_e8;   /* filled and working closes of this base */
    uint32_t base_run;   /* run of the master position that it belongs to, 0 = none */
    uint32_t base_no;    /* raised whenever the base is taken anew */
    uint32_t exit_order; /* newest reduction that it follows, ENG_NONE */
    uint32_t flying;     /* closes that are sent and unanswered, or of unknown outcome */
    uint32_t flying_decision; /* decision that they belong to */
    uint32_t older;           /* the same of an earlier incarnation, ENG_NONE */
    uint32_t newest_child;    /* ENG_NONE; follow position_older */
    uint32_t slot;            /* of its newest child */
    uint32_t episode;         /* of the master position, that the carry belongs to */
    uint32_t master;          /* master position that it copies */
    uint32_t decision; /* frame of the newest close by a wave; of an own order, of any */
    uint32_t flatten;         /* it is to become flat: 1 + own order, or WANTED; 0 = no */
    uint32_t source;          /* the master's instrument */
    uint32_t listed; /* 1 = stands in its slot's list, for good: its children may all be forgotten */
    int64_t lost_e8; /* of held_e8 and what is coming, what its owner closed by hand, >= 0 */
    int64_t gone_e8; /* written off: the fold of its fills less held_e8, signed */
    /* the run of openings in which remainders are counted (remainder = carry) */
    int64_t carry_sum_e8, carry_granted_e8;
    int64_t forgotten_e8; /* signed fills of children that were forgotten */
};

/* What a master holds, and the run of reductions that it is in: from the first order that reduces
 * after an opening until the next opening. */
struct eng_master_position {
    uint32_t account, instrument;
    uint8_t product;
    uint8_t reserved[3];
    uint32_t run;       /* number of the newest run */
    uint32_t last_exit; /* newest order of the run, ENG_NONE; follow exit_previous */
    uint32_t openings;  /* follower positions with a working entry */
    uint32_t episode;   /* raised when it is flat, or turned round */
    uint32_t reserved4;
    int64_t held_e8;
    int64_t base_e8, fill_base_e8; /* M0 of the open run; 0 = none is open */
    int64_t opening_e8[2];         /* unfilled rest of working entries: [0] BUY, [1] SELL */
    int64_t closing_e8[2];         /* unfilled rest of working exits */
};

/* What is folded per follower slot; valid for `follower_no` only, a slot may change owners. */
struct eng_slot {
    uint64_t last_wave; /* newest wave that decided this follower */
    uint32_t follower_no;
    uint32_t unknown_count; /* children whose outcome is unknown */
    uint16_t incarnation;
    char digits[IPC_TAG_FOLLOWER_DIGITS];
    char reserved1;
    uint16_t tripped; /* a money limit may bar openings: ask eng_limits_bar */
    uint16_t guarded; /* breakers of this follower, bits 1 << enum ipc_guard_kind */
    uint32_t open_orders; /* children that have not ended */
};
_Static_assert(sizeof(struct eng_slot) == 32, "two slots a line");

/* One event on its way through its followers. */
struct eng_wave {
    uint64_t number;   /* 0 = free */
    uint64_t previous; /* unfinished earlier wave of the same master, 0 = none */
    uint64_t rotation; /* seed of the starting follower */
    uint32_t order, master;
    uint32_t follower_count, decided;
    uint32_t batches;
    uint8_t transition, is_exit;
    uint8_t open_ended; /* the list changed under it: ends by an end marker */
    uint8_t has_adopted; /* copies of its order were adopted from a book while it ran */
};

struct eng_account_fold {
    uint8_t seen; /* the journal has seen a book or an event of the account */
    uint8_t book; /* 0 = none open, 1 = history, 2 = gap */
};

struct eng_fold {
    uint64_t generation;
    uint64_t last_lsn;
    uint64_t wave_number; /* of the newest wave */
    uint64_t queue_seq;
    uint64_t turn_urgent, turn_plain; /* round robin: the wave served last */
    uint32_t era;                     /* raised by an OPEN fact of another boot */
    uint32_t order_count, child_count, position_count, master_position_count;
    uint32_t wave_count; /* unfinished */
    uint32_t flatten_open;   /* positions that are to become flat and were not given up */
    uint32_t flatten_wanted; /* of them, those that have no own order yet */
    uint32_t hand_order_count, hand_book_count; /* hand.h */
    /* days (forget.h) */
    uint32_t day;                     /* yyyymmdd of the newest that began, 0 = none */
    uint32_t forget_child;            /* next child to be looked at */
    uint32_t forget_orders;           /* 1 = orders are still to be looked at */
    uint32_t children_free, orders_free; /* forgotten records below the counts */
    uint32_t child_last, order_last;  /* where the newest record was put */
    uint32_t reserved4;
    uint64_t day_lsn[2];              /* that began the day, and the one before it */
    uint64_t forgotten;               /* children, ever */
    struct eng_core_counters counters;
};

/* --- derived -----------------------------------------------------------------------------------
 */

/* Open-addressed map from a 64-bit hash to an index; cells are check (high 32) and index + 1. */
struct eng_map {
    uint64_t *cells;
    uint32_t mask; /* cells - 1, a power of two, >= 15 */
};

/* Where a queued child stands. */
enum eng_list {
    ENG_LIST_NONE = 0,
    ENG_LIST_EXITS = 1,   /* account FIFO: exits and cancels */
    ENG_LIST_ENTRIES = 2, /* account FIFO: entries and their amendments */
    ENG_LIST_BLOCKED = 3, /* position's list: waits for its own entry */
    ENG_LIST_UNBOUND = 4, /* no view yet: bound by the first adopt */
};

struct eng_link {
    uint32_t next, previous;
    uint32_t account;
    uint8_t list; /* enum eng_list */
    uint8_t reserved[3];
    uint64_t sent_token_version; /* the last request's; 0 = sent before this start */
};

#define ENG_ACCOUNT_BOUND      1u
#define ENG_ACCOUNT_TOKEN      2u /* it has a token */
#define ENG_ACCOUNT_DISABLED   4u
#define ENG_ACCOUNT_AUTH_PAUSE 8u  /* its token was refused; until the version rises */
#define ENG_ACCOUNT_FOLLOWS    32u /* it has a subscription */
#define ENG_ACCOUNT_FILLS      64u /* a master whose fills somebody follows */
#define ENG_ACCOUNT_GATED 128u /* it places nothing before its book was read (reconcile.h) */
#define ENG_ACCOUNT_SHARED                                                                         \
    16u /* more than one subscription, or a limited shared address:                                \
           calls of one batch are counted together */

struct eng_account {
    uint32_t head[2], tail[2];             /* FIFOs: [0] exits, [1] entries */
    uint32_t active_next, active_previous; /* ring of accounts with a queue; ENG_NONE = not in it */
    uint16_t broker;
    uint8_t flags;
    uint8_t log_count; /* exchanges that have a log */
    uint8_t log_exchange[ENG_EXCHANGE_MAX];
    uint8_t reserved[3];
    uint32_t address;    /* index of its source address group */
    uint32_t master_row; /* index in view->masters + 1, 0 = no followers in this shard */
    uint32_t slot;       /* 1 + slot of its first subscription, 0 = none */
    uint32_t day_calls;
    uint32_t day;
    uint64_t token_version;
    uint64_t refused_token_version; /* version that an AUTH outcome refused */
    uint32_t open_orders_max;       /* 0 = not limited */
    uint32_t reserved4;
    struct eng_window minute;
};

struct eng_pace_log {
    int64_t at_ns[ENG_PACE_LOG];
    uint64_t count;
};

/* A broker's limits as the pacing reads them, made once per generation. */
struct eng_pace_rule {
    uint8_t calls[2]; /* of a second in the log: [0] entries, [1] exits; 0 = not limited */
    bool has_windows; /* minute, day or address limits beside it */
};

struct eng_address {
    uint64_t key; /* 0 = free */
    struct eng_window second;
};

struct eng_money;
struct eng_recon_account;
struct eng_recon_child;
struct eng_recon_link;
struct eng_recon_place;
struct eng_controls;

struct eng_core {
    uint64_t magic;
    struct eng_core_limits limits;
    struct eng_core_config config;
    struct eng_fold fold;

    /* fold tables */
    struct eng_order *orders;
    struct eng_child *children;
    struct eng_position *positions;
    struct eng_master_position *master_positions;
    struct eng_slot *slots;
    struct eng_hand_order *hand_orders;
    struct eng_hand_book *hand_books;
    struct eng_wave *waves;
    struct eng_account_fold *account_folds; /* by account number, [0] unused */
    struct eng_recon_account *recon_accounts; /* by account number */
    struct eng_recon_child *recon_children;   /* by child */
    struct eng_money *money;                /* money.h: lots, day figures, limits; partly derived */
    struct eng_controls *controls;          /* controls.h: breakers, caps; partly derived */

    /* maps over the fold: functions of it, not hashed */
    struct eng_map order_map;    /* order key -> newest order with it */
    struct eng_map digits_map;   /* tag digits -> newest order with them */
    struct eng_map child_map;    /* (order, follower) -> newest child */
    struct eng_map broker_map;   /* broker order id -> child */
    struct eng_map position_map; /* (follower, master's instrument, product) */
    struct eng_map master_map;   /* (account, instrument, product) */
    struct eng_map hand_order_map, hand_book_map; /* hand.h: by order key; as master_map */

    /* derived, functions of the fold */
    uint32_t *wave_active; /* indexes of unfinished waves, oldest first; fold.wave_count of them */
    uint32_t *wave_cursor; /* by wave index: where an open-ended one looks next */
    uint32_t *settle_next; /* by child */
    uint32_t settle_head, settle_tail;
    struct eng_link *links;     /* by child */
    uint32_t *due_next;         /* by position: list of follow-ups */
    uint32_t due_head, due_tail;
    uint32_t *position_blocked; /* by position: head of its blocked exits */
    uint32_t *slot_positions;   /* by slot: 1 + the newest position made in it, 0 = none */
    uint32_t *slot_position_next; /* by position: 1 + the one before it */
    uint32_t applied[IPC_BATCH_CHILDREN_MAX];
    uint32_t applied_count;
    int64_t applied_mono_ns; /* of the frame that is being applied */

    /* derived from the view */
    const struct ipc_snapshot_view *view;
    struct eng_account *accounts;   /* by account number, [0] unused */
    struct eng_pace_log *pace_logs; /* limits.pace_logs per account */
    struct eng_address *addresses;
    uint32_t address_mask;
    uint32_t active_head; /* any account of the ring, ENG_NONE = nothing queued */
    uint32_t active_count;
    struct eng_broker_policy policies[64];
    struct eng_pace_rule pace_rules[64];
    int64_t pace_window_ns; /* a second and its guard */
    bool one_in_flight;     /* a broker of the view has no client ids */

    /* reconcile_private.h */
    struct eng_recon_link *recon_links;   /* by child */
    struct eng_recon_place *recon_places; /* by account number; [0]: who left the snapshot */
    uint32_t *recon_heap[2];              /* account numbers by time */
    uint32_t recon_heap_count[2];
};

/* --- records ------------------------------------------------------------------------------------
 */

/* Records are handed out in order; when the table has been used once, those that were forgotten are
 * taken again, going round. */
static inline uint32_t eng_child_room(const struct eng_core *core)
{
    return core->limits.child_max - core->fold.child_count + core->fold.children_free;
}
static inline uint32_t eng_order_room(const struct eng_core *core)
{
    return core->limits.order_max - core->fold.order_count + core->fold.orders_free;
}
static inline bool eng_child_is_free(const struct eng_child *child)
{
    return child->state == ENG_STATE_NONE;
}
static inline bool eng_order_is_free(const struct eng_order *order)
{
    return (order->key.word[0] | order->key.word[1]) == 0;
}
static inline uint32_t eng_child_take(struct eng_core *core)
{
    struct eng_fold *fold = &core->fold;
    LS_CHECK(eng_child_room(core) > 0);
    if (LS_LIKELY(fold->child_count < core->limits.child_max))
        return fold->child_last = fold->child_count++;
    do
        fold->child_last = fold->child_last + 1 < fold->child_count ? fold->child_last + 1 : 0;
    while (!eng_child_is_free(&core->children[fold->child_last]));
    fold->children_free--;
    return fold->child_last;
}
static inline uint32_t eng_order_take(struct eng_core *core)
{
    struct eng_fold *fold = &core->fold;
    LS_CHECK(eng_order_room(core) > 0);
    if (LS_LIKELY(fold->order_count < core->limits.order_max))
        return fold->order_last = fold->order_count++;
    do
        fold->order_last = fold->order_last + 1 < fold->order_count ? fold->order_last + 1 : 0;
    while (!eng_order_is_free(&core->orders[fold->order_last]));
    fold->orders_free--;
    return fold->order_last;
}

/* --- small helpers ------------------------------------------------------------------------------
 */

static inline uint64_t eng_mix(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    x ^= x >> 33;
    return x;
}

static inline int64_t eng_add_saturated(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

static inline int64_t eng_abs(int64_t value)
{
    return value < 0 ? (value == INT64_MIN ? INT64_MAX : -value) : value;
}

/* Decided alone when it is settled, so that its frame names it: what may go again with less, and
 * what is about protective legs. */
static inline bool eng_child_settles_alone(const struct eng_child *child)
{
    return (child->flags & (ENG_CHILD_STEP | ENG_CHILD_LEGS | ENG_CHILD_PROTECTS |
                               ENG_CHILD_CATCH)) != 0;
}

/* Sum of elapsed time and feed lag; times of another boot are infinitely old. */
static inline int64_t eng_order_age_ns(
    const struct eng_core *core, const struct eng_order *order, int64_t now_mono_ns)
{
    if (order->era != core->fold.era)
        return ENG_AGE_INFINITE;
    int64_t elapsed = now_mono_ns - order->received_mono_ns;
    return eng_add_saturated(elapsed < 0 ? 0 : elapsed, order->feed_lag_ns);
}

/* What a copy's age counts from: the master's order, or his fill. */
static inline int64_t eng_child_fresh_ns(
    const struct eng_child *child, const struct eng_order *order)
{
    return child->flags & ENG_CHILD_ON_FILL ? order->filled_mono_ns - order->filled_lag_ns
                                            : order->received_mono_ns - order->feed_lag_ns;
}

/* A copy of a fill is as urgent as a market order, whatever the master's order was. */
static inline uint8_t eng_child_age_type(
    const struct eng_child *child, const struct eng_order *order)
{
    return child->flags & ENG_CHILD_ON_FILL ? (uint8_t)IPC_TYPE_MARKET : order->type;
}

/* When a catch-up made it (reconcile_apply.c). */
int64_t eng_child_born_ns(const struct eng_core *core, const struct eng_child *child);

/* Elapsed time since it, infinite when it is of another boot. */
static inline int64_t eng_child_age_ns(const struct eng_core *core, const struct eng_child *child,
    const struct eng_order *order, int64_t now_mono_ns)
{
    if (LS_UNLIKELY(child->flags & ENG_CHILD_FRESH)) {
        int64_t since = now_mono_ns - eng_child_born_ns(core, child);
        return child->born_era != (uint16_t)core->fold.era ? ENG_AGE_INFINITE : since;
    }
    if (!(child->flags & ENG_CHILD_ON_FILL))
        return eng_order_age_ns(core, order, now_mono_ns);
    if (order->filled_era != core->fold.era)
        return ENG_AGE_INFINITE;
    int64_t elapsed = now_mono_ns - order->filled_mono_ns;
    return eng_add_saturated(elapsed < 0 ? 0 : elapsed, order->filled_lag_ns);
}

static inline bool eng_type_is_market(uint8_t type)
{
    return type == IPC_TYPE_MARKET || type == IPC_TYPE_SLM;
}

static inline int64_t eng_entry_age_limit_ns(const struct ipc_row_follower *row, uint8_t type)
{
    uint32_t ms = eng_type_is_market(type)
                      ? (row->max_age_market_ms ? row->max_age_market_ms : ENG_MARKET_AGE_MS)
                      : (row->max_age_limit_ms ? row->max_age_limit_ms : ENG_LIMIT_AGE_MS);
    return (int64_t)ms * LS_NS_PER_MS;
}

/* How old the account's figures may be that sizing divides by. */
static inline int64_t eng_capital_age_ns(const struct ipc_row_follower *row)
{
    uint32_t ms = row->capital_max_age_ms ? row->capital_max_age_ms : ENG_CAPITAL_AGE_MS;
    return (int64_t)ms * LS_NS_PER_MS;
}

/* The row of an instrument in the adopted view, NULL when it is not there. */
static inline const struct ipc_row_instrument *eng_instrument_row(
    const struct ipc_snapshot_view *view, uint32_t instrument)
{
    if (instrument == 0 || instrument > view->instrument_count)
        return NULL;
    const struct ipc_row_instrument *row = &view->instruments[instrument - 1];
    return row->instrument == instrument ? row : NULL;
}

/* The row of a slot, NULL when the view has no such slot or nobody is in it. */
static inline const struct ipc_row_follower *eng_follower_row(
    const struct ipc_snapshot_view *view, uint32_t slot)
{
    if (slot >= view->follower_slots || view->followers[slot].follower_no == 0)
        return NULL;
    return &view->followers[slot];
}

/* The slot's fold when it belongs to this follower, NULL when it never decided for it. */
static inline const struct eng_slot *eng_slot_of(
    const struct eng_core *core, uint32_t slot, uint32_t follower_no)
{
    const struct eng_slot *state = &core->slots[slot];
    return state->follower_no == follower_no ? state : NULL;
}

#endif
