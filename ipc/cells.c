/* cells.c: see cells.h. */
#include "ipc/cells.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Body: this head, then the cells. */
struct cells_head {
    LS_LINE uint32_t count;
    uint32_t cell_bytes;
};

static void init_head(void *body, void *context)
{
    *(struct cells_head *)body = *(const struct cells_head *)context;
}

/* Bounds the cells by the file; the head is read once. */
static enum ipc_rc bound(const struct ipc_region *region, const struct ipc_cells_spec *spec,
    uint32_t wanted, uint32_t *count, struct ipc_error *error)
{
    const volatile struct cells_head *head = region->body;
    uint32_t found = head->count;
    if (head->cell_bytes != spec->cell_bytes ||
        sizeof(struct cells_head) + (uint64_t)found * spec->cell_bytes > region->body_bytes) {
        ipc_error_set(error,
            "page %s says %u cells and has %llu bytes; remove it with "
            "`lockstepctl shm repair`",
            region->name, found, (unsigned long long)region->body_bytes);
        return IPC_BAD_SIZE;
    }
    if (found < wanted) {
        ipc_error_set(error,
            "page %s has %u cells and %u are needed; stop its readers and writers, remove it "
            "with `lockstepctl shm repair`, and start again",
            region->name, found, wanted);
        return IPC_BAD_SIZE;
    }
    *count = found;
    return IPC_OK;
}

static enum ipc_rc lock(const struct ipc_region *region, struct ipc_error *error)
{
    enum ipc_rc rc = ipc_region_lock(region, IPC_LOCK_WRITER);
    if (rc == IPC_BUSY) {
        ipc_error_set(error, "another process writes page %s; stop it first", region->name);
    } else if (rc != IPC_OK) {
        ipc_error_set(error, "cannot lock page %s: %s", region->name, strerror(errno));
    }
    return rc;
}

enum ipc_rc ipc_cells_open(const struct ipc_shm *shm, const struct ipc_cells_spec *spec,
    uint32_t broker, uint32_t wanted, bool is_writer, struct ipc_region *region, void **cells,
    uint32_t *count, struct ipc_error *error)
{
    char name[IPC_REGION_NAME_BYTES];
    if (broker >= IPC_CELLS_BROKERS || (is_writer && wanted == 0)) {
        ipc_error_set(
            error, "page %s of broker %u with %u cells cannot be", spec->what, broker, wanted);
        return IPC_BAD_INPUT;
    }
    (void)snprintf(name, sizeof(name), "%s.%u", spec->what, broker);
    struct cells_head head = {.count = wanted, .cell_bytes = spec->cell_bytes};
    struct ipc_region_spec region_spec = {.name = name,
        .kind = spec->kind,
        .layout_hash = spec->layout_hash,
        .body_bytes = sizeof(head),
        .flags = IPC_REGION_DONTDUMP};
    enum ipc_rc rc;
    if (is_writer) {
        struct ipc_region_spec fresh = region_spec;
        fresh.flags |= IPC_REGION_WRITE;
        region_spec.flags |= IPC_REGION_WRITE;
        fresh.body_bytes = sizeof(head) + (uint64_t)wanted * spec->cell_bytes;
        rc = ipc_region_attach(shm, &region_spec, region, error);
        if (rc == IPC_NOT_FOUND)
            rc = ipc_region_create(shm, &fresh, init_head, &head, region, error);
        if (rc == IPC_EXISTS) /* another writer was faster; its page will do */
            rc = ipc_region_attach(shm, &region_spec, region, error);
    } else {
        rc = ipc_region_attach(shm, &region_spec, region, error);
    }
    if (rc != IPC_OK)
        return rc;
    if (is_writer)
        rc = lock(region, error);
    if (rc == IPC_OK)
        rc = bound(region, spec, wanted, count, error);
    if (rc != IPC_OK) {
        int saved = errno;
        ipc_region_detach(region);
        errno = saved;
        return rc;
    }
    *cells = (uint8_t *)region->body + sizeof(struct cells_head);
    return IPC_OK;
}
