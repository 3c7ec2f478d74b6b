/* settings_test: each setting of a subscription reaches its field of the policy row, a wrong one
 * gets a sentence with line, field and what to do, and what is shown is read back as the same
 * rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/snapshot_file.h"
#include "control/snapshot_show.h"
#include "ipc/prng.h"

#define HEAD                                                                                       \
    "{\"cluster\":\"c\",\"brokers\":[{\"name\":\"sim\",\"dialect\":\"alice-blue\",\"host\":"       \
    "\"h\",\"fee_turnover_pct\":0.035,\"fee_order\":20.5}],\n\"accounts\":[{\"account\":1,"        \
    "\"broker\":\"sim\",\"login\":\"M\",\"roles\":["                                               \
    "\"master\"]},\n{\"account\":2,\"broker\":\"sim\",\"login\":\"F\",\"roles\":[\"follower\"]}"   \
    "%s],\n\"instruments\":[{\"instrument\":1,\"exchange\":\"NSE\",\"token\":\"1\",\"symbol\":"    \
    "\"A\",\"tick\":0.05},{\"instrument\":2,\"exchange\":\"NSE\",\"token\":\"2\",\"symbol\":"      \
    "\"B\",\"tick\":0.05},{\"instrument\":3,\"exchange\":\"BSE\",\"token\":\"3\",\"symbol\":"      \
    "\"A\",\"tick\":0.05}],\n"

static enum ipc_rc read_text(const char *text, const struct ipc_snapshot_image *live,
    struct ipc_snapshot_image *image, void **memory, struct ipc_error *error)
{
    char path[] = "/tmp/lockstep-settings-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    error->text[0] = '\0';
    struct ipc_secret_arena *arena; /* one reading takes its share for good */
    assert_int_equal(ipc_secret_arena_create(1 << 14, &arena, error), IPC_OK);
    enum ipc_rc rc = ctl_snapshot_read_file(path, live, NULL, arena, image, memory, error);
    ipc_secret_arena_destroy(arena);
    unlink(path);
    if (rc != IPC_OK)
        return rc;
    struct ipc_snapshot_view view;
    ipc_snapshot_view_of(image, &view);
    uint64_t bytes = ipc_snapshot_scratch_bytes(&view);
    void *scratch = malloc(bytes + 8);
    if (ipc_snapshot_validate(&view, scratch, bytes, error) != IPC_OK)
        fail_msg("%s\n%s", error->text, text);
    free(scratch);
    return IPC_OK;
}

/* One subscription with these fields, which begin with a comma. */
static enum ipc_rc read_one(const char *maps, const char *fields, struct ipc_snapshot_image *image,
    void **memory, struct ipc_error *error)
{
    char text[4096];
    int used = snprintf(text, sizeof(text), HEAD, "");
    snprintf(text + used, sizeof(text) - (size_t)used,
        "%s\"subscriptions\":[{\"follower\":7,\"account\":2,\"master\":1%s}]}", maps, fields);
    return read_text(text, NULL, image, memory, error);
}

/* ---- each field ------------------------------------------------------------------------------ */

struct field_case {
    const char *fields;
    uint32_t at, bytes; /* of the policy row; bytes 0 = a flag */
    int64_t value;
};

#define P(field)   offsetof(struct ipc_row_policy, field), sizeof(((struct ipc_row_policy *)0)->field)
#define FLAG(bit)  offsetof(struct ipc_row_policy, flags), 0, IPC_POLICY_##bit
#define R          ",\"ratio\":1"
#define LEVERAGES  "\"follower_leverage\":50,\"master_leverage\":100"
#define MODE(name) ",\"mode\":\"" name "\""

