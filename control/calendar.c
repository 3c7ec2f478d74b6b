#include "control/calendar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/calendar_private.h"

#define YEAR_MIN 1990
#define YEAR_MAX 2100

struct ctl_calendar {
    struct ctl_calendar_file file;
    struct ctl_zone zone;
    struct ipc_row_session *sessions;
    uint32_t count;
    uint32_t exchanges; /* bits of those that have a rule */
    bool is_fixed;
};

/* What making the sessions shares. */
struct making {
    struct ctl_calendar *calendar;
    const struct ctl_raw_calendar *raw;
    struct ipc_error *error;
};

#define COMPLAIN(m, section, item, key, ...)                                                       \
    ctl_calendar_complain(                                                                         \
        &(m)->calendar->file, (section), (int)(item), (key), (m)->error, __VA_ARGS__)

/* --- fields -------------------------------------------------------------------------------------
 */

static bool digits_read(const char *text, size_t count, uint32_t *out)
{
    *out = 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *out = *out * 10 + (uint32_t)(text[i] - '0');
    }
    return true;
}

uint32_t ctl_calendar_date(const char *text)
{
    uint32_t year, month, day;
    if (strlen(text) != 10 || text[4] != '-' || text[7] != '-' || !digits_read(text, 4, &year) ||
        !digits_read(text + 5, 2, &month) || !digits_read(text + 8, 2, &day))
        return 0;
    uint32_t date = year * 10000 + month * 100 + day;
    bool exists = year >= YEAR_MIN && year <= YEAR_MAX && month >= 1 && month <= 12 && day >= 1 &&
                  ctl_date_of(ctl_days_of(date)) == date;
    return exists ? date : 0;
}

/* "09:15" to minutes; 24:00 is the end of the day. */
static bool time_read(const char *text, uint32_t *minutes)
{
    uint32_t hour, minute;
    if (strlen(text) != 5 || text[2] != ':' || !digits_read(text, 2, &hour) ||
        !digits_read(text + 3, 2, &minute) || minute > 59 || hour * 60 + minute > 1440)
        return false;
    *minutes = hour * 60 + minute;
    return true;
}

static bool year_is_known(const struct ctl_raw_calendar *raw, uint32_t year)
{
    for (unsigned i = 0; i < raw->years_count; i++)
        if ((uint32_t)raw->years[i] == year)
            return true;
    return false;
}

static bool has_exchange(const int *list, unsigned count, uint32_t exchange)
{
    for (unsigned i = 0; i < count; i++)
        if ((uint32_t)list[i] == exchange)
            return true;
    return false;
}

static bool date_text_is(const char *text, uint32_t yyyymmdd)
{
    return ctl_calendar_date(text) == yyyymmdd;
}

const char *ctl_calendar_holiday(
    const struct ctl_calendar *calendar, uint32_t yyyymmdd, enum ipc_exchange exchange)
{
    const struct ctl_raw_calendar *raw = calendar->file.raw;
    if (!(calendar->exchanges & 1u << exchange))
        return NULL; /* it is not in this calendar */
    for (unsigned i = 0; i < raw->holidays_count; i++) {
        const struct ctl_raw_holiday *holiday = &raw->holidays[i];
        if (date_text_is(holiday->date, yyyymmdd) &&
            (holiday->exchanges_count == 0 ||
                has_exchange(holiday->exchanges, holiday->exchanges_count, exchange)))
            return holiday->name;
    }
    return NULL;
}

/* --- checks -------------------------------------------------------------------------------------
 */

static enum ipc_rc check_date(const struct making *making, const char *section, unsigned item,
    const char *key, const char *text)
{
    uint32_t date = ctl_calendar_date(text);
    if (date == 0)
        return COMPLAIN(making, section, item, key, "%s \"%s\" is no date (YYYY-MM-DD)", key, text);
    if (!year_is_known(making->raw, date / 10000))
        return COMPLAIN(making, section, item, key,
            "%s %s is in a year that \"years\" does not name", key, text);
    return IPC_OK;
}

