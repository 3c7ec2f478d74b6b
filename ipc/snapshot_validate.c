/* snapshot_validate.c: everything that must hold in a snapshot before an engine may use it. Sets
 * of numbers are open-addressing tables in the caller's scratch memory, one at a time, so the work
 * is linear in the rows. Relations between tables are in snapshot_relations.c. */
#include "ipc/snapshot_private.h"
#include "ipc/snapshot_rules.h"

#include <stdio.h>
#include <string.h>

#define MS_PER_DAY 86400000u

/* ---- text ------------------------------------------------------------------------------------ */

enum text_kind {
    TEXT_PEOPLE, /* anything printable, for people: UTF-8 is let through, control bytes are not */
    TEXT_PLAIN,  /* printable ASCII that needs no escape in JSON, a header or a form */
    TEXT_HOST,   /* a DNS name, an address, host:port, [address]:port */
    TEXT_PATH,   /* of a URL: starts with /, nothing that needs an escape */
    TEXT_DIGITS,
};

static bool byte_fits(enum text_kind kind, uint8_t byte)
{
    bool digit = byte >= '0' && byte <= '9';
    bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
    switch (kind) {
    case TEXT_PEOPLE:
        return byte >= 0x20 && byte != 0x7f;
    case TEXT_PLAIN:
        return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\' && byte != '<' &&
               byte != '>';
    case TEXT_HOST:
        return digit || letter || byte == '.' || byte == '-' || byte == '_' || byte == ':' ||
               byte == '[' || byte == ']';
    case TEXT_PATH:
        return digit || letter || byte == '/' || byte == '.' || byte == '-' || byte == '_' ||
               byte == '~';
    case TEXT_DIGITS:
        return digit;
    }
    return false;
}

/* A NUL-padded field of fixed size: ends with a NUL, nothing after it, only bytes of its kind. */
static bool text_fits(const char *field, size_t bytes, enum text_kind kind)
{
    size_t length = strnlen(field, bytes);
    if (length == bytes)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!byte_fits(kind, (uint8_t)field[i]))
            return false;
    }
    for (size_t i = length; i < bytes; i++) {
        if (field[i] != 0)
            return false;
    }
    return kind != TEXT_PATH || length == 0 || field[0] == '/';
}

bool ipc_row_text_plain(const char *field, size_t bytes)
{
    return text_fits(field, bytes, TEXT_PLAIN) && field[0] != 0;
}

bool ipc_row_text_digits(const char *field, size_t bytes)
{
    return text_fits(field, bytes, TEXT_DIGITS) && field[0] != 0;
}

#define TEXT(row, field, kind, required)                                                           \
    (text_fits((row)->field, sizeof((row)->field), kind) && (!(required) || (row)->field[0] != 0))

static bool all_zero(const void *memory, size_t bytes)
{
    const uint8_t *at = memory;
    for (size_t i = 0; i < bytes; i++) {
        if (at[i] != 0)
            return false;
    }
    return true;
}

/* ---- tables on their own --------------------------------------------------------------------- */

static enum ipc_rc check_cluster(const struct ipc_snapshot_view *view, struct ipc_error *error)
{
    const struct ipc_row_cluster *row = view->cluster;
    if (!row)
        return ipc_row_refused(error, "cluster", 0, "there is no row");
    if (!TEXT(row, cluster_id, TEXT_PLAIN, true))
        return ipc_row_refused(error, "cluster", 0, "cluster_id is empty or not plain text");
    if (row->guard_fraction_e8 < 0 || row->guard_fraction_e8 > 100 * LS_E8)
        return ipc_row_refused(error, "cluster", 0, "guard_fraction_e8 is not in [0, 100]");
    if (row->shard_count < 1 || row->shard_count > 64)
        return ipc_row_refused(error, "cluster", 0, "shard_count is not in [1, 64]");
    if (!all_zero(row->reserved, sizeof(row->reserved)))
        return ipc_row_refused(error, "cluster", 0, "reserved is not zero");
    return IPC_OK;
}

