#include "engine/core/recover.h"

#include "engine/core/children.h"
#include "engine/core/controls.h"
#include "engine/core/dedupe.h"
#include "engine/core/fanout.h"
#include "engine/core/pace.h"
#include "engine/core/pipeline/work.h"
#include "engine/core/reconcile_private.h"
#include "engine/core/sighting.h"

static void mark_in_flight(struct eng_core *core, uint32_t index, int64_t mono_ns)
{
    struct eng_child_touch touch = eng_child_begin(core, index);
    struct eng_child *child = touch.child;
    uint8_t action = child->flight;
    child->flight = 0;
    child->evidence = IPC_EVIDENCE_RECOVERY;
    if (action == IPC_ACTION_PLACE)
        (void)eng_child_live(core, child, ENG_LIFE_RECOVERED);
    if (action == IPC_ACTION_MODIFY) {
        /* What was read before may still lie in a ring; only a later reading tells. */
        child->asked_qty_e8 = ls_max_i64(child->asked_qty_e8, child->qty_e8);
        eng_doubt_start(child, mono_ns);
    }
    if (action == IPC_ACTION_CANCEL && !eng_state_ended(child->state))
        eng_child_queue(core, index, IPC_ACTION_CANCEL, 0); /* idempotent: again */
    eng_child_end(core, &touch);
}

enum ipc_rc eng_recover_open(
    struct eng_core *core, const struct ipc_fact_open *fact, int64_t mono_ns)
{
    if (fact->same_boot > 1 || fact->reconcile_all > 1)
        return IPC_BAD_INPUT;
    if (!fact->same_boot) {
        core->fold.era++;
        eng_controls_boot(core);
        /* Back-offs and doubts were counted on a clock that is gone. */
        for (uint32_t i = 0; i < core->fold.child_count; i++) {
            core->children[i].not_before_mono_ns = 0;
            if (core->children[i].flags & ENG_CHILD_DOUBT)
                eng_doubt_start(&core->children[i], mono_ns);
        }
    }
    eng_recon_open(core, fact, mono_ns);
    for (uint32_t i = 0; i < core->fold.child_count; i++) {
        if (core->children[i].flight != 0)
            mark_in_flight(core, i, mono_ns);
    }
    return IPC_OK;
}

void eng_core_recovered(const struct eng_core *core, struct ipc_fact_open *out)
{
    out->previous_lsn = core->fold.last_lsn;
    out->state_hash = eng_core_hash(core);
    out->unknown_children = 0;
    for (uint32_t i = 0; i < core->fold.child_count; i++)
        out->unknown_children += core->children[i].flight != 0;
}

void eng_recover_bind(struct eng_core *core)
{
    for (uint32_t i = 0; i < core->fold.child_count; i++) {
        const struct eng_child *child = &core->children[i];
        uint32_t account = eng_child_account(core, i);
        if (core->links[i].list == ENG_LIST_UNBOUND && account != 0) {
            core->links[i].list = ENG_LIST_NONE;
            eng_queue_put(core, i, account,
                child->queued == IPC_ACTION_CANCEL || (child->flags & ENG_CHILD_EXIT)
                    ? ENG_LIST_EXITS
                    : ENG_LIST_ENTRIES);
        }
        if (child->request_no != 0 && child->era == (uint16_t)core->fold.era && account != 0) {
            const struct ipc_row_instrument *row =
                eng_instrument_row(core->view, child->instrument);
            eng_pace_note_old(core, account, row == NULL ? 0 : row->exchange, child->sent_mono_ns,
                child->sent_day, child->request_no);
        }
    }
}

/* --- a stored decision
 * ------------------------------------------------------------------------------ */

static bool leaves_now(uint8_t kind)
{
    return kind == IPC_CHILD_PLACE || kind == IPC_CHILD_MODIFY || kind == IPC_CHILD_CANCEL;
}

/* Samples that are not in the fact show in its decision: what left could be sent, what a switch
 * barred was halted, and so on. Several elements of one follower tell it together. */
static void sample_add(struct eng_follower_sample *sample, const struct ipc_row_follower *row,
    const struct ipc_fact_child *child, bool is_exit, int64_t mono_ns)
{
    sample->can_send |= leaves_now(child->kind);
    if (child->kind == IPC_CHILD_SKIP && child->reason == IPC_REASON_KILL_SWITCH)
        sample->switch_word = (uint8_t)ls_max_i64(
            sample->switch_word, is_exit ? IPC_SWITCH_HALT : IPC_SWITCH_CLOSE_ONLY);
    if (is_exit || row == NULL || row->mode != IPC_MODE_PERCENTAGE || sample->capital_mono_ns != 0)
        return;
    if (child->sample_e8 > 0) {
        sample->capital_e8 = child->sample_e8;
        sample->capital_mono_ns = mono_ns;
    } else if (child->reason == IPC_REASON_STALE_ACCOUNT_DATA) {
        sample->capital_mono_ns = mono_ns - eng_capital_age_ns(row) - 1;
    }
}

