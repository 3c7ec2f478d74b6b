/* Names, making, attaching and looking at rings: the cold half. */
#include "ipc/ring_private.h"

#include "ipc/clock.h"
#include "ipc/decimal.h"
#include "ipc/enum.h"

#include <stdio.h>
#include <unistd.h>

IPC_DEFINE_ENUM(ipc_ring_class, IPC_RING_CLASS_LIST)

static uint64_t ring_layout_hash(void)
{
    static const struct ipc_layout_field fields[] = {
        IPC_LAYOUT_FIELD(struct ipc_ring_slot, stamp),
        IPC_LAYOUT_FIELD(struct ipc_ring_slot, crc),
        IPC_LAYOUT_FIELD(struct ipc_ring_slot, record_bytes),
        IPC_LAYOUT_FIELD(struct ipc_ring_slot, part),
        IPC_LAYOUT_FIELD(struct ipc_ring_slot, payload),
        IPC_LAYOUT_FIELD(struct ipc_ring_page, slot_count),
        IPC_LAYOUT_FIELD(struct ipc_ring_page, slot_bytes),
        IPC_LAYOUT_FIELD(struct ipc_ring_page, shard),
        IPC_LAYOUT_FIELD(struct ipc_ring_page, ring_class),
        IPC_LAYOUT_FIELD(struct ipc_ring_page, producer),
        IPC_LAYOUT_FIELD(struct ipc_ring_page, tail),
        IPC_LAYOUT_FIELD(struct ipc_ring_page, heartbeat_mono_ns),
        IPC_LAYOUT_FIELD(struct ipc_ring_page, full_count),
        IPC_LAYOUT_FIELD(struct ipc_ring_page, producer_start),
        IPC_LAYOUT_FIELD(struct ipc_ring_page, producer_pid),
        IPC_LAYOUT_FIELD(struct ipc_ring_page, producer_attaches),
        IPC_LAYOUT_FIELD(struct ipc_ring_page, head),
        IPC_LAYOUT_FIELD(struct ipc_ring_page, bad_count),
        IPC_LAYOUT_FIELD(struct ipc_ring_page, consumer_heartbeat_mono_ns),
        IPC_LAYOUT_FIELD(struct ipc_ring_page, consumer_start),
        IPC_LAYOUT_FIELD(struct ipc_ring_page, consumer_pid),
        IPC_LAYOUT_FIELD(struct ipc_ring_page, consumer_attaches),
    };
    return ipc_layout_hash(fields, LS_COUNT_OF(fields));
}

/* --- names --- */

static bool name_valid(const struct ipc_ring_name *name)
{
    return memchr(name->producer, '\0', sizeof name->producer) != NULL &&
           ipc_instance_name_valid(name->producer) && name->shard < IPC_RING_SHARDS_MAX &&
           ipc_ring_class_valid(name->ring_class);
}

enum ipc_rc ipc_ring_format_name(const struct ipc_ring_name *name, char out[IPC_REGION_NAME_BYTES])
{
    if (!name_valid(name))
        return IPC_BAD_INPUT;
    snprintf(out, IPC_REGION_NAME_BYTES, "ring.%s.%u.%s", name->producer, name->shard,
        ipc_ring_class_name(name->ring_class));
    return IPC_OK;
}

enum ipc_rc ipc_ring_parse_name(const char *text, struct ipc_ring_name *out)
{
    struct ipc_ring_name name = {.shard = 0};
    if (strncmp(text, "ring.", 5) != 0)
        return IPC_BAD_INPUT;
    const char *producer = text + 5;
    const char *producer_end = strchr(producer, '.');
    const char *shard_end = producer_end != NULL ? strchr(producer_end + 1, '.') : NULL;
    if (shard_end == NULL || (size_t)(producer_end - producer) >= sizeof name.producer)
        return IPC_BAD_INPUT;
    memcpy(name.producer, producer, (size_t)(producer_end - producer));
    uint64_t shard;
    size_t shard_bytes = (size_t)(shard_end - producer_end - 1);
    if (ipc_decimal_parse_whole(producer_end + 1, shard_bytes, IPC_RING_SHARDS_MAX - 1, &shard) !=
        IPC_OK)
        return IPC_BAD_INPUT;
    name.shard = (uint32_t)shard;
    if (!ipc_ring_class_parse(shard_end + 1, strlen(shard_end + 1), &name.ring_class))
        return IPC_BAD_INPUT;
    /* One ring, one text: "01" is not a shard. */
    char again[IPC_REGION_NAME_BYTES];
    if (ipc_ring_format_name(&name, again) != IPC_OK || strcmp(again, text) != 0)
        return IPC_BAD_INPUT;
    *out = name;
    return IPC_OK;
}

