/* memory.h: the bounded pool on which OpenSSL and nghttp2's inflater draw on the pinned thread.
 *
 * A thread that has called eng_memory_enter allocates from its pool, every other thread from
 * malloc. Memory may be freed on another thread than the one that allocated it: blocks of a pool
 * that others free return to the pool through a lock-free list, and malloc's blocks freed on a
 * pinned thread wait on a list until some other thread frees (eng_memory_drain), so the pinned
 * thread never enters malloc. A pool that is exhausted answers NULL, and the library fails its
 * call: the connection is dropped, nothing else.
 *
 * Threads: install once before the first OpenSSL call; enter on the pinned thread; drain anywhere
 * but there. */
#ifndef LS_ENGINE_NET_MEMORY_H
#define LS_ENGINE_NET_MEMORY_H

#include "ipc/base.h"
#include "ipc/rc.h"

#include <nghttp2/nghttp2.h>

struct eng_memory;

/* eng_memory_install gives OpenSSL our allocator. IPC_REFUSED when OpenSSL has allocated already
 * (call it first thing in main). Calling it again is IPC_OK. */
LS_MUST_USE enum ipc_rc eng_memory_install(void);

/* eng_memory_init makes a pool of `bytes` in `memory` (64-byte aligned, >= 64 KiB, pre-faulted by
 * the caller). The memory outlives every block. */
struct eng_memory *eng_memory_init(void *memory, size_t bytes);

/* eng_memory_enter makes the calling thread allocate from the pool; NULL goes back to malloc. */
void eng_memory_enter(struct eng_memory *pool);

/* eng_memory_drain frees malloc's blocks that pinned threads have released; returns their number.
 * The porter calls it now and then. */
size_t eng_memory_drain(void);

/* eng_memory_nghttp2 returns the functions above in nghttp2's shape; they follow the thread. */
nghttp2_mem *eng_memory_nghttp2(void);

/* Figures for metrics: bytes that were ever carved, the pool's size, allocations refused. Any
 * thread. */
void eng_memory_figures(
    const struct eng_memory *pool, size_t *carved_bytes, size_t *total_bytes, uint64_t *refused);

#endif
