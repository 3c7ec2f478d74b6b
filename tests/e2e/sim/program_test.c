/* The real lockstep-brokersim on free ports, driven by libcurl over verified TLS as a stranger's
 * client would. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>
#include <jansson.h>

#define PROGRAM  LS_BIN_DIR "/lockstep-brokersim"
#define ACCOUNTS 20

struct reply {
    char bytes[1 << 20];
    size_t length;
    long status, version;
    CURLcode rc;
};

struct sim {
    pid_t pid;
    int port, admin_port;
};

static char folder[64], ca_path[128];
static struct sim sim;
static CURL *curl;
static struct reply reply;

/* ---- processes
 * --------------------------------------------------------------------------------------------------
 */

static pid_t start(const char *const *arguments)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int sink = open("/dev/null", O_WRONLY);
        dup2(sink, STDOUT_FILENO);
        execv(PROGRAM, (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    return pid;
}

static int wait_for(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(const char *const *arguments)
{
    return wait_for(start(arguments));
}

static const char *in_folder(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(in_folder(name), "we");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* Starts a simulator with a certificate of the folder and waits for its ports file. */
static struct sim start_sim(const char *certificate, const char *name)
{
    char config[1024], file[64], ports[64];
    snprintf(config, sizeof(config),
        "tls: {certificate: %s/certs/%s.pem, key: %s/certs/%s.key}\n"
        "limits: {orders_per_second: 0, reads_per_15_min: 0}\n",
        folder, certificate, folder, certificate);
    snprintf(file, sizeof(file), "%s.yaml", name);
    snprintf(ports, sizeof(ports), "%s.ports", name);
    write_file(file, config);
    const char *arguments[] = {PROGRAM, "--config", in_folder(file), "--contracts",
        in_folder("contracts"), "--accounts", in_folder("accounts.json"), "--ports-file",
        in_folder(ports), "--quiet", NULL};
    struct sim made = {.pid = start(arguments)};
    for (int i = 0; i < 500; i++) {
        json_t *found = json_load_file(in_folder(ports), 0, NULL);
        if (found != NULL) {
            made.port = (int)json_integer_value(json_object_get(found, "port"));
            made.admin_port = (int)json_integer_value(json_object_get(found, "admin_port"));
            assert_int_equal(json_integer_value(json_object_get(found, "pid")), made.pid);
            json_decref(found);
            return made;
        }
        assert_int_equal(waitpid(made.pid, NULL, WNOHANG), 0);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fail_msg("no ports file after 5 s");
    return made;
}

static int stop_sim(struct sim *one)
{
    kill(one->pid, SIGTERM);
    return wait_for(one->pid);
}

/* ---- HTTP
 * -------------------------------------------------------------------------------------------------------
 */

static size_t take(char *bytes, size_t size, size_t count, void *context)
{
    struct reply *out = context;
    size_t total = size * count;
    if (out->length + total >= sizeof(out->bytes))
        return 0;
    memcpy(out->bytes + out->length, bytes, total);
    out->length += total;
    out->bytes[out->length] = '\0';
    return total;
}

/* Sets a handle up for one broker call; the caller frees the header list after the transfer. */
static struct curl_slist *set_up(CURL *handle, struct reply *out, const struct sim *at,
    const char *token, const char *path, const char *body)
{
    char url[256], header[128];
    snprintf(url, sizeof(url), "https://localhost:%d/open-api/od/v1/%s", at->port, path);
    snprintf(header, sizeof(header), "Authorization: Bearer %s", token);
    struct curl_slist *headers = curl_slist_append(NULL, header);
    out->length = 0;
    out->bytes[0] = '\0';
    curl_easy_setopt(handle, CURLOPT_URL, url);
    curl_easy_setopt(handle, CURLOPT_CAINFO, ca_path);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, out);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, 3000L);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    if (body == NULL)
        curl_easy_setopt(handle, CURLOPT_HTTPGET, 1L);
    else
        curl_easy_setopt(handle, CURLOPT_COPYPOSTFIELDS, body);
    return headers;
}

/* One broker call on the common handle; options set before by the caller stay until
 * curl_easy_reset. */
static struct reply *call(const char *token, const char *path, const char *body)
{
    struct curl_slist *headers = set_up(curl, &reply, &sim, token, path, body);
    reply.rc = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
    curl_easy_getinfo(curl, CURLINFO_HTTP_VERSION, &reply.version);
    curl_slist_free_all(headers);
    return &reply;
}

static json_t *admin(const char *path, const char *body)
{
    static struct reply out;
    char url[256];
    CURL *handle = curl_easy_init();
    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", sim.admin_port, path);
    out.length = 0;
    out.bytes[0] = '\0';
    curl_easy_setopt(handle, CURLOPT_URL, url);
    curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &out);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, 5000L);
    if (body != NULL)
        curl_easy_setopt(handle, CURLOPT_COPYPOSTFIELDS, body);
    CURLcode rc = curl_easy_perform(handle);
    curl_easy_cleanup(handle);
    if (rc != CURLE_OK)
        fail_msg("%s: %s", path, curl_easy_strerror(rc));
    json_t *parsed = json_loadb(out.bytes, out.length, JSON_REJECT_DUPLICATES, NULL);
    if (parsed == NULL)
        fail_msg("%s answered %s", path, out.bytes);
    return parsed;
}

