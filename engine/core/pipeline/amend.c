/* Amend, cancel and reject of an order that was copied, SEMANTICS 8. What is filled counts, and
 * nothing is ever bought a second time. */
#include "engine/core/pipeline/judging.h"

static void answer(struct eng_judging *judging, enum eng_act act, enum ipc_reason reason)
{
    judging->out->act = (uint8_t)act;
    judging->out->reason = (uint8_t)reason;
}

static void cancel_rest(struct eng_judging *judging, enum ipc_reason reason)
{
    struct eng_verdict *out = judging->out;
    answer(judging, ENG_ACT_CANCEL, reason);
    out->cancels |= ENG_CANCELS_CHILD;
    out->remaining_e8 = judging->follower->child_open_e8;
}

static void set_drift(struct eng_judging *judging, int64_t should_e8)
{
    judging->out->has_drift = 1;
    judging->out->drift_e8 = judging->follower->child_filled_e8 - should_e8;
    if (judging->out->drift_e8 != 0)
        eng_note(judging, IPC_STEP_DRIFT, judging->out->drift_e8, 0);
}

static bool reduces(const struct eng_judging *judging)
{
    int64_t before = judging->shared->before_e8;
    return judging->shared->side == IPC_SIDE_SELL ? before > 0 : before < 0;
}

static void note_child(struct eng_judging *judging)
{
    eng_note(judging, IPC_STEP_CHILD_OPEN, judging->follower->child_open_e8, 0);
    if (judging->follower->child_filled_e8 != 0)
        eng_note(judging, IPC_STEP_CHILD_FILLED, judging->follower->child_filled_e8, 0);
}

/* The mode's total of a master quantity, rounded, before caps; 0 may be the answer. */
static enum ipc_reason total_of(
    struct eng_judging *judging, int64_t master_e8, struct eng_sizing *sizing)
{
    *sizing = (struct eng_sizing){.master_e8 = master_e8,
        .freed_e8 = eng_sum(judging->follower->child_open_e8, judging->follower->child_filled_e8)};
    enum ipc_reason reason = eng_mode_raw(judging, sizing);
    if (reason == IPC_REASON_NONE && !sizing->passed_over)
        reason = eng_round_opening(judging, sizing);
    return reason;
}

/* The new total of a working opening.
 *   returns  the reason that bars it; then the total is what it was */
static enum ipc_reason opening_total(struct eng_judging *judging, int64_t now_e8, int64_t *total_e8)
{
    struct eng_sizing sizing = {0};
    *total_e8 = now_e8;
    enum ipc_reason reason = IPC_REASON_NONE;
    if (judging->shared->has_qty) {
        reason = total_of(judging, judging->shared->qty_e8, &sizing);
        if (reason == IPC_REASON_QTY_ZERO && sizing.qty_e8 >= 0)
            sizing.qty_e8 = 0; /* below refuse_below */
        else if (reason != IPC_REASON_NONE)
            return reason;
        if (!sizing.passed_over) {
            *total_e8 = sizing.qty_e8;
            if (sizing.qty_e8 != 0) {
                reason = eng_caps_qty(judging, &sizing);
                if (reason == IPC_REASON_NONE)
                    reason = eng_caps_value(judging, &sizing);
                if (reason != IPC_REASON_NONE)
                    return reason;
                *total_e8 = sizing.qty_e8;
            }
        }
    }
    /* What is filled is enough: the rest is cancelled, which nothing bars. */
    if (*total_e8 <= judging->follower->child_filled_e8)
        return IPC_REASON_NONE;
    if (judging->follower->word != IPC_SWITCH_RUN)
        return IPC_REASON_KILL_SWITCH;
    /* A smaller total is no opening: nothing else bars it, if it is not too old to leave. A larger
     * one is an opening of what is added, which the day's limits bar too. */
    if (*total_e8 < now_e8 && judging->shared->barred != IPC_REASON_NONE)
        return (enum ipc_reason)judging->shared->barred;
    reason = *total_e8 > now_e8 ? eng_bars(judging, false) : eng_bar_age(judging);
    if (reason == IPC_REASON_NONE && *total_e8 == now_e8)
        reason = eng_bars(judging, true);
    return reason == IPC_REASON_NONE && *total_e8 > now_e8 ? eng_caps_margin(judging, &sizing)
                                                           : reason;
}

/* What the copy's total comes to by the run that it belongs to: what it has, and what the run's
 * target says more or less than was ordered for it. */
