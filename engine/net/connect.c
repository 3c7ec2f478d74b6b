/* connect.c: attempts to connect, each a small state machine driven by one epoll. */
#include "engine/net/connect.h"
#include "engine/net/connection_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum stage { STAGE_FREE = 0, STAGE_CONNECT = 1, STAGE_TLS = 2, STAGE_WARM = 3 };

struct attempt {
    enum stage stage;
    struct eng_connection *connection;
    struct eng_connect_target target;
    int64_t deadline_mono_ns;
    int64_t warm_by_mono_ns; /* HTTP/1.1: no ticket comes any more */
    bool wants_write;
};

/* How long a finished HTTP/1.1 connection waits for a session ticket. A server that refuses us
 * after the handshake (too many connections) has done so by then, too. */
#define H1_WARM_NS (20 * LS_NS_PER_MS)

struct eng_connector {
    struct eng_connector_config config;
    uint8_t *blocks;
    struct eng_connection **free_connections; /* a stack */
    uint32_t free_count;
    struct attempt *attempts;
    uint32_t in_progress;
    int epoll_fd;
    struct eng_h2_bodies bodies; /* no reply comes during a warm-up; the machine wants them named */
    void *bodies_memory;
    uint8_t cipher[16384], plain[16384];
};

static void no_reply(const struct eng_h2_reply *reply, void *context)
{
    (void)reply;
    (void)context;
    ls_check_failed("there are no requests during a warm-up", __FILE__, __LINE__);
}

static void no_loss(const struct eng_h2_loss *loss, void *context)
{
    (void)loss;
    (void)context;
    ls_check_failed("there are no requests during a warm-up", __FILE__, __LINE__);
}

static const struct eng_h2_sink no_sink = {.reply = no_reply, .loss = no_loss};

enum ipc_rc eng_connector_make(
    const struct eng_connector_config *config, struct eng_connector **out, struct ipc_error *error)
{
    LS_CHECK(config->connections >= 1 && config->connections <= 65536);
    LS_CHECK(config->attempts >= 1 && config->attempts <= 4096);
    struct eng_connector *connector = calloc(1, sizeof *connector);
    LS_CHECK(connector != NULL);
    connector->config = *config;
    if (connector->config.timeout_ns == 0)
        connector->config.timeout_ns = 10 * LS_NS_PER_S;
    connector->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    const size_t footprint = eng_connection_footprint();
    connector->blocks = aligned_alloc(64, footprint * config->connections);
    connector->free_connections = calloc(config->connections, sizeof *connector->free_connections);
    connector->attempts = calloc(config->attempts, sizeof *connector->attempts);
    connector->bodies_memory = aligned_alloc(64, ls_align_up(eng_h2_bodies_footprint(1), 64));
    if (connector->epoll_fd < 0 || connector->blocks == NULL ||
        connector->free_connections == NULL || connector->attempts == NULL ||
        connector->bodies_memory == NULL) {
        ipc_error_set(error,
            "no memory for %u connections of %zu bytes; lower `connections` in the configuration",
            config->connections, footprint);
        eng_connector_free(connector);
        return IPC_SYSTEM;
    }
    eng_h2_bodies_init(&connector->bodies, connector->bodies_memory, 1);
    for (uint32_t i = config->connections; i > 0; i--)
        connector->free_connections[connector->free_count++] =
            eng_connection_place(connector->blocks + footprint * (i - 1), i - 1);
    *out = connector;
    return IPC_OK;
}

