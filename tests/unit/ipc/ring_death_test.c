/* Real processes that die: a producer at every instruction of a publish, a consumer at every
 * instruction of a poll, a maker in the middle of making, and both at random times. */
#include "ipc/prng.h"
#include "ipc/region_private.h"
#include "ipc/ring.h"
#include "tests/support/stepkill.h"
#include "tests/support/tempshm.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KILL_STRIDE 997 /* a sanitizer makes ten instructions of each */
#else
#define KILL_STRIDE 61
#endif
#define SLOTS         8u
#define NUMBERS_MAX   4096u
#define RECORD_NUMBER 64u /* 32-bit words of the longest record: 256 bytes, three slots */

static const struct ipc_ring_name ring_name = {
    .producer = "p", .shard = 0, .ring_class = IPC_RING_ORDERS};

/* What children tell the parent; survives their death as rings do. */
struct ledger {
    _Atomic uint32_t count;
    uint32_t number[NUMBERS_MAX];
};

struct world {
    struct tempshm temporary;
    struct ipc_shm shm;
    struct ledger *ledger;
    struct ipc_ring_producer producer;
    struct ipc_ring_consumer consumer;
    struct ipc_region region; /* the parent's look at a ring that is being stepped */
    uint8_t *copy;            /* what a kill would leave; NULL = the ring itself */
    uint32_t words;           /* of the record under test */
    uint32_t before;          /* records in the ring before it */
    uint64_t seen;            /* points at which the record was there */
    uint64_t absent;          /* points at which it was not */
    uint64_t repeats;         /* records that a second consumer saw again */
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    tempshm_make(&world->temporary);
    assert_int_equal(ipc_shm_open(&world->shm, world->temporary.path, "t1", true, NULL), IPC_OK);
    world->ledger = mmap(
        NULL, sizeof *world->ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(world->ledger != MAP_FAILED);
    world->region.fd = -1;
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    munmap(world->ledger, sizeof *world->ledger);
    ipc_region_detach(&world->region);
    free(world->copy);
    ipc_shm_close(&world->shm);
    tempshm_remove(&world->temporary);
    free(world);
    return 0;
}

/* A record of that many words, all of them its number. */
static enum ipc_rc offer(struct ipc_ring_producer *producer, uint32_t number, uint32_t words)
{
    uint32_t record[RECORD_NUMBER];
    for (uint32_t i = 0; i < words; i++)
        record[i] = number;
    return ipc_ring_offer(producer, record, words * sizeof record[0], NULL);
}

static enum ipc_rc poll_number(
    struct ipc_ring_consumer *consumer, uint32_t *number, uint32_t *words)
{
    uint32_t record[RECORD_NUMBER];
    size_t bytes;
    uint64_t sequence;
    enum ipc_rc rc = ipc_ring_poll(consumer, record, sizeof record, &bytes, &sequence);
    if (rc != IPC_OK)
        return rc;
    *number = record[0];
    *words = (uint32_t)(bytes / sizeof record[0]);
    for (uint32_t i = 0; i < *words; i++)
        assert_int_equal(record[i], record[0]);
    return IPC_OK;
}

static void expect_number(struct ipc_ring_consumer *consumer, uint32_t number)
{
    uint32_t got, words;
    assert_int_equal(poll_number(consumer, &got, &words), IPC_OK);
    assert_int_equal(got, number);
}

static void attach_producer(struct world *world)
{
    struct ipc_error error = {.text = ""};
    world->producer.region.fd = -1;
    enum ipc_rc rc;
    if (world->copy != NULL)
        rc = ipc_ring_bind_producer(
            &world->producer, world->copy, ipc_ring_footprint(SLOTS), &error);
    else
        rc = ipc_ring_attach_producer(&world->shm, &ring_name, &world->producer, &error);
    if (rc != IPC_OK)
        fail_msg("%s", error.text);
}

static void attach_consumer(struct world *world)
{
    struct ipc_error error = {.text = ""};
    world->consumer.region.fd = -1;
    enum ipc_rc rc;
    if (world->copy != NULL)
        rc = ipc_ring_bind_consumer(
            &world->consumer, world->copy, ipc_ring_footprint(SLOTS), &error);
    else
        rc = ipc_ring_attach_consumer(&world->shm, &ring_name, &world->consumer, &error);
    if (rc != IPC_OK)
        fail_msg("%s", error.text);
}

/* A fresh ring whose positions are at `used`, so that records wrap around its end, holding `before`
 * records of one slot. */
static void make_ring(struct world *world, uint32_t used)
{
    enum ipc_rc rc = ipc_region_remove(&world->shm, "ring.p.0.orders", NULL);
    assert_true(rc == IPC_OK || rc == IPC_NOT_FOUND);
    assert_int_equal(ipc_ring_create(&world->shm, &ring_name, SLOTS, NULL), IPC_OK);
    attach_producer(world);
    attach_consumer(world);
    uint32_t number, words;
    for (uint32_t i = 0; i < used; i++) {
        assert_int_equal(offer(&world->producer, 0, 1), IPC_OK);
        assert_int_equal(poll_number(&world->consumer, &number, &words), IPC_OK);
    }
    ipc_ring_release(&world->consumer);
    for (uint32_t i = 0; i < world->before; i++)
        assert_int_equal(offer(&world->producer, 1 + i, 1), IPC_OK);
    ipc_ring_detach_producer(&world->producer);
    ipc_ring_detach_consumer(&world->consumer);
    memset((void *)world->ledger, 0, sizeof *world->ledger);
}

/* The parent's own mapping of the ring, from which copies are taken. */
static void watch_ring(struct world *world)
{
    struct ipc_region_info info;
    assert_int_equal(ipc_region_inspect(&world->shm, "ring.p.0.orders", &info, NULL), IPC_OK);
    struct ipc_region_spec spec = {.name = "ring.p.0.orders",
        .kind = IPC_REGION_RING,
        .layout_hash = info.header.layout_hash,
        .body_bytes = ipc_ring_footprint(SLOTS)};
    ipc_region_detach(&world->region);
    assert_int_equal(ipc_region_attach(&world->shm, &spec, &world->region, NULL), IPC_OK);
}

static void take_copy(struct world *world)
{
    if (world->copy == NULL)
        world->copy = aligned_alloc(LS_LINE_BYTES, ipc_ring_footprint(SLOTS));
    assert_non_null(world->copy);
    memcpy(world->copy, world->region.body, ipc_ring_footprint(SLOTS));
}

static void skip_if_not_worthwhile(void)
{
    if (!STEPKILL_WORTHWHILE) {
        print_message("stepping through the thread sanitizer takes minutes: not tested\n");
        skip();
    }
}

static void judge_end(enum stepkill_end end)
{
    if (end == STEPKILL_NO_PTRACE) {
        print_message("this kernel lets nobody trace: not tested\n");
        skip();
    }
    assert_int_equal(end, STEPKILL_FINISHED);
}

/* Looks at what a kill would leave after every instruction, on copies. */
static struct stepkill_result walk_everywhere(struct stepkill plan, struct world *world)
{
    struct stepkill_result result;
    skip_if_not_worthwhile();
    plan.context = world;
    enum stepkill_end end = stepkill_walk(&plan, &result);
    free(world->copy);
    world->copy = NULL;
    judge_end(end);
    return result;
}

/* Kills in earnest, with locks dropped by the kernel, at points a prime apart. */
static struct stepkill_result kill_apart(struct stepkill plan, struct world *world)
{
    struct stepkill_result result;
    skip_if_not_worthwhile();
    plan.context = world;
    plan.stride = plan.by_syscall ? 1 : KILL_STRIDE;
    judge_end(stepkill_run(&plan, &result));
    return result;
}

/* --- a producer dies in a publish --- */

static void reset_publish(void *context)
{
    make_ring(context, 5);
    watch_ring(context);
}

static void prepare_publish(void *context)
{
    attach_producer(context);
}

static void run_publish(void *context)
{
    struct world *world = context;
    if (offer(&world->producer, 100, world->words) != IPC_OK)
        abort();
}

/* Whatever instruction it died at: the record is there as a whole or not at all, what was there
 * before is there, and the next producer's records follow. */
static void check_publish(void *context, uint64_t steps, bool finished)
{
    struct world *world = context;
    /* The consumer may look before the next producer comes, or after. */
    bool early = steps % 2 == 0;
    uint32_t number, words;
    if (early)
        attach_consumer(world);
    else
        attach_producer(world);
    bool seen = false;
    if (early) {
        for (uint32_t i = 0; i < world->before; i++)
            expect_number(&world->consumer, 1 + i);
        enum ipc_rc rc = poll_number(&world->consumer, &number, &words);
        assert_true(rc == IPC_OK || rc == IPC_EMPTY);
        seen = rc == IPC_OK;
        if (seen)
            assert_true(number == 100 && words == world->words);
        attach_producer(world);
    } else {
        attach_consumer(world);
    }
    assert_int_equal(offer(&world->producer, 201, 1), IPC_OK);
    if (!early) {
        for (uint32_t i = 0; i < world->before; i++)
            expect_number(&world->consumer, 1 + i);
        assert_int_equal(poll_number(&world->consumer, &number, &words), IPC_OK);
        seen = number == 100;
        if (seen) {
            assert_int_equal(words, world->words);
            assert_int_equal(poll_number(&world->consumer, &number, &words), IPC_OK);
        }
        assert_int_equal(number, 201);
    } else {
        expect_number(&world->consumer, 201);
    }
    assert_int_equal(poll_number(&world->consumer, &number, &words), IPC_EMPTY);
    ipc_ring_release(&world->consumer);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(offer(&world->producer, 202 + i, RECORD_NUMBER), IPC_OK);
    expect_number(&world->consumer, 202);
    expect_number(&world->consumer, 203);
    assert_int_equal(poll_number(&world->consumer, &number, &words), IPC_EMPTY);
    assert_int_equal(atomic_load(&world->consumer.page->bad_count), 0);
    if (finished)
        assert_true(seen);
    world->seen += seen;
    world->absent += !seen;
    ipc_ring_detach_producer(&world->producer);
    ipc_ring_detach_consumer(&world->consumer);
}

static void check_publish_copy(void *context, uint64_t steps, bool finished)
{
    take_copy(context);
    check_publish(context, steps, finished);
}

static void publish_case(struct world *world, uint32_t words, uint32_t before)
{
    world->words = words;
    world->before = before;
    world->seen = world->absent = 0;
    struct stepkill plan = {.reset = reset_publish,
        .prepare = prepare_publish,
        .run = run_publish,
        .check = check_publish_copy,
        .start_at = (const void *)(uintptr_t)ipc_ring_offer};
    struct stepkill_result walk = walk_everywhere(plan, world);
    print_message("%u bytes: %" PRIu64 " instructions, record absent at %" PRIu64
                  ", there at %" PRIu64 "\n",
        words * 4, walk.points, world->absent, world->seen);
    assert_true(world->absent > 0);
    assert_true(world->seen > 0);
    plan.check = check_publish;
    struct stepkill_result kills = kill_apart(plan, world);
    assert_true(kills.points > 1);
}

static void test_producer_killed_at_every_instruction(void **state)
{
    publish_case(*state, 1, 0);
    publish_case(*state, 28, 1);            /* exactly one slot */
    publish_case(*state, RECORD_NUMBER, 2); /* three slots, around the end of the ring */
}

/* The same in the scan of a producer that takes over; what it took over stays. */
static void reset_takeover(void *context)
{
    struct world *world = context;
    make_ring(world, 5);
    attach_producer(world);
    assert_int_equal(offer(&world->producer, 100, world->words), IPC_OK);
    /* As if the last one had died between its publishing store and its tail. */
    atomic_store(&world->producer.page->tail, 5 + world->before);
    ipc_ring_detach_producer(&world->producer);
    watch_ring(world);
}

static void prepare_takeover(void *context)
{
    struct world *world = context;
    attach_producer(world);
    /* The attachment has repaired it: undo, so that the stepped scan repairs it again. */
    atomic_store(&world->producer.page->tail, 5 + world->before);
}

static void run_takeover(void *context)
{
    struct world *world = context;
    if (ipc_ring_bind_producer(&world->producer, world->producer.region.body,
            world->producer.region.body_bytes, NULL) != IPC_OK)
        abort();
}

static void test_taking_over_killed_at_every_instruction(void **state)
{
    struct world *world = *state;
    world->words = RECORD_NUMBER;
    world->before = 1;
    struct stepkill plan = {.reset = reset_takeover,
        .prepare = prepare_takeover,
        .run = run_takeover,
        .check = check_publish_copy,
        .start_at = (const void *)(uintptr_t)ipc_ring_bind_producer};
    struct stepkill_result walk = walk_everywhere(plan, world);
    assert_int_equal(world->seen, walk.points);
    plan.check = check_publish;
    struct stepkill_result kills = kill_apart(plan, world);
    assert_int_equal(world->seen, walk.points + kills.points);
}

/* --- a consumer dies in a poll --- */

static void reset_poll(void *context)
{
    make_ring(context, 5);
    watch_ring(context);
}

static void prepare_poll(void *context)
{
    attach_consumer(context);
}

static void run_poll(void *context)
{
    struct world *world = context;
    for (uint32_t i = 0; i < world->before; i++) {
        uint32_t number;
        size_t bytes;
        uint64_t sequence;
        if (ipc_ring_poll(&world->consumer, &number, sizeof number, &bytes, &sequence) != IPC_OK)
            abort();
        world->ledger->number[i] = number;
        atomic_store_explicit(&world->ledger->count, i + 1, memory_order_release);
        if (i % 2 == 1)
            ipc_ring_release(&world->consumer);
    }
}

/* Everything is delivered: by the first consumer or by the second, in order, without a hole; twice
 * only what the first had not released. */
static void check_poll(void *context, uint64_t steps, bool finished)
{
    struct world *world = context;
    (void)steps;
    uint32_t taken = atomic_load(&world->ledger->count);
    for (uint32_t i = 0; i < taken; i++)
        assert_int_equal(world->ledger->number[i], 1 + i);
    attach_consumer(world);
    uint32_t number, words, next = 0;
    while (poll_number(&world->consumer, &number, &words) == IPC_OK) {
        if (next == 0) {
            assert_true(number <= taken + 1);
            world->repeats += taken + 1 - number;
            assert_true(taken + 1 - number <= 2);
        } else {
            assert_int_equal(number, next);
        }
        next = number + 1;
    }
    if (next == 0)
        assert_int_equal(taken, world->before);
    else
        assert_int_equal(next, world->before + 1);
    if (finished)
        assert_int_equal(taken, world->before);
    ipc_ring_detach_consumer(&world->consumer);
}

static void check_poll_copy(void *context, uint64_t steps, bool finished)
{
    take_copy(context);
    check_poll(context, steps, finished);
}

static void test_consumer_killed_at_every_instruction(void **state)
{
    struct world *world = *state;
    world->before = 4;
    struct stepkill plan = {
        .reset = reset_poll, .prepare = prepare_poll, .run = run_poll, .check = check_poll_copy};
    struct stepkill_result walk = walk_everywhere(plan, world);
    print_message("%" PRIu64 " instructions, %" PRIu64 " records delivered again\n", walk.points,
        world->repeats);
    assert_true(world->repeats > 0);
    plan.check = check_poll;
    kill_apart(plan, world);
}

/* --- a maker dies --- */

static void reset_make(void *context)
{
    struct world *world = context;
    enum ipc_rc rc = ipc_region_remove(&world->shm, "ring.p.0.orders", NULL);
    assert_true(rc == IPC_OK || rc == IPC_NOT_FOUND);
}

static void run_make(void *context)
{
    struct world *world = context;
    if (ipc_ring_create(&world->shm, &ring_name, SLOTS, NULL) != IPC_OK)
        abort();
}

static void check_make(void *context, uint64_t steps, bool finished)
{
    struct world *world = context;
    (void)steps;
    struct ipc_ring_status status;
    enum ipc_rc rc = ipc_ring_inspect(&world->shm, &ring_name, &status, NULL);
    assert_true(rc == IPC_OK || rc == IPC_NOT_FOUND);
    if (rc == IPC_OK)
        assert_int_equal(status.slot_count, SLOTS);
    if (finished)
        assert_int_equal(rc, IPC_OK);
    world->seen += rc == IPC_OK;
    uint32_t removed;
    assert_int_equal(ipc_region_sweep_older(&world->shm, 0, &removed, NULL), IPC_OK);
    assert_true(removed <= 1);
    world->absent += removed;
    assert_int_equal(ipc_ring_create(&world->shm, &ring_name, SLOTS, NULL), IPC_OK);
    attach_producer(world);
    ipc_ring_detach_producer(&world->producer);
}

static void test_maker_killed_on_its_way(void **state)
{
    struct world *world = *state;
    struct stepkill_result result = kill_apart(
        (struct stepkill){
            .reset = reset_make, .run = run_make, .check = check_make, .by_syscall = true},
        world);
    print_message("%" PRIu64 " points, half-made at %" PRIu64 ", complete at %" PRIu64 "\n",
        result.points, world->absent, world->seen);
    assert_true(world->absent > 0);
    assert_true(world->seen > 0);
}

/* --- deaths and stops at random times --- */

static pid_t start_child(void (*run)(struct world *), struct world *world)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        run(world);
        _exit(0);
    }
    return child;
}

