#include "engine/core/forget.h"

#include "engine/core/children.h"
#include "engine/core/core_private.h"
#include "engine/core/dedupe.h"
#include "engine/core/money.h"
#include "engine/core/reconcile_private.h"

#define CHILDREN_A_STEP 256u

bool eng_day_next(
    const struct eng_core *core, const struct eng_market_times *times, struct ipc_fact_day *out)
{
    const struct eng_fold *fold = &core->fold;
    memset(out, 0, sizeof *out);
    out->day = fold->day;
    if (times->day > fold->day) {
        out->act = IPC_DAY_ACT_BEGIN;
        out->day = times->day;
    } else if (fold->forget_child < fold->child_count && fold->forget_orders) {
        out->act = IPC_DAY_ACT_CHILDREN;
        out->first = fold->forget_child;
        out->count = (uint32_t)ls_min_i64(CHILDREN_A_STEP, fold->child_count - out->first);
    } else if (fold->forget_orders) {
        out->act = IPC_DAY_ACT_ORDERS;
        out->count = fold->order_count;
    } else {
        return false;
    }
    return true;
}

uint32_t eng_day_of_fold(const struct eng_core *core)
{
    return core->fold.day;
}

/* --- children -----------------------------------------------------------------------------------
 */

/* Stops and targets of what is held are sized on the entries that they protect. */
static bool protects_still(const struct eng_position *position)
{
    return position->held_e8 != 0 && (position->flags & ENG_POSITION_PROTECTED);
}

static bool child_is_over(const struct eng_core *core, uint32_t index)
{
    const struct eng_child *child = &core->children[index];
    const uint16_t busy = ENG_CHILD_SETTLE | ENG_CHILD_DOUBT | ENG_CHILD_BLOCKED | ENG_CHILD_LEGS;
    return eng_state_ended(child->state) && child->flight == 0 && child->queued == 0 &&
           child->waits == 0 && (child->flags & busy) == 0 && child->acts_open == 0 &&
           !eng_recon_watches(child) && !protects_still(&core->positions[child->position]) &&
           core->money->counted[index].phase != ENG_PHASE_WAITING;
}

static void position_unlink(struct eng_core *core, uint32_t index)
{
    const struct eng_child *child = &core->children[index];
    struct eng_position *position = &core->positions[child->position];
    uint32_t *link = &position->newest_child;
    while (*link != index)
        link = &core->children[*link].position_older;
    *link = child->position_older;
    position->forgotten_e8 +=
        child->side == IPC_SIDE_BUY ? child->filled_qty_e8 : -child->filled_qty_e8;
}

/* Lots that it filled stay; that they are its own matters only while it fills. */
static void lots_orphan(struct eng_core *core, uint32_t index)
{
    struct eng_money *money = core->money;
    const struct eng_lots *of = &money->lots_of[core->children[index].position];
    for (uint32_t at = of->oldest; at != 0; at = money->lots[at - 1].next)
        if (money->lots[at - 1].child == index)
            money->lots[at - 1].child = ENG_NONE;
}

static void child_forget(struct eng_core *core, uint32_t index)
{
    struct eng_child *child = &core->children[index];
    if (child->broker_order_id[0] != '\0')
        eng_broker_id_unindex(core, index);
    lots_orphan(core, index);
    position_unlink(core, index);
    core->orders[child->order].child_count--;
    memset(child, 0, sizeof *child);
    memset(&core->money->counted[index], 0, sizeof core->money->counted[index]);
    memset(&core->recon_children[index], 0, sizeof core->recon_children[index]);
    core->fold.children_free++;
    core->fold.forgotten++;
}

static bool status_is_last(uint8_t status)
{
    return status == IPC_STATUS_FILLED || status == IPC_STATUS_CANCELLED ||
           status == IPC_STATUS_REJECTED || status == IPC_STATUS_EXPIRED;
}

/* All children of one follower and order go together: they lead to each other. What is still open
 * at the master may be amended, and is then compared with its copies. */