static const struct ipc_fact_wide *wide_of(
    const struct ipc_fact_batch *fact, const struct ipc_fact_child *children, uint32_t at)
{
    const struct ipc_fact_wide *wides =
        (const struct ipc_fact_wide *)(children + fact->child_count);
    for (uint32_t i = 0; i < fact->wide_count; i++) {
        if (wides[i].at == at)
            return &wides[i];
    }
    return NULL;
}

/* Figures of the master's account stand among the steps of those who divided by them. */
static void master_add(struct eng_batch_sample *sample, const struct ipc_row_policy *policy,
    uint8_t mode, const struct ipc_fact_wide *wide, int64_t mono_ns)
{
    for (uint32_t i = 0; i < wide->step_count && i < IPC_WIDE_STEPS; i++) {
        if (wide->steps[i].code == IPC_STEP_MASTER_MAX_AVAILABLE) {
            sample->master_free_e8 = wide->steps[i].value_e8;
            sample->master_capital_mono_ns = mono_ns;
        }
        if (wide->steps[i].code != IPC_STEP_MASTER_CAPITAL)
            continue;
        uint8_t basis = policy == NULL ? 0 : policy->basis;
        int64_t value_e8 = wide->steps[i].value_e8;
        /* Whoever found it too old has said how old it was. */
        if (sample->master_capital_mono_ns == 0)
            sample->master_capital_mono_ns = mono_ns;
        if (mode == IPC_MODE_BALANCE_PROPORTIONAL || mode == IPC_MODE_MQL5_PCT ||
            (mode == IPC_MODE_AUTO_RISK && basis == IPC_BASIS_BALANCE))
            sample->master_balance_e8 = value_e8;
        else if (mode == IPC_MODE_AUTO_RISK && basis == IPC_BASIS_FREE_MARGIN)
            sample->master_free_e8 = value_e8;
        else
            sample->master_equity_e8 = value_e8;
    }
}

/* What a full decision had read. */
static void full_add(const struct eng_core *core, struct eng_batch_sample *batch_sample,
    struct eng_follower_sample *sample, const struct ipc_row_follower *row,
    const struct ipc_fact_wide *wide, int64_t mono_ns)
{
    if (row == NULL || wide == NULL || wide->step_count == 0)
        return;
    const struct ipc_row_policy *policy =
        row->policy == 0 ? NULL : &core->view->policies[row->policy - 1];
    sample->capital_e8 = wide->equity_e8;
    sample->balance_e8 = wide->balance_e8;
    sample->free_e8 = wide->free_e8;
    if ((wide->equity_e8 | wide->balance_e8 | wide->free_e8) != 0)
        sample->capital_mono_ns = mono_ns;
    master_add(batch_sample, policy, row->mode, wide, mono_ns);
    /* Figures that were too old stand with their age. */
    for (uint32_t i = 0; i < wide->step_count && i < IPC_WIDE_STEPS; i++) {
        int64_t read_ns = mono_ns - wide->steps[i].value_e8 / (LS_E8 / LS_NS_PER_MS);
        if (wide->steps[i].code == IPC_STEP_CAPITAL_AGE)
            sample->capital_mono_ns = read_ns;
        if (wide->steps[i].code == IPC_STEP_MASTER_CAPITAL_AGE)
            batch_sample->master_capital_mono_ns = read_ns;
        /* An amendment that a switch barred leaves a copy as it is, for no reason of its own. */
        if (wide->steps[i].reason == IPC_REASON_KILL_SWITCH)
            sample->switch_word = (uint8_t)ls_max_i64(sample->switch_word, IPC_SWITCH_CLOSE_ONLY);
    }
}

/* The price of what it traded in place of the batch's instrument. One that was too old said so. */
static void mapped_add(struct eng_follower_sample *sample, const struct ipc_fact_child *child,
    const struct ipc_fact_wide *wide, int64_t mono_ns)
{
    if (wide == NULL || wide->price_sample_e8 == 0)
        return;
    sample->instrument = wide->instrument;
    sample->price_e8 = wide->price_sample_e8;
    sample->price_mono_ns = child->reason == IPC_REASON_PRICE_UNKNOWN ? 1 : mono_ns;
}

/* An exit's sample is what was held, an opening's the capital. */
static bool element_is_exit(
    const struct ipc_fact_batch *fact, const struct ipc_fact_child *children, uint32_t at)
{
    const struct ipc_fact_wide *wides =
        (const struct ipc_fact_wide *)(children + fact->child_count);
    for (uint32_t i = 0; i < fact->wide_count; i++) {
        if (wides[i].at == at)
            return (wides[i].flags & IPC_WIDE_EXIT) != 0;
    }
    /* Only what differs from the batch is wide; the copies of an opening leg need not be. */
    return fact->is_exit && ipc_tag_action_leg(children[at].action) != ENG_LEG_REVERSED;
}

