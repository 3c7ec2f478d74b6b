/* h2.c: a connection's life and its requests. Receiving is in h2_receive.c and h2_reply.c. */
#include "engine/net/bodies.h"
#include "engine/net/h2_private.h"
#include "engine/net/hpack.h"
#include "engine/net/memory.h"

#include <stdio.h>
#include <string.h>

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
#define PREFACE_BYTES 24u
_Static_assert(sizeof(preface) == PREFACE_BYTES + 1, "RFC 9113 3.4");

/* What content-length adds at most to a block and to its list. */
#define LENGTH_LIST_BYTES (14u + 5u + 32u)

size_t eng_h2_footprint(const struct eng_h2_limits *limits)
{
    return ls_align_up(sizeof(struct eng_h2), 64) +
           (size_t)limits->stream_slots * sizeof(struct eng_h2_stream) + limits->plain_bytes;
}

static void put_setting(uint8_t *out, uint32_t name, uint32_t value)
{
    out[0] = 0;
    out[1] = (uint8_t)name;
    h2_put_u32(out + 2, value);
}

/* Preface, SETTINGS and our connection window. */
static void put_greeting(struct eng_h2 *h2)
{
    memcpy(h2->plain, preface, PREFACE_BYTES);
    h2->tail = PREFACE_BYTES;
    uint8_t settings[24];
    put_setting(settings, H2_SET_HEADER_TABLE_SIZE, 0);
    put_setting(settings + 6, H2_SET_ENABLE_PUSH, 0);
    put_setting(settings + 12, H2_SET_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW);
    put_setting(settings + 18, H2_SET_MAX_HEADER_LIST_SIZE, ENG_H2_REPLY_HEADER_MAX);
    uint8_t window[4];
    h2_put_u32(window, H2_CONNECTION_WINDOW - 65535u);
    const bool is_put = h2_control(h2, H2_SETTINGS, 0, 0, settings, sizeof settings) &&
                        h2_control(h2, H2_WINDOW_UPDATE, 0, 0, window, sizeof window);
    LS_CHECK(is_put);
}

struct eng_h2 *eng_h2_init(
    void *memory, const struct eng_h2_limits *limits, struct eng_h2_bodies *bodies)
{
    LS_CHECK(limits->plain_bytes >= 4096 && limits->plain_bytes <= 1u << 20);
    LS_CHECK(limits->stream_slots >= 4 && limits->stream_slots <= 4096);
    LS_CHECK(ls_is_power_of_two(limits->stream_slots));
    LS_CHECK(((uintptr_t)memory & 63) == 0);
    struct eng_h2 *h2 = memory;
    uint8_t *streams = (uint8_t *)memory + ls_align_up(sizeof *h2, 64);
    const size_t streams_bytes = limits->stream_slots * sizeof(struct eng_h2_stream);
    memset(streams, 0, streams_bytes);
    *h2 = (struct eng_h2){
        .streams = (struct eng_h2_stream *)(void *)streams,
        .plain = streams + streams_bytes,
        .plain_capacity = limits->plain_bytes,
        .slot_mask = limits->stream_slots - 1,
        .next_id = 1,
        .peer =
            {
                .max_streams = UINT32_MAX,
                .max_list_bytes = UINT32_MAX,
                .table_bytes = 4096,
                .initial_window = 65535,
            },
        .send_window = 65535,
        .due_mono_ns = INT64_MAX,
        .receive_window = H2_CONNECTION_WINDOW,
        .ping_sent_mono_ns = INT64_MAX,
        .flood_left = ENG_H2_FLOOD_FRAMES_MAX,
        .bodies = bodies,
    };
    if (nghttp2_hd_inflate_new2(&h2->inflater, eng_memory_nghttp2()) != 0)
        return NULL;
    /* We announce 0, and still understand a peer that keeps the table of 4,096 bytes that RFC 7541
     * begins with: h2o 2.2 does not heed the setting, and its second reply on a connection refers
     * to what the first one put in. (The inflater's limit is the announced one for a peer that
     * does.) */
    put_greeting(h2);
    return h2;
}

void eng_h2_set_bodies(struct eng_h2 *h2, struct eng_h2_bodies *bodies)
{
    LS_CHECK(h2->open == 0);
    h2->bodies = bodies;
}

