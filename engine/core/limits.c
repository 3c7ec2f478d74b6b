#include "engine/core/limits_private.h"

#include "engine/core/flatten_private.h"
#include "engine/core/positions.h"

#define BIT(kind) (1u << (kind))
/* Lift with the next session; the others wait for a person or for figures. */
#define DAY_KINDS                                                                                  \
    (BIT(IPC_LIMIT_DAILY_LOSS) | BIT(IPC_LIMIT_DAILY_LOSS_FRACTION) | BIT(IPC_LIMIT_DRAWDOWN) |    \
        BIT(IPC_LIMIT_DRAWDOWN_FRACTION))
#define FIGURES_BIT BIT(IPC_LIMIT_FIGURES)

/* --- in force -----------------------------------------------------------------------------------
 */

static uint32_t in_force(const struct eng_core *core, uint32_t tripped, uint32_t session)
{
    return session == core->money->fold.session_day ? tripped : tripped & ~DAY_KINDS;
}

enum ipc_reason eng_limits_reason(enum ipc_limit_kind kind)
{
    switch (kind) {
    case IPC_LIMIT_DAILY_LOSS:
    case IPC_LIMIT_DAILY_LOSS_FRACTION:
        return IPC_REASON_DAILY_LOSS;
    case IPC_LIMIT_DRAWDOWN:
    case IPC_LIMIT_DRAWDOWN_FRACTION:
        return IPC_REASON_DRAWDOWN;
    case IPC_LIMIT_TRAILING:
        return IPC_REASON_TRAILING_CAPITAL;
    case IPC_LIMIT_EQUITY_STOP:
        return IPC_REASON_EQUITY_STOP;
    case IPC_LIMIT_FIGURES:
        return IPC_REASON_STALE_ACCOUNT_DATA;
    }
    return IPC_REASON_NONE;
}

/* The first kind of a word gives the reason. */
static enum ipc_reason reason_of(uint32_t word)
{
    for (uint32_t kind = IPC_LIMIT_DAILY_LOSS; kind <= IPC_LIMIT_FIGURES; kind++) {
        if (word & BIT(kind))
            return eng_limits_reason((enum ipc_limit_kind)kind);
    }
    return IPC_REASON_NONE;
}

/* Few accounts are watched as masters. */
static struct eng_group *group_find(const struct eng_core *core, uint32_t account)
{
    struct eng_money *money = core->money;
    for (uint32_t i = 0; i < money->fold.group_count; i++) {
        if (money->groups[i].account == account)
            return &money->groups[i];
    }
    return NULL;
}

/* NULL when as many groups as may be are known; a fact that needs one is refused then. */
static struct eng_group *group_take(struct eng_core *core, uint32_t account)
{
    struct eng_money *money = core->money;
    struct eng_group *group = group_find(core, account);
    if (group == NULL && money->fold.group_count < ENG_GROUPS_MAX) {
        group = &money->groups[money->fold.group_count++];
        *group = (struct eng_group){.account = account};
    }
    return group;
}

enum ipc_reason eng_limits_bar(
    const struct eng_core *core, uint32_t slot, const struct ipc_row_follower *row)
{
    const struct eng_purse *purse = eng_money_of(core, slot, row->follower_no, row->incarnation);
    uint32_t word = purse == NULL ? 0 : in_force(core, purse->tripped, purse->trip_session);
    if (row->account <= core->limits.account_max) {
        const struct eng_owner *owner = &core->money->owners[row->account];
        word |= in_force(core, owner->tripped, owner->trip_session);
    }
    return word == 0 ? IPC_REASON_NONE : reason_of(word);
}

enum ipc_reason eng_limits_batch_bar(const struct eng_core *core, uint32_t master)
{
    const struct eng_money_fold *fold = &core->money->fold;
    uint32_t word = in_force(core, fold->all_tripped, fold->all_session);
    const struct eng_group *group = fold->group_trips == 0 ? NULL : group_find(core, master);
    if (group != NULL)
        word |= in_force(core, group->tripped, group->trip_session);
    return word == 0 ? IPC_REASON_NONE : IPC_REASON_MASTER_BREACH;
}

/* --- apply --------------------------------------------------------------------------------------
 */

static void trip_bits(
    const struct eng_core *core, uint32_t *tripped, uint32_t *session, uint32_t kind)
{
    *tripped = in_force(core, *tripped, *session) | BIT(kind);
    *session = core->money->fold.session_day;
}

