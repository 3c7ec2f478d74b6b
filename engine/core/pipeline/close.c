/* Closing, SEMANTICS 4: the share of what was copied that the master gives up of his own, floored
 * cumulatively from one base, clamped to what is held and not yet being closed. It never turns a
 * position round, and only the broker or a person stops it. */
#include "engine/core/pipeline/judging.h"

/* A reduction of the master's, whose run somebody keeps. */
static bool is_kept(const struct eng_judging *judging, const struct eng_reduction *reduction)
{
    return judging->follower->base_kept && reduction->whole_e8 != 0;
}

static bool stop_here(struct eng_judging *judging, enum eng_act act, enum ipc_reason reason)
{
    judging->out->act = (uint8_t)act;
    judging->out->reason = (uint8_t)reason;
    return false;
}

static enum ipc_reason zero_reason(const struct eng_judging *judging)
{
    return judging->unit_e8 > LS_E8 ? IPC_REASON_SUB_LOT : IPC_REASON_QTY_ZERO;
}

int64_t eng_close_share(
    struct eng_judging *judging, int64_t copied_e8, int64_t part_e8, int64_t whole_e8)
{
    struct eng_exact exact = {0};
    eng_exact_times(&exact, copied_e8);
    eng_exact_times(&exact, part_e8 < whole_e8 ? part_e8 : whole_e8);
    eng_exact_over(&exact, whole_e8);
    bool rest = false;
    int64_t share = eng_exact_floor(&exact, &rest);
    eng_note(judging, IPC_STEP_HELD, copied_e8, 0);
    eng_note(judging, IPC_STEP_MASTER_CLOSES, part_e8, 0);
    eng_note(judging, IPC_STEP_BASE_MASTER, whole_e8, 0);
    eng_note(judging, IPC_STEP_CLOSE_WANTED, share, 0);
    bool up = eng_policy_has(judging, IPC_POLICY_CLOSE_UP);
    int64_t rounded = up ? eng_unit_ceil(share + (rest && judging->unit_e8 > 1), judging->unit_e8)
                         : eng_unit_floor(share, judging->unit_e8);
    if (rounded != share) {
        eng_note(judging, IPC_STEP_LOT, judging->unit_e8, 0);
        eng_note(judging, up ? IPC_STEP_CLOSE_UP : IPC_STEP_FLOORED, rounded, 0);
    }
    return rounded < copied_e8 ? rounded : copied_e8;
}

/* The base of the run is still true when the follower stands where it says, F0 less what was
 * ordered, and the master's event belongs to it. Fills are known by where they end, so that a late
 * or repeated one belongs to it too and adds nothing; orders add up, as far as the base goes. An
 * opening has ended it (verdict.base is zero then). */
static struct eng_base base_of(
    const struct eng_judging *judging, const struct eng_reduction *reduction, int64_t copied_e8)
{
    const struct eng_base *base = &judging->follower->base;
    const struct eng_case_follower *follower = judging->follower;
    int64_t reach = judging->shared->occasion == ENG_ON_FILL ? base->master_e8
                                                             : base->master_e8 - base->reduced_e8;
    bool master_stands = base->master_e8 > 0 && reduction->whole_e8 <= reach;
    int64_t working = follower->reserved_e8 < copied_e8 ? follower->reserved_e8 : copied_e8;
    if (master_stands && base->copied_e8 - base->closed_e8 == copied_e8 - working)
        return *base;
    return (struct eng_base){.master_e8 = reduction->whole_e8, .copied_e8 = copied_e8};
}

/* Of a run of reductions: the cumulative target less what was ordered for it. */
static int64_t wanted_of_run(
    struct eng_judging *judging, const struct eng_reduction *reduction, int64_t copied_e8)
{
    struct eng_base base = base_of(judging, reduction, copied_e8);
    int64_t reduced = base.master_e8 - (reduction->whole_e8 - reduction->part_e8);
    if (reduced > base.reduced_e8)
        base.reduced_e8 = reduced;
    int64_t total = eng_close_share(judging, base.copied_e8, base.reduced_e8, base.master_e8);
    if (base.closed_e8 != 0)
        eng_note(judging, IPC_STEP_CLOSED_SO_FAR, base.closed_e8, 0);
    judging->out->base = base;
    return total > base.closed_e8 ? total - base.closed_e8 : 0;
}

