#include "engine/core/breaker.h"

#include "engine/core/children.h"
#include "engine/core/controls.h"
#include "engine/core/dedupe.h"

#define BIT(kind) (1u << (kind))
#define TELL_NS   LS_NS_PER_S

/* --- counting -----------------------------------------------------------------------------------
 */

static uint32_t word_of(const struct eng_core *core, const struct eng_due_trip *trip)
{
    switch ((enum ipc_guard_scope)trip->scope) {
    case IPC_GUARD_SCOPE_FOLLOWER:
        return core->slots[trip->slot].guarded;
    case IPC_GUARD_SCOPE_ACCOUNT:
        return core->controls->accounts[trip->account];
    case IPC_GUARD_SCOPE_BROKER:
        return core->controls->brokers[trip->broker];
    case IPC_GUARD_SCOPE_ENGINE:
        return core->controls->fold.engine_tripped;
    }
    return 0;
}

static bool same_place(const struct eng_due_trip *a, const struct eng_due_trip *b)
{
    return a->kind == b->kind && a->scope == b->scope && a->broker == b->broker &&
           a->account == b->account && a->slot == b->slot;
}

/* A threshold is reached. With a full list the next outcome of the same place comes here again. */
static void put_due(struct eng_core *core, const struct eng_due_trip *trip)
{
    struct eng_controls *controls = core->controls;
    if (word_of(core, trip) & BIT(trip->kind))
        return;
    for (uint32_t i = 0; i < controls->due_count; i++) {
        if (same_place(&controls->due[i], trip))
            return;
    }
    if (controls->due_count < ENG_CONTROLS_DUE)
        controls->due[controls->due_count++] = *trip;
}

/* Counts one more. Returns what there is of it. */
static uint32_t minutes_add(struct eng_minutes *minutes, int64_t mono_ns)
{
    uint32_t minute = (uint32_t)(mono_ns / ENG_MINUTE_NS);
    if (minute != minutes->minute) {
        minutes->before = minute == minutes->minute + 1 ? minutes->running : 0;
        minutes->running = 0;
        minutes->minute = minute;
    }
    if (minutes->running < UINT16_MAX)
        minutes->running++;
    return (uint32_t)minutes->running + minutes->before;
}

enum seen {
    SEEN_ACKED,    /* it may yet be refused behind the broker's door; then the row goes on */
    SEEN_ACCEPTED, /* its feed shows it alive or filled */
    SEEN_REFUSED,
    SEEN_REFUSED_LATER,
    SEEN_UNKNOWN,
};

/* One outcome of an account, or of its broker. */
static void count_outcome(struct eng_core *core, struct eng_outcomes *outcomes,
    struct eng_due_trip *trip, enum seen seen, uint32_t streak_max, uint32_t unknown_max,
    int64_t mono_ns)
{
    switch (seen) {
    case SEEN_ACKED:
        if (outcomes->streak != 0)
            outcomes->streak_acked = outcomes->streak;
        outcomes->streak = 0;
        return;
    case SEEN_ACCEPTED:
        outcomes->streak = outcomes->streak_acked = 0;
        return;
    case SEEN_REFUSED_LATER:
        if (outcomes->streak < outcomes->streak_acked)
            outcomes->streak = outcomes->streak_acked;
        if (outcomes->streak < UINT16_MAX)
            outcomes->streak++;
        outcomes->streak_acked = outcomes->streak;
        break;
    case SEEN_REFUSED:
        if (outcomes->streak < UINT16_MAX)
            outcomes->streak++;
        break;
    case SEEN_UNKNOWN:
        trip->kind = IPC_GUARD_UNKNOWN_RATE;
        trip->count = minutes_add(&outcomes->unknown, mono_ns);
        trip->limit = unknown_max;
        break;
    }
    if (seen != SEEN_UNKNOWN) {
        trip->kind = IPC_GUARD_REJECT_STREAK;
        trip->count = outcomes->streak;
        trip->limit = streak_max;
    }
    if (trip->limit != 0 && trip->count >= trip->limit)
        put_due(core, trip);
}

