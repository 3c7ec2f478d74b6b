#include "ipc/explain.h"

#include "ipc/decimal.h"
#include "ipc/enum.h"
#include "ipc/reason.h"

#include <stdarg.h>
#include <stdio.h>

IPC_DEFINE_ENUM(ipc_join, IPC_JOIN_LIST)
IPC_DEFINE_ENUM(ipc_unit, IPC_UNIT_LIST)

struct text {
    char *out;
    size_t bytes, used;
};

static void add(struct text *text, const char *format, ...) LS_PRINTF(2, 3);

static void add(struct text *text, const char *format, ...)
{
    if (text->used + 1 >= text->bytes)
        return;
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(text->out + text->used, text->bytes - text->used, format, arguments);
    va_end(arguments);
    if (written < 0)
        return;
    text->used += (size_t)written;
    if (text->used >= text->bytes) {
        text->used = text->bytes - 1;
        /* Never half a character: the arrows and crosses have more than one byte. */
        while (text->used > 0 && ((unsigned char)text->out[text->used - 1] & 0xc0) == 0x80)
            text->used--;
        if (text->used > 0 && ((unsigned char)text->out[text->used - 1] & 0x80))
            text->used--;
        text->out[text->used] = '\0';
        text->bytes = text->used + 1; /* full: nothing is added behind the cut */
    }
}

/* A decimal in its own buffer, so that several fit one call. */
struct number {
    char text[IPC_DECIMAL_BYTES];
};

static struct number number_of(int64_t value_e8)
{
    struct number number;
    (void)ipc_decimal_format(value_e8, number.text);
    return number;
}

#define NUMBER(value_e8) (number_of(value_e8).text)

/* Reasons that strike once there is a quantity; all others strike before, and of those the outcome
 * stands alone. */
static bool struck_before_sizing(enum ipc_reason reason)
{
    static const enum ipc_reason later[] = {IPC_REASON_NONE, IPC_REASON_QTY_ZERO,
        IPC_REASON_SUB_LOT, IPC_REASON_MAX_QTY_CAPPED, IPC_REASON_MAX_QTY,
        IPC_REASON_MAX_POSITION_REDUCED, IPC_REASON_MAX_ORDER_VALUE,
        IPC_REASON_MAX_ORDER_VALUE_REDUCED, IPC_REASON_PRICE_UNKNOWN, IPC_REASON_SHORT_NOT_ALLOWED,
        IPC_REASON_CLOSE_CLAMPED, IPC_REASON_RATE_BUDGET, IPC_REASON_BROKER_REJECT,
        IPC_REASON_UNKNOWN_PENDING, IPC_REASON_NO_CONNECTION, IPC_REASON_CAPACITY,
        IPC_REASON_TOO_MANY_SLICES, IPC_REASON_AT_TARGET, IPC_REASON_TAG_COLLISION};
    for (size_t i = 0; i < LS_COUNT_OF(later); i++) {
        if (later[i] == reason)
            return false;
    }
    return true;
}

static int64_t narrowed(__int128 value)
{
    return value > INT64_MAX ? INT64_MAX : value < INT64_MIN ? INT64_MIN : (int64_t)value;
}

static int64_t lot_of(const struct ipc_row_instrument *instrument)
{
    return instrument == NULL || instrument->lot_qty_e8 <= 0 ? LS_E8 : instrument->lot_qty_e8;
}

/* " → lot 65 → 0" when the lot changed the quantity. Returns the floored quantity. */
static int64_t add_lot(
    struct text *text, const struct ipc_row_instrument *instrument, int64_t raw_e8)
{
    int64_t lot = lot_of(instrument);
    int64_t floored = raw_e8 / lot * lot;
    if (floored != raw_e8)
        add(text, " → lot %s → %s", NUMBER(lot), NUMBER(floored));
    return floored;
}

