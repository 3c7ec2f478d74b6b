#include "tests/support/tempshm.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void tempshm_make(struct tempshm *out)
{
    snprintf(out->path, sizeof out->path, "/dev/shm/lockstep-test-XXXXXX");
    if (mkdtemp(out->path) == NULL || chmod(out->path, 0755) != 0) {
        perror("cannot make a directory in /dev/shm");
        exit(1);
    }
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *where)
{
    (void)status;
    (void)flag;
    (void)where;
    return remove(path);
}

void tempshm_remove(struct tempshm *temporary)
{
    nftw(temporary->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
