/* The webhook's server as its peers see it: who may post, what is answered to what, what reaches
 * the rings; then bytes that no broker sends. */
#include "adapters/ingest/webhook.h"
#include "adapters/ingest/webhook_peers.h"
#include "tests/unit/adapters/ingest/tls_peer.h"
#include "tests/unit/adapters/ingest/world.h"

#include "ipc/prng.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define SECRET_1 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1"
#define SECRET_2 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2"
#define SECRET_9 "cccccccccccccccccccccccccccccc_9"

struct stage {
    struct world world;
    struct adp_ingest_config config;
    struct adp_live *live;
    struct adp_publisher *publisher;
    struct adp_feed *feed;
    struct adp_webhook *webhook;
    char paths[128];
};

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void stage_open_tls(struct stage *stage, uint32_t held_events, const struct tls_peer *files)
{
    struct ipc_error error = {.text = ""};
    memset(stage, 0, sizeof(*stage));
    world_open(&stage->world);
    world_publish(&stage->world);
    snprintf(stage->paths, sizeof(stage->paths), "%s/paths", stage->world.base);
    write_file(stage->paths,
        "# account, path\nMASTER1 " SECRET_1 "\n  2\t" SECRET_2 "  # by number\n\nNOBODY " SECRET_9
        "\n",
        0400);
    adp_ingest_config_defaults(&stage->config);
    stage->config.hook_port = 0;
    stage->config.hook_idle_s = 1;
    stage->config.hook_body_bytes_max = 2048;
    stage->config.hook_connections_max = 8;
    snprintf(stage->config.hook_paths, sizeof(stage->config.hook_paths), "%s", stage->paths);
    snprintf(stage->config.hook_allow, sizeof(stage->config.hook_allow), "127.0.0.0/30");
    if (files != NULL) {
        snprintf(stage->config.hook_certificate, sizeof(stage->config.hook_certificate), "%s",
            tls_peer_certificate(files));
        snprintf(stage->config.hook_private_key, sizeof(stage->config.hook_private_key), "%s",
            tls_peer_key(files));
    }
    stage->live = adp_live_open(&stage->world.shm);
    assert_true(adp_live_follow(stage->live));
    stage->publisher = adp_publisher_open(&stage->world.shm, "hook", 64, held_events);
    stage->feed = adp_feed_open(stage->live, stage->publisher);
    if (adp_webhook_open(&stage->config, adp_dialect_find("alice-blue"), stage->live, stage->feed,
            stage->publisher, NULL, &stage->webhook, &error) != IPC_OK)
        fail_msg("%s", error.text);
    adp_webhook_generation(stage->webhook);
}

static void stage_open(struct stage *stage, uint32_t held_events)
{
    stage_open_tls(stage, held_events, NULL);
}

static void stage_close(struct stage *stage)
{
    adp_webhook_close(stage->webhook);
    adp_feed_close(stage->feed);
    adp_publisher_close(stage->publisher);
    adp_live_close(stage->live);
    world_close(&stage->world);
}

