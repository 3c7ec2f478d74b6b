/* secret.c: see secret.h. Layout of an arena: guard page, locked pages, guard page; the bookkeeping
 * is ordinary memory. */
#include "ipc/secret.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define PAGE_BYTES ((size_t)4096)

struct ipc_secret_arena {
    uint8_t *mapping; /* with the guard pages */
    size_t mapping_bytes;
    uint8_t *memory;
    size_t capacity, used;
    struct ipc_secret_arena *next;
};

/* All live arenas, for ipc_secret_holds. A handful, touched at start-up and when tokens change. */
static struct ipc_secret_arena *live_arenas;
static pthread_mutex_t live_lock = PTHREAD_MUTEX_INITIALIZER;

void ipc_secret_wipe(void *memory, size_t bytes)
{
    explicit_bzero(memory, bytes);
}

/* Everything that makes plain pages secret ones. */
static enum ipc_rc protect(void *memory, size_t bytes, struct ipc_error *error)
{
    /* mlock2 rather than mlock: the sanitizers replace the latter by nothing. */
    if (mlock2(memory, bytes, 0) != 0) {
        int saved = errno;
        struct rlimit limit = {0};
        (void)getrlimit(RLIMIT_MEMLOCK, &limit);
        ipc_error_set(error,
            "cannot lock %zu bytes for secrets (%s); RLIMIT_MEMLOCK is %llu bytes, raise it "
            "(ulimit -l, or LimitMEMLOCK= in the unit)",
            bytes, strerror(saved), (unsigned long long)limit.rlim_cur);
        errno = saved;
        return IPC_SYSTEM;
    }
    if (madvise(memory, bytes, MADV_DONTDUMP) != 0 ||
        madvise(memory, bytes, MADV_WIPEONFORK) != 0) {
        ipc_error_set(
            error, "cannot keep secrets out of core dumps and children: %s", strerror(errno));
        return IPC_SYSTEM;
    }
    return IPC_OK;
}

enum ipc_rc ipc_secret_arena_create(
    size_t bytes, struct ipc_secret_arena **arena, struct ipc_error *error)
{
    LS_CHECK(bytes > 0 && bytes <= ((size_t)1 << 40));
    struct ipc_secret_arena *made = calloc(1, sizeof(*made));
    if (!made) {
        ipc_error_set(error, "no memory for a secret arena");
        return IPC_SYSTEM;
    }
    made->capacity = ls_align_up(bytes, PAGE_BYTES);
    made->mapping_bytes = made->capacity + 2 * PAGE_BYTES;
    made->mapping = mmap(NULL, made->mapping_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made->mapping == MAP_FAILED) {
        ipc_error_set(
            error, "cannot map %zu bytes for secrets: %s", made->mapping_bytes, strerror(errno));
        free(made);
        return IPC_SYSTEM;
    }
    made->memory = made->mapping + PAGE_BYTES;
    enum ipc_rc rc = IPC_OK;
    if (mprotect(made->memory, made->capacity, PROT_READ | PROT_WRITE) != 0) {
        ipc_error_set(error, "cannot open pages for secrets: %s", strerror(errno));
        rc = IPC_SYSTEM;
    }
    if (rc == IPC_OK)
        rc = protect(made->memory, made->capacity, error);
    if (rc != IPC_OK) {
        int saved = errno;
        (void)munmap(made->mapping, made->mapping_bytes);
        free(made);
        errno = saved;
        return rc;
    }
    LS_CHECK(pthread_mutex_lock(&live_lock) == 0);
    made->next = live_arenas;
    live_arenas = made;
    LS_CHECK(pthread_mutex_unlock(&live_lock) == 0);
    *arena = made;
    return IPC_OK;
}

void *ipc_secret_alloc(struct ipc_secret_arena *arena, size_t bytes)
{
    size_t rounded = ls_align_up(bytes, 16);
    if (rounded < bytes || rounded > arena->capacity - arena->used)
        return NULL;
    uint8_t *memory = arena->memory + arena->used;
    arena->used += rounded;
    LS_CHECK(arena->used <= arena->capacity);
    return memory;
}

bool ipc_secret_holds(const void *memory, size_t bytes)
{
    bool holds = false;
    const uint8_t *start = memory;
    LS_CHECK(pthread_mutex_lock(&live_lock) == 0);
    for (const struct ipc_secret_arena *at = live_arenas; at && !holds; at = at->next) {
        /* Differences of addresses, since the pointers may belong to different objects. */
        uintptr_t first = (uintptr_t)start - (uintptr_t)at->memory;
        holds = (uintptr_t)start >= (uintptr_t)at->memory && first <= at->capacity &&
                bytes <= at->capacity - first;
    }
    LS_CHECK(pthread_mutex_unlock(&live_lock) == 0);
    return holds;
}

void ipc_secret_arena_reset(struct ipc_secret_arena *arena)
{
    ipc_secret_wipe(arena->memory, arena->used);
    arena->used = 0;
}

void ipc_secret_arena_destroy(struct ipc_secret_arena *arena)
{
    if (!arena)
        return;
    LS_CHECK(pthread_mutex_lock(&live_lock) == 0);
    struct ipc_secret_arena **at = &live_arenas;
    while (*at && *at != arena)
        at = &(*at)->next;
    LS_CHECK(*at == arena);
    *at = arena->next;
    LS_CHECK(pthread_mutex_unlock(&live_lock) == 0);
    /* All of it, not only what was handed out: a caller may have written to the end of a block. */
    ipc_secret_wipe(arena->memory, arena->capacity);
    LS_CHECK(munmap(arena->mapping, arena->mapping_bytes) == 0);
    free(arena);
}

enum ipc_rc ipc_secret_process_harden(struct ipc_error *error)
{
    struct rlimit none = {0, 0};
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0) {
        ipc_error_set(error, "cannot turn off core dumps: %s", strerror(errno));
        return IPC_SYSTEM;
    }
    return IPC_OK;
}
