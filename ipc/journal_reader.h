/* journal_reader.h: reads a shard's journal, frame by frame in lsn order, from memory first and
 * from the disk files where memory no longer has it (ORDER-SAFETY 3.4).
 *
 * For recovery, control and lockstepctl. It maps memory segments read-only and copies every frame
 * out before it looks at it, so a live writer, a recycled segment or hostile bytes cost an answer,
 * never a fault: every offset is checked, and a frame counts only when its CRC, chained over the
 * segment's secret salt and the frame before, is right. One reader belongs to one thread.
 *
 * What can be met, and what it means:
 *   END      no more frames now. With a live writer: call again later.
 *   TORN     the journal ends at a place that holds bytes of a frame that is not right, and nothing
 *            valid follows. Recovery leaves them where they are and opens a new segment.
 *   HOLE     the same with valid frames behind it, in a segment of another boot (or one that a
 *            person has accepted): legal after a power cut, whose pages persist in any order. The
 *            frames behind it are delivered and marked IPC_ENTRY_MAYBE.
 *   CORRUPT  the same in a segment of this boot: a committed fact is lost or changed. Stop.
 *   GONE     facts between the wanted lsn and the oldest kept one no longer exist. */
#ifndef LS_IPC_JOURNAL_READER_H
#define LS_IPC_JOURNAL_READER_H

#include "ipc/journal_format.h"

struct ipc_journal_reader;

struct ipc_journal_reader_options {
    const char *memory_directory; /* the instance's, .../lockstep.<instance>; NULL = none */
    const char *disk_directory; /* the instance's on disk; NULL = as the owner file in memory says,
                                   "" = none */
    uint32_t shard;
    uint64_t from_lsn;   /* first frame wanted, 0 and 1 = the oldest kept */
    uint64_t from_segment_no; /* segments before it are not looked at; 0 = all. It must not lie
                                 behind the one that has from_lsn */
    uint8_t boot_id[16]; /* zeros = of this boot */
    bool take_complete;  /* recovery, with no writer alive: a frame that is whole but for its commit
                            word counts as written (it may have been sent, a bit may have rotted) */
    bool accept_corrupt; /* a person has decided: CORRUPT is read as HOLE */
};

#define IPC_JOURNAL_STEP_LIST(X)                                                                   \
    X(IPC_JOURNAL_FRAME, 1, "frame")                                                               \
    X(IPC_JOURNAL_END, 2, "end")                                                                   \
    X(IPC_JOURNAL_TORN, 3, "torn")                                                                 \
    X(IPC_JOURNAL_HOLE, 4, "hole")                                                                 \
    X(IPC_JOURNAL_CORRUPT, 5, "corrupt")                                                           \
    X(IPC_JOURNAL_GONE, 6, "gone")
IPC_DECLARE_ENUM(ipc_journal_step, IPC_JOURNAL_STEP_LIST)

#define IPC_ENTRY_MAYBE       1u /* after a hole: evidence that it may have been sent */
#define IPC_ENTRY_OTHER_BOOT  2u /* its monotonic times compare with nothing */
#define IPC_ENTRY_FROM_DISK   4u
#define IPC_ENTRY_UNCOMMITTED 8u /* whole, but without its commit word (see take_complete) */

/* One step's result. For FRAME all of it; for the others segment_no, offset, dropped_bytes and the
 * sentence in `error`. */
struct ipc_journal_entry {
    const struct ipc_frame *frame; /* a checked private copy, valid until the next call */
    const void *payload;           /* frame->payload_bytes, 64-byte aligned */
    uint64_t segment_no;
    uint32_t offset;        /* in the segment */
    uint32_t flags;         /* IPC_ENTRY_... */
    uint64_t dropped_bytes; /* TORN, HOLE, CORRUPT: from the bad place to the last byte written, or
                               to the next valid frame */
    bool dropped_committed; /* ... and at least one of the dropped frames carried its commit word:
                               it may have been sent */
    struct ipc_error error;
};

