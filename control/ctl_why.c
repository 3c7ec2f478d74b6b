/* ctl_why.c: lockstepctl why TAG: the story of one follower order, from the journal alone, in the
 * order in which things were recorded. */
#include "control/ctl_journal.h"

#include "control/ctl_common.h"
#include "control/snapshot_file.h"
#include "ipc/explain.h"
#include "ipc/reason.h"
#include "ipc/tag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME(tag, value) (tag##_valid(value) ? tag##_name((enum tag)(value)) : "?")

static const char help_text[] =
    "Usage: lockstepctl why TAG [OPTIONS]\n"
    "\n"
    "Tells what happened to one follower order and why: the master's order as it was seen, the\n"
    "decision, the request, the broker's answer with its evidence, fills, restarts of the engine.\n"
    "TAG is the 19-character tag that the broker shows as the client's reference.\n"
    "\n"
    "  --shard K    look in one shard only (default: all)\n"
    "  --disk DIR   where the disk files are, when the journal is no longer in memory\n"
    "  --json       one JSON object\n";

struct why {
    const struct ctl_cli *cli;
    char tag[IPC_TAG_BYTES];
    struct ipc_tag_parts parts;
    struct ipc_key order_key; /* of the master's order, once its event was seen */
    bool has_order;
    char broker_order_id[IPC_BROKER_ORDER_ID_BYTES]; /* once acknowledged */
    uint32_t account;                                /* of the follower's updates, 0 = not known */
    int64_t zero_mono_ns; /* of the first step; times are told from there */
    bool has_zero;
    bool is_decided;             /* a decision, reply or sighting of this very tag was told */
    bool in_flight;              /* a request is recorded and its answer is not */
    struct ipc_fact_event event; /* the last of the master's order: what a decision was made from */
    struct ctl_live live;        /* rows, for the arithmetic; view.generation 0 = none */
    uint32_t steps;
    struct ipc_text text;
    char *bytes;
};

/* Starts one step of the story. */
static void step_start(struct why *why, const struct ipc_frame *frame, const char *what)
{
    if (!why->has_zero) {
        why->zero_mono_ns = frame->mono_ns;
        why->has_zero = true;
    }
    int64_t since_ns = ipc_text_span(why->zero_mono_ns, frame->mono_ns);
    why->steps++;
    if (why->cli->json) {
        ipc_text_put(&why->text, "%s{\"step\":\"%s\",\"lsn\":%llu,\"since_ns\":%lld,\"time\":\"",
            why->steps == 1 ? "" : ",", what, (unsigned long long)frame->lsn, (long long)since_ns);
        ipc_text_put_time(&why->text, frame->wall_ns);
        ipc_text_put(&why->text, "\",\"text\":\"");
        return;
    }
    ipc_text_put_time(&why->text, frame->wall_ns);
    bool is_past = since_ns < 0; /* another boot's clock */
    ipc_text_put(&why->text, " %s%lld.%03lld us  lsn %-8llu %-9s ", is_past ? "-" : "+",
        (long long)((is_past ? -since_ns : since_ns) / 1000),
        (long long)((is_past ? -since_ns : since_ns) % 1000), (unsigned long long)frame->lsn, what);
}

/* Text of a peer, inside the sentence: no quotes, no controls, so it stands in JSON too. */
static void put_foreign(struct why *why, const char *from, size_t bytes)
{
    for (size_t i = 0; i < bytes && from[i] != '\0'; i++) {
        char c = from[i];
        ipc_text_put(&why->text, "%c", c < ' ' || c > '~' || c == '"' || c == '\\' ? '.' : c);
    }
}

static void step_end(struct why *why, uint32_t flags)
{
    if ((flags & IPC_ENTRY_MAYBE) != 0)
        ipc_text_put(&why->text, " (found behind a hole: it may have been sent)");
    ipc_text_put(&why->text, why->cli->json ? "\"}" : "\n");
}

