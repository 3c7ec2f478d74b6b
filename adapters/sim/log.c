#include "adapters/sim/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static enum adp_sim_level wanted = ADP_SIM_INFO;

void adp_sim_log_only(enum adp_sim_level level)
{
    wanted = level;
}

void adp_sim_log(enum adp_sim_level level, const char *format, ...)
{
    static const char *const words[] = {"ERROR", "WARN", "INFO"};
    struct timespec now;
    struct tm utc;
    char text[1024], stamp[32];
    va_list arguments;

    if (level > wanted)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fprintf(
        stderr, "%s.%03ldZ %s brokersim: %s\n", stamp, now.tv_nsec / 1000000, words[level], text);
}
