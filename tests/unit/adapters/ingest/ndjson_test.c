/* Lines to order states: the schema as a table, then whole files with bad lines in them. */
#include "adapters/ingest/ndjson.h"
#include "tests/unit/adapters/ingest/world.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define WHO  "\"account\":\"MASTER1\",\"broker_order_id\":\"25052600000001\","
#define WHAT "\"exchange\":\"NSE\",\"symbol\":\"ACC-EQ\","
#define TERMS                                                                                      \
    "\"side\":\"BUY\",\"type\":\"LIMIT\",\"product\":\"CNC\",\"qty\":30,\"price\":1120.15,"
#define GOOD "{" WHO WHAT TERMS "\"status\":\"OPEN\"}"

static const struct {
    const char *line;
    const char *says; /* NULL = good; else part of the sentence */
} lines[] = {
    {GOOD, NULL},
    {"{" WHO "\"exchange\":\"NSE\",\"token\":\"22\"," TERMS "\"status\":\"OPEN\"}", NULL},
    {"{" WHO "\"exchange\":\"NSE\",\"token\":22," TERMS "\"status\":\"OPEN\"}", NULL},
    {"{\"account\":1,\"broker_order_id\":\"A-1\"," WHAT TERMS "\"status\":\"OPEN\"}", NULL},
    {"{\"account\":\"FOLLOW1\",\"broker\":\"other\",\"broker_order_id\":\"1\"," WHAT TERMS
     "\"status\":\"OPEN\"}",
        NULL},
    {"{" WHO WHAT TERMS "\"status\":\"FILLED\",\"filled_qty\":\"30\",\"average_price\":1120.1,"
     "\"time\":\"2026-01-31T09:15:00.25Z\",\"source\":\"API\",\"tag\":\"x\",\"validity\":\"IOC\"}",
        NULL},
    {"{" WHO WHAT "\"side\":\"SELL\",\"type\":\"SLM\",\"product\":\"MIS\",\"qty\":1,\"trigger\":5,"
     "\"status\":\"PENDING\"}",
        NULL},
    {"{" WHO WHAT "\"side\":\"SELL\",\"type\":\"MARKET\",\"product\":\"MIS\",\"qty\":0.5,"
     "\"status\":\"REJECTED\",\"reject_code\":\"RED\"}",
        NULL},
    {"{" WHO "\"exchange\":\"BSE\",\"symbol\":\"NOBODY\"," TERMS "\"status\":\"OPEN\"}", NULL},
    {"", "not one JSON object"},
    {"[]", "not one JSON object"},
    {"{}", "account: is required"},
    {"{\"a\":1}", "a: there is no such field"},
    {GOOD GOOD, "not one JSON object"},
    {"{" WHO WHO WHAT TERMS "\"status\":\"OPEN\"}", "twice"},
    {"{" WHO WHAT TERMS "\"status\":\"OPEN\",\"Price\":1}", "Price: there is no such field"},
    {"{\"account\":\"NOBODY\",\"broker_order_id\":\"1\"," WHAT TERMS "\"status\":\"OPEN\"}",
        "NOBODY is not in the snapshot"},
    {"{\"account\":9,\"broker_order_id\":\"1\"," WHAT TERMS "\"status\":\"OPEN\"}",
        "9 is not in the snapshot"},
    {"{\"account\":\"FOLLOW1\",\"broker_order_id\":\"1\"," WHAT TERMS "\"status\":\"OPEN\"}",
        "add broker"},
    {"{\"account\":\"MASTER1\",\"broker\":\"other\",\"broker_order_id\":\"1\"," WHAT TERMS
     "\"status\":\"OPEN\"}",
        "not in the snapshot"},
    {"{\"account\":[],\"broker_order_id\":\"1\"," WHAT TERMS "\"status\":\"OPEN\"}",
        "account: must be a string"},
    {"{\"account\":\"MASTER1\"," WHAT TERMS "\"status\":\"OPEN\"}", "broker_order_id: is required"},
    {"{\"account\":\"MASTER1\",\"broker_order_id\":\"a b\"," WHAT TERMS "\"status\":\"OPEN\"}",
        "broker_order_id: must be printable"},
    {"{\"account\":\"MASTER1\",\"broker_order_id\":\"01234567890123456789012345678901\"," WHAT TERMS
     "\"status\":\"OPEN\"}",
        "broker_order_id: is too long"},
    {"{" WHO "\"symbol\":\"ACC-EQ\"," TERMS "\"status\":\"OPEN\"}", "exchange: is required"},
    {"{" WHO "\"exchange\":\"NSX\",\"symbol\":\"ACC-EQ\"," TERMS "\"status\":\"OPEN\"}",
        "exchange: is not one of"},
    {"{" WHO "\"exchange\":\"NSE\"," TERMS "\"status\":\"OPEN\"}", "symbol: or token"},
    {"{" WHO WHAT "\"side\":\"buy\",\"type\":\"LIMIT\",\"product\":\"CNC\",\"qty\":1,\"price\":1,"
     "\"status\":\"OPEN\"}",
        "side: is not one of"},
    {"{" WHO WHAT "\"type\":\"LIMIT\",\"product\":\"CNC\",\"qty\":1,\"price\":1,\"status\":"
     "\"OPEN\"}",
        "side: is required"},
    {"{" WHO WHAT "\"side\":\"BUY\",\"type\":\"TRAIL\",\"product\":\"CNC\",\"qty\":1,"
     "\"status\":\"OPEN\"}",
        "type: is not one of"},
    {"{" WHO WHAT "\"side\":\"BUY\",\"type\":\"LIMIT\",\"product\":\"BO\",\"qty\":1,\"price\":1,"
     "\"status\":\"OPEN\"}",
        "product: is not one of"},
    {"{" WHO WHAT TERMS "\"validity\":\"GTC\",\"status\":\"OPEN\"}", "validity: is not one of"},
    {"{" WHO WHAT TERMS "\"status\":\"DONE\"}", "status: is not one of"},
    {"{" WHO WHAT TERMS "\"status\":\"OPEN\",\"source\":\"FAX\"}", "source: is not one of"},
    {"{" WHO WHAT "\"side\":\"BUY\",\"type\":\"LIMIT\",\"product\":\"CNC\",\"price\":1,"
     "\"status\":\"OPEN\"}",
        "qty: is required"},
    {"{" WHO WHAT "\"side\":\"BUY\",\"type\":\"LIMIT\",\"product\":\"CNC\",\"qty\":0,\"price\":1,"
     "\"status\":\"OPEN\"}",
        "qty: must be above zero"},
    {"{" WHO WHAT "\"side\":\"BUY\",\"type\":\"LIMIT\",\"product\":\"CNC\",\"qty\":-1,\"price\":1,"
     "\"status\":\"OPEN\"}",
        "qty: must not be negative"},
    {"{" WHO WHAT "\"side\":\"BUY\",\"type\":\"LIMIT\",\"product\":\"CNC\",\"qty\":\"x\","
     "\"price\":1,\"status\":\"OPEN\"}",
        "qty: must be a decimal"},
    {"{" WHO WHAT "\"side\":\"BUY\",\"type\":\"LIMIT\",\"product\":\"CNC\",\"qty\":1,"
     "\"price\":0.000000001,\"status\":\"OPEN\"}",
        "price: must be a decimal"},
    {"{" WHO WHAT "\"side\":\"BUY\",\"type\":\"LIMIT\",\"product\":\"CNC\",\"qty\":1,"
     "\"status\":\"OPEN\"}",
        "price: is required"},
    {"{" WHO WHAT "\"side\":\"BUY\",\"type\":\"MARKET\",\"product\":\"CNC\",\"qty\":1,\"price\":5,"
     "\"status\":\"OPEN\"}",
        "price: is for LIMIT and SL"},
    {"{" WHO WHAT TERMS "\"trigger\":5,\"status\":\"OPEN\"}", "trigger: is for SL and SLM"},
    {"{" WHO WHAT TERMS "\"trail\":5,\"status\":\"OPEN\"}", "trail: is not copied"},
    {"{" WHO WHAT TERMS "\"stop\":-5,\"status\":\"OPEN\"}", "stop: "},
    {"{" WHO WHAT TERMS "\"filled_qty\":31,\"status\":\"OPEN\"}", "filled_qty: is above qty"},
    {"{" WHO WHAT TERMS "\"filled_qty\":29,\"status\":\"FILLED\"}", "filled_qty: must equal qty"},
    {"{" WHO WHAT TERMS "\"status\":\"OPEN\",\"time\":\"2026-01-31\"}", "time: must be like"},
    {"{" WHO WHAT TERMS "\"status\":\"OPEN\",\"time\":1769850900}", "time: must be like"},
    {"{" WHO WHAT TERMS "\"status\":\"OPEN\",\"tag\":\"a b\"}", "tag: must be printable"},
};