/* Day limits that a person resumed are let be until the next session. */
static uint32_t overridden_by(const struct eng_core *core, uint32_t tripped, uint32_t trip_session,
    uint32_t overridden, uint32_t override_session)
{
    uint32_t old = override_session == core->money->fold.session_day ? overridden : 0;
    return old | (in_force(core, tripped, trip_session) & DAY_KINDS);
}

/* The slot's word is what a wave looks at. */
static void tell_slot(struct eng_core *core, uint32_t index, const struct eng_purse *purse)
{
    struct eng_slot *slot = &core->slots[index];
    core->money->fold.link_trips += purse->tripped != 0;
    core->money->fold.link_trips -= slot->tripped != 0;
    slot->tripped = purse->tripped;
}

/* The purse, and the slot's word beside it, of the follower that the fact is about. */
static struct eng_purse *purse_of(struct eng_core *core, const struct ipc_fact_limit *fact)
{
    struct eng_slot *slot = &core->slots[fact->slot];
    if (slot->follower_no != fact->follower_no) {
        *slot =
            (struct eng_slot){.follower_no = fact->follower_no, .incarnation = fact->incarnation};
        ipc_tag_follower_text(fact->follower_no, slot->digits);
    }
    return eng_purse_take(core, fact->slot, fact->follower_no, fact->incarnation);
}

static void base_group(struct eng_core *core, const struct ipc_fact_limit *fact)
{
    struct eng_group *group = group_take(core, fact->account);
    if (group == NULL)
        return;
    if (group->base_day != core->money->fold.day)
        group->base_equity_e8 = group->equity_high_e8 = fact->equity_e8;
    group->base_day = core->money->fold.day;
    if (group->invested_e8 == 0)
        group->invested_e8 = fact->equity_e8;
}

static void apply_base(struct eng_core *core, const struct ipc_fact_limit *fact)
{
    uint32_t day = core->money->fold.day;
    if (fact->follower_no == 0) {
        base_group(core, fact);
        return;
    }
    struct eng_purse *purse = purse_of(core, fact);
    if (purse == NULL)
        return;
    purse->fee_fraction_e8 = (uint32_t)fact->fee_fraction_e8;
    purse->fee_order_e4 = (uint32_t)(fact->fee_order_e8 / (LS_E8 / 10000));
    if (purse->invested_e8 == 0)
        purse->invested_e8 = fact->equity_e8;
    if (purse->base_day != day) {
        purse->base_day = day;
        purse->base_unrealised_e8 = fact->unrealised_e8;
        purse->base_equity_e8 = purse->equity_high_e8 = fact->equity_e8;
    } else if (purse->base_equity_e8 == 0) { /* not known at the day's start */
        purse->base_equity_e8 = purse->equity_high_e8 = fact->equity_e8;
    }
}

static void apply_peak(struct eng_core *core, const struct ipc_fact_limit *fact)
{
    if (fact->follower_no == 0) {
        struct eng_group *group = group_find(core, fact->account);
        if (group != NULL)
            group->equity_high_e8 = ls_max_i64(group->equity_high_e8, fact->equity_e8);
        return;
    }
    struct eng_purse *purse = purse_of(core, fact);
    if (purse != NULL)
        purse->equity_high_e8 = ls_max_i64(purse->equity_high_e8, fact->equity_e8);
}

static void apply_trip(struct eng_core *core, const struct ipc_fact_limit *fact)
{
    struct eng_money *money = core->money;
    switch ((enum ipc_limit_scope)fact->scope) {
    case IPC_LIMIT_SCOPE_LINK:
        break;
    case IPC_LIMIT_SCOPE_FOLLOWER: {
        struct eng_owner *owner = &money->owners[fact->account];
        money->fold.owner_trips += owner->tripped == 0;
        trip_bits(core, &owner->tripped, &owner->trip_session, fact->kind);
        break;
    }
    case IPC_LIMIT_SCOPE_GROUP: {
        struct eng_group *group = group_take(core, fact->account);
        if (group == NULL)
            break;
        money->fold.group_trips += group->tripped == 0;
        trip_bits(core, &group->tripped, &group->trip_session, fact->kind);
        break;
    }
    case IPC_LIMIT_SCOPE_ALL:
        trip_bits(core, &money->fold.all_tripped, &money->fold.all_session, fact->kind);
        break;
    }
    if (fact->follower_no == 0)
        return;
    /* Whatever else it stops, the follower that tripped is stopped by its own word too. */
    struct eng_purse *purse = purse_of(core, fact);
    if (purse == NULL)
        return;
    uint32_t tripped = purse->tripped;
    trip_bits(core, &tripped, &purse->trip_session, fact->kind);
    purse->tripped = (uint16_t)tripped;
    purse->flatten |= fact->flatten;
    tell_slot(core, fact->slot, purse);
}

