#include "bench/fanout.h"

#include "bench/floor.h"
#include "bench/rig.h"
#include "ipc/clock.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WARM_ROUNDS 12u
#define LEAD_NS     (3 * LS_NS_PER_MS) /* from arming an event to its intended time */
#define SETTLE_NS   (300 * LS_NS_PER_US)
#define ANSWERS_NS  (5 * LS_NS_PER_S)
#define BAND_TRIP   2.0  /* round trip against the best of the run */
#define BAND_WORK   1.15 /* fixed work, median against its own minimum */
#define LAG_SHARE   0.05 /* of the figure, at p99 */

static double us(int64_t ns)
{
    return (double)ns / 1e3;
}

static void nap(int64_t ns)
{
    const struct timespec time = {ns / LS_NS_PER_S, ns % LS_NS_PER_S};
    (void)nanosleep(&time, NULL);
}

static void spin_for(int64_t ns)
{
    const int64_t until = ipc_clock_mono_ns() + ns;
    while (ipc_clock_mono_ns() < until)
        __builtin_ia32_pause();
}

/* Everything one scenario holds open. */
struct scenario {
    struct bench_rig rig;
    struct bench_floor *floor;
    struct bench_fanout_result *result;
    uint64_t orders_sent; /* by engine and floor together */
    int engine_cpu, peer_cpu;
    pid_t pinned; /* the engine's thread */
    bool alone;   /* real-time priority is allowed */
};

/* Engine, peer and this thread have their processors to themselves, or share them again. This
 * thread is above the peer, with which it shares one. */
static void alone(struct scenario *scenario, bool on)
{
    if (!scenario->alone)
        return;
    (void)bench_alone(0, on, 3);
    (void)bench_alone(scenario->rig.peer.pid, on, 2);
    (void)bench_alone(scenario->pinned, on, 2);
}

/* Nothing was lost: the peer has received every order that was sent to it. */
static enum ipc_rc await_orders(struct scenario *scenario, struct ipc_error *error)
{
    const int64_t until = ipc_clock_mono_ns() + ANSWERS_NS;
    const struct bench_peer_page *page = scenario->rig.peer.page;
    for (;;) {
        const uint64_t orders = atomic_load_explicit(&page->orders, memory_order_acquire);
        if (orders == scenario->orders_sent)
            return IPC_OK;
        if (orders > scenario->orders_sent || ipc_clock_mono_ns() > until) {
            ipc_error_set(error, "the peer received %llu orders where %llu were sent",
                (unsigned long long)orders, (unsigned long long)scenario->orders_sent);
            return IPC_SYSTEM;
        }
        nap(100 * LS_NS_PER_US);
    }
}

/* One event through the engine. It must end with every follower's order acknowledged. */
static enum ipc_rc engine_round(struct scenario *scenario, bool counts, struct ipc_error *error)
{
    struct ipc_wave_record record;
    struct bench_fanout_result *result = scenario->result;
    int64_t lag_ns = 0;
    const uint32_t followers = scenario->rig.options.followers;
    bench_peer_spin(scenario->rig.peer.page, true);
    alone(scenario, true);
    uint64_t preempted = bench_preemptions(scenario->rig.engine, scenario->pinned);
    enum ipc_rc rc =
        bench_rig_round(&scenario->rig, ipc_clock_mono_ns() + LEAD_NS, &record, &lag_ns, error);
    preempted = bench_preemptions(scenario->rig.engine, scenario->pinned) - preempted;
    alone(scenario, false);
    if (rc != IPC_OK)
        return rc;
    if (record.sent != followers || record.acked != followers) {
        ipc_error_set(error,
            "a wave of %u followers sent %u orders (%u acknowledged, %u skipped, %u unknown, %u "
            "queued): the figures would not be of one wave",
            followers, record.sent, record.acked, record.skipped, record.unknown, record.queued);
        return IPC_SYSTEM;
    }
    scenario->orders_sent += followers;
    rc = await_orders(scenario, error);
    if (rc != IPC_OK || !counts)
        return rc;
    result->preemptions += preempted;
    bench_series_add(&result->lag, us(lag_ns));
    bench_series_add(&result->hop, us(record.read_ns));
    bench_series_add(&result->first, us(record.first_accepted_ns + lag_ns));
    bench_series_add(&result->median, us(record.median_accepted_ns + lag_ns));
    bench_series_add(&result->last, us(record.last_accepted_ns + lag_ns));
    bench_series_add(&result->parsed, us(record.parsed_ns + lag_ns));
    bench_series_add(&result->read_first, us(record.first_accepted_ns - record.read_ns));
    bench_series_add(&result->read_median, us(record.median_accepted_ns - record.read_ns));
    bench_series_add(&result->read_last, us(record.last_accepted_ns - record.read_ns));
    bench_series_add(&result->decide, us(record.decide_ns));
    bench_series_add(&result->journal, us(record.journal_ns));
    bench_series_add(&result->encode, us(record.encode_ns));
    bench_series_add(&result->seal, us(record.seal_ns));
    bench_series_add(&result->send, us(record.send_ns));
    bench_series_add(&result->sends, record.sends);
    bench_series_add(&result->records, record.records);
    bench_series_add(&result->batches, record.batches);
    return IPC_OK;
}

