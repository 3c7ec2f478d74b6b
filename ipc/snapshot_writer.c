/* snapshot_writer.c: publishing. The order of stores is the whole of the crash safety:
 *
 *   1. chunks that no kept directory refers to: stamp = 0, words, stamp = new generation
 *   2. the directory slot of the oldest kept generation: stamp = 0, words, stamp = generation
 *   3. current_generation (release)
 *
 * Dying before 3 leaves the old generation, whose directory and chunks nobody touched; what was
 * written of the new one is free again for the next writer, which has the same generation to
 * publish. A larger file is filled completely before it gets its name. */
#include "ipc/snapshot_private.h"

#include "ipc/journal_format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/sha.h>

/* Chunks to spare in a new file: enough that small changes never need another file. */
#define SPARE_CHUNKS_MIN 64u

struct ipc_snapshot_writer {
    const struct ipc_shm *shm;
    struct ipc_region lock; /* snapshot.writer, held for the writer's life */
    struct ipc_region region;
    struct ipc_snapshot_map map;
    /* The generation in force: private copies, and what becomes the next one. */
    struct ipc_snapshot_directory directory;
    struct ipc_snapshot_reference *references; /* room for map.chunk_capacity */
    uint64_t generation;
    struct ipc_snapshot_published published;
};

/* A publication being made: references of the new generation, and which of them are new bytes. */
struct plan {
    struct ipc_snapshot_reference *references;
    uint8_t *changed; /* by part */
    uint32_t part_count, changed_count;
    bool shape_changed;
};

/* ---- opening --------------------------------------------------------------------------------- */

struct new_body {
    uint64_t lineage;
    uint32_t chunk_capacity;
    /* For a file that replaces another; image NULL = an empty one. */
    const struct ipc_snapshot_image *image;
    struct ipc_snapshot_directory *directory;
    struct plan *plan;
};

static void write_chunk(const struct ipc_snapshot_map *map,
    const struct ipc_snapshot_reference *reference, const void *rows, uint32_t bytes)
{
    LS_CHECK(reference->chunk < map->chunk_capacity && bytes <= IPC_SNAPSHOT_CHUNK_BYTES);
    /* The maps are const for readers; the writer's mapping is writable. */
    _Atomic uint64_t *stamp = (_Atomic uint64_t *)&map->stamps[reference->chunk];
    uint8_t *chunk = (uint8_t *)map->chunks + (uint64_t)reference->chunk * IPC_SNAPSHOT_CHUNK_BYTES;
    /* Relaxed: the release of every word keeps it before them. */
    atomic_store_explicit(stamp, 0, memory_order_relaxed);
    ipc_snapshot_store_words(chunk, rows, bytes);
    /* Release: pairs with the reader's first acquire of the stamp. */
    atomic_store_explicit(stamp, reference->version, memory_order_release);
}

static void write_directory(const struct ipc_snapshot_map *map,
    const struct ipc_snapshot_directory *directory, const struct ipc_snapshot_reference *references)
{
    LS_CHECK(directory->part_count <= map->chunk_capacity);
    uint8_t *at = (uint8_t *)map->directories +
                  (directory->generation % IPC_SNAPSHOT_KEPT) * map->directory_bytes;
    struct ipc_snapshot_directory *shared = (void *)at;
    atomic_store_explicit(&shared->stamp, 0, memory_order_relaxed); /* as in write_chunk */
    ipc_snapshot_store_words(at + sizeof(shared->stamp),
        (const uint8_t *)directory + sizeof(directory->stamp),
        sizeof(*directory) - sizeof(directory->stamp));
    ipc_snapshot_store_words(
        at + sizeof(*directory), references, (size_t)directory->part_count * sizeof(*references));
    /* Release: pairs with the reader's first acquire of the stamp. */
    atomic_store_explicit(&shared->stamp, directory->generation, memory_order_release);
}

/* Calls write_chunk for every part that `which` selects; NULL selects all. */
static void write_parts(const struct ipc_snapshot_map *map, const struct ipc_snapshot_image *image,
    const struct ipc_snapshot_reference *references, const uint8_t *which)
{
    uint32_t at = 0;
    for (uint32_t table = 0; table < IPC_TABLE_COUNT; table++) {
        uint32_t count = ipc_snapshot_table_parts(&image->shape, (enum ipc_table)table);
        for (uint32_t i = 0; i < count; i++, at++) {
            if (which && !which[at])
                continue;
            struct ipc_snapshot_span span =
                ipc_snapshot_part_span(&image->shape, (enum ipc_table)table, i);
            write_chunk(map, &references[at], (const uint8_t *)image->rows[table] + span.offset,
                span.bytes);
        }
    }
}

