/* journal_segment.h: one segment of a journal, opened for reading; private to the reader.
 *
 * A memory segment is mapped, because a live writer's commit word must be read with acquire; a disk
 * file is read by pread, because a failing disk must be a result and not a SIGBUS. Nothing of
 * either is trusted: a frame is copied out, and only the copy is looked at. */
#ifndef LS_IPC_JOURNAL_SEGMENT_H
#define LS_IPC_JOURNAL_SEGMENT_H

#include "ipc/journal_reader.h"

#define IPC_SEGMENT_WINDOW_BYTES (256u * 1024u)

struct ipc_segment {
    uint64_t segment_no;
    bool is_open, from_disk;
    int fd;
    uint64_t file_bytes;
    struct ipc_segment_header header; /* checked private copy */
    const uint8_t *mapping;           /* memory: the whole file */
    uint8_t *window; /* disk: bytes [window_offset, window_offset + window_bytes) */
    uint64_t window_offset, window_bytes;
};

/* What is at a frame's place. */
enum ipc_segment_place {
    IPC_PLACE_FRAME,       /* a right frame with its commit word */
    IPC_PLACE_UNCOMMITTED, /* a right frame without it */
    IPC_PLACE_EMPTY,       /* no commit word, and no frame; also the end of the segment */
    IPC_PLACE_BAD,         /* a commit word, and what it promises is not there */
};

/* ipc_segment_open opens segment `segment_no` of a directory.
 *   directory_fd  -1 = IPC_NOT_FOUND
 *   returns IPC_OK and *out (to be closed); IPC_NOT_FOUND; IPC_EMPTY prepared, not in use;
 * IPC_BAD_... the header is damaged or another's; IPC_SYSTEM. Only with IPC_OK is *out open */
LS_MUST_USE enum ipc_rc ipc_segment_open(
    struct ipc_segment *out, int directory_fd, bool from_disk, uint64_t segment_no, uint32_t shard);

void ipc_segment_close(struct ipc_segment *segment);

/* ipc_segment_unchanged says whether a mapped segment still is what was opened: false after the
 * writer has recycled its memory. Disk files always are. */
bool ipc_segment_unchanged(const struct ipc_segment *segment);

/* ipc_segment_refresh forgets what was read ahead from disk. */
void ipc_segment_refresh(struct ipc_segment *segment);

/* ipc_segment_look copies what is at `offset` into `copy` and judges it alone (not its lsn or
 * chain).
 *   copy  IPC_FRAME_BYTES_MAX bytes, 64-byte aligned; a whole frame after FRAME and UNCOMMITTED */
enum ipc_segment_place ipc_segment_look(
    struct ipc_segment *segment, uint64_t offset, struct ipc_frame *copy);

/* ipc_segment_scan looks for the first right frame behind `offset` with lsn >= low_lsn, committed
 * or not. copy     as above, holds the frame that was found returns  its offset, 0 = none */
uint64_t ipc_segment_scan(
    struct ipc_segment *segment, uint64_t offset, uint64_t low_lsn, struct ipc_frame *copy);

/* ipc_segment_used_end returns the end of the last 64-byte block at or behind `offset` that is not
 * all zero; `offset` when there is none. */
uint64_t ipc_segment_used_end(struct ipc_segment *segment, uint64_t offset);

#endif
