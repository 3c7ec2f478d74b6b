/* One follower's decision: which part of the event closes and which opens, and in which order the
 * rules apply (SEMANTICS 2, 4-8). */
#include "engine/core/pipeline/judging.h"

static const struct ipc_row_policy no_policy;

/* --- the numbers that count --------------------------------------------------------------------
 */

static void value_price(struct eng_judging *judging)
{
    const struct eng_case_shared *shared = judging->shared;
    const struct ipc_row_follower *row = judging->row;
    bool of_order = shared->occasion == ENG_ON_ORDER || shared->occasion == ENG_ON_AMEND;
    if (of_order && eng_pending_type(shared->type)) {
        judging->value_price_e8 = shared->price_e8 > 0 ? shared->price_e8 : shared->trigger_e8;
        if (judging->value_price_e8 > 0)
            return;
    }
    uint32_t ms = row->price_max_age_ms ? row->price_max_age_ms : 5000;
    bool fresh = shared->price_age_ns <= (int64_t)ms * LS_NS_PER_MS;
    judging->value_price_e8 = fresh ? judging->last_e8 : 0;
    /* A price that the event itself carries is no older than the event. */
    if (judging->value_price_e8 <= 0)
        judging->value_price_e8 = judging->follower->mapped ? 0 : shared->price_e8;
}

static void make_numbers(struct eng_judging *judging)
{
    const struct eng_case_shared *shared = judging->shared;
    const struct eng_case_follower *follower = judging->follower;
    judging->row = follower->row;
    judging->policy = follower->policy != NULL ? follower->policy : &no_policy;
    judging->reversed = eng_policy_has(judging, IPC_POLICY_REVERSE) != (judging->row->ratio_e8 < 0);
    judging->side = shared->side;
    if (judging->reversed)
        judging->side = (uint8_t)ipc_side_opposite((enum ipc_side)shared->side);
    bool mapped = follower->mapped;
    judging->instrument = mapped ? follower->own.instrument : shared->instrument;
    judging->lot_e8 = mapped ? follower->own.lot_e8 : shared->lot_e8;
    judging->tick_e8 = mapped ? follower->own.tick_e8 : shared->tick_e8;
    judging->freeze_e8 = mapped ? follower->own.freeze_e8 : shared->freeze_e8;
    judging->last_e8 = mapped ? follower->own.last_e8 : shared->last_e8;
    judging->bid_e8 = mapped ? follower->own.bid_e8 : shared->bid_e8;
    judging->ask_e8 = mapped ? follower->own.ask_e8 : shared->ask_e8;
    judging->unit_e8 =
        judging->policy->step_e8 > judging->lot_e8 ? judging->policy->step_e8 : judging->lot_e8;
    value_price(judging);
}

/* --- what the event does to the master's position -----------------------------------------------
 */

struct movement {
    int64_t closed_e8; /* of the master's position, >= 0 */
    int64_t opened_e8; /* in the unit of the size, >= 0 */
    bool reduces;
    bool opens;
    bool flat; /* afterwards, or turned round */
};

static int sign(int64_t value)
{
    return (value > 0) - (value < 0);
}

static struct movement movement_of_order(const struct eng_case_shared *shared)
{
    int64_t before = shared->before_e8;
    bool against = shared->side == IPC_SIDE_SELL ? before > 0 : before < 0;
    int64_t held = eng_magnitude(before);
    bool sized = shared->size_kind == ENG_SIZE_QTY;
    if (!against)
        return (struct movement){.opened_e8 = shared->qty_e8, .opens = true};
    if (!sized || shared->qty_e8 <= held)
        return (struct movement){.closed_e8 = sized ? shared->qty_e8 : held,
            .reduces = true,
            .flat = !sized || shared->qty_e8 == held};
    return (struct movement){.closed_e8 = held,
        .opened_e8 = shared->qty_e8 - held,
        .reduces = true,
        .opens = true,
        .flat = true};
}

static struct movement movement_of_fill(
    const struct eng_case_shared *shared, const struct eng_run *run)
{
    int64_t before = shared->before_e8, after = shared->after_e8;
    int64_t held = eng_magnitude(before), left = eng_magnitude(after);
    struct movement moved = {0};
    bool turns = sign(before) != 0 && sign(after) != sign(before);
    if (before != 0 && (turns || left < held)) {
        moved.reduces = true;
        moved.flat = turns;
        moved.closed_e8 = turns ? held : held - left;
    }
    moved.opened_e8 = shared->qty_e8 > run->seen_e8 ? shared->qty_e8 - run->seen_e8 : 0;
    moved.opens = moved.opened_e8 > 0;
    /* Nothing is said of its size, and it reduces nothing: an opening all the same. */
    if (shared->size_kind == ENG_SIZE_NONE && !moved.reduces)
        moved.opens = true;
    return moved;
}