static void put_qty_terms(struct why *why, uint8_t side, int64_t qty_e8, uint8_t type,
    int64_t price_e8, int64_t trigger_e8, uint8_t product)
{
    ipc_text_put(&why->text, "%s ", NAME(ipc_side, side));
    ipc_text_put_e8(&why->text, qty_e8);
    ipc_text_put(&why->text, " %s %s", NAME(ipc_type, type), NAME(ipc_product, product));
    if (price_e8 != 0) {
        ipc_text_put(&why->text, " at ");
        ipc_text_put_e8(&why->text, price_e8);
    }
    if (trigger_e8 != 0) {
        ipc_text_put(&why->text, " trigger ");
        ipc_text_put_e8(&why->text, trigger_e8);
    }
}

/* The number, which never changes, and the symbol as the live snapshot has it. */
static void put_instrument(struct why *why, uint32_t instrument)
{
    const struct ipc_snapshot_view *view = &why->live.view;
    ipc_text_put(&why->text, ", instrument %u", instrument);
    if (view->generation == 0 || instrument == 0 || instrument > view->instrument_count)
        return;
    const struct ipc_row_instrument *row = &view->instruments[instrument - 1];
    ipc_text_put(&why->text, " ");
    put_foreign(why, row->symbol, sizeof row->symbol);
}

static void event_tell(struct why *why, const struct ipc_journal_entry *entry)
{
    struct ipc_fact_event fact;
    if (entry->frame->payload_bytes < sizeof fact)
        return;
    memcpy(&fact, entry->payload, sizeof fact);
    const struct ipc_event *event = &fact.event;
    if (event->kind != IPC_EVENT_ORDER || event->order_digits != why->parts.order_digits)
        return;
    why->order_key = event->order_key;
    why->has_order = true;
    why->event = fact;
    step_start(why, entry->frame, "event");
    ipc_text_put(&why->text, "account %u, order ", event->account);
    put_foreign(why, event->broker_order_id, sizeof event->broker_order_id);
    ipc_text_put(&why->text, ", %s, %s: ", NAME(ipc_transition, fact.transition),
        NAME(ipc_status, event->status));
    put_qty_terms(why, event->side, event->qty_e8, event->type, event->price_e8, event->trigger_e8,
        event->product);
    put_instrument(why, event->instrument);
    ipc_text_put(&why->text, ", filled ");
    ipc_text_put_e8(&why->text, event->filled_qty_e8);
    ipc_text_put(&why->text, fact.reduces != 0 ? ", an exit" : ", an entry");
    ipc_text_put(&why->text, "; %lld us after it was read, feed lag %lld ms",
        (long long)(ipc_text_span(event->received_mono_ns, entry->frame->mono_ns) / LS_NS_PER_US),
        (long long)(event->feed_lag_ns / LS_NS_PER_MS));
    if (fact.wave != 0)
        ipc_text_put(&why->text, "; wave %llu over %u followers", (unsigned long long)fact.wave,
            fact.follower_count);
    step_end(why, entry->flags);
}

/* One decision of the frame that holds it. */
struct decision {
    const struct ipc_fact_batch *batch;
    struct ipc_fact_child child;
    struct ipc_fact_wide wide; /* where terms differ from the batch's, and the recorded steps */
    bool is_wide;
    uint32_t place;
    uint32_t orders; /* of this follower and leg in the frame: slices */
};

/* The arithmetic: the steps that were recorded, else made of the rows, which are known only while
 * the generation that decided is the live one; else the outcome stands alone. */
static void arithmetic_put(struct why *why, const struct decision *d)
{
    char explained[IPC_EXPLAIN_STEPS_BYTES];
    const struct ipc_snapshot_view *view = &why->live.view;
    const struct ipc_row_follower *row = NULL;
    const struct ipc_row_instrument *instrument = NULL;
    bool is_live = view->generation != 0 && view->generation == d->batch->generation;
    if (is_live && d->child.slot < view->follower_slots &&
        view->followers[d->child.slot].follower_no == d->child.follower_no)
        row = &view->followers[d->child.slot];
    uint32_t number = why->event.event.instrument;
    if (is_live && number >= 1 && number <= view->instrument_count)
        instrument = &view->instruments[number - 1];
    ipc_explain_decision(&why->event, d->batch, &d->child, d->is_wide ? &d->wide : NULL, row,
        instrument, explained, sizeof explained);
    ipc_text_put(&why->text, "; %s", explained);
}

