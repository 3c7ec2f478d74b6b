/* h2_receive.c: frames from the peer, cut anywhere (RFC 9113 4 and 6). */
#include "engine/net/h2_private.h"

#include <string.h>

bool h2_charge(struct eng_h2 *h2)
{
    if (LS_LIKELY(h2->flood_left != 0)) {
        h2->flood_left--;
        return true;
    }
    return h2_fail(h2, H2_ENHANCE_YOUR_CALM, "the peer floods us with frames without use");
}

bool h2_give_back(struct eng_h2 *h2, uint32_t bytes)
{
    h2->window_owed += bytes;
    if (LS_LIKELY(h2->window_owed < H2_CONNECTION_WINDOW_STEP))
        return true;
    uint8_t window[4];
    h2_put_u32(window, h2->window_owed);
    h2->receive_window += h2->window_owed;
    h2->window_owed = 0;
    return h2_control(h2, H2_WINDOW_UPDATE, 0, 0, window, sizeof window);
}

/* True when the id is one of ours that was used: open or closed, but not idle and not the peer's.
 */
static bool is_known_id(const struct eng_h2 *h2, uint32_t id)
{
    return (id & 1) != 0 && id < h2->next_id;
}

static bool begin_data(struct eng_h2 *h2)
{
    if (!is_known_id(h2, h2->frame_id))
        return h2_fail(h2, H2_PROTOCOL_ERROR, "DATA on a stream that we did not open");
    h2->receive_window -= h2->frame_left;
    if (h2->receive_window < 0)
        return h2_fail(h2, H2_FLOW_CONTROL_ERROR, "more DATA than the connection's window");
    struct eng_h2_stream *stream = h2_stream(h2, h2->frame_id);
    if (h2->frame_left == 0 && !(h2->frame_flags & H2_FLAG_END_STREAM) && !h2_charge(h2))
        return false;
    if (stream != NULL) {
        stream->flags |= H2_STREAM_SEEN;
        stream->window_used += h2->frame_left;
        if (stream->window_used > H2_STREAM_WINDOW)
            return h2_fail(h2, H2_FLOW_CONTROL_ERROR, "more DATA than the stream's window");
        if (stream->window_used >= H2_STREAM_WINDOW / 2 &&
            !(h2->frame_flags & H2_FLAG_END_STREAM)) {
            uint8_t window[4];
            h2_put_u32(window, stream->window_used);
            stream->window_used = 0;
            if (!h2_control(h2, H2_WINDOW_UPDATE, 0, stream->id, window, sizeof window))
                return false;
        }
    } else if (!h2_charge(h2)) {
        return false;
    }
    h2->item_need = (h2->frame_flags & H2_FLAG_PADDED) ? 1 : 0;
    return true;
}

static bool begin_headers(struct eng_h2 *h2)
{
    if (!is_known_id(h2, h2->frame_id))
        return h2_fail(h2, H2_PROTOCOL_ERROR, "HEADERS on a stream that we did not open");
    struct eng_h2_stream *stream = h2_stream(h2, h2->frame_id);
    if (stream != NULL)
        stream->flags |= H2_STREAM_SEEN;
    else if (!h2_charge(h2))
        return false;
    h2->item_need = (uint8_t)(((h2->frame_flags & H2_FLAG_PADDED) ? 1 : 0) +
                              ((h2->frame_flags & H2_FLAG_PRIORITY) ? 5 : 0));
    return h2_block_begin(h2, h2->frame_id, (h2->frame_flags & H2_FLAG_END_STREAM) != 0);
}

static bool begin_settings(struct eng_h2 *h2)
{
    if (h2->frame_id != 0)
        return h2_fail(h2, H2_PROTOCOL_ERROR, "SETTINGS on a stream");
    if (h2->frame_flags & H2_FLAG_ACK) {
        if (h2->frame_left != 0)
            return h2_fail(h2, H2_FRAME_SIZE_ERROR, "SETTINGS ACK with a payload");
        return h2_charge(h2);
    }
    if (h2->frame_left % 6 != 0)
        return h2_fail(h2, H2_FRAME_SIZE_ERROR, "SETTINGS of a length that is no multiple of 6");
    h2->item_need = h2->frame_left == 0 ? 0 : 6;
    h2->next_peer = h2->peer;
    h2->next_peer.lowers_table = false;
    return h2_charge(h2);
}

