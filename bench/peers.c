#include "bench/peers.h"

#include "bench/peers/send_log.h"
#include "bench/rig.h"
#include "ipc/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WARM_ROUNDS 8u
#define LEAD_NS     (4 * LS_NS_PER_MS)
#define ANSWER_MS   25000
/* Python's waves take a second; so many of them are enough for a median. */
#define SLOW_ROUNDS 7u

static const char *const client_names[BENCH_CLIENTS] = {"lockstep-engine",
    "nghttp2 + OpenSSL + epoll", "libcurl multi, HTTP/2", "Python httpx, HTTP/2"};

static double us(int64_t ns)
{
    return (double)ns / 1e3;
}

/* ---- a peer's process ------------------------------------------------------------------------ */

struct client {
    pid_t pid;
    int to, from; /* pipes: commands, answers */
    struct bench_send_log *log;
    char log_file[160];
};

struct run {
    struct bench_rig rig;
    struct bench_peers_result *result;
    struct client clients[BENCH_CLIENTS]; /* [0] unused */
    const struct bench_peers_options *options;
    uint64_t orders_sent;
    pid_t pinned;
    bool alone;
};

/* One line of the peer's, without its end; false when none came in time. */
static bool read_line(struct client *client, char *line, size_t room, int wait_ms)
{
    size_t used = 0;
    struct pollfd poll_set = {.fd = client->from, .events = POLLIN};
    while (used + 1 < room) {
        if (poll(&poll_set, 1, wait_ms) != 1 || read(client->from, line + used, 1) != 1)
            return false;
        if (line[used] == '\n')
            break;
        used++;
    }
    line[used] = '\0';
    return true;
}

