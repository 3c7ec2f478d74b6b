/* engine/journal killed after every single instruction of begin and commit, of a roll, and of the
 * send that follows: what the peer has seen is always complete in the journal, and what the journal
 * holds is always right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/journal_world.h"
#include "tests/support/stepkill.h"

/* What the peer sees, and what the child tells of itself; shared with it. */
struct shared {
    _Atomic uint64_t sent_lsn;     /* bytes were handed over for this frame */
    _Atomic uint64_t returned_lsn; /* commit has returned */
    uint64_t before_lsn;           /* last before the code under test */
};

struct death {
    struct journal_world world;
    bool has_world;
    struct shared *shared;
    bool at_roll;
    uint64_t none, uncommitted, whole, sent; /* what was found, counted */
};

static void death_reset(void *context)
{
    struct death *death = context;
    if (death->has_world)
        journal_world_remove(&death->world);
    journal_world_make(&death->world);
    death->has_world = true;
    memset(death->shared, 0, sizeof *death->shared);
}

/* In the child: a journal with some frames; at_roll: with too little room for the next. */
static void death_prepare(void *context)
{
    struct death *death = context;
    struct journal_world *world = &death->world;
    if (journal_world_open(world) != IPC_OK)
        _exit(3);
    for (int i = 0; i < 3; i++)
        if (journal_world_append(world, 300) == 0)
            _exit(3);
    while (death->at_roll && world->journal->offset + 128 <= world->config.segment_bytes)
        if (journal_world_append(world,
                world->journal->offset + 65536 <= world->config.segment_bytes ? 60000 : 0) == 0)
            _exit(3);
    death->shared->before_lsn = eng_journal_last_lsn(world->journal);
}

/* The code under test: an intent is journaled, then its bytes leave. */
static void death_run(void *context)
{
    struct death *death = context;
    uint64_t lsn = journal_world_append(&death->world, 24);
    atomic_store(&death->shared->returned_lsn, lsn);
    atomic_store(&death->shared->sent_lsn, lsn);
}

static void death_check(void *context, uint64_t steps, bool finished)
{
    (void)steps;
    struct death *death = context;
    struct journal_reading reading;
    journal_world_read(&death->world, false, true, NULL, &reading);
    uint64_t before = death->shared->before_lsn, sent = atomic_load(&death->shared->sent_lsn);
    assert_true(before >= 4);
    assert_true(reading.payloads_right && reading.in_order);
    assert_true(reading.end == IPC_JOURNAL_END || reading.end == IPC_JOURNAL_TORN);
    assert_false(reading.dropped_committed);
    assert_true(reading.last_lsn == before || reading.last_lsn == before + 1);
    assert_true(reading.last_lsn >= sent); /* the promise */
    assert_true(reading.last_lsn >= atomic_load(&death->shared->returned_lsn));
    if (finished)
        assert_int_equal(sent, before + 1);
    death->sent += sent != 0;
    death->whole += reading.last_lsn == before + 1;
    death->uncommitted += reading.last_lsn == before && reading.dropped_bytes > 0;
    death->none += reading.last_lsn == before && reading.dropped_bytes == 0;
    /* The next life has the same, or one more that lacked only its commit word. */
    uint64_t found = reading.last_lsn;
    assert_int_equal(journal_world_open(&death->world), IPC_OK);
    uint64_t folded = death->world.result.open.previous_lsn;
    assert_true(folded == found || (folded == found + 1 && found == before));
    assert_false(death->world.result.reconcile_all);
    journal_world_leave(&death->world);
}

static void run_deaths(bool at_roll, const void *start_at, unsigned start_hits, uint64_t stride)
{
    struct death death = {.at_roll = at_roll};
    struct stepkill_result result;
    death.shared =
        mmap(NULL, sizeof *death.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(death.shared != MAP_FAILED);
    struct stepkill plan = {.reset = death_reset,
        .prepare = death_prepare,
        .run = death_run,
        .check = death_check,
        .context = &death,
        .start_at = start_at,
        .start_hits = start_hits,
        .stride = stride};
    enum stepkill_end end = stepkill_run(&plan, &result);
    if (death.has_world)
        journal_world_remove(&death.world);
    munmap(death.shared, sizeof *death.shared);
    if (end == STEPKILL_NO_PTRACE) {
        print_message("skipped: the kernel does not let this process trace its child\n");
        skip();
    }
    assert_int_equal(end, STEPKILL_FINISHED);
    print_message("%llu deaths over %llu instructions: %llu without a trace, %llu with a tail, "
                  "%llu whole, of them %llu sent\n",
        (unsigned long long)result.points, (unsigned long long)result.longest_steps,
        (unsigned long long)death.none, (unsigned long long)death.uncommitted,
        (unsigned long long)death.whole, (unsigned long long)death.sent);
    assert_true(death.uncommitted > 0 && death.whole > death.sent && death.sent > 0);
}

static void test_begin_and_commit(void **state)
{
    (void)state;
    run_deaths(false, (const void *)(uintptr_t)eng_journal_begin, 1, 19);
}

/* Each instruction from the last part of the CRC on: over the commit word, to the send. */
static void test_every_instruction_around_the_commit_word(void **state)
{
    (void)state;
    run_deaths(false, (const void *)(uintptr_t)ipc_crc32c, 3, 1);
}

static void test_roll(void **state)
{
    (void)state;
    run_deaths(true, (const void *)(uintptr_t)eng_journal_roll, 1, 29);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begin_and_commit),
        cmocka_unit_test(test_every_instruction_around_the_commit_word),
        cmocka_unit_test(test_roll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