/* --- making --- */

uint64_t ipc_ring_footprint(uint32_t slot_count)
{
    return sizeof(struct ipc_ring_page) + (uint64_t)slot_count * IPC_RING_SLOT_BYTES;
}

void ipc_ring_format(void *body, const struct ipc_ring_name *name, uint32_t slot_count)
{
    LS_CHECK(ls_is_power_of_two(slot_count));
    LS_CHECK(name_valid(name));
    struct ipc_ring_page *page = body;
    page->slot_count = slot_count;
    page->slot_bytes = IPC_RING_SLOT_BYTES;
    page->shard = name->shard;
    page->ring_class = (uint32_t)name->ring_class;
    snprintf(page->producer, sizeof page->producer, "%s", name->producer);
}

struct format_job {
    const struct ipc_ring_name *name;
    uint32_t slot_count;
};

static void format_body(void *body, void *context)
{
    const struct format_job *job = context;
    ipc_ring_format(body, job->name, job->slot_count);
}

static enum ipc_rc make_spec(const struct ipc_ring_name *name, char text[IPC_REGION_NAME_BYTES],
    struct ipc_region_spec *spec, struct ipc_error *error)
{
    if (ipc_ring_format_name(name, text) != IPC_OK) {
        ipc_error_set(error,
            "no ring can be called that: the producer is 1 to %u of a-z 0-9 - _, the shard below "
            "%u",
            IPC_RING_PRODUCER_BYTES - 1, IPC_RING_SHARDS_MAX);
        return IPC_BAD_INPUT;
    }
    *spec = (struct ipc_region_spec){.name = text,
        .kind = IPC_REGION_RING,
        .layout_hash = ring_layout_hash(),
        .body_bytes = ipc_ring_footprint(IPC_RING_SLOTS_MIN),
        .flags = IPC_REGION_WRITE | IPC_REGION_PREFAULT};
    return IPC_OK;
}

enum ipc_rc ipc_ring_create(const struct ipc_shm *shm, const struct ipc_ring_name *name,
    uint32_t slot_count, struct ipc_error *error)
{
    if (!ls_is_power_of_two(slot_count) || slot_count < IPC_RING_SLOTS_MIN ||
        slot_count > IPC_RING_SLOTS_MAX) {
        ipc_error_set(error, "a ring of %u slots: use a power of two from %u to %u", slot_count,
            IPC_RING_SLOTS_MIN, IPC_RING_SLOTS_MAX);
        return IPC_BAD_INPUT;
    }
    char text[IPC_REGION_NAME_BYTES];
    struct ipc_region_spec spec;
    enum ipc_rc rc = make_spec(name, text, &spec, error);
    if (rc != IPC_OK)
        return rc;
    struct ipc_region region;
    rc = ipc_region_attach(shm, &spec, &region, error);
    if (rc == IPC_NOT_FOUND) {
        struct format_job job = {.name = name, .slot_count = slot_count};
        spec.body_bytes = ipc_ring_footprint(slot_count);
        rc = ipc_region_create(shm, &spec, format_body, &job, &region, error);
    }
    /* Somebody else made it in between: theirs is as good. */
    if (rc == IPC_EXISTS)
        return IPC_OK;
    if (rc == IPC_OK)
        ipc_region_detach(&region);
    return rc;
}

