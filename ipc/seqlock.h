/* seqlock.h: a few 64-bit words that one writer changes together and anyone may read.
 *
 * The sequence is odd while a write is under way. Data words are stored with release and loaded
 * with acquire instead of fences: a reader that sees any word of a later write also sees that
 * write's odd sequence, by release on the word (writer) pairing with acquire on it (reader), so
 * its second look at the sequence differs. Plain moves on x86, and clean under ThreadSanitizer,
 * which does not know fences.
 *
 * A writer that dies inside a write leaves the sequence odd: the cell is unknown until the next
 * writer writes it. */
#ifndef LS_IPC_SEQLOCK_H
#define LS_IPC_SEQLOCK_H

#include <stdatomic.h>

#include "ipc/base.h"

/* Tries of one read. A write takes nanoseconds; a reader that fails this often met a writer that
 * was preempted or died inside, and has an unknown value. */
#define IPC_SEQLOCK_TRIES 8

/* ipc_seqlock_write stores `count` words; the caller is the only writer. */
static inline void ipc_seqlock_write(
    _Atomic uint64_t *sequence, _Atomic uint64_t *words, const uint64_t *values, uint32_t count)
{
    uint64_t odd = (atomic_load_explicit(sequence, memory_order_relaxed) + 1) | 1;
    atomic_store_explicit(sequence, odd, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        /* Release: keeps the odd sequence before it; pairs with the acquire in read. */
        atomic_store_explicit(&words[i], values[i], memory_order_release);
    }
    /* Release: pairs with the reader's first acquire of the sequence. */
    atomic_store_explicit(sequence, odd + 1, memory_order_release);
}

/* ipc_seqlock_read copies `count` words; false after IPC_SEQLOCK_TRIES, *values then undefined.
 * *seen receives the even sequence, 0 = never written; may be NULL. */
static inline LS_MUST_USE bool ipc_seqlock_read(const _Atomic uint64_t *sequence,
    const _Atomic uint64_t *words, uint64_t *values, uint32_t count, uint64_t *seen)
{
    for (uint32_t try = 0; try < IPC_SEQLOCK_TRIES; try++) {
        uint64_t before = atomic_load_explicit(sequence, memory_order_acquire);
        if (before & 1)
            continue;
        for (uint32_t i = 0; i < count; i++)
            values[i] = atomic_load_explicit(&words[i], memory_order_acquire);
        if (atomic_load_explicit(sequence, memory_order_relaxed) == before) {
            if (seen)
                *seen = before;
            return true;
        }
    }
    return false;
}

#endif
