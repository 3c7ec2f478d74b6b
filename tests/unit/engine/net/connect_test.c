/* connect_test.c: which connections come about, and what is said of those that do not. */
#include "ipc/clock.h"
#include "tests/unit/engine/net/net_peer.h"
#include "tests/unit/engine/net/net_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static int set_up(void **state)
{
    (void)state;
    static const struct world_leaf leaves[] = {
        {.name = "ca", .ends_in_days = 10},
        {.name = "other-ca", .ends_in_days = 10},
        {.name = "good",
            .ca = "ca",
            .san = "DNS:broker.test,IP:127.0.0.1,IP:::1",
            .ends_in_days = 5},
        {.name = "expired",
            .ca = "ca",
            .san = "DNS:broker.test",
            .begins_in_days = -9,
            .ends_in_days = -1},
        {.name = "early",
            .ca = "ca",
            .san = "DNS:broker.test",
            .begins_in_days = 2,
            .ends_in_days = 5},
        {.name = "stranger",
            .ca = "ca",
            .san = "DNS:elsewhere.test,IP:192.0.2.1",
            .ends_in_days = 5},
        {.name = "nameless", .ca = "ca", .ends_in_days = 5},
        {.name = "wildcard", .ca = "ca", .san = "DNS:*.broker.test", .ends_in_days = 5},
        {.name = "unknown", .ca = "other-ca", .san = "DNS:broker.test", .ends_in_days = 5},
        {.name = "self", .san = "DNS:broker.test", .ends_in_days = 5},
    };
    for (size_t i = 0; i < LS_COUNT_OF(leaves); i++)
        world_certificate(&leaves[i]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_end();
    return 0;
}

struct attempt {
    struct rig *rig;
    struct peer *peer;
};

static bool is_decided(struct rig *rig, void *context)
{
    peer_pump(context);
    struct eng_pool_figures figures;
    eng_pool_figures(rig->pool, &figures);
    return figures.live != 0 || rig->failures != 0;
}

/* Connects once; returns the sentence, "" = connected. */
static const char *try_once(const char *leaf, const char *name, const char *alpn, uint16_t offers,
    const char *host, const struct eng_lane_key *key, struct peer *peer, struct rig *rig)
{
    static char sentence[256];
    peer_open(peer, host, world_path(leaf, ".crt"), world_path(leaf, ".key"), alpn, 0);
    rig_open(rig, &(struct rig_options){.edge = ENG_EDGE_EPOLL,
                      .host = host,
                      .name = name,
                      .ca_file = world_path("ca", ".crt"),
                      .port = peer->port,
                      .alpn = offers});
    eng_pool_account(rig->pool, 1, eng_pool_lane(rig->pool, key));
    assert_true(rig_until(rig, 4 * LS_NS_PER_S, is_decided, peer));
    snprintf(sentence, sizeof sentence, "%s", rig->last_error);
    return sentence;
}

static void certificates_are_judged(void **state)
{
    (void)state;
    static const struct {
        const char *leaf, *name, *alpn, *says; /* NULL = connects */
        uint16_t offers;
    } rows[] = {
        {"good", "broker.test", "h2", NULL, 0},
        {"good", "127.0.0.1", "h2", NULL, 0},
        {"good", "::1", "h2", NULL, 0},
        {"wildcard", "api.broker.test", "h2", NULL, 0},
        {"wildcard", "a.b.broker.test", "h2", "for another name than a.b.broker.test", 0},
        {"expired", "broker.test", "h2", "has expired", 0},
        {"early", "broker.test", "h2", "is not valid yet", 0},
        {"stranger", "broker.test", "h2", "for another name than broker.test", 0},
        {"stranger", "127.0.0.1", "h2", "for another name than 127.0.0.1", 0},
        {"nameless", "broker.test", "h2", "for another name than broker.test", 0},
        {"unknown", "broker.test", "h2", "not signed by a CA that is trusted", 0},
        {"self", "broker.test", "h2", "not signed by a CA that is trusted", 0},
        {"good", "broker.test", NULL, NULL, 0}, /* no ALPN: HTTP/1.1 */
        {"good", "broker.test", NULL, NULL, 2},
        {"good", "broker.test", "http/1.1", NULL, 0},
        {"good", "broker.test", "http/1.1", NULL, 2},
        {"good", "broker.test", NULL, "does not offer HTTP/2", 1},
        {"expired", "broker.test", "http/1.1", "has expired", 2},
    };
    const struct eng_lane_key key = {.account = 1};
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        static struct peer peer;
        struct rig rig;
        const char *sentence = try_once(rows[i].leaf, rows[i].name, rows[i].alpn, rows[i].offers,
            "127.0.0.1", &key, &peer, &rig);
        if (rows[i].says == NULL && sentence[0] != '\0')
            fail_msg("%s as %s: %s", rows[i].leaf, rows[i].name, sentence);
        if (rows[i].says != NULL) {
            if (strstr(sentence, rows[i].says) == NULL)
                fail_msg("%s as %s: \"%s\"", rows[i].leaf, rows[i].name, sentence);
            assert_non_null(strstr(sentence, "test-broker"));
            assert_non_null(strstr(sentence, "nothing was sent"));
            /* No application byte has come, and there is no connection to put one on. */
            assert_null(eng_pool_serve(rig.pool, 1));
            for (int k = 0; k < 20; k++)
                peer_pump(&peer);
            assert_int_equal(peer.connections[0]->got_count, 0);
        }
        rig_close(&rig);
        peer_close(&peer);
    }
}

