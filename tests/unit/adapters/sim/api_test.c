/* The API against the broker's documented bodies: requests as printed are understood, answers have
 * the printed keys and types, and every refusal has its code. */
#include "adapters/sim/api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#define P ADP_SIM_API_PREFIX

struct world {
    struct adp_sim_api api;
    struct adp_sim_members members;
    struct adp_sim_call call;
};

static void add(struct adp_sim_book *book, enum adp_sim_exchange exchange, enum adp_sim_kind kind,
    uint32_t token, const char *symbol, int64_t lot, int64_t tick_e8)
{
    struct adp_sim_instrument instrument = {.exchange = exchange,
        .kind = kind,
        .token = token,
        .lot_units = lot,
        .tick_e8 = tick_e8,
        .last_e8 = 1000 * LS_E8,
        .liquidity_units = -1};
    snprintf(instrument.symbol, sizeof(instrument.symbol), "%s", symbol);
    snprintf(instrument.name, sizeof(instrument.name), "%s", symbol);
    assert_int_not_equal(adp_sim_book_add_instrument(book, &instrument), ADP_SIM_NONE);
}

static struct world *make_world(enum adp_sim_error_form form)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->api.book = adp_sim_book_create(&(struct adp_sim_book_config){.seed = 1});
    world->api.members = &world->members;
    world->api.error_form = form;
    add(world->api.book, ADP_SIM_NSE, ADP_SIM_EQUITY, 22, "ACC-EQ", 1, LS_E8 / 10);
    add(world->api.book, ADP_SIM_NFO, ADP_SIM_FUTURE, 35000, "NIFTY24NOV26F", 65, LS_E8 / 20);
    assert_int_equal(adp_sim_book_add_account(world->api.book, "912444", 1000000 * LS_E8), 0);
    assert_true(adp_sim_members_add(&world->members, "t"));
    return world;
}

static void free_world(struct world *world)
{
    adp_sim_book_destroy(world->api.book);
    adp_sim_members_free(&world->members);
    adp_sim_text_free(&world->call.body);
    adp_sim_text_free(&world->call.answer);
    free(world);
}

/* Runs one request; the answer is parsed, and freed by the caller. */
static json_t *ask_text(struct world *world, const char *method, const char *path, const char *body)
{
    struct adp_sim_call *call = &world->call;
    bool method_ok;
    snprintf(call->method, sizeof(call->method), "%s", method);
    snprintf(call->path, sizeof(call->path), "%s", path);
    call->body.length = call->answer.length = 0;
    adp_sim_text_put(&call->body, body);
    call->mono_ns += LS_NS_PER_MS;
    call->wall_ns = INT64_C(1795235852365548021);
    call->connection = 1;
    call->stream = 1;
    enum adp_sim_path found = adp_sim_api_path(call, &method_ok);
    assert_true(found != ADP_SIM_PATH_UNKNOWN && method_ok);
    adp_sim_api_run(&world->api, call, found, 0, 0, NULL);
    json_error_t error;
    json_t *answer =
        json_loadb(call->answer.bytes, call->answer.length, JSON_REJECT_DUPLICATES, &error);
    if (answer == NULL)
        fail_msg("%s answered no JSON: %s", path, call->answer.bytes);
    return answer;
}

