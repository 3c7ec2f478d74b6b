/* log.h: log lines with a level to stderr, and the ones above a chosen level only. Main thread;
 * start and stop and what is wrong are logged, requests are counted instead. */
#ifndef LS_ADP_SIM_LOG_H
#define LS_ADP_SIM_LOG_H

#include "ipc/base.h"

enum adp_sim_level { ADP_SIM_ERROR = 0, ADP_SIM_WARN, ADP_SIM_INFO };

/* adp_sim_log writes one line "<time> <level> brokersim: <text>". */
void adp_sim_log(enum adp_sim_level level, const char *format, ...) LS_PRINTF(2, 3);

/* adp_sim_log_only keeps lines of this level and worse; the beginning is ADP_SIM_INFO. */
void adp_sim_log_only(enum adp_sim_level level);

#endif