static void put_sample(struct why *why, const char *name, int64_t value_e8)
{
    if (value_e8 == 0)
        return;
    ipc_text_put(&why->text, "; %s ", name);
    ipc_text_put_e8(&why->text, value_e8);
}

/* What the decision read, as it read it. */
static void samples_put(struct why *why, const struct decision *d)
{
    bool is_exit = d->is_wide ? (d->wide.flags & IPC_WIDE_EXIT) != 0 : d->batch->is_exit != 0;
    put_sample(why, is_exit ? "copied position" : "capital", d->child.sample_e8);
    int64_t price_e8 = d->batch->price_sample_e8;
    if (d->is_wide && d->wide.price_sample_e8 != 0)
        price_e8 = d->wide.price_sample_e8;
    put_sample(why, "last price", price_e8);
    if (!d->is_wide)
        return;
    put_sample(why, "equity", d->wide.equity_e8);
    put_sample(why, "balance", d->wide.balance_e8);
    put_sample(why, "free margin", d->wide.free_e8);
    if (d->wide.market_protection_e8 != 0)
        put_sample(why, "market protection (a fraction)", d->wide.market_protection_e8);
}

/* Which part of the event it is: leg of a reversal, slice, protective order. */
static void part_put(struct why *why, const struct decision *d)
{
    uint8_t flags = d->is_wide ? d->wide.flags : 0;
    if (flags & IPC_WIDE_OPEN_LEG)
        ipc_text_put(&why->text, "; the opening leg of a reversal");
    if (flags & IPC_WIDE_PROTECTS)
        ipc_text_put(&why->text, "; it protects a filled copy");
    if (flags & IPC_WIDE_ON_FILL)
        ipc_text_put(&why->text, "; copied from the master's fill");
    if (flags & IPC_WIDE_CANCEL)
        ipc_text_put(&why->text, "; a DAY limit in place of an IOC");
    if (d->orders > 1)
        ipc_text_put(
            &why->text, "; slice %u of %u", ipc_tag_action_slice(d->child.action) + 1, d->orders);
}

static void reason_put(struct why *why, uint8_t reason)
{
    ipc_text_put(&why->text, "%s: %s", ipc_reason_name((enum ipc_reason)reason),
        ipc_reason_sentence((enum ipc_reason)reason));
}

static void terms_put(struct why *why, const struct decision *d)
{
    if (!d->is_wide) {
        put_qty_terms(why, d->batch->side, d->child.qty_e8, d->batch->type, d->batch->price_e8,
            d->batch->trigger_e8, d->batch->product);
        return;
    }
    put_qty_terms(why, d->wide.side, d->child.qty_e8, d->wide.type, d->wide.price_e8,
        d->wide.trigger_e8, d->wide.product);
    if (d->wide.validity == IPC_VALIDITY_IOC)
        ipc_text_put(&why->text, " IOC");
    if (d->wide.instrument != 0 && d->wide.instrument != why->event.event.instrument)
        put_instrument(why, d->wide.instrument);
}

static bool kind_leaves(uint8_t kind)
{
    return kind == IPC_CHILD_PLACE || kind == IPC_CHILD_MODIFY || kind == IPC_CHILD_CANCEL;
}

static void decision_tell(
    struct why *why, const struct ipc_journal_entry *entry, const struct decision *d)
{
    why->is_decided = true;
    step_start(why, entry->frame, "decision");
    ipc_text_put(&why->text, "%s ", NAME(ipc_child_kind, d->child.kind));
    if (d->child.kind == IPC_CHILD_SKIP) {
        reason_put(why, d->child.reason);
        ipc_text_put(&why->text, "; quantity before it ");
        ipc_text_put_e8(&why->text, d->child.qty_e8);
    } else {
        terms_put(why, d);
        if (d->child.reason != IPC_REASON_NONE) {
            ipc_text_put(&why->text, ", ");
            reason_put(why, d->child.reason);
        }
    }
    part_put(why, d);
    samples_put(why, d);
    arithmetic_put(why, d);
    ipc_text_put(&why->text, "; follower %u, place %u of wave %llu, generation %llu, switch %s",
        d->child.follower_no, d->place, (unsigned long long)d->batch->wave,
        (unsigned long long)d->batch->generation, NAME(ipc_switch, d->batch->switch_word));
    step_end(why, entry->flags);
    why->in_flight |= kind_leaves(d->child.kind);
}

