/* metrics.h: a process's counters, gauges and histograms, in a page that others can read.
 *
 * File `metrics.<process>`. The process registers each metric once, at start-up, with name, help
 * text and a fixed label set, and gets a handle whose value lies on a line of its own. Each handle
 * has one writing thread. The page stays after the process ends, until the next one of that name
 * replaces it. */
#ifndef LS_IPC_METRICS_H
#define LS_IPC_METRICS_H

#include <stdatomic.h>

#include "ipc/hist.h"
#include "ipc/rc.h"
#include "ipc/region.h"

#define IPC_METRICS_MAX        512u /* counters and gauges of one page */
#define IPC_METRICS_HISTS_MAX  48u
#define IPC_METRIC_NAME_BYTES  64 /* with NUL; [a-z][a-z0-9_]* */
#define IPC_METRIC_HELP_BYTES  120
#define IPC_METRIC_LABEL_BYTES 64 /* with NUL; key="value",key="value" without braces, or empty */

#define IPC_METRIC_KIND_LIST(X)                                                                    \
    X(IPC_METRIC_COUNTER, 1, "counter")     /* never falls while the process lives */              \
    X(IPC_METRIC_GAUGE, 2, "gauge")         /* any value */                                        \
    X(IPC_METRIC_HISTOGRAM, 3, "histogram") /* nanoseconds; rendered in seconds */
enum ipc_metric_kind {
#define X(name, value, text) name = (value),
    IPC_METRIC_KIND_LIST(X)
#undef X
};

/* One counter or gauge: a line of its own. */
struct ipc_metric {
    LS_LINE _Atomic int64_t value;
    uint8_t pad[LS_LINE_BYTES - 8];
};
_Static_assert(sizeof(struct ipc_metric) == LS_LINE_BYTES, "a line per metric");

struct ipc_metrics; /* an open page */

/* ipc_metrics_create makes the page of this process anew and takes its lock.
 *   process  [a-z0-9.-], 1 to 40 characters: "engine.0", "ingest.alice-blue.7"
 *   returns  IPC_OK; IPC_BUSY a live process has this name; IPC_BAD_INPUT; IPC_SYSTEM */
LS_MUST_USE enum ipc_rc ipc_metrics_create(const struct ipc_shm *shm, const char *process,
    struct ipc_metrics **page, struct ipc_error *error);

/* ipc_metrics_open attaches read-only: IPC_OK, IPC_NOT_FOUND, IPC_BAD_*, IPC_SYSTEM. */
LS_MUST_USE enum ipc_rc ipc_metrics_open(const struct ipc_shm *shm, const char *process,
    struct ipc_metrics **page, struct ipc_error *error);

/* NULL is allowed. */
void ipc_metrics_close(struct ipc_metrics *page);

/* ipc_metrics_add registers a counter or gauge. Start-up only, one thread.
 *   name, help, labels   copied; bad or too long ones, and a full page, are bugs (LS_CHECK)
 *   returns              the handle, in the page; a name with equal labels gives the same one */
struct ipc_metric *ipc_metrics_add(struct ipc_metrics *page, enum ipc_metric_kind kind,
    const char *name, const char *help, const char *labels);

/* ipc_metrics_add_hist registers a histogram of nanoseconds; `name` ends in _seconds. */
struct ipc_hist *ipc_metrics_add_hist(
    struct ipc_metrics *page, const char *name, const char *help, const char *labels);

/* Updates: by the metric's one writing thread. */
static inline void ipc_metric_add(struct ipc_metric *metric, int64_t more)
{
    /* One writer: load and store instead of a locked add; relaxed, readers want no order. */
    int64_t old = atomic_load_explicit(&metric->value, memory_order_relaxed);
    atomic_store_explicit(
        &metric->value, (int64_t)((uint64_t)old + (uint64_t)more), memory_order_relaxed);
}

static inline void ipc_metric_set(struct ipc_metric *metric, int64_t value)
{
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

static inline int64_t ipc_metric_get(const struct ipc_metric *metric)
{
    return atomic_load_explicit(&metric->value, memory_order_relaxed);
}

/* ipc_metrics_find returns the handle of a registered metric for reading, NULL if there is none.
 * labels NULL takes the first of that name. */
const struct ipc_metric *ipc_metrics_find(
    const struct ipc_metrics *page, const char *name, const char *labels);
const struct ipc_hist *ipc_metrics_find_hist(
    const struct ipc_metrics *page, const char *name, const char *labels);

/* ipc_metrics_each calls `see` for every registered metric, in order of registration; exactly one
 * of metric and hist is not NULL. The strings are copies, valid during the call. */
typedef void (*ipc_metrics_see_fn)(enum ipc_metric_kind kind, const char *name, const char *help,
    const char *labels, const struct ipc_metric *metric, const struct ipc_hist *hist,
    void *context);
void ipc_metrics_each(const struct ipc_metrics *page, ipc_metrics_see_fn see, void *context);

/* ipc_metrics_process copies the name that the page's process gave. */
void ipc_metrics_process(const struct ipc_metrics *page, char out[48]);

/* ipc_metrics_render_prometheus writes the text exposition (version 0.0.4) of several pages as one
 * document, metrics of one name together, each sample labelled process="...".
 *   pages    count of them, [0, 256]
 *   out      NUL-terminated when capacity > 0; cut at a line's end when too small
 *   returns  the bytes that the whole document needs, without the NUL */
size_t ipc_metrics_render_prometheus(
    const struct ipc_metrics *const *pages, uint32_t count, char *out, size_t capacity);

#endif
