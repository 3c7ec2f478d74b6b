/* webhook_peers.h: who may post, and what the secret paths are. */
#ifndef LS_ADAPTERS_INGEST_WEBHOOK_PEERS_H
#define LS_ADAPTERS_INGEST_WEBHOOK_PEERS_H

#include "ipc/rc.h"
#include "ipc/rows.h"

#include <sys/socket.h>

#define ADP_HOOK_NETWORKS   64u
#define ADP_HOOK_PATHS_MAX  4096u
#define ADP_HOOK_PATH_LEAST 24u /* characters of a secret path */
#define ADP_HOOK_PATH_MOST  128u

/* Addresses are kept as IPv6; IPv4 ones as ::ffff:a.b.c.d. */
struct adp_hook_networks {
    uint32_t count;
    struct {
        uint8_t address[16];
        uint8_t bits;
    } networks[ADP_HOOK_NETWORKS];
};

/* adp_hook_networks_parse reads "127.0.0.1 10.0.0.0/8 2001:db8::/32", blanks or commas between.
 *   returns  IPC_OK; IPC_BAD_INPUT with a sentence, for an empty list too */
LS_MUST_USE enum ipc_rc adp_hook_networks_parse(
    const char *text, struct adp_hook_networks *out, struct ipc_error *error);

/* adp_hook_networks_has tells whether a peer is in one of them; false for other families. */
bool adp_hook_networks_has(
    const struct adp_hook_networks *networks, const struct sockaddr_storage *peer);

/* One account's path. The path itself is not kept, only its SHA-256. */
struct adp_hook_path {
    uint8_t digest[32];
    char account[2 * IPC_NAME_BYTES + 2]; /* LOGIN, number, or LOGIN@BROKER */
};

struct adp_hook_paths {
    uint32_t count;
    struct adp_hook_path *paths;
};

/* adp_hook_paths_load reads a file of lines "ACCOUNT SECRET"; '#' begins a comment. The file
 * belongs to this user or root and no other may read or write it (0400); a secret has 24 to 128
 * characters of [0-9A-Za-z_-] and occurs once.
 *   returns  IPC_OK; IPC_BAD_INPUT or IPC_SYSTEM with a sentence, which never quotes a secret */
LS_MUST_USE enum ipc_rc adp_hook_paths_load(
    const char *file, struct adp_hook_paths *out, struct ipc_error *error);
void adp_hook_paths_free(struct adp_hook_paths *paths);

/* adp_hook_paths_find compares a request's path, without its first '/', with all of them, in time
 * that depends on their number and the path's length only.
 *   returns  the index, -1 when there is none */
int adp_hook_paths_find(const struct adp_hook_paths *paths, const char *path, size_t bytes);

/* adp_hook_secret_find returns the secret of one account's line, for the registration call; "" when
 * there is none. The caller wipes it.
 *   returns  as adp_hook_paths_load */
LS_MUST_USE enum ipc_rc adp_hook_secret_find(const char *file, const char *account,
    char out[ADP_HOOK_PATH_MOST + 1], struct ipc_error *error);

#endif
