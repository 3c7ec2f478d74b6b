/* publish.h: a producer's rings, one per shard and class, with a bounded queue behind each.
 *
 * A ring that is full keeps its events waiting here, in order, and is tried again at every flush.
 * When the queue is full too, the ring is overflowed: everything more for it is refused until the
 * queue has drained, and whoever was refused must read the account's book again (a feed does). A
 * stopped shard so holds up nobody else, and nothing is lost in silence. One thread. */
#ifndef LS_ADAPTERS_INGEST_PUBLISH_H
#define LS_ADAPTERS_INGEST_PUBLISH_H

#include "ipc/event.h"
#include "ipc/ring.h"

struct adp_publisher;

struct adp_publisher_counts {
    uint64_t published, held, refused; /* events; refused = overflowed */
    uint64_t waiting;                  /* in queues now */
};

/* adp_publisher_open makes a publisher; rings are made or attached when they are first needed.
 *   producer     names the rings
 *   held_events  capacity of each queue, > 0
 *   returns      never NULL; close with adp_publisher_close, which keeps the rings */
struct adp_publisher *adp_publisher_open(
    const struct ipc_shm *shm, const char *producer, uint32_t ring_slots, uint32_t held_events);
void adp_publisher_close(struct adp_publisher *publisher);

/* adp_publisher_watch names who is told of the instrument of every event that is offered, taken or
 * not; NULL = nobody. */
void adp_publisher_watch(struct adp_publisher *publisher,
    void (*seen)(uint32_t instrument, void *context), void *context);

/* adp_publisher_prepare attaches one ring now, so that a start can fail with a sentence.
 *   returns  IPC_OK; IPC_BUSY when another process is this producer; else as ring.h */
LS_MUST_USE enum ipc_rc adp_publisher_prepare(struct adp_publisher *publisher, uint32_t shard,
    enum ipc_ring_class ring_class, struct ipc_error *error);

/* adp_publish offers one event; published_mono_ns is set when it enters the ring.
 *   event    checked by ipc_event_check before
 *   returns  IPC_OK, published or held; IPC_FULL, refused: the ring is overflowed; other codes when
 *            the ring cannot be attached (then it counts as refused too) */
LS_MUST_USE enum ipc_rc adp_publish(struct adp_publisher *publisher, uint32_t shard,
    enum ipc_ring_class ring_class, const struct ipc_event *event);

/* adp_publisher_accepts says whether adp_publish would take an event for this ring. */
bool adp_publisher_accepts(
    struct adp_publisher *publisher, uint32_t shard, enum ipc_ring_class ring_class);

/* adp_publisher_flush tries what is held, rings the bells of shards that sleep, and beats the
 * rings' hearts about once a second.
 *   returns  events that still wait */
uint64_t adp_publisher_flush(struct adp_publisher *publisher, int64_t now_mono_ns);

void adp_publisher_counts(const struct adp_publisher *publisher, struct adp_publisher_counts *out);

#endif
