#include "bench/stages.h"

#include "bench/instructions.h"
#include "bench/stats.h"
#include "bench/work.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CASES_MAX       16u
#define PLAN_BUDGET_NS  25.0
#define JOURNAL_BUDGET  15.0 /* percent of a wave */
#define DOUBLING_BUDGET 2.1

/* What one child measured; medians over its waves, nanoseconds a follower unless named else. */
struct figures {
    double plan_ns, journal_ns, apply_ns, encode_ns, seal_ns;
    double wave_us, first_us; /* plan, journal, apply, encode and seal of one wave */
    double instructions;      /* of plan; -1 = could not be counted */
    double adopt_ms, adopt_swap_ms, change_publish_ms, change_adopt_ms, change_swap_ms;
    double bytes_a_follower;
    double batches, records;
    uint32_t waves;
    bool is_good;
    char sentence[256];
};

struct one_case {
    struct bench_work_options work;
    uint32_t waves, warm;
    bool counts_instructions, changes;
    uint32_t shards; /* 2 = two children at once, half of the followers each */
};

/* Private memory; the journal and the published snapshot are shared. */
static double resident_bytes(void)
{
    unsigned long long kib = 0;
    char line[128];
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "RssAnon: %llu", &kib) == 1)
            break;
    if (file != NULL)
        (void)fclose(file);
    return (double)kib * 1024;
}

static void plan_once(void *work)
{
    (void)bench_work_plan_first(work);
}

/* Instructions a follower of one whole batch: the first four are 4, 8, 16 and 32 followers. */
static double plan_instructions(struct bench_work *work)
{
    bench_work_order(work);
    const uint32_t count = bench_work_plan_first(work);
    const int64_t steps = bench_instructions(plan_once, work, 200000);
    return steps < 0 || count == 0 ? -1 : (double)steps / count;
}

static void measure_waves(
    struct bench_work *work, const struct one_case *what, struct figures *figures)
{
    static struct bench_series plan, journal, apply, encode, seal, wave, first;
    struct bench_work_cost cost = {0};
    const struct ipc_clock *clock = bench_work_clock(work);
    for (uint32_t i = 0; i < what->warm + what->waves; i++) {
        bench_work_wave(work, &cost);
        if (i < what->warm)
            continue;
        const double each = what->work.followers;
        const uint64_t all = cost.plan + cost.journal + cost.apply + cost.encode + cost.seal;
        bench_series_add(&plan, (double)ipc_clock_ticks_to_ns(clock, cost.plan) / each);
        bench_series_add(&journal, (double)ipc_clock_ticks_to_ns(clock, cost.journal) / each);
        bench_series_add(&apply, (double)ipc_clock_ticks_to_ns(clock, cost.apply) / each);
        bench_series_add(&encode, (double)ipc_clock_ticks_to_ns(clock, cost.encode) / each);
        bench_series_add(&seal, (double)ipc_clock_ticks_to_ns(clock, cost.seal) / each);
        bench_series_add(&wave, (double)ipc_clock_ticks_to_ns(clock, all) / 1e3);
        bench_series_add(&first, (double)ipc_clock_ticks_to_ns(clock, cost.first) / 1e3);
    }
    figures->plan_ns = bench_summarize(&plan).p50;
    figures->journal_ns = bench_summarize(&journal).p50;
    figures->apply_ns = bench_summarize(&apply).p50;
    figures->encode_ns = bench_summarize(&encode).p50;
    figures->seal_ns = bench_summarize(&seal).p50;
    figures->wave_us = bench_summarize(&wave).p50;
    figures->first_us = bench_summarize(&first).p50;
    figures->batches = cost.batches;
    figures->records = (double)cost.records;
    figures->waves = what->waves;
}

static enum ipc_rc measure_change(
    struct bench_work *work, struct figures *figures, struct ipc_error *error)
{
    int64_t publish_ns = 0, prepare_ns = 0, swap_ns = 0;
    enum ipc_rc rc = bench_work_change(work, &publish_ns, error);
    if (rc == IPC_OK)
        rc = bench_work_adopt(work, &prepare_ns, &swap_ns, error);
    figures->change_publish_ms = (double)publish_ns / 1e6;
    figures->change_adopt_ms = (double)prepare_ns / 1e6;
    figures->change_swap_ms = (double)swap_ns / 1e6;
    return rc;
}

