/* journal_private.h: the journal's inside, shared by its writer (pinned thread), the scribe and
 * recovery (start-up).
 *
 * Atomics stand here and not in ipc/ because they join two threads of this process only. */
#ifndef LS_ENGINE_JOURNAL_PRIVATE_H
#define LS_ENGINE_JOURNAL_PRIVATE_H

#include "engine/journal.h"
#include "engine/scribe.h"
#include "ipc/journal_reader.h"

#include <pthread.h>
#include <stdatomic.h>

/* A piece of memory that holds one segment after the other: number n lives in slot n % count. */
struct eng_journal_slot {
    uint8_t *base;
};

/* The scribe's own state; after start only its thread touches it. */
struct eng_scribe {
    uint64_t segment_no; /* being copied */
    uint64_t offset;     /* copied up to here */
    uint64_t next_lsn;
    uint32_t previous_crc;
    int fd;      /* disk file of segment_no, -1 = not made yet */
    int next_fd; /* of segment_no + 1, made early so that a full disk is met early; -1 */
    bool dirty;  /* written since the last sync */
    uint64_t dirty_bytes;
    uint64_t sync_count, synced_bytes, sync_ns_max;
    pthread_t thread;
    bool is_running;
};

struct eng_journal {
    /* Written before the threads start. */
    struct eng_journal_config config;
    const struct eng_scribe_system *system;
    int memory_fd, disk_fd;             /* directories journal.<shard>/ */
    int memory_owner_fd, disk_owner_fd; /* hold the locks */
    struct ipc_journal_owner *owner; /* the page in memory; durable_lsn and state: the scribe's */
    uint64_t generation;
    uint64_t previous_durable_lsn; /* of the life before, as its owner page said; 0 = not known */
    bool is_started;
    uint64_t first_segment_no;
    uint64_t reserve_bytes;
    struct eng_journal_slot slots[ENG_JOURNAL_SEGMENTS_MAX];

    /* writer: pinned thread */
    LS_LINE uint8_t *base; /* of the segment that is being written */
    uint64_t offset;       /* where the next frame goes */
    uint64_t segment_no;
    uint64_t salt;
    uint64_t next_lsn;
    int64_t mono_ns, wall_ns;
    struct ipc_frame *pending; /* begun, not committed; NULL = none */
    uint32_t pending_max;
    uint32_t previous_crc;
    enum ipc_journal_state reported; /* by eng_journal_alarm */
    uint64_t wanted_sent;            /* last lsn asked of the scribe */
    struct eng_journal_counters counters;

    /* writer: pinned thread; reader: scribe, each round */
    LS_LINE _Atomic uint64_t wanted_lsn; /* release; pairs with the scribe's acquire */
    _Atomic uint32_t bell;               /* futex: rung after wanted_lsn or stop was stored */
    _Atomic uint32_t is_behind;          /* entries are stopped because memory runs low */
    _Atomic uint32_t stop;               /* writer: eng_scribe_stop */
    _Atomic uint64_t day_segment_no; /* that begins with it; before day_lsn */
    _Atomic uint32_t ended_day;      /* that it ended, yyyymmdd; before day_lsn */
    _Atomic uint64_t day_lsn; /* newest DAY fact; release, pairs with eng_journal_day's acquire */

    /* writer: scribe; reader: pinned thread */
    LS_LINE _Atomic uint64_t ready_no; /* last prepared segment; release, pairs with the roll's and
                                          takes_entries' acquire */
    _Atomic uint64_t durable_lsn;      /* release; pairs with acquire in eng_journal_is_durable */
    _Atomic uint32_t state;            /* OK, DISK_FAILED, DAMAGED; release after failed_text */
    _Atomic uint32_t is_asleep;        /* the scribe waits at the bell */
    char failed_text[160];

    LS_LINE struct eng_scribe scribe;
};

/* eng_journal_slot_of returns the memory of segment `segment_no`. */
static inline uint8_t *eng_journal_slot_of(const struct eng_journal *journal, uint64_t segment_no)
{
    return journal->slots[segment_no % journal->config.segment_count].base;
}

/* eng_journal_segment_prepare empties a segment's memory and gives it a number and a new salt, all
 * but what only its first frame's writer knows. Start-up and scribe.
 *   returns false when the kernel gives no random bytes */
LS_MUST_USE bool eng_journal_segment_prepare(
    struct eng_journal *journal, uint8_t *base, uint64_t segment_no);

/* eng_journal_roll puts the next prepared segment in use. Pinned thread, and start-up.
 *   returns false when the scribe has none ready */
LS_MUST_USE bool eng_journal_roll(struct eng_journal *journal);

/* eng_journal_fail stops entries for good with one sentence; the first failure stays. Scribe, and
 * start-up before it runs. */
void eng_journal_fail(
    struct eng_journal *journal, enum ipc_journal_state state, int error_number, const char *text);

/* eng_scribe_file_make opens and allocates the disk file of a segment.
 *   call     out: name of the disk call that failed, for the sentence
 *   returns  its descriptor, or -1 with errno */
int eng_scribe_file_make(struct eng_journal *journal, uint64_t segment_no, const char **call);

/* eng_scribe_write writes all bytes; false with errno after the first error. */
LS_MUST_USE bool eng_scribe_write(
    struct eng_journal *journal, int fd, const void *bytes, uint64_t count, uint64_t offset);

/* eng_scribe_ring wakes the scribe if it sleeps. Any thread. */
void eng_scribe_ring(struct eng_journal *journal);

#endif