static void add_entry(struct text *text, const struct ipc_fact_event *event,
    const struct ipc_fact_batch *batch, const struct ipc_fact_child *child,
    const struct ipc_row_follower *row, const struct ipc_row_instrument *instrument)
{
    const struct ipc_event *order = &event->event;
    int64_t raw = 0;
    switch ((enum ipc_mode)row->mode) {
    case IPC_MODE_FIXED_RATIO:
        raw = narrowed((__int128)order->qty_e8 * row->ratio_e8 / LS_E8);
        add(text, "%s × %s = %s", NUMBER(order->qty_e8), NUMBER(row->ratio_e8), NUMBER(raw));
        break;
    case IPC_MODE_FIXED_QUANTITY:
        raw = row->fixed_qty_e8;
        add(text, "fixed %s", NUMBER(raw));
        break;
    case IPC_MODE_PERCENTAGE: {
        int64_t price = order->price_e8 != 0 ? order->price_e8 : order->trigger_e8;
        if (price == 0)
            price = batch->price_sample_e8;
        if (price <= 0) {
            add(text, "%s × %s %% / no price", NUMBER(child->sample_e8), NUMBER(row->ratio_e8));
            return;
        }
        raw = narrowed((__int128)child->sample_e8 * row->ratio_e8 / ((__int128)100 * price));
        add(text, "%s × %s %% / %s = %s", NUMBER(child->sample_e8), NUMBER(row->ratio_e8),
            NUMBER(price), NUMBER(raw));
        break;
    }
    case IPC_MODE_EQUITY_PROPORTIONAL:
    case IPC_MODE_BALANCE_PROPORTIONAL:
    case IPC_MODE_AUTO_RISK:
    case IPC_MODE_MULTIPLIER_NOTIONAL:
    case IPC_MODE_MQL5_PCT:
    case IPC_MODE_USAGE_RATIO:
    case IPC_MODE_USAGE_RATIO_DISCOUNT:
    case IPC_MODE_STEP_OF_BALANCE:
    case IPC_MODE_FIXED_RISK:
    case IPC_MODE_TIERED_MULTIPLIER:
    case IPC_MODE_COPY_RATIO_FROZEN:
    case IPC_MODE_SMART_TARGET:
    case IPC_MODE_PCT_BALANCE_BASIS:
    case IPC_MODE_AVAILABLE_RATIO_CAPPED:
    case IPC_MODE_POOLED_EQUAL:
    case IPC_MODE_POOLED_RATIO:
    case IPC_MODE_POOLED_NETLIQ:
        return; /* their arithmetic stands in the steps of the decision */
    }
    (void)add_lot(text, instrument, raw);
}

static void add_exit(struct text *text, const struct ipc_fact_event *event,
    const struct ipc_fact_child *child, const struct ipc_row_instrument *instrument)
{
    int64_t held = child->sample_e8 < 0 ? -child->sample_e8 : child->sample_e8;
    int64_t master =
        event->master_position_e8 < 0 ? -event->master_position_e8 : event->master_position_e8;
    int64_t closes = event->event.qty_e8;
    add(text, "holds %s", NUMBER(held));
    if (master == 0 || closes >= master)
        return; /* all of it */
    int64_t want = narrowed((__int128)held * closes / master);
    add(text, " × %s / %s = %s", NUMBER(closes), NUMBER(master), NUMBER(want));
    (void)add_lot(text, instrument, want);
}

/* What reduced the quantity, or struck it, with its limit where it has one. */
static void add_limit(
    struct text *text, const struct ipc_fact_child *child, const struct ipc_row_follower *row)
{
    const char *name = NULL;
    int64_t limit = 0;
    if (child->reason == IPC_REASON_MAX_QTY_CAPPED || child->reason == IPC_REASON_MAX_QTY) {
        name = "max_quantity";
        limit = row->max_qty_e8;
    } else if (child->reason == IPC_REASON_MAX_POSITION_REDUCED) {
        name = "max_position";
        limit = row->max_position_e8;
    } else if (child->reason == IPC_REASON_MAX_ORDER_VALUE ||
               child->reason == IPC_REASON_MAX_ORDER_VALUE_REDUCED) {
        name = "max_order_value";
        limit = row->max_order_value_e8;
    } else if (child->reason == IPC_REASON_CLOSE_CLAMPED && child->kind != IPC_CHILD_SKIP) {
        add(text, " → CLOSE_CLAMPED");
        return;
    }
    if (name != NULL)
        add(text, " → %s %s", name, NUMBER(limit));
}

