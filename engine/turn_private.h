/* turn_private.h: the turn's own shapes, shared by turn.c (loop, messages, idle), turn_rings.c
 * (events), turn_waves.c (batches, settles, queues), turn_send.c (requests and what left when) and
 * turn_replies.c (outcomes). Pinned thread only. */
#ifndef LS_ENGINE_TURN_PRIVATE_H
#define LS_ENGINE_TURN_PRIVATE_H

#include "engine/core/hours.h"
#include "engine/pages.h"
#include "engine/shapes.h"
#include "engine/track.h"
#include "engine/turn.h"

#define TURN_REPLIES_PER_FRAME 256u
#define TURN_REPLIES_HELD      8192u /* outcomes that wait for room in the journal */
#define TURN_HELD_BATCHES      256u  /* tier power: decided, waiting for the disk */
#define TURN_SENT_MAX          8192u /* orders whose bytes a full socket has not taken yet */
#define TURN_EVENT_BYTES       16384u

/* A child's request in flight. */
struct turn_flight {
    int64_t accepted_mono_ns; /* when the kernel took its last byte; 0 = not yet */
    uint32_t request_no;
    uint32_t frame; /* number of the reply frame that holds an outcome of it */
    uint8_t broker;
    uint8_t open; /* 1 = handed to a connection, no outcome yet */
    uint8_t reserved[6];
};

struct turn_ring {
    struct ipc_ring_consumer *consumer; /* NULL = place is free */
    enum ipc_ring_class ring_class;
    bool is_pending; /* `event` was read and could not be taken yet: its slots stay taken */
    uint64_t sequence;
    struct ipc_event event;
};

/* The request number as a connection carries it: the action in the top bits, so that a late reply
 * is decoded as what it answers. */
static inline uint32_t turn_cookie(uint32_t request_no, enum ipc_action action)
{
    return (request_no & 0x3fffffffu) | (uint32_t)action << 30;
}

/* Orders decided and journaled together. */
struct turn_held {
    uint64_t lsn, wave;
    uint32_t count;
    uint32_t children[IPC_BATCH_CHILDREN_MAX];
};

_Static_assert(ENG_BROKERS_MAX == IPC_SWITCHES_BROKERS, "a page per broker");

struct eng_turn {
    struct eng_turn_wiring wiring;
    struct eng_edge *edge;
    struct eng_pool *pool;
    struct eng_h2_sink sink;
    const struct eng_generation *generation; /* in force; NULL before the first */

    int64_t now_mono_ns, now_wall_ns; /* of this turn */
    uint64_t turns;
    bool stopping;
    bool wave_open;        /* the last turn left a wave for want of time, not of followers */
    uint64_t work;         /* things done in this turn: 0 = idle */
    int64_t began_mono_ns; /* this turn */
    int64_t busy_mono_ns;  /* last turn with work */

    struct eng_pages pages; /* switch_sequence: read at the turn's start, before any word */
    bool pages_known;       /* what exists of switches, prices and money is attached */

    struct turn_ring *rings;
    uint32_t ring_places, ring_next;
    uint8_t *record; /* one ring record, 64-byte aligned */

    struct eng_tracks tracks;
    struct turn_flight *flights; /* by child handle */
    uint64_t requests_open;

    struct eng_shapes shapes;
    bool room_is_short;     /* an order did not fit beside those of its own batch */

    struct turn_held *held; /* TURN_HELD_BATCHES */
    uint32_t held_first, held_count;

    /* Connections with bytes that have not all been taken, and the orders in them. */
    struct eng_connection **waiting;
    uint32_t waiting_count;
    uint8_t *is_waiting;                         /* by connection handle */
    int64_t *drained_mono_ns;                    /* by connection handle: when it was, last */
    uint32_t *reserved_streams, *reserved_bytes; /* by connection handle, inside one batch */
    uint32_t reserved[IPC_BATCH_CHILDREN_MAX], reserved_count; /* handles with any of these */
    /* HTTP/1.1: accounts whose connection is kept for the order that the batch may send. */
    uint32_t kept[IPC_BATCH_CHILDREN_MAX], kept_count;
    struct {
        uint32_t child, connection;
    } sent[TURN_SENT_MAX];
    uint32_t sent_count;

