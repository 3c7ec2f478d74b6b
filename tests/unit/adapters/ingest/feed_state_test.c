/* What follows from what in an account's order feed: a table of paths, then random inputs against
 * the rules that must hold whatever happens. */
#include "adapters/ingest/feed_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#include <string.h>

#define S LS_NS_PER_S

static const struct adp_feed_rules rules = {.absent_most = 3,
    .failed_most = 5,
    .absent_ns = 300 * S,
    .ack_ns = 10 * S,
    .settled_ns = 10 * S};

static struct adp_feed_state fresh(void)
{
    return (struct adp_feed_state){.backoff = {.least_ns = S / 2, .most_ns = 30 * S}};
}

struct row {
    int at_s; /* when the input comes */
    enum adp_feed_input input;
    int book_at_s;
    enum adp_feed_phase phase; /* after it */
    unsigned todo;
    bool is_covering;
};

static void run(const char *name, const struct row *rows, size_t count)
{
    struct adp_feed_state state = fresh();
    struct ipc_prng prng;
    ipc_prng_seed(&prng, 1);
    for (size_t i = 0; i < count; i++) {
        const unsigned todo = adp_feed_next(
            &state, &rules, rows[i].input, rows[i].book_at_s * S, rows[i].at_s * S, &prng);
        if (state.phase != rows[i].phase || todo != rows[i].todo ||
            adp_feed_is_covering(&state) != rows[i].is_covering)
            fail_msg("%s, row %zu: %s, todo %u, covering %d", name, i,
                adp_feed_phase_name(state.phase), todo, adp_feed_is_covering(&state));
    }
}

#define RUN(name, rows) run(name, rows, sizeof(rows) / sizeof(rows[0]))

