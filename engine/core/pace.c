#include "engine/core/pace.h"

#include "engine/core/reconcile_private.h"

#include "engine/core/throttle.h"

#define GUARD_MS_DEFAULT   50
#define ONE_FLIES_NS       (20 * LS_NS_PER_MS) /* looked at again where one order is out at a time */
#define EXIT_SHARE_DEFAULT 2u
/* A second and the guard against the broker's second, in seven equal buckets. */
#define ADDRESS_WINDOW_NS  (7 * 150 * LS_NS_PER_MS)

/* --- pacing -------------------------------------------------------------------------------------
 */

static const struct eng_pace_log *log_of(
    const struct eng_core *core, const struct eng_account *account, uint8_t exchange)
{
    size_t first = (size_t)(account - core->accounts) * core->limits.pace_logs;
    for (uint32_t i = 0; i < account->log_count; i++) {
        if (account->log_exchange[i] == exchange)
            return &core->pace_logs[first + i];
    }
    /* All logs are taken by other exchanges: this one is counted together with the last. */
    if (account->log_count == core->limits.pace_logs)
        return &core->pace_logs[first + account->log_count - 1];
    return NULL;
}

static uint32_t less_share(uint32_t limit, uint32_t share)
{
    /* Entries keep at least one call, whatever share is configured. */
    return limit > share ? limit - share : 1;
}

static int64_t log_due(const struct eng_core *core, const struct eng_pace_log *log, uint32_t calls,
    uint32_t planned, int64_t now_mono_ns)
{
    if (planned >= calls)
        return now_mono_ns + core->pace_window_ns;
    uint32_t back = calls - planned;
    if (log == NULL || log->count < back)
        return now_mono_ns;
    return log->at_ns[(log->count - back) % ENG_PACE_LOG] + core->pace_window_ns;
}

void eng_pace_rules(struct eng_core *core)
{
    int64_t guard_ms =
        core->config.pace_guard_ms ? (int64_t)core->config.pace_guard_ms : GUARD_MS_DEFAULT;
    core->pace_window_ns = LS_NS_PER_S + guard_ms * LS_NS_PER_MS;
    uint32_t share = core->config.exit_share ? core->config.exit_share : EXIT_SHARE_DEFAULT;
    core->one_in_flight = false;
    for (size_t i = 0; i < LS_COUNT_OF(core->pace_rules); i++) {
        const struct eng_broker_policy *policy = &core->policies[i];
        struct eng_pace_rule *rule = &core->pace_rules[i];
        memset(rule, 0, sizeof *rule);
        rule->has_windows = policy->one_in_flight;
        core->one_in_flight |= policy->one_in_flight;
        if (policy->no_pacing)
            continue;
        if (policy->orders_per_second != 0) {
            uint32_t calls = policy->orders_per_second > 1 ? policy->orders_per_second - 1 : 1;
            calls = calls > ENG_PACE_LOG ? ENG_PACE_LOG : calls;
            rule->calls[0] = (uint8_t)less_share(calls, share);
            rule->calls[1] = (uint8_t)calls;
        }
        rule->has_windows = policy->orders_per_minute != 0 || policy->orders_per_day != 0 ||
                            policy->address_orders_per_second != 0 || policy->one_in_flight;
    }
}

int64_t eng_pace_due(const struct eng_core *core, const struct eng_account *account,
    uint8_t exchange, bool is_exit, uint32_t planned, int64_t now_mono_ns, int64_t now_wall_ns)
{
    if (LS_UNLIKELY(core->policies[account->broker].one_in_flight) &&
        (planned != 0 || eng_recon_flies(core, (uint32_t)(account - core->accounts))))
        return now_mono_ns + ONE_FLIES_NS;
    return eng_pace_calls_due(core, account, exchange, is_exit, planned, now_mono_ns, now_wall_ns);
}

