#include "control/snapshot_private.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- subscriptions --------------------------------------------------------------------------- */

static int compare_u32(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

/* Turns a list of symbols into 1 + index of a list row; equal lists share one. 0 = empty. */
static enum ipc_rc read_list(struct ctl_reading *r, uint32_t object, const char *key, uint32_t *out)
{
    uint32_t array = ctl_document_member(r->document, object, key);
    *out = 0;
    if (array == CTL_NONE || ctl_document_type(r->document, array) == CTL_JSON_NULL)
        return IPC_OK;
    if (ctl_document_type(r->document, array) != CTL_JSON_ARRAY)
        return CTL_COMPLAIN(r, array, "must be a list of symbols");
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
            rc = CTL_COMPLAIN(r, value, "there is no instrument \"%s\"", symbol);
        else if (id == CTL_NAME_TWICE)
            rc = CTL_COMPLAIN(r, value, "\"%s\" is traded at more than one exchange: write NSE:%s",
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
            struct ipc_row_list *row = ctl_rows_reach(&r->lists, known + 1);
            *row = (struct ipc_row_list){.first = r->items.count, .count = unique};
            for (uint32_t i = 0; i < unique; i++)
                *(uint32_t *)ctl_rows_reach(&r->items, r->items.count + 1) = ids[i];
            ctl_name_map_put(&r->list_names, name, known);
        }
        *out = known + 1;
    }
    free(ids);
    free(name);
    return rc;
}

