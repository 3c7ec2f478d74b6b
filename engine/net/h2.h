/* h2.h: the client's half of an HTTP/2 connection as a byte machine (RFC 9113, DESIGN 5). No
 * socket, no clock, no TLS: bytes in, bytes out, and time is handed in.
 *
 *     eng_h2_request ──► plain arena ──► eng_h2_output / eng_h2_output_taken (whoever seals)
 *     eng_h2_receive ──► sink: replies and losses
 *
 * What always holds:
 * - A request is appended whole (HEADERS and its DATA together, no CONTINUATION) or not at all; it
 *   is admitted only when the peer allows one more stream and both windows hold the whole body.
 * - Every request that was admitted ends in exactly one reply, or in one loss that may be followed
 *   by a late reply only when the loss was a TIMEOUT.
 * - A loss says NO_BYTES only when no byte of the request was given away; its bytes never leave
 *   afterwards.
 * - Anything a peer sends costs bounded memory and bounded time; a peer that breaks the protocol or
 *   floods ends the connection (eng_h2_error), nothing else.
 *
 * Threads: one owner at a time (the porter until handover, then the pinned thread). Allocates
 * nothing; the inflater draws on the owner's memory pool (memory.h). */
#ifndef LS_ENGINE_NET_H2_H
#define LS_ENGINE_NET_H2_H

#include "adapters/span.h"
#include "ipc/command.h"

#include <nghttp2/nghttp2.h>

#define ENG_H2_FRAME_BYTES       9u
#define ENG_H2_BODY_MAX          16384u /* request bodies: one DATA frame that any peer takes */
#define ENG_H2_PARTS_MAX         8u     /* header parts of a request */
#define ENG_H2_REPLY_BODY_MAX    65536u /* reply bodies of orders; a longer one is a loss */
#define ENG_H2_REPLY_HEADER_MAX  32768u /* header block of a reply, and its list */
#define ENG_H2_CONTINUATIONS_MAX 8u
#define ENG_H2_CONTROL_RESERVE_BYTES                                                               \
    1024u                             /* of the plain arena, kept for our own control frames       \
                                       */
#define ENG_H2_FLOOD_FRAMES_MAX 1024u /* frames without progress a second, plus 4 a request */

/* Memory for reply bodies that arrive in pieces, shared by all connections of a thread: one block,
 * bounded. A reply whose HEADERS and DATA come together never uses it. */
struct eng_h2_bodies {
    uint8_t *whole; /* ENG_H2_REPLY_BODY_MAX bytes: a finished body is put together here */
    uint8_t *chunks;
    uint32_t *next; /* per chunk: next of the same body or of the free list, ENG_H2_NO_CHUNK ends */
    uint32_t free_first, free_count, chunk_count;
};
#define ENG_H2_CHUNK_BYTES 2048u
#define ENG_H2_NO_CHUNK    UINT32_MAX

/* eng_h2_bodies_footprint / _init: one block of the caller's, 64-byte aligned; chunk_count in [1,
 * 2^20]. */
size_t eng_h2_bodies_footprint(uint32_t chunk_count);
void eng_h2_bodies_init(struct eng_h2_bodies *bodies, void *memory, uint32_t chunk_count);

/* One header part: a block of hpack.h. Pseudo fields come first over all parts together. */
struct eng_h2_part {
    const uint8_t *bytes;
    uint32_t count;
    uint32_t list_bytes;
};

/* One request to be. `content-length` is appended by eng_h2_request when there is a body. */
struct eng_h2_request {
    const struct eng_h2_part *parts;
    uint32_t part_count; /* [1, ENG_H2_PARTS_MAX] */
    uint32_t body_bytes; /* [0, ENG_H2_BODY_MAX]; 0 = no DATA, HEADERS end the stream */
    const uint8_t *body;
    uint32_t child; /* these three come back with the reply or the loss, untouched */
    uint32_t request_no;
    uint32_t account;
    int64_t reply_by_mono_ns; /* no complete reply by then: loss TIMEOUT */
    int64_t leave_by_mono_ns; /* still not sealed by then: withdrawn, NO_BYTES; INT64_MAX = never */
};

