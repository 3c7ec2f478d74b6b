/* What the porter makes of a book's body: what is an answer, what is none, and what it shows. */
#include "engine/porter_books_private.h"
#include "ipc/clock.h"
#include "ipc/tag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define TAG_ONE "L00000000A000010000" /* follower 1's */
#define TAG_TWO "L00000000B000010000"

#define ROW(id, tag, side, qty, filled, status, price)                                             \
    "{\"brokerOrderId\":\"" id "\",\"exchange\":\"NSE\",\"instrumentId\":\"22\","                  \
    "\"tradingSymbol\":\"MRF-EQ\",\"transactionType\":\"" side "\",\"quantity\":" qty              \
    ",\"product\":\"INTRADAY\",\"orderType\":\"LIMIT\",\"validity\":\"DAY\",\"price\":" price      \
    ",\"slTriggerPrice\":0,\"averageTradedPrice\":" price ",\"filledQuantity\":" filled            \
    ",\"orderStatus\":\"" status "\",\"rejectionReason\":\"--\",\"orderTag\":\"" tag "\","         \
    "\"brokerUpdateTime\":\"26-May-2025 11:42:10\",\"exchangeUpdateTime\":\"--\","                 \
    "\"orderTime\":\"26-May-2025 11:42:00\",\"source\":\"API\"}"
#define BOOK(rows) "{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[" rows "]}"
#define OPEN_ONE   ROW("26112100000001", TAG_ONE, "BUY", "10", "0", "OPEN", "100.5")
#define FILLED_TWO ROW("26112100000002", TAG_TWO, "BUY", "10", "10", "COMPLETE", "100.5")
#define BY_HAND    ROW("26112100000003", "--", "SELL", "4", "4", "COMPLETE", "101")

struct bench {
    struct eng_porter porter;
    struct eng_generation generation;
    struct ipc_row_cluster cluster;
    struct ipc_row_broker broker;
    struct ipc_row_account account;
    struct ipc_row_instrument instrument;
    struct adp_instruments *instruments;
    struct books_job job;
};

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    strcpy(bench->cluster.cluster_id, "test");
    strcpy(bench->broker.dialect, "alice-blue");
    bench->account = (struct ipc_row_account){.account = 1, .login = "F1"};
    bench->instrument = (struct ipc_row_instrument){.instrument = 1,
        .exchange = IPC_EXCHANGE_NSE,
        .kind = IPC_KIND_CASH,
        .lot_qty_e8 = LS_E8,
        .tick_e8 = LS_E8 / 20,
        .token = "22",
        .symbol = "MRF-EQ"};
    bench->generation.view = (struct ipc_snapshot_view){.cluster = &bench->cluster,
        .brokers = &bench->broker,
        .accounts = &bench->account,
        .instruments = &bench->instrument,
        .broker_count = 1,
        .account_count = 1,
        .instrument_count = 1};
    bench->generation.brokers[0].dialect = adp_dialect_find("alice-blue");
    bench->porter.generation = &bench->generation;
    bench->instruments = adp_instruments_build(&bench->generation.view);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    books_drop(bench->job.book);
    adp_https_body_free(&bench->job.body);
    adp_instruments_free(bench->instruments);
    free(bench);
    return 0;
}

/* A query whose body has come. */
static enum ipc_book decode(struct bench *bench, enum eng_books_what what, uint8_t step,
    uint32_t http_status, const char *body)
{
    struct books_job *job = &bench->job;
    adp_https_body_free(&job->body);
    job->body.most = 1u << 20;
    assert_int_equal(
        adp_https_body_take((char *)(uintptr_t)body, 1, strlen(body), &job->body), strlen(body));
    if (step == 0) {
        books_drop(job->book);
        job->ask = (struct eng_books_ask){.account = 1, .ask_no = 7, .what = (uint8_t)what};
        job->book = books_new(&job->ask);
    }
    job->step = step;
    job->sent_mono_ns = ipc_clock_mono_ns();
    return books_decode(&bench->porter, bench->instruments, job, http_status);
}

