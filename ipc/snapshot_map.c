/* snapshot_map.c: reading a mapped snapshot that another process may be writing, or that is
 * hostile. Every number that comes from the mapping is copied, then bounded, then used. */
#include "ipc/snapshot_private.h"

#include "ipc/journal_format.h"

#include <string.h>

#define PAGE_BYTES 4096u

/* ---- words ----------------------------------------------------------------------------------- */

void ipc_snapshot_store_words(void *shared, const void *from, size_t bytes)
{
    LS_CHECK(bytes % 4 == 0 && ((uintptr_t)shared & 7) == 0);
    _Atomic uint64_t *words = shared;
    const uint8_t *source = from;
    size_t count = bytes / 8;
    for (size_t i = 0; i < count; i++) {
        uint64_t word;
        memcpy(&word, source + i * 8, 8);
        /* Release: keeps stamp = 0 before it; pairs with the acquire in load_words. */
        atomic_store_explicit(&words[i], word, memory_order_release);
    }
    if (bytes % 8) {
        uint64_t word = 0;
        memcpy(&word, source + count * 8, 4);
        atomic_store_explicit(&words[count], word, memory_order_release); /* as above */
    }
}

void ipc_snapshot_load_words(void *to, const void *shared, size_t bytes)
{
    LS_CHECK(bytes % 4 == 0 && ((uintptr_t)shared & 7) == 0);
    const _Atomic uint64_t *words = shared;
    uint8_t *target = to;
    size_t count = bytes / 8;
    for (size_t i = 0; i < count; i++) {
        /* Acquire: pairs with the release in store_words; a word of a later write brings that
         * write's stamp = 0 with it, which the second look at the stamp then sees. */
        uint64_t word = atomic_load_explicit(&words[i], memory_order_acquire);
        memcpy(target + i * 8, &word, 8);
    }
    if (bytes % 8) {
        uint64_t word = atomic_load_explicit(&words[count], memory_order_acquire); /* as above */
        memcpy(target + count * 8, &word, 4);
    }
}

/* ---- the map --------------------------------------------------------------------------------- */

enum ipc_rc ipc_snapshot_map_init(
    struct ipc_snapshot_map *map, const void *body, uint64_t body_bytes, struct ipc_error *error)
{
    if (body_bytes < sizeof(struct ipc_snapshot_header)) {
        ipc_error_set(error, "the snapshot has %llu bytes, less than its header",
            (unsigned long long)body_bytes);
        return IPC_BAD_SIZE;
    }
    const struct ipc_snapshot_header *header = body;
    uint32_t capacity = *(const volatile uint32_t *)&header->chunk_capacity;
    if (capacity == 0 || capacity > IPC_SNAPSHOT_CHUNKS_MAX ||
        ipc_snapshot_body_bytes(capacity) != body_bytes) {
        ipc_error_set(error,
            "the snapshot says %u chunks but has %llu bytes; publish it anew after "
            "`lockstepctl shm repair`",
            capacity, (unsigned long long)body_bytes);
        return IPC_BAD_SIZE;
    }
    const uint8_t *bytes = body;
    *map = (struct ipc_snapshot_map){.header = header,
        .stamps = (const _Atomic uint64_t *)(const void *)(bytes + sizeof(*header)),
        .lineage = *(const volatile uint64_t *)&header->lineage,
        .chunk_capacity = capacity};
    map->directory_bytes =
        ls_align_up(sizeof(struct ipc_snapshot_directory) +
                        (uint64_t)capacity * sizeof(struct ipc_snapshot_reference),
            PAGE_BYTES);
    map->directories = bytes + ls_align_up(sizeof(*header) + (uint64_t)capacity * 8, PAGE_BYTES);
    map->chunks = map->directories + IPC_SNAPSHOT_KEPT * map->directory_bytes;
    LS_CHECK(map->chunks + (uint64_t)capacity * IPC_SNAPSHOT_CHUNK_BYTES == bytes + body_bytes);
    return IPC_OK;
}

