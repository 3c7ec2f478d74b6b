/* book.h: the simulated broker without its sockets: accounts, instruments, prices, orders, fills,
 * positions, funds.
 *
 * It is the truth that end-to-end tests are judged by, so it keeps every order request it ever
 * received, refused ones too, with when and from where. It reads no clock, opens nothing and has no
 * global: the time comes in with each call, and the only randomness is the generator of its
 * configuration, so equal calls give equal books.
 *
 * One thread at a time. Memory comes from malloc; records are never moved or freed before
 * adp_sim_book_destroy, so pointers to them stay good. Prices, quantities and money are int64_t
 * times 1e8, except where a name says _units.
 *
 * The life of an order:
 *
 *   place ─▶ refused at once (refusal code, never in the account's book)
 *         └▶ PENDING ─▶ OPEN ⇄ modified ─▶ COMPLETE
 *               │      TRIGGER_PENDING ─▶ OPEN, when the last price reaches the trigger
 *               │                       └▶ CANCELLED (may hold a partial fill)
 *               └▶ REJECTED with a reason (tick, freeze, margin, holdings): what the exchange or
 * the risk desk says
 */
#ifndef LS_ADP_SIM_BOOK_H
#define LS_ADP_SIM_BOOK_H

#include "adapters/sim/units.h"

#define ADP_SIM_NONE UINT32_MAX

enum adp_sim_exchange {
    ADP_SIM_NSE = 1,
    ADP_SIM_BSE,
    ADP_SIM_NFO,
    ADP_SIM_BFO,
    ADP_SIM_CDS,
    ADP_SIM_BCD,
    ADP_SIM_MCX,
    ADP_SIM_EXCHANGE_COUNT
};
enum adp_sim_kind { ADP_SIM_EQUITY = 1, ADP_SIM_FUTURE, ADP_SIM_OPTION, ADP_SIM_INDEX };
enum adp_sim_side { ADP_SIM_BUY = 1, ADP_SIM_SELL };
enum adp_sim_type { ADP_SIM_MARKET = 1, ADP_SIM_LIMIT, ADP_SIM_SL, ADP_SIM_SLM };
enum adp_sim_product { ADP_SIM_INTRADAY = 1, ADP_SIM_LONGTERM, ADP_SIM_NORMAL, ADP_SIM_MTF };
enum adp_sim_validity { ADP_SIM_DAY = 1, ADP_SIM_IOC };
enum adp_sim_complexity { ADP_SIM_REGULAR = 1, ADP_SIM_AMO };
enum adp_sim_source { ADP_SIM_API = 1, ADP_SIM_TERMINAL };
enum adp_sim_status {
    ADP_SIM_REFUSED = 0, /* never accepted; order->refusal says why */
    ADP_SIM_PENDING,     /* taken by the broker, not at the exchange */
    ADP_SIM_OPEN,
    ADP_SIM_TRIGGER_PENDING,
    ADP_SIM_COMPLETE,
    ADP_SIM_CANCELLED,
    ADP_SIM_REJECTED
};

/* Wire words of the enums above; "" for a value outside its enum. */
const char *adp_sim_exchange_word(enum adp_sim_exchange exchange);
const char *adp_sim_side_word(enum adp_sim_side side);
const char *adp_sim_type_word(enum adp_sim_type type);
const char *adp_sim_product_word(enum adp_sim_product product);
const char *adp_sim_validity_word(enum adp_sim_validity validity);
const char *adp_sim_status_word(
    enum adp_sim_status status); /* as the order book spells it; "REFUSED" for 0 */
const char *adp_sim_source_word(enum adp_sim_source source);
/* The value of a word, case-sensitive; 0 when it is none. "NRML" is read as NORMAL. */
enum adp_sim_exchange adp_sim_exchange_of(const char *word);
enum adp_sim_side adp_sim_side_of(const char *word);
enum adp_sim_type adp_sim_type_of(const char *word);
enum adp_sim_product adp_sim_product_of(const char *word);
enum adp_sim_validity adp_sim_validity_of(const char *word);

/* A refusal code is the number of Alice Blue's "ECnnn" (their Error Code page, August 2026); 0 is
 * accepted. ADP_SIM_CODE_RATE and ADP_SIM_CODE_ADDRESS stand for refusals that have no EC number.
 */
#define ADP_SIM_CODE_RATE    10429
#define ADP_SIM_CODE_ADDRESS 10403
#define ADP_SIM_CODE_FAULT   10500 /* a scripted fault answered instead of the broker */
/* adp_sim_code_text returns the sentence of a code; "" for a code that the simulator never uses. */
const char *adp_sim_code_text(int code);

