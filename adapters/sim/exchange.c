/* exchange.c: what happens to an accepted order: the risk desk's and the exchange's checks,
 * matching against the last price, fills, positions and margins. Margin rates are round figures of
 * this simulator, not a broker's. */
#include "adapters/sim/book_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t clamp_i128(__int128 value)
{
    if (value > INT64_MAX)
        return INT64_MAX;
    return value < -INT64_MAX ? -INT64_MAX : (int64_t)value;
}

static int64_t units_times_price(int64_t units, int64_t price_e8)
{
    return clamp_i128((__int128)units * price_e8);
}

/* ---- money
 * ------------------------------------------------------------------------------------------------------
 */

/* Margin of holding or opening units at a price: percent of their value; an option seller's is of
 * the strike. */
static int64_t margin_of(const struct adp_sim_instrument *instrument, enum adp_sim_product product,
    enum adp_sim_side side, int64_t units, int64_t price_e8)
{
    int64_t percent = 100;
    switch (instrument->kind) {
    case ADP_SIM_EQUITY:
        if (product == ADP_SIM_LONGTERM && side == ADP_SIM_SELL)
            return 0;
        percent = product == ADP_SIM_INTRADAY ? 20 : product == ADP_SIM_MTF ? 50 : 100;
        break;
    case ADP_SIM_FUTURE:
        percent = 15;
        break;
    case ADP_SIM_OPTION:
        if (side == ADP_SIM_SELL) {
            percent = 15;
            price_e8 = instrument->strike_e8;
        }
        break;
    case ADP_SIM_INDEX:
        break;
    }
    return clamp_i128((__int128)units * price_e8 * percent / 100);
}

int64_t adp_sim_book_available(const struct adp_sim_account *account)
{
    return clamp_i128((__int128)account->funds_e8 + account->realized_e8 - account->blocked_e8 -
                      account->used_e8);
}

int64_t adp_sim_order_average(const struct adp_sim_order *order)
{
    return order->filled_units == 0 ? 0 : clamp_i128(order->value_e8 / order->filled_units);
}

static struct adp_sim_position *find_position(
    struct adp_sim_account *account, uint32_t instrument, enum adp_sim_product product)
{
    for (uint32_t i = 0; i < account->position_count; i++) {
        if (account->positions[i].instrument == instrument &&
            account->positions[i].product == product)
            return &account->positions[i];
    }
    return NULL;
}

static struct adp_sim_position *make_position(
    struct adp_sim_account *account, uint32_t instrument, enum adp_sim_product product)
{
    struct adp_sim_position *position = find_position(account, instrument, product);
    if (position != NULL)
        return position;
    if (account->position_count == account->position_capacity) {
        account->position_capacity =
            account->position_capacity == 0 ? 4 : account->position_capacity * 2;
        account->positions =
            realloc(account->positions, account->position_capacity * sizeof(*account->positions));
        LS_CHECK(account->positions != NULL);
    }
    position = &account->positions[account->position_count++];
    memset(position, 0, sizeof(*position));
    position->instrument = instrument;
    position->product = product;
    return position;
}

static void add_fill_to_position(struct adp_sim_account *account,
    const struct adp_sim_instrument *instrument, struct adp_sim_position *position,
    enum adp_sim_side side, int64_t units, int64_t price_e8)
{
    int64_t value_e8 = units_times_price(units, price_e8);
    int64_t held = position->net_units < 0 ? -position->net_units : position->net_units;
    bool adds = position->net_units == 0 || (position->net_units > 0) == (side == ADP_SIM_BUY);

    if (side == ADP_SIM_BUY) {
        position->buy_units += units;
        position->buy_value_e8 += value_e8;
    } else {
        position->sell_units += units;
        position->sell_value_e8 += value_e8;
    }
    if (adds) {
        __int128 cost = (__int128)held * position->net_price_e8 + (__int128)units * price_e8;
        position->net_price_e8 = clamp_i128(cost / (held + units));
    } else {
        int64_t closed = ls_min_i64(held, units);
        int64_t gain_e8 = clamp_i128((__int128)closed * (price_e8 - position->net_price_e8));
        if (position->net_units < 0)
            gain_e8 = -gain_e8;
        position->realized_e8 += gain_e8;
        account->realized_e8 += gain_e8;
        if (units > held)
            position->net_price_e8 = price_e8;
    }
    position->net_units += side == ADP_SIM_BUY ? units : -units;
    if (position->net_units == 0)
        position->net_price_e8 = 0;

