#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/engine/core/core_world.h"

#include <stdio.h>
#include <string.h>

#define E8(units)      ((int64_t)(units)*LS_E8)
#define PAISE(paise)   ((int64_t)(paise) * (LS_E8 / 100))
#define RATIO(percent) ((int64_t)(percent) * (LS_E8 / 100)) /* 50 = 0.5 */
#define NOT(flag)      ((uint32_t)(flag) << 16)             /* takes a default flag away */

/* One follower, one new order of the master, one decision: the worked cases of sizing, caps and
 * filters, and which reason wins. What a row leaves out is the default of the world: FIXED_RATIO 1,
 * enabled, shorting allowed, BUY 10 of instrument 1 at a limit of 100, last price 100. */
struct row {
    const char *id;
    enum ipc_mode mode;
    int64_t ratio_e8, fixed_e8;
    int64_t max_qty_e8, max_value_e8, max_position_e8;
    uint32_t flags; /* added; NOT(flag) removes */
    uint8_t products, types, sides;
    uint32_t allowed, denied;
    uint32_t max_age_limit_ms, max_age_market_ms;
    int64_t capital_e8;
    bool capital_old, no_token, refuses_market;
    /* the market */
    uint32_t instrument;
    int64_t last_e8; /* -1 = none */
    bool last_old;
    uint8_t word, follower_word;
    bool journal_full;
    /* the master's order */
    enum ipc_side side;
    int64_t qty_e8, price_e8; /* price -1 = MARKET */
    enum ipc_product product;
    int64_t age_ms;
    /* what comes of it */
    int64_t expected_e8; /* 0 = skipped */
    enum ipc_reason reason;
    int64_t expected_price_e8; /* 0 = not looked at */
};

