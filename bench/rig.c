#include "bench/files.h"
#include "bench/rig_private.h"

#include "ipc/clock.h"
#include "ipc/tag.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CLUSTER  "bench"
#define MASTER   1u
#define ROUND_NS (5 * LS_NS_PER_S)

void rig_nap(int64_t ns)
{
    const struct timespec time = {ns / LS_NS_PER_S, ns % LS_NS_PER_S};
    (void)nanosleep(&time, NULL);
}

const char *rig_path(const struct bench_rig *rig, const char *name, char out[192])
{
    (void)snprintf(out, 192, "%s/%s", rig->directory, name);
    return out;
}

/* ---- files ----------------------------------------------------------------------------------- */

void rig_write_token(FILE *file, uint32_t account, uint32_t bytes)
{
    /* As long and as incompressible as a real one: base64url letters, different per account. */
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint64_t state = account * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (uint32_t i = 0; i < bytes; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        (void)fputc(letters[state >> 58], file);
    }
}

static void write_accounts(const struct bench_rig *rig, FILE *file)
{
    const char *lanes = rig->options.own_lanes ? "own" : "shared";
    (void)fprintf(file,
        "\"accounts\":[{\"account\":1,\"broker\":\"peer\",\"login\":\"M1\",\"roles\":[\"master\"],"
        "\"lanes\":\"shared\",\"token\":\"master-token\"}");
    for (uint32_t i = 0; i < rig->options.followers; i++) {
        (void)fprintf(file,
            ",\n{\"account\":%u,\"broker\":\"peer\",\"login\":\"F%u\",\"roles\":[\"follower\"],"
            "\"lanes\":\"%s\",",
            i + 2, i + 1, lanes);
        if (rig->options.own_lanes)
            (void)fprintf(
                file, "\"source_address\":\"127.1.%u.%u\",", (i + 1) / 250, (i + 1) % 250 + 1);
        (void)fputs("\"token\":\"", file);
        rig_write_token(file, i + 2, rig->options.token_bytes);
        (void)fputs("\"}", file);
    }
    const uint32_t next = rig->options.followers + 2;
    if (rig->options.second_master) {
        (void)fprintf(file,
            ",\n{\"account\":%u,\"broker\":\"peer\",\"login\":\"M2\",\"roles\":[\"master\"],"
            "\"lanes\":\"shared\",\"token\":\"master-token\"},\n{\"account\":%u,\"broker\":"
            "\"peer\","
            "\"login\":\"F%u\",\"roles\":[\"follower\"],\"lanes\":\"%s\",\"token\":\"",
            next, next + 1, rig->options.followers + 1, lanes);
        rig_write_token(file, next + 1, rig->options.token_bytes);
        (void)fputs("\"}", file);
    }
    (void)fputs("],\n", file);
}

static bool write_snapshot(const struct bench_rig *rig, const char *path)
{
    char certificate[192];
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return false;
    (void)fprintf(file,
        "{\"cluster\":\"" CLUSTER "\",\"shards\":1,\"brokers\":[{\"name\":\"peer\","
        "\"dialect\":\"alice-blue\",\"host\":\"127.0.0.1\",\"port\":%u,\"authority\":\"localhost\","
        "\"ca_file\":\"%s\",\"pool_connections\":%u,\"requests_per_connection\":1000000,"
        "\"connects_per_second\":100000,\"pacing\":false}],\n",
        rig->options.simulator ? rig->simulator_port : rig->peer.port,
        rig_path(rig, rig->options.simulator ? "certs/ca.pem" : "peer.pem", certificate),
        rig->options.pool_connections);
    write_accounts(rig, file);
    (void)fputs("\"instruments\":[{\"instrument\":1,\"exchange\":\"NSE\",\"kind\":\"CASH\","
                "\"token\":\"2885\",\"symbol\":\"RELIANCE-EQ\",\"underlying\":\"RELIANCE\","
                "\"lot\":1,\"tick\":0.1}],\n\"subscriptions\":[",
        file);
    for (uint32_t i = 0; i < rig->options.followers; i++)
        (void)fprintf(file,
            "%s{\"follower\":%u,\"account\":\"F%u\",\"master\":\"M1\",\"mode\":\"FIXED_RATIO\","
            "\"ratio\":%u}",
            i == 0 ? "" : ",\n", i + 1, i + 1, 1 + i % 3);
    if (rig->options.second_master)
        (void)fprintf(file,
            ",\n{\"follower\":%u,\"account\":\"F%u\",\"master\":\"M2\",\"mode\":\"FIXED_RATIO\","
            "\"ratio\":1}",
            rig->options.followers + 1, rig->options.followers + 1);
    (void)fputs("]}\n", file);
    return fclose(file) == 0;
}

