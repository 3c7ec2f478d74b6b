#include "control/snapshot_show.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include "control/ctl_common.h"
#include "control/name_map.h"
#include "control/settings.h"
#include "ipc/decimal.h"

/* One object being written: fields with their commas. */
struct object {
    FILE *out;
    bool is_empty;
};

static struct object object_start(FILE *out)
{
    fputs("{", out);
    return (struct object){.out = out, .is_empty = true};
}

static void key(struct object *o, const char *name)
{
    fprintf(o->out, "%s\"%s\":", o->is_empty ? "" : ",", name);
    o->is_empty = false;
}

/* A NUL-padded field of a row, left out when it is empty. */
static void put_text(struct object *o, const char *name, const char *field, size_t bytes)
{
    char text[160], escaped[2 * sizeof(text)];
    if (field[0] == '\0')
        return;
    LS_CHECK(bytes < sizeof(text));
    memcpy(text, field, bytes);
    text[bytes] = '\0';
    ctl_json_escape(text, escaped, sizeof(escaped));
    key(o, name);
    fprintf(o->out, "\"%s\"", escaped);
}
#define PUT_TEXT(o, name, row, field) put_text(o, name, (row)->field, sizeof((row)->field))

static void put_word(struct object *o, const char *name, const char *word)
{
    key(o, name);
    fprintf(o->out, "\"%s\"", word);
}

/* Zero means "not set" and is left out. */
static void put_count(struct object *o, const char *name, uint64_t value)
{
    if (value == 0)
        return;
    key(o, name);
    fprintf(o->out, "%" PRIu64, value);
}

static void put_e8(struct object *o, const char *name, int64_t value_e8)
{
    char text[IPC_DECIMAL_BYTES];
    if (value_e8 == 0)
        return;
    ipc_decimal_format(value_e8, text);
    key(o, name);
    fputs(text, o->out);
}

/* A flag whose default is `fallback`. */
static void put_flag(struct object *o, const char *name, bool value, bool fallback)
{
    if (value == fallback)
        return;
    key(o, name);
    fputs(value ? "true" : "false", o->out);
}

/* ---- brokers, accounts, instruments ---------------------------------------------------------- */

static void show_broker(const struct ipc_row_broker *row, FILE *out)
{
    static const char *const alpns[] = {"any", "h2", "http/1.1"};
    struct object o = object_start(out);
    PUT_TEXT(&o, "name", row, name);
    PUT_TEXT(&o, "dialect", row, dialect);
    PUT_TEXT(&o, "host", row, host);
    put_count(&o, "port", row->port);
    PUT_TEXT(&o, "authority", row, authority);
    PUT_TEXT(&o, "ca_file", row, ca_file);
    PUT_TEXT(&o, "base_path", row, base_path);
    put_count(&o, "pool_connections", row->pool_connections);
    if (row->alpn != 0)
        put_word(&o, "alpn", alpns[row->alpn]);
    put_count(&o, "requests_per_connection", row->requests_per_connection);
    put_count(&o, "connects_per_second", row->connects_per_second);
    put_count(&o, "reply_timeout_ms", row->reply_timeout_ms);
    put_count(&o, "orders_per_second", row->orders_per_second);
    put_count(&o, "orders_per_minute", row->orders_per_minute);
    put_count(&o, "orders_per_day", row->orders_per_day);
    put_count(&o, "address_orders_per_second", row->address_orders_per_second);
    put_count(&o, "ping_interval_ms", row->ping_interval_ms);
    put_count(&o, "keepalive_get_ms", row->keepalive_get_ms);
    put_e8(&o, "fee_turnover_pct", (int64_t)row->fee_turnover_e8 * 100);
    put_e8(&o, "fee_order", (int64_t)row->fee_order_e4 * 10000);
    put_flag(&o, "trust_goaway", row->flags & IPC_BROKER_TRUST_GOAWAY, false);
    put_flag(&o, "trust_refused_stream", row->flags & IPC_BROKER_TRUST_REFUSED_STREAM, false);
    put_flag(&o, "pacing", !(row->flags & IPC_BROKER_NO_PACING), true);
    fputs("}", out);
}

