#include "control/snapshot_file.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/document.h"
#include "control/name_map.h"

#define FILE_BYTES_MAX  (UINT64_C(4) << 30)
#define ACCOUNT_MAX     (1u << 20)
#define INSTRUMENT_MAX  (1u << 18)
#define SLOT_MAX        (1u << 20)
#define FOLLOWER_NO_MAX 60466175u /* 36^5 - 1 */
#define TOKEN_BYTES_MAX 3072u
#define QTY_E8_MAX      (INT64_C(50000000) * LS_E8)
#define MONEY_E8_MAX    (INT64_C(10000000000) * LS_E8)

/* A vector of plain rows. */
struct rows {
    void *at;
    uint32_t count, room, bytes;
};

static void *rows_reach(struct rows *rows, uint32_t count)
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

/* Everything that is gathered from one file. */
struct reading {
    const struct ctl_document *document;
    const struct ipc_snapshot_image *live;
    const struct ipc_seal_key *key;
    struct ipc_secret_arena *arena;
    struct ipc_error *error;
    struct ipc_row_cluster cluster;
    struct rows brokers, accounts, tokens, instruments, followers, masters, slots, lists, items;
    uint32_t token_row_bytes;
    struct ctl_name_map broker_names, logins, symbols, list_names, live_numbers;
    char *secret; /* TOKEN_BYTES_MAX + 1 bytes of the arena */
};

#define COMPLAIN(r, value, ...)                                                                    \
    (ctl_document_complain((r)->document, (value), (r)->error, __VA_ARGS__), IPC_BAD_INPUT)

/* An optional field may be absent. */
static bool failed(enum ipc_rc rc)
{
    return rc != IPC_OK && rc != IPC_NOT_FOUND;
}

static enum ipc_rc need(const struct reading *r, uint32_t object, const char *key, enum ipc_rc rc)
{
    if (rc == IPC_NOT_FOUND)
        return COMPLAIN(r, object, "\"%s\" is missing", key);
    return rc;
}

static enum ipc_rc read_u32(
    struct reading *r, uint32_t object, const char *key, uint32_t low, uint32_t high, uint32_t *out)
{
    uint64_t wide = 0;
    enum ipc_rc rc = ctl_document_uint(r->document, object, key, low, high, &wide, r->error);
    if (rc == IPC_OK)
        *out = (uint32_t)wide;
    return rc;
}

static enum ipc_rc read_u16(
    struct reading *r, uint32_t object, const char *key, uint16_t low, uint16_t high, uint16_t *out)
{
    uint32_t wide = 0;
    enum ipc_rc rc = read_u32(r, object, key, low, high, &wide);
    if (rc == IPC_OK)
        *out = (uint16_t)wide;
    return rc;
}

static enum ipc_rc read_text(
    struct reading *r, uint32_t object, const char *key, char *out, size_t out_bytes)
{
    return ctl_document_string(r->document, object, key, out, out_bytes, r->error);
}

static enum ipc_rc read_e8(
    struct reading *r, uint32_t object, const char *key, int64_t low, int64_t high, int64_t *out)
{
    return ctl_document_e8(r->document, object, key, low, high, out, r->error);
}

static enum ipc_rc read_flag(
    struct reading *r, uint32_t object, const char *key, bool fallback, bool *out)
{
    *out = fallback;
    return ctl_document_bool(r->document, object, key, out, r->error);
}

/* ---- brokers --------------------------------------------------------------------------------- */

static enum ipc_rc read_alpn(struct reading *r, uint32_t object, struct ipc_row_broker *row)
{
    char text[16] = "";
    enum ipc_rc rc = read_text(r, object, "alpn", text, sizeof(text));
    if (rc != IPC_OK)
        return rc == IPC_NOT_FOUND ? IPC_OK : rc;
    row->alpn = strcmp(text, "h2") == 0 ? 1 : strcmp(text, "http/1.1") == 0 ? 2 : 0;
    if (row->alpn == 0 && strcmp(text, "any") != 0)
        return COMPLAIN(
            r, ctl_document_member(r->document, object, "alpn"), "must be any, h2 or http/1.1");
    return IPC_OK;
}

