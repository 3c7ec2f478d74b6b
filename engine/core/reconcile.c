#include "engine/core/reconcile.h"

#include "engine/core/dedupe.h"
#include "engine/core/pace.h"
#include "engine/core/reconcile_private.h"
#include "engine/core/sighting.h"

/* Back-off of questions that got no answer, and of cancels that were not done. */
#define BACKOFF_ASK_NS    (500 * LS_NS_PER_MS)
#define BACKOFF_CANCEL_NS LS_NS_PER_S
#define BACKOFF_MAX_NS    (30 * LS_NS_PER_S)
#define TIME_LOOK         16u /* entries at the heap's top; they are among the earliest */
#define CHILD_LOOK        64u /* children of one account that a due time is made of */

static int64_t doubled(int64_t first_ns, uint32_t times)
{
    return ls_min_i64(first_ns << (times < 12 ? times : 12), BACKOFF_MAX_NS);
}

static const struct eng_broker_policy *policy_of(const struct eng_core *core, uint32_t account)
{
    return &core->policies[core->accounts[account].broker];
}

int64_t eng_recon_settle_ns(const struct eng_core *core, uint32_t account)
{
    int64_t lag = policy_of(core, account)->book_lag_ns;
    return ls_max_i64(ENG_RECON_SETTLE_MIN_NS, lag > INT64_MAX / 4 ? INT64_MAX / 4 : 4 * lag);
}

/* A fifth of the account's calls. */
static int64_t ask_interval_ns(const struct eng_core *core, uint32_t account)
{
    const struct eng_broker_policy *policy = policy_of(core, account);
    int64_t interval = BACKOFF_ASK_NS;
    if (policy->orders_per_second != 0)
        interval = ls_max_i64(interval, 5 * LS_NS_PER_S / policy->orders_per_second);
    if (policy->orders_per_minute != 0)
        interval = ls_max_i64(interval, 300 * LS_NS_PER_S / policy->orders_per_minute);
    return interval;
}

static bool can_be_asked(const struct eng_core *core, uint32_t account)
{
    return account != 0 && (core->accounts[account].flags & ENG_ACCOUNT_BOUND) &&
           (core->accounts[account].flags & ENG_ACCOUNT_FOLLOWS) &&
           eng_account_session_valid(&core->accounts[account]);
}

/* --- when ---------------------------------------------------------------------------------------
 */

/* When a question that leaves then may tell something new about the child.
 *   last  when the newest question left, INT64_MIN = none in this boot */
static int64_t child_ask_due(
    const struct eng_core *core, uint32_t index, int64_t last, int64_t settle)
{
    const struct eng_child *child = &core->children[index];
    const struct eng_recon_child *recon = &core->recon_children[index];
    if (child->state == ENG_STATE_UNRESOLVED)
        return eng_add_saturated(last, ENG_RECON_RESOLVE_NS);
    if (eng_state_in_doubt(child->state)) {
        if (last < recon->doubt_mono_ns)
            return recon->doubt_mono_ns; /* at once: it may stand there already */
        int64_t due = (recon->absences == 0 ? recon->doubt_mono_ns : recon->absent_ns) + settle;
        return last < due ? due : last + settle;
    }
    if (child->flags & ENG_CHILD_DOUBT) {
        int64_t start = child->doubt_end_mono_ns - ENG_DOUBT_SETTLE_NS;
        if (last < start)
            return start;
        return last <= start + settle ? start + settle + 1 : last + settle;
    }
    if (core->recon_children[index].repeats !=
        0) /* a cancel that was repeated: look at the order */
        return ls_max_i64(child->sent_mono_ns, last) + settle;
    return INT64_MAX;
}