    /* Replies wait for a wave that is being sent, but not long, and not when it needs what they
     * give back. */
    bool wants_replies;      /* an order found no stream or window free */
    int64_t replies_mono_ns; /* when sockets were last read */

    /* Outcomes of this turn, not journaled yet. */
    struct ipc_fact_reply *replies;
    uint32_t *reply_children;
    uint32_t reply_count, frame;
    struct ipc_fact_alarm alarms[64];
    uint32_t alarm_count;

    /* Lanes of the generation in force: walked a part per turn. */
    uint32_t lane_next, lane_sweep;
    uint32_t *lane_stamp; /* by account - 1: generation count that put it on a lane */
    uint32_t generation_count;

    struct turn_limits *limits;       /* turn_limits.c */
    int64_t clock_step_ns; /* of a step whose GUARD fact is not journaled yet, 0 = none */
    struct eng_market_times day_times; /* turn_day.c: of the generation number day_generation */
    uint32_t day_generation;
    struct turn_books *books;         /* turn_books.c */
    struct turn_positions *positions; /* turn_books_positions.c */
    struct {                          /* turn_flatten.c */
        uint32_t next;                /* index of the follower that is asked next for its wish */
        uint32_t cursor;              /* position that is looked at next */
        uint32_t seen; /* marked positions without an own order after the last look */
        uint32_t wave_turns;
        bool looks; /* a look at the positions is under way */
        int64_t asked_mono_ns, looked_mono_ns, said_mono_ns;
    } flatten;

    uint32_t release_cursor;
    int64_t release_stalled_mono_ns; /* queues are not looked at before this */
    int64_t counters_mono_ns, keepalive_mono_ns, due_mono_ns;
    int64_t said_event_mono_ns;
    int64_t clock_offset_ns; /* wall minus monotonic at the last look; 0 = none yet */
    uint64_t sends_seen, records_seen, bytes_seen;
    char failure[200];
};

/* turn.c */
void turn_note(struct eng_turn *turn, enum eng_note_kind kind, enum ipc_log_level level,
    const int64_t *numbers, uint32_t count, const char *text);
/* turn_clock_read reads both clocks for what follows, and gives them to the journal's frames. */
void turn_clock_read(struct eng_turn *turn);
/* turn_append journals and applies one fact. Returns its lsn, 0 when the journal has no room. */
LS_MUST_USE uint64_t turn_append(struct eng_turn *turn, enum ipc_fact_type type,
    const void *payload, uint32_t bytes, uint32_t count);
/* turn_apply folds a frame that was just committed; a refusal is a bug. */
void turn_apply(struct eng_turn *turn, enum ipc_fact_type type, const void *payload, uint32_t bytes,
    uint32_t count, uint64_t lsn);
void turn_alarm(struct eng_turn *turn, const struct ipc_fact_alarm *alarm);

/* turn_rings.c */
void turn_rings_poll(struct eng_turn *turn, enum ipc_ring_class ring_class, uint32_t max);
bool turn_rings_ready(const struct eng_turn *turn);

/* turn_waves.c */
void turn_waves_step(struct eng_turn *turn);
/* turn_barred says whether a request may not leave under the words as they are now. */
bool turn_barred(const struct eng_turn *turn, const struct ipc_command *command);

/* turn_send.c */
/* turn_can_send asks for one more order of this account, counting what the batch has reserved;
 * turn_reserve_reset starts the next batch. */
bool turn_can_send(struct eng_turn *turn, uint32_t account);
void turn_reserve_reset(struct eng_turn *turn);
/* turn_dispatch makes the orders of one frame leave, or holds them until the disk has the frame. */
void turn_dispatch(struct eng_turn *turn, uint64_t lsn, struct eng_track *track,
    const uint32_t *children, uint32_t count, uint64_t decide_tsc);
