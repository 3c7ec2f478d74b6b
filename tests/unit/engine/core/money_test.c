/* The money fold: FIFO, day figures, counts, breakers; and the pure rules beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "ipc/prng.h"
#include "money_world.h"

#define E8(x) ((int64_t)((x)*100000000.0 + ((x) < 0 ? -0.5 : 0.5)))
#define BUY   IPC_SIDE_BUY
#define SELL  IPC_SIDE_SELL

static struct money_world world;

static int open_world(void **state)
{
    (void)state;
    money_world_open(&world, 0);
    money_world_day(&world, MONEY_DAY, MONEY_DAY);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    eng_money_verify(world.core);
    money_world_close(&world);
    return 0;
}

static int64_t unrealised(uint32_t slot, uint32_t instrument, int64_t price_e8)
{
    struct eng_limits_walk walk;
    world.prices_e8[instrument] = price_e8;
    eng_limits_begin(world.core, slot, &walk);
    uint32_t next;
    while ((next = eng_limits_next(&walk)) != 0)
        eng_limits_price(&walk, world.prices_e8[next]);
    assert_false(walk.is_blind);
    return walk.unrealised_e8;
}

/* H04, H05 and others of their kind: fills of one instrument, then what is realised and open. */
static void fifo_by_table(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        struct {
            enum ipc_side side;
            int qty;
            double price;
        } fills[5];
        double last, realised, open, unrealised;
    } rows[] = {
        {"H04", {{BUY, 10, 100}, {BUY, 10, 110}, {SELL, 15, 120}}, 115, 250, 5, 25},
        {"H05", {{SELL, 10, 100}, {BUY, 10, 90}}, 0.05, 100, 0, 0},
        {"part of a lot", {{BUY, 10, 100}, {SELL, 3, 90}}, 95, -30, 7, -35},
        {"first in, first out, not the average", {{BUY, 1, 10}, {BUY, 1, 30}, {SELL, 1, 20}}, 20,
            10, 1, -10},
        {"through zero", {{BUY, 10, 100}, {SELL, 15, 110}}, 100, 100, -5, 50},
        {"short, added to, part covered", {{SELL, 5, 100}, {SELL, 5, 90}, {BUY, 7, 80}}, 85, 120,
            -3, 15},
        {"from short to long", {{SELL, 2, 50}, {BUY, 5, 60}, {SELL, 3, 70}}, 1, 10, 0, 0},
        {"paise", {{BUY, 65, 101.35}, {SELL, 65, 101.30}}, 1, -3.25, 0, 0},
    };
    uint32_t failed = 0;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        close_world(NULL);
        open_world(NULL);
        for (int k = 0; k < 5 && rows[i].fills[k].qty != 0; k++)
            money_world_trade(&world, 0, 1, rows[i].fills[k].side, rows[i].fills[k].qty,
                E8(rows[i].fills[k].price));
        struct eng_figures got = money_world_figures(&world, 0);
        int64_t open_e8 = world.core->positions[0].held_e8;
        int64_t change_e8 = unrealised(0, 1, E8(rows[i].last));
        if (got.realised_e8 != E8(rows[i].realised) || got.total_e8 != got.realised_e8 ||
            open_e8 != E8(rows[i].open) || change_e8 != E8(rows[i].unrealised)) {
            print_error("%s: realised %lld open %lld unrealised %lld\n", rows[i].id,
                (long long)got.realised_e8, (long long)open_e8, (long long)change_e8);
            failed++;
        }
    }
    assert_int_equal(failed, 0);
}

/* H06: whatever says it, and however often, a fill of a broker order counts once. */
static void a_fill_counts_once(void **state)
{
    (void)state;
    uint32_t child = money_world_child(&world, 0, 1, BUY, false, 10, E8(100));
    money_world_fill(&world, child, E8(4), E8(100));
    money_world_fill(&world, child, E8(4), E8(100));
    money_world_fill(&world, child, E8(2), E8(100)); /* an older report */
    money_world_fill(&world, child, E8(10), E8(100));
    money_world_fill(&world, child, E8(10), E8(100));
    assert_int_equal(world.core->positions[0].held_e8, E8(10));
    uint32_t close = money_world_child(&world, 0, 1, SELL, true, 10, E8(101));
    money_world_fill(&world, close, E8(10), E8(101));
    assert_int_equal(money_world_figures(&world, 0).realised_e8, E8(10));
}

