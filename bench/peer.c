#include "bench/peer.h"

#include "bench/peer_private.h"
#include "ipc/clock.h"
#include "ipc/ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 12000u
#define EVENTS          256

/* ---- certificate ----------------------------------------------------------------------------- */

static bool add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    const bool done = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return done;
}

static bool sign(X509 *certificate, EVP_PKEY *key)
{
    X509_NAME *name = X509_get_subject_name(certificate);
    return X509_set_version(certificate, 2) == 1 &&
           ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), 86400) != NULL &&
           X509_NAME_add_entry_by_txt(
               name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0) == 1 &&
           X509_set_issuer_name(certificate, name) == 1 && X509_set_pubkey(certificate, key) == 1 &&
           add_extension(certificate, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1") &&
           add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE") &&
           X509_sign(certificate, key, EVP_sha256()) != 0;
}

enum ipc_rc bench_peer_certificate(
    const char *certificate_file, const char *key_file, struct ipc_error *error)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    FILE *certificate_out = fopen(certificate_file, "w"), *key_out = fopen(key_file, "w");
    const bool done = key != NULL && certificate != NULL && certificate_out != NULL &&
                      key_out != NULL && sign(certificate, key) &&
                      PEM_write_X509(certificate_out, certificate) == 1 &&
                      PEM_write_PrivateKey(key_out, key, NULL, NULL, 0, NULL, NULL) == 1;
    if (certificate_out != NULL)
        (void)fclose(certificate_out);
    if (key_out != NULL)
        (void)fclose(key_out);
    X509_free(certificate);
    EVP_PKEY_free(key);
    if (!done) {
        ipc_error_set(error, "no certificate could be written to %s", certificate_file);
        return IPC_SYSTEM;
    }
    return IPC_OK;
}

/* ---- the process ----------------------------------------------------------------------------- */

