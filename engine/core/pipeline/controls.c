#include "engine/core/pipeline/controls.h"

#include "engine/core/breaker.h"
#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/money.h"
#include "engine/core/throttle.h"

#define ORDERS_LOOK   32u /* master orders that are looked back over; more of them = perhaps */
#define CHILDREN_LOOK 64u

/* --- the price collar ---------------------------------------------------------------------------
 */

bool eng_collar_bars(uint8_t side, int64_t price_e8, int64_t last_e8, int64_t collar_e8)
{
    if (collar_e8 == 0 || price_e8 <= 0)
        return false;
    __int128 price = (__int128)price_e8 * LS_E8;
    return side == IPC_SIDE_BUY ? price > (__int128)last_e8 * (LS_E8 + collar_e8)
                                : price < (__int128)last_e8 * (LS_E8 - collar_e8);
}

/* Only a price that the order names can be wrong: what a market order becomes follows the last
 * price anyway. Without a fresh last price nobody knows. */
static enum ipc_reason collar(const struct eng_plan *plan)
{
    int64_t collar_e8 = plan->core->config.controls.price_collar_e8;
    int64_t price_e8 = plan->order->price_e8;
    if (LS_LIKELY(collar_e8 == 0) || plan->is_exit || price_e8 == 0)
        return IPC_REASON_NONE;
    if (plan->price_age_ns > (int64_t)ENG_PRICE_AGE_MS * LS_NS_PER_MS)
        return IPC_REASON_PRICE_UNKNOWN;
    return eng_collar_bars(plan->order->side, price_e8, plan->sample->price_e8, collar_e8)
               ? IPC_REASON_PRICE_COLLAR
               : IPC_REASON_NONE;
}

/* --- what a batch shares ------------------------------------------------------------------------
 */

/* Orders are in the table as they were first seen, so the look ends at the first that is too old.
 * More of them than it looks at are perhaps: followers are asked then. */
static bool may_repeat(const struct eng_plan *plan)
{
    const struct eng_core *core = plan->core;
    int64_t window_ns = (int64_t)core->controls->duplicate_ms_max * LS_NS_PER_MS;
    const struct eng_order *own = &core->orders[plan->order_index];
    bool maps = core->view->map_count != 0;
    if (window_ns == 0 || plan->is_exit)
        return false;
    uint32_t at = core->fold.order_last;
    for (uint32_t look = 0; look < core->fold.order_count;
         look++, at = at > 0 ? at - 1 : core->fold.order_count - 1) {
        const struct eng_order *other = &core->orders[at];
        if (look == ORDERS_LOOK)
            return true;
        if (other == own || eng_order_is_free(other) ||
            (other->flags & (ENG_ORDER_HISTORY | ENG_ORDER_OWN)))
            continue;
        if (other->era != own->era || own->received_mono_ns - other->received_mono_ns > window_ns)
            return false;
        if (maps || (other->instrument == own->instrument && other->side == own->side))
            return true;
    }
    return false;
}

/* The smallest of what is left, and why there is no more. */
static void cap_entries(struct eng_plan *plan, uint32_t left, enum ipc_reason why)
{
    if (left >= plan->entries_left)
        return;
    plan->entries_left = left;
    plan->entries_why = why;
}

enum ipc_reason eng_controls_plan(struct eng_plan *plan)
{
    const struct eng_core *core = plan->core;
    const struct eng_controls *controls = core->controls;
    const struct eng_batch_sample *sample = plan->sample;
    plan->entries_why = IPC_REASON_CAPACITY;
    plan->calls_left = eng_throttle_calls_left(core, sample->now_mono_ns, sample->now_wall_ns);
    plan->firm_own_e8 = eng_throttle_value_left(core);
    plan->firm_left_e8 = &plan->firm_own_e8;
    cap_entries(plan, eng_throttle_children_left(core, &core->orders[plan->order_index]),
        IPC_REASON_CHILDREN_CAP);
    cap_entries(plan, eng_throttle_symbol_left(core, plan->order->instrument, sample->now_mono_ns),
        IPC_REASON_INSTRUMENT_RATE);
    plan->plain_left =
        plan->entries_left < plan->calls_left ? plan->entries_left : plan->calls_left;
    if (LS_UNLIKELY(controls->has_capped_accounts))
        plan->plain_left = 0;
    plan->suspects = may_repeat(plan);
    plan->asks_day |= (uint32_t)(plan->suspects | controls->values | controls->orders) |
                      controls->fold.tripped | controls->due_count;
    enum ipc_reason reason = eng_breaker_engine(core);
    return LS_LIKELY(reason == IPC_REASON_NONE) ? collar(plan) : reason;
}

/* --- one follower -------------------------------------------------------------------------------
 */

enum ipc_reason eng_controls_bar(const struct eng_plan *plan, const struct eng_follower *follower)
{
    uint32_t slot = follower->slot == NULL ? (uint32_t)(follower->row - plan->view->followers)
                                           : (uint32_t)(follower->slot - plan->core->slots);
    return eng_breaker_bar(plan->core, slot, follower->row);
}

