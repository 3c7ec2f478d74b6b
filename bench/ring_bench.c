#include "bench/ring_bench.h"

#include "bench/files.h"
#include "ipc/clock.h"
#include "ipc/event.h"
#include "ipc/hist.h"
#include "ipc/region.h"
#include "ipc/ring.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PRODUCERS_MAX 8u
#define STALL_NS      (5 * LS_NS_PER_S)
#define BATCHES       32u /* the order of kinds changes: bare, ring, bare, ... */

enum kind { BARE, BLOCK, SHORT, EVENT, KINDS };
static const char *const kind_names[KINDS] = {
    "bare word", "bare 232 bytes", "ring, 64 bytes", "ring, order state of 232 bytes"};

/* What both processes see. */
struct page {
    LS_LINE _Atomic uint64_t ping;  /* writer: parent; release, the child acquires */
    LS_LINE _Atomic uint64_t pong;  /* writer: child; release, the parent acquires */
    LS_LINE uint8_t there[256];     /* writer: parent, before ping */
    LS_LINE uint8_t back[256];      /* writer: child, before pong */
    LS_LINE _Atomic uint32_t go;    /* writer: parent; release, producers acquire */
    LS_LINE _Atomic uint32_t ready; /* children that are attached; release, the parent acquires */
    _Atomic uint64_t full;          /* offers that found a full ring; relaxed */
    struct ipc_hist one_way[KINDS]; /* writer: child */
    struct ipc_hist round_trip[KINDS]; /* writer: parent */
};

/* One record of either length; its first field is when it was written. */
struct record {
    uint64_t written_tsc;
    uint64_t number;
    uint8_t rest[sizeof(struct ipc_event) - 16];
};

struct world {
    struct ipc_shm shm;
    struct page *page;
    struct ipc_clock clock;
    pid_t child[PRODUCERS_MAX];
    uint32_t children;
    int cpu[2]; /* ours, theirs */
};

static const struct ipc_ring_name there = {"there", 0, IPC_RING_ORDERS};
static const struct ipc_ring_name back = {"back", 0, IPC_RING_ORDERS};

static bool is_late(int64_t since_ns)
{
    return ipc_clock_mono_ns() - since_ns > STALL_NS;
}

static size_t record_bytes(enum kind kind)
{
    return kind == SHORT ? 64 : sizeof(struct record);
}

static void hist_ticks(const struct world *world, struct ipc_hist *hist, uint64_t ticks)
{
    /* In tenths of a nanosecond: a hop is a few dozen of them. */
    const int64_t signed_ticks = (int64_t)ticks; /* two processors' counters may differ by some */
    ipc_hist_record(hist, signed_ticks < 0 ? 0 : ipc_clock_ticks_to_ns(&world->clock, ticks * 10));
}

/* ---- there and back -------------------------------------------------------------------------- */

static void offer(struct ipc_ring_producer *ring, struct record *record, size_t bytes)
{
    uint64_t lag;
    record->written_tsc = ipc_clock_tsc();
    while (ipc_ring_offer(ring, record, bytes, &lag) != IPC_OK)
        __builtin_ia32_pause();
}

static void take(struct ipc_ring_consumer *ring, struct record *record)
{
    size_t bytes;
    uint64_t sequence;
    while (ipc_ring_poll(ring, record, sizeof *record, &bytes, &sequence) != IPC_OK)
        __builtin_ia32_pause();
    ipc_ring_release(ring);
}

