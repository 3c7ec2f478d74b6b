/* follower_state: what the follower holds, has working and has to lose, and its market. */
#include <string.h>

#include "engine/whatif_reader.h"

/* --- follower_state -----------------------------------------------------------------------------
 */

static int64_t sum_of_lots(struct whatif_reader *reader, int64_t otherwise)
{
    const struct adp_json *state = &reader->state;
    uint32_t list, element;
    if (!whatif_find(state, "copied_lots", &list))
        return otherwise;
    int64_t sum = 0;
    for (uint32_t i = 0; (element = adp_json_element(state, list, i)) != ADP_JSON_NONE; i++) {
        int64_t lot = 0;
        uint32_t token = adp_json_is(state, element, ADP_JSON_OBJECT)
                             ? adp_json_get(state, element, "qty")
                             : element;
        if (token == ADP_JSON_NONE || !whatif_token_e8(state, token, &lot))
            whatif_fault(reader, state, "copied_lots", "is not a list of quantities");
        sum = whatif_plus(sum, lot);
    }
    return sum;
}

/* The fold of its fills: said, or the sum of its entries, or an entry that filled although the
 * broker's position does not show it yet. */
static int64_t copied_position(struct whatif_reader *reader)
{
    const struct adp_json *state = &reader->state;
    struct whatif_case *out = reader->out;
    char status[WHATIF_WORD_BYTES];
    int64_t held = 0;
    /* What our own fills add up to; the other words say what is found there. */
    if (whatif_number(reader, state, "expected_pos", &held))
        return held;
    if (whatif_number(reader, state, "copied_pos", &held) && held != 0)
        return held;
    uint32_t token;
    if (whatif_find(state, "copied_lots", &token))
        return sum_of_lots(reader, 0);
    if (whatif_word(reader, state, "entry_status", status) && strcmp(status, "FILLED") == 0) {
        int64_t entry = whatif_amount(reader, state, "entry_qty");
        bool reverse = (out->policy.flags & IPC_POLICY_REVERSE) != 0;
        bool is_short = (out->shared.side == IPC_SIDE_BUY) != reverse;
        return is_short ? -entry : entry;
    }
    if (out->shared.occasion == ENG_ON_TARGET || out->row.mode == IPC_MODE_SMART_TARGET)
        return whatif_number_or(reader, state, "pos", 0);
    return 0;
}

static void read_holdings(struct whatif_reader *reader)
{
    uint32_t token;
    const struct adp_json *state = &reader->state;
    struct whatif_case *out = reader->out;
    struct eng_case_follower *follower = &out->judged.follower;
    follower->held_e8 = copied_position(reader);
    int64_t account;
    /* What is found bounds a close, where the case says both. */
    bool expects = whatif_find(state, "expected_pos", &token);
    if (whatif_number(reader, state, "pos", &account) &&
        (expects || whatif_find(state, "copied_pos", &token)))
        follower->has_account = true;
    else if (expects && whatif_number(reader, state, "copied_pos", &account))
        follower->has_account = true;
    if (follower->has_account)
        follower->account_e8 = account;
    follower->coming_e8 = whatif_amount(reader, state, "working_entry");
    int64_t same_side = whatif_amount(reader, state, "working_same_side");
    follower->stop_e8 = whatif_amount(reader, state, "working_stop");
    follower->in_flight_e8 = whatif_amount(reader, state, "exit_in_flight");
    follower->reserved_e8 =
        whatif_plus(whatif_plus(same_side, follower->stop_e8), follower->in_flight_e8);
    follower->reach_e8 = whatif_plus(whatif_magnitude(follower->held_e8), follower->coming_e8);
    if (out->row.mode == IPC_MODE_AVAILABLE_RATIO_CAPPED)
        follower->reach_e8 = whatif_number_or(reader, state, "holding", follower->reach_e8);
    whatif_policy_flag(out, IPC_POLICY_ONE_RESTING,
        whatif_flag(reader, state, "one_resting_sell", false) ||
            whatif_flag(reader, state, "one_resting", false));
    char text[WHATIF_WORD_BYTES];
    if (whatif_word(reader, state, "entry_product", text))
        follower->entry_product = whatif_product(reader, text);
    follower->child_open_e8 = whatif_amount(reader, state, "child_open");
    follower->child_filled_e8 = whatif_amount(reader, state, "child_filled");
    follower->child_price_e8 = whatif_amount(reader, state, "child_price");
    follower->child_trigger_e8 = whatif_amount(reader, state, "child_trigger");
    follower->child_modifications = whatif_count(reader, state, "child_modifications");
    if (whatif_word(reader, state, "cancel_result", text))
        follower->cancel_lost = strcmp(text, "ALREADY_FILLED") == 0 || strcmp(text, "FILLED") == 0;
}

