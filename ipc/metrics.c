/* metrics.c: the page: registering, finding, reading. Text is in metrics_render.c.
 *
 * A descriptor is written before `count` is raised over it (release), and never changes after. A
 * reader copies it and bounds it: the page is another process's. */
#include "ipc/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALL_MAX (IPC_METRICS_MAX + IPC_METRICS_HISTS_MAX)

struct descriptor {
    uint32_t kind;  /* enum ipc_metric_kind */
    uint32_t index; /* into metrics or hists */
    char name[IPC_METRIC_NAME_BYTES];
    char help[IPC_METRIC_HELP_BYTES];
    char labels[IPC_METRIC_LABEL_BYTES];
};

struct metrics_body {
    LS_LINE _Atomic uint32_t count;    /* writer: registering thread; readers acquire */
    uint32_t metric_count, hist_count; /* writer: registering thread; nobody else reads */
    char process[48];                  /* writer: creator, once */
    LS_LINE struct descriptor descriptors[ALL_MAX];
    struct ipc_metric metrics[IPC_METRICS_MAX]; /* writer: each its own thread */
    LS_LINE struct {
        LS_LINE struct ipc_hist hist; /* writer: each its own thread */
    } hists[IPC_METRICS_HISTS_MAX];
};

struct ipc_metrics {
    struct ipc_region region;
    struct metrics_body *body;
    bool is_owner;
};

static struct ipc_region_spec spec_of(const char *name, uint32_t flags)
{
    static const struct ipc_layout_field fields[] = {
        IPC_LAYOUT_FIELD(struct descriptor, labels),
        IPC_LAYOUT_FIELD(struct metrics_body, count),
        IPC_LAYOUT_FIELD(struct metrics_body, process),
        IPC_LAYOUT_FIELD(struct metrics_body, descriptors),
        IPC_LAYOUT_FIELD(struct metrics_body, metrics),
        IPC_LAYOUT_FIELD(struct metrics_body, hists),
        IPC_LAYOUT_FIELD(struct ipc_hist, buckets),
    };
    return (struct ipc_region_spec){.name = name,
        .kind = IPC_REGION_METRICS,
        .layout_hash = ipc_layout_hash(fields, LS_COUNT_OF(fields)),
        .body_bytes = sizeof(struct metrics_body),
        .flags = flags};
}

static bool process_fits(const char *process)
{
    size_t length = strnlen(process, 41);
    if (length == 0 || length > 40)
        return false;
    return strspn(process, "abcdefghijklmnopqrstuvwxyz0123456789.-") == length;
}

static bool name_region(const char *process, char *name, size_t bytes, struct ipc_error *error)
{
    if (!process_fits(process)) {
        ipc_error_set(error, "a process's name for metrics is 1 to 40 of a-z, 0-9, '.' and '-'");
        return false;
    }
    int length = snprintf(name, bytes, "metrics.%s", process);
    LS_CHECK(length > 0 && (size_t)length < bytes);
    return true;
}

static void init_body(void *body, void *context)
{
    struct metrics_body *metrics = body;
    (void)snprintf(metrics->process, sizeof(metrics->process), "%s", (const char *)context);
}

/* Refuses to replace the page of a living process. */
static enum ipc_rc check_predecessor(
    const struct ipc_shm *shm, const char *name, struct ipc_error *error)
{
    struct ipc_region old;
    struct ipc_region_spec spec = spec_of(name, 0);
    /* A page of another build or none at all is simply replaced. */
    if (ipc_region_attach(shm, &spec, &old, NULL) != IPC_OK)
        return IPC_OK;
    bool live = ipc_region_is_locked(&old, IPC_LOCK_WRITER);
    ipc_region_detach(&old);
    if (live) {
        ipc_error_set(error, "a live process writes %s; stop it first", name);
        return IPC_BUSY;
    }
    return IPC_OK;
}