/* Fills a body that nobody sees yet. */
static void init_body(void *body, void *context)
{
    const struct new_body *wanted = context;
    struct ipc_snapshot_header *header = body;
    header->lineage = wanted->lineage;
    header->chunk_capacity = wanted->chunk_capacity;
    if (!wanted->image)
        return;
    struct ipc_snapshot_map map;
    LS_CHECK(ipc_snapshot_map_init(
                 &map, body, ipc_snapshot_body_bytes(wanted->chunk_capacity), NULL) == IPC_OK);
    for (uint32_t i = 0; i < wanted->plan->part_count; i++)
        wanted->plan->references[i].chunk = i;
    wanted->directory->crc = ipc_snapshot_directory_crc(
        wanted->directory, wanted->plan->references, wanted->plan->part_count);
    write_parts(&map, wanted->image, wanted->plan->references, NULL);
    write_directory(&map, wanted->directory, wanted->plan->references);
    /* Release: as in publish; the rename that follows is what makes it visible. */
    atomic_store_explicit(
        &header->current_generation, wanted->directory->generation, memory_order_release);
}

static struct ipc_region_spec spec_of(uint32_t chunk_capacity, uint32_t flags)
{
    return (struct ipc_region_spec){.name = IPC_SNAPSHOT_FILE,
        .kind = IPC_REGION_SNAPSHOT,
        .layout_hash = ipc_snapshot_layout_hash(),
        .body_bytes = chunk_capacity == 0 ? sizeof(struct ipc_snapshot_header)
                                          : ipc_snapshot_body_bytes(chunk_capacity),
        .flags = flags | IPC_REGION_WRITE | IPC_REGION_DONTDUMP};
}

static enum ipc_rc take_lock(struct ipc_snapshot_writer *writer, struct ipc_error *error)
{
    struct ipc_region_spec spec = {.name = IPC_SNAPSHOT_LOCK_FILE,
        .kind = IPC_REGION_OTHER,
        .layout_hash = ipc_snapshot_layout_hash(),
        .body_bytes = 64,
        .flags = IPC_REGION_WRITE};
    enum ipc_rc rc = ipc_region_open(writer->shm, &spec, NULL, NULL, &writer->lock, error);
    if (rc != IPC_OK)
        return rc;
    rc = ipc_region_lock(&writer->lock, IPC_LOCK_WRITER);
    if (rc == IPC_BUSY) {
        ipc_error_set(error,
            "another process publishes snapshots of instance %s; ask it, or stop "
            "it first",
            writer->shm->instance);
    } else if (rc != IPC_OK) {
        ipc_error_set(error, "cannot lock %s: %s", IPC_SNAPSHOT_LOCK_FILE, strerror(errno));
    }
    return rc;
}

static enum ipc_rc attach(struct ipc_snapshot_writer *writer, struct ipc_error *error)
{
    struct new_body empty = {.chunk_capacity = SPARE_CHUNKS_MIN};
    if (getrandom(&empty.lineage, sizeof(empty.lineage), 0) != sizeof(empty.lineage)) {
        ipc_error_set(error, "no randomness for a new snapshot: %s", strerror(errno));
        return IPC_SYSTEM;
    }
    struct ipc_region_spec any = spec_of(0, 0);
    struct ipc_region_spec fresh = spec_of(empty.chunk_capacity, 0);
    enum ipc_rc rc = ipc_region_attach(writer->shm, &any, &writer->region, error);
    if (rc == IPC_NOT_FOUND)
        rc = ipc_region_create(writer->shm, &fresh, init_body, &empty, &writer->region, error);
    if (rc == IPC_OK)
        rc = ipc_snapshot_map_init(
            &writer->map, writer->region.body, writer->region.body_bytes, error);
    return rc;
}

