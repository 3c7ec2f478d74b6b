/* Rings without deaths: names, refusals, wrap-around, fullness, re-attachment, and a random walk
 * against a queue that cannot be wrong. */
#include "ipc/event.h"
#include "ipc/prng.h"
#include "ipc/ring.h"
#include "tests/support/tempshm.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct world {
    struct tempshm temporary;
    struct ipc_shm shm;
};

static const struct ipc_ring_name ring_name = {
    .producer = "alice-blue", .shard = 3, .ring_class = IPC_RING_ORDERS};

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

static void attach_both(const struct world *world, uint32_t slot_count,
    struct ipc_ring_producer *producer, struct ipc_ring_consumer *consumer)
{
    struct ipc_error error = {.text = ""};
    if (ipc_ring_create(&world->shm, &ring_name, slot_count, &error) != IPC_OK ||
        ipc_ring_attach_producer(&world->shm, &ring_name, producer, &error) != IPC_OK ||
        ipc_ring_attach_consumer(&world->shm, &ring_name, consumer, &error) != IPC_OK)
        fail_msg("%s", error.text);
}

static void test_names(void **state)
{
    (void)state;
    char text[IPC_REGION_NAME_BYTES];
    struct ipc_ring_name back;
    assert_int_equal(ipc_ring_format_name(&ring_name, text), IPC_OK);
    assert_string_equal(text, "ring.alice-blue.3.orders");
    assert_int_equal(ipc_ring_parse_name(text, &back), IPC_OK);
    assert_string_equal(back.producer, "alice-blue");
    assert_int_equal(back.shard, 3);
    assert_int_equal(back.ring_class, IPC_RING_ORDERS);
    static const char *const bad[] = {"", "ring", "ring.a.0", "ring.a.0.", "ring..0.orders",
        "ring.a.01.orders", "ring.a.64.orders", "ring.a.-1.orders", "ring.a.0.order",
        "ring.a.b.0.orders", "ring.A.0.orders", "wake.0", "ring.a.0.orders.x",
        "ring.a234567890123456789012345.0.orders"};
    for (size_t i = 0; i < LS_COUNT_OF(bad); i++)
        assert_int_equal(ipc_ring_parse_name(bad[i], &back), IPC_BAD_INPUT);
    struct ipc_ring_name wrong = ring_name;
    wrong.shard = IPC_RING_SHARDS_MAX;
    assert_int_equal(ipc_ring_format_name(&wrong, text), IPC_BAD_INPUT);
    wrong = ring_name;
    wrong.ring_class = (enum ipc_ring_class)9;
    assert_int_equal(ipc_ring_format_name(&wrong, text), IPC_BAD_INPUT);
    memset(wrong.producer, 'a', sizeof wrong.producer);
    assert_int_equal(ipc_ring_format_name(&wrong, text), IPC_BAD_INPUT);
}

static void test_sizes_are_judged(void **state)
{
    struct world *world = *state;
    static const uint32_t bad[] = {0, 1, 3, 100, IPC_RING_SLOTS_MAX * 2};
    for (size_t i = 0; i < LS_COUNT_OF(bad); i++)
        assert_int_equal(ipc_ring_create(&world->shm, &ring_name, bad[i], NULL), IPC_BAD_INPUT);
    struct ipc_ring_producer producer;
    assert_int_equal(
        ipc_ring_attach_producer(&world->shm, &ring_name, &producer, NULL), IPC_NOT_FOUND);
    assert_int_equal(ipc_ring_create(&world->shm, &ring_name, 16, NULL), IPC_OK);
    assert_int_equal(ipc_ring_create(&world->shm, &ring_name, 32, NULL), IPC_OK);
    struct ipc_ring_status status;
    assert_int_equal(ipc_ring_inspect(&world->shm, &ring_name, &status, NULL), IPC_OK);
    assert_int_equal(status.slot_count, 16); /* the first maker's */
    assert_false(status.producer_alive);
    assert_false(status.consumer_alive);
}

static void test_an_event_goes_through(void **state)
{
    struct world *world = *state;
    struct ipc_ring_producer producer;
    struct ipc_ring_consumer consumer;
    attach_both(world, 64, &producer, &consumer);
    struct ipc_event event = {.kind = IPC_EVENT_ORDER, .account = 9, .qty_e8 = LS_E8};
    strcpy(event.broker_order_id, "NOrdNo1");
    union {
        struct ipc_event event;
        uint8_t bytes[IPC_RING_RECORD_BYTES_MAX];
    } got;
    size_t bytes;
    uint64_t sequence;
    assert_int_equal(ipc_ring_poll(&consumer, &got, sizeof got, &bytes, &sequence), IPC_EMPTY);
    assert_false(ipc_ring_is_ready(&consumer));
    assert_int_equal(ipc_ring_offer(&producer, &event, sizeof event, NULL), IPC_OK);
    assert_true(ipc_ring_is_ready(&consumer));
    assert_int_equal(ipc_ring_lag(&consumer), 3);
    assert_int_equal(ipc_ring_poll(&consumer, &got, sizeof got, &bytes, &sequence), IPC_OK);
    assert_int_equal(bytes, sizeof event);
    assert_int_equal(sequence, 0);
    assert_memory_equal(&got.event, &event, sizeof event);
    assert_int_equal(ipc_ring_poll(&consumer, &got, sizeof got, &bytes, &sequence), IPC_EMPTY);
    ipc_ring_detach_producer(&producer);
    ipc_ring_detach_consumer(&consumer);
}