/* Averages of a growing fill are rounded by brokers: what one report loses the next brings back. */
static void rounding_of_averages_does_not_add_up(void **state)
{
    (void)state;
    uint32_t child = money_world_child(&world, 0, 1, BUY, false, 3, 0);
    money_world_fill(&world, child, E8(1), E8(10));
    money_world_fill(&world, child, E8(2), E8(10.005));          /* 10 and 10.01 */
    money_world_fill(&world, child, E8(3), INT64_C(1000666667)); /* and 10.01 again */
    uint32_t close = money_world_child(&world, 0, 1, SELL, true, 3, 0);
    money_world_fill(&world, close, E8(3), E8(11));
    assert_int_equal(money_world_figures(&world, 0).realised_e8, E8(33) - 3 * INT64_C(1000666667));
}

static void fees_of_the_broker_count(void **state)
{
    (void)state;
    money_world_fact(&world, &(struct ipc_fact_limit){.act = IPC_LIMIT_ACT_BASE,
                                 .follower_no = 1,
                                 .incarnation = 1,
                                 .account = 2,
                                 .day = MONEY_DAY,
                                 .fee_fraction_e8 = E8(0.001),
                                 .fee_order_e8 = E8(20)});
    uint32_t child = money_world_child(&world, 0, 1, BUY, false, 10, E8(100));
    money_world_fill(&world, child, E8(5), E8(100)); /* 500 x 0.1 % and 20 */
    assert_int_equal(money_world_figures(&world, 0).realised_e8, E8(-20.5));
    money_world_fill(&world, child, E8(10), E8(100)); /* the order's 20 only once */
    assert_int_equal(money_world_figures(&world, 0).realised_e8, E8(-21));
}

/* Naive FIFO: one entry per unit. */
struct naive {
    int64_t units[4096];
    uint32_t count;
    bool is_long;
    int64_t realised;
};

static void naive_fill(struct naive *naive, bool is_buy, uint32_t qty, int64_t price)
{
    for (uint32_t i = 0; i < qty; i++) {
        if (naive->count > 0 && naive->is_long != is_buy) {
            int64_t first = naive->units[0];
            naive->realised += is_buy ? first - price : price - first;
            memmove(naive->units, naive->units + 1, --naive->count * sizeof(naive->units[0]));
        } else {
            naive->is_long = is_buy;
            naive->units[naive->count++] = price;
        }
    }
}

static void the_fold_is_naive_fifo(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        static struct naive naive[2];
        struct ipc_prng prng;
        memset(naive, 0, sizeof naive);
        ipc_prng_seed(&prng, seed);
        close_world(NULL);
        money_world_open(&world, 4096);
        for (uint32_t step = 0; step < 150; step++) {
            uint32_t which = (uint32_t)ipc_prng_below(&prng, 2);
            bool is_buy = ipc_prng_chance(&prng, 1, 2);
            uint32_t qty = 1 + (uint32_t)ipc_prng_below(&prng, 20);
            uint32_t child =
                money_world_child(&world, 0, 1 + which, is_buy ? BUY : SELL, false, qty, 0);
            /* It fills in parts, each at its own price, told as a cumulative average. */
            int64_t value = 0;
            for (uint32_t done = 0; done < qty;) {
                uint32_t part = 1 + (uint32_t)ipc_prng_below(&prng, qty - done);
                /* Multiples of what any fill up to 20 divides: averages are exact. */
                int64_t price = (1 + (int64_t)ipc_prng_below(&prng, 500)) * INT64_C(232792560);
                naive_fill(&naive[which], is_buy, part, price);
                value += price * part;
                done += part;
                money_world_fill(&world, child, done * LS_E8, value / done);
            }
            eng_money_verify(world.core);
            int64_t realised = naive[0].realised + naive[1].realised;
            if (money_world_figures(&world, 0).realised_e8 != realised)
                fail_msg("seed %llu, step %u: realised %lld, the naive model has %lld",
                    (unsigned long long)seed, step,
                    (long long)money_world_figures(&world, 0).realised_e8, (long long)realised);
        }
    }
}

/* With hardly any lots the sums stay: what is realised when flat is what came in less what went
 * out. */