static const struct field_case field_cases[] = {
    {R ",\"copy\":\"fill\",\"on_fill\":\"complete\"", P(on_fill), IPC_ON_FILL_COMPLETE},
    {R ",\"copy_pending\":false", FLAG(NO_PENDING)},
    {R ",\"copy_sl_tp\":false", FLAG(NO_STOPS)},
    {R ",\"reverse\":true", FLAG(REVERSE)},
    {",\"ratio\":-0.5", FLAG(REVERSE)},
    {R ",\"one_resting_order\":true", FLAG(ONE_RESTING)},
    {R ",\"flatten_on_unfollow\":true", FLAG(END_FLATTENS)},
    {R ",\"on_cap\":\"skip\"", FLAG(POSITION_SKIPS) | IPC_POLICY_RISK_SKIPS},
    {MODE("EQUITY_PROPORTIONAL") ",\"sizing\":{\"mult\":0.5}", P(mult_e8), 50000000},
    {MODE("BALANCE_PROPORTIONAL") ",\"ratio\":2", P(mult_e8), 200000000},
    {MODE("MULTIPLIER_NOTIONAL") ",\"lot_multiplier\":3,\"sizing\":{\"contract_factor\":1}",
        P(mult_e8), 300000000},
    {MODE("MULTIPLIER_NOTIONAL") ",\"sizing\":{\"contract_factor\":10}", P(contract_factor_e8),
        1000000000},
    {MODE("AUTO_RISK") ",\"sizing\":{\"value\":1.5,\"basis\":\"free_margin\"}", P(mult_e8),
        150000000},
    {MODE("AUTO_RISK") ",\"sizing\":{\"basis\":\"free_margin\"}", P(basis), IPC_BASIS_FREE_MARGIN},
    {MODE("PERCENTAGE") ",\"percent\":5,\"sizing\":{\"basis\":\"balance\"}", P(basis),
        IPC_BASIS_BALANCE},
    {MODE("MQL5_PCT") ",\"sizing\":{\"deposit_pct\":35,\"fx\":1.27," LEVERAGES "}",
        P(deposit_fraction_e8), 35000000},
    {MODE("MQL5_PCT") ",\"sizing\":{\"deposit_pct\":35,\"fx\":1.27," LEVERAGES "}", P(fx_e8),
        127000000},
    {MODE("MQL5_PCT") ",\"sizing\":{\"deposit_pct\":35," LEVERAGES "}", P(follower_leverage_e8),
        5000000000},
    {MODE("MQL5_PCT") ",\"sizing\":{\"deposit_pct\":35," LEVERAGES "}", P(master_leverage_e8),
        10000000000},
    {MODE("USAGE_RATIO") ",\"sizing\":{\"invest\":500}", P(invest_e8), 50000000000},
    {MODE("USAGE_RATIO_DISCOUNT") ",\"sizing\":{\"invest\":500,\"slippage_cap_pct\":1,\"leverage\":"
                                  "20}",
        P(slippage_discount_e8), 1000000},
    {MODE("USAGE_RATIO_DISCOUNT") ",\"sizing\":{\"invest\":500,\"slippage_cap\":0.01,\"leverage\":"
                                  "20}",
        P(leverage_e8), 2000000000},
    {MODE("STEP_OF_BALANCE") ",\"sizing\":{\"step_money\":50,\"qty_per_step\":2}", P(step_money_e8),
        5000000000},
    {MODE("STEP_OF_BALANCE") ",\"sizing\":{\"step_money\":50,\"qty_per_step\":2}", P(step_qty_e8),
        200000000},
    {MODE("PCT_BALANCE_BASIS") ",\"sizing\":{\"basis_money\":1000,\"pct\":10}", P(fraction_e8),
        10000000},
    {MODE("PCT_BALANCE_BASIS") ",\"sizing\":{\"basis_money\":1000,\"pct\":10}", P(basis_money_e8),
        100000000000},
    {MODE("FIXED_RISK") ",\"sizing\":{\"risk_pct\":1}", P(fraction_e8), 1000000},
    {MODE("FIXED_RISK") ",\"sizing\":{\"risk_fraction\":0.01}", P(fraction_e8), 1000000},
    {MODE("COPY_RATIO_FROZEN") ",\"sizing\":{\"coefficient\":0.2}", P(frozen_coefficient_e8),
        20000000},
    {MODE("AVAILABLE_RATIO_CAPPED") ",\"sizing\":{\"k\":0.97,\"system_max\":5,\"user_max\":6}",
        P(available_factor_e8), 97000000},
    {MODE("AVAILABLE_RATIO_CAPPED") ",\"sizing\":{\"k\":0.97,\"system_max\":5,\"user_max\":6}",
        P(system_max_e8), 500000000},
    {MODE("AVAILABLE_RATIO_CAPPED") ",\"sizing\":{\"k\":0.97,\"system_max\":5,\"user_max\":6}",
        P(user_max_e8), 600000000},
    {MODE("TIERED_MULTIPLIER") ",\"sizing\":{\"tiers\":[{\"from\":1,\"to\":10,\"mult\":2},"
                               "{\"from\":10,\"mult\":0.2}]}",
        P(tier_count), 2},
    {MODE("TIERED_MULTIPLIER") ",\"sizing\":{\"tiers\":[{\"from\":1,\"to\":10,\"mult\":2},"
                               "{\"from\":10,\"mult\":0.2}]}",
        P(tiers[1].mult_e8), 20000000},
    {R ",\"rounding\":{\"step\":0.01}", P(step_e8), 1000000},
    {R ",\"rounding\":{\"fractional\":false}", P(step_e8), LS_E8},
    {R ",\"rounding\":{\"round\":\"nearest\"}", P(round), IPC_ROUND_NEAREST},
    {R ",\"rounding\":{\"min_policy\":\"force_min\"}", FLAG(FORCE_MIN)},
    {R ",\"rounding\":{\"refuse_below\":0.005}", P(refuse_below_e8), 500000},
    {R ",\"rounding\":{\"remainder\":\"carry\"}", FLAG(CARRY)},
    {R ",\"rounding\":{\"small_close\":\"up\"}", FLAG(CLOSE_UP)},
    {R ",\"caps\":{\"min_notional\":1}", P(min_notional_e8), LS_E8},
    {R ",\"caps\":{\"master_min\":0.1,\"master_max\":2.1}", P(master_min_e8), 10000000},
    {R ",\"caps\":{\"master_min\":0.1,\"master_max\":2.1}", P(master_max_e8), 210000000},
    {R ",\"caps\":{\"max_trade_risk_pct\":1}", P(max_trade_risk_e8), 1000000},
    {R ",\"caps\":{\"max_trade_risk\":0.01}", P(max_trade_risk_e8), 1000000},
    {R ",\"caps\":{\"on_max_trade_risk\":\"skip\"}", FLAG(RISK_SKIPS)},
    {R ",\"caps\":{\"on_max_position\":\"skip\"}", FLAG(POSITION_SKIPS)},
    {R ",\"caps\":{\"day_notional\":9}", P(day_notional_e8), 9 * LS_E8},
    {R ",\"caps\":{\"split\":20}", P(split_qty_e8), 20 * LS_E8},
    {R ",\"caps\":{\"max_slices\":3}", P(slices_max), 3},
    {R ",\"caps\":{\"max_modifications\":25}", P(modifications_max), 25},
    {R ",\"guards\":{\"max_slippage_pct\":0.5}", P(slippage_cap_e8), 500000},
    {R ",\"guards\":{\"market_protection_pct\":2}", P(market_protection_e8), 2000000},
    {R ",\"guards\":{\"copy_window\":\"09:20-15:00\"}", P(window_from_min), 560},
    {R ",\"guards\":{\"copy_window\":\"00:00-24:00\"}", P(window_to_min), 1440},
    {R ",\"guards\":{\"mis_cutoff\":\"15:20\"}", P(intraday_cutoff_min), 920},
    {R ",\"guards\":{\"duplicate_window_ms\":500}", P(duplicate_window_ms), 500},
    {R ",\"guards\":{\"on_duplicate\":\"skip\"}", FLAG(DUPLICATE_SKIPS)},
    {R ",\"guards\":{\"on_missed\":\"catch_up\"}", FLAG(CATCH_UP)},
    {R ",\"limits\":{\"max_daily_loss\":50000}", P(daily_loss_e8), 50000 * LS_E8},
    {R ",\"limits\":{\"max_daily_loss_pct\":2.5}", P(daily_loss_fraction_e8), 2500000},
    {R ",\"limits\":{\"max_drawdown\":7}", P(drawdown_e8), 7 * LS_E8},
    {R ",\"limits\":{\"max_drawdown_pct\":5}", P(drawdown_fraction_e8), 5000000},
    {R ",\"limits\":{\"trailing_protect\":1000}", P(trailing_protect_e8), 1000 * LS_E8},
    {R ",\"limits\":{\"equity_stop\":40}", P(equity_stop_e8), 40 * LS_E8},
    {R ",\"limits\":{\"equity_stop_pct\":60}", P(equity_stop_fraction_e8), 60000000},
    {R ",\"limits\":{\"max_exposure\":8}", P(exposure_max_e8), 8 * LS_E8},
    {R ",\"limits\":{\"max_margin_util_pct\":80}", P(margin_use_max_e8), 80000000},
    {R ",\"limits\":{\"max_open_positions\":20}", P(open_positions_max), 20},
    {R ",\"limits\":{\"max_trades_per_day\":50}", P(trades_day_max), 50},
    {R ",\"limits\":{\"consecutive_failures\":3}", P(failures_max), 3},
    {R ",\"limits\":{\"circuit_hold_ms\":1000}", P(circuit_hold_ms), 1000},
    {R ",\"limits\":{\"margin_step_down\":true}", FLAG(MARGIN_STEP)},
    {R ",\"limits\":{\"on_breach\":\"flatten\"}", FLAG(TRIP_FLATTENS)},
    {R ",\"limits\":{\"group_deactivate\":true}", FLAG(TRIP_GROUP)},
    {R ",\"limits\":{\"scope\":\"group\"}", P(trip_scope), 3},
};

