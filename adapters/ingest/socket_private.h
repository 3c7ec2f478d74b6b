/* socket_private.h: what the loop (socket.c) and the calls of libwebsockets (socket_calls.c) share.
 */
#ifndef LS_ADAPTERS_INGEST_SOCKET_PRIVATE_H
#define LS_ADAPTERS_INGEST_SOCKET_PRIVATE_H

#include "adapters/ingest/resolve.h"
#include "adapters/ingest/socket.h"

#include <libwebsockets.h>
#include <openssl/ssl.h>

#define SOCKET_VHOSTS  16u
#define SOCKET_WATCHES 8u

enum socket_state {
    SOCKET_IDLE = 0,
    SOCKET_RESOLVING,  /* `ticket` is out */
    SOCKET_CONNECTING, /* libwebsockets has it */
    SOCKET_OPEN,
    SOCKET_ENDING, /* `end` waits to be told */
};

/* One text that waits to leave; LWS_PRE bytes before the text are libwebsockets'. */
struct socket_text {
    struct socket_text *next;
    size_t bytes;
    uint8_t memory[];
};

struct adp_socket {
    struct adp_sockets *sockets;
    const struct adp_socket_calls *calls;
    void *context;
    struct adp_socket *next;
    enum socket_state state;
    bool is_gone; /* freed by its owner; the loop frees the memory */
    bool wants_ping;
    struct lws *wsi; /* NULL unless CONNECTING or OPEN */
    struct adp_socket_target target;
    struct adp_socket_rules rules;
    struct adp_socket_end end;
    uint64_t ticket;
    uint32_t turn; /* of the name's addresses: one further after each failure */
    int64_t connect_until_ns, beat_ns, pinged_ns, heard_ns;
    struct socket_text *first_text, **last_text;
    size_t text_bytes;
    uint8_t *message; /* of a message that comes in pieces */
    size_t message_bytes, message_room;
    int64_t message_mono_ns;
    bool has_message;
};

struct socket_vhost {
    char ca_file[256];
    SSL_CTX *tls;
    struct lws_vhost *vhost;
};

struct socket_watch {
    int fd;
    void (*ready)(void *context);
    void *context;
};

struct adp_sockets {
    struct lws_context *context;
    struct adp_resolver *resolver;
    struct adp_socket *first;
    struct socket_vhost vhosts[SOCKET_VHOSTS];
    struct socket_watch watches[SOCKET_WATCHES];
    struct lws_vhost *watch_vhost;
    lws_sorted_usec_list_t alarm;
    int64_t pass_ns;  /* when this pass first called back; 0 before */
    int64_t alarm_ns; /* the sockets' next deadline; looked at when it has come */
    bool has_work;    /* a socket has something to do at once */
    bool is_closing;
};

extern const struct lws_protocols socket_protocols[];

#define SOCKET_PROTOCOL       "lockstep-socket"
#define SOCKET_WATCH_PROTOCOL "lockstep-watch"

/* socket_pass_ns returns the time of this pass of the loop. */
int64_t socket_pass_ns(struct adp_sockets *sockets);

/* socket_finish ends what is open or under way; `ended` is told by the next look of the loop. */
void socket_finish(struct adp_socket *socket, enum adp_socket_end_kind kind, const char *text);

#endif
