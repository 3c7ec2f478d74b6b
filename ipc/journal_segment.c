#include "ipc/journal_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT_FILE_BYTES_MAX (UINT64_C(1) << 30)

uint32_t ipc_segment_header_crc(const struct ipc_segment_header *header)
{
    struct ipc_segment_header copy;
    memcpy(&copy, header, sizeof copy);
    atomic_store_explicit(&copy.magic, IPC_JOURNAL_MAGIC, memory_order_relaxed);
    return ipc_crc32c(0, &copy, offsetof(struct ipc_segment_header, crc));
}

enum ipc_rc ipc_segment_header_check(const struct ipc_segment_header *header, uint64_t file_bytes)
{
    uint64_t magic = atomic_load_explicit(&header->magic, memory_order_relaxed);
    if (magic == 0)
        return IPC_EMPTY;
    if (magic != IPC_JOURNAL_MAGIC)
        return IPC_BAD_MAGIC;
    if (header->crc != ipc_segment_header_crc(header))
        return IPC_BAD_CRC;
    if (header->abi != IPC_ABI)
        return IPC_BAD_ABI;
    if (header->segment_bytes != file_bytes || header->segment_bytes % 4096 != 0 ||
        header->segment_no == 0 || header->first_lsn == 0)
        return IPC_BAD_SIZE;
    return IPC_OK;
}

/* The length of a frame with this payload, or 0 when no frame can have it. */
static uint32_t frame_length(uint32_t payload_bytes)
{
    if (payload_bytes > IPC_FRAME_BYTES_MAX - sizeof(struct ipc_frame))
        return 0;
    return (uint32_t)ls_align_up(sizeof(struct ipc_frame) + payload_bytes, IPC_FRAME_ALIGN);
}

uint32_t ipc_frame_check(const void *bytes, uint64_t room, uint64_t salt)
{
    if (room < sizeof(struct ipc_frame))
        return 0;
    const struct ipc_frame *frame = bytes;
    uint32_t length = frame_length(frame->payload_bytes);
    if (length == 0 || length > room || frame->lsn == 0)
        return 0;
    return frame->crc == ipc_frame_crc(frame, salt, frame->previous_crc) ? length : 0;
}

void ipc_segment_name(uint64_t segment_no, char out[IPC_SEGMENT_NAME_BYTES])
{
    snprintf(out, IPC_SEGMENT_NAME_BYTES, IPC_SEGMENT_NAME_FORMAT, (unsigned long long)segment_no);
}

uint64_t ipc_segment_name_parse(const char *name)
{
    static const char prefix[] = "segment.";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0)
        return 0;
    uint64_t segment_no = 0;
    size_t digits = 0;
    for (const char *at = name + sizeof prefix - 1; *at != '\0'; at++, digits++) {
        if (*at < '0' || *at > '9' || digits == 18)
            return 0;
        segment_no = segment_no * 10 + (uint64_t)(*at - '0');
    }
    char again[IPC_SEGMENT_NAME_BYTES];
    ipc_segment_name(segment_no, again);
    return strcmp(again, name) == 0 ? segment_no : 0; /* one spelling per number */
}

static bool header_read(struct ipc_segment *segment)
{
    if (segment->from_disk)
        return pread(segment->fd, &segment->header, sizeof segment->header, 0) ==
               (ssize_t)sizeof segment->header;
    const struct ipc_segment_header *live = (const void *)segment->mapping;
    /* Pairs with the writer's release of the magic at the start of the segment. */
    uint64_t magic = atomic_load_explicit(&live->magic, memory_order_acquire);
    memcpy(&segment->header, live, sizeof segment->header);
    if (magic == 0) /* the rest may be half written */
        atomic_store_explicit(&segment->header.magic, 0, memory_order_relaxed);
    return true;
}

static enum ipc_rc file_open(struct ipc_segment *segment, int directory_fd)
{
    char name[IPC_SEGMENT_NAME_BYTES];
    ipc_segment_name(segment->segment_no, name);
    segment->fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (segment->fd < 0)
        return errno == ENOENT ? IPC_NOT_FOUND : IPC_SYSTEM;
    struct stat status;
    if (fstat(segment->fd, &status) != 0)
        return IPC_SYSTEM;
    if (!S_ISREG(status.st_mode))
        return IPC_BAD_MAGIC;
    if (status.st_size == 0)
        return IPC_EMPTY; /* being made */
    if (status.st_size < (off_t)IPC_SEGMENT_HEADER_BYTES ||
        (uint64_t)status.st_size > SEGMENT_FILE_BYTES_MAX)
        return IPC_BAD_SIZE;
    segment->file_bytes = (uint64_t)status.st_size;
    if (segment->from_disk) {
        segment->window = malloc(IPC_SEGMENT_WINDOW_BYTES);
        return segment->window != NULL ? IPC_OK : IPC_SYSTEM;
    }
    void *mapping = mmap(NULL, segment->file_bytes, PROT_READ, MAP_SHARED, segment->fd, 0);
    if (mapping == MAP_FAILED)
        return IPC_SYSTEM;
    segment->mapping = mapping;
    return IPC_OK;
}

