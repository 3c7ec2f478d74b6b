/* memory.c: size classes carved once from a bounded block, never given back to it. */
#include "engine/net/memory.h"

#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Before every allocation, pooled or not, so that any thread can free any block. */
struct block {
    struct eng_memory *owner; /* NULL = malloc */
    uint32_t size_class;      /* of a pool */
    uint32_t bytes;           /* asked for */
};
_Static_assert(sizeof(struct block) == 16, "keeps the payload aligned");

/* Whole sizes, header included. TLS buffers are just above 16 KiB; the last two serve header fields
 * that a peer announces as long, and may use no more than a quarter of the pool. */
static const uint32_t class_bytes[] = {
    64, 128, 256, 512, 1024, 2048, 4096, 8192, 20480, 69632, 139264};
#define CLASS_COUNT       LS_COUNT_OF(class_bytes)
#define CLASS_LARGE_FIRST 9u

struct eng_memory {
    uint8_t *next, *end;
    size_t total_bytes, large_left;
    struct block *free_lists[CLASS_COUNT];
    _Atomic size_t carved_bytes;
    _Atomic uint64_t refused;
    /* Blocks that other threads freed: they push (release), the owner takes all (acquire). */
    LS_LINE _Atomic(struct block *) returned;
};

static _Thread_local struct eng_memory *current_pool;

/* malloc's blocks that pinned threads released: they push (release), eng_memory_drain takes all
 * (acquire). */
static _Atomic(struct block *) waiting;

/* The link of a free block lies in its payload. */
static struct block *link_of(const struct block *block)
{
    return *(struct block *const *)(const void *)(block + 1);
}

static void set_link(struct block *block, struct block *next)
{
    *(struct block **)(void *)(block + 1) = next;
}

static void push(_Atomic(struct block *) *list, struct block *block)
{
    struct block *first = atomic_load_explicit(list, memory_order_relaxed);
    do
        set_link(block, first);
    while (!atomic_compare_exchange_weak_explicit(
        list, &first, block, memory_order_release, memory_order_relaxed));
}

static void take_returned(struct eng_memory *pool)
{
    struct block *block = atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);
    while (block != NULL) {
        struct block *next = link_of(block);
        set_link(block, pool->free_lists[block->size_class]);
        pool->free_lists[block->size_class] = block;
        block = next;
    }
}

static struct block *carve(struct eng_memory *pool, uint32_t size_class)
{
    const uint32_t bytes = class_bytes[size_class];
    if ((size_t)(pool->end - pool->next) < bytes)
        return NULL;
    if (size_class >= CLASS_LARGE_FIRST) {
        if (pool->large_left < bytes)
            return NULL;
        pool->large_left -= bytes;
    }
    struct block *block = (struct block *)(void *)pool->next;
    pool->next += bytes;
    atomic_store_explicit(&pool->carved_bytes,
        atomic_load_explicit(&pool->carved_bytes, memory_order_relaxed) + bytes,
        memory_order_relaxed);
    return block;
}

static void *pool_take(struct eng_memory *pool, size_t bytes)
{
    uint32_t size_class = 0;
    while (size_class < CLASS_COUNT && class_bytes[size_class] < bytes + sizeof(struct block))
        size_class++;
    struct block *block = NULL;
    if (size_class < CLASS_COUNT) {
        if (pool->free_lists[size_class] == NULL)
            take_returned(pool);
        block = pool->free_lists[size_class];
        if (block != NULL)
            pool->free_lists[size_class] = link_of(block);
        else
            block = carve(pool, size_class);
    }
    if (block == NULL) {
        atomic_fetch_add_explicit(&pool->refused, 1, memory_order_relaxed);
        return NULL;
    }
    *block = (struct block){.owner = pool, .size_class = size_class, .bytes = (uint32_t)bytes};
    return block + 1;
}

static void *take(size_t bytes)
{
    if (bytes == 0 || bytes > UINT32_MAX - sizeof(struct block))
        return NULL;
    if (current_pool != NULL)
        return pool_take(current_pool, bytes);
    struct block *block = malloc(bytes + sizeof *block);
    if (block == NULL)
        return NULL;
    *block = (struct block){.bytes = (uint32_t)bytes};
    return block + 1;
}