static void paths(void **state)
{
    (void)state;
    static const struct row good_day[] = {
        {0, ADP_FEED_START, 0, ADP_FEED_WAIT, 0, false},
        {0, ADP_FEED_TIME, 0, ADP_FEED_TOKEN, ADP_FEED_ASK_TOKEN, false},
        {0, ADP_FEED_TIME, 0, ADP_FEED_TOKEN, 0, false},
        {1, ADP_FEED_GOT_TOKEN, 0, ADP_FEED_CONNECT, ADP_FEED_DO_CONNECT, false},
        {1, ADP_FEED_BOOK, 0, ADP_FEED_CONNECT, 0, false},
        {2, ADP_FEED_OPENED, 0, ADP_FEED_SUBSCRIBE, ADP_FEED_SAY_FIRST, false},
        {3, ADP_FEED_ACKED, 0, ADP_FEED_LIVE, ADP_FEED_READ_BOOK, false},
        {4, ADP_FEED_BOOK, 2, ADP_FEED_LIVE, 0, false}, /* asked for before the acknowledgement */
        {5, ADP_FEED_BOOK, 4, ADP_FEED_LIVE, 0, true},
        {60, ADP_FEED_CUT, 0, ADP_FEED_WAIT, ADP_FEED_READ_BOOK | ADP_FEED_READ_WHOLE, false},
        {60, ADP_FEED_TIME, 0, ADP_FEED_WAIT, 0, false},
        {61, ADP_FEED_TIME, 0, ADP_FEED_TOKEN, ADP_FEED_ASK_TOKEN, false},
    };
    RUN("a good day", good_day);
    static const struct row no_feed[] = {
        {0, ADP_FEED_START, 0, ADP_FEED_WAIT, 0, false},
        {0, ADP_FEED_TIME, 0, ADP_FEED_TOKEN, ADP_FEED_ASK_TOKEN, false},
        {0, ADP_FEED_NO_FEED, 0, ADP_FEED_WAIT, 0, false},
        {5, ADP_FEED_TIME, 0, ADP_FEED_TOKEN, ADP_FEED_ASK_TOKEN, false},
        {5, ADP_FEED_NO_FEED, 0, ADP_FEED_WAIT, 0, false},
        {10, ADP_FEED_TIME, 0, ADP_FEED_TOKEN, ADP_FEED_ASK_TOKEN, false},
        {10, ADP_FEED_NO_FEED, 0, ADP_FEED_ABSENT, ADP_FEED_GAVE_UP, false},
        {309, ADP_FEED_TIME, 0, ADP_FEED_ABSENT, 0, false},
        {310, ADP_FEED_TIME, 0, ADP_FEED_TOKEN, ADP_FEED_ASK_TOKEN, false},
        {310, ADP_FEED_NO_FEED, 0, ADP_FEED_ABSENT, ADP_FEED_GAVE_UP, false},
        {610, ADP_FEED_TIME, 0, ADP_FEED_TOKEN, ADP_FEED_ASK_TOKEN, false},
        {610, ADP_FEED_GOT_TOKEN, 0, ADP_FEED_CONNECT, ADP_FEED_DO_CONNECT, false},
        {610, ADP_FEED_NO_FEED, 0, ADP_FEED_ABSENT, ADP_FEED_GAVE_UP, false}, /* a web page */
        {910, ADP_FEED_TIME, 0, ADP_FEED_TOKEN, ADP_FEED_ASK_TOKEN, false},
        {910, ADP_FEED_GOT_TOKEN, 0, ADP_FEED_CONNECT, ADP_FEED_DO_CONNECT, false},
        {911, ADP_FEED_OPENED, 0, ADP_FEED_SUBSCRIBE, ADP_FEED_SAY_FIRST, false},
        {911, ADP_FEED_ACKED, 0, ADP_FEED_LIVE, ADP_FEED_READ_BOOK, false},
        {911, ADP_FEED_CUT, 0, ADP_FEED_WAIT, ADP_FEED_READ_BOOK | ADP_FEED_READ_WHOLE, false},
    };
    RUN("an account without a feed gets one", no_feed);
    static const struct row silent_ack[] = {
        {0, ADP_FEED_START, 0, ADP_FEED_WAIT, 0, false},
        {0, ADP_FEED_TIME, 0, ADP_FEED_TOKEN, ADP_FEED_ASK_TOKEN, false},
        {0, ADP_FEED_GOT_TOKEN, 0, ADP_FEED_CONNECT, ADP_FEED_DO_CONNECT, false},
        {1, ADP_FEED_OPENED, 0, ADP_FEED_SUBSCRIBE, ADP_FEED_SAY_FIRST, false},
        {10, ADP_FEED_TIME, 0, ADP_FEED_SUBSCRIBE, 0, false},
        {11, ADP_FEED_TIME, 0, ADP_FEED_WAIT, ADP_FEED_CLOSE, false},
        {11, ADP_FEED_CUT, 0, ADP_FEED_WAIT, 0, false}, /* our own close comes back */
        {20, ADP_FEED_TIME, 0, ADP_FEED_TOKEN, ADP_FEED_ASK_TOKEN, false},
        {20, ADP_FEED_FAILED, 0, ADP_FEED_WAIT, 0, false},
        {30, ADP_FEED_TIME, 0, ADP_FEED_TOKEN, ADP_FEED_ASK_TOKEN, false},
        {30, ADP_FEED_GOT_TOKEN, 0, ADP_FEED_CONNECT, ADP_FEED_DO_CONNECT, false},
        {31, ADP_FEED_OPENED, 0, ADP_FEED_SUBSCRIBE, ADP_FEED_SAY_FIRST, false},
        {31, ADP_FEED_REFUSED, 0, ADP_FEED_WAIT, ADP_FEED_CLOSE, false},
        {40, ADP_FEED_TIME, 0, ADP_FEED_TOKEN, ADP_FEED_ASK_TOKEN, false},
        {40, ADP_FEED_GOT_TOKEN, 0, ADP_FEED_CONNECT, ADP_FEED_DO_CONNECT, false},
        {41, ADP_FEED_CUT, 0, ADP_FEED_WAIT, 0, false},
        {60, ADP_FEED_TIME, 0, ADP_FEED_TOKEN, ADP_FEED_ASK_TOKEN, false},
        {60, ADP_FEED_FAILED, 0, ADP_FEED_ABSENT, ADP_FEED_GAVE_UP, false}, /* the fifth */
    };
    RUN("failures in a row", silent_ack);
    static const struct row stopped[] = {
        {0, ADP_FEED_TIME, 0, ADP_FEED_OFF, 0, false},
        {0, ADP_FEED_START, 0, ADP_FEED_WAIT, 0, false},
        {0, ADP_FEED_TIME, 0, ADP_FEED_TOKEN, ADP_FEED_ASK_TOKEN, false},
        {0, ADP_FEED_STOP, 0, ADP_FEED_OFF, ADP_FEED_CLOSE, false},
        {1, ADP_FEED_GOT_TOKEN, 0, ADP_FEED_OFF, 0, false}, /* was under way */
        {2, ADP_FEED_START, 0, ADP_FEED_WAIT, 0, false},
        {2, ADP_FEED_START, 0, ADP_FEED_WAIT, 0, false},
    };
    RUN("stopped and started", stopped);
}

