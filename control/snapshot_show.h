/* snapshot_show.h: a snapshot printed as the document that it is read from (snapshot_file.h), so
 * that publishing what was shown changes nothing. Tokens are never shown: those that the document
 * leaves out stay. Control plane only. */
#ifndef LS_CONTROL_SNAPSHOT_SHOW_H
#define LS_CONTROL_SNAPSHOT_SHOW_H

#include <stdio.h>

#include "ipc/snapshot.h"

/* ctl_snapshot_show writes one JSON object, a row a line.
 *   image  validated; its generation stands first, and publishing refuses the document once
 *          another one is live */
void ctl_snapshot_show(const struct ipc_snapshot_image *image, FILE *out);

/* ctl_snapshot_show_one writes the subscription of one slot in use as an element of
 * "subscriptions", or of "ended", on a line. */
void ctl_snapshot_show_one(const struct ipc_snapshot_view *view, uint32_t slot, FILE *out);

#endif