static const char *order_body(const char *tag, const char *price)
{
    static char body[512];
    snprintf(body, sizeof(body),
        "[{\"exchange\":\"NSE\",\"instrumentId\":\"2885\",\"transactionType\":\"BUY\",\"quantity\":"
        "10,"
        "\"product\":\"INTRADAY\",\"orderComplexity\":\"REGULAR\",\"orderType\":\"LIMIT\","
        "\"validity\":\"DAY\","
        "\"price\":\"%s\",\"slTriggerPrice\":\"\",\"orderTag\":\"%s\"}]",
        price, tag);
    return body;
}

/* How often the book holds a tag, accepted or refused; the last row's texts go where asked. */
static int in_book(const char *tag, char *status, char *address, char *id)
{
    char path[128];
    snprintf(path, sizeof(path), "/sim/orders?tag=%s", tag);
    json_t *list = admin(path, NULL);
    json_t *rows = json_object_get(list, "orders");
    int count = (int)json_array_size(rows);
    const json_t *row = json_array_get(rows, (size_t)(count > 0 ? count - 1 : 0));
    if (count > 0 && status != NULL)
        snprintf(status, 32, "%s", json_string_value(json_object_get(row, "status")));
    if (count > 0 && address != NULL)
        snprintf(address, 64, "%s", json_string_value(json_object_get(row, "address")));
    if (count > 0 && id != NULL)
        snprintf(id, 32, "%s", json_string_value(json_object_get(row, "broker_order_id")));
    json_decref(list);
    return count;
}

static void set_fault(const char *match, const char *action)
{
    char body[512];
    snprintf(body, sizeof(body), "{\"rules\":[{\"match\":{%s},\"action\":{%s}}]}", match, action);
    json_t *answer = admin("/sim/faults", body);
    if (json_object_get(answer, "error") != NULL)
        fail_msg("%s: %s", body, json_string_value(json_object_get(answer, "error")));
    json_decref(answer);
}

static void clear_faults(void)
{
    json_decref(admin("/sim/faults", "{\"rules\":[]}"));
}

/* ---- tests
 * ------------------------------------------------------------------------------------------------------
 */

