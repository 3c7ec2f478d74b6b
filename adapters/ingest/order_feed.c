#include "adapters/ingest/order_feed.h"

#include "adapters/ingest/feed_state.h"
#include "ipc/clock.h"
#include "ipc/log.h"
#include "ipc/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BROKERS      64u
#define TOKEN_BYTES  512u

/* Frames of one account that are not understood are logged once, then each so many. */
#define ODD_EVERY    64u

/* The longest message of the order socket; an order frame has less than 2 KiB. */
#define MESSAGE_MOST 65536u

/* Frames that wait for the book that ends a gap. Beyond this they go out at once. */
#define HELD_MOST    1024u

/* And so does what waited so long: a book that does not come must not make fresh orders stale. */
#define HOLD_NS      LS_NS_PER_S

struct held_frame {
    struct held_frame *next;
    int64_t received_mono_ns;
    struct ipc_event order;
};

struct fed_account {
    struct adp_order_feed *owner;
    uint32_t account;
    bool is_watched;
    struct adp_socket *socket;
    struct adp_feed_state state;
    char *token; /* of TOKEN_BYTES; good for one connection, and wiped as soon as it was sent */
    uint32_t odd_frames;
    uint64_t identity; /* of the row that the connection was made by */
    struct held_frame *held_first, *held_last;
    uint32_t held_count;
    bool is_impatient; /* the book of this gap did not come in time: frames wait no more for it */
};

struct adp_order_feed {
    const struct adp_ingest_config *config;
    const struct adp_dialect *dialect;
    const struct adp_live *live;
    struct adp_feed *feed;
    struct adp_publisher *publisher;
    struct adp_sockets *sockets;
    struct adp_poll *poll;
    struct ipc_hist *frame_to_ring;
    struct adp_feed_rules rules;
    struct adp_gate gates[BROKERS];
    struct fed_account **accounts; /* by account - 1 */
    uint32_t account_count;
    struct ipc_prng prng;
    struct adp_order_feed_counts counts;
};

static void act(struct fed_account *fed, unsigned todo);
static void release_held(struct fed_account *fed);
static void drop_held(struct fed_account *fed);

static void take(struct fed_account *fed, enum adp_feed_input input, int64_t book_ns)
{
    struct adp_order_feed *owner = fed->owner;
    const bool was_live = fed->state.phase == ADP_FEED_LIVE;
    const unsigned todo = adp_feed_next(
        &fed->state, &owner->rules, input, book_ns, ipc_clock_mono_ns(), &owner->prng);
    const bool is_live = fed->state.phase == ADP_FEED_LIVE;
    owner->counts.connects += is_live && !was_live;
    owner->counts.cuts += was_live && !is_live;
    if (!is_live || adp_feed_is_covering(&fed->state))
        fed->is_impatient = false;
    if (!is_live)
        drop_held(fed); /* the book of the gap that begins has them */
    else if (adp_feed_is_covering(&fed->state))
        release_held(fed);
    act(fed, todo);
    if (fed->is_watched)
        adp_poll_pace(owner->poll, fed->account,
            adp_feed_is_covering(&fed->state) ? owner->config->feed_book_ms : 0);
}

/* What to do. */