static void each_field_reaches_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(field_cases); i++) {
        const struct field_case *c = &field_cases[i];
        struct ipc_snapshot_image image;
        struct ipc_snapshot_view view;
        struct ipc_error error;
        void *memory;
        if (read_one("", c->fields, &image, &memory, &error) != IPC_OK)
            fail_msg("case %zu %s: %s", i, c->fields, error.text);
        ipc_snapshot_view_of(&image, &view);
        assert_int_equal(view.policy_count, 1);
        assert_int_equal(view.followers[0].policy, 1);
        const uint8_t *at = (const uint8_t *)&view.policies[0] + c->at;
        int64_t value = 0;
        memcpy(&value, at, c->bytes == 0 ? sizeof(uint32_t) : c->bytes);
        if (value != c->value)
            fail_msg(
                "case %zu %s: %lld, not %lld", i, c->fields, (long long)value, (long long)c->value);
        free(memory);
    }
}

/* Said or left out, a default is the same row: none. */
static void defaults_need_no_policy(void **state)
{
    (void)state;
    static const char *const defaults[] = {R, R ",\"copy_pending\":true,\"copy_sl_tp\":true",
        R ",\"reverse\":false,\"drift\":\"alert\",\"sizing\":{},\"limits\":{\"max_daily_loss\":0}",
        R ",\"rounding\":{\"round\":\"down\",\"min_policy\":\"skip\",\"remainder\":\"drop\"}",
        R ",\"on_cap\":\"reduce\",\"guards\":null", MODE("EQUITY_PROPORTIONAL"),
        MODE("SMART_TARGET"), ",\"mode\":\"PERCENTAGE\",\"pct_of_capital\":1",
        ",\"mode\":\"FIXED_QUANTITY\",\"qty\":7"};
    for (size_t i = 0; i < LS_COUNT_OF(defaults); i++) {
        struct ipc_snapshot_image image;
        struct ipc_error error;
        void *memory;
        if (read_one("", defaults[i], &image, &memory, &error) != IPC_OK)
            fail_msg("case %zu: %s", i, error.text);
        assert_int_equal(image.shape.rows[IPC_TABLE_POLICIES], 0);
        assert_int_equal(((struct ipc_row_follower *)image.rows[IPC_TABLE_FOLLOWERS])->policy, 0);
        free(memory);
    }
}

