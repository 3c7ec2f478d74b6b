#include "tests/unit/adapters/ingest/tls_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 256
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "tls_peer: %s at line %d\n", #condition, __LINE__);                    \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct tls_connection {
    struct tls_peer *peer;
    SSL *ssl;
    int fd;
    pthread_t thread;
    bool is_used;
    char address[INET_ADDRSTRLEN];
};

struct tls_peer {
    tls_peer_fn script;
    void *context;
    SSL_CTX *tls;
    int listener;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    struct tls_connection connections[CONNECTIONS];
    _Atomic uint32_t handshakes;
    _Atomic bool stop;
    char directory[64], ca[96], other_ca[96], certificate[96], key[96];
};

/* Certificates. */

static X509 *make_certificate(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key)
{
    static _Atomic long serial = 1;
    X509 *certificate = X509_new();
    MUST(certificate != NULL);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), atomic_fetch_add(&serial, 1) + getpid());
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, issuer != NULL ? X509_get_subject_name(issuer) : subject);
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer != NULL ? issuer : certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension =
        issuer != NULL
            ? X509V3_EXT_conf_nid(
                  NULL, &context, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1")
            : X509V3_EXT_conf_nid(NULL, &context, NID_basic_constraints, "critical,CA:TRUE");
    MUST(extension != NULL);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    MUST(X509_sign(certificate, issuer_key != NULL ? issuer_key : key, EVP_sha256()) > 0);
    return certificate;
}

static void write_certificate(const char *path, X509 *certificate)
{
    FILE *file = fopen(path, "w");
    MUST(file != NULL && PEM_write_X509(file, certificate) == 1);
    fclose(file);
}

static void make_certificates(struct tls_peer *peer)
{
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    X509 *ca = make_certificate(ca_key, "a test's CA", NULL, NULL);
    X509 *leaf = make_certificate(key, "localhost", ca, ca_key);
    X509 *other = make_certificate(key, "another test's CA", NULL, NULL);
    snprintf(peer->directory, sizeof(peer->directory), "/tmp/lockstep-peer.XXXXXX");
    MUST(mkdtemp(peer->directory) != NULL);
    snprintf(peer->ca, sizeof(peer->ca), "%s/ca.pem", peer->directory);
    snprintf(peer->other_ca, sizeof(peer->other_ca), "%s/other.pem", peer->directory);
    write_certificate(peer->ca, ca);
    write_certificate(peer->other_ca, other);
    snprintf(peer->certificate, sizeof(peer->certificate), "%s/leaf.pem", peer->directory);
    snprintf(peer->key, sizeof(peer->key), "%s/key.pem", peer->directory);
    write_certificate(peer->certificate, leaf);
    FILE *file = fopen(peer->key, "w");
    MUST(file != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(file);
    peer->tls = SSL_CTX_new(TLS_server_method());
    MUST(SSL_CTX_use_certificate(peer->tls, leaf) == 1);
    MUST(SSL_CTX_use_PrivateKey(peer->tls, key) == 1);
    X509_free(ca);
    X509_free(leaf);
    X509_free(other);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
}

/* Connections. */

static void *run_connection(void *context)
{
    struct tls_connection *connection = context;
    struct tls_peer *peer = connection->peer;
    if (SSL_accept(connection->ssl) == 1) {
        atomic_fetch_add(&peer->handshakes, 1);
        peer->script(connection, peer->context);
        (void)SSL_shutdown(connection->ssl);
    }
    (void)shutdown(connection->fd, SHUT_RDWR);
    return NULL;
}

static void *run_listener(void *context)
{
    struct tls_peer *peer = context;
    for (int i = 0; i < CONNECTIONS; i++) {
        struct sockaddr_in from;
        socklen_t bytes = sizeof(from);
        const int one = 1;
        const int fd = accept(peer->listener, (struct sockaddr *)&from, &bytes);
        if (fd < 0 || atomic_load(&peer->stop))
            return NULL;
        struct tls_connection *connection = &peer->connections[i];
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        pthread_mutex_lock(&peer->lock);
        connection->peer = peer;
        connection->fd = fd;
        connection->ssl = SSL_new(peer->tls);
        SSL_set_fd(connection->ssl, fd);
        inet_ntop(AF_INET, &from.sin_addr, connection->address, sizeof(connection->address));
        connection->is_used = true;
        MUST(pthread_create(&connection->thread, NULL, run_connection, connection) == 0);
        pthread_mutex_unlock(&peer->lock);
    }
    return NULL;
}

struct tls_peer *tls_peer_start(tls_peer_fn script, void *context)
{
    struct tls_peer *peer = calloc(1, sizeof(*peer));
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(at);
    MUST(peer != NULL);
    signal(SIGPIPE, SIG_IGN);
    peer->script = script;
    peer->context = context;
    pthread_mutex_init(&peer->lock, NULL);
    make_certificates(peer);
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(peer->listener >= 0 && bind(peer->listener, (struct sockaddr *)&at, bytes) == 0);
    MUST(listen(peer->listener, 64) == 0);
    MUST(getsockname(peer->listener, (struct sockaddr *)&at, &bytes) == 0);
    peer->port = ntohs(at.sin_port);
    MUST(pthread_create(&peer->thread, NULL, run_listener, peer) == 0);
    return peer;
}

void tls_peer_stop(struct tls_peer *peer)
{
    atomic_store(&peer->stop, true);
    (void)shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    for (int i = 0; i < CONNECTIONS; i++) {
        struct tls_connection *connection = &peer->connections[i];
        if (!connection->is_used)
            continue;
        (void)shutdown(connection->fd, SHUT_RDWR);
        pthread_join(connection->thread, NULL);
        SSL_free(connection->ssl);
        close(connection->fd);
    }
    SSL_CTX_free(peer->tls);
    unlink(peer->ca);
    unlink(peer->other_ca);
    unlink(peer->certificate);
    unlink(peer->key);
    rmdir(peer->directory);
    pthread_mutex_destroy(&peer->lock);
    free(peer);
}

uint16_t tls_peer_port(const struct tls_peer *peer)
{
    return peer->port;
}

const char *tls_peer_ca(const struct tls_peer *peer)
{
    return peer->ca;
}

const char *tls_peer_certificate(const struct tls_peer *peer)
{
    return peer->certificate;
}

const char *tls_peer_key(const struct tls_peer *peer)
{
    return peer->key;
}

const char *tls_peer_other_ca(const struct tls_peer *peer)
{
    return peer->other_ca;
}

uint32_t tls_peer_connections(const struct tls_peer *peer)
{
    return atomic_load(&peer->handshakes);
}

const char *tls_client_address(const struct tls_connection *connection)
{
    return connection->address;
}

void tls_cut(struct tls_connection *connection)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    (void)shutdown(connection->fd, SHUT_RDWR);
    SSL_set_quiet_shutdown(connection->ssl, 1);
}

