/* lockstepctl metrics and top: what the processes of an instance count. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/ctl_common.h"
#include "ipc/clock.h"
#include "ipc/engine_page.h"
#include "ipc/metrics.h"
#include "ipc/waves.h"

#define PAGES_MAX 128u

struct pages {
    const struct ipc_shm *shm;
    struct ipc_metrics *page[PAGES_MAX];
    uint32_t count;
};

static bool open_page(const struct ipc_region_info *info, void *context)
{
    struct pages *pages = context;
    struct ipc_error error;
    if (info->is_temporary || strncmp(info->name, "metrics.", 8) != 0 || pages->count == PAGES_MAX)
        return true;
    if (ipc_metrics_open(pages->shm, info->name + 8, &pages->page[pages->count], &error) == IPC_OK)
        pages->count++;
    else
        fprintf(stderr, "lockstepctl: %s\n", error.text);
    return true;
}

static int pages_open(const struct ipc_shm *shm, struct pages *pages)
{
    struct ipc_error error;
    *pages = (struct pages){.shm = shm};
    if (ipc_region_list(shm, open_page, pages, &error) != IPC_OK)
        return ctl_refuse("%s", error.text);
    return CTL_DONE;
}

static void pages_close(struct pages *pages)
{
    for (uint32_t i = 0; i < pages->count; i++)
        ipc_metrics_close(pages->page[i]);
}

int ctl_metrics_main(const struct ctl_cli *cli, int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        puts(
            "Usage: lockstepctl metrics\n\n"
            "All counters, gauges and histograms of the instance's processes, in Prometheus' text\n"
            "format (0.0.4).");
        return CTL_DONE;
    }
    if (argc != 1)
        return ctl_usage("metrics", "takes no argument");
    struct ipc_shm shm;
    struct ipc_error error;
    struct pages pages;
    if (ipc_shm_open(&shm, NULL, cli->instance, false, &error) != IPC_OK)
        return ctl_refuse("%s", error.text);
    int code = pages_open(&shm, &pages);
    if (code == CTL_DONE) {
        const struct ipc_metrics *const *list = (const struct ipc_metrics *const *)pages.page;
        size_t bytes = ipc_metrics_render_prometheus(list, pages.count, NULL, 0) + 4096;
        char *text = malloc(bytes);
        LS_CHECK(text != NULL);
        ipc_metrics_render_prometheus(list, pages.count, text, bytes);
        fputs(text, stdout);
        free(text);
    }
    pages_close(&pages);
    ipc_shm_close(&shm);
    return code;
}

/* ---- top ------------------------------------------------------------------------------------- */

static void print_engines(const struct ipc_shm *shm)
{
    struct ipc_engine_status engines[IPC_ENGINE_SHARDS_MAX];
    uint32_t count = ipc_engine_list(shm, false, engines, IPC_ENGINE_SHARDS_MAX);
    int64_t now = ipc_clock_mono_ns();
    if (count == 0)
        puts("no engine has run in this instance yet");
    for (uint32_t i = 0; i < count; i++)
        printf("engine %-3u %-10s pid %-8" PRIu64 " heartbeat %" PRId64
               " ms ago, generation %" PRIu64 ", switches seen %" PRIu64 "%s%s\n",
            engines[i].shard,
            engines[i].live ? ipc_engine_state_name((enum ipc_engine_state)engines[i].state)
                            : "dead",
            engines[i].pid, (now - engines[i].heartbeat_mono_ns) / LS_NS_PER_MS,
            engines[i].adopted_generation, engines[i].switch_seen,
            engines[i].refused_generation > engines[i].adopted_generation ? "; refused: " : "",
            engines[i].refused_generation > engines[i].adopted_generation ? engines[i].refusal
                                                                          : "");
}

