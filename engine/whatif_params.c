/* params: the subscription, as a follower's row and policy. */
#include <string.h>

#include "engine/core/pipeline/pool.h"
#include "engine/whatif_reader.h"

/* --- params -------------------------------------------------------------------------------------
 */

/* Equal words: ratio, mult, lot_multiplier; a negative one turns the side round. */
static void read_ratio(struct whatif_reader *reader)
{
    static const char *const words[] = {"ratio", "mult", "lot_multiplier", "value"};
    struct whatif_case *out = reader->out;
    int64_t ratio = LS_E8;
    for (size_t i = 0; i < LS_COUNT_OF(words); i++)
        if (whatif_number(reader, &reader->params, words[i], &ratio))
            break;
    bool reverse = whatif_flag(reader, &reader->params, "reverse", false);
    if (ratio < 0)
        reverse = !reverse;
    whatif_policy_flag(out, IPC_POLICY_REVERSE, reverse);
    out->row.ratio_e8 = ratio < 0 ? -(ratio + (ratio == INT64_MIN)) : ratio;
    out->policy.mult_e8 = out->row.ratio_e8;
}

static void read_tiers(struct whatif_reader *reader)
{
    struct ipc_row_policy *policy = &reader->out->policy;
    const struct adp_json *json = &reader->params;
    uint32_t list;
    if (!whatif_find(json, "tiers", &list))
        return;
    uint32_t tier;
    for (uint32_t i = 0; (tier = adp_json_element(json, list, i)) != ADP_JSON_NONE; i++) {
        if (i == IPC_TIERS_MAX) {
            whatif_fault(reader, json, "tiers", "has more than 8 tiers");
            return;
        }
        struct ipc_tier *out = &policy->tiers[i];
        uint32_t from = adp_json_get(json, tier, "from"), to = adp_json_get(json, tier, "to"),
                 mult = adp_json_get(json, tier, "mult");
        out->from_e8 = out->to_e8 = 0;
        bool whole = mult != ADP_JSON_NONE && whatif_token_e8(json, mult, &out->mult_e8);
        if (from != ADP_JSON_NONE && !adp_json_is(json, from, ADP_JSON_WORD))
            whole = whole && whatif_token_e8(json, from, &out->from_e8);
        if (to != ADP_JSON_NONE && !adp_json_is(json, to, ADP_JSON_WORD))
            whole = whole && whatif_token_e8(json, to, &out->to_e8);
        if (!whole) {
            whatif_fault(reader, json, "tiers", "needs tiers of from, to and mult");
            return;
        }
        policy->tier_count = (uint8_t)(i + 1);
    }
}

/* What only one mode reads, and the mode itself. */
static void read_mode(struct whatif_reader *reader, const char *mode)
{
    struct whatif_case *out = reader->out;
    const struct adp_json *params = &reader->params;
    struct ipc_row_policy *policy = &out->policy;
    enum ipc_mode known;
    out->row.mode = IPC_MODE_FIXED_RATIO;
    if (strcmp(mode, "FROZEN") == 0) /* what the rules call it */
        out->row.mode = IPC_MODE_COPY_RATIO_FROZEN;
    else if (ipc_mode_parse(mode, strlen(mode), &known))
        out->row.mode = (uint8_t)known;
    read_ratio(reader);
    static const char *const bases[] = {"", "equity", "balance", "free_margin"};
    if (out->row.mode == IPC_MODE_AUTO_RISK || out->row.mode == IPC_MODE_PERCENTAGE)
        policy->basis = (uint8_t)whatif_choice(reader, params, "basis", bases, LS_COUNT_OF(bases));
    else
        policy->basis_money_e8 = whatif_amount(reader, params, "basis");
    if (out->row.mode == IPC_MODE_PERCENTAGE)
        out->row.ratio_e8 = whatif_number_or(
            reader, params, "pct_of_capital", whatif_amount(reader, params, "pct"));
    if (out->row.mode == IPC_MODE_FIXED_QUANTITY)
        out->row.fixed_qty_e8 = whatif_amount(reader, params, "qty");
    policy->fraction_e8 = out->row.mode == IPC_MODE_PCT_BALANCE_BASIS
                              ? whatif_percent(reader, params, "pct")
                              : whatif_amount(reader, params, "risk_fraction");
    policy->invest_e8 = whatif_amount(reader, params, "invest");
    policy->slippage_discount_e8 = whatif_amount(reader, params, "slippage_cap");
    policy->leverage_e8 = whatif_amount(reader, params, "leverage");
    policy->step_money_e8 = whatif_amount(reader, params, "step_money");
    policy->step_qty_e8 = whatif_amount(reader, params, "qty_per_step");
    if (out->row.mode == IPC_MODE_AVAILABLE_RATIO_CAPPED)
        policy->available_factor_e8 = whatif_amount(reader, params, "k");
    uint32_t token;
    if (out->row.mode == IPC_MODE_COPY_RATIO_FROZEN && whatif_find(params, "k", &token) &&
        !adp_json_is(params, token, ADP_JSON_STRING))
        policy->frozen_coefficient_e8 = whatif_amount(reader, params, "k");
    policy->system_max_e8 = whatif_amount(reader, params, "system_max");
    policy->user_max_e8 = whatif_amount(reader, params, "user_max");
    policy->deposit_fraction_e8 = whatif_percent(reader, params, "deposit_pct");
    policy->fx_e8 = whatif_amount(reader, params, "fx");
    read_tiers(reader);
}