int64_t eng_recon_ask_due(const struct eng_core *core, uint32_t account)
{
    if (!can_be_asked(core, account))
        return INT64_MAX;
    const struct eng_recon_account *state = &core->recon_accounts[account];
    const struct eng_recon_place *place = &core->recon_places[account];
    bool asked = state->era == core->fold.era && state->asked_mono_ns != 0;
    int64_t last = asked ? state->asked_mono_ns : INT64_MIN;
    int64_t due = state->wants != 0 || state->gated != 0 ? 0 : INT64_MAX;
    int64_t settle = eng_recon_settle_ns(core, account);
    uint32_t at = place->head;
    for (uint32_t look = 0; at != 0 && look < CHILD_LOOK; look++) {
        due = ls_min_i64(due, child_ask_due(core, at - 1, last, settle));
        at = core->recon_links[at - 1].next;
    }
    if (place->is_open)
        due = ls_min_i64(due, asked ? eng_add_saturated(last, ENG_RECON_OPEN_NS) : 0);
    if (due == INT64_MAX || !asked)
        return due;
    int64_t rest = ask_interval_ns(core, account);
    if (state->failures != 0)
        rest = ls_max_i64(rest, doubled(BACKOFF_ASK_NS, state->failures));
    if (state->asking)
        rest = ls_max_i64(rest, ENG_RECON_ANSWER_NS);
    return ls_max_i64(due, last + rest);
}

int64_t eng_recon_repeat_ns(const struct eng_core *core, uint32_t index)
{
    const struct eng_child *child = &core->children[index];
    if (child->era != (uint16_t)core->fold.era)
        return 0;
    return child->sent_mono_ns + doubled(BACKOFF_CANCEL_NS, core->recon_children[index].repeats);
}

static int64_t child_time_due(const struct eng_core *core, uint32_t index)
{
    const struct eng_child *child = &core->children[index];
    if (child->state == ENG_STATE_NOT_PLACED)
        return 0;
    if (child->state == ENG_STATE_UNKNOWN || child->state == ENG_STATE_RECONCILING)
        return core->recon_children[index].doubt_mono_ns + ENG_RECON_RESOLVE_NS;
    if ((child->flags & ENG_CHILD_CANCELLED) && child->flight == 0 && child->queued == 0 &&
        child->broker_order_id[0] != '\0' && !eng_state_in_doubt(child->state))
        return eng_recon_repeat_ns(core, index);
    return INT64_MAX;
}

int64_t eng_recon_time_due(const struct eng_core *core, uint32_t account)
{
    const struct eng_recon_account *state = &core->recon_accounts[account];
    int64_t due = INT64_MAX;
    if (state->gated == 1 && (core->accounts[account].flags & ENG_ACCOUNT_FOLLOWS))
        due = state->gated_mono_ns + ENG_RECON_RESOLVE_NS;
    uint32_t at = core->recon_places[account].head;
    for (; at != 0; at = core->recon_links[at - 1].next)
        due = ls_min_i64(due, child_time_due(core, at - 1));
    return due;
}

bool eng_recon_settled(const struct eng_core *core, uint32_t account)
{
    return account <= core->limits.account_max &&
           !(core->accounts[account].flags & ENG_ACCOUNT_GATED);
}

/* --- facts --------------------------------------------------------------------------------------
 */

struct ipc_fact_recon_room *eng_recon_add(
    struct eng_event_facts *out, enum ipc_recon_act act, uint32_t account)
{
    LS_CHECK(out->count < ENG_EVENT_FACTS_MAX);
    out->fact[out->count].type = IPC_FACT_RECON;
    out->fact[out->count].bytes = sizeof(struct ipc_fact_recon);
    struct ipc_fact_recon_room *room = &out->fact[out->count++].recon;
    memset(room, 0, sizeof *room);
    room->recon.act = (uint8_t)act;
    room->recon.account = account;
    return room;
}

void eng_recon_alarm(struct eng_event_facts *out, enum ipc_alarm alarm, uint32_t account,
    const char *tag, const char *text)
{
    LS_CHECK(out->count < ENG_EVENT_FACTS_MAX);
    out->fact[out->count].type = IPC_FACT_ALARM;
    out->fact[out->count].bytes = sizeof(struct ipc_fact_alarm);
    struct ipc_fact_alarm *fact = &out->fact[out->count++].alarm;
    memset(fact, 0, sizeof *fact);
    fact->alarm = (uint32_t)alarm;
    fact->account = account;
    if (tag != NULL)
        memcpy(fact->tag, tag, sizeof fact->tag);
    for (size_t at = 0; at + 1 < sizeof fact->text && text[at] != '\0'; at++)
        fact->text[at] = text[at];
}

