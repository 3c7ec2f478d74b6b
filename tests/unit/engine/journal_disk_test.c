/* engine/scribe against its disk: the n-th call fails, for every n, once and from then on; short
 * writes; a disk that is really full. Judged by what a reader finds on disk and in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/journal_world.h"

/* The disk calls, counted; the fail_at-th of a kind (or of all) fails. */
enum call { CALL_OPEN, CALL_ALLOCATE, CALL_WRITE, CALL_SYNC, CALL_SYNC_DIRECTORY, CALL_CLOSE };

struct shim {
    struct eng_scribe_system system;
    uint64_t calls, fail_at; /* 0 = never */
    bool from_then_on;
    int error_number;
    uint64_t syncs_after_failure; /* of a sync */
    bool sync_failed;
    bool other_failed; /* a call whose failure matters: not close */
    size_t write_most; /* 0 = no bound: short writes */
    uint64_t interrupt_every;
    uint64_t written_bytes;
};

static bool shim_fails(struct shim *shim, enum call call)
{
    shim->calls++;
    bool fails = shim->fail_at != 0 && (shim->calls == shim->fail_at ||
                                           (shim->from_then_on && shim->calls > shim->fail_at));
    if (fails) {
        errno = shim->error_number;
        shim->other_failed |= call != CALL_CLOSE;
        shim->sync_failed |= call == CALL_SYNC;
    }
    return fails;
}

static int shim_open(void *context, int directory_fd, const char *name)
{
    return shim_fails(context, CALL_OPEN)
               ? -1
               : eng_scribe_system_real.open_file(NULL, directory_fd, name);
}

static int shim_allocate(void *context, int fd, off_t bytes)
{
    return shim_fails(context, CALL_ALLOCATE) ? -1
                                              : eng_scribe_system_real.allocate(NULL, fd, bytes);
}

static ssize_t shim_write(void *context, int fd, const void *bytes, size_t count, off_t offset)
{
    struct shim *shim = context;
    if (shim_fails(shim, CALL_WRITE)) /* half of it got through, as disks do */
        return eng_scribe_system_real.write_at(NULL, fd, bytes, count / 2, offset) < 0
                   ? -1
                   : (errno = shim->error_number, -1);
    if (shim->interrupt_every != 0 && shim->calls % shim->interrupt_every == 0) {
        errno = EINTR;
        return -1;
    }
    if (shim->write_most != 0 && count > shim->write_most)
        count = shim->write_most;
    shim->written_bytes += count;
    return eng_scribe_system_real.write_at(NULL, fd, bytes, count, offset);
}

static int shim_sync(void *context, int fd)
{
    struct shim *shim = context;
    if (shim->sync_failed)
        shim->syncs_after_failure++;
    return shim_fails(shim, CALL_SYNC) ? -1 : eng_scribe_system_real.sync(NULL, fd);
}

static int shim_sync_directory(void *context, int fd)
{
    return shim_fails(context, CALL_SYNC_DIRECTORY)
               ? -1
               : eng_scribe_system_real.sync_directory(NULL, fd);
}

static int shim_close(void *context, int fd)
{
    bool fails = shim_fails(context, CALL_CLOSE);
    int result = eng_scribe_system_real.close_file(NULL, fd);
    if (fails)
        errno = ((struct shim *)context)->error_number;
    return fails ? -1 : result;
}

static void shim_make(struct shim *shim)
{
    memset(shim, 0, sizeof *shim);
    shim->error_number = EIO;
    shim->system = (struct eng_scribe_system){.open_file = shim_open,
        .allocate = shim_allocate,
        .write_at = shim_write,
        .sync = shim_sync,
        .sync_directory = shim_sync_directory,
        .close_file = shim_close,
        .context = shim};
}

/* A fixed load over five segments.
 *   returns false when the journal was full before its end */
static bool load_run(struct journal_world *world)
{
    for (int i = 0; i < 120; i++) {
        if (journal_world_append(world, 6000) == 0)
            return false;
        if (i % 3 == 2)
            (void)eng_scribe_round(world->journal);
    }
    return true;
}

/* The n-th call fails: entries stop with one sentence, the sync is not tried again, durable_lsn
 * never claims what is not on disk, memory loses nothing, and the next life has every fact. */