static void apply_lift(struct eng_core *core, const struct ipc_fact_limit *fact)
{
    struct eng_purse *purse = purse_of(core, fact);
    if (purse == NULL)
        return;
    purse->tripped &= (uint16_t)~BIT(fact->kind);
    tell_slot(core, fact->slot, purse);
}

static void resume_group(struct eng_core *core, uint32_t account)
{
    struct eng_group *group = group_find(core, account);
    if (group == NULL)
        return;
    core->money->fold.group_trips -= group->tripped != 0;
    group->overridden = overridden_by(
        core, group->tripped, group->trip_session, group->overridden, group->override_session);
    group->override_session = core->money->fold.session_day;
    group->tripped = 0;
}

static void apply_resume(struct eng_core *core, const struct ipc_fact_limit *fact)
{
    struct eng_money *money = core->money;
    if (fact->scope == IPC_LIMIT_SCOPE_ALL) {
        money->fold.all_tripped = 0;
        return;
    }
    if (fact->follower_no == 0) {
        resume_group(core, fact->account);
        return;
    }
    struct eng_owner *owner = &money->owners[fact->account];
    money->fold.owner_trips -= owner->tripped != 0;
    *owner = (struct eng_owner){0};
    struct eng_purse *purse = purse_of(core, fact);
    if (purse == NULL)
        return;
    purse->overridden = (uint16_t)overridden_by(
        core, purse->tripped, purse->trip_session, purse->overridden, purse->override_session);
    purse->override_session = money->fold.session_day;
    if (purse->tripped & BIT(IPC_LIMIT_TRAILING))
        purse->realised_high_e8 = ls_max_i64(purse->realised_e8, 0);
    purse->tripped &= FIGURES_BIT; /* no person can know what nobody knows */
    purse->flatten = 0;
    tell_slot(core, fact->slot, purse);
}

static void apply_breaker(struct eng_core *core, const struct ipc_fact_limit *fact)
{
    struct eng_purse *purse = purse_of(core, fact);
    if (purse != NULL)
        purse->failures = purse->failures_acked = 0;
}

static bool fits(const struct eng_core *core, const struct ipc_fact_limit *fact)
{
    bool is_clock = fact->act == IPC_LIMIT_ACT_DAY || fact->act == IPC_LIMIT_ACT_SESSION;
    bool of_kind = fact->act == IPC_LIMIT_ACT_TRIP || fact->act == IPC_LIMIT_ACT_LIFT;
    if (!ipc_limit_act_valid(fact->act) || fact->fee_fraction_e8 < 0 ||
        fact->fee_fraction_e8 > UINT32_MAX || fact->fee_order_e8 < 0 ||
        fact->fee_order_e8 / (LS_E8 / 10000) > UINT32_MAX ||
        fact->account > core->limits.account_max || fact->flatten > 1 ||
        fact->follower_no >= IPC_TAG_FOLLOWERS || fact->slot >= core->limits.follower_slot_max)
        return false;
    if (of_kind && (!ipc_limit_kind_valid(fact->kind) || !ipc_limit_scope_valid(fact->scope)))
        return false;
    if (is_clock)
        return fact->follower_no == 0;
    if (fact->act == IPC_LIMIT_ACT_LIFT || fact->act == IPC_LIMIT_ACT_BREAKER)
        return fact->follower_no != 0;
    return fact->follower_no != 0 || fact->account != 0 ||
           ((fact->act == IPC_LIMIT_ACT_RESUME || fact->act == IPC_LIMIT_ACT_FLATTEN) &&
               fact->scope == IPC_LIMIT_SCOPE_ALL);
}

