/* Random trading against sums that are recomputed from the records alone: whatever happened, fills,
 * positions and money must agree with them, and the same seed must give the same book. */
#include "adapters/sim/book.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ACCOUNTS    5
#define INSTRUMENTS 4
#define STEPS       3000
#define SEEDS       20

static struct adp_sim_book *make_book(uint64_t seed)
{
    struct adp_sim_book *book = adp_sim_book_create(&(struct adp_sim_book_config){
        .seed = seed, .partial_ppm = 300000, .short_delivery = seed % 2 == 0});
    for (uint32_t i = 0; i < INSTRUMENTS; i++) {
        struct adp_sim_instrument instrument = {.exchange = i < 2 ? ADP_SIM_NSE : ADP_SIM_NFO,
            .kind = i < 2    ? ADP_SIM_EQUITY
                    : i == 2 ? ADP_SIM_FUTURE
                             : ADP_SIM_OPTION,
            .token = i + 1,
            .lot_units = i < 2 ? 1 : 25,
            .tick_e8 = LS_E8 / 20,
            .freeze_units = i < 2 ? 0 : 500,
            .last_e8 = 100 * LS_E8,
            .strike_e8 = 100 * LS_E8,
            .liquidity_units = -1};
        snprintf(instrument.symbol, sizeof(instrument.symbol), "I%u", i);
        adp_sim_book_add_instrument(book, &instrument);
    }
    for (int i = 0; i < ACCOUNTS; i++) {
        char id[8];
        snprintf(id, sizeof(id), "A%d", i);
        adp_sim_book_add_account(book, id, 200000 * LS_E8);
    }
    return book;
}

static int64_t some_price(struct adp_sim_prng *prng)
{
    /* Sometimes off the tick. */
    int64_t price = (90 * 20 + (int64_t)adp_sim_prng_below(prng, 20 * 20)) * (LS_E8 / 20);
    return adp_sim_prng_below(prng, 20) == 0 ? price + 1 : price;
}

static void act(struct adp_sim_book *book, struct adp_sim_prng *prng, int64_t now_ns)
{
    struct adp_sim_origin from = {.account = (uint32_t)adp_sim_prng_below(prng, ACCOUNTS),
        .source = adp_sim_prng_below(prng, 4) == 0 ? ADP_SIM_TERMINAL : ADP_SIM_API,
        .mono_ns = now_ns,
        .wall_ns = now_ns};
    uint32_t instrument = (uint32_t)adp_sim_prng_below(prng, INSTRUMENTS);
    uint32_t count = adp_sim_book_order_count(book);
    uint32_t order = count == 0 ? ADP_SIM_NONE : (uint32_t)adp_sim_prng_below(prng, count);
    struct adp_sim_change change = {.type = 1 + (enum adp_sim_type)adp_sim_prng_below(prng, 4),
        .validity = ADP_SIM_DAY,
        .units = (int64_t)adp_sim_prng_below(prng, 30) * 5,
        .price_e8 = some_price(prng),
        .trigger_e8 = some_price(prng)};

    switch (adp_sim_prng_below(prng, 10)) {
    case 0:
    case 1:
        adp_sim_book_set_price(book, instrument, some_price(prng) / 1000000 * 1000000,
            adp_sim_prng_below(prng, 3) == 0 ? (int64_t)adp_sim_prng_below(prng, 60) : -1, now_ns);
        return;
    case 2:
        if (order != ADP_SIM_NONE)
            (void)adp_sim_book_cancel(
                book, &from, adp_sim_book_order(book, order)->broker_order_id, NULL);
        return;
    case 3:
        if (order != ADP_SIM_NONE) {
            from.account = adp_sim_book_order(book, order)->origin.account;
            (void)adp_sim_book_modify(
                book, &from, adp_sim_book_order(book, order)->broker_order_id, &change, NULL);
        }
        return;
    case 4:
        if (order != ADP_SIM_NONE)
            (void)adp_sim_book_fill(book, order, 5, 0, now_ns);
        return;
    default: {
        struct adp_sim_terms terms = {.instrument = instrument,
            .side = 1 + (enum adp_sim_side)adp_sim_prng_below(prng, 2),
            .type = change.type,
            .product = 1 + (enum adp_sim_product)adp_sim_prng_below(prng, 4),
            .validity = adp_sim_prng_below(prng, 5) == 0 ? ADP_SIM_IOC : ADP_SIM_DAY,
            .complexity = ADP_SIM_REGULAR,
            .units = change.units,
            .price_e8 =
                change.type == ADP_SIM_LIMIT || change.type == ADP_SIM_SL ? change.price_e8 : 0,
            .trigger_e8 = change.type >= ADP_SIM_SL ? change.trigger_e8 : 0};
        adp_sim_book_place(book, &from, &terms, 0);
    }
    }
}