static void sleep_us(uint64_t us)
{
    struct timespec pause = {.tv_nsec = (long)us * 1000};
    nanosleep(&pause, NULL);
}

/* Publishes numbers for ever; the ledger's count is the next number, moved after the publish. */
static void publish_for_ever(struct world *world)
{
    struct ipc_ring_producer producer;
    if (ipc_ring_attach_producer(&world->shm, &ring_name, &producer, NULL) != IPC_OK)
        _exit(3);
    for (;;) {
        uint32_t number = atomic_load(&world->ledger->count);
        while (offer(&producer, number, 1 + number % RECORD_NUMBER) != IPC_OK) {
            /* The consumer is slow; the test kills us in here too. */
        }
        atomic_store(&world->ledger->count, number + 1);
    }
}

/* Takes what is there; numbers rise by one, and may repeat once after each death, when the dead
 * producer had published and not counted. */
static void take_all(struct world *world, uint32_t *next, uint32_t *repeats)
{
    uint32_t number, words;
    enum ipc_rc rc;
    while ((rc = poll_number(&world->consumer, &number, &words)) == IPC_OK) {
        assert_int_equal(words, 1 + number % RECORD_NUMBER);
        if (number + 1 == *next) {
            ++*repeats;
            continue;
        }
        assert_int_equal(number, *next);
        ++*next;
        ipc_ring_release(&world->consumer);
    }
    assert_int_equal(rc, IPC_EMPTY);
    ipc_ring_release(&world->consumer);
}

