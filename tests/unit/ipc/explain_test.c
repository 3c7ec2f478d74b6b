#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ipc/explain.h"
#include "ipc/reason.h"

#include <stdio.h>
#include <string.h>

#define E8(units) ((int64_t)(units)*LS_E8)

struct row {
    const char *expected;
    enum ipc_mode mode;
    int64_t qty, ratio_e8, fixed, max_qty, max_value, max_position, lot;
    int64_t limit, last, sample_e8, master;
    bool is_exit, no_row;
    enum ipc_child_kind kind;
    enum ipc_reason reason;
    int64_t outcome, price_e8;
};

/* clang-format off */
static const struct row rows[] = {
    {"100 × 0.5 = 50 → lot 65 → 0 → SKIP SUB_LOT", .mode = IPC_MODE_FIXED_RATIO, .qty = 100, .ratio_e8 = LS_E8 / 2, .lot = 65, .kind = IPC_CHILD_SKIP, .reason = IPC_REASON_SUB_LOT},
    {"100 × 2 = 200 → max_quantity 150 → BUY 150 LIMIT 100.05", .mode = IPC_MODE_FIXED_RATIO, .qty = 100, .ratio_e8 = E8(2), .max_qty = 150, .lot = 1, .kind = IPC_CHILD_PLACE, .reason = IPC_REASON_MAX_QTY_CAPPED, .outcome = 150, .price_e8 = E8(100) + LS_E8 / 20},
    {"3 × 0.5 = 1.5 → lot 1 → 1 → BUY 1 MARKET", .mode = IPC_MODE_FIXED_RATIO, .qty = 3, .ratio_e8 = LS_E8 / 2, .lot = 1, .kind = IPC_CHILD_PLACE, .outcome = 1},
    {"100 × 0.29 = 29 → BUY 29 MARKET (queued)", .mode = IPC_MODE_FIXED_RATIO, .qty = 100, .ratio_e8 = 29000000, .lot = 1, .kind = IPC_CHILD_PLACE_QUEUED, .outcome = 29},
    {"fixed 7 → BUY 7 MARKET", .mode = IPC_MODE_FIXED_QUANTITY, .qty = 100, .fixed = 7, .lot = 1, .kind = IPC_CHILD_PLACE, .outcome = 7},
    {"400000 × 50 % / 120 = 1666.66666666 → lot 65 → 1625 → BUY 1625 MARKET", .mode = IPC_MODE_PERCENTAGE, .qty = 65, .ratio_e8 = E8(50), .lot = 65, .last = 120, .sample_e8 = E8(400000), .kind = IPC_CHILD_PLACE, .outcome = 1625},
    {"400000 × 50 % / no price → SKIP PRICE_UNKNOWN", .mode = IPC_MODE_PERCENTAGE, .qty = 65, .ratio_e8 = E8(50), .lot = 65, .sample_e8 = E8(400000), .kind = IPC_CHILD_SKIP, .reason = IPC_REASON_PRICE_UNKNOWN},
    {"10 × 1 = 10 → max_order_value 999 → SKIP MAX_ORDER_VALUE", .mode = IPC_MODE_FIXED_RATIO, .qty = 10, .ratio_e8 = E8(1), .max_value = 999, .lot = 1, .limit = 100, .kind = IPC_CHILD_SKIP, .reason = IPC_REASON_MAX_ORDER_VALUE},
    {"SKIP FOLLOWER_DISABLED", .mode = IPC_MODE_FIXED_RATIO, .qty = 10, .ratio_e8 = E8(1), .lot = 1, .kind = IPC_CHILD_SKIP, .reason = IPC_REASON_FOLLOWER_DISABLED},
    {"holds 50 × 40 / 100 = 20 → BUY 20 LIMIT 99", .mode = IPC_MODE_FIXED_RATIO, .is_exit = true, .qty = 40, .master = -100, .sample_e8 = -E8(50), .lot = 1, .kind = IPC_CHILD_PLACE, .outcome = 20, .price_e8 = E8(99)},
    {"holds 50 → BUY 50 MARKET", .mode = IPC_MODE_FIXED_RATIO, .is_exit = true, .qty = 100, .master = 100, .sample_e8 = E8(50), .lot = 1, .kind = IPC_CHILD_PLACE, .outcome = 50},
    {"SKIP NO_POSITION", .mode = IPC_MODE_FIXED_RATIO, .is_exit = true, .qty = 100, .master = 100, .lot = 1, .kind = IPC_CHILD_SKIP, .reason = IPC_REASON_NO_POSITION},
    {"CANCEL (queued)", .mode = IPC_MODE_FIXED_RATIO, .kind = IPC_CHILD_CANCEL_QUEUED},
    {"WAIT for the answer to its earlier request", .mode = IPC_MODE_FIXED_RATIO, .kind = IPC_CHILD_WAIT},
    {"10 × 1 = 10 → MODIFY to BUY 10 LIMIT 101", .mode = IPC_MODE_FIXED_RATIO, .qty = 10, .ratio_e8 = E8(1), .lot = 1, .kind = IPC_CHILD_MODIFY, .outcome = 10, .price_e8 = E8(101)},
    {"SKIP SUB_LOT", .no_row = true, .mode = IPC_MODE_FIXED_RATIO, .qty = 10, .kind = IPC_CHILD_SKIP, .reason = IPC_REASON_SUB_LOT},
};
/* clang-format on */

