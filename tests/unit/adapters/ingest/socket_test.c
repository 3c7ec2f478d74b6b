/* The WebSocket wrapper against a scripted TLS server: what is verified, what is refused, how
 * messages, silences and ends are told. */
#include "adapters/ingest/socket.h"
#include "tests/unit/adapters/ingest/tls_peer.h"

#include "ipc/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
// clang-format off
#include <cmocka.h>
// clang-format on

/* What the callbacks saw. */
struct seen {
    struct adp_sockets *sockets;
    struct adp_socket *socket;
    int opened, ended, beats, messages;
    struct adp_socket_end end;
    char text[200000];
    size_t text_bytes;
    int64_t received_ns;
    bool close_on_message, free_on_message, reconnect_on_end;
    struct adp_socket_target target;
    struct adp_socket_rules rules;
};

static void on_open(struct adp_socket *socket, void *context)
{
    struct seen *seen = context;
    assert_ptr_equal(socket, seen->socket);
    seen->opened++;
    assert_int_equal(adp_socket_send(socket, "hello", 5), IPC_OK);
}

static void on_message(
    struct adp_socket *socket, const struct adp_socket_message *message, void *context)
{
    struct seen *seen = context;
    seen->messages++;
    seen->received_ns = message->received_mono_ns;
    if (message->bytes.count > 0)
        memcpy(seen->text, message->bytes.bytes, message->bytes.count);
    seen->text_bytes = message->bytes.count;
    seen->text[message->bytes.count] = '\0';
    if (seen->close_on_message)
        adp_socket_close(socket);
    if (seen->free_on_message) {
        adp_socket_free(socket);
        seen->socket = NULL;
    }
}

static void on_beat(struct adp_socket *socket, void *context)
{
    struct seen *seen = context;
    seen->beats++;
    assert_int_equal(adp_socket_send(socket, "beat", 4), IPC_OK);
}

static void on_end(struct adp_socket *socket, const struct adp_socket_end *end, void *context)
{
    struct seen *seen = context;
    seen->ended++;
    seen->end = *end;
    assert_true(adp_socket_is_idle(socket));
    if (seen->reconnect_on_end && seen->ended < 3)
        assert_int_equal(adp_socket_connect(socket, &seen->target, &seen->rules, NULL), IPC_OK);
}

static const struct adp_socket_calls calls = {
    .opened = on_open, .message = on_message, .beat = on_beat, .ended = on_end};

static void seen_open(struct seen *seen, const struct tls_peer *peer, const char *path)
{
    struct ipc_error error = {.text = ""};
    memset(seen, 0, sizeof(*seen));
    assert_int_equal(adp_sockets_open(&seen->sockets, &error), IPC_OK);
    seen->socket = adp_socket_new(seen->sockets, &calls, seen);
    snprintf(seen->target.host, sizeof(seen->target.host), "127.0.0.1");
    snprintf(seen->target.authority, sizeof(seen->target.authority), "localhost");
    snprintf(seen->target.path, sizeof(seen->target.path), "%s", path);
    snprintf(seen->target.ca_file, sizeof(seen->target.ca_file), "%s", tls_peer_ca(peer));
    seen->target.port = tls_peer_port(peer);
}

static void seen_connect(struct seen *seen)
{
    struct ipc_error error = {.text = ""};
    if (adp_socket_connect(seen->socket, &seen->target, &seen->rules, &error) != IPC_OK)
        fail_msg("%s", error.text);
}

/* Runs the loop until `*what` reaches `count`, or two seconds passed. */
static void run_until(struct seen *seen, const int *what, int count)
{
    const int64_t until = ipc_clock_mono_ns() + 2 * LS_NS_PER_S;
    while (*what < count && ipc_clock_mono_ns() < until)
        adp_sockets_wait(seen->sockets, 20 * LS_NS_PER_MS);
    if (*what != count)
        fail_msg("%d instead of %d; opened %d, messages %d, beats %d, ended %d (%s, HTTP %u, %s)",
            *what, count, seen->opened, seen->messages, seen->beats, seen->ended,
            adp_socket_end_name(seen->end.kind), seen->end.http_status, seen->end.text);
}