/* Reads names of one vocabulary list into bits (1 << value). */
static enum ipc_rc read_bits(struct ctl_reading *r, uint32_t object, const char *key,
    bool (*parse)(const char *text, uint32_t *value), uint8_t *bits)
{
    uint32_t array = ctl_document_member(r->document, object, key);
    *bits = 0;
    if (array == CTL_NONE || ctl_document_type(r->document, array) == CTL_JSON_NULL)
        return IPC_OK;
    if (ctl_document_type(r->document, array) != CTL_JSON_ARRAY)
        return CTL_COMPLAIN(r, array, "must be a list");
    for (uint32_t value = ctl_document_first(r->document, array); value != CTL_NONE;
         value = ctl_document_next(r->document, value)) {
        char text[16];
        uint32_t number = 0;
        if (ctl_document_text(r->document, value, text, sizeof(text), r->error) != IPC_OK)
            return IPC_BAD_INPUT;
        if (!parse(text, &number))
            return CTL_COMPLAIN(r, value, "\"%s\" is not known here", text);
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
    struct ctl_reading *r, uint32_t object, const char *key, uint8_t role, uint32_t *account)
{
    uint32_t value = ctl_document_member(r->document, object, key);
    if (value == CTL_NONE)
        return CTL_COMPLAIN(r, object, "\"%s\" is missing", key);
    if (ctl_document_type(r->document, value) == CTL_JSON_NUMBER) {
        if (ctl_read_u32(r, object, key, 1, ACCOUNT_MAX, account) != IPC_OK)
            return IPC_BAD_INPUT;
    } else {
        char login[IPC_NAME_BYTES];
        if (ctl_document_text(r->document, value, login, sizeof(login), r->error) != IPC_OK)
            return IPC_BAD_INPUT;
        *account = ctl_name_map_get(&r->logins, login);
        if (*account == CTL_NAME_TWICE)
            return CTL_COMPLAIN(
                r, value, "two accounts have the login \"%s\": give the number", login);
    }
    const struct ipc_row_account *rows = r->accounts.at;
    if (*account > r->accounts.count || rows[*account - 1].account == 0)
        return CTL_COMPLAIN(r, value, "there is no such account in this file");
    if ((rows[*account - 1].roles & role) == 0)
        return CTL_COMPLAIN(r, value, "account %u (%s) does not have the role %s", *account,
            rows[*account - 1].login, role == IPC_ROLE_MASTER ? "master" : "follower");
    return IPC_OK;
}

static enum ipc_rc read_mode(struct ctl_reading *r, uint32_t object, struct ipc_row_follower *row)
{
    char mode[24] = "FIXED_RATIO", copy[8] = "order";
    if (ctl_read_failed(ctl_read_text(r, object, "mode", mode, sizeof(mode))) ||
        ctl_read_failed(ctl_read_text(r, object, "copy", copy, sizeof(copy))))
        return IPC_BAD_INPUT;
    enum ipc_mode mode_value;
    enum ipc_copy copy_value;
    if (!ipc_mode_parse(mode, strlen(mode), &mode_value))
        return CTL_COMPLAIN(
            r, object, "mode \"%s\" is not FIXED_RATIO, PERCENTAGE or FIXED_QUANTITY", mode);
    if (!ipc_copy_parse(copy, strlen(copy), &copy_value))
        return CTL_COMPLAIN(r, object, "copy must be order or fill");
    row->mode = (uint8_t)mode_value;
    row->copy = (uint8_t)copy_value;
    const char *key = mode_value == IPC_MODE_FIXED_RATIO  ? "ratio"
                      : mode_value == IPC_MODE_PERCENTAGE ? "percent"
                                                          : "quantity";
    int64_t high = mode_value == IPC_MODE_FIXED_QUANTITY ? QTY_E8_MAX : 10000 * LS_E8;
    int64_t *out = mode_value == IPC_MODE_FIXED_QUANTITY ? &row->fixed_qty_e8 : &row->ratio_e8;
    return ctl_read_need(r, object, key, ctl_read_e8(r, object, key, 1, high, out));
}

/* A follower number keeps its slot; a retired one stays with its account and master. */
static enum ipc_rc give_slot(struct ctl_reading *r, uint32_t object, uint32_t number,
    uint32_t account, uint32_t master, struct ipc_row_follower **row)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", number);
    uint32_t slot = ctl_name_map_get(&r->live_numbers, text);
    uint16_t incarnation = 1;
    if (slot < CTL_NAME_TWICE) {
        struct ipc_row_follower *before = (struct ipc_row_follower *)r->followers.at + slot;
        if (before->account != account || before->master != master)
            return CTL_COMPLAIN(r, object,
                "follower number %u belongs to account %u under master %u and is never reused; "
                "take "
                "a new number",
                number, before->account, before->master);
        if ((before->flags & IPC_FOLLOWER_RETIRED) == 0)
            return CTL_COMPLAIN(r, object, "follower number %u stands here twice", number);
        const struct ipc_row_follower *live =
            (const struct ipc_row_follower *)r->live->rows[IPC_TABLE_FOLLOWERS] + slot;
        bool was_retired = (live->flags & IPC_FOLLOWER_RETIRED) != 0;
        incarnation = (uint16_t)(before->incarnation + was_retired);
    } else {
        slot = r->followers.count;
        if (slot == SLOT_MAX)
            return CTL_COMPLAIN(r, object, "more than %u subscriptions", SLOT_MAX);
        ctl_rows_reach(&r->followers, slot + 1);
        ctl_name_map_put(&r->live_numbers, text, slot);
    }
    *row = (struct ipc_row_follower *)r->followers.at + slot;
    **row = (struct ipc_row_follower){
        .follower_no = number, .incarnation = incarnation, .account = account, .master = master};
    return IPC_OK;
}

