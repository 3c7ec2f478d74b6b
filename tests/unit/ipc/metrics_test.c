/* metrics_test.c: registering, reading by others, and the Prometheus text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "ipc/metrics.h"
#include "tests/support/tempshm.h"

struct fixture {
    struct tempshm temporary;
    struct ipc_shm shm;
};

static void make(struct fixture *f)
{
    tempshm_make(&f->temporary);
    assert_int_equal(ipc_shm_open(&f->shm, f->temporary.path, "metrics", true, NULL), IPC_OK);
}

static void drop(struct fixture *f)
{
    ipc_shm_close(&f->shm);
    tempshm_remove(&f->temporary);
}

static void test_values_cross(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_metrics *own = NULL;
    struct ipc_metrics *other = NULL;
    make(&f);
    assert_int_equal(ipc_metrics_open(&f.shm, "engine.0", &other, NULL), IPC_NOT_FOUND);
    assert_int_equal(ipc_metrics_create(&f.shm, "engine.0", &own, NULL), IPC_OK);
    struct ipc_metric *orders =
        ipc_metrics_add(own, IPC_METRIC_COUNTER, "ls_orders_total", "Orders sent.", "");
    struct ipc_metric *skips =
        ipc_metrics_add(own, IPC_METRIC_COUNTER, "ls_skips_total", "Skips.", "reason=\"SUB_LOT\"");
    assert_ptr_equal(
        ipc_metrics_add(own, IPC_METRIC_COUNTER, "ls_orders_total", "Orders sent.", ""), orders);
    assert_int_equal((uintptr_t)orders % LS_LINE_BYTES, 0);
    assert_true((char *)skips - (char *)orders >= LS_LINE_BYTES);
    assert_int_equal(ipc_metrics_open(&f.shm, "engine.0", &other, NULL), IPC_OK);
    ipc_metric_add(orders, 41);
    ipc_metric_add(orders, 1);
    ipc_metric_set(skips, -7);
    assert_int_equal(ipc_metric_get(ipc_metrics_find(other, "ls_orders_total", NULL)), 42);
    assert_int_equal(
        ipc_metric_get(ipc_metrics_find(other, "ls_skips_total", "reason=\"SUB_LOT\"")), -7);
    assert_null(ipc_metrics_find(other, "ls_skips_total", "reason=\"OTHER\""));
    assert_null(ipc_metrics_find(other, "ls_nothing", NULL));
    struct ipc_hist *hist = ipc_metrics_add_hist(own, "ls_wave_seconds", "Wave time.", "");
    ipc_hist_record(hist, 1000);
    assert_int_equal(ipc_hist_count(ipc_metrics_find_hist(other, "ls_wave_seconds", "")), 1);
    assert_null(ipc_metrics_find(other, "ls_wave_seconds", NULL));
    ipc_metrics_close(other);
    ipc_metrics_close(own);
    drop(&f);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "Engine", "a/b", "a b", "..//", "12345678901234567890123456789012345678901"};
    struct fixture f;
    struct ipc_metrics *page = NULL;
    struct ipc_error error;
    make(&f);
    for (size_t i = 0; i < LS_COUNT_OF(bad); i++)
        assert_int_equal(ipc_metrics_create(&f.shm, bad[i], &page, &error), IPC_BAD_INPUT);
    assert_int_equal(
        ipc_metrics_create(&f.shm, "1234567890123456789012345678901234567890", &page, &error),
        IPC_OK);
    ipc_metrics_close(page);
    drop(&f);
}

/* A page is replaced when its process is gone, and not before. */
static void test_succession(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_metrics *first = NULL;
    struct ipc_metrics *second = NULL;
    struct ipc_metrics *reader = NULL;
    struct ipc_error error;
    make(&f);
    assert_int_equal(ipc_metrics_create(&f.shm, "engine.0", &first, NULL), IPC_OK);
    ipc_metric_set(ipc_metrics_add(first, IPC_METRIC_GAUGE, "ls_a", "A.", ""), 5);
    assert_int_equal(ipc_metrics_create(&f.shm, "engine.0", &second, &error), IPC_BUSY);
    assert_non_null(strstr(error.text, "metrics.engine.0"));
    ipc_metrics_close(first);
    assert_int_equal(ipc_metrics_open(&f.shm, "engine.0", &reader, NULL), IPC_OK);
    assert_int_equal(ipc_metric_get(ipc_metrics_find(reader, "ls_a", NULL)), 5);
    assert_int_equal(ipc_metrics_create(&f.shm, "engine.0", &second, &error), IPC_OK);
    /* The old page, still attached, is unchanged; the new one is empty. */
    assert_int_equal(ipc_metric_get(ipc_metrics_find(reader, "ls_a", NULL)), 5);
    ipc_metrics_close(reader);
    assert_int_equal(ipc_metrics_open(&f.shm, "engine.0", &reader, NULL), IPC_OK);
    assert_null(ipc_metrics_find(reader, "ls_a", NULL));
    ipc_metrics_close(reader);
    ipc_metrics_close(second);
    drop(&f);
}

static const char expected[] = "# HELP ls_orders_total Orders sent.\n"
                               "# TYPE ls_orders_total counter\n"
                               "ls_orders_total{process=\"engine.0\",broker=\"a\"} 3\n"
                               "ls_orders_total{process=\"engine.0\",broker=\"b\"} 4\n"
                               "ls_orders_total{process=\"engine.1\",broker=\"a\"} 5\n"
                               "# HELP ls_depth Depth.\n"
                               "# TYPE ls_depth gauge\n"
                               "ls_depth{process=\"engine.0\"} -1\n"
                               "# HELP ls_only_here_total Only here.\n"
                               "# TYPE ls_only_here_total counter\n"
                               "ls_only_here_total{process=\"engine.1\"} 9\n";

