/* h1_private.h: the fields of struct eng_h1, shared by h1.c (requests) and h1_reply.c (replies). */
#ifndef LS_ENGINE_NET_H1_PRIVATE_H
#define LS_ENGINE_NET_H1_PRIVATE_H

#include "engine/net/h1.h"

/* Where the reply is read. In the order of a reply. */
enum h1_at {
    H1_AT_START = 0, /* before the first byte of a reply */
    H1_AT_VERSION,   /* "HTTP/1." and a digit */
    H1_AT_STATUS,    /* blank and three digits */
    H1_AT_REASON,
    H1_AT_LINE_END, /* LF of the status line */
    H1_AT_FIELD,    /* first byte of a field, or CR of the empty line */
    H1_AT_NAME,
    H1_AT_VALUE,
    H1_AT_FIELD_END, /* LF of a field */
    H1_AT_HEAD_END,  /* LF of the empty line */
    H1_AT_BODY,      /* Content-Length */
    H1_AT_CHUNK_SIZE,
    H1_AT_CHUNK_EXTENSION,
    H1_AT_CHUNK_SIZE_END, /* LF */
    H1_AT_CHUNK,
    H1_AT_CHUNK_CR,
    H1_AT_CHUNK_LF,
    H1_AT_UNTIL_CLOSE,
};

#define H1_NAME_BYTES  24u
#define H1_VALUE_BYTES 96u

/* The head being read. */
struct h1_head {
    uint16_t status;
    uint8_t minor, digits;
    bool has_length, has_coding, says_close, says_keep, is_trailer;
    uint32_t length;
};

struct eng_h1 {
    /* Sending. */
    uint8_t *plain;
    uint32_t plain_capacity, head, tail;
    uint64_t plain_base; /* offset of plain[0] among all plain bytes */
    bool in_flight, overdue, draining, shut;
    uint32_t requests, replies;

    /* The request in flight. */
    uint32_t child, request_no, account;
    uint64_t plain_start;
    uint32_t plain_bytes;
    int64_t reply_by_mono_ns, leave_by_mono_ns;
    int64_t due_mono_ns;

    /* Its reply. */
    enum h1_at at;
    uint32_t overhead, interims;
    struct h1_head reply;
    uint8_t matched;    /* of "HTTP/1." */
    uint8_t name_bytes; /* H1_NAME_BYTES + 1 = longer than any field that matters here */
    uint8_t value_bytes;
    bool value_matters;
    char name[H1_NAME_BYTES], value[H1_VALUE_BYTES];
    uint32_t left; /* of the body or of the chunk */
    uint32_t chunk_digits;
    uint32_t received, chunk_first;
    struct eng_h2_bodies *bodies;

    uint32_t peer_requests_left, peer_idle_s;
    char error_text[96];
};

static inline uint64_t h1_sealed(const struct eng_h1 *h1)
{
    return h1->plain_base + h1->head;
}

/* h1_fail ends the connection; the first reason is kept. Returns false. */
bool h1_fail(struct eng_h1 *h1, const char *text);

/* h1_settle frees the request in flight and the pieces of its reply. */
void h1_settle(struct eng_h1 *h1);

#endif