static void connect_socket(struct fed_account *fed)
{
    const struct adp_order_feed *owner = fed->owner;
    const struct ipc_row_account *row = adp_poll_row(owner->poll, fed->account);
    struct adp_socket_target target = {.port = 0};
    struct ipc_error error = {.text = ""};
    const struct adp_socket_rules rules = {
        .connect_ms = 10000,
        .heartbeat_ms = (uint32_t)ls_min_i64(
            owner->config->feed_heartbeat_ms, owner->dialect->push->heartbeat_ms),
        .ping_ms = owner->config->feed_ping_ms,
        .silence_ms = owner->config->feed_silence_ms,
        .message_bytes_max = MESSAGE_MOST,
    };
    if (row == NULL || !adp_socket_is_idle(fed->socket)) {
        take(fed, ADP_FEED_CUT, 0);
        return;
    }
    const struct ipc_row_broker *broker = &adp_live_view(owner->live)->brokers[row->broker];
    (void)snprintf(target.host, sizeof(target.host), "%s", broker->host);
    (void)snprintf(target.authority, sizeof(target.authority), "%s", broker->authority);
    (void)snprintf(target.path, sizeof(target.path), "%s%s", broker->base_path,
        owner->dialect->push->socket_path);
    (void)snprintf(target.ca_file, sizeof(target.ca_file), "%s", broker->ca_file);
    target.port = broker->port;
    target.source_family = row->source_family;
    memcpy(target.source_address, row->source_address, sizeof(target.source_address));
    if (adp_socket_connect(fed->socket, &target, &rules, &error) == IPC_OK)
        return;
    ipc_log(
        IPC_LOG_ERROR, "account %u (%s): no order feed: %s", fed->account, row->login, error.text);
    take(fed, ADP_FEED_CUT, 0);
}

static void say_first(struct fed_account *fed)
{
    const struct ipc_row_account *row = adp_poll_row(fed->owner->poll, fed->account);
    char text[TOKEN_BYTES + 128];
    const size_t bytes = row == NULL ? 0
                                     : fed->owner->dialect->push->subscribe(
                                           fed->token, row->login, text, sizeof(text));
    if (bytes == 0 || adp_socket_send(fed->socket, text, bytes) != IPC_OK)
        adp_socket_close(fed->socket);
    ipc_secret_wipe(text, sizeof(text));
    ipc_secret_wipe(fed->token, TOKEN_BYTES);
}

static void act(struct fed_account *fed, unsigned todo)
{
    struct adp_order_feed *owner = fed->owner;
    if ((todo & ADP_FEED_CLOSE) != 0) {
        adp_socket_close(fed->socket);
        ipc_secret_wipe(fed->token, TOKEN_BYTES);
    }
    if ((todo & ADP_FEED_GAVE_UP) != 0)
        ipc_log(IPC_LOG_WARN,
            "account %u: no order feed (%u times none, %u failures in a row): its book is polled, "
            "and the feed is tried again in %u s",
            fed->account, fed->state.absent, fed->state.failed, owner->config->feed_retry_s);
    if ((todo & ADP_FEED_READ_BOOK) != 0)
        adp_poll_hurry(owner->poll, fed->account, (todo & ADP_FEED_READ_WHOLE) != 0);
    if ((todo & ADP_FEED_ASK_TOKEN) != 0)
        adp_poll_ask(owner->poll, fed->account, &owner->dialect->push->token);
    if ((todo & ADP_FEED_DO_CONNECT) != 0)
        connect_socket(fed);
    if ((todo & ADP_FEED_SAY_FIRST) != 0)
        say_first(fed);
}

/* Frames. */

/* Instruments as the account's broker calls them. */
struct finder {
    const struct adp_live *live;
    uint32_t broker;
};

static uint32_t find_instrument(enum ipc_exchange exchange, struct adp_span token, void *context)
{
    const struct finder *finder = context;
    return adp_live_find_instrument_at(finder->live, finder->broker, exchange, token);
}

static void report_odd(struct fed_account *fed, struct adp_span frame, const char *why)
{
    char text[512];
    fed->owner->counts.not_understood++;
    if (fed->odd_frames++ % ODD_EVERY != 0)
        return;
    (void)ipc_log_escape(
        (const char *)frame.bytes, frame.count < 400 ? frame.count : 400, text, sizeof(text));
    ipc_log(IPC_LOG_ERROR,
        "account %u: a frame of its order feed is not understood (%s), its book is read instead; "
        "%u such frames: %s",
        fed->account, why, fed->odd_frames, text);
}