/* --- outcomes ------------------------------------------------------------------------------------
 */

static void skip(struct eng_judging *judging, enum eng_act act, enum ipc_reason reason)
{
    judging->out->act = (uint8_t)act;
    judging->out->reason = (uint8_t)reason;
}

/* An opening's answer joins what the close said. */
static void join_opening(struct eng_judging *judging, bool closes, enum ipc_reason reason)
{
    struct eng_verdict *out = judging->out;
    if (reason == IPC_REASON_NONE) {
        if (out->act != ENG_ACT_WAIT)
            out->act = ENG_ACT_PLACE;
        return;
    }
    if (closes) /* the close goes, and this is why nothing opens */
        eng_because(judging, reason);
    else
        skip(judging, reason == IPC_REASON_AT_TARGET ? ENG_ACT_NONE : ENG_ACT_SKIP, reason);
}

/* Copy on fill, and pending orders of followers who do not copy them, wait for the fill. */
static bool waits_for_fill(const struct eng_judging *judging, const struct movement *moved)
{
    const struct eng_case_shared *shared = judging->shared;
    if (shared->occasion == ENG_ON_FILL)
        return judging->policy->on_fill == IPC_ON_FILL_COMPLETE && !shared->complete &&
               moved->opens && !moved->reduces;
    if (judging->row->copy == IPC_COPY_ON_FILL)
        return true;
    if (!eng_pending_type(shared->type))
        return false;
    /* A stop of the master is a target of who copies him reversed, and the other way round. */
    return eng_policy_has(judging, IPC_POLICY_NO_PENDING) || (judging->reversed && moved->reduces);
}

static void see_fill(struct eng_judging *judging)
{
    struct eng_run *run = &judging->out->run;
    if (judging->shared->occasion == ENG_ON_FILL && judging->shared->qty_e8 > run->seen_e8)
        run->seen_e8 = judging->shared->qty_e8;
}

/* Remainders and bases end with the episode. */
static void end_episode(struct eng_judging *judging, const struct movement *moved)
{
    if (!moved->flat)
        return;
    judging->out->base = (struct eng_base){0};
    if (!moved->opens)
        judging->out->run = (struct eng_run){.seen_e8 = judging->out->run.seen_e8};
}

/* What became of one part of a reversal, before the next part is told. */
static void note_part(struct eng_judging *judging, bool leaves, enum ipc_reason reason)
{
    const struct eng_verdict *out = judging->out;
    judging->noted = true;
    if (leaves && out->leg_count != 0)
        eng_note_leg(judging, &out->legs[out->leg_count - 1], 0);
    else
        eng_note(judging, IPC_STEP_SKIP, 0, (uint8_t)reason);
}

static void judge_movement(struct eng_judging *judging, const struct movement *moved)
{
    struct eng_verdict *out = judging->out;
    bool turns = moved->reduces && moved->opens;
    uint8_t split = turns ? ENG_LEG_SPLIT : 0;
    bool closes = false;
    if (moved->reduces) {
        struct eng_reduction reduction = {.part_e8 = moved->closed_e8,
            .whole_e8 = eng_magnitude(judging->shared->before_e8),
            .all = moved->flat,
            .leaves_now = judging->shared->occasion == ENG_ON_FILL ||
                          !eng_pending_type(judging->shared->type),
            .flags = split};
        if (turns)
            eng_note(judging, IPC_STEP_LEG_CLOSE, 0, 0);
        closes = eng_judge_close(judging, &reduction);
        if (turns && out->reason == IPC_REASON_EXIT_IN_FLIGHT)
            return; /* the open leg is judged with the close, after the answer */
        if (turns)
            note_part(judging, out->leg_count != 0, (enum ipc_reason)out->reason);
    }
    if (moved->opens) {
        if (turns)
            eng_note(judging, IPC_STEP_LEG_OPEN, 0, 0);
        if (turns && !closes)
            out->reason = IPC_REASON_NONE; /* a late joiner has the open leg alone */
        int64_t freed = closes && out->leg_count != 0 ? out->legs[0].qty_e8 : 0;
        enum ipc_reason reason = eng_judge_opening(judging, moved->opened_e8, turns, freed, split);
        join_opening(judging, closes, reason);
        if (turns)
            note_part(judging, reason == IPC_REASON_NONE, reason);
    }
    see_fill(judging);
    end_episode(judging, moved);
}

