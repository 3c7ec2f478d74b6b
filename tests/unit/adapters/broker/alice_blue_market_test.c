/* Frames of the market-data socket. The samples are pages of documentation: their lines are cut
 * where the page was wrapped. Two rules, and no others, are used to read them:
 *   wrap   a line break and the blanks behind it inside of a frame are taken out
 *   cut    where the wrap also lost characters, the frame stays refused */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "adapters/broker/alice_blue_market.h"
#include "ipc/prng.h"
#include "tests/unit/adapters/test_data.h"

#define MARKET (&adp_alice_blue_market)

struct want {
    enum adp_rc raw, joined; /* as it stands; with the rule "wrap" */
    bool is_snapshot, has_last;
    enum ipc_exchange exchange;
    const char *token;
    int64_t last_e8, feed_wall_s;
};

/* Takes the frames of a file apart: they are separated by a blank line. */
static void check_file(const char *name, const struct want *wants, size_t count)
{
    struct adp_span file = test_data_read(name);
    size_t found = 0;
    char *text = (char *)(uintptr_t)file.bytes, *end = text + file.count;
    while (text < end) {
        char frame[1024], joined[1024];
        size_t used = 0, kept = 0;
        while (text < end && (*text == '\n' || *text == ' '))
            text++;
        while (text < end && !(text[0] == '\n' && (text + 1 == end || text[1] == '\n')))
            frame[used++] = *text++;
        if (used == 0)
            break;
        for (size_t i = 0; i < used; i++) {
            if (frame[i] == '\n') {
                while (i + 1 < used && frame[i + 1] == ' ')
                    i++;
                continue;
            }
            joined[kept++] = frame[i];
        }
        assert_true(found < count);
        const struct want *want = &wants[found++];
        struct adp_quote quote;
        assert_int_equal(
            MARKET->decode_quote((struct adp_span){(uint8_t *)frame, used}, &quote), want->raw);
        assert_int_equal(
            MARKET->decode_quote((struct adp_span){(uint8_t *)joined, kept}, &quote), want->joined);
        if (want->joined != ADP_OK)
            continue;
        assert_int_equal(quote.is_snapshot, want->is_snapshot);
        assert_int_equal(quote.has_last, want->has_last);
        assert_int_equal(quote.exchange, want->exchange);
        assert_string_equal(quote.token, want->token);
        assert_int_equal(quote.last_e8, want->last_e8);
        assert_int_equal(quote.feed_wall_s, want->feed_wall_s);
    }
    assert_int_equal(found, count);
    free((void *)(uintptr_t)file.bytes);
}

static void samples_give_their_prices(void **state)
{
    (void)state;
    static const struct want tf[] = {
        {ADP_OK, ADP_OK, false, true, IPC_EXCHANGE_NFO, "54957", INT64_C(8420000000), 1658911102},
        {ADP_MALFORMED, ADP_OK, false, true, IPC_EXCHANGE_NFO, "54957", INT64_C(8435000000),
            1658911103},
    };
    static const struct want df[] = {
        {ADP_OK, ADP_OK, false, true, IPC_EXCHANGE_NFO, "54957", INT64_C(7655000000), 1658910520},
        {ADP_OK, ADP_OK, false, false, IPC_EXCHANGE_MCX, "239484", 0, 1658910519},
    };
    /* Both lost characters at the wrap: ..."c":42.20","lp"... */
    static const struct want tk[] = {
        {.raw = ADP_MALFORMED, .joined = ADP_MALFORMED},
        {.raw = ADP_MALFORMED, .joined = ADP_MALFORMED},
    };
    check_file("alice-blue/md-ws-tf.txt", tf, LS_COUNT_OF(tf));
    check_file("alice-blue/md-ws-df.txt", df, LS_COUNT_OF(df));
    check_file("alice-blue/md-ws-tk.txt", tk, LS_COUNT_OF(tk));
}

