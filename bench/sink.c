#include "bench/sink.h"

#include "bench/peer.h"
#include "engine/net/connection.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_STEP (1u << 30)

struct sink_connection {
    struct eng_tls tls;
    struct eng_h2 *h2;
    void *h2_memory;
    uint8_t *cipher;
    uint64_t window_bytes;                         /* sealed since the window was raised */
    uint32_t streams[ENG_CONNECTION_STREAM_SLOTS]; /* without an answer */
    uint32_t stream_count;
    bool is_noted;
};

struct bench_sink {
    SSL_CTX *server;
    struct eng_tls_context *client;
    struct eng_h2_bodies bodies;
    void *bodies_memory;
    struct sink_connection *connections;
    uint32_t *noted;
    uint32_t count, noted_count;
};

static void no_reply(const struct eng_h2_reply *reply, void *context)
{
    (void)reply;
    (void)context;
}

static void no_loss(const struct eng_h2_loss *loss, void *context)
{
    (void)loss;
    (void)context;
}

static const struct eng_h2_sink nobody = {no_reply, no_loss, NULL};

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *out_bytes,
    const unsigned char *in, unsigned int in_bytes, void *context)
{
    static const unsigned char h2[] = {2, 'h', '2'};
    (void)ssl;
    (void)context;
    return SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_bytes, h2, sizeof h2, in,
               in_bytes) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Both ends in turn, until the client has verified the server. */
static enum ipc_rc handshake(struct bench_sink *sink, struct sink_connection *connection,
    SSL *server, struct ipc_error *error)
{
    BIO *to_server = SSL_get_rbio(server), *from_server = SSL_get_wbio(server);
    if (!eng_tls_begin(
            &connection->tls, sink->client, connection->cipher, ENG_CONNECTION_CIPHER_BYTES)) {
        ipc_error_set(error, "OpenSSL has no memory for a session");
        return IPC_SYSTEM;
    }
    uint8_t bytes[16384];
    size_t held = 0;
    for (uint32_t turn = 0; turn < 16; turn++) {
        const uint8_t *at = bytes;
        size_t count = held;
        const enum eng_tls_step step = eng_tls_handshake(&connection->tls, &at, &count, error);
        size_t out_count = 0;
        const uint8_t *out = eng_tls_pending(&connection->tls, &out_count);
        if (out_count > 0)
            (void)BIO_write(to_server, out, (int)out_count);
        eng_tls_handed(&connection->tls, out_count);
        if (step == ENG_TLS_DONE)
            return IPC_OK;
        if (step == ENG_TLS_FAILED)
            return IPC_SYSTEM;
        (void)SSL_do_handshake(server);
        const int got = BIO_read(from_server, bytes, sizeof bytes);
        held = got > 0 ? (size_t)got : 0;
    }
    ipc_error_set(error, "the handshake of the bench's own session did not end");
    return IPC_SYSTEM;
}

static void feed(
    struct sink_connection *connection, const uint8_t *bytes, size_t count, int64_t now_mono_ns)
{
    LS_CHECK(eng_h2_receive(connection->h2, bytes, count, now_mono_ns, &nobody));
}

static void put_u32(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)(value >> 24);
    out[1] = (uint8_t)(value >> 16);
    out[2] = (uint8_t)(value >> 8);
    out[3] = (uint8_t)value;
}

static void raise_window(struct sink_connection *connection, uint32_t by, int64_t now_mono_ns)
{
    uint8_t frame[13] = {0, 0, 4, 8};
    put_u32(frame + 9, by);
    feed(connection, frame, sizeof frame, now_mono_ns);
}

/* SETTINGS, the answer to the client's PING, and a window that lasts. */
static void greet(struct sink_connection *connection)
{
    static const uint8_t settings[] = {0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 128};
    const int64_t now = LS_NS_PER_S;
    eng_h2_output_taken(connection->h2, eng_h2_output(connection->h2).count);
    feed(connection, settings, sizeof settings, now);
    const struct adp_span out = eng_h2_output(connection->h2);
    for (size_t at = 0; at + 9 <= out.count;) {
        const size_t bytes = (size_t)out.bytes[at + 1] << 8 | out.bytes[at + 2];
        if (out.bytes[at + 3] == 6) {
            uint8_t ping[17];
            memcpy(ping, out.bytes + at, sizeof ping);
            ping[4] = 1;
            feed(connection, ping, sizeof ping, now);
            break;
        }
        at += 9 + bytes;
    }
    eng_h2_output_taken(connection->h2, eng_h2_output(connection->h2).count);
    raise_window(connection, WINDOW_STEP, now);
    LS_CHECK(eng_h2_ready(connection->h2));
}

