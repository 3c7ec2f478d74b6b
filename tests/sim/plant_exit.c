/* A planted bug: an exit that was in flight when the process died is taken as not sent, and goes
 * again. In place of recover.c in lockstep-sim-plant-exit. */
#include "engine/core/children.h"

static void planted(struct eng_core *core, struct eng_child *child, enum eng_life event)
{
    bool repeats = event == ENG_LIFE_RECOVERED && (child->flags & ENG_CHILD_EXIT);
    (void)eng_child_live(core, child, repeats ? ENG_LIFE_NOT_SENT : event);
    if (repeats)
        eng_child_queue(core, (uint32_t)(child - core->children), IPC_ACTION_PLACE, 0);
}

#define eng_child_live(core, child, event) planted(core, child, event)

#include "engine/core/recover.c"
