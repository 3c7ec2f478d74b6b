/* Order books, feed frames, webhooks, funds and positions. */
#include "adapters/broker/dialect.h"
#include "tests/unit/adapters/test_data.h"

#include <setjmp.h>
#include <stdarg.h>
// clang-format off
#include <cmocka.h>
// clang-format on

/* 26 May 2025, 11:42:10 Indian time, by `date -d '2025-05-26 11:42:10 +0530' +%s`. */
#define MAY_26_NS (INT64_C(1748239930) * LS_NS_PER_S)

struct seen {
    struct ipc_event orders[16];
    char tags[16][64];
    size_t count;
};

static void keep(const struct ipc_event *order, const char *tag, void *context)
{
    struct seen *seen = context;
    assert_true(seen->count < LS_COUNT_OF(seen->orders));
    seen->orders[seen->count] = *order;
    snprintf(seen->tags[seen->count], sizeof(seen->tags[0]), "%s", tag);
    seen->count++;
}

static uint32_t find(enum ipc_exchange exchange, struct adp_span token, void *context)
{
    (void)context;
    const char *text = (const char *)token.bytes;
    if (exchange == IPC_EXCHANGE_NSE && token.count == 2 && memcmp(text, "22", 2) == 0)
        return 7;
    if (exchange == IPC_EXCHANGE_NSE && token.count == 6 && memcmp(text, "MRF-EQ", 6) == 0)
        return 8;
    return 0;
}

static enum adp_rc read_book(
    uint32_t http_status, struct adp_span body, struct seen *seen, bool *is_empty)
{
    memset(seen, 0, sizeof(*seen));
    *is_empty = true;
    return adp_dialect_find("alice-blue")
        ->decode_book(http_status, body, find, keep, seen, is_empty);
}

static void the_printed_book(void **state)
{
    const struct adp_span body = test_data_read("alice-blue/a3-orderbook-response.json");
    struct seen seen;
    bool is_empty;
    (void)state;
    assert_int_equal(read_book(200, body, &seen, &is_empty), ADP_OK);
    assert_false(is_empty);
    assert_int_equal(seen.count, 1);
    const struct ipc_event *order = &seen.orders[0];
    assert_int_equal(order->kind, IPC_EVENT_ORDER);
    assert_string_equal(order->broker_order_id, "25071400112229");
    assert_int_equal(order->side, IPC_SIDE_BUY);
    assert_int_equal(order->type, IPC_TYPE_LIMIT);
    assert_int_equal(order->product, IPC_PRODUCT_CNC);
    assert_int_equal(order->validity, IPC_VALIDITY_DAY);
    assert_int_equal(order->status, IPC_STATUS_REJECTED);
    assert_int_equal(order->source, IPC_SOURCE_API);
    assert_int_equal(order->instrument, 7);
    assert_int_equal(order->qty_e8, 30 * LS_E8);
    assert_int_equal(order->price_e8, 112015000000);
    assert_int_equal(order->filled_qty_e8, 0);
    assert_int_equal(order->version, 0);
    assert_string_equal(order->reject_code, "ORA");
    assert_string_equal(seen.tags[0], "");
    free((void *)(uintptr_t)body.bytes);
}

/* One row made from the defaults and what the table changes. */
struct row {
    const char *side, *type, *product, *validity, *status, *qty, *filled, *price, *trigger,
        *average;
    uint8_t want_status; /* 0 = exists, not understood */
    uint8_t want_product, want_type;
    int64_t want_price, want_trigger, want_filled, want_average;
};

#define P(n) ((n)*LS_E8)

