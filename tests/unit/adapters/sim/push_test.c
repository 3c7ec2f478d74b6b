/* The push side without sockets: what frames say, what deltas leave out, who may connect, and which
 * frame meets which fault. */
#include "adapters/sim/push.h"

#include "adapters/sim/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEARTBEAT_NS (60 * LS_NS_PER_S)

struct world {
    struct adp_sim_book *book;
    struct adp_sim_push *push;
    struct adp_sim_push_conn *conns[8];
    uint32_t conn_count;
    int wakes;
};

static void on_wake(void *context)
{
    ((struct world *)context)->wakes++;
}

static int make_world(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    struct adp_sim_instrument instrument = {.exchange = ADP_SIM_NSE,
        .kind = ADP_SIM_EQUITY,
        .token = 2885,
        .symbol = "RELIANCE-EQ",
        .name = "RELIANCE",
        .lot_units = 1,
        .tick_e8 = LS_E8 / 10,
        .last_e8 = 1400 * LS_E8,
        .previous_e8 = 1000 * LS_E8,
        .liquidity_units = -1};
    world->book = adp_sim_book_create(&(struct adp_sim_book_config){.seed = 1});
    assert_int_equal(adp_sim_book_add_instrument(world->book, &instrument), 0);
    assert_int_equal(adp_sim_book_add_account(world->book, "M1", 10000000 * LS_E8), 0);
    assert_int_equal(adp_sim_book_add_account(world->book, "M2", 10000000 * LS_E8), 1);
    world->push = adp_sim_push_create(
        world->book, &(struct adp_sim_push_config){.heartbeat_ns = HEARTBEAT_NS, .seed = 5}, NULL);
    adp_sim_push_set_session(world->push, 0, "session-of-m1");
    adp_sim_push_set_session(world->push, 1, "session-of-m2");
    adp_sim_push_on_wake(world->push, on_wake, world);
    *state = world;
    return 0;
}

static int end_world(void **state)
{
    struct world *world = *state;
    for (uint32_t i = 0; i < world->conn_count; i++)
        adp_sim_push_close(world->push, world->conns[i]);
    adp_sim_push_destroy(world->push);
    adp_sim_book_destroy(world->book);
    free(world);
    return 0;
}

static struct adp_sim_push_conn *open_conn(struct world *world, enum adp_sim_channel channel)
{
    struct adp_sim_push_conn *conn =
        adp_sim_push_open(world->push, channel, world, adp_sim_mono_ns());
    world->conns[world->conn_count++] = conn;
    return conn;
}

static void say(struct world *world, struct adp_sim_push_conn *conn, const char *text)
{
    adp_sim_push_receive(world->push, conn, text, strlen(text), adp_sim_mono_ns());
}

static char message[4096]; /* what was taken last */

/* Takes what is due at mono_ns; the text is valid until the next call. */
static enum adp_sim_push_act take_at(
    struct world *world, struct adp_sim_push_conn *conn, int64_t mono_ns, const char **text_out)
{
    static struct adp_sim_text text;
    enum adp_sim_push_act act = adp_sim_push_take(world->push, conn, mono_ns, &text);
    snprintf(message, sizeof(message), "%s", text.length == 0 ? "" : text.bytes);
    adp_sim_text_free(&text);
    text = (struct adp_sim_text){0};
    *text_out = message;
    return act;
}

/* The next message that is due now, "" for none. */
static const char *heard(struct world *world, struct adp_sim_push_conn *conn)
{
    const char *text;
    take_at(world, conn, adp_sim_mono_ns(), &text);
    return message;
}

static struct adp_sim_push_conn *login(struct world *world, uint32_t account)
{
    char token[ADP_SIM_ORDER_TOKEN_HEX + 1], text[256];
    struct adp_sim_push_conn *conn = open_conn(world, ADP_SIM_CHANNEL_ORDER);
    assert_int_equal(adp_sim_push_order_token(world->push, account, token), ADP_SIM_TOKEN_GOOD);
    snprintf(text, sizeof(text), "{\"orderToken\":\"%s\",\"userId\":\"%s\"}", token,
        adp_sim_book_account(world->book, account)->id);
    say(world, conn, text);
    assert_string_equal(heard(world, conn), "{\"status\":\"Ok\"}");
    return conn;
}

