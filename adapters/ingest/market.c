#include "adapters/ingest/market.h"

#include "adapters/broker/market.h"
#include "adapters/ingest/backoff.h"
#include "adapters/ingest/market_call.h"
#include "adapters/ingest/market_held.h"
#include "adapters/ingest/market_wanted.h"
#include "adapters/json.h"
#include "ipc/clock.h"
#include "ipc/log.h"
#include "ipc/prices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BROKERS        64u
#define LOOK_NS        LS_NS_PER_S /* for accounts and new instruments, when nothing is due */
#define PAGE_RETRY_NS  (10 * LS_NS_PER_S)
#define HELLO_NS       (10 * LS_NS_PER_S) /* for the acknowledgement */
#define SETTLED_NS     (10 * LS_NS_PER_S) /* a connection that lasted so long was good */
#define ODD_EVERY      64u                /* odd frames are logged once, then each so many */
#define MESSAGE_BYTES  65536u
#define SEND_BYTES     262144u
#define SNAPSHOT_AGE_S 2 /* what is told of an answer's age below this is rounding */

enum market_phase {
    MARKET_IDLE = 0, /* until due_ns */
    MARKET_END_SESSION,
    MARKET_BEGIN_SESSION,
    MARKET_CONNECT,
    MARKET_HELLO, /* until due_ns */
    MARKET_LIVE
};

/* One instrument at one broker, of this connection only. */
struct market_cell {
    int64_t last_e8; /* 0 = not told */
    int64_t mono_ns; /* of it */
    bool is_acked;   /* the broker has answered the subscription */
};

struct market_broker {
    struct adp_market_feed *owner;
    uint32_t broker;
    bool is_used;
    enum market_phase phase;
    struct adp_backoff backoff;
    int64_t due_ns, live_since_ns;
    uint32_t account;  /* whose session; 0 = none chosen */
    uint32_t rotation; /* logins that failed, so that the next is another */
    struct adp_socket *socket;
    struct adp_market_caller *caller;
    struct adp_market_token token; /* until the first message has left */
    uint32_t subscribed;           /* of the wanted list */
    struct market_cell *cells;     /* by instrument - 1 */
    uint32_t cell_count;
    uint64_t keys_hash; /* of what the subscribed are called */
    struct ipc_prices page;
    bool has_page, page_said, page_taken_over;
    int64_t page_due_ns;
    uint32_t odd_frames;
};

struct adp_market_feed {
    const struct adp_ingest_config *config;
    const struct adp_dialect *dialect;
    const struct adp_market *market;
    const struct ipc_shm *shm;
    const struct ipc_seal_key *key;
    struct adp_live *live;
    struct adp_sockets *sockets;
    struct adp_market_wanted wanted;
    struct market_broker *brokers[BROKERS];
    struct adp_market_held *held; /* NULL with market_held_s: 0 */
    struct ipc_prng prng;
    struct adp_market_counts counts;
    uint64_t refused_said;
};

/* ---- the end of a try ------------------------------------------------------------------------ */

static void back_off(struct market_broker *broker)
{
    struct adp_market_feed *owner = broker->owner;
    const int64_t now = ipc_clock_mono_ns();
    const bool was_live = broker->phase == MARKET_LIVE;
    owner->counts.cuts += was_live;
    if (was_live && now - broker->live_since_ns > SETTLED_NS)
        broker->backoff.failures = 0;
    broker->rotation += !was_live;
    adp_market_token_forget(&broker->token);
    adp_market_caller_stop(broker->caller);
    broker->phase = MARKET_IDLE;
    broker->subscribed = 0;
    if (broker->cell_count > 0)
        memset(broker->cells, 0, broker->cell_count * sizeof(*broker->cells));
    broker->due_ns = now + adp_backoff_next(&broker->backoff, &owner->prng);
}