static void a_full_pool_keeps_the_sums(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct ipc_prng prng;
        int64_t cash = 0, held = 0;
        ipc_prng_seed(&prng, seed);
        close_world(NULL);
        money_world_open(&world, MONEY_POSITIONS + 2);
        for (uint32_t step = 0; step < 200; step++) {
            bool is_buy = ipc_prng_chance(&prng, 1, 2);
            int64_t qty = 1 + (int64_t)ipc_prng_below(&prng, 9);
            int64_t price = 1 + (int64_t)ipc_prng_below(&prng, 1000);
            money_world_trade(&world, 0, 1, is_buy ? BUY : SELL, qty, price * LS_E8);
            cash += is_buy ? -qty * price : qty * price;
            held += is_buy ? qty : -qty;
            eng_money_verify(world.core);
        }
        if (held != 0)
            money_world_trade(&world, 0, 1, held > 0 ? SELL : BUY, llabs(held), 7 * LS_E8);
        cash += 7 * held;
        assert_int_equal(world.core->positions[0].held_e8, 0);
        if (money_world_figures(&world, 0).realised_e8 != cash * LS_E8)
            fail_msg("seed %llu: realised %lld, cash %lld", (unsigned long long)seed,
                (long long)money_world_figures(&world, 0).realised_e8, (long long)(cash * LS_E8));
        assert_true(world.core->money->fold.lots_joined > 0);
    }
}

static void the_day_starts_from_zero_and_the_total_goes_on(void **state)
{
    (void)state;
    money_world_trade(&world, 0, 1, BUY, 10, E8(100));
    money_world_trade(&world, 0, 1, SELL, 5, E8(90));
    assert_int_equal(money_world_figures(&world, 0).realised_e8, E8(-50));
    assert_int_equal(money_world_figures(&world, 0).trades, 2);
    money_world_day(&world, MONEY_DAY + 1, MONEY_DAY);
    struct eng_figures figures = money_world_figures(&world, 0);
    assert_int_equal(figures.realised_e8, 0);
    assert_int_equal(figures.trades, 0);
    assert_int_equal(figures.day_notional_e8, 0);
    assert_int_equal(figures.total_e8, E8(-50));
    money_world_trade(&world, 0, 1, SELL, 5, E8(110)); /* a carried lot, from its own cost */
    assert_int_equal(money_world_figures(&world, 0).realised_e8, E8(50));
    assert_int_equal(money_world_figures(&world, 0).total_e8, 0);
}

/* F10-F13 count accepted openings; refused ones are given back, doubt counts in full. */
static void openings_are_counted_while_they_may_come(void **state)
{
    (void)state;
    uint32_t a = money_world_child(&world, 0, 1, BUY, false, 10, E8(100));
    uint32_t b = money_world_child(&world, 0, 2, BUY, false, 10, E8(50));
    struct eng_figures figures = money_world_figures(&world, 0);
    assert_int_equal(figures.trades, 2);
    assert_int_equal(figures.open_positions, 2);
    assert_int_equal(figures.day_notional_e8, E8(1500));
    assert_int_equal(figures.exposure_e8, E8(1500));
    money_world_state(&world, a, ENG_STATE_REJECTED);
    figures = money_world_figures(&world, 0);
    assert_int_equal(figures.trades, 1);
    assert_int_equal(figures.open_positions, 1);
    assert_int_equal(figures.day_notional_e8, E8(500));
    money_world_state(&world, b, ENG_STATE_UNKNOWN);
    figures = money_world_figures(&world, 0);
    assert_int_equal(figures.trades, 1);
    assert_int_equal(figures.exposure_e8, E8(500));
    money_world_state(&world, b, ENG_STATE_OPEN);
    money_world_fill(&world, b, E8(4), E8(49)); /* 196 held, 300 may still come */
    assert_int_equal(money_world_figures(&world, 0).exposure_e8, E8(496));
    money_world_state(&world, b, ENG_STATE_CANCELLED);
    figures = money_world_figures(&world, 0);
    assert_int_equal(figures.exposure_e8, E8(196));
    assert_int_equal(figures.trades, 1); /* it was accepted */
    /* A position that is added to is not a new one. */
    money_world_trade(&world, 0, 2, BUY, 10, E8(50));
    assert_int_equal(money_world_figures(&world, 0).open_positions, 1);
}

static void an_opening_of_yesterday_is_not_taken_from_today(void **state)
{
    (void)state;
    uint32_t a = money_world_child(&world, 0, 1, BUY, false, 10, E8(100));
    money_world_day(&world, MONEY_DAY + 1, MONEY_DAY + 1);
    money_world_trade(&world, 0, 1, BUY, 1, E8(100));
    money_world_state(&world, a, ENG_STATE_REJECTED);
    assert_int_equal(money_world_figures(&world, 0).trades, 1);
    assert_int_equal(money_world_figures(&world, 0).day_notional_e8, E8(100));
}