static const struct row rows[] = {
    /* statuses */
    {"BUY", "LIMIT", "LONGTERM", "DAY", "OPEN", "30", "0", "100.5", "0", "0", IPC_STATUS_OPEN,
        IPC_PRODUCT_CNC, IPC_TYPE_LIMIT, 10050000000, 0, 0, 0},
    {"SELL", "LIMIT", "CNC", "IOC", "open", "30", "10", "100.5", "0", "100.25", IPC_STATUS_OPEN,
        IPC_PRODUCT_CNC, IPC_TYPE_LIMIT, 10050000000, 0, P(10), 10025000000},
    {"BUY", "LIMIT", "DELIVERY", "DAY", "Complete", "30", "30", "100.5", "0", "100.25",
        IPC_STATUS_FILLED, IPC_PRODUCT_CNC, IPC_TYPE_LIMIT, 10050000000, 0, P(30), 10025000000},
    {"BUY", "LIMIT", "Intraday", "DAY", "CANCELLED", "30", "10", "100.5", "0", "100.25",
        IPC_STATUS_CANCELLED, IPC_PRODUCT_MIS, IPC_TYPE_LIMIT, 10050000000, 0, P(10), 10025000000},
    {"BUY", "LIMIT", "mis", "DAY", "canceled", "30", "0", "100.5", "0", "0", IPC_STATUS_CANCELLED,
        IPC_PRODUCT_MIS, IPC_TYPE_LIMIT, 10050000000, 0, 0, 0},
    {"BUY", "LIMIT", "NORMAL", "DAY", "rejected", "30", "0", "100.5", "0", "0", IPC_STATUS_REJECTED,
        IPC_PRODUCT_NRML, IPC_TYPE_LIMIT, 10050000000, 0, 0, 0},
    {"BUY", "SL", "NRML", "DAY", "TRIGGER_PENDING", "30", "0", "100.5", "100", "0", IPC_STATUS_OPEN,
        IPC_PRODUCT_NRML, IPC_TYPE_SL, 10050000000, P(100), 0, 0},
    {"BUY", "SLM", "MTF", "DAY", "trigger pending", "30", "0", "0", "100", "0", IPC_STATUS_OPEN,
        IPC_PRODUCT_MTF, IPC_TYPE_SLM, 0, P(100), 0, 0},
    {"BUY", "LIMIT", "LONGTERM", "DAY", "PENDING", "30", "0", "100.5", "0", "0", IPC_STATUS_PENDING,
        IPC_PRODUCT_CNC, IPC_TYPE_LIMIT, 10050000000, 0, 0, 0},
    {"BUY", "LIMIT", "LONGTERM", "DAY", "open pending", "30", "0", "100.5", "0", "0",
        IPC_STATUS_PENDING, IPC_PRODUCT_CNC, IPC_TYPE_LIMIT, 10050000000, 0, 0, 0},
    {"BUY", "LIMIT", "LONGTERM", "DAY", "put order req received", "30", "0", "100.5", "0", "0",
        IPC_STATUS_PENDING, IPC_PRODUCT_CNC, IPC_TYPE_LIMIT, 10050000000, 0, 0, 0},
    /* a market order's price field is noise */
    {"BUY", "MARKET", "LONGTERM", "DAY", "COMPLETE", "1", "1", "6.9", "3", "6.95",
        IPC_STATUS_FILLED, IPC_PRODUCT_CNC, IPC_TYPE_MARKET, 0, 0, P(1), 695000000},
    /* an average with binary noise */
    {"BUY", "MARKET", "LONGTERM", "DAY", "COMPLETE", "3", "3", "0", "0", "1120.1499999999999",
        IPC_STATUS_FILLED, IPC_PRODUCT_CNC, IPC_TYPE_MARKET, 0, 0, P(3), 112015000000},
    /* not understood: words */
    {"HOLD", "LIMIT", "LONGTERM", "DAY", "OPEN", "30", "0", "100", "0", "0", 0, 0, 0, 0, 0, 0, 0},
    {"BUY", "TRAIL", "LONGTERM", "DAY", "OPEN", "30", "0", "100", "0", "0", 0, 0, 0, 0, 0, 0, 0},
    {"BUY", "LIMIT", "BO", "DAY", "OPEN", "30", "0", "100", "0", "0", 0, 0, 0, 0, 0, 0, 0},
    {"BUY", "LIMIT", "LONGTERM", "GTC", "OPEN", "30", "0", "100", "0", "0", 0, 0, 0, 0, 0, 0, 0},
    {"BUY", "LIMIT", "LONGTERM", "DAY", "WARP", "30", "0", "100", "0", "0", 0, 0, 0, 0, 0, 0, 0},
    {"BUY", "LIMIT", "LONGTERM", "DAY", "", "30", "0", "100", "0", "0", 0, 0, 0, 0, 0, 0, 0},
    /* not understood: numbers */
    {"BUY", "LIMIT", "LONGTERM", "DAY", "OPEN", "0", "0", "100", "0", "0", 0, 0, 0, 0, 0, 0, 0},
    {"BUY", "LIMIT", "LONGTERM", "DAY", "OPEN", "-5", "0", "100", "0", "0", 0, 0, 0, 0, 0, 0, 0},
    {"BUY", "LIMIT", "LONGTERM", "DAY", "OPEN", "1.5", "0", "100", "0", "0", 0, 0, 0, 0, 0, 0, 0},
    {"BUY", "LIMIT", "LONGTERM", "DAY", "OPEN", "30", "31", "100", "0", "9", 0, 0, 0, 0, 0, 0, 0},
    {"BUY", "LIMIT", "LONGTERM", "DAY", "OPEN", "30", "-1", "100", "0", "0", 0, 0, 0, 0, 0, 0, 0},
    {"BUY", "LIMIT", "LONGTERM", "DAY", "OPEN", "30", "null", "100", "0", "0", 0, 0, 0, 0, 0, 0, 0},
    {"BUY", "LIMIT", "LONGTERM", "DAY", "OPEN", "30", "0", "0", "0", "0", 0, 0, 0, 0, 0, 0, 0},
    {"BUY", "SL", "LONGTERM", "DAY", "OPEN", "30", "0", "100", "0", "0", 0, 0, 0, 0, 0, 0, 0},
    {"BUY", "LIMIT", "LONGTERM", "DAY", "COMPLETE", "30", "29", "100", "0", "9", 0, 0, 0, 0, 0, 0,
        0},
    {"BUY", "LIMIT", "LONGTERM", "DAY", "REJECTED", "30", "1", "100", "0", "9", 0, 0, 0, 0, 0, 0,
        0},
    {"BUY", "LIMIT", "LONGTERM", "DAY", "OPEN", "99999999999999", "0", "100", "0", "0", 0, 0, 0, 0,
        0, 0, 0},
    {"BUY", "LIMIT", "LONGTERM", "DAY", "OPEN", "30", "0", "\"x\"", "0", "0", 0, 0, 0, 0, 0, 0, 0},
};

