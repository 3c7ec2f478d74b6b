#include "adapters/sim/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cyaml/cyaml.h>
#include <jansson.h>

/* ---- the YAML file
 * ---------------------------------------------------------------------------------------------- */

/* libcyaml's field macros carry signed literals of their own. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wconversion"

#define OPTIONAL CYAML_FLAG_OPTIONAL
#define TEXT(struct_name, field)                                                                   \
    CYAML_FIELD_STRING_PTR(                                                                        \
        #field, CYAML_FLAG_POINTER | OPTIONAL, struct struct_name, field, 0, CYAML_UNLIMITED)
#define NUMBER(struct_name, field) CYAML_FIELD_UINT(#field, OPTIONAL, struct struct_name, field)
#define NUMBER_PTR(struct_name, field)                                                             \
    CYAML_FIELD_UINT_PTR(#field, CYAML_FLAG_POINTER | OPTIONAL, struct struct_name, field)

static const cyaml_schema_value_t text_value = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0, CYAML_UNLIMITED),
};

static const cyaml_schema_field_t holding_fields[] = {
    TEXT(adp_sim_config_holding, exchange),
    CYAML_FIELD_STRING_PTR(
        "symbol", CYAML_FLAG_POINTER, struct adp_sim_config_holding, symbol, 1, CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("quantity", CYAML_FLAG_POINTER, struct adp_sim_config_holding, quantity,
        1, CYAML_UNLIMITED),
    TEXT(adp_sim_config_holding, price),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t holding_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct adp_sim_config_holding, holding_fields),
};

static const cyaml_schema_field_t account_fields[] = {
    CYAML_FIELD_STRING_PTR(
        "account", CYAML_FLAG_POINTER, struct adp_sim_config_account, account, 1, 31),
    CYAML_FIELD_STRING_PTR(
        "token", CYAML_FLAG_POINTER, struct adp_sim_config_account, token, 1, 8191),
    TEXT(adp_sim_config_account, funds),
    TEXT(adp_sim_config_account, name),
    TEXT(adp_sim_config_account, feed),
    CYAML_FIELD_BOOL("read_only", OPTIONAL, struct adp_sim_config_account, read_only),
    CYAML_FIELD_SEQUENCE("addresses", CYAML_FLAG_POINTER | OPTIONAL, struct adp_sim_config_account,
        addresses, &text_value, 0, ADP_SIM_ADDRESSES_MAX),
    CYAML_FIELD_SEQUENCE("holdings", CYAML_FLAG_POINTER | OPTIONAL, struct adp_sim_config_account,
        holdings, &holding_value, 0, CYAML_UNLIMITED),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t account_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct adp_sim_config_account, account_fields),
};

static const cyaml_schema_field_t listen_fields[] = {
    CYAML_FIELD_SEQUENCE("addresses", CYAML_FLAG_POINTER | OPTIONAL, struct adp_sim_config_listen,
        addresses, &text_value, 1, 15),
    NUMBER(adp_sim_config_listen, port),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t admin_fields[] = {
    TEXT(adp_sim_config_admin, address),
    NUMBER(adp_sim_config_admin, port),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t tls_fields[] = {
    TEXT(adp_sim_config_tls, certificate),
    TEXT(adp_sim_config_tls, key),
    TEXT(adp_sim_config_tls, min_version),
    TEXT(adp_sim_config_tls, max_version),
    CYAML_FIELD_BOOL_PTR("h2", CYAML_FLAG_POINTER | OPTIONAL, struct adp_sim_config_tls, h2),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t limits_fields[] = {
    NUMBER_PTR(adp_sim_config_limits, orders_per_second),
    NUMBER_PTR(adp_sim_config_limits, reads_per_15_min),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t latency_fields[] = {
    NUMBER(adp_sim_config_latency, min_us),
    NUMBER(adp_sim_config_latency, mean_us),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t http2_fields[] = {
    NUMBER_PTR(adp_sim_config_http2, max_concurrent_streams),
    NUMBER_PTR(adp_sim_config_http2, initial_window_bytes),
    NUMBER_PTR(adp_sim_config_http2, connection_window_bytes),
    NUMBER_PTR(adp_sim_config_http2, header_table_bytes),
    CYAML_FIELD_END,
};
static const cyaml_strval_t ack_words[] = {
    {"cf", ADP_SIM_MARKET_CF},
    {"ck", ADP_SIM_MARKET_CK},
};
static const cyaml_schema_field_t feed_fields[] = {
    TEXT(adp_sim_config_feed, address),
    NUMBER(adp_sim_config_feed, port),
    NUMBER_PTR(adp_sim_config_feed, heartbeat_ms),
    NUMBER_PTR(adp_sim_config_feed, tick_ms),
    CYAML_FIELD_ENUM("market_ack", OPTIONAL | CYAML_FLAG_STRICT, struct adp_sim_config_feed,
        market_ack, ack_words, CYAML_ARRAY_LEN(ack_words)),
    TEXT(adp_sim_config_feed, webhook_ca),
    CYAML_FIELD_END,
};
static const cyaml_strval_t market_words[] = {
    {"refuse", ADP_SIM_MARKET_REFUSE},
    {"accept", ADP_SIM_MARKET_ACCEPT},
};
static const cyaml_strval_t form_words[] = {
    {"status", ADP_SIM_FORM_STATUS},
    {"bare", ADP_SIM_FORM_BARE},
    {"mixed", ADP_SIM_FORM_MIXED},
};

#define PART(field, fields)                                                                        \
    CYAML_FIELD_MAPPING(#field, OPTIONAL, struct adp_sim_config, field, fields)

static const cyaml_schema_field_t config_fields[] = {
    PART(listen, listen_fields),
    PART(admin, admin_fields),
    PART(tls, tls_fields),
    PART(limits, limits_fields),
    PART(latency, latency_fields),
    PART(http2, http2_fields),
    PART(feed, feed_fields),
    TEXT(adp_sim_config, contracts),
    TEXT(adp_sim_config, accounts_file),
    TEXT(adp_sim_config, ports_file),
    CYAML_FIELD_SEQUENCE("accounts", CYAML_FLAG_POINTER | OPTIONAL, struct adp_sim_config, accounts,
        &account_value, 0, CYAML_UNLIMITED),
    NUMBER(adp_sim_config, seed),
    CYAML_FIELD_ENUM("market_orders", OPTIONAL | CYAML_FLAG_STRICT, struct adp_sim_config,
        market_orders, market_words, CYAML_ARRAY_LEN(market_words)),
    CYAML_FIELD_ENUM("error_form", OPTIONAL | CYAML_FLAG_STRICT, struct adp_sim_config, error_form,
        form_words, CYAML_ARRAY_LEN(form_words)),
    CYAML_FIELD_BOOL("short_delivery", OPTIONAL, struct adp_sim_config, short_delivery),
    NUMBER(adp_sim_config, exchange_latency_ms),
    NUMBER(adp_sim_config, partial_fill_ppm),
    NUMBER(adp_sim_config, connections_max),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t config_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct adp_sim_config, config_fields),
};

#pragma GCC diagnostic pop

/* libcyaml tells what is wrong and where in several lines; they become one sentence. */
LS_PRINTF(3, 0)
static void keep_complaint(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    struct adp_sim_error *error = context;
    size_t used = strlen(error->text);
    if (level < CYAML_LOG_ERROR || used + 2 >= sizeof(error->text))
        return;
    char line[256];
    vsnprintf(line, sizeof(line), format, arguments);
    const char *text = strncmp(line, "Load: ", 6) == 0 ? line + 6 : line;
    while (*text == ' ')
        text++;
    if (strncmp(text, "Backtrace", 9) == 0)
        return;
    size_t bytes = strcspn(text, "\n");
    snprintf(error->text + used, sizeof(error->text) - used, "%s%.*s", used == 0 ? "" : ", ",
        (int)bytes, text);
}

