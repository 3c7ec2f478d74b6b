/* journal.h: the journal as a simulated machine has it: frames of ipc/journal_format.h in memory,
 * and a disk copy that is behind.
 *
 * A crash of the process keeps the memory, also a frame that was begun and not committed. A power
 * cut keeps what was durable and, of what was not, the pages that happened to be written. */
#ifndef LS_TESTS_SIM_JOURNAL_H
#define LS_TESTS_SIM_JOURNAL_H

#include "ipc/journal_format.h"
#include "ipc/prng.h"

#define SIM_JOURNAL_BYTES (24u * 1024u * 1024u)

struct sim_journal {
    uint8_t *bytes;   /* SIM_JOURNAL_BYTES, zero beyond `touched` */
    uint64_t used;    /* end of the last complete frame */
    uint64_t touched; /* end of what was ever written */
    uint64_t durable; /* end of what the disk has for sure */
    uint64_t next_lsn, durable_lsn;
    uint64_t salt;
    uint32_t previous_crc;
    struct ipc_frame *pending;
    uint32_t pending_max;
    int64_t mono_ns, wall_ns; /* of the turn: stamped on every frame */
};

void sim_journal_open(struct sim_journal *journal, uint64_t salt);
void sim_journal_reset(struct sim_journal *journal, uint64_t salt);
void sim_journal_close(struct sim_journal *journal);

/* sim_journal_begin returns where the payload goes; sim_journal_commit completes the frame. */
void *sim_journal_begin(struct sim_journal *journal, enum ipc_fact_type type, uint32_t max_bytes);
uint64_t sim_journal_commit(struct sim_journal *journal, uint32_t bytes, uint32_t count);

/* sim_journal_sync makes frames durable up to a place that chance picks, or all. */
void sim_journal_sync(struct sim_journal *journal, struct ipc_prng *prng, bool all);

/* sim_journal_next returns the complete frame at *offset and moves past it; NULL at the end. */
const struct ipc_frame *sim_journal_next(const struct sim_journal *journal, uint64_t *offset);

/* sim_journal_recover finds the frames that survived and makes them the journal: up to the first
 * hole. What is whole behind a hole is evidence for reconciliation, which does not exist yet.
 *   power    what was not durable may be gone, in any pages
 *   returns  frames that were lost */
uint64_t sim_journal_recover(struct sim_journal *journal, struct ipc_prng *prng, bool power);

#endif
