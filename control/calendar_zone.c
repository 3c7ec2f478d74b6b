#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/calendar_private.h"

#define ZONES "/usr/share/zoneinfo"

int64_t ctl_days_of(uint32_t yyyymmdd)
{
    struct tm date = {.tm_year = (int)(yyyymmdd / 10000) - 1900,
        .tm_mon = (int)(yyyymmdd / 100 % 100) - 1,
        .tm_mday = (int)(yyyymmdd % 100)};
    return timegm(&date) / 86400;
}

uint32_t ctl_date_of(int64_t days)
{
    time_t seconds = days * 86400;
    struct tm date;
    (void)gmtime_r(&seconds, &date);
    return (uint32_t)((date.tm_year + 1900) * 10000 + (date.tm_mon + 1) * 100 + date.tm_mday);
}

/* "+05:30", "-03:00"; false when it is not one. */
static bool offset_read(const char *text, int64_t *offset_s)
{
    if ((text[0] != '+' && text[0] != '-') || strlen(text) != 6 || text[3] != ':')
        return false;
    for (int i = 1; i < 6; i++)
        if (i != 3 && !isdigit((unsigned char)text[i]))
            return false;
    int64_t hours = (text[1] - '0') * 10 + text[2] - '0';
    int64_t minutes = (text[4] - '0') * 10 + text[5] - '0';
    if (hours > 14 || minutes > 59)
        return false;
    *offset_s = (hours * 60 + minutes) * 60 * (text[0] == '-' ? -1 : 1);
    return true;
}

static bool name_is_safe(const char *name)
{
    if (name[0] == '\0' || name[0] == '/' || strstr(name, "..") != NULL || strlen(name) > 60)
        return false;
    for (const char *at = name; *at != '\0'; at++)
        if (!isalnum((unsigned char)*at) && strchr("/_-+", *at) == NULL)
            return false;
    return true;
}

enum ipc_rc ctl_zone_open(
    const char *name, const char *utc_offset, struct ctl_zone *zone, struct ipc_error *error)
{
    char path[128];
    *zone = (struct ctl_zone){.name = name};
    if (utc_offset != NULL && !offset_read(utc_offset, &zone->offset_s)) {
        ipc_error_set(error, "utc_offset \"%s\" is not like +05:30", utc_offset);
        return IPC_BAD_INPUT;
    }
    zone->has_offset = utc_offset != NULL;
    if (name[0] == '+' || name[0] == '-') {
        int64_t offset_s;
        if (!offset_read(name, &offset_s)) {
            ipc_error_set(error, "zone \"%s\" is not like +05:30", name);
            return IPC_BAD_INPUT;
        }
        if (zone->has_offset && zone->offset_s != offset_s) {
            ipc_error_set(error, "zone and utc_offset are not the same offset");
            return IPC_BAD_INPUT;
        }
        zone->is_fixed = true;
        zone->offset_s = offset_s;
        return IPC_OK;
    }
    if (!name_is_safe(name)) {
        ipc_error_set(error, "zone \"%s\" is no name of a time zone", name);
        return IPC_BAD_INPUT;
    }
    (void)snprintf(path, sizeof(path), ZONES "/%s", name);
    if (access(path, R_OK) != 0) {
        /* Without its rules the C library would take UTC in silence. */
        if (access(ZONES, R_OK) != 0 && zone->has_offset) {
            zone->is_fixed = true;
            return IPC_OK;
        }
        ipc_error_set(error, "zone \"%s\" is not in this machine's tz database", name);
        return IPC_BAD_INPUT;
    }
    const char *own = getenv("TZ");
    zone->saved_tz = own != NULL ? strdup(own) : NULL;
    (void)setenv("TZ", name, 1);
    tzset();
    return IPC_OK;
}

void ctl_zone_close(struct ctl_zone *zone)
{
    if (zone->is_fixed || zone->name == NULL)
        return;
    if (zone->saved_tz != NULL)
        (void)setenv("TZ", zone->saved_tz, 1);
    else
        (void)unsetenv("TZ");
    tzset();
    free(zone->saved_tz);
    zone->saved_tz = NULL;
}

enum ipc_rc ctl_zone_wall_ns(
    const struct ctl_zone *zone, uint32_t yyyymmdd, uint32_t minutes, int64_t *wall_ns)
{
    uint32_t date = ctl_date_of(ctl_days_of(yyyymmdd) + minutes / 1440);
    uint32_t minute = minutes % 1440;
    int64_t local_s = ctl_days_of(date) * 86400 + (int64_t)minute * 60;
    if (zone->is_fixed) {
        *wall_ns = (local_s - zone->offset_s) * LS_NS_PER_S;
        return IPC_OK;
    }
    struct tm local = {.tm_year = (int)(date / 10000) - 1900,
        .tm_mon = (int)(date / 100 % 100) - 1,
        .tm_mday = (int)(date % 100),
        .tm_hour = (int)(minute / 60),
        .tm_min = (int)(minute % 60),
        .tm_isdst = -1};
    time_t seconds = mktime(&local);
    /* A time that the clock jumps over comes back as another one. */
    if (local.tm_hour != (int)(minute / 60) || local.tm_min != (int)(minute % 60) ||
        local.tm_mday != (int)(date % 100))
        return IPC_NOT_FOUND;
    if (zone->has_offset && local_s - (int64_t)seconds != zone->offset_s)
        return IPC_NOT_FOUND;
    *wall_ns = (int64_t)seconds * LS_NS_PER_S;
    return IPC_OK;
}