static uint32_t place(struct world *world, int64_t units, int64_t price_e8, const char *tag)
{
    struct adp_sim_origin origin = {.account = 0,
        .source = ADP_SIM_TERMINAL,
        .mono_ns = adp_sim_mono_ns(),
        .wall_ns = INT64_C(1753345800) * LS_NS_PER_S}; /* 24 July 2025, 14:00:00 in India */
    struct adp_sim_terms terms = {.instrument = 0,
        .token = 2885,
        .exchange = ADP_SIM_NSE,
        .side = ADP_SIM_BUY,
        .type = ADP_SIM_LIMIT,
        .product = ADP_SIM_LONGTERM,
        .validity = ADP_SIM_DAY,
        .complexity = ADP_SIM_REGULAR,
        .units = units,
        .price_e8 = price_e8};
    snprintf(terms.tag, sizeof(terms.tag), "%s", tag);
    return adp_sim_book_place(world->book, &origin, &terms, 0);
}

static bool fault(struct world *world, const char *text)
{
    char error[256] = "";
    json_t *parsed = json_loads(text, 0, NULL);
    assert_non_null(parsed);
    bool done = adp_sim_push_fault(world->push, parsed, error, sizeof(error));
    json_decref(parsed);
    assert_int_equal(done, error[0] == '\0');
    return done;
}

/* ---- frames */

static void test_order_frame(void **state)
{
    struct world *world = *state;
    struct adp_sim_text text = {0};
    uint32_t order = place(world, 10, 130050 * (LS_E8 / 100), "tag \"7\"");
    adp_sim_put_order_frame(&text, world->book, order, ADP_SIM_REPORT_NEW, ADP_SIM_NONE);
    assert_string_equal(text.bytes,
        "{\"t\":\"om\",\"norenordno\":\"250724000000001\",\"uid\":\"M1\",\"actid\":\"M1\","
        "\"qty\":\"10\",\"prc\":\"1300.50\",\"pcode\":\"C\",\"remarks\":\"tag \\\"7\\\"\","
        "\"rejreason\":\"\",\"prctyp\":\"LMT\",\"ret\":\"DAY\",\"dscqty\":\"0\","
        "\"trantype\":\"B\",\"exch\":\"NSE\",\"tsym\":\"RELIANCE-EQ\",\"status\":\"OPEN\","
        "\"reporttype\":\"New\",\"exchordid\":\"1100000000000001\","
        "\"exch_tm\":\"24-07-2025 14:00:00\",\"tm\":\"24-07-2025 14:00:00\","
        "\"ntm\":\"14:00:00 24-07-2025\"}");
    int64_t later_ns = INT64_C(1753345861) * LS_NS_PER_S;
    assert_int_equal(adp_sim_book_fill(world->book, order, 4, 1300 * LS_E8, later_ns), 4);
    text.length = 0;
    adp_sim_put_order_frame(&text, world->book, order, ADP_SIM_REPORT_FILL, 0);
    assert_non_null(strstr(text.bytes, "\"status\":\"OPEN\",\"reporttype\":\"Fill\""));
    assert_non_null(strstr(text.bytes,
        "\"fillshares\":\"4\",\"avgprc\":\"1300.00\",\"fltm\":\"24-07-2025 14:01:01\","
        "\"flid\":\"200000001\",\"flqty\":\"4\",\"flprc\":\"1300.00\""));
    adp_sim_text_free(&text);
}

