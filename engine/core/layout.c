/* The one block: how large, and what lies where. */
#include "engine/core/controls.h"
#include "engine/core/core_private.h"
#include "engine/core/dedupe.h"
#include "engine/core/hand.h"
#include "engine/core/money.h"
#include "engine/core/reconcile_private.h"

/* Walks through the block; with base NULL it only counts. */
struct carve {
    uint8_t *base;
    size_t used;
};

static void *take(struct carve *carve, size_t count, size_t bytes)
{
    carve->used = ls_align_up(carve->used, LS_LINE_BYTES);
    void *at = carve->base == NULL ? NULL : carve->base + carve->used;
    LS_CHECK(bytes == 0 || count <= (SIZE_MAX / 4) / bytes);
    carve->used += count * bytes;
    return at;
}

static struct eng_map take_map(struct carve *carve, uint32_t records)
{
    uint32_t cells = eng_map_cells(records);
    return (struct eng_map){.cells = take(carve, cells, sizeof(uint64_t)), .mask = cells - 1};
}

static void check_limits(const struct eng_core_limits *limits)
{
    LS_CHECK(limits->account_max >= 1 && limits->account_max < UINT32_C(1) << 26);
    LS_CHECK(limits->follower_slot_max >= 1 && limits->follower_slot_max < UINT32_C(1) << 26);
    LS_CHECK(limits->order_max >= 1 && limits->order_max < UINT32_C(1) << 26);
    LS_CHECK(limits->child_max >= 8 && limits->child_max < UINT32_C(1) << 28);
    LS_CHECK(limits->position_max >= 1 && limits->position_max < UINT32_C(1) << 28);
    LS_CHECK(limits->master_position_max >= 1 && limits->master_position_max < UINT32_C(1) << 26);
    LS_CHECK(limits->wave_max >= 2 && limits->wave_max <= 4096);
    LS_CHECK(limits->pace_logs >= 1 && limits->pace_logs <= ENG_EXCHANGE_MAX);
}

static size_t lay_out(struct eng_core *core, const struct eng_core_limits *limits, uint8_t *base)
{
    struct carve carve = {.base = base, .used = sizeof(struct eng_core)};
    core->orders = take(&carve, limits->order_max, sizeof *core->orders);
    core->children = take(&carve, limits->child_max, sizeof *core->children);
    core->positions = take(&carve, limits->position_max, sizeof *core->positions);
    core->master_positions =
        take(&carve, limits->master_position_max, sizeof *core->master_positions);
    core->slots = take(&carve, limits->follower_slot_max, sizeof *core->slots);
    core->waves = take(&carve, limits->wave_max, sizeof *core->waves);
    core->account_folds =
        take(&carve, (size_t)limits->account_max + 1, sizeof *core->account_folds);

    core->recon_accounts =
        take(&carve, (size_t)limits->account_max + 1, sizeof *core->recon_accounts);
    core->recon_children = take(&carve, limits->child_max, sizeof *core->recon_children);

    core->hand_orders = take(&carve, eng_hand_orders_max(limits), sizeof *core->hand_orders);
    core->hand_books = take(&carve, eng_hand_orders_max(limits), sizeof *core->hand_books);

    core->order_map = take_map(&carve, limits->order_max);
    core->digits_map = take_map(&carve, limits->order_max);
    core->child_map = take_map(&carve, limits->child_max);
    core->broker_map = take_map(&carve, limits->child_max);
    core->position_map = take_map(&carve, limits->position_max);
    core->master_map = take_map(&carve, limits->master_position_max);
    core->hand_order_map = take_map(&carve, eng_hand_orders_max(limits));
    core->hand_book_map = take_map(&carve, eng_hand_orders_max(limits));

    core->wave_active = take(&carve, (size_t)limits->wave_max + 1, sizeof(uint32_t));
    core->wave_cursor = take(&carve, limits->wave_max, sizeof(uint32_t));
    core->settle_next = take(&carve, limits->child_max, sizeof(uint32_t));
    core->links = take(&carve, limits->child_max, sizeof *core->links);
    core->position_blocked = take(&carve, limits->position_max, sizeof(uint32_t));
    core->due_next = take(&carve, limits->position_max, sizeof(uint32_t));
    core->slot_positions = take(&carve, limits->follower_slot_max, sizeof(uint32_t));
    core->slot_position_next = take(&carve, limits->position_max, sizeof(uint32_t));

    uint32_t address_cells = eng_map_cells(limits->account_max);
    core->accounts = take(&carve, (size_t)limits->account_max + 1, sizeof *core->accounts);
    core->pace_logs = take(
        &carve, ((size_t)limits->account_max + 1) * limits->pace_logs, sizeof *core->pace_logs);
    core->addresses = take(&carve, address_cells, sizeof *core->addresses);
    core->address_mask = address_cells - 1;

    void *controls = take(&carve, 1, eng_controls_footprint(limits));
    core->controls = base == NULL ? NULL : eng_controls_init(controls, limits);
    core->recon_links = take(&carve, limits->child_max, sizeof *core->recon_links);
    core->recon_places = take(&carve, (size_t)limits->account_max + 1, sizeof *core->recon_places);
    for (int which = 0; which < 2; which++)
        core->recon_heap[which] =
            take(&carve, (size_t)limits->account_max + 1, sizeof *core->recon_heap[which]);

    void *money = take(&carve, 1, eng_money_footprint(limits));
    core->money = base == NULL ? NULL : eng_money_init(money, limits);
    return ls_align_up(carve.used, 4096);
}