int64_t eng_pace_calls_due(const struct eng_core *core, const struct eng_account *account,
    uint8_t exchange, bool is_exit, uint32_t planned, int64_t now_mono_ns, int64_t now_wall_ns)
{
    const struct eng_broker_policy *policy = &core->policies[account->broker];
    int64_t due = is_exit ? now_mono_ns : eng_throttle_due(core, now_mono_ns, now_wall_ns);
    if (policy->no_pacing)
        return due;
    uint32_t share = core->config.exit_share ? core->config.exit_share : EXIT_SHARE_DEFAULT;
    uint32_t a_second = core->pace_rules[account->broker].calls[is_exit];
    if (a_second != 0)
        due = ls_max_i64(
            due, log_due(core, log_of(core, account, exchange), a_second, planned, now_mono_ns));
    if (LS_UNLIKELY(policy->orders_per_minute != 0)) {
        uint32_t calls =
            is_exit ? policy->orders_per_minute
                    : less_share(policy->orders_per_minute, policy->orders_per_minute / 10 + share);
        due = ls_max_i64(due, eng_window_due(&account->minute, ENG_MINUTE_NS, calls, planned, now_mono_ns));
    }
    if (LS_UNLIKELY(policy->orders_per_day != 0)) {
        uint32_t made =
            account->day == (eng_market_day(now_wall_ns) & UINT16_MAX) ? account->day_calls : 0;
        uint32_t calls =
            is_exit ? policy->orders_per_day
                    : less_share(policy->orders_per_day, policy->orders_per_day / 10 + share);
        if (made + planned >= calls)
            return INT64_MAX;
    }
    if (LS_UNLIKELY(policy->address_orders_per_second != 0)) {
        uint32_t calls = is_exit ? policy->address_orders_per_second
                                 : less_share(policy->address_orders_per_second, share);
        due = ls_max_i64(due, eng_window_due(&core->addresses[account->address].second,
                                  ADDRESS_WINDOW_NS, calls, planned, now_mono_ns));
    }
    return due;
}

static struct eng_pace_log *log_take(
    struct eng_core *core, struct eng_account *account, uint8_t exchange)
{
    const struct eng_pace_log *log = log_of(core, account, exchange);
    if (log == NULL) {
        account->log_exchange[account->log_count++] = exchange;
        log = log_of(core, account, exchange);
    }
    return &core->pace_logs[log - core->pace_logs];
}

void eng_pace_note(
    struct eng_core *core, uint32_t number, uint8_t exchange, int64_t mono_ns, uint16_t day)
{
    if (number == 0 || number > core->limits.account_max)
        return;
    struct eng_account *account = &core->accounts[number];
    if (!(account->flags & ENG_ACCOUNT_BOUND))
        return;
    struct eng_pace_log *log = &core->pace_logs[(size_t)number * core->limits.pace_logs];
    if (LS_UNLIKELY(account->log_count != 1 || account->log_exchange[0] != exchange))
        log = log_take(core, account, exchange);
    log->at_ns[log->count++ % ENG_PACE_LOG] = mono_ns;
    if (LS_LIKELY(!core->pace_rules[account->broker].has_windows))
        return;
    const struct eng_broker_policy *policy = &core->policies[account->broker];
    if (policy->orders_per_minute != 0)
        eng_window_add(&account->minute, eng_window_bucket(mono_ns, ENG_MINUTE_NS), 1);
    if (policy->orders_per_day != 0) {
        if (account->day != day) {
            account->day = day;
            account->day_calls = 0;
        }
        account->day_calls++;
    }
    if (policy->address_orders_per_second != 0)
        eng_window_add(
            &core->addresses[account->address].second, eng_window_bucket(mono_ns, ADDRESS_WINDOW_NS), 1);
}

void eng_pace_note_old(struct eng_core *core, uint32_t number, uint8_t exchange, int64_t mono_ns,
    uint16_t day, uint32_t calls)
{
    if (number == 0 || number > core->limits.account_max)
        return;
    struct eng_account *account = &core->accounts[number];
    struct eng_pace_log *log = log_take(core, account, exchange);
    /* Kept ascending, the newest ENG_PACE_LOG of them. */
    uint64_t at = log->count;
    bool newer = at < ENG_PACE_LOG || log->at_ns[at % ENG_PACE_LOG] <= mono_ns;
    log->count += newer;
    uint64_t steps = !newer ? 0 : at < ENG_PACE_LOG ? at : ENG_PACE_LOG - 1;
    for (; steps > 0; steps--, at--) {
        int64_t before = log->at_ns[(at - 1) % ENG_PACE_LOG];
        if (before <= mono_ns)
            break;
        log->at_ns[at % ENG_PACE_LOG] = before;
    }
    if (newer)
        log->at_ns[at % ENG_PACE_LOG] = mono_ns;
    int64_t bucket = eng_window_bucket(mono_ns, ENG_MINUTE_NS);
    if (account->minute.bucket - bucket < 8)
        eng_window_add(&account->minute, ls_max_i64(bucket, account->minute.bucket), calls);
    if ((uint16_t)account->day == day) {
        account->day_calls += calls;
    } else if ((int16_t)(day - (uint16_t)account->day) > 0) {
        account->day = day;
        account->day_calls = calls;
    }
}

