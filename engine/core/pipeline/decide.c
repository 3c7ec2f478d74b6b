/* One batch of one wave, or children of one order to settle, or positions to follow up: what
 * becomes of each follower. */
#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/fanout.h"
#include "engine/core/pace.h"
#include "engine/core/pipeline/full.h"
#include "engine/core/pipeline/work.h"
#include "engine/core/positions.h"

/* --- one follower -------------------------------------------------------------------------------
 */

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

/* The terms of a copy that is like the batch. */
static struct eng_terms terms_of(const struct eng_plan *plan)
{
    return (struct eng_terms){.shape = &plan->shape,
        .instrument = plan->order->instrument,
        .product = plan->shape.product,
        .leg = ENG_LEG_MAIN,
        .slice_e8 = plan->freeze_qty_e8};
}

/* A follower that sets more than its row says. */
static bool decide_full(
    struct eng_work *work, const struct eng_follower *follower, struct ipc_fact_child *fact)
{
    struct eng_shape shape;
    struct eng_terms terms = terms_of(&work->plan);
    if (eng_plan_opening(work, &work->plan, follower, 0, fact, &shape, &terms))
        return eng_work_place(work, follower, &terms, false);
    fact->kind = IPC_CHILD_SKIP;
    return true;
}

static bool decide_entry(
    struct eng_work *work, const struct eng_follower *follower, struct ipc_fact_child *fact)
{
    if (!eng_row_is_plain(follower->row))
        return decide_full(work, follower, fact);
    if (!eng_plan_entry(&work->plan, follower, 0, fact)) {
        fact->kind = IPC_CHILD_SKIP;
        return true;
    }
    const struct eng_terms terms = terms_of(&work->plan);
    return eng_work_place(work, follower, &terms, false);
}

/* The hot path: a follower without further settings that has no copy of a new opening, in one
 * order. Calls of its account are few in a batch: only the last is looked at here. */
static bool decide_plain(
    struct eng_work *work, const struct eng_follower *follower, struct ipc_fact_child *fact)
{
    struct eng_plan *plan = &work->plan;
    const struct eng_account *account = follower->account;
    uint32_t number = follower->row->account;
    if (!eng_plan_entry(plan, follower, 0, fact)) {
        fact->kind = IPC_CHILD_SKIP;
        return true;
    }
    if (LS_UNLIKELY(fact->qty_e8 > work->one_order_e8 || work->place_count >= plan->plain_left)) {
        const struct eng_terms terms = terms_of(plan);
        return eng_work_place(work, follower, &terms, false);
    }
    work->place_count++;
    fact->kind = IPC_CHILD_PLACE_QUEUED;
    if (LS_UNLIKELY(
            (account->flags & ENG_ACCOUNT_SHARED) ||
            (work->immediate_count != 0 && work->accounts[work->immediate_count - 1] == number))) {
        if (eng_work_may_leave(work, follower, false, plan->order->instrument))
            fact->kind = IPC_CHILD_PLACE;
        return true;
    }
    if (follower->sample->can_send && eng_account_may_place(account) &&
        account->head[1] == ENG_NONE &&
        eng_pace_allows(work->core, account, number, plan->instrument->exchange, false, 0,
            work->sample->now_mono_ns, work->sample->now_wall_ns)) {
        work->accounts[work->immediate_count++] = number;
        fact->kind = IPC_CHILD_PLACE;
    }
    return true;
}

/* An order is copied to its end as it began, whatever the setting is now. */
static bool began_by_fill(
    const struct eng_work *work, const struct ipc_row_follower *row, bool by_setting)
{
    if (LS_LIKELY(!work->may_have_copies))
        return by_setting;
    const struct eng_core *core = work->core;
    uint32_t at = eng_child_find(core, work->batch->order, row->follower_no);
    while (at != ENG_NONE && (core->children[at].flags & ENG_CHILD_PROTECTS))
        at = core->children[at].older;
    return at == ENG_NONE ? by_setting : (core->children[at].flags & ENG_CHILD_ON_FILL) != 0;
}

/* It follows what fills: by its setting, or because the pending order would be another thing in its
 * hands. A stop of the master is a target of who copies him reversed, and the other way round. */
