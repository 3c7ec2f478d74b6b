/* clock.h: time. Monotonic for ages and durations, wall (UTC) for people and brokers, and the TSC
 * for cheap intervals inside one process.
 *
 * engine/core never calls these; shells read once a turn and hand the value down. */
#ifndef LS_IPC_CLOCK_H
#define LS_IPC_CLOCK_H

#include "ipc/rc.h"
#include "ipc/base.h"

#include <sys/types.h>

/* ipc_clock_mono_ns reads CLOCK_MONOTONIC: equal for all processes of one boot, never stepped. */
int64_t ipc_clock_mono_ns(void);

/* ipc_clock_wall_ns reads CLOCK_REALTIME: UTC, may step. */
int64_t ipc_clock_wall_ns(void);

/* ipc_clock_tsc reads the time stamp counter, about 7 ns, not serialising. */
static inline uint64_t ipc_clock_tsc(void)
{
    return __builtin_ia32_rdtsc();
}

/* A calibration of the TSC against CLOCK_MONOTONIC; read-only after it is made. */
struct ipc_clock {
    uint64_t base_tsc;
    int64_t base_mono_ns;
    uint64_t ns_per_tick_q32; /* nanoseconds per tick, times 2^32 */
    bool is_invariant;        /* the CPU says that the TSC runs at one rate in all states */
};

/* ipc_clock_calibrate measures the TSC's rate.
 *   measure_ns  how long to measure, [1 ms, 1 s]; the call sleeps that long. The error is about
 *               100 ns over measure_ns, so 20 ms gives 5 parts in a million
 *   thread      any, at start-up */
void ipc_clock_calibrate(struct ipc_clock *clock, int64_t measure_ns);

/* ipc_clock_ticks_to_ns converts an interval of ticks; exact to the calibration up to centuries. */
static inline int64_t ipc_clock_ticks_to_ns(const struct ipc_clock *clock, uint64_t ticks)
{
    return (int64_t)(uint64_t)(((unsigned __int128)ticks * clock->ns_per_tick_q32) >> 32);
}

/* ipc_clock_tsc_to_mono_ns places a TSC value on the monotonic clock; drifts with the calibration's
 * error, so calibrate again each minute where it matters. */
static inline int64_t ipc_clock_tsc_to_mono_ns(const struct ipc_clock *clock, uint64_t tsc)
{
    return clock->base_mono_ns + ipc_clock_ticks_to_ns(clock, tsc - clock->base_tsc);
}

/* ipc_clock_boot_id reads the id of this boot: monotonic times of equal ids are comparable.
 *   returns IPC_OK, or IPC_SYSTEM when /proc does not give one */
LS_MUST_USE enum ipc_rc ipc_clock_boot_id(uint8_t out[16]);

/* ipc_process_start reads when a process started, in clock ticks since boot (field 22 of
 * /proc/<pid>/stat). A pid and its start name one process; a pid alone is reused.
 *   returns IPC_OK; IPC_NOT_FOUND when there is no such process, or it is a zombie */
LS_MUST_USE enum ipc_rc ipc_process_start(pid_t pid, uint64_t *out);

#endif
