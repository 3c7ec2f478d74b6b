/* turn_books.c: the pinned thread's half of reconciliation (core/reconcile.h): what is due is asked
 * of the porter (books.h), what comes back becomes facts, a few a turn, so that a book of thousands
 * of orders holds up no wave.
 *
 * Timers: what is due every 2 ms at most, what follows from the time alone every 100 ms, a part of
 * the accounts' connections every 10 ms, sessions that closed every second. */
#include <stdlib.h>

#include "engine/turn_private.h"

#define ASK_EVERY_NS      (2 * LS_NS_PER_MS)
#define TIME_EVERY_NS     (100 * LS_NS_PER_MS)
#define OUTAGE_EVERY_NS   (10 * LS_NS_PER_MS)
#define DAY_EVERY_NS      LS_NS_PER_S
#define DAY_END_AFTER_NS  (120 * LS_NS_PER_S) /* the last fills are reported by then */
#define DAY_END_WITHIN_NS (3600 * LS_NS_PER_S)
#define STEPS_PER_TURN    32u /* of answers: an order, a child or a handful of facts each */
#define STEPS_IN_WAVE     2u
#define ASKS_PER_TURN     8u
#define ACCOUNTS_PER_LOOK 256u
#define ROOM_FOR_FACTS    8192u /* payload bytes of one step, generously */

/* What is known of an account's connections. */
#define NEVER_UP          0
#define IS_UP             (-1)

struct turn_books {
    uint32_t out; /* asks and books that the porter has, or that came and were not given back */
    struct eng_book *came[ENG_BOOKS_MAX];
    uint32_t first, count;
    struct eng_recon_walk walk; /* of the first */
    int64_t asked_mono_ns, time_mono_ns, outage_mono_ns;
    int64_t day_mono_ns;
    uint32_t day_ended;                   /* market day, yyyymmdd, whose end was dealt with */
    uint32_t day_end_next, day_end_count; /* lanes whose books are wanted for it */
    uint32_t outage_next;                 /* lane of the generation that is looked at next */
    int64_t *down_mono_ns; /* by account - 1: since when it has no connection, NEVER_UP, IS_UP */
};

enum ipc_rc turn_books_make(struct eng_turn *turn, uint32_t accounts)
{
    struct turn_books *books = calloc(1, sizeof(*books));
    turn->books = books;
    if (books == NULL)
        return IPC_SYSTEM;
    books->down_mono_ns = calloc(accounts, sizeof(*books->down_mono_ns));
    return books->down_mono_ns != NULL ? IPC_OK : IPC_SYSTEM;
}

void turn_books_free(struct eng_turn *turn)
{
    if (turn->books == NULL)
        return;
    free(turn->books->down_mono_ns);
    free(turn->books);
}

static bool has_room(const struct eng_turn *turn)
{
    return eng_journal_room(turn->wiring.journal) >= ROOM_FOR_FACTS;
}

void turn_facts(struct eng_turn *turn, const struct eng_event_facts *facts)
{
    for (uint32_t i = 0; i < facts->count; i++) {
        if (facts->fact[i].type == IPC_FACT_ALARM) {
            turn_alarm(turn, &facts->fact[i].alarm);
            continue;
        }
        /* Room was asked for before: a full journal here is a bug of the room's arithmetic. */
        LS_CHECK(turn_append(turn, facts->fact[i].type, &facts->fact[i].event, facts->fact[i].bytes,
                     1) != 0);
    }
    turn->work++;
}

/* ---- answers -----------------------------------------------------------------------------------
 */

void turn_books_came(struct eng_turn *turn, struct eng_book *book)
{
    struct turn_books *books = turn->books;
    LS_CHECK(books->count < ENG_BOOKS_MAX);
    books->came[(books->first + books->count++) % ENG_BOOKS_MAX] = book;
}

