#include "adapters/ingest/feed.h"

#include "adapters/identify.h"
#include "ipc/clock.h"
#include "ipc/log.h"
#include "ipc/tag.h"

#include <stdlib.h>
#include <string.h>

/* The age of a state that nobody can date: older than any limit, small enough to add to clocks. */
#define AGE_UNKNOWN_NS      (24 * 3600 * LS_NS_PER_S)

/* Brokers' times have whole seconds. */
#define BROKER_TIME_STEP_NS LS_NS_PER_S

/* Within its second a frame that came so late counts by its sequence; see feed.h. */
#define LATE_NS             (900 * LS_NS_PER_MS)

/* A book must be so much later than a published state, beyond its own lag, to overrule it. */
#define OVERRULE_NS         LS_NS_PER_S

/* A working copy of ours is said again after so long: an engine that waits to learn what became of
 * a request needs a reading that is later than its doubt, also when the order did not change. */
#define REPEAT_NS           (5 * LS_NS_PER_S)

/* The last state of one order that was published. */
struct seen {
    struct ipc_key order;      /* zero = free */
    struct ipc_key content;    /* event key, with the broker's version or none */
    int64_t published_mono_ns; /* read time of the reading that was published last */

    /* The newest state that was published. */
    int64_t version; /* 0 = none */
    int64_t broker_version_ns, read_mono_ns;
    uint64_t terms;
    bool is_push;
    bool is_firm; /* a book said it when its second, or its lag, was over */

    uint8_t source; /* enum ipc_source, as soon as a book told it */
};

/* Orders of one book: open addressing, a power of two, at most half full. Each book is written into
 * a new table, so orders that left the book leave the table too. */
struct seen_table {
    struct seen *slots;
    uint32_t size, count;
};

struct account {
    struct seen_table last;
    uint64_t route; /* roles and shards that the whole book went to */
    bool is_published, has_gap;
    bool is_unsettled;    /* the last book said something that a later one will say more firmly */
    bool is_refused;      /* a ring took no book, or half of one, since told_mono_ns */
    int64_t told_mono_ns; /* when the last book that went out whole was read */
};

struct adp_feed {
    struct adp_live *live;
    struct adp_publisher *publisher;
    struct account *accounts; /* by account - 1 */
    uint32_t account_count;
    struct adp_feed_counts counts;

    /* The book under way. */
    uint32_t book_account; /* 0 = none */
    struct adp_feed_times book_times;
    struct seen_table book_table;
    uint32_t book_orders;
    bool book_is_whole, book_failed, book_is_unsettled;
};

struct adp_feed *adp_feed_open(struct adp_live *live, struct adp_publisher *publisher)
{
    struct adp_feed *feed = calloc(1, sizeof(*feed));
    LS_CHECK(feed != NULL);
    feed->live = live;
    feed->publisher = publisher;
    return feed;
}

void adp_feed_close(struct adp_feed *feed)
{
    if (feed == NULL)
        return;
    for (uint32_t i = 0; i < feed->account_count; i++)
        free(feed->accounts[i].last.slots);
    free(feed->accounts);
    free(feed->book_table.slots);
    free(feed);
}

/* Tables. */

static struct seen *seen_find(const struct seen_table *table, struct ipc_key order)
{
    if (table->size == 0)
        return NULL;
    for (uint64_t at = order.word[0];; at++) {
        struct seen *slot = &table->slots[at & (table->size - 1)];
        if (slot->order.word[0] == 0 && slot->order.word[1] == 0)
            return NULL;
        if (ipc_key_equal(slot->order, order))
            return slot;
    }
}

