/* The fold of RECON facts, and what is derived from it: lists, gates, and the two heaps of accounts
 * by the time at which something is due. */
#include "engine/core/children.h"
#include "engine/core/dedupe.h"
#include "engine/core/pace.h"
#include "engine/core/reconcile_private.h"

/* --- heaps --------------------------------------------------------------------------------------
 */

static bool is_before(const struct eng_core *core, int which, uint32_t a, uint32_t b)
{
    return core->recon_places[a].due[which] < core->recon_places[b].due[which];
}

static void heap_put(struct eng_core *core, int which, uint32_t at, uint32_t account)
{
    core->recon_heap[which][at] = account;
    core->recon_places[account].at[which] = at + 1;
}

static uint32_t heap_up(struct eng_core *core, int which, uint32_t at, uint32_t account)
{
    while (at != 0) {
        uint32_t parent = (at - 1) / 2;
        if (!is_before(core, which, account, core->recon_heap[which][parent]))
            break;
        heap_put(core, which, at, core->recon_heap[which][parent]);
        at = parent;
    }
    return at;
}

static uint32_t heap_down(struct eng_core *core, int which, uint32_t at, uint32_t account)
{
    const uint32_t *heap = core->recon_heap[which];
    uint32_t count = core->recon_heap_count[which];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count)
            return at;
        if (child + 1 < count && is_before(core, which, heap[child + 1], heap[child]))
            child++;
        if (!is_before(core, which, heap[child], account))
            return at;
        heap_put(core, which, at, heap[child]);
        at = child;
    }
}

static void heap_set(struct eng_core *core, int which, uint32_t account, int64_t due)
{
    struct eng_recon_place *place = &core->recon_places[account];
    if (place->at[which] == 0) {
        if (due == INT64_MAX)
            return;
        place->due[which] = due;
        uint32_t last = core->recon_heap_count[which]++;
        heap_put(core, which, heap_up(core, which, last, account), account);
        return;
    }
    if (place->due[which] == due)
        return;
    uint32_t at = place->at[which] - 1;
    place->due[which] = due;
    if (due == INT64_MAX) { /* the last one takes its place */
        place->at[which] = 0;
        uint32_t last = --core->recon_heap_count[which];
        if (at == last)
            return;
        account = core->recon_heap[which][last];
    }
    at = heap_up(core, which, at, account);
    heap_put(core, which, heap_down(core, which, at, account), account);
}

/* --- derived ------------------------------------------------------------------------------------
 */

/* After a restart an account waits for its book: in another boot every one, in the same boot those
 * whose requests were under way. */
static bool is_gated(const struct eng_core *core, uint32_t account)
{
    if (core->recon_accounts[account].gated != 0)
        return true;
    uint32_t at = core->recon_places[account].head;
    for (; at != 0; at = core->recon_links[at - 1].next) {
        const struct eng_child *child = &core->children[at - 1];
        if (child->evidence == IPC_EVIDENCE_RECOVERY &&
            (child->state == ENG_STATE_UNKNOWN || child->state == ENG_STATE_RECONCILING))
            return true;
    }
    return false;
}

static void account_changed(struct eng_core *core, uint32_t account)
{
    if (core->view == NULL)
        return;
    struct eng_account *state = &core->accounts[account];
    state->flags &= (uint8_t)~ENG_ACCOUNT_GATED;
    if (is_gated(core, account))
        state->flags |= ENG_ACCOUNT_GATED;
    heap_set(core, ENG_RECON_ASK, account, eng_recon_ask_due(core, account));
    heap_set(core, ENG_RECON_TIME, account, eng_recon_time_due(core, account));
}

static void list_drop(struct eng_core *core, uint32_t index)
{
    struct eng_recon_link *link = &core->recon_links[index];
    struct eng_recon_place *place = &core->recon_places[link->account - 1];
    if (link->previous != 0)
        core->recon_links[link->previous - 1].next = link->next;
    else
        place->head = link->next;
    if (link->next != 0)
        core->recon_links[link->next - 1].previous = link->previous;
    *link = (struct eng_recon_link){0};
}

static void list_put(struct eng_core *core, uint32_t index, uint32_t account)
{
    struct eng_recon_link *link = &core->recon_links[index];
    struct eng_recon_place *place = &core->recon_places[account];
    *link = (struct eng_recon_link){.next = place->head, .account = account + 1};
    if (place->head != 0)
        core->recon_links[place->head - 1].previous = index + 1;
    place->head = index + 1;
}

void eng_recon_refresh(struct eng_core *core, uint32_t account)
{
    account_changed(core, account);
}

