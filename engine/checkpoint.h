/* checkpoint.h: files that hold a state whole, so that a restart folds only what came after them
 * (ORDER-SAFETY 3.4).
 *
 * A checkpoint is the memory block of a core that has folded every fact up to one durable lsn and
 * nothing else, written beside the journal's disk files: checkpoint.<lsn>. Blocks name everything
 * by index, so this file knows nothing of what is in them: a table that somebody adds to the core
 * is in the next checkpoint. Pages of zeros are left out. The name appears when the file is
 * complete and on disk; its content never changes afterwards.
 *
 * What always holds: a checkpoint is only an abbreviation. One that is torn, rotten, of another
 * version of the core's sources, of other limits, or whose last fact is not in the journal as it
 * says, is passed over, and an older one or the facts themselves are used instead.
 *
 * Threads: writing belongs to the checkpointer's own (checkpointer.h), reading to start-up. */
#ifndef LS_ENGINE_CHECKPOINT_H
#define LS_ENGINE_CHECKPOINT_H

#include "ipc/base.h"
#include "ipc/rc.h"

#define ENG_CHECKPOINT_KEPT        2u /* files that stay: the newest, and one in case it is damaged */
#define ENG_CHECKPOINT_NAME_FORMAT "checkpoint.%020llu" /* unsigned long long lsn */
#define ENG_CHECKPOINT_NAME_BYTES  40u
#define ENG_CHECKPOINT_LIMITS_MAX  128u

/* What a checkpoint says of itself. */
struct eng_checkpoint_about {
    uint64_t lsn;       /* last fact in it; it was durable before the file was begun */
    uint32_t frame_crc; /* of that fact's frame: the journal must have this very one */
    uint32_t shard;
    uint64_t segment_no;  /* that has it */
    uint64_t block_bytes; /* of the whole block */
    uint64_t state_hash;  /* eng_core_hash of it */
    int64_t created_wall_ns;
    uint8_t version[32]; /* of the sources that the block's meaning depends on */
    uint8_t limits[ENG_CHECKPOINT_LIMITS_MAX]; /* that it was laid out with, zero-padded */
    char cluster_id[64];                       /* of the newest life, as recovery tells it */
};

/* eng_checkpoint_list gives the lsns of the checkpoints that are there, newest first.
 *   directory_fd  of journal.<shard> on disk
 *   returns       how many, [0, max] */
uint32_t eng_checkpoint_list(int directory_fd, uint64_t *lsns, uint32_t max);

/* eng_checkpoint_write makes the file checkpoint.<about->lsn> durable. It reads the whole block
 * once. block    about->block_bytes bytes, a multiple of 4096 returns  IPC_OK; IPC_SYSTEM (a full
 * disk too) with the sentence in *error, and no file is left */
LS_MUST_USE enum ipc_rc eng_checkpoint_write(int directory_fd,
    const struct eng_checkpoint_about *about, const void *block, struct ipc_error *error);

/* eng_checkpoint_look reads and checks what the file says of itself.
 *   returns  IPC_OK with *out; IPC_NOT_FOUND; IPC_BAD_MAGIC, IPC_BAD_SIZE, IPC_BAD_CRC */
LS_MUST_USE enum ipc_rc eng_checkpoint_look(
    int directory_fd, uint64_t lsn, struct eng_checkpoint_about *out);

/* eng_checkpoint_read fills a block.
 *   block    about->block_bytes bytes, of any content: all of them are written
 *   about    as eng_checkpoint_look told
 *   returns  IPC_OK; IPC_BAD_CRC, IPC_BAD_SIZE for a damaged file, the block's content is then
 *            undefined */
LS_MUST_USE enum ipc_rc eng_checkpoint_read(
    int directory_fd, const struct eng_checkpoint_about *about, void *block);

/* eng_checkpoint_prune removes all but the `kept` newest, and what a death left half written. */
void eng_checkpoint_prune(int directory_fd, uint32_t kept);

#endif
