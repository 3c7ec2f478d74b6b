#include "ipc/clock.h"

#include <cpuid.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_ns(clockid_t id)
{
    struct timespec now;
    LS_CHECK(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * LS_NS_PER_S + now.tv_nsec;
}

int64_t ipc_clock_mono_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t ipc_clock_wall_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

/* CPUID 0x80000007, EDX bit 8: invariant TSC (AMD64 manual volume 3, appendix E). */
static bool tsc_is_invariant(void)
{
    unsigned a, b, c, d;
    if ((unsigned)__get_cpuid_max(0x80000000u, NULL) < 0x80000007u) /* an int in clang 14 */
        return false;
    __cpuid(0x80000007u, a, b, c, d);
    return (d & (1u << 8)) != 0;
}

struct instant {
    uint64_t tsc;
    int64_t mono_ns;
};

/* Both clocks at one instant: of several readings, the one during which least time passed. */
static struct instant read_both(void)
{
    struct instant best = {0};
    uint64_t best_width = UINT64_MAX;
    for (unsigned i = 0; i < 16; i++) {
        uint64_t before = ipc_clock_tsc();
        int64_t mono_ns = ipc_clock_mono_ns();
        uint64_t width = ipc_clock_tsc() - before;
        if (width < best_width) {
            best_width = width;
            best = (struct instant){.tsc = before + width / 2, .mono_ns = mono_ns};
        }
    }
    return best;
}

void ipc_clock_calibrate(struct ipc_clock *clock, int64_t measure_ns)
{
    LS_CHECK(measure_ns >= LS_NS_PER_MS);
    LS_CHECK(measure_ns <= LS_NS_PER_S);
    struct instant first = read_both();
    struct timespec pause = {
        .tv_nsec = measure_ns % LS_NS_PER_S, .tv_sec = measure_ns / LS_NS_PER_S};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, &pause) != 0) {
        /* A signal cut the sleep short; the rest is in pause. */
    }
    struct instant last = read_both();
    uint64_t ticks = last.tsc - first.tsc;
    LS_CHECK(ticks > 0);
    uint64_t elapsed_ns = (uint64_t)(last.mono_ns - first.mono_ns);
    clock->ns_per_tick_q32 = (uint64_t)(((unsigned __int128)elapsed_ns << 32) / ticks);
    clock->base_tsc = last.tsc;
    clock->base_mono_ns = last.mono_ns;
    clock->is_invariant = tsc_is_invariant();
}

static ssize_t read_small_file(const char *path, char *out, size_t bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t got = read(fd, out, bytes - 1);
    close(fd);
    if (got < 0)
        return -1;
    out[got] = '\0';
    return got;
}

enum ipc_rc ipc_clock_boot_id(uint8_t out[16])
{
    char text[64];
    if (read_small_file("/proc/sys/kernel/random/boot_id", text, sizeof text) < 36)
        return IPC_SYSTEM;
    unsigned digits = 0;
    for (const char *at = text; *at != '\0' && digits < 32; at++) {
        unsigned value;
        if (*at >= '0' && *at <= '9')
            value = (unsigned)(*at - '0');
        else if (*at >= 'a' && *at <= 'f')
            value = (unsigned)(*at - 'a') + 10;
        else
            continue;
        uint8_t *byte = &out[digits / 2];
        *byte = (uint8_t)(digits % 2 == 0 ? value << 4 : (unsigned)*byte | value);
        digits++;
    }
    return digits == 32 ? IPC_OK : IPC_SYSTEM;
}

enum ipc_rc ipc_process_start(pid_t pid, uint64_t *out)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (pid <= 0 || read_small_file(path, text, sizeof text) <= 0)
        return IPC_NOT_FOUND;
    /* The name in parentheses may hold anything, parentheses too: count fields after the last. */
    const char *at = strrchr(text, ')');
    if (at == NULL || at[1] != ' ')
        return IPC_NOT_FOUND;
    if (at[2] == 'Z' || at[2] == 'X')
        return IPC_NOT_FOUND;
    at += 2;
    for (unsigned field = 3; field < 22; field++) {
        at = strchr(at, ' ');
        if (at == NULL)
            return IPC_NOT_FOUND;
        at++;
    }
    *out = strtoull(at, NULL, 10);
    return IPC_OK;
}
