/* alloc_trap.c: see alloc_trap.h. free() is trapped too: it enters the allocator's locks. */
#include "alloc_trap.h"

#include <errno.h>
#include <execinfo.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum mode { MODE_OFF = 0, MODE_FATAL = 1, MODE_COUNT = 2 };

static _Thread_local enum mode armed;
static _Thread_local uint64_t counted;

void ls_alloc_trap_arm(void)
{
    static _Atomic bool was_armed;
    if (!atomic_exchange(&was_armed, true)) {
        /* The first backtrace loads a library: now, not in the trap. */
        void *frames[4];
        (void)backtrace(frames, 4);
        static const char said[] = "alloc_trap: armed\n";
        const ssize_t ignored = write(STDERR_FILENO, said, sizeof(said) - 1);
        (void)ignored;
    }
    armed = MODE_FATAL;
}

void ls_alloc_trap_count_from_here(void)
{
    counted = 0;
    armed = MODE_COUNT;
}

uint64_t ls_alloc_trap_disarm(void)
{
    armed = MODE_OFF;
    return counted;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)

bool ls_alloc_trap_works(void)
{
    return false;
}

#else

/* glibc's own names of its allocator. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void *memory);

bool ls_alloc_trap_works(void)
{
    return true;
}

static void check(const char *what)
{
    if (__builtin_expect(armed == MODE_OFF, 1))
        return;
    counted++;
    if (armed == MODE_COUNT)
        return;
    armed = MODE_OFF;
    static const char said[] = "alloc_trap: the pinned thread called ";
    ssize_t ignored = write(STDERR_FILENO, said, sizeof(said) - 1);
    ignored = write(STDERR_FILENO, what, strlen(what));
    ignored = write(STDERR_FILENO, "\n", 1);
    (void)ignored;
    void *frames[24];
    backtrace_symbols_fd(frames, backtrace(frames, 24), STDERR_FILENO);
    abort();
}

void *malloc(size_t bytes)
{
    check("malloc");
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    check("calloc");
    return __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes)
{
    check("realloc");
    return __libc_realloc(memory, bytes);
}

void free(void *memory)
{
    if (memory == NULL)
        return;
    check("free");
    __libc_free(memory);
}

void *memalign(size_t alignment, size_t bytes);
void *memalign(size_t alignment, size_t bytes)
{
    check("memalign");
    return __libc_memalign(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    check("aligned_alloc");
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    check("posix_memalign");
    *out = __libc_memalign(alignment, bytes);
    return *out == NULL ? ENOMEM : 0;
}

#endif
