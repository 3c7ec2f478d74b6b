#include "control/snapshot_private.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/broker/dialect.h"

void *ctl_rows_reach(struct ctl_rows *rows, uint32_t count)
{
    if (count > rows->room) {
        uint32_t room = rows->room == 0 ? 64 : rows->room;
        while (room < count)
            room *= 2;
        rows->at = realloc(rows->at, (size_t)room * rows->bytes);
        LS_CHECK(rows->at != NULL);
        memset((char *)rows->at + (size_t)rows->room * rows->bytes, 0,
            (size_t)(room - rows->room) * rows->bytes);
        rows->room = room;
    }
    if (count > rows->count)
        rows->count = count;
    return (char *)rows->at + (size_t)(count - 1) * rows->bytes;
}

/* An optional field may be absent. */
bool ctl_read_failed(enum ipc_rc rc)
{
    return rc != IPC_OK && rc != IPC_NOT_FOUND;
}

enum ipc_rc ctl_read_need(
    const struct ctl_reading *r, uint32_t object, const char *key, enum ipc_rc rc)
{
    if (rc == IPC_NOT_FOUND)
        return CTL_COMPLAIN(r, object, "\"%s\" is missing", key);
    return rc;
}

enum ipc_rc ctl_read_u32(struct ctl_reading *r, uint32_t object, const char *key, uint32_t low,
    uint32_t high, uint32_t *out)
{
    uint64_t wide = 0;
    enum ipc_rc rc = ctl_document_uint(r->document, object, key, low, high, &wide, r->error);
    if (rc == IPC_OK)
        *out = (uint32_t)wide;
    return rc;
}

enum ipc_rc ctl_read_u16(struct ctl_reading *r, uint32_t object, const char *key, uint16_t low,
    uint16_t high, uint16_t *out)
{
    uint32_t wide = 0;
    enum ipc_rc rc = ctl_read_u32(r, object, key, low, high, &wide);
    if (rc == IPC_OK)
        *out = (uint16_t)wide;
    return rc;
}

enum ipc_rc ctl_read_text(
    struct ctl_reading *r, uint32_t object, const char *key, char *out, size_t out_bytes)
{
    return ctl_document_string(r->document, object, key, out, out_bytes, r->error);
}

enum ipc_rc ctl_read_e8(struct ctl_reading *r, uint32_t object, const char *key, int64_t low,
    int64_t high, int64_t *out)
{
    return ctl_document_e8(r->document, object, key, low, high, out, r->error);
}

enum ipc_rc ctl_read_flag(
    struct ctl_reading *r, uint32_t object, const char *key, bool fallback, bool *out)
{
    *out = fallback;
    return ctl_document_bool(r->document, object, key, out, r->error);
}

/* ---- brokers --------------------------------------------------------------------------------- */

static enum ipc_rc read_alpn(struct ctl_reading *r, uint32_t object, struct ipc_row_broker *row)
{
    char text[16] = "";
    enum ipc_rc rc = ctl_read_text(r, object, "alpn", text, sizeof(text));
    if (rc != IPC_OK)
        return rc == IPC_NOT_FOUND ? IPC_OK : rc;
    row->alpn = strcmp(text, "h2") == 0 ? 1 : strcmp(text, "http/1.1") == 0 ? 2 : 0;
    if (row->alpn == 0 && strcmp(text, "any") != 0)
        return CTL_COMPLAIN(
            r, ctl_document_member(r->document, object, "alpn"), "must be any, h2 or http/1.1");
    return IPC_OK;
}

/* The place of a broker: where the live snapshot has it, else behind all. Accounts, switches and
 * pages go by the place, so it may not depend on the order in the file. */
static uint32_t place_of_broker(const struct ctl_reading *r, const char *name)
{
    uint32_t live = r->live != NULL ? r->live->shape.rows[IPC_TABLE_BROKERS] : 0;
    const struct ipc_row_broker *rows =
        r->live != NULL ? (const struct ipc_row_broker *)r->live->rows[IPC_TABLE_BROKERS] : NULL;
    for (uint32_t i = 0; i < live; i++)
        if (rows[i].live && strncmp(rows[i].name, name, sizeof(rows[i].name)) == 0)
            return i;
    return r->brokers.count > live ? r->brokers.count : live;
}

