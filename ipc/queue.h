/* queue.h: a bounded queue between two threads of one process: one producer, one consumer, fixed
 * items copied in and out. Nothing blocks, nothing is allocated after init. Not for shared memory
 * (ring.h is): both ends trust each other.
 *
 * Indexes run free and are compared by difference. */
#ifndef LS_IPC_QUEUE_H
#define LS_IPC_QUEUE_H

#include <stdatomic.h>
#include <string.h>

#include "ipc/base.h"

struct ipc_queue {
    uint8_t *items;
    uint32_t item_bytes, mask;     /* nobody writes after init */
    LS_LINE _Atomic uint64_t tail; /* writer: producer; consumer reads */
    uint64_t head_seen;            /* producer's */
    LS_LINE _Atomic uint64_t head; /* writer: consumer; producer reads */
    uint64_t tail_seen;            /* consumer's */
};

/* ipc_queue_init
 *   memory      count * item_bytes bytes, the caller's, must outlive the queue
 *   item_bytes  > 0
 *   count       a power of two */
static inline void ipc_queue_init(
    struct ipc_queue *queue, void *memory, uint32_t item_bytes, uint32_t count)
{
    LS_CHECK(item_bytes > 0 && ls_is_power_of_two(count));
    memset(queue, 0, sizeof(*queue));
    queue->items = memory;
    queue->item_bytes = item_bytes;
    queue->mask = count - 1;
}

/* ipc_queue_offer copies one item in; false when full (nothing was written). Producer's thread. */
LS_MUST_USE static inline bool ipc_queue_offer(struct ipc_queue *queue, const void *item)
{
    uint64_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    if (tail - queue->head_seen > queue->mask) {
        /* Acquire: pairs with the release in ipc_queue_poll, the consumer has copied the slot. */
        queue->head_seen = atomic_load_explicit(&queue->head, memory_order_acquire);
        if (tail - queue->head_seen > queue->mask)
            return false;
    }
    memcpy(
        queue->items + (size_t)(tail & queue->mask) * queue->item_bytes, item, queue->item_bytes);
    /* Release: pairs with the acquire in ipc_queue_poll, the item is whole before it shows. */
    atomic_store_explicit(&queue->tail, tail + 1, memory_order_release);
    return true;
}

/* ipc_queue_poll copies the oldest item out; false when empty. Consumer's thread. */
LS_MUST_USE static inline bool ipc_queue_poll(struct ipc_queue *queue, void *item)
{
    uint64_t head = atomic_load_explicit(&queue->head, memory_order_relaxed);
    if (head == queue->tail_seen) {
        queue->tail_seen = atomic_load_explicit(&queue->tail, memory_order_acquire);
        if (head == queue->tail_seen)
            return false;
    }
    memcpy(
        item, queue->items + (size_t)(head & queue->mask) * queue->item_bytes, queue->item_bytes);
    atomic_store_explicit(&queue->head, head + 1, memory_order_release);
    return true;
}

/* ipc_queue_empty may be called by the consumer: true when nothing can be polled now. */
static inline bool ipc_queue_empty(struct ipc_queue *queue)
{
    return atomic_load_explicit(&queue->head, memory_order_relaxed) ==
           atomic_load_explicit(&queue->tail, memory_order_acquire);
}

/* ipc_queue_room may be called by the producer: so many items surely fit now. */
static inline uint32_t ipc_queue_room(struct ipc_queue *queue)
{
    uint64_t used = atomic_load_explicit(&queue->tail, memory_order_relaxed) -
                    atomic_load_explicit(&queue->head, memory_order_acquire);
    return queue->mask + 1 - (uint32_t)used;
}

/* ipc_queue_drained may be called by the producer: true when the consumer has taken everything. */
static inline bool ipc_queue_drained(struct ipc_queue *queue)
{
    return atomic_load_explicit(&queue->tail, memory_order_relaxed) ==
           atomic_load_explicit(&queue->head, memory_order_acquire);
}

#endif
