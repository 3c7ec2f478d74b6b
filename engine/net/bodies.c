/* bodies.c: memory for reply bodies that arrive in pieces. */
#include "engine/net/bodies.h"

#include <string.h>

size_t eng_h2_bodies_footprint(uint32_t chunk_count)
{
    return ENG_H2_REPLY_BODY_MAX + (size_t)chunk_count * (ENG_H2_CHUNK_BYTES + sizeof(uint32_t));
}

void eng_h2_bodies_init(struct eng_h2_bodies *bodies, void *memory, uint32_t chunk_count)
{
    LS_CHECK(chunk_count >= 1 && chunk_count <= 1u << 20);
    LS_CHECK(((uintptr_t)memory & 63) == 0);
    uint8_t *at = memory;
    *bodies = (struct eng_h2_bodies){
        .whole = at,
        .chunks = at + ENG_H2_REPLY_BODY_MAX,
        .next = (uint32_t *)(void *)(at + ENG_H2_REPLY_BODY_MAX +
                                     (size_t)chunk_count * ENG_H2_CHUNK_BYTES),
        .free_first = 0,
        .free_count = chunk_count,
        .chunk_count = chunk_count,
    };
    for (uint32_t i = 0; i < chunk_count; i++)
        bodies->next[i] = i + 1 < chunk_count ? i + 1 : ENG_H2_NO_CHUNK;
}

bool eng_bodies_keep(struct eng_h2_bodies *bodies, uint32_t *first, uint32_t *received,
    const uint8_t *bytes, size_t count)
{
    while (count != 0) {
        const uint32_t fill = *received % ENG_H2_CHUNK_BYTES;
        if (fill == 0) {
            if (bodies->free_first == ENG_H2_NO_CHUNK)
                return false;
            const uint32_t chunk = bodies->free_first;
            bodies->free_first = bodies->next[chunk];
            bodies->free_count--;
            bodies->next[chunk] = *first;
            *first = chunk;
        }
        const size_t room = ENG_H2_CHUNK_BYTES - fill;
        const size_t take = count < room ? count : room;
        memcpy(bodies->chunks + (size_t)*first * ENG_H2_CHUNK_BYTES + fill, bytes, take);
        *received += (uint32_t)take;
        bytes += take;
        count -= take;
    }
    return true;
}

const uint8_t *eng_bodies_whole(struct eng_h2_bodies *bodies, uint32_t first, uint32_t received)
{
    LS_CHECK(received <= ENG_H2_REPLY_BODY_MAX);
    uint32_t left = received;
    for (uint32_t chunk = first; chunk != ENG_H2_NO_CHUNK; chunk = bodies->next[chunk]) {
        const uint32_t bytes = (left - 1) % ENG_H2_CHUNK_BYTES + 1;
        left -= bytes;
        memcpy(bodies->whole + left, bodies->chunks + (size_t)chunk * ENG_H2_CHUNK_BYTES, bytes);
    }
    LS_CHECK(left == 0);
    return bodies->whole;
}

void eng_bodies_drop(struct eng_h2_bodies *bodies, uint32_t first)
{
    while (first != ENG_H2_NO_CHUNK) {
        const uint32_t next = bodies->next[first];
        bodies->next[first] = bodies->free_first;
        bodies->free_first = first;
        bodies->free_count++;
        first = next;
    }
}
