/* pool_turn.c: traffic and care of the attached connections. */
#include "engine/net/pool_private.h"

#include "ipc/clock.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

/* Outcomes pass through here, so that an account's requests in flight are counted. */
static void count_reply(const struct eng_h2_reply *reply, void *context)
{
    struct eng_pool *pool = context;
    if (!reply->late && reply->account <= pool->config.accounts) {
        struct account *account = &pool->accounts[reply->account];
        LS_CHECK(account->in_flight > 0);
        account->in_flight--;
    }
    pool->sink->reply(reply, pool->sink->context);
}

static void count_loss(const struct eng_h2_loss *loss, void *context)
{
    struct eng_pool *pool = context;
    pool->figures.lost++;
    struct account *account = &pool->accounts[loss->account];
    LS_CHECK(account->in_flight > 0);
    account->in_flight--;
    pool->sink->loss(loss, pool->sink->context);
}

static struct eng_h2_sink counting_sink(struct eng_pool *pool, const struct eng_h2_sink *sink)
{
    pool->sink = sink;
    return (struct eng_h2_sink){.reply = count_reply, .loss = count_loss, .context = pool};
}

/* Ends a connection: every request gets its outcome, nothing more leaves, and after REMOVED the
 * porter takes it. */
static void end(struct eng_pool *pool, struct eng_connection *connection,
    enum ipc_evidence evidence, int error, bool abort, const struct eng_h2_sink *sink)
{
    if (connection->ended)
        return;
    connection->ended = true;
    connection->error_code = error;
    pool_detach(pool, connection, pool->now_mono_ns);
    eng_edge_remove(pool->edge, connection->handle, abort); /* first: nothing leaves any more */
    eng_connection_end(connection, evidence, sink);
    pool->generations[connection->handle] +=
        pool->generations[connection->handle] == UINT32_MAX ? 2u : 1u; /* 0 means none */
    connection->draining = true;
}

/* The socket is out of the edge: the block can go back to the porter. */
static void retire(struct eng_pool *pool, struct eng_connection *connection)
{
    LS_CHECK(connection->ended);
    struct eng_connection *last = pool->list[--pool->list_count];
    pool->list[connection->list_index] = last;
    last->list_index = connection->list_index;
    for (uint32_t i = 0; connection->dirty && i < pool->dirty_count; i++) {
        if (pool->dirty[i] == connection) {
            pool->dirty[i] = pool->dirty[--pool->dirty_count];
            connection->dirty = false;
        }
    }
    pool->by_handle[connection->handle] = NULL;
    pool->retired[pool->retired_count++] = connection;
}

/* Wants another connection in its place, which takes over when it is warm. */
static void want_successor(struct eng_pool *pool, struct eng_connection *connection)
{
    struct lane *lane = &pool->lanes[connection->lane];
    if (connection->member >= lane->member_count)
        return;
    struct member *member = &lane->members[connection->member];
    if (member->live == connection && !member->is_replacing && !member->is_connecting) {
        member->is_replacing = true;
        pool->wanted++;
    }
}

/* A batch may be larger than the plain arena: what waits there leaves now. True when that helped. A
 * socket that fails here is ended by the next flush, which has a sink to tell. */
static bool make_room(struct eng_pool *pool, struct eng_connection *connection)
{
    if (eng_edge_sending(pool->edge, connection->handle))
        return false;
    struct eng_connection_sent sent = {0};
    connection->broken = eng_connection_flush(connection, pool->edge, ENG_TLS_RECORD_BYTES, &sent);
    pool->figures.sends += sent.sends;
    pool->figures.records += sent.records;
    pool->figures.cipher_bytes += sent.bytes;
    return connection->broken == 0;
}

enum eng_h2_admission eng_pool_request(struct eng_pool *pool, struct eng_connection *connection,
    const struct eng_h2_request *request, int64_t now_mono_ns)
{
    LS_CHECK(request->account >= 1 && request->account <= pool->config.accounts);
    if (LS_UNLIKELY(connection->ended || connection->draining || connection->clogged))
        return connection->clogged && !connection->draining ? ENG_H2_NO_ROOM : ENG_H2_SHUT;
    enum eng_h2_admission admission = eng_connection_request(connection, request);
    if (LS_UNLIKELY(admission == ENG_H2_NO_ROOM) && make_room(pool, connection))
        admission = eng_connection_request(connection, request);
    if (LS_UNLIKELY(admission != ENG_H2_ADMITTED))
        return admission;
    pool->accounts[request->account].in_flight++;
    pool->reserved_for[connection->handle] = 0;
    connection->last_account = request->account;
    connection->last_request_mono_ns = now_mono_ns;
    if (request->leave_by_mono_ns != INT64_MAX) {
        connection->newest_leave_by_mono_ns = request->leave_by_mono_ns;
        connection->newest_cipher_end = 0;
        if (connection->watch_leave_by_mono_ns == INT64_MAX) {
            connection->watch_leave_by_mono_ns = request->leave_by_mono_ns;
            connection->watch_cipher_end = 0;
        }
    }
    pool_mark_dirty(pool, connection);
    if (LS_UNLIKELY(--connection->requests_left <= connection->rotate_left)) {
        if (connection->requests_left == 0)
            pool_drain(pool, connection, now_mono_ns);
        else
            want_successor(pool, connection);
    }
    return ENG_H2_ADMITTED;
}