static void test_webhook_has_every_field(void **state)
{
    static const char *const fields[] = {"norenordno", "actid", "exch", "tsym", "qty", "prc", "prd",
        "status", "reporttype", "trantype", "prctyp", "ret", "fillshares", "avgprc", "fltm", "flid",
        "flqty", "flprc", "rejreason", "exchordid", "cancelqty", "remarks", "dscqty", "trgprc",
        "snonum", "snoordt", "blprc", "bpprc", "trailprc", "exch_tm", "amo", "tm", "ntm", "kidid",
        "sno_fillid", "pcode"};
    struct world *world = *state;
    struct adp_sim_text text = {0};
    uint32_t order = place(world, 10, 1300 * LS_E8, "");
    adp_sim_put_webhook(&text, world->book, order, ADP_SIM_REPORT_PENDING, ADP_SIM_NONE);
    json_t *parsed = json_loads(text.bytes, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_object_size(parsed), LS_COUNT_OF(fields));
    for (size_t i = 0; i < LS_COUNT_OF(fields); i++)
        assert_true(json_is_string(json_object_get(parsed, fields[i])));
    assert_string_equal(json_string_value(json_object_get(parsed, "prd")), "CNC");
    json_decref(parsed);
    adp_sim_text_free(&text);
}

static void test_quote_deltas(void **state)
{
    struct world *world = *state;
    const struct adp_sim_instrument *instrument = adp_sim_book_instrument(world->book, 0);
    struct adp_sim_quote first = {0}, second;
    struct adp_sim_text text = {0};

    assert_true(adp_sim_put_quote(&text, instrument, false, NULL, &first));
    assert_string_equal(text.bytes,
        "{\"t\":\"tk\",\"pp\":\"2\",\"ml\":\"1\",\"e\":\"NSE\",\"tk\":\"2885\","
        "\"ts\":\"RELIANCE-EQ\",\"ls\":\"1\",\"ti\":\"0.10\",\"c\":\"1000.00\"}"); /* no price */
    adp_sim_quote_update(&first, instrument, 1234 * LS_E8, -1, 7 * LS_NS_PER_S);
    text.length = 0;
    assert_true(adp_sim_put_quote(&text, instrument, false, NULL, &first));
    assert_non_null(strstr(text.bytes, "\"lp\":\"1234.00\",\"pc\":\"23.40\",\"ft\":\"7\""));
    second = first;
    text.length = 0;
    assert_false(adp_sim_put_quote(&text, instrument, false, &first, &second));
    assert_int_equal(text.length, 0);
    adp_sim_quote_update(&second, instrument, 1230 * LS_E8, -1, 7 * LS_NS_PER_S);
    assert_true(adp_sim_put_quote(&text, instrument, false, &first, &second));
    assert_string_equal(text.bytes,
        "{\"t\":\"tf\",\"e\":\"NSE\",\"tk\":\"2885\",\"lp\":\"1230.00\",\"pc\":\"23.00\","
        "\"l\":\"1230.00\",\"ap\":\"1232.00\",\"v\":\"2\",\"bp1\":\"1229.90\","
        "\"sp1\":\"1230.10\"}");
    adp_sim_text_free(&text);
}

/* ---- who may connect */

static void test_order_tokens(void **state)
{
    struct world *world = *state;
    char first[ADP_SIM_ORDER_TOKEN_HEX + 1], token[ADP_SIM_ORDER_TOKEN_HEX + 1], text[256];
    const char *said;
    struct adp_sim_push_conn *conn = open_conn(world, ADP_SIM_CHANNEL_ORDER);

    assert_int_equal(adp_sim_push_order_token(world->push, 0, first), ADP_SIM_TOKEN_GOOD);
    assert_int_equal(strspn(first, "0123456789abcdef"), ADP_SIM_ORDER_TOKEN_HEX);
    /* Nine tokens: the first is forgotten. */
    for (int i = 0; i < ADP_SIM_PUSH_TOKENS; i++) {
        assert_int_equal(adp_sim_push_order_token(world->push, 0, token), ADP_SIM_TOKEN_GOOD);
        assert_string_not_equal(token, first);
    }
    snprintf(text, sizeof(text), "{\"orderToken\":\"%s\",\"userId\":\"M1\"}", first);
    say(world, conn, text);
    assert_non_null(strstr(heard(world, conn), "Not_ok"));
    assert_int_equal(take_at(world, conn, adp_sim_mono_ns(), &said), ADP_SIM_PUSH_END);
    /* The last is good, once. */
    snprintf(text, sizeof(text), "{\"orderToken\":\"%s\",\"userId\":\"M1\"}", token);
    conn = open_conn(world, ADP_SIM_CHANNEL_ORDER);
    say(world, conn, text);
    assert_string_equal(heard(world, conn), "{\"status\":\"Ok\"}");
    conn = open_conn(world, ADP_SIM_CHANNEL_ORDER);
    say(world, conn, text);
    assert_non_null(strstr(heard(world, conn), "Not_ok"));
    /* A free place of the ring is not a token. */
    conn = open_conn(world, ADP_SIM_CHANNEL_ORDER);
    say(world, conn, "{\"orderToken\":\"\",\"userId\":\"M2\"}");
    assert_non_null(strstr(heard(world, conn), "Not_ok"));
    adp_sim_push_set_token_answer(world->push, 1, ADP_SIM_TOKEN_EMPTY);
    assert_int_equal(adp_sim_push_order_token(world->push, 1, token), ADP_SIM_TOKEN_EMPTY);
    assert_string_equal(token, "");
}