/* A client at an address of ours. */
static int connect_from(struct stage *stage, const char *from)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
        .sin_port = htons(adp_webhook_port(stage->webhook)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in own = {.sin_family = AF_INET};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(inet_pton(AF_INET, from, &own.sin_addr), 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* Serves until the reply is there, the server has closed, or `ms` passed; returns the status, 0 for
 * a connection that was closed without one, -1 when nothing came. */
static int status_of(struct stage *stage, int fd, int ms, char *reply, size_t room)
{
    const int64_t until = ipc_clock_mono_ns() + ms * LS_NS_PER_MS;
    size_t count = 0;
    reply[0] = '\0';
    while (ipc_clock_mono_ns() < until) {
        adp_webhook_wait(stage->webhook, LS_NS_PER_MS);
        (void)adp_publisher_flush(stage->publisher, ipc_clock_mono_ns());
        const ssize_t got = recv(fd, reply + count, room - 1 - count, MSG_DONTWAIT);
        if (got > 0)
            count += (size_t)got;
        reply[count] = '\0';
        if (strstr(reply, "\r\n\r\n") != NULL && strncmp(reply, "HTTP/1.1 ", 9) == 0)
            return atoi(reply + 9);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            return 0;
    }
    return -1;
}

static int ask(struct stage *stage, const char *from, const char *request, size_t bytes)
{
    char reply[4096];
    const int fd = connect_from(stage, from);
    (void)!send(fd, request, bytes, MSG_NOSIGNAL);
    const int status = status_of(stage, fd, 3000, reply, sizeof(reply));
    close(fd);
    return status;
}

static int post(struct stage *stage, const char *path, const char *body)
{
    static char request[70000];
    const int count = snprintf(request, sizeof(request),
        "POST /%s HTTP/1.1\r\nHost: us\r\nContent-Type: application/json\r\nContent-Length: "
        "%zu\r\n\r\n%s",
        path, strlen(body), body);
    assert_true(count > 0 && (size_t)count < sizeof(request));
    return ask(stage, "127.0.0.1", request, (size_t)count);
}

static const char *order_of(const char *account, const char *id, const char *price, int64_t ago_s)
{
    static char text[1024];
    char at[32] = "";
    struct tm parts;
    const time_t ist = (time_t)(ipc_clock_wall_ns() / LS_NS_PER_S - ago_s) + 19800;
    if (ago_s >= 0)
        strftime(at, sizeof(at), "%H:%M:%S %d-%m-%Y", gmtime_r(&ist, &parts));
    snprintf(text, sizeof(text),
        "{\"norenordno\":\"%s\",\"actid\":\"%s\",\"exch\":\"NSE\",\"tsym\":\"ACC-EQ\",\"qty\":"
        "\"10\","
        "\"prc\":\"%s\",\"prd\":\"CNC\",\"status\":\"OPEN\",\"reporttype\":\"New\",\"trantype\":"
        "\"B\","
        "\"prctyp\":\"LMT\",\"ret\":\"DAY\",\"fillshares\":\"\",\"avgprc\":\"\",\"remarks\":\"\","
        "\"exch_tm\":\"%s\",\"tm\":\"%s\",\"pcode\":\"\"}",
        id, account, price, at, at);
    return text;
}

static size_t take_orders(struct stage *stage, struct ipc_event *events, size_t room)
{
    struct ipc_ring_consumer ring;
    size_t count = 0;
    if (!world_consume(&stage->world, "hook", 0, IPC_RING_ORDERS, &ring))
        return 0;
    while (count < room && world_take(&ring, &events[count]))
        count++;
    ipc_ring_detach_consumer(&ring);
    return count;
}

static void orders_reach_the_rings(void **state)
{
    struct stage stage;
    struct ipc_event events[16];
    struct adp_webhook_counts counts;
    (void)state;
    stage_open(&stage, 64);
    assert_int_equal(
        post(&stage, SECRET_1, order_of("MASTER1", "25052600000001", "101.5", 0)), 200);
    assert_int_equal(take_orders(&stage, events, 16), 1);
    assert_int_equal(events[0].account, 1);
    assert_int_equal(events[0].price_e8, 10150000000);
    assert_int_equal(events[0].product, IPC_PRODUCT_CNC);
    assert_int_equal(events[0].feed_lag_ns, 0);
    /* The same again is taken and says nothing; an old one says how old it is. */
    assert_int_equal(
        post(&stage, SECRET_1, order_of("MASTER1", "25052600000001", "101.5", 0)), 200);
    assert_int_equal(post(&stage, SECRET_1, order_of("MASTER1", "25052600000002", "99", 600)), 200);
    assert_true(take_orders(&stage, events, 16) >= 1);
    assert_true(events[0].feed_lag_ns >= 600 * LS_NS_PER_S);
    /* Without a time it could be of any age. */
    assert_int_equal(post(&stage, SECRET_1, order_of("MASTER1", "25052600000003", "99", -1)), 200);
    assert_int_equal(take_orders(&stage, events, 16), 0);
    adp_webhook_counts(stage.webhook, &counts);
    assert_int_equal(counts.undated, 1);
    stage_close(&stage);
}

static void answers(void **state)
{
    static char large[40000];
    struct stage stage;
    struct ipc_event events[16];
    struct adp_webhook_counts counts;
    char request[512];
    (void)state;
    stage_open(&stage, 64);
    const char *good = order_of("MASTER1", "25052600000001", "101.5", 0);
    memset(large, ' ', sizeof(large) - 1);
    const struct {
        const char *path, *body;
        int status;
    } posts[] = {
        {"", good, 404}, {"index.html", good, 404},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", good, 404}, /* a part of the secret */
        {SECRET_1 "/", good, 404}, {SECRET_1 "1", good, 404},
        {SECRET_9, good, 404},        /* nobody's account */
        {SECRET_2, good, 403},        /* another account's order */
        {SECRET_1, "", 400},          /* no body */
        {SECRET_1, "garbage", 400},   /* no JSON */
        {SECRET_1, "{\"a\":1}", 400}, /* no order */
        {SECRET_1, "[]", 400},        /* no object */
        {SECRET_1, "{\"norenordno\":\"25052600000001\",\"actid\":\"MASTER1\"}", 200}, /* odd */
        {SECRET_1, large, 413},                              /* beyond hook_body_bytes_max */
        {"wrong", large, 404}, {SECRET_1 "?x=1", good, 200}, /* a query is nobody's business */
    };
    for (size_t i = 0; i < LS_COUNT_OF(posts); i++) {
        const int status = post(&stage, posts[i].path, posts[i].body);
        if (status != posts[i].status)
            fail_msg("post %zu (%s): %d", i, posts[i].path, status);
    }
    static const struct {
        const char *request;
        int status;
    } requests[] = {
        {"GET /" SECRET_1 " HTTP/1.1\r\nHost: us\r\n\r\n", 405},
        {"GET / HTTP/1.1\r\nHost: us\r\n\r\n", 404},
        {"POST /" SECRET_1 " HTTP/1.1\r\nHost: us\r\n\r\n", 411},
        {"POST /" SECRET_1 " HTTP/1.1\r\nHost: us\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            411},
        {"POST /" SECRET_1 " HTTP/1.1\r\nHost: us\r\nContent-Length: 99999999999\r\n\r\n", 413},
        {"POST /" SECRET_1 " HTTP/1.1\r\nHost: us\r\nContent-Length: -5\r\n\r\n", 400},
    };
    for (size_t i = 0; i < LS_COUNT_OF(requests); i++) {
        snprintf(request, sizeof(request), "%s", requests[i].request);
        const int status = ask(&stage, "127.0.0.1", request, strlen(request));
        if (status != requests[i].status)
            fail_msg("request %zu: %d", i, status);
    }
    adp_webhook_counts(stage.webhook, &counts);
    assert_int_equal(counts.not_understood, 1);
    assert_int_equal(take_orders(&stage, events, 16), 1); /* the one with the query */
    stage_close(&stage);
}

static void strangers_are_closed(void **state)
{
    struct stage stage;
    struct adp_webhook_counts counts;
    char request[256];
    (void)state;
    stage_open(&stage, 64);
    snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: us\r\n\r\n");
    assert_int_equal(ask(&stage, "127.0.0.2", request, strlen(request)), 404); /* allowed */
    assert_int_equal(ask(&stage, "127.0.0.9", request, strlen(request)), 0);
    adp_webhook_counts(stage.webhook, &counts);
    assert_int_equal(counts.strangers, 1);
    stage_close(&stage);
}

/* Clients that say little or nothing are cut, and do not keep others out for long. */
static void slow_clients(void **state)
{
    struct stage stage;
    char reply[512];
    int fds[8];
    (void)state;
    stage_open(&stage, 64);
    for (size_t i = 0; i < 8; i++) {
        static const char *const beginnings[] = {"", "POST /", "POST /" SECRET_1 " HTTP/1.1\r\n",
            "POST /" SECRET_1 " HTTP/1.1\r\nHost: us\r\nContent-Length: 100\r\n\r\n{\"nor"};
        const char *beginning = beginnings[i % 4];
        fds[i] = connect_from(&stage, "127.0.0.1");
        (void)!send(fds[i], beginning, strlen(beginning), MSG_NOSIGNAL);
    }
    const int64_t start = ipc_clock_mono_ns();
    for (size_t i = 0; i < 8; i++) {
        const int status = status_of(&stage, fds[i], 8000, reply, sizeof(reply));
        if (status == -1 || status == 200)
            fail_msg("client %zu: %d", i, status);
        close(fds[i]);
    }
    assert_true(ipc_clock_mono_ns() - start < 12 * LS_NS_PER_S);
    assert_int_equal(
        post(&stage, SECRET_1, order_of("MASTER1", "25052600000001", "101.5", 0)), 200);
    stage_close(&stage);
}

/* What comes behind a request, in the same segment or later, is not read: the answer ends the
 * connection, and others are served on. A server that never comes back is ended by the alarm. */
static void one_request_a_connection(void **state)
{
    static char request[40000];
    struct stage stage;
    struct ipc_event events[16];
    char reply[1024], one[2048], rubbish[8000];
    (void)state;
    stage_open(&stage, 64);
    memset(rubbish, 'x', sizeof(rubbish));
    rubbish[sizeof(rubbish) - 1] = '\0';
    const char *body = order_of("MASTER1", "25052600000001", "101.5", 0);
    snprintf(one, sizeof(one),
        "POST /" SECRET_1 " HTTP/1.1\r\nHost: us\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
        body);
    static const char get[] = "GET / HTTP/1.1\r\nHost: us\r\n\r\n";
    static const char chunked[] = "POST /" SECRET_1 " HTTP/1.1\r\nHost: us\r\nTransfer-Encoding: "
                                  "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    const struct {
        const char *first, *second, *third;
        int status;
    } rows[] = {
        {one, one, "", 200},
        {one, one, one, 200},
        {one, one, rubbish, 200},
        {one, rubbish, one, 200},
        {one, get, get, 200},
        {one, "\r\n\r\n", one, 200},
        {get, get, one, 404},
        {get, one, one, 404},
        {chunked, one, one, 411},
    };
    alarm(20);
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        ssize_t got = 1;
        const int count = snprintf(
            request, sizeof(request), "%s%s%s", rows[i].first, rows[i].second, rows[i].third);
        const int fd = connect_from(&stage, "127.0.0.1");
        assert_int_equal(send(fd, request, (size_t)count, MSG_NOSIGNAL), count);
        assert_int_equal(status_of(&stage, fd, 3000, reply, sizeof(reply)), rows[i].status);
        assert_null(strstr(reply + 1, "HTTP/1.1"));
        const int64_t until = ipc_clock_mono_ns() + 2 * LS_NS_PER_S;
        while (got != 0 && ipc_clock_mono_ns() < until) {
            adp_webhook_wait(stage.webhook, LS_NS_PER_MS);
            got = recv(fd, reply, sizeof(reply), MSG_DONTWAIT);
            if (got > 0 || (got < 0 && errno != EAGAIN))
                break;
        }
        if (got > 0)
            fail_msg("row %zu: more than one answer", i);
        if (got < 0)
            assert_int_equal(errno, ECONNRESET);
        close(fd);
        assert_int_equal(
            post(&stage, SECRET_1, order_of("MASTER1", "25052600000002", "99", 0)), 200);
    }
    alarm(0);
    assert_int_equal(take_orders(&stage, events, 16), 2); /* each state is published once */
    stage_close(&stage);
}

/* A full ring: the broker is asked to come again. */
static void a_full_ring_answers_503(void **state)
{
    struct stage stage;
    int turned_back = 0;
    (void)state;
    stage_open(&stage, 16);
    for (int i = 0; i < 80 && turned_back == 0; i++) {
        char id[32];
        snprintf(id, sizeof(id), "250526000001%02d", i);
        turned_back = post(&stage, SECRET_1, order_of("MASTER1", id, "101.5", 0)) == 503;
    }
    assert_true(turned_back);
    stage_close(&stage);
}

/* TLS with files of our own: a broker on another thread, since its handshake blocks. */
struct tls_client {
    uint16_t port;
    const char *ca;
    int most_version;
    char request[2048], reply[1024];
    _Atomic bool is_done;
    bool is_open;
};

static void *run_tls_client(void *context)
{
    struct tls_client *client = context;
    struct sockaddr_in to = {.sin_family = AF_INET,
        .sin_port = htons(client->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_load_verify_locations(tls, client->ca, NULL);
    (void)SSL_CTX_set_max_proto_version(tls, client->most_version);
    SSL *ssl = SSL_new(tls);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)SSL_set1_host(ssl, "localhost");
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 && SSL_set_fd(ssl, fd) == 1 &&
        SSL_connect(ssl) == 1) {
        client->is_open = true;
        (void)SSL_write(ssl, client->request, (int)strlen(client->request));
        (void)SSL_read(ssl, client->reply, sizeof(client->reply) - 1);
    }
    SSL_free(ssl);
    SSL_CTX_free(tls);
    close(fd);
    atomic_store(&client->is_done, true);
    return NULL;
}

static void nothing(struct tls_connection *connection, void *context)
{
    (void)connection;
    (void)context;
}

static void over_tls(void **state)
{
    static const struct {
        int most_version;
        bool is_open;
    } rows[] = {{TLS1_3_VERSION, true}, {TLS1_2_VERSION, true}, {TLS1_1_VERSION, false}};
    struct tls_peer *files = tls_peer_start(nothing, NULL);
    struct stage stage;
    struct ipc_event events[16];
    (void)state;
    stage_open_tls(&stage, 64, files);
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        static struct tls_client client;
        pthread_t thread;
        char id[32];
        snprintf(id, sizeof(id), "2505260000002%zu", i);
        const char *body = order_of("MASTER1", id, "101.5", 0);
        memset(&client, 0, sizeof(client));
        client.port = adp_webhook_port(stage.webhook);
        client.ca = tls_peer_ca(files);
        client.most_version = rows[i].most_version;
        snprintf(client.request, sizeof(client.request),
            "POST /" SECRET_1 " HTTP/1.1\r\nHost: us\r\nContent-Length: %zu\r\n\r\n%s",
            strlen(body), body);
        assert_int_equal(pthread_create(&thread, NULL, run_tls_client, &client), 0);
        const int64_t until = ipc_clock_mono_ns() + 5 * LS_NS_PER_S;
        while (!atomic_load(&client.is_done) && ipc_clock_mono_ns() < until)
            adp_webhook_wait(stage.webhook, 2 * LS_NS_PER_MS);
        pthread_join(thread, NULL);
        assert_int_equal(client.is_open, rows[i].is_open);
        if (rows[i].is_open)
            assert_int_equal(strncmp(client.reply, "HTTP/1.1 200 ", 13), 0);
        assert_int_equal(take_orders(&stage, events, 16), rows[i].is_open);
    }
    stage_close(&stage);
    tls_peer_stop(files);
}

