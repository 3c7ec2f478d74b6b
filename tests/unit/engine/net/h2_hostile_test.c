/* h2_hostile_test.c: what a broken or hostile server may send, frame by frame: the connection is
 * dropped within its limits, each request gets its evidence, and memory comes back. */
#include "engine/net/h2.h"
#include "engine/net/hpack.h"
#include "tests/unit/engine/net/net_frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CHUNKS 64u

struct seen {
    uint32_t replies, losses, last_status, last_error;
    enum ipc_evidence last_evidence;
    uint32_t body_bytes;
    uint8_t body[70000];
};

static void on_reply(const struct eng_h2_reply *reply, void *context)
{
    struct seen *seen = context;
    seen->replies++;
    seen->last_status = reply->http_status;
    seen->body_bytes = (uint32_t)reply->body.count;
    if (reply->body.count != 0)
        memcpy(seen->body, reply->body.bytes, reply->body.count);
}

static void on_loss(const struct eng_h2_loss *loss, void *context)
{
    struct seen *seen = context;
    seen->losses++;
    seen->last_evidence = loss->evidence;
    seen->last_error = loss->h2_error;
}

struct machine {
    struct eng_h2 *h2;
    struct eng_h2_bodies bodies;
    void *h2_memory, *bodies_memory;
    struct seen seen;
    struct eng_h2_sink sink;
    int64_t now;
};

static bool feed(struct machine *machine, const struct frames *frames)
{
    return eng_h2_receive(machine->h2, frames->bytes, frames->count, machine->now, &machine->sink);
}

static void take_output(struct machine *machine)
{
    eng_h2_output_taken(machine->h2, eng_h2_output(machine->h2).count);
}

/* A machine that is ready, its greeting sent. */
static struct machine *machine_open(uint32_t chunks)
{
    struct machine *machine = calloc(1, sizeof *machine);
    machine->now = LS_NS_PER_S;
    machine->sink =
        (struct eng_h2_sink){.reply = on_reply, .loss = on_loss, .context = &machine->seen};
    machine->bodies_memory = aligned_alloc(64, ls_align_up(eng_h2_bodies_footprint(chunks), 64));
    eng_h2_bodies_init(&machine->bodies, machine->bodies_memory, chunks);
    const struct eng_h2_limits limits = {.plain_bytes = 20480, .stream_slots = 16};
    machine->h2_memory = aligned_alloc(64, ls_align_up(eng_h2_footprint(&limits), 64));
    machine->h2 = eng_h2_init(machine->h2_memory, &limits, &machine->bodies);
    struct frames *frames = frames_new();
    frame(frames, 4, 0, 0, NULL, 0);
    assert_true(feed(machine, frames));
    assert_false(eng_h2_ready(machine->h2));
    const struct adp_span out = eng_h2_output(machine->h2);
    frames_clear(frames);
    frame(frames, 6, 1, 0, out.bytes + out.count - 8, 8); /* its PING is last */
    take_output(machine);
    assert_true(feed(machine, frames));
    assert_true(eng_h2_ready(machine->h2));
    free(frames);
    return machine;
}

static void machine_close(struct machine *machine)
{
    eng_h2_end(machine->h2, IPC_EVIDENCE_RESET, eng_h2_sealed(machine->h2), &machine->sink);
    assert_int_equal(eng_h2_open_streams(machine->h2), 0);
    assert_int_equal(machine->bodies.free_count, machine->bodies.chunk_count);
    eng_h2_free(machine->h2);
    free(machine->h2_memory);
    free(machine->bodies_memory);
    free(machine);
}

static enum eng_h2_admission order_until(
    struct machine *machine, uint32_t child, int64_t reply_by, int64_t leave_by)
{
    uint8_t bytes[256];
    struct eng_hpack block;
    eng_hpack_begin(&block, bytes, sizeof bytes);
    assert_int_equal(eng_hpack_add_text(&block, ":method", "POST"), IPC_OK);
    assert_int_equal(eng_hpack_add_text(&block, ":scheme", "https"), IPC_OK);
    assert_int_equal(eng_hpack_add_text(&block, ":path", "/o"), IPC_OK);
    assert_int_equal(eng_hpack_add_text(&block, ":authority", "b"), IPC_OK);
    const struct eng_h2_part part = {block.bytes, block.count, block.list_bytes};
    const struct eng_h2_request request = {.parts = &part,
        .part_count = 1,
        .body = (const uint8_t *)"{\"qty\":1}",
        .body_bytes = 9,
        .child = child,
        .request_no = 1,
        .account = 1,
        .reply_by_mono_ns = reply_by,
        .leave_by_mono_ns = leave_by};
    return eng_h2_request(machine->h2, &request, NULL);
}

