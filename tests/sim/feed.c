/* The feed: states travel to the ring late, twice, out of order, or not at all. */
#include <stdlib.h>
#include <string.h>

#include "ipc/tag.h"
#include "tests/sim/sim.h"

static void deliver_later(struct sim *sim, const struct ipc_event *event, int64_t delay_ns)
{
    struct sim_feed *feed = &sim->feed;
    if (feed->pending_count == SIM_FEED) {
        feed->has_gap = true;
        return;
    }
    struct sim_delivery *delivery = &feed->pending[feed->pending_count++];
    *delivery = (struct sim_delivery){.due_ns = sim->now_ns + delay_ns, .event = *event};
    delivery->event.received_mono_ns = sim_mono(sim);
    delivery->event.feed_lag_ns = sim_between(sim, 0, 2 * LS_NS_PER_MS);
}

static int64_t delay(struct sim *sim, uint64_t site)
{
    if (sim->feed.is_whole)
        return 0;
    if (!sim->is_calm && sim_fault(sim, SIM_FAULT_FEED_LATE, site, 1, 30))
        return sim_fault_between(sim, LS_NS_PER_S, 9 * LS_NS_PER_S);
    return sim_between(sim, 0, sim_chance(sim, 1, 4) ? 80 * LS_NS_PER_MS : LS_NS_PER_MS);
}

void sim_feed_tell(struct sim *sim, const struct ipc_event *event)
{
    uint64_t what = event->version == 0 ? 0 : (uint64_t)event->filled_qty_e8 + event->status;
    what += event->client_tag[0] != '\0' ? ipc_tag_hash(event->client_tag) : event->order_digits;
    uint64_t site = sim_site(what, sim->step);
    if (!sim->is_calm && sim_fault(sim, SIM_FAULT_FEED_LOST, site, 1, 30))
        return;
    deliver_later(sim, event, delay(sim, site));
    for (uint64_t more = 1; sim_fault(sim, SIM_FAULT_FEED_TWICE, sim_site(site, more), 1, 5);
         more++)
        deliver_later(sim, event, delay(sim, sim_site(site, more)));
}

void sim_feed_put(struct sim *sim, const struct ipc_event *event)
{
    struct sim_feed *feed = &sim->feed;
    struct ipc_error error;
    if (feed->ring_count >= feed->ring_room) {
        sim->figures.gaps += !feed->has_gap;
        feed->has_gap = true; /* sim_feed_room closes it */
        return;
    }
    struct ipc_event *place = &feed->ring[(feed->ring_first + feed->ring_count++) % SIM_FEED];
    *place = *event;
    place->published_mono_ns = sim_mono(sim);
    if (ipc_event_check(place, &error) != IPC_OK)
        sim_fail(sim, "the simulated feed made a bad event: %s", error.text);
}

void sim_feed_step(struct sim *sim)
{
    struct sim_feed *feed = &sim->feed;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < feed->pending_count; i++) {
        if (feed->pending[i].due_ns <= sim->now_ns) {
            sim_feed_put(sim, &feed->pending[i].event);
            continue;
        }
        if (kept != i)
            feed->pending[kept] = feed->pending[i];
        kept++;
    }
    feed->pending_count = kept;
}

void sim_feed_room(struct sim *sim)
{
    struct sim_feed *feed = &sim->feed;
    uint32_t needed = sim->order_count + 2 * sim->master_count;
    if (!feed->has_gap || feed->pending_count != 0 || feed->ring_count + needed > feed->ring_room)
        return;
    feed->has_gap = false;
    sim_note(sim, "the ring has room again: books are read anew");
    for (uint32_t account = 1; account <= sim->master_count; account++)
        sim_masters_rescan(sim, account, false);
    sim_feed_poll(sim, true);
}

int64_t sim_feed_due(const struct sim *sim)
{
    int64_t due = SIM_NEVER;
    for (uint32_t i = 0; i < sim->feed.pending_count; i++)
        due = ls_min_i64(due, sim->feed.pending[i].due_ns);
    return due;
}

/* ---- followers' own orders ------------------------------------------------------------------- */

static uint8_t status_of(const struct adp_sim_order *order)
{
    switch (order->status) {
    case ADP_SIM_PENDING:
        return IPC_STATUS_PENDING;
    case ADP_SIM_OPEN:
    case ADP_SIM_TRIGGER_PENDING:
        return IPC_STATUS_OPEN;
    case ADP_SIM_COMPLETE:
        return IPC_STATUS_FILLED;
    case ADP_SIM_CANCELLED:
        return IPC_STATUS_CANCELLED;
    case ADP_SIM_REJECTED:
        return IPC_STATUS_REJECTED;
    case ADP_SIM_REFUSED:
        break;
    }
    return 0;
}

