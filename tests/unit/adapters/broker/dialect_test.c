/* The register of dialects, and bodies made of text and holes. */
#include "adapters/broker/dialect.h"
#include "tests/unit/adapters/test_data.h"

#include "ipc/decimal.h"
#include "ipc/prng.h"

#include <setjmp.h>
#include <stdarg.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static void dialects_are_found_by_name(void **state)
{
    (void)state;
    assert_non_null(adp_dialect_find("alice-blue"));
    assert_ptr_equal(adp_dialect_at(0), adp_dialect_find("alice-blue"));
    assert_null(adp_dialect_find("Alice-Blue"));
    assert_null(adp_dialect_find(""));
    assert_null(adp_dialect_at(1000));
}

/* What every dialect has to have, whatever its broker. */
static void dialects_are_complete(void **state)
{
    (void)state;
    for (size_t i = 0; adp_dialect_at(i) != NULL; i++) {
        const struct adp_dialect *dialect = adp_dialect_at(i);
        assert_true(strlen(dialect->name) < 16); /* the snapshot's broker row */
        assert_non_null(dialect->body);
        assert_non_null(dialect->decode_reply);
        assert_non_null(dialect->decode_book);
        assert_true(dialect->capabilities.tag_bytes_max >= 19);
        assert_true(dialect->capabilities.orders_per_second > 0);
        assert_false(dialect->capabilities.trust_refused_stream);
        assert_false(dialect->capabilities.trust_goaway);
        for (size_t kind = 0; kind < ADP_REQUEST_COUNT; kind++) {
            assert_non_null(dialect->requests[kind].method);
            assert_int_equal(dialect->requests[kind].path[0], '/');
        }
        for (const char *c = dialect->auth.header; *c != '\0'; c++)
            assert_true((*c >= 'a' && *c <= 'z') || *c == '-');
    }
}

static const struct adp_hole_values values = {
    .qty_e8 = 30 * LS_E8,
    .price_e8 = 112015000000,
    .trigger_e8 = 111000000000,
    .tag = {(const uint8_t *)"L0000000010000A0001", 19},
    .order_id = {(const uint8_t *)"250526000002697", 15},
    .login = {(const uint8_t *)"AB-1_2", 6},
};

static void make_all_holes(struct adp_segments *segments)
{
    memset(segments, 0, sizeof(*segments));
    for (unsigned hole = ADP_HOLE_QTY; hole <= ADP_HOLE_LOGIN; hole++) {
        assert_true(adp_segments_add(segments, "<"));
        assert_true(adp_segments_hole(segments, (enum adp_hole)hole));
    }
    assert_true(adp_segments_add(segments, ">"));
}

static const char all_filled[] = "<30<1120.15<1110<L0000000010000A0001<250526000002697<AB-1_2>";

static void holes_are_filled(void **state)
{
    struct adp_segments segments;
    uint8_t out[256];
    (void)state;
    make_all_holes(&segments);
    const int count = adp_segments_fill(&segments, &values, false, out, sizeof(out));
    assert_int_equal(count, sizeof(all_filled) - 1);
    assert_memory_equal(out, all_filled, sizeof(all_filled) - 1);
}

/* Every smaller buffer is refused or holds the whole; nothing is written past it. */
static void a_small_buffer_is_too_long(void **state)
{
    struct adp_segments segments;
    (void)state;
    make_all_holes(&segments);
    for (size_t room = 0; room < sizeof(all_filled) + 64; room++) {
        uint8_t *out = malloc(room + 1);
        out[room] = 0xA5;
        const int count = adp_segments_fill(&segments, &values, false, out, room);
        assert_int_equal(out[room], 0xA5);
        if (count != ADP_TOO_LONG) {
            assert_int_equal(count, sizeof(all_filled) - 1);
            assert_true(room >= sizeof(all_filled) - 1);
        }
        free(out);
    }
}

static void two_holes_may_touch(void **state)
{
    struct adp_segments segments = {0};
    uint8_t out[64];
    (void)state;
    assert_true(adp_segments_hole(&segments, ADP_HOLE_QTY));
    assert_true(adp_segments_hole(&segments, ADP_HOLE_QTY));
    assert_int_equal(adp_segments_fill(&segments, &values, false, out, sizeof(out)), 4);
    assert_memory_equal(out, "3030", 4);
}

static void texts_cannot_break_out(void **state)
{
    static const char *const bad[] = {
        "", "a\"b", "a\\b", "a b", "a/b", "a?b", "a&b", "a\nb", "caf\xc3\xa9", "a,b", "{}", "%41"};
    static const enum adp_hole holes[] = {ADP_HOLE_TAG, ADP_HOLE_ORDER_ID, ADP_HOLE_LOGIN};
    (void)state;
    for (size_t h = 0; h < LS_COUNT_OF(holes); h++) {
        for (size_t i = 0; i < LS_COUNT_OF(bad); i++) {
            struct adp_segments segments = {0};
            struct adp_hole_values mine = values;
            uint8_t out[64];
            mine.tag = mine.order_id = mine.login = test_span(bad[i]);
            assert_true(adp_segments_hole(&segments, holes[h]));
            assert_int_equal(
                adp_segments_fill(&segments, &mine, false, out, sizeof(out)), ADP_MALFORMED);
        }
    }
}