/* The other process: answers each word and each record with one. */
static void echo(struct world *world, uint32_t rounds)
{
    struct page *page = world->page;
    struct ipc_error error;
    struct ipc_ring_consumer in;
    struct ipc_ring_producer out;
    struct record record = {0};
    if (!bench_run_on(world->cpu[1]) ||
        ipc_ring_attach_consumer(&world->shm, &there, &in, &error) != IPC_OK ||
        ipc_ring_attach_producer(&world->shm, &back, &out, &error) != IPC_OK)
        _exit(1);
    atomic_fetch_add_explicit(&page->ready, 1, memory_order_release);
    for (uint32_t batch = 0; batch < BATCHES * KINDS; batch++) {
        const enum kind kind = batch % KINDS;
        for (uint32_t i = 0; i < rounds / BATCHES; i++) {
            uint64_t written, seen = atomic_load_explicit(&page->pong, memory_order_relaxed);
            if (kind >= SHORT) {
                take(&in, &record);
                hist_ticks(world, &page->one_way[kind], ipc_clock_tsc() - record.written_tsc);
                offer(&out, &record, record_bytes(kind));
                continue;
            }
            while ((written = atomic_load_explicit(&page->ping, memory_order_acquire)) == seen)
                __builtin_ia32_pause();
            if (kind == BLOCK)
                memcpy(&record, page->there, sizeof record);
            hist_ticks(world, &page->one_way[kind], ipc_clock_tsc() - written);
            if (kind == BLOCK)
                memcpy(page->back, &record, sizeof record);
            atomic_store_explicit(&page->pong, written, memory_order_release);
        }
    }
    _exit(0);
}

static void ping_pong(struct world *world, struct ipc_ring_producer *out,
    struct ipc_ring_consumer *in, uint32_t rounds)
{
    struct page *page = world->page;
    struct record record = {0};
    for (uint32_t batch = 0; batch < BATCHES * KINDS; batch++) {
        const enum kind kind = batch % KINDS;
        for (uint32_t i = 0; i < rounds / BATCHES; i++) {
            const uint64_t start = ipc_clock_tsc();
            if (kind < SHORT) {
                if (kind == BLOCK)
                    memcpy(page->there, &record, sizeof record);
                atomic_store_explicit(&page->ping, start, memory_order_release);
                while (atomic_load_explicit(&page->pong, memory_order_acquire) != start)
                    __builtin_ia32_pause();
                if (kind == BLOCK)
                    memcpy(&record, page->back, sizeof record);
            } else {
                offer(out, &record, record_bytes(kind));
                take(in, &record);
            }
            hist_ticks(world, &page->round_trip[kind], ipc_clock_tsc() - start);
        }
    }
}

/* ---- throughput ------------------------------------------------------------------------------ */

static void producer_name(uint32_t number, struct ipc_ring_name *name)
{
    *name = (struct ipc_ring_name){.shard = 1, .ring_class = IPC_RING_ORDERS};
    (void)snprintf(name->producer, sizeof name->producer, "p%u", number);
}

static void produce(struct world *world, uint32_t number, uint32_t records)
{
    struct page *page = world->page;
    struct ipc_error error;
    struct ipc_ring_name name;
    struct ipc_ring_producer out;
    struct record record = {0};
    uint64_t lag;
    producer_name(number, &name);
    if (!bench_run_on(world->cpu[1]) ||
        ipc_ring_attach_producer(&world->shm, &name, &out, &error) != IPC_OK)
        _exit(1);
    atomic_fetch_add_explicit(&page->ready, 1, memory_order_release);
    while (atomic_load_explicit(&page->go, memory_order_acquire) == 0)
        (void)usleep(50);
    for (uint32_t i = 0; i < records; i++) {
        record.number = i;
        while (ipc_ring_offer(&out, &record, sizeof record, &lag) != IPC_OK) {
            atomic_fetch_add_explicit(&page->full, 1, memory_order_relaxed);
            (void)sched_yield(); /* as an adapter does that has other rings to serve */
        }
    }
    _exit(0);
}

static enum ipc_rc start(struct world *world, uint32_t count, void (*run)(struct world *, uint32_t),
    struct ipc_error *error)
{
    const int64_t since_ns = ipc_clock_mono_ns();
    atomic_store_explicit(&world->page->ready, 0, memory_order_relaxed);
    for (world->children = 0; world->children < count; world->children++) {
        const pid_t parent = getpid(), pid = fork();
        if (pid == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() == parent)
                run(world, world->children);
            _exit(1);
        }
        world->child[world->children] = pid;
    }
    while (atomic_load_explicit(&world->page->ready, memory_order_acquire) != count) {
        if (is_late(since_ns)) {
            ipc_error_set(error, "the other processes of the ring's measurement did not start");
            return IPC_SYSTEM;
        }
        (void)usleep(1000);
    }
    return IPC_OK;
}