void eng_h2_free(struct eng_h2 *h2)
{
    nghttp2_hd_inflate_del(h2->inflater);
    h2->inflater = NULL;
    h2->shut = true;
}

/* True when some request has bytes that are not sealed. */
static bool has_unsealed_request(const struct eng_h2 *h2)
{
    for (uint32_t i = 0; i <= h2->slot_mask; i++) {
        const struct eng_h2_stream *stream = &h2->streams[i];
        if (stream->id != 0 && stream->plain_start + stream->plain_bytes > h2_sealed(h2))
            return true;
    }
    return false;
}

bool h2_fail(struct eng_h2 *h2, uint32_t code, const char *text)
{
    if (h2->shut)
        return false;
    h2->error = code;
    snprintf(h2->error_text, sizeof h2->error_text, "%s", text);
    h2->shut = true;
    /* A GOAWAY is a courtesy. Behind requests that will be reported as never sent it would take
     * them along, so then everything that waits is dropped instead. */
    if (has_unsealed_request(h2)) {
        h2->tail = h2->head;
        return false;
    }
    uint8_t payload[8] = {0};
    h2_put_u32(payload + 4, code);
    if (h2->tail + ENG_H2_FRAME_BYTES + sizeof payload <= h2->plain_capacity) {
        h2_put_frame(h2->plain + h2->tail, sizeof payload, H2_GOAWAY, 0, 0);
        memcpy(h2->plain + h2->tail + ENG_H2_FRAME_BYTES, payload, sizeof payload);
        h2->tail += ENG_H2_FRAME_BYTES + (uint32_t)sizeof payload;
    }
    return false;
}

/* Moves what waits to the front, so that the room is in one piece. */
static void compact(struct eng_h2 *h2)
{
    memmove(h2->plain, h2->plain + h2->head, h2->tail - h2->head);
    h2->plain_base += h2->head;
    h2->tail -= h2->head;
    h2->head = 0;
}

bool h2_control(struct eng_h2 *h2, uint32_t type, uint32_t flags, uint32_t id,
    const uint8_t *payload, uint32_t payload_bytes)
{
    const uint32_t bytes = ENG_H2_FRAME_BYTES + payload_bytes;
    if (h2->tail + bytes > h2->plain_capacity)
        compact(h2);
    if (h2->tail + bytes > h2->plain_capacity)
        return h2_fail(h2, H2_ENHANCE_YOUR_CALM, "the peer asks for answers that it does not read");
    h2_put_frame(h2->plain + h2->tail, payload_bytes, type, flags, id);
    if (payload_bytes != 0)
        memcpy(h2->plain + h2->tail + ENG_H2_FRAME_BYTES, payload, payload_bytes);
    h2->tail += bytes;
    return true;
}

enum eng_h2_admission eng_h2_can_send(
    const struct eng_h2 *h2, uint32_t header_bytes, uint32_t list_bytes, uint32_t body_bytes)
{
    if (LS_UNLIKELY(h2->shut || h2->draining || !h2->warm))
        return ENG_H2_SHUT;
    if (body_bytes != 0) {
        header_bytes += ENG_HPACK_LENGTH_BYTES_MAX;
        list_bytes += LENGTH_LIST_BYTES;
    }
    header_bytes += 1; /* a table size update */
    const uint32_t wire_bytes = 2 * ENG_H2_FRAME_BYTES + header_bytes + body_bytes;
    if (LS_UNLIKELY(header_bytes > ENG_HPACK_BLOCK_MAX || list_bytes > h2->peer.max_list_bytes ||
                    body_bytes > ENG_H2_BODY_MAX ||
                    wire_bytes + ENG_H2_CONTROL_RESERVE_BYTES > h2->plain_capacity))
        return ENG_H2_TOO_LARGE;
    if (LS_UNLIKELY(h2->open >= h2->peer.max_streams || h2->open > h2->slot_mask))
        return ENG_H2_NO_STREAM;
    if (LS_UNLIKELY(body_bytes > h2->send_window || body_bytes > h2->peer.initial_window))
        return ENG_H2_NO_WINDOW;
    if (LS_UNLIKELY(
            h2->tail - h2->head + wire_bytes + ENG_H2_CONTROL_RESERVE_BYTES > h2->plain_capacity))
        return ENG_H2_NO_ROOM;
    return ENG_H2_ADMITTED;
}

