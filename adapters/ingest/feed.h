/* feed.h: from order states as a dialect or a file gives them to events in rings.
 *
 * Fills what the dialect cannot know (account, keys, tag digits, flags, ages), checks the event,
 * and routes it: an account that is a master to the `orders` ring of every shard that has followers
 * of it, a follower account to the `updates` ring of its own shard.
 *
 * Books: the first book of an account after the start, and the first after a gap, is published
 * whole between BOOK_BEGIN and BOOK_END, every order of it flagged FROM_BOOK; later books only
 * where an order's state changed. When a ring refuses an event the account has a gap: nothing more
 * of it is published until the ring takes events again, then FEED_GAP and the whole book.
 *
 *     not published ──book──▶ published ──changed rows──▶ published
 *           ▲                     │
 *           └── ring overflowed, roles or shards changed ──┘
 *
 * One thread. */
#ifndef LS_ADAPTERS_INGEST_FEED_H
#define LS_ADAPTERS_INGEST_FEED_H

#include "adapters/ingest/live.h"
#include "adapters/ingest/publish.h"

struct adp_feed;

struct adp_feed_counts {
    uint64_t books;          /* published whole */
    uint64_t rows;           /* looked at */
    uint64_t changes;        /* order states published */
    uint64_t gaps;           /* FEED_GAP published */
    uint64_t not_understood; /* rows whose words or numbers this build does not know */
};

/* adp_feed_open: live and publisher stay the caller's and outlive the feed. */
struct adp_feed *adp_feed_open(struct adp_live *live, struct adp_publisher *publisher);
void adp_feed_close(struct adp_feed *feed);

/* When a state was read, and since when nothing was read before. */
struct adp_feed_times {
    int64_t read_mono_ns, read_wall_ns;
    int64_t last_read_mono_ns; /* of this account, 0 = never in this process */
};

/* adp_feed_book_begin starts one book of an account; adp_feed_book_row takes one row of it, as a
 * dialect's callback gives it; adp_feed_book_end ends it. Books of two accounts do not interleave.
 *   whole    publish it whole even if the account is published (a gap of the feed itself)
 *   returns  of begin: false when the account is unknown or its rings take nothing now; then the
 *            book is not to be given */
LS_MUST_USE bool adp_feed_book_begin(
    struct adp_feed *feed, uint32_t account, const struct adp_feed_times *times, bool whole);
void adp_feed_book_row(
    struct adp_feed *feed, const struct ipc_event *order, const char *client_tag);
void adp_feed_book_end(struct adp_feed *feed);

/* adp_feed_order publishes one order state outside of a book, changed or not.
 *   returns  IPC_OK; IPC_BAD_INPUT with a sentence; IPC_NOT_FOUND when the account is unknown;
 *            IPC_FULL when a ring takes nothing now: the caller offers it again */
LS_MUST_USE enum ipc_rc adp_feed_order(struct adp_feed *feed, uint32_t account,
    const struct adp_feed_times *times, const struct ipc_event *order, const char *client_tag,
    bool is_from_book, struct ipc_error *error);

/* adp_feed_marker publishes BOOK_BEGIN, BOOK_END or FEED_GAP of an account.
 *   order_count  BOOK_END only
 *   returns      as adp_feed_order */
LS_MUST_USE enum ipc_rc adp_feed_marker(struct adp_feed *feed, uint32_t account,
    enum ipc_event_kind kind, uint32_t order_count, int64_t read_mono_ns);

/* adp_feed_accepts says whether every ring of an account takes events now. */
bool adp_feed_accepts(struct adp_feed *feed, uint32_t account);

/* adp_feed_is_published says whether the account's whole book was published since the last gap. */
bool adp_feed_is_published(const struct adp_feed *feed, uint32_t account);

/* adp_feed_generation is called after the live view changed: accounts whose roles or shards changed
 * are published whole again. */
void adp_feed_generation(struct adp_feed *feed);

void adp_feed_counts(const struct adp_feed *feed, struct adp_feed_counts *out);

#endif