/* Bounds of a copied directory whose CRC is right: a CRC does not make a number safe. */
static enum ipc_rc check_directory(const struct ipc_snapshot_map *map,
    const struct ipc_snapshot_directory *directory, const struct ipc_snapshot_reference *references,
    struct ipc_error *error)
{
    if (ipc_snapshot_shape_check(&directory->shape, error) != IPC_OK)
        return IPC_BAD_LAYOUT;
    if (ipc_snapshot_part_count(&directory->shape) != directory->part_count) {
        ipc_error_set(error, "the directory of generation %llu has %u parts, its tables need %u",
            (unsigned long long)directory->generation, directory->part_count,
            ipc_snapshot_part_count(&directory->shape));
        return IPC_BAD_LAYOUT;
    }
    if (directory->flags & ~IPC_SNAPSHOT_OVERRIDE) {
        ipc_error_set(error, "the directory of generation %llu has unknown flags %#x",
            (unsigned long long)directory->generation, directory->flags);
        return IPC_BAD_LAYOUT;
    }
    for (uint32_t i = 0; i < directory->part_count; i++) {
        if (references[i].chunk >= map->chunk_capacity || references[i].version == 0 ||
            references[i].version > directory->generation) {
            ipc_error_set(error, "part %u of generation %llu is at chunk %u, version %llu", i,
                (unsigned long long)directory->generation, references[i].chunk,
                (unsigned long long)references[i].version);
            return IPC_BAD_LAYOUT;
        }
    }
    return IPC_OK;
}

enum ipc_rc ipc_snapshot_map_directory_of(const struct ipc_snapshot_map *map, uint64_t generation,
    struct ipc_snapshot_directory *directory, struct ipc_snapshot_reference *references,
    struct ipc_error *error)
{
    const uint8_t *at = map->directories + (generation % IPC_SNAPSHOT_KEPT) * map->directory_bytes;
    const struct ipc_snapshot_directory *shared = (const void *)at;
    /* Acquire: pairs with the writer's release of the finished stamp. */
    if (atomic_load_explicit(&shared->stamp, memory_order_acquire) != generation) {
        ipc_error_set(
            error, "generation %llu was overwritten; read again", (unsigned long long)generation);
        return IPC_TORN;
    }
    ipc_snapshot_load_words(directory, at, sizeof(*directory));
    uint32_t part_count = directory->part_count;
    bool fits = part_count <= map->chunk_capacity;
    if (fits) {
        ipc_snapshot_load_words(
            references, at + sizeof(*directory), (size_t)part_count * sizeof(*references));
    }
    /* Relaxed: the acquire loads of the words come before it. */
    if (atomic_load_explicit(&shared->stamp, memory_order_relaxed) != generation) {
        ipc_error_set(
            error, "generation %llu was overwritten; read again", (unsigned long long)generation);
        return IPC_TORN;
    }
    if (!fits || directory->generation != generation || directory->lineage != map->lineage ||
        directory->crc != ipc_snapshot_directory_crc(directory, references, part_count)) {
        ipc_error_set(error,
            "the directory of generation %llu is damaged; publish the snapshot anew after "
            "`lockstepctl shm repair`",
            (unsigned long long)generation);
        return IPC_BAD_CRC;
    }
    return check_directory(map, directory, references, error);
}

enum ipc_rc ipc_snapshot_map_directory(const struct ipc_snapshot_map *map,
    struct ipc_snapshot_directory *directory, struct ipc_snapshot_reference *references,
    struct ipc_error *error)
{
    /* Acquire: pairs with the release in the writer's publish, so that the directory and chunks
     * of this generation are seen complete. */
    uint64_t generation =
        atomic_load_explicit(&map->header->current_generation, memory_order_acquire);
    if (generation == 0) {
        ipc_error_set(error, "nothing has been published yet; run `lockstepctl snapshot publish`");
        return IPC_EMPTY;
    }
    return ipc_snapshot_map_directory_of(map, generation, directory, references, error);
}

/* ---- copying --------------------------------------------------------------------------------- */

static enum ipc_rc check_capacity(const struct ipc_snapshot_image *image,
    const struct ipc_snapshot_shape *shape, struct ipc_error *error)
{
    if (shape->token_row_bytes > image->capacity.token_row_bytes) {
        ipc_error_set(error,
            "tokens take %u bytes a row, this process has room for %u; raise its "
            "limit and restart it",
            shape->token_row_bytes, image->capacity.token_row_bytes);
        return IPC_TOO_LONG;
    }
    for (uint32_t table = 0; table < IPC_TABLE_COUNT; table++) {
        if (shape->rows[table] > image->capacity.rows[table]) {
            ipc_error_set(error,
                "table %s has %u rows, this process has room for %u; raise its "
                "limit and restart it",
                ipc_table_name((enum ipc_table)table), shape->rows[table],
                image->capacity.rows[table]);
            return IPC_TOO_LONG;
        }
    }
    return IPC_OK;
}