/* Why a request is not admitted now. */
enum eng_h2_admission {
    ENG_H2_ADMITTED = 0,
    ENG_H2_NO_STREAM = 1, /* the peer's MAX_CONCURRENT_STREAMS, or our table, is full */
    ENG_H2_NO_WINDOW = 2, /* the body does not fit a window */
    ENG_H2_NO_ROOM = 3,   /* the plain arena is full: the socket is slow */
    ENG_H2_TOO_LARGE = 4, /* header block, header list or body will never fit this peer */
    ENG_H2_SHUT = 5,      /* draining, ended, or not ready yet */
};

/* A complete reply. The body is the machine's and is valid until the callback returns. */
struct eng_h2_reply {
    uint32_t child, request_no, account;
    uint32_t stream_id;
    uint32_t http_status; /* [200, 999] */
    bool late;            /* a TIMEOUT was reported before */
    struct adp_span body;
};

/* A request without a complete reply. */
struct eng_h2_loss {
    uint32_t child, request_no, account;
    uint32_t stream_id;
    uint32_t h2_error; /* code of RST_STREAM or GOAWAY, ours when we ended the connection */
    enum ipc_evidence evidence;
};

/* Where outcomes go. The callbacks must not call back into the same connection. */
struct eng_h2_sink {
    void (*reply)(const struct eng_h2_reply *reply, void *context);
    void (*loss)(const struct eng_h2_loss *loss, void *context);
    void *context;
};

/* One request in flight, a line of memory. Found by (stream id >> 1) & mask. */
struct eng_h2_stream {
    uint32_t id; /* 0 = free */
    uint32_t child, request_no, account;
    uint64_t plain_start; /* offset of its first byte among all plain bytes of the connection */
    int64_t reply_by_mono_ns, leave_by_mono_ns;
    uint16_t plain_bytes; /* of HEADERS and DATA together */
    uint16_t body_bytes;  /* taken from the windows */
    uint16_t status;      /* 0 = no final HEADERS yet */
    uint8_t flags;        /* ENG_H2_STREAM_* */
    uint8_t reserved;
    int32_t content_length; /* announced by the peer, -1 = not */
    uint32_t received;      /* body bytes so far */
    uint32_t chunk_first;   /* pieces kept in eng_h2_bodies */
    uint32_t window_used;   /* flow-controlled bytes since our last WINDOW_UPDATE of the stream */
};
_Static_assert(sizeof(struct eng_h2_stream) == 64, "one line per stream");

struct eng_h2_limits {
    uint32_t plain_bytes;  /* plain arena, [4096, 1 MiB] */
    uint32_t stream_slots; /* a power of two, [4, 4096] */
};

/* eng_h2_footprint returns the bytes that eng_h2_init needs beside the struct. */
size_t eng_h2_footprint(const struct eng_h2_limits *limits);

struct eng_h2; /* h2_private.h has the fields; sizeof via eng_h2_footprint */

/* eng_h2_init makes a fresh connection in `memory` (eng_h2_footprint bytes, 64-byte aligned, the
 * caller's) and puts preface, SETTINGS (HEADER_TABLE_SIZE 0, ENABLE_PUSH 0, windows) into the plain
 * arena; our ACK of the peer's SETTINGS is followed by the PING of the warm-up.
 *   returns  the machine, or NULL when the inflater finds no memory
 *   thread   the porter */
struct eng_h2 *eng_h2_init(
    void *memory, const struct eng_h2_limits *limits, struct eng_h2_bodies *bodies);

/* eng_h2_set_bodies changes the owner's chunk memory at handover; no reply may be in pieces. */
void eng_h2_set_bodies(struct eng_h2 *h2, struct eng_h2_bodies *bodies);

/* eng_h2_free gives the inflater back. No sink is told; eng_h2_end comes before. */
void eng_h2_free(struct eng_h2 *h2);

/* eng_h2_ready is true once the peer's SETTINGS came, our ACK and the warm-up PING went out and the
 * PING came back: from then on requests are admitted. */
bool eng_h2_ready(const struct eng_h2 *h2);

/* eng_h2_can_send tells whether a request of this shape would be admitted now.
 *   header_bytes, list_bytes  sums over the parts, without content-length (its share is added) */
