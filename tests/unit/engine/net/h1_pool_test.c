/* engine/net/pool over HTTP/1.1: real sockets and TLS, both edges. One order in flight a
 * connection, idle ends that cost nothing, ends in mid-flight that are UNKNOWN, rotation, shared
 * lanes. */
#include "ipc/clock.h"
#include "tests/unit/engine/net/net_peer.h"
#include "tests/unit/engine/net/net_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define OK_REPLY "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone"

static struct peer peer;
static struct rig rig;

static void open_rig(enum eng_edge_kind edge, uint16_t connections, uint32_t requests)
{
    peer_open(
        &peer, "127.0.0.1", world_path("good", ".crt"), world_path("good", ".key"), "http/1.1", 0);
    rig_open(&rig, &(struct rig_options){.edge = edge,
                       .host = "127.0.0.1",
                       .name = "broker.test",
                       .ca_file = world_path("ca", ".crt"),
                       .port = peer.port,
                       .pool_connections = connections,
                       .requests_per_connection = requests});
}

static void close_rig(void)
{
    rig_close(&rig);
    peer_close(&peer);
}

static void own_lane(uint32_t account)
{
    const struct eng_lane_key key = {.account = account};
    eng_pool_account(rig.pool, account, eng_pool_lane(rig.pool, &key));
}

static void shared_lane(uint32_t accounts)
{
    const struct eng_lane_key key = {0};
    for (uint32_t account = 1; account <= accounts; account++)
        eng_pool_account(rig.pool, account, eng_pool_lane(rig.pool, &key));
}