/* The names of the sources say the same as ours. */
static void other_names_are_the_same_row(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{R ",\"copy_paused\":true", R ",\"paused\":true"},
        {",\"lot_multiplier\":0.5", ",\"ratio\":0.5"}, {",\"mult\":0.5", ",\"ratio\":0.5"},
        {R ",\"allowed_product_types\":[\"MIS\"]", R ",\"allowed_products\":[\"MIS\"]"},
        {R ",\"max_entry_age_ms\":700,\"max_age_limit_ms\":900",
            R ",\"max_age_market_ms\":700,\"max_age_limit_ms\":900"},
        {MODE("PERCENTAGE") ",\"pct_of_capital\":3", MODE("PERCENTAGE") ",\"percent\":3"},
        {MODE("FIXED_QUANTITY") ",\"qty\":3", MODE("FIXED_QUANTITY") ",\"quantity\":3"}};
    for (size_t i = 0; i < LS_COUNT_OF(pairs); i++) {
        struct ipc_snapshot_image image[2];
        struct ipc_error error;
        void *memory[2];
        for (int j = 0; j < 2; j++)
            if (read_one("", pairs[i][j], &image[j], &memory[j], &error) != IPC_OK)
                fail_msg("pair %zu: %s", i, error.text);
        assert_memory_equal(image[0].rows[IPC_TABLE_FOLLOWERS], image[1].rows[IPC_TABLE_FOLLOWERS],
            sizeof(struct ipc_row_follower));
        free(memory[0]);
        free(memory[1]);
    }
}

/* ---- sentences ------------------------------------------------------------------------------- */

#define S ":5: subscriptions[0]"

