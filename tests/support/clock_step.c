/* clock_step.c: a library to preload: CLOCK_REALTIME is ten seconds ahead while the file named by
 * LS_CLOCK_STEP_FILE exists. Every other clock is untouched. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *out)
{
    int result = (int)syscall(SYS_clock_gettime, clock, out);
    const char *file = getenv("LS_CLOCK_STEP_FILE");
    if (result == 0 && clock == CLOCK_REALTIME && file != NULL && access(file, F_OK) == 0)
        out->tv_sec += 10;
    return result;
}