/* Notes where the watched entries end among the cipher bytes, once they are sealed. */
static void note_watched(struct eng_connection *connection)
{
    if (eng_connection_output(connection).count != 0)
        return;
    const uint64_t sealed = connection->tls.out_base + connection->tls.out_tail;
    if (connection->watch_cipher_end == 0)
        connection->watch_cipher_end = sealed;
    if (connection->newest_cipher_end == 0)
        connection->newest_cipher_end = sealed;
}

static void flush(struct eng_pool *pool, struct eng_connection *connection, uint32_t record_bytes,
    struct eng_connection_sent *sent, const struct eng_h2_sink *sink)
{
    if (connection->ended || eng_edge_sending(pool->edge, connection->handle))
        return; /* SENT comes back here */
    eng_connection_expire(connection, pool->now_mono_ns, sink);
    const int failure = connection->broken != 0
                            ? connection->broken
                            : eng_connection_flush(connection, pool->edge, record_bytes, sent);
    if (LS_UNLIKELY(failure != 0)) {
        end(pool, connection, IPC_EVIDENCE_RESET, failure, true, sink);
        return;
    }
    if (connection->watch_leave_by_mono_ns != INT64_MAX)
        note_watched(connection);
}

static uint64_t flush_dirty(
    struct eng_pool *pool, uint32_t record_bytes, const struct eng_h2_sink *sink)
{
    struct eng_connection_sent sent = {0};
    for (uint32_t i = 0; i < pool->dirty_count; i++) {
        struct eng_connection *connection = pool->dirty[i];
        connection->dirty = false;
        flush(pool, connection, record_bytes, &sent, sink);
    }
    pool->dirty_count = 0;
    pool->figures.sends += sent.sends;
    pool->figures.records += sent.records;
    pool->figures.cipher_bytes += sent.bytes;
    pool->figures.send_ticks += sent.send_ticks;
    return sent.bytes;
}

uint64_t eng_pool_flush(struct eng_pool *pool, uint32_t record_bytes, int64_t now_mono_ns,
    const struct eng_h2_sink *sink)
{
    LS_CHECK(record_bytes >= 512 && record_bytes <= ENG_TLS_RECORD_BYTES);
    pool->now_mono_ns = now_mono_ns;
    const struct eng_h2_sink counting = counting_sink(pool, sink);
    return flush_dirty(pool, record_bytes, &counting);
}

/* An HTTP/1.1 peer may have said how many requests it still takes (Apache: Keep-Alive: max=). */
static void heed_peer(struct eng_pool *pool, struct eng_connection *connection)
{
    const uint32_t left = eng_h1_peer_requests_left(connection->h1);
    if (left >= connection->requests_left)
        return;
    /* Less than we counted: its limit is lower than ours, and from here on the two count alike. */
    connection->requests_left = left;
    connection->rotate_left = left < 5 ? 1 : left / 5;
    if (left == 0)
        pool_drain(pool, connection, pool->now_mono_ns);
    else if (left == 1)
        want_successor(pool, connection);
}

/* Cipher bytes of the peer. */
static void receive(struct eng_pool *pool, struct eng_connection *connection,
    const struct eng_edge_event *event, const struct eng_h2_sink *sink)
{
    eng_tls_feed(&connection->tls, event->bytes, event->count);
    for (;;) {
        const int64_t got = eng_tls_open(&connection->tls, pool->plain, sizeof pool->plain);
        if (got == 0)
            break;
        if (got < 0) {
            if (connection->h1 != NULL && connection->tls.closed)
                eng_h1_closed(connection->h1, sink);
            end(pool, connection, IPC_EVIDENCE_RESET, connection->tls.closed ? 0 : EPROTO, true,
                sink);
            return;
        }
        if (LS_UNLIKELY(!eng_connection_receive(
                connection, pool->plain, (size_t)got, pool->now_mono_ns, sink))) {
            pool->figures.protocol_errors++;
            snprintf(pool->figures.last_error, sizeof pool->figures.last_error, "%s",
                eng_connection_error_text(connection));
            struct eng_connection_sent sent = {0};
            if (!eng_edge_sending(pool->edge, connection->handle)) {
                /* The GOAWAY goes out if the socket takes it; either way the connection is over. */
                const int failure =
                    eng_connection_flush(connection, pool->edge, ENG_TLS_RECORD_BYTES, &sent);
                connection->error_code = failure;
            }
            end(pool, connection, IPC_EVIDENCE_PROTOCOL, EPROTO, true, sink);
            return;
        }
    }
    if (connection->h1 != NULL)
        heed_peer(pool, connection);
    if (eng_connection_draining(connection))
        pool_drain(pool, connection, pool->now_mono_ns);
    size_t waiting; /* TLS itself may have an answer: a key update */
    (void)eng_tls_pending(&connection->tls, &waiting);
    if (waiting != 0 || eng_connection_output(connection).count != 0)
        pool_mark_dirty(pool, connection);
}