static void order(struct machine *machine, uint32_t child)
{
    assert_int_equal(order_until(machine, child, INT64_MAX, INT64_MAX), ENG_H2_ADMITTED);
}

/* One request, stream 1, is on its way. Then the frames come. */
enum verdict { GOES_ON, ANSWERED, LOST, DROPPED };

static const struct {
    const char *name;
    const char *frames; /* net_frames.h */
    enum verdict verdict;
    uint32_t code; /* DROPPED: our error; LOST: the loss's error */
    enum ipc_evidence evidence;
} rows[] = {
    /* replies */
    {"reply in one", "H 1 e:200 D 1 s:ok", ANSWERED, 200, 0},
    {"reply by headers alone", "H 1 es:204", ANSWERED, 204, 0},
    {"interim first", "H 1 e:100 H 1 e:103 H 1 e:200 D 1 s:ok", ANSWERED, 200, 0},
    {"trailers", "H 1 e:200 D 1 -:ok T 1 es", ANSWERED, 200, 0},
    {"length agrees", "L 1 e:2 D 1 s:ok", ANSWERED, 200, 0},
    {"length too long", "L 1 e:3 D 1 s:ok", LOST, 1, IPC_EVIDENCE_PROTOCOL},
    {"length too short", "L 1 e:1 D 1 s:ok", LOST, 1, IPC_EVIDENCE_PROTOCOL},
    {"length without body", "L 1 es:1", LOST, 1, IPC_EVIDENCE_PROTOCOL},
    {"body before headers", "D 1 -:ok", LOST, 1, IPC_EVIDENCE_PROTOCOL},
    {"body instead of headers", "D 1 s:ok", LOST, 1, IPC_EVIDENCE_PROTOCOL},
    {"interim that ends the stream", "H 1 es:100", LOST, 1, IPC_EVIDENCE_PROTOCOL},
    {"switching protocols", "H 1 e:101", LOST, 1, IPC_EVIDENCE_PROTOCOL},
    {"status of two digits", "X 1 e:07:status0220", LOST, 1, IPC_EVIDENCE_PROTOCOL},
    {"status missing", "T 1 es", LOST, 1, IPC_EVIDENCE_PROTOCOL},
    {"status twice", "X 1 e:07:status0320007:status03200", LOST, 1, IPC_EVIDENCE_PROTOCOL},
    {"request field in a reply", "X 1 e:07:method03GET", LOST, 1, IPC_EVIDENCE_PROTOCOL},
    {"status after a field", "X 1 e:01a01b07:status03200", LOST, 1, IPC_EVIDENCE_PROTOCOL},
    {"trailers that do not end", "H 1 e:200 T 1 e", LOST, 1, IPC_EVIDENCE_PROTOCOL},
    {"second final reply", "H 1 e:200 H 1 e:200", LOST, 1, IPC_EVIDENCE_PROTOCOL},
    {"a reply twice", "H 1 es:200 H 1 es:200", ANSWERED, 200, 0},
    {"reset before the reply", "R 1 8", LOST, 8, IPC_EVIDENCE_RST_STREAM},
    {"refused", "R 1 7", LOST, 7, IPC_EVIDENCE_RST_STREAM},
    {"reset amid the reply", "H 1 e:200 R 1 2", LOST, 2, IPC_EVIDENCE_RST_STREAM},
    {"NO_ERROR before the reply", "H 1 e:200 R 1 0", LOST, 0, IPC_EVIDENCE_RST_STREAM},
    {"NO_ERROR after the reply", "H 1 e:200 D 1 s:ok R 1 0", ANSWERED, 200, 0},
    {"going away below us", "G 0 0", LOST, 0, IPC_EVIDENCE_GOAWAY},
    {"going away, calm", "G 0 11", LOST, 11, IPC_EVIDENCE_GOAWAY},
    {"going away below what it answered", "H 1 e:200 G 0 0", LOST, 0, IPC_EVIDENCE_PROTOCOL},
    {"going away above us, then the reply", "G 1 0 H 1 es:200", ANSWERED, 200, 0},
    {"going away, raised", "G 1 0 G 7 0 H 1 es:200", ANSWERED, 200, 0},
    {"going away, lowered", "G 1 0 G 0 0", LOST, 0, IPC_EVIDENCE_GOAWAY},
    /* what a peer may do */
    {"a table all the same, as h2o keeps one", "F 1 5 1 \210\100\001x\001y\276", ANSWERED, 200, 0},
    {"the table of RFC 7541", "F 1 5 1 \077\341\037\210", ANSWERED, 200, 0},
    {"unknown frame", "F 77 0 1 abc", GOES_ON, 0, 0},
    {"priority", "F 2 0 1 abcde", GOES_ON, 0, 0},
    {"window of our stream", "W 1 5", GOES_ON, 0, 0},
    {"window of the connection", "W 0 5", GOES_ON, 0, 0},
    {"ping answered", "F 6 0 0 abcdefgh", GOES_ON, 0, 0},
    {"foreign ping ack", "F 6 1 0 abcdefgh", GOES_ON, 0, 0},
    {"settings unknown", "S 99 5", GOES_ON, 0, 0},
    /* what ends a connection */
    {"headers on an idle stream", "H 3 e:200", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"headers on its own stream", "H 2 e:200", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"headers on stream 0", "H 0 e:200", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"data on an idle stream", "D 3 s:x", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"data on stream 0", "D 0 s:x", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"push promise", "F 5 4 1 abcdef", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"continuation alone", "F 9 4 1 a", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"block interrupted", "H 1 -:200 F 6 0 0 abcdefgh", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"block interrupted by another", "H 1 -:200 F 9 4 3 a", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"reset of an idle stream", "R 9 1", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"reset of stream 0", "R 0 1", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"reset too short", "F 3 0 1 abc", DROPPED, 6, IPC_EVIDENCE_PROTOCOL},
    {"ping too short", "F 6 0 0 abc", DROPPED, 6, IPC_EVIDENCE_PROTOCOL},
    {"ping on a stream", "F 6 0 1 abcdefgh", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"settings on a stream", "F 4 0 1 abcdef", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"settings of 5 bytes", "F 4 0 0 abcde", DROPPED, 6, IPC_EVIDENCE_PROTOCOL},
    {"settings ack with payload", "F 4 1 0 abcdef", DROPPED, 6, IPC_EVIDENCE_PROTOCOL},
    {"settings enable push", "S 2 1", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"settings window too large", "S 4 2147483648", DROPPED, 3, IPC_EVIDENCE_PROTOCOL},
    {"settings frame size too small", "S 5 16383", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"settings frame size too large", "S 5 16777216", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"goaway too short", "F 7 0 0 abcd", DROPPED, 6, IPC_EVIDENCE_PROTOCOL},
    {"goaway on a stream", "F 7 0 1 abcdefgh", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"window of 0", "W 0 0", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"window overflow", "W 0 2147483647", DROPPED, 3, IPC_EVIDENCE_PROTOCOL},
    {"window too short", "F 8 0 0 abc", DROPPED, 6, IPC_EVIDENCE_PROTOCOL},
    {"window of an idle stream", "W 5 1", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"padding longer than the frame", "F 0 8 1 \377ab", DROPPED, 1, IPC_EVIDENCE_PROTOCOL},
    {"padded without a length", "F 0 8 1 ", DROPPED, 6, IPC_EVIDENCE_PROTOCOL},
    {"headers too short for priority", "F 1 36 1 abc", DROPPED, 6, IPC_EVIDENCE_PROTOCOL},
    {"block that is no HPACK", "F 1 4 1 \377\377\377\377\377\377", DROPPED, 9,
        IPC_EVIDENCE_PROTOCOL},
    {"index into an empty table", "F 1 4 1 \276", DROPPED, 9, IPC_EVIDENCE_PROTOCOL},
    {"table raised above the first one", "F 1 4 1 \077\342\037\210", DROPPED, 9,
        IPC_EVIDENCE_PROTOCOL},
};