/* clang-format off */
static const struct row rows[] = {
    /* the seeds' modes: A01 to A13, C15, C17 */
    {.id = "A01", .max_value_e8 = E8(50000), .price_e8 = -1, .last_e8 = PAISE(285050), .expected_e8 = E8(10)},
    {.id = "A02", .ratio_e8 = RATIO(50), .expected_e8 = E8(5)},
    {.id = "A03", .ratio_e8 = RATIO(50), .qty_e8 = E8(3), .expected_e8 = E8(1)},
    {.id = "A04", .ratio_e8 = RATIO(50), .qty_e8 = E8(1), .reason = IPC_REASON_QTY_ZERO},
    {.id = "A05", .ratio_e8 = RATIO(200), .qty_e8 = E8(100), .max_qty_e8 = E8(500), .expected_e8 = E8(200)},
    {.id = "A06", .ratio_e8 = RATIO(200), .qty_e8 = E8(100), .max_qty_e8 = E8(150), .expected_e8 = E8(150), .reason = IPC_REASON_MAX_QTY_CAPPED},
    {.id = "A07", .mode = IPC_MODE_PERCENTAGE, .ratio_e8 = E8(1), .capital_e8 = E8(1000000), .price_e8 = -1, .last_e8 = PAISE(285050), .expected_e8 = E8(3)},
    {.id = "A09", .mode = IPC_MODE_PERCENTAGE, .ratio_e8 = E8(1), .capital_e8 = E8(10000), .price_e8 = -1, .last_e8 = PAISE(285050), .reason = IPC_REASON_QTY_ZERO},
    {.id = "A10", .mode = IPC_MODE_PERCENTAGE, .ratio_e8 = E8(50), .capital_e8 = E8(400000), .instrument = 2, .qty_e8 = E8(65), .price_e8 = -1, .last_e8 = E8(120), .expected_e8 = E8(1625)},
    {.id = "A11", .mode = IPC_MODE_FIXED_QUANTITY, .fixed_e8 = E8(7), .qty_e8 = E8(100), .expected_e8 = E8(7)},
    {.id = "A12", .mode = IPC_MODE_FIXED_QUANTITY, .fixed_e8 = E8(7), .qty_e8 = E8(1), .expected_e8 = E8(7)},
    {.id = "A13", .mode = IPC_MODE_FIXED_QUANTITY, .fixed_e8 = E8(7), .instrument = 2, .qty_e8 = E8(65), .reason = IPC_REASON_SUB_LOT},
    {.id = "C15", .ratio_e8 = RATIO(50), .instrument = 2, .qty_e8 = E8(65), .reason = IPC_REASON_SUB_LOT},
    {.id = "C17", .ratio_e8 = RATIO(29), .qty_e8 = E8(100), .expected_e8 = E8(29)},
    {.id = "lots", .ratio_e8 = RATIO(150), .instrument = 2, .qty_e8 = E8(195), .expected_e8 = E8(260)},
    {.id = "percentage at the limit", .mode = IPC_MODE_PERCENTAGE, .ratio_e8 = E8(10), .capital_e8 = E8(10000), .price_e8 = E8(50), .last_e8 = -1, .expected_e8 = E8(20)},
    {.id = "percentage, capital unknown", .mode = IPC_MODE_PERCENTAGE, .ratio_e8 = E8(10), .reason = IPC_REASON_CAPITAL_UNKNOWN},
    {.id = "percentage, capital old", .mode = IPC_MODE_PERCENTAGE, .ratio_e8 = E8(10), .capital_e8 = E8(1000), .capital_old = true, .reason = IPC_REASON_STALE_ACCOUNT_DATA},
    {.id = "percentage, price unknown", .mode = IPC_MODE_PERCENTAGE, .ratio_e8 = E8(10), .capital_e8 = E8(1000), .price_e8 = -1, .last_e8 = -1, .reason = IPC_REASON_PRICE_UNKNOWN},
    {.id = "percentage, price old", .mode = IPC_MODE_PERCENTAGE, .ratio_e8 = E8(10), .capital_e8 = E8(1000), .price_e8 = -1, .last_old = true, .reason = IPC_REASON_PRICE_UNKNOWN},
    {.id = "ratio far too large", .ratio_e8 = E8(1000), .qty_e8 = E8(1000000000), .reason = IPC_REASON_MAX_QTY},
    {.id = "unknown mode", .mode = (enum ipc_mode)200, .reason = IPC_REASON_MODE_UNSUPPORTED},

    /* caps: A14 to A17, A28, and both kinds of on_cap */
    {.id = "A14", .max_value_e8 = E8(1000), .expected_e8 = E8(10)}, /* equal passes */
    {.id = "A15", .max_value_e8 = E8(1000) - 1, .reason = IPC_REASON_MAX_ORDER_VALUE},
    {.id = "A16", .max_value_e8 = E8(555), .flags = IPC_FOLLOWER_VALUE_REDUCES, .expected_e8 = E8(5), .reason = IPC_REASON_MAX_ORDER_VALUE_REDUCED},
    {.id = "A17", .ratio_e8 = RATIO(50), .max_value_e8 = E8(500), .expected_e8 = E8(5)}, /* the follower's own value */
    {.id = "A28", .max_value_e8 = E8(1000), .price_e8 = -1, .last_e8 = -1, .reason = IPC_REASON_PRICE_UNKNOWN},
    {.id = "value, price old", .max_value_e8 = E8(1000), .price_e8 = -1, .last_old = true, .reason = IPC_REASON_PRICE_UNKNOWN},
    {.id = "value at the limit, not the last", .max_value_e8 = E8(1000), .price_e8 = E8(200), .last_e8 = E8(1), .reason = IPC_REASON_MAX_ORDER_VALUE},
    {.id = "value below one lot", .max_value_e8 = E8(100), .flags = IPC_FOLLOWER_VALUE_REDUCES, .instrument = 2, .qty_e8 = E8(65), .reason = IPC_REASON_MAX_ORDER_VALUE},
    {.id = "quantity cap skips", .max_qty_e8 = E8(9), .flags = IPC_FOLLOWER_CAP_SKIPS, .reason = IPC_REASON_MAX_QTY},
    {.id = "quantity cap to the lot", .max_qty_e8 = E8(100), .instrument = 2, .qty_e8 = E8(130), .expected_e8 = E8(65), .reason = IPC_REASON_MAX_QTY_CAPPED},
    {.id = "quantity cap below one lot", .max_qty_e8 = E8(64), .instrument = 2, .qty_e8 = E8(65), .reason = IPC_REASON_MAX_QTY_CAPPED},
    {.id = "position cap", .max_position_e8 = E8(8), .expected_e8 = E8(8), .reason = IPC_REASON_MAX_POSITION_REDUCED},
    {.id = "first reason of two caps", .max_qty_e8 = E8(9), .max_position_e8 = E8(8), .expected_e8 = E8(8), .reason = IPC_REASON_MAX_QTY_CAPPED},
    {.id = "zero is not set", .max_qty_e8 = 0, .max_value_e8 = 0, .max_position_e8 = 0, .expected_e8 = E8(10)},

    /* filters: A18 to A23 and the pairs that show the order */
    {.id = "disabled", .flags = NOT(IPC_FOLLOWER_ENABLED), .reason = IPC_REASON_FOLLOWER_DISABLED},
    {.id = "retired", .flags = IPC_FOLLOWER_RETIRED, .reason = IPC_REASON_POSITION_KEPT},
    {.id = "paused", .flags = IPC_FOLLOWER_PAUSED, .reason = IPC_REASON_COPY_PAUSED},
    {.id = "no session", .no_token = true, .reason = IPC_REASON_SESSION_EXPIRED},
    {.id = "side", .sides = 1 << IPC_SIDE_SELL, .reason = IPC_REASON_SIDE_NOT_ALLOWED},
    {.id = "allowed list has it", .allowed = 1, .expected_e8 = E8(10)},
    {.id = "allowed list lacks it", .allowed = 1, .instrument = 2, .qty_e8 = E8(65), .reason = IPC_REASON_SYMBOL_NOT_ALLOWED},
    {.id = "denied list has it", .denied = 1, .reason = IPC_REASON_SYMBOL_NOT_ALLOWED},
    {.id = "denied list lacks it", .denied = 2, .expected_e8 = E8(10)},
    {.id = "product", .products = 1 << IPC_PRODUCT_CNC, .reason = IPC_REASON_PRODUCT_NOT_ALLOWED},
    {.id = "product allowed", .products = 1 << IPC_PRODUCT_MIS, .expected_e8 = E8(10)},
    {.id = "type", .types = 1 << IPC_TYPE_MARKET, .reason = IPC_REASON_ORDER_TYPE_NOT_ALLOWED},
    {.id = "unknown instrument", .instrument = 99, .reason = IPC_REASON_INSTRUMENT_UNKNOWN},
    {.id = "no instrument at all", .instrument = UINT32_MAX, .reason = IPC_REASON_INSTRUMENT_UNKNOWN},
    {.id = "short", .flags = NOT(IPC_FOLLOWER_ALLOW_SHORT), .side = IPC_SIDE_SELL, .reason = IPC_REASON_SHORT_NOT_ALLOWED},
    {.id = "short allowed", .side = IPC_SIDE_SELL, .expected_e8 = E8(10)},
    {.id = "freeze",
        .instrument = 4,
        .qty_e8 = E8(20 * 1800 + 1),
        .reason = IPC_REASON_TOO_MANY_SLICES},
    {.id = "at the freeze", .instrument = 4, .qty_e8 = E8(1800), .expected_e8 = E8(1800)},
    {.id = "F06 age", .age_ms = 5001, .reason = IPC_REASON_STALE_EVENT},
    {.id = "age at the limit", .age_ms = 5000, .expected_e8 = E8(10)},
    {.id = "age of a market order", .price_e8 = -1, .age_ms = 2001, .reason = IPC_REASON_STALE_EVENT},
    {.id = "own age limit", .max_age_limit_ms = 100, .age_ms = 101, .reason = IPC_REASON_STALE_EVENT},
    {.id = "close-only", .word = IPC_SWITCH_CLOSE_ONLY, .reason = IPC_REASON_KILL_SWITCH},
    {.id = "halt", .word = IPC_SWITCH_HALT, .reason = IPC_REASON_KILL_SWITCH},
    {.id = "the follower's own switch", .follower_word = IPC_SWITCH_CLOSE_ONLY, .reason = IPC_REASON_KILL_SWITCH},
    {.id = "journal full", .journal_full = true, .reason = IPC_REASON_JOURNAL},
    {.id = "switch before journal", .word = IPC_SWITCH_HALT, .journal_full = true, .reason = IPC_REASON_KILL_SWITCH},
    {.id = "journal before disabled", .journal_full = true, .flags = NOT(IPC_FOLLOWER_ENABLED), .reason = IPC_REASON_JOURNAL},
    {.id = "disabled before paused", .flags = NOT(IPC_FOLLOWER_ENABLED) | IPC_FOLLOWER_PAUSED, .reason = IPC_REASON_FOLLOWER_DISABLED},
    {.id = "paused before session", .flags = IPC_FOLLOWER_PAUSED, .no_token = true, .reason = IPC_REASON_COPY_PAUSED},
    {.id = "session before instrument", .no_token = true, .instrument = 99, .reason = IPC_REASON_SESSION_EXPIRED},
    {.id = "instrument before side", .instrument = 99, .sides = 1 << IPC_SIDE_SELL, .reason = IPC_REASON_INSTRUMENT_UNKNOWN},
    {.id = "side before symbol", .sides = 1 << IPC_SIDE_SELL, .denied = 1, .reason = IPC_REASON_SIDE_NOT_ALLOWED},
    {.id = "symbol before product", .denied = 1, .products = 1 << IPC_PRODUCT_CNC, .reason = IPC_REASON_SYMBOL_NOT_ALLOWED},
    {.id = "product before type", .products = 1 << IPC_PRODUCT_CNC, .types = 1 << IPC_TYPE_SL, .reason = IPC_REASON_PRODUCT_NOT_ALLOWED},
    {.id = "type before age", .types = 1 << IPC_TYPE_SL, .age_ms = 9000, .reason = IPC_REASON_ORDER_TYPE_NOT_ALLOWED},
    {.id = "age before mode", .age_ms = 9000, .ratio_e8 = RATIO(1), .reason = IPC_REASON_STALE_EVENT},
    {.id = "lot before cap", .ratio_e8 = RATIO(1), .max_qty_e8 = 1, .reason = IPC_REASON_QTY_ZERO},
    {.id = "quantity cap before value", .max_qty_e8 = E8(5), .max_value_e8 = E8(500), .expected_e8 = E8(5), .reason = IPC_REASON_MAX_QTY_CAPPED},
    {.id = "value before short", .side = IPC_SIDE_SELL, .flags = NOT(IPC_FOLLOWER_ALLOW_SHORT), .max_value_e8 = E8(1), .reason = IPC_REASON_MAX_ORDER_VALUE},
    {.id = "short before price", .side = IPC_SIDE_SELL, .flags = NOT(IPC_FOLLOWER_ALLOW_SHORT), .price_e8 = -1, .last_e8 = -1, .refuses_market = true, .reason = IPC_REASON_SHORT_NOT_ALLOWED},
    {.id = "price before slices", .instrument = 4, .qty_e8 = E8(5000), .price_e8 = -1, .last_e8 = -1, .refuses_market = true, .reason = IPC_REASON_PRICE_UNKNOWN},

    /* shapes */
    {.id = "market protected", .price_e8 = -1, .last_e8 = E8(100), .refuses_market = true, .expected_e8 = E8(10), .expected_price_e8 = E8(101)},
    {.id = "market protected, old price", .price_e8 = -1, .last_old = true, .refuses_market = true, .reason = IPC_REASON_PRICE_UNKNOWN},
    {.id = "F03 buy to the tick", .price_e8 = PAISE(10003), .expected_e8 = E8(10), .expected_price_e8 = PAISE(10000)},
    {.id = "F04 sell to the tick", .side = IPC_SIDE_SELL, .price_e8 = PAISE(10003), .expected_e8 = E8(10), .expected_price_e8 = PAISE(10005)},
};
/* clang-format on */

