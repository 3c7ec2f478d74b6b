/* hash.h: a deterministic 64-bit hash of memory, for comparing states; not cryptographic. */
#ifndef LS_ENGINE_CORE_HASH_H
#define LS_ENGINE_CORE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* eng_hash continues a hash over bytes; start with 0. Structures must have no unnamed padding. */
uint64_t eng_hash(uint64_t hash, const void *bytes, size_t count);

#endif
