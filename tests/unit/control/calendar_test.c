/* Market calendars: sessions in the market's zone, and errors that name file and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/calendar.h"

#define HEAD                                                                                       \
    "market: Test\nzone: Asia/Kolkata\nsource: none\nas_of: \"2026-01-01\"\nyears: [2026]\n"
#define RULE                                                                                       \
    "exchanges:\n  - names: [NSE]\n    days: [MON, TUE, WED, THU, FRI]\n    sessions:\n"           \
    "      - {open: \"09:15\", close: \"15:30\"}\n    intraday_cutoff: \"15:20\"\n"

static char path[] = "/tmp/lockstep-calendar-XXXXXX";

static int file_make(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int file_drop(void **state)
{
    (void)state;
    return unlink(path);
}

static struct ctl_calendar *load(const char *text, struct ipc_error *error)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) < 0, 0);
    assert_int_equal(fclose(file), 0);
    error->text[0] = '\0';
    return ctl_calendar_load(path, error);
}

static struct ctl_calendar *load_sound(const char *text)
{
    struct ipc_error error;
    struct ctl_calendar *calendar = load(text, &error);
    if (calendar == NULL)
        fail_msg("%s", error.text);
    return calendar;
}

static const struct ipc_row_session *session_of(
    const struct ctl_calendar *calendar, uint8_t exchange, uint32_t date)
{
    uint32_t count;
    const struct ipc_row_session *rows = ctl_calendar_sessions(calendar, &count);
    for (uint32_t i = 0; i < count; i++)
        if (rows[i].exchange == exchange && rows[i].yyyymmdd == date)
            return &rows[i];
    return NULL;
}

/* 2026-01-27 00:00 in Asia/Kolkata is 2026-01-26 18:30 UTC. */
#define MIDNIGHT_S INT64_C(1769452200)

static void sessions_are_in_the_zone_of_the_market(void **state)
{
    (void)state;
    static const char *const zones[] = {"Asia/Kolkata", "\"+05:30\""};
    for (size_t i = 0; i < LS_COUNT_OF(zones); i++) {
        char text[512];
        snprintf(text, sizeof text,
            "market: Test\nzone: %s\nsource: none\nas_of: \"2026-01-01\"\nyears: [2026]\n" RULE,
            zones[i]);
        struct ctl_calendar *calendar = load_sound(text);
        const struct ipc_row_session *row = session_of(calendar, IPC_EXCHANGE_NSE, 20260127);
        assert_non_null(row);
        assert_int_equal(row->midnight_wall_ns, MIDNIGHT_S * LS_NS_PER_S);
        assert_int_equal(row->open_wall_ns, (MIDNIGHT_S + 33300) * LS_NS_PER_S);
        assert_int_equal(row->close_wall_ns, (MIDNIGHT_S + 55800) * LS_NS_PER_S);
        assert_int_equal(row->intraday_cutoff_wall_ns, (MIDNIGHT_S + 55200) * LS_NS_PER_S);
        assert_null(session_of(calendar, IPC_EXCHANGE_NSE, 20260131)); /* a Saturday */
        assert_null(session_of(calendar, IPC_EXCHANGE_BSE, 20260127));
        ctl_calendar_free(calendar);
    }
}

static void daylight_saving_moves_the_session(void **state)
{
    (void)state;
    struct ctl_calendar *calendar =
        load_sound("market: Test\nzone: America/New_York\nsource: none\nas_of: \"2026-01-01\"\n"
                   "years: [2026]\n" RULE);
    /* 09:15 is 14:15 UTC in winter, 13:15 UTC in summer; the clock changed on 2026-03-08. */
    const struct ipc_row_session *winter = session_of(calendar, IPC_EXCHANGE_NSE, 20260306);
    const struct ipc_row_session *summer = session_of(calendar, IPC_EXCHANGE_NSE, 20260309);
    assert_int_equal(winter->open_wall_ns / LS_NS_PER_S % 86400, 14 * 3600 + 900);
    assert_int_equal(summer->open_wall_ns / LS_NS_PER_S % 86400, 13 * 3600 + 900);
    ctl_calendar_free(calendar);
}

static void the_process_keeps_its_own_zone(void **state)
{
    (void)state;
    assert_int_equal(setenv("TZ", "Europe/Paris", 1), 0);
    ctl_calendar_free(load_sound(HEAD RULE));
    assert_string_equal(getenv("TZ"), "Europe/Paris");
    assert_int_equal(unsetenv("TZ"), 0);
    ctl_calendar_free(load_sound(HEAD RULE));
    assert_null(getenv("TZ"));
}

