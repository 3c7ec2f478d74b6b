/* eng_judge by tables: the order of reasons, and inputs that a case file does not have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "engine/core/pipeline/case.h"

#define E8(x) ((int64_t)((x)*100) * (LS_E8 / 100))

struct world {
    struct ipc_row_follower row;
    struct ipc_row_policy policy;
    struct eng_case_shared shared;
    struct eng_case judged;
    struct eng_verdict verdict;
    struct eng_trace trace;
};

/* An opening of 100 at ratio 0.5, lot 1, with nothing in the way. */
static void start(struct world *world)
{
    *world = (struct world){0};
    world->row = (struct ipc_row_follower){.follower_no = 1,
        .mode = IPC_MODE_FIXED_RATIO,
        .copy = IPC_COPY_ON_ORDER,
        .flags = IPC_FOLLOWER_ENABLED | IPC_FOLLOWER_ALLOW_SHORT,
        .ratio_e8 = LS_E8 / 2};
    world->shared = (struct eng_case_shared){.occasion = ENG_ON_ORDER,
        .side = IPC_SIDE_BUY,
        .type = IPC_TYPE_MARKET,
        .product = IPC_PRODUCT_MIS,
        .size_kind = ENG_SIZE_QTY,
        .qty_e8 = E8(100),
        .lot_e8 = LS_E8,
        .tick_e8 = 5000000,
        .instrument = 1,
        .minute = 600,
        .last_e8 = E8(100)};
    world->judged.shared = &world->shared;
    world->judged.follower = (struct eng_case_follower){
        .row = &world->row, .policy = &world->policy, .session_valid = 1, .symbol_allowed = 1};
}

static void judge(struct world *world)
{
    eng_judge(&world->judged, &world->verdict, &world->trace);
    /* The recorder changes nothing, and always tells the outcome. */
    struct eng_verdict bare;
    eng_judge(&world->judged, &bare, NULL);
    assert_memory_equal(&bare, &world->verdict, sizeof bare);
    assert_true(world->trace.count > 0 && world->trace.count <= IPC_STEPS_MAX);
}

/* --- the first reason wins ----------------------------------------------------------------------
 */

typedef void obstacle(struct world *world);

