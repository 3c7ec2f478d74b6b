/* engine/net/h1: tables of requests and replies, hostile ones too, whole and cut at every byte;
 * then random replies and random damage against the rule that where bytes are cut makes no
 * difference. LS_SEED=n replays one random case. */
#include "engine/net/h1.h"
#include "ipc/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CHUNKS 40u
#define PLAIN  8192u

/* All that happened, as text: "reply 200 late [body]; loss RESET; " */
struct seen {
    char text[70000];
    size_t used;
};

static void say(struct seen *seen, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    seen->used += (size_t)vsnprintf(
        seen->text + seen->used, sizeof seen->text - seen->used, format, arguments);
    va_end(arguments);
    assert_true(seen->used < sizeof seen->text);
}

static void on_reply(const struct eng_h2_reply *reply, void *context)
{
    assert_int_equal(reply->child, 7);
    assert_int_equal(reply->request_no, 8);
    assert_int_equal(reply->account, 9);
    say(context, "reply %u%s [%.*s]; ", reply->http_status, reply->late ? " late" : "",
        (int)reply->body.count, (const char *)reply->body.bytes);
}

static void on_loss(const struct eng_h2_loss *loss, void *context)
{
    assert_int_equal(loss->child, 7);
    const char *why = loss->evidence == IPC_EVIDENCE_NO_BYTES   ? "NO_BYTES"
                      : loss->evidence == IPC_EVIDENCE_TIMEOUT  ? "TIMEOUT"
                      : loss->evidence == IPC_EVIDENCE_PROTOCOL ? "PROTOCOL"
                      : loss->evidence == IPC_EVIDENCE_RESET    ? "RESET"
                                                                : "?";
    say(context, "loss %s; ", why);
}

struct world {
    struct eng_h1 *h1;
    struct eng_h2_bodies bodies;
    struct eng_h2_sink sink;
    struct seen seen;
};

static void *h1_memory, *bodies_memory;

static void begin(struct world *world)
{
    if (h1_memory == NULL) {
        h1_memory = aligned_alloc(64, ls_align_up(eng_h1_footprint(PLAIN), 64));
        bodies_memory = aligned_alloc(64, ls_align_up(eng_h2_bodies_footprint(CHUNKS), 64));
        assert_true(h1_memory != NULL && bodies_memory != NULL);
    }
    memset(world, 0, sizeof *world);
    eng_h2_bodies_init(&world->bodies, bodies_memory, CHUNKS);
    world->h1 = eng_h1_init(h1_memory, PLAIN, &world->bodies);
    world->sink = (struct eng_h2_sink){.reply = on_reply, .loss = on_loss, .context = &world->seen};
}

static enum eng_h2_admission ask(struct world *world, const char *body)
{
    static const char line[] = "POST /order HTTP/1.1\r\nhost: b\r\n",
                      auth[] = "authorization: t\r\n";
    const struct eng_h2_part parts[] = {
        {(const uint8_t *)line, sizeof line - 1, 0}, {(const uint8_t *)auth, sizeof auth - 1, 0}};
    const struct eng_h2_request request = {.parts = parts,
        .part_count = 2,
        .body = (const uint8_t *)body,
        .body_bytes = (uint32_t)strlen(body),
        .child = 7,
        .request_no = 8,
        .account = 9,
        .reply_by_mono_ns = 2000,
        .leave_by_mono_ns = 1000};
    return eng_h1_request(world->h1, &request, NULL);
}

static void leave(struct world *world)
{
    eng_h1_output_taken(world->h1, eng_h1_output(world->h1).count);
}

/* Feeds bytes in pieces of `cut`, then the end: "closed" by TLS or torn. */
static void feed(struct world *world, const char *bytes, size_t count, size_t cut)
{
    while (count != 0) {
        const size_t take = count < cut ? count : cut;
        if (!eng_h1_receive(world->h1, (const uint8_t *)bytes, take, &world->sink)) {
            eng_h1_end(world->h1, IPC_EVIDENCE_PROTOCOL, eng_h1_sealed(world->h1), &world->sink);
            say(&world->seen, "[%s]", eng_h1_error_text(world->h1));
            return;
        }
        bytes += take;
        count -= take;
    }
}

/* ---- requests ---------------------------------------------------------------------------------
 */

