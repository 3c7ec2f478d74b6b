/* market_call.h: one call at a time to an account's broker, for its market session and for what it
 * holds. Never an order: only the calls that a dialect's market names are made. libcurl gets no
 * redirects, no proxy of the environment, TLS 1.2 or later, certificates verified with the broker's
 * own anchors where the snapshot names them. One thread; nothing here waits. */
#ifndef LS_ADAPTERS_INGEST_MARKET_CALL_H
#define LS_ADAPTERS_INGEST_MARKET_CALL_H

#include "adapters/broker/dialect.h"
#include "ipc/rows.h"
#include "ipc/seal.h"

struct adp_market_caller;

/* http_status 0 when there is no reply; `why` says why then. The body is valid during the call. */
typedef void (*adp_market_called_fn)(
    uint32_t http_status, struct adp_span body, const char *why, void *context);

/* adp_market_caller_open makes one; NULL when libcurl cannot start. */
struct adp_market_caller *adp_market_caller_open(void);
void adp_market_caller_close(struct adp_market_caller *caller);

/* An account's authorization header in secret memory. */
struct adp_market_token {
    struct ipc_secret_arena *secrets;
    char *header;     /* NULL = not open; ends with the token, then a NUL */
    size_t at, bytes; /* of the token in it */
};

/* adp_market_token_make makes an empty one; false with a sentence when there is no locked memory.
 * adp_market_token_free wipes it. */
LS_MUST_USE bool adp_market_token_make(struct adp_market_token *token, struct ipc_error *error);
void adp_market_token_free(struct adp_market_token *token);

/* adp_market_token_open opens an account's sealed token; what was open before is wiped.
 *   returns  false when it does not open or cannot stand in a header */
LS_MUST_USE bool adp_market_token_open(struct adp_market_token *token,
    const struct ipc_seal_key *key, const struct adp_auth *auth,
    const struct ipc_snapshot_view *view, const struct ipc_row_account *row);
void adp_market_token_forget(struct adp_market_token *token);

/* adp_market_caller_start sends a request: a POST of JSON, or a GET when body is NULL.
 *   caller         idle (a bug otherwise)
 *   authorization  header line in secret memory; stays the caller's until the answer
 *   body           copied; NULL = a GET
 *   returns        false when libcurl refuses it, and nobody is called */
LS_MUST_USE bool adp_market_caller_start(struct adp_market_caller *caller,
    const struct ipc_row_broker *broker, const struct ipc_row_account *account, const char *path,
    char *authorization, const char *body, adp_market_called_fn called, void *context);

/* adp_market_caller_stop ends what is under way without calling anybody. */
void adp_market_caller_stop(struct adp_market_caller *caller);

bool adp_market_caller_is_idle(const struct adp_market_caller *caller);

/* adp_market_caller_step goes on, and calls when the answer is there.
 *   returns  when to come again, in ns from now; INT64_MAX when idle */
int64_t adp_market_caller_step(struct adp_market_caller *caller);

#endif