static void by_switch(struct world *w)
{
    w->judged.follower.word = IPC_SWITCH_CLOSE_ONLY;
}
static void by_journal(struct world *w)
{
    w->shared.barred = IPC_REASON_JOURNAL;
}
static void by_disabled(struct world *w)
{
    w->row.flags &= (uint8_t)~IPC_FOLLOWER_ENABLED;
}
static void by_pause(struct world *w)
{
    w->row.flags |= IPC_FOLLOWER_PAUSED;
}
static void by_session(struct world *w)
{
    w->judged.follower.session_valid = 0;
}
static void by_circuit(struct world *w)
{
    w->policy.failures_max = 3;
    w->judged.follower.failures = 3;
}
static void by_instrument(struct world *w)
{
    w->shared.instrument = 0;
}
static void by_mismatch(struct world *w)
{
    w->judged.follower.mismatch = 1;
}
static void by_side(struct world *w)
{
    w->row.sides = 1u << IPC_SIDE_SELL;
}
static void by_symbol(struct world *w)
{
    w->judged.follower.symbol_allowed = 0;
}
static void by_product(struct world *w)
{
    w->row.products = 1u << IPC_PRODUCT_CNC;
}
static void by_type(struct world *w)
{
    w->row.types = 1u << IPC_TYPE_LIMIT;
}
static void by_size_window(struct world *w)
{
    w->policy.master_min_e8 = E8(101);
}
static void by_market(struct world *w)
{
    w->shared.market = ENG_MARKET_CLOSED;
}
static void by_window(struct world *w)
{
    w->policy.window_from_min = 601;
    w->policy.window_to_min = 700;
}
static void by_age(struct world *w)
{
    w->shared.age_ns = INT64_C(2000000001);
}
static void by_loss(struct world *w)
{
    w->policy.daily_loss_e8 = E8(10);
    w->judged.follower.realised_e8 = -E8(10);
}
static void by_trip(struct world *w)
{
    w->judged.follower.limit = IPC_REASON_DRAWDOWN;
}
static void by_trades(struct world *w)
{
    w->policy.trades_day_max = 1;
    w->judged.follower.trades = 1;
}
static void by_positions(struct world *w)
{
    w->policy.open_positions_max = 1;
    w->judged.follower.open_positions = 1;
}
static void by_zero(struct world *w)
{
    w->policy.refuse_below_e8 = E8(51);
}
static void by_max_qty(struct world *w)
{
    w->row.max_qty_e8 = E8(49);
    w->row.flags |= IPC_FOLLOWER_CAP_SKIPS;
}
static void by_max_position(struct world *w)
{
    w->row.max_position_e8 = E8(10);
    w->judged.follower.reach_e8 = E8(10);
}
static void by_risk(struct world *w)
{
    w->policy.max_trade_risk_e8 = 1;
}
static void by_value(struct world *w)
{
    w->row.max_order_value_e8 = E8(4999);
}
static void by_day_notional(struct world *w)
{
    w->policy.day_notional_e8 = E8(6000);
    w->judged.follower.day_notional_e8 = E8(1001);
}
static void by_min_notional(struct world *w)
{
    w->policy.min_notional_e8 = E8(5001);
}
static void by_doubt(struct world *w)
{
    w->judged.follower.unknown_pending = 1;
}
static void by_exposure(struct world *w)
{
    w->policy.exposure_max_e8 = E8(7000);
    w->judged.follower.exposure_e8 = E8(2001);
}
static void by_short(struct world *w)
{
    w->row.flags &= (uint8_t)~IPC_FOLLOWER_ALLOW_SHORT;
    w->policy.flags |= IPC_POLICY_REVERSE;
}
static void by_slippage(struct world *w)
{
    w->policy.slippage_cap_e8 = LS_E8 / 1000;
    w->shared.ask_e8 = E8(101);
    w->shared.bid_e8 = E8(99); /* the other side, where an obstacle turned it round */
}
static void by_slices(struct world *w)
{
    w->shared.freeze_e8 = E8(10);
    w->policy.slices_max = 4;
}

static void the_first_reason_wins(void **state)
{
    (void)state;
    static const struct {
        obstacle *put;
        enum ipc_reason reason;
    } steps[] = {
        {by_switch, IPC_REASON_KILL_SWITCH},
        {by_journal, IPC_REASON_JOURNAL},
        {by_disabled, IPC_REASON_FOLLOWER_DISABLED},
        {by_pause, IPC_REASON_COPY_PAUSED},
        {by_session, IPC_REASON_SESSION_EXPIRED},
        {by_circuit, IPC_REASON_CIRCUIT_OPEN},
        {by_instrument, IPC_REASON_INSTRUMENT_UNKNOWN},
        {by_mismatch, IPC_REASON_INSTRUMENT_MISMATCH},
        {by_side, IPC_REASON_SIDE_NOT_ALLOWED},
        {by_symbol, IPC_REASON_SYMBOL_NOT_ALLOWED},
        {by_product, IPC_REASON_PRODUCT_NOT_ALLOWED},
        {by_type, IPC_REASON_ORDER_TYPE_NOT_ALLOWED},
        {by_size_window, IPC_REASON_MASTER_SIZE_FILTER},
        {by_market, IPC_REASON_MARKET_CLOSED},
        {by_window, IPC_REASON_OUTSIDE_WINDOW},
        {by_age, IPC_REASON_STALE_EVENT},
        {by_loss, IPC_REASON_DAILY_LOSS},
        {by_trip, IPC_REASON_DRAWDOWN},
        {by_trades, IPC_REASON_MAX_TRADES_DAY},
        {by_positions, IPC_REASON_MAX_OPEN_POSITIONS},
        {by_zero, IPC_REASON_QTY_ZERO},
        {by_max_qty, IPC_REASON_MAX_QTY},
        {by_max_position, IPC_REASON_MAX_POSITION_REDUCED},
        {by_risk, IPC_REASON_NO_STOP_LOSS},
        {by_value, IPC_REASON_MAX_ORDER_VALUE},
        {by_day_notional, IPC_REASON_DAY_NOTIONAL},
        {by_min_notional, IPC_REASON_MIN_NOTIONAL},
        {by_doubt, IPC_REASON_UNKNOWN_PENDING},
        {by_exposure, IPC_REASON_MAX_CAPITAL_EXPOSURE},
        {by_short, IPC_REASON_SHORT_NOT_ALLOWED},
        {by_slippage, IPC_REASON_SLIPPAGE},
        {by_slices, IPC_REASON_TOO_MANY_SLICES},
    };
    for (size_t first = 0; first < LS_COUNT_OF(steps); first++) {
        for (size_t second = first; second < LS_COUNT_OF(steps); second++) {
            struct world world;
            start(&world);
            steps[second].put(&world);
            steps[first].put(&world);
            judge(&world);
            if (world.verdict.act != ENG_ACT_SKIP || world.verdict.reason != steps[first].reason)
                fail_msg("%s before %s: got %s", ipc_reason_name(steps[first].reason),
                    ipc_reason_name(steps[second].reason),
                    ipc_reason_name((enum ipc_reason)world.verdict.reason));
        }
    }
}