static void test_each_side_has_one_owner(void **state)
{
    struct world *world = *state;
    struct ipc_ring_producer producer, second_producer;
    struct ipc_ring_consumer consumer, second_consumer;
    struct ipc_error error;
    attach_both(world, 16, &producer, &consumer);
    assert_int_equal(
        ipc_ring_attach_producer(&world->shm, &ring_name, &second_producer, &error), IPC_BUSY);
    assert_non_null(strstr(error.text, "living producer"));
    assert_int_equal(
        ipc_ring_attach_consumer(&world->shm, &ring_name, &second_consumer, &error), IPC_BUSY);
    assert_non_null(strstr(error.text, "living consumer"));
    struct ipc_ring_status status;
    assert_int_equal(ipc_ring_inspect(&world->shm, &ring_name, &status, NULL), IPC_OK);
    assert_true(status.producer_alive);
    assert_true(status.consumer_alive);
    assert_true(ipc_ring_producer_alive(&consumer));
    ipc_ring_detach_producer(&producer);
    assert_false(ipc_ring_producer_alive(&consumer));
    assert_int_equal(
        ipc_ring_attach_producer(&world->shm, &ring_name, &second_producer, &error), IPC_OK);
    ipc_ring_heartbeat(&second_producer, 12345);
    assert_int_equal(ipc_ring_inspect(&world->shm, &ring_name, &status, NULL), IPC_OK);
    assert_int_equal(status.producer_attaches, 2);
    assert_int_equal(status.producer_heartbeat_mono_ns, 12345);
    ipc_ring_detach_producer(&second_producer);
    ipc_ring_detach_consumer(&consumer);
}

/* The smallest ring, a consumer that stands still for long, then drains: nothing is lost, nothing
 * comes twice, order is kept. */
static void test_full_ring_waits_for_the_consumer(void **state)
{
    struct world *world = *state;
    struct ipc_ring_producer producer;
    struct ipc_ring_consumer consumer;
    attach_both(world, 2, &producer, &consumer);
    uint32_t next_in = 0, next_out = 0, got;
    size_t bytes;
    uint64_t sequence, lag = 0;
    for (unsigned round = 0; round < 100; round++) {
        enum ipc_rc rc;
        while ((rc = ipc_ring_offer(&producer, &next_in, sizeof next_in, &lag)) == IPC_OK)
            next_in++;
        assert_int_equal(rc, IPC_FULL);
        assert_int_equal(lag, 2);
        for (unsigned again = 0; again < 1000; again++)
            assert_int_equal(ipc_ring_offer(&producer, &next_in, sizeof next_in, NULL), IPC_FULL);
        while (ipc_ring_poll(&consumer, &got, sizeof got, &bytes, &sequence) == IPC_OK)
            assert_int_equal(got, next_out++);
        /* Polled is not released. */
        assert_int_equal(ipc_ring_offer(&producer, &next_in, sizeof next_in, NULL), IPC_FULL);
        ipc_ring_release(&consumer);
    }
    assert_int_equal(next_in, next_out);
    assert_int_equal(next_in, 200);
    struct ipc_ring_status status;
    assert_int_equal(ipc_ring_inspect(&world->shm, &ring_name, &status, NULL), IPC_OK);
    assert_int_equal(status.full_count, 100 * 1002);
    uint8_t large[300] = {0};
    assert_int_equal(ipc_ring_offer(&producer, large, sizeof large, NULL), IPC_TOO_LONG);
    ipc_ring_detach_producer(&producer);
    ipc_ring_detach_consumer(&consumer);
}

