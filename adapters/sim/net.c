#include "adapters/sim/net_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#define READ_BYTES     65536
#define EVENTS_A_TURN  256
#define ACCEPTS_A_TURN 64
/* A peer that does not read may leave so much waiting before the simulator hangs up. */
#define OUT_BYTES_MAX  ((size_t)512 << 20)

struct adp_sim_listener {
    int fd;
    SSL_CTX *tls;
    adp_sim_call_fn handler;
    void *context;
};

struct timer {
    int64_t due_ns;
    uint64_t order; /* equal times fire in the order they were set */
    adp_sim_timer_fn fn;
    void *context;
};

struct adp_sim_net {
    int epoll_fd;
    struct adp_sim_book *book;
    struct adp_sim_h2_settings settings;
    uint32_t open_count, connections_max;
    struct adp_sim_listener *listeners[16];
    uint32_t listener_count;
    struct adp_sim_conn *conns, *dirty, *dead;
    struct adp_sim_call *free_calls;
    struct timer *timers;
    uint32_t timer_count, timer_capacity;
    uint64_t timer_order, conn_number;
    adp_sim_connect_fn on_connect;
    void *on_connect_context;
    struct adp_sim_net_stats stats;
    bool stopped;
    uint16_t relay_port;
    uint8_t buffer[READ_BYTES];
};

struct adp_sim_net *adp_sim_net_create(
    struct adp_sim_book *book, const struct adp_sim_h2_settings *settings, uint32_t connections_max)
{
    struct adp_sim_net *net = calloc(1, sizeof(*net));
    LS_CHECK(net != NULL);
    net->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    LS_CHECK(net->epoll_fd >= 0);
    net->book = book;
    net->settings = *settings;
    net->connections_max = connections_max;
    return net;
}

const struct adp_sim_net_stats *adp_sim_net_stats(const struct adp_sim_net *net)
{
    return &net->stats;
}

struct adp_sim_net_stats *adp_sim_net_stats_of(struct adp_sim_net *net)
{
    return &net->stats;
}

const struct adp_sim_h2_settings *adp_sim_net_usual_settings(const struct adp_sim_net *net)
{
    return &net->settings;
}

uint64_t adp_sim_net_number(const struct adp_sim_conn *conn)
{
    return conn->number;
}

uint32_t adp_sim_net_open_count(const struct adp_sim_net *net)
{
    return net->open_count;
}

void adp_sim_net_on_connect(struct adp_sim_net *net, adp_sim_connect_fn fn, void *context)
{
    net->on_connect = fn;
    net->on_connect_context = context;
}

void adp_sim_net_relay_to(struct adp_sim_net *net, uint16_t port)
{
    net->relay_port = port;
}

uint16_t adp_sim_net_relay_port(const struct adp_sim_net *net)
{
    return net->relay_port;
}

void adp_sim_net_stop(struct adp_sim_net *net)
{
    net->stopped = true;
}

/* ---- timers: a binary heap by due time
 * -------------------------------------------------------------------------- */

