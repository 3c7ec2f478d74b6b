#include "engine/journal_private.h"

#include <stdio.h>
#include <string.h>

/* --- the hot path: nothing here makes a system call or allocates --- */

bool eng_journal_roll(struct eng_journal *journal)
{
    /* Pairs with the scribe's release: the segment's memory is empty and its header filled. */
    uint64_t ready_no = atomic_load_explicit(&journal->ready_no, memory_order_acquire);
    uint64_t segment_no = journal->segment_no + 1;
    if (segment_no > ready_no)
        return false;
    uint8_t *base = eng_journal_slot_of(journal, segment_no);
    struct ipc_segment_header *header = (struct ipc_segment_header *)base;
    LS_CHECK(header->segment_no == segment_no);
    header->first_lsn = journal->next_lsn;
    header->created_wall_ns = journal->wall_ns;
    header->previous_crc = journal->previous_crc;
    header->crc = ipc_segment_header_crc(header);
    /* In use from here on; pairs with the acquire of readers and of the scribe. */
    atomic_store_explicit(&header->magic, IPC_JOURNAL_MAGIC, memory_order_release);
    journal->base = base;
    journal->offset = IPC_SEGMENT_HEADER_BYTES;
    journal->segment_no = segment_no;
    journal->salt = header->salt;
    journal->counters.rolls++;
    return true;
}

void eng_journal_clock(struct eng_journal *journal, int64_t mono_ns, int64_t wall_ns)
{
    journal->mono_ns = mono_ns;
    journal->wall_ns = wall_ns;
}

void *eng_journal_begin(struct eng_journal *journal, enum ipc_fact_type type, uint32_t max_payload)
{
    LS_CHECK(journal->is_started);
    LS_CHECK(max_payload <= IPC_FRAME_BYTES_MAX - sizeof(struct ipc_frame));
    uint64_t need = ls_align_up(sizeof(struct ipc_frame) + max_payload, IPC_FRAME_ALIGN);
    journal->pending = NULL;
    if (LS_UNLIKELY(journal->offset + need > journal->config.segment_bytes) &&
        !eng_journal_roll(journal)) {
        journal->counters.refused_begins++;
        return NULL;
    }
    struct ipc_frame *frame = (struct ipc_frame *)(journal->base + journal->offset);
    frame->type = (uint16_t)type;
    journal->pending = frame;
    journal->pending_max = max_payload;
    return frame + 1;
}

uint64_t eng_journal_commit(struct eng_journal *journal, uint32_t payload_bytes, uint32_t count)
{
    struct ipc_frame *frame = journal->pending;
    LS_CHECK(frame != NULL);
    LS_CHECK(payload_bytes <= journal->pending_max);
    uint32_t used = (uint32_t)sizeof *frame + payload_bytes;
    uint32_t length = (uint32_t)ls_align_up(used, IPC_FRAME_ALIGN);
    uint64_t next = journal->offset + length;

    frame->lsn = journal->next_lsn;
    frame->mono_ns = journal->mono_ns;
    frame->wall_ns = journal->wall_ns;
    frame->flags = 0;
    frame->payload_bytes = payload_bytes;
    frame->count = count;
    frame->previous_crc = journal->previous_crc;
    memset(frame->reserved8, 0, sizeof frame->reserved8);
    memset((uint8_t *)frame + used, 0, length - used);
    frame->crc = ipc_frame_crc(frame, journal->salt, journal->previous_crc);
    /* A payload that was begun longer may have left bytes where the next commit word will be. */
    if (next + sizeof *frame <= journal->config.segment_bytes)
        atomic_store_explicit(
            &((struct ipc_frame *)(journal->base + next))->length, 0, memory_order_relaxed);
    /* The commit. Pairs with the acquire of ipc_segment_look and of the scribe. */
    atomic_store_explicit(&frame->length, length, memory_order_release);

    journal->previous_crc = frame->crc;
    journal->offset = next;
    journal->pending = NULL;
    journal->counters.frames++;
    journal->counters.payload_bytes += payload_bytes;
    return journal->next_lsn++;
}

uint64_t eng_journal_append(struct eng_journal *journal, enum ipc_fact_type type,
    const void *payload, uint32_t payload_bytes, uint32_t count)
{
    void *place = eng_journal_begin(journal, type, payload_bytes);
    if (place == NULL)
        return 0;
    memcpy(place, payload, payload_bytes);
    return eng_journal_commit(journal, payload_bytes, count);
}

/* At a segment's end up to a largest frame may be wasted, so that much of each is not counted. */
uint64_t eng_journal_room(const struct eng_journal *journal)
{
    uint64_t ready_no = atomic_load_explicit(&journal->ready_no, memory_order_acquire);
    uint64_t whole = journal->config.segment_bytes - IPC_SEGMENT_HEADER_BYTES - IPC_FRAME_BYTES_MAX;
    uint64_t left = journal->config.segment_bytes - journal->offset;
    left = left > IPC_FRAME_BYTES_MAX ? left - IPC_FRAME_BYTES_MAX : 0;
    return left + (ready_no - journal->segment_no) * whole;
}

