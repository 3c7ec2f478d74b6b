/* api.c: dispatch, and the requests that place, change and cancel orders. Rows of the read calls
 * are in api_rows.c. */
#include "adapters/sim/api_private.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

/* More orders in one request than this are refused; the broker's own limit is not public. */
#define LEGS_MAX 50

static const struct {
    const char *method, *path, *name;
} paths[ADP_SIM_PATH_COUNT] = {
    [ADP_SIM_PATH_UNKNOWN] = {"", "", "unknown"},
    [ADP_SIM_PATH_PLACE] = {"POST", ADP_SIM_API_PREFIX "orders/placeorder", "placeorder"},
    [ADP_SIM_PATH_MODIFY] = {"POST", ADP_SIM_API_PREFIX "orders/modify", "modify"},
    [ADP_SIM_PATH_CANCEL] = {"POST", ADP_SIM_API_PREFIX "orders/cancel", "cancel"},
    [ADP_SIM_PATH_BOOK] = {"GET", ADP_SIM_API_PREFIX "orders/book", "book"},
    [ADP_SIM_PATH_HISTORY] = {"POST", ADP_SIM_API_PREFIX "orders/history", "history"},
    [ADP_SIM_PATH_TRADES] = {"GET", ADP_SIM_API_PREFIX "orders/trades", "trades"},
    [ADP_SIM_PATH_POSITIONS] = {"GET", ADP_SIM_API_PREFIX "positions", "positions"},
    [ADP_SIM_PATH_HOLDINGS] = {"GET", ADP_SIM_API_PREFIX "holdings/", "holdings"},
    [ADP_SIM_PATH_LIMITS] = {"GET", ADP_SIM_API_PREFIX "limits/", "limits"},
    [ADP_SIM_PATH_ORDER_TOKEN] = {"GET", "/open-api/order-notify/ws/createWsToken",
        "createwstoken"},
    [ADP_SIM_PATH_MARKET_BEGIN] = {"POST", ADP_SIM_API_PREFIX "profile/createWsSess",
        "createwssess"},
    [ADP_SIM_PATH_MARKET_END] = {"POST", ADP_SIM_API_PREFIX "profile/invalidateWsSess",
        "invalidatewssess"},
    [ADP_SIM_PATH_SUBSCRIBE] = {"POST", "/rest/AliceBlueAPIService/api/webhook/subscribe",
        "webhook_subscribe"},
    [ADP_SIM_PATH_UNSUBSCRIBE] = {"POST", "/rest/AliceBlueAPIService/api/webhook/unsubscribe",
        "webhook_unsubscribe"},
};

const char *adp_sim_path_name(enum adp_sim_path path)
{
    return paths[path].name;
}

bool adp_sim_path_is_order(enum adp_sim_path path)
{
    return path == ADP_SIM_PATH_PLACE || path == ADP_SIM_PATH_MODIFY || path == ADP_SIM_PATH_CANCEL;
}

enum adp_sim_path adp_sim_api_path(const struct adp_sim_call *call, bool *method_ok)
{
    *method_ok = true;
    const char *rest = call->path;
    for (int i = 1; i < ADP_SIM_PATH_COUNT; i++) {
        bool same = i == ADP_SIM_PATH_HOLDINGS
                        ? strcmp(rest, ADP_SIM_API_PREFIX "holdings/CNC") == 0 ||
                              strcmp(rest, ADP_SIM_API_PREFIX "holdings/MTF") == 0
                        : strcmp(rest, paths[i].path) == 0;
        if (same) {
            *method_ok = strcmp(call->method, paths[i].method) == 0;
            return (enum adp_sim_path)i;
        }
    }
    return ADP_SIM_PATH_UNKNOWN;
}

/* ---- answers
 * ----------------------------------------------------------------------------------------------------
 */

void adp_sim_code_word(int code, char *out, size_t bytes)
{
    if (code < 1000)
        snprintf(out, bytes, "EC%03d", code);
    else
        snprintf(out, bytes, "Not_ok");
}