static int print_row(char *out, size_t bytes, const struct row *row)
{
    return snprintf(out, bytes,
        "{\"brokerOrderId\":\"25052600000%04d\",\"exchange\":\"NSE\",\"tradingSymbol\":\"ACC\","
        "\"instrumentId\":\"22\",\"transactionType\":\"%s\",\"quantity\":%s,\"product\":\"%s\","
        "\"orderType\":\"%s\",\"price\":%s,\"averageTradedPrice\":%s,\"slTriggerPrice\":%s,"
        "\"validity\":\"%s\",\"orderTime\":\"26-May-2025 11:42:10\",\"filledQuantity\":%s,"
        "\"source\":\"WEB\",\"orderTag\":\"--\",\"brokerUpdateTime\":\"2025-05-26 11:42:11\","
        "\"orderStatus\":\"%s\"}",
        1, row->side, row->qty, row->product, row->type, row->price, row->average, row->trigger,
        row->validity, row->filled, row->status);
}

static void rows_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        char row[1024], body[1200];
        struct seen seen;
        bool is_empty;
        print_row(row, sizeof(row), &rows[i]);
        snprintf(
            body, sizeof(body), "{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[%s]}", row);
        if (read_book(200, test_span(body), &seen, &is_empty) != ADP_OK || seen.count != 1)
            fail_msg("row %zu: %s", i, body);
        const struct ipc_event *order = &seen.orders[0];
        if (order->status != rows[i].want_status)
            fail_msg("row %zu: status %u: %s", i, order->status, body);
        assert_string_equal(order->broker_order_id, "250526000000001");
        assert_int_equal(order->broker_wall_ns, MAY_26_NS);
        assert_int_equal(order->version, MAY_26_NS + LS_NS_PER_S);
        assert_int_equal(order->source, IPC_SOURCE_TERMINAL);
        assert_string_equal(seen.tags[0], "");
        if (rows[i].want_status == 0)
            continue;
        struct ipc_event whole = *order;
        struct ipc_error error;
        whole.account = 1;
        if (ipc_event_check(&whole, &error) != IPC_OK)
            fail_msg("row %zu: %s", i, error.text);
        assert_int_equal(order->product, rows[i].want_product);
        assert_int_equal(order->type, rows[i].want_type);
        assert_int_equal(order->price_e8, rows[i].want_price);
        assert_int_equal(order->trigger_e8, rows[i].want_trigger);
        assert_int_equal(order->filled_qty_e8, rows[i].want_filled);
        assert_int_equal(order->average_price_e8, rows[i].want_average);
    }
}

