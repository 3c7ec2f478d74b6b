/* snapshot_image.c: shapes, spans and hashes of snapshots, and images in private memory. No shared
 * memory here. */
#include "ipc/snapshot_private.h"

#include "ipc/enum.h"
#include "ipc/journal_format.h"

#include <string.h>

#include <openssl/sha.h>

IPC_DEFINE_ENUM(ipc_table, IPC_TABLE_LIST)

#define IMAGE_ALIGN 64u
#define PAGE_BYTES  4096u

/* Row bytes by table; the token table's are the publisher's choice. */
static const uint32_t row_bytes[IPC_TABLE_COUNT] = {
    [IPC_TABLE_CLUSTER] = sizeof(struct ipc_row_cluster),
    [IPC_TABLE_BROKERS] = sizeof(struct ipc_row_broker),
    [IPC_TABLE_ACCOUNTS] = sizeof(struct ipc_row_account),
    [IPC_TABLE_TOKENS] = 0,
    [IPC_TABLE_INSTRUMENTS] = sizeof(struct ipc_row_instrument),
    [IPC_TABLE_FOLLOWERS] = sizeof(struct ipc_row_follower),
    [IPC_TABLE_MASTERS] = sizeof(struct ipc_row_master),
    [IPC_TABLE_MASTER_SLOTS] = sizeof(uint32_t),
    [IPC_TABLE_LISTS] = sizeof(struct ipc_row_list),
    [IPC_TABLE_LIST_ITEMS] = sizeof(uint32_t),
    [IPC_TABLE_POLICIES] = sizeof(struct ipc_row_policy),
    [IPC_TABLE_MAPS] = sizeof(struct ipc_row_list),
    [IPC_TABLE_MAP_ITEMS] = sizeof(struct ipc_row_map_item),
    [IPC_TABLE_CONTRACTS] = sizeof(struct ipc_row_contract),
    [IPC_TABLE_SESSIONS] = sizeof(struct ipc_row_session),
};

uint32_t ipc_table_row_bytes(enum ipc_table table, uint32_t token_row_bytes)
{
    LS_CHECK(ipc_table_valid((uint32_t)table));
    return table == IPC_TABLE_TOKENS ? token_row_bytes : row_bytes[table];
}

uint64_t ipc_snapshot_layout_hash(void)
{
    static const struct ipc_layout_field fields[] = {
        IPC_LAYOUT_FIELD(struct ipc_snapshot_header, chunk_capacity),
        IPC_LAYOUT_FIELD(struct ipc_snapshot_header, current_generation),
        IPC_LAYOUT_FIELD(struct ipc_snapshot_directory, shape),
        IPC_LAYOUT_FIELD(struct ipc_snapshot_directory, part_count),
        IPC_LAYOUT_FIELD(struct ipc_snapshot_reference, crc),
        IPC_LAYOUT_FIELD(struct ipc_row_cluster, guard_fraction_e8),
        IPC_LAYOUT_FIELD(struct ipc_row_cluster, shard_count),
        IPC_LAYOUT_FIELD(struct ipc_row_broker, port),
        IPC_LAYOUT_FIELD(struct ipc_row_broker, flags),
        IPC_LAYOUT_FIELD(struct ipc_row_account, token_bytes),
        IPC_LAYOUT_FIELD(struct ipc_row_account, token_version),
        IPC_LAYOUT_FIELD(struct ipc_row_instrument, lot_qty_e8),
        IPC_LAYOUT_FIELD(struct ipc_row_instrument, underlying),
        IPC_LAYOUT_FIELD(struct ipc_row_follower, ratio_e8),
        IPC_LAYOUT_FIELD(struct ipc_row_follower, max_position_e8),
        IPC_LAYOUT_FIELD(struct ipc_row_follower, price_max_age_ms),
        IPC_LAYOUT_FIELD(struct ipc_row_master, count),
        IPC_LAYOUT_FIELD(struct ipc_row_list, count),
        IPC_LAYOUT_FIELD(struct ipc_row_policy, drift),
        IPC_LAYOUT_FIELD(struct ipc_row_map_item, factor_e8),
        IPC_LAYOUT_FIELD(struct ipc_row_contract, symbol),
        IPC_LAYOUT_FIELD(struct ipc_row_session, yyyymmdd),
    };
    return ipc_layout_hash(fields, LS_COUNT_OF(fields));
}

/* ---- shapes ---------------------------------------------------------------------------------- */

static uint64_t parts_of(const struct ipc_snapshot_shape *shape, enum ipc_table table)
{
    uint64_t rows = shape->rows[table];
    uint32_t bytes = ipc_table_row_bytes(table, shape->token_row_bytes);
    if (rows == 0)
        return 0;
    LS_CHECK(bytes > 0 && bytes <= IPC_SNAPSHOT_CHUNK_BYTES);
    uint32_t per_chunk = ipc_snapshot_rows_per_chunk(bytes);
    return (rows + per_chunk - 1) / per_chunk;
}