enum ipc_rc eng_limits_apply(struct eng_core *core, const struct ipc_fact_limit *fact)
{
    struct eng_money_fold *fold = &core->money->fold;
    if (!fits(core, fact))
        return IPC_BAD_INPUT;
    switch ((enum ipc_limit_act)fact->act) {
    case IPC_LIMIT_ACT_DAY:
        fold->day = fact->day;
        return IPC_OK;
    case IPC_LIMIT_ACT_SESSION:
        fold->session_day = fact->day;
        return IPC_OK;
    case IPC_LIMIT_ACT_BASE:
        apply_base(core, fact);
        return IPC_OK;
    case IPC_LIMIT_ACT_PEAK:
        apply_peak(core, fact);
        return IPC_OK;
    case IPC_LIMIT_ACT_TRIP:
        apply_trip(core, fact);
        return IPC_OK;
    case IPC_LIMIT_ACT_LIFT:
        apply_lift(core, fact);
        return IPC_OK;
    case IPC_LIMIT_ACT_RESUME:
        apply_resume(core, fact);
        return IPC_OK;
    case IPC_LIMIT_ACT_BREAKER:
        apply_breaker(core, fact);
        return IPC_OK;
    case IPC_LIMIT_ACT_FLATTEN:
        eng_flatten_mark(core, fact);
        return IPC_OK;
    }
    return IPC_BAD_INPUT;
}

/* --- who has limits -----------------------------------------------------------------------------
 */

static bool needs_equity(const struct ipc_row_policy *policy)
{
    return (policy->daily_loss_fraction_e8 | policy->drawdown_e8 | policy->drawdown_fraction_e8 |
               policy->equity_stop_e8 | policy->equity_stop_fraction_e8) != 0;
}

static bool has_money_limits(const struct ipc_row_policy *policy)
{
    return needs_equity(policy) || policy->daily_loss_e8 != 0 || policy->trailing_protect_e8 != 0;
}

/* Limits per order that count by the market's day: they need its DAY facts. */
static bool has_day_counts(const struct ipc_row_policy *policy)
{
    return policy->trades_day_max != 0 || policy->day_notional_e8 != 0;
}

static const struct ipc_row_policy *policy_of(
    const struct ipc_snapshot_view *view, const struct ipc_row_follower *row)
{
    return row->policy == 0 || row->policy > view->policy_count ? NULL
                                                                : &view->policies[row->policy - 1];
}

void eng_limits_adopt(struct eng_core *core)
{
    const struct ipc_snapshot_view *view = core->view;
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < view->follower_slots; slot++) {
        const struct ipc_row_follower *row = &view->followers[slot];
        if (row->policy == 0 || row->follower_no == 0 || row->shard != core->config.shard)
            continue;
        const struct ipc_row_policy *policy = policy_of(view, row);
        bool is_listed = policy != NULL && (has_money_limits(policy) || has_day_counts(policy));
        if (row->flags & IPC_FOLLOWER_RETIRED) /* only what its end wants is left of it */
            is_listed = policy != NULL && (policy->flags & IPC_POLICY_END_FLATTENS);
        if (is_listed)
            core->money->limited[count++] = slot;
    }
    core->money->limited_count = count;
}

uint32_t eng_limits_count(const struct eng_core *core)
{
    return core->money->limited_count;
}

uint32_t eng_limits_slot(const struct eng_core *core, uint32_t index)
{
    LS_CHECK(index < core->money->limited_count);
    return core->money->limited[index];
}

void eng_limits_wants(const struct eng_core *core, uint32_t slot, struct eng_limits_wants *out)
{
    const struct ipc_row_follower *row = &core->view->followers[slot];
    const struct ipc_row_policy *policy = policy_of(core->view, row);
    *out = (struct eng_limits_wants){.account = row->account,
        .master = row->master,
        .broker = row->broker,
        .equity = policy != NULL && needs_equity(policy),
        .master_equity = policy != NULL && (policy->flags & IPC_POLICY_TRIP_GROUP) != 0};
    if (row->master != 0 && row->master <= core->view->account_count)
        out->master_broker = core->view->accounts[row->master - 1].broker;
}

/* --- the clock ----------------------------------------------------------------------------------
 */

bool eng_limits_clock(
    const struct eng_core *core, const struct eng_market_times *times, struct ipc_fact_limit *out)
{
    const struct eng_money_fold *fold = &core->money->fold;
    *out = (struct ipc_fact_limit){0};
    if (times->day > fold->day) {
        out->act = IPC_LIMIT_ACT_DAY;
        out->day = times->day;
        return true;
    }
    if (times->session_day > fold->session_day) {
        out->act = IPC_LIMIT_ACT_SESSION;
        out->day = times->session_day;
        return true;
    }
    return false;
}

/* --- one follower -------------------------------------------------------------------------------
 */

