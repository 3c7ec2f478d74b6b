#include "control/settings.h"

#include <stddef.h>
#include <string.h>

#include "ipc/accounts.h"
#include "ipc/decimal.h"

#define RATIO_MAX (INT64_C(10000) * LS_E8)
#define QTY_MAX   (INT64_C(50000000) * LS_E8)
#define ALL_PCT   (INT64_C(100) * LS_E8)
#define COUNT_MAX 1000000
#define DAY_MS    86400000

enum kind {
    NUMBER,   /* decimal, [0, high] */
    PCT,      /* percent in the file, fraction in the row, [0, high] percent */
    FRACTION, /* as NUMBER, another name of a PCT field: never written */
    COUNT,    /* whole number, [0, high] */
    YES,      /* true sets the bit */
    NO,       /* false sets the bit; true is the default */
    WHOLE,    /* false is a step of 1: another name, never written */
    WORDS,    /* one of two words, the second sets the bit */
    NAMES,    /* one of a vocabulary: high = its first value */
    TIME,     /* "15:20" */
    WINDOW,   /* "09:20-15:00", two fields */
    TIERS
};

struct setting {
    const char *group; /* NULL = on the subscription itself */
    const char *key;
    enum kind kind;
    uint32_t at; /* offset in the row */
    int64_t high;
    uint32_t bit;
    const char *words; /* "first|second" */
    uint32_t reads;    /* modes that read it, 1 << enum ipc_mode; 0 = not a mode's number */
    uint32_t needs;    /* modes that cannot do without; of them, those of FRACTION stand in */
};

#define AT(field) (uint32_t) offsetof(struct ipc_row_policy, field)
#define M(mode)   (1u << IPC_MODE_##mode)
#define MULT_MODES                                                                                 \
    (M(EQUITY_PROPORTIONAL) | M(BALANCE_PROPORTIONAL) | M(AUTO_RISK) | M(MULTIPLIER_NOTIONAL))
#define INVEST_MODES   (M(USAGE_RATIO) | M(USAGE_RATIO_DISCOUNT))
#define FLAG(bit_name) .at = AT(flags), .bit = IPC_POLICY_##bit_name