static void group_look(struct eng_core *core, uint32_t index, uint64_t before_lsn)
{
    const struct eng_child *child = &core->children[index];
    if (eng_child_is_free(child) || core->orders[child->order].event_lsn >= before_lsn ||
        !status_is_last(core->orders[child->order].status) ||
        eng_child_find(core, child->order, child->follower_no) != index)
        return;
    for (uint32_t at = index; at != ENG_NONE; at = core->children[at].older) {
        if (!child_is_over(core, at))
            return;
    }
    eng_child_unindex(core, child->order, child->follower_no);
    for (uint32_t at = index, older; at != ENG_NONE; at = older) {
        older = core->children[at].older;
        child_forget(core, at);
    }
}

/* --- orders -------------------------------------------------------------------------------------
 */

/* `reserved` of an order is a mark, only while orders are looked at; every bit of `flags` is taken. */

/* One whose copies were adopted before it was seen stands in the map under two keys: it stays. */
static bool order_is_over(const struct eng_order *order, uint64_t before_lsn)
{
    return order->child_count == 0 && !(order->flags & ENG_ORDER_ORPHAN) &&
           order->event_lsn < before_lsn && status_is_last(order->status);
}

/* The order is led to, and so is all that came before it in its run. */
static void lead_to(struct eng_core *core, uint32_t index)
{
    while (index != ENG_NONE && !core->orders[index].reserved) {
        core->orders[index].reserved = 1;
        index = core->orders[index].exit_previous;
    }
}

static void orders_forget(struct eng_core *core, uint64_t before_lsn)
{
    struct eng_fold *fold = &core->fold;
    for (uint32_t i = 0; i < fold->position_count; i++) {
        lead_to(core, core->positions[i].exit_order);
        if (core->positions[i].flatten != 0 && core->positions[i].flatten != ENG_FLATTEN_WANTED)
            lead_to(core, core->positions[i].flatten - 1);
    }
    for (uint32_t i = 0; i < fold->master_position_count; i++)
        lead_to(core, core->master_positions[i].last_exit);
    for (uint32_t i = 0; i < core->limits.wave_max; i++)
        if (core->waves[i].number != 0)
            lead_to(core, core->waves[i].order);
    for (uint32_t i = 0; i < fold->order_count; i++)
        if (!eng_order_is_free(&core->orders[i]) && !order_is_over(&core->orders[i], before_lsn))
            lead_to(core, i);
    for (uint32_t i = 0; i < fold->order_count; i++) {
        struct eng_order *order = &core->orders[i];
        if (eng_order_is_free(order))
            continue;
        if (order->reserved) {
            order->reserved = 0;
            continue;
        }
        eng_order_unindex(core, i);
        memset(order, 0, sizeof *order);
        fold->orders_free++;
    }
}

/* --- the fact -----------------------------------------------------------------------------------
 */

static void day_begin(struct eng_core *core, uint32_t day, uint64_t lsn)
{
    struct eng_fold *fold = &core->fold;
    fold->day = day;
    fold->day_lsn[1] = fold->day_lsn[0];
    fold->day_lsn[0] = lsn;
    fold->forget_child = 0;
    fold->forget_orders = fold->day_lsn[1] != 0; /* there is a day before the day before */
}

enum ipc_rc eng_day_apply(struct eng_core *core, const struct ipc_fact_day *fact, uint64_t lsn)
{
    struct eng_fold *fold = &core->fold;
    if (!ipc_day_act_valid(fact->act))
        return IPC_BAD_INPUT;
    switch ((enum ipc_day_act)fact->act) {
    case IPC_DAY_ACT_BEGIN:
        if (fact->day <= fold->day)
            return IPC_BAD_INPUT;
        day_begin(core, fact->day, lsn);
        return IPC_OK;
    case IPC_DAY_ACT_CHILDREN:
        if (!fold->forget_orders || fact->first != fold->forget_child ||
            fact->count > fold->child_count - fact->first)
            return IPC_BAD_INPUT;
        fold->forget_child += fact->count;
        for (uint32_t i = fact->first; i < fold->forget_child; i++)
            group_look(core, i, fold->day_lsn[1]);
        return IPC_OK;
    case IPC_DAY_ACT_ORDERS:
        if (!fold->forget_orders)
            return IPC_BAD_INPUT;
        fold->forget_orders = 0;
        orders_forget(core, fold->day_lsn[1]);
        return IPC_OK;
    }
    return IPC_BAD_INPUT;
}
