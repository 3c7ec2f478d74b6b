/* connect.h: the porter's side: makes connections and warms them, many at a time, without blocking.
 *
 *     socket, bind to the source address, connect → TLS (chain and name verified, ALPN)
 *     → h2: preface, SETTINGS → peer's SETTINGS, our ACK, one PING back → a warm connection
 *     → http/1.1: a session ticket, or 20 ms (TLS 1.2: at once) → a warm connection
 *
 * A lane that names a source address opens only from it: getsockname must say so, else the attempt
 * fails. Until the warm-up is over nothing of a request exists, so every failure here means that
 * not a byte of an order left. Each failure is one sentence that names the broker and says what to
 * do.
 *
 * Threads: the porter only. Allocates (OpenSSL sessions); connection blocks are made at start. */
#ifndef LS_ENGINE_NET_CONNECT_H
#define LS_ENGINE_NET_CONNECT_H

#include "engine/net/connection.h"

#include <netinet/in.h>
#include <sys/socket.h>

struct eng_connector;

struct eng_connector_config {
    uint32_t connections; /* blocks: connections that exist at one time, attempts included */
    uint32_t attempts;    /* at one time, [1, 4096] */
    int64_t timeout_ns;   /* of one attempt, from connect to warm; 0 = 10 s */
};

/* eng_connector_make allocates the blocks (pre-faulted) and the list of attempts. */
LS_MUST_USE enum ipc_rc eng_connector_make(const struct eng_connector_config *config,
    struct eng_connector **connector, struct ipc_error *error);
/* eng_connector_free: every connection is back (eng_connector_recycle). Open attempts are dropped.
 */
void eng_connector_free(struct eng_connector *connector);

/* eng_connect_resolve turns host (name or address) and port into an address; blocks for DNS.
 *   family  0 = any, 4 or 6
 *   returns IPC_OK; IPC_NOT_FOUND with a sentence in *error */
LS_MUST_USE enum ipc_rc eng_connect_resolve(const char *broker, const char *host, uint16_t port,
    uint8_t family, struct sockaddr_storage *address, socklen_t *address_bytes,
    struct ipc_error *error);

struct eng_connect_target {
    const char *broker;              /* for sentences; kept until the attempt is over */
    struct eng_tls_context *context; /* of the broker; lives until the attempt is over */
    struct sockaddr_storage address;
    socklen_t address_bytes;
    uint8_t source_family;      /* 0 = any, 4 or 6: must agree with address */
    uint8_t source_address[16]; /* network order; IPv4 in the first 4 */
    uint32_t user_timeout_ms;   /* TCP_USER_TIMEOUT, at most the entry age limit; 0 = 2000 */
    uint32_t lane, member;      /* come back in the result */
};

/* eng_connect_start begins an attempt.
 *   returns  IPC_OK (a result will come); IPC_FULL when all attempts or blocks are in use;
 *            IPC_SYSTEM or IPC_REFUSED with a sentence when it failed at once (no result comes) */
LS_MUST_USE enum ipc_rc eng_connect_start(struct eng_connector *connector,
    const struct eng_connect_target *target, int64_t now_mono_ns, struct ipc_error *error);

struct eng_connect_result {
    uint32_t lane, member;
    struct eng_connection *connection; /* warm, the taker's; NULL when the attempt failed */
    struct ipc_error error;            /* when it failed */
};

/* eng_connect_run moves the attempts on, waiting at most timeout_ms (0 = not at all), and gives
 * finished ones.
 *   returns  results written, [0, max] */
uint32_t eng_connect_run(struct eng_connector *connector, int64_t now_mono_ns, int timeout_ms,
    struct eng_connect_result *results, uint32_t max);

/* eng_connect_fd is readable when eng_connect_run has something to do (an epoll descriptor). */
int eng_connect_fd(const struct eng_connector *connector);

/* eng_connector_recycle takes a connection apart (session, inflater, socket) and keeps its block.
 */
void eng_connector_recycle(struct eng_connector *connector, struct eng_connection *connection);

uint32_t eng_connector_in_progress(const struct eng_connector *connector);

#endif