static void each_frame_has_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        /* Whole, and byte by byte. */
        for (int cut = 0; cut < 2; cut++) {
            struct machine *machine = machine_open(CHUNKS);
            order(machine, 5);
            take_output(machine);
            struct frames *frames = frames_new();
            frames_parse(frames, rows[i].frames);
            bool lives = true;
            for (size_t at = 0; lives && at < frames->count;) {
                const size_t part = cut == 0 ? frames->count : 1;
                lives = eng_h2_receive(
                    machine->h2, frames->bytes + at, part, machine->now, &machine->sink);
                at += part;
            }
            const struct seen *seen = &machine->seen;
            if (lives != (rows[i].verdict != DROPPED))
                fail_msg("%s: %s", rows[i].name, eng_h2_error_text(machine->h2));
            if (!lives)
                eng_h2_end(
                    machine->h2, IPC_EVIDENCE_PROTOCOL, eng_h2_sealed(machine->h2), &machine->sink);
            const bool is_answered = rows[i].verdict == ANSWERED;
            const bool is_lost = rows[i].verdict == LOST || rows[i].verdict == DROPPED;
            if (seen->replies != is_answered || seen->losses != is_lost)
                fail_msg("%s: %u replies, %u losses", rows[i].name, seen->replies, seen->losses);
            if (is_answered && seen->last_status != rows[i].code)
                fail_msg("%s: status %u", rows[i].name, seen->last_status);
            if (is_lost &&
                (seen->last_evidence != rows[i].evidence || seen->last_error != rows[i].code))
                fail_msg("%s: evidence %s, code %u", rows[i].name,
                    ipc_evidence_name(seen->last_evidence), seen->last_error);
            if (rows[i].verdict == DROPPED) {
                assert_int_equal(eng_h2_error(machine->h2), rows[i].code);
                assert_true(eng_h2_error_text(machine->h2)[0] != '\0');
                assert_int_equal(order_until(machine, 6, INT64_MAX, INT64_MAX), ENG_H2_SHUT);
            }
            free(frames);
            machine_close(machine);
        }
    }
}

