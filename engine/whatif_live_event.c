/* One order of a master, as a person writes it: completed to the line that lockstep-ingest reads,
 * and read by the same code. */
#include <stdarg.h>
#include <string.h>

#include "adapters/ingest/ndjson.h"
#include "adapters/json.h"
#include "engine/whatif_live.h"

struct line {
    char text[ADP_NDJSON_LINE_BYTES_MAX];
    size_t used;
    bool is_cut;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
    size_t room = sizeof line->text - line->used;
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(line->text + line->used, room, format, arguments);
    va_end(arguments);
    line->is_cut |= written < 0 || (size_t)written >= room;
    if (!line->is_cut)
        line->used += (size_t)written;
}

static enum ipc_rc bad(struct ipc_error *error, const char *member, const char *why)
{
    ipc_error_set(error, "%s: %s", member, why);
    return IPC_BAD_INPUT;
}

static bool has(const struct adp_json *json, const char *member)
{
    return adp_json_get(json, 0, member) != ADP_JSON_NONE;
}

/* `type` is the order's, or says that the event is an order, as in a case file. */
static bool type_is_event(const struct adp_json *json)
{
    return adp_span_is(adp_json_span(json, adp_json_get(json, 0, "type")), "order");
}

static enum ipc_rc add_member(
    struct line *line, const struct adp_json *json, uint32_t at, struct ipc_error *error)
{
    static const struct {
        const char *word, *field;
    } words[] = {{"master", "account"}, {"order_type", "type"}};
    char name[40];
    (void)adp_json_text(json, at, name, sizeof name);
    const char *field = name;
    for (size_t i = 0; i < LS_COUNT_OF(words); i++) {
        if (strcmp(name, words[i].word) != 0)
            continue;
        field = words[i].field;
        if (has(json, field) && !(strcmp(field, "type") == 0 && type_is_event(json)))
            return bad(error, name, "says the same as another member: give one of them");
    }
    if (strcmp(name, "type") == 0 && type_is_event(json))
        return IPC_OK;
    if (strcmp(name, "tag") == 0)
        return bad(error, name, "an order with a tag of ours is a copy, and is not copied");
    struct adp_span value = adp_json_span(json, at + 1);
    const char *quote = adp_json_is(json, at + 1, ADP_JSON_STRING) ? "\"" : "";
    add(line, "%s\"%s\":%s%.*s%s", line->used > 1 ? "," : "", field, quote, (int)value.count,
        (const char *)value.bytes, quote);
    return IPC_OK;
}

static const char *type_of(const struct adp_json *json)
{
    if (has(json, "trigger"))
        return has(json, "price") ? "SL" : "SLM";
    return has(json, "price") ? "LIMIT" : "MARKET";
}

/* The only exchange whose instruments have this symbol. */
static enum ipc_rc exchange_of(const struct ipc_snapshot_view *view, const struct adp_json *json,
    const char **out, struct ipc_error *error)
{
    struct adp_span symbol = adp_json_span(json, adp_json_get(json, 0, "symbol"));
    uint8_t exchange = 0;
    for (uint32_t i = 0; i < view->instrument_count; i++) {
        const struct ipc_row_instrument *row = &view->instruments[i];
        if (row->instrument == 0 || symbol.count == 0 ||
            strnlen(row->symbol, sizeof row->symbol) != symbol.count ||
            memcmp(row->symbol, symbol.bytes, symbol.count) != 0)
            continue;
        if (exchange != 0 && exchange != row->exchange)
            return bad(error, "symbol", "is traded at several exchanges: add exchange");
        exchange = row->exchange;
    }
    if (exchange == 0) {
        ipc_error_set(error,
            "symbol: the snapshot has no instrument '%.*s'; look with "
            "'lockstepctl snapshot show'",
            (int)ls_min_i64((int64_t)symbol.count, 40),
            symbol.count != 0 ? (const char *)symbol.bytes : "");
        return IPC_BAD_INPUT;
    }
    *out = ipc_exchange_name((enum ipc_exchange)exchange);
    return IPC_OK;
}

/* What the rest says, or what is natural for an order that has just been given. */
static enum ipc_rc add_missing(struct line *line, const struct ipc_snapshot_view *view,
    const struct adp_json *json, struct ipc_error *error)
{
    if (!has(json, "broker_order_id"))
        add(line, ",\"broker_order_id\":\"whatif\"");
    if (!has(json, "order_type") && (!has(json, "type") || type_is_event(json)))
        add(line, ",\"type\":\"%s\"", type_of(json));
    if (!has(json, "status"))
        add(line, ",\"status\":\"OPEN\"");
    if (has(json, "exchange") || !has(json, "symbol"))
        return IPC_OK;
    const char *exchange = "";
    enum ipc_rc rc = exchange_of(view, json, &exchange, error);
    add(line, ",\"exchange\":\"%s\"", exchange);
    return rc;
}

enum ipc_rc whatif_live_read(const struct adp_live *live, struct adp_span text,
    struct whatif_live_question *out, struct ipc_error *error)
{
    const struct ipc_snapshot_view *view = adp_live_view(live);
    struct adp_json json;
    struct line line = {.text = "{", .used = 1};
    struct adp_ndjson_row row;
    enum ipc_rc rc = IPC_OK;
    if (adp_json_parse(&json, text) != ADP_OK || !adp_json_is(&json, 0, ADP_JSON_OBJECT)) {
        ipc_error_set(error, "the order is not one JSON object, or a name occurs twice in it");
        return IPC_BAD_INPUT;
    }
    if (json.count < 2)
        return bad(error, "account", "is required");
    for (uint32_t at = 1; rc == IPC_OK && at < json.count; at = json.tokens[at + 1].next)
        rc = add_member(&line, &json, at, error);
    if (rc == IPC_OK)
        rc = add_missing(&line, view, &json, error);
    add(&line, "}");
    if (rc == IPC_OK && line.is_cut) {
        ipc_error_set(error, "the order is longer than %u bytes", ADP_NDJSON_LINE_BYTES_MAX);
        return IPC_BAD_INPUT;
    }
    struct adp_span whole = {.bytes = (const uint8_t *)line.text, .count = line.used};
    if (rc == IPC_OK)
        rc = adp_ndjson_parse(live, whole, &row, error);
    if (rc != IPC_OK)
        return rc;
    if (row.order.instrument == 0)
        return bad(error, has(&json, "token") ? "token" : "symbol",
            "no instrument of the snapshot is called that at this exchange");
    const struct ipc_row_account *account = adp_live_account(live, row.account);
    if (account == NULL || !(account->roles & IPC_ROLE_MASTER))
        return bad(error, "account", "is no master in this snapshot");
    *out = (struct whatif_live_question){.event = row.order};
    out->event.account = row.account;
    out->fills_at_once =
        row.order.type == IPC_TYPE_MARKET && !has(&json, "status") && !has(&json, "filled_qty");
    return IPC_OK;
}
