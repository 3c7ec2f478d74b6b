/* poll.h: reads order books and funds of many accounts over HTTP and gives them to a feed.
 *
 * Which accounts: those of the snapshot in force whose broker speaks one dialect, that have a role
 * and a sealed token, and are not disabled. Each account has its own interval, its own source
 * address where the snapshot names one, and at most one request under way. Masters go first.
 *
 *     due ──request──▶ under way ──good──▶ due after the interval
 *                          ├── 401, or the broker says the session is over ──▶ paused until the
 *                          │                                       account's token version rises
 *                          └── any other failure ──▶ due after a back-off that doubles, with jitter
 *
 * Only GET requests are made here, never an order: a method other than GET is a bug (LS_CHECK).
 * libcurl is told: no redirects, no proxy from the environment, certificates verified with the
 * broker's own trust anchors where the snapshot names them, HTTP/2 where the server offers it. */
#ifndef LS_ADAPTERS_INGEST_POLL_H
#define LS_ADAPTERS_INGEST_POLL_H

#include "adapters/broker/dialect.h"
#include "adapters/ingest/config.h"
#include "adapters/ingest/feed.h"
#include "ipc/seal.h"

struct adp_poll;

struct adp_poll_counts {
    uint64_t requests, failures; /* finished; failed of them */
    uint32_t accounts;           /* watched */
    uint32_t paused;             /* of them, waiting for a new token */
    uint32_t failing;            /* of them, in back-off */
    uint32_t unpublished;        /* of them, whose whole book is not published yet */
};

/* adp_poll_open prepares; key and all others stay the caller's and outlive it.
 *   returns  IPC_OK, or IPC_SYSTEM with a sentence */
LS_MUST_USE enum ipc_rc adp_poll_open(const struct adp_ingest_config *config,
    const struct adp_dialect *dialect, const struct ipc_shm *shm, const struct ipc_seal_key *key,
    struct adp_live *live, struct adp_feed *feed, struct adp_poll **poll, struct ipc_error *error);
void adp_poll_close(struct adp_poll *poll);

/* adp_poll_generation is called after the live view changed, before the next step: accounts that
 * are new, gone, moved or have a new token are taken over. */
void adp_poll_generation(struct adp_poll *poll);

/* adp_poll_step starts what is due, waits for at most `wait_ns` (less when something is due sooner
 * or a reply comes), and takes what finished. */
void adp_poll_step(struct adp_poll *poll, int64_t wait_ns);

void adp_poll_counts(const struct adp_poll *poll, struct adp_poll_counts *out);

#endif