static const struct {
    uint32_t http_status;
    const char *body;
    enum adp_rc rc;
    bool is_empty;
    size_t count;
} books[] = {
    {200, "{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[]}", ADP_OK, false, 0},
    {200, "{\"status\":\"Not_ok\",\"message\":\"EC916\"}", ADP_OK, true, 0},
    {404, "{\"status\":\"EC916\",\"message\":\"No orders found for this user.\"}", ADP_OK, true, 0},
    {500, "{\"status\":\"EC916\",\"message\":\"No orders found.\"}", ADP_MALFORMED, false, 0},
    {200, "{\"status\":\"Not_ok\",\"message\":\"EC915\"}", ADP_MALFORMED, false, 0},
    {200, "{\"status\":\"Not_ok\",\"message\":\"EC920\"}", ADP_MALFORMED, false, 0},
    {200, "{\"status\":\"Not_ok\",\"message\":\"EC087\"}", ADP_AUTH, false, 0},
    {200, "[{\"stat\":\"Not_Ok\",\"Emsg\":\"Session Expired\"}]", ADP_MALFORMED, false, 0},
    {200, "{\"stat\":\"Not_Ok\",\"Emsg\":\"Session Expired\"}", ADP_AUTH, false, 0},
    {401, "{\"status\":\"Not_ok\",\"message\":\"Unauthorized\"}", ADP_AUTH, false, 0},
    {401, "{\"status\":\"Not_ok\",\"message\":\"EC003\"}", ADP_MALFORMED, false, 0},
    {401, "", ADP_MALFORMED, false, 0},
    {200, "", ADP_MALFORMED, false, 0},
    {200, "<html></html>", ADP_MALFORMED, false, 0},
    {200, "{\"status\":\"Ok\",\"message\":\"Success\"}", ADP_MALFORMED, false, 0},
    {200, "{\"status\":\"Ok\",\"result\":{}}", ADP_MALFORMED, false, 0},
    {200, "{\"status\":\"Ok\",\"result\":null}", ADP_MALFORMED, false, 0},
    {200, "{\"status\":\"Ok\",\"result\":[],\"result\":[]}", ADP_MALFORMED, false, 0},
    {200, "{\"status\":\"Ok\",\"status\":\"Ok\",\"result\":[]}", ADP_MALFORMED, false, 0},
    {200, "{\"status\":\"Ok\",\"result\":[1]}", ADP_MALFORMED, false, 0},
    {200, "{\"status\":\"Ok\",\"result\":[{}]}", ADP_MALFORMED, false, 0},
    {200, "{\"status\":\"Ok\",\"result\":[{\"brokerOrderId\":\"\"}]}", ADP_MALFORMED, false, 0},
    {200, "{\"status\":\"Ok\",\"result\":[{\"brokerOrderId\":\"250526000002697\"},{}]}",
        ADP_MALFORMED, false, 0}, /* no row is given before all can be believed */
    {200,
        "{\"status\":\"Ok\",\"result\":[{\"brokerOrderId\":\"250526000002697\",\"price\":1,"
        "\"price\":2}]}",
        ADP_MALFORMED, false, 0},
    {200, "{\"status\":\"Ok\",\"result\":[{\"brokerOrderId\":\"250526000002697\"}]}", ADP_OK, false,
        1},
    {503, "{\"status\":\"Ok\",\"result\":[]}", ADP_MALFORMED, false, 0},
};

static void books_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(books); i++) {
        struct seen seen;
        bool is_empty;
        const enum adp_rc rc =
            read_book(books[i].http_status, test_span(books[i].body), &seen, &is_empty);
        if (rc != books[i].rc || is_empty != books[i].is_empty || seen.count != books[i].count)
            fail_msg("row %zu: %s gave %d, empty %d, %zu rows", i, books[i].body, rc, is_empty,
                seen.count);
    }
}

