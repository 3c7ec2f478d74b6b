/* work.h: a batch while it is being decided: the plans that its followers share, and the facts so
 * far. Shared by the decide_* files and nobody else.
 *
 * A follower may get several elements: legs, slices, the copies of one order. They stand together,
 * and a follower whose elements do not fit begins the next batch. */
#ifndef LS_ENGINE_CORE_PIPELINE_WORK_H
#define LS_ENGINE_CORE_PIPELINE_WORK_H

#include "engine/core/masters.h"
#include "engine/core/pipeline/risk.h"

/* Legs of a tag's action digits. */
#define ENG_LEG_MAIN     0u /* an opening, or a close */
#define ENG_LEG_REVERSED 1u /* the opening part of a reversal */
#define ENG_LEG_STOP     2u /* protective stop of a filled copy */
#define ENG_LEG_TARGET   3u /* its target */

struct eng_work {
    const struct eng_core *core;
    const struct eng_batch *batch;
    const struct eng_batch_sample *sample;
    enum ipc_transition transition;
    bool may_have_copies; /* the wave that makes an order's copies reaches each follower once */
    bool is_plain;        /* a new opening that nobody has a copy of */
    int64_t one_order_e8; /* what one order may carry */
    bool is_full;         /* the follower just tried needs more room than this frame has left */
    struct eng_plan plan; /* of the order as it is */

    /* Parts of the order that are copied as orders of their own; made when first asked for. */
    bool has_fill, has_open[2]; /* [0] as ordered, [1] as filled */
    struct eng_order fill_order, open_order[2];
    struct eng_plan fill_plan, open_plan[2];
    bool has_flipped[2];
    struct eng_order flipped_order[2];
    struct eng_plan
        flipped_plan[2];       /* closes of positions that were copied with the side flipped */
    struct eng_run_sum run[2]; /* of the order's run: [0] as ordered, [1] as filled */

    /* A plan in the instrument that a symbol map put in place of the order's; of the follower that
     * asked last. */
    struct {
        const struct eng_plan *of; /* the plan that it is like, NULL = none yet */
        uint32_t instrument, account;
        struct eng_order order;
        struct eng_batch_sample sample;
        struct eng_plan plan;
    } mapped;

    uint32_t place_count;
    uint32_t immediate_count;
    uint32_t accounts[IPC_BATCH_CHILDREN_MAX]; /* of children whose bytes leave now */

    const struct ipc_fact_batch *out; /* the batch's own terms */
    struct ipc_fact_child *children;
    uint32_t count;
    uint32_t wide_count;
    struct ipc_fact_wide wides[IPC_BATCH_CHILDREN_MAX];
};

/* What an element is about, beside its quantity. */
struct eng_terms {
    const struct eng_shape *shape; /* side, type, product, validity, prices */
    uint32_t instrument;
    uint8_t product;
    uint8_t flags; /* IPC_WIDE_* */
    uint32_t leg;
    uint32_t slice; /* of the first order; those below it work */
    int64_t market_protection_e8;
    int64_t slice_e8; /* largest quantity of one order */
    int64_t
        price_sample_e8; /* last price of `instrument` where it is not the batch's; 0 = unknown */
};

static inline uint32_t eng_work_room(const struct eng_work *work)
{
    return IPC_BATCH_CHILDREN_MAX - work->count;
}

/* eng_work_add appends an element; there is room. */
static inline struct ipc_fact_child *eng_work_add(
    struct eng_work *work, const struct eng_follower *follower, uint32_t slot)
{
    struct ipc_fact_child *fact = &work->children[work->count++];
    *fact = (struct ipc_fact_child){.follower_no = follower->row->follower_no,
        .slot = slot,
        .incarnation = follower->row->incarnation};
    return fact;
}

static inline void eng_fact_skip(
    struct ipc_fact_child *fact, enum ipc_reason reason, int64_t qty_e8)
{
    fact->kind = IPC_CHILD_SKIP;
    fact->reason = (uint8_t)reason;
    fact->qty_e8 = qty_e8;
}

/* eng_work_wide returns the wide record of the element added last, made like the batch when there
 * is none yet: for samples and steps that only its decision had. */
struct ipc_fact_wide *eng_work_wide(struct eng_work *work);

/* eng_work_wide_at is the same for an earlier element. */
struct ipc_fact_wide *eng_work_wide_at(struct eng_work *work, uint32_t at);

/* eng_work_terms notes the terms of the element added last, where they are not the batch's. */
void eng_work_terms(struct eng_work *work, const struct eng_terms *terms, uint32_t sibling);

/* eng_work_may_leave: may its bytes leave now, or does it wait in its account's queue? Counts the
 * call when it may. */
bool eng_work_may_leave(
    struct eng_work *work, const struct eng_follower *follower, bool as_exit, uint32_t instrument);

/* eng_work_place turns the element added last, which has its quantity and reason, into a place, or
 * into as many as its slices need.
 *   blocked  it waits for its own entry
 *   returns  false when the frame is too short for all of them: the element is taken back and
 *            work->is_full is set */