static bool check_nth(uint64_t n, int error_number, bool from_then_on)
{
    struct journal_world world;
    struct journal_reading reading;
    struct ipc_fact_alarm alarm;
    struct shim shim;
    shim_make(&shim);
    journal_world_make(&world);
    world.config.system = &shim.system;
    assert_int_equal(journal_world_open(&world), IPC_OK);
    shim.fail_at = n;
    shim.error_number = error_number;
    shim.from_then_on = from_then_on;
    bool ran = load_run(&world);
    bool failed = shim.calls >= n;
    uint64_t last = eng_journal_last_lsn(world.journal);
    uint64_t durable = eng_journal_durable_lsn(world.journal);
    if (failed) {
        assert_int_equal(eng_journal_state(world.journal), IPC_JOURNAL_STATE_DISK_FAILED);
        assert_false(eng_journal_takes_entries(world.journal));
        assert_true(eng_journal_alarm(world.journal, &alarm));
        assert_int_equal(alarm.alarm, IPC_ALARM_DISK);
        assert_non_null(strstr(alarm.text, "entries stopped"));
        assert_int_equal(shim.syncs_after_failure, 0);
        assert_int_equal(atomic_load(&world.journal->owner->failed_errno), (uint32_t)error_number);
        assert_false(eng_scribe_round(world.journal)); /* and stays so */
        assert_int_equal(eng_journal_durable_lsn(world.journal), durable);
    } else {
        assert_true(ran);
        assert_true(eng_scribe_round(world.journal));
    }
    journal_world_read(&world, true, false, NULL, &reading); /* the disk alone */
    assert_true(reading.last_lsn >= durable);
    assert_true(reading.payloads_right && reading.in_order);
    journal_world_read(&world, true, true, NULL, &reading); /* with memory */
    assert_int_equal(reading.end, IPC_JOURNAL_END);
    assert_int_equal(reading.last_lsn, last);
    assert_int_equal(reading.frames, last);
    assert_true(reading.payloads_right);
    journal_world_leave(&world);
    /* The disk works again, a person has started the engine anew. */
    shim_make(&shim);
    world.config.system = &shim.system;
    assert_int_equal(journal_world_open(&world), IPC_OK);
    /* What was not durable is written again, though the page cache may show it: a sync that failed
     * may have dropped it. */
    assert_true(shim.written_bytes >= (last - durable) * 6000);
    assert_int_equal(world.model.facts, last + 1);
    assert_false(world.result.reconcile_all);
    assert_true(eng_journal_takes_entries(world.journal));
    assert_true(eng_scribe_round(world.journal));
    journal_world_read(&world, false, false, NULL, &reading);
    assert_int_equal(reading.frames, last + 1);
    journal_world_remove(&world);
    return failed;
}

static void test_nth_call_fails_once(void **state)
{
    (void)state;
    uint64_t n = 1;
    while (check_nth(n, EIO, false))
        n++;
    print_message("%llu disk calls, each failed once\n", (unsigned long long)(n - 1));
    assert_true(n > 60);
}

static void test_nth_call_fails_from_then_on(void **state)
{
    (void)state;
    for (uint64_t n = 1; check_nth(n, ENOSPC, true); n += 3) {
    }
}

/* The disk fails while recovery makes the old segments durable: the engine starts with entries
 * stopped, and no fact is lost. */
static void test_disk_fails_in_recovery(void **state)
{
    (void)state;
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        struct journal_world world;
        struct journal_reading reading;
        struct shim shim;
        journal_world_make(&world);
        assert_int_equal(journal_world_open(&world), IPC_OK);
        while (world.journal->segment_no < 3)
            assert_int_not_equal(journal_world_append(&world, 6000), 0);
        uint64_t last = eng_journal_last_lsn(world.journal);
        journal_world_leave(&world);
        shim_make(&shim);
        shim.fail_at = n;
        shim.from_then_on = true;
        world.config.system = &shim.system;
        assert_int_equal(journal_world_open(&world), IPC_OK);
        failed = shim.other_failed;
        assert_int_equal(world.model.facts, last + 1);
        assert_int_equal(eng_journal_takes_entries(world.journal), !failed);
        assert_int_not_equal(journal_world_append(&world, 100), 0); /* an exit */
        if (failed)
            assert_int_equal(eng_journal_durable_lsn(world.journal), 0);
        journal_world_leave(&world);
        world.config.system = NULL;
        assert_int_equal(journal_world_open(&world), IPC_OK);
        assert_int_equal(world.model.facts, last + 3);
        assert_true(eng_journal_takes_entries(world.journal));
        assert_true(eng_scribe_round(world.journal));
        journal_world_read(&world, false, false, NULL, &reading);
        assert_int_equal(reading.frames, last + 3);
        assert_true(reading.payloads_right);
        journal_world_remove(&world);
        failed |= shim.calls >= n; /* it was a close */
    }
}

