/* sim.h: the simulated world around the real engine core and the real HTTP/2 machines.
 *
 *     masters ──► feed ──► ring ──► shell (eng_*, eng_h2_*) ──► links ──► brokers (nghttp2, books)
 *        ▲                             │                                      │
 *        prices, switches, rows        ▼                                      │
 *                                   journal (memory and a lagging disk)       │
 *                         feed of follower orders ◄──────────────────────────┘
 *
 * Everything that happens, and when, comes from one seed. The clock is a number, the network is
 * bytes with a due time, the disk is the part of the journal that counts as durable, and a crash is
 * a jump out of the engine's turn. One thread; nothing here reads a clock or opens a socket.
 *
 * checks.c is the judge: it looks at the journal's frames, at bytes that were handed to a link and
 * at the brokers' books, never at the engine's own tables alone. */
#ifndef LS_TESTS_SIM_SIM_H
#define LS_TESTS_SIM_SIM_H

#include <setjmp.h>

#include "adapters/broker/dialect.h"
#include "adapters/sim/api.h"
#include "engine/core/step.h"
#include "engine/net/h2.h"
#include "ipc/prng.h"
#include "tests/sim/books.h"
#include "tests/sim/faults.h"
#include "tests/sim/journal.h"
#include "tests/sim/tape.h"

#define SIM_BROKERS          2u
#define SIM_MASTERS          3u
#define SIM_FOLLOWERS        12u
#define SIM_ACCOUNTS         (SIM_MASTERS + SIM_FOLLOWERS)
#define SIM_INSTRUMENTS      5u
#define SIM_ORDERS           400u /* master orders of one seed */
#define SIM_CONNECTIONS      48u
#define SIM_REQUESTS         256u /* of one connection's life */
#define SIM_LANES            16u
#define SIM_GENERATIONS      64u
#define SIM_FEED             2048u
#define SIM_TAGS             8192u
#define SIM_HELD             1024u
#define SIM_FOLLOWER_FIRST   100u /* follower numbers are dense from here */
#define SIM_FOLLOWER_NOS     128u
#define SIM_CLUSTER          "simulated-world"
#define SIM_NEVER            INT64_MAX
#define SIM_LINES            1024u
#define SIM_MASTER_EQUITY_E8 (2000000 * LS_E8)

/* ---- the configuration of a generation ------------------------------------------------------- */

struct sim_rows {
    struct ipc_row_cluster cluster;
    struct ipc_row_broker brokers[SIM_BROKERS];
    struct ipc_row_account accounts[SIM_ACCOUNTS];
    struct ipc_row_instrument instruments[SIM_INSTRUMENTS];
    struct ipc_row_follower followers[SIM_FOLLOWERS];
    struct ipc_row_master masters[SIM_MASTERS];
    uint32_t master_slots[SIM_FOLLOWERS];
    struct ipc_row_list lists[2];
    uint32_t list_items[4];
    struct ipc_row_policy policies[SIM_FOLLOWERS]; /* by slot */
    struct ipc_row_list maps[1];
    struct ipc_row_map_item map_items[1];
    struct ipc_snapshot_view view;
};

/* ---- switches: what the page would hold ------------------------------------------------------ */

struct sim_switches {
    uint64_t sequence;
    uint8_t everything;
    uint8_t brokers[SIM_BROKERS];
    uint8_t masters[SIM_MASTERS];
    uint8_t slots[SIM_FOLLOWERS];
    uint8_t instruments[SIM_INSTRUMENTS];
};

/* ---- masters and the feed -------------------------------------------------------------------- */

struct sim_master_order {
    struct ipc_event state; /* as of now at the master's broker */
    int64_t changed_ns;     /* sim time */
};

/* An event on its way to the ring. */
struct sim_delivery {
    int64_t due_ns;
    struct ipc_event event;
};

/* What was last published of one order of a broker's book. */
struct sim_published {
    uint8_t status;
    bool known;
    int64_t filled_units, units, price_e8;
};

