/* A ring whose bytes are not what they should be. The consumer reports damage, loses at most the
 * damaged record, never reads beyond what was published, and is never stuck. */
#include "ipc/prng.h"
#include "ipc/ring.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SLOTS 16u

static const struct ipc_ring_name ring_name = {
    .producer = "p", .shard = 0, .ring_class = IPC_RING_UPDATES};

static _Alignas(LS_LINE_BYTES) uint8_t body[3 * LS_LINE_BYTES + SLOTS * IPC_RING_SLOT_BYTES];
static struct ipc_ring_page *const page = (struct ipc_ring_page *)(void *)body;
static struct ipc_ring_slot *const slots =
    (struct ipc_ring_slot *)(void *)(body + sizeof(struct ipc_ring_page));
static struct ipc_ring_producer producer;
static struct ipc_ring_consumer consumer;

static int setup(void **state)
{
    (void)state;
    memset(body, 0, sizeof body);
    ipc_ring_format(body, &ring_name, SLOTS);
    assert_int_equal(ipc_ring_bind_producer(&producer, body, sizeof body, NULL), IPC_OK);
    assert_int_equal(ipc_ring_bind_consumer(&consumer, body, sizeof body, NULL), IPC_OK);
    return 0;
}

/* A record of `parts` slots that says its number in every word. */
static void offer(uint32_t number, uint32_t parts)
{
    uint32_t record[SLOTS * IPC_RING_PAYLOAD_BYTES / 4];
    size_t bytes = (size_t)parts * IPC_RING_PAYLOAD_BYTES;
    for (size_t i = 0; i < bytes / 4; i++)
        record[i] = number;
    assert_int_equal(ipc_ring_offer(&producer, record, bytes, NULL), IPC_OK);
}

static uint8_t out[IPC_RING_RECORD_BYTES_MAX];
static size_t out_bytes;
static uint64_t out_sequence;

static enum ipc_rc poll_one(void)
{
    return ipc_ring_poll(&consumer, out, sizeof out, &out_bytes, &out_sequence);
}

static void expect_record(uint32_t number, uint32_t parts)
{
    assert_int_equal(poll_one(), IPC_OK);
    assert_int_equal(out_bytes, (size_t)parts * IPC_RING_PAYLOAD_BYTES);
    uint32_t first, last;
    memcpy(&first, out, 4);
    memcpy(&last, out + out_bytes - 4, 4);
    assert_int_equal(first, number);
    assert_int_equal(last, number);
}

/* One damaged record of three between two sound ones: reported once, neighbours arrive. */
static void check_one_lost(void)
{
    expect_record(1, 1);
    assert_int_equal(poll_one(), IPC_BAD_CRC);
    assert_int_equal(out_sequence, 1);
    expect_record(3, 2);
    assert_int_equal(poll_one(), IPC_EMPTY);
    assert_int_equal(atomic_load(&page->bad_count), 1);
}

static void offer_three(void)
{
    offer(1, 1);
    offer(2, 3);
    offer(3, 2);
}

static void test_flipped_payload_of_each_part(void **state)
{
    for (uint32_t part = 0; part < 3; part++) {
        setup(state);
        offer_three();
        slots[1 + part].payload[50] ^= 1;
        check_one_lost();
    }
}

static void test_flipped_header_of_each_part(void **state)
{
    for (uint32_t part = 0; part < 3; part++) {
        setup(state);
        offer_three();
        slots[1 + part].crc ^= 1;
        check_one_lost();
        setup(state);
        offer_three();
        slots[1 + part].part ^= 1;
        check_one_lost();
    }
}

static void test_impossible_lengths(void **state)
{
    static const uint16_t lengths[] = {
        0, 1, 200, 337, IPC_RING_RECORD_BYTES_MAX, IPC_RING_RECORD_BYTES_MAX + 1, UINT16_MAX};
    for (size_t i = 0; i < LS_COUNT_OF(lengths); i++) {
        setup(state);
        offer_three();
        slots[1].record_bytes = lengths[i];
        check_one_lost();
    }
}

