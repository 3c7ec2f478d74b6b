#include "engine/core/positions.h"

#include "engine/core/bracket.h"

#include "engine/core/dedupe.h"

static uint64_t position_hash(uint32_t follower_no, uint32_t source, uint8_t product)
{
    uint64_t group = ((uint64_t)source << 32) | (follower_no >> 3);
    return eng_mix(group ^ ((uint64_t)product << 29));
}

static uint32_t position_cell(const struct eng_core *core, uint32_t follower_no, uint32_t source,
    uint8_t product, uint64_t *hash)
{
    const struct eng_map *map = &core->position_map;
    *hash = position_hash(follower_no, source, product);
    uint32_t at = eng_map_home(map, *hash, follower_no);
    for (; map->cells[at] != 0; at = eng_map_step(map, at)) {
        uint64_t cell = map->cells[at];
        if ((cell ^ *hash) >> 32 != 0)
            continue;
        const struct eng_position *position = &core->positions[(uint32_t)cell - 1];
        if (position->follower_no == follower_no && position->source == source &&
            position->product == product)
            break;
    }
    return at;
}

uint32_t eng_position_find(
    const struct eng_core *core, uint32_t follower_no, uint32_t source, uint8_t product)
{
    uint64_t hash;
    uint64_t cell =
        core->position_map.cells[position_cell(core, follower_no, source, product, &hash)];
    return cell == 0 ? ENG_NONE : (uint32_t)cell - 1;
}

uint32_t eng_position_of(const struct eng_core *core, uint32_t follower_no, uint16_t incarnation,
    uint32_t source, uint32_t instrument, uint8_t product)
{
    uint32_t index = eng_position_find(core, follower_no, source, product);
    while (index != ENG_NONE && (core->positions[index].incarnation != incarnation ||
                                    core->positions[index].instrument != instrument))
        index = core->positions[index].older;
    return index;
}

uint32_t eng_position_take(struct eng_core *core, uint32_t follower_no, uint16_t incarnation,
    uint32_t source, uint32_t instrument, uint8_t product, uint32_t master)
{
    uint64_t hash;
    uint64_t *cell =
        &core->position_map.cells[position_cell(core, follower_no, source, product, &hash)];
    uint32_t newest = *cell == 0 ? ENG_NONE : (uint32_t)*cell - 1;
    for (uint32_t at = newest; at != ENG_NONE; at = core->positions[at].older) {
        if (LS_LIKELY(core->positions[at].incarnation == incarnation &&
                      core->positions[at].instrument == instrument))
            return at;
    }
    LS_CHECK(core->fold.position_count < core->limits.position_max);
    uint32_t index = core->fold.position_count++;
    core->positions[index] = (struct eng_position){.follower_no = follower_no,
        .instrument = instrument,
        .product = product,
        .incarnation = incarnation,
        .exit_order = ENG_NONE,
        .older = newest,
        .newest_child = ENG_NONE,
        .master = master,
        .source = source};
    core->position_blocked[index] = ENG_NONE;
    core->due_next[index] = ENG_NONE;
    *cell = eng_map_cell(hash, index);
    return index;
}

bool eng_position_unknown(
    const struct eng_core *core, uint32_t slot, uint32_t follower_no, uint32_t instrument)
{
    for (uint32_t at = core->slot_positions[slot]; at != 0; at = core->slot_position_next[at - 1]) {
        const struct eng_position *position = &core->positions[at - 1];
        if (position->unknown_count != 0 && position->follower_no == follower_no &&
            position->instrument == instrument)
            return true;
    }
    return false;
}

/* --- follow-ups ---------------------------------------------------------------------------------
 */

void eng_due_drop(struct eng_core *core, uint32_t index)
{
    struct eng_position *position = &core->positions[index];
    if (!(position->flags & ENG_POSITION_DUE))
        return;
    position->flags &= (uint8_t)~ENG_POSITION_DUE;
    uint32_t before = ENG_NONE;
    uint32_t at = core->due_head;
    while (at != index) {
        LS_CHECK(at != ENG_NONE);
        before = at;
        at = core->due_next[at];
    }
    uint32_t next = core->due_next[index];
    if (before == ENG_NONE)
        core->due_head = next;
    else
        core->due_next[before] = next;
    if (core->due_tail == index)
        core->due_tail = before;
}

bool eng_position_closes(const struct eng_position *position)
{
    uint8_t side = eng_closing_side(position);
    return (position->flags & (ENG_POSITION_WANTS | ENG_POSITION_FLAT)) &&
           !(position->flags & ENG_POSITION_REFUSED) && side != 0 &&
           eng_closable_e8(position, side, 0) > 0;
}

bool eng_position_reverses(const struct eng_core *core, const struct eng_position *position)
{
    if (!(position->flags & ENG_POSITION_REVERSES) || position->unsent_e8 != 0 ||
        position->flying != 0 || eng_position_closes(position))
        return false;
    /* What its entries may still bring is closed first. */
    uint8_t side = core->orders[position->exit_order].side;
    if (position->flags & ENG_POSITION_REVERSED)
        side = (uint8_t)ipc_side_opposite((enum ipc_side)side);
    return eng_coming_e8(position, side) == 0;
}

void eng_position_wants(struct eng_core *core, uint32_t index)
{
    struct eng_position *position = &core->positions[index];
    if (LS_UNLIKELY(position->flags & ENG_POSITION_PROTECTED))
        eng_bracket_yield(core, index);
    if (LS_LIKELY(position->exit_order == ENG_NONE) || position->flying != 0 ||
        (position->flags & ENG_POSITION_DUE))
        return;
    if (!eng_position_closes(position) && !eng_position_reverses(core, position))
        return;
    position->flags |= ENG_POSITION_DUE;
    core->due_next[index] = ENG_NONE;
    if (core->due_head == ENG_NONE)
        core->due_head = index;
    else
        core->due_next[core->due_tail] = index;
    core->due_tail = index;
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
        .account = account,
        .instrument = instrument,
        .product = product,
        .last_exit = ENG_NONE};
    *cell = eng_map_cell(hash, index);
    return index;
}
