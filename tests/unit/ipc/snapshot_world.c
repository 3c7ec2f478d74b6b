/* snapshot_world.c: see snapshot_world.h. */
#include "snapshot_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *pages(uint64_t bytes)
{
    void *memory = mmap(
        NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        abort();
    }
    return memory;
}

struct ipc_row_cluster *world_cluster(struct world *world)
{
    return world->image.rows[IPC_TABLE_CLUSTER];
}

struct ipc_row_broker *world_broker(struct world *world, uint32_t i)
{
    return (struct ipc_row_broker *)world->image.rows[IPC_TABLE_BROKERS] + i;
}

struct ipc_row_account *world_account(struct world *world, uint32_t account)
{
    return (struct ipc_row_account *)world->image.rows[IPC_TABLE_ACCOUNTS] + (account - 1);
}

struct ipc_row_instrument *world_instrument(struct world *world, uint32_t instrument)
{
    return (struct ipc_row_instrument *)world->image.rows[IPC_TABLE_INSTRUMENTS] + (instrument - 1);
}

struct ipc_row_follower *world_follower(struct world *world, uint32_t slot)
{
    return (struct ipc_row_follower *)world->image.rows[IPC_TABLE_FOLLOWERS] + slot;
}

struct ipc_row_master *world_master(struct world *world, uint32_t i)
{
    return (struct ipc_row_master *)world->image.rows[IPC_TABLE_MASTERS] + i;
}

uint32_t *world_slot(struct world *world, uint32_t i)
{
    return (uint32_t *)world->image.rows[IPC_TABLE_MASTER_SLOTS] + i;
}

struct ipc_row_list *world_list(struct world *world, uint32_t i)
{
    return (struct ipc_row_list *)world->image.rows[IPC_TABLE_LISTS] + i;
}

uint32_t *world_item(struct world *world, uint32_t i)
{
    return (uint32_t *)world->image.rows[IPC_TABLE_LIST_ITEMS] + i;
}

struct ipc_row_policy *world_policy(struct world *world, uint32_t i)
{
    return (struct ipc_row_policy *)world->image.rows[IPC_TABLE_POLICIES] + i;
}

struct ipc_row_list *world_map(struct world *world, uint32_t i)
{
    return (struct ipc_row_list *)world->image.rows[IPC_TABLE_MAPS] + i;
}

struct ipc_row_map_item *world_map_item(struct world *world, uint32_t i)
{
    return (struct ipc_row_map_item *)world->image.rows[IPC_TABLE_MAP_ITEMS] + i;
}

struct ipc_row_contract *world_contract(struct world *world, uint32_t i)
{
    return (struct ipc_row_contract *)world->image.rows[IPC_TABLE_CONTRACTS] + i;
}

struct ipc_row_session *world_session(struct world *world, uint32_t i)
{
    return (struct ipc_row_session *)world->image.rows[IPC_TABLE_SESSIONS] + i;
}

static void fill_brokers(struct world *world)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct ipc_row_broker *row = world_broker(world, i);
        memset(row, 0, sizeof(*row));
        (void)snprintf(row->name, sizeof(row->name), "broker-%u", i);
        (void)snprintf(row->dialect, sizeof(row->dialect), "alice-blue");
        (void)snprintf(row->host, sizeof(row->host), "127.0.0.%u", i + 1);
        row->port = 8443;
        row->live = 1;
    }
}

static void fill_account(struct world *world, uint32_t account, uint8_t roles)
{
    struct ipc_row_account *row = world_account(world, account);
    memset(row, 0, sizeof(*row));
    row->account = account;
    row->broker = (uint16_t)(account % 2);
    row->roles = roles;
    row->lanes = IPC_LANES_SHARED;
    row->token_bytes = world->image.shape.token_row_bytes;
    row->token_version = 1;
    (void)snprintf(row->login, sizeof(row->login), "AB%07u", account);
}

static void fill_instruments(struct world *world)
{
    for (uint32_t i = 1; i <= WORLD_INSTRUMENTS; i++) {
        struct ipc_row_instrument *row = world_instrument(world, i);
        memset(row, 0, sizeof(*row));
        row->instrument = i;
        row->exchange = i <= 3 ? IPC_EXCHANGE_NSE : IPC_EXCHANGE_NFO;
        row->kind = i <= 3 ? IPC_KIND_CASH : i == 4 ? IPC_KIND_FUTURE : IPC_KIND_OPTION;
        row->right = i == 5 ? 'C' : i == 6 ? 'P' : 0;
        row->lot_qty_e8 = (i <= 3 ? 1 : 65) * LS_E8;
        row->tick_e8 = LS_E8 / 20;
        row->freeze_qty_e8 = i <= 3 ? 0 : 1755 * LS_E8;
        row->expiry_yyyymmdd = i <= 3 ? 0 : 20261229;
        row->strike_e8 = i >= 5 ? 25000 * LS_E8 : 0;
        (void)snprintf(row->token, sizeof(row->token), "%u", 2000 + i);
        (void)snprintf(row->symbol, sizeof(row->symbol), "SYMBOL%u-EQ", i);
        (void)snprintf(row->underlying, sizeof(row->underlying), "SYMBOL");
    }
}

