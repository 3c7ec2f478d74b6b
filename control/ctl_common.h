/* ctl_common.h: small things that several verbs of lockstepctl need. */
#ifndef LS_CONTROL_CTL_COMMON_H
#define LS_CONTROL_CTL_COMMON_H

#include <stddef.h>

#include "control/cli.h"
#include "ipc/region.h"
#include "ipc/snapshot.h"

/* ctl_key_path writes the path of the key that seals tokens: --key, else
 * /etc/lockstep/<instance>.key. */
void ctl_key_path(const struct ctl_cli *cli, char *out, size_t out_bytes);

/* ctl_json_escape writes text as the inside of a JSON string, cut when out is too small. */
void ctl_json_escape(const char *text, char *out, size_t out_bytes);

/* ctl_format_wall writes UTC wall time as 2026-01-31T09:15:00.123456Z. */
void ctl_format_wall(int64_t wall_ns, char *out, size_t out_bytes);

/* ctl_find_account returns the number of an account given by login or by number, 0 when there is
 * none or the login is at two brokers. */
uint32_t ctl_find_account(const struct ipc_snapshot_view *view, const char *name);

/* ctl_find_broker returns the broker's number, -1 when there is none. */
int ctl_find_broker(const struct ipc_snapshot_view *view, const char *name);

/* ctl_find_instrument returns the id of SYMBOL or EXCHANGE:SYMBOL, 0 when there is none or more. */
uint32_t ctl_find_instrument(const struct ipc_snapshot_view *view, const char *name);

/* ctl_find_slot returns the slot of a follower number, -1 when it is not in use. */
int64_t ctl_find_slot(const struct ipc_snapshot_view *view, const char *follower_no);

/* One live snapshot, read and checked. */
struct ctl_live {
    struct ipc_shm shm;
    struct ipc_snapshot_image image;
    struct ipc_snapshot_view view;
    void *memory;
};

/* ctl_live_open opens the instance and its snapshot; complains itself.
 *   returns CTL_DONE, or the exit code. Close with ctl_live_close in both cases. */
int ctl_live_open(const struct ctl_cli *cli, struct ctl_live *live);
void ctl_live_close(struct ctl_live *live);

#endif