/* The wide part of the child at `index`; those of a frame ascend. */
static bool wide_find(const struct ipc_fact_batch *batch, const uint8_t *wides, uint32_t index,
    struct ipc_fact_wide *out)
{
    for (uint32_t i = 0; i < batch->wide_count; i++) {
        memcpy(out, wides + i * sizeof *out, sizeof *out);
        if (out->at == index)
            return true;
    }
    return false;
}

static uint32_t orders_of_leg(
    const struct ipc_fact_batch *batch, const uint8_t *children, const struct ipc_fact_child *child)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->child_count; i++) {
        struct ipc_fact_child other;
        memcpy(&other, children + i * sizeof other, sizeof other);
        count += other.follower_no == child->follower_no && other.kind == child->kind &&
                 ipc_tag_action_leg(other.action) == ipc_tag_action_leg(child->action) &&
                 ipc_tag_action_ordinal(other.action) == ipc_tag_action_ordinal(child->action);
    }
    return count;
}

static void batch_tell(struct why *why, const struct ipc_journal_entry *entry)
{
    struct ipc_fact_batch batch;
    if (!why->has_order || entry->frame->payload_bytes < sizeof batch)
        return;
    memcpy(&batch, entry->payload, sizeof batch);
    if (!ipc_key_equal(batch.order_key, why->order_key) ||
        ipc_journal_batch(entry->frame, &batch) < 0)
        return;
    const uint8_t *at = (const uint8_t *)entry->payload + sizeof batch;
    const uint8_t *wides = at + (size_t)batch.child_count * sizeof(struct ipc_fact_child);
    for (uint32_t i = 0; i < batch.child_count; i++) {
        struct decision d = {.batch = &batch, .place = batch.first_place + i};
        memcpy(&d.child, at + i * sizeof d.child, sizeof d.child);
        if (d.child.follower_no != why->parts.follower_no || d.child.action != why->parts.action)
            continue;
        d.is_wide = wide_find(&batch, wides, i, &d.wide);
        d.orders = orders_of_leg(&batch, at, &d.child);
        decision_tell(why, entry, &d);
    }
}

static void release_tell(struct why *why, const struct ipc_journal_entry *entry)
{
    struct ipc_fact_release fact;
    int64_t count = ipc_journal_list(entry->frame, 0, sizeof fact, entry->frame->count);
    for (int64_t i = 0; i < count; i++) {
        memcpy(&fact, (const uint8_t *)entry->payload + (size_t)i * sizeof fact, sizeof fact);
        if (memcmp(fact.tag, why->tag, sizeof fact.tag) != 0)
            continue;
        why->is_decided = true;
        step_start(why, entry->frame, "release");
        ipc_text_put(&why->text, "%s ", NAME(ipc_child_kind, fact.kind));
        ipc_text_put_e8(&why->text, fact.qty_e8);
        if (fact.price_e8 != 0) {
            ipc_text_put(&why->text, " at ");
            ipc_text_put_e8(&why->text, fact.price_e8);
        }
        if (fact.reason != IPC_REASON_NONE)
            ipc_text_put(&why->text, ", %s: %s", ipc_reason_name((enum ipc_reason)fact.reason),
                ipc_reason_sentence((enum ipc_reason)fact.reason));
        ipc_text_put(&why->text, "; request %u", fact.request_no);
        step_end(why, entry->flags);
        why->in_flight |= kind_leaves(fact.kind);
    }
}

