/* journal_render.c: the two renderings of each fact. One function per fact and form; the content of
 * a fact is copied out of the frame first, so that alignment and size are settled in one place. */
#include "ipc/journal_text.h"
#include "ipc/reason.h"
#include "ipc/tag.h"

#include <string.h>

#define NAME(tag, value) (tag##_valid(value) ? tag##_name((enum tag)(value)) : "?")

struct render {
    struct ipc_text *text;
    const struct ipc_journal_orders *orders;
    const struct ipc_frame *frame;
    bool json;
};

static const char *reason_name(uint8_t reason)
{
    return ipc_reason_name((enum ipc_reason)reason);
}

/* Copies the fixed part of a payload; false when the payload is shorter. */
static bool fixed_take(const struct render *render, void *out, size_t bytes)
{
    if (render->frame->payload_bytes < bytes)
        return false;
    memcpy(out, render->frame + 1, bytes);
    return true;
}

static const uint8_t *list_at(const struct render *render, size_t fixed_bytes)
{
    return (const uint8_t *)(render->frame + 1) + fixed_bytes;
}

static void put_hex(struct ipc_text *text, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ipc_text_put(text, "%02x", bytes[i]);
}

/* " name=value" in a line, ",\"name\":value" in JSON. */
/* JSON readers take numbers up to 2^63; what is above can only be damage, and becomes a string. */
static void put_u64(const struct render *render, const char *name, uint64_t value)
{
    bool quoted = render->json && value > INT64_MAX;
    ipc_text_put(render->text, render->json ? ",\"%s\":" : " %s=", name);
    ipc_text_put(render->text, quoted ? "\"%llu\"" : "%llu", (unsigned long long)value);
}

static void put_i64(const struct render *render, const char *name, int64_t value)
{
    ipc_text_put(render->text, render->json ? ",\"%s\":%lld" : " %s=%lld", name, (long long)value);
}

static void put_e8(const struct render *render, const char *name, int64_t value_e8)
{
    ipc_text_put(render->text, render->json ? ",\"%s\":" : " %s=", name);
    ipc_text_put_e8(render->text, value_e8);
}

static void put_word(const struct render *render, const char *name, const char *word)
{
    ipc_text_put(render->text, render->json ? ",\"%s\":\"%s\"" : " %s=%s", name, word);
}

/* Text from a peer; left out when empty. */
static void put_text(const struct render *render, const char *name, const char *from, size_t bytes)
{
    if (bytes == 0 || from[0] == '\0')
        return;
    ipc_text_put(render->text, render->json ? ",\"%s\":" : " %s=", name);
    bool quoted = !render->json && memchr(from, ' ', strnlen(from, bytes)) != NULL;
    if (render->json || quoted)
        ipc_text_put_json(render->text, from, bytes);
    else
        ipc_text_put_clean(render->text, from, bytes);
}

static void put_key(const struct render *render, const char *name, struct ipc_key key)
{
    ipc_text_put(render->text, render->json ? ",\"%s\":\"%016llx%016llx\"" : " %s=%016llx%016llx",
        name, (unsigned long long)key.word[0], (unsigned long long)key.word[1]);
}

static bool render_open(const struct render *render)
{
    struct ipc_fact_open fact;
    if (!fixed_take(render, &fact, sizeof fact))
        return false;
    put_u64(render, "shard", fact.shard);
    put_text(render, "cluster", fact.cluster_id, sizeof fact.cluster_id);
    put_u64(render, "previous_lsn", fact.previous_lsn);
    put_u64(render, "same_boot", fact.same_boot);
    put_u64(render, "dropped_bytes", fact.dropped_bytes);
    put_u64(render, "unknown_children", fact.unknown_children);
    put_word(render, "tier", fact.tier == 0 ? "process" : fact.tier == 1 ? "power" : "?");
    ipc_text_put(render->text,
        render->json ? ",\"state_hash\":\"%016llx\",\"engine\":\"" : " state_hash=%016llx engine=",
        (unsigned long long)fact.state_hash);
    put_hex(render->text, fact.engine_uuid, sizeof fact.engine_uuid);
    ipc_text_put(render->text, render->json ? "\",\"boot\":\"" : " boot=");
    put_hex(render->text, fact.boot_id, sizeof fact.boot_id);
    ipc_text_put(render->text, render->json ? "\"" : "");
    return true;
}