void adp_sim_put_error(struct adp_sim_api *api, struct adp_sim_text *out, int code)
{
    char word[16];
    bool bare = api->error_form == ADP_SIM_FORM_BARE;
    if (api->error_form == ADP_SIM_FORM_MIXED)
        bare = adp_sim_prng_below(&api->prng, 2) == 1;
    adp_sim_code_word(code, word, sizeof(word));
    if (code == ADP_SIM_CODE_ADDRESS) {
        adp_sim_text_printf(out, "{\"stat\":\"Not_Ok\",\"emsg\":\"%s\"}", adp_sim_code_text(code));
        return;
    }
    adp_sim_text_put(out, "{\"status\":");
    adp_sim_text_quote(out, bare ? "Not_ok" : word);
    adp_sim_text_put(out, ",\"message\":");
    adp_sim_text_quote(out, bare && code < 1000 ? word : adp_sim_code_text(code));
    adp_sim_text_put(out, "}");
}

void adp_sim_api_error(
    struct adp_sim_api *api, struct adp_sim_call *call, int http_status, int code)
{
    call->status = http_status;
    call->content_type = "application/json";
    call->answer.length = 0;
    adp_sim_put_error(api, &call->answer, code);
}

void adp_sim_put_request_time(struct adp_sim_text *out, int64_t wall_ns)
{
    static const char months[12][4] = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct adp_sim_civil at = adp_sim_civil_of(wall_ns);
    adp_sim_text_printf(out, "\"%02d-%s-%04d %02d:%02d:%02d\"", at.day, months[at.month - 1],
        at.year, at.hour, at.minute, at.second);
}

static void put_accepted(struct adp_sim_text *out, int64_t wall_ns, const char *broker_order_id)
{
    adp_sim_text_put(out, "{\"requestTime\":");
    adp_sim_put_request_time(out, wall_ns);
    adp_sim_text_put(out, ",\"brokerOrderId\":");
    adp_sim_text_quote(out, broker_order_id);
    adp_sim_text_put(out, "}");
}

/* ---- fields
 * -----------------------------------------------------------------------------------------------------
 */

/* A field as text: false when it is absent, null, empty, or neither a string nor a number. A
 * number's digits are given as decimals, since clients send prices both ways. */
static bool field_text(const json_t *object, const char *key, char *out, size_t bytes)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_string(value))
        return (size_t)snprintf(out, bytes, "%s", json_string_value(value)) > 0;
    if (json_is_integer(value))
        return snprintf(out, bytes, "%lld", (long long)json_integer_value(value)) > 0;
    if (json_is_real(value))
        return snprintf(out, bytes, "%.8f", json_real_value(value)) > 0;
    out[0] = '\0';
    return false;
}

/* Reads a decimal field: 0 and *out when it is good or absent, else the code. */
static int field_e8(const json_t *object, const char *key, int invalid, int64_t *out)
{
    char text[64];
    *out = 0;
    if (!field_text(object, key, text, sizeof(text)))
        return 0;
    return adp_sim_parse_e8(text, strlen(text), out) ? 0 : invalid;
}

/* A word of an enum: empty when absent, wrong when it is not one of them. */
#define FIELD_WORD(leg, key, noun, target, empty, wrong)                                           \
    do {                                                                                           \
        char word_[32];                                                                            \
        if (!field_text((leg), (key), word_, sizeof(word_)))                                       \
            return (empty);                                                                        \
        (target) = adp_sim_##noun##_of(word_);                                                     \
        if ((target) == 0)                                                                         \
            return (wrong);                                                                        \
    } while (0)

static int read_whole(const json_t *object, const char *key, int64_t *out)
{
    const json_t *value = json_object_get(object, key);
    char text[32];
    *out = 0;
    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return 1;
    }
    if (!field_text(object, key, text, sizeof(text)))
        return 0;
    int64_t value_e8 = 0;
    if (!adp_sim_parse_e8(text, strlen(text), &value_e8) || value_e8 % LS_E8 != 0)
        return -1;
    *out = value_e8 / LS_E8;
    return 1;
}

static int read_instrument(
    const struct adp_sim_api *api, const json_t *leg, struct adp_sim_terms *terms)
{
    char text[32];
    FIELD_WORD(leg, "exchange", exchange, terms->exchange, 900, 901);
    if (!field_text(leg, "instrumentId", text, sizeof(text)))
        return 941;
    if (strspn(text, "0123456789") != strlen(text) || strlen(text) > 9)
        return 946;
    for (const char *at = text; *at != '\0'; at++)
        terms->token = terms->token * 10 + (uint32_t)(*at - '0');
    terms->instrument = adp_sim_book_find_instrument(api->book, terms->exchange, terms->token);
    return 0;
}

