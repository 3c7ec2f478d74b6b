/* pool_test.c: connections in use, against a peer driven by hand: outcomes with their evidence when
 * connections break, full sockets, dead peers, rotation, stickiness. Each with both edges. */
#include "ipc/clock.h"
#include "tests/unit/engine/net/net_peer.h"
#include "tests/unit/engine/net/net_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static enum eng_edge_kind edge_kind;

static int set_up(void **state)
{
    (void)state;
    world_certificate(&(struct world_leaf){.name = "ca", .ends_in_days = 10});
    world_certificate(&(struct world_leaf){
        .name = "good", .ca = "ca", .san = "DNS:broker.test", .ends_in_days = 5});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_end();
    return 0;
}

static struct peer peer;
static struct rig rig;

static void open_both(const struct rig_options *options, int receive_buffer)
{
    peer_open(&peer, "127.0.0.1", world_path("good", ".crt"), world_path("good", ".key"), "h2",
        receive_buffer);
    struct rig_options with_peer = *options;
    with_peer.edge = edge_kind;
    with_peer.host = "127.0.0.1";
    with_peer.name = "broker.test";
    with_peer.ca_file = world_path("ca", ".crt");
    with_peer.port = peer.port;
    rig_open(&rig, &with_peer);
}

static void close_both(void)
{
    rig_close(&rig);
    peer_close(&peer);
}

static void pump(uint32_t rounds)
{
    for (uint32_t i = 0; i < rounds; i++) {
        rig_pump(&rig);
        peer_pump(&peer);
    }
}

static struct eng_pool_figures figures(void)
{
    struct eng_pool_figures out;
    eng_pool_figures(rig.pool, &out);
    return out;
}

/* Pumps both sides until `*value` reaches `least`; false after two seconds. */
static bool until(const uint32_t *value, uint32_t least)
{
    const int64_t end = ipc_clock_mono_ns() + 2 * LS_NS_PER_S;
    while (*value < least && ipc_clock_mono_ns() < end)
        pump(1);
    return *value >= least;
}

static void live(uint32_t count)
{
    const int64_t end = ipc_clock_mono_ns() + 2 * LS_NS_PER_S;
    while (figures().live < count && ipc_clock_mono_ns() < end)
        pump(1);
    if (figures().live < count)
        fail_msg("not connected: %s", rig.last_error);
}

static void own_lane(uint32_t account)
{
    const struct eng_lane_key key = {.account = account};
    eng_pool_account(rig.pool, account, eng_pool_lane(rig.pool, &key));
}

static void flush(void)
{
    eng_pool_flush(rig.pool, 4096, ipc_clock_mono_ns(), &rig.sink);
}

static void expect_evidence(uint32_t child, enum ipc_evidence evidence)
{
    const struct outcome *outcome = outcome_of(rig.outcomes, child);
    if (outcome == NULL)
        fail_msg("child %u has no outcome", child);
    assert_false(outcome->is_reply);
    if (outcome->evidence != evidence)
        fail_msg("child %u: %s instead of %s", child, ipc_evidence_name(outcome->evidence),
            ipc_evidence_name(evidence));
}

static void order(uint32_t account, uint32_t child)
{
    assert_int_equal(
        rig_order(&rig, account, child, "{\"qty\":\"65\"}", INT64_MAX), ENG_H2_ADMITTED);
}

/* What was sent is RESET, what was not sealed yet is NO_BYTES; then the lane comes back. */
static void break_mid_flight(bool reset)
{
    open_both(&(struct rig_options){0}, 0);
    own_lane(1);
    live(1);
    order(1, 10);
    order(1, 11);
    flush();
    assert_true(until(&peer.connections[0]->requests, 2));
    peer_hang_up(peer.connections[0], reset);
    /* A request that comes while nobody knows: it is appended but not flushed. */
    order(1, 12);
    const struct eng_edge_event *none = NULL;
    (void)none;
    assert_true(until(&rig.outcomes->count, 3));
    expect_evidence(10, IPC_EVIDENCE_RESET);
    expect_evidence(11, IPC_EVIDENCE_RESET);
    const struct outcome *third = outcome_of(rig.outcomes, 12);
    assert_true(third->evidence == IPC_EVIDENCE_NO_BYTES || third->evidence == IPC_EVIDENCE_RESET);
    assert_int_equal(figures().attached, 1);
    live(1);
    order(1, 13);
    flush();
    assert_true(until(&peer.connections[1]->requests, 1));
    peer_say(peer.connections[1], "H 1 e:200 D 1 s:ok");
    assert_true(until(&rig.outcomes->count, 4));
    assert_true(outcome_of(rig.outcomes, 13)->is_reply);
    close_both();
}