static bool render_adopt(const struct render *render)
{
    struct ipc_fact_adopt fact;
    if (!fixed_take(render, &fact, sizeof fact))
        return false;
    put_u64(render, "generation", fact.generation);
    put_u64(render, "follower_slots", fact.follower_slots);
    put_u64(render, "enabled_followers", fact.enabled_followers);
    put_e8(render, "total_multiplier", fact.total_multiplier_e8);
    put_e8(render, "largest_multiplier", fact.largest_multiplier_e8);
    ipc_text_put(render->text,
        render->json ? ",\"content_hash\":\"%016llx\"" : " content_hash=%016llx",
        (unsigned long long)fact.content_hash);
    return true;
}

static void render_terms(
    const struct render *render, uint8_t side, uint8_t type, uint8_t product, uint8_t validity)
{
    put_word(render, "side", NAME(ipc_side, side));
    put_word(render, "type", NAME(ipc_type, type));
    put_word(render, "product", NAME(ipc_product, product));
    put_word(render, "validity", NAME(ipc_validity, validity));
}

static bool render_event(const struct render *render)
{
    struct ipc_fact_event fact;
    if (!fixed_take(render, &fact, sizeof fact))
        return false;
    const struct ipc_event *event = &fact.event;
    put_word(render, "kind", NAME(ipc_event_kind, event->kind));
    put_u64(render, "account", event->account);
    if (event->kind != IPC_EVENT_ORDER) {
        put_u64(render, "book_orders", event->book_order_count);
        return true;
    }
    put_word(render, "transition", NAME(ipc_transition, fact.transition));
    put_word(render, "status", NAME(ipc_status, event->status));
    render_terms(render, event->side, event->type, event->product, event->validity);
    put_u64(render, "instrument", event->instrument);
    put_e8(render, "qty", event->qty_e8);
    put_e8(render, "price", event->price_e8);
    if (event->trigger_e8 != 0)
        put_e8(render, "trigger", event->trigger_e8);
    put_e8(render, "filled", event->filled_qty_e8);
    if (event->filled_qty_e8 != 0)
        put_e8(render, "average_price", event->average_price_e8);
    put_text(render, "order_id", event->broker_order_id, sizeof event->broker_order_id);
    put_text(render, "tag", event->client_tag, sizeof event->client_tag);
    put_text(render, "reject_code", event->reject_code, sizeof event->reject_code);
    put_word(render, "source", NAME(ipc_source, event->source));
    put_u64(render, "wave", fact.wave);
    if (fact.transition == IPC_TRANSITION_FOLLOW_UP) { /* an own order, of one follower */
        put_u64(render, "follower", event->book_order_count);
        put_u64(render, "incarnation", fact.follower_count);
        put_word(render, "flatten",
            fact.ring_sequence == IPC_FLATTEN_BEGINS  ? "begins"
            : fact.ring_sequence == IPC_FLATTEN_AGAIN ? "again"
                                                      : "given-up");
    } else {
        put_u64(render, "followers", fact.follower_count);
    }
    put_u64(render, "reduces", fact.reduces);
    put_e8(render, "master_position", fact.master_position_e8);
    put_i64(render, "age_ns", ipc_text_span(event->received_mono_ns, render->frame->mono_ns));
    put_i64(render, "feed_lag_ns", event->feed_lag_ns);
    if (render->json) {
        put_key(render, "order_key", event->order_key);
        put_key(render, "event_key", event->event_key);
        put_i64(render, "version", event->version);
        put_u64(render, "order_digits", event->order_digits);
        put_i64(render, "received_mono_ns", event->received_mono_ns);
        put_i64(render, "published_mono_ns", event->published_mono_ns);
        put_i64(render, "broker_wall_ns", event->broker_wall_ns);
        put_u64(render, "own_tag", (event->flags & IPC_EVENT_OWN_TAG) != 0);
        put_u64(render, "from_book", (event->flags & IPC_EVENT_FROM_BOOK) != 0);
        put_e8(render, "stop", event->stop_e8);
        put_e8(render, "target", event->target_e8);
        put_e8(render, "trail", event->trail_e8);
        put_u64(render, "ring_sequence", fact.ring_sequence);
        put_u64(render, "producer", fact.producer);
    }
    return true;
}