static void add_outcome(
    struct text *text, const struct ipc_fact_batch *batch, const struct ipc_fact_child *child)
{
    bool queued = child->kind == IPC_CHILD_PLACE_QUEUED || child->kind == IPC_CHILD_MODIFY_QUEUED ||
                  child->kind == IPC_CHILD_CANCEL_QUEUED;
    if (text->used != 0)
        add(text, " → ");
    switch ((enum ipc_child_kind)child->kind) {
    case IPC_CHILD_SKIP:
        add(text, "SKIP %s", ipc_reason_name((enum ipc_reason)child->reason));
        return;
    case IPC_CHILD_FLATTEN:
        add(text, "the master is flat: its working entries are cancelled");
        return;
    case IPC_CHILD_WAIT:
        add(text, "WAIT for the answer to its earlier request");
        return;
    case IPC_CHILD_CANCEL:
    case IPC_CHILD_CANCEL_QUEUED:
        add(text, "CANCEL");
        break;
    case IPC_CHILD_MODIFY:
    case IPC_CHILD_MODIFY_QUEUED:
    case IPC_CHILD_PLACE:
    case IPC_CHILD_PLACE_QUEUED:
        if (child->kind == IPC_CHILD_MODIFY || child->kind == IPC_CHILD_MODIFY_QUEUED)
            add(text, "MODIFY to ");
        add(text, "%s %s %s", ipc_side_name((enum ipc_side)batch->side), NUMBER(child->qty_e8),
            ipc_type_name((enum ipc_type)batch->type));
        if (batch->price_e8 != 0)
            add(text, " %s", NUMBER(batch->price_e8));
        if (batch->trigger_e8 != 0)
            add(text, " trigger %s", NUMBER(batch->trigger_e8));
        break;
    }
    if (queued)
        add(text, " (queued)");
}