static void seen_put(struct seen_table *table, const struct seen *entry)
{
    if (2 * table->count >= table->size) {
        struct seen_table larger = {.size = table->size == 0 ? 64 : 2 * table->size};
        larger.slots = calloc(larger.size, sizeof(*larger.slots));
        LS_CHECK(larger.slots != NULL);
        for (uint32_t i = 0; i < table->size; i++)
            if (table->slots[i].order.word[0] != 0 || table->slots[i].order.word[1] != 0)
                seen_put(&larger, &table->slots[i]);
        free(table->slots);
        *table = larger;
    }
    struct seen *slot = seen_find(table, entry->order);
    if (slot != NULL) {
        *slot = *entry;
        return;
    }
    uint64_t at = entry->order.word[0];
    while (table->slots[at & (table->size - 1)].order.word[0] != 0 ||
           table->slots[at & (table->size - 1)].order.word[1] != 0)
        at++;
    table->slots[at & (table->size - 1)] = *entry;
    table->count++;
}

static void seen_clear(struct seen_table *table)
{
    if (table->size > 0)
        memset(table->slots, 0, table->size * sizeof(*table->slots));
    table->count = 0;
}

/* Accounts and routes. */

static struct account *account_of(struct adp_feed *feed, uint32_t account)
{
    if (account > feed->account_count) {
        feed->accounts = realloc(feed->accounts, account * sizeof(*feed->accounts));
        LS_CHECK(feed->accounts != NULL);
        memset(feed->accounts + feed->account_count, 0,
            (account - feed->account_count) * sizeof(*feed->accounts));
        feed->account_count = account;
    }
    return &feed->accounts[account - 1];
}

/* Shards of both classes as one number; 0 when the account publishes nothing. */
struct route {
    uint64_t orders, updates;
};

static struct route route_of(const struct adp_feed *feed, const struct ipc_row_account *row)
{
    struct route route = {0, 0};
    if ((row->roles & IPC_ROLE_MASTER) != 0)
        route.orders = adp_live_order_shards(feed->live, row);
    if ((row->roles & IPC_ROLE_FOLLOWER) != 0)
        route.updates = UINT64_C(1) << row->shard;
    return route;
}

static uint64_t route_hash(struct route route)
{
    return (route.orders * UINT64_C(0x9E3779B97F4A7C15)) ^ (route.updates << 1) ^ 1;
}

static enum ipc_rc publish_class(struct adp_feed *feed, uint64_t shards,
    enum ipc_ring_class ring_class, const struct ipc_event *event)
{
    enum ipc_rc worst = IPC_OK;
    for (; shards != 0; shards &= shards - 1) {
        const enum ipc_rc rc =
            adp_publish(feed->publisher, (uint32_t)__builtin_ctzll(shards), ring_class, event);
        if (rc != IPC_OK)
            worst = IPC_FULL;
    }
    return worst;
}

static enum ipc_rc publish_route(
    struct adp_feed *feed, struct route route, const struct ipc_event *event)
{
    const enum ipc_rc orders = publish_class(feed, route.orders, IPC_RING_ORDERS, event);
    const enum ipc_rc updates = publish_class(feed, route.updates, IPC_RING_UPDATES, event);
    return orders != IPC_OK ? orders : updates;
}

static enum ipc_rc publish(
    struct adp_feed *feed, const struct ipc_row_account *row, const struct ipc_event *event)
{
    return publish_route(feed, route_of(feed, row), event);
}

static bool accepts_class(struct adp_feed *feed, uint64_t shards, enum ipc_ring_class ring_class)
{
    for (; shards != 0; shards &= shards - 1)
        if (!adp_publisher_accepts(feed->publisher, (uint32_t)__builtin_ctzll(shards), ring_class))
            return false;
    return true;
}

bool adp_feed_accepts(struct adp_feed *feed, uint32_t account)
{
    const struct ipc_row_account *row = adp_live_account(feed->live, account);
    if (row == NULL)
        return false;
    const struct route route = route_of(feed, row);
    return accepts_class(feed, route.orders, IPC_RING_ORDERS) &&
           accepts_class(feed, route.updates, IPC_RING_UPDATES);
}

