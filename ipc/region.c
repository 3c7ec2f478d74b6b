#include "ipc/region_private.h"

#include "ipc/clock.h"
#include "ipc/enum.h"
#include "ipc/journal_format.h"

#include "version.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

IPC_DEFINE_ENUM(ipc_region_kind, IPC_REGION_LIST)

#define BODY_BYTES_MAX (UINT64_C(1) << 40)

uint64_t ipc_layout_hash(const struct ipc_layout_field *fields, size_t field_count)
{
    const uint64_t prime = UINT64_C(0x100000001b3);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < field_count; i++) {
        for (const char *at = fields[i].name; *at != '\0'; at++)
            hash = (hash ^ (uint8_t)*at) * prime;
        hash = (hash ^ fields[i].offset) * prime;
        hash = (hash ^ fields[i].bytes) * prime;
    }
    return hash;
}

static void fill_header(
    const struct ipc_region_spec *spec, uint64_t total_bytes, struct ipc_region_header *header)
{
    *header = (struct ipc_region_header){
        .magic = IPC_REGION_MAGIC,
        .abi = IPC_ABI,
        .kind = (uint32_t)spec->kind,
        .layout_hash = spec->layout_hash,
        .total_bytes = total_bytes,
        .body_bytes = spec->body_bytes,
        .creator_pid = getpid(),
        .created_wall_ns = ipc_clock_wall_ns(),
    };
    LS_CHECK(getrandom(&header->generation, sizeof header->generation, 0) ==
             (ssize_t)sizeof header->generation);
    /* Without /proc the creator is merely not known to be alive. */
    if (ipc_clock_boot_id(header->boot_id) != IPC_OK)
        memset(header->boot_id, 0, sizeof header->boot_id);
    if (ipc_process_start(getpid(), &header->creator_start) != IPC_OK)
        header->creator_start = 0;
    snprintf(header->version, sizeof header->version, "%s %s", LS_VERSION, LS_COMMIT);
    snprintf(header->name, sizeof header->name, "%s", spec->name);
    header->crc = ipc_crc32c(0, header, offsetof(struct ipc_region_header, crc));
}

static enum ipc_rc map_region(int fd, uint64_t total_bytes, uint32_t flags, const char *name,
    struct ipc_region *region, struct ipc_error *error)
{
    int protection = PROT_READ | ((flags & IPC_REGION_WRITE) != 0 ? PROT_WRITE : 0);
    int map_flags = MAP_SHARED | ((flags & IPC_REGION_PREFAULT) != 0 ? MAP_POPULATE : 0);
    void *mapping = mmap(NULL, total_bytes, protection, map_flags, fd, 0);
    if (mapping == MAP_FAILED) {
        ipc_error_set(error, "cannot map %s (%llu bytes): %s", name,
            (unsigned long long)total_bytes, strerror(errno));
        return IPC_SYSTEM;
    }
    /* A forked child that wrote here would be a second writer. */
    bool advised = madvise(mapping, total_bytes, MADV_DONTFORK) == 0;
    if ((flags & IPC_REGION_DONTDUMP) != 0)
        advised = madvise(mapping, total_bytes, MADV_DONTDUMP) == 0 && advised;
    if (!advised) {
        ipc_error_set(error, "cannot advise on the mapping of %s: %s", name, strerror(errno));
        munmap(mapping, total_bytes);
        return IPC_SYSTEM;
    }
    region->mapping = mapping;
    region->mapping_bytes = total_bytes;
    region->body = (uint8_t *)mapping + IPC_REGION_HEADER_BYTES;
    region->fd = fd;
    snprintf(region->name, sizeof region->name, "%s", name);
    return IPC_OK;
}

static enum ipc_rc note_identity(struct ipc_region *region, struct ipc_error *error)
{
    struct stat status;
    if (fstat(region->fd, &status) != 0) {
        ipc_error_set(error, "cannot examine %s: %s", region->name, strerror(errno));
        return IPC_SYSTEM;
    }
    region->device = status.st_dev;
    region->inode = status.st_ino;
    return IPC_OK;
}

/* Memory first, then contents: a file system without room says so here, not by SIGBUS at a store.
 */