static void read_rounding(struct whatif_reader *reader)
{
    const struct adp_json *params = &reader->params;
    struct whatif_case *out = reader->out;
    struct ipc_row_policy *policy = &out->policy;
    static const char *const rounds[] = {"down", "nearest"};
    static const char *const minima[] = {"skip", "force_min"};
    static const char *const remainders[] = {"drop", "carry", "distribute", "largest_fraction"};
    static const char *const small[] = {"hold", "up"};
    policy->round = (uint8_t)whatif_choice(reader, params, "round", rounds, LS_COUNT_OF(rounds));
    policy->step_e8 = whatif_amount(reader, params, "step");
    if (!whatif_flag(reader, params, "fractional", true) && policy->step_e8 < LS_E8)
        policy->step_e8 = LS_E8;
    whatif_policy_flag(out, IPC_POLICY_FORCE_MIN,
        whatif_choice(reader, params, "min_policy", minima, LS_COUNT_OF(minima)) == 1);
    policy->refuse_below_e8 = whatif_amount(reader, params, "refuse_below");
    size_t rest = whatif_choice(reader, params, "remainder", remainders, LS_COUNT_OF(remainders));
    whatif_policy_flag(out, IPC_POLICY_CARRY, rest == 1);
    static const uint8_t pool[] = {
        ENG_POOL_DROP, ENG_POOL_DISTRIBUTE, ENG_POOL_DISTRIBUTE, ENG_POOL_LARGEST_FRACTION};
    out->pool_rest = pool[rest];
    whatif_policy_flag(out, IPC_POLICY_CLOSE_UP,
        whatif_choice(reader, params, "close_round", small, LS_COUNT_OF(small)) == 1 ||
            whatif_choice(reader, params, "small_close", small, LS_COUNT_OF(small)) == 1);
}

