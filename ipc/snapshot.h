/* snapshot.h: the followers, accounts and instruments that engines trade by, published whole.
 *
 * One file `snapshot` per instance. Fifteen tables of fixed rows (ipc/rows.h) lie in chunks of 64
 * KiB; a directory per generation says which chunk holds which part of which table, with its
 * version and CRC32C; `current_generation` names the directory in force.
 *
 * One writer, whoever holds the OFD lock of the file (lockstepd, else lockstepctl). It publishes
 * from a plain image in its own memory: changed chunks into free ones, then the directory, then
 * `current_generation` (release). Killed at any instruction it leaves the old generation or the
 * new one; the next writer continues.
 *
 * Readers (each engine's porter, ingest, lockstepctl) copy changed chunks into an image of their
 * own, then check version and CRC of what they copied. A reader holds nothing: the writer never
 * waits for it, and a reader that was overrun learns it (IPC_TORN) and copies again. Chunks and
 * directories of the last IPC_SNAPSHOT_KEPT - 1 generations are never overwritten.
 *
 * When the tables outgrow the file the writer builds a larger one beside it and renames it over;
 * readers notice at their next call and attach to the new file.
 *
 * Nothing here runs on a pinned thread. */
#ifndef LS_IPC_SNAPSHOT_H
#define LS_IPC_SNAPSHOT_H

#include "ipc/rc.h"
#include "ipc/region.h"
#include "ipc/rows.h"

#define IPC_SNAPSHOT_FILE          "snapshot"
#define IPC_SNAPSHOT_CHUNK_BYTES   65536u
#define IPC_SNAPSHOT_KEPT          4u /* directories in the file */

/* Row bytes of the token table are chosen by the publisher: the longest sealed token, rounded up.
 */
#define IPC_SNAPSHOT_TOKEN_ROW_MAX 8192u

#define IPC_TABLE_LIST(X)                                                                          \
    X(IPC_TABLE_CLUSTER, 0, "cluster")                                                             \
    X(IPC_TABLE_BROKERS, 1, "brokers")                                                             \
    X(IPC_TABLE_ACCOUNTS, 2, "accounts")                                                           \
    X(IPC_TABLE_TOKENS, 3, "tokens")                                                               \
    X(IPC_TABLE_INSTRUMENTS, 4, "instruments")                                                     \
    X(IPC_TABLE_FOLLOWERS, 5, "followers")                                                         \
    X(IPC_TABLE_MASTERS, 6, "masters")                                                             \
    X(IPC_TABLE_MASTER_SLOTS, 7, "master slots")                                                   \
    X(IPC_TABLE_LISTS, 8, "lists")                                                                 \
    X(IPC_TABLE_LIST_ITEMS, 9, "list items")                                                       \
    X(IPC_TABLE_POLICIES, 10, "policies")                                                          \
    X(IPC_TABLE_MAPS, 11, "symbol maps")                                                           \
    X(IPC_TABLE_MAP_ITEMS, 12, "symbol map items")                                                 \
    X(IPC_TABLE_CONTRACTS, 13, "contracts")                                                        \
    X(IPC_TABLE_SESSIONS, 14, "sessions")
IPC_DECLARE_ENUM(ipc_table, IPC_TABLE_LIST)
#define IPC_TABLE_COUNT 15

/* ---- images ---------------------------------------------------------------------------------- */

/* Rows of each table, and the bytes of one row of the token table. A value of this type says how
 * much an image can hold, or how much a generation does hold. */
struct ipc_snapshot_shape {
    uint32_t rows[IPC_TABLE_COUNT];
    uint32_t token_row_bytes; /* 0 = no tokens, else a multiple of 8, at most the maximum above */
};

/* A whole snapshot in private memory. The caller owns the memory; a publisher fills `rows` and
 * `shape`, a reader has them filled. Arrays are addressed by table: cluster has one row, tokens
 * has as many rows as accounts. */
struct ipc_snapshot_image {
    void *rows[IPC_TABLE_COUNT];
    struct ipc_snapshot_shape shape;    /* rows in use */
    struct ipc_snapshot_shape capacity; /* rows that fit */
    uint64_t generation;   /* of the last complete copy; 0 = none, or a copy was interrupted */
    uint64_t lineage;      /* identity of the history that `generation` counts in */
    uint64_t content_hash; /* same rows give the same value, whichever generation */
    int64_t published_wall_ns;
    uint32_t flags;                  /* IPC_SNAPSHOT_OVERRIDE */
    uint32_t part_capacity;          /* private to the reader: what has been copied so far */
    struct ipc_snapshot_part *parts; /* private to the reader */
};

