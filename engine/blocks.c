#include "engine/blocks.h"

#include <stdio.h>
#include <string.h>

#include "engine/net/hpack.h"
#include "version.h"

#define HOLE "{order_id}"

static void authority_of(const struct ipc_row_broker *row, char *out, size_t out_bytes)
{
    if (row->authority[0] != '\0')
        (void)snprintf(out, out_bytes, "%s", row->authority);
    else if (row->port == 443)
        (void)snprintf(out, out_bytes, "%s", row->host);
    else
        (void)snprintf(out, out_bytes, strchr(row->host, ':') != NULL ? "[%s]:%u" : "%s:%u",
            row->host, row->port);
}

static enum ipc_rc request_make(const struct ipc_row_broker *row, const struct adp_request *request,
    struct eng_request_block *block)
{
    char authority[128];
    struct eng_hpack pack;
    authority_of(row, authority, sizeof(authority));
    int path_bytes =
        snprintf(block->path, sizeof(block->path), "%s%s", row->base_path, request->path);
    if (path_bytes < 0 || (size_t)path_bytes >= sizeof(block->path))
        return IPC_TOO_LONG;
    block->has_path_hole = strstr(block->path, HOLE) != NULL;
    block->has_body = request->content_type != NULL;
    eng_hpack_begin(&pack, block->bytes, sizeof(block->bytes));
    enum ipc_rc rc = eng_hpack_add_text(&pack, ":method", request->method);
    if (rc == IPC_OK)
        rc = eng_hpack_add_text(&pack, ":scheme", "https");
    if (rc == IPC_OK)
        rc = eng_hpack_add_text(&pack, ":authority", authority);
    if (rc == IPC_OK && !block->has_path_hole)
        rc = eng_hpack_add_text(&pack, ":path", block->path);
    block->regular_at = pack.count;
    uint32_t pseudo_list_bytes = pack.list_bytes;
    if (rc == IPC_OK && request->content_type != NULL)
        rc = eng_hpack_add_text(&pack, "content-type", request->content_type);
    if (rc == IPC_OK)
        rc = eng_hpack_add_text(&pack, "accept", "application/json");
    if (rc == IPC_OK)
        rc = eng_hpack_add_text(&pack, "user-agent", "lockstep/" LS_VERSION);
    block->count = pack.count;
    block->list_bytes = pack.list_bytes;
    block->regular_list_bytes = pack.list_bytes - pseudo_list_bytes;
    return rc;
}

enum ipc_rc eng_blocks_broker(const struct ipc_row_broker *row, const struct adp_dialect *dialect,
    struct eng_broker_terms *terms, struct ipc_error *error)
{
    for (uint32_t kind = 0; kind < ADP_REQUEST_COUNT; kind++) {
        const struct adp_request *request = &dialect->requests[kind];
        if (request->method == NULL)
            continue;
        if (request->on_own_lane && kind <= ADP_REQUEST_CANCEL) {
            ipc_error_set(error,
                "broker '%s': dialect '%s' needs a lane of its own for an order, which this engine "
                "does not do",
                row->name, dialect->name);
            return IPC_REFUSED;
        }
        enum ipc_rc rc = request_make(row, request, &terms->requests[kind]);
        if (rc != IPC_OK) {
            ipc_error_set(error,
                "broker '%s': host, authority or base path cannot stand in a request header (%s)",
                row->name, ipc_rc_text(rc));
            return IPC_REFUSED;
        }
    }
    return IPC_OK;
}

enum ipc_rc eng_blocks_auth(const struct adp_dialect *dialect, const uint8_t *value,
    size_t value_bytes, struct ipc_secret_arena *secrets, struct eng_auth *auth)
{
    /* Worst case of a literal: name, value and their lengths, nothing compressed. */
    size_t capacity = value_bytes + strlen(dialect->auth.header) + 16;
    if (capacity > ENG_HPACK_BLOCK_MAX)
        return IPC_BAD_INPUT;
    uint8_t *memory = ipc_secret_alloc(secrets, capacity);
    if (memory == NULL)
        return IPC_FULL;
    struct eng_hpack pack;
    eng_hpack_begin(&pack, memory, capacity);
    if (eng_hpack_add(&pack, dialect->auth.header, value, value_bytes, true) != IPC_OK)
        return IPC_BAD_INPUT;
    *auth = (struct eng_auth){memory, pack.count, pack.list_bytes};
    return IPC_OK;
}

enum ipc_rc eng_blocks_path(const struct eng_request_block *block,
    const char order_id[IPC_BROKER_ORDER_ID_BYTES], uint8_t *memory, size_t memory_bytes,
    struct eng_h2_part *out)
{
    char path[sizeof(block->path) + IPC_BROKER_ORDER_ID_BYTES];
    const char *hole = strstr(block->path, HOLE);
    size_t id_bytes = strnlen(order_id, IPC_BROKER_ORDER_ID_BYTES);
    LS_CHECK(hole != NULL);
    for (size_t i = 0; i < id_bytes; i++) {
        char c = order_id[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                c == '_' || c == '-'))
            return IPC_BAD_INPUT;
    }
    if (id_bytes == 0)
        return IPC_BAD_INPUT;
    size_t before = (size_t)(hole - block->path);
    const char *after = hole + sizeof(HOLE) - 1;
    memcpy(path, block->path, before);
    memcpy(path + before, order_id, id_bytes);
    memcpy(path + before + id_bytes, after, strlen(after) + 1);
    struct eng_hpack pack;
    eng_hpack_begin(&pack, memory, memory_bytes);
    enum ipc_rc rc = eng_hpack_add_text(&pack, ":path", path);
    *out = (struct eng_h2_part){memory, pack.count, pack.list_bytes};
    return rc;
}
