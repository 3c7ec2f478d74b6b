/* order_table.h: what a journal says of master orders and their copies, folded for people.
 *
 * Reads frames in lsn order (ipc/journal_reader.h) and keeps, per wave, the event, each follower's
 * decision and what became of it. It decides nothing and writes nothing. One thread; allocates. */
#ifndef LS_CONTROL_ORDER_TABLE_H
#define LS_CONTROL_ORDER_TABLE_H

#include "ipc/journal_format.h"
#include "ipc/tag.h"

/* One follower's decision in one wave, and what became of its request. */
struct ctl_copy {
    struct ipc_fact_child child;
    char tag[IPC_TAG_BYTES];
    uint32_t wave_index; /* in struct ctl_order_table */
    uint32_t place;      /* in the wave, from 0 */
    uint32_t batch_index;
    uint32_t wide;        /* 1 + index of its own terms and steps, 0 = as in the batch */
    uint32_t next_of_tag; /* older copy with the same tag, UINT32_MAX at the end */
    uint8_t has_reply;
    uint8_t was_released; /* a queued one that left later */
    uint8_t release_reason;
    uint8_t status;  /* enum ipc_status of its newest state at the broker, 0 = none seen */
    uint8_t verdict; /* enum ipc_verdict of the newest doubt about it, 0 = none */
    int64_t filled_qty_e8, average_price_e8;
    int64_t accepted_mono_ns, parsed_mono_ns;
    struct ipc_outcome outcome;
};

/* One event that started a wave, or settled WAITs outside one (wave 0). */
struct ctl_wave {
    uint64_t wave, event_lsn;
    struct ipc_fact_event fact;
    int64_t wall_ns;
    uint32_t first_copy; /* index of its first copy; copies of one wave need not be adjacent */
    uint32_t copy_count;
};

struct ctl_order_table {
    struct ctl_wave *waves;
    struct ctl_copy *copies;
    struct ipc_fact_batch *batches;
    struct ipc_fact_wide *wides;
    uint32_t wide_count, wide_room;
    uint32_t wave_count, wave_room, copy_count, copy_room, batch_count, batch_room;
    uint32_t *tag_heads; /* hash of tags to copies */
    uint32_t tag_room;
    struct ctl_event_place {
        uint64_t lsn;
        uint32_t wave_index;
    } * events; /* EVENT facts by lsn, ascending */
    uint32_t event_count, event_room;
};

void ctl_order_table_init(struct ctl_order_table *table);
void ctl_order_table_free(struct ctl_order_table *table);

/* ctl_order_table_take folds one frame, in lsn order. Frames of other types are passed over. */
void ctl_order_table_take(
    struct ctl_order_table *table, const struct ipc_frame *frame, const void *payload);

/* ctl_order_table_copy returns the newest copy with a tag, NULL when there is none. */
const struct ctl_copy *ctl_order_table_copy(const struct ctl_order_table *table, const char *tag);

/* ctl_copy_outcome names what became of a copy: "SKIP SUB_LOT", "ACKED", "FILLED", "QUEUED"... */
void ctl_copy_outcome(const struct ctl_copy *copy, char *out, size_t out_bytes);

#endif
