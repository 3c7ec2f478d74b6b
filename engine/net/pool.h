/* pool.h: which connection serves an account, and the care of all connections on the pinned thread.
 *
 * A lane is where an account's orders go: its own connection (bound to its registered address), or
 * a shared pool of several to one broker from one source address. In a shared lane an account keeps
 * its connection while that lives, so its orders stay in order; it changes only when nothing of it
 * is in flight there.
 *
 *     eng_pool_lane, eng_pool_account           when a generation is adopted
 *     eng_pool_want → porter → eng_pool_attach | eng_pool_failed
 *     eng_pool_serve, eng_pool_request, eng_pool_flush            sending
 *     eng_pool_turn                             receiving, timers, care; tells the sink
 *     eng_pool_retired → porter (eng_connector_recycle)
 *
 * Over HTTP/1.1 a connection takes one request at a time: an own lane is one order in flight, and a
 * shared lane serves an account that has nothing in flight by any connection that is idle.
 *
 * Care: PING every interval with a deadline; rotation before the peer's request limit, the new
 * connection first; reconnects with back-off and jitter under a cap per broker; an own lane whose
 * socket still holds bytes of an entry past its age is reset (STALE_BYTES), a shared one takes no
 * new orders then.
 *
 * Threads: the pinned thread only. Allocates nothing after eng_pool_make. */
#ifndef LS_ENGINE_NET_POOL_H
#define LS_ENGINE_NET_POOL_H

#include "engine/net/connection.h"

#define ENG_POOL_MEMBERS_MAX 64u /* connections of a shared lane */
#define ENG_POOL_NO_LANE     UINT32_MAX
#define ENG_POOL_BROKERS_MAX 64u

struct eng_pool;

struct eng_pool_config {
    uint32_t connections;     /* handles are below this; as the connector's */
    uint32_t lanes;           /* at one time */
    uint32_t accounts;        /* account numbers are [1, accounts] */
    uint32_t body_chunks;     /* eng_h2_bodies; 0 = 2048 (4 MiB) */
    uint64_t seed;            /* of the jitter */
    int64_t ping_deadline_ns; /* 0 = 2 s */
    int64_t stale_check_ns;   /* SIOCOUTQ interval while an entry may be stuck; 0 = 10 ms */
};

/* eng_pool_make allocates everything, at start-up; `edge` lives longer than the pool. */
LS_MUST_USE enum ipc_rc eng_pool_make(const struct eng_pool_config *config, struct eng_edge *edge,
    struct eng_pool **pool, struct ipc_error *error);
void eng_pool_free(struct eng_pool *pool);

/* What the pool must know of a broker (values of ipc_row_broker with defaults filled in). */
struct eng_pool_broker {
    uint32_t requests_per_connection;
    uint32_t connects_per_second;
    int64_t ping_interval_ns;
    uint16_t pool_connections; /* [1, ENG_POOL_MEMBERS_MAX] */
};
void eng_pool_broker(struct eng_pool *pool, uint16_t broker, const struct eng_pool_broker *terms);

struct eng_lane_key {
    uint16_t broker;
    uint8_t source_family; /* 0, 4, 6 */
    uint8_t reserved;
    uint32_t account; /* own lane of this account; 0 = shared */
    uint8_t source_address[16];
};

/* eng_pool_lane finds or makes the lane of a key; ENG_POOL_NO_LANE when all are in use (of shared
 * lanes there are at most 128). The terms
 * of its broker are set before. */
uint32_t eng_pool_lane(struct eng_pool *pool, const struct eng_lane_key *key);
const struct eng_lane_key *eng_pool_lane_key(const struct eng_pool *pool, uint32_t lane);

/* eng_pool_account puts an account on a lane, or on none (ENG_POOL_NO_LANE). A lane without
 * accounts drains and its number becomes free. */
void eng_pool_account(struct eng_pool *pool, uint32_t account, uint32_t lane);

/* eng_pool_want gives the next connection that should be made; call it until false, then again
 * next turn. Each is answered by attach or failed. */
struct eng_pool_want {
    uint32_t lane, member;
    struct eng_lane_key key;
};
bool eng_pool_want(struct eng_pool *pool, int64_t now_mono_ns, struct eng_pool_want *out);

/* eng_pool_attach takes over a warm connection (lane and member as wanted). When the lane has gone
 * meanwhile the connection retires at once. */
