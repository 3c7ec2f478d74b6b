/* journal_world.h: a journal of its own for a test: directories, lives, what was written, and what
 * can be read back. The model of the fold is a running CRC over everything applied, so two folds
 * are equal only when the same facts came in the same order. */
#ifndef LS_TEST_JOURNAL_WORLD_H
#define LS_TEST_JOURNAL_WORLD_H

#include "engine/journal_private.h"
#include "engine/recovery.h"
#include "tests/support/tempshm.h"

struct journal_model {
    bool refuses_maybe; /* what lies behind a hole does not fit its state */
    uint64_t facts, opens, maybe;
    uint64_t last_lsn;
    uint32_t hash;     /* over type, lsn and payload of all but OPEN */
    uint32_t unknowns; /* told to the OPEN fact */
    struct ipc_fact_open last_open;
};

struct journal_world {
    bool refuses_maybe; /* for the models of its later starts */
    struct tempshm shm;
    char disk[96]; /* inside shm.path, so that tests are fast */
    struct eng_journal_config config;
    struct eng_journal *journal; /* of the current life, NULL = none */
    struct journal_model model;  /* of the current life */
    struct eng_recovery_result result;
    struct ipc_error error;
};

/* journal_world_make makes the directories and a configuration of 3 segments of 192 KiB. */
void journal_world_make(struct journal_world *world);
void journal_world_remove(struct journal_world *world);

/* journal_world_open opens and recovers. */
enum ipc_rc journal_world_open(struct journal_world *world);
/* journal_world_leave ends the life as a death would: nothing is made durable. */
void journal_world_leave(struct journal_world *world);

/* journal_world_append writes a fact whose payload of `bytes` bytes follows from its lsn; returns
 * the lsn, 0 when the journal is full. */
uint64_t journal_world_append(struct journal_world *world, uint32_t bytes);
/* journal_world_payload_right checks a payload that journal_world_append made. */
bool journal_world_payload_right(const struct ipc_frame *frame, const void *payload);

/* journal_world_fold returns the model's fold. */
struct eng_recovery_fold journal_world_fold(struct journal_model *model);

#define JOURNAL_PATH_BYTES 256
/* journal_world_path writes the path of a segment in memory or on disk. */
void journal_world_path(const struct journal_world *world, bool on_disk, uint64_t segment_no,
    char out[JOURNAL_PATH_BYTES]);

/* What a reading from the start to the end gave. */
struct journal_reading {
    uint64_t frames, maybe, uncommitted, from_disk, holes;
    uint64_t first_lsn, last_lsn;
    bool payloads_right, in_order;
    enum ipc_journal_step end; /* of next or, at its END, of tail */
    uint64_t dropped_bytes;
    bool dropped_committed;
    struct ipc_journal_place place;
    struct ipc_error error;
};
/* journal_world_read reads everything; what must be a journal for it, else the test fails.
 *   boot_id  16 bytes, NULL = the world's */
void journal_world_read(const struct journal_world *world, bool take_complete, bool memory,
    const uint8_t *boot_id, struct journal_reading *out);

#endif