static void tags_come_through(void **state)
{
    static const struct {
        const char *text, *tag, *kept;
    } tags[] = {
        {"L00000000100001000A", "L00000000100001000A", "L00000000100001000A"},
        {"--", "", ""},
        {"", "", ""},
        {"my own tag", "my own tag", ""},
        {"a-tag-that-is-longer-than-ours", "a-tag-that-is-longer-than-ours", ""},
    };
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(tags); i++) {
        char body[300];
        struct seen seen;
        bool is_empty;
        snprintf(body, sizeof(body),
            "{\"status\":\"Ok\",\"result\":[{\"brokerOrderId\":\"250526000002697\",\"orderTag\":"
            "\"%s\"}]}",
            tags[i].text);
        assert_int_equal(read_book(200, test_span(body), &seen, &is_empty), ADP_OK);
        assert_string_equal(seen.tags[0], tags[i].tag);
        assert_string_equal(seen.orders[0].client_tag, tags[i].kept);
    }
}

static void count_row(const struct ipc_event *order, const char *tag, void *context)
{
    (void)order;
    (void)tag;
    ++*(size_t *)context;
}

/* Thousands of rows need no more memory than one. */
static void a_long_book(void **state)
{
    const size_t row_count = 5000;
    char *body = malloc(row_count * 600 + 100);
    size_t at = (size_t)sprintf(body, "{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[");
    (void)state;
    for (size_t i = 0; i < row_count; i++) {
        at += (size_t)print_row(body + at, 600, &rows[0]);
        body[at++] = i + 1 == row_count ? ']' : ',';
    }
    body[at++] = '}';
    bool is_empty;
    size_t counted = 0;
    assert_int_equal(adp_dialect_find("alice-blue")
                         ->decode_book(200, (struct adp_span){(uint8_t *)body, at}, NULL, count_row,
                             &counted, &is_empty),
        ADP_OK);
    assert_int_equal(counted, row_count);
    free(body);
}

static const struct {
    const char *text;
    int64_t want_ns; /* of 26 May 2025 11:42:10 */
} times[] = {
    {"26-May-2025 11:42:10", MAY_26_NS},
    {"26-MAY-2025 11:42:10", MAY_26_NS},
    {"2025-05-26 11:42:10", MAY_26_NS},
    {"2025-05-26T11:42:10", MAY_26_NS},
    {"26-05-2025 11:42:10", MAY_26_NS},
    {"26/05/2025 11:42:10", MAY_26_NS},
    {"26-May-7578 11:42:10", 0}, /* its nanoseconds would not fit */
    {"11:42:10 26-05-2025", MAY_26_NS},
    {"29-Feb-2024 00:00:00", INT64_C(1709145000) * LS_NS_PER_S},
    {"01-Jan-2026 05:29:59", (INT64_C(1767225600) - 1) * LS_NS_PER_S},
    {"31-Dec-2099 23:59:59", (INT64_C(4102444800) - 19801) * LS_NS_PER_S},
    {"", 0},
    {"--", 0},
    {"26-Mai-2025 11:42:10", 0},
    {"26-May-2025 24:00:00", 0},
    {"26-May-2025 11:60:10", 0},
    {"00-May-2025 11:42:10", 0},
    {"32-May-2025 11:42:10", 0},
    {"26-13-2025 11:42:10", 0},
    {"26-05/2025 11:42:10", 0},
    {"26-May-2025 11:42", 0},
    {"26-May-0025 11:42:10", 0},
    {"1748239930", 0},
};

static void times_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(times); i++) {
        char body[300];
        struct seen seen;
        bool is_empty;
        snprintf(body, sizeof(body),
            "{\"status\":\"Ok\",\"result\":[{\"brokerOrderId\":\"250526000002697\","
            "\"brokerUpdateTime\":\"\",\"exchangeUpdateTime\":\"%s\"}]}",
            times[i].text);
        assert_int_equal(read_book(200, test_span(body), &seen, &is_empty), ADP_OK);
        if (seen.orders[0].version != times[i].want_ns)
            fail_msg("%s gave %lld", times[i].text, (long long)seen.orders[0].version);
    }
}