static int64_t total_of_kept(struct eng_judging *judging, int64_t now_e8, int64_t free_e8)
{
    const struct eng_base *base = &judging->follower->base;
    bool all = base->reduced_e8 >= base->master_e8;
    int64_t total = base->copied_e8;
    if (!all)
        total = eng_close_share(judging, base->copied_e8, base->reduced_e8, base->master_e8);
    if (base->closed_e8 != 0)
        eng_note(judging, IPC_STEP_CLOSED_SO_FAR, base->closed_e8, 0);
    int64_t more = total - base->closed_e8;
    if (all && more < free_e8)
        more = free_e8;
    if (more < -now_e8)
        return 0;
    return eng_sum(now_e8, more);
}

static enum ipc_reason closing_total(struct eng_judging *judging, int64_t now_e8, int64_t *total_e8)
{
    const struct eng_case_follower *follower = judging->follower;
    *total_e8 = now_e8;
    if (follower->word == IPC_SWITCH_HALT)
        return IPC_REASON_KILL_SWITCH;
    if (judging->instrument == 0)
        return IPC_REASON_INSTRUMENT_UNKNOWN;
    if (!judging->shared->has_qty)
        return IPC_REASON_NONE;
    int64_t held = eng_reducible(judging, follower->held_e8);
    int64_t there = held;
    if (follower->has_account && eng_reducible(judging, follower->account_e8) < held)
        there = eng_reducible(judging, follower->account_e8);
    __int128 free = (__int128)there - follower->reserved_e8 - follower->against_e8;
    int64_t total;
    if (follower->base_kept) {
        total = total_of_kept(judging, now_e8, free > 0 ? (int64_t)free : 0);
    } else {
        int64_t copied = eng_sum(eng_sum(held, follower->coming_e8), follower->child_filled_e8);
        int64_t whole = eng_magnitude(judging->shared->before_e8);
        total = judging->shared->qty_e8 >= whole
                    ? copied
                    : eng_close_share(judging, copied, judging->shared->qty_e8, whole);
    }
    /* What other working closes leave; this one's own rest is not in its way, but a stop gives way
     * to what leaves now. */
    if (follower->base_kept) { /* what waits for its own entry is no more than it was */
        free += held - there;
        free = free > 0 ? free : 0;
        free += follower->child_open_e8 - (held - there);
    } else {
        free += follower->reserved_e8 > follower->child_open_e8 ? follower->child_open_e8
                                                                : follower->reserved_e8;
    }
    free -= follower->owed_e8;
    int64_t most = eng_sum(follower->child_filled_e8, free > 0 ? (int64_t)free : 0);
    if (total > most) {
        eng_note(judging, IPC_STEP_CLAMP, most, IPC_REASON_CLOSE_CLAMPED);
        eng_because(judging, IPC_REASON_CLOSE_CLAMPED);
        total = most;
    }
    *total_e8 = total;
    return IPC_REASON_NONE;
}

/* The terms that the amended copy has; a price that is not said stays. */
static enum ipc_reason amended_terms(
    struct eng_judging *judging, int64_t total_e8, bool closes, struct eng_leg *leg)
{
    *leg = (struct eng_leg){.qty_e8 = total_e8, .slices = 1, .slice_e8 = total_e8};
    enum ipc_reason reason = IPC_REASON_NONE;
    if (closes) {
        leg->flags = ENG_LEG_CLOSE | ENG_LEG_REDUCE_ONLY;
        eng_terms_close(judging, leg);
    } else {
        leg->flags = ENG_LEG_OPEN;
        reason = eng_guard_opening(judging, leg);
        if (reason == IPC_REASON_NONE)
            reason = eng_slice(judging, leg, false);
        leg->slices = 1; /* slice_e8 is for what is placed beside the copy */
    }
    if (leg->price_e8 == 0)
        leg->price_e8 = judging->follower->child_price_e8;
    if (leg->trigger_e8 == 0)
        leg->trigger_e8 = judging->follower->child_trigger_e8;
    return reason;
}

static bool same_terms(const struct eng_judging *judging, const struct eng_leg *leg, int64_t now_e8)
{
    const struct eng_case_follower *follower = judging->follower;
    if (leg->qty_e8 != now_e8)
        return false;
    /* A protected price moves with the market; it is not the master's term. */
    if (judging->shared->type == IPC_TYPE_MARKET && judging->shared->price_e8 == 0)
        return true;
    return leg->price_e8 == follower->child_price_e8 &&
           leg->trigger_e8 == follower->child_trigger_e8;
}