/* In the child. */
static void measure(const struct one_case *what, struct figures *figures)
{
    struct ipc_error error = {{0}};
    struct bench_work *work = NULL;
    int64_t prepare_ns = 0, swap_ns = 0;
    const double before = resident_bytes();
    enum ipc_rc rc = bench_work_open(&work, &what->work, &error);
    if (rc == IPC_OK)
        rc = bench_work_adopt(work, &prepare_ns, &swap_ns, &error);
    figures->adopt_ms = (double)prepare_ns / 1e6;
    figures->adopt_swap_ms = (double)swap_ns / 1e6;
    if (rc == IPC_OK)
        measure_waves(work, what, figures);
    figures->instructions =
        rc == IPC_OK && what->counts_instructions ? plan_instructions(work) : -1;
    if (rc == IPC_OK && what->changes)
        rc = measure_change(work, figures, &error);
    if (rc == IPC_OK && what->changes) /* the second one: image and chunks are warm */
        rc = measure_change(work, figures, &error);
    /* Now each table has been touched, and those of two generations where one has changed. */
    if (rc == IPC_OK)
        figures->bytes_a_follower =
            (resident_bytes() - before - bench_work_own_bytes(work)) / what->work.followers;
    (void)snprintf(figures->sentence, sizeof figures->sentence, "%.250s", error.text);
    bench_work_close(work);
    figures->is_good = rc == IPC_OK;
}

/* Runs a case in as many children as it has shards. */
static enum ipc_rc run_case(const struct one_case *what, const int cpus[2],
    struct figures figures[2], struct ipc_error *error)
{
    struct figures *shared =
        mmap(NULL, 2 * sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    LS_CHECK(shared != MAP_FAILED);
    pid_t child[2] = {-1, -1};
    enum ipc_rc rc = IPC_OK;
    (void)fprintf(stderr, "%u followers%s%s ...\n", what->work.followers * what->shards,
        what->work.mixed ? ", mixed" : "", what->shards == 2 ? ", two shards" : "");
    for (uint32_t i = 0; i < what->shards; i++) {
        const pid_t parent = getpid();
        child[i] = fork();
        if (child[i] != 0)
            continue;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent && bench_run_on(cpus[i]))
            measure(what, &shared[i]);
        _exit(0);
    }
    for (uint32_t i = 0; i < what->shards; i++) {
        int status = 0;
        const bool ended = child[i] > 0 && waitpid(child[i], &status, 0) == child[i];
        if (ended && shared[i].is_good)
            continue;
        rc = IPC_SYSTEM;
        if (ended && WIFSIGNALED(status))
            ipc_error_set(error, "a case of %u followers ended with signal %d (memory?)",
                what->work.followers, WTERMSIG(status));
        else
            ipc_error_set(error, "a case of %u followers failed: %s", what->work.followers,
                shared[i].sentence);
    }
    memcpy(figures, shared, 2 * sizeof *shared);
    (void)munmap(shared, 2 * sizeof *shared);
    return rc;
}

static enum ipc_rc choose(
    const struct bench_stages_options *options, int cpus[2], struct ipc_error *error)
{
    cpus[0] = options->cpu;
    cpus[1] = options->other_cpu;
    return bench_choose_cpus(&cpus[0], &cpus[1], error);
}

/* Fewer waves where each is long: some twenty million followers in all, at most. */
static uint32_t waves_for(const struct bench_stages_options *options, uint32_t followers)
{
    const uint32_t most = 4000000 / followers;
    return most < 3 ? 3 : most > options->rounds ? options->rounds : most;
}

/* ---- plan ------------------------------------------------------------------------------------ */

enum ipc_rc bench_plan_run(const struct bench_stages_options *options, struct bench_report *report,
    struct ipc_error *error)
{
    static const uint32_t sizes[] = {500, 5000, 50000, 200000, 1000000};
    int cpus[2];
    enum ipc_rc rc = choose(options, cpus, error);
    for (uint32_t i = 0; i < 2 * LS_COUNT_OF(sizes) && rc == IPC_OK; i++) {
        const uint32_t followers = sizes[i / 2];
        struct figures figures[2];
        if (followers > options->followers_max)
            break;
        const struct one_case what = {.work = {.followers = followers,
                                          .waves = waves_for(options, followers) + 4,
                                          .token_bytes = 64,
                                          .mixed = i % 2 == 1},
            .waves = waves_for(options, followers),
            .warm = 2,
            .counts_instructions = true,
            .shards = 1};
        rc = run_case(&what, cpus, figures, error);
        if (rc == IPC_OK)
            bench_report_add(report,
                json_pack("{s:i, s:s, s:f, s:f, s:f, s:f}", "followers", (int)followers, "rows",
                    what.work.mixed ? "mixed" : "plain", "plan_ns", figures[0].plan_ns,
                    "instructions", figures[0].instructions, "apply_ns", figures[0].apply_ns,
                    "budget_ns", what.work.mixed ? 0.0 : PLAN_BUDGET_NS));
    }
    (void)snprintf(report->remark, sizeof report->remark,
        "A follower's part, median over waves; a new order, all followers due. Instructions: of "
        "the first batch of four, single-stepped, memcpy and memset included. The budget is for "
        "plain rows in cache.");
    return rc;
}

/* ---- journal --------------------------------------------------------------------------------- */

