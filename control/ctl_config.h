/* ctl_config.h: lockstepctl's own configuration file, YAML: which instance, and where its key is.
 */
#ifndef LS_CONTROL_CTL_CONFIG_H
#define LS_CONTROL_CTL_CONFIG_H

#include "ipc/rc.h"

struct ctl_config {
    char *instance; /* NULL = not in the file */
    char *key_file;
};

/* ctl_config_load reads a file.
 *   returns  a configuration to be freed with ctl_config_free, or NULL with a sentence that names
 * file, line and field */
struct ctl_config *ctl_config_load(const char *path, struct ipc_error *error);
void ctl_config_free(struct ctl_config *config);

#endif
