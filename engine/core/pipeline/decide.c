/* One batch of one wave, or children of one order to settle: what becomes of each follower. */
#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/fanout.h"
#include "engine/core/pace.h"
#include "engine/core/pipeline/risk.h"

/* What is decided so far in this batch, beside the facts. */
struct batch_work {
    struct eng_plan plan;
    const struct eng_batch *batch;
    enum ipc_transition transition;
    bool may_have_copies; /* the wave that makes an order's copies reaches each follower once */
    uint32_t place_count;
    uint32_t immediate_count;
    uint32_t accounts[IPC_BATCH_CHILDREN_MAX]; /* of children whose bytes leave now */
};

static void set_skip(struct ipc_fact_child *fact, enum ipc_reason reason, int64_t qty_e8)
{
    fact->kind = IPC_CHILD_SKIP;
    fact->reason = (uint8_t)reason;
    fact->qty_e8 = qty_e8;
}

/* Calls of this batch that count against the same log: of the same account, or where a shared
 * address is limited, of the same address. */
static uint32_t planned_calls(const struct batch_work *work, const struct eng_follower *follower)
{
    if (LS_LIKELY(!(follower->account->flags & ENG_ACCOUNT_SHARED)))
        return 0;
    const struct eng_core *core = work->plan.core;
    bool by_address = core->policies[follower->account->broker].address_orders_per_second != 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < work->immediate_count; i++) {
        uint32_t number = work->accounts[i];
        count += number == follower->row->account ||
                 (by_address && core->accounts[number].address == follower->account->address);
    }
    return count;
}

/* Step 18: may its bytes leave now, or does it wait in its account's queue? */
static bool may_leave(struct batch_work *work, const struct eng_follower *follower, bool as_exit)
{
    const struct eng_account *account = follower->account;
    const struct eng_batch_sample *sample = work->plan.sample;
    if (!follower->sample->can_send || !eng_account_session_valid(account))
        return false;
    if (account->head[as_exit ? 0 : 1] != ENG_NONE)
        return false; /* others of its class wait already */
    uint8_t exchange = work->plan.instrument == NULL ? 0 : work->plan.instrument->exchange;
    if (!eng_pace_allows(work->plan.core, account, follower->row->account, exchange, as_exit,
            planned_calls(work, follower), sample->now_mono_ns, sample->now_wall_ns))
        return false;
    work->accounts[work->immediate_count++] = follower->row->account;
    return true;
}

/* --- a follower that has no copy of the order yet -----------------------------------------------
 */

static void decide_place(
    struct batch_work *work, const struct eng_follower *follower, struct ipc_fact_child *fact)
{
    struct eng_plan *plan = &work->plan;
    enum eng_plan_verdict verdict = plan->is_exit ? eng_plan_exit(plan, follower, NULL, fact)
                                             : eng_plan_entry(plan, follower, NULL, fact);
    if (verdict == ENG_VERDICT_SKIP) {
        fact->kind = IPC_CHILD_SKIP;
        return;
    }
    if (LS_UNLIKELY(work->place_count >= (plan->is_exit ? plan->exits_left : plan->entries_left))) {
        set_skip(fact, IPC_REASON_CAPACITY, fact->qty_e8);
        return;
    }
    if (LS_UNLIKELY(plan->order->flags & ENG_ORDER_COLLIDES)) {
        uint32_t action =
            eng_child_next_action(plan->core, work->batch->order, follower->row->follower_no);
        if (!plan->is_exit || action == ENG_NONE) {
            set_skip(fact, IPC_REASON_TAG_COLLISION, fact->qty_e8);
            return;
        }
        fact->action = action;
    }
    work->place_count++;
    bool now = verdict != ENG_VERDICT_BLOCKED && may_leave(work, follower, plan->is_exit);
    fact->kind = now ? IPC_CHILD_PLACE : IPC_CHILD_PLACE_QUEUED;
}

