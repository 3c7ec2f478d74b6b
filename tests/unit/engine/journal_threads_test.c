/* engine/journal with its real threads: the writer, the scribe and a reader that follows, many
 * times around a small ring. Under the thread sanitizer this is the check of the memory order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/clock.h"
#include "ipc/prng.h"
#include "tests/support/journal_world.h"

#define FRAMES 8000u

struct follower {
    struct journal_world *world;
    _Atomic uint64_t until; /* lsn that ends it, 0 = not known yet */
    uint64_t frames, from_disk;
    bool right;
    struct ipc_error error;
};

static void *follow(void *argument)
{
    struct follower *follower = argument;
    struct ipc_journal_reader_options options = {
        .memory_directory = follower->world->config.memory_directory,
        .disk_directory = follower->world->config.disk_directory,
    };
    struct ipc_journal_reader *reader;
    struct ipc_journal_entry entry;
    if (ipc_journal_reader_open(&options, &reader, &follower->error) != IPC_OK)
        return NULL;
    follower->right = true;
    while (follower->right) {
        enum ipc_journal_step step = ipc_journal_reader_next(reader, &entry);
        if (step == IPC_JOURNAL_END) {
            uint64_t until = atomic_load(&follower->until);
            if (until != 0 && follower->frames >= until)
                break;
            sched_yield();
            continue;
        }
        follower->right = step == IPC_JOURNAL_FRAME && entry.frame->lsn == follower->frames + 1 &&
                          journal_world_payload_right(entry.frame, entry.payload);
        if (step != IPC_JOURNAL_FRAME)
            follower->error = entry.error;
        follower->frames++;
        follower->from_disk += (entry.flags & IPC_ENTRY_FROM_DISK) != 0;
        if (entry.frame->lsn % 3000 == 0)
            usleep(20000); /* falls behind now and then */
    }
    ipc_journal_reader_close(reader);
    return NULL;
}

static void test_writer_scribe_reader(void **state)
{
    (void)state;
    struct journal_world world;
    struct ipc_prng prng;
    ipc_prng_seed(&prng, 11);
    journal_world_make(&world);
    world.config.sync_ms = 2;
    assert_int_equal(journal_world_open(&world), IPC_OK);
    assert_int_equal(eng_scribe_start(world.journal, -1, &world.error), IPC_OK);
    struct follower follower = {.world = &world};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, follow, &follower), 0);
    uint64_t full = 0;
    for (uint32_t i = 0; i < FRAMES;) {
        if (journal_world_append(&world, (uint32_t)ipc_prng_below(&prng, 900)) != 0) {
            i++;
            continue;
        }
        full++;
        usleep(200);
    }
    atomic_store(&follower.until, FRAMES + 1);
    pthread_join(thread, NULL);
    assert_string_equal(follower.error.text, "");
    assert_true(follower.right);
    assert_int_equal(follower.frames, FRAMES + 1);
    assert_true(eng_scribe_stop(world.journal));
    assert_int_equal(eng_journal_durable_lsn(world.journal), FRAMES + 1);
    assert_true(eng_journal_counters(world.journal)->rolls > 15);
    print_message("%u frames, %llu times full, %llu read from disk\n", FRAMES,
        (unsigned long long)full, (unsigned long long)follower.from_disk);
    struct journal_reading reading;
    journal_world_read(&world, false, false, NULL, &reading);
    assert_int_equal(reading.frames, FRAMES + 1);
    journal_world_remove(&world);
}

/* The scribe is durable by itself in time, and at once when it is asked. */
static void test_durable_in_time(void **state)
{
    (void)state;
    struct journal_world world;
    for (int tier = ENG_TIER_PROCESS; tier <= ENG_TIER_POWER; tier++) {
        journal_world_make(&world);
        world.config.tier = (enum eng_tier)tier;
        world.config.sync_ms = tier == ENG_TIER_PROCESS ? 10 : 10000;
        assert_int_equal(journal_world_open(&world), IPC_OK);
        assert_int_equal(eng_scribe_start(world.journal, -1, &world.error), IPC_OK);
        int64_t worst_ns = 0;
        for (int i = 0; i < 30; i++) {
            uint64_t lsn = journal_world_append(&world, 300);
            int64_t started_ns = ipc_clock_mono_ns();
            while (tier == ENG_TIER_PROCESS ? eng_journal_durable_lsn(world.journal) < lsn
                                            : !eng_journal_is_durable(world.journal, lsn))
                usleep(50);
            worst_ns = ls_max_i64(worst_ns, ipc_clock_mono_ns() - started_ns);
        }
        print_message("%s: durable after at most %lld us\n",
            tier == ENG_TIER_PROCESS ? "process" : "power", (long long)(worst_ns / LS_NS_PER_US));
        assert_true(worst_ns < 1000 * LS_NS_PER_MS); /* the sleep of tier power is 5 s */
        assert_true(eng_scribe_stop(world.journal));
        journal_world_remove(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writer_scribe_reader),
        cmocka_unit_test(test_durable_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
