/* Queued children: which may go now, and which have waited too long. */
#include "engine/core/bracket.h"
#include "engine/core/breaker.h"
#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/limits_private.h"
#include "engine/core/pace.h"
#include "engine/core/pipeline/controls.h"
#include "engine/core/positions.h"
#include "engine/core/protect.h"

/* A child that is backing off does not hold up the next few of its queue. */
#define QUEUE_LOOK 8

static bool is_reduction(const struct eng_child *child)
{
    return child->queued == IPC_ACTION_CANCEL || (child->flags & ENG_CHILD_EXIT);
}

static const struct ipc_row_follower *row_of(
    const struct eng_core *core, const struct eng_child *child)
{
    const struct ipc_row_follower *row = eng_follower_row(core->view, child->slot);
    return row != NULL && row->follower_no == child->follower_no ? row : NULL;
}

static uint8_t exchange_of(const struct eng_core *core, const struct eng_child *child)
{
    const struct ipc_row_instrument *row = eng_instrument_row(core->view, child->instrument);
    return row == NULL ? 0 : row->exchange;
}

static int64_t age_limit_ns(const struct ipc_row_follower *row, const struct eng_child *child,
    const struct eng_order *order)
{
    return eng_entry_age_limit_ns(row, eng_child_age_type(child, order));
}

/* Another batch of closes of its position is sent and unanswered, or in doubt. Slices of one
 * decision do not wait for each other. */
static bool waits_for_answer(const struct eng_core *core, const struct eng_child *child)
{
    const struct eng_position *position = &core->positions[child->position];
    return (child->flags & ENG_CHILD_EXIT) && position->flying != 0 &&
           position->flying_decision != child->decision;
}

/* A queued exit goes with what may be closed now: what exits that have left may still close is
 * taken, what waits in a queue like it is not, else several would wait for each other.
 *   returns 0 = it stays (its own entry has yet to fill), < 0 = nothing is left to close */
static int64_t exit_quantity(const struct eng_core *core, const struct eng_child *child)
{
    const struct eng_position *position = &core->positions[child->position];
    int64_t own = position->unsent_e8;
    if (LS_UNLIKELY(child->sibling != ENG_NONE)) {
        /* What its sibling holds is its own too: the two take it together. */
        struct eng_claims pair = eng_claims_of(core, child);
        own = eng_add_saturated(own, pair.all_e8 - pair.unsent_e8);
    }
    int64_t closable = eng_closable_e8(position, child->side, own);
    if (closable > 0)
        return ls_min_i64(child->qty_e8, closable);
    return eng_there_e8(position, child->side) == 0 && eng_coming_e8(position, child->side) == 0
               ? -1
               : 0;
}

/* A place of unknown outcome goes once more only while the broker is sure to know its id: the clock
 * that it left on still runs, and less than the window has passed. What waited longer stays in
 * doubt and is asked about. */
static bool is_late_repeat(const struct eng_core *core, const struct eng_child *child,
    const struct ipc_row_follower *row, int64_t now_mono_ns)
{
    if (child->queued != IPC_ACTION_PLACE || !eng_state_may_go_again(child->state))
        return false;
    const struct eng_broker_policy *policy = &core->policies[row->broker];
    return policy->idempotency != ENG_ID_ENFORCED || child->era != (uint16_t)core->fold.era ||
           now_mono_ns - child->sent_mono_ns > policy->dedupe_window_ns;
}