/* --- binding: judging a body --- */

static enum ipc_rc check_page(
    const struct ipc_ring_page *page, uint64_t body_bytes, uint64_t *mask, struct ipc_error *error)
{
    if (body_bytes < sizeof *page) {
        ipc_error_set(error, "a ring needs %zu bytes and has %llu", sizeof *page,
            (unsigned long long)body_bytes);
        return IPC_BAD_SIZE;
    }
    uint32_t slot_count = page->slot_count;
    if (page->slot_bytes != IPC_RING_SLOT_BYTES) {
        ipc_error_set(error, "the ring has slots of %u bytes and this program of %u",
            page->slot_bytes, IPC_RING_SLOT_BYTES);
        return IPC_BAD_LAYOUT;
    }
    if (!ls_is_power_of_two(slot_count) || slot_count < IPC_RING_SLOTS_MIN ||
        slot_count > IPC_RING_SLOTS_MAX || ipc_ring_footprint(slot_count) > body_bytes) {
        ipc_error_set(error, "the ring says %u slots and its memory is %llu bytes", slot_count,
            (unsigned long long)body_bytes);
        return IPC_BAD_SIZE;
    }
    *mask = slot_count - 1;
    return IPC_OK;
}

/* Where the published records end. The dead producer may have published one that its tail does not
 * count; a damaged one is one slot and the parts after it, as the consumer takes it. */
static uint64_t scan_tail(const struct ipc_ring_slot *slots, uint64_t mask, uint64_t tail)
{
    const uint64_t from = tail;
    bool resync = false;
    while (tail - from <= mask) {
        const struct ipc_ring_slot *slot = &slots[tail & mask];
        uint64_t stamp = atomic_load_explicit(&slot->stamp, memory_order_acquire);
        if (stamp == tail + 1) {
            uint32_t parts = ipc_ring_parts(slot->record_bytes);
            resync = parts == 0 || parts > mask + 1;
            tail += resync ? 1 : parts;
        } else if (resync && stamp == ((tail + 1) | IPC_RING_PART)) {
            tail++;
        } else {
            break;
        }
    }
    return tail;
}

static enum ipc_rc refuse_positions(uint64_t tail, uint64_t head, struct ipc_error *error)
{
    ipc_error_set(error,
        "the ring's positions do not hold together (tail %llu, head %llu): remove it with "
        "lockstepctl shm repair",
        (unsigned long long)tail, (unsigned long long)head);
    return IPC_BAD_SIZE;
}

enum ipc_rc ipc_ring_bind_producer(
    struct ipc_ring_producer *ring, void *body, uint64_t body_bytes, struct ipc_error *error)
{
    struct ipc_ring_page *page = body;
    uint64_t mask;
    enum ipc_rc rc = check_page(page, body_bytes, &mask, error);
    if (rc != IPC_OK)
        return rc;
    struct ipc_ring_slot *slots = (struct ipc_ring_slot *)(page + 1);
    /* The consumer may run meanwhile: its head is read first, so it cannot be past what is scanned
     * afterwards. */
    uint64_t head = atomic_load_explicit(&page->head, memory_order_acquire);
    uint64_t tail = scan_tail(slots, mask, atomic_load_explicit(&page->tail, memory_order_acquire));
    if (tail - head > mask + 1)
        return refuse_positions(tail, head, error);
    ring->page = page;
    ring->slots = slots;
    ring->mask = mask;
    ring->tail = tail;
    ring->head_seen = head;
    /* Pairs with the acquire in look_again. */
    atomic_store_explicit(&page->tail, tail, memory_order_release);
    return IPC_OK;
}