/* --- a follower that has a copy ------------------------------------------------------------------
 */

static bool has_terms(
    const struct eng_plan *plan, const struct eng_child *child, int64_t qty_e8, bool acknowledged)
{
    int64_t have = acknowledged ? child->known_qty_e8 : child->qty_e8;
    if (have != qty_e8)
        return false;
    /* A market order's protected price moves with the market; it is not the master's term. */
    if (plan->order->type == IPC_TYPE_MARKET)
        return true;
    return child->type == plan->shape.type &&
           (acknowledged ? child->known_price_e8 : child->price_e8) == plan->shape.price_e8 &&
           (acknowledged ? child->known_trigger_e8 : child->trigger_e8) == plan->shape.trigger_e8;
}

static void decide_cancel(struct batch_work *work, const struct eng_follower *follower,
    const struct eng_child *child, struct ipc_fact_child *fact)
{
    const struct eng_order *order = work->plan.order;
    fact->qty_e8 = child->qty_e8;
    if (eng_state_unsent(child->state)) {
        /* It never left: nothing to cancel, the intent ends here. */
        set_skip(fact,
            order->status == IPC_STATUS_REJECTED ? IPC_REASON_MASTER_REJECTED
                                                 : IPC_REASON_SUPERSEDED,
            child->qty_e8);
        return;
    }
    if (child->flight == IPC_ACTION_CANCEL || child->queued == IPC_ACTION_CANCEL) {
        set_skip(fact, IPC_REASON_AT_TARGET, child->qty_e8);
        return;
    }
    if (child->flight != 0 || child->broker_order_id[0] == '\0') {
        fact->kind = IPC_CHILD_WAIT; /* its id or its answer comes first */
        return;
    }
    fact->kind = may_leave(work, follower, true) ? IPC_CHILD_CANCEL : IPC_CHILD_CANCEL_QUEUED;
}

static bool modifications_used_up(
    const struct eng_core *core, const struct eng_follower *follower, const struct eng_child *child)
{
    uint32_t most = core->policies[follower->row->broker].modifications_max;
    return most != 0 && child->modifications >= most;
}

static void decide_amend(struct batch_work *work, const struct eng_follower *follower,
    const struct eng_child *child, struct ipc_fact_child *fact)
{
    struct eng_plan *plan = &work->plan;
    if (child->flight == IPC_ACTION_CANCEL || child->queued == IPC_ACTION_CANCEL) {
        set_skip(fact, IPC_REASON_SUPERSEDED, child->qty_e8);
        return;
    }
    bool unsent = eng_state_unsent(child->state);
    if (!unsent && (child->flight != 0 || (child->flags & ENG_CHILD_DOUBT) ||
                       eng_state_in_doubt(child->state) || child->broker_order_id[0] == '\0')) {
        fact->kind = IPC_CHILD_WAIT; /* coalesced: what is newest then counts */
        fact->qty_e8 = child->qty_e8;
        return;
    }
    enum eng_plan_verdict verdict = (child->flags & ENG_CHILD_EXIT)
                                   ? eng_plan_exit(plan, follower, child, fact)
                                   : eng_plan_entry(plan, follower, child, fact);
    if (verdict == ENG_VERDICT_SKIP) {
        fact->kind = IPC_CHILD_SKIP;
        return;
    }
    if (unsent) {
        fact->kind = IPC_CHILD_PLACE_QUEUED; /* new terms, same place in the queue */
        return;
    }
    if (has_terms(plan, child, fact->qty_e8, true)) {
        set_skip(fact, IPC_REASON_AT_TARGET, fact->qty_e8); /* drops a queued change */
        return;
    }
    if (child->queued != 0 && has_terms(plan, child, fact->qty_e8, false)) {
        fact->kind = IPC_CHILD_MODIFY_QUEUED; /* as it waits already */
        return;
    }
    if (fact->qty_e8 <= child->filled_qty_e8) {
        /* What is filled is enough: the rest is cancelled and the difference is drift. */
        fact->kind = may_leave(work, follower, true) ? IPC_CHILD_CANCEL : IPC_CHILD_CANCEL_QUEUED;
        return;
    }
    if (modifications_used_up(plan->core, follower, child)) {
        set_skip(fact, IPC_REASON_RATE_BUDGET, fact->qty_e8);
        return;
    }
    bool as_exit = (child->flags & ENG_CHILD_EXIT) != 0;
    fact->kind = child->queued == 0 && may_leave(work, follower, as_exit) ? IPC_CHILD_MODIFY
                                                                          : IPC_CHILD_MODIFY_QUEUED;
}

