/* prices.h: last price per instrument. One page `prices.<broker>` per broker, written by whoever
 * holds its OFD lock (the broker's ingest, else lockstepctl).
 *
 * A cell is a seqlock (seqlock.h): readers never block, try a bounded number of times, and check
 * what they copied. A read that fails is an unknown price, and an old price is the caller's to
 * refuse: every price comes with the time it was read. */
#ifndef LS_IPC_PRICES_H
#define LS_IPC_PRICES_H

#include "ipc/rc.h"
#include "ipc/region.h"
#include "ipc/vocab.h"

/* Largest price that is believed: 10^8 units of money. */
#define IPC_PRICE_E8_MAX (INT64_C(100000000) * LS_E8)

struct ipc_price_cell; /* 32 bytes in the page */

struct ipc_price {
    int64_t price_e8; /* [1, IPC_PRICE_E8_MAX] */
    int64_t mono_ns;  /* CLOCK_MONOTONIC when the price was read from the broker, > 0 */
};

/* An attached page; its bound was checked at attach and is private. */
struct ipc_prices {
    struct ipc_price_cell *cells; /* by instrument - 1; read-only mapping for a reader */
    uint32_t instruments;
    uint32_t is_writer;
    struct ipc_region region;
};

/* ipc_prices_open_writer takes the lock of prices.<broker>, making the page for
 * `instruments` instruments if there is none.
 *   broker   the broker's number, [0, 64)
 *   returns  IPC_OK; IPC_BUSY a writer lives; IPC_BAD_SIZE the page has fewer; IPC_BAD_*;
 *            IPC_SYSTEM */
LS_MUST_USE enum ipc_rc ipc_prices_open_writer(const struct ipc_shm *shm, uint32_t broker,
    uint32_t instruments, struct ipc_prices *page, struct ipc_error *error);

/* ipc_prices_open_reader attaches read-only: IPC_OK, IPC_NOT_FOUND, IPC_BAD_*, IPC_SYSTEM. */
LS_MUST_USE enum ipc_rc ipc_prices_open_reader(
    const struct ipc_shm *shm, uint32_t broker, struct ipc_prices *page, struct ipc_error *error);

void ipc_prices_close(struct ipc_prices *page);

/* ipc_prices_set writes one price; only on a writer's page, by one thread.
 *   returns IPC_OK, or IPC_BAD_INPUT when instrument, price or time is out of range */
LS_MUST_USE enum ipc_rc ipc_prices_set(
    struct ipc_prices *page, uint32_t instrument, const struct ipc_price *price);

/* ipc_prices_get copies one price. Wait-free; any thread.
 *   page     NULL or with cells NULL (no page): IPC_EMPTY
 *   returns  IPC_OK; IPC_EMPTY never set, or instrument out of range; IPC_TORN a writer was
 *            active; IPC_BAD_INPUT the cell holds an impossible value. Only IPC_OK writes *out. */
LS_MUST_USE enum ipc_rc ipc_prices_get(
    const struct ipc_prices *page, uint32_t instrument, struct ipc_price *out);

#endif
