#include "bench/files.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum ipc_rc bench_directory_make(
    const char *name, char path[BENCH_PATH_BYTES], struct ipc_error *error)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(path, BENCH_PATH_BYTES, "%.90s/%.20s.XXXXXX",
        base != NULL && base[0] == '/' ? base : "/tmp", name);
    if (mkdtemp(path) != NULL)
        return IPC_OK;
    path[0] = '\0';
    ipc_error_set(error, "no directory for the bench's files (%s); set TMPDIR", strerror(errno));
    return IPC_SYSTEM;
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *walk)
{
    (void)stat;
    (void)kind;
    (void)walk;
    (void)remove(path);
    return 0;
}

void bench_directory_remove(const char *path)
{
    if (path[0] != '\0')
        (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void bench_shm_remove(struct ipc_shm *shm)
{
    char path[320];
    (void)snprintf(path, sizeof path, "%s", shm->path);
    ipc_shm_close(shm);
    bench_directory_remove(path);
}
