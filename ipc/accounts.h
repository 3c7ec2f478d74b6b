/* accounts.h: money per account. One page `accounts.<broker>` per broker, written by whoever holds
 * its OFD lock (the broker's ingest, else lockstepctl). Seqlock cells as in prices.h: a read that
 * fails is unknown, and every value comes with the time it was read. */
#ifndef LS_IPC_ACCOUNTS_H
#define LS_IPC_ACCOUNTS_H

#include "ipc/rc.h"
#include "ipc/region.h"
#include "ipc/vocab.h"

/* Largest amount that is believed, either sign: 10^10 units of money. */
#define IPC_MONEY_E8_MAX (INT64_C(10000000000) * LS_E8)

struct ipc_account_cell; /* 64 bytes in the page */

struct ipc_account_money {
    int64_t equity_e8;      /* net worth; may be negative */
    int64_t cash_e8;        /* may be negative */
    int64_t margin_used_e8; /* >= 0 */
    int64_t mono_ns;        /* CLOCK_MONOTONIC when read from the broker, > 0 */
};

struct ipc_accounts {
    struct ipc_account_cell *cells; /* by account - 1; read-only mapping for a reader */
    uint32_t accounts;
    uint32_t is_writer;
    struct ipc_region region;
};

/* As ipc_prices_open_writer, for accounts.<broker>. */
LS_MUST_USE enum ipc_rc ipc_accounts_open_writer(const struct ipc_shm *shm, uint32_t broker,
    uint32_t accounts, struct ipc_accounts *page, struct ipc_error *error);

/* As ipc_prices_open_reader. */
LS_MUST_USE enum ipc_rc ipc_accounts_open_reader(
    const struct ipc_shm *shm, uint32_t broker, struct ipc_accounts *page, struct ipc_error *error);

void ipc_accounts_close(struct ipc_accounts *page);

/* As ipc_prices_set. */
LS_MUST_USE enum ipc_rc ipc_accounts_set(
    struct ipc_accounts *page, uint32_t account, const struct ipc_account_money *money);

/* As ipc_prices_get. */
LS_MUST_USE enum ipc_rc ipc_accounts_get(
    const struct ipc_accounts *page, uint32_t account, struct ipc_account_money *out);

#endif
