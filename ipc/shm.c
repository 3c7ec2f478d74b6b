/* The instance's directory: who made it, who may write to it, and who made a file in it. */
#include "ipc/region_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY_MODE 02770u
#define FILE_MODE      0660u

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool name_valid(const char *name, size_t bytes_max, bool dots)
{
    if (!is_name_start(name[0]))
        return false;
    size_t bytes = strnlen(name, bytes_max + 1);
    if (bytes > bytes_max)
        return false;
    for (size_t i = 1; i < bytes; i++) {
        char c = name[i];
        if (!is_name_start(c) && c != '-' && c != '_' && !(dots && c == '.'))
            return false;
    }
    return true;
}

bool ipc_instance_name_valid(const char *name)
{
    return name_valid(name, IPC_INSTANCE_BYTES - 1, false);
}

bool ipc_region_name_valid(const char *name)
{
    return name_valid(name, IPC_REGION_NAME_BYTES - 1, true);
}

/* The maker is the only one who can be between mkdir and chmod, or have died there; whoever of the
 * same user comes by finishes it. */
static bool finish_directory(int fd, const struct stat *status)
{
    return status->st_uid == geteuid() && (status->st_mode & 0777) == 0700 &&
           fchmod(fd, DIRECTORY_MODE) == 0;
}

static enum ipc_rc check_directory(int fd, struct ipc_shm *shm, struct ipc_error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        ipc_error_set(error, "cannot examine %s: %s", shm->path, strerror(errno));
        return IPC_SYSTEM;
    }
    if (status.st_uid != geteuid() && status.st_uid != 0) {
        ipc_error_set(error,
            "%s belongs to user %u, not to user %u or root: somebody else took the name; remove it "
            "or choose another instance",
            shm->path, (unsigned)status.st_uid, (unsigned)geteuid());
        return IPC_REFUSED;
    }
    if ((status.st_mode & 07777) != DIRECTORY_MODE && !finish_directory(fd, &status)) {
        ipc_error_set(error, "%s has mode %04o instead of %04o; set it, or remove the directory",
            shm->path, (unsigned)(status.st_mode & 07777), DIRECTORY_MODE);
        return IPC_REFUSED;
    }
    shm->owner = status.st_uid;
    shm->group = status.st_gid;
    return IPC_OK;
}

static enum ipc_rc open_directory(
    int at_fd, const char *name, bool create, struct ipc_shm *shm, struct ipc_error *error)
{
    if (create && mkdirat(at_fd, name, 0700) != 0 && errno != EEXIST) {
        ipc_error_set(error, "cannot make %s: %s", shm->path, strerror(errno));
        return IPC_SYSTEM;
    }
    int fd = openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        ipc_error_set(error,
            "%s is not there: nothing has run under this instance name since the machine started",
            shm->path);
        return IPC_NOT_FOUND;
    }
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR)) {
        ipc_error_set(
            error, "%s is not a directory of its own (a link or a file); remove it", shm->path);
        return IPC_REFUSED;
    }
    if (fd < 0) {
        ipc_error_set(error, "cannot open %s: %s", shm->path, strerror(errno));
        return IPC_SYSTEM;
    }
    enum ipc_rc rc = check_directory(fd, shm, error);
    if (rc != IPC_OK) {
        close(fd);
        return rc;
    }
    shm->fd = fd;
    return IPC_OK;
}

enum ipc_rc ipc_shm_open(struct ipc_shm *shm, const char *base, const char *instance, bool create,
    struct ipc_error *error)
{
    *shm = (struct ipc_shm){.fd = -1};
    if (!ipc_instance_name_valid(instance)) {
        ipc_error_set(
            error, "'%.40s' is not an instance name: use 1 to 32 of a-z 0-9 - _", instance);
        return IPC_BAD_INPUT;
    }
    if (base == NULL)
        base = secure_getenv(IPC_SHM_BASE_VARIABLE);
    if (base == NULL || base[0] == '\0')
        base = IPC_SHM_BASE_DEFAULT;
    char name[sizeof "lockstep." + IPC_INSTANCE_BYTES];
    snprintf(name, sizeof name, "lockstep.%s", instance);
    snprintf(shm->instance, sizeof shm->instance, "%s", instance);
    int bytes = snprintf(shm->path, sizeof shm->path, "%s/%s", base, name);
    if (bytes >= (int)sizeof shm->path) {
        ipc_error_set(
            error, "the shared memory path is longer than %zu characters", sizeof shm->path - 1);
        return IPC_TOO_LONG;
    }
    int base_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (base_fd < 0) {
        ipc_error_set(error, "cannot open %s: %s", base, strerror(errno));
        return errno == ENOENT ? IPC_NOT_FOUND : IPC_SYSTEM;
    }
    enum ipc_rc rc = open_directory(base_fd, name, create, shm, error);
    close(base_fd);
    return rc;
}

enum ipc_rc ipc_shm_open_inside(const struct ipc_shm *shm, const char *name, bool create,
    struct ipc_shm *out, struct ipc_error *error)
{
    *out = (struct ipc_shm){.fd = -1};
    if (!ipc_region_name_valid(name)) {
        ipc_error_set(error, "'%.64s' is not a directory name", name);
        return IPC_BAD_INPUT;
    }
    memcpy(out->instance, shm->instance, sizeof out->instance);
    int bytes = snprintf(out->path, sizeof out->path, "%s/%s", shm->path, name);
    if (bytes >= (int)sizeof out->path) {
        ipc_error_set(
            error, "the shared memory path is longer than %zu characters", sizeof out->path - 1);
        return IPC_TOO_LONG;
    }
    return open_directory(shm->fd, name, create, out, error);
}

void ipc_shm_close(struct ipc_shm *shm)
{
    if (shm->fd >= 0)
        close(shm->fd);
    shm->fd = -1;
}

int ipc_shm_open_name(const struct ipc_shm *shm, const char *name, int flags)
{
    return openat(shm->fd, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
}

enum ipc_rc ipc_shm_check_owner(const struct ipc_shm *shm, int fd, const char *name, mode_t type,
    uint64_t *size, struct ipc_error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        ipc_error_set(error, "cannot examine %s/%s: %s", shm->path, name, strerror(errno));
        return IPC_SYSTEM;
    }
    if ((status.st_mode & S_IFMT) != type) {
        ipc_error_set(error, "%s/%s is not a %s; remove it", shm->path, name,
            type == S_IFIFO ? "FIFO" : "regular file");
        return IPC_REFUSED;
    }
    bool trusted = status.st_uid == geteuid() || status.st_uid == 0 ||
                   status.st_uid == shm->owner || status.st_gid == shm->group;
    if (!trusted) {
        ipc_error_set(error,
            "%s/%s belongs to user %u and group %u, which the directory's owner and group do not "
            "include; remove it",
            shm->path, name, (unsigned)status.st_uid, (unsigned)status.st_gid);
        return IPC_REFUSED;
    }
    if ((status.st_mode & 07777) != FILE_MODE) {
        ipc_error_set(error, "%s/%s has mode %04o instead of %04o; set it, or remove the file",
            shm->path, name, (unsigned)(status.st_mode & 07777), FILE_MODE);
        return IPC_REFUSED;
    }
    if (status.st_nlink != 1) {
        ipc_error_set(error, "%s/%s has %u names instead of one; remove it", shm->path, name,
            (unsigned)status.st_nlink);
        return status.st_nlink == 0 ? IPC_GONE : IPC_REFUSED;
    }
    if (size != NULL)
        *size = (uint64_t)status.st_size;
    return IPC_OK;
}