static bool timer_before(const struct timer *a, const struct timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

void adp_sim_net_after(
    struct adp_sim_net *net, int64_t delay_ns, adp_sim_timer_fn fn, void *context)
{
    if (net->timer_count == net->timer_capacity) {
        net->timer_capacity = net->timer_capacity == 0 ? 256 : net->timer_capacity * 2;
        net->timers = realloc(net->timers, net->timer_capacity * sizeof(*net->timers));
        LS_CHECK(net->timers != NULL);
    }
    struct timer timer = {.due_ns = adp_sim_mono_ns() + delay_ns,
        .order = net->timer_order++,
        .fn = fn,
        .context = context};
    uint32_t at = net->timer_count++;
    while (at > 0 && timer_before(&timer, &net->timers[(at - 1) / 2])) {
        net->timers[at] = net->timers[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    net->timers[at] = timer;
}

static struct timer timer_pop(struct adp_sim_net *net)
{
    struct timer first = net->timers[0];
    struct timer last = net->timers[--net->timer_count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= net->timer_count)
            break;
        if (child + 1 < net->timer_count &&
            timer_before(&net->timers[child + 1], &net->timers[child]))
            child++;
        if (!timer_before(&net->timers[child], &last))
            break;
        net->timers[at] = net->timers[child];
        at = child;
    }
    net->timers[at] = last;
    return first;
}

static void run_timers(struct adp_sim_net *net)
{
    if (net->timer_count == 0)
        return;
    int64_t now_ns = adp_sim_mono_ns();
    while (net->timer_count > 0 && net->timers[0].due_ns <= now_ns) {
        struct timer timer = timer_pop(net);
        timer.fn(timer.context);
    }
}

/* ---- calls */

struct adp_sim_call *adp_sim_net_call_begin(struct adp_sim_conn *conn)
{
    struct adp_sim_net *net = conn->net;
    struct adp_sim_call *call = net->free_calls;
    if (call != NULL) {
        net->free_calls = call->next;
        struct adp_sim_call kept = *call;
        memset(call, 0, sizeof(*call));
        call->body = kept.body;
        call->answer = kept.answer;
        call->authorization = kept.authorization;
        call->authorization_capacity = kept.authorization_capacity;
        call->body.length = call->answer.length = 0;
    } else {
        call = calloc(1, sizeof(*call));
        LS_CHECK(call != NULL);
        call->authorization_capacity = 256;
        call->authorization = malloc(call->authorization_capacity);
        LS_CHECK(call->authorization != NULL);
    }
    call->authorization[0] = '\0';
    call->conn = conn;
    call->connection = conn->number;
    call->address = conn->address;
    call->address_text = conn->address_text;
    call->next = conn->calls;
    if (conn->calls != NULL)
        conn->calls->previous = call;
    conn->calls = call;
    return call;
}

static void call_release(struct adp_sim_net *net, struct adp_sim_call *call)
{
    /* A bearer does not stay in memory that is waiting for its next use. */
    OPENSSL_cleanse(call->authorization, strlen(call->authorization));
    call->next = net->free_calls;
    net->free_calls = call;
}

void adp_sim_net_call_end(struct adp_sim_call *call)
{
    struct adp_sim_conn *conn = call->conn;
    if (call->previous != NULL)
        call->previous->next = call->next;
    else
        conn->calls = call->next;
    if (call->next != NULL)
        call->next->previous = call->previous;
    call->next = call->previous = NULL;
    call->conn = NULL;
    if (!call->waiting)
        call_release(conn->net, call);
}

/* A waiting call must find its net after its connection is gone, so its timer carries both. */
struct wait {
    struct adp_sim_net *net;
    struct adp_sim_call *call;
    adp_sim_call_fn handler;
    void *context;
};

static void call_act(struct wait wait);

static void drip_timer(void *context)
{
    struct wait wait = *(struct wait *)context;
    struct adp_sim_call *call = wait.call;
    call->allowed += call->drip_bytes;
    if (call->allowed > call->answer.length)
        call->allowed = call->answer.length;
    if (call->conn == NULL || call->allowed >= call->answer.length) {
        free(context);
        call->waiting = false;
        if (call->conn == NULL) {
            call_release(wait.net, call);
            return;
        }
    } else {
        adp_sim_net_after(wait.net, call->drip_every_ns, drip_timer, context);
    }
    adp_sim_h2_resume(call->conn, call->stream);
    adp_sim_net_dirty(call->conn);
}

static void call_answer(struct wait wait)
{
    struct adp_sim_call *call = wait.call;
    if (call->drip_bytes > 0 && call->conn->protocol == &adp_sim_h2) {
        struct wait *kept = malloc(sizeof(*kept));
        LS_CHECK(kept != NULL);
        *kept = wait;
        call->waiting = true;
        adp_sim_net_after(wait.net, call->drip_every_ns, drip_timer, kept);
    } else {
        call->allowed = call->answer.length;
    }
    call->answered = true;
    struct adp_sim_conn *conn = call->conn;
    conn->protocol->answer(conn, call); /* may end the call */
    adp_sim_net_dirty(conn);
}

static void call_run(struct wait wait)
{
    wait.handler(wait.call, wait.context);
    wait.call->round++;
    call_act(wait);
}

static void wait_timer(void *context)
{
    struct wait wait = *(struct wait *)context;
    struct adp_sim_call *call = wait.call;
    free(context);
    call->waiting = false;
    call->delay_ns = 0;
    if (call->then == ADP_SIM_THEN_RUN_AGAIN) {
        call_run(wait);
        return;
    }
    if (call->conn == NULL) {
        call_release(wait.net, call);
        return;
    }
    call_act(wait);
}

static void call_act(struct wait wait)
{
    struct adp_sim_call *call = wait.call;
    if (call->then != ADP_SIM_THEN_RUN_AGAIN && call->conn == NULL) {
        call_release(wait.net, call);
        return;
    }
    if (call->then == ADP_SIM_THEN_NEVER)
        return;
    if (call->delay_ns > 0 || call->then == ADP_SIM_THEN_RUN_AGAIN) {
        struct wait *kept = malloc(sizeof(*kept));
        LS_CHECK(kept != NULL);
        *kept = wait;
        call->waiting = true;
        adp_sim_net_after(wait.net, call->delay_ns, wait_timer, kept);
        return;
    }
    struct adp_sim_conn *conn = call->conn;
    if (call->then == ADP_SIM_THEN_ANSWER) {
        call_answer(wait);
    } else if (call->then == ADP_SIM_THEN_RST_STREAM && conn->protocol == &adp_sim_h2) {
        adp_sim_h2_rst_stream(conn, call->stream, call->error_code);
        adp_sim_net_dirty(conn);
    } else {
        adp_sim_net_conn_reset(conn);
    }
}

void adp_sim_net_call_run(struct adp_sim_call *call)
{
    struct adp_sim_conn *conn = call->conn;
    call->mono_ns = adp_sim_mono_ns();
    call->wall_ns = adp_sim_wall_ns();
    conn->net->stats.requests++;
    call_run((struct wait){.net = conn->net,
        .call = call,
        .handler = conn->listener->handler,
        .context = conn->listener->context});
}

/* ---- connections */

void adp_sim_net_dirty(struct adp_sim_conn *conn)
{
    if (conn->dirty || conn->dead)
        return;
    conn->dirty = true;
    conn->next_dirty = conn->net->dirty;
    conn->net->dirty = conn;
}

struct adp_sim_conn *adp_sim_net_next(
    const struct adp_sim_net *net, const struct adp_sim_conn *after, uint64_t number)
{
    struct adp_sim_conn *conn = after == NULL ? net->conns : after->next;
    while (conn != NULL &&
           (conn->ssl == NULL || conn->protocol == NULL || (number != 0 && conn->number != number)))
        conn = conn->next;
    return conn;
}

/* Ends a connection now. Its memory and its protocol's live until the end of the turn: events may
 * still name it, and it may be the protocol's own callback that led here. */
static void conn_kill(struct adp_sim_conn *conn)
{
    struct adp_sim_net *net = conn->net;
    if (conn->dead)
        return;
    conn->dead = true;
    while (conn->calls != NULL)
        adp_sim_net_call_end(conn->calls);
    if (conn->ssl != NULL)
        SSL_free(conn->ssl);
    conn->ssl = NULL;
    close(conn->fd);
    if (conn->previous != NULL)
        conn->previous->next = conn->next;
    else
        net->conns = conn->next;
    if (conn->next != NULL)
        conn->next->previous = conn->previous;
    conn->next = net->dead;
    net->dead = conn;
    net->open_count--;
    net->stats.connections_closed++;
}

void adp_sim_net_conn_reset(struct adp_sim_conn *conn)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    if (conn->dead)
        return;
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    conn_kill(conn);
}

static void conn_watch(struct adp_sim_conn *conn)
{
    struct epoll_event event = {
        .events = EPOLLIN | (conn->want_write ? (uint32_t)EPOLLOUT : 0), .data.ptr = conn};
    if (!conn->frozen)
        epoll_ctl(conn->net->epoll_fd, EPOLL_CTL_MOD, conn->fd, &event);
}

static void conn_input(struct adp_sim_conn *conn);

void adp_sim_net_conn_freeze(struct adp_sim_conn *conn, bool frozen)
{
    struct epoll_event event = {
        .events = EPOLLIN | (conn->want_write ? (uint32_t)EPOLLOUT : 0), .data.ptr = conn};
    if (conn->frozen == frozen)
        return;
    epoll_ctl(conn->net->epoll_fd, frozen ? EPOLL_CTL_DEL : EPOLL_CTL_ADD, conn->fd, &event);
    conn->frozen = frozen;
    if (!frozen) {
        adp_sim_net_dirty(conn);
        conn_input(conn); /* what OpenSSL had read before */
    }
}

static void conn_set_want_write(struct adp_sim_conn *conn, bool want)
{
    if (conn->want_write == want)
        return;
    conn->want_write = want;
    conn_watch(conn);
}

/* Writes some bytes. Positive: so many left; 0: the socket takes no more now; negative: the
 * connection is broken. */
static ssize_t conn_write(struct adp_sim_conn *conn, const char *bytes, size_t count)
{
    if (conn->ssl == NULL) {
        ssize_t wrote = send(conn->fd, bytes, count, MSG_NOSIGNAL);
        if (wrote < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        return wrote;
    }
    size_t wrote = 0;
    ERR_clear_error();
    if (SSL_write_ex(conn->ssl, bytes, count, &wrote) == 1)
        return (ssize_t)wrote;
    int error = SSL_get_error(conn->ssl, 0);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void conn_flush(struct adp_sim_conn *conn)
{
    if (conn->dead || conn->frozen || conn->protocol == NULL)
        return;
    if (!conn->protocol->produce(conn))
        conn->closing = true;
    while (conn->out_sent < conn->out.length) {
        ssize_t wrote =
            conn_write(conn, conn->out.bytes + conn->out_sent, conn->out.length - conn->out_sent);
        if (wrote < 0) {
            conn_kill(conn);
            return;
        }
        if (wrote == 0)
            break;
        conn->out_sent += (size_t)wrote;
        conn->net->stats.bytes_out += (uint64_t)wrote;
    }
    /* Moved to the front only when that is cheap: a large book is sent in many turns. */
    if (conn->out_sent * 2 >= conn->out.length) {
        adp_sim_text_drop(&conn->out, conn->out_sent);
        conn->out_sent = 0;
    }
    if (conn->out.length - conn->out_sent > OUT_BYTES_MAX) {
        adp_sim_net_conn_reset(conn);
        return;
    }
    conn_set_want_write(conn, conn->out.length > 0);
    if (conn->closing && conn->out.length == 0) {
        if (conn->ssl != NULL)
            SSL_shutdown(conn->ssl);
        conn_kill(conn);
    }
}

static void conn_ready(struct adp_sim_conn *conn)
{
    struct adp_sim_net *net = conn->net;
    conn->protocol = &adp_sim_http1;
    if (conn->ssl != NULL) {
        const unsigned char *name = NULL;
        unsigned int bytes = 0;
        SSL_get0_alpn_selected(conn->ssl, &name, &bytes);
        if (bytes == 2 && memcmp(name, "h2", 2) == 0) {
            conn->protocol = &adp_sim_h2;
            net->stats.alpn_h2++;
        } else if (bytes > 0) {
            net->stats.alpn_http11++;
        } else {
            net->stats.alpn_none++;
        }
        if (SSL_version(conn->ssl) == TLS1_3_VERSION)
            net->stats.tls13++;
        else
            net->stats.tls12++;
        net->stats.resumed += SSL_session_reused(conn->ssl) ? 1 : 0;
    }
    if (!conn->protocol->open(conn)) {
        conn_kill(conn);
        return;
    }
    if (conn->ssl != NULL && net->on_connect != NULL)
        net->on_connect(conn, net->on_connect_context);
    adp_sim_net_dirty(conn);
}

static bool conn_handshake(struct adp_sim_conn *conn)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(conn->ssl);
    if (rc == 1) {
        conn_set_want_write(conn, false);
        conn_ready(conn);
        return !conn->dead;
    }
    int error = SSL_get_error(conn->ssl, rc);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        conn_set_want_write(conn, error == SSL_ERROR_WANT_WRITE);
        return false;
    }
    conn->net->stats.handshakes_failed++;
    conn_kill(conn);
    return false;
}

/* Reads once. Positive: bytes; 0: nothing now; negative: the peer ended or broke the connection. */
static ssize_t conn_read(struct adp_sim_conn *conn)
{
    if (conn->ssl == NULL) {
        ssize_t got = recv(conn->fd, conn->net->buffer, READ_BYTES, 0);
        if (got < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        return got == 0 ? -1 : got;
    }
    size_t got = 0;
    ERR_clear_error();
    if (SSL_read_ex(conn->ssl, conn->net->buffer, READ_BYTES, &got) == 1)
        return (ssize_t)got;
    int error = SSL_get_error(conn->ssl, 0);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return 0;
    if (error == SSL_ERROR_SYSCALL)
        conn->net->stats.resets_by_peer++;
    return -1;
}

static void conn_input(struct adp_sim_conn *conn)
{
    if (conn->ssl != NULL && conn->protocol == NULL && !conn_handshake(conn))
        return;
    if (conn->ssl == NULL && conn->protocol == NULL)
        conn_ready(conn);
    /* Bounded, so that one busy peer does not hold up the others. But what OpenSSL has read ahead
     * must be used up: epoll does not see it, and a record may be the last that the peer sends. */
    for (int round = 0; round < 16 || (conn->ssl != NULL && SSL_has_pending(conn->ssl)); round++) {
        if (conn->dead || conn->closing || conn->frozen)
            return;
        ssize_t got = conn_read(conn);
        if (got == 0)
            break;
        if (got < 0) {
            conn_kill(conn);
            return;
        }
        conn->net->stats.bytes_in += (uint64_t)got;
        if (!conn->protocol->receive(conn, conn->net->buffer, (size_t)got)) {
            conn->net->stats.protocol_errors++;
            conn->closing = true;
        }
        adp_sim_net_dirty(conn);
    }
}

static void address_text(const struct sockaddr_storage *from, char *out, size_t bytes)
{
    if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
        inet_ntop(AF_INET6, &six->sin6_addr, out, (socklen_t)bytes);
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)from;
        inet_ntop(AF_INET, &four->sin_addr, out, (socklen_t)bytes);
    }
}