/* What of a child is not as in the batch. */
static void render_wide(const struct render *render, const struct ipc_fact_wide *wide)
{
    if (!render->json) {
        ipc_text_put(render->text, " [%s%s%s%s %s ", wide->flags & IPC_WIDE_OPEN_LEG ? "open " : "",
            wide->flags & IPC_WIDE_PROTECTS ? "protects " : "",
            wide->flags & IPC_WIDE_ON_FILL ? "on-fill " : "", NAME(ipc_side, wide->side),
            NAME(ipc_type, wide->type));
        ipc_text_put_e8(render->text, wide->price_e8);
        ipc_text_put(render->text, "]");
        return;
    }
    ipc_text_put(render->text, ",\"wide\":{\"exit\":%u", (wide->flags & IPC_WIDE_EXIT) != 0);
    put_u64(render, "on_fill", (wide->flags & IPC_WIDE_ON_FILL) != 0);
    put_u64(render, "open_leg", (wide->flags & IPC_WIDE_OPEN_LEG) != 0);
    put_u64(render, "cancel_after", (wide->flags & IPC_WIDE_CANCEL) != 0);
    put_u64(render, "protects", (wide->flags & IPC_WIDE_PROTECTS) != 0);
    if (wide->sibling != 0)
        put_u64(render, "sibling_action", wide->sibling - 1);
    put_u64(render, "instrument", wide->instrument);
    render_terms(render, wide->side, wide->type, wide->product, wide->validity);
    put_e8(render, "price", wide->price_e8);
    put_e8(render, "trigger", wide->trigger_e8);
    put_e8(render, "market_protection", wide->market_protection_e8);
    put_e8(render, "price_sample", wide->price_sample_e8);
    put_e8(render, "equity", wide->equity_e8);
    put_e8(render, "balance", wide->balance_e8);
    put_e8(render, "free", wide->free_e8);
    put_e8(render, "run_sum", wide->run_sum_e8);
    put_e8(render, "run_granted", wide->run_granted_e8);
    ipc_text_put(render->text, ",\"steps\":[");
    for (uint32_t i = 0; i < wide->step_count && i < IPC_WIDE_STEPS; i++) {
        ipc_text_put(render->text, "%s{\"step\":\"%s\"", i == 0 ? "" : ",",
            ipc_step_code_name(wide->steps[i].code));
        put_e8(render, "value", wide->steps[i].value_e8);
        put_word(render, "reason", reason_name(wide->steps[i].reason));
        ipc_text_put(render->text, "}");
    }
    ipc_text_put(render->text, "]}");
}

