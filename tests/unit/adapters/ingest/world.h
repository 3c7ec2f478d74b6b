/* world.h: a small instance for tests of ingest: a directory of its own, a snapshot, and readers of
 * its rings.
 *
 *     account 1 MASTER1   master, shard 0; followed by 2 and 4 (shard 0) and 3 (shard 1)
 *     account 2 FOLLOW1   follower, shard 0
 *     account 3 FOLLOW2   follower, shard 1
 *     account 4 BOTH1     master and follower, shard 0, chaining
 *     account 5 FOLLOW1   follower at the other broker, shard 1
 *     instruments 1 NSE 22 ACC-EQ, 2 NFO 54957 NIFTY26DECFUT */
#ifndef LS_TESTS_INGEST_WORLD_H
#define LS_TESTS_INGEST_WORLD_H

#include "ipc/clock.h"
#include "ipc/event.h"
#include "ipc/ring.h"
#include "ipc/seal.h"
#include "ipc/snapshot.h"
#include "ipc/tag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORLD_ACCOUNTS  5u
#define WORLD_TOKEN_ROW 256u

struct world {
    char base[64];
    struct ipc_shm shm;
    struct ipc_snapshot_writer *writer;
    struct ipc_snapshot_image image;
    void *memory;
};

static inline void world_must(bool is_good, const char *what, const struct ipc_error *error)
{
    if (is_good)
        return;
    fprintf(stderr, "world: %s: %s\n", what, error->text);
    abort();
}

static inline void *world_rows(struct world *world, enum ipc_table table)
{
    return world->image.rows[table];
}

static inline struct ipc_row_account *world_account(struct world *world, uint32_t account)
{
    return (struct ipc_row_account *)world_rows(world, IPC_TABLE_ACCOUNTS) + (account - 1);
}

static inline struct ipc_row_broker *world_broker(struct world *world, uint32_t broker)
{
    return (struct ipc_row_broker *)world_rows(world, IPC_TABLE_BROKERS) + broker;
}

static inline void world_fill_accounts(struct world *world)
{
    static const struct {
        uint16_t broker, shard;
        uint8_t roles, flags;
        const char *login;
    } accounts[WORLD_ACCOUNTS] = {
        {0, 0, IPC_ROLE_MASTER, 0, "MASTER1"},
        {0, 0, IPC_ROLE_FOLLOWER, 0, "FOLLOW1"},
        {0, 1, IPC_ROLE_FOLLOWER, 0, "FOLLOW2"},
        {0, 0, IPC_ROLE_MASTER | IPC_ROLE_FOLLOWER, IPC_ACCOUNT_CHAINING, "BOTH1"},
        {1, 1, IPC_ROLE_FOLLOWER, 0, "FOLLOW1"},
    };
    for (uint32_t i = 0; i < WORLD_ACCOUNTS; i++) {
        struct ipc_row_account *row = world_account(world, i + 1);
        row->account = i + 1;
        row->broker = accounts[i].broker;
        row->shard = accounts[i].shard;
        row->roles = accounts[i].roles;
        row->flags = accounts[i].flags;
        row->lanes = IPC_LANES_SHARED;
        snprintf(row->login, sizeof(row->login), "%s", accounts[i].login);
    }
}

static inline void world_fill_instruments(struct world *world)
{
    struct ipc_row_instrument *rows = world_rows(world, IPC_TABLE_INSTRUMENTS);
    rows[0] = (struct ipc_row_instrument){.instrument = 1,
        .exchange = IPC_EXCHANGE_NSE,
        .kind = IPC_KIND_CASH,
        .lot_qty_e8 = LS_E8,
        .tick_e8 = LS_E8 / 20,
        .token = "22",
        .symbol = "ACC-EQ"};
    rows[1] = (struct ipc_row_instrument){.instrument = 2,
        .exchange = IPC_EXCHANGE_NFO,
        .kind = IPC_KIND_FUTURE,
        .lot_qty_e8 = 65 * LS_E8,
        .tick_e8 = LS_E8 / 20,
        .expiry_yyyymmdd = 20261229,
        .token = "54957",
        .symbol = "NIFTY26DECFUT",
        .underlying = "NIFTY"};
}

static inline void world_fill_followers(struct world *world)
{
    static const uint32_t accounts[3] = {2, 3, 4};
    struct ipc_row_follower *rows = world_rows(world, IPC_TABLE_FOLLOWERS);
    struct ipc_row_master *masters = world_rows(world, IPC_TABLE_MASTERS);
    uint32_t *slots = world_rows(world, IPC_TABLE_MASTER_SLOTS);
    for (uint32_t i = 0; i < 3; i++)
        rows[i] = (struct ipc_row_follower){.follower_no = i + 1,
            .incarnation = 1,
            .account = accounts[i],
            .master = 1,
            .mode = IPC_MODE_FIXED_RATIO,
            .copy = IPC_COPY_ON_ORDER,
            .flags = IPC_FOLLOWER_ENABLED,
            .shard = world_account(world, accounts[i])->shard,
            .ratio_e8 = LS_E8};
    masters[0] = (struct ipc_row_master){.account = 1, .shard = 0, .first = 0, .count = 2};
    masters[1] = (struct ipc_row_master){.account = 1, .shard = 1, .first = 2, .count = 1};
    slots[0] = 0;
    slots[1] = 2;
    slots[2] = 1;
}