void eng_recon_child_fact(const struct eng_core *core, uint32_t index, enum ipc_verdict verdict,
    enum eng_state state, struct ipc_fact_recon_child *out)
{
    const struct eng_child *child = &core->children[index];
    const struct eng_recon_child *recon = &core->recon_children[index];
    memset(out, 0, sizeof *out);
    ipc_tag_compose(&(struct ipc_tag_parts){core->orders[child->order].order_digits,
                        child->follower_no, child->action},
        out->tag);
    out->verdict = (uint8_t)verdict;
    out->state = (uint8_t)state;
    out->absences = recon->absences;
    out->doubt_mono_ns = recon->doubt_mono_ns;
}

/* --- asking -------------------------------------------------------------------------------------
 */

/* The most urgent reason: somebody's order first. */
static enum ipc_recon_why why_of(const struct eng_core *core, uint32_t account)
{
    const struct eng_recon_account *state = &core->recon_accounts[account];
    if (core->recon_places[account].head != 0)
        return IPC_RECON_WHY_UNKNOWN;
    for (uint32_t why = IPC_RECON_WHY_UNKNOWN; why <= IPC_RECON_WHY_PERSON; why++) {
        if (state->wants & (1u << why))
            return (enum ipc_recon_why)why;
    }
    return state->gated != 0 ? IPC_RECON_WHY_START : IPC_RECON_WHY_TIMER;
}

static bool may_ask(
    const struct eng_core *core, uint32_t account, int64_t now_mono_ns, int64_t now_wall_ns)
{
    if (!can_be_asked(core, account))
        return false;
    const struct eng_recon_account *state = &core->recon_accounts[account];
    uint32_t a_day = policy_of(core, account)->orders_per_day;
    /* Looking at what is open leaves half of the day's share to doubts and to gates. */
    uint32_t share = why_of(core, account) == IPC_RECON_WHY_TIMER ? 10 : 5;
    if (a_day != 0 && state->day == (uint16_t)eng_market_day(now_wall_ns) &&
        (uint32_t)state->asks_day * share >= a_day)
        return false;
    const struct eng_account *paced = &core->accounts[account];
    uint8_t exchange = paced->log_count == 0 ? (uint8_t)IPC_EXCHANGE_NSE : paced->log_exchange[0];
    return eng_pace_calls_due(core, paced, exchange, false, 0, now_mono_ns, now_wall_ns) <=
           now_mono_ns;
}

/* A question about this child, whose outcome is unknown, left already. */
static bool was_asked_for(const struct eng_core *core, uint32_t account, uint32_t index)
{
    const struct eng_recon_account *state = &core->recon_accounts[account];
    return eng_state_in_doubt(core->children[index].state) && state->era == core->fold.era &&
           state->asked_mono_ns != 0 &&
           state->asked_mono_ns >= core->recon_children[index].doubt_mono_ns;
}

static void fill_ask(const struct eng_core *core, uint32_t account, struct eng_book_ask *out)
{
    const struct eng_recon_account *state = &core->recon_accounts[account];
    memset(out, 0, offsetof(struct eng_book_ask, facts));
    out->facts.count = 0;
    out->facts.retry_later = false;
    out->facts.why = IPC_REASON_NONE;
    out->account = account;
    out->ask_no = state->ask_no + 1;
    out->why = (uint8_t)why_of(core, account);
    struct ipc_fact_recon_room *room = eng_recon_add(&out->facts, IPC_RECON_ACT_ASK, account);
    room->recon.ask_no = out->ask_no;
    room->recon.why = out->why;
    uint32_t at = core->recon_places[account].head, only = ENG_NONE;
    if (at != 0 && core->recon_links[at - 1].next == 0)
        only = at - 1;
    for (; at != 0 && room->recon.child_count < IPC_RECON_CHILDREN_MAX;
         at = core->recon_links[at - 1].next) {
        if (core->children[at - 1].state == ENG_STATE_UNKNOWN)
            eng_recon_child_fact(core, at - 1, IPC_VERDICT_ASKED, ENG_STATE_RECONCILING,
                &room->children[room->recon.child_count++]);
    }
    /* One order is asked for by name where the broker can, and nothing else is wanted. When that
     * did not show it, only whole books prove that it is not there. */
    if (only != ENG_NONE && policy_of(core, account)->book_by_tag && state->wants == 0 &&
        state->gated == 0 && !was_asked_for(core, account, only)) {
        struct ipc_fact_recon_child named;
        eng_recon_child_fact(core, only, IPC_VERDICT_ASKED, ENG_STATE_RECONCILING, &named);
        memcpy(out->tag, named.tag, sizeof out->tag);
        out->by_tag = 1;
        room->recon.flags = IPC_RECON_BY_TAG;
    }
    out->facts.fact[0].bytes = ipc_fact_recon_bytes(&room->recon);
}

