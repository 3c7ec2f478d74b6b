#include "engine/core/positions.h"

#include "engine/core/dedupe.h"

static uint64_t position_hash(uint32_t follower_no, uint32_t instrument, uint8_t product)
{
    uint64_t group = ((uint64_t)instrument << 32) | (follower_no >> 3);
    return eng_mix(group ^ ((uint64_t)product << 29));
}

static uint32_t position_cell(const struct eng_core *core, uint32_t follower_no,
    uint32_t instrument, uint8_t product, uint64_t *hash)
{
    const struct eng_map *map = &core->position_map;
    *hash = position_hash(follower_no, instrument, product);
    uint32_t at = eng_map_home(map, *hash, follower_no);
    for (; map->cells[at] != 0; at = eng_map_step(map, at)) {
        uint64_t cell = map->cells[at];
        if ((cell ^ *hash) >> 32 != 0)
            continue;
        const struct eng_position *position = &core->positions[(uint32_t)cell - 1];
        if (position->follower_no == follower_no && position->instrument == instrument &&
            position->product == product)
            break;
    }
    return at;
}

uint32_t eng_position_find(
    const struct eng_core *core, uint32_t follower_no, uint32_t instrument, uint8_t product)
{
    uint64_t hash;
    uint64_t cell =
        core->position_map.cells[position_cell(core, follower_no, instrument, product, &hash)];
    return cell == 0 ? ENG_NONE : (uint32_t)cell - 1;
}

uint32_t eng_position_take(
    struct eng_core *core, uint32_t follower_no, uint32_t instrument, uint8_t product)
{
    uint64_t hash;
    uint64_t *cell =
        &core->position_map.cells[position_cell(core, follower_no, instrument, product, &hash)];
    if (*cell != 0)
        return (uint32_t)*cell - 1;
    LS_CHECK(core->fold.position_count < core->limits.position_max);
    uint32_t index = core->fold.position_count++;
    core->positions[index] = (struct eng_position){
        .follower_no = follower_no, .instrument = instrument, .product = product};
    core->position_blocked[index] = ENG_NONE;
    *cell = eng_map_cell(hash, index);
    return index;
}

bool eng_position_unknown(const struct eng_core *core, uint32_t follower_no, uint32_t instrument)
{
    for (uint8_t product = IPC_PRODUCT_MIS; product <= IPC_PRODUCT_MTF; product++) {
        uint32_t index = eng_position_find(core, follower_no, instrument, product);
        if (index != ENG_NONE && core->positions[index].unknown_count != 0)
            return true;
    }
    return false;
}

static uint64_t master_hash(uint32_t account, uint32_t instrument, uint8_t product)
{
    return eng_mix(eng_mix(((uint64_t)account << 32) | instrument) + product);
}

static uint32_t master_cell(const struct eng_core *core, uint32_t account, uint32_t instrument,
    uint8_t product, uint64_t *hash)
{
    const struct eng_map *map = &core->master_map;
    *hash = master_hash(account, instrument, product);
    uint32_t at = eng_map_home(map, *hash, 0);
    for (; map->cells[at] != 0; at = eng_map_step(map, at)) {
        const struct eng_master_position *position =
            &core->master_positions[(uint32_t)map->cells[at] - 1];
        if (position->account == account && position->instrument == instrument &&
            position->product == product)
            break;
    }
    return at;
}

uint32_t eng_master_find(
    const struct eng_core *core, uint32_t account, uint32_t instrument, uint8_t product)
{
    uint64_t hash;
    uint64_t cell = core->master_map.cells[master_cell(core, account, instrument, product, &hash)];
    return cell == 0 ? ENG_NONE : (uint32_t)cell - 1;
}

uint32_t eng_master_take(
    struct eng_core *core, uint32_t account, uint32_t instrument, uint8_t product)
{
    uint64_t hash;
    uint64_t *cell =
        &core->master_map.cells[master_cell(core, account, instrument, product, &hash)];
    if (*cell != 0)
        return (uint32_t)*cell - 1;
    LS_CHECK(core->fold.master_position_count < core->limits.master_position_max);
    uint32_t index = core->fold.master_position_count++;
    core->master_positions[index] = (struct eng_master_position){
        .account = account, .instrument = instrument, .product = product};
    *cell = eng_map_cell(hash, index);
    return index;
}