static void a_fin_mid_flight(void **state)
{
    (void)state;
    break_mid_flight(false);
}

static void a_reset_mid_flight(void **state)
{
    (void)state;
    break_mid_flight(true);
}

/* The socket is full: what could not be given to the kernel stays ours, and when the connection
 * breaks exactly those requests are NO_BYTES which the peer cannot have seen. */
static void a_full_socket_then_the_end(void **state)
{
    (void)state;
    open_both(&(struct rig_options){.send_buffer = 4096}, 4096);
    const struct eng_lane_key shared = {0};
    const uint32_t lane = eng_pool_lane(rig.pool, &shared);
    for (uint32_t account = 1; account <= 100; account++)
        eng_pool_account(rig.pool, account, lane);
    live(1);
    peer_say(peer.connections[0], "W 0 1000000");
    pump(20);
    peer.connections[0]->is_deaf = true;
    char body[1500];
    memset(body, 'q', sizeof body);
    body[sizeof body - 1] = '\0';
    uint32_t child = 0;
    enum eng_h2_admission admission;
    while (
        (admission = rig_order(&rig, child % 100 + 1, child, body, INT64_MAX)) == ENG_H2_ADMITTED) {
        child++;
        flush();
        rig_pump(&rig);
        assert_true(child < 128);
    }
    assert_int_equal(admission, ENG_H2_NO_ROOM); /* plain arena, cipher arena, socket: all full */
    assert_true(child > 12);
    const struct eng_connection *connection = eng_pool_serve(rig.pool, 1);
    assert_true(eng_edge_sending(rig.edge, connection->handle));
    /* The peer reads what lies in the kernel, then hangs up. */
    struct peer_connection *there = peer.connections[0];
    const uint32_t before = there->requests;
    assert_int_equal(before, 0);
    eng_pool_shut(rig.pool, &rig.sink);
    assert_int_equal(rig.outcomes->count, child);
    there->is_deaf = false;
    for (int i = 0; i < 200; i++)
        peer_pump(&peer);
    uint32_t unsent = 0;
    for (uint32_t i = 0; i < child; i++)
        unsent += outcome_of(rig.outcomes, i)->evidence == IPC_EVIDENCE_NO_BYTES;
    assert_true(unsent >= 10); /* the plain arena's worth */
    assert_true(there->requests <= child - unsent);
    for (uint32_t i = 0; i < child; i++) /* in order: all that left come before all that did not */
        expect_evidence(i, i < child - unsent ? IPC_EVIDENCE_RESET : IPC_EVIDENCE_NO_BYTES);
    close_both();
}

/* The same, but the peer goes on reading: everything arrives, in order, in many short sends. */
static void a_slow_reader_gets_it_all(void **state)
{
    (void)state;
    open_both(&(struct rig_options){.send_buffer = 4096}, 4096);
    own_lane(1);
    live(1);
    peer_say(peer.connections[0], "W 0 1000000");
    pump(20);
    char body[1500];
    memset(body, 'q', sizeof body);
    body[sizeof body - 1] = '\0';
    uint32_t child = 0;
    while (child < 100) {
        if (rig_order(&rig, 1, child, body, INT64_MAX) == ENG_H2_ADMITTED)
            child++;
        else
            peer_pump(&peer);
        flush();
        rig_pump(&rig);
    }
    assert_true(until(&peer.connections[0]->requests, 100));
    assert_true(figures().sends > 20);
    assert_int_equal(rig.outcomes->count, 0);
    for (uint32_t i = 0; i < 100; i++) {
        char reply[32];
        snprintf(reply, sizeof reply, "H %u es:204", 2 * i + 1);
        peer_say(peer.connections[0], reply);
    }
    assert_true(until(&rig.outcomes->count, 100));
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(rig.outcomes->items[i].child, i);
    close_both();
}