/* What the broker charges, for money limits: a percent of turnover, money per order. */
static enum ipc_rc read_fees(struct ctl_reading *r, uint32_t object, struct ipc_row_broker *row)
{
    int64_t percent_e8 = 0, order_e8 = 0;
    if (ctl_read_failed(ctl_read_e8(r, object, "fee_turnover_pct", 0, 100 * LS_E8, &percent_e8)) ||
        ctl_read_failed(ctl_read_e8(r, object, "fee_order", 0, 100000 * LS_E8, &order_e8)))
        return IPC_BAD_INPUT;
    if (percent_e8 % 100 != 0)
        return CTL_COMPLAIN(r, ctl_document_member(r->document, object, "fee_turnover_pct"),
            "must have at most 6 decimal places: it is a percent");
    if (order_e8 % 10000 != 0)
        return CTL_COMPLAIN(r, ctl_document_member(r->document, object, "fee_order"),
            "must have at most 4 decimal places");
    row->fee_turnover_e8 = (uint32_t)(percent_e8 / 100);
    row->fee_order_e4 = (uint32_t)(order_e8 / 10000);
    return IPC_OK;
}

enum ipc_rc ctl_read_broker(struct ctl_reading *r, uint32_t object)
{
    static const char *const keys[] = {"name", "dialect", "host", "port", "authority", "ca_file",
        "base_path", "pool_connections", "alpn", "requests_per_connection", "connects_per_second",
        "reply_timeout_ms", "orders_per_second", "orders_per_minute", "orders_per_day",
        "address_orders_per_second", "ping_interval_ms", "keepalive_get_ms", "trust_goaway",
        "trust_refused_stream", "pacing", "fee_turnover_pct", "fee_order", NULL};
    if (ctl_document_only(r->document, object, keys, r->error) != IPC_OK)
        return IPC_BAD_INPUT;
    char name[IPC_NAME_BYTES] = "";
    if (ctl_read_need(r, object, "name", ctl_read_text(r, object, "name", name, sizeof(name))) !=
        IPC_OK)
        return IPC_BAD_INPUT;
    uint32_t place = place_of_broker(r, name);
    if (place >= 64)
        return CTL_COMPLAIN(r, object, "at most 64 brokers");
    if (ctl_name_map_get(&r->broker_names, name) != CTL_NAME_ABSENT)
        return CTL_COMPLAIN(r, object, "there are two brokers named \"%s\"", name);
    struct ipc_row_broker *row = ctl_rows_reach(&r->brokers, place + 1);
    memcpy(row->name, name, sizeof(row->name));
    bool goaway, refused, pacing;
    if (ctl_read_need(r, object, "dialect",
            ctl_read_text(r, object, "dialect", row->dialect, sizeof(row->dialect))) != IPC_OK ||
        ctl_read_need(r, object, "host",
            ctl_read_text(r, object, "host", row->host, sizeof(row->host))) != IPC_OK ||
        ctl_read_failed(
            ctl_read_text(r, object, "authority", row->authority, sizeof(row->authority))) ||
        ctl_read_failed(ctl_read_text(r, object, "ca_file", row->ca_file, sizeof(row->ca_file))) ||
        ctl_read_failed(
            ctl_read_text(r, object, "base_path", row->base_path, sizeof(row->base_path))) ||
        ctl_read_failed(ctl_read_u16(r, object, "port", 1, 65535, &row->port)) ||
        ctl_read_failed(
            ctl_read_u16(r, object, "pool_connections", 1, 1024, &row->pool_connections)) ||
        ctl_read_failed(read_alpn(r, object, row)) ||
        ctl_read_failed(ctl_read_u32(
            r, object, "requests_per_connection", 3, 1u << 29, &row->requests_per_connection)) ||
        ctl_read_failed(
            ctl_read_u32(r, object, "connects_per_second", 1, 100000, &row->connects_per_second)) ||
        ctl_read_failed(
            ctl_read_u32(r, object, "reply_timeout_ms", 100, 120000, &row->reply_timeout_ms)) ||
        ctl_read_failed(
            ctl_read_u32(r, object, "orders_per_second", 1, 1000000, &row->orders_per_second)) ||
        ctl_read_failed(
            ctl_read_u32(r, object, "orders_per_minute", 1, 60000000, &row->orders_per_minute)) ||
        ctl_read_failed(
            ctl_read_u32(r, object, "orders_per_day", 1, 1000000000, &row->orders_per_day)) ||
        ctl_read_failed(ctl_read_u32(
            r, object, "address_orders_per_second", 1, 1000000, &row->address_orders_per_second)) ||
        ctl_read_failed(
            ctl_read_u32(r, object, "ping_interval_ms", 100, 60000, &row->ping_interval_ms)) ||
        ctl_read_failed(
            ctl_read_u32(r, object, "keepalive_get_ms", 100, 600000, &row->keepalive_get_ms)) ||
        read_fees(r, object, row) != IPC_OK ||
        ctl_read_failed(ctl_read_flag(r, object, "trust_goaway", false, &goaway)) ||
        ctl_read_failed(ctl_read_flag(r, object, "trust_refused_stream", false, &refused)) ||
        ctl_read_failed(ctl_read_flag(r, object, "pacing", true, &pacing)))
        return IPC_BAD_INPUT;
    row->live = 1;
    if (row->port == 0)
        row->port = 443;
    row->flags = (goaway ? IPC_BROKER_TRUST_GOAWAY : 0) |
                 (refused ? IPC_BROKER_TRUST_REFUSED_STREAM : 0) |
                 (pacing ? 0 : IPC_BROKER_NO_PACING);
    if (adp_dialect_find(row->dialect) == NULL)
        return CTL_COMPLAIN(r, ctl_document_member(r->document, object, "dialect"),
            "this build has no dialect \"%s\"", row->dialect);
    ctl_name_map_put(&r->broker_names, row->name, place);
    return IPC_OK;
}