/* None of it stops a reduction but the switch at halt, and what nobody can send. */
static void exits_pass_all_of_it(void **state)
{
    (void)state;
    static obstacle *const all[] = {by_switch, by_journal, by_disabled, by_pause, by_circuit,
        by_side, by_symbol, by_product, by_type, by_size_window, by_market, by_window, by_age,
        by_loss, by_trip, by_trades, by_positions, by_zero, by_max_qty, by_max_position, by_risk,
        by_value, by_day_notional, by_min_notional, by_doubt, by_exposure, by_slippage, by_slices};
    struct world world;
    start(&world);
    for (size_t i = 0; i < LS_COUNT_OF(all); i++)
        all[i](&world);
    world.shared.occasion = ENG_ON_FILL;
    world.shared.side = IPC_SIDE_SELL;
    world.shared.before_e8 = E8(100);
    world.shared.after_e8 = E8(40);
    world.shared.qty_e8 = 0;
    world.judged.follower.held_e8 = E8(50);
    judge(&world);
    assert_int_equal(world.verdict.act, ENG_ACT_PLACE);
    assert_int_equal(world.verdict.legs[0].qty_e8, E8(30));
    assert_int_equal(world.verdict.legs[0].slices, 3);
    assert_int_equal(world.verdict.legs[0].type, IPC_TYPE_MARKET);
    world.judged.follower.word = IPC_SWITCH_HALT;
    judge(&world);
    assert_int_equal(world.verdict.reason, IPC_REASON_KILL_SWITCH);
}

/* --- shapes that brokers need -------------------------------------------------------------------
 */

static void guards_take_the_form_that_the_broker_has(void **state)
{
    (void)state;
    struct world world;
    start(&world);
    world.policy.slippage_cap_e8 = LS_E8 / 200;
    world.shared.no_ioc = 1;
    judge(&world);
    const struct eng_leg *leg = &world.verdict.legs[0];
    assert_int_equal(leg->type, IPC_TYPE_LIMIT);
    assert_int_equal(leg->price_e8, E8(100.5));
    assert_int_equal(leg->validity, IPC_VALIDITY_DAY);
    assert_true(leg->flags & ENG_LEG_CANCEL_AFTER);

    start(&world);
    world.shared.market_orders = ENG_MARKET_AS_LIMIT;
    judge(&world);
    assert_int_equal(world.verdict.reason, IPC_REASON_PRICE_UNKNOWN); /* nothing to protect with */
    world.shared.protected_e8[0] = E8(101);
    judge(&world);
    assert_int_equal(leg->type, IPC_TYPE_LIMIT);
    assert_int_equal(leg->price_e8, E8(101));
    world.shared.price_age_ns = INT64_C(5000000001);
    judge(&world);
    assert_int_equal(world.verdict.reason, IPC_REASON_PRICE_UNKNOWN); /* stale */

    /* An exit without any price is still a market order: the broker's protection is left. */
    start(&world);
    world.shared.market_orders = ENG_MARKET_AS_LIMIT;
    world.shared.occasion = ENG_ON_EXIT;
    world.shared.qty_e8 = 0;
    world.shared.last_e8 = 0;
    world.judged.follower.held_e8 = -E8(7);
    judge(&world);
    assert_int_equal(world.verdict.act, ENG_ACT_PLACE);
    assert_int_equal(leg->type, IPC_TYPE_MARKET);
    assert_int_equal(leg->side, IPC_SIDE_BUY);
    assert_int_equal(leg->qty_e8, E8(7));
}

