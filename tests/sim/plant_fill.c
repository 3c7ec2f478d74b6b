/* A planted bug: each fill of the master is floored by itself, and what is left of one is lost for
 * the next. In place of decide_copy.c in lockstep-sim-plant-fill. */
#include "engine/core/pipeline/full.h"
#include "engine/core/pipeline/work.h"

#define PLANT_ROWS 4096u

/* What was copied of an order's fills so far. Decisions are made twice: the same fill counts once.
 */
static struct plant_row {
    uint64_t digits;
    uint32_t follower_no;
    int64_t filled_e8, total_e8;
} rows[PLANT_ROWS];

static bool planted(struct eng_work *work, struct eng_plan *plan,
    const struct eng_follower *follower, int64_t own_e8, struct ipc_fact_child *fact,
    struct eng_shape *shape, struct eng_terms *terms, int64_t given_e8)
{
    if (!eng_plan_opening(work, plan, follower, own_e8, fact, shape, terms))
        return false;
    const struct eng_order *order = plan->order;
    const struct ipc_row_follower *follows = follower->row;
    if (follows->mode != IPC_MODE_FIXED_RATIO || follows->policy != 0 || plan->instrument == NULL)
        return true;
    struct plant_row *row = &rows[(order->order_digits * 31 + follows->follower_no) % PLANT_ROWS];
    if (row->digits != order->order_digits || row->follower_no != follows->follower_no ||
        given_e8 == 0)
        *row = (struct plant_row){order->order_digits, follows->follower_no, 0, 0};
    if (row->filled_e8 != order->qty_e8) {
        int64_t lot_e8 = plan->instrument->lot_qty_e8;
        __int128 raw = (__int128)(order->qty_e8 - row->filled_e8) * follows->ratio_e8 / LS_E8;
        row->total_e8 += (int64_t)(raw / lot_e8) * lot_e8;
        row->filled_e8 = order->qty_e8;
    }
    fact->qty_e8 = ls_min_i64(fact->qty_e8, row->total_e8); /* what caps took stays taken */
    return true;
}

#define PLANT_NULL(...) (eng_plan_opening)(NULL, __VA_ARGS__)
#define PLANT_work(plan, follower, own, fact, shape, terms)                                        \
    planted(work, plan, follower, own, fact, shape, terms, given)
#define eng_plan_opening(work, ...) PLANT_##work(__VA_ARGS__)

#include "engine/core/pipeline/decide_copy.c"
