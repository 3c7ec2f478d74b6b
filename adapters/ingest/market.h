/* market.h: last prices from the brokers' market-data sockets into the pages prices.<broker>.
 *
 * One connection per broker of the dialect that has a watched account, by the session of one login:
 *
 *     idle ──▶ end session ──▶ begin session ──▶ connecting ──▶ hello ──▶ live
 *       ▲ back-off, another login next                                     │
 *       └──────────────────────── any failure, any end ────────────────────┘
 *
 * Which instruments: those of all orders that this process reads, masters' and followers', at every
 * broker; those that a watched account holds, asked for now and then (market_held.h); those of the
 * configuration; and those that have ever had a price in the page. New ones are subscribed when
 * they are first seen.
 *
 * Ages are honest: a price has the time at which its frame arrived. A later frame of the same
 * instrument that does not name the price confirms it, since frames carry what changed; heartbeats
 * and other instruments' frames confirm nothing. The answer to a subscription may tell a price of
 * yesterday: its age is the broker's own time of it. A cut connection confirms nothing until each
 * instrument is acknowledged again. What is not refreshed grows old in the page, and old is
 * unknown.
 *
 * A frame whose symbol is another contract's than ours is not used. The page is written by one
 * process: while another has it (`lockstepctl price set`), it is asked for again every 10 s.
 * One thread. */
#ifndef LS_ADAPTERS_INGEST_MARKET_H
#define LS_ADAPTERS_INGEST_MARKET_H

#include "adapters/broker/dialect.h"
#include "adapters/ingest/config.h"
#include "adapters/ingest/live.h"
#include "adapters/ingest/socket.h"
#include "ipc/seal.h"

struct adp_market_feed;

struct adp_market_counts {
    uint64_t connects, cuts; /* acknowledged connections; of them, lost again */
    uint64_t frames;         /* messages that came */
    uint64_t prices;         /* written to a page */
    uint64_t not_understood; /* frames that cannot be believed */
    uint64_t mismatched;     /* frames of another contract than ours */
    uint32_t brokers, live;  /* that should have a connection; that have one */
    uint32_t wanted;         /* instruments */
    uint64_t refused;        /* instruments beyond market_instruments_max */
};

/* adp_market_feed_open prepares; all stay the caller's and outlive it.
 *   returns  IPC_OK; IPC_SYSTEM with a sentence. The dialect has a market (a bug otherwise) */
LS_MUST_USE enum ipc_rc adp_market_feed_open(const struct adp_ingest_config *config,
    const struct adp_dialect *dialect, const struct ipc_shm *shm, const struct ipc_seal_key *key,
    struct adp_live *live, struct adp_sockets *sockets, struct adp_market_feed **feed,
    struct ipc_error *error);
void adp_market_feed_close(struct adp_market_feed *feed);

/* adp_market_feed_want says that an instrument's price may be needed; 0 is nobody's. Cheap when it
 * is known. */
void adp_market_feed_want(struct adp_market_feed *feed, uint32_t instrument);

/* adp_market_feed_generation is called after the live view changed, before the next step. */
void adp_market_feed_generation(struct adp_market_feed *feed);

/* adp_market_feed_step does what is due.
 *   returns  how long nothing more is due, in ns, >= 0 */
int64_t adp_market_feed_step(struct adp_market_feed *feed);

void adp_market_feed_counts(const struct adp_market_feed *feed, struct adp_market_counts *out);

#endif