static void schema_table(void **state)
{
    struct world world;
    (void)state;
    world_open(&world);
    world_publish(&world);
    struct adp_live *live = adp_live_open(&world.shm);
    assert_true(adp_live_follow(live));
    for (size_t i = 0; i < LS_COUNT_OF(lines); i++) {
        struct adp_ndjson_row row;
        struct ipc_error error = {.text = ""};
        const enum ipc_rc rc = adp_ndjson_parse(live,
            (struct adp_span){(const uint8_t *)lines[i].line, strlen(lines[i].line)}, &row, &error);
        if (rc != (lines[i].says == NULL ? IPC_OK : IPC_BAD_INPUT) ||
            (lines[i].says != NULL && strstr(error.text, lines[i].says) == NULL))
            fail_msg("row %zu: %s: '%s'", i, lines[i].line, error.text);
    }
    struct adp_ndjson_row row;
    struct ipc_error error;
    assert_int_equal(
        adp_ndjson_parse(live,
            (struct adp_span){(const uint8_t *)lines[5].line, strlen(lines[5].line)}, &row, &error),
        IPC_OK);
    assert_int_equal(row.account, 1);
    assert_int_equal(row.order.instrument, 1);
    assert_int_equal(row.order.qty_e8, 30 * LS_E8);
    assert_int_equal(row.order.price_e8, 112015000000);
    assert_int_equal(row.order.filled_qty_e8, 30 * LS_E8);
    assert_int_equal(row.order.average_price_e8, 112010000000);
    assert_int_equal(row.order.status, IPC_STATUS_FILLED);
    assert_int_equal(row.order.validity, IPC_VALIDITY_IOC);
    assert_int_equal(row.order.source, IPC_SOURCE_API);
    assert_int_equal(row.order.version, INT64_C(1769850900250000000));
    assert_string_equal(row.tag, "x");
    adp_live_close(live);
    world_close(&world);
}