/* How many of a frame pass before the connection is dropped. */
static uint32_t survives(const char *text, uint32_t most)
{
    struct machine *machine = machine_open(CHUNKS);
    order(machine, 5);
    take_output(machine);
    struct frames *frames = frames_new();
    frames_parse(frames, text);
    uint32_t count = 0;
    while (count < most && feed(machine, frames)) {
        take_output(machine); /* the answers are read: only the count limits */
        count++;
    }
    free(frames);
    machine_close(machine);
    return count;
}

static void floods_end_the_connection(void **state)
{
    (void)state;
    static const char *const floods[] = {"F 6 0 0 abcdefgh", "S 4 65535", "F 4 1 0 ",
        "D 1 -:", "H 1 e:100", "W 0 1", "F 2 0 1 abcde", "F 99 0 0 x", "G 1 0"};
    for (size_t i = 0; i < LS_COUNT_OF(floods); i++) {
        struct machine *machine = machine_open(CHUNKS);
        order(machine, 5);
        take_output(machine);
        struct frames *frames = frames_new();
        if (floods[i][0] == 'D') {
            frames_parse(frames, "H 1 e:200");
            assert_true(feed(machine, frames));
            frames_clear(frames);
        }
        frames_parse(frames, floods[i]);
        uint32_t count = 0;
        while (count < 3000 && feed(machine, frames)) {
            take_output(machine);
            count++;
        }
        if (count < 500 || count > ENG_H2_FLOOD_FRAMES_MAX + 4)
            fail_msg("%s: %u frames passed", floods[i], count);
        assert_int_equal(eng_h2_error(machine->h2), 11);
        free(frames);
        machine_close(machine);
    }
}