enum eng_h2_admission eng_h2_can_send(
    const struct eng_h2 *h2, uint32_t header_bytes, uint32_t list_bytes, uint32_t body_bytes);

/* eng_h2_request appends HEADERS and DATA to the plain arena, all or nothing.
 *   returns  ENG_H2_ADMITTED, or why not (nothing was appended)
 *   *stream_id  set when admitted; may be NULL */
LS_MUST_USE enum eng_h2_admission eng_h2_request(
    struct eng_h2 *h2, const struct eng_h2_request *request, uint32_t *stream_id);

/* eng_h2_output returns the plain bytes that wait to be sealed; eng_h2_output_taken says how many
 * of them were given away (sealed): from then on they may leave. */
struct adp_span eng_h2_output(const struct eng_h2 *h2);
void eng_h2_output_taken(struct eng_h2 *h2, size_t bytes);

/* eng_h2_sealed returns the number of plain bytes given away so far: the scale of `handed`. */
uint64_t eng_h2_sealed(const struct eng_h2 *h2);

/* eng_h2_receive takes plain bytes from the peer, cut anywhere.
 *   returns  true; false when the peer broke the protocol or flooded: a GOAWAY is in the plain
 *            arena, eng_h2_error has code and reason, and the caller ends the connection */
LS_MUST_USE bool eng_h2_receive(struct eng_h2 *h2, const uint8_t *bytes, size_t count,
    int64_t now_mono_ns, const struct eng_h2_sink *sink);

/* eng_h2_expire reports requests whose reply is overdue (TIMEOUT, once; the stream stays open for a
 * late reply) and withdraws what was not sealed by its leave_by or reply_by time (NO_BYTES).
 * Cheap when nothing is due. Call it before sealing and at least every few milliseconds. */
void eng_h2_expire(struct eng_h2 *h2, int64_t now_mono_ns, const struct eng_h2_sink *sink);

/* eng_h2_has_stale: a request past its leave_by, without reply, of which at least a byte is sealed.
 */
bool eng_h2_has_stale(const struct eng_h2 *h2, int64_t now_mono_ns);

/* eng_h2_next_due returns the earliest time at which eng_h2_expire may have work, INT64_MAX = none.
 */
int64_t eng_h2_next_due(const struct eng_h2 *h2);

/* eng_h2_ping appends a PING unless one is unanswered; false when nothing was appended. */
bool eng_h2_ping(struct eng_h2 *h2, int64_t now_mono_ns);

/* eng_h2_ping_sent returns when the unanswered PING was made, INT64_MAX = none is unanswered. */
int64_t eng_h2_ping_sent(const struct eng_h2 *h2);

/* eng_h2_end reports every request that has no outcome yet and shuts the machine.
 *   evidence  of requests whose bytes were (partly) handed over: RESET, PROTOCOL, STALE_BYTES ...
 *   handed    plain bytes of which some cipher byte may have reached the kernel (scale of
 *             eng_h2_sealed); requests that start at or after it are NO_BYTES */
void eng_h2_end(
    struct eng_h2 *h2, enum ipc_evidence evidence, uint64_t handed, const struct eng_h2_sink *sink);

/* Facts about the connection. */
uint32_t eng_h2_open_streams(const struct eng_h2 *h2);     /* without an outcome or awaited late */
uint32_t eng_h2_requests(const struct eng_h2 *h2);         /* admitted since the start */
uint32_t eng_h2_replies(const struct eng_h2 *h2);          /* complete ones since the start */
uint32_t eng_h2_free_streams(const struct eng_h2 *h2);     /* admissible now by count alone */
bool eng_h2_draining(const struct eng_h2 *h2);             /* GOAWAY seen, or ids run out */
uint32_t eng_h2_error(const struct eng_h2 *h2);            /* our error code, 0 = none */
const char *eng_h2_error_text(const struct eng_h2 *h2);    /* what the peer did; never NULL */
uint32_t eng_h2_overdue_streams(const struct eng_h2 *h2);  /* TIMEOUT was reported, no reply yet */
uint32_t eng_h2_peer_max_streams(const struct eng_h2 *h2); /* as announced, 2^32-1 = not limited */

#endif