#define UNTIL(condition)                                                                           \
    for (int64_t until_ = ipc_clock_mono_ns() + 3 * LS_NS_PER_S; !(condition);) {                  \
        rig_pump(&rig);                                                                            \
        peer_pump(&peer);                                                                          \
        if (ipc_clock_mono_ns() > until_)                                                          \
            fail_msg("not within 3 s: %s", #condition);                                            \
    }

static uint32_t live(void)
{
    struct eng_pool_figures figures;
    eng_pool_figures(rig.pool, &figures);
    return figures.live;
}

static enum eng_h2_admission asked(uint32_t account)
{
    const struct eng_connection *connection = eng_pool_serve(rig.pool, account);
    return connection == NULL ? ENG_H2_SHUT : eng_connection_can_send(connection, 100, 0, 100);
}

static void order(uint32_t account, uint32_t child)
{
    UNTIL(asked(account) == ENG_H2_ADMITTED);
    assert_int_equal(
        rig_order(&rig, account, child, "{\"qty\":\"65\"}", INT64_MAX), ENG_H2_ADMITTED);
    rig_flush(&rig);
}

static struct peer_connection *there(uint32_t number)
{
    assert_true(number < peer.count);
    return peer.connections[number];
}

/* One after the other; a second one waits; Connection: close is obeyed and replaced. */
static void one_at_a_time(enum eng_edge_kind edge)
{
    open_rig(edge, 1, 0);
    own_lane(1);
    UNTIL(live() == 1);
    for (uint32_t child = 0; child < 5; child++) {
        order(1, child);
        assert_int_equal(asked(1), ENG_H2_NO_STREAM);
        assert_int_equal(rig_order(&rig, 1, 99, "{}", INT64_MAX), ENG_H2_NO_STREAM);
        UNTIL(there(0)->requests == child + 1);
        peer_text(there(0), OK_REPLY);
        UNTIL(rig.outcomes->count == child + 1);
        assert_true(rig.outcomes->items[child].is_reply);
        assert_int_equal(rig.outcomes->items[child].http_status, 200);
        assert_string_equal(rig.outcomes->items[child].body, "done");
    }
    order(1, 5);
    UNTIL(there(0)->requests == 6);
    peer_text(there(0), "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx");
    UNTIL(rig.outcomes->count == 6);
    order(1, 6); /* on another connection */
    UNTIL(peer.count == 2 && there(1)->requests == 1);
    peer_text(
        there(1), "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n");
    UNTIL(rig.outcomes->count == 7);
    assert_string_equal(rig.outcomes->items[6].body, "ab");
    for (uint32_t i = 0; i < 7; i++)
        assert_true(rig.outcomes->items[i].is_reply);
    close_rig();
}

/* The server ends an idle connection: no order goes there, and none is lost. */
static void idle_ends_cost_nothing(enum eng_edge_kind edge)
{
    static const bool resets[] = {false, true, false};
    open_rig(edge, 1, 0);
    own_lane(1);
    UNTIL(live() == 1);
    for (uint32_t i = 0; i < 3; i++) {
        order(1, i);
        UNTIL(there(i)->requests == 1);
        peer_text(there(i), OK_REPLY);
        UNTIL(rig.outcomes->count == i + 1);
        if (i == 2)
            peer_text(there(i), "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n");
        peer_hang_up(there(i), resets[i]);
        /* The end has come but the pool has not looked: the socket is asked before an order. */
        const int64_t until = ipc_clock_mono_ns() + LS_NS_PER_S;
        while (asked(1) == ENG_H2_ADMITTED && ipc_clock_mono_ns() < until)
            ;
        assert_int_not_equal(asked(1), ENG_H2_ADMITTED);
        assert_int_equal(rig.outcomes->count, i + 1);
    }
    order(1, 3);
    UNTIL(there(3)->requests == 1);
    peer_text(there(3), OK_REPLY);
    UNTIL(rig.outcomes->count == 4);
    for (uint32_t i = 0; i < 4; i++)
        assert_true(rig.outcomes->items[i].is_reply);
    close_rig();
}

/* The server ends in mid-flight: the order's fate is unknown, whatever had come of the reply. */
static void ends_in_flight_are_unknown(enum eng_edge_kind edge)
{
    static const struct {
        const char *said;
        bool reset;
        enum ipc_evidence evidence;
    } ends[] = {
        {"", false, IPC_EVIDENCE_RESET},
        {"", true, IPC_EVIDENCE_RESET},
        {"HTTP/1.1 200 OK\r\ncontent-le", false, IPC_EVIDENCE_RESET},
        {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\ndone", false, IPC_EVIDENCE_RESET},
        {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ndone\r\n0\r\n", false,
            IPC_EVIDENCE_RESET},
        {"HTTP/1.1 200 OK\r\n\r\n{\"cut\":", false,
            IPC_EVIDENCE_RESET}, /* FIN without close_notify */
        {"HTTP/1.1 200 OK\n", false, IPC_EVIDENCE_PROTOCOL},
        {"<html>", false, IPC_EVIDENCE_PROTOCOL},
    };
    open_rig(edge, 1, 0);
    own_lane(1);
    for (uint32_t i = 0; i < LS_COUNT_OF(ends); i++) {
        UNTIL(peer.count > i && live() == 1);
        order(1, 100 + i); /* one that is answered, so that the next connection comes at once */
        UNTIL(there(i)->requests == 1);
        peer_text(there(i), OK_REPLY);
        UNTIL(rig.outcomes->count == 2 * i + 1);
        order(1, i);
        UNTIL(there(i)->requests == 2);
        if (ends[i].said[0] != '\0')
            peer_text(there(i), ends[i].said);
        for (uint32_t n = 0; n < 20; n++)
            rig_pump(&rig);
        peer_hang_up(there(i), ends[i].reset);
        UNTIL(rig.outcomes->count == 2 * i + 2);
        assert_false(rig.outcomes->items[2 * i + 1].is_reply);
        assert_int_equal(rig.outcomes->items[2 * i + 1].evidence, ends[i].evidence);
    }
    /* With close_notify the end of the body is real. */
    const uint32_t last = LS_COUNT_OF(ends);
    UNTIL(peer.count > last && live() == 1);
    order(1, last);
    UNTIL(there(last)->requests == 1);
    peer_text(there(last), "HTTP/1.1 200 OK\r\n\r\n{\"whole\":1}");
    SSL_shutdown(there(last)->ssl);
    UNTIL(rig.outcomes->count == 2 * last + 1);
    assert_true(rig.outcomes->items[2 * last].is_reply);
    assert_string_equal(rig.outcomes->items[2 * last].body, "{\"whole\":1}");
    close_rig();
}

/* A shared lane of three: three accounts at once, a fourth waits, and no account has two in flight.
 */
static void shared_lanes_take_idle_ones(enum eng_edge_kind edge)
{
    open_rig(edge, 3, 0);
    shared_lane(5);
    UNTIL(live() == 3 && peer.count == 3);
    /* Reserved first, as a batch does, then sent. */
    for (uint32_t account = 1; account <= 3; account++) {
        const struct eng_connection *connection = eng_pool_serve(rig.pool, account);
        assert_int_equal(eng_connection_can_send(connection, 100, 0, 100), ENG_H2_ADMITTED);
        assert_false(eng_pool_is_reserved(rig.pool, connection));
        eng_pool_reserve(rig.pool, connection, account);
    }
    /* A second order of the first account sees its own mark, the fourth account those of others. */
    assert_true(eng_pool_is_reserved(rig.pool, eng_pool_serve(rig.pool, 1)));
    assert_true(eng_pool_is_reserved(rig.pool, eng_pool_serve(rig.pool, 4)));
    eng_pool_unreserve(rig.pool, 3);
    assert_false(eng_pool_is_reserved(rig.pool, eng_pool_serve(rig.pool, 4)));
    for (uint32_t account = 1; account <= 3; account++)
        order(account, account);
    assert_int_equal(asked(4), ENG_H2_NO_STREAM);
    assert_int_equal(asked(1), ENG_H2_NO_STREAM);
    UNTIL(there(0)->requests == 1 && there(1)->requests == 1 && there(2)->requests == 1);
    peer_text(there(1), OK_REPLY);
    UNTIL(rig.outcomes->count == 1);
    /* The idle one serves whoever comes, but not an account whose order is still out. */
    assert_int_equal(asked(4), ENG_H2_ADMITTED);
    const uint32_t out = rig.outcomes->items[0].child == 1 ? 2 : 1;
    assert_int_equal(asked(out), ENG_H2_NO_STREAM);
    order(4, 4);
    UNTIL(there(1)->requests == 2);
    for (uint32_t i = 0; i < 3; i++)
        peer_text(there(i), OK_REPLY);
    UNTIL(rig.outcomes->count == 4);
    for (uint32_t i = 0; i < 4; i++)
        assert_true(rig.outcomes->items[i].is_reply);
    close_rig();
}

/* Answers every request once; `pings` counts the answers here. */
static bool answer_all(void)
{
    for (uint32_t i = 0; i < peer.count; i++) {
        assert_true(there(i)->requests <= 3);
        if (there(i)->requests > there(i)->pings) {
            there(i)->pings++;
            peer_text(there(i), OK_REPLY);
        }
    }
    return true;
}

/* Rotation, by our limit and by the server's word, before the old one is gone. */
static void successors_come_early(enum eng_edge_kind edge)
{
    open_rig(edge, 1, 3);
    own_lane(1);
    UNTIL(live() == 1);
    uint32_t replies = 0;
    for (uint32_t child = 0; child < 9; child++) {
        order(1, child);
        UNTIL(answer_all() && replies < rig.outcomes->count);
        replies = rig.outcomes->count;
        assert_true(rig.outcomes->items[child].is_reply);
    }
    assert_true(peer.count >= 3); /* and none had more than three: answer_all */
    close_rig();
    open_rig(edge, 1, 0);
    own_lane(1);
    order(1, 1);
    UNTIL(there(0)->requests == 1);
    peer_text(
        there(0), "HTTP/1.1 200 OK\r\nkeep-alive: timeout=4, max=1\r\ncontent-length: 0\r\n\r\n");
    UNTIL(peer.count == 2 && rig.outcomes->count == 1);
    struct eng_pool_figures figures;
    UNTIL((eng_pool_figures(rig.pool, &figures), figures.rotated == 1 && figures.live == 1));
    order(1, 2);
    UNTIL(there(1)->requests == 1);
    /* A limit below ours is no reason to hurry as long as it is far. */
    peer_text(there(1), "HTTP/1.1 200 OK\r\nkeep-alive: max=9\r\ncontent-length: 0\r\n\r\n");
    UNTIL(rig.outcomes->count == 2);
    for (uint32_t n = 0; n < 50; n++)
        rig_pump(&rig);
    eng_pool_figures(rig.pool, &figures);
    assert_int_equal(figures.rotated, 1);
    close_rig();
}

/* A peer that closes after four seconds gets the cheap request after two. */
static void idle_limits_are_heeded(enum eng_edge_kind edge)
{
    open_rig(edge, 1, 0);
    own_lane(1);
    UNTIL(live() == 1);
    struct eng_connection *connection;
    uint32_t account;
    int64_t now = ipc_clock_mono_ns();
    assert_false(eng_pool_keepalive(
        rig.pool, 0, 20 * LS_NS_PER_S, now + LS_NS_PER_S / 2, &connection, &account));
    assert_true(eng_pool_keepalive(/* a fresh one that nobody used */
        rig.pool, 0, 20 * LS_NS_PER_S, now + LS_NS_PER_S, &connection, &account));
    assert_int_equal(account, 1);
    order(1, 1);
    UNTIL(there(0)->requests == 1);
    peer_text(there(0), "HTTP/1.1 200 OK\r\nkeep-alive: timeout=4\r\ncontent-length: 0\r\n\r\n");
    UNTIL(rig.outcomes->count == 1);
    now = ipc_clock_mono_ns();
    assert_false(eng_pool_keepalive(
        rig.pool, 0, 20 * LS_NS_PER_S, now + LS_NS_PER_S, &connection, &account));
    assert_true(eng_pool_keepalive(
        rig.pool, 0, 20 * LS_NS_PER_S, now + 2 * LS_NS_PER_S, &connection, &account));
    assert_int_equal(account, 1);
    assert_false(eng_pool_keepalive(
        rig.pool, 0, 20 * LS_NS_PER_S, now + 3 * LS_NS_PER_S, &connection, &account));
    close_rig();
}

#define BOTH(name)                                                                                 \
    static void name##_epoll(void **state)                                                         \
    {                                                                                              \
        (void)state;                                                                               \
        name(ENG_EDGE_EPOLL);                                                                      \
    }                                                                                              \
    static void name##_uring(void **state)                                                         \
    {                                                                                              \
        (void)state;                                                                               \
        if (eng_edge_uring_works() != NULL)                                                        \
            skip();                                                                                \
        name(ENG_EDGE_URING);                                                                      \
    }
BOTH(one_at_a_time)
BOTH(idle_ends_cost_nothing)
BOTH(ends_in_flight_are_unknown)
BOTH(shared_lanes_take_idle_ones)
BOTH(successors_come_early)
BOTH(idle_limits_are_heeded)

int main(void)
{
    world_certificate(&(struct world_leaf){.name = "ca", .ends_in_days = 10});
    world_certificate(&(struct world_leaf){
        .name = "good", .ca = "ca", .san = "DNS:broker.test", .ends_in_days = 5});
#define TWO(name) cmocka_unit_test(name##_epoll), cmocka_unit_test(name##_uring)
    const struct CMUnitTest tests[] = {
        TWO(one_at_a_time),
        TWO(idle_ends_cost_nothing),
        TWO(ends_in_flight_are_unknown),
        TWO(shared_lanes_take_idle_ones),
        TWO(successors_come_early),
        TWO(idle_limits_are_heeded),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    world_end();
    return failed;
}