void eng_pool_attach(struct eng_pool *pool, struct eng_connection *connection, int64_t now_mono_ns);
void eng_pool_failed(struct eng_pool *pool, uint32_t lane, uint32_t member, int64_t now_mono_ns);

/* eng_pool_serve returns the connection that an account's next request goes to, NULL when there is
 * none now. Cheap: two reads when the account has one. */
struct eng_connection *eng_pool_serve(struct eng_pool *pool, uint32_t account);

/* HTTP/1.1 takes one request at a time, so what a batch decides to send there is set aside first.
 * eng_pool_reserve keeps the connection that eng_pool_serve named for this account's next request:
 * other accounts of the lane are served elsewhere, and eng_pool_is_reserved says so to a second
 * order of the same account. The request ends it, or eng_pool_unreserve. HTTP/2: nothing to do,
 * false. */
void eng_pool_reserve(
    struct eng_pool *pool, const struct eng_connection *connection, uint32_t account);
bool eng_pool_is_reserved(const struct eng_pool *pool, const struct eng_connection *connection);
void eng_pool_unreserve(struct eng_pool *pool, uint32_t account);

/* eng_pool_request appends a request on the connection that eng_pool_serve named. When the arena is
 * full, what waits on this connection is sealed and sent first: whatever must be complete before a
 * byte leaves (the journal's frame) is complete before this call.
 *   returns  as eng_h2_request; NO_ROOM only while the socket takes nothing */
LS_MUST_USE enum eng_h2_admission eng_pool_request(struct eng_pool *pool,
    struct eng_connection *connection, const struct eng_h2_request *request, int64_t now_mono_ns);

/* eng_pool_flush seals and sends what is waiting on all connections, as far as sockets take it.
 *   record_bytes  [512, ENG_TLS_RECORD_BYTES]
 *   sink          hears what was withdrawn because it was too old to be sealed, and losses of
 *                 sockets that failed
 *   returns       cipher bytes accepted by the kernel in this call */
uint64_t eng_pool_flush(struct eng_pool *pool, uint32_t record_bytes, int64_t now_mono_ns,
    const struct eng_h2_sink *sink);

/* eng_pool_turn receives from at most max_events sockets' events (<= 256), moves unfinished sends
 * on and looks after timers.
 *   *woken   set when the watched descriptor is readable; may be NULL
 *   returns  events handled: 0 = idle */
uint32_t eng_pool_turn(struct eng_pool *pool, uint32_t max_events, int64_t now_mono_ns,
    const struct eng_h2_sink *sink, bool *woken);

/* eng_pool_next_due returns when eng_pool_turn has timer work, for the sleep of an idle shard. */
int64_t eng_pool_next_due(const struct eng_pool *pool);

/* eng_pool_keepalive gives a connection that has sent no request for idle_ns (or, sooner: for half
 * of the time after which an HTTP/1.1 peer has said that it closes, and for a second when it is
 * fresh), each once per idle period; the shell sends its cheap GET there. false when there is none.
 */
bool eng_pool_keepalive(struct eng_pool *pool, uint16_t broker, int64_t idle_ns,
    int64_t now_mono_ns, struct eng_connection **connection, uint32_t *account);

/* eng_pool_retired gives connections that are over, to be handed to the porter; false when none. */
bool eng_pool_retired(struct eng_pool *pool, struct eng_connection **connection);

/* eng_pool_shut ends everything (shutdown): losses are told, every connection retires over the next
 * turns. */
void eng_pool_shut(struct eng_pool *pool, const struct eng_h2_sink *sink);

struct eng_pool_figures {
    uint32_t live, draining, connecting, streams_open, overdue;
    uint64_t attached, failed, lost, pings_lost, stale_resets, sends, records, cipher_bytes;
    uint64_t send_ticks; /* time stamp counter ticks inside send calls */
    uint64_t rotated, protocol_errors;
    char last_error[96]; /* what the last protocol error was */
};
void eng_pool_figures(const struct eng_pool *pool, struct eng_pool_figures *out);

/* eng_pool_totals gives the counters alone (attached and what follows), without a look at every
 * connection; valid while the pool lives. */
const struct eng_pool_figures *eng_pool_totals(const struct eng_pool *pool);

/* True when the account has a live connection whose last sign of life is in time. */
bool eng_pool_up(const struct eng_pool *pool, uint32_t account);

#endif
