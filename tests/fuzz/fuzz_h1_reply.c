/* fuzz_h1_reply.c: bytes of a hostile server into the HTTP/1.1 machine, with a request in flight.
 *
 * Input: byte 0 says how much of the request has left, whether it is overdue and how the bytes are
 * cut; the rest are the server's bytes. Whatever comes: the request has one outcome (a late reply
 * after a timeout apart), the same as when the bytes come whole, and all memory for pieces comes
 * home. */
#include "engine/net/h1.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHUNKS 40u

struct seen {
    uint32_t replies, losses, timeouts, status;
    uint64_t sum; /* of the body */
    enum ipc_evidence evidence;
};

static void on_reply(const struct eng_h2_reply *reply, void *context)
{
    struct seen *seen = context;
    LS_CHECK(reply->http_status >= 200 && reply->http_status <= 999);
    LS_CHECK(reply->body.count <= ENG_H2_REPLY_BODY_MAX);
    LS_CHECK(reply->late == (seen->timeouts != 0));
    seen->replies++;
    seen->status = reply->http_status;
    for (size_t i = 0; i < reply->body.count; i++)
        seen->sum = seen->sum * 31 + reply->body.bytes[i];
}

static void on_loss(const struct eng_h2_loss *loss, void *context)
{
    struct seen *seen = context;
    seen->evidence = loss->evidence;
    if (loss->evidence == IPC_EVIDENCE_TIMEOUT)
        seen->timeouts++;
    else
        seen->losses++;
}

static struct seen run(uint8_t how, const uint8_t *bytes, size_t size, size_t cut)
{
    static void *bodies_memory, *h1_memory;
    if (bodies_memory == NULL) {
        bodies_memory = aligned_alloc(64, ls_align_up(eng_h2_bodies_footprint(CHUNKS), 64));
        h1_memory = aligned_alloc(64, ls_align_up(eng_h1_footprint(4096), 64));
        LS_CHECK(bodies_memory != NULL && h1_memory != NULL);
    }
    struct eng_h2_bodies bodies;
    eng_h2_bodies_init(&bodies, bodies_memory, CHUNKS);
    struct eng_h1 *h1 = eng_h1_init(h1_memory, 4096, &bodies);
    struct seen seen = {0};
    const struct eng_h2_sink sink = {.reply = on_reply, .loss = on_loss, .context = &seen};
    static const char line[] = "POST / HTTP/1.1\r\n";
    const struct eng_h2_part part = {(const uint8_t *)line, sizeof line - 1, 0};
    const struct eng_h2_request request = {.parts = &part,
        .part_count = 1,
        .body = (const uint8_t *)"{}",
        .body_bytes = 2,
        .reply_by_mono_ns = (how & 0x20) ? 1 : INT64_MAX,
        .leave_by_mono_ns = INT64_MAX};
    LS_CHECK(eng_h1_request(h1, &request, NULL) == ENG_H2_ADMITTED);
    const size_t waiting = eng_h1_output(h1).count;
    eng_h1_output_taken(h1, (how & 3) == 0 ? 0 : (how & 3) == 1 ? 1 : waiting);
    eng_h1_expire(h1, 2, &sink);
    bool lives = true;
    while (lives && size != 0) {
        const size_t take = size < cut ? size : cut;
        lives = eng_h1_receive(h1, bytes, take, &sink);
        bytes += take;
        size -= take;
    }
    if (how & 0x10)
        eng_h1_closed(h1, &sink);
    eng_h1_end(h1, lives ? IPC_EVIDENCE_RESET : IPC_EVIDENCE_PROTOCOL, eng_h1_sealed(h1), &sink);
    if (seen.timeouts == 0)
        LS_CHECK(seen.replies + seen.losses == 1);
    else
        LS_CHECK(seen.timeouts == 1 && seen.replies <= 1 && seen.losses == 0);
    LS_CHECK(!eng_h1_in_flight(h1));
    LS_CHECK(bodies.free_count == CHUNKS);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct seen whole = run(data[0], data + 1, size - 1, size);
    const struct seen cut = run(data[0], data + 1, size - 1, 1 + (data[0] >> 6));
    LS_CHECK(memcmp(&whole, &cut, sizeof whole) == 0);
    return 0;
}