static void run_for(struct seen *seen, int64_t ns)
{
    const int64_t until = ipc_clock_mono_ns() + ns;
    while (ipc_clock_mono_ns() < until)
        adp_sockets_wait(seen->sockets, 5 * LS_NS_PER_MS);
}

/* What the scripted server does with one connection, by the path that was asked for. */
struct script {
    _Atomic int pings, beats, closes;
    char head[4096], last_text[256], client[64];
};

static void close_frame(struct tls_connection *connection, uint16_t code, const char *why)
{
    uint8_t bytes[64] = {(uint8_t)(code >> 8), (uint8_t)code};
    memcpy(bytes + 2, why, strlen(why));
    (void)ws_send(connection, 8, true, bytes, 2 + strlen(why));
}

static void serve(struct tls_connection *connection, void *context)
{
    struct script *script = context;
    char head[4096], text[70000];
    static char large[80000];
    if (tls_read_request(connection, head, sizeof(head)) == 0)
        return;
    memcpy(script->head, head, sizeof(head));
    snprintf(script->client, sizeof(script->client), "%s", tls_client_address(connection));
    if (strstr(head, "GET /html") != NULL) {
        (void)tls_reply(connection, 200, "text/html", "<html>an app</html>");
        return;
    }
    if (strstr(head, "GET /missing") != NULL) {
        (void)tls_reply(connection, 404, "text/plain", "no");
        return;
    }
    if (strstr(head, "GET /moved") != NULL) {
        (void)tls_reply(connection, 302, "text/plain", "");
        return;
    }
    if (strstr(head, "GET /stuck") != NULL) {
        (void)tls_read_request(connection, head, sizeof(head)); /* until it is cut */
        return;
    }
    if (!ws_accept(connection, head))
        return;
    (void)ws_receive(connection, script->last_text, sizeof(script->last_text), 1000);
    if (strstr(head, "GET /cut") != NULL) {
        tls_cut(connection);
        return;
    }
    if (strstr(head, "GET /bye") != NULL) {
        close_frame(connection, 1001, "restart");
        (void)ws_receive(connection, text, sizeof(text), 500);
        return;
    }
    if (strstr(head, "GET /large") != NULL) {
        memset(large, 'x', sizeof(large));
        (void)ws_send(connection, 1, true, large, sizeof(large));
    } else if (strstr(head, "GET /pieces") != NULL) {
        (void)ws_send(connection, 1, false, "one ", 4);
        (void)ws_send(connection, 9, true, "p", 1); /* a ping inside of a message */
        (void)ws_send(connection, 0, false, "two ", 4);
        (void)ws_send(connection, 0, true, "three", 5);
    } else if (strstr(head, "GET /silent") == NULL) {
        (void)ws_send(connection, 1, true, "{\"status\":\"Ok\"}", 15);
    }
    const bool is_mute = strstr(head, "GET /silent") != NULL;
    for (;;) {
        const int opcode = ws_receive(connection, text, sizeof(text), 3000);
        if (opcode < 0)
            return;
        if (opcode == 9) {
            atomic_fetch_add(&script->pings, 1);
            if (!is_mute)
                (void)ws_send(connection, 10, true, text, strlen(text));
        }
        if (opcode == 8) {
            atomic_fetch_add(&script->closes, 1);
            return;
        }
        if (opcode == 1 && strcmp(text, "beat") == 0)
            atomic_fetch_add(&script->beats, 1);
    }
}

static struct script script;

static struct tls_peer *start(void)
{
    memset(&script, 0, sizeof(script));
    return tls_peer_start(serve, &script);
}

static void stop(struct seen *seen, struct tls_peer *peer)
{
    adp_sockets_close(seen->sockets);
    tls_peer_stop(peer);
}