/* ---- accounts -------------------------------------------------------------------------------- */

static enum ipc_rc read_roles(struct ctl_reading *r, uint32_t object, struct ipc_row_account *row)
{
    uint32_t roles = ctl_document_member(r->document, object, "roles");
    if (roles == CTL_NONE || ctl_document_type(r->document, roles) != CTL_JSON_ARRAY)
        return CTL_COMPLAIN(r, object, "\"roles\" must list master, follower or both");
    for (uint32_t value = ctl_document_first(r->document, roles); value != CTL_NONE;
         value = ctl_document_next(r->document, value)) {
        char text[16];
        if (ctl_document_text(r->document, value, text, sizeof(text), r->error) != IPC_OK)
            return IPC_BAD_INPUT;
        if (strcmp(text, "master") == 0)
            row->roles |= IPC_ROLE_MASTER;
        else if (strcmp(text, "follower") == 0)
            row->roles |= IPC_ROLE_FOLLOWER;
        else
            return CTL_COMPLAIN(r, value, "must be master or follower");
    }
    return IPC_OK;
}

static enum ipc_rc read_source_address(
    struct ctl_reading *r, uint32_t object, struct ipc_row_account *row)
{
    char text[64] = "";
    enum ipc_rc rc = ctl_read_text(r, object, "source_address", text, sizeof(text));
    if (rc != IPC_OK)
        return rc == IPC_NOT_FOUND ? IPC_OK : rc;
    if (inet_pton(AF_INET, text, row->source_address) == 1)
        row->source_family = 4;
    else if (inet_pton(AF_INET6, text, row->source_address) == 1)
        row->source_family = 6;
    else
        return CTL_COMPLAIN(r, ctl_document_member(r->document, object, "source_address"),
            "must be an IPv4 or IPv6 address");
    return IPC_OK;
}