/* A consumer that comes again starts at what was released; what was only polled comes again. */
static void test_consumer_keeps_its_place(void **state)
{
    struct world *world = *state;
    struct ipc_ring_producer producer;
    struct ipc_ring_consumer consumer;
    attach_both(world, 16, &producer, &consumer);
    uint32_t got;
    size_t bytes;
    uint64_t sequence;
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(ipc_ring_offer(&producer, &i, sizeof i, NULL), IPC_OK);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(ipc_ring_poll(&consumer, &got, sizeof got, &bytes, &sequence), IPC_OK);
    ipc_ring_release(&consumer);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(ipc_ring_poll(&consumer, &got, sizeof got, &bytes, &sequence), IPC_OK);
    ipc_ring_detach_consumer(&consumer);
    assert_int_equal(ipc_ring_attach_consumer(&world->shm, &ring_name, &consumer, NULL), IPC_OK);
    for (uint32_t i = 4; i < 10; i++) {
        assert_int_equal(ipc_ring_poll(&consumer, &got, sizeof got, &bytes, &sequence), IPC_OK);
        assert_int_equal(got, i);
        assert_int_equal(sequence, i);
    }
    assert_int_equal(ipc_ring_poll(&consumer, &got, sizeof got, &bytes, &sequence), IPC_EMPTY);
    ipc_ring_detach_consumer(&consumer);
    ipc_ring_detach_producer(&producer);
}

static void test_small_memory_of_the_caller(void **state)
{
    struct world *world = *state;
    struct ipc_ring_producer producer;
    struct ipc_ring_consumer consumer;
    attach_both(world, 16, &producer, &consumer);
    uint8_t record[200], out[200];
    memset(record, 3, sizeof record);
    size_t bytes;
    uint64_t sequence;
    assert_int_equal(ipc_ring_offer(&producer, record, sizeof record, NULL), IPC_OK);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ipc_ring_poll(&consumer, out, 199, &bytes, &sequence), IPC_TOO_LONG);
    assert_int_equal(ipc_ring_poll(&consumer, out, 200, &bytes, &sequence), IPC_OK);
    assert_int_equal(bytes, 200);
    ipc_ring_detach_producer(&producer);
    ipc_ring_detach_consumer(&consumer);
}

/* --- sequences far beyond 2^32 --- */

static void test_positions_do_not_wrap_at_32_bits(void **state)
{
    (void)state;
    static _Alignas(LS_LINE_BYTES) uint8_t body[3 * LS_LINE_BYTES + 8 * IPC_RING_SLOT_BYTES];
    static const uint64_t starts[] = {
        UINT32_MAX - 5, (UINT64_C(1) << 32) - 1, UINT64_C(1) << 40, (UINT64_C(1) << 62) - 3};
    for (size_t s = 0; s < LS_COUNT_OF(starts); s++) {
        memset(body, 0, sizeof body);
        ipc_ring_format(body, &ring_name, 8);
        struct ipc_ring_page *page = (struct ipc_ring_page *)body;
        atomic_store(&page->tail, starts[s]);
        atomic_store(&page->head, starts[s]);
        struct ipc_ring_producer producer;
        struct ipc_ring_consumer consumer;
        assert_int_equal(ipc_ring_bind_producer(&producer, body, sizeof body, NULL), IPC_OK);
        assert_int_equal(ipc_ring_bind_consumer(&consumer, body, sizeof body, NULL), IPC_OK);
        for (uint64_t i = 0; i < 40; i++) {
            uint64_t record[20] = {i}, got[20];
            size_t bytes;
            uint64_t sequence;
            assert_int_equal(ipc_ring_offer(&producer, record, sizeof record, NULL), IPC_OK);
            assert_int_equal(ipc_ring_poll(&consumer, got, sizeof got, &bytes, &sequence), IPC_OK);
            assert_int_equal(got[0], i);
            assert_int_equal(sequence, starts[s] + 2 * i);
            ipc_ring_release(&consumer);
        }
    }
}

/* --- a random walk against a naive queue --- */

#define QUEUE_MAX 64

struct naive_queue {
    struct {
        size_t bytes;
        uint8_t data[700];
    } items[QUEUE_MAX];
    size_t count;      /* published and not polled */
    size_t polled;     /* slots polled, not released */
    size_t slots_used; /* published and not released */
};