/* The slot of the next stream id. A slot that a stream without reply still holds is stepped over:
 * ids need not be consecutive. There is a free one (open <= slot_mask). */
static struct eng_h2_stream *next_stream(struct eng_h2 *h2)
{
    struct eng_h2_stream *stream = &h2->streams[(h2->next_id >> 1) & h2->slot_mask];
    while (LS_UNLIKELY(stream->id != 0)) {
        h2->next_id += 2;
        stream = &h2->streams[(h2->next_id >> 1) & h2->slot_mask];
    }
    stream->id = h2->next_id;
    h2->next_id += 2;
    if (LS_UNLIKELY(h2->next_id > H2_STREAM_ID_MAX - 4 * (h2->slot_mask + 1)))
        h2->draining = true;
    return stream;
}

enum eng_h2_admission eng_h2_request(
    struct eng_h2 *h2, const struct eng_h2_request *request, uint32_t *stream_id)
{
    LS_CHECK(request->part_count >= 1 && request->part_count <= ENG_H2_PARTS_MAX);
    uint32_t header_bytes = 0, list_bytes = 0;
    for (uint32_t i = 0; i < request->part_count; i++) {
        if (LS_UNLIKELY(request->parts[i].count > ENG_HPACK_BLOCK_MAX))
            return ENG_H2_TOO_LARGE;
        header_bytes += request->parts[i].count;
        list_bytes += request->parts[i].list_bytes;
    }
    const uint32_t body_bytes = request->body_bytes;
    const enum eng_h2_admission admission =
        eng_h2_can_send(h2, header_bytes, list_bytes, body_bytes);
    if (LS_UNLIKELY(admission != ENG_H2_ADMITTED))
        return admission;
    const uint32_t most_bytes =
        2 * ENG_H2_FRAME_BYTES + 1 + header_bytes + ENG_HPACK_LENGTH_BYTES_MAX + body_bytes;
    if (LS_UNLIKELY(h2->tail + most_bytes > h2->plain_capacity))
        compact(h2);

    struct eng_h2_stream *stream = next_stream(h2);
    uint8_t *const headers = h2->plain + h2->tail;
    uint8_t *at = headers + ENG_H2_FRAME_BYTES;
    if (LS_UNLIKELY(h2->size_update_due)) {
        *at++ = 0x20; /* table size 0: valid under every limit the peer may have set */
        h2->size_update_due = false;
    }
    for (uint32_t i = 0; i < request->part_count; i++) {
        memcpy(at, request->parts[i].bytes, request->parts[i].count);
        at += request->parts[i].count;
    }
    if (LS_LIKELY(body_bytes != 0)) {
        uint32_t digits;
        at += eng_hpack_put_length(at, body_bytes, &digits);
    }
    const uint32_t block_bytes = (uint32_t)(at - headers) - ENG_H2_FRAME_BYTES;
    h2_put_frame(headers, block_bytes, H2_HEADERS,
        H2_FLAG_END_HEADERS | (body_bytes == 0 ? H2_FLAG_END_STREAM : 0u), stream->id);
    if (LS_LIKELY(body_bytes != 0)) {
        h2_put_frame(at, body_bytes, H2_DATA, H2_FLAG_END_STREAM, stream->id);
        memcpy(at + ENG_H2_FRAME_BYTES, request->body, body_bytes);
        at += ENG_H2_FRAME_BYTES + body_bytes;
    }

