#include "control/snapshot_private.h"

#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX (UINT64_C(4) << 30)

/* ---- the whole file -------------------------------------------------------------------------- */

static enum ipc_rc each(struct ctl_reading *r, const char *key,
    enum ipc_rc (*read_one)(struct ctl_reading *, uint32_t), bool required)
{
    uint32_t array = ctl_document_member(r->document, 0, key);
    if (array == CTL_NONE)
        return required ? CTL_COMPLAIN(r, 0, "\"%s\" is missing", key) : IPC_OK;
    if (ctl_document_type(r->document, array) != CTL_JSON_ARRAY)
        return CTL_COMPLAIN(r, array, "must be a list of objects");
    for (uint32_t value = ctl_document_first(r->document, array); value != CTL_NONE;
         value = ctl_document_next(r->document, value)) {
        enum ipc_rc rc = read_one(r, value);
        if (rc != IPC_OK)
            return rc;
    }
    return IPC_OK;
}

/* Dispatch order: by master, shard, then broker and account, so that one connection's orders lie
 * together. */
static const struct ipc_row_follower *sort_rows;
static int compare_slots(const void *a, const void *b)
{
    const struct ipc_row_follower *left = &sort_rows[*(const uint32_t *)a];
    const struct ipc_row_follower *right = &sort_rows[*(const uint32_t *)b];
    if (left->master != right->master)
        return left->master < right->master ? -1 : 1;
    if (left->shard != right->shard)
        return left->shard < right->shard ? -1 : 1;
    if (left->broker != right->broker)
        return left->broker < right->broker ? -1 : 1;
    if (left->account != right->account)
        return left->account < right->account ? -1 : 1;
    return left->follower_no < right->follower_no ? -1 : left->follower_no > right->follower_no;
}

static void group_masters(struct ctl_reading *r)
{
    uint32_t *slots = r->slots.at;
    if (r->slots.count == 0)
        return;
    sort_rows = r->followers.at;
    qsort(slots, r->slots.count, sizeof(*slots), compare_slots);
    for (uint32_t i = 0; i < r->slots.count; i++) {
        const struct ipc_row_follower *row = &sort_rows[slots[i]];
        struct ipc_row_master *last =
            r->masters.count > 0 ? (struct ipc_row_master *)r->masters.at + (r->masters.count - 1)
                                 : NULL;
        if (last == NULL || last->account != row->master || last->shard != row->shard) {
            last = ctl_rows_reach(&r->masters, r->masters.count + 1);
            *last =
                (struct ipc_row_master){.account = row->master, .shard = row->shard, .first = i};
        }
        last->count++;
    }
}

/* Retired rows name the accounts and brokers that they had: those keep their places, as empty rows,
 * when the file no longer has them. */
static void keep_places(struct ctl_reading *r)
{
    if (r->live == NULL)
        return;
    uint32_t accounts = r->live->shape.rows[IPC_TABLE_ACCOUNTS];
    uint32_t brokers = r->live->shape.rows[IPC_TABLE_BROKERS];
    if (accounts > r->accounts.count)
        ctl_rows_reach(&r->accounts, accounts);
    ctl_rows_reach(&r->tokens, r->accounts.count > 0 ? r->accounts.count : 1);
    if (brokers > r->brokers.count)
        ctl_rows_reach(&r->brokers, brokers);
}

/* A file that `snapshot show` wrote says what it was made from: it is not laid over a change that
 * its author has not seen. */
static enum ipc_rc check_generation(struct ctl_reading *r)
{
    uint64_t made_from = 0, live = r->live != NULL ? r->live->generation : 0;
    enum ipc_rc rc = ctl_document_uint(
        r->document, 0, "generation", 0, (uint64_t)INT64_MAX / 10, &made_from, r->error);
    if (rc != IPC_OK)
        return rc == IPC_NOT_FOUND ? IPC_OK : rc;
    if (made_from != live)
        return CTL_COMPLAIN(r, ctl_document_member(r->document, 0, "generation"),
            "the file was made from generation %llu and %llu is live: take a fresh one, or remove "
            "this line to publish all the same",
            (unsigned long long)made_from, (unsigned long long)live);
    return IPC_OK;
}