struct sim_feed {
    struct sim_delivery pending[SIM_FEED];
    uint32_t pending_count;
    struct ipc_event
        ring[SIM_FEED]; /* in shared memory: lives through a crash, not through a boot */
    uint32_t ring_first, ring_count;
    uint64_t ring_sequence;
    struct sim_published *published[SIM_BROKERS]; /* by order of the broker's book */
    uint32_t published_capacity[SIM_BROKERS];
    uint32_t ring_room; /* records that the ring takes, at most SIM_FEED */
    bool has_gap;       /* the ring was full: books are told again when it has room */
    bool is_whole;      /* no loss, no delay: while healing */
};

/* ---- network --------------------------------------------------------------------------------- */

struct sim_chunk {
    size_t end; /* of the pipe's bytes */
    int64_t due_ns;
};

#define SIM_CHUNKS 128u

/* Bytes under way in one direction. */
struct sim_pipe {
    uint8_t *bytes;
    size_t first, count, capacity; /* bytes[first, count) are under way */
    struct sim_chunk chunks[SIM_CHUNKS];
    uint32_t chunk_first, chunk_count;
    bool ended;    /* the writer is gone: a FIN follows the bytes */
    bool is_black; /* half-open: nothing arrives any more */
};

/* One request that was put into a connection, as the judge of its bytes needs it. */
struct sim_request {
    uint32_t stream_id, child, request_no;
    char tag[IPC_TAG_BYTES];
    uint8_t action, is_exit, was_handed, is_over;
    uint8_t instrument, slot, master;
    int64_t leave_by_mono_ns;
    uint64_t switch_sequence; /* words that it was decided under */
};

struct sim_lane;

struct sim_connection {
    uint64_t number;          /* from 1; 0 = the place is free */
    uint32_t broker, account; /* account 0 = of the shared pool */
    /* client's end */
    bool client_lives;
    bool is_retiring; /* takes no further request */
    struct eng_h2 *h2;
    void *h2_memory;
    uint8_t sealed[ENG_H2_BODY_MAX * 2]; /* given to TLS, not yet taken by the kernel */
    uint32_t sealed_count;
    uint64_t handed;          /* plain bytes that the kernel has taken */
    int64_t stalled_until_ns; /* the peer's window is shut until then */
    uint32_t stalled_room;
    struct sim_request requests[SIM_REQUESTS];
    uint32_t request_count;
    uint8_t frame_header[9]; /* the judge's own reading of what was handed */
    uint32_t header_have, frame_left, preface_left;
    /* broker's end */
    nghttp2_session *server;
    int64_t server_ends_ns; /* reset at this time, SIM_NEVER */
    bool server_fin;
    struct sim_pipe up, down;
};

struct sim_lane {
    uint32_t broker, account; /* account 0 = a member of the broker's pool */
    struct sim_connection *connection;
    int64_t connect_ns;
};

/* ---- brokers --------------------------------------------------------------------------------- */

/* What a broker is like (characters.c): how often it does what to a request, in parts per thousand,
 * and how long it takes. */
struct sim_character {
    const char *name;
    uint16_t odds[SIM_FAULT_COUNT];
    int64_t latency_ns, far_ns; /* of the network, one way, up to; of processing, up to */
    int64_t tail_ns;            /* one call in twenty takes up to this */
    bool trusts_goaway;
    uint32_t max_streams, window_bytes, table_bytes;
    int64_t book_lag_ns;    /* its capability record's */
    bool has_complete_book; /* rejected and filled orders too */
    bool book_by_tag;       /* one order can be asked for */
    uint8_t idempotency;    /* enum adp_idempotency: what a repeated tag does */
};

struct sim_call {
    struct adp_sim_call call;
    struct sim_call *next;
    struct sim_connection *connection; /* NULL when it is gone */
    int64_t run_ns, answer_ns;         /* SIM_NEVER = not yet known, or never */
    uint8_t fate, has_run, is_over;
    uint8_t lies;  /* its GOAWAY's last stream is below what was processed */
    uint64_t site; /* of its faults */
    char tag[52];
};

struct sim_broker {
    struct adp_sim_book *book;
    struct adp_sim_members members;
    struct adp_sim_api api;
    struct sim_character character;
    struct sim_call *calls;
    uint32_t trades_seen, orders_seen, acts_seen;
};

/* ---- the judge ------------------------------------------------------------------------------- */