static const cyaml_config_t *cyaml_options(struct adp_sim_error *error, cyaml_config_t *options)
{
    *options = (cyaml_config_t){.log_fn = keep_complaint,
        .log_ctx = error,
        .mem_fn = cyaml_mem,
        .log_level = CYAML_LOG_ERROR};
    return options;
}

struct adp_sim_config *adp_sim_config_load(const char *path, struct adp_sim_error *error)
{
    struct adp_sim_config *config = NULL;
    struct adp_sim_error complaint = {.text = ""};
    cyaml_config_t options;
    cyaml_err_t rc = cyaml_load_file(
        path, cyaml_options(&complaint, &options), &config_value, (cyaml_data_t **)&config, NULL);
    if (rc != CYAML_OK) {
        snprintf(error->text, sizeof(error->text), "%.150s: %.340s", path,
            complaint.text[0] == '\0' ? cyaml_strerror(rc) : complaint.text);
        return NULL;
    }
    return config;
}

void adp_sim_config_free(struct adp_sim_config *config)
{
    struct adp_sim_error ignored = {.text = ""};
    cyaml_config_t options;
    if (config != NULL)
        cyaml_free(cyaml_options(&ignored, &options), &config_value, config, 0);
}

/* ---- accounts
 * ---------------------------------------------------------------------------------------------------
 */

