/* net_frames.h: HTTP/2 frames of a server, written as text. Items are separated by blanks:
 *
 *     H id flags:status   HEADERS with :status; flags e = END_HEADERS, s = END_STREAM, - = none
 *     L id flags:length   HEADERS with :status 200 and content-length
 *     X id flags:fields   HEADERS with literals NNname NNvalue ..., two digits of length each
 *     T id flags          HEADERS with one field and no status (trailers)
 *     D id flags:text     DATA
 *     R id code           RST_STREAM          G last code   GOAWAY
 *     W id bytes          WINDOW_UPDATE       S name value  SETTINGS with one entry
 *     F type flags id text                    any frame; the text ends at the next blank */
#ifndef LS_TESTS_NET_FRAMES_H
#define LS_TESTS_NET_FRAMES_H

#include "ipc/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct frames {
    size_t count;
    uint8_t bytes[300000];
};

static inline struct frames *frames_new(void)
{
    struct frames *frames = malloc(sizeof *frames);
    LS_CHECK(frames != NULL);
    frames->count = 0;
    return frames;
}

static inline void frames_clear(struct frames *frames)
{
    frames->count = 0;
}

static inline void frame(struct frames *frames, uint32_t type, uint32_t flags, uint32_t id,
    const void *payload, size_t payload_bytes)
{
    LS_CHECK(frames->count + 9 + payload_bytes <= sizeof frames->bytes);
    uint8_t *at = frames->bytes + frames->count;
    at[0] = (uint8_t)(payload_bytes >> 16);
    at[1] = (uint8_t)(payload_bytes >> 8);
    at[2] = (uint8_t)payload_bytes;
    at[3] = (uint8_t)type;
    at[4] = (uint8_t)flags;
    at[5] = (uint8_t)(id >> 24);
    at[6] = (uint8_t)(id >> 16);
    at[7] = (uint8_t)(id >> 8);
    at[8] = (uint8_t)id;
    if (payload_bytes != 0)
        memcpy(at + 9, payload, payload_bytes);
    frames->count += 9 + payload_bytes;
}

static inline void frames_number(uint8_t *out, uint64_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* Literal without indexing, plain strings. */
static inline size_t frames_field(
    uint8_t *out, const char *name, size_t name_bytes, const char *value, size_t value_bytes)
{
    out[0] = 0;
    out[1] = (uint8_t)name_bytes;
    memcpy(out + 2, name, name_bytes);
    out[2 + name_bytes] = (uint8_t)value_bytes;
    memcpy(out + 3 + name_bytes, value, value_bytes);
    return 3 + name_bytes + value_bytes;
}

static inline uint32_t frames_flags(const char *text)
{
    uint32_t flags = 0;
    for (; *text != '\0' && *text != ':' && *text != ' '; text++)
        flags |= *text == 'e' ? 4u : *text == 's' ? 1u : 0u;
    return flags;
}

static inline void frames_headers(struct frames *frames, char kind, uint32_t id, const char *flags,
    const char *value, size_t value_bytes)
{
    uint8_t block[512];
    size_t count = 0;
    if (kind == 'H')
        count = frames_field(block, ":status", 7, value, value_bytes);
    if (kind == 'L') {
        count = frames_field(block, ":status", 7, "200", 3);
        count += frames_field(block + count, "content-length", 14, value, value_bytes);
    }
    if (kind == 'T')
        count = frames_field(block, "x-end", 5, "1", 1);
    for (size_t at = 0; kind == 'X' && at < value_bytes;) {
        char digits[3] = {value[at], value[at + 1], 0};
        const size_t name_bytes = (size_t)atoi(digits);
        const char *name = value + at + 2;
        memcpy(digits, name + name_bytes, 2);
        const size_t field_bytes = (size_t)atoi(digits);
        count += frames_field(block + count, name, name_bytes, name + name_bytes + 2, field_bytes);
        at += 4 + name_bytes + field_bytes;
    }
    frame(frames, 1, frames_flags(flags), id, block, count);
}

/* Appends what the text says. */
static inline void frames_parse(struct frames *frames, const char *text)
{
    while (*text != '\0') {
        if (*text == ' ') {
            text++;
            continue;
        }
        const char kind = *text;
        char *at;
        const uint32_t first = (uint32_t)strtoul(text + 1, &at, 10);
        LS_CHECK(*at == ' ');
        at++;
        uint8_t payload[16];
        if (kind == 'R' || kind == 'W') {
            frames_number(payload, strtoul(at, &at, 10));
            frame(frames, kind == 'R' ? 3 : 8, 0, first, payload, 4);
        } else if (kind == 'G') {
            frames_number(payload, first);
            frames_number(payload + 4, strtoul(at, &at, 10));
            frame(frames, 7, 0, 0, payload, 8);
        } else if (kind == 'S') {
            payload[0] = 0;
            payload[1] = (uint8_t)first;
            frames_number(payload + 2, strtoul(at, &at, 10));
            frame(frames, 4, 0, 0, payload, 6);
        } else if (kind == 'F') {
            const uint32_t flags = (uint32_t)strtoul(at, &at, 10);
            const uint32_t id = (uint32_t)strtoul(at, &at, 10);
            LS_CHECK(*at == ' ');
            const size_t bytes = strcspn(++at, " ");
            frame(frames, first, flags, id, at, bytes);
            at += bytes;
        } else {
            const size_t bytes = strcspn(at, " ");
            const char *colon = memchr(at, ':', bytes);
            const char *value = colon == NULL ? at + bytes : colon + 1;
            const size_t value_bytes = (size_t)(at + bytes - value);
            if (kind == 'D')
                frame(frames, 0, frames_flags(at), first, value, value_bytes);
            else
                frames_headers(frames, kind, first, at, value, value_bytes);
            at += bytes;
        }
        text = at;
    }
}

#endif
