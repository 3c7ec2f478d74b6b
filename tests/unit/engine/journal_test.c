/* engine/journal: frames, rolls at every boundary, the reserve, one owner, and a second life. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/journal_world.h"

static void test_writes_and_reads_back(void **state)
{
    (void)state;
    struct journal_world world;
    struct journal_reading reading;
    journal_world_make(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    assert_true(world.result.is_new);
    assert_int_equal(world.result.open_lsn, 1);
    assert_false(world.result.reconcile_all);
    static const uint32_t sizes[] = {0, 1, 63, 64, 65, 1800, 65472};
    for (size_t i = 0; i < LS_COUNT_OF(sizes); i++)
        assert_int_equal(journal_world_append(&world, sizes[i]), i + 2);
    journal_world_read(&world, false, true, NULL, &reading);
    assert_int_equal(reading.end, IPC_JOURNAL_END);
    assert_int_equal(reading.frames, LS_COUNT_OF(sizes) + 1);
    assert_true(reading.payloads_right && reading.in_order);
    assert_int_equal(reading.from_disk, 0);
    journal_world_remove(&world);
}

static void test_payload_shorter_than_begun_leaves_no_trace(void **state)
{
    (void)state;
    struct journal_world world;
    struct journal_reading reading;
    journal_world_make(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    for (int round = 0; round < 20; round++) {
        uint8_t *place = eng_journal_begin(world.journal, IPC_FACT_BATCH, 4000);
        assert_non_null(place);
        assert_int_equal((uintptr_t)place % 64, 0);
        memset(place, 0xff, 4000); /* begun and not committed */
        assert_int_equal(journal_world_append(&world, (uint32_t)round * 37), round + 2);
        journal_world_read(&world, true, true, NULL, &reading);
        assert_int_equal(reading.frames, round + 2);
        assert_true(reading.payloads_right);
        assert_true(reading.end == IPC_JOURNAL_TORN || reading.end == IPC_JOURNAL_END);
        assert_false(reading.dropped_committed);
    }
    journal_world_remove(&world);
}

/* A frame of every size that leaves 0, 64, 128 ... bytes at the segment's end. */
static void test_rolls_at_every_boundary(void **state)
{
    (void)state;
    for (uint32_t left = 0; left <= 40 * 64; left += 64) {
        struct journal_world world;
        struct journal_reading reading;
        journal_world_make(&world);
        assert_int_equal(journal_world_open(&world), IPC_OK);
        while (world.journal->offset + 2 * 65536 < world.config.segment_bytes)
            assert_int_not_equal(journal_world_append(&world, 65472), 0);
        uint64_t room = world.config.segment_bytes - world.journal->offset - left;
        while (room > 65536) {
            assert_int_not_equal(journal_world_append(&world, 30000 - 48), 0);
            room = world.config.segment_bytes - world.journal->offset - left;
        }
        assert_int_not_equal(journal_world_append(&world, (uint32_t)room - 64), 0);
        assert_int_equal(world.journal->offset, world.config.segment_bytes - left);
        assert_int_equal(world.journal->segment_no, 1);
        for (int i = 0; i < 3; i++) /* 20 blocks with the header */
            assert_int_not_equal(journal_world_append(&world, 19 * 64), 0);
        assert_int_equal(world.journal->segment_no, 2);
        uint64_t last = eng_journal_last_lsn(world.journal);
        journal_world_read(&world, false, true, NULL, &reading);
        assert_int_equal(reading.end, IPC_JOURNAL_END);
        assert_int_equal(reading.last_lsn, last);
        assert_true(reading.payloads_right);
        assert_true(eng_scribe_round(world.journal));
        journal_world_read(&world, false, false, NULL, &reading); /* the disk has the same */
        assert_int_equal(reading.end, IPC_JOURNAL_END);
        assert_int_equal(reading.frames, last);
        assert_int_equal(reading.from_disk, last);
        assert_true(reading.payloads_right);
        journal_world_remove(&world);
    }
}

/* Entries stop with the reserve untouched, exits go on into it, then everything is refused; the
 * scribe's round makes room again. */