static void outcome_tell(struct why *why, const struct ipc_fact_reply *fact)
{
    const struct ipc_outcome *outcome = &fact->outcome;
    ipc_text_put(&why->text, "%s %s, evidence %s", NAME(ipc_action, fact->action),
        NAME(ipc_outcome_class, outcome->outcome), NAME(ipc_evidence, outcome->evidence));
    if (outcome->http_status != 0)
        ipc_text_put(&why->text, ", HTTP %u", outcome->http_status);
    if (outcome->stream_id != 0)
        ipc_text_put(&why->text, ", stream %u", outcome->stream_id);
    if (outcome->h2_error != 0)
        ipc_text_put(&why->text, ", HTTP/2 error %u", outcome->h2_error);
    if (outcome->broker_order_id[0] != '\0') {
        ipc_text_put(&why->text, ", broker order id ");
        put_foreign(why, outcome->broker_order_id, sizeof outcome->broker_order_id);
    }
    if (outcome->code[0] != '\0') {
        ipc_text_put(&why->text, ", code ");
        put_foreign(why, outcome->code, sizeof outcome->code);
    }
    if (outcome->text[0] != '\0') {
        ipc_text_put(&why->text, ", the broker says '");
        put_foreign(why, outcome->text, sizeof outcome->text);
        ipc_text_put(&why->text, "'");
    }
    if (fact->accepted_mono_ns != 0)
        ipc_text_put(&why->text, "; handed to the kernel at %+lld us, answered %lld us later",
            (long long)(ipc_text_span(why->zero_mono_ns, fact->accepted_mono_ns) / LS_NS_PER_US),
            (long long)(ipc_text_span(fact->accepted_mono_ns, fact->parsed_mono_ns) /
                        LS_NS_PER_US));
    else
        ipc_text_put(&why->text, "; no byte of it was handed to the kernel");
    ipc_text_put(&why->text, "; request %u", fact->request_no);
}

static void reply_tell(struct why *why, const struct ipc_journal_entry *entry)
{
    struct ipc_fact_reply fact;
    int64_t count = ipc_journal_list(entry->frame, 0, sizeof fact, entry->frame->count);
    for (int64_t i = 0; i < count; i++) {
        memcpy(&fact, (const uint8_t *)entry->payload + (size_t)i * sizeof fact, sizeof fact);
        if (memcmp(fact.tag, why->tag, sizeof fact.tag) != 0)
            continue;
        why->is_decided = true;
        step_start(why, entry->frame, "reply");
        outcome_tell(why, &fact);
        step_end(why, entry->flags);
        if (fact.outcome.outcome == IPC_OUTCOME_ACKED && fact.outcome.broker_order_id[0] != '\0')
            memcpy(why->broker_order_id, fact.outcome.broker_order_id, sizeof why->broker_order_id);
        why->in_flight = false;
    }
}

static void update_tell(struct why *why, const struct ipc_journal_entry *entry)
{
    struct ipc_fact_event fact;
    if (entry->frame->payload_bytes < sizeof fact)
        return;
    memcpy(&fact, entry->payload, sizeof fact);
    const struct ipc_event *event = &fact.event;
    bool by_tag = memcmp(event->client_tag, why->tag, sizeof event->client_tag) == 0;
    bool by_id =
        why->broker_order_id[0] != '\0' &&
        memcmp(event->broker_order_id, why->broker_order_id, sizeof event->broker_order_id) == 0 &&
        (why->account == 0 || why->account == event->account);
    if (event->kind != IPC_EVENT_ORDER || (!by_tag && !by_id))
        return;
    why->account = event->account;
    why->is_decided = true;
    step_start(why, entry->frame, "book");
    ipc_text_put(&why->text, "account %u, order ", event->account);
    put_foreign(why, event->broker_order_id, sizeof event->broker_order_id);
    ipc_text_put(&why->text, ": %s, filled ", NAME(ipc_status, event->status));
    ipc_text_put_e8(&why->text, event->filled_qty_e8);
    ipc_text_put(&why->text, " of ");
    ipc_text_put_e8(&why->text, event->qty_e8);
    if (event->filled_qty_e8 != 0) {
        ipc_text_put(&why->text, " at ");
        ipc_text_put_e8(&why->text, event->average_price_e8);
    }
    if (event->reject_code[0] != '\0') {
        ipc_text_put(&why->text, ", code ");
        put_foreign(why, event->reject_code, sizeof event->reject_code);
    }
    ipc_text_put(&why->text, ", matched by %s", by_tag ? "tag" : "order id");
    step_end(why, entry->flags);
}

