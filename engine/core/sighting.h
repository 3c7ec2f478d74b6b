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

/* eng_sighting_settles_doubt: the broker's terms, read after the modify's answer was given up. */
static inline bool eng_sighting_settles_doubt(
    const struct eng_child *child, const struct ipc_event *event)
{
    return (child->flags & ENG_CHILD_DOUBT) && event->received_mono_ns > child->not_before_mono_ns;
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
