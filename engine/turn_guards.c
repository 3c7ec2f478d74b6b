/* turn_guards.c: breakers and alarms of the pre-trade controls (engine/core/breaker.h), journaled
 * before the next decision. What is due bars already, also while the journal has no room. */
#include <stdio.h>

#include "engine/core/breaker.h"
#include "engine/turn_private.h"

#define ROOM_FOR_FACTS 1024u /* payload bytes that one fact and its alarm need, generously */

static void tell(struct eng_turn *turn, const struct ipc_fact_guard *fact)
{
    struct ipc_fact_alarm alarm = {.alarm = IPC_ALARM_GUARD, .account = fact->account};
    const char *kind = ipc_guard_kind_name((enum ipc_guard_kind)fact->kind);
    const char *scope = ipc_guard_scope_name((enum ipc_guard_scope)fact->scope);
    switch ((enum ipc_guard_act)fact->act) {
    case IPC_GUARD_ACT_TRIP: {
        uint32_t number = fact->scope == IPC_GUARD_SCOPE_FOLLOWER  ? fact->follower_no
                          : fact->scope == IPC_GUARD_SCOPE_ACCOUNT ? fact->account
                                                                   : fact->broker;
        if (fact->kind == IPC_GUARD_CLOCK) {
            alarm.alarm = IPC_ALARM_CLOCK;
            (void)snprintf(alarm.text, sizeof(alarm.text),
                "wall clock stepped: entries stop until: breaker reset --clock --by NAME");
        } else {
            (void)snprintf(alarm.text, sizeof(alarm.text),
                "%s, %lld of %lld: openings of %s %u stop", kind, (long long)fact->value,
                (long long)fact->limit, scope, number);
        }
        break;
    }
    case IPC_GUARD_ACT_ALARM:
        (void)snprintf(alarm.text, sizeof(alarm.text), "%s: %lld since the last alarm of it", kind,
            (long long)fact->value);
        break;
    case IPC_GUARD_ACT_RESET:
        return;
    }
    turn_alarm(turn, &alarm);
}

void turn_guards_step(struct eng_turn *turn)
{
    struct eng_core *core = turn->wiring.core;
    struct ipc_fact_guard fact;
    if (turn->clock_step_ns != 0 && eng_journal_room(turn->wiring.journal) >= ROOM_FOR_FACTS) {
        eng_breaker_clock(core, turn->clock_step_ns, &fact);
        if (turn_append(turn, IPC_FACT_GUARD, &fact, sizeof(fact), 1) != 0) {
            turn->clock_step_ns = 0;
            turn->pages.clock_word = IPC_SWITCH_RUN; /* from here on the state says it */
            tell(turn, &fact);
        }
    }
    while (LS_UNLIKELY(eng_breaker_pending(core)) &&
           eng_journal_room(turn->wiring.journal) >= ROOM_FOR_FACTS &&
           eng_breaker_next(core, turn->now_mono_ns, &fact)) {
        if (turn_append(turn, IPC_FACT_GUARD, &fact, sizeof(fact), 1) == 0)
            return; /* the next turn tries again */
        tell(turn, &fact);
        turn->work++;
    }
}

void turn_guards_clock(struct eng_turn *turn, int64_t step_ns)
{
    turn->clock_step_ns = step_ns;
    turn->pages.clock_word = IPC_SWITCH_CLOSE_ONLY;
}