struct place { /* where an account was written, for sentences */
    const char *file;
    size_t number; /* from 1 */
    struct adp_sim_error *error;
};

static bool bad(const struct place *place, const char *account, const char *field, const char *what)
{
    snprintf(place->error->text, sizeof(place->error->text), "%.150s, account %zu (%.31s), %s: %s",
        place->file, place->number, account == NULL ? "?" : account, field, what);
    return false;
}

static bool add_holding(struct adp_sim_book *book, uint32_t account, const char *id,
    const struct adp_sim_config_holding *holding, const struct place *place)
{
    enum adp_sim_exchange exchange = ADP_SIM_NSE;
    int64_t units_e8 = 0, price_e8 = 0;
    if (holding->exchange != NULL)
        exchange = adp_sim_exchange_of(holding->exchange);
    if (exchange == 0)
        return bad(place, id, "holdings.exchange", "is not an exchange");
    uint32_t instrument = adp_sim_book_find_symbol(book, exchange, holding->symbol);
    if (instrument == ADP_SIM_NONE)
        return bad(place, id, "holdings.symbol", "is not in the contract files");
    if (!adp_sim_parse_e8(holding->quantity, strlen(holding->quantity), &units_e8) ||
        units_e8 <= 0 || units_e8 % LS_E8 != 0)
        return bad(place, id, "holdings.quantity", "must be a whole number above 0");
    if (holding->price != NULL &&
        !adp_sim_parse_e8(holding->price, strlen(holding->price), &price_e8))
        return bad(place, id, "holdings.price", "must be a number");
    adp_sim_book_add_holding(book, account, instrument, units_e8 / LS_E8, price_e8);
    return true;
}

static bool add_account(const struct adp_sim_config_account *row, struct adp_sim_book *book,
    struct adp_sim_members *members, const struct place *place)
{
    int64_t funds_e8 = 1000000 * LS_E8;
    if (row->account == NULL || row->account[0] == '\0' || strlen(row->account) > 31)
        return bad(place, row->account, "account", "must have 1 to 31 characters");
    if (row->funds != NULL &&
        (!adp_sim_parse_e8(row->funds, strlen(row->funds), &funds_e8) || funds_e8 < 0))
        return bad(place, row->account, "funds", "must be a number of rupees, 0 or more");
    if (adp_sim_book_find_account(book, row->account) != ADP_SIM_NONE)
        return bad(place, row->account, "account", "is there twice");
    if (row->token == NULL || !adp_sim_members_add(members, row->token))
        return bad(place, row->account, "token",
            "must have 1 to 8191 characters and be of no other account");
    uint32_t account = adp_sim_book_add_account(book, row->account, funds_e8);
    LS_CHECK(account == members->count - 1);
    members->rows[account].read_only = row->read_only;
    if (row->feed != NULL) {
        enum adp_sim_token_answer answer = adp_sim_token_answer_of(row->feed);
        if (answer == ADP_SIM_TOKEN_ANSWER_COUNT)
            return bad(place, row->account, "feed", "must be good, empty, html or 404");
        members->rows[account].token_answer = (uint8_t)answer;
    }
    for (unsigned i = 0; i < row->addresses_count; i++) {
        if (!adp_sim_members_add_address(members, account, row->addresses[i]))
            return bad(
                place, row->account, "addresses", "must be at most 8 IPv4 or IPv6 addresses");
    }
    for (unsigned i = 0; i < row->holdings_count; i++) {
        if (!add_holding(book, account, row->account, &row->holdings[i], place))
            return false;
    }
    return true;
}

/* A JSON value as text; numbers too, so that funds can be written either way. Allocated, or NULL.
 */
static char *json_text(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_string(value))
        return strdup(json_string_value(value));
    if (json_is_integer(value) || json_is_real(value)) {
        char text[64];
        if (json_is_integer(value))
            snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
        else
            snprintf(text, sizeof(text), "%.2f", json_real_value(value));
        return strdup(text);
    }
    return NULL;
}