static void requests_are_whole_and_alone(void **state)
{
    (void)state;
    struct world world;
    begin(&world);
    assert_int_equal(ask(&world, "{\"q\":1}"), ENG_H2_ADMITTED);
    static const char wanted[] = "POST /order HTTP/1.1\r\nhost: b\r\nauthorization: t\r\n"
                                 "content-length: 7\r\n\r\n{\"q\":1}";
    struct adp_span out = eng_h1_output(world.h1);
    assert_int_equal(out.count, sizeof wanted - 1);
    assert_memory_equal(out.bytes, wanted, out.count);
    assert_int_equal(ask(&world, "{}"), ENG_H2_NO_STREAM);
    eng_h1_output_taken(world.h1, 10);
    assert_int_equal(ask(&world, "{}"), ENG_H2_NO_STREAM);
    leave(&world);
    assert_int_equal(ask(&world, "{}"), ENG_H2_NO_STREAM); /* never pipelined */
    feed(&world, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", 40, 40);
    assert_int_equal(ask(&world, ""), ENG_H2_ADMITTED);
    out = eng_h1_output(world.h1);
    assert_memory_equal(out.bytes + out.count - 5, "t\r\n\r\n", 5);
    assert_int_equal(eng_h1_requests(world.h1), 2);
    assert_int_equal(eng_h1_replies(world.h1), 1);
    leave(&world);
    feed(&world, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 38, 3);
    static char long_body[ENG_H2_BODY_MAX + 2];
    memset(long_body, 'x', ENG_H2_BODY_MAX + 1);
    assert_int_equal(ask(&world, long_body), ENG_H2_TOO_LARGE);
    long_body[PLAIN] = '\0'; /* not even into the arena */
    assert_int_equal(ask(&world, long_body), ENG_H2_TOO_LARGE);
    assert_int_equal(eng_h1_can_send(world.h1, ENG_H1_HEAD_MAX + 1, 0), ENG_H2_TOO_LARGE);
    assert_int_equal(eng_h1_can_send(world.h1, 100, 100), ENG_H2_ADMITTED);
    eng_h1_end(world.h1, IPC_EVIDENCE_RESET, eng_h1_sealed(world.h1), &world.sink);
    assert_int_equal(ask(&world, "{}"), ENG_H2_SHUT);
    assert_string_equal(world.seen.text, "reply 200 [hi]; reply 200 []; ");
}

static void what_was_not_sealed_never_leaves(void **state)
{
    (void)state;
    struct world world;
    begin(&world);
    /* Too old before a byte of it was sealed: withdrawn, and the connection goes on. */
    assert_int_equal(ask(&world, "{}"), ENG_H2_ADMITTED);
    eng_h1_expire(world.h1, 999, &world.sink);
    eng_h1_expire(world.h1, 1000, &world.sink);
    assert_int_equal(eng_h1_output(world.h1).count, 0);
    assert_int_equal(eng_h1_sealed(world.h1), 0);
    assert_int_equal(ask(&world, "{}"), ENG_H2_ADMITTED);
    /* The connection ends before a byte was handed over, or after some were. */
    eng_h1_end(world.h1, IPC_EVIDENCE_RESET, 0, &world.sink);
    assert_int_equal(eng_h1_output(world.h1).count, 0);
    begin(&world);
    assert_int_equal(ask(&world, "{}"), ENG_H2_ADMITTED);
    eng_h1_output_taken(world.h1, 1);
    eng_h1_expire(world.h1, 1500, &world.sink);
    assert_true(eng_h1_has_stale(world.h1, 1500));
    eng_h1_end(world.h1, IPC_EVIDENCE_RESET, 1, &world.sink);
    assert_string_equal(world.seen.text, "loss RESET; ");
    begin(&world);
    assert_int_equal(ask(&world, "{}"), ENG_H2_ADMITTED);
    eng_h1_expire(world.h1, 1000, &world.sink);
    assert_int_equal(ask(&world, "{}"), ENG_H2_ADMITTED);
    eng_h1_end(world.h1, IPC_EVIDENCE_RESET, 0, &world.sink);
    assert_string_equal(world.seen.text, "loss NO_BYTES; loss NO_BYTES; ");
}

static void late_replies_are_told(void **state)
{
    (void)state;
    struct world world;
    begin(&world);
    assert_int_equal(ask(&world, "{}"), ENG_H2_ADMITTED);
    leave(&world);
    eng_h1_expire(world.h1, 1999, &world.sink);
    eng_h1_expire(world.h1, 2000, &world.sink);
    eng_h1_expire(world.h1, 5000, &world.sink);
    assert_true(eng_h1_overdue(world.h1));
    assert_int_equal(ask(&world, "{}"), ENG_H2_NO_STREAM); /* its reply would be the other's */
    feed(&world, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx", 39, 5);
    assert_false(eng_h1_overdue(world.h1));
    assert_int_equal(ask(&world, "{}"), ENG_H2_ADMITTED);
    leave(&world);
    eng_h1_expire(world.h1, 2000, &world.sink);
    eng_h1_end(world.h1, IPC_EVIDENCE_RESET, eng_h1_sealed(world.h1), &world.sink);
    assert_string_equal(world.seen.text, "loss TIMEOUT; reply 200 late [x]; loss TIMEOUT; ");
    assert_int_equal(world.bodies.free_count, CHUNKS);
}

/* ---- replies ----------------------------------------------------------------------------------
 */

#define OK_LINE "HTTP/1.1 200 OK\r\n"

static const struct {
    const char *bytes;
    const char *says; /* what the sink heard and the error in brackets */
    char after;       /* 'k' kept, 'd' draining, 'e' ended by us, 'w' waits for more */
} rows[] = {
    /* lengths */
    {OK_LINE "content-length: 4\r\n\r\nabcd", "reply 200 [abcd]; ", 'k'},
    {OK_LINE "Content-Length:4\r\n\r\nabcd", "reply 200 [abcd]; ", 'k'},
    {OK_LINE "CONTENT-LENGTH: \t 4 \t\r\n\r\nabcd", "reply 200 [abcd]; ", 'k'},
    {OK_LINE "content-length: 0004\r\n\r\nabcd", "reply 200 [abcd]; ", 'k'},
    {OK_LINE "content-length: 0\r\n\r\n", "reply 200 []; ", 'k'},
    {OK_LINE "content-length: 5\r\n\r\nabcd", "", 'w'},
    {OK_LINE "server: nginx\r\ndate: now\r\nx-empty:\r\ncontent-length: 1\r\n\r\nz",
        "reply 200 [z]; ", 'k'},
    {"HTTP/1.1 200\r\ncontent-length: 1\r\n\r\nz", "reply 200 [z]; ", 'k'},
    {"HTTP/1.1 200 \r\ncontent-length: 1\r\n\r\nz", "reply 200 [z]; ", 'k'},
    {"HTTP/1.1 502 Bad\tGateway \xe4\r\ncontent-length: 1\r\n\r\nz", "reply 502 [z]; ", 'k'},
    {"HTTP/1.1 999 x\r\ncontent-length: 1\r\n\r\nz", "reply 999 [z]; ", 'k'},
    {"HTTP/1.1 204 No Content\r\n\r\n", "reply 204 []; ", 'k'},
    {"HTTP/1.1 304 Not Modified\r\ncontent-length: 77\r\n\r\n", "reply 304 []; ", 'k'},
    /* chunks */
    {OK_LINE "transfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", "reply 200 [abcd]; ", 'k'},
    {OK_LINE "Transfer-Encoding: Chunked\r\n\r\n2;x=y\r\nab\r\n2 ;\r\ncd\r\n0\r\n\r\n",
        "loss PROTOCOL; [a chunk size that is no number]", 'e'},
    {OK_LINE
        "transfer-encoding: chunked\r\n\r\n2;x=\"y;\"\r\nab\r\n0A\r\n0123456789\r\n000\r\n\r\n",
        "reply 200 [ab0123456789]; ", 'k'},
    {OK_LINE
        "transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-sum: 5\r\ncontent-length: 9\r\n\r\n",
        "reply 200 [a]; ", 'k'},
    {OK_LINE "transfer-encoding: chunked\r\n\r\n0\r\n\r\n", "reply 200 []; ", 'k'},
    {OK_LINE "transfer-encoding: chunked\r\n\r\n3\r\nab", "", 'w'},
    {OK_LINE "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", "", 'w'},
    {OK_LINE "transfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        "loss PROTOCOL; [a line that does not end with CR LF]", 'e'},
    {OK_LINE "transfer-encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
        "loss PROTOCOL; [a chunk size that is no number]", 'e'},
    {OK_LINE "transfer-encoding: chunked\r\n\r\n\r\n",
        "loss PROTOCOL; [a chunk size that is no number]", 'e'},
    {OK_LINE "transfer-encoding: chunked\r\n\r\n-1\r\n",
        "loss PROTOCOL; [a chunk size that is no number]", 'e'},
    {OK_LINE "transfer-encoding: chunked\r\n\r\n0x1\r\n",
        "loss PROTOCOL; [a chunk size that is no number]", 'e'},
    {OK_LINE "transfer-encoding: chunked\r\n\r\n000000001\r\n",
        "loss PROTOCOL; [a chunk size of more than eight digits]", 'e'},
    {OK_LINE "transfer-encoding: chunked\r\n\r\nffffffff\r\n",
        "loss PROTOCOL; [a reply body above 64 KiB]", 'e'},
    {OK_LINE "transfer-encoding: chunked\r\n\r\n1;\x01\r\n",
        "loss PROTOCOL; [a chunk extension with a control character]", 'e'},
    {OK_LINE "transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n x: y\r\n\r\n",
        "loss PROTOCOL; [a folded field]", 'e'},
    /* who ends */
    {OK_LINE "connection: close\r\ncontent-length: 1\r\n\r\nz", "reply 200 [z]; ", 'd'},
    {OK_LINE "Connection: x, Close ,y\r\ncontent-length: 1\r\n\r\nz", "reply 200 [z]; ", 'd'},
    {OK_LINE "connection: closed\r\ncontent-length: 1\r\n\r\nz", "reply 200 [z]; ", 'k'},
    {"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nz", "reply 200 [z]; ", 'd'},
    {"HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 1\r\n\r\nz", "reply 200 [z]; ",
        'k'},
    {OK_LINE "\r\n{\"a\":1}", "", 'w'}, /* until the end: see the_end_of_a_body */
    /* interim replies */
    {"HTTP/1.1 100 Continue\r\n\r\n" OK_LINE "content-length: 1\r\n\r\nz", "reply 200 [z]; ", 'k'},
    {"HTTP/1.1 103 Early\r\nlink: <x>\r\n\r\nHTTP/1.1 100\r\n\r\n" OK_LINE
     "content-length: 1\r\n\r\nz",
        "reply 200 [z]; ", 'k'},
    {"HTTP/1.1 101 Switching\r\n\r\n", "loss PROTOCOL; [101, which was not asked for]", 'e'},
    {"HTTP/1.1 100 C\r\ncontent-length: 1\r\n\r\n", "loss PROTOCOL; [an interim reply with a body]",
        'e'},
    /* what two readers could understand differently */
    {OK_LINE "content-length: 1\r\ncontent-length: 1\r\n\r\nz",
        "loss PROTOCOL; [a second Content-Length]", 'e'},
    {OK_LINE "content-length: 1\r\ncontent-length: 2\r\n\r\nzz",
        "loss PROTOCOL; [a second Content-Length]", 'e'},
    {OK_LINE "content-length: 1, 1\r\n\r\nz", "loss PROTOCOL; [a Content-Length that is no number]",
        'e'},
    {OK_LINE "content-length: +1\r\n\r\nz", "loss PROTOCOL; [a Content-Length that is no number]",
        'e'},
    {OK_LINE "content-length: -1\r\n\r\nz", "loss PROTOCOL; [a Content-Length that is no number]",
        'e'},
    {OK_LINE "content-length: 0x1\r\n\r\nz", "loss PROTOCOL; [a Content-Length that is no number]",
        'e'},
    {OK_LINE "content-length:\r\n\r\nz", "loss PROTOCOL; [a Content-Length that is no number]",
        'e'},
    {OK_LINE "content-length: 1234567890\r\n\r\nz",
        "loss PROTOCOL; [a Content-Length that is no number]", 'e'},
    {OK_LINE "content-length: 65537\r\n\r\nz", "loss PROTOCOL; [a reply body above 64 KiB]", 'e'},
    {OK_LINE "content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n",
        "loss PROTOCOL; [Content-Length and Transfer-Encoding together]", 'e'},
    {OK_LINE "transfer-encoding: gzip, chunked\r\n\r\n",
        "loss PROTOCOL; [a Transfer-Encoding other than chunked]", 'e'},
    {OK_LINE "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
        "loss PROTOCOL; [a Transfer-Encoding other than chunked]", 'e'},
    {OK_LINE "transfer-encoding: identity\r\n\r\n",
        "loss PROTOCOL; [a Transfer-Encoding other than chunked]", 'e'},
    {"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "loss PROTOCOL; [Transfer-Encoding in HTTP/1.0]", 'e'},
    {OK_LINE "content-length : 1\r\n\r\nz",
        "loss PROTOCOL; [a field name with a character that may not stand there]", 'e'},
    {OK_LINE ": 1\r\n\r\n",
        "loss PROTOCOL; [a field name with a character that may not stand there]", 'e'},
    {OK_LINE "no colon\r\n\r\n",
        "loss PROTOCOL; [a field name with a character that may not stand there]", 'e'},
    {OK_LINE "a: b\r\n c\r\n\r\n", "loss PROTOCOL; [a folded field]", 'e'},
    {OK_LINE " a: b\r\n\r\n", "loss PROTOCOL; [a folded field]", 'e'},
    {OK_LINE "a: b\n\r\n", "loss PROTOCOL; [a field value with a control character]", 'e'},
    {OK_LINE "a: b\rc: d\r\n\r\n", "loss PROTOCOL; [a line that does not end with CR LF]", 'e'},
    {OK_LINE "a: \x7f\r\n\r\n", "loss PROTOCOL; [a field value with a control character]", 'e'},
    {"HTTP/1.1 200 OK\ncontent-length: 1\n\nz",
        "loss PROTOCOL; [a reason with a control character]", 'e'},
    {"HTTP/1.1 200\ncontent-length: 1\n\nz", "loss PROTOCOL; [a status that is not three digits]",
        'e'},
    {OK_LINE "content-length: 1\r\n\nz",
        "loss PROTOCOL; [a field name with a character that may not stand there]", 'e'},
    {OK_LINE "content-length: 1\r\n\rz", "loss PROTOCOL; [a line that does not end with CR LF]",
        'e'},
    /* no reply at all */
    {"\r\n" OK_LINE, "loss PROTOCOL; [no HTTP/1.1 reply]", 'e'},
    {"HTTP/2 200\r\n", "loss PROTOCOL; [no HTTP/1.1 reply]", 'e'},
    {"http/1.1 200 OK\r\n", "loss PROTOCOL; [no HTTP/1.1 reply]", 'e'},
    {"HTTP/1.2 200 OK\r\n", "loss PROTOCOL; [a version other than HTTP/1.0 and 1.1]", 'e'},
    {"HTTP/1.12 200 OK\r\n", "loss PROTOCOL; [a status that is not three digits]", 'e'},
    {"HTTP/1.1  200 OK\r\n", "loss PROTOCOL; [a status that is not three digits]", 'e'},
    {"HTTP/1.1 20 OK\r\n", "loss PROTOCOL; [a status that is not three digits]", 'e'},
    {"HTTP/1.1 2000 OK\r\n", "loss PROTOCOL; [a status that is not three digits]", 'e'},
    {"HTTP/1.1 099 OK\r\n", "loss PROTOCOL; [a status that is not three digits]", 'e'},
    {"<html>sorry</html>", "loss PROTOCOL; [no HTTP/1.1 reply]", 'e'},
    {"\x15\x03\x01", "loss PROTOCOL; [no HTTP/1.1 reply]", 'e'},
    /* more than one reply to one request: the first counts, the connection is over */
    {OK_LINE "content-length: 1\r\n\r\nz" OK_LINE, "reply 200 [z]; [bytes without a request]", 'e'},
    {OK_LINE "content-length: 1\r\n\r\nz\r\n", "reply 200 [z]; [bytes without a request]", 'e'},
};

static void replies_whole_and_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        const size_t count = strlen(rows[i].bytes);
        for (size_t cut = 1; cut <= count; cut = cut < 7 ? cut + 1 : cut * 2) {
            struct world world;
            begin(&world);
            assert_int_equal(ask(&world, "{}"), ENG_H2_ADMITTED);
            leave(&world);
            feed(&world, rows[i].bytes, count, cut);
            if (strcmp(world.seen.text, rows[i].says) != 0)
                fail_msg("row %zu cut by %zu: \"%s\", wanted \"%s\"", i, cut, world.seen.text,
                    rows[i].says);
            const bool waits = eng_h1_in_flight(world.h1);
            const char after = eng_h1_can_send(world.h1, 10, 10) == ENG_H2_ADMITTED ? 'k'
                               : waits                                              ? 'w'
                               : eng_h1_error_text(world.h1)[0] != '\0'             ? 'e'
                                                                                    : 'd';
            if (after != rows[i].after)
                fail_msg("row %zu cut by %zu: afterwards '%c', wanted '%c'", i, cut, after,
                    rows[i].after);
            eng_h1_end(world.h1, IPC_EVIDENCE_RESET, eng_h1_sealed(world.h1), &world.sink);
            if (waits)
                assert_string_equal(world.seen.text, "loss RESET; ");
            assert_int_equal(world.bodies.free_count, CHUNKS);
        }
    }
}

/* A body that ends with the connection: whole when TLS says that this is the end, else unknown. */
static void the_end_of_a_body(void **state)
{
    (void)state;
    static const char bytes[] = OK_LINE "content-type: application/json\r\n\r\n{\"status\":\"Ok\"}";
    for (int is_closed = 0; is_closed < 2; is_closed++) {
        struct world world;
        begin(&world);
        assert_int_equal(ask(&world, "{}"), ENG_H2_ADMITTED);
        leave(&world);
        feed(&world, bytes, sizeof bytes - 1, 9);
        assert_true(eng_h1_draining(world.h1));
        assert_int_equal(ask(&world, "{}"), ENG_H2_SHUT);
        if (is_closed)
            eng_h1_closed(world.h1, &world.sink);
        eng_h1_end(world.h1, IPC_EVIDENCE_RESET, eng_h1_sealed(world.h1), &world.sink);
        assert_string_equal(
            world.seen.text, is_closed ? "reply 200 [{\"status\":\"Ok\"}]; " : "loss RESET; ");
        assert_int_equal(world.bodies.free_count, CHUNKS);
    }
    /* close_notify in the middle of a body with a length is a loss all the same. */
    struct world world;
    begin(&world);
    assert_int_equal(ask(&world, "{}"), ENG_H2_ADMITTED);
    leave(&world);
    feed(&world, OK_LINE "content-length: 9\r\n\r\nabc", 41, 41);
    eng_h1_closed(world.h1, &world.sink);
    eng_h1_end(world.h1, IPC_EVIDENCE_RESET, eng_h1_sealed(world.h1), &world.sink);
    assert_string_equal(world.seen.text, "loss RESET; ");
}

static void odd_moments(void **state)
{
    (void)state;
    struct world world;
    /* An idle connection that speaks is over; nobody loses anything. */
    begin(&world);
    feed(&world, "HTTP/1.0 408 Request Timeout\r\n\r\n", 32, 32);
    assert_string_equal(world.seen.text, "[bytes without a request]");
    /* A reply to a request of which not a byte, or not all, has left. */
    for (size_t sealed = 0; sealed < 2; sealed++) {
        begin(&world);
        assert_int_equal(ask(&world, "{}"), ENG_H2_ADMITTED);
        eng_h1_output_taken(world.h1, sealed);
        assert_false(eng_h1_receive(world.h1, (const uint8_t *)"HTTP", 4, &world.sink));
        assert_int_equal(eng_h1_output(world.h1).count, 0);
        eng_h1_end(world.h1, IPC_EVIDENCE_PROTOCOL, sealed, &world.sink);
        assert_string_equal(world.seen.text, sealed == 0 ? "loss NO_BYTES; " : "loss PROTOCOL; ");
    }
}

/* Bounds: a peer that never ends. */
static void floods_end(void **state)
{
    (void)state;
    static const struct {
        const char *start, *again, *says;
    } floods[] = {
        {"", "HTTP/1.1 100 C\r\n\r\n", "loss PROTOCOL; [interim replies without end]"},
        {OK_LINE, "x-name: value\r\n", "loss PROTOCOL; [a reply's head above 32 KiB]"},
        {OK_LINE "a: ", "b", "loss PROTOCOL; [a reply's head above 32 KiB]"},
        {OK_LINE, "a", "loss PROTOCOL; [a reply's head above 32 KiB]"},
        {"HTTP/1.1 200 ", "a", "loss PROTOCOL; [a reply's head above 32 KiB]"},
        {OK_LINE "transfer-encoding: chunked\r\n\r\n", "1;aaaaaaa\r\nb\r\n",
            "loss PROTOCOL; [a reply's head above 32 KiB]"},
        {OK_LINE "transfer-encoding: chunked\r\n\r\n1;", "a",
            "loss PROTOCOL; [a reply's head above 32 KiB]"},
        {OK_LINE "transfer-encoding: chunked\r\n\r\n0\r\n", "x-trailer: y\r\n",
            "loss PROTOCOL; [a reply's head above 32 KiB]"},
        {OK_LINE "\r\n", "abcdefghijklmnop", "loss PROTOCOL; [a reply body above 64 KiB]"},
        {OK_LINE "transfer-encoding: chunked\r\n\r\n",
            "40\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n",
            "loss PROTOCOL; [a reply body above 64 KiB]"},
    };
    for (size_t i = 0; i < LS_COUNT_OF(floods); i++) {
        struct world world;
        begin(&world);
        assert_int_equal(ask(&world, "{}"), ENG_H2_ADMITTED);
        leave(&world);
        feed(&world, floods[i].start, strlen(floods[i].start), 1000);
        for (uint32_t n = 0; n < 70000 && eng_h1_in_flight(world.h1); n++)
            feed(&world, floods[i].again, strlen(floods[i].again), 1000);
        if (strcmp(world.seen.text, floods[i].says) != 0)
            fail_msg("flood %zu: \"%s\"", i, world.seen.text);
        assert_int_equal(world.bodies.free_count, CHUNKS);
    }
    /* The largest body that is taken; and one more byte than there is memory for pieces. */
    static char largest[80 + ENG_H2_REPLY_BODY_MAX];
    int head = snprintf(largest, 80, OK_LINE "content-length: %u\r\n\r\n", ENG_H2_REPLY_BODY_MAX);
    memset(largest + head, 'x', ENG_H2_REPLY_BODY_MAX);
    for (uint32_t spare = 0; spare < 2; spare++) {
        struct world world;
        begin(&world);
        if (spare == 0)
            world.bodies.free_first = ENG_H2_NO_CHUNK; /* others have it all */
        assert_int_equal(ask(&world, "{}"), ENG_H2_ADMITTED);
        leave(&world);
        feed(&world, largest, (size_t)head + ENG_H2_REPLY_BODY_MAX, 4096);
        assert_non_null(strstr(
            world.seen.text, spare == 0 ? "loss PROTOCOL; [no memory for the pieces of a reply]"
                                        : "reply 200 [xxx"));
    }
}

static void hints_are_taken(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        uint32_t left, idle_s;
    } hints[] = {
        {"keep-alive: timeout=5, max=99\r\n", 99, 5},
        {"Keep-Alive: max=0,TIMEOUT=15\r\n", 0, 15},
        {"keep-alive: timeout=\r\n", UINT32_MAX, UINT32_MAX},
        {"keep-alive: timeout=x, max=-1\r\n", UINT32_MAX, UINT32_MAX},
        {"", UINT32_MAX, UINT32_MAX},
    };
    for (size_t i = 0; i < LS_COUNT_OF(hints); i++) {
        struct world world;
        char bytes[200];
        begin(&world);
        assert_int_equal(ask(&world, "{}"), ENG_H2_ADMITTED);
        leave(&world);
        const int count =
            snprintf(bytes, sizeof bytes, OK_LINE "%scontent-length: 0\r\n\r\n", hints[i].field);
        feed(&world, bytes, (size_t)count, 11);
        assert_int_equal(eng_h1_peer_requests_left(world.h1), hints[i].left);
        assert_int_equal(eng_h1_peer_idle_s(world.h1), hints[i].idle_s);
    }
}

/* ---- random -----------------------------------------------------------------------------------
 */

static size_t put(char *out, size_t at, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    at += (size_t)vsnprintf(out + at, 40000 - at, format, arguments);
    va_end(arguments);
    return at;
}

/* A legal reply and what it means, by a writer that knows nothing of the reader. */
static size_t write_reply(struct ipc_prng *prng, char *out, char *wanted)
{
    static const char *const more[] = {"Server: x\r\n", "x-a:\t\r\n", "Date: Sat, 21 Nov 2026\r\n",
        "Keep-Alive: timeout=5\r\n", "set-cookie: a=\"b;c\"\r\n", "Connection: keep-alive\r\n"};
    static const unsigned statuses[] = {200, 201, 400, 401, 429, 500, 503};
    size_t at = 0;
    for (uint64_t n = ipc_prng_below(prng, 3); n > 0; n--)
        at = put(out, at, "HTTP/1.1 10%u Wait\r\n%s\r\n", ipc_prng_chance(prng, 1, 2) ? 0 : 2,
            ipc_prng_chance(prng, 1, 2) ? more[0] : "");
    const unsigned status = statuses[ipc_prng_below(prng, LS_COUNT_OF(statuses))];
    at = put(out, at, "HTTP/1.1 %u Reason\r\n", status);
    for (uint64_t n = ipc_prng_below(prng, 6); n > 0; n--)
        at = put(out, at, "%s", more[ipc_prng_below(prng, LS_COUNT_OF(more))]);
    size_t body_bytes = (size_t)ipc_prng_below(prng, ipc_prng_chance(prng, 1, 8) ? 9000 : 60);
    static char body[9000];
    for (size_t i = 0; i < body_bytes; i++)
        body[i] = (char)('!' + (int)ipc_prng_below(prng, 90));
    if (ipc_prng_chance(prng, 1, 2)) {
        at = put(out, at, "Content-Length: %zu\r\n\r\n", body_bytes);
        memcpy(out + at, body, body_bytes);
        at += body_bytes;
    } else {
        at = put(out, at, "Transfer-Encoding: chunked\r\n\r\n");
        for (size_t done = 0; done < body_bytes;) {
            size_t take = 1 + (size_t)ipc_prng_below(prng, body_bytes - done);
            at = put(out, at, ipc_prng_chance(prng, 1, 2) ? "%zx" : "%zX", take);
            at = put(out, at, "%s\r\n", ipc_prng_chance(prng, 1, 4) ? ";name=\"a, b\"" : "");
            memcpy(out + at, body + done, take);
            at = put(out, at + take, "\r\n");
            done += take;
        }
        at = put(out, at, "0\r\n%s\r\n", ipc_prng_chance(prng, 1, 4) ? "x-sum: 1\r\n" : "");
    }
    (void)snprintf(wanted, 10000, "reply %u [%.*s]; ", status, (int)body_bytes, body);
    return at;
}

/* Random cuts, from the same generator. */
static void feed_cut(struct world *world, struct ipc_prng *prng, const char *bytes, size_t count)
{
    const uint64_t most = 1 + ipc_prng_below(prng, ipc_prng_chance(prng, 1, 3) ? 4 : 600);
    while (count != 0 && eng_h1_error_text(world->h1)[0] == '\0') {
        size_t take = 1 + (size_t)ipc_prng_below(prng, most);
        take = take < count ? take : count;
        feed(world, bytes, take, take);
        bytes += take;
        count -= take;
    }
}

static void random_case(uint64_t seed)
{
    static char bytes[3 * 40000], wanted[3 * 10000];
    struct ipc_prng prng;
    ipc_prng_seed(&prng, seed);
    const uint32_t replies = 1 + (uint32_t)ipc_prng_below(&prng, 3);
    struct world world;
    begin(&world);
    size_t wanted_bytes = 0;
    for (uint32_t n = 0; n < replies; n++) {
        const size_t count = write_reply(&prng, bytes, wanted + wanted_bytes);
        wanted_bytes += strlen(wanted + wanted_bytes);
        assert_int_equal(ask(&world, "{}"), ENG_H2_ADMITTED);
        leave(&world);
        feed_cut(&world, &prng, bytes, count);
        if (strcmp(world.seen.text, wanted) != 0)
            fail_msg("LS_SEED=%llu: \"%.300s\", wanted \"%.300s\"", (unsigned long long)seed,
                world.seen.text, wanted);
    }
    assert_int_equal(world.bodies.free_count, CHUNKS);

    /* The last reply, damaged: whatever it means now, it means it however it is cut. */
    const size_t count = write_reply(&prng, bytes, wanted);
    for (uint64_t n = 1 + ipc_prng_below(&prng, 3); n > 0; n--) {
        static const char evil[] = "\r\n :;,0Z\t\0\x80-";
        bytes[ipc_prng_below(&prng, count)] = evil[ipc_prng_below(&prng, sizeof evil - 1)];
    }
    static struct seen whole;
    for (uint32_t n = 0; n < 3; n++) {
        begin(&world);
        assert_int_equal(ask(&world, "{}"), ENG_H2_ADMITTED);
        leave(&world);
        if (n == 0)
            feed(&world, bytes, count, count);
        else
            feed_cut(&world, &prng, bytes, count);
        eng_h1_end(world.h1, IPC_EVIDENCE_RESET, eng_h1_sealed(world.h1), &world.sink);
        if (n == 0)
            whole = world.seen;
        else if (strcmp(whole.text, world.seen.text) != 0)
            fail_msg("LS_SEED=%llu: whole \"%.300s\", cut \"%.300s\"", (unsigned long long)seed,
                whole.text, world.seen.text);
        assert_int_equal(world.bodies.free_count, CHUNKS);
    }
}

static void where_bytes_are_cut_makes_no_difference(void **state)
{
    (void)state;
    const char *text = getenv("LS_SEED");
    if (text != NULL) {
        random_case(strtoull(text, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= 4000; seed++)
        random_case(seed);
    print_message("seeds 1 to 4000\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_whole_and_alone),
        cmocka_unit_test(what_was_not_sealed_never_leaves),
        cmocka_unit_test(late_replies_are_told),
        cmocka_unit_test(replies_whole_and_cut),
        cmocka_unit_test(the_end_of_a_body),
        cmocka_unit_test(odd_moments),
        cmocka_unit_test(floods_end),
        cmocka_unit_test(hints_are_taken),
        cmocka_unit_test(where_bytes_are_cut_makes_no_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