static enum ipc_rc read_limits(struct ctl_reading *r, uint32_t object, struct ipc_row_follower *row)
{
    char on_quantity[8] = "reduce", on_value[8] = "skip";
    bool enabled, paused, allow_short;
    if (ctl_read_failed(ctl_read_e8(r, object, "max_quantity", 0, QTY_E8_MAX, &row->max_qty_e8)) ||
        ctl_read_failed(
            ctl_read_e8(r, object, "max_order_value", 0, MONEY_E8_MAX, &row->max_order_value_e8)) ||
        ctl_read_failed(
            ctl_read_e8(r, object, "max_position", 0, QTY_E8_MAX, &row->max_position_e8)) ||
        ctl_read_failed(
            ctl_read_u32(r, object, "max_age_market_ms", 1, 3600000, &row->max_age_market_ms)) ||
        ctl_read_failed(
            ctl_read_u32(r, object, "max_age_limit_ms", 1, 3600000, &row->max_age_limit_ms)) ||
        ctl_read_failed(
            ctl_read_u32(r, object, "capital_max_age_ms", 1, 86400000, &row->capital_max_age_ms)) ||
        ctl_read_failed(
            ctl_read_u32(r, object, "price_max_age_ms", 1, 86400000, &row->price_max_age_ms)) ||
        ctl_read_failed(ctl_read_flag(r, object, "enabled", true, &enabled)) ||
        ctl_read_failed(ctl_read_flag(r, object, "paused", false, &paused)) ||
        ctl_read_failed(ctl_read_flag(r, object, "allow_short", true, &allow_short)) ||
        ctl_read_failed(
            ctl_read_text(r, object, "on_max_quantity", on_quantity, sizeof(on_quantity))) ||
        ctl_read_failed(ctl_read_text(r, object, "on_max_order_value", on_value, sizeof(on_value))))
        return IPC_BAD_INPUT;
    bool quantity_skips = strcmp(on_quantity, "skip") == 0;
    bool value_reduces = strcmp(on_value, "reduce") == 0;
    if ((!quantity_skips && strcmp(on_quantity, "reduce") != 0) ||
        (!value_reduces && strcmp(on_value, "skip") != 0))
        return CTL_COMPLAIN(r, object, "on_max_quantity and on_max_order_value are reduce or skip");
    row->flags =
        (uint8_t)((enabled ? IPC_FOLLOWER_ENABLED : 0) | (paused ? IPC_FOLLOWER_PAUSED : 0) |
                  (allow_short ? IPC_FOLLOWER_ALLOW_SHORT : 0) |
                  (quantity_skips ? IPC_FOLLOWER_CAP_SKIPS : 0) |
                  (value_reduces ? IPC_FOLLOWER_VALUE_REDUCES : 0));
    return IPC_OK;
}

enum ipc_rc ctl_read_subscription(struct ctl_reading *r, uint32_t object)
{
    static const char *const keys[] = {"follower", "account", "master", "mode", "ratio", "percent",
        "quantity", "copy", "max_quantity", "max_order_value", "max_position", "on_max_quantity",
        "on_max_order_value", "allowed_instruments", "denied_instruments", "allowed_products",
        "allowed_order_types", "allowed_sides", "max_age_market_ms", "max_age_limit_ms",
        "capital_max_age_ms", "price_max_age_ms", "enabled", "paused", "allow_short", NULL};
    if (ctl_document_only(r->document, object, keys, r->error) != IPC_OK)
        return IPC_BAD_INPUT;
    uint32_t number = 0, account = 0, master = 0;
    if (ctl_read_need(r, object, "follower",
            ctl_read_u32(r, object, "follower", 1, FOLLOWER_NO_MAX, &number)) != IPC_OK ||
        find_account(r, object, "account", IPC_ROLE_FOLLOWER, &account) != IPC_OK ||
        find_account(r, object, "master", IPC_ROLE_MASTER, &master) != IPC_OK)
        return IPC_BAD_INPUT;
    if (account == master)
        return CTL_COMPLAIN(r, object, "an account cannot follow itself");
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
    *(uint32_t *)ctl_rows_reach(&r->slots, r->slots.count + 1) = slot;
    return IPC_OK;
}

/* Live rows come over retired; those that the file names come back to life in their slots. */
void ctl_retire_live(struct ctl_reading *r)
{
    uint32_t count = r->live != NULL ? r->live->shape.rows[IPC_TABLE_FOLLOWERS] : 0;
    const struct ipc_row_follower *from = count > 0 ? r->live->rows[IPC_TABLE_FOLLOWERS] : NULL;
    for (uint32_t slot = 0; slot < count; slot++) {
        struct ipc_row_follower *row = ctl_rows_reach(&r->followers, slot + 1);
        *row = from[slot];
        row->flags = IPC_FOLLOWER_RETIRED;
        row->allowed_list = row->denied_list = 0;
        char text[16];
        snprintf(text, sizeof(text), "%u", row->follower_no);
        if (row->follower_no != 0)
            ctl_name_map_put(&r->live_numbers, text, slot);
    }
}

/* Two accounts that share a source address are one client to a broker: one shard (DESIGN 4). */
enum ipc_rc ctl_check_shards(struct ctl_reading *r)
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