struct adp_sim_instrument {
    enum adp_sim_exchange exchange;
    enum adp_sim_kind kind;
    uint32_t token;          /* the exchange's number, unique within its exchange */
    char symbol[40];         /* trading symbol, unique within its exchange */
    char underlying[24];     /* the Symbol column */
    char name[48];           /* formatted name */
    char expiry[12];         /* YYYY-MM-DD, or empty */
    bool call;               /* options only */
    int64_t strike_e8;       /* options only */
    int64_t lot_units;       /* >= 1 */
    int64_t tick_e8;         /* > 0 */
    int64_t freeze_units;    /* largest order; 0 is unlimited */
    int64_t last_e8;         /* 0 until there is a price */
    int64_t previous_e8;     /* previous close, 0 when unknown */
    int64_t liquidity_units; /* what can still be filled at the last price; negative is unlimited */
};

struct adp_sim_position {
    uint32_t instrument;
    enum adp_sim_product product;
    int64_t buy_units, sell_units;
    int64_t overnight_units, overnight_price_e8; /* signed; carried in */
    int64_t buy_value_e8, sell_value_e8;
    int64_t realized_e8;
    int64_t net_units, net_price_e8; /* signed; average price of what is open */
    int64_t margin_e8;
    int64_t selling_units; /* of working sell orders; a position may exist for these alone */
};

struct adp_sim_holding {
    uint32_t instrument;
    int64_t units, price_e8;
};

struct adp_sim_account {
    char id[32];
    int64_t funds_e8;   /* opening cash */
    int64_t blocked_e8; /* margin of working orders */
    int64_t used_e8;    /* margin of positions */
    int64_t realized_e8;
    uint32_t order_first, order_last; /* accepted orders, by acceptance */
    uint32_t trade_first, trade_last;
    uint32_t order_count;
    struct adp_sim_position *positions;
    uint32_t position_count, position_capacity;
    struct adp_sim_holding *holdings;
    uint32_t holding_count;
};

/* Where and when a request came from. */
struct adp_sim_origin {
    uint32_t account;
    enum adp_sim_source source;
    int64_t mono_ns, wall_ns;
    uint64_t connection; /* number of the connection, from 1; 0 for the terminal */
    int32_t stream;      /* HTTP/2 stream, 0 without one */
    uint32_t address;    /* of adp_sim_book_address */
};

/* What is asked for. Fields that the request did not carry or that do not parse stay 0. */
struct adp_sim_terms {
    uint32_t instrument; /* index, or ADP_SIM_NONE */
    uint32_t token;      /* as asked, also when unknown */
    enum adp_sim_exchange exchange;
    enum adp_sim_side side;
    enum adp_sim_type type;
    enum adp_sim_product product;
    enum adp_sim_validity validity;
    enum adp_sim_complexity complexity;
    int64_t units;
    int64_t price_e8, trigger_e8;
    int64_t disclosed_units;
    int64_t protection_e8; /* market-price protection in percent; 0 is none */
    char tag[52]; /* at most 50 characters; a longer one is cut here, after its refusal was decided
                   */
    char algo_id[16];
};

struct adp_sim_order {
    struct adp_sim_terms terms; /* as they are now */
    struct adp_sim_origin origin;
    enum adp_sim_status status;
    int refusal;              /* code; 0 when accepted */
    char broker_order_id[16]; /* yymmdd + 9 digits; empty when refused */
    bool at_exchange, triggered;
    uint16_t modify_count;
    uint32_t leg;                        /* place in the array of its request */
    int64_t asked_units, asked_price_e8; /* as first placed */
    int64_t filled_units, cancelled_units;
    __int128 value_e8; /* sum of fill quantity times price */
    int64_t blocked_e8;
    int64_t due_mono_ns; /* when the exchange sees it */
    int64_t updated_wall_ns;
    const char *reason;  /* NULL or the text of a rejection */
    const char *outcome; /* NULL or what a fault did to the reply; static text */
    uint32_t next_of_account, next_working, previous_working;
};

struct adp_sim_trade {
    uint32_t order, next_of_account;
    int64_t units, price_e8, wall_ns;
};