static enum ipc_rc connection_open(
    struct bench_sink *sink, struct sink_connection *connection, struct ipc_error *error)
{
    const struct eng_h2_limits limits = {
        .plain_bytes = ENG_CONNECTION_PLAIN_BYTES, .stream_slots = ENG_CONNECTION_STREAM_SLOTS};
    connection->cipher = malloc(ENG_CONNECTION_CIPHER_BYTES);
    connection->h2_memory = aligned_alloc(64, ls_align_up(eng_h2_footprint(&limits), 64));
    SSL *server = SSL_new(sink->server);
    LS_CHECK(connection->cipher != NULL && connection->h2_memory != NULL && server != NULL);
    SSL_set_bio(server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(server);
    const enum ipc_rc rc = handshake(sink, connection, server, error);
    SSL_free(server);
    if (rc != IPC_OK)
        return rc;
    connection->h2 = eng_h2_init(connection->h2_memory, &limits, &sink->bodies);
    LS_CHECK(connection->h2 != NULL);
    greet(connection);
    return IPC_OK;
}

enum ipc_rc bench_sink_open(
    struct bench_sink **out, uint32_t connections, const char *directory, struct ipc_error *error)
{
    char certificate[192], key[192];
    struct bench_sink *sink = calloc(1, sizeof *sink);
    *out = NULL;
    LS_CHECK(sink != NULL);
    sink->connections = calloc(connections, sizeof *sink->connections);
    sink->noted = calloc(connections, sizeof *sink->noted);
    sink->bodies_memory = aligned_alloc(64, ls_align_up(eng_h2_bodies_footprint(16), 64));
    sink->server = SSL_CTX_new(TLS_server_method());
    LS_CHECK(sink->connections != NULL && sink->noted != NULL && sink->bodies_memory != NULL &&
             sink->server != NULL);
    eng_h2_bodies_init(&sink->bodies, sink->bodies_memory, 16);
    SSL_CTX_set_alpn_select_cb(sink->server, choose_h2, NULL);
    (void)SSL_CTX_set_num_tickets(sink->server, 0);
    (void)snprintf(certificate, sizeof certificate, "%s/sink.pem", directory);
    (void)snprintf(key, sizeof key, "%s/sink.key", directory);
    enum ipc_rc rc = bench_peer_certificate(certificate, key, error);
    if (rc == IPC_OK)
        rc = eng_tls_context_make("sink", "localhost", certificate, &sink->client, error);
    if (rc == IPC_OK &&
        (SSL_CTX_use_certificate_chain_file(sink->server, certificate) != 1 ||
            SSL_CTX_use_PrivateKey_file(sink->server, key, SSL_FILETYPE_PEM) != 1)) {
        ipc_error_set(error, "the bench's own certificate cannot be used");
        rc = IPC_SYSTEM;
    }
    for (; rc == IPC_OK && sink->count < connections; sink->count++)
        rc = connection_open(sink, &sink->connections[sink->count], error);
    if (rc != IPC_OK) {
        bench_sink_close(sink);
        return rc;
    }
    *out = sink;
    return IPC_OK;
}

void bench_sink_close(struct bench_sink *sink)
{
    if (sink == NULL)
        return;
    for (uint32_t i = 0; i < sink->count; i++) {
        struct sink_connection *connection = &sink->connections[i];
        if (connection->h2 != NULL)
            eng_h2_free(connection->h2);
        eng_tls_end(&connection->tls);
        free(connection->cipher);
        free(connection->h2_memory);
    }
    SSL_CTX_free(sink->server);
    eng_tls_context_free(sink->client);
    free(sink->bodies_memory);
    free(sink->connections);
    free(sink->noted);
    free(sink);
}

struct eng_h2 *bench_sink_h2(struct bench_sink *sink, uint32_t connection)
{
    return sink->connections[connection].h2;
}

void bench_sink_sent(struct bench_sink *sink, uint32_t connection, uint32_t stream_id)
{
    struct sink_connection *to = &sink->connections[connection];
    LS_CHECK(to->stream_count < ENG_CONNECTION_STREAM_SLOTS);
    to->streams[to->stream_count++] = stream_id;
    if (!to->is_noted) {
        to->is_noted = true;
        sink->noted[sink->noted_count++] = connection;
    }
}

uint64_t bench_sink_seal(struct bench_sink *sink, uint32_t record_bytes, uint64_t *records)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < sink->noted_count; i++) {
        struct sink_connection *connection = &sink->connections[sink->noted[i]];
        for (;;) {
            const struct adp_span plain = eng_h2_output(connection->h2);
            if (plain.count == 0)
                break;
            const int64_t sealed = eng_tls_seal(&connection->tls, plain.bytes, plain.count,
                record_bytes, eng_h2_sealed(connection->h2));
            LS_CHECK(sealed > 0);
            eng_h2_output_taken(connection->h2, (size_t)sealed);
            connection->window_bytes += (uint64_t)sealed;
            *records += ((uint64_t)sealed + record_bytes - 1) / record_bytes;
            size_t count = 0;
            (void)eng_tls_pending(&connection->tls, &count);
            eng_tls_attempted(&connection->tls, count);
            eng_tls_handed(&connection->tls, count);
            bytes += count;
        }
    }
    return bytes;
}

void bench_sink_answer(struct bench_sink *sink, int64_t now_mono_ns)
{
    for (uint32_t i = 0; i < sink->noted_count; i++) {
        struct sink_connection *connection = &sink->connections[sink->noted[i]];
        uint8_t frame[10] = {0, 0, 1, 1, 5, 0, 0, 0, 0, 0x88}; /* HEADERS, both ends, :status 200 */
        for (uint32_t k = 0; k < connection->stream_count; k++) {
            put_u32(frame + 5, connection->streams[k]);
            feed(connection, frame, sizeof frame, now_mono_ns);
        }
        connection->stream_count = 0;
        connection->is_noted = false;
        if (connection->window_bytes > WINDOW_STEP / 2) {
            raise_window(connection, (uint32_t)connection->window_bytes, now_mono_ns);
            connection->window_bytes = 0;
        }
    }
    sink->noted_count = 0;
}
