/* Hours of an exchange, and the market's day, by the sessions of a view. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/core/hours.h"

#define S        LS_NS_PER_S
#define DAY_S    INT64_C(86400)
#define INDIA_S  INT64_C(19800)

/* 2026-01-05, a Monday; 00:00 UTC. */
#define MONDAY_S INT64_C(1767571200)

/* Wall time of a minute of a day in India: day 0 is Monday 2026-01-05. */
static int64_t india(int day, int hour, int minute)
{
    return (MONDAY_S + day * DAY_S - INDIA_S + hour * 3600 + minute * 60) * S;
}

static struct ipc_row_session session(uint8_t exchange, int day, uint32_t yyyymmdd, int open_hour,
    int open_minute, int close_hour, int close_minute, int cutoff_minutes)
{
    struct ipc_row_session row = {.midnight_wall_ns = india(day, 0, 0),
        .open_wall_ns = india(day, open_hour, open_minute),
        .close_wall_ns = india(day, close_hour, close_minute),
        .yyyymmdd = yyyymmdd,
        .exchange = exchange};
    if (cutoff_minutes != 0)
        row.intraday_cutoff_wall_ns = india(day, 0, cutoff_minutes);
    return row;
}

#define NSE IPC_EXCHANGE_NSE
#define MCX IPC_EXCHANGE_MCX

static struct ipc_row_session rows[8];
static struct ipc_snapshot_view view;

/* NSE Monday, Tuesday, and a Muhurat Saturday; MCX Monday in two parts, the second past midnight.
 */
static int make(void **state)
{
    (void)state;
    rows[0] = session(NSE, 0, 20260105, 9, 15, 15, 30, 15 * 60 + 20);
    rows[1] = session(NSE, 1, 20260106, 9, 15, 15, 30, 15 * 60 + 20);
    rows[2] = session(NSE, 5, 20260110, 18, 0, 19, 0, 0);
    rows[3] = session(MCX, 0, 20260105, 9, 0, 17, 0, 0);
    rows[4] = session(MCX, 0, 20260105, 17, 0, 25, 0, 0);
    view = (struct ipc_snapshot_view){.sessions = rows, .session_count = 5};
    return 0;
}

static void hours_by_table(void **state)
{
    (void)state;
    const struct {
        const char *name;
        uint8_t exchange;
        int64_t wall_ns;
        enum eng_market market;
        uint32_t day;
        uint16_t minute, cutoff;
    } table[] = {
        {"before the open", NSE, india(0, 9, 15) - 1, ENG_MARKET_CLOSED, 20260105, 554, 0},
        {"at the open", NSE, india(0, 9, 15), ENG_MARKET_OPEN, 20260105, 555, 920},
        {"09:18 (F19)", NSE, india(0, 9, 18), ENG_MARKET_OPEN, 20260105, 558, 920},
        {"15:21 (F18)", NSE, india(0, 15, 21), ENG_MARKET_OPEN, 20260105, 921, 920},
        {"just before the close", NSE, india(0, 15, 30) - 1, ENG_MARKET_OPEN, 20260105, 929, 920},
        {"at the close", NSE, india(0, 15, 30), ENG_MARKET_CLOSED, 20260105, 930, 0},
        {"the market's midnight", NSE, india(1, 0, 0), ENG_MARKET_CLOSED, 20260106, 0, 0},
        {"UTC's midnight is 05:30", NSE, (MONDAY_S + DAY_S) * S, ENG_MARKET_CLOSED, 20260106, 330,
            0},
        {"an hour before it is still Monday in UTC", NSE, (MONDAY_S + DAY_S - 3600) * S,
            ENG_MARKET_CLOSED, 20260106, 270, 0},
        {"a day without a session", NSE, india(3, 12, 0), ENG_MARKET_CLOSED, 20260108, 720, 0},
        {"Muhurat", NSE, india(5, 18, 30), ENG_MARKET_OPEN, 20260110, 1110, 0},
        {"Muhurat's forenoon", NSE, india(5, 10, 0), ENG_MARKET_CLOSED, 20260110, 600, 0},
        {"December of the year before", NSE, india(-6, 12, 0), ENG_MARKET_UNKNOWN, 20251230, 720,
            0},
        {"a year later", NSE, india(365, 12, 0), ENG_MARKET_UNKNOWN, 20270105, 720, 0},
        {"the same year, long after", NSE, india(300, 12, 0), ENG_MARKET_CLOSED, 20261101, 720, 0},
        {"between two parts", MCX, india(0, 17, 0), ENG_MARKET_OPEN, 20260105, 1020, 0},
        {"past midnight", MCX, india(1, 0, 30), ENG_MARKET_OPEN, 20260105, 30, 0},
        {"an exchange that is not there", IPC_EXCHANGE_BSE, india(0, 12, 0), ENG_MARKET_UNKNOWN,
            20260105, 720, 0},
    };
    uint32_t failed = 0;
    for (size_t i = 0; i < LS_COUNT_OF(table); i++) {
        struct eng_hours hours;
        eng_hours_at(&view, table[i].exchange, table[i].wall_ns, &hours);
        if (eng_hours_market(&hours) != table[i].market || hours.yyyymmdd != table[i].day ||
            hours.minute != table[i].minute || hours.cutoff_minute != table[i].cutoff) {
            print_error("%s: market %u day %u minute %u cut-off %u\n", table[i].name,
                (unsigned)eng_hours_market(&hours), hours.yyyymmdd, hours.minute,
                hours.cutoff_minute);
            failed++;
        }
    }
    assert_int_equal(failed, 0);
}

