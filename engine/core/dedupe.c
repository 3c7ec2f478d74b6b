#include "engine/core/dedupe.h"

uint32_t eng_map_cells(uint32_t records)
{
    uint32_t cells = 16;
    while (cells / 2 < records) {
        LS_CHECK(cells < UINT32_C(1) << 31);
        cells *= 2;
    }
    return cells;
}

static bool cell_may_be(uint64_t cell, uint64_t hash)
{
    return (cell ^ hash) >> 32 == 0;
}

static uint32_t cell_index(uint64_t cell)
{
    return (uint32_t)cell - 1;
}

/* --- orders ------------------------------------------------------------------------------------
 */

static uint64_t key_hash(struct ipc_key key)
{
    return eng_mix(key.word[0] ^ (key.word[1] << 1));
}

uint32_t eng_order_find(const struct eng_core *core, struct ipc_key key)
{
    const struct eng_map *map = &core->order_map;
    uint64_t hash = key_hash(key);
    for (uint32_t at = eng_map_home(map, hash, 0); map->cells[at] != 0;
         at = eng_map_step(map, at)) {
        uint64_t cell = map->cells[at];
        if (cell_may_be(cell, hash) && ipc_key_equal(core->orders[cell_index(cell)].key, key))
            return cell_index(cell);
    }
    return ENG_NONE;
}

/* The cell of these digits, or the empty cell where they would go. */
static uint32_t digits_cell(const struct eng_core *core, uint64_t digits, uint64_t hash)
{
    const struct eng_map *map = &core->digits_map;
    uint32_t at = eng_map_home(map, hash, 0);
    for (; map->cells[at] != 0; at = eng_map_step(map, at)) {
        uint64_t cell = map->cells[at];
        if (cell_may_be(cell, hash) && core->orders[cell_index(cell)].order_digits == digits)
            break;
    }
    return at;
}

uint32_t eng_order_by_digits(const struct eng_core *core, uint64_t order_digits)
{
    uint64_t cell = core->digits_map.cells[digits_cell(core, order_digits, eng_mix(order_digits))];
    return cell == 0 ? ENG_NONE : cell_index(cell);
}

void eng_order_index_key(struct eng_core *core, uint32_t index)
{
    uint64_t hash = key_hash(core->orders[index].key);
    struct eng_map *map = &core->order_map;
    uint32_t at = eng_map_home(map, hash, 0);
    while (map->cells[at] != 0)
        at = eng_map_step(map, at);
    map->cells[at] = eng_map_cell(hash, index);
}

void eng_order_index(struct eng_core *core, uint32_t index)
{
    struct eng_order *order = &core->orders[index];
    eng_order_index_key(core, index);
    uint64_t hash = eng_mix(order->order_digits);
    uint32_t at = digits_cell(core, order->order_digits, hash);
    uint64_t *cell = &core->digits_map.cells[at];
    order->digits_next = *cell == 0 ? ENG_NONE : cell_index(*cell);
    *cell = eng_map_cell(hash, index);
}

/* --- children ----------------------------------------------------------------------------------
 */

/* Eight neighbouring follower numbers share a hash and differ in their place within the group. */
static uint64_t child_hash(uint32_t order, uint32_t follower_no)
{
    return eng_mix(((uint64_t)order << 32) | (follower_no >> 3));
}

static uint32_t child_cell(
    const struct eng_core *core, uint32_t order, uint32_t follower_no, uint64_t *hash)
{
    const struct eng_map *map = &core->child_map;
    *hash = child_hash(order, follower_no);
    uint32_t at = eng_map_home(map, *hash, follower_no);
    for (; map->cells[at] != 0; at = eng_map_step(map, at)) {
        uint64_t cell = map->cells[at];
        if (!cell_may_be(cell, *hash))
            continue;
        const struct eng_child *child = &core->children[cell_index(cell)];
        if (child->order == order && child->follower_no == follower_no)
            break;
    }
    return at;
}

uint32_t eng_child_find(const struct eng_core *core, uint32_t order, uint32_t follower_no)
{
    uint64_t hash;
    uint64_t cell = core->child_map.cells[child_cell(core, order, follower_no, &hash)];
    return cell == 0 ? ENG_NONE : cell_index(cell);
}