static bool follows_fills(const struct eng_work *work, const struct ipc_row_follower *row)
{
    if (row->copy == IPC_COPY_ON_FILL)
        return true;
    if (LS_LIKELY((row->policy | (row->ratio_e8 < 0)) == 0) ||
        work->plan.order->type == IPC_TYPE_MARKET)
        return false;
    const struct ipc_snapshot_view *view = work->core->view;
    return (row->policy != 0 && (view->policies[row->policy - 1].flags & IPC_POLICY_NO_PENDING)) ||
           (work->plan.is_exit && eng_row_reverses(view, row));
}

static bool skip(struct eng_work *work, const struct eng_follower *follower, uint32_t slot,
    enum ipc_reason reason)
{
    eng_fact_skip(eng_work_add(work, follower, slot), reason, work->plan.order->qty_e8);
    return true;
}

/* The rest of one decision does not fit: the follower begins the next frame. */
static bool begin_next(struct eng_work *work, uint32_t count, uint32_t wides)
{
    work->count = count;
    work->wide_count = wides;
    work->is_full = true;
    return false;
}

static bool decide_by_fill(
    struct eng_work *work, const struct eng_follower *follower, uint32_t slot)
{
    if (work->transition == IPC_TRANSITION_AMENDED)
        return skip(work, follower, slot, IPC_REASON_AT_TARGET); /* nothing of it is pending */
    if (work->plan.is_exit)
        return eng_decide_exit(work, follower, slot, true);
    uint32_t count = work->count, wides = work->wide_count;
    if (!eng_decide_fill(work, follower, slot))
        return false;
    /* An opening that it may not copy has closed all that the master held. */
    if (work->children[work->count - 1].kind == IPC_CHILD_SKIP &&
        !eng_decide_gone(work, follower, slot))
        return begin_next(work, count, wides);
    return true;
}

/* An order that is known filled more, was amended, or ended. */
static bool decide_known(struct eng_work *work, const struct eng_follower *follower, uint32_t slot)
{
    uint32_t count = work->count, wides = work->wide_count;
    if (!eng_decide_gone(work, follower, slot))
        return false;
    bool any = work->count > count;
    if (work->transition == IPC_TRANSITION_FILLED_MORE)
        return any || skip(work, follower, slot, IPC_REASON_AT_TARGET);
    uint32_t child = eng_child_find(work->core, work->batch->order, follower->row->follower_no);
    if (child == ENG_NONE)
        return any || skip(work, follower, slot, IPC_REASON_NO_COPY);
    if (LS_UNLIKELY(eng_work_room(work) == 0) || !eng_decide_copies(work, follower, slot, child))
        return begin_next(work, count, wides);
    return true;
}

static bool decide_by_order(
    struct eng_work *work, const struct eng_follower *follower, uint32_t slot)
{
    if (work->transition != IPC_TRANSITION_NEW)
        return decide_known(work, follower, slot);
    uint32_t child = ENG_NONE;
    if (LS_UNLIKELY(work->may_have_copies))
        child = eng_child_find(work->core, work->batch->order, follower->row->follower_no);
    if (child != ENG_NONE)
        return eng_decide_copies(work, follower, slot, child);
    if (work->plan.is_exit)
        return eng_decide_exit(work, follower, slot, false);
    return decide_entry(work, follower, eng_work_add(work, follower, slot));
}

static bool decide_follower(
    struct eng_work *work, uint32_t at, const struct eng_follower_sample *sample)
{
    const struct eng_core *core = work->core;
    uint32_t slot = work->batch->slots[at];
    const struct ipc_row_follower *row = &core->view->followers[slot];
    struct eng_follower follower = follower_of(core, row, slot, work->sample, sample);
    if (LS_UNLIKELY(eng_work_room(work) == 0))
        return false;
    if (LS_LIKELY(work->is_plain && row->copy == IPC_COPY_ON_ORDER && eng_row_is_plain(row)))
        return decide_plain(work, &follower, eng_work_add(work, &follower, slot));
    bool by_fill = began_by_fill(work, row, follows_fills(work, row));
    return LS_UNLIKELY(by_fill) ? decide_by_fill(work, &follower, slot)
                                : decide_by_order(work, &follower, slot);
}