static const struct {
    const char *text;
    int64_t want_ns;
} times[] = {
    {"2026-01-31T09:15:00Z", INT64_C(1769850900) * LS_NS_PER_S},
    {"2026-01-31T14:45:00+05:30", INT64_C(1769850900) * LS_NS_PER_S},
    {"2026-01-31T04:15:00-05:00", INT64_C(1769850900) * LS_NS_PER_S},
    {"2026-01-31T09:15:00.123456789Z", INT64_C(1769850900123456789)},
    {"2026-01-31T09:15:00.1234567891Z", INT64_C(1769850900123456789)},
    {"2000-01-01T00:00:00Z", INT64_C(946684800) * LS_NS_PER_S},
    {"2024-02-29T12:00:00Z", INT64_C(1709208000) * LS_NS_PER_S},
    {"2024-03-01T00:00:00Z", INT64_C(1709251200) * LS_NS_PER_S},
    {"2100-03-01T00:00:00Z", INT64_C(4107542400) * LS_NS_PER_S},
    {"", 0},
    {"2026-01-31T09:15:00", 0},
    {"2026-01-31 09:15:00Z", 0},
    {"2026-13-31T09:15:00Z", 0},
    {"2026-00-31T09:15:00Z", 0},
    {"2026-01-32T09:15:00Z", 0},
    {"2026-01-31T24:15:00Z", 0},
    {"2026-01-31T09:60:00Z", 0},
    {"2026-01-31T09:15:60Z", 0},
    {"2026-01-31T09:15:00.Z", 0},
    {"2026-01-31T09:15:00Zx", 0},
    {"2026-01-31T09:15:00+0530", 0},
    {"1999-01-31T09:15:00Z", 0},
};

static void times_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(times); i++)
        if (adp_ndjson_time(times[i].text) != times[i].want_ns)
            fail_msg("%s gave %lld", times[i].text, (long long)adp_ndjson_time(times[i].text));
}

struct outcome {
    int code;
    char log[16384];
    struct ipc_event events[64];
    size_t count;
};

