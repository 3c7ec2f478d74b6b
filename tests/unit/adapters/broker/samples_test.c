/* Every sample of Alice Blue's API that lies in tests/data/alice-blue, and what this build makes of
 * it: decoded with the state that it must give, refused by a rule, or not used, and why. A file
 * that is not in the table fails the test. */
#include "adapters/broker/alice_blue_market.h"
#include "adapters/broker/dialect.h"
#include "adapters/json.h"
#include "tests/unit/adapters/test_data.h"

#include <dirent.h>

#include <setjmp.h>
#include <stdarg.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define FOLDER "alice-blue"

static const struct adp_dialect *dialect;

/* The orders that a book's callback saw. */
struct rows {
    uint32_t count;
    struct ipc_event order;
    char tag[64];
};

static uint32_t find_instrument(enum ipc_exchange exchange, struct adp_span name, void *context)
{
    (void)context;
    return exchange == IPC_EXCHANGE_NSE && name.count > 0 ? 7 : 0;
}

static void keep_row(const struct ipc_event *order, const char *client_tag, void *context)
{
    struct rows *rows = context;
    rows->count++;
    rows->order = *order;
    snprintf(rows->tag, sizeof(rows->tag), "%s", client_tag);
}

/* Replies to orders. */

static void accepted(struct adp_span text, enum ipc_action action, const char *id)
{
    struct ipc_outcome outcome;
    dialect->decode_reply(action, 200, text, &outcome);
    assert_int_equal(outcome.outcome, IPC_OUTCOME_ACKED);
    assert_string_equal(outcome.broker_order_id, id);
    /* The same bytes prove nothing when the reply is cut or is another status. */
    for (size_t cut = 1; cut < text.count; cut += 7) {
        dialect->decode_reply(
            action, 200, (struct adp_span){text.bytes, text.count - cut}, &outcome);
        if (strspn((const char *)text.bytes + text.count - cut, " \t\r\n") < cut)
            assert_int_equal(outcome.outcome, IPC_OUTCOME_UNKNOWN);
    }
    dialect->decode_reply(action, 502, text, &outcome);
    assert_int_equal(outcome.outcome, IPC_OUTCOME_UNKNOWN);
}

static void place(struct adp_span text)
{
    accepted(text, IPC_ACTION_PLACE, "250526000002697");
}

static void modify(struct adp_span text)
{
    accepted(text, IPC_ACTION_MODIFY, "250526000002881");
}

static void cancel(struct adp_span text)
{
    accepted(text, IPC_ACTION_CANCEL, "250526000002881");
}

/* Books. The history has the rows of the book; the product asks for the book only. */
static void book(struct adp_span text)
{
    struct rows rows = {.count = 0};
    bool is_empty_code = true;
    assert_int_equal(
        dialect->decode_book(200, text, find_instrument, keep_row, &rows, &is_empty_code), ADP_OK);
    assert_false(is_empty_code);
    assert_int_equal(rows.count, 1);
    assert_string_equal(rows.order.broker_order_id, "25071400112229");
    assert_int_equal(rows.order.status, IPC_STATUS_REJECTED);
    assert_int_equal(rows.order.side, IPC_SIDE_BUY);
    assert_int_equal(rows.order.type, IPC_TYPE_LIMIT);
    assert_int_equal(rows.order.product, IPC_PRODUCT_CNC);
    assert_int_equal(rows.order.validity, IPC_VALIDITY_DAY);
    assert_int_equal(rows.order.source, IPC_SOURCE_API);
    assert_int_equal(rows.order.instrument, 7);
    assert_int_equal(rows.order.qty_e8, 30 * LS_E8);
    assert_int_equal(rows.order.price_e8, 112015000000);
    assert_int_equal(rows.order.filled_qty_e8, 0);
    assert_int_equal(rows.order.version, 0); /* its times are blank */
    assert_string_equal(rows.order.reject_code, "ORA");
    assert_string_equal(rows.tag, "");
}

static void funds(struct adp_span text)
{
    struct adp_funds money = {.available_e8 = 1, .used_e8 = 1, .equity_e8 = 1};
    assert_int_equal(dialect->decode_funds(200, text, &money), ADP_OK);
    assert_int_equal(money.available_e8, 0);
    assert_int_equal(money.used_e8, 0);
    assert_int_equal(money.equity_e8, 0);
}

