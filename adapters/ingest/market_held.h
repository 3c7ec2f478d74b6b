/* market_held.h: asks the brokers, now and then, what the watched accounts hold, because what is
 * held from earlier days is in no order of today and needs a price all the same. Only instruments
 * are taken; quantities stay the engine's own fold.
 *
 * One call at a time: positions, then holdings, account after account, followers first. A call that
 * fails is left out until the next round. One thread. */
#ifndef LS_ADAPTERS_INGEST_MARKET_HELD_H
#define LS_ADAPTERS_INGEST_MARKET_HELD_H

#include "adapters/broker/dialect.h"
#include "adapters/broker/market.h"
#include "adapters/ingest/live.h"
#include "ipc/seal.h"

struct adp_market_held;

/* All stay the caller's and outlive it. */
struct adp_market_held_work {
    int64_t every_ns; /* from the end of a round to the next, > 0 */
    const struct adp_dialect *dialect;
    const struct adp_market *market;
    const struct ipc_seal_key *key;
    const struct adp_live *live;
    void (*want)(uint32_t instrument, void *context);
    void *context;
};

/* adp_market_held_open prepares; NULL with a sentence when there is no locked memory or libcurl
 * cannot start. */
struct adp_market_held *adp_market_held_open(
    const struct adp_market_held_work *work, struct ipc_error *error);
void adp_market_held_close(struct adp_market_held *held); /* NULL is allowed */

/* adp_market_held_step does what is due.
 *   returns  how long nothing more is due, in ns, >= 0 */
int64_t adp_market_held_step(struct adp_market_held *held);

#endif
