/* forget.h: the market's day as a fact, and what of the tables is older than the day before
 * (ORDER-SAFETY 3.8).
 *
 * The index of orders and children holds the day and the one before it; nothing expires by time.
 * When a day begins (DAY, act BEGIN), what has not changed since before yesterday and is over may
 * be forgotten: its tag, its key and its broker order id are free again. That happens in small
 * steps, each a fact, so that the fold stays a function of the facts and no turn is long. Kept,
 * however old: what has not ended here or at the master, what waits or is doubted, copies whose
 * position is held and has stops or targets, and orders that anything which is kept leads to.
 * Counters keep what was forgotten. */
#ifndef LS_ENGINE_CORE_FORGET_H
#define LS_ENGINE_CORE_FORGET_H

#include "engine/core/hours.h"
#include "engine/core/step.h"

/* eng_day_next makes the next DAY fact: the day's beginning, or the next step of forgetting.
 *   times    of the view in force (eng_market_times_at)
 *   returns  false when there is nothing to do */
LS_MUST_USE bool eng_day_next(
    const struct eng_core *core, const struct eng_market_times *times, struct ipc_fact_day *out);

/* eng_day_of_fold returns the newest day that began, yyyymmdd; 0 = none. */
uint32_t eng_day_of_fold(const struct eng_core *core);

/* eng_day_apply folds one. */
enum ipc_rc eng_day_apply(struct eng_core *core, const struct ipc_fact_day *fact, uint64_t lsn);

#endif
