#include "engine/core/pipeline/exact.h"

/* The product in 128 bits, as nearly all are.
 *   returns  false when it does not fit */
static bool short_product(const struct eng_exact *exact, unsigned __int128 *product)
{
    *product = 1;
    for (uint32_t i = 0; i < exact->above_count; i++)
        if (__builtin_mul_overflow(*product, (unsigned __int128)exact->above[i], product))
            return false;
    return true;
}

static int64_t short_floor(const struct eng_exact *exact, unsigned __int128 product, bool *cut)
{
    for (uint32_t i = 0; i < exact->below_count; i++) {
        *cut |= product % exact->below[i] != 0;
        product /= exact->below[i];
    }
    return product > INT64_MAX ? INT64_MAX : (int64_t)product;
}

static int64_t long_floor(const struct eng_exact *exact, bool *cut)
{
    uint64_t limbs[ENG_EXACT_FACTORS] = {1};
    for (uint32_t i = 0; i < exact->above_count; i++) {
        uint64_t carry = 0;
        for (uint32_t at = 0; at < ENG_EXACT_FACTORS; at++) {
            unsigned __int128 part = (unsigned __int128)limbs[at] * exact->above[i] + carry;
            limbs[at] = (uint64_t)part;
            carry = (uint64_t)(part >> 64);
        }
        LS_CHECK(carry == 0); /* as many limbs as factors */
    }
    for (uint32_t i = 0; i < exact->below_count; i++) {
        uint64_t over = 0;
        for (uint32_t at = ENG_EXACT_FACTORS; at-- > 0;) {
            unsigned __int128 part = ((unsigned __int128)over << 64) | limbs[at];
            limbs[at] = (uint64_t)(part / exact->below[i]);
            over = (uint64_t)(part % exact->below[i]);
        }
        *cut |= over != 0;
    }
    for (uint32_t at = 1; at < ENG_EXACT_FACTORS; at++)
        if (limbs[at] != 0)
            return INT64_MAX;
    return limbs[0] > INT64_MAX ? INT64_MAX : (int64_t)limbs[0];
}

int64_t eng_exact_floor(const struct eng_exact *exact, bool *rest)
{
    bool cut = false;
    unsigned __int128 product;
    int64_t result = short_product(exact, &product) ? short_floor(exact, product, &cut)
                                                    : long_floor(exact, &cut);
    if (rest != NULL)
        *rest = cut;
    return result;
}