/* It never was an order at the broker. */
static bool came_to_nothing(uint8_t state)
{
    return state == ENG_STATE_SKIPPED || state == ENG_STATE_REJECTED ||
           state == ENG_STATE_EXCH_REJECTED || state == ENG_STATE_NOT_PLACED ||
           state == ENG_STATE_MISSED;
}

/* What the follower's openings of one master's order come to: its slices are one quantity. */
static int64_t opened_by(const struct eng_core *core, uint32_t child, uint8_t side)
{
    int64_t sum = 0;
    uint32_t order = core->children[child].order;
    for (uint32_t at = eng_child_find(core, order, core->children[child].follower_no);
         at != ENG_NONE; at = core->children[at].older) {
        const struct eng_child *of = &core->children[at];
        if (!(of->flags & ENG_CHILD_EXIT) && of->side == side && !came_to_nothing(of->state) &&
            of->instrument == core->children[child].instrument)
            sum = eng_add_saturated(sum, of->qty_e8);
    }
    return sum;
}

/* Another order of the master's gave this follower the same just now. */
static bool repeats(const struct eng_plan *plan, const struct eng_follower *follower,
    const struct eng_controls_order *order, int64_t window_ns)
{
    const struct eng_core *core = plan->core;
    const struct eng_order *own = &core->orders[plan->order_index];
    uint32_t slot = (uint32_t)(follower->slot - core->slots);
    for (uint32_t p = core->slot_positions[slot]; p != 0; p = core->slot_position_next[p - 1]) {
        const struct eng_position *position = &core->positions[p - 1];
        if (position->instrument != order->instrument ||
            position->follower_no != follower->row->follower_no)
            continue;
        uint32_t at = position->newest_child, before = ENG_NONE;
        for (uint32_t look = 0; at != ENG_NONE && look < CHILDREN_LOOK;
             look++, at = core->children[at].position_older) {
            const struct eng_child *child = &core->children[at];
            const struct eng_order *other = &core->orders[child->order];
            if (other->era != own->era)
                break;
            if (child->order == plan->order_index || child->order == before ||
                (child->flags & ENG_CHILD_EXIT) || child->side != order->side)
                continue;
            before = child->order;
            int64_t apart = eng_abs(own->received_mono_ns - other->received_mono_ns);
            if (apart <= window_ns && opened_by(core, at, order->side) == order->qty_e8)
                return true;
        }
    }
    return false;
}

/* Suspicion of a duplicate: told, or by choice skipped. What is decided anew is exempt. */
static enum ipc_reason duplicate(const struct eng_plan *plan, const struct eng_follower *follower,
    const struct eng_controls_order *order, bool *suspect)
{
    const struct ipc_row_follower *row = follower->row;
    const struct ipc_row_policy *policy =
        row->policy == 0 ? NULL : &plan->view->policies[row->policy - 1];
    if (!plan->suspects || follower->slot == NULL || order->own_e8 != 0)
        return IPC_REASON_NONE;
    uint32_t ms = policy != NULL && policy->duplicate_window_ms != 0
                      ? policy->duplicate_window_ms
                      : plan->core->config.controls.duplicate_window_ms;
    if (ms == 0 || !repeats(plan, follower, order, (int64_t)ms * LS_NS_PER_MS))
        return IPC_REASON_NONE;
    if (policy != NULL && (policy->flags & IPC_POLICY_DUPLICATE_SKIPS))
        return IPC_REASON_DUPLICATE_SUSPECT;
    *suspect = true;
    return IPC_REASON_NONE;
}

enum ipc_reason eng_controls_order(struct eng_plan *plan, const struct eng_follower *follower,
    const struct eng_controls_order *order, bool *suspect)
{
    const struct eng_controls_config *config = &plan->core->config.controls;
    *suspect = false;
    if (config->order_qty_max_e8 != 0 && order->qty_e8 > config->order_qty_max_e8)
        return IPC_REASON_MAX_QTY;
    int64_t more_e8 = order->qty_e8 - order->own_e8;
    bool counts = plan->core->controls->values && more_e8 > 0;
    if (order->price_e8 <= 0 && (counts || config->order_value_max_e8 != 0))
        return IPC_REASON_PRICE_UNKNOWN;
    if (config->order_value_max_e8 != 0 &&
        (__int128)order->qty_e8 * order->price_e8 > (__int128)config->order_value_max_e8 * LS_E8)
        return IPC_REASON_MAX_ORDER_VALUE;
    int64_t value_e8 = counts ? eng_money_value_e8(more_e8, order->price_e8) : 0;
    if (counts && value_e8 > *plan->firm_left_e8)
        return IPC_REASON_FIRM_EXPOSURE;
    enum ipc_reason reason = duplicate(plan, follower, order, suspect);
    if (reason == IPC_REASON_NONE)
        *plan->firm_left_e8 -= value_e8;
    return reason;
}
