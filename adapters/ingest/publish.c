#include "adapters/ingest/publish.h"

#include "ipc/clock.h"
#include "ipc/log.h"
#include "ipc/wake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLASSES 2u

/* One ring and what waits for it. */
struct lane {
    struct ipc_ring_producer ring;
    struct ipc_event *held; /* `held_events` of them, circular */
    uint32_t first, count;
    bool is_attached, is_overflowed, has_news, has_complained;
};

struct adp_publisher {
    const struct ipc_shm *shm;
    char producer[IPC_RING_PRODUCER_BYTES];
    uint32_t ring_slots, held_events;
    int64_t next_beat_mono_ns;
    struct adp_publisher_counts counts;
    struct lane lanes[IPC_RING_SHARDS_MAX][CLASSES];
    struct ipc_wake bells[IPC_RING_SHARDS_MAX];
    bool has_bell[IPC_RING_SHARDS_MAX];
    void (*seen)(uint32_t instrument, void *context); /* NULL = nobody */
    void *context;
};

struct adp_publisher *adp_publisher_open(
    const struct ipc_shm *shm, const char *producer, uint32_t ring_slots, uint32_t held_events)
{
    struct adp_publisher *publisher = calloc(1, sizeof(*publisher));
    LS_CHECK(publisher != NULL && held_events > 0);
    publisher->shm = shm;
    publisher->ring_slots = ring_slots;
    publisher->held_events = held_events;
    (void)snprintf(publisher->producer, sizeof(publisher->producer), "%s", producer);
    return publisher;
}

void adp_publisher_close(struct adp_publisher *publisher)
{
    if (publisher == NULL)
        return;
    for (uint32_t shard = 0; shard < IPC_RING_SHARDS_MAX; shard++) {
        for (uint32_t c = 0; c < CLASSES; c++) {
            struct lane *lane = &publisher->lanes[shard][c];
            if (lane->is_attached)
                ipc_ring_detach_producer(&lane->ring);
            free(lane->held);
        }
        if (publisher->has_bell[shard])
            ipc_wake_close(&publisher->bells[shard]);
    }
    free(publisher);
}

static struct lane *lane_of(
    struct adp_publisher *publisher, uint32_t shard, enum ipc_ring_class ring_class)
{
    LS_CHECK(shard < IPC_RING_SHARDS_MAX);
    LS_CHECK(ring_class == IPC_RING_ORDERS || ring_class == IPC_RING_UPDATES);
    return &publisher->lanes[shard][ring_class - IPC_RING_ORDERS];
}

enum ipc_rc adp_publisher_prepare(struct adp_publisher *publisher, uint32_t shard,
    enum ipc_ring_class ring_class, struct ipc_error *error)
{
    struct lane *lane = lane_of(publisher, shard, ring_class);
    struct ipc_ring_name name = {.shard = shard, .ring_class = ring_class};
    if (lane->is_attached)
        return IPC_OK;
    memcpy(name.producer, publisher->producer, sizeof(name.producer));
    enum ipc_rc rc = ipc_ring_create(publisher->shm, &name, publisher->ring_slots, error);
    if (rc != IPC_OK)
        return rc;
    rc = ipc_ring_attach_producer(publisher->shm, &name, &lane->ring, error);
    if (rc != IPC_OK)
        return rc;
    if (!publisher->has_bell[shard]) {
        rc = ipc_wake_open_producer(publisher->shm, shard, &publisher->bells[shard], error);
        if (rc != IPC_OK) {
            ipc_ring_detach_producer(&lane->ring);
            return rc;
        }
        publisher->has_bell[shard] = true;
    }
    lane->held = calloc(publisher->held_events, sizeof(*lane->held));
    LS_CHECK(lane->held != NULL);
    lane->is_attached = true;
    ipc_log(IPC_LOG_INFO, "ring %s.%u.%s: %u slots", publisher->producer, shard,
        ipc_ring_class_name(ring_class), lane->ring.page->slot_count);
    return IPC_OK;
}

static bool attach(struct adp_publisher *publisher, uint32_t shard, enum ipc_ring_class ring_class)
{
    struct lane *lane = lane_of(publisher, shard, ring_class);
    struct ipc_error error = {.text = ""};
    if (lane->is_attached)
        return true;
    if (adp_publisher_prepare(publisher, shard, ring_class, &error) == IPC_OK)
        return true;
    if (!lane->has_complained)
        ipc_log(IPC_LOG_ERROR, "%s", error.text);
    lane->has_complained = true;
    return false;
}