struct peer {
    struct bench_peer_page *page;
    int listen_fd, epoll_fd;
    SSL_CTX *tls;
    struct ipc_ring_producer ring;
    bool has_ring;
    uint32_t connection_count;
};

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *out_count,
    const unsigned char *in, unsigned in_count, void *context)
{
    static const unsigned char ours[] = {2, 'h', '2'};
    unsigned char *chosen = NULL;
    (void)ssl;
    (void)context;
    if (SSL_select_next_proto(&chosen, out_count, ours, sizeof ours, in, in_count) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static void connection_end(struct peer *peer, struct peer_connection *connection, bool is_error)
{
    if (is_error)
        atomic_fetch_add_explicit(&peer->page->errors, 1, memory_order_relaxed);
    SSL_free(connection->ssl);
    (void)close(connection->fd); /* leaves epoll with it */
    free(connection);
}

static void accept_all(struct peer *peer)
{
    for (;;) {
        const int fd = accept4(peer->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        const int on = 1;
        struct peer_connection *connection = calloc(1, sizeof *connection);
        SSL *ssl = SSL_new(peer->tls);
        LS_CHECK(connection != NULL && ssl != NULL && peer->connection_count < CONNECTIONS_MAX);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connection->fd = fd;
        connection->ssl = ssl;
        connection->number = peer->connection_count++;
        LS_CHECK(SSL_set_fd(ssl, fd) == 1);
        SSL_set_accept_state(ssl);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        LS_CHECK(epoll_ctl(peer->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
        atomic_store_explicit(
            &peer->page->connections, peer->connection_count, memory_order_relaxed);
    }
}

/* Returns false when the connection has failed. */
static bool write_output(struct peer *peer, struct peer_connection *connection)
{
    uint32_t at = 0;
    bool blocked = false;
    while (at < connection->output_count && !blocked) {
        const int count = SSL_write(
            connection->ssl, connection->output + at, (int)(connection->output_count - at));
        if (count > 0) {
            at += (uint32_t)count;
            continue;
        }
        blocked = SSL_get_error(connection->ssl, count) == SSL_ERROR_WANT_WRITE;
        if (!blocked)
            return false;
    }
    memmove(connection->output, connection->output + at, connection->output_count - at);
    connection->output_count -= at;
    if (blocked != connection->wants_write) {
        struct epoll_event event = {
            .events = EPOLLIN | (blocked ? EPOLLOUT : 0u), .data.ptr = connection};
        connection->wants_write = blocked;
        LS_CHECK(epoll_ctl(peer->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event) == 0);
    }
    return true;
}

static bool wants_more(int code)
{
    return code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE;
}

static void serve(struct peer *peer, struct peer_connection *connection)
{
    ERR_clear_error();
    if (!connection->is_open) {
        const int rc = SSL_accept(connection->ssl);
        if (rc != 1) {
            if (!wants_more(SSL_get_error(connection->ssl, rc)))
                connection_end(peer, connection, true);
            return;
        }
        connection->is_open = true;
    }
    for (;;) {
        const int count = SSL_read(connection->ssl, connection->input + connection->input_count,
            (int)(PEER_INPUT_BYTES - connection->input_count));
        if (count <= 0) {
            if (wants_more(SSL_get_error(connection->ssl, count)))
                break;
            connection_end(peer, connection, false); /* closed, in whichever way */
            return;
        }
        connection->input_count += (uint32_t)count;
        if (!peer_h2_receive(connection, peer->page)) {
            connection_end(peer, connection, true);
            return;
        }
    }
    if (connection->output_count != 0 && !write_output(peer, connection))
        connection_end(peer, connection, true);
}

/* Publishes the armed event when its time has come. */
static void publish(struct peer *peer)
{
    struct bench_peer_page *page = peer->page;
    const uint64_t armed = atomic_load_explicit(&page->armed, memory_order_acquire);
    if (armed == atomic_load_explicit(&page->published, memory_order_relaxed) || !peer->has_ring)
        return;
    const int64_t now = ipc_clock_mono_ns();
    if (now < page->intended_mono_ns)
        return;
    struct ipc_event event = page->event;
    event.received_mono_ns = page->intended_mono_ns;
    event.published_mono_ns = now;
    if (ipc_ring_offer(&peer->ring, &event, sizeof event, NULL) != IPC_OK)
        atomic_fetch_add_explicit(&page->refused, 1, memory_order_relaxed);
    page->published_mono_ns = now;
    atomic_store_explicit(&page->published, armed, memory_order_release);
}

/* Publishes what is due of the series, each with its intended time. */
static void publish_series(struct peer *peer)
{
    struct bench_peer_page *page = peer->page;
    const uint32_t count = atomic_load_explicit(&page->series_count, memory_order_acquire);
    uint32_t done = atomic_load_explicit(&page->series_done, memory_order_relaxed);
    if (done >= count || !peer->has_ring)
        return;
    for (; done < count; done++) {
        const int64_t intended =
            page->series_start_mono_ns + (int64_t)done * page->series_interval_ns;
        const int64_t now = ipc_clock_mono_ns();
        if (now < intended)
            break;
        struct ipc_event event = page->series[done];
        event.received_mono_ns = intended;
        event.published_mono_ns = now;
        if (ipc_ring_offer(&peer->ring, &event, sizeof event, NULL) != IPC_OK) {
            atomic_fetch_add_explicit(&page->refused, 1, memory_order_relaxed);
            break; /* and again: nothing of the series is left out */
        }
    }
    atomic_store_explicit(&page->series_done, done, memory_order_release);
}

static void answer_ping(struct bench_peer_page *page)
{
    const uint64_t ping = atomic_load_explicit(&page->ping, memory_order_acquire);
    if (ping != atomic_load_explicit(&page->pong, memory_order_relaxed))
        atomic_store_explicit(&page->pong, ping, memory_order_release);
}

static void peer_run(struct peer *peer)
{
    struct epoll_event events[EVENTS];
    while (atomic_load_explicit(&peer->page->stop, memory_order_acquire) == 0) {
        const bool spin = atomic_load_explicit(&peer->page->spin, memory_order_acquire) != 0;
        atomic_store_explicit(&peer->page->is_spinning, spin, memory_order_release);
        if (spin) {
            publish(peer);
            publish_series(peer);
            for (uint32_t i = 0; i < 64; i++)
                answer_ping(peer->page);
        }
        const int count = epoll_wait(peer->epoll_fd, events, EVENTS, spin ? 0 : 1);
        for (int i = 0; i < count; i++) {
            if (spin)
                publish_series(peer); /* a turn over many connections is longer than an interval */
            if (events[i].data.ptr == NULL)
                accept_all(peer);
            else
                serve(peer, events[i].data.ptr);
        }
    }
}

static bool peer_listen(struct peer *peer, uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    peer->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (peer->listen_fd < 0 ||
        bind(peer->listen_fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(peer->listen_fd, 4096) != 0 ||
        getsockname(peer->listen_fd, (struct sockaddr *)&address, &bytes) != 0)
        return false;
    *port = ntohs(address.sin_port);
    return true;
}

/* Nothing of the parent's is used here but the page and the listening socket. Never returns. */
static void peer_main(struct peer *peer, const struct bench_peer_options *options, pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    (void)prctl(PR_SET_NAME, "bench-peer");
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN); /* the parent ends it */
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET((size_t)options->cpu, &cpus);
    if (sched_setaffinity(0, sizeof cpus, &cpus) != 0)
        _exit(1);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    peer->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    peer->tls = SSL_CTX_new(TLS_server_method());
    if (peer->epoll_fd < 0 || peer->tls == NULL ||
        epoll_ctl(peer->epoll_fd, EPOLL_CTL_ADD, peer->listen_fd, &event) != 0 ||
        SSL_CTX_use_certificate_chain_file(peer->tls, options->certificate_file) != 1 ||
        SSL_CTX_use_PrivateKey_file(peer->tls, options->key_file, SSL_FILETYPE_PEM) != 1)
        _exit(1);
    SSL_CTX_set_alpn_select_cb(peer->tls, choose_h2, NULL);
    SSL_CTX_set_mode(
        peer->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    struct ipc_shm shm;
    struct ipc_error error = {{0}};
    if (options->instance[0] != '\0') {
        struct ipc_ring_name name = {.producer = "bench", .ring_class = IPC_RING_ORDERS};
        if (ipc_shm_open(&shm, NULL, options->instance, true, &error) != IPC_OK ||
            ipc_ring_create(&shm, &name, 16384, &error) != IPC_OK ||
            ipc_ring_attach_producer(&shm, &name, &peer->ring, &error) != IPC_OK) {
            (void)fprintf(stderr, "lockstep-bench: the peer's ring: %s\n", error.text);
            _exit(1);
        }
        peer->has_ring = true;
    }
    peer_run(peer);
    _exit(0);
}

enum ipc_rc bench_peer_start(
    struct bench_peer *out, const struct bench_peer_options *options, struct ipc_error *error)
{
    struct peer peer = {0};
    const pid_t parent = getpid();
    *out = (struct bench_peer){.pid = -1};
    out->page =
        mmap(NULL, sizeof *out->page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (out->page == MAP_FAILED || !peer_listen(&peer, &out->port)) {
        ipc_error_set(error, "the bench's peer could not be made (%s)", strerror(errno));
        return IPC_SYSTEM;
    }
    memset(out->page, 0, sizeof *out->page);
    peer.page = out->page;
    out->pid = fork();
    if (out->pid == 0)
        peer_main(&peer, options, parent);
    (void)close(peer.listen_fd);
    if (out->pid < 0) {
        ipc_error_set(error, "no process for the bench's peer (%s)", strerror(errno));
        return IPC_SYSTEM;
    }
    return IPC_OK;
}

void bench_peer_stop(struct bench_peer *peer)
{
    if (peer->pid > 0) {
        atomic_store_explicit(&peer->page->stop, 1, memory_order_release);
        (void)kill(peer->pid, SIGKILL); /* the child started above, not yet reaped */
        (void)waitpid(peer->pid, NULL, 0);
    }
    if (peer->page != NULL && peer->page != MAP_FAILED)
        (void)munmap(peer->page, sizeof *peer->page);
    *peer = (struct bench_peer){.pid = -1};
}

void bench_peer_spin(struct bench_peer_page *page, bool spin)
{
    const struct timespec nap = {0, 50 * LS_NS_PER_US};
    const int64_t until = ipc_clock_mono_ns() + 100 * LS_NS_PER_MS;
    atomic_store_explicit(&page->spin, spin, memory_order_release);
    while (atomic_load_explicit(&page->is_spinning, memory_order_acquire) != (uint32_t)spin &&
           ipc_clock_mono_ns() < until)
        (void)nanosleep(&nap, NULL);
}
