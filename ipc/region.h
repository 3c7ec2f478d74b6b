/* region.h: objects in shared memory: files of /dev/shm/lockstep.<instance>/, each with one header.
 *
 * The directory is 2770 of the service group, files are 0660 of their writer. Everything is opened
 * relative to the directory's descriptor and never through a symbolic link. An object is made under
 * a temporary name, given its memory by posix_fallocate (so that a full /dev/shm is an error here
 * and not a SIGBUS later), initialised, then renamed: whoever finds the name finds it complete.
 *
 *     page 0   struct ipc_region_header, written once before the rename
 *     page 1.. body, the object's own
 *
 * Whoever owns an object's role (writer, reader) holds an open-file-description lock on a byte of
 * the file; the kernel drops it on any death. Nothing is concluded from a pid or from silence. The
 * description is shared with forked children, so programs that hold one do not fork without exec.
 *
 * Opening, attaching and listing belong to start-up and to porter threads: they make system calls
 * and format sentences. Each refusal is one sentence in *error (which may be NULL). */
#ifndef LS_IPC_REGION_H
#define LS_IPC_REGION_H

#include "ipc/rc.h"
#include "ipc/vocab.h"

#include <sys/types.h>

#define IPC_REGION_MAGIC        UINT64_C(0x314e47455253534c) /* "LSSREGN1" */
#define IPC_REGION_HEADER_BYTES 4096u
#define IPC_REGION_NAME_BYTES   64u /* with the NUL */
#define IPC_INSTANCE_BYTES      33u /* with the NUL */
#define IPC_SHM_BASE_DEFAULT    "/dev/shm"
#define IPC_SHM_BASE_VARIABLE   "LOCKSTEP_SHM_DIR"

/* Kinds of objects; in headers, append only. */
#define IPC_REGION_LIST(X)                                                                         \
    X(IPC_REGION_RING, 1, "ring")                                                                  \
    X(IPC_REGION_WAKE, 2, "wake")                                                                  \
    X(IPC_REGION_SNAPSHOT, 3, "snapshot")                                                          \
    X(IPC_REGION_SWITCHES, 4, "switches")                                                          \
    X(IPC_REGION_PRICES, 5, "prices")                                                              \
    X(IPC_REGION_ACCOUNTS, 6, "accounts")                                                          \
    X(IPC_REGION_METRICS, 7, "metrics")                                                            \
    X(IPC_REGION_ENGINE, 8, "engine")                                                              \
    X(IPC_REGION_OTHER, 9, "other")                                                                \
    X(IPC_REGION_WAVES, 10, "waves")
IPC_DECLARE_ENUM(ipc_region_kind, IPC_REGION_LIST)

/* Bytes of the file that stand for a role; what each kind calls them is in its own header. */
#define IPC_LOCK_WRITER 0u
#define IPC_LOCK_READER 1u
#define IPC_LOCK_MAKER  7u /* held while an object is being made under its temporary name */
#define IPC_LOCK_COUNT  8u

struct ipc_region_header {
    uint64_t magic;
    uint32_t abi;         /* IPC_ABI of the creator */
    uint32_t kind;        /* enum ipc_region_kind */
    uint64_t layout_hash; /* of the body's structs, ipc_layout_hash */
    uint64_t total_bytes; /* of the file, header included */
    uint64_t body_bytes;  /* that the kind asked for, <= total_bytes - IPC_REGION_HEADER_BYTES */
    uint64_t generation;  /* random: another creation of the same name has another one */
    uint8_t boot_id[16];
    int32_t creator_pid;
    uint32_t reserved;
    uint64_t creator_start; /* ticks since boot, see ipc_process_start */
    int64_t created_wall_ns;
    char version[64]; /* of the program: "0.1.0 1a2b3c4d5e6f", NUL-padded */
    char name[IPC_REGION_NAME_BYTES];
    uint32_t reserved32;
    uint32_t crc; /* CRC32C of the bytes before this field */
};
_Static_assert(sizeof(struct ipc_region_header) == 224, "region header");

/* An instance's directory, open. One owner; the descriptor may be used from any thread. */
struct ipc_shm {
    int fd;
    uid_t owner;
    gid_t group;
    char instance[IPC_INSTANCE_BYTES];
    char path[256]; /* for sentences only */
};

