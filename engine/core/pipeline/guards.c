/* Steps 15 and 16 of SEMANTICS 2, and section 3: shorts, the price guard, and the terms in which
 * an order leaves. Rounding never widens a guard; a stop never moves away from what it protects. */
#include "engine/core/pipeline/controls.h"
#include "engine/core/pipeline/judging.h"

#define PRICE_AGE_MS 5000

int64_t eng_tick_floor(int64_t price_e8, int64_t tick_e8)
{
    return price_e8 > 0 ? eng_unit_floor(price_e8, tick_e8) : price_e8;
}

int64_t eng_tick_ceil(int64_t price_e8, int64_t tick_e8)
{
    return price_e8 > 0 ? eng_unit_ceil(price_e8, tick_e8) : price_e8;
}

int64_t eng_tick_nearest(int64_t price_e8, int64_t tick_e8)
{
    return price_e8 > 0 ? eng_unit_nearest(price_e8, tick_e8) : price_e8;
}

static bool leaves_as_market(const struct eng_judging *judging)
{
    return judging->shared->type == IPC_TYPE_MARKET || judging->shared->type == 0 ||
           judging->shared->occasion == ENG_ON_FILL || judging->shared->occasion == ENG_ON_TARGET ||
           judging->shared->occasion == ENG_ON_EXIT;
}

/* The price that the guard of an opening is around; 0 = unknown. */
static int64_t reference_e8(const struct eng_judging *judging)
{
    const struct eng_case_shared *shared = judging->shared;
    /* Another instrument's fill says nothing about this one's price. */
    bool mapped = judging->follower->mapped;
    if (shared->occasion == ENG_ON_FILL && shared->price_e8 > 0 && !mapped)
        return shared->price_e8;
    if (judging->last_e8 > 0)
        return judging->last_e8;
    return mapped ? 0 : shared->price_e8;
}

static int64_t guard_limit_e8(const struct eng_judging *judging, int64_t base_e8, int64_t cap_e8)
{
    if (judging->side == IPC_SIDE_BUY)
        return eng_tick_floor(eng_muldiv(base_e8, LS_E8 + cap_e8, LS_E8), judging->tick_e8);
    if (cap_e8 >= LS_E8)
        return judging->tick_e8 > 0 ? judging->tick_e8 : 1;
    int64_t least = eng_muldiv(base_e8, LS_E8 - cap_e8, LS_E8);
    least += (__int128)least * LS_E8 != (__int128)base_e8 * (LS_E8 - cap_e8);
    return eng_tick_ceil(least, judging->tick_e8);
}

static bool price_fresh(const struct eng_judging *judging)
{
    uint32_t ms = judging->row->price_max_age_ms ? judging->row->price_max_age_ms : PRICE_AGE_MS;
    return judging->shared->price_age_ns <= (int64_t)ms * LS_NS_PER_MS;
}

/* The opening leaves as a limit at the guard, for as long as an instant. */
static enum ipc_reason guard_slippage(struct eng_judging *judging, struct eng_leg *leg)
{
    int64_t cap = judging->policy->slippage_cap_e8;
    int64_t base = reference_e8(judging);
    if (base <= 0)
        return IPC_REASON_PRICE_UNKNOWN;
    bool buys = judging->side == IPC_SIDE_BUY;
    int64_t limit = guard_limit_e8(judging, base, cap);
    eng_note(judging, IPC_STEP_REFERENCE, base, 0);
    eng_note(judging, IPC_STEP_SLIPPAGE_CAP, cap, 0);
    eng_note(judging, IPC_STEP_PRICE_LIMIT, limit, 0);
    if (limit <= 0)
        return IPC_REASON_PRICE_UNKNOWN;
    judging->out->limit_e8 = limit;
    int64_t market = buys ? judging->ask_e8 : judging->bid_e8;
    if (market <= 0)
        market = judging->last_e8;
    if (market > 0 && price_fresh(judging) && (buys ? market > limit : market < limit)) {
        eng_note(judging, IPC_STEP_MARKET_AT, market, IPC_REASON_SLIPPAGE);
        return IPC_REASON_SLIPPAGE;
    }
    leg->type = IPC_TYPE_LIMIT;
    leg->price_e8 = limit;
    leg->validity = judging->shared->no_ioc ? IPC_VALIDITY_DAY : IPC_VALIDITY_IOC;
    if (judging->shared->no_ioc)
        leg->flags |= ENG_LEG_CANCEL_AFTER;
    return IPC_REASON_NONE;
}

static int64_t protected_e8(const struct eng_judging *judging)
{
    int at = judging->side == IPC_SIDE_BUY ? 0 : 1;
    return judging->follower->mapped ? judging->follower->own.protected_e8[at]
                                     : judging->shared->protected_e8[at];
}

static void protect_by_field(struct eng_judging *judging, struct eng_leg *leg)
{
    if (judging->shared->market_orders != ENG_MARKET_PROTECTED ||
        judging->policy->market_protection_e8 == 0)
        return;
    leg->market_protection_e8 = judging->policy->market_protection_e8;
    eng_note(judging, IPC_STEP_MARKET_PROTECTION, leg->market_protection_e8, 0);
}

