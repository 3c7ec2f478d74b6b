#include "bench/floor.h"

#include "ipc/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECORD_BYTES 4096u /* the engine's largest */
#define ARENA_SLACK  64u   /* of one record: header, tag, padding */

/* A connection of the floor. */
struct session {
    int fd;
    SSL *ssl;
    uint32_t next_stream;
    uint8_t *plain;
    uint32_t plain_bytes;
    uint32_t *order_at; /* where each order's HEADERS starts */
    uint32_t *data_at;  /* where its DATA starts */
    uint32_t order_count;
    uint8_t *arena;
    uint32_t arena_used, arena_bytes;
};

struct bench_floor {
    SSL_CTX *tls;
    BIO_METHOD *method;
    struct session *sessions; /* the last one is the spare */
    uint32_t session_count;   /* without the spare */
    struct ipc_clock clock;
};

/* ---- into the arena -------------------------------------------------------------------------- */

static int arena_write(BIO *bio, const char *bytes, int count)
{
    struct session *session = BIO_get_data(bio);
    if (count <= 0 || (uint32_t)count > session->arena_bytes - session->arena_used)
        return -1;
    memcpy(session->arena + session->arena_used, bytes, (size_t)count);
    session->arena_used += (uint32_t)count;
    return count;
}

static long arena_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int arena_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

/* ---- open ------------------------------------------------------------------------------------ */

static bool session_connect(struct bench_floor *floor, struct session *session, uint16_t port)
{
    static const unsigned char alpn[] = {2, 'h', '2'};
    static const uint8_t hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                   "\0\0\0\4\0\0\0\0\0"; /* an empty SETTINGS frame */
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    session->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    session->ssl = SSL_new(floor->tls);
    if (session->fd < 0 || session->ssl == NULL ||
        connect(session->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        SSL_set_alpn_protos(session->ssl, alpn, sizeof alpn) != 0 ||
        SSL_set_tlsext_host_name(session->ssl, "localhost") != 1 ||
        SSL_set_fd(session->ssl, session->fd) != 1 || SSL_connect(session->ssl) != 1)
        return false;
    /* Handshake done: from here on TLS writes into the arena, and answers are not decrypted. */
    BIO *bio = BIO_new(floor->method);
    if (bio == NULL || SSL_write(session->ssl, hello, sizeof hello - 1) <= 0)
        return false;
    BIO_set_data(bio, session);
    SSL_set0_wbio(session->ssl, bio);
    session->next_stream = 1;
    return true;
}

/* Copies the orders of one captured connection, in their order. */
static bool session_fill(
    struct session *session, const struct bench_peer_page *page, uint32_t connection, uint32_t most)
{
    uint32_t bytes = 0, count = 0;
    for (uint32_t i = 0; i < page->capture_count && count < most; i++) {
        if (page->captures[i].connection != connection)
            continue;
        bytes += page->captures[i].bytes;
        count++;
    }
    session->plain = calloc(1, bytes + 1);
    session->order_at = calloc(count + 1, sizeof *session->order_at);
    session->data_at = calloc(count + 1, sizeof *session->data_at);
    session->arena_bytes = bytes + (bytes / RECORD_BYTES + 2) * ARENA_SLACK;
    session->arena = calloc(1, session->arena_bytes);
    if (session->plain == NULL || session->order_at == NULL || session->data_at == NULL ||
        session->arena == NULL)
        return false;
    memset(session->arena, 1, session->arena_bytes); /* its pages are there */
    for (uint32_t i = 0; i < page->capture_count && session->order_count < most; i++) {
        const struct bench_capture *capture = &page->captures[i];
        if (capture->connection != connection)
            continue;
        memcpy(session->plain + session->plain_bytes, page->captured_bytes + capture->offset,
            capture->bytes);
        session->order_at[session->order_count] = session->plain_bytes;
        session->data_at[session->order_count++] = session->plain_bytes + capture->data_at;
        session->plain_bytes += capture->bytes;
    }
    return true;
}

static SSL_CTX *tls_make(const char *ca_file)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (tls == NULL)
        return NULL;
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_locations(tls, ca_file, NULL) == 1 &&
        SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                      "TLS_CHACHA20_POLY1305_SHA256") == 1 &&
        SSL_CTX_set_max_send_fragment(tls, RECORD_BYTES) == 1)
        return tls;
    SSL_CTX_free(tls);
    return NULL;
}

/* Which captured connections there are, in the order of their first order. */
static uint32_t connections_of(const struct bench_peer_page *page, uint32_t *numbers)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < page->capture_count; i++) {
        uint32_t at = 0;
        while (at < count && numbers[at] != page->captures[i].connection)
            at++;
        if (at == count)
            numbers[count++] = page->captures[i].connection;
    }
    return count;
}

