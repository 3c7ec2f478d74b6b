/* masters.h: what a master holds, what its working orders may still add or take away, and the runs
 * of its reductions.
 *
 * A run begins with the first order that reduces after an opening and ends with the next opening.
 * All of its orders are measured against one base, M0: what the master held when the run began,
 * with what its working entries might still bring. A follower's close is then
 * floor(F0 x D / M0), D being what the run's orders reduce (SEMANTICS 4.2). */
#ifndef LS_ENGINE_CORE_MASTERS_H
#define LS_ENGINE_CORE_MASTERS_H

#include "engine/core/core_private.h"

static inline bool eng_order_ended(const struct eng_order *order)
{
    return order->status > IPC_STATUS_FILLED;
}

/* eng_order_is_stop: a protective stop when it reduces. */
static inline bool eng_order_is_stop(const struct eng_order *order)
{
    return order->type == IPC_TYPE_SL || order->type == IPC_TYPE_SLM;
}

/* eng_order_effective_e8 returns what of the order is copied: all, or of an ended one its fill. */
static inline int64_t eng_order_effective_e8(const struct eng_order *order)
{
    return eng_order_ended(order) ? order->filled_qty_e8 : order->qty_e8;
}

/* eng_order_reduces_e8 returns the part of a quantity of this order that reduces the position
 * which the master had before it; the rest opens, on the other side of zero. */
static inline int64_t eng_order_reduces_e8(const struct eng_order *order, int64_t qty_e8)
{
    if (!(order->flags & ENG_ORDER_EXIT))
        return 0;
    return ls_min_i64(qty_e8, eng_abs(order->position_before_e8));
}

/* eng_master_crosses: a position that comes to zero, or turns round. */
static inline bool eng_master_crosses(int64_t before_e8, int64_t after_e8)
{
    return before_e8 != 0 && (after_e8 == 0 || (after_e8 > 0) != (before_e8 > 0));
}

/* eng_master_fold carries one event of an order into its master's position. Part of apply.
 *   before  the order before the event, NULL at first sight; core->orders[index] is after it
 *   is_new  it is to be copied: a new order that is not history */
void eng_master_fold(
    struct eng_core *core, uint32_t index, const struct eng_order *before, bool is_new);

/* eng_master_opens: the master has working entries of the side that an order of this one's closes. */
static inline bool eng_master_opens(const struct eng_core *core, const struct eng_order *order)
{
    return core->master_positions[order->master_position]
               .opening_e8[order->side == IPC_SIDE_SELL ? 0 : 1] != 0;
}

/* eng_master_is_idle: the master holds nothing of this position, and nothing that would open works. */
static inline bool eng_master_is_idle(const struct eng_core *core, const struct eng_order *order)
{
    const struct eng_master_position *position = &core->master_positions[order->master_position];
    return (position->held_e8 | position->opening_e8[0] | position->opening_e8[1]) == 0;
}

/* eng_master_leaves_rest: were this position flat now, copies of it would not all have been closed by
 * the open run: it counts pending entries too, or there is none. */
bool eng_master_leaves_rest(const struct eng_core *core, const struct eng_order *order);

/* What a run reduces, up to and with one of its orders. */
struct eng_run_sum {
    int64_t base_e8;    /* M0, >= 0 */
    int64_t reduced_e8; /* D */
    int64_t own_e8;     /* of it, this order's */
    int64_t certain_e8; /* of D, what is filled or will be: market orders */
    bool is_over;       /* the master's fills came to zero: D is all of M0 */
    int64_t stops_e8;   /* of D, what only protective stops would: they work beside what leaves */
};

/* eng_run_sum adds up the run of an order.
 *   by_fill  only what is filled counts, against what was held */
struct eng_run_sum eng_run_sum(
    const struct eng_core *core, const struct eng_order *order, bool by_fill);

#endif
