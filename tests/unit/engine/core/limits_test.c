/* Money limits: when they are reached, what they stop, and when that ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/core/flatten.h"
#include "money_world.h"

#define E8(x)  ((int64_t)((x)*100000000.0 + ((x) < 0 ? -0.5 : 0.5)))
#define BIT(k) (1u << (k))

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

static void equity(double value)
{
    world.sample.equity_e8 = E8(value);
    world.sample.equity_mono_ns = world.now_mono_ns;
}

static enum ipc_reason bar(uint32_t slot)
{
    return eng_limits_bar(world.core, slot, &world.followers[slot]);
}

/* A loss of this much is realised today. */
static void lose(uint32_t slot, double money)
{
    money_world_trade(&world, slot, 1, IPC_SIDE_BUY, 1, E8(1000000));
    money_world_trade(&world, slot, 1, IPC_SIDE_SELL, 1, E8(1000000 - money));
}

/* A24-A26 and others: realised and unrealised of the day against an amount, to the paisa. */
static void daily_loss_by_table(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        double lost, bought_at, last, limit;
        bool trips;
    } rows[] = {
        {"A24 at the limit", 50000, 0, 0, 50000, true},
        {"A25 a paisa before", 49999.99, 0, 0, 50000, false},
        {"A26 realised and open together", 30000, 1000, 800, 50000, true}, /* 100 x -200 */
        {"open alone", 0, 1000, 500, 50000, true},
        {"an open gain lifts it off", 60000, 1000, 1101, 50000, false},
        {"zero is not set", 60000, 0, 0, 0, false},
    };
    uint32_t failed = 0;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        close_world(NULL);
        open_world(NULL);
        world.policies[0].daily_loss_e8 = E8(rows[i].limit);
        world.policies[0].trailing_protect_e8 = E8(1e9); /* it is judged in any case */
        money_world_adopt(&world);
        assert_int_equal(money_world_settle(&world, 0), 0); /* takes the day's base */
        if (rows[i].lost != 0)
            lose(0, rows[i].lost);
        if (rows[i].bought_at != 0)
            money_world_trade(&world, 0, 2, IPC_SIDE_BUY, 100, E8(rows[i].bought_at));
        world.prices_e8[2] = E8(rows[i].last);
        bool tripped = money_world_settle(&world, 0) == BIT(IPC_LIMIT_DAILY_LOSS);
        enum ipc_reason wanted = rows[i].trips ? IPC_REASON_DAILY_LOSS : IPC_REASON_NONE;
        if (tripped != rows[i].trips || bar(0) != wanted ||
            (world.core->slots[0].tripped != 0) != rows[i].trips) {
            print_error(
                "%s: tripped %d, reason %s\n", rows[i].id, tripped, ipc_reason_name(bar(0)));
            failed++;
        }
    }
    assert_int_equal(failed, 0);
}

/* What a carried position lost before today is yesterday's. */
static void carried_positions_count_by_their_change(void **state)
{
    (void)state;
    world.policies[0].daily_loss_e8 = E8(500);
    money_world_adopt(&world);
    assert_int_equal(money_world_settle(&world, 0), 0);
    money_world_trade(&world, 0, 2, IPC_SIDE_BUY, 10, E8(100));
    world.prices_e8[2] = E8(60); /* 400 lost on the first day */
    assert_int_equal(money_world_settle(&world, 0), 0);
    money_world_day(&world, MONEY_DAY + 1, MONEY_DAY + 1);
    assert_int_equal(money_world_settle(&world, 0), 0);
    world.prices_e8[2] = E8(30); /* 300 more on the second: 700 in all */
    assert_int_equal(money_world_settle(&world, 0), 0);
    money_world_trade(&world, 0, 2, IPC_SIDE_SELL, 5, E8(20)); /* realised from its cost, 400 */
    world.prices_e8[2] = E8(10); /* 5 x -90: today is -400 - 450 + 400 */
    assert_int_equal(money_world_settle(&world, 0), 0);
    world.prices_e8[2] = E8(0.01); /* -499.95 */
    assert_int_equal(money_world_settle(&world, 0), 0);
    money_world_trade(&world, 0, 2, IPC_SIDE_SELL, 1, E8(0));
    world.prices_e8[2] = E8(0.0125);
    assert_int_equal(money_world_settle(&world, 0), 0); /* -499.95 again, but for one share */
    money_world_trade(&world, 0, 2, IPC_SIDE_BUY, 1, E8(0.06));
    world.prices_e8[2] = E8(0.0001);
    assert_int_equal(money_world_settle(&world, 0), BIT(IPC_LIMIT_DAILY_LOSS));
}