/* --- targets -------------------------------------------------------------------------------------
 */

/* Orders of an opening that is part of a target: caps and guards, no sizing. */
static enum ipc_reason open_toward(
    struct eng_judging *judging, int64_t qty_e8, int64_t freed_e8, struct eng_leg *leg)
{
    enum ipc_reason reason = eng_bars(judging, false);
    struct eng_sizing sizing = {.qty_e8 = qty_e8, .freed_e8 = freed_e8};
    judging->out->asked_e8 = qty_e8;
    if (reason == IPC_REASON_NONE && qty_e8 > ENG_CASE_QTY_MAX_E8)
        reason = IPC_REASON_MAX_QTY;
    if (reason == IPC_REASON_NONE)
        reason = eng_caps_qty(judging, &sizing);
    if (reason == IPC_REASON_NONE)
        reason = eng_caps_value(judging, &sizing);
    if (reason == IPC_REASON_NONE)
        reason = eng_caps_margin(judging, &sizing);
    if (reason != IPC_REASON_NONE)
        return reason;
    *leg = (struct eng_leg){.flags = ENG_LEG_OPEN, .qty_e8 = sizing.qty_e8};
    reason = eng_guard_opening(judging, leg);
    return reason == IPC_REASON_NONE ? eng_slice(judging, leg, false) : reason;
}

static int64_t target_position(struct eng_judging *judging, int64_t master_e8)
{
    int64_t ratio_e8 = eng_magnitude(judging->row->ratio_e8);
    struct eng_exact exact = {0};
    eng_exact_times(&exact, eng_magnitude(master_e8));
    eng_exact_times_e8(&exact, ratio_e8 != 0 ? ratio_e8 : LS_E8);
    int64_t size = eng_round_qty(judging, eng_exact_floor(&exact, NULL));
    eng_note(judging, IPC_STEP_TARGET, master_e8, 0);
    if (ratio_e8 != 0 && ratio_e8 != LS_E8)
        eng_note(judging, IPC_STEP_RATIO, ratio_e8, 0);
    return (master_e8 < 0) != judging->reversed ? -size : size;
}

/* order = target - position (SEMANTICS 1, SMART_TARGET): one order, also through zero. */
static void judge_target(struct eng_judging *judging, int64_t master_e8)
{
    struct eng_verdict *out = judging->out;
    int64_t held = judging->follower->held_e8;
    int64_t target = target_position(judging, master_e8);
    eng_note(judging, IPC_STEP_POSITION, held, 0);
    if (target == held) {
        skip(judging, ENG_ACT_NONE, IPC_REASON_AT_TARGET);
        return;
    }
    judging->side = target > held ? IPC_SIDE_BUY : IPC_SIDE_SELL;
    bool crosses = sign(target) != sign(held);
    int64_t closing = 0, opening = 0;
    if (held == 0) {
        opening = eng_magnitude(target);
    } else if (crosses) {
        closing = eng_magnitude(held);
        opening = eng_magnitude(target);
    } else if (eng_magnitude(target) < eng_magnitude(held)) {
        closing = eng_magnitude(held) - eng_magnitude(target);
    } else {
        opening = eng_magnitude(target) - eng_magnitude(held);
    }
    bool closes = false;
    if (closing > 0) {
        struct eng_reduction reduction = {
            .part_e8 = closing, .all = target == 0 || crosses, .leaves_now = true};
        closes = eng_judge_close(judging, &reduction);
        if (out->reason == IPC_REASON_EXIT_IN_FLIGHT || opening == 0)
            return;
    }
    opening = eng_unit_floor(opening, judging->unit_e8);
    if (opening == 0) {
        join_opening(
            judging, closes, judging->unit_e8 > LS_E8 ? IPC_REASON_SUB_LOT : IPC_REASON_QTY_ZERO);
        return;
    }
    struct eng_leg leg;
    int64_t freed = closes && out->leg_count != 0 ? out->legs[0].qty_e8 : 0;
    enum ipc_reason reason = open_toward(judging, opening, freed, &leg);
    join_opening(judging, closes, reason);
    if (reason != IPC_REASON_NONE)
        return;
    if (out->leg_count == 1 && leg.type == out->legs[0].type && out->act == ENG_ACT_PLACE) {
        /* Alike in everything: one order goes through zero. */
        leg.qty_e8 += out->legs[0].qty_e8;
        if (eng_slice(judging, &leg, false) == IPC_REASON_NONE) {
            out->legs[0] = leg;
            return;
        }
        leg.qty_e8 -= out->legs[0].qty_e8;
        (void)eng_slice(judging, &leg, false);
    }
    if (out->leg_count == 1) {
        leg.flags |= ENG_LEG_SPLIT;
        out->legs[0].flags |= ENG_LEG_SPLIT;
    }
    out->legs[out->leg_count++] = leg;
}