static void test_damaged_stamp_below_the_tail_does_not_stop_the_ring(void **state)
{
    static const uint64_t stamps[] = {0, 1, 77, UINT64_MAX, (2 | IPC_RING_PART), 2 + SLOTS};
    for (size_t i = 0; i < LS_COUNT_OF(stamps); i++) {
        setup(state);
        offer_three();
        atomic_store(&slots[1].stamp, stamps[i]);
        check_one_lost();
    }
}

static void test_damage_is_only_judged_below_the_tail(void **state)
{
    (void)state;
    offer_three();
    /* The producer has published and not moved its tail yet: the parts of the damaged record
     * cannot be told from leftovers, so the consumer waits. */
    atomic_store(&page->tail, 1);
    slots[1].payload[0] ^= 1;
    expect_record(1, 1);
    assert_int_equal(poll_one(), IPC_BAD_CRC);
    assert_int_equal(poll_one(), IPC_EMPTY);
    atomic_store(&page->tail, 6);
    expect_record(3, 2);
    assert_int_equal(poll_one(), IPC_EMPTY);
}

static void test_impossible_positions(void **state)
{
    (void)state;
    offer(1, 1);
    atomic_store(&page->tail, 1 + 2 * SLOTS);
    expect_record(1, 1);
    assert_int_equal(poll_one(), IPC_BAD_SIZE);
    assert_int_equal(poll_one(), IPC_BAD_SIZE);
    /* A head that is ahead of the producer: nothing is written. */
    atomic_store(&page->head, 5000);
    static uint8_t record[SLOTS * IPC_RING_PAYLOAD_BYTES];
    assert_int_equal(ipc_ring_offer(&producer, record, sizeof record, NULL), IPC_BAD_SIZE);

    struct ipc_ring_producer again;
    struct ipc_ring_consumer reader;
    struct ipc_error error;
    assert_int_equal(ipc_ring_bind_producer(&again, body, sizeof body, &error), IPC_BAD_SIZE);
    assert_non_null(strstr(error.text, "do not hold together"));
    assert_int_equal(ipc_ring_bind_consumer(&reader, body, sizeof body, &error), IPC_BAD_SIZE);
}

static void test_pages_that_do_not_hold_together(void **state)
{
    (void)state;
    struct ipc_ring_consumer reader;
    struct ipc_error error;
    assert_int_equal(ipc_ring_bind_consumer(&reader, body, 100, &error), IPC_BAD_SIZE);
    assert_int_equal(ipc_ring_bind_consumer(&reader, body, sizeof body - 1, &error), IPC_BAD_SIZE);
    static const uint32_t counts[] = {0, 1, 3, SLOTS * 2, 1u << 31};
    for (size_t i = 0; i < LS_COUNT_OF(counts); i++) {
        page->slot_count = counts[i];
        assert_int_equal(ipc_ring_bind_consumer(&reader, body, sizeof body, &error), IPC_BAD_SIZE);
    }
    page->slot_count = SLOTS;
    page->slot_bytes = 64;
    assert_int_equal(ipc_ring_bind_consumer(&reader, body, sizeof body, &error), IPC_BAD_LAYOUT);
    assert_non_null(strstr(error.text, "64"));
}

/* Parts that a dead producer left behind are stamped for their sequences. The next producer's
 * record is shorter; the leftovers behind it must never be read as records. */
static void test_leftover_parts_are_no_records(void **state)
{
    (void)state;
    offer(9, 3);
    /* As if the producer had died before its publishing store and its tail. */
    atomic_store(&slots[0].stamp, 0);
    atomic_store(&page->tail, 0);
    assert_int_equal(poll_one(), IPC_EMPTY);
    assert_int_equal(ipc_ring_bind_producer(&producer, body, sizeof body, NULL), IPC_OK);
    assert_int_equal(producer.tail, 0);
    offer(1, 1);
    expect_record(1, 1);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(poll_one(), IPC_EMPTY);
    offer(2, 1);
    expect_record(2, 1);
    assert_int_equal(poll_one(), IPC_EMPTY);
    offer(3, 2);
    expect_record(3, 2);
    assert_int_equal(atomic_load(&page->bad_count), 0);
}