static void show_account(
    const struct ipc_snapshot_view *view, const struct ipc_row_account *row, FILE *out)
{
    bool master = row->roles & IPC_ROLE_MASTER, follower = row->roles & IPC_ROLE_FOLLOWER;
    char address[INET6_ADDRSTRLEN];
    struct object o = object_start(out);
    put_count(&o, "account", row->account);
    PUT_TEXT(&o, "broker", &view->brokers[row->broker], name);
    PUT_TEXT(&o, "login", row, login);
    PUT_TEXT(&o, "name", row, name);
    key(&o, "roles");
    fprintf(out, "[%s%s%s]", master ? "\"master\"" : "", master && follower ? "," : "",
        follower ? "\"follower\"" : "");
    put_word(&o, "lanes", ipc_lanes_name((enum ipc_lanes)row->lanes));
    if (row->source_family != 0) {
        inet_ntop(row->source_family == 4 ? AF_INET : AF_INET6, row->source_address, address,
            sizeof(address));
        put_word(&o, "source_address", address);
    }
    put_count(&o, "shard", row->shard);
    put_count(&o, "poll_interval_ms", row->poll_interval_ms);
    put_count(&o, "max_open_orders", row->open_orders_max);
    put_flag(&o, "api_trader", row->flags & IPC_ACCOUNT_API_TRADER, false);
    put_flag(&o, "chaining", row->flags & IPC_ACCOUNT_CHAINING, false);
    put_flag(&o, "enabled", !(row->flags & IPC_ACCOUNT_DISABLED), true);
    fputs("}", out);
}

static void show_instrument(const struct ipc_row_instrument *row, FILE *out)
{
    struct object o = object_start(out);
    put_count(&o, "instrument", row->instrument);
    put_word(&o, "exchange", ipc_exchange_name((enum ipc_exchange)row->exchange));
    put_word(&o, "kind", ipc_instrument_kind_name((enum ipc_instrument_kind)row->kind));
    PUT_TEXT(&o, "token", row, token);
    PUT_TEXT(&o, "symbol", row, symbol);
    PUT_TEXT(&o, "underlying", row, underlying);
    put_e8(&o, "lot", row->lot_qty_e8);
    put_e8(&o, "tick", row->tick_e8);
    put_e8(&o, "freeze", row->freeze_qty_e8);
    put_e8(&o, "strike", row->strike_e8);
    if (row->right != 0)
        put_word(&o, "right", row->right == 'C' ? "CE" : "PE");
    put_count(&o, "expiry", row->expiry_yyyymmdd);
    put_count(&o, "symbol_group", row->symbol_group);
    put_flag(&o, "gone", row->flags & IPC_INSTRUMENT_GONE, false);
    fputs("}", out);
}

/* ---- names of instruments -------------------------------------------------------------------- */

static void full_name(const struct ipc_row_instrument *row, char *out, size_t out_bytes)
{
    snprintf(out, out_bytes, "%s:%.*s", ipc_exchange_name((enum ipc_exchange)row->exchange),
        (int)strnlen(row->symbol, sizeof(row->symbol)), row->symbol);
}

static void names_fill(const struct ipc_snapshot_view *view, struct ctl_name_map *names)
{
    char name[48];
    ctl_name_map_init(names, view->instrument_count + 1);
    for (uint32_t i = 0; i < view->instrument_count; i++) {
        if (view->instruments[i].instrument == 0)
            continue;
        full_name(&view->instruments[i], name, sizeof(name));
        (void)ctl_name_map_put(names, name, i + 1);
    }
}

/* "NSE:ACC-EQ", or "#12" when two instruments have that name. */
static void put_instrument(const struct ipc_snapshot_view *view, const struct ctl_name_map *names,
    uint32_t instrument, FILE *out)
{
    char name[48], escaped[96];
    full_name(&view->instruments[instrument - 1], name, sizeof(name));
    if (ctl_name_map_get(names, name) != instrument) {
        fprintf(out, "\"#%u\"", instrument);
        return;
    }
    ctl_json_escape(name, escaped, sizeof(escaped));
    fprintf(out, "\"%s\"", escaped);
}

/* ---- subscriptions --------------------------------------------------------------------------- */

