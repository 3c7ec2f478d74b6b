/* blocks.h: the header parts that are made once per generation: one block per broker and kind of
 * request, one block of credentials per account. Porter's thread. */
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

/* eng_blocks_path makes the :path part of a request whose path holds the broker's order id.
 *   order_id  NUL-terminated or full; only [0-9A-Za-z_-] may stand in a path
 *   returns   IPC_OK with *out over `memory`; IPC_BAD_INPUT; IPC_TOO_LONG. Any thread. */
LS_MUST_USE enum ipc_rc eng_blocks_path(const struct eng_request_block *block,
    const char order_id[IPC_BROKER_ORDER_ID_BYTES], uint8_t *memory, size_t memory_bytes,
    struct eng_h2_part *out);

#endif