size_t ipc_explain_child(const struct ipc_fact_event *event, const struct ipc_fact_batch *batch,
    const struct ipc_fact_child *child, const struct ipc_row_follower *row,
    const struct ipc_row_instrument *instrument, char *out, size_t out_bytes)
{
    struct text text = {.out = out, .bytes = out_bytes};
    if (out_bytes == 0)
        return 0;
    out[0] = '\0';
    bool has_size =
        child->kind != IPC_CHILD_WAIT && child->kind != IPC_CHILD_CANCEL &&
        child->kind != IPC_CHILD_CANCEL_QUEUED &&
        !(child->kind == IPC_CHILD_SKIP && struck_before_sizing((enum ipc_reason)child->reason));
    if (has_size && row != NULL) {
        if (batch->is_exit)
            add_exit(&text, event, child, instrument);
        else
            add_entry(&text, event, batch, child, row, instrument);
        add_limit(&text, child, row);
    }
    add_outcome(&text, batch, child);
    return text.used;
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* How a code reads, from the list. */
struct reading {
    const char *label;
    enum ipc_join join;
    enum ipc_unit unit;
};

static bool reading_of(uint16_t code, struct reading *out)
{
    switch ((enum ipc_step_code)code) {
#define X(name, value, text, join_word, label_text, unit_word)                                     \
    case name:                                                                                     \
        *out = (struct reading){                                                                   \
            .label = label_text, .join = IPC_JOIN_##join_word, .unit = IPC_UNIT_##unit_word};      \
        return true;
        IPC_STEP_LIST(X)
#undef X
    }
    return false;
}

const char *ipc_step_code_name(uint16_t code)
{
    switch ((enum ipc_step_code)code) {
#define X(name, value, text, join, label, unit)                                                    \
    case name:                                                                                     \
        return text;
        IPC_STEP_LIST(X)
#undef X
    }
    return "?";
}

/* Operators stand between two numbers; at the start, or behind a leg, there is nothing to join. */
static void add_join(struct text *text, enum ipc_join join, bool *fresh)
{
    if (!*fresh || (join == IPC_JOIN_LEG && text->used != 0))
        add(text, "%s", ipc_join_name(join));
    else if (text->used != 0)
        add(text, " ");
    *fresh = false;
}

static void add_value(struct text *text, const struct ipc_step *step, enum ipc_unit unit)
{
    int64_t whole = step->value_e8 / LS_E8;
    switch (unit) {
    case IPC_UNIT_NUMBER:
        add(text, "%s", NUMBER(step->value_e8));
        break;
    case IPC_UNIT_NONE:
        break;
    case IPC_UNIT_PERCENT:
        add(text, "%s %%", NUMBER(step->value_e8));
        break;
    case IPC_UNIT_FRACTION:
        add(text, "%s %%", NUMBER(narrowed((__int128)step->value_e8 * 100)));
        break;
    case IPC_UNIT_MS:
        add(text, "%lld ms", (long long)whole);
        break;
    case IPC_UNIT_MINUTE:
        add(text, "%02lld:%02lld", (long long)(whole / 60), (long long)(whole % 60));
        break;
    case IPC_UNIT_INSTRUMENT:
        add(text, "%lld", (long long)whole);
        break;
    case IPC_UNIT_REASON:
        add(text, "%s", ipc_reason_name((enum ipc_reason)step->reason));
        break;
    }
}

/* A step that changes nothing says nothing: a lot that the quantity is a multiple of, a reduced
 * quantity that is the order's. Returns how many steps are passed over. */
static uint32_t idle_steps(const struct ipc_step *steps, uint32_t at, uint32_t count)
{
    const struct ipc_step *step = &steps[at];
    const struct ipc_step *next = at + 1 < count ? step + 1 : NULL;
    if (next == NULL || step->reason != IPC_REASON_NONE)
        return 0;
    if ((step->code == IPC_STEP_LOT || step->code == IPC_STEP_STEP) &&
        next->code == IPC_STEP_FLOORED && next->reason == IPC_REASON_NONE && at > 0 &&
        step[-1].code == IPC_STEP_RAW && step[-1].value_e8 == next->value_e8)
        return 2;
    return 0;
}

/* A reduced quantity that is the order's own stands there. */
static bool is_told_next(const struct ipc_step *steps, uint32_t at, uint32_t count)
{
    return steps[at].code == IPC_STEP_REDUCED && at + 1 < count &&
           (steps[at + 1].code == IPC_STEP_BUY || steps[at + 1].code == IPC_STEP_SELL) &&
           steps[at + 1].value_e8 == steps[at].value_e8;
}

/* A reason is told once: where it struck first, unless the outcome names it. */
static bool is_reason_new(const struct ipc_step *steps, uint32_t at, uint32_t count)
{
    struct reading reading;
    for (uint32_t i = 0; i < count; i++) {
        if (i == at || steps[i].reason != steps[at].reason)
            continue;
        bool is_outcome = reading_of(steps[i].code, &reading) && reading.unit == IPC_UNIT_REASON;
        if (i < at || is_outcome)
            return false;
    }
    return true;
}

size_t ipc_explain_steps(const struct ipc_step *steps, uint32_t count, char *out, size_t out_bytes)
{
    struct text text = {.out = out, .bytes = out_bytes};
    bool fresh = true;
    if (out_bytes == 0)
        return 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < count; i++) {
        i += idle_steps(steps, i, count);
        if (i >= count || is_told_next(steps, i, count))
            continue;
        const struct ipc_step *step = &steps[i];
        struct reading reading;
        if (!reading_of(step->code, &reading)) {
            add_join(&text, IPC_JOIN_ARROW, &fresh);
            add(&text, "step %u %s", step->code, NUMBER(step->value_e8));
            continue;
        }
        add_join(&text, reading.join, &fresh);
        bool has_value = reading.unit != IPC_UNIT_NONE &&
                         (reading.unit != IPC_UNIT_REASON || step->reason != IPC_REASON_NONE);
        add(&text, "%s%s", reading.label, has_value && reading.label[0] != '\0' ? " " : "");
        if (has_value)
            add_value(&text, step, reading.unit);
        if (step->reason != IPC_REASON_NONE && reading.unit != IPC_UNIT_REASON &&
            is_reason_new(steps, i, count))
            add(&text, " (%s)", ipc_reason_name((enum ipc_reason)step->reason));
        fresh = step->code == IPC_STEP_LEG_CLOSE || step->code == IPC_STEP_LEG_OPEN;
    }
    return text.used;
}

/* What an order opens beyond the position that it closes. */
static int64_t opening_part(const struct ipc_fact_event *event)
{
    int64_t before = event->master_position_e8, qty = event->event.qty_e8;
    int64_t closes = before < 0 ? narrowed(-(__int128)before) : before;
    return qty > closes ? qty - closes : qty;
}

size_t ipc_explain_decision(const struct ipc_fact_event *event, const struct ipc_fact_batch *batch,
    const struct ipc_fact_child *child, const struct ipc_fact_wide *wide,
    const struct ipc_row_follower *row, const struct ipc_row_instrument *instrument, char *out,
    size_t out_bytes)
{
    if (wide == NULL)
        return ipc_explain_child(event, batch, child, row, instrument, out, out_bytes);
    if (wide->step_count != 0)
        return ipc_explain_steps(wide->steps,
            wide->step_count < IPC_WIDE_STEPS ? wide->step_count : IPC_WIDE_STEPS, out, out_bytes);
    struct ipc_fact_batch own = *batch;
    own.side = wide->side;
    own.type = wide->type;
    own.price_e8 = wide->price_e8;
    own.trigger_e8 = wide->trigger_e8;
    own.is_exit = (wide->flags & IPC_WIDE_EXIT) != 0;
    if (wide->price_sample_e8 != 0)
        own.price_sample_e8 = wide->price_sample_e8;
    struct ipc_fact_event part = *event;
    if ((wide->flags & IPC_WIDE_OPEN_LEG) != 0)
        part.event.qty_e8 = opening_part(event);
    return ipc_explain_child(&part, &own, child, row, instrument, out, out_bytes);
}