static void count(struct eng_core *core, uint32_t child, enum seen seen, int64_t mono_ns)
{
    const struct eng_controls_config *config = &core->config.controls;
    uint32_t account = eng_child_account(core, child);
    if (account == 0 || account > core->limits.account_max)
        return; /* while the journal is folded nobody's outcomes are counted */
    struct eng_due_trip trip = {.scope = IPC_GUARD_SCOPE_ACCOUNT, .account = account};
    count_outcome(core, &core->controls->outcomes[account], &trip, seen, config->reject_streak,
        config->unknown_per_minute, mono_ns);
    uint16_t broker = core->accounts[account].broker;
    if (broker >= ENG_CONTROLS_BROKERS)
        return;
    trip = (struct eng_due_trip){.scope = IPC_GUARD_SCOPE_BROKER, .broker = broker};
    count_outcome(core, &core->controls->broker_outcomes[broker], &trip, seen,
        config->broker_reject_streak, config->broker_unknown_per_minute, mono_ns);
}

/* An opening was accepted: how often in this minute, of this follower in this instrument? */
static void count_execution(struct eng_core *core, uint32_t index, int64_t mono_ns)
{
    const struct eng_child *child = &core->children[index];
    uint32_t most = core->config.controls.repeats_per_minute;
    if (most == 0 || (child->flags & ENG_CHILD_EXIT) ||
        core->slots[child->slot].follower_no != child->follower_no)
        return;
    struct eng_due_trip trip = {.kind = IPC_GUARD_REPEATED,
        .scope = IPC_GUARD_SCOPE_FOLLOWER,
        .slot = child->slot,
        .instrument = child->instrument,
        .count = minutes_add(&core->controls->accepted[child->position], mono_ns),
        .limit = most};
    if (trip.count >= most)
        put_due(core, &trip);
}

void eng_breaker_reply(struct eng_core *core, uint32_t index, enum ipc_action action,
    enum ipc_outcome_class outcome, int64_t mono_ns)
{
    switch (outcome) {
    case IPC_OUTCOME_ACKED:
        if (action != IPC_ACTION_PLACE)
            return;
        count(core, index, SEEN_ACKED, mono_ns);
        count_execution(core, index, mono_ns);
        return;
    case IPC_OUTCOME_REJECTED:
        if (action == IPC_ACTION_PLACE) /* a change that is refused lost to a fill most often */
            count(core, index, SEEN_REFUSED, mono_ns);
        return;
    case IPC_OUTCOME_UNKNOWN:
        count(core, index, SEEN_UNKNOWN, mono_ns);
        return;
    case IPC_OUTCOME_AUTH:    /* pauses the account by itself */
    case IPC_OUTCOME_LIMITED: /* our own pace */
    case IPC_OUTCOME_NOT_SENT:
        return;
    }
}

void eng_breaker_status(struct eng_core *core, uint32_t index, enum eng_state state)
{
    if (state == ENG_STATE_EXCH_REJECTED)
        count(core, index, SEEN_REFUSED_LATER, 0);
    else if (state == ENG_STATE_OPEN || state == ENG_STATE_PARTIAL || state == ENG_STATE_FILLED)
        count(core, index, SEEN_ACCEPTED, 0);
}

/* --- what is due --------------------------------------------------------------------------------
 */

static uint64_t capped(const struct eng_core *core)
{
    const uint64_t *skips = core->fold.counters.skips_by_reason;
    return skips[IPC_REASON_CHILDREN_CAP] + skips[IPC_REASON_INSTRUMENT_RATE] +
           skips[IPC_REASON_OPEN_ORDERS] + skips[IPC_REASON_FIRM_EXPOSURE] +
           skips[IPC_REASON_PRICE_COLLAR];
}

bool eng_breaker_pending(const struct eng_core *core)
{
    const struct eng_controls *controls = core->controls;
    return controls->due_count != 0 || controls->fold.suspects != controls->fold.suspects_told ||
           capped(core) != controls->fold.capped_told;
}

