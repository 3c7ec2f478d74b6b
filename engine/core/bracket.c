#include "engine/core/bracket.h"

#include "engine/core/positions.h"

int64_t eng_bracket_claim_e8(const struct eng_core *core, uint32_t position)
{
    int64_t sum = 0;
    for (uint32_t at = core->positions[position].newest_child; at != ENG_NONE;
         at = core->children[at].position_older) {
        const struct eng_child *child = &core->children[at];
        /* A pair counts once, with the younger one. */
        if ((child->flags & ENG_CHILD_PROTECTS) &&
            (child->sibling == ENG_NONE || child->sibling < at))
            sum = eng_add_saturated(sum, eng_claims_of(core, child).all_e8);
    }
    return sum;
}

static bool is_live(const struct eng_child *child)
{
    return !eng_state_ended(child->state) && child->state != ENG_STATE_NOT_PLACED;
}

/* An entry whose order came with a stop or a target. */
static bool is_protected(const struct eng_core *core, const struct eng_child *child)
{
    const struct eng_order *order = &core->orders[child->order];
    return !(child->flags & ENG_CHILD_EXIT) && child->filled_qty_e8 > 0 &&
           (order->stop_e8 | order->target_e8) != 0;
}

void eng_bracket_look(struct eng_core *core, uint32_t index)
{
    uint32_t order = ENG_NONE;
    for (uint32_t at = core->positions[index].newest_child; at != ENG_NONE;
         at = core->children[at].position_older) {
        struct eng_child *child = &core->children[at];
        if (child->order == order || !is_protected(core, child))
            continue;
        order = child->order; /* one of its copies stands for all of them */
        child->flags |= ENG_CHILD_LEGS;
        eng_settle_put(core, at);
    }
}

void eng_bracket_yield(struct eng_core *core, uint32_t index)
{
    if (!eng_bracket_yields(&core->positions[index]))
        return;
    for (uint32_t at = core->positions[index].newest_child; at != ENG_NONE;
         at = core->children[at].position_older) {
        const struct eng_child *child = &core->children[at];
        if ((child->flags & ENG_CHILD_PROTECTS) && is_live(child) && !child->waits &&
            child->queued != IPC_ACTION_CANCEL && !(child->flags & ENG_CHILD_CANCELLED))
            eng_settle_put(core, at);
    }
}

void eng_bracket_changed(struct eng_core *core, const struct eng_child_touch *touch)
{
    const struct eng_child *child = touch->child;
    struct eng_position *position = &core->positions[child->position];
    bool filled = child->filled_qty_e8 > touch->filled_e8;
    bool ended = child->state != touch->state && !is_live(child);
    if (filled && is_protected(core, child))
        position->flags |= ENG_POSITION_PROTECTED;
    else if (!(position->flags & ENG_POSITION_PROTECTED) ||
             !(ended || (filled && (child->flags & ENG_CHILD_PROTECTS))))
        return;
    eng_bracket_look(core, child->position);
}
