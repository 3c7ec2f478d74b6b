/* The book, first as a table: one order each, into a fresh book, and what becomes of it. */
#include "adapters/sim/book.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define E8(rupees) ((int64_t)((double)(rupees)*100 + ((rupees) < 0 ? -0.5 : 0.5)) * (LS_E8 / 100))
#define WALL       INT64_C(1795235852365548021) /* 2026-11-21 10:07:32 in India */

enum { SHARE, FUTURE, CALL, INDEX };

struct world {
    struct adp_sim_book *book;
    uint32_t account;
};

static void add(struct adp_sim_book *book, enum adp_sim_exchange exchange, enum adp_sim_kind kind,
    uint32_t token, const char *symbol, int64_t lot, int64_t freeze, int64_t last_e8)
{
    struct adp_sim_instrument instrument = {.exchange = exchange,
        .kind = kind,
        .token = token,
        .lot_units = lot,
        .tick_e8 = E8(0.05),
        .freeze_units = freeze,
        .last_e8 = last_e8,
        .strike_e8 = kind == ADP_SIM_OPTION ? E8(24000) : 0,
        .liquidity_units = -1};
    snprintf(instrument.symbol, sizeof(instrument.symbol), "%s", symbol);
    assert_int_not_equal(adp_sim_book_add_instrument(book, &instrument), ADP_SIM_NONE);
}

static struct world make_world(const struct adp_sim_book_config *config, int64_t funds_e8)
{
    struct world world = {.book = adp_sim_book_create(config)};
    add(world.book, ADP_SIM_NSE, ADP_SIM_EQUITY, 22, "ACC-EQ", 1, 0, E8(1000));
    add(world.book, ADP_SIM_NFO, ADP_SIM_FUTURE, 35000, "NIFTY26NOVF", 65, 1800, E8(24000));
    add(world.book, ADP_SIM_NFO, ADP_SIM_OPTION, 35001, "NIFTY26NOVC24000", 65, 1800, E8(100));
    add(world.book, ADP_SIM_NSE, ADP_SIM_INDEX, 26000, "NIFTY 50", 1, 0, E8(24000));
    world.account = adp_sim_book_add_account(world.book, "F1", funds_e8);
    return world;
}

static struct adp_sim_origin origin(const struct world *world, enum adp_sim_source source)
{
    return (struct adp_sim_origin){.account = world->account,
        .source = source,
        .mono_ns = 1000,
        .wall_ns = WALL,
        .connection = 3,
        .stream = 5,
        .address = adp_sim_book_address(world->book, "127.0.0.9")};
}

static struct adp_sim_terms terms(uint32_t instrument, enum adp_sim_side side, int64_t units,
    enum adp_sim_type type, int64_t price_e8, int64_t trigger_e8)
{
    return (struct adp_sim_terms){.instrument = instrument,
        .side = side,
        .type = type,
        .product = instrument == SHARE ? ADP_SIM_INTRADAY : ADP_SIM_NORMAL,
        .validity = ADP_SIM_DAY,
        .complexity = ADP_SIM_REGULAR,
        .units = units,
        .price_e8 = price_e8,
        .trigger_e8 = trigger_e8};
}

static uint32_t place(const struct world *world, struct adp_sim_terms wanted)
{
    struct adp_sim_origin from = origin(world, ADP_SIM_API);
    return adp_sim_book_place(world->book, &from, &wanted, 0);
}

static const struct adp_sim_order *at(const struct world *world, uint32_t index)
{
    return adp_sim_book_order(world->book, index);
}

