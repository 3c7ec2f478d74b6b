#include "control/order_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/journal_text.h"
#include "ipc/reason.h"

#define NONE UINT32_MAX

static void *grow(void *at, uint32_t *room, uint32_t count, size_t bytes)
{
    if (count < *room)
        return at;
    *room = *room == 0 ? 256 : *room * 2;
    at = realloc(at, (size_t)*room * bytes);
    LS_CHECK(at != NULL);
    return at;
}

void ctl_order_table_init(struct ctl_order_table *table)
{
    memset(table, 0, sizeof(*table));
}

void ctl_order_table_free(struct ctl_order_table *table)
{
    free(table->waves);
    free(table->copies);
    free(table->batches);
    free(table->wides);
    free(table->tag_heads);
    free(table->events);
    memset(table, 0, sizeof(*table));
}

static void rehash(struct ctl_order_table *table)
{
    table->tag_room = table->tag_room == 0 ? 1024 : table->tag_room * 2;
    free(table->tag_heads);
    table->tag_heads = malloc(table->tag_room * sizeof(uint32_t));
    LS_CHECK(table->tag_heads != NULL);
    memset(table->tag_heads, 0xFF, table->tag_room * sizeof(uint32_t));
    for (uint32_t i = 0; i < table->copy_count; i++) {
        struct ctl_copy *copy = &table->copies[i];
        uint32_t at = (uint32_t)ipc_tag_hash(copy->tag) & (table->tag_room - 1);
        copy->next_of_tag = table->tag_heads[at];
        table->tag_heads[at] = i;
    }
}

static uint32_t find_tag(const struct ctl_order_table *table, const char *tag)
{
    if (table->tag_room == 0 || tag[0] == '\0')
        return NONE;
    uint32_t at = table->tag_heads[(uint32_t)ipc_tag_hash(tag) & (table->tag_room - 1)];
    while (at != NONE && memcmp(table->copies[at].tag, tag, IPC_TAG_BYTES) != 0)
        at = table->copies[at].next_of_tag;
    return at;
}

static uint32_t wave_of_event(const struct ctl_order_table *table, uint64_t lsn)
{
    uint32_t low = 0, high = table->event_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table->events[middle].lsn < lsn)
            low = middle + 1;
        else
            high = middle;
    }
    return low < table->event_count && table->events[low].lsn == lsn ? table->events[low].wave_index
                                                                     : NONE;
}

/* The wave that a batch belongs to. Its event_lsn is of the newest state of the order that was
 * known when it was decided, which may be a later event than the one that began the wave: a feed
 * brings several within microseconds. Decisions outside a wave have only the event. */
static uint32_t wave_of_batch(
    const struct ctl_order_table *table, const struct ipc_fact_batch *batch)
{
    for (uint32_t i = table->wave_count; batch->wave != 0 && i > 0; i--) {
        if (table->waves[i - 1].wave == batch->wave)
            return i - 1;
    }
    return wave_of_event(table, batch->event_lsn);
}

static void take_event(
    struct ctl_order_table *table, const struct ipc_frame *frame, const struct ipc_fact_event *fact)
{
    table->waves = grow(table->waves, &table->wave_room, table->wave_count, sizeof(*table->waves));
    table->events =
        grow(table->events, &table->event_room, table->event_count, sizeof(*table->events));
    table->waves[table->wave_count] = (struct ctl_wave){.wave = fact->wave,
        .event_lsn = frame->lsn,
        .fact = *fact,
        .wall_ns = frame->wall_ns,
        .first_copy = NONE};
    table->events[table->event_count++] =
        (struct ctl_event_place){.lsn = frame->lsn, .wave_index = table->wave_count};
    table->wave_count++;
}

static void take_child(struct ctl_order_table *table, uint32_t wave_index,
    const struct ipc_fact_child *child, uint32_t place)
{
    struct ctl_wave *wave = &table->waves[wave_index];
    if (table->copy_count >= table->tag_room)
        rehash(table);
    table->copies =
        grow(table->copies, &table->copy_room, table->copy_count, sizeof(*table->copies));
    struct ctl_copy *copy = &table->copies[table->copy_count];
    *copy = (struct ctl_copy){.child = *child,
        .wave_index = wave_index,
        .place = place,
        .batch_index = table->batch_count - 1};
    struct ipc_tag_parts parts = {.order_digits = wave->fact.event.order_digits,
        .follower_no = child->follower_no,
        .action = child->action};
    if (parts.order_digits < IPC_TAG_ORDERS && parts.follower_no >= 1 &&
        parts.follower_no < IPC_TAG_FOLLOWERS && parts.action < IPC_TAG_ACTIONS)
        ipc_tag_compose(&parts, copy->tag);
    uint32_t at = (uint32_t)ipc_tag_hash(copy->tag) & (table->tag_room - 1);
    copy->next_of_tag = table->tag_heads[at];
    table->tag_heads[at] = table->copy_count;
    if (wave->first_copy == NONE)
        wave->first_copy = table->copy_count;
    wave->copy_count++;
    table->copy_count++;
}