static enum ipc_rc check_years(const struct making *making)
{
    const struct ctl_raw_calendar *raw = making->raw;
    for (unsigned i = 0; i < raw->years_count; i++) {
        if (raw->years[i] < YEAR_MIN || raw->years[i] > YEAR_MAX)
            return COMPLAIN(making, "years", -1, NULL, "%d is no year", raw->years[i]);
        if (i > 0 && raw->years[i] <= raw->years[i - 1])
            return COMPLAIN(making, "years", -1, NULL, "years do not ascend");
    }
    if (ctl_calendar_date(raw->as_of) == 0)
        return COMPLAIN(
            making, "as_of", -1, NULL, "as_of \"%s\" is no date (YYYY-MM-DD)", raw->as_of);
    return IPC_OK;
}

static enum ipc_rc check_holidays(const struct making *making)
{
    const struct ctl_raw_calendar *raw = making->raw;
    for (unsigned i = 0; i < raw->holidays_count; i++) {
        enum ipc_rc rc = check_date(making, "holidays", i, "date", raw->holidays[i].date);
        if (rc != IPC_OK)
            return rc;
        for (unsigned j = 0; j < i; j++) {
            const struct ctl_raw_holiday *a = &raw->holidays[i], *b = &raw->holidays[j];
            bool shared = a->exchanges_count == 0 || b->exchanges_count == 0;
            for (unsigned k = 0; k < a->exchanges_count && !shared; k++)
                shared = has_exchange(b->exchanges, b->exchanges_count, (uint32_t)a->exchanges[k]);
            if (shared && strcmp(a->date, b->date) == 0)
                return COMPLAIN(making, "holidays", i, "date", "%s is a holiday already", a->date);
        }
    }
    return IPC_OK;
}

/* --- sessions -----------------------------------------------------------------------------------
 */

struct place {
    const char *section;
    unsigned item;
};

static enum ipc_rc add_session(const struct making *making, struct place place, uint32_t date,
    uint32_t exchange, const char *open, const char *close, const char *cutoff)
{
    struct ctl_calendar *calendar = making->calendar;
    uint32_t from, to, stop = 0;
    if (!time_read(open, &from) || from >= 1440)
        return COMPLAIN(
            making, place.section, place.item, "open", "open \"%s\" is no time (09:15)", open);
    if (!time_read(close, &to))
        return COMPLAIN(
            making, place.section, place.item, "close", "close \"%s\" is no time (15:30)", close);
    if (to <= from)
        return COMPLAIN(making, place.section, place.item, "close", "close %s is not after open %s",
            close, open);
    if (cutoff != NULL && !time_read(cutoff, &stop))
        return COMPLAIN(making, place.section, place.item, "intraday_cutoff",
            "intraday_cutoff \"%s\" is no time (15:20)", cutoff);
    if (calendar->count >= CTL_CALENDAR_SESSIONS_MAX)
        return COMPLAIN(making, place.section, place.item, NULL, "more than %u sessions",
            CTL_CALENDAR_SESSIONS_MAX);
    struct ipc_row_session row = {.yyyymmdd = date, .exchange = (uint8_t)exchange};
    if (ctl_zone_wall_ns(&calendar->zone, date, 0, &row.midnight_wall_ns) != IPC_OK ||
        ctl_zone_wall_ns(&calendar->zone, date, from, &row.open_wall_ns) != IPC_OK ||
        ctl_zone_wall_ns(&calendar->zone, date, to, &row.close_wall_ns) != IPC_OK)
        return COMPLAIN(making, place.section, place.item, "open",
            "zone %s has no such time on %u, or is not at utc_offset then", calendar->zone.name,
            date);
    /* A cut-off behind a session does not touch it, one before it is over from its start. */
    if (cutoff != NULL && stop < to &&
        ctl_zone_wall_ns(&calendar->zone, date, stop > from ? stop : from,
            &row.intraday_cutoff_wall_ns) != IPC_OK)
        return COMPLAIN(making, place.section, place.item, "intraday_cutoff",
            "zone %s has no such time on %u", calendar->zone.name, date);
    calendar->sessions[calendar->count++] = row;
    return IPC_OK;
}