/* One metric's line: its name without what all names share, its labels, its value. */
static void print_one(enum ipc_metric_kind kind, const char *name, const char *help,
    const char *labels, const struct ipc_metric *metric, const struct ipc_hist *hist, void *context)
{
    static const char *const endings[] = {"_total", "_seconds"};
    const char *process = context;
    (void)help;
    char text[200];
    const char *from = strncmp(name, "lockstep_", 9) == 0 ? name + 9 : name;
    if (strncmp(from, process, strlen(process)) == 0 && from[strlen(process)] == '_')
        from += strlen(process) + 1;
    size_t length = strlen(from);
    for (size_t i = 0; i < LS_COUNT_OF(endings); i++) {
        size_t end = strlen(endings[i]);
        if (length > end && strcmp(from + length - end, endings[i]) == 0)
            length -= end;
    }
    snprintf(text, sizeof(text), "%.*s %s", (int)length, from, labels);
    if (kind == IPC_METRIC_HISTOGRAM) {
        if (ipc_hist_count(hist) == 0)
            return;
        printf("  %-42s %12" PRIu64 "  p50 %9.1f  p99 %9.1f  p99.9 %9.1f  max %9.1f us\n", text,
            ipc_hist_count(hist), (double)ipc_hist_percentile(hist, 500000) / 1000,
            (double)ipc_hist_percentile(hist, 990000) / 1000,
            (double)ipc_hist_percentile(hist, 999000) / 1000, (double)ipc_hist_max(hist) / 1000);
        return;
    }
    if (ipc_metric_get(metric) != 0)
        printf("  %-42s %12" PRId64 "\n", text, ipc_metric_get(metric));
}

/* The metrics of one process, with its name above and out of each line. */
static void print_page(const struct ipc_metrics *page)
{
    char process[48];
    ipc_metrics_process(page, process);
    puts(process);
    process[strcspn(process, ".")] = '\0';
    ipc_metrics_each(page, print_one, process);
}

static void print_waves(const struct ipc_shm *shm, uint32_t shard)
{
    struct ipc_waves waves;
    struct ipc_error error;
    if (ipc_waves_open(shm, shard, &waves, &error) != IPC_OK)
        return;
    uint64_t last = ipc_waves_last(&waves), first = last > 5 ? last - 4 : 1;
    for (uint64_t n = first; n <= last; n++) {
        struct ipc_wave_record r;
        if (ipc_waves_get(&waves, n, &r) != IPC_OK)
            continue;
        if (n == first)
            printf("waves of shard %u\n", shard);
        printf("  %-6" PRIu64
               " %u followers, %u sent, %u acked, %u skipped; first %.1f, median %.1f, "
               "last %.1f, replies %.1f us\n",
            r.wave, r.followers, r.sent, r.acked, r.skipped, (double)r.first_accepted_ns / 1000,
            (double)r.median_accepted_ns / 1000, (double)r.last_accepted_ns / 1000,
            (double)r.parsed_ns / 1000);
    }
    ipc_waves_close(&waves);
}

int ctl_top_main(const struct ctl_cli *cli, int argc, char **argv)
{
    bool once = !cli->color;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            puts("Usage: lockstepctl top [--once]\n\n"
                 "Engines, their counters and latencies, and the last waves; again every second on "
                 "a\n"
                 "terminal, until Ctrl-C.");
            return CTL_DONE;
        }
        if (strcmp(argv[i], "--once") != 0)
            return ctl_usage("top", "unknown option '%s'", argv[i]);
        once = true;
    }
    if (cli->json)
        return ctl_metrics_main(cli, 1, argv);
    struct ipc_shm shm;
    struct ipc_error error;
    if (ipc_shm_open(&shm, NULL, cli->instance, false, &error) != IPC_OK)
        return ctl_refuse("%s", error.text);
    int code = CTL_DONE;
    do {
        struct pages pages;
        if (!once)
            fputs("\033[H\033[2J", stdout);
        print_engines(&shm);
        code = pages_open(&shm, &pages);
        for (uint32_t i = 0; i < pages.count; i++)
            print_page(pages.page[i]);
        pages_close(&pages);
        for (uint32_t shard = 0; shard < IPC_ENGINE_SHARDS_MAX; shard++)
            print_waves(&shm, shard);
        fflush(stdout);
        if (!once)
            nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    } while (!once && code == CTL_DONE);
    ipc_shm_close(&shm);
    return code;
}
