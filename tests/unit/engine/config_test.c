/* engine/config: the file over the defaults, and every way to get it wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/config.h"

static enum ipc_rc load(const char *text, struct eng_config *config, struct ipc_error *error)
{
    char path[] = "/tmp/lockstep-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    eng_config_defaults(config);
    enum ipc_rc rc = eng_config_load(config, path, error);
    (void)unlink(path);
    if (rc == IPC_OK)
        rc = eng_config_finish(config, 2, error);
    return rc;
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"instance: Demo\n", "lower-case"},
        {"shard: 64\n", "shard is 64"},
        {"shard: -1\n", "shard"},
        {"shard: one\n", "line: 1"},
        {"idle: sleepy\n", "idle"},
        {"io: uring\nio_depth: 3\n", "io_depth"},
        {"tier: [power]\n", "tier"},
        {"journal: { segments: 2 }\n", "journal.segments is 2"},
        {"journal: { segment_kib: 255 }\n", "segment_kib"},
        {"journal: { segment_kib: 1022 }\n", "multiple of 4"},
        {"journal: { segment_kib: 4194304 }\n", "at most 1048576"},
        {"limits: { children: 1 }\n", "limits.children is 1"},
        {"limits: { token_row_bytes: 100 }\n", "multiple of 8"},
        {"pacing: { exit_share: 0 }\n", "exit_share"},
        {"turn: { budget_us: 0 }\n", "budget_us"},
        {"books: { per_broker: 65 }\n", "books.per_broker is 65"},
        {"books: { deadline_ms: 99 }\n", "books.deadline_ms is 99"},
        {"protection: { equity: [ { below: \"100\", percent: \"2\" } ] }\n", "last step"},
        {"protection: { equity: [ { percent: \"2\", distance: \"1\" } ] }\n", "either"},
        {"protection: { equity: [ { below: \"1\" }, { percent: \"2\" } ] }\n", "either"},
        {"protection: { options: [ { percent: \"21\" } ] }\n", "at most 20"},
        {"controls: { slices_per_follower: 37 }\n", "controls.slices_per_follower"},
        {"controls: { reject_streak: 60001 }\n", "controls.reject_streak"},
        {"controls: { price_collar_pct: \"101\" }\n", "controls.price_collar_pct"},
        {"controls: { exposure_max: \"-1\" }\n", "controls.exposure_max"},
        {"controls: { order_value_max: \"1e5\" }\n", "controls.order_value_max"},
        {"protection: { options: [ { percent: \"0\" } ] }\n", "positive"},
        {"protection: { options: [ { percent: \"1e2\" } ] }\n", "positive"},
        {"protection: { options: [ { distance: \"0.123456789\" } ] }\n", "positive"},
        {"protection: { equity: [ { below: \"x\", percent: \"2\" } ] }\n", "not a decimal"},
        {"protection: { equity: [ { below: \"9\", percent: \"2\" }, { below: \"9\", percent: \"1\" "
         "}, { percent: \"1\" } ] }\n",
            "above the step"},
        {"instance: [\n", "line"},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct eng_config config;
        struct ipc_error error = {{0}};
        enum ipc_rc rc = load(rows[i].text, &config, &error);
        if (rc != IPC_BAD_INPUT || strstr(error.text, rows[i].says) == NULL)
            fail_msg("'%s': rc %d, error '%s' lacks '%s'", rows[i].text, (int)rc, error.text,
                rows[i].says);
    }
}

static void test_values_arrive(void **state)
{
    (void)state;
    struct eng_config config;
    struct ipc_error error = {{0}};
    const char *text = "instance: demo-1\nshard: 3\nio: epoll\ntier: power\nidle: spin\n"
                       "key_file: /k\nhalt_file: /h\nmemory_lock: true\nspin_us: 7\n"
                       "cpu: { pinned: 1, porter: 0 }\n"
                       "journal: { directory: /j, segment_kib: 512, segments: 5 }\n"
                       "limits: { follower_slots: 10, children: 100 }\n"
                       "pacing: { guard_ms: 9 }\nturn: { orders_per_look: 32 }\n"
                       "protection: { options: [ { below: \"10.5\", distance: \"0.05\" },"
                       " { percent: \"0.25\" } ] }\n"
                       "controls: { reject_streak: 7, price_collar_pct: \"2.5\","
                       " exposure_max: \"1000000.5\" }\n";
    assert_int_equal(load(text, &config, &error), IPC_OK);
    assert_string_equal(config.instance, "demo-1");
    assert_int_equal(config.shard, 3);
    assert_int_equal(config.io, ENG_IO_EPOLL);
    assert_int_equal(config.tier, ENG_TIER_POWER);
    assert_int_equal(config.idle, ENG_IDLE_SPIN);
    assert_string_equal(config.key_file, "/k");
    assert_string_equal(config.halt_file, "/h");
    assert_int_equal(config.memory_lock, 1);
    assert_int_equal(config.spin_us, 7);
    assert_int_equal(config.pinned_cpu, 1);
    assert_int_equal(config.porter_cpu, 0);
    assert_int_equal(config.scribe_cpu, -1);
    assert_string_equal(config.journal_directory, "/j");
    assert_int_equal(config.journal_segment_bytes, 512 * 1024);
    assert_int_equal(config.journal_segments, 5);
    assert_int_equal(config.follower_slots, 10);
    assert_int_equal(config.accounts, 4096);
    assert_int_equal(config.children, 100);
    assert_int_equal(config.pace_guard_ms, 9);
    assert_int_equal(config.orders_per_look, 32);
    assert_int_equal(config.option_band_count, 2);
    assert_int_equal(config.option_bands[0].below_e8, 1050000000);
    assert_int_equal(config.option_bands[0].fraction_e8, 0);
    assert_int_equal(config.option_bands[0].amount_e8, 5000000);
    assert_int_equal(config.option_bands[1].below_e8, INT64_MAX);
    assert_int_equal(config.option_bands[1].fraction_e8, 250000);
    assert_int_equal(config.equity_band_count, 3);
    assert_int_equal(config.controls.reject_streak, 7);
    assert_int_equal(config.controls.slices_per_follower, 20);
    assert_int_equal(config.controls.price_collar_e8, 2500000);
    assert_int_equal(config.controls.exposure_max_e8, 1000000 * LS_E8 + LS_E8 / 2);
}

static void test_example_is_the_defaults(void **state)
{
    (void)state;
    struct eng_config defaults, example;
    struct ipc_error error = {{0}};
    eng_config_defaults(&defaults);
    eng_config_defaults(&example);
    assert_int_equal(
        eng_config_load(&example, LS_TEST_SOURCE_DIR "/conf/engine.yaml", &error), IPC_OK);
    assert_memory_equal(&defaults, &example, sizeof(defaults));
    assert_int_equal(eng_config_finish(&example, 2, &error), IPC_OK);
    assert_int_equal(example.idle, ENG_IDLE_ADAPTIVE);
}

static void test_missing_and_empty(void **state)
{
    (void)state;
    struct eng_config config, before;
    struct ipc_error error = {{0}};
    eng_config_defaults(&config);
    before = config;
    assert_int_equal(eng_config_load(&config, "/nonexistent/engine.yaml", &error), IPC_SYSTEM);
    assert_non_null(strstr(error.text, "/nonexistent/engine.yaml"));
    assert_int_equal(eng_config_load(&config, "/tmp", &error), IPC_SYSTEM);
    assert_memory_equal(&config, &before, sizeof(config));
    assert_int_equal(load("# nothing\ninstance: x\n", &config, &error), IPC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_values_arrive),
        cmocka_unit_test(test_example_is_the_defaults),
        cmocka_unit_test(test_missing_and_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
