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
    X(unpublished, GAUGE, "accounts_unpublished", "Accounts whose whole book is not published")    \
    X(pushed, COUNTER, "frames_with_orders_total", "Pushed order states looked at")                \
    X(repeated, COUNTER, "frames_repeated_total", "Pushed states that said nothing new")           \
    X(withheld, COUNTER, "frames_withheld_total", "Pushed states that wait for their source")      \
    X(early, COUNTER, "frames_early_total", "Pushed states before the account's first book")       \
    X(feeds_live, GAUGE, "feeds_live", "Accounts whose order socket is live")                      \
    X(feeds_waiting, GAUGE, "feeds_waiting", "Accounts whose order socket is being connected")     \
    X(feeds_absent, GAUGE, "feeds_absent", "Accounts polled because they have no order feed")      \
    X(connects, COUNTER, "feed_connects_total", "Order sockets acknowledged")                      \
    X(cuts, COUNTER, "feed_cuts_total", "Live order sockets lost")                                 \
    X(frames, COUNTER, "feed_messages_total", "Messages of order sockets")                         \
    X(odd_frames, COUNTER, "feed_messages_odd_total", "Messages this build does not know")         \
    X(markets, GAUGE, "market_sockets", "Brokers whose prices are kept here")                      \
    X(markets_live, GAUGE, "market_sockets_live", "Of them, with a live market socket")            \
    X(priced, GAUGE, "market_instruments", "Instruments whose price is wanted")                    \
    X(unpriced, COUNTER, "market_instruments_refused_total", "Instruments beyond the bound")       \
    X(prices, COUNTER, "market_prices_total", "Prices written to a page")                          \
    X(odd_prices, COUNTER, "market_messages_odd_total", "Market messages that are not believed")   \
    X(market_cuts, COUNTER, "market_cuts_total", "Live market sockets lost")                       \
    X(hooks, COUNTER, "webhook_requests_total", "Webhook requests answered")                       \
    X(hooks_refused, COUNTER, "webhook_refused_total", "Webhook requests answered 4xx")            \
    X(strangers, COUNTER, "webhook_strangers_total", "Peers outside of the allow-list")            \
    X(undated, COUNTER, "webhook_undated_total", "Webhook states without any time")                \
    X(turned_back, COUNTER, "webhook_turned_back_total", "Webhook requests answered 503")

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
    struct ipc_hist *frame_to_ring;
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
    report->frame_to_ring =
        ipc_metrics_add_hist(report->page, "lockstep_ingest_frame_to_ring_seconds",
            "From a pushed frame's bytes to its event in the "
            "ring",
            "");
    return report;
}

struct ipc_hist *adp_report_frame_to_ring(struct adp_report *report)
{
    return report->frame_to_ring;
}

void adp_report_close(struct adp_report *report)
{
    if (report == NULL)
        return;
    ipc_metrics_close(report->page);
    free(report);
}

static struct figures figures_of(const struct adp_report_sources *sources)
{
    struct adp_feed_counts fed = {0};
    struct adp_publisher_counts sent = {0};
    struct adp_poll_counts read = {0};
    struct adp_order_feed_counts pushed = {0};
    struct adp_webhook_counts hooks = {0};
    struct adp_market_counts market = {0};
    if (sources->feed != NULL)
        adp_feed_counts(sources->feed, &fed);
    if (sources->publisher != NULL)
        adp_publisher_counts(sources->publisher, &sent);
    if (sources->poll != NULL)
        adp_poll_counts(sources->poll, &read);
    if (sources->order_feed != NULL)
        adp_order_feed_counts(sources->order_feed, &pushed);
    if (sources->market != NULL)
        adp_market_feed_counts(sources->market, &market);
    if (sources->webhook != NULL)
        adp_webhook_counts(sources->webhook, &hooks);
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
        .pushed = (int64_t)fed.pushed,
        .repeated = (int64_t)fed.repeated,
        .withheld = (int64_t)fed.withheld,
        .early = (int64_t)fed.early,
        .feeds_live = pushed.live,
        .feeds_waiting = pushed.waiting,
        .feeds_absent = pushed.absent,
        .connects = (int64_t)pushed.connects,
        .cuts = (int64_t)pushed.cuts,
        .frames = (int64_t)pushed.frames,
        .odd_frames = (int64_t)(pushed.not_understood + hooks.not_understood),
        .markets = market.brokers,
        .markets_live = market.live,
        .priced = market.wanted,
        .unpriced = (int64_t)market.refused,
        .prices = (int64_t)market.prices,
        .odd_prices = (int64_t)(market.not_understood + market.mismatched),
        .market_cuts = (int64_t)market.cuts,
        .hooks = (int64_t)hooks.requests,
        .hooks_refused = (int64_t)hooks.refused,
        .strangers = (int64_t)hooks.strangers,
        .undated = (int64_t)hooks.undated,
        .turned_back = (int64_t)hooks.turned_back,
    };
}

void adp_report_update(struct adp_report *report, const struct adp_report_sources *sources)
{
    if (report->page == NULL)
        return;
    const struct figures now = figures_of(sources);
#define X(name, kind, metric, text) ipc_metric_set(report->metrics.name, now.name);
    FIGURE_LIST(X)
#undef X
}

static void say_common(const struct figures *now)
{
    ipc_log(IPC_LOG_INFO,
        "%lld accounts (%lld paused, %lld failing, %lld not published), %lld requests (%lld "
        "failed), %lld states, %lld books, %lld gaps, %lld rows not understood, %lld events wait, "
        "%lld refused",
        (long long)now->accounts, (long long)now->paused, (long long)now->failing,
        (long long)now->unpublished, (long long)now->requests, (long long)now->failures,
        (long long)now->changes, (long long)now->books, (long long)now->gaps,
        (long long)now->not_understood, (long long)now->waiting, (long long)now->refused);
}

void adp_report_say(const struct adp_report_sources *sources)
{
    const struct figures now = figures_of(sources);
    if (sources->webhook == NULL)
        say_common(&now);
    if (sources->order_feed != NULL)
        ipc_log(IPC_LOG_INFO,
            "order feeds: %lld live, %lld connecting, %lld polled instead, %lld connects, %lld "
            "cuts, %lld messages (%lld not understood), %lld states (%lld said again, %lld "
            "withheld, %lld early)",
            (long long)now.feeds_live, (long long)now.feeds_waiting, (long long)now.feeds_absent,
            (long long)now.connects, (long long)now.cuts, (long long)now.frames,
            (long long)now.odd_frames, (long long)now.pushed, (long long)now.repeated,
            (long long)now.withheld, (long long)now.early);
    if (sources->market != NULL)
        ipc_log(IPC_LOG_INFO,
            "prices: %lld of %lld market sockets live, %lld instruments, %lld prices, %lld "
            "messages "
            "not believed, %lld cuts",
            (long long)now.markets_live, (long long)now.markets, (long long)now.priced,
            (long long)now.prices, (long long)now.odd_prices, (long long)now.market_cuts);
    if (sources->webhook != NULL)
        ipc_log(IPC_LOG_INFO,
            "webhook: %lld requests (%lld refused, %lld turned back), %lld strangers, %lld states "
            "published, %lld undated, %lld not understood, %lld events wait",
            (long long)now.hooks, (long long)now.hooks_refused, (long long)now.turned_back,
            (long long)now.strangers, (long long)now.changes, (long long)now.undated,
            (long long)now.odd_frames, (long long)now.waiting);
}
