/* turn_flatten.c: copied positions that are closed without an order of their master (flatten.h).
 *
 * Outside of every wave, as money limits are: every CYCLE_NS the followers of eng_limits_slot are
 * asked whether a limit or the end of their subscription wants their positions closed, and marked
 * positions are looked at for what is due; positions just marked are looked at in the next turn.
 * Each costs a bounded part of a turn. The closes themselves are follow-ups: turn_waves.c. */
#include "engine/core/flatten.h"
#include "engine/core/limits.h"
#include "engine/turn_private.h"

#define CYCLE_NS           (250 * LS_NS_PER_MS)
#define SAY_EVERY_NS       (60 * LS_NS_PER_S)
#define FOLLOWERS_PER_TURN 64u
#define POSITIONS_PER_TURN 4096u
#define ORDERS_PER_TURN    32u
#define WAVE_TURNS         64u
#define ROOM_FOR_FACTS     8192u /* payload bytes of one step, generously */

/* What limits and ended subscriptions want becomes a fact. */
static void wishes_ask(struct eng_turn *turn)
{
    struct eng_core *core = turn->wiring.core;
    struct ipc_fact_limit fact;
    uint32_t count = eng_limits_count(core);
    if (turn->flatten.next == 0 && turn->now_mono_ns - turn->flatten.asked_mono_ns < CYCLE_NS)
        return;
    if (turn->flatten.next == 0)
        turn->flatten.asked_mono_ns = turn->now_mono_ns;
    for (uint32_t i = 0; i < FOLLOWERS_PER_TURN && turn->flatten.next < count; i++) {
        if (eng_journal_room(turn->wiring.journal) < ROOM_FOR_FACTS)
            return;
        if (eng_flatten_want(core, eng_limits_slot(core, turn->flatten.next), &fact)) {
            LS_CHECK(turn_append(turn, IPC_FACT_LIMIT, &fact, sizeof(fact), 1) != 0);
            turn->work++;
        }
        turn->flatten.next++;
    }
    if (turn->flatten.next >= count)
        turn->flatten.next = 0;
    else
        turn->work++; /* the pass goes on: no sleep in between */
}

static void alarm_tell(struct eng_turn *turn, const struct ipc_fact_alarm *alarm)
{
    /* A table that is full stays so. */
    if (alarm->alarm == IPC_ALARM_CAPACITY && turn->flatten.said_mono_ns != 0 &&
        turn->now_mono_ns - turn->flatten.said_mono_ns < SAY_EVERY_NS)
        return;
    if (alarm->alarm == IPC_ALARM_CAPACITY)
        turn->flatten.said_mono_ns = turn->now_mono_ns;
    turn_alarm(turn, alarm);
}

static void order_make(struct eng_turn *turn, const struct eng_flatten *flatten)
{
    struct ipc_fact_event fact;
    struct ipc_fact_alarm alarm;
    bool has_alarm;
    const struct ipc_row_follower *row = eng_pages_row(&turn->generation->view, flatten->slot);
    if (row == NULL)
        return;
    uint8_t word =
        eng_stricter(eng_pages_batch_word(&turn->pages, flatten->master, flatten->instrument),
            eng_pages_follower_word(&turn->pages, row->broker, flatten->slot));
    if (eng_flatten_decide(turn->wiring.core, flatten, word, turn->now_mono_ns, turn->now_wall_ns,
            &fact, &alarm, &has_alarm)) {
        LS_CHECK(turn_append(turn, IPC_FACT_EVENT, &fact, sizeof(fact), 1) != 0);
        turn->work++;
    }
    if (has_alarm)
        alarm_tell(turn, &alarm);
}

/* Marked positions get their own order, its repeat, or its end. */
static void positions_look(struct eng_turn *turn)
{
    struct eng_core *core = turn->wiring.core;
    struct eng_flatten flatten;
    if (eng_flatten_open(core) == 0)
        return;
    if (!turn->flatten.looks && eng_flatten_fresh(core) <= turn->flatten.seen &&
        turn->now_mono_ns - turn->flatten.looked_mono_ns < CYCLE_NS)
        return;
    if (!turn->flatten.looks) {
        turn->flatten.looks = true;
        turn->flatten.cursor = 0;
        turn->flatten.looked_mono_ns = turn->now_mono_ns;
    }
    turn_clock_read(turn);
    for (uint32_t i = 0; i < ORDERS_PER_TURN; i++) {
        if (eng_journal_room(turn->wiring.journal) < ROOM_FOR_FACTS)
            return;
        if (!eng_flatten_next(
                core, &turn->flatten.cursor, POSITIONS_PER_TURN, turn->now_mono_ns, &flatten)) {
            turn->flatten.looks = turn->flatten.cursor != 0;
            break;
        }
        order_make(turn, &flatten);
    }
    if (turn->flatten.looks)
        turn->work++;
    else
        turn->flatten.seen = eng_flatten_fresh(core);
}

void turn_flatten_step(struct eng_turn *turn)
{
    if (turn->generation == NULL || !turn->pages_known || turn->stopping)
        return;
    if (turn->wave_open && ++turn->flatten.wave_turns < WAVE_TURNS)
        return;
    turn->flatten.wave_turns = 0;
    wishes_ask(turn);
    positions_look(turn);
}