/* --- events
 * --------------------------------------------------------------------------------------- */

static void judge_event(struct eng_judging *judging)
{
    const struct eng_case_shared *shared = judging->shared;
    struct movement moved = shared->occasion == ENG_ON_FILL
                                ? movement_of_fill(shared, &judging->follower->run)
                                : movement_of_order(shared);
    if (waits_for_fill(judging, &moved)) {
        skip(judging, ENG_ACT_NONE, IPC_REASON_WAIT_MASTER_FILL);
        return;
    }
    if (!moved.reduces && !moved.opens) {
        skip(judging, ENG_ACT_NONE, IPC_REASON_DUPLICATE_EVENT);
        return;
    }
    if (judging->row->mode == IPC_MODE_SMART_TARGET) {
        int64_t after = shared->after_e8;
        if (shared->occasion == ENG_ON_ORDER &&
            __builtin_add_overflow(shared->before_e8,
                shared->side == IPC_SIDE_BUY ? shared->qty_e8 : -shared->qty_e8, &after))
            after = INT64_MAX;
        judge_target(judging, after);
        see_fill(judging);
        return;
    }
    judge_movement(judging, &moved);
}

/* Something of the follower's own is to be closed; the side is what its position needs. */
static void judge_exit(struct eng_judging *judging)
{
    const struct eng_case_shared *shared = judging->shared;
    int64_t held = judging->follower->held_e8;
    if (held != 0)
        judging->side = held > 0 ? IPC_SIDE_SELL : IPC_SIDE_BUY;
    struct eng_reduction reduction = {
        .part_e8 = shared->qty_e8, .fraction_e8 = shared->fraction_e8, .leaves_now = true};
    if (shared->before_e8 != 0 && shared->fraction_e8 == 0) {
        reduction.whole_e8 = eng_magnitude(shared->before_e8);
        if (shared->qty_e8 == 0 || shared->qty_e8 >= reduction.whole_e8)
            reduction.all = true;
    }
    (void)eng_judge_close(judging, &reduction);
}

/* The last step is what becomes of it. */
static void note_outcome(struct eng_judging *judging)
{
    const struct eng_verdict *out = judging->out;
    if (judging->trace == NULL || judging->noted)
        return;
    switch ((enum eng_act)out->act) {
    case ENG_ACT_SKIP:
        eng_note(judging, IPC_STEP_SKIP, 0, out->reason);
        return;
    case ENG_ACT_NONE:
        eng_note(judging, IPC_STEP_NOTHING, 0, out->reason);
        return;
    case ENG_ACT_CANCEL:
        eng_note(judging, IPC_STEP_CANCEL, 0, out->reason);
        return;
    case ENG_ACT_WAIT:
        eng_note(judging, IPC_STEP_WAIT, 0, out->reason);
        return;
    case ENG_ACT_MODIFY:
        eng_note(judging, IPC_STEP_MODIFY, out->legs[0].qty_e8, out->reason);
        return;
    case ENG_ACT_PLACE:
    case ENG_ACT_REPLACE:
        break;
    }
    for (uint32_t i = 0; i < out->leg_count; i++)
        eng_note_leg(judging, &out->legs[i], out->reason);
}

void eng_judge(const struct eng_case *judged, struct eng_verdict *out, struct eng_trace *trace)
{
    *out = (struct eng_verdict){.run = judged->follower.run};
    if (trace != NULL)
        trace->count = 0;
    struct eng_judging judging = {
        .shared = judged->shared, .follower = &judged->follower, .out = out, .trace = trace};
    make_numbers(&judging);
    switch ((enum eng_occasion)judged->shared->occasion) {
    case ENG_ON_ORDER:
    case ENG_ON_FILL:
        judge_event(&judging);
        break;
    case ENG_ON_AMEND:
        eng_judge_amend(&judging);
        break;
    case ENG_ON_CANCEL:
    case ENG_ON_REJECT:
        eng_judge_cancel(&judging);
        break;
    case ENG_ON_TARGET:
        judge_target(&judging, judged->shared->target_e8);
        break;
    case ENG_ON_EXIT:
        judge_exit(&judging);
        break;
    default:
        skip(&judging, ENG_ACT_SKIP, IPC_REASON_MODE_UNSUPPORTED);
        break;
    }
    note_outcome(&judging);
}