/* --- outside a wave -----------------------------------------------------------------------------
 */

static void skip_gone(struct eng_work *work, uint32_t slot, uint32_t follower_no,
    uint16_t incarnation, uint32_t action, int64_t qty_e8)
{
    struct ipc_fact_child *fact = &work->children[work->count++];
    *fact = (struct ipc_fact_child){
        .follower_no = follower_no, .slot = slot, .incarnation = incarnation, .action = action};
    eng_fact_skip(fact, IPC_REASON_FOLLOWER_DISABLED, qty_e8);
}

/* A follower's copies are settled together: was it done for an earlier one of the list? */
static bool is_settled(const struct eng_work *work, uint32_t at)
{
    const struct eng_core *core = work->core;
    for (uint32_t i = 0; i < at; i++) {
        if (core->children[work->batch->children[i]].follower_no ==
            core->children[work->batch->children[at]].follower_no)
            return true;
    }
    return false;
}

/* Settling names the child: its slot may have got another owner since, or none. */
static bool decide_settled(
    struct eng_work *work, uint32_t at, const struct eng_follower_sample *sample)
{
    const struct eng_core *core = work->core;
    const struct eng_child *child = &core->children[work->batch->children[at]];
    if (eng_work_room(work) == 0)
        return false;
    const struct ipc_row_follower *row = eng_follower_row(core->view, child->slot);
    if (row == NULL || row->follower_no != child->follower_no) {
        /* There is no route to its account any more. */
        skip_gone(work, child->slot, child->follower_no, child->incarnation, child->action,
            child->qty_e8);
        return true;
    }
    if (!eng_child_settles_alone(child) && is_settled(work, at))
        return true;
    struct eng_follower follower = follower_of(core, row, child->slot, work->sample, sample);
    if (LS_UNLIKELY(child->flags & (ENG_CHILD_LEGS | ENG_CHILD_PROTECTS)))
        return eng_decide_bracket(work, &follower, work->batch->children[at]);
    if (LS_UNLIKELY(child->flags & ENG_CHILD_CATCH))
        return eng_decide_catch_up(work, &follower, work->batch->children[at]);
    if (LS_UNLIKELY(child->flags & ENG_CHILD_STEP))
        return eng_decide_step_down(work, &follower, work->batch->children[at]);
    uint32_t newest = eng_child_find(core, work->batch->order, child->follower_no);
    return eng_decide_copies(work, &follower, child->slot, newest);
}

static bool decide_follow_up(
    struct eng_work *work, uint32_t at, const struct eng_follower_sample *sample)
{
    const struct eng_core *core = work->core;
    const struct eng_position *position = &core->positions[work->batch->children[at]];
    if (eng_work_room(work) < 2)
        return false;
    const struct ipc_row_follower *row = eng_follower_row(core->view, position->slot);
    if (row == NULL || row->follower_no != position->follower_no) {
        skip_gone(work, position->slot, position->follower_no, position->incarnation, 0,
            eng_abs(position->held_e8));
        const struct eng_terms terms = {.shape = &work->plan.shape,
            .instrument = position->instrument,
            .product = position->product,
            .flags = IPC_WIDE_EXIT};
        eng_work_terms(work, &terms, 0);
        return true;
    }
    struct eng_follower follower = follower_of(core, row, position->slot, work->sample, sample);
    eng_decide_follow_up(work, &follower, position->slot, work->batch->children[at]);
    return !work->is_full;
}

/* --- the batch ----------------------------------------------------------------------------------
 */

