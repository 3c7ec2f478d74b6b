/* reason_test.c: the list of reasons: the minimum that the rules enumerate, each with what it means
 * and what to do, and numbers that never move because the journal holds them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ipc/reason.h"

/* The minimum enumeration of the rules of a copy, word for word. */
static const char minimum[] =
    "QTY_ZERO SUB_LOT MIN_NOTIONAL MASTER_SIZE_FILTER MAX_QTY MAX_QTY_CAPPED MAX_POSITION_REDUCED "
    "MAX_ORDER_VALUE MAX_ORDER_VALUE_REDUCED RISK_REDUCED NO_STOP_LOSS TOO_MANY_SLICES "
    "PRICE_UNKNOWN SLIPPAGE STALE_EVENT SYMBOL_NOT_ALLOWED PRODUCT_NOT_ALLOWED "
    "ORDER_TYPE_NOT_ALLOWED SHORT_NOT_ALLOWED FOLLOWER_DISABLED COPY_PAUSED KILL_SWITCH DAILY_LOSS "
    "MAX_OPEN_POSITIONS MAX_TRADES_DAY MAX_CAPITAL_EXPOSURE CIRCUIT_OPEN SESSION_EXPIRED "
    "MARKET_CLOSED OUTSIDE_WINDOW NO_POSITION CLOSE_CLAMPED EXIT_IN_FLIGHT POSITION_KEPT AT_TARGET "
    "KEEP_STOP MASTER_REJECTED CHILD_FILLED WAIT_MASTER_FILL OWN_ORDER INSTRUMENT_UNKNOWN "
    "INSTRUMENT_MISMATCH MARGIN RATE_BUDGET BROKER_REJECT DUPLICATE_EVENT LOOP_DETECTED "
    "STALE_ACCOUNT_DATA LATE_JOINER SLIPPAGE_PARTIAL UNKNOWN_PENDING SUPERSEDED DUPLICATE_SUSPECT "
    "CAPITAL_UNKNOWN";

static const char *const names[] = {
#define X(name, value, text, sentence, advice) [value] = text,
    IPC_REASON_LIST(X)
#undef X
};

static bool is_listed(const char *name, size_t bytes)
{
    for (size_t i = 0; i < LS_COUNT_OF(names); i++)
        if (names[i] != NULL && strlen(names[i]) == bytes && memcmp(names[i], name, bytes) == 0)
            return true;
    return false;
}

static void test_minimum(void **state)
{
    (void)state;
    size_t count = 0;
    for (const char *at = minimum; *at != '\0'; count++) {
        size_t bytes = strcspn(at, " ");
        if (!is_listed(at, bytes))
            fail_msg("%.*s has no code", (int)bytes, at);
        at += bytes + (at[bytes] == ' ');
    }
    assert_int_equal(count, 54);
}

static void test_each_is_whole(void **state)
{
    (void)state;
    assert_int_equal(LS_COUNT_OF(names), IPC_REASON_COUNT);
    for (uint32_t i = 0; i < IPC_REASON_COUNT; i++) {
        enum ipc_reason reason = (enum ipc_reason)i;
        const char *name = ipc_reason_name(reason);
        if (names[i] == NULL || strcmp(name, names[i]) != 0)
            fail_msg("number %u is free: numbers are given in order", i);
        assert_int_equal(strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"), strlen(name));
        assert_true(strlen(ipc_reason_sentence(reason)) >= 10);
        assert_true(strlen(ipc_reason_advice(reason)) >= 10);
        for (uint32_t j = 0; j < i; j++)
            assert_string_not_equal(name, names[j]);
        /* Printed inside JSON strings and behind a comma. */
        assert_null(strpbrk(ipc_reason_sentence(reason), "\"\\\n"));
        assert_null(strpbrk(ipc_reason_advice(reason), "\"\\\n"));
    }
    assert_string_equal(ipc_reason_name((enum ipc_reason)IPC_REASON_COUNT), "?");
    assert_string_equal(ipc_reason_name((enum ipc_reason)255), "?");
}

/* Journals of earlier builds hold these. */
static void test_numbers_stay(void **state)
{
    (void)state;
    static const char *const first[] = {"NONE", "QTY_ZERO", "SUB_LOT", "MAX_QTY_CAPPED", "MAX_QTY",
        "MAX_POSITION_REDUCED", "MAX_ORDER_VALUE", "MAX_ORDER_VALUE_REDUCED", "PRICE_UNKNOWN",
        "CAPITAL_UNKNOWN", "STALE_EVENT", "SYMBOL_NOT_ALLOWED", "PRODUCT_NOT_ALLOWED",
        "ORDER_TYPE_NOT_ALLOWED", "SHORT_NOT_ALLOWED", "FOLLOWER_DISABLED", "COPY_PAUSED",
        "KILL_SWITCH", "SESSION_EXPIRED", "NO_POSITION", "CLOSE_CLAMPED", "MASTER_REJECTED",
        "CHILD_FILLED", "OWN_ORDER", "INSTRUMENT_UNKNOWN", "RATE_BUDGET", "BROKER_REJECT",
        "DUPLICATE_EVENT", "UNKNOWN_PENDING", "SUPERSEDED", "NO_COPY", "NO_CONNECTION", "CAPACITY",
        "SIDE_NOT_ALLOWED", "TOO_MANY_SLICES", "AT_TARGET", "JOURNAL", "TAG_COLLISION",
        "MODE_UNSUPPORTED", "INSTRUMENT_MISMATCH"};
    for (uint32_t i = 0; i < LS_COUNT_OF(first); i++)
        assert_string_equal(ipc_reason_name((enum ipc_reason)i), first[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_minimum),
        cmocka_unit_test(test_each_is_whole),
        cmocka_unit_test(test_numbers_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