/* A group's fields stand together. */
static const struct setting settings[] = {
    /* the life of a copy, on the subscription itself */
    {NULL, "on_fill", NAMES, .at = AT(on_fill), .words = "each|complete"},
    {NULL, "copy_pending", NO, FLAG(NO_PENDING)},
    {NULL, "copy_sl_tp", NO, FLAG(NO_STOPS)},
    {NULL, "reverse", YES, FLAG(REVERSE)},
    {NULL, "one_resting_order", YES, FLAG(ONE_RESTING)},
    {NULL, "top_up", YES, FLAG(TOP_UP),
        .words = "would have no effect: what a copy did not fill is not chased; leave it out"},
    {NULL, "flatten_on_unfollow", YES, FLAG(END_FLATTENS)},
    {NULL, "drift", NAMES, .at = AT(drift),
        .words = "alert"}, /* the others are no deeds of the engine */

    {"sizing", "mult", NUMBER, .at = AT(mult_e8), .high = RATIO_MAX, .reads = MULT_MODES},
    {"sizing", "value", FRACTION, .at = AT(mult_e8), .high = RATIO_MAX, .reads = M(AUTO_RISK)},
    {"sizing", "basis", NAMES, .at = AT(basis), .high = 1, .words = "equity|balance|free_margin",
        .reads = M(AUTO_RISK) | M(PERCENTAGE), .needs = M(AUTO_RISK)},
    {"sizing", "invest", NUMBER, .at = AT(invest_e8), .high = IPC_MONEY_E8_MAX,
        .reads = INVEST_MODES, .needs = INVEST_MODES},
    {"sizing", "slippage_cap_pct", PCT, .at = AT(slippage_discount_e8), .high = ALL_PCT,
        .reads = M(USAGE_RATIO_DISCOUNT), .needs = M(USAGE_RATIO_DISCOUNT)},
    {"sizing", "slippage_cap", FRACTION, .at = AT(slippage_discount_e8), .high = LS_E8,
        .reads = M(USAGE_RATIO_DISCOUNT)},
    {"sizing", "leverage", NUMBER, .at = AT(leverage_e8), .high = RATIO_MAX, .reads = INVEST_MODES,
        .needs = M(USAGE_RATIO_DISCOUNT)},
    {"sizing", "step_money", NUMBER, .at = AT(step_money_e8), .high = IPC_MONEY_E8_MAX,
        .reads = M(STEP_OF_BALANCE), .needs = M(STEP_OF_BALANCE)},
    {"sizing", "qty_per_step", NUMBER, .at = AT(step_qty_e8), .high = QTY_MAX,
        .reads = M(STEP_OF_BALANCE), .needs = M(STEP_OF_BALANCE)},
    {"sizing", "basis_money", NUMBER, .at = AT(basis_money_e8), .high = IPC_MONEY_E8_MAX,
        .reads = M(PCT_BALANCE_BASIS), .needs = M(PCT_BALANCE_BASIS)},
    {"sizing", "pct", PCT, .at = AT(fraction_e8), .high = ALL_PCT, .reads = M(PCT_BALANCE_BASIS),
        .needs = M(PCT_BALANCE_BASIS)},
    {"sizing", "risk_pct", PCT, .at = AT(fraction_e8), .high = ALL_PCT, .reads = M(FIXED_RISK),
        .needs = M(FIXED_RISK)},
    {"sizing", "risk_fraction", FRACTION, .at = AT(fraction_e8), .high = LS_E8,
        .reads = M(FIXED_RISK)},
    {"sizing", "tiers", TIERS, .at = AT(tiers), .reads = M(TIERED_MULTIPLIER),
        .needs = M(TIERED_MULTIPLIER)},
    {"sizing", "coefficient", NUMBER, .at = AT(frozen_coefficient_e8), .high = RATIO_MAX,
        .reads = M(COPY_RATIO_FROZEN), .needs = M(COPY_RATIO_FROZEN)},
    {"sizing", "k", NUMBER, .at = AT(available_factor_e8), .high = RATIO_MAX,
        .reads = M(AVAILABLE_RATIO_CAPPED), .needs = M(AVAILABLE_RATIO_CAPPED)},
    {"sizing", "system_max", NUMBER, .at = AT(system_max_e8), .high = QTY_MAX,
        .reads = M(AVAILABLE_RATIO_CAPPED)},
    {"sizing", "user_max", NUMBER, .at = AT(user_max_e8), .high = QTY_MAX,
        .reads = M(AVAILABLE_RATIO_CAPPED)},
    {"sizing", "deposit_pct", PCT, .at = AT(deposit_fraction_e8), .high = ALL_PCT,
        .reads = M(MQL5_PCT), .needs = M(MQL5_PCT)},
    {"sizing", "fx", NUMBER, .at = AT(fx_e8), .high = RATIO_MAX, .reads = M(MQL5_PCT)},
    {"sizing", "follower_leverage", NUMBER, .at = AT(follower_leverage_e8), .high = RATIO_MAX,
        .reads = M(MQL5_PCT), .needs = M(MQL5_PCT)},
    {"sizing", "master_leverage", NUMBER, .at = AT(master_leverage_e8), .high = RATIO_MAX,
        .reads = M(MQL5_PCT), .needs = M(MQL5_PCT)},
    {"sizing", "contract_factor", NUMBER, .at = AT(contract_factor_e8), .high = RATIO_MAX,
        .reads = M(MULTIPLIER_NOTIONAL), .needs = M(MULTIPLIER_NOTIONAL)},

    {"rounding", "step", NUMBER, .at = AT(step_e8), .high = QTY_MAX},
    {"rounding", "fractional", WHOLE, .at = AT(step_e8)},
    {"rounding", "round", NAMES, .at = AT(round), .words = "down|nearest"},
    {"rounding", "min_policy", WORDS, FLAG(FORCE_MIN), .words = "skip|force_min"},
    {"rounding", "refuse_below", NUMBER, .at = AT(refuse_below_e8), .high = QTY_MAX},
    {"rounding", "remainder", WORDS, FLAG(CARRY), .words = "drop|carry"},
    {"rounding", "small_close", WORDS, FLAG(CLOSE_UP), .words = "hold|up"},

    {"caps", "min_notional", NUMBER, .at = AT(min_notional_e8), .high = IPC_MONEY_E8_MAX},
    {"caps", "master_min", NUMBER, .at = AT(master_min_e8), .high = QTY_MAX},
    {"caps", "master_max", NUMBER, .at = AT(master_max_e8), .high = QTY_MAX},
    {"caps", "max_trade_risk_pct", PCT, .at = AT(max_trade_risk_e8), .high = ALL_PCT},
    {"caps", "max_trade_risk", FRACTION, .at = AT(max_trade_risk_e8), .high = LS_E8},
    {"caps", "on_max_trade_risk", WORDS, FLAG(RISK_SKIPS), .words = "reduce|skip"},
    {"caps", "on_max_position", WORDS, FLAG(POSITION_SKIPS), .words = "reduce|skip"},
    {"caps", "day_notional", NUMBER, .at = AT(day_notional_e8), .high = IPC_MONEY_E8_MAX},
    {"caps", "split", NUMBER, .at = AT(split_qty_e8), .high = QTY_MAX},
    {"caps", "max_slices", COUNT, .at = AT(slices_max), .high = COUNT_MAX},
    {"caps", "max_modifications", COUNT, .at = AT(modifications_max), .high = COUNT_MAX},

    {"guards", "max_slippage_pct", PCT, .at = AT(slippage_cap_e8), .high = ALL_PCT},
    {"guards", "price_collar_pct", PCT, .at = AT(price_collar_e8), .high = ALL_PCT},
    {"guards", "market_protection_pct", PCT, .at = AT(market_protection_e8), .high = ALL_PCT},
    {"guards", "copy_window", WINDOW, .at = AT(window_from_min)},
    {"guards", "mis_cutoff", TIME, .at = AT(intraday_cutoff_min)},
    {"guards", "duplicate_window_ms", COUNT, .at = AT(duplicate_window_ms), .high = DAY_MS},
    {"guards", "on_duplicate", WORDS, FLAG(DUPLICATE_SKIPS), .words = "alert|skip"},
    {"guards", "on_missed", WORDS, FLAG(CATCH_UP), .words = "alert|catch_up"},

    {"limits", "max_daily_loss", NUMBER, .at = AT(daily_loss_e8), .high = IPC_MONEY_E8_MAX},
    {"limits", "max_daily_loss_pct", PCT, .at = AT(daily_loss_fraction_e8), .high = ALL_PCT},
    {"limits", "max_drawdown", NUMBER, .at = AT(drawdown_e8), .high = IPC_MONEY_E8_MAX},
    {"limits", "max_drawdown_pct", PCT, .at = AT(drawdown_fraction_e8), .high = ALL_PCT},
    {"limits", "trailing_protect", NUMBER, .at = AT(trailing_protect_e8), .high = IPC_MONEY_E8_MAX},
    {"limits", "equity_stop", NUMBER, .at = AT(equity_stop_e8), .high = IPC_MONEY_E8_MAX},
    {"limits", "equity_stop_pct", PCT, .at = AT(equity_stop_fraction_e8), .high = ALL_PCT},
    {"limits", "max_exposure", NUMBER, .at = AT(exposure_max_e8), .high = IPC_MONEY_E8_MAX},
    {"limits", "max_margin_util_pct", PCT, .at = AT(margin_use_max_e8), .high = ALL_PCT},
    {"limits", "max_open_positions", COUNT, .at = AT(open_positions_max), .high = COUNT_MAX},
    {"limits", "max_trades_per_day", COUNT, .at = AT(trades_day_max), .high = COUNT_MAX},
    {"limits", "consecutive_failures", COUNT, .at = AT(failures_max), .high = COUNT_MAX},
    {"limits", "circuit_hold_ms", COUNT, .at = AT(circuit_hold_ms), .high = DAY_MS},
    {"limits", "margin_step_down", YES, FLAG(MARGIN_STEP)},
    {"limits", "on_breach", WORDS, FLAG(TRIP_FLATTENS), .words = "halt_entries|flatten"},
    {"limits", "scope", NAMES, .at = AT(trip_scope), .high = 1, .words = "link|follower|group|all"},
    {"limits", "group_deactivate", YES, FLAG(TRIP_GROUP)},
};