enum ipc_rc bench_journal_run(const struct bench_stages_options *options,
    struct bench_report *report, struct ipc_error *error)
{
    static const uint32_t sizes[] = {500, 5000};
    int cpus[2];
    enum ipc_rc rc = choose(options, cpus, error);
    for (uint32_t i = 0; i < 2 * LS_COUNT_OF(sizes) && rc == IPC_OK; i++) {
        const bool is_power = i % 2 == 1;
        struct figures figures[2];
        const struct one_case what = {.work = {.followers = sizes[i / 2],
                                          .connections = 8,
                                          .token_bytes = 64,
                                          .waves = 64,
                                          .journal = true,
                                          .tier = is_power ? ENG_TIER_POWER : ENG_TIER_PROCESS},
            .waves = 40,
            .warm = 8,
            .shards = 1};
        rc = run_case(&what, cpus, figures, error);
        if (rc == IPC_OK)
            bench_report_add(report,
                json_pack("{s:i, s:s, s:f, s:f, s:f, s:f}", "followers", (int)what.work.followers,
                    "tier", is_power ? "power" : "process", "wave_us", figures[0].wave_us,
                    "journal_us", figures[0].journal_ns * what.work.followers / 1e3, "percent",
                    100 * figures[0].journal_ns * what.work.followers / 1e3 / figures[0].wave_us,
                    "budget_percent", is_power ? 0.0 : JOURNAL_BUDGET));
    }
    (void)snprintf(report->remark, sizeof report->remark,
        "Wave: plan, journal, apply, encode and seal into a sink; no system call of a send in it, "
        "so the journal's part is larger here than in an engine. Power: each batch waits until the "
        "disk has its frame.");
    return rc;
}

/* ---- scale ----------------------------------------------------------------------------------- */

static json_t *scale_row(
    const struct one_case *what, const struct figures *figures, double doubling)
{
    double wave_us = figures[0].wave_us;
    if (what->shards == 2 && figures[1].wave_us > wave_us)
        wave_us = figures[1].wave_us;
    return json_pack("{s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}",
        "followers", (int)(what->work.followers * what->shards), "shards", (int)what->shards,
        "wave_ms", wave_us / 1e3, "ns_each", wave_us * 1e3 / what->work.followers / what->shards,
        "per_doubling", doubling, "plan_ns", figures[0].plan_ns, "journal_ns",
        figures[0].journal_ns, "apply_ns", figures[0].apply_ns, "encode_ns", figures[0].encode_ns,
        "seal_ns", figures[0].seal_ns, "bytes_each", figures[0].bytes_a_follower, "adopt_ms",
        figures[0].adopt_ms + figures[0].adopt_swap_ms, "one_row_ms",
        figures[0].change_adopt_ms + figures[0].change_swap_ms, "pinned_ms",
        figures[0].change_swap_ms);
}

enum ipc_rc bench_scale_run(const struct bench_stages_options *options, struct bench_report *report,
    struct ipc_error *error)
{
    static const uint32_t sizes[] = {
        1000, 10000, 20000, 40000, 80000, 160000, 320000, 640000, 1000000, 1000000};
    double last_us = 0;
    uint32_t last = 0;
    int cpus[2];
    enum ipc_rc rc = choose(options, cpus, error);
    for (uint32_t i = 0; i < LS_COUNT_OF(sizes) && rc == IPC_OK; i++) {
        const uint32_t shards = i > 0 && sizes[i] == sizes[i - 1] ? 2 : 1;
        const uint32_t waves = waves_for(options, sizes[i] * 4);
        struct figures figures[2];
        if (sizes[i] > options->followers_max)
            break;
        const struct one_case what = {.work = {.followers = sizes[i] / shards,
                                          .connections = 8,
                                          .token_bytes = 64,
                                          .waves = waves + 4,
                                          .journal = true},
            .waves = waves,
            .warm = 2,
            .changes = shards == 1,
            .shards = shards};
        rc = run_case(&what, cpus, figures, error);
        if (rc != IPC_OK)
            break;
        /* Growth per doubling: the ratio of two sizes, as if it had come in equal doublings. */
        double doubling = 0;
        if (last != 0 && shards == 1)
            doubling = bench_growth(last, last_us, sizes[i], figures[0].wave_us);
        if (last >= 10000 && doubling > DOUBLING_BUDGET)
            bench_report_doubt(
                report, "%u to %u followers grew %.2f x per doubling", last, sizes[i], doubling);
        bench_report_add(report, scale_row(&what, figures, doubling));
        last = sizes[i];
        last_us = figures[0].wave_us;
    }
    (void)snprintf(report->remark, sizeof report->remark,
        "plan + journal + apply + encode + seal into a sink over 8 connections, bearer of 64 "
        "bytes, median wave; budget per doubling 2.1. bytes_each: resident memory of process and "
        "adopted snapshot without the day's orders (budget 2,048 and the token). one_row: one "
        "changed row, from published to in force; pinned: the part on the pinned thread.");
    return rc;
}