bool adp_feed_is_published(const struct adp_feed *feed, uint32_t account)
{
    return account > 0 && account <= feed->account_count &&
           feed->accounts[account - 1].is_published;
}

bool adp_feed_is_settled(const struct adp_feed *feed, uint32_t account)
{
    return account == 0 || account > feed->account_count ||
           !feed->accounts[account - 1].is_unsettled;
}

void adp_feed_generation(struct adp_feed *feed)
{
    for (uint32_t account = 1; account <= feed->account_count; account++) {
        struct account *state = &feed->accounts[account - 1];
        const struct ipc_row_account *row = adp_live_account(feed->live, account);
        if (state->is_published && (row == NULL || route_hash(route_of(feed, row)) != state->route))
            state->is_published = false;
    }
}

void adp_feed_counts(const struct adp_feed *feed, struct adp_feed_counts *out)
{
    *out = feed->counts;
}

/* Events. */

/* The moment at which a state began, by the broker. An order that was never published here counts
 * from its birth: what is new about it is all of it, not its last change. 0 = unknown. */
static int64_t began_ns(const struct ipc_event *order, const struct seen *last)
{
    const bool is_new = last == NULL || last->version == 0;
    return is_new && order->broker_wall_ns > 0 ? order->broker_wall_ns : order->version;
}

/* How old a state of a book may have been when it was read: it changed after the last read, and not
 * before the broker's own time of it. The smaller of what is known. */
static int64_t book_lag_of(const struct adp_feed_times *times, int64_t began)
{
    int64_t lag = AGE_UNKNOWN_NS;
    if (times->last_read_mono_ns > 0)
        lag = ls_min_i64(lag, times->read_mono_ns - times->last_read_mono_ns);
    if (began > 0)
        lag = ls_min_i64(lag, ls_max_i64(times->read_wall_ns - began, 0) + BROKER_TIME_STEP_NS);
    return ls_max_i64(lag, 0);
}

/* A frame is of now unless the broker's time says that its second is over. Without a time it is of
 * now while nothing is missed; in a gap it may be a replay, as old as the last book.
 *   returns  INT64_MAX when nobody can say */
static int64_t push_lag_of(const struct adp_feed_times *times, unsigned how, int64_t began)
{
    if (began > 0) {
        const int64_t since = times->read_wall_ns - began;
        return since > BROKER_TIME_STEP_NS ? since : 0;
    }
    if ((how & ADP_PUSH_WITHOUT_BOOK) != 0)
        return INT64_MAX;
    if ((how & ADP_PUSH_IN_GAP) == 0)
        return 0;
    return times->last_read_mono_ns > 0
               ? ls_max_i64(times->read_mono_ns - times->last_read_mono_ns, 0)
               : AGE_UNKNOWN_NS;
}

static uint64_t terms_of(const struct ipc_event *event)
{
    const int64_t values[] = {event->qty_e8, event->price_e8, event->trigger_e8, event->side,
        event->type, event->product, event->validity, event->stop_e8, event->target_e8,
        event->trail_e8};
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < LS_COUNT_OF(values); i++)
        hash = (hash ^ (uint64_t)values[i]) * UINT64_C(0x9E3779B97F4A7C15) ^ hash >> 29;
    return hash;
}

/* The broker's time of a pushed state. An order that waits for the exchange has no time of a change
 * yet: it is as its own time says. Without it a frame that was held up somewhere would be of now.
 */
static int64_t changed_ns(const struct ipc_event *order)
{
    const bool is_waiting = order->version == 0 && order->status == IPC_STATUS_PENDING;
    return is_waiting ? order->broker_wall_ns : order->version;
}

