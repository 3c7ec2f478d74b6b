/* children.h: the only functions that change a child, and what follows from each change.
 *
 * Every change stands between eng_child_begin and eng_child_end: the end compares and carries the
 * difference into the position (reserved, opening, unknown), the slot, the counters, the lists.
 * Part of apply. */
#ifndef LS_ENGINE_CORE_CHILDREN_H
#define LS_ENGINE_CORE_CHILDREN_H

#include "engine/core/core_private.h"
#include "engine/core/lifecycle.h"

struct eng_child_touch {
    struct eng_child *child;
    uint32_t index;
    uint8_t state;
    bool in_doubt, flying;
    int64_t claim_e8, unsent_e8, filled_e8;
    int64_t committed_e8;
};

/* eng_child_claim_e8 returns what of the child may still fill: the largest quantity that the
 * broker may have, less what is filled; 0 when it ended. */
int64_t eng_child_claim_e8(const struct eng_child *child);

/* When and where the requests of one frame leave: the same for all of its children. */
struct eng_sending {
    int64_t mono_ns, wall_ns;
    uint16_t day;     /* market day modulo 2^16 */
    uint8_t exchange; /* 0 without a view */
};
struct eng_sending eng_sending_make(
    const struct eng_core *core, uint32_t instrument, int64_t mono_ns, int64_t wall_ns);

/* eng_child_make appends a child in state NONE and claims nothing yet; the caller has checked the
 * capacity of children and positions, sets the terms, and ends with eng_child_born.
 *   position  index of its copied position
 *   cell      from eng_child_find_at */
uint32_t eng_child_make(struct eng_core *core, uint32_t order, const struct ipc_fact_child *fact,
    uint32_t position, uint32_t cell);
/* eng_child_born carries a new child into its position and the counters. */
void eng_child_born(struct eng_core *core, uint32_t index);

struct eng_child_touch eng_child_begin(struct eng_core *core, uint32_t index);
void eng_child_end(struct eng_core *core, const struct eng_child_touch *touch);

/* eng_child_live moves the child by the table of lifecycle.c and counts late, ghost and impossible
 * events.
 *   returns  the action taken */
enum eng_life_action eng_child_live(
    struct eng_core *core, struct eng_child *child, enum eng_life event);

/* eng_child_fill raises the cumulative fill; lower ones change nothing. */
void eng_child_fill(struct eng_core *core, struct eng_child *child, int64_t filled_qty_e8,
    int64_t average_price_e8);

/* eng_child_queue lets a PLACE, MODIFY or CANCEL wait, or replaces what waits. */
void eng_child_queue(
    struct eng_core *core, uint32_t index, enum ipc_action action, int64_t not_before_mono_ns);
/* eng_child_unqueue takes it off its queue without deciding what becomes of it. */
void eng_child_unqueue(struct eng_core *core, uint32_t index);
/* eng_child_fly notes that bytes of a request may leave from now on. */
void eng_child_fly(struct eng_core *core, uint32_t index, enum ipc_action action,
    const struct eng_sending *sending);

/* eng_child_learn_id notes the broker's order id, once. */
void eng_child_learn_id(
    struct eng_core *core, uint32_t index, const char id[IPC_BROKER_ORDER_ID_BYTES]);

/* eng_settle_put / eng_settle_drop: the list of children whose WAIT ended. */
void eng_settle_put(struct eng_core *core, uint32_t index);
void eng_settle_drop(struct eng_core *core, uint32_t index);

/* eng_child_is_other: the id is that of another order than the one this child is known as. */
static inline bool eng_child_is_other(
    const struct eng_child *child, const char id[IPC_BROKER_ORDER_ID_BYTES])
{
    return child->broker_order_id[0] != '\0' && id[0] != '\0' &&
           memcmp(child->broker_order_id, id, IPC_BROKER_ORDER_ID_BYTES) != 0;
}

#endif