static const struct ipc_row_account *live_account(const struct ctl_reading *r, uint32_t account)
{
    if (r->live == NULL || account > r->live->shape.rows[IPC_TABLE_ACCOUNTS])
        return NULL;
    const struct ipc_row_account *row =
        (const struct ipc_row_account *)r->live->rows[IPC_TABLE_ACCOUNTS] + (account - 1);
    return row->account == account ? row : NULL;
}

static uint8_t *token_cell(struct ctl_reading *r, uint32_t account)
{
    return ctl_rows_reach(&r->tokens, account);
}

/* Seals the file's token, or takes the live one over when the file has none. */
static enum ipc_rc read_token(struct ctl_reading *r, uint32_t object, struct ipc_row_account *row)
{
    const struct ipc_row_account *before = live_account(r, row->account);
    const struct ipc_row_cluster *live_cluster =
        r->live != NULL ? r->live->rows[IPC_TABLE_CLUSTER] : NULL;
    bool same_cluster =
        live_cluster != NULL &&
        memcmp(live_cluster->cluster_id, r->cluster.cluster_id, sizeof(r->cluster.cluster_id)) == 0;
    uint32_t value = ctl_document_member(r->document, object, "token");
    row->token_version = before != NULL ? before->token_version : 0;
    uint8_t *cell = token_cell(r, row->account);
    if (value == CTL_NONE || ctl_document_type(r->document, value) == CTL_JSON_NULL) {
        if (before == NULL || before->token_bytes == 0 || !same_cluster)
            return IPC_OK;
        row->token_bytes = before->token_bytes;
        memcpy(cell,
            (const uint8_t *)r->live->rows[IPC_TABLE_TOKENS] +
                (size_t)(row->account - 1) * r->live->shape.token_row_bytes,
            before->token_bytes);
        return IPC_OK;
    }
    if (r->key == NULL)
        return CTL_COMPLAIN(r, value, "a token needs the key that seals it: give --key FILE");
    if (ctl_document_text(r->document, value, r->secret, TOKEN_BYTES_MAX + 1, r->error) != IPC_OK)
        return IPC_BAD_INPUT;
    size_t plain = strlen(r->secret), sealed = 0;
    for (size_t i = 0; i < plain; i++)
        if (r->secret[i] <= ' ' || r->secret[i] > '~')
            return CTL_COMPLAIN(r, value, "a token has printable ASCII without blanks only");
    struct ipc_seal_binding binding = {
        .account = row->account, .token_version = ++row->token_version};
    memcpy(binding.cluster_id, r->cluster.cluster_id, sizeof(binding.cluster_id));
    enum ipc_rc rc = ipc_seal(r->key, &binding, r->secret, plain, cell,
        TOKEN_BYTES_MAX + IPC_SEAL_OVERHEAD_BYTES, &sealed);
    ipc_secret_wipe(r->secret, plain);
    if (rc != IPC_OK)
        return CTL_COMPLAIN(r, value, "the token cannot be sealed: %s", ipc_rc_text(rc));
    row->token_bytes = (uint32_t)sealed;
    return IPC_OK;
}

/* A number stays with its login: positions, tokens and the journal go by the number. */
static enum ipc_rc same_login(
    struct ctl_reading *r, uint32_t object, const struct ipc_row_account *row)
{
    if (r->live == NULL || row->account > r->live->shape.rows[IPC_TABLE_ACCOUNTS])
        return IPC_OK;
    const struct ipc_row_account *before =
        (const struct ipc_row_account *)r->live->rows[IPC_TABLE_ACCOUNTS] + (row->account - 1);
    if (before->account == 0 || (before->broker == row->broker &&
                                    strncmp(before->login, row->login, sizeof(row->login)) == 0))
        return IPC_OK;
    return CTL_COMPLAIN(r, object,
        "account %u was login \"%s\" at its broker; numbers are never reused, take a new one",
        row->account, before->login);
}