static const char *broker_problem(const struct ipc_row_broker *row)
{
    if (!TEXT(row, name, TEXT_PLAIN, true))
        return "name is empty or not plain text";
    if (!TEXT(row, dialect, TEXT_PLAIN, true))
        return "dialect is empty or not plain text";
    if (!TEXT(row, host, TEXT_HOST, true))
        return "host is empty or not a host name or address";
    if (!TEXT(row, authority, TEXT_HOST, false))
        return "authority is not host[:port]";
    if (!TEXT(row, ca_file, TEXT_PEOPLE, false))
        return "ca_file is not a path";
    if (!TEXT(row, base_path, TEXT_PATH, false))
        return "base_path is not the start of a URL path";
    if (row->port == 0)
        return "port is 0";
    if (row->pool_connections > 1024)
        return "pool_connections is above 1024";
    if (row->alpn > 2)
        return "alpn is not 0, 1 or 2";
    /* Client stream ids are odd and end at 2^31 - 1 (RFC 9113, 5.1.1). */
    if (row->requests_per_connection >= (1u << 30))
        return "requests_per_connection is above 2^30 - 1";
    if (row->connects_per_second > 1000000)
        return "connects_per_second is above 1000000";
    if (row->reply_timeout_ms > 600000)
        return "reply_timeout_ms is above 600000";
    if (row->ping_interval_ms > 3600000 || row->keepalive_get_ms > 3600000)
        return "ping_interval_ms or keepalive_get_ms is above an hour";
    if (row->orders_per_second > 1000000000 || row->orders_per_minute > 1000000000 ||
        row->orders_per_day > 1000000000 || row->address_orders_per_second > 1000000000)
        return "an order rate is above 10^9";
    if (row->flags &
        ~(IPC_BROKER_TRUST_GOAWAY | IPC_BROKER_TRUST_REFUSED_STREAM | IPC_BROKER_NO_PACING))
        return "flags has unknown bits";
    if (row->fee_turnover_e8 > LS_E8 || row->fee_order_e4 > 1000000000)
        return "a fee is absurd";
    if (!all_zero(row->reserved, sizeof(row->reserved)))
        return "reserved is not zero";
    return NULL;
}

static enum ipc_rc check_brokers(const struct ipc_snapshot_view *view, struct ipc_error *error)
{
    if (view->broker_count > 64)
        return ipc_row_refused(error, "brokers", 64, "there are more than 64 brokers");
    for (uint32_t i = 0; i < view->broker_count; i++) {
        const struct ipc_row_broker *row = &view->brokers[i];
        if (row->live > 1)
            return ipc_row_refused(error, "brokers", i, "live is not 0 or 1");
        if (!row->live)
            continue;
        const char *problem = broker_problem(row);
        if (problem)
            return ipc_row_refused(error, "brokers", i, problem);
        for (uint32_t j = 0; j < i; j++) {
            if (view->brokers[j].live &&
                memcmp(view->brokers[j].name, row->name, sizeof(row->name)) == 0)
                return ipc_row_refused(error, "brokers", i, "name is that of an earlier row");
        }
    }
    return IPC_OK;
}

static const char *account_problem(
    const struct ipc_snapshot_view *view, const struct ipc_row_account *row, uint32_t index)
{
    if (row->account != index + 1)
        return "account is not the row's number plus one";
    if (row->broker >= view->broker_count || !view->brokers[row->broker].live)
        return "broker is not one in use";
    if (row->shard >= view->cluster->shard_count)
        return "shard is not below shard_count";
    if (row->roles == 0 || (row->roles & ~(IPC_ROLE_MASTER | IPC_ROLE_FOLLOWER)))
        return "roles is empty or has unknown bits";
    if (!ipc_lanes_valid(row->lanes))
        return "lanes is not own or shared";
    if (row->flags & ~(IPC_ACCOUNT_API_TRADER | IPC_ACCOUNT_CHAINING | IPC_ACCOUNT_DISABLED))
        return "flags has unknown bits";
    size_t address_bytes = row->source_family == 0 ? 0 : row->source_family == 4 ? 4 : 16;
    if (row->source_family != 0 && row->source_family != 4 && row->source_family != 6)
        return "source_family is not 0, 4 or 6";
    if (!all_zero(row->source_address + address_bytes, sizeof(row->source_address) - address_bytes))
        return "source_address is longer than its family's";
    if (address_bytes != 0 && all_zero(row->source_address, address_bytes))
        return "source_address is the wildcard address";
    if (row->token_bytes > view->token_row_bytes)
        return "token_bytes is above the token table's row";
    if (!TEXT(row, login, TEXT_PLAIN, true))
        return "login is empty or not plain text";
    if (!TEXT(row, name, TEXT_PEOPLE, false))
        return "name is not text";
    if (row->poll_interval_ms > 3600000)
        return "poll_interval_ms is above an hour";
    if (row->open_orders_max > 1000000)
        return "open_orders_max is above a million";
    return NULL;
}