static void read_caps(struct whatif_reader *reader)
{
    const struct adp_json *params = &reader->params;
    struct whatif_case *out = reader->out;
    struct ipc_row_policy *policy = &out->policy;
    static const char *const caps[] = {"", "reduce", "skip"};
    out->row.max_qty_e8 = whatif_amount(reader, params, "max_quantity");
    out->row.max_position_e8 = whatif_amount(reader, params, "max_position");
    out->row.max_order_value_e8 = whatif_amount(reader, params, "max_order_value");
    policy->max_trade_risk_e8 = whatif_amount(reader, params, "max_trade_risk");
    policy->day_notional_e8 = whatif_amount(reader, params, "day_notional");
    policy->min_notional_e8 = whatif_amount(reader, params, "min_notional");
    policy->exposure_max_e8 = whatif_amount(reader, params, "max_exposure");
    policy->margin_use_max_e8 = whatif_percent(reader, params, "max_margin_util_pct");
    policy->master_min_e8 = whatif_amount(reader, params, "master_min");
    policy->master_max_e8 = whatif_amount(reader, params, "master_max");
    size_t on_cap = whatif_choice(reader, params, "on_cap", caps, LS_COUNT_OF(caps));
    if (on_cap == 1)
        out->row.flags |= IPC_FOLLOWER_VALUE_REDUCES;
    if (on_cap == 2) {
        out->row.flags |= IPC_FOLLOWER_CAP_SKIPS;
        policy->flags |= IPC_POLICY_POSITION_SKIPS | IPC_POLICY_RISK_SKIPS;
    }
    /* A forced maximum is a quantity cap that reduces; true makes max_quantity one. */
    uint32_t token;
    int64_t forced = 0;
    if (whatif_find(params, "force_max", &token) && !adp_json_is(params, token, ADP_JSON_WORD))
        forced = whatif_amount(reader, params, "force_max");
    else if (whatif_flag(reader, params, "force_max", false))
        out->row.flags &= (uint8_t)~IPC_FOLLOWER_CAP_SKIPS;
    if (forced != 0 && (out->row.max_qty_e8 == 0 || forced < out->row.max_qty_e8))
        out->row.max_qty_e8 = forced;
    out->shared.freeze_e8 = whatif_amount(reader, params, "freeze");
    policy->split_qty_e8 = whatif_amount(reader, params, "split");
    policy->slices_max = whatif_count(reader, params, "max_slices");
    if (policy->slices_max == 0)
        policy->slices_max = UINT32_MAX;
}

static void read_masks(struct whatif_reader *reader)
{
    const struct adp_json *params = &reader->params;
    struct ipc_row_follower *row = &reader->out->row;
    static const char *const lists[] = {
        "allowed_product_types", "allowed_order_types", "allowed_sides"};
    for (size_t list = 0; list < LS_COUNT_OF(lists); list++) {
        uint32_t token, element;
        if (!whatif_find(params, lists[list], &token))
            continue;
        if (!adp_json_is(params, token, ADP_JSON_ARRAY)) {
            whatif_fault(reader, params, lists[list], "is not a list");
            continue;
        }
        for (uint32_t i = 0; (element = adp_json_element(params, token, i)) != ADP_JSON_NONE; i++) {
            char text[WHATIF_WORD_BYTES];
            (void)adp_json_text(params, element, text, sizeof text);
            enum ipc_side side = IPC_SIDE_BUY;
            if (list == 0)
                row->products |= (uint8_t)(1u << (whatif_product(reader, text) & 7));
            else if (list == 1 && whatif_type(text) != 0)
                row->types |= (uint8_t)(1u << whatif_type(text));
            else if (list == 2 && ipc_side_parse(text, strlen(text), &side))
                row->sides |= (uint8_t)(1u << side);
            else
                whatif_fault(reader, params, lists[list], "has a word that is not known");
        }
    }
}

static void read_window(struct whatif_reader *reader)
{
    const struct adp_json *params = &reader->params;
    struct ipc_row_policy *policy = &reader->out->policy;
    char text[WHATIF_WORD_BYTES];
    policy->intraday_cutoff_min = (uint16_t)whatif_minute(reader, params, "mis_cutoff", 0);
    if (!whatif_word(reader, params, "copy_window", text))
        return;
    const char *dash = strchr(text, '-');
    int32_t from = dash == NULL ? -1 : whatif_minute_of(text, (size_t)(dash - text));
    int32_t to = dash == NULL ? -1 : whatif_minute_of(dash + 1, strlen(dash + 1));
    if (from < 0 || to < 0) {
        whatif_fault(reader, params, "copy_window", "is not a window: give HH:MM-HH:MM");
        return;
    }
    policy->window_from_min = (uint16_t)from;
    policy->window_to_min = (uint16_t)to;
}

