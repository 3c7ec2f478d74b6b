/* wake.h: waking a shard that sleeps. Only for shards that are not spinning on a core of their own.
 *
 *     file asleep.<shard>   one word: the shard is about to sleep, or sleeps
 *     FIFO wake.<shard>     a byte in it ends the sleep
 *
 *     shard                          producer
 *       announce: asleep = 1           publish a record
 *                 fence                notify: fence
 *       look at every ring again               asleep? write a byte
 *       wait (or cancel)
 *
 * Of two fences that cross, each side sees at least the other's store before its own: either the
 * shard sees the record or the producer sees the word. So no record waits for the next one. */
#ifndef LS_IPC_WAKE_H
#define LS_IPC_WAKE_H

#include "ipc/region.h"

#include <stdatomic.h>

struct ipc_wake_page {
    LS_LINE _Atomic uint32_t asleep; /* writer: the shard; seq_cst fences on both sides */
    _Atomic uint64_t sleep_count;    /* writer: the shard; relaxed */
};

/* One side of one shard's bell. Producers may share one between threads; the shard's has one. */
struct ipc_wake {
    struct ipc_wake_page *page;
    int fifo_fd; /* non-blocking; readable when somebody rang: for epoll or io_uring too */
    struct ipc_region region;
};

/* ipc_wake_open_shard opens the bell for the shard that sleeps, and makes it when it is missing.
 *   returns   IPC_OK; IPC_BUSY while another process is this shard; else as ipc_region_open */
LS_MUST_USE enum ipc_rc ipc_wake_open_shard(
    const struct ipc_shm *shm, uint32_t shard, struct ipc_wake *wake, struct ipc_error *error);

/* ipc_wake_open_producer opens it for those who ring, and makes it when it is missing. */
LS_MUST_USE enum ipc_rc ipc_wake_open_producer(
    const struct ipc_shm *shm, uint32_t shard, struct ipc_wake *wake, struct ipc_error *error);

void ipc_wake_close(struct ipc_wake *wake);

/* ipc_wake_notify rings if the shard sleeps. After each publish, or after a batch of them.
 *   cost   a fence and a load while the shard is awake; a write(2) when it sleeps */
void ipc_wake_notify(struct ipc_wake *wake);

/* ipc_wake_announce says that the shard will sleep. The caller then looks at everything that could
 * be published to it once more, and calls ipc_wake_wait if there is nothing, else
 * ipc_wake_cancel. */
void ipc_wake_announce(struct ipc_wake *wake);

/* ipc_wake_wait sleeps until somebody rings or the time is over. Afterwards the shard is awake.
 *   timeout_ns   >= 0
 *   returns      true when somebody rang */
bool ipc_wake_wait(struct ipc_wake *wake, int64_t timeout_ns);

/* ipc_wake_cancel makes the shard awake and takes what rang out of the FIFO; also after a wait of
 * the caller's own on fifo_fd. */
void ipc_wake_cancel(struct ipc_wake *wake);

#endif