static enum ipc_rc read_root(struct ctl_reading *r)
{
    static const char *const keys[] = {"generation", "cluster", "shards", "guard_fraction",
        "brokers", "accounts", "instruments", "symbol_maps", "subscriptions", "ended", NULL};
    if (ctl_document_only(r->document, 0, keys, r->error) != IPC_OK)
        return IPC_BAD_INPUT;
    if (check_generation(r) != IPC_OK)
        return IPC_BAD_INPUT;
    r->cluster.shard_count = 1;
    if (ctl_read_need(r, 0, "cluster",
            ctl_read_text(r, 0, "cluster", r->cluster.cluster_id, sizeof(r->cluster.cluster_id))) !=
            IPC_OK ||
        ctl_read_failed(ctl_read_u32(r, 0, "shards", 1, 64, &r->cluster.shard_count)) ||
        ctl_read_failed(
            ctl_read_e8(r, 0, "guard_fraction", 0, 100 * LS_E8, &r->cluster.guard_fraction_e8)))
        return IPC_BAD_INPUT;
    if (r->cluster.cluster_id[0] == '\0')
        return CTL_COMPLAIN(r, ctl_document_member(r->document, 0, "cluster"), "must not be empty");
    const struct ipc_row_cluster *before =
        r->live != NULL ? r->live->rows[IPC_TABLE_CLUSTER] : NULL;
    if (before != NULL &&
        strncmp(before->cluster_id, r->cluster.cluster_id, sizeof(before->cluster_id)) != 0)
        return CTL_COMPLAIN(r, ctl_document_member(r->document, 0, "cluster"),
            "was \"%s\" and cannot change: identities of orders are made from it, and the same "
            "orders would be copied again; take another --instance",
            before->cluster_id);
    enum ipc_rc rc = each(r, "brokers", ctl_read_broker, true);
    if (rc == IPC_OK)
        rc = each(r, "accounts", ctl_read_account, true);
    keep_places(r);
    if (rc == IPC_OK && ctl_document_member(r->document, 0, "instruments") == CTL_NONE)
        ctl_keep_instruments(r);
    else if (rc == IPC_OK)
        rc = each(r, "instruments", ctl_read_instrument, true);
    ctl_keep_contracts(r);
    ctl_keep_sessions(r);
    if (rc == IPC_OK)
        rc = ctl_read_symbol_maps(r);
    ctl_retire_live(r);
    if (rc == IPC_OK)
        rc = each(r, "subscriptions", ctl_read_subscription, true);
    if (rc == IPC_OK)
        rc = ctl_list_retired(r);
    if (rc == IPC_OK)
        rc = ctl_check_shards(r);
    if (rc == IPC_OK) {
        group_masters(r);
        ctl_shared_order(r);
    }
    return rc;
}

/* The token table's row is as long as the longest sealed token needs. */
static uint32_t token_row(const struct ctl_reading *r)
{
    uint32_t longest = 0;
    const struct ipc_row_account *rows = r->accounts.at;
    for (uint32_t i = 0; i < r->accounts.count; i++)
        longest = rows[i].token_bytes > longest ? rows[i].token_bytes : longest;
    return (uint32_t)ls_align_up(longest, 64);
}

static enum ipc_rc build(struct ctl_reading *r, struct ipc_snapshot_image *image, void **memory)
{
    const struct ctl_rows *tables[IPC_TABLE_COUNT] = {[IPC_TABLE_BROKERS] = &r->brokers,
        [IPC_TABLE_ACCOUNTS] = &r->accounts,
        [IPC_TABLE_INSTRUMENTS] = &r->instruments,
        [IPC_TABLE_FOLLOWERS] = &r->followers,
        [IPC_TABLE_MASTERS] = &r->masters,
        [IPC_TABLE_MASTER_SLOTS] = &r->slots,
        [IPC_TABLE_LISTS] = &r->lists,
        [IPC_TABLE_LIST_ITEMS] = &r->items,
        [IPC_TABLE_POLICIES] = &r->policies,
        [IPC_TABLE_MAPS] = &r->maps,
        [IPC_TABLE_MAP_ITEMS] = &r->map_items,
        [IPC_TABLE_CONTRACTS] = &r->contracts,
        [IPC_TABLE_SESSIONS] = &r->sessions};
    struct ipc_snapshot_shape shape = {.token_row_bytes = token_row(r)};
    shape.rows[IPC_TABLE_CLUSTER] = 1;
    for (uint32_t t = 0; t < IPC_TABLE_COUNT; t++)
        if (tables[t] != NULL)
            shape.rows[t] = tables[t]->count;
    shape.rows[IPC_TABLE_TOKENS] = shape.token_row_bytes > 0 ? r->accounts.count : 0;
    uint64_t bytes = ipc_snapshot_footprint(&shape);
    *memory = bytes > 0 ? aligned_alloc(4096, bytes) : NULL;
    if (*memory == NULL) {
        ipc_error_set(r->error, "the snapshot does not fit: %llu bytes of memory are needed",
            (unsigned long long)bytes);
        return IPC_SYSTEM;
    }
    memset(*memory, 0, bytes);
    ipc_snapshot_image_init(image, *memory, &shape);
    image->shape = shape;
    memcpy(image->rows[IPC_TABLE_CLUSTER], &r->cluster, sizeof(r->cluster));
    for (uint32_t t = 0; t < IPC_TABLE_COUNT; t++)
        if (tables[t] != NULL && tables[t]->count > 0)
            memcpy(image->rows[t], tables[t]->at, (size_t)tables[t]->count * tables[t]->bytes);
    for (uint32_t i = 0; i < shape.rows[IPC_TABLE_TOKENS]; i++)
        memcpy((uint8_t *)image->rows[IPC_TABLE_TOKENS] + (size_t)i * shape.token_row_bytes,
            (uint8_t *)r->tokens.at + (size_t)i * r->tokens.bytes, shape.token_row_bytes);
    return IPC_OK;
}