/* What is held: instruments only, for their prices' sake. */

static char held[256];

static void each_held(enum ipc_exchange exchange, struct adp_span instrument, void *context)
{
    (void)context;
    const size_t used = strlen(held);
    snprintf(held + used, sizeof(held) - used, "%s|%.*s#", ipc_exchange_name(exchange),
        (int)instrument.count, (const char *)instrument.bytes);
}

static void positions(struct adp_span text)
{
    held[0] = '\0';
    assert_int_equal(adp_alice_blue_market.decode_held(200, text, each_held, NULL), ADP_OK);
    assert_string_equal(held, "NSE|14366#");
}

static void holdings(struct adp_span text)
{
    held[0] = '\0';
    assert_int_equal(adp_alice_blue_market.decode_held(200, text, each_held, NULL), ADP_OK);
    assert_string_equal(held, "NSE|14366#BSE|532822#");
}

/* The order socket. */

static void token(struct adp_span text)
{
    char out[128];
    /* Rule: a reply with anything after its object is refused. The source has prose there. */
    assert_int_equal(dialect->push->decode_token(200, text, out, sizeof(out)), ADP_MALFORMED);
    const uint8_t *brace = memrchr(text.bytes, '}', text.count);
    const struct adp_span object = {text.bytes, (size_t)(brace - text.bytes) + 1};
    assert_int_equal(dialect->push->decode_token(200, object, out, sizeof(out)), ADP_OK);
    assert_string_equal(out, "23e16a457b4a035af850f4cf3f8da07e15cd7d7619a13b9d4c17ae33176");
    assert_int_equal(dialect->push->decode_token(200, object, out, 20), ADP_MALFORMED);
    assert_int_equal(dialect->push->decode_token(404, object, out, sizeof(out)), ADP_UNSUPPORTED);
    assert_int_equal(dialect->push->decode_token(500, object, out, sizeof(out)), ADP_MALFORMED);
}

static void ack(struct adp_span text)
{
    struct ipc_event order;
    assert_int_equal(dialect->push->decode_ack(text), ADP_OK);
    assert_int_equal(dialect->decode_push(text, find_instrument, NULL, &order), ADP_NOTHING);
}

/* What we send has the sample's members, and nothing else. */
static void same_members(struct adp_span sample, const char *ours)
{
    struct adp_json theirs_json, ours_json;
    const uint8_t *brace = memchr(sample.bytes, '{', sample.count);
    const struct adp_span object = {brace, sample.count - (size_t)(brace - sample.bytes)};
    assert_int_equal(adp_json_parse(&theirs_json, object), ADP_OK);
    assert_int_equal(adp_json_parse(&ours_json, test_span(ours)), ADP_OK);
    assert_int_equal(theirs_json.tokens[0].size, ours_json.tokens[0].size);
    for (uint32_t i = 1; i < theirs_json.count; i += 2) {
        char name[64];
        adp_json_text(&theirs_json, i, name, sizeof(name));
        assert_int_not_equal(adp_json_get(&ours_json, 0, name), ADP_JSON_NONE);
    }
}

static void subscribe(struct adp_span text)
{
    char out[256], small[20];
    assert_true(dialect->push->subscribe("23e16a457b", "1332014", out, sizeof(out)) > 0);
    assert_string_equal(out, "{\"orderToken\":\"23e16a457b\",\"userId\":\"1332014\"}");
    same_members(text, out);
    assert_int_equal(dialect->push->subscribe("23e16a457b", "1332014", small, sizeof(small)), 0);
    assert_int_equal(dialect->push->subscribe("23e16a457b", "13\"2014", out, sizeof(out)), 0);
    assert_int_equal(dialect->push->subscribe("23e16a457b", "", out, sizeof(out)), 0);
}

static void heartbeat(struct adp_span text)
{
    char out[256];
    assert_true(dialect->push->heartbeat("123456", out, sizeof(out)) > 0);
    assert_string_equal(out, "{\"heartbeat\":\"h\",\"userId\":\"123456\"}");
    same_members(text, out);
}

