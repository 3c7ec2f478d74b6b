/* sizing.h: quantities: raw quantity of a mode, and the floor to the lot. Integer and exact.
 *
 * What all followers of an event share (quantity, lot, its reciprocal, reference price) is made
 * once per batch; per follower there is no division in the plain modes. Pure. */
#ifndef LS_ENGINE_CORE_SIZING_H
#define LS_ENGINE_CORE_SIZING_H

#include "engine/core/core_private.h"

struct eng_sizer {
    int64_t qty_e8;       /* of the master's order */
    int64_t qty_units;    /* the same in whole units, -1 when it is not whole */
    int64_t lot_e8;       /* > 0 */
    uint64_t reciprocal;  /* floor((2^64 - 1) / lot_e8) */
    int64_t reference_e8; /* price that PERCENTAGE divides by; 0 = unknown */
};

static inline struct eng_sizer eng_sizer_make(int64_t qty_e8, int64_t lot_e8, int64_t reference_e8)
{
    if (lot_e8 <= 0)
        lot_e8 = LS_E8;
    return (struct eng_sizer){.qty_e8 = qty_e8,
        .qty_units = qty_e8 % LS_E8 == 0 ? qty_e8 / LS_E8 : -1,
        .lot_e8 = lot_e8,
        .reciprocal = UINT64_MAX / (uint64_t)lot_e8,
        .reference_e8 = reference_e8};
}

/* eng_lot_floor returns the largest multiple of the lot that is <= qty_e8 (>= 0). The reciprocal's
 * estimate of the quotient is at most one too small. */
static inline int64_t eng_lot_floor(const struct eng_sizer *sizer, int64_t qty_e8)
{
    uint64_t value = (uint64_t)qty_e8;
    uint64_t lot = (uint64_t)sizer->lot_e8;
    uint64_t lots = (uint64_t)(((unsigned __int128)value * sizer->reciprocal) >> 64);
    uint64_t rest = value - lots * lot;
    if (rest >= lot)
        rest -= lot;
    return (int64_t)(value - rest);
}

/* eng_ratio_qty returns floor(qty x ratio), INT64_MAX when it does not fit, 0 for ratios <= 0. */
static inline int64_t eng_ratio_qty(const struct eng_sizer *sizer, int64_t ratio_e8)
{
    int64_t raw;
    if (LS_UNLIKELY(ratio_e8 <= 0))
        return 0;
    if (LS_LIKELY(sizer->qty_units >= 0))
        return __builtin_mul_overflow(sizer->qty_units, ratio_e8, &raw) ? INT64_MAX : raw;
    __int128 wide = (__int128)sizer->qty_e8 * ratio_e8 / LS_E8;
    return wide > INT64_MAX ? INT64_MAX : (int64_t)wide;
}

/* eng_percentage_qty returns floor(capital x percent / 100 / reference price); the master's
 * quantity does not count. reference_e8 > 0. */
int64_t eng_percentage_qty(const struct eng_sizer *sizer, int64_t capital_e8, int64_t percent_e8);

/* eng_value_qty returns the largest quantity whose value at price_e8 (> 0) is <= value_e8. */
int64_t eng_value_qty(int64_t value_e8, int64_t price_e8);

/* eng_value_exceeds: qty x price > value. Equal passes. */
static inline bool eng_value_exceeds(int64_t qty_e8, int64_t price_e8, int64_t value_e8)
{
    return (__int128)qty_e8 * price_e8 > (__int128)value_e8 * LS_E8;
}

/* eng_fraction_qty returns floor(held x part / whole) for 0 <= part <= whole, whole > 0. */
int64_t eng_fraction_qty(int64_t held_e8, int64_t part_e8, int64_t whole_e8);

#endif
