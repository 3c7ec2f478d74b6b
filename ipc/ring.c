/* The two hot halves of a ring. Attaching is in ring_attach.c. */
#include "ipc/ring_private.h"

#define PREFETCH_SLOTS 4u /* an order state takes three */

/* Writes one part; its stamp comes last, release, so that whoever sees the stamp sees the part. */
static inline void put_part(struct ipc_ring_slot *slot, uint64_t stamp, size_t record_bytes,
    uint32_t part, const uint8_t *payload)
{
    size_t bytes = ipc_ring_part_bytes(record_bytes, part);
    memcpy(slot->payload, payload, bytes);
    slot->record_bytes = (uint16_t)record_bytes;
    slot->part = (uint16_t)part;
    slot->crc = ipc_ring_slot_crc(stamp, record_bytes, part, payload, bytes);
    /* Pairs with the acquire of the stamp in ipc_ring_poll. */
    atomic_store_explicit(&slot->stamp, stamp, memory_order_release);
}

/* Asks for the consumer's head again; the slow half of offer. */
static LS_COLD enum ipc_rc make_room(struct ipc_ring_producer *ring, uint32_t parts, uint64_t *lag)
{
    uint64_t slot_count = ring->mask + 1;
    if (parts > slot_count)
        return IPC_TOO_LONG;
    /* Pairs with the release in ipc_ring_release: the consumer's reads of the slots it gave back
     * are over before this side writes there. */
    uint64_t head = atomic_load_explicit(&ring->page->head, memory_order_acquire);
    uint64_t used = ring->tail - head;
    if (used > slot_count)
        return IPC_BAD_SIZE;
    ring->head_seen = head;
    if (used + parts <= slot_count)
        return IPC_OK;
    if (lag != NULL)
        *lag = used;
    uint64_t full = atomic_load_explicit(&ring->page->full_count, memory_order_relaxed);
    atomic_store_explicit(&ring->page->full_count, full + 1, memory_order_relaxed);
    return IPC_FULL;
}

enum ipc_rc ipc_ring_offer(
    struct ipc_ring_producer *ring, const void *record, size_t bytes, uint64_t *lag)
{
    LS_CHECK(bytes > 0);
    LS_CHECK(bytes <= IPC_RING_RECORD_BYTES_MAX);
    uint32_t parts = ipc_ring_parts(bytes);
    uint64_t sequence = ring->tail;
    if (LS_UNLIKELY(sequence + parts - ring->head_seen > ring->mask + 1)) {
        enum ipc_rc rc = make_room(ring, parts, lag);
        if (rc != IPC_OK)
            return rc;
    }
    /* Last part first: the first part's stamp publishes all of them. */
    for (uint32_t part = parts - 1; part > 0; part--) {
        put_part(&ring->slots[(sequence + part) & ring->mask],
            (sequence + part + 1) | IPC_RING_PART, bytes, part,
            (const uint8_t *)record + (size_t)part * IPC_RING_PAYLOAD_BYTES);
    }
    put_part(&ring->slots[sequence & ring->mask], sequence + 1, bytes, 0, record);
    ring->tail = sequence + parts;
    /* Pairs with the acquire of tail in the consumer's look_again. */
    atomic_store_explicit(&ring->page->tail, ring->tail, memory_order_release);
    /* The next order state's slots were last here a lap ago: asked for now, they are here when it
     * comes. A tenth of a round trip. */
    for (uint32_t i = 0; i < PREFETCH_SLOTS; i++) {
        const uint8_t *slot = (const uint8_t *)&ring->slots[(ring->tail + i) & ring->mask];
        __builtin_prefetch(slot, 1);
        __builtin_prefetch(slot + IPC_RING_SLOT_BYTES / 2, 1);
    }
    return IPC_OK;
}

void ipc_ring_heartbeat(struct ipc_ring_producer *ring, int64_t now_mono_ns)
{
    atomic_store_explicit(&ring->page->heartbeat_mono_ns, now_mono_ns, memory_order_relaxed);
}

void ipc_ring_consumer_heartbeat(struct ipc_ring_consumer *ring, int64_t now_mono_ns)
{
    atomic_store_explicit(
        &ring->page->consumer_heartbeat_mono_ns, now_mono_ns, memory_order_relaxed);
}

static uint64_t stamp_at(const struct ipc_ring_consumer *ring, uint64_t sequence)
{
    /* Pairs with the release in put_part. */
    return atomic_load_explicit(&ring->slots[sequence & ring->mask].stamp, memory_order_acquire);
}

/* Drops the slot at head. Parts of its record may follow; they are skipped as they are met. */
static LS_COLD enum ipc_rc drop_slot(struct ipc_ring_consumer *ring, uint64_t *sequence)
{
    *sequence = ring->head++;
    ring->resync = true;
    uint64_t bad = atomic_load_explicit(&ring->page->bad_count, memory_order_relaxed);
    atomic_store_explicit(&ring->page->bad_count, bad + 1, memory_order_relaxed);
    return IPC_BAD_CRC;
}