static char *sample(const char *name)
{
    char path[1024];
    snprintf(path, sizeof(path), LS_TEST_DATA "/alice-blue/%s", name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        fail_msg("cannot open %s", path);
    char *text = calloc(1, 65536);
    assert_non_null(text);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

/* The same keys, and for each the same JSON type, a missing price (null) and 1 against 1.5 aside.
 */
static void same_shape(const json_t *printed, const json_t *ours, const char *where)
{
    const char *key;
    json_t *value;
    if (json_is_array(printed)) {
        assert_true(json_is_array(ours) && json_array_size(ours) > 0);
        same_shape(json_array_get(printed, 0), json_array_get(ours, 0), where);
        return;
    }
    if (!json_is_object(printed)) {
        bool same = json_is_null(printed) || json_is_null(ours) ||
                    json_typeof(printed) == json_typeof(ours) ||
                    (json_is_number(printed) && json_is_number(ours));
        if (!same)
            fail_msg("%s has another type", where);
        return;
    }
    assert_true(json_is_object(ours));
    json_object_foreach((json_t *)(uintptr_t)printed, key, value)
    {
        if (json_object_get(ours, key) == NULL)
            fail_msg("%s.%s is missing", where, key);
        same_shape(value, json_object_get(ours, key), key);
    }
    json_object_foreach((json_t *)(uintptr_t)ours, key, value)
    {
        if (json_object_get(printed, key) == NULL)
            fail_msg("%s.%s is not in the sample", where, key);
    }
}

static void shape_is_that_of(const char *file, const json_t *ours)
{
    char *text = sample(file);
    json_t *printed = json_loads(text, 0, NULL);
    assert_non_null(printed);
    same_shape(printed, ours, file);
    json_decref(printed);
    free(text);
}

static json_t *result_of(json_t *answer)
{
    assert_string_equal(json_string_value(json_object_get(answer, "status")), "Ok");
    return json_array_get(json_object_get(answer, "result"), 0);
}

static void printed_bodies_are_understood(void **state)
{
    struct world *world = make_world(ADP_SIM_FORM_STATUS);
    char *place = sample("a3-place-request.json"), body[256];
    (void)state;

    json_t *answer = ask_text(world, "POST", P "orders/placeorder", place);
    shape_is_that_of("a3-place-response.json", answer);
    char id[32];
    snprintf(id, sizeof(id), "%s",
        json_string_value(json_object_get(result_of(answer), "brokerOrderId")));
    assert_string_equal(json_string_value(json_object_get(result_of(answer), "requestTime")),
        "21-Nov-2026 10:07:32");
    json_decref(answer);

    /* As documented, 1120.15 is off the tick of 0.10: accepted, then rejected in the book. */
    answer = ask_text(world, "GET", P "orders/book", "");
    shape_is_that_of("a3-orderbook-response.json", answer);
    assert_string_equal(
        json_string_value(json_object_get(result_of(answer), "orderStatus")), "REJECTED");
    assert_string_equal(json_string_value(json_object_get(result_of(answer), "rejectionReason")),
        "ORA:Price 1120.15 is not a multiple of tick size 0.10 ");
    assert_string_equal(json_string_value(json_object_get(result_of(answer), "brokerOrderId")), id);
    json_decref(answer);
    snprintf(body, sizeof(body), "{\"brokerOrderId\":\"%s\"}", id);
    answer = ask_text(world, "POST", P "orders/history", body);
    shape_is_that_of("a3-history-response.json", answer);
    json_decref(answer);
    answer = ask_text(world, "GET", P "limits/", "");
    shape_is_that_of("a3-limits-response.json", answer);
    json_decref(answer);
    free(place);
    free_world(world);
}

static const char order_format[] =
    "[{\"exchange\":\"%s\",\"instrumentId\":\"%s\",\"transactionType\":\"%s\",\"quantity\":%s,"
    "\"product\":\"%s\",\"orderComplexity\":\"%s\",\"orderType\":\"%s\",\"validity\":\"%s\","
    "\"price\":%s,"
    "\"slTriggerPrice\":%s,\"disclosedQuantity\":\"\",\"orderTag\":\"%s\"}]";

static void fills_show_in_trades_and_positions(void **state)
{
    struct world *world = make_world(ADP_SIM_FORM_STATUS);
    char body[1024];
    (void)state;
    snprintf(body, sizeof(body), order_format, "NSE", "22", "BUY", "10", "LONGTERM", "REGULAR",
        "LIMIT", "DAY", "\"1000\"", "\"\"", "1TAG");
    json_decref(ask_text(world, "POST", P "orders/placeorder", body));
    json_t *answer = ask_text(world, "GET", P "orders/trades", "");
    shape_is_that_of("a3-tradebook-response.json", answer);
    assert_string_equal(json_string_value(json_object_get(result_of(answer), "orderTag")), "1TAG");
    json_decref(answer);
    answer = ask_text(world, "GET", P "positions", "");
    shape_is_that_of("a3-positions-response.json", answer);
    assert_int_equal(json_integer_value(json_object_get(result_of(answer), "netQuantity")), 10);
    assert_string_equal(json_string_value(json_object_get(result_of(answer), "product")), "CNC");
    json_decref(answer);
    adp_sim_book_add_holding(world->api.book, 0, 0, 36, LS_E8);
    answer = ask_text(world, "GET", P "holdings/CNC", "");
    shape_is_that_of("a3-holdings-response.json", answer);
    json_decref(answer);
    free_world(world);
}

static void refusals_have_their_codes(void **state)
{
    static const struct {
        const char *exchange, *token, *side, *quantity, *product, *complexity, *type, *validity,
            *price, *trigger, *tag, *code;
    } rows[] = {
        {"", "22", "BUY", "1", "LONGTERM", "REGULAR", "LIMIT", "DAY", "\"1\"", "\"\"", "", "EC900"},
        {"nse", "22", "BUY", "1", "LONGTERM", "REGULAR", "LIMIT", "DAY", "\"1\"", "\"\"", "",
            "EC901"},
        {"NSE", "", "BUY", "1", "LONGTERM", "REGULAR", "LIMIT", "DAY", "\"1\"", "\"\"", "",
            "EC941"},
        {"NSE", "ACC", "BUY", "1", "LONGTERM", "REGULAR", "LIMIT", "DAY", "\"1\"", "\"\"", "",
            "EC946"},
        {"NSE", "23", "BUY", "1", "LONGTERM", "REGULAR", "LIMIT", "DAY", "\"1\"", "\"\"", "",
            "EC947"},
        {"NSE", "22", "", "1", "LONGTERM", "REGULAR", "LIMIT", "DAY", "\"1\"", "\"\"", "", "EC907"},
        {"NSE", "22", "B", "1", "LONGTERM", "REGULAR", "LIMIT", "DAY", "\"1\"", "\"\"", "",
            "EC929"},
        {"NSE", "22", "BUY", "null", "LONGTERM", "REGULAR", "LIMIT", "DAY", "\"1\"", "\"\"", "",
            "EC903"},
        {"NSE", "22", "BUY", "1.5", "LONGTERM", "REGULAR", "LIMIT", "DAY", "\"1\"", "\"\"", "",
            "EC949"},
        {"NSE", "22", "BUY", "0", "LONGTERM", "REGULAR", "LIMIT", "DAY", "\"1\"", "\"\"", "",
            "EC949"},
        {"NSE", "22", "BUY", "50000001", "LONGTERM", "REGULAR", "LIMIT", "DAY", "\"1\"", "\"\"", "",
            "EC948"},
        {"NFO", "35000", "BUY", "64", "NORMAL", "REGULAR", "LIMIT", "DAY", "\"1\"", "\"\"", "",
            "EC954"},
        {"NSE", "22", "BUY", "1", "", "REGULAR", "LIMIT", "DAY", "\"1\"", "\"\"", "", "EC906"},
        {"NSE", "22", "BUY", "1", "Intraday", "REGULAR", "LIMIT", "DAY", "\"1\"", "\"\"", "",
            "EC092"},
        {"NSE", "22", "BUY", "1", "NRML", "REGULAR", "LIMIT", "DAY", "\"1\"", "\"\"", "", "EC807"},
        {"NFO", "35000", "BUY", "65", "LONGTERM", "REGULAR", "LIMIT", "DAY", "\"1\"", "\"\"", "",
            "EC865"},
        {"NSE", "22", "BUY", "1", "LONGTERM", "", "LIMIT", "DAY", "\"1\"", "\"\"", "", "EC942"},
        {"NSE", "22", "BUY", "1", "LONGTERM", "BO", "LIMIT", "DAY", "\"1\"", "\"\"", "", "EC091"},
        {"NSE", "22", "BUY", "1", "LONGTERM", "REGULAR", "", "DAY", "\"1\"", "\"\"", "", "EC934"},
        {"NSE", "22", "BUY", "1", "LONGTERM", "REGULAR", "SL-M", "DAY", "\"1\"", "\"\"", "",
            "EC930"},
        {"NSE", "22", "BUY", "1", "LONGTERM", "REGULAR", "LIMIT", "", "\"1\"", "\"\"", "", "EC944"},
        {"NSE", "22", "BUY", "1", "LONGTERM", "REGULAR", "LIMIT", "GTC", "\"1\"", "\"\"", "",
            "EC932"},
        {"NSE", "22", "BUY", "1", "LONGTERM", "AMO", "LIMIT", "IOC", "\"1\"", "\"\"", "", "EC996"},
        {"NSE", "22", "BUY", "1", "LONGTERM", "REGULAR", "LIMIT", "DAY", "\"\"", "\"\"", "",
            "EC950"},
        {"NSE", "22", "BUY", "1", "LONGTERM", "REGULAR", "LIMIT", "DAY", "\"1e3\"", "\"\"", "",
            "EC957"},
        {"NSE", "22", "BUY", "1", "LONGTERM", "REGULAR", "LIMIT", "DAY", "\"-1\"", "\"\"", "",
            "EC958"},
        {"NSE", "22", "BUY", "1", "LONGTERM", "REGULAR", "SL", "DAY", "\"1\"", "\"\"", "", "EC951"},
        {"NSE", "22", "BUY", "1", "LONGTERM", "REGULAR", "SL", "DAY", "\"1\"", "\"x\"", "",
            "EC959"},
        {"NSE", "22", "BUY", "1", "LONGTERM", "REGULAR", "SL", "DAY", "\"1\"", "\"0\"", "",
            "EC960"},
        {"NSE", "22", "BUY", "1", "LONGTERM", "REGULAR", "SL", "DAY", "\"1\"", "\"2\"", "",
            "EC973"},
        {"NSE", "22", "SELL", "1", "INTRADAY", "REGULAR", "SL", "DAY", "\"2\"", "\"1\"", "",
            "EC974"},
        {"NSE", "22", "BUY", "1", "LONGTERM", "REGULAR", "MARKET", "DAY", "\"\"", "\"\"", "",
            "EC838"},
        {"NSE", "22", "BUY", "1", "LONGTERM", "REGULAR", "LIMIT", "DAY", "\"1\"", "\"\"",
            "123456789012345678901234567890123456789012345678901", "EC971"},
        {"NSE", "22", "BUY", "1", "LONGTERM", "REGULAR", "LIMIT", "DAY", "\"1\"", "\"\"", "a b",
            "EC984"},
    };
    struct world *world = make_world(ADP_SIM_FORM_STATUS);
    char body[1024];
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        snprintf(body, sizeof(body), order_format, rows[i].exchange, rows[i].token, rows[i].side,
            rows[i].quantity, rows[i].product, rows[i].complexity, rows[i].type, rows[i].validity,
            rows[i].price, rows[i].trigger, rows[i].tag);
        json_t *answer = ask_text(world, "POST", P "orders/placeorder", body);
        /* Inside an outer Ok, without an order id. */
        const json_t *leg = result_of(answer);
        assert_null(json_object_get(leg, "brokerOrderId"));
        if (strcmp(json_string_value(json_object_get(leg, "status")), rows[i].code) != 0)
            fail_msg("row %zu: %s instead of %s", i,
                json_string_value(json_object_get(leg, "status")), rows[i].code);
        assert_true(strlen(json_string_value(json_object_get(leg, "message"))) > 10);
        json_decref(answer);
        assert_int_equal(adp_sim_book_order_count(world->api.book), i + 1);
    }
    free_world(world);
}

static void legs_stand_alone_and_keep_their_order(void **state)
{
    struct world *world = make_world(ADP_SIM_FORM_STATUS);
    char one[512], two[512], body[1200];
    (void)state;
    snprintf(one, sizeof(one), order_format, "NSE", "22", "BUY", "1", "LONGTERM", "REGULAR",
        "LIMIT", "DAY", "\"900\"", "\"\"", "A");
    snprintf(two, sizeof(two), order_format, "NSE", "99", "BUY", "1", "LONGTERM", "REGULAR",
        "LIMIT", "DAY", "\"900\"", "\"\"", "B");
    one[strlen(one) - 1] = two[strlen(two) - 1] = '\0';
    snprintf(body, sizeof(body), "%s,%s,7,%s]", one, two + 1, one + 1);
    json_t *answer = ask_text(world, "POST", P "orders/placeorder", body);
    json_t *legs = json_object_get(answer, "result");
    static const char *const wanted[] = {NULL, "EC947", "EC914", NULL};
    assert_int_equal(json_array_size(legs), 4);
    for (size_t i = 0; i < 4; i++) {
        const json_t *status = json_object_get(json_array_get(legs, i), "status");
        if (wanted[i] == NULL)
            assert_null(status);
        else
            assert_string_equal(json_string_value(status), wanted[i]);
        assert_int_equal(adp_sim_book_order(world->api.book, (uint32_t)i)->leg, i);
    }
    json_decref(answer);
    free_world(world);
}

static void broken_bodies_are_recorded_too(void **state)
{
    static const char *const bodies[] = {"", "{}", "[]", "[", "null",
        "[{\"exchange\":\"NSE\",\"exchange\":\"NSE\"}]", "\xff\xfe", "[[[[[[[[[["};
    struct world *world = make_world(ADP_SIM_FORM_STATUS);
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(bodies); i++) {
        json_t *answer = ask_text(world, "POST", P "orders/placeorder", bodies[i]);
        assert_int_equal(world->call.status, 400);
        assert_string_equal(json_string_value(json_object_get(answer, "status")), "EC914");
        json_decref(answer);
        assert_int_equal(adp_sim_book_order_count(world->api.book), i + 1);
        assert_int_equal(adp_sim_book_order(world->api.book, (uint32_t)i)->refusal, 914);
    }
    free_world(world);
}