static void render_child(const struct render *render, const struct ipc_fact_batch *batch,
    const struct ipc_fact_child *child, const struct ipc_fact_wide *wide, uint32_t index)
{
    char tag[IPC_TAG_BYTES];
    ipc_journal_tag(render->orders, batch->order_key, child, tag);
    if (!render->json) {
        ipc_text_put(render->text, " | %s %s ", tag[0] == '?' ? "follower" : tag,
            NAME(ipc_child_kind, child->kind));
        ipc_text_put_e8(render->text, child->qty_e8);
        if (tag[0] == '?')
            ipc_text_put(render->text, " no=%u action=%u", child->follower_no, child->action);
        if (child->reason != IPC_REASON_NONE)
            ipc_text_put(render->text, " %s", reason_name(child->reason));
        if (wide != NULL)
            render_wide(render, wide);
        return;
    }
    ipc_text_put(
        render->text, "%s{\"place\":%u", index == 0 ? "" : ",", batch->first_place + index);
    put_u64(render, "follower_no", child->follower_no);
    put_u64(render, "incarnation", child->incarnation);
    put_u64(render, "slot", child->slot);
    put_u64(render, "action", child->action);
    put_word(render, "tag", tag);
    put_word(render, "kind", NAME(ipc_child_kind, child->kind));
    put_word(render, "reason", reason_name(child->reason));
    put_e8(render, "qty", child->qty_e8);
    put_e8(render, "sample", child->sample_e8);
    if (wide != NULL)
        render_wide(render, wide);
    ipc_text_put(render->text, "}");
}

static bool render_batch(const struct render *render)
{
    struct ipc_fact_batch batch;
    if (!fixed_take(render, &batch, sizeof batch))
        return false;
    int64_t children = ipc_journal_batch(render->frame, &batch);
    if (children < 0)
        return false;
    put_u64(render, "wave", batch.wave);
    put_u64(render, "event_lsn", batch.event_lsn);
    put_word(render, "transition", NAME(ipc_transition, batch.transition));
    put_u64(render, "is_exit", batch.is_exit);
    render_terms(render, batch.side, batch.type, batch.product, batch.validity);
    put_e8(render, "price", batch.price_e8);
    if (batch.trigger_e8 != 0)
        put_e8(render, "trigger", batch.trigger_e8);
    put_e8(render, "price_sample", batch.price_sample_e8);
    put_u64(render, "generation", batch.generation);
    put_word(render, "switch", NAME(ipc_switch, batch.switch_word));
    put_u64(render, "switch_sequence", batch.switch_sequence);
    if (render->json) {
        put_key(render, "order_key", batch.order_key);
        put_i64(render, "price_mono_ns", batch.price_mono_ns);
        ipc_text_put(render->text, ",\"children\":[");
    }
    const uint8_t *at = list_at(render, sizeof batch);
    const uint8_t *wides = at + (size_t)children * sizeof(struct ipc_fact_child);
    uint32_t next = 0;
    for (uint32_t i = 0; i < (uint32_t)children; i++) {
        struct ipc_fact_child child;
        struct ipc_fact_wide wide = {.at = UINT8_MAX};
        memcpy(&child, at + i * sizeof child, sizeof child);
        if (next < batch.wide_count)
            memcpy(&wide, wides + next * sizeof wide, sizeof wide);
        bool is_wide = wide.at == i;
        next += is_wide;
        render_child(render, &batch, &child, is_wide ? &wide : NULL, i);
    }
    ipc_text_put(render->text, render->json ? "]" : "");
    return true;
}

/* The brackets of a list whose elements are whole facts. */
static void element_start(
    const struct render *render, uint32_t index, const char tag[IPC_TAG_BYTES])
{
    if (render->json) {
        ipc_text_put(render->text, "%s{\"tag\":", index == 0 ? "" : ",");
        ipc_text_put_json(render->text, tag, IPC_TAG_BYTES);
        return;
    }
    ipc_text_put(render->text, index == 0 ? " " : " | ");
    ipc_text_put_clean(render->text, tag, IPC_TAG_BYTES);
}

