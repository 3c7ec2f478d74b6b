/* turn_day.c: the market's day goes on by facts, and what is older than the day before is
 * forgotten: one step a turn, none while a wave waits for its next batch.
 *
 * Timers: the calendar is looked up when a generation is adopted and when its next boundary is
 * reached. A day begins in a journal segment of its own, so that what came before can be sealed. */
#include "engine/core/forget.h"
#include "engine/turn_private.h"

#define ROOM_FOR_FACTS 4096u

void turn_day_step(struct eng_turn *turn)
{
    struct ipc_fact_day fact;
    struct eng_journal *journal = turn->wiring.journal;
    if (turn->generation == NULL || turn->wave_open || turn->stopping)
        return;
    if (turn->day_generation != turn->generation_count ||
        turn->now_wall_ns >= turn->day_times.next_wall_ns) {
        eng_market_times_at(&turn->generation->view, turn->now_wall_ns, &turn->day_times);
        turn->day_generation = turn->generation_count;
    }
    if (!eng_day_next(turn->wiring.core, &turn->day_times, &fact) ||
        eng_journal_room(journal) < ROOM_FOR_FACTS)
        return;
    if (fact.act == IPC_DAY_ACT_BEGIN)
        eng_journal_turn_page(journal);
    uint32_t ended_day = eng_day_of_fold(turn->wiring.core);
    uint64_t lsn = turn_append(turn, IPC_FACT_DAY, &fact, sizeof(fact), 1);
    if (lsn != 0 && fact.act == IPC_DAY_ACT_BEGIN)
        eng_journal_mark_day(journal, lsn, ended_day);
    turn->work++;
}