/* Checks a frame's place, length and stream; sets how its payload is read. */
static bool begin_frame(struct eng_h2 *h2)
{
    const uint8_t *head = h2->head_bytes;
    h2->frame_left = h2_get_u32(head) >> 8;
    h2->frame_type = head[3];
    h2->frame_flags = head[4];
    h2->frame_id = h2_get_u32(head + 5) & H2_STREAM_ID_MAX;
    h2->frame_padding = 0;
    h2->item_have = h2->item_need = 0;
    h2->in_frame = true;

    if (h2->frame_left > H2_FRAME_MAX)
        return h2_fail(h2, H2_FRAME_SIZE_ERROR, "a frame longer than 16,384 bytes");
    if (LS_UNLIKELY(!h2->settings_seen) &&
        (h2->frame_type != H2_SETTINGS || (h2->frame_flags & H2_FLAG_ACK)))
        return h2_fail(h2, H2_PROTOCOL_ERROR, "the first frame is not SETTINGS");
    if (h2->block.stream_id != 0 &&
        (h2->frame_type != H2_CONTINUATION || h2->frame_id != h2->block.stream_id))
        return h2_fail(h2, H2_PROTOCOL_ERROR, "a header block is interrupted by another frame");

    switch (h2->frame_type) {
    case H2_DATA:
        return begin_data(h2);
    case H2_HEADERS:
        return begin_headers(h2);
    case H2_CONTINUATION:
        if (h2->block.stream_id == 0)
            return h2_fail(h2, H2_PROTOCOL_ERROR, "CONTINUATION without a header block");
        if (++h2->block.continuations > ENG_H2_CONTINUATIONS_MAX)
            return h2_fail(h2, H2_ENHANCE_YOUR_CALM, "more than 8 CONTINUATION frames");
        return true;
    case H2_SETTINGS:
        return begin_settings(h2);
    case H2_PING:
        if (h2->frame_id != 0)
            return h2_fail(h2, H2_PROTOCOL_ERROR, "PING on a stream");
        if (h2->frame_left != 8)
            return h2_fail(h2, H2_FRAME_SIZE_ERROR, "PING that is not 8 bytes");
        h2->item_need = 8;
        return h2_charge(h2);
    case H2_GOAWAY:
        if (h2->frame_id != 0)
            return h2_fail(h2, H2_PROTOCOL_ERROR, "GOAWAY on a stream");
        if (h2->frame_left < 8)
            return h2_fail(h2, H2_FRAME_SIZE_ERROR, "GOAWAY shorter than 8 bytes");
        h2->item_need = 8;
        return h2_charge(h2);
    case H2_RST_STREAM:
        if (h2->frame_left != 4)
            return h2_fail(h2, H2_FRAME_SIZE_ERROR, "RST_STREAM that is not 4 bytes");
        if (!is_known_id(h2, h2->frame_id))
            return h2_fail(h2, H2_PROTOCOL_ERROR, "RST_STREAM on a stream that we did not open");
        h2->item_need = 4;
        return h2_charge(h2);
    case H2_WINDOW_UPDATE:
        if (h2->frame_left != 4)
            return h2_fail(h2, H2_FRAME_SIZE_ERROR, "WINDOW_UPDATE that is not 4 bytes");
        if (h2->frame_id != 0 && !is_known_id(h2, h2->frame_id))
            return h2_fail(h2, H2_PROTOCOL_ERROR, "WINDOW_UPDATE on a stream that is idle");
        h2->item_need = 4;
        return h2_charge(h2);
    case H2_PUSH_PROMISE:
        return h2_fail(h2, H2_PROTOCOL_ERROR, "PUSH_PROMISE, which we have switched off");
    default: /* PRIORITY and types that we do not know are skipped */
        return h2_charge(h2);
    }
}