bool eng_journal_takes_entries(struct eng_journal *journal)
{
    if (LS_UNLIKELY(
            atomic_load_explicit(&journal->state, memory_order_acquire) != IPC_JOURNAL_STATE_OK))
        return false;
    /* Some distance before it turns true again, so that it does not flicker at the edge. */
    bool was_behind = atomic_load_explicit(&journal->is_behind, memory_order_relaxed) != 0;
    uint64_t reserve = journal->reserve_bytes + (was_behind ? journal->reserve_bytes / 4 : 0);
    bool is_behind = eng_journal_room(journal) < reserve;
    if (LS_UNLIKELY(is_behind != was_behind)) {
        atomic_store_explicit(&journal->is_behind, is_behind, memory_order_relaxed);
        journal->counters.entry_stops += is_behind;
    }
    return !is_behind;
}

uint64_t eng_journal_last_lsn(const struct eng_journal *journal)
{
    return journal->next_lsn - 1;
}

uint64_t eng_journal_durable_lsn(const struct eng_journal *journal)
{
    return atomic_load_explicit(&journal->durable_lsn, memory_order_acquire);
}

bool eng_journal_is_durable(struct eng_journal *journal, uint64_t lsn)
{
    LS_CHECK(lsn < journal->next_lsn);
    if (journal->config.tier == ENG_TIER_PROCESS || eng_journal_durable_lsn(journal) >= lsn)
        return true;
    if (lsn > journal->wanted_sent) {
        journal->wanted_sent = lsn;
        atomic_store_explicit(&journal->wanted_lsn, lsn, memory_order_release);
        eng_scribe_ring(journal);
    }
    return false;
}

void eng_journal_turn_page(struct eng_journal *journal)
{
    uint64_t whole = journal->config.segment_bytes;
    if (journal->offset > IPC_SEGMENT_HEADER_BYTES &&
        eng_journal_room(journal) >= journal->reserve_bytes + whole)
        (void)!eng_journal_roll(journal);
}

void eng_journal_mark_day(struct eng_journal *journal, uint64_t lsn, uint32_t ended_day)
{
    atomic_store_explicit(&journal->day_segment_no, journal->segment_no, memory_order_relaxed);
    atomic_store_explicit(&journal->ended_day, ended_day, memory_order_relaxed);
    atomic_store_explicit(&journal->day_lsn, lsn, memory_order_release);
}

uint64_t eng_journal_day(const struct eng_journal *journal)
{
    return atomic_load_explicit(&journal->day_lsn, memory_order_acquire);
}

enum ipc_journal_state eng_journal_state(const struct eng_journal *journal)
{
    uint32_t state = atomic_load_explicit(&journal->state, memory_order_acquire);
    if (state == IPC_JOURNAL_STATE_OK &&
        atomic_load_explicit(&journal->is_behind, memory_order_relaxed) != 0)
        return IPC_JOURNAL_STATE_BEHIND;
    return (enum ipc_journal_state)state;
}

bool eng_journal_alarm(struct eng_journal *journal, struct ipc_fact_alarm *out)
{
    (void)eng_journal_takes_entries(journal);
    enum ipc_journal_state state = eng_journal_state(journal);
    if (LS_LIKELY(state == journal->reported))
        return false;
    journal->reported = state;
    bool is_alarm = false;
    memset(out, 0, sizeof *out);
    switch (state) {
    case IPC_JOURNAL_STATE_OPENING:
    case IPC_JOURNAL_STATE_OK:
    case IPC_JOURNAL_STATE_CLOSED:
        break;
    case IPC_JOURNAL_STATE_BEHIND:
        is_alarm = true;
        out->alarm = IPC_ALARM_JOURNAL_FULL;
        snprintf(
            out->text, sizeof out->text, "entries stopped: the disk is slower than the orders");
        break;
    case IPC_JOURNAL_STATE_DISK_FAILED:
    case IPC_JOURNAL_STATE_DAMAGED:
        is_alarm = true;
        out->alarm = IPC_ALARM_DISK;
        snprintf(out->text, sizeof out->text, "entries stopped: %.*s", (int)sizeof out->text - 20,
            journal->failed_text);
        break;
    }
    return is_alarm;
}

const struct eng_journal_counters *eng_journal_counters(const struct eng_journal *journal)
{
    return &journal->counters;
}

const struct eng_journal_config *eng_journal_config_of(const struct eng_journal *journal)
{
    return &journal->config;
}

uint64_t eng_journal_generation(const struct eng_journal *journal)
{
    return journal->generation;
}
