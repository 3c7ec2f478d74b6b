/* lockstepctl calendar: read, show and publish a market calendar. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/calendar.h"
#include "control/ctl_common.h"
#include "control/publishing.h"
#include "ipc/clock.h"

static const char help_text[] =
    "Usage: lockstepctl calendar check FILE\n"
    "       lockstepctl calendar show FILE [--date YYYY-MM-DD]\n"
    "       lockstepctl calendar publish FILE\n\n"
    "A market calendar (YAML, conf/calendar-example.yaml has every field) says when which "
    "exchange\n"
    "trades, in the market's time zone: sessions, holidays, special sessions, and when intraday\n"
    "entries stop. publish makes a generation with its sessions, the rest kept. Without any\n"
    "calendar hours are not enforced; with one, openings outside of a session are refused\n"
    "(MARKET_CLOSED), and in a year that it does not name intraday openings are. Exits never "
    "are.\n";

static void put_clock(int64_t wall_ns, int64_t midnight_wall_ns)
{
    int64_t minutes = (wall_ns - midnight_wall_ns) / (60 * LS_NS_PER_S);
    printf("%02d:%02d", (int)(minutes / 60), (int)(minutes % 60));
}

static void put_session(const struct ctl_cli *cli, const struct ipc_row_session *row)
{
    char open[32], close[32];
    const char *exchange = ipc_exchange_name((enum ipc_exchange)row->exchange);
    if (cli->json) {
        ctl_format_wall(row->open_wall_ns, open, sizeof(open));
        ctl_format_wall(row->close_wall_ns, close, sizeof(close));
        printf("{\"exchange\":\"%s\",\"day\":%u,\"open\":\"%s\",\"close\":\"%s\"", exchange,
            row->yyyymmdd, open, close);
        if (row->intraday_cutoff_wall_ns != 0) {
            ctl_format_wall(row->intraday_cutoff_wall_ns, close, sizeof(close));
            printf(",\"intraday_cutoff\":\"%s\"", close);
        }
        puts("}");
        return;
    }
    printf("  %-4s ", exchange);
    put_clock(row->open_wall_ns, row->midnight_wall_ns);
    printf(" - ");
    put_clock(row->close_wall_ns, row->midnight_wall_ns);
    if (row->intraday_cutoff_wall_ns != 0) {
        printf(", intraday entries until ");
        put_clock(row->intraday_cutoff_wall_ns, row->midnight_wall_ns);
    }
    puts("");
}

static void show_about(const struct ctl_calendar *calendar)
{
    struct ctl_calendar_about about;
    uint32_t count;
    (void)ctl_calendar_sessions(calendar, &count);
    ctl_calendar_about(calendar, &about);
    printf("%s, zone %s%s\nsource: %s, as of %s\n", about.market, about.zone,
        about.is_fixed ? " (fixed offset)" : "", about.source, about.as_of);
    printf("years %u to %u (%u), %u sessions, %u holidays, %u special sessions\n", about.first_year,
        about.last_year, about.year_count, count, about.holiday_count, about.special_count);
}

static void show_summary(const struct ctl_cli *cli, const struct ctl_calendar *calendar)
{
    uint32_t count;
    const struct ipc_row_session *rows = ctl_calendar_sessions(calendar, &count);
    if (!cli->json)
        show_about(calendar);
    for (uint32_t i = 0; i < count; i++) {
        if (cli->json) {
            put_session(cli, &rows[i]);
            continue;
        }
        if (i == 0 || rows[i].exchange != rows[i - 1].exchange) {
            uint32_t end = i;
            while (end < count && rows[end].exchange == rows[i].exchange)
                end++;
            printf("  %-4s %u sessions, %u to %u\n",
                ipc_exchange_name((enum ipc_exchange)rows[i].exchange), end - i, rows[i].yyyymmdd,
                rows[end - 1].yyyymmdd);
        }
    }
}

static int show_day(
    const struct ctl_cli *cli, const struct ctl_calendar *calendar, const char *text)
{
    uint32_t date = ctl_calendar_date(text), count, found = 0;
    if (date == 0)
        return ctl_usage("calendar", "'%s' is no date (YYYY-MM-DD)", text);
    const struct ipc_row_session *rows = ctl_calendar_sessions(calendar, &count);
    if (!cli->json)
        printf("%s%s\n", text,
            ctl_calendar_knows(calendar, date)
                ? ""
                : ": this year is not known, intraday openings are refused");
    for (uint32_t e = 1; e <= IPC_EXCHANGE_BCO && !cli->json; e++) {
        const char *name = ctl_calendar_holiday(calendar, date, (enum ipc_exchange)e);
        if (name != NULL)
            printf("  %-4s holiday: %s\n", ipc_exchange_name((enum ipc_exchange)e), name);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i].yyyymmdd != date)
            continue;
        put_session(cli, &rows[i]);
        found++;
    }
    if (found == 0 && !cli->json)
        puts("  no session");
    return CTL_DONE;
}

static enum ipc_rc make_image(
    struct ctl_publishing *p, const struct ipc_row_session *rows, uint32_t count)
{
    struct ipc_snapshot_shape shape = p->live.shape;
    shape.rows[IPC_TABLE_SESSIONS] = count;
    uint64_t bytes = ipc_snapshot_footprint(&shape);
    p->image_memory = bytes > 0 ? aligned_alloc(4096, bytes) : NULL;
    if (p->image_memory == NULL) {
        ipc_error_set(&p->error, "the snapshot does not fit: %" PRIu64 " bytes are needed", bytes);
        return IPC_SYSTEM;
    }
    memset(p->image_memory, 0, bytes);
    ipc_snapshot_image_init(&p->image, p->image_memory, &shape);
    p->image.shape = shape;
    for (uint32_t t = 0; t < IPC_TABLE_COUNT; t++) {
        const void *from = t == IPC_TABLE_SESSIONS ? rows : p->live.rows[t];
        if (shape.rows[t] > 0)
            memcpy(p->image.rows[t], from,
                (size_t)shape.rows[t] *
                    ipc_table_row_bytes((enum ipc_table)t, shape.token_row_bytes));
    }
    return IPC_OK;
}

static int publish(const struct ctl_cli *cli, const struct ctl_calendar *calendar)
{
    struct ctl_publishing p;
    uint32_t count;
    const struct ipc_row_session *rows = ctl_calendar_sessions(calendar, &count);
    int code = CTL_FAILED;
    if (count == 0)
        return ctl_refuse("nothing was published: the calendar has no session at all");
    if (ctl_publishing_open(cli, false, &p) != IPC_OK)
        code = ctl_refuse("nothing was published: %s", p.error.text);
    else if (p.live_memory == NULL)
        code = ctl_refuse("instance %s has no snapshot yet: publish one first", cli->instance);
    else if (make_image(&p, rows, count) != IPC_OK)
        code = ctl_refuse("nothing was published: %s", p.error.text);
    else
        code = ctl_publishing_publish(cli, &p, false);
    ctl_publishing_close(&p);
    return code;
}

int ctl_calendar_main(const struct ctl_cli *cli, int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(help_text, stdout);
        return CTL_DONE;
    }
    bool is_show = argc >= 3 && strcmp(argv[1], "show") == 0;
    bool is_check = argc == 3 && strcmp(argv[1], "check") == 0;
    bool is_publish = argc == 3 && strcmp(argv[1], "publish") == 0;
    bool has_date = is_show && argc == 5 && strcmp(argv[3], "--date") == 0;
    if (!is_check && !is_publish && !(is_show && (argc == 3 || has_date)))
        return ctl_usage("calendar", "say check FILE, show FILE [--date D] or publish FILE");
    struct ipc_error error;
    struct ctl_calendar *calendar = ctl_calendar_load(argv[2], &error);
    if (calendar == NULL)
        return ctl_refuse("%s", error.text);
    int code = CTL_DONE;
    if (is_publish)
        code = publish(cli, calendar);
    else if (has_date)
        code = show_day(cli, calendar, argv[4]);
    else if (is_check && !cli->json)
        show_about(calendar);
    else
        show_summary(cli, calendar);
    ctl_calendar_free(calendar);
    return code;
}