static void frames_are_this_table(void **state)
{
    (void)state;
    static const struct {
        const char *frame;
        enum adp_rc rc;
        bool is_snapshot;
        int64_t last_e8, lot_qty_e8, tick_e8;
        const char *symbol;
    } rows[] = {
        /* The first sample of tk, as it was before the page lost part of "c". */
        {"{\"t\":\"tk\",\"pp\":\"2\",\"ml\":\"1\",\"e\":\"NFO\",\"tk\":\"54957\",\"ts\":"
         "\"NIFTY28JUL22C16600\",\"ls\":\"50\",\"ti\":\"0.05\",\"c\":\"142.20\",\"lp\":\"84.00\","
         "\"pc\":\"99.05\",\"ft\":\"1658911102\"}",
            ADP_OK, true, INT64_C(8400000000), 50 * LS_E8, 5000000, "NIFTY28JUL22C16600"},
        {"{\"t\":\"dk\",\"e\":\"NSE\",\"tk\":\"22\"}", ADP_OK, true, 0, 0, 0, ""},
        {"{\"t\":\"tf\",\"e\":\"NSE\",\"tk\":\"22\",\"bp1\":\"84.30\"}", ADP_OK, false, 0, 0, 0,
            ""},
        {"{\"t\":\"tf\",\"e\":\"NSE\",\"tk\":\"22\",\"lp\":\"0.00\"}", ADP_OK, false, 0, 0, 0, ""},
        {"{\"t\":\"tf\",\"e\":\"NSE\",\"tk\":\"22\",\"lp\":\"\"}", ADP_OK, false, 0, 0, 0, ""},
        {"{\"t\":\"tf\",\"e\":\"CDS\",\"tk\":\"1\",\"lp\":\"83.0025\"}", ADP_OK, false,
            INT64_C(8300250000), 0, 0, ""},
        {"{\"t\":\"hk\"}", ADP_NOTHING, false, 0, 0, 0, ""},
        {"{\"t\":\"om\",\"norenordno\":\"1\"}", ADP_NOTHING, false, 0, 0, 0, ""},
        {"{\"t\":\"cf\",\"k\":\"OK\"}", ADP_NOTHING, false, 0, 0, 0, ""},
        {"{}", ADP_NOTHING, false, 0, 0, 0, ""},
        {"", ADP_MALFORMED, false, 0, 0, 0, ""},
        {"[]", ADP_MALFORMED, false, 0, 0, 0, ""},
        {"{\"t\":\"tf\",\"e\":\"NSE\",\"tk\":\"22\",\"lp\":\"84.3", ADP_MALFORMED, false, 0, 0, 0,
            ""},
        {"{\"t\":\"tf\",\"e\":\"XXX\",\"tk\":\"22\",\"lp\":\"84.30\"}", ADP_MALFORMED, false, 0, 0,
            0, ""},
        {"{\"t\":\"tf\",\"tk\":\"22\",\"lp\":\"84.30\"}", ADP_MALFORMED, false, 0, 0, 0, ""},
        {"{\"t\":\"tf\",\"e\":\"NSE\",\"lp\":\"84.30\"}", ADP_MALFORMED, false, 0, 0, 0, ""},
        {"{\"t\":\"tf\",\"e\":\"NSE\",\"tk\":\"2x\",\"lp\":\"84.30\"}", ADP_MALFORMED, false, 0, 0,
            0, ""},
        {"{\"t\":\"tf\",\"e\":\"NSE\",\"tk\":\"1234567890123456\",\"lp\":\"1\"}", ADP_MALFORMED,
            false, 0, 0, 0, ""},
        {"{\"t\":\"tf\",\"e\":\"NSE\",\"tk\":\"22\",\"lp\":\"-1\"}", ADP_MALFORMED, false, 0, 0, 0,
            ""},
        {"{\"t\":\"tf\",\"e\":\"NSE\",\"tk\":\"22\",\"lp\":\"1x\"}", ADP_MALFORMED, false, 0, 0, 0,
            ""},
        {"{\"t\":\"tf\",\"e\":\"NSE\",\"tk\":\"22\",\"lp\":\"100000001\"}", ADP_MALFORMED, false, 0,
            0, 0, ""},
        {"{\"t\":\"tf\",\"e\":\"NSE\",\"tk\":\"22\",\"lp\":\"1\",\"lp\":\"2\"}", ADP_MALFORMED,
            false, 0, 0, 0, ""},
        {"{\"t\":\"tk\",\"e\":\"NSE\",\"tk\":\"22\",\"ls\":\"x\"}", ADP_MALFORMED, false, 0, 0, 0,
            ""},
        {"{\"t\":\"tf\",\"e\":\"NSE\",\"tk\":\"22\",\"ft\":\"99999999999999\"}", ADP_MALFORMED,
            false, 0, 0, 0, ""},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct adp_quote quote;
        if (MARKET->decode_quote(test_span(rows[i].frame), &quote) != rows[i].rc)
            fail_msg("row %zu", i);
        if (rows[i].rc != ADP_OK)
            continue;
        assert_int_equal(quote.is_snapshot, rows[i].is_snapshot);
        assert_int_equal(quote.last_e8, rows[i].last_e8);
        assert_int_equal(quote.has_last, rows[i].last_e8 != 0);
        assert_int_equal(quote.lot_qty_e8, rows[i].lot_qty_e8);
        assert_int_equal(quote.tick_e8, rows[i].tick_e8);
        assert_string_equal(quote.symbol, rows[i].symbol);
    }
}

