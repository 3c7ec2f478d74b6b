#include "engine/core/controls.h"

#include "engine/core/hash.h"
#include "engine/core/money.h"
#include "engine/core/throttle.h"

#include <string.h>

struct carve {
    uint8_t *base;
    size_t used;
};

static void *take(struct carve *carve, size_t count, size_t bytes)
{
    carve->used = ls_align_up(carve->used, LS_LINE_BYTES);
    void *at = carve->base == NULL ? NULL : carve->base + carve->used;
    carve->used += count * bytes;
    return at;
}

static size_t lay_out(
    struct eng_controls *controls, const struct eng_core_limits *limits, uint8_t *base)
{
    struct carve carve = {.base = base, .used = sizeof *controls};
    size_t accounts = (size_t)limits->account_max + 1;
    controls->accounts = take(&carve, accounts, sizeof *controls->accounts);
    controls->outcomes = take(&carve, accounts, sizeof *controls->outcomes);
    controls->accepted = take(&carve, limits->position_max, sizeof *controls->accepted);
    controls->symbols = take(&carve, ENG_CONTROLS_SYMBOLS, sizeof *controls->symbols);
    controls->working = take(&carve, limits->child_max, sizeof *controls->working);
    controls->account_slot = take(&carve, accounts, sizeof *controls->account_slot);
    controls->slot_next = take(&carve, limits->follower_slot_max, sizeof *controls->slot_next);
    return ls_align_up(carve.used, LS_LINE_BYTES);
}

size_t eng_controls_footprint(const struct eng_core_limits *limits)
{
    struct eng_controls sizes;
    return lay_out(&sizes, limits, NULL);
}

struct eng_controls *eng_controls_init(void *memory, const struct eng_core_limits *limits)
{
    struct eng_controls *controls = memory;
    (void)lay_out(controls, limits, memory);
    return controls;
}

/* --- adopting -----------------------------------------------------------------------------------
 */

static void read_policies(struct eng_core *core)
{
    struct eng_controls *controls = core->controls;
    const struct ipc_snapshot_view *view = core->view;
    const struct eng_controls_config *config = &core->config.controls;
    controls->slices = config->slices_per_follower;
    controls->duplicate_ms_max = config->duplicate_window_ms;
    for (uint32_t i = 0; i < view->policy_count; i++) {
        const struct ipc_row_policy *policy = &view->policies[i];
        if (controls->slices != 0 && policy->slices_max > controls->slices)
            controls->slices = policy->slices_max;
        if (policy->duplicate_window_ms > controls->duplicate_ms_max)
            controls->duplicate_ms_max = policy->duplicate_window_ms;
    }
}

/* Which slots an account has, and how many of its orders may be open. */
static void read_accounts(struct eng_core *core)
{
    struct eng_controls *controls = core->controls;
    const struct ipc_snapshot_view *view = core->view;
    memset(controls->account_slot, 0,
        ((size_t)core->limits.account_max + 1) * sizeof *controls->account_slot);
    for (uint32_t slot = 0; slot < view->follower_slots; slot++) {
        const struct ipc_row_follower *row = &view->followers[slot];
        controls->slot_next[slot] = 0;
        if (row->follower_no == 0 || row->account == 0 || row->account > core->limits.account_max)
            continue;
        controls->slot_next[slot] = controls->account_slot[row->account];
        controls->account_slot[row->account] = slot + 1;
    }
    controls->has_capped_accounts = false;
    for (uint32_t number = 1; number <= core->limits.account_max; number++) {
        struct eng_account *account = &core->accounts[number];
        const struct ipc_row_account *row =
            number <= view->account_count ? &view->accounts[number - 1] : NULL;
        account->open_orders_max = core->config.controls.open_orders_max;
        if (row != NULL && row->account == number && row->open_orders_max != 0)
            account->open_orders_max = row->open_orders_max;
        controls->has_capped_accounts |=
            account->open_orders_max != 0 && controls->account_slot[number] != 0;
    }
}

/* What is held and works, from nothing. */
static void add_up_exposure(struct eng_core *core)
{
    struct eng_controls *controls = core->controls;
    controls->exposure_e8 = 0;
    memset(controls->working, 0, core->fold.child_count * sizeof *controls->working);
    for (uint32_t i = 0; i < core->fold.position_count; i++)
        controls->exposure_e8 =
            eng_add_saturated(controls->exposure_e8, core->money->lots_of[i].cost_e8);
    for (uint32_t i = 0; i < core->fold.child_count; i++)
        eng_throttle_value(core, i);
}

void eng_controls_adopt(struct eng_core *core, bool first)
{
    struct eng_controls *controls = core->controls;
    const struct eng_controls_config *config = &core->config.controls;
    controls->calls_limited =
        (config->messages_per_second | config->messages_per_minute | config->messages_per_day) != 0;
    controls->values = config->exposure_max_e8 != 0;
    controls->orders = (config->order_qty_max_e8 | config->order_value_max_e8) != 0;
    read_policies(core);
    read_accounts(core);
    if (first && controls->values)
        add_up_exposure(core);
}

void eng_controls_boot(struct eng_core *core)
{
    struct eng_controls *controls = core->controls;
    memset(&controls->second, 0, sizeof controls->second);
    memset(&controls->minute, 0, sizeof controls->minute);
    memset(controls->symbols, 0, ENG_CONTROLS_SYMBOLS * sizeof *controls->symbols);
    memset(controls->accepted, 0, core->fold.position_count * sizeof *controls->accepted);
}

uint64_t eng_controls_hash(const struct eng_core *core, uint64_t hash)
{
    const struct eng_controls *controls = core->controls;
    hash = eng_hash(hash, &controls->fold, sizeof controls->fold);
    hash = eng_hash(hash, controls->brokers, sizeof controls->brokers);
    return eng_hash(hash, controls->accounts,
        ((size_t)core->limits.account_max + 1) * sizeof *controls->accounts);
}
