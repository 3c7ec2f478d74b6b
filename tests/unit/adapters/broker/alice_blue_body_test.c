/* Bodies of place, modify and cancel: byte for byte, and as a JSON reader sees them. */
#include "adapters/broker/dialect.h"
#include "tests/unit/adapters/test_data.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define TAG "L00000000100001000A"

static const struct adp_hole_values values = {
    .qty_e8 = 30 * LS_E8,
    .price_e8 = 112015000000,
    .trigger_e8 = 111000000000,
    .tag = {(const uint8_t *)TAG, 19},
    .order_id = {(const uint8_t *)"25061300124513", 14},
};

#define HEAD                                                                                       \
    "[{\"exchange\":\"NSE\",\"instrumentId\":\"22\",\"transactionType\":\"BUY\",\"quantity\":30,"
#define TAIL ",\"deviceId\":\"lockstep\",\"orderTag\":\"" TAG "\"}]"
#define MID  "\"orderComplexity\":\"REGULAR\","

static const struct {
    uint8_t action, side, type, product, validity, exchange;
    const char *token;
    const char *want; /* NULL = refused */
    uint16_t protection_bp;
} bodies[] = {
    {IPC_ACTION_PLACE, IPC_SIDE_BUY, IPC_TYPE_LIMIT, IPC_PRODUCT_CNC, IPC_VALIDITY_DAY,
        IPC_EXCHANGE_NSE, "22",
        HEAD "\"product\":\"LONGTERM\"," MID
             "\"orderType\":\"LIMIT\",\"validity\":\"DAY\",\"price\":\"1120.15\"" TAIL,
        0},
    {IPC_ACTION_PLACE, IPC_SIDE_BUY, IPC_TYPE_MARKET, IPC_PRODUCT_MIS, IPC_VALIDITY_IOC,
        IPC_EXCHANGE_NSE, "22",
        HEAD "\"product\":\"INTRADAY\"," MID "\"orderType\":\"MARKET\",\"validity\":\"IOC\"" TAIL,
        0},
    {IPC_ACTION_PLACE, IPC_SIDE_BUY, IPC_TYPE_SL, IPC_PRODUCT_MTF, IPC_VALIDITY_DAY,
        IPC_EXCHANGE_NSE, "22",
        HEAD "\"product\":\"MTF\"," MID
             "\"orderType\":\"SL\",\"validity\":\"DAY\",\"price\":\"1120.15\",\"slTriggerPrice\":"
             "\"1110\"" TAIL,
        0},
    {IPC_ACTION_PLACE, IPC_SIDE_BUY, IPC_TYPE_SLM, IPC_PRODUCT_CNC, IPC_VALIDITY_DAY,
        IPC_EXCHANGE_NSE, "22",
        HEAD "\"product\":\"LONGTERM\"," MID
             "\"orderType\":\"SLM\",\"validity\":\"DAY\",\"slTriggerPrice\":\"1110\"" TAIL,
        0},
    {IPC_ACTION_PLACE, IPC_SIDE_SELL, IPC_TYPE_LIMIT, IPC_PRODUCT_NRML, IPC_VALIDITY_DAY,
        IPC_EXCHANGE_NFO, "54957",
        "[{\"exchange\":\"NFO\",\"instrumentId\":\"54957\",\"transactionType\":\"SELL\","
        "\"quantity\":30,\"product\":\"NRML\"," MID
        "\"orderType\":\"LIMIT\",\"validity\":\"DAY\",\"price\":\"1120.15\"" TAIL,
        0},
    {IPC_ACTION_MODIFY, IPC_SIDE_BUY, IPC_TYPE_SL, IPC_PRODUCT_CNC, IPC_VALIDITY_DAY,
        IPC_EXCHANGE_NSE, "22",
        "{\"brokerOrderId\":\"25061300124513\",\"quantity\":30,\"orderType\":\"SL\",\"validity\":"
        "\"DAY\",\"price\":\"1120.15\",\"slTriggerPrice\":\"1110\",\"deviceId\":\"lockstep\"}",
        0},
    {IPC_ACTION_MODIFY, IPC_SIDE_BUY, IPC_TYPE_MARKET, IPC_PRODUCT_CNC, IPC_VALIDITY_DAY,
        IPC_EXCHANGE_NSE, "22",
        "{\"brokerOrderId\":\"25061300124513\",\"quantity\":30,\"orderType\":\"MARKET\","
        "\"validity\":\"DAY\",\"deviceId\":\"lockstep\"}",
        0},
    /* How far a market order may go is said where it is placed, and only of a market order. */
    {IPC_ACTION_PLACE, IPC_SIDE_BUY, IPC_TYPE_MARKET, IPC_PRODUCT_MIS, IPC_VALIDITY_DAY,
        IPC_EXCHANGE_NSE, "22",
        HEAD "\"product\":\"INTRADAY\"," MID "\"orderType\":\"MARKET\",\"validity\":\"DAY\","
             "\"marketProtectionPercent\":\"0.5\"" TAIL,
        50},
    {IPC_ACTION_PLACE, IPC_SIDE_BUY, IPC_TYPE_SLM, IPC_PRODUCT_MIS, IPC_VALIDITY_DAY,
        IPC_EXCHANGE_NSE, "22",
        HEAD "\"product\":\"INTRADAY\"," MID
             "\"orderType\":\"SLM\",\"validity\":\"DAY\",\"slTriggerPrice\":\"1110\","
             "\"marketProtectionPercent\":\"2\"" TAIL,
        200},
    {IPC_ACTION_PLACE, IPC_SIDE_BUY, IPC_TYPE_LIMIT, IPC_PRODUCT_CNC, IPC_VALIDITY_DAY,
        IPC_EXCHANGE_NSE, "22",
        HEAD "\"product\":\"LONGTERM\"," MID
             "\"orderType\":\"LIMIT\",\"validity\":\"DAY\",\"price\":\"1120.15\"" TAIL,
        50},
    {IPC_ACTION_MODIFY, IPC_SIDE_BUY, IPC_TYPE_MARKET, IPC_PRODUCT_CNC, IPC_VALIDITY_DAY,
        IPC_EXCHANGE_NSE, "22",
        "{\"brokerOrderId\":\"25061300124513\",\"quantity\":30,\"orderType\":\"MARKET\","
        "\"validity\":\"DAY\",\"deviceId\":\"lockstep\"}",
        50},
    {IPC_ACTION_CANCEL, 0, 0, 0, 0, 0, "", "{\"brokerOrderId\":\"25061300124513\"}", 0},
    {IPC_ACTION_PLACE, 0, IPC_TYPE_LIMIT, IPC_PRODUCT_CNC, IPC_VALIDITY_DAY, IPC_EXCHANGE_NSE, "22",
        NULL, 0},
    {IPC_ACTION_PLACE, IPC_SIDE_BUY, 9, IPC_PRODUCT_CNC, IPC_VALIDITY_DAY, IPC_EXCHANGE_NSE, "22",
        NULL, 0},
    {IPC_ACTION_PLACE, IPC_SIDE_BUY, IPC_TYPE_LIMIT, 9, IPC_VALIDITY_DAY, IPC_EXCHANGE_NSE, "22",
        NULL, 0},
    {IPC_ACTION_PLACE, IPC_SIDE_BUY, IPC_TYPE_LIMIT, IPC_PRODUCT_CNC, 9, IPC_EXCHANGE_NSE, "22",
        NULL, 0},
    {IPC_ACTION_PLACE, IPC_SIDE_BUY, IPC_TYPE_LIMIT, IPC_PRODUCT_CNC, IPC_VALIDITY_DAY, 77, "22",
        NULL, 0},
    {IPC_ACTION_PLACE, IPC_SIDE_BUY, IPC_TYPE_LIMIT, IPC_PRODUCT_CNC, IPC_VALIDITY_DAY,
        IPC_EXCHANGE_NSE, "", NULL, 0},
    {IPC_ACTION_PLACE, IPC_SIDE_BUY, IPC_TYPE_LIMIT, IPC_PRODUCT_CNC, IPC_VALIDITY_DAY,
        IPC_EXCHANGE_NSE, "2\"2", NULL, 0},
    {9, IPC_SIDE_BUY, IPC_TYPE_LIMIT, IPC_PRODUCT_CNC, IPC_VALIDITY_DAY, IPC_EXCHANGE_NSE, "22",
        NULL, 0},
};

