#include "bench/load.h"

#include "bench/rig.h"
#include "ipc/clock.h"
#include "ipc/hist.h"
#include "ipc/ring.h"
#include "ipc/tag.h"

#include <string.h>
#include <time.h>

#define LEAD_NS    (200 * LS_NS_PER_MS)
#define FINISH_NS  (20 * LS_NS_PER_S) /* after the last event */
#define LAG_SHARE  0.05               /* of the median, at p99: more is noise */
#define BEHIND_NS  (5 * LS_NS_PER_MS) /* the exit comes so long after the wave */
#define RESTART_NS (30 * LS_NS_PER_S)

static void nap(int64_t ns)
{
    const struct timespec time = {ns / LS_NS_PER_S, ns % LS_NS_PER_S};
    (void)nanosleep(&time, NULL);
}

static double percentile_us(const struct ipc_hist *hist, uint32_t per_million)
{
    return (double)ipc_hist_percentile(hist, per_million) / 1e3;
}

/* Resident memory of the engine. */
static double resident_mib(const struct bench_rig *rig)
{
    char path[64], line[128];
    unsigned long long kib = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)rig->engine);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "VmRSS: %llu", &kib) == 1)
            break;
    if (file != NULL)
        (void)fclose(file);
    return (double)kib / 1024;
}

static struct bench_rig_options rig_options(const struct bench_load_options *options)
{
    return (struct bench_rig_options){.followers = options->followers,
        .pool_connections = options->pool_connections,
        .token_bytes = 64,
        .io = options->io,
        .engine_cpu = options->engine_cpu,
        .peer_cpu = options->peer_cpu,
        .keep = options->keep};
}

/* ---- many events ----------------------------------------------------------------------------- */

/* What a series of waves was like; times from the intended time of each event. */
struct tally {
    struct ipc_hist lag, first, last, parsed;
    uint64_t waves, acked, sent, sends, records, queued;
    double early_mib, late_mib; /* the engine's memory after a tenth, and at the end */
};

static enum ipc_rc wrong(
    const struct tally *tally, uint64_t waves, uint32_t followers, struct ipc_error *error)
{
    if (tally->waves == waves && tally->acked == waves * followers && tally->sent == tally->acked)
        return IPC_OK;
    ipc_error_set(error,
        "of %llu events for %u followers %llu became waves, with %llu orders sent and %llu "
        "acknowledged",
        (unsigned long long)waves, followers, (unsigned long long)tally->waves,
        (unsigned long long)tally->sent, (unsigned long long)tally->acked);
    return IPC_SYSTEM;
}

static void tally_add(struct tally *tally, const struct ipc_wave_record *record, int64_t lag_ns)
{
    tally->waves++;
    tally->sent += record->sent;
    tally->acked += record->acked;
    tally->sends += record->sends;
    tally->records += record->records;
    tally->queued += record->queued;
    ipc_hist_record(&tally->lag, lag_ns);
    ipc_hist_record(&tally->first, record->first_accepted_ns + lag_ns);
    ipc_hist_record(&tally->last, record->last_accepted_ns + lag_ns);
    ipc_hist_record(&tally->parsed, record->parsed_ns + lag_ns);
}

/* Publishes the series and takes every wave's record. A wave is finished when its last reply is
 * parsed, so records may come in another order than events: each names when its event was
 * published, and what was intended for it follows from that. */
static enum ipc_rc series_run(struct bench_rig *rig, const struct bench_load_options *options,
    struct tally *tally, struct ipc_error *error)
{
    const uint32_t count = (uint32_t)(options->events_a_second * options->seconds);
    const int64_t interval_ns = LS_NS_PER_S / options->events_a_second;
    const int64_t start_ns = ipc_clock_mono_ns() + LEAD_NS;
    const int64_t until_ns = start_ns + count * interval_ns + FINISH_NS;
    struct ipc_wave_record record;
    bench_peer_spin(rig->peer.page, true);
    bench_rig_series(rig, count, start_ns, interval_ns);
    while (tally->waves < count && ipc_clock_mono_ns() < until_ns) {
        const enum ipc_rc rc = bench_rig_record(rig, &record);
        if (rc == IPC_STALE) {
            ipc_error_set(error, "wave records were overwritten before they were read");
            return rc;
        }
        if (rc == IPC_EMPTY) {
            if (!bench_rig_alive(rig)) {
                ipc_error_set(error, "lockstep-engine ended under load");
                return IPC_SYSTEM;
            }
            nap(LS_NS_PER_MS);
            continue;
        }
        const int64_t since_ns = record.published_mono_ns - start_ns;
        tally_add(tally, &record, since_ns % interval_ns);
        if (tally->waves == count / 10)
            tally->early_mib = resident_mib(rig);
    }
    tally->late_mib = resident_mib(rig);
    bench_peer_spin(rig->peer.page, false);
    return wrong(tally, count, options->followers, error);
}