/* Random bytes, and good requests with random damage: an answer or a closed connection, never a
 * stop, and nothing but whole orders in the rings. */
static void random_bytes(void **state)
{
    const uint64_t seed = 20309;
    struct stage stage;
    struct ipc_prng prng;
    struct ipc_event events[64];
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    ipc_prng_seed(&prng, seed);
    stage_open(&stage, 64);
    for (int round = 0; round < 150; round++) {
        char request[2048], reply[1024];
        const char *body = order_of("MASTER1", "25052600000001", "101.5", 0);
        size_t count = (size_t)snprintf(request, sizeof(request),
            "POST /" SECRET_1 " HTTP/1.1\r\nHost: us\r\nContent-Length: %zu\r\n\r\n%s",
            strlen(body), body);
        if (round % 3 == 0) {
            count = 1 + ipc_prng_below(&prng, 600);
            ipc_prng_fill(&prng, request, count);
        }
        for (uint64_t n = ipc_prng_below(&prng, 4) + 1; n > 0; n--)
            request[ipc_prng_below(&prng, count)] = (char)ipc_prng_next(&prng);
        const int fd = connect_from(&stage, "127.0.0.1");
        (void)!send(fd, request, count, MSG_NOSIGNAL);
        (void)shutdown(fd, SHUT_WR);
        const int status = status_of(&stage, fd, 20, reply, sizeof(reply));
        assert_true(status <= 0 || (status >= 200 && status < 600));
        close(fd);
        (void)take_orders(&stage, events, 64); /* checks each event */
    }
    const int64_t until = ipc_clock_mono_ns() + 8 * LS_NS_PER_S;
    struct adp_webhook_counts counts = {.connections = 1};
    while (counts.connections > 0 && ipc_clock_mono_ns() < until) {
        adp_webhook_wait(stage.webhook, 5 * LS_NS_PER_MS);
        adp_webhook_counts(stage.webhook, &counts);
    }
    assert_int_equal(counts.connections, 0);
    assert_int_equal(post(&stage, SECRET_1, order_of("MASTER1", "25052600000077", "1", 0)), 200);
    stage_close(&stage);
}

