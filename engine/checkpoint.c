#include "engine/checkpoint.h"

#include "ipc/journal_format.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECKPOINT_MAGIC UINT64_C(0x3154504b43534c) /* "LSCKPT1" */
#define PAGE_BYTES       4096u
#define RUN_PAGES_MAX    256u /* 1 MiB between two CRCs */
#define UNFINISHED_NAME  "checkpoint.unfinished"

/* The file: one header page, then runs, each a head and its pages. */
struct file_header {
    uint64_t magic;
    uint32_t abi;
    uint32_t reserved;
    struct eng_checkpoint_about about;
    uint64_t file_bytes;
    uint64_t run_count;
    uint32_t reserved4;
    uint32_t crc; /* CRC32C of what stands before it */
};
_Static_assert(sizeof(struct file_header) <= PAGE_BYTES, "one page");
_Static_assert(sizeof(struct file_header) == 16 + sizeof(struct eng_checkpoint_about) + 24,
    "no padding: it is checked bytewise");

struct run_head {
    uint64_t first_page;
    uint32_t page_count; /* [1, RUN_PAGES_MAX] */
    uint32_t crc;        /* over first_page, page_count and the pages */
};

static void name_write(uint64_t lsn, char out[ENG_CHECKPOINT_NAME_BYTES])
{
    snprintf(out, ENG_CHECKPOINT_NAME_BYTES, ENG_CHECKPOINT_NAME_FORMAT, (unsigned long long)lsn);
}

static uint64_t name_parse(const char *name)
{
    static const char prefix[] = "checkpoint.";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0)
        return 0;
    char again[ENG_CHECKPOINT_NAME_BYTES];
    uint64_t lsn = strtoull(name + sizeof prefix - 1, NULL, 10);
    name_write(lsn, again);
    return strcmp(again, name) == 0 ? lsn : 0;
}

static uint32_t run_crc(const struct run_head *head, const void *pages)
{
    uint32_t crc = ipc_crc32c(0, head, offsetof(struct run_head, crc));
    return ipc_crc32c(crc, pages, (size_t)head->page_count * PAGE_BYTES);
}

static uint32_t header_crc(const struct file_header *header)
{
    return ipc_crc32c(0, header, offsetof(struct file_header, crc));
}

uint32_t eng_checkpoint_list(int directory_fd, uint64_t *lsns, uint32_t max)
{
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    if (directory == NULL) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    uint32_t count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        uint64_t lsn = name_parse(entry->d_name);
        if (lsn == 0)
            continue;
        /* Kept in descending order; what does not fit is older than all that do. */
        uint32_t at = count < max ? count++ : max;
        for (; at > 0 && lsns[at - 1] < lsn; at--)
            if (at < max)
                lsns[at] = lsns[at - 1];
        if (at < max)
            lsns[at] = lsn;
    }
    closedir(directory);
    return count;
}

/* --- writing --- */

static bool bytes_write(int fd, const void *bytes, size_t count, uint64_t *offset)
{
    const uint8_t *at = bytes;
    while (count > 0) {
        ssize_t some = pwrite(fd, at, count, (off_t)*offset);
        if (some < 0 && errno == EINTR)
            continue;
        if (some <= 0) {
            if (some == 0)
                errno = ENOSPC;
            return false;
        }
        at += some;
        count -= (size_t)some;
        *offset += (uint64_t)some;
    }
    return true;
}

static bool page_is_zero(const uint8_t *page)
{
    /* A page equal to itself moved by one byte has one value all through. */
    return page[0] == 0 && memcmp(page, page + 1, PAGE_BYTES - 1) == 0;
}

static bool runs_write(int fd, const uint8_t *block, struct file_header *header)
{
    uint64_t page_count = header->about.block_bytes / PAGE_BYTES, offset = PAGE_BYTES;
    for (uint64_t page = 0; page < page_count;) {
        if (page_is_zero(block + page * PAGE_BYTES)) {
            page++;
            continue;
        }
        struct run_head head = {.first_page = page};
        while (page < page_count && head.page_count < RUN_PAGES_MAX &&
               !page_is_zero(block + page * PAGE_BYTES)) {
            head.page_count++;
            page++;
        }
        const uint8_t *pages = block + head.first_page * PAGE_BYTES;
        head.crc = run_crc(&head, pages);
        if (!bytes_write(fd, &head, sizeof head, &offset) ||
            !bytes_write(fd, pages, (size_t)head.page_count * PAGE_BYTES, &offset))
            return false;
        header->run_count++;
    }
    header->file_bytes = offset;
    return true;
}

static bool file_write(int fd, const struct eng_checkpoint_about *about, const void *block)
{
    struct {
        struct file_header header;
        uint8_t rest[PAGE_BYTES - sizeof(struct file_header)];
    } page = {.header = {.magic = CHECKPOINT_MAGIC, .abi = IPC_ABI, .about = *about}};
    uint64_t offset = 0;
    if (!runs_write(fd, block, &page.header))
        return false;
    page.header.crc = header_crc(&page.header);
    return bytes_write(fd, &page, sizeof page, &offset) && fchmod(fd, 0440) == 0 && fsync(fd) == 0;
}

