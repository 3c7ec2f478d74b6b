/* net_peer.h: a TLS server inside the test, driven by hand in the same thread: it does the HTTP/2
 * greeting and then only what the test tells it. */
#ifndef LS_TESTS_NET_PEER_H
#define LS_TESTS_NET_PEER_H

#include "tests/unit/engine/net/net_frames.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEERS_MAX 16u

struct peer_connection {
    int fd;
    SSL *ssl;
    bool is_greeted, is_deaf, is_gone; /* deaf: reads nothing more */
    uint8_t got[400000];
    size_t got_count, parsed;
    uint32_t requests; /* HEADERS seen */
    uint32_t pings;    /* of the client */
    bool ignores_pings;
    struct sockaddr_storage from;
};

struct peer {
    int listener;
    uint16_t port;
    SSL_CTX *context;
    int receive_buffer; /* SO_RCVBUF of accepted sockets, 0 = the system's */
    bool is_text;       /* HTTP/1.1: no greeting */
    struct peer_connection *connections[PEERS_MAX];
    uint32_t count;
};

static inline int peer_choose(SSL *ssl, const unsigned char **out, unsigned char *out_bytes,
    const unsigned char *in, unsigned int in_bytes, void *context)
{
    (void)ssl;
    (void)in;
    (void)in_bytes;
    *out = (const unsigned char *)(const char *)context;
    *out_bytes = (unsigned char)strlen(context);
    return SSL_TLSEXT_ERR_OK;
}

/* alpn: "h2", "http/1.1", or NULL = none is chosen, which means HTTP/1.1. */
static inline void peer_open(struct peer *peer, const char *address, const char *certificate,
    const char *key, const char *alpn, int receive_buffer)
{
    memset(peer, 0, sizeof *peer);
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets that the client has left */
    peer->receive_buffer = receive_buffer;
    peer->is_text = alpn == NULL || strcmp(alpn, "h2") != 0;
    const bool is_v6 = strchr(address, ':') != NULL;
    struct sockaddr_storage at = {0};
    socklen_t at_bytes = sizeof(struct sockaddr_in);
    if (is_v6) {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)(void *)&at;
        in->sin6_family = AF_INET6;
        inet_pton(AF_INET6, address, &in->sin6_addr);
        at_bytes = sizeof *in;
    } else {
        struct sockaddr_in *in = (struct sockaddr_in *)(void *)&at;
        in->sin_family = AF_INET;
        inet_pton(AF_INET, address, &in->sin_addr);
    }
    peer->listener = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (receive_buffer != 0)
        setsockopt(peer->listener, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    LS_CHECK(bind(peer->listener, (struct sockaddr *)&at, at_bytes) == 0);
    LS_CHECK(listen(peer->listener, 64) == 0);
    getsockname(peer->listener, (struct sockaddr *)&at, &at_bytes);
    peer->port = ntohs(is_v6 ? ((struct sockaddr_in6 *)(void *)&at)->sin6_port
                             : ((struct sockaddr_in *)(void *)&at)->sin_port);
    peer->context = SSL_CTX_new(TLS_server_method());
    LS_CHECK(SSL_CTX_use_certificate_chain_file(peer->context, certificate) == 1);
    LS_CHECK(SSL_CTX_use_PrivateKey_file(peer->context, key, SSL_FILETYPE_PEM) == 1);
    if (alpn != NULL)
        SSL_CTX_set_alpn_select_cb(peer->context, peer_choose, (void *)(uintptr_t)alpn);
}

static inline void peer_send(struct peer_connection *connection, const struct frames *frames)
{
    if (SSL_write(connection->ssl, frames->bytes, (int)frames->count) <= 0) {
        connection->is_gone = true; /* the client has left */
        ERR_clear_error();
    }
}

static inline void peer_say(struct peer_connection *connection, const char *text)
{
    struct frames *frames = frames_new();
    frames_parse(frames, text);
    peer_send(connection, frames);
    free(frames);
}

