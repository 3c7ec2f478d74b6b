/* ipc/journal_text: each fact as a line and as JSON; sizes that do not agree; foreign text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/journal_text.h"
#include "ipc/prng.h"
#include "ipc/tag.h"
#include "tests/support/journal_facts.h"

struct frame_room {
    _Alignas(64) struct ipc_frame frame;
    uint8_t payload[8192];
};

static char text_bytes[IPC_JOURNAL_TEXT_BYTES];

static struct ipc_journal_entry frame_make(struct frame_room *room, uint32_t index)
{
    struct journal_fact fact;
    assert_true(journal_facts_make(index, &fact));
    memset(room, 0, sizeof *room);
    room->frame.lsn = index + 1;
    room->frame.wall_ns = INT64_C(1767605400123456789); /* 2026-01-05T09:30:00.123456789Z */
    room->frame.mono_ns = 6000000;
    room->frame.type = (uint16_t)fact.type;
    room->frame.count = fact.count;
    room->frame.payload_bytes = fact.bytes;
    memcpy(room->payload, fact.payload, fact.bytes);
    return (struct ipc_journal_entry){
        .frame = &room->frame, .payload = room->payload, .segment_no = 3, .offset = 4096};
}

static const char *line_of(
    const struct ipc_journal_orders *orders, const struct ipc_journal_entry *entry)
{
    struct ipc_text text;
    ipc_text_start(&text, text_bytes, sizeof text_bytes);
    ipc_journal_line(&text, orders, entry);
    assert_false(text.is_cut);
    assert_null(strchr(text_bytes, '\n'));
    return text_bytes;
}

static json_t *json_of(
    const struct ipc_journal_orders *orders, const struct ipc_journal_entry *entry)
{
    struct ipc_text text;
    json_error_t error;
    ipc_text_start(&text, text_bytes, sizeof text_bytes);
    ipc_journal_json(&text, orders, entry);
    assert_false(text.is_cut);
    json_t *json = json_loads(text_bytes, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL)
        print_message("%s: %s\n", error.text, text_bytes);
    assert_non_null(json);
    return json;
}

static void test_lines(void **state)
{
    (void)state;
    static const char *const wanted[][4] = {
        {"1 2026-01-05T09:30:00.123456789Z open ", "cluster=cluster-1", "same_boot=1",
            "tier=process"},
        {" adopt ", "generation=9", "total_multiplier=12", "largest_multiplier=2.5"},
        {" book ", "account=3", "phase=end", "is_history=1"},
        {" event ", "transition=new", "qty=100 price=22150.5", "order_id=M-100"},
        {" batch ", "| L01KPQZG2C000250000 place 65 |", "skip 50 SUB_LOT",
            "place-queued 130 MAX_QTY_CAPPED"},
        {" release ", "kind=place", "qty=130", "price=22150.5"},
        {" reply L01KPQZG2C000250000 ", "outcome=ACKED", "order_id=F-900", "code=RMS-17"},
        {" update ", "status=FILLED", "average_price=22150.25", "tag=L01KPQZG2C000250000"},
        {" alarm ", "alarm=GHOST", "account=12", "\"late reply\""},
        {" checkpoint ", "bytes=5", "", ""},
    };
    struct frame_room room;
    struct ipc_journal_orders *orders = ipc_journal_orders_make();
    for (uint32_t i = 0; i < LS_COUNT_OF(wanted); i++) {
        struct ipc_journal_entry entry = frame_make(&room, i);
        ipc_journal_orders_learn(orders, entry.frame);
        const char *line = line_of(orders, &entry);
        for (size_t k = 0; k < 4; k++) {
            if (strstr(line, wanted[i][k]) == NULL)
                print_message("'%s' is not in: %s\n", wanted[i][k], line);
            assert_non_null(strstr(line, wanted[i][k]));
        }
    }
    ipc_journal_orders_free(orders);
}

static void test_json(void **state)
{
    (void)state;
    struct frame_room room;
    struct journal_fact fact;
    struct ipc_journal_orders *orders = ipc_journal_orders_make();
    for (uint32_t i = 0; journal_facts_make(i, &fact); i++) {
        struct ipc_journal_entry entry = frame_make(&room, i);
        ipc_journal_orders_learn(orders, entry.frame);
        json_t *json = json_of(orders, &entry);
        assert_int_equal(json_integer_value(json_object_get(json, "lsn")), i + 1);
        assert_string_equal(
            json_string_value(json_object_get(json, "fact")), ipc_fact_type_name(fact.type));
        assert_null(json_object_get(json, "malformed"));
        if (fact.type == IPC_FACT_BATCH) {
            json_t *children = json_object_get(json, "children");
            assert_int_equal(json_array_size(children), 3);
            json_t *skip = json_array_get(children, 1);
            assert_string_equal(json_string_value(json_object_get(skip, "reason")), "SUB_LOT");
            assert_int_equal(json_integer_value(json_object_get(skip, "place")), 11);
            assert_string_equal(
                json_string_value(json_object_get(json_array_get(children, 0), "tag")),
                journal_facts_tag);
        }
        if (fact.type == IPC_FACT_REPLY) { /* the broker's text, escaped and whole */
            json_t *second = json_array_get(json_object_get(json, "replies"), 1);
            assert_string_equal(
                json_string_value(json_object_get(second, "text")), "margin \"short\" \\ by 10%\n");
        }
        json_decref(json);
    }
    ipc_journal_orders_free(orders);
}

