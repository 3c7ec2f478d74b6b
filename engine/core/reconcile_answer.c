/* What an answer proves: presence by itself, absence by two books (ORDER-SAFETY 3.6). */
#include "engine/core/dedupe.h"
#include "engine/core/pace.h"
#include "engine/core/reconcile_private.h"

#define ROWS_PER_STEP 64u /* that say nothing new */

enum phase { PHASE_ORDERS = 0, PHASE_CHILDREN = 1, PHASE_END = 2 };

static bool shows_something(const struct eng_book_answer *answer)
{
    return answer->result == IPC_BOOK_GOOD || answer->result == IPC_BOOK_ODD;
}

/* --- what it shows ------------------------------------------------------------------------------
 */

/* An order of ours that we knew to exist before this answer: whoever shows it shows this account's
 * book of today. */
static bool was_known(const struct eng_core *core, const struct ipc_event *event)
{
    uint32_t child = eng_child_by_broker_id(core, event->broker_order_id, event->account);
    return child != ENG_NONE && !eng_state_in_doubt(core->children[child].state);
}

static bool next_order(const struct eng_core *core, const struct eng_book_answer *answer,
    struct eng_recon_walk *walk, struct eng_event_facts *out)
{
    for (uint32_t looked = 0; walk->at < answer->orders_count; looked++) {
        out->count = 0;
        if (looked == ROWS_PER_STEP)
            return true;
        struct ipc_event event = answer->orders[walk->at];
        if (event.kind != IPC_EVENT_ORDER || event.account != answer->account) {
            walk->at++;
            walk->odd++;
            continue;
        }
        walk->own_count += was_known(core, &event);
        event.flags |= IPC_EVENT_FROM_BOOK;
        /* It may have been read any time after the request left. */
        event.received_mono_ns = answer->sent_mono_ns;
        (void)eng_step_own(core, &event, IPC_PRODUCER_BOOK, answer->ask_no, out);
        walk->at++;
        if (out->count != 0)
            return true;
    }
    walk->phase = PHASE_CHILDREN;
    walk->at = 0;
    return false;
}

/* --- what it lacks ------------------------------------------------------------------------------
 */

struct judged {
    const struct eng_book_answer *answer;
    bool is_current; /* it answers the account's newest question */
    bool shrank;     /* fewer rows than before on the same day */
    bool proves;     /* what it lacks counts */
    bool sentinel, odd;
    uint16_t day; /* market day of the answer, modulo 2^16: a book is of its day */
};

static struct judged judge_answer(const struct eng_core *core, const struct eng_book_answer *answer,
    const struct eng_recon_walk *walk, int64_t now_wall_ns)
{
    const struct eng_recon_account *state = &core->recon_accounts[answer->account];
    struct judged judged = {.answer = answer, .day = (uint16_t)eng_market_day(now_wall_ns)};
    judged.is_current = state->asking && state->ask_no == answer->ask_no;
    bool good = answer->result == IPC_BOOK_GOOD;
    bool same_day = state->day == (uint16_t)eng_market_day(now_wall_ns) && state->order_count != 0;
    judged.shrank = good && !answer->by_tag && same_day && answer->order_count < state->order_count;
    judged.sentinel =
        walk->own_count != 0 || (good && same_day && answer->order_count >= state->order_count);
    judged.odd = walk->odd != 0 || judged.shrank || answer->result == IPC_BOOK_ODD ||
                 answer->result == IPC_BOOK_EMPTY || answer->result == IPC_BOOK_NO_ORDERS ||
                 answer->result == IPC_BOOK_AUTH;
    judged.proves = judged.is_current && good && answer->complete && judged.sentinel &&
                    !judged.odd && !answer->by_tag;
    return judged;
}

/* NONE is 0: nothing is said about it. */
static unsigned verdict_of(
    const struct eng_core *core, const struct judged *judged, uint32_t index, int64_t settle)
{
    const struct eng_recon_child *recon = &core->recon_children[index];
    int64_t sent = judged->answer->sent_mono_ns;
    if (!judged->proves || !eng_state_in_doubt(core->children[index].state) ||
        core->children[index].sent_day != judged->day || sent < recon->doubt_mono_ns + settle)
        return 0;
#ifdef LS_PLANT_ONE_BOOK
    return IPC_VERDICT_NOT_PLACED; /* the planted bug: absence is believed after one book */
#endif
    bool counts = recon->absences != 0 &&
                  recon->absent_ask > core->recon_accounts[judged->answer->account].odd_ask;
    if (!counts)
        return IPC_VERDICT_ABSENT;
    if (recon->absent_ask == judged->answer->ask_no || sent < recon->absent_ns + settle)
        return 0;
    return IPC_VERDICT_NOT_PLACED;
}

/* The book may still say what became of one of its orders; of what is UNRESOLVED a person decides.
 */
static bool asks_still(const struct eng_core *core, uint32_t account)
{
    uint32_t at = core->recon_places[account].head;
    for (; at != 0; at = core->recon_links[at - 1].next) {
        if (core->children[at - 1].state != ENG_STATE_UNRESOLVED)
            return true;
    }
    return false;
}