static void one_order_each(void **state)
{
    static const struct {
        const char *what;
        uint32_t instrument;
        enum adp_sim_side side;
        enum adp_sim_type type;
        double price, trigger;
        int64_t units;
        enum adp_sim_product product; /* 0: the usual one */
        enum adp_sim_source source;
        int refusal;
        enum adp_sim_status status;
        int64_t filled;
        double average;
        const char *reason; /* beginning */
    } rows[] = {
        {"limit below last rests", SHARE, ADP_SIM_BUY, ADP_SIM_LIMIT, 999, 0, 10, 0, ADP_SIM_API, 0,
            ADP_SIM_OPEN, 0, 0, ""},
        {"limit at last fills", SHARE, ADP_SIM_BUY, ADP_SIM_LIMIT, 1000, 0, 10, 0, ADP_SIM_API, 0,
            ADP_SIM_COMPLETE, 10, 1000, ""},
        {"limit above last fills at last", SHARE, ADP_SIM_BUY, ADP_SIM_LIMIT, 1010, 0, 10, 0,
            ADP_SIM_API, 0, ADP_SIM_COMPLETE, 10, 1000, ""},
        {"sell limit above last rests", SHARE, ADP_SIM_SELL, ADP_SIM_LIMIT, 1001, 0, 10, 0,
            ADP_SIM_API, 0, ADP_SIM_OPEN, 0, 0, ""},
        {"sell limit below last fills at last", SHARE, ADP_SIM_SELL, ADP_SIM_LIMIT, 990, 0, 10, 0,
            ADP_SIM_API, 0, ADP_SIM_COMPLETE, 10, 1000, ""},
        {"market from the API", SHARE, ADP_SIM_BUY, ADP_SIM_MARKET, 0, 0, 10, 0, ADP_SIM_API, 838,
            ADP_SIM_REFUSED, 0, 0, ""},
        {"market at the terminal", SHARE, ADP_SIM_BUY, ADP_SIM_MARKET, 0, 0, 10, 0,
            ADP_SIM_TERMINAL, 0, ADP_SIM_COMPLETE, 10, 1000, ""},
        {"stop above last waits", SHARE, ADP_SIM_BUY, ADP_SIM_SL, 1011, 1010, 10, 0, ADP_SIM_API, 0,
            ADP_SIM_TRIGGER_PENDING, 0, 0, ""},
        {"stop already reached fills", SHARE, ADP_SIM_BUY, ADP_SIM_SL, 1005, 1000, 10, 0,
            ADP_SIM_API, 0, ADP_SIM_COMPLETE, 10, 1000, ""},
        {"sell stop below last waits", SHARE, ADP_SIM_SELL, ADP_SIM_SL, 989, 990, 10, 0,
            ADP_SIM_API, 0, ADP_SIM_TRIGGER_PENDING, 0, 0, ""},
        {"SLM from the API", SHARE, ADP_SIM_BUY, ADP_SIM_SLM, 0, 1010, 10, 0, ADP_SIM_API, 838,
            ADP_SIM_REFUSED, 0, 0, ""},
        {"SLM at the terminal waits", SHARE, ADP_SIM_BUY, ADP_SIM_SLM, 0, 1010, 10, 0,
            ADP_SIM_TERMINAL, 0, ADP_SIM_TRIGGER_PENDING, 0, 0, ""},
        {"buy trigger above price", SHARE, ADP_SIM_BUY, ADP_SIM_SL, 1000, 1001, 10, 0, ADP_SIM_API,
            973, ADP_SIM_REFUSED, 0, 0, ""},
        {"sell trigger below price", SHARE, ADP_SIM_SELL, ADP_SIM_SL, 1000, 999, 10, 0, ADP_SIM_API,
            974, ADP_SIM_REFUSED, 0, 0, ""},
        {"no price", SHARE, ADP_SIM_BUY, ADP_SIM_LIMIT, 0, 0, 10, 0, ADP_SIM_API, 958,
            ADP_SIM_REFUSED, 0, 0, ""},
        {"negative price", SHARE, ADP_SIM_BUY, ADP_SIM_LIMIT, -1, 0, 10, 0, ADP_SIM_API, 958,
            ADP_SIM_REFUSED, 0, 0, ""},
        {"no trigger", SHARE, ADP_SIM_BUY, ADP_SIM_SL, 1000, 0, 10, 0, ADP_SIM_API, 960,
            ADP_SIM_REFUSED, 0, 0, ""},
        {"quantity 0", SHARE, ADP_SIM_BUY, ADP_SIM_LIMIT, 1000, 0, 0, 0, ADP_SIM_API, 949,
            ADP_SIM_REFUSED, 0, 0, ""},
        {"quantity negative", SHARE, ADP_SIM_BUY, ADP_SIM_LIMIT, 1000, 0, -10, 0, ADP_SIM_API, 949,
            ADP_SIM_REFUSED, 0, 0, ""},
        {"quantity above fifty million", SHARE, ADP_SIM_BUY, ADP_SIM_LIMIT, 1000, 0, 50000001, 0,
            ADP_SIM_API, 948, ADP_SIM_REFUSED, 0, 0, ""},
        {"not a lot", FUTURE, ADP_SIM_BUY, ADP_SIM_LIMIT, 24000, 0, 64, 0, ADP_SIM_API, 954,
            ADP_SIM_REFUSED, 0, 0, ""},
        {"one lot", FUTURE, ADP_SIM_BUY, ADP_SIM_LIMIT, 24000, 0, 65, 0, ADP_SIM_API, 0,
            ADP_SIM_COMPLETE, 65, 24000, ""},
        {"an index", INDEX, ADP_SIM_BUY, ADP_SIM_LIMIT, 24000, 0, 1, 0, ADP_SIM_API, 980,
            ADP_SIM_REFUSED, 0, 0, ""},
        {"unknown instrument", ADP_SIM_NONE, ADP_SIM_BUY, ADP_SIM_LIMIT, 24000, 0, 1, 0,
            ADP_SIM_API, 947, ADP_SIM_REFUSED, 0, 0, ""},
        {"NORMAL in cash", SHARE, ADP_SIM_BUY, ADP_SIM_LIMIT, 1000, 0, 1, ADP_SIM_NORMAL,
            ADP_SIM_API, 807, ADP_SIM_REFUSED, 0, 0, ""},
        {"delivery in derivatives", FUTURE, ADP_SIM_BUY, ADP_SIM_LIMIT, 24000, 0, 65,
            ADP_SIM_LONGTERM, ADP_SIM_API, 865, ADP_SIM_REFUSED, 0, 0, ""},
        {"MTF in derivatives", FUTURE, ADP_SIM_BUY, ADP_SIM_LIMIT, 24000, 0, 65, ADP_SIM_MTF,
            ADP_SIM_API, 837, ADP_SIM_REFUSED, 0, 0, ""},
        {"price off the tick", SHARE, ADP_SIM_BUY, ADP_SIM_LIMIT, 1000.02, 0, 10, 0, ADP_SIM_API, 0,
            ADP_SIM_REJECTED, 0, 0, "ORA:Price 1000.02 is not a multiple of tick size 0.05 "},
        {"trigger off the tick", SHARE, ADP_SIM_BUY, ADP_SIM_SL, 1010, 1009.99, 10, 0, ADP_SIM_API,
            0, ADP_SIM_REJECTED, 0, 0, "ORA:Trigger price 1009.99"},
        {"at the freeze quantity", CALL, ADP_SIM_BUY, ADP_SIM_LIMIT, 1, 0, 27 * 65, 0, ADP_SIM_API,
            0, ADP_SIM_OPEN, 0, 0, ""},
        {"above the freeze quantity", CALL, ADP_SIM_BUY, ADP_SIM_LIMIT, 1, 0, 28 * 65, 0,
            ADP_SIM_API, 0, ADP_SIM_REJECTED, 0, 0,
            "ORA:Order quantity 1820 is greater than the freeze quantity 1800"},
        {"delivery sell of nothing", SHARE, ADP_SIM_SELL, ADP_SIM_LIMIT, 1000, 0, 1,
            ADP_SIM_LONGTERM, ADP_SIM_API, 0, ADP_SIM_REJECTED, 0, 0,
            "RED:Holdings not sufficient"},
        {"all the money, delivery", SHARE, ADP_SIM_BUY, ADP_SIM_LIMIT, 1000, 0, 1000,
            ADP_SIM_LONGTERM, ADP_SIM_API, 0, ADP_SIM_COMPLETE, 1000, 1000, ""},
        {"one share too many", SHARE, ADP_SIM_BUY, ADP_SIM_LIMIT, 1000, 0, 1001, ADP_SIM_LONGTERM,
            ADP_SIM_API, 0, ADP_SIM_REJECTED, 0, 0,
            "RED:Margin Shortfall:INR 1001000.00 Available:INR 1000000.00 for C-F1"},
        {"five times as much intraday", SHARE, ADP_SIM_BUY, ADP_SIM_LIMIT, 1000, 0, 5000, 0,
            ADP_SIM_API, 0, ADP_SIM_COMPLETE, 5000, 1000, ""},
    };
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct world world = make_world(&(struct adp_sim_book_config){.seed = 1}, E8(1000000));
        struct adp_sim_terms wanted = terms(rows[i].instrument, rows[i].side, rows[i].units,
            rows[i].type, E8(rows[i].price), E8(rows[i].trigger));
        struct adp_sim_origin from = origin(&world, rows[i].source);
        if (rows[i].product != 0)
            wanted.product = rows[i].product;
        const struct adp_sim_order *order =
            at(&world, adp_sim_book_place(world.book, &from, &wanted, 0));
        bool same = order->refusal == rows[i].refusal && order->status == rows[i].status &&
                    order->filled_units == rows[i].filled &&
                    adp_sim_order_average(order) == E8(rows[i].average) &&
                    strncmp(order->reason == NULL ? "" : order->reason, rows[i].reason,
                        strlen(rows[i].reason)) == 0;
        if (!same)
            fail_msg("%s: refusal %d status %s filled %lld average %lld reason %s", rows[i].what,
                order->refusal, adp_sim_status_word(order->status), (long long)order->filled_units,
                (long long)adp_sim_order_average(order), order->reason);
        assert_int_equal(order->broker_order_id[0] == '\0', order->refusal != 0);
        assert_int_equal(adp_sim_book_account(world.book, world.account)->order_count,
            order->refusal == 0 ? 1 : 0);
        adp_sim_book_destroy(world.book);
    }
}