static void set_row(struct world *world, const struct row *row)
{
    struct ipc_row_follower *f = &world->followers[0];
    if (row->mode != 0)
        f->mode = (uint8_t)row->mode;
    if (row->ratio_e8 != 0)
        f->ratio_e8 = row->ratio_e8;
    f->fixed_qty_e8 = row->fixed_e8;
    f->max_qty_e8 = row->max_qty_e8;
    f->max_order_value_e8 = row->max_value_e8;
    f->max_position_e8 = row->max_position_e8;
    f->flags = (uint8_t)((f->flags | (row->flags & 0xff)) & ~(row->flags >> 16));
    f->products = row->products;
    f->types = row->types;
    f->sides = row->sides;
    f->allowed_list = row->allowed;
    f->denied_list = row->denied;
    f->max_age_limit_ms = row->max_age_limit_ms;
    f->max_age_market_ms = row->max_age_market_ms;
    f->broker = row->refuses_market ? 1 : 0;
    world->accounts[f->account - 1].broker = f->broker;
    if (row->no_token)
        world->accounts[f->account - 1].token_bytes = 0;
    world->capital_e8[0] = row->capital_e8;
    world->capital_mono_ns[0] =
        row->capital_e8 == 0 ? 0 : world->now_mono_ns - (row->capital_old ? 61 : 0) * LS_NS_PER_S;
    if (row->last_e8 != 0)
        world->price_e8 = row->last_e8 < 0 ? 0 : row->last_e8;
    if (row->last_old)
        world->price_mono_ns = world->now_mono_ns - 6 * LS_NS_PER_S;
    world->word = row->word;
    world->follower_word[0] = row->follower_word;
    world->journal_full = row->journal_full;
    world_adopt(world);
}