static enum ipc_rc open_all(struct ipc_snapshot_writer *writer, struct ipc_error *error)
{
    enum ipc_rc rc = take_lock(writer, error);
    if (rc == IPC_OK) {
        /* A predecessor that died while it made a larger file left that under another name. */
        (void)!ipc_region_sweep(writer->shm, NULL, NULL);
        rc = attach(writer, error);
    }
    if (rc != IPC_OK)
        return rc;
    writer->references = calloc(writer->map.chunk_capacity, sizeof(*writer->references));
    if (!writer->references) {
        ipc_error_set(error, "no memory for the snapshot's directory");
        return IPC_SYSTEM;
    }
    rc = ipc_snapshot_map_directory(&writer->map, &writer->directory, writer->references, error);
    if (rc == IPC_EMPTY)
        return IPC_OK;
    writer->generation = rc == IPC_OK ? writer->directory.generation : 0;
    /* Torn without another writer is damage. */
    return rc == IPC_TORN ? IPC_BAD_CRC : rc;
}

enum ipc_rc ipc_snapshot_writer_open(
    const struct ipc_shm *shm, struct ipc_snapshot_writer **writer, struct ipc_error *error)
{
    struct ipc_snapshot_writer *made = calloc(1, sizeof(*made));
    if (!made) {
        ipc_error_set(error, "no memory for a snapshot writer");
        return IPC_SYSTEM;
    }
    made->shm = shm;
    made->region.fd = -1;
    made->lock.fd = -1;
    enum ipc_rc rc = open_all(made, error);
    if (rc != IPC_OK) {
        int saved = errno;
        ipc_snapshot_writer_close(made);
        errno = saved;
        return rc;
    }
    *writer = made;
    return IPC_OK;
}

void ipc_snapshot_writer_close(struct ipc_snapshot_writer *writer)
{
    if (!writer)
        return;
    free(writer->references);
    ipc_region_detach(&writer->region);
    ipc_region_detach(&writer->lock);
    free(writer);
}

uint64_t ipc_snapshot_writer_current(const struct ipc_snapshot_writer *writer)
{
    return writer->generation;
}

void ipc_snapshot_writer_published(
    const struct ipc_snapshot_writer *writer, struct ipc_snapshot_published *out)
{
    *out = writer->published;
}

/* ---- planning -------------------------------------------------------------------------------- */

static uint64_t digest_of(const void *bytes, uint32_t count)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    uint64_t first;
    LS_CHECK(SHA256(bytes, count, hash) == hash);
    memcpy(&first, hash, sizeof(first));
    return first;
}

/* Fills the plan's references of one table: kept ones where the bytes are those in force. */
static void plan_table(const struct ipc_snapshot_writer *writer,
    const struct ipc_snapshot_image *image, enum ipc_table table, uint32_t at, uint32_t old_at,
    struct plan *plan)
{
    const struct ipc_snapshot_shape *old = &writer->directory.shape;
    uint32_t count = ipc_snapshot_table_parts(&image->shape, table);
    uint32_t old_count = writer->generation == 0 ? 0 : ipc_snapshot_table_parts(old, table);
    for (uint32_t i = 0; i < count; i++) {
        struct ipc_snapshot_span span = ipc_snapshot_part_span(&image->shape, table, i);
        const uint8_t *rows = (const uint8_t *)image->rows[table] + span.offset;
        if (i < old_count) {
            struct ipc_snapshot_span was = ipc_snapshot_part_span(old, table, i);
            const struct ipc_snapshot_reference *held = &writer->references[old_at + i];
            const uint8_t *chunk =
                writer->map.chunks + (uint64_t)held->chunk * IPC_SNAPSHOT_CHUNK_BYTES;
            /* Plain reads: this process is the only writer. */
            if (was.bytes == span.bytes && was.row_bytes == span.row_bytes &&
                memcmp(chunk, rows, span.bytes) == 0) {
                plan->references[at + i] = *held;
                continue;
            }
        }
        plan->references[at + i] =
            (struct ipc_snapshot_reference){.version = writer->generation + 1,
                .digest = digest_of(rows, span.bytes),
                .crc = ipc_crc32c(0, rows, span.bytes)};
        plan->changed[at + i] = 1;
        plan->changed_count++;
    }
}

static void plan_all(const struct ipc_snapshot_writer *writer,
    const struct ipc_snapshot_image *image, struct plan *plan)
{
    uint32_t at = 0;
    uint32_t old_at = 0;
    for (uint32_t table = 0; table < IPC_TABLE_COUNT; table++) {
        plan_table(writer, image, (enum ipc_table)table, at, old_at, plan);
        at += ipc_snapshot_table_parts(&image->shape, (enum ipc_table)table);
        if (writer->generation != 0)
            old_at += ipc_snapshot_table_parts(&writer->directory.shape, (enum ipc_table)table);
    }
    LS_CHECK(at == plan->part_count);
    plan->shape_changed = writer->generation == 0 || memcmp(&image->shape, &writer->directory.shape,
                                                         sizeof(image->shape)) != 0;
}