static void frame(struct adp_span text)
{
    struct ipc_event order;
    assert_int_equal(dialect->decode_push(text, find_instrument, NULL, &order), ADP_OK);
    assert_string_equal(order.broker_order_id, "24070600000744");
    assert_int_equal(order.status, IPC_STATUS_REJECTED);
    assert_int_equal(order.side, IPC_SIDE_BUY);
    assert_int_equal(order.type, IPC_TYPE_MARKET);
    assert_int_equal(order.product, IPC_PRODUCT_MIS);
    assert_int_equal(order.qty_e8, LS_E8);
    assert_int_equal(order.price_e8, 0);
    assert_int_equal(order.instrument, 7);
    assert_int_equal(order.source, IPC_SOURCE_UNKNOWN); /* a frame has none */
    assert_int_equal(order.version, 0);                 /* nor a time, this one */
    assert_string_equal(order.reject_code, "RED:MARGIN");
    assert_string_equal(order.client_tag, "");
    assert_int_equal(dialect->push->decode_ack(text), ADP_NOTHING);
    assert_true(dialect->push->is_of(text, "1332014"));
    assert_false(dialect->push->is_of(text, "1332015"));
}

/* The skeleton has no values where a state would be: refused, never guessed. Its fields, filled in,
 * are a state. */
static void hook(struct adp_span text)
{
    static const char filled[] =
        "{\"norenordno\":\"123456789\",\"actid\":\"DEMO123\",\"exch\":\"NSE\",\"tsym\":\"INFY-EQ\","
        "\"qty\":\"1\",\"prc\":\"1594.00\",\"prd\":\"CNC\",\"status\":\"COMPLETE\",\"reporttype\":"
        "\"Fill\",\"trantype\":\"S\",\"prctyp\":\"LMT\",\"ret\":\"DAY\",\"fillshares\":\"1\","
        "\"avgprc\":\"1594.05\",\"fltm\":\"26-05-2025 14:27:43\",\"rejreason\":\"\",\"remarks\":"
        "\"L00000000100001000A\",\"exch_tm\":\"\",\"tm\":\"14:27:41 26-05-2025\",\"pcode\":\"\"}";
    struct ipc_event order;
    assert_int_equal(dialect->decode_push(text, find_instrument, NULL, &order), ADP_MALFORMED);
    assert_int_equal(
        dialect->decode_push(test_span(filled), find_instrument, NULL, &order), ADP_OK);
    assert_int_equal(order.status, IPC_STATUS_FILLED);
    assert_int_equal(order.side, IPC_SIDE_SELL);
    assert_int_equal(order.product, IPC_PRODUCT_CNC);
    assert_int_equal(order.filled_qty_e8, LS_E8);
    assert_int_equal(order.average_price_e8, 159405000000);
    assert_int_equal(order.version, INT64_C(1748249863) * LS_NS_PER_S);
    assert_int_equal(order.broker_wall_ns, INT64_C(1748249861) * LS_NS_PER_S);
    assert_string_equal(order.client_tag, "L00000000100001000A");
}

/* Requests: what we send has the sample's names. */
static void place_request(struct adp_span text)
{
    static const char *const used[] = {"exchange", "instrumentId", "transactionType", "quantity",
        "product", "orderComplexity", "orderType", "validity", "price", "deviceId", "orderTag"};
    const struct ipc_command command = {.action = IPC_ACTION_PLACE,
        .side = IPC_SIDE_BUY,
        .type = IPC_TYPE_LIMIT,
        .product = IPC_PRODUCT_CNC,
        .validity = IPC_VALIDITY_DAY,
        .exchange = IPC_EXCHANGE_NSE,
        .token = "22"};
    struct adp_segments body;
    assert_int_equal(dialect->body(&command, &body), ADP_OK);
    for (size_t i = 0; i < LS_COUNT_OF(used); i++) {
        char name[64];
        snprintf(name, sizeof(name), "\"%s\"", used[i]);
        assert_non_null(memmem(text.bytes, text.count, name, strlen(name)));
        assert_non_null(memmem(body.text, body.text_bytes, name, strlen(name)));
    }
}