/* A modify or cancel request, refused ones too. */
struct adp_sim_act {
    bool cancel;
    uint32_t order; /* index, or ADP_SIM_NONE when unknown */
    char broker_order_id[24];
    struct adp_sim_origin origin;
    int refusal;
    enum adp_sim_type type; /* modify: the new terms, 0 when absent */
    enum adp_sim_validity validity;
    int64_t units, price_e8, trigger_e8;
    const char *outcome;
};

struct adp_sim_book_config {
    bool api_market_orders;      /* accept MARKET and SLM without protection from the API */
    bool short_delivery;         /* accept LONGTERM sells of what is not held */
    int64_t exchange_latency_ns; /* 0: the exchange sees an order within the call that places it */
    uint32_t partial_ppm;        /* chance that a marketable order first fills in part */
    uint64_t seed;
};

struct adp_sim_book;

/* adp_sim_book_create returns an empty book. Stops the process when memory is short. */
struct adp_sim_book *adp_sim_book_create(const struct adp_sim_book_config *config);
void adp_sim_book_destroy(struct adp_sim_book *book);

/* adp_sim_book_add_instrument copies one instrument.
 *   returns   its index, or ADP_SIM_NONE when (exchange, token) exists or a field is out of range
 */
uint32_t adp_sim_book_add_instrument(
    struct adp_sim_book *book, const struct adp_sim_instrument *instrument);

/* adp_sim_book_add_account adds an account with opening cash >= 0.
 *   returns   its index, or ADP_SIM_NONE when the id exists, is empty or longer than 31 */
uint32_t adp_sim_book_add_account(struct adp_sim_book *book, const char *id, int64_t funds_e8);

/* adp_sim_book_add_holding adds units > 0 of an instrument to what the account owns from earlier
 * days. */
void adp_sim_book_add_holding(struct adp_sim_book *book, uint32_t account, uint32_t instrument,
    int64_t units, int64_t price_e8);

/* adp_sim_book_address returns the number of an address text; the same for equal texts. */
uint32_t adp_sim_book_address(struct adp_sim_book *book, const char *text);
const char *adp_sim_book_address_text(const struct adp_sim_book *book, uint32_t address);

/* Look-ups: an index, or ADP_SIM_NONE. find_symbol with exchange 0 looks at all exchanges in their
 * order. */
uint32_t adp_sim_book_find_account(const struct adp_sim_book *book, const char *id);
uint32_t adp_sim_book_find_instrument(
    const struct adp_sim_book *book, enum adp_sim_exchange exchange, uint32_t token);
uint32_t adp_sim_book_find_symbol(
    const struct adp_sim_book *book, enum adp_sim_exchange exchange, const char *symbol);
uint32_t adp_sim_book_find_order(const struct adp_sim_book *book, const char *broker_order_id);

/* Counts, and records by index in [0, count); an index outside stops the process. */
uint32_t adp_sim_book_account_count(const struct adp_sim_book *book);
uint32_t adp_sim_book_instrument_count(const struct adp_sim_book *book);
uint32_t adp_sim_book_order_count(const struct adp_sim_book *book);
uint32_t adp_sim_book_trade_count(const struct adp_sim_book *book);
uint32_t adp_sim_book_act_count(const struct adp_sim_book *book);
const struct adp_sim_account *adp_sim_book_account(const struct adp_sim_book *book, uint32_t index);
const struct adp_sim_instrument *adp_sim_book_instrument(
    const struct adp_sim_book *book, uint32_t index);
const struct adp_sim_order *adp_sim_book_order(const struct adp_sim_book *book, uint32_t index);
const struct adp_sim_trade *adp_sim_book_trade(const struct adp_sim_book *book, uint32_t index);
const struct adp_sim_act *adp_sim_book_act(const struct adp_sim_book *book, uint32_t index);

/* adp_sim_book_place takes one order: records it, refuses it at once or accepts it, and without
 * exchange latency also lets the exchange see and match it. terms     side, type, product, validity
 * and complexity are valid values; instrument may be ADP_SIM_NONE leg       place of the order in
 * its request returns   the index of its record; ->refusal is 0 when it was accepted */
uint32_t adp_sim_book_place(struct adp_sim_book *book, const struct adp_sim_origin *origin,
    const struct adp_sim_terms *terms, uint32_t leg);

/* adp_sim_book_refuse records an order that something before the book refused with code != 0.
 * Returns its index. */
uint32_t adp_sim_book_refuse(struct adp_sim_book *book, const struct adp_sim_origin *origin,
    const struct adp_sim_terms *terms, uint32_t leg, int code);