static void complaints_say_what_to_do(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *says;
    } cases[] = {
        {MODE("FIXED_RISK"), S ": mode FIXED_RISK needs \"risk_pct\" in \"sizing\""},
        {MODE("AUTO_RISK"), "mode AUTO_RISK needs \"basis\""},
        {MODE("MQL5_PCT") ",\"sizing\":{}", "mode MQL5_PCT needs \"deposit_pct\""},
        {MODE("MQL5_PCT") ",\"sizing\":{\"deposit_pct\":35,\"master_leverage\":100}",
            S ": mode MQL5_PCT needs \"follower_leverage\" in \"sizing\""},
        {MODE("MQL5_PCT") ",\"sizing\":{\"deposit_pct\":35,\"follower_leverage\":50}",
            S ": mode MQL5_PCT needs \"master_leverage\" in \"sizing\""},
        {MODE("MULTIPLIER_NOTIONAL") ",\"sizing\":{\"mult\":2}",
            S ": mode MULTIPLIER_NOTIONAL needs \"contract_factor\" in \"sizing\""},
        {MODE("USAGE_RATIO"), "mode USAGE_RATIO needs \"invest\""},
        {MODE("USAGE_RATIO_DISCOUNT") ",\"sizing\":{\"invest\":5,\"leverage\":2}",
            "mode USAGE_RATIO_DISCOUNT needs \"slippage_cap_pct\""},
        {MODE("STEP_OF_BALANCE") ",\"sizing\":{\"step_money\":50}", "needs \"qty_per_step\""},
        {MODE("STEP_OF_BALANCE") ",\"sizing\":{\"qty_per_step\":1}", "needs \"step_money\""},
        {MODE("TIERED_MULTIPLIER") ",\"sizing\":{\"tiers\":[]}", "needs \"tiers\""},
        {MODE("COPY_RATIO_FROZEN"), "needs \"coefficient\""},
        {MODE("PCT_BALANCE_BASIS") ",\"sizing\":{\"pct\":1}", "needs \"basis_money\""},
        {MODE("AVAILABLE_RATIO_CAPPED"), "needs \"k\""},
        {MODE("POOLED_RATIO"), ".mode: POOLED_RATIO splits one block between accounts"},
        {MODE("MARTINGALE"), ".mode: there is no mode \"MARTINGALE\""},
        {MODE("FIXED_RISK") ",\"ratio\":2,\"sizing\":{\"risk_pct\":1}",
            S ".ratio: mode FIXED_RISK does not read it; remove it, or change the mode"},
        {R ",\"sizing\":{\"invest\":5}", S ".sizing.invest: mode FIXED_RATIO does not read it"},
        {R ",\"mult\":2", S ".mult: is the same as \"ratio\"; keep one of them"},
        {MODE("EQUITY_PROPORTIONAL") ",\"ratio\":2,\"sizing\":{\"mult\":1}",
            S ".sizing.mult: is given under another name already; keep one of them"},
        {MODE("FIXED_RISK") ",\"sizing\":{\"risk_pct\":1,\"risk_fraction\":0.01}",
            ".risk_fraction: is given under another name already"},
        {",\"ratio\":-1,\"reverse\":true", ".reverse: a ratio below zero says it already"},
        {",\"ratio\":0", ".ratio: must lie between 0.00000001 and 10000"},
        {R ",\"rounding\":{\"round\":\"up\"}",
            ".rounding.round: \"up\" is not one of down/nearest"},
        {R ",\"top_up\":true", ".top_up: would have no effect"},
        {R ",\"drift\":\"top_up\"", ".drift: \"top_up\" is not one of alert"},
        {R ",\"drift\":\"flatten_orphan\"", "\"flatten_orphan\" is not one of alert"},
        {R ",\"limits\":{\"on_breach\":true}", ".limits.on_breach: must be a string"},
        {R ",\"limits\":{\"max_daily_loss\":-1}", "must lie between 0 and 10000000000"},
        {R ",\"limits\":{\"max_daily_loss_pct\":101}", "must lie between 0 and 100"},
        {R ",\"guards\":{\"max_slippage_pct\":0.0000001}", "must have at most 6 decimal places"},
        {R ",\"guards\":{\"max_slipage_pct\":1}", ".guards.max_slipage_pct: is not a known field"},
        {R ",\"guards\":{\"copy_window\":\"9:20-15:00\"}", "two times of the market's day"},
        {R ",\"guards\":{\"copy_window\":\"15:00-09:20\"}", "must end after it starts"},
        {R ",\"guards\":{\"mis_cutoff\":\"24:01\"}", "must be a time of the market's day"},
        {R ",\"guards\":{\"mis_cutoff\":\"15:60\"}", "must be a time of the market's day"},
        {R ",\"rounding\":{\"step\":2,\"fractional\":false}",
            ".rounding.fractional: is given under another name already"},
        {R ",\"paused\":true,\"copy_paused\":true", ".copy_paused: is the same as \"paused\""},
        {R ",\"max_entry_age_ms\":0", ".max_entry_age_ms: must be a whole number between 1"},
        {R ",\"guards\":5", ".guards: must be an object"},
        {R ",\"caps\":{\"master_min\":2,\"master_max\":1}", "master_max is below caps.master_min"},
        {R ",\"caps\":{\"max_slices\":1.5}", "must be a whole number"},
        {R ",\"on_fill\":\"complete\"", ".on_fill: is read with \"copy\": \"fill\" only"},
        {R ",\"on_cap\":\"fly\"", ".on_cap: must be reduce or skip"},
        {R ",\"symbol_map\":\"x\"", ".symbol_map: there is no map \"x\" in \"symbol_maps\""},
        {MODE("TIERED_MULTIPLIER") ",\"sizing\":{\"tiers\":[{\"from\":1,\"mult\":1},{\"from\":2,"
                                   "\"mult\":1}]}",
            ".sizing.tiers[1]: must start where the tier before it ends"},
        {MODE("TIERED_MULTIPLIER") ",\"sizing\":{\"tiers\":[{\"from\":5,\"to\":5,\"mult\":1}]}",
            ".tiers[0]: must end above its start"},
        {MODE("TIERED_MULTIPLIER") ",\"sizing\":{\"tiers\":[{\"from\":5}]}",
            ".tiers[0]: \"mult\" is missing"},
        {MODE("TIERED_MULTIPLIER") ",\"sizing\":{\"tiers\":[{},{},{},{},{},{},{},{},{}]}",
            ".tiers: must be a list of at most 8 tiers"},
    };
    for (size_t i = 0; i < LS_COUNT_OF(cases); i++) {
        struct ipc_snapshot_image image;
        struct ipc_error error;
        void *memory;
        enum ipc_rc rc = read_one("", cases[i].fields, &image, &memory, &error);
        if (rc == IPC_OK || memory != NULL || strstr(error.text, cases[i].says) == NULL)
            fail_msg("case %zu %s: %s", i, cases[i].fields, error.text);
    }
}

static void maps_become_rows(void **state)
{
    (void)state;
    struct ipc_snapshot_image image;
    struct ipc_snapshot_view view;
    struct ipc_error error;
    void *memory;
    if (read_one("\"symbol_maps\":{\"unused\":{\"B\":\"NSE:A\"},\"mini\":{\"#3\":\"B\",\"NSE:A\":"
                 "{\"to\":\"BSE:A\",\"factor\":0.1}},\"empty\":{}},\n",
            R ",\"symbol_map\":\"mini\"", &image, &memory, &error) != IPC_OK)
        fail_msg("%s", error.text);
    ipc_snapshot_view_of(&image, &view);
    assert_int_equal(view.map_count, 1); /* what nobody names is dropped */
    assert_int_equal(view.followers[0].map, 1);
    assert_int_equal(view.maps[0].count, 2);
    assert_int_equal(view.map_items[0].from, 1);
    assert_int_equal(view.map_items[0].to, 3);
    assert_int_equal(view.map_items[0].factor_e8, 10000000);
    assert_int_equal(view.map_items[1].from, 3);
    assert_int_equal(view.map_items[1].to, 2);
    assert_int_equal(view.map_items[1].factor_e8, 0);
    free(memory);
    static const struct {
        const char *maps, *says;
    } refused[] = {
        {"\"symbol_maps\":[],", "symbol_maps: must be an object"},
        {"\"symbol_maps\":{\"m\":5},", "symbol_maps.m: must be an object of instruments"},
        {"\"symbol_maps\":{\"m\":{\"X\":\"B\"}},", "there is no instrument \"X\""},
        {"\"symbol_maps\":{\"m\":{\"A\":\"B\"}},", "more than one exchange: write NSE:A, or #"},
        {"\"symbol_maps\":{\"m\":{\"#4\":\"B\"}},", "there is no instrument number \"#4\""},
        {"\"symbol_maps\":{\"m\":{\"B\":{\"factor\":2}}},", "symbol_maps.m.B: \"to\" is missing"},
        {"\"symbol_maps\":{\"m\":{\"B\":{\"to\":\"#1\",\"factor\":0}}},", "must lie between"},
        {"\"symbol_maps\":{\"m\":{\"B\":\"#1\",\"#2\":\"#3\"}},", "names instrument 2 twice"},
    };
    for (size_t i = 0; i < LS_COUNT_OF(refused); i++)
        if (read_one(refused[i].maps, R, &image, &memory, &error) == IPC_OK ||
            strstr(error.text, refused[i].says) == NULL)
            fail_msg("case %zu: %s", i, error.text);
}

