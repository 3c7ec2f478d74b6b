/* h2_reply.c: header blocks and bodies of replies, and when a reply counts (RFC 9113 8.1). */
#include "engine/net/bodies.h"
#include "engine/net/h2_private.h"

#include <string.h>

/* Gives a stream up whose reply cannot be used, and tells the peer; the connection goes on. */
static bool refuse_reply(struct eng_h2 *h2, struct eng_h2_stream *stream,
    enum ipc_evidence evidence, uint32_t code, bool is_ended, const struct eng_h2_sink *sink)
{
    uint8_t payload[4];
    h2_put_u32(payload, code);
    const uint32_t id = stream->id;
    h2_lose(h2, stream, evidence, code, sink);
    if (!is_ended && !h2_control(h2, H2_RST_STREAM, 0, id, payload, sizeof payload))
        return false;
    return h2_give_back(h2, 0);
}

/* END_STREAM: the reply counts if there was a final status and the length is the announced one. */
static bool finish(struct eng_h2 *h2, struct eng_h2_stream *stream, const uint8_t *body,
    const struct eng_h2_sink *sink)
{
    const bool is_complete =
        stream->status != 0 &&
        (stream->content_length < 0 || (uint32_t)stream->content_length == stream->received);
    if (!is_complete)
        return refuse_reply(h2, stream, IPC_EVIDENCE_PROTOCOL, H2_PROTOCOL_ERROR, true, sink);
    const struct eng_h2_reply reply = {
        .child = stream->child,
        .request_no = stream->request_no,
        .account = stream->account,
        .stream_id = stream->id,
        .http_status = stream->status,
        .late = (stream->flags & H2_STREAM_OVERDUE) != 0,
        .body = {stream->chunk_first == ENG_H2_NO_CHUNK
                     ? body
                     : eng_bodies_whole(h2->bodies, stream->chunk_first, stream->received),
            stream->received},
    };
    h2_drop_stream(h2, stream);
    h2->replies++;
    sink->reply(&reply, sink->context);
    return h2_give_back(h2, 0);
}

bool h2_body_feed(struct eng_h2 *h2, const uint8_t *bytes, size_t count, bool last,
    const struct eng_h2_sink *sink)
{
    struct eng_h2_stream *stream = h2_stream(h2, h2->frame_id);
    if (stream == NULL) /* closed on our side: the bytes only count for the window */
        return h2_give_back(h2, (uint32_t)count);
    if (stream->status == 0) {
        h2->window_owed += (uint32_t)count;
        return refuse_reply(h2, stream, IPC_EVIDENCE_PROTOCOL, H2_PROTOCOL_ERROR, last, sink);
    }
    if (stream->received + count > ENG_H2_REPLY_BODY_MAX)
        return h2_fail(h2, H2_ENHANCE_YOUR_CALM, "a reply body above 64 KiB");
    if (LS_LIKELY(last && stream->received == 0)) {
        stream->received = (uint32_t)count;
        return finish(h2, stream, bytes, sink);
    }
    const uint32_t before = stream->received;
    if (count != 0 &&
        !eng_bodies_keep(h2->bodies, &stream->chunk_first, &stream->received, bytes, count)) {
        h2->window_owed += (uint32_t)count - (stream->received - before);
        return refuse_reply(h2, stream, IPC_EVIDENCE_MALFORMED, H2_CANCEL, last, sink);
    }
    return !last || finish(h2, stream, NULL, sink);
}

bool h2_block_begin(struct eng_h2 *h2, uint32_t stream_id, bool end_stream)
{
    h2->block = (struct h2_block){
        .stream_id = stream_id,
        .end_stream = end_stream,
        .content_length = -1,
    };
    return true;
}

static bool parse_length(const uint8_t *digits, size_t count, int32_t *out)
{
    if (count == 0 || count > 9)
        return false;
    int32_t value = 0;
    for (size_t i = 0; i < count; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        value = value * 10 + (digits[i] - '0');
    }
    *out = value;
    return true;
}

