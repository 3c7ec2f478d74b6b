/* journal_format.h: the bytes of the journal, in the memory ring and in the disk files alike
 * (ORDER-SAFETY 3.4).
 *
 * One writer (an engine's pinned thread) appends frames to segments: preallocated tmpfs files in
 * /dev/shm/lockstep.<instance>/journal.<shard>/. The scribe copies the same bytes to files of the
 * same names on disk. A frame is 64-byte aligned; `length` is stored last, release, and is the
 * commit word: a reader that loads it with acquire and finds it non-zero sees the whole frame.
 * Frames never span segments. */
#ifndef LS_IPC_JOURNAL_FORMAT_H
#define LS_IPC_JOURNAL_FORMAT_H

#include "ipc/fact.h"
#include "ipc/rc.h"

#define IPC_JOURNAL_MAGIC        UINT64_C(0x314c4e524a534c) /* "LSJRNL1" */
#define IPC_SEGMENT_HEADER_BYTES 4096u
#define IPC_FRAME_ALIGN          64u
#define IPC_FRAME_BYTES_MAX      (64u * 1024u)

struct ipc_segment_header {
    uint64_t magic;
    uint32_t abi;
    uint32_t shard;
    uint8_t engine_uuid[16]; /* of the process that opened the segment */
    uint8_t boot_id[16];     /* of /proc/sys/kernel/random/boot_id */
    uint64_t segment_no;     /* from 1, dense over the journal's life */
    uint64_t first_lsn;      /* of the first frame in it */
    uint64_t segment_bytes;  /* whole size, a multiple of 4096 */
    uint64_t salt; /* start of the CRC chain: frames of a recycled segment cannot look valid */
    int64_t created_wall_ns;
    uint32_t previous_crc; /* CRC of the last frame of the segment before, 0 for the first: chains
                              segments */
    uint32_t crc;          /* CRC32C of the bytes before this field */
};

struct ipc_frame {
    _Atomic uint32_t length; /* whole frame with header and padding, a multiple of 64; 0 = not
                                complete. Stored last, release; pairs with the reader's acquire */
    uint32_t
        crc; /* CRC32C over salt, previous frame's crc, the header from `lsn` on, and the payload */
    uint64_t lsn; /* from 1, dense */
    int64_t mono_ns;
    int64_t wall_ns;
    uint16_t type; /* enum ipc_fact_type */
    uint16_t flags;
    uint32_t payload_bytes;
    uint32_t count; /* elements in the payload, where it is a list */
    uint32_t reserved;
    uint8_t reserved8[16];
    /* payload follows */
};
_Static_assert(sizeof(struct ipc_frame) == 64, "frame header");

/* ipc_frame_crc computes a frame's CRC over its header from `lsn` on and `payload_bytes` of
 * payload. salt, previous_crc   of the chain thread  any */
uint32_t ipc_frame_crc(const struct ipc_frame *frame, uint64_t salt, uint32_t previous_crc);

/* ipc_crc32c continues a CRC32C (Castagnoli, RFC 3720) over bytes; start with 0. Uses SSE4.2. */
uint32_t ipc_crc32c(uint32_t crc, const void *bytes, size_t count);

#endif