/* Marks the chunks that a kept directory refers to. The slot that the next generation will take
 * is not kept. */
static void mark_kept(
    const struct ipc_snapshot_writer *writer, uint8_t *used, struct ipc_snapshot_reference *scratch)
{
    struct ipc_snapshot_directory directory;
    for (uint64_t back = 0; back < IPC_SNAPSHOT_KEPT - 1 && back < writer->generation; back++) {
        /* Generations from before this file was made are not in it. */
        if (ipc_snapshot_map_directory_of(
                &writer->map, writer->generation - back, &directory, scratch, NULL) != IPC_OK)
            continue;
        for (uint32_t i = 0; i < directory.part_count; i++)
            used[scratch[i].chunk] = 1;
    }
}

/* Gives every changed part a free chunk; false when there are not enough. */
static bool place(const struct ipc_snapshot_writer *writer, struct plan *plan, uint8_t *used)
{
    uint32_t capacity = writer->map.chunk_capacity;
    uint32_t next = 0;
    if (plan->part_count > capacity)
        return false;
    for (uint32_t i = 0; i < plan->part_count; i++) {
        if (!plan->changed[i])
            continue;
        while (next < capacity && used[next])
            next++;
        if (next == capacity)
            return false;
        plan->references[i].chunk = next++;
    }
    return true;
}

/* ---- publishing ------------------------------------------------------------------------------ */

/* Chunks of a file that replaces this one. Spare room for some generations of the kind of change
 * that did not fit, unless everything changed. */
static uint32_t larger_capacity(const struct plan *plan)
{
    uint64_t parts = plan->part_count;
    uint64_t spare = parts / 4;
    uint64_t changes = (uint64_t)plan->changed_count * IPC_SNAPSHOT_KEPT;
    if (plan->changed_count < parts && changes > spare)
        spare = changes < parts ? changes : parts;
    if (spare < SPARE_CHUNKS_MIN)
        spare = SPARE_CHUNKS_MIN;
    uint64_t capacity = parts + spare;
    return capacity > IPC_SNAPSHOT_CHUNKS_MAX ? IPC_SNAPSHOT_CHUNKS_MAX : (uint32_t)capacity;
}

/* Makes a larger file that holds the new generation, and moves over to it. */
static enum ipc_rc publish_in_new_file(struct ipc_snapshot_writer *writer,
    const struct ipc_snapshot_image *image, struct ipc_snapshot_directory *directory,
    struct plan *plan, struct ipc_error *error)
{
    uint32_t capacity = larger_capacity(plan);
    struct new_body wanted = {.lineage = writer->map.lineage,
        .chunk_capacity = capacity,
        .image = image,
        .directory = directory,
        .plan = plan};
    struct ipc_region region;
    struct ipc_snapshot_map map;
    struct ipc_region_spec spec = spec_of(capacity, IPC_REGION_REPLACE);
    struct ipc_snapshot_reference *references = calloc(capacity, sizeof(*references));
    if (!references) {
        ipc_error_set(error, "no memory for the snapshot's directory");
        return IPC_SYSTEM;
    }
    enum ipc_rc rc = ipc_region_create(writer->shm, &spec, init_body, &wanted, &region, error);
    if (rc != IPC_OK) {
        free(references);
        return rc;
    }
    LS_CHECK(ipc_snapshot_map_init(&map, region.body, region.body_bytes, NULL) == IPC_OK);
    ipc_region_detach(&writer->region);
    free(writer->references);
    writer->region = region;
    writer->map = map;
    writer->references = references;
    writer->published.file_replaced = 1;
    return IPC_OK;
}

static void publish_in_place(struct ipc_snapshot_writer *writer,
    const struct ipc_snapshot_image *image, struct ipc_snapshot_directory *directory,
    const struct plan *plan)
{
    directory->crc = ipc_snapshot_directory_crc(directory, plan->references, plan->part_count);
    write_parts(&writer->map, image, plan->references, plan->changed);
    write_directory(&writer->map, directory, plan->references);
    struct ipc_snapshot_header *header = writer->region.body;
    /* Release: everything above is seen by whoever acquires this generation. Pairs with
     * ipc_snapshot_map_directory. */
    atomic_store_explicit(&header->current_generation, directory->generation, memory_order_release);
}

