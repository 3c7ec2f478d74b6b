/* h1.c: a connection's life and its requests. Replies are read in h1_reply.c. */
#include "engine/net/bodies.h"
#include "engine/net/h1_private.h"

#include <stdio.h>
#include <string.h>

/* "content-length: 16384", CRLF and the empty line. */
#define TAIL_BYTES_MAX 32u

size_t eng_h1_footprint(uint32_t plain_bytes)
{
    return ls_align_up(sizeof(struct eng_h1), 64) + plain_bytes;
}

struct eng_h1 *eng_h1_init(void *memory, uint32_t plain_bytes, struct eng_h2_bodies *bodies)
{
    LS_CHECK(plain_bytes >= 4096 && plain_bytes <= 1u << 20);
    LS_CHECK(((uintptr_t)memory & 63) == 0);
    struct eng_h1 *h1 = memory;
    *h1 = (struct eng_h1){
        .plain = (uint8_t *)memory + ls_align_up(sizeof *h1, 64),
        .plain_capacity = plain_bytes,
        .due_mono_ns = INT64_MAX,
        .chunk_first = ENG_H2_NO_CHUNK,
        .bodies = bodies,
        .peer_requests_left = UINT32_MAX,
        .peer_idle_s = UINT32_MAX,
    };
    return h1;
}

void eng_h1_set_bodies(struct eng_h1 *h1, struct eng_h2_bodies *bodies)
{
    LS_CHECK(!h1->in_flight);
    h1->bodies = bodies;
}

bool h1_fail(struct eng_h1 *h1, const char *text)
{
    if (h1->shut)
        return false;
    snprintf(h1->error_text, sizeof h1->error_text, "%s", text);
    h1->shut = true;
    h1->head = h1->tail; /* what has not left stays */
    return false;
}

enum eng_h2_admission eng_h1_can_send(
    const struct eng_h1 *h1, uint32_t header_bytes, uint32_t body_bytes)
{
    if (LS_UNLIKELY(h1->shut || h1->draining))
        return ENG_H2_SHUT;
    if (LS_UNLIKELY(header_bytes > ENG_H1_HEAD_MAX || body_bytes > ENG_H2_BODY_MAX ||
                    header_bytes + TAIL_BYTES_MAX + body_bytes > h1->plain_capacity))
        return ENG_H2_TOO_LARGE;
    return h1->in_flight ? ENG_H2_NO_STREAM : ENG_H2_ADMITTED;
}