static void test_heartbeats(void **state)
{
    struct world *world = *state;
    const char *said;
    struct adp_sim_push_conn *conn = login(world, 0), *stranger;
    int64_t due_ns = adp_sim_push_due(world->push, conn);
    say(world, conn, "{\"heartbeat\":\"h\",\"userId\":\"M2\"}"); /* of somebody else */
    say(world, conn, "{\"heartbeat\":\"x\",\"userId\":\"M1\"}");
    say(world, conn, "not even JSON");
    assert_int_equal(adp_sim_push_due(world->push, conn), due_ns);
    say(world, conn, "{\"heartbeat\":\"h\",\"userId\":\"M1\"}");
    int64_t later_ns = adp_sim_push_due(world->push, conn);
    assert_true(later_ns > due_ns);
    assert_int_equal(take_at(world, conn, later_ns - 1, &said), ADP_SIM_PUSH_WAIT);
    assert_int_equal(take_at(world, conn, later_ns, &said), ADP_SIM_PUSH_END);
    stranger = open_conn(world, ADP_SIM_CHANNEL_MARKET);
    due_ns = adp_sim_push_due(world->push, stranger);
    say(world, stranger, "{\"t\":\"h\",\"k\":\"\"}"); /* nobody's heartbeat is a bad login */
    assert_int_equal(take_at(world, stranger, due_ns - 1, &said), ADP_SIM_PUSH_SEND);
    assert_int_equal(take_at(world, stranger, due_ns - 1, &said), ADP_SIM_PUSH_END);
}

/* sha256hex(sha256hex("session-of-m1")), computed apart from the program with sha256sum. */
#define HASH_M1 "b297811ae5633d5b6aaa125e01788535b4307b43ab4a3ce7486e479720e35598"
#define MARKET_LOGIN(hash, uid)                                                                    \
    "{\"susertoken\":\"" hash "\",\"t\":\"c\",\"actid\":\"" uid "\",\"uid\":\"" uid                \
    "\",\"source\":\"API\"}"

