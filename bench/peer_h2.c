/* peer_h2.c: as much of HTTP/2's server side as the engine's requests need. Header blocks are not
 * decoded: a request with a body is an order, one without is a keep-alive. What the bytes say is
 * judged elsewhere, by nghttp2; here they are only counted and answered. */
#include "bench/peer_private.h"

#include <stdio.h>
#include <string.h>

#define FRAME_BYTES 9u
enum frame {
    FRAME_DATA = 0,
    FRAME_HEADERS = 1,
    FRAME_RST_STREAM = 3,
    FRAME_SETTINGS = 4,
    FRAME_PING = 6,
    FRAME_GOAWAY = 7,
    FRAME_WINDOW_UPDATE = 8,
};
#define FLAG_END_STREAM 1u
#define FLAG_ACK        1u
#define WINDOW_STEP     (1u << 20)
#define WINDOW_GIVEN    (1u << 30)

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
#define PREFACE_BYTES (sizeof preface - 1)

static uint32_t read_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void write_u32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

/* False when the client does not read its answers. */
static bool put_frame(struct peer_connection *connection, enum frame type, uint8_t flags,
    uint32_t stream, const void *payload, uint32_t bytes)
{
    if (connection->output_count + FRAME_BYTES + bytes > PEER_OUTPUT_BYTES)
        return false;
    uint8_t *at = connection->output + connection->output_count;
    write_u32(at, bytes << 8 | (uint32_t)type);
    at[4] = flags;
    write_u32(at + 5, stream);
    memcpy(at + FRAME_BYTES, payload, bytes);
    connection->output_count += FRAME_BYTES + bytes;
    return true;
}

static bool put_reply(struct peer_connection *connection, uint32_t stream, const char *body)
{
    char head[64];
    char length[12];
    const uint32_t body_bytes = (uint32_t)strlen(body);
    const int digits = snprintf(length, sizeof length, "%u", body_bytes);
    /* :status 200 from the static table; content-type and content-length as literals. */
    const int head_bytes = snprintf(head, sizeof head,
        "\x88\x0f\x10\x10"
        "application/json\x0f\x0d%c%s",
        digits, length);
    return put_frame(connection, FRAME_HEADERS, 4, stream, head, (uint32_t)head_bytes) &&
           put_frame(connection, FRAME_DATA, FLAG_END_STREAM, stream, body, body_bytes);
}

static bool answer_order(
    struct peer_connection *connection, struct bench_peer_page *page, uint32_t stream)
{
    const uint64_t number = atomic_load_explicit(&page->orders, memory_order_relaxed) + 1;
    char body[192];
    /* The documented reply of the v2 place call. */
    (void)snprintf(body, sizeof body,
        "{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[{\"requestTime\":\"26-May-2025 "
        "11:42:10\",\"brokerOrderId\":\"%015llu\"}]}",
        (unsigned long long)number);
    /* Release: the captured bytes are before it. */
    atomic_store_explicit(&page->orders, number, memory_order_release);
    return put_reply(connection, stream, body);
}

static void capture_headers(struct peer_connection *connection, struct bench_peer_page *page,
    uint32_t stream, const uint8_t *frame, uint32_t bytes)
{
    if (page->capture_count == BENCH_FOLLOWERS_MAX ||
        page->captured_used + bytes > BENCH_CAPTURE_BYTES)
        return;
    page->captures[page->capture_count] = (struct bench_capture){.connection = connection->number,
        .stream = stream,
        .offset = page->captured_used,
        .bytes = bytes,
        .data_at = bytes};
    memcpy(page->captured_bytes + page->captured_used, frame, bytes);
    page->captured_used += bytes;
}

static void capture_data(
    struct bench_peer_page *page, uint32_t stream, const uint8_t *frame, uint32_t bytes)
{
    if (page->capture_count == BENCH_FOLLOWERS_MAX ||
        page->captured_used + bytes > BENCH_CAPTURE_BYTES)
        return;
    struct bench_capture *capture = &page->captures[page->capture_count];
    if (capture->stream != stream)
        return;
    memcpy(page->captured_bytes + page->captured_used, frame, bytes);
    page->captured_used += bytes;
    capture->bytes += bytes;
    page->capture_count++;
}

