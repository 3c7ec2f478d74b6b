/* seal.h: broker tokens travel sealed (AES-256-GCM) and are opened only into secret memory.
 *
 * The key is 32 bytes in a file of mode 0400 that belongs to the service user. Each seal takes a
 * fresh random 96-bit nonce. Bound to the ciphertext (AAD): cluster id, account number and token
 * version, so a sealed token moved to another account, version or cluster does not open. */
#ifndef LS_IPC_SEAL_H
#define LS_IPC_SEAL_H

#include "ipc/base.h"
#include "ipc/rc.h"
#include "ipc/secret.h"

#define IPC_SEAL_KEY_BYTES      32u

/* Sealed form: version byte 1, three zero bytes, nonce [12], ciphertext, tag [16]. */
#define IPC_SEAL_OVERHEAD_BYTES 32u
#define IPC_SEAL_PLAIN_MAX      4096u

struct ipc_seal_key; /* 32 bytes in secret memory, and nothing that can print them */

/* What a token is bound to. */
struct ipc_seal_binding {
    char cluster_id[64]; /* NUL-padded */
    uint32_t account;
    uint64_t token_version;
};

/* ipc_seal_key_load reads the key into `arena`.
 *   returns  IPC_OK; IPC_NOT_FOUND; IPC_REFUSED the file is a link, not a regular file, not ours,
 *            not mode 0400, or not 32 bytes (the sentence says which and what to do);
 *            IPC_SYSTEM; IPC_FULL the arena has no room
 *   ownership the arena's */
LS_MUST_USE enum ipc_rc ipc_seal_key_load(struct ipc_secret_arena *arena, const char *path,
    struct ipc_seal_key **key, struct ipc_error *error);

/* ipc_seal_key_create writes a new random key file, mode 0400, complete or not at all.
 *   returns  IPC_OK; IPC_EXISTS a file is there, it is left alone; IPC_SYSTEM */
LS_MUST_USE enum ipc_rc ipc_seal_key_create(const char *path, struct ipc_error *error);

/* ipc_seal seals `plain_bytes` bytes into `out`, IPC_SEAL_OVERHEAD_BYTES longer.
 *   returns  IPC_OK; IPC_TOO_LONG plain above IPC_SEAL_PLAIN_MAX or out too small; IPC_BAD_INPUT
 *            nothing to seal; IPC_SYSTEM no randomness or the library failed */
LS_MUST_USE enum ipc_rc ipc_seal(const struct ipc_seal_key *key,
    const struct ipc_seal_binding *binding, const void *plain, size_t plain_bytes, void *out,
    size_t out_capacity, size_t *out_bytes);

/* ipc_seal_open opens a sealed token into secret memory.
 *   plain    capacity bytes of an ipc_secret arena (anything else is a bug: LS_CHECK); wiped when
 *            opening fails
 *   returns  IPC_OK; IPC_BAD_CRC not authentic: another key, binding or changed bytes;
 *            IPC_BAD_LAYOUT not a sealed form; IPC_TOO_LONG */
LS_MUST_USE enum ipc_rc ipc_seal_open(const struct ipc_seal_key *key,
    const struct ipc_seal_binding *binding, const void *sealed, size_t sealed_bytes, void *plain,
    size_t capacity, size_t *plain_bytes);

#endif