/* The floor on the engine's processor, while the engine stands still. */
static enum ipc_rc floor_round(struct scenario *scenario, bool counts, struct ipc_error *error)
{
    struct bench_fanout_result *result = scenario->result;
    struct bench_peer_page *page = scenario->rig.peer.page;
    struct bench_floor_times times = {0};
    if (!bench_rig_stop_engine(&scenario->rig) || !bench_run_on(scenario->engine_cpu)) {
        ipc_error_set(error, "the engine could not be stopped for the floor: it has ended");
        return IPC_SYSTEM;
    }
    bench_floor_prepare(scenario->floor);
    bench_peer_spin(page, true);
    alone(scenario, true);
    spin_for(SETTLE_NS); /* as the engine spins before an event */
    enum ipc_rc rc = bench_floor_single(scenario->floor, &times);
    scenario->orders_sent += 1;
    spin_for(SETTLE_NS);
    if (rc == IPC_OK)
        rc = bench_floor_wave(scenario->floor, &times);
    scenario->orders_sent += scenario->rig.options.followers;
    if (rc != IPC_OK)
        ipc_error_set(error, "a socket of the floor has failed");
    else
        rc = await_orders(scenario, error);
    spin_for(SETTLE_NS);
    bench_floor_drain(scenario->floor);
    alone(scenario, false);
    bench_peer_spin(page, false);
    bench_rig_continue_engine(&scenario->rig);
    if (!bench_run_on(scenario->peer_cpu)) {
        ipc_error_set(error, "this process may not run on processor %d", scenario->peer_cpu);
        return IPC_SYSTEM;
    }
    if (rc != IPC_OK || !counts)
        return rc;
    bench_series_add(&result->floor_first, us(times.first_ns));
    bench_series_add(&result->floor_median, us(times.median_ns));
    bench_series_add(&result->floor_last, us(times.last_ns));
    bench_series_add(&result->floor_sends, times.sends);
    bench_series_add(&result->floor_records, times.records);
    const uint32_t at = result->floor_last.count - 1;
    bench_series_add(
        &result->ratio_first, result->read_first.value[at] / result->floor_first.value[at]);
    bench_series_add(
        &result->ratio_median, result->read_median.value[at] / result->floor_median.value[at]);
    bench_series_add(
        &result->ratio_last, result->read_last.value[at] / result->floor_last.value[at]);
    return IPC_OK;
}

static struct bench_sentinel sentinel(struct scenario *scenario)
{
    struct bench_sentinel out = {0};
    if (!bench_rig_stop_engine(&scenario->rig))
        return out;
    if (bench_run_on(scenario->engine_cpu)) {
        bench_peer_spin(scenario->rig.peer.page, true);
        alone(scenario, true);
        out = bench_sentinel_measure(scenario->rig.peer.page);
        alone(scenario, false);
        bench_peer_spin(scenario->rig.peer.page, false);
    }
    bench_rig_continue_engine(&scenario->rig);
    if (!bench_run_on(scenario->peer_cpu))
        out.work_ns_p50 = 0;
    return out;
}