static void cancel_request(struct adp_span text)
{
    const struct ipc_command command = {.action = IPC_ACTION_CANCEL};
    struct adp_segments body;
    assert_int_equal(dialect->body(&command, &body), ADP_OK);
    assert_non_null(memmem(body.text, body.text_bytes, "{\"brokerOrderId\":\"", 18));
    same_members(text, "{\"brokerOrderId\":\"1\"}");
}

/* Every sample. `use` NULL: not used here, and why. */
static const struct {
    const char *file;
    void (*use)(struct adp_span text);
    const char *why;
} samples[] = {
    {"a3-place-request.json", place_request, NULL},
    {"a3-place-response.json", place, NULL},
    {"a3-modify-request.txt", NULL, "no JSON: comments; modify bodies are in the body test"},
    {"a3-modify-response.json", modify, NULL},
    {"a3-cancel-request.json", cancel_request, NULL},
    {"a3-cancel-response.json", cancel, NULL},
    {"a3-orderbook-response.json", book, NULL},
    {"a3-history-response.json", book, NULL},
    {"a3-history-request.json", NULL, "never asked: the book says it for all orders in one call"},
    {"a3-limits-response.json", funds, NULL},
    {"order-ws-token-response.txt", token, NULL},
    {"order-ws-subscribe.json", subscribe, NULL},
    {"order-ws-ack.json", ack, NULL},
    {"order-ws-heartbeat.txt", heartbeat, NULL},
    {"order-ws-om-rejected.json", frame, NULL},
    {"webhook-order-update.json", hook, NULL},
    {"a3-tradebook-response.json", NULL, "never asked: fills are cumulative in book and feed"},
    {"a3-positions-response.json", positions, NULL},
    {"a3-holdings-response.json", holdings, NULL},
    {"a3-margin-request.json", NULL, "never asked: margin is the funds call's"},
    {"a3-margin-response.json", NULL, "never asked: margin is the funds call's"},
    {"a3-basket-margin-request.json", NULL, "never asked: margin is the funds call's"},
    {"a3-session-request.json", NULL, "the session is made by a person: lockstepctl token set"},
    {"a3-session-response.json", NULL, "its session is left out in the source; see above"},
    {"a3-session-error.json", NULL, "the session is made by a person: lockstepctl token set"},
    {"md-ws-tk.txt", NULL, "market data: alice_blue_market_test"},
    {"md-ws-tf.txt", NULL, "market data: alice_blue_market_test"},
    {"md-ws-df.txt", NULL, "market data: alice_blue_market_test"},
    {"contract-master-NFO-excerpt.csv", NULL, "contract master: alice_blue_contract_test"},
    {"contract-master-BFO-excerpt.csv", NULL, "contract master: alice_blue_contract_test"},
    {"contract-master-INDICES.csv", NULL, "contract master: alice_blue_contract_test"},
    {"qtyfreeze.csv", NULL, "the exchange's freeze list: alice_blue_contract_test"},
    {"quantity_freeze_ranges.csv", NULL, "the exchange's freeze list: alice_blue_contract_test"},
    {"v1-orderbook-row.json", NULL, "the API before: its key-only login has ended"},
    {"v1-place-response.json", NULL, "the API before: its key-only login has ended"},
};

static void every_sample(void **state)
{
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(samples); i++) {
        char name[256];
        if (samples[i].use == NULL) {
            assert_non_null(samples[i].why);
            continue;
        }
        snprintf(name, sizeof(name), FOLDER "/%s", samples[i].file);
        const struct adp_span text = test_data_read(name);
        print_message("%s\n", samples[i].file);
        samples[i].use(text);
        free((void *)(uintptr_t)text.bytes);
    }
}

/* Nothing lies there unnoticed, and nothing is listed that is not there. */
static void the_table_is_the_folder(void **state)
{
    size_t found = 0;
    DIR *folder = opendir(LS_TEST_DATA "/" FOLDER);
    (void)state;
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        bool is_listed = false;
        if (entry->d_name[0] == '.')
            continue;
        for (size_t i = 0; i < LS_COUNT_OF(samples); i++)
            is_listed |= strcmp(samples[i].file, entry->d_name) == 0;
        if (!is_listed)
            fail_msg("%s is in no row of the table", entry->d_name);
        found++;
    }
    closedir(folder);
    assert_int_equal(found, LS_COUNT_OF(samples));
}