static json_t *series_row(const struct bench_load_options *options, const struct tally *tally,
    const char *what, double waited_us)
{
    const double waves = tally->waves > 0 ? (double)tally->waves : 1;
    return json_pack("{s:s, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}",
        "what", what, "followers", (int)options->followers, "orders_a_second",
        (double)options->events_a_second * options->followers, "first_p50_us",
        percentile_us(&tally->first, 500000), "first_p99.9_us",
        percentile_us(&tally->first, 999000), "last_p50_us", percentile_us(&tally->last, 500000),
        "last_p99_us", percentile_us(&tally->last, 990000), "last_p99.9_us",
        percentile_us(&tally->last, 999000), "late_p99_us", percentile_us(&tally->lag, 990000),
        "sends_each", (double)tally->sends / waves, "records_each", (double)tally->records / waves,
        "engine_mib", tally->late_mib, "grew_mib", tally->late_mib - tally->early_mib,
        "exit_waited_us", waited_us);
}

static void doubt_lag(struct bench_report *report, const struct tally *tally)
{
    const double lag = percentile_us(&tally->lag, 990000);
    if (lag > LAG_SHARE * percentile_us(&tally->last, 500000))
        bench_report_doubt(report, "events were published up to %.0f us late (p99)", lag);
}

static enum ipc_rc series_measure(const struct bench_load_options *options, bool simulator,
    const char *what, struct bench_report *report, struct ipc_error *error)
{
    static struct bench_rig rig;
    static struct tally tally;
    struct bench_rig_options of = rig_options(options);
    of.rounds = (uint32_t)(options->events_a_second * options->seconds) + 16;
    of.simulator = simulator;
    memset(&tally, 0, sizeof tally);
    (void)fprintf(stderr, "%s: %u events a second for %u followers, %.0f s ...\n", what,
        options->events_a_second, options->followers, options->seconds);
    enum ipc_rc rc = bench_rig_open(&rig, &of, error);
    if (rc == IPC_OK)
        rc = series_run(&rig, options, &tally, error);
    bench_rig_close(&rig);
    if (rc != IPC_OK)
        return rc;
    doubt_lag(report, &tally);
    bench_report_add(report, series_row(options, &tally, what, 0));
    return IPC_OK;
}

enum ipc_rc bench_burst_run(
    const struct bench_load_options *asked, struct bench_report *report, struct ipc_error *error)
{
    struct bench_load_options options = *asked;
    enum ipc_rc rc = bench_choose_cpus(&options.engine_cpu, &options.peer_cpu, error);
    if (rc == IPC_OK && options.events_a_second * options.seconds > BENCH_SERIES_MAX) {
        ipc_error_set(error, "%u events a second for %.0f s are more than %u: give fewer --seconds",
            options.events_a_second, options.seconds, BENCH_SERIES_MAX);
        rc = IPC_REFUSED;
    }
    (void)snprintf(report->remark, sizeof report->remark,
        "From the intended time of each event to its first and last order accepted by the kernel; "
        "every order acknowledged by the peer and counted. late: publication behind its time.");
    return rc == IPC_OK ? series_measure(&options, false, "burst", report, error) : rc;
}

/* ---- an exit behind a long wave -------------------------------------------------------------- */

