#include "tests/sim/journal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096u

void sim_journal_open(struct sim_journal *journal, uint64_t salt)
{
    memset(journal, 0, sizeof(*journal));
    journal->bytes = aligned_alloc(PAGE, SIM_JOURNAL_BYTES);
    LS_CHECK(journal->bytes != NULL);
    memset(journal->bytes, 0, SIM_JOURNAL_BYTES);
    sim_journal_reset(journal, salt);
}

void sim_journal_reset(struct sim_journal *journal, uint64_t salt)
{
    uint8_t *bytes = journal->bytes;
    memset(bytes, 0, journal->touched);
    memset(journal, 0, sizeof(*journal));
    journal->bytes = bytes;
    journal->next_lsn = 1;
    journal->salt = salt;
}

void sim_journal_close(struct sim_journal *journal)
{
    free(journal->bytes);
    journal->bytes = NULL;
}

void *sim_journal_begin(struct sim_journal *journal, enum ipc_fact_type type, uint32_t max_bytes)
{
    LS_CHECK(journal->used + IPC_FRAME_BYTES_MAX < SIM_JOURNAL_BYTES);
    struct ipc_frame *frame = (struct ipc_frame *)(void *)(journal->bytes + journal->used);
    frame->type = (uint16_t)type;
    journal->pending = frame;
    journal->pending_max = max_bytes;
    uint64_t end =
        journal->used + ls_align_up(sizeof(*frame) + max_bytes, IPC_FRAME_ALIGN) + IPC_FRAME_ALIGN;
    if (end > journal->touched)
        journal->touched = end;
    return frame + 1;
}

uint64_t sim_journal_commit(struct sim_journal *journal, uint32_t bytes, uint32_t count)
{
    struct ipc_frame *frame = journal->pending;
    LS_CHECK(frame != NULL && bytes <= journal->pending_max);
    uint32_t length = (uint32_t)ls_align_up(sizeof(*frame) + bytes, IPC_FRAME_ALIGN);
    frame->lsn = journal->next_lsn;
    frame->mono_ns = journal->mono_ns;
    frame->wall_ns = journal->wall_ns;
    frame->flags = 0;
    frame->payload_bytes = bytes;
    frame->count = count;
    frame->previous_crc = journal->previous_crc;
    memset(frame->reserved8, 0, sizeof(frame->reserved8));
    memset((uint8_t *)(frame + 1) + bytes, 0, length - sizeof(*frame) - bytes);
    frame->crc = ipc_frame_crc(frame, journal->salt, journal->previous_crc);
    /* A payload begun longer may have left bytes where the next commit word will be. */
    memset(journal->bytes + journal->used + length, 0, IPC_FRAME_ALIGN);
    atomic_store_explicit(&frame->length, length, memory_order_release);
    journal->previous_crc = frame->crc;
    journal->used += length;
    if (journal->used + IPC_FRAME_ALIGN > journal->touched)
        journal->touched = journal->used + IPC_FRAME_ALIGN;
    journal->pending = NULL;
    return journal->next_lsn++;
}

static const struct ipc_frame *frame_at(const struct sim_journal *journal, uint64_t offset)
{
    return (const struct ipc_frame *)(const void *)(journal->bytes + offset);
}

const struct ipc_frame *sim_journal_next(const struct sim_journal *journal, uint64_t *offset)
{
    if (*offset >= journal->used)
        return NULL;
    const struct ipc_frame *frame = frame_at(journal, *offset);
    *offset += atomic_load_explicit(&frame->length, memory_order_acquire);
    return frame;
}

void sim_journal_sync(struct sim_journal *journal, struct ipc_prng *prng, bool all)
{
    while (journal->durable < journal->used && (all || ipc_prng_chance(prng, 3, 4))) {
        const struct ipc_frame *frame = frame_at(journal, journal->durable);
        journal->durable += atomic_load_explicit(&frame->length, memory_order_relaxed);
        journal->durable_lsn = frame->lsn;
    }
}

/* A frame that is whole by itself: its length, its size and its sum agree. */
static bool is_whole(const struct sim_journal *journal, uint64_t offset)
{
    const struct ipc_frame *frame = frame_at(journal, offset);
    uint64_t length = atomic_load_explicit(&frame->length, memory_order_relaxed);
    return length >= sizeof(*frame) && length <= IPC_FRAME_BYTES_MAX &&
           offset + length <= journal->touched && frame->payload_bytes <= length - sizeof(*frame) &&
           ls_align_up(sizeof(*frame) + frame->payload_bytes, IPC_FRAME_ALIGN) == length &&
           frame->crc == ipc_frame_crc(frame, journal->salt, frame->previous_crc);
}

/* Pages that were not durable are on the disk, or not, each for itself. */
static void lose_pages(struct sim_journal *journal, struct ipc_prng *prng)
{
    uint64_t end = ls_align_up(journal->used, PAGE);
    uint32_t kept = (uint32_t)ipc_prng_below(prng, 4); /* quarters of the pages that survive */
    for (uint64_t page = journal->durable / PAGE * PAGE; page < end; page += PAGE) {
        if (ipc_prng_chance(prng, kept, 4))
            continue;
        uint64_t from = page < journal->durable ? journal->durable : page;
        memset(journal->bytes + from, 0, page + PAGE - from);
    }
}

uint64_t sim_journal_recover(struct sim_journal *journal, struct ipc_prng *prng, bool power)
{
    uint64_t frames_before = 0;
    for (uint64_t offset = 0; sim_journal_next(journal, &offset) != NULL;)
        frames_before++;
    if (power)
        lose_pages(journal, prng);
    uint64_t end = 0, kept = 0, last_lsn = 0;
    uint32_t previous_crc = 0;
    while (end + sizeof(struct ipc_frame) <= journal->touched) {
        const struct ipc_frame *frame = frame_at(journal, end);
        if (!is_whole(journal, end) || frame->lsn != last_lsn + 1 ||
            frame->previous_crc != previous_crc)
            break;
        last_lsn = frame->lsn;
        previous_crc = frame->crc;
        end += frame->length;
        kept++;
    }
    memset(journal->bytes + end, 0, journal->touched - end);
    journal->used = end;
    journal->touched = end;
    journal->pending = NULL;
    journal->previous_crc = previous_crc;
    journal->next_lsn = last_lsn + 1;
    if (power) {
        journal->durable = end;
        journal->durable_lsn = last_lsn;
    }
    return frames_before - kept;
}
