/* h2_oracle_test.c: the byte machine against nghttp2's server session, in memory: random settings
 * at random moments, bytes cut anywhere, every request decoded to what was meant or refused here.
 */
#include "engine/net/h2.h"
#include "engine/net/hpack.h"
#include "ipc/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REQUESTS_MAX 400u

struct pipe {
    uint8_t bytes[1 << 20];
    size_t count;
};

struct request {
    uint32_t stream_id;
    char headers[2048]; /* as the server must see them */
    uint8_t body[2100];
    uint32_t body_bytes;
    /* the server's side */
    char seen[2048];
    uint8_t seen_body[2100];
    uint32_t seen_bytes, seen_count;
    /* the answer */
    uint32_t status, answer_bytes, answer_left;
    bool has_trailer, is_answered;
    /* the outcome */
    uint32_t replies, losses, loss_error;
    enum ipc_evidence evidence;
};

struct world {
    uint64_t seed;
    struct ipc_prng prng;
    struct eng_h2 *h2;
    struct eng_h2_bodies bodies;
    void *bodies_memory, *h2_memory;
    nghttp2_session *server;
    struct pipe to_server, to_client;
    struct request requests[REQUESTS_MAX];
    uint32_t request_count, refused_here, refused_there;
    uint32_t unconsumed[REQUESTS_MAX]; /* by request: body bytes that the server keeps for now */
    struct eng_h2_sink sink;
    int64_t now;
    uint32_t goaways;
};

static uint64_t below(struct world *world, uint64_t bound)
{
    return ipc_prng_below(&world->prng, bound);
}

static struct request *by_stream(struct world *world, int32_t stream_id)
{
    for (uint32_t i = 0; i < world->request_count; i++) {
        if (world->requests[i].stream_id == (uint32_t)stream_id)
            return &world->requests[i];
    }
    fail_msg("seed %llu: stream %d at the server was never requested",
        (unsigned long long)world->seed, stream_id);
    return NULL;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags, void *context)
{
    (void)session;
    struct request *request = by_stream(context, frame->hd.stream_id);
    const size_t used = strlen(request->seen);
    snprintf(request->seen + used, sizeof request->seen - used, "%s%.*s: %.*s\n",
        (flags & NGHTTP2_NV_FLAG_NO_INDEX) ? "!" : "", (int)name_bytes, (const char *)name,
        (int)value_bytes, (const char *)value);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *bytes,
    size_t count, void *context)
{
    (void)session;
    (void)flags;
    struct world *world = context;
    struct request *request = by_stream(world, stream_id);
    assert_true(request->seen_bytes + count <= sizeof request->seen_body);
    memcpy(request->seen_body + request->seen_bytes, bytes, count);
    request->seen_bytes += (uint32_t)count;
    world->unconsumed[request - world->requests] += (uint32_t)count;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    (void)session;
    struct world *world = context;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        world->goaways++;
    if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        by_stream(world, frame->hd.stream_id)->seen_count++;
    return 0;
}

/* What the server itself finds wrong with our frames. */
static int on_invalid(nghttp2_session *session, const nghttp2_frame *frame, int code, void *context)
{
    (void)session;
    const struct world *world = context;
    if (code == NGHTTP2_ERR_REFUSED_STREAM) /* its new limit met a request on the way */
        return 0;
    fail_msg("seed %llu: the server calls frame type %u on stream %d invalid: %s",
        (unsigned long long)world->seed, frame->hd.type, frame->hd.stream_id,
        nghttp2_strerror(code));
    return 0;
}

static ssize_t choose_padding(
    nghttp2_session *session, const nghttp2_frame *frame, size_t most, void *context)
{
    (void)session;
    const size_t room = most - frame->hd.length;
    const size_t wish = below(context, 4) == 0 ? below(context, 60) : 0;
    return (ssize_t)(frame->hd.length + (wish < room ? wish : room));
}