static void warm(struct peer_connection *connection, struct bench_peer_page *page)
{
    if (connection->is_warm)
        return;
    connection->is_warm = true;
    atomic_fetch_add_explicit(&page->warm, 1, memory_order_relaxed);
}

static bool take_data(struct peer_connection *connection, struct bench_peer_page *page,
    uint32_t stream, uint8_t flags, const uint8_t *frame, uint32_t bytes)
{
    if (stream > connection->order_stream)
        return false; /* of a request that never came */
    if (atomic_load_explicit(&page->capture, memory_order_acquire) != 0)
        capture_data(page, stream, frame, FRAME_BYTES + bytes);
    connection->window_used += bytes;
    if (connection->window_used >= WINDOW_STEP) {
        uint8_t step[4];
        write_u32(step, connection->window_used);
        connection->window_used = 0;
        if (!put_frame(connection, FRAME_WINDOW_UPDATE, 0, 0, step, sizeof step))
            return false;
    }
    return (flags & FLAG_END_STREAM) == 0 || answer_order(connection, page, stream);
}

static bool take_frame(struct peer_connection *connection, struct bench_peer_page *page,
    const uint8_t *frame, uint32_t bytes)
{
    const uint8_t flags = frame[4];
    const uint32_t stream = read_u32(frame + 5) & 0x7fffffffu;
    switch ((enum frame)frame[3]) {
    case FRAME_SETTINGS:
        return (flags & FLAG_ACK) != 0 ||
               put_frame(connection, FRAME_SETTINGS, FLAG_ACK, 0, frame, 0);
    case FRAME_PING:
        warm(connection, page);
        return (flags & FLAG_ACK) != 0 || (bytes == 8 && put_frame(connection, FRAME_PING, FLAG_ACK,
                                                             0, frame + FRAME_BYTES, 8));
    case FRAME_HEADERS:
        if (stream <= connection->order_stream)
            return false; /* stream numbers only go up */
        warm(connection, page);
        if ((flags & FLAG_END_STREAM) != 0)
            return put_reply(connection, stream, "{}");
        connection->order_stream = stream;
        if (atomic_load_explicit(&page->capture, memory_order_acquire) != 0)
            capture_headers(connection, page, stream, frame, FRAME_BYTES + bytes);
        return true;
    case FRAME_DATA:
        return take_data(connection, page, stream, flags, frame, bytes);
    case FRAME_WINDOW_UPDATE:
    case FRAME_RST_STREAM:
    case FRAME_GOAWAY:
        return true;
    }
    return true;
}

static bool take_preface(struct peer_connection *connection)
{
    if (memcmp(connection->input, preface, PREFACE_BYTES) != 0)
        return false;
    /* MAX_CONCURRENT_STREAMS 1,000 and INITIAL_WINDOW_SIZE 1 MiB: the peer is never what waits. */
    static const uint8_t settings[] = {0, 3, 0, 0, 0x03, 0xe8, 0, 4, 0, 0x10, 0, 0};
    uint8_t window[4];
    write_u32(window, WINDOW_GIVEN);
    connection->has_preface = true;
    return put_frame(connection, FRAME_SETTINGS, 0, 0, settings, sizeof settings) &&
           put_frame(connection, FRAME_WINDOW_UPDATE, 0, 0, window, sizeof window);
}

bool peer_h2_receive(struct peer_connection *connection, struct bench_peer_page *page)
{
    uint32_t at = 0;
    if (!connection->has_preface) {
        if (connection->input_count < PREFACE_BYTES)
            return true;
        if (!take_preface(connection))
            return false;
        at = PREFACE_BYTES;
    }
    while (connection->input_count - at >= FRAME_BYTES) {
        const uint8_t *frame = connection->input + at;
        const uint32_t bytes = read_u32(frame) >> 8;
        if (bytes > PEER_INPUT_BYTES - FRAME_BYTES)
            return false;
        if (connection->input_count - at < FRAME_BYTES + bytes)
            break;
        if (!take_frame(connection, page, frame, bytes))
            return false;
        at += FRAME_BYTES + bytes;
    }
    memmove(connection->input, connection->input + at, connection->input_count - at);
    connection->input_count -= at;
    return true;
}