/* Warm rounds; the last of them is kept by the peer, byte for byte, for the floor. */
static enum ipc_rc warm_up(struct scenario *scenario, struct ipc_error *error)
{
    struct bench_peer_page *page = scenario->rig.peer.page;
    char certificate[192];
    enum ipc_rc rc = IPC_OK;
    for (uint32_t i = 0; i < WARM_ROUNDS && rc == IPC_OK; i++) {
        if (i == WARM_ROUNDS - 1)
            atomic_store_explicit(&page->capture, 1, memory_order_release);
        rc = engine_round(scenario, false, error);
    }
    atomic_store_explicit(&page->capture, 0, memory_order_release);
    if (rc != IPC_OK)
        return rc;
    if (page->capture_count != scenario->rig.options.followers) {
        ipc_error_set(error, "the peer kept %u of %u orders for the floor", page->capture_count,
            scenario->rig.options.followers);
        return IPC_SYSTEM;
    }
    (void)snprintf(certificate, sizeof certificate, "%s/peer.pem", scenario->rig.directory);
    rc = bench_floor_open(&scenario->floor, page, scenario->rig.peer.port, certificate, error);
    for (uint32_t i = 0; i < 3 && rc == IPC_OK; i++)
        rc = floor_round(scenario, false, error);
    return rc;
}

static enum ipc_rc scenario_run(struct bench_fanout *fanout, struct scenario *scenario,
    const struct bench_rig_options *options, double seconds, struct ipc_error *error)
{
    struct bench_fanout_result *result = scenario->result;
    const int64_t until = ipc_clock_mono_ns() + (int64_t)(seconds * 1e9);
    enum ipc_rc rc = bench_rig_open(&scenario->rig, options, error);
    scenario->pinned = bench_thread(scenario->rig.engine, "ls-pinned");
    scenario->alone = fanout->machine.is_alone && scenario->pinned != 0;
    if (rc == IPC_OK)
        rc = warm_up(scenario, error);
    if (rc != IPC_OK)
        return rc;
    result->sessions = bench_floor_sessions(scenario->floor);
    result->order_bytes = (uint32_t)(bench_floor_plain_bytes(scenario->floor) / options->followers);
    (void)snprintf(
        result->cipher, sizeof result->cipher, "%s", bench_floor_cipher(scenario->floor));
    result->before = sentinel(scenario);
    for (uint32_t i = 0; i < fanout->options.rounds && rc == IPC_OK; i++) {
        if (i >= 10 && ipc_clock_mono_ns() > until)
            break;
        rc = engine_round(scenario, true, error);
        if (rc == IPC_OK)
            rc = floor_round(scenario, true, error);
    }
    result->after = sentinel(scenario);
    return rc;
}

/* ---- noise ----------------------------------------------------------------------------------- */

/* Adds one reason to doubt the figures. */
__attribute__((format(printf, 2, 3))) static void doubt(
    struct bench_fanout_result *result, const char *format, ...)
{
    const size_t bytes = sizeof result->noise;
    size_t used = strlen(result->noise);
    va_list arguments;
    if (used != 0)
        used += (size_t)snprintf(result->noise + used, bytes - used, "; ");
    va_start(arguments, format);
    if (used < bytes)
        (void)vsnprintf(result->noise + used, bytes - used, format, arguments);
    va_end(arguments);
}

static void judge(struct bench_fanout *fanout)
{
    int64_t best_ns = INT64_MAX;
    for (uint32_t i = 0; i < fanout->result_count; i++) {
        best_ns = ls_min_i64(best_ns, fanout->results[i].before.round_trip_ns_p50);
        best_ns = ls_min_i64(best_ns, fanout->results[i].after.round_trip_ns_p50);
    }
    for (uint32_t i = 0; i < fanout->result_count; i++) {
        struct bench_fanout_result *r = &fanout->results[i];
        const struct bench_sentinel *ends[] = {&r->before, &r->after};
        const double lag = bench_summarize(&r->lag).p99, last = bench_summarize(&r->last).p50;
        double trip = 0, work = 0;
        for (uint32_t k = 0; k < 2; k++) {
            trip = fmax(trip, (double)ends[k]->round_trip_ns_p50 / (double)best_ns);
            work = fmax(work, (double)ends[k]->work_ns_p50 / (double)ends[k]->work_ns_min);
        }
        if (trip > BAND_TRIP)
            doubt(r, "ping-pong %.1f x the best of the run", trip);
        if (work > BAND_WORK)
            doubt(r, "fixed work took %.2f x its minimum", work);
        if (lag > LAG_SHARE * last)
            doubt(r, "events were published up to %.1f us late (p99)", lag);
        if (r->preemptions * 10 > r->ratio_last.count)
            doubt(r, "the engine's thread was preempted %.0f times", (double)r->preemptions);
    }
}