static void late_fills_of_an_earlier_owner_are_not_the_new_ones(void **state)
{
    (void)state;
    uint32_t old = money_world_child(&world, 0, 1, BUY, false, 10, E8(100));
    world.core->slots[0] = (struct eng_slot){.follower_no = 9, .incarnation = 1};
    world.followers[0].follower_no = 9;
    money_world_fill(&world, old, E8(10), E8(100));
    struct eng_figures figures;
    eng_money_figures(world.core, 0, 9, 1, &figures);
    assert_int_equal(figures.trades, 0);
    assert_null(eng_money_of(world.core, 0, 9, 1));
}

/* F30: errors in a row; ack and fill close it again; a probe after the hold-off. */
static void the_circuit_opens_holds_probes_and_closes(void **state)
{
    (void)state;
    struct ipc_row_policy *policy = &world.policies[0];
    policy->failures_max = 3;
    policy->circuit_hold_ms = 1000;
    const struct eng_purse *purse = &world.core->money->purses[0];
    for (int i = 0; i < 3; i++) {
        uint32_t child = money_world_child(&world, 0, 1, BUY, false, 1, E8(1));
        eng_money_reply(
            world.core, child, IPC_ACTION_PLACE, IPC_OUTCOME_REJECTED, world.now_mono_ns);
        money_world_state(&world, child, ENG_STATE_REJECTED);
    }
    assert_int_equal(purse->failures, 3);
    assert_false(eng_circuit_probe(world.core, purse, policy, world.now_mono_ns + 999999999));
    assert_true(eng_circuit_probe(world.core, purse, policy, world.now_mono_ns + 1000000000));
    struct eng_case_follower of = {.row = &world.followers[0]};
    eng_money_case(world.core, 0, &world.followers[0], policy, 1, IPC_PRODUCT_MIS,
        world.now_mono_ns + 1000000000, &of);
    assert_int_equal(of.failures, 3);
    assert_int_equal(of.probe, 1);
    /* One probe: while it is unanswered there is no second. */
    uint32_t probe = money_world_child(&world, 0, 1, BUY, false, 1, E8(1));
    assert_false(eng_circuit_probe(world.core, purse, policy, world.now_mono_ns + 1000000000));
    eng_money_reply(world.core, probe, IPC_ACTION_PLACE, IPC_OUTCOME_ACKED, world.now_mono_ns);
    money_world_state(&world, probe, ENG_STATE_ACKED);
    assert_int_equal(purse->failures, 0);
    /* Acknowledged and then rejected behind the door: the row goes on where it was. */
    money_world_state(&world, probe, ENG_STATE_EXCH_REJECTED);
    assert_int_equal(purse->failures, 4);
    uint32_t good = money_world_child(&world, 0, 1, BUY, false, 1, E8(1));
    money_world_state(&world, good, ENG_STATE_OPEN);
    assert_int_equal(purse->failures, 0);
    /* What is no error of the broker does not count, nor does a change that lost to a fill. */
    eng_money_reply(world.core, good, IPC_ACTION_PLACE, IPC_OUTCOME_LIMITED, world.now_mono_ns);
    eng_money_reply(world.core, good, IPC_ACTION_PLACE, IPC_OUTCOME_AUTH, world.now_mono_ns);
    eng_money_reply(world.core, good, IPC_ACTION_PLACE, IPC_OUTCOME_NOT_SENT, world.now_mono_ns);
    eng_money_reply(world.core, good, IPC_ACTION_MODIFY, IPC_OUTCOME_REJECTED, world.now_mono_ns);
    assert_int_equal(purse->failures, 0);
    eng_money_reply(world.core, good, IPC_ACTION_PLACE, IPC_OUTCOME_UNKNOWN, world.now_mono_ns);
    assert_int_equal(purse->failures, 1);
    money_world_fact(&world,
        &(struct ipc_fact_limit){
            .act = IPC_LIMIT_ACT_BREAKER, .follower_no = 1, .incarnation = 1, .by = "asha"});
    assert_int_equal(purse->failures, 0);
}