static void take_event(struct eng_pool *pool, const struct eng_edge_event *event,
    const struct eng_h2_sink *sink, bool *woken)
{
    if (event->kind == ENG_EDGE_WAKE) {
        if (woken != NULL)
            *woken = true;
        return;
    }
    struct eng_connection *connection = pool->by_handle[event->handle];
    LS_CHECK(connection != NULL);
    switch (event->kind) {
    case ENG_EDGE_RECEIVED:
        if (!connection->ended)
            receive(pool, connection, event, sink);
        eng_edge_release(pool->edge, event);
        return;
    case ENG_EDGE_SENT:
        if (connection->ended)
            return;
        eng_tls_handed(&connection->tls, event->count);
        connection->handed_tsc = ipc_clock_tsc();
        pool->figures.cipher_bytes += event->count;
        pool_mark_dirty(pool, connection);
        return;
    case ENG_EDGE_CLOSED:
        end(pool, connection, IPC_EVIDENCE_RESET, event->error, true, sink);
        return;
    case ENG_EDGE_REMOVED:
        retire(pool, connection);
        return;
    case ENG_EDGE_WAKE:
        return;
    }
}

/* Has the peer's TCP acknowledged the watched entry? Asked only when its age is over. */
static void look_for_stale_bytes(
    struct eng_pool *pool, struct eng_connection *connection, const struct eng_h2_sink *sink)
{
    if (connection->watch_cipher_end == 0) {
        /* More waited behind it all the time. What was not sealed, eng_h2_expire has withdrawn. */
        if (!eng_connection_has_stale(connection, pool->now_mono_ns))
            return;
        connection->watch_cipher_end = connection->tls.out_base + connection->tls.out_tail;
    }
    int waiting = 0;
    if (ioctl(connection->fd, SIOCOUTQ, &waiting) != 0 || waiting < 0)
        waiting = 0; /* a socket that has failed tells so by itself */
    const uint64_t given = connection->tls.out_base + connection->tls.out_head;
    if (given - (uint64_t)waiting >= connection->watch_cipher_end) {
        connection->clogged = false;
        const bool is_newest = connection->newest_cipher_end != 0 &&
                               connection->newest_cipher_end <= connection->watch_cipher_end;
        connection->watch_leave_by_mono_ns =
            is_newest ? INT64_MAX : connection->newest_leave_by_mono_ns;
        connection->watch_cipher_end = connection->newest_cipher_end;
        return;
    }
    if (connection->is_own) {
        pool->figures.stale_resets++;
        end(pool, connection, IPC_EVIDENCE_STALE_BYTES, 0, true, sink);
        return;
    }
    connection->clogged = true; /* TCP_USER_TIMEOUT ends it if the peer stays silent */
}

static void visit(
    struct eng_pool *pool, struct eng_connection *connection, const struct eng_h2_sink *sink)
{
    const int64_t now = pool->now_mono_ns;
    if (connection->ended)
        return;
    eng_connection_expire(connection, now, sink);
    const int64_t ping_sent = connection->h2 != NULL ? eng_h2_ping_sent(connection->h2) : INT64_MAX;
    if (ping_sent != INT64_MAX && now - ping_sent >= pool->config.ping_deadline_ns) {
        pool->figures.pings_lost++;
        end(pool, connection, IPC_EVIDENCE_RESET, ETIMEDOUT, true, sink);
        return;
    }
    if (connection->h2 != NULL && now >= connection->next_ping_mono_ns) {
        const int64_t interval = pool->brokers[connection->broker].terms.ping_interval_ns;
        connection->next_ping_mono_ns =
            now + interval - interval / 8 +
            (int64_t)ipc_prng_below(&pool->prng, (uint64_t)interval / 4 + 1);
        if (eng_h2_ping(connection->h2, now))
            pool_mark_dirty(pool, connection);
    }
    if (now >= connection->watch_leave_by_mono_ns) {
        look_for_stale_bytes(pool, connection, sink);
        if (connection->ended)
            return;
    }
    if (!connection->draining) {
        /* HTTP/1.1 takes no other request before the reply. */
        if (eng_connection_overdue_streams(connection) >=
            (connection->h1 != NULL ? 1u : OVERDUE_MOST))
            want_successor(pool, connection);
        return;
    }
    const uint32_t open = eng_connection_open_streams(connection);
    const bool is_over = open == 0 || (open == eng_connection_overdue_streams(connection) &&
                                          now - connection->draining_mono_ns >= DRAIN_NS);
    if (is_over)
        end(pool, connection, IPC_EVIDENCE_RESET, 0, open != 0, sink);
}

