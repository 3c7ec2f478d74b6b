#include "control/snapshot_private.h"

#include "control/settings.h"

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
    uint32_t count = ctl_document_count(r->document, array), at = 0;
    if (count == 0)
        return IPC_OK;
    uint32_t *ids = calloc(count, sizeof(*ids));
    LS_CHECK(ids != NULL);
    enum ipc_rc rc = IPC_OK;
    for (uint32_t value = ctl_document_first(r->document, array); value != CTL_NONE && rc == IPC_OK;
         value = ctl_document_next(r->document, value)) {
        char symbol[48];
        rc = ctl_document_text(r->document, value, symbol, sizeof(symbol), r->error);
        if (rc == IPC_OK)
            rc = ctl_find_symbol(r, value, symbol, &ids[at++]);
    }
    if (rc == IPC_OK) {
        qsort(ids, count, sizeof(*ids), compare_u32);
        uint32_t unique = 0;
        for (uint32_t i = 0; i < count; i++)
            if (i == 0 || ids[i] != ids[i - 1])
                ids[unique++] = ids[i];
        *out = ctl_share_list(r, ids, unique);
    }
    free(ids);
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

/* The first of some names that the object has; CTL_NONE when it has none, a complaint when it has
 * two: they are one number. */
static enum ipc_rc one_of(
    struct ctl_reading *r, uint32_t object, const char *const *keys, const char **found)
{
    *found = NULL;
    for (size_t i = 0; keys[i] != NULL; i++) {
        uint32_t value = ctl_document_member(r->document, object, keys[i]);
        if (value == CTL_NONE || ctl_document_type(r->document, value) == CTL_JSON_NULL)
            continue;
        if (*found != NULL)
            return CTL_COMPLAIN(r, value, "is the same as \"%s\"; keep one of them", *found);
        *found = keys[i];
    }
    return IPC_OK;
}

/* A ratio below zero copies the other way round. */
static enum ipc_rc read_ratio(struct ctl_reading *r, uint32_t object, const char *key,
    struct ipc_row_policy *policy, int64_t *out)
{
    const int64_t most = 10000 * LS_E8;
    enum ipc_rc rc = ctl_read_e8(r, object, key, -most, most, out);
    if (rc != IPC_OK)
        return rc;
    if (*out == 0)
        return CTL_COMPLAIN(r, ctl_document_member(r->document, object, key),
            "must lie between 0.00000001 and 10000 (below zero: the other way round)");
    if (*out < 0) {
        *out = -*out;
        policy->flags |= IPC_POLICY_REVERSE;
        uint32_t reverse = ctl_document_member(r->document, object, "reverse");
        if (reverse != CTL_NONE && ctl_document_type(r->document, reverse) != CTL_JSON_NULL)
            return CTL_COMPLAIN(r, reverse, "a ratio below zero says it already; keep one of them");
    }
    return IPC_OK;
}