static void every_request_is_kept_with_where_it_came_from(void **state)
{
    struct world world = make_world(&(struct adp_sim_book_config){.seed = 1}, E8(1000000));
    struct adp_sim_terms good = terms(SHARE, ADP_SIM_BUY, 1, ADP_SIM_LIMIT, E8(900), 0);
    struct adp_sim_terms wrong = terms(SHARE, ADP_SIM_BUY, 0, ADP_SIM_LIMIT, E8(900), 0);
    (void)state;
    snprintf(good.tag, sizeof(good.tag), "1TAG");
    uint32_t first = place(&world, good), second = place(&world, wrong),
             third = place(&world, good);
    assert_int_equal(adp_sim_book_order_count(world.book), 3);
    assert_string_equal(at(&world, first)->broker_order_id, "261121000000001");
    assert_string_equal(at(&world, second)->broker_order_id, "");
    assert_string_equal(at(&world, third)->broker_order_id, "261121000000003");
    assert_string_equal(
        at(&world, first)->terms.tag, "1TAG"); /* an equal tag is no reason to refuse */
    assert_string_equal(
        adp_sim_book_address_text(world.book, at(&world, second)->origin.address), "127.0.0.9");
    assert_int_equal(at(&world, second)->origin.connection, 3);
    assert_int_equal(at(&world, second)->origin.stream, 5);
    assert_int_equal(adp_sim_book_find_order(world.book, "261121000000003"), third);
    assert_int_equal(adp_sim_book_find_order(world.book, "261121000000002"), ADP_SIM_NONE);
    assert_int_equal(adp_sim_book_find_order(world.book, "261120000000003"), ADP_SIM_NONE);
    assert_int_equal(adp_sim_book_find_order(world.book, ""), ADP_SIM_NONE);
    adp_sim_book_destroy(world.book);
}

