/* engine_page.h: what an engine says about itself, one file `engine.<shard>` per shard.
 *
 * The engine holds the file's OFD lock while it lives, so life is what the kernel says, not a
 * heartbeat. The pinned thread writes heartbeat, switch_seen, asleep; the porter writes what it
 * adopted or refused; lockstepctl reads. */
#ifndef LS_IPC_ENGINE_PAGE_H
#define LS_IPC_ENGINE_PAGE_H

#include <stdatomic.h>

#include "ipc/rc.h"
#include "ipc/region.h"
#include "ipc/vocab.h"

#define IPC_ENGINE_SHARDS_MAX 64u
#define IPC_ENGINE_TEXT_BYTES 256

#define IPC_ENGINE_STATE_LIST(X)                                                                   \
    X(IPC_ENGINE_STARTING, 1, "starting")                                                          \
    X(IPC_ENGINE_RECOVERING, 2, "recovering")                                                      \
    X(IPC_ENGINE_RUNNING, 3, "running")                                                            \
    X(IPC_ENGINE_STOPPING, 4, "stopping")                                                          \
    X(IPC_ENGINE_STOPPED, 5, "stopped")
IPC_DECLARE_ENUM(ipc_engine_state, IPC_ENGINE_STATE_LIST)

/* The shared words. One writer per line, named at the line; readers use the functions below. */
struct ipc_engine_words {
    /* writer: main thread at start-up */
    LS_LINE _Atomic uint64_t pid;
    _Atomic int64_t start_wall_ns;
    char version[64];
    /* writer: pinned thread */
    LS_LINE _Atomic int64_t heartbeat_mono_ns;
    _Atomic uint64_t switch_seen;
    _Atomic uint64_t adopted_generation;
    _Atomic uint32_t state; /* enum ipc_engine_state */
    /* writer: pinned thread sets and clears; producers read it after a fence */
    LS_LINE _Atomic uint32_t asleep;
    /* writer: porter; a seqlock over the words */
    LS_LINE _Atomic uint64_t refusal_sequence;
    _Atomic uint64_t refusal[1 + IPC_ENGINE_TEXT_BYTES / 8]; /* generation, sentence */
};

/* An engine's own page. */
struct ipc_engine_page {
    struct ipc_engine_words *words;
    uint32_t shard;
    struct ipc_region region;
};

/* ipc_engine_page_create takes the shard's lock and makes its page anew.
 *   shard    [0, 64)
 *   version  version and commit, cut at 63 characters
 *   returns  IPC_OK; IPC_BUSY an engine of this shard lives; IPC_BAD_INPUT; IPC_SYSTEM */
LS_MUST_USE enum ipc_rc ipc_engine_page_create(const struct ipc_shm *shm, uint32_t shard,
    const char *version, struct ipc_engine_page *page, struct ipc_error *error);

/* Drops the lock; the file stays, with the last words. */
void ipc_engine_page_close(struct ipc_engine_page *page);

/* Setters. The pinned thread's, plain stores. */
static inline void ipc_engine_heartbeat(struct ipc_engine_page *page, int64_t now_mono_ns)
{
    atomic_store_explicit(&page->words->heartbeat_mono_ns, now_mono_ns, memory_order_relaxed);
}

static inline void ipc_engine_set_state(struct ipc_engine_page *page, enum ipc_engine_state state)
{
    atomic_store_explicit(&page->words->state, (uint32_t)state, memory_order_release);
}

/* Publish only what ipc_switch_sequence returned before the words were read, and only when no
 * bytes sealed under older words wait. */
static inline void ipc_engine_set_switch_seen(struct ipc_engine_page *page, uint64_t sequence)
{
    /* Release: sends made before are before it; pairs with the acquire in ipc_engine_look. */
    atomic_store_explicit(&page->words->switch_seen, sequence, memory_order_release);
}

static inline void ipc_engine_set_adopted(struct ipc_engine_page *page, uint64_t generation)
{
    /* Release: pairs with the acquire in ipc_engine_look. */
    atomic_store_explicit(&page->words->adopted_generation, generation, memory_order_release);
}

/* ipc_engine_set_refused says which generation was refused, and why (cut at 255 characters). The
 * porter's thread only. */
void ipc_engine_set_refused(
    struct ipc_engine_page *page, uint64_t generation, const char *sentence);

/* A copy of what an engine said. */
struct ipc_engine_status {
    uint32_t shard;
    uint8_t live;  /* its lock is held */
    uint8_t state; /* enum ipc_engine_state, 0 when the page said something else */
    uint8_t asleep;
    uint8_t reserved;
    uint64_t pid;
    int64_t start_wall_ns, heartbeat_mono_ns;
    uint64_t switch_seen, adopted_generation;
    uint64_t refused_generation; /* 0 = none */
    char version[64];
    char refusal[IPC_ENGINE_TEXT_BYTES];
};

/* ipc_engine_look reads one shard's page.
 *   returns  IPC_OK (also for a dead engine's page: see live); IPC_NOT_FOUND; IPC_BAD_*;
 *            IPC_SYSTEM */
LS_MUST_USE enum ipc_rc ipc_engine_look(const struct ipc_shm *shm, uint32_t shard,
    struct ipc_engine_status *out, struct ipc_error *error);

/* ipc_engine_list reads every shard's page, by shard.
 *   out      capacity entries
 *   returns  entries written; pages that cannot be read are left out */
uint32_t ipc_engine_list(
    const struct ipc_shm *shm, bool live_only, struct ipc_engine_status *out, uint32_t capacity);

/* What the waits below return for each engine that was live when the wait began. */
enum ipc_engine_answer {
    IPC_ENGINE_PENDING = 0, /* the wait ended before an answer */
    IPC_ENGINE_DONE = 1,    /* adopted, or has seen the sequence */
    IPC_ENGINE_REFUSED = 2, /* status.refusal says why */
    IPC_ENGINE_DIED = 3,    /* its lock was dropped meanwhile */
};

struct ipc_engine_wait {
    struct ipc_engine_status status[IPC_ENGINE_SHARDS_MAX];
    enum ipc_engine_answer answer[IPC_ENGINE_SHARDS_MAX];
    uint32_t engine_count;
};

/* ipc_engine_wait_adopted waits until every live engine has adopted `generation` (or a later one)
 * or refused it. Polls every millisecond.
 *   returns  IPC_OK all adopted (also with no live engine); IPC_REFUSED at least one refused;
 *            IPC_STALE timeout_ns passed with at least one pending; a died engine does not count */
LS_MUST_USE enum ipc_rc ipc_engine_wait_adopted(const struct ipc_shm *shm, uint64_t generation,
    int64_t timeout_ns, struct ipc_engine_wait *wait);

/* ipc_engine_wait_switch waits until every live engine's switch_seen has reached `sequence`.
 *   returns  IPC_OK, or IPC_STALE when timeout_ns passed */
LS_MUST_USE enum ipc_rc ipc_engine_wait_switch(
    const struct ipc_shm *shm, uint64_t sequence, int64_t timeout_ns, struct ipc_engine_wait *wait);

/* Read access to a shard's `asleep` word for producers that wake it: attaches read-only. */
struct ipc_engine_bell {
    const _Atomic uint32_t *asleep;
    struct ipc_region region;
};
LS_MUST_USE enum ipc_rc ipc_engine_bell_open(const struct ipc_shm *shm, uint32_t shard,
    struct ipc_engine_bell *bell, struct ipc_error *error);
void ipc_engine_bell_close(struct ipc_engine_bell *bell);

#endif