static void skip_flat(struct eng_limits_walk *walk)
{
    const struct eng_core *core = walk->core;
    while (walk->at != 0 && core->positions[walk->at - 1].held_e8 == 0) {
        uint32_t next = core->money->lots_of[walk->at - 1].next_position;
        walk->at = next == ENG_NONE ? 0 : next;
    }
}

void eng_limits_begin(const struct eng_core *core, uint32_t slot, struct eng_limits_walk *walk)
{
    const struct ipc_row_follower *row = &core->view->followers[slot];
    const struct eng_purse *purse = &core->money->purses[slot];
    *walk = (struct eng_limits_walk){.core = core, .slot = slot};
    if (purse->follower_no == row->follower_no)
        walk->at = purse->positions;
    skip_flat(walk);
}

uint32_t eng_limits_next(const struct eng_limits_walk *walk)
{
    return walk->at == 0 ? 0 : walk->core->positions[walk->at - 1].instrument;
}

void eng_limits_price(struct eng_limits_walk *walk, int64_t price_e8)
{
    const struct eng_position *position = &walk->core->positions[walk->at - 1];
    const struct eng_lots *of = &walk->core->money->lots_of[walk->at - 1];
    if (price_e8 <= 0) {
        walk->is_blind = true;
    } else {
        int64_t value_e8 = eng_money_value_e8(eng_abs(position->held_e8), price_e8);
        int64_t gain_e8 = position->held_e8 > 0 ? value_e8 - of->cost_e8 : of->cost_e8 - value_e8;
        walk->unrealised_e8 = eng_add_saturated(walk->unrealised_e8, gain_e8);
    }
    walk->at = of->next_position == ENG_NONE ? 0 : of->next_position;
    skip_flat(walk);
}

int64_t eng_fraction_money_e8(int64_t base_e8, int64_t fraction_e8)
{
    __int128 wide = (__int128)base_e8 * fraction_e8 / LS_E8;
    return wide > INT64_MAX ? INT64_MAX : (int64_t)wide;
}

/* What is being judged, and the facts so far. */
struct judging {
    const struct eng_core *core;
    const struct ipc_row_follower *row;
    const struct ipc_row_policy *policy;
    const struct eng_limits_sample *sample;
    struct ipc_fact_limit fact; /* what all of them have in common */
    uint32_t in_force, overridden;
    struct ipc_fact_limit *out;
    uint32_t count;
};

static struct ipc_fact_limit *put(struct judging *judging, enum ipc_limit_act act)
{
    LS_CHECK(judging->count < ENG_LIMITS_FACTS_MAX);
    struct ipc_fact_limit *fact = &judging->out[judging->count++];
    *fact = judging->fact;
    fact->act = (uint8_t)act;
    return fact;
}

/* Reached, and not known as such already. */
static void trip(
    struct judging *judging, enum ipc_limit_kind kind, int64_t value_e8, int64_t limit_e8)
{
    if ((judging->in_force | judging->overridden) & BIT(kind))
        return;
    judging->in_force |= BIT(kind);
    struct ipc_fact_limit *fact = put(judging, IPC_LIMIT_ACT_TRIP);
    fact->kind = (uint8_t)kind;
    fact->value_e8 = value_e8;
    fact->limit_e8 = limit_e8;
    if (kind != IPC_LIMIT_FIGURES && fact->follower_no != 0)
        fact->flatten = (judging->policy->flags & IPC_POLICY_TRIP_FLATTENS) != 0;
    if (kind == IPC_LIMIT_FIGURES)
        fact->scope = IPC_LIMIT_SCOPE_LINK;
}

/* Limits on an equity: the follower's account, or a master's. */
static void judge_equity(struct judging *judging, int64_t equity_e8, int64_t base_e8,
    int64_t high_e8, int64_t invested_e8)
{
    const struct ipc_row_policy *policy = judging->policy;
    int64_t fall_e8 = equity_e8 - high_e8;
    if (eng_loss_reached(fall_e8, policy->drawdown_e8))
        trip(judging, IPC_LIMIT_DRAWDOWN, fall_e8, policy->drawdown_e8);
    int64_t most_e8 = eng_fraction_money_e8(high_e8, policy->drawdown_fraction_e8);
    if (eng_loss_reached(fall_e8, most_e8))
        trip(judging, IPC_LIMIT_DRAWDOWN_FRACTION, fall_e8, most_e8);
    int64_t stop_e8 = policy->equity_stop_e8;
    if (stop_e8 != 0 && equity_e8 <= stop_e8)
        trip(judging, IPC_LIMIT_EQUITY_STOP, equity_e8, stop_e8);
    if (policy->equity_stop_fraction_e8 != 0 && invested_e8 > 0) {
        stop_e8 = invested_e8 - eng_fraction_money_e8(invested_e8, policy->equity_stop_fraction_e8);
        if (equity_e8 <= stop_e8)
            trip(judging, IPC_LIMIT_EQUITY_STOP, equity_e8, stop_e8);
    }
    int64_t change_e8 = equity_e8 - base_e8;
    most_e8 = eng_fraction_money_e8(base_e8, policy->daily_loss_fraction_e8);
    if (eng_loss_reached(change_e8, most_e8))
        trip(judging, IPC_LIMIT_DAILY_LOSS_FRACTION, change_e8, most_e8);
}

