/* switches.h: the page of switch words: what still may leave, outside the snapshot so that a stop
 * takes effect at once.
 *
 * One file `switches` per instance: a word each for everything, per broker, per account (as
 * master), per follower slot, per instrument. One writer, whoever holds the OFD lock; engines read
 * the words before each seal. After every change the writer bumps `sequence`; an engine that has
 * read sequence n and then the words has seen every change up to n, and says so in its page
 * (engine_page.h, switch_seen).
 *
 * Fails closed: an index outside the page and a value outside enum ipc_switch read as HALT. */
#ifndef LS_IPC_SWITCHES_H
#define LS_IPC_SWITCHES_H

#include <stdatomic.h>

#include "ipc/rc.h"
#include "ipc/region.h"
#include "ipc/vocab.h"

#define IPC_SWITCHES_FILE    "switches"
#define IPC_SWITCHES_BROKERS 64u

/* Words per kind; chosen when the page is made. */
struct ipc_switches_shape {
    uint32_t accounts, slots, instruments;
    uint32_t reserved;
};
#define IPC_SWITCHES_DEFAULT_SHAPE                                                                 \
    {                                                                                              \
        .accounts = 1u << 20, .slots = 1u << 20, .instruments = 1u << 18                           \
    }

/* An attached page. The shape was bounded against the file at attach and is private, so that no
 * later write to the file can move a bound. Any thread may read through it. */
struct ipc_switches {
    const _Atomic uint64_t *sequence;
    const _Atomic uint32_t *everything;
    const _Atomic uint32_t *brokers;  /* [IPC_SWITCHES_BROKERS] */
    const _Atomic uint32_t *accounts; /* by account - 1 */
    const _Atomic uint32_t *slots;
    const _Atomic uint32_t *instruments; /* by instrument - 1 */
    struct ipc_switches_shape shape;
    struct ipc_region region;
    uint32_t is_writer;
    uint32_t reserved;
};

#define IPC_SWITCH_SCOPE_LIST(X)                                                                   \
    X(IPC_SWITCH_GLOBAL, 0, "global")                                                              \
    X(IPC_SWITCH_BROKER, 1, "broker")         /* index: broker number */                           \
    X(IPC_SWITCH_MASTER, 2, "master")         /* index: account number of the master */            \
    X(IPC_SWITCH_FOLLOWER, 3, "follower")     /* index: slot */                                    \
    X(IPC_SWITCH_INSTRUMENT, 4, "instrument") /* index: instrument id */
IPC_DECLARE_ENUM(ipc_switch_scope, IPC_SWITCH_SCOPE_LIST)

/* ipc_switches_open_writer takes the writer's lock, making the page (all words `run`) if there is
 * none.
 *   shape    used when the page is made; an existing page must be at least as large
 *   returns  IPC_OK; IPC_BUSY another writer lives; IPC_BAD_SIZE the page is smaller; IPC_BAD_*;
 *            IPC_SYSTEM
 *   close with ipc_switches_close */
LS_MUST_USE enum ipc_rc ipc_switches_open_writer(const struct ipc_shm *shm,
    const struct ipc_switches_shape *shape, struct ipc_switches *page, struct ipc_error *error);

/* ipc_switches_open_reader attaches read-only.
 *   returns  IPC_OK; IPC_NOT_FOUND; IPC_BAD_*; IPC_SYSTEM */
LS_MUST_USE enum ipc_rc ipc_switches_open_reader(
    const struct ipc_shm *shm, struct ipc_switches *page, struct ipc_error *error);

void ipc_switches_close(struct ipc_switches *page);

/* ipc_switches_set stores one word and bumps the sequence; only on a writer's page.
 *   index     as the scope says; 0 for GLOBAL
 *   sequence  the sequence that engines must have seen for the change to hold everywhere
 *   returns   IPC_OK, or IPC_BAD_INPUT when scope, index or value is out of range */
LS_MUST_USE enum ipc_rc ipc_switches_set(struct ipc_switches *page, enum ipc_switch_scope scope,
    uint32_t index, enum ipc_switch value, uint64_t *sequence);

/* ipc_switches_get returns one word, HALT when it is out of range. */
enum ipc_switch ipc_switches_get(
    const struct ipc_switches *page, enum ipc_switch_scope scope, uint32_t index);

/* ipc_switch_sequence: read it before the words whose state it stands for. */
static inline uint64_t ipc_switch_sequence(const struct ipc_switches *page)
{
    /* Acquire: pairs with the release add in ipc_switches_set, so that the words read after it
     * are at least as new as the sequence says. */
    return atomic_load_explicit(page->sequence, memory_order_acquire);
}

/* One word, bounded: out of range is HALT, an unknown value is HALT. */
static inline uint32_t ipc_switch_word(
    const _Atomic uint32_t *words, uint32_t count, uint32_t index)
{
    if (LS_UNLIKELY(index >= count))
        return IPC_SWITCH_HALT;
    /* Relaxed: order comes from the sequence, read before with acquire. */
    uint32_t word = atomic_load_explicit(&words[index], memory_order_relaxed);
    return LS_LIKELY(word <= IPC_SWITCH_HALT) ? word : (uint32_t)IPC_SWITCH_HALT;
}

/* ipc_switch_strictest returns the strictest of the five words that bear on one order: an
 * enum ipc_switch, which are numbered by strictness. Wait-free, five loads.
 *   master_account, instrument   1-based ids; 0 reads as HALT */
static inline enum ipc_switch ipc_switch_strictest(const struct ipc_switches *page, uint32_t broker,
    uint32_t master_account, uint32_t slot, uint32_t instrument)
{
    uint32_t strictest = ipc_switch_word(page->everything, 1, 0);
    uint32_t word = ipc_switch_word(page->brokers, IPC_SWITCHES_BROKERS, broker);
    strictest = word > strictest ? word : strictest;
    word = ipc_switch_word(page->accounts, page->shape.accounts, master_account - 1);
    strictest = word > strictest ? word : strictest;
    word = ipc_switch_word(page->slots, page->shape.slots, slot);
    strictest = word > strictest ? word : strictest;
    word = ipc_switch_word(page->instruments, page->shape.instruments, instrument - 1);
    strictest = word > strictest ? word : strictest;
    return (enum ipc_switch)strictest;
}

#endif