static void show_list(const struct ipc_snapshot_view *view, const struct ctl_name_map *names,
    struct object *o, const char *name, uint32_t one_plus)
{
    if (one_plus == 0)
        return;
    const struct ipc_row_list *list = &view->lists[one_plus - 1];
    key(o, name);
    for (uint32_t i = 0; i < list->count; i++) {
        fputs(i == 0 ? "[" : ",", o->out);
        put_instrument(view, names, view->list_items[list->first + i], o->out);
    }
    fputs("]", o->out);
}

/* Bits (1 << value) as names. */
#define SHOW_BITS(o, name, bits, tag)                                                              \
    do {                                                                                           \
        if ((bits) == 0)                                                                           \
            break;                                                                                 \
        const char *before_ = "[";                                                                 \
        key((o), (name));                                                                          \
        for (uint32_t value_ = 0; value_ < 8; value_++) {                                          \
            if (((bits)&1u << value_) == 0)                                                        \
                continue;                                                                          \
            fprintf((o)->out, "%s\"%s\"", before_, tag##_name((enum tag)value_));                  \
            before_ = ",";                                                                         \
        }                                                                                          \
        fputs("]", (o)->out);                                                                      \
    } while (0)

static void show_subscription(const struct ipc_snapshot_view *view,
    const struct ctl_name_map *names, const struct ipc_row_follower *row, FILE *out)
{
    struct object o = object_start(out);
    put_count(&o, "follower", row->follower_no);
    put_count(&o, "account", row->account);
    put_count(&o, "master", row->master);
    put_word(&o, "mode", ipc_mode_name((enum ipc_mode)row->mode));
    if (row->mode == IPC_MODE_PERCENTAGE)
        put_e8(&o, "percent", row->ratio_e8);
    else if (row->mode == IPC_MODE_FIXED_QUANTITY)
        put_e8(&o, "quantity", row->fixed_qty_e8);
    else if (row->mode == IPC_MODE_FIXED_RATIO || row->mode == IPC_MODE_SMART_TARGET)
        put_e8(&o, "ratio", row->ratio_e8);
    put_word(&o, "copy", ipc_copy_name((enum ipc_copy)row->copy));
    put_e8(&o, "max_quantity", row->max_qty_e8);
    if (row->flags & IPC_FOLLOWER_CAP_SKIPS)
        put_word(&o, "on_max_quantity", "skip");
    put_e8(&o, "max_order_value", row->max_order_value_e8);
    if (row->flags & IPC_FOLLOWER_VALUE_REDUCES)
        put_word(&o, "on_max_order_value", "reduce");
    put_e8(&o, "max_position", row->max_position_e8);
    show_list(view, names, &o, "allowed_instruments", row->allowed_list);
    show_list(view, names, &o, "denied_instruments", row->denied_list);
    SHOW_BITS(&o, "allowed_products", row->products, ipc_product);
    SHOW_BITS(&o, "allowed_order_types", row->types, ipc_type);
    SHOW_BITS(&o, "allowed_sides", row->sides, ipc_side);
    put_count(&o, "max_age_market_ms", row->max_age_market_ms);
    put_count(&o, "max_age_limit_ms", row->max_age_limit_ms);
    put_count(&o, "capital_max_age_ms", row->capital_max_age_ms);
    put_count(&o, "price_max_age_ms", row->price_max_age_ms);
    put_flag(&o, "enabled", row->flags & IPC_FOLLOWER_ENABLED, true);
    put_flag(&o, "paused", row->flags & IPC_FOLLOWER_PAUSED, false);
    put_flag(&o, "allow_short", row->flags & IPC_FOLLOWER_ALLOW_SHORT, true);
    if (row->map != 0) {
        key(&o, "symbol_map");
        fprintf(out, "\"map-%u\"", row->map);
    }
    if (row->policy != 0)
        ctl_settings_write(&view->policies[row->policy - 1], (enum ipc_mode)row->mode, out);
    fputs("}", out);
}

static void show_map(const struct ipc_snapshot_view *view, const struct ctl_name_map *names,
    uint32_t index, FILE *out)
{
    const struct ipc_row_list *map = &view->maps[index];
    fprintf(out, "\"map-%u\":", index + 1);
    for (uint32_t i = 0; i < map->count; i++) {
        const struct ipc_row_map_item *item = &view->map_items[map->first + i];
        fputs(i == 0 ? "{" : ",", out);
        put_instrument(view, names, item->from, out);
        fputs(":{\"to\":", out);
        put_instrument(view, names, item->to, out);
        struct object o = {.out = out};
        put_e8(&o, "factor", item->factor_e8);
        fputs("}", out);
    }
    fputs(map->count == 0 ? "{}" : "}", out);
}

static const char *comma(bool *first)
{
    const char *text = *first ? "\n" : ",\n";
    *first = false;
    return text;
}

static void show_end(
    const struct ipc_snapshot_view *view, const struct ipc_row_follower *row, FILE *out)
{
    bool flattens =
        row->policy != 0 && (view->policies[row->policy - 1].flags & IPC_POLICY_END_FLATTENS) != 0;
    fprintf(out, "{\"follower\":%u,\"account\":%u,\"master\":%u,\"at_end\":\"%s\"}",
        row->follower_no, row->account, row->master, flattens ? "flatten" : "keep_close_only");
}

/* Subscriptions that ended: for people; a publication takes them from the live snapshot. */
static void show_ended(const struct ipc_snapshot_view *view, FILE *out)
{
    bool first = true;
    fputs("],\n\"ended\":[", out);
    for (uint32_t slot = 0; slot < view->follower_slots; slot++) {
        const struct ipc_row_follower *row = &view->followers[slot];
        if (row->follower_no == 0 || (row->flags & IPC_FOLLOWER_RETIRED) == 0)
            continue;
        fputs(comma(&first), out);
        show_end(view, row, out);
    }
}

void ctl_snapshot_show_one(const struct ipc_snapshot_view *view, uint32_t slot, FILE *out)
{
    struct ctl_name_map names;
    LS_CHECK(slot < view->follower_slots && view->followers[slot].follower_no != 0);
    names_fill(view, &names);
    if (view->followers[slot].flags & IPC_FOLLOWER_RETIRED)
        show_end(view, &view->followers[slot], out);
    else
        show_subscription(view, &names, &view->followers[slot], out);
    fputs("\n", out);
    ctl_name_map_free(&names);
}

void ctl_snapshot_show(const struct ipc_snapshot_image *image, FILE *out)
{
    struct ipc_snapshot_view view;
    struct ctl_name_map names;
    ipc_snapshot_view_of(image, &view);
    names_fill(&view, &names);
    struct object o = object_start(out);
    put_count(&o, "generation", image->generation);
    PUT_TEXT(&o, "cluster", view.cluster, cluster_id);
    put_count(&o, "shards", view.cluster->shard_count);
    put_e8(&o, "guard_fraction", view.cluster->guard_fraction_e8);
    bool first = true;
    fputs(",\n\"brokers\":[", out);
    for (uint32_t i = 0; i < view.broker_count; i++) {
        if (!view.brokers[i].live)
            continue;
        fputs(comma(&first), out);
        show_broker(&view.brokers[i], out);
    }
    first = true;
    fputs("],\n\"accounts\":[", out);
    for (uint32_t i = 0; i < view.account_count; i++) {
        if (view.accounts[i].account == 0)
            continue;
        fputs(comma(&first), out);
        show_account(&view, &view.accounts[i], out);
    }
    first = true;
    fputs("],\n\"instruments\":[", out);
    for (uint32_t i = 0; i < view.instrument_count; i++) {
        if (view.instruments[i].instrument == 0)
            continue;
        fputs(comma(&first), out);
        show_instrument(&view.instruments[i], out);
    }
    first = true;
    fputs("],\n\"symbol_maps\":{", out);
    for (uint32_t i = 0; i < view.map_count; i++) {
        fputs(comma(&first), out);
        show_map(&view, &names, i, out);
    }
    first = true;
    fputs("},\n\"subscriptions\":[", out);
    for (uint32_t slot = 0; slot < view.follower_slots; slot++) {
        const struct ipc_row_follower *row = &view.followers[slot];
        if (row->follower_no == 0 || (row->flags & IPC_FOLLOWER_RETIRED))
            continue;
        fputs(comma(&first), out);
        show_subscription(&view, &names, row, out);
    }
    show_ended(&view, out);
    fputs("]}\n", out);
    ctl_name_map_free(&names);
}