/* F22-F25: limits on the account's equity: begin, highest, now. */
static void equity_by_table(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        struct ipc_row_policy policy;
        double begins, high, now;
        unsigned word;
        enum ipc_reason reason;
    } rows[] = {
        {"F22", {.drawdown_e8 = E8(700)}, 10000, 10500, 9800, BIT(IPC_LIMIT_DRAWDOWN),
            IPC_REASON_DRAWDOWN},
        {"F22 a paisa before", {.drawdown_e8 = E8(700)}, 10000, 10500, 9800.01, 0, 0},
        {"the peak is the day's, not the begin", {.drawdown_e8 = E8(700)}, 10000, 10000, 9800, 0,
            0},
        {"drawdown, a fraction of the peak", {.drawdown_fraction_e8 = E8(0.1)}, 900, 1000, 900,
            BIT(IPC_LIMIT_DRAWDOWN_FRACTION), IPC_REASON_DRAWDOWN},
        {"F23", {.daily_loss_fraction_e8 = E8(0.05)}, 100000, 100000, 95000,
            BIT(IPC_LIMIT_DAILY_LOSS_FRACTION), IPC_REASON_DAILY_LOSS},
        {"F23 of the day's start, not of the peak", {.daily_loss_fraction_e8 = E8(0.05)}, 100000,
            110000, 95001, 0, 0},
        {"F25 5.1 percent of 5", {.daily_loss_fraction_e8 = E8(0.05)}, 100000, 100000, 94900,
            BIT(IPC_LIMIT_DAILY_LOSS_FRACTION), IPC_REASON_DAILY_LOSS},
        {"F24 60 percent of 100", {.equity_stop_fraction_e8 = E8(0.6), .invest_e8 = E8(100)}, 100,
            100, 39.99, BIT(IPC_LIMIT_EQUITY_STOP), IPC_REASON_EQUITY_STOP},
        {"F24 at the level", {.equity_stop_fraction_e8 = E8(0.6), .invest_e8 = E8(100)}, 100, 100,
            40, BIT(IPC_LIMIT_EQUITY_STOP), IPC_REASON_EQUITY_STOP},
        {"F24 above the level", {.equity_stop_fraction_e8 = E8(0.6), .invest_e8 = E8(100)}, 100,
            100, 40.01, 0, 0},
        {"of its first equity", {.equity_stop_fraction_e8 = E8(0.4)}, 5000, 5000, 3000,
            BIT(IPC_LIMIT_EQUITY_STOP), IPC_REASON_EQUITY_STOP},
        {"an amount", {.equity_stop_e8 = E8(2500)}, 5000, 5000, 2500, BIT(IPC_LIMIT_EQUITY_STOP),
            IPC_REASON_EQUITY_STOP},
    };
    uint32_t failed = 0;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        close_world(NULL);
        open_world(NULL);
        world.policies[0] = rows[i].policy;
        money_world_adopt(&world);
        equity(rows[i].begins);
        unsigned word = money_world_settle(&world, 0);
        world.sample.equity_high_e8 = E8(rows[i].high);
        equity(rows[i].now);
        word |= money_world_settle(&world, 0);
        if (word != rows[i].word || bar(0) != rows[i].reason) {
            print_error("%s: word %x, reason %s\n", rows[i].id, word, ipc_reason_name(bar(0)));
            failed++;
        }
    }
    assert_int_equal(failed, 0);
}

/* A maximum that was kept as a fact outlives the memory of the pass. */
static void the_peak_is_in_the_journal(void **state)
{
    (void)state;
    world.policies[0].drawdown_e8 = E8(700);
    money_world_adopt(&world);
    equity(10000);
    assert_int_equal(money_world_settle(&world, 0), 0);
    world.sample.keep_peak = true;
    equity(10500);
    assert_int_equal(money_world_judge(&world, 0), 1);
    assert_int_equal(world.facts[0].act, IPC_LIMIT_ACT_PEAK);
    assert_int_equal(money_world_settle(&world, 0), 0);
    assert_int_equal(money_world_judge(&world, 0), 0); /* not again */
    world.sample.equity_high_e8 = 0;
    equity(9800);
    assert_int_equal(money_world_settle(&world, 0), BIT(IPC_LIMIT_DRAWDOWN));
}