static void a_mapped_follower_trades_its_own_instrument(void **state)
{
    (void)state;
    struct world world;
    start(&world);
    world.judged.follower.mapped = 1;
    world.judged.follower.own.instrument = 9;
    world.judged.follower.own.factor_e8 = E8(10);
    world.judged.follower.own.lot_e8 = E8(65);
    world.judged.follower.own.tick_e8 = E8(1);
    world.judged.follower.own.last_e8 = E8(20);
    world.row.max_order_value_e8 = E8(455 * 20);
    judge(&world); /* 100 x 0.5 x 10 = 500, lots of 65: 455, worth 9,100 at its own price */
    assert_int_equal(world.verdict.act, ENG_ACT_PLACE);
    assert_int_equal(world.verdict.legs[0].qty_e8, E8(455));
    assert_int_equal(world.verdict.legs[0].instrument, 9);
    /* The guard is around its own price: the master's fill is of another instrument. */
    world.shared.occasion = ENG_ON_FILL;
    world.shared.after_e8 = E8(100);
    world.shared.price_e8 = E8(100);
    world.policy.slippage_cap_e8 = LS_E8 / 10;
    judge(&world);
    assert_int_equal(world.verdict.limit_e8, E8(22));
}

static void figures_must_be_fresh(void **state)
{
    (void)state;
    static const struct {
        int64_t own_age_ns, master_age_ns;
        enum ipc_reason reason;
    } rows[] = {
        {0, 0, IPC_REASON_NONE},
        {INT64_C(60000000000), 0, IPC_REASON_NONE},
        {INT64_C(60000000001), 0, IPC_REASON_STALE_ACCOUNT_DATA},
        {INT64_MAX, 0, IPC_REASON_CAPITAL_UNKNOWN},
        {0, INT64_C(60000000001), IPC_REASON_STALE_ACCOUNT_DATA},
        {0, INT64_MAX, IPC_REASON_CAPITAL_UNKNOWN},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct world world;
        start(&world);
        world.row.mode = IPC_MODE_EQUITY_PROPORTIONAL;
        world.judged.follower.equity_e8 = E8(500);
        world.judged.follower.capital_age_ns = rows[i].own_age_ns;
        world.shared.master_equity_e8 = E8(1000);
        world.shared.master_capital_age_ns = rows[i].master_age_ns;
        judge(&world);
        assert_int_equal(world.verdict.reason, rows[i].reason);
    }
}

static void hours_come_from_the_calendar(void **state)
{
    (void)state;
    static const struct {
        uint8_t market, product;
        int32_t minute, cutoff;
        enum ipc_reason reason;
    } rows[] = {
        {ENG_MARKET_OPEN, IPC_PRODUCT_MIS, 600, 920, IPC_REASON_NONE},
        {ENG_MARKET_OPEN, IPC_PRODUCT_MIS, 920, 920, IPC_REASON_MARKET_CLOSED},
        {ENG_MARKET_OPEN, IPC_PRODUCT_CNC, 925, 920, IPC_REASON_NONE},
        {ENG_MARKET_UNKNOWN, IPC_PRODUCT_MIS, 600, 0, IPC_REASON_MARKET_CLOSED},
        {ENG_MARKET_UNKNOWN, IPC_PRODUCT_CNC, 600, 0, IPC_REASON_NONE},
        {ENG_MARKET_CLOSED, IPC_PRODUCT_CNC, 600, 0, IPC_REASON_MARKET_CLOSED},
        {ENG_MARKET_ANY, IPC_PRODUCT_MIS, ENG_MINUTE_UNKNOWN, 920, IPC_REASON_MARKET_CLOSED},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct world world;
        start(&world);
        world.shared.market = rows[i].market;
        world.shared.product = rows[i].product;
        world.shared.minute = rows[i].minute;
        world.shared.cutoff_minute = rows[i].cutoff;
        judge(&world);
        assert_int_equal(world.verdict.reason, rows[i].reason);
    }
}

