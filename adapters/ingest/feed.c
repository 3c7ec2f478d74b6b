#include "adapters/ingest/feed.h"

#include "ipc/clock.h"
#include "ipc/log.h"
#include "ipc/tag.h"

#include <stdlib.h>
#include <string.h>

/* The age of a state that nobody can date: older than any limit, small enough to add to clocks. */
#define AGE_UNKNOWN_NS      (24 * 3600 * LS_NS_PER_S)

/* Brokers' times have whole seconds. */
#define BROKER_TIME_STEP_NS LS_NS_PER_S

/* A working copy of ours is said again after so long: an engine that waits to learn what became of
 * a request needs a reading that is later than its doubt, also when the order did not change. */
#define REPEAT_NS           (5 * LS_NS_PER_S)

/* The last state of one order that was published. */
struct seen {
    struct ipc_key order;      /* zero = free */
    struct ipc_key content;    /* event key, with the broker's version or none */
    int64_t published_mono_ns; /* read time of the reading that was published last */
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
    bool book_is_whole, book_failed;
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
        slot->content = entry->content;
        slot->published_mono_ns = entry->published_mono_ns;
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

static enum ipc_rc publish(
    struct adp_feed *feed, const struct ipc_row_account *row, const struct ipc_event *event)
{
    const struct route route = route_of(feed, row);
    const enum ipc_rc orders = publish_class(feed, route.orders, IPC_RING_ORDERS, event);
    const enum ipc_rc updates = publish_class(feed, route.updates, IPC_RING_UPDATES, event);
    return orders != IPC_OK ? orders : updates;
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

/* How old the state may have been when it was read: it changed after the last read, and not before
 * the broker's own time of it. The smaller of what is known. */
static int64_t lag_of(const struct adp_feed_times *times, int64_t broker_version_ns)
{
    int64_t lag = AGE_UNKNOWN_NS;
    if (times->last_read_mono_ns > 0)
        lag = ls_min_i64(lag, times->read_mono_ns - times->last_read_mono_ns);
    if (broker_version_ns > 0)
        lag = ls_min_i64(
            lag, ls_max_i64(times->read_wall_ns - broker_version_ns, 0) + BROKER_TIME_STEP_NS);
    return ls_max_i64(lag, 0);
}

/* The broker's update time has whole seconds, and two amendments within one must not tie: within
 * the second the time of the read orders them, since reads of one account follow one another. A
 * state that is read later than its second always gets the second's end, so reading it again
 * changes nothing. */
static int64_t version_of(const struct adp_feed_times *times, int64_t broker_version_ns)
{
    if (broker_version_ns == 0)
        return times->read_wall_ns;
    if (broker_version_ns % BROKER_TIME_STEP_NS != 0)
        return broker_version_ns;
    const int64_t since = ls_max_i64(times->read_wall_ns - broker_version_ns, 0);
    return broker_version_ns + ls_min_i64(since, BROKER_TIME_STEP_NS - 1);
}

static void set_tag(
    struct ipc_event *event, const struct ipc_row_account *row, const char *client_tag)
{
    struct ipc_tag_parts parts;
    memset(event->client_tag, 0, sizeof(event->client_tag));
    if (ipc_tag_parse(client_tag, strlen(client_tag), &parts) != IPC_OK)
        return;
    memcpy(event->client_tag, client_tag, IPC_TAG_CHARACTERS);
    event->flags = (uint8_t)(event->flags | IPC_EVENT_OWN_TAG);
    if ((row->flags & IPC_ACCOUNT_CHAINING) != 0)
        event->flags = (uint8_t)(event->flags | IPC_EVENT_CHAINED);
}

/* Completes a dialect's event. *content is what tells two states apart: the read time, which stands
 * in for a missing broker time, is not part of it.
 *   returns  IPC_OK or IPC_BAD_INPUT */
static enum ipc_rc complete(const struct adp_feed *feed, const struct ipc_row_account *row,
    const struct adp_feed_times *times, const char *client_tag, bool is_from_book,
    struct ipc_event *event, struct ipc_key *content, struct ipc_error *error)
{
    const struct ipc_snapshot_view *view = adp_live_view(feed->live);
    event->kind = IPC_EVENT_ORDER;
    event->account = row->account;
    event->flags = (uint8_t)(is_from_book ? IPC_EVENT_FROM_BOOK : 0u);
    event->book_order_count = 0;
    event->reserved = 0;
    set_tag(event, row, client_tag);
    ipc_order_key(view->cluster->cluster_id, row->account, event->broker_order_id,
        &event->order_key, &event->order_digits);
    *content = ipc_event_key(event);
    event->feed_lag_ns = lag_of(times, event->version);
    event->version = version_of(times, event->version);
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
    const enum ipc_rc rc =
        complete(feed, row, times, client_tag, is_from_book, &event, &content, error);
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
}

bool adp_feed_book_begin(
    struct adp_feed *feed, uint32_t account, const struct adp_feed_times *times, bool whole)
{
    const struct ipc_row_account *row = adp_live_account(feed->live, account);
    LS_CHECK(feed->book_account == 0);
    if (row == NULL || !adp_feed_accepts(feed, account))
        return false;
    struct account *state = account_of(feed, account);
    if (whole && state->is_published) {
        state->is_published = false;
        state->has_gap = true;
    }
    feed->book_account = account;
    feed->book_times = *times;
    feed->book_orders = 0;
    feed->book_failed = false;
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

void adp_feed_book_row(struct adp_feed *feed, const struct ipc_event *order, const char *client_tag)
{
    const struct ipc_row_account *row = adp_live_account(feed->live, feed->book_account);
    const struct account *state = &feed->accounts[feed->book_account - 1];
    struct ipc_event event = *order;
    struct seen entry;
    struct ipc_error error = {.text = ""};
    LS_CHECK(feed->book_account != 0 && row != NULL);
    feed->counts.rows++;
    if (feed->book_failed)
        return;
    const enum ipc_rc rc = complete(feed, row, &feed->book_times, client_tag, feed->book_is_whole,
        &event, &entry.content, &error);
    entry.order = event.order_key;
    const struct seen *last = seen_find(&state->last, entry.order);
    const bool is_new = last == NULL || !ipc_key_equal(last->content, entry.content);
    const int64_t read_mono_ns = feed->book_times.read_mono_ns;
    const bool is_again = !is_new && (event.flags & IPC_EVENT_OWN_TAG) != 0 &&
                          !ipc_status_final((enum ipc_status)event.status) &&
                          read_mono_ns - last->published_mono_ns >= REPEAT_NS;
    entry.published_mono_ns =
        is_new || is_again || feed->book_is_whole ? read_mono_ns : last->published_mono_ns;
    seen_put(&feed->book_table, &entry);
    if (order->status == 0 || rc != IPC_OK) {
        if (is_new)
            report_odd_row(feed, order,
                order->status == 0 ? "a word or number in it is not known to this build"
                                   : error.text);
        return;
    }
    if (!feed->book_is_whole && !is_new && !is_again)
        return;
    if (publish(feed, row, &event) != IPC_OK) {
        give_up_book(feed);
        return;
    }
    feed->book_orders++;
    feed->counts.changes += is_new || feed->book_is_whole;
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