enum ipc_rc bench_floor_open(struct bench_floor **out, const struct bench_peer_page *page,
    uint16_t port, const char *ca_file, struct ipc_error *error)
{
    struct bench_floor *floor = calloc(1, sizeof *floor);
    uint32_t *numbers = calloc(BENCH_FOLLOWERS_MAX, sizeof *numbers);
    LS_CHECK(floor != NULL && numbers != NULL);
    *out = floor;
    floor->session_count = connections_of(page, numbers);
    floor->sessions = calloc(floor->session_count + 1, sizeof *floor->sessions);
    floor->tls = tls_make(ca_file);
    floor->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "arena");
    LS_CHECK(floor->sessions != NULL && floor->method != NULL && floor->session_count > 0);
    BIO_meth_set_write(floor->method, arena_write);
    BIO_meth_set_ctrl(floor->method, arena_control);
    BIO_meth_set_create(floor->method, arena_create);
    ipc_clock_calibrate(&floor->clock, 20 * LS_NS_PER_MS);
    for (uint32_t i = 0; i <= floor->session_count; i++)
        floor->sessions[i].fd = -1;
    bool done = floor->tls != NULL;
    for (uint32_t i = 0; done && i <= floor->session_count; i++) {
        const bool is_spare = i == floor->session_count;
        done = session_fill(&floor->sessions[i], page, numbers[is_spare ? 0 : i],
                   is_spare ? 1 : UINT32_MAX) &&
               session_connect(floor, &floor->sessions[i], port);
    }
    free(numbers);
    if (!done) {
        ipc_error_set(error, "the floor's sessions to the peer could not be opened (%s)",
            errno != 0 ? strerror(errno) : "TLS");
        return IPC_SYSTEM;
    }
    return IPC_OK;
}

void bench_floor_close(struct bench_floor *floor)
{
    if (floor == NULL)
        return;
    for (uint32_t i = 0; i <= floor->session_count; i++) {
        struct session *session = &floor->sessions[i];
        SSL_free(session->ssl);
        if (session->fd >= 0)
            (void)close(session->fd);
        free(session->plain);
        free(session->order_at);
        free(session->data_at);
        free(session->arena);
    }
    BIO_meth_free(floor->method);
    SSL_CTX_free(floor->tls);
    free(floor->sessions);
    free(floor);
}

/* ---- a round --------------------------------------------------------------------------------- */

static void put_stream(uint8_t *frame, uint32_t stream)
{
    frame[5] = (uint8_t)(stream >> 24);
    frame[6] = (uint8_t)(stream >> 16);
    frame[7] = (uint8_t)(stream >> 8);
    frame[8] = (uint8_t)stream;
}

void bench_floor_prepare(struct bench_floor *floor)
{
    for (uint32_t i = 0; i <= floor->session_count; i++) {
        struct session *session = &floor->sessions[i];
        for (uint32_t order = 0; order < session->order_count; order++) {
            put_stream(session->plain + session->order_at[order], session->next_stream);
            put_stream(session->plain + session->data_at[order], session->next_stream);
            session->next_stream += 2;
        }
    }
}

/* Seals and sends one session's bytes. */
static bool session_send(struct session *session, struct bench_floor_times *times)
{
    uint32_t at = 0;
    session->arena_used = 0;
    while (at < session->plain_bytes) {
        const uint32_t left = session->plain_bytes - at;
        const int count = SSL_write(
            session->ssl, session->plain + at, (int)(left < RECORD_BYTES ? left : RECORD_BYTES));
        if (count <= 0)
            return false;
        at += (uint32_t)count;
        times->records++;
    }
    for (uint32_t sent = 0; sent < session->arena_used;) {
        const ssize_t count =
            send(session->fd, session->arena + sent, session->arena_used - sent, MSG_NOSIGNAL);
        if (count <= 0)
            return false;
        sent += (uint32_t)count;
        times->sends++;
    }
    return true;
}

enum ipc_rc bench_floor_single(struct bench_floor *floor, struct bench_floor_times *times)
{
    struct bench_floor_times ignored = {0};
    const uint64_t start = ipc_clock_tsc();
    const bool done = session_send(&floor->sessions[floor->session_count], &ignored);
    times->first_ns = ipc_clock_ticks_to_ns(&floor->clock, ipc_clock_tsc() - start);
    return done ? IPC_OK : IPC_SYSTEM;
}

enum ipc_rc bench_floor_wave(struct bench_floor *floor, struct bench_floor_times *times)
{
    const uint64_t half = bench_floor_plain_bytes(floor) / 2;
    uint64_t sent = 0;
    times->median_ns = 0;
    const uint64_t start = ipc_clock_tsc();
    for (uint32_t i = 0; i < floor->session_count; i++) {
        if (!session_send(&floor->sessions[i], times))
            return IPC_SYSTEM;
        sent += floor->sessions[i].plain_bytes;
        if (times->median_ns == 0 && sent >= half)
            times->median_ns = ipc_clock_ticks_to_ns(&floor->clock, ipc_clock_tsc() - start);
    }
    times->last_ns = ipc_clock_ticks_to_ns(&floor->clock, ipc_clock_tsc() - start);
    return IPC_OK;
}

void bench_floor_drain(struct bench_floor *floor)
{
    static uint8_t waste[65536];
    for (uint32_t i = 0; i <= floor->session_count; i++)
        while (recv(floor->sessions[i].fd, waste, sizeof waste, MSG_DONTWAIT) > 0)
            continue;
}

uint32_t bench_floor_sessions(const struct bench_floor *floor)
{
    return floor->session_count;
}

uint64_t bench_floor_plain_bytes(const struct bench_floor *floor)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < floor->session_count; i++)
        bytes += floor->sessions[i].plain_bytes;
    return bytes;
}

const char *bench_floor_cipher(const struct bench_floor *floor)
{
    return SSL_get_cipher_name(floor->sessions[0].ssl);
}
