#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/core/protect.h"

#define PAISE INT64_C(1000000) /* 0.01 */

static void ticks_never_widen_the_guard(void **state)
{
    (void)state;
    static const struct {
        int64_t price, tick;
        enum ipc_side side;
        int64_t expected;
    } rows[] = {
        {10003, 5, IPC_SIDE_BUY, 10000},
        {10003, 5, IPC_SIDE_SELL, 10005},
        {10005, 5, IPC_SIDE_BUY, 10005},
        {10005, 5, IPC_SIDE_SELL, 10005},
        {4, 5, IPC_SIDE_SELL, 5},
        {10003, 0, IPC_SIDE_BUY, 10003},
        {0, 5, IPC_SIDE_SELL, 0},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++)
        assert_int_equal(
            eng_tick_round(rows[i].price * PAISE, rows[i].tick * PAISE, (uint8_t)rows[i].side),
            rows[i].expected * PAISE);
}

static void the_published_grid_protects(void **state)
{
    (void)state;
    static const struct eng_core_config config = {0};
    static const struct {
        int64_t price, tick;
        enum ipc_side side;
        bool option;
        int64_t expected; /* all in paise */
    } rows[] = {
        {5000, 5, IPC_SIDE_BUY, false, 5100}, /* below 100: 2 % */
        {5000, 5, IPC_SIDE_SELL, false, 4900},
        {9999, 1, IPC_SIDE_BUY, false, 10198},  /* 101.9898, down */
        {10000, 5, IPC_SIDE_BUY, false, 10100}, /* 100 to 500: 1 % */
        {50000, 5, IPC_SIDE_BUY, false, 50500},
        {50005, 5, IPC_SIDE_BUY, false, 50255},    /* above 500: 0.5 % */
        {285050, 5, IPC_SIDE_SELL, false, 283625}, /* 2836.2475, up */
        {50, 5, IPC_SIDE_BUY, true, 60},           /* premium below 1: ten paise */
        {500, 5, IPC_SIDE_BUY, true, 525},         /* 1 to 10: 5 % */
        {5000, 5, IPC_SIDE_BUY, true, 5150},       /* 10 to 100: 3 % */
        {12000, 5, IPC_SIDE_SELL, true, 11760},    /* 100 to 500: 2 % */
        {60000, 5, IPC_SIDE_BUY, true, 60600},     /* above: 1 % */
        {5, 5, IPC_SIDE_SELL, true, 5},            /* never below one tick */
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        int64_t got = eng_protected_price(&config, rows[i].price * PAISE, rows[i].tick * PAISE,
            (uint8_t)rows[i].side, rows[i].option);
        if (got != rows[i].expected * PAISE)
            fail_msg("row %zu: %lld paise", i, (long long)(got / PAISE));
    }
}

static void a_configured_grid_stands_before_the_published(void **state)
{
    (void)state;
    struct eng_core_config config = {
        .cash_band_count = 1, .cash_bands = {{.below_e8 = INT64_MAX, .fraction_e8 = LS_E8 / 10}}};
    assert_int_equal(
        eng_protected_price(&config, 100 * LS_E8, PAISE, IPC_SIDE_BUY, false), 110 * LS_E8);
    assert_int_equal(
        eng_protected_price(&config, 60 * LS_E8, PAISE, IPC_SIDE_BUY, true), 6180 * PAISE);
}

static void shapes_and_the_ladder_of_exits(void **state)
{
    (void)state;
    static const struct eng_core_config config = {0};
    const struct ipc_row_instrument row = {
        .instrument = 1, .kind = IPC_KIND_CASH, .tick_e8 = 5 * PAISE};
    const int64_t fresh = LS_NS_PER_S, old = 60 * LS_NS_PER_S;
    struct eng_order order = {.side = IPC_SIDE_SELL, .type = IPC_TYPE_MARKET, .qty_e8 = 10 * LS_E8};
    struct eng_shape shape;

    shape = eng_shape_make(&config, &order, &row, false, false, 0, INT64_MAX);
    assert_int_equal(shape.type, IPC_TYPE_MARKET); /* the broker takes it as it is */
    assert_false(shape.needs_price);
    shape = eng_shape_make(&config, &order, &row, false, true, 0, INT64_MAX);
    assert_true(shape.needs_price); /* an entry without a price is skipped by the pipeline */
    shape = eng_shape_make(&config, &order, &row, false, true, 50 * LS_E8, fresh);
    assert_int_equal(shape.type, IPC_TYPE_LIMIT);
    assert_int_equal(shape.price_e8, 49 * LS_E8);

    /* exits: fresh price, the master's fill, an old price, the broker's own protection */
    shape = eng_shape_make(&config, &order, &row, true, true, 50 * LS_E8, fresh);
    assert_int_equal(shape.price_e8, 49 * LS_E8);
    order.filled_qty_e8 = LS_E8;
    order.average_price_e8 = 60 * LS_E8;
    shape = eng_shape_make(&config, &order, &row, true, true, 50 * LS_E8, old);
    assert_int_equal(shape.price_e8, 5880 * PAISE);
    order.filled_qty_e8 = order.average_price_e8 = 0;
    shape = eng_shape_make(&config, &order, &row, true, true, 50 * LS_E8, old);
    assert_int_equal(shape.price_e8, 49 * LS_E8);
    shape = eng_shape_make(&config, &order, &row, true, true, 0, INT64_MAX);
    assert_int_equal(shape.type, IPC_TYPE_MARKET);
    assert_false(shape.needs_price);

    /* a stop at market is protected from its trigger, whatever the last price is */
    order.type = IPC_TYPE_SLM;
    order.trigger_e8 = 80 * LS_E8;
    shape = eng_shape_make(&config, &order, &row, false, true, 0, INT64_MAX);
    assert_int_equal(shape.type, IPC_TYPE_SL);
    assert_int_equal(shape.price_e8, 7840 * PAISE);
    assert_int_equal(shape.trigger_e8, 80 * LS_E8);
    assert_false(shape.needs_price);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_never_widen_the_guard),
        cmocka_unit_test(the_published_grid_protects),
        cmocka_unit_test(a_configured_grid_stands_before_the_published),
        cmocka_unit_test(shapes_and_the_ladder_of_exits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