static bool may_tell(const struct eng_core *core, int which, int64_t now_mono_ns)
{
    const struct eng_controls_fold *fold = &core->controls->fold;
    return fold->told_mono_ns[which] == 0 || fold->told_era != core->fold.era ||
           now_mono_ns - fold->told_mono_ns[which] >= TELL_NS;
}

static bool alarm(const struct eng_core *core, enum ipc_guard_kind kind, uint64_t since,
    struct ipc_fact_guard *out)
{
    *out = (struct ipc_fact_guard){.act = IPC_GUARD_ACT_ALARM,
        .kind = (uint8_t)kind,
        .scope = IPC_GUARD_SCOPE_ENGINE,
        .generation = core->fold.generation,
        .value = (int64_t)since};
    return true;
}

bool eng_breaker_next(const struct eng_core *core, int64_t now_mono_ns, struct ipc_fact_guard *out)
{
    const struct eng_controls *controls = core->controls;
    const struct eng_controls_fold *fold = &controls->fold;
    if (controls->due_count != 0) {
        const struct eng_due_trip *trip = &controls->due[0];
        *out = (struct ipc_fact_guard){.act = IPC_GUARD_ACT_TRIP,
            .kind = trip->kind,
            .scope = trip->scope,
            .broker = trip->broker,
            .account = trip->account,
            .instrument = trip->instrument,
            .generation = core->fold.generation,
            .value = trip->count,
            .limit = trip->limit};
        if (trip->scope == IPC_GUARD_SCOPE_FOLLOWER) {
            out->slot = trip->slot;
            out->follower_no = core->slots[trip->slot].follower_no;
            out->incarnation = core->slots[trip->slot].incarnation;
        }
        return true;
    }
    if (fold->suspects != fold->suspects_told && may_tell(core, 0, now_mono_ns))
        return alarm(core, IPC_GUARD_DUPLICATE, fold->suspects - fold->suspects_told, out);
    if (capped(core) != fold->capped_told && may_tell(core, 1, now_mono_ns))
        return alarm(core, IPC_GUARD_CAPPED, capped(core) - fold->capped_told, out);
    return false;
}

void eng_breaker_clock(const struct eng_core *core, int64_t step_ns, struct ipc_fact_guard *out)
{
    *out = (struct ipc_fact_guard){.act = IPC_GUARD_ACT_TRIP,
        .kind = IPC_GUARD_CLOCK,
        .scope = IPC_GUARD_SCOPE_ENGINE,
        .generation = core->fold.generation,
        .value = step_ns};
}

/* --- what is barred -----------------------------------------------------------------------------
 */

enum ipc_reason eng_breaker_engine(const struct eng_core *core)
{
    return core->controls->fold.engine_tripped == 0 ? IPC_REASON_NONE : IPC_REASON_CLOCK_STEP;
}

static bool is_due(const struct eng_core *core, uint32_t slot, const struct ipc_row_follower *row)
{
    for (uint32_t i = 0; i < core->controls->due_count; i++) {
        const struct eng_due_trip *trip = &core->controls->due[i];
        bool hit = trip->scope == IPC_GUARD_SCOPE_FOLLOWER  ? trip->slot == slot
                   : trip->scope == IPC_GUARD_SCOPE_ACCOUNT ? trip->account == row->account
                                                            : trip->broker == row->broker;
        if (hit)
            return true;
    }
    return false;
}

enum ipc_reason eng_breaker_bar(
    const struct eng_core *core, uint32_t slot, const struct ipc_row_follower *row)
{
    const struct eng_controls *controls = core->controls;
    if (LS_LIKELY((controls->fold.tripped | controls->due_count) == 0))
        return IPC_REASON_NONE;
    uint32_t word = controls->due_count != 0 && is_due(core, slot, row);
    if (core->slots[slot].follower_no == row->follower_no)
        word |= core->slots[slot].guarded;
    /* What cannot be looked up is barred. */
    word |= row->account <= core->limits.account_max ? controls->accounts[row->account] : 1;
    word |= row->broker < ENG_CONTROLS_BROKERS ? controls->brokers[row->broker] : 1;
    return word == 0 ? IPC_REASON_NONE : IPC_REASON_BREAKER;
}

