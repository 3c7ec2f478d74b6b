/* machine.h: what the figures were measured on, and whether it held still meanwhile. */
#ifndef LS_BENCH_MACHINE_H
#define LS_BENCH_MACHINE_H

#include "bench/peer.h"

struct bench_machine {
    char cpu[96], kernel[96], mitigations[256], openssl[64], sysctls[160], governor[32];
    uint32_t cores;
    double load;
    bool is_alone; /* real-time priority is allowed: nothing else runs inside a round */
};

/* bench_machine_read never fails: what cannot be read is "unknown". */
void bench_machine_read(struct bench_machine *machine);

/* The sentinel: shared-memory ping-pong between this thread and the peer's, and a loop of fixed
 * work. Both say whether the two processors were ours. */
struct bench_sentinel {
    int64_t round_trip_ns_p50, round_trip_ns_p99;
    int64_t work_ns_min, work_ns_p50;
};

/* bench_sentinel_measure takes about 20 ms; the peer is spinning. */
struct bench_sentinel bench_sentinel_measure(struct bench_peer_page *page);

/* bench_cpus lists the processors this process may run on.
 *   returns how many were written, at most `max` */
uint32_t bench_cpus(int *cpus, uint32_t max);

/* bench_run_on puts the calling thread on one processor; false when it may not. */
LS_MUST_USE bool bench_run_on(int cpu);

/* bench_choose_cpus settles on two processors: those asked for, or the first two (-1).
 *   returns  IPC_OK; IPC_REFUSED with a sentence when there are no two, or they may not be used */
LS_MUST_USE enum ipc_rc bench_choose_cpus(int *engine_cpu, int *peer_cpu, struct ipc_error *error);

/* bench_thread finds the thread `name` of a process; 0 when there is none. */
pid_t bench_thread(pid_t pid, const char *name);

/* bench_alone gives a thread the processor to itself (SCHED_FIFO) or takes that back. Only while a
 * round is on: the kernel's own threads wait meanwhile.
 *   returns  false when this process may not */
bool bench_alone(pid_t thread, bool alone, int priority);

/* bench_preemptions returns the involuntary context switches of one thread so far. */
uint64_t bench_preemptions(pid_t pid, pid_t thread);

#endif
