/* webhook_register.h: one call to the broker that says where it is to post an account's orders, or
 * that it is to stop. For a person's command line; nothing here runs while a feed runs. */
#ifndef LS_ADAPTERS_INGEST_WEBHOOK_REGISTER_H
#define LS_ADAPTERS_INGEST_WEBHOOK_REGISTER_H

#include "adapters/ingest/config.h"
#include "adapters/ingest/live.h"
#include "ipc/seal.h"

/* adp_webhook_register posts hook_url + "/" + the account's secret path to the broker's
 * registration call, with the account's token, over HTTPS verified as everywhere.
 *   account  login or number, as in the file of paths
 *   is_on    false takes the registration back
 *   returns  IPC_OK when the broker says so; IPC_BAD_INPUT, IPC_NOT_FOUND, IPC_REFUSED or
 *            IPC_SYSTEM with a sentence without secrets */
LS_MUST_USE enum ipc_rc adp_webhook_register(const struct adp_ingest_config *config,
    const struct adp_live *live, const struct ipc_seal_key *key, const char *account, bool is_on,
    struct ipc_error *error);

#endif