static enum ipc_rc fill_temporary(int fd, const struct ipc_shm *shm,
    const struct ipc_region_spec *spec, ipc_region_init_fn init, void *context,
    struct ipc_region *region, struct ipc_error *error)
{
    struct ipc_region maker = {.fd = fd};
    if (fchmod(fd, 0660) != 0 || ipc_region_lock(&maker, IPC_LOCK_MAKER) != IPC_OK) {
        ipc_error_set(error, "cannot set up %s/%s: %s", shm->path, spec->name, strerror(errno));
        return IPC_SYSTEM;
    }
    uint64_t total_bytes = ls_align_up(IPC_REGION_HEADER_BYTES + spec->body_bytes, 4096);
    int failed = posix_fallocate(fd, 0, (off_t)total_bytes);
    if (failed != 0) {
        ipc_error_set(error, "no room for %llu bytes of %s/%s: %s; free or enlarge %s",
            (unsigned long long)total_bytes, shm->path, spec->name, strerror(failed), shm->path);
        errno = failed;
        return IPC_SYSTEM;
    }
    enum ipc_rc rc =
        map_region(fd, total_bytes, spec->flags | IPC_REGION_WRITE, spec->name, region, error);
    if (rc != IPC_OK)
        return rc;
    if (init != NULL)
        init(region->body, context);
    fill_header(spec, total_bytes, region->mapping);
    region->body_bytes = spec->body_bytes;
    region->generation = ((const struct ipc_region_header *)region->mapping)->generation;
    return note_identity(region, error);
}

static enum ipc_rc give_name(const struct ipc_shm *shm, const char *temporary,
    const struct ipc_region_spec *spec, struct ipc_error *error)
{
    unsigned flags = (spec->flags & IPC_REGION_REPLACE) != 0 ? 0 : RENAME_NOREPLACE;
    if (renameat2(shm->fd, temporary, shm->fd, spec->name, flags) == 0)
        return IPC_OK;
    enum ipc_rc rc = errno == EEXIST ? IPC_EXISTS : IPC_SYSTEM;
    ipc_error_set(error, "cannot name %s/%s: %s", shm->path, spec->name, strerror(errno));
    return rc;
}

enum ipc_rc ipc_region_create(const struct ipc_shm *shm, const struct ipc_region_spec *spec,
    ipc_region_init_fn init, void *context, struct ipc_region *region, struct ipc_error *error)
{
    *region = (struct ipc_region){.fd = -1};
    if (!ipc_region_name_valid(spec->name) || !ipc_region_kind_valid(spec->kind) ||
        spec->body_bytes == 0 || spec->body_bytes > BODY_BYTES_MAX) {
        ipc_error_set(error, "'%.64s' cannot be made: bad name, kind or size", spec->name);
        return IPC_BAD_INPUT;
    }
    uint64_t nonce;
    LS_CHECK(getrandom(&nonce, sizeof nonce, 0) == (ssize_t)sizeof nonce);
    char temporary[128];
    snprintf(temporary, sizeof temporary, IPC_TEMPORARY_PREFIX "%s.%016llx", spec->name,
        (unsigned long long)nonce);
    int fd = openat(shm->fd, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        ipc_error_set(error, "cannot make a file in %s: %s", shm->path, strerror(errno));
        return IPC_SYSTEM;
    }
    region->fd = fd;
    enum ipc_rc rc = fill_temporary(fd, shm, spec, init, context, region, error);
    if (rc == IPC_OK)
        rc = give_name(shm, temporary, spec, error);
    if (rc != IPC_OK) {
        int saved = errno;
        unlinkat(shm->fd, temporary, 0);
        ipc_region_detach(region);
        errno = saved;
        return rc;
    }
    ipc_region_unlock(region, IPC_LOCK_MAKER);
    return IPC_OK;
}