static ssize_t read_answer(nghttp2_session *session, int32_t stream_id, uint8_t *out,
    size_t out_bytes, uint32_t *flags, nghttp2_data_source *source, void *context)
{
    struct world *world = context;
    struct request *request = source->ptr;
    uint32_t take = request->answer_left < out_bytes ? request->answer_left : (uint32_t)out_bytes;
    if (take > 1 && below(world, 3) == 0)
        take = 1 + (uint32_t)below(world, take);
    for (uint32_t i = 0; i < take; i++)
        out[i] = (uint8_t)(request->answer_bytes - request->answer_left + i + request->stream_id);
    request->answer_left -= take;
    if (request->answer_left == 0) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (request->has_trailer) {
            static const nghttp2_nv trailer = {(uint8_t *)(uintptr_t) "x-checksum",
                (uint8_t *)(uintptr_t) "1", 10, 1, NGHTTP2_NV_FLAG_NONE};
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            assert_int_equal(nghttp2_submit_trailer(session, stream_id, &trailer, 1), 0);
        }
    }
    return take;
}

static void answer(struct world *world, struct request *request)
{
    char status[8], length[16];
    request->is_answered = true;
    request->status = below(world, 4) == 0 ? 400 + (uint32_t)below(world, 100) : 200;
    const uint64_t size = below(world, 6);
    request->answer_bytes = size == 0   ? 0
                            : size == 1 ? (uint32_t)below(world, 9000)
                                        : (uint32_t)below(world, 300);
    request->answer_left = request->answer_bytes;
    request->has_trailer = request->answer_bytes != 0 && below(world, 5) == 0;
    if (below(world, 6) == 0) { /* an interim reply first */
        const nghttp2_nv interim = {(uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "103",
            7, 3, NGHTTP2_NV_FLAG_NONE};
        nghttp2_submit_headers(
            world->server, NGHTTP2_FLAG_NONE, (int32_t)request->stream_id, NULL, &interim, 1, NULL);
    }
    snprintf(status, sizeof status, "%u", request->status);
    snprintf(length, sizeof length, "%u", request->answer_bytes);
    const nghttp2_nv fields[] = {
        {(uint8_t *)(uintptr_t) ":status", (uint8_t *)status, 7, 3, NGHTTP2_NV_FLAG_NONE},
        {(uint8_t *)(uintptr_t) "server", (uint8_t *)(uintptr_t) "oracle/1.0 (a long name)", 6, 24,
            NGHTTP2_NV_FLAG_NONE},
        {(uint8_t *)(uintptr_t) "content-length", (uint8_t *)length, 14, strlen(length),
            NGHTTP2_NV_FLAG_NONE},
    };
    const nghttp2_data_provider provider = {.source.ptr = request, .read_callback = read_answer};
    const size_t field_count = below(world, 2) == 0 ? 2 : 3;
    nghttp2_submit_response(world->server, (int32_t)request->stream_id, fields, field_count,
        request->answer_bytes == 0 ? NULL : &provider);
}

static void on_reply(const struct eng_h2_reply *reply, void *context)
{
    struct world *world = context;
    struct request *request = &world->requests[reply->child];
    assert_int_equal(request->stream_id, reply->stream_id);
    request->replies++;
    assert_true(request->is_answered);
    assert_int_equal(reply->http_status, request->status);
    assert_int_equal(reply->body.count, request->answer_bytes);
    for (uint32_t i = 0; i < reply->body.count; i++)
        assert_int_equal(reply->body.bytes[i], (uint8_t)(i + request->stream_id));
}

static void on_loss(const struct eng_h2_loss *loss, void *context)
{
    struct world *world = context;
    struct request *request = &world->requests[loss->child];
    request->losses++;
    request->loss_error = loss->h2_error;
    request->evidence = loss->evidence;
}

static void world_open(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    world->seed = seed;
    world->now = LS_NS_PER_S;
    ipc_prng_seed(&world->prng, seed);
    world->sink = (struct eng_h2_sink){.reply = on_reply, .loss = on_loss, .context = world};
    world->bodies_memory = aligned_alloc(64, ls_align_up(eng_h2_bodies_footprint(400), 64));
    eng_h2_bodies_init(&world->bodies, world->bodies_memory, 400);
    const struct eng_h2_limits limits = {
        .plain_bytes = below(world, 2) == 0 ? 8192 : 20480, .stream_slots = 32};
    world->h2_memory = aligned_alloc(64, ls_align_up(eng_h2_footprint(&limits), 64));
    world->h2 = eng_h2_init(world->h2_memory, &limits, &world->bodies);
    assert_non_null(world->h2);

    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid);
    nghttp2_session_callbacks_set_select_padding_callback(callbacks, choose_padding);
    nghttp2_option_new(&option);
    nghttp2_option_set_no_auto_window_update(option, 1);
    assert_int_equal(nghttp2_session_server_new2(&world->server, callbacks, world, option), 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    assert_int_equal(nghttp2_submit_settings(world->server, NGHTTP2_FLAG_NONE, NULL, 0), 0);
}

static void world_close(struct world *world)
{
    eng_h2_end(world->h2, IPC_EVIDENCE_RESET, eng_h2_sealed(world->h2), &world->sink);
    eng_h2_free(world->h2);
    assert_int_equal(world->bodies.free_count, world->bodies.chunk_count);
    nghttp2_session_del(world->server);
    free(world->h2_memory);
    free(world->bodies_memory);
}

/* Moves a random share of what waits, in each direction. */
static void move_bytes(struct world *world, bool all)
{
    const struct adp_span out = eng_h2_output(world->h2);
    const size_t take = all ? out.count : below(world, out.count + 1);
    memcpy(world->to_server.bytes + world->to_server.count, out.bytes, take);
    world->to_server.count += take;
    eng_h2_output_taken(world->h2, take);

    const size_t give = all ? world->to_server.count : below(world, world->to_server.count + 1);
    const ssize_t taken = nghttp2_session_mem_recv(world->server, world->to_server.bytes, give);
    if (taken != (ssize_t)give)
        fail_msg("seed %llu: the server takes %zd of %zu bytes: %s",
            (unsigned long long)world->seed, taken, give, nghttp2_strerror((int)taken));
    memmove(world->to_server.bytes, world->to_server.bytes + give, world->to_server.count - give);
    world->to_server.count -= give;

    const uint8_t *bytes;
    ssize_t count;
    while (world->to_client.count < sizeof world->to_client.bytes / 2 &&
           (count = nghttp2_session_mem_send(world->server, &bytes)) > 0) {
        memcpy(world->to_client.bytes + world->to_client.count, bytes, (size_t)count);
        world->to_client.count += (size_t)count;
    }
    size_t got = all ? world->to_client.count : below(world, world->to_client.count + 1);
    const size_t first = below(world, got + 1); /* cut in two */
    for (int half = 0; half < 2; half++) {
        const size_t part = half == 0 ? first : got - first;
        if (!eng_h2_receive(world->h2, world->to_client.bytes, part, world->now, &world->sink))
            fail_msg("seed %llu: the machine gives up: %s", (unsigned long long)world->seed,
                eng_h2_error_text(world->h2));
        memmove(
            world->to_client.bytes, world->to_client.bytes + part, world->to_client.count - part);
        world->to_client.count -= part;
    }
}

static void change_settings(struct world *world)
{
    static const uint32_t tables[] = {0, 0, 100, 4096, 65536};
    static const uint32_t windows[] = {0, 100, 1500, 65535, 1000000};
    static const uint32_t streams[] = {0, 1, 3, 20, 100};
    static const uint32_t lists[] = {200, 500, 4096, 65536};
    nghttp2_settings_entry entries[5];
    size_t count = 0;
    if (below(world, 2) == 0)
        entries[count++] =
            (nghttp2_settings_entry){NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, tables[below(world, 5)]};
    if (below(world, 3) == 0)
        entries[count++] = (nghttp2_settings_entry){
            NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, windows[below(world, 5)]};
    if (below(world, 3) == 0)
        entries[count++] = (nghttp2_settings_entry){
            NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams[below(world, 5)]};
    if (below(world, 4) == 0)
        entries[count++] =
            (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, lists[below(world, 4)]};
    if (below(world, 4) == 0) /* twice in one frame: the smallest counts for the table */
        entries[count++] =
            (nghttp2_settings_entry){NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, tables[below(world, 5)]};
    assert_int_equal(nghttp2_submit_settings(world->server, NGHTTP2_FLAG_NONE, entries, count), 0);
}

static void make_request(struct world *world)
{
    if (world->request_count == REQUESTS_MAX)
        return;
    const uint32_t child = world->request_count;
    struct request *request = &world->requests[child];
    uint8_t prefix_bytes[1024], auth_bytes[2048];
    struct eng_hpack prefix, auth;
    char path[64], token[1200];
    eng_hpack_begin(&prefix, prefix_bytes, sizeof prefix_bytes);
    eng_hpack_begin(&auth, auth_bytes, sizeof auth_bytes);
    snprintf(path, sizeof path, "/orders/%u", child);
    const uint32_t token_bytes = below(world, 3) == 0 ? 1100 : 64;
    memset(token, 0, sizeof token);
    for (uint32_t i = 0; i < token_bytes; i++)
        token[i] = (char)('A' + below(world, 26));
    request->body_bytes = below(world, 8) == 0 ? 0 : (uint32_t)below(world, 2000);
    const bool has_body = request->body_bytes != 0;
    for (uint32_t i = 0; i < request->body_bytes; i++)
        request->body[i] = (uint8_t)below(world, 256);
    assert_true(eng_hpack_add_text(&prefix, ":method", has_body ? "POST" : "GET") == IPC_OK &&
                eng_hpack_add_text(&prefix, ":scheme", "https") == IPC_OK &&
                eng_hpack_add_text(&prefix, ":authority", "broker") == IPC_OK &&
                eng_hpack_add_text(&prefix, ":path", path) == IPC_OK &&
                eng_hpack_add(&auth, "authorization", token, token_bytes, true) == IPC_OK);
    snprintf(request->headers, sizeof request->headers,
        ":method: %s\n:scheme: https\n:authority: broker\n:path: %s\n!authorization: %s\n",
        has_body ? "POST" : "GET", path, token);
    if (has_body)
        snprintf(request->headers + strlen(request->headers), 64, "content-length: %u\n",
            request->body_bytes);
    const struct eng_h2_part parts[] = {
        {prefix.bytes, prefix.count, prefix.list_bytes}, {auth.bytes, auth.count, auth.list_bytes}};
    const struct eng_h2_request order = {
        .parts = parts,
        .part_count = 2,
        .body = request->body,
        .body_bytes = request->body_bytes,
        .child = child,
        .reply_by_mono_ns = INT64_MAX,
        .leave_by_mono_ns =
            below(world, 4) == 0 ? world->now + (int64_t)below(world, 5) * LS_NS_PER_MS : INT64_MAX,
    };
    const enum eng_h2_admission admission = eng_h2_request(world->h2, &order, &request->stream_id);
    if (admission == ENG_H2_ADMITTED)
        world->request_count++;
    else {
        memset(request, 0, sizeof *request);
        world->refused_here++;
    }
}

static void server_acts(struct world *world)
{
    switch (below(world, 8)) {
    case 0:
        if (eng_h2_ready(world->h2) && below(world, 3) == 0)
            change_settings(world);
        return;
    case 1:
        nghttp2_submit_ping(world->server, NGHTTP2_FLAG_NONE, NULL);
        return;
    case 2:
    case 3:
        for (uint32_t i = 0; i < world->request_count; i++) {
            if (world->unconsumed[i] == 0)
                continue;
            const uint32_t bytes = 1 + (uint32_t)below(world, world->unconsumed[i]);
            nghttp2_session_consume(world->server, (int32_t)world->requests[i].stream_id, bytes);
            world->unconsumed[i] -= bytes;
        }
        return;
    default:
        for (uint32_t i = 0; i < world->request_count; i++) {
            struct request *request = &world->requests[i];
            if (request->seen_count != 0 && !request->is_answered && below(world, 4) == 0)
                answer(world, request);
        }
        return;
    }
}

static void settle(struct world *world)
{
    for (uint32_t i = 0; i < 300; i++) {
        for (uint32_t k = 0; k < world->request_count; k++) {
            if (world->unconsumed[k] != 0)
                nghttp2_session_consume(
                    world->server, (int32_t)world->requests[k].stream_id, world->unconsumed[k]);
            world->unconsumed[k] = 0;
            if (world->requests[k].seen_count != 0 && !world->requests[k].is_answered)
                answer(world, &world->requests[k]);
        }
        move_bytes(world, true);
    }
}

/* Returns the number of requests that were withdrawn. */
static uint32_t run(uint64_t seed)
{
    struct world *world = malloc(sizeof *world);
    world_open(world, seed);
    while (!eng_h2_ready(world->h2))
        move_bytes(world, false);
    for (uint32_t i = 0; i < 1500; i++) {
        world->now += LS_NS_PER_MS;
        eng_h2_expire(world->h2, world->now, &world->sink);
        if (below(world, 2) == 0)
            make_request(world);
        server_acts(world);
        if (below(world, 2) == 0)
            move_bytes(world, below(world, 3) == 0);
    }
    settle(world);
    uint32_t answered = 0, withdrawn = 0;
    for (uint32_t i = 0; i < world->request_count; i++) {
        const struct request *request = &world->requests[i];
        if (request->losses == 1 && request->evidence == IPC_EVIDENCE_NO_BYTES) {
            /* Withdrawn before it was sealed: the server has never heard of it. */
            assert_int_equal(request->replies + request->seen_count + request->seen_bytes, 0);
            assert_string_equal(request->seen, "");
            withdrawn++;
            continue;
        }
        if (request->losses == 1) {
            /* The server lowered its streams while ours was on the way: allowed, and said so. */
            assert_int_equal(request->evidence, IPC_EVIDENCE_RST_STREAM);
            assert_int_equal(request->loss_error, NGHTTP2_REFUSED_STREAM);
            assert_int_equal(request->replies, 0);
            assert_int_equal(request->seen_count, 0);
            world->refused_there++;
            continue;
        }
        if (request->replies != 1)
            fail_msg("seed %llu: request %u has %u replies, seen %u times",
                (unsigned long long)seed, i, request->replies, request->seen_count);
        answered++;
        assert_int_equal(request->seen_count, 1);
        if (strcmp(request->seen, request->headers) != 0)
            fail_msg("seed %llu: request %u decoded to\n%s instead of\n%s",
                (unsigned long long)seed, i, request->seen, request->headers);
        assert_int_equal(request->seen_bytes, request->body_bytes);
        assert_memory_equal(request->seen_body, request->body, request->body_bytes);
    }
    assert_int_equal(world->goaways, 0);
    assert_int_equal(eng_h2_open_streams(world->h2), 0);
    assert_true(answered > 0);
    world_close(world);
    free(world);
    return withdrawn;
}

static void every_request_is_decoded_or_refused(void **state)
{
    (void)state;
    const char *asked = getenv("LS_SEED");
    if (asked != NULL) {
        run(strtoull(asked, NULL, 10));
        return;
    }
    uint32_t withdrawn = 0;
    for (uint64_t seed = 1; seed <= 40; seed++)
        withdrawn += run(seed);
    assert_true(withdrawn > 100); /* the path was walked */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_is_decoded_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