/* The same where the run's numbers are kept: nothing has to be found out about them. */
static int64_t wanted_of_kept(
    struct eng_judging *judging, const struct eng_reduction *reduction, int64_t free_e8)
{
    const struct eng_base *base = &judging->follower->base;
    bool all = base->reduced_e8 >= base->master_e8;
    int64_t total = base->copied_e8;
    if (all) {
        eng_note(judging, IPC_STEP_HELD, total, 0);
        eng_note(judging, IPC_STEP_ALL, 0, 0);
    } else {
        total = eng_close_share(judging, base->copied_e8, base->reduced_e8, base->master_e8);
    }
    if (base->closed_e8 != 0)
        eng_note(judging, IPC_STEP_CLOSED_SO_FAR, base->closed_e8, 0);
    judging->out->base = *base;
    int64_t want = total > base->closed_e8 ? total - base->closed_e8 : 0;
    /* What a resting stop holds goes too, when it leaves now and the master has nothing. */
    if (all && judging->shared->flat && reduction->leaves_now)
        free_e8 = eng_sum(free_e8, judging->follower->stop_e8);
    return all && want < free_e8 ? free_e8
                                 : want; /* whatever is there when the master has nothing */
}

/* The wish before any clamp; all = everything, lots or not. */
static int64_t wanted_e8(struct eng_judging *judging, const struct eng_reduction *reduction,
    int64_t copied_e8, int64_t free_e8)
{
    if (is_kept(judging, reduction))
        return wanted_of_kept(judging, reduction, free_e8);
    if (reduction->all ||
        (reduction->whole_e8 == 0 && reduction->part_e8 == 0 && reduction->fraction_e8 == 0)) {
        eng_note(judging, IPC_STEP_HELD, copied_e8, 0);
        eng_note(judging, IPC_STEP_ALL, 0, 0);
        return copied_e8;
    }
    if (reduction->fraction_e8 >= LS_E8)
        return copied_e8;
    if (reduction->fraction_e8 > 0)
        return eng_close_share(judging, copied_e8, reduction->fraction_e8, LS_E8);
    if (reduction->whole_e8 == 0) {
        eng_note(judging, IPC_STEP_HELD, copied_e8, 0);
        return reduction->part_e8 < copied_e8 ? reduction->part_e8 : copied_e8;
    }
    return wanted_of_run(judging, reduction, copied_e8);
}

/* A resting stop gives way to an exit that leaves now, and stands against one that would rest. */
static int64_t free_of_stop(struct eng_judging *judging, const struct eng_reduction *reduction,
    int64_t want_e8, int64_t most_e8)
{
    int64_t stop = judging->follower->stop_e8;
    if (!reduction->leaves_now || stop == 0 || want_e8 <= most_e8)
        return most_e8;
    judging->out->cancels |= ENG_CANCELS_STOP;
    return eng_sum(most_e8, stop);
}

static bool add_leg(struct eng_judging *judging, int64_t qty_e8, uint8_t flags)
{
    struct eng_verdict *out = judging->out;
    struct eng_leg leg = {
        .flags = (uint8_t)(ENG_LEG_CLOSE | ENG_LEG_REDUCE_ONLY | flags), .qty_e8 = qty_e8};
    eng_terms_close(judging, &leg);
    (void)eng_slice(judging, &leg, true); /* an exit is never refused for its size */
    out->legs[out->leg_count++] = leg;
    out->act = ENG_ACT_PLACE;
    /* Without a session it stays open and is judged anew when one comes. */
    if (!judging->follower->session_valid) {
        out->act = ENG_ACT_WAIT;
        out->reason = IPC_REASON_SESSION_EXPIRED;
    }
    return true;
}

static bool keeps_stop(const struct eng_judging *judging, const struct eng_reduction *reduction)
{
    return !reduction->leaves_now && judging->follower->stop_e8 > 0 &&
           judging->shared->type == IPC_TYPE_LIMIT &&
           eng_policy_has(judging, IPC_POLICY_ONE_RESTING);
}