/* sim_tag.is_unanswered of an exit that was sent. */
#define SIM_UNANSWERED 1u
#define SIM_IN_DOUBT   2u /* the answer is lost, or unknown */

/* What is known of one tag, from the journal's frames and from the brokers. */
struct sim_tag {
    char tag[IPC_TAG_BYTES]; /* empty = free */
    uint32_t follower_no, slot, action;
    uint64_t order_digits;
    uint8_t is_exit, instrument, source, master, product;
    uint8_t permits[4]; /* by action: frames that let its bytes leave, not yet used */
    int64_t left_ns;    /* when bytes of its place left last, sim time */
    uint32_t arrivals;  /* place requests that reached the broker */
    uint32_t accepted;  /* of them, orders that the broker took */
    uint8_t last_definite;
    /* as its frames say: what it is for, and what was heard of it */
    uint16_t incarnation;
    uint8_t side, on_fill, open_leg, is_unanswered, is_over, was_sent;
    uint8_t is_unresolved; /* nobody can say whether the broker has it */
    uint64_t decision;     /* lsn of its batch */
    int64_t ordered_e8, filled_e8;
    uint32_t last_request_no;
    uint64_t generation; /* of its first decision */
};

/* A copied position as the judge keeps it: what the book filled of one subscription's copies. A
 * plain list; entries and exits apart, by side. */
struct sim_line {
    uint32_t follower_no, slot, master;
    uint16_t incarnation;
    uint8_t source;               /* the master's instrument */
    uint8_t instrument, product;  /* what is traded: the same, or what a map names; from 1 */
    int64_t entries[2], exits[2]; /* units at the book: sold, bought */
    /* the run of plain reductions that is followed: what was held and the master had at its begin,
     * what he has closed since, what was ordered */
    uint64_t run;
    int64_t run_held, run_master, run_reduced, run_closed;
    uint8_t is_excused; /* something that has a right to leave a rest has happened to it */
};

/* A master's position by the journal's EVENT frames. */
struct sim_run {
    uint32_t master;
    uint8_t instrument, product, is_plain;
    uint64_t number;  /* of the run of reductions, raised with each opening */
    int64_t first_e8; /* what the master had at its first reduction; 0 = none yet */
};

/* A money limit that stops somebody's entries, by the journal's LIMIT frames. */
struct sim_trip {
    uint8_t kind, scope;
    uint16_t incarnation;
    uint32_t follower_no, account;
};

struct sim_judge {
    uint64_t journal_offset; /* frames before it were read */
    struct sim_tag *tags;
    uint32_t tag_count;
    uint64_t expected, decided; /* followers of waves; decisions in waves */
    struct ipc_row_follower rows[SIM_GENERATIONS][SIM_FOLLOWERS];
    struct ipc_row_policy policies[SIM_GENERATIONS][SIM_FOLLOWERS];
    struct sim_line lines[SIM_LINES];
    uint32_t line_count;
    struct sim_run runs[SIM_MASTERS * SIM_INSTRUMENTS * 5];
    uint32_t run_count;
    struct sim_trip trips[64];
    struct {
        int64_t given_e8;                   /* entries of an order, so far */
        int64_t ratio_e8;                   /* at the first of them */
    } given[SIM_ORDERS * 2][SIM_FOLLOWERS]; /* by slot */
    uint32_t trip_count;
    bool lost_tail; /* a journaled send was lost with the power: orders of it are orphans */
    uint64_t digits_count;
    struct {
        struct ipc_key key;
        uint64_t digits;
        uint32_t master, instrument;
        uint32_t source; /* of an order that flattens: the master's instrument */
        uint8_t product, type, side, status, is_own, reduces, was_reduction;
        int64_t qty_e8, filled_e8, average_e8, version, before_e8;
        uint64_t run; /* of a reduction: number of the run that it was seen in */
        int64_t received_mono_ns, feed_lag_ns, boot_ns; /* of its newest event */
    } orders[SIM_ORDERS * 2];
    bool is_rereading; /* after a power cut: what is counted again was checked before */
};

