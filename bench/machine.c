#include "bench/machine.h"

#include "ipc/clock.h"

#include <dirent.h>
#include <openssl/crypto.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PINGS 4000u
#define WORKS 200u

/* First line of a small file; false when there is none. */
static bool read_line(const char *path, char *out, size_t bytes)
{
    FILE *file = fopen(path, "r");
    const bool done = file != NULL && fgets(out, (int)bytes, file) != NULL;
    if (file != NULL)
        (void)fclose(file);
    if (!done)
        return false;
    out[strcspn(out, "\n")] = '\0';
    return true;
}

static void read_cpu(struct bench_machine *machine)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || value == NULL)
            continue;
        (void)snprintf(machine->cpu, sizeof machine->cpu, "%.90s", value + 2);
        machine->cpu[strcspn(machine->cpu, "\n")] = '\0';
        break;
    }
    if (file != NULL)
        (void)fclose(file);
}

/* Names of the vulnerabilities against which this kernel pays for a mitigation. */
static void read_mitigations(struct bench_machine *machine)
{
    static const char folder[] = "/sys/devices/system/cpu/vulnerabilities";
    DIR *directory = opendir(folder);
    const struct dirent *entry;
    size_t used = 0;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char path[512], line[160];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.' || !read_line(path, line, sizeof line) ||
            strncmp(line, "Mitigation", 10) != 0)
            continue;
        const int count = snprintf(machine->mitigations + used, sizeof machine->mitigations - used,
            "%s%s", used == 0 ? "" : " ", entry->d_name);
        if (count < 0 || (size_t)count >= sizeof machine->mitigations - used)
            break;
        used += (size_t)count;
    }
    if (directory != NULL)
        (void)closedir(directory);
    if (used == 0)
        (void)snprintf(machine->mitigations, sizeof machine->mitigations, "none");
}

static void read_sysctls(struct bench_machine *machine)
{
    static const char *const names[] = {"net/ipv4/tcp_slow_start_after_idle", "net/ipv4/tcp_wmem",
        "net/core/busy_poll", "kernel/io_uring_disabled"};
    size_t used = 0;
    for (size_t i = 0; i < LS_COUNT_OF(names); i++) {
        char path[128], line[64] = "unknown";
        (void)snprintf(path, sizeof path, "/proc/sys/%s", names[i]);
        (void)read_line(path, line, sizeof line);
        for (char *at = line; *at != '\0'; at++)
            *at = *at == '\t' ? ' ' : *at;
        const int count = snprintf(machine->sysctls + used, sizeof machine->sysctls - used,
            "%s%s=%s", used == 0 ? "" : ", ", strrchr(names[i], '/') + 1, line);
        if (count > 0 && (size_t)count < sizeof machine->sysctls - used)
            used += (size_t)count;
    }
}