enum ipc_rc ipc_ring_bind_consumer(
    struct ipc_ring_consumer *ring, void *body, uint64_t body_bytes, struct ipc_error *error)
{
    struct ipc_ring_page *page = body;
    uint64_t mask;
    enum ipc_rc rc = check_page(page, body_bytes, &mask, error);
    if (rc != IPC_OK)
        return rc;
    /* Head may be past a tail that a dead producer did not store, by one record. */
    uint64_t head = atomic_load_explicit(&page->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&page->tail, memory_order_acquire);
    int64_t ahead = (int64_t)(tail - head);
    if (ahead > (int64_t)mask + 1 || ahead < -(int64_t)(mask + 1))
        return refuse_positions(tail, head, error);
    ring->page = page;
    ring->slots = (const struct ipc_ring_slot *)(page + 1);
    ring->mask = mask;
    ring->head = head;
    ring->released = head;
    ring->resync = false;
    return IPC_OK;
}

/* --- attaching --- */

static enum ipc_rc check_owner_name(
    const struct ipc_region *region, const struct ipc_ring_name *name, struct ipc_error *error)
{
    const struct ipc_ring_page *page = region->body;
    if (page->shard != name->shard || page->ring_class != (uint32_t)name->ring_class ||
        strncmp(page->producer, name->producer, sizeof page->producer) != 0) {
        ipc_error_set(error, "%s holds the ring of another producer, shard or class", region->name);
        return IPC_BAD_LAYOUT;
    }
    return IPC_OK;
}

static enum ipc_rc attach_as(const struct ipc_shm *shm, const struct ipc_ring_name *name,
    uint32_t role, struct ipc_region *region, struct ipc_error *error)
{
    *region = (struct ipc_region){.fd = -1};
    char text[IPC_REGION_NAME_BYTES];
    struct ipc_region_spec spec;
    enum ipc_rc rc = make_spec(name, text, &spec, error);
    if (rc == IPC_OK)
        rc = ipc_region_attach(shm, &spec, region, error);
    if (rc != IPC_OK)
        return rc;
    rc = ipc_region_lock(region, role);
    if (rc == IPC_OK)
        return check_owner_name(region, name, error);
    ipc_error_set(error, "%s/%s has a living %s already", shm->path, text,
        role == IPC_LOCK_WRITER ? "producer" : "consumer");
    return rc;
}

static uint64_t own_start(void)
{
    uint64_t start;
    return ipc_process_start(getpid(), &start) == IPC_OK ? start : 0;
}

enum ipc_rc ipc_ring_attach_producer(const struct ipc_shm *shm, const struct ipc_ring_name *name,
    struct ipc_ring_producer *ring, struct ipc_error *error)
{
    *ring = (struct ipc_ring_producer){.region.fd = -1};
    enum ipc_rc rc = attach_as(shm, name, IPC_LOCK_WRITER, &ring->region, error);
    if (rc == IPC_OK)
        rc = ipc_ring_bind_producer(ring, ring->region.body, ring->region.body_bytes, error);
    if (rc != IPC_OK) {
        ipc_region_detach(&ring->region);
        return rc;
    }
    struct ipc_ring_page *page = ring->page;
    uint32_t attaches = atomic_load_explicit(&page->producer_attaches, memory_order_relaxed);
    atomic_store_explicit(&page->producer_attaches, attaches + 1, memory_order_relaxed);
    atomic_store_explicit(&page->producer_start, own_start(), memory_order_relaxed);
    atomic_store_explicit(&page->producer_pid, getpid(), memory_order_relaxed);
    ipc_ring_heartbeat(ring, ipc_clock_mono_ns());
    return IPC_OK;
}

enum ipc_rc ipc_ring_attach_consumer(const struct ipc_shm *shm, const struct ipc_ring_name *name,
    struct ipc_ring_consumer *ring, struct ipc_error *error)
{
    *ring = (struct ipc_ring_consumer){.region.fd = -1};
    enum ipc_rc rc = attach_as(shm, name, IPC_LOCK_READER, &ring->region, error);
    if (rc == IPC_OK)
        rc = ipc_ring_bind_consumer(ring, ring->region.body, ring->region.body_bytes, error);
    if (rc != IPC_OK) {
        ipc_region_detach(&ring->region);
        return rc;
    }
    struct ipc_ring_page *page = ring->page;
    uint32_t attaches = atomic_load_explicit(&page->consumer_attaches, memory_order_relaxed);
    atomic_store_explicit(&page->consumer_attaches, attaches + 1, memory_order_relaxed);
    atomic_store_explicit(&page->consumer_start, own_start(), memory_order_relaxed);
    atomic_store_explicit(&page->consumer_pid, getpid(), memory_order_relaxed);
    ipc_ring_consumer_heartbeat(ring, ipc_clock_mono_ns());
    return IPC_OK;
}

