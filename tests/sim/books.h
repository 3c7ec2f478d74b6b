/* books.h: questions for an account's order book and what brokers answer: behind, in part, or not
 * at all. The seam is engine/core/reconcile.h's; in the engine the porter sits between. */
#ifndef LS_TESTS_SIM_BOOKS_H
#define LS_TESTS_SIM_BOOKS_H

#include "engine/core/reconcile.h"

#define SIM_BOOK_ROWS 512u
#define SIM_ANSWERS   8u /* of an account, that the judge looks back on */

/* One question under way: at most one of an account. */
struct sim_question {
    bool is_asked, has_run;
    struct eng_book_ask ask;
    int64_t asked_ns, run_ns, answer_ns; /* sim time; SIM_NEVER = no answer comes */
    struct eng_book_answer answer;
    struct ipc_event *rows; /* SIM_BOOK_ROWS */
};

/* What the judge keeps of good and complete answers that were handed to the engine. */
struct sim_answered {
    int64_t asked_ns;
    uint32_t row_count;
    uint64_t tags[SIM_BOOK_ROWS]; /* hashes, of the orders that it shows */
};

struct sim_answers {
    uint64_t count; /* since something was odd */
    struct sim_answered last[SIM_ANSWERS];
};

struct sim;

/* sim_books_step lets brokers read their books for what was asked. */
void sim_books_step(struct sim *sim);
int64_t sim_books_due(const struct sim *sim);
/* sim_books_forget: the engine's process is gone, and what it asked. */
void sim_books_forget(struct sim *sim);

/* sim_shell_books is the engine's part: answers that came are dealt with, time passes, questions
 * leave. */
void sim_shell_books(struct sim *sim);
/* sim_shell_want: something outside calls for an account's book. */
void sim_shell_want(struct sim *sim, uint32_t account, enum ipc_recon_why why);
/* sim_shell_guards journals breakers that have tripped. */
void sim_shell_guards(struct sim *sim);

/* absence.c, the judge: told of each answer, and of each RECON fact. */
void sim_absence_answer(struct sim *sim, const struct sim_question *question);
void sim_absence_fact(struct sim *sim, const struct ipc_fact_recon *fact);

#endif
