/* From an answer to JSON: keys in one order, numbers exactly as they are. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/whatif_case.h"
#include "ipc/decimal.h"
#include "ipc/explain.h"

/* Text that is cut at its end and never beyond it. */
struct text {
    char *out;
    size_t bytes, used;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    if (text->used + 1 >= text->bytes)
        return;
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(text->out + text->used, text->bytes - text->used, format, arguments);
    va_end(arguments);
    size_t room = text->bytes - text->used - 1;
    if (written > 0)
        text->used += (size_t)written < room ? (size_t)written : room;
}

static void add_number(struct text *text, const char *key, int64_t value_e8)
{
    char number[IPC_DECIMAL_BYTES];
    (void)ipc_decimal_format(value_e8, number);
    add(text, ",\"%s\":%s", key, number);
}

/* A fraction as percent; eight decimals of the fraction are six of it. */
static void add_percent(struct text *text, const char *key, int64_t fraction_e8)
{
    add_number(text, key, fraction_e8 > INT64_MAX / 100 ? INT64_MAX : fraction_e8 * 100);
}

static void add_string(struct text *text, const char *key, const char *value)
{
    add(text, ",\"%s\":\"", key);
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            add(text, "\\%c", *at);
        else if ((unsigned char)*at < 0x20)
            add(text, "\\u%04x", (unsigned)*at);
        else
            add(text, "%c", *at);
    }
    add(text, "\"");
}

static const char *product_word(const struct whatif_case *question, uint8_t product)
{
    if (product <= IPC_PRODUCT_MTF)
        return ipc_product_name((enum ipc_product)product);
    uint32_t at = (uint32_t)product - IPC_PRODUCT_MTF - 1;
    return at < question->product_count ? question->products[at] : "?";
}

/* The type in the case's own word where it is still that type. */
static const char *type_word(const struct whatif_case *question, uint8_t type)
{
    if (type == question->shared.type && question->type_word[0] != '\0')
        return question->type_word;
    return ipc_type_name((enum ipc_type)type);
}

static void add_order(
    struct text *text, const struct whatif_case *question, const struct whatif_order *order)
{
    const struct eng_leg *leg = &order->leg;
    const char *symbol = question->symbol[leg->instrument == 2 ? 1 : 0];
    add(text, "{\"side\":\"%s\"", ipc_side_name((enum ipc_side)leg->side));
    add_number(text, "qty", order->qty_e8);
    add_string(text, "type", type_word(question, leg->type));
    if (leg->price_e8 != 0)
        add_number(text, "price", leg->price_e8);
    if (leg->trigger_e8 != 0)
        add_number(text, "trigger", leg->trigger_e8);
    add(text, ",\"tif\":\"%s\"", ipc_validity_name((enum ipc_validity)leg->validity));
    if (leg->product != 0)
        add_string(text, "product", product_word(question, leg->product));
    if (symbol[0] != '\0')
        add_string(text, "symbol", symbol);
    add(text, ",\"reduce_only\":%s", leg->flags & ENG_LEG_REDUCE_ONLY ? "true" : "false");
    add(text, ",\"leg\":\"%s\"", leg->flags & ENG_LEG_CLOSE ? "close" : "open");
    if (leg->market_protection_e8 != 0)
        add_percent(text, "market_protection", leg->market_protection_e8);
    add(text, "}");
}

static void add_orders(
    struct text *text, const struct whatif_case *question, const struct whatif_answer *answer)
{
    add(text, ",\"orders\":[");
    for (uint32_t i = 0; i < answer->order_count; i++) {
        add(text, "%s", i == 0 ? "" : ",");
        add_order(text, question, &answer->orders[i]);
    }
    add(text, "]");
    if (answer->orders_cut)
        add(text, ",\"orders_cut\":true");
}

static void add_list(struct text *text, const char *key, const int64_t *values, uint32_t count)
{
    char number[IPC_DECIMAL_BYTES];
    add(text, ",\"%s\":[", key);
    for (uint32_t i = 0; i < count; i++) {
        (void)ipc_decimal_format(values[i], number);
        add(text, "%s%s", i == 0 ? "" : ",", number);
    }
    add(text, "]");
}