/* The child that was settled: the one whose margin rejection is named, else the newest. */
static uint32_t settled_child(const struct eng_core *core, uint32_t order,
    const struct ipc_fact_batch *fact, const struct ipc_fact_child *children, uint32_t from)
{
    uint32_t newest = eng_child_find(core, order, children[from].follower_no);
    for (uint32_t i = from;
         i < fact->child_count && children[i].follower_no == children[from].follower_no; i++) {
        for (uint32_t at = newest; at != ENG_NONE; at = core->children[at].older) {
            const struct eng_child *child = &core->children[at];
            if (child->action == children[i].action && (child->flags & ENG_CHILD_SETTLE) &&
                eng_child_settles_alone(child))
                return at;
        }
    }
    return newest;
}

/* The due position that a follow-up was decided for. */
static uint32_t due_position(const struct eng_core *core, uint32_t order,
    const struct ipc_fact_child *child, uint32_t instrument)
{
    for (uint32_t at = core->due_head; at != ENG_NONE; at = core->due_next[at]) {
        const struct eng_position *position = &core->positions[at];
        if (eng_follow_order(core, at) == order && position->follower_no == child->follower_no &&
            position->incarnation == child->incarnation && position->instrument == instrument)
            return at;
    }
    return ENG_NONE;
}

/* Elements of one visit stand together; a follow-up visits positions, of which a follower may have
 * several. */
static bool same_visit(
    const struct ipc_fact_batch *fact, const struct ipc_fact_child *children, uint32_t at)
{
    if (at == 0 || children[at].follower_no != children[at - 1].follower_no)
        return false;
    if (fact->transition != IPC_TRANSITION_FOLLOW_UP)
        return true;
    if (children[at - 1].kind == IPC_CHILD_SKIP &&
        children[at - 1].reason == IPC_REASON_SUPERSEDED &&
        children[at - 1].incarnation == children[at].incarnation)
        return true; /* a position of an earlier symbol map, and what opens after it */
    const struct ipc_fact_wide *here = wide_of(fact, children, at);
    const struct ipc_fact_wide *before = wide_of(fact, children, at - 1);
    return children[at].incarnation == children[at - 1].incarnation &&
           (here == NULL ? 0 : here->instrument) == (before == NULL ? 0 : before->instrument);
}

enum ipc_rc eng_recover_batch(const struct eng_core *core, const struct ipc_fact_batch *fact,
    const struct ipc_fact_child *children, int64_t mono_ns, int64_t wall_ns,
    struct eng_batch *batch, struct eng_batch_sample *batch_sample,
    struct eng_follower_sample *samples)
{
    LS_CHECK(core->view != NULL && fact->child_count <= IPC_BATCH_CHILDREN_MAX);
    uint32_t order_index = eng_order_find(core, fact->order_key);
    if (order_index == ENG_NONE)
        return IPC_NOT_FOUND;
    const struct eng_order *order = &core->orders[order_index];
    *batch = (struct eng_batch){.wave = fact->wave,
        .order = order_index,
        .master = order->account,
        .instrument = order->instrument,
        .first_place = fact->first_place,
        .transition = fact->transition,
        .is_exit = fact->is_exit,
        .ends_wave = children[0].follower_no == 0};
    *batch_sample = (struct eng_batch_sample){.generation = fact->generation,
        .switch_sequence = fact->switch_sequence,
        .price_e8 = fact->price_sample_e8,
        .price_mono_ns = fact->price_mono_ns,
        .now_mono_ns = mono_ns,
        .now_wall_ns = wall_ns,
        .switch_word = fact->switch_word,
        .journal_takes_entries = 1};
    uint32_t visits = 0;
    for (uint32_t i = 0; i < fact->child_count && !batch->ends_wave; i++) {
        const struct ipc_row_follower *row = eng_follower_row(core->view, children[i].slot);
        if (children[i].kind == IPC_CHILD_SKIP && children[i].reason == IPC_REASON_JOURNAL)
            batch_sample->journal_takes_entries = 0;
        if (same_visit(fact, children, i)) {
            sample_add(&samples[visits - 1], row, &children[i], element_is_exit(fact, children, i),
                mono_ns);
            mapped_add(&samples[visits - 1], &children[i], wide_of(fact, children, i), mono_ns);
            continue;
        }
        const struct ipc_fact_wide *wide = wide_of(fact, children, i);
        batch->slots[visits] = children[i].slot;
        if (i == 0)
            batch->refuses_market = row == NULL ? 0 : core->policies[row->broker].refuses_market;
        if (fact->wave == 0) {
            batch->children[visits] = fact->transition == IPC_TRANSITION_FOLLOW_UP
                                          ? due_position(core, order_index, &children[i],
                                                wide == NULL ? order->instrument : wide->instrument)
                                          : settled_child(core, order_index, fact, children, i);
            if (batch->children[visits] == ENG_NONE)
                return IPC_NOT_FOUND;
        }
        samples[visits] = (struct eng_follower_sample){0};
        sample_add(
            &samples[visits], row, &children[i], element_is_exit(fact, children, i), mono_ns);
        mapped_add(&samples[visits], &children[i], wide, mono_ns);
        full_add(core, batch_sample, &samples[visits++], row, wide, mono_ns);
    }
    batch->slot_count = visits;
    return IPC_OK;
}
