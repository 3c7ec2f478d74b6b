/* A planted bug: what was heard of an order is forgotten after two seconds, so a state that is told
 * again later is a new order. In place of event.c in lockstep-sim-plant-dedupe. */
#include "engine/core/core_private.h"
#include "engine/core/dedupe.h"

#define PLANT_WINDOW_NS (2 * LS_NS_PER_S)

static uint32_t planted(const struct eng_core *core, const struct ipc_event *event)
{
    uint32_t index = eng_order_find(core, event->order_key);
    if (index != ENG_NONE &&
        event->received_mono_ns - core->orders[index].received_mono_ns > PLANT_WINDOW_NS)
        return ENG_NONE;
    return index;
}

#define eng_order_find(core, key) planted(core, event)

#include "engine/core/pipeline/event.c"