enum ipc_rc ipc_snapshot_shape_check(
    const struct ipc_snapshot_shape *shape, struct ipc_error *error)
{
    if (shape->token_row_bytes % 8 != 0 || shape->token_row_bytes > IPC_SNAPSHOT_TOKEN_ROW_MAX) {
        ipc_error_set(error, "token rows of %u bytes; they must be a multiple of 8 up to %u",
            shape->token_row_bytes, IPC_SNAPSHOT_TOKEN_ROW_MAX);
        return IPC_BAD_INPUT;
    }
    if (shape->token_row_bytes == 0 && shape->rows[IPC_TABLE_TOKENS] != 0) {
        ipc_error_set(error, "the token table has rows of no bytes");
        return IPC_BAD_INPUT;
    }
    uint64_t parts = 0;
    for (uint32_t table = 0; table < IPC_TABLE_COUNT; table++)
        parts += parts_of(shape, (enum ipc_table)table);
    if (parts >= IPC_SNAPSHOT_CHUNKS_MAX) {
        ipc_error_set(error, "the tables need %llu chunks; a snapshot has fewer than %u",
            (unsigned long long)parts, IPC_SNAPSHOT_CHUNKS_MAX);
        return IPC_BAD_INPUT;
    }
    return IPC_OK;
}

uint32_t ipc_snapshot_table_parts(const struct ipc_snapshot_shape *shape, enum ipc_table table)
{
    return (uint32_t)parts_of(shape, table);
}

uint32_t ipc_snapshot_part_count(const struct ipc_snapshot_shape *shape)
{
    uint32_t parts = 0;
    for (uint32_t table = 0; table < IPC_TABLE_COUNT; table++)
        parts += ipc_snapshot_table_parts(shape, (enum ipc_table)table);
    return parts;
}

struct ipc_snapshot_span ipc_snapshot_part_span(
    const struct ipc_snapshot_shape *shape, enum ipc_table table, uint32_t part)
{
    uint32_t bytes = ipc_table_row_bytes(table, shape->token_row_bytes);
    uint32_t per_chunk = ipc_snapshot_rows_per_chunk(bytes);
    uint64_t first = (uint64_t)part * per_chunk;
    LS_CHECK(first < shape->rows[table]);
    uint64_t left = shape->rows[table] - first;
    uint32_t rows = left < per_chunk ? (uint32_t)left : per_chunk;
    return (struct ipc_snapshot_span){
        .offset = first * bytes, .bytes = rows * bytes, .row_bytes = bytes};
}

uint64_t ipc_snapshot_body_bytes(uint32_t chunk_capacity)
{
    uint64_t directory =
        ls_align_up(sizeof(struct ipc_snapshot_directory) +
                        (uint64_t)chunk_capacity * sizeof(struct ipc_snapshot_reference),
            PAGE_BYTES);
    uint64_t front =
        ls_align_up(sizeof(struct ipc_snapshot_header) + (uint64_t)chunk_capacity * 8, PAGE_BYTES);
    return front + IPC_SNAPSHOT_KEPT * directory +
           (uint64_t)chunk_capacity * IPC_SNAPSHOT_CHUNK_BYTES;
}

/* ---- hashes ---------------------------------------------------------------------------------- */

uint64_t ipc_snapshot_content_hash(const struct ipc_snapshot_shape *shape,
    const struct ipc_snapshot_reference *references, uint32_t part_count)
{
    /* A chain of hashes, some digests at a time, so that nothing is allocated. */
    struct {
        uint8_t before[SHA256_DIGEST_LENGTH];
        struct ipc_snapshot_shape shape;
        uint64_t digests[60];
    } link = {.shape = *shape};
    uint32_t done = 0;
    do {
        uint32_t count = part_count - done;
        if (count > LS_COUNT_OF(link.digests))
            count = LS_COUNT_OF(link.digests);
        memset(link.digests, 0, sizeof(link.digests));
        for (uint32_t i = 0; i < count; i++)
            link.digests[i] = references[done + i].digest;
        done += count;
        uint8_t hash[SHA256_DIGEST_LENGTH];
        LS_CHECK(SHA256((const uint8_t *)&link, sizeof(link), hash) == hash);
        memcpy(link.before, hash, sizeof(hash));
    } while (done < part_count);
    uint64_t first;
    memcpy(&first, link.before, sizeof(first));
    return first;
}