static void answers_that_nobody_reads_end_the_connection(void **state)
{
    (void)state;
    struct machine *machine = machine_open(CHUNKS);
    struct frames *frames = frames_new();
    frames_parse(frames, "F 6 0 0 abcdefgh");
    uint32_t count = 0;
    while (count < 3000 && feed(machine, frames))
        count++;
    assert_true(count < ENG_H2_FLOOD_FRAMES_MAX + 1);
    assert_int_equal(eng_h2_error(machine->h2), 11);
    free(frames);
    machine_close(machine);
}

static void a_slow_flood_is_no_flood(void **state)
{
    (void)state;
    struct machine *machine = machine_open(CHUNKS);
    struct frames *frames = frames_new();
    frames_parse(frames, "F 6 0 0 abcdefgh");
    for (uint32_t i = 0; i < 10000; i++) {
        machine->now += 2 * LS_NS_PER_MS; /* 500 a second */
        assert_true(feed(machine, frames));
        take_output(machine);
    }
    free(frames);
    machine_close(machine);
}

static void continuations_and_header_bytes_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(survives("H 1 -:200 F 9 0 1 \017 F 9 0 1  F 9 0 1  F 9 0 1  F 9 0 1  F 9 0 1  "
                              "F 9 0 1  F 9 0 1  F 9 0 1 ",
                         1),
        0);
    /* Eight, of which the last ends the block, pass. */
    assert_int_equal(survives("H 1 -:200 F 9 0 1  F 9 0 1  F 9 0 1  F 9 0 1  F 9 0 1  F 9 0 1  "
                              "F 9 0 1  F 9 4 1 ",
                         1),
        1);
    /* A header list that a small block blows up: 800 fields of 60 bytes, each counted with its 32.
     */
    struct machine *machine = machine_open(CHUNKS);
    order(machine, 5);
    take_output(machine);
    struct frames *frames = frames_new();
    uint8_t block[16000] = {0x88};
    size_t count = 1;
    while (count + 2 < sizeof block) { /* "date" without value: two bytes on the wire, 36 counted */
        block[count++] = 0x0f;
        block[count++] = 0x12;
        block[count++] = 0x00;
    }
    frame(frames, 1, 4, 1, block, count);
    assert_false(feed(machine, frames));
    assert_int_equal(eng_h2_error(machine->h2), 11);
    free(frames);
    machine_close(machine);
}

static void a_body_above_the_limit_ends_the_connection(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        struct machine *machine = machine_open(CHUNKS);
        order(machine, 5);
        take_output(machine);
        struct frames *frames = frames_new();
        frames_parse(frames, "H 1 e:200");
        uint8_t piece[1024];
        memset(piece, 'x', sizeof piece);
        for (uint32_t i = 0; i < 64; i++)
            frame(frames, 0, i == 63 && over == 0 ? 1 : 0, 1, piece, sizeof piece);
        if (over == 1)
            frame(frames, 0, 1, 1, piece, 1);
        assert_int_equal(feed(machine, frames), over == 0);
        if (over == 0) {
            assert_int_equal(machine->seen.replies, 1);
            assert_int_equal(machine->seen.body_bytes, 65536);
            for (uint32_t i = 0; i < 65536; i++)
                assert_int_equal(machine->seen.body[i], 'x');
        } else {
            assert_int_equal(eng_h2_error(machine->h2), 11);
        }
        free(frames);
        machine_close(machine);
    }
}

/* When the pieces' memory is used up, only the reply that needs more of it is given up. */
static void no_memory_for_pieces_costs_one_reply(void **state)
{
    (void)state;
    struct machine *machine = machine_open(2);
    order(machine, 5);
    order(machine, 6);
    take_output(machine);
    struct frames *frames = frames_new();
    uint8_t piece[5000];
    memset(piece, 'y', sizeof piece);
    frames_parse(frames, "H 1 e:200 H 3 e:200");
    frame(frames, 0, 0, 1, piece, sizeof piece);
    frame(frames, 0, 1, 3, piece, 100);
    assert_true(feed(machine, frames));
    assert_int_equal(machine->seen.losses, 1);
    assert_int_equal(machine->seen.last_evidence, IPC_EVIDENCE_MALFORMED);
    assert_int_equal(machine->seen.replies, 1);
    assert_int_equal(machine->seen.body_bytes, 100);
    free(frames);
    machine_close(machine);
}