static void prices_fill_what_they_reach(void **state)
{
    struct world world = make_world(&(struct adp_sim_book_config){.seed = 1}, E8(10000000));
    (void)state;
    uint32_t limit = place(&world, terms(SHARE, ADP_SIM_BUY, 10, ADP_SIM_LIMIT, E8(990), 0));
    uint32_t stop = place(&world, terms(SHARE, ADP_SIM_SELL, 10, ADP_SIM_SL, E8(979), E8(980)));
    uint32_t far = place(&world, terms(SHARE, ADP_SIM_BUY, 10, ADP_SIM_SL, E8(1101), E8(1100)));

    adp_sim_book_set_price(world.book, SHARE, E8(991), -1, WALL);
    assert_int_equal(at(&world, limit)->status, ADP_SIM_OPEN);
    adp_sim_book_set_price(world.book, SHARE, E8(985), -1, WALL);
    assert_int_equal(at(&world, limit)->status, ADP_SIM_COMPLETE);
    assert_int_equal(
        adp_sim_order_average(at(&world, limit)), E8(990)); /* resting: its own price */
    assert_int_equal(at(&world, stop)->status, ADP_SIM_TRIGGER_PENDING);
    adp_sim_book_set_price(
        world.book, SHARE, E8(970), -1, WALL); /* triggers, but below its limit */
    assert_int_equal(at(&world, stop)->status, ADP_SIM_OPEN);
    assert_int_equal(at(&world, stop)->filled_units, 0);
    adp_sim_book_set_price(world.book, SHARE, E8(979.5), -1, WALL);
    assert_int_equal(at(&world, stop)->status, ADP_SIM_COMPLETE);
    assert_int_equal(at(&world, far)->status, ADP_SIM_TRIGGER_PENDING);
    adp_sim_book_set_price(world.book, SHARE, E8(1100), -1, WALL);
    assert_int_equal(adp_sim_order_average(at(&world, far)), E8(1100));
    adp_sim_book_destroy(world.book);
}