static bool make_log(struct client *client, const char *directory, uint32_t number)
{
    (void)snprintf(client->log_file, sizeof client->log_file, "%s/sends.%u", directory, number);
    int fd = open(client->log_file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool good = ftruncate(fd, (off_t)sizeof(struct bench_send_log)) == 0;
    void *memory =
        good ? mmap(NULL, sizeof(struct bench_send_log), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
             : MAP_FAILED;
    (void)close(fd);
    client->log = memory == MAP_FAILED ? NULL : memory;
    return client->log != NULL;
}

/* The child's side of the fork: on the engine's processor, its sends written down. */
__attribute__((noreturn)) static void become(
    const struct run *run, uint32_t number, const int in[2], const int out[2])
{
    const struct bench_rig *rig = &run->rig;
    static const char *const programs[BENCH_CLIENTS] = {
        "", "lockstep-bench-nghttp2", "lockstep-bench-curl", "lockstep-bench-httpx.py"};
    char program[320], preload[320], port[8], certificate[192], bodies[192], connections[12],
        bearer[12];
    (void)dup2(in[0], STDIN_FILENO);
    (void)dup2(out[1], STDOUT_FILENO);
    if (!bench_run_on(run->options->engine_cpu))
        _exit(126);
    (void)snprintf(program, sizeof program, "%s/%s", rig->binaries, programs[number]);
    (void)snprintf(preload, sizeof preload, "%s/lockstep-bench-sendlog.so", rig->binaries);
    (void)snprintf(port, sizeof port, "%u", rig->peer.port);
    (void)snprintf(certificate, sizeof certificate, "%s/peer.pem", rig->directory);
    (void)snprintf(bodies, sizeof bodies, "%s/bodies", rig->directory);
    (void)snprintf(connections, sizeof connections, "%u", run->options->pool_connections);
    (void)snprintf(bearer, sizeof bearer, "%u", run->result->token_bytes);
    (void)setenv("LD_PRELOAD", preload, 1);
    (void)setenv(BENCH_SEND_LOG_ENV, run->clients[number].log_file, 1);
    if (number == 3)
        (void)execl("/usr/bin/python3", "python3", program, port, certificate, bodies, connections,
            bearer, (char *)NULL);
    else
        (void)execl(program, program, port, certificate, bodies, connections, bearer, (char *)NULL);
    _exit(127);
}

static void client_stop(struct client *client)
{
    if (client->pid > 0) {
        (void)close(client->to);
        (void)kill(client->pid, SIGKILL);
        (void)waitpid(client->pid, NULL, 0);
        (void)close(client->from);
    }
    if (client->log != NULL)
        (void)munmap(client->log, sizeof *client->log);
    *client = (struct client){0};
}

static void client_start(struct run *run, uint32_t number)
{
    struct client *client = &run->clients[number];
    char *missing = run->result->client[number].missing;
    const size_t room = sizeof run->result->client[number].missing;
    int in[2], out[2];
    char line[200] = "";
    if (!make_log(client, run->rig.directory, number) || pipe2(in, O_CLOEXEC) != 0 ||
        pipe2(out, O_CLOEXEC) != 0) {
        (void)snprintf(missing, room, "its pipes or its log could not be made");
        return;
    }
    client->pid = fork();
    if (client->pid == 0)
        become(run, number, in, out);
    (void)close(in[0]);
    (void)close(out[1]);
    client->to = in[1];
    client->from = out[0];
    if (client->pid < 0 || !read_line(client, line, sizeof line, 15000) ||
        strcmp(line, "ready") != 0) {
        (void)snprintf(missing, room, "it did not start%s",
            number == 3 ? " (Debian packages python3-httpx and python3-h2)" : "");
        client_stop(client);
    }
}

/* ---- rounds ---------------------------------------------------------------------------------- */

static void alone(struct run *run, pid_t client, bool on)
{
    if (!run->alone)
        return;
    (void)bench_alone(0, on, 3);
    (void)bench_alone(run->rig.peer.pid, on, 2);
    (void)bench_alone(client, on, 2);
}

static enum ipc_rc await_orders(struct run *run, const char *who, struct ipc_error *error)
{
    const int64_t until = ipc_clock_mono_ns() + 5 * LS_NS_PER_S;
    const struct timespec nap = {0, 100000};
    for (;;) {
        uint64_t orders = atomic_load_explicit(&run->rig.peer.page->orders, memory_order_acquire);
        if (orders == run->orders_sent)
            return IPC_OK;
        if (orders > run->orders_sent || ipc_clock_mono_ns() > until) {
            ipc_error_set(error, "%s: the server received %llu orders where %llu were sent", who,
                (unsigned long long)orders, (unsigned long long)run->orders_sent);
            return IPC_SYSTEM;
        }
        (void)nanosleep(&nap, NULL);
    }
}

static enum ipc_rc engine_round(struct run *run, bool counts, struct ipc_error *error)
{
    struct bench_client_result *result = &run->result->client[0];
    struct ipc_wave_record record;
    int64_t lag_ns = 0;
    bench_peer_spin(run->rig.peer.page, true);
    alone(run, run->pinned, true);
    enum ipc_rc rc =
        bench_rig_round(&run->rig, ipc_clock_mono_ns() + LEAD_NS, &record, &lag_ns, error);
    alone(run, run->pinned, false);
    bench_peer_spin(run->rig.peer.page, false);
    if (rc != IPC_OK)
        return rc;
    if (record.sent != run->options->followers || record.acked != run->options->followers) {
        ipc_error_set(error, "a wave of %u followers had %u orders sent and %u acknowledged",
            run->options->followers, record.sent, record.acked);
        return IPC_SYSTEM;
    }
    run->orders_sent += run->options->followers;
    rc = await_orders(run, client_names[0], error);
    if (rc != IPC_OK || !counts)
        return rc;
    bench_series_add(&result->first, us(record.first_accepted_ns + lag_ns));
    bench_series_add(&result->median, us(record.median_accepted_ns + lag_ns));
    bench_series_add(&result->last, us(record.last_accepted_ns + lag_ns));
    bench_series_add(&result->parsed, us(record.parsed_ns + lag_ns));
    bench_series_add(&result->sends, record.sends);
    return IPC_OK;
}

/* Times of a peer's wave from what its preloaded library wrote down. The median order is where half
 * of the bytes had left: all orders have the same length but for digits. */
static bool note_sends(struct bench_client_result *result, const struct bench_send_log *log,
    uint32_t orders, uint32_t least_bytes, int64_t at_ns)
{
    uint32_t count = atomic_load_explicit(&log->count, memory_order_acquire);
    uint64_t total = 0, seen = 0;
    int64_t first_ns = 0, median_ns = 0, last_ns = 0;
    if (count == 0 || count > BENCH_SEND_LOG_ENTRIES)
        return false;
    for (uint32_t i = 0; i < count; i++)
        total += log->sends[i].accepted_mono_ns < at_ns ? 0 : log->sends[i].bytes;
    if (total < (uint64_t)orders * least_bytes)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct bench_send *send = &log->sends[i];
        if (send->accepted_mono_ns < at_ns)
            continue; /* housekeeping of the connection before the event */
        if (first_ns == 0)
            first_ns = send->accepted_mono_ns;
        seen += send->bytes;
        if (median_ns == 0 && seen * 2 >= total)
            median_ns = send->accepted_mono_ns;
        /* What follows the last order on the wire (acknowledgements, window updates) is small. */
        if (send->bytes >= least_bytes)
            last_ns = send->accepted_mono_ns;
    }
    bench_series_add(&result->first, us(first_ns - at_ns));
    bench_series_add(&result->median, us(median_ns - at_ns));
    bench_series_add(&result->last, us(last_ns - at_ns));
    bench_series_add(&result->sends, count);
    return true;
}

static enum ipc_rc client_round(
    struct run *run, uint32_t number, bool counts, uint32_t least_bytes, struct ipc_error *error)
{
    struct client *client = &run->clients[number];
    struct bench_client_result *result = &run->result->client[number];
    char line[220];
    long long done_ns = 0;
    if (!bench_rig_stop_engine(&run->rig)) {
        ipc_error_set(error, "the engine has ended");
        return IPC_SYSTEM;
    }
    atomic_store_explicit(&client->log->count, 0, memory_order_release);
    bench_peer_spin(run->rig.peer.page, true);
    alone(run, client->pid, true);
    int64_t at_ns = ipc_clock_mono_ns() + LEAD_NS;
    int digits = snprintf(line, sizeof line, "wave %lld\n", (long long)at_ns);
    bool good = write(client->to, line, (size_t)digits) == digits &&
                read_line(client, line, sizeof line, ANSWER_MS);
    alone(run, client->pid, false);
    bench_peer_spin(run->rig.peer.page, false);
    bench_rig_continue_engine(&run->rig);
    if (!good || sscanf(line, "done %lld", &done_ns) != 1) {
        ipc_error_set(error, "%s: %s", client_names[number], good ? line : "no answer");
        return IPC_SYSTEM;
    }
    run->orders_sent += run->options->followers;
    enum ipc_rc rc = await_orders(run, client_names[number], error);
    if (rc != IPC_OK || !counts)
        return rc;
    if (!note_sends(result, client->log, run->options->followers, least_bytes, at_ns)) {
        ipc_error_set(error, "%s: its sends were not written down", client_names[number]);
        return IPC_SYSTEM;
    }
    bench_series_add(&result->parsed, us(done_ns - at_ns));
    const struct bench_series *engine = &run->result->client[0].last;
    bench_series_add(&result->times_engine,
        result->last.value[result->last.count - 1] / engine->value[engine->count - 1]);
    return IPC_OK;
}

/* The JSON bodies of one wave, as the server received them, one a line. */
static enum ipc_rc write_bodies(struct run *run, uint32_t *least_bytes, struct ipc_error *error)
{
    struct bench_peer_page *page = run->rig.peer.page;
    char path[192];
    (void)snprintf(path, sizeof path, "%s/bodies", run->rig.directory);
    atomic_store_explicit(&page->capture, 1, memory_order_release);
    enum ipc_rc rc = engine_round(run, false, error);
    atomic_store_explicit(&page->capture, 0, memory_order_release);
    if (rc != IPC_OK)
        return rc;
    FILE *file = fopen(path, "w");
    if (file == NULL || page->capture_count != run->options->followers) {
        ipc_error_set(error, "%s: the wave's bodies could not be kept", path);
        if (file != NULL)
            (void)fclose(file);
        return IPC_SYSTEM;
    }
    *least_bytes = UINT32_MAX;
    for (uint32_t i = 0; i < page->capture_count; i++) {
        const struct bench_capture *order = &page->captures[i];
        uint32_t from = order->data_at + 9;
        (void)fwrite(page->captured_bytes + order->offset + from, 1, order->bytes - from, file);
        (void)fputc('\n', file);
        if (order->bytes - from < *least_bytes)
            *least_bytes = order->bytes - from;
    }
    return fclose(file) == 0 ? IPC_OK : IPC_SYSTEM;
}

static enum ipc_rc measure(struct run *run, double seconds, struct ipc_error *error)
{
    const int64_t until = ipc_clock_mono_ns() + (int64_t)(seconds * 1e9);
    uint32_t least_bytes = 0;
    enum ipc_rc rc = IPC_OK;
    for (uint32_t i = 0; i < WARM_ROUNDS && rc == IPC_OK; i++)
        rc = engine_round(run, false, error);
    if (rc == IPC_OK)
        rc = write_bodies(run, &least_bytes, error);
    for (uint32_t number = 1; number < BENCH_CLIENTS && rc == IPC_OK; number++) {
        client_start(run, number);
        for (uint32_t i = 0; i < (number == 3 ? 1u : 3u) && rc == IPC_OK; i++)
            if (run->clients[number].pid > 0)
                rc = client_round(run, number, false, least_bytes, error);
    }
    for (uint32_t i = 0; i < run->options->rounds && rc == IPC_OK; i++) {
        if (i >= 5 && ipc_clock_mono_ns() > until)
            break;
        for (uint32_t number = 0; number < BENCH_CLIENTS && rc == IPC_OK; number++) {
            if (number == 0) {
                /* It stood still while the others ran: timers and heartbeats first. */
                rc = engine_round(run, false, error);
                if (rc == IPC_OK)
                    rc = engine_round(run, true, error);
            } else if (run->clients[number].pid > 0 && (number != 3 || i < SLOW_ROUNDS))
                rc = client_round(run, number, true, least_bytes, error);
        }
    }
    return rc;
}

static enum ipc_rc run_one(
    struct bench_peers *peers, uint32_t token_bytes, double seconds, struct ipc_error *error)
{
    struct run *run = calloc(1, sizeof *run);
    LS_CHECK(run != NULL);
    run->result = &peers->results[peers->result_count];
    run->options = &peers->options;
    run->result->token_bytes = token_bytes;
    const struct bench_rig_options options = {.followers = peers->options.followers,
        .pool_connections = peers->options.pool_connections,
        .token_bytes = token_bytes,
        .rounds = peers->options.rounds * 2 + 64,
        .io = peers->options.io,
        .engine_cpu = peers->options.engine_cpu,
        .peer_cpu = peers->options.peer_cpu};
    (void)fprintf(stderr, "peers, bearer of %u bytes ...\n", token_bytes);
    enum ipc_rc rc = bench_rig_open(&run->rig, &options, error);
    if (rc == IPC_OK) {
        run->pinned = bench_thread(run->rig.engine, "ls-pinned");
        run->alone = peers->machine.is_alone && run->pinned != 0;
        rc = measure(run, seconds, error);
    }
    for (uint32_t i = 1; i < BENCH_CLIENTS; i++)
        client_stop(&run->clients[i]);
    bench_rig_close(&run->rig);
    free(run);
    peers->result_count += rc == IPC_OK;
    return rc;
}

enum ipc_rc bench_peers_run(struct bench_peers *peers, struct ipc_error *error)
{
    struct bench_peers_options *options = &peers->options;
    const int64_t start = ipc_clock_mono_ns();
    enum ipc_rc rc = bench_choose_cpus(&options->engine_cpu, &options->peer_cpu, error);
    if (rc != IPC_OK)
        return rc;
    bench_machine_read(&peers->machine);
    peers->machine.is_alone = bench_alone(0, true, 1);
    (void)bench_alone(0, false, 0);
    const uint32_t bearers[] = {options->bearer != 0 ? options->bearer : 64, 1100};
    const uint32_t count = options->bearer != 0 ? 1 : 2;
    for (uint32_t i = 0; i < count && rc == IPC_OK; i++)
        rc = run_one(peers, bearers[i], options->seconds_max / count, error);
    peers->seconds = (double)(ipc_clock_mono_ns() - start) / 1e9;
    return rc;
}

/* ---- report ---------------------------------------------------------------------------------- */

void bench_peers_print(const struct bench_peers *peers, FILE *out)
{
    (void)fprintf(out,
        "peers: %u orders over %u connections, %s; microseconds from the intended time to accepted "
        "by the kernel (p50)\n%s, %u processors, kernel %s, load %.1f\n",
        peers->options.followers, peers->options.pool_connections, peers->options.io,
        peers->machine.cpu, peers->machine.cores, peers->machine.kernel, peers->machine.load);
    for (uint32_t r = 0; r < peers->result_count; r++) {
        const struct bench_peers_result *result = &peers->results[r];
        (void)fprintf(out, "\nbearer of %u bytes\n%-28s %12s %12s %12s %12s %8s  %s\n",
            result->token_bytes, "", "first", "median", "last", "all parsed", "rounds",
            "engine is faster by (last; p10 - p90)");
        for (uint32_t i = 0; i < BENCH_CLIENTS; i++) {
            const struct bench_client_result *client = &result->client[i];
            if (client->last.count == 0) {
                (void)fprintf(out, "%-28s %s\n", client_names[i],
                    client->missing[0] != '\0' ? client->missing : "no round");
                continue;
            }
            (void)fprintf(out, "%-28s %12.1f %12.1f %12.1f %12.1f %8u", client_names[i],
                bench_summarize(&client->first).p50, bench_summarize(&client->median).p50,
                bench_summarize(&client->last).p50, bench_summarize(&client->parsed).p50,
                client->last.count);
            if (i > 0) {
                struct bench_summary ratio = bench_summarize(&client->times_engine);
                (void)fprintf(out, "  %.1f x (%.1f - %.1f)", ratio.p50, ratio.p10, ratio.p90);
            }
            (void)fputc('\n', out);
        }
    }
    (void)fprintf(out,
        "\nTargets of the systems that this replaces: first < 250 ms, 10 < 500 ms, 50 < 2 s, "
        "500 < 30 s.\n");
}

static void print_series(const char *name, const struct bench_series *series, FILE *out)
{
    struct bench_summary s = bench_summarize(series);
    (void)fprintf(out,
        "\"%s\":{\"p10\":%.2f,\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"max\":%.2f,\"count\":%u,"
        "\"rounds\":[",
        name, s.p10, s.p50, s.p90, s.p99, s.max, s.count);
    for (uint32_t i = 0; i < series->count; i++)
        (void)fprintf(out, "%s%.2f", i == 0 ? "" : ",", series->value[i]);
    (void)fputs("]}", out);
}

void bench_peers_json(const struct bench_peers *peers, FILE *out)
{
    (void)fprintf(out, "{\"bench\":\"peers\",\"followers\":%u,\"connections\":%u,\"results\":[",
        peers->options.followers, peers->options.pool_connections);
    for (uint32_t r = 0; r < peers->result_count; r++) {
        const struct bench_peers_result *result = &peers->results[r];
        (void)fprintf(
            out, "%s{\"bearer\":%u,\"clients\":[", r == 0 ? "" : ",", result->token_bytes);
        for (uint32_t i = 0; i < BENCH_CLIENTS; i++) {
            const struct bench_client_result *client = &result->client[i];
            (void)fprintf(out, "%s{\"client\":\"%s\",\"missing\":\"%s\",", i == 0 ? "" : ",",
                client_names[i], client->missing);
            print_series("first_us", &client->first, out);
            (void)fputc(',', out);
            print_series("median_us", &client->median, out);
            (void)fputc(',', out);
            print_series("last_us", &client->last, out);
            (void)fputc(',', out);
            print_series("parsed_us", &client->parsed, out);
            (void)fputc(',', out);
            print_series("times_engine", &client->times_engine, out);
            (void)fputc('}', out);
        }
        (void)fputs("]}", out);
    }
    (void)fputs("]}\n", out);
}