/* bytes: of the frame, for the log; empty when they are gone. */
static void take_order(struct fed_account *fed, int64_t received_mono_ns, struct adp_span bytes,
    const struct ipc_event *order)
{
    struct adp_order_feed *owner = fed->owner;
    struct ipc_error error = {.text = ""};
    unsigned news = 0;
    const int64_t now = ipc_clock_mono_ns();
    const struct adp_feed_times times = {
        .read_mono_ns = received_mono_ns,
        .read_wall_ns = ipc_clock_wall_ns() - (now - received_mono_ns),
        .last_read_mono_ns = adp_poll_last_read_ns(owner->poll, fed->account),
    };
    const unsigned how = adp_feed_is_covering(&fed->state) ? 0 : ADP_PUSH_IN_GAP;
    const enum ipc_rc rc =
        adp_feed_push(owner->feed, fed->account, &times, how, order, &news, &error);
    if ((news & ADP_PUSH_PUBLISHED) != 0) {
        if (owner->frame_to_ring != NULL)
            ipc_hist_record(owner->frame_to_ring, ipc_clock_mono_ns() - received_mono_ns);
        (void)adp_publisher_flush(owner->publisher, now); /* the engine may sleep */
    }
    if (rc == IPC_BAD_INPUT) {
        report_odd(fed, bytes, error.text);
        news |= ADP_PUSH_WANTS_BOOK;
    }
    if ((news & ADP_PUSH_WANTS_BOOK) != 0)
        adp_poll_hurry(owner->poll, fed->account, false);
}

/* In a gap the book goes first: an exit of now must not overtake the entry and the exit that were
 * missed, since engines apply what a master does in the order in which they hear it. */
static bool hold(struct fed_account *fed, int64_t received_mono_ns, const struct ipc_event *order)
{
    if (fed->state.phase != ADP_FEED_LIVE || adp_feed_is_covering(&fed->state) || fed->is_impatient)
        return false;
    if (fed->held_count == HELD_MOST) {
        fed->is_impatient = true;
        release_held(fed);
        return false;
    }
    struct held_frame *frame = malloc(sizeof(*frame));
    LS_CHECK(frame != NULL);
    *frame = (struct held_frame){.received_mono_ns = received_mono_ns, .order = *order};
    if (fed->held_last == NULL)
        fed->held_first = frame;
    else
        fed->held_last->next = frame;
    fed->held_last = frame;
    fed->held_count++;
    return true;
}

static struct held_frame *next_held(struct fed_account *fed)
{
    struct held_frame *frame = fed->held_first;
    if (frame == NULL)
        return NULL;
    fed->held_first = frame->next;
    if (frame->next == NULL)
        fed->held_last = NULL;
    fed->held_count--;
    return frame;
}

static void release_held(struct fed_account *fed)
{
    struct held_frame *frame;
    while ((frame = next_held(fed)) != NULL) {
        take_order(fed, frame->received_mono_ns, (struct adp_span){.bytes = NULL}, &frame->order);
        free(frame);
    }
}

static void drop_held(struct fed_account *fed)
{
    struct held_frame *frame;
    while ((frame = next_held(fed)) != NULL)
        free(frame);
}

static void on_message(
    struct adp_socket *socket, const struct adp_socket_message *message, void *context)
{
    struct fed_account *fed = context;
    struct adp_order_feed *owner = fed->owner;
    struct ipc_event order;
    (void)socket;
    owner->counts.frames++;
    if (fed->state.phase == ADP_FEED_SUBSCRIBE) {
        const enum adp_rc ack = owner->dialect->push->decode_ack(message->bytes);
        if (ack == ADP_OK)
            ipc_log(IPC_LOG_INFO, "account %u: its order feed is live", fed->account);
        if (ack == ADP_UNSUPPORTED)
            ipc_log(
                IPC_LOG_WARN, "account %u: the order feed refuses the subscription", fed->account);
        if (ack != ADP_NOTHING) {
            take(fed, ack == ADP_OK ? ADP_FEED_ACKED : ADP_FEED_REFUSED, 0);
            return;
        }
    }
    const struct ipc_row_account *of = adp_live_account(owner->live, fed->account);
    struct finder finder = {owner->live, of != NULL ? of->broker : ADP_LIVE_ANY_BROKER};
    switch (owner->dialect->decode_push(message->bytes, find_instrument, &finder, &order)) {
    case ADP_OK: {
        const struct ipc_row_account *row = adp_poll_row(owner->poll, fed->account);
        if (row == NULL || !owner->dialect->push->is_of(message->bytes, row->login))
            report_odd(fed, message->bytes, "it is of another account");
        else if (!hold(fed, message->received_mono_ns, &order))
            take_order(fed, message->received_mono_ns, message->bytes, &order);
        return;
    }
    case ADP_NOTHING:
        return;
    case ADP_MALFORMED:
    case ADP_TOO_LONG:
    case ADP_UNSUPPORTED:
    case ADP_AUTH:
        report_odd(fed, message->bytes, "a word or number in it is not known to this build");
        adp_poll_hurry(owner->poll, fed->account, false);
        return;
    }
}

