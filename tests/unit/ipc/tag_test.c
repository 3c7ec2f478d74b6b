#include "ipc/tag.h"
#include "ipc/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void test_known_tags(void **state)
{
    (void)state;
    static const struct {
        struct ipc_tag_parts parts;
        const char *tag;
    } rows[] = {
        {{0, 1, 0}, "L000000000000010000"},
        {{35, 36, 37}, "L00000000Z000100011"},
        {{IPC_TAG_ORDERS - 1, IPC_TAG_FOLLOWERS - 1, IPC_TAG_ACTIONS - 1}, "LZZZZZZZZZZZZZZZZSV"},
    };
    char tag[IPC_TAG_BYTES];
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        ipc_tag_compose(&rows[i].parts, tag);
        assert_string_equal(tag, rows[i].tag);
        struct ipc_tag_parts back;
        assert_int_equal(ipc_tag_parse(tag, strlen(tag), &back), IPC_OK);
        assert_int_equal(back.order_digits, rows[i].parts.order_digits);
        assert_int_equal(back.follower_no, rows[i].parts.follower_no);
        assert_int_equal(back.action, rows[i].parts.action);
    }
}

static void test_what_is_not_a_tag_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "L00000000000001000",   /* 18 */
        "L0000000000000100000", /* 20 */
        "1732160000000000000",  /* a nanosecond clock */
        "M000000000000010000",  /* another version */
        "l000000000000010000",  /* lower case */
        "L00000000000001000a",
        "L0000000_0000010000",
        "L000000000000000000", /* follower 0 */
        "L00000000000001ZZZZ", /* action out of range */
        "L00000000000001ZZSW", /* the first one out of range */
        "L0000 0000000010000",
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct ipc_tag_parts parts = {.action = 99};
        assert_int_equal(ipc_tag_parse(rows[i], strlen(rows[i]), &parts), IPC_BAD_INPUT);
        assert_int_equal(parts.action, 99);
    }
}

static void test_random_parts_round_trip(void **state)
{
    (void)state;
    struct ipc_prng prng;
    const uint64_t seed = 77001;
    ipc_prng_seed(&prng, seed);
    for (unsigned i = 0; i < 20000; i++) {
        struct ipc_tag_parts parts = {.order_digits = ipc_prng_below(&prng, IPC_TAG_ORDERS),
            .follower_no = 1 + (uint32_t)ipc_prng_below(&prng, IPC_TAG_FOLLOWERS - 1),
            .action = (uint32_t)ipc_prng_below(&prng, IPC_TAG_ACTIONS)};
        char tag[IPC_TAG_BYTES], joined[IPC_TAG_BYTES];
        char order[IPC_TAG_ORDER_DIGITS], follower[IPC_TAG_FOLLOWER_DIGITS];
        char action[IPC_TAG_ACTION_DIGITS];
        ipc_tag_compose(&parts, tag);
        ipc_tag_order_text(parts.order_digits, order);
        ipc_tag_follower_text(parts.follower_no, follower);
        ipc_tag_action_text(parts.action, action);
        ipc_tag_join(joined, order, follower, action);
        assert_string_equal(tag, joined);
        struct ipc_tag_parts back;
        assert_int_equal(ipc_tag_parse(tag, IPC_TAG_CHARACTERS, &back), IPC_OK);
        assert_memory_equal(&back, &parts, sizeof back);
    }
}

/* Every action number is one (leg, slice, ordinal) and back. */
static void test_actions_are_mixed_radix(void **state)
{
    (void)state;
    uint32_t expected = 0;
    for (uint32_t leg = 0; leg < IPC_TAG_LEGS; leg++) {
        for (uint32_t slice = 0; slice < IPC_TAG_SLICES; slice++) {
            for (uint32_t ordinal = 0; ordinal < IPC_TAG_ORDINALS; ordinal++, expected++) {
                uint32_t action = ipc_tag_action(leg, slice, ordinal);
                if (action != expected || ipc_tag_action_leg(action) != leg ||
                    ipc_tag_action_slice(action) != slice ||
                    ipc_tag_action_ordinal(action) != ordinal)
                    fail_msg("leg %u slice %u ordinal %u", leg, slice, ordinal);
            }
        }
    }
    assert_int_equal(expected, IPC_TAG_ACTIONS);
}

