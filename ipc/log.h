/* log.h: one line on stderr per thing that people should know.
 *
 *     2026-01-31T09:15:00.123456Z INFO  ingest: account 7 (AB1234): 41 orders in the book
 *
 * Time is UTC. What is not printable ASCII is written as \xNN, so that no text of a peer can forge
 * a line or drive a terminal. A line is cut at 1,000 characters and written by one write(2), so
 * lines of several threads do not mix. Secrets are never passed to it.
 *
 * For programs and cold threads: it formats and makes a system call. Any thread after ipc_log_init.
 */
#ifndef LS_IPC_LOG_H
#define LS_IPC_LOG_H

#include "ipc/base.h"

enum ipc_log_level {
    IPC_LOG_ERROR = 0,
    IPC_LOG_WARN,
    IPC_LOG_INFO,
    IPC_LOG_DEBUG,
};

/* ipc_log_init sets the component's name, [1, 31] characters of it are kept, and the least urgent
 * level that is printed. Before other threads start; without it the name is "lockstep", INFO. */
void ipc_log_init(const char *component, enum ipc_log_level level);

/* ipc_log_level_parse reads "error", "warn", "info" or "debug"; false leaves *out unchanged. */
LS_MUST_USE bool ipc_log_level_parse(const char *text, enum ipc_log_level *out);

/* ipc_log prints one line; errno is kept. */
void ipc_log(enum ipc_log_level level, const char *format, ...) LS_PRINTF(2, 3);

/* ipc_log_escape copies text with everything but printable ASCII (and the backslash) as \xNN, cut
 * at out_bytes - 1, NUL-terminated.
 *   returns  the length of the copy */
size_t ipc_log_escape(const char *text, size_t bytes, char *out, size_t out_bytes);

#endif