static void our_windows_are_enforced_and_given_back(void **state)
{
    (void)state;
    struct machine *machine = machine_open(CHUNKS);
    order(machine, 5);
    take_output(machine);
    struct frames *frames = frames_new();
    uint8_t piece[16384];
    memset(piece, 'z', sizeof piece);
    /* A padded stream uses more window than body; it is given back, so it never stalls. */
    frames_parse(frames, "H 1 e:200");
    uint8_t padded[256];
    memset(padded, 0, sizeof padded);
    padded[0] = 254; /* one byte of body each */
    for (uint32_t i = 0; i < 900; i++)
        frame(frames, 0, 8, 1, padded, sizeof padded);
    assert_true(feed(machine, frames));
    uint64_t stream_back = 0, connection_back = 0;
    const struct adp_span out = eng_h2_output(machine->h2);
    for (size_t at = 0; at + 13 <= out.count; at += 13) {
        assert_int_equal(out.bytes[at + 3], 8);
        const uint32_t bytes = (uint32_t)out.bytes[at + 10] << 16 |
                               (uint32_t)out.bytes[at + 11] << 8 | out.bytes[at + 12];
        *(out.bytes[at + 8] == 0 ? &connection_back : &stream_back) += bytes;
    }
    assert_true(stream_back >= 900 * 256 - 131072);
    assert_true(connection_back >= 900 * 255 - 32768);
    take_output(machine);
    free(frames);
    machine_close(machine);

    /* Bodies that never end are kept and not given back: our connection window is the bound. */
    machine = machine_open(1024);
    for (uint32_t i = 0; i < 16; i++)
        order(machine, i);
    take_output(machine);
    frames = frames_new();
    uint32_t passed = 0;
    bool lives = true;
    for (uint32_t i = 0; lives && i < 48; i++) {
        char head[32];
        frames_clear(frames);
        snprintf(head, sizeof head, "H %u e:200", 2 * (i / 3) + 1);
        if (i % 3 == 0)
            frames_parse(frames, head);
        frame(frames, 0, 0, 2 * (i / 3) + 1, piece, sizeof piece);
        lives = feed(machine, frames);
        passed += lives;
    }
    assert_false(lives);
    assert_int_equal(passed, 262144 / 16384);
    assert_int_equal(eng_h2_error(machine->h2), 3);
    free(frames);
    machine_close(machine);
}

static void overdue_replies_are_reported_once_and_taken_late(void **state)
{
    (void)state;
    struct machine *machine = machine_open(CHUNKS);
    assert_int_equal(order_until(machine, 5, machine->now + 100, INT64_MAX), ENG_H2_ADMITTED);
    take_output(machine);
    assert_int_equal(eng_h2_next_due(machine->h2), machine->now + 100);
    eng_h2_expire(machine->h2, machine->now + 99, &machine->sink);
    assert_int_equal(machine->seen.losses, 0);
    eng_h2_expire(machine->h2, machine->now + 100, &machine->sink);
    eng_h2_expire(machine->h2, machine->now + 200, &machine->sink);
    assert_int_equal(machine->seen.losses, 1);
    assert_int_equal(machine->seen.last_evidence, IPC_EVIDENCE_TIMEOUT);
    assert_int_equal(eng_h2_overdue_streams(machine->h2), 1);
    assert_int_equal(eng_h2_next_due(machine->h2), INT64_MAX);
    struct frames *frames = frames_new();
    frames_parse(frames, "H 1 e:200 D 1 s:late");
    assert_true(feed(machine, frames));
    assert_int_equal(machine->seen.replies, 1);
    assert_int_equal(eng_h2_overdue_streams(machine->h2), 0);
    free(frames);
    machine_close(machine);
    /* What was reported overdue is not reported again when the connection ends. */
    machine = machine_open(CHUNKS);
    assert_int_equal(order_until(machine, 5, machine->now, INT64_MAX), ENG_H2_ADMITTED);
    take_output(machine);
    eng_h2_expire(machine->h2, machine->now, &machine->sink);
    eng_h2_end(machine->h2, IPC_EVIDENCE_RESET, eng_h2_sealed(machine->h2), &machine->sink);
    assert_int_equal(machine->seen.losses, 1);
    machine_close(machine);
}

