/* base.h: the few macros that every layer uses. No state, no dependency. */
#ifndef LS_IPC_BASE_H
#define LS_IPC_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LS_MUST_USE     __attribute__((warn_unused_result))
#define LS_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define LS_COLD         __attribute__((cold, noinline))
#define LS_LIKELY(x)    __builtin_expect(!!(x), 1)
#define LS_UNLIKELY(x)  __builtin_expect(!!(x), 0)
#define LS_COUNT_OF(a)  (sizeof(a) / sizeof((a)[0]))

/* Two cache lines: lines are prefetched in pairs, so one writer's data keeps 128 bytes to itself.
 */
#define LS_LINE_BYTES   128
#define LS_LINE         _Alignas(LS_LINE_BYTES)

/* Fixed-point scale of prices, quantities and money. */
#define LS_E8           INT64_C(100000000)

#define LS_NS_PER_US    INT64_C(1000)
#define LS_NS_PER_MS    INT64_C(1000000)
#define LS_NS_PER_S     INT64_C(1000000000)

/* ls_check_failed writes one line to stderr and aborts. It allocates nothing. */
LS_COLD _Noreturn void ls_check_failed(const char *condition, const char *file, int line);

/* LS_CHECK stops the process on a bug, in production too. Never use it on what a peer sent. */
#define LS_CHECK(condition)                                                                        \
    do {                                                                                           \
        if (LS_UNLIKELY(!(condition)))                                                             \
            ls_check_failed(#condition, __FILE__, __LINE__);                                       \
    } while (0)

#ifdef LS_SLOW_CHECKS
#define LS_CHECK_SLOW(condition) LS_CHECK(condition)
#else
#define LS_CHECK_SLOW(condition) ((void)0)
#endif

static inline uint64_t ls_align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

static inline bool ls_is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static inline int64_t ls_min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t ls_max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

#endif