static void decide_existing(struct batch_work *work, const struct eng_follower *follower,
    uint32_t index, struct ipc_fact_child *fact)
{
    const struct eng_child *child = &work->plan.core->children[index];
    fact->action = child->action;
    fact->incarnation = child->incarnation;
    if (work->transition == IPC_TRANSITION_NEW) {
        set_skip(fact, IPC_REASON_DUPLICATE_EVENT, child->qty_e8);
        return;
    }
    if (eng_state_ended(child->state) || child->state == ENG_STATE_NOT_PLACED) {
        set_skip(fact, IPC_REASON_CHILD_FILLED, child->qty_e8);
        return;
    }
    /* The newest joined state counts, not the event that started the wave. */
    if (work->plan.ended)
        decide_cancel(work, follower, child, fact);
    else
        decide_amend(work, follower, child, fact);
}

/* --- the batch
 * ------------------------------------------------------------------------------------ */

static struct eng_follower follower_of(const struct eng_core *core,
    const struct ipc_row_follower *row, uint32_t slot, const struct eng_batch_sample *batch_sample,
    const struct eng_follower_sample *sample)
{
    uint8_t word = batch_sample->switch_word > sample->switch_word ? batch_sample->switch_word
                                                                   : sample->switch_word;
    return (struct eng_follower){.row = row,
        .slot = eng_slot_of(core, slot, row->follower_no),
        /* Account 0 is nobody's and has no session; the view was checked against the limits. */
        .account = &core->accounts[row->account <= core->limits.account_max ? row->account : 0],
        .sample = sample,
        .word = (enum ipc_switch)word};
}

/* Settling names the child: its slot may have got another owner since, or none. */
static void decide_settled(struct batch_work *work, uint32_t at,
    const struct eng_follower_sample *sample, struct ipc_fact_child *fact)
{
    const struct eng_core *core = work->plan.core;
    uint32_t index = work->batch->children[at];
    const struct eng_child *child = &core->children[index];
    *fact = (struct ipc_fact_child){.follower_no = child->follower_no,
        .slot = child->slot,
        .incarnation = child->incarnation,
        .action = child->action};
    const struct ipc_row_follower *row = eng_follower_row(core->view, child->slot);
    if (row == NULL || row->follower_no != child->follower_no) {
        /* There is no route to its account any more. */
        set_skip(fact, IPC_REASON_FOLLOWER_DISABLED, child->qty_e8);
        return;
    }
    struct eng_follower follower = follower_of(core, row, child->slot, work->plan.sample, sample);
    decide_existing(work, &follower, index, fact);
}

static void decide_follower(struct batch_work *work, uint32_t at,
    const struct eng_follower_sample *sample, struct ipc_fact_child *fact)
{
    const struct eng_core *core = work->plan.core;
    uint32_t slot = work->batch->slots[at];
    const struct ipc_row_follower *row = &core->view->followers[slot];
    struct eng_follower follower = follower_of(core, row, slot, work->plan.sample, sample);
    *fact = (struct ipc_fact_child){
        .follower_no = row->follower_no, .slot = slot, .incarnation = row->incarnation};

    uint32_t child = ENG_NONE;
    if (LS_UNLIKELY(work->may_have_copies))
        child = eng_child_find(core, work->batch->order, row->follower_no);
    if (child != ENG_NONE)
        decide_existing(work, &follower, child, fact);
    else if (work->transition == IPC_TRANSITION_NEW)
        decide_place(work, &follower, fact);
    else
        set_skip(fact, IPC_REASON_NO_COPY, work->plan.order->qty_e8);
}

