/* report.h: what an ingest process shows of itself: the metrics page metrics.ingest.<producer>, and
 * a line of figures in the log. One thread; the counts stay their owners'. */
#ifndef LS_ADAPTERS_INGEST_REPORT_H
#define LS_ADAPTERS_INGEST_REPORT_H

#include "adapters/ingest/market.h"
#include "adapters/ingest/order_feed.h"
#include "adapters/ingest/webhook.h"

struct adp_report;

/* Where the figures come from; NULL for what a subcommand does not have. */
struct adp_report_sources {
    const struct adp_feed *feed;
    const struct adp_publisher *publisher;
    const struct adp_poll *poll;
    const struct adp_order_feed *order_feed;
    const struct adp_market_feed *market;
    const struct adp_webhook *webhook;
};

/* adp_report_open makes the page. Without it the process works on: the reason is logged.
 *   returns  never NULL; close with adp_report_close */
struct adp_report *adp_report_open(const struct ipc_shm *shm, const char *producer);
void adp_report_close(struct adp_report *report);

/* adp_report_frame_to_ring returns the histogram of ns from a frame's bytes to its event in the
 * ring; NULL without a page. */
struct ipc_hist *adp_report_frame_to_ring(struct adp_report *report);

/* adp_report_update copies the counts into the page. About once a second. */
void adp_report_update(struct adp_report *report, const struct adp_report_sources *sources);

/* adp_report_say logs them in one line. */
void adp_report_say(const struct adp_report_sources *sources);

#endif