    held = position->net_units < 0 ? -position->net_units : position->net_units;
    int64_t margin_e8 = margin_of(instrument, position->product,
        position->net_units < 0 ? ADP_SIM_SELL : ADP_SIM_BUY, held, position->net_price_e8);
    account->used_e8 += margin_e8 - position->margin_e8;
    position->margin_e8 = margin_e8;
}

/* What a working order needs: only the part that opens or enlarges a position. */
static int64_t order_margin(const struct adp_sim_book *book, const struct adp_sim_order *order,
    int64_t units, int64_t price_e8, int64_t trigger_e8)
{
    const struct adp_sim_instrument *instrument =
        &adp_sim_listing_at(book, order->terms.instrument)->instrument;
    const struct adp_sim_position *position =
        find_position(adp_sim_account_at(book, order->origin.account), order->terms.instrument,
            order->terms.product);
    if (price_e8 == 0)
        price_e8 = trigger_e8 != 0 ? trigger_e8 : instrument->last_e8;
    if (position != NULL && order->terms.side == ADP_SIM_SELL && position->net_units > 0)
        units = ls_max_i64(0, units - position->net_units);
    if (position != NULL && order->terms.side == ADP_SIM_BUY && position->net_units < 0)
        units = ls_max_i64(0, units + position->net_units);
    return margin_of(instrument, order->terms.product, order->terms.side, units, price_e8);
}

static void block(struct adp_sim_book *book, struct adp_sim_order *order, int64_t margin_e8)
{
    adp_sim_account_at(book, order->origin.account)->blocked_e8 += margin_e8 - order->blocked_e8;
    order->blocked_e8 = margin_e8;
}

/* ---- working list
 * -----------------------------------------------------------------------------------------------
 */

/* Working sells are summed per position, so that the same shares are not sold twice. */
static void count_selling(
    struct adp_sim_book *book, const struct adp_sim_order *order, int64_t units)
{
    if (order->terms.side == ADP_SIM_SELL && units != 0)
        make_position(adp_sim_account_at(book, order->origin.account), order->terms.instrument,
            order->terms.product)
            ->selling_units += units;
}

static void work(struct adp_sim_book *book, uint32_t index)
{
    struct adp_sim_order *order = adp_sim_order_at(book, index);
    count_selling(book, order, order->terms.units - order->filled_units);
    struct adp_sim_listing *listing = adp_sim_listing_at(book, order->terms.instrument);
    order->next_working = ADP_SIM_NONE;
    order->previous_working = listing->working_last;
    if (listing->working_last == ADP_SIM_NONE)
        listing->working_first = index;
    else
        adp_sim_order_at(book, listing->working_last)->next_working = index;
    listing->working_last = index;
    order->at_exchange = true;
}

static void stop_work(struct adp_sim_book *book, uint32_t index)
{
    struct adp_sim_order *order = adp_sim_order_at(book, index);
    struct adp_sim_listing *listing = adp_sim_listing_at(book, order->terms.instrument);
    if (order->previous_working == ADP_SIM_NONE)
        listing->working_first = order->next_working;
    else
        adp_sim_order_at(book, order->previous_working)->next_working = order->next_working;
    if (order->next_working == ADP_SIM_NONE)
        listing->working_last = order->previous_working;
    else
        adp_sim_order_at(book, order->next_working)->previous_working = order->previous_working;
    order->next_working = order->previous_working = ADP_SIM_NONE;
    count_selling(book, order, -(order->terms.units - order->filled_units));
    block(book, order, 0);
}

static bool is_working(const struct adp_sim_order *order)
{
    return order->at_exchange &&
           (order->status == ADP_SIM_OPEN || order->status == ADP_SIM_TRIGGER_PENDING);
}

/* ---- fills
 * ------------------------------------------------------------------------------------------------------
 */

static void fill(
    struct adp_sim_book *book, uint32_t index, int64_t units, int64_t price_e8, int64_t wall_ns)
{
    struct adp_sim_order *order = adp_sim_order_at(book, index);
    struct adp_sim_account *account = adp_sim_account_at(book, order->origin.account);
    const struct adp_sim_instrument *instrument =
        &adp_sim_listing_at(book, order->terms.instrument)->instrument;
    int64_t remaining = order->terms.units - order->filled_units;
    LS_CHECK(units > 0 && units <= remaining && price_e8 > 0);

