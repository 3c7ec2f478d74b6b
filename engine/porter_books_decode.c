/* porter_books_decode.c: from the body of a book or of positions to what the pinned thread takes.
 */
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/identify.h"
#include "engine/porter_books_private.h"
#include "ipc/clock.h"
#include "ipc/tag.h"

/* Nothing of a query may ever be young enough to be copied, should the account be a master too. */
#define AGE_OF_BOOKS_NS (24 * 3600 * LS_NS_PER_S)

struct eng_book *books_new(const struct eng_books_ask *ask)
{
    struct eng_book *book = calloc(1, sizeof(*book));
    LS_CHECK(book != NULL);
    book->what = ask->what;
    book->answer.account = ask->account;
    book->answer.ask_no = ask->ask_no;
    return book;
}

void books_drop(struct eng_book *book)
{
    if (book == NULL)
        return;
    free(book->orders);
    free(book->lines);
    free(book);
}

/* What one walk over the rows needs. */
struct decoding {
    const struct ipc_snapshot_view *view;
    const struct ipc_row_account *account;
    const struct adp_instruments *instruments;
    struct eng_book *book;
    int64_t sent_mono_ns, read_wall_ns, lag_ns;
    uint32_t room, line_room;
    uint32_t odd; /* rows that exist and are not understood */
};

static uint32_t find_instrument(enum ipc_exchange exchange, struct adp_span text, void *context)
{
    const struct decoding *decoding = context;
    return adp_instruments_find(decoding->instruments, decoding->account->broker, exchange, text);
}

/* ---- orders -----------------------------------------------------------------------------------
 */

static void take_order(const struct ipc_event *order, const char *client_tag, void *context)
{
    struct decoding *decoding = context;
    struct eng_book *book = decoding->book;
    struct ipc_event event = *order;
    book->answer.order_count++;
    adp_identify(decoding->view->cluster->cluster_id, decoding->account, client_tag, true, &event);
    event.version = adp_book_version(order->version, decoding->read_wall_ns, decoding->lag_ns);
    event.event_key = ipc_event_key(&event);
    event.received_mono_ns = event.published_mono_ns = decoding->sent_mono_ns;
    event.feed_lag_ns = AGE_OF_BOOKS_NS;
    if (event.status == 0 || ipc_event_check(&event, NULL) != IPC_OK) {
        decoding->odd++;
        return;
    }
    if (book->answer.orders_count == decoding->room) {
        decoding->room = decoding->room == 0 ? 64 : 2 * decoding->room;
        book->orders = realloc(book->orders, decoding->room * sizeof(*book->orders));
        LS_CHECK(book->orders != NULL);
    }
    book->orders[book->answer.orders_count++] = event;
}

static int by_key(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(struct ipc_key));
}

/* One order in two rows: pages that overlap, or a book that changed while it was written. */
static bool has_twins(const struct eng_book *book)
{
    const uint32_t count = book->answer.orders_count;
    bool found = false;
    if (count < 2)
        return false;
    struct ipc_key *keys = malloc(count * sizeof(*keys));
    LS_CHECK(keys != NULL);
    for (uint32_t i = 0; i < count; i++)
        keys[i] = book->orders[i].order_key;
    qsort(keys, count, sizeof(*keys), by_key);
    for (uint32_t i = 1; i < count && !found; i++)
        found = ipc_key_equal(keys[i - 1], keys[i]);
    free(keys);
    return found;
}

static enum ipc_book result_of(enum adp_rc rc, bool is_empty_code, uint32_t rows, bool is_odd)
{
    if (rc == ADP_AUTH)
        return IPC_BOOK_AUTH;
    if (rc != ADP_OK)
        return IPC_BOOK_ERROR;
    if (is_empty_code)
        return IPC_BOOK_NO_ORDERS;
    if (rows == 0)
        return IPC_BOOK_EMPTY;
    return is_odd ? IPC_BOOK_ODD : IPC_BOOK_GOOD;
}

static enum ipc_book decode_orders(const struct adp_dialect *dialect, struct decoding *decoding,
    uint32_t http_status, struct adp_span body)
{
    struct eng_book *book = decoding->book;
    bool is_empty_code = false;
    const enum adp_rc rc = dialect->decode_book(
        http_status, body, find_instrument, take_order, decoding, &is_empty_code);
    book->answer.complete = dialect->capabilities.book_complete;
    book->answer.orders = book->orders;
    return result_of(
        rc, is_empty_code, book->answer.order_count, decoding->odd > 0 || has_twins(book));
}

