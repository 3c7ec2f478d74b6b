/* feed.h: from order states as a dialect or a file gives them to events in rings: books (read over
 * and over), frames that a broker pushes (its order socket, its webhook), lines of a file.
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
 * Versions: whichever way a state comes, its event's version puts it in the order in which the
 * broker's order went through its states, so that engines join to the last one (ORDER-SAFETY 3.1).
 * Brokers' times have whole seconds, therefore within one second T
 *
 *     T + 0 .. 0.9 s      frames, by the time they came
 *     T + 0.9 s + n ns    frames that came later than that, by their sequence
 *     T + 0 .. 1 s - 1 ns books, by the time they were read less the book's own lag
 *
 * and therefore a book that was read when the second was over, and its lag, has the last word of
 * the second; it is said once more for that. Books of one account follow one another: of two with
 * one time and other terms the later is newer. After a frame, a book with other terms is newer when
 * it was read later than its lag and a second, whatever the broker's clock says. A state without a
 * time gets the time of its reading, less a book's lag. A pushed state that waits for the
 * exchange (PENDING) and has no time of a change is of its order's own time.
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
    uint64_t pushed;         /* frames with an order state */
    uint64_t repeated;       /* of them, that said nothing new */
    uint64_t withheld;       /* of them, kept from `orders` until a book tells their source */
    uint64_t early;          /* of them, before the account's first book: the book has them */
};

/* adp_feed_open: live and publisher stay the caller's and outlive the feed. */
struct adp_feed *adp_feed_open(struct adp_live *live, struct adp_publisher *publisher);
void adp_feed_close(struct adp_feed *feed);

/* When a state was read, and since when nothing was read before. */
struct adp_feed_times {
    int64_t read_mono_ns, read_wall_ns;
    int64_t last_read_mono_ns; /* of this account, 0 = never in this process */
    int64_t book_lag_ns;       /* how far the broker's book may be behind; books only */
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

/* How a frame came. */
#define ADP_PUSH_IN_GAP       1u /* no book was read since the feed came back */
#define ADP_PUSH_WITHOUT_BOOK 2u /* this process reads no books (webhook) */

/* What adp_feed_push has to say beyond its result. */
#define ADP_PUSH_PUBLISHED    1u
#define ADP_PUSH_WANTS_BOOK                                                                        \
    2u /* read the account's book now: it knows what the frame leaves open */

/* adp_feed_push publishes one state that the broker pushed. Frames of one account come in the order
 * in which the broker sent them. A frame carries no source: for an account that is master and
 * follower and no API trader, an order whose source no book has told yet is kept from the `orders`
 * ring, because it may be an order that another program placed.
 *   times    when its bytes came; last_read_mono_ns of the last book, for frames in a gap
 *   how      ADP_PUSH_IN_GAP, ADP_PUSH_WITHOUT_BOOK
 *   order    as decode_push gives it, client_tag included
 *   news     ADP_PUSH_PUBLISHED, ADP_PUSH_WANTS_BOOK
 *   returns  IPC_OK, also when it said nothing new; IPC_EMPTY before the account's first book,
 *            which has it then; IPC_NOT_FOUND; IPC_BAD_INPUT with a sentence; IPC_FULL when a ring
 *            took nothing: the account has a gap then, and the frame is to be had from a book;
 *            IPC_STALE for a frame without any time from a process that reads no books: nobody can
 *            say how old it is */
LS_MUST_USE enum ipc_rc adp_feed_push(struct adp_feed *feed, uint32_t account,
    const struct adp_feed_times *times, unsigned how, const struct ipc_event *order, unsigned *news,
    struct ipc_error *error);

/* adp_feed_marker publishes BOOK_BEGIN, BOOK_END or FEED_GAP of an account.
 *   order_count  BOOK_END only
 *   returns      as adp_feed_order */
LS_MUST_USE enum ipc_rc adp_feed_marker(struct adp_feed *feed, uint32_t account,
    enum ipc_event_kind kind, uint32_t order_count, int64_t read_mono_ns);

/* adp_feed_accepts says whether every ring of an account takes events now. */
bool adp_feed_accepts(struct adp_feed *feed, uint32_t account);

/* adp_feed_is_published says whether the account's whole book was published since the last gap. */
bool adp_feed_is_published(const struct adp_feed *feed, uint32_t account);

/* adp_feed_is_settled says whether the account's last book said the last word of all that it said:
 * false asks for another one, its lag and a second later. */
bool adp_feed_is_settled(const struct adp_feed *feed, uint32_t account);

/* adp_feed_generation is called after the live view changed: accounts whose roles or shards changed
 * are published whole again. */
void adp_feed_generation(struct adp_feed *feed);

void adp_feed_counts(const struct adp_feed *feed, struct adp_feed_counts *out);

#endif
