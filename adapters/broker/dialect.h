/* dialect.h: one broker API, bytes <-> vocabulary, nothing else. No socket, no clock, no
 * allocation, no state.
 *
 * A dialect is a table of constants and pure functions; adapters/README.md shows how each known
 * broker sits in it. The engine's porter builds header blocks from `requests` and `auth`; the
 * pinned thread fills bodies; replies come back as outcomes. What a peer sends is never trusted:
 * malformed is IPC_OUTCOME_UNKNOWN, never a guess. */
#ifndef LS_ADAPTERS_BROKER_DIALECT_H
#define LS_ADAPTERS_BROKER_DIALECT_H

#include "adapters/span.h"
#include "ipc/command.h"
#include "ipc/event.h"
#include "ipc/rows.h"

/* What a hole in a body, a path or a header is filled with. */
#define ADP_HOLE_LIST(X)                                                                           \
    X(ADP_HOLE_QTY, 1, "qty")     /* units, an integer unless the dialect allows fractions */      \
    X(ADP_HOLE_PRICE, 2, "price") /* decimal without trailing zeros */                             \
    X(ADP_HOLE_TRIGGER, 3, "trigger")                                                              \
    X(ADP_HOLE_TAG, 4, "tag")                                                                      \
    X(ADP_HOLE_ORDER_ID, 5, "order-id") /* the broker's order id, checked to be [0-9A-Za-z_-] */   \
    X(ADP_HOLE_LOGIN, 6, "login")       /* the account's login at the broker */
IPC_DECLARE_ENUM(adp_hole, ADP_HOLE_LIST)

#define ADP_SEGMENT_TEXT_MAX 1024
#define ADP_SEGMENT_HOLE_MAX 10

/* A body encoded once per event: text with holes of variable length. */
struct adp_segments {
    uint16_t text_bytes;
    uint16_t hole_count;
    struct {
        uint16_t at;    /* offset in text before which the value goes, ascending */
        uint8_t hole;   /* enum adp_hole */
        uint8_t quoted; /* reserved, 0 */
    } holes[ADP_SEGMENT_HOLE_MAX];
    char text[ADP_SEGMENT_TEXT_MAX];
};

/* One kind of request. Paths may hold an order id: "{order_id}" in `path` (then the header block
 * has a hole). */
struct adp_request {
    const char *method;       /* "POST" */
    const char *path;         /* without base path */
    const char *content_type; /* NULL = no body */
    bool on_own_lane;         /* must not share a connection with orders (multi-step places) */
};

enum adp_request_kind {
    ADP_REQUEST_PLACE = 0,
    ADP_REQUEST_MODIFY,
    ADP_REQUEST_CANCEL,
    ADP_REQUEST_BOOK,
    ADP_REQUEST_KEEPALIVE, /* a cheap GET that proves the connection and the token */
    ADP_REQUEST_COUNT
};

enum adp_idempotency {
    ADP_IDEMPOTENCY_NONE = 0,     /* no client reference at all */
    ADP_IDEMPOTENCY_TAG_ONLY = 1, /* echoed, not enforced */
    ADP_IDEMPOTENCY_ENFORCED = 2, /* a repeated reference is refused or returns the first order */
};

/* The capability record of ORDER-SAFETY 3.1: it drives the retry policy. Each dialect cites source
 * and date. */
struct adp_capabilities {
    enum adp_idempotency idempotency;
    int64_t dedupe_window_ns; /* ENFORCED only */
    uint32_t tag_bytes_max;
    bool book_by_tag;           /* a query by tag exists */
    bool book_complete;         /* the book holds rejected and filled orders too */
    int64_t book_lag_ns;        /* how long an accepted order may be missing from the book */
    bool trust_refused_stream;  /* false unless shown */
    bool trust_goaway;          /* false unless shown */
    uint32_t orders_per_second; /* per account and exchange */
    uint32_t orders_per_minute; /* 0 = not limited */
    uint32_t orders_per_day;    /* 0 = not limited */
    uint32_t modifications_max; /* per order; 0 = not limited */
    bool refuses_market;        /* MARKET and SLM must leave as protected limits */
    bool fractional_qty;
};

