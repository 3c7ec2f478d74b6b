/* ring.h: single producer, single consumer, one file per (producer, shard, class).
 *
 *     file ring.<producer>.<shard>.<class>        class: orders (polled first) or updates
 *
 *     page   | constants | producer's line: tail ... | consumer's line: head ... |
 *     slots  | 128 | 128 | 128 | ...   slot of sequence s is slots[s mod slot_count]
 *     slot   | stamp 8 | crc 4 | record bytes 2 | part 2 | payload 112 |
 *
 * A record takes one slot per 112 bytes. Its first slot's stamp (sequence + 1) is stored last, with
 * release: that store publishes the whole record. The parts after the first carry stamps with the
 * top bit set, so that parts left by a producer that died before its publishing store can never be
 * taken for records. Nothing is claimed before it is published, so a producer killed at any
 * instruction leaves nothing to unblock: the next one scans forward from `tail` over what was
 * published and writes over the rest.
 *
 * The consumer gates: a slot is written again only after `head` has passed it. Full means IPC_FULL
 * to the producer; nothing is overwritten and nobody blocks. `head` moves when the consumer says so
 * (ipc_ring_release), after it has journaled what it took: what a dead consumer had taken and not
 * released is delivered again, and events are absolute states, so that changes nothing.
 *
 * Both sides are owned by locks that the kernel drops on any death (IPC_LOCK_WRITER, _READER).
 * Offer and poll make no system call, take no locked instruction and allocate nothing. */
#ifndef LS_IPC_RING_H
#define LS_IPC_RING_H

#include "ipc/region.h"

#include <stdatomic.h>

#define IPC_RING_SLOT_BYTES       128u
#define IPC_RING_PAYLOAD_BYTES    112u
#define IPC_RING_RECORD_BYTES_MAX 16384u
#define IPC_RING_SLOTS_MIN        2u
#define IPC_RING_SLOTS_MAX        (1u << 24)
#define IPC_RING_SLOTS_DEFAULT    65536u /* 8 MiB: 0.3 s of two-slot events at 100,000 a second */
#define IPC_RING_PRODUCER_BYTES   25u    /* of a producer's name, with the NUL */
#define IPC_RING_SHARDS_MAX       64u
#define IPC_RING_PART             (UINT64_C(1) << 63) /* in a stamp: not the first of its record */

#define IPC_RING_CLASS_LIST(X)                                                                     \
    X(IPC_RING_ORDERS, 1, "orders")   /* masters' order states and operator acts */                \
    X(IPC_RING_UPDATES, 2, "updates") /* followers' order states */
IPC_DECLARE_ENUM(ipc_ring_class, IPC_RING_CLASS_LIST)

struct ipc_ring_slot {
    _Atomic uint64_t stamp; /* sequence + 1; | IPC_RING_PART; 0 = never written */
    uint32_t crc;           /* CRC32C of the stamp, the next two fields, and the payload used */
    uint16_t record_bytes;  /* of the whole record, equal in each of its slots */
    uint16_t part;          /* 0 = first */
    uint8_t payload[IPC_RING_PAYLOAD_BYTES];
};
_Static_assert(sizeof(struct ipc_ring_slot) == IPC_RING_SLOT_BYTES, "slot");

/* Head of the ring's body; the slots follow. */
struct ipc_ring_page {
    /* Constants, written before the name exists. */
    LS_LINE uint32_t slot_count; /* a power of two */
    uint32_t slot_bytes;
    uint32_t shard;
    uint32_t ring_class; /* enum ipc_ring_class */
    char producer[32];

    /* Writer: producer. `tail` is behind the slots by at most one record: after a death between
     * the publishing store and this one, the slots are right. */
    LS_LINE _Atomic uint64_t tail;     /* sequence of the next record; release, consumer acquires */
    _Atomic int64_t heartbeat_mono_ns; /* relaxed, for people and metrics */
    _Atomic uint64_t full_count;       /* offers that found it full; relaxed */
    _Atomic uint64_t producer_start;   /* ipc_process_start of the producer; relaxed */
    _Atomic int32_t producer_pid;      /* relaxed */
    _Atomic uint32_t producer_attaches; /* how many producers there have been; relaxed */