static void end(struct world *world)
{
    for (uint32_t i = 0; i < world->children; i++) {
        (void)kill(world->child[i], SIGKILL);
        (void)waitpid(world->child[i], NULL, 0);
    }
    world->children = 0;
}

static uint32_t per_child; /* rounds or records, for the functions below: set before fork */

static void run_echo(struct world *world, uint32_t number)
{
    (void)number;
    echo(world, per_child);
}

static void run_produce(struct world *world, uint32_t number)
{
    produce(world, number, per_child);
}

/* Seconds to take all records, in turn from each ring; a negative number when that stalled. */
static double consume(struct world *world, struct ipc_ring_consumer *in, uint32_t producers)
{
    struct record record;
    uint64_t left = (uint64_t)per_child * producers;
    const int64_t start_ns = ipc_clock_mono_ns();
    int64_t look_ns = start_ns;
    atomic_store_explicit(&world->page->go, 1, memory_order_release);
    while (left > 0) {
        const uint64_t before = left;
        for (uint32_t i = 0; i < producers; i++) {
            size_t bytes;
            uint64_t sequence;
            for (uint32_t k = 0;
                 k < 64 && left > 0 &&
                 ipc_ring_poll(&in[i], &record, sizeof record, &bytes, &sequence) == IPC_OK;
                 k++)
                left--;
            ipc_ring_release(&in[i]);
        }
        if (left != before)
            look_ns = ipc_clock_mono_ns();
        else if (is_late(look_ns))
            return -1;
    }
    return (double)(ipc_clock_mono_ns() - start_ns) / 1e9;
}

static enum ipc_rc throughput(struct world *world, uint32_t producers, uint32_t records,
    json_t **row, struct ipc_error *error)
{
    struct ipc_ring_consumer in[PRODUCERS_MAX];
    struct ipc_ring_name name;
    uint32_t attached = 0;
    enum ipc_rc rc = IPC_OK;
    per_child = records / producers;
    atomic_store_explicit(&world->page->go, 0, memory_order_relaxed);
    atomic_store_explicit(&world->page->full, 0, memory_order_relaxed);
    for (; attached < producers && rc == IPC_OK; attached += rc == IPC_OK) {
        producer_name(attached, &name);
        rc = ipc_ring_create(&world->shm, &name, IPC_RING_SLOTS_DEFAULT, error);
        if (rc == IPC_OK || rc == IPC_EXISTS)
            rc = ipc_ring_attach_consumer(&world->shm, &name, &in[attached], error);
    }
    if (rc == IPC_OK)
        rc = start(world, producers, run_produce, error);
    const double seconds = rc == IPC_OK ? consume(world, in, producers) : -1;
    end(world);
    for (uint32_t i = 0; i < attached; i++)
        ipc_ring_detach_consumer(&in[i]);
    if (rc == IPC_OK && seconds < 0) {
        ipc_error_set(error, "no record came for 5 s: a producer has ended");
        rc = IPC_SYSTEM;
    }
    if (rc != IPC_OK)
        return rc;
    *row = json_pack("{s:s, s:n, s:n, s:n, s:n, s:n, s:n, s:f, s:I}", "what",
        producers == 1   ? "1 producer, 232 bytes"
        : producers == 2 ? "2 producers, 232 bytes"
                         : "8 producers, 232 bytes",
        "one_way_p50_ns", "one_way_p99_ns", "round_trip_p50_ns", "round_trip_p99_ns", "x_word",
        "x_bytes", "million_per_s", (double)per_child * producers / seconds / 1e6, "found_full",
        (json_int_t)atomic_load_explicit(&world->page->full, memory_order_relaxed));
    return IPC_OK;
}

