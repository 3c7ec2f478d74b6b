#include "adapters/ingest/ndjson.h"

#include "ipc/clock.h"
#include "ipc/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FOLLOW_LOOK_MS 20
#define FULL_LOOK_NS   (LS_NS_PER_MS)

/* Lines of a descriptor, one buffer. */
struct lines {
    int fd;
    char bytes[ADP_NDJSON_LINE_BYTES_MAX + 1];
    size_t start, count; /* of the bytes not given out */
    uint64_t number;     /* of the last line given out, from 1 */
    bool is_skipping;    /* inside a line that is too long */
    bool at_end;
};

enum line_rc { LINE_GOOD, LINE_TOO_LONG, LINE_NOT_YET, LINE_END, LINE_FAILED };

/* Bytes that are there already, without waiting; a last line without a line end counts at the end
 * of the file. */
static enum line_rc next_line(struct lines *lines, struct adp_span *out)
{
    char *end = memchr(lines->bytes + lines->start, '\n', lines->count);
    if (end == NULL && lines->at_end && lines->count > 0)
        end = lines->bytes + lines->start + lines->count;
    if (end == NULL) {
        if (lines->count == ADP_NDJSON_LINE_BYTES_MAX) { /* the start of it is dropped */
            lines->is_skipping = true;
            lines->count = 0;
        } else if (lines->at_end && lines->is_skipping) {
            lines->is_skipping = false;
            lines->number++;
            *out = (struct adp_span){NULL, 0};
            return LINE_TOO_LONG;
        }
        return lines->at_end ? LINE_END : LINE_NOT_YET;
    }
    const size_t length = (size_t)(end - (lines->bytes + lines->start));
    *out = (struct adp_span){(const uint8_t *)lines->bytes + lines->start, length};
    const size_t used = length < lines->count ? length + 1 : length;
    lines->start += used;
    lines->count -= used;
    lines->number++;
    const bool was_skipping = lines->is_skipping;
    lines->is_skipping = false;
    return was_skipping ? LINE_TOO_LONG : LINE_GOOD;
}

/* Reads more, waiting up to wait_ms for it. */
static enum line_rc read_more(struct lines *lines, bool follow, int wait_ms)
{
    struct pollfd waiting = {.fd = lines->fd, .events = POLLIN};
    if (lines->start > 0)
        memmove(lines->bytes, lines->bytes + lines->start, lines->count);
    lines->start = 0;
    if (poll(&waiting, 1, wait_ms) <= 0)
        return LINE_NOT_YET;
    const ssize_t got =
        read(lines->fd, lines->bytes + lines->count, ADP_NDJSON_LINE_BYTES_MAX - lines->count);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN ? LINE_NOT_YET : LINE_FAILED;
    if (got == 0 && follow) {
        (void)poll(NULL, 0, FOLLOW_LOOK_MS);
        return LINE_NOT_YET;
    }
    lines->at_end = got == 0;
    lines->count += (size_t)got;
    return LINE_GOOD;
}

struct run {
    const struct adp_ndjson_options *options;
    struct adp_live *live;
    struct adp_feed *feed;
    struct adp_publisher *publisher;
    const volatile sig_atomic_t *stop;
    const char *path;
    uint32_t *book_orders; /* by account - 1, plus one; 0 = no line of it yet */
    uint32_t book_accounts;
    uint64_t good, bad, unpublished;
};

/* Waits until nothing is held back; false when the process is to stop. */
static bool wait_for_room(struct run *run)
{
    bool has_said = false;
    while (adp_publisher_flush(run->publisher, ipc_clock_mono_ns()) > 0) {
        const struct timespec nap = {.tv_nsec = FULL_LOOK_NS};
        if (*run->stop)
            return false;
        if (!has_said)
            ipc_log(IPC_LOG_WARN, "a ring is full; %s waits for its engine", run->path);
        has_said = true;
        (void)nanosleep(&nap, NULL);
    }
    return true;
}

static uint32_t *book_of(struct run *run, uint32_t account)
{
    if (account > run->book_accounts) {
        run->book_orders = realloc(run->book_orders, account * sizeof(uint32_t));
        LS_CHECK(run->book_orders != NULL);
        memset(run->book_orders + run->book_accounts, 0,
            (account - run->book_accounts) * sizeof(uint32_t));
        run->book_accounts = account;
    }
    return &run->book_orders[account - 1];
}

static enum ipc_rc publish_row(
    struct run *run, const struct adp_ndjson_row *row, struct ipc_error *error)
{
    const struct adp_feed_times times = {
        .read_mono_ns = ipc_clock_mono_ns(),
        .read_wall_ns = ipc_clock_wall_ns(),
        /* A line without a time is a state of now: who writes it vouches for that. */
        .last_read_mono_ns = row->order.version == 0 ? ipc_clock_mono_ns() : 0,
    };
    if (!wait_for_room(run))
        return IPC_FULL;
    if (run->options->is_book) {
        uint32_t *orders = book_of(run, row->account);
        if (*orders == 0) {
            const enum ipc_rc rc = adp_feed_marker(
                run->feed, row->account, IPC_EVENT_BOOK_BEGIN, 0, times.read_mono_ns);
            if (rc != IPC_OK)
                return rc;
            *orders = 1;
        }
        ++*orders;
    }
    return adp_feed_order(
        run->feed, row->account, &times, &row->order, row->tag, run->options->is_book, error);
}