enum ipc_rc ctl_read_account(struct ctl_reading *r, uint32_t object)
{
    static const char *const keys[] = {"account", "broker", "login", "name", "roles", "lanes",
        "source_address", "shard", "token", "poll_interval_ms", "max_open_orders", "api_trader",
        "chaining", "enabled", NULL};
    if (ctl_document_only(r->document, object, keys, r->error) != IPC_OK)
        return IPC_BAD_INPUT;
    uint32_t number = 0;
    if (ctl_read_need(r, object, "account",
            ctl_read_u32(r, object, "account", 1, ACCOUNT_MAX, &number)) != IPC_OK)
        return IPC_BAD_INPUT;
    struct ipc_row_account *row = ctl_rows_reach(&r->accounts, number);
    if (row->account != 0)
        return CTL_COMPLAIN(r, object, "account %u stands here twice", number);
    row->account = number;
    char broker[IPC_NAME_BYTES] = "", lanes[16] = "own";
    bool api_trader, chaining, enabled;
    if (ctl_read_need(r, object, "broker",
            ctl_read_text(r, object, "broker", broker, sizeof(broker))) != IPC_OK ||
        ctl_read_need(r, object, "login",
            ctl_read_text(r, object, "login", row->login, sizeof(row->login))) != IPC_OK ||
        ctl_read_failed(ctl_read_text(r, object, "name", row->name, sizeof(row->name))) ||
        read_roles(r, object, row) != IPC_OK ||
        ctl_read_failed(ctl_read_text(r, object, "lanes", lanes, sizeof(lanes))) ||
        read_source_address(r, object, row) != IPC_OK ||
        ctl_read_failed(ctl_read_u16(
            r, object, "shard", 0, (uint16_t)(r->cluster.shard_count - 1), &row->shard)) ||
        ctl_read_failed(
            ctl_read_u32(r, object, "poll_interval_ms", 10, 3600000, &row->poll_interval_ms)) ||
        ctl_read_failed(
            ctl_read_u32(r, object, "max_open_orders", 0, 1000000, &row->open_orders_max)) ||
        ctl_read_failed(ctl_read_flag(r, object, "api_trader", false, &api_trader)) ||
        ctl_read_failed(ctl_read_flag(r, object, "chaining", false, &chaining)) ||
        ctl_read_failed(ctl_read_flag(r, object, "enabled", true, &enabled)))
        return IPC_BAD_INPUT;
    uint32_t index = ctl_name_map_get(&r->broker_names, broker);
    if (index >= CTL_NAME_TWICE)
        return CTL_COMPLAIN(r, object, "there is no broker named \"%s\"", broker);
    row->broker = (uint16_t)index;
    if (same_login(r, object, row) != IPC_OK)
        return IPC_BAD_INPUT;
    enum ipc_lanes kind;
    if (!ipc_lanes_parse(lanes, strlen(lanes), &kind))
        return CTL_COMPLAIN(
            r, ctl_document_member(r->document, object, "lanes"), "must be own or shared");
    row->lanes = (uint8_t)kind;
    row->flags =
        (uint8_t)((api_trader ? IPC_ACCOUNT_API_TRADER : 0) |
                  (chaining ? IPC_ACCOUNT_CHAINING : 0) | (enabled ? 0 : IPC_ACCOUNT_DISABLED));
    ctl_name_map_put(&r->logins, row->login, number);
    return read_token(r, object, row);
}

/* ---- instruments ----------------------------------------------------------------------------- */

static void name_instrument(struct ctl_reading *r, const struct ipc_row_instrument *row)
{
    char full[64];
    snprintf(full, sizeof(full), "%s:%s", ipc_exchange_name((enum ipc_exchange)row->exchange),
        row->symbol);
    ctl_name_map_put(&r->symbols, row->symbol, row->instrument);
    ctl_name_map_put(&r->symbols, full, row->instrument);
}