/* The tag in the facts is the tag that the tag module composes. */
static void test_tag_is_the_order_s(void **state)
{
    (void)state;
    struct ipc_tag_parts parts;
    assert_int_equal(ipc_tag_parse(journal_facts_tag, IPC_TAG_CHARACTERS, &parts), IPC_OK);
    assert_int_equal(parts.order_digits, JOURNAL_FACTS_DIGITS);
    assert_int_equal(parts.follower_no, JOURNAL_FACTS_FOLLOWER);
    assert_int_equal(parts.action, 0);
}

/* Without the order's event the tag is not guessed. */
static void test_unknown_order(void **state)
{
    (void)state;
    struct frame_room room;
    struct ipc_journal_orders *orders = ipc_journal_orders_make();
    struct ipc_journal_entry entry = frame_make(&room, 4);
    assert_non_null(strstr(line_of(orders, &entry), "| follower place 65 no=77 action=0"));
    json_t *json = json_of(NULL, &entry);
    json_t *child = json_array_get(json_object_get(json, "children"), 0);
    assert_string_equal(json_string_value(json_object_get(child, "tag")), "?");
    json_decref(json);
    ipc_journal_orders_free(orders);
}

/* Every payload cut or grown by some bytes, and counts that lie: said, never read past. */
static void test_sizes_that_do_not_agree(void **state)
{
    (void)state;
    struct frame_room room;
    struct journal_fact fact;
    for (uint32_t i = 0; journal_facts_make(i, &fact); i++) {
        if (fact.type == IPC_FACT_CHECKPOINT)
            continue;
        for (uint32_t bytes = 0; bytes < fact.bytes; bytes++) {
            struct ipc_journal_entry entry = frame_make(&room, i);
            room.frame.payload_bytes = bytes;
            bool is_list = fact.type == IPC_FACT_REPLY || fact.type == IPC_FACT_RELEASE;
            assert_non_null(strstr(line_of(NULL, &entry), "not a payload of its type"));
            json_t *json = json_of(NULL, &entry);
            assert_true(json_is_true(json_object_get(json, "malformed")));
            json_decref(json);
            if (!is_list)
                continue;
            room.frame.count = UINT32_MAX;
            assert_non_null(strstr(line_of(NULL, &entry), "not a payload of its type"));
        }
    }
}

/* Random payloads of every type: the JSON parses, and no control character gets through. */
static void test_random_payloads(void **state)
{
    (void)state;
    struct frame_room room;
    struct journal_fact fact;
    struct ipc_prng prng;
    ipc_prng_seed(&prng, 20260105);
    for (int round = 0; round < 3000; round++) {
        uint32_t index = (uint32_t)ipc_prng_below(&prng, 10);
        assert_true(journal_facts_make(index, &fact));
        struct ipc_journal_entry entry = frame_make(&room, index);
        for (uint64_t hits = 1 + ipc_prng_below(&prng, 60); hits > 0; hits--)
            room.payload[ipc_prng_below(&prng, fact.bytes)] = (uint8_t)ipc_prng_next(&prng);
        json_decref(json_of(NULL, &entry));
        for (const char *at = line_of(NULL, &entry); *at != '\0'; at++)
            assert_true(*at >= ' ' && *at <= '~');
    }
}

static void test_text_is_cut_not_overrun(void **state)
{
    (void)state;
    struct frame_room room;
    struct ipc_journal_entry entry = frame_make(&room, 4);
    for (size_t capacity = 1; capacity < 300; capacity++) {
        char *bytes = malloc(capacity); /* the address sanitizer watches its end */
        struct ipc_text text;
        ipc_text_start(&text, bytes, capacity);
        ipc_journal_json(&text, NULL, &entry);
        assert_true(text.is_cut);
        assert_int_equal(strlen(bytes), capacity - 1);
        free(bytes);
    }
}

static void test_orders_table_grows(void **state)
{
    (void)state;
    struct frame_room room;
    struct ipc_journal_orders *orders = ipc_journal_orders_make();
    struct ipc_journal_entry entry = frame_make(&room, 3);
    struct ipc_fact_event *fact = (struct ipc_fact_event *)room.payload;
    for (uint64_t i = 1; i <= 5000; i++) {
        fact->event.order_key = (struct ipc_key){{i << 10, i}}; /* collide in the low bits */
        fact->event.order_digits = i * 3;
        ipc_journal_orders_learn(orders, entry.frame);
    }
    for (uint64_t i = 1; i <= 5001; i++) {
        uint64_t digits = 0;
        bool found = ipc_journal_orders_digits(orders, (struct ipc_key){{i << 10, i}}, &digits);
        assert_int_equal(found, i <= 5000);
        assert_int_equal(digits, i <= 5000 ? i * 3 : 0);
    }
    ipc_journal_orders_free(orders);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_tag_is_the_order_s),
        cmocka_unit_test(test_unknown_order),
        cmocka_unit_test(test_sizes_that_do_not_agree),
        cmocka_unit_test(test_random_payloads),
        cmocka_unit_test(test_text_is_cut_not_overrun),
        cmocka_unit_test(test_orders_table_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