static void an_order_lives_over_both_tls_versions(void **state)
{
    static const long versions[] = {CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_2,
        CURL_SSLVERSION_TLSv1_3 | CURL_SSLVERSION_MAX_TLSv1_3};
    (void)state;
    for (int i = 0; i < 2; i++) {
        char tag[16], status[32], id[32], body[256];
        curl_easy_reset(curl);
        curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
        curl_easy_setopt(curl, CURLOPT_SSLVERSION, versions[i]);
        snprintf(tag, sizeof(tag), "LIFE%d", i);
        assert_int_equal(
            call("token-0", "orders/placeorder", order_body(tag, "1000"))->status, 200);
        assert_int_equal(reply.version, CURL_HTTP_VERSION_2_0);
        assert_int_equal(in_book(tag, status, NULL, id), 1);
        assert_string_equal(status, "OPEN");
        assert_non_null(strstr(reply.bytes, id));
        snprintf(body, sizeof(body),
            "{\"brokerOrderId\":\"%s\",\"quantity\":20,\"orderType\":\"LIMIT\",\"price\":\"1001\","
            "\"validity\":\"DAY\"}",
            id);
        assert_non_null(strstr(call("token-0", "orders/modify", body)->bytes, "\"Ok\""));
        assert_non_null(strstr(call("token-0", "orders/book", NULL)->bytes, "\"quantity\":20"));
        snprintf(body, sizeof(body), "{\"broker_order_id\":\"%s\",\"quantity\":5}", id);
        json_decref(admin("/sim/fill", body));
        snprintf(body, sizeof(body), "{\"brokerOrderId\":\"%s\"}", id);
        assert_non_null(strstr(call("token-0", "orders/cancel", body)->bytes, "\"Ok\""));
        assert_int_equal(in_book(tag, status, NULL, NULL), 1);
        assert_string_equal(status, "CANCELLED");
        assert_non_null(strstr(call("token-0", "orders/trades", NULL)->bytes, tag));
    }
}

static void older_clients_speak_http_1_1(void **state)
{
    (void)state;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            call("token-1", "orders/placeorder", order_body("OLD", "1000"))->rc, CURLE_OK);
        assert_int_equal(reply.version, CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 0L);
    }
    assert_int_equal(
        in_book("OLD", NULL, NULL, NULL), 3); /* equal tags are the client's business */
    json_t *stats = admin("/sim/stats", NULL);
    assert_int_equal(json_integer_value(json_object_get(stats, "duplicate_tags")), 1);
    json_decref(stats);
}

static void source_addresses_are_recorded_and_checked(void **state)
{
    static const char *const addresses[] = {"127.0.0.7", "127.0.0.200", "::1"};
    char address[64], tag[16];
    (void)state;
    for (int i = 0; i < 3; i++) {
        curl_easy_reset(curl);
        curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
        curl_easy_setopt(
            curl, CURLOPT_IPRESOLVE, (long)(i == 2 ? CURL_IPRESOLVE_V6 : CURL_IPRESOLVE_V4));
        curl_easy_setopt(curl, CURLOPT_INTERFACE, addresses[i]);
        snprintf(tag, sizeof(tag), "FROM%d", i);
        call("token-2", "orders/placeorder", order_body(tag, "1000"));
        if (i == 2 && reply.rc == CURLE_COULDNT_CONNECT) {
            print_message("no IPv6 here\n");
            continue;
        }
        assert_int_equal(reply.status, 200);
        assert_int_equal(in_book(tag, NULL, address, NULL), 1);
        assert_string_equal(address, addresses[i]);
    }
    /* 127.0.0.50 is registered to account A19 alone, which may use no other. */
    char status[32];
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(curl, CURLOPT_IPRESOLVE, (long)CURL_IPRESOLVE_V4);
    assert_non_null(
        strstr(call("token-19", "orders/placeorder", order_body("MINE0", "1000"))->bytes,
            "IP restriction"));
    assert_int_equal(
        call("token-19", "orders/book", NULL)->status, 200); /* reads may come from anywhere */
    curl_easy_setopt(curl, CURLOPT_INTERFACE, "127.0.0.50");
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
    assert_null(strstr(call("token-19", "orders/placeorder", order_body("MINE1", "1000"))->bytes,
        "IP restriction"));
    assert_non_null(strstr(call("token-2", "orders/placeorder", order_body("MINE2", "1000"))->bytes,
        "IP restriction"));
    assert_int_equal(in_book("MINE2", status, NULL, NULL), 1);
    assert_string_equal(status, "REFUSED");
}