static int read_texts(const json_t *leg, struct adp_sim_terms *terms)
{
    char text[512];
    if (field_text(leg, "deviceId", text, sizeof(text)) && strlen(text) > 98)
        return 813;
    if (field_text(leg, "algoId", text, sizeof(text)) && strlen(text) > 12)
        return 972;
    snprintf(terms->algo_id, sizeof(terms->algo_id), "%.12s", text);
    field_text(leg, "orderTag", text, sizeof(text));
    snprintf(terms->tag, sizeof(terms->tag), "%.50s", text);
    if (strlen(text) > 50)
        return 971;
    for (const char *at = text; *at != '\0'; at++) {
        bool plain = (*at >= '0' && *at <= '9') || (*at >= 'A' && *at <= 'Z') ||
                     (*at >= 'a' && *at <= 'z') || *at == '_' || *at == '-';
        if (!plain)
            return 984;
    }
    return 0;
}

static int read_prices(const json_t *leg, struct adp_sim_terms *terms)
{
    char text[64];
    bool priced = terms->type == ADP_SIM_LIMIT || terms->type == ADP_SIM_SL;
    bool stop = terms->type == ADP_SIM_SL || terms->type == ADP_SIM_SLM;
    int code;

    if (priced && !field_text(leg, "price", text, sizeof(text)))
        return 950;
    if (stop && !field_text(leg, "slTriggerPrice", text, sizeof(text)))
        return 951;
    if (priced && (code = field_e8(leg, "price", 957, &terms->price_e8)) != 0)
        return code;
    if (stop && (code = field_e8(leg, "slTriggerPrice", 959, &terms->trigger_e8)) != 0)
        return code;
    /* Placing spells the field one way, the printed bodies of modifying another. */
    code = field_e8(leg, "marketProtectionPercent", 988, &terms->protection_e8);
    if (code == 0 && terms->protection_e8 == 0)
        code = field_e8(leg, "marketProtection", 988, &terms->protection_e8);
    return code;
}

/* Reads one order of a place request as far as it goes; returns 0 or the first refusal. */
static int read_leg(const struct adp_sim_api *api, const json_t *leg, struct adp_sim_terms *terms)
{
    char text[32];
    int code = read_texts(leg, terms); /* the tag is wanted in the record of every refusal */
    int instrument_code = read_instrument(api, leg, terms);

    if (instrument_code != 0)
        return instrument_code;
    FIELD_WORD(leg, "transactionType", side, terms->side, 907, 929);
    int quantity = read_whole(leg, "quantity", &terms->units);
    if (quantity == 0)
        return 903;
    if (quantity < 0)
        return 949;
    FIELD_WORD(leg, "product", product, terms->product, 906, 92);
    if (!field_text(leg, "orderComplexity", text, sizeof(text)))
        return 942;
    terms->complexity = strcmp(text, "REGULAR") == 0 ? ADP_SIM_REGULAR
                        : strcmp(text, "AMO") == 0   ? ADP_SIM_AMO
                                                     : (enum adp_sim_complexity)0;
    if (terms->complexity == 0)
        return 91;
    FIELD_WORD(leg, "orderType", type, terms->type, 934, 930);
    FIELD_WORD(leg, "validity", validity, terms->validity, 944, 932);
    int price_code = read_prices(leg, terms);
    if (price_code != 0)
        return price_code;
    if (read_whole(leg, "disclosedQuantity", &terms->disclosed_units) < 0)
        return 981;
    return code;
}

/* ---- requests
 * ---------------------------------------------------------------------------------------------------
 */

static struct adp_sim_origin origin_of(const struct adp_sim_call *call, uint32_t account)
{
    return (struct adp_sim_origin){.account = account,
        .source = ADP_SIM_API,
        .mono_ns = call->mono_ns,
        .wall_ns = call->wall_ns,
        .connection = call->connection,
        .stream = call->stream,
        .address = call->address};
}

