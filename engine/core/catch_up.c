/* A missed order is made good by a person, or by the follower's choice: a new intent for what is
 * still wanted of it (ORDER-SAFETY 3.6). pipeline/decide_catch_up.c decides how much that is. */
#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/positions.h"
#include "engine/core/reconcile_private.h"

/* Why it cannot be, NULL = it can. */
static const char *refusal(const struct eng_core *core, uint32_t index, uint32_t account)
{
    if (index == ENG_NONE)
        return "no order of ours has this tag";
    const struct eng_child *child = &core->children[index];
    if (eng_child_account(core, index) != account)
        return "the order is not of this account";
    if (child->state == ENG_STATE_UNKNOWN || child->state == ENG_STATE_RECONCILING)
        return "its outcome is unknown: the broker's book is being asked";
    if (child->state == ENG_STATE_UNRESOLVED)
        return "its outcome is unknown: look at the order at the broker";
    if (child->state != ENG_STATE_MISSED)
        return "it was not missed: only an order in state MISSED is made good";
    if (child->flags & ENG_CHILD_CAUGHT)
        return "it was made good already";
    if ((child->flags & ENG_CHILD_EXIT) &&
        eng_held_e8(&core->positions[child->position], child->side) == 0)
        return "nothing is held that it could close";
    return NULL;
}

static void put_text(char *out, size_t bytes, const char *text)
{
    for (size_t at = 0; at + 1 < bytes && text[at] != '\0'; at++)
        out[at] = text[at];
}

void eng_catch_up_add(
    struct eng_event_facts *out, const char tag[IPC_TAG_BYTES], const char *by, const char *refusal)
{
    LS_CHECK(out->count < ENG_EVENT_FACTS_MAX);
    out->fact[out->count].type = IPC_FACT_CATCH_UP;
    out->fact[out->count].bytes = sizeof(struct ipc_fact_catch_up);
    struct ipc_fact_catch_up *fact = &out->fact[out->count++].catch_up;
    memset(fact, 0, sizeof *fact);
    memcpy(fact->tag, tag, sizeof fact->tag);
    put_text(fact->by, sizeof fact->by, by);
    fact->refused = refusal != NULL;
    put_text(fact->text, sizeof fact->text,
        refusal != NULL ? refusal : "what is still wanted of it is decided now");
}

void eng_catch_up_step(
    const struct eng_core *core, const struct ipc_event *event, struct eng_event_facts *out)
{
    uint32_t index = eng_child_by_tag_text(core, event->client_tag);
    eng_catch_up_add(
        out, event->client_tag, event->broker_order_id, refusal(core, index, event->account));
}

enum ipc_rc eng_catch_up_apply(struct eng_core *core, const struct eng_frame *frame)
{
    const struct ipc_fact_catch_up *fact = frame->payload;
    if (fact->refused > 1)
        return IPC_BAD_INPUT;
    if (fact->refused)
        return IPC_OK;
    uint32_t index = eng_child_by_tag_text(core, fact->tag);
    if (index == ENG_NONE || (core->children[index].flags & ENG_CHILD_CAUGHT) ||
        (core->children[index].state != ENG_STATE_MISSED &&
            core->children[index].state != ENG_STATE_NOT_PLACED)) /* MISSED by the next frame */
        return IPC_BAD_INPUT;
    struct eng_child *child = &core->children[index];
    child->flags |= ENG_CHILD_CAUGHT;
    if (!(child->flags & ENG_CHILD_EXIT)) {
        child->flags |= ENG_CHILD_CATCH;
        eng_settle_put(core, index);
        return IPC_OK;
    }
    /* What is held is known: the rest of the reduction follows from it. */
    struct eng_position *position = &core->positions[child->position];
    position->flags &= (uint8_t)~ENG_POSITION_REFUSED;
    position->flags |= ENG_POSITION_WANTS;
    eng_position_wants(core, child->position);
    return IPC_OK;
}