LS_MUST_USE bool eng_work_place(struct eng_work *work, const struct eng_follower *follower,
    const struct eng_terms *terms, bool blocked);

/* The plan of what the master's fill opens, and of what a reversal opens. */
struct eng_plan *eng_work_fill_plan(struct eng_work *work);
struct eng_plan *eng_work_open_plan(struct eng_work *work, bool by_fill);

/* The plan of a close of this position, in the instrument that it trades. Good until the next call
 * for another follower or position. */
struct eng_plan *eng_work_close_plan(struct eng_work *work, const struct eng_follower *follower,
    const struct eng_position *position, bool by_fill);

/* The same for a close of this side, 0 = of the order's: late fills and what was clamped may stand
 * on the other side of the order that found the master flat, and are closed at a price that trades.
 */
struct eng_plan *eng_work_side_plan(struct eng_work *work, const struct eng_follower *follower,
    const struct eng_position *position, uint8_t side, bool by_fill);

/* eng_work_mapped_plan returns the plan itself where the follower trades the plan's instrument, or
 * one like it for what it trades: lot, tick, freeze quantity and price of that one; the terms of
 * the master's order stay. Good until the next call. */
struct eng_plan *eng_work_mapped_plan(struct eng_work *work, const struct eng_follower *follower,
    struct eng_plan *plan, uint32_t instrument);

/* eng_decide_exit decides a reduction for one follower, from its copied positions.
 *   by_fill   it follows the master's fills
 *   returns   false when the frame is too short (work->is_full) */
LS_MUST_USE bool eng_decide_exit(
    struct eng_work *work, const struct eng_follower *follower, uint32_t slot, bool by_fill);

/* eng_decide_follow_up decides what a position still has to close, or the opening leg that waited
 * for its close. Always adds an element. */
void eng_decide_follow_up(
    struct eng_work *work, const struct eng_follower *follower, uint32_t slot, uint32_t position);

/* eng_decide_open_leg decides the opening part of a reversal. Results as eng_decide_exit. */
LS_MUST_USE bool eng_decide_open_leg(
    struct eng_work *work, const struct eng_follower *follower, uint32_t slot, bool by_fill);

/* eng_exit_floor_e8 floors what is closed to the lot of the follower's own broker, which is the
 * batch's but where brokers differ. */
static inline int64_t eng_exit_floor_e8(
    const struct eng_plan *plan, const struct eng_follower *follower, int64_t qty_e8)
{
    struct eng_contract at;
    if (LS_LIKELY(plan->contracts.count == 0) ||
        !eng_contract_at(&plan->contracts, follower->row->broker, &at))
        return eng_lot_floor(&plan->sizer, qty_e8);
    return qty_e8 - qty_e8 % at.lot_qty_e8;
}

/* eng_decide_gone: the master's order has filled, and nothing is left of what he held on the side
 * that it closes: what is held of it is closed, and entries that he does not have any more are
 * cancelled. Adds nothing where nothing is left. Results as above. */
LS_MUST_USE bool eng_decide_gone(
    struct eng_work *work, const struct eng_follower *follower, uint32_t slot);

/* eng_decide_copies decides what becomes of the copies that a follower has of the order: amended,
 * cancelled, replaced.
 *   newest  its newest copy
 * Results as above. */
LS_MUST_USE bool eng_decide_copies(
    struct eng_work *work, const struct eng_follower *follower, uint32_t slot, uint32_t newest);

/* eng_decide_step_down decides an opening that the broker's margin check refused: one lot fewer, by
 * choice.
 *   child  ENG_CHILD_STEP, in the settle list
 * Results as above. */
LS_MUST_USE bool eng_decide_step_down(
    struct eng_work *work, const struct eng_follower *follower, uint32_t child);

/* eng_decide_catch_up decides a missed opening that is to be made good.
 *   child  ENG_CHILD_CATCH, in the settle list
 * Results as above. */
LS_MUST_USE bool eng_decide_catch_up(
    struct eng_work *work, const struct eng_follower *follower, uint32_t child);

/* eng_step_gone_e8 returns what a child of ENG_CHILD_STEP gave up: its quantity less that of the
 * copy that went in its place, all of it when none did. newest  newest copy that the follower has
 * of the order */
int64_t eng_step_gone_e8(const struct eng_core *core, uint32_t newest, uint32_t child);

/* eng_decide_bracket decides the protective legs of the copies that a follower has of the order:
 * placed, amended, cancelled.
 *   child  a leg or an entry of it (ENG_CHILD_LEGS), in the settle list
 * Results as above. */
LS_MUST_USE bool eng_decide_bracket(
    struct eng_work *work, const struct eng_follower *follower, uint32_t child);

/* eng_decide_fill decides an opening that follows the master's fills. Results as above. */
LS_MUST_USE bool eng_decide_fill(
    struct eng_work *work, const struct eng_follower *follower, uint32_t slot);

#endif