static enum ipc_rc same_contract(
    struct ctl_reading *r, uint32_t object, const struct ipc_row_instrument *row)
{
    if (r->live == NULL || row->instrument > r->live->shape.rows[IPC_TABLE_INSTRUMENTS])
        return IPC_OK;
    const struct ipc_row_instrument *before =
        (const struct ipc_row_instrument *)r->live->rows[IPC_TABLE_INSTRUMENTS] +
        (row->instrument - 1);
    if (before->instrument == 0)
        return IPC_OK;
    bool same = before->exchange == row->exchange && before->kind == row->kind &&
                before->right == row->right && before->strike_e8 == row->strike_e8 &&
                before->expiry_yyyymmdd == row->expiry_yyyymmdd &&
                strncmp(before->token, row->token, sizeof(row->token)) == 0;
    if (!same)
        return CTL_COMPLAIN(r, object,
            "instrument %u was %s %s; ids are never reused, take a new one", row->instrument,
            ipc_exchange_name((enum ipc_exchange)before->exchange), before->symbol);
    return IPC_OK;
}

enum ipc_rc ctl_read_instrument(struct ctl_reading *r, uint32_t object)
{
    static const char *const keys[] = {"instrument", "exchange", "kind", "token", "symbol",
        "underlying", "lot", "tick", "freeze", "strike", "right", "expiry", "symbol_group", "gone",
        NULL};
    if (ctl_document_only(r->document, object, keys, r->error) != IPC_OK)
        return IPC_BAD_INPUT;
    uint32_t number = 0;
    if (ctl_read_need(r, object, "instrument",
            ctl_read_u32(r, object, "instrument", 1, INSTRUMENT_MAX, &number)) != IPC_OK)
        return IPC_BAD_INPUT;
    struct ipc_row_instrument *row = ctl_rows_reach(&r->instruments, number);
    if (row->instrument != 0)
        return CTL_COMPLAIN(r, object, "instrument %u stands here twice", number);
    row->instrument = number;
    char exchange[8] = "", kind[8] = "CASH", right[4] = "";
    bool gone = false;
    row->lot_qty_e8 = LS_E8;
    if (ctl_read_need(r, object, "exchange",
            ctl_read_text(r, object, "exchange", exchange, sizeof(exchange))) != IPC_OK ||
        ctl_read_need(r, object, "token",
            ctl_read_text(r, object, "token", row->token, sizeof(row->token))) != IPC_OK ||
        ctl_read_need(r, object, "symbol",
            ctl_read_text(r, object, "symbol", row->symbol, sizeof(row->symbol))) != IPC_OK ||
        ctl_read_need(r, object, "tick",
            ctl_read_e8(r, object, "tick", 1, 1000 * LS_E8, &row->tick_e8)) != IPC_OK ||
        ctl_read_failed(ctl_read_text(r, object, "kind", kind, sizeof(kind))) ||
        ctl_read_failed(
            ctl_read_text(r, object, "underlying", row->underlying, sizeof(row->underlying))) ||
        ctl_read_failed(ctl_read_text(r, object, "right", right, sizeof(right))) ||
        ctl_read_failed(ctl_read_e8(r, object, "lot", 1, QTY_E8_MAX, &row->lot_qty_e8)) ||
        ctl_read_failed(ctl_read_e8(r, object, "freeze", 0, QTY_E8_MAX, &row->freeze_qty_e8)) ||
        ctl_read_failed(ctl_read_e8(r, object, "strike", 0, MONEY_E8_MAX, &row->strike_e8)) ||
        ctl_read_failed(ctl_read_u32(r, object, "expiry", 0, 99991231, &row->expiry_yyyymmdd)) ||
        ctl_read_failed(
            ctl_read_u32(r, object, "symbol_group", 0, UINT32_MAX, &row->symbol_group)) ||
        ctl_read_failed(ctl_read_flag(r, object, "gone", false, &gone)))
        return IPC_BAD_INPUT;
    row->flags = gone ? IPC_INSTRUMENT_GONE : 0;
    enum ipc_exchange exchange_value;
    enum ipc_instrument_kind kind_value;
    if (!ipc_exchange_parse(exchange, strlen(exchange), &exchange_value))
        return CTL_COMPLAIN(r, object, "\"%s\" is not an exchange that is known here", exchange);
    if (!ipc_instrument_kind_parse(kind, strlen(kind), &kind_value))
        return CTL_COMPLAIN(r, object, "kind must be CASH, FUTURE, OPTION or INDEX");
    row->exchange = (uint8_t)exchange_value;
    row->kind = (uint8_t)kind_value;
    row->right = right[0] == 'C' || right[0] == 'P' ? (uint8_t)right[0] : 0;
    if (kind_value == IPC_KIND_OPTION && row->right == 0)
        return CTL_COMPLAIN(r, object, "an option needs \"right\": \"CE\" or \"PE\"");
    name_instrument(r, row);
    return same_contract(r, object, row);
}

