/* net_private.h: the connection, between net.c (sockets, TLS, time) and its two protocols (h2.c,
 * http1.c). */
#ifndef LS_ADP_SIM_NET_PRIVATE_H
#define LS_ADP_SIM_NET_PRIVATE_H

#include "adapters/sim/net.h"

#define ADP_SIM_BODY_BYTES_MAX   (1u << 20)
#define ADP_SIM_HEADER_BYTES_MAX 32768u

struct adp_sim_listener;

/* A protocol turns bytes into calls and answers into bytes; it touches no socket. */
struct adp_sim_protocol {
    bool (*open)(struct adp_sim_conn *conn);
    /* false: the peer broke the protocol; what was produced is flushed, then the connection ends */
    bool (*receive)(struct adp_sim_conn *conn, const uint8_t *bytes, size_t count);
    /* appends what can be sent now to conn->out; false: nothing more will ever come, close after
     * the flush */
    bool (*produce)(struct adp_sim_conn *conn);
    void (*answer)(struct adp_sim_conn *conn, struct adp_sim_call *call);
    void (*close)(struct adp_sim_conn *conn);
};

extern const struct adp_sim_protocol adp_sim_h2;
extern const struct adp_sim_protocol adp_sim_http1;
extern const struct adp_sim_protocol adp_sim_relay;

struct adp_sim_conn {
    struct adp_sim_net *net;
    const struct adp_sim_listener *listener;
    int fd;
    SSL *ssl;
    const struct adp_sim_protocol *protocol; /* NULL until the handshake is over */
    void *state;                             /* the protocol's */
    uint64_t number;
    uint32_t address;
    const char *address_text;
    struct adp_sim_text out;
    size_t out_sent;
    bool dirty, want_write, closing, dead, frozen, ignore_pings;
    struct adp_sim_conn *next_dirty;
    struct adp_sim_conn *next, *previous; /* all open connections */
    struct adp_sim_call *calls;           /* made by this connection and not yet ended */
};

/* adp_sim_net_call_begin makes an empty call of conn; adp_sim_net_call_end releases it, or leaves
 * it to its timer. */
struct adp_sim_call *adp_sim_net_call_begin(struct adp_sim_conn *conn);
void adp_sim_net_call_end(struct adp_sim_call *call);

/* adp_sim_net_call_run stamps a complete request, runs the handler and does what it says. */
void adp_sim_net_call_run(struct adp_sim_call *call);

/* adp_sim_net_dirty makes sure that the connection is flushed at the end of this turn. */
void adp_sim_net_dirty(struct adp_sim_conn *conn);

struct adp_sim_net_stats *adp_sim_net_stats_of(struct adp_sim_net *net);
void adp_sim_net_conn_reset(struct adp_sim_conn *conn);
void adp_sim_net_conn_freeze(struct adp_sim_conn *conn, bool frozen);

/* adp_sim_net_conn_add makes a connection of a socket: plain, of no listener, read from now on. */
struct adp_sim_conn *adp_sim_net_conn_add(struct adp_sim_net *net, int fd);

/* adp_sim_net_relay gives a connection over to the relay's server, with the bytes of its upgrade
 * request. The protocol's state is gone afterwards.
 *   returns   false, and nothing changed, when there is no relay or its server cannot be reached */
LS_MUST_USE bool adp_sim_net_relay(struct adp_sim_conn *conn, const char *bytes, size_t count);
uint16_t adp_sim_net_relay_port(const struct adp_sim_net *net);

/* adp_sim_net_next returns the next open broker connection after one (NULL: the first), of this
 * number (0: any), or NULL. */
struct adp_sim_conn *adp_sim_net_next(
    const struct adp_sim_net *net, const struct adp_sim_conn *after, uint64_t number);

/* For faults, HTTP/2 only. */
void adp_sim_h2_settings(struct adp_sim_conn *conn, const struct adp_sim_settings_change *change);
void adp_sim_h2_goaway(struct adp_sim_conn *conn, int32_t last_stream, uint32_t error_code);
void adp_sim_h2_rst_stream(struct adp_sim_conn *conn, int32_t stream, uint32_t error_code);
void adp_sim_h2_resume(struct adp_sim_conn *conn, int32_t stream);

const char *adp_sim_status_phrase(int status);

#endif