/* --- queues -------------------------------------------------------------------------------------
 */

static void ring_add(struct eng_core *core, uint32_t number)
{
    struct eng_account *account = &core->accounts[number];
    if (account->active_next != ENG_NONE)
        return;
    core->active_count++;
    if (core->active_head == ENG_NONE) {
        account->active_next = account->active_previous = number;
        core->active_head = number;
        return;
    }
    struct eng_account *head = &core->accounts[core->active_head];
    account->active_next = core->active_head;
    account->active_previous = head->active_previous;
    core->accounts[head->active_previous].active_next = number;
    head->active_previous = number;
}

static void ring_remove(struct eng_core *core, uint32_t number)
{
    struct eng_account *account = &core->accounts[number];
    LS_CHECK(account->active_next != ENG_NONE);
    core->active_count--;
    if (account->active_next == number) {
        core->active_head = ENG_NONE;
    } else {
        core->accounts[account->active_previous].active_next = account->active_next;
        core->accounts[account->active_next].active_previous = account->active_previous;
        if (core->active_head == number)
            core->active_head = account->active_next;
    }
    account->active_next = account->active_previous = ENG_NONE;
}

void eng_queue_put(struct eng_core *core, uint32_t child, uint32_t number, enum eng_list list)
{
    LS_CHECK(list == ENG_LIST_EXITS || list == ENG_LIST_ENTRIES);
    struct eng_link *link = &core->links[child];
    LS_CHECK(link->list == ENG_LIST_NONE);
    link->account = number;
    if (number == 0) {
        link->list = ENG_LIST_UNBOUND;
        return;
    }
    LS_CHECK(number <= core->limits.account_max);
    struct eng_account *account = &core->accounts[number];
    uint32_t which = list == ENG_LIST_EXITS ? 0 : 1;
    link->list = (uint8_t)list;
    /* Almost always the newest; what is bound after a restart finds its place from the tail. */
    uint32_t before = account->tail[which];
    while (before != ENG_NONE && core->children[before].queue_seq > core->children[child].queue_seq)
        before = core->links[before].previous;
    link->previous = before;
    link->next = before == ENG_NONE ? account->head[which] : core->links[before].next;
    if (link->next == ENG_NONE)
        account->tail[which] = child;
    else
        core->links[link->next].previous = child;
    if (before == ENG_NONE)
        account->head[which] = child;
    else
        core->links[before].next = child;
    ring_add(core, number);
}

void eng_queue_block(struct eng_core *core, uint32_t child)
{
    struct eng_link *link = &core->links[child];
    LS_CHECK(link->list == ENG_LIST_NONE);
    uint32_t position = core->children[child].position;
    link->list = ENG_LIST_BLOCKED;
    link->previous = ENG_NONE;
    link->next = core->position_blocked[position];
    if (link->next != ENG_NONE)
        core->links[link->next].previous = child;
    core->position_blocked[position] = child;
}

void eng_queue_drop(struct eng_core *core, uint32_t child)
{
    struct eng_link *link = &core->links[child];
    uint8_t list = link->list;
    link->list = ENG_LIST_NONE;
    if (list == ENG_LIST_NONE || list == ENG_LIST_UNBOUND)
        return;
    if (link->next != ENG_NONE)
        core->links[link->next].previous = link->previous;
    if (link->previous != ENG_NONE)
        core->links[link->previous].next = link->next;
    if (list == ENG_LIST_BLOCKED) {
        if (link->previous == ENG_NONE)
            core->position_blocked[core->children[child].position] = link->next;
        return;
    }
    struct eng_account *account = &core->accounts[link->account];
    uint32_t which = list == ENG_LIST_EXITS ? 0 : 1;
    if (link->previous == ENG_NONE)
        account->head[which] = link->next;
    if (link->next == ENG_NONE)
        account->tail[which] = link->previous;
    if (account->head[0] == ENG_NONE && account->head[1] == ENG_NONE)
        ring_remove(core, link->account);
}