static void read_money(struct whatif_reader *reader)
{
    const struct adp_json *state = &reader->state;
    struct eng_case_follower *follower = &reader->out->judged.follower;
    int64_t account =
        whatif_number_or(reader, state, "account", whatif_amount(reader, state, "capital"));
    follower->equity_e8 = whatif_number_or(reader, state, "equity", account);
    follower->balance_e8 = whatif_number_or(reader, state, "balance", account);
    follower->free_e8 = whatif_number_or(
        reader, state, "available", whatif_number_or(reader, state, "free_margin", account));
    /* The word of the mode counts before the words of other modes. */
    uint8_t mode = reader->out->row.mode;
    int64_t own;
    if ((mode == IPC_MODE_PERCENTAGE && whatif_number(reader, state, "capital", &own)) ||
        (mode == IPC_MODE_AUTO_RISK && whatif_number(reader, state, "account", &own)))
        follower->equity_e8 = follower->balance_e8 = follower->free_e8 = own;
    follower->leverage_e8 = whatif_amount(reader, state, "leverage");
    follower->max_available_e8 = whatif_amount(reader, state, "max_available");
    follower->join_equity_e8 = whatif_amount(reader, state, "equity_at_join");
    follower->master_join_equity_e8 = whatif_amount(reader, state, "master_equity_at_join");
    follower->margin_used_e8 = whatif_amount(reader, state, "margin_used");
    follower->margin_total_e8 = whatif_amount(reader, state, "margin_total");
    follower->margin_needed_e8 = whatif_amount(reader, &reader->event, "margin_needed");
    follower->capital_age_ns =
        whatif_amount(reader, state, "capital_age_ms") / (LS_E8 / LS_NS_PER_MS);
    follower->contract_e8 = whatif_amount(reader, state, "contract_size");
    follower->realised_e8 = whatif_number_or(reader, state, "day_realised", 0);
    follower->unrealised_e8 = whatif_number_or(reader, state, "day_unrealised", 0);
    follower->day_start_equity_e8 = whatif_amount(reader, state, "day_start_equity");
    follower->day_notional_e8 = whatif_amount(reader, state, "day_notional");
    follower->exposure_e8 = whatif_amount(reader, state, "exposure");
    follower->trades = whatif_count(reader, state, "trades_today");
    follower->open_positions = whatif_count(reader, state, "open_positions");
    follower->holds = whatif_flag(reader, state, "holds_symbol", follower->held_e8 != 0);
    follower->failures = whatif_count(reader, state, "consecutive_failures");
    char session[WHATIF_WORD_BYTES];
    static const char *const valid[] = {"VALID", "ACTIVE", "OK", "OPEN", "LIVE"};
    size_t at;
    follower->session_valid = !whatif_word(reader, state, "session", session) ||
                              whatif_is_word(session, valid, LS_COUNT_OF(valid), &at);
}

static void read_market(struct whatif_reader *reader)
{
    const struct adp_json *state = &reader->state;
    struct whatif_case *out = reader->out;
    struct eng_case_shared *shared = &out->shared;
    shared->lot_e8 = whatif_amount(reader, state, "lot");
    shared->tick_e8 = whatif_amount(reader, state, "tick");
    shared->last_e8 = whatif_amount(reader, state, "ltp");
    shared->bid_e8 = whatif_amount(reader, state, "bid");
    shared->ask_e8 = whatif_amount(reader, state, "ask");
    shared->price_age_ns = whatif_amount(reader, state, "price_age_ms") / (LS_E8 / LS_NS_PER_MS);
    /* Where market orders are refused, the protected price is around the last one. */
    int64_t base = shared->last_e8 != 0 ? shared->last_e8 : shared->price_e8;
    int64_t part = out->policy.market_protection_e8;
    if (shared->type == IPC_TYPE_SLM)
        base = shared->trigger_e8;
    if (base != 0 && part < LS_E8) {
        int64_t up = (int64_t)((__int128)base * (LS_E8 + part) / LS_E8);
        int64_t down = (int64_t)(((__int128)base * (LS_E8 - part) + LS_E8 - 1) / LS_E8);
        int64_t tick = shared->tick_e8 != 0 ? shared->tick_e8 : 1;
        shared->protected_e8[0] = up - up % tick;
        shared->protected_e8[1] = down + (tick - down % tick) % tick;
    }
}