uint32_t eng_child_find_at(
    const struct eng_core *core, uint32_t order, uint32_t follower_no, uint32_t *at)
{
    uint64_t hash;
    *at = child_cell(core, order, follower_no, &hash);
    uint64_t cell = core->child_map.cells[*at];
    return cell == 0 ? ENG_NONE : cell_index(cell);
}

void eng_child_index(struct eng_core *core, uint32_t index, uint32_t at)
{
    struct eng_child *child = &core->children[index];
    uint64_t hash = child_hash(child->order, child->follower_no);
    uint64_t *cells = core->child_map.cells;
    if (LS_UNLIKELY(cells[at] != 0)) {
        at = child_cell(core, child->order, child->follower_no, &hash);
        uint32_t other = cells[at] == 0 ? ENG_NONE : cell_index(cells[at]);
        child->older = other;
        for (; other != ENG_NONE; other = core->children[other].older)
            LS_CHECK(core->children[other].action != child->action);
    } else {
        child->older = ENG_NONE;
    }
    cells[at] = eng_map_cell(hash, index);
}

static uint32_t child_with_action(
    const struct eng_core *core, uint32_t order, uint32_t follower_no, uint32_t action)
{
    uint32_t child = eng_child_find(core, order, follower_no);
    while (child != ENG_NONE && core->children[child].action != action)
        child = core->children[child].older;
    return child;
}

uint32_t eng_child_by_tag(const struct eng_core *core, const struct ipc_tag_parts *parts)
{
    uint32_t order = eng_order_by_digits(core, parts->order_digits);
    for (; order != ENG_NONE; order = core->orders[order].digits_next) {
        uint32_t child = child_with_action(core, order, parts->follower_no, parts->action);
        if (child != ENG_NONE)
            return child;
    }
    return ENG_NONE;
}

uint32_t eng_child_by_tag_text(const struct eng_core *core, const char tag[IPC_TAG_BYTES])
{
    struct ipc_tag_parts parts;
    if (tag[IPC_TAG_CHARACTERS] != '\0' || ipc_tag_parse(tag, IPC_TAG_CHARACTERS, &parts) != IPC_OK)
        return ENG_NONE;
    return eng_child_by_tag(core, &parts);
}

uint32_t eng_child_next_action(const struct eng_core *core, uint32_t order, uint32_t follower_no,
    uint32_t leg, uint32_t slice)
{
    struct ipc_tag_parts parts = {core->orders[order].order_digits, follower_no, 0};
    for (uint32_t ordinal = 0; ordinal < IPC_TAG_ORDINALS; ordinal++) {
        parts.action = ipc_tag_action(leg, slice, ordinal);
        if (eng_child_by_tag(core, &parts) == ENG_NONE)
            return parts.action;
    }
    return ENG_NONE;
}

/* --- broker order ids --------------------------------------------------------------------------
 */

static uint64_t id_hash(const char id[IPC_BROKER_ORDER_ID_BYTES])
{
    uint64_t word[IPC_BROKER_ORDER_ID_BYTES / 8];
    memcpy(word, id, sizeof word);
    uint64_t hash = 0;
    for (size_t i = 0; i < LS_COUNT_OF(word); i++)
        hash = eng_mix(hash ^ word[i]);
    return hash;
}

uint32_t eng_child_account(const struct eng_core *core, uint32_t index)
{
    const struct eng_child *child = &core->children[index];
    if (core->links[index].account != 0)
        return core->links[index].account;
    if (core->view == NULL || child->slot >= core->view->follower_slots)
        return 0;
    const struct ipc_row_follower *row = &core->view->followers[child->slot];
    return row->follower_no == child->follower_no ? row->account : 0;
}

uint32_t eng_child_by_broker_id(
    const struct eng_core *core, const char id[IPC_BROKER_ORDER_ID_BYTES], uint32_t account)
{
    const struct eng_map *map = &core->broker_map;
    uint64_t hash = id_hash(id);
    for (uint32_t at = eng_map_home(map, hash, 0); map->cells[at] != 0;
         at = eng_map_step(map, at)) {
        uint64_t cell = map->cells[at];
        if (!cell_may_be(cell, hash))
            continue;
        uint32_t child = cell_index(cell);
        if (memcmp(core->children[child].broker_order_id, id, IPC_BROKER_ORDER_ID_BYTES) == 0 &&
            eng_child_account(core, child) == account)
            return child;
    }
    return ENG_NONE;
}