static bool is_fresh(const struct judging *judging, int64_t mono_ns)
{
    uint32_t ms =
        judging->row->capital_max_age_ms ? judging->row->capital_max_age_ms : ENG_CAPITAL_AGE_MS;
    return mono_ns > 0 && judging->sample->now_mono_ns - mono_ns <= (int64_t)ms * LS_NS_PER_MS;
}

/* The master's own figures against the same limits: its whole group stops. */
static void judge_group(struct judging *judging)
{
    const struct eng_core *core = judging->core;
    const struct eng_limits_sample *sample = judging->sample;
    uint32_t master = judging->row->master;
    if (!(judging->policy->flags & IPC_POLICY_TRIP_GROUP) || master > core->limits.account_max ||
        !is_fresh(judging, sample->master_equity_mono_ns))
        return;
    const struct eng_money_fold *fold = &core->money->fold;
    const struct eng_group *group = group_find(core, master);
    if (group == NULL && fold->group_count >= ENG_GROUPS_MAX)
        return;
    struct judging of = *judging;
    of.fact = (struct ipc_fact_limit){.scope = IPC_LIMIT_SCOPE_GROUP,
        .account = master,
        .day = fold->day,
        .equity_e8 = sample->master_equity_e8};
    if (group == NULL || group->base_day != fold->day) {
        (void)put(&of, IPC_LIMIT_ACT_BASE);
        judging->count = of.count;
        return;
    }
    of.in_force = in_force(core, group->tripped, group->trip_session);
    of.overridden = group->override_session == fold->session_day ? group->overridden : 0;
    int64_t high_e8 = ls_max_i64(
        ls_max_i64(group->equity_high_e8, sample->master_high_e8), sample->master_equity_e8);
    if (high_e8 > group->equity_high_e8 && sample->keep_peak)
        put(&of, IPC_LIMIT_ACT_PEAK)->equity_e8 = high_e8;
    judge_equity(&of, sample->master_equity_e8, group->base_equity_e8, high_e8, group->invested_e8);
    int64_t change_e8 = sample->master_equity_e8 - group->base_equity_e8;
    if (eng_loss_reached(change_e8, judging->policy->daily_loss_e8))
        trip(&of, IPC_LIMIT_DAILY_LOSS, change_e8, judging->policy->daily_loss_e8);
    judging->count = of.count;
}