/* ---- all of them ----------------------------------------------------------------------------- */

static bool chosen(const char *want, const char *name)
{
    return strcmp(want, "all") == 0 || strcmp(want, name) == 0;
}

static enum ipc_rc run_one(struct bench_fanout *fanout, const struct bench_rig_options *rig,
    uint32_t left, double seconds_left, struct ipc_error *error)
{
    struct scenario *scenario = calloc(1, sizeof *scenario);
    LS_CHECK(scenario != NULL && fanout->result_count < BENCH_SCENARIOS_MAX);
    scenario->result = &fanout->results[fanout->result_count];
    scenario->engine_cpu = rig->engine_cpu;
    scenario->peer_cpu = rig->peer_cpu;
    *scenario->result = (struct bench_fanout_result){
        .own_lanes = rig->own_lanes, .token_bytes = rig->token_bytes, .io = rig->io};
    (void)fprintf(stderr, "%s lanes, bearer of %u bytes, %s ...\n",
        rig->own_lanes ? "own" : "shared", rig->token_bytes, rig->io);
    const enum ipc_rc rc = scenario_run(fanout, scenario, rig, seconds_left / (double)left, error);
    bench_floor_close(scenario->floor);
    bench_rig_close(&scenario->rig);
    free(scenario);
    fanout->result_count += rc == IPC_OK;
    return rc;
}

enum ipc_rc bench_fanout_run(struct bench_fanout *fanout, struct ipc_error *error)
{
    struct bench_fanout_options *options = &fanout->options;
    struct bench_rig_options todo[BENCH_SCENARIOS_MAX];
    uint32_t count = 0;
    static const char *const ios[] = {"uring", "epoll"};
    const uint32_t bearers[] = {options->bearer != 0 ? options->bearer : 64, 1100};
    enum ipc_rc rc = bench_choose_cpus(&options->engine_cpu, &options->peer_cpu, error);
    if (rc != IPC_OK)
        return rc;
    bench_machine_read(&fanout->machine);
    fanout->machine.is_alone = bench_alone(0, true, 1);
    (void)bench_alone(0, false, 0);
    fanout->results = calloc(BENCH_SCENARIOS_MAX, sizeof *fanout->results);
    LS_CHECK(fanout->results != NULL);
    for (uint32_t own = 0; own < 2; own++)
        for (uint32_t bearer = 0; bearer < (options->bearer != 0 ? 1u : 2u); bearer++)
            for (uint32_t io = 0; io < 2; io++)
                if (chosen(options->lanes, own ? "own" : "shared") && chosen(options->io, ios[io]))
                    todo[count++] = (struct bench_rig_options){.followers = options->followers,
                        .pool_connections = options->pool_connections,
                        .token_bytes = bearers[bearer],
                        .rounds = options->rounds,
                        .own_lanes = own != 0,
                        .io = ios[io],
                        .engine_cpu = options->engine_cpu,
                        .peer_cpu = options->peer_cpu,
                        .keep = options->keep};
    const int64_t start = ipc_clock_mono_ns();
    for (uint32_t i = 0; i < count && rc == IPC_OK; i++) {
        const double used = (double)(ipc_clock_mono_ns() - start) / 1e9;
        rc = run_one(fanout, &todo[i], count - i, options->seconds_max - used, error);
    }
    fanout->seconds = (double)(ipc_clock_mono_ns() - start) / 1e9;
    judge(fanout);
    return rc;
}