static const char *name_of(const struct market_broker *broker)
{
    const struct ipc_snapshot_view *view = adp_live_view(broker->owner->live);
    return view != NULL && broker->broker < view->broker_count ? view->brokers[broker->broker].name
                                                               : "?";
}

/* The first of a row of failures is said, then every eighth. */
static void fail(struct market_broker *broker, const char *what, const char *why)
{
    if (broker->backoff.failures % 8 == 0)
        ipc_log(IPC_LOG_WARN, "prices of %s: %s%s%s; tried again, prices grow old meanwhile",
            name_of(broker), what, why[0] != '\0' ? ": " : "", why);
    back_off(broker);
}

/* ---- session --------------------------------------------------------------------------------- */

static bool may_serve(const struct market_broker *broker, const struct ipc_row_account *row)
{
    return row->account != 0 && row->roles != 0 && row->token_bytes > 0 &&
           row->broker == broker->broker && (row->flags & IPC_ACCOUNT_DISABLED) == 0;
}

/* The login that the configuration names; else a follower's before a master's, because opening a
 * session ends the login's other market sockets, its terminal's among them. */
static const struct ipc_row_account *choose_account(const struct market_broker *broker)
{
    const struct ipc_snapshot_view *view = adp_live_view(broker->owner->live);
    const char *named = broker->owner->config->market_account;
    uint32_t count = 0;
    for (uint32_t i = 0; i < view->account_count; i++) {
        const struct ipc_row_account *row = &view->accounts[i];
        if (!may_serve(broker, row))
            continue;
        if (named[0] != '\0' && strcmp(named, row->login) == 0)
            return row;
        count++;
    }
    if (count == 0)
        return NULL;
    uint32_t left = broker->rotation % count;
    for (int masters = 0; masters < 2; masters++)
        for (uint32_t i = 0; i < view->account_count; i++) {
            const struct ipc_row_account *row = &view->accounts[i];
            const bool is_master = (row->roles & IPC_ROLE_MASTER) != 0;
            if (may_serve(broker, row) && is_master == (masters == 1) && left-- == 0)
                return row;
        }
    return NULL;
}

static void on_called(uint32_t http_status, struct adp_span body, const char *why, void *context);

static void call(struct market_broker *broker, enum market_phase phase)
{
    const struct adp_market_feed *owner = broker->owner;
    const struct adp_market *market = owner->market;
    const struct ipc_row_account *row = adp_live_account(owner->live, broker->account);
    const char *path =
        phase == MARKET_END_SESSION ? market->end_session.path : market->begin_session.path;
    char body[128];
    if (row == NULL || !may_serve(broker, row) ||
        market->call_body(row->login, body, sizeof(body)) == 0) {
        fail(broker, "the login of its session is gone", "");
        return;
    }
    broker->phase = phase;
    if (!adp_market_caller_start(broker->caller,
            &adp_live_view(owner->live)->brokers[broker->broker], row, path, broker->token.header,
            body, on_called, broker))
        fail(broker, "libcurl refuses a request", "");
}

static bool ends_with(const char *text, const char *end)
{
    const size_t count = strlen(text), more = strlen(end);
    return more > 0 && count >= more && strcmp(text + count - more, end) == 0;
}