static bool render_release(const struct render *render)
{
    struct ipc_fact_release fact;
    int64_t count = ipc_journal_list(render->frame, 0, sizeof fact, render->frame->count);
    if (count < 0)
        return false;
    ipc_text_put(render->text, render->json ? ",\"releases\":[" : "");
    for (uint32_t i = 0; i < (uint32_t)count; i++) {
        memcpy(&fact, list_at(render, i * sizeof fact), sizeof fact);
        element_start(render, i, fact.tag);
        put_word(render, "kind", NAME(ipc_child_kind, fact.kind));
        put_word(render, "reason", reason_name(fact.reason));
        put_u64(render, "request_no", fact.request_no);
        put_e8(render, "qty", fact.qty_e8);
        put_e8(render, "price", fact.price_e8);
        ipc_text_put(render->text, render->json ? "}" : "");
    }
    ipc_text_put(render->text, render->json ? "]" : "");
    return true;
}

static bool render_reply(const struct render *render)
{
    struct ipc_fact_reply fact;
    int64_t count = ipc_journal_list(render->frame, 0, sizeof fact, render->frame->count);
    if (count < 0)
        return false;
    ipc_text_put(render->text, render->json ? ",\"replies\":[" : "");
    for (uint32_t i = 0; i < (uint32_t)count; i++) {
        memcpy(&fact, list_at(render, i * sizeof fact), sizeof fact);
        const struct ipc_outcome *outcome = &fact.outcome;
        element_start(render, i, fact.tag);
        put_word(render, "action", NAME(ipc_action, fact.action));
        put_word(render, "outcome", NAME(ipc_outcome_class, outcome->outcome));
        put_word(render, "evidence", NAME(ipc_evidence, outcome->evidence));
        put_u64(render, "http", outcome->http_status);
        put_u64(render, "stream", outcome->stream_id);
        if (outcome->h2_error != 0)
            put_u64(render, "h2_error", outcome->h2_error);
        put_text(render, "order_id", outcome->broker_order_id, sizeof outcome->broker_order_id);
        put_text(render, "code", outcome->code, sizeof outcome->code);
        put_text(render, "text", outcome->text, sizeof outcome->text);
        put_u64(render, "request_no", fact.request_no);
        if (fact.accepted_mono_ns != 0)
            put_i64(
                render, "answered_ns", ipc_text_span(fact.accepted_mono_ns, fact.parsed_mono_ns));
        if (render->json) {
            put_i64(render, "accepted_mono_ns", fact.accepted_mono_ns);
            put_i64(render, "parsed_mono_ns", fact.parsed_mono_ns);
        }
        ipc_text_put(render->text, render->json ? "}" : "");
    }
    ipc_text_put(render->text, render->json ? "]" : "");
    return true;
}

static bool render_alarm(const struct render *render)
{
    struct ipc_fact_alarm fact;
    if (!fixed_take(render, &fact, sizeof fact))
        return false;
    put_word(render, "alarm", NAME(ipc_alarm, fact.alarm));
    put_u64(render, "account", fact.account);
    put_text(render, "tag", fact.tag, sizeof fact.tag);
    put_text(render, "text", fact.text, sizeof fact.text);
    return true;
}

static void render_recon_children(const struct render *render, const struct ipc_fact_recon *recon)
{
    ipc_text_put(render->text, render->json ? ",\"children\":[" : "");
    for (uint32_t i = 0; i < recon->child_count; i++) {
        const struct ipc_fact_recon_child *child = &ipc_fact_recon_children(recon)[i];
        element_start(render, i, child->tag);
        put_word(render, "verdict", NAME(ipc_verdict, child->verdict));
        put_u64(render, "absences", child->absences);
        ipc_text_put(render->text, render->json ? "}" : "");
    }
    ipc_text_put(render->text, render->json ? "]" : "");
}