static inline void world_publish(struct world *world)
{
    struct ipc_error error = {.text = ""};
    struct ipc_snapshot_view view;
    static _Alignas(64) uint8_t scratch[65536];
    ipc_snapshot_view_of(&world->image, &view);
    world_must(ipc_snapshot_scratch_bytes(&view) <= sizeof(scratch), "scratch", &error);
    world_must(ipc_snapshot_validate(&view, scratch, sizeof(scratch), &error) == IPC_OK, "validate",
        &error);
    world_must(ipc_snapshot_writer_publish(world->writer, &world->image, IPC_SNAPSHOT_OVERRIDE,
                   ipc_clock_wall_ns(), &error) == IPC_OK,
        "publish", &error);
}

/* world_open makes an instance "test" in a directory of its own; world_publish makes its snapshot.
 */
static inline void world_open(struct world *world)
{
    struct ipc_error error = {.text = ""};
    memset(world, 0, sizeof(*world));
    snprintf(world->base, sizeof(world->base), "/tmp/lockstep-test-XXXXXX");
    if (mkdtemp(world->base) == NULL)
        abort();
    setenv(IPC_SHM_BASE_VARIABLE, world->base, 1);
    world_must(ipc_shm_open(&world->shm, NULL, "test", true, &error) == IPC_OK, "shm", &error);
    world_must(
        ipc_snapshot_writer_open(&world->shm, &world->writer, &error) == IPC_OK, "writer", &error);
    struct ipc_snapshot_shape shape = {.token_row_bytes = WORLD_TOKEN_ROW};
    shape.rows[IPC_TABLE_CLUSTER] = 1;
    shape.rows[IPC_TABLE_BROKERS] = 2;
    shape.rows[IPC_TABLE_ACCOUNTS] = shape.rows[IPC_TABLE_TOKENS] = WORLD_ACCOUNTS;
    shape.rows[IPC_TABLE_INSTRUMENTS] = 2;
    shape.rows[IPC_TABLE_FOLLOWERS] = 3;
    shape.rows[IPC_TABLE_MASTERS] = 2;
    shape.rows[IPC_TABLE_MASTER_SLOTS] = 3;
    const uint64_t bytes = ipc_snapshot_footprint(&shape);
    world->memory = aligned_alloc(4096, bytes);
    memset(world->memory, 0, bytes);
    ipc_snapshot_image_init(&world->image, world->memory, &shape);
    world->image.shape = shape;
    struct ipc_row_cluster *cluster = world_rows(world, IPC_TABLE_CLUSTER);
    snprintf(cluster->cluster_id, sizeof(cluster->cluster_id), "test-cluster");
    cluster->shard_count = 2;
    for (uint32_t broker = 0; broker < 2; broker++) {
        struct ipc_row_broker *row = world_broker(world, broker);
        snprintf(row->name, sizeof(row->name), broker == 0 ? "alice" : "other");
        snprintf(row->dialect, sizeof(row->dialect), broker == 0 ? "alice-blue" : "none");
        snprintf(row->host, sizeof(row->host), "127.0.0.1");
        row->port = 1;
        row->live = 1;
    }
    world_fill_accounts(world);
    world_fill_instruments(world);
    world_fill_followers(world);
}

static inline void world_close(struct world *world)
{
    char command[128];
    ipc_snapshot_writer_close(world->writer);
    ipc_shm_close(&world->shm);
    free(world->memory);
    snprintf(command, sizeof(command), "rm -rf %s", world->base);
    if (system(command) != 0)
        abort();
}

/* world_seal gives an account a token, as `lockstepctl token set` does. */
static inline void world_seal(
    struct world *world, const struct ipc_seal_key *key, uint32_t account, const char *token)
{
    struct ipc_row_account *row = world_account(world, account);
    const struct ipc_row_cluster *cluster = world_rows(world, IPC_TABLE_CLUSTER);
    struct ipc_seal_binding binding = {.account = account, .token_version = row->token_version + 1};
    uint8_t *out =
        (uint8_t *)world_rows(world, IPC_TABLE_TOKENS) + (size_t)(account - 1) * WORLD_TOKEN_ROW;
    size_t bytes = 0;
    struct ipc_error error = {.text = ""};
    memcpy(binding.cluster_id, cluster->cluster_id, sizeof(binding.cluster_id));
    world_must(
        ipc_seal(key, &binding, token, strlen(token), out, WORLD_TOKEN_ROW, &bytes) == IPC_OK,
        "seal", &error);
    row->token_version++;
    row->token_bytes = (uint32_t)bytes;
}

/* world_consume attaches the consumer of one ring, which may not be there yet. */
static inline bool world_consume(struct world *world, const char *producer, uint32_t shard,
    enum ipc_ring_class ring_class, struct ipc_ring_consumer *ring)
{
    struct ipc_ring_name name = {.shard = shard, .ring_class = ring_class};
    struct ipc_error error = {.text = ""};
    snprintf(name.producer, sizeof(name.producer), "%s", producer);
    return ipc_ring_attach_consumer(&world->shm, &name, ring, &error) == IPC_OK;
}

/* world_take takes and releases one event; false when there is none. Damage stops the test. */
static inline bool world_take(struct ipc_ring_consumer *ring, struct ipc_event *event)
{
    size_t bytes;
    uint64_t sequence;
    struct ipc_error error = {.text = ""};
    const enum ipc_rc rc = ipc_ring_poll(ring, event, sizeof(*event), &bytes, &sequence);
    if (rc == IPC_EMPTY)
        return false;
    world_must(rc == IPC_OK && bytes == sizeof(*event), "ring damaged", &error);
    ipc_ring_release(ring);
    world_must(ipc_event_check(event, &error) == IPC_OK, "event", &error);
    return true;
}

#endif