/* ipc_journal_reader_open finds the segments and stands before from_lsn.
 *   returns IPC_OK with *out (also for a journal without frames); IPC_NOT_FOUND when neither
 *           directory has a journal of the shard; IPC_SYSTEM; IPC_BAD_INPUT; with *error set and
 *           *out NULL
 *   thread  any; allocates */
LS_MUST_USE enum ipc_rc ipc_journal_reader_open(const struct ipc_journal_reader_options *options,
    struct ipc_journal_reader **out, struct ipc_error *error);

/* ipc_journal_reader_next takes the next step. After FRAME and HOLE it goes on; after END it may be
 * called again to follow a live writer (HOLE, TORN and CORRUPT are told from frames that are being
 * written); TORN, CORRUPT and GONE are final and repeat. */
enum ipc_journal_step ipc_journal_reader_next(
    struct ipc_journal_reader *reader, struct ipc_journal_entry *out);

/* ipc_journal_reader_tail looks behind the END, when no writer is alive or for a verification: bytes
 * without a commit word, valid frames behind a lost commit word, a damaged header.
 *   returns END (clean), TORN or CORRUPT with *out filled as for a step; HOLE when the reader went
 *           over it, and next() goes on; END too when a live writer went on meanwhile */
enum ipc_journal_step ipc_journal_reader_tail(
    struct ipc_journal_reader *reader, struct ipc_journal_entry *out);

/* Where the reader stands: what a new life of the journal continues from. */
struct ipc_journal_place {
    uint64_t last_lsn;        /* of the last frame delivered or passed, 0 = none */
    uint32_t last_crc;        /* its CRC */
    uint64_t last_segment_no; /* highest number that any file of the journal has, 0 = none */
    uint64_t oldest_lsn;      /* first lsn of the oldest segment, 0 = no segment */
    uint64_t frames;          /* delivered */
    uint64_t from_disk;       /* of them, read from disk files */
    uint64_t repaired;        /* of them, damaged in memory and right on disk */
    bool last_same_boot;      /* the last frame is of this boot */
};
void ipc_journal_reader_place(
    const struct ipc_journal_reader *reader, struct ipc_journal_place *out);

/* ipc_journal_reader_durable returns the durable lsn and state that the owner file shows; false
 * when there is none. */
LS_MUST_USE bool ipc_journal_reader_owner(
    const struct ipc_journal_reader *reader, uint64_t *durable_lsn, enum ipc_journal_state *state);

/* ipc_journal_reader_disk returns the descriptor of the directory journal.<shard> on disk, which
 * stays the reader's; -1 when there is none. */
int ipc_journal_reader_disk(const struct ipc_journal_reader *reader);

void ipc_journal_reader_close(struct ipc_journal_reader *reader);

/* --- pieces that the reader, the writer and the tests share --- */

/* ipc_segment_header_seal computes header->crc, as if the magic were in place (it is stored last).
 */
uint32_t ipc_segment_header_crc(const struct ipc_segment_header *header);

/* ipc_segment_header_check bounds a header that was read from elsewhere.
 *   file_bytes  size of its file
 *   returns     IPC_OK; IPC_EMPTY when the segment is prepared and not in use; IPC_BAD_MAGIC,
 *               IPC_BAD_ABI, IPC_BAD_SIZE, IPC_BAD_CRC */
LS_MUST_USE enum ipc_rc ipc_segment_header_check(
    const struct ipc_segment_header *header, uint64_t file_bytes);

/* ipc_frame_check checks a frame at `bytes`, of which `room` are readable, alone: sizes, type, CRC
 * under the salt and the previous_crc that it carries. The commit word is not looked at.
 *   returns its length (a multiple of 64), or 0 when it is not a frame of this segment */
uint32_t ipc_frame_check(const void *bytes, uint64_t room, uint64_t salt);

/* ipc_segment_name writes the file name of a segment; ipc_segment_name_parse returns its number, or
 * 0 when the name is not one. */
void ipc_segment_name(uint64_t segment_no, char out[IPC_SEGMENT_NAME_BYTES]);
uint64_t ipc_segment_name_parse(const char *name);

#endif