/* A market order in the form that the broker takes.
 *   returns  false when it cannot be made because no price is known */
static bool shape_market(struct eng_judging *judging, struct eng_leg *leg)
{
    leg->type = IPC_TYPE_MARKET;
    if (judging->shared->market_orders == ENG_MARKET_AS_LIMIT) {
        int64_t price = protected_e8(judging);
        if (price <= 0)
            return false;
        leg->type = IPC_TYPE_LIMIT;
        leg->price_e8 = price;
        return true;
    }
    protect_by_field(judging, leg);
    return true;
}

static void shape_stop_at_market(struct eng_judging *judging, struct eng_leg *leg)
{
    if (leg->type != IPC_TYPE_SLM)
        return;
    if (judging->shared->market_orders == ENG_MARKET_AS_LIMIT && protected_e8(judging) > 0) {
        leg->type = IPC_TYPE_SL;
        leg->price_e8 = protected_e8(judging);
        return;
    }
    protect_by_field(judging, leg);
}

static void set_common(const struct eng_judging *judging, struct eng_leg *leg, uint8_t product)
{
    leg->side = judging->side;
    leg->instrument = judging->instrument;
    leg->product = product;
    leg->type = judging->shared->type;
    /* The validity of the master's order is a term of the order, not of what follows a fill. */
    bool of_order =
        judging->shared->occasion == ENG_ON_ORDER || judging->shared->occasion == ENG_ON_AMEND;
    leg->validity =
        of_order && judging->shared->validity != 0 ? judging->shared->validity : IPC_VALIDITY_DAY;
}

/* A price that the order names is held against the last one (ORDER-SAFETY 3.9). */
static enum ipc_reason guard_collar(struct eng_judging *judging, const struct eng_leg *leg)
{
    int64_t collar_e8 = judging->policy->price_collar_e8;
    if (collar_e8 == 0 || leg->price_e8 <= 0)
        return IPC_REASON_NONE;
    if (judging->last_e8 <= 0 || !price_fresh(judging))
        return IPC_REASON_PRICE_UNKNOWN;
    if (!eng_collar_bars(leg->side, leg->price_e8, judging->last_e8, collar_e8))
        return IPC_REASON_NONE;
    eng_note(judging, IPC_STEP_PRICE_LIMIT, leg->price_e8, 0);
    eng_note(judging, IPC_STEP_MARKET_AT, judging->last_e8, 0);
    eng_note(judging, IPC_STEP_COLLAR, collar_e8, IPC_REASON_PRICE_COLLAR);
    return IPC_REASON_PRICE_COLLAR;
}

enum ipc_reason eng_guard_opening(struct eng_judging *judging, struct eng_leg *leg)
{
    const struct eng_case_shared *shared = judging->shared;
    set_common(judging, leg, shared->product);
    if (judging->follower->mapped)
        eng_note(judging, IPC_STEP_MAPPED, judging->instrument * LS_E8, 0);
    if (judging->reversed)
        eng_note(judging, IPC_STEP_REVERSE, 0, 0);
    if (judging->side == IPC_SIDE_SELL && !(judging->row->flags & IPC_FOLLOWER_ALLOW_SHORT))
        return IPC_REASON_SHORT_NOT_ALLOWED;
    if (leaves_as_market(judging)) {
        if (judging->policy->slippage_cap_e8 != 0)
            return guard_slippage(judging, leg);
        if (!shape_market(judging, leg))
            return IPC_REASON_PRICE_UNKNOWN;
        if (leg->type == IPC_TYPE_LIMIT && !price_fresh(judging))
            return IPC_REASON_PRICE_UNKNOWN;
        return IPC_REASON_NONE;
    }
    bool buys = judging->side == IPC_SIDE_BUY;
    leg->price_e8 = buys ? eng_tick_floor(shared->price_e8, judging->tick_e8)
                         : eng_tick_ceil(shared->price_e8, judging->tick_e8);
    leg->trigger_e8 = buys ? eng_tick_floor(shared->trigger_e8, judging->tick_e8)
                           : eng_tick_ceil(shared->trigger_e8, judging->tick_e8);
    shape_stop_at_market(judging, leg);
    return guard_collar(judging, leg);
}

void eng_terms_close(struct eng_judging *judging, struct eng_leg *leg)
{
    const struct eng_case_shared *shared = judging->shared;
    uint8_t entry = judging->follower->entry_product;
    set_common(judging, leg, entry != 0 ? entry : shared->product);
    if (leaves_as_market(judging)) {
        /* Without a price the broker's own protection is what is left: an exit always goes. */
        (void)shape_market(judging, leg);
        return;
    }
    int64_t tick = judging->tick_e8;
    if (shared->type == IPC_TYPE_LIMIT) {
        leg->price_e8 = eng_tick_nearest(shared->price_e8, tick);
        return;
    }
    bool buys = judging->side == IPC_SIDE_BUY;
    leg->trigger_e8 =
        buys ? eng_tick_ceil(shared->trigger_e8, tick) : eng_tick_floor(shared->trigger_e8, tick);
    leg->price_e8 =
        buys ? eng_tick_ceil(shared->price_e8, tick) : eng_tick_floor(shared->price_e8, tick);
    shape_stop_at_market(judging, leg);
}