static void walk(const struct world *world, uint64_t seed, uint32_t slot_count)
{
    struct ipc_prng prng;
    ipc_prng_seed(&prng, seed);
    struct ipc_ring_producer producer;
    struct ipc_ring_consumer consumer;
    attach_both(world, slot_count, &producer, &consumer);
    static struct naive_queue queue;
    memset(&queue, 0, sizeof queue);
    uint8_t record[700], got[700];
    for (unsigned step = 0; step < 20000; step++) {
        uint64_t act = ipc_prng_below(&prng, 100);
        if (act < 45) {
            size_t most = ipc_prng_chance(&prng, 1, 4) ? sizeof record : 230;
            size_t bytes = 1 + ipc_prng_below(&prng, most);
            ipc_prng_fill(&prng, record, bytes);
            size_t parts = (bytes + IPC_RING_PAYLOAD_BYTES - 1) / IPC_RING_PAYLOAD_BYTES;
            enum ipc_rc expected = parts > slot_count                      ? IPC_TOO_LONG
                                   : queue.slots_used + parts > slot_count ? IPC_FULL
                                                                           : IPC_OK;
            enum ipc_rc rc = ipc_ring_offer(&producer, record, bytes, NULL);
            if (rc != expected)
                fail_msg("seed %" PRIu64 " step %u: offer gave %s", seed, step, ipc_rc_text(rc));
            if (rc == IPC_OK) {
                queue.items[queue.count].bytes = bytes;
                memcpy(queue.items[queue.count++].data, record, bytes);
                queue.slots_used += parts;
            }
        } else if (act < 90) {
            size_t bytes;
            uint64_t sequence;
            enum ipc_rc rc = ipc_ring_poll(&consumer, got, sizeof got, &bytes, &sequence);
            if (rc != (queue.count > 0 ? IPC_OK : IPC_EMPTY))
                fail_msg("seed %" PRIu64 " step %u: poll gave %s", seed, step, ipc_rc_text(rc));
            if (rc == IPC_OK) {
                if (bytes != queue.items[0].bytes || memcmp(got, queue.items[0].data, bytes) != 0)
                    fail_msg("seed %" PRIu64 " step %u: another record", seed, step);
                queue.polled += (bytes + IPC_RING_PAYLOAD_BYTES - 1) / IPC_RING_PAYLOAD_BYTES;
                queue.count--;
                memmove(queue.items, queue.items + 1, queue.count * sizeof queue.items[0]);
            }
        } else if (act < 97) {
            ipc_ring_release(&consumer);
            queue.slots_used -= queue.polled;
            queue.polled = 0;
        } else if (act < 99) {
            ipc_ring_detach_producer(&producer);
            assert_int_equal(
                ipc_ring_attach_producer(&world->shm, &ring_name, &producer, NULL), IPC_OK);
        } else if (queue.polled == 0) {
            ipc_ring_detach_consumer(&consumer);
            assert_int_equal(
                ipc_ring_attach_consumer(&world->shm, &ring_name, &consumer, NULL), IPC_OK);
        }
    }
    ipc_ring_detach_producer(&producer);
    ipc_ring_detach_consumer(&consumer);
    assert_int_equal(ipc_region_remove(&world->shm, "ring.alice-blue.3.orders", NULL), IPC_OK);
}

static void test_random_walk_equals_a_queue(void **state)
{
    struct world *world = *state;
    const char *given = getenv("LS_SEED");
    uint64_t first = given != NULL ? strtoull(given, NULL, 0) : 4100;
    print_message("seeds %" PRIu64 " to %" PRIu64 " (LS_SEED)\n", first, first + 5);
    for (uint64_t seed = first; seed < first + 6; seed++)
        walk(world, seed, 2u << (seed % 6));
}

/* --- finding --- */

static void test_rings_of_a_shard_are_found_in_order(void **state)
{
    struct world *world = *state;
    static const struct ipc_ring_name made[] = {
        {"zerodha", 0, IPC_RING_ORDERS},
        {"alice-blue", 0, IPC_RING_ORDERS},
        {"ctl", 0, IPC_RING_ORDERS},
        {"alice-blue", 1, IPC_RING_ORDERS},
        {"alice-blue", 0, IPC_RING_UPDATES},
    };
    for (size_t i = 0; i < LS_COUNT_OF(made); i++)
        assert_int_equal(ipc_ring_create(&world->shm, &made[i], 2, NULL), IPC_OK);
    struct ipc_ring_name found[8];
    uint32_t count;
    assert_int_equal(
        ipc_ring_find(&world->shm, 0, IPC_RING_ORDERS, found, 8, &count, NULL), IPC_OK);
    assert_int_equal(count, 3);
    assert_string_equal(found[0].producer, "alice-blue");
    assert_string_equal(found[1].producer, "ctl");
    assert_string_equal(found[2].producer, "zerodha");
    assert_int_equal(
        ipc_ring_find(&world->shm, 0, IPC_RING_ORDERS, found, 2, &count, NULL), IPC_OK);
    assert_int_equal(count, 3);
    assert_string_equal(found[0].producer, "alice-blue");
    assert_string_equal(found[1].producer, "ctl");
    assert_int_equal(
        ipc_ring_find(&world->shm, 5, IPC_RING_ORDERS, found, 8, &count, NULL), IPC_OK);
    assert_int_equal(count, 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_names),
        TEST(test_sizes_are_judged),
        TEST(test_an_event_goes_through),
        TEST(test_each_side_has_one_owner),
        TEST(test_full_ring_waits_for_the_consumer),
        TEST(test_consumer_keeps_its_place),
        TEST(test_small_memory_of_the_caller),
        TEST(test_positions_do_not_wrap_at_32_bits),
        TEST(test_random_walk_equals_a_queue),
        TEST(test_rings_of_a_shard_are_found_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
