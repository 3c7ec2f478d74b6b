/* nghttpd_test.c: real servers: requests and replies over TLS 1.2 and 1.3, both edges. */
#include "ipc/clock.h"
#include "tests/unit/engine/net/net_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *tls_version = "TLSv1.3";
static const char *const echo_arguments[] = {"--echo-upload", "--verbose", NULL};

static int set_up(void **state)
{
    (void)state;
    world_certificate(&(struct world_leaf){.name = "ca", .ends_in_days = 10});
    world_certificate(&(struct world_leaf){
        .name = "good", .ca = "ca", .san = "DNS:localhost,IP:127.0.0.1,IP:::1", .ends_in_days = 5});
    world_certificate(&(struct world_leaf){.name = "good-rsa",
        .ca = "ca",
        .san = "DNS:localhost,IP:127.0.0.1,IP:::1",
        .is_rsa = true,
        .ends_in_days = 5});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_end();
    return 0;
}

/* Orders with bodies, echoed back, over one own lane and over a shared pool. */
static void exchange(enum eng_edge_kind kind, const char *leaf)
{
    struct world_server server;
    world_serve(&server, "127.0.0.1", leaf, "echo", NULL, echo_arguments);
    struct rig rig;
    const char *ca_file = world_path("ca", ".crt");
    rig_open(&rig, &(struct rig_options){.edge = kind,
                       .host = "127.0.0.1",
                       .name = "localhost",
                       .ca_file = ca_file,
                       .port = server.port,
                       .pool_connections = 3});
    const struct eng_lane_key shared = {.broker = 0};
    const struct eng_lane_key own = {.broker = 0, .account = 9};
    const uint32_t shared_lane = eng_pool_lane(rig.pool, &shared);
    for (uint32_t account = 1; account <= 6; account++)
        eng_pool_account(rig.pool, account, shared_lane);
    eng_pool_account(rig.pool, 9, eng_pool_lane(rig.pool, &own));
    assert_int_equal(eng_edge_kind(rig.edge), kind);
    if (!rig_until_live(&rig, 4))
        fail_msg("not connected: %s", rig.last_error);
    const struct eng_connection *connection = eng_pool_serve(rig.pool, 9);
    assert_string_equal(SSL_get_version(connection->tls.ssl), tls_version);

    uint32_t child = 0;
    for (uint32_t wave = 0; wave < 20; wave++) {
        for (uint32_t i = 0; i < 7; i++) {
            char body[128];
            snprintf(body, sizeof body, "{\"child\":%u,\"qty\":\"%u\"}", child, child * 65);
            const uint32_t account = i < 6 ? i + 1 : 9;
            assert_int_equal(rig_order(&rig, account, child++, body, INT64_MAX), ENG_H2_ADMITTED);
        }
        eng_pool_flush(rig.pool, wave < 10 ? 1024 : 4096, ipc_clock_mono_ns(), &rig.sink);
        if (wave % 4 == 3)
            assert_true(rig_until_outcomes(&rig, child));
    }
    assert_true(rig_until_outcomes(&rig, child));
    for (uint32_t i = 0; i < child; i++) {
        char body[128];
        snprintf(body, sizeof body, "{\"child\":%u,\"qty\":\"%u\"}", i, i * 65);
        const struct outcome *outcome = outcome_of(rig.outcomes, i);
        assert_non_null(outcome);
        assert_true(outcome->is_reply);
        assert_int_equal(outcome->http_status, 200);
        assert_int_equal(outcome->request_no, i ^ 0x5a5a);
        assert_string_equal(outcome->body, body);
    }
    /* A request without a body, and its reply. */
    assert_int_equal(rig_get(&rig, 3, child, "/no-such-page"), ENG_H2_ADMITTED);
    assert_true(rig_until_outcomes(&rig, child + 1));
    assert_int_equal(rig.outcomes->items[child].http_status, 404);

    char *log = world_log(&server);
    assert_non_null(strstr(log, "authorization: Bearer token-of-account-9"));
    assert_non_null(strstr(log, "content-length: 22"));
    assert_non_null(strstr(log, ":path: /order"));
    assert_null(strstr(log, "GOAWAY"));
    free(log);
    struct eng_pool_figures figures;
    eng_pool_figures(rig.pool, &figures);
    assert_int_equal(figures.streams_open, 0);
    assert_int_equal(figures.lost, 0);
    rig_close(&rig);
    world_stop(&server);
}

static void epoll_ecdsa(void **state)
{
    (void)state;
    exchange(ENG_EDGE_EPOLL, "good");
}

static void epoll_rsa(void **state)
{
    (void)state;
    exchange(ENG_EDGE_EPOLL, "good-rsa");
}

static void uring_rsa(void **state)
{
    (void)state;
    if (eng_edge_uring_works() != NULL)
        skip();
    exchange(ENG_EDGE_URING, "good-rsa");
}

static void uring_ecdsa(void **state)
{
    (void)state;
    if (eng_edge_uring_works() != NULL)
        skip();
    exchange(ENG_EDGE_URING, "good");
}

/* With the argument "tls12" the test runs itself again under an OpenSSL configuration that allows
 * nothing newer; OpenSSL reads it once per process. */
static void run_again_with_tls12(char **argv)
{
    char path[] = "/tmp/lockstep-tls12-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    fputs("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n"
          "MaxProtocol = TLSv1.2\n",
        file);
    fclose(file);
    setenv("OPENSSL_CONF", path, 1);
    execv("/proc/self/exe", argv);
    abort();
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "tls12") == 0) {
        if (getenv("OPENSSL_CONF") == NULL)
            run_again_with_tls12(argv);
        tls_version = "TLSv1.2";
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epoll_ecdsa),
        cmocka_unit_test(epoll_rsa),
        cmocka_unit_test(uring_ecdsa),
        cmocka_unit_test(uring_rsa),
    };
    const int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    if (getenv("OPENSSL_CONF") != NULL)
        unlink(getenv("OPENSSL_CONF"));
    return failed;
}