void turn_held_go(struct eng_turn *turn);
void turn_flush(struct eng_turn *turn, uint32_t record_bytes, struct eng_track *track);
/* turn_accept notes that the kernel must have taken one order, before its connection was drained.
 */
void turn_accept(struct eng_turn *turn, uint32_t child, int64_t now_mono_ns);
/* turn_waiting_check finds connections whose bytes were all taken meanwhile. */
void turn_waiting_check(struct eng_turn *turn);
void turn_waiting_drop(struct eng_turn *turn, const struct eng_connection *connection);
void turn_keepalive(struct eng_turn *turn);

/* turn_guards.c: breakers. turn_guards_step journals what is due, before anything is decided;
 * turn_guards_clock is told of a step of the wall clock. */
void turn_guards_step(struct eng_turn *turn);
void turn_guards_clock(struct eng_turn *turn, int64_t step_ns);
/* turn_day.c: the market's day, and what is forgotten with it. */
void turn_day_step(struct eng_turn *turn);

/* turn_limits.c: money limits. turn_limits_step judges a few followers and moves the market's day
 * on; turn_limits_make is for start-up. */
LS_MUST_USE enum ipc_rc turn_limits_make(struct eng_turn *turn, uint32_t follower_slots);
void turn_limits_free(struct eng_turn *turn);
void turn_limits_step(struct eng_turn *turn);

/* turn_books.c: what became of orders whose outcome nobody knows. turn_books_came takes a book that
 * the porter read; turn_books_end gives back what is not dealt with. turn_facts journals and
 * applies what the core says; the caller has asked for room. */
LS_MUST_USE enum ipc_rc turn_books_make(struct eng_turn *turn, uint32_t accounts);
void turn_books_free(struct eng_turn *turn);
void turn_books_came(struct eng_turn *turn, struct eng_book *book);
void turn_books_step(struct eng_turn *turn);
bool turn_books_ready(const struct eng_turn *turn);
void turn_books_end(struct eng_turn *turn);
void turn_facts(struct eng_turn *turn, const struct eng_event_facts *facts);
/* turn_books_can_ask: one more question may go to the porter, and the journal has room for what
 * comes of it; turn_books_ask sends it. */
bool turn_books_can_ask(const struct eng_turn *turn);
void turn_books_ask(struct eng_turn *turn, const struct eng_books_ask *ask);

/* turn_books_positions.c: copied positions against the broker's. `by` says who wants it, "" = the
 * day's end. turn_positions_walk deals with a part of a book; false when it is done with it. */
LS_MUST_USE enum ipc_rc turn_positions_make(struct eng_turn *turn, uint32_t accounts);
void turn_positions_free(struct eng_turn *turn);
void turn_positions_want(struct eng_turn *turn, uint32_t account, const char *by);
void turn_positions_want_all(struct eng_turn *turn, const char *by);
void turn_positions_step(struct eng_turn *turn);
bool turn_positions_walk(struct eng_turn *turn, const struct eng_book *book);

/* turn_flatten.c: positions that are closed without an order of their master. */
void turn_flatten_step(struct eng_turn *turn);

/* turn_replies.c */
void turn_on_reply(const struct eng_h2_reply *reply, void *context);
void turn_on_loss(const struct eng_h2_loss *loss, void *context);
/* turn_not_sent: a request whose intent is journaled and of which no byte left. */
void turn_not_sent(
    struct eng_turn *turn, uint32_t child, uint32_t request_no, enum ipc_action action);
/* turn_replies_commit journals and applies the outcomes of this turn; what does not fit stays. */
void turn_replies_commit(struct eng_turn *turn);
/* turn_wave_end closes the record of a wave when it is finished. */
void turn_wave_end(struct eng_turn *turn, struct eng_track *track);

#endif