static void test_reserve_and_full(void **state)
{
    (void)state;
    struct journal_world world;
    struct journal_reading reading;
    struct ipc_fact_alarm alarm;
    journal_world_make(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    assert_true(eng_journal_takes_entries(world.journal));
    assert_false(eng_journal_alarm(world.journal, &alarm));
    while (eng_journal_takes_entries(world.journal))
        assert_int_not_equal(journal_world_append(&world, 1800), 0);
    assert_int_equal(eng_journal_state(world.journal), IPC_JOURNAL_STATE_BEHIND);
    assert_true(eng_journal_alarm(world.journal, &alarm));
    assert_int_equal(alarm.alarm, IPC_ALARM_JOURNAL_FULL);
    assert_false(eng_journal_alarm(world.journal, &alarm)); /* once */
    uint64_t exits_bytes = 0, promised = eng_journal_room(world.journal);
    assert_true(promised + 4096 >= 60 * 1024);
    while (journal_world_append(&world, 200) != 0)
        exits_bytes += 320;
    assert_true(exits_bytes >= promised);
    assert_null(eng_journal_begin(world.journal, IPC_FACT_REPLY, 1000));
    assert_true(eng_journal_counters(world.journal)->refused_begins >= 2);
    uint64_t last = eng_journal_last_lsn(world.journal);
    assert_true(eng_scribe_round(world.journal));
    assert_int_equal(eng_journal_durable_lsn(world.journal), last);
    assert_true(eng_journal_takes_entries(world.journal));
    assert_false(eng_journal_alarm(world.journal, &alarm)); /* good news is no alarm */
    assert_int_not_equal(journal_world_append(&world, 1800), 0);
    journal_world_read(&world, false, true, NULL, &reading);
    assert_int_equal(reading.end, IPC_JOURNAL_END);
    assert_int_equal(reading.frames, last + 1);
    assert_true(reading.from_disk > 0 && reading.from_disk < last); /* the recycled ones */
    journal_world_remove(&world);
}

/* Many times around the ring: what recycled memory held before never looks valid. */
static void test_recycled_segments(void **state)
{
    (void)state;
    struct journal_world world;
    struct journal_reading reading;
    uint64_t salts[64] = {0};
    size_t salt_count = 0;
    journal_world_make(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    for (int i = 0; i < 900; i++) {
        assert_int_not_equal(journal_world_append(&world, 5000), 0);
        if (world.journal->counters.rolls > salt_count && salt_count < LS_COUNT_OF(salts)) {
            for (size_t k = 0; k < salt_count; k++)
                assert_true(salts[k] != world.journal->salt);
            salts[salt_count++] = world.journal->salt;
        }
        if (i % 10 == 9)
            assert_true(eng_scribe_round(world.journal));
        if (i % 100 == 99) {
            journal_world_read(&world, false, true, NULL, &reading);
            assert_int_equal(reading.end, IPC_JOURNAL_END);
            assert_int_equal(reading.frames, i + 2);
            assert_true(reading.payloads_right);
        }
    }
    assert_true(salt_count > 20);
    journal_world_remove(&world);
}

/* Frames of a segment's earlier life, put back byte for byte behind the last frame of its present
 * one, are not taken: the salt differs. */
static void test_old_frames_do_not_fit_a_new_salt(void **state)
{
    (void)state;
    struct journal_world world;
    struct journal_reading reading;
    journal_world_make(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    size_t bytes = world.config.segment_bytes;
    uint8_t *old = malloc(bytes);
    assert_non_null(old);
    for (int i = 0; i < 20; i++)
        assert_int_not_equal(journal_world_append(&world, 1000), 0);
    memcpy(old, world.journal->base, bytes);
    uint64_t first_base = (uint64_t)(uintptr_t)world.journal->base;
    do {
        assert_int_not_equal(journal_world_append(&world, 1000), 0);
        assert_true(eng_scribe_round(world.journal));
    } while (
        world.journal->segment_no == 1 || (uint64_t)(uintptr_t)world.journal->base != first_base);
    uint64_t last = eng_journal_last_lsn(world.journal);
    memcpy(world.journal->base + world.journal->offset, old + world.journal->offset,
        bytes - world.journal->offset);
    journal_world_read(&world, true, true, NULL, &reading);
    assert_int_equal(reading.last_lsn, last);
    assert_true(reading.payloads_right);
    assert_int_equal(reading.end, IPC_JOURNAL_TORN);
    free(old);
    journal_world_remove(&world);
}

static void test_second_engine_is_refused(void **state)
{
    (void)state;
    struct journal_world world;
    struct eng_journal *other;
    struct ipc_error error;
    journal_world_make(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    uint64_t generation = eng_journal_generation(world.journal);
    assert_int_equal(eng_journal_open(&world.config, &other, &error), IPC_BUSY);
    assert_non_null(strstr(error.text, "another engine"));
    assert_null(other);
    /* The same disk with another memory directory is the same journal. */
    struct eng_journal_config config = world.config;
    snprintf(config.memory_directory, sizeof config.memory_directory, "%s/other", world.shm.path);
    assert_int_equal(mkdir(config.memory_directory, 0770), 0);
    assert_int_equal(eng_journal_open(&config, &other, &error), IPC_BUSY);
    /* Another shard is another journal. */
    config = world.config;
    config.shard = 1;
    assert_int_equal(eng_journal_open(&config, &other, &error), IPC_OK);
    eng_journal_close(other);
    journal_world_leave(&world);
    assert_int_equal(eng_journal_open(&world.config, &other, &error), IPC_OK);
    assert_true(eng_journal_generation(other) > generation);
    eng_journal_close(other);
    journal_world_remove(&world);
}

/* The lock dies with its process, however it dies, and never before. */
static void test_owner_dies_and_the_next_takes_over(void **state)
{
    (void)state;
    struct journal_world world;
    journal_world_make(&world);
    for (int round = 0; round < 20; round++) {
        int ready[2];
        assert_int_equal(pipe(ready), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ready[0]);
            if (journal_world_open(&world) != IPC_OK || journal_world_append(&world, 500) == 0 ||
                write(ready[1], "x", 1) != 1)
                _exit(1);
            pause();
            _exit(1);
        }
        char byte;
        close(ready[1]);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        assert_int_equal(journal_world_open(&world), IPC_BUSY);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
    }
    assert_int_equal(journal_world_open(&world), IPC_OK);
    assert_int_equal(world.model.facts, 20 * 2 + 1);
    assert_int_equal(world.model.opens, 21);
    journal_world_remove(&world);
}

static void test_generation_taken_away_stops_entries(void **state)
{
    (void)state;
    struct journal_world world;
    struct ipc_fact_alarm alarm;
    journal_world_make(&world);
    assert_int_equal(journal_world_open(&world), IPC_OK);
    assert_true(eng_scribe_round(world.journal));
    atomic_fetch_add(&world.journal->owner->generation, 1);
    assert_false(eng_scribe_round(world.journal));
    assert_false(eng_journal_takes_entries(world.journal));
    assert_true(eng_journal_alarm(world.journal, &alarm));
    assert_int_equal(alarm.alarm, IPC_ALARM_DISK);
    assert_non_null(strstr(alarm.text, "another engine"));
    journal_world_remove(&world);
}

static void test_tier_power_waits_for_the_disk(void **state)
{
    (void)state;
    struct journal_world world;
    journal_world_make(&world);
    world.config.tier = ENG_TIER_POWER;
    assert_int_equal(journal_world_open(&world), IPC_OK);
    uint64_t lsn = journal_world_append(&world, 100);
    assert_false(eng_journal_is_durable(world.journal, lsn));
    assert_int_equal(atomic_load(&world.journal->wanted_lsn), lsn);
    assert_true(eng_scribe_round(world.journal));
    assert_true(eng_journal_is_durable(world.journal, lsn));
    uint64_t next = journal_world_append(&world, 100);
    assert_false(eng_journal_is_durable(world.journal, next));
    assert_true(eng_journal_is_durable(world.journal, lsn));
    journal_world_leave(&world);
    world.config.tier = ENG_TIER_PROCESS;
    assert_int_equal(journal_world_open(&world), IPC_OK);
    lsn = journal_world_append(&world, 100);
    assert_true(eng_journal_is_durable(world.journal, lsn));
    journal_world_remove(&world);
}

static void test_lives_follow_one_another(void **state)
{
    (void)state;
    struct journal_world world;
    uint32_t hash = 0;
    uint64_t facts = 0;
    journal_world_make(&world);
    for (int life = 0; life < 12; life++) {
        assert_int_equal(journal_world_open(&world), IPC_OK);
        assert_int_equal(world.model.hash, hash);
        assert_int_equal(world.model.facts, facts + 1);
        assert_int_equal(world.model.last_open.previous_lsn, facts);
        assert_int_equal(world.model.last_open.state_hash, hash);
        assert_int_equal(world.model.last_open.dropped_bytes, 0);
        assert_int_equal(world.model.last_open.same_boot, 1);
        assert_false(world.result.reconcile_all);
        for (int i = 0; i < life * 9; i++) {
            uint64_t lsn = journal_world_append(&world, 3000);
            assert_int_not_equal(lsn, 0);
            if (life % 3 == 2)
                assert_true(eng_scribe_round(world.journal));
        }
        if (life % 4 == 1)
            assert_true(eng_scribe_round(world.journal));
        journal_world_leave(&world);
        struct journal_model model = {0};
        struct journal_reading reading;
        journal_world_read(&world, true, true, NULL, &reading);
        assert_int_equal(reading.end, IPC_JOURNAL_END);
        facts = reading.frames;
        /* The hash of what is there now, by a recovery that is thrown away. */
        assert_int_equal(journal_world_open(&world), IPC_OK);
        hash = world.model.hash;
        facts = world.model.facts;
        journal_world_leave(&world);
        (void)model;
    }
    journal_world_remove(&world);
}

static void test_refusals(void **state)
{
    (void)state;
    struct journal_world world;
    struct eng_journal *journal;
    struct ipc_error error;
    journal_world_make(&world);
    struct eng_journal_config config = world.config;
    config.segment_bytes = 100000;
    assert_int_equal(eng_journal_open(&config, &journal, &error), IPC_BAD_INPUT);
    config = world.config;
    config.segment_count = 2;
    assert_int_equal(eng_journal_open(&config, &journal, &error), IPC_BAD_INPUT);
    config = world.config;
    config.reserve_bytes = 1u << 30;
    assert_int_equal(eng_journal_open(&config, &journal, &error), IPC_BAD_INPUT);
    config = world.config;
    snprintf(config.memory_directory, sizeof config.memory_directory, "%s/none", world.shm.path);
    assert_int_equal(eng_journal_open(&config, &journal, &error), IPC_SYSTEM);
    /* A link in the place of the directory is not followed. */
    char link_path[160];
    snprintf(link_path, sizeof link_path, "%s/journal.0", world.shm.path);
    assert_int_equal(symlink("/tmp", link_path), 0);
    assert_int_equal(eng_journal_open(&world.config, &journal, &error), IPC_SYSTEM);
    assert_int_equal(unlink(link_path), 0);
    journal_world_remove(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_and_reads_back),
        cmocka_unit_test(test_payload_shorter_than_begun_leaves_no_trace),
        cmocka_unit_test(test_rolls_at_every_boundary),
        cmocka_unit_test(test_reserve_and_full),
        cmocka_unit_test(test_recycled_segments),
        cmocka_unit_test(test_old_frames_do_not_fit_a_new_salt),
        cmocka_unit_test(test_second_engine_is_refused),
        cmocka_unit_test(test_owner_dies_and_the_next_takes_over),
        cmocka_unit_test(test_generation_taken_away_stops_entries),
        cmocka_unit_test(test_tier_power_waits_for_the_disk),
        cmocka_unit_test(test_lives_follow_one_another),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