struct sim_figures {
    uint64_t steps, turns, events, frames, requests, arrivals, accepted, fills, replies, losses;
    uint64_t crashes, boots, generations, flips, faults, waves, skips, unknown, redecided, replays;
    uint64_t by_hand, trips, flattens, sizes_checked, closes_checked, flats_checked;
    uint64_t gaps, seconds, questions, missed, unresolved, orphans, guards;
    uint64_t by_kind[SIM_FAULT_COUNT];
};

/* ---- the shell ------------------------------------------------------------------------------- */

struct sim_held {
    uint64_t lsn;
    uint32_t child;
};

struct sim_shell {
    bool lives;
    void *core_memory, *core_other_memory, *bodies_memory;
    struct eng_core *core;
    struct eng_core_limits limits;
    struct eng_core_config config;
    struct eng_broker_policy policies[SIM_BROKERS];
    struct eng_h2_bodies bodies;
    struct sim_rows own[2];   /* the shell's copies: one in force, one for the next */
    struct sim_rows *adopted; /* NULL before the first */
    uint32_t release_cursor;
    struct sim_lane lanes[SIM_LANES];
    uint32_t lane_count;
    uint32_t member_of[SIM_ACCOUNTS]; /* pool member that serves an account */
    struct sim_switches seen;         /* nothing decided under older words can still leave */
    struct sim_held held[SIM_HELD];
    uint32_t held_count;
    bool is_power_tier;
    bool is_other_boot; /* until the OPEN fact of this boot is written */
    bool halt_word;     /* set after a lost tail: a person compares books before orders go again */
    uint32_t reserved[SIM_CONNECTIONS]; /* streams promised to the batch being decided */
    int64_t restart_ns, paused_until_ns;
    uint32_t crash_in; /* the turn dies at this crash point; 0 = none */
    bool is_slow;      /* takes few events and decides few batches a turn */
    bool is_stepped;   /* the wall clock was set: no entries until a person has seen it */
};

struct sim {
    const struct sim_options *options;
    uint64_t seed;
    struct ipc_prng prng;      /* of the stream in force */
    struct sim_faults *faults; /* kept from one world to the next, as large memory is */
    struct sim_tape tape;
    jmp_buf failed, crashed;
    bool in_turn;
    uint64_t step;
    int64_t now_ns;       /* since the world began */
    int64_t boot_ns;      /* when this boot began */
    int64_t wall_step_ns; /* what the wall clock was set by, so far */
    bool is_healing;
    int64_t healed_ns; /* when faults stopped */
    bool takes_entries;

    struct sim_rows published; /* the newest generation */
    uint32_t next_follower_no;
    struct sim_switches switches;
    int64_t price_e8[SIM_INSTRUMENTS], price_ns[SIM_INSTRUMENTS];
    int64_t capital_e8[SIM_FOLLOWERS], capital_ns[SIM_FOLLOWERS];

    struct sim_master_order orders[SIM_ORDERS];
    uint32_t order_count, order_max;
    uint32_t master_count, follower_count;
    int64_t version;

    struct sim_feed feed;
    struct sim_journal journal;
    struct sim_shell shell;
    struct sim_connection *connections; /* SIM_CONNECTIONS */
    uint64_t connection_number;
    struct sim_broker brokers[SIM_BROKERS];
    nghttp2_session_callbacks *callbacks;
    struct sim_question questions[SIM_ACCOUNTS];
    struct sim_answers *answers; /* SIM_ACCOUNTS */
    struct sim_judge judge;
    struct sim_figures figures;
    bool can_crash, can_lose_power;
    bool is_calm;     /* masters act one after the other, and brokers do as they are asked */
    bool is_restless; /* people change something at every step */
    bool owners_trade;
    uint8_t by_hand[SIM_ACCOUNTS][SIM_INSTRUMENTS]; /* its owner has traded it himself */
};

struct sim_options {
    uint64_t seed;
    uint32_t seeds, steps;
    bool verbose, json, shrink, soak;
    struct sim_replay replay;
    const char *replay_text; /* NULL = all faults happen */
    const char *except;      /* seeds that are not run: "n,n,n", or NULL */
    uint64_t soak_events;
    double soak_hours; /* 0 = until soak_events */
};

/* ---- chance ---------------------------------------------------------------------------------- */

/* What draws of one step are for. Each has a stream of its own, so that a fault that is left out
 * does not change what masters do later. */
