/* The bell. What must never happen: a record is there, the shard sleeps, and nobody rings. */
#include "ipc/clock.h"
#include "ipc/prng.h"
#include "ipc/ring.h"
#include "ipc/wake.h"
#include "tests/support/tempshm.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

struct world {
    struct tempshm temporary;
    struct ipc_shm shm;
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    tempshm_make(&world->temporary);
    assert_int_equal(ipc_shm_open(&world->shm, world->temporary.path, "t1", true, NULL), IPC_OK);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    ipc_shm_close(&world->shm);
    tempshm_remove(&world->temporary);
    free(world);
    return 0;
}

static bool is_readable(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, 0) == 1;
}

static void open_both(const struct world *world, struct ipc_wake *shard, struct ipc_wake *producer)
{
    struct ipc_error error = {.text = ""};
    if (ipc_wake_open_shard(&world->shm, 2, shard, &error) != IPC_OK ||
        ipc_wake_open_producer(&world->shm, 2, producer, &error) != IPC_OK)
        fail_msg("%s", error.text);
}

/* Each order in which the two sides can cross, one after the other. */
static void test_every_order_of_the_two_sides(void **state)
{
    struct world *world = *state;
    struct ipc_wake shard, producer;
    open_both(world, &shard, &producer);

    /* Awake: nobody is rung. */
    ipc_wake_notify(&producer);
    assert_false(is_readable(shard.fifo_fd));

    /* Published before the announcement: the shard's second look finds it; it does not wait. */
    ipc_wake_announce(&shard);
    ipc_wake_cancel(&shard);
    ipc_wake_notify(&producer);
    assert_false(is_readable(shard.fifo_fd));

    /* Published after the announcement, before the wait: the wait returns at once. */
    ipc_wake_announce(&shard);
    ipc_wake_notify(&producer);
    assert_true(is_readable(shard.fifo_fd));
    int64_t from_ns = ipc_clock_mono_ns();
    assert_true(ipc_wake_wait(&shard, 60 * LS_NS_PER_S));
    assert_true(ipc_clock_mono_ns() - from_ns < 10 * LS_NS_PER_S);
    assert_false(is_readable(shard.fifo_fd));

    /* Awake again after it. */
    ipc_wake_notify(&producer);
    assert_false(is_readable(shard.fifo_fd));

    /* Nobody rings: the time is over. */
    ipc_wake_announce(&shard);
    from_ns = ipc_clock_mono_ns();
    assert_false(ipc_wake_wait(&shard, 5 * LS_NS_PER_MS));
    assert_true(ipc_clock_mono_ns() - from_ns >= 5 * LS_NS_PER_MS);

    /* Many rings are one waking, and a full FIFO holds up nobody. */
    ipc_wake_announce(&shard);
    for (unsigned i = 0; i < 100000; i++)
        ipc_wake_notify(&producer);
    assert_true(ipc_wake_wait(&shard, LS_NS_PER_S));
    assert_false(is_readable(shard.fifo_fd));
    assert_int_equal(atomic_load(&shard.page->sleep_count), 4);
    ipc_wake_close(&producer);
    ipc_wake_close(&shard);
}

static void test_one_shard_and_its_successor(void **state)
{
    struct world *world = *state;
    struct ipc_wake shard, producer, second;
    struct ipc_error error;
    open_both(world, &shard, &producer);
    assert_int_equal(ipc_wake_open_shard(&world->shm, 2, &second, &error), IPC_BUSY);
    assert_non_null(strstr(error.text, "serves shard 2"));
    /* It dies in its sleep, with rings in the FIFO. */
    ipc_wake_announce(&shard);
    ipc_wake_notify(&producer);
    ipc_wake_close(&shard);
    assert_int_equal(ipc_wake_open_shard(&world->shm, 2, &second, &error), IPC_OK);
    assert_int_equal(atomic_load(&second.page->asleep), 0);
    assert_false(is_readable(second.fifo_fd));
    /* Old producers still reach the new one. */
    ipc_wake_announce(&second);
    ipc_wake_notify(&producer);
    assert_true(ipc_wake_wait(&second, LS_NS_PER_S));
    ipc_wake_close(&second);
    ipc_wake_close(&producer);
}