    const uint32_t wire_bytes = (uint32_t)(at - headers);
    stream->child = request->child;
    stream->request_no = request->request_no;
    stream->account = request->account;
    stream->plain_start = h2->plain_base + h2->tail;
    stream->reply_by_mono_ns = request->reply_by_mono_ns;
    stream->leave_by_mono_ns = request->leave_by_mono_ns;
    stream->plain_bytes = (uint16_t)wire_bytes;
    stream->body_bytes = (uint16_t)body_bytes;
    stream->status = 0;
    stream->flags = 0;
    stream->content_length = -1;
    stream->received = 0;
    stream->chunk_first = ENG_H2_NO_CHUNK;
    stream->window_used = 0;
    h2->tail += wire_bytes;
    h2->send_window -= body_bytes;
    h2->open++;
    h2->requests++;
    h2->flood_left += h2->flood_left < 4 * ENG_H2_FLOOD_FRAMES_MAX ? 4 : 0;
    h2->due_mono_ns = ls_min_i64(
        h2->due_mono_ns, ls_min_i64(request->reply_by_mono_ns, request->leave_by_mono_ns));
    if (stream_id != NULL)
        *stream_id = stream->id;
    return ENG_H2_ADMITTED;
}
_Static_assert(2 * ENG_H2_FRAME_BYTES + ENG_HPACK_BLOCK_MAX + ENG_H2_BODY_MAX <= UINT16_MAX,
    "a request's bytes are counted in 16 bits");

struct adp_span eng_h2_output(const struct eng_h2 *h2)
{
    return (struct adp_span){h2->plain + h2->head, h2->tail - h2->head};
}

void eng_h2_output_taken(struct eng_h2 *h2, size_t bytes)
{
    LS_CHECK(bytes <= h2->tail - h2->head);
    h2->head += (uint32_t)bytes;
    if (h2->head == h2->tail) {
        h2->plain_base += h2->head;
        h2->head = h2->tail = 0;
    }
}

uint64_t eng_h2_sealed(const struct eng_h2 *h2)
{
    return h2_sealed(h2);
}

void h2_drop_stream(struct eng_h2 *h2, struct eng_h2_stream *stream)
{
    eng_bodies_drop(h2->bodies, stream->chunk_first);
    h2->window_owed += stream->received;
    if (stream->flags & H2_STREAM_OVERDUE)
        h2->overdue--;
    stream->id = 0;
    LS_CHECK(h2->open > 0);
    h2->open--;
}

void h2_lose(struct eng_h2 *h2, struct eng_h2_stream *stream, enum ipc_evidence evidence,
    uint32_t h2_error, const struct eng_h2_sink *sink)
{
    const struct eng_h2_loss loss = {
        .child = stream->child,
        .request_no = stream->request_no,
        .account = stream->account,
        .stream_id = stream->id,
        .h2_error = h2_error,
        .evidence = evidence,
    };
    const bool was_reported = (stream->flags & H2_STREAM_OVERDUE) != 0;
    h2_drop_stream(h2, stream);
    if (!was_reported)
        sink->loss(&loss, sink->context);
}

bool h2_withdraw(struct eng_h2 *h2, struct eng_h2_stream *stream)
{
    if (stream->plain_start < h2_sealed(h2))
        return false;
    if (h2->shut) /* h2_fail has dropped everything that waited: nothing leaves any more */
        return true;
    const uint32_t bytes = stream->plain_bytes;
    const uint32_t at = (uint32_t)(stream->plain_start - h2->plain_base);
    LS_CHECK(at >= h2->head && at + bytes <= h2->tail);
    memmove(h2->plain + at, h2->plain + at + bytes, h2->tail - at - bytes);
    h2->tail -= bytes;
    for (uint32_t i = 0; i <= h2->slot_mask; i++) {
        if (h2->streams[i].id != 0 && h2->streams[i].plain_start > stream->plain_start)
            h2->streams[i].plain_start -= bytes;
    }
    h2->send_window += stream->body_bytes;
    h2->size_update_due = true; /* it may have carried the update; a second one does no harm */
    return true;
}

