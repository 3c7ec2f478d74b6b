/* snapshot_reader.c: attaching to the file, and to its successor when it was replaced. */
#include "ipc/snapshot_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ipc_snapshot_reader {
    const struct ipc_shm *shm;
    struct ipc_region region;
    struct ipc_snapshot_map map;
    struct ipc_snapshot_reference *references; /* room for map.chunk_capacity */
    uint32_t chunks_copied;
};

/* Attaches to the file that has the name now, into fresh fields; *reader changes only on IPC_OK. */
static enum ipc_rc attach(struct ipc_snapshot_reader *reader, struct ipc_error *error)
{
    struct ipc_region region;
    struct ipc_snapshot_map map;
    struct ipc_region_spec spec = {.name = IPC_SNAPSHOT_FILE,
        .kind = IPC_REGION_SNAPSHOT,
        .layout_hash = ipc_snapshot_layout_hash(),
        .body_bytes = sizeof(struct ipc_snapshot_header)};
    enum ipc_rc rc = ipc_region_attach(reader->shm, &spec, &region, error);
    if (rc != IPC_OK)
        return rc;
    rc = ipc_snapshot_map_init(&map, region.body, region.body_bytes, error);
    if (rc != IPC_OK) {
        ipc_region_detach(&region);
        return rc;
    }
    struct ipc_snapshot_reference *references = calloc(map.chunk_capacity, sizeof(*references));
    if (!references) {
        ipc_error_set(error, "no memory for the snapshot's directory");
        ipc_region_detach(&region);
        return IPC_SYSTEM;
    }
    ipc_region_detach(&reader->region);
    free(reader->references);
    reader->region = region;
    reader->map = map;
    reader->references = references;
    return IPC_OK;
}

/* Follows a replacement of the file. */
static enum ipc_rc follow(struct ipc_snapshot_reader *reader, struct ipc_error *error)
{
    enum ipc_rc rc = ipc_region_current(reader->shm, &reader->region, error);
    return rc == IPC_GONE ? attach(reader, error) : rc;
}

enum ipc_rc ipc_snapshot_reader_open(
    const struct ipc_shm *shm, struct ipc_snapshot_reader **reader, struct ipc_error *error)
{
    struct ipc_snapshot_reader *made = calloc(1, sizeof(*made));
    if (!made) {
        ipc_error_set(error, "no memory for a snapshot reader");
        return IPC_SYSTEM;
    }
    made->shm = shm;
    made->region.fd = -1;
    enum ipc_rc rc = attach(made, error);
    if (rc != IPC_OK) {
        int saved = errno;
        free(made);
        errno = saved;
        return rc;
    }
    *reader = made;
    return IPC_OK;
}

enum ipc_rc ipc_snapshot_reader_poll(struct ipc_snapshot_reader *reader, uint64_t *generation,
    uint64_t *lineage, struct ipc_error *error)
{
    enum ipc_rc rc = follow(reader, error);
    if (rc != IPC_OK)
        return rc;
    /* Acquire: pairs with the writer's release, as in ipc_snapshot_map_directory. */
    *generation =
        atomic_load_explicit(&reader->map.header->current_generation, memory_order_acquire);
    if (lineage)
        *lineage = reader->map.lineage;
    return IPC_OK;
}

enum ipc_rc ipc_snapshot_reader_shape(
    struct ipc_snapshot_reader *reader, struct ipc_snapshot_shape *shape, struct ipc_error *error)
{
    struct ipc_snapshot_directory directory;
    enum ipc_rc rc = follow(reader, error);
    if (rc == IPC_OK)
        rc = ipc_snapshot_map_directory(&reader->map, &directory, reader->references, error);
    if (rc == IPC_OK)
        *shape = directory.shape;
    return rc;
}

enum ipc_rc ipc_snapshot_reader_copy(
    struct ipc_snapshot_reader *reader, struct ipc_snapshot_image *image, struct ipc_error *error)
{
    reader->chunks_copied = 0;
    enum ipc_rc rc = follow(reader, error);
    if (rc != IPC_OK) {
        image->generation = 0;
        return rc;
    }
    return ipc_snapshot_map_copy(
        &reader->map, reader->references, image, &reader->chunks_copied, error);
}

uint32_t ipc_snapshot_reader_chunks_copied(const struct ipc_snapshot_reader *reader)
{
    return reader->chunks_copied;
}

void ipc_snapshot_reader_close(struct ipc_snapshot_reader *reader)
{
    if (!reader)
        return;
    ipc_region_detach(&reader->region);
    free(reader->references);
    free(reader);
}