#define SETTING_COUNT LS_COUNT_OF(settings)
#define KEYS_MAX      64

void ctl_settings_keys(const char **out, size_t room)
{
    size_t used = 0;
    const char *group = NULL;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const char *name = settings[i].key;
        if (settings[i].group != NULL) {
            if (group != NULL && strcmp(group, settings[i].group) == 0)
                continue;
            name = group = settings[i].group;
        }
        LS_CHECK(used + 1 < room);
        out[used++] = name;
    }
    out[used] = NULL;
}

/* ---- reading --------------------------------------------------------------------------------- */

#define COMPLAIN(value, ...)                                                                       \
    (ctl_document_complain(document, (value), error, __VA_ARGS__), IPC_BAD_INPUT)

static int64_t *number_at(struct ipc_row_policy *policy, const struct setting *s)
{
    return (int64_t *)((uint8_t *)policy + s->at);
}

static enum ipc_rc read_percent(const struct ctl_document *document, uint32_t group,
    const struct setting *s, int64_t *out, struct ipc_error *error)
{
    int64_t percent = 0;
    enum ipc_rc rc = ctl_document_e8(document, group, s->key, 0, s->high, &percent, error);
    if (rc == IPC_OK && percent % 100 != 0)
        return COMPLAIN(ctl_document_member(document, group, s->key),
            "must have at most 6 decimal places: it is a percent");
    if (rc == IPC_OK)
        *out = percent / 100;
    return rc;
}

