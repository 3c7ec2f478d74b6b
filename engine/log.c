#include "engine/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "ipc/fact.h"

static char log_name[64] = "lockstep-engine";
static enum eng_level log_level = ENG_LOG_INFO;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void eng_log_init(const char *name, enum eng_level level)
{
    (void)snprintf(log_name, sizeof(log_name), "%s", name);
    log_level = level;
}

void eng_log(enum eng_level level, const char *format, ...)
{
    char line[1024];
    struct timespec now;
    struct tm parts;
    va_list args;
    if (level > log_level)
        return;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &parts);
    int bytes = snprintf(line, sizeof(line),
        "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %-5s %s: ", parts.tm_year + 1900, parts.tm_mon + 1,
        parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, now.tv_nsec / 1000000,
        level_names[level], log_name);
    va_start(args, format);
    int more = vsnprintf(line + bytes, sizeof(line) - (size_t)bytes - 1, format, args);
    va_end(args);
    bytes += more < 0 ? 0 : more;
    if ((size_t)bytes > sizeof(line) - 2)
        bytes = (int)sizeof(line) - 2;
    /* What came from elsewhere must not forge a line. */
    for (int i = 0; i < bytes; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[bytes++] = '\n';
    /* A log that cannot be written is no reason to stop trading. */
    ssize_t ignored = write(STDERR_FILENO, line, (size_t)bytes);
    (void)ignored;
}

void eng_note_print(const struct eng_note *note)
{
    const int64_t *n = note->number;
    enum eng_level level = (enum eng_level)note->level;
    switch ((enum eng_note_kind)note->kind) {
    case ENG_NOTE_WAVE:
        eng_log(level,
            "Replication: %" PRId64 "/%" PRId64 " successful in %" PRId64 ".%03" PRId64
            "ms (%" PRId64 " skipped%s)",
            n[1], n[0], n[4] / 1000000, n[4] / 1000 % 1000, n[2], note->text);
        return;
    case ENG_NOTE_ALARM:
        eng_log(level, "ALARM %s account %" PRId64 ": %s", ipc_alarm_name((enum ipc_alarm)n[0]),
            n[1], note->text);
        return;
    case ENG_NOTE_ADOPTED:
        eng_log(level,
            "snapshot generation %" PRId64 " is in force: %" PRId64 " of %" PRId64
            " followers enabled",
            n[0], n[1], n[2]);
        return;
    case ENG_NOTE_LOST:
        eng_log(level,
            "connection to broker %" PRId64 " (account %" PRId64 ") ended: %s, %" PRId64
            " requests in flight",
            n[0], n[1], note->text, n[3]);
        return;
    case ENG_NOTE_EVENT_REFUSED:
        eng_log(
            level, "record %" PRId64 " of ring %" PRId64 " is refused: %s", n[1], n[0], note->text);
        return;
    case ENG_NOTE_STOPPED:
        eng_log(level, "pinned thread stopped after %" PRId64 " turns", n[0]);
        return;
    }
}