/* Writes "content-length: n", CRLF; returns its end. n < 100,000. */
static uint8_t *put_length(uint8_t *out, uint32_t n)
{
    static const char name[] = "content-length: ";
    memcpy(out, name, sizeof name - 1);
    out += sizeof name - 1;
    char digits[8];
    uint32_t count = 0;
    do {
        digits[count++] = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    while (count != 0)
        *out++ = (uint8_t)digits[--count];
    *out++ = '\r';
    *out++ = '\n';
    return out;
}

enum eng_h2_admission eng_h1_request(
    struct eng_h1 *h1, const struct eng_h2_request *request, uint32_t *number)
{
    LS_CHECK(request->part_count >= 1 && request->part_count <= ENG_H2_PARTS_MAX);
    uint32_t header_bytes = 0;
    for (uint32_t i = 0; i < request->part_count; i++) {
        if (LS_UNLIKELY(request->parts[i].count > ENG_H1_HEAD_MAX))
            return ENG_H2_TOO_LARGE;
        header_bytes += request->parts[i].count;
    }
    const enum eng_h2_admission admission = eng_h1_can_send(h1, header_bytes, request->body_bytes);
    if (LS_UNLIKELY(admission != ENG_H2_ADMITTED))
        return admission;
    /* The reply of the request before came after its last byte had left (h1_reply.c). */
    LS_CHECK(h1->head == h1->tail);
    h1->plain_base += h1->head;
    h1->head = h1->tail = 0;
    uint8_t *at = h1->plain;
    for (uint32_t i = 0; i < request->part_count; i++) {
        memcpy(at, request->parts[i].bytes, request->parts[i].count);
        at += request->parts[i].count;
    }
    if (LS_LIKELY(request->body_bytes != 0))
        at = put_length(at, request->body_bytes);
    *at++ = '\r';
    *at++ = '\n';
    if (LS_LIKELY(request->body_bytes != 0)) {
        memcpy(at, request->body, request->body_bytes);
        at += request->body_bytes;
    }
    h1->tail = (uint32_t)(at - h1->plain);
    LS_CHECK(h1->tail <= h1->plain_capacity);
    h1->in_flight = true;
    h1->overdue = false;
    h1->child = request->child;
    h1->request_no = request->request_no;
    h1->account = request->account;
    h1->plain_start = h1->plain_base;
    h1->plain_bytes = h1->tail;
    h1->reply_by_mono_ns = request->reply_by_mono_ns;
    h1->leave_by_mono_ns = request->leave_by_mono_ns;
    h1->due_mono_ns = ls_min_i64(request->reply_by_mono_ns, request->leave_by_mono_ns);
    h1->at = H1_AT_START;
    h1->overhead = h1->interims = 0;
    h1->received = 0;
    h1->requests++;
    if (number != NULL)
        *number = h1->requests;
    return ENG_H2_ADMITTED;
}

struct adp_span eng_h1_output(const struct eng_h1 *h1)
{
    return (struct adp_span){h1->plain + h1->head, h1->tail - h1->head};
}

void eng_h1_output_taken(struct eng_h1 *h1, size_t bytes)
{
    LS_CHECK(bytes <= h1->tail - h1->head);
    h1->head += (uint32_t)bytes;
}

uint64_t eng_h1_sealed(const struct eng_h1 *h1)
{
    return h1_sealed(h1);
}

void h1_settle(struct eng_h1 *h1)
{
    LS_CHECK(h1->in_flight);
    eng_bodies_drop(h1->bodies, h1->chunk_first);
    h1->chunk_first = ENG_H2_NO_CHUNK;
    h1->received = 0;
    h1->in_flight = h1->overdue = false;
    h1->due_mono_ns = INT64_MAX;
    h1->at = H1_AT_START;
}

static void lose(struct eng_h1 *h1, enum ipc_evidence evidence, const struct eng_h2_sink *sink)
{
    const struct eng_h2_loss loss = {
        .child = h1->child,
        .request_no = h1->request_no,
        .account = h1->account,
        .stream_id = h1->requests,
        .evidence = evidence,
    };
    sink->loss(&loss, sink->context);
}

void eng_h1_expire(struct eng_h1 *h1, int64_t now_mono_ns, const struct eng_h2_sink *sink)
{
    if (LS_LIKELY(now_mono_ns < h1->due_mono_ns))
        return;
    h1->due_mono_ns = INT64_MAX;
    if (!h1->in_flight || h1->overdue)
        return;
    const bool is_sealed = h1->plain_start < h1_sealed(h1);
    const int64_t leave_by = ls_min_i64(h1->leave_by_mono_ns, h1->reply_by_mono_ns);
    if (!is_sealed && now_mono_ns >= leave_by) {
        h1->tail = h1->head; /* not a byte of it was given away, and none leaves any more */
        lose(h1, IPC_EVIDENCE_NO_BYTES, sink);
        h1_settle(h1);
    } else if (now_mono_ns >= h1->reply_by_mono_ns) {
        h1->overdue = true; /* a late reply is still listened to */
        lose(h1, IPC_EVIDENCE_TIMEOUT, sink);
    } else {
        h1->due_mono_ns = is_sealed ? h1->reply_by_mono_ns : leave_by;
    }
}

bool eng_h1_has_stale(const struct eng_h1 *h1, int64_t now_mono_ns)
{
    return h1->in_flight && h1->plain_start < h1_sealed(h1) && now_mono_ns >= h1->leave_by_mono_ns;
}

void eng_h1_end(
    struct eng_h1 *h1, enum ipc_evidence evidence, uint64_t handed, const struct eng_h2_sink *sink)
{
    h1->shut = true;
    h1->head = h1->tail; /* what is reported as never sent never leaves */
    if (!h1->in_flight)
        return;
    if (!h1->overdue)
        lose(h1, h1->plain_start < handed ? evidence : IPC_EVIDENCE_NO_BYTES, sink);
    h1_settle(h1);
}

bool eng_h1_in_flight(const struct eng_h1 *h1)
{
    return h1->in_flight;
}

bool eng_h1_overdue(const struct eng_h1 *h1)
{
    return h1->overdue;
}

bool eng_h1_draining(const struct eng_h1 *h1)
{
    return h1->draining;
}

uint32_t eng_h1_requests(const struct eng_h1 *h1)
{
    return h1->requests;
}

uint32_t eng_h1_replies(const struct eng_h1 *h1)
{
    return h1->replies;
}

const char *eng_h1_error_text(const struct eng_h1 *h1)
{
    return h1->error_text;
}

uint32_t eng_h1_peer_requests_left(const struct eng_h1 *h1)
{
    return h1->peer_requests_left;
}

uint32_t eng_h1_peer_idle_s(const struct eng_h1 *h1)
{
    return h1->peer_idle_s;
}