/* The place of a word in "a|b|c", -1 when it is none of them. */
static int word_of(const char *words, const char *word)
{
    size_t bytes = strlen(word);
    int place = 0;
    for (const char *at = words;; place++) {
        const char *end = strchr(at, '|');
        size_t span = end != NULL ? (size_t)(end - at) : strlen(at);
        if (span == bytes && memcmp(at, word, bytes) == 0)
            return place;
        if (end == NULL)
            return -1;
        at = end + 1;
    }
}

static enum ipc_rc read_word(const struct ctl_document *document, uint32_t group,
    const struct setting *s, struct ipc_row_policy *policy, struct ipc_error *error)
{
    char word[24];
    enum ipc_rc rc = ctl_document_string(document, group, s->key, word, sizeof(word), error);
    if (rc != IPC_OK)
        return rc;
    int place = word_of(s->words, word);
    if (place < 0) {
        char list[64];
        snprintf(list, sizeof(list), "%s", s->words);
        for (char *at = list; *at != '\0'; at++)
            *at = *at == '|' ? '/' : *at;
        return COMPLAIN(
            ctl_document_member(document, group, s->key), "\"%s\" is not one of %s", word, list);
    }
    if (s->kind == NAMES)
        *((uint8_t *)policy + s->at) = (uint8_t)(place + s->high);
    else if (place == 1)
        policy->flags |= s->bit;
    return IPC_OK;
}

static enum ipc_rc read_bool(const struct ctl_document *document, uint32_t group,
    const struct setting *s, struct ipc_row_policy *policy, struct ipc_error *error)
{
    bool value = s->kind == NO;
    enum ipc_rc rc = ctl_document_bool(document, group, s->key, &value, error);
    if (rc != IPC_OK || value != (s->kind == YES))
        return rc;
    /* Accepted in silence it would look as if it worked. */
    if (s->words != NULL)
        return COMPLAIN(ctl_document_member(document, group, s->key), "%s", s->words);
    policy->flags |= s->bit;
    return IPC_OK;
}

/* A step that is given is coarser or finer on purpose: both together are refused by the caller. */
static enum ipc_rc read_whole(const struct ctl_document *document, uint32_t group,
    const struct setting *s, struct ipc_row_policy *policy, struct ipc_error *error)
{
    bool fractional = true;
    enum ipc_rc rc = ctl_document_bool(document, group, s->key, &fractional, error);
    if (rc == IPC_OK && !fractional)
        *number_at(policy, s) = LS_E8;
    return rc;
}