static void opens_and_talks(void **state)
{
    (void)state;
    struct tls_peer *peer = start();
    struct seen seen;
    seen_open(&seen, peer, "/open-api/order-notify/websocket");
    const int64_t before = ipc_clock_mono_ns();
    seen_connect(&seen);
    assert_int_equal(seen.opened, 0); /* only the wait calls back */
    run_until(&seen, &seen.messages, 1);
    assert_string_equal(seen.text, "{\"status\":\"Ok\"}");
    assert_true(seen.received_ns > before && seen.received_ns <= ipc_clock_mono_ns());
    assert_string_equal(script.last_text, "hello");
    assert_non_null(strstr(script.head, "GET /open-api/order-notify/websocket HTTP/1.1"));
    assert_non_null(strcasestr(script.head, "\r\nhost: localhost"));
    assert_null(strcasestr(script.head, "sec-websocket-protocol"));
    assert_null(strcasestr(script.head, "sec-websocket-extensions"));
    adp_socket_close(seen.socket);
    assert_int_equal(seen.ended, 0);
    run_until(&seen, &seen.ended, 1);
    assert_int_equal(seen.end.kind, ADP_SOCKET_END_OURS);
    assert_true(seen.end.was_open);
    run_for(&seen, 50 * LS_NS_PER_MS);
    assert_int_equal(atomic_load(&script.closes), 1); /* a close frame went out */
    stop(&seen, peer);
}

static void resolves_names_and_binds_source(void **state)
{
    (void)state;
    struct tls_peer *peer = start();
    struct seen seen;
    seen_open(&seen, peer, "/feed");
    snprintf(seen.target.host, sizeof(seen.target.host), "localhost");
    seen.target.authority[0] = '\0';
    seen.target.source_family = 4;
    memcpy(seen.target.source_address, (uint8_t[]){127, 0, 0, 7}, 4);
    seen_connect(&seen);
    run_until(&seen, &seen.messages, 1);
    assert_string_equal(script.client, "127.0.0.7");
    stop(&seen, peer);
}

static void address_as_name_of_certificate(void **state)
{
    (void)state;
    struct tls_peer *peer = start();
    struct seen seen;
    seen_open(&seen, peer, "/feed");
    seen.target.authority[0] = '\0'; /* the certificate has IP:127.0.0.1 */
    seen_connect(&seen);
    run_until(&seen, &seen.messages, 1);
    stop(&seen, peer);
}

/* Certificates that must not do. */
static void refuses_bad_certificates(void **state)
{
    (void)state;
    struct tls_peer *peer = start();
    struct seen seen;
    seen_open(&seen, peer, "/feed");
    snprintf(seen.target.authority, sizeof(seen.target.authority), "broker.example");
    seen_connect(&seen);
    run_until(&seen, &seen.ended, 1);
    assert_int_equal(seen.end.kind, ADP_SOCKET_END_UNREACHED);
    snprintf(seen.target.authority, sizeof(seen.target.authority), "localhost");
    snprintf(seen.target.ca_file, sizeof(seen.target.ca_file), "%s", tls_peer_other_ca(peer));
    seen_connect(&seen);
    run_until(&seen, &seen.ended, 2);
    assert_int_equal(seen.end.kind, ADP_SOCKET_END_UNREACHED);
    seen.target.ca_file[0] = '\0'; /* the system's anchors do not have it either */
    seen_connect(&seen);
    run_until(&seen, &seen.ended, 3);
    assert_int_equal(seen.end.kind, ADP_SOCKET_END_UNREACHED);
    assert_int_equal(seen.opened, 0);
    assert_string_equal(script.head, ""); /* no request ever reached the server */
    stop(&seen, peer);
}

static void refuses_bad_targets(void **state)
{
    (void)state;
    struct tls_peer *peer = start();
    struct ipc_error error;
    struct seen seen;
    seen_open(&seen, peer, "/feed");
    snprintf(seen.target.ca_file, sizeof(seen.target.ca_file), "/nowhere/ca.pem");
    assert_int_equal(
        adp_socket_connect(seen.socket, &seen.target, &seen.rules, &error), IPC_BAD_INPUT);
    assert_non_null(strstr(error.text, "/nowhere/ca.pem"));
    seen.target.port = 0;
    assert_int_equal(
        adp_socket_connect(seen.socket, &seen.target, &seen.rules, &error), IPC_BAD_INPUT);
    assert_true(adp_socket_is_idle(seen.socket));
    assert_int_equal(adp_socket_send(seen.socket, "x", 1), IPC_EMPTY);
    stop(&seen, peer);
}