static void empty_lists_are_errors(void **state)
{
    static const struct {
        const char *path, *code;
    } rows[] = {{P "orders/book", "EC916"}, {P "positions", "EC920"}, {P "holdings/CNC", "EC922"},
        {P "holdings/MTF", "EC922"}, {P "orders/trades", "EC926"}};
    (void)state;
    for (int form = ADP_SIM_FORM_STATUS; form <= ADP_SIM_FORM_BARE; form++) {
        struct world *world = make_world((enum adp_sim_error_form)form);
        for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
            json_t *answer = ask_text(world, "GET", rows[i].path, "");
            bool bare = form == ADP_SIM_FORM_BARE;
            assert_string_equal(json_string_value(json_object_get(answer, "status")),
                bare ? "Not_ok" : rows[i].code);
            assert_true(!bare || strcmp(json_string_value(json_object_get(answer, "message")),
                                     rows[i].code) == 0);
            json_decref(answer);
        }
        free_world(world);
    }
}

static void orders_are_changed_by_the_printed_bodies(void **state)
{
    struct world *world = make_world(ADP_SIM_FORM_STATUS);
    char body[1024], id[32];
    (void)state;
    snprintf(body, sizeof(body), order_format, "NSE", "22", "BUY", "10", "LONGTERM", "REGULAR",
        "LIMIT", "DAY", "\"900\"", "\"\"", "");
    json_t *answer = ask_text(world, "POST", P "orders/placeorder", body);
    snprintf(id, sizeof(id), "%s",
        json_string_value(json_object_get(result_of(answer), "brokerOrderId")));
    json_decref(answer);
    /* Numbers and strings mixed, and the spelling of protection, as in the printed body. */
    snprintf(body, sizeof(body),
        "{\"brokerOrderId\":\"%s\",\"quantity\":3,\"orderType\":\"SL\",\"slTriggerPrice\":1100,"
        "\"price\":\"1101\","
        "\"slLegPrice\":5369,\"trailingSLAmount\":\"\",\"targetLegPrice\":5500,\"validity\":"
        "\"DAY\","
        "\"disclosedQuantity\":\"0\",\"marketProtection\":\"\",\"deviceId\":\"123\"}",
        id);
    answer = ask_text(world, "POST", P "orders/modify", body);
    shape_is_that_of("a3-modify-response.json", answer);
    json_decref(answer);
    const struct adp_sim_order *order = adp_sim_book_order(world->api.book, 0);
    assert_int_equal(order->terms.units, 3);
    assert_int_equal(order->terms.type, ADP_SIM_SL);
    assert_int_equal(order->status, ADP_SIM_TRIGGER_PENDING);
    snprintf(body, sizeof(body), "{\"brokerOrderId\":\"%s\"}", id);
    answer = ask_text(world, "POST", P "orders/cancel", body);
    shape_is_that_of("a3-cancel-response.json", answer);
    json_decref(answer);
    answer = ask_text(world, "POST", P "orders/cancel", body);
    assert_string_equal(json_string_value(json_object_get(answer, "status")), "EC997");
    json_decref(answer);
    answer = ask_text(world, "POST", P "orders/cancel", "{}");
    assert_string_equal(json_string_value(json_object_get(answer, "status")), "EC945");
    json_decref(answer);
    free_world(world);
}