enum ipc_rc ctl_snapshot_read_file(const char *path, const struct ipc_snapshot_image *live,
    const struct ipc_seal_key *key, struct ipc_secret_arena *arena,
    struct ipc_snapshot_image *image, void **memory, struct ipc_error *error)
{
    *memory = NULL;
    struct ctl_document *document = ctl_document_open(path, FILE_BYTES_MAX, error);
    if (document == NULL)
        return IPC_BAD_INPUT;
    struct ctl_reading r = {.document = document,
        .live = live,
        .key = key,
        .arena = arena,
        .error = error,
        .brokers.bytes = sizeof(struct ipc_row_broker),
        .accounts.bytes = sizeof(struct ipc_row_account),
        .tokens.bytes = (uint32_t)ls_align_up(TOKEN_BYTES_MAX + IPC_SEAL_OVERHEAD_BYTES, 64),
        .instruments.bytes = sizeof(struct ipc_row_instrument),
        .followers.bytes = sizeof(struct ipc_row_follower),
        .masters.bytes = sizeof(struct ipc_row_master),
        .slots.bytes = sizeof(uint32_t),
        .lists.bytes = sizeof(struct ipc_row_list),
        .items.bytes = sizeof(uint32_t),
        .policies.bytes = sizeof(struct ipc_row_policy),
        .maps.bytes = sizeof(struct ipc_row_list),
        .map_items.bytes = sizeof(struct ipc_row_map_item),
        .contracts.bytes = sizeof(struct ipc_row_contract),
        .sessions.bytes = sizeof(struct ipc_row_session)};
    struct ctl_name_map *maps[] = {
        &r.broker_names, &r.logins, &r.symbols, &r.live_numbers, &r.map_names, &r.shared};
    for (size_t i = 0; i < LS_COUNT_OF(maps); i++)
        ctl_name_map_init(maps[i], 1024);
    r.secret = ipc_secret_alloc(arena, TOKEN_BYTES_MAX + 1);
    enum ipc_rc rc = r.secret != NULL ? read_root(&r) : IPC_SYSTEM;
    if (r.secret == NULL)
        ipc_error_set(error, "there is no locked memory left for a token");
    if (rc == IPC_OK)
        rc = build(&r, image, memory);
    struct ctl_rows *vectors[] = {&r.brokers, &r.accounts, &r.tokens, &r.instruments, &r.followers,
        &r.masters, &r.slots, &r.lists, &r.items, &r.policies, &r.maps, &r.map_items, &r.contracts,
        &r.sessions};
    for (size_t i = 0; i < LS_COUNT_OF(vectors); i++)
        free(vectors[i]->at);
    for (size_t i = 0; i < LS_COUNT_OF(maps); i++)
        ctl_name_map_free(maps[i]);
    ctl_document_close(document);
    return rc;
}

enum ipc_rc ctl_snapshot_read_live(const struct ipc_shm *shm, struct ipc_snapshot_image *image,
    void **memory, struct ipc_error *error)
{
    *memory = NULL;
    struct ipc_snapshot_reader *reader = NULL;
    enum ipc_rc rc = ipc_snapshot_reader_open(shm, &reader, error);
    if (rc != IPC_OK)
        return rc;
    for (int tries = 0; tries < 100; tries++) {
        struct ipc_snapshot_shape shape;
        rc = ipc_snapshot_reader_shape(reader, &shape, error);
        if (rc == IPC_TORN)
            continue;
        if (rc != IPC_OK)
            break;
        uint64_t bytes = ipc_snapshot_footprint(&shape);
        free(*memory);
        *memory = bytes > 0 ? aligned_alloc(4096, bytes) : NULL;
        if (*memory == NULL) {
            ipc_error_set(error, "not enough memory for the live snapshot");
            rc = IPC_SYSTEM;
            break;
        }
        memset(*memory, 0, bytes);
        ipc_snapshot_image_init(image, *memory, &shape);
        rc = ipc_snapshot_reader_copy(reader, image, error);
        if (rc != IPC_TORN && rc != IPC_TOO_LONG)
            break;
    }
    ipc_snapshot_reader_close(reader);
    if (rc != IPC_OK) {
        free(*memory);
        *memory = NULL;
    }
    return rc;
}