static void fills_can_be_partial(void **state)
{
    struct world world = make_world(&(struct adp_sim_book_config){.seed = 1}, E8(100000000));
    (void)state;
    uint32_t first = place(&world, terms(SHARE, ADP_SIM_BUY, 100, ADP_SIM_LIMIT, E8(990), 0));
    uint32_t second = place(&world, terms(SHARE, ADP_SIM_BUY, 100, ADP_SIM_LIMIT, E8(990), 0));
    assert_int_equal(adp_sim_book_fill(world.book, first, 30, 0, WALL), 30);
    assert_int_equal(at(&world, first)->status, ADP_SIM_OPEN);
    assert_int_equal(at(&world, first)->filled_units, 30);
    adp_sim_book_set_price(
        world.book, SHARE, E8(989), 100, WALL); /* 70 to the older, 30 to the other */
    assert_int_equal(at(&world, first)->status, ADP_SIM_COMPLETE);
    assert_int_equal(at(&world, second)->filled_units, 30);
    assert_int_equal(adp_sim_book_fill(world.book, second, 1000, E8(988), WALL), 70);
    assert_int_equal(
        adp_sim_order_average(at(&world, second)), (30 * E8(990) + 70 * E8(988)) / 100);
    assert_int_equal(adp_sim_book_fill(world.book, second, 1, 0, WALL), 0);

    struct adp_sim_terms at_once = terms(SHARE, ADP_SIM_BUY, 10, ADP_SIM_LIMIT, E8(990), 0);
    at_once.validity = ADP_SIM_IOC;
    adp_sim_book_set_price(world.book, SHARE, E8(990), 4, WALL);
    uint32_t ioc = place(&world, at_once);
    assert_int_equal(at(&world, ioc)->status, ADP_SIM_CANCELLED);
    assert_int_equal(at(&world, ioc)->filled_units, 4);
    assert_int_equal(at(&world, ioc)->cancelled_units, 6);
    adp_sim_book_destroy(world.book);
}

static struct adp_sim_change change(enum adp_sim_type type, int64_t units, int64_t price_e8)
{
    return (struct adp_sim_change){
        .type = type, .validity = ADP_SIM_DAY, .units = units, .price_e8 = price_e8};
}

