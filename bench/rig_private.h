/* rig_private.h: what rig.c (files, processes, rounds) and rig_sim.c (the simulated broker in the
 * peer's place) share. */
#ifndef LS_BENCH_RIG_PRIVATE_H
#define LS_BENCH_RIG_PRIVATE_H

#include "bench/rig.h"

#include <stdio.h>

#define RIG_WARM_SECONDS 60

void rig_nap(int64_t ns);
const char *rig_path(const struct bench_rig *rig, const char *name, char out[192]);
void rig_write_token(FILE *file, uint32_t account, uint32_t bytes);
/* Starts a program of ours; what it prints goes to a file. -1 when that is not possible. */
pid_t rig_start(const struct bench_rig *rig, const char *program, const char *log,
    const char *const *arguments);
/* The last line of a log, for a sentence. */
void rig_last_line(const struct bench_rig *rig, const char *log, char out[160]);
enum ipc_rc rig_engine_ended(struct bench_rig *rig, struct ipc_error *error);
LS_MUST_USE enum ipc_rc rig_waves_open(struct bench_rig *rig, struct ipc_error *error);

LS_MUST_USE enum ipc_rc rig_simulator_start(struct bench_rig *rig, struct ipc_error *error);
/* Until the engine's connections to it are ready; opens the wave records. */
LS_MUST_USE enum ipc_rc rig_simulator_await(struct bench_rig *rig, struct ipc_error *error);
void rig_simulator_stop(struct bench_rig *rig);

#endif
