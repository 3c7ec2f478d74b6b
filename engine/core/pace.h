/* pace.h: how often an account may call, and the queues of what must wait.
 *
 * Per account and exchange a sliding log of the last calls: a call goes only if the N-th last is
 * older than a second plus a guard, N one below the broker's limit, because the broker's second is
 * not ours. Per minute, and per second of a shared source address, eight buckets of a seventh of
 * the window, which never count too few. Per market day a counter. Entries leave a share to exits.
 *
 * All of it is derived: calls are known from children, so eng_core_adopt rebuilds it at recovery.
 * Reading functions are pure; eng_pace_note and the eng_queue_* functions belong to apply. */
#ifndef LS_ENGINE_CORE_PACE_H
#define LS_ENGINE_CORE_PACE_H

#include "engine/core/core_private.h"

/* Market days are counted in Indian time, where all exchanges of IPC_EXCHANGE_LIST are. */
#define ENG_DAY_OFFSET_NS (INT64_C(19800) * LS_NS_PER_S)
#define ENG_DAY_NS        (INT64_C(86400) * LS_NS_PER_S)
static inline uint32_t eng_market_day(int64_t wall_ns)
{
    return wall_ns < 0 ? 0 : (uint32_t)((wall_ns + ENG_DAY_OFFSET_NS) / ENG_DAY_NS);
}

/* eng_pace_due returns when the account may make a call of this class: now_mono_ns or earlier
 * means now, INT64_MAX not this day.
 *   planned  calls already decided for it that are not noted yet */
int64_t eng_pace_due(const struct eng_core *core, const struct eng_account *account,
    uint8_t exchange, bool is_exit, uint32_t planned, int64_t now_mono_ns, int64_t now_wall_ns);

/* eng_pace_calls_due is the same without regard to whether an order of it is out. */
int64_t eng_pace_calls_due(const struct eng_core *core, const struct eng_account *account,
    uint8_t exchange, bool is_exit, uint32_t planned, int64_t now_mono_ns, int64_t now_wall_ns);

/* eng_pace_allows: eng_pace_due is now; the hot path. The whole of it is in cache when neither
 * windows nor a second exchange are in play. */
static inline bool eng_pace_allows(const struct eng_core *core, const struct eng_account *account,
    uint32_t number, uint8_t exchange, bool is_exit, uint32_t planned, int64_t now_mono_ns,
    int64_t now_wall_ns)
{
    const struct eng_pace_rule *rule = &core->pace_rules[account->broker];
    if (LS_UNLIKELY(
            rule->has_windows || account->log_count != 1 || account->log_exchange[0] != exchange))
        return eng_pace_due(core, account, exchange, is_exit, planned, now_mono_ns, now_wall_ns) <=
               now_mono_ns;
    uint32_t calls = rule->calls[is_exit];
    if (calls == 0)
        return true;
    if (LS_UNLIKELY(planned >= calls))
        return false;
    const struct eng_pace_log *log = &core->pace_logs[(size_t)number * core->limits.pace_logs];
    uint64_t back = calls - planned;
    return log->count < back ||
           log->at_ns[(log->count - back) % ENG_PACE_LOG] + core->pace_window_ns <= now_mono_ns;
}

/* eng_pace_rules makes the rules of the adopted policies. */
void eng_pace_rules(struct eng_core *core);

/* eng_pace_note records a call whose bytes may leave; day is the market day modulo 2^16. */
void eng_pace_note(
    struct eng_core *core, uint32_t account, uint8_t exchange, int64_t mono_ns, uint16_t day);
/* eng_pace_note_old records the calls of one child of before a restart, the last at mono_ns; in any
 * order of times. day is the market day modulo 2^16. */
void eng_pace_note_old(struct eng_core *core, uint32_t account, uint8_t exchange, int64_t mono_ns,
    uint16_t day, uint32_t calls);

static inline bool eng_account_session_valid(const struct eng_account *account)
{
    return (account->flags & (ENG_ACCOUNT_TOKEN | ENG_ACCOUNT_DISABLED | ENG_ACCOUNT_AUTH_PAUSE)) ==
           ENG_ACCOUNT_TOKEN;
}

/* eng_account_may_place: and its book was read where that comes first. */
static inline bool eng_account_may_place(const struct eng_account *account)
{
    return (account->flags & (ENG_ACCOUNT_TOKEN | ENG_ACCOUNT_DISABLED | ENG_ACCOUNT_AUTH_PAUSE |
                                 ENG_ACCOUNT_GATED)) == ENG_ACCOUNT_TOKEN;
}

/* eng_queue_put appends a child to its account's FIFO (list EXITS or ENTRIES), in order of
 * queue_seq; without an account (no view yet) it becomes UNBOUND. */
void eng_queue_put(struct eng_core *core, uint32_t child, uint32_t account, enum eng_list list);
/* eng_queue_block puts it on the list of its position. */
void eng_queue_block(struct eng_core *core, uint32_t child);
/* eng_queue_drop takes it off whatever list it is on. */
void eng_queue_drop(struct eng_core *core, uint32_t child);

#endif
