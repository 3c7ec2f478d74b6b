/* ndjson_row.c: one line to one order state. */
#include "adapters/ingest/ndjson.h"

#include "adapters/json.h"

#include <stdio.h>
#include <string.h>

static const char *const field_names[] = {"account", "broker", "broker_order_id", "exchange",
    "symbol", "token", "side", "type", "product", "validity", "qty", "price", "trigger", "status",
    "filled_qty", "average_price", "stop", "target", "trail", "time", "source", "tag",
    "reject_code"};

static enum ipc_rc bad(struct ipc_error *error, const char *field, const char *why)
{
    ipc_error_set(error, "%s: %s", field, why);
    return IPC_BAD_INPUT;
}

/* A misspelled field must not be taken for a missing one. */
static enum ipc_rc check_names(const struct adp_json *json, struct ipc_error *error)
{
    for (uint32_t at = 1; at < json->count; at = json->tokens[at + 1].next) {
        const struct adp_span name = adp_json_span(json, at);
        size_t i = 0;
        while (i < LS_COUNT_OF(field_names) && !adp_span_is(name, field_names[i]))
            i++;
        if (i == LS_COUNT_OF(field_names)) {
            char text[40];
            adp_json_text(json, at, text, sizeof(text));
            return bad(error, text, "there is no such field");
        }
    }
    return IPC_OK;
}

/* A string of printable characters without blanks; "" when the field is missing. */
static enum ipc_rc read_text(const struct adp_json *json, const char *field, bool is_required,
    char *out, size_t out_bytes, struct ipc_error *error)
{
    const uint32_t token = adp_json_get(json, 0, field);
    const struct adp_span text = adp_json_span(json, token);
    memset(out, 0, out_bytes);
    if (token == ADP_JSON_NONE || text.count == 0)
        return is_required ? bad(error, field, "is required") : IPC_OK;
    if (!adp_json_is(json, token, ADP_JSON_STRING) && !adp_json_is(json, token, ADP_JSON_NUMBER))
        return bad(error, field, "must be a string");
    if (text.count >= out_bytes)
        return bad(error, field, "is too long");
    for (size_t i = 0; i < text.count; i++)
        if (text.bytes[i] <= ' ' || text.bytes[i] > '~' || text.bytes[i] == '\\')
            return bad(error, field, "must be printable, without blanks and backslashes");
    memcpy(out, text.bytes, text.count);
    return IPC_OK;
}

static enum ipc_rc read_e8(const struct adp_json *json, const char *field, bool is_required,
    int64_t *out, struct ipc_error *error)
{
    switch (adp_json_e8(json, adp_json_get(json, 0, field), ADP_JSON_EXACT, out)) {
    case ADP_OK:
        return *out < 0 ? bad(error, field, "must not be negative") : IPC_OK;
    case ADP_NOTHING:
        return is_required ? bad(error, field, "is required") : IPC_OK;
    case ADP_MALFORMED:
    case ADP_TOO_LONG:
    case ADP_UNSUPPORTED:
    case ADP_AUTH:
        break;
    }
    return bad(error, field, "must be a decimal number with at most eight decimals");
}