static void results_table(void **state)
{
    static const struct {
        uint32_t http_status;
        const char *body;
        enum ipc_book result;
        uint32_t rows, orders;
    } table[] = {
        {200, BOOK(OPEN_ONE), IPC_BOOK_GOOD, 1, 1},
        {200, BOOK(OPEN_ONE "," FILLED_TWO "," BY_HAND), IPC_BOOK_GOOD, 3, 3},
        {200, BOOK(""), IPC_BOOK_EMPTY, 0, 0},
        {200, "{\"status\":\"Not_ok\",\"message\":\"EC916\"}", IPC_BOOK_NO_ORDERS, 0, 0},
        {401, "{\"status\":\"Not_ok\",\"message\":\"EC087\"}", IPC_BOOK_AUTH, 0, 0},
        {500, BOOK(OPEN_ONE), IPC_BOOK_ERROR, 0, 0},
        {302, "", IPC_BOOK_ERROR, 0, 0},
        {200, "<html>busy</html>", IPC_BOOK_ERROR, 0, 0},
        {200, "", IPC_BOOK_ERROR, 0, 0},
        {200, "{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[" OPEN_ONE, IPC_BOOK_ERROR, 0,
            0},
        /* a status that this build does not know: the order is there, so nothing is absent */
        {200, BOOK(OPEN_ONE "," ROW("26112100000002", TAG_TWO, "BUY", "10", "0", "FROZEN", "100")),
            IPC_BOOK_ODD, 2, 1},
        /* one order in two rows: pages that overlap */
        {200, BOOK(OPEN_ONE "," OPEN_ONE), IPC_BOOK_ODD, 2, 2},
        {200, BOOK(FILLED_TWO "," OPEN_ONE "," BY_HAND "," FILLED_TWO), IPC_BOOK_ODD, 4, 4},
    };
    struct bench *bench = *state;
    for (size_t i = 0; i < LS_COUNT_OF(table); i++) {
        assert_int_equal(decode(bench, ENG_BOOKS_ORDERS, 0, table[i].http_status, table[i].body),
            table[i].result);
        assert_int_equal(bench->job.book->answer.order_count, table[i].rows);
        assert_int_equal(bench->job.book->answer.orders_count, table[i].orders);
    }
}

static void what_a_row_becomes(void **state)
{
    struct bench *bench = *state;
    struct ipc_key key;
    uint64_t digits;
    assert_int_equal(
        decode(bench, ENG_BOOKS_ORDERS, 0, 200, BOOK(OPEN_ONE "," BY_HAND)), IPC_BOOK_GOOD);
    const struct eng_book_answer *answer = &bench->job.book->answer;
    assert_int_equal(answer->account, 1);
    assert_int_equal(answer->ask_no, 7);
    assert_int_equal(answer->complete, 1); /* this broker's book has filled and rejected orders */
    const struct ipc_event *order = &answer->orders[0];
    ipc_order_key("test", 1, "26112100000001", &key, &digits);
    assert_true(ipc_key_equal(order->order_key, key));
    assert_string_equal(order->client_tag, TAG_ONE);
    assert_int_equal(order->flags, IPC_EVENT_FROM_BOOK | IPC_EVENT_OWN_TAG);
    assert_int_equal(order->instrument, 1);
    assert_int_equal(order->received_mono_ns, bench->job.sent_mono_ns);
    /* should the account be a master, nothing of this may be copied */
    assert_true(order->feed_lag_ns >= 3600 * LS_NS_PER_S);
    assert_int_equal(ipc_event_check(order, NULL), IPC_OK);
    assert_int_equal(answer->orders[1].client_tag[0], '\0');
    assert_int_equal(answer->orders[1].flags, IPC_EVENT_FROM_BOOK);
    /* the digest is the body's */
    uint8_t digest[IPC_DIGEST_BYTES];
    memcpy(digest, answer->digest, sizeof(digest));
    assert_int_equal(decode(bench, ENG_BOOKS_ORDERS, 0, 200, BOOK(OPEN_ONE)), IPC_BOOK_GOOD);
    assert_memory_not_equal(digest, bench->job.book->answer.digest, sizeof(digest));
}

#define POSITION(token, product, net)                                                              \
    "{\"instrumentId\":\"" token "\",\"exchange\":\"NSE\",\"tradingSymbol\":\"MRF-EQ\","           \
    "\"product\":\"" product "\",\"netQuantity\":" net "}"

