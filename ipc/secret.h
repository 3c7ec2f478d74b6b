/* secret.h: memory for keys and opened tokens: locked in RAM, left out of core dumps, zero in
 * forked children, between two guard pages; wiped when it is given back. One owner thread at a
 * time. */
#ifndef LS_IPC_SECRET_H
#define LS_IPC_SECRET_H

#include "ipc/base.h"
#include "ipc/rc.h"

struct ipc_secret_arena;

/* ipc_secret_arena_create maps an arena of at least `bytes` usable bytes.
 *   returns  IPC_OK; IPC_SYSTEM (the sentence names RLIMIT_MEMLOCK when locking was refused)
 *   bytes    [1, 2^40] */
LS_MUST_USE enum ipc_rc ipc_secret_arena_create(
    size_t bytes, struct ipc_secret_arena **arena, struct ipc_error *error);

/* ipc_secret_alloc returns zeroed memory, 16-byte aligned, NULL when the arena is full. Given back
 * all at once by ipc_secret_arena_destroy. */
void *ipc_secret_alloc(struct ipc_secret_arena *arena, size_t bytes);

/* ipc_secret_holds says whether [memory, memory + bytes) lies inside any live secret arena of this
 * process. */
bool ipc_secret_holds(const void *memory, size_t bytes);

/* ipc_secret_wipe zeroes memory; the compiler cannot leave it out. */
void ipc_secret_wipe(void *memory, size_t bytes);

/* ipc_secret_arena_reset wipes what was handed out and makes it free again. */
void ipc_secret_arena_reset(struct ipc_secret_arena *arena);

/* ipc_secret_arena_destroy wipes and unmaps; NULL is allowed. */
void ipc_secret_arena_destroy(struct ipc_secret_arena *arena);

/* ipc_secret_process_harden turns off core dumps and ptrace by other processes of the same user
 * (PR_SET_DUMPABLE 0, RLIMIT_CORE 0). Call it first in main of whoever opens tokens. */
LS_MUST_USE enum ipc_rc ipc_secret_process_harden(struct ipc_error *error);

#endif