/* Every length, and a bad character at every place. */
static void texts_of_every_length(void **state)
{
    (void)state;
    for (size_t count = 1; count <= 40; count++) {
        struct adp_segments segments = {0};
        struct adp_hole_values mine = values;
        uint8_t text[40], out[41];
        assert_true(adp_segments_hole(&segments, ADP_HOLE_TAG));
        for (size_t i = 0; i < count; i++)
            text[i] = (uint8_t) "09AZaz_-"[i % 8];
        mine.tag = (struct adp_span){text, count};
        out[count] = 0xA5;
        assert_int_equal(adp_segments_fill(&segments, &mine, false, out, count), count);
        assert_memory_equal(out, text, count);
        assert_int_equal(out[count], 0xA5);
        for (size_t at = 0; at < count; at++) {
            for (unsigned c = 0; c < 256; c++) {
                const uint8_t kept = text[at];
                const bool is_good = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                                     (c >= 'a' && c <= 'z') || c == '_' || c == '-';
                text[at] = (uint8_t)c;
                assert_int_equal(adp_segments_fill(&segments, &mine, false, out, sizeof(out)),
                    is_good ? (int)count : ADP_MALFORMED);
                text[at] = kept;
            }
        }
    }
}

static void fractions_only_where_allowed(void **state)
{
    struct adp_segments segments = {0};
    struct adp_hole_values mine = values;
    uint8_t out[64];
    (void)state;
    mine.qty_e8 = LS_E8 / 4;
    assert_true(adp_segments_hole(&segments, ADP_HOLE_QTY));
    assert_int_equal(adp_segments_fill(&segments, &mine, true, out, sizeof(out)), 4);
    assert_memory_equal(out, "0.25", 4);
    /* A lot of a quarter at a broker of whole shares: this order is not made, the engine goes on.
     */
    assert_int_equal(adp_segments_fill(&segments, &mine, false, out, sizeof(out)), ADP_MALFORMED);
    mine.qty_e8 = -LS_E8;
    assert_int_equal(adp_segments_fill(&segments, &mine, true, out, sizeof(out)), ADP_MALFORMED);
}

/* Numbers as ipc_decimal_format writes them, which has its own tests. */
static void numbers_are_the_shortest_exact_text(void **state)
{
    const uint64_t seed = 20265;
    struct adp_segments segments = {0};
    struct ipc_prng prng;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    ipc_prng_seed(&prng, seed);
    assert_true(adp_segments_hole(&segments, ADP_HOLE_PRICE));
    for (int i = 0; i < 20000; i++) {
        static const int64_t edges[] = {0, 1, 10, 99999999, LS_E8, LS_E8 + 1, LS_E8 / 2,
            112015000000, 100000 * LS_E8, INT64_MAX, INT64_MAX - 7};
        struct adp_hole_values mine = values;
        char want[IPC_DECIMAL_BYTES];
        uint8_t out[64];
        mine.price_e8 = i < (int)LS_COUNT_OF(edges)
                            ? edges[i]
                            : (int64_t)(ipc_prng_next(&prng) >> (1 + ipc_prng_below(&prng, 62)));
        if (i % 3 == 0 && i > 100)
            mine.price_e8 -= mine.price_e8 % 1000000;
        const size_t length = ipc_decimal_format(mine.price_e8, want);
        const int count = adp_segments_fill(&segments, &mine, false, out, sizeof(out));
        assert_int_equal(count, length);
        assert_memory_equal(out, want, length);
    }
}

static void full_segments_say_so(void **state)
{
    struct adp_segments segments = {0};
    (void)state;
    for (size_t i = 0; i < ADP_SEGMENT_TEXT_MAX; i++)
        assert_true(adp_segments_add(&segments, "x"));
    assert_false(adp_segments_add(&segments, "x"));
    assert_true(adp_segments_add(&segments, ""));
    for (size_t i = 0; i < ADP_SEGMENT_HOLE_MAX; i++)
        assert_true(adp_segments_hole(&segments, ADP_HOLE_TAG));
    assert_false(adp_segments_hole(&segments, ADP_HOLE_TAG));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialects_are_found_by_name),
        cmocka_unit_test(dialects_are_complete),
        cmocka_unit_test(holes_are_filled),
        cmocka_unit_test(a_small_buffer_is_too_long),
        cmocka_unit_test(two_holes_may_touch),
        cmocka_unit_test(texts_cannot_break_out),
        cmocka_unit_test(texts_of_every_length),
        cmocka_unit_test(fractions_only_where_allowed),
        cmocka_unit_test(numbers_are_the_shortest_exact_text),
        cmocka_unit_test(full_segments_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