static void open_tell(struct why *why, const struct ipc_journal_entry *entry)
{
    struct ipc_fact_open fact;
    if (!why->in_flight || entry->frame->payload_bytes < sizeof fact)
        return;
    memcpy(&fact, entry->payload, sizeof fact);
    step_start(why, entry->frame, "restart");
    ipc_text_put(&why->text,
        "the engine was started again%s; the request had no answer: its outcome is UNKNOWN",
        fact.same_boot != 0 ? "" : " after a reboot");
    step_end(why, entry->flags);
    why->in_flight = false;
}

static void alarm_tell(struct why *why, const struct ipc_journal_entry *entry)
{
    struct ipc_fact_alarm fact;
    if (entry->frame->payload_bytes < sizeof fact)
        return;
    memcpy(&fact, entry->payload, sizeof fact);
    if (memcmp(fact.tag, why->tag, sizeof fact.tag) != 0)
        return;
    step_start(why, entry->frame, "alarm");
    ipc_text_put(&why->text, "%s: ", NAME(ipc_alarm, fact.alarm));
    put_foreign(why, fact.text, sizeof fact.text);
    step_end(why, entry->flags);
}

/* What a book that was asked, or the time, made of this order. */
static void recon_tell(struct why *why, const struct ipc_journal_entry *entry)
{
    const struct ipc_fact_recon *recon = (const void *)entry->payload;
    const uint32_t bytes = entry->frame->payload_bytes;
    if (bytes < sizeof *recon || bytes < ipc_fact_recon_bytes(recon))
        return;
    if (recon->act == IPC_RECON_ACT_ORPHAN) {
        if (memcmp(ipc_fact_recon_orphan(recon)->tag, why->tag, IPC_TAG_BYTES) != 0)
            return;
        why->is_decided = true;
        step_start(why, entry->frame, "orphan");
        ipc_text_put(&why->text, "found at the broker and not known here: adopted, order ");
        put_foreign(
            why, ipc_fact_recon_orphan(recon)->event.broker_order_id, IPC_BROKER_ORDER_ID_BYTES);
        step_end(why, entry->flags);
        return;
    }
    for (uint32_t i = 0; i < recon->child_count; i++) {
        const struct ipc_fact_recon_child *child = &ipc_fact_recon_children(recon)[i];
        if (memcmp(child->tag, why->tag, sizeof child->tag) != 0)
            continue;
        step_start(why, entry->frame, "reconcile");
        ipc_text_put(&why->text, "%s", NAME(ipc_verdict, child->verdict));
        if (recon->act == IPC_RECON_ACT_ASK)
            ipc_text_put(&why->text, ": book %u of account %u, because %s", recon->ask_no,
                recon->account, NAME(ipc_recon_why, recon->why));
        if (recon->act == IPC_RECON_ACT_ANSWER)
            ipc_text_put(&why->text, ": book %u of account %u, HTTP %u, %s, %u orders%s",
                recon->ask_no, recon->account, recon->http_status, NAME(ipc_book, recon->result),
                recon->order_count,
                (recon->flags & IPC_RECON_SENTINEL) != 0 ? ", with a sentinel" : "");
        step_end(why, entry->flags);
    }
}

static void catch_up_tell(struct why *why, const struct ipc_journal_entry *entry)
{
    struct ipc_fact_catch_up fact;
    if (entry->frame->payload_bytes < sizeof fact)
        return;
    memcpy(&fact, entry->payload, sizeof fact);
    if (memcmp(fact.tag, why->tag, sizeof fact.tag) != 0)
        return;
    step_start(why, entry->frame, "catch-up");
    ipc_text_put(&why->text, "by ");
    put_foreign(why, fact.by, sizeof fact.by);
    if (fact.refused != 0) {
        ipc_text_put(&why->text, ", refused: ");
        put_foreign(why, fact.text, sizeof fact.text);
    }
    step_end(why, entry->flags);
}