void eng_h2_expire(struct eng_h2 *h2, int64_t now_mono_ns, const struct eng_h2_sink *sink)
{
    if (LS_LIKELY(now_mono_ns < h2->due_mono_ns))
        return;
    h2->due_mono_ns = INT64_MAX;
    int64_t due = INT64_MAX;
    for (uint32_t i = 0; i <= h2->slot_mask; i++) { /* oldest ids first */
        struct eng_h2_stream *stream = &h2->streams[((h2->next_id >> 1) + i) & h2->slot_mask];
        if (stream->id == 0 || (stream->flags & H2_STREAM_OVERDUE))
            continue;
        const bool is_sealed = stream->plain_start < h2_sealed(h2);
        const int64_t leave_by =
            is_sealed ? INT64_MAX : ls_min_i64(stream->leave_by_mono_ns, stream->reply_by_mono_ns);
        if (now_mono_ns >= leave_by && h2_withdraw(h2, stream)) {
            h2_lose(h2, stream, IPC_EVIDENCE_NO_BYTES, 0, sink);
            continue;
        }
        if (now_mono_ns >= stream->reply_by_mono_ns) {
            stream->flags |= H2_STREAM_OVERDUE;
            h2->overdue++;
            const struct eng_h2_loss loss = {
                .child = stream->child,
                .request_no = stream->request_no,
                .account = stream->account,
                .stream_id = stream->id,
                .evidence = IPC_EVIDENCE_TIMEOUT,
            };
            sink->loss(&loss, sink->context);
            continue;
        }
        due = ls_min_i64(due, ls_min_i64(leave_by, stream->reply_by_mono_ns));
    }
    h2->due_mono_ns = ls_min_i64(h2->due_mono_ns, due);
}

bool eng_h2_has_stale(const struct eng_h2 *h2, int64_t now_mono_ns)
{
    for (uint32_t i = 0; i <= h2->slot_mask; i++) {
        const struct eng_h2_stream *stream = &h2->streams[i];
        if (stream->id != 0 && stream->plain_start < h2_sealed(h2) &&
            now_mono_ns >= stream->leave_by_mono_ns)
            return true;
    }
    return false;
}

int64_t eng_h2_next_due(const struct eng_h2 *h2)
{
    return h2->due_mono_ns;
}

bool eng_h2_ping(struct eng_h2 *h2, int64_t now_mono_ns)
{
    if (h2->ping_out || h2->shut)
        return false;
    uint8_t payload[8] = {'L', 'S'};
    h2_put_u32(payload + 4, (uint32_t)++h2->ping_sequence);
    if (!h2_control(h2, H2_PING, 0, 0, payload, sizeof payload))
        return false;
    h2->ping_out = true;
    h2->ping_sent_mono_ns = now_mono_ns;
    return true;
}

int64_t eng_h2_ping_sent(const struct eng_h2 *h2)
{
    return h2->ping_sent_mono_ns;
}

void eng_h2_end(
    struct eng_h2 *h2, enum ipc_evidence evidence, uint64_t handed, const struct eng_h2_sink *sink)
{
    h2->shut = true;
    h2->head = h2->tail; /* what is reported as never sent never leaves */
    for (uint32_t i = 0; i <= h2->slot_mask; i++) {
        struct eng_h2_stream *stream = &h2->streams[((h2->next_id >> 1) + i) & h2->slot_mask];
        if (stream->id == 0)
            continue;
        const bool has_left = stream->plain_start < handed;
        h2_lose(h2, stream, has_left ? evidence : IPC_EVIDENCE_NO_BYTES, has_left ? h2->error : 0,
            sink);
    }
}

bool eng_h2_ready(const struct eng_h2 *h2)
{
    return h2->warm && !h2->shut;
}

uint32_t eng_h2_open_streams(const struct eng_h2 *h2)
{
    return h2->open;
}

uint32_t eng_h2_requests(const struct eng_h2 *h2)
{
    return h2->requests;
}

uint32_t eng_h2_replies(const struct eng_h2 *h2)
{
    return h2->replies;
}

uint32_t eng_h2_free_streams(const struct eng_h2 *h2)
{
    const uint32_t limit =
        h2->peer.max_streams <= h2->slot_mask ? h2->peer.max_streams : h2->slot_mask + 1;
    return limit > h2->open ? limit - h2->open : 0;
}

bool eng_h2_draining(const struct eng_h2 *h2)
{
    return h2->draining;
}

uint32_t eng_h2_error(const struct eng_h2 *h2)
{
    return h2->error;
}

const char *eng_h2_error_text(const struct eng_h2 *h2)
{
    return h2->error_text;
}

uint32_t eng_h2_overdue_streams(const struct eng_h2 *h2)
{
    return h2->overdue;
}

uint32_t eng_h2_peer_max_streams(const struct eng_h2 *h2)
{
    return h2->peer.max_streams;
}
