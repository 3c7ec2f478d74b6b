/* region_private.h: what region.c, region_list.c and shm.c share. */
#ifndef LS_IPC_REGION_PRIVATE_H
#define LS_IPC_REGION_PRIVATE_H

#include "ipc/region.h"

#define IPC_TEMPORARY_PREFIX ".new." /* object names never begin with a dot */

/* Opens a name of the directory, never through a link and never waiting for a FIFO's other end. */
int ipc_shm_open_name(const struct ipc_shm *shm, const char *name, int flags);

/* Reads and judges a header on its own: magic, ABI, CRC, sizes against the file, and its name.
 * *header is a private copy with its texts ended; valid with IPC_OK, IPC_BAD_SIZE and
 * IPC_BAD_LAYOUT. name NULL = any (a temporary file). */
LS_MUST_USE enum ipc_rc ipc_region_read_header(int fd, const char *name, uint64_t file_bytes,
    struct ipc_region_header *header, struct ipc_error *error);

/* ipc_region_sweep with an age of the caller's. */
LS_MUST_USE enum ipc_rc ipc_region_sweep_older(
    const struct ipc_shm *shm, int64_t older_ns, uint32_t *removed, struct ipc_error *error);

#endif