/* When something may be decided about this child: now or earlier means now. */
static int64_t child_due(const struct eng_core *core, const struct eng_account *account,
    const struct eng_child *child, int64_t now_mono_ns, int64_t now_wall_ns)
{
    const struct eng_order *order = &core->orders[child->order];
    const struct ipc_row_follower *row = row_of(core, child);
    if (row == NULL || is_late_repeat(core, child, row, now_mono_ns))
        return now_mono_ns;
    bool reduction = is_reduction(child);
    /* Behind another close of its position it waits, and lets the rest of the queue pass. */
    if ((child->flags & ENG_CHILD_EXIT) && child->queued == IPC_ACTION_PLACE &&
        child->born_era == (uint16_t)core->fold.era &&
        (waits_for_answer(core, child) ||
            (eng_state_unsent(child->state) && exit_quantity(core, child) == 0)))
        return INT64_MAX;
    int64_t due =
        ls_max_i64(child->not_before_mono_ns, eng_pace_due(core, account, exchange_of(core, child),
                                                  reduction, 0, now_mono_ns, now_wall_ns));
    if (reduction)
        return due;
    int64_t age = eng_child_age_ns(core, child, order, now_mono_ns);
    int64_t limit = age_limit_ns(row, child, order);
    return age > limit ? now_mono_ns : ls_min_i64(due, now_mono_ns + (limit - age) + 1);
}

static uint32_t head_due(const struct eng_core *core, const struct eng_account *account, int which,
    int64_t now_mono_ns, int64_t now_wall_ns)
{
    uint32_t child = account->head[which];
    for (int look = 0; look < QUEUE_LOOK && child != ENG_NONE; look++) {
        if (child_due(core, account, &core->children[child], now_mono_ns, now_wall_ns) <=
            now_mono_ns)
            return child;
        child = core->links[child].next;
    }
    return ENG_NONE;
}

static void fill_candidate(const struct eng_core *core, uint32_t index, struct eng_candidate *out)
{
    const struct eng_child *child = &core->children[index];
    const struct eng_order *order = &core->orders[child->order];
    const struct ipc_row_follower *row = row_of(core, child);
    *out = (struct eng_candidate){.child = index,
        .slot = child->slot,
        .account = core->links[index].account,
        .master = order->account,
        .instrument = child->instrument,
        .broker = row == NULL ? 0 : row->broker,
        .is_exit = is_reduction(child),
        .action = child->queued};
}

uint32_t eng_release_next(const struct eng_core *core, int64_t now_mono_ns, int64_t now_wall_ns,
    uint32_t *cursor, struct eng_candidate *out, uint32_t max)
{
    if (core->view == NULL || core->active_head == ENG_NONE)
        return 0;
    uint32_t number = *cursor;
    if (number == 0 || number > core->limits.account_max ||
        core->accounts[number].active_next == ENG_NONE)
        number = core->active_head;
    uint32_t looks = max <= UINT32_MAX / 4 ? 4 * max : max;
    if (looks > core->active_count)
        looks = core->active_count;
    uint32_t count = 0;
    /* Two candidates an account at most: its next reduction and its next entry. */
    for (; looks > 0 && count + 2 <= max; looks--) {
        const struct eng_account *account = &core->accounts[number];
        for (int which = 0; which < 2; which++) {
            uint32_t child = head_due(core, account, which, now_mono_ns, now_wall_ns);
            if (child != ENG_NONE)
                fill_candidate(core, child, &out[count++]);
        }
        number = account->active_next;
    }
    *cursor = number;
    return count;
}

int64_t eng_release_due(const struct eng_core *core, int64_t now_mono_ns, int64_t now_wall_ns)
{
    if (core->view == NULL || core->active_head == ENG_NONE)
        return INT64_MAX;
    int64_t due = INT64_MAX;
    uint32_t number = core->active_head;
    for (int look = 0; look < 64; look++) {
        const struct eng_account *account = &core->accounts[number];
        for (int which = 0; which < 2; which++) {
            uint32_t child = account->head[which];
            for (int ahead = 0; ahead < QUEUE_LOOK && child != ENG_NONE; ahead++) {
                due = ls_min_i64(due,
                    child_due(core, account, &core->children[child], now_mono_ns, now_wall_ns));
                child = core->links[child].next;
            }
        }
        number = account->active_next;
        if (number == core->active_head)
            return due;
    }
    return 0; /* more accounts than it looked at: ask again at once */
}

/* --- deciding -----------------------------------------------------------------------------------
 */

static bool skip(struct ipc_fact_release *out, enum ipc_reason reason)
{
    out->kind = IPC_CHILD_SKIP;
    out->reason = (uint8_t)reason;
    return true;
}