#define FRAME(more)                                                                                \
    "{\"t\":\"om\",\"norenordno\":\"24070600000744\",\"qty\":\"10\",\"prc\":\"101.50\","           \
    "\"trantype\":\"S\",\"exch\":\"NSE\",\"tsym\":\"MRF-EQ\",\"ret\":\"DAY\"" more "}"

static const struct {
    const char *frame;
    enum adp_rc rc;
    uint8_t status, product;
    int64_t filled_e8, average_e8;
} frames[] = {
    {FRAME(",\"pcode\":\"I\",\"prctyp\":\"LMT\",\"status\":\"OPEN\",\"reporttype\":\"NewAck\""),
        ADP_OK, IPC_STATUS_OPEN, IPC_PRODUCT_MIS, 0, 0},
    {FRAME(",\"pcode\":\"C\",\"prctyp\":\"LMT\",\"status\":\"REPLACED\""), ADP_OK, IPC_STATUS_OPEN,
        IPC_PRODUCT_CNC, 0, 0},
    {FRAME(",\"pcode\":\"M\",\"prctyp\":\"LMT\",\"status\":\"OPEN\",\"fillshares\":\"4\","
           "\"avgprc\":\"101.25\""),
        ADP_OK, IPC_STATUS_OPEN, IPC_PRODUCT_NRML, 400000000, 10125000000},
    {FRAME(",\"pcode\":\"I\",\"prctyp\":\"LMT\",\"status\":\"COMPLETE\",\"fillshares\":\"10\","
           "\"avgprc\":\"101.25\""),
        ADP_OK, IPC_STATUS_FILLED, IPC_PRODUCT_MIS, 1000000000, 10125000000},
    {FRAME(",\"pcode\":\"I\",\"prctyp\":\"LMT\",\"status\":\"COMPLETE\""), ADP_MALFORMED, 0, 0, 0,
        0}, /* complete with what? the book will say */
    {FRAME(",\"prd\":\"CNC\",\"prctyp\":\"MKT\",\"status\":\"CANCELED\",\"fillshares\":\"\""),
        ADP_OK, IPC_STATUS_CANCELLED, IPC_PRODUCT_CNC, 0, 0},
    {FRAME(",\"pcode\":\"I\",\"prctyp\":\"SL-LMT\",\"trgprc\":\"101\",\"status\":"
           "\"TRIGGER_PENDING\""),
        ADP_OK, IPC_STATUS_OPEN, IPC_PRODUCT_MIS, 0, 0},
    {FRAME(",\"pcode\":\"I\",\"prctyp\":\"LMT\",\"status\":\"\",\"reporttype\":\"Rejected\""),
        ADP_MALFORMED, 0, 0, 0, 0}, /* a refused modification reports so too */
    {FRAME(",\"pcode\":\"I\",\"prctyp\":\"LMT\""), ADP_MALFORMED, 0, 0, 0, 0},
    {"{\"t\":\"om\",\"status\":\"OPEN\"}", ADP_MALFORMED, 0, 0, 0, 0},
    {"{\"t\":\"tk\",\"e\":\"NSE\"}", ADP_NOTHING, 0, 0, 0, 0},
    {"{\"t\":\"h\",\"k\":\"\"}", ADP_NOTHING, 0, 0, 0, 0},
    {"{\"status\":\"Ok\"}", ADP_NOTHING, 0, 0, 0, 0},
    {"[]", ADP_MALFORMED, 0, 0, 0, 0},
    {"", ADP_MALFORMED, 0, 0, 0, 0},
    {"om", ADP_MALFORMED, 0, 0, 0, 0},
};

static enum adp_rc push(struct adp_span frame, struct ipc_event *out)
{
    return adp_dialect_find("alice-blue")->decode_push(frame, find, NULL, out);
}

