/* seal.c: see seal.h. OpenSSL does the cipher; this file does the key file, the nonce and the
 * binding. */
#include "ipc/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#define NONCE_BYTES  12
#define TAG_BYTES    16
#define HEADER_BYTES 4
#define SEAL_VERSION 1

_Static_assert(
    HEADER_BYTES + NONCE_BYTES + TAG_BYTES == IPC_SEAL_OVERHEAD_BYTES, "parts of the sealed form");

struct ipc_seal_key {
    uint8_t bytes[IPC_SEAL_KEY_BYTES];
};

/* What is authenticated beside the ciphertext: fixed layout, little-endian. */
struct seal_aad {
    char domain[16];
    char cluster_id[64];
    uint64_t token_version;
    uint32_t account;
    uint32_t form;
};
_Static_assert(sizeof(struct seal_aad) == 96, "no padding in the authenticated data");

static struct seal_aad aad_of(const struct ipc_seal_binding *binding)
{
    struct seal_aad aad = {.domain = "lockstep token",
        .token_version = binding->token_version,
        .account = binding->account,
        .form = SEAL_VERSION};
    memcpy(aad.cluster_id, binding->cluster_id, sizeof(aad.cluster_id));
    return aad;
}

/* ---- the key file ---------------------------------------------------------------------------- */

static enum ipc_rc refuse_file(const char *path, const struct stat *found, struct ipc_error *error)
{
    if (!S_ISREG(found->st_mode)) {
        ipc_error_set(error, "key file %s is not a regular file", path);
        return IPC_REFUSED;
    }
    if (found->st_uid != geteuid()) {
        ipc_error_set(error, "key file %s belongs to user %u, not to %u; chown it", path,
            (unsigned)found->st_uid, (unsigned)geteuid());
        return IPC_REFUSED;
    }
    if ((found->st_mode & 07777) != 0400) {
        ipc_error_set(error, "key file %s has mode %04o; it must be 0400 (chmod 0400)", path,
            (unsigned)(found->st_mode & 07777));
        return IPC_REFUSED;
    }
    if (found->st_size != IPC_SEAL_KEY_BYTES) {
        ipc_error_set(error, "key file %s has %lld bytes; it must have %u", path,
            (long long)found->st_size, IPC_SEAL_KEY_BYTES);
        return IPC_REFUSED;
    }
    return IPC_OK;
}

enum ipc_rc ipc_seal_key_load(struct ipc_secret_arena *arena, const char *path,
    struct ipc_seal_key **key, struct ipc_error *error)
{
    /* O_NONBLOCK: opening a pipe somebody put there must not hang; it is refused below. */
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        int saved = errno;
        if (saved == ENOENT) {
            ipc_error_set(error, "there is no key file %s; make one before sealing tokens", path);
            return IPC_NOT_FOUND;
        }
        if (saved == ELOOP) {
            ipc_error_set(error, "key file %s is a symbolic link; give the file itself", path);
            return IPC_REFUSED;
        }
        ipc_error_set(error, "cannot open key file %s: %s", path, strerror(saved));
        return IPC_SYSTEM;
    }
    struct stat found;
    enum ipc_rc rc;
    struct ipc_seal_key *made = NULL;
    if (fstat(fd, &found) != 0) {
        ipc_error_set(error, "cannot look at key file %s: %s", path, strerror(errno));
        rc = IPC_SYSTEM;
        goto done;
    }
    rc = refuse_file(path, &found, error);
    if (rc != IPC_OK)
        goto done;
    made = ipc_secret_alloc(arena, sizeof(*made));
    if (!made) {
        ipc_error_set(error, "no room for the key of %s in secret memory", path);
        rc = IPC_FULL;
        goto done;
    }
    /* Straight into secret memory: no buffer in between keeps a copy. */
    ssize_t got = read(fd, made->bytes, sizeof(made->bytes));
    if (got != (ssize_t)sizeof(made->bytes)) {
        ipc_secret_wipe(made, sizeof(*made));
        ipc_error_set(error, "cannot read key file %s: %s", path,
            got < 0 ? strerror(errno) : "it is shorter than it was");
        rc = IPC_SYSTEM;
        goto done;
    }
    *key = made;
done:
    (void)close(fd);
    return rc;
}

/* Writes the key to an open temporary file; false with errno. */
static bool write_key(int fd)
{
    uint8_t bytes[IPC_SEAL_KEY_BYTES];
    bool written = getrandom(bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes) &&
                   write(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes) &&
                   fchmod(fd, 0400) == 0 && fsync(fd) == 0;
    ipc_secret_wipe(bytes, sizeof(bytes));
    return written;
}