static enum ipc_rc read_broker(struct reading *r, uint32_t object)
{
    static const char *const keys[] = {"name", "dialect", "host", "port", "authority", "ca_file",
        "base_path", "pool_connections", "alpn", "requests_per_connection", "connects_per_second",
        "reply_timeout_ms", "orders_per_second", "orders_per_minute", "orders_per_day",
        "address_orders_per_second", "ping_interval_ms", "keepalive_get_ms", "trust_goaway",
        "trust_refused_stream", "pacing", NULL};
    if (ctl_document_only(r->document, object, keys, r->error) != IPC_OK)
        return IPC_BAD_INPUT;
    if (r->brokers.count == 64)
        return COMPLAIN(r, object, "at most 64 brokers");
    struct ipc_row_broker *row = rows_reach(&r->brokers, r->brokers.count + 1);
    bool goaway, refused, pacing;
    if (need(r, object, "name", read_text(r, object, "name", row->name, sizeof(row->name))) !=
            IPC_OK ||
        need(r, object, "dialect",
            read_text(r, object, "dialect", row->dialect, sizeof(row->dialect))) != IPC_OK ||
        need(r, object, "host", read_text(r, object, "host", row->host, sizeof(row->host))) !=
            IPC_OK ||
        failed(read_text(r, object, "authority", row->authority, sizeof(row->authority))) ||
        failed(read_text(r, object, "ca_file", row->ca_file, sizeof(row->ca_file))) ||
        failed(read_text(r, object, "base_path", row->base_path, sizeof(row->base_path))) ||
        failed(read_u16(r, object, "port", 1, 65535, &row->port)) ||
        failed(read_u16(r, object, "pool_connections", 1, 1024, &row->pool_connections)) ||
        failed(read_alpn(r, object, row)) ||
        failed(read_u32(
            r, object, "requests_per_connection", 3, 1u << 29, &row->requests_per_connection)) ||
        failed(read_u32(r, object, "connects_per_second", 1, 100000, &row->connects_per_second)) ||
        failed(read_u32(r, object, "reply_timeout_ms", 100, 120000, &row->reply_timeout_ms)) ||
        failed(read_u32(r, object, "orders_per_second", 1, 1000000, &row->orders_per_second)) ||
        failed(read_u32(r, object, "orders_per_minute", 1, 60000000, &row->orders_per_minute)) ||
        failed(read_u32(r, object, "orders_per_day", 1, 1000000000, &row->orders_per_day)) ||
        failed(read_u32(
            r, object, "address_orders_per_second", 1, 1000000, &row->address_orders_per_second)) ||
        failed(read_u32(r, object, "ping_interval_ms", 100, 60000, &row->ping_interval_ms)) ||
        failed(read_u32(r, object, "keepalive_get_ms", 100, 600000, &row->keepalive_get_ms)) ||
        failed(read_flag(r, object, "trust_goaway", false, &goaway)) ||
        failed(read_flag(r, object, "trust_refused_stream", false, &refused)) ||
        failed(read_flag(r, object, "pacing", true, &pacing)))
        return IPC_BAD_INPUT;
    row->live = 1;
    if (row->port == 0)
        row->port = 443;
    row->flags = (goaway ? IPC_BROKER_TRUST_GOAWAY : 0) |
                 (refused ? IPC_BROKER_TRUST_REFUSED_STREAM : 0) |
                 (pacing ? 0 : IPC_BROKER_NO_PACING);
    if (!ctl_name_map_put(&r->broker_names, row->name, r->brokers.count - 1))
        return COMPLAIN(r, object, "there are two brokers named \"%s\"", row->name);
    return IPC_OK;
}

/* ---- accounts -------------------------------------------------------------------------------- */

static enum ipc_rc read_roles(struct reading *r, uint32_t object, struct ipc_row_account *row)
{
    uint32_t roles = ctl_document_member(r->document, object, "roles");
    if (roles == CTL_NONE || ctl_document_type(r->document, roles) != CTL_JSON_ARRAY)
        return COMPLAIN(r, object, "\"roles\" must list master, follower or both");
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
            return COMPLAIN(r, value, "must be master or follower");
    }
    return IPC_OK;
}

static enum ipc_rc read_source_address(
    struct reading *r, uint32_t object, struct ipc_row_account *row)
{
    char text[64] = "";
    enum ipc_rc rc = read_text(r, object, "source_address", text, sizeof(text));
    if (rc != IPC_OK)
        return rc == IPC_NOT_FOUND ? IPC_OK : rc;
    if (inet_pton(AF_INET, text, row->source_address) == 1)
        row->source_family = 4;
    else if (inet_pton(AF_INET6, text, row->source_address) == 1)
        row->source_family = 6;
    else
        return COMPLAIN(r, ctl_document_member(r->document, object, "source_address"),
            "must be an IPv4 or IPv6 address");
    return IPC_OK;
}

static const struct ipc_row_account *live_account(const struct reading *r, uint32_t account)
{
    if (r->live == NULL || account > r->live->shape.rows[IPC_TABLE_ACCOUNTS])
        return NULL;
    const struct ipc_row_account *row =
        (const struct ipc_row_account *)r->live->rows[IPC_TABLE_ACCOUNTS] + (account - 1);
    return row->account == account ? row : NULL;
}

static uint8_t *token_cell(struct reading *r, uint32_t account)
{
    return rows_reach(&r->tokens, account);
}

/* Seals the file's token, or takes the live one over when the file has none. */
static enum ipc_rc read_token(struct reading *r, uint32_t object, struct ipc_row_account *row)
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
        return COMPLAIN(r, value, "a token needs the key that seals it: give --key FILE");
    if (ctl_document_text(r->document, value, r->secret, TOKEN_BYTES_MAX + 1, r->error) != IPC_OK)
        return IPC_BAD_INPUT;
    size_t plain = strlen(r->secret), sealed = 0;
    for (size_t i = 0; i < plain; i++)
        if (r->secret[i] <= ' ' || r->secret[i] > '~')
            return COMPLAIN(r, value, "a token has printable ASCII without blanks only");
    struct ipc_seal_binding binding = {
        .account = row->account, .token_version = ++row->token_version};
    memcpy(binding.cluster_id, r->cluster.cluster_id, sizeof(binding.cluster_id));
    enum ipc_rc rc = ipc_seal(r->key, &binding, r->secret, plain, cell,
        TOKEN_BYTES_MAX + IPC_SEAL_OVERHEAD_BYTES, &sealed);
    ipc_secret_wipe(r->secret, plain);
    if (rc != IPC_OK)
        return COMPLAIN(r, value, "the token cannot be sealed: %s", ipc_rc_text(rc));
    row->token_bytes = (uint32_t)sealed;
    return IPC_OK;
}

