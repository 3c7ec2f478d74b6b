/* scribe.h: the thread that makes the journal durable: it copies complete frames from the memory
 * segments to files of the same names on disk, fdatasyncs, publishes the durable lsn, and gives
 * segments that are durable back to the writer.
 *
 * Timers: one round every sync_ms / 2 (tier process), or as soon as the pinned thread asks (tier
 * power). A frame is durable at the latest sync_ms and one fdatasync after its commit.
 *
 * An error of any disk call (also a full disk) ends the scribe's work for good: the state becomes
 * DISK_FAILED, entries stop, no sync is tried again (after a failed fsync the kernel may have
 * dropped the pages and say "done" the second time), and a person restarts the engine. The memory
 * ring goes on for exits, cancels and replies while it lasts. */
#ifndef LS_ENGINE_SCRIBE_H
#define LS_ENGINE_SCRIBE_H

#include "engine/journal.h"

#include <sys/types.h>

/* The disk calls, so that tests can fail the n-th of them. Each returns as the call of its name:
 * -1 with errno on failure. */
struct eng_scribe_system {
    int (*open_file)(void *context, int directory_fd, const char *name); /* O_CREAT, 0660 */
    int (*allocate)(void *context, int fd, off_t bytes); /* posix_fallocate from 0 */
    ssize_t (*write_at)(void *context, int fd, const void *bytes, size_t count, off_t offset);
    int (*sync)(void *context, int fd);           /* fdatasync */
    int (*sync_directory)(void *context, int fd); /* fsync */
    int (*close_file)(void *context, int fd);
    void *context;
};

/* eng_scribe_system_real is the operating system. */
extern const struct eng_scribe_system eng_scribe_system_real;

/* eng_scribe_start starts the thread; the journal has been started (eng_recovery_run).
 *   cpu     processor it is bound to, -1 = not bound
 *   returns IPC_OK or IPC_SYSTEM with the sentence in *error */
LS_MUST_USE enum ipc_rc eng_scribe_start(
    struct eng_journal *journal, int cpu, struct ipc_error *error);

/* eng_scribe_stop makes everything durable that is committed, ends the thread and waits for it. The
 * pinned thread must not commit any more.
 *   returns true when everything is durable */
bool eng_scribe_stop(struct eng_journal *journal);

/* eng_scribe_round is what the thread does each time: copy, sync when something was copied (or
 * `sync` asks), publish, recycle. For tests and for the simulator, instead of the thread.
 *   returns true when everything that was committed at its start is durable */
bool eng_scribe_round(struct eng_journal *journal);

#endif