struct adp_sim_change { /* absolute new terms */
    enum adp_sim_type type;
    enum adp_sim_validity validity;
    int64_t units, price_e8, trigger_e8, protection_e8;
};

/* adp_sim_book_modify and adp_sim_book_cancel act on an order of origin->account.
 *   broker_order_id  as the request named it
 *   act_out   NULL, or where the index of the request's record goes
 *   returns   0, or the refusal code (EC999, EC993, EC997, ...) and nothing changed
 * A modification that the exchange refuses (tick, freeze, margin) is accepted here, changes no
 * term, and puts a reason on the order, which goes on working. */
int adp_sim_book_modify(struct adp_sim_book *book, const struct adp_sim_origin *origin,
    const char *broker_order_id, const struct adp_sim_change *change, uint32_t *act_out);
int adp_sim_book_cancel(struct adp_sim_book *book, const struct adp_sim_origin *origin,
    const char *broker_order_id, uint32_t *act_out);

/* adp_sim_book_refuse_act records a modify or cancel that something before the book refused.
 * Returns its index. */
uint32_t adp_sim_book_refuse_act(struct adp_sim_book *book, const struct adp_sim_origin *origin,
    bool cancel, const char *broker_order_id, int code);

/* adp_sim_book_set_outcome notes on a record what happened to its reply; text is static. */
void adp_sim_book_set_order_outcome(struct adp_sim_book *book, uint32_t order, const char *text);
void adp_sim_book_set_act_outcome(struct adp_sim_book *book, uint32_t act, const char *text);

/* adp_sim_book_set_price sets the last price (> 0) and fills what it reaches.
 *   liquidity_units  how much can be filled at this price before the next one; negative is
 * unlimited */
void adp_sim_book_set_price(struct adp_sim_book *book, uint32_t instrument, int64_t price_e8,
    int64_t liquidity_units, int64_t wall_ns);

/* adp_sim_book_fill fills units of a working order by hand, at price_e8, or at its own limit or the
 * last price when 0. returns   the units filled: less than asked when less remains, 0 when the
 * order is not working or has no price */
int64_t adp_sim_book_fill(
    struct adp_sim_book *book, uint32_t order, int64_t units, int64_t price_e8, int64_t wall_ns);

/* adp_sim_book_advance lets the exchange see every order whose latency is over at mono_ns. */
void adp_sim_book_advance(struct adp_sim_book *book, int64_t mono_ns, int64_t wall_ns);

/* adp_sim_book_has_latency tells whether adp_sim_book_advance is ever needed. */
bool adp_sim_book_has_latency(const struct adp_sim_book *book);

/* adp_sim_book_next_due returns when adp_sim_book_advance has work next, INT64_MAX for never. */
int64_t adp_sim_book_next_due(const struct adp_sim_book *book);

/* What happened to an order, in the words that the broker's push side reports. */
enum adp_sim_report {
    ADP_SIM_REPORT_PENDING = 1, /* taken by the broker */
    ADP_SIM_REPORT_NEW,         /* at the exchange; again when a stop order is triggered */
    ADP_SIM_REPORT_REPLACED,
    ADP_SIM_REPORT_REPLACE_REJECTED, /* the exchange refused new terms; the order works on */
    ADP_SIM_REPORT_FILL,
    ADP_SIM_REPORT_CANCELLED,
    ADP_SIM_REPORT_REJECTED
};

/* Who is told of changes, from inside the call that makes them. The functions may read the book and
 * change nothing in it.
 *   order     an accepted order reached a new state; trade is its newest fill of a FILL, else
 *             ADP_SIM_NONE
 *   price     an instrument has a new last price */
struct adp_sim_book_watch {
    void (*order)(void *context, uint32_t order, enum adp_sim_report report, uint32_t trade);
    void (*price)(void *context, uint32_t instrument, int64_t wall_ns);
    void *context;
};

/* adp_sim_book_set_watch sets the one watcher; copied. Without one nothing is told. */
void adp_sim_book_set_watch(struct adp_sim_book *book, const struct adp_sim_book_watch *watch);

/* adp_sim_order_average returns the average fill price times 1e8, 0 without a fill. */
int64_t adp_sim_order_average(const struct adp_sim_order *order);

/* adp_sim_book_available returns what the account can still spend. */
int64_t adp_sim_book_available(const struct adp_sim_account *account);

/* adp_sim_book_hash folds everything that the book holds about orders, trades and positions, for
 * replay checks. */
uint64_t adp_sim_book_hash(const struct adp_sim_book *book);

#endif
