/* A hostile snapshot file: whatever its bytes are, a reader answers with a code, reads nothing
 * outside, and what passes validation may be walked without another check.
 *
 * A body of megabytes is no good input, so the input is a list of changes to a good one. First
 * byte: bit 0 the checksums are made right again after the changes, bit 1 the body is cut, bit 2
 * the copy goes into an image that holds the good generation already. Then records of twelve
 * bytes: where (1), how many bytes (1), offset (2), value (8). */
#include "ipc/journal_format.h"
#include "ipc/snapshot_private.h"
#include "tests/unit/ipc/snapshot_world.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHUNKS    20u
#define FOLLOWERS 24u
#define RECORD    12u

static uint8_t *body; /* what is read */
static uint8_t *good; /* as it was */
static uint64_t body_bytes;
static struct world world;
static struct world copy;
static struct ipc_snapshot_map map; /* of the good body */
static struct ipc_snapshot_reference references[CHUNKS];
static struct ipc_snapshot_directory directory;

static struct ipc_snapshot_directory *shared_directory(void)
{
    return (void *)(body + (map.directories - good) + map.directory_bytes);
}

/* One generation, built without the writer, which wants a file. */
static void build(void)
{
    world_make(&world, FOLLOWERS, FOLLOWERS, 64);
    world_make_empty(&copy, &world.image.capacity);
    body_bytes = ipc_snapshot_body_bytes(CHUNKS);
    body = aligned_alloc(4096, body_bytes);
    good = aligned_alloc(4096, body_bytes);
    if (body == NULL || good == NULL)
        abort();
    memset(good, 0, body_bytes);
    struct ipc_snapshot_header *header = (void *)good;
    header->lineage = 7;
    header->chunk_capacity = CHUNKS;
    atomic_store(&header->current_generation, 1);
    if (ipc_snapshot_map_init(&map, good, body_bytes, NULL) != IPC_OK)
        abort();
    uint32_t at = 0;
    for (uint32_t table = 0; table < IPC_TABLE_COUNT; table++, at++) {
        struct ipc_snapshot_span span =
            ipc_snapshot_part_span(&world.image.shape, (enum ipc_table)table, 0);
        references[at] = (struct ipc_snapshot_reference){.version = 1,
            .digest = at,
            .chunk = at,
            .crc = ipc_crc32c(0, world.image.rows[table], span.bytes)};
        memcpy((uint8_t *)map.chunks + (uint64_t)at * IPC_SNAPSHOT_CHUNK_BYTES,
            world.image.rows[table], span.bytes);
        atomic_store((_Atomic uint64_t *)&map.stamps[at], 1);
    }
    directory = (struct ipc_snapshot_directory){
        .generation = 1, .lineage = 7, .shape = world.image.shape, .part_count = at};
    directory.crc = ipc_snapshot_directory_crc(&directory, references, at);
    atomic_store(&directory.stamp, 1);
    uint8_t *place = (uint8_t *)map.directories + map.directory_bytes;
    memcpy(place, &directory, sizeof(directory));
    memcpy(place + sizeof(directory), references, at * sizeof(references[0]));
    memcpy(body, good, body_bytes);
}

/* Where a record's change goes, and how many bytes there are. */
static uint8_t *area(uint8_t where, uint32_t *bytes)
{
    uint32_t place = where % (3 + IPC_TABLE_COUNT);
    *bytes = 4096;
    if (place == 0)
        return body;
    if (place == 1)
        return (uint8_t *)shared_directory();
    if (place == 2)
        return body + sizeof(struct ipc_snapshot_header);
    return body + (map.chunks - good) + (uint64_t)(place - 3) * IPC_SNAPSHOT_CHUNK_BYTES;
}

static void change(const uint8_t *record)
{
    uint32_t bytes;
    uint8_t *at = area(record[0], &bytes);
    uint32_t offset = (uint32_t)(record[2] | record[3] << 8) % bytes;
    uint32_t count = 1 + record[1] % 8;
    if (offset + count > bytes)
        count = bytes - offset;
    memcpy(at + offset, record + 4, count);
}

/* Makes the checksums those of the changed bytes, so that what they guard is reached. */
static void mend(void)
{
    struct ipc_snapshot_directory *changed = shared_directory();
    struct ipc_snapshot_reference *listed = (void *)(changed + 1);
    uint32_t parts = changed->part_count;
    if (parts > CHUNKS)
        return;
    uint32_t at = 0;
    if (ipc_snapshot_shape_check(&changed->shape, NULL) == IPC_OK &&
        ipc_snapshot_part_count(&changed->shape) == parts) {
        for (uint32_t table = 0; table < IPC_TABLE_COUNT; table++) {
            uint32_t count = ipc_snapshot_table_parts(&changed->shape, (enum ipc_table)table);
            for (uint32_t i = 0; i < count; i++, at++) {
                struct ipc_snapshot_span span =
                    ipc_snapshot_part_span(&changed->shape, (enum ipc_table)table, i);
                if (listed[at].chunk < CHUNKS)
                    listed[at].crc = ipc_crc32c(0,
                        body + (map.chunks - good) +
                            (uint64_t)listed[at].chunk * IPC_SNAPSHOT_CHUNK_BYTES,
                        span.bytes);
            }
        }
    }
    changed->crc = ipc_snapshot_directory_crc(changed, listed, parts);
}