/* ---- what is shown is what is read ----------------------------------------------------------- */

/* Fields that a random subscription may have, one in each of its groups at a time or many. */
static const char *const random_fields[][8] = {
    {"\"step\":%s", "\"refuse_below\":%s", "\"round\":\"nearest\"", "\"remainder\":\"carry\"",
        "\"small_close\":\"up\"", "\"min_policy\":\"force_min\""},
    {"\"min_notional\":%s", "\"max_trade_risk_pct\":%s", "\"day_notional\":%s", "\"split\":%s",
        "\"on_max_position\":\"skip\"", "\"max_slices\":7", "\"max_modifications\":9",
        "\"master_min\":%s"},
    {"\"max_slippage_pct\":%s", "\"market_protection_pct\":%s", "\"copy_window\":\"09:20-15:00\"",
        "\"mis_cutoff\":\"15:20\"", "\"duplicate_window_ms\":250", "\"on_duplicate\":\"skip\""},
    {"\"max_daily_loss\":%s", "\"max_drawdown_pct\":%s", "\"equity_stop_pct\":%s",
        "\"max_exposure\":%s", "\"on_breach\":\"flatten\"", "\"max_trades_per_day\":3",
        "\"group_deactivate\":true", "\"margin_step_down\":true"},
};
static const char *const groups[] = {"rounding", "caps", "guards", "limits"};
static const char *const modes[] = {"\"ratio\":%s", "\"ratio\":-%s",
    "\"mode\":\"PERCENTAGE\",\"percent\":%s", "\"mode\":\"FIXED_QUANTITY\",\"quantity\":%s",
    "\"mode\":\"EQUITY_PROPORTIONAL\",\"sizing\":{\"mult\":%s}",
    "\"mode\":\"AUTO_RISK\",\"ratio\":%s,\"sizing\":{\"basis\":\"balance\"}",
    "\"mode\":\"FIXED_RISK\",\"sizing\":{\"risk_fraction\":0.%s}",
    "\"mode\":\"PCT_BALANCE_BASIS\",\"sizing\":{\"basis_money\":%s,\"pct\":5}",
    "\"mode\":\"TIERED_MULTIPLIER\",\"sizing\":{\"tiers\":[{\"from\":1,\"to\":2,\"mult\":%s},"
    "{\"from\":3,\"mult\":1}]}",
    "\"mode\":\"MQL5_PCT\",\"sizing\":{\"deposit_pct\":%s," LEVERAGES "}",
    "\"mode\":\"SMART_TARGET\"",
    "\"mode\":\"STEP_OF_BALANCE\",\"sizing\":{\"step_money\":%s,\"qty_per_step\":2}",
    "\"mode\":\"COPY_RATIO_FROZEN\",\"sizing\":{\"coefficient\":%s}",
    "\"mode\":\"USAGE_RATIO_DISCOUNT\",\"sizing\":{\"invest\":%s,\"slippage_cap\":0.02,"
    "\"leverage\":9}",
    "\"mode\":\"AVAILABLE_RATIO_CAPPED\",\"sizing\":{\"k\":%s,\"user_max\":8}"};
static const char *const own[] = {"\"copy\":\"fill\",\"on_fill\":\"complete\"",
    "\"copy_pending\":false", "\"flatten_on_unfollow\":true", "\"symbol_map\":\"one\"",
    "\"symbol_map\":\"two\"", "\"drift\":\"alert\"", "\"allowed_instruments\":[\"B\"]",
    "\"denied_instruments\":[\"NSE:A\",\"BSE:A\"]", "\"on_cap\":\"skip\"", "\"enabled\":false",
    "\"allow_short\":false,\"allowed_products\":[\"MIS\"],\"max_quantity\":5",
    "\"one_resting_order\":true,\"paused\":true"};

#define ADD(...) used += (size_t)snprintf(out + used, room - used, __VA_ARGS__)

static size_t add_random(
    struct ipc_prng *prng, const char *format, char *out, size_t used, size_t room)
{
    static const char *const numbers[] = {"1", "2", "7", "25", "99"};
    const char *at = strstr(format, "%s");
    if (at == NULL)
        ADD("%s", format);
    else
        ADD("%.*s%s%s", (int)(at - format), format, numbers[ipc_prng_below(prng, 5)], at + 2);
    return used;
}

