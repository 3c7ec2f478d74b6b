/* exact.h: products and quotients of fixed-point numbers, floored once at the end. No factor is
 * rounded on the way: 0.29 x 100 is 29. Pure.
 *
 * floor(floor(x / a) / b) = floor(x / (a x b)) for whole numbers, so a product of many factors is
 * divided by one denominator after the other, in as many limbs as the factors need. */
#ifndef LS_ENGINE_CORE_PIPELINE_EXACT_H
#define LS_ENGINE_CORE_PIPELINE_EXACT_H

#include "ipc/base.h"

/* A fraction of whole numbers, at most ENG_EXACT_FACTORS above and below the line. */
#define ENG_EXACT_FACTORS 6
struct eng_exact {
    uint64_t above[ENG_EXACT_FACTORS];
    uint64_t below[ENG_EXACT_FACTORS];
    uint32_t above_count, below_count;
};

static inline void eng_exact_times(struct eng_exact *exact, int64_t factor)
{
    LS_CHECK(exact->above_count < ENG_EXACT_FACTORS);
    exact->above[exact->above_count++] = factor > 0 ? (uint64_t)factor : 0;
}

/* divisor > 0 */
static inline void eng_exact_over(struct eng_exact *exact, int64_t divisor)
{
    LS_CHECK(exact->below_count < ENG_EXACT_FACTORS && divisor > 0);
    exact->below[exact->below_count++] = (uint64_t)divisor;
}

/* Times a number that is scaled by 1e8. */
static inline void eng_exact_times_e8(struct eng_exact *exact, int64_t factor_e8)
{
    eng_exact_times(exact, factor_e8);
    eng_exact_over(exact, LS_E8);
}

/* eng_exact_floor returns the whole part, INT64_MAX when it does not fit. A product with a factor
 * <= 0 is 0.
 *   rest  set to true when something was cut off; may be NULL */
int64_t eng_exact_floor(const struct eng_exact *exact, bool *rest);

/* eng_muldiv returns floor(a x b / c) for a, b >= 0 and c > 0, INT64_MAX when it does not fit. */
static inline int64_t eng_muldiv(int64_t a, int64_t b, int64_t c)
{
    unsigned __int128 value = (unsigned __int128)(uint64_t)a * (uint64_t)b / (uint64_t)c;
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

/* Multiples of a unit; unit 0 = nothing is rounded. value >= 0. */
static inline int64_t eng_unit_floor(int64_t value_e8, int64_t unit_e8)
{
    return unit_e8 <= 0 ? value_e8 : value_e8 - value_e8 % unit_e8;
}

static inline int64_t eng_unit_ceil(int64_t value_e8, int64_t unit_e8)
{
    int64_t over = unit_e8 <= 0 ? 0 : value_e8 % unit_e8;
    if (over == 0)
        return value_e8;
    int64_t up;
    return __builtin_add_overflow(value_e8 - over, unit_e8, &up) ? value_e8 - over : up;
}

/* Half goes up. */
static inline int64_t eng_unit_nearest(int64_t value_e8, int64_t unit_e8)
{
    int64_t over = unit_e8 <= 0 ? 0 : value_e8 % unit_e8;
    return over >= unit_e8 - over && over != 0 ? eng_unit_ceil(value_e8, unit_e8) : value_e8 - over;
}

#endif
