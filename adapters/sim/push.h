/* push.h: the broker's push side without its sockets: who may connect, what each connection is sent
 * and when, and what faults do to it.
 *
 * Two threads meet here and nowhere else. The main thread tells it of order changes, prices, tokens
 * and faults; the socket thread (sockets.h) tells it of connections and what they say, and takes
 * the frames that are due. Every function locks the push's one mutex for its own length; none calls
 * back while it holds it, except `wake`, which must not block. Webhook deliveries go to hooks.h.
 *
 * The rules of a connection, from the broker's WebSocket pages (August 2026):
 *
 *   order    ──{"orderToken","userId"}──▶ {"status":"Ok"}, then om frames of that account
 *            a token is good for one connection, and for its own user
 *   market   ──{"t":"c","susertoken",...}──▶ {"t":"cf","k":"OK"}; ──{"t":"t"|"d","k"}──▶ tk or dk
 *            of each instrument, then tf or df with what changed
 *            susertoken is sha256 of sha256 of the session, in hex, and createWsSess must have been
 *            called since the last invalidateWsSess
 *   both     a heartbeat message at least every heartbeat_ns, or the server closes; a connection
 *            that has not logged in is closed after the same time
 *
 * Nothing is replayed: what an account's orders do while no socket of it is open is in the book
 * only. */
#ifndef LS_ADP_SIM_PUSH_H
#define LS_ADP_SIM_PUSH_H

#include "adapters/sim/push_frames.h"

#include <jansson.h>

struct adp_sim_push;
struct adp_sim_push_conn;
struct adp_sim_hooks;

#define ADP_SIM_PUSH_TOKENS     8 /* unused order tokens of an account; the oldest goes first */
#define ADP_SIM_PUSH_HOOKS      5 /* webhook addresses of an account (their Webhook page) */
#define ADP_SIM_PUSH_URL_BYTES  512
#define ADP_SIM_ORDER_TOKEN_HEX 59 /* characters, as in the printed answer */

enum adp_sim_channel {
    ADP_SIM_CHANNEL_ORDER = 0,
    ADP_SIM_CHANNEL_MARKET,
    ADP_SIM_CHANNEL_WEBHOOK,
    ADP_SIM_CHANNEL_COUNT
};

/* What createWsToken answers an account: the broker itself has been seen to do the first three
 * where an account has no feed. */
enum adp_sim_token_answer {
    ADP_SIM_TOKEN_GOOD = 0,
    ADP_SIM_TOKEN_EMPTY, /* 200, no body */
    ADP_SIM_TOKEN_HTML,  /* 200, a web page */
    ADP_SIM_TOKEN_404,
    ADP_SIM_TOKEN_ANSWER_COUNT
};
/* The value of "good", "empty", "html" or "404"; COUNT when it is none of them. */
enum adp_sim_token_answer adp_sim_token_answer_of(const char *word);

struct adp_sim_push_config {
    int64_t heartbeat_ns;  /* > 0 */
    bool market_ack_is_ck; /* {"t":"ck","s":"OK"}, as SDKs see it, instead of {"t":"cf","k":"OK"} */
    uint64_t seed;         /* of order tokens */
};

/* adp_sim_push_create makes the push side of a book and watches it. Instruments must be complete;
 * accounts may be added later. The book stays the main thread's.
 *   hooks  NULL: webhooks are counted and not sent */
struct adp_sim_push *adp_sim_push_create(struct adp_sim_book *book,
    const struct adp_sim_push_config *config, struct adp_sim_hooks *hooks);
void adp_sim_push_destroy(struct adp_sim_push *push); /* no connection may be left */

/* ---- main thread ---- */

/* adp_sim_push_set_session gives an account the session (bearer) that market-data sockets prove;
 * NULL ends it. Open sockets, unused tokens and the market session of the old one end. */
void adp_sim_push_set_session(struct adp_sim_push *push, uint32_t account, const char *session);

/* adp_sim_push_order_token writes a new order token of ADP_SIM_ORDER_TOKEN_HEX characters and a
 * zero, or says which other answer the account gets. */