static enum ipc_rc check_accounts(const struct ipc_snapshot_view *view, struct ipc_error *error)
{
    for (uint32_t i = 0; i < view->account_count; i++) {
        if (view->accounts[i].account == 0)
            continue;
        const char *problem = account_problem(view, &view->accounts[i], i);
        if (problem)
            return ipc_row_refused(error, "accounts", i, problem);
    }
    return IPC_OK;
}

bool ipc_row_date_fits(uint32_t yyyymmdd)
{
    uint32_t month = yyyymmdd / 100 % 100;
    uint32_t day = yyyymmdd % 100;
    uint32_t year = yyyymmdd / 10000;
    return year >= 1990 && year <= 2200 && month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

static const char *instrument_problem(const struct ipc_row_instrument *row, uint32_t index)
{
    if (row->instrument != index + 1)
        return "instrument is not the row's number plus one";
    if (!ipc_exchange_valid(row->exchange))
        return "exchange is not known";
    if (!ipc_instrument_kind_valid(row->kind))
        return "kind is not known";
    bool option = row->kind == IPC_KIND_OPTION;
    if (option ? (row->right != 'C' && row->right != 'P') : row->right != 0)
        return "right is not C or P for an option, 0 for others";
    if (row->flags & ~IPC_INSTRUMENT_GONE)
        return "flags has unknown bits";
    if (row->lot_qty_e8 < 1 || row->lot_qty_e8 > IPC_QTY_E8_MAX)
        return "lot_qty_e8 is not above 0, or absurd";
    if (row->tick_e8 < 1 || row->tick_e8 > IPC_PRICE_E8_MAX)
        return "tick_e8 is not above 0, or absurd";
    if (row->freeze_qty_e8 != 0 &&
        (row->freeze_qty_e8 < row->lot_qty_e8 || row->freeze_qty_e8 > IPC_QTY_E8_MAX))
        return "freeze_qty_e8 is below one lot, or absurd";
    if (row->strike_e8 < 0 || row->strike_e8 > IPC_PRICE_E8_MAX)
        return "strike_e8 is negative or absurd";
    if (row->expiry_yyyymmdd != 0 && !ipc_row_date_fits(row->expiry_yyyymmdd))
        return "expiry_yyyymmdd is not a date";
    if ((option || row->kind == IPC_KIND_FUTURE) && row->expiry_yyyymmdd == 0)
        return "a derivative has no expiry_yyyymmdd";
    if (!TEXT(row, token, TEXT_DIGITS, true))
        return "token is empty or not digits";
    if (!TEXT(row, symbol, TEXT_PLAIN, true))
        return "symbol is empty or not plain text";
    if (!TEXT(row, underlying, TEXT_PLAIN, false))
        return "underlying is not plain text";
    return NULL;
}

static enum ipc_rc check_instruments(const struct ipc_snapshot_view *view, struct ipc_error *error)
{
    for (uint32_t i = 0; i < view->instrument_count; i++) {
        if (view->instruments[i].instrument == 0)
            continue;
        const char *problem = instrument_problem(&view->instruments[i], i);
        if (problem)
            return ipc_row_refused(error, "instruments", i, problem);
    }
    return IPC_OK;
}

/* ---- followers ------------------------------------------------------------------------------- */

static const char *follower_numbers_problem(
    const struct ipc_snapshot_view *view, const struct ipc_row_follower *row)
{
    if (row->follower_no >= IPC_FOLLOWER_NO_LIMIT)
        return "follower_no is not below 36^5";
    if (row->account == 0 || row->account > view->account_count)
        return "account is out of range";
    if (row->master == 0 || row->master > view->account_count)
        return "master is out of range";
    if (row->broker >= view->broker_count)
        return "broker is out of range";
    if (row->allowed_list > view->list_count || row->denied_list > view->list_count)
        return "allowed_list or denied_list is out of range";
    if (!ipc_mode_valid(row->mode))
        return "mode is not known";
    if (!ipc_copy_valid(row->copy))
        return "copy is not known";
    if (row->flags &
        ~(IPC_FOLLOWER_ENABLED | IPC_FOLLOWER_PAUSED | IPC_FOLLOWER_ALLOW_SHORT |
            IPC_FOLLOWER_CAP_SKIPS | IPC_FOLLOWER_VALUE_REDUCES | IPC_FOLLOWER_RETIRED))
        return "flags has unknown bits";
    if (row->products & ~IPC_PRODUCT_BITS || row->types & ~IPC_TYPE_BITS ||
        row->sides & ~IPC_SIDE_BITS)
        return "products, types or sides has unknown bits";
    if (row->shard >= view->cluster->shard_count)
        return "shard is not below shard_count";
    return NULL;
}

static const char *follower_sizes_problem(const struct ipc_row_follower *row)
{
    bool by_ratio = row->mode == IPC_MODE_FIXED_RATIO || row->mode == IPC_MODE_PERCENTAGE ||
                    row->mode == IPC_MODE_SMART_TARGET;
    if (row->ratio_e8 < 0 || row->ratio_e8 > IPC_RATIO_E8_MAX || (by_ratio && row->ratio_e8 == 0))
        return "ratio_e8 is not above 0, or above 10000";
    if (row->fixed_qty_e8 < 0 || row->fixed_qty_e8 > IPC_QTY_E8_MAX ||
        (row->mode == IPC_MODE_FIXED_QUANTITY && row->fixed_qty_e8 == 0))
        return "fixed_qty_e8 is not above 0, or absurd";
    if (row->max_qty_e8 < 0 || row->max_qty_e8 > IPC_QTY_E8_MAX || row->max_position_e8 < 0 ||
        row->max_position_e8 > IPC_QTY_E8_MAX)
        return "max_qty_e8 or max_position_e8 is negative or absurd";
    if (row->max_order_value_e8 < 0 || row->max_order_value_e8 > IPC_MONEY_E8_MAX)
        return "max_order_value_e8 is negative or absurd";
    if (row->max_age_market_ms > MS_PER_DAY || row->max_age_limit_ms > MS_PER_DAY ||
        row->capital_max_age_ms > MS_PER_DAY || row->price_max_age_ms > MS_PER_DAY)
        return "an age limit is above a day";
    if (!all_zero(row->reserved, sizeof(row->reserved)))
        return "reserved is not zero";
    return NULL;
}

/* What ties a living subscription to its accounts. A retired one may have outlived them. */
const char *ipc_row_follower_ties_problem(
    const struct ipc_snapshot_view *view, const struct ipc_row_follower *row)
{
    const struct ipc_row_account *account = &view->accounts[row->account - 1];
    const struct ipc_row_account *master = &view->accounts[row->master - 1];
    if (account->account == 0 || !(account->roles & IPC_ROLE_FOLLOWER))
        return "account is not a follower's account in use";
    if (master->account == 0 || !(master->roles & IPC_ROLE_MASTER))
        return "master is not a master's account in use";
    if (row->account == row->master)
        return "account and master are the same account";
    if (row->broker != account->broker)
        return "broker is not the account's";
    if (row->shard != account->shard)
        return "shard is not the account's";
    return NULL;
}

static enum ipc_rc check_followers(const struct ipc_snapshot_view *view, struct ipc_error *error)
{
    for (uint32_t i = 0; i < view->follower_slots; i++) {
        const struct ipc_row_follower *row = &view->followers[i];
        if (row->follower_no == 0)
            continue;
        const char *problem = follower_numbers_problem(view, row);
        if (!problem)
            problem = follower_sizes_problem(row);
        if (!problem && (row->flags & IPC_FOLLOWER_RETIRED)) {
            if (row->flags & IPC_FOLLOWER_ENABLED)
                problem = "it is retired and enabled";
        } else if (!problem) {
            problem = ipc_row_follower_ties_problem(view, row);
        }
        if (problem)
            return ipc_row_refused(error, "followers", i, problem);
    }
    return IPC_OK;
}

/* ---- the whole ------------------------------------------------------------------------------- */

enum ipc_rc ipc_row_refused(
    struct ipc_error *error, const char *table, uint32_t row, const char *problem)
{
    ipc_error_set(error, "table %s, row %u: %s", table, row, problem);
    return IPC_BAD_INPUT;
}

enum ipc_rc ipc_snapshot_validate(const struct ipc_snapshot_view *view, void *scratch,
    uint64_t scratch_bytes, struct ipc_error *error)
{
    LS_CHECK(scratch_bytes >= ipc_snapshot_scratch_bytes(view));
    LS_CHECK(((uintptr_t)scratch & 7) == 0);
    /* In this order: each looks only at what those before it have bounded. */
    enum ipc_rc rc = check_cluster(view, error);
    if (rc == IPC_OK)
        rc = check_brokers(view, error);
    if (rc == IPC_OK)
        rc = check_accounts(view, error);
    if (rc == IPC_OK)
        rc = check_instruments(view, error);
    if (rc == IPC_OK)
        rc = check_followers(view, error);
    if (rc == IPC_OK)
        rc = ipc_snapshot_check_policies(view, error);
    if (rc == IPC_OK)
        rc = ipc_snapshot_check_relations(view, scratch, error);
    return rc;
}