static void read_guards(struct whatif_reader *reader)
{
    const struct adp_json *params = &reader->params;
    struct whatif_case *out = reader->out;
    struct ipc_row_policy *policy = &out->policy;
    static const char *const switches[] = {"run", "close-only", "halt"};
    /* The follower's own words may stand on either side. */
    if (whatif_flag(reader, params, "enabled", true) &&
        whatif_flag(reader, &reader->state, "enabled", true))
        out->row.flags |= IPC_FOLLOWER_ENABLED;
    if (whatif_flag(reader, params, "copy_paused", false) ||
        whatif_flag(reader, &reader->state, "copy_paused", false))
        out->row.flags |= IPC_FOLLOWER_PAUSED;
    out->judged.follower.word =
        (uint8_t)whatif_choice(reader, params, "switch", switches, LS_COUNT_OF(switches));
    if (whatif_flag(reader, params, "active", false) && out->judged.follower.word == IPC_SWITCH_RUN)
        out->judged.follower.word = IPC_SWITCH_CLOSE_ONLY;
    bool may_short = whatif_flag(reader, params, "allow_short", true) &&
                     whatif_flag(reader, &reader->state, "allow_short", true);
    if (may_short)
        out->row.flags |= IPC_FOLLOWER_ALLOW_SHORT;
    read_masks(reader);
    read_window(reader);
    uint32_t age_ms = whatif_count(reader, params, "max_entry_age_ms");
    out->row.max_age_market_ms = out->row.max_age_limit_ms = age_ms != 0 ? age_ms : UINT32_MAX;
    out->row.capital_max_age_ms = whatif_count(reader, params, "capital_max_age_ms");
    out->row.price_max_age_ms = whatif_count(reader, params, "price_max_age_ms");
    policy->slippage_cap_e8 = whatif_percent(reader, params, "max_slippage_pct");
    policy->market_protection_e8 = whatif_percent(reader, params, "market_protection_pct");
    static const char *const orders[] = {
        "", "allowed", "broker_protection", "limit", "refused", "as_limit"};
    size_t at = whatif_choice(reader, params, "market_orders", orders, LS_COUNT_OF(orders));
    out->shared.market_orders = at >= 3   ? ENG_MARKET_AS_LIMIT
                                : at == 1 ? ENG_MARKET_PLAIN
                                          : ENG_MARKET_PROTECTED;
    out->shared.no_ioc = whatif_flag(reader, params, "ioc", true) ? 0 : 1;
    /* The stops of an order that is turned round are nobody's stops. */
    whatif_policy_flag(out, IPC_POLICY_NO_STOPS, !whatif_flag(reader, params, "copy_sl_tp", true));
    whatif_policy_flag(
        out, IPC_POLICY_NO_PENDING, !whatif_flag(reader, params, "copy_pending", true));
    static const char *const fills[] = {"each", "complete"};
    policy->on_fill = (uint8_t)whatif_choice(reader, params, "on_fill", fills, LS_COUNT_OF(fills));
    policy->modifications_max = whatif_count(reader, params, "max_modifications");
}

static void read_limits(struct whatif_reader *reader)
{
    const struct adp_json *params = &reader->params;
    struct ipc_row_policy *policy = &reader->out->policy;
    policy->daily_loss_e8 = whatif_amount(reader, params, "max_daily_loss");
    policy->daily_loss_fraction_e8 = whatif_percent(reader, params, "max_daily_loss_pct");
    policy->open_positions_max = whatif_count(reader, params, "max_open_positions");
    policy->trades_day_max = whatif_count(reader, params, "max_trades_per_day");
    policy->failures_max = whatif_count(reader, params, "consecutive_failures");
    char basis[WHATIF_WORD_BYTES];
    if (whatif_word(reader, params, "loss_basis", basis))
        reader->out->judged.follower.loss_realised_only =
            strcmp(basis, "realised") == 0 || strcmp(basis, "realized") == 0;
}

void whatif_read_params(struct whatif_reader *reader, const char *mode)
{
    read_mode(reader, mode);
    read_rounding(reader);
    read_caps(reader);
    read_guards(reader);
    read_limits(reader);
}