void eng_judge_amend(struct eng_judging *judging)
{
    const struct eng_case_follower *follower = judging->follower;
    struct eng_verdict *out = judging->out;
    int64_t now = eng_sum(follower->child_open_e8, follower->child_filled_e8);
    if (now == 0) {
        answer(judging, ENG_ACT_SKIP, IPC_REASON_NO_COPY);
        return;
    }
    note_child(judging);
    bool over = follower->child_open_e8 == 0; /* it filled: only what is added can be placed */
    if (follower->cancel_lost || (over && !judging->shared->has_qty)) {
        answer(judging, ENG_ACT_NONE, IPC_REASON_CHILD_FILLED);
        return;
    }
    int64_t total;
    bool closes = reduces(judging);
    enum ipc_reason reason =
        closes ? closing_total(judging, now, &total) : opening_total(judging, now, &total);
    if (reason != IPC_REASON_NONE) {
        answer(judging, ENG_ACT_SKIP, reason);
        return;
    }
    eng_note(judging, IPC_STEP_CHILD_TOTAL, total, 0);
    out->asked_e8 = total;
    if (over && total <= follower->child_filled_e8) {
        answer(judging, ENG_ACT_NONE, IPC_REASON_CHILD_FILLED);
        return;
    }
    if (total <= follower->child_filled_e8) {
        /* What is filled is enough, or too much: that is drift. */
        cancel_rest(judging, total != 0                 ? IPC_REASON_NONE
                             : judging->unit_e8 > LS_E8 ? IPC_REASON_SUB_LOT
                                                        : IPC_REASON_QTY_ZERO);
        set_drift(judging, total);
        return;
    }
    struct eng_leg leg;
    reason = amended_terms(judging, total, closes, &leg);
    if (reason != IPC_REASON_NONE) {
        answer(judging, ENG_ACT_SKIP, reason);
        return;
    }
    if (same_terms(judging, &leg, now)) {
        answer(judging, ENG_ACT_NONE, IPC_REASON_AT_TARGET);
        return;
    }
    out->remaining_e8 = total - follower->child_filled_e8;
    uint32_t most = judging->policy->modifications_max ? judging->policy->modifications_max
                                                       : follower->modifications_max;
    uint32_t number =
        judging->shared->amendment ? judging->shared->amendment : follower->child_modifications + 1;
    out->act = ENG_ACT_MODIFY;
    if (over) {
        out->act = ENG_ACT_PLACE;
        leg.qty_e8 = out->remaining_e8; /* in orders that the freeze still cuts */
        leg.slice_e8 = ls_min_i64(leg.slice_e8, leg.qty_e8);
    } else if (most != 0 && number > most) {
        /* Only the difference is placed, after the cancel is confirmed. */
        eng_note(judging, IPC_STEP_MODIFICATIONS, most * LS_E8, 0);
        out->act = ENG_ACT_REPLACE;
        out->cancels |= ENG_CANCELS_CHILD;
        leg.qty_e8 = out->remaining_e8;
        leg.slice_e8 = ls_min_i64(leg.slice_e8, leg.qty_e8);
    }
    out->legs[out->leg_count++] = leg;
}

void eng_judge_cancel(struct eng_judging *judging)
{
    const struct eng_case_follower *follower = judging->follower;
    bool rejected = judging->shared->occasion == ENG_ON_REJECT;
    if (eng_sum(follower->child_open_e8, follower->child_filled_e8) == 0) {
        answer(judging, ENG_ACT_SKIP, rejected ? IPC_REASON_MASTER_REJECTED : IPC_REASON_NO_COPY);
        return;
    }
    note_child(judging);
    if (follower->cancel_lost || follower->child_open_e8 == 0)
        answer(judging, ENG_ACT_NONE, IPC_REASON_CHILD_FILLED);
    else
        cancel_rest(judging, rejected ? IPC_REASON_MASTER_REJECTED : IPC_REASON_NONE);

    /* What the master's fill would have come to, against what filled here. */
    struct eng_sizing sizing = {0};
    int64_t should = 0;
    if (judging->shared->filled_e8 > 0 && reduces(judging)) {
        int64_t held = eng_sum(eng_magnitude(follower->held_e8), follower->child_filled_e8);
        should = eng_close_share(
            judging, held, judging->shared->filled_e8, eng_magnitude(judging->shared->before_e8));
    } else if (judging->shared->filled_e8 > 0) {
        if (total_of(judging, judging->shared->filled_e8, &sizing) != IPC_REASON_NONE ||
            sizing.passed_over || sizing.in_money)
            return;
        should = sizing.qty_e8;
    }
    set_drift(judging, should);
}