/* The rules of feed.h. */
static int64_t book_version_of(const struct adp_feed_times *times, int64_t broker_version_ns,
    uint64_t terms, const struct seen *last)
{
    const int64_t version =
        adp_book_version(broker_version_ns, times->read_wall_ns, times->book_lag_ns);
    if (last == NULL || last->version < version || last->terms == terms)
        return version;
    /* Books of one account follow one another, so after a book the reading decides; after a frame
     * only a book that is later beyond doubt. */
    const bool is_next_book = !last->is_push && broker_version_ns >= last->broker_version_ns;
    const bool is_overruled =
        is_next_book || times->read_mono_ns - times->book_lag_ns - OVERRULE_NS > last->read_mono_ns;
    return is_overruled ? last->version + 1 : version;
}

static int64_t push_version_of(const struct adp_feed_times *times, int64_t broker_version_ns,
    uint64_t terms, const struct seen *last)
{
    int64_t version = broker_version_ns, most = INT64_MAX;
    if (broker_version_ns == 0) {
        version = times->read_wall_ns;
    } else if (broker_version_ns % BROKER_TIME_STEP_NS == 0) {
        const int64_t since = times->read_wall_ns - broker_version_ns;
        version += ls_min_i64(ls_max_i64(since, 0), LATE_NS);
        most = broker_version_ns + BROKER_TIME_STEP_NS - 2; /* below a book that ends the second */
    }
    /* The frame before said the same time and other terms: their sequence decides. */
    if (last != NULL && last->is_push && last->version >= version && last->terms != terms &&
        last->broker_version_ns == broker_version_ns)
        version = ls_max_i64(version, ls_min_i64(last->version + 1, most));
    return version;
}

static void remember(struct seen *entry, const struct ipc_event *event, int64_t broker_version_ns,
    int64_t read_mono_ns, bool is_push)
{
    if (event->source != IPC_SOURCE_UNKNOWN)
        entry->source = event->source;
    if (event->version <= entry->version)
        return;
    entry->version = event->version;
    entry->broker_version_ns = broker_version_ns;
    entry->read_mono_ns = read_mono_ns;
    entry->terms = terms_of(event);
    entry->is_push = is_push;
}

/* Fills what the dialect cannot know, all but age and version. *content is what tells two states
 * apart: it has the broker's time of the change, and not the time of the reading. */
static void identify(const struct adp_feed *feed, const struct ipc_row_account *row,
    const char *client_tag, bool is_from_book, struct ipc_event *event, struct ipc_key *content)
{
    const struct ipc_snapshot_view *view = adp_live_view(feed->live);
    adp_identify(view->cluster->cluster_id, row, client_tag, is_from_book, event);
    *content = ipc_event_key(event);
}

static enum ipc_rc date(struct ipc_event *event, const struct adp_feed_times *times, int64_t lag_ns,
    int64_t version, struct ipc_error *error)
{
    event->feed_lag_ns = lag_ns;
    event->version = version;
    event->event_key = ipc_event_key(event);
    event->received_mono_ns = times->read_mono_ns;
    event->published_mono_ns = times->read_mono_ns;
    return ipc_event_check(event, error);
}

enum ipc_rc adp_feed_order(struct adp_feed *feed, uint32_t account,
    const struct adp_feed_times *times, const struct ipc_event *order, const char *client_tag,
    bool is_from_book, struct ipc_error *error)
{
    const struct ipc_row_account *row = adp_live_account(feed->live, account);
    struct ipc_event event = *order;
    struct ipc_key content;
    if (row == NULL)
        return IPC_NOT_FOUND;
    feed->counts.rows++;
    identify(feed, row, client_tag, is_from_book, &event, &content);
    const enum ipc_rc rc = date(&event, times, book_lag_of(times, order->version),
        book_version_of(times, order->version, 0, NULL), error);
    if (rc != IPC_OK)
        return rc;
    if (!adp_feed_accepts(feed, account))
        return IPC_FULL;
    feed->counts.changes++;
    return publish(feed, row, &event);
}