/* The number on the subscription itself that a mode goes by. */
static enum ipc_rc read_number(struct ctl_reading *r, uint32_t object, struct ipc_row_follower *row,
    struct ipc_row_policy *policy)
{
    static const char *const ratios[] = {"ratio", "mult", "lot_multiplier", NULL};
    static const char *const percents[] = {"percent", "pct_of_capital", NULL};
    static const char *const quantities[] = {"quantity", "qty", NULL};
    const char *ratio, *percent, *quantity, *wanted = NULL, *given;
    if (one_of(r, object, ratios, &ratio) != IPC_OK ||
        one_of(r, object, percents, &percent) != IPC_OK ||
        one_of(r, object, quantities, &quantity) != IPC_OK)
        return IPC_BAD_INPUT;
    int64_t factor_e8 = 0;
    switch ((enum ipc_mode)row->mode) {
    case IPC_MODE_FIXED_RATIO:
        wanted = "ratio";
        given = ratio;
        break;
    case IPC_MODE_PERCENTAGE:
        wanted = "percent";
        given = percent;
        break;
    case IPC_MODE_FIXED_QUANTITY:
        wanted = "quantity";
        given = quantity;
        break;
    case IPC_MODE_SMART_TARGET:
        row->ratio_e8 = LS_E8;
        /* fall through */
    case IPC_MODE_EQUITY_PROPORTIONAL:
    case IPC_MODE_BALANCE_PROPORTIONAL:
    case IPC_MODE_AUTO_RISK:
    case IPC_MODE_MULTIPLIER_NOTIONAL:
        given = ratio;
        break;
    case IPC_MODE_MQL5_PCT:
    case IPC_MODE_USAGE_RATIO:
    case IPC_MODE_USAGE_RATIO_DISCOUNT:
    case IPC_MODE_STEP_OF_BALANCE:
    case IPC_MODE_FIXED_RISK:
    case IPC_MODE_TIERED_MULTIPLIER:
    case IPC_MODE_COPY_RATIO_FROZEN:
    case IPC_MODE_PCT_BALANCE_BASIS:
    case IPC_MODE_AVAILABLE_RATIO_CAPPED:
    case IPC_MODE_POOLED_EQUAL:
    case IPC_MODE_POOLED_RATIO:
    case IPC_MODE_POOLED_NETLIQ:
    default:
        given = NULL;
        break;
    }
    const char *others[] = {ratio, percent, quantity};
    for (size_t i = 0; i < LS_COUNT_OF(others); i++)
        if (others[i] != NULL && others[i] != given)
            return CTL_COMPLAIN(r, ctl_document_member(r->document, object, others[i]),
                "mode %s does not read it; remove it, or change the mode",
                ipc_mode_name((enum ipc_mode)row->mode));
    if (given == NULL)
        return wanted != NULL ? CTL_COMPLAIN(r, object, "\"%s\" is missing", wanted) : IPC_OK;
    if (given == percent)
        return ctl_read_e8(r, object, given, 1, 10000 * LS_E8, &row->ratio_e8);
    if (given == quantity)
        return ctl_read_e8(r, object, given, 1, QTY_E8_MAX, &row->fixed_qty_e8);
    if (read_ratio(r, object, given, policy, &factor_e8) != IPC_OK)
        return IPC_BAD_INPUT;
    if (row->mode == IPC_MODE_FIXED_RATIO || row->mode == IPC_MODE_SMART_TARGET)
        row->ratio_e8 = factor_e8;
    else
        policy->mult_e8 = factor_e8;
    return IPC_OK;
}

static enum ipc_rc read_mode(struct ctl_reading *r, uint32_t object, struct ipc_row_follower *row)
{
    char mode[32] = "FIXED_RATIO", copy[8] = "order";
    if (ctl_read_failed(ctl_read_text(r, object, "mode", mode, sizeof(mode))) ||
        ctl_read_failed(ctl_read_text(r, object, "copy", copy, sizeof(copy))))
        return IPC_BAD_INPUT;
    enum ipc_mode mode_value;
    enum ipc_copy copy_value;
    if (!ipc_mode_parse(mode, strlen(mode), &mode_value))
        return CTL_COMPLAIN(r, ctl_document_member(r->document, object, "mode"),
            "there is no mode \"%s\"; control/README.md lists them", mode);
    if (mode_value >= IPC_MODE_POOLED_EQUAL)
        return CTL_COMPLAIN(r, ctl_document_member(r->document, object, "mode"),
            "%s splits one block between accounts and is no mode of one subscription; take "
            "FIXED_RATIO with each account's share",
            mode);
    if (!ipc_copy_parse(copy, strlen(copy), &copy_value))
        return CTL_COMPLAIN(
            r, ctl_document_member(r->document, object, "copy"), "must be order or fill");
    row->mode = (uint8_t)mode_value;
    row->copy = (uint8_t)copy_value;
    return IPC_OK;
}