static void holidays_and_special_sessions(void **state)
{
    (void)state;
    struct ctl_calendar *calendar = load_sound(
        HEAD "exchanges:\n"
             "  - names: [NSE, MCX]\n    days: [MON, TUE, WED, THU, FRI]\n    sessions:\n"
             "      - {open: \"09:15\", close: \"15:30\"}\n"
             "holidays:\n"
             "  - {date: \"2026-01-26\", name: Republic Day}\n"
             "  - {date: \"2026-03-03\", name: Holi, exchanges: [NSE]}\n"
             "special:\n"
             "  - {date: \"2026-11-08\", name: Muhurat, exchanges: [NSE], open: \"18:00\", close: "
             "\"19:00\"}\n"
             "  - {date: \"2026-01-26\", name: Evening, exchanges: [MCX], open: \"17:00\", close: "
             "\"24:00\"}\n"
             "  - {date: \"2026-02-02\", name: Drill, exchanges: [NSE], open: \"09:15\", close: "
             "\"10:00\", instead: true}\n");
    assert_null(session_of(calendar, IPC_EXCHANGE_NSE, 20260126));
    assert_string_equal(ctl_calendar_holiday(calendar, 20260126, IPC_EXCHANGE_NSE), "Republic Day");
    assert_null(ctl_calendar_holiday(calendar, 20260303, IPC_EXCHANGE_MCX));
    assert_null(ctl_calendar_holiday(calendar, 20260126, IPC_EXCHANGE_BSE));
    assert_null(session_of(calendar, IPC_EXCHANGE_NSE, 20260303));
    assert_non_null(session_of(calendar, IPC_EXCHANGE_MCX, 20260303));
    const struct ipc_row_session *row = session_of(calendar, IPC_EXCHANGE_NSE, 20261108);
    assert_non_null(row); /* a Sunday */
    assert_int_equal(row->close_wall_ns - row->open_wall_ns, 3600 * LS_NS_PER_S);
    row = session_of(calendar, IPC_EXCHANGE_MCX, 20260126);
    assert_int_equal(row->close_wall_ns - row->midnight_wall_ns, 86400 * LS_NS_PER_S);
    row = session_of(calendar, IPC_EXCHANGE_NSE, 20260202);
    assert_int_equal(row->close_wall_ns - row->open_wall_ns, 2700 * LS_NS_PER_S);
    assert_true(ctl_calendar_knows(calendar, 20261231));
    assert_false(ctl_calendar_knows(calendar, 20270101));
    ctl_calendar_free(calendar);
}

static void sessions_ascend_as_the_snapshot_wants(void **state)
{
    (void)state;
    struct ctl_calendar *calendar = load_sound(
        "market: Test\nzone: Asia/Kolkata\nsource: none\nas_of: \"2026-01-01\"\n"
        "years: [2025, 2026]\nexchanges:\n"
        "  - names: [MCX, NSE]\n    days: [MON, TUE, WED, THU, FRI, SAT, SUN]\n    sessions:\n"
        "      - {open: \"17:00\", close: \"23:30\"}\n      - {open: \"09:00\", close: \"17:00\"}\n"
        "    intraday_cutoff: \"16:30\"\n    to: \"2026-07-31\"\n"
        "  - names: [MCX]\n    days: [MON]\n    sessions: [{open: \"10:00\", close: \"11:00\"}]\n"
        "    from: \"2026-08-01\"\n");
    uint32_t count;
    const struct ipc_row_session *rows = ctl_calendar_sessions(calendar, &count);
    assert_int_equal(count, 2 * 2 * (365 + 212) + 22);
    for (uint32_t i = 1; i < count; i++) {
        assert_true(rows[i].exchange >= rows[i - 1].exchange);
        if (rows[i].exchange == rows[i - 1].exchange)
            assert_true(rows[i].open_wall_ns >= rows[i - 1].close_wall_ns);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i].intraday_cutoff_wall_ns != 0) {
            assert_true(rows[i].intraday_cutoff_wall_ns >= rows[i].open_wall_ns);
            assert_true(rows[i].intraday_cutoff_wall_ns <= rows[i].close_wall_ns);
        }
    }
    ctl_calendar_free(calendar);
}