/* F20, F21: realised in these steps, then so much open. */
static void trailing_capital(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        double open;
        bool trips;
    } rows[] = {{"F20", -300, true}, {"F21", -299, false}};
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        close_world(NULL);
        open_world(NULL);
        world.policies[0].trailing_protect_e8 = E8(1000);
        money_world_adopt(&world);
        assert_int_equal(money_world_settle(&world, 0), 0);
        /* accumulated: -500, 1400, 2700, 2000; level 1700 */
        static const double totals[] = {500, -1900, -1300, 700};
        for (size_t k = 0; k < LS_COUNT_OF(totals); k++)
            lose(0, totals[k]);
        assert_int_equal(money_world_figures(&world, 0).total_e8, E8(2000));
        money_world_trade(&world, 0, 2, IPC_SIDE_BUY, 1, E8(1000));
        world.prices_e8[2] = E8(1000 + rows[i].open);
        unsigned word = money_world_settle(&world, 0);
        if ((word == BIT(IPC_LIMIT_TRAILING)) != rows[i].trips)
            fail_msg("%s: word %x", rows[i].id, word);
        assert_int_equal(bar(0), rows[i].trips ? IPC_REASON_TRAILING_CAPITAL : IPC_REASON_NONE);
    }
}

/* F27: not at any midnight, but with the next session; F28: what waits for a person does. */
static void day_limits_lift_with_the_next_session(void **state)
{
    (void)state;
    world.policies[0].daily_loss_e8 = E8(100);
    world.policies[0].equity_stop_e8 = E8(50);
    money_world_adopt(&world);
    equity(1000);
    assert_int_equal(money_world_settle(&world, 0), 0);
    lose(0, 100);
    equity(40);
    (void)money_world_settle(&world, 0);
    assert_int_equal(bar(0), IPC_REASON_DAILY_LOSS);
    equity(1000);
    money_world_day(&world, MONEY_DAY + 1, MONEY_DAY); /* the market's midnight */
    (void)money_world_settle(&world, 0);
    assert_int_equal(bar(0), IPC_REASON_DAILY_LOSS);
    money_world_day(&world, MONEY_DAY + 1, MONEY_DAY + 1); /* its open */
    assert_int_equal(bar(0), IPC_REASON_EQUITY_STOP);
    money_world_day(&world, MONEY_DAY + 7, MONEY_DAY + 7);
    assert_int_equal(bar(0), IPC_REASON_EQUITY_STOP);
    money_world_fact(&world, &(struct ipc_fact_limit){.act = IPC_LIMIT_ACT_RESUME,
                                 .scope = IPC_LIMIT_SCOPE_LINK,
                                 .follower_no = 1,
                                 .incarnation = 1,
                                 .account = 2,
                                 .by = "asha"});
    assert_int_equal(bar(0), IPC_REASON_NONE);
    assert_int_equal(world.core->slots[0].tripped, 0);
}

static struct ipc_fact_limit resume_of(uint32_t slot)
{
    return (struct ipc_fact_limit){.act = IPC_LIMIT_ACT_RESUME,
        .scope = IPC_LIMIT_SCOPE_LINK,
        .follower_no = slot + 1,
        .slot = slot,
        .incarnation = 1,
        .account = slot + 2,
        .by = "asha"};
}

static void a_person_overrides_a_day_limit_until_the_next_session(void **state)
{
    (void)state;
    struct ipc_fact_limit resume = resume_of(0);
    world.policies[0].daily_loss_e8 = E8(100);
    money_world_adopt(&world);
    (void)money_world_settle(&world, 0);
    lose(0, 150);
    assert_int_equal(money_world_settle(&world, 0), BIT(IPC_LIMIT_DAILY_LOSS));
    money_world_fact(&world, &resume);
    assert_int_equal(money_world_settle(&world, 0), 0); /* still lost, but a person has decided */
    lose(0, 500);
    assert_int_equal(money_world_settle(&world, 0), 0);
    money_world_day(&world, MONEY_DAY + 1, MONEY_DAY + 1);
    (void)money_world_settle(&world, 0);
    lose(0, 100);
    assert_int_equal(money_world_settle(&world, 0), BIT(IPC_LIMIT_DAILY_LOSS));
}

