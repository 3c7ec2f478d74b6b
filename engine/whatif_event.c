/* master_event: what happened at the master's side. */
#include <stdio.h>
#include <string.h>

#include "engine/whatif_reader.h"

/* --- master_event -------------------------------------------------------------------------------
 */

static void read_type(struct whatif_reader *reader, const char *event_type)
{
    struct whatif_case *out = reader->out;
    const struct adp_json *event = &reader->event;
    struct eng_case_shared *shared = &out->shared;
    shared->price_e8 = whatif_amount(reader, event, "price");
    shared->trigger_e8 = whatif_amount(reader, event, "trigger");
    if (whatif_word(reader, event, "order_type", out->type_word)) {
        shared->type = whatif_type(out->type_word);
        if (shared->type == 0)
            whatif_fault(reader, event, "order_type", "is not a type that is known");
        return;
    }
    bool pending = strcmp(event_type, "order") == 0 || strcmp(event_type, "orders") == 0 ||
                   strcmp(event_type, "modify") == 0;
    shared->type = IPC_TYPE_MARKET;
    if (pending && shared->trigger_e8 != 0)
        shared->type = shared->price_e8 != 0 ? IPC_TYPE_SL : IPC_TYPE_SLM;
    else if (pending && (shared->price_e8 != 0 || strcmp(event_type, "modify") == 0))
        shared->type = IPC_TYPE_LIMIT;
}

/* The master's own figures. `account` is whatever the mode's basis asks for. */
static void read_master_account(struct whatif_reader *reader)
{
    const struct adp_json *event = &reader->event;
    struct eng_case_shared *shared = &reader->out->shared;
    int64_t account = whatif_amount(reader, event, "account");
    shared->master_equity_e8 = whatif_number_or(reader, event, "equity", account);
    shared->master_balance_e8 = whatif_number_or(reader, event, "balance", account);
    shared->master_free_e8 = whatif_number_or(
        reader, event, "free_margin", whatif_number_or(reader, event, "available", account));
    if (reader->out->row.mode == IPC_MODE_AUTO_RISK && account != 0)
        shared->master_equity_e8 = shared->master_balance_e8 = shared->master_free_e8 = account;
    shared->master_leverage_e8 = whatif_amount(reader, event, "leverage");
    shared->master_max_available_e8 = whatif_amount(reader, event, "max_available");
    shared->given_fraction_e8 = whatif_percent(reader, event, "ratio_pct");
    shared->contract_e8 = whatif_amount(reader, event, "contract_size");
}

/* The figure of size that the mode sizes by. */
static void read_size(struct whatif_reader *reader)
{
    static const struct {
        const char *word;
        uint8_t kind;
    } sizes[] = {{"cost", ENG_SIZE_COST}, {"notional", ENG_SIZE_NOTIONAL}, {"size", ENG_SIZE_QTY},
        {"qty", ENG_SIZE_QTY}};
    const struct adp_json *event = &reader->event;
    struct eng_case_shared *shared = &reader->out->shared;
    uint8_t mode = reader->out->row.mode;
    bool by_cost = mode == IPC_MODE_USAGE_RATIO || mode == IPC_MODE_USAGE_RATIO_DISCOUNT;
    bool by_notional = mode == IPC_MODE_TIERED_MULTIPLIER;
    uint32_t token;
    bool has_qty = whatif_find(event, "qty", &token) || whatif_find(event, "size", &token);
    for (size_t i = 0; i < LS_COUNT_OF(sizes); i++) {
        bool wanted = sizes[i].kind == ENG_SIZE_QTY || !has_qty ||
                      (sizes[i].kind == ENG_SIZE_COST ? by_cost : by_notional);
        if (!wanted || !whatif_find(event, sizes[i].word, &token))
            continue;
        shared->size_kind = sizes[i].kind;
        shared->qty_e8 = whatif_amount(reader, event, sizes[i].word);
        return;
    }
}

/* A reduction that is said as a part of the master's position: of 1 where that is not said. */
static int64_t read_part(struct whatif_reader *reader, int64_t before_e8)
{
    struct eng_case_shared *shared = &reader->out->shared;
    int64_t part_e8 = whatif_amount(reader, &reader->event, "fraction");
    bool asks = shared->occasion == ENG_ON_ORDER || shared->occasion == ENG_ON_FILL;
    if (part_e8 == 0 || !asks || shared->size_kind != ENG_SIZE_NONE)
        return before_e8;
    int64_t held_e8 = whatif_number_or(reader, &reader->state, "copied_pos", 0);
    if ((reader->out->policy.flags & IPC_POLICY_REVERSE) != 0)
        held_e8 = held_e8 == INT64_MIN ? INT64_MAX : -held_e8;
    if (before_e8 == 0)
        before_e8 =
            shared->side == IPC_SIDE_BUY || (shared->side == 0 && held_e8 < 0) ? -LS_E8 : LS_E8;
    if (shared->side == 0)
        shared->side = before_e8 < 0 ? IPC_SIDE_BUY : IPC_SIDE_SELL;
    part_e8 = part_e8 < LS_E8 ? part_e8 : LS_E8;
    shared->size_kind = ENG_SIZE_QTY;
    shared->qty_e8 = (int64_t)((__int128)whatif_magnitude(before_e8) * part_e8 / LS_E8);
    return before_e8;
}

