/* sync_fails.c: a library to preload: fdatasync fails with EIO while the file named by
 * LS_SYNC_FAILS_FILE exists. */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int fdatasync(int fd)
{
    const char *file = getenv("LS_SYNC_FAILS_FILE");
    if (file != NULL && access(file, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}