static bool check_json_keys(const json_t *object, const struct place *place)
{
    static const char *const known[] = {
        "account", "token", "funds", "name", "read_only", "feed", "addresses", "holdings"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < LS_COUNT_OF(known); i++)
            found = found || strcmp(known[i], key) == 0;
        if (!found)
            return bad(place, json_string_value(json_object_get(object, "account")), key,
                "is not a field; known are account, token, funds, name, read_only, feed, "
                "addresses, holdings");
    }
    return true;
}

static bool add_json_account(const json_t *object, struct adp_sim_book *book,
    struct adp_sim_members *members, const struct place *place)
{
    struct adp_sim_config_account row = {0};
    struct adp_sim_config_holding holdings[64];
    char *addresses[ADP_SIM_ADDRESSES_MAX + 1];
    const json_t *list = json_object_get(object, "addresses");
    const json_t *held = json_object_get(object, "holdings");
    bool good;

    if (!json_is_object(object))
        return bad(place, NULL, "account", "must be an object");
    if (!check_json_keys(object, place))
        return false;
    row.account = json_text(object, "account");
    row.token = json_text(object, "token");
    row.funds = json_text(object, "funds");
    row.feed = json_text(object, "feed");
    row.read_only = json_is_true(json_object_get(object, "read_only"));
    row.addresses = addresses;
    for (size_t i = 0; i < json_array_size(list) && i < LS_COUNT_OF(addresses); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        addresses[row.addresses_count++] = strdup(text == NULL ? "" : text);
    }
    row.holdings = holdings;
    for (size_t i = 0; i < json_array_size(held) && i < LS_COUNT_OF(holdings); i++) {
        const json_t *one = json_array_get(held, i);
        char *symbol = json_text(one, "symbol"), *quantity = json_text(one, "quantity");
        holdings[row.holdings_count++] =
            (struct adp_sim_config_holding){.exchange = json_text(one, "exchange"),
                .symbol = symbol == NULL ? strdup("") : symbol,
                .quantity = quantity == NULL ? strdup("") : quantity,
                .price = json_text(one, "price")};
    }
    if (json_array_size(held) > LS_COUNT_OF(holdings))
        good = bad(place, row.account, "holdings", "at most 64 rows can be given");
    else
        good = add_account(&row, book, members, place);
    if (row.token != NULL)
        explicit_bzero(row.token, strlen(row.token));
    free(row.account);
    free(row.token);
    free(row.funds);
    free(row.feed);
    for (unsigned i = 0; i < row.addresses_count; i++)
        free(addresses[i]);
    for (unsigned i = 0; i < row.holdings_count; i++) {
        free(holdings[i].exchange);
        free(holdings[i].symbol);
        free(holdings[i].quantity);
        free(holdings[i].price);
    }
    return good;
}

static bool add_json_file(const char *path, struct adp_sim_book *book,
    struct adp_sim_members *members, struct adp_sim_error *error)
{
    json_error_t where;
    json_t *list = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
    bool good = true;
    if (list == NULL) {
        snprintf(error->text, sizeof(error->text), "%.200s line %d: %.150s", path, where.line,
            where.text);
        return false;
    }
    if (!json_is_array(list)) {
        snprintf(error->text, sizeof(error->text),
            "%.200s: must be a JSON array of accounts, such as "
            "[{\"account\":\"M1\",\"token\":\"...\"}]",
            path);
        good = false;
    }
    for (size_t i = 0; good && i < json_array_size(list); i++) {
        struct place place = {.file = path, .number = i + 1, .error = error};
        good = add_json_account(json_array_get(list, i), book, members, &place);
    }
    json_decref(list);
    return good;
}

bool adp_sim_config_accounts(const struct adp_sim_config *config, const char *accounts_file,
    struct adp_sim_book *book, struct adp_sim_members *members, struct adp_sim_error *error)
{
    for (unsigned i = 0; i < config->accounts_count; i++) {
        struct place place = {.file = "accounts", .number = i + 1, .error = error};
        if (!add_account(&config->accounts[i], book, members, &place))
            return false;
    }
    if (accounts_file == NULL)
        accounts_file = config->accounts_file;
    return accounts_file == NULL || add_json_file(accounts_file, book, members, error);
}