static void give(void *payload)
{
    if (payload == NULL)
        return;
    struct block *block = (struct block *)payload - 1;
    if (block->owner == NULL) {
        if (current_pool == NULL)
            free(block);
        else
            push(&waiting, block);
    } else if (block->owner == current_pool) {
        set_link(block, current_pool->free_lists[block->size_class]);
        current_pool->free_lists[block->size_class] = block;
    } else {
        push(&block->owner->returned, block);
    }
}

static void *resize(void *payload, size_t bytes)
{
    if (payload == NULL)
        return take(bytes);
    if (bytes == 0) {
        give(payload);
        return NULL;
    }
    const struct block *block = (const struct block *)payload - 1;
    void *moved = take(bytes);
    if (moved == NULL)
        return NULL;
    memcpy(moved, payload, block->bytes < bytes ? block->bytes : bytes);
    give(payload);
    return moved;
}

static void *crypto_malloc(size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    return take(bytes);
}

static void *crypto_realloc(void *payload, size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    return resize(payload, bytes);
}

static void crypto_free(void *payload, const char *file, int line)
{
    (void)file;
    (void)line;
    give(payload);
}

enum ipc_rc eng_memory_install(void)
{
    CRYPTO_malloc_fn installed;
    CRYPTO_get_mem_functions(&installed, NULL, NULL);
    if (installed == crypto_malloc)
        return IPC_OK;
    return CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) == 1 ? IPC_OK
                                                                                     : IPC_REFUSED;
}

struct eng_memory *eng_memory_init(void *memory, size_t bytes)
{
    LS_CHECK(((uintptr_t)memory & 63) == 0 && bytes >= 64 * 1024);
    const uintptr_t start = (uintptr_t)ls_align_up((uintptr_t)memory, LS_LINE_BYTES);
    struct eng_memory *pool = (struct eng_memory *)start;
    memset(pool, 0, sizeof *pool);
    pool->end = (uint8_t *)memory + bytes;
    pool->next = (uint8_t *)(uintptr_t)ls_align_up(start + sizeof *pool, 64);
    pool->total_bytes = (size_t)(pool->end - pool->next);
    pool->large_left = pool->total_bytes / 4;
    return pool;
}

void eng_memory_enter(struct eng_memory *pool)
{
    current_pool = pool;
}

size_t eng_memory_drain(void)
{
    LS_CHECK(current_pool == NULL);
    size_t count = 0;
    struct block *block = atomic_exchange_explicit(&waiting, NULL, memory_order_acquire);
    while (block != NULL) {
        struct block *next = link_of(block);
        free(block);
        block = next;
        count++;
    }
    return count;
}

static void *inflate_malloc(size_t bytes, void *context)
{
    (void)context;
    return take(bytes);
}

static void inflate_free(void *payload, void *context)
{
    (void)context;
    give(payload);
}

static void *inflate_calloc(size_t count, size_t bytes, void *context)
{
    (void)context;
    size_t whole;
    if (__builtin_mul_overflow(count, bytes, &whole))
        return NULL;
    void *payload = take(whole);
    if (payload != NULL)
        memset(payload, 0, whole);
    return payload;
}

static void *inflate_realloc(void *payload, size_t bytes, void *context)
{
    (void)context;
    return resize(payload, bytes);
}

nghttp2_mem *eng_memory_nghttp2(void)
{
    static nghttp2_mem functions = {
        .malloc = inflate_malloc,
        .free = inflate_free,
        .calloc = inflate_calloc,
        .realloc = inflate_realloc,
    };
    return &functions;
}

void eng_memory_figures(
    const struct eng_memory *pool, size_t *carved_bytes, size_t *total_bytes, uint64_t *refused)
{
    *carved_bytes = atomic_load_explicit(&pool->carved_bytes, memory_order_relaxed);
    *total_bytes = pool->total_bytes;
    *refused = atomic_load_explicit(&pool->refused, memory_order_relaxed);
}