/* Published, and the tail not moved: the next producer goes on behind it. */
static void test_next_producer_finds_the_true_tail(void **state)
{
    (void)state;
    offer(1, 2);
    offer(2, 3);
    atomic_store(&page->tail, 2);
    assert_int_equal(ipc_ring_bind_producer(&producer, body, sizeof body, NULL), IPC_OK);
    assert_int_equal(producer.tail, 5);
    assert_int_equal(atomic_load(&page->tail), 5);
    offer(3, 1);
    expect_record(1, 2);
    expect_record(2, 3);
    expect_record(3, 1);
    /* The consumer was faster: it has released what the tail does not count. */
    ipc_ring_release(&consumer);
    atomic_store(&page->tail, 5);
    assert_int_equal(ipc_ring_bind_consumer(&consumer, body, sizeof body, NULL), IPC_OK);
    assert_int_equal(poll_one(), IPC_EMPTY);
    assert_int_equal(ipc_ring_bind_producer(&producer, body, sizeof body, NULL), IPC_OK);
    assert_int_equal(producer.tail, 6);
}

/* Random bytes over a working ring: whatever happens, polling ends, delivers nothing that was not
 * offered, and once the damage is behind, records flow again. */
static void test_random_damage(void **state)
{
    const char *given = getenv("LS_SEED");
    uint64_t first = given != NULL ? strtoull(given, NULL, 0) : 900;
    print_message("seeds %" PRIu64 " to %" PRIu64 " (LS_SEED)\n", first, first + 1999);
    for (uint64_t seed = first; seed < first + 2000; seed++) {
        struct ipc_prng prng;
        ipc_prng_seed(&prng, seed);
        setup(state);
        uint32_t next = 1;
        for (unsigned i = 0; i < 30; i++) {
            uint32_t parts = 1 + (uint32_t)ipc_prng_below(&prng, 4);
            if (producer.tail + parts - consumer.head <= SLOTS &&
                producer.tail + parts - atomic_load(&page->head) <= SLOTS)
                offer(next++, parts);
            if (ipc_prng_chance(&prng, 1, 4)) {
                size_t at = ipc_prng_below(&prng, SLOTS * IPC_RING_SLOT_BYTES);
                ((uint8_t *)slots)[at] ^= (uint8_t)(1u << ipc_prng_below(&prng, 8));
            }
            enum ipc_rc rc = poll_one();
            uint32_t number = 0;
            if (rc == IPC_OK)
                memcpy(&number, out, sizeof number);
            if (rc == IPC_BAD_SIZE || rc == IPC_TOO_LONG ||
                (rc == IPC_OK && (number == 0 || number >= next)))
                fail_msg("seed %" PRIu64 ": %s, record %u", seed, ipc_rc_text(rc), number);
            if (ipc_prng_chance(&prng, 1, 2))
                ipc_ring_release(&consumer);
        }
        for (unsigned polls = 0; poll_one() != IPC_EMPTY; polls++)
            assert_true(polls <= SLOTS);
        ipc_ring_release(&consumer);
        if (consumer.head != producer.tail)
            fail_msg("seed %" PRIu64 ": the consumer is at %" PRIu64 " of %" PRIu64, seed,
                consumer.head, producer.tail);
        offer(next, 2);
        expect_record(next, 2);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, setup)
    const struct CMUnitTest tests[] = {
        TEST(test_flipped_payload_of_each_part),
        TEST(test_flipped_header_of_each_part),
        TEST(test_impossible_lengths),
        TEST(test_damaged_stamp_below_the_tail_does_not_stop_the_ring),
        TEST(test_damage_is_only_judged_below_the_tail),
        TEST(test_impossible_positions),
        TEST(test_pages_that_do_not_hold_together),
        TEST(test_leftover_parts_are_no_records),
        TEST(test_next_producer_finds_the_true_tail),
        TEST(test_random_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