enum {
    SIM_STREAM_WORLD = 0,
    SIM_STREAM_MASTERS,
    SIM_STREAM_MARKET,
    SIM_STREAM_FILLS,
    SIM_STREAM_POLL,
    SIM_STREAM_ENGINE,
    SIM_STREAM_PEOPLE /* and the kinds of faults from here on */
};

/* sim_stream starts the stream of this step. */
void sim_stream(struct sim *sim, uint32_t stream);

static inline bool sim_chance(struct sim *sim, uint32_t hits, uint32_t of)
{
    return hits != 0 && ipc_prng_chance(&sim->prng, hits, of);
}

/* A number in [low, high]. */
static inline int64_t sim_between(struct sim *sim, int64_t low, int64_t high)
{
    return low + (int64_t)ipc_prng_below(&sim->prng, (uint64_t)(high - low) + 1);
}

static inline uint32_t sim_below(struct sim *sim, uint32_t bound)
{
    return (uint32_t)ipc_prng_below(&sim->prng, bound);
}

/* ---- clocks ---------------------------------------------------------------------------------- */

static inline int64_t sim_mono(const struct sim *sim)
{
    return sim->now_ns - sim->boot_ns + 1000 * LS_NS_PER_S;
}

static inline int64_t sim_wall(const struct sim *sim)
{
    return INT64_C(1795235852) * LS_NS_PER_S + sim->now_ns + sim->wall_step_ns;
}

/* ---- world.c: rows, switches, prices --------------------------------------------------------- */

/* sim_world_make draws the configuration, the characters of the brokers and their books. */
void sim_world_make(struct sim *sim);
/* sim_rows_bind points the view at these rows. */
void sim_rows_bind(struct sim_rows *rows);
/* sim_token writes the token of an account at a version. */
void sim_token(uint32_t account, uint64_t version, char *out, size_t out_bytes);
/* sim_world_publish changes something of the configuration and makes it the next generation. */
void sim_world_publish(struct sim *sim);
/* sim_world_flip changes one switch word. */
void sim_world_flip(struct sim *sim);
void sim_world_price(struct sim *sim);
/* sim_world_heal stops every fault: switches run, tokens are good, prices are fresh. */
void sim_world_heal(struct sim *sim);
uint8_t sim_switch_word(const struct sim_switches *words, uint32_t master, uint32_t instrument,
    uint32_t slot, uint32_t broker);

/* ---- characters.c ---------------------------------------------------------------------------- */

/* sim_character_draw draws what a broker is like; sim_character_heal makes it a good one. */
void sim_character_draw(struct sim *sim, struct sim_character *is);
void sim_character_heal(struct sim_character *is);
/* sim_character_takes draws how long a call takes. */
int64_t sim_character_takes(struct sim *sim, const struct sim_character *is);

/* ---- policies.c ------------------------------------------------------------------------------ */

void sim_policy_draw(struct sim *sim, uint32_t slot);
void sim_policy_change(struct sim *sim, uint32_t slot);
void sim_owner_act(struct sim *sim);
void sim_operator_act(struct sim *sim);

/* ---- masters.c ------------------------------------------------------------------------------- */

/* sim_masters_act lets one master do something at its broker; the feed will tell of it. */
void sim_masters_act(struct sim *sim);
/* sim_masters_rescan publishes a master's whole book between begin and end. */
void sim_masters_rescan(struct sim *sim, uint32_t account, bool is_new_boot);
/* sim_masters_held returns what a master holds by his own book, signed. */
int64_t sim_masters_held(
    const struct sim *sim, uint32_t account, uint32_t instrument, uint8_t product);
/* sim_masters_flat lets each master close all that he holds. */
void sim_masters_flat(struct sim *sim);

/* ---- feed.c ---------------------------------------------------------------------------------- */