static void resolve_tell(struct why *why, const struct ipc_journal_entry *entry)
{
    struct ipc_fact_resolve fact;
    if (entry->frame->payload_bytes < sizeof fact)
        return;
    memcpy(&fact, entry->payload, sizeof fact);
    if (memcmp(fact.tag, why->tag, sizeof fact.tag) != 0)
        return;
    step_start(why, entry->frame, "resolve");
    ipc_text_put(&why->text, "by ");
    put_foreign(why, fact.by, sizeof fact.by);
    ipc_text_put(&why->text, fact.refused != 0 ? ", refused: " : ": ");
    put_foreign(why, fact.text, sizeof fact.text);
    if (fact.filled_qty_e8 != 0) {
        ipc_text_put(&why->text, ": ");
        ipc_text_put_e8(&why->text, fact.filled_qty_e8);
        ipc_text_put(&why->text, " at ");
        ipc_text_put_e8(&why->text, fact.average_price_e8);
    }
    step_end(why, entry->flags);
}

static void frame_tell(struct why *why, const struct ipc_journal_entry *entry)
{
    if (!ipc_fact_type_valid(entry->frame->type))
        return;
    switch ((enum ipc_fact_type)entry->frame->type) {
    case IPC_FACT_OPEN:
        open_tell(why, entry);
        break;
    case IPC_FACT_EVENT:
        event_tell(why, entry);
        break;
    case IPC_FACT_BATCH:
        batch_tell(why, entry);
        break;
    case IPC_FACT_RELEASE:
        release_tell(why, entry);
        break;
    case IPC_FACT_REPLY:
        reply_tell(why, entry);
        break;
    case IPC_FACT_UPDATE:
        update_tell(why, entry);
        break;
    case IPC_FACT_ALARM:
        alarm_tell(why, entry);
        break;
    case IPC_FACT_ADOPT:
    case IPC_FACT_CHECKPOINT:
    case IPC_FACT_BOOK:
    case IPC_FACT_LIMIT:
    case IPC_FACT_GUARD:
    case IPC_FACT_ACCOUNT:
    case IPC_FACT_POSITIONS:
    case IPC_FACT_DAY:
        break;
    case IPC_FACT_RECON:
        recon_tell(why, entry);
        break;
    case IPC_FACT_CATCH_UP:
        catch_up_tell(why, entry);
        break;
    case IPC_FACT_RESOLVE:
        resolve_tell(why, entry);
        break;
    }
}

/* Reads one shard's journal; false when a damaged place ended it early. */
static bool shard_tell(struct why *why, struct ipc_journal_reader *reader, struct ipc_error *error)
{
    struct ipc_journal_entry entry;
    for (;;) {
        enum ipc_journal_step step = ipc_journal_reader_next(reader, &entry);
        if (step == IPC_JOURNAL_FRAME)
            frame_tell(why, &entry);
        else if (step == IPC_JOURNAL_END)
            return true;
        else if (step != IPC_JOURNAL_HOLE) {
            *error = entry.error;
            return false;
        }
    }
}

