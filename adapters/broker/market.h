/* market.h: a broker's market-data socket, bytes <-> vocabulary, nothing else: which calls open a
 * session, what the connection says first, how instruments are subscribed, what a frame says. No
 * socket, no clock, no state; part of a dialect. */
#ifndef LS_ADAPTERS_BROKER_MARKET_H
#define LS_ADAPTERS_BROKER_MARKET_H

#include "adapters/span.h"
#include "ipc/vocab.h"

/* What one frame says of one instrument. */
struct adp_quote {
    enum ipc_exchange exchange;
    char token[16];   /* the exchange's, digits, NUL-terminated */
    bool is_snapshot; /* the answer to a subscription: what it lacks is unknown. Otherwise what
                         changed since the frame before: what it lacks is as it was */
    bool has_last;
    int64_t last_e8;     /* last traded price, [1, IPC_PRICE_E8_MAX]; 0 without */
    int64_t feed_wall_s; /* the broker's time of it, UTC seconds; 0 without */
    int64_t lot_qty_e8;  /* of a snapshot, 0 when it is not said */
    int64_t tick_e8;
    char symbol[32]; /* of a snapshot, "" when it is not said */
};

/* One instrument as the broker's socket names it. */
struct adp_market_key {
    enum ipc_exchange exchange;
    char token[16]; /* digits, NUL-padded */
};

/* A call that opens or ends the market session of a login: POST with a JSON body. */
struct adp_market_call {
    const char *path;
};

struct adp_market {
    const char *api_domain;  /* brokers whose host ends with it have their socket at: */
    const char *socket_host; /* this host, port 443; all others at their own host and port */
    const char *socket_path;
    uint32_t heartbeat_ms; /* a heartbeat is sent at least so often */
    uint32_t keys_max;     /* instruments of one subscribe message */

    /* Both calls are made before a connection, in this order, with the login's authorization. */
    struct adp_market_call end_session, begin_session;
    /* Returns bytes written; 0 when it does not fit or the login cannot be written. */
    size_t (*call_body)(const char *login, char *out, size_t out_bytes);
    /* decode_call reads the reply to begin_session.
     *   returns  ADP_OK; ADP_AUTH when the session is over; ADP_MALFORMED for all else */
    enum adp_rc (*decode_call)(uint32_t http_status, struct adp_span body);

    /* The first message. `bearer` is secret, and so is what is written.
     *   returns  bytes, 0 when it does not fit */
    size_t (*hello)(struct adp_span bearer, const char *login, char *out, size_t out_bytes);
    /* decode_hello reads frames until the first is acknowledged.
     *   returns  ADP_OK; ADP_UNSUPPORTED for a refusal; ADP_NOTHING for any other frame */
    enum adp_rc (*decode_hello)(struct adp_span frame);

    /* Returns bytes, 0 when they do not fit. count in [1, keys_max]. */
    size_t (*subscribe)(
        const struct adp_market_key *keys, uint32_t count, bool on, char *out, size_t out_bytes);
    size_t (*heartbeat)(char *out, size_t out_bytes);

    /* decode_quote reads a frame.
     *   returns  ADP_OK; ADP_NOTHING for a frame that is well-formed and no quote; ADP_MALFORMED
     *            when it cannot be believed: *out is then undefined */
    enum adp_rc (*decode_quote)(struct adp_span frame, struct adp_quote *out);

    /* What an account holds, by two GETs with its authorization; only the instruments are looked
     * at. decode_held reads the reply to either and calls `each` per instrument that is held.
     *   returns  ADP_OK; ADP_AUTH when the session is over; ADP_MALFORMED for what is no list of
     *            rows, "nothing is held" in other words included: `each` was not called then */
    const char *positions_path, *holdings_path;
    enum adp_rc (*decode_held)(uint32_t http_status, struct adp_span body,
        void (*each)(enum ipc_exchange exchange, struct adp_span token, void *context),
        void *context);
};

/* adp_market_find returns the socket of a dialect, NULL when it has none here. */
const struct adp_market *adp_market_find(const char *dialect);

#endif