    /* Writer: consumer. */
    LS_LINE _Atomic uint64_t head; /* release after the last read; producer acquires */
    _Atomic uint64_t bad_count;    /* records that were dropped as damaged; relaxed */
    _Atomic int64_t consumer_heartbeat_mono_ns;
    _Atomic uint64_t consumer_start;
    _Atomic int32_t consumer_pid;
    _Atomic uint32_t consumer_attaches;
};
_Static_assert(sizeof(struct ipc_ring_page) == 3 * LS_LINE_BYTES, "ring page");

/* Which ring. */
struct ipc_ring_name {
    char producer[IPC_RING_PRODUCER_BYTES]; /* [a-z0-9][a-z0-9_-]*, no dots */
    uint32_t shard;                         /* [0, IPC_RING_SHARDS_MAX) */
    enum ipc_ring_class ring_class;
};

/* The producer's private side. One thread. */
struct ipc_ring_producer {
    struct ipc_ring_page *page;
    struct ipc_ring_slot *slots;
    uint64_t mask;
    uint64_t tail;      /* the true one */
    uint64_t head_seen; /* last head read: asked again only when it says full */
    struct ipc_region region;
};

/* The consumer's private side. One thread. */
struct ipc_ring_consumer {
    struct ipc_ring_page *page;
    const struct ipc_ring_slot *slots;
    uint64_t mask;
    uint64_t head;     /* next sequence to read; the page's is behind it until ipc_ring_release */
    uint64_t released; /* what the page's head was last set to */
    bool resync;       /* a damaged record was dropped: parts of it may follow */
    struct ipc_region region;
};

/* ipc_ring_format_name writes "ring.<producer>.<shard>.<class>"; ipc_ring_parse_name reads it.
 *   returns   IPC_OK, or IPC_BAD_INPUT when a part is out of range */
LS_MUST_USE enum ipc_rc ipc_ring_format_name(
    const struct ipc_ring_name *name, char out[IPC_REGION_NAME_BYTES]);
LS_MUST_USE enum ipc_rc ipc_ring_parse_name(const char *text, struct ipc_ring_name *out);

/* ipc_ring_create makes an empty ring when there is none. Either side may do it, as may a tool; an
 * existing ring keeps its size, whatever slot_count says.
 *   slot_count   a power of two, [IPC_RING_SLOTS_MIN, IPC_RING_SLOTS_MAX]
 *   returns      IPC_OK, or as ipc_region_open */
LS_MUST_USE enum ipc_rc ipc_ring_create(const struct ipc_shm *shm, const struct ipc_ring_name *name,
    uint32_t slot_count, struct ipc_error *error);

/* ipc_ring_attach_producer attaches, takes the producer's lock and finds the true tail.
 *   returns   IPC_OK; IPC_BUSY while another producer lives; IPC_BAD_LAYOUT, IPC_BAD_SIZE when the
 *             page does not hold together; else as ipc_region_attach */
LS_MUST_USE enum ipc_rc ipc_ring_attach_producer(const struct ipc_shm *shm,
    const struct ipc_ring_name *name, struct ipc_ring_producer *ring, struct ipc_error *error);

/* ipc_ring_attach_consumer attaches, takes the consumer's lock and goes on where the last consumer
 * released. Results as above. */
LS_MUST_USE enum ipc_rc ipc_ring_attach_consumer(const struct ipc_shm *shm,
    const struct ipc_ring_name *name, struct ipc_ring_consumer *ring, struct ipc_error *error);

void ipc_ring_detach_producer(struct ipc_ring_producer *ring);
void ipc_ring_detach_consumer(struct ipc_ring_consumer *ring);

/* ipc_ring_bind_producer and ipc_ring_bind_consumer are the second half of attaching: they judge
 * the body of a ring that the caller has mapped, and take no lock. For the two functions above, for
 * tests and for tools that look at a copy.
 *   body     LS_LINE_BYTES-aligned; body_bytes of it are mapped
 *   returns  IPC_OK, IPC_BAD_LAYOUT, IPC_BAD_SIZE */
LS_MUST_USE enum ipc_rc ipc_ring_bind_producer(
    struct ipc_ring_producer *ring, void *body, uint64_t body_bytes, struct ipc_error *error);
LS_MUST_USE enum ipc_rc ipc_ring_bind_consumer(
    struct ipc_ring_consumer *ring, void *body, uint64_t body_bytes, struct ipc_error *error);