enum ipc_rc ipc_region_read_header(int fd, const char *name, uint64_t file_bytes,
    struct ipc_region_header *header, struct ipc_error *error)
{
    const char *called = name != NULL ? name : "the file";
    ssize_t got = pread(fd, header, sizeof *header, 0);
    if (got < (ssize_t)sizeof *header || header->magic != IPC_REGION_MAGIC) {
        ipc_error_set(error,
            "%s is not a Lockstep object of this machine's byte order: its magic differs", called);
        return IPC_BAD_MAGIC;
    }
    if (header->abi != IPC_ABI) {
        ipc_error_set(error,
            "%s has ABI %u and this program (%s) has %u: stop all programs of the instance, "
            "upgrade, remove it",
            called, header->abi, LS_VERSION, IPC_ABI);
        return IPC_BAD_ABI;
    }
    if (header->crc != ipc_crc32c(0, header, offsetof(struct ipc_region_header, crc))) {
        ipc_error_set(error, "the header of %s is damaged: its checksum differs", called);
        return IPC_BAD_CRC;
    }
    header->version[sizeof header->version - 1] = '\0';
    header->name[sizeof header->name - 1] = '\0';
    if (header->total_bytes != file_bytes) {
        ipc_error_set(error, "%s has %llu bytes and its header says %llu: it was cut or grew",
            called, (unsigned long long)file_bytes, (unsigned long long)header->total_bytes);
        return IPC_BAD_SIZE;
    }
    if (header->total_bytes < IPC_REGION_HEADER_BYTES ||
        header->body_bytes > header->total_bytes - IPC_REGION_HEADER_BYTES ||
        header->body_bytes == 0) {
        ipc_error_set(error, "the header of %s has impossible sizes", called);
        return IPC_BAD_SIZE;
    }
    if (name != NULL && strcmp(header->name, name) != 0) {
        ipc_error_set(
            error, "%s was made as '%s': it was renamed or linked by hand", called, header->name);
        return IPC_REFUSED;
    }
    return IPC_OK;
}

static enum ipc_rc match_spec(const struct ipc_region_spec *spec,
    const struct ipc_region_header *header, struct ipc_error *error)
{
    if (header->kind != (uint32_t)spec->kind) {
        ipc_error_set(error, "%s is of kind '%s' and '%s' is wanted", spec->name,
            ipc_region_kind_name((enum ipc_region_kind)header->kind),
            ipc_region_kind_name(spec->kind));
        return IPC_BAD_LAYOUT;
    }
    if (header->layout_hash != spec->layout_hash) {
        ipc_error_set(error,
            "%s has layout %016llx (made by %s) and this program has %016llx: stop all programs "
            "of the instance, upgrade, remove it",
            spec->name, (unsigned long long)header->layout_hash, header->version,
            (unsigned long long)spec->layout_hash);
        return IPC_BAD_LAYOUT;
    }
    if (header->body_bytes < spec->body_bytes) {
        ipc_error_set(error, "%s holds %llu bytes and %llu are needed", spec->name,
            (unsigned long long)header->body_bytes, (unsigned long long)spec->body_bytes);
        return IPC_BAD_SIZE;
    }
    return IPC_OK;
}

static enum ipc_rc open_for_attach(const struct ipc_shm *shm, const struct ipc_region_spec *spec,
    int *out, struct ipc_error *error)
{
    bool writes = (spec->flags & IPC_REGION_WRITE) != 0;
    int fd = ipc_shm_open_name(shm, spec->name, writes ? O_RDWR : O_RDONLY);
    if (fd >= 0) {
        *out = fd;
        return IPC_OK;
    }
    switch (errno) {
    case ENOENT:
        ipc_error_set(error, "%s/%s is not there", shm->path, spec->name);
        return IPC_NOT_FOUND;
    case ELOOP:
        ipc_error_set(error, "%s/%s is a symbolic link; remove it", shm->path, spec->name);
        return IPC_REFUSED;
    case EISDIR:
    case ENXIO:
        ipc_error_set(error, "%s/%s is not a regular file; remove it", shm->path, spec->name);
        return IPC_REFUSED;
    default:
        ipc_error_set(error, "cannot open %s/%s: %s", shm->path, spec->name, strerror(errno));
        return IPC_SYSTEM;
    }
}

