/* snapshot_private.h: the file `snapshot` as bytes. Only snapshot_*.c, its fuzz target and its
 * tests include this.
 *
 *     body  struct ipc_snapshot_header
 *           stamps        uint64_t [chunk_capacity], one per chunk
 *           directories   IPC_SNAPSHOT_KEPT of directory_bytes each, page-aligned
 *           chunks        chunk_capacity of IPC_SNAPSHOT_CHUNK_BYTES each, page-aligned
 *
 * A directory or chunk is written as: stamp = 0, words, stamp = generation or version. A reader
 * looks at the stamp, copies, looks again. The words are atomic (release, acquire) for the reason
 * given in seqlock.h. The CRC is for damage; the stamps are for overruns. */
#ifndef LS_IPC_SNAPSHOT_PRIVATE_H
#define LS_IPC_SNAPSHOT_PRIVATE_H

#include <stdatomic.h>

#include "ipc/region.h"
#include "ipc/snapshot.h"

/* Held by the writer instead of a byte of the snapshot itself, which it may have to replace. */
#define IPC_SNAPSHOT_LOCK_FILE  "snapshot.writer"

/* 2^32 rows at most, and this many chunks (64 GiB): a bound for sizes read from the file. */
#define IPC_SNAPSHOT_CHUNKS_MAX (UINT32_C(1) << 20)

struct ipc_snapshot_header {
    uint64_t lineage;        /* writer: creator, once */
    uint32_t chunk_capacity; /* writer: creator, once */
    uint32_t reserved;
    LS_LINE _Atomic uint64_t current_generation; /* writer: the publisher; readers acquire */
};

/* Where one part of a table is. */
struct ipc_snapshot_reference {
    uint64_t version; /* the generation in which these bytes were published first */
    uint64_t digest;  /* first 64 bits of the SHA-256 of the bytes */
    uint32_t chunk;   /* [0, chunk_capacity) */
    uint32_t crc;     /* CRC32C of the bytes */
};
_Static_assert(sizeof(struct ipc_snapshot_reference) == 24, "no padding");

/* The head of a directory; `part_count` references follow, table after table. */
struct ipc_snapshot_directory {
    _Atomic uint64_t stamp; /* 0 while it is written, then its generation; not under the CRC */
    uint64_t generation;
    uint64_t lineage;
    uint64_t content_hash;
    int64_t published_wall_ns;
    struct ipc_snapshot_shape shape;
    uint32_t flags;
    uint32_t part_count;
    uint32_t crc; /* of everything after `stamp` with this field 0, references included */
    uint32_t reserved;
};
_Static_assert(sizeof(struct ipc_snapshot_directory) == 120, "no padding");

/* What an image holds at one part. version 0 = nothing. */
struct ipc_snapshot_part {
    uint64_t version;
    uint64_t digest;
    uint64_t lineage;
    uint32_t bytes;
    uint32_t row_bytes;
};

/* A mapped snapshot with bounds taken once: nothing in the mapping can move them later. */
struct ipc_snapshot_map {
    const struct ipc_snapshot_header *header;
    const _Atomic uint64_t *stamps;
    const uint8_t *directories;
    const uint8_t *chunks;
    uint64_t lineage;
    uint64_t directory_bytes;
    uint32_t chunk_capacity;
    uint32_t reserved;
};

/* ---- shapes: snapshot_image.c ---- */

/* Bytes of a body with this many chunks. */
uint64_t ipc_snapshot_body_bytes(uint32_t chunk_capacity);

/* Hash of the structs above and of every row, so that another build's file is refused. */
uint64_t ipc_snapshot_layout_hash(void);

/* IPC_OK, or IPC_BAD_INPUT with a sentence. A shape that passes has fewer than
 * IPC_SNAPSHOT_CHUNKS_MAX parts. */
LS_MUST_USE enum ipc_rc ipc_snapshot_shape_check(
    const struct ipc_snapshot_shape *shape, struct ipc_error *error);

/* Rows in one full chunk of a table; row_bytes in [1, IPC_SNAPSHOT_CHUNK_BYTES]. */
static inline uint32_t ipc_snapshot_rows_per_chunk(uint32_t row_bytes)
{
    return IPC_SNAPSHOT_CHUNK_BYTES / row_bytes;
}

/* Chunks of one table; 0 when it has no rows. */
uint32_t ipc_snapshot_table_parts(const struct ipc_snapshot_shape *shape, enum ipc_table table);

uint32_t ipc_snapshot_part_count(const struct ipc_snapshot_shape *shape);

/* Where a part lies in its table's array, and how many bytes it has. */
struct ipc_snapshot_span {
    uint64_t offset;
    uint32_t bytes;
    uint32_t row_bytes;
};
struct ipc_snapshot_span ipc_snapshot_part_span(
    const struct ipc_snapshot_shape *shape, enum ipc_table table, uint32_t part);

/* Hash of the rows from shape and digests, whichever chunks and versions they have. */
uint64_t ipc_snapshot_content_hash(const struct ipc_snapshot_shape *shape,
    const struct ipc_snapshot_reference *references, uint32_t part_count);

/* CRC of a directory and its references. */
uint32_t ipc_snapshot_directory_crc(const struct ipc_snapshot_directory *directory,
    const struct ipc_snapshot_reference *references, uint32_t part_count);

/* ---- words that two processes touch: snapshot_map.c ---- */

/* Copies into or out of shared memory in 64-bit atomic words; bytes is a multiple of 4. */
void ipc_snapshot_store_words(void *shared, const void *from, size_t bytes);
void ipc_snapshot_load_words(void *to, const void *shared, size_t bytes);

/* ipc_snapshot_map_init bounds a body.
 *   returns  IPC_OK, or IPC_BAD_SIZE */
LS_MUST_USE enum ipc_rc ipc_snapshot_map_init(
    struct ipc_snapshot_map *map, const void *body, uint64_t body_bytes, struct ipc_error *error);

/* ipc_snapshot_map_directory copies the directory of the generation in force and checks it.
 *   references  room for map->chunk_capacity
 *   returns     IPC_OK; IPC_EMPTY; IPC_TORN; IPC_BAD_CRC; IPC_BAD_LAYOUT */
LS_MUST_USE enum ipc_rc ipc_snapshot_map_directory(const struct ipc_snapshot_map *map,
    struct ipc_snapshot_directory *directory, struct ipc_snapshot_reference *references,
    struct ipc_error *error);

/* The same for one given generation: IPC_TORN when the file no longer has it. */
LS_MUST_USE enum ipc_rc ipc_snapshot_map_directory_of(const struct ipc_snapshot_map *map,
    uint64_t generation, struct ipc_snapshot_directory *directory,
    struct ipc_snapshot_reference *references, struct ipc_error *error);

/* ipc_snapshot_map_copy does what ipc_snapshot_reader_copy promises, from a map.
 *   references  room for map->chunk_capacity
 *   copied      chunks copied, out */
LS_MUST_USE enum ipc_rc ipc_snapshot_map_copy(const struct ipc_snapshot_map *map,
    struct ipc_snapshot_reference *references, struct ipc_snapshot_image *image, uint32_t *copied,
    struct ipc_error *error);

#endif
