/* calendar_private.h: the file as libcyaml reads it, and the zone; between calendar_file.c (text to
 * fields, lines of complaints), calendar_zone.c (wall times) and calendar.c (fields to sessions).
 */
#ifndef LS_CONTROL_CALENDAR_PRIVATE_H
#define LS_CONTROL_CALENDAR_PRIVATE_H

#include "control/calendar.h"

/* Sections whose items are complained about by line. */
struct ctl_raw_session {
    char *open, *close;
};

struct ctl_raw_rule {
    int *names; /* enum ipc_exchange */
    unsigned names_count;
    int *days; /* 0 = Monday */
    unsigned days_count;
    struct ctl_raw_session *sessions;
    unsigned sessions_count;
    char *intraday_cutoff, *from, *to;
};

struct ctl_raw_holiday {
    char *date, *name;
    int *exchanges;
    unsigned exchanges_count;
};

struct ctl_raw_special {
    char *date, *name;
    int *exchanges;
    unsigned exchanges_count;
    char *open, *close, *intraday_cutoff;
    bool instead;
};

struct ctl_raw_calendar {
    char *market, *zone, *utc_offset, *source, *as_of;
    int *years;
    unsigned years_count;
    struct ctl_raw_rule *exchanges;
    unsigned exchanges_count;
    struct ctl_raw_holiday *holidays;
    unsigned holidays_count;
    struct ctl_raw_special *special;
    unsigned special_count;
};

/* The file: its fields, and its text for the lines of complaints. */
struct ctl_calendar_file {
    const char *path;
    struct ctl_raw_calendar *raw;
    char *text;
};

enum ipc_rc ctl_calendar_file_load(
    const char *path, struct ctl_calendar_file *file, struct ipc_error *error);
void ctl_calendar_file_free(struct ctl_calendar_file *file);

/* ctl_calendar_complain writes "path:line: sentence".
 *   section  top-level key, or NULL
 *   item     index in the section's list, -1 = the section itself
 *   key      of the item, or NULL
 *   returns  IPC_BAD_INPUT */
enum ipc_rc ctl_calendar_complain(const struct ctl_calendar_file *file, const char *section,
    int item, const char *key, struct ipc_error *error, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* Wall times of one market. */
struct ctl_zone {
    const char *name;
    bool is_fixed;
    int64_t offset_s; /* is_fixed, or has_offset: what the zone must agree with */
    bool has_offset;
    char *saved_tz; /* the process's own, while the zone is open */
};

/* ctl_zone_open takes a zone name ("Asia/Kolkata") or offset ("+05:30"), and the file's utc_offset
 * or NULL. Where the machine has no tz database the utc_offset alone counts.
 *   returns  IPC_OK, or IPC_BAD_INPUT with the sentence */
enum ipc_rc ctl_zone_open(
    const char *name, const char *utc_offset, struct ctl_zone *zone, struct ipc_error *error);
void ctl_zone_close(struct ctl_zone *zone);

/* ctl_zone_wall_ns turns a local time into UTC nanoseconds.
 *   minutes  since 00:00, [0, 2880]
 *   returns  IPC_OK; IPC_NOT_FOUND when the zone has no such time that day (its clock jumps), or
 *            it is not at the file's utc_offset then */
enum ipc_rc ctl_zone_wall_ns(
    const struct ctl_zone *zone, uint32_t yyyymmdd, uint32_t minutes, int64_t *wall_ns);

/* Proleptic Gregorian: days since 1970-01-01 and back. */
int64_t ctl_days_of(uint32_t yyyymmdd);
uint32_t ctl_date_of(int64_t days);

#endif
