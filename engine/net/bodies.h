/* bodies.h: reply bodies that arrive in pieces, kept in the chunks of struct eng_h2_bodies (h2.h)
 * until the reply is whole. Shared by the HTTP/2 and the HTTP/1.1 machine. Any owner's thread. */
#ifndef LS_ENGINE_NET_BODIES_H
#define LS_ENGINE_NET_BODIES_H

#include "engine/net/h2.h"

/* One body in pieces: linked newest first, all but the newest chunk are full. */

/* eng_bodies_keep appends bytes to a body.
 *   *first     its newest chunk, ENG_H2_NO_CHUNK while it has none
 *   *received  its bytes so far
 *   returns    false when there is no chunk left; what was kept stays */
LS_MUST_USE bool eng_bodies_keep(struct eng_h2_bodies *bodies, uint32_t *first, uint32_t *received,
    const uint8_t *bytes, size_t count);

/* eng_bodies_whole puts the pieces together, at most ENG_H2_REPLY_BODY_MAX bytes. The result is
 * valid until the next call. */
const uint8_t *eng_bodies_whole(struct eng_h2_bodies *bodies, uint32_t first, uint32_t received);

/* eng_bodies_drop gives the chunks back. */
void eng_bodies_drop(struct eng_h2_bodies *bodies, uint32_t first);

#endif