static void positions_have_three_numbers(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(
        decode(bench, ENG_BOOKS_POSITIONS, 0, 200, BOOK(OPEN_ONE "," FILLED_TWO "," BY_HAND)),
        IPC_BOOK_GOOD);
    assert_int_equal(decode(bench, ENG_BOOKS_POSITIONS, 1, 200,
                         BOOK(POSITION("22", "MIS", "6") "," POSITION(
                             "22", "CNC", "3") "," POSITION("99", "MIS", "1"))),
        IPC_BOOK_GOOD);
    const struct eng_book *book = bench->job.book;
    assert_int_equal(book->line_count, 3);
    assert_int_equal(book->lines[0].instrument, 1);
    assert_int_equal(book->lines[0].product, IPC_PRODUCT_MIS);
    assert_int_equal(book->lines[0].net_qty_e8, 6 * LS_E8);
    assert_int_equal(book->lines[0].ours_qty_e8, 10 * LS_E8);
    assert_int_equal(book->lines[0].others_qty_e8, -4 * LS_E8);
    assert_int_equal(book->lines[1].product, IPC_PRODUCT_CNC);
    assert_int_equal(book->lines[1].net_qty_e8, 3 * LS_E8);
    assert_int_equal(book->lines[2].instrument, 0); /* not of the snapshot */
}

/* Whoever has traded nothing has an empty book and no positions: that is an answer here. */
static void nothing_traded_is_an_answer(void **state)
{
    static const char none[] = "{\"status\":\"Not_ok\",\"message\":\"EC920\"}";
    struct bench *bench = *state;
    assert_int_equal(
        decode(bench, ENG_BOOKS_POSITIONS, 0, 200, "{\"status\":\"Not_ok\",\"message\":\"EC916\"}"),
        IPC_BOOK_GOOD);
    assert_int_equal(decode(bench, ENG_BOOKS_POSITIONS, 1, 200, none), IPC_BOOK_GOOD);
    assert_int_equal(bench->job.book->line_count, 0);
    /* a book with a row that is not understood is no ground for a comparison */
    assert_int_equal(
        decode(bench, ENG_BOOKS_POSITIONS, 0, 200, BOOK(OPEN_ONE "," OPEN_ONE)), IPC_BOOK_ODD);
    assert_int_equal(decode(bench, ENG_BOOKS_POSITIONS, 0, 200, BOOK(OPEN_ONE)), IPC_BOOK_GOOD);
    assert_int_equal(decode(bench, ENG_BOOKS_POSITIONS, 1, 502, none), IPC_BOOK_ERROR);
}

/* The porter's round stands still while it decodes: 5,000 orders are an account's busy day. */
static void a_long_book(void **state)
{
    struct bench *bench = *state;
    const uint32_t count = 5000;
    char *body = malloc(count * 600 + 100);
    size_t at = 0;
    assert_non_null(body);
    at += (size_t)sprintf(body + at, "{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[");
    for (uint32_t i = 0; i < count; i++) {
        char row[] = ROW("26112100000001", TAG_ONE, "BUY", "10", "0", "OPEN", "100.5");
        char id[16];
        (void)snprintf(id, sizeof(id), "%014u", 100000 + i);
        memcpy(strstr(row, "26112100000001"), id, 14);
        at += (size_t)sprintf(body + at, "%s%s", i == 0 ? "" : ",", row);
    }
    (void)sprintf(body + at, "]}");
    bench->job.body.most = 8u << 20;
    adp_https_body_free(&bench->job.body);
    books_drop(bench->job.book);
    bench->job.ask = (struct eng_books_ask){.account = 1, .what = ENG_BOOKS_ORDERS};
    bench->job.book = books_new(&bench->job.ask);
    bench->job.step = 0;
    /* in pieces, as it arrives */
    for (size_t from = 0; from < strlen(body); from += 16000) {
        size_t bytes = strlen(body) - from < 16000 ? strlen(body) - from : 16000;
        assert_int_equal(adp_https_body_take(body + from, 1, bytes, &bench->job.body), bytes);
    }
    const int64_t began_ns = ipc_clock_mono_ns();
    assert_int_equal(
        books_decode(&bench->porter, bench->instruments, &bench->job, 200), IPC_BOOK_GOOD);
    printf("%u orders, %zu KiB: %.1f ms\n", count, bench->job.body.count >> 10,
        (double)(ipc_clock_mono_ns() - began_ns) / 1e6);
    assert_int_equal(bench->job.book->answer.orders_count, count);
    free(body);
}

static void a_body_has_an_end(void **state)
{
    struct adp_https_body body = {.most = 100};
    char bytes[64] = {0};
    (void)state;
    assert_int_equal(adp_https_body_take(bytes, 1, 64, &body), 64);
    assert_int_equal(adp_https_body_take(bytes, 1, 37, &body), 0); /* ends the transfer */
    assert_true(body.is_too_long);
    assert_int_equal(adp_https_body_take(bytes, 1, 36, &body), 36);
    adp_https_body_free(&body);
    assert_int_equal(body.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(results_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_row_becomes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(positions_have_three_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_traded_is_an_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_book, set_up, tear_down),
        cmocka_unit_test(a_body_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
