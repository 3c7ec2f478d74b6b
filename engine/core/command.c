/* What leaves and what comes back: commands made of applied facts, replies made into facts. */
#include "engine/core/children.h"
#include "engine/core/contract.h"
#include "engine/core/dedupe.h"
#include "engine/core/pace.h"

uint32_t eng_core_applied(const struct eng_core *core, const uint32_t **handles)
{
    *handles = core->applied;
    return core->applied_count;
}

enum ipc_rc eng_core_command(const struct eng_core *core, uint32_t index, struct ipc_command *out)
{
    LS_CHECK(core->view != NULL && index < core->fold.child_count);
    const struct eng_child *child = &core->children[index];
    LS_CHECK(child->flight != 0);
    const struct eng_order *order = &core->orders[child->order];
    const struct ipc_row_instrument *instrument = eng_instrument_row(core->view, child->instrument);
    const struct ipc_row_follower *row = eng_follower_row(core->view, child->slot);
    const struct eng_slot *slot = eng_slot_of(core, child->slot, child->follower_no);
    out->action = child->flight;
    out->request_no = child->request_no;
    if (instrument == NULL || row == NULL || row->follower_no != child->follower_no || slot == NULL)
        return IPC_NOT_FOUND;
    /* The token of another broker may be another instrument: without the own one only what names
     * the order leaves. */
    const char *token = instrument->token;
    if (LS_UNLIKELY(core->view->contract_count != 0)) {
        struct eng_contracts contracts;
        struct eng_contract contract = {.token = token};
        eng_contracts_of(core->view, instrument->instrument, &contracts);
        if (!eng_contract_at(&contracts, row->broker, &contract) &&
            child->flight == IPC_ACTION_PLACE)
            return IPC_NOT_FOUND;
        token = contract.token;
    }

    bool is_exit = child->flight == IPC_ACTION_CANCEL || (child->flags & ENG_CHILD_EXIT);
    /* Side, type, product and validity lie alike in both. */
    _Static_assert(
        offsetof(struct ipc_command, validity) == offsetof(struct ipc_command, side) + 3 &&
            offsetof(struct eng_child, validity) == offsetof(struct eng_child, side) + 3,
        "four bytes at once");
    memcpy(&out->side, &child->side, 4);
    out->exchange = instrument->exchange;
    out->is_exit = is_exit;
    out->slot = child->slot;
    out->account = row->account;
    out->instrument = child->instrument;
    out->child = index;
    out->wave_place = child->wave_place;
    out->market_protection_bp = 0;
    if (LS_UNLIKELY(child->market_protection_e8 > 0))
        out->market_protection_bp =
            (uint16_t)ls_min_i64(child->market_protection_e8 / (LS_E8 / 10000), 10000);
    out->qty_e8 = child->qty_e8;
    out->price_e8 = child->price_e8;
    out->trigger_e8 = child->trigger_e8;
    out->deadline_mono_ns = INT64_MAX;
    if (!is_exit)
        out->deadline_mono_ns =
            (child->flags & ENG_CHILD_FRESH ? eng_child_born_ns(core, child)
                                            : eng_child_fresh_ns(child, order)) +
            eng_entry_age_limit_ns(row, eng_child_age_type(child, order));
    char action[IPC_TAG_ACTION_DIGITS] = {'0', '0', '0', '0'};
    if (LS_UNLIKELY(child->action != 0))
        ipc_tag_action_text(child->action, action);
    ipc_tag_join(out->tag, order->digits, slot->digits, action);
    memcpy(out->broker_order_id, child->broker_order_id, sizeof out->broker_order_id);
    memcpy(out->token, token, sizeof out->token);
    return IPC_OK;
}

static void alarm_text(struct ipc_fact_alarm *alarm, const char *text)
{
    size_t at = 0;
    for (; at + 1 < sizeof alarm->text && text[at] != '\0'; at++)
        alarm->text[at] = text[at];
}

static enum eng_life reply_event(uint8_t outcome)
{
    if (outcome == IPC_OUTCOME_ACKED)
        return ENG_LIFE_ACKED;
    return outcome == IPC_OUTCOME_REJECTED ? ENG_LIFE_REJECTED : ENG_LIFE_LOST;
}

/* A broker that enforces ids is asked with the same one once more: it takes the order, or says that
 * it has it. Whether it is fresh still is judged when its turn comes. */
static bool asks_again(const struct eng_core *core, const struct eng_child *child,
    const struct ipc_fact_reply *reply)
{
    if (reply->action != IPC_ACTION_PLACE || reply->outcome.outcome != IPC_OUTCOME_UNKNOWN ||
        reply->outcome.evidence == IPC_EVIDENCE_RECOVERY || core->view == NULL ||
        child->state != ENG_STATE_SENDING || child->request_no != reply->request_no ||
        child->places >= ENG_PLACES_MAX)
        return false;
    const struct ipc_row_follower *row = eng_follower_row(core->view, child->slot);
    if (row == NULL || row->follower_no != child->follower_no)
        return false;
    const struct eng_broker_policy *policy = &core->policies[row->broker];
    return policy->idempotency == ENG_ID_ENFORCED &&
           reply->parsed_mono_ns - child->sent_mono_ns <= policy->dedupe_window_ns;
}

enum ipc_rc eng_decide_reply(const struct eng_core *core, uint32_t index, uint32_t request_no,
    enum ipc_action action, const struct ipc_outcome *outcome, int64_t accepted_mono_ns,
    int64_t parsed_mono_ns, struct ipc_fact_reply *out, struct ipc_fact_alarm *alarm,
    bool *has_alarm)
{
    *has_alarm = false;
    if (index >= core->fold.child_count)
        return IPC_NOT_FOUND;
    const struct eng_child *child = &core->children[index];
    memset(out, 0, sizeof *out);
    ipc_tag_compose(&(struct ipc_tag_parts){core->orders[child->order].order_digits,
                        child->follower_no, child->action},
        out->tag);
    out->request_no = request_no;
    out->action = (uint8_t)action;
    out->accepted_mono_ns = accepted_mono_ns;
    out->parsed_mono_ns = parsed_mono_ns;
    out->outcome = *outcome;
    out->again = asks_again(core, child, out);

    memset(alarm, 0, sizeof *alarm);
    memcpy(alarm->tag, out->tag, sizeof alarm->tag);
    alarm->account = eng_child_account(core, index);
    if (outcome->outcome == IPC_OUTCOME_AUTH) {
        alarm->alarm = IPC_ALARM_AUTH;
        alarm_text(alarm, "token refused; entries of the account pause until it is renewed");
        *has_alarm = true;
    } else if (action == IPC_ACTION_PLACE && outcome->outcome == IPC_OUTCOME_ACKED &&
               eng_child_is_other(child, outcome->broker_order_id)) {
        alarm->alarm = IPC_ALARM_GHOST;
        alarm_text(alarm, "reply and book name two orders for one tag: look at the book");
        *has_alarm = true;
    } else if (action == IPC_ACTION_PLACE &&
               eng_life_cell((enum eng_state)child->state, reply_event(outcome->outcome)).action ==
                   ENG_LIFE_GHOST) {
        alarm->alarm = IPC_ALARM_GHOST;
        alarm_text(alarm, "a late reply: the broker took an order that had ended here");
        *has_alarm = true;
    }
    return IPC_OK;
}