enum ipc_rc ipc_region_attach(const struct ipc_shm *shm, const struct ipc_region_spec *spec,
    struct ipc_region *region, struct ipc_error *error)
{
    *region = (struct ipc_region){.fd = -1};
    if (!ipc_region_name_valid(spec->name)) {
        ipc_error_set(error, "'%.64s' is not an object name", spec->name);
        return IPC_BAD_INPUT;
    }
    int fd;
    enum ipc_rc rc = open_for_attach(shm, spec, &fd, error);
    if (rc != IPC_OK)
        return rc;
    region->fd = fd;
    uint64_t file_bytes = 0;
    struct ipc_region_header header;
    rc = ipc_shm_check_owner(shm, fd, spec->name, S_IFREG, &file_bytes, error);
    if (rc == IPC_OK)
        rc = ipc_region_read_header(fd, spec->name, file_bytes, &header, error);
    if (rc == IPC_OK)
        rc = match_spec(spec, &header, error);
    if (rc == IPC_OK)
        rc = map_region(fd, header.total_bytes, spec->flags, spec->name, region, error);
    if (rc == IPC_OK)
        rc = note_identity(region, error);
    if (rc != IPC_OK) {
        ipc_region_detach(region);
        return rc;
    }
    region->body_bytes = header.body_bytes;
    region->generation = header.generation;
    return IPC_OK;
}

enum ipc_rc ipc_region_open(const struct ipc_shm *shm, const struct ipc_region_spec *spec,
    ipc_region_init_fn init, void *context, struct ipc_region *region, struct ipc_error *error)
{
    /* Twice, because somebody may make or remove the name between the two questions. */
    for (unsigned i = 0; i < 2; i++) {
        enum ipc_rc rc = ipc_region_attach(shm, spec, region, error);
        if (rc != IPC_NOT_FOUND)
            return rc;
        struct ipc_region_spec fresh = *spec;
        fresh.flags &= ~IPC_REGION_REPLACE;
        rc = ipc_region_create(shm, &fresh, init, context, region, error);
        if (rc != IPC_EXISTS)
            return rc;
    }
    return ipc_region_attach(shm, spec, region, error);
}

void ipc_region_detach(struct ipc_region *region)
{
    if (region->mapping != NULL)
        LS_CHECK(munmap(region->mapping, region->mapping_bytes) == 0);
    if (region->fd >= 0)
        close(region->fd);
    *region = (struct ipc_region){.fd = -1};
}

enum ipc_rc ipc_region_current(
    const struct ipc_shm *shm, const struct ipc_region *region, struct ipc_error *error)
{
    struct stat status;
    if (fstatat(shm->fd, region->name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        ipc_error_set(error, "%s/%s was removed while attached", shm->path, region->name);
        return IPC_GONE;
    }
    if (status.st_ino != region->inode || status.st_dev != region->device) {
        ipc_error_set(error, "%s/%s was replaced while attached", shm->path, region->name);
        return IPC_GONE;
    }
    if ((uint64_t)status.st_size != region->mapping_bytes) {
        ipc_error_set(error, "%s/%s was cut or grew from %llu to %llu bytes while attached",
            shm->path, region->name, (unsigned long long)region->mapping_bytes,
            (unsigned long long)status.st_size);
        return IPC_GONE;
    }
    /* An inode number may be used again; the generation is not. The page is safe to read: the size
     * was just seen to cover it. */
    const struct ipc_region_header *header = region->mapping;
    if (header->generation != region->generation) {
        ipc_error_set(
            error, "%s/%s was made anew in place while attached", shm->path, region->name);
        return IPC_GONE;
    }
    return IPC_OK;
}

static struct flock lock_of(uint32_t role, short type)
{
    LS_CHECK(role < IPC_LOCK_COUNT);
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = role, .l_len = 1};
}

enum ipc_rc ipc_region_lock(const struct ipc_region *region, uint32_t role)
{
    struct flock lock = lock_of(role, F_WRLCK);
    if (fcntl(region->fd, F_OFD_SETLK, &lock) == 0)
        return IPC_OK;
    return errno == EAGAIN || errno == EACCES ? IPC_BUSY : IPC_SYSTEM;
}

void ipc_region_unlock(const struct ipc_region *region, uint32_t role)
{
    struct flock lock = lock_of(role, F_UNLCK);
    LS_CHECK(fcntl(region->fd, F_OFD_SETLK, &lock) == 0);
}

bool ipc_region_is_locked(const struct ipc_region *region, uint32_t role)
{
    struct flock lock = lock_of(role, F_WRLCK);
    /* When the question itself fails, "locked" is the answer that changes nothing. */
    return fcntl(region->fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}