/* ipc_ring_footprint returns the body bytes of a ring; ipc_ring_format makes zeroed memory of that
 * size an empty ring. */
uint64_t ipc_ring_footprint(uint32_t slot_count);
void ipc_ring_format(void *body, const struct ipc_ring_name *name, uint32_t slot_count);

/* ipc_ring_offer copies one record into the ring and publishes it.
 *   record    bytes of it, [1, IPC_RING_RECORD_BYTES_MAX]; not kept after return
 *   lag       out with IPC_FULL: slots that the consumer has not released; may be NULL
 *   returns   IPC_OK; IPC_FULL when there is no room now; IPC_TOO_LONG when the ring is too small
 *             for it at any time; IPC_BAD_SIZE when the consumer's head is impossible. Nothing was
 *             written unless IPC_OK
 *   thread    the producer's only; never blocks, calls the kernel or allocates */
LS_MUST_USE enum ipc_rc ipc_ring_offer(
    struct ipc_ring_producer *ring, const void *record, size_t bytes, uint64_t *lag);

/* ipc_ring_heartbeat says that the producer is well; about once a second. */
void ipc_ring_heartbeat(struct ipc_ring_producer *ring, int64_t now_mono_ns);

/* ipc_ring_poll copies the next record out. Its slots stay taken until ipc_ring_release.
 *   out        out_bytes of memory
 *   bytes      of the record, out
 *   sequence   of its first slot, out; with IPC_BAD_CRC of what was dropped
 *   returns    IPC_OK; IPC_EMPTY; IPC_BAD_CRC when something published is damaged: it was dropped,
 *              counted, and the caller must treat the producer's accounts as having a gap;
 *              IPC_TOO_LONG when out is too small (nothing moved); IPC_BAD_SIZE when the producer's
 *              tail is impossible (nothing moved: remove the ring)
 *   thread     the consumer's only; never blocks, calls the kernel or allocates */
LS_MUST_USE enum ipc_rc ipc_ring_poll(
    struct ipc_ring_consumer *ring, void *out, size_t out_bytes, size_t *bytes, uint64_t *sequence);

/* ipc_ring_release gives the slots of everything polled so far back to the producer. Once a batch,
 * after its journal frame is complete. */
void ipc_ring_release(struct ipc_ring_consumer *ring);

/* ipc_ring_is_ready says whether poll would return something; for the re-check before sleep. */
LS_MUST_USE bool ipc_ring_is_ready(const struct ipc_ring_consumer *ring);

/* ipc_ring_lag returns slots published and not yet polled, as far as the producer's tail tells. */
uint64_t ipc_ring_lag(const struct ipc_ring_consumer *ring);

/* What is known of the other side, for metrics and people. */
struct ipc_ring_status {
    bool producer_alive, consumer_alive; /* somebody else holds its lock */
    uint64_t tail, head;
    uint64_t full_count, bad_count;
    int64_t producer_heartbeat_mono_ns, consumer_heartbeat_mono_ns;
    int32_t producer_pid, consumer_pid;
    uint32_t producer_attaches, consumer_attaches;
    uint32_t slot_count;
};

/* ipc_ring_inspect reads a ring's status without taking part in it.
 *   returns   IPC_OK, or as ipc_region_attach */
LS_MUST_USE enum ipc_rc ipc_ring_inspect(const struct ipc_shm *shm,
    const struct ipc_ring_name *name, struct ipc_ring_status *status, struct ipc_error *error);

/* ipc_ring_consumer_heartbeat is the consumer's; ipc_ring_producer_alive asks the kernel (a system
 * call: not on the pinned thread) whether a producer holds the other lock. */
void ipc_ring_consumer_heartbeat(struct ipc_ring_consumer *ring, int64_t now_mono_ns);
LS_MUST_USE bool ipc_ring_producer_alive(const struct ipc_ring_consumer *ring);

/* ipc_ring_find lists the rings of one shard and class, in the order of their names.
 *   names, names_max   memory for them
 *   count              how many there are, out; may be above names_max
 *   returns            IPC_OK or IPC_SYSTEM */
LS_MUST_USE enum ipc_rc ipc_ring_find(const struct ipc_shm *shm, uint32_t shard,
    enum ipc_ring_class ring_class, struct ipc_ring_name *names, uint32_t names_max,
    uint32_t *count, struct ipc_error *error);

#endif