static bool render_recon(const struct render *render)
{
    const struct ipc_fact_recon *recon = (const void *)list_at(render, 0);
    if (render->frame->payload_bytes < sizeof *recon ||
        render->frame->payload_bytes < ipc_fact_recon_bytes(recon) ||
        recon->child_count > IPC_RECON_CHILDREN_MAX)
        return false;
    put_word(render, "act", NAME(ipc_recon_act, recon->act));
    put_u64(render, "account", recon->account);
    if (recon->why != 0)
        put_word(render, "why", NAME(ipc_recon_why, recon->why));
    put_text(render, "by", recon->by, sizeof recon->by);
    put_u64(render, "ask_no", recon->ask_no);
    if (recon->act == IPC_RECON_ACT_ORPHAN) {
        const struct ipc_fact_orphan *orphan = ipc_fact_recon_orphan(recon);
        put_text(render, "tag", orphan->tag, sizeof orphan->tag);
        put_text(render, "broker_order_id", orphan->event.broker_order_id,
            sizeof orphan->event.broker_order_id);
        put_u64(render, "follower_no", orphan->follower_no);
        put_u64(render, "orphan_flags", orphan->flags);
        return true;
    }
    if (recon->act == IPC_RECON_ACT_ANSWER) {
        put_word(render, "result", NAME(ipc_book, recon->result));
        put_u64(render, "http_status", recon->http_status);
        put_u64(render, "orders", recon->order_count);
        put_u64(render, "own", recon->own_count);
        put_u64(render, "flags", recon->flags);
    }
    render_recon_children(render, recon);
    return true;
}

static bool render_catch_up(const struct render *render)
{
    struct ipc_fact_catch_up fact;
    if (!fixed_take(render, &fact, sizeof fact))
        return false;
    put_text(render, "tag", fact.tag, sizeof fact.tag);
    put_text(render, "by", fact.by, sizeof fact.by);
    put_u64(render, "refused", fact.refused);
    put_text(render, "text", fact.text, sizeof fact.text);
    return true;
}

static bool render_resolve(const struct render *render)
{
    struct ipc_fact_resolve fact;
    if (!fixed_take(render, &fact, sizeof fact))
        return false;
    put_text(render, "tag", fact.tag, sizeof fact.tag);
    put_text(render, "by", fact.by, sizeof fact.by);
    put_e8(render, "filled", fact.filled_qty_e8);
    put_e8(render, "price", fact.average_price_e8);
    put_u64(render, "refused", fact.refused);
    put_text(render, "text", fact.text, sizeof fact.text);
    return true;
}

static bool render_account(const struct render *render)
{
    struct ipc_fact_account fact;
    if (!fixed_take(render, &fact, sizeof fact))
        return false;
    put_u64(render, "account", fact.account);
    put_u64(render, "instrument", fact.instrument);
    put_word(render, "product", NAME(ipc_product, fact.product));
    put_word(render, "side", NAME(ipc_side, fact.side));
    put_text(render, "order", fact.broker_order_id, sizeof fact.broker_order_id);
    put_e8(render, "filled", fact.filled_qty_e8);
    put_e8(render, "own", fact.net_e8);
    for (uint32_t i = 0; i < fact.change_count && i < IPC_ACCOUNT_CHANGES; i++) {
        put_u64(render, "follower", fact.changes[i].follower_no);
        put_e8(render, "lost", fact.changes[i].lost_e8);
    }
    return true;
}

static bool render_positions(const struct render *render)
{
    struct ipc_fact_positions fact;
    if (!fixed_take(render, &fact, sizeof fact))
        return false;
    put_u64(render, "account", fact.account);
    put_word(render, "result", NAME(ipc_book, fact.result));
    put_u64(render, "compared", fact.compared);
    put_u64(render, "differing", fact.differing);
    put_text(render, "by", fact.by, sizeof fact.by);
    ipc_text_put(render->text, render->json ? ",\"differences\":[" : "");
    for (uint32_t i = 0; i < fact.line_count && i < IPC_POSITION_LINES_MAX; i++) {
        const struct ipc_fact_position_line *line = &fact.lines[i];
        ipc_text_put(render->text, !render->json ? " |" : i == 0 ? "{" : ",{");
        ipc_text_put(
            render->text, render->json ? "\"instrument\":%u" : " instrument=%u", line->instrument);
        put_word(render, "product", NAME(ipc_product, line->product));
        put_e8(render, "ours", line->ours_e8);
        put_e8(render, "broker", line->broker_e8);
        put_e8(render, "others", line->others_e8);
        ipc_text_put(render->text, render->json ? "}" : "");
    }
    ipc_text_put(render->text, render->json ? "]" : "");
    return true;
}