static void a_peer_that_ignores_pings_is_left(void **state)
{
    (void)state;
    open_both(&(struct rig_options){.ping_deadline_ns = 150 * LS_NS_PER_MS}, 0);
    own_lane(1);
    live(1);
    peer.connections[0]->ignores_pings = true;
    order(1, 1);
    flush();
    assert_true(until(&rig.outcomes->count, 1));
    expect_evidence(1, IPC_EVIDENCE_RESET);
    assert_int_equal(figures().pings_lost, 1);
    live(1); /* another one */
    const uint32_t pings = peer.connections[1]->pings;
    assert_true(until(&peer.connections[1]->pings, pings + 4)); /* it is cared for */
    close_both();
}

/* Exits until nothing has moved for 40 ms: plain arena, cipher arena and socket are full. */
static uint32_t fill(uint32_t child, const char *body)
{
    int64_t end = ipc_clock_mono_ns() + 40 * LS_NS_PER_MS;
    while (ipc_clock_mono_ns() < end) {
        if (rig_order(&rig, 1, child, body, INT64_MAX) == ENG_H2_ADMITTED) {
            child++;
            end = ipc_clock_mono_ns() + 40 * LS_NS_PER_MS;
        }
        flush();
        rig_pump(&rig);
    }
    return child;
}

/* Bytes of an entry past its age in the socket of an own lane: reset, and the peer never gets what
 * the kernel still held. */
static void stale_bytes_reset_an_own_lane(void **state)
{
    (void)state;
    open_both(
        &(struct rig_options){.send_buffer = 4096, .ping_deadline_ns = 60 * LS_NS_PER_S}, 4096);
    own_lane(1);
    live(1);
    peer_say(peer.connections[0], "W 0 1000000");
    pump(20);
    peer.connections[0]->is_deaf = true;
    char body[4000];
    memset(body, 'q', sizeof body);
    body[sizeof body - 1] = '\0';
    const int64_t leave_by = ipc_clock_mono_ns() + 300 * LS_NS_PER_MS;
    uint32_t child = 0;
    while (child < 3 && rig_order(&rig, 1, child, body, leave_by) == ENG_H2_ADMITTED) {
        child++;
        flush();
    }
    const int64_t end = ipc_clock_mono_ns() + 2 * LS_NS_PER_S;
    while (rig.outcomes->count == 0 && ipc_clock_mono_ns() < end) { /* exits behind it */
        child += rig_order(&rig, 1, child, body, INT64_MAX) == ENG_H2_ADMITTED;
        flush();
        rig_pump(&rig);
    }
    assert_true(until(&rig.outcomes->count, child));
    assert_int_equal(figures().stale_resets, 1);
    expect_evidence(0, IPC_EVIDENCE_STALE_BYTES);
    expect_evidence(child - 1, IPC_EVIDENCE_NO_BYTES);
    struct peer_connection *there = peer.connections[0];
    there->is_deaf = false;
    for (int i = 0; i < 100; i++)
        peer_pump(&peer);
    assert_true(there->requests < child);
    close_both();
}