static size_t explain(const struct row *row, char *out, size_t out_bytes)
{
    struct ipc_fact_event event = {
        .event = {.side = IPC_SIDE_BUY, .qty_e8 = E8(row->qty), .price_e8 = E8(row->limit)},
        .master_position_e8 = E8(row->master)};
    struct ipc_fact_batch batch = {.side = IPC_SIDE_BUY,
        .type = row->price_e8 != 0 ? IPC_TYPE_LIMIT : IPC_TYPE_MARKET,
        .price_e8 = row->price_e8,
        .price_sample_e8 = E8(row->last),
        .is_exit = row->is_exit};
    struct ipc_fact_child child = {.kind = (uint8_t)row->kind,
        .reason = (uint8_t)row->reason,
        .qty_e8 = E8(row->outcome),
        .sample_e8 = row->sample_e8};
    struct ipc_row_follower follower = {.mode = (uint8_t)row->mode,
        .ratio_e8 = row->ratio_e8,
        .fixed_qty_e8 = E8(row->fixed),
        .max_qty_e8 = E8(row->max_qty),
        .max_order_value_e8 = E8(row->max_value),
        .max_position_e8 = E8(row->max_position)};
    struct ipc_row_instrument instrument = {.lot_qty_e8 = E8(row->lot)};
    return ipc_explain_child(&event, &batch, &child, row->no_row ? NULL : &follower,
        row->lot == 0 ? NULL : &instrument, out, out_bytes);
}

static void decisions_read_as_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        char text[IPC_EXPLAIN_BYTES];
        size_t bytes = explain(&rows[i], text, sizeof text);
        assert_string_equal(text, rows[i].expected);
        assert_int_equal(bytes, strlen(text));
    }
}

/* Any buffer gets a whole-character prefix. */
static void short_buffers_get_a_prefix(void **state)
{
    (void)state;
    char whole[IPC_EXPLAIN_BYTES];
    size_t bytes = explain(&rows[0], whole, sizeof whole);
    for (size_t room = 0; room <= bytes + 1; room++) {
        char text[IPC_EXPLAIN_BYTES];
        memset(text, 'x', sizeof text);
        size_t used = explain(&rows[0], text, room);
        if (room == 0) {
            assert_int_equal(used, 0);
            continue;
        }
        assert_true(used < room);
        assert_int_equal(text[used], '\0');
        assert_memory_equal(text, whole, used);
        assert_true((whole[used] & 0xc0) != 0x80); /* never cut within a character */
    }
    for (int reason = 0; reason < IPC_REASON_COUNT; reason++) {
        struct row row = rows[0];
        row.reason = (enum ipc_reason)reason;
        char text[IPC_EXPLAIN_BYTES];
        (void)explain(&row, text, sizeof text);
        assert_non_null(strstr(text, ipc_reason_name((enum ipc_reason)reason)));
    }
}

/* A child's own terms come before the batch's: a copy that is turned round, the opening part of a
 * reversal; recorded steps come before both. */
static void explains_a_childs_own_terms(void **state)
{
    (void)state;
    const struct ipc_row_follower row = {.mode = IPC_MODE_FIXED_RATIO, .ratio_e8 = LS_E8 / 2};
    const struct ipc_fact_event event = {
        .event = {.side = IPC_SIDE_SELL, .qty_e8 = E8(150)}, .master_position_e8 = E8(100)};
    const struct ipc_fact_batch batch = {
        .side = IPC_SIDE_SELL, .type = IPC_TYPE_LIMIT, .price_e8 = E8(99), .is_exit = 1};
    struct ipc_fact_child child = {.kind = IPC_CHILD_PLACE, .qty_e8 = E8(50), .sample_e8 = -E8(50)};
    struct ipc_fact_wide wide = {
        .side = IPC_SIDE_BUY, .type = IPC_TYPE_LIMIT, .price_e8 = E8(101), .flags = IPC_WIDE_EXIT};
    char text[IPC_EXPLAIN_STEPS_BYTES];
    (void)ipc_explain_decision(&event, &batch, &child, NULL, &row, NULL, text, sizeof text);
    assert_string_equal(text, "holds 50 → SELL 50 LIMIT 99");
    (void)ipc_explain_decision(&event, &batch, &child, &wide, &row, NULL, text, sizeof text);
    assert_string_equal(text, "holds 50 → BUY 50 LIMIT 101");
    wide.flags = IPC_WIDE_OPEN_LEG;
    child.qty_e8 = E8(25);
    child.sample_e8 = 0;
    (void)ipc_explain_decision(&event, &batch, &child, &wide, &row, NULL, text, sizeof text);
    assert_string_equal(text, "50 × 0.5 = 25 → BUY 25 LIMIT 101");
    wide.step_count = 1;
    wide.steps[0] = (struct ipc_step){.code = IPC_STEP_HELD, .value_e8 = E8(7)};
    (void)ipc_explain_decision(&event, &batch, &child, &wide, &row, NULL, text, sizeof text);
    assert_string_equal(text, "holds 7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(explains_a_childs_own_terms),
        cmocka_unit_test(decisions_read_as_written),
        cmocka_unit_test(short_buffers_get_a_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