static size_t random_subscription(
    struct ipc_prng *prng, uint32_t number, char *out, size_t used, size_t room)
{
    ADD("{\"follower\":%u,\"account\":%u,\"master\":1,", number, 10 + number);
    used = add_random(prng, modes[ipc_prng_below(prng, LS_COUNT_OF(modes))], out, used, room);
    /* A key stands once: of the two maps at most one. */
    bool mapped = false;
    for (size_t i = 0; i < LS_COUNT_OF(own); i++) {
        bool is_map = strstr(own[i], "symbol_map") != NULL;
        if (!ipc_prng_chance(prng, 1, 4) || (is_map && mapped))
            continue;
        mapped |= is_map;
        ADD(",%s", own[i]);
    }
    for (size_t g = 0; g < LS_COUNT_OF(groups); g++) {
        if (ipc_prng_chance(prng, 1, 2))
            continue;
        const char *before = "";
        ADD(",\"%s\":{", groups[g]);
        for (size_t i = 0; i < 8 && random_fields[g][i] != NULL; i++) {
            if (!ipc_prng_chance(prng, 1, 3))
                continue;
            ADD("%s", before);
            used = add_random(prng, random_fields[g][i], out, used, room);
            before = ",";
        }
        ADD("}");
    }
    ADD("}");
    return used;
}

#define FOLLOWERS 12u

/* A document with some of the followers 1..FOLLOWERS, in any order. */
static char *random_document(struct ipc_prng *prng)
{
    size_t room = 65536, used = 0;
    char *out = malloc(room), accounts[FOLLOWERS * 96 + 1];
    size_t at = 0;
    for (uint32_t i = 1; i <= FOLLOWERS; i++)
        at += (size_t)snprintf(accounts + at, sizeof(accounts) - at,
            ",{\"account\":%u,\"broker\":\"sim\",\"login\":\"F%u\",\"roles\":[\"follower\"]}",
            10 + i, i);
    ADD(HEAD, accounts);
    ADD("\"symbol_maps\":{\"one\":{\"NSE:A\":{\"to\":\"B\",\"factor\":0.1}},\"two\":{\"B\":"
        "\"BSE:A\",\"NSE:A\":\"BSE:A\"}},\"subscriptions\":[");
    uint32_t start = (uint32_t)ipc_prng_below(prng, FOLLOWERS);
    const char *before = "";
    for (uint32_t i = 0; i < FOLLOWERS; i++) {
        if (ipc_prng_chance(prng, 1, 4))
            continue;
        ADD("%s\n", before);
        used = random_subscription(prng, (start + i) % FOLLOWERS + 1, out, used, room);
        before = ",";
    }
    ADD("]}");
    return out;
}

static char *shown(const struct ipc_snapshot_image *image)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    ctl_snapshot_show(image, out);
    fclose(out);
    return text;
}

static void assert_same(const struct ipc_snapshot_image *a, const struct ipc_snapshot_image *b)
{
    assert_memory_equal(&a->shape, &b->shape, sizeof(a->shape));
    for (uint32_t table = 0; table < IPC_TABLE_COUNT; table++) {
        size_t bytes = (size_t)a->shape.rows[table] *
                       ipc_table_row_bytes((enum ipc_table)table, a->shape.token_row_bytes);
        if (bytes > 0 && memcmp(a->rows[table], b->rows[table], bytes) != 0)
            fail_msg("table %s differs", ipc_table_name((enum ipc_table)table));
    }
}

/* A history of publications: after each, publishing what is shown changes nothing, and the same
 * subscriptions in another order change nothing. */
static void history(uint64_t seed)
{
    struct ipc_prng prng;
    struct ipc_snapshot_image live, again;
    struct ipc_error error;
    void *live_memory = NULL, *memory;
    ipc_prng_seed(&prng, seed);
    for (uint64_t generation = 1; generation <= 8; generation++) {
        struct ipc_snapshot_image next;
        char *text = random_document(&prng);
        if (read_text(text, live_memory != NULL ? &live : NULL, &next, &memory, &error) != IPC_OK)
            fail_msg("seed %llu: %s", (unsigned long long)seed, error.text);
        free(text);
        free(live_memory);
        live = next;
        live_memory = memory;
        live.generation = generation;
        text = shown(&live);
        if (read_text(text, &live, &again, &memory, &error) != IPC_OK)
            fail_msg("seed %llu: %s\n%s", (unsigned long long)seed, error.text, text);
        assert_same(&live, &again);
        again.generation = generation;
        char *second = shown(&again);
        assert_string_equal(text, second);
        free(text);
        free(second);
        free(memory);
    }
    free(live_memory);
}

static void showing_and_reading_changes_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        if (seed % 10 == 1)
            print_message("seed %llu\n", (unsigned long long)seed);
        history(seed);
    }
}