static void take_line(struct run *run, uint64_t number, struct adp_span line, bool is_too_long)
{
    struct adp_ndjson_row row;
    struct ipc_error error = {.text = ""};
    if (line.count > 0 && line.bytes[line.count - 1] == '\r')
        line.count--;
    if (line.count == 0 && !is_too_long)
        return; /* an empty line separates */
    enum ipc_rc rc = IPC_TOO_LONG;
    if (is_too_long)
        ipc_error_set(&error, "the line is longer than %u bytes", ADP_NDJSON_LINE_BYTES_MAX);
    else
        rc = adp_ndjson_parse(run->live, line, &row, &error);
    if (rc != IPC_OK) {
        run->bad++;
        ipc_log(IPC_LOG_ERROR, "%s:%llu: %s", run->path, (unsigned long long)number, error.text);
        return;
    }
    if (row.order.instrument == 0)
        ipc_log(IPC_LOG_WARN, "%s:%llu: the instrument is not in the snapshot; nobody can copy it",
            run->path, (unsigned long long)number);
    rc = publish_row(run, &row, &error);
    if (rc == IPC_OK) {
        run->good++;
        return;
    }
    if (rc == IPC_BAD_INPUT) {
        run->bad++;
        ipc_log(IPC_LOG_ERROR, "%s:%llu: %s", run->path, (unsigned long long)number, error.text);
        return;
    }
    run->unpublished++;
    ipc_log(IPC_LOG_ERROR, "%s:%llu: is not published: %s", run->path, (unsigned long long)number,
        ipc_rc_text(rc));
}

static void end_books(struct run *run)
{
    for (uint32_t account = 1; account <= run->book_accounts; account++) {
        const uint32_t orders = run->book_orders[account - 1];
        if (orders == 0)
            continue;
        if (!wait_for_room(run) || adp_feed_marker(run->feed, account, IPC_EVENT_BOOK_END,
                                       orders - 1, ipc_clock_mono_ns()) != IPC_OK)
            run->unpublished++;
    }
}

/* Lines as they come, the snapshot's generations and the rings' needs between them. */
static enum line_rc read_lines(struct run *run, struct lines *lines)
{
    struct adp_span line;
    while (!*run->stop) {
        enum line_rc rc;
        if (adp_live_follow(run->live))
            adp_feed_generation(run->feed);
        while ((rc = next_line(lines, &line)) == LINE_GOOD || rc == LINE_TOO_LONG) {
            take_line(run, lines->number, line, rc == LINE_TOO_LONG);
            if (*run->stop)
                return LINE_END;
        }
        (void)adp_publisher_flush(run->publisher, ipc_clock_mono_ns());
        if (rc == LINE_END)
            return LINE_END;
        if (read_more(lines, run->options->follow, 100) == LINE_FAILED)
            return LINE_FAILED;
    }
    return LINE_END;
}

int adp_ndjson_run(const struct adp_ndjson_options *options, struct adp_live *live,
    struct adp_feed *feed, struct adp_publisher *publisher, const volatile sig_atomic_t *stop)
{
    const bool is_stdin = strcmp(options->path, "-") == 0;
    struct run run = {
        .options = options,
        .live = live,
        .feed = feed,
        .publisher = publisher,
        .stop = stop,
        .path = is_stdin ? "stdin" : options->path,
    };
    struct lines *lines = calloc(1, sizeof(*lines));
    LS_CHECK(lines != NULL);
    lines->fd = is_stdin ? STDIN_FILENO : open(options->path, O_RDONLY | O_CLOEXEC);
    if (lines->fd < 0) {
        ipc_log(IPC_LOG_ERROR, "%s cannot be read: %s", run.path, strerror(errno));
        free(lines);
        return 2;
    }
    const enum line_rc rc = read_lines(&run, lines);
    if (rc == LINE_FAILED)
        ipc_log(IPC_LOG_ERROR, "%s: reading failed: %s", run.path, strerror(errno));
    end_books(&run);
    if (!wait_for_room(&run))
        run.unpublished += adp_publisher_flush(publisher, ipc_clock_mono_ns());
    ipc_log(IPC_LOG_INFO, "%s: %llu orders published, %llu lines bad, %llu not published", run.path,
        (unsigned long long)run.good, (unsigned long long)run.bad,
        (unsigned long long)run.unpublished);
    if (!is_stdin)
        (void)close(lines->fd);
    free(run.book_orders);
    free(lines);
    if (rc == LINE_FAILED)
        return 2;
    return run.bad > 0 || run.unpublished > 0 ? 1 : 0;
}