struct adp_sim_conn *adp_sim_net_conn_add(struct adp_sim_net *net, int fd)
{
    struct adp_sim_conn *conn = calloc(1, sizeof(*conn));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    LS_CHECK(conn != NULL);
    conn->net = net;
    conn->fd = fd;
    conn->next = net->conns;
    if (net->conns != NULL)
        net->conns->previous = conn;
    net->conns = conn;
    net->open_count++;
    LS_CHECK(epoll_ctl(net->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
    return conn;
}

static void accept_some(struct adp_sim_net *net, const struct adp_sim_listener *listener)
{
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage from = {0};
        socklen_t from_bytes = sizeof(from);
        int fd = accept4(
            listener->fd, (struct sockaddr *)&from, &from_bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        if (net->open_count >= net->connections_max) {
            close(fd);
            continue;
        }
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        struct adp_sim_conn *conn = adp_sim_net_conn_add(net, fd);
        char text[64] = "";
        address_text(&from, text, sizeof(text));
        conn->listener = listener;
        conn->number = ++net->conn_number;
        conn->address = adp_sim_book_address(net->book, text);
        conn->address_text = adp_sim_book_address_text(net->book, conn->address);
        if (listener->tls != NULL) {
            conn->ssl = SSL_new(listener->tls);
            LS_CHECK(conn->ssl != NULL && SSL_set_fd(conn->ssl, fd) == 1);
            SSL_set_accept_state(conn->ssl);
        }
        net->stats.connections_opened += listener->tls != NULL ? 1 : 0;
    }
}

bool adp_sim_net_listen(struct adp_sim_net *net, const char *address, uint16_t *port, SSL_CTX *tls,
    adp_sim_call_fn handler, void *context, struct adp_sim_error *error)
{
    struct sockaddr_storage at = {0};
    struct sockaddr_in *four = (struct sockaddr_in *)&at;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&at;
    socklen_t at_bytes;
    int one = 1, fd;

    if (inet_pton(AF_INET, address, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(*port);
        at_bytes = sizeof(*four);
    } else if (inet_pton(AF_INET6, address, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(*port);
        at_bytes = sizeof(*six);
    } else {
        snprintf(error->text, sizeof(error->text),
            "\"%.64s\" is not an IPv4 or IPv6 address to listen on; write one such as 127.0.0.1 or "
            "::1",
            address);
        return false;
    }
    if (net->listener_count == LS_COUNT_OF(net->listeners)) {
        snprintf(error->text, sizeof(error->text), "at most 16 addresses can be listened on");
        return false;
    }
    fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (at.ss_family == AF_INET6)
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    }
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, at_bytes) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &at_bytes) != 0) {
        snprintf(error->text, sizeof(error->text),
            "cannot listen on %s port %u: %s; choose another address or port (0 takes a free one)",
            address, (unsigned)*port, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    *port = ntohs(at.ss_family == AF_INET6 ? six->sin6_port : four->sin_port);
    struct adp_sim_listener *listener = calloc(1, sizeof(*listener));
    LS_CHECK(listener != NULL);
    *listener =
        (struct adp_sim_listener){.fd = fd, .tls = tls, .handler = handler, .context = context};
    net->listeners[net->listener_count++] = listener;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = listener};
    LS_CHECK(epoll_ctl(net->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
    return true;
}

static bool is_listener(const struct adp_sim_net *net, const void *pointer)
{
    for (uint32_t i = 0; i < net->listener_count; i++) {
        if (net->listeners[i] == pointer)
            return true;
    }
    return false;
}

static int turn_timeout_ms(const struct adp_sim_net *net)
{
    int64_t wait_ns = 200 * LS_NS_PER_MS;
    if (net->timer_count > 0)
        wait_ns = ls_min_i64(wait_ns, net->timers[0].due_ns - adp_sim_mono_ns());
    if (wait_ns <= 0)
        return 0;
    return (int)((wait_ns + LS_NS_PER_MS - 1) / LS_NS_PER_MS);
}

static void end_turn(struct adp_sim_net *net)
{
    while (net->dirty != NULL || net->dead != NULL) { /* the end of one may make another dirty */
        struct adp_sim_conn *conn = net->dirty;
        if (conn != NULL) {
            net->dirty = conn->next_dirty;
            conn->dirty = false;
            conn_flush(conn);
            continue;
        }
        conn = net->dead;
        net->dead = conn->next;
        if (conn->state != NULL)
            conn->protocol->close(conn);
        adp_sim_text_free(&conn->out);
        free(conn);
    }
}

void adp_sim_net_run(struct adp_sim_net *net, const volatile int *stop)
{
    struct epoll_event events[EVENTS_A_TURN];
    while (!*stop && !net->stopped) {
        int count = epoll_wait(net->epoll_fd, events, EVENTS_A_TURN, turn_timeout_ms(net));
        for (int i = 0; i < count; i++) {
            if (is_listener(net, events[i].data.ptr)) {
                accept_some(net, events[i].data.ptr);
                continue;
            }
            struct adp_sim_conn *conn = events[i].data.ptr;
            if (conn->dead || conn->frozen)
                continue;
            if (events[i].events & EPOLLOUT)
                adp_sim_net_dirty(conn);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                conn_input(conn);
            else if (conn->protocol == NULL)
                conn_input(conn); /* a handshake that waited to write */
        }
        run_timers(net);
        end_turn(net);
    }
    end_turn(net);
}

static void call_forget(struct adp_sim_net *net, struct adp_sim_call *call)
{
    free(call->note);
    call->note = NULL;
    call_release(net, call);
}

void adp_sim_net_destroy(struct adp_sim_net *net)
{
    if (net == NULL)
        return;
    while (net->conns != NULL)
        conn_kill(net->conns);
    net->dirty = NULL;
    end_turn(net);
    while (net->timer_count > 0) {
        /* Calls and their waits belong to the timers that never fired. */
        struct timer timer = timer_pop(net);
        if (timer.fn == wait_timer || timer.fn == drip_timer)
            call_forget(net, ((struct wait *)timer.context)->call);
        free(timer.context);
    }
    while (net->free_calls != NULL) {
        struct adp_sim_call *call = net->free_calls;
        net->free_calls = call->next;
        adp_sim_text_free(&call->body);
        adp_sim_text_free(&call->answer);
        free(call->authorization);
        free(call);
    }
    for (uint32_t i = 0; i < net->listener_count; i++) {
        close(net->listeners[i]->fd);
        free(net->listeners[i]);
    }
    free(net->timers);
    close(net->epoll_fd);
    free(net);
}