static bool render_book(const struct render *render)
{
    struct ipc_fact_book fact;
    if (!fixed_take(render, &fact, sizeof fact))
        return false;
    put_u64(render, "account", fact.account);
    put_word(render, "phase", fact.phase == 1 ? "begin" : fact.phase == 2 ? "end" : "?");
    put_u64(render, "orders", fact.order_count);
    put_u64(render, "is_history", fact.is_history);
    return true;
}

static bool render_limit(const struct render *render)
{
    struct ipc_fact_limit fact;
    if (!fixed_take(render, &fact, sizeof fact))
        return false;
    put_word(render, "act", NAME(ipc_limit_act, fact.act));
    if (fact.kind != 0)
        put_word(render, "limit", NAME(ipc_limit_kind, fact.kind));
    if (fact.scope != 0)
        put_word(render, "scope", NAME(ipc_limit_scope, fact.scope));
    put_u64(render, "day", fact.day);
    if (fact.follower_no != 0)
        put_u64(render, "follower", fact.follower_no);
    if (fact.account != 0)
        put_u64(render, "account", fact.account);
    if (fact.act == IPC_LIMIT_ACT_TRIP) {
        put_e8(render, "value", fact.value_e8);
        put_e8(render, "at", fact.limit_e8);
        put_u64(render, "flatten", fact.flatten);
    }
    if (fact.act == IPC_LIMIT_ACT_FLATTEN && fact.value_e8 != 0)
        put_i64(render, "instrument", fact.value_e8);
    if (fact.act == IPC_LIMIT_ACT_TRIP || fact.act == IPC_LIMIT_ACT_BASE ||
        fact.act == IPC_LIMIT_ACT_PEAK) {
        put_e8(render, "equity", fact.equity_e8);
        put_e8(render, "realised", fact.realised_e8);
        put_e8(render, "unrealised", fact.unrealised_e8);
    }
    if (fact.by[0] != '\0')
        put_text(render, "by", fact.by, sizeof fact.by);
    return true;
}

static bool render_guard(const struct render *render)
{
    struct ipc_fact_guard fact;
    if (!fixed_take(render, &fact, sizeof fact))
        return false;
    put_word(render, "act", NAME(ipc_guard_act, fact.act));
    if (fact.kind != 0)
        put_word(render, "guard", NAME(ipc_guard_kind, fact.kind));
    put_word(render, "scope", NAME(ipc_guard_scope, fact.scope));
    if (fact.follower_no != 0)
        put_u64(render, "follower", fact.follower_no);
    if (fact.account != 0)
        put_u64(render, "account", fact.account);
    if (fact.scope == IPC_GUARD_SCOPE_BROKER)
        put_u64(render, "broker", fact.broker);
    if (fact.instrument != 0)
        put_u64(render, "instrument", fact.instrument);
    put_u64(render, "generation", fact.generation);
    if (fact.act != IPC_GUARD_ACT_RESET) {
        put_i64(render, "value", fact.value);
        put_i64(render, "limit", fact.limit);
    }
    if (fact.by[0] != '\0')
        put_text(render, "by", fact.by, sizeof fact.by);
    return true;
}

static bool render_day(const struct render *render)
{
    struct ipc_fact_day fact;
    if (!fixed_take(render, &fact, sizeof fact))
        return false;
    put_word(render, "act", NAME(ipc_day_act, fact.act));
    put_u64(render, "day", fact.day);
    if (fact.act != IPC_DAY_ACT_BEGIN) {
        put_u64(render, "first", fact.first);
        put_u64(render, "count", fact.count);
    }
    return true;
}