/* No cut of a good frame is taken for one. */
static void cut_frames_are_refused(void **state)
{
    (void)state;
    static const char frame[] = "{\"t\":\"tk\",\"e\":\"NFO\",\"tk\":\"54957\",\"ts\":\"A\",\"ls\":"
                                "\"50\",\"ti\":\"0.05\",\"lp\":\"84.00\",\"ft\":\"1658911102\"}";
    struct adp_quote quote;
    for (size_t count = 0; count + 1 < sizeof(frame); count++)
        assert_int_equal(
            MARKET->decode_quote((struct adp_span){(const uint8_t *)frame, count}, &quote),
            ADP_MALFORMED);
    struct ipc_prng prng;
    const uint64_t seed = 20261121;
    ipc_prng_seed(&prng, seed);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[sizeof(frame)];
        memcpy(bytes, frame, sizeof(frame));
        bytes[ipc_prng_below(&prng, sizeof(frame) - 1)] = (uint8_t)ipc_prng_next(&prng);
        const enum adp_rc rc =
            MARKET->decode_quote((struct adp_span){bytes, sizeof(frame) - 1}, &quote);
        if (rc == ADP_OK)
            assert_true(quote.last_e8 >= 0 && strlen(quote.token) < sizeof(quote.token));
    }
}

static void first_words(void **state)
{
    (void)state;
    char out[512];
    /* sha256 in hex of the hex of sha256("abc"), made with sha256sum. */
    static const char hash[] = "dfe7a23fefeea519e9bbfdd1a6be94c4b2e4529dd6b7cbea83f9959c2621b13c";
    const size_t bytes = MARKET->hello(test_span("abc"), "AB1234", out, sizeof(out));
    assert_true(bytes > 0 && out[bytes] == '\0');
    assert_non_null(strstr(out, hash));
    assert_non_null(strstr(out, "\"t\":\"c\",\"actid\":\"AB1234_API\",\"uid\":\"AB1234_API\""));
    assert_int_equal(MARKET->hello(test_span(""), "AB1234", out, sizeof(out)), 0);
    assert_int_equal(MARKET->hello(test_span("abc"), "A\"B", out, sizeof(out)), 0);
    assert_int_equal(MARKET->hello(test_span("abc"), "AB1234", out, 40), 0);
    assert_int_equal(MARKET->decode_hello(test_span("{\"t\":\"cf\",\"k\":\"OK\"}")), ADP_OK);
    assert_int_equal(MARKET->decode_hello(test_span("{\"t\":\"ck\",\"s\":\"OK\"}")), ADP_OK);
    assert_int_equal(
        MARKET->decode_hello(test_span("{\"t\":\"ck\",\"s\":\"NOT_OK\"}")), ADP_UNSUPPORTED);
    assert_int_equal(
        MARKET->decode_hello(test_span("{\"t\":\"cf\",\"k\":\"NOT_OK\"}")), ADP_UNSUPPORTED);
    assert_int_equal(MARKET->decode_hello(test_span("{\"t\":\"cf\"}")), ADP_UNSUPPORTED);
    assert_int_equal(MARKET->decode_hello(test_span("{\"t\":\"tk\"}")), ADP_NOTHING);
    assert_int_equal(MARKET->decode_hello(test_span("{\"t\":\"cf\",\"k\":\"O")), ADP_NOTHING);

    const size_t body = MARKET->call_body("AB1234", out, sizeof(out));
    assert_int_equal(body, strlen("{\"source\":\"API\",\"userId\":\"AB1234\"}"));
    assert_string_equal(out, "{\"source\":\"API\",\"userId\":\"AB1234\"}");
    assert_int_equal(MARKET->call_body("", out, sizeof(out)), 0);
    assert_int_equal(MARKET->decode_call(200, test_span("{\"status\":\"Ok\"}")), ADP_OK);
    assert_int_equal(MARKET->decode_call(200, test_span("{\"status\":\"Not_ok\"}")), ADP_MALFORMED);
    assert_int_equal(MARKET->decode_call(200, test_span("<html>")), ADP_MALFORMED);
    assert_int_equal(MARKET->decode_call(500, test_span("{\"status\":\"Ok\"}")), ADP_MALFORMED);
    assert_int_equal(MARKET->decode_call(401, test_span("")), ADP_AUTH);

    const struct adp_market_key keys[] = {
        {IPC_EXCHANGE_NFO, "54957"}, {IPC_EXCHANGE_MCX, "239484"}};
    assert_true(MARKET->subscribe(keys, 2, true, out, sizeof(out)) > 0);
    assert_string_equal(out, "{\"k\":\"NFO|54957#MCX|239484\",\"t\":\"t\"}");
    assert_true(MARKET->subscribe(keys, 1, false, out, sizeof(out)) > 0);
    assert_string_equal(out, "{\"k\":\"NFO|54957\",\"t\":\"u\"}");
    for (size_t room = 0; room < strlen("{\"k\":\"NFO|54957\",\"t\":\"u\"}"); room++)
        assert_int_equal(MARKET->subscribe(keys, 1, false, out, room), 0);
    assert_true(MARKET->heartbeat(out, sizeof(out)) > 0);
    assert_string_equal(out, "{\"k\":\"\",\"t\":\"h\"}");
}