enum ipc_rc adp_feed_marker(struct adp_feed *feed, uint32_t account, enum ipc_event_kind kind,
    uint32_t order_count, int64_t read_mono_ns)
{
    const struct ipc_row_account *row = adp_live_account(feed->live, account);
    const struct ipc_event event = {
        .kind = (uint8_t)kind,
        .account = account,
        .flags = (uint8_t)(kind == IPC_EVENT_FEED_GAP ? 0u : IPC_EVENT_FROM_BOOK),
        .book_order_count = kind == IPC_EVENT_BOOK_END ? order_count : 0,
        .received_mono_ns = read_mono_ns,
        .published_mono_ns = read_mono_ns,
    };
    if (row == NULL)
        return IPC_NOT_FOUND;
    if (kind == IPC_EVENT_FEED_GAP)
        feed->counts.gaps++;
    return publish(feed, row, &event);
}

/* Books. */

static void give_up_book(struct adp_feed *feed)
{
    struct account *state = account_of(feed, feed->book_account);
    feed->book_failed = true;
    state->is_published = false;
    state->has_gap = true;
    state->is_refused = true;
}

bool adp_feed_book_begin(
    struct adp_feed *feed, uint32_t account, const struct adp_feed_times *times, bool whole)
{
    const struct ipc_row_account *row = adp_live_account(feed->live, account);
    LS_CHECK(feed->book_account == 0);
    if (row == NULL)
        return false;
    struct account *state = account_of(feed, account);
    if (!adp_feed_accepts(feed, account)) {
        state->is_refused = true;
        return false;
    }
    if (whole && state->is_published) {
        state->is_published = false;
        state->has_gap = true;
    }
    feed->book_account = account;
    feed->book_times = *times;
    /* What a read saw and no ring took is as old as if it had not been read. */
    if (state->is_refused)
        feed->book_times.last_read_mono_ns =
            ls_min_i64(times->last_read_mono_ns, state->told_mono_ns);
    feed->book_orders = 0;
    feed->book_failed = feed->book_is_unsettled = false;
    feed->book_is_whole = !state->is_published;
    seen_clear(&feed->book_table);
    if (!feed->book_is_whole)
        return true;
    if ((state->has_gap &&
            adp_feed_marker(feed, account, IPC_EVENT_FEED_GAP, 0, times->read_mono_ns) != IPC_OK) ||
        adp_feed_marker(feed, account, IPC_EVENT_BOOK_BEGIN, 0, times->read_mono_ns) != IPC_OK)
        give_up_book(feed);
    return true;
}

static void report_odd_row(struct adp_feed *feed, const struct ipc_event *order, const char *why)
{
    feed->counts.not_understood++;
    ipc_log(IPC_LOG_ERROR,
        "account %u: order %s is not published: %s; its copy is not made or not kept up",
        feed->book_account, order->broker_order_id, why);
}

/* Whether a later reading of the same state would say nothing more: its second is over, or, without
 * a time, it was read before and stood for as long as a book may lag. */
static bool is_last_word(const struct ipc_event *order, const struct ipc_event *event,
    const struct adp_feed_times *times, const struct seen *last)
{
    if (order->version == 0)
        return last != NULL &&
               times->read_mono_ns - last->published_mono_ns >= times->book_lag_ns + OVERRULE_NS;
    return order->version % BROKER_TIME_STEP_NS != 0 ||
           event->version >= order->version + BROKER_TIME_STEP_NS - 1;
}

