#include "ipc/command.h"
#include "ipc/event.h"
#include "ipc/fact.h"
#include "ipc/reason.h"
#include "ipc/rc.h"
#include "ipc/region.h"
#include "ipc/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* Every word of a list goes to its number and back, and nothing else is in the list. */
#define ROUND_TRIP(tag)                                                                            \
    do {                                                                                           \
        unsigned words = 0;                                                                        \
        for (uint32_t value = 0; value < 1000; value++) {                                          \
            enum tag back = (enum tag)12345;                                                       \
            const char *name = tag##_name((enum tag)value);                                        \
            if (!tag##_valid(value)) {                                                             \
                assert_string_equal(name, "?");                                                    \
                continue;                                                                          \
            }                                                                                      \
            words++;                                                                               \
            assert_true(tag##_parse(name, strlen(name), &back));                                   \
            assert_int_equal(back, value);                                                         \
            back = (enum tag)12345;                                                                \
            assert_true(!tag##_parse(name, strlen(name) - 1, &back) || back != (enum tag)value);   \
        }                                                                                          \
        assert_true(words >= 2);                                                                   \
        enum tag unchanged = (enum tag)12345;                                                      \
        assert_false(tag##_parse("", 0, &unchanged));                                              \
        assert_false(tag##_parse("nonsense", 8, &unchanged));                                      \
        assert_int_equal(unchanged, 12345);                                                        \
        assert_false(tag##_valid(UINT32_MAX));                                                     \
    } while (0)

static void test_every_word_round_trips(void **state)
{
    (void)state;
    ROUND_TRIP(ipc_side);
    ROUND_TRIP(ipc_type);
    ROUND_TRIP(ipc_product);
    ROUND_TRIP(ipc_validity);
    ROUND_TRIP(ipc_status);
    ROUND_TRIP(ipc_source);
    ROUND_TRIP(ipc_exchange);
    ROUND_TRIP(ipc_switch);
    ROUND_TRIP(ipc_mode);
    ROUND_TRIP(ipc_copy);
    ROUND_TRIP(ipc_action);
    ROUND_TRIP(ipc_lanes);
    ROUND_TRIP(ipc_event_kind);
    ROUND_TRIP(ipc_outcome_class);
    ROUND_TRIP(ipc_evidence);
    ROUND_TRIP(ipc_fact_type);
    ROUND_TRIP(ipc_transition);
    ROUND_TRIP(ipc_child_kind);
    ROUND_TRIP(ipc_alarm);
    ROUND_TRIP(ipc_operator_act);
    ROUND_TRIP(ipc_limit_act);
    ROUND_TRIP(ipc_limit_kind);
    ROUND_TRIP(ipc_limit_scope);
    ROUND_TRIP(ipc_instrument_kind);
    ROUND_TRIP(ipc_region_kind);
}

/* Numbers are in journals: a renumbering must fail here. */
static void test_numbers_are_what_they_were(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int value, must;
    } rows[] = {
        {"BUY", IPC_SIDE_BUY, 1},
        {"SELL", IPC_SIDE_SELL, 2},
        {"SLM", IPC_TYPE_SLM, 4},
        {"MTF", IPC_PRODUCT_MTF, 4},
        {"EXPIRED", IPC_STATUS_EXPIRED, 6},
        {"BCO", IPC_EXCHANGE_BCO, 9},
        {"halt", IPC_SWITCH_HALT, 2},
        {"UNKNOWN", IPC_OUTCOME_UNKNOWN, 6},
        {"recovery", IPC_EVIDENCE_RECOVERY, 9},
        {"place-queued", IPC_CHILD_PLACE_QUEUED, 3},
        {"SUB_LOT", IPC_REASON_SUB_LOT, 2},
        {"JOURNAL", IPC_REASON_JOURNAL, 36},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++)
        assert_int_equal(rows[i].value, rows[i].must);
}

static void test_words_are_case_sensitive(void **state)
{
    (void)state;
    enum ipc_side side;
    assert_false(ipc_side_parse("buy", 3, &side));
    assert_true(ipc_side_parse("BUYER", 3, &side));
    assert_int_equal(side, IPC_SIDE_BUY);
    assert_int_equal(ipc_side_opposite(side), IPC_SIDE_SELL);
    assert_false(ipc_status_final(IPC_STATUS_OPEN));
    assert_true(ipc_status_final(IPC_STATUS_FILLED));
    assert_true(ipc_status_final(IPC_STATUS_EXPIRED));
}

static void test_every_reason_has_words(void **state)
{
    (void)state;
    for (int reason = 0; reason < IPC_REASON_COUNT; reason++) {
        assert_string_not_equal(ipc_reason_name((enum ipc_reason)reason), "?");
        assert_true(strlen(ipc_reason_sentence((enum ipc_reason)reason)) > 5);
        for (int other = 0; other < reason; other++)
            assert_string_not_equal(
                ipc_reason_name((enum ipc_reason)reason), ipc_reason_name((enum ipc_reason)other));
    }
    assert_string_equal(ipc_reason_name(IPC_REASON_COUNT), "?");
    assert_string_equal(ipc_reason_name((enum ipc_reason)1000), "?");
    assert_non_null(ipc_reason_sentence((enum ipc_reason)1000));
}

static void test_result_codes_have_words_and_classes(void **state)
{
    (void)state;
    assert_string_equal(ipc_rc_text(IPC_OK), "done");
    assert_string_equal(ipc_rc_text((enum ipc_rc) - 99999), "unknown result code");
    assert_int_equal(IPC_OK, 0);
    assert_int_equal(-IPC_FULL / 100, IPC_CLASS_RETRY);
    assert_int_equal(-IPC_REFUSED / 100, IPC_CLASS_REFUSED);
    assert_int_equal(-IPC_SYSTEM / 100, IPC_CLASS_SYSTEM);
    assert_int_equal(-IPC_GONE / 100, IPC_CLASS_CORRUPT);
}

static void test_error_sentences_are_cut_not_overrun(void **state)
{
    (void)state;
    struct ipc_error error;
    ipc_error_set(NULL, "%s", "nobody listens");
    ipc_error_set(&error, "%s is %d", "it", 7);
    assert_string_equal(error.text, "it is 7");
    char longer[600];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    ipc_error_set(&error, "%s", longer);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
}

/* A failed check names the condition and the place, and ends the process by SIGABRT. */
static void test_failed_check_aborts_with_its_place(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        LS_CHECK(1 + 1 == 3);
        _exit(0);
    }
    close(ends[1]);
    char text[300] = "";
    ssize_t got = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_true(got > 0);
    assert_non_null(strstr(text, "1 + 1 == 3"));
    assert_non_null(strstr(text, "vocab_test.c:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_word_round_trips),
        cmocka_unit_test(test_numbers_are_what_they_were),
        cmocka_unit_test(test_words_are_case_sensitive),
        cmocka_unit_test(test_every_reason_has_words),
        cmocka_unit_test(test_result_codes_have_words_and_classes),
        cmocka_unit_test(test_error_sentences_are_cut_not_overrun),
        cmocka_unit_test(test_failed_check_aborts_with_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