static void give_back(struct eng_turn *turn)
{
    struct turn_books *books = turn->books;
    const struct eng_to_porter message = {
        .kind = ENG_TO_PORTER_BOOK, .book = books->came[books->first]};
    /* The queue holds every object that exists. */
    LS_CHECK(ipc_queue_offer(&turn->wiring.link->to_porter, &message));
    books->first = (books->first + 1) % ENG_BOOKS_MAX;
    books->count--;
    books->out--;
    books->walk = (struct eng_recon_walk){.phase = 0};
}

static void answers_take(struct eng_turn *turn)
{
    struct turn_books *books = turn->books;
    uint32_t steps = turn->wave_open ? STEPS_IN_WAVE : STEPS_PER_TURN;
    while (books->count > 0 && steps > 0 && has_room(turn)) {
        const struct eng_book *book = books->came[books->first];
        struct eng_event_facts facts;
        if (book->what == ENG_BOOKS_POSITIONS && turn_positions_walk(turn, book)) {
            steps--;
            continue;
        }
        if (book->what == ENG_BOOKS_ORDERS &&
            eng_recon_answer(turn->wiring.core, &book->answer, &books->walk, turn->now_mono_ns,
                turn->now_wall_ns, &facts)) {
            turn_facts(turn, &facts);
            steps--;
            continue;
        }
        ipc_metric_add(turn->wiring.telemetry->books_read, 1);
        give_back(turn);
    }
}

/* ---- asks --------------------------------------------------------------------------------------
 */

bool turn_books_can_ask(const struct eng_turn *turn)
{
    return turn->books->out < ENG_BOOKS_MAX && has_room(turn) &&
           ipc_queue_room(&turn->wiring.link->to_porter) > turn->wiring.config->connections + 128;
}

void turn_books_ask(struct eng_turn *turn, const struct eng_books_ask *ask)
{
    const struct eng_to_porter message = {.kind = ENG_TO_PORTER_ASK, .ask = *ask};
    LS_CHECK(ipc_queue_offer(&turn->wiring.link->to_porter, &message));
    turn->books->out++;
    turn->work++;
}

static void asks_make(struct eng_turn *turn)
{
    struct turn_books *books = turn->books;
    struct eng_book_ask ask;
    if (turn->now_mono_ns - books->asked_mono_ns < ASK_EVERY_NS)
        return;
    books->asked_mono_ns = turn->now_mono_ns;
    for (uint32_t i = 0; i < ASKS_PER_TURN && turn_books_can_ask(turn); i++) {
        if (!eng_recon_next(turn->wiring.core, turn->now_mono_ns, turn->now_wall_ns, &ask))
            return;
        turn_facts(turn, &ask.facts);
        turn_books_ask(turn, &(struct eng_books_ask){
                                 .account = ask.account,
                                 .ask_no = ask.ask_no,
                                 .what = ENG_BOOKS_ORDERS,
                             });
    }
}

static void time_take(struct eng_turn *turn)
{
    struct turn_books *books = turn->books;
    struct eng_event_facts facts;
    if (turn->now_mono_ns - books->time_mono_ns < TIME_EVERY_NS)
        return;
    for (uint32_t i = 0; i < STEPS_PER_TURN; i++) {
        if (!has_room(turn))
            return;
        if (!eng_recon_time(turn->wiring.core, turn->now_mono_ns, turn->now_wall_ns, &facts)) {
            books->time_mono_ns = turn->now_mono_ns;
            return;
        }
        turn_facts(turn, &facts);
    }
}

/* ---- what calls for a book ---------------------------------------------------------------------
 */

static void want(struct eng_turn *turn, uint32_t account, enum ipc_recon_why why)
{
    struct eng_event_facts facts;
    if (eng_recon_want(turn->wiring.core, account, why, NULL, &facts))
        turn_facts(turn, &facts);
}

/* An account that had no connection for more than a second, and has one again. Accounts that never
 * had one since the start are the start's. */