/* Copies one chunk into the image and checks what was copied. */
static enum ipc_rc copy_part(const struct ipc_snapshot_map *map,
    const struct ipc_snapshot_reference *reference, uint8_t *to, uint32_t bytes,
    struct ipc_error *error)
{
    const uint8_t *chunk = map->chunks + (uint64_t)reference->chunk * IPC_SNAPSHOT_CHUNK_BYTES;
    const _Atomic uint64_t *stamp = &map->stamps[reference->chunk];
    /* Acquire: pairs with the writer's release of the finished stamp. */
    bool whole = atomic_load_explicit(stamp, memory_order_acquire) == reference->version;
    if (whole) {
        ipc_snapshot_load_words(to, chunk, bytes);
        /* Relaxed: the acquire loads of the words come before it. */
        whole = atomic_load_explicit(stamp, memory_order_relaxed) == reference->version;
    }
    if (!whole) {
        ipc_error_set(
            error, "chunk %u was overwritten while it was read; read again", reference->chunk);
        return IPC_TORN;
    }
    if (ipc_crc32c(0, to, bytes) != reference->crc) {
        ipc_error_set(error,
            "chunk %u of the snapshot is damaged; publish the snapshot anew after "
            "`lockstepctl shm repair`",
            reference->chunk);
        return IPC_BAD_CRC;
    }
    return IPC_OK;
}

static enum ipc_rc copy_table(const struct ipc_snapshot_map *map,
    const struct ipc_snapshot_directory *directory, const struct ipc_snapshot_reference *references,
    enum ipc_table table, struct ipc_snapshot_image *image, struct ipc_snapshot_part *parts,
    uint32_t *copied, struct ipc_error *error)
{
    uint32_t count = ipc_snapshot_table_parts(&directory->shape, table);
    for (uint32_t i = 0; i < count; i++) {
        struct ipc_snapshot_span span = ipc_snapshot_part_span(&directory->shape, table, i);
        struct ipc_snapshot_part *held = &parts[i];
        /* One version of one part of one lineage was published once: equal means equal bytes. */
        if (held->version == references[i].version && held->digest == references[i].digest &&
            held->lineage == directory->lineage && held->bytes == span.bytes &&
            held->row_bytes == span.row_bytes)
            continue;
        held->version = 0; /* the bytes below are about to change */
        enum ipc_rc rc = copy_part(
            map, &references[i], (uint8_t *)image->rows[table] + span.offset, span.bytes, error);
        if (rc != IPC_OK)
            return rc;
        *held = (struct ipc_snapshot_part){.version = references[i].version,
            .digest = references[i].digest,
            .lineage = directory->lineage,
            .bytes = span.bytes,
            .row_bytes = span.row_bytes};
        *copied += 1;
    }
    return IPC_OK;
}

static void forget_tokens(struct ipc_snapshot_image *image)
{
    struct ipc_snapshot_part *parts = image->parts;
    for (uint32_t table = 0; table < IPC_TABLE_TOKENS; table++)
        parts += ipc_snapshot_table_parts(&image->capacity, (enum ipc_table)table);
    memset(parts, 0, ipc_snapshot_table_parts(&image->capacity, IPC_TABLE_TOKENS) * sizeof(*parts));
}

enum ipc_rc ipc_snapshot_map_copy(const struct ipc_snapshot_map *map,
    struct ipc_snapshot_reference *references, struct ipc_snapshot_image *image, uint32_t *copied,
    struct ipc_error *error)
{
    struct ipc_snapshot_directory directory;
    *copied = 0;
    image->generation = 0;
    enum ipc_rc rc = ipc_snapshot_map_directory(map, &directory, references, error);
    if (rc == IPC_OK)
        rc = check_capacity(image, &directory.shape, error);
    if (rc != IPC_OK)
        return rc;
    /* Parts of another token row width lie elsewhere in the image and overlap those of this one:
     * forget them all, before anything is copied, rather than reason about overlaps. */
    if (directory.shape.token_row_bytes != image->shape.token_row_bytes)
        forget_tokens(image);
    image->shape = directory.shape;
    const struct ipc_snapshot_reference *at = references;
    struct ipc_snapshot_part *parts = image->parts;
    for (uint32_t table = 0; table < IPC_TABLE_COUNT; table++) {
        rc = copy_table(map, &directory, at, (enum ipc_table)table, image, parts, copied, error);
        if (rc != IPC_OK)
            return rc;
        at += ipc_snapshot_table_parts(&directory.shape, (enum ipc_table)table);
        parts += ipc_snapshot_table_parts(&image->capacity, (enum ipc_table)table);
    }
    image->lineage = directory.lineage;
    image->content_hash = directory.content_hash;
    image->published_wall_ns = directory.published_wall_ns;
    image->flags = directory.flags;
    image->generation = directory.generation;
    return IPC_OK;
}
