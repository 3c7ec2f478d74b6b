/* nghttp2_peer.c: the orders by nghttp2_submit_request, OpenSSL and epoll: what a careful engineer
 * builds from the libraries' documentation. Requests of a connection are submitted together and
 * leave in as few TLS records and sends as nghttp2_session_mem_send gives. */
#include "bench/peers/wave.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define GATHER_BYTES (64u * 1024)

struct stream {
    const char *body;
    uint32_t body_bytes, sent;
    uint32_t reply_bytes;
    char reply[512];
    int status;
};

struct connection {
    int fd;
    SSL *ssl;
    nghttp2_session *session;
    uint32_t answered, accepted, pings;
    int settled; /* the peer's SETTINGS have come */
    uint32_t gathered, gathered_sent;
    uint8_t gather[GATHER_BYTES];
};

struct peer {
    struct wave wave;
    struct connection *connections;
    struct stream *streams;
    int epoll;
};

static ssize_t body_read(nghttp2_session *session, int32_t id, uint8_t *out, size_t room,
    uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct stream *stream = source->ptr;
    (void)session;
    (void)id;
    (void)user;
    size_t bytes = stream->body_bytes - stream->sent;
    if (bytes > room)
        bytes = room;
    memcpy(out, stream->body + stream->sent, bytes);
    stream->sent += (uint32_t)bytes;
    if (stream->sent == stream->body_bytes)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)bytes;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags, void *user)
{
    (void)flags;
    (void)user;
    struct stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (stream != NULL && name_bytes == 7 && memcmp(name, ":status", 7) == 0 && value_bytes == 3)
        stream->status = (value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0');
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
    size_t count, void *user)
{
    (void)flags;
    (void)user;
    struct stream *stream = nghttp2_session_get_stream_user_data(session, id);
    if (stream != NULL && stream->reply_bytes + count <= sizeof stream->reply) {
        memcpy(stream->reply + stream->reply_bytes, bytes, count);
        stream->reply_bytes += (uint32_t)count;
    }
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    struct connection *connection = user;
    struct stream *stream = nghttp2_session_get_stream_user_data(session, id);
    if (stream == NULL)
        return 0;
    connection->answered++;
    connection->accepted += error == 0 && stream->status == 200 &&
                            wave_order_accepted(stream->reply, stream->reply_bytes);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct connection *connection = user;
    (void)session;
    if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK))
        connection->settled = 1;
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK))
        connection->pings++;
    return 0;
}

/* Takes what nghttp2 has to say into records of up to 64 KiB of plain text. */
static int flush(struct connection *connection)
{
    for (;;) {
        while (connection->gathered_sent < connection->gathered) {
            int taken = SSL_write(connection->ssl, connection->gather + connection->gathered_sent,
                (int)(connection->gathered - connection->gathered_sent));
            if (taken <= 0)
                return SSL_get_error(connection->ssl, taken) == SSL_ERROR_WANT_WRITE ? 0 : -1;
            connection->gathered_sent += (uint32_t)taken;
        }
        connection->gathered = connection->gathered_sent = 0;
        for (;;) {
            const uint8_t *bytes;
            if (connection->gathered + 20000 > GATHER_BYTES)
                break;
            ssize_t count = nghttp2_session_mem_send(connection->session, &bytes);
            if (count < 0)
                return -1;
            if (count == 0)
                break;
            memcpy(connection->gather + connection->gathered, bytes, (size_t)count);
            connection->gathered += (uint32_t)count;
        }
        if (connection->gathered == 0)
            return 0;
    }
}

static int take(struct connection *connection)
{
    uint8_t bytes[16384];
    for (;;) {
        int count = SSL_read(connection->ssl, bytes, sizeof bytes);
        if (count <= 0)
            return SSL_get_error(connection->ssl, count) == SSL_ERROR_WANT_READ ? 0 : -1;
        if (nghttp2_session_mem_recv(connection->session, bytes, (size_t)count) < 0)
            return -1;
    }
}

static int turn(struct peer *peer, int wait_ms)
{
    struct epoll_event events[64];
    int count = epoll_wait(peer->epoll, events, 64, wait_ms);
    for (int i = 0; i < count; i++) {
        struct connection *connection = &peer->connections[events[i].data.u32];
        if ((events[i].events & EPOLLIN) && take(connection) != 0)
            return -1;
        if (flush(connection) != 0)
            return -1;
    }
    return count < 0 && errno != EINTR ? -1 : 0;
}

