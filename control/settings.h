/* settings.h: the settings of a subscription beside its row (struct ipc_row_policy), as fields of
 * the snapshot's document. One table says name, place, unit and bounds of each; reading and
 * writing go by it, so what is written is read back as the same row.
 *
 * Fields that end in _pct are percents with at most 6 places (0.5 = half a percent); the row holds
 * the fraction. Zero and absent mean "not set". Control plane only; one thread. */
#ifndef LS_CONTROL_SETTINGS_H
#define LS_CONTROL_SETTINGS_H

#include <stdio.h>

#include "control/document.h"
#include "ipc/policy.h"

/* Every name that a subscription may have for its settings: those on it and its groups'. Ends with
 * NULL. `out` needs room for `room` names; more than fit is a bug. */
void ctl_settings_keys(const char **out, size_t room);

/* ctl_settings_read fills *policy from one subscription's object.
 *   policy   zeroed by the caller, but for what it read itself (ratio as mult, reverse)
 *   returns  IPC_OK, or IPC_BAD_INPUT with "file:line: field: what to do" in *error: a wrong value,
 *            a number that the mode needs and has not, a number that the mode does not read */
LS_MUST_USE enum ipc_rc ctl_settings_read(const struct ctl_document *document, uint32_t object,
    enum ipc_mode mode, struct ipc_row_policy *policy, struct ipc_error *error);

/* ctl_settings_write prints the fields that are set and that the mode reads, each with a comma
 * before it: ,"on_fill":"complete","limits":{"max_daily_loss":50000}. */
void ctl_settings_write(const struct ipc_row_policy *policy, enum ipc_mode mode, FILE *out);

#endif