static enum ipc_rc create(const struct ipc_shm *shm, const char *name, const char *process,
    struct ipc_metrics *page, struct ipc_error *error)
{
    enum ipc_rc rc = check_predecessor(shm, name, error);
    if (rc != IPC_OK)
        return rc;
    char context[48];
    (void)snprintf(context, sizeof(context), "%s", process);
    struct ipc_region_spec spec = spec_of(name, IPC_REGION_WRITE | IPC_REGION_REPLACE);
    rc = ipc_region_create(shm, &spec, init_body, context, &page->region, error);
    if (rc != IPC_OK)
        return rc;
    rc = ipc_region_lock(&page->region, IPC_LOCK_WRITER);
    if (rc != IPC_OK) {
        ipc_error_set(error, "cannot lock %s: %s", name, strerror(errno));
        ipc_region_detach(&page->region);
    }
    return rc;
}

static enum ipc_rc open_page(const struct ipc_shm *shm, const char *process, bool is_owner,
    struct ipc_metrics **page, struct ipc_error *error)
{
    char name[IPC_REGION_NAME_BYTES];
    if (!name_region(process, name, sizeof(name), error))
        return IPC_BAD_INPUT;
    struct ipc_metrics *made = calloc(1, sizeof(*made));
    if (!made) {
        ipc_error_set(error, "no memory for %s", name);
        return IPC_SYSTEM;
    }
    enum ipc_rc rc;
    if (is_owner) {
        rc = create(shm, name, process, made, error);
    } else {
        struct ipc_region_spec spec = spec_of(name, 0);
        rc = ipc_region_attach(shm, &spec, &made->region, error);
    }
    if (rc != IPC_OK) {
        int saved = errno;
        free(made);
        errno = saved;
        return rc;
    }
    made->body = made->region.body;
    made->is_owner = is_owner;
    *page = made;
    return IPC_OK;
}

enum ipc_rc ipc_metrics_create(const struct ipc_shm *shm, const char *process,
    struct ipc_metrics **page, struct ipc_error *error)
{
    return open_page(shm, process, true, page, error);
}

enum ipc_rc ipc_metrics_open(const struct ipc_shm *shm, const char *process,
    struct ipc_metrics **page, struct ipc_error *error)
{
    return open_page(shm, process, false, page, error);
}

void ipc_metrics_close(struct ipc_metrics *page)
{
    if (!page)
        return;
    ipc_region_detach(&page->region);
    free(page);
}

/* ---- registering ----------------------------------------------------------------------------- */

static bool metric_name_fits(const char *name)
{
    size_t length = strnlen(name, IPC_METRIC_NAME_BYTES);
    return length > 0 && length < IPC_METRIC_NAME_BYTES && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == length;
}

/* Help and labels go into the exposition as they are: no line end, no backslash. */
static bool text_fits(const char *text, size_t bytes)
{
    size_t length = strnlen(text, bytes);
    return length < bytes && strcspn(text, "\n\r\\") == length;
}

static struct descriptor *find_own(
    struct metrics_body *body, uint32_t count, const char *name, const char *labels)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(body->descriptors[i].name, name) == 0 &&
            strcmp(body->descriptors[i].labels, labels) == 0)
            return &body->descriptors[i];
    }
    return NULL;
}

static struct descriptor *add(struct ipc_metrics *page, enum ipc_metric_kind kind, const char *name,
    const char *help, const char *labels)
{
    LS_CHECK(page->is_owner);
    LS_CHECK(metric_name_fits(name));
    LS_CHECK(text_fits(help, IPC_METRIC_HELP_BYTES) && text_fits(labels, IPC_METRIC_LABEL_BYTES));
    struct metrics_body *body = page->body;
    uint32_t count = atomic_load_explicit(&body->count, memory_order_relaxed);
    struct descriptor *found = find_own(body, count, name, labels);
    if (found) {
        LS_CHECK(found->kind == (uint32_t)kind);
        return found;
    }
    LS_CHECK(count < ALL_MAX);
    struct descriptor *made = &body->descriptors[count];
    made->kind = (uint32_t)kind;
    if (kind == IPC_METRIC_HISTOGRAM) {
        LS_CHECK(body->hist_count < IPC_METRICS_HISTS_MAX);
        made->index = body->hist_count++;
    } else {
        LS_CHECK(body->metric_count < IPC_METRICS_MAX);
        made->index = body->metric_count++;
    }
    (void)snprintf(made->name, sizeof(made->name), "%s", name);
    (void)snprintf(made->help, sizeof(made->help), "%s", help);
    (void)snprintf(made->labels, sizeof(made->labels), "%s", labels);
    /* Release: the descriptor is complete for whoever acquires this count (copy_descriptor). */
    atomic_store_explicit(&body->count, count + 1, memory_order_release);
    return made;
}