static enum ipc_rc read_account(struct reading *r, uint32_t object)
{
    static const char *const keys[] = {"account", "broker", "login", "name", "roles", "lanes",
        "source_address", "shard", "token", "poll_interval_ms", "api_trader", "chaining", "enabled",
        NULL};
    if (ctl_document_only(r->document, object, keys, r->error) != IPC_OK)
        return IPC_BAD_INPUT;
    uint32_t number = 0;
    if (need(r, object, "account", read_u32(r, object, "account", 1, ACCOUNT_MAX, &number)) !=
        IPC_OK)
        return IPC_BAD_INPUT;
    struct ipc_row_account *row = rows_reach(&r->accounts, number);
    if (row->account != 0)
        return COMPLAIN(r, object, "account %u stands here twice", number);
    row->account = number;
    char broker[IPC_NAME_BYTES] = "", lanes[16] = "own";
    bool api_trader, chaining, enabled;
    if (need(r, object, "broker", read_text(r, object, "broker", broker, sizeof(broker))) !=
            IPC_OK ||
        need(r, object, "login", read_text(r, object, "login", row->login, sizeof(row->login))) !=
            IPC_OK ||
        failed(read_text(r, object, "name", row->name, sizeof(row->name))) ||
        read_roles(r, object, row) != IPC_OK ||
        failed(read_text(r, object, "lanes", lanes, sizeof(lanes))) ||
        read_source_address(r, object, row) != IPC_OK ||
        failed(
            read_u16(r, object, "shard", 0, (uint16_t)(r->cluster.shard_count - 1), &row->shard)) ||
        failed(read_u32(r, object, "poll_interval_ms", 10, 3600000, &row->poll_interval_ms)) ||
        failed(read_flag(r, object, "api_trader", false, &api_trader)) ||
        failed(read_flag(r, object, "chaining", false, &chaining)) ||
        failed(read_flag(r, object, "enabled", true, &enabled)))
        return IPC_BAD_INPUT;
    uint32_t index = ctl_name_map_get(&r->broker_names, broker);
    if (index >= CTL_NAME_TWICE)
        return COMPLAIN(r, object, "there is no broker named \"%s\"", broker);
    row->broker = (uint16_t)index;
    enum ipc_lanes kind;
    if (!ipc_lanes_parse(lanes, strlen(lanes), &kind))
        return COMPLAIN(
            r, ctl_document_member(r->document, object, "lanes"), "must be own or shared");
    row->lanes = (uint8_t)kind;
    row->flags =
        (uint8_t)((api_trader ? IPC_ACCOUNT_API_TRADER : 0) |
                  (chaining ? IPC_ACCOUNT_CHAINING : 0) | (enabled ? 0 : IPC_ACCOUNT_DISABLED));
    ctl_name_map_put(&r->logins, row->login, number);
    return read_token(r, object, row);
}

/* ---- instruments ----------------------------------------------------------------------------- */

static void name_instrument(struct reading *r, const struct ipc_row_instrument *row)
{
    char full[64];
    snprintf(full, sizeof(full), "%s:%s", ipc_exchange_name((enum ipc_exchange)row->exchange),
        row->symbol);
    ctl_name_map_put(&r->symbols, row->symbol, row->instrument);
    ctl_name_map_put(&r->symbols, full, row->instrument);
}

static enum ipc_rc same_contract(
    struct reading *r, uint32_t object, const struct ipc_row_instrument *row)
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
        return COMPLAIN(r, object, "instrument %u was %s %s; ids are never reused, take a new one",
            row->instrument, ipc_exchange_name((enum ipc_exchange)before->exchange),
            before->symbol);
    return IPC_OK;
}

static enum ipc_rc read_instrument(struct reading *r, uint32_t object)
{
    static const char *const keys[] = {"instrument", "exchange", "kind", "token", "symbol",
        "underlying", "lot", "tick", "freeze", "strike", "right", "expiry", NULL};
    if (ctl_document_only(r->document, object, keys, r->error) != IPC_OK)
        return IPC_BAD_INPUT;
    uint32_t number = 0;
    if (need(r, object, "instrument",
            read_u32(r, object, "instrument", 1, INSTRUMENT_MAX, &number)) != IPC_OK)
        return IPC_BAD_INPUT;
    struct ipc_row_instrument *row = rows_reach(&r->instruments, number);
    if (row->instrument != 0)
        return COMPLAIN(r, object, "instrument %u stands here twice", number);
    row->instrument = number;
    char exchange[8] = "", kind[8] = "CASH", right[4] = "";
    row->lot_qty_e8 = LS_E8;
    if (need(r, object, "exchange", read_text(r, object, "exchange", exchange, sizeof(exchange))) !=
            IPC_OK ||
        need(r, object, "token", read_text(r, object, "token", row->token, sizeof(row->token))) !=
            IPC_OK ||
        need(r, object, "symbol",
            read_text(r, object, "symbol", row->symbol, sizeof(row->symbol))) != IPC_OK ||
        need(r, object, "tick", read_e8(r, object, "tick", 1, 1000 * LS_E8, &row->tick_e8)) !=
            IPC_OK ||
        failed(read_text(r, object, "kind", kind, sizeof(kind))) ||
        failed(read_text(r, object, "underlying", row->underlying, sizeof(row->underlying))) ||
        failed(read_text(r, object, "right", right, sizeof(right))) ||
        failed(read_e8(r, object, "lot", 1, QTY_E8_MAX, &row->lot_qty_e8)) ||
        failed(read_e8(r, object, "freeze", 0, QTY_E8_MAX, &row->freeze_qty_e8)) ||
        failed(read_e8(r, object, "strike", 0, MONEY_E8_MAX, &row->strike_e8)) ||
        failed(read_u32(r, object, "expiry", 0, 99991231, &row->expiry_yyyymmdd)))
        return IPC_BAD_INPUT;
    enum ipc_exchange exchange_value;
    enum ipc_instrument_kind kind_value;
    if (!ipc_exchange_parse(exchange, strlen(exchange), &exchange_value))
        return COMPLAIN(r, object, "\"%s\" is not an exchange that is known here", exchange);
    if (!ipc_instrument_kind_parse(kind, strlen(kind), &kind_value))
        return COMPLAIN(r, object, "kind must be CASH, FUTURE, OPTION or INDEX");
    row->exchange = (uint8_t)exchange_value;
    row->kind = (uint8_t)kind_value;
    row->right = right[0] == 'C' || right[0] == 'P' ? (uint8_t)right[0] : 0;
    if (kind_value == IPC_KIND_OPTION && row->right == 0)
        return COMPLAIN(r, object, "an option needs \"right\": \"CE\" or \"PE\"");
    name_instrument(r, row);
    return same_contract(r, object, row);
}