/* The second master holds 10, and so does its follower: one filled order of each. */
static enum ipc_rc hold(struct bench_rig *rig, struct ipc_error *error)
{
    const uint32_t master = rig->options.followers + 2, number = rig->options.followers + 1;
    struct ipc_ring_name name = {.producer = "updates", .ring_class = IPC_RING_UPDATES};
    struct ipc_ring_producer ring;
    struct ipc_wave_record record;
    struct ipc_event event = bench_rig_event(rig, master);
    event.status = IPC_STATUS_FILLED;
    event.filled_qty_e8 = event.qty_e8;
    event.average_price_e8 = event.price_e8;
    event.event_key = ipc_event_key(&event);
    enum ipc_rc rc = bench_rig_publish(rig, &event, &record, error);
    if (rc != IPC_OK || record.acked != 1) {
        if (rc == IPC_OK)
            ipc_error_set(error, "the second master's follower got no order");
        return rc == IPC_OK ? IPC_SYSTEM : rc;
    }
    struct ipc_event fill = event;
    const struct ipc_tag_parts tag = {event.order_digits, number, 0};
    bench_rig_identify(&fill, master + 1, "000000000000001"); /* the peer counts its orders */
    fill.flags = IPC_EVENT_OWN_TAG;
    fill.received_mono_ns = fill.published_mono_ns = ipc_clock_mono_ns();
    ipc_tag_compose(&tag, fill.client_tag);
    fill.event_key = ipc_event_key(&fill);
    rc = ipc_ring_create(&rig->shm, &name, 1024, error);
    if (rc == IPC_OK)
        rc = ipc_ring_attach_producer(&rig->shm, &name, &ring, error);
    if (rc != IPC_OK)
        return rc;
    nap(300 * LS_NS_PER_MS); /* the engine finds the ring */
    rc = ipc_ring_offer(&ring, &fill, sizeof fill, NULL);
    nap(100 * LS_NS_PER_MS);
    ipc_ring_detach_producer(&ring);
    return rc;
}

/* A new order of the first master, and 5 ms later the second one's exit. */
static enum ipc_rc exit_behind(struct bench_rig *rig, struct ipc_wave_record *wave,
    struct ipc_wave_record *exit, struct ipc_error *error)
{
    struct bench_peer_page *page = rig->peer.page;
    struct ipc_wave_record record;
    const int64_t start_ns = ipc_clock_mono_ns() + LEAD_NS;
    uint32_t seen = 0;
    bench_rig_series(rig, 1, start_ns, BEHIND_NS);
    page->series[1] = bench_rig_event(rig, rig->options.followers + 2);
    page->series[1].side = IPC_SIDE_SELL;
    page->series[1].event_key = ipc_event_key(&page->series[1]);
    bench_peer_spin(page, true);
    atomic_store_explicit(&page->series_count, 2, memory_order_release);
    while (seen < 2 && ipc_clock_mono_ns() < start_ns + FINISH_NS) {
        if (bench_rig_record(rig, &record) != IPC_OK) {
            nap(LS_NS_PER_MS);
            continue;
        }
        *(record.master == 1 ? wave : exit) = record;
        seen++;
    }
    bench_peer_spin(page, false);
    if (seen == 2 && exit->is_exit && exit->acked == 1 && wave->acked == rig->options.followers)
        return IPC_OK;
    ipc_error_set(error,
        "behind a wave of %u followers (%u acknowledged) the exit came to %u orders of %u waves",
        rig->options.followers, wave->acked, exit->acked, seen);
    return IPC_SYSTEM;
}

static enum ipc_rc behind_measure(
    const struct bench_load_options *options, struct bench_report *report, struct ipc_error *error)
{
    static struct bench_rig rig;
    static struct tally tally;
    struct bench_load_options here = *options;
    struct ipc_wave_record wave = {0}, exit = {0};
    here.followers = options->behind_followers;
    here.events_a_second = 1;
    struct bench_rig_options of = rig_options(&here);
    of.rounds = 16;
    of.second_master = true;
    memset(&tally, 0, sizeof tally);
    (void)fprintf(stderr, "an exit behind a wave of %u followers ...\n", here.followers);
    enum ipc_rc rc = bench_rig_open(&rig, &of, error);
    if (rc == IPC_OK)
        rc = hold(&rig, error);
    if (rc == IPC_OK)
        rc = exit_behind(&rig, &wave, &exit, error);
    if (rc == IPC_OK)
        tally_add(&tally, &wave, 0);
    tally.late_mib = tally.early_mib = resident_mib(&rig);
    bench_rig_close(&rig);
    if (rc == IPC_OK)
        bench_report_add(
            report, series_row(&here, &tally, "exit behind", (double)exit.first_accepted_ns / 1e3));
    return rc;
}

enum ipc_rc bench_sustained_run(
    const struct bench_load_options *asked, struct bench_report *report, struct ipc_error *error)
{
    struct bench_load_options options = *asked;
    enum ipc_rc rc = bench_choose_cpus(&options.engine_cpu, &options.peer_cpu, error);
    if (rc == IPC_OK && options.behind_followers > 0)
        rc = behind_measure(&options, report, error);
    if (rc == IPC_OK)
        rc = series_measure(&options, true, "simulator", report, error);
    (void)snprintf(report->remark, sizeof report->remark,
        "simulator: through lockstep-brokersim, which shares a processor with the publisher; "
        "pacing and its rate limits off. exit behind: one wave of so many followers into the peer, "
        "and an exit of another master 5 ms later; waited: until the kernel had the exit's bytes.");
    return rc;
}