/* Looks at what is due and at nothing below what is not. Accounts whose calls are used up stay due
 * for the rest of the day, and hold up no other.
 *   returns  0 = none */
static uint32_t find_ask(const struct eng_core *core, int64_t now_mono_ns, int64_t now_wall_ns)
{
    const uint32_t *heap = core->recon_heap[ENG_RECON_ASK];
    uint32_t at = 0;
    for (;;) {
        if (at < core->recon_heap_count[ENG_RECON_ASK] &&
            core->recon_places[heap[at]].due[ENG_RECON_ASK] <= now_mono_ns) {
            if (may_ask(core, heap[at], now_mono_ns, now_wall_ns))
                return heap[at];
            at = 2 * at + 1;
            continue;
        }
        while (at != 0 && at % 2 == 0) /* of a right one all is seen */
            at = (at - 1) / 2;
        if (at == 0)
            return 0;
        at++;
    }
}

bool eng_recon_next(
    const struct eng_core *core, int64_t now_mono_ns, int64_t now_wall_ns, struct eng_book_ask *out)
{
    if (core->view == NULL)
        return false;
    uint32_t account = find_ask(core, now_mono_ns, now_wall_ns);
    if (account != 0)
        fill_ask(core, account, out);
    return account != 0;
}

bool eng_recon_want(const struct eng_core *core, uint32_t account, enum ipc_recon_why why,
    const char *by, struct eng_event_facts *out)
{
    out->count = 0;
    out->retry_later = false;
    out->why = IPC_REASON_NONE;
    if (account == 0 || account > core->limits.account_max ||
        !(core->accounts[account].flags & ENG_ACCOUNT_FOLLOWS) ||
        (core->recon_accounts[account].wants & (1u << why)))
        return false;
    struct ipc_fact_recon_room *room = eng_recon_add(out, IPC_RECON_ACT_WANT, account);
    room->recon.why = (uint8_t)why;
    if (by != NULL) {
        for (size_t i = 0; i + 1 < sizeof room->recon.by && by[i] != '\0'; i++)
            room->recon.by[i] = by[i];
    }
    return true;
}

/* What is due and may not be asked yet (the account's calls are used up) is looked at again then.
 */
#define LOOK_AGAIN_NS (100 * LS_NS_PER_MS)

int64_t eng_recon_due(const struct eng_core *core, int64_t now_mono_ns, int64_t now_wall_ns)
{
    int64_t due = INT64_MAX;
    for (int which = 0; which < 2; which++) {
        if (core->recon_heap_count[which] != 0)
            due = ls_min_i64(due, core->recon_places[core->recon_heap[which][0]].due[which]);
    }
    if (due > now_mono_ns)
        return due;
    struct eng_event_facts facts;
    if (eng_recon_time(core, now_mono_ns, now_wall_ns, &facts) ||
        find_ask(core, now_mono_ns, now_wall_ns) != 0)
        return due;
    return now_mono_ns + LOOK_AGAIN_NS;
}

/* --- time ---------------------------------------------------------------------------------------
 */

/* The follower chose that what it missed is made good without asking. */
static bool chose_catch_up(const struct eng_core *core, const struct eng_child *child)
{
    const struct ipc_row_follower *row = eng_follower_row(core->view, child->slot);
    return row != NULL && row->follower_no == child->follower_no && row->policy != 0 &&
           (core->view->policies[row->policy - 1].flags & IPC_POLICY_CATCH_UP);
}