static void check_order(const struct adp_sim_book *book, const struct adp_sim_order *order)
{
    bool live = order->status == ADP_SIM_OPEN || order->status == ADP_SIM_TRIGGER_PENDING;
    assert_true(order->filled_units >= 0 && order->cancelled_units >= 0 && order->blocked_e8 >= 0);
    if (order->status == ADP_SIM_REFUSED) {
        assert_int_not_equal(order->refusal, 0);
        assert_int_equal(order->filled_units, 0);
        return;
    }
    assert_int_equal(order->refusal, 0);
    assert_true(order->filled_units + order->cancelled_units <= order->terms.units);
    if (order->status == ADP_SIM_COMPLETE)
        assert_int_equal(order->filled_units, order->terms.units);
    if (order->status == ADP_SIM_CANCELLED)
        assert_int_equal(order->filled_units + order->cancelled_units, order->terms.units);
    if (order->status == ADP_SIM_REJECTED)
        assert_non_null(order->reason);
    if (live)
        assert_true(order->filled_units < order->terms.units);
    else
        assert_int_equal(order->blocked_e8, 0);
    assert_int_equal(
        order->terms.units % adp_sim_book_instrument(book, order->terms.instrument)->lot_units, 0);
}

static void check_books_agree(const struct adp_sim_book *book)
{
    int64_t net[ACCOUNTS][INSTRUMENTS][5] = {0}, blocked[ACCOUNTS] = {0};
    int64_t *filled = calloc(adp_sim_book_order_count(book) + 1, sizeof(*filled));
    assert_non_null(filled);

    for (uint32_t i = 0; i < adp_sim_book_trade_count(book); i++) {
        const struct adp_sim_trade *trade = adp_sim_book_trade(book, i);
        const struct adp_sim_order *order = adp_sim_book_order(book, trade->order);
        assert_true(trade->units > 0 && trade->price_e8 > 0);
        filled[trade->order] += trade->units;
        net[order->origin.account][order->terms.instrument][order->terms.product] +=
            order->terms.side == ADP_SIM_BUY ? trade->units : -trade->units;
    }
    for (uint32_t i = 0; i < adp_sim_book_order_count(book); i++) {
        const struct adp_sim_order *order = adp_sim_book_order(book, i);
        check_order(book, order);
        assert_int_equal(filled[i], order->filled_units);
        blocked[order->origin.account] += order->blocked_e8;
    }
    for (uint32_t a = 0; a < ACCOUNTS; a++) {
        const struct adp_sim_account *account = adp_sim_book_account(book, a);
        int64_t used = 0, realized = 0;
        uint32_t listed = 0;
        for (uint32_t p = 0; p < account->position_count; p++) {
            const struct adp_sim_position *position = &account->positions[p];
            assert_int_equal(position->net_units, net[a][position->instrument][position->product]);
            assert_true(position->selling_units >= 0);
            net[a][position->instrument][position->product] = 0;
            used += position->margin_e8;
            realized += position->realized_e8;
        }
        for (int i = 0; i < INSTRUMENTS; i++) {
            for (int p = 0; p < 5; p++)
                assert_int_equal(net[a][i][p], 0); /* every trade is in some position */
        }
        assert_int_equal(account->blocked_e8, blocked[a]);
        assert_int_equal(account->used_e8, used);
        assert_int_equal(account->realized_e8, realized);
        for (uint32_t i = account->order_first; i != ADP_SIM_NONE;
             i = adp_sim_book_order(book, i)->next_of_account)
            listed++;
        assert_int_equal(listed, account->order_count);
    }
    free(filled);
}

static uint64_t run(uint64_t seed, bool check)
{
    struct adp_sim_book *book = make_book(seed);
    struct adp_sim_prng prng = {.state = seed};
    for (int step = 0; step < STEPS; step++) {
        act(book, &prng, step * LS_NS_PER_MS);
        if (check && step % 100 == 99)
            check_books_agree(book);
    }
    assert_true(adp_sim_book_trade_count(book) > STEPS / 20);
    uint64_t hash = adp_sim_book_hash(book);
    adp_sim_book_destroy(book);
    return hash;
}

static void sums_agree_and_seeds_replay(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        uint64_t hash = run(seed, true);
        assert_true(hash == run(seed, false));
        assert_true(hash != run(seed + 1000, false));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sums_agree_and_seeds_replay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