/* "15:20" to minutes; 24:00 is the end of the day. */
static bool minute_of(const char *text, uint16_t *out)
{
    unsigned digit[4];
    static const int places[] = {0, 1, 3, 4};
    for (int i = 0; i < 4; i++) {
        digit[i] = (unsigned)(text[places[i]] - '0');
        if (digit[i] > 9)
            return false;
    }
    unsigned minute = (digit[0] * 10 + digit[1]) * 60 + digit[2] * 10 + digit[3];
    if (text[2] != ':' || digit[2] > 5 || minute > 24 * 60)
        return false;
    *out = (uint16_t)minute;
    return true;
}

static enum ipc_rc read_time(const struct ctl_document *document, uint32_t group,
    const struct setting *s, struct ipc_row_policy *policy, struct ipc_error *error)
{
    char text[16];
    enum ipc_rc rc = ctl_document_string(document, group, s->key, text, sizeof(text), error);
    if (rc != IPC_OK)
        return rc;
    uint32_t value = ctl_document_member(document, group, s->key);
    uint16_t *out = (uint16_t *)((uint8_t *)policy + s->at);
    if (s->kind == TIME) {
        if (strlen(text) != 5 || !minute_of(text, out) || *out == 0)
            return COMPLAIN(value, "must be a time of the market's day, as 15:20");
        return IPC_OK;
    }
    if (strlen(text) != 11 || text[5] != '-' || !minute_of(text, &out[0]) ||
        !minute_of(text + 6, &out[1]))
        return COMPLAIN(value, "must be two times of the market's day, as 09:20-15:00");
    if (out[0] >= out[1])
        return COMPLAIN(value, "must end after it starts");
    return IPC_OK;
}

static enum ipc_rc read_tiers(const struct ctl_document *document, uint32_t group,
    struct ipc_row_policy *policy, struct ipc_error *error)
{
    static const char *const keys[] = {"from", "to", "mult", NULL};
    uint32_t array = ctl_document_member(document, group, "tiers");
    if (array == CTL_NONE || ctl_document_type(document, array) == CTL_JSON_NULL)
        return IPC_NOT_FOUND;
    if (ctl_document_type(document, array) != CTL_JSON_ARRAY ||
        ctl_document_count(document, array) > IPC_TIERS_MAX)
        return COMPLAIN(array, "must be a list of at most %d tiers", IPC_TIERS_MAX);
    for (uint32_t value = ctl_document_first(document, array); value != CTL_NONE;
         value = ctl_document_next(document, value)) {
        struct ipc_tier *tier = &policy->tiers[policy->tier_count];
        if (ctl_document_only(document, value, keys, error) != IPC_OK)
            return IPC_BAD_INPUT;
        enum ipc_rc from =
            ctl_document_e8(document, value, "from", 0, IPC_MONEY_E8_MAX, &tier->from_e8, error);
        enum ipc_rc to =
            ctl_document_e8(document, value, "to", 0, IPC_MONEY_E8_MAX, &tier->to_e8, error);
        enum ipc_rc mult =
            ctl_document_e8(document, value, "mult", 1, RATIO_MAX, &tier->mult_e8, error);
        if (from == IPC_BAD_INPUT || to == IPC_BAD_INPUT || mult == IPC_BAD_INPUT)
            return IPC_BAD_INPUT;
        if (mult == IPC_NOT_FOUND)
            return COMPLAIN(value, "\"mult\" is missing");
        if (tier->to_e8 != 0 && tier->to_e8 <= tier->from_e8)
            return COMPLAIN(value, "must end above its start");
        if (policy->tier_count > 0 && (tier[-1].to_e8 == 0 || tier->from_e8 < tier[-1].to_e8))
            return COMPLAIN(value, "must start where the tier before it ends, or above");
        policy->tier_count++;
    }
    return IPC_OK;
}