static void what_was_not_sealed_is_withdrawn(void **state)
{
    (void)state;
    struct machine *machine = machine_open(CHUNKS);
    order(machine, 1);
    const size_t first = eng_h2_output(machine->h2).count;
    assert_int_equal(order_until(machine, 2, INT64_MAX, machine->now + 10), ENG_H2_ADMITTED);
    order(machine, 3);
    const size_t all = eng_h2_output(machine->h2).count;
    eng_h2_output_taken(machine->h2, 20); /* the first is sealed in part */
    eng_h2_expire(machine->h2, machine->now + 10, &machine->sink);
    assert_int_equal(machine->seen.losses, 1);
    assert_int_equal(machine->seen.last_evidence, IPC_EVIDENCE_NO_BYTES);
    assert_int_equal(eng_h2_output(machine->h2).count, all - 20 - (all - first) / 2);
    /* The end of the connection: the first may have left, the third has not. */
    eng_h2_end(machine->h2, IPC_EVIDENCE_RESET, eng_h2_sealed(machine->h2), &machine->sink);
    assert_int_equal(machine->seen.losses, 3);
    assert_int_equal(machine->seen.last_evidence, IPC_EVIDENCE_NO_BYTES);
    assert_int_equal(eng_h2_output(machine->h2).count, 0);
    machine_close(machine);
}

static void going_away_withdraws_what_waits(void **state)
{
    (void)state;
    struct machine *machine = machine_open(CHUNKS);
    order(machine, 1);
    take_output(machine);
    order(machine, 2); /* not sealed yet */
    struct frames *frames = frames_new();
    frames_parse(frames, "G 0 0");
    assert_true(feed(machine, frames));
    assert_int_equal(machine->seen.losses, 2);
    assert_int_equal(machine->seen.last_evidence, IPC_EVIDENCE_NO_BYTES); /* newest last */
    assert_int_equal(eng_h2_output(machine->h2).count, 0);
    assert_true(eng_h2_draining(machine->h2));
    assert_int_equal(order_until(machine, 3, INT64_MAX, INT64_MAX), ENG_H2_SHUT);
    free(frames);
    machine_close(machine);
}

static void admission_knows_the_peers_limits(void **state)
{
    (void)state;
    static const struct {
        const char *settings;
        uint32_t header_bytes, list_bytes, body_bytes;
        enum eng_h2_admission admission;
    } cases[] = {
        {"S 3 100", 100, 200, 100, ENG_H2_ADMITTED},
        {"S 3 0", 100, 200, 100, ENG_H2_NO_STREAM},
        {"S 4 99", 100, 200, 100, ENG_H2_NO_WINDOW},
        {"S 4 100", 100, 200, 100, ENG_H2_ADMITTED},
        {"S 4 0", 100, 200, 0, ENG_H2_ADMITTED},
        {"S 6 250", 100, 200, 100, ENG_H2_TOO_LARGE},
        {"S 6 251", 100, 200, 100, ENG_H2_ADMITTED},
        {"S 6 200", 100, 200, 0, ENG_H2_ADMITTED},
        {"S 3 100", 16375, 200, 0, ENG_H2_ADMITTED},
        {"S 3 100", 16384, 200, 0, ENG_H2_TOO_LARGE},
        {"S 3 100", 100, 200, 16385, ENG_H2_TOO_LARGE},
    };
    for (size_t i = 0; i < LS_COUNT_OF(cases); i++) {
        struct machine *machine = machine_open(CHUNKS);
        struct frames *frames = frames_new();
        frames_parse(frames, cases[i].settings);
        assert_true(feed(machine, frames));
        take_output(machine);
        if (eng_h2_can_send(machine->h2, cases[i].header_bytes, cases[i].list_bytes,
                cases[i].body_bytes) != cases[i].admission)
            fail_msg("case %zu: %s", i, cases[i].settings);
        free(frames);
        machine_close(machine);
    }
    /* Room: requests that wait fill the arena but never the part kept for control frames. */
    struct machine *machine = machine_open(CHUNKS);
    uint32_t count = 0;
    while (order_until(machine, count, INT64_MAX, INT64_MAX) == ENG_H2_ADMITTED)
        count++;
    assert_int_equal(count, 16); /* stream slots */
    machine_close(machine);
}