static void networks(void **state)
{
    static const struct {
        const char *list, *peer;
        bool is_in;
    } rows[] = {
        {"127.0.0.1", "127.0.0.1", true}, {"127.0.0.1", "127.0.0.2", false},
        {"10.0.0.0/8, 192.168.1.0/25", "192.168.1.127", true},
        {"10.0.0.0/8, 192.168.1.0/25", "192.168.1.128", false}, {"0.0.0.0/0", "8.8.8.8", true},
        {"0.0.0.0/0", "2001:db8::1", false}, {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"10.0.0.0/8", "::ffff:10.1.2.3", true}, /* a dual-stack listener's view */
    };
    static const char *const bad[] = {
        "", " , ", "localhost", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8x", "::/129", "1.2.3"};
    struct adp_hook_networks list;
    struct ipc_error error;
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct sockaddr_storage peer = {.ss_family = AF_INET};
        assert_int_equal(adp_hook_networks_parse(rows[i].list, &list, &error), IPC_OK);
        if (inet_pton(AF_INET, rows[i].peer, &((struct sockaddr_in *)&peer)->sin_addr) != 1) {
            peer.ss_family = AF_INET6;
            assert_int_equal(
                inet_pton(AF_INET6, rows[i].peer, &((struct sockaddr_in6 *)&peer)->sin6_addr), 1);
        }
        if (adp_hook_networks_has(&list, &peer) != rows[i].is_in)
            fail_msg("%s in %s", rows[i].peer, rows[i].list);
    }
    for (size_t i = 0; i < LS_COUNT_OF(bad); i++)
        assert_int_equal(adp_hook_networks_parse(bad[i], &list, &error), IPC_BAD_INPUT);
}