struct ipc_metric *ipc_metrics_add(struct ipc_metrics *page, enum ipc_metric_kind kind,
    const char *name, const char *help, const char *labels)
{
    LS_CHECK(kind == IPC_METRIC_COUNTER || kind == IPC_METRIC_GAUGE);
    return &page->body->metrics[add(page, kind, name, help, labels)->index];
}

struct ipc_hist *ipc_metrics_add_hist(
    struct ipc_metrics *page, const char *name, const char *help, const char *labels)
{
    return &page->body->hists[add(page, IPC_METRIC_HISTOGRAM, name, help, labels)->index].hist;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* A private, bounded copy of descriptor i; false when there is none or it makes no sense. */
static bool copy_descriptor(const struct ipc_metrics *page, uint32_t i, struct descriptor *out)
{
    /* Acquire: pairs with the release in add. */
    if (i >= ALL_MAX || i >= atomic_load_explicit(&page->body->count, memory_order_acquire))
        return false;
    memcpy(out, &page->body->descriptors[i], sizeof(*out));
    out->name[sizeof(out->name) - 1] = 0;
    out->help[sizeof(out->help) - 1] = 0;
    out->labels[sizeof(out->labels) - 1] = 0;
    if (!metric_name_fits(out->name) || !text_fits(out->help, sizeof(out->help)) ||
        !text_fits(out->labels, sizeof(out->labels)))
        return false;
    if (out->kind == IPC_METRIC_HISTOGRAM)
        return out->index < IPC_METRICS_HISTS_MAX;
    return (out->kind == IPC_METRIC_COUNTER || out->kind == IPC_METRIC_GAUGE) &&
           out->index < IPC_METRICS_MAX;
}

void ipc_metrics_each(const struct ipc_metrics *page, ipc_metrics_see_fn see, void *context)
{
    struct descriptor one;
    uint32_t count = atomic_load_explicit(&page->body->count, memory_order_acquire);
    for (uint32_t i = 0; i < count && i < ALL_MAX; i++) {
        if (!copy_descriptor(page, i, &one))
            continue;
        bool is_hist = one.kind == IPC_METRIC_HISTOGRAM;
        see((enum ipc_metric_kind)one.kind, one.name, one.help, one.labels,
            is_hist ? NULL : &page->body->metrics[one.index],
            is_hist ? &page->body->hists[one.index].hist : NULL, context);
    }
}

struct wanted {
    const char *name;
    const char *labels;
    const struct ipc_metric *metric;
    const struct ipc_hist *hist;
};

static void see_wanted(enum ipc_metric_kind kind, const char *name, const char *help,
    const char *labels, const struct ipc_metric *metric, const struct ipc_hist *hist, void *context)
{
    (void)kind;
    (void)help;
    struct wanted *wanted = context;
    if (wanted->metric || wanted->hist || strcmp(name, wanted->name) != 0 ||
        (wanted->labels && strcmp(labels, wanted->labels) != 0))
        return;
    wanted->metric = metric;
    wanted->hist = hist;
}

const struct ipc_metric *ipc_metrics_find(
    const struct ipc_metrics *page, const char *name, const char *labels)
{
    struct wanted wanted = {.name = name, .labels = labels};
    ipc_metrics_each(page, see_wanted, &wanted);
    return wanted.metric;
}

const struct ipc_hist *ipc_metrics_find_hist(
    const struct ipc_metrics *page, const char *name, const char *labels)
{
    struct wanted wanted = {.name = name, .labels = labels};
    ipc_metrics_each(page, see_wanted, &wanted);
    return wanted.hist;
}

void ipc_metrics_process(const struct ipc_metrics *page, char out[48])
{
    memcpy(out, page->body->process, 48);
    out[47] = 0;
    if (!process_fits(out))
        (void)snprintf(out, 48, "unknown");
}
