/* engine/recovery: tails, corruption, power cuts, and being killed in the middle of itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/prng.h"
#include "tests/support/journal_world.h"

#define POWER_CUTS 200

static void file_write(const struct journal_world *world, bool on_disk, uint64_t no,
    const void *bytes, size_t count, uint64_t offset)
{
    char path[JOURNAL_PATH_BYTES];
    journal_world_path(world, on_disk, no, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, count, (off_t)offset), count);
    close(fd);
}

/* A hash over names and bytes of all files of both directories. */
static uint32_t directory_hash(const char *parent)
{
    char path[512];
    snprintf(path, sizeof path, "%s/journal.0", parent);
    DIR *directory = opendir(path);
    assert_non_null(directory);
    uint32_t hash = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (ipc_segment_name_parse(entry->d_name) == 0)
            continue;
        char file[800];
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        int fd = open(file, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        uint32_t one = ipc_crc32c(0, entry->d_name, strlen(entry->d_name));
        uint8_t bytes[65536];
        for (ssize_t got; (got = read(fd, bytes, sizeof bytes)) > 0;)
            one = ipc_crc32c(one, bytes, (size_t)got);
        close(fd);
        hash ^= one; /* in any order */
    }
    closedir(directory);
    return hash;
}

static void test_torn_tail_is_reported_and_kept(void **state)
{
    (void)state;
    struct journal_world world;
    struct journal_reading reading;
    journal_world_make(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    for (int i = 0; i < 10; i++)
        assert_int_not_equal(journal_world_append(&world, 1000), 0);
    uint64_t tail = world.journal->offset;
    /* The death of a writer in the middle of a payload. */
    memset(eng_journal_begin(world.journal, IPC_FACT_BATCH, 2000), 0x77, 1500);
    uint32_t hash = world.model.hash;
    (void)hash;
    journal_world_leave(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    assert_int_equal(world.model.facts, 12);
    assert_int_equal(world.result.open.previous_lsn, 11);
    assert_true(world.result.open.dropped_bytes >= 1500);
    assert_false(world.result.reconcile_all); /* it had no commit word: nothing was sent */
    assert_int_equal(world.journal->first_segment_no, 2);
    journal_world_leave(&world);
    /* The bytes are kept as evidence, on disk. */
    uint8_t kept[1500], wanted[1500];
    char path[JOURNAL_PATH_BYTES];
    journal_world_path(&world, true, 1, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, kept, sizeof kept, (off_t)tail + 64), sizeof kept);
    close(fd);
    memset(wanted, 0x77, sizeof wanted);
    assert_memory_equal(kept, wanted, sizeof kept);
    for (int again = 0; again < 3; again++) { /* said once, not again */
        assert_int_equal(journal_world_open(&world), IPC_OK);
        assert_int_equal(world.result.open.dropped_bytes, 0);
        assert_int_equal(world.model.facts, 13 + again);
        journal_world_leave(&world);
    }
    journal_world_read(&world, false, true, NULL, &reading);
    assert_int_equal(reading.end, IPC_JOURNAL_END);
    assert_int_equal(reading.frames, 15);
    journal_world_remove(&world);
}

static void test_committed_tail_lost_wants_reconcile(void **state)
{
    (void)state;
    struct journal_world world;
    journal_world_make(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    for (int i = 0; i < 10; i++)
        assert_int_not_equal(journal_world_append(&world, 1000), 0);
    uint64_t at = world.journal->offset - 500;
    journal_world_leave(&world);
    file_write(&world, false, 1, "rot", 3, at);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    assert_int_equal(world.model.facts, 11); /* one is lost; it may have been sent */
    assert_true(world.result.reconcile_all);
    assert_true(world.result.open.dropped_bytes > 0);
    assert_true(world.result.same_boot);
    journal_world_leave(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    assert_int_equal(world.model.facts, 12);
    journal_world_remove(&world);
}

/* Killed between the CRC and the commit word: the frame is whole and is taken. Nothing was sent for
 * it, but a rotten commit word would look the same, and then something was. */
static void test_whole_frame_without_commit_word(void **state)
{
    (void)state;
    struct journal_world world;
    struct journal_reading reading;
    journal_world_make(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    for (int i = 0; i < 10; i++)
        assert_int_not_equal(journal_world_append(&world, 1000), 0);
    uint64_t at = world.journal->offset - 1088;
    journal_world_leave(&world);
    uint32_t zero = 0;
    file_write(&world, false, 1, &zero, sizeof zero, at);
    journal_world_read(&world, false, true, NULL, &reading);
    assert_int_equal(reading.frames, 10); /* a follower of a live writer does not take it */
    assert_int_equal(journal_world_open(&world), IPC_OK);
    assert_int_equal(world.model.facts, 12);
    assert_int_equal(world.result.open_lsn, 12);
    journal_world_leave(&world);
    journal_world_read(&world, false, true, NULL, &reading);
    assert_int_equal(reading.end, IPC_JOURNAL_END);
    assert_int_equal(reading.frames, 12); /* now everybody does: the next segment counts on it */
    assert_int_equal(reading.uncommitted, 1);
    journal_world_remove(&world);
}

static void test_corruption_stops_and_changes_nothing(void **state)
{
    (void)state;
    struct journal_world world;
    struct journal_reading reading;
    journal_world_make(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    for (int i = 0; i < 100; i++)
        assert_int_not_equal(journal_world_append(&world, 5000), 0);
    uint64_t last = eng_journal_last_lsn(world.journal);
    journal_world_leave(&world);
    file_write(&world, false, 2, "rot", 3, 4096 + 5120 * 3 + 1000);
    uint32_t memory_hash = directory_hash(world.config.memory_directory);
    uint32_t disk_hash = directory_hash(world.config.disk_directory);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(journal_world_open(&world), IPC_BAD_CRC);
        assert_non_null(strstr(world.error.text, "--accept-corrupt"));
        assert_int_equal(directory_hash(world.config.memory_directory), memory_hash);
        assert_int_equal(directory_hash(world.config.disk_directory), disk_hash);
    }
    world.config.accept_corrupt = true; /* a person has decided */
    assert_int_equal(journal_world_open(&world), IPC_OK);
    assert_true(world.result.reconcile_all);
    assert_int_equal(world.result.holes, 1);
    assert_true(world.result.frames_maybe > 0);
    assert_int_equal(world.model.facts, last); /* one lost, one OPEN */
    assert_int_equal(world.result.open_lsn, last + 1);
    uint32_t hash = world.model.hash;
    journal_world_leave(&world);
    world.config.accept_corrupt = false; /* decided once, remembered by the journal */
    assert_int_equal(journal_world_open(&world), IPC_OK);
    assert_int_equal(world.model.hash, hash);
    assert_int_equal(world.model.facts, last + 1);
    assert_false(world.result.reconcile_all);
    journal_world_leave(&world);
    journal_world_read(&world, false, true, NULL, &reading);
    assert_int_equal(reading.last_lsn, last + 2);
    assert_int_equal(reading.holes, 1);
    journal_world_remove(&world);
}

static void test_damaged_header_stops(void **state)
{
    (void)state;
    for (uint64_t no = 1; no <= 3; no++) {
        struct journal_world world;
        journal_world_make(&world);
        assert_int_equal(journal_world_open(&world), IPC_OK);
        while (world.journal->segment_no < 3)
            assert_int_not_equal(journal_world_append(&world, 5000), 0);
        journal_world_leave(&world);
        file_write(&world, false, no, "rot", 3, 70);
        assert_int_equal(journal_world_open(&world), IPC_BAD_CRC);
        journal_world_remove(&world);
    }
}

static void test_missing_beginning_is_refused(void **state)
{
    (void)state;
    struct journal_world world;
    char path[JOURNAL_PATH_BYTES];
    journal_world_make(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    journal_world_leave(&world);
    assert_int_equal(
        journal_world_open(&world), IPC_OK); /* life 2: segment 2 begins with an OPEN */
    journal_world_leave(&world);
    journal_world_path(&world, true, 1, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(journal_world_open(&world), IPC_GONE);
    assert_non_null(strstr(world.error.text, "missing"));
    journal_world_remove(&world);
}

/* --- power cuts --- */

/* What the disk would hold after a power cut: every page that was synced, and of the others any. */
static void power_cut(struct journal_world *world, struct ipc_prng *prng, uint64_t synced_segment,
    uint64_t synced_offset, uint64_t last_segment)
{
    for (uint64_t no = synced_segment; no <= last_segment; no++) {
        char path[JOURNAL_PATH_BYTES];
        journal_world_path(world, true, no, path);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
            continue;
        uint64_t from = no == synced_segment ? synced_offset : IPC_SEGMENT_HEADER_BYTES;
        static const uint8_t zeros[4096];
        for (uint64_t page = from & ~UINT64_C(4095); page < world->config.segment_bytes;
             page += 4096) {
            if (ipc_prng_chance(prng, 1, 2))
                continue; /* it had been written back by chance */
            uint64_t start = page < from ? from : page;
            assert_true(pwrite(fd, zeros, page + 4096 - start, (off_t)start) > 0);
        }
        close(fd);
    }
    for (uint64_t no = 1; no < last_segment + 8; no++) { /* memory is gone */
        char path[JOURNAL_PATH_BYTES];
        journal_world_path(world, false, no, path);
        unlink(path);
    }
    char path[JOURNAL_PATH_BYTES];
    snprintf(path, sizeof path, "%s/journal.0/owner", world->config.memory_directory);
    unlink(path);
}

static void test_power_cuts(void **state)
{
    (void)state;
    uint64_t seed = 20251121;
    const char *wanted = getenv("LS_SEED");
    if (wanted != NULL)
        seed = strtoull(wanted, NULL, 10);
    print_message("seed %llu\n", (unsigned long long)seed);
    struct ipc_prng prng;
    ipc_prng_seed(&prng, seed);
    uint64_t holes = 0, lost = 0, unfit = 0;
    for (int round = 0; round < POWER_CUTS; round++) {
        struct journal_world world;
        journal_world_make(&world);
        assert_int_equal(journal_world_open(&world), IPC_OK);
        uint64_t synced_segment = 1, synced_offset = IPC_SEGMENT_HEADER_BYTES, durable = 0;
        uint64_t frames = 20 + ipc_prng_below(&prng, 100);
        uint64_t sync_at = ipc_prng_below(&prng, frames);
        for (uint64_t i = 0; i < frames; i++) {
            assert_int_not_equal(
                journal_world_append(&world, (uint32_t)ipc_prng_below(&prng, 4000)), 0);
            if (i != sync_at)
                continue;
            assert_true(eng_scribe_round(world.journal));
            durable = eng_journal_durable_lsn(world.journal);
            synced_segment = world.journal->segment_no;
            synced_offset = world.journal->offset;
        }
        uint64_t last = eng_journal_last_lsn(world.journal), last_no = world.journal->segment_no;
        assert_true(eng_scribe_round(world.journal)); /* written; the cut undoes some of it */
        journal_world_leave(&world);
        power_cut(&world, &prng, synced_segment, synced_offset, last_no);
        memset(world.config.boot_id, round + 1, sizeof world.config.boot_id);
        world.refuses_maybe = round % 2 != 0;
        enum ipc_rc rc = journal_world_open(&world);
        if (rc != IPC_OK)
            print_message("round %d: %s\n", round, world.error.text);
        assert_int_equal(rc, IPC_OK);
        assert_false(world.result.same_boot);
        assert_true(world.result.reconcile_all);
        assert_true(world.result.frames >= durable); /* nothing durable is lost */
        assert_true(world.result.frames - world.result.frames_maybe >= durable);
        assert_true(world.model.last_lsn <= last + 1);
        assert_true(world.result.open.previous_lsn <= last);
        if (world.result.holes > 0)
            assert_true(world.result.open.dropped_bytes > 0);
        holes += world.result.holes;
        lost += last - world.result.frames;
        uint32_t hash = world.model.hash;
        assert_int_equal(
            world.result.frames_unfit, world.refuses_maybe ? world.result.frames_maybe : 0);
        unfit += world.result.frames_unfit;
        uint64_t facts = world.model.facts + world.result.frames_unfit;
        for (int i = 0; i < 3; i++)
            assert_int_not_equal(journal_world_append(&world, 100), 0);
        journal_world_leave(&world);
        for (int again = 0; again < 2; again++) { /* the next starts, of the new boot */
            struct journal_reading reading;
            journal_world_read(&world, true, true, NULL, &reading);
            assert_int_equal(reading.end, IPC_JOURNAL_END);
            assert_true(reading.payloads_right && reading.in_order);
            assert_int_equal(reading.frames, facts + 3 + (uint64_t)again);
            assert_int_equal(journal_world_open(&world), IPC_OK);
            assert_true(world.result.same_boot);
            assert_false(world.result.reconcile_all);
            if (again == 1)
                assert_int_equal(world.model.hash, hash);
            hash = world.model.hash;
            journal_world_leave(&world);
        }
        journal_world_remove(&world);
    }
    print_message("%llu holes, %llu facts lost that were not durable\n", (unsigned long long)holes,
        (unsigned long long)lost);
    assert_true(holes > POWER_CUTS / 2);
    assert_true(unfit > 0);
}

/* --- killed in recovery --- */

static uint64_t calls_left;

static void die_at_call(void)
{
    if (calls_left-- == 0)
        kill(getpid(), SIGKILL);
}

static int dying_open(void *context, int directory_fd, const char *name)
{
    (void)context;
    die_at_call();
    return eng_scribe_system_real.open_file(NULL, directory_fd, name);
}
static int dying_allocate(void *context, int fd, off_t bytes)
{
    (void)context;
    die_at_call();
    return eng_scribe_system_real.allocate(NULL, fd, bytes);
}
static ssize_t dying_write(void *context, int fd, const void *bytes, size_t count, off_t offset)
{
    (void)context;
    /* Dies with half of it written. */
    ssize_t half = eng_scribe_system_real.write_at(NULL, fd, bytes, (count + 1) / 2, offset);
    die_at_call();
    return half;
}
static int dying_sync(void *context, int fd)
{
    (void)context;
    die_at_call();
    return eng_scribe_system_real.sync(NULL, fd);
}
static int dying_sync_directory(void *context, int fd)
{
    (void)context;
    die_at_call();
    return eng_scribe_system_real.sync_directory(NULL, fd);
}
static int dying_close(void *context, int fd)
{
    (void)context;
    die_at_call();
    return eng_scribe_system_real.close_file(NULL, fd);
}

static const struct eng_scribe_system dying_system = {.open_file = dying_open,
    .allocate = dying_allocate,
    .write_at = dying_write,
    .sync = dying_sync,
    .sync_directory = dying_sync_directory,
    .close_file = dying_close};

static bool child_was_killed(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return true;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return false;
}

/* Recovery dies at its n-th disk call, for every n; then it runs through and finds every fact. */
static void test_killed_at_every_disk_call(void **state)
{
    (void)state;
    bool killed = true;
    uint64_t n;
    for (n = 0; killed; n++) {
        struct journal_world world;
        journal_world_make(&world);
        assert_int_equal(journal_world_open(&world), IPC_OK);
        while (world.journal->segment_no < 3)
            assert_int_not_equal(journal_world_append(&world, 20000), 0);
        memset(eng_journal_begin(world.journal, IPC_FACT_BATCH, 900), 0x55, 900);
        uint64_t last = eng_journal_last_lsn(world.journal);
        journal_world_leave(&world);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            calls_left = n;
            world.config.system = &dying_system;
            _exit(journal_world_open(&world) == IPC_OK ? 0 : 1);
        }
        killed = child_was_killed(child);
        assert_int_equal(journal_world_open(&world), IPC_OK);
        assert_int_equal(world.result.frames, killed ? last : last + 1);
        assert_true(world.result.open.dropped_bytes >= (killed ? 800 : 0));
        assert_false(world.result.reconcile_all);
        journal_world_leave(&world);
        struct journal_reading reading;
        journal_world_read(&world, false, true, NULL, &reading);
        assert_int_equal(reading.end, IPC_JOURNAL_END);
        assert_int_equal(reading.frames, killed ? last + 1 : last + 2);
        journal_world_remove(&world);
    }
    print_message("%llu points\n", (unsigned long long)n);
    assert_true(n > 10);
}

/* A loop of starts that are killed at any moment, the load too: every fact that was committed (the
 * pipe says so) is folded by the start that ends it. */
static void test_killed_at_any_moment_again_and_again(void **state)
{
    (void)state;
    struct journal_world world;
    struct ipc_prng prng;
    ipc_prng_seed(&prng, 7);
    journal_world_make(&world);
    uint64_t promised = 0;
    for (int round = 0; round < 50; round++) {
        int told[2];
        assert_int_equal(pipe(told), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(told[0]);
            if (journal_world_open(&world) != IPC_OK)
                _exit(1);
            for (;;) {
                uint64_t lsn = journal_world_append(&world, 700);
                if (lsn != 0 && write(told[1], &lsn, sizeof lsn) != sizeof lsn)
                    _exit(1);
                if (lsn == 0 || lsn % 64 == 0)
                    (void)eng_scribe_round(world.journal);
            }
        }
        close(told[1]);
        usleep((useconds_t)ipc_prng_below(&prng, 6000));
        assert_int_equal(kill(child, SIGKILL), 0);
        for (uint64_t lsn; read(told[0], &lsn, sizeof lsn) == sizeof lsn;)
            promised = lsn;
        close(told[0]);
        assert_true(child_was_killed(child));
    }
    assert_int_equal(journal_world_open(&world), IPC_OK);
    assert_true(world.result.open.previous_lsn >= promised);
    assert_int_equal(world.result.frames, world.result.open.previous_lsn); /* dense */
    assert_true(promised > 20);
    print_message("%llu facts over 50 deaths\n", (unsigned long long)promised);
    journal_world_remove(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torn_tail_is_reported_and_kept),
        cmocka_unit_test(test_committed_tail_lost_wants_reconcile),
        cmocka_unit_test(test_whole_frame_without_commit_word),
        cmocka_unit_test(test_corruption_stops_and_changes_nothing),
        cmocka_unit_test(test_damaged_header_stops),
        cmocka_unit_test(test_missing_beginning_is_refused),
        cmocka_unit_test(test_power_cuts),
        cmocka_unit_test(test_killed_at_every_disk_call),
        cmocka_unit_test(test_killed_at_any_moment_again_and_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