static int modify(const struct world *world, uint32_t order, struct adp_sim_change to)
{
    struct adp_sim_origin from = origin(world, ADP_SIM_API);
    return adp_sim_book_modify(world->book, &from, at(world, order)->broker_order_id, &to, NULL);
}

static void orders_are_modified_absolutely(void **state)
{
    struct world world = make_world(&(struct adp_sim_book_config){.seed = 1}, E8(1000000));
    (void)state;
    uint32_t order = place(&world, terms(SHARE, ADP_SIM_BUY, 10, ADP_SIM_LIMIT, E8(990), 0));
    assert_int_equal(modify(&world, order, change(ADP_SIM_LIMIT, 20, E8(991))), 0);
    assert_int_equal(at(&world, order)->terms.units, 20);
    assert_int_equal(at(&world, order)->asked_units, 10);
    /* The exchange refuses in the book: the order goes on with its old terms. */
    assert_int_equal(modify(&world, order, change(ADP_SIM_LIMIT, 30, E8(991.01))), 0);
    assert_int_equal(at(&world, order)->terms.units, 20);
    assert_int_equal(at(&world, order)->status, ADP_SIM_OPEN);
    assert_non_null(at(&world, order)->reason);
    adp_sim_book_fill(world.book, order, 5, 0, WALL);
    assert_int_equal(modify(&world, order, change(ADP_SIM_LIMIT, 5, E8(991))), 993);
    assert_int_equal(modify(&world, order, change(ADP_SIM_MARKET, 20, 0)), 838);
    assert_int_equal(modify(&world, order, change(ADP_SIM_LIMIT, 6, E8(1000))), 0);
    assert_int_equal(
        at(&world, order)->status, ADP_SIM_COMPLETE); /* the new price was marketable */
    assert_int_equal(at(&world, order)->filled_units, 6);
    assert_int_equal(modify(&world, order, change(ADP_SIM_LIMIT, 20, E8(991))), 993);
    adp_sim_book_destroy(world.book);
}

static void strangers_orders_do_not_exist(void **state)
{
    struct world world = make_world(&(struct adp_sim_book_config){.seed = 1}, E8(1000000));
    struct world other = world;
    (void)state;
    other.account = adp_sim_book_add_account(world.book, "F2", E8(1000));
    uint32_t order = place(&world, terms(SHARE, ADP_SIM_BUY, 10, ADP_SIM_LIMIT, E8(990), 0));
    struct adp_sim_origin stranger = origin(&other, ADP_SIM_API),
                          owner = origin(&world, ADP_SIM_API);
    const char *id = at(&world, order)->broker_order_id;
    assert_int_equal(adp_sim_book_cancel(world.book, &stranger, id, NULL), 997);
    assert_int_equal(modify(&other, order, change(ADP_SIM_LIMIT, 20, E8(991))), 999);
    assert_int_equal(adp_sim_book_cancel(world.book, &owner, "nonsense", NULL), 997);
    assert_int_equal(adp_sim_book_cancel(world.book, &owner, id, NULL), 0);
    assert_int_equal(at(&world, order)->status, ADP_SIM_CANCELLED);
    assert_int_equal(at(&world, order)->cancelled_units, 10);
    assert_int_equal(adp_sim_book_cancel(world.book, &owner, id, NULL), 997);
    assert_int_equal(adp_sim_book_act_count(world.book), 5);
    assert_int_equal(adp_sim_book_act(world.book, 0)->refusal, 997);
    assert_int_equal(adp_sim_book_act(world.book, 3)->refusal, 0);
    adp_sim_book_destroy(world.book);
}