static void trailing_starts_anew_and_an_equity_stop_trips_again(void **state)
{
    (void)state;
    struct ipc_fact_limit resume = resume_of(0);
    world.policies[0].trailing_protect_e8 = E8(100);
    money_world_adopt(&world);
    (void)money_world_settle(&world, 0);
    lose(0, 150);
    assert_int_equal(money_world_settle(&world, 0), BIT(IPC_LIMIT_TRAILING));
    money_world_fact(&world, &resume);
    lose(0, -40);
    assert_int_equal(
        money_world_settle(&world, 0), BIT(IPC_LIMIT_TRAILING)); /* -110 is below 0 - 100 */
    world.policies[0] = (struct ipc_row_policy){.equity_stop_e8 = E8(50)};
    money_world_adopt(&world);
    money_world_fact(&world, &resume);
    equity(50);
    assert_int_equal(money_world_settle(&world, 0), BIT(IPC_LIMIT_EQUITY_STOP));
    money_world_fact(&world, &resume);
    assert_int_equal(money_world_settle(&world, 0), BIT(IPC_LIMIT_EQUITY_STOP));
}

/* F31 and the other scopes. */
static void the_masters_breach_stops_its_group(void **state)
{
    (void)state;
    world.policies[0] =
        (struct ipc_row_policy){.daily_loss_e8 = E8(1000), .flags = IPC_POLICY_TRIP_GROUP};
    money_world_adopt(&world);
    world.sample.master_equity_e8 = E8(50000);
    world.sample.master_equity_mono_ns = world.now_mono_ns;
    assert_int_equal(money_world_settle(&world, 0), 0);
    world.sample.master_equity_e8 = E8(49000.01);
    assert_int_equal(money_world_settle(&world, 0), 0);
    assert_int_equal(eng_limits_batch_bar(world.core, MONEY_MASTER), IPC_REASON_NONE);
    world.sample.master_equity_e8 = E8(49000);
    assert_int_equal(money_world_settle(&world, 0), 0); /* its own figures are sound */
    assert_int_equal(eng_limits_batch_bar(world.core, MONEY_MASTER), IPC_REASON_MASTER_BREACH);
    assert_int_equal(eng_limits_batch_bar(world.core, 2), IPC_REASON_NONE);
    money_world_fact(&world, &(struct ipc_fact_limit){.act = IPC_LIMIT_ACT_RESUME,
                                 .scope = IPC_LIMIT_SCOPE_GROUP,
                                 .account = MONEY_MASTER,
                                 .by = "asha"});
    assert_int_equal(eng_limits_batch_bar(world.core, MONEY_MASTER), IPC_REASON_NONE);
    assert_int_equal(money_world_settle(&world, 0), 0);
    assert_int_equal(eng_limits_batch_bar(world.core, MONEY_MASTER), IPC_REASON_NONE);
}

static void scopes_by_table(void **state)
{
    (void)state;
    static const struct {
        enum ipc_limit_scope scope;
        bool self, same_account, same_master, other;
    } rows[] = {
        {0, true, false, false, false},
        {IPC_LIMIT_SCOPE_LINK, true, false, false, false},
        {IPC_LIMIT_SCOPE_FOLLOWER, true, true, false, false},
        {IPC_LIMIT_SCOPE_GROUP, true, false, true, false},
        {IPC_LIMIT_SCOPE_ALL, true, true, true, true},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        close_world(NULL);
        open_world(NULL);
        world.followers[1].account = world.followers[0].account; /* follows another master */
        world.followers[1].master = world.followers[3].master = MONEY_SLOTS + 1;
        world.policies[0].daily_loss_e8 = E8(100);
        world.policies[0].trip_scope = (uint8_t)rows[i].scope;
        money_world_adopt(&world);
        (void)money_world_settle(&world, 0);
        lose(0, 100);
        (void)money_world_settle(&world, 0);
        bool barred[MONEY_SLOTS];
        for (uint32_t slot = 0; slot < MONEY_SLOTS; slot++) {
            barred[slot] =
                bar(slot) != IPC_REASON_NONE ||
                eng_limits_batch_bar(world.core, world.followers[slot].master) != IPC_REASON_NONE;
            if (bar(slot) != IPC_REASON_NONE) /* the cheap test lets it be asked */
                assert_true(eng_limits_may_bar(world.core, &world.core->slots[slot]));
        }
        if (barred[0] != rows[i].self || barred[1] != rows[i].same_account ||
            barred[2] != rows[i].same_master || barred[3] != rows[i].other)
            fail_msg("scope %u: %d %d %d %d", (unsigned)rows[i].scope, barred[0], barred[1],
                barred[2], barred[3]);
        struct ipc_fact_limit resume = resume_of(0);
        money_world_fact(&world, &resume);
        assert_int_equal(bar(0), IPC_REASON_NONE);
        assert_int_equal(bar(1), IPC_REASON_NONE);
    }
}