static enum ipc_rc publish_plan(struct ipc_snapshot_writer *writer,
    struct ipc_snapshot_image *image, struct plan *plan, uint8_t *used,
    struct ipc_snapshot_reference *scratch, uint32_t flags, int64_t wall_ns,
    struct ipc_error *error)
{
    struct ipc_snapshot_directory directory = {.generation = writer->generation + 1,
        .lineage = writer->map.lineage,
        .content_hash =
            ipc_snapshot_content_hash(&image->shape, plan->references, plan->part_count),
        .published_wall_ns = wall_ns,
        .shape = image->shape,
        .flags = flags,
        .part_count = plan->part_count};
    mark_kept(writer, used, scratch);
    if (place(writer, plan, used)) {
        publish_in_place(writer, image, &directory, plan);
    } else {
        enum ipc_rc rc = publish_in_new_file(writer, image, &directory, plan, error);
        if (rc != IPC_OK)
            return rc;
    }
    writer->directory = directory;
    writer->generation = directory.generation;
    memcpy(writer->references, plan->references, plan->part_count * sizeof(*plan->references));
    writer->published.chunks_written =
        writer->published.file_replaced ? plan->part_count : plan->changed_count;
    return IPC_OK;
}

static enum ipc_rc check_image(const struct ipc_snapshot_image *image, struct ipc_error *error)
{
    const uint32_t *rows = image->shape.rows;
    enum ipc_rc rc = ipc_snapshot_shape_check(&image->shape, error);
    if (rc != IPC_OK)
        return rc;
    if (rows[IPC_TABLE_CLUSTER] != 1) {
        ipc_error_set(
            error, "table cluster has %u rows; it must have one", rows[IPC_TABLE_CLUSTER]);
        return IPC_BAD_INPUT;
    }
    if (rows[IPC_TABLE_TOKENS] != 0 && rows[IPC_TABLE_TOKENS] != rows[IPC_TABLE_ACCOUNTS]) {
        ipc_error_set(error, "table tokens has %u rows for %u accounts; it needs one each",
            rows[IPC_TABLE_TOKENS], rows[IPC_TABLE_ACCOUNTS]);
        return IPC_BAD_INPUT;
    }
    return IPC_OK;
}

enum ipc_rc ipc_snapshot_writer_publish(struct ipc_snapshot_writer *writer,
    struct ipc_snapshot_image *image, uint32_t flags, int64_t wall_ns, struct ipc_error *error)
{
    LS_CHECK((flags & ~IPC_SNAPSHOT_OVERRIDE) == 0);
    enum ipc_rc rc = check_image(image, error);
    if (rc != IPC_OK)
        return rc;
    struct plan plan = {.part_count = ipc_snapshot_part_count(&image->shape)};
    uint32_t capacity = writer->map.chunk_capacity;
    plan.references = calloc(plan.part_count, sizeof(*plan.references));
    plan.changed = calloc(plan.part_count, 1);
    uint8_t *used = calloc(capacity, 1);
    struct ipc_snapshot_reference *scratch = calloc(capacity, sizeof(*scratch));
    if (!plan.references || !plan.changed || !used || !scratch) {
        ipc_error_set(error, "no memory to plan a publication of %u chunks", plan.part_count);
        rc = IPC_SYSTEM;
        goto done;
    }
    plan_all(writer, image, &plan);
    writer->published = (struct ipc_snapshot_published){.chunks_total = plan.part_count};
    /* A flag that is not given again is not taken back: the rows are those that a person passed. */
    if (plan.changed_count != 0 || plan.shape_changed || (flags & ~writer->directory.flags) != 0)
        rc = publish_plan(writer, image, &plan, used, scratch, flags, wall_ns, error);
    if (rc != IPC_OK)
        goto done;
    writer->published.generation = writer->generation;
    image->generation = writer->generation;
    image->lineage = writer->directory.lineage;
    image->content_hash = writer->directory.content_hash;
    image->published_wall_ns = writer->directory.published_wall_ns;
    image->flags = writer->directory.flags;
done:
    free(plan.references);
    free(plan.changed);
    free(used);
    free(scratch);
    return rc;
}
