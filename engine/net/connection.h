/* connection.h: one connection to a broker: socket, TLS session, HTTP machine, arenas. It is made
 * and warmed by the porter (connect.h), handed to the pinned thread by pointer, served there by the
 * pool (pool.h), and comes back to the porter by pointer to be taken apart.
 *
 * Per connection: plain arena, cipher arena, stream table in one block; TLS beside it; together at
 * most 100 KiB. */
#ifndef LS_ENGINE_NET_CONNECTION_H
#define LS_ENGINE_NET_CONNECTION_H

#include "engine/net/edge.h"
#include "engine/net/h1.h"
#include "engine/net/h2.h"
#include "engine/net/tls.h"

#define ENG_CONNECTION_PLAIN_BYTES  (22u * 1024u)
#define ENG_CONNECTION_CIPHER_BYTES (20u * 1024u)
#define ENG_CONNECTION_STREAM_SLOTS 128u

struct eng_connection {
    uint32_t handle; /* number of the block, and of the socket at the edge; permanent */
    uint32_t lane;   /* pool.h; set by whoever asked for the connection */
    uint32_t member; /* which of the lane's connections */
    int fd;
    struct eng_h2 *h2; /* one of these two, from the end of the handshake on: what ALPN chose */
    struct eng_h1 *h1;
    struct eng_tls tls;
    uint8_t *cipher_arena;
    void *machine_memory; /* of h2 or h1 */
    uint16_t broker;
    bool is_own;   /* serves one account */
    bool dirty;    /* has plain bytes to seal: in the pool's list */
    bool ended;    /* losses were reported; waits for REMOVED */
    bool draining; /* takes no new requests, ends when the last reply is in */
    bool clogged;  /* its socket holds bytes of an entry past its age: takes no new requests */
    bool resumed;  /* the TLS session was resumed */
    uint32_t requests_left; /* until the peer limits requests per connection */
    uint32_t rotate_left;   /* another connection is wanted from this many on */
    uint32_t accounts;      /* whose requests come here */
    uint32_t last_account;  /* that sent on it, 0 = none yet */
    uint32_t list_index;    /* in the pool's list of connections */
    int broken;             /* errno of a send that failed where nobody could be told yet */
    int error_code;         /* why it ended: errno, or 0 */
    int64_t attached_mono_ns, draining_mono_ns;
    uint64_t handed_tsc; /* time stamp counter when the socket last took bytes; 0 = never */
    int64_t last_request_mono_ns;
    int64_t next_ping_mono_ns;
    /* The oldest entry whose bytes may still sit in the socket, and the newest one. An end of 0
     * says that it is not sealed yet. */
    int64_t watch_leave_by_mono_ns, newest_leave_by_mono_ns; /* INT64_MAX = none */
    uint64_t watch_cipher_end, newest_cipher_end;
};

/* eng_connection_can_send / eng_pool_request: as eng_h2_* or eng_h1_*, and SHUT once it ended or
 * drains. A request is in the plain arena afterwards; eng_pool_flush makes it leave. HTTP/1.1 peers
 * may close whenever nothing is in flight, so there the socket is asked as well: SHUT when the end
 * has come, NO_STREAM when bytes wait that were not read yet. Pinned thread. */
enum eng_h2_admission eng_connection_can_send(const struct eng_connection *connection,
    uint32_t header_bytes, uint32_t list_bytes, uint32_t body_bytes);

/* The machine that the connection has, whichever it is. */
static inline struct adp_span eng_connection_output(const struct eng_connection *connection)
{
    return connection->h1 != NULL ? eng_h1_output(connection->h1) : eng_h2_output(connection->h2);
}

static inline void eng_connection_output_taken(struct eng_connection *connection, size_t bytes)
{
    if (connection->h1 != NULL)
        eng_h1_output_taken(connection->h1, bytes);
    else
        eng_h2_output_taken(connection->h2, bytes);
}

static inline uint64_t eng_connection_sealed(const struct eng_connection *connection)
{
    return connection->h1 != NULL ? eng_h1_sealed(connection->h1) : eng_h2_sealed(connection->h2);
}

/* Requests that it would take now by their number alone. */
static inline uint32_t eng_connection_free_streams(const struct eng_connection *connection)
{
    return connection->h1 != NULL ? !eng_h1_in_flight(connection->h1)
                                  : eng_h2_free_streams(connection->h2);
}

/* Requests without a reply; and those of them whose TIMEOUT was reported. */
static inline uint32_t eng_connection_open_streams(const struct eng_connection *connection)
{
    return connection->h1 != NULL ? eng_h1_in_flight(connection->h1)
                                  : eng_h2_open_streams(connection->h2);
}

static inline uint32_t eng_connection_overdue_streams(const struct eng_connection *connection)
{
    return connection->h1 != NULL ? eng_h1_overdue(connection->h1)
                                  : eng_h2_overdue_streams(connection->h2);
}

static inline uint32_t eng_connection_replies(const struct eng_connection *connection)
{
    return connection->h1 != NULL ? eng_h1_replies(connection->h1) : eng_h2_replies(connection->h2);
}

#endif