static void faults_do_what_they_say(void **state)
{
    static const struct {
        const char *action;
        CURLcode rc;
        long status;
        bool accepted;
    } rows[] = {
        {"\"kind\":\"delay\",\"delay_ms\":50", CURLE_OK, 200, true},
        {"\"kind\":\"late_accept\",\"delay_ms\":50,\"answer\":true", CURLE_OK, 200, true},
        {"\"kind\":\"drop_reply\"", CURLE_OPERATION_TIMEDOUT, 0, true},
        {"\"kind\":\"drop_reply\",\"accept\":false", CURLE_OPERATION_TIMEDOUT, 0, false},
        {"\"kind\":\"reset\"", CURLE_RECV_ERROR, 0, true},
        {"\"kind\":\"reset\",\"accept\":false", CURLE_RECV_ERROR, 0, false},
        {"\"kind\":\"reply\",\"status\":429", CURLE_OK, 429, false},
        {"\"kind\":\"reply\",\"status\":502,\"body\":\"html\",\"accept\":true", CURLE_OK, 502,
            true},
        {"\"kind\":\"reply\",\"status\":200,\"body\":\"garbage\",\"accept\":true", CURLE_OK, 200,
            true},
        {"\"kind\":\"reply\",\"status\":307,\"location\":\"https://elsewhere.example/\"", CURLE_OK,
            307, false},
        {"\"kind\":\"rst_stream\",\"code\":\"CANCEL\"", CURLE_HTTP2_STREAM, 0, true},
        {"\"kind\":\"goaway\",\"last_stream\":\"before\",\"close_after_ms\":0", CURLE_HTTP2, 0,
            false},
        {"\"kind\":\"drip\",\"bytes\":30,\"every_ms\":5", CURLE_OK, 200, true},
        {"\"kind\":\"settings\",\"header_table_size\":0,\"initial_window_size\":100,\"max_"
         "concurrent_streams\":1",
            CURLE_OK, 200, true},
        {"\"kind\":\"token_expired\"", CURLE_OK, 401, false},
        {"\"kind\":\"freeze\",\"restore_after_ms\":50", CURLE_OK, 200, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char tag[16], status[32];
        curl_easy_reset(curl);
        curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
        set_fault("\"account\":\"A3\",\"path\":\"placeorder\",\"times\":1", rows[i].action);
        snprintf(tag, sizeof(tag), "FAULT%zu", i);
        curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
        struct curl_slist *headers =
            set_up(curl, &reply, &sim, "token-3", "orders/placeorder", order_body(tag, "1000"));
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 400L);
        CURLcode rc = curl_easy_perform(curl);
        curl_slist_free_all(headers);
        reply.status = 0;
        if (rc == CURLE_OK)
            curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
        bool ended_alike = rc == rows[i].rc || (rows[i].rc == CURLE_HTTP2 && rc != CURLE_OK);
        if (!ended_alike || reply.status != rows[i].status)
            fail_msg("%s: %s, status %ld", rows[i].action, curl_easy_strerror(rc), reply.status);
        assert_int_equal(in_book(tag, status, NULL, NULL), 1);
        if ((strcmp(status, "OPEN") == 0) != rows[i].accepted)
            fail_msg("%s: the book says %s", rows[i].action, status);
        /* The next request of the same client is answered. */
        clear_faults();
        assert_int_equal(call("token-3", "orders/book", NULL)->status, 200);
    }
}

static void a_late_order_comes_after_the_client_left(void **state)
{
    (void)state;
    set_fault("\"account\":\"A4\"", "\"kind\":\"late_accept\",\"delay_ms\":300");
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
    struct curl_slist *headers =
        set_up(curl, &reply, &sim, "token-4", "orders/placeorder", order_body("LATE", "1000"));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 100L);
    assert_int_equal(curl_easy_perform(curl), CURLE_OPERATION_TIMEDOUT);
    curl_slist_free_all(headers);
    clear_faults();
    int found = 0;
    assert_int_equal(in_book("LATE", NULL, NULL, NULL), 0);
    for (int i = 0; i < 100 && found == 0; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        found = in_book("LATE", NULL, NULL, NULL);
    }
    assert_int_equal(found, 1);
}

