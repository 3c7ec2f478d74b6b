/* publishing.h: what every verb that makes a new generation of the snapshot shares: the writer's
 * lock, the generation in force, the checks, and the wait for the engines. One thread. */
#ifndef LS_CONTROL_PUBLISHING_H
#define LS_CONTROL_PUBLISHING_H

#include "control/cli.h"
#include "ipc/region.h"
#include "ipc/seal.h"
#include "ipc/secret.h"
#include "ipc/snapshot.h"

/* What publishing holds open. The caller makes `image` in `image_memory`, which close frees. */
struct ctl_publishing {
    struct ipc_shm shm;
    struct ipc_secret_arena *arena;
    struct ipc_seal_key *key;
    struct ipc_snapshot_writer *writer;
    struct ipc_snapshot_image live, image;
    void *live_memory, *image_memory;
    struct ipc_error error;
};

/* ctl_publishing_open takes the writer's lock and reads the generation in force.
 *   with_key  load the key that seals tokens too, making it when it is not there; `arena` and `key`
 *             stay NULL without
 *   returns   IPC_OK; anything else with the sentence in p->error. Close in both cases */
LS_MUST_USE enum ipc_rc ctl_publishing_open(
    const struct ctl_cli *cli, bool with_key, struct ctl_publishing *p);
void ctl_publishing_close(struct ctl_publishing *p);

/* ctl_publishing_check validates p->image and asks the blast-radius guard; the sentence is in
 * p->error. */
LS_MUST_USE enum ipc_rc ctl_publishing_check(struct ctl_publishing *p, bool override);

/* ctl_publishing_publish checks p->image, makes it the next generation, waits until every live
 * engine has adopted or refused it, and prints that.
 *   returns  an exit code; complains itself */
int ctl_publishing_publish(const struct ctl_cli *cli, struct ctl_publishing *p, bool override);

#endif