/* ipc_instance_name_valid and ipc_region_name_valid say whether a name may be used:
 * [a-z0-9] first, then [a-z0-9_-] (and '.' in objects), at most 32 and 63 characters. */
LS_MUST_USE bool ipc_instance_name_valid(const char *name);
LS_MUST_USE bool ipc_region_name_valid(const char *name);

/* ipc_shm_open opens the instance's directory.
 *   base      where instances live; NULL = LOCKSTEP_SHM_DIR of the environment, else /dev/shm
 *   instance  name of the instance
 *   create    make the directory when it is missing
 *   returns   IPC_OK; IPC_NOT_FOUND when it is missing and not to be made; IPC_BAD_INPUT for a bad
 *             name; IPC_REFUSED when it is a link, of another owner than this user or root, or of
 *             another mode than 2770; IPC_SYSTEM (errno is kept) */
LS_MUST_USE enum ipc_rc ipc_shm_open(struct ipc_shm *shm, const char *base, const char *instance,
    bool create, struct ipc_error *error);

/* ipc_shm_open_inside opens a directory of the instance, as journal.<shard>/, by the same rules.
 * The result is closed by ipc_shm_close, as any. */
LS_MUST_USE enum ipc_rc ipc_shm_open_inside(const struct ipc_shm *shm, const char *name,
    bool create, struct ipc_shm *out, struct ipc_error *error);

/* ipc_shm_close closes the descriptor; objects that were attached stay attached. */
void ipc_shm_close(struct ipc_shm *shm);

/* ipc_shm_check_owner refuses what was not put there by a user that the directory trusts: its
 * owner is this user, root, or the directory's owner, or its group is the directory's (which is
 * 2770, so that only members could have made it); its permissions are 0660 and it has one name.
 *   fd    open file or FIFO of the directory
 *   type  S_IFREG or S_IFIFO
 *   size  of the file, out; may be NULL */
LS_MUST_USE enum ipc_rc ipc_shm_check_owner(const struct ipc_shm *shm, int fd, const char *name,
    mode_t type, uint64_t *size, struct ipc_error *error);

#define IPC_REGION_WRITE    1u /* map for writing; else read-only */
#define IPC_REGION_REPLACE  2u /* create: put it in place of an object of the same name */
#define IPC_REGION_DONTDUMP 4u /* keep it out of core files */
#define IPC_REGION_PREFAULT 8u /* map every page now */

/* What an object must be. */
struct ipc_region_spec {
    const char *name; /* inside the directory */
    enum ipc_region_kind kind;
    uint64_t layout_hash;
    uint64_t body_bytes; /* create: > 0. attach: smallest that will do; the kind checks more */
    uint32_t flags;      /* IPC_REGION_* */
};

/* One attached object. Mapped with MADV_DONTFORK: a forked child does not see it. */
struct ipc_region {
    void *body;
    uint64_t body_bytes;
    uint64_t generation;
    void *mapping; /* header and body */
    uint64_t mapping_bytes;
    uint64_t device, inode;
    int fd; /* -1 when not attached */
    char name[IPC_REGION_NAME_BYTES];
};

/* ipc_region_init_fn fills a new body, which is zeroed memory, before anybody can see it. */
typedef void (*ipc_region_init_fn)(void *body, void *context);

/* ipc_region_create makes an object and leaves it attached for writing. Of two creators that race,
 * one gets IPC_EXISTS.
 *   init      may be NULL for a body of zeros
 *   returns   IPC_OK; IPC_EXISTS (without IPC_REGION_REPLACE); IPC_BAD_INPUT; IPC_SYSTEM, with
 *             ENOSPC when the file system has no room for it. Nothing is left behind on failure */
LS_MUST_USE enum ipc_rc ipc_region_create(const struct ipc_shm *shm,
    const struct ipc_region_spec *spec, ipc_region_init_fn init, void *context,
    struct ipc_region *region, struct ipc_error *error);

/* ipc_region_attach maps an existing object after checking owner, mode, size, magic, ABI, kind,
 * layout hash, sizes and name. Sizes are taken from a private copy of the header.
 *   returns   IPC_OK; IPC_NOT_FOUND; IPC_REFUSED (link, owner, mode); IPC_BAD_MAGIC; IPC_BAD_ABI;
 *             IPC_BAD_LAYOUT; IPC_BAD_SIZE; IPC_BAD_CRC; IPC_SYSTEM */
