/* ndjson.h: order states from a file or a pipe, one JSON object per line. The schema is in
 * README.md beside this file.
 *
 * A bad line is reported with file and line number, and the rest goes on. A full ring makes the
 * reader wait: the file is the queue. */
#ifndef LS_ADAPTERS_INGEST_NDJSON_H
#define LS_ADAPTERS_INGEST_NDJSON_H

#include "adapters/ingest/feed.h"

#include <signal.h>

#define ADP_NDJSON_LINE_BYTES_MAX 16384u

/* One line, understood. */
struct adp_ndjson_row {
    uint32_t account;
    struct ipc_event order; /* as a dialect gives it: version 0 when the line has no time */
    char tag[64];
};

/* adp_ndjson_parse reads one line without its line end.
 *   returns  IPC_OK, or IPC_BAD_INPUT with a sentence that names the field */
LS_MUST_USE enum ipc_rc adp_ndjson_parse(const struct adp_live *live, struct adp_span line,
    struct adp_ndjson_row *row, struct ipc_error *error);

/* adp_ndjson_time reads "2026-01-31T09:15:00[.fraction](Z|+05:30|-05:30)" as ns UTC; 0 when it is
 * no such time. */
int64_t adp_ndjson_time(const char *text);

struct adp_ndjson_options {
    const char *path; /* "-" = stdin */
    bool follow;      /* wait for more at the end of the file */
    bool is_book;     /* the lines are whole books: BOOK_BEGIN before an account's first line,
                         BOOK_END at the end of the file */
};

/* adp_ndjson_run reads until the end, or until *stop.
 *   returns  the process's exit code: 0 all published, 1 a line was bad or something could not be
 *            published, 2 the file cannot be read */
int adp_ndjson_run(const struct adp_ndjson_options *options, struct adp_live *live,
    struct adp_feed *feed, struct adp_publisher *publisher, const volatile sig_atomic_t *stop);

#endif
