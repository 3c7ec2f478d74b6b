/* Two threads on one mapping, so that the thread sanitizer sees both sides of every access. */
#include "ipc/ring.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define SLOTS 64u
#if defined(__SANITIZE_THREAD__)
#define RECORDS 30000u
#else
#define RECORDS 50000u
#endif
#define WORDS_MAX 40u /* 320 bytes: three slots */

static _Alignas(LS_LINE_BYTES) uint8_t body[3 * LS_LINE_BYTES + SLOTS * IPC_RING_SLOT_BYTES];

/* Set by the side that fails, so that the other does not wait for it for ever. */
static _Atomic bool stop;

struct side {
    struct ipc_ring_producer producer;
    struct ipc_ring_consumer consumer;
    uint64_t waits;
    const char *failure;
};

/* Spins a little, then sleeps: on a loaded machine a spinner or a yielder waits for its whole next
 * turn, a sleeper is woken soon. */
static void wait_a_little(struct side *side)
{
    if (++side->waits % 256 == 0)
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    else
        __builtin_ia32_pause();
}

static void *fail_side(struct side *side, const char *failure)
{
    side->failure = failure;
    atomic_store(&stop, true);
    return NULL;
}

static uint32_t words_of(uint64_t number)
{
    return 1 + (uint32_t)(number * 7 % WORDS_MAX);
}

static void *produce(void *context)
{
    struct side *side = context;
    uint64_t record[WORDS_MAX];
    for (uint64_t number = 0; number < RECORDS; number++) {
        for (uint32_t i = 0; i < words_of(number); i++)
            record[i] = number + i;
        enum ipc_rc rc;
        while ((rc = ipc_ring_offer(&side->producer, record, words_of(number) * 8, NULL)) ==
               IPC_FULL) {
            if (atomic_load_explicit(&stop, memory_order_relaxed))
                return NULL;
            wait_a_little(side);
        }
        if (rc != IPC_OK)
            return fail_side(side, ipc_rc_text(rc));
    }
    return NULL;
}

static bool record_is(const uint64_t *record, size_t bytes, uint64_t number)
{
    if (bytes != words_of(number) * 8)
        return false;
    for (uint32_t i = 0; i < words_of(number); i++) {
        if (record[i] != number + i)
            return false;
    }
    return true;
}

static void *consume(void *context)
{
    struct side *side = context;
    uint64_t record[WORDS_MAX], sequence, expected_sequence = 0;
    size_t bytes;
    for (uint64_t number = 0; number < RECORDS;) {
        enum ipc_rc rc = ipc_ring_poll(&side->consumer, record, sizeof record, &bytes, &sequence);
        if (rc == IPC_EMPTY) {
            ipc_ring_release(&side->consumer);
            if (atomic_load_explicit(&stop, memory_order_relaxed))
                return NULL;
            wait_a_little(side);
            continue;
        }
        if (rc != IPC_OK || sequence != expected_sequence || !record_is(record, bytes, number))
            return fail_side(side, "another record than was offered");
        expected_sequence += (bytes + IPC_RING_PAYLOAD_BYTES - 1) / IPC_RING_PAYLOAD_BYTES;
        number++;
        if (number % 5 == 0)
            ipc_ring_release(&side->consumer);
    }
    ipc_ring_release(&side->consumer);
    return NULL;
}

static void test_two_threads(void **state)
{
    (void)state;
    static const struct ipc_ring_name name = {"threads", 0, IPC_RING_ORDERS};
    memset(body, 0, sizeof body);
    ipc_ring_format(body, &name, SLOTS);
    struct side producer = {.waits = 0}, consumer = {.waits = 0};
    assert_int_equal(ipc_ring_bind_producer(&producer.producer, body, sizeof body, NULL), IPC_OK);
    assert_int_equal(ipc_ring_bind_consumer(&consumer.consumer, body, sizeof body, NULL), IPC_OK);
    pthread_t threads[2];
    assert_int_equal(pthread_create(&threads[0], NULL, produce, &producer), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, consume, &consumer), 0);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    if (producer.failure != NULL)
        fail_msg("%s", producer.failure);
    if (consumer.failure != NULL)
        fail_msg("%s", consumer.failure);
    print_message("%u records; full %" PRIu64 " times, empty %" PRIu64 " times\n", RECORDS,
        producer.waits, consumer.waits);
    assert_int_equal(producer.producer.tail, consumer.consumer.head);
    assert_int_equal(atomic_load(&producer.producer.page->bad_count), 0);
    assert_int_equal(atomic_load(&producer.producer.page->head), consumer.consumer.head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_two_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