static bool replaced_by_special(
    const struct ctl_raw_calendar *raw, uint32_t date, uint32_t exchange)
{
    for (unsigned i = 0; i < raw->special_count; i++)
        if (raw->special[i].instead && date_text_is(raw->special[i].date, date) &&
            has_exchange(raw->special[i].exchanges, raw->special[i].exchanges_count, exchange))
            return true;
    return false;
}

/* The regular sessions of one rule on one day. */
static enum ipc_rc add_day(const struct making *making, unsigned item, uint32_t date, int weekday)
{
    const struct ctl_raw_rule *rule = &making->raw->exchanges[item];
    bool on = false;
    for (unsigned i = 0; i < rule->days_count; i++)
        on |= rule->days[i] == weekday;
    for (unsigned i = 0; on && i < rule->names_count; i++) {
        uint32_t exchange = (uint32_t)rule->names[i];
        if (ctl_calendar_holiday(making->calendar, date, (enum ipc_exchange)exchange) != NULL ||
            replaced_by_special(making->raw, date, exchange))
            continue;
        for (unsigned k = 0; k < rule->sessions_count; k++) {
            enum ipc_rc rc = add_session(making, (struct place){"exchanges", item}, date, exchange,
                rule->sessions[k].open, rule->sessions[k].close, rule->intraday_cutoff);
            if (rc != IPC_OK)
                return rc;
        }
    }
    return IPC_OK;
}

static enum ipc_rc add_rule(const struct making *making, unsigned item)
{
    const struct ctl_raw_rule *rule = &making->raw->exchanges[item];
    uint32_t first = 0, last = UINT32_MAX;
    enum ipc_rc rc = IPC_OK;
    if (rule->from != NULL) {
        rc = check_date(making, "exchanges", item, "from", rule->from);
        first = ctl_calendar_date(rule->from);
    }
    if (rc == IPC_OK && rule->to != NULL) {
        rc = check_date(making, "exchanges", item, "to", rule->to);
        last = ctl_calendar_date(rule->to);
    }
    if (rc == IPC_OK && first > last)
        rc = COMPLAIN(making, "exchanges", item, "to", "to is before from");
    for (unsigned i = 0; i < rule->names_count; i++)
        making->calendar->exchanges |= 1u << rule->names[i];
    for (unsigned y = 0; rc == IPC_OK && y < making->raw->years_count; y++) {
        uint32_t year = (uint32_t)making->raw->years[y];
        int64_t day = ctl_days_of(year * 10000 + 101), end = ctl_days_of(year * 10000 + 1231);
        for (; rc == IPC_OK && day <= end; day++) {
            uint32_t date = ctl_date_of(day);
            if (date >= first && date <= last)
                rc = add_day(making, item, date, (int)((day + 3) % 7)); /* a Thursday was day 0 */
        }
    }
    return rc;
}

static enum ipc_rc add_special(const struct making *making, unsigned item)
{
    const struct ctl_raw_special *special = &making->raw->special[item];
    enum ipc_rc rc = check_date(making, "special", item, "date", special->date);
    for (unsigned i = 0; rc == IPC_OK && i < special->exchanges_count; i++) {
        uint32_t exchange = (uint32_t)special->exchanges[i];
        if (!(making->calendar->exchanges & 1u << exchange))
            return COMPLAIN(making, "special", item, "exchanges",
                "%s has no entry under \"exchanges\"",
                ipc_exchange_name((enum ipc_exchange)exchange));
        rc = add_session(making, (struct place){"special", item}, ctl_calendar_date(special->date),
            exchange, special->open, special->close, special->intraday_cutoff);
    }
    return rc;
}

static int compare_sessions(const void *a, const void *b)
{
    const struct ipc_row_session *left = a, *right = b;
    if (left->exchange != right->exchange)
        return left->exchange < right->exchange ? -1 : 1;
    return left->open_wall_ns < right->open_wall_ns ? -1 : left->open_wall_ns > right->open_wall_ns;
}

