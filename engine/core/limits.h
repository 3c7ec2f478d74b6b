/* limits.h: money limits (SEMANTICS 10): when one is reached, what it stops, and when it lifts.
 *
 * Not computed in the wave. A pass of the pinned thread looks at a few followers a turn
 * (engine/turn_limits.c): it walks a follower's open positions, samples their last prices and the
 * account's equity, and eng_limits_decide writes LIMIT facts; applying a TRIP sets the follower's
 * word, and an opening only tests that. Followers without money limits are never walked.
 *
 *     kind                        measured                                     lifts
 *     daily-loss                  realised today + change of unrealised today  next session
 *     daily-loss-fraction         the same, or the change of the account's     next session
 *                                 equity, whichever is worse; of day-start
 *                                 equity
 *     drawdown, -fraction         equity against the day's maximum             next session
 *     trailing                    realised + unrealised since it joined        a person
 *                                 against the maximum of realised - protected
 *     equity-stop                 equity against an amount, or a fraction of   a person
 *                                 what was invested
 *     figures-unknown             a limit needs a figure that nobody knows     when it is known
 *
 * Reached means value <= -limit, or <= the stop level. A day limit lifts when the first session of
 * a later market day opens (in the market's zone), not at any midnight. A person may resume
 * earlier: the same day limits are then not judged again before the next session; trailing starts
 * anew from the result as it is; an equity stop that is still reached trips again, so its limit is
 * changed first. */
#ifndef LS_ENGINE_CORE_LIMITS_H
#define LS_ENGINE_CORE_LIMITS_H

#include "engine/core/hours.h"
#include "engine/core/step.h"

/* --- the pass ----------------------------------------------------------------------------------
 */

/* eng_limits_clock makes the DAY or SESSION fact that is due.
 *   times    of eng_market_times_at for the adopted view
 *   returns  true with *out filled; ask again after it was applied */
LS_MUST_USE bool eng_limits_clock(
    const struct eng_core *core, const struct eng_market_times *times, struct ipc_fact_limit *out);

/* eng_limits_count returns how many followers have limits to be judged; eng_limits_slot the slot of
 * one of them, index in [0, count). The list changes with each generation. */
uint32_t eng_limits_count(const struct eng_core *core);
uint32_t eng_limits_slot(const struct eng_core *core, uint32_t index);

/* One follower's open positions, one price after the other. */
struct eng_limits_walk {
    const struct eng_core *core;
    uint32_t slot;
    uint32_t at; /* 1 + position */
    int64_t unrealised_e8;
    bool is_blind; /* an open position has no price */
};
void eng_limits_begin(const struct eng_core *core, uint32_t slot, struct eng_limits_walk *walk);
/* eng_limits_next returns the instrument whose price is asked, 0 = no more. */
uint32_t eng_limits_next(const struct eng_limits_walk *walk);
/* eng_limits_price takes its last price, 0 = unknown, and goes on. */
void eng_limits_price(struct eng_limits_walk *walk, int64_t price_e8);

/* What is sampled for one follower; time 0 = unknown. */
struct eng_limits_sample {
    int64_t equity_e8, equity_mono_ns;
    int64_t master_equity_e8, master_equity_mono_ns; /* of groups that stop with their master */
    int64_t equity_high_e8, master_high_e8; /* highest that the caller sampled this market day */
    int64_t now_mono_ns;
    bool keep_peak; /* a new maximum is worth a fact now */
};

#define ENG_LIMITS_FACTS_MAX 12
/* eng_limits_decide judges one follower after its walk.
 *   out      room for ENG_LIMITS_FACTS_MAX
 *   returns  facts to journal and apply in order, [0, ENG_LIMITS_FACTS_MAX]; most often 0 */
uint32_t eng_limits_decide(const struct eng_limits_walk *walk,
    const struct eng_limits_sample *sample, struct ipc_fact_limit *out);

/* eng_limits_wants says which figures the follower's limits read. */
struct eng_limits_wants {
    bool equity, master_equity;
    uint32_t account, master;
    uint16_t broker, master_broker;
};
void eng_limits_wants(const struct eng_core *core, uint32_t slot, struct eng_limits_wants *out);

/* --- pure rules --------------------------------------------------------------------------------
 */

/* eng_loss_reached: value <= -limit exactly; a limit of 0 is not set. */
static inline bool eng_loss_reached(int64_t value_e8, int64_t limit_e8)
{
    return limit_e8 > 0 && value_e8 <= -limit_e8;
}
/* eng_fraction_money_e8 returns fraction x base, rounded down, saturated. */
int64_t eng_fraction_money_e8(int64_t base_e8, int64_t fraction_e8);
/* eng_trailing_level_e8 returns the stop level of trailing capital. */
static inline int64_t eng_trailing_level_e8(int64_t realised_high_e8, int64_t protect_e8)
{
    return realised_high_e8 - protect_e8;
}

#endif