static void each_error_names_its_line(void **state)
{
    (void)state;
    static const struct {
        unsigned line;
        const char *says, *text;
    } rows[] = {
        {2, "not in this machine's tz database",
            "market: T\nzone: Asia/Nowhere\nsource: n\nas_of: \"2026-01-01\"\nyears: "
            "[2026]\n" RULE},
        {2, "no name of a time zone",
            "market: T\nzone: ../../etc/passwd\nsource: n\nas_of: \"2026-01-01\"\nyears: "
            "[2026]\n" RULE},
        {4, "is no date",
            "market: T\nzone: Asia/Kolkata\nsource: n\nas_of: \"yesterday\"\nyears: "
            "[2026]\n" RULE},
        {5, "years do not ascend",
            "market: T\nzone: Asia/Kolkata\nsource: n\nas_of: \"2026-01-01\"\nyears: [2026, "
            "2026]\n" RULE},
        {10, "is no time",
            HEAD "exchanges:\n  - names: [NSE]\n    days: [MON]\n    sessions:\n"
                 "      - {open: \"9:15\", close: \"15:30\"}\n"},
        {10, "is not after open",
            HEAD "exchanges:\n  - names: [NSE]\n    days: [MON]\n    "
                 "sessions:\n      - {open: \"15:30\", close: \"09:15\"}\n"},
        {13, "is no date", HEAD RULE "holidays:\n  - {date: \"2026-02-30\", name: Never}\n"},
        {14, "does not name",
            HEAD RULE "holidays:\n  - {date: \"2026-01-26\", name: A}\n  - "
                      "{date: \"2027-01-26\", name: B}\n"},
        {15, "is a holiday already",
            HEAD RULE "holidays:\n  - {date: \"2026-01-26\", name: A}\n  # a comment\n  - {date: "
                      "\"2026-01-26\", name: B}\n"},
        {14, "another session at this time",
            HEAD RULE "special:\n  - name: Twice\n    date: \"2026-01-27\"\n    exchanges: [NSE]\n"
                      "    open: \"10:00\"\n    close: \"11:00\"\n"},
        {13, "no entry under",
            HEAD RULE "special:\n  - {date: \"2026-01-27\", name: X, exchanges: "
                      "[BSE], open: \"10:00\", close: \"11:00\"}\n"},
        {7, "LSE",
            HEAD "exchanges:\n  - names: [LSE]\n    days: [MON]\n    sessions: [{open: "
                 "\"10:00\", close: \"11:00\"}]\n"},
        {12, "nonsense", HEAD RULE "nonsense: 1\n"},
        {6, "two sessions at once",
            HEAD "exchanges:\n  - names: [NSE]\n    days: [MON]\n    sessions: [{open: \"10:00\", "
                 "close: \"11:00\"}, {open: \"10:30\", close: \"12:00\"}]\n"},
    };
    uint32_t failed = 0;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct ipc_error error;
        struct ctl_calendar *calendar = load(rows[i].text, &error);
        char place[96];
        snprintf(place, sizeof place, "%s:%u: ", path, rows[i].line);
        if (calendar != NULL || strstr(error.text, place) == NULL ||
            strstr(error.text, rows[i].says) == NULL) {
            print_error("row %zu wants '%s...%s', got '%s'\n", i, place, rows[i].says,
                calendar != NULL ? "no error" : error.text);
            failed++;
        }
        ctl_calendar_free(calendar);
    }
    assert_int_equal(failed, 0);
}

static void an_offset_must_agree_with_its_zone(void **state)
{
    (void)state;
    struct ipc_error error;
    assert_null(load("market: T\nzone: Asia/Kolkata\nutc_offset: \"+05:00\"\nsource: n\n"
                     "as_of: \"2026-01-01\"\nyears: [2026]\n" RULE,
        &error));
    assert_non_null(strstr(error.text, "utc_offset"));
    ctl_calendar_free(
        load_sound("market: T\nzone: Asia/Kolkata\nutc_offset: \"+05:30\"\nsource: n\n"
                   "as_of: \"2026-01-01\"\nyears: [2026]\n" RULE));
}

static void the_example_is_sound(void **state)
{
    (void)state;
    struct ipc_error error;
    struct ctl_calendar *calendar = ctl_calendar_load(LS_CALENDAR_EXAMPLE, &error);
    if (calendar == NULL)
        fail_msg("%s", error.text);
    const struct ipc_row_session *row = session_of(calendar, IPC_EXCHANGE_NFO, 20261108);
    assert_non_null(row);
    assert_null(session_of(calendar, IPC_EXCHANGE_NFO, 20260126));
    ctl_calendar_free(calendar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_are_in_the_zone_of_the_market),
        cmocka_unit_test(daylight_saving_moves_the_session),
        cmocka_unit_test(the_process_keeps_its_own_zone),
        cmocka_unit_test(holidays_and_special_sessions),
        cmocka_unit_test(sessions_ascend_as_the_snapshot_wants),
        cmocka_unit_test(each_error_names_its_line),
        cmocka_unit_test(an_offset_must_agree_with_its_zone),
        cmocka_unit_test(the_example_is_sound),
    };
    return cmocka_run_group_tests(tests, file_make, file_drop);
}