void adp_feed_book_row(struct adp_feed *feed, const struct ipc_event *order, const char *client_tag)
{
    const struct ipc_row_account *row = adp_live_account(feed->live, feed->book_account);
    const struct account *state = &feed->accounts[feed->book_account - 1];
    const struct adp_feed_times *times = &feed->book_times;
    struct ipc_event event = *order;
    struct ipc_key content;
    struct ipc_error error = {.text = ""};
    LS_CHECK(feed->book_account != 0 && row != NULL);
    feed->counts.rows++;
    if (feed->book_failed)
        return;
    identify(feed, row, client_tag, feed->book_is_whole, &event, &content);
    const struct seen *last = seen_find(&state->last, event.order_key);
    const enum ipc_rc rc = date(&event, times, book_lag_of(times, began_ns(order, last)),
        book_version_of(times, order->version, terms_of(&event), last), &error);
    struct seen entry = last != NULL ? *last : (struct seen){.order = event.order_key};
    const bool is_new = last == NULL || !ipc_key_equal(last->content, content);
    const bool is_again = !is_new && (event.flags & IPC_EVENT_OWN_TAG) != 0 &&
                          !ipc_status_final((enum ipc_status)event.status) &&
                          times->read_mono_ns - last->published_mono_ns >= REPEAT_NS;
    /* The last word is said once, also where nothing changed: another producer, or this one before
     * it started anew, may have brought an earlier state with a version that is above the first
     * reading's. And terms that do not agree with the newest published ones are said until they
     * prevail. */
    const bool is_firm = is_last_word(order, &event, times, last);
    const bool is_other = last != NULL && last->version > 0 && last->terms != terms_of(&event);
    const bool is_due = is_new || is_again || is_other || feed->book_is_whole ||
                        (is_firm && last != NULL && !last->is_firm);
    const bool is_understood = order->status != 0 && rc == IPC_OK;
    entry.content = content;
    if (is_due)
        entry.published_mono_ns = times->read_mono_ns;
    if (is_due && is_understood) {
        remember(&entry, &event, order->version, times->read_mono_ns, false);
        entry.is_firm = is_firm;
    }
    if (is_understood && (!entry.is_firm || (is_other && event.version <= last->version)))
        feed->book_is_unsettled = true;
    seen_put(&feed->book_table, &entry);
    if (!is_understood) {
        if (is_new)
            report_odd_row(feed, order,
                order->status == 0 ? "a word or number in it is not known to this build"
                                   : error.text);
        return;
    }
    if (!is_due)
        return;
    if (publish(feed, row, &event) != IPC_OK) {
        give_up_book(feed);
        return;
    }
    feed->book_orders++;
    feed->counts.changes += is_new || feed->book_is_whole;
}

/* Frames may be ahead of the book that was read meanwhile: what they said stays known. */
static void keep_frames(struct adp_feed *feed, const struct account *state)
{
    const int64_t horizon = feed->book_times.read_mono_ns - feed->book_times.book_lag_ns;
    for (uint32_t i = 0; i < state->last.size; i++) {
        const struct seen *entry = &state->last.slots[i];
        if (entry->is_push && entry->read_mono_ns > horizon &&
            seen_find(&feed->book_table, entry->order) == NULL)
            seen_put(&feed->book_table, entry);
    }
}

void adp_feed_book_end(struct adp_feed *feed)
{
    const uint32_t account = feed->book_account;
    struct account *state = account_of(feed, account);
    const struct ipc_row_account *row = adp_live_account(feed->live, account);
    LS_CHECK(account != 0 && row != NULL);
    if (feed->book_is_whole && !feed->book_failed &&
        adp_feed_marker(feed, account, IPC_EVENT_BOOK_END, feed->book_orders,
            feed->book_times.read_mono_ns) != IPC_OK)
        give_up_book(feed);
    if (!feed->book_failed) {
        keep_frames(feed, state);
        state->is_unsettled = feed->book_is_unsettled;
        state->is_refused = false;
        state->told_mono_ns = feed->book_times.read_mono_ns;
        const struct seen_table old = state->last;
        state->last = feed->book_table;
        feed->book_table = old;
        if (feed->book_is_whole) {
            feed->counts.books++;
            state->is_published = true;
            state->has_gap = false;
            state->route = route_hash(route_of(feed, row));
        }
    }
    feed->book_account = 0;
}

/* Frames. */