/* Computed apart with another SHA-256: these never change, or another host would derive
 * other tags for the same order. */
static void test_keys_are_what_they_were(void **state)
{
    (void)state;
    struct ipc_key key;
    uint64_t digits;
    ipc_order_key("alpha", 7, "25052600123456", &key, &digits);
    assert_int_equal(key.word[0], UINT64_C(0x68cfc279f62d99a5));
    assert_int_equal(key.word[1], UINT64_C(0xbe0d6a71cbc914e8));
    assert_int_equal(digits, UINT64_C(18570602712589));
}

static void test_keys_depend_on_each_part(void **state)
{
    (void)state;
    static const struct {
        const char *cluster;
        uint32_t account;
        const char *order;
    } rows[] = {
        {"ab", 1, "c"},
        {"a", 1, "bc"}, /* length prefixes keep these two apart */
        {"ab", 2, "c"},
        {"ab", 1, "d"},
        {"", 1, "abc"},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct ipc_key key;
        uint64_t digits;
        ipc_order_key(rows[i].cluster, rows[i].account, rows[i].order, &key, &digits);
        assert_true(digits < IPC_TAG_ORDERS);
        for (size_t j = 0; j < i; j++) {
            struct ipc_key other;
            uint64_t other_digits;
            ipc_order_key(rows[j].cluster, rows[j].account, rows[j].order, &other, &other_digits);
            assert_false(ipc_key_equal(key, other));
            assert_int_not_equal(digits, other_digits);
        }
    }
}

/* The key names the state, not the delivery: times of reading, source and flags are not in it. */
static void test_event_key_covers_the_state_only(void **state)
{
    (void)state;
    struct ipc_event event = {.kind = IPC_EVENT_ORDER, .qty_e8 = LS_E8, .version = 5};
    const struct ipc_key key = ipc_event_key(&event);
    struct ipc_event again = event;
    again.received_mono_ns = 9;
    again.published_mono_ns = 10;
    again.flags = IPC_EVENT_FROM_BOOK;
    again.source = IPC_SOURCE_API;
    again.feed_lag_ns = 11;
    assert_true(ipc_key_equal(ipc_event_key(&again), key));
#define CHANGED(member, value)                                                                     \
    do {                                                                                           \
        again = event;                                                                             \
        again.member = (value);                                                                    \
        assert_false(ipc_key_equal(ipc_event_key(&again), key));                                   \
    } while (0)
    CHANGED(order_key.word[0], 1);
    CHANGED(order_key.word[1], 1);
    CHANGED(version, 6);
    CHANGED(side, 2);
    CHANGED(type, 2);
    CHANGED(product, 2);
    CHANGED(validity, 2);
    CHANGED(status, 3);
    CHANGED(qty_e8, 2 * LS_E8);
    CHANGED(price_e8, 1);
    CHANGED(trigger_e8, 1);
    CHANGED(filled_qty_e8, 1);
    CHANGED(instrument, 4);
#undef CHANGED
}

/* Tags that differ in one digit must spread over a small table. */
static void test_hash_spreads_neighbours(void **state)
{
    (void)state;
    static unsigned buckets[4096];
    memset(buckets, 0, sizeof buckets);
    unsigned fullest = 0;
    for (uint32_t follower = 1; follower <= 4096; follower++) {
        struct ipc_tag_parts parts = {.order_digits = 123456, .follower_no = follower};
        char tag[IPC_TAG_BYTES];
        ipc_tag_compose(&parts, tag);
        unsigned *bucket = &buckets[ipc_tag_hash(tag) % 4096];
        if (++*bucket > fullest)
            fullest = *bucket;
    }
    /* A random function's fullest of 4,096 is 7 or 8. */
    assert_true(fullest <= 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_tags),
        cmocka_unit_test(test_what_is_not_a_tag_is_refused),
        cmocka_unit_test(test_random_parts_round_trip),
        cmocka_unit_test(test_actions_are_mixed_radix),
        cmocka_unit_test(test_keys_are_what_they_were),
        cmocka_unit_test(test_keys_depend_on_each_part),
        cmocka_unit_test(test_event_key_covers_the_state_only),
        cmocka_unit_test(test_hash_spreads_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