static void judge_own(
    struct judging *judging, const struct eng_limits_walk *walk, const struct eng_purse *purse)
{
    const struct eng_core *core = judging->core;
    const struct ipc_row_policy *policy = judging->policy;
    const struct eng_limits_sample *sample = judging->sample;
    const struct eng_money_fold *fold = &core->money->fold;
    bool wants_equity = needs_equity(policy);
    bool is_blind = walk->is_blind || (wants_equity && !is_fresh(judging, sample->equity_mono_ns));
    if (is_blind) {
        trip(judging, IPC_LIMIT_FIGURES, 0, 0);
        return;
    }
    if (judging->in_force & FIGURES_BIT) {
        struct ipc_fact_limit *fact = put(judging, IPC_LIMIT_ACT_LIFT);
        fact->kind = IPC_LIMIT_FIGURES;
        fact->scope = IPC_LIMIT_SCOPE_LINK;
    }
    const struct ipc_row_broker *broker = &core->view->brokers[judging->row->broker];
    if (purse == NULL || purse->base_day != fold->day ||
        (wants_equity && purse->base_equity_e8 == 0 && sample->equity_e8 != 0) ||
        purse->fee_fraction_e8 != broker->fee_turnover_e8 ||
        purse->fee_order_e4 != broker->fee_order_e4) {
        struct ipc_fact_limit *fact = put(judging, IPC_LIMIT_ACT_BASE);
        fact->fee_fraction_e8 = broker->fee_turnover_e8;
        fact->fee_order_e8 = (int64_t)broker->fee_order_e4 * (LS_E8 / 10000);
        return; /* judged against it the next time */
    }
    int64_t change_e8 = walk->unrealised_e8 - purse->base_unrealised_e8;
    int64_t day_e8 = eng_add_saturated(judging->fact.realised_e8, change_e8);
    if (eng_loss_reached(day_e8, policy->daily_loss_e8))
        trip(judging, IPC_LIMIT_DAILY_LOSS, day_e8, policy->daily_loss_e8);
    int64_t most_e8 = eng_fraction_money_e8(purse->base_equity_e8, policy->daily_loss_fraction_e8);
    if (eng_loss_reached(day_e8, most_e8))
        trip(judging, IPC_LIMIT_DAILY_LOSS_FRACTION, day_e8, most_e8);
    if (policy->trailing_protect_e8 != 0) {
        int64_t total_e8 = eng_add_saturated(purse->realised_e8, walk->unrealised_e8);
        int64_t level_e8 =
            eng_trailing_level_e8(purse->realised_high_e8, policy->trailing_protect_e8);
        if (total_e8 <= level_e8)
            trip(judging, IPC_LIMIT_TRAILING, total_e8, level_e8);
    }
    if (!wants_equity)
        return;
    int64_t high_e8 =
        ls_max_i64(ls_max_i64(purse->equity_high_e8, sample->equity_high_e8), sample->equity_e8);
    if (high_e8 > purse->equity_high_e8 && sample->keep_peak)
        put(judging, IPC_LIMIT_ACT_PEAK)->equity_e8 = high_e8;
    /* What was put in is what the policy says, else the equity of its first base. */
    int64_t invested_e8 = policy->invest_e8 != 0 ? policy->invest_e8 : purse->invested_e8;
    judge_equity(judging, sample->equity_e8, purse->base_equity_e8, high_e8, invested_e8);
}

uint32_t eng_limits_decide(const struct eng_limits_walk *walk,
    const struct eng_limits_sample *sample, struct ipc_fact_limit *out)
{
    const struct eng_core *core = walk->core;
    const struct eng_money_fold *fold = &core->money->fold;
    const struct ipc_row_follower *row = &core->view->followers[walk->slot];
    const struct ipc_row_policy *policy = policy_of(core->view, row);
    LS_CHECK(walk->at == 0);
    if (policy == NULL || fold->day == 0 || !has_money_limits(policy) ||
        (row->flags & IPC_FOLLOWER_RETIRED))
        return 0;
    const struct eng_purse *purse =
        eng_money_of(core, walk->slot, row->follower_no, row->incarnation);
    struct judging judging = {.core = core,
        .row = row,
        .policy = policy,
        .sample = sample,
        .out = out,
        .fact = {.scope = policy->trip_scope != 0 ? policy->trip_scope : IPC_LIMIT_SCOPE_LINK,
            .incarnation = row->incarnation,
            .follower_no = row->follower_no,
            .slot = walk->slot,
            .account = row->account,
            .day = fold->day,
            .equity_e8 = sample->equity_e8,
            .unrealised_e8 = walk->unrealised_e8}};
    if (judging.fact.scope == IPC_LIMIT_SCOPE_GROUP)
        judging.fact.account = row->master;
    if (purse != NULL) {
        judging.in_force = in_force(core, purse->tripped, purse->trip_session);
        if (purse->override_session == fold->session_day)
            judging.overridden = purse->overridden;
        if (purse->day == fold->day)
            judging.fact.realised_e8 = purse->day_realised_e8;
    }
    judge_own(&judging, walk, purse);
    judge_group(&judging);
    return judging.count;
}

/* --- flattening ---------------------------------------------------------------------------------
 */

/* The words of its account, its group and the shard. */
static uint32_t others_in_force(const struct eng_core *core, const struct ipc_row_follower *row)
{
    const struct eng_money_fold *fold = &core->money->fold;
    uint32_t word = in_force(core, fold->all_tripped, fold->all_session);
    const struct eng_group *group = fold->group_trips == 0 ? NULL : group_find(core, row->master);
    if (group != NULL)
        word |= in_force(core, group->tripped, group->trip_session);
    if (fold->owner_trips != 0 && row->account <= core->limits.account_max) {
        const struct eng_owner *owner = &core->money->owners[row->account];
        word |= in_force(core, owner->tripped, owner->trip_session);
    }
    return word;
}

