/* turn_books_positions.c: positions are compared with the broker's, at the day's end and when a
 * person asks; a difference is told and never corrected.
 *
 * Of an account the porter reads the order book and then the positions. What is compared, by
 * instrument and product: the fold of our fills against the broker's net, less what orders that are
 * not ours filled today. Deliveries leave the positions overnight for the holdings, where the
 * owner's shares are too: of CNC and MTF only today's fills are compared.
 *
 * Fills go on while two calls are made, so a difference counts only when two readings, two seconds
 * apart, give the same one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/copied.h"
#include "engine/turn_private.h"
#include "ipc/decimal.h"

#define COMPARES           8u   /* accounts that are compared at one time */
#define LINES_MAX          256u /* instruments and products of one account */
#define TRIES_MAX          6u   /* readings of an account before what is there is told, */
#define UNREAD_MAX         3u   /* and when it cannot be read */
#define AGAIN_NS           (2 * LS_NS_PER_S)
#define ACCOUNTS_PER_LOOK  1024u
#define POSITIONS_PER_STEP 4096u
#define ROOM_FOR_FACTS     65536u /* an account's lines, an alarm */

struct compare {
    uint32_t account; /* 0 = free */
    bool is_asked;
    uint32_t tries;
    int64_t due_mono_ns;
    uint64_t differences; /* hash of what the reading before showed; 0 = none yet */
};

struct turn_positions {
    struct compare compares[COMPARES];
    uint8_t *wanted; /* by account - 1 */
    uint32_t wanted_count, wanted_next;
    char by[16]; /* who asked last, "" = the day's end */

    /* The book that is being compared. */
    bool is_walking, is_short; /* is_short: more lines than there is room for */
    uint32_t cursor, line_count;
    struct ipc_fact_position_line lines[LINES_MAX];
    int64_t today_e8[LINES_MAX]; /* filled today by orders of ours */
};

enum ipc_rc turn_positions_make(struct eng_turn *turn, uint32_t accounts)
{
    turn->positions = calloc(1, sizeof(*turn->positions));
    if (turn->positions == NULL)
        return IPC_SYSTEM;
    turn->positions->wanted = calloc(accounts, 1);
    return turn->positions->wanted != NULL ? IPC_OK : IPC_SYSTEM;
}

void turn_positions_free(struct eng_turn *turn)
{
    if (turn->positions == NULL)
        return;
    free(turn->positions->wanted);
    free(turn->positions);
}

/* ---- whom to ask -------------------------------------------------------------------------------
 */

void turn_positions_want(struct eng_turn *turn, uint32_t account, const char *by)
{
    struct turn_positions *positions = turn->positions;
    (void)snprintf(positions->by, sizeof(positions->by), "%.15s", by);
    if (account == 0 || account > turn->wiring.config->accounts ||
        positions->wanted[account - 1] != 0)
        return;
    positions->wanted[account - 1] = 1;
    positions->wanted_count++;
}

void turn_positions_want_all(struct eng_turn *turn, const char *by)
{
    for (uint32_t i = 0; i < turn->generation->lane_count; i++)
        turn_positions_want(turn, turn->generation->lanes[i].account, by);
}

static void places_fill(struct eng_turn *turn)
{
    struct turn_positions *positions = turn->positions;
    const uint32_t accounts = turn->wiring.config->accounts;
    uint32_t looked = 0;
    for (uint32_t i = 0; i < COMPARES && positions->wanted_count > 0; i++) {
        struct compare *compare = &positions->compares[i];
        if (compare->account != 0)
            continue;
        for (; looked < ACCOUNTS_PER_LOOK; looked++) {
            const uint32_t at = positions->wanted_next++ % accounts;
            if (positions->wanted[at] == 0)
                continue;
            positions->wanted[at] = 0;
            positions->wanted_count--;
            *compare = (struct compare){.account = at + 1};
            break;
        }
    }
}