/* sim_feed_tell sends a state towards the ring: late, twice, out of order, or never. */
void sim_feed_tell(struct sim *sim, const struct ipc_event *event);
/* sim_feed_put puts a state into the ring now, as part of a book. */
void sim_feed_put(struct sim *sim, const struct ipc_event *event);
/* sim_feed_room tells books again when the ring was full and has room. */
void sim_feed_room(struct sim *sim);
/* sim_feed_poll looks at the followers' books and tells of what changed. */
void sim_feed_poll(struct sim *sim, bool whole);
/* sim_feed_event makes the state of an order of a book; false for what no book shows. */
bool sim_feed_event(struct sim *sim, const struct adp_sim_order *order, struct ipc_event *event);
/* sim_feed_step moves what is due into the ring. */
void sim_feed_step(struct sim *sim);
int64_t sim_feed_due(const struct sim *sim);

/* ---- broker.c -------------------------------------------------------------------------------- */

/* sim_broker_session makes the server's end of a connection. */
void sim_broker_session(struct sim *sim, struct sim_connection *connection);
/* sim_broker_receive takes bytes from the client. */
void sim_broker_receive(
    struct sim *sim, struct sim_connection *connection, const uint8_t *bytes, size_t count);
/* sim_broker_step runs and answers what is due, and sends what the sessions have to say. */
void sim_broker_step(struct sim *sim);
int64_t sim_broker_due(const struct sim *sim);
/* sim_broker_trouble changes settings, shuts connections: what a broker does of itself. */
void sim_broker_trouble(struct sim *sim);
void sim_broker_fill(struct sim *sim);
/* sim_broker_fill_exits fills every close that works. */
void sim_broker_fill_exits(struct sim *sim);
/* sim_broker_forget ends the calls of a connection that is gone. */
void sim_broker_forget(struct sim *sim, struct sim_connection *connection);
void sim_broker_free(struct sim *sim);

/* ---- net.c ----------------------------------------------------------------------------------- */

void sim_pipe_put(
    struct sim *sim, struct sim_pipe *pipe, const uint8_t *bytes, size_t count, int64_t latency_ns);
/* sim_net_open connects a lane; NULL when no place is free. */
struct sim_connection *sim_net_open(struct sim *sim, uint32_t broker, uint32_t account);
/* sim_net_client_gone: the client's end was closed, in order or by its process's death. */
void sim_net_client_gone(struct sim *sim, struct sim_connection *connection, bool loses_bytes);
/* sim_net_server_gone ends the server's end now; what it has sent may be lost. */
void sim_net_server_gone(struct sim *sim, struct sim_connection *connection, bool loses_bytes);
/* sim_net_up delivers what is due to the brokers. */
void sim_net_up(struct sim *sim);
/* sim_net_down takes what is due to a client.
 *   returns  bytes copied to out; *ended: the peer is gone and nothing more comes */
size_t sim_net_down(
    struct sim *sim, struct sim_connection *connection, uint8_t *out, size_t room, bool *ended);
int64_t sim_net_due(const struct sim *sim);
void sim_net_sweep(struct sim *sim);

/* ---- shell.c, shell_net.c -------------------------------------------------------------------- */

void sim_shell_start(struct sim *sim);            /* the first start, or after a crash: recovery */
void sim_shell_turn(struct sim *sim);             /* one turn; may die at a crash point */
void sim_shell_kill(struct sim *sim, bool power); /* after a crash point: what the system does */
/* sim_shell_point dies here when this point was drawn. */
void sim_shell_point(struct sim *sim);
void sim_shell_adopt(struct sim *sim);
/* sim_shell_append journals and applies one fact. */
uint64_t sim_shell_append(
    struct sim *sim, enum ipc_fact_type type, const void *payload, uint32_t bytes, uint32_t count);
void sim_shell_apply(struct sim *sim, enum ipc_fact_type type, const void *payload, uint32_t bytes,
    uint32_t count, uint64_t lsn);
int64_t sim_shell_due(const struct sim *sim);

/* shell_limits.c: money limits, and positions that are to become flat. */
void sim_shell_limits(struct sim *sim);

void sim_shell_lanes(struct sim *sim);
bool sim_shell_can_send(struct sim *sim, uint32_t account);
void sim_shell_dispatch(struct sim *sim, uint64_t lsn, const uint32_t *children, uint32_t count);
void sim_shell_held(struct sim *sim);
void sim_shell_receive(struct sim *sim);
void sim_shell_flush(struct sim *sim);
void sim_shell_expire(struct sim *sim);
/* true while bytes of requests wait for a link or for the disk. */
bool sim_shell_backlog(const struct sim *sim);