static void lanes_come_from_their_source_address(void **state)
{
    (void)state;
    static const struct {
        const char *host, *source;
    } rows[] = {{"127.0.0.1", "127.0.0.7"}, {"127.0.0.1", "127.1.2.3"}, {"::1", "::1"}};
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        static struct peer peer;
        struct rig rig;
        const bool is_v6 = strchr(rows[i].source, ':') != NULL;
        struct eng_lane_key key = {.account = 1, .source_family = is_v6 ? 6 : 4};
        assert_int_equal(
            inet_pton(is_v6 ? AF_INET6 : AF_INET, rows[i].source, key.source_address), 1);
        assert_string_equal(
            try_once("good", "broker.test", "h2", 0, rows[i].host, &key, &peer, &rig), "");
        char text[INET6_ADDRSTRLEN];
        const struct sockaddr_storage *from = &peer.connections[0]->from;
        inet_ntop(from->ss_family,
            is_v6 ? (const void *)&((const struct sockaddr_in6 *)(const void *)from)->sin6_addr
                  : (const void *)&((const struct sockaddr_in *)(const void *)from)->sin_addr,
            text, sizeof text);
        assert_string_equal(text, rows[i].source);
        rig_close(&rig);
        peer_close(&peer);
    }
}

static void a_source_that_is_not_ours_keeps_the_lane_shut(void **state)
{
    (void)state;
    static struct peer peer;
    struct rig rig;
    struct eng_lane_key key = {.account = 1, .source_family = 4};
    inet_pton(AF_INET, "192.0.2.9", key.source_address);
    const char *sentence = try_once("good", "broker.test", "h2", 0, "127.0.0.1", &key, &peer, &rig);
    assert_non_null(strstr(sentence, "cannot send from 192.0.2.9"));
    assert_non_null(strstr(sentence, "test-broker"));
    rig_close(&rig);
    peer_close(&peer);
    key.source_family = 6;
    sentence = try_once("good", "broker.test", "h2", 0, "127.0.0.1", &key, &peer, &rig);
    assert_non_null(strstr(sentence, "different families"));
    rig_close(&rig);
    peer_close(&peer);
}

static bool has_failed(struct rig *rig, void *context)
{
    (void)context;
    return rig->failures != 0;
}

static void a_dead_port_and_a_silent_peer_are_named(void **state)
{
    (void)state;
    struct rig rig;
    const struct eng_lane_key key = {.account = 1};
    rig_open(&rig, &(struct rig_options){.edge = ENG_EDGE_EPOLL,
                       .host = "127.0.0.1",
                       .name = "broker.test",
                       .ca_file = world_path("ca", ".crt"),
                       .port = world_free_port()});
    eng_pool_account(rig.pool, 1, eng_pool_lane(rig.pool, &key));
    assert_true(rig_until(&rig, LS_NS_PER_S, has_failed, NULL));
    assert_non_null(strstr(rig.last_error, "Connection refused"));
    /* It is tried again, later and later. */
    const uint32_t failures = rig.failures;
    assert_false(
        rig_until(&rig, 30 * LS_NS_PER_MS, has_failed, NULL) && rig.failures > failures + 1);
    rig_close(&rig);

    static struct peer peer; /* listens, but nobody pumps it: the handshake is never answered */
    peer_open(&peer, "127.0.0.1", world_path("good", ".crt"), world_path("good", ".key"), "h2", 0);
    rig_open(&rig, &(struct rig_options){.edge = ENG_EDGE_EPOLL,
                       .host = "127.0.0.1",
                       .name = "broker.test",
                       .ca_file = world_path("ca", ".crt"),
                       .port = peer.port});
    eng_pool_account(rig.pool, 1, eng_pool_lane(rig.pool, &key));
    assert_true(rig_until(&rig, 5 * LS_NS_PER_S, has_failed, NULL));
    assert_non_null(strstr(rig.last_error, "not connected within 2 s"));
    assert_non_null(strstr(rig.last_error, "TLS handshake"));
    rig_close(&rig);
    peer_close(&peer);
}