enum ipc_rc eng_connect_resolve(const char *broker, const char *host, uint16_t port, uint8_t family,
    struct sockaddr_storage *address, socklen_t *address_bytes, struct ipc_error *error)
{
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    const struct addrinfo hints = {
        .ai_family = family == 4   ? AF_INET
                     : family == 6 ? AF_INET6
                                   : AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV,
    };
    struct addrinfo *found = NULL;
    const int rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0) {
        ipc_error_set(error, "broker %s: %s has no %saddress (%s); check the broker's host", broker,
            host,
            family == 4   ? "IPv4 "
            : family == 6 ? "IPv6 "
                          : "",
            gai_strerror(rc));
        return IPC_NOT_FOUND;
    }
    memcpy(address, found->ai_addr, found->ai_addrlen);
    *address_bytes = found->ai_addrlen;
    freeaddrinfo(found);
    return IPC_OK;
}

/* The source address of a target as a socket address with port 0; its size. */
static socklen_t source_of(const struct eng_connect_target *target, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (target->source_family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)(void *)out;
        in->sin_family = AF_INET;
        memcpy(&in->sin_addr, target->source_address, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)(void *)out;
    in->sin6_family = AF_INET6;
    memcpy(&in->sin6_addr, target->source_address, 16);
    return sizeof *in;
}

static void source_text(const struct eng_connect_target *target, char *out, size_t bytes)
{
    if (inet_ntop(target->source_family == 4 ? AF_INET : AF_INET6, target->source_address, out,
            (socklen_t)bytes) == NULL)
        snprintf(out, bytes, "?");
}

static bool is_bound_to_source(const struct eng_connect_target *target, int fd)
{
    struct sockaddr_storage bound = {0};
    socklen_t bound_bytes = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &bound_bytes) != 0)
        return false;
    if (target->source_family == 4) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&bound;
        return bound.ss_family == AF_INET && memcmp(&in->sin_addr, target->source_address, 4) == 0;
    }
    const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)&bound;
    return bound.ss_family == AF_INET6 && memcmp(&in->sin6_addr, target->source_address, 16) == 0;
}

