#include "ipc/event.h"

/* Text fields are NUL-padded and printable: they reach journals, logs and brokers. */
static bool text_field_ok(const char *text, size_t bytes)
{
    size_t at = 0;
    while (at < bytes && text[at] > ' ' && text[at] <= '~')
        at++;
    if (at == bytes)
        return false;
    while (at < bytes && text[at] == '\0')
        at++;
    return at == bytes;
}

static enum ipc_rc refuse(struct ipc_error *error, const char *field, int64_t value)
{
    ipc_error_set(error, "event field %s is not valid (%lld)", field, (long long)value);
    return IPC_BAD_INPUT;
}

#define REQUIRE(condition, field, value)                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return refuse(error, field, (int64_t)(value));                                         \
    } while (0)

static enum ipc_rc check_times(const struct ipc_event *event, struct ipc_error *error)
{
    REQUIRE(event->broker_wall_ns >= 0, "broker_wall_ns", event->broker_wall_ns);
    REQUIRE(event->received_mono_ns >= 0, "received_mono_ns", event->received_mono_ns);
    REQUIRE(event->published_mono_ns >= 0, "published_mono_ns", event->published_mono_ns);
    REQUIRE(event->feed_lag_ns >= 0, "feed_lag_ns", event->feed_lag_ns);
    return IPC_OK;
}

static enum ipc_rc check_order(const struct ipc_event *event, struct ipc_error *error)
{
    REQUIRE(ipc_side_valid(event->side), "side", event->side);
    REQUIRE(ipc_type_valid(event->type), "type", event->type);
    REQUIRE(ipc_product_valid(event->product), "product", event->product);
    REQUIRE(ipc_validity_valid(event->validity), "validity", event->validity);
    REQUIRE(ipc_status_valid(event->status), "status", event->status);
    REQUIRE(ipc_source_valid(event->source), "source", event->source);
    REQUIRE(event->order_digits < UINT64_C(101559956668416), "order_digits", event->order_digits);
    REQUIRE(event->qty_e8 > 0, "qty_e8", event->qty_e8);
    REQUIRE(event->filled_qty_e8 >= 0, "filled_qty_e8", event->filled_qty_e8);
    REQUIRE(event->filled_qty_e8 <= event->qty_e8, "filled_qty_e8", event->filled_qty_e8);
    REQUIRE(event->average_price_e8 >= 0, "average_price_e8", event->average_price_e8);
    REQUIRE(event->stop_e8 >= 0, "stop_e8", event->stop_e8);
    REQUIRE(event->target_e8 >= 0, "target_e8", event->target_e8);
    REQUIRE(event->trail_e8 >= 0, "trail_e8", event->trail_e8);
    REQUIRE(event->version > 0, "version", event->version);
    REQUIRE(event->broker_order_id[0] != '\0', "broker_order_id", 0);

    /* Only exchanges that quote negative prices would need one; none of IPC_EXCHANGE_LIST does. */
    bool has_limit = event->type == IPC_TYPE_LIMIT || event->type == IPC_TYPE_SL;
    bool has_trigger = event->type == IPC_TYPE_SL || event->type == IPC_TYPE_SLM;
    REQUIRE(has_limit ? event->price_e8 > 0 : event->price_e8 == 0, "price_e8", event->price_e8);
    REQUIRE(has_trigger ? event->trigger_e8 > 0 : event->trigger_e8 == 0, "trigger_e8",
        event->trigger_e8);
    return IPC_OK;
}

enum ipc_rc ipc_event_check(const struct ipc_event *event, struct ipc_error *error)
{
    const unsigned known_flags = IPC_EVENT_FROM_BOOK | IPC_EVENT_OWN_TAG | IPC_EVENT_CHAINED;
    REQUIRE(ipc_event_kind_valid(event->kind), "kind", event->kind);
    REQUIRE(event->kind != IPC_EVENT_COPY_SELECTED, "kind", event->kind);
    REQUIRE((event->flags & ~known_flags) == 0, "flags", event->flags);
    REQUIRE(event->account > 0, "account", event->account);
    REQUIRE(event->kind == IPC_EVENT_OPERATOR ? ipc_operator_act_valid(event->reserved)
                                              : event->reserved == 0,
        "reserved", event->reserved);
    REQUIRE(
        text_field_ok(event->broker_order_id, sizeof event->broker_order_id), "broker_order_id", 0);
    REQUIRE(text_field_ok(event->client_tag, sizeof event->client_tag), "client_tag", 0);
    REQUIRE(text_field_ok(event->reject_code, sizeof event->reject_code), "reject_code", 0);
    enum ipc_rc rc = check_times(event, error);
    if (rc == IPC_OK && event->kind == IPC_EVENT_ORDER)
        rc = check_order(event, error);
    if (rc == IPC_OK && event->kind == IPC_EVENT_OPERATOR) /* it is said who it was */
        REQUIRE(event->broker_order_id[0] != '\0', "broker_order_id", 0);
    if (rc == IPC_OK && event->kind == IPC_EVENT_OPERATOR)
        REQUIRE(event->filled_qty_e8 >= 0, "filled_qty_e8", event->filled_qty_e8);
    if (rc == IPC_OK && event->kind == IPC_EVENT_OPERATOR)
        REQUIRE(event->average_price_e8 >= 0, "average_price_e8", event->average_price_e8);
    return rc;
}
