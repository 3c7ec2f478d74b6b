#include "engine/core/sizing.h"

static int64_t narrowed(__int128 value)
{
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

int64_t eng_percentage_qty(const struct eng_sizer *sizer, int64_t capital_e8, int64_t percent_e8)
{
    LS_CHECK(sizer->reference_e8 > 0);
    if (capital_e8 <= 0 || percent_e8 <= 0)
        return 0;
    /* capital (1e8) x percent (1e8) / (100 x price (1e8)) is a quantity (1e8). */
    unsigned __int128 value = (unsigned __int128)(uint64_t)capital_e8 * (uint64_t)percent_e8;
    unsigned __int128 raw = value / ((uint64_t)100 * (uint64_t)sizer->reference_e8);
    return raw > INT64_MAX ? INT64_MAX : (int64_t)raw;
}

int64_t eng_value_qty(int64_t value_e8, int64_t price_e8)
{
    LS_CHECK(price_e8 > 0);
    if (value_e8 <= 0)
        return 0;
    return narrowed((__int128)value_e8 * LS_E8 / price_e8);
}

int64_t eng_fraction_qty(int64_t held_e8, int64_t part_e8, int64_t whole_e8)
{
    LS_CHECK(whole_e8 > 0 && part_e8 >= 0 && part_e8 <= whole_e8);
    return (int64_t)((__int128)held_e8 * part_e8 / whole_e8);
}