enum adp_sim_token_answer adp_sim_push_order_token(
    struct adp_sim_push *push, uint32_t account, char out[ADP_SIM_ORDER_TOKEN_HEX + 1]);
void adp_sim_push_set_token_answer(
    struct adp_sim_push *push, uint32_t account, enum adp_sim_token_answer answer);

/* adp_sim_push_market_session begins (createWsSess) or ends (invalidateWsSess: its sockets close)
 * an account's market session. */
void adp_sim_push_market_session(struct adp_sim_push *push, uint32_t account, bool begin);

/* adp_sim_push_subscribe adds a webhook address; false: there are five, or it is too long or
 * neither http nor https. A known address is kept once. adp_sim_push_unsubscribe returns false when
 * it was not there. */
LS_MUST_USE bool adp_sim_push_subscribe(
    struct adp_sim_push *push, uint32_t account, const char *url);
LS_MUST_USE bool adp_sim_push_unsubscribe(
    struct adp_sim_push *push, uint32_t account, const char *url);

/* adp_sim_push_fault carries out one fault (README.md lists them): {"fault":...} with account,
 * channel and its own fields.
 *   returns   false with a sentence in error, and nothing changed */
LS_MUST_USE bool adp_sim_push_fault(
    struct adp_sim_push *push, const json_t *fault, char *error, size_t error_bytes);

/* adp_sim_push_tick lets one lot trade at the last price of every instrument that a market-data
 * socket is subscribed to, so that prices which stand still are confirmed as a live market confirms
 * them. */
void adp_sim_push_tick(struct adp_sim_push *push, int64_t wall_ns);

/* adp_sim_push_write adds the push side's state as JSON: connections, counts, faults. */
void adp_sim_push_write(struct adp_sim_push *push, uint16_t port, struct adp_sim_text *out);

/* ---- socket thread ---- */

/* adp_sim_push_on_wake sets who is told, from any thread, that adp_sim_push_work has something. */
void adp_sim_push_on_wake(struct adp_sim_push *push, void (*wake)(void *context), void *context);

/* adp_sim_push_refuses tells whether new connections are refused at their handshake. */
bool adp_sim_push_refuses(struct adp_sim_push *push);

/* adp_sim_push_open adds a connection; transport is the caller's and given back by
 * adp_sim_push_work. adp_sim_push_close forgets it. */
struct adp_sim_push_conn *adp_sim_push_open(
    struct adp_sim_push *push, enum adp_sim_channel channel, void *transport, int64_t mono_ns);
void adp_sim_push_close(struct adp_sim_push *push, struct adp_sim_push_conn *conn);

/* adp_sim_push_receive reads one whole message. What is answered waits in adp_sim_push_take. */
void adp_sim_push_receive(struct adp_sim_push *push, struct adp_sim_push_conn *conn,
    const char *bytes, size_t count, int64_t mono_ns);

enum adp_sim_push_act {
    ADP_SIM_PUSH_WAIT = 0,  /* nothing is due */
    ADP_SIM_PUSH_SEND,      /* a whole text message */
    ADP_SIM_PUSH_SEND_HALF, /* a message's header and the first half of it, then the end */
    ADP_SIM_PUSH_END,       /* close with a close frame */
    ADP_SIM_PUSH_RESET      /* end the TCP connection at once, without a word */
};

/* adp_sim_push_take returns what is to be done with a connection now.
 *   out  cleared; gets the message of SEND and SEND_HALF */
enum adp_sim_push_act adp_sim_push_take(struct adp_sim_push *push, struct adp_sim_push_conn *conn,
    int64_t mono_ns, struct adp_sim_text *out);

/* adp_sim_push_due returns when adp_sim_push_take must be asked again at the latest. */
int64_t adp_sim_push_due(struct adp_sim_push *push, const struct adp_sim_push_conn *conn);

/* adp_sim_push_work returns the transport of a connection that has something to do since it was
 * last returned here, or NULL. */
void *adp_sim_push_work(struct adp_sim_push *push);

/* adp_sim_push_restart_ns returns, once, for how long the server is to be gone; 0: it is not. All
 * connections must be closed then. */
int64_t adp_sim_push_restart_ns(struct adp_sim_push *push);

#endif