static bool decide_row(const struct row *row, char *problem, size_t problem_bytes)
{
    struct world world;
    world_open(&world, 1);
    set_row(&world, row);
    int64_t price = row->price_e8 == 0 ? E8(100) : row->price_e8 < 0 ? 0 : row->price_e8;
    struct ipc_event event =
        world_order(&world, row->side == 0 ? IPC_SIDE_BUY : row->side, 10, price);
    if (row->qty_e8 != 0)
        event.qty_e8 = row->qty_e8;
    if (row->instrument != 0)
        event.instrument = row->instrument == UINT32_MAX ? 0 : row->instrument;
    if (row->product != 0)
        event.product = (uint8_t)row->product;
    event.received_mono_ns = world.now_mono_ns - row->age_ms * LS_NS_PER_MS;
    (void)world_event(&world, &event);
    (void)world_waves(&world);

    struct ipc_fact_child fact = world_last_fact(&world, 0);
    int64_t left = world.command_count == 1 ? world.commands[0].qty_e8 : 0;
    bool good =
        fact.follower_no == 100 && left == row->expected_e8 && fact.reason == row->reason &&
        (fact.kind == IPC_CHILD_SKIP) == (row->expected_e8 == 0) &&
        (row->expected_price_e8 == 0 || world.commands[0].price_e8 == row->expected_price_e8);
    snprintf(problem, problem_bytes, "%s: %s, quantity %lld e8, %s; expected %lld e8, %s", row->id,
        ipc_child_kind_name((enum ipc_child_kind)fact.kind), (long long)left,
        ipc_reason_name((enum ipc_reason)fact.reason), (long long)row->expected_e8,
        ipc_reason_name(row->reason));
    world_check(&world);
    world_close(&world);
    return good;
}

static void every_row_is_decided_as_written(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        char problem[256];
        if (!decide_row(&rows[i], problem, sizeof problem)) {
            print_message("%s\n", problem);
            wrong++;
        }
    }
    print_message("%zu rows, %d wrong\n", LS_COUNT_OF(rows), wrong);
    assert_int_equal(wrong, 0);
}

/* A follower that copies fills waits for one; others of the wave do not. */
static void copy_on_fill_waits_for_the_fill(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2);
    world.followers[0].copy = IPC_COPY_ON_FILL;
    world_adopt(&world);
    struct ipc_event event = world_order(&world, IPC_SIDE_BUY, 10, E8(100));
    (void)world_event(&world, &event);
    assert_int_equal(world_waves(&world), 1);
    assert_int_equal(world_last_fact(&world, 0).reason, IPC_REASON_WAIT_MASTER_FILL);
    world_check(&world);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_decided_as_written),
        cmocka_unit_test(copy_on_fill_waits_for_the_fill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
