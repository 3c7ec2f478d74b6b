#include "engine/core/join.h"

/* Terms as one comparable value, so that two states of equal version join the same way round. */
struct terms {
    int64_t value[11];
};

static struct terms terms_of_event(const struct ipc_event *event)
{
    return (struct terms){{event->version, event->qty_e8, event->price_e8, event->trigger_e8,
        event->type, event->product, event->validity, event->side, event->stop_e8,
        event->target_e8, event->trail_e8}};
}

static struct terms terms_of_order(const struct eng_order *order)
{
    return (struct terms){{order->version, order->qty_e8, order->price_e8, order->trigger_e8,
        order->type, order->product, order->validity, order->side, order->stop_e8,
        order->target_e8, order->trail_e8}};
}

static int terms_compare(const struct terms *a, const struct terms *b)
{
    for (size_t i = 0; i < LS_COUNT_OF(a->value); i++) {
        if (a->value[i] != b->value[i])
            return a->value[i] < b->value[i] ? -1 : 1;
    }
    return 0;
}

static bool terms_equal_but_version(const struct terms *a, const struct terms *b)
{
    return memcmp(a->value + 1, b->value + 1, sizeof a->value - sizeof a->value[0]) == 0;
}

static void take_terms(struct eng_order *order, const struct ipc_event *event, uint32_t era)
{
    order->qty_e8 = event->qty_e8;
    order->price_e8 = event->price_e8;
    order->trigger_e8 = event->trigger_e8;
    order->side = event->side;
    order->type = event->type;
    order->product = event->product;
    order->validity = event->validity;
    order->received_mono_ns = event->received_mono_ns;
    order->feed_lag_ns = event->feed_lag_ns;
    order->era = era;
    order->stop_e8 = event->stop_e8;
    order->target_e8 = event->target_e8;
    order->trail_e8 = event->trail_e8;
}

static void take_fill(struct eng_order *order, const struct ipc_event *event, uint32_t era)
{
    if (event->filled_qty_e8 > order->filled_qty_e8) {
        order->filled_mono_ns = event->received_mono_ns;
        order->filled_lag_ns = event->feed_lag_ns;
        order->filled_era = era;
    }
    order->filled_qty_e8 = event->filled_qty_e8;
    order->average_price_e8 = event->average_price_e8;
    order->filled_version = event->version;
}

void eng_join_first(const struct ipc_event *event, uint32_t era, struct eng_order *out)
{
    memset(out, 0, sizeof *out);
    out->key = event->order_key;
    out->order_digits = event->order_digits;
    out->account = event->account;
    out->instrument = event->instrument;
    out->version = event->version;
    out->status = event->status;
    out->source = event->source;
    take_fill(out, event, era);
    out->digits_next = ENG_NONE;
    take_terms(out, event, era);
}

/* The larger fill wins; of equal fills the average of the newer version, then the larger one. */
static bool fill_is_newer(const struct eng_order *order, const struct ipc_event *event)
{
    if (event->filled_qty_e8 != order->filled_qty_e8)
        return event->filled_qty_e8 > order->filled_qty_e8;
    if (event->version != order->filled_version)
        return event->version > order->filled_version;
    return event->average_price_e8 > order->average_price_e8;
}

unsigned eng_join(struct eng_order *order, const struct ipc_event *event, uint32_t era)
{
    LS_CHECK(ipc_key_equal(order->key, event->order_key));
    unsigned changed = 0;

    struct terms old = terms_of_order(order);
    struct terms new = terms_of_event(event);
    if (terms_compare(&new, &old) > 0) {
        order->version = event->version;
        if (terms_equal_but_version(&new, &old)) {
            changed |= ENG_JOIN_VERSION;
        } else {
            changed |= ENG_JOIN_TERMS;
            take_terms(order, event, era);
        }
    }
    /* The values of enum ipc_status are in life order and final ones are the largest, so the join
     * of two statuses is the larger: a final one never goes back. */
    if (event->status > order->status) {
        order->status = event->status;
        changed |= ENG_JOIN_STATUS;
    }
    if (fill_is_newer(order, event)) {
        if (event->filled_qty_e8 > order->filled_qty_e8)
            changed |= ENG_JOIN_FILLED;
        else
            changed |= ENG_JOIN_VERSION;
        take_fill(order, event, era);
    }
    /* An instrument that was unknown at first may be known later; it never changes otherwise. */
    if (event->instrument > order->instrument && order->instrument == 0) {
        order->instrument = event->instrument;
        changed |= ENG_JOIN_VERSION;
    }
    if (event->source > order->source) {
        order->source = event->source;
        changed |= ENG_JOIN_VERSION;
    }
    return changed;
}

static bool ended_without_all(uint8_t status)
{
    return status == IPC_STATUS_CANCELLED || status == IPC_STATUS_EXPIRED ||
           status == IPC_STATUS_REJECTED;
}

enum ipc_transition eng_join_transition(
    const struct eng_order *before, const struct eng_order *after, unsigned changed)
{
    bool ended = ended_without_all(after->status);
    bool ended_now = ended && (before == NULL || !ended_without_all(before->status));
    /* Seen first when it had ended with a part filled: it is still a new order, and the decision
     * says what of it is copied. */
    if (before == NULL && !(ended && after->filled_qty_e8 == 0))
        return IPC_TRANSITION_NEW;
    if (ended_now)
        return after->status == IPC_STATUS_REJECTED ? IPC_TRANSITION_REJECTED
                                                    : IPC_TRANSITION_CANCELLED;
    if ((changed & ENG_JOIN_TERMS) && !ended)
        return IPC_TRANSITION_AMENDED;
    if (changed & ENG_JOIN_FILLED)
        return IPC_TRANSITION_FILLED_MORE;
    return IPC_TRANSITION_NONE;
}