/* Socket, options, bind, connect; -1 with a sentence. */
static int open_socket(const struct eng_connect_target *target, struct ipc_error *error)
{
    const int family = target->address.ss_family;
    if (target->source_family != 0 && family != (target->source_family == 4 ? AF_INET : AF_INET6)) {
        ipc_error_set(error,
            "broker %s: its address and the account's source address are of different families; "
            "give the account a source address of the broker's family",
            target->broker);
        return -1;
    }
    const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        ipc_error_set(error, "broker %s: no socket (%s); check the limit of open files (ulimit -n)",
            target->broker, strerror(errno));
        return -1;
    }
    const int on = 1;
    const unsigned user_timeout_ms = target->user_timeout_ms == 0 ? 2000 : target->user_timeout_ms;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
    if (target->source_family != 0) {
        /* The port is chosen at connect, so that many lanes share one address. */
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        struct sockaddr_storage source;
        const socklen_t source_bytes = source_of(target, &source);
        if (bind(fd, (const struct sockaddr *)&source, source_bytes) != 0) {
            char text[INET6_ADDRSTRLEN];
            source_text(target, text, sizeof text);
            ipc_error_set(error,
                "broker %s: this machine cannot send from %s (%s); add the address to an interface "
                "or correct the account's source address",
                target->broker, text, strerror(errno));
            close(fd);
            return -1;
        }
    }
    if (connect(fd, (const struct sockaddr *)&target->address, target->address_bytes) != 0 &&
        errno != EINPROGRESS) {
        ipc_error_set(error, "broker %s: no connection (%s); check host, port and the network",
            target->broker, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

enum ipc_rc eng_connect_start(struct eng_connector *connector,
    const struct eng_connect_target *target, int64_t now_mono_ns, struct ipc_error *error)
{
    if (connector->in_progress == connector->config.attempts || connector->free_count == 0)
        return IPC_FULL;
    const int fd = open_socket(target, error);
    if (fd < 0)
        return IPC_SYSTEM;
    uint32_t index = 0;
    while (connector->attempts[index].stage != STAGE_FREE)
        index++;
    struct epoll_event event = {.events = EPOLLOUT, .data.u32 = index};
    if (epoll_ctl(connector->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        ipc_error_set(error,
            "broker %s: the socket cannot be watched (%s); raise the limit of "
            "watched descriptors",
            target->broker, strerror(errno));
        close(fd);
        return IPC_SYSTEM;
    }
    struct eng_connection *connection = connector->free_connections[--connector->free_count];
    *connection = (struct eng_connection){
        .handle = connection->handle,
        .cipher_arena = connection->cipher_arena,
        .machine_memory = connection->machine_memory,
        .fd = fd,
        .lane = target->lane,
        .member = target->member,
    };
    connector->attempts[index] = (struct attempt){
        .stage = STAGE_CONNECT,
        .connection = connection,
        .target = *target,
        .deadline_mono_ns = now_mono_ns + connector->config.timeout_ns,
        .wants_write = true,
    };
    connector->in_progress++;
    return IPC_OK;
}

/* Sends what is waiting; asks for writability only when the socket is full. */
static bool send_pending(
    struct eng_connector *connector, struct attempt *attempt, struct ipc_error *error)
{
    struct eng_connection *connection = attempt->connection;
    bool is_full = false;
    for (;;) {
        size_t count;
        const uint8_t *cipher = eng_tls_pending(&connection->tls, &count);
        if (count == 0)
            break;
        const ssize_t taken = send(connection->fd, cipher, count, MSG_NOSIGNAL);
        if (taken < 0 && (errno == EAGAIN || errno == EINTR)) {
            is_full = true;
            break;
        }
        if (taken < 0) {
            ipc_error_set(error, "broker %s: the connection broke during set-up (%s)",
                attempt->target.broker, strerror(errno));
            return false;
        }
        eng_tls_handed(&connection->tls, (size_t)taken);
    }
    if (is_full != attempt->wants_write) {
        attempt->wants_write = is_full;
        struct epoll_event event = {
            .events = EPOLLIN | (is_full ? EPOLLOUT : 0u),
            .data.u32 = (uint32_t)(attempt - connector->attempts),
        };
        epoll_ctl(connector->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
    }
    return true;
}

static bool after_connect(struct attempt *attempt, struct ipc_error *error)
{
    struct eng_connection *connection = attempt->connection;
    const struct eng_connect_target *target = &attempt->target;
    int failure = 0;
    socklen_t failure_bytes = sizeof failure;
    getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &failure, &failure_bytes);
    if (failure != 0) {
        ipc_error_set(error, "broker %s: no connection (%s); check host, port and the network",
            target->broker, strerror(failure));
        return false;
    }
    if (target->source_family != 0 && !is_bound_to_source(target, connection->fd)) {
        char text[INET6_ADDRSTRLEN];
        source_text(target, text, sizeof text);
        ipc_error_set(error,
            "broker %s: the connection does not come from %s; the lane stays shut; check routing "
            "and the account's source address",
            target->broker, text);
        return false;
    }
    if (!eng_tls_begin(&connection->tls, target->context, connection->cipher_arena,
            ENG_CONNECTION_CIPHER_BYTES)) {
        ipc_error_set(error, "broker %s: no memory for a TLS session", target->broker);
        return false;
    }
    attempt->stage = STAGE_TLS;
    return true;
}

/* Seals what the machine wants to say: HTTP/2 only, HTTP/1.1 has no greeting. */
static bool seal_output(struct attempt *attempt, struct ipc_error *error)
{
    struct eng_connection *connection = attempt->connection;
    const struct adp_span plain = eng_connection_output(connection);
    const int64_t sealed = eng_tls_seal(&connection->tls, plain.bytes, plain.count,
        ENG_TLS_RECORD_BYTES, eng_connection_sealed(connection));
    if (sealed < 0) {
        ipc_error_set(error, "broker %s: the TLS session failed during set-up; nothing was sent",
            attempt->target.broker);
        return false;
    }
    eng_connection_output_taken(connection, (size_t)sealed);
    return true;
}

/* HTTP/1.1 has no PING: the kernel asks the peer's after a second of silence, and TCP_USER_TIMEOUT
 * ends a connection whose peer does not answer. */
static void watch_peer(int fd)
{
    const int on = 1, second = 1;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &second, sizeof second);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &second, sizeof second);
}

/* Nothing more is to be awaited. TLS 1.3 sends its tickets after the handshake, which the pinned
 * thread would drop; in HTTP/2 the warm-up's round trip brings them. */
static bool is_warm(const struct eng_connection *connection, int64_t warm_by_ns, int64_t now_ns)
{
    if (connection->h1 == NULL)
        return eng_h2_ready(connection->h2);
    return connection->tls.has_ticket || now_ns >= warm_by_ns ||
           SSL_version(connection->tls.ssl) < TLS1_3_VERSION;
}

static bool take_bytes(struct eng_connector *connector, struct attempt *attempt,
    const uint8_t *bytes, size_t count, int64_t now_mono_ns, struct ipc_error *error)
{
    struct eng_connection *connection = attempt->connection;
    if (attempt->stage == STAGE_TLS) {
        const enum eng_tls_step step = eng_tls_handshake(&connection->tls, &bytes, &count, error);
        if (step == ENG_TLS_FAILED)
            return false;
        if (step == ENG_TLS_WANTS_MORE)
            return true;
        if (!eng_connection_open(connection, &connector->bodies)) {
            ipc_error_set(error, "broker %s: no memory for a connection", attempt->target.broker);
            return false;
        }
        connection->resumed = SSL_session_reused(connection->tls.ssl) == 1;
        attempt->stage = STAGE_WARM;
        attempt->warm_by_mono_ns = now_mono_ns + H1_WARM_NS;
        if (connection->h1 != NULL)
            watch_peer(connection->fd);
    }
    eng_tls_feed(&connection->tls, bytes, count);
    for (;;) {
        const int64_t got =
            eng_tls_open(&connection->tls, connector->plain, sizeof connector->plain);
        if (got == 0)
            return seal_output(attempt, error);
        if (got < 0) {
            ipc_error_set(error,
                "broker %s: it ended the TLS session during set-up; nothing was sent",
                attempt->target.broker);
            return false;
        }
        if (!eng_connection_receive(
                connection, connector->plain, (size_t)got, now_mono_ns, &no_sink)) {
            ipc_error_set(error, "broker %s: it breaks %s (%s); nothing was sent",
                attempt->target.broker, connection->h1 != NULL ? "HTTP/1.1" : "HTTP/2",
                eng_connection_error_text(connection));
            return false;
        }
    }
}

/* Moves one attempt on. Returns false when it failed; done when its stage says so. */
static bool step(struct eng_connector *connector, struct attempt *attempt, int64_t now_mono_ns,
    struct ipc_error *error)
{
    struct eng_connection *connection = attempt->connection;
    if (attempt->stage == STAGE_CONNECT) {
        if (!after_connect(attempt, error) ||
            !take_bytes(connector, attempt, connector->cipher, 0, now_mono_ns, error))
            return false;
        return send_pending(connector, attempt, error);
    }
    for (;;) {
        const ssize_t got =
            recv(connection->fd, connector->cipher, sizeof connector->cipher, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (got <= 0) {
            ipc_error_set(error, "broker %s: it closed the connection during %s (%s)",
                attempt->target.broker,
                attempt->stage == STAGE_TLS ? "the TLS handshake" : "the set-up",
                got == 0 ? "end of stream" : strerror(errno));
            return false;
        }
        if (!take_bytes(connector, attempt, connector->cipher, (size_t)got, now_mono_ns, error)) {
            struct ipc_error ignored;
            send_pending(connector, attempt, &ignored); /* the alert, so that the peer knows why */
            return false;
        }
    }
    return send_pending(connector, attempt, error);
}

static void give_result(struct eng_connector *connector, struct attempt *attempt, bool is_warm,
    const struct ipc_error *error, struct eng_connect_result *result)
{
    struct eng_connection *connection = attempt->connection;
    *result = (struct eng_connect_result){
        .lane = attempt->target.lane,
        .member = attempt->target.member,
        .connection = is_warm ? connection : NULL,
    };
    epoll_ctl(connector->epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
    attempt->stage = STAGE_FREE;
    connector->in_progress--;
    if (!is_warm) {
        result->error = *error;
        eng_connector_recycle(connector, connection);
    }
}

static const char *const stage_names[] = {
    [STAGE_FREE] = "",
    [STAGE_CONNECT] = "connect",
    [STAGE_TLS] = "TLS handshake",
    [STAGE_WARM] = "HTTP set-up",
};

uint32_t eng_connect_run(struct eng_connector *connector, int64_t now_mono_ns, int timeout_ms,
    struct eng_connect_result *results, uint32_t max)
{
    struct epoll_event ready[64];
    LS_CHECK(max >= 1);
    if (connector->in_progress == 0)
        return 0;
    const int ready_count =
        epoll_wait(connector->epoll_fd, ready, max < 64 ? (int)max : 64, timeout_ms);
    uint32_t count = 0;
    struct ipc_error error;
    for (int i = 0; i < ready_count; i++) {
        struct attempt *attempt = &connector->attempts[ready[i].data.u32];
        if (attempt->stage == STAGE_FREE)
            continue;
        if (!step(connector, attempt, now_mono_ns, &error))
            give_result(connector, attempt, false, &error, &results[count++]);
        else if (attempt->stage == STAGE_WARM &&
                 is_warm(attempt->connection, attempt->warm_by_mono_ns, now_mono_ns))
            give_result(connector, attempt, true, NULL, &results[count++]);
    }
    for (uint32_t i = 0; i < connector->config.attempts && count < max; i++) {
        struct attempt *attempt = &connector->attempts[i];
        if (attempt->stage == STAGE_WARM && attempt->connection->h1 != NULL &&
            is_warm(attempt->connection, attempt->warm_by_mono_ns, now_mono_ns)) {
            give_result(connector, attempt, true, NULL, &results[count++]);
            continue;
        }
        if (attempt->stage == STAGE_FREE || now_mono_ns < attempt->deadline_mono_ns)
            continue;
        ipc_error_set(&error,
            "broker %s: not connected within %lld s (waiting for: %s); check host, port and the "
            "network",
            attempt->target.broker, (long long)(connector->config.timeout_ns / LS_NS_PER_S),
            stage_names[attempt->stage]);
        give_result(connector, attempt, false, &error, &results[count++]);
    }
    return count;
}

int eng_connect_fd(const struct eng_connector *connector)
{
    return connector->epoll_fd;
}

void eng_connector_recycle(struct eng_connector *connector, struct eng_connection *connection)
{
    eng_connection_shut(connection);
    if (connection->tls.ssl != NULL)
        eng_tls_end(&connection->tls);
    if (connection->fd >= 0)
        close(connection->fd);
    connection->fd = -1;
    LS_CHECK(connector->free_count < connector->config.connections);
    connector->free_connections[connector->free_count++] = connection;
}

uint32_t eng_connector_in_progress(const struct eng_connector *connector)
{
    return connector->in_progress;
}

void eng_connector_free(struct eng_connector *connector)
{
    for (uint32_t i = 0; connector->attempts != NULL && i < connector->config.attempts; i++) {
        struct attempt *attempt = &connector->attempts[i];
        if (attempt->stage != STAGE_FREE) {
            attempt->stage = STAGE_FREE;
            eng_connector_recycle(connector, attempt->connection);
        }
    }
    if (connector->epoll_fd >= 0)
        close(connector->epoll_fd);
    free(connector->attempts);
    free(connector->free_connections);
    free(connector->blocks);
    free(connector->bodies_memory);
    free(connector);
}
