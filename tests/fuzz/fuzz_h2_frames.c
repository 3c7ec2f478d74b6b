/* fuzz_h2_frames.c: bytes of a hostile server into the HTTP/2 machine, with requests in flight.
 *
 * Input: byte 0 says how the rest is cut and how many requests are out; the rest are the server's
 * bytes after its SETTINGS. Whatever comes: no request has more than one outcome (a late reply
 * after a timeout apart), and all memory for pieces comes home. */
#include "engine/net/h2.h"
#include "engine/net/hpack.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUESTS 6u
#define CHUNKS   24u

struct seen {
    uint32_t replies[REQUESTS], losses[REQUESTS], timeouts[REQUESTS];
    uint64_t sum; /* so that every body byte is read */
};

static void on_reply(const struct eng_h2_reply *reply, void *context)
{
    struct seen *seen = context;
    LS_CHECK(reply->child < REQUESTS && reply->http_status >= 200);
    LS_CHECK(reply->body.count <= ENG_H2_REPLY_BODY_MAX);
    LS_CHECK(reply->late == (seen->timeouts[reply->child] != 0));
    seen->replies[reply->child]++;
    for (size_t i = 0; i < reply->body.count; i++)
        seen->sum += reply->body.bytes[i];
}

static void on_loss(const struct eng_h2_loss *loss, void *context)
{
    struct seen *seen = context;
    LS_CHECK(loss->child < REQUESTS);
    if (loss->evidence == IPC_EVIDENCE_TIMEOUT)
        seen->timeouts[loss->child]++;
    else
        seen->losses[loss->child]++;
}

static bool receive(struct eng_h2 *h2, const uint8_t *bytes, size_t count, size_t cut,
    const struct eng_h2_sink *sink)
{
    while (count != 0) {
        const size_t take = count < cut ? count : cut;
        if (!eng_h2_receive(h2, bytes, take, LS_NS_PER_S, sink))
            return false;
        bytes += take;
        count -= take;
        eng_h2_output_taken(h2, eng_h2_output(h2).count / 2);
    }
    return true;
}

static void put_request(struct eng_h2 *h2, uint32_t child)
{
    uint8_t memory[128];
    struct eng_hpack block;
    eng_hpack_begin(&block, memory, sizeof memory);
    LS_CHECK(eng_hpack_add_text(&block, ":method", "POST") == IPC_OK);
    const struct eng_h2_part part = {block.bytes, block.count, block.list_bytes};
    const struct eng_h2_request request = {.parts = &part,
        .part_count = 1,
        .body = (const uint8_t *)"{}",
        .body_bytes = 2,
        .child = child,
        .reply_by_mono_ns = child == 1 ? LS_NS_PER_S : INT64_MAX,
        .leave_by_mono_ns = child == 2 ? LS_NS_PER_S : INT64_MAX};
    LS_CHECK(eng_h2_request(h2, &request, NULL) == ENG_H2_ADMITTED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void *bodies_memory, *h2_memory;
    const struct eng_h2_limits limits = {.plain_bytes = 8192, .stream_slots = 8};
    if (bodies_memory == NULL) {
        bodies_memory = aligned_alloc(64, ls_align_up(eng_h2_bodies_footprint(CHUNKS), 64));
        h2_memory = aligned_alloc(64, ls_align_up(eng_h2_footprint(&limits), 64));
        LS_CHECK(bodies_memory != NULL && h2_memory != NULL);
    }
    if (size == 0)
        return 0;
    struct eng_h2_bodies bodies;
    eng_h2_bodies_init(&bodies, bodies_memory, CHUNKS);
    struct eng_h2 *h2 = eng_h2_init(h2_memory, &limits, &bodies);
    LS_CHECK(h2 != NULL);
    struct seen seen = {0};
    const struct eng_h2_sink sink = {.reply = on_reply, .loss = on_loss, .context = &seen};

    static const uint8_t greeting[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
    LS_CHECK(eng_h2_receive(h2, greeting, sizeof greeting, LS_NS_PER_S, &sink));
    const struct adp_span out = eng_h2_output(h2);
    uint8_t pong[17] = {0, 0, 8, 6, 1};
    memcpy(pong + 9, out.bytes + out.count - 8, 8);
    eng_h2_output_taken(h2, out.count);
    LS_CHECK(eng_h2_receive(h2, pong, sizeof pong, LS_NS_PER_S, &sink));
    LS_CHECK(eng_h2_ready(h2));

    const uint32_t requests = data[0] % (REQUESTS + 1);
    for (uint32_t i = 0; i < requests; i++)
        put_request(h2, i);
    if (data[0] & 0x40)
        eng_h2_output_taken(h2, eng_h2_output(h2).count);
    const size_t cut = (data[0] & 0x80) ? 1 + size / 7 : size;
    const size_t half = size / 2;
    bool lives = receive(h2, data + 1, half < size - 1 ? half : size - 1, cut, &sink);
    eng_h2_expire(h2, LS_NS_PER_S, &sink);
    if (lives && size - 1 > half)
        lives = receive(h2, data + 1 + half, size - 1 - half, cut, &sink);
    eng_h2_end(h2, lives ? IPC_EVIDENCE_RESET : IPC_EVIDENCE_PROTOCOL, eng_h2_sealed(h2), &sink);
    for (uint32_t i = 0; i < requests; i++)
        LS_CHECK(seen.timeouts[i] == 0
                     ? seen.replies[i] + seen.losses[i] == 1
                     : seen.timeouts[i] == 1 && seen.replies[i] <= 1 && seen.losses[i] == 0);
    LS_CHECK(eng_h2_open_streams(h2) == 0);
    LS_CHECK(bodies.free_count == CHUNKS);
    eng_h2_free(h2);
    return 0;
}
