/* order_feed.h: the order sockets of many accounts, each driven by its feed_state: token through
 * poll.h, connection through socket.h, frames through the dialect into the feed.
 *
 * Accounts are those that poll.h watches, if the dialect has a socket. Books stay poll.h's: at the
 * polling interval while an account's socket does not cover it, at feed_book_ms while it does, and
 * at once where a gap begins or ends and where a frame leaves something open. Frames that come in a
 * gap wait for the book that ends it: what was missed goes to the engines first. One thread. */
#ifndef LS_ADAPTERS_INGEST_ORDER_FEED_H
#define LS_ADAPTERS_INGEST_ORDER_FEED_H

#include "adapters/ingest/poll.h"
#include "ipc/hist.h"

struct adp_order_feed;

struct adp_order_feed_counts {
    uint64_t connects;       /* acknowledged subscriptions */
    uint64_t cuts;           /* of them, lost again */
    uint64_t frames;         /* messages that came */
    uint64_t not_understood; /* of them, that this build does not know */
    uint32_t live, absent;   /* accounts now: live; given up for a while */
    uint32_t waiting;        /* neither, and not polled only */
};

/* adp_order_feed_open takes poll's calls for itself. All stay the caller's and outlive it.
 *   frame_to_ring  histogram of ns from a frame's bytes to its event in the ring; NULL = none
 *   returns        never NULL; the dialect has a push (a bug otherwise) */
struct adp_order_feed *adp_order_feed_open(const struct adp_ingest_config *config,
    const struct adp_dialect *dialect, struct adp_live *live, struct adp_feed *feed,
    struct adp_publisher *publisher, struct adp_sockets *sockets, struct adp_poll *poll,
    struct ipc_hist *frame_to_ring);
void adp_order_feed_close(struct adp_order_feed *order_feed);

/* adp_order_feed_step does what is due.
 *   returns  how long nothing more is due, in ns, >= 0 */
int64_t adp_order_feed_step(struct adp_order_feed *order_feed);

void adp_order_feed_counts(
    const struct adp_order_feed *order_feed, struct adp_order_feed_counts *out);

#endif