enum ipc_rc ctl_find_symbol(
    const struct ctl_reading *r, uint32_t value, const char *symbol, uint32_t *instrument)
{
    if (symbol[0] == '#') {
        char *end;
        unsigned long number = strtoul(symbol + 1, &end, 10);
        const struct ipc_row_instrument *rows = r->instruments.at;
        if (symbol[1] < '0' || symbol[1] > '9' || *end != '\0' || number == 0 ||
            number > r->instruments.count || rows[number - 1].instrument == 0)
            return CTL_COMPLAIN(r, value, "there is no instrument number \"%s\"", symbol);
        *instrument = (uint32_t)number;
        return IPC_OK;
    }
    *instrument = ctl_name_map_get(&r->symbols, symbol);
    if (*instrument == CTL_NAME_ABSENT)
        return CTL_COMPLAIN(r, value, "there is no instrument \"%s\"", symbol);
    if (*instrument == CTL_NAME_TWICE)
        return CTL_COMPLAIN(r, value,
            "\"%s\" is traded at more than one exchange: write NSE:%s, or #NUMBER", symbol, symbol);
    return IPC_OK;
}

void ctl_keep_sessions(struct ctl_reading *r)
{
    uint32_t count = r->live != NULL ? r->live->shape.rows[IPC_TABLE_SESSIONS] : 0;
    if (count == 0)
        return;
    ctl_rows_reach(&r->sessions, count);
    memcpy(r->sessions.at, r->live->rows[IPC_TABLE_SESSIONS], (size_t)count * r->sessions.bytes);
}

/* The file has no instruments: the live table goes on. */
void ctl_keep_instruments(struct ctl_reading *r)
{
    uint32_t count = r->live != NULL ? r->live->shape.rows[IPC_TABLE_INSTRUMENTS] : 0;
    const struct ipc_row_instrument *from = count > 0 ? r->live->rows[IPC_TABLE_INSTRUMENTS] : NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct ipc_row_instrument *row = ctl_rows_reach(&r->instruments, i + 1);
        *row = from[i];
        if (row->instrument != 0 && !(row->flags & IPC_INSTRUMENT_GONE))
            name_instrument(r, row);
    }
    /* A symbol of a contract that is gone may be another's by now. */
    for (uint32_t i = 0; i < count; i++) {
        if (from[i].instrument != 0 && (from[i].flags & IPC_INSTRUMENT_GONE) &&
            ctl_name_map_get(&r->symbols, from[i].symbol) == CTL_NAME_ABSENT)
            name_instrument(r, &from[i]);
    }
}

void ctl_keep_contracts(struct ctl_reading *r)
{
    uint32_t count = r->live != NULL ? r->live->shape.rows[IPC_TABLE_CONTRACTS] : 0;
    const struct ipc_row_contract *from = count > 0 ? r->live->rows[IPC_TABLE_CONTRACTS] : NULL;
    const struct ipc_row_instrument *instruments = r->instruments.at;
    const struct ipc_row_broker *brokers = r->brokers.at;
    for (uint32_t i = 0; i < count; i++) {
        if (from[i].instrument > r->instruments.count ||
            instruments[from[i].instrument - 1].instrument == 0 ||
            from[i].broker >= r->brokers.count || !brokers[from[i].broker].live)
            continue;
        *(struct ipc_row_contract *)ctl_rows_reach(&r->contracts, r->contracts.count + 1) = from[i];
    }
}