static void money_follows_orders_and_positions(void **state)
{
    struct world world = make_world(&(struct adp_sim_book_config){.seed = 1}, E8(100000));
    const struct adp_sim_account *account = adp_sim_book_account(world.book, world.account);
    struct adp_sim_terms buy = terms(SHARE, ADP_SIM_BUY, 100, ADP_SIM_LIMIT, E8(990), 0);
    struct adp_sim_terms sell = terms(SHARE, ADP_SIM_SELL, 60, ADP_SIM_LIMIT, E8(1000), 0);
    (void)state;
    buy.product = sell.product = ADP_SIM_LONGTERM;
    uint32_t order = place(&world, buy);
    assert_int_equal(adp_sim_book_available(account), E8(1000));
    struct adp_sim_origin owner = origin(&world, ADP_SIM_API);
    adp_sim_book_cancel(world.book, &owner, at(&world, order)->broker_order_id, NULL);
    assert_int_equal(adp_sim_book_available(account), E8(100000));

    order = place(&world, buy);
    adp_sim_book_fill(world.book, order, 100, 0, WALL);
    assert_int_equal(account->positions[0].net_units, 100);
    uint32_t first = place(&world, sell); /* fills at 1,000: ten rupees a share */
    assert_int_equal(at(&world, first)->status, ADP_SIM_COMPLETE);
    assert_int_equal(account->realized_e8, E8(600));
    assert_int_equal(account->positions[0].net_units, 40);
    assert_int_equal(adp_sim_book_available(account), E8(100000 + 600 - 40 * 990));
    sell.price_e8 = E8(1100);
    sell.units = 40;
    assert_int_equal(at(&world, place(&world, sell))->status, ADP_SIM_OPEN);
    /* The same forty shares are not sold twice. */
    assert_int_equal(at(&world, place(&world, sell))->status, ADP_SIM_REJECTED);
    adp_sim_book_destroy(world.book);
}

static void the_exchange_may_be_slow(void **state)
{
    struct world world = make_world(
        &(struct adp_sim_book_config){.seed = 1, .exchange_latency_ns = 500}, E8(1000000));
    (void)state;
    uint32_t order = place(&world, terms(SHARE, ADP_SIM_BUY, 10, ADP_SIM_LIMIT, E8(1000), 0));
    uint32_t other = place(&world, terms(SHARE, ADP_SIM_BUY, 10, ADP_SIM_LIMIT, E8(1000), 0));
    struct adp_sim_origin owner = origin(&world, ADP_SIM_API);
    assert_int_equal(at(&world, order)->status, ADP_SIM_PENDING);
    assert_int_equal(adp_sim_book_next_due(world.book), 1500);
    assert_int_equal(
        adp_sim_book_cancel(world.book, &owner, at(&world, other)->broker_order_id, NULL), 0);
    adp_sim_book_advance(world.book, 1499, WALL);
    assert_int_equal(at(&world, order)->status, ADP_SIM_PENDING);
    adp_sim_book_advance(world.book, 1500, WALL);
    assert_int_equal(at(&world, order)->status, ADP_SIM_COMPLETE);
    assert_int_equal(at(&world, other)->status, ADP_SIM_CANCELLED);
    assert_int_equal(adp_sim_book_next_due(world.book), INT64_MAX);
    adp_sim_book_destroy(world.book);
}

static void protection_makes_a_market_order_a_limit(void **state)
{
    struct world world = make_world(&(struct adp_sim_book_config){.seed = 1}, E8(1000000));
    struct adp_sim_terms wanted = terms(SHARE, ADP_SIM_BUY, 10, ADP_SIM_MARKET, 0, 0);
    (void)state;
    wanted.protection_e8 = LS_E8;
    assert_int_equal(at(&world, place(&world, wanted))->status, ADP_SIM_COMPLETE);
    wanted.protection_e8 = -1;
    assert_int_equal(at(&world, place(&world, wanted))->refusal, 988);
    adp_sim_book_destroy(world.book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_order_each),
        cmocka_unit_test(every_request_is_kept_with_where_it_came_from),
        cmocka_unit_test(prices_fill_what_they_reach),
        cmocka_unit_test(fills_can_be_partial),
        cmocka_unit_test(orders_are_modified_absolutely),
        cmocka_unit_test(strangers_orders_do_not_exist),
        cmocka_unit_test(money_follows_orders_and_positions),
        cmocka_unit_test(the_exchange_may_be_slow),
        cmocka_unit_test(protection_makes_a_market_order_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
