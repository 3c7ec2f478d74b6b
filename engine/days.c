#include "engine/days.h"

#include "ipc/journal_reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAYS_NAME   "days"
#define DIGEST_TEXT 64

static void hex_write(const uint8_t digest[32], char out[DIGEST_TEXT + 1])
{
    for (int i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static bool file_digest(int fd, char out[DIGEST_TEXT + 1])
{
    uint8_t digest[32];
    static const size_t chunk = 1u << 16;
    uint8_t *bytes = malloc(chunk);
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool good = bytes != NULL && hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;
    for (ssize_t got = 1; good && got > 0;) {
        got = read(fd, bytes, chunk);
        good = got >= 0 && EVP_DigestUpdate(hash, bytes, (size_t)got) == 1;
    }
    good = good && EVP_DigestFinal_ex(hash, digest, NULL) == 1;
    EVP_MD_CTX_free(hash);
    free(bytes);
    if (good)
        hex_write(digest, out);
    return good;
}

/* The last field of the last line; zeros for an empty file. */
static bool chain_last(int fd, char out[DIGEST_TEXT + 1])
{
    struct stat status;
    memset(out, '0', DIGEST_TEXT);
    out[DIGEST_TEXT] = '\0';
    if (fstat(fd, &status) != 0)
        return false;
    if (status.st_size == 0)
        return true;
    char end[DIGEST_TEXT + 1];
    if (status.st_size < (off_t)sizeof end ||
        pread(fd, end, sizeof end, status.st_size - (off_t)sizeof end) != (ssize_t)sizeof end ||
        end[DIGEST_TEXT] != '\n') {
        errno = EILSEQ;
        return false;
    }
    memcpy(out, end, DIGEST_TEXT);
    return true;
}

/* The line is on disk before the file becomes read-only: a death in between seals it again, with a
 * second line of the same content. */
static bool segment_seal(int directory_fd, int days_fd, const char *name, uint32_t day)
{
    char digest[DIGEST_TEXT + 1], before[DIGEST_TEXT + 1], chain[DIGEST_TEXT + 1];
    char said[400], line[500];
    uint8_t raw[32];
    struct stat status;
    int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool good = fd >= 0 && fstat(fd, &status) == 0 && file_digest(fd, digest) &&
                chain_last(days_fd, before);
    if (good) {
        snprintf(said, sizeof said, "%u %s %lld %s", day, name, (long long)status.st_size, digest);
        int bytes = snprintf(line, sizeof line, "%s %s", before, said);
        good = EVP_Digest(line, (size_t)bytes, raw, NULL, EVP_sha256(), NULL) == 1;
        hex_write(raw, chain);
        bytes = snprintf(line, sizeof line, "%s %s\n", said, chain);
        good = good && write(days_fd, line, (size_t)bytes) == bytes && fsync(days_fd) == 0 &&
               fchmod(fd, 0400) == 0 && fsync(fd) == 0;
    }
    int reason = errno;
    if (fd >= 0)
        close(fd);
    errno = reason;
    return good;
}

enum ipc_rc eng_days_seal(
    int directory_fd, uint64_t below_no, uint32_t day, uint32_t *sealed, struct ipc_error *error)
{
    *sealed = 0;
    struct dirent **entries = NULL;
    int list_fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int days_fd =
        openat(directory_fd, DAYS_NAME, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
    int count = list_fd >= 0 ? scandirat(directory_fd, ".", &entries, NULL, alphasort) : -1;
    bool good = days_fd >= 0 && count >= 0;
    for (int i = 0; i < count; i++) {
        struct stat status;
        uint64_t number = ipc_segment_name_parse(entries[i]->d_name);
        if (good && number != 0 && number < below_no &&
            fstatat(directory_fd, entries[i]->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode) && (status.st_mode & 0777) != 0400) {
            good = segment_seal(directory_fd, days_fd, entries[i]->d_name, day);
            *sealed += good;
        }
    }
    int reason = errno;
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    if (days_fd >= 0)
        close(days_fd);
    if (list_fd >= 0)
        close(list_fd);
    if (good)
        return IPC_OK;
    ipc_error_set(
        error, "the journal's files of day %u cannot be sealed: %s", day, strerror(reason));
    return IPC_SYSTEM;
}