/* The same while more waits to be sealed behind the entry, all the time. */
static void stale_bytes_are_found_behind_a_full_arena(void **state)
{
    (void)state;
    open_both(
        &(struct rig_options){.send_buffer = 4096, .ping_deadline_ns = 60 * LS_NS_PER_S}, 4096);
    own_lane(1);
    live(1);
    peer_say(peer.connections[0], "W 0 1000000");
    pump(20);
    peer.connections[0]->is_deaf = true;
    char body[4000];
    memset(body, 'q', sizeof body);
    body[sizeof body - 1] = '\0';
    uint32_t child = 0;
    for (;; child++) { /* as one batch: what does not fit makes the rest leave */
        const int64_t leave_by = child == 4 ? ipc_clock_mono_ns() + 200 * LS_NS_PER_MS : INT64_MAX;
        if (rig_order(&rig, 1, child, body, leave_by) != ENG_H2_ADMITTED)
            break;
    }
    assert_true(child > 5);
    const int64_t end = ipc_clock_mono_ns() + LS_NS_PER_S;
    while (rig.outcomes->count == 0 && ipc_clock_mono_ns() < end) {
        flush();
        rig_pump(&rig);
    }
    assert_true(until(&rig.outcomes->count, child));
    assert_int_equal(figures().stale_resets, 1);
    close_both();
}

/* A shared connection in that state takes no new orders, and goes on when the peer wakes up. */
static void stale_bytes_close_a_shared_one_for_orders(void **state)
{
    (void)state;
    open_both(
        &(struct rig_options){.send_buffer = 4096, .ping_deadline_ns = 60 * LS_NS_PER_S}, 4096);
    const struct eng_lane_key shared = {0};
    eng_pool_account(rig.pool, 1, eng_pool_lane(rig.pool, &shared));
    live(1);
    peer_say(peer.connections[0], "W 0 1000000");
    pump(20);
    peer.connections[0]->is_deaf = true;
    char body[4000];
    memset(body, 'q', sizeof body);
    body[sizeof body - 1] = '\0';
    struct eng_connection *connection = eng_pool_serve(rig.pool, 1);
    uint32_t child = 0;
    for (; child < 3; child++) { /* the third is an entry, behind what the peer's kernel takes */
        const int64_t leave_by = child == 2 ? ipc_clock_mono_ns() + 200 * LS_NS_PER_MS : INT64_MAX;
        assert_int_equal(rig_order(&rig, 1, child, body, leave_by), ENG_H2_ADMITTED);
        flush();
    }
    child = fill(child, body);
    const int64_t end = ipc_clock_mono_ns() + 2 * LS_NS_PER_S;
    while (!connection->clogged && ipc_clock_mono_ns() < end)
        rig_pump(&rig);
    assert_true(connection->clogged);
    assert_int_equal(eng_connection_can_send(connection, 10, 10, 10), ENG_H2_NO_ROOM);
    assert_false(eng_pool_up(rig.pool, 1));
    peer.connections[0]->is_deaf = false;
    assert_true(until(&peer.connections[0]->requests, child));
    while (connection->clogged && ipc_clock_mono_ns() < end)
        pump(1);
    assert_false(connection->clogged);
    assert_int_equal(eng_connection_can_send(connection, 10, 10, 10), ENG_H2_ADMITTED);
    close_both();
}

/* Before the request limit another connection takes over, and nothing in flight is lost. */
static void connections_rotate_before_the_limit(void **state)
{
    (void)state;
    open_both(&(struct rig_options){.requests_per_connection = 10}, 0);
    own_lane(1);
    live(1);
    uint32_t child = 0, last_connection = 0;
    uint32_t next_stream[PEERS_MAX] = {0};
    const int64_t end = ipc_clock_mono_ns() + 3 * LS_NS_PER_S;
    while (child < 60 && ipc_clock_mono_ns() < end) {
        if (eng_pool_serve(rig.pool, 1) != NULL &&
            rig_order(&rig, 1, child, "{}", INT64_MAX) == ENG_H2_ADMITTED)
            child++;
        flush();
        pump(1);
        for (uint32_t i = 0; i < peer.count; i++) {
            struct peer_connection *there = peer.connections[i];
            while (next_stream[i] < there->requests && !there->is_gone) {
                char reply[32];
                snprintf(reply, sizeof reply, "H %u es:200", 2 * next_stream[i]++ + 1);
                peer_say(there, reply);
                last_connection = i;
            }
            assert_true(there->requests <= 10);
        }
    }
    assert_true(until(&rig.outcomes->count, 60));
    assert_int_equal(rig.outcomes->count, 60);
    for (uint32_t i = 0; i < 60; i++)
        assert_true(rig.outcomes->items[i].is_reply);
    assert_true(last_connection >= 5);
    assert_int_equal(figures().lost, 0);
    close_both();
}

