/* blocks.h: the header parts that are made once per generation: one block per broker and kind of
 * request, one block of credentials per account; each for HTTP/2 and for HTTP/1.1. Porter's thread,
 * where nothing else is said. */
#ifndef LS_ENGINE_BLOCKS_H
#define LS_ENGINE_BLOCKS_H

#include "engine/adopt.h"

/* eng_blocks_broker fills terms->requests from the broker's row and dialect.
 *   returns IPC_OK, or IPC_REFUSED with a sentence when a path or name cannot stand in a header */
LS_MUST_USE enum ipc_rc eng_blocks_broker(const struct ipc_row_broker *row,
    const struct adp_dialect *dialect, struct eng_broker_terms *terms, struct ipc_error *error);

/* eng_blocks_auth makes the credentials' block of an account in secret memory.
 *   value     the header's value, prefix and token, in secret memory; stays the caller's, who
 *             wipes it
 *   returns   IPC_OK; IPC_BAD_INPUT when it cannot stand in a header; IPC_FULL */
LS_MUST_USE enum ipc_rc eng_blocks_auth(const struct adp_dialect *dialect, const uint8_t *value,
    size_t value_bytes, struct ipc_secret_arena *secrets, struct eng_auth *auth);

#define ENG_BLOCKS_PARTS_MAX  4u
#define ENG_BLOCKS_PATH_BYTES 320u

/* The header parts of one request, in their order. */
struct eng_blocks_parts {
    struct eng_h2_part parts[ENG_BLOCKS_PARTS_MAX];
    uint32_t count;
    uint8_t path[ENG_BLOCKS_PATH_BYTES]; /* of a request whose path holds the broker's order id */
};

/* eng_blocks_parts names the parts of one request; they stay where they are, a path is made in
 * *out. is_text   for an HTTP/1.1 connection order_id  NUL-terminated or full; only [0-9A-Za-z_-]
 * may stand in a path. Read only when the request's path holds it returns   IPC_OK; IPC_NOT_FOUND
 * when the broker has no such request or the account no credentials; IPC_BAD_INPUT; IPC_TOO_LONG.
 * Any thread. */
LS_MUST_USE enum ipc_rc eng_blocks_parts(const struct eng_request_block *block,
    const struct eng_auth *auth, bool is_text, const char order_id[IPC_BROKER_ORDER_ID_BYTES],
    struct eng_blocks_parts *out);

/* eng_blocks_bytes is what eng_blocks_parts' parts will have together, without a path's length. */
static inline uint32_t eng_blocks_bytes(
    const struct eng_request_block *block, const struct eng_auth *auth, bool is_text)
{
    return is_text ? block->text_count + auth->text_count : block->count + auth->count;
}

#endif