static void test_short_and_interrupted_writes(void **state)
{
    (void)state;
    struct journal_world world;
    struct journal_reading reading;
    struct shim shim;
    shim_make(&shim);
    shim.write_most = 1000;
    shim.interrupt_every = 3;
    journal_world_make(&world);
    world.config.system = &shim.system;
    assert_int_equal(journal_world_open(&world), IPC_OK);
    assert_true(load_run(&world));
    assert_true(eng_scribe_round(world.journal));
    journal_world_read(&world, false, false, NULL, &reading);
    assert_int_equal(reading.frames, 121);
    assert_true(reading.payloads_right);
    journal_world_remove(&world);
}

/* A file system that is really full: exits go on in the reserve, entries do not. */
static void test_full_file_system(void **state)
{
    (void)state;
    struct journal_world world;
    struct journal_reading reading;
    journal_world_make(&world);
    assert_int_equal(mkdir(world.disk, 0750), 0);
    if (mount("tmpfs", world.disk, "tmpfs", 0, "size=640k,mode=0750") != 0) {
        print_message("skipped: mounting a small tmpfs needs root (%s)\n", strerror(errno));
        journal_world_remove(&world);
        skip();
    }
    assert_int_equal(journal_world_open(&world), IPC_OK);
    uint64_t entries = 0, exits = 0;
    for (int i = 0; i < 2000 && eng_journal_takes_entries(world.journal); i++, entries++) {
        assert_int_not_equal(journal_world_append(&world, 1800), 0);
        (void)eng_scribe_round(world.journal);
    }
    assert_int_equal(eng_journal_state(world.journal), IPC_JOURNAL_STATE_DISK_FAILED);
    assert_non_null(strstr(world.journal->failed_text, "No space left"));
    assert_true(entries > 100 && entries < 400);
    while (journal_world_append(&world, 200) != 0)
        exits++;
    assert_true(exits > 100);
    uint64_t last = eng_journal_last_lsn(world.journal);
    journal_world_read(&world, false, true, NULL, &reading);
    assert_int_equal(reading.last_lsn, last);
    assert_true(reading.payloads_right);
    journal_world_leave(&world);
    /* Still full at the next start: it starts, with entries stopped, and knows everything. */
    assert_int_equal(journal_world_open(&world), IPC_OK);
    assert_int_equal(world.model.facts, last + 1);
    assert_false(eng_journal_takes_entries(world.journal));
    journal_world_leave(&world);
    /* Room is made: everything gets to the disk. */
    assert_int_equal(mount("tmpfs", world.disk, "tmpfs", MS_REMOUNT, "size=8m,mode=0750"), 0);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    assert_int_equal(world.model.facts, last + 2);
    assert_true(eng_journal_takes_entries(world.journal));
    assert_true(eng_scribe_round(world.journal));
    journal_world_read(&world, false, false, NULL, &reading);
    assert_int_equal(reading.frames, last + 2);
    journal_world_leave(&world);
    assert_int_equal(umount(world.disk), 0); /* nothing is left open */
    journal_world_remove(&world);
}

/* Somebody else writes into the memory journal: the scribe notices before it copies. */
static void test_memory_damaged_by_another(void **state)
{
    (void)state;
    struct journal_world world;
    journal_world_make(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    assert_int_equal(journal_world_append(&world, 500), 2);
    assert_true(eng_scribe_round(world.journal));
    assert_int_equal(journal_world_append(&world, 500), 3);
    world.journal->base[world.journal->offset - 200] ^= 1;
    assert_false(eng_scribe_round(world.journal));
    assert_int_equal(eng_journal_state(world.journal), IPC_JOURNAL_STATE_DAMAGED);
    assert_false(eng_journal_takes_entries(world.journal));
    assert_int_equal(eng_journal_durable_lsn(world.journal), 2);
    journal_world_remove(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nth_call_fails_once),
        cmocka_unit_test(test_nth_call_fails_from_then_on),
        cmocka_unit_test(test_disk_fails_in_recovery),
        cmocka_unit_test(test_short_and_interrupted_writes),
        cmocka_unit_test(test_full_file_system),
        cmocka_unit_test(test_memory_damaged_by_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