void turn_positions_step(struct eng_turn *turn)
{
    struct turn_positions *positions = turn->positions;
    if (positions->wanted_count > 0)
        places_fill(turn);
    for (uint32_t i = 0; i < COMPARES; i++) {
        struct compare *compare = &positions->compares[i];
        if (compare->account == 0 || compare->is_asked ||
            turn->now_mono_ns < compare->due_mono_ns || !turn_books_can_ask(turn))
            continue;
        compare->is_asked = true;
        turn_books_ask(turn,
            &(struct eng_books_ask){.account = compare->account, .what = ENG_BOOKS_POSITIONS});
    }
}

/* ---- what came ---------------------------------------------------------------------------------
 */

static struct ipc_fact_position_line *line_of(
    struct turn_positions *positions, uint32_t instrument, uint8_t product)
{
    for (uint32_t i = 0; i < positions->line_count; i++)
        if (positions->lines[i].instrument == instrument && positions->lines[i].product == product)
            return &positions->lines[i];
    if (positions->line_count == LINES_MAX) {
        positions->is_short = true;
        return NULL;
    }
    positions->today_e8[positions->line_count] = 0;
    struct ipc_fact_position_line *line = &positions->lines[positions->line_count++];
    *line = (struct ipc_fact_position_line){.instrument = instrument, .product = product};
    return line;
}

static void brokers_take(struct turn_positions *positions, const struct eng_book *book)
{
    positions->line_count = positions->cursor = 0;
    positions->is_short = false;
    for (uint32_t i = 0; i < book->line_count; i++) {
        const struct eng_books_line *from = &book->lines[i];
        if (from->instrument == 0)
            continue; /* nothing of ours can be in what the snapshot does not know */
        struct ipc_fact_position_line *line = line_of(positions, from->instrument, from->product);
        if (line == NULL)
            return;
        line->broker_e8 = from->net_qty_e8;
        line->others_e8 = from->others_qty_e8;
        positions->today_e8[line - positions->lines] = from->ours_qty_e8;
    }
}

static bool leaves_overnight(uint8_t product)
{
    return product == IPC_PRODUCT_CNC || product == IPC_PRODUCT_MTF;
}

/* Brings the lines that differ to the front; returns how many. *hash names them. */
static uint32_t differing_find(struct turn_positions *positions, uint64_t *hash)
{
    uint32_t count = 0;
    *hash = UINT64_C(0xcbf29ce484222325);
    for (uint32_t i = 0; i < positions->line_count; i++) {
        struct ipc_fact_position_line line = positions->lines[i];
        if (leaves_overnight(line.product))
            line.ours_e8 = positions->today_e8[i];
        if (line.ours_e8 == line.broker_e8 - line.others_e8)
            continue;
        const int64_t parts[] = {
            line.instrument, line.product, line.ours_e8 - line.broker_e8 + line.others_e8};
        for (uint32_t part = 0; part < LS_COUNT_OF(parts); part++)
            *hash = (*hash ^ (uint64_t)parts[part]) * UINT64_C(0x9E3779B97F4A7C15);
        positions->lines[i] = positions->lines[count];
        positions->today_e8[i] = positions->today_e8[count];
        positions->lines[count++] = line;
    }
    return count;
}

static void alarm_tell(struct eng_turn *turn, uint32_t account, enum ipc_book result,
    uint32_t differing, const struct ipc_fact_position_line *first)
{
    struct ipc_fact_alarm alarm = {.alarm = IPC_ALARM_POSITION, .account = account};
    char ours[IPC_DECIMAL_BYTES], broker[IPC_DECIMAL_BYTES];
    if (result != IPC_BOOK_GOOD) {
        (void)snprintf(alarm.text, sizeof(alarm.text), "the broker's positions cannot be read: %s",
            ipc_book_name(result));
    } else {
        const struct ipc_row_instrument *row =
            &turn->generation->view.instruments[first->instrument - 1];
        (void)ipc_decimal_format(first->ours_e8, ours);
        (void)ipc_decimal_format(first->broker_e8 - first->others_e8, broker);
        (void)snprintf(alarm.text, sizeof(alarm.text), "%u differ; %.20s: ours %.12s, broker %.12s",
            differing, row->symbol, ours, broker);
    }
    turn_alarm(turn, &alarm);
}