static enum ipc_rc offer(
    struct adp_publisher *publisher, struct lane *lane, struct ipc_event *event)
{
    event->published_mono_ns = ipc_clock_mono_ns();
    const enum ipc_rc rc = ipc_ring_offer(&lane->ring, event, sizeof(*event), NULL);
    if (rc == IPC_OK) {
        publisher->counts.published++;
        lane->has_news = true;
    }
    return rc;
}

/* Sends what waits. A ring that answers anything but FULL is broken: what waits is refused. */
static void drain(struct adp_publisher *publisher, struct lane *lane)
{
    while (lane->count > 0) {
        const enum ipc_rc rc = offer(publisher, lane, &lane->held[lane->first]);
        if (rc == IPC_FULL)
            return;
        if (rc != IPC_OK) {
            ipc_log(IPC_LOG_ERROR, "ring %s: %s; its consumer's page is damaged",
                lane->ring.region.name, ipc_rc_text(rc));
            return;
        }
        lane->first = (lane->first + 1) % publisher->held_events;
        lane->count--;
        publisher->counts.waiting--;
    }
    if (lane->is_overflowed)
        ipc_log(IPC_LOG_INFO, "ring %s takes events again", lane->ring.region.name);
    lane->is_overflowed = false;
}

bool adp_publisher_accepts(
    struct adp_publisher *publisher, uint32_t shard, enum ipc_ring_class ring_class)
{
    return attach(publisher, shard, ring_class) &&
           !lane_of(publisher, shard, ring_class)->is_overflowed;
}

void adp_publisher_watch(struct adp_publisher *publisher,
    void (*seen)(uint32_t instrument, void *context), void *context)
{
    publisher->seen = seen;
    publisher->context = context;
}

enum ipc_rc adp_publish(struct adp_publisher *publisher, uint32_t shard,
    enum ipc_ring_class ring_class, const struct ipc_event *event)
{
    struct lane *lane = lane_of(publisher, shard, ring_class);
    struct ipc_event copy = *event;
    if (publisher->seen != NULL && event->instrument != 0)
        publisher->seen(event->instrument, publisher->context);
    if (!attach(publisher, shard, ring_class)) {
        publisher->counts.refused++;
        return IPC_BUSY;
    }
    drain(publisher, lane); /* what waits goes first */
    if (lane->is_overflowed) {
        publisher->counts.refused++;
        return IPC_FULL;
    }
    if (lane->count == 0 && offer(publisher, lane, &copy) == IPC_OK)
        return IPC_OK;
    if (lane->count == publisher->held_events) {
        lane->is_overflowed = true;
        publisher->counts.refused++;
        ipc_log(IPC_LOG_WARN,
            "ring %s is full and %u events wait: its accounts will be read again when the engine "
            "takes events; start or look at that engine",
            lane->ring.region.name, lane->count);
        return IPC_FULL;
    }
    lane->held[(lane->first + lane->count) % publisher->held_events] = copy;
    lane->count++;
    publisher->counts.held++;
    publisher->counts.waiting++;
    return IPC_OK;
}

uint64_t adp_publisher_flush(struct adp_publisher *publisher, int64_t now_mono_ns)
{
    const bool is_beat = now_mono_ns >= publisher->next_beat_mono_ns;
    if (is_beat)
        publisher->next_beat_mono_ns = now_mono_ns + LS_NS_PER_S;
    for (uint32_t shard = 0; shard < IPC_RING_SHARDS_MAX; shard++) {
        bool has_news = false;
        for (uint32_t c = 0; c < CLASSES; c++) {
            struct lane *lane = &publisher->lanes[shard][c];
            if (!lane->is_attached)
                continue;
            if (lane->count > 0 || lane->is_overflowed)
                drain(publisher, lane);
            if (is_beat)
                ipc_ring_heartbeat(&lane->ring, now_mono_ns);
            has_news |= lane->has_news;
            lane->has_news = false;
        }
        if (has_news)
            ipc_wake_notify(&publisher->bells[shard]);
    }
    return publisher->counts.waiting;
}

void adp_publisher_counts(const struct adp_publisher *publisher, struct adp_publisher_counts *out)
{
    *out = publisher->counts;
}
