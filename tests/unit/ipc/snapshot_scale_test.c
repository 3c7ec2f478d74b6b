/* snapshot_scale_test.c: a million followers: bytes per follower, time of a whole publication, of
 * one changed row, and of a reader's copy and validation. Figures are printed; bytes are bounded
 * by the budget, times only by what would be absurd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "ipc/clock.h"
#include "ipc/snapshot_private.h"
#include "snapshot_world.h"
#include "tests/support/tempshm.h"

#define MILLION     1000000u
#define TOKEN_BYTES 96u /* a 64-byte bearer, sealed */

static double ms(int64_t ns)
{
    return (double)ns / 1e6;
}

static void test_million(void **state)
{
    (void)state;
    struct tempshm temporary;
    struct ipc_shm shm;
    struct world world;
    struct world copy;
    struct ipc_error error = {{0}};
    struct ipc_snapshot_writer *writer = NULL;
    struct ipc_snapshot_reader *reader = NULL;
    struct ipc_snapshot_published published;
    struct statvfs room;
    assert_int_equal(statvfs("/dev/shm", &room), 0);
    if ((uint64_t)room.f_bavail * room.f_bsize < UINT64_C(2) << 30) {
        print_message("skipped: /dev/shm has less than 2 GiB free\n");
        skip();
    }
    tempshm_make(&temporary);
    assert_int_equal(ipc_shm_open(&shm, temporary.path, "scale", true, &error), IPC_OK);
    world_make(&world, MILLION, MILLION, TOKEN_BYTES);
    world_make_empty(&copy, &world.image.capacity);
    assert_int_equal(ipc_snapshot_writer_open(&shm, &writer, &error), IPC_OK);
    assert_int_equal(ipc_snapshot_reader_open(&shm, &reader, &error), IPC_OK);

    int64_t start = ipc_clock_mono_ns();
    assert_int_equal(world_validate(&world, &error), IPC_OK);
    int64_t validated = ipc_clock_mono_ns() - start;

    start = ipc_clock_mono_ns();
    assert_int_equal(ipc_snapshot_writer_publish(writer, &world.image, 0, 1, &error), IPC_OK);
    int64_t all = ipc_clock_mono_ns() - start;
    ipc_snapshot_writer_published(writer, &published);

    start = ipc_clock_mono_ns();
    assert_int_equal(ipc_snapshot_reader_copy(reader, &copy.image, &error), IPC_OK);
    int64_t copied = ipc_clock_mono_ns() - start;
    assert_true(world_equal(&world.image, &copy.image));

    world_follower(&world, MILLION / 2)->ratio_e8 = 3 * LS_E8;
    start = ipc_clock_mono_ns();
    assert_int_equal(ipc_snapshot_writer_publish(writer, &world.image, 0, 2, &error), IPC_OK);
    int64_t one = ipc_clock_mono_ns() - start;
    struct ipc_snapshot_published second;
    ipc_snapshot_writer_published(writer, &second);
    assert_int_equal(second.chunks_written, 1);
    assert_int_equal(second.file_replaced, 0);

    start = ipc_clock_mono_ns();
    assert_int_equal(ipc_snapshot_reader_copy(reader, &copy.image, &error), IPC_OK);
    int64_t one_copied = ipc_clock_mono_ns() - start;
    assert_int_equal(ipc_snapshot_reader_chunks_copied(reader), 1);
    assert_true(world_equal(&world.image, &copy.image));

    /* The file, and the two images a porter keeps. */
    uint64_t file = ipc_snapshot_body_bytes(published.chunks_total + published.chunks_total / 4);
    uint64_t image = ipc_snapshot_footprint(&world.image.capacity);
    print_message("1,000,000 followers: file %.0f bytes each, an image %.0f bytes each\n",
        (double)file / MILLION, (double)image / MILLION);
    print_message("publish all %.1f ms (%u chunks), copy all %.1f ms, validate %.1f ms\n", ms(all),
        published.chunks_total, ms(copied), ms(validated));
    print_message(
        "one row: publish %.2f ms (compares all), copy %.3f ms\n", ms(one), ms(one_copied));
    /* 2 KiB and the token: the file and two images with the token in each. */
    assert_true(file + 2 * image < MILLION * (UINT64_C(2048) + TOKEN_BYTES));
    assert_true(one < 10 * LS_NS_PER_S && one_copied < one);

    ipc_snapshot_writer_close(writer);
    ipc_snapshot_reader_close(reader);
    world_free(&world);
    world_free(&copy);
    ipc_shm_close(&shm);
    tempshm_remove(&temporary);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_million),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