static char held[512];

static void each_held(enum ipc_exchange exchange, struct adp_span token, void *context)
{
    (void)context;
    const size_t used = strlen(held);
    snprintf(held + used, sizeof(held) - used, "%s|%.*s#", ipc_exchange_name(exchange),
        (int)token.count, (const char *)token.bytes);
}

static void what_is_held_is_this_table(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum adp_rc rc;
        const char *held;
    } rows[] = {
        {"{\"status\":\"Ok\",\"result\":[]}", ADP_OK, ""},
        {"{\"status\":\"Ok\",\"result\":[{\"instrumentId\":\"7\",\"exchange\":\"NFO\","
         "\"netQuantity\":-65},{\"instrumentId\":\"8\",\"exchange\":\"NFO\",\"netQuantity\":0}]}",
            ADP_OK, "NFO|7#"},
        {"{\"status\":\"Ok\",\"result\":[{\"instrumentId\":7,\"exchange\":\"MCX\",\"netQuantity\":"
         "\"1\"},{\"instrumentId\":\"x\",\"exchange\":\"NSE\"},{\"instrumentId\":\"9\","
         "\"exchange\":"
         "\"XXX\"},{},[],3]}",
            ADP_MALFORMED, "MCX|7#"},
        {"{\"status\":\"Ok\",\"result\":[{\"nseInstrumentId\":\"\",\"bseInstrumentId\":\"500410\"},"
         "{\"nseInstrumentId\":\"0\",\"bseInstrumentId\":\"--\"}]}",
            ADP_OK, "BSE|500410#"},
        {"{\"status\":\"Not_ok\",\"message\":\"No Data\",\"result\":[]}", ADP_MALFORMED, ""},
        {"{\"status\":\"Ok\"}", ADP_MALFORMED, ""},
        {"{\"status\":\"Ok\",\"result\":{}}", ADP_MALFORMED, ""},
        {"<html>", ADP_MALFORMED, ""},
        {"", ADP_MALFORMED, ""},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        held[0] = '\0';
        const enum adp_rc rc = MARKET->decode_held(200, test_span(rows[i].body), each_held, NULL);
        /* A row that is no object holds nothing; whether the list is refused for it is no matter:
         * wanting a price too much or too little does no harm. */
        if (strcmp(held, rows[i].held) != 0 || (rc != rows[i].rc && i != 2))
            fail_msg("row %zu: %d '%s'", i, rc, held);
    }
    assert_int_equal(MARKET->decode_held(401, test_span(""), each_held, NULL), ADP_AUTH);
    assert_int_equal(
        MARKET->decode_held(500, test_span(rows[1].body), each_held, NULL), ADP_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_give_their_prices),
        cmocka_unit_test(frames_are_this_table),
        cmocka_unit_test(cut_frames_are_refused),
        cmocka_unit_test(first_words),
        cmocka_unit_test(what_is_held_is_this_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