enum ipc_rc ipc_segment_open(
    struct ipc_segment *out, int directory_fd, bool from_disk, uint64_t segment_no, uint32_t shard)
{
    memset(out, 0, sizeof *out);
    out->fd = -1;
    if (directory_fd < 0)
        return IPC_NOT_FOUND;
    out->segment_no = segment_no;
    out->from_disk = from_disk;
    out->is_open = true;
    enum ipc_rc rc = file_open(out, directory_fd);
    if (rc == IPC_OK && !header_read(out))
        rc = IPC_SYSTEM;
    if (rc == IPC_OK)
        rc = ipc_segment_header_check(&out->header, out->file_bytes);
    if (rc == IPC_OK && (out->header.segment_no != segment_no || out->header.shard != shard))
        rc = IPC_BAD_LAYOUT;
    if (rc != IPC_OK)
        ipc_segment_close(out);
    return rc;
}

void ipc_segment_close(struct ipc_segment *segment)
{
    if (!segment->is_open)
        return;
    if (segment->mapping != NULL)
        munmap((void *)(uintptr_t)segment->mapping, segment->file_bytes);
    free(segment->window);
    if (segment->fd >= 0)
        close(segment->fd);
    memset(segment, 0, sizeof *segment);
    segment->fd = -1;
}

bool ipc_segment_unchanged(const struct ipc_segment *segment)
{
    if (segment->from_disk)
        return true;
    const struct ipc_segment_header *live = (const void *)segment->mapping;
    /* The bytes that were read before must not be judged by a header that is read before them. */
    atomic_thread_fence(memory_order_acquire);
    return memcmp(live, &segment->header, sizeof segment->header) == 0;
}

void ipc_segment_refresh(struct ipc_segment *segment)
{
    segment->window_bytes = 0;
}

/* Bytes [offset, offset + count) of the file, or NULL when they cannot be read. The caller has
 * checked that they lie inside the file; count is at most a frame. */
static const uint8_t *segment_view(struct ipc_segment *segment, uint64_t offset, uint64_t count)
{
    LS_CHECK(offset <= segment->file_bytes && count <= segment->file_bytes - offset);
    if (!segment->from_disk)
        return segment->mapping + offset;
    LS_CHECK(count <= IPC_SEGMENT_WINDOW_BYTES);
    if (offset < segment->window_offset ||
        offset + count > segment->window_offset + segment->window_bytes) {
        uint64_t want = segment->file_bytes - offset;
        if (want > IPC_SEGMENT_WINDOW_BYTES)
            want = IPC_SEGMENT_WINDOW_BYTES;
        ssize_t got = pread(segment->fd, segment->window, want, (off_t)offset);
        segment->window_offset = offset;
        segment->window_bytes = got > 0 ? (uint64_t)got : 0;
        if (count > segment->window_bytes)
            return NULL;
    }
    return segment->window + (offset - segment->window_offset);
}

/* Copies the frame at offset when it is right; returns its length or 0. The header is copied first:
 * the size is taken from the copy, since the original may change meanwhile. */
static uint32_t frame_copy(struct ipc_segment *segment, uint64_t offset, struct ipc_frame *copy)
{
    uint64_t room = segment->file_bytes - offset;
    const uint8_t *view = segment_view(segment, offset, sizeof *copy);
    if (view == NULL)
        return 0;
    memcpy(copy, view, sizeof *copy);
    uint32_t length = frame_length(copy->payload_bytes);
    if (length == 0 || length > room || copy->lsn == 0)
        return 0;
    view = segment_view(segment, offset, length);
    if (view == NULL)
        return 0;
    memcpy(copy + 1, view + sizeof *copy, length - sizeof *copy);
    return ipc_frame_check(copy, length, segment->header.salt);
}

enum ipc_segment_place ipc_segment_look(
    struct ipc_segment *segment, uint64_t offset, struct ipc_frame *copy)
{
    if (offset + sizeof(struct ipc_frame) > segment->file_bytes)
        return IPC_PLACE_EMPTY;
    const struct ipc_frame *view = (const void *)segment_view(segment, offset, sizeof *view);
    if (view == NULL)
        return IPC_PLACE_BAD;
    /* Pairs with the release of eng_journal_commit: what is copied after it is the whole frame. */
    uint32_t committed = atomic_load_explicit(&view->length, memory_order_acquire);
    uint32_t length = frame_copy(segment, offset, copy);
    atomic_store_explicit(&copy->length, committed, memory_order_relaxed);
    if (committed == 0)
        return length != 0 ? IPC_PLACE_UNCOMMITTED : IPC_PLACE_EMPTY;
    return length == committed ? IPC_PLACE_FRAME : IPC_PLACE_BAD;
}

uint64_t ipc_segment_scan(
    struct ipc_segment *segment, uint64_t offset, uint64_t low_lsn, struct ipc_frame *copy)
{
    for (uint64_t at = offset + IPC_FRAME_ALIGN; at + sizeof *copy <= segment->file_bytes;
         at += IPC_FRAME_ALIGN) {
        const struct ipc_frame *view = (const void *)segment_view(segment, at, sizeof *view);
        if (view == NULL)
            continue; /* an unreadable place of the disk; what is behind it may be readable */
        if (view->lsn >= low_lsn && frame_copy(segment, at, copy) != 0 && copy->lsn >= low_lsn)
            return at;
    }
    return 0;
}

uint64_t ipc_segment_used_end(struct ipc_segment *segment, uint64_t offset)
{
    static const uint8_t zeros[IPC_FRAME_ALIGN];
    uint64_t end = offset;
    for (uint64_t at = offset; at + IPC_FRAME_ALIGN <= segment->file_bytes; at += IPC_FRAME_ALIGN) {
        const uint8_t *view = segment_view(segment, at, IPC_FRAME_ALIGN);
        if (view == NULL || memcmp(view, zeros, IPC_FRAME_ALIGN) != 0)
            end = at + IPC_FRAME_ALIGN;
    }
    return end;
}