static void test_market_login(void **state)
{
    struct world *world = *state;
    struct adp_sim_push_conn *conn = open_conn(world, ADP_SIM_CHANNEL_MARKET);
    say(world, conn, MARKET_LOGIN(HASH_M1, "M1_API")); /* before createWsSess */
    assert_string_equal(heard(world, conn), "{\"t\":\"cf\",\"k\":\"NOT_OK\"}");
    adp_sim_push_market_session(world->push, 0, true);
    conn = open_conn(world, ADP_SIM_CHANNEL_MARKET);
    say(world, conn, MARKET_LOGIN(HASH_M1, "M2_API"));
    assert_string_equal(heard(world, conn), "{\"t\":\"cf\",\"k\":\"NOT_OK\"}");
    conn = open_conn(world, ADP_SIM_CHANNEL_MARKET);
    say(world, conn, MARKET_LOGIN(HASH_M1, "M1_API"));
    assert_string_equal(heard(world, conn), "{\"t\":\"cf\",\"k\":\"OK\"}");
    say(world, conn, "{\"k\":\"NSE|2885#BSE|2885#NSE#|#NSE|x\",\"t\":\"t\"}");
    assert_non_null(strstr(heard(world, conn), "\"t\":\"tk\",\"pp\":\"2\""));
    assert_string_equal(heard(world, conn), "");
    adp_sim_book_set_price(world->book, 0, 1500 * LS_E8, -1, 0);
    assert_non_null(strstr(heard(world, conn), "\"lp\":\"1500.00\""));
    adp_sim_push_tick(world->push, 1753345801 * LS_NS_PER_S);
    assert_string_equal(heard(world, conn),
        "{\"t\":\"tf\",\"e\":\"NSE\",\"tk\":\"2885\",\"ft\":\"1753345801\",\"v\":\"3\"}");
    assert_string_equal(heard(world, conn), "");
    adp_sim_push_market_session(world->push, 0, false);
    const char *said;
    assert_int_equal(take_at(world, conn, adp_sim_mono_ns(), &said), ADP_SIM_PUSH_END);
}

/* ---- frames on their way */

static const char *status_of(const char *frame)
{
    static char word[32];
    const char *at = strstr(frame, "\"status\":\"");
    word[0] = '\0';
    if (at != NULL)
        (void)sscanf(at + 10, "%31[A-Z_]", word);
    return word;
}

static void test_frames_and_faults(void **state)
{
    struct world *world = *state;
    struct adp_sim_push_conn *conn = login(world, 0), *other = login(world, 1);
    const char *said;

    place(world, 1, 1300 * LS_E8, "a");
    assert_true(world->wakes >= 2);
    assert_ptr_equal(adp_sim_push_work(world->push), world);
    assert_string_equal(status_of(heard(world, conn)), "PENDING");
    assert_string_equal(status_of(heard(world, conn)), "OPEN");
    assert_string_equal(heard(world, conn), "");
    assert_string_equal(heard(world, other), "");

    /* An account's own faults go before those of all, each as often as asked. */
    assert_true(fault(world, "{\"fault\":\"drop\",\"account\":\"M1\",\"channel\":\"order\"}"));
    assert_true(fault(world, "{\"fault\":\"duplicate\",\"channel\":\"order\"}"));
    place(world, 1, 1300 * LS_E8, "b");
    assert_string_equal(status_of(heard(world, conn)), "OPEN");
    assert_string_equal(status_of(heard(world, conn)), "OPEN");
    assert_string_equal(heard(world, conn), "");

    assert_true(fault(world, "{\"fault\":\"reorder\",\"channel\":\"order\"}"));
    place(world, 1, 1300 * LS_E8, "c");
    assert_string_equal(status_of(heard(world, conn)), "OPEN");
    assert_string_equal(status_of(heard(world, conn)), "PENDING");

    assert_true(fault(world, "{\"fault\":\"delay\",\"channel\":\"order\",\"delay_ms\":60000}"));
    place(world, 1, 1300 * LS_E8, "d");
    assert_string_equal(heard(world, conn), ""); /* the second waits behind the first */
    say(world, conn, "{\"heartbeat\":\"h\",\"userId\":\"M1\"}");
    int64_t then_ns = adp_sim_mono_ns() + 59 * LS_NS_PER_S;
    assert_int_equal(take_at(world, conn, then_ns, &said), ADP_SIM_PUSH_WAIT);
    assert_true(fault(world, "{\"fault\":\"cut\",\"account\":\"M1\"}"));
    assert_int_equal(take_at(world, conn, adp_sim_mono_ns(), &said), ADP_SIM_PUSH_RESET);
    assert_int_equal(take_at(world, other, adp_sim_mono_ns(), &said), ADP_SIM_PUSH_WAIT);

    conn = login(world, 0);
    assert_true(fault(world, "{\"fault\":\"half\",\"channel\":\"order\"}"));
    place(world, 1, 1300 * LS_E8, "e");
    assert_int_equal(take_at(world, conn, adp_sim_mono_ns(), &said), ADP_SIM_PUSH_SEND_HALF);
    assert_true(fault(world, "{\"fault\":\"stall\",\"account\":\"M1\",\"for_ms\":50000}"));
    assert_int_equal(take_at(world, conn, adp_sim_mono_ns(), &said), ADP_SIM_PUSH_WAIT);
    assert_true(adp_sim_push_due(world->push, conn) > adp_sim_mono_ns() + 40 * LS_NS_PER_S);
    assert_true(fault(world, "{\"fault\":\"clear\"}"));
    assert_string_equal(status_of(heard(world, conn)), "OPEN");

    assert_int_equal(adp_sim_push_restart_ns(world->push), 0);
    assert_true(fault(world, "{\"fault\":\"restart\",\"for_ms\":250}"));
    assert_int_equal(adp_sim_push_restart_ns(world->push), 250 * LS_NS_PER_MS);
    assert_int_equal(adp_sim_push_restart_ns(world->push), 0);
    assert_false(adp_sim_push_refuses(world->push));
    assert_true(fault(world, "{\"fault\":\"refuse\"}"));
    assert_true(adp_sim_push_refuses(world->push));
}