/* A window over midnight, as commodity evenings have. */
static void windows_may_pass_midnight(void **state)
{
    (void)state;
    static const struct {
        int32_t minute;
        bool inside;
    } rows[] = {{1079, false}, {1080, true}, {1439, true}, {0, true}, {89, true}, {90, false}};
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct world world;
        start(&world);
        world.policy.window_from_min = 1080;
        world.policy.window_to_min = 90;
        world.shared.minute = rows[i].minute;
        judge(&world);
        assert_int_equal(world.verdict.act, rows[i].inside ? ENG_ACT_PLACE : ENG_ACT_SKIP);
    }
}

static void a_probe_passes_the_open_circuit(void **state)
{
    (void)state;
    struct world world;
    start(&world);
    by_circuit(&world);
    world.judged.follower.probe = 1;
    judge(&world);
    assert_int_equal(world.verdict.act, ENG_ACT_PLACE);
}

/* --- what an exit finds -------------------------------------------------------------------------
 */

static void exit_of(struct world *world, int64_t before, int64_t after, int64_t held)
{
    start(world);
    world->shared.occasion = ENG_ON_FILL;
    world->shared.side = IPC_SIDE_SELL;
    world->shared.qty_e8 = 0;
    world->shared.before_e8 = before;
    world->shared.after_e8 = after;
    world->judged.follower.held_e8 = held;
}

static void an_exit_waits_for_a_session(void **state)
{
    (void)state;
    struct world world;
    exit_of(&world, E8(10), 0, E8(5));
    world.judged.follower.session_valid = 0;
    judge(&world);
    assert_int_equal(world.verdict.act, ENG_ACT_WAIT);
    assert_int_equal(world.verdict.reason, IPC_REASON_SESSION_EXPIRED);
    assert_int_equal(world.verdict.legs[0].qty_e8, E8(5));
}

/* What arrives while an exit is unanswered joins its target, and goes when it is judged again. */
static void reductions_meanwhile_join(void **state)
{
    (void)state;
    struct world world;
    exit_of(&world, E8(100), E8(70), E8(50));
    judge(&world);
    assert_int_equal(world.verdict.legs[0].qty_e8, E8(15));
    world.judged.follower.base = world.verdict.base;
    world.judged.follower.in_flight_e8 = world.judged.follower.reserved_e8 = E8(15);
    world.shared.before_e8 = E8(70);
    world.shared.after_e8 = E8(35);
    judge(&world);
    assert_int_equal(world.verdict.act, ENG_ACT_NONE);
    assert_int_equal(world.verdict.reason, IPC_REASON_EXIT_IN_FLIGHT);
    world.judged.follower.base = world.verdict.base;
    world.judged.follower.in_flight_e8 = world.judged.follower.reserved_e8 = 0;
    world.judged.follower.held_e8 = E8(35);
    judge(&world); /* again, after the answer: 50 x 65 / 100 = 32.5, less 15 */
    assert_int_equal(world.verdict.act, ENG_ACT_PLACE);
    assert_int_equal(world.verdict.legs[0].qty_e8, E8(17));
}

static void a_repeated_fill_closes_nothing(void **state)
{
    (void)state;
    struct world world;
    exit_of(&world, E8(100), E8(50), E8(50));
    judge(&world);
    assert_int_equal(world.verdict.legs[0].qty_e8, E8(25));
    world.judged.follower.base = world.verdict.base;
    world.judged.follower.held_e8 = E8(25);
    judge(&world);
    assert_int_equal(world.verdict.leg_count, 0);
    world.shared.after_e8 = E8(80); /* an earlier state that comes late */
    judge(&world);
    assert_int_equal(world.verdict.leg_count, 0);
    world.judged.follower.base = world.verdict.base;
    world.shared.before_e8 = E8(50);
    world.shared.after_e8 = E8(30); /* 50 x 70 / 100, less 25 */
    judge(&world);
    assert_int_equal(world.verdict.legs[0].qty_e8, E8(10));
}

