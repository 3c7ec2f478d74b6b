/* snapshot_file.h: the snapshot as a person writes it (JSON) turned into the image that is
 * published.
 *
 *   { "cluster": "demo", "shards": 1, "guard_fraction": 0.5,
 *     "brokers":       [ { "name": "sim", "dialect": "alice-blue", "host": "127.0.0.1", ... } ],
 *     "accounts":      [ { "account": 1, "broker": "sim", "login": "M001", "roles": ["master"],
 *                          "lanes": "own", "source_address": "127.0.0.2", "token": "..." } ],
 *     "instruments":   [ { "instrument": 1, "exchange": "NSE", "token": "2885", ... } ],
 *     "subscriptions": [ { "follower": 1, "account": "F001", "master": "M001", "mode":
 * "FIXED_RATIO", "ratio": 0.5 } ] }
 *
 * conf/snapshot.example.json has every field. Numbers are exact decimals. What is permanent stays:
 * a follower number keeps its slot, a retired number is not given to another subscription, an
 * instrument id keeps its contract; "instruments" and tokens that the file leaves out are taken
 * over from the live snapshot. */
#ifndef LS_CONTROL_SNAPSHOT_FILE_H
#define LS_CONTROL_SNAPSHOT_FILE_H

#include "ipc/region.h"
#include "ipc/seal.h"
#include "ipc/snapshot.h"

/* ctl_snapshot_read_live copies the generation in force into an image of its own.
 *   memory   *memory is the image's block, to be freed with free(); NULL when nothing is published
 *   returns  IPC_OK; IPC_EMPTY or IPC_NOT_FOUND nothing is published; IPC_BAD_*, IPC_SYSTEM */
LS_MUST_USE enum ipc_rc ctl_snapshot_read_live(const struct ipc_shm *shm,
    struct ipc_snapshot_image *image, void **memory, struct ipc_error *error);

/* ctl_snapshot_read_file builds an image from a file.
 *   live     the image in force, or NULL
 *   key      seals the tokens; NULL is refused only when the file has tokens
 *   arena    secret memory: plain tokens pass through it
 *   memory   as above
 *   returns  IPC_OK, or IPC_BAD_INPUT with "file:line: field: what is wrong" and nothing made */
LS_MUST_USE enum ipc_rc ctl_snapshot_read_file(const char *path,
    const struct ipc_snapshot_image *live, const struct ipc_seal_key *key,
    struct ipc_secret_arena *arena, struct ipc_snapshot_image *image, void **memory,
    struct ipc_error *error);

/* ctl_shared_order_image puts lists, policies and symbol maps in the order in which slots name
 * them and drops those that nobody names, as reading a file does: for verbs that change rows of a
 * live image. Equal policies stay two rows if they were two. */
void ctl_shared_order_image(struct ipc_snapshot_image *image);

#endif
