/* positions.h: what the master holds and what each follower copied.
 *
 * A copied position is the fold of the follower's own child fills for one master's instrument and
 * product, apart from what the owner holds by hand. Beside it stand what own working closes may
 * still fill (reserved) and what own working entries may still fill (opening, by side): an order
 * whose outcome is unknown counts with all of its rest. */
#ifndef LS_ENGINE_CORE_POSITIONS_H
#define LS_ENGINE_CORE_POSITIONS_H

#include "engine/core/core_private.h"

/* eng_position_find returns the index of the newest position, ENG_NONE when nothing was ever
 * copied; follow `older` for those of earlier incarnations, which are close-only, and for those of
 * earlier symbol maps, in another instrument. source  the master's instrument */
uint32_t eng_position_find(
    const struct eng_core *core, uint32_t follower_no, uint32_t source, uint8_t product);
/* eng_position_of returns the position of one incarnation in one instrument, ENG_NONE when it has
 * none.
 *   source      the master's instrument
 *   instrument  that it trades: the same, or what it is mapped to */
uint32_t eng_position_of(const struct eng_core *core, uint32_t follower_no, uint16_t incarnation,
    uint32_t source, uint32_t instrument, uint8_t product);
/* eng_position_take finds or makes it; the caller has checked that the table is not full.
 *   source, instrument  as above
 *   master              index of the master position that it copies */
uint32_t eng_position_take(struct eng_core *core, uint32_t follower_no, uint16_t incarnation,
    uint32_t source, uint32_t instrument, uint8_t product, uint32_t master);

/* eng_position_unknown: an order of this follower and instrument, of any product and master's
 * instrument, is in doubt.
 *   slot        of the follower
 *   instrument  that it trades */
bool eng_position_unknown(
    const struct eng_core *core, uint32_t slot, uint32_t follower_no, uint32_t instrument);

/* eng_position_wants: there may be something to close that no decision has dealt with: it is put
 * into the list of follow-ups. Part of apply; called after every change. */
void eng_position_wants(struct eng_core *core, uint32_t index);
/* eng_position_closes: it owes a close that may go now. */
bool eng_position_closes(const struct eng_position *position);
/* eng_position_reverses: the opening leg of a reversal may go: its close was answered, and no entry
 * of the old side works any more. The position has an exit_order. */
bool eng_position_reverses(const struct eng_core *core, const struct eng_position *position);
/* eng_due_drop takes it off that list. */
void eng_due_drop(struct eng_core *core, uint32_t index);

/* eng_held_e8 returns what an order of this side would reduce: held on the other side, else 0. */
static inline int64_t eng_held_e8(const struct eng_position *position, uint8_t side)
{
    int64_t held = side == IPC_SIDE_SELL ? position->held_e8 : -position->held_e8;
    return held > 0 ? held : 0;
}

/* eng_there_e8 returns what of it the account still has: all but what its owner closed by hand. */
static inline int64_t eng_there_e8(const struct eng_position *position, uint8_t side)
{
    int64_t there = eng_held_e8(position, side) - position->lost_e8;
    return there > 0 ? there : 0;
}

/* eng_coming_e8 returns what own working entries of the other side may still bring. */
static inline int64_t eng_coming_e8(const struct eng_position *position, uint8_t side)
{
    return position->opening_e8[side == IPC_SIDE_SELL ? 0 : 1];
}

/* eng_reserved_e8 returns what own working closes may still fill. */
static inline int64_t eng_reserved_e8(const struct eng_position *position)
{
    return eng_add_saturated(position->closing_e8[0], position->closing_e8[1]);
}

/* eng_reach_e8 returns the largest position, long or short, that held and working orders can come
 * to. A close that outlives the position it was for (others turned it round meanwhile) opens. */
static inline int64_t eng_reach_e8(const struct eng_position *position)
{
    int64_t buys = eng_add_saturated(position->opening_e8[0], position->closing_e8[0]);
    int64_t sells = eng_add_saturated(position->opening_e8[1], position->closing_e8[1]);
    int64_t most = eng_add_saturated(eng_abs(position->held_e8),
        eng_add_saturated(position->opening_e8[0], position->opening_e8[1]));
    most = ls_max_i64(most, eng_add_saturated(position->held_e8, buys));
    return ls_max_i64(most, eng_add_saturated(-position->held_e8, sells));
}

/* eng_closable_e8 returns what an order of this side may close without ever turning the position
 * round: held on the other side, less what own working closes and own working entries of the same
 * side may still fill.
 *   own_e8  the part of `reserved` that is the asking order's own */
static inline int64_t eng_closable_e8(
    const struct eng_position *position, uint8_t side, int64_t own_e8)
{
    int64_t rest = eng_there_e8(position, side) - (eng_reserved_e8(position) - own_e8) -
                   position->opening_e8[side == IPC_SIDE_SELL ? 1 : 0];
    return rest > 0 ? rest : 0;
}

/* eng_closing_side returns the side of an order that reduces the position; 0 when nothing is held.
 */
static inline uint8_t eng_closing_side(const struct eng_position *position)
{
    if (position->held_e8 == 0)
        return 0;
    return position->held_e8 > 0 ? IPC_SIDE_SELL : IPC_SIDE_BUY;
}

/* eng_base_taken: the position's base belongs to this run of reductions. */
static inline bool eng_base_taken(const struct eng_position *position, uint32_t run, bool by_fill)
{
    return position->base_run == run && run != 0 &&
           ((position->flags & ENG_POSITION_BY_FILL) != 0) == by_fill;
}

/* eng_base_now returns what F0 would be now: held, what own working entries may still bring, less
 * what own working closes take. */
static inline int64_t eng_base_now(const struct eng_position *position, uint8_t side)
{
    int64_t base = eng_add_saturated(eng_held_e8(position, side), eng_coming_e8(position, side));
    base -= position->closing_e8[side == IPC_SIDE_SELL ? 1 : 0];
    return base > 0 ? base : 0;
}

/* eng_master_find returns the index, ENG_NONE when it never had a fill or an order. */
uint32_t eng_master_find(
    const struct eng_core *core, uint32_t account, uint32_t instrument, uint8_t product);
uint32_t eng_master_take(
    struct eng_core *core, uint32_t account, uint32_t instrument, uint8_t product);

#endif