/* An empty list is no answer about an order, but where the journal knows of none that should stand
 * there it lets an account go on after a start. */
static bool opens_gate(const struct eng_core *core, const struct judged *judged)
{
    const struct eng_book_answer *answer = judged->answer;
    const struct eng_recon_account *state = &core->recon_accounts[answer->account];
    if (!judged->is_current || answer->by_tag)
        return false;
    if (answer->result == IPC_BOOK_GOOD)
        return true;
    return (answer->result == IPC_BOOK_EMPTY || answer->result == IPC_BOOK_NO_ORDERS) &&
           !asks_still(core, answer->account) && !core->recon_places[answer->account].is_open &&
           answer->sent_mono_ns >=
               state->gated_mono_ns + eng_recon_settle_ns(core, answer->account);
}

/* No order that it shows works any more. */
static bool is_quiet(const struct eng_core *core, const struct judged *judged)
{
    const struct eng_book_answer *answer = judged->answer;
    if (!judged->proves || core->recon_places[answer->account].head != 0)
        return false;
    for (uint32_t i = 0; i < answer->orders_count; i++) {
        uint32_t child =
            eng_child_by_broker_id(core, answer->orders[i].broker_order_id, answer->account);
        if (child != ENG_NONE && !eng_state_ended(core->children[child].state))
            return false;
    }
    return true;
}

static void fill_answer(const struct eng_core *core, const struct judged *judged,
    const struct eng_recon_walk *walk, struct ipc_fact_recon *out)
{
    const struct eng_book_answer *answer = judged->answer;
    out->result = answer->result;
    out->ask_no = answer->ask_no;
    out->order_count = answer->order_count;
    out->own_count = walk->own_count;
    out->http_status = answer->http_status;
    out->sent_mono_ns = answer->sent_mono_ns;
    out->received_mono_ns = answer->received_mono_ns;
    memcpy(out->digest, answer->digest, sizeof out->digest);
    if (answer->complete)
        out->flags |= IPC_RECON_COMPLETE;
    if (judged->sentinel)
        out->flags |= IPC_RECON_SENTINEL;
    if (answer->by_tag)
        out->flags |= IPC_RECON_BY_TAG;
    if (judged->odd)
        out->flags |= IPC_RECON_ODD;
    if (opens_gate(core, judged))
        out->flags |= IPC_RECON_OPENS;
    if (is_quiet(core, judged))
        out->flags |= IPC_RECON_QUIET;
}

static bool next_children(const struct eng_core *core, const struct eng_book_answer *answer,
    struct eng_recon_walk *walk, int64_t now_wall_ns, struct eng_event_facts *out)
{
    struct judged judged = judge_answer(core, answer, walk, now_wall_ns);
    struct ipc_fact_recon_room *room = eng_recon_add(out, IPC_RECON_ACT_ANSWER, answer->account);
    int64_t settle = eng_recon_settle_ns(core, answer->account);
    fill_answer(core, &judged, walk, &room->recon);
    uint32_t at = core->recon_places[answer->account].head;
    for (; at != 0; at = core->recon_links[at - 1].next) {
        unsigned verdict = verdict_of(core, &judged, at - 1, settle);
        if (verdict == 0 || (verdict == IPC_VERDICT_ABSENT &&
                                core->recon_children[at - 1].absent_ask == answer->ask_no))
            continue; /* nothing new, or said by a fact before this one */
        if (room->recon.child_count == IPC_RECON_CHILDREN_MAX) {
            room->recon.more = 1;
            break;
        }
        bool gone = verdict == IPC_VERDICT_NOT_PLACED;
        struct ipc_fact_recon_child *fact = &room->children[room->recon.child_count++];
        eng_recon_child_fact(core, at - 1, (enum ipc_verdict)verdict,
            gone ? ENG_STATE_NOT_PLACED : (enum eng_state)core->children[at - 1].state, fact);
        fact->absences = gone ? 2 : 1;
    }
    if (!room->recon.more)
        walk->phase = PHASE_END;
    out->fact[out->count - 1].bytes = ipc_fact_recon_bytes(&room->recon);
    return true;
}

bool eng_recon_answer(const struct eng_core *core, const struct eng_book_answer *answer,
    struct eng_recon_walk *walk, int64_t now_mono_ns, int64_t now_wall_ns,
    struct eng_event_facts *out)
{
    (void)now_mono_ns;
    LS_CHECK(answer->account != 0 && answer->account <= core->limits.account_max);
    out->count = 0;
    out->retry_later = false;
    out->why = IPC_REASON_NONE;
    if (core->view == NULL)
        return false;
    if (walk->phase == PHASE_ORDERS && !shows_something(answer))
        walk->phase = PHASE_CHILDREN;
    if (walk->phase == PHASE_ORDERS && next_order(core, answer, walk, out))
        return true;
    if (walk->phase == PHASE_CHILDREN)
        return next_children(core, answer, walk, now_wall_ns, out);
    return false;
}