static json_t *parse(struct adp_sim_api *api, const struct adp_sim_call *call)
{
    json_t *parsed = api->parsed;
    api->parsed = NULL;
    if (parsed != NULL) {
        LS_CHECK(api->parsed_for == call);
        return parsed;
    }
    if (call->too_large)
        return NULL;
    return json_loadb(call->body.bytes == NULL ? "" : call->body.bytes, call->body.length,
        JSON_REJECT_DUPLICATES, NULL);
}

static void place_leg(struct adp_sim_api *api, struct adp_sim_call *call,
    const struct adp_sim_origin *origin, const json_t *leg, uint32_t number, int refusal,
    const char *outcome)
{
    struct adp_sim_terms terms = {.instrument = ADP_SIM_NONE};
    int code = json_is_object(leg) ? read_leg(api, leg, &terms) : 914;
    if (refusal != 0)
        code = refusal;
    uint32_t index = code != 0 ? adp_sim_book_refuse(api->book, origin, &terms, number, code)
                               : adp_sim_book_place(api->book, origin, &terms, number);
    const struct adp_sim_order *order = adp_sim_book_order(api->book, index);
    if (outcome != NULL)
        adp_sim_book_set_order_outcome(api->book, index, outcome);
    if (number > 0)
        adp_sim_text_put(&call->answer, ",");
    if (order->refusal == 0) {
        put_accepted(&call->answer, call->wall_ns, order->broker_order_id);
        return;
    }
    char word[16];
    adp_sim_code_word(order->refusal, word, sizeof(word));
    adp_sim_text_printf(&call->answer, "{\"status\":\"%s\",\"message\":", word);
    adp_sim_text_quote(&call->answer, adp_sim_code_text(order->refusal));
    adp_sim_text_put(&call->answer, "}");
}

static void run_place(struct adp_sim_api *api, struct adp_sim_call *call, uint32_t account,
    int refusal, const char *outcome)
{
    struct adp_sim_origin origin = origin_of(call, account);
    json_t *body = parse(api, call);
    size_t count = json_array_size(body);

    if (!json_is_array(body) || count == 0 || count > LEGS_MAX) {
        struct adp_sim_terms none = {.instrument = ADP_SIM_NONE};
        uint32_t index =
            adp_sim_book_refuse(api->book, &origin, &none, 0, refusal != 0 ? refusal : 914);
        adp_sim_book_set_order_outcome(api->book, index, outcome);
        adp_sim_api_error(api, call, 400, 914);
        json_decref(body);
        return;
    }
    adp_sim_text_put(&call->answer, "{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[");
    for (size_t i = 0; i < count; i++)
        place_leg(api, call, &origin, json_array_get(body, i), (uint32_t)i, refusal, outcome);
    adp_sim_text_put(&call->answer, "]}");
    json_decref(body);
}

static int read_change(const json_t *body, struct adp_sim_change *change)
{
    struct adp_sim_terms terms = {.instrument = ADP_SIM_NONE};
    FIELD_WORD(body, "orderType", type, terms.type, 934, 930);
    FIELD_WORD(body, "validity", validity, terms.validity, 944, 932);
    int quantity = read_whole(body, "quantity", &terms.units);
    if (quantity == 0)
        return 903;
    if (quantity < 0)
        return 949;
    int code = read_prices(body, &terms);
    *change = (struct adp_sim_change){.type = terms.type,
        .validity = terms.validity,
        .units = terms.units,
        .price_e8 = terms.price_e8,
        .trigger_e8 = terms.trigger_e8,
        .protection_e8 = terms.protection_e8};
    return code;
}