/* The file has no instruments: the live table goes on. */
static void keep_instruments(struct reading *r)
{
    uint32_t count = r->live != NULL ? r->live->shape.rows[IPC_TABLE_INSTRUMENTS] : 0;
    const struct ipc_row_instrument *from = count > 0 ? r->live->rows[IPC_TABLE_INSTRUMENTS] : NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct ipc_row_instrument *row = rows_reach(&r->instruments, i + 1);
        *row = from[i];
        if (row->instrument != 0)
            name_instrument(r, row);
    }
}

/* ---- subscriptions --------------------------------------------------------------------------- */

static int compare_u32(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

/* Turns a list of symbols into 1 + index of a list row; equal lists share one. 0 = empty. */
static enum ipc_rc read_list(struct reading *r, uint32_t object, const char *key, uint32_t *out)
{
    uint32_t array = ctl_document_member(r->document, object, key);
    *out = 0;
    if (array == CTL_NONE || ctl_document_type(r->document, array) == CTL_JSON_NULL)
        return IPC_OK;
    if (ctl_document_type(r->document, array) != CTL_JSON_ARRAY)
        return COMPLAIN(r, array, "must be a list of symbols");
    uint32_t count = ctl_document_count(r->document, array);
    if (count == 0)
        return IPC_OK;
    uint32_t *ids = calloc(count, sizeof(*ids)), at = 0;
    char *name = calloc(count, 12); /* the list's own name: its ids */
    LS_CHECK(ids != NULL && name != NULL);
    enum ipc_rc rc = IPC_OK;
    for (uint32_t value = ctl_document_first(r->document, array); value != CTL_NONE && rc == IPC_OK;
         value = ctl_document_next(r->document, value)) {
        char symbol[48];
        rc = ctl_document_text(r->document, value, symbol, sizeof(symbol), r->error);
        if (rc != IPC_OK)
            break;
        uint32_t id = ctl_name_map_get(&r->symbols, symbol);
        if (id == CTL_NAME_ABSENT)
            rc = COMPLAIN(r, value, "there is no instrument \"%s\"", symbol);
        else if (id == CTL_NAME_TWICE)
            rc = COMPLAIN(r, value, "\"%s\" is traded at more than one exchange: write NSE:%s",
                symbol, symbol);
        ids[at++] = id;
    }
    if (rc == IPC_OK) {
        qsort(ids, count, sizeof(*ids), compare_u32);
        uint32_t unique = 0;
        for (uint32_t i = 0; i < count; i++)
            if (i == 0 || ids[i] != ids[i - 1])
                ids[unique++] = ids[i];
        size_t used = 0;
        for (uint32_t i = 0; i < unique; i++)
            used += (size_t)snprintf(name + used, (size_t)count * 12 - used, "%u,", ids[i]);
        uint32_t known = ctl_name_map_get(&r->list_names, name);
        if (known >= CTL_NAME_TWICE) {
            known = r->lists.count;
            struct ipc_row_list *row = rows_reach(&r->lists, known + 1);
            *row = (struct ipc_row_list){.first = r->items.count, .count = unique};
            for (uint32_t i = 0; i < unique; i++)
                *(uint32_t *)rows_reach(&r->items, r->items.count + 1) = ids[i];
            ctl_name_map_put(&r->list_names, name, known);
        }
        *out = known + 1;
    }
    free(ids);
    free(name);
    return rc;
}

/* Reads names of one vocabulary list into bits (1 << value). */
static enum ipc_rc read_bits(struct reading *r, uint32_t object, const char *key,
    bool (*parse)(const char *text, uint32_t *value), uint8_t *bits)
{
    uint32_t array = ctl_document_member(r->document, object, key);
    *bits = 0;
    if (array == CTL_NONE || ctl_document_type(r->document, array) == CTL_JSON_NULL)
        return IPC_OK;
    if (ctl_document_type(r->document, array) != CTL_JSON_ARRAY)
        return COMPLAIN(r, array, "must be a list");
    for (uint32_t value = ctl_document_first(r->document, array); value != CTL_NONE;
         value = ctl_document_next(r->document, value)) {
        char text[16];
        uint32_t number = 0;
        if (ctl_document_text(r->document, value, text, sizeof(text), r->error) != IPC_OK)
            return IPC_BAD_INPUT;
        if (!parse(text, &number))
            return COMPLAIN(r, value, "\"%s\" is not known here", text);
        *bits = (uint8_t)(*bits | 1u << number);
    }
    return IPC_OK;
}

#define PARSER(name, tag)                                                                          \
    static bool name(const char *text, uint32_t *value)                                            \
    {                                                                                              \
        enum tag parsed;                                                                           \
        if (!tag##_parse(text, strlen(text), &parsed))                                             \
            return false;                                                                          \
        *value = (uint32_t)parsed;                                                                 \
        return true;                                                                               \
    }
PARSER(parse_product, ipc_product)
PARSER(parse_type, ipc_type)
PARSER(parse_side, ipc_side)

/* An account by its login (a string) or its number. */
static enum ipc_rc find_account(
    struct reading *r, uint32_t object, const char *key, uint8_t role, uint32_t *account)
{
    uint32_t value = ctl_document_member(r->document, object, key);
    if (value == CTL_NONE)
        return COMPLAIN(r, object, "\"%s\" is missing", key);
    if (ctl_document_type(r->document, value) == CTL_JSON_NUMBER) {
        if (read_u32(r, object, key, 1, ACCOUNT_MAX, account) != IPC_OK)
            return IPC_BAD_INPUT;
    } else {
        char login[IPC_NAME_BYTES];
        if (ctl_document_text(r->document, value, login, sizeof(login), r->error) != IPC_OK)
            return IPC_BAD_INPUT;
        *account = ctl_name_map_get(&r->logins, login);
        if (*account == CTL_NAME_TWICE)
            return COMPLAIN(r, value, "two accounts have the login \"%s\": give the number", login);
    }
    const struct ipc_row_account *rows = r->accounts.at;
    if (*account > r->accounts.count || rows[*account - 1].account == 0)
        return COMPLAIN(r, value, "there is no such account in this file");
    if ((rows[*account - 1].roles & role) == 0)
        return COMPLAIN(r, value, "account %u (%s) does not have the role %s", *account,
            rows[*account - 1].login, role == IPC_ROLE_MASTER ? "master" : "follower");
    return IPC_OK;
}

static enum ipc_rc read_mode(struct reading *r, uint32_t object, struct ipc_row_follower *row)
{
    char mode[24] = "FIXED_RATIO", copy[8] = "order";
    if (failed(read_text(r, object, "mode", mode, sizeof(mode))) ||
        failed(read_text(r, object, "copy", copy, sizeof(copy))))
        return IPC_BAD_INPUT;
    enum ipc_mode mode_value;
    enum ipc_copy copy_value;
    if (!ipc_mode_parse(mode, strlen(mode), &mode_value))
        return COMPLAIN(
            r, object, "mode \"%s\" is not FIXED_RATIO, PERCENTAGE or FIXED_QUANTITY", mode);
    if (!ipc_copy_parse(copy, strlen(copy), &copy_value))
        return COMPLAIN(r, object, "copy must be order or fill");
    row->mode = (uint8_t)mode_value;
    row->copy = (uint8_t)copy_value;
    const char *key = mode_value == IPC_MODE_FIXED_RATIO  ? "ratio"
                      : mode_value == IPC_MODE_PERCENTAGE ? "percent"
                                                          : "quantity";
    int64_t high = mode_value == IPC_MODE_FIXED_QUANTITY ? QTY_E8_MAX : 10000 * LS_E8;
    int64_t *out = mode_value == IPC_MODE_FIXED_QUANTITY ? &row->fixed_qty_e8 : &row->ratio_e8;
    return need(r, object, key, read_e8(r, object, key, 1, high, out));
}

/* A follower number keeps its slot; a retired one stays with its account and master. */
static enum ipc_rc give_slot(struct reading *r, uint32_t object, uint32_t number, uint32_t account,
    uint32_t master, struct ipc_row_follower **row)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", number);
    uint32_t slot = ctl_name_map_get(&r->live_numbers, text);
    uint16_t incarnation = 1;
    if (slot < CTL_NAME_TWICE) {
        struct ipc_row_follower *before = (struct ipc_row_follower *)r->followers.at + slot;
        if (before->account != account || before->master != master)
            return COMPLAIN(r, object,
                "follower number %u belongs to account %u under master %u and is never reused; "
                "take "
                "a new number",
                number, before->account, before->master);
        if ((before->flags & IPC_FOLLOWER_RETIRED) == 0)
            return COMPLAIN(r, object, "follower number %u stands here twice", number);
        const struct ipc_row_follower *live =
            (const struct ipc_row_follower *)r->live->rows[IPC_TABLE_FOLLOWERS] + slot;
        bool was_retired = (live->flags & IPC_FOLLOWER_RETIRED) != 0;
        incarnation = (uint16_t)(before->incarnation + was_retired);
    } else {
        slot = r->followers.count;
        if (slot == SLOT_MAX)
            return COMPLAIN(r, object, "more than %u subscriptions", SLOT_MAX);
        rows_reach(&r->followers, slot + 1);
        ctl_name_map_put(&r->live_numbers, text, slot);
    }
    *row = (struct ipc_row_follower *)r->followers.at + slot;
    **row = (struct ipc_row_follower){
        .follower_no = number, .incarnation = incarnation, .account = account, .master = master};
    return IPC_OK;
}

static enum ipc_rc read_limits(struct reading *r, uint32_t object, struct ipc_row_follower *row)
{
    char on_quantity[8] = "reduce", on_value[8] = "skip";
    bool enabled, paused, allow_short;
    if (failed(read_e8(r, object, "max_quantity", 0, QTY_E8_MAX, &row->max_qty_e8)) ||
        failed(read_e8(r, object, "max_order_value", 0, MONEY_E8_MAX, &row->max_order_value_e8)) ||
        failed(read_e8(r, object, "max_position", 0, QTY_E8_MAX, &row->max_position_e8)) ||
        failed(read_u32(r, object, "max_age_market_ms", 1, 3600000, &row->max_age_market_ms)) ||
        failed(read_u32(r, object, "max_age_limit_ms", 1, 3600000, &row->max_age_limit_ms)) ||
        failed(read_u32(r, object, "capital_max_age_ms", 1, 86400000, &row->capital_max_age_ms)) ||
        failed(read_u32(r, object, "price_max_age_ms", 1, 86400000, &row->price_max_age_ms)) ||
        failed(read_flag(r, object, "enabled", true, &enabled)) ||
        failed(read_flag(r, object, "paused", false, &paused)) ||
        failed(read_flag(r, object, "allow_short", true, &allow_short)) ||
        failed(read_text(r, object, "on_max_quantity", on_quantity, sizeof(on_quantity))) ||
        failed(read_text(r, object, "on_max_order_value", on_value, sizeof(on_value))))
        return IPC_BAD_INPUT;
    bool quantity_skips = strcmp(on_quantity, "skip") == 0;
    bool value_reduces = strcmp(on_value, "reduce") == 0;
    if ((!quantity_skips && strcmp(on_quantity, "reduce") != 0) ||
        (!value_reduces && strcmp(on_value, "skip") != 0))
        return COMPLAIN(r, object, "on_max_quantity and on_max_order_value are reduce or skip");
    row->flags =
        (uint8_t)((enabled ? IPC_FOLLOWER_ENABLED : 0) | (paused ? IPC_FOLLOWER_PAUSED : 0) |
                  (allow_short ? IPC_FOLLOWER_ALLOW_SHORT : 0) |
                  (quantity_skips ? IPC_FOLLOWER_CAP_SKIPS : 0) |
                  (value_reduces ? IPC_FOLLOWER_VALUE_REDUCES : 0));
    return IPC_OK;
}

static enum ipc_rc read_subscription(struct reading *r, uint32_t object)
{
    static const char *const keys[] = {"follower", "account", "master", "mode", "ratio", "percent",
        "quantity", "copy", "max_quantity", "max_order_value", "max_position", "on_max_quantity",
        "on_max_order_value", "allowed_instruments", "denied_instruments", "allowed_products",
        "allowed_order_types", "allowed_sides", "max_age_market_ms", "max_age_limit_ms",
        "capital_max_age_ms", "price_max_age_ms", "enabled", "paused", "allow_short", NULL};
    if (ctl_document_only(r->document, object, keys, r->error) != IPC_OK)
        return IPC_BAD_INPUT;
    uint32_t number = 0, account = 0, master = 0;
    if (need(r, object, "follower", read_u32(r, object, "follower", 1, FOLLOWER_NO_MAX, &number)) !=
            IPC_OK ||
        find_account(r, object, "account", IPC_ROLE_FOLLOWER, &account) != IPC_OK ||
        find_account(r, object, "master", IPC_ROLE_MASTER, &master) != IPC_OK)
        return IPC_BAD_INPUT;
    if (account == master)
        return COMPLAIN(r, object, "an account cannot follow itself");
    struct ipc_row_follower *row = NULL;
    if (give_slot(r, object, number, account, master, &row) != IPC_OK)
        return IPC_BAD_INPUT;
    uint32_t slot = (uint32_t)(row - (struct ipc_row_follower *)r->followers.at);
    const struct ipc_row_account *owner = (struct ipc_row_account *)r->accounts.at + (account - 1);
    row->broker = owner->broker;
    row->shard = owner->shard;
    if (read_mode(r, object, row) != IPC_OK || read_limits(r, object, row) != IPC_OK ||
        read_list(r, object, "allowed_instruments", &row->allowed_list) != IPC_OK ||
        read_list(r, object, "denied_instruments", &row->denied_list) != IPC_OK ||
        read_bits(r, object, "allowed_products", parse_product, &row->products) != IPC_OK ||
        read_bits(r, object, "allowed_order_types", parse_type, &row->types) != IPC_OK ||
        read_bits(r, object, "allowed_sides", parse_side, &row->sides) != IPC_OK)
        return IPC_BAD_INPUT;
    *(uint32_t *)rows_reach(&r->slots, r->slots.count + 1) = slot;
    return IPC_OK;
}

/* Live rows come over retired; those that the file names come back to life in their slots. */
static void retire_live(struct reading *r)
{
    uint32_t count = r->live != NULL ? r->live->shape.rows[IPC_TABLE_FOLLOWERS] : 0;
    const struct ipc_row_follower *from = count > 0 ? r->live->rows[IPC_TABLE_FOLLOWERS] : NULL;
    for (uint32_t slot = 0; slot < count; slot++) {
        struct ipc_row_follower *row = rows_reach(&r->followers, slot + 1);
        *row = from[slot];
        row->flags = IPC_FOLLOWER_RETIRED;
        row->allowed_list = row->denied_list = 0;
        char text[16];
        snprintf(text, sizeof(text), "%u", row->follower_no);
        if (row->follower_no != 0)
            ctl_name_map_put(&r->live_numbers, text, slot);
    }
}

/* Retired rows stand for accounts that may have left the file: they keep their numbers only. */

/* Two accounts that share a source address are one client to a broker: one shard (DESIGN 4). */
static enum ipc_rc check_shards(struct reading *r)
{
    struct ctl_name_map homes;
    ctl_name_map_init(&homes, r->accounts.count);
    const struct ipc_row_account *rows = r->accounts.at;
    enum ipc_rc rc = IPC_OK;
    for (uint32_t i = 0; i < r->accounts.count && rc == IPC_OK; i++) {
        if (rows[i].account == 0 || (rows[i].roles & IPC_ROLE_FOLLOWER) == 0)
            continue;
        char home[80], address[INET6_ADDRSTRLEN] = "";
        snprintf(home, sizeof(home), "login %u/%s", rows[i].broker, rows[i].login);
        bool agree = ctl_name_map_put(&homes, home, rows[i].shard);
        if (rows[i].source_family != 0) {
            inet_ntop(rows[i].source_family == 4 ? AF_INET : AF_INET6, rows[i].source_address,
                address, sizeof(address));
            snprintf(home, sizeof(home), "address %u/%s", rows[i].broker, address);
            agree = ctl_name_map_put(&homes, home, rows[i].shard) && agree;
        }
        if (!agree) {
            ipc_error_set(r->error,
                "account %u (%s%s%s): accounts that share a login or a source address must be in "
                "one "
                "shard; give them the same \"shard\"",
                rows[i].account, rows[i].login, address[0] ? ", " : "", address);
            rc = IPC_BAD_INPUT;
        }
    }
    ctl_name_map_free(&homes);
    return rc;
}

/* ---- the whole file -------------------------------------------------------------------------- */

static enum ipc_rc each(struct reading *r, const char *key,
    enum ipc_rc (*read_one)(struct reading *, uint32_t), bool required)
{
    uint32_t array = ctl_document_member(r->document, 0, key);
    if (array == CTL_NONE)
        return required ? COMPLAIN(r, 0, "\"%s\" is missing", key) : IPC_OK;
    if (ctl_document_type(r->document, array) != CTL_JSON_ARRAY)
        return COMPLAIN(r, array, "must be a list of objects");
    for (uint32_t value = ctl_document_first(r->document, array); value != CTL_NONE;
         value = ctl_document_next(r->document, value)) {
        enum ipc_rc rc = read_one(r, value);
        if (rc != IPC_OK)
            return rc;
    }
    return IPC_OK;
}

/* Dispatch order: by master, shard, then broker and account, so that one connection's orders lie
 * together. */
static const struct ipc_row_follower *sort_rows;
static int compare_slots(const void *a, const void *b)
{
    const struct ipc_row_follower *left = &sort_rows[*(const uint32_t *)a];
    const struct ipc_row_follower *right = &sort_rows[*(const uint32_t *)b];
    if (left->master != right->master)
        return left->master < right->master ? -1 : 1;
    if (left->shard != right->shard)
        return left->shard < right->shard ? -1 : 1;
    if (left->broker != right->broker)
        return left->broker < right->broker ? -1 : 1;
    if (left->account != right->account)
        return left->account < right->account ? -1 : 1;
    return left->follower_no < right->follower_no ? -1 : left->follower_no > right->follower_no;
}

static void group_masters(struct reading *r)
{
    uint32_t *slots = r->slots.at;
    if (r->slots.count == 0)
        return;
    sort_rows = r->followers.at;
    qsort(slots, r->slots.count, sizeof(*slots), compare_slots);
    for (uint32_t i = 0; i < r->slots.count; i++) {
        const struct ipc_row_follower *row = &sort_rows[slots[i]];
        struct ipc_row_master *last =
            r->masters.count > 0 ? (struct ipc_row_master *)r->masters.at + (r->masters.count - 1)
                                 : NULL;
        if (last == NULL || last->account != row->master || last->shard != row->shard) {
            last = rows_reach(&r->masters, r->masters.count + 1);
            *last =
                (struct ipc_row_master){.account = row->master, .shard = row->shard, .first = i};
        }
        last->count++;
    }
}

static enum ipc_rc read_root(struct reading *r)
{
    static const char *const keys[] = {"cluster", "shards", "guard_fraction", "brokers", "accounts",
        "instruments", "subscriptions", NULL};
    if (ctl_document_only(r->document, 0, keys, r->error) != IPC_OK)
        return IPC_BAD_INPUT;
    r->cluster.shard_count = 1;
    if (need(r, 0, "cluster",
            read_text(r, 0, "cluster", r->cluster.cluster_id, sizeof(r->cluster.cluster_id))) !=
            IPC_OK ||
        failed(read_u32(r, 0, "shards", 1, 64, &r->cluster.shard_count)) ||
        failed(read_e8(r, 0, "guard_fraction", 0, 100 * LS_E8, &r->cluster.guard_fraction_e8)))
        return IPC_BAD_INPUT;
    if (r->cluster.cluster_id[0] == '\0')
        return COMPLAIN(r, ctl_document_member(r->document, 0, "cluster"), "must not be empty");
    enum ipc_rc rc = each(r, "brokers", read_broker, true);
    if (rc == IPC_OK)
        rc = each(r, "accounts", read_account, true);
    if (rc == IPC_OK && ctl_document_member(r->document, 0, "instruments") == CTL_NONE)
        keep_instruments(r);
    else if (rc == IPC_OK)
        rc = each(r, "instruments", read_instrument, true);
    retire_live(r);
    if (rc == IPC_OK)
        rc = each(r, "subscriptions", read_subscription, true);
    if (rc == IPC_OK)
        rc = check_shards(r);
    if (rc == IPC_OK)
        group_masters(r);
    return rc;
}

/* The token table's row is as long as the longest sealed token needs. */
static uint32_t token_row(const struct reading *r)
{
    uint32_t longest = 0;
    const struct ipc_row_account *rows = r->accounts.at;
    for (uint32_t i = 0; i < r->accounts.count; i++)
        longest = rows[i].token_bytes > longest ? rows[i].token_bytes : longest;
    return (uint32_t)ls_align_up(longest, 64);
}

static enum ipc_rc build(struct reading *r, struct ipc_snapshot_image *image, void **memory)
{
    const struct rows *tables[IPC_TABLE_COUNT] = {[IPC_TABLE_BROKERS] = &r->brokers,
        [IPC_TABLE_ACCOUNTS] = &r->accounts,
        [IPC_TABLE_INSTRUMENTS] = &r->instruments,
        [IPC_TABLE_FOLLOWERS] = &r->followers,
        [IPC_TABLE_MASTERS] = &r->masters,
        [IPC_TABLE_MASTER_SLOTS] = &r->slots,
        [IPC_TABLE_LISTS] = &r->lists,
        [IPC_TABLE_LIST_ITEMS] = &r->items};
    struct ipc_snapshot_shape shape = {.token_row_bytes = token_row(r)};
    shape.rows[IPC_TABLE_CLUSTER] = 1;
    for (uint32_t t = 0; t < IPC_TABLE_COUNT; t++)
        if (tables[t] != NULL)
            shape.rows[t] = tables[t]->count;
    shape.rows[IPC_TABLE_TOKENS] = shape.token_row_bytes > 0 ? r->accounts.count : 0;
    uint64_t bytes = ipc_snapshot_footprint(&shape);
    *memory = bytes > 0 ? aligned_alloc(4096, bytes) : NULL;
    if (*memory == NULL) {
        ipc_error_set(r->error, "the snapshot does not fit: %llu bytes of memory are needed",
            (unsigned long long)bytes);
        return IPC_SYSTEM;
    }
    memset(*memory, 0, bytes);
    ipc_snapshot_image_init(image, *memory, &shape);
    image->shape = shape;
    memcpy(image->rows[IPC_TABLE_CLUSTER], &r->cluster, sizeof(r->cluster));
    for (uint32_t t = 0; t < IPC_TABLE_COUNT; t++)
        if (tables[t] != NULL && tables[t]->count > 0)
            memcpy(image->rows[t], tables[t]->at, (size_t)tables[t]->count * tables[t]->bytes);
    for (uint32_t i = 0; i < shape.rows[IPC_TABLE_TOKENS]; i++)
        memcpy((uint8_t *)image->rows[IPC_TABLE_TOKENS] + (size_t)i * shape.token_row_bytes,
            (uint8_t *)r->tokens.at + (size_t)i * r->tokens.bytes, shape.token_row_bytes);
    return IPC_OK;
}

enum ipc_rc ctl_snapshot_read_file(const char *path, const struct ipc_snapshot_image *live,
    const struct ipc_seal_key *key, struct ipc_secret_arena *arena,
    struct ipc_snapshot_image *image, void **memory, struct ipc_error *error)
{
    *memory = NULL;
    struct ctl_document *document = ctl_document_open(path, FILE_BYTES_MAX, error);
    if (document == NULL)
        return IPC_BAD_INPUT;
    struct reading r = {.document = document,
        .live = live,
        .key = key,
        .arena = arena,
        .error = error,
        .brokers.bytes = sizeof(struct ipc_row_broker),
        .accounts.bytes = sizeof(struct ipc_row_account),
        .tokens.bytes = (uint32_t)ls_align_up(TOKEN_BYTES_MAX + IPC_SEAL_OVERHEAD_BYTES, 64),
        .instruments.bytes = sizeof(struct ipc_row_instrument),
        .followers.bytes = sizeof(struct ipc_row_follower),
        .masters.bytes = sizeof(struct ipc_row_master),
        .slots.bytes = sizeof(uint32_t),
        .lists.bytes = sizeof(struct ipc_row_list),
        .items.bytes = sizeof(uint32_t)};
    struct ctl_name_map *maps[] = {
        &r.broker_names, &r.logins, &r.symbols, &r.list_names, &r.live_numbers};
    for (size_t i = 0; i < LS_COUNT_OF(maps); i++)
        ctl_name_map_init(maps[i], 1024);
    r.secret = ipc_secret_alloc(arena, TOKEN_BYTES_MAX + 1);
    enum ipc_rc rc = r.secret != NULL ? read_root(&r) : IPC_SYSTEM;
    if (rc == IPC_OK)
        rc = build(&r, image, memory);
    struct rows *vectors[] = {&r.brokers, &r.accounts, &r.tokens, &r.instruments, &r.followers,
        &r.masters, &r.slots, &r.lists, &r.items};
    for (size_t i = 0; i < LS_COUNT_OF(vectors); i++)
        free(vectors[i]->at);
    for (size_t i = 0; i < LS_COUNT_OF(maps); i++)
        ctl_name_map_free(maps[i]);
    ctl_document_close(document);
    return rc;
}

enum ipc_rc ctl_snapshot_read_live(const struct ipc_shm *shm, struct ipc_snapshot_image *image,
    void **memory, struct ipc_error *error)
{
    *memory = NULL;
    struct ipc_snapshot_reader *reader = NULL;
    enum ipc_rc rc = ipc_snapshot_reader_open(shm, &reader, error);
    if (rc != IPC_OK)
        return rc;
    for (int tries = 0; tries < 100; tries++) {
        struct ipc_snapshot_shape shape;
        rc = ipc_snapshot_reader_shape(reader, &shape, error);
        if (rc == IPC_TORN)
            continue;
        if (rc != IPC_OK)
            break;
        uint64_t bytes = ipc_snapshot_footprint(&shape);
        free(*memory);
        *memory = bytes > 0 ? aligned_alloc(4096, bytes) : NULL;
        if (*memory == NULL) {
            ipc_error_set(error, "not enough memory for the live snapshot");
            rc = IPC_SYSTEM;
            break;
        }
        memset(*memory, 0, bytes);
        ipc_snapshot_image_init(image, *memory, &shape);
        rc = ipc_snapshot_reader_copy(reader, image, error);
        if (rc != IPC_TORN && rc != IPC_TOO_LONG)
            break;
    }
    ipc_snapshot_reader_close(reader);
    if (rc != IPC_OK) {
        free(*memory);
        *memory = NULL;
    }
    return rc;
}