/* ---- all ------------------------------------------------------------------------------------- */

static double tenths(const struct ipc_hist *hist, uint32_t per_million)
{
    return (double)ipc_hist_percentile(hist, per_million) / 10;
}

static enum ipc_rc latency(
    struct world *world, uint32_t rounds, struct bench_report *report, struct ipc_error *error)
{
    struct page *page = world->page;
    struct ipc_ring_producer out;
    struct ipc_ring_consumer in;
    per_child = rounds;
    enum ipc_rc rc = ipc_ring_create(&world->shm, &there, IPC_RING_SLOTS_DEFAULT, error);
    if (rc == IPC_OK)
        rc = ipc_ring_create(&world->shm, &back, IPC_RING_SLOTS_DEFAULT, error);
    if (rc == IPC_OK)
        rc = ipc_ring_attach_producer(&world->shm, &there, &out, error);
    if (rc != IPC_OK)
        return rc;
    rc = ipc_ring_attach_consumer(&world->shm, &back, &in, error);
    if (rc == IPC_OK) {
        rc = start(world, 1, run_echo, error);
        if (rc == IPC_OK)
            ping_pong(world, &out, &in, rounds);
        end(world);
        ipc_ring_detach_consumer(&in);
    }
    ipc_ring_detach_producer(&out);
    const double bare = tenths(&page->round_trip[BARE], 500000);
    const double bytes = tenths(&page->round_trip[BLOCK], 500000);
    for (uint32_t i = 0; i < KINDS && rc == IPC_OK; i++)
        bench_report_add(report,
            json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:n, s:n}", "what", kind_names[i],
                "one_way_p50_ns", tenths(&page->one_way[i], 500000), "one_way_p99_ns",
                tenths(&page->one_way[i], 990000), "round_trip_p50_ns",
                tenths(&page->round_trip[i], 500000), "round_trip_p99_ns",
                tenths(&page->round_trip[i], 990000), "x_word",
                tenths(&page->round_trip[i], 500000) / bare, "x_bytes",
                tenths(&page->round_trip[i], 500000) / bytes, "million_per_s", "found_full"));
    return rc;
}

enum ipc_rc bench_ring_run(
    const struct bench_ring_options *options, struct bench_report *report, struct ipc_error *error)
{
    struct world world = {.cpu = {options->engine_cpu, options->peer_cpu}};
    static const uint32_t producers[] = {1, 2, 8};
    char instance[40];
    enum ipc_rc rc = bench_choose_cpus(&world.cpu[0], &world.cpu[1], error);
    if (rc != IPC_OK)
        return rc;
    (void)snprintf(instance, sizeof instance, "ring-%d", (int)getpid());
    rc = ipc_shm_open(&world.shm, NULL, instance, true, error);
    if (rc != IPC_OK)
        return rc;
    world.page =
        mmap(NULL, sizeof *world.page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    LS_CHECK(world.page != MAP_FAILED);
    ipc_clock_calibrate(&world.clock, 50 * LS_NS_PER_MS);
    if (!bench_run_on(world.cpu[0])) {
        ipc_error_set(error, "this process may not run on processor %d", world.cpu[0]);
        rc = IPC_SYSTEM;
    }
    if (rc == IPC_OK)
        rc = latency(&world, options->rounds, report, error);
    for (uint32_t i = 0; i < LS_COUNT_OF(producers) && rc == IPC_OK; i++) {
        json_t *row = NULL;
        rc = throughput(&world, producers[i], options->records, &row, error);
        if (rc == IPC_OK)
            bench_report_add(report, row);
    }
    (void)snprintf(report->remark, sizeof report->remark,
        "x_word: round trip over that of one shared word between the same processors (budget 2), "
        "x_bytes: over that of the same 232 bytes with a word. "
        ""
        "Producers share one processor, the consumer has the other.");
    (void)munmap(world.page, sizeof *world.page);
    bench_shm_remove(&world.shm);
    return rc;
}