/* The configured socket, else the broker's own one, else where its API is. */
static void target_of(const struct market_broker *broker, struct adp_socket_target *target)
{
    const struct adp_market_feed *owner = broker->owner;
    const struct adp_market *market = owner->market;
    const struct ipc_row_broker *row = &adp_live_view(owner->live)->brokers[broker->broker];
    const struct ipc_row_account *account = adp_live_account(owner->live, broker->account);
    const char *set = owner->config->market_socket;
    *target = (struct adp_socket_target){.port = 443};
    (void)snprintf(target->ca_file, sizeof(target->ca_file), "%s", row->ca_file);
    (void)snprintf(target->path, sizeof(target->path), "%s", market->socket_path);
    if (set[0] != '\0') {
        const char *colon = strrchr(set, ':');
        const size_t count = colon != NULL ? (size_t)(colon - set) : strlen(set);
        (void)snprintf(target->host, sizeof(target->host), "%.*s", (int)count, set);
        if (colon != NULL)
            target->port = (uint16_t)strtoul(colon + 1, NULL, 10);
    } else if (ends_with(row->host, market->api_domain)) {
        (void)snprintf(target->host, sizeof(target->host), "%s", market->socket_host);
    } else {
        (void)snprintf(target->host, sizeof(target->host), "%s", row->host);
        (void)snprintf(target->authority, sizeof(target->authority), "%s", row->authority);
        target->port = row->port;
    }
    if (account != NULL) {
        target->source_family = account->source_family;
        memcpy(target->source_address, account->source_address, sizeof(target->source_address));
    }
}

static void connect_socket(struct market_broker *broker)
{
    const struct adp_ingest_config *config = broker->owner->config;
    struct adp_socket_target target;
    struct ipc_error error = {.text = ""};
    const struct adp_socket_rules rules = {.connect_ms = 10000,
        .heartbeat_ms = broker->owner->market->heartbeat_ms,
        .ping_ms = config->feed_ping_ms,
        .silence_ms = config->feed_silence_ms,
        .message_bytes_max = MESSAGE_BYTES,
        .send_bytes_max = SEND_BYTES};
    target_of(broker, &target);
    broker->phase = MARKET_CONNECT;
    if (!adp_socket_is_idle(broker->socket) ||
        adp_socket_connect(broker->socket, &target, &rules, &error) != IPC_OK)
        fail(broker, "no connection", error.text);
}

static void on_called(uint32_t http_status, struct adp_span body, const char *why, void *context)
{
    struct market_broker *broker = context;
    if (broker->phase == MARKET_END_SESSION) {
        /* There may have been none to end: what counts is whether a new one begins. */
        call(broker, MARKET_BEGIN_SESSION);
        return;
    }
    const enum adp_rc rc =
        http_status == 0 ? ADP_MALFORMED : broker->owner->market->decode_call(http_status, body);
    if (rc == ADP_OK)
        connect_socket(broker);
    else
        fail(broker, rc == ADP_AUTH ? "the session of a login is over" : "no market session begins",
            http_status == 0 ? why : "");
}

static void begin(struct market_broker *broker)
{
    const struct ipc_row_account *row = choose_account(broker);
    if (row == NULL) {
        broker->due_ns = ipc_clock_mono_ns() + LOOK_NS;
        return;
    }
    broker->account = row->account;
    const struct adp_market_feed *owner = broker->owner;
    if (!adp_market_token_open(
            &broker->token, owner->key, &owner->dialect->auth, adp_live_view(owner->live), row))
        fail(broker, "a token does not open", "");
    else
        call(broker, MARKET_END_SESSION);
}

/* ---- subscriptions --------------------------------------------------------------------------- */

/* What the broker calls an instrument; false when it does not have it. */
static bool key_of(
    const struct market_broker *broker, uint32_t instrument, struct adp_market_key *key)
{
    const struct ipc_snapshot_view *view = adp_live_view(broker->owner->live);
    if (instrument > view->instrument_count || view->instruments[instrument - 1].instrument == 0)
        return false;
    const struct ipc_row_instrument *row = &view->instruments[instrument - 1];
    const char *token = row->token;
    bool any = false, gone = (row->flags & IPC_INSTRUMENT_GONE) != 0;
    uint32_t low = 0, high = view->contract_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (view->contracts[middle].instrument < instrument)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < view->contract_count && view->contracts[low].instrument == instrument; low++) {
        token = any ? token : NULL;
        any = true;
        if (view->contracts[low].broker == broker->broker) {
            token = view->contracts[low].token;
            gone = (view->contracts[low].flags & IPC_CONTRACT_GONE) != 0;
        }
    }
    if (token == NULL || gone)
        return false; /* its token may be another's by now */
    key->exchange = (enum ipc_exchange)row->exchange;
    memcpy(key->token, token, sizeof(key->token));
    return true;
}

