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

#endif