    struct adp_sim_trade *trade = adp_sim_records_add(&book->trades);
    uint32_t trade_index = book->trades.count - 1;
    *trade = (struct adp_sim_trade){.order = index,
        .next_of_account = ADP_SIM_NONE,
        .units = units,
        .price_e8 = price_e8,
        .wall_ns = wall_ns};
    if (account->trade_last == ADP_SIM_NONE)
        account->trade_first = trade_index;
    else
        ((struct adp_sim_trade *)adp_sim_records_at(&book->trades, account->trade_last))
            ->next_of_account = trade_index;
    account->trade_last = trade_index;

    block(book, order, clamp_i128((__int128)order->blocked_e8 * (remaining - units) / remaining));
    count_selling(book, order, -units);
    order->filled_units += units;
    order->value_e8 += (__int128)units * price_e8;
    order->updated_wall_ns = wall_ns;
    order->status = ADP_SIM_OPEN;
    add_fill_to_position(account, instrument,
        make_position(account, order->terms.instrument, order->terms.product), order->terms.side,
        units, price_e8);
    if (order->filled_units == order->terms.units) {
        order->status = ADP_SIM_COMPLETE;
        stop_work(book, index);
    }
    adp_sim_book_tell(book, index, ADP_SIM_REPORT_FILL, trade_index);
}

/* The price an order may trade at: 0 for any. Market orders with protection carry a limit of their
 * own. */
static int64_t limit_of(
    const struct adp_sim_order *order, const struct adp_sim_instrument *instrument)
{
    if (order->terms.type == ADP_SIM_LIMIT || order->terms.type == ADP_SIM_SL)
        return order->terms.price_e8;
    if (order->terms.protection_e8 == 0 || instrument->last_e8 == 0)
        return 0;
    int64_t band = adp_sim_mul_e8(instrument->last_e8, order->terms.protection_e8 / 100);
    return order->terms.side == ADP_SIM_BUY ? instrument->last_e8 + band
                                            : ls_max_i64(1, instrument->last_e8 - band);
}

/* Lets one working order trade against the last price. An arriving order takes the price it finds;
 * a resting one that the price comes to trades at its own limit. */
static void match(struct adp_sim_book *book, uint32_t index, bool arriving, int64_t wall_ns)
{
    struct adp_sim_order *order = adp_sim_order_at(book, index);
    struct adp_sim_instrument *instrument =
        &adp_sim_listing_at(book, order->terms.instrument)->instrument;
    int64_t last_e8 = instrument->last_e8;
    bool buy = order->terms.side == ADP_SIM_BUY;

    if (last_e8 == 0)
        return;
    if (order->status == ADP_SIM_TRIGGER_PENDING) {
        if (buy ? last_e8 < order->terms.trigger_e8 : last_e8 > order->terms.trigger_e8)
            return;
        order->status = ADP_SIM_OPEN;
        order->triggered = true;
        order->updated_wall_ns = wall_ns;
        arriving = true;
        adp_sim_book_tell(book, index, ADP_SIM_REPORT_NEW, ADP_SIM_NONE);
    }
    int64_t limit_e8 = limit_of(order, instrument);
    if (limit_e8 != 0 && (buy ? last_e8 > limit_e8 : last_e8 < limit_e8))
        return;
    int64_t units = order->terms.units - order->filled_units;
    if (instrument->liquidity_units >= 0)
        units = ls_min_i64(units, instrument->liquidity_units);
    int64_t lots = units / instrument->lot_units;
    if (arriving && lots > 1 && book->config.partial_ppm > 0 &&
        adp_sim_prng_below(&book->prng, 1000000) < book->config.partial_ppm)
        units = instrument->lot_units *
                (1 + (int64_t)adp_sim_prng_below(&book->prng, (uint64_t)lots - 1));
    if (units <= 0)
        return;
    if (instrument->liquidity_units >= 0)
        instrument->liquidity_units -= units;
    fill(book, index, units, arriving || limit_e8 == 0 ? last_e8 : limit_e8, wall_ns);
}

static void match_arrival(struct adp_sim_book *book, uint32_t index, int64_t wall_ns)
{
    match(book, index, true, wall_ns);
    struct adp_sim_order *order = adp_sim_order_at(book, index);
    if (order->terms.validity == ADP_SIM_IOC && order->status == ADP_SIM_OPEN)
        adp_sim_exchange_cancel(book, index, wall_ns);
}

