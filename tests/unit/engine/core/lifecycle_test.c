#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/core/lifecycle.h"

#include <string.h>

/* The whole table as text, apart from its source: one letter per event, in the order of
 * ENG_LIFE_LIST. k keep, l late, x impossible, m move, G ghost. */
static const struct {
    enum eng_state state;
    const char *actions;
} actions[] = {
    {ENG_STATE_NONE, "mmxx"
                     "xxxx"
                     "xxxxxx"
                     "xxxxxx"},
    {ENG_STATE_INTENT, "xkmm"
                       "Gxxx"
                       "GGGGGG"
                       "kxkxxm"},
    {ENG_STATE_SENDING, "xxxx"
                        "mmmm"
                        "mmmmmm"
                        "mxxxxm"},
    {ENG_STATE_ACKED, "xxxx"
                      "kxxl"
                      "mmmmmm"
                      "kkxmxm"},
    {ENG_STATE_OPEN, "xxxx"
                     "kxxl"
                     "kmmmmm"
                     "kkxmxm"},
    {ENG_STATE_PARTIAL, "xxxx"
                        "kxxl"
                        "lkmmmm"
                        "kkxmxm"},
    {ENG_STATE_FILLED, "xxxx"
                       "kxxl"
                       "llklll"
                       "kkxkxk"},
    {ENG_STATE_CANCELLED, "xxxx"
                          "kxxl"
                          "lllkll"
                          "kkxkxk"},
    {ENG_STATE_EXPIRED, "xxxx"
                        "kxxl"
                        "llllkl"
                        "kkxkxk"},
    {ENG_STATE_EXCH_REJECTED, "xxxx"
                              "kkxl"
                              "lGGllk"
                              "kkkkxk"},
    {ENG_STATE_REJECTED, "xxxx"
                         "Gkll"
                         "GGGGGk"
                         "kkkkxk"},
    {ENG_STATE_NOT_SENT, "xkmm"
                         "Gmkl"
                         "GGGGGG"
                         "kkkxxm"},
    {ENG_STATE_UNKNOWN, "xxmx"
                        "mmmk"
                        "mmmmmm"
                        "kmxmxk"},
    {ENG_STATE_RECONCILING, "xxmx"
                            "mmmk"
                            "mmmmmm"
                            "mkmmxk"},
    {ENG_STATE_ADOPTED, "xxxx"
                        "kxxl"
                        "mmmmmm"
                        "kkxmxm"},
    {ENG_STATE_NOT_PLACED, "xxxx"
                           "Gmkl"
                           "GGGGGG"
                           "kkkkmm"},
    {ENG_STATE_MISSED, "xxxx"
                       "Glll"
                       "GGGGGG"
                       "kkkkkk"},
    {ENG_STATE_UNRESOLVED, "xxxx"
                           "mmmk"
                           "mmmmmm"
                           "kmkkmk"},
    {ENG_STATE_SKIPPED, "xxxx"
                        "Glll"
                        "GGGGGG"
                        "kkkkxk"},
};

/* Where each event leads when it moves, from the drawing of the life of an order. */
static const uint8_t leads_to[ENG_LIFE_COUNT] = {
    [ENG_LIFE_SEND] = ENG_STATE_SENDING,
    [ENG_LIFE_QUEUE] = ENG_STATE_INTENT,
    [ENG_LIFE_RELEASE] = ENG_STATE_SENDING,
    [ENG_LIFE_SKIP] = ENG_STATE_SKIPPED,
    [ENG_LIFE_ACKED] = ENG_STATE_ACKED,
    [ENG_LIFE_REJECTED] = ENG_STATE_REJECTED,
    [ENG_LIFE_LOST] = ENG_STATE_UNKNOWN,
    [ENG_LIFE_SEEN_PARTIAL] = ENG_STATE_PARTIAL,
    [ENG_LIFE_SEEN_FILLED] = ENG_STATE_FILLED,
    [ENG_LIFE_SEEN_CANCELLED] = ENG_STATE_CANCELLED,
    [ENG_LIFE_SEEN_EXPIRED] = ENG_STATE_EXPIRED,
    [ENG_LIFE_SEEN_REJECTED] = ENG_STATE_EXCH_REJECTED,
    [ENG_LIFE_RECOVERED] = ENG_STATE_UNKNOWN,
    [ENG_LIFE_RECONCILE] = ENG_STATE_RECONCILING,
    [ENG_LIFE_ABSENT] = ENG_STATE_NOT_PLACED,
    [ENG_LIFE_GIVE_UP] = ENG_STATE_UNRESOLVED,
    [ENG_LIFE_MISS] = ENG_STATE_MISSED,
};

static void every_cell_is_as_drawn(void **state)
{
    (void)state;
    static const char letters[] = "kmlGx";
    assert_int_equal(LS_COUNT_OF(actions), ENG_STATE_COUNT);
    for (size_t row = 0; row < LS_COUNT_OF(actions); row++) {
        assert_int_equal(strlen(actions[row].actions), ENG_LIFE_COUNT);
        for (int event = 0; event < ENG_LIFE_COUNT; event++) {
            struct eng_life_cell cell = eng_life_cell(actions[row].state, (enum eng_life)event);
            if (letters[cell.action] != actions[row].actions[event])
                fail_msg("%s on %s: %c, expected %c", eng_state_name(actions[row].state),
                    eng_life_name((enum eng_life)event), letters[cell.action],
                    actions[row].actions[event]);
            bool moves = cell.action == ENG_LIFE_MOVE || cell.action == ENG_LIFE_GHOST;
            assert_int_equal(moves, cell.next != ENG_STATE_NONE);
            if (moves && leads_to[event] != ENG_STATE_NONE && event != ENG_LIFE_SEEN_OPEN)
                assert_int_equal(cell.next, leads_to[event]);
        }
    }
}

/* Bytes of a place can be on the way only from an intent, after proof of not being sent, or once
 * more in doubt (which only the answer of a broker that enforces ids queues). */
static void sending_is_entered_by_three_doors(void **state)
{
    (void)state;
    for (int from = 0; from < ENG_STATE_COUNT; from++) {
        for (int event = 0; event < ENG_LIFE_COUNT; event++) {
            struct eng_life_cell cell = eng_life_cell((enum eng_state)from, (enum eng_life)event);
            if (cell.next != ENG_STATE_SENDING)
                continue;
            bool first = from == ENG_STATE_NONE && event == ENG_LIFE_SEND;
            bool later = (from == ENG_STATE_INTENT || from == ENG_STATE_NOT_SENT) &&
                         event == ENG_LIFE_RELEASE;
            bool again = eng_state_may_go_again((uint8_t)from) && event == ENG_LIFE_RELEASE;
            assert_true(first || later || again);
        }
    }
}

/* What ended comes back only as a ghost, and what is in doubt is never sent again. */
static void the_end_is_left_only_by_ghosts(void **state)
{
    (void)state;
    for (int from = 1; from < ENG_STATE_COUNT; from++) {
        for (int event = 0; event < ENG_LIFE_COUNT; event++) {
            struct eng_life_cell cell = eng_life_cell((enum eng_state)from, (enum eng_life)event);
            if (cell.action != ENG_LIFE_MOVE)
                continue;
            assert_false(eng_state_ended((uint8_t)from));
            if (eng_state_in_doubt((uint8_t)from))
                assert_false(eng_state_unsent(cell.next));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cell_is_as_drawn),
        cmocka_unit_test(sending_is_entered_by_three_doors),
        cmocka_unit_test(the_end_is_left_only_by_ghosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