static void give_up(const struct eng_core *core, uint32_t account, uint32_t index,
    struct ipc_fact_recon_room *room, struct eng_event_facts *out)
{
    bool is_exit = (core->children[index].flags & ENG_CHILD_EXIT) != 0;
    bool missed = core->children[index].state == ENG_STATE_NOT_PLACED;
    bool by_choice = missed && !is_exit && chose_catch_up(core, &core->children[index]);
    eng_recon_child_fact(core, index, missed ? IPC_VERDICT_MISSED : IPC_VERDICT_UNRESOLVED,
        missed ? ENG_STATE_MISSED : ENG_STATE_UNRESOLVED, &room->children[0]);
    room->recon.child_count = 1;
    if (missed)
        eng_recon_alarm(out, IPC_ALARM_MISSED, account, room->children[0].tag,
            is_exit     ? "the exit was never placed: what is still held is closed anew"
            : by_choice ? "never placed: it is made good, as the follower chose"
                        : "never placed: lockstepctl catch-up makes it good");
    else
        eng_recon_alarm(out, IPC_ALARM_UNRESOLVED, account, room->children[0].tag,
            "nobody knows whether it was placed: look at the broker's order book");
    if (by_choice && !(core->children[index].flags & ENG_CHILD_CAUGHT))
        eng_catch_up_add(out, room->children[0].tag, "policy", NULL);
}

static bool account_time(
    const struct eng_core *core, uint32_t account, int64_t now_mono_ns, struct eng_event_facts *out)
{
    struct ipc_fact_recon_room *room = eng_recon_add(out, IPC_RECON_ACT_TIME, account);
    const struct eng_recon_account *state = &core->recon_accounts[account];
    for (uint32_t at = core->recon_places[account].head;
         at != 0 && room->recon.child_count < IPC_RECON_CHILDREN_MAX;
         at = core->recon_links[at - 1].next) {
        uint32_t index = at - 1;
        if (child_time_due(core, index) > now_mono_ns)
            continue;
        uint8_t doubt = core->children[index].state;
        bool ends = doubt == ENG_STATE_NOT_PLACED || eng_state_in_doubt(doubt);
        if (ends && room->recon.child_count == 0) {
            give_up(core, account, index, room, out); /* alone: its alarm names it */
            break;
        }
        if (ends)
            continue;
        room->recon.act = IPC_RECON_ACT_REPEAT;
        eng_recon_child_fact(core, index, IPC_VERDICT_AGAIN, (enum eng_state)doubt,
            &room->children[room->recon.child_count++]);
    }
    if (room->recon.child_count == 0) {
        if (state->gated != 1 || state->gated_mono_ns + ENG_RECON_RESOLVE_NS > now_mono_ns) {
            out->count = 0;
            return false;
        }
        room->recon.why = IPC_RECON_WHY_START;
        eng_recon_alarm(out, IPC_ALARM_UNRESOLVED, account, NULL,
            "its order book was not read since the start: it places nothing");
    }
    out->fact[0].bytes = ipc_fact_recon_bytes(&room->recon);
    /* The state moves last: what a kill cuts off before that is said again. */
    out->fact[out->count] = out->fact[0];
    for (uint32_t i = 0; i < out->count; i++)
        out->fact[i] = out->fact[i + 1];
    return true;
}

bool eng_recon_time(const struct eng_core *core, int64_t now_mono_ns, int64_t now_wall_ns,
    struct eng_event_facts *out)
{
    (void)now_wall_ns;
    out->count = 0;
    out->retry_later = false;
    out->why = IPC_REASON_NONE;
    if (core->view == NULL)
        return false;
    for (uint32_t i = 0; i < core->recon_heap_count[ENG_RECON_TIME] && i < TIME_LOOK; i++) {
        uint32_t account = core->recon_heap[ENG_RECON_TIME][i];
        if (core->recon_places[account].due[ENG_RECON_TIME] <= now_mono_ns &&
            account_time(core, account, now_mono_ns, out))
            return true;
    }
    return false;
}