static void test_producers_killed_at_random_times(void **state)
{
    struct world *world = *state;
    struct ipc_prng prng;
    ipc_prng_seed(&prng, 31);
    assert_int_equal(ipc_ring_create(&world->shm, &ring_name, SLOTS, NULL), IPC_OK);
    attach_consumer(world);
    uint32_t next = 0, repeats = 0, kills = 80;
    for (uint32_t i = 0; i < kills; i++) {
        pid_t child = start_child(publish_for_ever, world);
        uint64_t rounds = 1 + ipc_prng_below(&prng, 20);
        for (uint64_t r = 0; r < rounds; r++) {
            take_all(world, &next, &repeats);
            sleep_us(ipc_prng_below(&prng, 60));
        }
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        /* The dead one's lock is free, and nothing of it is stuck. */
        assert_false(ipc_ring_producer_alive(&world->consumer));
        take_all(world, &next, &repeats);
    }
    print_message("%u records, %u deaths, %u repeats\n", next, kills, repeats);
    assert_true(next > kills);
    assert_true(repeats <= kills);
    assert_true(next >= atomic_load(&world->ledger->count));
    ipc_ring_detach_consumer(&world->consumer);
}

static void test_stopped_producer_blocks_nobody(void **state)
{
    struct world *world = *state;
    assert_int_equal(ipc_ring_create(&world->shm, &ring_name, SLOTS, NULL), IPC_OK);
    attach_consumer(world);
    pid_t child = start_child(publish_for_ever, world);
    uint32_t next = 0, repeats = 0;
    for (unsigned round = 0; round < 20; round++) {
        kill(child, SIGSTOP);
        siginfo_t info;
        assert_int_equal(waitid(P_PID, (id_t)child, &info, WSTOPPED), 0);
        take_all(world, &next, &repeats);
        take_all(world, &next, &repeats);
        uint32_t stopped_at = next;
        /* It is not dead: nobody may take its place, however long it stands. */
        struct ipc_ring_producer other;
        if (round > 2)
            assert_int_equal(
                ipc_ring_attach_producer(&world->shm, &ring_name, &other, NULL), IPC_BUSY);
        sleep_us(1000);
        take_all(world, &next, &repeats);
        assert_int_equal(next, stopped_at);
        kill(child, SIGCONT);
        for (unsigned waits = 0; next == stopped_at && waits < 5000; waits++) {
            sleep_us(200);
            take_all(world, &next, &repeats);
        }
        assert_true(next > stopped_at);
    }
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(repeats, 0);
    ipc_ring_detach_consumer(&world->consumer);
}

