/* live.h: the snapshot in force, followed generation by generation, with the look-ups that feeds
 * need: accounts by login, instruments by exchange token or symbol, shards that a master's orders
 * go to.
 *
 * A generation that does not validate is refused with a log line, and the last good one stays. One
 * thread. */
#ifndef LS_ADAPTERS_INGEST_LIVE_H
#define LS_ADAPTERS_INGEST_LIVE_H

#include "adapters/instruments.h"
#include "ipc/snapshot.h"

struct adp_live; /* one per process */

/* adp_live_open prepares to follow; there may be no snapshot yet.
 *   shm       stays the caller's and outlives it
 *   returns   never NULL; close with adp_live_close */
struct adp_live *adp_live_open(const struct ipc_shm *shm);
void adp_live_close(struct adp_live *live);

/* adp_live_follow looks for a new generation and takes it.
 *   returns  true when the view changed */
bool adp_live_follow(struct adp_live *live);

/* adp_live_view returns the view in force, NULL before the first. Valid until the next follow that
 * returns true. */
const struct ipc_snapshot_view *adp_live_view(const struct adp_live *live);

/* adp_live_account returns the row of an account number, NULL when it is not in use. */
const struct ipc_row_account *adp_live_account(const struct adp_live *live, uint32_t account);

/* adp_live_find_account finds an account by number ("7") or login, at a broker when `broker` is not
 * empty.
 *   returns  IPC_OK; IPC_NOT_FOUND; IPC_EXISTS when several brokers have the login */
LS_MUST_USE enum ipc_rc adp_live_find_account(
    const struct adp_live *live, const char *name, const char *broker, uint32_t *account);

/* adp_live_find_instrument_at finds an instrument by the exchange's token, else by trading symbol,
 * as one broker calls it: where brokers differ, the same token may be two instruments. What is
 * listed goes before what is gone.
 *   broker   a broker's number, or ADP_LIVE_ANY_BROKER: by the instruments' own rows
 *   returns  0 when there is none */
#define ADP_LIVE_ANY_BROKER ADP_ANY_BROKER
uint32_t adp_live_find_instrument_at(
    const struct adp_live *live, uint32_t broker, enum ipc_exchange exchange, struct adp_span text);

/* The same for ADP_LIVE_ANY_BROKER. */
uint32_t adp_live_find_instrument(
    const struct adp_live *live, enum ipc_exchange exchange, struct adp_span text);

/* adp_live_order_shards returns a bit per shard that has followers of this master; that of the
 * account itself when nobody follows it yet. */
uint64_t adp_live_order_shards(const struct adp_live *live, const struct ipc_row_account *account);

#endif