static uint32_t power_of_two(uint32_t least)
{
    uint32_t value = 4096;
    while (value < least)
        value *= 2;
    return value;
}

static bool write_engine_config(const struct bench_rig *rig, const char *path)
{
    const struct bench_rig_options *o = &rig->options;
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return false;
    const uint32_t children = power_of_two(o->followers * (o->rounds + 64) / 8 * 9);
    (void)fprintf(file,
        "instance: %s\nshard: 0\nio: %s\nidle: spin\nkey_file: %s/seal.key\n"
        "cpu:\n  pinned: %d\n  porter: %d\n  scribe: %d\n"
        "journal:\n  directory: %s/journal\n"
        "limits:\n  children: %u\n  connections: %u\n  follower_slots: %u\n  accounts: %u\n"
        "  positions: %u\n  master_orders: %u\n",
        rig->instance, o->io, rig->directory, o->engine_cpu, o->peer_cpu, o->peer_cpu,
        rig->directory, children, power_of_two(o->followers + o->pool_connections + 16),
        power_of_two(o->followers + 16), power_of_two(o->followers + 16),
        power_of_two(o->followers * 2), power_of_two(o->rounds + 1024));
    return fclose(file) == 0;
}

/* ---- processes ------------------------------------------------------------------------------- */

/* The program beside this one. */
static bool find_binaries(struct bench_rig *rig)
{
    const ssize_t count = readlink("/proc/self/exe", rig->binaries, sizeof rig->binaries - 1);
    if (count <= 0)
        return false;
    rig->binaries[count] = '\0';
    char *slash = strrchr(rig->binaries, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    return true;
}

/* Starts a program of ours; what it prints goes to a file. -1 when that is not possible. */
pid_t rig_start(
    const struct bench_rig *rig, const char *program, const char *log, const char *const *arguments)
{
    char path[320], log_path[192];
    const char *argv[16] = {program};
    (void)snprintf(path, sizeof path, "%s/%s", rig->binaries, program);
    for (uint32_t i = 0; i < 14 && arguments[i] != NULL; i++)
        argv[i + 1] = arguments[i];
    (void)rig_path(rig, log, log_path);
    const pid_t parent = getpid(), pid = fork();
    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (getppid() != parent || fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(127);
    (void)execv(path, (char *const *)(uintptr_t)argv);
    _exit(127);
}

/* The last line of a log, for a sentence. */
void rig_last_line(const struct bench_rig *rig, const char *log, char out[160])
{
    char path[192], line[512] = "it printed nothing";
    FILE *file = fopen(rig_path(rig, log, path), "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        continue;
    if (file != NULL)
        (void)fclose(file);
    line[strcspn(line, "\n")] = '\0';
    (void)snprintf(out, 160, "%.150s", line);
}

static enum ipc_rc publish_snapshot(struct bench_rig *rig, struct ipc_error *error)
{
    char snapshot[192], key[192], last[160];
    int status = 0;
    const char *arguments[] = {"--instance", rig->instance, "--key", rig_path(rig, "seal.key", key),
        "snapshot", "publish", rig_path(rig, "snapshot.json", snapshot), NULL};
    if (!write_snapshot(rig, snapshot)) {
        ipc_error_set(error, "%s cannot be written (%s)", snapshot, strerror(errno));
        return IPC_SYSTEM;
    }
    const pid_t pid = rig_start(rig, "lockstepctl", "publish.log", arguments);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        rig_last_line(rig, "publish.log", last);
        ipc_error_set(error, "lockstepctl could not publish the snapshot: %s", last);
        return IPC_SYSTEM;
    }
    return IPC_OK;
}

bool bench_rig_alive(struct bench_rig *rig)
{
    if (rig->engine > 0 && waitpid(rig->engine, NULL, WNOHANG) == 0)
        return true;
    rig->engine = -1;
    return false;
}

enum ipc_rc rig_waves_open(struct bench_rig *rig, struct ipc_error *error)
{
    if (rig->has_waves)
        ipc_waves_close(&rig->waves);
    const enum ipc_rc rc = ipc_waves_open(&rig->shm, 0, &rig->waves, error);
    rig->has_waves = rc == IPC_OK;
    rig->wave_seen = 0;
    return rc;
}

enum ipc_rc rig_engine_ended(struct bench_rig *rig, struct ipc_error *error)
{
    char last[160];
    rig_last_line(rig, "engine.log", last);
    ipc_error_set(error, "lockstep-engine ended: %s", last);
    return IPC_SYSTEM;
}

static enum ipc_rc start_engine(struct bench_rig *rig, struct ipc_error *error)
{
    char config[192], journal[192];
    if (!write_engine_config(rig, rig_path(rig, "engine.yaml", config)) ||
        mkdir(rig_path(rig, "journal", journal), 0700) != 0) {
        ipc_error_set(error, "%s cannot be written (%s)", config, strerror(errno));
        return IPC_SYSTEM;
    }
    enum ipc_rc rc = bench_rig_start_engine(rig, error);
    if (rc != IPC_OK)
        return rc;
    if (rig->options.simulator)
        return rig_simulator_await(rig, error);
    const int64_t until = ipc_clock_mono_ns() + RIG_WARM_SECONDS * LS_NS_PER_S;
    const uint64_t want =
        rig->options.own_lanes ? rig->options.followers : rig->options.pool_connections;
    while (atomic_load_explicit(&rig->peer.page->warm, memory_order_relaxed) < want) {
        if (!bench_rig_alive(rig))
            return rig_engine_ended(rig, error);
        if (ipc_clock_mono_ns() > until) {
            char last[160];
            rig_last_line(rig, "engine.log", last);
            ipc_error_set(error, "after %d s only %llu of %llu connections are warm: %s",
                RIG_WARM_SECONDS,
                (unsigned long long)atomic_load_explicit(
                    &rig->peer.page->warm, memory_order_relaxed),
                (unsigned long long)want, last);
            return IPC_SYSTEM;
        }
        rig_nap(5 * LS_NS_PER_MS);
    }
    rig_nap(100 * LS_NS_PER_MS); /* the last ones' answers, and their way to the pinned thread */
    return rig_waves_open(rig, error);
}

enum ipc_rc bench_rig_open(
    struct bench_rig *rig, const struct bench_rig_options *options, struct ipc_error *error)
{
    static uint32_t number;
    char certificate[192], key[192];
    *rig = (struct bench_rig){.options = *options, .engine = -1, .peer.pid = -1};
    (void)snprintf(rig->instance, sizeof rig->instance, "bench-%d-%u", (int)getpid(), number++);
    if (!find_binaries(rig)) {
        ipc_error_set(error, "this program does not find its own place (%s)", strerror(errno));
        return IPC_SYSTEM;
    }
    enum ipc_rc rc = bench_directory_make("lockstep-bench", rig->directory, error);
    if (rc == IPC_OK)
        rc = ipc_shm_open(&rig->shm, NULL, rig->instance, true, error);
    rig->has_shm = rc == IPC_OK;
    const struct bench_peer_options peer = {.cpu = options->peer_cpu,
        .certificate_file = rig_path(rig, "peer.pem", certificate),
        .key_file = rig_path(rig, "peer.key", key),
        .instance = rig->instance};
    if (rc == IPC_OK)
        rc = bench_peer_certificate(peer.certificate_file, peer.key_file, error);
    if (rc == IPC_OK)
        rc = bench_peer_start(&rig->peer, &peer, error);
    if (rc == IPC_OK && options->simulator)
        rc = rig_simulator_start(rig, error);
    if (rc == IPC_OK)
        rc = publish_snapshot(rig, error);
    if (rc == IPC_OK)
        rc = start_engine(rig, error);
    return rc;
}

void bench_rig_close(struct bench_rig *rig)
{
    if (rig->has_waves)
        ipc_waves_close(&rig->waves);
    if (rig->engine > 0 && bench_rig_alive(rig)) {
        (void)kill(rig->engine, SIGCONT);
        (void)kill(rig->engine, SIGKILL); /* nothing of it is kept */
        (void)waitpid(rig->engine, NULL, 0);
    }
    rig_simulator_stop(rig);
    bench_peer_stop(&rig->peer);
    if (rig->has_shm)
        bench_shm_remove(&rig->shm);
    if (!rig->options.keep)
        bench_directory_remove(rig->directory);
    rig->has_shm = rig->has_waves = false;
    rig->engine = -1;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

void bench_rig_identify(struct ipc_event *event, uint32_t account, const char *broker_order_id)
{
    event->account = account;
    memset(event->broker_order_id, 0, sizeof event->broker_order_id);
    (void)snprintf(event->broker_order_id, sizeof event->broker_order_id, "%s", broker_order_id);
    ipc_order_key(
        CLUSTER, account, event->broker_order_id, &event->order_key, &event->order_digits);
}

struct ipc_event bench_rig_event(struct bench_rig *rig, uint32_t master)
{
    struct ipc_event event = {.kind = IPC_EVENT_ORDER,
        .side = IPC_SIDE_BUY,
        .type = IPC_TYPE_LIMIT,
        .product = IPC_PRODUCT_MIS,
        .validity = IPC_VALIDITY_DAY,
        .status = IPC_STATUS_OPEN,
        .source = IPC_SOURCE_TERMINAL,
        .account = master,
        .instrument = 1,
        .qty_e8 = 10 * LS_E8,
        .price_e8 = (rig->options.simulator ? 1420 : 1400) * LS_E8, /* there it fills at once */
        .version = ipc_clock_wall_ns(),
        .broker_wall_ns = ipc_clock_wall_ns()};
    char id[24];
    (void)snprintf(id, sizeof id, "B%08llu", (unsigned long long)++rig->event_number);
    bench_rig_identify(&event, master, id);
    event.event_key = ipc_event_key(&event);
    return event;
}

/* The record of the wave that the newest event made. */
static enum ipc_rc await_record(
    struct bench_rig *rig, struct ipc_wave_record *record, struct ipc_error *error)
{
    const int64_t until = ipc_clock_mono_ns() + ROUND_NS;
    while (ipc_clock_mono_ns() < until) {
        if (ipc_waves_last(&rig->waves) > rig->wave_seen &&
            ipc_waves_get(&rig->waves, rig->wave_seen + 1, record) == IPC_OK) {
            rig->wave_seen++;
            return IPC_OK;
        }
        if (!bench_rig_alive(rig))
            return rig_engine_ended(rig, error);
        rig_nap(LS_NS_PER_MS);
    }
    ipc_error_set(error, "the engine finished no wave within 5 s of its event: see %s/engine.log",
        rig->directory);
    return IPC_STALE;
}

void bench_rig_series(
    struct bench_rig *rig, uint32_t count, int64_t start_mono_ns, int64_t interval_ns)
{
    struct bench_peer_page *page = rig->peer.page;
    LS_CHECK(count <= BENCH_SERIES_MAX);
    for (uint32_t i = 0; i < count; i++)
        page->series[i] = bench_rig_event(rig, MASTER);
    page->series_start_mono_ns = start_mono_ns;
    page->series_interval_ns = interval_ns;
    atomic_store_explicit(&page->series_done, 0, memory_order_relaxed);
    /* Release: what is to be published stands before it. */
    atomic_store_explicit(&page->series_count, count, memory_order_release);
}

enum ipc_rc bench_rig_record(struct bench_rig *rig, struct ipc_wave_record *record)
{
    if (ipc_waves_last(&rig->waves) <= rig->wave_seen)
        return IPC_EMPTY;
    enum ipc_rc rc;
    while ((rc = ipc_waves_get(&rig->waves, rig->wave_seen + 1, record)) == IPC_TORN)
        continue;
    rig->wave_seen++;
    return rc == IPC_OK ? IPC_OK : IPC_STALE;
}

void bench_rig_kill_engine(struct bench_rig *rig)
{
    if (rig->engine > 0) {
        (void)kill(rig->engine, SIGKILL);
        (void)waitpid(rig->engine, NULL, 0);
    }
    rig->engine = -1;
}

enum ipc_rc bench_rig_start_engine(struct bench_rig *rig, struct ipc_error *error)
{
    char config[192];
    const char *arguments[] = {"--config", rig_path(rig, "engine.yaml", config), NULL};
    rig->engine = rig_start(rig, "lockstep-engine", "engine.log", arguments);
    if (rig->engine > 0)
        return IPC_OK;
    ipc_error_set(error, "lockstep-engine could not be started (%s)", strerror(errno));
    return IPC_SYSTEM;
}

/* What stands in the page at its time, and its wave. */
static enum ipc_rc round_run(struct bench_rig *rig, const struct ipc_event *event,
    int64_t intended_mono_ns, struct ipc_wave_record *record, struct ipc_error *error)
{
    struct bench_peer_page *page = rig->peer.page;
    const uint64_t number = rig->event_number;
    page->event = *event;
    page->intended_mono_ns = intended_mono_ns;
    /* Release: the event and its time are before it. */
    atomic_store_explicit(&page->armed, number, memory_order_release);
    bench_peer_spin(page, true);
    const int64_t wait = intended_mono_ns - ipc_clock_mono_ns();
    /* Asleep until a wave of this size is over: this thread shares the peer's processor. */
    rig_nap((wait > 0 ? wait : 0) + 2 * LS_NS_PER_MS + (int64_t)rig->options.followers * 8000);
    const enum ipc_rc rc = await_record(rig, record, error);
    bench_peer_spin(page, false);
    if (rc != IPC_OK)
        return rc;
    if (atomic_load_explicit(&page->published, memory_order_acquire) != number) {
        ipc_error_set(
            error, "the bench's peer did not publish event %llu", (unsigned long long)number);
        return IPC_SYSTEM;
    }
    return IPC_OK;
}

enum ipc_rc bench_rig_publish(struct bench_rig *rig, const struct ipc_event *event,
    struct ipc_wave_record *record, struct ipc_error *error)
{
    return round_run(rig, event, ipc_clock_mono_ns() + 5 * LS_NS_PER_MS, record, error);
}

enum ipc_rc bench_rig_round(struct bench_rig *rig, int64_t intended_mono_ns,
    struct ipc_wave_record *record, int64_t *lag_ns, struct ipc_error *error)
{
    const struct ipc_event event = bench_rig_event(rig, MASTER);
    const enum ipc_rc rc = round_run(rig, &event, intended_mono_ns, record, error);
    if (rc == IPC_OK)
        *lag_ns = rig->peer.page->published_mono_ns - intended_mono_ns;
    return rc;
}

bool bench_rig_stop_engine(struct bench_rig *rig)
{
    int status = 0;
    if (kill(rig->engine, SIGSTOP) != 0 ||
        waitpid(rig->engine, &status, WUNTRACED) != rig->engine || !WIFSTOPPED(status)) {
        rig->engine = -1;
        return false;
    }
    return true;
}

void bench_rig_continue_engine(struct bench_rig *rig)
{
    (void)kill(rig->engine, SIGCONT);
}