/* Two sessions of one exchange at once: say which entry made the later one. */
static enum ipc_rc check_overlaps(const struct making *making)
{
    const struct ctl_calendar *calendar = making->calendar;
    for (uint32_t i = 1; i < calendar->count; i++) {
        const struct ipc_row_session *row = &calendar->sessions[i];
        if (row->exchange != row[-1].exchange || row->open_wall_ns >= row[-1].close_wall_ns)
            continue;
        for (unsigned k = 0; k < making->raw->special_count; k++)
            if (date_text_is(making->raw->special[k].date, row->yyyymmdd))
                return COMPLAIN(making, "special", k, "date",
                    "%s has another session at this time on %u (\"instead: true\" replaces the "
                    "regular ones)",
                    ipc_exchange_name((enum ipc_exchange)row->exchange), row->yyyymmdd);
        return COMPLAIN(making, "exchanges", -1, NULL, "%s has two sessions at once on %u",
            ipc_exchange_name((enum ipc_exchange)row->exchange), row->yyyymmdd);
    }
    return IPC_OK;
}

static enum ipc_rc make(const struct making *making)
{
    enum ipc_rc rc = check_years(making);
    if (rc == IPC_OK)
        rc = check_holidays(making);
    for (unsigned i = 0; rc == IPC_OK && i < making->raw->exchanges_count; i++)
        rc = add_rule(making, i);
    for (unsigned i = 0; rc == IPC_OK && i < making->raw->special_count; i++)
        rc = add_special(making, i);
    if (rc != IPC_OK)
        return rc;
    struct ctl_calendar *calendar = making->calendar;
    qsort(calendar->sessions, calendar->count, sizeof(*calendar->sessions), compare_sessions);
    return check_overlaps(making);
}

struct ctl_calendar *ctl_calendar_load(const char *path, struct ipc_error *error)
{
    struct ctl_calendar *calendar = calloc(1, sizeof(*calendar));
    LS_CHECK(calendar != NULL);
    struct ipc_error zone_error;
    enum ipc_rc rc = ctl_calendar_file_load(path, &calendar->file, error);
    if (rc == IPC_OK) {
        const struct ctl_raw_calendar *raw = calendar->file.raw;
        const struct making making = {calendar, raw, error};
        calendar->sessions = calloc(CTL_CALENDAR_SESSIONS_MAX, sizeof(*calendar->sessions));
        LS_CHECK(calendar->sessions != NULL);
        if (ctl_zone_open(raw->zone, raw->utc_offset, &calendar->zone, &zone_error) != IPC_OK) {
            rc = COMPLAIN(&making, "zone", -1, NULL, "%.150s", zone_error.text);
        } else {
            calendar->is_fixed = calendar->zone.is_fixed;
            rc = make(&making);
            ctl_zone_close(&calendar->zone);
        }
    }
    if (rc == IPC_OK)
        return calendar;
    ctl_calendar_free(calendar);
    return NULL;
}

void ctl_calendar_free(struct ctl_calendar *calendar)
{
    if (calendar == NULL)
        return;
    ctl_calendar_file_free(&calendar->file);
    free(calendar->sessions);
    free(calendar);
}

const struct ipc_row_session *ctl_calendar_sessions(
    const struct ctl_calendar *calendar, uint32_t *count)
{
    *count = calendar->count;
    return calendar->sessions;
}

void ctl_calendar_about(const struct ctl_calendar *calendar, struct ctl_calendar_about *out)
{
    const struct ctl_raw_calendar *raw = calendar->file.raw;
    *out = (struct ctl_calendar_about){.market = raw->market,
        .zone = raw->zone,
        .source = raw->source,
        .as_of = raw->as_of,
        .first_year = (uint32_t)raw->years[0],
        .last_year = (uint32_t)raw->years[raw->years_count - 1],
        .year_count = raw->years_count,
        .holiday_count = raw->holidays_count,
        .special_count = raw->special_count,
        .is_fixed = calendar->is_fixed};
}

bool ctl_calendar_knows(const struct ctl_calendar *calendar, uint32_t yyyymmdd)
{
    return year_is_known(calendar->file.raw, yyyymmdd / 10000);
}
