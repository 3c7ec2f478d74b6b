/* hours.h: the market's hours, by wall time and exchange, from the sessions table of the adopted
 * view (made by control from a market calendar, in the market's own time zone).
 *
 * Pure. Without any session in the view no calendar was published, and hours are not enforced;
 * minutes are then those of Indian time. With a calendar, openings outside a session are refused
 * in the years that it knows for the exchange; in a year that it does not know, intraday openings
 * are refused and others are left to the broker. Reductions are never asked. */
#ifndef LS_ENGINE_CORE_HOURS_H
#define LS_ENGINE_CORE_HOURS_H

#include "engine/core/pipeline/case.h"

struct eng_hours {
    bool is_published;        /* the view has sessions of some exchange */
    bool knows_year;          /* it has sessions of this exchange in the year of the wall time */
    bool in_session;          /* open <= wall time < close */
    uint16_t minute;          /* of the clock in the market's zone, [0, 1440) */
    uint16_t cutoff_minute;   /* of the session's intraday cut-off; 0 = none or no session */
    uint32_t yyyymmdd;        /* the market's day: the session's, else the civil date in its zone */
    int64_t midnight_wall_ns; /* 00:00 of that day in the market's zone */
    int64_t close_wall_ns;    /* of the session, 0 outside */
};

/* eng_hours_at looks an exchange's hours up.
 *   view      sessions ascending by (exchange, open), as ipc_snapshot_validate checks
 *   exchange  enum ipc_exchange */
void eng_hours_at(
    const struct ipc_snapshot_view *view, uint8_t exchange, int64_t wall_ns, struct eng_hours *out);

/* eng_hours_market says what the calendar means for openings (step 6 of SEMANTICS 2). */
enum eng_market eng_hours_market(const struct eng_hours *hours);

/* One market day over all exchanges, for day figures and limits. */
struct eng_market_times {
    uint32_t day;         /* yyyymmdd of the newest day that began; 0 = none yet */
    uint32_t session_day; /* of the newest day whose first session opened; 0 = none yet */
    int64_t next_wall_ns; /* when either may change; INT64_MAX = not known */
};

/* eng_market_times_at walks all sessions: once per boundary, never per order. A day begins at
 * midnight of the market's zone, or with its first session where that is earlier (overnight
 * sessions); days without a session do not begin. Without a calendar every Indian civil day does
 * both at its midnight. */
void eng_market_times_at(
    const struct ipc_snapshot_view *view, int64_t wall_ns, struct eng_market_times *out);

/* eng_civil_yyyymmdd adds days to a date and returns the date; proleptic Gregorian. */
uint32_t eng_civil_add(uint32_t yyyymmdd, int64_t days);

#endif