/* HTTP answers that are no upgrade; a redirect is not followed. */
static void refusals_carry_the_status(void **state)
{
    static const struct {
        const char *path;
        uint32_t status;
    } cases[] = {{"/html", 200}, {"/missing", 404}, {"/moved", 302}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_peer *peer = start();
        struct seen seen;
        seen_open(&seen, peer, cases[i].path);
        seen_connect(&seen);
        run_until(&seen, &seen.ended, 1);
        assert_int_equal(seen.end.kind, ADP_SOCKET_END_REFUSED);
        assert_int_equal(seen.end.http_status, cases[i].status);
        assert_false(seen.end.was_open);
        run_for(&seen, 50 * LS_NS_PER_MS);
        assert_int_equal(tls_peer_connections(peer), 1);
        stop(&seen, peer);
    }
}

static void no_server(void **state)
{
    (void)state;
    struct tls_peer *peer = start();
    struct seen seen;
    seen_open(&seen, peer, "/feed");
    seen.target.port = 1; /* nobody listens there */
    seen_connect(&seen);
    run_until(&seen, &seen.ended, 1);
    assert_int_equal(seen.end.kind, ADP_SOCKET_END_UNREACHED);
    snprintf(seen.target.host, sizeof(seen.target.host), "no-such-name.invalid");
    seen_connect(&seen);
    run_until(&seen, &seen.ended, 2);
    assert_int_equal(seen.end.kind, ADP_SOCKET_END_UNREACHED);
    stop(&seen, peer);
}

static void connecting_is_bounded(void **state)
{
    (void)state;
    struct tls_peer *peer = start();
    struct seen seen;
    seen_open(&seen, peer, "/stuck");
    seen.rules.connect_ms = 150;
    seen_connect(&seen);
    run_until(&seen, &seen.ended, 1);
    assert_int_equal(seen.end.kind, ADP_SOCKET_END_TIMEOUT);
    stop(&seen, peer);
}

static void whole_messages(void **state)
{
    (void)state;
    struct tls_peer *peer = start();
    struct seen seen;
    seen_open(&seen, peer, "/pieces");
    seen_connect(&seen);
    run_until(&seen, &seen.messages, 1);
    assert_string_equal(seen.text, "one two three");
    run_for(&seen, 20 * LS_NS_PER_MS);
    assert_int_equal(seen.messages, 1);
    stop(&seen, peer);
}

static void large_messages(void **state)
{
    (void)state;
    struct tls_peer *peer = start();
    struct seen seen;
    seen_open(&seen, peer, "/large");
    seen.rules.message_bytes_max = 80000;
    seen_connect(&seen);
    run_until(&seen, &seen.messages, 1);
    assert_int_equal(seen.text_bytes, 80000);
    adp_socket_close(seen.socket);
    run_until(&seen, &seen.ended, 1);
    seen.rules.message_bytes_max = 79999;
    seen_connect(&seen);
    run_until(&seen, &seen.ended, 2);
    assert_int_equal(seen.end.kind, ADP_SOCKET_END_TOO_LONG);
    assert_int_equal(seen.messages, 1);
    stop(&seen, peer);
}

static void beats_pings_and_silence(void **state)
{
    (void)state;
    struct tls_peer *peer = start();
    struct seen seen;
    seen_open(&seen, peer, "/feed");
    seen.rules = (struct adp_socket_rules){.heartbeat_ms = 40, .ping_ms = 30, .silence_ms = 200};
    seen_connect(&seen);
    run_until(&seen, &seen.beats, 8); /* pongs keep it open beyond the silence */
    assert_int_equal(seen.ended, 0);
    assert_true(atomic_load(&script.pings) >= 5);
    assert_true(atomic_load(&script.beats) >= 6);
    adp_socket_close(seen.socket);
    run_until(&seen, &seen.ended, 1);
    snprintf(seen.target.path, sizeof(seen.target.path), "/silent");
    const int64_t before = ipc_clock_mono_ns();
    seen_connect(&seen);
    run_until(&seen, &seen.ended, 2);
    assert_int_equal(seen.end.kind, ADP_SOCKET_END_SILENT);
    assert_true(ipc_clock_mono_ns() - before >= 200 * LS_NS_PER_MS);
    stop(&seen, peer);
}