static void run_change(struct adp_sim_api *api, struct adp_sim_call *call, bool cancel,
    uint32_t account, int refusal, const char *outcome)
{
    struct adp_sim_origin origin = origin_of(call, account);
    struct adp_sim_change change = {0};
    char broker_order_id[32] = "";
    json_t *body = parse(api, call);
    uint32_t act = ADP_SIM_NONE;
    int code = 0;

    if (!json_is_object(body))
        code = 914;
    else if (!field_text(body, "brokerOrderId", broker_order_id, sizeof(broker_order_id)))
        code = 945;
    else if (!cancel)
        code = read_change(body, &change);
    json_decref(body);
    if (refusal != 0)
        code = refusal;
    if (code != 0)
        act = adp_sim_book_refuse_act(api->book, &origin, cancel, broker_order_id, code);
    else if (cancel)
        code = adp_sim_book_cancel(api->book, &origin, broker_order_id, &act);
    else
        code = adp_sim_book_modify(api->book, &origin, broker_order_id, &change, &act);
    adp_sim_book_set_act_outcome(api->book, act, outcome);
    if (code != 0) {
        adp_sim_api_error(api, call, code == 914 ? 400 : 200, code);
        return;
    }
    adp_sim_text_put(&call->answer, "{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[");
    put_accepted(&call->answer, call->wall_ns, broker_order_id);
    adp_sim_text_put(&call->answer, "]}");
}

static void run_history(struct adp_sim_api *api, struct adp_sim_call *call, uint32_t account)
{
    char broker_order_id[32] = "";
    json_t *body = parse(api, call);
    bool has_id = field_text(body, "brokerOrderId", broker_order_id, sizeof(broker_order_id));
    json_decref(body);
    if (!has_id) {
        adp_sim_api_error(api, call, 200, 945);
        return;
    }
    adp_sim_api_history(api, call, account, broker_order_id);
}

static void run_push(
    struct adp_sim_api *api, struct adp_sim_call *call, enum adp_sim_path path, uint32_t account)
{
    json_t *body = path == ADP_SIM_PATH_ORDER_TOKEN ? NULL : parse(api, call);
    adp_sim_api_push(api, call, path, account, body);
    json_decref(body);
}

enum adp_sim_exchange adp_sim_api_exchange(struct adp_sim_api *api, const struct adp_sim_call *call,
    enum adp_sim_path path, uint32_t *calls)
{
    char text[32] = "";
    json_t *body = parse(api, call);
    enum adp_sim_exchange exchange = 0;
    *calls = 1;
    if (path == ADP_SIM_PATH_PLACE) {
        size_t count = json_array_size(body);
        *calls = count == 0 ? 1 : (uint32_t)count;
        if (field_text(json_array_get(body, 0), "exchange", text, sizeof(text)))
            exchange = adp_sim_exchange_of(text);
    } else if (field_text(body, "brokerOrderId", text, sizeof(text))) {
        uint32_t order = adp_sim_book_find_order(api->book, text);
        if (order != ADP_SIM_NONE)
            exchange = adp_sim_book_order(api->book, order)->terms.exchange;
    }
    api->parsed = body;
    api->parsed_for = call;
    return exchange;
}

void adp_sim_api_run(struct adp_sim_api *api, struct adp_sim_call *call, enum adp_sim_path path,
    uint32_t account, int refusal, const char *outcome)
{
    call->status = 200;
    call->content_type = "application/json";
    call->answer.length = 0;
    switch (path) {
    case ADP_SIM_PATH_PLACE:
        run_place(api, call, account, refusal, outcome);
        return;
    case ADP_SIM_PATH_MODIFY:
        run_change(api, call, false, account, refusal, outcome);
        return;
    case ADP_SIM_PATH_CANCEL:
        run_change(api, call, true, account, refusal, outcome);
        return;
    case ADP_SIM_PATH_BOOK:
    case ADP_SIM_PATH_HISTORY:
    case ADP_SIM_PATH_TRADES:
    case ADP_SIM_PATH_POSITIONS:
    case ADP_SIM_PATH_HOLDINGS:
    case ADP_SIM_PATH_LIMITS:
        if (refusal == 0 && path == ADP_SIM_PATH_HISTORY)
            run_history(api, call, account);
        else if (refusal == 0)
            adp_sim_api_read(api, call, path, account);
        return;
    case ADP_SIM_PATH_ORDER_TOKEN:
    case ADP_SIM_PATH_MARKET_BEGIN:
    case ADP_SIM_PATH_MARKET_END:
    case ADP_SIM_PATH_SUBSCRIBE:
    case ADP_SIM_PATH_UNSUBSCRIBE:
        if (refusal == 0)
            run_push(api, call, path, account);
        return;
    case ADP_SIM_PATH_UNKNOWN:
    case ADP_SIM_PATH_COUNT:
        break;
    }
    LS_CHECK(!"a path that exists");
}
