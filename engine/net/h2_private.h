/* h2_private.h: the fields of struct eng_h2 and what h2.c, h2_receive.c and h2_reply.c share. */
#ifndef LS_ENGINE_NET_H2_PRIVATE_H
#define LS_ENGINE_NET_H2_PRIVATE_H

#include "engine/net/h2.h"

enum {
    H2_DATA = 0,
    H2_HEADERS = 1,
    H2_PRIORITY = 2,
    H2_RST_STREAM = 3,
    H2_SETTINGS = 4,
    H2_PUSH_PROMISE = 5,
    H2_PING = 6,
    H2_GOAWAY = 7,
    H2_WINDOW_UPDATE = 8,
    H2_CONTINUATION = 9,
};

enum {
    H2_FLAG_END_STREAM = 0x1,
    H2_FLAG_ACK = 0x1,
    H2_FLAG_END_HEADERS = 0x4,
    H2_FLAG_PADDED = 0x8,
    H2_FLAG_PRIORITY = 0x20,
};

enum {
    H2_SET_HEADER_TABLE_SIZE = 1,
    H2_SET_ENABLE_PUSH = 2,
    H2_SET_MAX_CONCURRENT_STREAMS = 3,
    H2_SET_INITIAL_WINDOW_SIZE = 4,
    H2_SET_MAX_FRAME_SIZE = 5,
    H2_SET_MAX_HEADER_LIST_SIZE = 6,
};

enum {
    H2_NO_ERROR = 0,
    H2_PROTOCOL_ERROR = 1,
    H2_FLOW_CONTROL_ERROR = 3,
    H2_FRAME_SIZE_ERROR = 6,
    H2_CANCEL = 8,
    H2_COMPRESSION_ERROR = 9,
    H2_ENHANCE_YOUR_CALM = 11,
};

#define H2_WINDOW_MAX             INT64_C(0x7fffffff)
#define H2_FRAME_MAX              16384u /* of frames that we take: the default, never raised */
#define H2_STREAM_WINDOW          131072u /* announced; twice the largest body, so padding fits too */
#define H2_CONNECTION_WINDOW      262144u /* ours: bounds what lies in pieces on one connection */
#define H2_CONNECTION_WINDOW_STEP 32768u  /* given back in steps of this */
#define H2_STREAM_ID_MAX          0x7fffffffu

#define H2_STREAM_SEEN            1u /* a frame of the peer came on it */
#define H2_STREAM_OVERDUE         2u /* TIMEOUT was reported */

/* The header block being received. One at a time: nothing may stand between its frames. */
struct h2_block {
    uint32_t stream_id; /* 0 = none */
    uint32_t bytes, list_bytes, continuations;
    uint16_t status;
    bool end_stream, has_regular, malformed;
    int32_t content_length;
};

/* What the peer has announced. A frame is applied as a whole, with its ACK: a request made between
 * two halves of it would use a window that the peer does not know to be ours yet. */
struct h2_peer {
    uint32_t max_streams, max_list_bytes, table_bytes;
    bool lowers_table; /* at some place in the frame */
    int64_t initial_window;
};

struct eng_h2 {
    /* Sending: what a request touches. */
    struct eng_h2_stream *streams;
    uint8_t *plain;
    uint64_t plain_base; /* offset of plain[0] among all plain bytes */
    uint32_t plain_capacity, head, tail;
    uint32_t slot_mask, next_id, open, overdue, requests, replies;
    struct h2_peer peer;
    int64_t send_window;
    int64_t due_mono_ns;
    bool size_update_due, warm, settings_seen, draining, shut;

    /* Receiving. */
    bool ping_out;
    uint8_t frame_type, frame_flags, item_have, item_need, head_have;
    uint32_t frame_id, frame_left, frame_padding;
    uint8_t head_bytes[ENG_H2_FRAME_BYTES];
    uint8_t item[16];
    bool in_frame;
    bool goaway_seen;
    uint32_t goaway_last_id;
    int64_t receive_window;
    uint32_t window_owed;
    uint64_t ping_sequence;
    int64_t ping_sent_mono_ns;
    uint32_t flood_left;
    int64_t flood_epoch_mono_ns;
    struct h2_peer next_peer; /* SETTINGS being received */
    struct h2_block block;
    nghttp2_hd_inflater *inflater;
    struct eng_h2_bodies *bodies;

    uint32_t error;
    char error_text[96];
};

static inline struct eng_h2_stream *h2_stream(struct eng_h2 *h2, uint32_t id)
{
    struct eng_h2_stream *stream = &h2->streams[(id >> 1) & h2->slot_mask];
    return stream->id == id ? stream : NULL;
}

static inline void h2_put_u32(uint8_t *out, uint32_t value)
{
    const uint32_t wire = __builtin_bswap32(value);
    __builtin_memcpy(out, &wire, 4);
}

static inline uint32_t h2_get_u32(const uint8_t *in)
{
    uint32_t wire;
    __builtin_memcpy(&wire, in, 4);
    return __builtin_bswap32(wire);
}

static inline void h2_put_frame(
    uint8_t *out, uint32_t payload_bytes, uint32_t type, uint32_t flags, uint32_t id)
{
    h2_put_u32(out, payload_bytes << 8 | type);
    out[4] = (uint8_t)flags;
    h2_put_u32(out + 5, id);
}

static inline uint64_t h2_sealed(const struct eng_h2 *h2)
{
    return h2->plain_base + h2->head;
}

/* h2_fail ends the connection for what the peer did; the first reason is kept. Returns false, so
 * that callers can hand it on. */
bool h2_fail(struct eng_h2 *h2, uint32_t code, const char *text);

/* h2_control appends one of our own control frames; false (and h2_fail) when the reserve is used
 * up. */
bool h2_control(struct eng_h2 *h2, uint32_t type, uint32_t flags, uint32_t id,
    const uint8_t *payload, uint32_t payload_bytes);

/* h2_drop_stream frees the slot and the pieces of its body; flow-controlled bytes are owed back. */
void h2_drop_stream(struct eng_h2 *h2, struct eng_h2_stream *stream);

/* h2_lose frees the stream and reports it, unless a TIMEOUT was reported before. */
void h2_lose(struct eng_h2 *h2, struct eng_h2_stream *stream, enum ipc_evidence evidence,
    uint32_t h2_error, const struct eng_h2_sink *sink);

/* h2_withdraw takes an unsealed request out of the plain arena; false when a byte of it is sealed.
 * The stream itself stays for the caller to lose. */
bool h2_withdraw(struct eng_h2 *h2, struct eng_h2_stream *stream);

/* Header block of a reply (h2_reply.c): begin, fragments, and what follows from the whole. Each
 * returns false after h2_fail. */
bool h2_block_begin(struct eng_h2 *h2, uint32_t stream_id, bool end_stream);
bool h2_block_feed(struct eng_h2 *h2, const uint8_t *bytes, size_t count, bool last,
    const struct eng_h2_sink *sink);

/* Body bytes of a reply; `last` with END_STREAM. */
bool h2_body_feed(struct eng_h2 *h2, const uint8_t *bytes, size_t count, bool last,
    const struct eng_h2_sink *sink);

/* h2_charge takes one frame without progress from the flood budget; false after h2_fail. */
bool h2_charge(struct eng_h2 *h2);

/* h2_give_back owes flow-controlled bytes to the peer and sends WINDOW_UPDATE in steps. */
bool h2_give_back(struct eng_h2 *h2, uint32_t bytes);

#endif