static void result_tell(
    struct eng_turn *turn, const struct eng_book *book, enum ipc_book result, uint32_t differing)
{
    struct turn_positions *positions = turn->positions;
    struct ipc_fact_positions fact = {
        .account = book->answer.account,
        .result = (uint8_t)result,
        .compared = positions->line_count,
        .differing = differing,
        .read_wall_ns = turn->now_wall_ns - (turn->now_mono_ns - book->answer.sent_mono_ns),
    };
    memcpy(fact.by, positions->by, sizeof(fact.by));
    uint32_t told = 0;
    do {
        const uint32_t rest = differing - told;
        fact.line_count = (uint8_t)(rest < IPC_POSITION_LINES_MAX ? rest : IPC_POSITION_LINES_MAX);
        fact.more = rest > IPC_POSITION_LINES_MAX;
        memset(fact.lines, 0, sizeof(fact.lines));
        memcpy(fact.lines, positions->lines + told, fact.line_count * sizeof(fact.lines[0]));
        /* The caller has asked for room. */
        LS_CHECK(turn_append(turn, IPC_FACT_POSITIONS, &fact, sizeof(fact), 1) != 0);
        told += fact.line_count;
    } while (told < differing);
    ipc_metric_add(turn->wiring.telemetry->positions_compared, positions->line_count);
    ipc_metric_add(turn->wiring.telemetry->positions_differing, differing);
    if (differing > 0 || result != IPC_BOOK_GOOD)
        alarm_tell(turn, book->answer.account, result, differing, positions->lines);
}

static struct compare *compare_of(struct turn_positions *positions, uint32_t account)
{
    for (uint32_t i = 0; i < COMPARES; i++)
        if (positions->compares[i].account == account)
            return &positions->compares[i];
    return NULL;
}

/* All lines are there: they are told, or read once more. */
static void compare_end(struct eng_turn *turn, const struct eng_book *book)
{
    struct turn_positions *positions = turn->positions;
    struct compare *compare = compare_of(positions, book->answer.account);
    uint64_t hash = 0;
    uint32_t differing = 0;
    LS_CHECK(compare != NULL && compare->is_asked);
    enum ipc_book result = (enum ipc_book)book->answer.result;
    if (result == IPC_BOOK_GOOD && positions->is_short)
        result = IPC_BOOK_TOO_LARGE;
    const bool is_read = result == IPC_BOOK_GOOD;
    bool is_sure = false;
    if (is_read) {
        differing = differing_find(positions, &hash);
        is_sure = differing == 0 || hash == compare->differences;
    } else {
        positions->line_count = 0;
    }
    compare->is_asked = false;
    compare->tries++;
    compare->differences = hash;
    compare->due_mono_ns = turn->now_mono_ns + AGAIN_NS;
    if (!is_sure && compare->tries < (is_read ? TRIES_MAX : UNREAD_MAX))
        return;
    result_tell(turn, book, result, differing);
    compare->account = 0;
}

bool turn_positions_walk(struct eng_turn *turn, const struct eng_book *book)
{
    struct turn_positions *positions = turn->positions;
    const bool is_good = book->answer.result == IPC_BOOK_GOOD;
    struct eng_copied copied;
    if (eng_journal_room(turn->wiring.journal) < ROOM_FOR_FACTS)
        return true; /* looked at again when there is room */
    if (!positions->is_walking) {
        positions->is_walking = true;
        brokers_take(positions, book);
    }
    if (is_good && eng_copied_next(turn->wiring.core, book->answer.account, &positions->cursor,
                       POSITIONS_PER_STEP, &copied)) {
        struct ipc_fact_position_line *line = line_of(positions, copied.instrument, copied.product);
        if (line != NULL)
            line->ours_e8 += copied.qty_e8;
        return true;
    }
    if (is_good && positions->cursor != 0)
        return true;
    compare_end(turn, book);
    positions->is_walking = false;
    return false;
}