static void bodies_table(void **state)
{
    const struct adp_dialect *dialect = adp_dialect_find("alice-blue");
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(bodies); i++) {
        struct ipc_command command = {
            .action = bodies[i].action,
            .side = bodies[i].side,
            .type = bodies[i].type,
            .product = bodies[i].product,
            .validity = bodies[i].validity,
            .exchange = bodies[i].exchange,
            .market_protection_bp = bodies[i].protection_bp,
        };
        struct adp_segments segments;
        uint8_t out[1024];
        snprintf(command.token, sizeof(command.token), "%s", bodies[i].token);
        memset(&segments, 0xEE, sizeof(segments));
        const enum adp_rc rc = dialect->body(&command, &segments);
        assert_int_equal(rc, bodies[i].want == NULL ? ADP_UNSUPPORTED : ADP_OK);
        if (rc != ADP_OK)
            continue;
        const int count = adp_segments_fill(&segments, &values, false, out, sizeof(out) - 1);
        assert_true(count > 0);
        out[count] = '\0';
        assert_string_equal((char *)out, bodies[i].want);
        json_t *root = json_loads((char *)out, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(root);
        json_decref(root);
    }
}

/* Each field of our place body is in the documented request, with the same JSON type. */
static void place_fields_are_the_documented_ones(void **state)
{
    const struct adp_span sample = test_data_read("alice-blue/a3-place-request.json");
    const struct adp_dialect *dialect = adp_dialect_find("alice-blue");
    struct ipc_command command = {.action = IPC_ACTION_PLACE,
        .side = IPC_SIDE_BUY,
        .type = IPC_TYPE_SL,
        .product = IPC_PRODUCT_CNC,
        .validity = IPC_VALIDITY_DAY,
        .exchange = IPC_EXCHANGE_NSE,
        .token = "22"};
    static const char *const required[] = {"exchange", "instrumentId", "transactionType",
        "quantity", "product", "orderComplexity", "orderType", "validity", "price",
        "slTriggerPrice", "orderTag"};
    struct adp_segments segments;
    uint8_t out[1024];
    const char *key;
    json_t *value;
    (void)state;
    assert_int_equal(dialect->body(&command, &segments), ADP_OK);
    const int count = adp_segments_fill(&segments, &values, false, out, sizeof(out));
    json_t *ours = json_loadb((char *)out, (size_t)count, 0, NULL);
    json_t *theirs = json_loadb((const char *)sample.bytes, sample.count, 0, NULL);
    assert_int_equal(json_array_size(ours), 1);
    json_object_foreach(json_array_get(ours, 0), key, value)
    {
        const json_t *other = json_object_get(json_array_get(theirs, 0), key);
        assert_non_null(other);
        assert_int_equal(json_typeof(value), json_typeof(other));
    }
    for (size_t i = 0; i < LS_COUNT_OF(required); i++)
        assert_non_null(json_object_get(json_array_get(ours, 0), required[i]));
    json_decref(ours);
    json_decref(theirs);
    free((void *)(uintptr_t)sample.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_table),
        cmocka_unit_test(place_fields_are_the_documented_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