static void verify_account(const struct eng_core *core, uint32_t number)
{
    const struct eng_recon_place *place = &core->recon_places[number];
    LS_CHECK(((core->accounts[number].flags & ENG_ACCOUNT_GATED) != 0) == is_gated(core, number));
    int64_t due[2] = {eng_recon_ask_due(core, number), eng_recon_time_due(core, number)};
    for (int which = 0; which < 2; which++) {
        LS_CHECK((place->at[which] != 0) == (due[which] != INT64_MAX));
        LS_CHECK(place->at[which] == 0 || place->due[which] == due[which]);
    }
    uint32_t before = 0;
    for (uint32_t at = place->head; at != 0; at = core->recon_links[at - 1].next) {
        LS_CHECK(core->recon_links[at - 1].account == number + 1);
        LS_CHECK(core->recon_links[at - 1].previous == before);
        before = at;
    }
}

void eng_recon_verify(const struct eng_core *core)
{
    if (core->view == NULL)
        return;
    for (uint32_t i = 0; i < core->fold.child_count; i++)
        LS_CHECK((core->recon_links[i].account != 0) == eng_recon_watches(&core->children[i]));
    for (uint32_t number = 0; number <= core->limits.account_max; number++)
        verify_account(core, number);
    for (int which = 0; which < 2; which++) {
        const uint32_t *heap = core->recon_heap[which];
        for (uint32_t i = 0; i < core->recon_heap_count[which]; i++) {
            LS_CHECK(core->recon_places[heap[i]].at[which] == i + 1);
            LS_CHECK(i == 0 || !is_before(core, which, heap[i], heap[(i - 1) / 2]));
        }
    }
}

void eng_recon_changed(struct eng_core *core, uint32_t index)
{
    if (core->view == NULL)
        return;
    bool watches = eng_recon_watches(&core->children[index]);
    uint32_t listed = core->recon_links[index].account;
    if (!watches && listed == 0)
        return;
    uint32_t account = listed != 0 ? listed - 1 : eng_child_account(core, index);
    if (watches && listed == 0)
        list_put(core, index, account); /* account 0: who it was left the snapshot */
    else if (!watches)
        list_drop(core, index);
    account_changed(core, account);
}

void eng_recon_works(struct eng_core *core, uint32_t account)
{
    if (core->view == NULL || account == 0 || account > core->limits.account_max ||
        core->recon_places[account].is_open)
        return;
    core->recon_places[account].is_open = 1;
    account_changed(core, account);
}

void eng_recon_flew(struct eng_core *core, uint32_t account, uint32_t index)
{
    if (account != 0 && account <= core->limits.account_max)
        core->recon_places[account].newest = index + 1;
}

bool eng_recon_flies(const struct eng_core *core, uint32_t account)
{
    uint32_t newest = core->recon_places[account].newest;
    if (newest != 0 && core->children[newest - 1].flight == IPC_ACTION_PLACE)
        return true;
    uint32_t at = core->recon_places[account].head;
    for (; at != 0; at = core->recon_links[at - 1].next) {
        if (eng_state_may_go_again(core->children[at - 1].state) &&
            core->children[at - 1].queued == 0)
            return true;
    }
    return false;
}

/* It may work at the broker. Of what is UNRESOLVED a person decides, and no book of a later day
 * will show it. */
static void note_working(struct eng_core *core, uint32_t index)
{
    const struct eng_child *child = &core->children[index];
    if (eng_state_ended(child->state) || child->state == ENG_STATE_UNRESOLVED ||
        child->broker_order_id[0] == '\0')
        return;
    uint32_t account = eng_child_account(core, index);
    if (account <= core->limits.account_max)
        core->recon_places[account].is_open = 1;
}

void eng_recon_bind(struct eng_core *core, bool first)
{
    for (uint32_t i = 0; first && i < core->fold.child_count; i++) {
        const struct eng_child *child = &core->children[i];
        uint32_t account = eng_child_account(core, i);
        note_working(core, i);
        if (account <= core->limits.account_max && eng_recon_watches(child))
            list_put(core, i, account);
    }
    for (uint32_t number = 0; number <= core->limits.account_max; number++)
        account_changed(core, number);
}

int64_t eng_child_born_ns(const struct eng_core *core, const struct eng_child *child)
{
    return core->recon_children[child - core->children].doubt_mono_ns;
}

/* --- OPEN ---------------------------------------------------------------------------------------
 */

void eng_recon_doubts(struct eng_core *core, uint32_t index)
{
    core->recon_children[index].doubt_mono_ns = core->applied_mono_ns;
    core->recon_children[index].absences = 0;
    core->recon_children[index].absent_ns = 0;
    core->recon_children[index].absent_ask = 0;
}