/* A limit that needs a figure which nobody knows stops entries until it is known. */
static void unknown_figures_stop_and_lift_by_themselves(void **state)
{
    (void)state;
    world.policies[0].drawdown_e8 = E8(100);
    money_world_adopt(&world);
    assert_int_equal(money_world_settle(&world, 0), BIT(IPC_LIMIT_FIGURES));
    assert_int_equal(bar(0), IPC_REASON_STALE_ACCOUNT_DATA);
    struct ipc_fact_limit resume = resume_of(0);
    money_world_fact(&world, &resume);
    assert_int_equal(bar(0), IPC_REASON_STALE_ACCOUNT_DATA); /* no person can know it */
    equity(1000);
    assert_int_equal(money_world_settle(&world, 0), 0);
    assert_int_equal(bar(0), IPC_REASON_NONE);
    world.now_mono_ns += 61 * LS_NS_PER_S; /* too old now */
    assert_int_equal(money_world_settle(&world, 0), BIT(IPC_LIMIT_FIGURES));
    equity(1000);
    money_world_trade(&world, 0, 3, IPC_SIDE_BUY, 1, E8(10)); /* no price of it was ever seen */
    assert_int_equal(money_world_settle(&world, 0), BIT(IPC_LIMIT_FIGURES));
    world.prices_e8[3] = E8(10);
    assert_int_equal(money_world_settle(&world, 0), 0);
}

static void followers_without_limits_are_not_looked_at(void **state)
{
    (void)state;
    assert_int_equal(eng_limits_count(world.core), 0);
    world.policies[1].daily_loss_e8 = 1;
    world.policies[2].trades_day_max = 1; /* counts by the day, but is not judged */
    world.policies[3].max_trade_risk_e8 = 1;
    money_world_adopt(&world);
    assert_int_equal(eng_limits_count(world.core), 2);
    assert_int_equal(eng_limits_slot(world.core, 0), 1);
    assert_int_equal(money_world_judge(&world, 2), 0);
    world.followers[1].flags |= IPC_FOLLOWER_RETIRED;
    money_world_adopt(&world);
    assert_int_equal(eng_limits_count(world.core), 1);
}

/* F26: to stop entries and to close are two switches; the wish is said once. */
static void flattening_is_a_choice(void **state)
{
    (void)state;
    struct ipc_fact_limit fact;
    for (int choice = 0; choice < 2; choice++) {
        close_world(NULL);
        open_world(NULL);
        world.policies[0].daily_loss_e8 = E8(100);
        world.policies[0].flags = choice ? IPC_POLICY_TRIP_FLATTENS : 0;
        money_world_adopt(&world);
        (void)money_world_settle(&world, 0);
        money_world_trade(&world, 0, 2, IPC_SIDE_BUY, 50, E8(100));
        money_world_trade(&world, 0, 3, IPC_SIDE_SELL, 7, E8(10));
        world.prices_e8[2] = E8(98);
        world.prices_e8[3] = E8(10);
        assert_false(eng_flatten_want(world.core, 0, &fact));
        assert_int_equal(money_world_settle(&world, 0), BIT(IPC_LIMIT_DAILY_LOSS));
        assert_int_equal(eng_flatten_want(world.core, 0, &fact), choice);
        if (!choice)
            continue;
        assert_int_equal(fact.act, IPC_LIMIT_ACT_FLATTEN);
        assert_int_equal(fact.follower_no, 1);
        assert_string_equal(fact.by, "limit-reached");
        money_world_fact(&world, &fact);
        assert_int_equal(eng_flatten_open(world.core), 2);
        assert_false(eng_flatten_want(world.core, 0, &fact));
        money_world_fact(&world, &fact); /* twice is once */
        assert_int_equal(eng_flatten_fresh(world.core), 2);
    }
}