static void take_wide(struct ctl_order_table *table, const struct ipc_fact_wide *wide)
{
    table->wides = grow(table->wides, &table->wide_room, table->wide_count, sizeof(*table->wides));
    table->wides[table->wide_count++] = *wide;
    table->copies[table->copy_count - 1].wide = table->wide_count;
}

static void take_batch(struct ctl_order_table *table, const struct ipc_frame *frame,
    const struct ipc_fact_batch *batch)
{
    uint32_t wave_index = wave_of_batch(table, batch);
    if (wave_index == NONE || ipc_journal_batch(frame, batch) < 0)
        return;
    table->batches =
        grow(table->batches, &table->batch_room, table->batch_count, sizeof(*table->batches));
    table->batches[table->batch_count++] = *batch;
    const struct ipc_fact_child *children = ipc_fact_batch_children(batch);
    const struct ipc_fact_wide *wides = ipc_fact_batch_wides(batch);
    uint32_t next = 0;
    for (uint32_t i = 0; i < batch->child_count; i++) {
        if (children[i].follower_no == 0)
            continue; /* the mark that ends a wave which a restart or a new generation cut */
        take_child(table, wave_index, &children[i], batch->first_place + i);
        if (next < batch->wide_count && wides[next].at == i)
            take_wide(table, &wides[next++]);
    }
}

static void take_reply(struct ctl_order_table *table, const struct ipc_fact_reply *reply)
{
    uint32_t at = find_tag(table, reply->tag);
    /* The newest decision of this tag with the request's action takes the outcome. */
    for (; at != NONE; at = table->copies[at].next_of_tag) {
        struct ctl_copy *copy = &table->copies[at];
        if (memcmp(copy->tag, reply->tag, IPC_TAG_BYTES) != 0)
            continue;
        uint8_t kind = copy->child.kind;
        bool is_place = kind == IPC_CHILD_PLACE || kind == IPC_CHILD_PLACE_QUEUED;
        bool is_modify = kind == IPC_CHILD_MODIFY || kind == IPC_CHILD_MODIFY_QUEUED;
        bool is_cancel = kind == IPC_CHILD_CANCEL || kind == IPC_CHILD_CANCEL_QUEUED;
        if ((reply->action == IPC_ACTION_PLACE && is_place) ||
            (reply->action == IPC_ACTION_MODIFY && is_modify) ||
            (reply->action == IPC_ACTION_CANCEL && is_cancel)) {
            copy->has_reply = 1;
            copy->outcome = reply->outcome;
            copy->accepted_mono_ns = reply->accepted_mono_ns;
            copy->parsed_mono_ns = reply->parsed_mono_ns;
            return;
        }
    }
}

static void take_release(struct ctl_order_table *table, const struct ipc_fact_release *release)
{
    uint32_t at = find_tag(table, release->tag);
    if (at == NONE)
        return;
    struct ctl_copy *copy = &table->copies[at];
    if (release->kind == IPC_CHILD_SKIP) {
        copy->release_reason = release->reason;
    } else {
        copy->was_released = 1;
    }
}

static void take_update(struct ctl_order_table *table, const struct ipc_event *event)
{
    char tag[IPC_TAG_BYTES];
    memcpy(tag, event->client_tag, sizeof(tag));
    tag[IPC_TAG_BYTES - 1] = '\0';
    uint32_t at = find_tag(table, tag);
    /* All decisions about one order share its state at the broker. */
    for (; at != NONE; at = table->copies[at].next_of_tag) {
        struct ctl_copy *copy = &table->copies[at];
        if (memcmp(copy->tag, tag, IPC_TAG_BYTES) != 0 ||
            event->filled_qty_e8 < copy->filled_qty_e8)
            continue;
        copy->status = event->status;
        if (copy->outcome.broker_order_id[0] == '\0') /* found in the book, not told by a reply */
            memcpy(copy->outcome.broker_order_id, event->broker_order_id,
                sizeof(copy->outcome.broker_order_id));
        copy->filled_qty_e8 = event->filled_qty_e8;
        copy->average_price_e8 = event->average_price_e8;
    }
}