/* Equal settings are one row, named by all; the order of the file does not matter. */
static void equal_settings_share_a_row(void **state)
{
    (void)state;
    static const char accounts[] =
        ",{\"account\":3,\"broker\":\"sim\",\"login\":\"G\",\"roles\":[\"follower\"]}";
    static const char *const orders[] = {
        "{\"follower\":1,\"account\":2,\"master\":1,\"ratio\":1,\"limits\":{\"max_daily_loss\":5}},"
        "{\"follower\":2,\"account\":3,\"master\":1,\"ratio\":2,\"limits\":{\"max_daily_loss\":5.0}"
        "}",
        "{\"follower\":2,\"account\":3,\"master\":1,\"ratio\":2,\"limits\":{\"max_daily_loss\":5}},"
        "{\"follower\":1,\"account\":2,\"master\":1,\"ratio\":1,\"limits\":{\"max_daily_loss\":5}"
        "}"};
    struct ipc_snapshot_image first, second;
    struct ipc_error error;
    void *memory1, *memory2;
    char text[4096];
    int used = snprintf(text, sizeof(text), HEAD, accounts);
    snprintf(text + used, sizeof(text) - (size_t)used, "\"subscriptions\":[%s]}", orders[0]);
    assert_int_equal(read_text(text, NULL, &first, &memory1, &error), IPC_OK);
    assert_int_equal(first.shape.rows[IPC_TABLE_POLICIES], 1);
    snprintf(text + used, sizeof(text) - (size_t)used, "\"subscriptions\":[%s]}", orders[1]);
    assert_int_equal(read_text(text, &first, &second, &memory2, &error), IPC_OK);
    assert_same(&first, &second);
    free(memory1);
    free(memory2);
}

/* What shown files say about their making is held against what is live. */
static void an_old_file_is_not_laid_over_a_new_one(void **state)
{
    (void)state;
    struct ipc_snapshot_image first, second;
    struct ipc_error error;
    void *memory, *other;
    assert_int_equal(read_one("", R, &first, &memory, &error), IPC_OK);
    first.generation = 7;
    char *text = shown(&first);
    first.generation = 9;
    assert_int_equal(read_text(text, &first, &second, &other, &error), IPC_BAD_INPUT);
    assert_non_null(strstr(error.text, ":1: generation: the file was made from generation 7 and 9 "
                                       "is live"));
    free(text);
    free(memory);
}

/* An ended subscription keeps what its exits go by, contracts and sessions go on. */
static void what_the_file_leaves_out_goes_on(void **state)
{
    (void)state;
    struct ipc_snapshot_image first, second;
    struct ipc_snapshot_view view;
    struct ipc_error error;
    void *memory, *other, *wide;
    if (read_one("\"symbol_maps\":{\"m\":{\"NSE:A\":\"B\"}},",
            R ",\"reverse\":true,\"flatten_on_unfollow\":true,\"symbol_map\":\"m\"", &first,
            &memory, &error) != IPC_OK)
        fail_msg("%s", error.text);
    /* The same generation with contracts and sessions, as other verbs write them. */
    struct ipc_snapshot_image live;
    struct ipc_snapshot_shape shape = first.shape;
    shape.rows[IPC_TABLE_CONTRACTS] = 1;
    shape.rows[IPC_TABLE_SESSIONS] = 1;
    wide = aligned_alloc(4096, ipc_snapshot_footprint(&shape));
    memset(wide, 0, ipc_snapshot_footprint(&shape));
    ipc_snapshot_image_init(&live, wide, &shape);
    live.shape = shape;
    for (uint32_t t = 0; t < IPC_TABLE_COUNT; t++)
        if (first.shape.rows[t] > 0)
            memcpy(live.rows[t], first.rows[t],
                (size_t)first.shape.rows[t] * ipc_table_row_bytes((enum ipc_table)t, 0));
    *(struct ipc_row_contract *)live.rows[IPC_TABLE_CONTRACTS] = (struct ipc_row_contract){
        .instrument = 2, .lot_qty_e8 = LS_E8, .tick_e8 = LS_E8, .token = "9", .symbol = "Z"};
    *(struct ipc_row_session *)live.rows[IPC_TABLE_SESSIONS] = (struct ipc_row_session){
        .exchange = IPC_EXCHANGE_NSE, .yyyymmdd = 20261123, .open_wall_ns = 1, .close_wall_ns = 2};
    char text[4096];
    int used = snprintf(text, sizeof(text), HEAD, "");
    snprintf(text + used, sizeof(text) - (size_t)used, "\"subscriptions\":[]}");
    if (read_text(text, &live, &second, &other, &error) != IPC_OK)
        fail_msg("%s", error.text);
    ipc_snapshot_view_of(&second, &view);
    assert_int_equal(view.contract_count, 1);
    assert_int_equal(view.contracts[0].instrument, 2);
    assert_int_equal(view.session_count, 1);
    assert_int_equal(view.sessions[0].close_wall_ns, 2);
    const struct ipc_row_follower *row = &view.followers[0];
    assert_int_equal(row->flags, IPC_FOLLOWER_RETIRED);
    assert_int_equal(view.masters[0].count, 1); /* exits reach it */
    assert_int_equal(
        view.policies[row->policy - 1].flags, IPC_POLICY_REVERSE | IPC_POLICY_END_FLATTENS);
    assert_int_equal(view.map_items[view.maps[row->map - 1].first].to, 2);
    free(memory);
    free(wide);
    free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_reaches_its_place),
        cmocka_unit_test(defaults_need_no_policy),
        cmocka_unit_test(other_names_are_the_same_row),
        cmocka_unit_test(complaints_say_what_to_do),
        cmocka_unit_test(maps_become_rows),
        cmocka_unit_test(showing_and_reading_changes_nothing),
        cmocka_unit_test(equal_settings_share_a_row),
        cmocka_unit_test(an_old_file_is_not_laid_over_a_new_one),
        cmocka_unit_test(what_the_file_leaves_out_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