/* F15, F16. */
static void margin_steps_down_by_one_lot(void **state)
{
    (void)state;
    int64_t lot = E8(65), qty = 6 * lot;
    struct ipc_outcome outcome = {
        .outcome = IPC_OUTCOME_REJECTED, .text = "RMS:Margin Exceeds, Required: 9000"};
    int tries[4] = {0}, count = 0;
    while (qty > 0 && count < 4) {
        tries[count++] = (int)(qty / lot);
        if (qty <= 4 * lot || !eng_reject_is_margin(&outcome))
            break;
        qty = eng_margin_step_e8(qty, lot);
    }
    assert_int_equal(count, 3);
    assert_int_equal(tries[0], 6);
    assert_int_equal(tries[2], 4);
    assert_int_equal(eng_margin_step_e8(lot, lot), 0);
    static const struct {
        enum ipc_outcome_class outcome;
        const char *text, *code;
        bool is_margin;
    } rows[] = {
        {IPC_OUTCOME_REJECTED, "invalid instrument", "", false},
        {IPC_OUTCOME_REJECTED, "Insufficient funds. Required margin is", "", true},
        {IPC_OUTCOME_REJECTED, "insufficient FUND", "", true},
        {IPC_OUTCOME_REJECTED, "", "MARGIN_EXC", true},
        {IPC_OUTCOME_UNKNOWN, "margin", "", false},
        {IPC_OUTCOME_REJECTED, "margi", "", false},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        outcome = (struct ipc_outcome){.outcome = (uint8_t)rows[i].outcome};
        strncpy(outcome.text, rows[i].text, sizeof outcome.text - 1);
        strncpy(outcome.code, rows[i].code, sizeof outcome.code - 1);
        assert_int_equal(eng_reject_is_margin(&outcome), rows[i].is_margin);
    }
}

/* H01-H03: results week by week, fees week by week. */
static void high_water_mark_fees(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        double share, results[4], fees[4];
    } rows[] = {
        {"H02", 0.1, {200, -150}, {20, 0}},
        {"paid again above the mark only", 0.1, {200, -150, 100, 50}, {20, 0, 0, 0}},
        {"and then for what is above it", 0.1, {200, -150, 250}, {20, 0, 10}},
        {"a loss first", 0.2, {-100, 100, 50}, {0, 0, 10}},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        int64_t total = 0, paid = 0;
        for (int k = 0; k < 4; k++) {
            total += E8(rows[i].results[k]);
            int64_t fee = eng_high_water_fee_e8(total, E8(rows[i].share), paid);
            if (fee != E8(rows[i].fees[k]))
                fail_msg("%s: fee %d is %lld", rows[i].id, k, (long long)fee);
            paid += fee;
        }
    }
}

/* H07. */
static void slippage_is_worse_when_positive(void **state)
{
    (void)state;
    struct eng_slip slip = eng_slip_of(BUY, E8(100), E8(100.12), E8(50));
    assert_int_equal(slip.per_unit_e8, E8(0.12));
    assert_int_equal(slip.money_e8, E8(6));
    assert_int_equal(slip.points_e8, E8(12));
    slip = eng_slip_of(SELL, E8(100), E8(100.12), E8(50));
    assert_int_equal(slip.money_e8, E8(-6));
    assert_int_equal(slip.points_e8, E8(-12));
}

/* What differs in money differs in the hash that recovery compares. */
static void the_hash_covers_it(void **state)
{
    (void)state;
    money_world_trade(&world, 0, 1, BUY, 10, E8(100));
    struct eng_money *money = world.core->money;
    uint64_t hash = eng_core_hash(world.core);
    int64_t *const words[] = {&money->purses[0].day_realised_e8, &money->purses[3].realised_e8,
        &money->lots[0].cost_e8, &money->lots_of[0].cost_e8, &money->counted[0].value_e8};
    for (size_t i = 0; i < LS_COUNT_OF(words); i++) {
        (*words[i])++;
        assert_int_not_equal(eng_core_hash(world.core), hash);
        (*words[i])--;
        assert_int_equal(eng_core_hash(world.core), hash);
    }
    money->fold.day++;
    assert_int_not_equal(eng_core_hash(world.core), hash);
    money->fold.day--;
    money->owners[2].tripped = 1;
    assert_int_not_equal(eng_core_hash(world.core), hash);
    money->owners[2].tripped = 0;
    money->limited_count++; /* derived from the view */
    assert_int_equal(eng_core_hash(world.core), hash);
    money->limited_count--;
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)
    const struct CMUnitTest tests[] = {
        T(fifo_by_table),
        T(a_fill_counts_once),
        T(rounding_of_averages_does_not_add_up),
        T(fees_of_the_broker_count),
        T(the_fold_is_naive_fifo),
        T(a_full_pool_keeps_the_sums),
        T(the_day_starts_from_zero_and_the_total_goes_on),
        T(openings_are_counted_while_they_may_come),
        T(an_opening_of_yesterday_is_not_taken_from_today),
        T(late_fills_of_an_earlier_owner_are_not_the_new_ones),
        T(the_circuit_opens_holds_probes_and_closes),
        T(margin_steps_down_by_one_lot),
        T(high_water_mark_fees),
        T(slippage_is_worse_when_positive),
        T(the_hash_covers_it),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
