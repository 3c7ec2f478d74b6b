/* turn_limits.c: money limits, a few followers a turn, outside of every wave.
 *
 * Timers: a pass over all followers with limits begins CYCLE_NS after the last one began; within it
 * FOLLOWERS_PER_TURN are judged a turn, none while a wave waits for its next batch (but at least
 * one turn in WAVE_TURNS). A new maximum of equity is kept as a fact at most every PEAK_NS; between
 * two of them it is in memory here, and a crash forgets it. */
#include <stdio.h>
#include <stdlib.h>

#include "engine/core/limits.h"
#include "engine/turn_private.h"

#define CYCLE_NS           (250 * LS_NS_PER_MS)
#define PEAK_NS            (5 * LS_NS_PER_S)
#define FOLLOWERS_PER_TURN 8u
#define WAVE_TURNS         64u
#define ROOM_FOR_FACTS     8192u /* payload bytes that one follower's facts need, generously */

/* Highest equity that was sampled this market day, by slot. */
struct turn_high {
    uint32_t follower_no, day;
    int64_t equity_e8, master_e8;
    int64_t kept_mono_ns; /* of the newest PEAK fact */
};

struct turn_limits {
    struct turn_high *highs; /* by slot */
    struct eng_market_times times;
    uint32_t generation; /* generation_count that `times` is of */
    uint32_t next;       /* index of the follower that is judged next */
    uint32_t wave_turns;
    int64_t cycle_mono_ns; /* when the pass under way began */
};

enum ipc_rc turn_limits_make(struct eng_turn *turn, uint32_t follower_slots)
{
    struct turn_limits *limits = calloc(1, sizeof(*limits));
    if (limits != NULL)
        limits->highs = calloc(follower_slots, sizeof(*limits->highs));
    turn->limits = limits;
    return limits != NULL && limits->highs != NULL ? IPC_OK : IPC_SYSTEM;
}

void turn_limits_free(struct eng_turn *turn)
{
    if (turn->limits != NULL)
        free(turn->limits->highs);
    free(turn->limits);
}

/* The market's day goes on by facts, so that a recovered state has the same one. */
static void clock_run(struct eng_turn *turn, struct turn_limits *limits)
{
    struct ipc_fact_limit fact;
    if (limits->generation != turn->generation_count ||
        turn->now_wall_ns >= limits->times.next_wall_ns) {
        eng_market_times_at(&turn->generation->view, turn->now_wall_ns, &limits->times);
        limits->generation = turn->generation_count;
    }
    while (eng_limits_clock(turn->wiring.core, &limits->times, &fact)) {
        if (turn_append(turn, IPC_FACT_LIMIT, &fact, sizeof(fact), 1) == 0)
            return; /* the journal has no room: the next turn tries again */
        turn->work++;
    }
}

static int64_t equity_of(struct eng_turn *turn, uint16_t broker, uint32_t account, int64_t *mono_ns)
{
    struct ipc_account_money money;
    *mono_ns = 0;
    if (broker >= ENG_BROKERS_MAX ||
        ipc_accounts_get(&turn->pages.money[broker], account, &money) != IPC_OK)
        return 0;
    *mono_ns = money.mono_ns;
    return money.equity_e8;
}

/* Keeps the maxima of this market day; a new owner of the slot starts its own. */
static struct turn_high *high_of(struct turn_limits *limits, uint32_t slot, uint32_t follower_no)
{
    struct turn_high *high = &limits->highs[slot];
    if (high->follower_no != follower_no || high->day != limits->times.day)
        *high = (struct turn_high){.follower_no = follower_no,
            .day = limits->times.day,
            .equity_e8 = INT64_MIN,
            .master_e8 = INT64_MIN};
    return high;
}

