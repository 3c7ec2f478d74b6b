/* What nobody could prove, a person has looked up: an UNRESOLVED order was never placed, or so much
 * of it filled (ORDER-SAFETY 3.6). The verdict is a fact like any other proof, and final for us:
 * what a book or a feed shows of the order later is counted as the table of lives says. */
#include "engine/core/apply.h"
#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/reconcile_private.h"

/* Why it cannot be, NULL = it can. */
static const char *refusal(
    const struct eng_core *core, uint32_t index, const struct ipc_event *event, int64_t price_e8)
{
    if (index == ENG_NONE)
        return "no order of ours has this tag";
    const struct eng_child *child = &core->children[index];
    int64_t filled = event->filled_qty_e8;
    if (eng_child_account(core, index) != event->account)
        return "the order is not of this account";
    if (child->state == ENG_STATE_UNKNOWN || child->state == ENG_STATE_RECONCILING)
        return "the broker's book is being asked still: wait until it is UNRESOLVED";
    if (child->state != ENG_STATE_UNRESOLVED)
        return "only an order in state UNRESOLVED is a person's to decide";
    if (child->flight != 0)
        return "a request of it is under way: try again when it is answered";
    if (filled == 0)
        return child->filled_qty_e8 != 0 ? "part of it is known to have filled" : NULL;
    if (filled < child->filled_qty_e8)
        return "more of it is known to have filled";
    if (filled > child->qty_e8)
        return "it was for less than that";
    if (price_e8 <= 0)
        return "it has no limit price: say at which it filled, --price";
    return price_e8 > ENG_PRICE_MAX_E8 ? "the price is out of bounds" : NULL;
}

void eng_resolve_step(
    const struct eng_core *core, const struct ipc_event *event, struct eng_event_facts *out)
{
    uint32_t index = eng_child_by_tag_text(core, event->client_tag);
    LS_CHECK(out->count < ENG_EVENT_FACTS_MAX);
    out->fact[out->count].type = IPC_FACT_RESOLVE;
    out->fact[out->count].bytes = sizeof(struct ipc_fact_resolve);
    struct ipc_fact_resolve *fact = &out->fact[out->count++].resolve;
    memset(fact, 0, sizeof *fact);
    memcpy(fact->tag, event->client_tag, sizeof fact->tag);
    memcpy(fact->by, event->broker_order_id, sizeof fact->by);
    fact->filled_qty_e8 = event->filled_qty_e8;
    if (fact->filled_qty_e8 != 0) {
        fact->average_price_e8 = event->average_price_e8;
        if (fact->average_price_e8 == 0 && index != ENG_NONE)
            fact->average_price_e8 = core->children[index].price_e8;
    }
    const char *text = refusal(core, index, event, fact->average_price_e8);
    fact->refused = text != NULL;
    if (text == NULL)
        text = fact->filled_qty_e8 == 0 ? "it was never placed" : "so much of it filled, no more";
    for (size_t at = 0; at + 1 < sizeof fact->text && text[at] != '\0'; at++)
        fact->text[at] = text[at];
}

enum ipc_rc eng_resolve_apply(struct eng_core *core, const struct eng_frame *frame)
{
    const struct ipc_fact_resolve *fact = frame->payload;
    if (fact->refused > 1)
        return IPC_BAD_INPUT;
    if (fact->refused)
        return IPC_OK;
    uint32_t index = eng_child_by_tag_text(core, fact->tag);
    if (index == ENG_NONE)
        return IPC_BAD_INPUT;
    struct eng_child *child = &core->children[index];
    if (child->state != ENG_STATE_UNRESOLVED || child->flight != 0 ||
        fact->filled_qty_e8 < child->filled_qty_e8 || fact->filled_qty_e8 > child->qty_e8 ||
        fact->average_price_e8 < 0 || fact->average_price_e8 > ENG_PRICE_MAX_E8 ||
        (fact->filled_qty_e8 != 0) != (fact->average_price_e8 != 0))
        return IPC_BAD_INPUT;
    struct eng_child_touch touch = eng_child_begin(core, index);
    enum eng_life life = ENG_LIFE_MISS;
    if (fact->filled_qty_e8 != 0) {
        eng_child_fill(core, child, fact->filled_qty_e8, fact->average_price_e8);
        life =
            fact->filled_qty_e8 == child->qty_e8 ? ENG_LIFE_SEEN_FILLED : ENG_LIFE_SEEN_CANCELLED;
        if (child->known_qty_e8 == 0)
            eng_terms_known(child);
    }
    (void)eng_child_live(core, child, life);
    eng_child_end(core, &touch);
    return IPC_OK;
}