static bool take_setting(struct eng_h2 *h2)
{
    const uint32_t name = (uint32_t)h2->item[0] << 8 | h2->item[1];
    const uint32_t value = h2_get_u32(h2->item + 2);
    switch (name) {
    case H2_SET_HEADER_TABLE_SIZE:
        /* Our blocks never use the table, but a peer that lowers it wants to be told so. */
        if (value < h2->next_peer.table_bytes)
            h2->next_peer.lowers_table = true;
        h2->next_peer.table_bytes = value;
        return true;
    case H2_SET_ENABLE_PUSH:
        return value == 0 || h2_fail(h2, H2_PROTOCOL_ERROR, "a server that enables push");
    case H2_SET_MAX_CONCURRENT_STREAMS:
        h2->next_peer.max_streams = value;
        return true;
    case H2_SET_INITIAL_WINDOW_SIZE:
        /* Streams in flight have sent their whole body: only later ones are concerned. */
        if (value > H2_WINDOW_MAX)
            return h2_fail(h2, H2_FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE above 2^31-1");
        h2->next_peer.initial_window = value;
        return true;
    case H2_SET_MAX_FRAME_SIZE:
        return (value >= H2_FRAME_MAX && value <= 0xffffff) ||
               h2_fail(h2, H2_PROTOCOL_ERROR, "MAX_FRAME_SIZE outside [2^14, 2^24)");
    case H2_SET_MAX_HEADER_LIST_SIZE:
        h2->next_peer.max_list_bytes = value;
        return true;
    default:
        return true;
    }
}

/* The whole SETTINGS frame is here: apply and acknowledge, and the first time ask for the sign that
 * the peer has seen it all. */
static bool end_settings(struct eng_h2 *h2, int64_t now_mono_ns)
{
    h2->peer = h2->next_peer;
    h2->size_update_due |= h2->peer.lowers_table;
    if (!h2_control(h2, H2_SETTINGS, H2_FLAG_ACK, 0, NULL, 0))
        return false;
    if (h2->settings_seen)
        return true;
    h2->settings_seen = true;
    return eng_h2_ping(h2, now_mono_ns);
}

static bool take_goaway(struct eng_h2 *h2, const struct eng_h2_sink *sink)
{
    const uint32_t last_id = h2_get_u32(h2->item) & H2_STREAM_ID_MAX;
    const uint32_t code = h2_get_u32(h2->item + 4);
    h2->draining = true;
    h2->goaway_last_id =
        h2->goaway_seen && h2->goaway_last_id < last_id ? h2->goaway_last_id : last_id;
    h2->goaway_seen = true;
    for (uint32_t i = 0; i <= h2->slot_mask; i++) {
        struct eng_h2_stream *stream = &h2->streams[((h2->next_id >> 1) + i) & h2->slot_mask];
        if (stream->id == 0 || stream->id <= h2->goaway_last_id)
            continue;
        if (h2_withdraw(h2, stream))
            h2_lose(h2, stream, IPC_EVIDENCE_NO_BYTES, code, sink);
        else if (stream->flags & H2_STREAM_SEEN) /* it answered on what it says it never took */
            h2_lose(h2, stream, IPC_EVIDENCE_PROTOCOL, code, sink);
        else
            h2_lose(h2, stream, IPC_EVIDENCE_GOAWAY, code, sink);
    }
    return true;
}

static bool take_window_update(struct eng_h2 *h2)
{
    const uint32_t bytes = h2_get_u32(h2->item) & H2_STREAM_ID_MAX;
    if (bytes == 0)
        return h2_fail(h2, H2_PROTOCOL_ERROR, "WINDOW_UPDATE of 0");
    if (h2->frame_id != 0)
        return true; /* bodies leave whole: a stream's window matters only before it is opened */
    h2->send_window += bytes;
    return h2->send_window <= H2_WINDOW_MAX ||
           h2_fail(h2, H2_FLOW_CONTROL_ERROR, "a connection window above 2^31-1");
}

/* A fixed-size piece of a payload is complete in h2->item. */
static bool take_item(struct eng_h2 *h2, const struct eng_h2_sink *sink)
{
    switch (h2->frame_type) {
    case H2_DATA:
    case H2_HEADERS:
        h2->frame_padding = (h2->frame_flags & H2_FLAG_PADDED) ? h2->item[0] : 0;
        if (h2->frame_padding > h2->frame_left)
            return h2_fail(h2, H2_PROTOCOL_ERROR, "padding longer than its frame");
        h2->item_need = 0;
        if (h2->frame_type == H2_DATA)
            return h2_give_back(h2, 1 + h2->frame_padding);
        return true;
    case H2_SETTINGS:
        h2->item_have = 0;
        h2->item_need = h2->frame_left == 0 ? 0 : 6;
        return take_setting(h2);
    case H2_PING:
        h2->item_need = 0;
        if (!(h2->frame_flags & H2_FLAG_ACK))
            return h2_control(h2, H2_PING, H2_FLAG_ACK, 0, h2->item, 8);
        if (h2->ping_out && h2_get_u32(h2->item + 4) == (uint32_t)h2->ping_sequence) {
            h2->ping_out = false;
            h2->ping_sent_mono_ns = INT64_MAX;
            h2->warm = true;
        }
        return true;
    case H2_GOAWAY:
        h2->item_need = 0;
        return take_goaway(h2, sink);
    case H2_RST_STREAM: {
        h2->item_need = 0;
        struct eng_h2_stream *stream = h2_stream(h2, h2->frame_id);
        if (stream != NULL)
            h2_lose(h2, stream, IPC_EVIDENCE_RST_STREAM, h2_get_u32(h2->item), sink);
        return h2_give_back(h2, 0);
    }
    case H2_WINDOW_UPDATE:
        h2->item_need = 0;
        return take_window_update(h2);
    default:
        ls_check_failed("no other frame has fixed pieces", __FILE__, __LINE__);
        return false;
    }
}

/* Payload bytes beyond the fixed pieces: fragments, bodies, padding, and what is skipped. */
static bool take_payload(
    struct eng_h2 *h2, const uint8_t *bytes, uint32_t count, const struct eng_h2_sink *sink)
{
    const uint32_t content_left =
        h2->frame_left > h2->frame_padding ? h2->frame_left - h2->frame_padding : 0;
    const uint32_t content = count < content_left ? count : content_left;
    h2->frame_left -= count;
    if (content == 0)
        return true;
    const bool is_last = content == content_left;
    switch (h2->frame_type) {
    case H2_DATA:
        return h2_body_feed(
            h2, bytes, content, is_last && (h2->frame_flags & H2_FLAG_END_STREAM), sink);
    case H2_HEADERS:
    case H2_CONTINUATION:
        return h2_block_feed(
            h2, bytes, content, is_last && (h2->frame_flags & H2_FLAG_END_HEADERS), sink);
    default:
        return true;
    }
}

/* A frame whose content is empty still says END_HEADERS or END_STREAM. */
static bool take_empty(struct eng_h2 *h2, const struct eng_h2_sink *sink)
{
    if (h2->frame_left != h2->frame_padding)
        return true;
    if (h2->frame_type == H2_DATA && (h2->frame_flags & H2_FLAG_END_STREAM))
        return h2_body_feed(h2, NULL, 0, true, sink);
    if ((h2->frame_type == H2_HEADERS || h2->frame_type == H2_CONTINUATION) &&
        (h2->frame_flags & H2_FLAG_END_HEADERS))
        return h2_block_feed(h2, NULL, 0, true, sink);
    return true;
}

bool eng_h2_receive(struct eng_h2 *h2, const uint8_t *bytes, size_t count, int64_t now_mono_ns,
    const struct eng_h2_sink *sink)
{
    if (now_mono_ns - h2->flood_epoch_mono_ns >= LS_NS_PER_S) {
        h2->flood_epoch_mono_ns = now_mono_ns;
        if (h2->flood_left < ENG_H2_FLOOD_FRAMES_MAX)
            h2->flood_left = ENG_H2_FLOOD_FRAMES_MAX;
    }
    const uint8_t *const end = bytes + count;
    while (!h2->shut) {
        if (!h2->in_frame) {
            const size_t need = ENG_H2_FRAME_BYTES - h2->head_have;
            const size_t take = (size_t)(end - bytes) < need ? (size_t)(end - bytes) : need;
            if (take != 0)
                memcpy(h2->head_bytes + h2->head_have, bytes, take);
            bytes += take;
            h2->head_have = (uint8_t)(h2->head_have + take);
            if (h2->head_have < ENG_H2_FRAME_BYTES)
                return true;
            h2->head_have = 0;
            if (!begin_frame(h2))
                return false;
            if (h2->item_need > h2->frame_left)
                return h2_fail(h2, H2_FRAME_SIZE_ERROR, "a frame too short for its flags");
            if (h2->item_need == 0 && !take_empty(h2, sink))
                return false;
        }
        while (h2->item_need != 0) {
            const size_t need = (size_t)(h2->item_need - h2->item_have);
            const size_t take = (size_t)(end - bytes) < need ? (size_t)(end - bytes) : need;
            if (take != 0)
                memcpy(h2->item + h2->item_have, bytes, take);
            bytes += take;
            h2->item_have = (uint8_t)(h2->item_have + take);
            h2->frame_left -= (uint32_t)take;
            if (h2->item_have < h2->item_need)
                return true;
            if (!take_item(h2, sink))
                return false;
            if (h2->item_need == 0 && !take_empty(h2, sink))
                return false;
        }
        const size_t rest = (size_t)(end - bytes);
        const uint32_t take = rest < h2->frame_left ? (uint32_t)rest : h2->frame_left;
        if (take != 0 && !take_payload(h2, bytes, take, sink))
            return false;
        bytes += take;
        if (h2->frame_left != 0)
            return true;
        h2->in_frame = false;
        if (h2->frame_type == H2_SETTINGS && !(h2->frame_flags & H2_FLAG_ACK) &&
            !end_settings(h2, now_mono_ns))
            return false;
    }
    return false;
}