/* Answers of the token call that are no token: is there no feed, is the session over, or what. */
static void answers_of_the_token_call(void **state)
{
    static const struct {
        uint32_t status;
        const char *body;
        enum adp_rc rc;
    } rows[] = {
        {200, "", ADP_UNSUPPORTED},
        {200, " \r\n", ADP_UNSUPPORTED},
        {200, "<!DOCTYPE html><html></html>", ADP_UNSUPPORTED},
        {200, "\n  <html>", ADP_UNSUPPORTED},
        {404, "", ADP_UNSUPPORTED},
        {404, "{\"status\":\"Ok\"}", ADP_UNSUPPORTED},
        {405, "<html>", ADP_UNSUPPORTED},
        {401, "", ADP_AUTH},
        {401, "{\"stat\":\"Not_ok\",\"emsg\":\"Session Expired\"}", ADP_AUTH},
        {200, "{\"stat\":\"Not_ok\",\"emsg\":\"Session Expired\"}", ADP_AUTH},
        {200, "{\"status\":\"EC087\",\"message\":\"EC087\"}", ADP_AUTH},
        {200, "{\"status\":\"Not_ok\",\"message\":\"EC003\"}", ADP_MALFORMED},
        {500, "", ADP_MALFORMED},
        {502, "<html>Bad Gateway</html>", ADP_MALFORMED},
        {200, "{\"status\":\"Ok\",\"result\":[]}", ADP_MALFORMED},
        {200, "{\"status\":\"Ok\",\"result\":[{\"orderToken\":\"\"}]}", ADP_MALFORMED},
        {200, "{\"status\":\"Ok\",\"result\":[{\"orderToken\":7}]}", ADP_MALFORMED},
        {200, "{\"status\":\"Ok\",\"result\":[{\"orderToken\":\"abcdefgh\\\"x\"}]}", ADP_MALFORMED},
        {200, "{\"status\":\"Ok\",\"result\":[{\"orderToken\":\"abcdefgh\"}]}", ADP_OK},
    };
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        char out[64] = "before";
        const enum adp_rc rc =
            dialect->push->decode_token(rows[i].status, test_span(rows[i].body), out, sizeof(out));
        if (rc != rows[i].rc)
            fail_msg("row %zu: %d", i, rc);
        assert_string_equal(out, rc == ADP_OK ? "abcdefgh" : "");
    }
}

static void acknowledgements(void **state)
{
    static const struct {
        const char *frame;
        enum adp_rc rc;
    } rows[] = {
        {"{\"status\":\"Ok\"}", ADP_OK},
        {"{\"status\":\"OK\"}", ADP_OK},
        {"{\"status\":\"Not_ok\",\"message\":\"Invalid token\"}", ADP_UNSUPPORTED},
        {"{\"t\":\"om\",\"status\":\"OPEN\"}", ADP_NOTHING},
        {"{\"norenordno\":\"1\",\"status\":\"REJECTED\"}", ADP_NOTHING},
        {"{}", ADP_NOTHING},
        {"[]", ADP_NOTHING},
        {"Ok", ADP_NOTHING},
    };
    char out[256];
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++)
        if (dialect->push->decode_ack(test_span(rows[i].frame)) != rows[i].rc)
            fail_msg("row %zu", i);
    assert_true(dialect->push->hook_body("https://us.example/a", out, sizeof(out)) > 0);
    assert_string_equal(out, "{\"callbackUrl\":\"https://us.example/a\"}");
    assert_int_equal(dialect->push->hook_body("http://us.example/a", out, sizeof(out)), 0);
    assert_int_equal(dialect->push->hook_body("https://us.example/\"", out, sizeof(out)), 0);
    assert_int_equal(dialect->push->decode_hook(200, test_span("{\"stat\":\"Ok\"}")), ADP_OK);
    assert_int_not_equal(
        dialect->push->decode_hook(200, test_span("{\"stat\":\"Not_ok\"}")), ADP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample),
        cmocka_unit_test(the_table_is_the_folder),
        cmocka_unit_test(answers_of_the_token_call),
        cmocka_unit_test(acknowledgements),
    };
    dialect = adp_dialect_find("alice-blue");
    return cmocka_run_group_tests_name("samples", tests, NULL, NULL);
}