static enum ipc_rc read_one(const struct ctl_document *document, uint32_t group,
    const struct setting *s, struct ipc_row_policy *policy, struct ipc_error *error)
{
    uint64_t count = 0;
    enum ipc_rc rc = IPC_NOT_FOUND;
    switch (s->kind) {
    case NUMBER:
    case FRACTION:
        return ctl_document_e8(document, group, s->key, 0, s->high, number_at(policy, s), error);
    case PCT:
        return read_percent(document, group, s, number_at(policy, s), error);
    case COUNT:
        rc = ctl_document_uint(document, group, s->key, 0, (uint64_t)s->high, &count, error);
        if (rc == IPC_OK)
            *(uint32_t *)((uint8_t *)policy + s->at) = (uint32_t)count;
        return rc;
    case YES:
    case NO:
        return read_bool(document, group, s, policy, error);
    case WHOLE:
        return read_whole(document, group, s, policy, error);
    case WORDS:
    case NAMES:
        return read_word(document, group, s, policy, error);
    case TIME:
    case WINDOW:
        return read_time(document, group, s, policy, error);
    case TIERS:
        return read_tiers(document, group, policy, error);
    }
    return rc;
}

/* Two names of one number, both given, would leave one of them without effect. */
static bool said_twice(const struct ipc_row_policy *policy, const struct setting *s)
{
    return (s->kind == NUMBER || s->kind == FRACTION || s->kind == PCT || s->kind == WHOLE) &&
           *(const int64_t *)((const uint8_t *)policy + s->at) != 0;
}

static enum ipc_rc read_group(const struct ctl_document *document, const char *group,
    uint32_t inside, enum ipc_mode mode, struct ipc_row_policy *policy, struct ipc_error *error)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *s = &settings[i];
        if ((group == NULL) != (s->group == NULL) ||
            (group != NULL && strcmp(group, s->group) != 0))
            continue;
        uint32_t value = ctl_document_member(document, inside, s->key);
        if (value == CTL_NONE || ctl_document_type(document, value) == CTL_JSON_NULL)
            continue;
        if (s->reads != 0 && (s->reads & 1u << mode) == 0)
            return COMPLAIN(value, "mode %s does not read it; remove it, or change the mode",
                ipc_mode_name(mode));
        if (said_twice(policy, s))
            return COMPLAIN(value, "is given under another name already; keep one of them");
        enum ipc_rc rc = read_one(document, inside, s, policy, error);
        if (rc != IPC_OK && rc != IPC_NOT_FOUND)
            return rc;
    }
    return IPC_OK;
}

static enum ipc_rc read_groups(const struct ctl_document *document, uint32_t object,
    enum ipc_mode mode, struct ipc_row_policy *policy, struct ipc_error *error)
{
    const char *group = NULL;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (settings[i].group == NULL || (group != NULL && strcmp(group, settings[i].group) == 0))
            continue;
        group = settings[i].group;
        uint32_t inside = ctl_document_member(document, object, group);
        if (inside == CTL_NONE || ctl_document_type(document, inside) == CTL_JSON_NULL)
            continue;
        const char *keys[KEYS_MAX];
        size_t used = 0;
        for (size_t j = i; j < SETTING_COUNT && settings[j].group != NULL &&
                           strcmp(settings[j].group, group) == 0;
             j++)
            keys[used++] = settings[j].key;
        LS_CHECK(used < KEYS_MAX);
        keys[used] = NULL;
        if (ctl_document_only(document, inside, keys, error) != IPC_OK)
            return IPC_BAD_INPUT;
        enum ipc_rc rc = read_group(document, group, inside, mode, policy, error);
        if (rc != IPC_OK)
            return rc;
    }
    return IPC_OK;
}

static bool is_set(const struct ipc_row_policy *policy, const struct setting *s)
{
    if (s->kind == TIERS)
        return policy->tier_count != 0;
    if (s->kind == NAMES)
        return *((const uint8_t *)policy + s->at) != 0;
    return *(const int64_t *)((const uint8_t *)policy + s->at) != 0;
}