static void without_a_calendar_hours_are_not_enforced(void **state)
{
    (void)state;
    const struct ipc_snapshot_view bare = {.session_count = 0};
    struct eng_hours hours;
    eng_hours_at(&bare, NSE, india(0, 3, 7), &hours);
    assert_int_equal(eng_hours_market(&hours), ENG_MARKET_ANY);
    assert_int_equal(hours.minute, 187); /* windows of a subscription still count */
    assert_int_equal(hours.yyyymmdd, 20260105);
}

/* F27: the day begins at the market's midnight, limits lift at its first session's open; not at
 * the weekend, and not at UTC's midnight. */
static void the_markets_day(void **state)
{
    (void)state;
    const struct {
        int64_t wall_ns;
        uint32_t day, session;
        int64_t next_ns;
    } table[] = {
        {india(-2, 12, 0), 0, 0, india(0, 0, 0)},
        {india(0, 0, 0), 20260105, 0, india(0, 9, 0)},
        {india(0, 9, 0), 20260105, 20260105, india(0, 9, 15)},
        {(MONDAY_S + DAY_S) * S, 20260106, 20260105, india(1, 9, 15)},
        {india(1, 9, 15) - 1, 20260106, 20260105, india(1, 9, 15)},
        {india(1, 9, 15), 20260106, 20260106, india(5, 0, 0)},
        {india(4, 12, 0), 20260106, 20260106, india(5, 0, 0)},
        {india(5, 0, 0), 20260110, 20260106, india(5, 18, 0)},
        {india(5, 18, 0), 20260110, 20260110, INT64_MAX},
        {india(400, 0, 0), 20260110, 20260110, INT64_MAX},
    };
    for (size_t i = 0; i < LS_COUNT_OF(table); i++) {
        struct eng_market_times times;
        eng_market_times_at(&view, table[i].wall_ns, &times);
        if (times.day != table[i].day || times.session_day != table[i].session ||
            times.next_wall_ns != table[i].next_ns)
            fail_msg("row %zu: day %u session %u next %lld", i, times.day, times.session_day,
                (long long)times.next_wall_ns);
    }
    const struct ipc_snapshot_view bare = {.session_count = 0};
    struct eng_market_times times;
    eng_market_times_at(&bare, india(5, 0, 0) - 1, &times);
    assert_int_equal(times.day, 20260109);
    assert_int_equal(times.next_wall_ns, india(5, 0, 0));
    eng_market_times_at(&bare, india(5, 0, 0), &times);
    assert_int_equal(times.session_day, 20260110);
}

static void dates_go_on_over_months_and_leap_days(void **state)
{
    (void)state;
    assert_int_equal(eng_civil_add(20260131, 1), 20260201);
    assert_int_equal(eng_civil_add(20280228, 1), 20280229);
    assert_int_equal(eng_civil_add(20270228, 1), 20270301);
    assert_int_equal(eng_civil_add(20270101, -1), 20261231);
    assert_int_equal(eng_civil_add(20000229, 366), 20010301);
    uint32_t date = 19991231;
    for (int i = 0; i < 20000; i++) {
        uint32_t next = eng_civil_add(date, 1);
        assert_true(next > date);
        assert_int_equal(eng_civil_add(next, -1), date);
        date = next;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(hours_by_table, make),
        cmocka_unit_test_setup(without_a_calendar_hours_are_not_enforced, make),
        cmocka_unit_test_setup(the_markets_day, make),
        cmocka_unit_test(dates_go_on_over_months_and_leap_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