static void on_open(struct adp_socket *socket, void *context)
{
    (void)socket;
    take(context, ADP_FEED_OPENED, 0);
}

static void on_beat(struct adp_socket *socket, void *context)
{
    const struct fed_account *fed = context;
    const struct ipc_row_account *row = adp_poll_row(fed->owner->poll, fed->account);
    char text[128];
    if (fed->state.phase != ADP_FEED_LIVE || row == NULL)
        return;
    const size_t bytes = fed->owner->dialect->push->heartbeat(row->login, text, sizeof(text));
    if (bytes == 0 || adp_socket_send(socket, text, bytes) != IPC_OK)
        adp_socket_close(socket); /* without heartbeats the broker would close it anyway */
}

static void on_end(struct adp_socket *socket, const struct adp_socket_end *end, void *context)
{
    struct fed_account *fed = context;
    const bool was_live = fed->state.phase == ADP_FEED_LIVE;
    (void)socket;
    ipc_secret_wipe(fed->token, TOKEN_BYTES);
    if (was_live || (fed->state.failed % 8 == 0 && end->kind != ADP_SOCKET_END_OURS))
        ipc_log(was_live ? IPC_LOG_WARN : IPC_LOG_INFO,
            "account %u: its order feed %s (%s%s%s, HTTP %u, code %u)%s", fed->account,
            was_live ? "is lost" : "is not reached", adp_socket_end_name(end->kind),
            end->text[0] != '\0' ? ": " : "", end->text, end->http_status, end->close_code,
            was_live ? "; its book is read meanwhile" : "");
    /* An address that answers the upgrade like a web page has no feed. */
    const bool is_page =
        end->kind == ADP_SOCKET_END_REFUSED && (end->http_status == 200 || end->http_status == 404);
    take(fed, is_page && !end->was_open ? ADP_FEED_NO_FEED : ADP_FEED_CUT, 0);
}

static const struct adp_socket_calls socket_calls = {
    .opened = on_open, .message = on_message, .beat = on_beat, .ended = on_end};

/* What poll.c tells. */

static struct fed_account *account_at(struct adp_order_feed *owner, uint32_t account)
{
    if (account > owner->account_count) {
        owner->accounts = realloc(owner->accounts, account * sizeof(*owner->accounts));
        LS_CHECK(owner->accounts != NULL);
        memset(owner->accounts + owner->account_count, 0,
            (account - owner->account_count) * sizeof(*owner->accounts));
        owner->account_count = account;
    }
    return owner->accounts[account - 1];
}

static struct fed_account *make_account(struct adp_order_feed *owner, uint32_t account)
{
    struct fed_account *fed = calloc(1, sizeof(*fed) + TOKEN_BYTES);
    LS_CHECK(fed != NULL);
    fed->owner = owner;
    fed->account = account;
    fed->token = (char *)(fed + 1);
    fed->socket = adp_socket_new(owner->sockets, &socket_calls, fed);
    fed->state.backoff = (struct adp_backoff){.least_ns = 500 * LS_NS_PER_MS,
        .most_ns = ls_max_i64(owner->config->backoff_max_ms, 500) * LS_NS_PER_MS};
    owner->accounts[account - 1] = fed;
    return fed;
}