static void test_render(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_metrics *pages[2] = {NULL, NULL};
    char out[2048];
    make(&f);
    assert_int_equal(ipc_metrics_create(&f.shm, "engine.0", &pages[0], NULL), IPC_OK);
    assert_int_equal(ipc_metrics_create(&f.shm, "engine.1", &pages[1], NULL), IPC_OK);
    static const struct {
        int page;
        enum ipc_metric_kind kind;
        const char *name, *help, *labels;
        int64_t value;
    } rows[] = {
        {0, IPC_METRIC_COUNTER, "ls_orders_total", "Orders sent.", "broker=\"a\"", 3},
        {0, IPC_METRIC_GAUGE, "ls_depth", "Depth.", "", -1},
        {0, IPC_METRIC_COUNTER, "ls_orders_total", "Orders sent.", "broker=\"b\"", 4},
        {1, IPC_METRIC_COUNTER, "ls_only_here_total", "Only here.", "", 9},
        {1, IPC_METRIC_COUNTER, "ls_orders_total", "Orders sent.", "broker=\"a\"", 5},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++)
        ipc_metric_set(ipc_metrics_add(pages[rows[i].page], rows[i].kind, rows[i].name,
                           rows[i].help, rows[i].labels),
            rows[i].value);
    const struct ipc_metrics *const *both = (const struct ipc_metrics *const *)pages;
    size_t needed = ipc_metrics_render_prometheus(both, 2, out, sizeof(out));
    assert_string_equal(out, expected);
    assert_int_equal(needed, strlen(expected));
    /* Any smaller buffer holds whole lines from the beginning, and says what is needed. */
    for (size_t capacity = 0; capacity <= sizeof(expected); capacity++) {
        memset(out, 'x', sizeof(out));
        assert_int_equal(ipc_metrics_render_prometheus(both, 2, out, capacity), needed);
        assert_int_equal(out[capacity], 'x');
        if (capacity == 0)
            continue;
        size_t kept = strlen(out);
        assert_true(kept < capacity && strncmp(out, expected, kept) == 0);
        assert_true(kept == 0 || out[kept - 1] == '\n');
    }
    assert_int_equal(ipc_metrics_render_prometheus(NULL, 0, out, sizeof(out)), 0);
    assert_string_equal(out, "");
    ipc_metrics_close(pages[0]);
    ipc_metrics_close(pages[1]);
    drop(&f);
}

static void test_render_histogram(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_metrics *page = NULL;
    char out[4096];
    make(&f);
    assert_int_equal(ipc_metrics_create(&f.shm, "engine.0", &page, NULL), IPC_OK);
    struct ipc_hist *hist = ipc_metrics_add_hist(page, "ls_wave_seconds", "Wave.", "lanes=\"own\"");
    ipc_hist_record(hist, 255);
    ipc_hist_record(hist, 256);
    ipc_hist_record(hist, 1000000000);
    ipc_hist_record(hist, 5000000000);
    const struct ipc_metrics *const one = page;
    (void)ipc_metrics_render_prometheus(&one, 1, out, sizeof(out));
    static const char *const lines[] = {
        "# TYPE ls_wave_seconds histogram\n",
        "ls_wave_seconds_bucket{process=\"engine.0\",lanes=\"own\",le=\"0.000000255\"} 1\n",
        "ls_wave_seconds_bucket{process=\"engine.0\",lanes=\"own\",le=\"0.000001023\"} 2\n",
        "ls_wave_seconds_bucket{process=\"engine.0\",lanes=\"own\",le=\"1.073741823\"} 3\n",
        "ls_wave_seconds_bucket{process=\"engine.0\",lanes=\"own\",le=\"4.294967295\"} 3\n",
        "ls_wave_seconds_bucket{process=\"engine.0\",lanes=\"own\",le=\"+Inf\"} 4\n",
        "ls_wave_seconds_sum{process=\"engine.0\",lanes=\"own\"} 6.000000511\n",
        "ls_wave_seconds_count{process=\"engine.0\",lanes=\"own\"} 4\n",
    };
    const char *at = out;
    for (size_t i = 0; i < LS_COUNT_OF(lines); i++) {
        at = strstr(at, lines[i]);
        if (!at)
            fail_msg("missing or out of order: %s in\n%s", lines[i], out);
    }
    ipc_metrics_close(page);
    drop(&f);
}

/* Bytes that another process scribbled into its page do not end up in the text, or elsewhere. */
static void test_hostile_page(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_metrics *page = NULL;
    char out[4096];
    make(&f);
    assert_int_equal(ipc_metrics_create(&f.shm, "engine.0", &page, NULL), IPC_OK);
    struct ipc_metric *metric =
        ipc_metrics_add(page, IPC_METRIC_COUNTER, "ls_orders_total", "Orders.", "");
    ipc_metric_add(metric, 1);
    const struct ipc_metrics *const one = page;
    /* Its descriptor lies before the value: everything in it becomes 0xff. */
    uint8_t *body = (uint8_t *)metric;
    uint8_t *first = body;
    while (memcmp(first, "ls_orders_total", 15) != 0)
        first--;
    memset(first - 8, 0xff, 300);
    size_t needed = ipc_metrics_render_prometheus(&one, 1, out, sizeof(out));
    assert_int_equal(needed, 0);
    ipc_metrics_close(page);
    drop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_cross),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_succession),
        cmocka_unit_test(test_render),
        cmocka_unit_test(test_render_histogram),
        cmocka_unit_test(test_hostile_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