enum ipc_rc ipc_seal_key_create(const char *path, struct ipc_error *error)
{
    char temporary[4096];
    int length = snprintf(temporary, sizeof(temporary), "%s.%ld.new", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof(temporary)) {
        ipc_error_set(error, "the key file's path is too long");
        return IPC_BAD_INPUT;
    }
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
    if (fd < 0) {
        ipc_error_set(error, "cannot make key file %s: %s", temporary, strerror(errno));
        return IPC_SYSTEM;
    }
    enum ipc_rc rc = IPC_OK;
    if (!write_key(fd)) {
        ipc_error_set(error, "cannot write key file %s: %s", temporary, strerror(errno));
        rc = IPC_SYSTEM;
    } else if (link(temporary, path) != 0) {
        /* link, not rename: a key that is there already seals tokens that would be lost. */
        rc = errno == EEXIST ? IPC_EXISTS : IPC_SYSTEM;
        ipc_error_set(error,
            rc == IPC_EXISTS ? "key file %s exists and was left alone (%s)"
                             : "cannot make key file %s: %s",
            path, strerror(errno));
    }
    (void)close(fd);
    (void)unlink(temporary);
    return rc;
}

/* ---- sealing --------------------------------------------------------------------------------- */

enum ipc_rc ipc_seal(const struct ipc_seal_key *key, const struct ipc_seal_binding *binding,
    const void *plain, size_t plain_bytes, void *out, size_t out_capacity, size_t *out_bytes)
{
    if (plain_bytes == 0)
        return IPC_BAD_INPUT;
    if (plain_bytes > IPC_SEAL_PLAIN_MAX || out_capacity < plain_bytes + IPC_SEAL_OVERHEAD_BYTES)
        return IPC_TOO_LONG;
    uint8_t *header = out;
    uint8_t *nonce = header + HEADER_BYTES;
    uint8_t *body = nonce + NONCE_BYTES;
    uint8_t *tag = body + plain_bytes;
    memset(header, 0, HEADER_BYTES);
    header[0] = SEAL_VERSION;
    /* Random, not counted: writers come and go and share no counter. 2^32 seals under one key
     * keep the chance of an equal nonce below 2^-32 (NIST SP 800-38D, 8.3). */
    if (getrandom(nonce, NONCE_BYTES, 0) != NONCE_BYTES)
        return IPC_SYSTEM;
    struct seal_aad aad = aad_of(binding);
    int length = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool sealed =
        context && EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key->bytes, nonce) == 1 &&
        EVP_EncryptUpdate(context, NULL, &length, (const uint8_t *)&aad, (int)sizeof(aad)) == 1 &&
        EVP_EncryptUpdate(context, body, &length, plain, (int)plain_bytes) == 1 &&
        length == (int)plain_bytes && EVP_EncryptFinal_ex(context, tag, &length) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) == 1;
    EVP_CIPHER_CTX_free(context);
    if (!sealed) {
        ipc_secret_wipe(out, plain_bytes + IPC_SEAL_OVERHEAD_BYTES);
        return IPC_SYSTEM;
    }
    *out_bytes = plain_bytes + IPC_SEAL_OVERHEAD_BYTES;
    return IPC_OK;
}

enum ipc_rc ipc_seal_open(const struct ipc_seal_key *key, const struct ipc_seal_binding *binding,
    const void *sealed, size_t sealed_bytes, void *plain, size_t capacity, size_t *plain_bytes)
{
    LS_CHECK(ipc_secret_holds(plain, capacity));
    const uint8_t *header = sealed;
    if (sealed_bytes <= IPC_SEAL_OVERHEAD_BYTES || header[0] != SEAL_VERSION || header[1] != 0 ||
        header[2] != 0 || header[3] != 0)
        return IPC_BAD_LAYOUT;
    size_t bytes = sealed_bytes - IPC_SEAL_OVERHEAD_BYTES;
    if (bytes > IPC_SEAL_PLAIN_MAX || bytes > capacity)
        return IPC_TOO_LONG;
    const uint8_t *nonce = header + HEADER_BYTES;
    const uint8_t *body = nonce + NONCE_BYTES;
    uint8_t tag[TAG_BYTES];
    memcpy(tag, body + bytes, sizeof(tag));
    struct seal_aad aad = aad_of(binding);
    int length = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool begun =
        context && EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key->bytes, nonce) == 1 &&
        EVP_DecryptUpdate(context, NULL, &length, (const uint8_t *)&aad, (int)sizeof(aad)) == 1;
    bool authentic = begun && EVP_DecryptUpdate(context, plain, &length, body, (int)bytes) == 1 &&
                     length == (int)bytes &&
                     EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1 &&
                     EVP_DecryptFinal_ex(context, tag, &length) == 1;
    EVP_CIPHER_CTX_free(context); /* wipes the key schedule */
    if (!authentic) {
        ipc_secret_wipe(plain, bytes);
        return begun ? IPC_BAD_CRC : IPC_SYSTEM;
    }
    *plain_bytes = bytes;
    return IPC_OK;
}
