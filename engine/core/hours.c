#include "engine/core/hours.h"

#include <string.h>

#define DAY_NS          (INT64_C(86400) * LS_NS_PER_S)
#define MINUTE_NS       (INT64_C(60) * LS_NS_PER_S)
/* Where no calendar says otherwise: all exchanges of IPC_EXCHANGE_LIST are in India. */
#define INDIA_OFFSET_NS (INT64_C(19800) * LS_NS_PER_S)
#define EPOCH_YYYYMMDD  19700101u

/* --- dates --------------------------------------------------------------------------------------
 */

/* Days since 1970-01-01; years are counted from March, so that a leap day is a year's last. */
static int64_t days_of(uint32_t yyyymmdd)
{
    int64_t year = yyyymmdd / 10000;
    int64_t month = yyyymmdd / 100 % 100;
    int64_t day = yyyymmdd % 100;
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static uint32_t date_of(int64_t days)
{
    days += 719468;
    int64_t era = days / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);
    return (uint32_t)(year * 10000 + month * 100 + day);
}

uint32_t eng_civil_add(uint32_t yyyymmdd, int64_t days)
{
    return date_of(days_of(yyyymmdd) + days);
}

static int64_t floor_div(int64_t value, int64_t by)
{
    int64_t quotient = value / by;
    return quotient - (value % by < 0);
}

/* --- one exchange -------------------------------------------------------------------------------
 */

/* Sessions [first, end) of the exchange, and the first of them that opens after wall_ns. */
struct run {
    uint32_t first, after, end;
};

static uint32_t first_not_before(
    const struct ipc_snapshot_view *view, uint8_t exchange, int64_t open_wall_ns)
{
    uint32_t low = 0, high = view->session_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct ipc_row_session *row = &view->sessions[middle];
        if (row->exchange < exchange ||
            (row->exchange == exchange && row->open_wall_ns < open_wall_ns))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct run run_of(const struct ipc_snapshot_view *view, uint8_t exchange, int64_t wall_ns)
{
    return (struct run){.first = first_not_before(view, exchange, INT64_MIN),
        .after = wall_ns == INT64_MAX ? view->session_count
                                      : first_not_before(view, exchange, wall_ns + 1),
        .end = first_not_before(view, (uint8_t)(exchange + 1), INT64_MIN)};
}

/* The civil date of the wall time in the zone of a session nearby, and its midnight. Where the
 * zone's offset changes in between, the date may be off by the change within an hour of midnight,
 * and no session is near then. */
static void civil_from(const struct ipc_row_session *row, int64_t wall_ns, struct eng_hours *out)
{
    int64_t days = floor_div(wall_ns - row->midnight_wall_ns, DAY_NS);
    out->yyyymmdd = eng_civil_add(row->yyyymmdd, days);
    out->midnight_wall_ns = row->midnight_wall_ns + days * DAY_NS;
}

/* An overnight session goes on after its day's end: minutes stay those of the clock. */
static uint16_t minute_of(const struct eng_hours *hours, int64_t wall_ns)
{
    return (uint16_t)((wall_ns - hours->midnight_wall_ns) / MINUTE_NS % 1440);
}

void eng_hours_at(
    const struct ipc_snapshot_view *view, uint8_t exchange, int64_t wall_ns, struct eng_hours *out)
{
    memset(out, 0, sizeof *out);
    out->is_published = view->session_count != 0;
    struct run run = run_of(view, exchange, wall_ns);
    if (run.first == run.end) {
        int64_t days = floor_div(wall_ns + INDIA_OFFSET_NS, DAY_NS);
        out->yyyymmdd = eng_civil_add(EPOCH_YYYYMMDD, days);
        out->midnight_wall_ns = days * DAY_NS - INDIA_OFFSET_NS;
        out->minute = minute_of(out, wall_ns);
        return;
    }
    const struct ipc_row_session *before =
        run.after > run.first ? &view->sessions[run.after - 1] : NULL;
    const struct ipc_row_session *next = run.after < run.end ? &view->sessions[run.after] : NULL;
    if (before != NULL && wall_ns < before->close_wall_ns) {
        out->in_session = out->knows_year = true;
        out->yyyymmdd = before->yyyymmdd;
        out->midnight_wall_ns = before->midnight_wall_ns;
        out->close_wall_ns = before->close_wall_ns;
        if (before->intraday_cutoff_wall_ns != 0)
            out->cutoff_minute = minute_of(out, before->intraday_cutoff_wall_ns);
        out->minute = minute_of(out, wall_ns);
        return;
    }
    civil_from(before != NULL ? before : next, wall_ns, out);
    uint32_t year = out->yyyymmdd / 10000;
    out->knows_year = (before != NULL && before->yyyymmdd / 10000 == year) ||
                      (next != NULL && next->yyyymmdd / 10000 == year);
    out->minute = minute_of(out, wall_ns);
}

enum eng_market eng_hours_market(const struct eng_hours *hours)
{
    if (!hours->is_published)
        return ENG_MARKET_ANY;
    if (hours->in_session)
        return ENG_MARKET_OPEN;
    return hours->knows_year ? ENG_MARKET_CLOSED : ENG_MARKET_UNKNOWN;
}

/* --- the market's day ---------------------------------------------------------------------------
 */

void eng_market_times_at(
    const struct ipc_snapshot_view *view, int64_t wall_ns, struct eng_market_times *out)
{
    *out = (struct eng_market_times){.next_wall_ns = INT64_MAX};
    if (view->session_count == 0) {
        int64_t days = floor_div(wall_ns + INDIA_OFFSET_NS, DAY_NS);
        out->day = out->session_day = eng_civil_add(EPOCH_YYYYMMDD, days);
        out->next_wall_ns = (days + 1) * DAY_NS - INDIA_OFFSET_NS;
        return;
    }
    for (uint32_t i = 0; i < view->session_count; i++) {
        const struct ipc_row_session *row = &view->sessions[i];
        int64_t begins = ls_min_i64(row->midnight_wall_ns, row->open_wall_ns);
        if (begins > wall_ns)
            out->next_wall_ns = ls_min_i64(out->next_wall_ns, begins);
        else if (row->yyyymmdd > out->day)
            out->day = row->yyyymmdd;
        if (row->open_wall_ns > wall_ns)
            out->next_wall_ns = ls_min_i64(out->next_wall_ns, row->open_wall_ns);
        else if (row->yyyymmdd > out->session_day)
            out->session_day = row->yyyymmdd;
    }
}
