/* push_frames.h: the texts that the broker's push side sends: order updates for socket and webhook,
 * acknowledgements and deltas of market data.
 *
 * Field names and values are those of the broker's WebSocket and Webhook pages (order-update feed,
 * market data; August 2026): every number is a string. Where those pages print no value, the Noren
 * family's words are used: prctyp LMT, MKT, SL-LMT, SL-MKT; times as dd-mm-yyyy hh:mm:ss, ntm as
 * hh:mm:ss dd-mm-yyyy. No socket, clock or global; any thread that may read the book. */
#ifndef LS_ADP_SIM_PUSH_FRAMES_H
#define LS_ADP_SIM_PUSH_FRAMES_H

#include "adapters/sim/book.h"
#include "adapters/sim/text.h"

/* adp_sim_put_order_frame adds one {"t":"om",...} of an order as it stands in the book.
 *   trade     the fill that a FILL reports: then the fl* fields are there; else ADP_SIM_NONE */
void adp_sim_put_order_frame(struct adp_sim_text *out, const struct adp_sim_book *book,
    uint32_t order, enum adp_sim_report report, uint32_t trade);

/* adp_sim_put_webhook adds the webhook's object for the same: the documented fields and no others,
 * empty where there is nothing to say. */
void adp_sim_put_webhook(struct adp_sim_text *out, const struct adp_sim_book *book, uint32_t order,
    enum adp_sim_report report, uint32_t trade);

/* What is known of an instrument's market, all from the prices that were set. 0 is not known. */
struct adp_sim_quote {
    int64_t last_e8, previous_e8, open_e8, high_e8, low_e8, average_e8;
    int64_t bid_e8, ask_e8;
    int64_t bid_units, ask_units, last_units, volume_units;
    int64_t time_s;         /* UTC, of the last change */
    int64_t ticked_wall_ns; /* of the last adp_sim_push_tick */
    uint64_t changes;
};

/* adp_sim_quote_update moves a quote to a new last price.
 *   units  what can be traded at it; negative is unlimited */
void adp_sim_quote_update(struct adp_sim_quote *quote, const struct adp_sim_instrument *instrument,
    int64_t last_e8, int64_t units, int64_t wall_ns);

/* adp_sim_put_quote adds a market-data frame.
 *   depth     dk and df with five levels instead of tk and tf
 *   before    NULL for the acknowledgement, which has every value that is known; else the quote
 *             that was sent last, and only what differs is added
 *   returns   false when there is no difference; nothing was added then */
bool adp_sim_put_quote(struct adp_sim_text *out, const struct adp_sim_instrument *instrument,
    bool depth, const struct adp_sim_quote *before, const struct adp_sim_quote *now);

#endif