void ipc_ring_detach_producer(struct ipc_ring_producer *ring)
{
    ipc_region_detach(&ring->region);
    ring->page = NULL;
}

void ipc_ring_detach_consumer(struct ipc_ring_consumer *ring)
{
    ipc_region_detach(&ring->region);
    ring->page = NULL;
}

/* --- looking --- */

bool ipc_ring_producer_alive(const struct ipc_ring_consumer *ring)
{
    return ipc_region_is_locked(&ring->region, IPC_LOCK_WRITER);
}

#define RELAXED(field) atomic_load_explicit(&page->field, memory_order_relaxed)

enum ipc_rc ipc_ring_inspect(const struct ipc_shm *shm, const struct ipc_ring_name *name,
    struct ipc_ring_status *status, struct ipc_error *error)
{
    char text[IPC_REGION_NAME_BYTES];
    struct ipc_region_spec spec;
    struct ipc_region region;
    enum ipc_rc rc = make_spec(name, text, &spec, error);
    if (rc != IPC_OK)
        return rc;
    spec.flags = 0;
    rc = ipc_region_attach(shm, &spec, &region, error);
    if (rc != IPC_OK)
        return rc;
    const struct ipc_ring_page *page = region.body;
    *status = (struct ipc_ring_status){
        .producer_alive = ipc_region_is_locked(&region, IPC_LOCK_WRITER),
        .consumer_alive = ipc_region_is_locked(&region, IPC_LOCK_READER),
        .tail = RELAXED(tail),
        .head = RELAXED(head),
        .full_count = RELAXED(full_count),
        .bad_count = RELAXED(bad_count),
        .producer_heartbeat_mono_ns = RELAXED(heartbeat_mono_ns),
        .consumer_heartbeat_mono_ns = RELAXED(consumer_heartbeat_mono_ns),
        .producer_pid = RELAXED(producer_pid),
        .consumer_pid = RELAXED(consumer_pid),
        .producer_attaches = RELAXED(producer_attaches),
        .consumer_attaches = RELAXED(consumer_attaches),
        .slot_count = page->slot_count,
    };
    ipc_region_detach(&region);
    return IPC_OK;
}

struct find_job {
    uint32_t shard;
    enum ipc_ring_class ring_class;
    struct ipc_ring_name *names;
    uint32_t names_max;
    uint32_t count;
};

/* Keeps the names sorted; beyond names_max the last in order fall off. */
static bool find_one(const struct ipc_region_info *info, void *context)
{
    struct find_job *job = context;
    struct ipc_ring_name name;
    if (ipc_ring_parse_name(info->name, &name) != IPC_OK || name.shard != job->shard ||
        name.ring_class != job->ring_class)
        return true;
    uint32_t at = job->count < job->names_max ? job->count : job->names_max;
    job->count++;
    for (; at > 0 && strcmp(job->names[at - 1].producer, name.producer) > 0; at--) {
        if (at < job->names_max)
            job->names[at] = job->names[at - 1];
    }
    if (at < job->names_max)
        job->names[at] = name;
    return true;
}

enum ipc_rc ipc_ring_find(const struct ipc_shm *shm, uint32_t shard, enum ipc_ring_class ring_class,
    struct ipc_ring_name *names, uint32_t names_max, uint32_t *count, struct ipc_error *error)
{
    struct find_job job = {
        .shard = shard, .ring_class = ring_class, .names = names, .names_max = names_max};
    enum ipc_rc rc = ipc_region_list(shm, find_one, &job, error);
    *count = job.count;
    return rc;
}