static void paths_are_case_sensitive(void **state)
{
    struct adp_sim_call call = {0};
    bool method_ok;
    (void)state;
    snprintf(call.method, sizeof(call.method), "POST");
    snprintf(call.path, sizeof(call.path), P "orders/PlaceOrder");
    assert_int_equal(adp_sim_api_path(&call, &method_ok), ADP_SIM_PATH_UNKNOWN);
    snprintf(call.path, sizeof(call.path), P "orders/placeorder/");
    assert_int_equal(adp_sim_api_path(&call, &method_ok), ADP_SIM_PATH_UNKNOWN);
    snprintf(call.path, sizeof(call.path), "/orders/placeorder");
    assert_int_equal(adp_sim_api_path(&call, &method_ok), ADP_SIM_PATH_UNKNOWN);
    snprintf(call.path, sizeof(call.path), P "orders/book");
    assert_int_equal(adp_sim_api_path(&call, &method_ok), ADP_SIM_PATH_BOOK);
    assert_false(method_ok);
}

static void a_lagging_book_hides_young_orders(void **state)
{
    struct world *world = make_world(ADP_SIM_FORM_STATUS);
    char body[1024];
    (void)state;
    world->members.rows[0].book_lag_ns = 10 * LS_NS_PER_MS;
    snprintf(body, sizeof(body), order_format, "NSE", "22", "BUY", "10", "LONGTERM", "REGULAR",
        "LIMIT", "DAY", "\"900\"", "\"\"", "");
    json_decref(ask_text(world, "POST", P "orders/placeorder", body));
    json_t *answer = ask_text(world, "GET", P "orders/book", "");
    assert_string_equal(json_string_value(json_object_get(answer, "status")), "EC916");
    json_decref(answer);
    world->call.mono_ns += 10 * LS_NS_PER_MS;
    answer = ask_text(world, "GET", P "orders/book", "");
    assert_non_null(result_of(answer));
    json_decref(answer);
    free_world(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printed_bodies_are_understood),
        cmocka_unit_test(fills_show_in_trades_and_positions),
        cmocka_unit_test(refusals_have_their_codes),
        cmocka_unit_test(legs_stand_alone_and_keep_their_order),
        cmocka_unit_test(broken_bodies_are_recorded_too),
        cmocka_unit_test(empty_lists_are_errors),
        cmocka_unit_test(orders_are_changed_by_the_printed_bodies),
        cmocka_unit_test(paths_are_case_sensitive),
        cmocka_unit_test(a_lagging_book_hides_young_orders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
