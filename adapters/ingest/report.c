#include "adapters/ingest/report.h"

#include "ipc/log.h"
#include "ipc/metrics.h"

#include <stdio.h>
#include <stdlib.h>

/* Where each figure comes from, its kind and its help text. */
#define FIGURE_LIST(X)                                                                             \
    X(published, COUNTER, "events_published_total", "Events that entered rings")                   \
    X(held, COUNTER, "events_held_total", "Events that waited because their ring was full")        \
    X(waiting, GAUGE, "events_waiting", "Events that wait now")                                    \
    X(refused, COUNTER, "events_refused_total", "Events refused because ring and queue were full") \
    X(books, COUNTER, "books_published_total", "Books published whole")                            \
    X(rows, COUNTER, "book_rows_total", "Book rows and lines looked at")                           \
    X(changes, COUNTER, "order_states_total", "Order states published")                            \
    X(gaps, COUNTER, "feed_gaps_total", "Gaps told to engines")                                    \
    X(not_understood, COUNTER, "rows_not_understood_total", "Rows this build does not know")       \
    X(requests, COUNTER, "requests_total", "Reads finished")                                       \
    X(failures, COUNTER, "request_failures_total", "Reads that failed or were refused")            \
    X(accounts, GAUGE, "accounts", "Accounts watched")                                             \
    X(paused, GAUGE, "accounts_paused", "Accounts whose token the broker refuses")                 \
    X(failing, GAUGE, "accounts_failing", "Accounts in back-off")                                  \
    X(unpublished, GAUGE, "accounts_unpublished", "Accounts whose whole book is not published")

struct figures {
#define X(name, kind, metric, text) int64_t name;
    FIGURE_LIST(X)
#undef X
};

struct adp_report {
    struct ipc_metrics *page; /* NULL without one */
    struct {
#define X(name, kind, metric, text) struct ipc_metric *name;
        FIGURE_LIST(X)
#undef X
    } metrics;
};

struct adp_report *adp_report_open(const struct ipc_shm *shm, const char *producer)
{
    struct adp_report *report = calloc(1, sizeof(*report));
    struct ipc_error error = {.text = ""};
    char name[41];
    LS_CHECK(report != NULL);
    (void)snprintf(name, sizeof(name), "ingest.%s", producer);
    for (char *c = name; *c != '\0'; c++) /* page names have no underscore */
        if (*c == '_')
            *c = '-';
    if (ipc_metrics_create(shm, name, &report->page, &error) != IPC_OK) {
        ipc_log(IPC_LOG_WARN, "no metrics page: %s", error.text);
        report->page = NULL;
        return report;
    }
#define X(name, kind, metric, text)                                                                \
    report->metrics.name =                                                                         \
        ipc_metrics_add(report->page, IPC_METRIC_##kind, "lockstep_ingest_" metric, text, "");
    FIGURE_LIST(X)
#undef X
    return report;
}

void adp_report_close(struct adp_report *report)
{
    if (report == NULL)
        return;
    ipc_metrics_close(report->page);
    free(report);
}

static struct figures figures_of(
    const struct adp_feed *feed, const struct adp_publisher *publisher, const struct adp_poll *poll)
{
    struct adp_feed_counts fed;
    struct adp_publisher_counts sent;
    struct adp_poll_counts read = {0};
    adp_feed_counts(feed, &fed);
    adp_publisher_counts(publisher, &sent);
    if (poll != NULL)
        adp_poll_counts(poll, &read);
    return (struct figures){
        .published = (int64_t)sent.published,
        .held = (int64_t)sent.held,
        .waiting = (int64_t)sent.waiting,
        .refused = (int64_t)sent.refused,
        .books = (int64_t)fed.books,
        .rows = (int64_t)fed.rows,
        .changes = (int64_t)fed.changes,
        .gaps = (int64_t)fed.gaps,
        .not_understood = (int64_t)fed.not_understood,
        .requests = (int64_t)read.requests,
        .failures = (int64_t)read.failures,
        .accounts = read.accounts,
        .paused = read.paused,
        .failing = read.failing,
        .unpublished = read.unpublished,
    };
}

void adp_report_update(struct adp_report *report, const struct adp_feed *feed,
    const struct adp_publisher *publisher, const struct adp_poll *poll)
{
    if (report->page == NULL)
        return;
    const struct figures now = figures_of(feed, publisher, poll);
#define X(name, kind, metric, text) ipc_metric_set(report->metrics.name, now.name);
    FIGURE_LIST(X)
#undef X
}

void adp_report_say(
    const struct adp_feed *feed, const struct adp_publisher *publisher, const struct adp_poll *poll)
{
    const struct figures now = figures_of(feed, publisher, poll);
    ipc_log(IPC_LOG_INFO,
        "%lld accounts (%lld paused, %lld failing, %lld not published), %lld requests (%lld "
        "failed), %lld states, %lld books, %lld gaps, %lld rows not understood, %lld events wait, "
        "%lld refused",
        (long long)now.accounts, (long long)now.paused, (long long)now.failing,
        (long long)now.unpublished, (long long)now.requests, (long long)now.failures,
        (long long)now.changes, (long long)now.books, (long long)now.gaps,
        (long long)now.not_understood, (long long)now.waiting, (long long)now.refused);
}