size_t eng_core_footprint(const struct eng_core_limits *limits)
{
    check_limits(limits);
    struct eng_core sizes;
    return lay_out(&sizes, limits, NULL);
}

static void check_bands(const struct eng_band *bands, uint32_t count)
{
    LS_CHECK(count <= ENG_BANDS_MAX);
    if (count != 0)
        LS_CHECK(bands[count - 1].below_e8 == INT64_MAX);
    for (uint32_t i = 0; i < count; i++) {
        LS_CHECK(bands[i].fraction_e8 >= 0 && bands[i].fraction_e8 < LS_E8);
        LS_CHECK(bands[i].amount_e8 >= 0 && bands[i].amount_e8 <= ENG_PRICE_MAX_E8);
        if (i > 0)
            LS_CHECK(bands[i].below_e8 > bands[i - 1].below_e8);
    }
}

struct eng_core *eng_core_init(
    void *memory, const struct eng_core_limits *limits, const struct eng_core_config *config)
{
    memset(memory, 0, eng_core_footprint(limits));
    return eng_core_init_zeroed(memory, limits, config);
}

struct eng_core *eng_core_init_zeroed(
    void *memory, const struct eng_core_limits *limits, const struct eng_core_config *config)
{
    LS_CHECK(((uintptr_t)memory & (LS_LINE_BYTES - 1)) == 0);
    check_bands(config->cash_bands, config->cash_band_count);
    check_bands(config->option_bands, config->option_band_count);
    check_limits(limits);
    struct eng_core *core = memory;
    (void)lay_out(core, limits, memory);
    core->magic = ENG_CORE_MAGIC;
    core->limits = *limits;
    core->config = *config;
    core->settle_head = core->settle_tail = ENG_NONE;
    core->due_head = core->due_tail = ENG_NONE;
    core->active_head = ENG_NONE;
    for (uint32_t i = 0; i <= limits->account_max; i++) {
        struct eng_account *account = &core->accounts[i];
        for (int which = 0; which < 2; which++)
            account->head[which] = account->tail[which] = ENG_NONE;
        account->active_next = account->active_previous = ENG_NONE;
    }
    return core;
}

/* lay_out gives every pointer its place and changes nothing else, so it serves an image too. */
enum ipc_rc eng_core_settle_image(
    void *memory, const struct eng_core_limits *limits, const struct eng_core_config *config)
{
    struct eng_core *core = memory;
    if (core->magic != ENG_CORE_MAGIC || core->view != NULL ||
        memcmp(&core->limits, limits, sizeof *limits) != 0)
        return IPC_BAD_LAYOUT;
    (void)lay_out(core, limits, memory);
    core->config = *config;
    return IPC_OK;
}
