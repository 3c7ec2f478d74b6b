/* socket.h: WebSocket connections to brokers, many in one process, over libwebsockets.
 *
 * One `struct adp_sockets` is the loop: its wait is where the process sleeps, and every callback is
 * made inside it, never inside a call that opens, sends or closes. Other descriptors (libcurl's)
 * join the same wait. A `struct adp_socket` is one connection that can be opened again and again:
 *
 *     idle ──connect──▶ connecting ──101──▶ open ──▶ idle, and `ended` says why
 *                           └── refused, timed out ──▶ idle, and `ended` says why
 *
 * wss only. What always holds: the certificate is verified for the authority's name against the
 * target's own anchors (the system's when it names none), TLS 1.2 or later; no redirect is followed
 * and no proxy of the environment is used; a source address is bound where one is given; names are
 * resolved on a thread of their own, so that a slow resolver delays nobody's frames. Texts that
 * were sent are wiped, since they may hold tokens.
 *
 * Reconnecting is the owner's: it knows what a connection needs first (a fresh token). backoff.h
 * has the pauses. One thread. */
#ifndef LS_ADAPTERS_INGEST_SOCKET_H
#define LS_ADAPTERS_INGEST_SOCKET_H

#include "adapters/span.h"
#include "ipc/rc.h"

struct adp_sockets; /* the loop */
struct adp_socket;  /* one connection */

/* Where a connection goes. Strings are NUL-terminated. */
struct adp_socket_target {
    char host[128];        /* name or address that is connected to */
    uint16_t port;         /* > 0 */
    char authority[128];   /* Host header, SNI, and the certificate's name; "" = host */
    char path[256];        /* "/open-api/order-notify/websocket" */
    char ca_file[256];     /* PEM anchors, the only ones trusted then; "" = the system's */
    uint8_t source_family; /* 0 = whatever the system takes, 4, 6 */
    uint8_t source_address[16];
};

/* Times in milliseconds; 0 switches a rule off unless it says otherwise. */
struct adp_socket_rules {
    uint32_t connect_ms;   /* name, TCP, TLS and upgrade together; 0 = 10,000 */
    uint32_t heartbeat_ms; /* `beat` is called each time so long has passed since the last one */
    uint32_t ping_ms;      /* a WebSocket ping when nothing came for so long */
    uint32_t silence_ms;   /* ended when nothing came for so long, pongs included */
    uint32_t message_bytes_max; /* of a whole message; 0 = 65,536 */
    uint32_t send_bytes_max;    /* waiting to leave; 0 = 65,536 */
};

#define ADP_SOCKET_END_LIST(X)                                                                     \
    X(ADP_SOCKET_END_OURS, 1, "closed by us")                                                      \
    X(ADP_SOCKET_END_PEER, 2, "closed by the peer") /* close frame, or the connection broke */     \
    X(ADP_SOCKET_END_REFUSED, 3, "refused")         /* an HTTP answer that is no upgrade */        \
    X(ADP_SOCKET_END_UNREACHED, 4, "not reached")   /* name, TCP or TLS failed */                  \
    X(ADP_SOCKET_END_TIMEOUT, 5, "connecting took too long")                                       \
    X(ADP_SOCKET_END_SILENT, 6, "silent")                                                          \
    X(ADP_SOCKET_END_TOO_LONG, 7, "message too long") /* beyond message_bytes_max */               \
    X(ADP_SOCKET_END_CHOKED, 8, "does not take what we send")
enum adp_socket_end_kind {
#define X(name, value, text) name = (value),
    ADP_SOCKET_END_LIST(X)
#undef X
};

struct adp_socket_end {
    enum adp_socket_end_kind kind;
    bool was_open;
    uint32_t http_status; /* REFUSED: of the answer, 0 unknown */
    uint32_t close_code;  /* PEER: of the close frame, 0 without */
    char text[128];       /* what is known, printable, without secrets */
};

struct adp_socket_message {
    struct adp_span bytes; /* valid during the call */
    bool is_binary;
    /* When the pass of the loop that brought the first byte began to read: not later than the read,
     * and at most one pass earlier. */
    int64_t received_mono_ns;
};

/* Any of them may be NULL. All are free to call every function here, adp_socket_free of any socket
 * included. */
struct adp_socket_calls {
    void (*opened)(struct adp_socket *socket, void *context);
    void (*message)(
        struct adp_socket *socket, const struct adp_socket_message *message, void *context);
    void (*beat)(struct adp_socket *socket, void *context);
    void (*ended)(struct adp_socket *socket, const struct adp_socket_end *end, void *context);
};

const char *adp_socket_end_name(enum adp_socket_end_kind kind);

/* adp_sockets_open makes the loop. Takes http_proxy and its kin out of the environment of the
 * process, because libwebsockets obeys them.
 *   returns  IPC_OK, or IPC_SYSTEM with a sentence */
LS_MUST_USE enum ipc_rc adp_sockets_open(struct adp_sockets **sockets, struct ipc_error *error);

/* adp_sockets_close ends all connections without calling anybody; sockets that still exist are
 * freed. NULL is allowed. */
void adp_sockets_close(struct adp_sockets *sockets);

/* adp_sockets_watch adds a descriptor of somebody else: `ready` is called inside the wait when it
 * can be read (an epoll descriptor, when one of its own is ready). Stays until the loop closes.
 *   fd  stays the caller's; duplicated here */
LS_MUST_USE enum ipc_rc adp_sockets_watch(struct adp_sockets *sockets, int fd,
    void (*ready)(void *context), void *context, struct ipc_error *error);

/* adp_sockets_wait sleeps until something happens, at most `wait_ns` (0: looks only), and makes the
 * callbacks. */
void adp_sockets_wait(struct adp_sockets *sockets, int64_t wait_ns);

/* adp_socket_new makes an idle socket; `calls` outlives it. Never NULL.
 * adp_socket_free ends the connection at once and calls nobody; NULL is allowed. */
struct adp_socket *adp_socket_new(
    struct adp_sockets *sockets, const struct adp_socket_calls *calls, void *context);
void adp_socket_free(struct adp_socket *socket);

/* adp_socket_connect begins; `opened` or `ended` follows from the wait.
 *   socket   idle (a bug otherwise)
 *   returns  IPC_OK; IPC_BAD_INPUT for a target that cannot be used, the ca_file included, with a
 *            sentence, and the socket stays idle */
LS_MUST_USE enum ipc_rc adp_socket_connect(struct adp_socket *socket,
    const struct adp_socket_target *target, const struct adp_socket_rules *rules,
    struct ipc_error *error);

/* adp_socket_send queues one text message; copied, and wiped when it has left.
 *   returns  IPC_OK; IPC_EMPTY when the socket is not open; IPC_FULL beyond send_bytes_max: then
 *            the socket ends as CHOKED */
LS_MUST_USE enum ipc_rc adp_socket_send(struct adp_socket *socket, const char *text, size_t bytes);

/* adp_socket_close ends a connection that is open or under way; `ended` follows with OURS, unless
 * it had ended before. A close frame is tried once. */
void adp_socket_close(struct adp_socket *socket);

bool adp_socket_is_idle(const struct adp_socket *socket);
bool adp_socket_is_open(const struct adp_socket *socket);

/* adp_socket_heard_mono_ns is the time at which bytes last came on this connection (pongs
 * included); 0 before the first open. */
int64_t adp_socket_heard_mono_ns(const struct adp_socket *socket);

#endif