static void test_foreign_fifo_is_refused(void **state)
{
    struct world *world = *state;
    struct ipc_wake wake;
    struct ipc_error error;
    assert_int_equal(mkfifoat(world->shm.fd, "wake.0", 0600), 0);
    assert_int_equal(ipc_wake_open_producer(&world->shm, 0, &wake, &error), IPC_REFUSED);
    assert_non_null(strstr(error.text, "mode"));
    assert_int_equal(symlinkat("/dev/null", world->shm.fd, "wake.1"), 0);
    assert_int_equal(ipc_wake_open_producer(&world->shm, 1, &wake, &error), IPC_REFUSED);
    int fd = openat(world->shm.fd, "wake.5", O_CREAT | O_RDWR | O_CLOEXEC, 0660);
    assert_int_equal(fchmod(fd, 0660), 0);
    close(fd);
    assert_int_equal(ipc_wake_open_producer(&world->shm, 5, &wake, &error), IPC_REFUSED);
    assert_non_null(strstr(error.text, "not a FIFO"));
}

/* --- the race --- */

#define ROUNDS 4000u

static const struct ipc_ring_name ring_name = {"bell", 2, IPC_RING_ORDERS};

static void spin(uint64_t turns)
{
    for (volatile uint64_t i = 0; i < turns; i++) {
    }
}

static _Noreturn void produce(const struct world *world)
{
    struct ipc_ring_producer ring;
    struct ipc_wake wake;
    if (ipc_ring_attach_producer(&world->shm, &ring_name, &ring, NULL) != IPC_OK ||
        ipc_wake_open_producer(&world->shm, 2, &wake, NULL) != IPC_OK)
        _exit(3);
    struct ipc_prng prng;
    ipc_prng_seed(&prng, 6);
    for (uint32_t number = 0; number < ROUNDS;) {
        /* One record at a time: the next only after this one was taken, so that every record must
         * do its own waking. */
        if (ipc_ring_offer(&ring, &number, sizeof number, NULL) != IPC_OK) {
            sched_yield();
            continue;
        }
        ipc_wake_notify(&wake);
        number++;
        while (atomic_load_explicit(&ring.page->head, memory_order_acquire) != ring.tail)
            sched_yield();
        spin(ipc_prng_below(&prng, 3000));
    }
    _exit(0);
}