/* Rows lie in slot order, which is not the order of a wave: the lines of those that come next are
 * fetched while this one is decided. A batch's slots are in the adopted view. */
static inline void fetch_ahead(
    const struct eng_core *core, const struct eng_batch *batch, uint32_t at)
{
    const struct ipc_row_follower *rows = core->view->followers;
    if (at + 6 < batch->slot_count && batch->slots[at + 6] < core->view->follower_slots) {
        __builtin_prefetch(&rows[batch->slots[at + 6]]);
        __builtin_prefetch((const char *)&rows[batch->slots[at + 6]] + 64);
        __builtin_prefetch(&core->slots[batch->slots[at + 6]]);
    }
    if (at + 3 < batch->slot_count && batch->slots[at + 3] < core->view->follower_slots) {
        uint32_t number = rows[batch->slots[at + 3]].account;
        if (number <= core->limits.account_max) {
            __builtin_prefetch(&core->accounts[number]);
            const char *log =
                (const char *)&core->pace_logs[(size_t)number * core->limits.pace_logs];
            __builtin_prefetch(log);
            __builtin_prefetch(log + 128);
        }
    }
}

uint32_t eng_decide_batch(const struct eng_core *core, const struct eng_batch *batch,
    const struct eng_batch_sample *sample, const struct eng_follower_sample *samples,
    struct ipc_fact_batch *out, struct ipc_fact_child *children)
{
    LS_CHECK(core->view != NULL && batch->slot_count <= IPC_BATCH_CHILDREN_MAX);
    struct batch_work work;
    work.batch = batch;
    work.transition = (enum ipc_transition)batch->transition;
    const struct eng_wave *wave = eng_wave_by_number(core, batch->wave);
    work.may_have_copies =
        batch->transition != IPC_TRANSITION_NEW || wave == NULL || wave->open_ended;
    work.place_count = 0;
    work.immediate_count = 0;
    eng_plan_make(&work.plan, core, batch->order, batch->refuses_market, sample);
    const struct eng_order *order = work.plan.order;
    const struct eng_shape *shape = &work.plan.shape;

    *out = (struct ipc_fact_batch){.wave = batch->wave,
        .event_lsn = order->event_lsn,
        .order_key = order->key,
        .generation = sample->generation,
        .switch_sequence = sample->switch_sequence,
        .price_sample_e8 = sample->price_e8,
        .price_mono_ns = sample->price_mono_ns,
        .price_e8 = shape->price_e8,
        .trigger_e8 = shape->trigger_e8,
        .side = shape->side,
        .type = shape->type,
        .product = shape->product,
        .validity = shape->validity,
        .transition = batch->transition,
        .is_exit = work.plan.is_exit,
        .switch_word = sample->switch_word,
        .first_place = batch->first_place};

    if (batch->ends_wave) {
        LS_CHECK(wave != NULL);
        children[0] = (struct ipc_fact_child){.kind = IPC_CHILD_SKIP,
            .reason = IPC_REASON_FOLLOWER_DISABLED,
            .slot = UINT32_MAX,
            .qty_e8 = eng_wave_remaining(wave) * LS_E8};
        out->child_count = 1;
        return 1;
    }
    for (uint32_t i = 0; i < batch->slot_count; i++) {
        fetch_ahead(core, batch, i);
        if (LS_LIKELY(batch->wave != 0))
            decide_follower(&work, i, &samples[i], &children[i]);
        else
            decide_settled(&work, i, &samples[i], &children[i]);
    }
    out->child_count = batch->slot_count;
    return batch->slot_count;
}
