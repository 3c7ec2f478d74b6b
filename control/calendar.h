/* calendar.h: a market calendar file (YAML): when which exchange trades, in the market's own time
 * zone. conf/calendar-example.yaml has every field.
 *
 * What is known is what the file says: sessions are made for the years it names and for no other
 * day. Dates and times are the market's; a zone is a name of the tz database (DST included) or a
 * fixed offset. One thread: reading a named zone uses the C library's TZ for the moment. */
#ifndef LS_CONTROL_CALENDAR_H
#define LS_CONTROL_CALENDAR_H

#include "ipc/rc.h"
#include "ipc/rows.h"

#define CTL_CALENDAR_SESSIONS_MAX 65536u

struct ctl_calendar;

/* ctl_calendar_load reads and checks a whole file.
 *   returns  the calendar, to be freed with ctl_calendar_free; NULL with "file:line: what is wrong"
 */
struct ctl_calendar *ctl_calendar_load(const char *path, struct ipc_error *error);
void ctl_calendar_free(struct ctl_calendar *calendar);

/* ctl_calendar_sessions returns all sessions, ascending by (exchange, open), as the snapshot's
 * table has them. */
const struct ipc_row_session *ctl_calendar_sessions(
    const struct ctl_calendar *calendar, uint32_t *count);

/* ctl_calendar_about returns what the file says of itself. Texts are the calendar's; never NULL. */
struct ctl_calendar_about {
    const char *market, *zone, *source, *as_of;
    uint32_t first_year, last_year, year_count, holiday_count, special_count;
    bool is_fixed; /* a fixed offset counts, not the tz database */
};
void ctl_calendar_about(const struct ctl_calendar *calendar, struct ctl_calendar_about *out);

/* ctl_calendar_knows says whether the year of a date is covered. */
bool ctl_calendar_knows(const struct ctl_calendar *calendar, uint32_t yyyymmdd);

/* ctl_calendar_holiday returns the name of an exchange's holiday, NULL when the day is none. */
const char *ctl_calendar_holiday(
    const struct ctl_calendar *calendar, uint32_t yyyymmdd, enum ipc_exchange exchange);

/* ctl_calendar_date reads YYYY-MM-DD: 0 when it is no date. */
uint32_t ctl_calendar_date(const char *text);

#endif