/* Visits a share of the connections, so that each has its turn every CARE_NS. */
static void care(struct eng_pool *pool, const struct eng_h2_sink *sink)
{
    const int64_t passed = pool->now_mono_ns - pool->care_mono_ns;
    if (pool->list_count == 0 || passed <= 0)
        return;
    const int64_t share = (int64_t)pool->list_count * ls_min_i64(passed, CARE_NS) / CARE_NS;
    if (share == 0)
        return;
    pool->care_mono_ns = pool->now_mono_ns;
    const uint32_t count = share < CARE_LOOK_MAX ? (uint32_t)share : CARE_LOOK_MAX;
    for (uint32_t i = 0; i < count; i++) {
        pool->care_cursor = pool->care_cursor + 1 < pool->list_count ? pool->care_cursor + 1 : 0;
        visit(pool, pool->list[pool->care_cursor], sink);
    }
}

uint32_t eng_pool_turn(struct eng_pool *pool, uint32_t max_events, int64_t now_mono_ns,
    const struct eng_h2_sink *sink, bool *woken)
{
    pool->now_mono_ns = now_mono_ns;
    const struct eng_h2_sink counting = counting_sink(pool, sink);
    struct eng_edge_event events[256];
    if (woken != NULL)
        *woken = false;
    const uint32_t count = eng_edge_poll(pool->edge, events, max_events);
    for (uint32_t i = 0; i < count; i++)
        take_event(pool, &events[i], &counting, woken);
    care(pool, &counting);
    if (pool->dirty_count != 0)
        flush_dirty(pool, ENG_TLS_RECORD_BYTES, &counting);
    return count;
}

int64_t eng_pool_next_due(const struct eng_pool *pool)
{
    return pool->list_count == 0 ? INT64_MAX : pool->care_mono_ns + 2 * CARE_NS;
}

/* Without a request for this long, a connection gets its cheap GET. A fresh one gets it soon:
 * haproxy says 408 to HTTP/1.1 that has not had a first request in time, and Apache, restarted
 * gracefully, says nothing to such an HTTP/2 connection, answers its PINGs, and ends it at the
 * first request. */
static int64_t idle_limit(const struct eng_connection *connection, int64_t idle_ns)
{
    if (connection->last_account == 0)
        return ls_min_i64(idle_ns, FIRST_GET_NS);
    if (connection->h1 == NULL || eng_h1_peer_idle_s(connection->h1) == UINT32_MAX)
        return idle_ns;
    return ls_min_i64(idle_ns, eng_h1_peer_idle_s(connection->h1) * (LS_NS_PER_S / 2));
}

bool eng_pool_keepalive(struct eng_pool *pool, uint16_t broker, int64_t idle_ns,
    int64_t now_mono_ns, struct eng_connection **connection, uint32_t *account)
{
    for (uint32_t i = 0; i < CARE_LOOK_MAX && i < pool->list_count; i++) {
        pool->idle_cursor = pool->idle_cursor + 1 < pool->list_count ? pool->idle_cursor + 1 : 0;
        struct eng_connection *candidate = pool->list[pool->idle_cursor];
        if (candidate->ended || candidate->draining || candidate->broker != broker ||
            now_mono_ns - candidate->last_request_mono_ns < idle_limit(candidate, idle_ns))
            continue;
        const struct lane *lane = &pool->lanes[candidate->lane];
        const uint32_t number = candidate->last_account != 0 ? candidate->last_account
                                : candidate->is_own          ? lane->key.account
                                                             : lane->any_account;
        if (number == 0)
            continue;
        candidate->last_request_mono_ns = now_mono_ns;
        *connection = candidate;
        *account = number;
        return true;
    }
    return false;
}

void eng_pool_shut(struct eng_pool *pool, const struct eng_h2_sink *sink)
{
    const struct eng_h2_sink counting = counting_sink(pool, sink);
    for (uint32_t i = 0; i < pool->config.lanes; i++) {
        if (pool->lanes[i].state == LANE_OPEN)
            pool->lanes[i].state = LANE_CLOSING;
    }
    pool->wanted = 0;
    for (uint32_t i = 0; i < pool->list_count; i++)
        end(pool, pool->list[i], IPC_EVIDENCE_RESET, 0, false, &counting);
}