void eng_recon_open(struct eng_core *core, const struct ipc_fact_open *fact, int64_t mono_ns)
{
    for (uint32_t i = 0; i < core->fold.child_count && !fact->same_boot; i++) {
        if (eng_state_in_doubt(core->children[i].state))
            eng_recon_doubts(core, i); /* counted on a clock that is gone */
    }
    for (uint32_t number = 1; number <= core->limits.account_max; number++) {
        struct eng_recon_account *account = &core->recon_accounts[number];
        account->asking = 0; /* whoever asked is gone */
        account->asked_wants = 0;
        bool all = !fact->same_boot || fact->reconcile_all != 0;
        /* A new journal may stand where one was lost: books are read, but nobody waits for it. */
        if (all || fact->previous_lsn == 0)
            account->wants |= 1u << IPC_RECON_WHY_START;
        if (!all || fact->previous_lsn == 0)
            continue;
        account->gated = 1;
        account->gated_mono_ns = mono_ns;
        account->era = core->fold.era;
        account->asked_mono_ns = account->answered_mono_ns = 0;
    }
}

void eng_recon_day(struct eng_core *core, uint16_t day)
{
    for (uint32_t i = 0; i < core->fold.child_count; i++) {
        const struct eng_child *child = &core->children[i];
        if (child->request_no == 0 || child->sent_day == day || child->flight != 0 ||
            eng_state_ended(child->state) || eng_state_unsent(child->state))
            continue;
        struct eng_child_touch touch = eng_child_begin(core, i);
        (void)eng_child_live(core, touch.child, ENG_LIFE_DAY_END);
        /* No book of today shows it: the time gives it up next, and pages a person. */
        if (eng_state_may_go_again(child->state)) {
            struct eng_recon_child *recon = &core->recon_children[i];
            recon->doubt_mono_ns =
                ls_min_i64(recon->doubt_mono_ns, core->applied_mono_ns - ENG_RECON_RESOLVE_NS);
            recon->absences = 0;
        }
        eng_child_end(core, &touch);
    }
    /* An account none of whose orders works any more may find its book empty today. */
    if (core->view == NULL)
        return;
    for (uint32_t number = 0; number <= core->limits.account_max; number++)
        core->recon_places[number].is_open = 0;
    for (uint32_t i = 0; i < core->fold.child_count; i++)
        note_working(core, i);
    for (uint32_t number = 0; number <= core->limits.account_max; number++)
        account_changed(core, number);
}

/* --- RECON --------------------------------------------------------------------------------------
 */

static bool fits(const struct eng_core *core, const struct eng_frame *frame)
{
    const struct ipc_fact_recon *fact = frame->payload;
    if (frame->payload_bytes < sizeof *fact || !ipc_recon_act_valid(fact->act) ||
        fact->account > core->limits.account_max || fact->child_count > IPC_RECON_CHILDREN_MAX ||
        (fact->why != 0 && !ipc_recon_why_valid(fact->why)) ||
        (fact->result != 0 && !ipc_book_valid(fact->result)) ||
        frame->payload_bytes != ipc_fact_recon_bytes(fact))
        return false;
    switch ((enum ipc_recon_act)fact->act) {
    case IPC_RECON_ACT_ORPHAN:
        return eng_recon_orphan_fits(core, fact);
    case IPC_RECON_ACT_ASK:
        if (fact->account == 0 || fact->ask_no != core->recon_accounts[fact->account].ask_no + 1)
            return false;
        break;
    case IPC_RECON_ACT_WANT:
    case IPC_RECON_ACT_ANSWER:
        if (fact->account == 0 || (fact->act == IPC_RECON_ACT_WANT && fact->why == 0))
            return false;
        break;
    case IPC_RECON_ACT_TIME:
    case IPC_RECON_ACT_REPEAT:
        break;
    }
    const struct ipc_fact_recon_child *children = ipc_fact_recon_children(fact);
    for (uint32_t i = 0; i < fact->child_count; i++) {
        if (!ipc_verdict_valid(children[i].verdict) ||
            eng_child_by_tag_text(core, children[i].tag) == ENG_NONE)
            return false;
    }
    return true;
}

static void repeat_cancel(struct eng_core *core, uint32_t index)
{
    struct eng_child *child = &core->children[index];
    if (core->recon_children[index].repeats < UINT8_MAX)
        core->recon_children[index].repeats++;
    if (child->flight == 0 && child->queued == 0 && !eng_state_ended(child->state))
        eng_child_queue(core, index, IPC_ACTION_CANCEL, 0);
}

