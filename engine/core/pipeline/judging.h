/* judging.h: what the files of the pipeline share while one case is judged. Private to pipeline/.
 *
 * One idea a file, in the order of SEMANTICS 2: bars.c (steps 1-8), modes.c (9), rounding.c
 * (10-11), caps.c (12-14), guards.c (15-16, prices), slices.c (17); close.c is section 4, amend.c
 * section 8; judge.c puts them together. */
#ifndef LS_ENGINE_CORE_PIPELINE_JUDGING_H
#define LS_ENGINE_CORE_PIPELINE_JUDGING_H

#include "engine/core/pipeline/case.h"
#include "engine/core/pipeline/exact.h"

/* One case on its way: the numbers that count after mapping and reversing. */
struct eng_judging {
    const struct eng_case_shared *shared;
    const struct eng_case_follower *follower;
    const struct ipc_row_follower *row;
    const struct ipc_row_policy *policy; /* never NULL */
    struct eng_verdict *out;
    struct eng_trace *trace; /* NULL = nobody asks */
    uint8_t side;            /* of the follower's order */
    bool reversed;
    bool noted; /* the outcome of each leg is on record already */
    uint32_t instrument;
    int64_t unit_e8; /* quantities are multiples of it; 0 = not rounded */
    int64_t lot_e8, tick_e8, freeze_e8;
    int64_t last_e8, bid_e8, ask_e8;
    int64_t value_price_e8; /* what a unit is valued at; 0 = unknown */
};

/* One leg while its size is made. */
struct eng_sizing {
    int64_t master_e8; /* the master's part of it, in the unit of shared->size_kind */
    int64_t qty_e8;    /* so far */
    int64_t money_e8;  /* the same in money, when the mode sizes in money and no price is known */
    int64_t freed_e8;  /* of reach_e8, what the same decision closes or replaces */
    bool in_money;     /* money_e8 counts, qty_e8 is not known */
    bool passed_over;  /* no size at all: steps 9-13 do not apply */
};

/* eng_note records one step, when anybody asks. */
static inline void eng_note(
    struct eng_judging *judging, enum ipc_step_code code, int64_t value_e8, uint8_t reason)
{
    struct eng_trace *trace = judging->trace;
    if (trace == NULL)
        return;
    /* Places are kept for what becomes of it. */
    uint32_t room = code >= IPC_STEP_LEG_CLOSE ? IPC_STEPS_MAX : IPC_STEPS_MAX - 6;
    if (trace->count < room)
        trace->steps[trace->count++] =
            (struct ipc_step){.value_e8 = value_e8, .code = (uint16_t)code, .reason = reason};
}

/* A leg that leaves, as the last step of its part. */
static inline void eng_note_leg(
    struct eng_judging *judging, const struct eng_leg *leg, uint8_t reason)
{
    eng_note(
        judging, leg->side == IPC_SIDE_BUY ? IPC_STEP_BUY : IPC_STEP_SELL, leg->qty_e8, reason);
    if (leg->type == IPC_TYPE_MARKET)
        eng_note(judging, IPC_STEP_TYPE_MARKET, 0, 0);
    else if (leg->price_e8 != 0)
        eng_note(judging, IPC_STEP_TYPE_LIMIT, leg->price_e8, 0);
    if (leg->trigger_e8 != 0)
        eng_note(judging, IPC_STEP_TYPE_TRIGGER, leg->trigger_e8, 0);
}

/* The first reason that reduced something stays. */
static inline void eng_because(struct eng_judging *judging, enum ipc_reason reason)
{
    if (judging->out->reason == IPC_REASON_NONE)
        judging->out->reason = (uint8_t)reason;
}

static inline bool eng_policy_has(const struct eng_judging *judging, uint32_t flag)
{
    return (judging->policy->flags & flag) != 0;
}

static inline int64_t eng_magnitude(int64_t value)
{
    return value < 0 ? (value == INT64_MIN ? INT64_MAX : -value) : value;
}