static void test_webhook_addresses(void **state)
{
    struct world *world = *state;
    char url[ADP_SIM_PUSH_URL_BYTES + 8];
    for (int i = 0; i < ADP_SIM_PUSH_HOOKS; i++) {
        snprintf(url, sizeof(url), "http://127.0.0.1:%d/", i + 1);
        assert_true(adp_sim_push_subscribe(world->push, 0, url));
        assert_true(adp_sim_push_subscribe(world->push, 0, url)); /* known: kept once */
    }
    assert_false(adp_sim_push_subscribe(world->push, 0, "http://127.0.0.1:9/"));
    assert_true(adp_sim_push_subscribe(world->push, 1, "https://127.0.0.1:9/"));
    assert_false(adp_sim_push_subscribe(world->push, 1, "ftp://127.0.0.1/"));
    memset(url, 'x', sizeof(url) - 1);
    memcpy(url, "http://", 7);
    url[sizeof(url) - 1] = '\0';
    assert_false(adp_sim_push_subscribe(world->push, 1, url));
    assert_true(adp_sim_push_unsubscribe(world->push, 0, "http://127.0.0.1:3/"));
    assert_false(adp_sim_push_unsubscribe(world->push, 0, "http://127.0.0.1:3/"));
    assert_true(adp_sim_push_subscribe(world->push, 0, "http://127.0.0.1:9/"));
}

static void test_bad_faults(void **state)
{
    static const char *const bad[] = {"{}", "{\"fault\":\"none\"}", "{\"fault\":7}",
        "{\"fault\":\"cut\",\"account\":\"X\"}", "{\"fault\":\"cut\",\"account\":1}",
        "{\"fault\":\"drop\",\"count\":-1}", "{\"fault\":\"drop\",\"count\":\"1\"}",
        "{\"fault\":\"drop\",\"channel\":\"phone\"}", "{\"fault\":\"cut\",\"how\":\"gently\"}",
        "{\"fault\":\"half\",\"channel\":\"webhook\"}", "{\"fault\":\"no_token\",\"answer\":\"x\"}",
        "{\"fault\":\"restart\",\"account\":\"M1\"}", "{\"fault\":\"cut\",\"other\":1}",
        "{\"fault\":\"delay\",\"delay_ms\":3600001}"};
    struct world *world = *state;
    for (size_t i = 0; i < LS_COUNT_OF(bad); i++)
        assert_false(fault(world, bad[i]));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, end_world)
    const struct CMUnitTest tests[] = {
        TEST(test_order_frame),
        TEST(test_webhook_has_every_field),
        TEST(test_quote_deltas),
        TEST(test_order_tokens),
        TEST(test_heartbeats),
        TEST(test_market_login),
        TEST(test_frames_and_faults),
        TEST(test_webhook_addresses),
        TEST(test_bad_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
