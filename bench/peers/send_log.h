/* send_log.h: what the preloaded library writes down of every send of a peer, so that all peers,
 * Python's too, are compared at the same point: the kernel has taken the bytes.
 *
 * One file, mapped by the peer's process (writer) and by lockstep-bench (reader, who also sets
 * `count` to 0 between rounds, while the peer waits for its next command). */
#ifndef LS_BENCH_PEERS_SEND_LOG_H
#define LS_BENCH_PEERS_SEND_LOG_H

#include <stdatomic.h>
#include <stdint.h>

#define BENCH_SEND_LOG_ENV     "LS_BENCH_SEND_LOG"
#define BENCH_SEND_LOG_ENTRIES 65536u

struct bench_send {
    int64_t accepted_mono_ns; /* when the call returned */
    int32_t fd;
    uint32_t bytes; /* that the kernel took */
};

struct bench_send_log {
    _Atomic uint32_t count; /* release by the peer; above ENTRIES = some are missing */
    uint32_t reserved;
    struct bench_send sends[BENCH_SEND_LOG_ENTRIES];
};

#endif