/* ---- positions --------------------------------------------------------------------------------
 */

static struct eng_books_line *line_of(
    struct decoding *decoding, uint32_t instrument, uint8_t product)
{
    struct eng_book *book = decoding->book;
    for (uint32_t i = 0; i < book->line_count; i++)
        if (book->lines[i].instrument == instrument && book->lines[i].product == product)
            return &book->lines[i];
    if (book->line_count == decoding->line_room) {
        decoding->line_room = decoding->line_room == 0 ? 32 : 2 * decoding->line_room;
        book->lines = realloc(book->lines, decoding->line_room * sizeof(*book->lines));
        LS_CHECK(book->lines != NULL);
    }
    struct eng_books_line *line = &book->lines[book->line_count++];
    *line = (struct eng_books_line){.instrument = instrument, .product = product};
    return line;
}

static void fold_fills(struct decoding *decoding)
{
    const struct eng_book *book = decoding->book;
    for (uint32_t i = 0; i < book->answer.orders_count; i++) {
        const struct ipc_event *order = &book->orders[i];
        if (order->filled_qty_e8 == 0)
            continue;
        struct eng_books_line *line = line_of(decoding, order->instrument, order->product);
        const int64_t signed_e8 =
            order->side == IPC_SIDE_BUY ? order->filled_qty_e8 : -order->filled_qty_e8;
        if ((order->flags & IPC_EVENT_OWN_TAG) != 0)
            line->ours_qty_e8 += signed_e8;
        else
            line->others_qty_e8 += signed_e8;
    }
}

static void take_position(const struct adp_position *position, void *context)
{
    struct decoding *decoding = context;
    line_of(decoding, position->instrument, (uint8_t)position->product)->net_qty_e8 +=
        position->net_qty_e8;
}

/* Of positions an empty list is an answer: whoever has traded nothing has none. */
static enum ipc_book decode_positions(const struct adp_dialect *dialect, struct decoding *decoding,
    uint32_t http_status, struct adp_span body)
{
    bool is_empty_code = false;
    if (dialect->decode_positions == NULL)
        return IPC_BOOK_ERROR;
    /* The lines of the first step are still in their memory. */
    decoding->line_room = decoding->book->line_count;
    const enum adp_rc rc = dialect->decode_positions(
        http_status, body, find_instrument, take_position, decoding, &is_empty_code);
    return rc == ADP_OK ? IPC_BOOK_GOOD : result_of(rc, false, 1, false);
}

enum ipc_book books_decode(struct eng_porter *porter, const struct adp_instruments *instruments,
    struct books_job *job, uint32_t http_status)
{
    const struct eng_generation *generation = porter->generation;
    const struct adp_dialect *dialect = generation->brokers[job->broker].dialect;
    const struct adp_span body = {job->body.bytes, job->body.count};
    struct eng_book *book = job->book;
    enum ipc_book result = IPC_BOOK_ERROR;
    uint8_t digest[SHA256_DIGEST_LENGTH];
    struct decoding decoding = {
        .view = &generation->view,
        .account = &generation->view.accounts[job->ask.account - 1],
        .instruments = instruments,
        .book = book,
        .sent_mono_ns = job->sent_mono_ns,
        .read_wall_ns = ipc_clock_wall_ns() - (ipc_clock_mono_ns() - job->sent_mono_ns),
    };
    LS_CHECK(dialect != NULL);
    decoding.lag_ns = dialect->capabilities.book_lag_ns;
    LS_CHECK(SHA256(body.bytes, body.count, digest) == digest);
    memcpy(book->answer.digest, digest, sizeof(book->answer.digest));
    if (job->step == 0)
        result = decode_orders(dialect, &decoding, http_status, body);
    else
        result = decode_positions(dialect, &decoding, http_status, body);
    if (job->ask.what == ENG_BOOKS_POSITIONS && job->step == 0 &&
        (result == IPC_BOOK_GOOD || result == IPC_BOOK_EMPTY || result == IPC_BOOK_NO_ORDERS)) {
        fold_fills(&decoding);
        result = IPC_BOOK_GOOD;
    }
    return result;
}