/* A person's act from the ring. */
static void operator_acts_become_facts(void **state)
{
    (void)state;
    struct ipc_event event = {.kind = IPC_EVENT_OPERATOR,
        .reserved = IPC_OPERATOR_RESUME,
        .account = 3,
        .book_order_count = 2,
        .broker_order_id = "asha"};
    struct eng_event_facts out = {.count = 0};
    assert_int_equal(ipc_event_check(&event, NULL), IPC_OK);
    eng_limits_step(world.core, &event, &out);
    assert_int_equal(out.count, 1);
    assert_int_equal(out.fact[0].type, IPC_FACT_LIMIT);
    assert_int_equal(out.fact[0].limit.act, IPC_LIMIT_ACT_RESUME);
    assert_int_equal(out.fact[0].limit.follower_no, 2);
    assert_int_equal(out.fact[0].limit.slot, 1);
    assert_string_equal(out.fact[0].limit.by, "asha");
    assert_int_equal(eng_limits_apply(world.core, &out.fact[0].limit), IPC_OK);
    out.count = 0;
    event.book_order_count = 77; /* nobody */
    eng_limits_step(world.core, &event, &out);
    assert_int_equal(out.count, 0);
    event.reserved = IPC_OPERATOR_BREAKER_RESET;
    event.book_order_count = 0; /* a group has no circuit */
    eng_limits_step(world.core, &event, &out);
    assert_int_equal(out.count, 0);
    memset(event.broker_order_id, 0, sizeof event.broker_order_id); /* nobody said it */
    assert_int_equal(ipc_event_check(&event, NULL), IPC_BAD_INPUT);
}

/* Facts of a damaged journal change nothing. */
static void impossible_facts_are_refused(void **state)
{
    (void)state;
    const struct ipc_fact_limit rows[] = {
        {.act = 0},
        {.act = 99},
        {.act = IPC_LIMIT_ACT_DAY, .follower_no = 1},
        {.act = IPC_LIMIT_ACT_TRIP, .follower_no = 1, .kind = 0, .scope = 1},
        {.act = IPC_LIMIT_ACT_TRIP, .follower_no = 1, .kind = 1, .scope = 9},
        {.act = IPC_LIMIT_ACT_TRIP, .follower_no = 1, .kind = 1, .scope = 1, .slot = MONEY_SLOTS},
        {.act = IPC_LIMIT_ACT_TRIP, .kind = 1, .scope = 3, .account = MONEY_SLOTS + 2},
        {.act = IPC_LIMIT_ACT_TRIP, .follower_no = 1, .kind = 1, .scope = 1, .flatten = 2},
        {.act = IPC_LIMIT_ACT_LIFT, .kind = 1, .scope = 1},
        {.act = IPC_LIMIT_ACT_BASE},
        {.act = IPC_LIMIT_ACT_BASE, .follower_no = 1, .fee_fraction_e8 = -1},
    };
    uint64_t hash = eng_core_hash(world.core);
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++)
        if (eng_limits_apply(world.core, &rows[i]) != IPC_BAD_INPUT)
            fail_msg("row %zu was taken", i);
    assert_int_equal(eng_core_hash(world.core), hash);
}

/* The same facts and fills, folded twice, are the same state. */
static void folding_again_gives_the_same_state(void **state)
{
    (void)state;
    uint64_t hashes[2];
    for (int run = 0; run < 2; run++) {
        close_world(NULL);
        open_world(NULL);
        world.policies[0] = (struct ipc_row_policy){
            .daily_loss_e8 = E8(100), .drawdown_e8 = E8(50), .flags = IPC_POLICY_TRIP_GROUP};
        money_world_adopt(&world);
        equity(1000);
        world.sample.master_equity_e8 = E8(100);
        world.sample.master_equity_mono_ns = world.now_mono_ns;
        (void)money_world_settle(&world, 0);
        lose(0, 60);
        equity(940);
        world.sample.master_equity_e8 = E8(0);
        (void)money_world_settle(&world, 0);
        hashes[run] = eng_core_hash(world.core);
    }
    assert_int_equal(hashes[0], hashes[1]);
    assert_int_equal(bar(0), IPC_REASON_DRAWDOWN);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)
    const struct CMUnitTest tests[] = {
        T(daily_loss_by_table),
        T(carried_positions_count_by_their_change),
        T(equity_by_table),
        T(the_peak_is_in_the_journal),
        T(trailing_capital),
        T(day_limits_lift_with_the_next_session),
        T(a_person_overrides_a_day_limit_until_the_next_session),
        T(trailing_starts_anew_and_an_equity_stop_trips_again),
        T(the_masters_breach_stops_its_group),
        T(scopes_by_table),
        T(unknown_figures_stop_and_lift_by_themselves),
        T(followers_without_limits_are_not_looked_at),
        T(flattening_is_a_choice),
        T(operator_acts_become_facts),
        T(impossible_facts_are_refused),
        T(folding_again_gives_the_same_state),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
