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

/* Names inside a journal's directory, in memory and on disk. A segment whose header has no magic is
 * prepared and not in use. */
#define IPC_SEGMENT_NAME_FORMAT  "segment.%010llu" /* unsigned long long segment_no */
#define IPC_SEGMENT_NAME_BYTES   32u
#define IPC_JOURNAL_OWNER_NAME   "owner" /* struct ipc_journal_owner, and the lock */

struct ipc_segment_header {
    _Atomic uint64_t magic; /* stored last, release: the segment is in use from then on */
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
    uint32_t count;        /* elements in the payload, where it is a list */
    uint32_t previous_crc; /* crc of the frame before (of the segment before, at a segment's start):
                              what the chain needs, kept here so that a frame after a hole can be
                              checked alone */
    uint8_t reserved8[16];
    /* payload follows */
};
_Static_assert(sizeof(struct ipc_frame) == 64, "frame header");

_Static_assert(sizeof(struct ipc_segment_header) == 96, "segment header");

/* The file `owner` of a journal's directory: its OFD lock is held by the engine that writes, as
 * long as it lives. Readers take from it where the disk files are and how far they are durable. */
#define IPC_JOURNAL_OWNER_MAGIC UINT64_C(0x314e574f4a534c) /* "LSJOWN1" */

#define IPC_JOURNAL_STATE_LIST(X)                                                                  \
    X(IPC_JOURNAL_STATE_OPENING, 0, "opening") /* locked, recovery has not ended */                \
    X(IPC_JOURNAL_STATE_OK, 1, "ok")                                                               \
    X(IPC_JOURNAL_STATE_BEHIND, 2, "behind") /* the disk is slower than the wave: entries stop */  \
    X(IPC_JOURNAL_STATE_DISK_FAILED, 3, "disk-failed") /* a write or sync failed: entries stop */  \
    X(IPC_JOURNAL_STATE_DAMAGED, 4, "damaged") /* the memory journal was changed by another */     \
    X(IPC_JOURNAL_STATE_CLOSED, 5, "closed")   /* the engine left in order */
IPC_DECLARE_ENUM(ipc_journal_state, IPC_JOURNAL_STATE_LIST)

struct ipc_journal_owner {
    uint64_t magic;
    uint32_t abi;
    uint32_t shard;
    _Atomic uint64_t generation; /* one more per open; release by the opener */
    uint8_t engine_uuid[16];
    uint8_t boot_id[16];
    uint32_t pid;
    uint32_t tier; /* 0 = process, 1 = power */
    uint64_t segment_bytes;
    uint32_t segment_count;
    uint32_t reserved;
    char disk_directory[256]; /* absolute path of the directory that holds the same segments */
    /* writer: the scribe; release, readers acquire */
    LS_LINE _Atomic uint64_t durable_lsn;
    _Atomic uint32_t state; /* enum ipc_journal_state */
    _Atomic uint32_t failed_errno;
    _Atomic uint64_t sync_count, synced_bytes, sync_ns_max;
    char failed_text[160]; /* NUL-terminated sentence; written before state */
};
#define IPC_JOURNAL_OWNER_BYTES 4096u
_Static_assert(sizeof(struct ipc_journal_owner) <= IPC_JOURNAL_OWNER_BYTES, "owner page");

/* ipc_frame_crc computes a frame's CRC over its header from `lsn` on and `payload_bytes` of
 * payload. salt, previous_crc   of the chain thread  any */
uint32_t ipc_frame_crc(const struct ipc_frame *frame, uint64_t salt, uint32_t previous_crc);

/* ipc_crc32c continues a CRC32C (Castagnoli, RFC 3720) over bytes; start with 0. Uses SSE4.2. */
uint32_t ipc_crc32c(uint32_t crc, const void *bytes, size_t count);

#endif