static void goaway_drains_and_replaces(void **state)
{
    (void)state;
    open_both(&(struct rig_options){0}, 0);
    own_lane(1);
    live(1);
    order(1, 1);
    order(1, 2);
    flush();
    assert_true(until(&peer.connections[0]->requests, 2));
    peer_say(peer.connections[0], "G 1 0");
    assert_true(until(&rig.outcomes->count, 1));
    expect_evidence(2, IPC_EVIDENCE_GOAWAY);
    live(1); /* the next connection is there while the first one still waits for its reply */
    assert_int_equal(figures().draining, 1);
    /* One in flight on the old one: the account waits, so that its orders stay in order. */
    assert_null(eng_pool_serve(rig.pool, 1));
    peer_say(peer.connections[0], "H 1 es:200");
    assert_true(until(&rig.outcomes->count, 2));
    assert_non_null(eng_pool_serve(rig.pool, 1));
    order(1, 3);
    flush();
    assert_true(until(&peer.connections[1]->requests, 1));
    close_both();
}

/* A shared lane spreads its accounts, and keeps each where it is while it has work there. */
static void accounts_are_spread_and_stay(void **state)
{
    (void)state;
    open_both(&(struct rig_options){.pool_connections = 4}, 0);
    const struct eng_lane_key shared = {0};
    const uint32_t lane = eng_pool_lane(rig.pool, &shared);
    for (uint32_t account = 1; account <= 40; account++)
        eng_pool_account(rig.pool, account, lane);
    live(1);
    const struct eng_connection *busy = eng_pool_serve(rig.pool, 7);
    order(7, 1);
    for (uint32_t account = 1; account <= 40; account++)
        assert_non_null(eng_pool_serve(rig.pool, account)); /* all on the first, if it is alone */
    live(4);
    uint32_t on[16] = {0};
    const struct eng_connection *where[41];
    for (uint32_t account = 1; account <= 40; account++) {
        where[account] = eng_pool_serve(rig.pool, account);
        on[where[account]->handle]++;
    }
    assert_ptr_equal(where[7], busy);
    uint32_t used = 0;
    for (uint32_t i = 0; i < 16; i++) {
        used += on[i] != 0;
        assert_true(on[i] <= 10);
    }
    assert_int_equal(used, 4);
    for (uint32_t account = 1; account <= 40; account++)
        assert_ptr_equal(eng_pool_serve(rig.pool, account), where[account]);
    close_both();
}

static void a_lane_without_accounts_goes(void **state)
{
    (void)state;
    open_both(&(struct rig_options){0}, 0);
    own_lane(1);
    live(1);
    eng_pool_account(rig.pool, 1, ENG_POOL_NO_LANE);
    assert_null(eng_pool_serve(rig.pool, 1));
    const int64_t end = ipc_clock_mono_ns() + 2 * LS_NS_PER_S;
    while (figures().live + figures().draining != 0 && ipc_clock_mono_ns() < end)
        pump(1);
    assert_int_equal(figures().live + figures().draining, 0);
    pump(50);
    assert_int_equal(figures().attached, 1); /* nobody wants it back */
    own_lane(1);
    live(1);
    close_both();
}

static void a_protocol_error_gives_each_request_its_evidence(void **state)
{
    (void)state;
    open_both(&(struct rig_options){0}, 0);
    own_lane(1);
    live(1);
    order(1, 1);
    flush();
    assert_true(until(&peer.connections[0]->requests, 1));
    peer_say(peer.connections[0], "F 5 4 1 abcdef");
    assert_true(until(&rig.outcomes->count, 1));
    expect_evidence(1, IPC_EVIDENCE_PROTOCOL);
    assert_int_equal(figures().protocol_errors, 1);
    assert_non_null(strstr(figures().last_error, "PUSH_PROMISE"));
    close_both();
}

