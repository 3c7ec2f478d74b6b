/* What was decided, by follower: kept as it was decided, told at the end. */
#include <stdlib.h>
#include <string.h>

#include "engine/whatif_live.h"
#include "ipc/decimal.h"
#include "ipc/explain.h"
#include "ipc/reason.h"

/* --- keeping ------------------------------------------------------------------------------------
 */

static const struct ipc_fact_wide *wide_of(const struct ipc_fact_batch *batch, uint32_t index)
{
    const struct ipc_fact_wide *wides = ipc_fact_batch_wides(batch);
    for (uint32_t i = 0; i < batch->wide_count; i++)
        if (wides[i].at == index)
            return &wides[i];
    return NULL;
}

/* The recorded steps where there are some, else the arithmetic of the rows. */
static char *explain(const struct whatif_live_answer *answer, const struct ipc_fact_batch *batch,
    const struct ipc_fact_child *child, const struct ipc_fact_wide *wide)
{
    char text[IPC_EXPLAIN_STEPS_BYTES];
    const struct ipc_snapshot_view *view = answer->view;
    uint32_t number = answer->event.event.instrument;
    (void)ipc_explain_decision(&answer->event, batch, child, wide,
        child->slot < view->follower_slots ? &view->followers[child->slot] : NULL,
        number != 0 && number <= view->instrument_count ? &view->instruments[number - 1] : NULL,
        text, sizeof text);
    char *copy = strdup(text);
    LS_CHECK(copy != NULL);
    return copy;
}

static struct whatif_live_part *add_part(struct whatif_live_answer *answer, uint32_t slot)
{
    if (answer->part_count == answer->part_room) {
        answer->part_room = answer->part_room != 0 ? answer->part_room * 2 : 1024;
        answer->parts = realloc(answer->parts, answer->part_room * sizeof *answer->parts);
        LS_CHECK(answer->parts != NULL);
    }
    uint32_t number = ++answer->part_count;
    if (answer->first[slot] == 0) {
        answer->first[slot] = number;
        answer->slots[answer->slot_count++] = slot;
    } else {
        answer->parts[answer->last[slot] - 1].next = number;
    }
    answer->last[slot] = number;
    struct whatif_live_part *part = &answer->parts[number - 1];
    memset(part, 0, sizeof *part);
    return part;
}

void whatif_live_take(struct whatif_live_answer *answer, const struct ipc_fact_batch *batch)
{
    const struct ipc_fact_child *children = ipc_fact_batch_children(batch);
    for (uint32_t i = 0; i < batch->child_count; i++) {
        const struct ipc_fact_child *child = &children[i];
        if (child->slot >= answer->view->follower_slots)
            continue; /* the end marker of a wave */
        const struct ipc_fact_wide *wide = wide_of(batch, i);
        struct whatif_live_part *part = add_part(answer, child->slot);
        part->child = *child;
        part->side = wide != NULL ? wide->side : batch->side;
        part->type = wide != NULL ? wide->type : batch->type;
        part->product = wide != NULL ? wide->product : batch->product;
        part->validity = wide != NULL ? wide->validity : batch->validity;
        part->price_e8 = wide != NULL ? wide->price_e8 : batch->price_e8;
        part->trigger_e8 = wide != NULL ? wide->trigger_e8 : batch->trigger_e8;
        part->flags = wide != NULL ? wide->flags : batch->is_exit ? IPC_WIDE_EXIT : 0;
        part->market_protection_e8 = wide != NULL ? wide->market_protection_e8 : 0;
        part->instrument = wide != NULL && wide->instrument != 0 ? wide->instrument
                                                                 : answer->event.event.instrument;
        part->explain = explain(answer, batch, child, wide);
    }
}

/* --- telling ------------------------------------------------------------------------------------
 */

/* 0 = no order: a skip, a wait, or a mark. */
static enum ipc_action act_of(const struct whatif_live_part *part, bool *queued)
{
    enum ipc_child_kind kind = (enum ipc_child_kind)part->child.kind;
    *queued = kind == IPC_CHILD_PLACE_QUEUED || kind == IPC_CHILD_MODIFY_QUEUED ||
              kind == IPC_CHILD_CANCEL_QUEUED;
    switch (kind) {
    case IPC_CHILD_PLACE:
    case IPC_CHILD_PLACE_QUEUED:
        return IPC_ACTION_PLACE;
    case IPC_CHILD_MODIFY:
    case IPC_CHILD_MODIFY_QUEUED:
        return IPC_ACTION_MODIFY;
    case IPC_CHILD_CANCEL:
    case IPC_CHILD_CANCEL_QUEUED:
        return IPC_ACTION_CANCEL;
    case IPC_CHILD_SKIP:
    case IPC_CHILD_WAIT:
    case IPC_CHILD_FLATTEN:
        break;
    }
    return (enum ipc_action)0;
}

static const struct whatif_live_part *next_of(
    const struct whatif_live_answer *answer, const struct whatif_live_part *part)
{
    return part->next != 0 ? &answer->parts[part->next - 1] : NULL;
}

/* One word for all that a follower gets. */
static const char *action_of(
    const struct whatif_live_answer *answer, const struct whatif_live_part *part)
{
    unsigned acts = 0;
    bool waits = false, queued;
    for (; part != NULL; part = next_of(answer, part)) {
        enum ipc_action act = act_of(part, &queued);
        if (act != 0)
            acts |= 1u << act;
        waits |= part->child.kind == IPC_CHILD_WAIT || part->child.kind == IPC_CHILD_FLATTEN;
    }
    for (uint32_t act = IPC_ACTION_PLACE; act <= IPC_ACTION_CANCEL; act++)
        if (acts == 1u << act)
            return ipc_action_name((enum ipc_action)act);
    return acts != 0 ? "MULTI" : waits ? "WAIT" : "SKIP";
}