LS_MUST_USE enum ipc_rc ipc_region_attach(const struct ipc_shm *shm,
    const struct ipc_region_spec *spec, struct ipc_region *region, struct ipc_error *error);

/* ipc_region_open attaches, or creates when the name is free; a lost race attaches too. */
LS_MUST_USE enum ipc_rc ipc_region_open(const struct ipc_shm *shm,
    const struct ipc_region_spec *spec, ipc_region_init_fn init, void *context,
    struct ipc_region *region, struct ipc_error *error);

/* ipc_region_detach unmaps and closes; locks of this attachment end. Harmless when detached. */
void ipc_region_detach(struct ipc_region *region);

/* ipc_region_current asks whether the name still stands for what is attached. Called at heartbeats.
 *   returns   IPC_OK; IPC_GONE when it was removed, replaced or cut */
LS_MUST_USE enum ipc_rc ipc_region_current(
    const struct ipc_shm *shm, const struct ipc_region *region, struct ipc_error *error);

/* ipc_region_lock takes a role; the kernel drops it when the attachment closes or the process dies.
 *   role      [0, IPC_LOCK_COUNT)
 *   returns   IPC_OK; IPC_BUSY when another attachment holds it; IPC_SYSTEM */
LS_MUST_USE enum ipc_rc ipc_region_lock(const struct ipc_region *region, uint32_t role);
void ipc_region_unlock(const struct ipc_region *region, uint32_t role);

/* ipc_region_is_locked says whether another attachment holds the role now. */
LS_MUST_USE bool ipc_region_is_locked(const struct ipc_region *region, uint32_t role);

/* ipc_region_remove takes a name away.
 *   returns   IPC_OK; IPC_NOT_FOUND; IPC_BUSY while anybody holds a role of it; IPC_SYSTEM */
LS_MUST_USE enum ipc_rc ipc_region_remove(
    const struct ipc_shm *shm, const char *name, struct ipc_error *error);

/* One entry of the directory, for people. */
struct ipc_region_info {
    char name[256];
    uint64_t file_bytes;
    uint32_t mode; /* st_mode */
    uid_t uid;
    bool is_temporary;               /* being made, or left behind by a maker that died */
    bool has_header;                 /* `header` is a private copy and its magic and CRC agree */
    bool creator_alive;              /* the very process: pid, start and boot agree */
    uint32_t locks_held;             /* bit per role */
    struct ipc_region_header header; /* version and name end with a NUL */
    char problem[256];               /* empty, or the sentence that attach would refuse with */
};

/* ipc_region_inspect fills *info for one name, temporary ones too.
 *   returns   IPC_OK; IPC_NOT_FOUND; IPC_SYSTEM */
LS_MUST_USE enum ipc_rc ipc_region_inspect(const struct ipc_shm *shm, const char *name,
    struct ipc_region_info *info, struct ipc_error *error);

/* ipc_region_list calls back for every entry of the directory except "." and "..", in no order; a
 * callback that returns false ends it. */
typedef bool (*ipc_region_list_fn)(const struct ipc_region_info *info, void *context);
LS_MUST_USE enum ipc_rc ipc_region_list(
    const struct ipc_shm *shm, ipc_region_list_fn fn, void *context, struct ipc_error *error);

/* ipc_region_sweep removes temporary names that no living maker holds and that are older than ten
 * seconds (a maker takes its lock just after it made the file).
 *   removed   how many, out; may be NULL */
LS_MUST_USE enum ipc_rc ipc_region_sweep(
    const struct ipc_shm *shm, uint32_t *removed, struct ipc_error *error);

/* A body's layout as data: a changed struct has another hash, and attachers refuse it. */
struct ipc_layout_field {
    const char *name;
    uint64_t offset;
    uint64_t bytes;
};
#define IPC_LAYOUT_FIELD(type, member)                                                             \
    {                                                                                              \
#type "." #member, offsetof(type, member), sizeof(((type *)0)->member)                     \
    }

/* ipc_layout_hash hashes names, offsets and sizes (FNV-1a, 64 bits). */
uint64_t ipc_layout_hash(const struct ipc_layout_field *fields, size_t field_count);

#endif