static bool render_payload(const struct render *render)
{
    if (!ipc_fact_type_valid(render->frame->type))
        return false;
    switch ((enum ipc_fact_type)render->frame->type) {
    case IPC_FACT_OPEN:
        return render_open(render);
    case IPC_FACT_ADOPT:
        return render_adopt(render);
    case IPC_FACT_EVENT:
    case IPC_FACT_UPDATE:
        return render_event(render);
    case IPC_FACT_BATCH:
        return render_batch(render);
    case IPC_FACT_RELEASE:
        return render_release(render);
    case IPC_FACT_REPLY:
        return render_reply(render);
    case IPC_FACT_CHECKPOINT:
        if (!render->json) /* there every frame says it */
            put_u64(render, "bytes", render->frame->payload_bytes);
        return true;
    case IPC_FACT_ALARM:
        return render_alarm(render);
    case IPC_FACT_BOOK:
        return render_book(render);
    case IPC_FACT_ACCOUNT:
        return render_account(render);
    case IPC_FACT_POSITIONS:
        return render_positions(render);
    case IPC_FACT_LIMIT:
        return render_limit(render);
    case IPC_FACT_GUARD:
        return render_guard(render);
    case IPC_FACT_RECON:
        return render_recon(render);
    case IPC_FACT_DAY:
        return render_day(render);
    case IPC_FACT_CATCH_UP:
        return render_catch_up(render);
    case IPC_FACT_RESOLVE:
        return render_resolve(render);
    }
    return false;
}

static void render_flags(const struct render *render, uint32_t flags)
{
    if ((flags & IPC_ENTRY_MAYBE) != 0)
        ipc_text_put(render->text, render->json ? ",\"maybe_sent\":true" : " (behind a hole)");
    if ((flags & IPC_ENTRY_UNCOMMITTED) != 0)
        ipc_text_put(render->text, render->json ? ",\"uncommitted\":true" : " (no commit word)");
}

void ipc_journal_line(struct ipc_text *text, const struct ipc_journal_orders *orders,
    const struct ipc_journal_entry *entry)
{
    struct render render = {.text = text, .orders = orders, .frame = entry->frame};
    ipc_text_put(text, "%llu ", (unsigned long long)entry->frame->lsn);
    ipc_text_put_time(text, entry->frame->wall_ns);
    ipc_text_put(text, " %s", NAME(ipc_fact_type, entry->frame->type));
    if (!render_payload(&render))
        ipc_text_put(text, " type=%u bytes=%u count=%u: not a payload of its type",
            entry->frame->type, entry->frame->payload_bytes, entry->frame->count);
    render_flags(&render, entry->flags);
}

void ipc_journal_json(struct ipc_text *text, const struct ipc_journal_orders *orders,
    const struct ipc_journal_entry *entry)
{
    struct render render = {.text = text, .orders = orders, .frame = entry->frame, .json = true};
    const struct ipc_frame *frame = entry->frame;
    ipc_text_put(text, "{\"lsn\":%llu,\"fact\":\"%s\",\"time\":\"", (unsigned long long)frame->lsn,
        NAME(ipc_fact_type, frame->type));
    ipc_text_put_time(text, frame->wall_ns);
    ipc_text_put(text, "\"");
    put_i64(&render, "mono_ns", frame->mono_ns);
    put_i64(&render, "wall_ns", frame->wall_ns);
    put_u64(&render, "segment", entry->segment_no);
    put_u64(&render, "offset", entry->offset);
    put_u64(&render, "bytes", frame->payload_bytes);
    size_t before = text->used;
    if (!render_payload(&render)) {
        text->used = before;
        ipc_text_put(
            text, ",\"type_number\":%u,\"count\":%u,\"malformed\":true", frame->type, frame->count);
    }
    render_flags(&render, entry->flags);
    ipc_text_put(text, "}");
}