static uint8_t reason_of(
    const struct whatif_live_answer *answer, const struct whatif_live_part *part)
{
    for (; part != NULL; part = next_of(answer, part))
        if (part->child.reason != IPC_REASON_NONE)
            return part->child.reason;
    return IPC_REASON_NONE;
}

/* Text of rows: quotes, backslashes and controls never break out of their place. */
static void put_text(FILE *out, const char *text, size_t most)
{
    for (size_t i = 0; i < most && text[i] != '\0'; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            (void)fprintf(out, "\\%c", c);
        else
            (void)fputc(c < 0x20 || c == 0x7f ? '.' : c, out);
    }
}

static void put_number(FILE *out, const char *key, int64_t value_e8)
{
    char number[IPC_DECIMAL_BYTES];
    (void)ipc_decimal_format(value_e8, number);
    (void)fprintf(out, ",\"%s\":%s", key, number);
}

static void put_order(FILE *out, const struct whatif_live_answer *answer,
    const struct whatif_live_part *part, enum ipc_action act, bool queued)
{
    const struct ipc_snapshot_view *view = answer->view;
    bool is_exit = (part->flags & IPC_WIDE_EXIT) != 0;
    (void)fprintf(out, "{\"act\":\"%s\",\"side\":\"%s\"", ipc_action_name(act),
        ipc_side_name((enum ipc_side)part->side));
    put_number(out, "qty", part->child.qty_e8);
    (void)fprintf(out, ",\"type\":\"%s\"", ipc_type_name((enum ipc_type)part->type));
    if (part->price_e8 != 0)
        put_number(out, "price", part->price_e8);
    if (part->trigger_e8 != 0)
        put_number(out, "trigger", part->trigger_e8);
    (void)fprintf(out, ",\"tif\":\"%s\",\"product\":\"%s\"",
        ipc_validity_name((enum ipc_validity)part->validity),
        ipc_product_name((enum ipc_product)part->product));
    if (part->instrument != 0 && part->instrument <= view->instrument_count) {
        const struct ipc_row_instrument *row = &view->instruments[part->instrument - 1];
        (void)fprintf(out, ",\"symbol\":\"");
        put_text(out, row->symbol, sizeof row->symbol);
        (void)fprintf(out, "\"");
    }
    (void)fprintf(out, ",\"reduce_only\":%s,\"leg\":\"%s\"", is_exit ? "true" : "false",
        is_exit ? "close" : "open");
    if (part->market_protection_e8 != 0)
        put_number(out, "market_protection", part->market_protection_e8 * 100);
    (void)fprintf(out, ",\"queued\":%s}", queued ? "true" : "false");
}

static const char *login_of(const struct ipc_snapshot_view *view, uint32_t slot)
{
    uint32_t account = view->followers[slot].account;
    return account != 0 && account <= view->account_count ? view->accounts[account - 1].login : "";
}

static void print_json(const struct whatif_live_answer *answer, uint32_t slot, FILE *out)
{
    const struct whatif_live_part *first = &answer->parts[answer->first[slot] - 1];
    uint8_t reason = reason_of(answer, first);
    (void)fprintf(out, "{\"follower\":%u,\"login\":\"", first->child.follower_no);
    put_text(out, login_of(answer->view, slot), IPC_NAME_BYTES);
    (void)fprintf(out, "\",\"action\":\"%s\",\"orders\":[", action_of(answer, first));
    const char *comma = "";
    for (const struct whatif_live_part *part = first; part != NULL; part = next_of(answer, part)) {
        bool queued;
        enum ipc_action act = act_of(part, &queued);
        if (act == 0)
            continue;
        (void)fputs(comma, out);
        put_order(out, answer, part, act, queued);
        comma = ",";
    }
    if (reason == IPC_REASON_NONE)
        (void)fprintf(out, "],\"reason_code\":null,\"explain\":\"");
    else
        (void)fprintf(out, "],\"reason_code\":\"%s\",\"explain\":\"",
            ipc_reason_name((enum ipc_reason)reason));
    for (const struct whatif_live_part *part = first; part != NULL; part = next_of(answer, part)) {
        put_text(out, part->explain, IPC_EXPLAIN_STEPS_BYTES);
        if (part->next != 0)
            (void)fputs("; ", out);
    }
    (void)fputs("\"}\n", out);
}

static void print_row(const struct whatif_live_answer *answer, uint32_t slot, FILE *out)
{
    const struct whatif_live_part *first = &answer->parts[answer->first[slot] - 1];
    (void)fprintf(out, "%-8u %-16.*s %-7s ", first->child.follower_no, (int)IPC_NAME_BYTES,
        login_of(answer->view, slot), action_of(answer, first));
    for (const struct whatif_live_part *part = first; part != NULL; part = next_of(answer, part))
        (void)fprintf(out, "%s%s", part->explain, part->next != 0 ? "; " : "\n");
}

void whatif_live_print(const struct whatif_live_answer *answer, bool json, FILE *out)
{
    if (!json && answer->slot_count != 0)
        (void)fprintf(out, "%-8s %-16s %-7s %s\n", "FOLLOWER", "LOGIN", "ACTION", "DECISION");
    for (uint32_t i = 0; i < answer->slot_count; i++) {
        if (json)
            print_json(answer, answer->slots[i], out);
        else
            print_row(answer, answer->slots[i], out);
    }
}
