/* clock.c: the two clocks of the program (net.h). */
#include "adapters/sim/net.h"

#include <time.h>

int64_t adp_sim_mono_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * LS_NS_PER_S + now.tv_nsec;
}

int64_t adp_sim_wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * LS_NS_PER_S + now.tv_nsec;
}