/* The symbol, what the map makes of it, and the lists. */
static void read_symbol(struct whatif_reader *reader)
{
    struct whatif_case *out = reader->out;
    struct eng_case_follower *follower = &out->judged.follower;
    const struct eng_case_shared *shared = &out->shared;
    (void)whatif_word(reader, &reader->event, "symbol", out->symbol[0]);
    follower->symbol_allowed =
        whatif_list_allows(reader, &reader->params, "allowed_instruments", out->symbol[0]);
    uint32_t map, token;
    int64_t factor = whatif_amount(reader, &reader->params, "factor");
    bool mapped = false;
    if (whatif_find(&reader->params, "map", &map) &&
        (token = adp_json_get(&reader->params, map, out->symbol[0])) != ADP_JSON_NONE) {
        if (!adp_json_is(&reader->params, token, ADP_JSON_STRING) ||
            adp_json_span(&reader->params, token).count >= WHATIF_WORD_BYTES)
            whatif_fault(
                reader, &reader->params, "map", "names a symbol by something else than a word");
        (void)adp_json_text(&reader->params, token, out->symbol[1], WHATIF_WORD_BYTES);
        mapped = true;
    }
    if (!mapped && factor == 0)
        return;
    follower->mapped = 1;
    follower->own.instrument = mapped ? 2 : 1;
    follower->own.factor_e8 = factor;
    follower->own.lot_e8 = shared->lot_e8;
    follower->own.tick_e8 = shared->tick_e8;
    follower->own.freeze_e8 = shared->freeze_e8;
    follower->own.last_e8 = shared->last_e8;
    follower->own.bid_e8 = shared->bid_e8;
    follower->own.ask_e8 = shared->ask_e8;
    follower->own.protected_e8[0] = shared->protected_e8[0];
    follower->own.protected_e8[1] = shared->protected_e8[1];
}

/* --- blocks -------------------------------------------------------------------------------------
 */

static void read_pool(struct whatif_reader *reader)
{
    struct whatif_case *out = reader->out;
    const struct adp_json *from = &reader->params;
    uint32_t list, element;
    out->run = WHATIF_POOL;
    out->unit_e8 = out->shared.lot_e8 != 0 ? out->shared.lot_e8 : LS_E8;
    const char *key = out->row.mode == IPC_MODE_POOLED_RATIO ? "ratios" : "netliq";
    if (out->row.mode == IPC_MODE_POOLED_EQUAL) {
        out->count = whatif_count(reader, &reader->state, "followers");
        if (out->count == 0 || out->count > WHATIF_POOL_MAX)
            whatif_fault(reader, &reader->state, "followers", "is not a number in [1, 128]");
        for (uint32_t i = 0; i < out->count && i < WHATIF_POOL_MAX; i++)
            out->weights[i] = 1;
        return;
    }
    if (!whatif_find(from, key, &list)) {
        from = &reader->state;
        if (!whatif_find(from, key, &list)) {
            whatif_fault(reader, from, key, "is missing: a block needs the accounts' shares");
            return;
        }
    }
    for (uint32_t i = 0; (element = adp_json_element(from, list, i)) != ADP_JSON_NONE; i++) {
        if (i == WHATIF_POOL_MAX || !whatif_token_e8(from, element, &out->weights[i]) ||
            out->weights[i] < 0) {
            whatif_fault(reader, from, key, "is not a list of at most 128 shares");
            return;
        }
        out->count = i + 1;
    }
}

void whatif_read_state(struct whatif_reader *reader)
{
    read_holdings(reader);
    read_money(reader);
    read_market(reader);
    read_symbol(reader);
    uint8_t mode = reader->out->row.mode;
    if (mode >= IPC_MODE_POOLED_EQUAL && mode <= IPC_MODE_POOLED_NETLIQ)
        read_pool(reader);
}