static void bad_trust_files_and_names_are_refused(void **state)
{
    (void)state;
    struct eng_tls_context *context;
    struct ipc_error error;
    assert_int_equal(
        eng_tls_context_make("b1", "broker.test", "/nonexistent.pem", &context, &error),
        IPC_BAD_INPUT);
    assert_non_null(strstr(error.text, "broker b1"));
    assert_int_equal(eng_tls_context_make("b1", "", "", &context, &error), IPC_BAD_INPUT);
    struct sockaddr_storage address;
    socklen_t bytes;
    assert_int_equal(
        eng_connect_resolve("b1", "no-such-host.invalid", 443, 4, &address, &bytes, &error),
        IPC_NOT_FOUND);
    assert_non_null(strstr(error.text, "broker b1"));
}

static bool pump_both(struct rig *rig, void *context)
{
    (void)rig;
    struct attempt *both = context;
    peer_pump(both->peer);
    struct eng_pool_figures figures;
    eng_pool_figures(both->rig->pool, &figures);
    return figures.live != 0;
}

/* Connects a second account; its connection, NULL when that failed. */
static struct eng_connection *connect_second(struct rig *rig, struct peer *peer)
{
    eng_pool_account(rig->pool, 1, ENG_POOL_NO_LANE);
    struct attempt both = {rig, peer};
    const struct eng_lane_key second = {.account = 2};
    eng_pool_account(rig->pool, 2, eng_pool_lane(rig->pool, &second));
    const uint32_t failures = rig->failures;
    for (int i = 0; i < 2000 && eng_pool_serve(rig->pool, 2) == NULL && rig->failures == failures;
         i++) {
        pump_both(rig, &both);
        rig_pump(rig);
        usleep(1000);
    }
    return eng_pool_serve(rig->pool, 2);
}

/* The second connection of a broker resumes the first one's session, without early data; over
 * HTTP/1.1 too, where no round trip follows the handshake. */
static void sessions_are_resumed(void **state)
{
    (void)state;
    static const char *const protocols[] = {"h2", "http/1.1"};
    for (size_t i = 0; i < LS_COUNT_OF(protocols); i++) {
        static struct peer peer;
        struct rig rig;
        const struct eng_lane_key key = {.account = 1};
        assert_string_equal(
            try_once("good", "broker.test", protocols[i], 0, "127.0.0.1", &key, &peer, &rig), "");
        struct eng_connection *connection = eng_pool_serve(rig.pool, 1);
        assert_non_null(connection);
        assert_false(connection->resumed);
        connection = connect_second(&rig, &peer);
        assert_non_null(connection);
        assert_true(connection->resumed);
        assert_int_equal(SSL_get_early_data_status(connection->tls.ssl), SSL_EARLY_DATA_NOT_SENT);
        rig_close(&rig);
        peer_close(&peer);
    }
}

/* A resumed session shows no certificate, so it must not outlive the one that it began with. */
static void sessions_end_with_their_certificate(void **state)
{
    (void)state;
    static struct peer peer;
    struct rig rig;
    const struct eng_lane_key key = {.account = 1};
    world_certificate(&(struct world_leaf){
        .name = "brief", .ca = "ca", .san = "DNS:broker.test", .ends_in_seconds = 2});
    const time_t end = time(NULL) + 3;
    assert_string_equal(
        try_once("brief", "broker.test", "h2", 0, "127.0.0.1", &key, &peer, &rig), "");
    while (time(NULL) < end)
        usleep(20000);
    assert_null(connect_second(&rig, &peer));
    assert_non_null(strstr(rig.last_error, "has expired"));
    rig_close(&rig);
    peer_close(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_are_judged),
        cmocka_unit_test(lanes_come_from_their_source_address),
        cmocka_unit_test(a_source_that_is_not_ours_keeps_the_lane_shut),
        cmocka_unit_test(a_dead_port_and_a_silent_peer_are_named),
        cmocka_unit_test(bad_trust_files_and_names_are_refused),
        cmocka_unit_test(sessions_are_resumed),
        cmocka_unit_test(sessions_end_with_their_certificate),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
