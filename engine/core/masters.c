#include "engine/core/masters.h"

#include "engine/core/positions.h"

/* What a working order may still open and still close. */
struct rest {
    int64_t opening_e8, closing_e8;
};

static struct rest rest_of(const struct eng_order *order)
{
    if (order == NULL || order->instrument == 0 || order->status >= IPC_STATUS_FILLED ||
        (order->flags & (ENG_ORDER_HISTORY | ENG_ORDER_TOMBSTONE)))
        return (struct rest){0, 0};
    int64_t reduces = eng_order_reduces_e8(order, order->qty_e8);
    int64_t closing = ls_max_i64(reduces - order->filled_qty_e8, 0);
    int64_t rest = ls_max_i64(order->qty_e8 - order->filled_qty_e8, 0);
    return (struct rest){rest - closing, closing};
}

static int64_t signed_fill(const struct eng_order *order)
{
    if (order == NULL || order->instrument == 0)
        return 0; /* nobody knows yet what it is a position of */
    return order->side == IPC_SIDE_BUY ? order->filled_qty_e8 : -order->filled_qty_e8;
}

static void end_run(struct eng_master_position *position)
{
    position->base_e8 = 0;
    position->fill_base_e8 = 0;
    position->last_exit = ENG_NONE;
}

/* The order joins the open run, or begins one. Called before its own rest and fill are folded. */
static void join_run(struct eng_master_position *position, struct eng_order *order, uint32_t index)
{
    int held_side = order->side == IPC_SIDE_SELL ? 0 : 1; /* that of the entries which it closes */
    int64_t held = eng_abs(position->held_e8);
    if (position->base_e8 == 0) {
        int64_t base = eng_add_saturated(held, position->opening_e8[held_side]);
        base -= position->closing_e8[1 - held_side];
        position->base_e8 = ls_max_i64(base, 1);
        position->fill_base_e8 = ls_max_i64(held, 1);
        position->run++;
        position->last_exit = ENG_NONE;
    }
    order->run = position->run;
    order->base_e8 = position->base_e8;
    order->fill_base_e8 = position->fill_base_e8;
    order->exit_previous = position->last_exit;
    order->flags |= ENG_ORDER_CLOSES;
    position->last_exit = index;
}

/* An entry that the run's base counted on ended without its fill: the master has that much less to
 * close, so that closing all he has closes all that was copied. */
static void shrink_run(struct eng_core *core, struct eng_master_position *position,
    const struct eng_order *before, const struct eng_order *order, struct rest was, struct rest is)
{
    if (position->base_e8 == 0 || position->last_exit == ENG_NONE || before == NULL ||
        before->master_position != order->master_position ||
        core->orders[position->last_exit].side == order->side)
        return;
    int64_t opened =
        ls_max_i64(order->filled_qty_e8 - eng_order_reduces_e8(order, order->qty_e8), 0) -
        ls_max_i64(before->filled_qty_e8 - eng_order_reduces_e8(before, before->qty_e8), 0);
    int64_t lost = was.opening_e8 - is.opening_e8 - opened;
    if (lost > 0)
        position->base_e8 = ls_max_i64(position->base_e8 - lost, 1);
}

void eng_master_fold(
    struct eng_core *core, uint32_t index, const struct eng_order *before, bool is_new)
{
    struct eng_order *order = &core->orders[index];
    struct eng_master_position *position = &core->master_positions[order->master_position];
    if (is_new && !(order->flags & ENG_ORDER_EXIT))
        end_run(position);
    else if (is_new)
        join_run(position, order, index);

    struct rest was = rest_of(before), is = rest_of(order);
    int side = order->side == IPC_SIDE_SELL ? 1 : 0;
    int64_t held = position->held_e8;
    shrink_run(core, position, before, order, was, is);
    if (before != NULL) { /* of another position when its instrument or product was not known yet */
        struct eng_master_position *old = &core->master_positions[before->master_position];
        int was_side = before->side == IPC_SIDE_SELL ? 1 : 0;
        old->opening_e8[was_side] -= was.opening_e8;
        old->closing_e8[was_side] -= was.closing_e8;
        old->held_e8 = eng_add_saturated(old->held_e8, -signed_fill(before));
    }
    position->opening_e8[side] += is.opening_e8;
    position->closing_e8[side] += is.closing_e8;
    position->held_e8 = eng_add_saturated(position->held_e8, signed_fill(order));
    /* An order that was an opening when it was new has closed a part: the run has less to close. */
    int64_t closed = eng_abs(held) - eng_abs(position->held_e8);
    bool same_side = (position->held_e8 > 0) == (held > 0);
    if (closed > 0 && same_side && position->base_e8 != 0 && !(order->flags & ENG_ORDER_CLOSES)) {
        position->base_e8 = ls_max_i64(position->base_e8 - closed, 1);
        position->fill_base_e8 = ls_max_i64(position->fill_base_e8 - closed, 1);
    }
    /* Flat, or turned round: what comes next is another run, and what his pending entries counted
     * for in this one is left to nobody. */
    if (eng_master_crosses(held, position->held_e8)) {
        for (uint32_t at = position->last_exit; at != ENG_NONE; at = core->orders[at].exit_previous)
            core->orders[at].flags |= ENG_ORDER_RUN_OVER;
        end_run(position);
        position->episode++;
    }
}

struct eng_run_sum eng_run_sum(
    const struct eng_core *core, const struct eng_order *order, bool by_fill)
{
    struct eng_run_sum sum = {.base_e8 = by_fill ? order->fill_base_e8 : order->base_e8};
    const struct eng_master_position *position = &core->master_positions[order->master_position];
    if (!by_fill && order->run == position->run && position->base_e8 != 0)
        sum.base_e8 = position->base_e8;
    sum.is_over = (order->flags & ENG_ORDER_RUN_OVER) != 0;
    bool is_own = true;
    for (;;) {
        int64_t filled = eng_order_reduces_e8(order, order->filled_qty_e8);
        int64_t all = eng_order_reduces_e8(order, eng_order_effective_e8(order));
        bool is_certain = order->type == IPC_TYPE_MARKET || order->status >= IPC_STATUS_FILLED;
        int64_t part = by_fill ? filled : all;
        sum.reduced_e8 = eng_add_saturated(sum.reduced_e8, part);
        sum.certain_e8 = eng_add_saturated(sum.certain_e8, is_certain ? all : filled);
        if (eng_order_is_stop(order))
            sum.stops_e8 = eng_add_saturated(sum.stops_e8, part - filled);
        if (is_own)
            sum.own_e8 = part;
        is_own = false;
        if (order->exit_previous == ENG_NONE)
            break;
        order = &core->orders[order->exit_previous];
    }
    if (sum.is_over)
        sum.base_e8 = ls_max_i64(ls_min_i64(sum.base_e8, sum.reduced_e8 - sum.stops_e8), 1);
    return sum;
}

bool eng_master_leaves_rest(const struct eng_core *core, const struct eng_order *order)
{
    const struct eng_master_position *position = &core->master_positions[order->master_position];
    if (position->last_exit == ENG_NONE)
        return true;
    struct eng_run_sum sum = eng_run_sum(core, &core->orders[position->last_exit], false);
    return sum.reduced_e8 < sum.base_e8;
}
