/* turn.h: the pinned thread: one loop that reads switches, replies, rings and timers, and sends
 * (DESIGN 5).
 *
 *     messages of the porter → replies (bounded) → orders rings (bounded) → next batch of each wave
 *     (exits first, then round robin), settles and queues → updates rings (bounded) → timers
 *     → counters, switch_seen
 *
 * What always holds:
 * - an order's frame is complete before its first byte is given to TLS; in tier power it is on
 * disk;
 * - switches are read before each batch is decided and again before anything that waited is
 * encoded; `switch_seen` is published only when no byte of an order waits in a connection;
 * - it never waits for another thread, makes no system call but sockets' (and sleep, when idle),
 *   and allocates nothing after its start.
 *
 * Timers, all in the loop: requests and connections (pool.h), queued orders (core), counters every
 * 5 ms, keep-alive requests every 100 ms. */
#ifndef LS_ENGINE_TURN_H
#define LS_ENGINE_TURN_H

#include "engine/core/step.h"
#include "engine/journal.h"
#include "engine/link.h"
#include "engine/telemetry.h"
#include "ipc/clock.h"
#include "ipc/engine_page.h"

struct eng_turn;

struct eng_turn_wiring {
    const struct eng_config *config;
    struct eng_core *core; /* recovered */
    struct eng_journal *journal;
    struct eng_link *link;
    struct eng_telemetry *telemetry;
    struct ipc_engine_page *page;
    struct ipc_waves *waves;
    struct ipc_wake *wake; /* the shard's side */
    struct ipc_clock clock;
    uint32_t lanes;       /* of the pool */
    void *library_memory; /* for OpenSSL and the inflater on this thread (net/memory.h), faulted */
    size_t library_bytes;
    bool reconcile_all; /* recovery: said in the log; entries of UNKNOWN orders stay shut in the
                           core */
};

/* eng_turn_make allocates all of the turn's own memory. Start-up thread.
 *   returns IPC_OK or IPC_SYSTEM with a sentence */
LS_MUST_USE enum ipc_rc eng_turn_make(
    const struct eng_turn_wiring *wiring, struct eng_turn **turn, struct ipc_error *error);

/* eng_turn_run is the thread: opens its edge and pool, loops until ENG_TO_TURN_STOP and everything
 * in flight has its outcome, and says ENG_TO_PORTER_STOPPED as its last act. `turn` is a
 * struct eng_turn; returns NULL. */
void *eng_turn_run(void *turn);

/* eng_turn_failure returns why the thread could not start, "" when it did. After it has ended. */
const char *eng_turn_failure(const struct eng_turn *turn);

/* eng_turn_free after the thread has ended. */
void eng_turn_free(struct eng_turn *turn);

#endif
