#include "engine/core/protect.h"

#define PERCENT (LS_E8 / 100)

/* Exchange grid of market-price protection as published by Kotak and used by openalgo
 * (utils/mpp_slab.py), read 2026-08. Where the two differ, the narrower band stands. */
static const struct eng_band cash_bands[] = {
    {.below_e8 = 100 * LS_E8, .fraction_e8 = 2 * PERCENT},
    {.below_e8 = 500 * LS_E8 + 1, .fraction_e8 = 1 * PERCENT},
    {.below_e8 = INT64_MAX, .fraction_e8 = PERCENT / 2},
};
static const struct eng_band option_bands[] = {
    {.below_e8 = 1 * LS_E8, .amount_e8 = LS_E8 / 10},
    {.below_e8 = 10 * LS_E8, .fraction_e8 = 5 * PERCENT},
    {.below_e8 = 100 * LS_E8, .fraction_e8 = 3 * PERCENT},
    {.below_e8 = 500 * LS_E8 + 1, .fraction_e8 = 2 * PERCENT},
    {.below_e8 = INT64_MAX, .fraction_e8 = 1 * PERCENT},
};

int64_t eng_tick_round(int64_t price_e8, int64_t tick_e8, uint8_t side)
{
    if (tick_e8 <= 0 || price_e8 <= 0)
        return price_e8;
    int64_t over = price_e8 % tick_e8;
    if (over == 0)
        return price_e8;
    return side == IPC_SIDE_BUY ? price_e8 - over : price_e8 - over + tick_e8;
}

static int64_t band_amount(const struct eng_band *bands, uint32_t count, int64_t price_e8)
{
    uint32_t at = 0;
    while (at + 1 < count && price_e8 >= bands[at].below_e8)
        at++;
    if (bands[at].amount_e8 != 0)
        return bands[at].amount_e8;
    return (int64_t)((__int128)price_e8 * bands[at].fraction_e8 / LS_E8);
}

int64_t eng_protected_price(const struct eng_core_config *config, int64_t price_e8, int64_t tick_e8,
    uint8_t side, bool is_option)
{
    LS_CHECK(price_e8 > 0);
    const struct eng_band *bands = is_option ? option_bands : cash_bands;
    uint32_t count =
        is_option ? (uint32_t)LS_COUNT_OF(option_bands) : (uint32_t)LS_COUNT_OF(cash_bands);
    if (is_option && config->option_band_count != 0) {
        bands = config->option_bands;
        count = config->option_band_count;
    } else if (!is_option && config->cash_band_count != 0) {
        bands = config->cash_bands;
        count = config->cash_band_count;
    }
    int64_t band = band_amount(bands, count, price_e8);
    int64_t guarded = side == IPC_SIDE_BUY ? price_e8 + band : price_e8 - band;
    int64_t least = tick_e8 > 0 ? tick_e8 : 1;
    return ls_max_i64(eng_tick_round(guarded, tick_e8, side), least);
}

/* What an exit's protected price is made from; 0 when there is nothing at all. */
static int64_t exit_base(const struct eng_core_config *config, const struct eng_order *order,
    int64_t last_e8, int64_t last_age_ns)
{
    int64_t fresh_ms =
        config->exit_price_max_age_ms ? config->exit_price_max_age_ms : ENG_PRICE_AGE_MS;
    if (last_e8 > 0 && last_age_ns <= fresh_ms * LS_NS_PER_MS)
        return last_e8;
    if (order->filled_qty_e8 > 0 && order->average_price_e8 > 0)
        return order->average_price_e8;
    return last_e8;
}

struct eng_shape eng_shape_make(const struct eng_core_config *config, const struct eng_order *order,
    const struct ipc_row_instrument *row, bool is_exit, bool refuses_market, int64_t last_e8,
    int64_t last_age_ns)
{
    int64_t tick_e8 = row == NULL ? 0 : row->tick_e8;
    bool is_option = row != NULL && row->kind == IPC_KIND_OPTION;
    struct eng_shape shape = {.side = order->side,
        .type = order->type,
        .product = order->product,
        .validity = order->validity,
        .price_e8 = eng_tick_round(order->price_e8, tick_e8, order->side),
        .trigger_e8 = eng_tick_round(order->trigger_e8, tick_e8, order->side)};
    if (!refuses_market || !eng_type_is_market(order->type))
        return shape;

    if (order->type == IPC_TYPE_SLM) {
        shape.type = IPC_TYPE_SL;
        shape.price_e8 =
            eng_protected_price(config, shape.trigger_e8, tick_e8, order->side, is_option);
        return shape;
    }
    int64_t base = is_exit ? exit_base(config, order, last_e8, last_age_ns) : last_e8;
    shape.needs_price = !is_exit;
    if (base > 0) {
        shape.type = IPC_TYPE_LIMIT;
        shape.price_e8 = eng_protected_price(config, base, tick_e8, order->side, is_option);
    }
    return shape;
}