/* HTTP/1.1: counts requests, and says text. */
static inline void peer_parse_text(struct peer_connection *connection)
{
    static const char mark[] = " HTTP/1.1\r\n";
    while (connection->got_count - connection->parsed >= sizeof mark - 1) {
        connection->requests +=
            memcmp(connection->got + connection->parsed, mark, sizeof mark - 1) == 0;
        connection->parsed++;
    }
}

static inline void peer_text(struct peer_connection *connection, const char *text)
{
    if (SSL_write(connection->ssl, text, (int)strlen(text)) <= 0) {
        connection->is_gone = true;
        ERR_clear_error();
    }
}

/* Counts requests and answers PINGs in what has come. */
static inline void peer_parse(struct peer_connection *connection)
{
    if (connection->parsed == 0 && connection->got_count >= 24)
        connection->parsed = 24; /* preface */
    while (connection->parsed >= 24 && connection->got_count - connection->parsed >= 9) {
        const uint8_t *at = connection->got + connection->parsed;
        const size_t bytes = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
        if (connection->got_count - connection->parsed < 9 + bytes)
            return;
        connection->parsed += 9 + bytes;
        connection->requests += at[3] == 1;
        if (at[3] == 6 && at[4] == 0) {
            connection->pings++;
            if (!connection->ignores_pings) {
                struct frames *frames = frames_new();
                frame(frames, 6, 1, 0, at + 9, 8);
                peer_send(connection, frames);
                free(frames);
            }
        }
    }
}

/* Accepts, shakes hands, reads. Call it in the test's loop. */
static inline void peer_pump(struct peer *peer)
{
    struct sockaddr_storage from;
    socklen_t from_bytes = sizeof from;
    const int fd = peer->count == PEERS_MAX ? -1
                                            : accept4(peer->listener, (struct sockaddr *)&from,
                                                  &from_bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        struct peer_connection *connection = calloc(1, sizeof *connection);
        connection->fd = fd;
        connection->from = from;
        connection->ssl = SSL_new(peer->context);
        SSL_set_fd(connection->ssl, fd);
        SSL_set_accept_state(connection->ssl);
        peer->connections[peer->count++] = connection;
    }
    for (uint32_t i = 0; i < peer->count; i++) {
        struct peer_connection *connection = peer->connections[i];
        if (connection->is_gone || connection->is_deaf)
            continue;
        if (!SSL_is_init_finished(connection->ssl)) {
            if (SSL_do_handshake(connection->ssl) != 1) {
                ERR_clear_error();
                continue;
            }
        }
        if (!connection->is_greeted) {
            connection->is_greeted = true;
            if (!peer->is_text)
                peer_say(connection, "F 4 0 0 ");
        }
        const int got = SSL_read(connection->ssl, connection->got + connection->got_count,
            (int)(sizeof connection->got - connection->got_count));
        if (got > 0) {
            connection->got_count += (size_t)got;
            if (peer->is_text)
                peer_parse_text(connection);
            else
                peer_parse(connection);
        }
        ERR_clear_error();
    }
}

/* Ends a connection: FIN, or RST. */
static inline void peer_hang_up(struct peer_connection *connection, bool reset)
{
    if (reset) {
        const struct linger now = {.l_onoff = 1, .l_linger = 0};
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(connection->fd);
        connection->fd = -1;
    } else {
        shutdown(connection->fd, SHUT_WR);
    }
    connection->is_gone = true;
}

static inline void peer_close(struct peer *peer)
{
    for (uint32_t i = 0; i < peer->count; i++) {
        SSL_free(peer->connections[i]->ssl);
        if (peer->connections[i]->fd >= 0)
            close(peer->connections[i]->fd);
        free(peer->connections[i]);
    }
    close(peer->listener);
    SSL_CTX_free(peer->context);
}

#endif