/* The settings beside the row, and the symbol map. */
static enum ipc_rc read_settings(
    struct ctl_reading *r, uint32_t object, struct ipc_row_follower *row)
{
    struct ipc_row_policy policy;
    char map[64] = "", on_cap[8] = "";
    memset(&policy, 0, sizeof(policy));
    if (read_number(r, object, row, &policy) != IPC_OK ||
        ctl_settings_read(r->document, object, (enum ipc_mode)row->mode, &policy, r->error) !=
            IPC_OK ||
        ctl_read_failed(ctl_read_text(r, object, "symbol_map", map, sizeof(map))) ||
        ctl_read_failed(ctl_read_text(r, object, "on_cap", on_cap, sizeof(on_cap))))
        return IPC_BAD_INPUT;
    if (policy.on_fill != IPC_ON_FILL_EACH && row->copy != IPC_COPY_ON_FILL)
        return CTL_COMPLAIN(r, ctl_document_member(r->document, object, "on_fill"),
            "is read with \"copy\": \"fill\" only");
    if (strcmp(on_cap, "skip") == 0)
        policy.flags |= IPC_POLICY_POSITION_SKIPS | IPC_POLICY_RISK_SKIPS;
    if (map[0] != '\0') {
        uint32_t known = ctl_name_map_get(&r->map_names, map);
        if (known >= CTL_NAME_TWICE)
            return CTL_COMPLAIN(r, ctl_document_member(r->document, object, "symbol_map"),
                "there is no map \"%s\" in \"symbol_maps\"", map);
        row->map = known;
    }
    row->policy = ctl_share_policy(r, &policy);
    return IPC_OK;
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

/* "max_entry_age_ms" is the age of both kinds of entries; each may say its own. */
static enum ipc_rc read_ages(struct ctl_reading *r, uint32_t object, struct ipc_row_follower *row)
{
    uint32_t both = 0;
    if (ctl_read_failed(ctl_read_u32(r, object, "max_entry_age_ms", 1, 3600000, &both)))
        return IPC_BAD_INPUT;
    row->max_age_market_ms = row->max_age_limit_ms = both;
    if (ctl_read_failed(
            ctl_read_u32(r, object, "max_age_market_ms", 1, 3600000, &row->max_age_market_ms)) ||
        ctl_read_failed(
            ctl_read_u32(r, object, "max_age_limit_ms", 1, 3600000, &row->max_age_limit_ms)) ||
        ctl_read_failed(
            ctl_read_u32(r, object, "capital_max_age_ms", 1, 86400000, &row->capital_max_age_ms)) ||
        ctl_read_failed(
            ctl_read_u32(r, object, "price_max_age_ms", 1, 86400000, &row->price_max_age_ms)))
        return IPC_BAD_INPUT;
    return IPC_OK;
}

static enum ipc_rc read_limits(struct ctl_reading *r, uint32_t object, struct ipc_row_follower *row)
{
    static const char *const pauses[] = {"paused", "copy_paused", NULL};
    const char *pause;
    char on_quantity[8] = "reduce", on_value[8] = "skip", on_cap[8] = "";
    bool enabled, paused, allow_short;
    if (ctl_read_failed(ctl_read_text(r, object, "on_cap", on_cap, sizeof(on_cap))))
        return IPC_BAD_INPUT;
    if (on_cap[0] != '\0') { /* for every cap that does not say otherwise */
        if (strcmp(on_cap, "skip") != 0 && strcmp(on_cap, "reduce") != 0)
            return CTL_COMPLAIN(
                r, ctl_document_member(r->document, object, "on_cap"), "must be reduce or skip");
        memcpy(on_quantity, on_cap, sizeof(on_cap));
        memcpy(on_value, on_cap, sizeof(on_cap));
    }
    if (ctl_read_failed(ctl_read_e8(r, object, "max_quantity", 0, QTY_E8_MAX, &row->max_qty_e8)) ||
        ctl_read_failed(
            ctl_read_e8(r, object, "max_order_value", 0, MONEY_E8_MAX, &row->max_order_value_e8)) ||
        ctl_read_failed(
            ctl_read_e8(r, object, "max_position", 0, QTY_E8_MAX, &row->max_position_e8)) ||
        read_ages(r, object, row) != IPC_OK || one_of(r, object, pauses, &pause) != IPC_OK ||
        ctl_read_failed(ctl_read_flag(r, object, "enabled", true, &enabled)) ||
        ctl_read_failed(
            ctl_read_flag(r, object, pause != NULL ? pause : "paused", false, &paused)) ||
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
    static const char *const own_keys[] = {"follower", "account", "master", "mode", "ratio", "mult",
        "lot_multiplier", "percent", "pct_of_capital", "quantity", "qty", "symbol_map", "on_cap",
        "copy_paused", "max_entry_age_ms", "allowed_product_types", "copy", "max_quantity",
        "max_order_value", "max_position", "on_max_quantity", "on_max_order_value",
        "allowed_instruments", "denied_instruments", "allowed_products", "allowed_order_types",
        "allowed_sides", "max_age_market_ms", "max_age_limit_ms", "capital_max_age_ms",
        "price_max_age_ms", "enabled", "paused", "allow_short", NULL};
    const char *keys[LS_COUNT_OF(own_keys) + 32];
    memcpy(keys, own_keys, sizeof(own_keys));
    ctl_settings_keys(keys + LS_COUNT_OF(own_keys) - 1, 32);
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
    static const char *const products[] = {"allowed_products", "allowed_product_types", NULL};
    const char *product;
    if (read_mode(r, object, row) != IPC_OK || read_limits(r, object, row) != IPC_OK ||
        read_settings(r, object, row) != IPC_OK ||
        read_list(r, object, "allowed_instruments", &row->allowed_list) != IPC_OK ||
        read_list(r, object, "denied_instruments", &row->denied_list) != IPC_OK ||
        one_of(r, object, products, &product) != IPC_OK ||
        read_bits(r, object, product != NULL ? product : "allowed_products", parse_product,
            &row->products) != IPC_OK ||
        read_bits(r, object, "allowed_order_types", parse_type, &row->types) != IPC_OK ||
        read_bits(r, object, "allowed_sides", parse_side, &row->sides) != IPC_OK)
        return IPC_BAD_INPUT;
    *(uint32_t *)ctl_rows_reach(&r->slots, r->slots.count + 1) = slot;
    return IPC_OK;
}

/* A retired row's symbol map, without the instruments that the file no longer has. */
static uint32_t keep_map(struct ctl_reading *r, uint32_t one_plus)
{
    if (one_plus == 0)
        return 0;
    const struct ipc_row_list *run =
        (const struct ipc_row_list *)r->live->rows[IPC_TABLE_MAPS] + (one_plus - 1);
    const struct ipc_row_map_item *from =
        (const struct ipc_row_map_item *)r->live->rows[IPC_TABLE_MAP_ITEMS] + run->first;
    const struct ipc_row_instrument *instruments = r->instruments.at;
    struct ipc_row_map_item *items = calloc(run->count > 0 ? run->count : 1, sizeof(*items));
    uint32_t kept = 0;
    LS_CHECK(items != NULL);
    for (uint32_t i = 0; i < run->count; i++)
        if (from[i].from <= r->instruments.count && from[i].to <= r->instruments.count &&
            instruments[from[i].from - 1].instrument != 0 &&
            instruments[from[i].to - 1].instrument != 0)
            items[kept++] = from[i];
    uint32_t map = ctl_share_map(r, items, kept);
    free(items);
    return map;
}

/* Live rows come over retired; those that the file names come back to life in their slots. What an
 * exit goes by (sides reversed, symbol map, what happens at the end) stays with them. */
void ctl_retire_live(struct ctl_reading *r)
{
    uint32_t count = r->live != NULL ? r->live->shape.rows[IPC_TABLE_FOLLOWERS] : 0;
    const struct ipc_row_follower *from = count > 0 ? r->live->rows[IPC_TABLE_FOLLOWERS] : NULL;
    for (uint32_t slot = 0; slot < count; slot++) {
        struct ipc_row_follower *row = ctl_rows_reach(&r->followers, slot + 1);
        *row = from[slot];
        row->flags = IPC_FOLLOWER_RETIRED;
        row->allowed_list = row->denied_list = 0;
        if (row->policy != 0)
            row->policy = ctl_share_policy(
                r, (const struct ipc_row_policy *)r->live->rows[IPC_TABLE_POLICIES] +
                       (row->policy - 1));
        row->map = keep_map(r, row->map);
        char text[16];
        snprintf(text, sizeof(text), "%u", row->follower_no);
        if (row->follower_no != 0)
            ctl_name_map_put(&r->live_numbers, text, slot);
    }
}

static bool has_role(const struct ctl_reading *r, uint32_t account, uint8_t role)
{
    const struct ipc_row_account *rows = r->accounts.at;
    return account <= r->accounts.count && rows[account - 1].account == account &&
           (rows[account - 1].roles & role) != 0;
}

/* A subscription that ended stays in its master's run, so that exits of what it copied still reach
 * it, for as long as both accounts are in the file. It may not end together with them. */
enum ipc_rc ctl_list_retired(struct ctl_reading *r)
{
    for (uint32_t slot = 0; slot < r->followers.count; slot++) {
        struct ipc_row_follower *row = (struct ipc_row_follower *)r->followers.at + slot;
        if (row->follower_no == 0 || (row->flags & IPC_FOLLOWER_RETIRED) == 0)
            continue;
        if (has_role(r, row->account, IPC_ROLE_FOLLOWER) &&
            has_role(r, row->master, IPC_ROLE_MASTER)) {
            const struct ipc_row_account *owner =
                (const struct ipc_row_account *)r->accounts.at + (row->account - 1);
            row->broker = owner->broker;
            row->shard = owner->shard;
            *(uint32_t *)ctl_rows_reach(&r->slots, r->slots.count + 1) = slot;
            continue;
        }
        const struct ipc_row_follower *live =
            (const struct ipc_row_follower *)r->live->rows[IPC_TABLE_FOLLOWERS] + slot;
        if ((live->flags & IPC_FOLLOWER_RETIRED) == 0)
            return CTL_COMPLAIN(r, ctl_document_member(r->document, 0, "accounts"),
                "subscription %u ends here: its accounts %u and %u must stay until what it copied "
                "is closed; remove them later",
                row->follower_no, row->account, row->master);
        /* Nobody trades for it any more; the shard may be gone too. */
        if (row->shard >= r->cluster.shard_count)
            row->shard = 0;
    }
    return IPC_OK;
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
