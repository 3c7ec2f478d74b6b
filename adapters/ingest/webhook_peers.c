#include "adapters/ingest/webhook_peers.h"

#include "ipc/secret.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MOST (1u << 20)

/* Networks. */

static void map_ipv4(const uint8_t from[4], uint8_t out[16])
{
    memset(out, 0, 10);
    out[10] = out[11] = 0xff;
    memcpy(out + 12, from, 4);
}

static bool parse_network(char *word, uint8_t address[16], uint8_t *bits)
{
    uint8_t ipv4[4];
    char *slash = strchr(word, '/'), *end = NULL;
    long prefix = -1;
    if (slash != NULL) {
        *slash = '\0';
        errno = 0;
        prefix = strtol(slash + 1, &end, 10);
        if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || errno != 0)
            return false;
    }
    if (inet_pton(AF_INET, word, ipv4) == 1) {
        map_ipv4(ipv4, address);
        if (prefix > 32)
            return false;
        *bits = (uint8_t)(96 + (slash == NULL ? 32 : prefix));
        return true;
    }
    if (inet_pton(AF_INET6, word, address) != 1 || prefix > 128)
        return false;
    *bits = (uint8_t)(slash == NULL ? 128 : prefix);
    return true;
}

enum ipc_rc adp_hook_networks_parse(
    const char *text, struct adp_hook_networks *out, struct ipc_error *error)
{
    char copy[512], *rest = copy, *word;
    memset(out, 0, sizeof(*out));
    if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy)) {
        ipc_error_set(error, "hook_allow is longer than %zu characters", sizeof(copy) - 1);
        return IPC_BAD_INPUT;
    }
    while ((word = strsep(&rest, " ,\t")) != NULL) {
        char shown[64];
        if (word[0] == '\0')
            continue;
        (void)snprintf(shown, sizeof(shown), "%.60s", word);
        if (out->count == ADP_HOOK_NETWORKS ||
            !parse_network(
                word, out->networks[out->count].address, &out->networks[out->count].bits)) {
            ipc_error_set(error,
                "hook_allow: '%s' is no address and no network (10.0.0.0/8), or there are more "
                "than %u",
                shown, ADP_HOOK_NETWORKS);
            return IPC_BAD_INPUT;
        }
        out->count++;
    }
    if (out->count == 0) {
        ipc_error_set(error, "hook_allow is empty: nobody could post; name the broker's addresses");
        return IPC_BAD_INPUT;
    }
    return IPC_OK;
}

static bool is_inside(const uint8_t address[16], const uint8_t network[16], uint8_t bits)
{
    const size_t whole = bits / 8u;
    if (memcmp(address, network, whole) != 0)
        return false;
    const uint8_t mask = (uint8_t)(0xff00u >> (bits % 8u));
    return bits % 8u == 0 || ((address[whole] ^ network[whole]) & mask) == 0;
}

bool adp_hook_networks_has(
    const struct adp_hook_networks *networks, const struct sockaddr_storage *peer)
{
    uint8_t address[16];
    if (peer->ss_family == AF_INET)
        map_ipv4((const uint8_t *)&((const struct sockaddr_in *)peer)->sin_addr, address);
    else if (peer->ss_family == AF_INET6)
        memcpy(address, &((const struct sockaddr_in6 *)peer)->sin6_addr, sizeof(address));
    else
        return false;
    for (uint32_t i = 0; i < networks->count; i++)
        if (is_inside(address, networks->networks[i].address, networks->networks[i].bits))
            return true;
    return false;
}

/* Paths. */