/* The slot at head has not the stamp of a record. Mostly nothing was published. When the tail says
 * that something was, the stamp must be there after the tail was seen; if not, the slot is damaged
 * and is dropped, so that it cannot stop the ring for ever.
 *   returns   IPC_OK when a record is at head after all; IPC_EMPTY, IPC_BAD_CRC, IPC_BAD_SIZE */
static enum ipc_rc look_again(struct ipc_ring_consumer *ring, uint64_t *sequence)
{
    for (;;) {
        /* Pairs with the release at the end of ipc_ring_offer: every slot below tail is written. */
        uint64_t tail = atomic_load_explicit(&ring->page->tail, memory_order_acquire);
        int64_t ahead = (int64_t)(tail - ring->head);
        if (LS_LIKELY(ahead <= 0))
            return IPC_EMPTY;
        if (ahead > (int64_t)ring->mask + 1)
            return IPC_BAD_SIZE;
        uint64_t stamp = stamp_at(ring, ring->head);
        if (stamp == ring->head + 1)
            return IPC_OK;
        if (!ring->resync || stamp != ((ring->head + 1) | IPC_RING_PART))
            return drop_slot(ring, sequence);
        ring->head++;
    }
}

/* Copies one part out and judges the copy, so that a producer that writes meanwhile changes
 * nothing that was judged. */
static inline bool take_part(const struct ipc_ring_slot *slot, uint64_t stamp, size_t record_bytes,
    uint32_t part, uint8_t *out)
{
    size_t bytes = ipc_ring_part_bytes(record_bytes, part);
    memcpy(out, slot->payload, bytes);
    return slot->record_bytes == record_bytes && slot->part == part &&
           slot->crc == ipc_ring_slot_crc(stamp, record_bytes, part, out, bytes);
}

/* The record is longer than the caller's memory, or says so: only a sound first slot is believed.
 */
static LS_COLD enum ipc_rc too_long(
    struct ipc_ring_consumer *ring, size_t record_bytes, uint64_t *sequence)
{
    uint8_t scratch[IPC_RING_PAYLOAD_BYTES];
    const struct ipc_ring_slot *slot = &ring->slots[ring->head & ring->mask];
    if (!take_part(slot, ring->head + 1, record_bytes, 0, scratch))
        return drop_slot(ring, sequence);
    return IPC_TOO_LONG;
}

enum ipc_rc ipc_ring_poll(
    struct ipc_ring_consumer *ring, void *out, size_t out_bytes, size_t *bytes, uint64_t *sequence)
{
    if (stamp_at(ring, ring->head) != ring->head + 1) {
        enum ipc_rc rc = look_again(ring, sequence);
        if (LS_LIKELY(rc != IPC_OK))
            return rc;
    }
    uint64_t head = ring->head;
    size_t record_bytes = ring->slots[head & ring->mask].record_bytes;
    uint32_t parts = ipc_ring_parts(record_bytes);
    if (LS_UNLIKELY(record_bytes == 0 || record_bytes > IPC_RING_RECORD_BYTES_MAX ||
                    parts > ring->mask + 1))
        return drop_slot(ring, sequence);
    if (LS_UNLIKELY(record_bytes > out_bytes))
        return too_long(ring, record_bytes, sequence);
    for (uint32_t part = 0; part < parts; part++) {
        uint64_t stamp = (head + part + 1) | (part > 0 ? IPC_RING_PART : 0);
        if (LS_UNLIKELY(!take_part(&ring->slots[(head + part) & ring->mask], stamp, record_bytes,
                part, (uint8_t *)out + (size_t)part * IPC_RING_PAYLOAD_BYTES)))
            return drop_slot(ring, sequence);
    }
    *bytes = record_bytes;
    *sequence = head;
    ring->head = head + parts;
    ring->resync = false;
    return IPC_OK;
}

void ipc_ring_release(struct ipc_ring_consumer *ring)
{
    if (ring->released == ring->head)
        return;
    ring->released = ring->head;
    /* Pairs with the acquire in make_room. */
    atomic_store_explicit(&ring->page->head, ring->head, memory_order_release);
}

bool ipc_ring_is_ready(const struct ipc_ring_consumer *ring)
{
    return stamp_at(ring, ring->head) == ring->head + 1 || ipc_ring_lag(ring) > 0;
}

uint64_t ipc_ring_lag(const struct ipc_ring_consumer *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->page->tail, memory_order_acquire);
    int64_t ahead = (int64_t)(tail - ring->head);
    return ahead > 0 ? (uint64_t)ahead : 0;
}
