/* net.h: the simulator's event loop: listeners, connections, TLS, timers. One thread, epoll.
 *
 * A connection reads what is there, gives the bytes to its protocol (HTTP/2 or HTTP/1.1, by ALPN
 * under TLS), and what all its answers of one turn amount to leaves in one write at the end of the
 * turn. */
#ifndef LS_ADP_SIM_NET_H
#define LS_ADP_SIM_NET_H

#include "adapters/sim/book.h"
#include "adapters/sim/call.h"

#include <openssl/ssl.h>

struct adp_sim_net;
struct adp_sim_error {
    char text[512];
};

/* What a connection announces, and how many there may be. */
struct adp_sim_h2_settings {
    uint32_t max_concurrent_streams; /* >= 1 */
    uint32_t initial_window_bytes;   /* [1, 2^31) */
    uint32_t connection_window_bytes;
    uint32_t header_table_bytes;
};

struct adp_sim_net_stats {
    uint64_t connections_opened, connections_closed, handshakes_failed;
    uint64_t tls12, tls13, alpn_h2, alpn_http11, alpn_none, resumed;
    uint64_t pings, requests, bytes_in, bytes_out;
    uint64_t protocol_errors, resets_by_peer;
};

struct adp_sim_net *adp_sim_net_create(struct adp_sim_book *book,
    const struct adp_sim_h2_settings *settings, uint32_t connections_max);
void adp_sim_net_destroy(struct adp_sim_net *net);

/* adp_sim_net_listen binds address ("127.0.0.1", "::1", "0.0.0.0", "::") and *port; 0 takes a free
 * one. tls       NULL for plain HTTP/1.1 port      in: the port asked for; out: the port bound
 *   returns   false with a sentence in error */
LS_MUST_USE bool adp_sim_net_listen(struct adp_sim_net *net, const char *address, uint16_t *port,
    SSL_CTX *tls, adp_sim_call_fn handler, void *context, struct adp_sim_error *error);

/* adp_sim_net_on_connect sets who is told of each new broker connection, before its first byte. */
typedef void (*adp_sim_connect_fn)(struct adp_sim_conn *conn, void *context);
void adp_sim_net_on_connect(struct adp_sim_net *net, adp_sim_connect_fn fn, void *context);

/* adp_sim_net_relay_to lets WebSocket upgrades that come in over TLS go on to a plain server on
 * 127.0.0.1, as a broker's front does: its bytes pass in both directions from then on. 0: refused.
 */
void adp_sim_net_relay_to(struct adp_sim_net *net, uint16_t port);

/* adp_sim_net_run serves until *stop is not 0 or adp_sim_net_stop was called. */
void adp_sim_net_run(struct adp_sim_net *net, const volatile int *stop);
void adp_sim_net_stop(struct adp_sim_net *net);

/* adp_sim_net_after calls fn(context) once, delay_ns from now. context comes from malloc and fn
 * frees it; the net frees it when it is destroyed first. */
typedef void (*adp_sim_timer_fn)(void *context);
void adp_sim_net_after(
    struct adp_sim_net *net, int64_t delay_ns, adp_sim_timer_fn fn, void *context);

/* The number of a connection, from 1, never used again; and the settings that new connections
 * announce. */
uint64_t adp_sim_net_number(const struct adp_sim_conn *conn);
const struct adp_sim_h2_settings *adp_sim_net_usual_settings(const struct adp_sim_net *net);

const struct adp_sim_net_stats *adp_sim_net_stats(const struct adp_sim_net *net);
uint32_t adp_sim_net_open_count(const struct adp_sim_net *net);

/* What faults do to a connection. connection is its number; 0 means every open broker connection.
 * They do nothing to connections that are gone or, where it is about HTTP/2, speak HTTP/1.1. */
struct adp_sim_settings_change { /* UINT32_MAX leaves a value as it is */
    uint32_t header_table_bytes, initial_window_bytes, max_concurrent_streams;
};
void adp_sim_net_settings(
    struct adp_sim_net *net, uint64_t connection, const struct adp_sim_settings_change *change);
/* last_stream negative: the highest stream seen. close_after_ns negative: left open. */
void adp_sim_net_goaway(struct adp_sim_net *net, uint64_t connection, int32_t last_stream,
    uint32_t error_code, int64_t close_after_ns);
void adp_sim_net_no_ping(struct adp_sim_net *net, uint64_t connection, bool ignore_pings);
/* A frozen connection is neither read nor written. */
void adp_sim_net_freeze(struct adp_sim_net *net, uint64_t connection, bool frozen);
void adp_sim_net_reset(struct adp_sim_net *net, uint64_t connection);

int64_t adp_sim_mono_ns(void);
int64_t adp_sim_wall_ns(void);

#endif