enum ipc_rc ctl_settings_read(const struct ctl_document *document, uint32_t object,
    enum ipc_mode mode, struct ipc_row_policy *policy, struct ipc_error *error)
{
    enum ipc_rc rc = read_group(document, NULL, object, mode, policy, error);
    if (rc == IPC_OK)
        rc = read_groups(document, object, mode, policy, error);
    if (rc != IPC_OK)
        return rc;
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if ((settings[i].needs & 1u << mode) != 0 && !is_set(policy, &settings[i]))
            return COMPLAIN(object, "mode %s needs \"%s\" in \"%s\"", ipc_mode_name(mode),
                settings[i].key, settings[i].group);
    if (policy->master_max_e8 != 0 && policy->master_max_e8 < policy->master_min_e8)
        return COMPLAIN(
            object, "caps.master_max is below caps.master_min: nothing would be copied");
    return IPC_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void write_number(FILE *out, int64_t value_e8)
{
    char text[IPC_DECIMAL_BYTES];
    ipc_decimal_format(value_e8, text);
    fputs(text, out);
}

static void write_word(FILE *out, const char *words, unsigned place)
{
    const char *at = words;
    for (; place > 0; place--)
        at = strchr(at, '|') + 1;
    fprintf(out, "\"%.*s\"", (int)strcspn(at, "|"), at);
}

static void write_tiers(FILE *out, const struct ipc_row_policy *policy)
{
    for (uint32_t i = 0; i < policy->tier_count; i++) {
        fputs(i == 0 ? "[{\"from\":" : ",{\"from\":", out);
        write_number(out, policy->tiers[i].from_e8);
        if (policy->tiers[i].to_e8 != 0) {
            fputs(",\"to\":", out);
            write_number(out, policy->tiers[i].to_e8);
        }
        fputs(",\"mult\":", out);
        write_number(out, policy->tiers[i].mult_e8);
        fputc('}', out);
    }
    fputc(']', out);
}

/* Numbers that the mode does not read are another mode's, or nobody's. */
static bool is_written(
    const struct ipc_row_policy *policy, const struct setting *s, enum ipc_mode mode)
{
    if (s->reads != 0 && (s->reads & 1u << mode) == 0)
        return false;
    const uint8_t *at = (const uint8_t *)policy + s->at;
    switch (s->kind) {
    case NUMBER:
        return *(const int64_t *)at != 0;
    case PCT:
        return *(const int64_t *)at != 0;
    case FRACTION:
    case WHOLE:
        return false;
    case COUNT:
        return *(const uint32_t *)at != 0;
    case YES:
    case NO:
    case WORDS:
        return (policy->flags & s->bit) != 0;
    case NAMES:
        return *at != 0;
    case TIME:
        return *(const uint16_t *)at != 0;
    case WINDOW:
        return ((const uint16_t *)at)[1] != 0;
    case TIERS:
        return policy->tier_count != 0;
    }
    return false;
}

static void write_one(const struct ipc_row_policy *policy, const struct setting *s, FILE *out)
{
    const uint8_t *at = (const uint8_t *)policy + s->at;
    const uint16_t *minute = (const uint16_t *)at;
    fprintf(out, "\"%s\":", s->key);
    switch (s->kind) {
    case NUMBER:
    case FRACTION:
    case WHOLE:
        write_number(out, *(const int64_t *)at);
        break;
    case PCT:
        write_number(out, *(const int64_t *)at * 100); /* at most 1e10: fits */
        break;
    case COUNT:
        fprintf(out, "%u", *(const uint32_t *)at);
        break;
    case YES:
        fputs("true", out);
        break;
    case NO:
        fputs("false", out);
        break;
    case WORDS:
        write_word(out, s->words, 1);
        break;
    case NAMES:
        write_word(out, s->words, (unsigned)(*at - s->high));
        break;
    case TIME:
        fprintf(out, "\"%02u:%02u\"", minute[0] / 60u, minute[0] % 60u);
        break;
    case WINDOW:
        fprintf(out, "\"%02u:%02u-%02u:%02u\"", minute[0] / 60u, minute[0] % 60u, minute[1] / 60u,
            minute[1] % 60u);
        break;
    case TIERS:
        write_tiers(out, policy);
        break;
    }
}

void ctl_settings_write(const struct ipc_row_policy *policy, enum ipc_mode mode, FILE *out)
{
    const char *open = NULL;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *s = &settings[i];
        if (!is_written(policy, s, mode))
            continue;
        bool same = open != NULL && s->group != NULL && strcmp(open, s->group) == 0;
        if (open != NULL && !same)
            fputc('}', out);
        fputc(',', out);
        if (s->group != NULL && !same)
            fprintf(out, "\"%s\":{", s->group);
        open = s->group;
        write_one(policy, s, out);
    }
    if (open != NULL)
        fputc('}', out);
}