/* Takes for ever, counts what it took, releases now and then. */
static void take_for_ever(struct world *world)
{
    struct ipc_ring_consumer consumer;
    if (ipc_ring_attach_consumer(&world->shm, &ring_name, &consumer, NULL) != IPC_OK)
        _exit(3);
    for (;;) {
        uint32_t record[RECORD_NUMBER];
        size_t bytes;
        uint64_t sequence;
        enum ipc_rc rc = ipc_ring_poll(&consumer, record, sizeof record, &bytes, &sequence);
        if (rc == IPC_EMPTY)
            continue;
        /* Again what was taken and not released, never a hole. */
        uint32_t expected = atomic_load(&world->ledger->count);
        if (rc != IPC_OK || record[0] > expected)
            _exit(4);
        if (record[0] == expected)
            atomic_store(&world->ledger->count, expected + 1);
        if (record[0] % 3 == 0)
            ipc_ring_release(&consumer);
    }
}

static void test_consumers_killed_at_random_times(void **state)
{
    struct world *world = *state;
    struct ipc_prng prng;
    ipc_prng_seed(&prng, 32);
    assert_int_equal(ipc_ring_create(&world->shm, &ring_name, 32, NULL), IPC_OK);
    attach_producer(world);
    uint32_t next = 0, full = 0;
    for (uint32_t kills = 0; kills < 80; kills++) {
        pid_t child = start_child(take_for_ever, world);
        for (uint64_t r = 1 + ipc_prng_below(&prng, 20); r > 0; r--) {
            while (offer(&world->producer, next, 1 + next % RECORD_NUMBER) == IPC_OK)
                next++;
            full++;
            sleep_us(ipc_prng_below(&prng, 60));
        }
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status)); /* it did not end by itself: it saw no hole */
    }
    /* The last one, in this process: whatever is left comes in order. */
    attach_consumer(world);
    uint32_t number, words, expected = 0;
    bool first = true;
    while (poll_number(&world->consumer, &number, &words) == IPC_OK) {
        if (first)
            assert_true(number <= atomic_load(&world->ledger->count));
        else
            assert_int_equal(number, expected);
        expected = number + 1;
        first = false;
    }
    assert_true(first || expected == next);
    print_message("%u records, 80 deaths, found full %u times\n", next, full);
    assert_true(next > 200);
    ipc_ring_detach_consumer(&world->consumer);
    ipc_ring_detach_producer(&world->producer);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_producer_killed_at_every_instruction),
        TEST(test_taking_over_killed_at_every_instruction),
        TEST(test_consumer_killed_at_every_instruction),
        TEST(test_maker_killed_on_its_way),
        TEST(test_producers_killed_at_random_times),
        TEST(test_stopped_producer_blocks_nobody),
        TEST(test_consumers_killed_at_random_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