static void frames_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(frames); i++) {
        struct ipc_event event;
        const enum adp_rc rc = push(test_span(frames[i].frame), &event);
        if (rc != frames[i].rc)
            fail_msg("row %zu: %s gave %d", i, frames[i].frame, rc);
        if (rc != ADP_OK)
            continue;
        assert_int_equal(event.status, frames[i].status);
        assert_int_equal(event.product, frames[i].product);
        assert_int_equal(event.filled_qty_e8, frames[i].filled_e8);
        assert_int_equal(event.average_price_e8, frames[i].average_e8);
        assert_int_equal(event.side, IPC_SIDE_SELL);
        assert_int_equal(event.qty_e8, 10 * LS_E8);
        assert_int_equal(event.instrument, 8); /* by symbol: the frame has no token */
    }
}

static void printed_frames(void **state)
{
    struct ipc_event event;
    struct adp_span frame = test_data_read("alice-blue/order-ws-om-rejected.json");
    (void)state;
    assert_int_equal(push(frame, &event), ADP_OK);
    assert_string_equal(event.broker_order_id, "24070600000744");
    assert_int_equal(event.status, IPC_STATUS_REJECTED);
    assert_int_equal(event.type, IPC_TYPE_MARKET);
    assert_int_equal(event.price_e8, 0);
    assert_int_equal(event.product, IPC_PRODUCT_MIS);
    assert_int_equal(event.instrument, 8);
    assert_string_equal(event.reject_code, "RED:MARGIN");
    free((void *)(uintptr_t)frame.bytes);

    frame = test_data_read("alice-blue/order-ws-ack.json");
    assert_int_equal(push(frame, &event), ADP_NOTHING);
    free((void *)(uintptr_t)frame.bytes);

    frame = test_data_read("alice-blue/webhook-order-update.json"); /* its values are blank */
    assert_int_equal(push(frame, &event), ADP_MALFORMED);
    assert_string_equal(event.broker_order_id, "123456789");
    free((void *)(uintptr_t)frame.bytes);
}