/* Sums of what is not negative, saturated. */
static inline int64_t eng_sum(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* Of a signed position, what an order of the judged side reduces. */
static inline int64_t eng_reducible(const struct eng_judging *judging, int64_t position_e8)
{
    if (judging->side == IPC_SIDE_SELL)
        return position_e8 > 0 ? position_e8 : 0;
    return position_e8 < 0 ? eng_magnitude(position_e8) : 0;
}

static inline bool eng_pending_type(uint8_t type)
{
    return type == IPC_TYPE_LIMIT || type == IPC_TYPE_SL || type == IPC_TYPE_SLM;
}

/* bars.c: steps 1-8 of an opening. `amends`: the follower has a copy already; hours, age and the
 * day's counts were looked at when it was made. */
enum ipc_reason eng_bars(struct eng_judging *judging, bool amends);

/* Step 7 alone: a change of a working entry, too, leaves in time or not at all. */
enum ipc_reason eng_bar_age(struct eng_judging *judging);

/* modes.c: step 9 and the mode's own answers (money_e8, fraction_e8, leverage_e8 of the verdict).
 * Fills sizing->qty_e8, or money_e8 with in_money, or passed_over. */
enum ipc_reason eng_mode_raw(struct eng_judging *judging, struct eng_sizing *sizing);

/* rounding.c: steps 10 and 11. */
enum ipc_reason eng_round_opening(struct eng_judging *judging, struct eng_sizing *sizing);
int64_t eng_round_qty(const struct eng_judging *judging, int64_t raw_e8);

/* caps.c: steps 12, 13 and 14. */
enum ipc_reason eng_caps_qty(struct eng_judging *judging, struct eng_sizing *sizing);
enum ipc_reason eng_caps_value(struct eng_judging *judging, struct eng_sizing *sizing);
enum ipc_reason eng_caps_margin(struct eng_judging *judging, const struct eng_sizing *sizing);

/* guards.c: steps 15 and 16 of an opening, and the terms in which a leg leaves. */
enum ipc_reason eng_guard_opening(struct eng_judging *judging, struct eng_leg *leg);
void eng_terms_close(struct eng_judging *judging, struct eng_leg *leg);
int64_t eng_tick_floor(int64_t price_e8, int64_t tick_e8);
int64_t eng_tick_ceil(int64_t price_e8, int64_t tick_e8);
int64_t eng_tick_nearest(int64_t price_e8, int64_t tick_e8);

/* slices.c: step 17. An entry above the policy's budget gives TOO_MANY_SLICES, an exit never. */
enum ipc_reason eng_slice(struct eng_judging *judging, struct eng_leg *leg, bool is_exit);

/* opening.c: steps 1-17 of one opening leg; appends to the verdict's legs and the run.
 *   master_e8  the master's part of it
 *   fresh      a new episode: the run starts at nothing
 *   freed_e8   what the same decision closes */
enum ipc_reason eng_judge_opening(
    struct eng_judging *judging, int64_t master_e8, bool fresh, int64_t freed_e8, uint8_t flags);

/* close.c: section 4. `part_e8` of `whole_e8` is what the master reduces; whole 0 = in the
 * follower's own units, part 0 = all. Sets act, reason, legs and base.
 *   returns  false when nothing of a close is left to do (the verdict's reason says why) */
struct eng_reduction {
    int64_t part_e8, whole_e8;
    int64_t fraction_e8; /* of what is held, when the event says so; 0 = not */
    bool all;            /* the master is flat afterwards */
    bool leaves_now;     /* market order, fill, trigger: not a resting exit */
    uint8_t flags;       /* ENG_LEG_SPLIT */
};
bool eng_judge_close(struct eng_judging *judging, const struct eng_reduction *reduction);

/* What a close of this size should have closed in all, before clamps. For amendments. */
int64_t eng_close_share(
    struct eng_judging *judging, int64_t copied_e8, int64_t part_e8, int64_t whole_e8);

/* amend.c: section 8. */
void eng_judge_amend(struct eng_judging *judging);
void eng_judge_cancel(struct eng_judging *judging);

#endif
