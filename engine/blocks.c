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

/* The request line and the fields of HTTP/1.1. What they are made of stands in the HTTP/2 block
 * already, so none of it has a control character. The hole leaves nothing behind. */
static enum ipc_rc text_make(
    const struct adp_request *request, const char *authority, struct eng_request_block *block)
{
    const char *hole = strstr(block->path, HOLE);
    const char *after = hole != NULL ? hole + sizeof(HOLE) - 1 : "";
    const int before_bytes =
        (int)(hole != NULL ? (size_t)(hole - block->path) : strlen(block->path));
    /* A request that may have a body says that it has none (RFC 9110 8.6). */
    const bool says_empty = request->content_type == NULL && strcmp(request->method, "GET") != 0 &&
                            strcmp(request->method, "DELETE") != 0;
    const char *type = request->content_type;
    int bytes = snprintf((char *)block->text, sizeof(block->text),
        "%s %.*s%s HTTP/1.1\r\nhost: %s\r\n%s%s%saccept: application/json\r\n"
        "user-agent: lockstep/" LS_VERSION "\r\nconnection: keep-alive\r\n%s",
        request->method, before_bytes, block->path, after, authority,
        type != NULL ? "content-type: " : "", type != NULL ? type : "", type != NULL ? "\r\n" : "",
        says_empty ? "content-length: 0\r\n" : "");
    if (bytes < 0 || (size_t)bytes >= sizeof(block->text))
        return IPC_TOO_LONG;
    block->text_count = (uint32_t)bytes;
    block->text_hole_at = (uint32_t)strlen(request->method) + 1 + (uint32_t)before_bytes;
    return strchr(block->path, ' ') != NULL ? IPC_BAD_INPUT : IPC_OK;
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
    return rc == IPC_OK ? text_make(request, authority, block) : rc;
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
    const size_t name_bytes = strlen(dialect->auth.header);
    const size_t text_bytes = name_bytes + 2 + value_bytes + 2;
    uint8_t *text = ipc_secret_alloc(secrets, text_bytes);
    if (text == NULL)
        return IPC_FULL;
    memcpy(text, dialect->auth.header, name_bytes);
    memcpy(text + name_bytes, ": ", 2);
    memcpy(text + name_bytes + 2, value, value_bytes);
    memcpy(text + name_bytes + 2 + value_bytes, "\r\n", 2);
    *auth = (struct eng_auth){
        .bytes = memory,
        .count = pack.count,
        .list_bytes = pack.list_bytes,
        .text_count = (uint32_t)text_bytes,
        .text = text,
    };
    return IPC_OK;
}

/* The order id's bytes, or a refusal of what may not stand in a path. */
static enum ipc_rc id_check(const char order_id[IPC_BROKER_ORDER_ID_BYTES], size_t *id_bytes)
{
    *id_bytes = strnlen(order_id, IPC_BROKER_ORDER_ID_BYTES);
    for (size_t i = 0; i < *id_bytes; i++) {
        char c = order_id[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                c == '_' || c == '-'))
            return IPC_BAD_INPUT;
    }
    return *id_bytes != 0 ? IPC_OK : IPC_BAD_INPUT;
}

/* The :path field of a request whose path holds the broker's order id. */
static enum ipc_rc path_make(const struct eng_request_block *block, const char *order_id,
    size_t id_bytes, struct eng_blocks_parts *out)
{
    char path[sizeof(block->path) + IPC_BROKER_ORDER_ID_BYTES];
    const char *hole = strstr(block->path, HOLE);
    LS_CHECK(hole != NULL);
    size_t before = (size_t)(hole - block->path);
    const char *after = hole + sizeof(HOLE) - 1;
    memcpy(path, block->path, before);
    memcpy(path + before, order_id, id_bytes);
    memcpy(path + before + id_bytes, after, strlen(after) + 1);
    struct eng_hpack pack;
    eng_hpack_begin(&pack, out->path, sizeof(out->path));
    enum ipc_rc rc = eng_hpack_add_text(&pack, ":path", path);
    out->parts[out->count++] = (struct eng_h2_part){out->path, pack.count, pack.list_bytes};
    return rc;
}

static enum ipc_rc text_parts(const struct eng_request_block *block, const struct eng_auth *auth,
    const char *order_id, size_t id_bytes, struct eng_blocks_parts *out)
{
    if (block->has_path_hole) {
        const uint32_t hole_at = block->text_hole_at;
        LS_CHECK(id_bytes <= sizeof(out->path));
        memcpy(out->path, order_id, id_bytes);
        out->parts[out->count++] = (struct eng_h2_part){block->text, hole_at, 0};
        out->parts[out->count++] = (struct eng_h2_part){out->path, (uint32_t)id_bytes, 0};
        out->parts[out->count++] =
            (struct eng_h2_part){block->text + hole_at, block->text_count - hole_at, 0};
    } else {
        out->parts[out->count++] = (struct eng_h2_part){block->text, block->text_count, 0};
    }
    out->parts[out->count++] = (struct eng_h2_part){auth->text, auth->text_count, 0};
    return IPC_OK;
}

enum ipc_rc eng_blocks_parts(const struct eng_request_block *block, const struct eng_auth *auth,
    bool is_text, const char order_id[IPC_BROKER_ORDER_ID_BYTES], struct eng_blocks_parts *out)
{
    size_t id_bytes = 0;
    enum ipc_rc rc = IPC_OK;
    out->count = 0;
    if (block->count == 0 || auth->count == 0)
        return IPC_NOT_FOUND;
    if (block->has_path_hole)
        rc = id_check(order_id, &id_bytes);
    if (rc != IPC_OK)
        return rc;
    if (is_text)
        return text_parts(block, auth, order_id, id_bytes, out);
    if (block->has_path_hole) {
        uint32_t pseudo_list_bytes = block->list_bytes - block->regular_list_bytes;
        out->parts[out->count++] =
            (struct eng_h2_part){block->bytes, block->regular_at, pseudo_list_bytes};
        rc = path_make(block, order_id, id_bytes, out);
        out->parts[out->count++] = (struct eng_h2_part){block->bytes + block->regular_at,
            block->count - block->regular_at, block->regular_list_bytes};
    } else {
        out->parts[out->count++] =
            (struct eng_h2_part){block->bytes, block->count, block->list_bytes};
    }
    out->parts[out->count++] = (struct eng_h2_part){auth->bytes, auth->count, auth->list_bytes};
    return rc;
}
