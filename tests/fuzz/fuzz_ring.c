/* Any bytes as a ring: whatever they are, binding refuses or polling ends, nothing outside the
 * image is read, and what is delivered lies inside the bounds that the header promises. The first
 * byte chooses what is done; the rest is the image: page, then slots. A second look repairs stamps
 * and checksums of the slots that the first bytes name, so that deeper states are reached. */
#include "ipc/ring.h"
#include "ipc/ring_private.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define POLLS_MAX 4096u

/* Makes one slot look published for a sequence, whatever else is in it. */
static void mend_slot(struct ipc_ring_slot *slot, uint64_t sequence, uint32_t part)
{
    uint64_t stamp = (sequence + 1) | (part > 0 ? IPC_RING_PART : 0);
    slot->part = (uint16_t)part;
    if (slot->record_bytes == 0 || slot->record_bytes > IPC_RING_RECORD_BYTES_MAX ||
        ipc_ring_parts(slot->record_bytes) <= part)
        slot->record_bytes = (uint16_t)(part * IPC_RING_PAYLOAD_BYTES + 1);
    size_t bytes = ipc_ring_part_bytes(slot->record_bytes, part);
    slot->crc = ipc_ring_slot_crc(stamp, slot->record_bytes, part, slot->payload, bytes);
    atomic_store_explicit(&slot->stamp, stamp, memory_order_relaxed);
}

static void mend(uint8_t *image, size_t size, uint8_t choice)
{
    struct ipc_ring_page *page = (struct ipc_ring_page *)(void *)image;
    if (size < sizeof *page + 2 * IPC_RING_SLOT_BYTES)
        return;
    page->slot_bytes = IPC_RING_SLOT_BYTES;
    uint64_t slots = (size - sizeof *page) / IPC_RING_SLOT_BYTES;
    while (!ls_is_power_of_two(slots))
        slots &= slots - 1;
    page->slot_count = (uint32_t)slots;
    uint64_t head = atomic_load_explicit(&page->head, memory_order_relaxed);
    if ((choice & 2) != 0)
        atomic_store_explicit(
            &page->tail, head + (choice >> 4) % (slots + 1), memory_order_relaxed);
    struct ipc_ring_slot *first = (struct ipc_ring_slot *)(void *)(page + 1);
    for (uint32_t i = 0; i < slots && (choice & 4) != 0; i++)
        mend_slot(&first[(head + i) & (slots - 1)], head + i, i % (1 + (choice >> 6)));
}

static void poll_all(uint8_t *image, size_t size)
{
    struct ipc_ring_consumer ring;
    struct ipc_error error;
    if (ipc_ring_bind_consumer(&ring, image, size, &error) != IPC_OK)
        return;
    const uint64_t slots = ring.mask + 1;
    uint8_t *out = malloc(IPC_RING_RECORD_BYTES_MAX);
    if (out == NULL)
        abort();
    for (unsigned i = 0; i < POLLS_MAX; i++) {
        size_t bytes = 0;
        uint64_t sequence = 0, before = ring.head;
        enum ipc_rc rc = ipc_ring_poll(&ring, out, IPC_RING_RECORD_BYTES_MAX, &bytes, &sequence);
        if (rc == IPC_OK) {
            LS_CHECK(bytes > 0);
            LS_CHECK(bytes <= IPC_RING_RECORD_BYTES_MAX);
            LS_CHECK(ring.head - sequence == ipc_ring_parts(bytes));
            LS_CHECK(ring.head - before <= slots + ipc_ring_parts(bytes));
        } else if (rc == IPC_BAD_CRC) {
            LS_CHECK(ring.head == sequence + 1);
        } else {
            LS_CHECK(rc == IPC_EMPTY || rc == IPC_BAD_SIZE);
            break;
        }
        /* A static image holds each sequence once: it cannot deliver for ever. */
        LS_CHECK(i < 2 * slots + 2);
        if (i % 3 == 0)
            ipc_ring_release(&ring);
    }
    ipc_ring_release(&ring);
    free(out);
}

static void offer_some(uint8_t *image, size_t size)
{
    struct ipc_ring_producer ring;
    struct ipc_error error;
    if (ipc_ring_bind_producer(&ring, image, size, &error) != IPC_OK)
        return;
    uint8_t record[300];
    memset(record, 7, sizeof record);
    for (unsigned i = 0; i < 64; i++) {
        uint64_t lag;
        uint64_t tail = ring.tail;
        enum ipc_rc rc = ipc_ring_offer(&ring, record, 1 + i * 37 % sizeof record, &lag);
        LS_CHECK(rc == IPC_OK || rc == IPC_FULL || rc == IPC_TOO_LONG || rc == IPC_BAD_SIZE);
        if (rc != IPC_OK)
            LS_CHECK(ring.tail == tail);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    uint8_t choice = data[0];
    data++;
    size--;
    /* Exactly as long as the input, so that the address sanitizer sees one byte too many. */
    uint8_t *image = NULL;
    if (size == 0 || posix_memalign((void **)&image, LS_LINE_BYTES, size) != 0)
        return 0;
    memcpy(image, data, size);
    if ((choice & 1) != 0)
        mend(image, size, choice);
    poll_all(image, size);
    if ((choice & 8) != 0) {
        offer_some(image, size);
        poll_all(image, size);
    }
    free(image);
    return 0;
}