static void expired_tokens_are_renewed(void **state)
{
    (void)state;
    curl_easy_reset(curl);
    json_decref(admin("/sim/token", "{\"account\":\"A5\",\"expired\":true}"));
    assert_int_equal(call("token-5", "orders/book", NULL)->status, 401);
    assert_non_null(strstr(reply.bytes, "EC087"));
    json_decref(admin("/sim/token", "{\"account\":\"A5\",\"token\":\"token-5-new\"}"));
    assert_int_equal(call("token-5", "orders/book", NULL)->status, 401);
    assert_int_equal(call("token-5-new", "orders/book", NULL)->status, 200);
}

static void a_burst_is_taken_whole(void **state)
{
    enum { ORDERS = 500, CONNECTIONS = 8 };
    static CURL *handles[ORDERS];
    static struct curl_slist *headers[ORDERS];
    struct reply *replies = calloc(ORDERS, sizeof(*replies));
    CURLM *multi = curl_multi_init();
    int running = 1, answered = 0;
    (void)state;
    assert_non_null(replies);
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)CONNECTIONS);
    for (int i = 0; i < ORDERS; i++) {
        char tag[16], token[16];
        snprintf(tag, sizeof(tag), "BURST%d", i);
        snprintf(token, sizeof(token), "token-%d", 6 + i % 12);
        handles[i] = curl_easy_init();
        headers[i] = set_up(
            handles[i], &replies[i], &sim, token, "orders/placeorder", order_body(tag, "1000"));
        curl_easy_setopt(handles[i], CURLOPT_TIMEOUT_MS, 20000L);
        curl_multi_add_handle(multi, handles[i]);
    }
    while (running > 0) {
        assert_int_equal(curl_multi_perform(multi, &running), CURLM_OK);
        curl_multi_poll(multi, NULL, 0, 100, NULL);
    }
    for (int i = 0; i < ORDERS; i++) {
        answered += strstr(replies[i].bytes, "brokerOrderId") != NULL;
        curl_multi_remove_handle(multi, handles[i]);
        curl_easy_cleanup(handles[i]);
        curl_slist_free_all(headers[i]);
    }
    curl_multi_cleanup(multi);
    free(replies);
    assert_int_equal(answered, ORDERS);
    json_t *list = admin("/sim/orders", NULL);
    size_t index;
    json_t *row;
    int found = 0;
    json_array_foreach(json_object_get(list, "orders"), index, row)
    {
        found += strncmp(json_string_value(json_object_get(row, "tag")), "BURST", 5) == 0;
    }
    assert_int_equal(found, ORDERS);
    json_decref(list);
}

static void bad_certificates_are_bad(void **state)
{
    static const char *const names[] = {"expired", "wrong-host", "unknown-ca"};
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct sim bad = start_sim(names[i], names[i]);
        CURL *handle = curl_easy_init();
        struct curl_slist *headers =
            set_up(handle, &reply, &bad, "token-0", "orders/placeorder", order_body("BAD", "1000"));
        assert_int_equal(curl_easy_perform(handle), CURLE_PEER_FAILED_VERIFICATION);
        curl_slist_free_all(headers);
        curl_easy_cleanup(handle);
        assert_int_equal(stop_sim(&bad), 0);
    }
    struct sim rsa = start_sim("server-rsa", "rsa");
    CURL *handle = curl_easy_init();
    struct curl_slist *headers = set_up(handle, &reply, &rsa, "token-0", "orders/book", NULL);
    assert_int_equal(curl_easy_perform(handle), CURLE_OK);
    curl_slist_free_all(headers);
    curl_easy_cleanup(handle);
    assert_int_equal(stop_sim(&rsa), 0);
}

/* Sends bytes to the admin port and returns the status of the answer, 0 for none. */
static int raw(const char *bytes, size_t count)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)sim.admin_port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 2};
    char answer[512] = "";
    int status = 0, fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    for (size_t sent = 0; sent < count;) {
        ssize_t wrote = send(fd, bytes + sent, count - sent, MSG_NOSIGNAL);
        if (wrote <= 0)
            break;
        sent += (size_t)wrote;
    }
    if (recv(fd, answer, sizeof(answer) - 1, 0) > 0)
        sscanf(answer, "HTTP/1.1 %d", &status);
    close(fd);
    return status;
}

