/* Looking at a directory of objects: for lockstepctl shm ls, inspect and repair. */
#include "ipc/region_private.h"

#include "ipc/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SWEEP_AGE_NS (10 * LS_NS_PER_S)

static uint32_t locks_held(int fd)
{
    struct ipc_region region = {.fd = fd};
    uint32_t held = 0;
    for (uint32_t role = 0; role < IPC_LOCK_COUNT; role++) {
        if (ipc_region_is_locked(&region, role))
            held |= 1u << role;
    }
    return held;
}

/* A pid may have been given to another process since; pid, start and boot name one. */
static bool creator_alive(const struct ipc_region_header *header)
{
    uint8_t boot_id[16];
    uint64_t start;
    return ipc_clock_boot_id(boot_id) == IPC_OK &&
           memcmp(boot_id, header->boot_id, sizeof boot_id) == 0 &&
           ipc_process_start(header->creator_pid, &start) == IPC_OK &&
           start == header->creator_start;
}

static void inspect_file(const struct ipc_shm *shm, int fd, struct ipc_region_info *info)
{
    struct ipc_error error = {.text = ""};
    info->locks_held = locks_held(fd);
    const char *own_name = info->is_temporary ? NULL : info->name;
    enum ipc_rc rc = ipc_region_read_header(fd, own_name, info->file_bytes, &info->header, &error);
    info->has_header = rc == IPC_OK || rc == IPC_BAD_SIZE || rc == IPC_REFUSED;
    if (info->has_header)
        info->creator_alive = creator_alive(&info->header);
    else
        memset(&info->header, 0, sizeof info->header);
    if (rc == IPC_OK && ipc_shm_check_owner(shm, fd, info->name, S_IFREG, NULL, &error) == IPC_OK)
        error.text[0] = '\0';
    snprintf(info->problem, sizeof info->problem, "%s", error.text);
}

enum ipc_rc ipc_region_inspect(const struct ipc_shm *shm, const char *name,
    struct ipc_region_info *info, struct ipc_error *error)
{
    struct stat status;
    *info = (struct ipc_region_info){.uid = 0};
    if (strchr(name, '/') != NULL || strlen(name) >= sizeof info->name) {
        ipc_error_set(error, "'%.64s' is not a name of an object", name);
        return IPC_NOT_FOUND;
    }
    if (fstatat(shm->fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        enum ipc_rc rc = errno == ENOENT ? IPC_NOT_FOUND : IPC_SYSTEM;
        ipc_error_set(error, "cannot examine %s/%s: %s", shm->path, name, strerror(errno));
        return rc;
    }
    snprintf(info->name, sizeof info->name, "%s", name);
    info->file_bytes = (uint64_t)status.st_size;
    info->mode = status.st_mode;
    info->uid = status.st_uid;
    size_t prefix_bytes = strlen(IPC_TEMPORARY_PREFIX);
    info->is_temporary = strncmp(name, IPC_TEMPORARY_PREFIX, prefix_bytes) == 0;
    if (S_ISLNK(status.st_mode))
        snprintf(info->problem, sizeof info->problem, "%.200s is a symbolic link; remove it", name);
    if (!S_ISREG(status.st_mode))
        return IPC_OK;
    int fd = ipc_shm_open_name(shm, name, O_RDONLY);
    if (fd < 0) {
        snprintf(info->problem, sizeof info->problem, "cannot open: %s", strerror(errno));
        return IPC_OK;
    }
    inspect_file(shm, fd, info);
    close(fd);
    return IPC_OK;
}

enum ipc_rc ipc_region_list(
    const struct ipc_shm *shm, ipc_region_list_fn fn, void *context, struct ipc_error *error)
{
    /* A descriptor of its own, because reading moves the position that a duplicate would share. */
    int fd = openat(shm->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    if (directory == NULL) {
        ipc_error_set(error, "cannot list %s: %s", shm->path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return IPC_SYSTEM;
    }
    bool more = true;
    const struct dirent *entry;
    while (more && (entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        struct ipc_region_info info;
        if (ipc_region_inspect(shm, entry->d_name, &info, NULL) == IPC_OK)
            more = fn(&info, context);
    }
    closedir(directory);
    return IPC_OK;
}

enum ipc_rc ipc_region_remove(const struct ipc_shm *shm, const char *name, struct ipc_error *error)
{
    struct ipc_region_info info;
    enum ipc_rc rc = ipc_region_inspect(shm, name, &info, error);
    if (rc != IPC_OK)
        return rc;
    if (info.locks_held != 0) {
        ipc_error_set(error, "%s/%s is in use: a living process holds it", shm->path, name);
        return IPC_BUSY;
    }
    if (unlinkat(shm->fd, name, 0) != 0) {
        ipc_error_set(error, "cannot remove %s/%s: %s", shm->path, name, strerror(errno));
        return errno == ENOENT ? IPC_NOT_FOUND : IPC_SYSTEM;
    }
    return IPC_OK;
}

struct sweep {
    const struct ipc_shm *shm;
    int64_t older_ns;
    uint32_t removed;
};

static bool sweep_one(const struct ipc_region_info *info, void *context)
{
    struct sweep *sweep = context;
    struct stat status;
    if (!info->is_temporary || info->locks_held != 0)
        return true;
    if (fstatat(sweep->shm->fd, info->name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return true;
    int64_t changed_ns = (int64_t)status.st_ctim.tv_sec * LS_NS_PER_S + status.st_ctim.tv_nsec;
    if (ipc_clock_wall_ns() - changed_ns < sweep->older_ns)
        return true;
    if (unlinkat(sweep->shm->fd, info->name, 0) == 0)
        sweep->removed++;
    return true;
}

enum ipc_rc ipc_region_sweep_older(
    const struct ipc_shm *shm, int64_t older_ns, uint32_t *removed, struct ipc_error *error)
{
    struct sweep sweep = {.shm = shm, .older_ns = older_ns};
    enum ipc_rc rc = ipc_region_list(shm, sweep_one, &sweep, error);
    if (removed != NULL)
        *removed = sweep.removed;
    return rc;
}

enum ipc_rc ipc_region_sweep(const struct ipc_shm *shm, uint32_t *removed, struct ipc_error *error)
{
    return ipc_region_sweep_older(shm, SWEEP_AGE_NS, removed, error);
}