uint32_t eng_batch_instrument(
    const struct eng_core *core, const struct eng_batch *batch, uint32_t at)
{
    if (batch->wave == 0)
        return batch->transition == IPC_TRANSITION_FOLLOW_UP
                   ? core->positions[batch->children[at]].instrument
                   : core->children[batch->children[at]].instrument;
    const struct ipc_row_follower *row = eng_follower_row(core->view, batch->slots[at]);
    if (row == NULL)
        return batch->instrument;
    /* A position of an earlier map is closed in the instrument that it is in. */
    if (batch->is_exit) {
        uint32_t index = eng_position_find(core, row->follower_no, batch->instrument,
            core->master_positions[core->orders[batch->order].master_position].product);
        if (index != ENG_NONE && core->positions[index].held_e8 != 0)
            return core->positions[index].instrument;
    }
    const struct ipc_row_map_item *item = eng_map_item(core->view, row, batch->instrument);
    return item == NULL ? batch->instrument : item->to;
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

/* What the batch's own terms are: a wave of fills has the shape of what follows a fill. */
static void set_terms(struct eng_work *work, struct ipc_fact_batch *out)
{
    const struct eng_order *order = work->plan.order;
    const struct eng_shape *shape = work->transition == IPC_TRANSITION_FILLED_MORE
                                        ? &eng_work_fill_plan(work)->shape
                                        : &work->plan.shape;
    *out = (struct ipc_fact_batch){.wave = work->batch->wave,
        .event_lsn = order->event_lsn,
        .order_key = order->key,
        .generation = work->sample->generation,
        .switch_sequence = work->sample->switch_sequence,
        .price_sample_e8 = work->sample->price_e8,
        .price_mono_ns = work->sample->price_mono_ns,
        .price_e8 = shape->price_e8,
        .trigger_e8 = shape->trigger_e8,
        .side = shape->side,
        .type = shape->type,
        .product = shape->product,
        .validity = shape->validity,
        .transition = work->batch->transition,
        .is_exit = work->plan.is_exit,
        .switch_word = work->sample->switch_word,
        .first_place = work->batch->first_place};
}

uint32_t eng_decide_batch(const struct eng_core *core, const struct eng_batch *batch,
    const struct eng_batch_sample *sample, const struct eng_follower_sample *samples,
    struct ipc_fact_batch *out, struct ipc_fact_child *children)
{
    LS_CHECK(core->view != NULL && batch->slot_count <= IPC_BATCH_CHILDREN_MAX);
    struct eng_work work;
    work.core = core;
    work.batch = batch;
    work.sample = sample;
    work.transition = (enum ipc_transition)batch->transition;
    const struct eng_wave *wave = eng_wave_by_number(core, batch->wave);
    work.may_have_copies = batch->transition != IPC_TRANSITION_NEW || wave == NULL ||
                           wave->open_ended || wave->has_adopted ||
                           (core->orders[batch->order].flags & ENG_ORDER_ORPHAN);
    work.is_full = work.has_fill = work.has_open[0] = work.has_open[1] = false;
    work.has_flipped[0] = work.has_flipped[1] = false;
    work.mapped.of = NULL;
    work.place_count = work.immediate_count = work.count = work.wide_count = 0;
    work.out = out;
    work.children = children;
    const struct eng_order *order = &core->orders[batch->order];
    eng_plan_make(&work.plan, core, batch->order, order, batch->refuses_market, sample);
    if (LS_UNLIKELY(work.plan.is_exit)) {
        work.run[0] = eng_run_sum(core, order, false);
        work.run[1] = eng_run_sum(core, order, true);
    }
    work.is_plain = !work.may_have_copies && !work.plan.is_exit && batch->wave != 0 &&
                    !(order->flags & ENG_ORDER_COLLIDES);
    work.one_order_e8 = work.plan.freeze_qty_e8 != 0 ? work.plan.freeze_qty_e8 : INT64_MAX;
    set_terms(&work, out);

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
        bool fits;
        if (LS_LIKELY(batch->wave != 0))
            fits = decide_follower(&work, i, &samples[i]);
        else if (work.transition == IPC_TRANSITION_FOLLOW_UP)
            fits = decide_follow_up(&work, i, &samples[i]);
        else
            fits = decide_settled(&work, i, &samples[i]);
        if (LS_UNLIKELY(!fits))
            break; /* it begins the next frame */
    }
    if (LS_UNLIKELY(work.wide_count != 0)) {
        memcpy(children + work.count, work.wides, work.wide_count * sizeof work.wides[0]);
        out->wide_count = (uint8_t)work.wide_count;
    }
    out->child_count = work.count;
    return work.count;
}