bool eng_judge_close(struct eng_judging *judging, const struct eng_reduction *reduction)
{
    const struct eng_case_follower *follower = judging->follower;
    struct eng_verdict *out = judging->out;
    int64_t held = eng_reducible(judging, follower->held_e8);
    int64_t copied = eng_sum(held, follower->coming_e8);
    out->sample_e8 = held;
    if (follower->word == IPC_SWITCH_HALT)
        return stop_here(judging, ENG_ACT_SKIP, IPC_REASON_KILL_SWITCH);
    if (judging->instrument == 0)
        return stop_here(judging, ENG_ACT_SKIP, IPC_REASON_INSTRUMENT_UNKNOWN);
    if (copied == 0)
        return stop_here(judging, ENG_ACT_SKIP, IPC_REASON_NO_POSITION);
    if (keeps_stop(judging, reduction))
        return stop_here(judging, ENG_ACT_SKIP, IPC_REASON_KEEP_STOP);

    /* What its owner closed by hand is not there any more; what is missing is drift. */
    int64_t there = held;
    if (follower->has_account && eng_reducible(judging, follower->account_e8) < held)
        there = eng_reducible(judging, follower->account_e8);
    __int128 open = (__int128)there - follower->reserved_e8 - follower->against_e8;
    int64_t most = open > 0 ? (int64_t)open : 0;
    int64_t want = wanted_e8(judging, reduction, copied, most);
    out->asked_e8 = want;
    if (follower->in_flight_e8 > 0) /* joins the cumulative target, is judged anew afterwards */
        return stop_here(judging, ENG_ACT_NONE, IPC_REASON_EXIT_IN_FLIGHT);

    /* The master is flat and own entries still work: they are cancelled, late fills are closed. */
    bool kept = is_kept(judging, reduction);
    bool gone = kept ? judging->shared->flat && out->base.reduced_e8 >= out->base.master_e8
                     : want == copied && reduction->leaves_now;
    /* Entries of the other side are against the close: they go with a master who has none of his.
     */
    int64_t entries = follower->coming_e8;
    if (kept && judging->shared->idle)
        entries = eng_sum(entries, follower->against_e8);
    gone = gone && entries > 0;
    if (want == 0 && !gone)
        return stop_here(judging, ENG_ACT_SKIP,
            kept && most == 0 && follower->reserved_e8 > 0 ? IPC_REASON_CLOSE_CLAMPED
                                                           : zero_reason(judging));
    if (gone) {
        out->cancels |= ENG_CANCELS_ENTRY;
        out->cancel_e8 = entries;
        eng_note(judging, IPC_STEP_CANCEL_ENTRY, entries, 0);
        want = want < held ? want : held;
        if (want == 0 || (kept && most == 0)) {
            out->act = ENG_ACT_CANCEL;
            out->remaining_e8 = entries;
            return true;
        }
    }
    if (there < held) {
        out->has_drift = 1;
        out->drift_e8 = there - held;
        eng_note(judging, IPC_STEP_DRIFT, out->drift_e8, 0);
        if (there == 0)
            return stop_here(judging, ENG_ACT_SKIP, IPC_REASON_NO_POSITION);
    }
    if (!follower->base_kept) /* the core lets the stop give way first, and closes then */
        most = free_of_stop(judging, reduction, want, most);
    if (want > most) {
        if (follower->reserved_e8 != 0)
            eng_note(judging, IPC_STEP_CLOSES_WORKING, follower->reserved_e8, 0);
        eng_note(judging, IPC_STEP_CLAMP, most, IPC_REASON_CLOSE_CLAMPED);
        if (most == 0 && held == 0) { /* its own entry is still on the way: it waits for it */
            (void)add_leg(judging, want, reduction->flags);
            out->act = ENG_ACT_WAIT;
            return true;
        }
        if (most == 0)
            return stop_here(judging, ENG_ACT_SKIP, IPC_REASON_CLOSE_CLAMPED);
        eng_because(judging, IPC_REASON_CLOSE_CLAMPED);
        want = most;
    }
    out->base.closed_e8 += out->base.master_e8 != 0 ? want : 0;
    return add_leg(judging, want, reduction->flags);
}