void adp_sim_book_set_price(struct adp_sim_book *book, uint32_t instrument_index, int64_t price_e8,
    int64_t liquidity_units, int64_t wall_ns)
{
    struct adp_sim_listing *listing = adp_sim_listing_at(book, instrument_index);
    LS_CHECK(price_e8 > 0);
    listing->instrument.last_e8 = price_e8;
    listing->instrument.liquidity_units = liquidity_units;
    if (book->watch.price != NULL)
        book->watch.price(book->watch.context, instrument_index, wall_ns);
    for (uint32_t at = listing->working_first; at != ADP_SIM_NONE;) {
        uint32_t next = adp_sim_order_at(book, at)->next_working;
        match(book, at, false, wall_ns);
        struct adp_sim_order *order = adp_sim_order_at(book, at);
        if (order->terms.validity == ADP_SIM_IOC && order->status == ADP_SIM_OPEN)
            adp_sim_exchange_cancel(book, at, wall_ns);
        at = next;
    }
}

int64_t adp_sim_book_fill(
    struct adp_sim_book *book, uint32_t index, int64_t units, int64_t price_e8, int64_t wall_ns)
{
    struct adp_sim_order *order = adp_sim_order_at(book, index);
    if (!is_working(order) || units <= 0 || price_e8 < 0)
        return 0;
    if (price_e8 == 0)
        price_e8 = order->terms.price_e8;
    if (price_e8 == 0)
        price_e8 = adp_sim_listing_at(book, order->terms.instrument)->instrument.last_e8;
    if (price_e8 == 0)
        return 0;
    units = ls_min_i64(units, order->terms.units - order->filled_units);
    fill(book, index, units, price_e8, wall_ns);
    return units;
}

/* ---- what the risk desk and the exchange say
 * -------------------------------------------------------------------- */

LS_PRINTF(2, 3)
static void set_reason(struct adp_sim_order *order, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    free((char *)order->reason);
    order->reason = strdup(text);
    LS_CHECK(order->reason != NULL);
}

/* Checks new terms; on a refusal sets the order's reason and returns false. */
static bool exchange_accepts(struct adp_sim_book *book, struct adp_sim_order *order, int64_t units,
    int64_t price_e8, int64_t trigger_e8, int64_t *margin_e8)
{
    const struct adp_sim_instrument *instrument =
        &adp_sim_listing_at(book, order->terms.instrument)->instrument;
    struct adp_sim_account *account = adp_sim_account_at(book, order->origin.account);
    char first[ADP_SIM_E8_BYTES], second[ADP_SIM_E8_BYTES];

    if (price_e8 % instrument->tick_e8 != 0 || trigger_e8 % instrument->tick_e8 != 0) {
        bool price_is_wrong = price_e8 % instrument->tick_e8 != 0;
        adp_sim_format_e8(price_is_wrong ? price_e8 : trigger_e8, 2, first);
        adp_sim_format_e8(instrument->tick_e8, 2, second);
        set_reason(order, "ORA:%s %s is not a multiple of tick size %s ",
            price_is_wrong ? "Price" : "Trigger price", first, second);
        return false;
    }
    if (instrument->freeze_units > 0 && units > instrument->freeze_units) {
        set_reason(order, "ORA:Order quantity %lld is greater than the freeze quantity %lld ",
            (long long)units, (long long)instrument->freeze_units);
        return false;
    }
    if (instrument->kind == ADP_SIM_EQUITY && order->terms.product == ADP_SIM_LONGTERM &&
        order->terms.side == ADP_SIM_SELL && !book->config.short_delivery) {
        int64_t held = 0;
        const struct adp_sim_position *position =
            find_position(account, order->terms.instrument, ADP_SIM_LONGTERM);
        for (uint32_t i = 0; i < account->holding_count; i++)
            held += account->holdings[i].instrument == order->terms.instrument
                        ? account->holdings[i].units
                        : 0;
        if (position != NULL)
            held += position->net_units - position->selling_units;
        if (order->at_exchange) /* its own remainder is among what is being sold */
            held += order->terms.units - order->filled_units;
        if (units - order->filled_units > held) {
            set_reason(order, "RED:Holdings not sufficient: sellable %lld, asked %lld for C-%s",
                (long long)ls_max_i64(held, 0), (long long)(units - order->filled_units),
                account->id);
            return false;
        }
    }
    *margin_e8 = order_margin(book, order, units - order->filled_units, price_e8, trigger_e8);
    int64_t available_e8 = adp_sim_book_available(account) + order->blocked_e8;
    if (*margin_e8 > available_e8) {
        adp_sim_format_e8(*margin_e8 / (LS_E8 / 100) * (LS_E8 / 100), 2, first);
        adp_sim_format_e8(available_e8 / (LS_E8 / 100) * (LS_E8 / 100), 2, second);
        set_reason(order, "RED:Margin Shortfall:INR %s Available:INR %s for C-%s [SIMULATOR]",
            first, second, account->id);
        return false;
    }
    return true;
}