static void funds(void **state)
{
    static const struct {
        uint32_t http_status;
        const char *body;
        enum adp_rc rc;
        int64_t available_e8, used_e8, equity_e8;
    } table[] = {
        {200, "{\"status\":\"Ok\",\"result\":[{\"tradingLimit\":900.5,\"utilizedMargin\":99.5}]}",
            ADP_OK, 90050000000, 9950000000, 100000000000},
        {200, "{\"status\":\"Ok\",\"result\":[{\"tradingLimit\":-5,\"utilizedMargin\":\"15\"}]}",
            ADP_OK, -500000000, 1500000000, 1000000000},
        {200, "{\"status\":\"Ok\",\"result\":[{\"tradingLimit\":900.5}]}", ADP_MALFORMED, 0, 0, 0},
        {200, "{\"status\":\"Ok\",\"result\":[]}", ADP_MALFORMED, 0, 0, 0},
        {200, "{\"status\":\"Not_ok\",\"message\":\"EC924\"}", ADP_MALFORMED, 0, 0, 0},
        {200, "{\"status\":\"Not_ok\",\"message\":\"EC087\"}", ADP_AUTH, 0, 0, 0},
        {401, "{\"status\":\"Not_ok\",\"message\":\"x\"}", ADP_AUTH, 0, 0, 0},
        {401, "<html>", ADP_MALFORMED, 0, 0, 0},
        {200, "", ADP_MALFORMED, 0, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(table); i++) {
        struct adp_funds out;
        const enum adp_rc rc =
            adp_dialect_find("alice-blue")
                ->decode_funds(table[i].http_status, test_span(table[i].body), &out);
        assert_int_equal(rc, table[i].rc);
        if (rc != ADP_OK)
            continue;
        assert_int_equal(out.available_e8, table[i].available_e8);
        assert_int_equal(out.used_e8, table[i].used_e8);
        assert_int_equal(out.equity_e8, table[i].equity_e8);
    }
    struct adp_funds out;
    const struct adp_span body = test_data_read("alice-blue/a3-limits-response.json");
    assert_int_equal(adp_dialect_find("alice-blue")->decode_funds(200, body, &out), ADP_OK);
    assert_int_equal(out.equity_e8, 0);
    free((void *)(uintptr_t)body.bytes);
}

struct held {
    struct adp_position lines[4];
    size_t count;
};

static void keep_line(const struct adp_position *line, void *context)
{
    struct held *held = context;
    assert_true(held->count < LS_COUNT_OF(held->lines));
    held->lines[held->count++] = *line;
}

#define LINE(token, product, net)                                                                  \
    "{\"instrumentId\":\"" token "\",\"exchange\":\"NSE\",\"tradingSymbol\":\"X-EQ\","             \
    "\"product\":\"" product "\",\"netQuantity\":" net "}"
#define LINES(rows) "{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[" rows "]}"

static void positions(void **state)
{
    static const struct {
        uint32_t http_status;
        const char *body;
        enum adp_rc rc;
        bool is_empty;
        size_t count;
        int64_t first_net_e8;
        enum ipc_product first_product;
    } table[] = {
        {200, LINES(LINE("22", "MIS", "-30")), ADP_OK, false, 1, -30 * LS_E8, IPC_PRODUCT_MIS},
        {200, LINES(LINE("22", "NRML", "5") "," LINE("23", "CNC", "0")), ADP_OK, false, 2,
            5 * LS_E8, IPC_PRODUCT_NRML},
        {200, LINES(""), ADP_OK, false, 0, 0, 0},
        {200, "{\"status\":\"Not_ok\",\"message\":\"EC920\"}", ADP_OK, true, 0, 0, 0},
        {404, "{\"status\":\"Not_ok\",\"message\":\"EC920\"}", ADP_OK, true, 0, 0, 0},
        {500, "{\"status\":\"Not_ok\",\"message\":\"EC920\"}", ADP_MALFORMED, false, 0, 0, 0},
        /* the empty book's code says nothing of positions */
        {200, "{\"status\":\"Not_ok\",\"message\":\"EC916\"}", ADP_MALFORMED, false, 0, 0, 0},
        {401, "{\"status\":\"Not_ok\",\"message\":\"x\"}", ADP_AUTH, false, 0, 0, 0},
        /* one line that is not understood spoils all of them, also after a good one */
        {200, LINES(LINE("22", "MIS", "1") "," LINE("23", "SOMETHING", "2")), ADP_MALFORMED, false,
            0, 0, 0},
        {200, LINES(LINE("22", "MIS", "1.5")), ADP_MALFORMED, false, 0, 0, 0},
        {200, LINES("{\"instrumentId\":\"22\"}"), ADP_MALFORMED, false, 0, 0, 0},
        {200, "<html>", ADP_MALFORMED, false, 0, 0, 0},
        {500, LINES(LINE("22", "MIS", "1")), ADP_MALFORMED, false, 0, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(table); i++) {
        struct held held = {.count = 0};
        bool is_empty = false;
        assert_int_equal(adp_dialect_find("alice-blue")
                             ->decode_positions(table[i].http_status, test_span(table[i].body),
                                 find, keep_line, &held, &is_empty),
            table[i].rc);
        assert_int_equal(is_empty, table[i].is_empty);
        assert_int_equal(held.count, table[i].count);
        if (held.count == 0)
            continue;
        assert_int_equal(held.lines[0].net_qty_e8, table[i].first_net_e8);
        assert_int_equal(held.lines[0].product, table[i].first_product);
        assert_int_equal(held.lines[0].instrument, 7);
    }
    struct held held = {.count = 0};
    bool is_empty = false;
    const struct adp_span body = test_data_read("alice-blue/a3-positions-response.json");
    assert_int_equal(adp_dialect_find("alice-blue")
                         ->decode_positions(200, body, find, keep_line, &held, &is_empty),
        ADP_OK);
    assert_int_equal(held.count, 1);
    assert_int_equal(held.lines[0].net_qty_e8, LS_E8);
    assert_int_equal(held.lines[0].product, IPC_PRODUCT_CNC);
    assert_string_equal(held.lines[0].symbol, "IDEA-EQ");
    assert_string_equal(held.lines[0].token, "14366");
    free((void *)(uintptr_t)body.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_printed_book),
        cmocka_unit_test(rows_table),
        cmocka_unit_test(books_table),
        cmocka_unit_test(tags_come_through),
        cmocka_unit_test(a_long_book),
        cmocka_unit_test(times_table),
        cmocka_unit_test(frames_table),
        cmocka_unit_test(printed_frames),
        cmocka_unit_test(funds),
        cmocka_unit_test(positions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
