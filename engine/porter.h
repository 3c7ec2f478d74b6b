/* porter.h: the engine's cold thread: everything that allocates, blocks or talks to the kernel at
 * length, so that the pinned thread does not have to.
 *
 * It finds rings as producers make them, opens price and account pages and switches, prepares
 * snapshot generations (adopt.h) and publishes what was adopted or refused, makes and warms
 * connections (net/connect.h), takes dead ones apart, asks accounts' books (porter_books.h),
 * watches the halt file, and prints the log.
 *
 * Timers: rings, pages and their replacement every 50 ms, snapshot every 2 ms, halt file every
 * 20 ms, OpenSSL's waiting blocks every second.
 *
 * Thread: one, which also is the main thread; it ends when the pinned thread has stopped. */
#ifndef LS_ENGINE_PORTER_H
#define LS_ENGINE_PORTER_H

#include "engine/link.h"
#include "engine/telemetry.h"
#include "ipc/engine_page.h"

struct eng_porter;

struct eng_porter_wiring {
    const struct eng_config *config;
    const struct ipc_shm *shm;
    struct eng_link *link;
    struct eng_adopter *adopter;
    struct eng_telemetry *telemetry;
    struct ipc_engine_page *page;
    int signal_fd; /* signalfd of SIGTERM and SIGINT */
};

/* eng_porter_make allocates everything that lasts: connection blocks, tables.
 *   returns IPC_OK or IPC_SYSTEM with a sentence. Start-up thread. */
LS_MUST_USE enum ipc_rc eng_porter_make(
    const struct eng_porter_wiring *wiring, struct eng_porter **porter, struct ipc_error *error);

/* eng_porter_run works until a signal has come and the pinned thread has said STOPPED. A second
 * signal ends the wait for replies. Returns 0, or 1 when the pinned thread did not stop in time. */
int eng_porter_run(struct eng_porter *porter);

void eng_porter_free(struct eng_porter *porter);

#endif