void eng_broker_id_index(struct eng_core *core, uint32_t child)
{
    struct eng_map *map = &core->broker_map;
    uint64_t hash = id_hash(core->children[child].broker_order_id);
    uint32_t at = eng_map_home(map, hash, 0);
    while (map->cells[at] != 0)
        at = eng_map_step(map, at);
    map->cells[at] = eng_map_cell(hash, child);
}

/* --- forgetting --------------------------------------------------------------------------------
 */

/* A probe goes round all cells in one order, whatever cell it begins at: this is a cell's place in
 * it. */
static uint32_t place_of(const struct eng_map *map, uint32_t cell)
{
    return (cell & 7u) * ((map->mask + 1) / 8) + (cell >> 3);
}

/* Empties a cell, and moves what was pushed along by it back to where a probe looks for it.
 *   home   the first cell of a record's probe */
static void cell_empty(struct eng_core *core, struct eng_map *map, uint32_t at,
    uint32_t (*home)(const struct eng_core *core, uint32_t index))
{
    uint32_t hole = at;
    for (;;) {
        at = eng_map_step(map, at);
        if (map->cells[at] == 0)
            break;
        uint32_t from = place_of(map, home(core, cell_index(map->cells[at])));
        uint32_t left = place_of(map, hole), right = place_of(map, at);
        bool stays = left <= right ? left < from && from <= right : left < from || from <= right;
        if (stays)
            continue;
        map->cells[hole] = map->cells[at];
        hole = at;
    }
    map->cells[hole] = 0;
}

static uint32_t order_home(const struct eng_core *core, uint32_t index)
{
    return eng_map_home(&core->order_map, key_hash(core->orders[index].key), 0);
}
static uint32_t digits_home(const struct eng_core *core, uint32_t index)
{
    return eng_map_home(&core->digits_map, eng_mix(core->orders[index].order_digits), 0);
}
static uint32_t child_home(const struct eng_core *core, uint32_t index)
{
    const struct eng_child *child = &core->children[index];
    return eng_map_home(
        &core->child_map, child_hash(child->order, child->follower_no), child->follower_no);
}
static uint32_t broker_home(const struct eng_core *core, uint32_t index)
{
    return eng_map_home(&core->broker_map, id_hash(core->children[index].broker_order_id), 0);
}

/* The cell of a record, from its home on; the record is in the map. */
static uint32_t cell_of(const struct eng_map *map, uint32_t home, uint32_t index)
{
    while (cell_index(map->cells[home]) != index) {
        LS_CHECK(map->cells[home] != 0);
        home = eng_map_step(map, home);
    }
    return home;
}

void eng_order_unindex(struct eng_core *core, uint32_t index)
{
    struct eng_order *order = &core->orders[index];
    cell_empty(core, &core->order_map, cell_of(&core->order_map, order_home(core, index), index),
        order_home);
    uint32_t newest = eng_order_by_digits(core, order->order_digits);
    if (newest != index) {
        while (core->orders[newest].digits_next != index)
            newest = core->orders[newest].digits_next;
        core->orders[newest].digits_next = order->digits_next;
        return;
    }
    uint32_t at = cell_of(&core->digits_map, digits_home(core, index), index);
    if (order->digits_next != ENG_NONE)
        core->digits_map.cells[at] =
            eng_map_cell(eng_mix(order->order_digits), order->digits_next);
    else
        cell_empty(core, &core->digits_map, at, digits_home);
}

void eng_child_unindex(struct eng_core *core, uint32_t order, uint32_t follower_no)
{
    uint32_t newest = eng_child_find(core, order, follower_no);
    cell_empty(core, &core->child_map,
        cell_of(&core->child_map, child_home(core, newest), newest), child_home);
}

void eng_broker_id_unindex(struct eng_core *core, uint32_t child)
{
    cell_empty(core, &core->broker_map,
        cell_of(&core->broker_map, broker_home(core, child), child), broker_home);
}