static void tell(struct eng_turn *turn, const struct ipc_fact_limit *fact)
{
    if (fact->act != IPC_LIMIT_ACT_TRIP)
        return;
    struct ipc_fact_alarm alarm = {.alarm = IPC_ALARM_LIMIT, .account = fact->account};
    (void)snprintf(alarm.text, sizeof(alarm.text), "%s reached: entries of %s %u stop%s",
        ipc_limit_kind_name((enum ipc_limit_kind)fact->kind),
        ipc_limit_scope_name((enum ipc_limit_scope)fact->scope),
        fact->follower_no != 0 ? fact->follower_no : fact->account,
        fact->flatten ? "; its positions are closed" : "");
    turn_alarm(turn, &alarm);
}

static void judge(struct eng_turn *turn, struct turn_limits *limits, uint32_t slot)
{
    struct eng_core *core = turn->wiring.core;
    struct eng_limits_wants wants;
    struct eng_limits_walk walk;
    struct ipc_price price;
    uint32_t instrument;
    eng_limits_wants(core, slot, &wants);
    eng_limits_begin(core, slot, &walk);
    while ((instrument = eng_limits_next(&walk)) != 0) {
        bool known =
            wants.broker < ENG_BROKERS_MAX &&
            ipc_prices_get(&turn->pages.prices[wants.broker], instrument, &price) == IPC_OK;
        eng_limits_price(&walk, known ? price.price_e8 : 0);
    }
    struct turn_high *high =
        high_of(limits, slot, turn->generation->view.followers[slot].follower_no);
    struct eng_limits_sample sample = {.now_mono_ns = turn->now_mono_ns,
        .keep_peak = turn->now_mono_ns - high->kept_mono_ns >= PEAK_NS};
    if (wants.equity)
        sample.equity_e8 = equity_of(turn, wants.broker, wants.account, &sample.equity_mono_ns);
    if (wants.master_equity)
        sample.master_equity_e8 =
            equity_of(turn, wants.master_broker, wants.master, &sample.master_equity_mono_ns);
    if (sample.equity_mono_ns != 0)
        high->equity_e8 = ls_max_i64(high->equity_e8, sample.equity_e8);
    if (sample.master_equity_mono_ns != 0)
        high->master_e8 = ls_max_i64(high->master_e8, sample.master_equity_e8);
    sample.equity_high_e8 = high->equity_e8;
    sample.master_high_e8 = high->master_e8;

    struct ipc_fact_limit facts[ENG_LIMITS_FACTS_MAX];
    uint32_t count = eng_limits_decide(&walk, &sample, facts);
    for (uint32_t i = 0; i < count; i++) {
        /* Room was asked for before. */
        LS_CHECK(turn_append(turn, IPC_FACT_LIMIT, &facts[i], sizeof(facts[i]), 1) != 0);
        if (facts[i].act == IPC_LIMIT_ACT_PEAK)
            high->kept_mono_ns = turn->now_mono_ns;
        tell(turn, &facts[i]);
    }
}

void turn_limits_step(struct eng_turn *turn)
{
    struct turn_limits *limits = turn->limits;
    if (turn->generation == NULL || !turn->pages_known || turn->stopping)
        return;
    uint32_t count = eng_limits_count(turn->wiring.core);
    if (count == 0)
        return;
    if (limits->next == 0 && turn->now_mono_ns - limits->cycle_mono_ns < CYCLE_NS)
        return;
    if (turn->wave_open && ++limits->wave_turns < WAVE_TURNS)
        return;
    limits->wave_turns = 0;
    clock_run(turn, limits);
    if (limits->next == 0 || limits->next >= count) {
        limits->next = 0;
        limits->cycle_mono_ns = turn->now_mono_ns;
    }
    for (uint32_t i = 0; i < FOLLOWERS_PER_TURN && limits->next < count; i++) {
        if (eng_journal_room(turn->wiring.journal) < ROOM_FOR_FACTS)
            return;
        judge(turn, limits, eng_limits_slot(turn->wiring.core, limits->next++));
    }
    if (limits->next >= count)
        limits->next = 0;
    else
        turn->work++; /* the pass goes on: no sleep in between */
}