/* --- apply --------------------------------------------------------------------------------------
 */

static bool fits(const struct eng_core *core, const struct ipc_fact_guard *fact)
{
    if (!ipc_guard_act_valid(fact->act) || !ipc_guard_scope_valid(fact->scope) ||
        (!ipc_guard_kind_valid(fact->kind) &&
            !(fact->kind == 0 && fact->act == IPC_GUARD_ACT_RESET)))
        return false;
    switch ((enum ipc_guard_scope)fact->scope) {
    case IPC_GUARD_SCOPE_FOLLOWER:
        return fact->slot < core->limits.follower_slot_max && fact->follower_no != 0 &&
               fact->follower_no < IPC_TAG_FOLLOWERS;
    case IPC_GUARD_SCOPE_ACCOUNT:
        return fact->account != 0 && fact->account <= core->limits.account_max;
    case IPC_GUARD_SCOPE_BROKER:
        return fact->broker < ENG_CONTROLS_BROKERS;
    case IPC_GUARD_SCOPE_ENGINE:
        return true;
    }
    return false;
}

static void drop_due(struct eng_controls *controls, const struct ipc_fact_guard *fact)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < controls->due_count; i++) {
        const struct eng_due_trip *trip = &controls->due[i];
        bool same = trip->scope == fact->scope && (fact->kind == 0 || trip->kind == fact->kind) &&
                    trip->broker == fact->broker &&
                    (trip->scope == IPC_GUARD_SCOPE_FOLLOWER ? trip->slot == fact->slot
                                                             : trip->account == fact->account);
        if (!same)
            controls->due[kept++] = *trip;
    }
    controls->due_count = kept;
}

/* Sets or clears bits of a scope's word, and keeps count of the words that are not zero. */
static uint32_t change(struct eng_controls_fold *fold, uint32_t word, uint32_t set, uint32_t clear)
{
    uint32_t after = (word | set) & ~clear;
    if (word == 0 && after != 0)
        fold->tripped++;
    if (word != 0 && after == 0 && fold->tripped != 0)
        fold->tripped--;
    return after;
}

static void apply_word(
    struct eng_core *core, const struct ipc_fact_guard *fact, uint32_t set, uint32_t clear)
{
    struct eng_controls *controls = core->controls;
    struct eng_controls_fold *fold = &controls->fold;
    switch ((enum ipc_guard_scope)fact->scope) {
    case IPC_GUARD_SCOPE_FOLLOWER: {
        struct eng_slot *slot = &core->slots[fact->slot];
        if (slot->follower_no == fact->follower_no)
            slot->guarded = (uint16_t)change(fold, slot->guarded, set, clear);
        return;
    }
    case IPC_GUARD_SCOPE_ACCOUNT:
        controls->accounts[fact->account] =
            (uint16_t)change(fold, controls->accounts[fact->account], set, clear);
        return;
    case IPC_GUARD_SCOPE_BROKER:
        controls->brokers[fact->broker] =
            (uint16_t)change(fold, controls->brokers[fact->broker], set, clear);
        return;
    case IPC_GUARD_SCOPE_ENGINE:
        fold->engine_tripped = (fold->engine_tripped | set) & ~clear;
        return;
    }
}

/* What was counted towards it starts at nothing. */
static void forget(struct eng_core *core, const struct ipc_fact_guard *fact)
{
    struct eng_controls *controls = core->controls;
    struct eng_outcomes none = {0};
    if (fact->scope == IPC_GUARD_SCOPE_ACCOUNT)
        controls->outcomes[fact->account] = none;
    if (fact->scope == IPC_GUARD_SCOPE_BROKER)
        controls->broker_outcomes[fact->broker] = none;
    if (fact->scope != IPC_GUARD_SCOPE_FOLLOWER)
        return;
    for (uint32_t at = core->slot_positions[fact->slot]; at != 0;
         at = core->slot_position_next[at - 1])
        controls->accepted[at - 1] = (struct eng_minutes){0};
}