static int story_print(struct why *why, bool whole, const struct ipc_error *error, int shards)
{
    if (why->cli->json)
        printf("{\"tag\":\"%s\",\"follower_no\":%u,\"order_digits\":%llu,\"leg\":%u,\"slice\":%u,"
               "\"ordinal\":%u,\"order_seen\":%s,\"decided\":%s,\"in_flight\":%s,\"whole\":%s,"
               "\"story\":[%s]}\n",
            why->tag, why->parts.follower_no, (unsigned long long)why->parts.order_digits,
            ipc_tag_action_leg(why->parts.action), ipc_tag_action_slice(why->parts.action),
            ipc_tag_action_ordinal(why->parts.action), why->has_order ? "true" : "false",
            why->is_decided ? "true" : "false", why->in_flight ? "true" : "false",
            whole ? "true" : "false", why->bytes);
    else if (why->steps > 0)
        printf("%s: follower %u, leg %u, slice %u, ordinal %u\n%s", why->tag,
            why->parts.follower_no, ipc_tag_action_leg(why->parts.action),
            ipc_tag_action_slice(why->parts.action), ipc_tag_action_ordinal(why->parts.action),
            why->bytes);
    if (!why->cli->json && why->in_flight)
        printf("a request is on its way; its answer is not recorded yet\n");
    if (why->text.is_cut)
        return ctl_refuse("the story is longer than can be shown");
    if (!whole)
        return ctl_refuse("%s", error->text);
    if (why->steps == 0)
        return ctl_refuse(
            "%s is not in the journal of %d shard%s", why->tag, shards, shards == 1 ? "" : "s");
    if (!why->is_decided)
        return ctl_refuse(
            "the master's order was seen, but nothing was decided under this tag: follower %u "
            "is not among its followers, or has not been reached yet",
            why->parts.follower_no);
    return CTL_DONE;
}

/* Reads the live snapshot when there is one; without it the story is told all the same. */
static void live_take(struct why *why)
{
    struct ipc_error error;
    struct ctl_live *live = &why->live;
    live->shm.fd = -1;
    if (ipc_shm_open(&live->shm, NULL, why->cli->instance, false, &error) != IPC_OK)
        return;
    if (ctl_snapshot_read_live(&live->shm, &live->image, &live->memory, &error) != IPC_OK)
        return;
    ipc_snapshot_view_of(&live->image, &live->view);
    uint64_t bytes = ipc_snapshot_scratch_bytes(&live->view) + 8;
    void *scratch = malloc(bytes);
    if (scratch == NULL || ipc_snapshot_validate(&live->view, scratch, bytes, &error) != IPC_OK)
        memset(&live->view, 0, sizeof live->view);
    free(scratch);
}

static int why_run(struct why *why, const struct ctl_journal_options *options)
{
    struct ipc_error error = {{0}};
    uint32_t first = options->has_shard ? options->shard : 0;
    uint32_t last = options->has_shard ? options->shard : CTL_SHARDS_MAX - 1;
    int shards = 0;
    bool whole = true;
    for (uint32_t shard = first; shard <= last && whole; shard++) {
        struct ipc_journal_reader *reader;
        enum ipc_rc rc = ctl_journal_reader_open(why->cli, options, shard, &reader, &error);
        if (rc == IPC_NOT_FOUND && !options->has_shard)
            continue;
        if (rc != IPC_OK)
            return ctl_refuse("%s", error.text);
        shards++;
        whole = shard_tell(why, reader, &error);
        ipc_journal_reader_close(reader);
    }
    if (shards == 0)
        return ctl_refuse("%s", error.text);
    return story_print(why, whole, &error, shards);
}

int ctl_why_main(const struct ctl_cli *cli, int argc, char **argv)
{
    struct ctl_journal_options options;
    int result = ctl_journal_options_take("why", argc, argv, &options);
    if (result != CTL_DONE)
        return result;
    if (options.help) {
        fputs(help_text, stdout);
        return CTL_DONE;
    }
    if (options.word_count != 1 || options.follow || options.type != 0 || options.from_lsn != 0 ||
        options.to_lsn != UINT64_MAX)
        return ctl_usage("why", "one TAG is wanted, with --shard, --disk or --json");
    struct why why = {.cli = cli};
    const char *tag = options.words[0];
    if (ipc_tag_parse(tag, strlen(tag), &why.parts) != IPC_OK)
        return ctl_usage("why", "'%s' is not one of our tags (19 characters, as %s)", tag,
            "L000000000000010000");
    memcpy(why.tag, tag, IPC_TAG_CHARACTERS);
    why.bytes = malloc(IPC_JOURNAL_TEXT_BYTES);
    if (why.bytes == NULL)
        return ctl_refuse("no memory");
    ipc_text_start(&why.text, why.bytes, IPC_JOURNAL_TEXT_BYTES);
    live_take(&why);
    result = why_run(&why, &options);
    ctl_live_close(&why.live);
    free(why.bytes);
    return result;
}