static void a_resting_stop_gives_way_to_an_exit_that_leaves_now(void **state)
{
    (void)state;
    struct world world;
    exit_of(&world, E8(100), 0, E8(50));
    world.judged.follower.stop_e8 = world.judged.follower.reserved_e8 = E8(50);
    judge(&world);
    assert_int_equal(world.verdict.act, ENG_ACT_PLACE);
    assert_int_equal(world.verdict.legs[0].qty_e8, E8(50));
    assert_int_equal(world.verdict.cancels, ENG_CANCELS_STOP);
    /* A target that would rest does not push it away, with one resting order or with two. */
    for (int one = 0; one < 2; one++) {
        start(&world);
        world.shared.side = IPC_SIDE_SELL;
        world.shared.type = IPC_TYPE_LIMIT;
        world.shared.price_e8 = E8(120);
        world.shared.before_e8 = E8(100);
        world.policy.flags = one ? IPC_POLICY_ONE_RESTING : 0;
        world.judged.follower.held_e8 = E8(50);
        world.judged.follower.stop_e8 = world.judged.follower.reserved_e8 = E8(50);
        judge(&world);
        assert_int_equal(world.verdict.act, ENG_ACT_SKIP);
        assert_int_equal(
            world.verdict.reason, one ? IPC_REASON_KEEP_STOP : IPC_REASON_CLOSE_CLAMPED);
    }
}

static void a_partial_exit_waits_for_its_own_entry(void **state)
{
    (void)state;
    struct world world;
    exit_of(&world, E8(100), E8(50), 0);
    world.judged.follower.coming_e8 = E8(50);
    judge(&world);
    assert_int_equal(world.verdict.act, ENG_ACT_WAIT);
    assert_int_equal(world.verdict.legs[0].qty_e8, E8(25));
    world.shared.after_e8 = 0; /* the master is flat: the entry is cancelled instead */
    judge(&world);
    assert_int_equal(world.verdict.act, ENG_ACT_CANCEL);
    assert_int_equal(world.verdict.cancels, ENG_CANCELS_ENTRY);
    assert_int_equal(world.verdict.cancel_e8, E8(50));
}

/* Nonsense gives a verdict too. */
static void nonsense_is_survived(void **state)
{
    (void)state;
    struct world world;
    for (int occasion = 0; occasion < 10; occasion++) {
        for (int mode = 0; mode < IPC_MODE_LIMIT + 2; mode++) {
            start(&world);
            memset(&world.policy, 0xff, sizeof world.policy);
            world.shared.occasion = (uint8_t)occasion;
            world.row.mode = (uint8_t)mode;
            world.row.ratio_e8 = INT64_MIN;
            world.shared.qty_e8 = INT64_MAX;
            world.shared.before_e8 = INT64_MIN;
            world.shared.after_e8 = INT64_MAX;
            world.judged.follower.held_e8 = INT64_MIN;
            world.judged.follower.reserved_e8 = INT64_MAX;
            world.shared.has_qty = 1;
            world.judged.follower.child_open_e8 = E8(1);
            eng_judge(&world.judged, &world.verdict, &world.trace);
            assert_true(world.verdict.act != 0 && world.verdict.leg_count <= 2);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_reason_wins),
        cmocka_unit_test(exits_pass_all_of_it),
        cmocka_unit_test(guards_take_the_form_that_the_broker_has),
        cmocka_unit_test(a_mapped_follower_trades_its_own_instrument),
        cmocka_unit_test(figures_must_be_fresh),
        cmocka_unit_test(hours_come_from_the_calendar),
        cmocka_unit_test(windows_may_pass_midnight),
        cmocka_unit_test(a_probe_passes_the_open_circuit),
        cmocka_unit_test(an_exit_waits_for_a_session),
        cmocka_unit_test(reductions_meanwhile_join),
        cmocka_unit_test(a_repeated_fill_closes_nothing),
        cmocka_unit_test(a_resting_stop_gives_way_to_an_exit_that_leaves_now),
        cmocka_unit_test(a_partial_exit_waits_for_its_own_entry),
        cmocka_unit_test(nonsense_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