/* Why an entry that aged in the queue did not go. */
static enum ipc_reason age_reason(const struct eng_account *account,
    const struct eng_follower_sample *sample, bool takes_entries, bool paced, bool is_of_now)
{
    if (!eng_account_session_valid(account))
        return IPC_REASON_SESSION_EXPIRED;
    if (!eng_account_may_place(account) && is_of_now)
        return IPC_REASON_UNKNOWN_PENDING;
    if (!takes_entries)
        return IPC_REASON_JOURNAL;
    if (paced)
        return IPC_REASON_RATE_BUDGET;
    return sample->can_send ? IPC_REASON_STALE_EVENT : IPC_REASON_NO_CONNECTION;
}

/* What ends a queued entry now, NONE when it may still go. */
static enum ipc_reason entry_end(const struct eng_core *core, const struct eng_child *child,
    const struct ipc_row_follower *row, enum ipc_switch word)
{
    const struct eng_order *order = &core->orders[child->order];
    if (word != IPC_SWITCH_RUN)
        return IPC_REASON_KILL_SWITCH;
    if (order->status > IPC_STATUS_FILLED && !(child->flags & ENG_CHILD_ON_FILL))
        return order->status == IPC_STATUS_REJECTED ? IPC_REASON_MASTER_REJECTED
                                                    : IPC_REASON_SUPERSEDED;
    if (!(row->flags & IPC_FOLLOWER_ENABLED) || (row->flags & IPC_FOLLOWER_RETIRED))
        return IPC_REASON_FOLLOWER_DISABLED;
    if (row->flags & IPC_FOLLOWER_PAUSED)
        return IPC_REASON_COPY_PAUSED;
    if (child->queued == IPC_ACTION_PLACE && eng_state_unsent(child->state) &&
        eng_position_unknown(core, child->slot, child->follower_no, child->instrument))
        return IPC_REASON_UNKNOWN_PENDING;
    if (child->queued != IPC_ACTION_PLACE)
        return IPC_REASON_NONE;
    /* A breaker or a money limit that was reached while it waited stops it too. */
    enum ipc_reason reason = eng_breaker_engine(core);
    if (reason == IPC_REASON_NONE)
        reason = eng_breaker_bar(core, child->slot, row);
    if (reason == IPC_REASON_NONE)
        reason = eng_limits_batch_bar(core, order->account);
    return reason != IPC_REASON_NONE ? reason : eng_limits_bar(core, child->slot, row);
}

/* The market may have moved away from its price while it waited. */
static bool collar_bars(const struct eng_core *core, const struct eng_child *child,
    const struct eng_batch_sample *sample)
{
    const struct eng_order *order = &core->orders[child->order];
    return child->queued != IPC_ACTION_CANCEL && order->price_e8 != 0 &&
           child->instrument == order->instrument && sample->price_e8 > 0 &&
           eng_collar_bars(child->side, child->price_e8, sample->price_e8,
               core->config.controls.price_collar_e8);
}

static bool decide_place(const struct eng_core *core, const struct eng_child *child,
    const struct eng_batch_sample *batch_sample, struct ipc_fact_release *out)
{
    out->kind = IPC_CHILD_PLACE;
    if (!(child->flags & ENG_CHILD_EXIT))
        return true;
    if (!eng_state_unsent(child->state)) /* asked again, with the same words: alone, too */
        return !waits_for_answer(core, child);
    if (child->born_era != (uint16_t)core->fold.era)
        return skip(out, IPC_REASON_UNKNOWN_PENDING); /* of before the cut: derived anew */
    int64_t qty = exit_quantity(core, child);
    if (qty < 0)
        return skip(out, IPC_REASON_NO_POSITION);
    if (qty == 0 || waits_for_answer(core, child))
        return false;
    if (qty < child->qty_e8)
        out->reason = IPC_REASON_CLOSE_CLAMPED;
    out->qty_e8 = qty;
    /* It may have waited long: its protection follows the market. */
    const struct eng_order *order = &core->orders[child->order];
    const struct ipc_row_follower *row = row_of(core, child);
    if (order->type == IPC_TYPE_MARKET && child->type == IPC_TYPE_LIMIT &&
        !(child->flags & ENG_CHILD_PROTECTS)) {
        int64_t age = batch_sample->price_mono_ns > 0
                          ? batch_sample->now_mono_ns - batch_sample->price_mono_ns
                          : ENG_AGE_INFINITE;
        struct eng_order shaped = *order;
        shaped.side = child->side;
        struct eng_shape shape = eng_shape_make(&core->config, &shaped,
            eng_instrument_row(core->view, child->instrument), true,
            core->policies[row->broker].refuses_market, batch_sample->price_e8, age);
        if (shape.type == IPC_TYPE_LIMIT && shape.price_e8 > 0)
            out->price_e8 = shape.price_e8;
    }
    return true;
}

