/* explain_steps_test.c: recorded steps as the sentence that a person reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ipc/explain.h"
#include "ipc/prng.h"

#define MOST 10

struct text_case {
    struct ipc_step steps[MOST];
    const char *text;
};

#define N(code_name, value)                                                                        \
    {                                                                                              \
        .code = IPC_STEP_##code_name, .value_e8 = (int64_t)((value)*LS_E8)                         \
    }
#define NR(code_name, value, why)                                                                  \
    {                                                                                              \
        .code = IPC_STEP_##code_name, .value_e8 = (int64_t)((value)*LS_E8),                        \
        .reason = IPC_REASON_##why                                                                 \
    }
#define F(code_name, value_of_e8)                                                                  \
    {                                                                                              \
        .code = IPC_STEP_##code_name, .value_e8 = (value_of_e8)                                    \
    }

static const struct text_case text_cases[] = {
    {{{0}}, ""},
    {{N(MASTER_QTY, 100), F(RATIO, LS_E8 / 2), N(RAW, 50), N(LOT, 65), N(FLOORED, 0),
         NR(SKIP, 0, SUB_LOT)},
        "100 × 0.5 = 50 → lot 65 → 0 → SKIP SUB_LOT"},
    {{N(MASTER_QTY, 100), N(RATIO, 2), N(RAW, 200), NR(MAX_QUANTITY, 150, MAX_QTY_CAPPED),
         N(REDUCED, 150), N(BUY, 150), F(TYPE_LIMIT, 10005000000)},
        "100 × 2 = 200 → max_quantity 150 (MAX_QTY_CAPPED) → BUY 150 LIMIT 100.05"},
    /* a reason is told once, and a step that changes nothing not at all */
    {{N(MASTER_QTY, 100), N(RATIO, 2), N(RAW, 200), N(LOT, 1), N(FLOORED, 200),
         NR(MAX_QUANTITY, 150, MAX_QTY_CAPPED), NR(REDUCED, 150, MAX_QTY_CAPPED),
         NR(BUY, 150, MAX_QTY_CAPPED), F(TYPE_MARKET, 0)},
        "100 × 2 = 200 → max_quantity 150 (MAX_QTY_CAPPED) → BUY 150 MARKET"},
    {{N(MASTER_QTY, 20), N(RATIO, 1), N(RAW, 20), NR(MAX_ORDER_VALUE, 50000, MAX_ORDER_VALUE),
         F(VALUE_PRICE, 285050000000), NR(SKIP, 0, MAX_ORDER_VALUE)},
        "20 × 1 = 20 → max_order_value 50000 at 2850.5 → SKIP MAX_ORDER_VALUE"},
    {{N(RAW, 130), N(MAX_QUANTITY, 100), N(REDUCED, 100), N(LOT, 65), N(FLOORED, 65), N(BUY, 65)},
        "130 → max_quantity 100 → 100 → lot 65 → 65 → BUY 65"},
    {{N(CAPITAL, 10000), N(PERCENT, 1), F(PRICE, 285050000000), F(RAW, 3508156), N(LOT, 1),
         N(FLOORED, 0), NR(SKIP, 0, QTY_ZERO)},
        "capital 10000 × 1 % / 2850.5 = 0.03508156 → lot 1 → 0 → SKIP QTY_ZERO"},
    {{N(MASTER_QTY, 4), N(MULT, 1), N(CAPITAL_TIMES, 1000), N(MASTER_CAPITAL, 4000), N(RAW, 1)},
        "4 × 1 × own 1000 / master's 4000 = 1"},
    {{N(HELD, 100), N(MASTER_CLOSES, 200), N(BASE_MASTER, 1000), N(CLOSE_WANTED, 20), N(SELL, 20),
         F(TYPE_MARKET, 0)},
        "holds 100 × 200 / 1000 = 20 → SELL 20 MARKET"},
    {{N(HELD, 50), F(ALL, 0), NR(CLAMP, 30, CLOSE_CLAMPED), N(SELL, 30)},
        "holds 50 → all of it → closable 30 (CLOSE_CLAMPED) → SELL 30"},
    {{F(LEG_CLOSE, 0), N(HELD, 50), N(SELL, 50), F(LEG_OPEN, 0), N(MASTER_QTY, 40), N(RATIO, 1),
         N(RAW, 40), N(SELL, 40)},
        "close: holds 50 → SELL 50; open: 40 × 1 = 40 → SELL 40"},
    {{N(MASTER_QTY, 1), F(LEG_OPEN, 0), N(TARGET, 100), N(POSITION, -100), N(RAW, 200)},
        "1; open: target 100 - held -100 = 200"},
    {{N(REFERENCE, 100), F(SLIPPAGE_CAP, LS_E8 / 200), F(PRICE_LIMIT, 10050000000),
         N(MARKET_AT, 101), NR(SKIP, 0, SLIPPAGE)},
        "reference 100 ± 0.5 % → limit 100.5, market at 101 → SKIP SLIPPAGE"},
    {{N(AGE, 6000), N(AGE_LIMIT, 5000), NR(SKIP, 0, STALE_EVENT)},
        "age 6000 ms, limit 5000 ms → SKIP STALE_EVENT"},
    {{N(MARKET_TIME, 558), N(WINDOW_FROM, 560), N(WINDOW_TO, 900), NR(SKIP, 0, OUTSIDE_WINDOW)},
        "market time 09:18, window from 09:20, to 15:00 → SKIP OUTSIDE_WINDOW"},
    {{N(FREEZE, 1800), N(SLICE, 1755), N(SLICES, 2), N(SLICES_MAX, 3)},
        "freeze 1800 → slices of 1755 × 2, max_slices 3"},
    {{F(REVERSE, 0), N(MASTER_QTY, 10), N(MAPPED, 12), F(MAP_FACTOR, LS_E8 / 10), N(RAW, 1)},
        "side reversed → 10, as instrument 12 × map 0.1 = 1"},
    {{{.code = IPC_STEP_NOTHING, .reason = IPC_REASON_AT_TARGET}}, "NONE AT_TARGET"},
    {{{.code = IPC_STEP_WAIT}}, "WAIT"},
    /* what a later build records */
    {{N(MASTER_QTY, 3), {.code = 999, .value_e8 = LS_E8}, NR(SKIP, 0, QTY_ZERO)},
        "3 → step 999 1 → SKIP QTY_ZERO"},
    {{F(MARGIN_USE, INT64_MAX)}, "margin use 92233720368.54775807 %"}, /* stops, never wraps */
};

