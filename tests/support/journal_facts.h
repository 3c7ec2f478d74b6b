/* journal_facts.h: one believable frame of every fact type, for tests of what reads them. */
#ifndef LS_TEST_JOURNAL_FACTS_H
#define LS_TEST_JOURNAL_FACTS_H

#include "ipc/fact.h"

#define JOURNAL_FACTS_DIGITS   UINT64_C(123456789012) /* order digits of the event */
#define JOURNAL_FACTS_FOLLOWER 77u

struct journal_fact {
    enum ipc_fact_type type;
    uint32_t count;
    uint32_t bytes;
    _Alignas(8) uint8_t payload[4096];
};

/* journal_facts_make fills fact number `index`: [0, count) are one order's story in time order:
 * open, adopt, book, event, batch (three children: placed, skipped, queued), release, reply,
 * update, alarm, a checkpoint. returns false behind the last */
bool journal_facts_make(uint32_t index, struct journal_fact *out);

/* The tag of the placed child of the batch. */
extern const char journal_facts_tag[IPC_TAG_BYTES];

/* journal_facts_wide makes a BATCH of a reversal of the same order: follower 80 closes 50 and opens
 * in two slices, follower 81 is skipped by the price guard; each with its recorded steps. */
void journal_facts_wide(struct journal_fact *out);

#endif
