/* days.h: the journal's files of days that are over: made read-only (0400), each with its SHA-256
 * in the file `days`, whose lines are chained, so that none can be changed or left out unseen
 * (ORDER-SAFETY 3.4). They are evidence and are kept for 5 years; no program removes them.
 *
 * One line a segment: market day that ended, file, bytes, SHA-256 of the file, SHA-256 over the
 * line before's last field and this line's others. Cold thread. */
#ifndef LS_ENGINE_DAYS_H
#define LS_ENGINE_DAYS_H

#include "ipc/base.h"
#include "ipc/rc.h"

/* eng_days_seal seals every segment file below a number that is not sealed yet.
 *   directory_fd  of journal.<shard> on disk
 *   below_no      first segment that is still in use, or may be written again by a start
 *   day           that ended, yyyymmdd
 *   sealed        files that were
 *   returns       IPC_OK; IPC_SYSTEM with the sentence in *error, to be tried again */
LS_MUST_USE enum ipc_rc eng_days_seal(
    int directory_fd, uint64_t below_no, uint32_t day, uint32_t *sealed, struct ipc_error *error);

#endif
