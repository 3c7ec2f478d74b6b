/* hpack.h: header blocks made once and copied into every request (RFC 7541).
 *
 * A block made here uses references to the static table and literals without indexing only, so it
 * means the same on any connection at any moment, whatever table size the peer has announced.
 * Credentials are literals that no intermediary may index. Strings are Huffman coded when that is
 * shorter.
 *
 * Blocks are built by the porter when a generation is adopted and are read by the pinned thread; a
 * block is plain memory of its owner. Nothing here allocates. */
#ifndef LS_ENGINE_NET_HPACK_H
#define LS_ENGINE_NET_HPACK_H

#include "ipc/base.h"
#include "ipc/rc.h"

/* The largest header block that any peer must take in one HEADERS frame (RFC 9113 4.2); requests
 * above it are refused when they are made. */
#define ENG_HPACK_BLOCK_MAX 16384u

/* A block under construction, and then a part of requests. */
struct eng_hpack {
    uint8_t *bytes;
    uint32_t capacity;   /* of bytes */
    uint32_t count;      /* bytes written */
    uint32_t list_bytes; /* size of the fields as SETTINGS_MAX_HEADER_LIST_SIZE counts: name + value
                            + 32 each */
};

/* eng_hpack_begin starts an empty block in the caller's memory, capacity in [0,
 * ENG_HPACK_BLOCK_MAX]. */
void eng_hpack_begin(struct eng_hpack *block, uint8_t *memory, size_t capacity);

/* eng_hpack_add appends one field. Pseudo fields (":method") go before all others: the caller's
 * order is kept.
 *   name     lower case, a token of RFC 9110 (or a pseudo field); value without NUL, CR, LF and
 *            without blanks at its ends
 *   secret   true for credentials: a literal that is never indexed
 *   returns  IPC_OK; IPC_TOO_LONG when the block is full; IPC_BAD_INPUT when name or value may not
 *            stand in a header. The block is unchanged unless IPC_OK. */
LS_MUST_USE enum ipc_rc eng_hpack_add(
    struct eng_hpack *block, const char *name, const void *value, size_t value_bytes, bool secret);

/* eng_hpack_add_text is eng_hpack_add for a NUL-terminated value that is no secret. */
LS_MUST_USE enum ipc_rc eng_hpack_add_text(
    struct eng_hpack *block, const char *name, const char *value);

/* Largest bytes that eng_hpack_put_length writes. */
#define ENG_HPACK_LENGTH_BYTES_MAX 8u

/* eng_hpack_put_length writes "content-length: n" as a literal at `out`.
 *   n        < 100,000
 *   returns  bytes written, <= ENG_HPACK_LENGTH_BYTES_MAX
 *   *digits  number of digits, for the list size */
uint32_t eng_hpack_put_length(uint8_t *out, uint32_t n, uint32_t *digits);

#endif
