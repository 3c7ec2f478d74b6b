/* ipc/waves: the last 1,024 records stay readable, older ones are known to be gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/waves.h"

static void test_keeps_the_last(void **state)
{
    (void)state;
    struct ipc_shm shm;
    struct ipc_error error = {{0}};
    struct ipc_waves writer, reader;
    struct ipc_wave_record record, out;
    char base[] = "/dev/shm/lockstep-waves-XXXXXX", command[128];
    assert_non_null(mkdtemp(base));
    assert_int_equal(ipc_shm_open(&shm, base, "waves-test", true, &error), IPC_OK);
    assert_int_equal(ipc_waves_open(&shm, 3, &reader, &error), IPC_NOT_FOUND);
    assert_int_equal(ipc_waves_create(&shm, 64, &writer, &error), IPC_BAD_INPUT);
    assert_int_equal(ipc_waves_create(&shm, 3, &writer, &error), IPC_OK);
    assert_int_equal(ipc_waves_open(&shm, 3, &reader, &error), IPC_OK);
    assert_int_equal(ipc_waves_last(&reader), 0);
    assert_int_equal(ipc_waves_get(&reader, 0, &out), IPC_NOT_FOUND);
    assert_int_equal(ipc_waves_get(&reader, 1, &out), IPC_NOT_FOUND);
    for (uint64_t i = 1; i <= 3 * IPC_WAVES_KEPT + 5; i++) {
        memset(&record, 0, sizeof(record));
        record.wave = 7 * i;
        record.bytes = i * i;
        ipc_waves_put(&writer, &record);
        assert_int_equal(record.number, i);
        assert_int_equal(ipc_waves_last(&reader), i);
        assert_int_equal(ipc_waves_get(&reader, i, &out), IPC_OK);
        assert_memory_equal(&record, &out, sizeof(out));
        assert_int_equal(ipc_waves_get(&reader, i + 1, &out), IPC_NOT_FOUND);
        if (i > IPC_WAVES_KEPT) {
            assert_int_equal(ipc_waves_get(&reader, i - IPC_WAVES_KEPT, &out), IPC_NOT_FOUND);
            assert_int_equal(ipc_waves_get(&reader, i - IPC_WAVES_KEPT + 1, &out), IPC_OK);
            assert_int_equal(out.wave, 7 * (i - IPC_WAVES_KEPT + 1));
        }
    }
    ipc_waves_close(&reader);
    ipc_waves_close(&writer);
    ipc_shm_close(&shm);
    (void)snprintf(command, sizeof(command), "rm -rf %s", base);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
