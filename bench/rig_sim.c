#include "bench/rig_private.h"

#include "ipc/clock.h"
#include "ipc/metrics.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static bool write_config(const struct bench_rig *rig, const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return false;
    (void)fprintf(file,
        "tls:\n  certificate: %s/certs/server.pem\n  key: %s/certs/server.key\n"
        "contracts: %s/contracts\naccounts_file: %s/sim-accounts.json\n"
        "ports_file: %s/sim-ports\nfeed:\n  tick_ms: 0\n"
        "limits:\n  orders_per_second: 0\n  reads_per_15_min: 0\n",
        rig->directory, rig->directory, rig->directory, rig->directory, rig->directory);
    return fclose(file) == 0;
}

static bool write_accounts(const struct bench_rig *rig, const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return false;
    (void)fputs("[{\"account\":\"M1\",\"token\":\"master-token\",\"funds\":\"1000000\"}", file);
    for (uint32_t i = 0; i < rig->options.followers; i++) {
        (void)fprintf(file, ",\n{\"account\":\"F%u\",\"token\":\"", i + 1);
        rig_write_token(file, i + 2, rig->options.token_bytes);
        (void)fputs("\",\"funds\":\"90000000000\"}", file);
    }
    (void)fputs("]\n", file);
    return fclose(file) == 0;
}

/* Runs it for one thing that it makes in a directory. */
static bool make(struct bench_rig *rig, const char *what, const char *directory)
{
    char path[192];
    int status = 0;
    const char *arguments[] = {what, rig_path(rig, directory, path), NULL};
    const pid_t pid = rig_start(rig, "lockstep-brokersim", "brokersim.log", arguments);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool ports_read(struct bench_rig *rig)
{
    char path[192];
    FILE *file = fopen(rig_path(rig, "sim-ports", path), "r");
    const bool done = file != NULL && fscanf(file, "{\"port\":%hu,\"admin_port\":%hu",
                                          &rig->simulator_port, &rig->simulator_admin_port) == 2;
    if (file != NULL)
        (void)fclose(file);
    return done;
}

enum ipc_rc rig_simulator_start(struct bench_rig *rig, struct ipc_error *error)
{
    char config[192], accounts[192], last[160];
    const char *arguments[] = {
        "--config", rig_path(rig, "brokersim.yaml", config), "--quiet", NULL};
    const int64_t until = ipc_clock_mono_ns() + RIG_WARM_SECONDS * LS_NS_PER_S;
    if (!make(rig, "--make-certs", "certs") || !make(rig, "--write-contracts", "contracts") ||
        !write_config(rig, config) ||
        !write_accounts(rig, rig_path(rig, "sim-accounts.json", accounts))) {
        rig_last_line(rig, "brokersim.log", last);
        ipc_error_set(error, "lockstep-brokersim could not be set up: %s", last);
        return IPC_SYSTEM;
    }
    rig->simulator = rig_start(rig, "lockstep-brokersim", "brokersim.log", arguments);
    while (!ports_read(rig)) {
        if (rig->simulator <= 0 || waitpid(rig->simulator, NULL, WNOHANG) != 0 ||
            ipc_clock_mono_ns() > until) {
            rig_last_line(rig, "brokersim.log", last);
            ipc_error_set(error, "lockstep-brokersim did not start: %s", last);
            rig->simulator = -1;
            return IPC_SYSTEM;
        }
        rig_nap(10 * LS_NS_PER_MS);
    }
    return IPC_OK;
}

/* Connections that the engine's metrics call ready. */
static uint64_t connections_ready(struct bench_rig *rig)
{
    struct ipc_metrics *page;
    struct ipc_error error;
    uint64_t ready = 0;
    if (ipc_metrics_open(&rig->shm, "engine.0", &page, &error) != IPC_OK)
        return 0;
    const struct ipc_metric *metric =
        ipc_metrics_find(page, "lockstep_engine_connections_ready", NULL);
    if (metric != NULL)
        ready = (uint64_t)ipc_metric_get(metric);
    ipc_metrics_close(page);
    return ready;
}

enum ipc_rc rig_simulator_await(struct bench_rig *rig, struct ipc_error *error)
{
    const int64_t until = ipc_clock_mono_ns() + RIG_WARM_SECONDS * LS_NS_PER_S;
    while (connections_ready(rig) < rig->options.pool_connections) {
        if (!bench_rig_alive(rig))
            return rig_engine_ended(rig, error);
        if (ipc_clock_mono_ns() > until) {
            ipc_error_set(error, "after %d s the connections to the simulated broker are not ready",
                RIG_WARM_SECONDS);
            return IPC_STALE;
        }
        rig_nap(10 * LS_NS_PER_MS);
    }
    return rig_waves_open(rig, error);
}

void rig_simulator_stop(struct bench_rig *rig)
{
    if (rig->simulator <= 0)
        return;
    (void)kill(rig->simulator, SIGKILL);
    (void)waitpid(rig->simulator, NULL, 0);
    rig->simulator = -1;
}
