/* window.h: counting within a sliding window, in eight buckets of a seventh of it: never too few,
 * at most a seventh of the window too long. Pure; belongs to whoever holds the window. */
#ifndef LS_ENGINE_CORE_WINDOW_H
#define LS_ENGINE_CORE_WINDOW_H

#include "ipc/base.h"

struct eng_window {
    int64_t bucket; /* number of the newest bucket */
    uint32_t count[8];
};

#define ENG_MINUTE_NS (60 * LS_NS_PER_S)

/* eng_window_bucket returns the number of the bucket that a time is in. */
static inline int64_t eng_window_bucket(int64_t mono_ns, int64_t window_ns)
{
    return mono_ns / (window_ns / 7);
}

/* eng_window_sum returns what was counted within the window that ends with `bucket`. */
static inline uint32_t eng_window_sum(const struct eng_window *window, int64_t bucket)
{
    int64_t behind = bucket - window->bucket;
    if (behind >= 8)
        return 0;
    uint32_t sum = 0;
    /* Buckets older than seven before `bucket` have left the window. */
    for (int64_t age = behind < 0 ? 0 : behind; age < 8; age++)
        sum += window->count[(uint64_t)(bucket - age) & 7];
    return sum;
}

/* eng_window_add counts into a bucket; one older than the newest counts with what is there. */
static inline void eng_window_add(struct eng_window *window, int64_t bucket, uint32_t more)
{
    if (bucket - window->bucket >= 8) {
        for (int i = 0; i < 8; i++)
            window->count[i] = 0;
        window->bucket = bucket;
    }
    while (window->bucket < bucket)
        window->count[(uint64_t)++window->bucket & 7] = 0;
    window->count[(uint64_t)bucket & 7] += more;
}

/* eng_window_due returns when `planned` more may be counted without coming to the limit: now, or
 * when a bucket later. */
static inline int64_t eng_window_due(const struct eng_window *window, int64_t window_ns,
    uint32_t limit, uint32_t planned, int64_t now_mono_ns)
{
    int64_t bucket = eng_window_bucket(now_mono_ns, window_ns);
    if (eng_window_sum(window, bucket) + planned < limit)
        return now_mono_ns;
    return (bucket + 1) * (window_ns / 7);
}

#endif
