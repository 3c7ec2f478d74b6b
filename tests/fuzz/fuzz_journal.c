/* fuzz_journal: a journal's segment of any bytes, read to its end and rendered. What must hold: no
 * fault, an end in bounded steps, lsns that go up, frames inside their segment.
 *
 * The first byte's bits choose how much is made right, so that the input gets behind the checksums:
 *   1 the header is sealed   2 frames are sealed and chained as far as their sizes go
 *   4 read in another boot   8 take_complete   16 accept_corrupt   32 also as a disk file
 * Then 96 bytes of header, then frames from offset 4096 on. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/journal_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRAMES_MAX (64u * 1024u)

static char base[64], memory[96], disk[96];
static _Alignas(64) uint8_t bytes[IPC_SEGMENT_HEADER_BYTES + FRAMES_MAX];
static char text_bytes[IPC_JOURNAL_TEXT_BYTES];

static void directories_remove(void)
{
    char path[256];
    const char *parents[] = {memory, disk};
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/journal.0/segment.0000000001", parents[i]);
        unlink(path);
        snprintf(path, sizeof path, "%s/journal.0", parents[i]);
        rmdir(path);
        rmdir(parents[i]);
    }
    rmdir(base);
}

static void directories_make(void)
{
    snprintf(base, sizeof base, "/dev/shm/lockstep-fuzz-XXXXXX");
    if (mkdtemp(base) == NULL)
        abort();
    snprintf(memory, sizeof memory, "%s/memory", base);
    snprintf(disk, sizeof disk, "%s/disk", base);
    const char *parents[] = {memory, disk};
    for (int i = 0; i < 2; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/journal.0", parents[i]);
        if (mkdir(parents[i], 0700) != 0 || mkdir(path, 0700) != 0)
            abort();
    }
    atexit(directories_remove);
}

static void file_put(const char *parent, size_t count)
{
    char path[256];
    snprintf(path, sizeof path, "%s/journal.0/segment.0000000001", parent);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, count) != (ssize_t)count)
        abort();
    close(fd);
}

static void file_remove(const char *parent)
{
    char path[256];
    snprintf(path, sizeof path, "%s/journal.0/segment.0000000001", parent);
    unlink(path);
}

static void header_seal(uint64_t count)
{
    struct ipc_segment_header *header = (struct ipc_segment_header *)bytes;
    header->magic = IPC_JOURNAL_MAGIC;
    header->abi = IPC_ABI;
    header->shard = 0;
    header->segment_no = 1;
    header->segment_bytes = count;
    if (header->first_lsn == 0 || header->first_lsn > UINT32_MAX)
        header->first_lsn = 1;
    header->crc = ipc_segment_header_crc(header);
}

static void frames_seal(uint64_t count)
{
    const struct ipc_segment_header *header = (const struct ipc_segment_header *)bytes;
    uint32_t previous_crc = header->previous_crc;
    uint64_t lsn = header->first_lsn, at = IPC_SEGMENT_HEADER_BYTES;
    while (at + sizeof(struct ipc_frame) <= count) {
        struct ipc_frame *frame = (struct ipc_frame *)(bytes + at);
        uint64_t length = ls_align_up(sizeof *frame + (uint64_t)frame->payload_bytes, 64);
        if (frame->length == 0 || length > IPC_FRAME_BYTES_MAX || at + length > count)
            return;
        if ((frame->flags & 1) != 0) /* the input wants this one as it is */
            return;
        frame->lsn = lsn++;
        frame->previous_crc = previous_crc;
        frame->crc = ipc_frame_crc(frame, header->salt, previous_crc);
        frame->length = (uint32_t)length;
        previous_crc = frame->crc;
        at += length;
    }
}

static void journal_read(uint8_t choice, uint64_t count)
{
    struct ipc_journal_reader_options options = {.memory_directory = memory,
        .disk_directory = disk,
        .take_complete = (choice & 8) != 0,
        .accept_corrupt = (choice & 16) != 0};
    struct ipc_journal_reader *reader;
    struct ipc_journal_entry entry;
    struct ipc_error error;
    const struct ipc_segment_header *header = (const struct ipc_segment_header *)bytes;
    memcpy(options.boot_id, header->boot_id, sizeof options.boot_id);
    options.boot_id[0] ^= (choice & 4) != 0 ? 0xff : 0;
    options.boot_id[15] |= 1;
    if (ipc_journal_reader_open(&options, &reader, &error) != IPC_OK)
        return;
    struct ipc_journal_orders *orders = ipc_journal_orders_make();
    uint64_t last_lsn = 0;
    for (uint64_t steps = 0;; steps++) {
        if (steps > count / 64 + 16)
            abort(); /* it does not come to an end */
        enum ipc_journal_step step = ipc_journal_reader_next(reader, &entry);
        if (step == IPC_JOURNAL_END)
            step = ipc_journal_reader_tail(reader, &entry);
        if (step == IPC_JOURNAL_HOLE)
            continue;
        if (step != IPC_JOURNAL_FRAME)
            break;
        if (entry.frame->lsn <= last_lsn ||
            entry.offset + sizeof *entry.frame + entry.frame->payload_bytes > count)
            abort();
        last_lsn = entry.frame->lsn;
        struct ipc_text text;
        ipc_journal_orders_learn(orders, entry.frame);
        ipc_text_start(&text, text_bytes, sizeof text_bytes);
        ipc_journal_line(&text, orders, &entry);
        ipc_text_start(&text, text_bytes, sizeof text_bytes);
        ipc_journal_json(&text, orders, &entry);
    }
    ipc_journal_orders_free(orders);
    ipc_journal_reader_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (base[0] == '\0')
        directories_make();
    if (size < 1 + sizeof(struct ipc_segment_header))
        return 0;
    uint8_t choice = data[0];
    size_t frames = size - 1 - sizeof(struct ipc_segment_header);
    if (frames > FRAMES_MAX)
        frames = FRAMES_MAX;
    uint64_t count = ls_align_up(IPC_SEGMENT_HEADER_BYTES + frames, 4096);
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, data + 1, sizeof(struct ipc_segment_header));
    memcpy(bytes + IPC_SEGMENT_HEADER_BYTES, data + 1 + sizeof(struct ipc_segment_header), frames);
    if ((choice & 1) != 0)
        header_seal(count);
    if ((choice & 2) != 0)
        frames_seal(count);
    file_put(memory, count);
    if ((choice & 32) != 0) {
        bytes[IPC_SEGMENT_HEADER_BYTES + (data[1] % 64)] ^= 1;
        file_put(disk, count);
    } else {
        file_remove(disk);
    }
    journal_read(choice, count);
    return 0;
}