/* Positions before and after a fill; what is missing follows from the rest. */
static void read_positions(struct whatif_reader *reader, bool fills)
{
    const struct adp_json *event = &reader->event;
    struct eng_case_shared *shared = &reader->out->shared;
    int64_t before = read_part(reader, whatif_number_or(reader, event, "pos_before", 0)), after;
    bool has_after = whatif_number(reader, event, "pos_after", &after);
    if (shared->side == 0 && has_after && after != before)
        shared->side = after > before ? IPC_SIDE_BUY : IPC_SIDE_SELL;
    if (shared->side == 0)
        shared->side = IPC_SIDE_BUY;
    int64_t qty = shared->size_kind == ENG_SIZE_QTY ? shared->qty_e8 : 0;
    if (!has_after)
        after = whatif_plus(before, shared->side == IPC_SIDE_BUY ? qty : -qty);
    shared->before_e8 = before;
    shared->after_e8 = after;
    if (!fills)
        return;
    if (shared->size_kind == ENG_SIZE_NONE && after != before) {
        shared->size_kind = ENG_SIZE_QTY;
        qty = whatif_magnitude(whatif_plus(after, -before));
    }
    if (shared->size_kind != ENG_SIZE_QTY)
        return;
    /* Of this fill, what opens. */
    bool turns = (before > 0 && after <= 0) || (before < 0 && after >= 0);
    bool shrinks = before != 0 && (turns || whatif_magnitude(after) < whatif_magnitude(before));
    shared->order_qty_e8 = qty;
    if (shrinks)
        qty = turns ? whatif_magnitude(after) : 0;
    shared->qty_e8 = qty;
}

static void read_seq(struct whatif_reader *reader)
{
    struct whatif_case *out = reader->out;
    const struct adp_json *event = &reader->event;
    uint32_t list, element;
    if (!whatif_find(event, "seq", &list) || !adp_json_is(event, list, ADP_JSON_ARRAY)) {
        whatif_fault(reader, event, "seq", "is missing: a run of events needs its quantities");
        return;
    }
    for (uint32_t i = 0; (element = adp_json_element(event, list, i)) != ADP_JSON_NONE; i++) {
        if (i == WHATIF_SEQ_MAX || !whatif_token_e8(event, element, &out->seq_e8[i]) ||
            out->seq_e8[i] < 0) {
            whatif_fault(reader, event, "seq", "is not a list of at most 128 quantities");
            return;
        }
        out->count = i + 1;
    }
}

void whatif_read_event(struct whatif_reader *reader)
{
    static const struct {
        const char *word;
        uint8_t occasion, run;
    } types[] = {{"order", ENG_ON_ORDER, WHATIF_ONE}, {"fill", ENG_ON_FILL, WHATIF_ONE},
        {"fills", ENG_ON_FILL, WHATIF_FILLS}, {"cum_fills", ENG_ON_FILL, WHATIF_CUM_FILLS},
        {"orders", ENG_ON_ORDER, WHATIF_ORDERS}, {"modify", ENG_ON_AMEND, WHATIF_ONE},
        {"cancel", ENG_ON_CANCEL, WHATIF_ONE}, {"reject", ENG_ON_REJECT, WHATIF_ONE},
        {"target", ENG_ON_TARGET, WHATIF_ONE}, {"exit_trigger", ENG_ON_EXIT, WHATIF_ONE}};
    struct whatif_case *out = reader->out;
    const struct adp_json *event = &reader->event;
    struct eng_case_shared *shared = &out->shared;
    char type[WHATIF_WORD_BYTES] = "order";
    uint32_t token;
    shared->occasion = ENG_ON_ORDER;
    if (whatif_word(reader, event, "type", type)) {
        for (size_t i = 0; i < LS_COUNT_OF(types); i++) {
            if (strcmp(type, types[i].word) != 0)
                continue;
            shared->occasion = types[i].occasion;
            out->run = types[i].run;
            type[0] = '\0';
        }
        if (type[0] != '\0')
            whatif_fault(reader, event, "type", "is not an event that is decided here");
        (void)whatif_word(reader, event, "type", type);
    } else {
        (void)snprintf(type, sizeof type, "order");
        if (whatif_find(event, "seq", &token))
            whatif_fault(reader, event, "seq", "needs a type: fills, cum_fills or orders");
    }
    read_type(reader, type);
    shared->side = whatif_side(reader, event, "side");
    char text[WHATIF_WORD_BYTES];
    if (whatif_word(reader, event, "product", text))
        shared->product = whatif_product(reader, text);
    read_size(reader);
    shared->has_qty = whatif_find(event, "qty", &token);
    read_positions(reader, shared->occasion == ENG_ON_FILL && out->run == WHATIF_ONE);
    shared->stop_e8 = whatif_amount(reader, event, "sl");
    shared->target_e8 = whatif_number_or(reader, event, "target", 0);
    if (shared->occasion == ENG_ON_TARGET && !whatif_find(event, "target", &token))
        whatif_fault(reader, event, "target", "is missing");
    shared->fraction_e8 = whatif_amount(reader, event, "fraction");
    shared->filled_e8 = whatif_amount(reader, event, "master_filled");
    shared->age_ns = whatif_amount(reader, event, "age_ms") / (LS_E8 / LS_NS_PER_MS);
    if (shared->occasion == ENG_ON_CANCEL || shared->occasion == ENG_ON_REJECT)
        shared->size_kind = ENG_SIZE_QTY; /* of what had filled */
    shared->amendment = whatif_count(reader, event, "n");
    shared->minute = whatif_minute(reader, event, "time", ENG_MINUTE_UNKNOWN);
    int64_t whole = whatif_amount(reader, event, "order_qty");
    if (whole != 0)
        shared->order_qty_e8 = whole;
    int64_t filled = shared->filled_e8 != 0 ? shared->filled_e8 : shared->qty_e8;
    shared->complete = whole == 0 || filled >= whole;
    read_master_account(reader);
    if (out->run != WHATIF_ONE) {
        shared->size_kind = ENG_SIZE_QTY;
        read_seq(reader);
    }
}