/* Token-bearing header of an account. The value is prefix + token. */
struct adp_auth {
    const char *header; /* lower case, "authorization" */
    const char *prefix; /* "Bearer " */
};

/* Called per row of a book. The event's account, keys, digits, monotonic times and flags are the
 * caller's to fill. A row that exists but whose words this build does not know (a new status,
 * product, exchange) comes with status 0: the order is there, its state is not understood, and the
 * caller must neither publish it nor take it as absent. `client_tag` is "" when there is none. */
typedef void (*adp_book_fn)(const struct ipc_event *order, const char *client_tag, void *context);

/* Finds an instrument by the exchange's token, or by the trading symbol where a feed has no token:
 * the callback tries the token first. Returns 0 when it is not known. */
typedef uint32_t (*adp_find_instrument_fn)(
    enum ipc_exchange exchange, struct adp_span token, void *context);

/* What a funds call says of an account. */
struct adp_funds {
    int64_t available_e8; /* what new orders may use */
    int64_t used_e8;      /* margin in use */
    int64_t equity_e8;    /* own funds, by the broker's figures or their sum */
};

/* One line of what an account has traded and holds, by the broker's own fold of its fills. */
struct adp_position {
    enum ipc_exchange exchange;
    enum ipc_product product;
    uint32_t instrument; /* through find_instrument; 0 = not known here */
    int64_t net_qty_e8;  /* signed */
    char symbol[32];     /* the broker's, "" without */
    char token[16];
};

typedef void (*adp_position_fn)(const struct adp_position *position, void *context);

/* The order feed's socket: what is asked for before it, and what is said on it. The frames with
 * orders are decode_push's. All functions are pure; texts they write are NUL-terminated, and the
 * ones that write into `out` return the bytes written, 0 when it does not fit. */
struct adp_push {
    struct adp_request token; /* GET, with the account's authorization: gives a one-time token */
    const char *socket_path;
    uint32_t heartbeat_ms; /* a heartbeat is sent at least so often */

    /*   returns  ADP_OK; ADP_UNSUPPORTED when the account has no feed; ADP_AUTH when the session is
     *            over; ADP_MALFORMED for all else */
    enum adp_rc (*decode_token)(
        uint32_t http_status, struct adp_span body, char *token, size_t token_bytes);
    size_t (*subscribe)(const char *token, const char *login, char *out, size_t out_bytes);
    size_t (*heartbeat)(const char *login, char *out, size_t out_bytes);
    /*   returns  ADP_OK for the acknowledgement; ADP_UNSUPPORTED when it is a refusal; ADP_NOTHING
     *            for any other frame */
    enum adp_rc (*decode_ack)(struct adp_span frame);
    /* false when the frame names another account than this login. */
    bool (*is_of)(struct adp_span frame, const char *login);

    /* Registration of a webhook; path NULL where the broker has none. The body names the address
     * that the broker is to call. */
    struct adp_request hook_on, hook_off;
    size_t (*hook_body)(const char *callback_url, char *out, size_t out_bytes);
    enum adp_rc (*decode_hook)(uint32_t http_status, struct adp_span body);
};

struct adp_dialect {
    const char *name;
    struct adp_capabilities capabilities;
    struct adp_auth auth;
    struct adp_request requests[ADP_REQUEST_COUNT];

    /* body encodes the event's half of a request, with holes for what differs between followers.
     *   command  action, terms, exchange and token of the instrument; tag, quantity and prices are
     * holes returns  ADP_OK; ADP_UNSUPPORTED when this broker cannot take it; ADP_TOO_LONG */
    enum adp_rc (*body)(const struct ipc_command *command, struct adp_segments *out);

    /* decode_reply turns a complete HTTP reply to an order request into an outcome. Never fails:
     * what it does not recognise is UNKNOWN. `out` is zeroed by the callee. */
    void (*decode_reply)(enum ipc_action action, uint32_t http_status, struct adp_span body,
        struct ipc_outcome *out);