/* What an engine would do with a generation that passed, in short: follow every index. */
static void walk(const struct ipc_snapshot_view *view)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < view->master_count; i++) {
        const struct ipc_row_master *master = &view->masters[i];
        for (uint32_t j = 0; j < master->count; j++) {
            const struct ipc_row_follower *row =
                &view->followers[view->master_slots[master->first + j]];
            const struct ipc_row_account *account = &view->accounts[row->account - 1];
            sum += view->brokers[account->broker].port;
            for (uint32_t k = 0; k < account->token_bytes; k++)
                sum += view->tokens[(uint64_t)(row->account - 1) * view->token_row_bytes + k];
            if (row->allowed_list == 0)
                continue;
            const struct ipc_row_list *list = &view->lists[row->allowed_list - 1];
            for (uint32_t k = 0; k < list->count; k++)
                sum += view->instruments[view->list_items[list->first + k] - 1].exchange;
        }
    }
    for (uint32_t slot = 0; slot < view->follower_slots; slot++) {
        const struct ipc_row_follower *row = &view->followers[slot];
        if (row->follower_no == 0)
            continue;
        if (row->policy != 0) {
            const struct ipc_row_policy *policy = &view->policies[row->policy - 1];
            for (uint32_t k = 0; k < policy->tier_count; k++)
                sum += (uint64_t)policy->tiers[k].mult_e8;
        }
        if (row->map == 0)
            continue;
        const struct ipc_row_list *run = &view->maps[row->map - 1];
        for (uint32_t k = 0; k < run->count; k++)
            sum += view->instruments[view->map_items[run->first + k].to - 1].exchange;
    }
    for (uint32_t i = 0; i < view->contract_count; i++)
        sum += view->instruments[view->contracts[i].instrument - 1].exchange +
               view->brokers[view->contracts[i].broker].port;
    struct ipc_snapshot_stats stats;
    ipc_snapshot_stats(view, &stats);
    if (stats.enabled_followers > FOLLOWERS || (sum == 0 && stats.enabled_followers > 0))
        abort();
}

static void read_body(uint64_t bytes)
{
    struct ipc_snapshot_map changed;
    struct ipc_snapshot_reference scratch[CHUNKS];
    struct ipc_snapshot_view view;
    struct ipc_error error;
    uint32_t copied;
    if (ipc_snapshot_map_init(&changed, body, bytes, &error) != IPC_OK)
        return;
    if (ipc_snapshot_map_copy(&changed, scratch, &copy.image, &copied, &error) != IPC_OK) {
        if (copy.image.generation != 0)
            abort();
        return;
    }
    ipc_snapshot_view_of(&copy.image, &view);
    if (ipc_snapshot_scratch_bytes(&view) > copy.scratch_bytes)
        abort(); /* the image's capacity bounds it */
    if (ipc_snapshot_validate(&view, copy.scratch, copy.scratch_bytes, &error) == IPC_OK)
        walk(&view);
}

/* Puts back what records changed: their areas' beginnings, and the directory. */
static void restore(void)
{
    uint32_t bytes;
    for (uint8_t where = 0; where < 3 + IPC_TABLE_COUNT; where++) {
        uint8_t *at = area(where, &bytes);
        memcpy(at, good + (at - body), bytes);
    }
}

/* Each table of the reader's image in memory of its own and of its exact size, so that the address
 * sanitizer sees the first byte behind it. */
static void fresh_image(void)
{
    ipc_snapshot_image_init(&copy.image, copy.memory, &world.image.capacity);
    memset(copy.image.parts, 0, copy.image.part_capacity * sizeof(*copy.image.parts));
    for (uint32_t table = 0; table < IPC_TABLE_COUNT; table++) {
        copy.image.rows[table] = calloc(copy.image.capacity.rows[table],
            ipc_table_row_bytes((enum ipc_table)table, copy.image.capacity.token_row_bytes));
        if (copy.image.rows[table] == NULL)
            abort();
    }
}

static void drop_image(void)
{
    for (uint32_t table = 0; table < IPC_TABLE_COUNT; table++)
        free(copy.image.rows[table]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (body == NULL)
        build();
    if (size == 0)
        return 0;
    fresh_image();
    if (data[0] & 4)
        read_body(body_bytes);
    for (size_t at = 1; at + RECORD <= size && at < 1 + 64 * RECORD; at += RECORD)
        change(data + at);
    if (data[0] & 1)
        mend();
    read_body(data[0] & 2 ? body_bytes - (data[0] >> 3) * 97 : body_bytes);
    restore();
    drop_image();
    return 0;
}
