/* throttle.h: caps over many followers, against a runaway (FLT-57, ORDER-SAFETY 3.9): copies per
 * master order, openings per instrument and minute, calls of the engine a second, minute and day,
 * open orders per account, exposure of the firm.
 *
 * Openings alone are held back; exits and cancels are counted where they are calls, and always go.
 * Counting functions belong to apply, the others are pure and read the adopted view. */
#ifndef LS_ENGINE_CORE_THROTTLE_H
#define LS_ENGINE_CORE_THROTTLE_H

#include "engine/core/controls.h"

/* eng_throttle_frame counts the calls that the frame just applied let go; eng_throttle_made the
 * openings that it made. */
void eng_throttle_frame(struct eng_core *core, int64_t mono_ns, int64_t wall_ns);
void eng_throttle_made(struct eng_core *core, uint32_t order, uint32_t openings, int64_t mono_ns);
/* eng_throttle_value carries what an opening may still fill into the exposure of the firm. */
void eng_throttle_value(struct eng_core *core, uint32_t child);

/* eng_throttle_children_left returns how many openings the master's order may still have. */
uint32_t eng_throttle_children_left(const struct eng_core *core, const struct eng_order *order);
/* eng_throttle_symbol_left returns how many openings of the instrument the minute has left. */
uint32_t eng_throttle_symbol_left(
    const struct eng_core *core, uint32_t instrument, int64_t now_mono_ns);
/* eng_throttle_calls_left returns how many calls the engine has left for openings now. */
uint32_t eng_throttle_calls_left(
    const struct eng_core *core, int64_t now_mono_ns, int64_t now_wall_ns);
/* eng_throttle_due returns when an opening may make a call: now or earlier, or INT64_MAX for not
 * this day. */
int64_t eng_throttle_due(const struct eng_core *core, int64_t now_mono_ns, int64_t now_wall_ns);
/* eng_throttle_orders_left returns how many more orders the account may have open. */
uint32_t eng_throttle_orders_left(const struct eng_core *core, uint32_t account);
/* eng_throttle_value_left returns how much more the firm may hold, INT64_MAX = no limit. */
int64_t eng_throttle_value_left(const struct eng_core *core);

#endif