static uint64_t hash_key(uint64_t hash, const struct adp_market_key *key)
{
    uint64_t words[2];
    memcpy(words, key->token, sizeof(words));
    hash = (hash ^ (uint64_t)key->exchange) * UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ words[0] ^ hash >> 31) * UINT64_C(0xff51afd7ed558ccd);
    return (hash ^ words[1] ^ hash >> 29) * UINT64_C(0xc4ceb9fe1a85ec53);
}

/* Subscribes what has been seen since the last time. */
static void subscribe(struct market_broker *broker)
{
    const struct adp_market_feed *owner = broker->owner;
    const struct adp_market *market = owner->market;
    while (broker->subscribed < owner->wanted.count) {
        struct adp_market_key keys[128];
        char text[8192];
        uint32_t count = 0;
        while (count < market->keys_max && count < LS_COUNT_OF(keys) &&
               broker->subscribed < owner->wanted.count) {
            const uint32_t instrument = owner->wanted.instruments[broker->subscribed++];
            if (!key_of(broker, instrument, &keys[count]))
                continue;
            broker->keys_hash = hash_key(broker->keys_hash, &keys[count]);
            count++;
        }
        if (count == 0)
            return;
        const size_t bytes = market->subscribe(keys, count, true, text, sizeof(text));
        LS_CHECK(bytes > 0); /* 128 keys of at most 24 bytes */
        if (adp_socket_send(broker->socket, text, bytes) != IPC_OK)
            return; /* the socket ends, and says so */
    }
}