/* What a connection was made by: when one of these changes it is made anew. */
static uint64_t identity_of(const struct adp_order_feed *owner, uint32_t account)
{
    const struct ipc_row_account *row = adp_poll_row(owner->poll, account);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    if (row == NULL)
        return 0;
    const struct ipc_row_broker *broker = &adp_live_view(owner->live)->brokers[row->broker];
    const struct {
        const void *bytes;
        size_t count;
    } parts[] = {
        {row->login, sizeof(row->login)},
        {&row->token_version, sizeof(row->token_version)},
        {&row->source_family, sizeof(row->source_family)},
        {row->source_address, sizeof(row->source_address)},
        {broker->host, sizeof(broker->host)},
        {broker->authority, sizeof(broker->authority)},
        {broker->ca_file, sizeof(broker->ca_file)},
        {broker->base_path, sizeof(broker->base_path)},
        {&broker->port, sizeof(broker->port)},
    };
    for (size_t part = 0; part < LS_COUNT_OF(parts); part++)
        for (size_t i = 0; i < parts[part].count; i++)
            hash = (hash ^ ((const uint8_t *)parts[part].bytes)[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void on_watched(uint32_t account, bool is_watched, void *context)
{
    struct adp_order_feed *owner = context;
    struct fed_account *fed = account_at(owner, account);
    if (fed == NULL && !is_watched)
        return;
    if (fed == NULL)
        fed = make_account(owner, account);
    const uint64_t identity = identity_of(owner, account);
    if (is_watched && fed->is_watched && identity != fed->identity)
        take(fed, ADP_FEED_STOP, 0);
    fed->identity = identity;
    fed->is_watched = is_watched;
    take(fed, is_watched ? ADP_FEED_START : ADP_FEED_STOP, 0);
}

static void on_book(uint32_t account, int64_t sent_mono_ns, void *context)
{
    struct fed_account *fed = account_at(context, account);
    if (fed != NULL)
        take(fed, ADP_FEED_BOOK, sent_mono_ns);
}

static void on_answer(
    uint32_t account, uint32_t http_status, struct adp_span body, const char *why, void *context)
{
    struct adp_order_feed *owner = context;
    struct fed_account *fed = account_at(owner, account);
    if (fed == NULL || fed->state.phase != ADP_FEED_TOKEN)
        return;
    const enum adp_rc rc = http_status == 0 ? ADP_MALFORMED
                                            : owner->dialect->push->decode_token(
                                                  http_status, body, fed->token, TOKEN_BYTES);
    if (rc == ADP_OK) {
        take(fed, ADP_FEED_GOT_TOKEN, 0);
        return;
    }
    if (fed->state.failed % 8 == 0)
        ipc_log(IPC_LOG_INFO, "account %u: no token for its order feed (%s)", account,
            rc == ADP_UNSUPPORTED ? "the broker has no feed for it"
            : http_status == 0    ? why
                                  : "the reply is a refusal or cannot be believed");
    /* A session that is over is found by the book as well, and pauses the account there. */
    take(fed, rc == ADP_UNSUPPORTED ? ADP_FEED_NO_FEED : ADP_FEED_FAILED, 0);
}

static const struct adp_poll_calls poll_calls = {
    .watched = on_watched, .book = on_book, .answer = on_answer};

struct adp_order_feed *adp_order_feed_open(const struct adp_ingest_config *config,
    const struct adp_dialect *dialect, struct adp_live *live, struct adp_feed *feed,
    struct adp_publisher *publisher, struct adp_sockets *sockets, struct adp_poll *poll,
    struct ipc_hist *frame_to_ring)
{
    struct adp_order_feed *owner = calloc(1, sizeof(*owner));
    LS_CHECK(owner != NULL && dialect->push != NULL);
    owner->config = config;
    owner->dialect = dialect;
    owner->live = live;
    owner->feed = feed;
    owner->publisher = publisher;
    owner->sockets = sockets;
    owner->poll = poll;
    owner->frame_to_ring = frame_to_ring;
    owner->rules = (struct adp_feed_rules){
        .absent_most = config->feed_absent_most,
        .failed_most = config->feed_failed_most,
        .absent_ns = (int64_t)config->feed_retry_s * LS_NS_PER_S,
        .ack_ns = 10 * LS_NS_PER_S,
        .settled_ns = 10 * LS_NS_PER_S,
    };
    for (uint32_t i = 0; i < BROKERS; i++)
        owner->gates[i] =
            (struct adp_gate){.every_ns = LS_NS_PER_S / config->feed_connects_per_second,
                .burst = config->feed_connects_per_second};
    ipc_prng_seed(&owner->prng, (uint64_t)ipc_clock_wall_ns());
    adp_poll_tell(poll, &poll_calls, owner);
    return owner;
}

void adp_order_feed_close(struct adp_order_feed *order_feed)
{
    if (order_feed == NULL)
        return;
    adp_poll_tell(order_feed->poll, NULL, NULL);
    for (uint32_t i = 0; i < order_feed->account_count; i++) {
        struct fed_account *fed = order_feed->accounts[i];
        if (fed == NULL)
            continue;
        drop_held(fed);
        adp_socket_free(fed->socket);
        ipc_secret_wipe(fed->token, TOKEN_BYTES);
        free(fed);
    }
    free(order_feed->accounts);
    free(order_feed);
}

/* The broker's gate bounds how many begin at once; the masters' go first. */
static int64_t start(struct adp_order_feed *owner, bool masters, int64_t now)
{
    int64_t next = INT64_MAX;
    for (uint32_t i = 0; i < owner->account_count; i++) {
        struct fed_account *fed = owner->accounts[i];
        const struct ipc_row_account *row =
            fed == NULL ? NULL : adp_poll_row(owner->poll, fed->account);
        if (row == NULL || ((row->roles & IPC_ROLE_MASTER) != 0) != masters)
            continue;
        if (fed->held_first != NULL && now - fed->held_first->received_mono_ns >= HOLD_NS) {
            fed->is_impatient = true;
            release_held(fed);
        }
        if (fed->held_first != NULL)
            next = ls_min_i64(next, fed->held_first->received_mono_ns + HOLD_NS);
        const int64_t due = adp_feed_due_ns(&fed->state);
        if (due > now) {
            next = ls_min_i64(next, due);
            continue;
        }
        const bool is_try = fed->state.phase != ADP_FEED_SUBSCRIBE;
        const int64_t wait = is_try ? adp_gate_pass(&owner->gates[row->broker], now) : 0;
        if (wait > 0)
            next = ls_min_i64(next, now + wait);
        else
            take(fed, ADP_FEED_TIME, 0);
    }
    return next;
}

int64_t adp_order_feed_step(struct adp_order_feed *order_feed)
{
    const int64_t now = ipc_clock_mono_ns();
    const int64_t masters = start(order_feed, true, now);
    const int64_t others = start(order_feed, false, now);
    return ls_max_i64(ls_min_i64(masters, others) - now, 0);
}

void adp_order_feed_counts(
    const struct adp_order_feed *order_feed, struct adp_order_feed_counts *out)
{
    *out = order_feed->counts;
    for (uint32_t i = 0; i < order_feed->account_count; i++) {
        const struct fed_account *fed = order_feed->accounts[i];
        if (fed == NULL || !fed->is_watched)
            continue;
        out->live += fed->state.phase == ADP_FEED_LIVE;
        out->absent += fed->state.phase == ADP_FEED_ABSENT;
        out->waiting += fed->state.phase != ADP_FEED_LIVE && fed->state.phase != ADP_FEED_ABSENT &&
                        fed->state.phase != ADP_FEED_OFF;
    }
}
