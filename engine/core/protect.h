/* protect.h: the shape in which a master's order leaves: type, price, trigger.
 *
 * Where a broker refuses market orders they leave as limits with market-price protection. Prices go
 * to the tick so that rounding never widens the guard: BUY down, SELL up (SEMANTICS 3). Pure; runs
 * once per batch. */
#ifndef LS_ENGINE_CORE_PROTECT_H
#define LS_ENGINE_CORE_PROTECT_H

#include "engine/core/core_private.h"

struct eng_shape {
    uint8_t side, type, product, validity;
    bool needs_price; /* an entry that cannot leave without a fresh last price */
    int64_t price_e8, trigger_e8;
};

/* eng_tick_round moves a price to the tick: down for BUY, up for SELL; tick 0 changes nothing. */
int64_t eng_tick_round(int64_t price_e8, int64_t tick_e8, uint8_t side);

/* eng_protected_price returns price x (1 +- band), on the tick, at least one tick.
 *   price_e8   > 0, the base
 *   is_option  selects the grid */
int64_t eng_protected_price(const struct eng_core_config *config, int64_t price_e8, int64_t tick_e8,
    uint8_t side, bool is_option);

/* eng_shape_make shapes an order for brokers of one class.
 *   row           of the instrument; NULL = unknown: prices stay as they are
 *   last_e8, last_age_ns  the last price and its age; 0 = unknown
 * An exit whose protected price has no base descends: fresh last price, the master's fill, an old
 * last price, and at the end the broker's own protection: it leaves as the market order it is. */
struct eng_shape eng_shape_make(const struct eng_core_config *config, const struct eng_order *order,
    const struct ipc_row_instrument *row, bool is_exit, bool refuses_market, int64_t last_e8,
    int64_t last_age_ns);

#endif