static bool is_secret(const char *word, size_t bytes)
{
    if (bytes < ADP_HOOK_PATH_LEAST || bytes > ADP_HOOK_PATH_MOST)
        return false;
    return strspn(word, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-") ==
           bytes;
}

/* The file's text, NUL-terminated, in memory that the caller wipes and frees. */
static enum ipc_rc read_secret_file(
    const char *file, char **text, size_t *bytes, struct ipc_error *error)
{
    struct stat about;
    const int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    *text = NULL;
    if (fd < 0 || fstat(fd, &about) != 0) {
        ipc_error_set(error, "the webhook's paths %s cannot be read: %s", file, strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return IPC_SYSTEM;
    }
    if (!S_ISREG(about.st_mode) || (about.st_mode & 0377) != 0 ||
        (about.st_uid != geteuid() && about.st_uid != 0) || about.st_size > FILE_BYTES_MOST) {
        ipc_error_set(error,
            "%s holds secrets: it must be a file of this user or root with mode 0400 (chmod 0400), "
            "below 1 MiB",
            file);
        (void)close(fd);
        return IPC_BAD_INPUT;
    }
    char *read_text = calloc(1, (size_t)about.st_size + 1);
    LS_CHECK(read_text != NULL);
    const ssize_t got = read(fd, read_text, (size_t)about.st_size);
    (void)close(fd);
    *bytes = (size_t)about.st_size;
    *text = read_text;
    if (got == about.st_size)
        return IPC_OK;
    ipc_error_set(error, "the webhook's paths %s cannot be read whole", file);
    return IPC_SYSTEM;
}

/* One line "ACCOUNT SECRET"; both words empty for a line without any. */
static bool split_line(char *line, char **account, char **secret)
{
    char *rest = line, *word;
    *account = *secret = NULL;
    line[strcspn(line, "#\r")] = '\0';
    while ((word = strsep(&rest, " \t")) != NULL) {
        if (word[0] == '\0')
            continue;
        if (*account == NULL)
            *account = word;
        else if (*secret == NULL)
            *secret = word;
        else
            return false;
    }
    return *account == NULL || *secret != NULL;
}

typedef enum ipc_rc (*line_fn)(
    const char *account, const char *secret, void *context, struct ipc_error *error);

static enum ipc_rc each_line(const char *file, line_fn take, void *context, struct ipc_error *error)
{
    char *text = NULL, *account, *secret;
    size_t bytes = 0;
    unsigned number = 0;
    enum ipc_rc rc = read_secret_file(file, &text, &bytes, error);
    char *rest = text, *line;
    while (rc == IPC_OK && (line = strsep(&rest, "\n")) != NULL) {
        struct ipc_error why = {.text = ""};
        number++;
        const bool is_good = split_line(line, &account, &secret);
        if (is_good && account == NULL)
            continue;
        if (!is_good || !is_secret(secret, strlen(secret)))
            ipc_error_set(&why, "write ACCOUNT SECRET, the secret %u to %u of [0-9A-Za-z_-]",
                ADP_HOOK_PATH_LEAST, ADP_HOOK_PATH_MOST);
        rc = why.text[0] != '\0' ? IPC_BAD_INPUT : take(account, secret, context, &why);
        if (rc != IPC_OK)
            ipc_error_set(error, "%s:%u: %s", file, number, why.text);
    }
    if (text != NULL)
        ipc_secret_wipe(text, bytes);
    free(text);
    return rc;
}

static enum ipc_rc add_path(
    const char *account, const char *secret, void *context, struct ipc_error *error)
{
    struct adp_hook_paths *paths = context;
    struct adp_hook_path *path = &paths->paths[paths->count];
    if (paths->count == ADP_HOOK_PATHS_MAX || strlen(account) >= sizeof(path->account)) {
        ipc_error_set(
            error, "more than %u paths, or an account's name is too long", ADP_HOOK_PATHS_MAX);
        return IPC_BAD_INPUT;
    }
    (void)SHA256((const unsigned char *)secret, strlen(secret), path->digest);
    for (uint32_t i = 0; i < paths->count; i++) {
        if (CRYPTO_memcmp(paths->paths[i].digest, path->digest, sizeof(path->digest)) == 0) {
            ipc_error_set(error, "the same secret twice: one path is one account's");
            return IPC_BAD_INPUT;
        }
    }
    (void)snprintf(path->account, sizeof(path->account), "%s", account);
    paths->count++;
    return IPC_OK;
}

enum ipc_rc adp_hook_paths_load(
    const char *file, struct adp_hook_paths *out, struct ipc_error *error)
{
    *out = (struct adp_hook_paths){.count = 0};
    if (file[0] == '\0') {
        ipc_error_set(error,
            "hook_paths is not set: it names the file with a secret path per account (mode 0400)");
        return IPC_BAD_INPUT;
    }
    out->paths = calloc(ADP_HOOK_PATHS_MAX + 1, sizeof(*out->paths));
    LS_CHECK(out->paths != NULL);
    enum ipc_rc rc = each_line(file, add_path, out, error);
    if (rc == IPC_OK && out->count == 0) {
        ipc_error_set(error, "%s has no path", file);
        rc = IPC_BAD_INPUT;
    }
    if (rc != IPC_OK)
        adp_hook_paths_free(out);
    return rc;
}

void adp_hook_paths_free(struct adp_hook_paths *paths)
{
    free(paths->paths);
    *paths = (struct adp_hook_paths){.count = 0};
}

int adp_hook_paths_find(const struct adp_hook_paths *paths, const char *path, size_t bytes)
{
    uint8_t digest[32];
    int found = -1;
    (void)SHA256((const unsigned char *)path, bytes, digest);
    for (uint32_t i = 0; i < paths->count; i++)
        if (CRYPTO_memcmp(paths->paths[i].digest, digest, sizeof(digest)) == 0)
            found = (int)i;
    return found;
}

struct wanted {
    const char *account;
    char *out;
};

static enum ipc_rc take_wanted(
    const char *account, const char *secret, void *context, struct ipc_error *error)
{
    const struct wanted *wanted = context;
    (void)error;
    if (strcmp(account, wanted->account) == 0)
        (void)snprintf(wanted->out, ADP_HOOK_PATH_MOST + 1, "%s", secret);
    return IPC_OK;
}

enum ipc_rc adp_hook_secret_find(const char *file, const char *account,
    char out[ADP_HOOK_PATH_MOST + 1], struct ipc_error *error)
{
    struct wanted wanted = {.account = account, .out = out};
    out[0] = '\0';
    return each_line(file, take_wanted, &wanted, error);
}