static void test_no_waking_is_lost(void **state)
{
    struct world *world = *state;
    struct ipc_wake shard;
    struct ipc_ring_consumer ring;
    assert_int_equal(ipc_ring_create(&world->shm, &ring_name, 16, NULL), IPC_OK);
    assert_int_equal(ipc_ring_attach_consumer(&world->shm, &ring_name, &ring, NULL), IPC_OK);
    assert_int_equal(ipc_wake_open_shard(&world->shm, 2, &shard, NULL), IPC_OK);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        produce(world);
    struct ipc_prng prng;
    ipc_prng_seed(&prng, 5);
    uint32_t expected = 0, number, slept = 0;
    while (expected < ROUNDS) {
        size_t bytes;
        uint64_t sequence;
        if (ipc_ring_poll(&ring, &number, sizeof number, &bytes, &sequence) == IPC_OK) {
            assert_int_equal(number, expected);
            expected++;
            ipc_ring_release(&ring);
            spin(ipc_prng_below(&prng, 1500));
            continue;
        }
        ipc_wake_announce(&shard);
        if (ipc_ring_is_ready(&ring)) {
            ipc_wake_cancel(&shard);
            continue;
        }
        slept++;
        if (!ipc_wake_wait(&shard, 20 * LS_NS_PER_S)) {
            kill(child, SIGKILL);
            waitpid(child, NULL, 0);
            fail_msg("asleep for 20 s at record %u", expected);
        }
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    print_message("%u records, slept before %u of them\n", ROUNDS, slept);
    assert_true(slept > ROUNDS / 100);
    ipc_ring_detach_consumer(&ring);
    ipc_wake_close(&shard);
}

/* --- the two fences ---
 *
 * Both sides act at the same moment, round after round: one publishes and notifies, the other
 * announces and looks. Without either fence a store may wait in its processor's buffer while the
 * load after it is done, and both miss: no record seen, nobody rung. */

struct crossing {
    struct ipc_ring_producer producer;
    struct ipc_ring_consumer consumer;
    struct ipc_wake shard, bell;
    _Atomic uint32_t round;   /* writer: the shard's side; the number of the round that runs */
    _Atomic uint32_t arrived; /* writer: the producer's side; its last finished round */
    _Atomic bool stop;
};

static void *publish_each_round(void *context)
{
    struct crossing *crossing = context;
    for (uint32_t round = 1;; round++) {
        while (atomic_load_explicit(&crossing->round, memory_order_acquire) != round) {
            if (atomic_load_explicit(&crossing->stop, memory_order_relaxed))
                return NULL;
        }
        if (ipc_ring_offer(&crossing->producer, &round, sizeof round, NULL) != IPC_OK)
            abort();
        ipc_wake_notify(&crossing->bell);
        atomic_store_explicit(&crossing->arrived, round, memory_order_release);
    }
}

static void test_both_sides_at_the_same_moment(void **state)
{
    struct world *world = *state;
    static struct crossing crossing;
    memset(&crossing, 0, sizeof crossing);
    assert_int_equal(ipc_ring_create(&world->shm, &ring_name, 2, NULL), IPC_OK);
    assert_int_equal(
        ipc_ring_attach_producer(&world->shm, &ring_name, &crossing.producer, NULL), IPC_OK);
    assert_int_equal(
        ipc_ring_attach_consumer(&world->shm, &ring_name, &crossing.consumer, NULL), IPC_OK);
    open_both(world, &crossing.shard, &crossing.bell);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, publish_each_round, &crossing), 0);
    /* Bounded by time: with both threads on one processor a round takes a time slice. */
    int64_t end_ns = ipc_clock_mono_ns() + 400 * LS_NS_PER_MS;
    uint32_t rounds = 0, lost = 0, number, looks = 0;
    while (lost == 0 && ipc_clock_mono_ns() < end_ns) {
        atomic_store_explicit(&crossing.round, ++rounds, memory_order_release);
        spin(rounds % 500); /* the two meet at many offsets */
        ipc_wake_announce(&crossing.shard);
        bool ready = ipc_ring_is_ready(&crossing.consumer);
        while (atomic_load_explicit(&crossing.arrived, memory_order_acquire) != rounds) {
        }
        looks += ready;
        if (!ready && !is_readable(crossing.shard.fifo_fd))
            lost++;
        ipc_wake_cancel(&crossing.shard);
        size_t bytes;
        uint64_t sequence;
        assert_int_equal(
            ipc_ring_poll(&crossing.consumer, &number, sizeof number, &bytes, &sequence), IPC_OK);
        ipc_ring_release(&crossing.consumer);
    }
    atomic_store(&crossing.stop, true);
    pthread_join(thread, NULL);
    print_message("%u rounds, seen at the look in %u of them\n", rounds, looks);
    assert_int_equal(lost, 0);
    ipc_ring_detach_producer(&crossing.producer);
    ipc_ring_detach_consumer(&crossing.consumer);
    ipc_wake_close(&crossing.bell);
    ipc_wake_close(&crossing.shard);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_every_order_of_the_two_sides),
        TEST(test_one_shard_and_its_successor),
        TEST(test_foreign_fifo_is_refused),
        TEST(test_no_waking_is_lost),
        TEST(test_both_sides_at_the_same_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
