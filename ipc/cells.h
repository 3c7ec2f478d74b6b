/* cells.h: pages of equal seqlock cells, one file `<what>.<broker>`: what prices.c and accounts.c
 * have in common. Not for others. */
#ifndef LS_IPC_CELLS_H
#define LS_IPC_CELLS_H

#include "ipc/region.h"

/* Brokers are numbered [0, IPC_CELLS_BROKERS). */
#define IPC_CELLS_BROKERS 64u

struct ipc_cells_spec {
    const char *what; /* "prices" */
    enum ipc_region_kind kind;
    uint64_t layout_hash;
    uint32_t cell_bytes;
};

/* ipc_cells_open attaches, for writing with the writer's lock, making the page if there is none.
 *   wanted   cells that a writer needs; 0 for a reader
 *   cells, count   out: the cells, and their number, bounded against the file
 *   returns  IPC_OK; IPC_NOT_FOUND (reader); IPC_BUSY; IPC_BAD_*; IPC_BAD_INPUT; IPC_SYSTEM. On
 *            failure nothing stays attached */
LS_MUST_USE enum ipc_rc ipc_cells_open(const struct ipc_shm *shm, const struct ipc_cells_spec *spec,
    uint32_t broker, uint32_t wanted, bool is_writer, struct ipc_region *region, void **cells,
    uint32_t *count, struct ipc_error *error);

#endif
