/* send_log.c: a library for LD_PRELOAD: each send to an internet socket is written down when the
 * kernel has taken it. Costs one clock_gettime and one store a call, for every peer alike. */
#include "bench/peers/send_log.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static struct bench_send_log *the_log;
static ssize_t (*next_send)(int, const void *, size_t, int);
static ssize_t (*next_sendto)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
static ssize_t (*next_sendmsg)(int, const struct msghdr *, int);
static ssize_t (*next_write)(int, const void *, size_t);
static ssize_t (*next_writev)(int, const struct iovec *, int);

/* ISO C has no conversion from an object's address to a function's; POSIX has. */
#define FIND(name) (*(void **)(&next_##name) = dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void open_log(void)
{
    (void)FIND(send);
    (void)FIND(sendto);
    (void)FIND(sendmsg);
    (void)FIND(write);
    (void)FIND(writev);
    const char *path = getenv(BENCH_SEND_LOG_ENV);
    if (path == NULL)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *memory =
        mmap(NULL, sizeof(struct bench_send_log), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    the_log = memory == MAP_FAILED ? NULL : memory;
}

static int is_internet(int fd)
{
    int domain = 0;
    socklen_t bytes = sizeof domain;
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) == 0 &&
           (domain == AF_INET || domain == AF_INET6);
}

static ssize_t noted(int fd, ssize_t taken)
{
    if (the_log == NULL || taken <= 0)
        return taken;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    uint32_t at = atomic_load_explicit(&the_log->count, memory_order_relaxed);
    if (at < BENCH_SEND_LOG_ENTRIES)
        the_log->sends[at] = (struct bench_send){
            (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, fd, (uint32_t)taken};
    atomic_store_explicit(&the_log->count, at + 1, memory_order_release);
    return taken;
}

ssize_t send(int fd, const void *bytes, size_t count, int flags)
{
    return noted(fd, next_send(fd, bytes, count, flags));
}

ssize_t sendto(int fd, const void *bytes, size_t count, int flags, const struct sockaddr *address,
    socklen_t address_bytes)
{
    return noted(fd, next_sendto(fd, bytes, count, flags, address, address_bytes));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    return noted(fd, next_sendmsg(fd, message, flags));
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    ssize_t taken = next_write(fd, bytes, count);
    return the_log != NULL && is_internet(fd) ? noted(fd, taken) : taken;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    ssize_t taken = next_writev(fd, parts, count);
    return the_log != NULL && is_internet(fd) ? noted(fd, taken) : taken;
}