static void ends_of_the_peer(void **state)
{
    (void)state;
    struct tls_peer *peer = start();
    struct seen seen;
    seen_open(&seen, peer, "/bye");
    seen_connect(&seen);
    run_until(&seen, &seen.ended, 1);
    assert_int_equal(seen.end.kind, ADP_SOCKET_END_PEER);
    assert_int_equal(seen.end.close_code, 1001);
    assert_string_equal(seen.end.text, "restart");
    assert_true(seen.end.was_open);
    snprintf(seen.target.path, sizeof(seen.target.path), "/cut");
    seen.reconnect_on_end = true; /* a new connection inside of `ended` */
    seen_connect(&seen);
    run_until(&seen, &seen.ended, 3);
    assert_int_equal(seen.end.kind, ADP_SOCKET_END_PEER);
    assert_int_equal(seen.opened, 3);
    stop(&seen, peer);
}

static void calls_back_into_itself(void **state)
{
    (void)state;
    struct tls_peer *peer = start();
    struct seen seen;
    seen_open(&seen, peer, "/feed");
    seen.close_on_message = true;
    seen_connect(&seen);
    run_until(&seen, &seen.ended, 1);
    seen.close_on_message = false;
    seen.free_on_message = true;
    seen_connect(&seen);
    run_until(&seen, &seen.messages, 2);
    run_for(&seen, 50 * LS_NS_PER_MS);
    assert_int_equal(seen.ended, 1); /* nobody is told after a free */
    stop(&seen, peer);
}

static void choked(void **state)
{
    (void)state;
    struct tls_peer *peer = start();
    struct seen seen;
    seen_open(&seen, peer, "/feed");
    seen.rules.send_bytes_max = 16;
    seen_connect(&seen);
    run_until(&seen, &seen.messages, 1);
    assert_int_equal(adp_socket_send(seen.socket, "0123456789", 10), IPC_OK);
    assert_int_equal(adp_socket_send(seen.socket, "0123456789", 10), IPC_FULL);
    run_until(&seen, &seen.ended, 1);
    assert_int_equal(seen.end.kind, ADP_SOCKET_END_CHOKED);
    stop(&seen, peer);
}

/* A descriptor of somebody else ends the wait, and the environment's proxy is not asked. */
static int watched;

static void on_ready(void *context)
{
    char byte;
    watched++;
    assert_int_equal(read(*(int *)context, &byte, 1), 1);
}

static void other_descriptors(void **state)
{
    (void)state;
    struct tls_peer *peer = start();
    struct ipc_error error = {.text = ""};
    struct seen seen;
    int ends[2];
    assert_int_equal(setenv("http_proxy", "127.0.0.1:1", 1), 0);
    seen_open(&seen, peer, "/feed");
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(adp_sockets_watch(seen.sockets, ends[0], on_ready, &ends[0], &error), IPC_OK);
    seen_connect(&seen);
    run_until(&seen, &seen.messages, 1);
    watched = 0;
    assert_int_equal(write(ends[1], "x", 1), 1);
    run_until(&seen, &watched, 1);
    const int64_t before = ipc_clock_mono_ns();
    adp_sockets_wait(seen.sockets, 60 * LS_NS_PER_MS);
    while (ipc_clock_mono_ns() - before < 55 * LS_NS_PER_MS)
        adp_sockets_wait(seen.sockets, 60 * LS_NS_PER_MS - (ipc_clock_mono_ns() - before));
    assert_int_equal(watched, 1);
    assert_true(ipc_clock_mono_ns() - before < 500 * LS_NS_PER_MS);
    close(ends[0]);
    close(ends[1]);
    stop(&seen, peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_and_talks),
        cmocka_unit_test(resolves_names_and_binds_source),
        cmocka_unit_test(address_as_name_of_certificate),
        cmocka_unit_test(refuses_bad_certificates),
        cmocka_unit_test(refuses_bad_targets),
        cmocka_unit_test(refusals_carry_the_status),
        cmocka_unit_test(no_server),
        cmocka_unit_test(connecting_is_bounded),
        cmocka_unit_test(whole_messages),
        cmocka_unit_test(large_messages),
        cmocka_unit_test(beats_pings_and_silence),
        cmocka_unit_test(ends_of_the_peer),
        cmocka_unit_test(calls_back_into_itself),
        cmocka_unit_test(choked),
        cmocka_unit_test(other_descriptors),
    };
    return cmocka_run_group_tests_name("socket", tests, NULL, NULL);
}