/* ---- positions.c ----------------------------------------------------------------------------- */

/* The judge of copied positions: told what the journal's frames say and what books fill. */
struct sim_line *sim_line_of(struct sim *sim, const struct sim_tag *tag);
void sim_positions_event(
    struct sim *sim, uint32_t order, const struct ipc_fact_event *fact, bool is_new);
void sim_positions_batch(struct sim *sim, uint32_t order, const struct ipc_fact_batch *fact);
void sim_positions_permit(struct sim *sim, struct sim_tag *tag);
void sim_positions_reply(struct sim *sim, const struct ipc_fact_reply *replies, uint32_t count);
void sim_positions_update(struct sim *sim, const struct ipc_fact_event *fact);
void sim_positions_limit(struct sim *sim, const struct ipc_fact_limit *fact);
void sim_positions_trade(
    struct sim *sim, const struct sim_tag *tag, bool is_buy, const struct adp_sim_trade *trade);
/* An exit that the book took, or changed: what works and what filled is within what entries
 * brought. */
void sim_positions_works(
    struct sim *sim, const struct adp_sim_book *book, const struct sim_tag *tag);
/* After healing: the engine's positions are the folds of the books' fills. */
bool sim_positions_agree(const struct sim *sim, char *why, size_t why_bytes);
/* The masters are about to close what they hold: their followers' copies of it will be. */
void sim_positions_begin_flat(struct sim *sim);
/* The masters are flat: so are their followers. */
void sim_positions_flat(struct sim *sim);

/* ---- life.c ---------------------------------------------------------------------------------- */

/* sim_make allocates what worlds need; one of them lives in it at a time. */
struct sim *sim_make(void);
/* sim_live runs the world of a seed to its end.
 *   returns  false when a promise was broken: sim->tape says which */
bool sim_live(struct sim *sim, const struct sim_options *options, uint64_t seed);

/* ---- shrink.c, soak.c, options.c ------------------------------------------------------------- */

/* sim_shrink runs the seeds and finds, for each that fails, few faults that are enough.
 *   returns  the program's exit code */
int sim_shrink(struct sim *sim, const struct sim_options *options);
/* sim_soak runs worlds until there were enough events or hours; the program's exit code. */
int sim_soak(struct sim *sim, const struct sim_options *options);
/* sim_options_read takes the command line; ends the process for --help, --check, --version.
 *   returns  false after a sentence on stderr */
bool sim_options_read(int count, char **arguments, struct sim_options *options);
/* sim_options_excepts: this seed is not to be run. */
bool sim_options_excepts(const struct sim_options *options, uint64_t seed);
void sim_figures_add(struct sim_figures *sum, const struct sim_figures *one);
void sim_figures_print(const struct sim_figures *figures, bool json, double seconds);
/* sim_failure_print writes the tape, what failed and the command that shows it again. */
void sim_failure_print(const struct sim *sim, const char *what);

/* ---- checks.c -------------------------------------------------------------------------------- */

void sim_check_begin(struct sim *sim);
/* The journal's complete frames are read: permits, conservation, switches. */
void sim_check_journal(struct sim *sim);
/* The kernel has taken the header of a request's first frame. */
void sim_check_handed(
    struct sim *sim, const struct sim_connection *connection, struct sim_request *request);
/* A place request reached the broker, before the book sees it. */
void sim_check_arrival(struct sim *sim, struct sim_call *call);
/* The brokers' books: acceptances, caps, fills. */
void sim_check_books(struct sim *sim);
void sim_check_counters(struct sim *sim);
/* Unused permits die with the process. */
void sim_check_crash(struct sim *sim, bool power);
/* Folding the journal again gives the same state. */
void sim_check_replay(struct sim *sim);
/* An account whose book proves nothing stays shut after a start: a person was paged. */
bool sim_check_shut(const struct sim *sim, uint32_t slot);
/* After healing. */
bool sim_check_settled(const struct sim *sim, char *why, size_t why_bytes);
void sim_check_end(struct sim *sim);
struct sim_tag *sim_tag_find(struct sim *sim, const char *tag);

#endif
