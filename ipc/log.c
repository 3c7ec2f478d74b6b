#include "ipc/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_words[] = {"error", "warn", "info", "debug"};
static const char *const level_names[] = {"ERROR", "WARN ", "INFO ", "DEBUG"};

/* Written once before threads start. */
static char component_name[32] = "lockstep";
static enum ipc_log_level level_limit = IPC_LOG_INFO;

void ipc_log_init(const char *component, enum ipc_log_level level)
{
    (void)snprintf(component_name, sizeof(component_name), "%s", component);
    level_limit = level;
}

bool ipc_log_level_parse(const char *text, enum ipc_log_level *out)
{
    for (size_t i = 0; i < LS_COUNT_OF(level_words); i++) {
        if (strcmp(text, level_words[i]) == 0) {
            *out = (enum ipc_log_level)i;
            return true;
        }
    }
    return false;
}

size_t ipc_log_escape(const char *text, size_t bytes, char *out, size_t out_bytes)
{
    static const char hex[] = "0123456789abcdef";
    size_t at = 0;
    LS_CHECK(out_bytes > 0);
    for (size_t i = 0; i < bytes; i++) {
        const unsigned char c = (unsigned char)text[i];
        const bool is_plain = c >= ' ' && c <= '~' && c != '\\';
        if (at + (is_plain ? 1u : 4u) >= out_bytes)
            break;
        if (is_plain) {
            out[at++] = (char)c;
            continue;
        }
        out[at++] = '\\';
        out[at++] = 'x';
        out[at++] = hex[c >> 4];
        out[at++] = hex[c & 15];
    }
    out[at] = '\0';
    return at;
}

void ipc_log(enum ipc_log_level level, const char *format, ...)
{
    const int kept_errno = errno;
    char text[1001], line[1400];
    struct timespec now;
    struct tm parts;
    va_list arguments;
    if (level > level_limit)
        return;
    va_start(arguments, format);
    const int wanted = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t at = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &parts);
    at += (size_t)snprintf(line + at, sizeof(line) - at, ".%06ldZ %s %s: ", now.tv_nsec / 1000,
        level_names[level], component_name);
    if (wanted > 0)
        at += ipc_log_escape(text, strlen(text), line + at, sizeof(line) - at - 1);
    line[at++] = '\n';
    /* A reader of stderr that went away is no reason to stop. */
    if (write(STDERR_FILENO, line, at) < 0)
        errno = kept_errno;
    errno = kept_errno;
}