static void outages_look(struct eng_turn *turn)
{
    struct turn_books *books = turn->books;
    const struct eng_generation *generation = turn->generation;
    if (turn->now_mono_ns - books->outage_mono_ns < OUTAGE_EVERY_NS)
        return;
    books->outage_mono_ns = turn->now_mono_ns;
    for (uint32_t i = 0; i < ACCOUNTS_PER_LOOK && has_room(turn); i++) {
        if (books->outage_next >= generation->lane_count) {
            books->outage_next = 0;
            return;
        }
        const uint32_t account = generation->lanes[books->outage_next++].account;
        int64_t *down_mono_ns = &books->down_mono_ns[account - 1];
        if (!eng_pool_up(turn->pool, account)) {
            if (*down_mono_ns == IS_UP)
                *down_mono_ns = turn->now_mono_ns;
            continue;
        }
        if (*down_mono_ns > 0 && turn->now_mono_ns - *down_mono_ns > ENG_RECON_OUTAGE_NS)
            want(turn, account, IPC_RECON_WHY_OUTAGE);
        *down_mono_ns = IS_UP;
    }
}

/* The market's day of the newest session that has closed, and when the last session of that day, on
 * whatever exchange, closes. 0 = none has closed, or there is no calendar. */
static uint32_t day_closed(
    const struct ipc_snapshot_view *view, int64_t now_wall_ns, int64_t *close_wall_ns)
{
    uint32_t day = 0;
    int64_t newest_wall_ns = 0;
    *close_wall_ns = 0;
    for (uint32_t i = 0; i < view->session_count; i++) {
        const struct ipc_row_session *session = &view->sessions[i];
        if (session->close_wall_ns > now_wall_ns || session->close_wall_ns <= newest_wall_ns)
            continue;
        newest_wall_ns = session->close_wall_ns;
        day = session->yyyymmdd;
    }
    for (uint32_t i = 0; i < view->session_count; i++)
        if (view->sessions[i].yyyymmdd == day)
            *close_wall_ns = ls_max_i64(*close_wall_ns, view->sessions[i].close_wall_ns);
    return day;
}

/* After the day's last close every account's book is read once more, and its positions are
 * compared. Without a calendar nobody knows when that is. */
static void day_end_look(struct eng_turn *turn)
{
    struct turn_books *books = turn->books;
    const struct eng_generation *generation = turn->generation;
    int64_t close_wall_ns;
    for (uint32_t i = 0; i < ACCOUNTS_PER_LOOK && books->day_end_next < books->day_end_count &&
                         books->day_end_next < generation->lane_count && has_room(turn);
         i++)
        want(turn, generation->lanes[books->day_end_next++].account, IPC_RECON_WHY_DAY_END);
    if (turn->now_mono_ns - books->day_mono_ns < DAY_EVERY_NS)
        return;
    books->day_mono_ns = turn->now_mono_ns;
    const uint32_t day = day_closed(&generation->view, turn->now_wall_ns, &close_wall_ns);
    const int64_t since_ns = turn->now_wall_ns - close_wall_ns;
    if (day == 0 || day == books->day_ended || since_ns < DAY_END_AFTER_NS)
        return;
    books->day_ended = day;
    if (since_ns > DAY_END_WITHIN_NS)
        return; /* started long after it: another engine did this, or the next day will */
    books->day_end_next = 0;
    books->day_end_count = generation->lane_count;
    turn_positions_want_all(turn, "");
}

void turn_books_step(struct eng_turn *turn)
{
    if (turn->generation == NULL || !turn->pages_known)
        return;
    answers_take(turn);
    if (turn->stopping || turn->wave_open)
        return;
    time_take(turn);
    outages_look(turn);
    day_end_look(turn);
    asks_make(turn);
    turn_positions_step(turn);
}

bool turn_books_ready(const struct eng_turn *turn)
{
    return turn->books->count > 0;
}

void turn_books_end(struct eng_turn *turn)
{
    while (turn->books->count > 0)
        give_back(turn);
}