/* The file of secrets: who may read it, what stands in it, and that no sentence quotes it. */
static void files_of_paths(void **state)
{
    static const struct {
        const char *text;
        mode_t mode;
        bool is_good;
    } rows[] = {
        {"A " SECRET_1 "\n", 0400, true},
        {"A " SECRET_1, 0400, true},
        {"A@alice " SECRET_1 "\r\nB " SECRET_2 "\r\n", 0400, true},
        {"A " SECRET_1 "\n", 0440, false},
        {"A " SECRET_1 "\n", 0600, false},
        {"A " SECRET_1 "\n", 0404, false},
        {"", 0400, false},
        {"# nothing\n", 0400, false},
        {"A\n", 0400, false},
        {"A short\n", 0400, false},
        {"A " SECRET_1 " B\n", 0400, false},
        {"A aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/a\n", 0400, false},
        {"A " SECRET_1 "\nB " SECRET_1 "\n", 0400, false},
    };
    char directory[] = "/tmp/lockstep-test-XXXXXX", path[64], secret[ADP_HOOK_PATH_MOST + 1];
    struct adp_hook_paths paths;
    struct ipc_error error;
    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/paths", directory);
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        error.text[0] = '\0';
        unlink(path);
        write_file(path, rows[i].text, rows[i].mode);
        const enum ipc_rc rc = adp_hook_paths_load(path, &paths, &error);
        if ((rc == IPC_OK) != rows[i].is_good)
            fail_msg("row %zu: %s", i, error.text);
        assert_null(strstr(error.text, SECRET_1));
        if (rc == IPC_OK) {
            assert_int_equal(adp_hook_paths_find(&paths, SECRET_1, strlen(SECRET_1)), 0);
            assert_int_equal(adp_hook_paths_find(&paths, SECRET_1, strlen(SECRET_1) - 1), -1);
            assert_int_equal(adp_hook_paths_find(&paths, "", 0), -1);
        }
        adp_hook_paths_free(&paths);
    }
    unlink(path);
    write_file(path, "A@alice " SECRET_1 "\nB " SECRET_2 "\n", 0400);
    assert_int_equal(adp_hook_secret_find(path, "B", secret, &error), IPC_OK);
    assert_string_equal(secret, SECRET_2);
    assert_int_equal(adp_hook_secret_find(path, "C", secret, &error), IPC_OK);
    assert_string_equal(secret, "");
    unlink(path);
    assert_int_equal(adp_hook_paths_load(path, &paths, &error), IPC_SYSTEM);
    rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks),
        cmocka_unit_test(files_of_paths),
        cmocka_unit_test(orders_reach_the_rings),
        cmocka_unit_test(answers),
        cmocka_unit_test(strangers_are_closed),
        cmocka_unit_test(one_request_a_connection),
        cmocka_unit_test(a_full_ring_answers_503),
        cmocka_unit_test(over_tls),
        cmocka_unit_test(random_bytes),
        cmocka_unit_test(slow_clients),
    };
    ipc_log_init("test", IPC_LOG_ERROR);
    return cmocka_run_group_tests_name("webhook", tests, NULL, NULL);
}
