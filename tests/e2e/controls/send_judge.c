/* send_judge.c: a library to preload into the engine: every send of its pinned thread that is long
 * enough to hold an order is held against the page named by LS_SEND_JUDGE_FILE, before the kernel
 * gets a byte of it. */
#include "tests/e2e/controls/send_judge.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct judge_page *page;

__attribute__((constructor)) static void open_page(void)
{
    const char *path = getenv("LS_SEND_JUDGE_FILE");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    page = at == MAP_FAILED ? NULL : at;
    close(fd);
}

static int is_pinned_thread(void)
{
    static __thread int known; /* 1 = no, 2 = yes */
    if (known == 0) {
        char name[16] = "";
        pthread_getname_np(pthread_self(), name, sizeof name);
        known = strcmp(name, "ls-pinned") == 0 ? 2 : 1;
    }
    return known == 2;
}

ssize_t send(int fd, const void *bytes, size_t count, int flags)
{
    if (page != NULL && count >= JUDGE_ORDER_BYTES && is_pinned_thread()) {
        /* Acquire: pairs with the driver's release when the switch had been acknowledged. */
        if (atomic_load_explicit(&page->barred, memory_order_acquire) != 0)
            atomic_fetch_add_explicit(&page->violations, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&page->sends, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&page->bytes, count, memory_order_relaxed);
    }
    return syscall(SYS_sendto, fd, bytes, count, flags, NULL, 0);
}