static void the_admin_port_is_strict(void **state)
{
    static const struct {
        const char *request;
        int status;
    } rows[] = {
        {"GET /sim/accounts HTTP/1.1\r\n\r\n", 200},
        {"nonsense\r\n\r\n", 400},
        {"GET /sim/accounts HTTP/3\r\n\r\n", 505},
        {"POST /sim/price HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", 501},
        {"POST /sim/price HTTP/1.1\r\ncontent-length: x\r\n\r\n", 400},
        {"POST /sim/price HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}", 400},
        {"POST /sim/price HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n", 400},
        {"POST /sim/price HTTP/1.1\r\ncontent-length: 1\r\n\r\n{", 400},
        {"POST /sim/price HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}", 400},
        {"DELETE /sim/price HTTP/1.1\r\n\r\n", 405},
        {"GET /sim HTTP/1.1\r\n\r\n", 404},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int status = raw(rows[i].request, strlen(rows[i].request));
        if (status != rows[i].status)
            fail_msg("%s answered %d", rows[i].request, status);
    }
    static char endless[70000];
    memset(endless, 'a', sizeof(endless));
    assert_int_equal(raw(endless, 40000), 431);
    raw(endless, sizeof(endless));
    assert_int_equal(raw(rows[0].request, strlen(rows[0].request)), 200);
}

static void wrong_starts_say_why(void **state)
{
    const char *check[] = {PROGRAM, "--config", in_folder("main.yaml"), "--contracts",
        in_folder("contracts"), "--accounts", in_folder("accounts.json"), "--check", NULL};
    const char *version[] = {PROGRAM, "--version", NULL}, *help[] = {PROGRAM, "--help", NULL};
    const char *unknown[] = {PROGRAM, "--nonsense", NULL}, *nothing[] = {PROGRAM, "--quiet", NULL};
    (void)state;
    assert_int_equal(run(check), 0);
    assert_int_equal(run(version), 0);
    assert_int_equal(run(help), 0);
    assert_int_equal(run(unknown), 2);
    assert_int_equal(run(nothing), 1);
    check[2] = in_folder("wrong.yaml");
    write_file("wrong.yaml", "seed: 1\nlatency: {mean: 3}\n");
    assert_int_equal(run(check), 1);
    check[2] = in_folder("main.yaml");
    check[6] = in_folder("wrong.json");
    write_file("wrong.json", "[{\"account\":\"A\",\"tokn\":\"x\"}]");
    assert_int_equal(run(check), 1);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/brokersim-test.XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    curl = curl_easy_init();
    const char *certs[] = {PROGRAM, "--quiet", "--make-certs", in_folder("certs"), NULL};
    const char *contracts[] = {
        PROGRAM, "--quiet", "--write-contracts", in_folder("contracts"), NULL};
    if (run(certs) != 0 || run(contracts) != 0)
        return -1;
    snprintf(ca_path, sizeof(ca_path), "%s/certs/ca.pem", folder);
    char accounts[4096] = "[", row[160];
    for (int i = 0; i < ACCOUNTS; i++) {
        snprintf(row, sizeof(row),
            "%s{\"account\":\"A%d\",\"token\":\"token-%d\",\"funds\":10000000%s}",
            i == 0 ? "" : ",", i, i, i == 19 ? ",\"addresses\":[\"127.0.0.50\"]" : "");
        strcat(accounts, row);
    }
    strcat(accounts, "]");
    write_file("accounts.json", accounts);
    sim = start_sim("server", "main");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    int status = stop_sim(&sim);
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return status;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order_lives_over_both_tls_versions),
        cmocka_unit_test(older_clients_speak_http_1_1),
        cmocka_unit_test(source_addresses_are_recorded_and_checked),
        cmocka_unit_test(faults_do_what_they_say),
        cmocka_unit_test(a_late_order_comes_after_the_client_left),
        cmocka_unit_test(expired_tokens_are_renewed),
        cmocka_unit_test(a_burst_is_taken_whole),
        cmocka_unit_test(bad_certificates_are_bad),
        cmocka_unit_test(the_admin_port_is_strict),
        cmocka_unit_test(wrong_starts_say_why),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