/* A person has looked at this generation and lets it pass the blast-radius guard. */
#define IPC_SNAPSHOT_OVERRIDE 1u

/* ipc_table_row_bytes returns the bytes of one row; for the token table, token_row_bytes. */
uint32_t ipc_table_row_bytes(enum ipc_table table, uint32_t token_row_bytes);

/* ipc_snapshot_footprint returns the bytes that an image of this capacity needs, a multiple of
 * 4096; 0 when the shape is out of range (token_row_bytes, more than 2^32 - 1 rows in chunks). */
LS_MUST_USE uint64_t ipc_snapshot_footprint(const struct ipc_snapshot_shape *capacity);

/* ipc_snapshot_image_init lays an empty image out in `memory`.
 *   memory   ipc_snapshot_footprint(capacity) bytes, 64-byte aligned, zeroed by the caller; stays
 *            the caller's, and must outlive the image */
void ipc_snapshot_image_init(
    struct ipc_snapshot_image *image, void *memory, const struct ipc_snapshot_shape *capacity);

/* ipc_snapshot_view_of fills the engine's view of an image; it points into the image. */
void ipc_snapshot_view_of(const struct ipc_snapshot_image *image, struct ipc_snapshot_view *view);

/* ---- writer ---------------------------------------------------------------------------------- */

struct ipc_snapshot_writer;

/* ipc_snapshot_writer_open takes the writer's lock of the snapshot, making the file if
 * there is none.
 *   shm       the instance's directory; must outlive the writer
 *   returns     IPC_OK; IPC_BUSY another writer lives; IPC_BAD_* the file is not usable (the
 *               sentence says what differs); IPC_SYSTEM
 *   ownership   close with ipc_snapshot_writer_close */
LS_MUST_USE enum ipc_rc ipc_snapshot_writer_open(
    const struct ipc_shm *shm, struct ipc_snapshot_writer **writer, struct ipc_error *error);

/* ipc_snapshot_writer_publish makes the image the next generation.
 *   image    rows and shape; not kept. Its generation, lineage, content hash and time are set to
 *            the published ones. It is not validated here: call ipc_snapshot_validate before.
 *   flags    0 or IPC_SNAPSHOT_OVERRIDE
 *   wall_ns  time of publication, UTC
 *   returns  IPC_OK, also when nothing differs (then no generation is made, unless it adds a flag);
 *            IPC_BAD_INPUT the shape is out of range; IPC_SYSTEM the larger file could not be made
 *            (the old generation stays)
 *   cost     compares every row with the last generation; writes changed chunks and one directory
 */
LS_MUST_USE enum ipc_rc ipc_snapshot_writer_publish(struct ipc_snapshot_writer *writer,
    struct ipc_snapshot_image *image, uint32_t flags, int64_t wall_ns, struct ipc_error *error);

/* Of the last publish: chunks written, and whether the file was replaced by a larger one. */
struct ipc_snapshot_published {
    uint32_t chunks_written, chunks_total;
    uint32_t file_replaced;
    uint32_t reserved;
    uint64_t generation;
};
void ipc_snapshot_writer_published(
    const struct ipc_snapshot_writer *writer, struct ipc_snapshot_published *out);

/* ipc_snapshot_writer_current returns the generation in force, 0 if none yet. */
uint64_t ipc_snapshot_writer_current(const struct ipc_snapshot_writer *writer);

/* Drops the lock; NULL is allowed. */
void ipc_snapshot_writer_close(struct ipc_snapshot_writer *writer);

/* ---- reader ---------------------------------------------------------------------------------- */

struct ipc_snapshot_reader;

/* ipc_snapshot_reader_open attaches read-only.
 *   returns   IPC_OK; IPC_NOT_FOUND there is no file; IPC_BAD_* it is not usable; IPC_SYSTEM
 *   ownership close with ipc_snapshot_reader_close */
LS_MUST_USE enum ipc_rc ipc_snapshot_reader_open(
    const struct ipc_shm *shm, struct ipc_snapshot_reader **reader, struct ipc_error *error);

/* ipc_snapshot_reader_poll returns the generation in force, 0 if none; attaches to a new file when
 * the old one was replaced (one stat call). A change of *lineage means that generations count
 * anew. On failure the old attachment stays. lineage may be NULL. */