static const char *action_of(const struct whatif_answer *answer)
{
    const struct eng_verdict *verdict = &answer->verdict;
    if (answer->placed && answer->seq_count != 0)
        return "PLACE";
    switch ((enum eng_act)verdict->act) {
    case ENG_ACT_SKIP:
        return "SKIP";
    case ENG_ACT_NONE:
    case ENG_ACT_WAIT:
        return "NONE";
    case ENG_ACT_PLACE:
        return verdict->cancels & ENG_CANCELS_ENTRY ? "MULTI" : "PLACE";
    case ENG_ACT_MODIFY:
        return "MODIFY";
    case ENG_ACT_CANCEL:
        return "CANCEL";
    case ENG_ACT_REPLACE:
        return "REPLACE";
    }
    return "NONE";
}

/* What is cancelled beside the order that leaves. */
static void add_cancels(
    struct text *text, const struct whatif_case *question, const struct whatif_answer *answer)
{
    const struct eng_verdict *verdict = &answer->verdict;
    char number[IPC_DECIMAL_BYTES];
    if (verdict->cancels & ENG_CANCELS_STOP)
        add_string(text, "cancel", "working_stop");
    if (!(verdict->cancels & ENG_CANCELS_ENTRY))
        return;
    add(text, ",\"target\":\"working_entry\",\"then\":\"close_any_fill\"");
    if (verdict->act != ENG_ACT_PLACE)
        return;
    (void)ipc_decimal_format(verdict->cancel_e8, number);
    add(text, ",\"steps\":[{\"cancel\":\"working_entry\",\"qty\":%s}", number);
    for (uint32_t i = 0; i < answer->order_count; i++) {
        add(text, ",");
        add_order(text, question, &answer->orders[i]);
    }
    add(text, "]");
}

static void add_figures(
    struct text *text, const struct whatif_case *question, const struct whatif_answer *answer)
{
    const struct eng_verdict *verdict = &answer->verdict;
    if (verdict->money_e8 != 0 && verdict->act == ENG_ACT_PLACE)
        add_number(text, question->shared.size_kind == ENG_SIZE_NOTIONAL ? "notional" : "cost",
            verdict->money_e8);
    if (verdict->fraction_e8 != 0)
        add_percent(text, "pct", verdict->fraction_e8);
    if (verdict->limit_e8 != 0)
        add_number(text, "limit", verdict->limit_e8);
    if (verdict->leverage_e8 != 0)
        add_number(text, "leverage", verdict->leverage_e8);
    if (verdict->act == ENG_ACT_MODIFY || verdict->act == ENG_ACT_CANCEL)
        add_number(text, "remaining", verdict->remaining_e8);
    if (verdict->has_drift)
        add_number(text, "drift", verdict->drift_e8);
    if (verdict->reason == IPC_REASON_SESSION_EXPIRED)
        add(text, ",\"retry\":%s,\"notify\":true", verdict->act == ENG_ACT_WAIT ? "true" : "false");
}

size_t whatif_print(const struct whatif_case *question, const struct whatif_answer *answer,
    char *out, size_t out_bytes)
{
    struct text text = {.out = out, .bytes = out_bytes};
    const struct eng_verdict *verdict = &answer->verdict;
    char explain[IPC_EXPLAIN_STEPS_BYTES];
    add(&text, "{\"action\":\"%s\"", action_of(answer));
    add_orders(&text, question, answer);
    if (verdict->reason == IPC_REASON_NONE)
        add(&text, ",\"reason_code\":null");
    else
        add_string(&text, "reason_code", ipc_reason_name((enum ipc_reason)verdict->reason));
    if (answer->order_count == 1) {
        add_number(&text, "qty", answer->orders[0].qty_e8);
        if (answer->orders[0].leg.price_e8 != 0)
            add_number(&text, "price", answer->orders[0].leg.price_e8);
        else
            add(&text, ",\"price\":null");
    }
    if (question->row.mode == IPC_MODE_AVAILABLE_RATIO_CAPPED && verdict->leg_count == 1)
        add_number(&text, "size", verdict->legs[0].qty_e8);
    if (answer->seq_count != 0)
        add_list(&text, "qty_seq", answer->qty_seq_e8, answer->seq_count);
    if (answer->alloc_count != 0)
        add_list(&text, "alloc", answer->alloc_e8, answer->alloc_count);
    add_figures(&text, question, answer);
    add_cancels(&text, question, answer);
    (void)ipc_explain_steps(answer->trace.steps, answer->trace.count, explain, sizeof explain);
    add_string(&text, "explain",
        explain[0] != '\0' ? explain : "nothing stands in the way; its size is not known");
    add(&text, "}");
    return text.used;
}
