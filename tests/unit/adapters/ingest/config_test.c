/* The configuration file and its ranges. */
#include "adapters/ingest/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static const struct {
    const char *yaml;
    enum ipc_rc rc;
    const char *says; /* part of the sentence */
} files[] = {
    {"instance: demo\nring_slots: 1024\nfunds_ms: 0\n", IPC_OK, ""},
    {"log_level: debug\nmemory_lock: true\n", IPC_OK, ""},
    {"ring_slot: 1024\n", IPC_BAD_INPUT, "ring_slot"},
    {"ring_slots: many\n", IPC_BAD_INPUT, "ring_slots"},
    {"ring_slots: -1\n", IPC_BAD_INPUT, "ring_slots"},
    {"log_level: loud\n", IPC_BAD_INPUT, "loud"},
    {"instance: [a, b]\n", IPC_BAD_INPUT, "instance"},
    {"- a\n", IPC_BAD_INPUT, ""},
    {"ring_slots: 1000\n", IPC_BAD_INPUT, "power of two"},
    {"ring_slots: 4\n", IPC_BAD_INPUT, "ring_slots"},
    {"held_events: 1\n", IPC_BAD_INPUT, "held_events"},
    {"poll_master_ms: 1\n", IPC_BAD_INPUT, "poll_master_ms"},
    {"poll_follower_ms: 9999999\n", IPC_BAD_INPUT, "poll_follower_ms"},
    {"parallel_requests: 0\n", IPC_BAD_INPUT, "parallel_requests"},
    {"instance: Main\n", IPC_BAD_INPUT, "Main"},
    {"producer: a.b\n", IPC_BAD_INPUT, "a.b"},
};

static void files_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(files); i++) {
        char path[] = "/tmp/lockstep-test-XXXXXX";
        struct adp_ingest_config config;
        struct ipc_error error = {.text = ""};
        const int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, files[i].yaml, strlen(files[i].yaml)), strlen(files[i].yaml));
        close(fd);
        adp_ingest_config_defaults(&config);
        enum ipc_rc rc = adp_ingest_config_load(&config, path, &error);
        if (rc == IPC_OK)
            rc = adp_ingest_config_finish(&config, "alice-blue", &error);
        unlink(path);
        if (rc != files[i].rc || strstr(error.text, files[i].says) == NULL)
            fail_msg("row %zu: %d: %s", i, rc, error.text);
    }
}

static void what_the_file_lacks_stays(void **state)
{
    char path[] = "/tmp/lockstep-test-XXXXXX";
    struct adp_ingest_config config, plain;
    struct ipc_error error = {.text = ""};
    const int fd = mkstemp(path);
    (void)state;
    assert_int_equal(write(fd, "instance: demo\n", 15), 15);
    close(fd);
    adp_ingest_config_defaults(&config);
    adp_ingest_config_defaults(&plain);
    assert_int_equal(adp_ingest_config_load(&config, path, &error), IPC_OK);
    unlink(path);
    assert_string_equal(config.instance, "demo");
    assert_int_equal(config.ring_slots, plain.ring_slots);
    assert_int_equal(adp_ingest_config_finish(&config, "ndjson", &error), IPC_OK);
    assert_string_equal(config.producer, "ndjson");
    assert_string_equal(config.key_file, "/etc/lockstep/demo.key");
    assert_int_equal(adp_ingest_config_load(&config, "/no/such/file", &error), IPC_SYSTEM);
}

/* The example states the defaults: it may not drift from them. */
static void the_example_is_the_defaults(void **state)
{
    struct adp_ingest_config config, plain;
    struct ipc_error error = {.text = ""};
    (void)state;
    adp_ingest_config_defaults(&config);
    adp_ingest_config_defaults(&plain);
    assert_int_equal(
        adp_ingest_config_load(&config, LS_TEST_SOURCE_DIR "/conf/ingest.yaml", &error), IPC_OK);
    assert_memory_equal(&config, &plain, sizeof(config));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_table),
        cmocka_unit_test(what_the_file_lacks_stays),
        cmocka_unit_test(the_example_is_the_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
