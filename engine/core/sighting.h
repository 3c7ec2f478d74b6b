/* sighting.h: what a broker's feed or book says of a follower's order, as an event of its life. */
#ifndef LS_ENGINE_CORE_SIGHTING_H
#define LS_ENGINE_CORE_SIGHTING_H

#include "engine/core/core_private.h"
#include "engine/core/lifecycle.h"

/* eng_sighting_event names the state that the event shows. */
static inline enum eng_life eng_sighting_event(const struct ipc_event *event)
{
    switch ((enum ipc_status)event->status) {
    case IPC_STATUS_PENDING:
    case IPC_STATUS_OPEN:
        break;
    case IPC_STATUS_FILLED:
        return ENG_LIFE_SEEN_FILLED;
    case IPC_STATUS_CANCELLED:
        return ENG_LIFE_SEEN_CANCELLED;
    case IPC_STATUS_REJECTED:
        return ENG_LIFE_SEEN_REJECTED;
    case IPC_STATUS_EXPIRED:
        return ENG_LIFE_SEEN_EXPIRED;
    }
    return event->filled_qty_e8 > 0 ? ENG_LIFE_SEEN_PARTIAL : ENG_LIFE_SEEN_OPEN;
}

/* A request that was given up may still be on its way, and a book lags behind what was done: only
 * what is read this long after it tells that the request was not done. */
#define ENG_DOUBT_SETTLE_NS (3 * LS_NS_PER_S)

/* eng_doubt_start: from mono_ns on nobody knows whether the broker has the newest terms or those it
 * had. The larger quantity counts until that is settled. */
static inline void eng_doubt_start(struct eng_child *child, int64_t mono_ns)
{
    child->flags |= ENG_CHILD_DOUBT;
    child->doubt_end_mono_ns = eng_add_saturated(mono_ns, ENG_DOUBT_SETTLE_NS);
}

/* eng_sighting_shows_change: the terms that were asked for stand in the book, so it was done. */
static inline bool eng_sighting_shows_change(
    const struct eng_child *child, const struct ipc_event *event)
{
    return event->qty_e8 == child->qty_e8 && event->price_e8 == child->price_e8 &&
           event->trigger_e8 == child->trigger_e8 && child->qty_e8 >= child->asked_qty_e8 &&
           (child->qty_e8 != child->known_qty_e8 || child->price_e8 != child->known_price_e8 ||
               child->trigger_e8 != child->known_trigger_e8);
}

/* eng_sighting_settles_doubt: the change is seen done, or these are the broker's terms long enough
 * after the modify's answer was given up. */
static inline bool eng_sighting_settles_doubt(
    const struct eng_child *child, const struct ipc_event *event)
{
    return (child->flags & ENG_CHILD_DOUBT) && event->qty_e8 > 0 &&
           (event->received_mono_ns > child->doubt_end_mono_ns ||
               eng_sighting_shows_change(child, event));
}

/* eng_sighting_changes: it moves the child, fills more of it, tells its broker id, or settles the
 * doubt about its terms. */
static inline bool eng_sighting_changes(
    const struct eng_child *child, const struct ipc_event *event)
{
    struct eng_life_cell cell =
        eng_life_cell((enum eng_state)child->state, eng_sighting_event(event));
    return cell.action == ENG_LIFE_MOVE || cell.action == ENG_LIFE_GHOST ||
           event->filled_qty_e8 > child->filled_qty_e8 || child->broker_order_id[0] == '\0' ||
           eng_sighting_settles_doubt(child, event);
}

#endif