const char *eng_limits_flatten(
    const struct eng_core *core, uint32_t slot, const struct ipc_row_follower *row)
{
    const struct ipc_row_policy *policy = policy_of(core->view, row);
    if (policy == NULL)
        return NULL;
    if ((row->flags & IPC_FOLLOWER_RETIRED) && (policy->flags & IPC_POLICY_END_FLATTENS))
        return "subscription-ended";
    const struct eng_purse *purse = eng_money_of(core, slot, row->follower_no, row->incarnation);
    uint32_t word = 0;
    if (purse != NULL && purse->flatten)
        word = in_force(core, purse->tripped, purse->trip_session);
    if (policy->flags & IPC_POLICY_TRIP_FLATTENS)
        word |= others_in_force(core, row);
    return (word & ~FIGURES_BIT) != 0 ? "limit-reached" : NULL;
}

/* --- a person's act -----------------------------------------------------------------------------
 */

/* The slot of a follower number, ENG_NONE when the view has none. Acts of people are rare. */
static uint32_t slot_of(const struct eng_core *core, uint32_t follower_no)
{
    for (uint32_t slot = 0; slot < core->view->follower_slots; slot++) {
        if (core->view->followers[slot].follower_no == follower_no)
            return slot;
    }
    return ENG_NONE;
}

static uint8_t act_of(enum ipc_operator_act act)
{
    switch (act) {
    case IPC_OPERATOR_RESUME:
    case IPC_OPERATOR_RESUME_ALL:
        return IPC_LIMIT_ACT_RESUME;
    case IPC_OPERATOR_BREAKER_RESET:
        return IPC_LIMIT_ACT_BREAKER;
    case IPC_OPERATOR_FLATTEN:
    case IPC_OPERATOR_FLATTEN_ALL:
        return IPC_LIMIT_ACT_FLATTEN;
    case IPC_OPERATOR_CATCH_UP:
    case IPC_OPERATOR_RESOLVE:
    case IPC_OPERATOR_RECONCILE:
    case IPC_OPERATOR_GUARD_RESET:
    case IPC_OPERATOR_POSITIONS:
    case IPC_OPERATOR_POSITIONS_ALL:
        return 0; /* reconcile.h */
    }
    return 0;
}

void eng_limits_step(
    const struct eng_core *core, const struct ipc_event *event, struct eng_event_facts *out)
{
    uint32_t follower_no = event->book_order_count;
    struct ipc_fact_limit fact = {.account = event->account, .day = core->money->fold.day};
    bool is_all = event->reserved == IPC_OPERATOR_RESUME_ALL ||
                  event->reserved == IPC_OPERATOR_FLATTEN_ALL;
    fact.scope = is_all             ? IPC_LIMIT_SCOPE_ALL
                 : follower_no != 0 ? IPC_LIMIT_SCOPE_LINK
                                    : IPC_LIMIT_SCOPE_GROUP;
    fact.act = act_of((enum ipc_operator_act)event->reserved);
    if (fact.act == IPC_LIMIT_ACT_FLATTEN) {
        fact.flatten = 1;
        fact.value_e8 = event->instrument;
    }
    if (fact.scope == IPC_LIMIT_SCOPE_LINK) {
        uint32_t slot = slot_of(core, follower_no);
        if (slot == ENG_NONE) {
            out->why = IPC_REASON_FOLLOWER_DISABLED;
            return;
        }
        fact.slot = slot;
        fact.follower_no = follower_no;
        fact.incarnation = core->view->followers[slot].incarnation;
        fact.account = core->view->followers[slot].account;
    } else if (fact.act == IPC_LIMIT_ACT_BREAKER) {
        out->why = IPC_REASON_MODE_UNSUPPORTED; /* a circuit is a follower's */
        return;
    }
    _Static_assert(sizeof fact.by >= sizeof event->broker_order_id, "who it was fits");
    memcpy(fact.by, event->broker_order_id, sizeof event->broker_order_id);
    fact.by[sizeof fact.by - 1] = '\0';
    out->fact[0].type = IPC_FACT_LIMIT;
    out->fact[0].bytes = sizeof fact;
    out->fact[0].limit = fact;
    out->count = 1;
}
