/* metrics_render.c: pages as Prometheus text (exposition format 0.0.4). Nanoseconds are written as
 * seconds with nine decimals, so no float is needed. */
#include "ipc/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PAGES_MAX 256u

/* Text that counts what it needs and keeps what fits, in whole lines. */
struct text {
    char *out;
    size_t capacity;
    size_t kept;   /* bytes in out */
    size_t needed; /* bytes of the whole document */
    bool cut;      /* a line did not fit: nothing after it is kept */
};

static void line(struct text *text, const char *format, ...) LS_PRINTF(2, 3);

static void line(struct text *text, const char *format, ...)
{
    char buffer[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(buffer, sizeof(buffer), format, arguments);
    va_end(arguments);
    LS_CHECK(length >= 0 && (size_t)length < sizeof(buffer));
    size_t bytes = (size_t)length;
    text->needed += bytes;
    if (text->capacity == 0 || text->cut || bytes > text->capacity - 1 - text->kept) {
        text->cut = true;
        return;
    }
    memcpy(text->out + text->kept, buffer, bytes);
    text->kept += bytes;
}

/* One walk over the pages for one metric name. */
struct group {
    struct text *text;
    const char *name;
    char process[48];
    bool headed;
};

static void seconds(uint64_t ns, char out[32])
{
    (void)snprintf(
        out, 32, "%" PRIu64 ".%09" PRIu64, ns / UINT64_C(1000000000), ns % UINT64_C(1000000000));
}

/* Cumulative counts at powers of four from 256 ns to 4.3 s: the buckets' own ends, so exact. */
static void render_hist(
    const struct group *group, const char *labels, const char *comma, const struct ipc_hist *hist)
{
    char at[32];
    uint64_t below = 0;
    uint32_t next = 0;
    for (uint32_t bits = 8; bits <= 32; bits += 2) {
        uint64_t top = (UINT64_C(1) << bits) - 1;
        for (; next < IPC_HIST_BUCKETS && ipc_hist_bucket_top(next) <= top; next++)
            below += atomic_load_explicit(&hist->buckets[next], memory_order_relaxed);
        seconds(top, at);
        line(group->text, "%s_bucket{process=\"%s\"%s%s,le=\"%s\"} %" PRIu64 "\n", group->name,
            group->process, comma, labels, at, below);
    }
    for (; next < IPC_HIST_BUCKETS; next++)
        below += atomic_load_explicit(&hist->buckets[next], memory_order_relaxed);
    line(group->text, "%s_bucket{process=\"%s\"%s%s,le=\"+Inf\"} %" PRIu64 "\n", group->name,
        group->process, comma, labels, below);
    seconds(ipc_hist_sum(hist), at);
    line(group->text, "%s_sum{process=\"%s\"%s%s} %s\n", group->name, group->process, comma, labels,
        at);
    /* The buckets' sum, not the counter: the format demands that it equals +Inf. */
    line(group->text, "%s_count{process=\"%s\"%s%s} %" PRIu64 "\n", group->name, group->process,
        comma, labels, below);
}

static const char *kind_text(enum ipc_metric_kind kind)
{
    switch (kind) {
#define X(name, value, text)                                                                       \
    case name:                                                                                     \
        return text;
        IPC_METRIC_KIND_LIST(X)
#undef X
    }
    return "untyped";
}

static void see_sample(enum ipc_metric_kind kind, const char *name, const char *help,
    const char *labels, const struct ipc_metric *metric, const struct ipc_hist *hist, void *context)
{
    struct group *group = context;
    if (strcmp(name, group->name) != 0)
        return;
    if (!group->headed) {
        line(group->text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind_text(kind));
        group->headed = true;
    }
    const char *comma = labels[0] ? "," : "";
    if (hist) {
        render_hist(group, labels, comma, hist);
    } else {
        line(group->text, "%s{process=\"%s\"%s%s} %" PRId64 "\n", name, group->process, comma,
            labels, ipc_metric_get(metric));
    }
}

struct render {
    struct text text;
    const struct ipc_metrics *const *pages;
    uint32_t page_count;
    uint32_t page; /* being walked for names */
    char last[IPC_METRIC_NAME_BYTES];
};

struct earlier {
    const char *name;
    const struct ipc_metric *before_metric;
    const struct ipc_hist *before_hist;
    bool found, reached;
};

/* Was this name seen before this very sample in this page? */
static void see_earlier(enum ipc_metric_kind kind, const char *name, const char *help,
    const char *labels, const struct ipc_metric *metric, const struct ipc_hist *hist, void *context)
{
    (void)kind;
    (void)help;
    (void)labels;
    struct earlier *earlier = context;
    if (metric == earlier->before_metric && hist == earlier->before_hist)
        earlier->reached = true;
    if (!earlier->reached && strcmp(name, earlier->name) == 0)
        earlier->found = true;
}

/* Renders a whole group at the first sample of its name in the first page that has it. */
static void see_name(enum ipc_metric_kind kind, const char *name, const char *help,
    const char *labels, const struct ipc_metric *metric, const struct ipc_hist *hist, void *context)
{
    (void)kind;
    (void)help;
    (void)labels;
    struct render *render = context;
    for (uint32_t i = 0; i < render->page; i++) {
        if (ipc_metrics_find(render->pages[i], name, NULL) ||
            ipc_metrics_find_hist(render->pages[i], name, NULL))
            return;
    }
    struct earlier earlier = {.name = name, .before_metric = metric, .before_hist = hist};
    ipc_metrics_each(render->pages[render->page], see_earlier, &earlier);
    if (earlier.found)
        return;
    (void)snprintf(render->last, sizeof(render->last), "%s", name);
    struct group group = {.text = &render->text, .name = render->last};
    for (uint32_t i = render->page; i < render->page_count; i++) {
        ipc_metrics_process(render->pages[i], group.process);
        ipc_metrics_each(render->pages[i], see_sample, &group);
    }
}

size_t ipc_metrics_render_prometheus(
    const struct ipc_metrics *const *pages, uint32_t count, char *out, size_t capacity)
{
    LS_CHECK(count <= PAGES_MAX);
    struct render render = {
        .text = {.out = out, .capacity = capacity}, .pages = pages, .page_count = count};
    for (render.page = 0; render.page < count; render.page++)
        ipc_metrics_each(pages[render.page], see_name, &render);
    if (capacity > 0)
        out[render.text.kept] = 0;
    return render.text.needed;
}
