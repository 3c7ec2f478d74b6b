/* risk.h: the pipeline of SEMANTICS 2 for one follower: filters, quantity, caps. The first reason
 * wins.
 *
 * What all followers of a batch share stands in struct eng_plan, made once. Openings pass every
 * step; a reduction passes the switches (halt alone stops it), the instrument, and its size from
 * the follower's own copied position. Pure but for the list cache inside the plan. */
#ifndef LS_ENGINE_CORE_PIPELINE_RISK_H
#define LS_ENGINE_CORE_PIPELINE_RISK_H

#include "engine/core/contract.h"
#include "engine/core/core_private.h"
#include "engine/core/hours.h"
#include "engine/core/protect.h"
#include "engine/core/sizing.h"

#define ENG_LIST_CACHE 8

struct eng_plan {
    const struct eng_core *core;
    const struct ipc_snapshot_view *view;
    const struct eng_order *order;
    const struct ipc_row_instrument *instrument; /* as the master's broker has it; NULL = not in the
                                                    snapshot */
    const struct eng_batch_sample *sample;
    struct eng_contracts contracts;       /* the instrument at every broker */
    struct ipc_row_instrument master_row; /* storage of `instrument` where brokers differ */
    uint32_t master_broker;
    uint32_t order_index;
    bool is_exit;
    bool ended;  /* the master's order ended before all of it was filled */
    bool closed; /* an entry that filled and whose position the master has closed since */
    struct eng_sizer sizer;
    struct eng_shape shape;
    int64_t age_ns;
    int64_t age_limit_ns;      /* of followers that set none */
    struct eng_hours hours;    /* of the instrument's exchange, now */
    uint32_t asks_day;         /* not 0 = day.h is asked of every follower */
    enum ipc_reason group_bar; /* what stops the master's whole group */
    enum ipc_reason barred; /* what stops every entry of the batch before a follower is looked at */
    int64_t price_age_ns;   /* of the last price; infinite when it is unknown */
    int64_t value_price_e8; /* the order's own limit, else 0: the last price counts */
    int64_t freeze_qty_e8;  /* largest lot multiple that one order may have; 0 = no limit */
    uint32_t entries_left, exits_left; /* children that still fit the tables and the caps */
    enum ipc_reason entries_why;       /* what an entry without room is skipped for */
    uint32_t calls_left; /* of the engine, for entries; what is above waits in the queues */
    uint32_t plain_left; /* entries that need none of these asked */
    bool suspects;       /* the batch may repeat another order */
    int64_t *firm_left_e8; /* what the firm may still add; the plans of a batch share one */
    int64_t firm_own_e8;
    struct {
        uint32_t list; /* 1 + index, 0 = empty */
        bool contains;
    } lists[ENG_LIST_CACHE];
};

/* eng_plan_make does the work of a batch that does not depend on the follower.
 *   order  as it is copied: the master's, or a part of it made up as an order of its own (what
 *          filled, the opening leg of a reversal); must live as long as the plan
 *   index  of the master's order */
void eng_plan_make(struct eng_plan *plan, const struct eng_core *core, uint32_t index,
    const struct eng_order *order, bool refuses_market, const struct eng_batch_sample *sample);

/* One follower of the batch. */
struct eng_follower {
    const struct ipc_row_follower *row;
    const struct eng_slot *slot; /* NULL = nothing was ever decided for it */
    const struct eng_account *account;
    const struct eng_follower_sample *sample;
    enum ipc_switch word; /* strictest of all that concern it */
};

/* eng_map_item returns what the follower's symbol map puts in place of an instrument, NULL when it
 * has no map or the map does not name it. */
const struct ipc_row_map_item *eng_map_item(
    const struct ipc_snapshot_view *view, const struct ipc_row_follower *row, uint32_t instrument);

/* eng_row_trades returns what the follower trades when its master trades this instrument. */
static inline uint32_t eng_row_trades(
    const struct ipc_snapshot_view *view, const struct ipc_row_follower *row, uint32_t instrument)
{
    const struct ipc_row_map_item *item =
        LS_LIKELY(row->map == 0) ? NULL : eng_map_item(view, row, instrument);
    return LS_LIKELY(item == NULL) ? instrument : item->to;
}

/* eng_sample_price puts the price of the instrument that a follower trades in place of the
 * batch's; unknown where the shell did not sample that one. */
static inline void eng_sample_price(
    const struct eng_follower_sample *sample, uint32_t instrument, struct eng_batch_sample *out)
{
    bool is_own = sample->instrument == instrument;
    out->price_e8 = is_own ? sample->price_e8 : 0;
    out->price_mono_ns = is_own ? sample->price_mono_ns : 0;
}

/* eng_plan_contract is step 4 for one follower: what its broker knows the instrument as
 * (contract.h). */
static inline enum ipc_reason eng_plan_contract(
    const struct eng_plan *plan, const struct eng_follower *follower, bool is_exit)
{
    if (LS_LIKELY(plan->instrument != NULL && plan->contracts.count == 0 &&
                  !(plan->instrument->flags & IPC_INSTRUMENT_GONE)))
        return IPC_REASON_NONE;
    return eng_contract_bars(&plan->contracts, plan->master_broker, follower->row->broker, is_exit);
}

/* eng_plan_symbol_allowed: the order's instrument passes the follower's lists. */
bool eng_plan_symbol_allowed(struct eng_plan *plan, const struct ipc_row_follower *row);

/* eng_plan_entry sizes and checks an opening of a plain follower (eng_row_is_plain); for all of
 * them there is eng_plan_opening in full.h. own_e8   what the follower's copies of this order hold
 * and may still fill, when their total is decided anew: it is not in its own way; else 0 fact gets
 * qty_e8 (the total; of a skip, what it was before the reason struck), reason and sample_e8; the
 * caller has zeroed it returns  true = to be sent */
LS_MUST_USE bool eng_plan_entry(struct eng_plan *plan, const struct eng_follower *follower,
    int64_t own_e8, struct ipc_fact_child *fact);

#endif