enum ipc_rc eng_checkpoint_write(int directory_fd, const struct eng_checkpoint_about *about,
    const void *block, struct ipc_error *error)
{
    LS_CHECK(about->lsn > 0 && about->block_bytes % PAGE_BYTES == 0);
    char name[ENG_CHECKPOINT_NAME_BYTES];
    name_write(about->lsn, name);
    (void)unlinkat(directory_fd, UNFINISHED_NAME, 0);
    int fd = openat(
        directory_fd, UNFINISHED_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    bool good = fd >= 0 && file_write(fd, about, block);
    int reason = errno;
    if (fd >= 0 && close(fd) != 0 && good) {
        reason = errno;
        good = false;
    }
    if (good && (renameat(directory_fd, UNFINISHED_NAME, directory_fd, name) != 0 ||
                    fsync(directory_fd) != 0)) {
        reason = errno;
        good = false;
    }
    if (good)
        return IPC_OK;
    (void)unlinkat(directory_fd, UNFINISHED_NAME, 0);
    ipc_error_set(error, "the checkpoint of lsn %llu cannot be written: %s",
        (unsigned long long)about->lsn, strerror(reason));
    return IPC_SYSTEM;
}

/* --- reading --- */

static bool bytes_read(int fd, void *bytes, size_t count, uint64_t *offset)
{
    uint8_t *at = bytes;
    while (count > 0) {
        ssize_t some = pread(fd, at, count, (off_t)*offset);
        if (some < 0 && errno == EINTR)
            continue;
        if (some <= 0)
            return false;
        at += some;
        count -= (size_t)some;
        *offset += (uint64_t)some;
    }
    return true;
}

/* Opens a checkpoint and checks its header.
 *   returns IPC_OK with *fd to be closed */
static enum ipc_rc file_open(int directory_fd, uint64_t lsn, int *fd, struct file_header *header)
{
    char name[ENG_CHECKPOINT_NAME_BYTES];
    struct stat status;
    uint64_t offset = 0;
    name_write(lsn, name);
    *fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*fd < 0)
        return IPC_NOT_FOUND;
    enum ipc_rc rc = IPC_OK;
    if (fstat(*fd, &status) != 0 || !S_ISREG(status.st_mode) ||
        !bytes_read(*fd, header, sizeof *header, &offset))
        rc = IPC_BAD_SIZE;
    else if (header->magic != CHECKPOINT_MAGIC)
        rc = IPC_BAD_MAGIC;
    else if (header->crc != header_crc(header))
        rc = IPC_BAD_CRC;
    else if (header->file_bytes != (uint64_t)status.st_size || header->about.lsn != lsn ||
             header->about.block_bytes % PAGE_BYTES != 0)
        rc = IPC_BAD_SIZE;
    if (rc != IPC_OK)
        close(*fd);
    return rc;
}

enum ipc_rc eng_checkpoint_look(int directory_fd, uint64_t lsn, struct eng_checkpoint_about *out)
{
    struct file_header header;
    int fd;
    enum ipc_rc rc = file_open(directory_fd, lsn, &fd, &header);
    if (rc != IPC_OK)
        return rc;
    close(fd);
    *out = header.about;
    return IPC_OK;
}

static void pages_zero(uint8_t *block, uint64_t from, uint64_t to)
{
    /* Looked at first: a page of a fresh mapping that is only read takes no memory. */
    for (; from < to; from++)
        if (!page_is_zero(block + from * PAGE_BYTES))
            memset(block + from * PAGE_BYTES, 0, PAGE_BYTES);
}

static enum ipc_rc runs_read(int fd, const struct file_header *header, uint8_t *block)
{
    uint64_t page_count = header->about.block_bytes / PAGE_BYTES, next = 0, offset = PAGE_BYTES;
    for (uint64_t i = 0; i < header->run_count; i++) {
        struct run_head head;
        if (!bytes_read(fd, &head, sizeof head, &offset))
            return IPC_BAD_SIZE;
        if (head.first_page < next || head.page_count == 0 || head.page_count > RUN_PAGES_MAX ||
            head.first_page > page_count || head.page_count > page_count - head.first_page)
            return IPC_BAD_CRC;
        uint8_t *pages = block + head.first_page * PAGE_BYTES;
        if (!bytes_read(fd, pages, (size_t)head.page_count * PAGE_BYTES, &offset))
            return IPC_BAD_SIZE;
        if (run_crc(&head, pages) != head.crc)
            return IPC_BAD_CRC;
        pages_zero(block, next, head.first_page);
        next = head.first_page + head.page_count;
    }
    pages_zero(block, next, page_count);
    return offset == header->file_bytes ? IPC_OK : IPC_BAD_SIZE;
}

enum ipc_rc eng_checkpoint_read(
    int directory_fd, const struct eng_checkpoint_about *about, void *block)
{
    struct file_header header;
    int fd;
    enum ipc_rc rc = file_open(directory_fd, about->lsn, &fd, &header);
    if (rc != IPC_OK)
        return rc;
    rc = memcmp(&header.about, about, sizeof *about) == 0 ? runs_read(fd, &header, block)
                                                          : IPC_BAD_CRC;
    close(fd);
    return rc;
}

void eng_checkpoint_prune(int directory_fd, uint32_t kept)
{
    uint64_t lsns[64];
    char name[ENG_CHECKPOINT_NAME_BYTES];
    uint32_t count = eng_checkpoint_list(directory_fd, lsns, LS_COUNT_OF(lsns));
    for (uint32_t i = kept; i < count; i++) {
        name_write(lsns[i], name);
        (void)unlinkat(directory_fd, name, 0);
    }
}