/* A feed that lived starts its back-off anew; one that dies at once goes on doubling. */
static void flapping_slows_down(void **state)
{
    struct adp_feed_state feed = fresh();
    struct ipc_prng prng;
    int64_t now = 0, last_pause = 0;
    (void)state;
    ipc_prng_seed(&prng, 7);
    (void)adp_feed_next(&feed, &rules, ADP_FEED_START, 0, now, &prng);
    for (int i = 0; i < 4; i++) {
        now = feed.due_ns;
        (void)adp_feed_next(&feed, &rules, ADP_FEED_TIME, 0, now, &prng);
        (void)adp_feed_next(&feed, &rules, ADP_FEED_GOT_TOKEN, 0, now, &prng);
        (void)adp_feed_next(&feed, &rules, ADP_FEED_OPENED, 0, now, &prng);
        (void)adp_feed_next(&feed, &rules, ADP_FEED_ACKED, 0, now, &prng);
        (void)adp_feed_next(&feed, &rules, ADP_FEED_CUT, 0, now + S, &prng);
        const int64_t pause = feed.due_ns - (now + S);
        assert_true(pause > last_pause);
        last_pause = pause;
    }
    now = feed.due_ns;
    (void)adp_feed_next(&feed, &rules, ADP_FEED_TIME, 0, now, &prng);
    (void)adp_feed_next(&feed, &rules, ADP_FEED_GOT_TOKEN, 0, now, &prng);
    (void)adp_feed_next(&feed, &rules, ADP_FEED_OPENED, 0, now, &prng);
    (void)adp_feed_next(&feed, &rules, ADP_FEED_ACKED, 0, now, &prng);
    (void)adp_feed_next(&feed, &rules, ADP_FEED_CUT, 0, now + 11 * S, &prng);
    assert_int_equal(feed.phase, ADP_FEED_WAIT);
    assert_true(feed.due_ns - (now + 11 * S) <= S / 2);
}

/* Whatever comes in whatever order: nothing is asked for twice, covering means a book after the
 * acknowledgement, and a feed that is not live is tried again at a time that is known. */
static void random_inputs(void **state)
{
    const uint64_t seed = 20301;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint64_t round = 0; round < 300; round++) {
        struct adp_feed_state feed = fresh();
        struct ipc_prng prng;
        int64_t now = 0, acked = 0, best_book = -1;
        ipc_prng_seed(&prng, seed + round);
        for (int step = 0; step < 400; step++) {
            const enum adp_feed_phase before = feed.phase;
            const enum adp_feed_input input =
                (enum adp_feed_input)ipc_prng_below(&prng, ADP_FEED_BOOK + 1);
            now += (int64_t)ipc_prng_below(&prng, 3) * (int64_t)ipc_prng_below(&prng, 20 * S);
            const int64_t book = now - (int64_t)ipc_prng_below(&prng, 5 * S);
            const unsigned todo = adp_feed_next(&feed, &rules, input, book, now, &prng);
            if (input == ADP_FEED_BOOK && book > best_book)
                best_book = book;
            if (feed.phase == ADP_FEED_LIVE && before != ADP_FEED_LIVE) {
                acked = now;
                best_book = -1;
                assert_int_equal(input, ADP_FEED_ACKED);
                assert_true((todo & ADP_FEED_READ_BOOK) != 0);
            }
            if (before == ADP_FEED_LIVE && feed.phase != ADP_FEED_LIVE &&
                feed.phase != ADP_FEED_OFF)
                assert_true((todo & ADP_FEED_READ_WHOLE) != 0);
            assert_true(((todo & ADP_FEED_ASK_TOKEN) != 0) ==
                        (feed.phase == ADP_FEED_TOKEN && before != ADP_FEED_TOKEN));
            assert_true(((todo & ADP_FEED_DO_CONNECT) != 0) ==
                        (feed.phase == ADP_FEED_CONNECT && before != ADP_FEED_CONNECT));
            assert_int_equal(
                adp_feed_is_covering(&feed), feed.phase == ADP_FEED_LIVE && best_book >= acked);
            if (feed.phase == ADP_FEED_WAIT)
                assert_true(adp_feed_due_ns(&feed) <= now + 30 * S);
            if (feed.phase == ADP_FEED_ABSENT)
                assert_true(adp_feed_due_ns(&feed) <= now + 300 * S);
        }
    }
}

static void backoff_and_gate(void **state)
{
    struct adp_backoff backoff = {.least_ns = 100, .most_ns = 1000};
    struct adp_gate gate = {.every_ns = 10, .burst = 3};
    struct ipc_prng prng;
    (void)state;
    ipc_prng_seed(&prng, 3);
    static const int64_t steps[] = {100, 200, 400, 800, 1000, 1000};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        const int64_t pause = adp_backoff_next(&backoff, &prng);
        assert_true(pause <= steps[i] && pause >= steps[i] - steps[i] / 4);
    }
    backoff.failures = UINT32_MAX;
    assert_true(adp_backoff_next(&backoff, &prng) <= 1000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(adp_gate_pass(&gate, 1000), 0);
    assert_int_equal(adp_gate_pass(&gate, 1000), 10);
    assert_int_equal(adp_gate_pass(&gate, 1009), 1);
    assert_int_equal(adp_gate_pass(&gate, 1010), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(adp_gate_pass(&gate, 5000), 0);
    assert_true(adp_gate_pass(&gate, 5000) > 0); /* a rest is worth a burst, and no more */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),
        cmocka_unit_test(flapping_slows_down),
        cmocka_unit_test(random_inputs),
        cmocka_unit_test(backoff_and_gate),
    };
    return cmocka_run_group_tests_name("feed_state", tests, NULL, NULL);
}