    /* decode_book walks an order book and calls `each` per row; the event has terms, status, fills,
     * source, broker_order_id, client_tag, times, and the instrument through `find_instrument`.
     *   returns ADP_OK (also for the broker's "no orders" code, with *is_empty_code set),
     *           ADP_AUTH when the token is refused, ADP_MALFORMED when the book cannot be believed
     */
    enum adp_rc (*decode_book)(uint32_t http_status, struct adp_span body,
        uint32_t (*find_instrument)(
            enum ipc_exchange exchange, struct adp_span token, void *context),
        adp_book_fn each, void *context, bool *is_empty_code);

    /* decode_push decodes one frame of the order feed; ADP_NOTHING for frames that are not orders.
     */
    enum adp_rc (*decode_push)(struct adp_span frame,
        uint32_t (*find_instrument)(
            enum ipc_exchange exchange, struct adp_span token, void *context),
        void *context, struct ipc_event *out);

    /* The socket of the order feed; NULL where the broker has none. */
    const struct adp_push *push;

    /* sign appends per-request signature headers; NULL where the broker has none.
     *   returns bytes written to out, or a negative adp_rc */
    int (*sign)(const struct ipc_command *command, struct adp_span body, int64_t wall_ns,
        struct adp_span secret, char *out, size_t out_bytes);

    /* follow_up encodes the answer to a broker's question (multi-step place); NULL where there is
     * none. */
    enum adp_rc (*follow_up)(struct adp_span reply, const struct ipc_command *command,
        struct adp_segments *out, struct adp_request *request);

    /* The funds call of ingest, and its reply; method NULL where the broker has none.
     *   returns as decode_book */
    struct adp_request funds;
    enum adp_rc (*decode_funds)(uint32_t http_status, struct adp_span body, struct adp_funds *out);

    /* The positions call, and its reply: `each` per line, after all of them could be believed.
     * Method NULL where the broker has none.
     *   returns as decode_book */
    struct adp_request positions;
    enum adp_rc (*decode_positions)(uint32_t http_status, struct adp_span body,
        adp_find_instrument_fn find_instrument, adp_position_fn each, void *context,
        bool *is_empty_code);
};

/* The registered dialects. adp_dialect_find returns NULL for an unknown name. */
const struct adp_dialect *adp_dialect_find(const char *name);
const struct adp_dialect *adp_dialect_at(size_t index); /* NULL past the end */

/* Values for the holes of one request; spans point to the caller's memory. */
struct adp_hole_values {
    int64_t qty_e8, price_e8, trigger_e8;
    struct adp_span tag, order_id, login;
};

/* adp_segments_fill writes the body with its holes filled.
 *   out     memory that is not yet the caller's text is scratch: 48 bytes are asked for at each
 *           number
 *   returns bytes written; ADP_TOO_LONG when out is too small; ADP_MALFORMED when a text value is
 *           empty or holds a character outside [0-9A-Za-z_-], which no body and no path may carry,
 *           a number is below 0, or a quantity is not whole without fractional_qty
 *   thread  the pinned thread; allocates nothing */
int adp_segments_fill(const struct adp_segments *segments, const struct adp_hole_values *values,
    bool fractional_qty, uint8_t *out, size_t out_bytes);

/* adp_segments_set copies segments with the values of some holes written into the text.
 *   holes    bits 1 << enum adp_hole: numbers only (PRICE, TRIGGER, and QTY in whole units)
 *   returns  false when a value cannot be written or the text would be too long; *out is undefined
 */
LS_MUST_USE bool adp_segments_set(const struct adp_segments *segments,
    const struct adp_hole_values *values, uint32_t holes, struct adp_segments *out);

/* adp_segments_add appends text, adp_segments_hole a hole; false when full (the dialect reports
 * ADP_TOO_LONG). */
LS_MUST_USE bool adp_segments_add(struct adp_segments *segments, const char *text);
LS_MUST_USE bool adp_segments_hole(struct adp_segments *segments, enum adp_hole hole);

#endif
