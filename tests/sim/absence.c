/* The judge of what is said not to be there. An order is NOT_PLACED only after two good and
 * complete books without it, a settle time after its bytes left and another between them, and only
 * if the broker does not have it; what the broker took later than that is a ghost. */
#include <string.h>

#include "ipc/tag.h"
#include "tests/sim/sim.h"

static int64_t settle_ns(const struct sim *sim, uint32_t account)
{
    uint32_t broker = sim->published.accounts[account - 1].broker;
    return ls_max_i64(3 * LS_NS_PER_S, 4 * sim->brokers[broker].character.book_lag_ns);
}

void sim_absence_answer(struct sim *sim, const struct sim_question *question)
{
    const struct eng_book_answer *answer = &question->answer;
    struct sim_answers *answers = &sim->answers[answer->account - 1];
    if (answer->result == IPC_BOOK_ODD)
        answers->count = 0; /* something was odd between */
    if (answer->result != IPC_BOOK_GOOD || !answer->complete)
        return;
    struct sim_answered *kept = &answers->last[answers->count++ % SIM_ANSWERS];
    kept->asked_ns = question->asked_ns;
    kept->row_count = answer->orders_count;
    for (uint32_t i = 0; i < answer->orders_count; i++)
        kept->tags[i] = answer->orders[i].client_tag[0] == '\0'
                            ? 0
                            : ipc_tag_hash(answer->orders[i].client_tag);
}

static bool shows(const struct sim_answered *answered, uint64_t hash)
{
    for (uint32_t i = 0; i < answered->row_count; i++) {
        if (answered->tags[i] == hash)
            return true;
    }
    return false;
}

/* The latest time before which two books prove that it is not there; 0 = they do not. */
static int64_t proved_ns(const struct sim *sim, const struct sim_tag *tag, uint32_t account)
{
    const struct sim_answers *answers = &sim->answers[account - 1];
    const uint64_t hash = ipc_tag_hash(tag->tag);
    const int64_t settle = settle_ns(sim, account);
    int64_t first_ns = 0;
    uint64_t from = answers->count > SIM_ANSWERS ? answers->count - SIM_ANSWERS : 0;
    for (uint64_t i = from; i < answers->count; i++) {
        const struct sim_answered *answered = &answers->last[i % SIM_ANSWERS];
        if (answered->asked_ns < tag->left_ns + settle || shows(answered, hash))
            continue;
        if (first_ns != 0 && answered->asked_ns >= first_ns + settle)
            return answered->asked_ns;
        if (first_ns == 0)
            first_ns = answered->asked_ns;
    }
    return 0;
}

static void absent(struct sim *sim, const struct sim_tag *tag, uint32_t account)
{
    const struct sim_broker *broker = &sim->brokers[sim->published.accounts[account - 1].broker];
    int64_t proved = proved_ns(sim, tag, account);
    if (proved == 0)
        sim_fail(sim, "absence: %s is believed not to be there without two good books", tag->tag);
    for (uint32_t i = 0; i < adp_sim_book_order_count(broker->book); i++) {
        const struct adp_sim_order *order = adp_sim_book_order(broker->book, i);
        if (order->refusal == 0 && strcmp(order->terms.tag, tag->tag) == 0 &&
            order->origin.mono_ns + broker->character.book_lag_ns < proved)
            sim_fail(sim, "absence: %s is believed not to be there, its broker has it", tag->tag);
    }
}

void sim_absence_fact(struct sim *sim, const struct ipc_fact_recon *fact)
{
    const struct ipc_fact_recon_child *children = ipc_fact_recon_children(fact);
    if (fact->act == IPC_RECON_ACT_ORPHAN) {
        sim->figures.orphans += !sim->judge.is_rereading;
        return;
    }
    for (uint32_t i = 0; i < fact->child_count; i++) {
        struct sim_tag *tag = sim_tag_find(sim, children[i].tag);
        if (tag == NULL)
            sim_fail(sim, "books say something of %s, which was never decided", children[i].tag);
        switch (children[i].verdict) {
        case IPC_VERDICT_NOT_PLACED:
            if (!sim->judge.is_rereading)
                absent(sim, tag, fact->account);
            tag->is_unanswered = tag->is_unresolved = 0;
            tag->is_over = 1;
            sim->figures.missed += !sim->judge.is_rereading;
            if (tag->is_exit)
                sim_line_of(sim, tag)->is_excused = 1;
            break;
        case IPC_VERDICT_UNRESOLVED:
            sim->figures.unresolved += !sim->judge.is_rereading;
            tag->is_unresolved = 1;
            break;
        default:
            break;
        }
        sim_note(sim, "verdict of %s: %s", children[i].tag,
            ipc_verdict_name((enum ipc_verdict)children[i].verdict));
    }
}