/* After a generation: what is subscribed may have other tokens. */
static bool keys_changed(const struct market_broker *broker)
{
    const struct adp_market_feed *owner = broker->owner;
    uint64_t hash = 0;
    for (uint32_t i = 0; i < broker->subscribed; i++) {
        struct adp_market_key key;
        if (key_of(broker, owner->wanted.instruments[i], &key))
            hash = hash_key(hash, &key);
    }
    return hash != broker->keys_hash;
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void report_odd(struct market_broker *broker, struct adp_span frame, const char *why)
{
    char text[512];
    if (broker->odd_frames++ % ODD_EVERY != 0)
        return;
    (void)ipc_log_escape(
        (const char *)frame.bytes, frame.count < 400 ? frame.count : 400, text, sizeof(text));
    ipc_log(IPC_LOG_ERROR, "prices of %s: a frame %s, its price is not used; %u such frames: %s",
        name_of(broker), why, broker->odd_frames, text);
}

/* The time at which the price held. A snapshot may tell of a trade long ago. */
static int64_t price_time(const struct adp_quote *quote, int64_t received_mono_ns)
{
    if (!quote->is_snapshot || quote->feed_wall_s == 0)
        return received_mono_ns;
    const int64_t age_s = ipc_clock_wall_ns() / LS_NS_PER_S - quote->feed_wall_s;
    if (age_s <= SNAPSHOT_AGE_S)
        return received_mono_ns;
    return age_s > INT64_C(100) * 365 * 86400 ? 0 : received_mono_ns - age_s * LS_NS_PER_S;
}

static bool same_symbol(const struct market_broker *broker, uint32_t instrument, const char *told)
{
    const struct ipc_snapshot_view *view = adp_live_view(broker->owner->live);
    struct adp_span symbol = {(const uint8_t *)told, strlen(told)};
    /* Empty: not told. Else the symbol must lead to the same instrument, or be its own. */
    return symbol.count == 0 ||
           adp_span_is_fold(symbol, view->instruments[instrument - 1].symbol) ||
           adp_live_find_instrument_at(broker->owner->live, broker->broker,
               (enum ipc_exchange)view->instruments[instrument - 1].exchange, symbol) == instrument;
}

static void write_price(struct market_broker *broker, uint32_t instrument)
{
    const struct market_cell *cell = &broker->cells[instrument - 1];
    const struct ipc_price price = {.price_e8 = cell->last_e8, .mono_ns = cell->mono_ns};
    if (broker->has_page && cell->mono_ns > 0 &&
        ipc_prices_set(&broker->page, instrument, &price) == IPC_OK)
        broker->owner->counts.prices++;
}

static void take_quote(struct market_broker *broker, const struct adp_quote *quote,
    const struct adp_socket_message *message)
{
    struct adp_market_feed *owner = broker->owner;
    const uint32_t instrument = adp_live_find_instrument_at(owner->live, broker->broker,
        quote->exchange, (struct adp_span){(const uint8_t *)quote->token, strlen(quote->token)});
    if (instrument == 0 || instrument > broker->cell_count ||
        !adp_market_wanted_has(&owner->wanted, instrument))
        return; /* not ours any more */
    struct market_cell *cell = &broker->cells[instrument - 1];
    if (quote->is_snapshot) {
        if (!same_symbol(broker, instrument, quote->symbol)) {
            owner->counts.mismatched++;
            cell->is_acked = false;
            cell->last_e8 = 0;
            report_odd(broker, message->bytes, "names another contract than ours");
            return;
        }
        cell->is_acked = true;
        cell->last_e8 = 0;
    }
    if (!cell->is_acked)
        return; /* a change of what was not told, or of another contract */
    if (quote->has_last)
        cell->last_e8 = quote->last_e8;
    if (cell->last_e8 == 0)
        return;
    cell->mono_ns = price_time(quote, message->received_mono_ns);
    write_price(broker, instrument);
}

static void on_message(
    struct adp_socket *socket, const struct adp_socket_message *message, void *context)
{
    struct market_broker *broker = context;
    struct adp_market_feed *owner = broker->owner;
    struct adp_quote quote;
    owner->counts.frames++;
    if (broker->phase == MARKET_HELLO) {
        const enum adp_rc rc = owner->market->decode_hello(message->bytes);
        if (rc == ADP_UNSUPPORTED) {
            ipc_log(IPC_LOG_WARN, "prices of %s: the market socket refuses the session",
                name_of(broker));
            adp_socket_close(socket);
        } else if (rc == ADP_OK) {
            broker->phase = MARKET_LIVE;
            broker->live_since_ns = ipc_clock_mono_ns();
            broker->keys_hash = 0;
            owner->counts.connects++;
            ipc_log(IPC_LOG_INFO, "prices of %s: the market socket is live, %u instruments",
                name_of(broker), owner->wanted.count);
            subscribe(broker);
        }
        return;
    }
    if (broker->phase != MARKET_LIVE)
        return;
    switch (owner->market->decode_quote(message->bytes, &quote)) {
    case ADP_OK:
        take_quote(broker, &quote, message);
        return;
    case ADP_NOTHING:
        return;
    case ADP_MALFORMED:
    case ADP_TOO_LONG:
    case ADP_UNSUPPORTED:
    case ADP_AUTH:
        owner->counts.not_understood++;
        report_odd(broker, message->bytes, "cannot be believed");
        return;
    }
}

static void on_open(struct adp_socket *socket, void *context)
{
    struct market_broker *broker = context;
    const struct ipc_row_account *row = adp_live_account(broker->owner->live, broker->account);
    char text[512];
    size_t bytes = 0;
    if (row != NULL && broker->token.header != NULL)
        bytes = broker->owner->market->hello(
            (struct adp_span){
                (const uint8_t *)broker->token.header + broker->token.at, broker->token.bytes},
            row->login, text, sizeof(text));
    adp_market_token_forget(&broker->token);
    broker->phase = MARKET_HELLO;
    broker->due_ns = ipc_clock_mono_ns() + HELLO_NS;
    if (bytes == 0 || adp_socket_send(socket, text, bytes) != IPC_OK)
        adp_socket_close(socket);
    ipc_secret_wipe(text, sizeof(text));
}

static void on_beat(struct adp_socket *socket, void *context)
{
    const struct market_broker *broker = context;
    char text[64];
    const size_t bytes = broker->owner->market->heartbeat(text, sizeof(text));
    if (broker->phase == MARKET_LIVE && bytes > 0 && adp_socket_send(socket, text, bytes) != IPC_OK)
        adp_socket_close(socket); /* it takes nothing more: a new one may */
}

static void on_end(struct adp_socket *socket, const struct adp_socket_end *end, void *context)
{
    struct market_broker *broker = context;
    char why[256];
    (void)socket;
    if (broker->phase == MARKET_IDLE)
        return; /* ended by us, and a pause runs */
    (void)snprintf(why, sizeof(why), "%s%s%s, HTTP %u", adp_socket_end_name(end->kind),
        end->text[0] != '\0' ? ": " : "", end->text, end->http_status);
    fail(broker, broker->phase == MARKET_LIVE ? "the market socket is lost" : "no market socket",
        why);
}

static const struct adp_socket_calls socket_calls = {
    .opened = on_open, .message = on_message, .beat = on_beat, .ended = on_end};

/* ---- pages ----------------------------------------------------------------------------------- */

/* What ever had a price is wanted again: what is held from earlier days has one. */
static void take_over(struct market_broker *broker)
{
    const struct ipc_snapshot_view *view = adp_live_view(broker->owner->live);
    struct ipc_price price;
    for (uint32_t i = 1; i <= view->instrument_count && i <= broker->page.instruments; i++)
        if (ipc_prices_get(&broker->page, i, &price) == IPC_OK)
            adp_market_feed_want(broker->owner, i);
    broker->page_taken_over = true;
}

static void open_page(struct market_broker *broker, int64_t now)
{
    const struct adp_market_feed *owner = broker->owner;
    const struct ipc_snapshot_view *view = adp_live_view(owner->live);
    struct ipc_error error = {.text = ""};
    if (broker->has_page || now < broker->page_due_ns || view->instrument_count == 0)
        return;
    const uint32_t wanted = view->instrument_count > owner->config->price_cells
                                ? view->instrument_count
                                : owner->config->price_cells;
    enum ipc_rc rc =
        ipc_prices_open_writer(owner->shm, broker->broker, wanted, &broker->page, &error);
    if (rc == IPC_BAD_SIZE && wanted > view->instrument_count)
        rc = ipc_prices_open_writer(
            owner->shm, broker->broker, view->instrument_count, &broker->page, &error);
    broker->has_page = rc == IPC_OK;
    broker->page_due_ns = now + PAGE_RETRY_NS;
    if (rc != IPC_OK && !broker->page_said)
        ipc_log(IPC_LOG_WARN, "prices of %s are not written: %s", name_of(broker), error.text);
    broker->page_said = rc != IPC_OK;
    if (rc != IPC_OK)
        return;
    if (!broker->page_taken_over)
        take_over(broker);
    /* What came while another process had the page. */
    for (uint32_t i = 1; i <= broker->cell_count; i++)
        if (broker->cells[i - 1].last_e8 > 0)
            write_price(broker, i);
}

/* ---- generations and steps ------------------------------------------------------------------- */

static struct market_broker *make_broker(struct adp_market_feed *owner, uint32_t number)
{
    struct market_broker *broker = calloc(1, sizeof(*broker));
    struct ipc_error error = {.text = ""};
    LS_CHECK(broker != NULL);
    broker->owner = owner;
    broker->broker = number;
    broker->socket = adp_socket_new(owner->sockets, &socket_calls, broker);
    broker->caller = adp_market_caller_open();
    broker->backoff = (struct adp_backoff){.least_ns = 500 * LS_NS_PER_MS,
        .most_ns = ls_max_i64(owner->config->backoff_max_ms, 500) * LS_NS_PER_MS};
    if (broker->caller == NULL || !adp_market_token_make(&broker->token, &error)) {
        ipc_log(IPC_LOG_ERROR, "prices: %s",
            broker->caller == NULL ? "libcurl cannot start" : error.text);
        adp_socket_free(broker->socket);
        adp_market_caller_close(broker->caller);
        free(broker);
        return NULL;
    }
    return broker;
}

static void free_broker(struct market_broker *broker)
{
    if (broker == NULL)
        return;
    adp_market_caller_close(broker->caller);
    adp_socket_free(broker->socket);
    adp_market_token_free(&broker->token);
    if (broker->has_page)
        ipc_prices_close(&broker->page);
    free(broker->cells);
    free(broker);
}

/* Instruments of the configuration: names or EXCHANGE:NAME, separated by blanks. */
static void want_named(struct adp_market_feed *feed)
{
    const char *at = feed->config->market_instruments;
    while (*at != '\0') {
        const size_t count = strcspn(at, " ");
        const char *colon = memchr(at, ':', count);
        const char *name = colon != NULL ? colon + 1 : at;
        const size_t name_count = (size_t)(at + count - name);
        enum ipc_exchange exchange = IPC_EXCHANGE_NSE;
        if (name_count > 0 &&
            (colon == NULL || ipc_exchange_parse(at, (size_t)(colon - at), &exchange)))
            adp_market_feed_want(feed, adp_live_find_instrument(feed->live, exchange,
                                           (struct adp_span){(const uint8_t *)name, name_count}));
        at += count + strspn(at + count, " ");
    }
}

static void grow_cells(struct market_broker *broker, uint32_t count)
{
    if (count <= broker->cell_count)
        return;
    broker->cells = realloc(broker->cells, count * sizeof(*broker->cells));
    LS_CHECK(broker->cells != NULL);
    memset(broker->cells + broker->cell_count, 0,
        (count - broker->cell_count) * sizeof(*broker->cells));
    broker->cell_count = count;
}

void adp_market_feed_generation(struct adp_market_feed *feed)
{
    const struct ipc_snapshot_view *view = adp_live_view(feed->live);
    if (view == NULL)
        return;
    feed->counts.brokers = 0;
    for (uint32_t b = 0; b < BROKERS; b++) {
        struct market_broker *broker = feed->brokers[b];
        bool used = false;
        if (b < view->broker_count && view->brokers[b].live &&
            strcmp(view->brokers[b].dialect, feed->dialect->name) == 0)
            for (uint32_t i = 0; i < view->account_count && !used; i++)
                used = may_serve(&(struct market_broker){.broker = b}, &view->accounts[i]);
        feed->counts.brokers += used;
        if (broker == NULL && used)
            broker = feed->brokers[b] = make_broker(feed, b);
        if (broker == NULL)
            continue;
        broker->is_used = used;
        grow_cells(broker, view->instrument_count);
        if (broker->has_page && broker->page.instruments < view->instrument_count) {
            ipc_prices_close(&broker->page);
            broker->has_page = false;
        }
        if (broker->phase == MARKET_LIVE && (!used || keys_changed(broker)))
            adp_socket_close(broker->socket);
    }
    want_named(feed);
}

static int64_t step_broker(struct market_broker *broker, int64_t now)
{
    if (!broker->is_used)
        return LOOK_NS;
    open_page(broker, now);
    switch (broker->phase) {
    case MARKET_IDLE:
        if (now < broker->due_ns)
            return broker->due_ns - now;
        if (broker->owner->wanted.count == 0 || !adp_socket_is_idle(broker->socket))
            return LOOK_NS / 10; /* nothing is needed yet */
        begin(broker);
        return 0;
    case MARKET_END_SESSION:
    case MARKET_BEGIN_SESSION:
        return adp_market_caller_step(broker->caller);
    case MARKET_CONNECT:
        return LOOK_NS;
    case MARKET_HELLO:
        if (now >= broker->due_ns)
            adp_socket_close(broker->socket);
        return LOOK_NS;
    case MARKET_LIVE:
        if (broker->subscribed < broker->owner->wanted.count)
            subscribe(broker);
        return LOOK_NS;
    }
    return LOOK_NS;
}

int64_t adp_market_feed_step(struct adp_market_feed *feed)
{
    const int64_t now = ipc_clock_mono_ns();
    int64_t next = LOOK_NS;
    if (adp_live_view(feed->live) == NULL)
        return next;
    for (uint32_t b = 0; b < BROKERS; b++)
        if (feed->brokers[b] != NULL)
            next = ls_min_i64(next, step_broker(feed->brokers[b], now));
    if (feed->held != NULL)
        next = ls_min_i64(next, adp_market_held_step(feed->held));
    if (feed->wanted.refused > 0 && feed->refused_said == 0)
        ipc_log(IPC_LOG_ERROR,
            "prices of further instruments are not kept: market_instruments_max is %u",
            feed->wanted.most);
    feed->refused_said = feed->wanted.refused;
    return ls_max_i64(next, 0);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void want_held(uint32_t instrument, void *context)
{
    adp_market_feed_want(context, instrument);
}

enum ipc_rc adp_market_feed_open(const struct adp_ingest_config *config,
    const struct adp_dialect *dialect, const struct ipc_shm *shm, const struct ipc_seal_key *key,
    struct adp_live *live, struct adp_sockets *sockets, struct adp_market_feed **feed,
    struct ipc_error *error)
{
    struct adp_market_feed *made = calloc(1, sizeof(*made));
    *feed = NULL;
    if (made == NULL) {
        ipc_error_set(error, "no memory for prices");
        return IPC_SYSTEM;
    }
    made->config = config;
    made->dialect = dialect;
    made->market = adp_market_find(dialect->name);
    LS_CHECK(made->market != NULL && made->market->keys_max <= 128);
    made->shm = shm;
    made->key = key;
    made->live = live;
    made->sockets = sockets;
    adp_market_wanted_init(&made->wanted, config->market_instruments_max);
    ipc_prng_seed(&made->prng, (uint64_t)ipc_clock_wall_ns());
    if (config->market_held_s > 0) {
        const struct adp_market_held_work work = {
            .every_ns = (int64_t)config->market_held_s * LS_NS_PER_S,
            .dialect = dialect,
            .market = made->market,
            .key = key,
            .live = live,
            .want = want_held,
            .context = made};
        made->held = adp_market_held_open(&work, error);
        if (made->held == NULL) {
            adp_market_feed_close(made);
            return IPC_SYSTEM;
        }
    }
    adp_market_feed_generation(made);
    *feed = made;
    return IPC_OK;
}

void adp_market_feed_close(struct adp_market_feed *feed)
{
    if (feed == NULL)
        return;
    for (uint32_t b = 0; b < BROKERS; b++)
        free_broker(feed->brokers[b]);
    adp_market_held_close(feed->held);
    adp_market_wanted_free(&feed->wanted);
    free(feed);
}

void adp_market_feed_want(struct adp_market_feed *feed, uint32_t instrument)
{
    if (instrument == 0 || adp_market_wanted_has(&feed->wanted, instrument))
        return;
    (void)adp_market_wanted_add(&feed->wanted, instrument);
}

void adp_market_feed_counts(const struct adp_market_feed *feed, struct adp_market_counts *out)
{
    *out = feed->counts;
    out->wanted = feed->wanted.count;
    out->refused = feed->wanted.refused;
    for (uint32_t b = 0; b < BROKERS; b++)
        out->live += feed->brokers[b] != NULL && feed->brokers[b]->phase == MARKET_LIVE;
}