static uint8_t product_of(enum adp_sim_product product)
{
    switch (product) {
    case ADP_SIM_INTRADAY:
        return IPC_PRODUCT_MIS;
    case ADP_SIM_LONGTERM:
        return IPC_PRODUCT_CNC;
    case ADP_SIM_NORMAL:
        return IPC_PRODUCT_NRML;
    case ADP_SIM_MTF:
        return IPC_PRODUCT_MTF;
    }
    return 0;
}

static void update_make(
    struct sim *sim, const struct adp_sim_order *order, uint8_t status, struct ipc_event *event)
{
    static const uint8_t types[] = {0, IPC_TYPE_MARKET, IPC_TYPE_LIMIT, IPC_TYPE_SL, IPC_TYPE_SLM};
    struct ipc_tag_parts parts;
    *event = (struct ipc_event){.kind = IPC_EVENT_ORDER,
        .side = order->terms.side == ADP_SIM_BUY ? IPC_SIDE_BUY : IPC_SIDE_SELL,
        .type = types[order->terms.type],
        .product = product_of(order->terms.product),
        .validity = order->terms.validity == ADP_SIM_IOC ? IPC_VALIDITY_IOC : IPC_VALIDITY_DAY,
        .status = status,
        .source = order->origin.source == ADP_SIM_TERMINAL ? IPC_SOURCE_TERMINAL : IPC_SOURCE_API,
        .account = order->origin.account + 1,
        .instrument = order->terms.instrument + 1,
        .qty_e8 = order->terms.units * LS_E8,
        .price_e8 = order->terms.price_e8,
        .trigger_e8 = order->terms.trigger_e8,
        .filled_qty_e8 = order->filled_units * LS_E8,
        .average_price_e8 = adp_sim_order_average(order),
        .version = sim->version = ls_max_i64(sim->version + 1, sim_wall(sim))};
    memcpy(event->broker_order_id, order->broker_order_id, sizeof(order->broker_order_id));
    memcpy(event->client_tag, order->terms.tag, IPC_TAG_CHARACTERS);
    if (ipc_tag_parse(order->terms.tag, strlen(order->terms.tag), &parts) == IPC_OK)
        event->flags |= IPC_EVENT_OWN_TAG;
    ipc_order_key(SIM_CLUSTER, event->account, event->broker_order_id, &event->order_key,
        &event->order_digits);
    event->event_key = ipc_event_key(event);
}

bool sim_feed_event(struct sim *sim, const struct adp_sim_order *order, struct ipc_event *event)
{
    uint8_t status = status_of(order);
    if (status == 0)
        return false;
    update_make(sim, order, status, event);
    return true;
}

void sim_feed_poll(struct sim *sim, bool whole)
{
    for (uint32_t broker = 0; broker < SIM_BROKERS; broker++) {
        const struct adp_sim_book *book = sim->brokers[broker].book;
        uint32_t count = adp_sim_book_order_count(book);
        if (count > sim->feed.published_capacity[broker]) {
            uint32_t capacity = count * 2 + 64;
            sim->feed.published[broker] =
                realloc(sim->feed.published[broker], capacity * sizeof(**sim->feed.published));
            LS_CHECK(sim->feed.published[broker] != NULL);
            memset(sim->feed.published[broker] + sim->feed.published_capacity[broker], 0,
                (capacity - sim->feed.published_capacity[broker]) * sizeof(**sim->feed.published));
            sim->feed.published_capacity[broker] = capacity;
        }
        for (uint32_t i = 0; i < count; i++) {
            const struct adp_sim_order *order = adp_sim_book_order(book, i);
            struct sim_published *last = &sim->feed.published[broker][i];
            struct sim_published now = {.status = status_of(order),
                .known = true,
                .filled_units = order->filled_units,
                .units = order->terms.units,
                .price_e8 = order->terms.price_e8};
            if (now.status == 0 || (!whole && last->known && last->status == now.status &&
                                       last->filled_units == now.filled_units &&
                                       last->units == now.units && last->price_e8 == now.price_e8))
                continue;
            struct ipc_event event;
            *last = now;
            update_make(sim, order, now.status, &event);
            sim_feed_tell(sim, &event);
        }
    }
}