static uint32_t count_of(const struct text_case *c)
{
    uint32_t count = 0;
    while (count < MOST && c->steps[count].code != 0)
        count++;
    return count;
}

static void test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(text_cases); i++) {
        char text[IPC_EXPLAIN_STEPS_BYTES];
        size_t bytes =
            ipc_explain_steps(text_cases[i].steps, count_of(&text_cases[i]), text, sizeof(text));
        if (strcmp(text, text_cases[i].text) != 0 || bytes != strlen(text))
            fail_msg("case %zu: '%s', not '%s'", i, text, text_cases[i].text);
    }
}

/* Whatever is recorded: text inside the buffer, whole characters, and the length that is said. */
static void test_any_steps_in_any_room(void **state)
{
    (void)state;
    struct ipc_prng prng;
    ipc_prng_seed(&prng, 5);
    print_message("seed 5\n");
    for (uint32_t round = 0; round < 20000; round++) {
        struct ipc_step steps[IPC_STEPS_MAX];
        char text[IPC_EXPLAIN_STEPS_BYTES + 1];
        uint32_t count = (uint32_t)ipc_prng_below(&prng, IPC_STEPS_MAX + 1);
        for (uint32_t i = 0; i < count; i++)
            steps[i] = (struct ipc_step){.code = (uint16_t)ipc_prng_below(&prng, 170),
                .value_e8 = (int64_t)ipc_prng_next(&prng),
                .reason = (uint8_t)ipc_prng_below(&prng, 256)};
        size_t room = ipc_prng_below(&prng, sizeof(text) - 1);
        memset(text, 'x', sizeof(text));
        size_t bytes = ipc_explain_steps(steps, count, text, room);
        assert_true(bytes < room || (room == 0 && bytes == 0));
        assert_true(room == 0 || strlen(text) == bytes);
        assert_int_equal(text[room], 'x');
        /* A cut never leaves half a character: the last lead byte has all of its followers. */
        size_t at = bytes;
        while (at > 0 && ((unsigned char)text[at - 1] & 0xc0) == 0x80)
            at--;
        size_t followers = bytes - at;
        unsigned char lead = at > 0 ? (unsigned char)text[at - 1] : 0;
        size_t wanted = lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
        assert_int_equal(followers, wanted);
        if (room == sizeof(text) - 1)
            assert_true(bytes < room - 1);
    }
}

/* The longest text of IPC_STEPS_MAX steps fits the size that the header promises. */
static void test_room_is_enough(void **state)
{
    (void)state;
    struct ipc_step steps[IPC_STEPS_MAX];
    char text[IPC_EXPLAIN_STEPS_BYTES];
    size_t longest = 0;
    for (uint32_t code = 1; code < 256; code++) {
        for (uint32_t i = 0; i < IPC_STEPS_MAX; i++)
            steps[i] = (struct ipc_step){.code = (uint16_t)code,
                .value_e8 = INT64_C(-1000000000012345678),
                .reason = IPC_REASON_MAX_ORDER_VALUE_REDUCED};
        size_t bytes = ipc_explain_steps(steps, 1, text, sizeof(text));
        longest = bytes > longest ? bytes : longest;
    }
    print_message("the longest step has %zu bytes\n", longest);
    assert_true(longest * IPC_STEPS_MAX < IPC_EXPLAIN_STEPS_BYTES);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(ipc_step_code_name(IPC_STEP_MAX_QUANTITY), "max_quantity");
    assert_string_equal(ipc_step_code_name(0), "?");
    assert_string_equal(ipc_step_code_name(9999), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_any_steps_in_any_room),
        cmocka_unit_test(test_room_is_enough),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