static void fill_follower(struct world *world, uint32_t slot)
{
    uint32_t account = WORLD_MASTERS + 1 + slot;
    struct ipc_row_follower *row = world_follower(world, slot);
    memset(row, 0, sizeof(*row));
    row->follower_no = slot + 1;
    row->incarnation = 1;
    row->broker = (uint16_t)(account % 2);
    row->account = account;
    row->master = slot % WORLD_MASTERS + 1;
    row->mode = IPC_MODE_FIXED_RATIO;
    row->copy = IPC_COPY_ON_ORDER;
    row->flags = IPC_FOLLOWER_ENABLED;
    row->ratio_e8 = LS_E8;
    row->allowed_list = slot % 3 == 0 ? 1 : 0;
    row->policy = slot % 4 == 1 ? 1 : slot % 4 == 2 ? 2 : 0;
    row->map = slot % 5 == 0 ? 1 : 0;
}

static void fill_policies(struct world *world)
{
    memset(world_policy(world, 0), 0, 2 * sizeof(struct ipc_row_policy));
    world_policy(world, 0)->slippage_cap_e8 = LS_E8 / 200;
    world_policy(world, 0)->trades_day_max = 50;
    struct ipc_row_policy *tiered = world_policy(world, 1);
    tiered->tier_count = 2;
    tiered->tiers[0] = (struct ipc_tier){.from_e8 = LS_E8, .to_e8 = 10 * LS_E8, .mult_e8 = LS_E8};
    tiered->tiers[1] = (struct ipc_tier){.from_e8 = 10 * LS_E8, .mult_e8 = LS_E8 / 2};
    *world_map(world, 0) = (struct ipc_row_list){.first = 0, .count = 2};
    *world_map_item(world, 0) = (struct ipc_row_map_item){.from = 1, .to = 2};
    *world_map_item(world, 1) =
        (struct ipc_row_map_item){.from = 4, .to = 5, .factor_e8 = LS_E8 / 10};
}

static void fill_market(struct world *world)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct ipc_row_contract *row = world_contract(world, i);
        memset(row, 0, sizeof(*row));
        row->instrument = 4;
        row->broker = (uint16_t)i;
        row->identity = 77;
        row->lot_qty_e8 = 65 * LS_E8;
        row->tick_e8 = LS_E8 / 20;
        row->freeze_qty_e8 = 1755 * LS_E8;
        (void)snprintf(row->token, sizeof(row->token), "%u", 9000 + i);
        (void)snprintf(row->symbol, sizeof(row->symbol), "NAME%u", i);
    }
    const int64_t hour_ns = INT64_C(3600) * LS_NS_PER_S;
    for (uint32_t i = 0; i < 3; i++) {
        struct ipc_row_session *row = world_session(world, i);
        memset(row, 0, sizeof(*row));
        row->exchange = i < 2 ? IPC_EXCHANGE_NSE : IPC_EXCHANGE_NFO;
        row->yyyymmdd = 20261123 + i % 2;
        row->midnight_wall_ns = (1000 + i % 2 * 24) * hour_ns;
        row->open_wall_ns = row->midnight_wall_ns + 9 * hour_ns;
        row->close_wall_ns = row->midnight_wall_ns + 15 * hour_ns;
        row->intraday_cutoff_wall_ns = row->midnight_wall_ns + 14 * hour_ns;
    }
}

/* Slots of each master, ascending. */
static void fill_masters(struct world *world, uint32_t followers)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < WORLD_MASTERS; i++) {
        struct ipc_row_master *row = world_master(world, i);
        *row = (struct ipc_row_master){.account = i + 1, .first = at};
        for (uint32_t slot = i; slot < followers; slot += WORLD_MASTERS) {
            *world_slot(world, at++) = slot;
            row->count++;
        }
    }
}

