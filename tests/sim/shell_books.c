/* The shell's part of reconciliation: answers are dealt with a step at a time, time passes, and
 * questions leave. A crash point lies between any two facts. */
#include <string.h>

#include "engine/core/breaker.h"
#include "ipc/tag.h"
#include "tests/sim/sim.h"

static void facts_append(struct sim *sim, const struct eng_event_facts *facts)
{
    for (uint32_t i = 0; i < facts->count; i++) {
        if (facts->fact[i].type == IPC_FACT_ALARM)
            sim_note(sim, "alarm %s: %.*s %s",
                ipc_alarm_name((enum ipc_alarm)facts->fact[i].alarm.alarm), IPC_TAG_CHARACTERS,
                facts->fact[i].alarm.tag, facts->fact[i].alarm.text);
        (void)sim_shell_append(
            sim, facts->fact[i].type, &facts->fact[i].event, facts->fact[i].bytes, 1);
    }
}

static void ask(struct sim *sim, const struct eng_book_ask *asked)
{
    struct sim_question *question = &sim->questions[asked->account - 1];
    const uint32_t broker = sim->published.accounts[asked->account - 1].broker;
    const struct sim_character *is = &sim->brokers[broker].character;
    struct ipc_event *rows = question->rows;
    *question = (struct sim_question){.is_asked = true, .ask = *asked, .rows = rows};
    question->asked_ns = sim->now_ns;
    question->run_ns = sim->now_ns + sim_character_takes(sim, is) + is->latency_ns;
    question->answer_ns = question->run_ns + sim_character_takes(sim, is) + is->latency_ns;
    if (sim_fault(sim, SIM_FAULT_BOOK_LOST, sim_site(asked->account, asked->ask_no),
            is->odds[SIM_FAULT_BOOK_LOST], 1000))
        question->answer_ns = SIM_NEVER;
    question->answer = (struct eng_book_answer){.account = asked->account,
        .ask_no = asked->ask_no,
        .by_tag = asked->by_tag,
        .sent_mono_ns = sim_mono(sim)};
    sim->figures.questions++;
    sim_note(sim, "engine asks for the book of account %u: question %u, %s%s%s", asked->account,
        asked->ask_no, ipc_recon_why_name((enum ipc_recon_why)asked->why),
        asked->by_tag ? " of " : "", asked->by_tag ? asked->tag : "");
}

static void answer_take(struct sim *sim, struct sim_question *question)
{
    struct eng_event_facts facts;
    struct eng_recon_walk walk = {0};
    question->is_asked = false;
    question->answer.received_mono_ns = sim_mono(sim);
    for (uint32_t i = 0; i < question->answer.orders_count; i++)
        question->rows[i].received_mono_ns = question->rows[i].published_mono_ns = sim_mono(sim);
    sim_absence_answer(sim, question);
    while (eng_recon_answer(
        sim->shell.core, &question->answer, &walk, sim_mono(sim), sim_wall(sim), &facts))
        facts_append(sim, &facts);
}

void sim_shell_books(struct sim *sim)
{
    struct eng_event_facts facts;
    struct eng_book_ask asked;
    for (uint32_t i = 0; i < SIM_ACCOUNTS; i++) {
        struct sim_question *question = &sim->questions[i];
        if (question->is_asked && question->has_run && question->answer_ns <= sim->now_ns)
            answer_take(sim, question);
    }
    while (eng_recon_time(sim->shell.core, sim_mono(sim), sim_wall(sim), &facts))
        facts_append(sim, &facts);
    while (eng_recon_next(sim->shell.core, sim_mono(sim), sim_wall(sim), &asked)) {
        facts_append(sim, &asked.facts);
        ask(sim, &asked);
    }
}

void sim_shell_want(struct sim *sim, uint32_t account, enum ipc_recon_why why)
{
    struct eng_event_facts facts;
    if (eng_recon_want(sim->shell.core, account, why, NULL, &facts))
        facts_append(sim, &facts);
}

void sim_shell_guards(struct sim *sim)
{
    struct ipc_fact_guard fact;
    while (eng_breaker_pending(sim->shell.core) &&
           eng_breaker_next(sim->shell.core, sim_mono(sim), &fact)) {
        sim_note(sim, "guard: %s %s of %s", ipc_guard_act_name((enum ipc_guard_act)fact.act),
            ipc_guard_kind_name((enum ipc_guard_kind)fact.kind),
            ipc_guard_scope_name((enum ipc_guard_scope)fact.scope));
        sim->figures.guards += fact.act == IPC_GUARD_ACT_TRIP;
        (void)sim_shell_append(sim, IPC_FACT_GUARD, &fact, sizeof(fact), 1);
    }
}