/* What a book, or the time, made of orders whose outcome was unknown. */
static void take_recon(
    struct ctl_order_table *table, const struct ipc_fact_recon *recon, size_t bytes)
{
    if (recon->act == IPC_RECON_ACT_ORPHAN || bytes < ipc_fact_recon_bytes(recon))
        return;
    for (uint32_t i = 0; i < recon->child_count; i++) {
        const struct ipc_fact_recon_child *child = &ipc_fact_recon_children(recon)[i];
        for (uint32_t at = find_tag(table, child->tag); at != NONE;
             at = table->copies[at].next_of_tag)
            if (memcmp(table->copies[at].tag, child->tag, IPC_TAG_BYTES) == 0)
                table->copies[at].verdict = child->verdict;
    }
}

static const char *verdict_word(uint8_t verdict)
{
    if (!ipc_verdict_valid(verdict))
        return NULL;
    switch ((enum ipc_verdict)verdict) {
    case IPC_VERDICT_ASKED:
    case IPC_VERDICT_ABSENT:
    case IPC_VERDICT_AGAIN:
        return "RECONCILING";
    case IPC_VERDICT_NOT_PLACED:
        return "NOT_PLACED";
    case IPC_VERDICT_MISSED:
    case IPC_VERDICT_DAY_END:
        return "MISSED";
    case IPC_VERDICT_UNRESOLVED:
        return "UNRESOLVED";
    }
    return NULL;
}

void ctl_order_table_take(
    struct ctl_order_table *table, const struct ipc_frame *frame, const void *payload)
{
    size_t bytes = frame->payload_bytes;
    if (frame->type == IPC_FACT_EVENT && bytes >= sizeof(struct ipc_fact_event)) {
        take_event(table, frame, payload);
    } else if (frame->type == IPC_FACT_BATCH && bytes >= sizeof(struct ipc_fact_batch)) {
        take_batch(table, frame, payload);
    } else if (frame->type == IPC_FACT_UPDATE && bytes >= sizeof(struct ipc_fact_event)) {
        take_update(table, &((const struct ipc_fact_event *)payload)->event);
    } else if (frame->type == IPC_FACT_RECON && bytes >= sizeof(struct ipc_fact_recon)) {
        take_recon(table, payload, bytes);
    } else if (frame->type == IPC_FACT_REPLY) {
        const struct ipc_fact_reply *replies = payload;
        for (uint32_t i = 0; i < frame->count && (i + 1) * sizeof(*replies) <= bytes; i++)
            take_reply(table, &replies[i]);
    } else if (frame->type == IPC_FACT_RELEASE) {
        const struct ipc_fact_release *releases = payload;
        for (uint32_t i = 0; i < frame->count && (i + 1) * sizeof(*releases) <= bytes; i++)
            take_release(table, &releases[i]);
    }
}

const struct ctl_copy *ctl_order_table_copy(const struct ctl_order_table *table, const char *tag)
{
    char padded[IPC_TAG_BYTES] = "";
    snprintf(padded, sizeof(padded), "%s", tag);
    uint32_t at = find_tag(table, padded);
    return at == NONE ? NULL : &table->copies[at];
}

void ctl_copy_outcome(const struct ctl_copy *copy, char *out, size_t out_bytes)
{
    uint8_t kind = copy->child.kind;
    if (kind == IPC_CHILD_SKIP)
        snprintf(out, out_bytes, "SKIP %s", ipc_reason_name((enum ipc_reason)copy->child.reason));
    else if (copy->release_reason != 0)
        snprintf(out, out_bytes, "SKIP %s", ipc_reason_name((enum ipc_reason)copy->release_reason));
    else if (copy->status != 0)
        snprintf(out, out_bytes, "%s", ipc_status_name((enum ipc_status)copy->status));
    else if (verdict_word(copy->verdict) != NULL)
        snprintf(out, out_bytes, "%s", verdict_word(copy->verdict));
    else if (copy->has_reply)
        snprintf(out, out_bytes, "%s%s%s",
            ipc_outcome_class_name((enum ipc_outcome_class)copy->outcome.outcome),
            copy->outcome.code[0] != '\0' ? " " : "", copy->outcome.code);
    else if (kind == IPC_CHILD_FLATTEN)
        snprintf(out, out_bytes, "FLATTEN");
    else if (kind == IPC_CHILD_WAIT)
        snprintf(out, out_bytes, "WAIT");
    else if (!copy->was_released &&
             (kind == IPC_CHILD_PLACE_QUEUED || kind == IPC_CHILD_MODIFY_QUEUED ||
                 kind == IPC_CHILD_CANCEL_QUEUED))
        snprintf(out, out_bytes, "QUEUED");
    else
        snprintf(out, out_bytes, "SENDING");
}