/* Runs one file through the whole path, with stderr kept. */
static void run_file(const char *text, size_t bytes, bool is_book, struct outcome *out)
{
    struct world world;
    struct ipc_ring_consumer ring;
    static const volatile sig_atomic_t stop = 0;
    char path[80], log_path[80];
    memset(out, 0, sizeof(*out));
    world_open(&world);
    world_publish(&world);
    snprintf(path, sizeof(path), "%s/lines", world.base);
    snprintf(log_path, sizeof(log_path), "%s/log", world.base);
    FILE *file = fopen(path, "w");
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    fclose(file);
    struct adp_live *live = adp_live_open(&world.shm);
    struct adp_publisher *publisher = adp_publisher_open(&world.shm, "ndjson", 1024, 16);
    struct adp_feed *feed = adp_feed_open(live, publisher);
    const int log_fd = open(log_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const int kept_fd = dup(STDERR_FILENO);
    dup2(log_fd, STDERR_FILENO);
    (void)adp_live_follow(live);
    const struct adp_ndjson_options options = {.path = path, .is_book = is_book};
    out->code = adp_ndjson_run(&options, live, feed, publisher, &stop);
    dup2(kept_fd, STDERR_FILENO);
    close(kept_fd);
    const ssize_t got = pread(log_fd, out->log, sizeof(out->log) - 1, 0);
    assert_true(got >= 0);
    close(log_fd);
    if (world_consume(&world, "ndjson", 0, IPC_RING_ORDERS, &ring)) {
        while (out->count < 64 && world_take(&ring, &out->events[out->count]))
            out->count++;
        ipc_ring_detach_consumer(&ring);
    }
    adp_feed_close(feed);
    adp_publisher_close(publisher);
    adp_live_close(live);
    world_close(&world);
}

static void a_bad_line_does_not_stop_the_rest(void **state)
{
    struct outcome *out = malloc(sizeof(*out));
    static const char text[] = GOOD "\n"
                                    "{\"account\":\"NOBODY\"}\n"
                                    "\n"
                                    "nonsense \x1b[31m\n" GOOD "\r\n" GOOD; /* no line end */
    (void)state;
    run_file(text, sizeof(text) - 1, false, out);
    assert_int_equal(out->code, 1);
    assert_int_equal(out->count, 3);
    for (size_t i = 0; i < out->count; i++) {
        assert_int_equal(out->events[i].kind, IPC_EVENT_ORDER);
        assert_int_equal(out->events[i].flags, 0);
    }
    assert_non_null(strstr(out->log, "lines:2: account: NOBODY is not in the snapshot"));
    assert_non_null(strstr(out->log, "lines:4: the line is not one JSON object"));
    assert_non_null(strstr(out->log, "3 orders published, 2 lines bad"));
    assert_null(strchr(out->log, '\x1b'));
    run_file(GOOD "\n", sizeof(GOOD), false, out);
    assert_int_equal(out->code, 0);
    run_file("", 0, false, out);
    assert_int_equal(out->code, 0);
    assert_int_equal(out->count, 0);
    free(out);
}

static void a_line_that_is_too_long_is_one_bad_line(void **state)
{
    struct outcome *out = malloc(sizeof(*out));
    const size_t lengths[] = {ADP_NDJSON_LINE_BYTES_MAX, ADP_NDJSON_LINE_BYTES_MAX + 1,
        3 * ADP_NDJSON_LINE_BYTES_MAX + 17};
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(lengths); i++) {
        for (int with_end = 0; with_end < 2; with_end++) {
            char *text = malloc(lengths[i] + 2 * sizeof(GOOD) + 4);
            size_t at = (size_t)sprintf(text, "%s\n", GOOD);
            memset(text + at, 'x', lengths[i]);
            at += lengths[i];
            if (with_end)
                at += (size_t)sprintf(text + at, "\n%s\n", GOOD);
            run_file(text, at, false, out);
            assert_int_equal(out->code, 1);
            assert_int_equal(out->count, 1 + with_end);
            assert_non_null(strstr(out->log, "lines:2: "));
            assert_non_null(strstr(out->log, "1 lines bad"));
            free(text);
        }
    }
    free(out);
}

static void books_have_markers(void **state)
{
    struct outcome *out = malloc(sizeof(*out));
    static const char text[] = GOOD
        "\n" GOOD "\n{\"account\":4,\"broker_order_id\":\"9\"," WHAT TERMS "\"status\":\"OPEN\"}\n";
    (void)state;
    run_file(text, sizeof(text) - 1, true, out);
    assert_int_equal(out->code, 0);
    assert_int_equal(out->count, 7);
    static const struct {
        uint8_t kind;
        uint32_t account, orders;
    } want[] = {{IPC_EVENT_BOOK_BEGIN, 1, 0}, {IPC_EVENT_ORDER, 1, 0}, {IPC_EVENT_ORDER, 1, 0},
        {IPC_EVENT_BOOK_BEGIN, 4, 0}, {IPC_EVENT_ORDER, 4, 0}, {IPC_EVENT_BOOK_END, 1, 2},
        {IPC_EVENT_BOOK_END, 4, 1}};
    for (size_t i = 0; i < LS_COUNT_OF(want); i++) {
        assert_int_equal(out->events[i].kind, want[i].kind);
        assert_int_equal(out->events[i].account, want[i].account);
        assert_int_equal(out->events[i].book_order_count, want[i].orders);
        assert_int_equal(out->events[i].flags, IPC_EVENT_FROM_BOOK);
    }
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schema_table),
        cmocka_unit_test(times_table),
        cmocka_unit_test(a_bad_line_does_not_stop_the_rest),
        cmocka_unit_test(a_line_that_is_too_long_is_one_bad_line),
        cmocka_unit_test(books_have_markers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