/* Bytes. */

bool tls_write(struct tls_connection *connection, const void *bytes, size_t count)
{
    return count == 0 || SSL_write(connection->ssl, bytes, (int)count) == (int)count;
}

static bool read_exactly(struct tls_connection *connection, void *out, size_t count)
{
    for (size_t at = 0; at < count;) {
        const int got = SSL_read(connection->ssl, (char *)out + at, (int)(count - at));
        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

size_t tls_read_request(struct tls_connection *connection, char *out, size_t room)
{
    size_t count = 0;
    while (count < room - 1 && read_exactly(connection, out + count, 1)) {
        count++;
        out[count] = '\0';
        if (count < 4 || memcmp(out + count - 4, "\r\n\r\n", 4) != 0)
            continue;
        const char *length = strcasestr(out, "content-length:");
        const size_t body = length == NULL ? 0 : (size_t)atol(length + 15);
        if (body >= room - count || !read_exactly(connection, out + count, body))
            return 0;
        out[count + body] = '\0';
        return count;
    }
    return 0;
}

bool tls_reply(
    struct tls_connection *connection, int status, const char *content_type, const char *body)
{
    char head[256];
    const int count = snprintf(head, sizeof(head),
        "HTTP/1.1 %d Scripted\r\ncontent-type: %s\r\ncontent-length: %zu\r\n%s\r\n", status,
        content_type, strlen(body), status == 302 ? "location: /elsewhere\r\n" : "");
    return tls_write(connection, head, (size_t)count) && tls_write(connection, body, strlen(body));
}

bool ws_accept(struct tls_connection *connection, const char *request)
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 1.3 */
    const char *key = strcasestr(request, "sec-websocket-key:");
    unsigned char digest[20], text[64];
    char joined[128], head[256];
    if (key == NULL)
        return false;
    key += 18;
    key += strspn(key, " ");
    snprintf(joined, sizeof(joined), "%.*s%s", (int)strcspn(key, "\r"), key, magic);
    MUST(EVP_Digest(joined, strlen(joined), digest, NULL, EVP_sha1(), NULL) == 1);
    EVP_EncodeBlock(text, digest, sizeof(digest));
    const int count = snprintf(head, sizeof(head),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: %s\r\n\r\n",
        (const char *)text);
    return tls_write(connection, head, (size_t)count);
}

bool ws_send(struct tls_connection *connection, uint8_t opcode, bool is_last, const void *bytes,
    size_t count)
{
    uint8_t head[10] = {(uint8_t)(opcode | (is_last ? 0x80 : 0))};
    size_t head_bytes = 2;
    if (count < 126) {
        head[1] = (uint8_t)count;
    } else if (count < 65536) {
        head[1] = 126;
        head[2] = (uint8_t)(count >> 8);
        head[3] = (uint8_t)count;
        head_bytes = 4;
    } else {
        head[1] = 127;
        for (size_t i = 0; i < 8; i++)
            head[2 + i] = (uint8_t)(count >> (56 - 8 * i));
        head_bytes = 10;
    }
    char *frame = malloc(head_bytes + count);
    MUST(frame != NULL);
    memcpy(frame, head, head_bytes);
    if (count > 0)
        memcpy(frame + head_bytes, bytes, count);
    const bool done = tls_write(connection, frame, head_bytes + count);
    free(frame);
    return done;
}

int ws_receive(struct tls_connection *connection, char *out, size_t room, int wait_ms)
{
    struct pollfd ready = {.fd = connection->fd, .events = POLLIN};
    uint8_t head[2], more[8], mask[4];
    out[0] = '\0';
    if (SSL_pending(connection->ssl) == 0 && poll(&ready, 1, wait_ms) <= 0)
        return -1;
    if (!read_exactly(connection, head, 2))
        return -2;
    size_t count = head[1] & 0x7f;
    if (count == 126) {
        if (!read_exactly(connection, more, 2))
            return -2;
        count = (size_t)more[0] << 8 | more[1];
    } else if (count == 127) {
        return -2; /* no test sends so much */
    }
    if ((head[1] & 0x80) == 0 || count >= room || !read_exactly(connection, mask, 4) ||
        !read_exactly(connection, out, count))
        return -2;
    for (size_t i = 0; i < count; i++)
        out[i] = (char)(out[i] ^ mask[i % 4]);
    out[count] = '\0';
    return head[0] & 0x0f;
}
