/* dedupe.h: who is known already: orders by key, children by (order, follower), by tag and by the
 * broker's order id.
 *
 * Nothing is evicted and nothing expires by time. The maps are functions of the fold's tables.
 * A tag names (order digits, follower, action), so the index of tags is the map of (order,
 * follower): a lookup by tag goes through the order's digits, and no text is hashed per follower.
 * Cells of one order's followers lie together in groups of eight, so a wave fills whole lines. */
#ifndef LS_ENGINE_CORE_DEDUPE_H
#define LS_ENGINE_CORE_DEDUPE_H

#include "engine/core/core_private.h"

/* eng_map_cells returns the cells that a map for `records` needs: at most half of them get used. */
uint32_t eng_map_cells(uint32_t records);

/* One step of a probe: through the cells of one residue modulo 8, then the next residue, so that
 * neighbours in a group of eight never push each other along and every cell is reached. */
static inline uint32_t eng_map_step(const struct eng_map *map, uint32_t cell)
{
    cell += 8;
    return LS_LIKELY(cell <= map->mask) ? cell : (cell + 1) & 7;
}

/* eng_map_home returns the first cell for a hash; `member` selects the cell within its group. */
static inline uint32_t eng_map_home(const struct eng_map *map, uint64_t hash, uint32_t member)
{
    return ((uint32_t)hash & map->mask & ~7u) | ((member ^ (uint32_t)(hash >> 29)) & 7u);
}

static inline uint64_t eng_map_cell(uint64_t hash, uint32_t index)
{
    return (hash & UINT64_C(0xffffffff00000000)) | (uint64_t)(index + 1);
}

/* Orders. eng_order_find returns the index, ENG_NONE when the key was never seen. */
uint32_t eng_order_find(const struct eng_core *core, struct ipc_key key);
/* eng_order_by_digits returns the newest order with these tag digits; follow digits_next. */
uint32_t eng_order_by_digits(const struct eng_core *core, uint64_t order_digits);
/* eng_order_index puts orders[index] into both maps; its digits_next is set here. */
void eng_order_index(struct eng_core *core, uint32_t index);
/* eng_order_index_key puts it into the map of keys alone: an order that got its key later. */
void eng_order_index_key(struct eng_core *core, uint32_t index);

/* Children: the newest child of (order, follower), ENG_NONE when there is none; follow `older`. */
uint32_t eng_child_find(const struct eng_core *core, uint32_t order, uint32_t follower_no);
/* eng_child_find_at also tells the cell where a first child of (order, follower) would go. */
uint32_t eng_child_find_at(
    const struct eng_core *core, uint32_t order, uint32_t follower_no, uint32_t *cell);
/* eng_child_index makes children[index] the newest of its order and follower; `older` is set.
 *   cell  from eng_child_find_at; it may have been taken by another child since
 * A second child with an equal tag is a bug and stops the process. */
void eng_child_index(struct eng_core *core, uint32_t index, uint32_t cell);
/* eng_child_by_tag returns the child of a tag's parts, ENG_NONE when there is none. */
uint32_t eng_child_by_tag(const struct eng_core *core, const struct ipc_tag_parts *parts);
/* eng_child_by_tag_text parses first; ENG_NONE for what is not a tag of ours. */
uint32_t eng_child_by_tag_text(const struct eng_core *core, const char tag[IPC_TAG_BYTES]);
/* eng_child_next_action returns the action number of the follower's next child of this order, leg
 * and slice: the first ordinal that no child of any order with the same digits has.
 *   returns  ENG_NONE when all ordinals are used */
uint32_t eng_child_next_action(const struct eng_core *core, uint32_t order, uint32_t follower_no,
    uint32_t leg, uint32_t slice);

/* Broker order ids. */
uint32_t eng_child_by_broker_id(
    const struct eng_core *core, const char id[IPC_BROKER_ORDER_ID_BYTES], uint32_t account);
void eng_broker_id_index(struct eng_core *core, uint32_t child);

/* --- forgetting (forget.h) --- */

/* eng_order_unindex takes an order out of both maps; no order that stays may lead to it. */
void eng_order_unindex(struct eng_core *core, uint32_t index);
/* eng_child_unindex takes all children of (order, follower) out of the map; their own links are the
 * caller's. */
void eng_child_unindex(struct eng_core *core, uint32_t order, uint32_t follower_no);
/* eng_broker_id_unindex takes a child's broker order id out. */
void eng_broker_id_unindex(struct eng_core *core, uint32_t child);

/* eng_child_account returns the follower account of a child: of its queue or its row, 0 = unknown
 * without a view. */
uint32_t eng_child_account(const struct eng_core *core, uint32_t child);

#endif