void adp_sim_exchange_see(struct adp_sim_book *book, uint32_t index, int64_t wall_ns)
{
    struct adp_sim_order *order = adp_sim_order_at(book, index);
    int64_t margin_e8 = 0;

    LS_CHECK(order->status == ADP_SIM_PENDING);
    order->updated_wall_ns = wall_ns;
    if (!exchange_accepts(book, order, order->terms.units, order->terms.price_e8,
            order->terms.trigger_e8, &margin_e8)) {
        order->status = ADP_SIM_REJECTED;
        adp_sim_book_tell(book, index, ADP_SIM_REPORT_REJECTED, ADP_SIM_NONE);
        return;
    }
    bool stop = order->terms.type == ADP_SIM_SL || order->terms.type == ADP_SIM_SLM;
    order->status = stop ? ADP_SIM_TRIGGER_PENDING : ADP_SIM_OPEN;
    block(book, order, margin_e8);
    work(book, index);
    adp_sim_book_tell(book, index, ADP_SIM_REPORT_NEW, ADP_SIM_NONE);
    match_arrival(book, index, wall_ns);
}

void adp_sim_exchange_modify(
    struct adp_sim_book *book, uint32_t index, const struct adp_sim_change *change, int64_t wall_ns)
{
    struct adp_sim_order *order = adp_sim_order_at(book, index);
    bool priced = change->type == ADP_SIM_LIMIT || change->type == ADP_SIM_SL;
    bool stop = change->type == ADP_SIM_SL || change->type == ADP_SIM_SLM;
    int64_t price_e8 = priced ? change->price_e8 : 0;
    int64_t trigger_e8 = stop ? change->trigger_e8 : 0;
    int64_t margin_e8 = 0;

    order->updated_wall_ns = wall_ns;
    order->modify_count++;
    if (order->at_exchange &&
        !exchange_accepts(book, order, change->units, price_e8, trigger_e8, &margin_e8)) {
        adp_sim_book_tell(book, index, ADP_SIM_REPORT_REPLACE_REJECTED, ADP_SIM_NONE);
        return;
    }
    bool was_stop = order->terms.type == ADP_SIM_SL || order->terms.type == ADP_SIM_SLM;
    if (order->at_exchange)
        stop_work(book, index); /* a changed order goes to the end of the queue */
    order->terms.type = change->type;
    order->terms.validity = change->validity;
    order->terms.units = change->units;
    order->terms.price_e8 = price_e8;
    order->terms.trigger_e8 = trigger_e8;
    order->terms.protection_e8 = change->protection_e8;
    if (!order->at_exchange) {
        /* The exchange has not seen it yet and will see the new terms. */
        adp_sim_book_tell(book, index, ADP_SIM_REPORT_REPLACED, ADP_SIM_NONE);
        return;
    }
    free((char *)order->reason);
    order->reason = NULL;
    work(book, index);
    block(book, order, margin_e8);
    if (stop && !(was_stop && order->triggered)) {
        order->status = ADP_SIM_TRIGGER_PENDING;
        order->triggered = false;
    } else {
        order->status = ADP_SIM_OPEN;
    }
    adp_sim_book_tell(book, index, ADP_SIM_REPORT_REPLACED, ADP_SIM_NONE);
    match_arrival(book, index, wall_ns);
}

void adp_sim_exchange_cancel(struct adp_sim_book *book, uint32_t index, int64_t wall_ns)
{
    struct adp_sim_order *order = adp_sim_order_at(book, index);
    if (is_working(order))
        stop_work(book, index);
    order->status = ADP_SIM_CANCELLED;
    order->cancelled_units = order->terms.units - order->filled_units;
    order->updated_wall_ns = wall_ns;
    adp_sim_book_tell(book, index, ADP_SIM_REPORT_CANCELLED, ADP_SIM_NONE);
}
