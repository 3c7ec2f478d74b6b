#include "money_world.h"

#include <stdlib.h>

#include "engine/core/children.h"
#include "engine/core/positions.h"

void money_world_open(struct money_world *world, uint32_t lot_max)
{
    const struct eng_core_limits limits = {.account_max = MONEY_SLOTS + 1,
        .follower_slot_max = MONEY_SLOTS,
        .order_max = 8,
        .child_max = MONEY_CHILDREN,
        .position_max = MONEY_POSITIONS,
        .master_position_max = 8,
        .wave_max = 4,
        .pace_logs = 1,
        .lot_max = lot_max};
    const struct eng_core_config config = {.shard = 0};
    memset(world, 0, sizeof *world);
    world->memory = aligned_alloc(4096, eng_core_footprint(&limits));
    LS_CHECK(world->memory != NULL);
    world->core = eng_core_init(world->memory, &limits, &config);
    world->broker.live = 1;
    for (uint32_t i = 0; i <= MONEY_SLOTS; i++)
        world->accounts[i].account = i + 1;
    for (uint32_t slot = 0; slot < MONEY_SLOTS; slot++) {
        world->followers[slot] = (struct ipc_row_follower){.follower_no = slot + 1,
            .incarnation = 1,
            .account = slot + 2,
            .master = MONEY_MASTER,
            .flags = IPC_FOLLOWER_ENABLED,
            .policy = slot + 1};
        world->core->slots[slot].follower_no = slot + 1;
        world->core->slots[slot].incarnation = 1;
    }
    world->view = (struct ipc_snapshot_view){.generation = 1,
        .cluster = &world->cluster,
        .brokers = &world->broker,
        .accounts = world->accounts,
        .followers = world->followers,
        .policies = world->policies,
        .broker_count = 1,
        .account_count = MONEY_SLOTS + 1,
        .follower_slots = MONEY_SLOTS,
        .policy_count = MONEY_SLOTS};
    world->now_mono_ns = 1000 * LS_NS_PER_S;
    money_world_adopt(world);
}

void money_world_close(struct money_world *world)
{
    free(world->memory);
}

void money_world_adopt(struct money_world *world)
{
    world->core->view = &world->view;
    eng_limits_adopt(world->core);
}

void money_world_fact(struct money_world *world, const struct ipc_fact_limit *fact)
{
    LS_CHECK(eng_limits_apply(world->core, fact) == IPC_OK);
}

void money_world_day(struct money_world *world, uint32_t day, uint32_t session_day)
{
    const struct eng_market_times times = {.day = day, .session_day = session_day};
    struct ipc_fact_limit fact;
    while (eng_limits_clock(world->core, &times, &fact))
        money_world_fact(world, &fact);
}

static uint32_t position_of(struct money_world *world, uint32_t slot, uint32_t instrument)
{
    struct eng_core *core = world->core;
    for (uint32_t i = 0; i < core->fold.position_count; i++)
        if (core->positions[i].follower_no == slot + 1 &&
            core->positions[i].instrument == instrument)
            return i;
    uint32_t index = core->fold.position_count++;
    LS_CHECK(index < MONEY_POSITIONS);
    core->positions[index].follower_no = slot + 1;
    core->positions[index].instrument = instrument;
    core->positions[index].product = IPC_PRODUCT_MIS;
    core->positions[index].incarnation = world->followers[slot].incarnation;
    core->positions[index].listed = 1;
    core->slot_position_next[index] = core->slot_positions[slot];
    core->slot_positions[slot] = index + 1;
    return index;
}

uint32_t money_world_child(struct money_world *world, uint32_t slot, uint32_t instrument,
    enum ipc_side side, bool is_exit, int64_t qty, int64_t price_e8)
{
    struct eng_core *core = world->core;
    uint32_t position = position_of(world, slot, instrument);
    uint32_t index = core->fold.child_count++;
    LS_CHECK(index < MONEY_CHILDREN);
    struct eng_child *child = &core->children[index];
    child->follower_no = slot + 1;
    child->slot = slot;
    child->incarnation = world->followers[slot].incarnation;
    child->position = position;
    child->side = (uint8_t)side;
    child->qty_e8 = qty * LS_E8;
    child->price_e8 = price_e8;
    child->state = ENG_STATE_SENDING;
    if (is_exit)
        child->flags |= ENG_CHILD_EXIT;
    else {
        core->positions[position].opening_e8[side == IPC_SIDE_BUY ? 0 : 1] += child->qty_e8;
        eng_money_opening(core, index, 0);
    }
    return index;
}

/* As eng_child_end does: the claim's difference, then the hook. */
static void change(struct money_world *world, uint32_t index, int64_t before_e8)
{
    struct eng_child *child = &world->core->children[index];
    struct eng_position *position = &world->core->positions[child->position];
    if (child->flags & ENG_CHILD_EXIT)
        return;
    position->opening_e8[child->side == IPC_SIDE_BUY ? 0 : 1] +=
        eng_child_claim_e8(child) - before_e8;
    eng_money_change(world->core, index, before_e8);
}

void money_world_state(struct money_world *world, uint32_t index, enum eng_state state)
{
    struct eng_child *child = &world->core->children[index];
    int64_t before_e8 = eng_child_claim_e8(child);
    child->state = (uint8_t)state;
    eng_money_status(world->core, index, state, world->now_mono_ns);
    change(world, index, before_e8);
}

void money_world_fill(
    struct money_world *world, uint32_t index, int64_t filled_e8, int64_t average_e8)
{
    struct eng_child *child = &world->core->children[index];
    int64_t before_e8 = eng_child_claim_e8(child);
    eng_child_fill(world->core, child, filled_e8, average_e8);
    child->state = filled_e8 == child->qty_e8 ? ENG_STATE_FILLED : ENG_STATE_PARTIAL;
    change(world, index, before_e8);
}

void money_world_trade(struct money_world *world, uint32_t slot, uint32_t instrument,
    enum ipc_side side, int64_t qty, int64_t price_e8)
{
    uint32_t child = money_world_child(world, slot, instrument, side, false, qty, price_e8);
    money_world_fill(world, child, qty * LS_E8, price_e8);
}

uint32_t money_world_judge(struct money_world *world, uint32_t slot)
{
    struct eng_limits_walk walk;
    uint32_t instrument;
    eng_limits_begin(world->core, slot, &walk);
    while ((instrument = eng_limits_next(&walk)) != 0)
        eng_limits_price(&walk, world->prices_e8[instrument]);
    world->sample.now_mono_ns = world->now_mono_ns;
    return eng_limits_decide(&walk, &world->sample, world->facts);
}

uint32_t money_world_settle(struct money_world *world, uint32_t slot)
{
    for (int rounds = 0; rounds < 8; rounds++) {
        uint32_t count = money_world_judge(world, slot);
        for (uint32_t i = 0; i < count; i++)
            money_world_fact(world, &world->facts[i]);
        if (count == 0)
            break;
    }
    return world->core->money->purses[slot].tripped;
}

struct eng_figures money_world_figures(const struct money_world *world, uint32_t slot)
{
    struct eng_figures figures;
    eng_money_figures(world->core, slot, slot + 1, world->followers[slot].incarnation, &figures);
    return figures;
}
