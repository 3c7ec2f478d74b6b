#include "ipc/prng.h"

#include <string.h>

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

/* splitmix64 spreads one word over the state, which must not be all zero. */
void ipc_prng_seed(struct ipc_prng *prng, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        prng->word[i] = z ^ (z >> 31);
    }
}

uint64_t ipc_prng_next(struct ipc_prng *prng)
{
    uint64_t *s = prng->word;
    uint64_t result = rotate(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t ipc_prng_below(struct ipc_prng *prng, uint64_t bound)
{
    LS_CHECK(bound > 0);
    /* The low values of the range that would make the product uneven are drawn again. */
    uint64_t uneven = (0 - bound) % bound;
    for (;;) {
        unsigned __int128 product = (unsigned __int128)ipc_prng_next(prng) * bound;
        if ((uint64_t)product >= uneven)
            return (uint64_t)(product >> 64);
    }
}

void ipc_prng_fill(struct ipc_prng *prng, void *out, size_t bytes)
{
    uint8_t *at = out;
    while (bytes > 0) {
        uint64_t word = ipc_prng_next(prng);
        size_t part = bytes < sizeof word ? bytes : sizeof word;
        memcpy(at, &word, part);
        at += part;
        bytes -= part;
    }
}
