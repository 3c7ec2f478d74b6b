/* Judges a case with eng_judge, event by event; a run of events is played in the world where every
 * order fills whole and at once. */
#include "engine/whatif_case.h"

#include "engine/core/pipeline/fold.h"
#include "engine/core/pipeline/pool.h"

static int64_t plus(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? (b < 0 ? INT64_MIN : INT64_MAX) : sum;
}

static void collect(struct whatif_answer *answer)
{
    const struct eng_verdict *verdict = &answer->verdict;
    if (verdict->act != ENG_ACT_PLACE && verdict->act != ENG_ACT_MODIFY &&
        verdict->act != ENG_ACT_REPLACE)
        return;
    answer->placed |= verdict->act == ENG_ACT_PLACE && verdict->leg_count != 0;
    for (uint32_t i = 0; i < verdict->leg_count; i++) {
        for (uint32_t at = 0; at < verdict->legs[i].slices; at++) {
            if (answer->order_count == WHATIF_ORDERS_MAX) {
                answer->orders_cut = true;
                return;
            }
            answer->orders[answer->order_count++] = (struct whatif_order){
                .leg = verdict->legs[i], .qty_e8 = eng_leg_slice(&verdict->legs[i], at)};
        }
    }
}

static int64_t placed_qty(const struct eng_verdict *verdict)
{
    int64_t sum = 0;
    if (verdict->act == ENG_ACT_PLACE)
        for (uint32_t i = 0; i < verdict->leg_count; i++)
            sum = plus(sum, verdict->legs[i].qty_e8);
    return sum;
}

/* What an increment opens of the order: the rest of it closes the position before. */
static int64_t opens(int64_t before_e8, uint8_t side, int64_t qty_e8)
{
    int64_t against = side == IPC_SIDE_SELL ? before_e8 : -before_e8;
    if (against <= 0)
        return qty_e8;
    return qty_e8 > against ? qty_e8 - against : 0;
}

/* One element of a run: where the master stands before and after it. */
static void advance(struct whatif_case *question, int64_t increment_e8, bool fills)
{
    struct eng_case_shared *shared = &question->shared;
    shared->after_e8 =
        plus(shared->before_e8, shared->side == IPC_SIDE_BUY ? increment_e8 : -increment_e8);
    if (fills)
        shared->qty_e8 = plus(shared->qty_e8, opens(shared->before_e8, shared->side, increment_e8));
    else
        shared->qty_e8 = increment_e8;
}

static void run_sequence(struct whatif_case *question, struct whatif_answer *answer)
{
    struct eng_case_shared *shared = &question->shared;
    bool fills = question->run != WHATIF_ORDERS;
    int64_t whole = shared->order_qty_e8, total = 0;
    shared->qty_e8 = 0;
    for (uint32_t i = 0; i < question->count; i++) {
        int64_t increment = question->seq_e8[i];
        if (question->run == WHATIF_CUM_FILLS)
            increment = increment > total ? increment - total : 0; /* late or repeated */
        total = plus(total, increment);
        shared->complete = whole == 0 ? i + 1 == question->count : total >= whole;
        advance(question, increment, fills);
        struct eng_base base = question->judged.follower.base;
        eng_judge(&question->judged, &answer->verdict, &answer->trace);
        collect(answer);
        answer->qty_seq_e8[answer->seq_count++] = placed_qty(&answer->verdict);
        eng_fold_filled(&question->judged.follower, &answer->verdict, fills);
        if (increment == 0) /* nothing happened: a run of reductions goes on after it */
            question->judged.follower.base = base;
        shared->before_e8 = shared->after_e8;
    }
}

static void run_pool(struct whatif_case *question, struct whatif_answer *answer)
{
    /* Weights that fit no account leave all of it unsplit: zeros. */
    enum ipc_rc rc = eng_pool_split(question->shared.qty_e8, question->unit_e8, question->weights,
        question->count, (enum eng_pool_rest)question->pool_rest, answer->alloc_e8);
    answer->alloc_count = question->count;
    answer->verdict.act = rc == IPC_OK ? ENG_ACT_PLACE : ENG_ACT_SKIP;
    answer->verdict.reason = rc == IPC_OK ? IPC_REASON_NONE : IPC_REASON_QTY_ZERO;
    answer->trace.steps[0] =
        (struct ipc_step){.code = IPC_STEP_MASTER_QTY, .value_e8 = question->shared.qty_e8};
    answer->trace.steps[1] = (struct ipc_step){.code = IPC_STEP_LOT, .value_e8 = question->unit_e8};
    answer->trace.count = 2;
    for (uint32_t i = 0; i < answer->alloc_count && answer->trace.count < IPC_STEPS_MAX; i++)
        answer->trace.steps[answer->trace.count++] =
            (struct ipc_step){.code = IPC_STEP_POOL_SHARE, .value_e8 = answer->alloc_e8[i]};
}

void whatif_run(struct whatif_case *question, struct whatif_answer *answer)
{
    answer->order_count = answer->seq_count = answer->alloc_count = 0;
    answer->orders_cut = answer->placed = false;
    answer->trace.count = 0;
    answer->verdict = (struct eng_verdict){0};
    switch ((enum whatif_run)question->run) {
    case WHATIF_ONE:
        eng_judge(&question->judged, &answer->verdict, &answer->trace);
        collect(answer);
        return;
    case WHATIF_FILLS:
    case WHATIF_CUM_FILLS:
    case WHATIF_ORDERS:
        run_sequence(question, answer);
        return;
    case WHATIF_POOL:
        run_pool(question, answer);
        return;
    }
}
