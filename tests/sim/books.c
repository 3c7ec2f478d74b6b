/* What brokers answer when they are asked for an account's order book: late, behind, in part, with
 * an error, or not at all. */
#include "tests/sim/books.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

static void row_add(struct sim *sim, struct sim_question *question,
    const struct adp_sim_order *order, uint32_t *count)
{
    struct ipc_event *row = &question->rows[*count];
    if (*count == SIM_BOOK_ROWS || !sim_feed_event(sim, order, row))
        return;
    row->flags |= IPC_EVENT_FROM_BOOK;
    *count += 1;
}

static bool is_over(const struct adp_sim_order *order)
{
    return order->status == ADP_SIM_COMPLETE || order->status == ADP_SIM_CANCELLED ||
           order->status == ADP_SIM_REJECTED;
}

/* The account's orders as a replica has them that is `behind_ns` behind. */
static uint32_t rows_read(struct sim *sim, struct sim_question *question,
    const struct sim_broker *broker, int64_t behind_ns)
{
    const struct adp_sim_book *book = broker->book;
    uint32_t count = 0;
    for (uint32_t i = 0; i < adp_sim_book_order_count(book); i++) {
        const struct adp_sim_order *order = adp_sim_book_order(book, i);
        if (order->origin.account + 1 != question->ask.account ||
            order->origin.mono_ns > sim->now_ns - behind_ns ||
            (is_over(order) && !broker->character.has_complete_book) ||
            (question->ask.by_tag && strcmp(order->terms.tag, question->ask.tag) != 0))
            continue;
        row_add(sim, question, order, &count);
    }
    return count;
}

/* Rows are lost on the way, and what is left says so. */
static uint32_t rows_cut(struct sim *sim, struct sim_question *question, uint32_t count)
{
    uint32_t kept = count == 0 ? 0 : (uint32_t)sim_fault_between(sim, 0, count - 1);
    memmove(question->rows, question->rows + (count - kept), kept * sizeof(*question->rows));
    return kept;
}

static bool is_expired(const struct sim_broker *broker, uint32_t account)
{
    return broker->members.rows[account - 1].expired;
}

static void book_read(struct sim *sim, struct sim_question *question)
{
    static const enum ipc_book nothing[] = {IPC_BOOK_EMPTY, IPC_BOOK_NO_ORDERS};
    static const enum ipc_book errors[] = {IPC_BOOK_ERROR, IPC_BOOK_TOO_LARGE, IPC_BOOK_AUTH};
    const uint32_t account = question->ask.account;
    const struct sim_broker *broker = &sim->brokers[sim->published.accounts[account - 1].broker];
    const uint16_t *odds = broker->character.odds;
    const uint64_t site = sim_site(account, question->ask.ask_no);
    struct eng_book_answer *answer = &question->answer;
    int64_t behind_ns = 0;
    answer->http_status = 200;
    question->has_run = true;
    if (sim_fault(sim, SIM_FAULT_BOOK_OLD, site, odds[SIM_FAULT_BOOK_OLD], 1000))
        behind_ns = sim_fault_between(sim, 0, broker->character.book_lag_ns);
    uint32_t count = rows_read(sim, question, broker, behind_ns);
    answer->complete = broker->character.has_complete_book;
    answer->result = count == 0 ? IPC_BOOK_EMPTY : IPC_BOOK_GOOD;
    if (is_expired(broker, account)) {
        answer->result = IPC_BOOK_AUTH;
        count = 0;
    } else if (sim_fault(sim, SIM_FAULT_BOOK_ERROR, site, odds[SIM_FAULT_BOOK_ERROR], 1000)) {
        answer->result = (uint8_t)errors[sim_fault_between(sim, 0, 2)];
        answer->http_status = 502;
        count = 0;
    } else if (sim_fault(sim, SIM_FAULT_BOOK_EMPTY, site, odds[SIM_FAULT_BOOK_EMPTY], 1000)) {
        answer->result = (uint8_t)nothing[sim_fault_between(sim, 0, 1)];
        count = 0;
    } else if (sim_fault(sim, SIM_FAULT_BOOK_CUT, site, odds[SIM_FAULT_BOOK_CUT], 1000)) {
        count = rows_cut(sim, question, count);
        answer->result = IPC_BOOK_ODD;
        answer->complete = 0;
    }
    answer->orders = question->rows;
    answer->orders_count = answer->order_count = count;
    memset(answer->digest, (int)count, sizeof(answer->digest));
    sim_note(sim, "broker reads the book of account %u, question %u: %s, %u rows, %lld ms behind",
        account, question->ask.ask_no, ipc_book_name((enum ipc_book)answer->result), count,
        (long long)(behind_ns / LS_NS_PER_MS));
}

void sim_books_step(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_ACCOUNTS; i++) {
        struct sim_question *question = &sim->questions[i];
        if (question->is_asked && !question->has_run && question->run_ns <= sim->now_ns)
            book_read(sim, question);
    }
}

int64_t sim_books_due(const struct sim *sim)
{
    int64_t due = SIM_NEVER;
    for (uint32_t i = 0; i < SIM_ACCOUNTS; i++) {
        const struct sim_question *question = &sim->questions[i];
        if (question->is_asked)
            due = ls_min_i64(due, question->has_run ? question->answer_ns : question->run_ns);
    }
    return due;
}

void sim_books_forget(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_ACCOUNTS; i++)
        sim->questions[i].is_asked = false;
}
