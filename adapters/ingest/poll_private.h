/* poll_private.h: the shapes that the scheduler (poll.c) and the requests (poll_http.c) share. */
#ifndef LS_ADAPTERS_INGEST_POLL_PRIVATE_H
#define LS_ADAPTERS_INGEST_POLL_PRIVATE_H

#include "adapters/https.h"
#include "adapters/ingest/poll.h"
#include "ipc/accounts.h"
#include "ipc/prng.h"

#define POLL_BODY_BYTES_MAX (32u << 20) /* a book of 30,000 orders */
#define POLL_BROKERS        64u

enum poll_kind { POLL_BOOK = 0, POLL_FUNDS = 1, POLL_ASK = 2, POLL_KINDS = 3 };

/* Two books of one account are not closer than this, however often somebody hurries. */
#define POLL_HURRY_NS  (100 * LS_NS_PER_MS)

/* A book that left something open is followed by another after its lag and the broker's second. */
#define POLL_SETTLE_NS (1100 * LS_NS_PER_MS)

/* One account that is watched. Its number is its index + 1. */
struct poll_account {
    bool is_watched, is_paused, is_under_way;
    bool wants_whole; /* after a failure longer than the feed may bridge */
    bool wants_book;  /* hurried while a book was under way */
    uint8_t kind;     /* enum poll_kind of what is under way */
    uint16_t broker;
    uint64_t token_version;
    char *authorization; /* header line in secret memory, of authorization_bytes; NULL without */
    size_t authorization_bytes;
    struct curl_slist header; /* points at authorization; libcurl does not copy it */
    CURL *easy;
    struct curl_slist *connect_to;      /* owned while easy lives */
    struct ipc_row_account row;         /* as it was when the easy handle was made */
    const struct adp_request *question; /* of POLL_ASK; NULL without */
    uint32_t pace_ms;                   /* 0 = the account's own interval */
    int64_t due_mono_ns[2];             /* of POLL_BOOK and POLL_FUNDS */
    int64_t sent_mono_ns, last_read_mono_ns;
    uint32_t failures; /* in a row */
    struct adp_https_body body;
};

struct adp_poll {
    const struct adp_ingest_config *config;
    const struct adp_dialect *dialect;
    const struct ipc_shm *shm;
    const struct ipc_seal_key *key;
    struct adp_live *live;
    struct adp_feed *feed;
    struct ipc_secret_arena *secrets;
    size_t secret_bytes; /* of the arena */
    struct adp_sockets *sockets;
    const struct adp_poll_calls *calls; /* NULL without */
    void *context;
    CURLM *multi;
    int epoll;        /* libcurl's descriptors */
    int64_t timer_ns; /* libcurl wants to be called then; INT64_MAX never */
    uint32_t under_way;
    struct poll_account **accounts; /* by account - 1 */
    uint32_t account_count;
    struct ipc_accounts pages[POLL_BROKERS];
    bool has_page[POLL_BROKERS];
    int64_t page_retry_mono_ns[POLL_BROKERS];
    struct ipc_prng prng;
    struct adp_poll_counts counts;
};

/* poll_http_start sends one request of an account.
 *   returns  false when libcurl refuses it; the sentence is logged */
bool poll_http_start(struct adp_poll *poll, struct poll_account *account, enum poll_kind kind);

/* poll_http_forget ends what is under way and drops the account's handle. */
void poll_http_forget(struct adp_poll *poll, struct poll_account *account);

#endif