void bench_machine_read(struct bench_machine *machine)
{
    struct utsname name;
    char line[64];
    *machine = (struct bench_machine){.cpu = "unknown", .governor = "unknown"};
    read_cpu(machine);
    read_mitigations(machine);
    read_sysctls(machine);
    machine->cores = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    if (uname(&name) == 0)
        (void)snprintf(machine->kernel, sizeof machine->kernel, "%.90s", name.release);
    (void)snprintf(machine->openssl, sizeof machine->openssl, "%.60s", OpenSSL_version(0));
    if (read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", line, sizeof line))
        (void)snprintf(machine->governor, sizeof machine->governor, "%.30s", line);
    if (read_line("/proc/loadavg", line, sizeof line))
        machine->load = strtod(line, NULL);
}

static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* A chain of dependent steps: its time is the processor's, not the memory's. */
static uint64_t fixed_work(uint64_t seed)
{
    for (uint32_t i = 0; i < 20000; i++)
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return seed;
}

struct bench_sentinel bench_sentinel_measure(struct bench_peer_page *page)
{
    static int64_t trips[PINGS], works[WORKS];
    struct bench_sentinel out;
    uint64_t number = atomic_load_explicit(&page->ping, memory_order_relaxed);
    volatile uint64_t sink = 1;
    for (uint32_t i = 0; i < PINGS; i++) {
        const int64_t start = ipc_clock_mono_ns();
        atomic_store_explicit(&page->ping, ++number, memory_order_release);
        while (atomic_load_explicit(&page->pong, memory_order_acquire) != number &&
               ipc_clock_mono_ns() - start < 20 * LS_NS_PER_MS)
            __builtin_ia32_pause();
        trips[i] = ipc_clock_mono_ns() - start;
    }
    for (uint32_t i = 0; i < WORKS; i++) {
        const int64_t start = ipc_clock_mono_ns();
        sink = fixed_work(sink);
        works[i] = ipc_clock_mono_ns() - start;
    }
    qsort(trips, PINGS, sizeof *trips, ascending);
    qsort(works, WORKS, sizeof *works, ascending);
    out.round_trip_ns_p50 = trips[PINGS / 2];
    out.round_trip_ns_p99 = trips[PINGS / 100 * 99];
    out.work_ns_min = works[0];
    out.work_ns_p50 = works[WORKS / 2];
    return out;
}

uint32_t bench_cpus(int *cpus, uint32_t max)
{
    cpu_set_t set;
    uint32_t count = 0;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 0;
    for (int cpu = 0; cpu < CPU_SETSIZE && count < max; cpu++)
        if (CPU_ISSET((size_t)cpu, &set))
            cpus[count++] = cpu;
    return count;
}

bool bench_run_on(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0;
}

pid_t bench_thread(pid_t pid, const char *name)
{
    char folder[64], line[64];
    pid_t found = 0;
    (void)snprintf(folder, sizeof folder, "/proc/%d/task", (int)pid);
    DIR *directory = opendir(folder);
    const struct dirent *entry;
    while (found == 0 && directory != NULL && (entry = readdir(directory)) != NULL) {
        char path[384];
        (void)snprintf(path, sizeof path, "%s/%s/comm", folder, entry->d_name);
        if (entry->d_name[0] != '.' && read_line(path, line, sizeof line) &&
            strcmp(line, name) == 0)
            found = (pid_t)strtol(entry->d_name, NULL, 10);
    }
    if (directory != NULL)
        (void)closedir(directory);
    return found;
}

bool bench_alone(pid_t thread, bool alone, int priority)
{
    const struct sched_param parameters = {.sched_priority = alone ? priority : 0};
    return sched_setscheduler(thread, alone ? SCHED_FIFO : SCHED_OTHER, &parameters) == 0;
}

uint64_t bench_preemptions(pid_t pid, pid_t thread)
{
    char path[64], line[128];
    uint64_t count = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)pid, (int)thread);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "nonvoluntary_ctxt_switches:", 27) == 0)
            count = strtoull(line + 27, NULL, 10);
    if (file != NULL)
        (void)fclose(file);
    return count;
}

enum ipc_rc bench_choose_cpus(int *engine_cpu, int *peer_cpu, struct ipc_error *error)
{
    int cpus[64];
    const uint32_t count = bench_cpus(cpus, LS_COUNT_OF(cpus));
    if (count < 2) {
        ipc_error_set(error,
            "the engine and its peer need a processor each, and this process may "
            "use %u",
            count);
        return IPC_REFUSED;
    }
    if (*engine_cpu < 0)
        *engine_cpu = cpus[0];
    if (*peer_cpu < 0)
        *peer_cpu = cpus[0] == *engine_cpu ? cpus[1] : cpus[0];
    if (*engine_cpu == *peer_cpu || !bench_run_on(*engine_cpu) || !bench_run_on(*peer_cpu)) {
        ipc_error_set(error,
            "processors %d and %d: give two different ones that this process may "
            "use",
            *engine_cpu, *peer_cpu);
        return IPC_REFUSED;
    }
    return IPC_OK;
}