static bool parse_status(const uint8_t *digits, size_t count, uint16_t *out)
{
    int32_t value;
    if (count != 3 || !parse_length(digits, count, &value) || value < 100)
        return false;
    *out = (uint16_t)value;
    return true;
}

/* One decoded field. What makes the reply unusable is noted; the block is decoded to its end, for
 * the state that both sides share. */
static void take_field(struct h2_block *block, const nghttp2_nv *field)
{
    if (field->namelen == 0) {
        block->malformed = true;
        return;
    }
    if (field->name[0] == ':') {
        uint16_t status;
        if (block->has_regular || block->status != 0 || field->namelen != 7 ||
            memcmp(field->name, ":status", 7) != 0 ||
            !parse_status(field->value, field->valuelen, &status)) {
            block->malformed = true;
            return;
        }
        block->status = status;
        return;
    }
    block->has_regular = true;
    if (field->namelen == 14 && memcmp(field->name, "content-length", 14) == 0) {
        int32_t length;
        if (!parse_length(field->value, field->valuelen, &length) ||
            (block->content_length >= 0 && block->content_length != length)) {
            block->malformed = true;
            return;
        }
        block->content_length = length;
    }
}

/* The block is whole: interim reply, final reply or trailers. */
static bool finish_block(struct eng_h2 *h2, const struct eng_h2_sink *sink)
{
    const struct h2_block block = h2->block;
    h2->block.stream_id = 0;
    struct eng_h2_stream *stream = h2_stream(h2, block.stream_id);
    if (stream == NULL)
        return true;
    const bool is_trailer = stream->status != 0;
    const bool is_interim = !is_trailer && block.status >= 100 && block.status < 200;
    const bool is_wrong = block.malformed || (is_trailer && !block.end_stream) ||
                          (is_trailer && block.status != 0) || (!is_trailer && block.status == 0) ||
                          (is_interim && (block.end_stream || block.status == 101));
    if (is_wrong)
        return refuse_reply(
            h2, stream, IPC_EVIDENCE_PROTOCOL, H2_PROTOCOL_ERROR, block.end_stream, sink);
    if (is_interim)
        return h2_charge(h2);
    if (!is_trailer) {
        stream->status = block.status;
        stream->content_length = block.content_length;
    }
    return !block.end_stream || finish(h2, stream, NULL, sink);
}

bool h2_block_feed(struct eng_h2 *h2, const uint8_t *bytes, size_t count, bool last,
    const struct eng_h2_sink *sink)
{
    struct h2_block *block = &h2->block;
    block->bytes += (uint32_t)count;
    if (block->bytes > ENG_H2_REPLY_HEADER_MAX)
        return h2_fail(h2, H2_ENHANCE_YOUR_CALM, "a header block above 32 KiB");
    for (;;) {
        nghttp2_nv field;
        int flags = 0;
        const ssize_t used =
            nghttp2_hd_inflate_hd2(h2->inflater, &field, &flags, bytes, count, last);
        if (used < 0)
            return h2_fail(h2, H2_COMPRESSION_ERROR, "a header block that cannot be decoded");
        if (used > 0)
            bytes += used;
        count -= (size_t)used;
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            block->list_bytes += (uint32_t)(field.namelen + field.valuelen) + 32u;
            if (block->list_bytes > ENG_H2_REPLY_HEADER_MAX)
                return h2_fail(h2, H2_ENHANCE_YOUR_CALM, "a header list above 32 KiB");
            take_field(block, &field);
        }
        if (flags & NGHTTP2_HD_INFLATE_FINAL) {
            nghttp2_hd_inflate_end_headers(h2->inflater);
            return finish_block(h2, sink);
        }
        if (count == 0 && !(flags & NGHTTP2_HD_INFLATE_EMIT))
            return true;
    }
}
