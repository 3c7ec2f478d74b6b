/* files.h: directories that a measurement makes and takes away again. */
#ifndef LS_BENCH_FILES_H
#define LS_BENCH_FILES_H

#include "ipc/region.h"

#define BENCH_PATH_BYTES 128u

/* bench_directory_make makes a directory below TMPDIR (or /tmp).
 *   returns  IPC_OK with its path; IPC_SYSTEM with a sentence and "" */
LS_MUST_USE enum ipc_rc bench_directory_make(
    const char *name, char path[BENCH_PATH_BYTES], struct ipc_error *error);

/* bench_directory_remove takes a directory away with all that is in it; "" is none. */
void bench_directory_remove(const char *path);

/* bench_shm_remove closes an instance and takes its directory away. */
void bench_shm_remove(struct ipc_shm *shm);

#endif