/* ---- after a death --------------------------------------------------------------------------- */

/* Kills the engine between two waves, publishes an order, starts it again: until the peer has the
 * first order of that wave, and all of them. Nothing may come twice. */
static enum ipc_rc restart_once(struct bench_rig *rig, uint64_t *orders_before, double *first_ms,
    double *all_ms, struct ipc_error *error)
{
    struct bench_peer_page *page = rig->peer.page;
    const uint32_t followers = rig->options.followers;
    const int64_t killed_ns = ipc_clock_mono_ns();
    bench_rig_kill_engine(rig);
    bench_peer_spin(page, true);
    bench_rig_series(rig, 1, ipc_clock_mono_ns(), LS_NS_PER_S);
    enum ipc_rc rc = bench_rig_start_engine(rig, error);
    *first_ms = *all_ms = 0;
    while (rc == IPC_OK && *all_ms == 0) {
        const uint64_t orders = atomic_load_explicit(&page->orders, memory_order_acquire);
        const int64_t now_ns = ipc_clock_mono_ns();
        if (orders > *orders_before && *first_ms == 0)
            *first_ms = (double)(now_ns - killed_ns) / 1e6;
        if (orders >= *orders_before + followers)
            *all_ms = (double)(now_ns - killed_ns) / 1e6;
        if (now_ns - killed_ns > RESTART_NS || !bench_rig_alive(rig)) {
            ipc_error_set(error, "after a kill %llu of %u orders came",
                (unsigned long long)(orders - *orders_before), followers);
            rc = IPC_SYSTEM;
        }
        nap(LS_NS_PER_MS / 2);
    }
    nap(500 * LS_NS_PER_MS); /* what would be repeated comes now */
    bench_peer_spin(page, false);
    const uint64_t orders = atomic_load_explicit(&page->orders, memory_order_acquire);
    if (rc == IPC_OK && orders != *orders_before + followers) {
        ipc_error_set(error, "after a kill %llu orders came for %u followers",
            (unsigned long long)(orders - *orders_before), followers);
        rc = IPC_SYSTEM;
    }
    *orders_before = orders;
    return rc;
}

enum ipc_rc bench_restart_run(
    const struct bench_load_options *asked, struct bench_report *report, struct ipc_error *error)
{
    static struct bench_rig rig;
    struct bench_load_options options = *asked;
    struct ipc_wave_record record;
    int64_t lag_ns;
    enum ipc_rc rc = bench_choose_cpus(&options.engine_cpu, &options.peer_cpu, error);
    if (rc != IPC_OK)
        return rc;
    struct bench_rig_options of = rig_options(&options);
    of.rounds = options.kills + 8;
    (void)fprintf(stderr, "%u followers, %u kills ...\n", options.followers, options.kills);
    rc = bench_rig_open(&rig, &of, error);
    for (uint32_t i = 0; i < 2 && rc == IPC_OK; i++)
        rc =
            bench_rig_round(&rig, ipc_clock_mono_ns() + 10 * LS_NS_PER_MS, &record, &lag_ns, error);
    nap(500 * LS_NS_PER_MS);
    uint64_t orders = rig.peer.page != NULL
                          ? atomic_load_explicit(&rig.peer.page->orders, memory_order_acquire)
                          : 0;
    for (uint32_t i = 0; i < options.kills && rc == IPC_OK; i++) {
        double first_ms = 0, all_ms = 0;
        rc = restart_once(&rig, &orders, &first_ms, &all_ms, error);
        if (rc == IPC_OK)
            bench_report_add(report, json_pack("{s:i, s:i, s:f, s:f, s:f}", "kill", (int)i + 1,
                                         "followers", (int)options.followers, "first_order_ms",
                                         first_ms, "all_orders_ms", all_ms, "budget_ms", 1000.0));
    }
    bench_rig_close(&rig);
    (void)snprintf(report->remark, sizeof report->remark,
        "From SIGKILL to the first and the last order of the wave that was published meanwhile, at "
        "the peer. Each follower got each order once; the journal has all orders since the start.");
    return rc;
}