void world_fill(struct world *world, uint32_t followers)
{
    struct ipc_snapshot_shape *shape = &world->image.shape;
    *shape = world->image.capacity;
    shape->rows[IPC_TABLE_ACCOUNTS] = WORLD_MASTERS + followers;
    shape->rows[IPC_TABLE_TOKENS] = shape->token_row_bytes ? WORLD_MASTERS + followers : 0;
    shape->rows[IPC_TABLE_FOLLOWERS] = followers;
    shape->rows[IPC_TABLE_MASTER_SLOTS] = followers;
    struct ipc_row_cluster *cluster = world_cluster(world);
    memset(cluster, 0, sizeof(*cluster));
    (void)snprintf(cluster->cluster_id, sizeof(cluster->cluster_id), "test");
    cluster->shard_count = 1;
    fill_brokers(world);
    for (uint32_t i = 1; i <= WORLD_MASTERS + followers; i++)
        fill_account(world, i, i <= WORLD_MASTERS ? IPC_ROLE_MASTER : IPC_ROLE_FOLLOWER);
    uint8_t *tokens = world->image.rows[IPC_TABLE_TOKENS];
    for (uint32_t i = 0; i < shape->rows[IPC_TABLE_TOKENS]; i++)
        memset(tokens + (uint64_t)i * shape->token_row_bytes, (int)(i % 251 + 1),
            shape->token_row_bytes);
    fill_instruments(world);
    for (uint32_t i = 0; i < followers; i++)
        fill_follower(world, i);
    fill_masters(world, followers);
    fill_policies(world);
    fill_market(world);
    *world_list(world, 0) = (struct ipc_row_list){.first = 0, .count = 3};
    *world_list(world, 1) = (struct ipc_row_list){.first = 3, .count = 1};
    *world_item(world, 0) = 1;
    *world_item(world, 1) = 3;
    *world_item(world, 2) = 5;
    *world_item(world, 3) = 2;
}

void world_make_empty(struct world *world, const struct ipc_snapshot_shape *capacity)
{
    memset(world, 0, sizeof(*world));
    uint64_t bytes = ipc_snapshot_footprint(capacity);
    if (bytes == 0)
        abort();
    world->memory = pages(bytes);
    ipc_snapshot_image_init(&world->image, world->memory, capacity);
    struct ipc_snapshot_view most = {.account_count = capacity->rows[IPC_TABLE_ACCOUNTS],
        .instrument_count = capacity->rows[IPC_TABLE_INSTRUMENTS],
        .follower_slots = capacity->rows[IPC_TABLE_FOLLOWERS],
        .master_count = capacity->rows[IPC_TABLE_MASTERS]};
    world->scratch_bytes = ipc_snapshot_scratch_bytes(&most);
    world->scratch = pages(world->scratch_bytes);
}

void world_make(struct world *world, uint32_t followers, uint32_t room, uint32_t token_row_bytes)
{
    struct ipc_snapshot_shape capacity = {.token_row_bytes = token_row_bytes};
    capacity.rows[IPC_TABLE_CLUSTER] = 1;
    capacity.rows[IPC_TABLE_BROKERS] = 2;
    capacity.rows[IPC_TABLE_ACCOUNTS] = WORLD_MASTERS + room;
    capacity.rows[IPC_TABLE_TOKENS] = token_row_bytes ? WORLD_MASTERS + room : 0;
    capacity.rows[IPC_TABLE_INSTRUMENTS] = WORLD_INSTRUMENTS;
    capacity.rows[IPC_TABLE_FOLLOWERS] = room;
    capacity.rows[IPC_TABLE_MASTERS] = WORLD_MASTERS;
    capacity.rows[IPC_TABLE_MASTER_SLOTS] = room;
    capacity.rows[IPC_TABLE_LISTS] = 2;
    capacity.rows[IPC_TABLE_LIST_ITEMS] = 4;
    capacity.rows[IPC_TABLE_POLICIES] = 2;
    capacity.rows[IPC_TABLE_MAPS] = 1;
    capacity.rows[IPC_TABLE_MAP_ITEMS] = 2;
    capacity.rows[IPC_TABLE_CONTRACTS] = 2;
    capacity.rows[IPC_TABLE_SESSIONS] = 3;
    world_make_empty(world, &capacity);
    world_fill(world, followers);
}

void world_free(struct world *world)
{
    (void)munmap(world->memory, ipc_snapshot_footprint(&world->image.capacity));
    (void)munmap(world->scratch, world->scratch_bytes);
    memset(world, 0, sizeof(*world));
}

enum ipc_rc world_validate(struct world *world, struct ipc_error *error)
{
    struct ipc_snapshot_view view;
    ipc_snapshot_view_of(&world->image, &view);
    return ipc_snapshot_validate(&view, world->scratch, world->scratch_bytes, error);
}

bool world_equal(const struct ipc_snapshot_image *a, const struct ipc_snapshot_image *b)
{
    if (memcmp(&a->shape, &b->shape, sizeof(a->shape)) != 0)
        return false;
    for (uint32_t table = 0; table < IPC_TABLE_COUNT; table++) {
        uint64_t bytes = (uint64_t)a->shape.rows[table] *
                         ipc_table_row_bytes((enum ipc_table)table, a->shape.token_row_bytes);
        if (bytes > 0 && memcmp(a->rows[table], b->rows[table], bytes) != 0)
            return false;
    }
    return true;
}