/* One word of a vocabulary list. `given` is the default when the field is missing, 0 = required. */
#define READ_WORD(field, enumeration, given, out)                                                  \
    do {                                                                                           \
        char word_[32];                                                                            \
        enum enumeration value_ = (enum enumeration)(given);                                       \
        rc = read_text(json, field, (given) == 0, word_, sizeof(word_), error);                    \
        if (rc != IPC_OK)                                                                          \
            return rc;                                                                             \
        if (word_[0] != '\0' && !enumeration##_parse(word_, strlen(word_), &value_))               \
            return bad(error, field, "is not one of the words of the schema");                     \
        (out) = (uint8_t)value_;                                                                   \
    } while (0)

static enum ipc_rc read_words(
    const struct adp_json *json, struct ipc_event *order, struct ipc_error *error)
{
    enum ipc_rc rc;
    READ_WORD("side", ipc_side, 0, order->side);
    READ_WORD("type", ipc_type, 0, order->type);
    READ_WORD("product", ipc_product, 0, order->product);
    READ_WORD("validity", ipc_validity, IPC_VALIDITY_DAY, order->validity);
    READ_WORD("status", ipc_status, 0, order->status);
    READ_WORD("source", ipc_source, IPC_SOURCE_TERMINAL, order->source);
    return IPC_OK;
}

static enum ipc_rc read_numbers(
    const struct adp_json *json, struct ipc_event *order, struct ipc_error *error)
{
    const bool has_price = order->type == IPC_TYPE_LIMIT || order->type == IPC_TYPE_SL;
    const bool has_trigger = order->type == IPC_TYPE_SL || order->type == IPC_TYPE_SLM;
    enum ipc_rc rc = read_e8(json, "qty", true, &order->qty_e8, error);
    if (rc == IPC_OK)
        rc = read_e8(json, "price", has_price, &order->price_e8, error);
    if (rc == IPC_OK)
        rc = read_e8(json, "trigger", has_trigger, &order->trigger_e8, error);
    if (rc == IPC_OK)
        rc = read_e8(json, "filled_qty", false, &order->filled_qty_e8, error);
    if (rc == IPC_OK)
        rc = read_e8(json, "average_price", false, &order->average_price_e8, error);
    if (rc == IPC_OK)
        rc = read_e8(json, "stop", false, &order->stop_e8, error);
    if (rc == IPC_OK)
        rc = read_e8(json, "target", false, &order->target_e8, error);
    if (rc == IPC_OK)
        rc = read_e8(json, "trail", false, &order->trail_e8, error);
    if (rc != IPC_OK)
        return rc;
    if (order->qty_e8 == 0)
        return bad(error, "qty", "must be above zero");
    if (order->filled_qty_e8 > order->qty_e8)
        return bad(error, "filled_qty", "is above qty");
    if (order->status == IPC_STATUS_FILLED && order->filled_qty_e8 != order->qty_e8)
        return bad(error, "filled_qty", "must equal qty when status is FILLED");
    if (has_price ? order->price_e8 == 0 : order->price_e8 != 0)
        return bad(error, "price", "is for LIMIT and SL, and must be above zero there");
    if (has_trigger ? order->trigger_e8 == 0 : order->trigger_e8 != 0)
        return bad(error, "trigger", "is for SL and SLM, and must be above zero there");
    if (order->trail_e8 != 0)
        return bad(error, "trail", "is not copied: amend the trigger of the stop instead");
    return IPC_OK;
}

static enum ipc_rc read_account(const struct adp_live *live, const struct adp_json *json,
    struct adp_ndjson_row *row, struct ipc_error *error)
{
    char name[IPC_NAME_BYTES], broker[IPC_NAME_BYTES];
    enum ipc_rc rc = read_text(json, "account", true, name, sizeof(name), error);
    if (rc == IPC_OK)
        rc = read_text(json, "broker", false, broker, sizeof(broker), error);
    if (rc != IPC_OK)
        return rc;
    rc = adp_live_find_account(live, name, broker, &row->account);
    if (rc != IPC_OK) {
        ipc_error_set(error,
            rc == IPC_EXISTS ? "account: several brokers have the login %s; add broker"
                             : "account: %s is not in the snapshot",
            name);
        return IPC_BAD_INPUT;
    }
    if (adp_live_account(live, row->account)->roles == 0)
        return bad(error, "account", "is neither master nor follower");
    return IPC_OK;
}

static enum ipc_rc read_instrument(const struct adp_live *live, uint32_t owner,
    const struct adp_json *json, struct ipc_event *order, struct ipc_error *error)
{
    char token[16], symbol[32];
    uint8_t exchange = 0;
    enum ipc_rc rc;
    READ_WORD("exchange", ipc_exchange, 0, exchange);
    rc = read_text(json, "token", false, token, sizeof(token), error);
    if (rc == IPC_OK)
        rc = read_text(json, "symbol", false, symbol, sizeof(symbol), error);
    if (rc != IPC_OK)
        return rc;
    if (token[0] == '\0' && symbol[0] == '\0')
        return bad(error, "symbol", "or token is required");
    const char *text = token[0] != '\0' ? token : symbol;
    const struct ipc_row_account *account = adp_live_account(live, owner);
    order->instrument =
        adp_live_find_instrument_at(live, account != NULL ? account->broker : ADP_LIVE_ANY_BROKER,
            (enum ipc_exchange)exchange, (struct adp_span){(const uint8_t *)text, strlen(text)});
    return IPC_OK; /* 0 is an instrument that engines skip, with that reason */
}

static enum ipc_rc read_order(const struct adp_live *live, const struct adp_json *json,
    struct adp_ndjson_row *row, struct ipc_error *error)
{
    struct ipc_event *order = &row->order;
    char time[40];
    enum ipc_rc rc = read_account(live, json, row, error);
    if (rc == IPC_OK)
        rc = read_instrument(live, row->account, json, order, error);
    if (rc == IPC_OK)
        rc = read_text(json, "broker_order_id", true, order->broker_order_id,
            sizeof(order->broker_order_id), error);
    if (rc == IPC_OK)
        rc = read_words(json, order, error);
    if (rc == IPC_OK)
        rc = read_numbers(json, order, error);
    if (rc == IPC_OK)
        rc = read_text(json, "tag", false, row->tag, sizeof(row->tag), error);
    if (rc == IPC_OK)
        rc = read_text(
            json, "reject_code", false, order->reject_code, sizeof(order->reject_code), error);
    if (rc == IPC_OK)
        rc = read_text(json, "time", false, time, sizeof(time), error);
    if (rc != IPC_OK || time[0] == '\0')
        return rc;
    order->version = order->broker_wall_ns = adp_ndjson_time(time);
    return order->version == 0 ? bad(error, "time", "must be like 2026-01-31T09:15:00.250Z")
                               : IPC_OK;
}

enum ipc_rc adp_ndjson_parse(const struct adp_live *live, struct adp_span line,
    struct adp_ndjson_row *row, struct ipc_error *error)
{
    struct adp_json json;
    memset(row, 0, sizeof(*row));
    row->order.kind = IPC_EVENT_ORDER;
    if (adp_json_parse(&json, line) != ADP_OK || !adp_json_is(&json, 0, ADP_JSON_OBJECT)) {
        ipc_error_set(error, "the line is not one JSON object, or a name occurs twice in it");
        return IPC_BAD_INPUT;
    }
    const enum ipc_rc rc = check_names(&json, error);
    return rc == IPC_OK ? read_order(live, &json, row, error) : rc;
}

/* Times. */

static bool read_digits(const char **at, int count, int64_t *out)
{
    *out = 0;
    for (int i = 0; i < count; i++, ++*at) {
        if (**at < '0' || **at > '9')
            return false;
        *out = *out * 10 + (**at - '0');
    }
    return true;
}

static bool read_mark(const char **at, char mark)
{
    if (**at != mark)
        return false;
    ++*at;
    return true;
}

/* Days from 1 January 1970 to the first of a month, by counting: no table, no library, no zone. */
static int64_t days_before(int64_t year, int64_t month)
{
    static const int before[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    const int64_t y = year - 1;
    const bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return 365 * (year - 1970) + (y / 4 - y / 100 + y / 400) -
           (1969 / 4 - 1969 / 100 + 1969 / 400) + before[month - 1] +
           (is_leap && month > 2 ? 1 : 0);
}

static bool read_zone(const char **at, int64_t *offset_s)
{
    int64_t hours, minutes;
    *offset_s = 0;
    if (read_mark(at, 'Z'))
        return true;
    const bool is_west = **at == '-';
    if (!is_west && **at != '+')
        return false;
    ++*at;
    if (!read_digits(at, 2, &hours) || !read_mark(at, ':') || !read_digits(at, 2, &minutes) ||
        hours > 23 || minutes > 59)
        return false;
    *offset_s = (hours * 3600 + minutes * 60) * (is_west ? -1 : 1);
    return true;
}

int64_t adp_ndjson_time(const char *text)
{
    const char *at = text;
    int64_t year, month, day, hour, minute, second, offset_s, fraction_ns = 0;
    if (!read_digits(&at, 4, &year) || !read_mark(&at, '-') || !read_digits(&at, 2, &month) ||
        !read_mark(&at, '-') || !read_digits(&at, 2, &day) || !read_mark(&at, 'T') ||
        !read_digits(&at, 2, &hour) || !read_mark(&at, ':') || !read_digits(&at, 2, &minute) ||
        !read_mark(&at, ':') || !read_digits(&at, 2, &second))
        return 0;
    if (read_mark(&at, '.')) {
        int64_t digit, scale = LS_NS_PER_S / 10;
        if (!read_digits(&at, 1, &digit))
            return 0;
        do {
            fraction_ns += digit * scale;
            scale /= 10;
        } while (read_digits(&at, 1, &digit));
    }
    if (!read_zone(&at, &offset_s) || *at != '\0')
        return 0;
    if (year < 2000 || year > 2199 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 ||
        minute > 59 || second > 59)
        return 0;
    const int64_t seconds = (days_before(year, month) + day - 1) * 86400 + hour * 3600 +
                            minute * 60 + second - offset_s;
    return seconds * LS_NS_PER_S + fraction_ns;
}