static void submit(struct peer *peer, struct connection *connection, uint32_t order)
{
    struct stream *stream = &peer->streams[order];
    char length[12];
    *stream = (struct stream){
        .body = peer->wave.bodies[order], .body_bytes = peer->wave.body_bytes[order]};
    int digits = snprintf(length, sizeof length, "%u", stream->body_bytes);
#define HEADER(name, value, bytes, flag)                                                           \
    {                                                                                              \
        (uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, (bytes), (flag)                   \
    }
    /* Not indexed and not copied, as the documentation advises for secrets and for speed. */
    const uint8_t still = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
    const char *token = peer->wave.tokens[order];
    nghttp2_nv headers[] = {HEADER(":method", "POST", 4, still),
        HEADER(":scheme", "https", 5, still), HEADER(":authority", "localhost", 9, still),
        HEADER(":path", "/open-api/od/v1/orders/placeorder", 33, still),
        HEADER("content-type", "application/json", 16, still),
        HEADER("accept", "application/json", 16, still),
        HEADER("authorization", token, strlen(token), still | NGHTTP2_NV_FLAG_NO_INDEX),
        HEADER("content-length", length, (size_t)digits, NGHTTP2_NV_FLAG_NO_COPY_NAME)};
#undef HEADER
    nghttp2_data_provider provider = {.source = {.ptr = stream}, .read_callback = body_read};
    (void)nghttp2_submit_request(
        connection->session, NULL, headers, sizeof headers / sizeof headers[0], &provider, stream);
}

static const char *send_all(void *context)
{
    struct peer *peer = context;
    const uint32_t count = peer->wave.connections;
    for (uint32_t c = 0; c < count; c++) {
        struct connection *connection = &peer->connections[c];
        connection->answered = connection->accepted = 0;
        for (uint32_t i = c; i < peer->wave.count; i += count)
            submit(peer, connection, i);
        if (flush(connection) != 0)
            return "a connection failed while it sent";
    }
    const int64_t until = wave_now_ns() + INT64_C(10000000000);
    for (;;) {
        uint32_t answered = 0, accepted = 0;
        for (uint32_t c = 0; c < count; c++) {
            answered += peer->connections[c].answered;
            accepted += peer->connections[c].accepted;
        }
        if (answered == peer->wave.count)
            return accepted == answered ? NULL : "an order was not accepted";
        if (turn(peer, 100) != 0)
            return "a connection failed while it waited for replies";
        if (wave_now_ns() > until)
            return "not every order was answered in 10 s";
    }
}

static int open_connection(struct peer *peer, SSL_CTX *tls, struct connection *connection)
{
    static const unsigned char alpn[] = {2, 'h', '2'};
    struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_port = htons(peer->wave.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connection->ssl = SSL_new(tls);
    if (connection->fd < 0 || connection->ssl == NULL ||
        connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        SSL_set_alpn_protos(connection->ssl, alpn, sizeof alpn) != 0 ||
        SSL_set1_host(connection->ssl, "localhost") != 1 ||
        SSL_set_tlsext_host_name(connection->ssl, "localhost") != 1 ||
        SSL_set_fd(connection->ssl, connection->fd) != 1 || SSL_connect(connection->ssl) != 1)
        return -1;
    if (fcntl(connection->fd, F_SETFL, O_NONBLOCK) != 0)
        return -1;
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return -1;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    int rc = nghttp2_session_client_new(&connection->session, callbacks, connection);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_settings_entry push = {NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
    if (rc != 0 || nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, &push, 1) != 0 ||
        nghttp2_submit_ping(connection->session, NGHTTP2_FLAG_NONE, NULL) != 0)
        return -1;
    return flush(connection);
}

int main(int argc, char **argv)
{
    struct peer peer = {.epoll = epoll_create1(EPOLL_CLOEXEC)};
    wave_read_arguments(&peer.wave, argc, argv);
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (tls == NULL || peer.epoll < 0 ||
        SSL_CTX_load_verify_locations(tls, peer.wave.ca_file, NULL) != 1) {
        (void)fprintf(stderr, "%s: not usable as trust anchor\n", peer.wave.ca_file);
        return 2;
    }
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_set_mode(
        tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    peer.connections = calloc(peer.wave.connections, sizeof *peer.connections);
    peer.streams = calloc(peer.wave.count, sizeof *peer.streams);
    if (peer.connections == NULL || peer.streams == NULL)
        return 2;
    for (uint32_t c = 0; c < peer.wave.connections; c++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = c};
        if (open_connection(&peer, tls, &peer.connections[c]) != 0 ||
            epoll_ctl(peer.epoll, EPOLL_CTL_ADD, peer.connections[c].fd, &event) != 0) {
            (void)fprintf(stderr, "port %u: no connection\n", peer.wave.port);
            return 2;
        }
        while (!peer.connections[c].settled || peer.connections[c].pings == 0) {
            if (turn(&peer, 1000) != 0)
                return 2;
        }
    }
    return wave_serve(send_all, &peer);
}
