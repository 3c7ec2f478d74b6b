/* h1.h: the client's half of an HTTP/1.1 connection as a byte machine (RFC 9112), a sibling of
 * h2.h: the same requests, replies, losses and admission. No socket, no clock, no TLS.
 *
 *     eng_h1_request ──► plain arena ──► eng_h1_output / eng_h1_output_taken (whoever seals)
 *     eng_h1_receive ──► sink: replies and losses
 *
 * What always holds:
 * - One request is in flight at most: the next is admitted when the reply of the one before is
 *   whole. Never pipelined, never sent again.
 * - A request is appended whole or not at all, and ends in exactly one reply, or in one loss that
 *   may be followed by a late reply only when the loss was a TIMEOUT.
 * - A loss says NO_BYTES only when no byte of the request was given away; its bytes never leave
 *   afterwards.
 * - A reply's end is where RFC 9112 6.3 says without a doubt: Content-Length, chunked, or a status
 *   without a body. A body that ends with the connection counts only when TLS says that the end is
 *   real (close_notify); after a bare FIN it may be cut, which is a loss.
 * - What two readers could understand differently ends the connection, and the request in flight is
 *   a loss: a bare LF or CR, a folded field, a second Content-Length, Content-Length with
 *   Transfer-Encoding, a blank before the colon, another coding than chunked, 101.
 * - Bytes without a request in flight end the connection (haproxy says 408 to a client that
 *   has connected and says nothing): nothing is lost by it.
 * - Anything a peer sends costs bounded memory and bounded time.
 *
 * Unlike HTTP/2 there is no PING: silence of an idle peer shows at the cheap GET inside the idle
 * limit, at TCP's own keep-alive (connect.c), or not before the next request.
 *
 * Threads: one owner at a time (the porter until handover, then the pinned thread). Allocates
 * nothing. */
#ifndef LS_ENGINE_NET_H1_H
#define LS_ENGINE_NET_H1_H

#include "engine/net/h2.h"

#define ENG_H1_HEAD_MAX     16384u /* of a request's head */
#define ENG_H1_OVERHEAD_MAX 32768u /* status line, fields, chunk lines and trailers of a reply */
#define ENG_H1_INTERIMS_MAX 16u    /* 1xx before one reply */

struct eng_h1; /* in h1_private.h; sizeof via eng_h1_footprint */

/* eng_h1_footprint returns the bytes of a machine with a plain arena of [4096, 1 MiB] bytes. */
size_t eng_h1_footprint(uint32_t plain_bytes);

/* eng_h1_init makes a fresh connection in `memory` (64-byte aligned, the caller's). It is ready at
 * once: HTTP/1.1 has no greeting. Porter. */
struct eng_h1 *eng_h1_init(void *memory, uint32_t plain_bytes, struct eng_h2_bodies *bodies);

/* eng_h1_set_bodies changes the owner's chunk memory at handover; nothing may be in flight. */
void eng_h1_set_bodies(struct eng_h1 *h1, struct eng_h2_bodies *bodies);

/* eng_h1_can_send and eng_h1_request: as eng_h2_*, where a request's parts are text: the request
 * line first, each field with its CRLF. Content-Length (with a body) and the empty line are
 * appended. NO_STREAM says that a request is in flight.
 *   *number  set when admitted: the request's number on this connection, from 1; may be NULL */
enum eng_h2_admission eng_h1_can_send(
    const struct eng_h1 *h1, uint32_t header_bytes, uint32_t body_bytes);
LS_MUST_USE enum eng_h2_admission eng_h1_request(
    struct eng_h1 *h1, const struct eng_h2_request *request, uint32_t *number);

/* Plain bytes to be sealed, as eng_h2_output and its siblings. */
struct adp_span eng_h1_output(const struct eng_h1 *h1);
void eng_h1_output_taken(struct eng_h1 *h1, size_t bytes);
uint64_t eng_h1_sealed(const struct eng_h1 *h1);

/* eng_h1_receive takes plain bytes from the peer, cut anywhere.
 *   returns  true; false when the caller must end the connection: eng_h1_error_text says why */
LS_MUST_USE bool eng_h1_receive(
    struct eng_h1 *h1, const uint8_t *bytes, size_t count, const struct eng_h2_sink *sink);

/* eng_h1_closed says that the peer has ended the stream and TLS vouches for it (close_notify): a
 * body that ends with the connection is whole now. eng_h1_end comes after it in any case. */
void eng_h1_closed(struct eng_h1 *h1, const struct eng_h2_sink *sink);

/* eng_h1_expire, _has_stale, _next_due, _end: as eng_h2_*. */
void eng_h1_expire(struct eng_h1 *h1, int64_t now_mono_ns, const struct eng_h2_sink *sink);
bool eng_h1_has_stale(const struct eng_h1 *h1, int64_t now_mono_ns);
void eng_h1_end(
    struct eng_h1 *h1, enum ipc_evidence evidence, uint64_t handed, const struct eng_h2_sink *sink);

/* Facts about the connection. */
bool eng_h1_in_flight(const struct eng_h1 *h1);         /* without an outcome, or awaited late */
bool eng_h1_overdue(const struct eng_h1 *h1);           /* TIMEOUT was reported, no reply yet */
bool eng_h1_draining(const struct eng_h1 *h1);          /* the reply says that it is the last one */
uint32_t eng_h1_requests(const struct eng_h1 *h1);      /* admitted since the start */
uint32_t eng_h1_replies(const struct eng_h1 *h1);       /* complete ones since the start */
const char *eng_h1_error_text(const struct eng_h1 *h1); /* what the peer did; never NULL */

/* What the peer has announced in its last reply's Keep-Alive field (Apache sends it): requests that
 * it will still take, and the seconds of silence after which it closes. UINT32_MAX = not said. */
uint32_t eng_h1_peer_requests_left(const struct eng_h1 *h1);
uint32_t eng_h1_peer_idle_s(const struct eng_h1 *h1);

#endif