static void a_stuck_stream_is_stepped_over(void **state)
{
    (void)state;
    struct machine *machine = machine_open(CHUNKS);
    order(machine, 0); /* stream 1 stays without a reply */
    take_output(machine);
    struct frames *frames = frames_new();
    uint32_t id = 3;
    for (uint32_t i = 0; i < 100; i++) {
        order(machine, i + 1);
        take_output(machine);
        char reply[32];
        if (((id >> 1) & 15) == 0)
            id += 2; /* the slot of stream 1 */
        snprintf(reply, sizeof reply, "H %u es:200", id);
        id += 2;
        frames_clear(frames);
        frames_parse(frames, reply);
        assert_true(feed(machine, frames));
        assert_int_equal(machine->seen.replies, i + 1);
    }
    assert_int_equal(eng_h2_open_streams(machine->h2), 1);
    free(frames);
    machine_close(machine);
}

static void a_peer_without_size_update_is_understood(void **state)
{
    (void)state;
    static const uint8_t with[] = {0x20, 0x88}, without[] = {0x88};
    for (int i = 0; i < 2; i++) {
        struct machine *machine = machine_open(CHUNKS);
        order(machine, 5);
        take_output(machine);
        struct frames *frames = frames_new();
        frame(frames, 1, 5, 1, i == 0 ? with : without, i == 0 ? 2 : 1);
        assert_true(feed(machine, frames));
        assert_int_equal(machine->seen.replies, 1);
        free(frames);
        machine_close(machine);
    }
}

static void the_first_frame_must_be_settings(void **state)
{
    (void)state;
    static const char *const first[] = {"F 6 0 0 abcdefgh", "F 4 1 0 ", "G 0 0"};
    for (size_t i = 0; i < LS_COUNT_OF(first); i++) {
        struct eng_h2_bodies bodies;
        void *bodies_memory = aligned_alloc(64, ls_align_up(eng_h2_bodies_footprint(1), 64));
        eng_h2_bodies_init(&bodies, bodies_memory, 1);
        const struct eng_h2_limits limits = {.plain_bytes = 4096, .stream_slots = 4};
        void *memory = aligned_alloc(64, ls_align_up(eng_h2_footprint(&limits), 64));
        struct eng_h2 *h2 = eng_h2_init(memory, &limits, &bodies);
        struct frames *frames = frames_new();
        frames_parse(frames, first[i]);
        struct seen seen;
        const struct eng_h2_sink sink = {.reply = on_reply, .loss = on_loss, .context = &seen};
        assert_false(eng_h2_receive(h2, frames->bytes, frames->count, 1, &sink));
        assert_int_equal(eng_h2_error(h2), 1);
        free(frames);
        eng_h2_free(h2);
        free(memory);
        free(bodies_memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_frame_has_its_verdict),
        cmocka_unit_test(floods_end_the_connection),
        cmocka_unit_test(answers_that_nobody_reads_end_the_connection),
        cmocka_unit_test(a_slow_flood_is_no_flood),
        cmocka_unit_test(continuations_and_header_bytes_are_bounded),
        cmocka_unit_test(a_body_above_the_limit_ends_the_connection),
        cmocka_unit_test(no_memory_for_pieces_costs_one_reply),
        cmocka_unit_test(our_windows_are_enforced_and_given_back),
        cmocka_unit_test(overdue_replies_are_reported_once_and_taken_late),
        cmocka_unit_test(what_was_not_sealed_is_withdrawn),
        cmocka_unit_test(going_away_withdraws_what_waits),
        cmocka_unit_test(admission_knows_the_peers_limits),
        cmocka_unit_test(a_stuck_stream_is_stepped_over),
        cmocka_unit_test(a_peer_without_size_update_is_understood),
        cmocka_unit_test(the_first_frame_must_be_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
