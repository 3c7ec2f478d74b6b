/* prng.h: a small seeded generator (xoshiro256++, Blackman and Vigna) for jitter, tests and
 * simulation. Equal seeds give equal sequences on every machine. Never for keys or nonces.
 * One owner per generator; no global state. */
#ifndef LS_IPC_PRNG_H
#define LS_IPC_PRNG_H

#include "ipc/base.h"

struct ipc_prng {
    uint64_t word[4];
};

/* ipc_prng_seed starts the generator; any seed is good, 0 too. */
void ipc_prng_seed(struct ipc_prng *prng, uint64_t seed);

/* ipc_prng_next returns 64 fresh bits. */
uint64_t ipc_prng_next(struct ipc_prng *prng);

/* ipc_prng_below returns a number in [0, bound), each equally likely; bound > 0. */
uint64_t ipc_prng_below(struct ipc_prng *prng, uint64_t bound);

/* ipc_prng_chance returns true in `hits` of `of` cases; of > 0. */
static inline bool ipc_prng_chance(struct ipc_prng *prng, uint64_t hits, uint64_t of)
{
    return ipc_prng_below(prng, of) < hits;
}

/* ipc_prng_fill writes fresh bytes. */
void ipc_prng_fill(struct ipc_prng *prng, void *out, size_t bytes);

#endif