uint32_t ipc_snapshot_directory_crc(const struct ipc_snapshot_directory *directory,
    const struct ipc_snapshot_reference *references, uint32_t part_count)
{
    struct ipc_snapshot_directory copy = *directory;
    copy.crc = 0;
    const uint8_t *bytes = (const uint8_t *)&copy;
    uint32_t crc = ipc_crc32c(0, bytes + sizeof(copy.stamp), sizeof(copy) - sizeof(copy.stamp));
    return ipc_crc32c(crc, references, (size_t)part_count * sizeof(*references));
}

/* ---- images ---------------------------------------------------------------------------------- */

static uint64_t table_bytes(const struct ipc_snapshot_shape *capacity, uint32_t table)
{
    uint64_t bytes = (uint64_t)capacity->rows[table] *
                     ipc_table_row_bytes((enum ipc_table)table, capacity->token_row_bytes);
    return ls_align_up(bytes, IMAGE_ALIGN);
}

uint64_t ipc_snapshot_footprint(const struct ipc_snapshot_shape *capacity)
{
    if (ipc_snapshot_shape_check(capacity, NULL) != IPC_OK)
        return 0;
    uint64_t bytes = 0;
    for (uint32_t table = 0; table < IPC_TABLE_COUNT; table++)
        bytes += table_bytes(capacity, table);
    bytes += (uint64_t)ipc_snapshot_part_count(capacity) * sizeof(struct ipc_snapshot_part);
    return ls_align_up(bytes, PAGE_BYTES);
}

void ipc_snapshot_image_init(
    struct ipc_snapshot_image *image, void *memory, const struct ipc_snapshot_shape *capacity)
{
    LS_CHECK(ipc_snapshot_footprint(capacity) != 0);
    LS_CHECK(((uintptr_t)memory & (IMAGE_ALIGN - 1)) == 0);
    memset(image, 0, sizeof(*image));
    image->capacity = *capacity;
    uint8_t *at = memory;
    for (uint32_t table = 0; table < IPC_TABLE_COUNT; table++) {
        image->rows[table] = at;
        at += table_bytes(capacity, table);
    }
    image->parts = (struct ipc_snapshot_part *)(void *)at;
    image->part_capacity = ipc_snapshot_part_count(capacity);
}

void ipc_snapshot_view_of(const struct ipc_snapshot_image *image, struct ipc_snapshot_view *view)
{
    const uint32_t *rows = image->shape.rows;
    *view = (struct ipc_snapshot_view){
        .generation = image->generation,
        .cluster = rows[IPC_TABLE_CLUSTER] == 0 ? NULL : image->rows[IPC_TABLE_CLUSTER],
        .brokers = image->rows[IPC_TABLE_BROKERS],
        .accounts = image->rows[IPC_TABLE_ACCOUNTS],
        .instruments = image->rows[IPC_TABLE_INSTRUMENTS],
        .followers = image->rows[IPC_TABLE_FOLLOWERS],
        .masters = image->rows[IPC_TABLE_MASTERS],
        .master_slots = image->rows[IPC_TABLE_MASTER_SLOTS],
        .lists = image->rows[IPC_TABLE_LISTS],
        .list_items = image->rows[IPC_TABLE_LIST_ITEMS],
        .tokens = image->rows[IPC_TABLE_TOKENS],
        .policies = image->rows[IPC_TABLE_POLICIES],
        .maps = image->rows[IPC_TABLE_MAPS],
        .map_items = image->rows[IPC_TABLE_MAP_ITEMS],
        .contracts = image->rows[IPC_TABLE_CONTRACTS],
        .sessions = image->rows[IPC_TABLE_SESSIONS],
        .broker_count = rows[IPC_TABLE_BROKERS],
        .account_count = rows[IPC_TABLE_ACCOUNTS],
        .instrument_count = rows[IPC_TABLE_INSTRUMENTS],
        .follower_slots = rows[IPC_TABLE_FOLLOWERS],
        .master_count = rows[IPC_TABLE_MASTERS],
        .master_slot_count = rows[IPC_TABLE_MASTER_SLOTS],
        .list_count = rows[IPC_TABLE_LISTS],
        .list_item_count = rows[IPC_TABLE_LIST_ITEMS],
        .policy_count = rows[IPC_TABLE_POLICIES],
        .map_count = rows[IPC_TABLE_MAPS],
        .map_item_count = rows[IPC_TABLE_MAP_ITEMS],
        .contract_count = rows[IPC_TABLE_CONTRACTS],
        .session_count = rows[IPC_TABLE_SESSIONS],
        /* A token table that is not one row per account is not usable: validate refuses tokens. */
        .token_row_bytes =
            rows[IPC_TABLE_TOKENS] == rows[IPC_TABLE_ACCOUNTS] ? image->shape.token_row_bytes : 0,
    };
}
