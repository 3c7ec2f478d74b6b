#include "ipc/wake.h"
#include "ipc/region_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const struct ipc_layout_field layout[] = {
    IPC_LAYOUT_FIELD(struct ipc_wake_page, asleep),
    IPC_LAYOUT_FIELD(struct ipc_wake_page, sleep_count),
};

/* As objects are: made under a temporary name, given its mode, then named. */
static enum ipc_rc make_fifo(const struct ipc_shm *shm, const char *name, struct ipc_error *error)
{
    uint64_t nonce;
    LS_CHECK(getrandom(&nonce, sizeof nonce, 0) == (ssize_t)sizeof nonce);
    char temporary[128];
    snprintf(temporary, sizeof temporary, IPC_TEMPORARY_PREFIX "%s.%016llx", name,
        (unsigned long long)nonce);
    if (mkfifoat(shm->fd, temporary, 0600) != 0) {
        ipc_error_set(error, "cannot make %s/%s: %s", shm->path, name, strerror(errno));
        return IPC_SYSTEM;
    }
    if (fchmodat(shm->fd, temporary, 0660, 0) == 0 &&
        renameat2(shm->fd, temporary, shm->fd, name, RENAME_NOREPLACE) == 0)
        return IPC_OK;
    bool exists = errno == EEXIST;
    if (!exists)
        ipc_error_set(error, "cannot name %s/%s: %s", shm->path, name, strerror(errno));
    unlinkat(shm->fd, temporary, 0);
    return exists ? IPC_OK : IPC_SYSTEM;
}

/* Both ends open it for both: so opening never waits, and the shard never sees an end of file when
 * the last producer goes. */
static enum ipc_rc open_fifo(
    const struct ipc_shm *shm, const char *name, int *out, struct ipc_error *error)
{
    int fd = ipc_shm_open_name(shm, name, O_RDWR);
    if (fd < 0 && errno == ENOENT) {
        enum ipc_rc made = make_fifo(shm, name, error);
        if (made != IPC_OK)
            return made;
        fd = ipc_shm_open_name(shm, name, O_RDWR);
    }
    if (fd < 0) {
        ipc_error_set(error, "cannot open %s/%s: %s", shm->path, name, strerror(errno));
        return errno == ELOOP ? IPC_REFUSED : IPC_SYSTEM;
    }
    enum ipc_rc rc = ipc_shm_check_owner(shm, fd, name, S_IFIFO, NULL, error);
    if (rc != IPC_OK) {
        close(fd);
        return rc;
    }
    *out = fd;
    return IPC_OK;
}

enum ipc_rc ipc_wake_open_producer(
    const struct ipc_shm *shm, uint32_t shard, struct ipc_wake *wake, struct ipc_error *error)
{
    *wake = (struct ipc_wake){.fifo_fd = -1, .region.fd = -1};
    char word_name[32], fifo_name[32];
    snprintf(word_name, sizeof word_name, "asleep.%u", shard);
    snprintf(fifo_name, sizeof fifo_name, "wake.%u", shard);
    struct ipc_region_spec spec = {.name = word_name,
        .kind = IPC_REGION_WAKE,
        .layout_hash = ipc_layout_hash(layout, LS_COUNT_OF(layout)),
        .body_bytes = sizeof(struct ipc_wake_page),
        .flags = IPC_REGION_WRITE | IPC_REGION_PREFAULT};
    enum ipc_rc rc = ipc_region_open(shm, &spec, NULL, NULL, &wake->region, error);
    if (rc == IPC_OK)
        rc = open_fifo(shm, fifo_name, &wake->fifo_fd, error);
    if (rc != IPC_OK) {
        ipc_region_detach(&wake->region);
        return rc;
    }
    wake->page = wake->region.body;
    return IPC_OK;
}

enum ipc_rc ipc_wake_open_shard(
    const struct ipc_shm *shm, uint32_t shard, struct ipc_wake *wake, struct ipc_error *error)
{
    enum ipc_rc rc = ipc_wake_open_producer(shm, shard, wake, error);
    if (rc != IPC_OK)
        return rc;
    rc = ipc_region_lock(&wake->region, IPC_LOCK_READER);
    if (rc != IPC_OK) {
        ipc_error_set(error, "another process serves shard %u of %s", shard, shm->path);
        ipc_wake_close(wake);
        return rc;
    }
    /* A shard that died in its sleep left the word set. */
    ipc_wake_cancel(wake);
    return IPC_OK;
}

void ipc_wake_close(struct ipc_wake *wake)
{
    if (wake->fifo_fd >= 0)
        close(wake->fifo_fd);
    ipc_region_detach(&wake->region);
    wake->fifo_fd = -1;
    wake->page = NULL;
}

void ipc_wake_notify(struct ipc_wake *wake)
{
    /* Pairs with the fence in ipc_wake_announce: what was published before is seen by the shard's
     * second look, or the word that it stored before is seen here. */
    atomic_thread_fence(memory_order_seq_cst);
    if (LS_LIKELY(atomic_load_explicit(&wake->page->asleep, memory_order_relaxed) == 0))
        return;
    /* A full FIFO rings as well as one byte more would. */
    ssize_t written;
    do {
        written = write(wake->fifo_fd, "", 1);
    } while (written < 0 && errno == EINTR);
}

void ipc_wake_announce(struct ipc_wake *wake)
{
    uint64_t sleeps = atomic_load_explicit(&wake->page->sleep_count, memory_order_relaxed);
    atomic_store_explicit(&wake->page->sleep_count, sleeps + 1, memory_order_relaxed);
    atomic_store_explicit(&wake->page->asleep, 1, memory_order_relaxed);
    /* Pairs with the fence in ipc_wake_notify. */
    atomic_thread_fence(memory_order_seq_cst);
}

void ipc_wake_cancel(struct ipc_wake *wake)
{
    atomic_store_explicit(&wake->page->asleep, 0, memory_order_relaxed);
    char bytes[4096];
    /* Bounded: producers that do not see the word yet add at most one byte per publish. */
    for (unsigned i = 0; i < 32; i++) {
        if (read(wake->fifo_fd, bytes, sizeof bytes) < (ssize_t)sizeof bytes)
            return;
    }
}

bool ipc_wake_wait(struct ipc_wake *wake, int64_t timeout_ns)
{
    LS_CHECK(timeout_ns >= 0);
    struct pollfd ring = {.fd = wake->fifo_fd, .events = POLLIN};
    struct timespec timeout = {
        .tv_sec = timeout_ns / LS_NS_PER_S, .tv_nsec = timeout_ns % LS_NS_PER_S};
    int ready = ppoll(&ring, 1, &timeout, NULL);
    ipc_wake_cancel(wake);
    return ready > 0;
}