static void told(struct eng_core *core, const struct ipc_fact_guard *fact, int64_t mono_ns)
{
    struct eng_controls_fold *fold = &core->controls->fold;
    if (fold->told_era != core->fold.era)
        fold->told_mono_ns[0] = fold->told_mono_ns[1] = 0;
    fold->told_era = core->fold.era;
    bool is_cap = fact->kind == IPC_GUARD_CAPPED;
    fold->told_mono_ns[is_cap] = mono_ns;
    if (is_cap)
        fold->capped_told = capped(core);
    else
        fold->suspects_told = fold->suspects;
}

enum ipc_rc eng_breaker_apply(
    struct eng_core *core, const struct ipc_fact_guard *fact, int64_t mono_ns)
{
    if (!fits(core, fact))
        return IPC_BAD_INPUT;
    switch ((enum ipc_guard_act)fact->act) {
    case IPC_GUARD_ACT_TRIP:
        drop_due(core->controls, fact);
        apply_word(core, fact, BIT(fact->kind), 0);
        return IPC_OK;
    case IPC_GUARD_ACT_RESET:
        drop_due(core->controls, fact);
        apply_word(core, fact, 0, fact->kind == 0 ? UINT32_MAX : BIT(fact->kind));
        forget(core, fact);
        return IPC_OK;
    case IPC_GUARD_ACT_ALARM:
        told(core, fact, mono_ns);
        return IPC_OK;
    }
    return IPC_BAD_INPUT;
}

/* --- a person's act -----------------------------------------------------------------------------
 */

/* The slot of a follower number, ENG_NONE when the view has none. */
static uint32_t slot_of(const struct eng_core *core, uint32_t follower_no)
{
    for (uint32_t slot = 0; slot < core->view->follower_slots; slot++) {
        if (core->view->followers[slot].follower_no == follower_no)
            return slot;
    }
    return ENG_NONE;
}

void eng_breaker_step(
    const struct eng_core *core, const struct ipc_event *event, struct eng_event_facts *out)
{
    bool is_circuit = event->reserved == IPC_OPERATOR_BREAKER_RESET;
    struct ipc_fact_guard fact = {.act = IPC_GUARD_ACT_RESET,
        .kind = is_circuit ? 0 : event->type,
        .scope = is_circuit ? (uint8_t)IPC_GUARD_SCOPE_FOLLOWER : event->side,
        .generation = core->fold.generation};
    if (fact.scope == IPC_GUARD_SCOPE_FOLLOWER) {
        uint32_t slot = slot_of(core, event->book_order_count);
        if (slot == ENG_NONE || event->book_order_count == 0) {
            out->why = IPC_REASON_FOLLOWER_DISABLED;
            return;
        }
        fact.slot = slot;
        fact.follower_no = event->book_order_count;
        fact.incarnation = core->view->followers[slot].incarnation;
    }
    if (fact.scope == IPC_GUARD_SCOPE_ACCOUNT)
        fact.account = event->account;
    if (fact.scope == IPC_GUARD_SCOPE_BROKER)
        fact.broker = event->instrument < ENG_CONTROLS_BROKERS ? (uint16_t)event->instrument
                                                               : (uint16_t)ENG_CONTROLS_BROKERS;
    _Static_assert(sizeof fact.by >= sizeof event->broker_order_id, "who it was fits");
    memcpy(fact.by, event->broker_order_id, sizeof event->broker_order_id);
    fact.by[sizeof fact.by - 1] = '\0';
    if (!fits(core, &fact) || out->count == ENG_EVENT_FACTS_MAX) {
        out->why = IPC_REASON_MODE_UNSUPPORTED;
        return;
    }
    out->fact[out->count].type = IPC_FACT_GUARD;
    out->fact[out->count].bytes = sizeof fact;
    out->fact[out->count++].guard = fact;
}