static void apply_child(struct eng_core *core, const struct ipc_fact_recon *fact,
    const struct ipc_fact_recon_child *about)
{
    uint32_t index = eng_child_by_tag_text(core, about->tag);
    struct eng_child_touch touch = eng_child_begin(core, index);
    struct eng_child *child = touch.child;
    struct eng_recon_child *recon = &core->recon_children[index];
    switch ((enum ipc_verdict)about->verdict) {
    case IPC_VERDICT_ASKED:
        (void)eng_child_live(core, child, ENG_LIFE_RECONCILE);
        break;
    case IPC_VERDICT_ABSENT:
        recon->absences = 1;
        recon->absent_ns = fact->sent_mono_ns;
        recon->absent_ask = fact->ask_no;
        break;
    case IPC_VERDICT_NOT_PLACED:
        recon->absences = 2;
        if (child->state != ENG_STATE_RECONCILING)
            (void)eng_child_live(core, child, ENG_LIFE_RECONCILE);
        (void)eng_child_live(core, child, ENG_LIFE_ABSENT);
        break;
    case IPC_VERDICT_MISSED:
        (void)eng_child_live(core, child, ENG_LIFE_MISS);
        break;
    case IPC_VERDICT_UNRESOLVED:
        (void)eng_child_live(core, child, ENG_LIFE_GIVE_UP);
        break;
    case IPC_VERDICT_AGAIN:
        repeat_cancel(core, index);
        break;
    case IPC_VERDICT_DAY_END:
        (void)eng_child_live(core, child, ENG_LIFE_DAY_END);
        break;
    }
    eng_child_end(core, &touch);
}

static void apply_ask(
    struct eng_core *core, const struct eng_frame *frame, const struct ipc_fact_recon *fact)
{
    struct eng_recon_account *account = &core->recon_accounts[fact->account];
    uint16_t day = (uint16_t)eng_market_day(frame->wall_ns);
    if (account->day != day) {
        account->day = day;
        account->asks_day = 0;
        account->order_count = 0;
    }
    if (account->asks_day < UINT16_MAX)
        account->asks_day++;
    if (account->asking && account->failures < UINT8_MAX)
        account->failures++; /* the one before it was never answered */
    account->ask_no = fact->ask_no;
    account->asked_mono_ns = frame->mono_ns;
    account->era = core->fold.era;
    account->asking = 1;
    account->asked_wants = account->wants;
    if (core->view != NULL) {
        const struct eng_account *paced = &core->accounts[fact->account];
        eng_pace_note(core, fact->account,
            paced->log_count == 0 ? (uint8_t)IPC_EXCHANGE_NSE : paced->log_exchange[0],
            frame->mono_ns, day);
    }
}

static void apply_answer(
    struct eng_core *core, const struct eng_frame *frame, const struct ipc_fact_recon *fact)
{
    struct eng_recon_account *account = &core->recon_accounts[fact->account];
    if (fact->flags & IPC_RECON_ODD)
        account->odd_ask = fact->ask_no > account->odd_ask ? fact->ask_no : account->odd_ask;
    if (fact->more || !account->asking || account->ask_no != fact->ask_no)
        return;
    account->asking = 0;
    bool read = fact->result == IPC_BOOK_GOOD || fact->result == IPC_BOOK_EMPTY ||
                fact->result == IPC_BOOK_NO_ORDERS || fact->result == IPC_BOOK_ODD;
    if (read) {
        account->failures = 0;
        account->wants &= (uint8_t)~account->asked_wants;
        account->answered_mono_ns = frame->mono_ns;
    } else if (account->failures < UINT8_MAX) {
        account->failures++;
    }
    account->asked_wants = 0;
    if (fact->result == IPC_BOOK_GOOD && !(fact->flags & IPC_RECON_BY_TAG))
        account->order_count = fact->order_count;
    if (fact->flags & IPC_RECON_OPENS)
        account->gated = 0;
    if (fact->flags & IPC_RECON_QUIET)
        core->recon_places[fact->account].is_open = 0;
}

enum ipc_rc eng_recon_apply(struct eng_core *core, const struct eng_frame *frame)
{
    if (!fits(core, frame))
        return IPC_BAD_INPUT;
    const struct ipc_fact_recon *fact = frame->payload;
    switch ((enum ipc_recon_act)fact->act) {
    case IPC_RECON_ACT_WANT:
        core->recon_accounts[fact->account].wants |= (uint8_t)(1u << fact->why);
        break;
    case IPC_RECON_ACT_ASK:
        apply_ask(core, frame, fact);
        break;
    case IPC_RECON_ACT_ANSWER:
        apply_answer(core, frame, fact);
        break;
    case IPC_RECON_ACT_TIME:
        if (fact->child_count == 0 && core->recon_accounts[fact->account].gated != 0)
            core->recon_accounts[fact->account].gated = 2;
        break;
    case IPC_RECON_ACT_ORPHAN:
        eng_recon_orphan_apply(core, frame, ipc_fact_recon_orphan(fact));
        return IPC_OK;
    case IPC_RECON_ACT_REPEAT:
        break;
    }
    const struct ipc_fact_recon_child *children = ipc_fact_recon_children(fact);
    for (uint32_t i = 0; i < fact->child_count; i++)
        apply_child(core, fact, &children[i]);
    account_changed(core, fact->account);
    return IPC_OK;
}