/* By its source only a book can tell a foreign program's order from the person's; the engine bars
 * it where the account also follows, and cannot bar what it does not know. */
static bool needs_source(const struct ipc_row_account *row, const struct ipc_event *event)
{
    return event->source == IPC_SOURCE_UNKNOWN && (row->roles & IPC_ROLE_MASTER) != 0 &&
           (row->roles & IPC_ROLE_FOLLOWER) != 0 && (row->flags & IPC_ACCOUNT_API_TRADER) == 0 &&
           (event->flags & IPC_EVENT_OWN_TAG) == 0;
}

static enum ipc_rc publish_push(struct adp_feed *feed, const struct ipc_row_account *row,
    struct account *state, const struct ipc_event *event, unsigned *news)
{
    struct route route = route_of(feed, row);
    if (needs_source(row, event)) {
        route.orders = 0;
        feed->counts.withheld++;
        *news |= ADP_PUSH_WANTS_BOOK;
    }
    if (!adp_feed_accepts(feed, row->account) || publish_route(feed, route, event) != IPC_OK) {
        state->is_published = false;
        state->has_gap = true;
        *news |= ADP_PUSH_WANTS_BOOK;
        return IPC_FULL;
    }
    feed->counts.changes++;
    *news |= ADP_PUSH_PUBLISHED;
    return IPC_OK;
}

enum ipc_rc adp_feed_push(struct adp_feed *feed, uint32_t account,
    const struct adp_feed_times *times, unsigned how, const struct ipc_event *order, unsigned *news,
    struct ipc_error *error)
{
    const struct ipc_row_account *row = adp_live_account(feed->live, account);
    struct ipc_event event = *order;
    struct ipc_key content;
    *news = 0;
    event.version = changed_ns(order);
    const struct ipc_event told = event;
    if (row == NULL)
        return IPC_NOT_FOUND;
    struct account *state = account_of(feed, account);
    LS_CHECK(feed->book_account == 0);
    feed->counts.pushed++;
    if (!state->is_published && (how & ADP_PUSH_WITHOUT_BOOK) == 0) {
        /* Engines take what a first book holds as history; a frame before it could be a change of
         * an order that is hours old, and would look like a new one. */
        feed->counts.early++;
        *news = ADP_PUSH_WANTS_BOOK;
        return IPC_EMPTY;
    }
    identify(feed, row, order->client_tag, false, &event, &content);
    const struct seen *last = seen_find(&state->last, event.order_key);
    if (last != NULL && ipc_key_equal(last->content, content)) {
        feed->counts.repeated++;
        return IPC_OK;
    }
    if (last != NULL && event.source == IPC_SOURCE_UNKNOWN)
        event.source = last->source;
    const uint64_t terms = terms_of(&event);
    const int64_t lag = push_lag_of(times, how, began_ns(&told, last));
    if (lag == INT64_MAX)
        return IPC_STALE;
    enum ipc_rc rc =
        date(&event, times, lag, push_version_of(times, told.version, terms, last), error);
    if (rc != IPC_OK)
        return rc;
    /* The broker's time is not older, and still the state would lose: a book decides. */
    if (last != NULL && last->terms != terms && last->version >= event.version &&
        told.version >= last->broker_version_ns)
        *news |= ADP_PUSH_WANTS_BOOK;
    if (lag > 0)
        *news |= ADP_PUSH_WANTS_BOOK;
    rc = publish_push(feed, row, state, &event, news);
    if (rc != IPC_OK || needs_source(row, &event))
        return rc; /* not remembered: the book that follows publishes it */
    struct seen entry = last != NULL ? *last : (struct seen){.order = event.order_key};
    entry.content = content;
    entry.published_mono_ns = times->read_mono_ns;
    remember(&entry, &event, told.version, times->read_mono_ns, true);
    entry.is_firm = false;
    seen_put(&state->last, &entry);
    return IPC_OK;
}
