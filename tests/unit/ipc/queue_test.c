/* ipc/queue: bounds, order, and two threads that hand over half a million items. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "ipc/queue.h"

struct item {
    uint64_t number, check;
    char rest[40];
};

static void test_bounds(void **state)
{
    (void)state;
    struct ipc_queue queue;
    struct item memory[4], item = {0};
    ipc_queue_init(&queue, memory, sizeof(item), 4);
    assert_true(ipc_queue_empty(&queue));
    assert_true(ipc_queue_drained(&queue));
    assert_false(ipc_queue_poll(&queue, &item));
    for (uint64_t round = 0; round < 10; round++) {
        for (uint64_t i = 0; i < 4; i++) {
            item.number = round * 4 + i;
            assert_true(ipc_queue_offer(&queue, &item));
        }
        assert_false(ipc_queue_offer(&queue, &item));
        assert_false(ipc_queue_empty(&queue));
        assert_false(ipc_queue_drained(&queue));
        for (uint64_t i = 0; i < 4; i++) {
            assert_true(ipc_queue_poll(&queue, &item));
            assert_int_equal(item.number, round * 4 + i);
        }
        assert_false(ipc_queue_poll(&queue, &item));
        assert_true(ipc_queue_drained(&queue));
    }
}

#define ITEMS 500000u

static void *produce(void *context)
{
    struct item item = {0};
    for (uint64_t i = 0; i < ITEMS;) {
        item.number = i;
        item.check = i * 2654435761u;
        if (ipc_queue_offer(context, &item))
            i++;
        else
            sched_yield();
    }
    return NULL;
}

static void test_two_threads(void **state)
{
    (void)state;
    static struct item memory[64];
    struct ipc_queue queue;
    struct item item;
    pthread_t producer;
    ipc_queue_init(&queue, memory, sizeof(item), 64);
    assert_int_equal(pthread_create(&producer, NULL, produce, &queue), 0);
    for (uint64_t i = 0; i < ITEMS;) {
        if (!ipc_queue_poll(&queue, &item)) {
            sched_yield();
            continue;
        }
        assert_int_equal(item.number, i);
        assert_int_equal(item.check, i * 2654435761u);
        i++;
    }
    assert_false(ipc_queue_poll(&queue, &item));
    assert_int_equal(pthread_join(producer, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