static void tickets_and_key_updates_are_taken(void **state)
{
    (void)state;
    open_both(&(struct rig_options){0}, 0);
    own_lane(1);
    live(1);
    struct peer_connection *there = peer.connections[0];
    for (uint32_t i = 0; i < 20; i++) {
        order(1, i);
        flush();
        assert_true(until(&there->requests, i + 1));
        if (i % 3 == 0)
            assert_int_equal(SSL_new_session_ticket(there->ssl), 1);
        else
            assert_int_equal(SSL_key_update(there->ssl, i % 3 == 1 ? SSL_KEY_UPDATE_REQUESTED
                                                                   : SSL_KEY_UPDATE_NOT_REQUESTED),
                1);
        char reply[32];
        snprintf(reply, sizeof reply, "H %u es:200", 2 * i + 1);
        peer_say(there, reply);
        assert_true(until(&rig.outcomes->count, i + 1));
        assert_true(rig.outcomes->items[i].is_reply);
    }
    close_both();
}

static void an_alert_mid_flight(void **state)
{
    (void)state;
    open_both(&(struct rig_options){0}, 0);
    own_lane(1);
    live(1);
    order(1, 1);
    flush();
    assert_true(until(&peer.connections[0]->requests, 1));
    SSL_shutdown(peer.connections[0]->ssl); /* close_notify, and the socket stays open */
    peer.connections[0]->is_gone = true;
    assert_true(until(&rig.outcomes->count, 1));
    expect_evidence(1, IPC_EVIDENCE_RESET);
    close_both();
}

static void idle_connections_are_offered_for_a_keepalive(void **state)
{
    (void)state;
    open_both(&(struct rig_options){0}, 0);
    own_lane(5);
    live(1);
    struct eng_connection *connection;
    uint32_t account;
    const int64_t now = ipc_clock_mono_ns();
    assert_false(eng_pool_keepalive(rig.pool, 0, LS_NS_PER_S, now, &connection, &account));
    assert_true(
        eng_pool_keepalive(rig.pool, 0, LS_NS_PER_S, now + 2 * LS_NS_PER_S, &connection, &account));
    assert_int_equal(account, 5);
    assert_false(
        eng_pool_keepalive(rig.pool, 0, LS_NS_PER_S, now + 2 * LS_NS_PER_S, &connection, &account));
    assert_int_equal(rig_get(&rig, 5, 1, "/profile"), ENG_H2_ADMITTED);
    flush();
    assert_true(until(&peer.connections[0]->requests, 1));
    close_both();
}

static int run_all(enum eng_edge_kind kind)
{
    edge_kind = kind;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fin_mid_flight),
        cmocka_unit_test(a_reset_mid_flight),
        cmocka_unit_test(a_full_socket_then_the_end),
        cmocka_unit_test(a_slow_reader_gets_it_all),
        cmocka_unit_test(a_peer_that_ignores_pings_is_left),
        cmocka_unit_test(stale_bytes_reset_an_own_lane),
        cmocka_unit_test(stale_bytes_are_found_behind_a_full_arena),
        cmocka_unit_test(stale_bytes_close_a_shared_one_for_orders),
        cmocka_unit_test(connections_rotate_before_the_limit),
        cmocka_unit_test(goaway_drains_and_replaces),
        cmocka_unit_test(accounts_are_spread_and_stay),
        cmocka_unit_test(a_lane_without_accounts_goes),
        cmocka_unit_test(a_protocol_error_gives_each_request_its_evidence),
        cmocka_unit_test(tickets_and_key_updates_are_taken),
        cmocka_unit_test(an_alert_mid_flight),
        cmocka_unit_test(idle_connections_are_offered_for_a_keepalive),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

int main(void)
{
    int failed = run_all(ENG_EDGE_EPOLL);
    if (eng_edge_uring_works() == NULL)
        failed += run_all(ENG_EDGE_URING);
    return failed;
}