bool eng_decide_release(const struct eng_core *core, const struct eng_candidate *candidate,
    const struct eng_batch_sample *batch_sample, const struct eng_follower_sample *sample,
    struct ipc_fact_release *out)
{
    LS_CHECK(candidate->child < core->fold.child_count);
    const struct eng_child *child = &core->children[candidate->child];
    if (child->queued == 0 || core->links[candidate->child].list == ENG_LIST_BLOCKED)
        return false; /* decided otherwise since it was listed */
    const struct eng_order *order = &core->orders[child->order];
    const struct ipc_row_follower *row = row_of(core, child);
    int64_t now = batch_sample->now_mono_ns;
    memset(out, 0, sizeof *out);
    ipc_tag_compose(
        &(struct ipc_tag_parts){order->order_digits, child->follower_no, child->action}, out->tag);
    out->request_no = child->request_no;
    out->qty_e8 = child->qty_e8;
    out->price_e8 = child->price_e8;

    if (row == NULL)
        return skip(out, IPC_REASON_FOLLOWER_DISABLED);
    if (is_late_repeat(core, child, row, now))
        return skip(out, IPC_REASON_UNKNOWN_PENDING);
    const struct eng_account *account = &core->accounts[candidate->account];
    bool reduction = is_reduction(child);
    enum ipc_switch word = (enum ipc_switch)(batch_sample->switch_word > sample->switch_word
                                                 ? batch_sample->switch_word
                                                 : sample->switch_word);
    if (child->queued != IPC_ACTION_CANCEL && word == IPC_SWITCH_HALT)
        return skip(out, IPC_REASON_KILL_SWITCH);
    if (child->queued == IPC_ACTION_PLACE && child->places >= ENG_PLACES_MAX)
        return skip(out, (enum ipc_reason)child->reason); /* why its second attempt failed */
    bool paced = eng_pace_due(core, account, exchange_of(core, child), reduction, 0, now,
                     batch_sample->now_wall_ns) > now;
    if (!reduction) {
        enum ipc_reason reason = entry_end(core, child, row, word);
        if (reason == IPC_REASON_NONE && collar_bars(core, child, batch_sample))
            reason = IPC_REASON_PRICE_COLLAR;
        if (reason != IPC_REASON_NONE)
            return skip(out, reason);
        if (eng_child_age_ns(core, child, order, now) > age_limit_ns(row, child, order))
            return skip(out, age_reason(account, sample, batch_sample->journal_takes_entries, paced,
                                 child->born_era == (uint16_t)core->fold.era));
        if (!batch_sample->journal_takes_entries)
            return false;
    }
    if (paced || !sample->can_send || child->not_before_mono_ns > now ||
        !eng_account_session_valid(account))
        return false;
    if (child->queued == IPC_ACTION_PLACE && !eng_account_may_place(account))
        return false; /* what stands at the broker is read first */
    if (child->queued == IPC_ACTION_PLACE)
        return decide_place(core, child, batch_sample, out);
    out->kind = child->queued == IPC_ACTION_MODIFY ? IPC_CHILD_MODIFY : IPC_CHILD_CANCEL;
    return true;
}