LS_MUST_USE enum ipc_rc ipc_snapshot_reader_poll(struct ipc_snapshot_reader *reader,
    uint64_t *generation, uint64_t *lineage, struct ipc_error *error);

/* ipc_snapshot_reader_shape returns the shape of the generation in force, to size an image.
 *   returns   IPC_OK; IPC_EMPTY nothing is published; IPC_TORN call again; IPC_BAD_* */
LS_MUST_USE enum ipc_rc ipc_snapshot_reader_shape(
    struct ipc_snapshot_reader *reader, struct ipc_snapshot_shape *shape, struct ipc_error *error);

/* ipc_snapshot_reader_copy brings the image up to the generation in force, copying only what
 * differs from what the image holds.
 *   image    its own `parts` remember what it holds, so several images may take turns
 *   returns  IPC_OK, the image is complete and bitwise what was published (not yet validated);
 *            IPC_EMPTY nothing is published; IPC_TORN the writer overran the copy, call again;
 *            IPC_TOO_LONG a table does not fit the image's capacity (the sentence names it);
 *            IPC_BAD_CRC, IPC_BAD_LAYOUT the file is damaged; IPC_SYSTEM
 *   On any result but IPC_OK image->generation is 0 and its rows must not be used. */
LS_MUST_USE enum ipc_rc ipc_snapshot_reader_copy(
    struct ipc_snapshot_reader *reader, struct ipc_snapshot_image *image, struct ipc_error *error);

/* Chunks copied by the last ipc_snapshot_reader_copy. */
uint32_t ipc_snapshot_reader_chunks_copied(const struct ipc_snapshot_reader *reader);

void ipc_snapshot_reader_close(struct ipc_snapshot_reader *reader);

/* ---- checks ---------------------------------------------------------------------------------- */

/* ipc_snapshot_scratch_bytes returns the scratch memory that ipc_snapshot_validate needs. */
uint64_t ipc_snapshot_scratch_bytes(const struct ipc_snapshot_view *view);

/* ipc_snapshot_validate checks every index, enum value, range and relation of a view: after IPC_OK
 * no code needs to check a row again. What another process wrote is never trusted before this.
 *   scratch  ipc_snapshot_scratch_bytes(view) bytes, 8-byte aligned; contents need not be zero
 *   returns  IPC_OK, or IPC_BAD_INPUT with a sentence that names table and row
 *   cost     O(rows) */
LS_MUST_USE enum ipc_rc ipc_snapshot_validate(const struct ipc_snapshot_view *view, void *scratch,
    uint64_t scratch_bytes, struct ipc_error *error);

/* What the blast-radius guard compares: for each mode, a multiplier of its followers with
 * IPC_FOLLOWER_ENABLED, so that twice the number is twice the order; index = enum ipc_mode. It is
 * the number that the mode needs (ipc/policy.h): ratio, quantity, mult (1 when not set), money
 * invested, fraction, the largest tier, quantity per money. Sums stop at INT64_MAX. */
struct ipc_snapshot_stats {
    uint32_t enabled_followers;
    uint32_t followers; /* slots in use */
    int64_t total_e8[IPC_MODE_LIMIT], largest_e8[IPC_MODE_LIMIT];
    int64_t total_multiplier_e8, largest_multiplier_e8; /* over all modes, for the ADOPT fact */
};
void ipc_snapshot_stats(const struct ipc_snapshot_view *view, struct ipc_snapshot_stats *out);

/* ipc_snapshot_guard_fraction_e8 returns the cluster row's fraction, or the default 0.5. Guards
 * use that of the generation in force, so that a bad one cannot loosen its own guard. */
int64_t ipc_snapshot_guard_fraction_e8(const struct ipc_snapshot_view *view);

/* ipc_snapshot_guard refuses a generation that moves too much at once: enabled count, or one
 * mode's total or largest multiplier, up or down by more than fraction_e8 of the old value. A
 * mode that nobody used before counts as moved.
 *   old       NULL (first generation) or with nothing enabled: everything passes
 *   override  a person's flag of this generation (image->flags): everything passes
 *   returns   IPC_OK, or IPC_REFUSED with old value, new value and fraction in the sentence */
LS_MUST_USE enum ipc_rc ipc_snapshot_guard(const struct ipc_snapshot_stats *old,
    const struct ipc_snapshot_stats *new_stats, int64_t fraction_e8, bool override,
    struct ipc_error *error);

#endif
