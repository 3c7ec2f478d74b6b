/* poll.h: reads order books and funds of many accounts over HTTP and gives them to a feed; and asks
 * single questions for others (an order socket's token).
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
#include "adapters/ingest/socket.h"
#include "ipc/seal.h"

struct adp_poll;

struct adp_poll_counts {
    uint64_t requests, failures; /* finished; failed of them */
    uint32_t accounts;           /* watched */
    uint32_t paused;             /* of them, waiting for a new token */
    uint32_t failing;            /* of them, in back-off */
    uint32_t unpublished;        /* of them, whose whole book is not published yet */
};

/* Who wants to know. Any of them may be NULL. */
struct adp_poll_calls {
    /* The account is read from now on, or not any more; also after each generation. */
    void (*watched)(uint32_t account, bool is_watched, void *context);
    /* A book of it, asked for at sent_mono_ns, has gone to the feed. */
    void (*book)(uint32_t account, int64_t sent_mono_ns, void *context);
    /* The answer to adp_poll_ask; http_status 0 when there is none, `why` says why then. */
    void (*answer)(uint32_t account, uint32_t http_status, struct adp_span body, const char *why,
        void *context);
};

/* adp_poll_open prepares; key and all others stay the caller's and outlive it. libcurl's
 * descriptors join the wait of `sockets`.
 *   returns  IPC_OK, or IPC_SYSTEM with a sentence */
LS_MUST_USE enum ipc_rc adp_poll_open(const struct adp_ingest_config *config,
    const struct adp_dialect *dialect, const struct ipc_shm *shm, const struct ipc_seal_key *key,
    struct adp_live *live, struct adp_feed *feed, struct adp_sockets *sockets,
    struct adp_poll **poll, struct ipc_error *error);
void adp_poll_tell(struct adp_poll *poll, const struct adp_poll_calls *calls, void *context);
void adp_poll_close(struct adp_poll *poll);

/* adp_poll_generation is called after the live view changed, before the next step: accounts that
 * are new, gone, moved or have a new token are taken over. */
void adp_poll_generation(struct adp_poll *poll);

/* adp_poll_step starts what is due. Replies come inside of adp_sockets_wait.
 *   returns  how long nothing more is due, in ns, >= 0 */
int64_t adp_poll_step(struct adp_poll *poll);

/* adp_poll_ask asks one GET of an account's broker, with the account's authorization, before its
 * books; a question that waits already is replaced.
 *   request  outlives the answer */
void adp_poll_ask(struct adp_poll *poll, uint32_t account, const struct adp_request *request);

/* adp_poll_hurry makes an account's book due now, though not within least_gap_ns of the one before;
 * whole = publish it whole. A book that is under way is followed by another. */
void adp_poll_hurry(struct adp_poll *poll, uint32_t account, bool whole);

/* adp_poll_pace sets the interval of an account's books, 0 = its own. */
void adp_poll_pace(struct adp_poll *poll, uint32_t account, uint32_t interval_ms);

/* adp_poll_row returns a watched account's row as it was when its token was taken, NULL when it is
 * not watched; adp_poll_last_read_ns the time at which its last good book was asked for, 0 never.
 */
const struct ipc_row_account *adp_poll_row(const struct adp_poll *poll, uint32_t account);
int64_t adp_poll_last_read_ns(const struct adp_poll *poll, uint32_t account);

void adp_poll_counts(const struct adp_poll *poll, struct adp_poll_counts *out);

#endif
