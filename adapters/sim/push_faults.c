/* push_faults.c: faults of the push side: setting them, which frame meets which, and the account of
 * all of it. */
#include "adapters/sim/push_private.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

const char adp_sim_push_garbage[] = "{\"t\":\"om\",\"norenordno\":2505\x01,\"qty\":{]";

static const char *const names[ADP_SIM_PUSH_FAULT_COUNT] = {
#define X(name, word) [name] = (word),
    ADP_SIM_PUSH_FAULT_LIST(X)
#undef X
};

static const char *const channels[ADP_SIM_CHANNEL_COUNT] = {"order", "market", "webhook"};

/* ---- what is in force
 * --------------------------------------------------------------------------------------------
 */

enum adp_sim_push_fault_kind adp_sim_push_frame_fate(
    struct adp_sim_push *push, uint32_t account, enum adp_sim_channel channel, int64_t *delay_ns)
{
    struct adp_sim_push_scope *scopes[2] = {
        account == ADP_SIM_NONE ? NULL : &push->accounts[account].scopes[channel],
        &push->all[channel]};
    for (int i = 0; i < 2; i++) {
        for (int kind = ADP_SIM_PUSH_FRAME_FAULT_FIRST;
             scopes[i] != NULL && kind <= ADP_SIM_PUSH_FRAME_FAULT_LAST; kind++) {
            if (scopes[i]->left[kind] == 0)
                continue;
            scopes[i]->left[kind]--;
            push->fired[kind]++;
            *delay_ns = kind == ADP_SIM_PUSH_DELAY ? scopes[i]->delay_ns : 0;
            return (enum adp_sim_push_fault_kind)kind;
        }
    }
    return ADP_SIM_PUSH_FAULT_COUNT;
}

static int64_t stall_of(struct adp_sim_push_scope *scope, int64_t mono_ns, bool *lose)
{
    if (scope->stall_until_ns <= mono_ns)
        scope->stall_until_ns = 0;
    *lose = *lose || (scope->stall_until_ns != 0 && scope->lose);
    return scope->stall_until_ns;
}

int64_t adp_sim_push_stalled_until(
    struct adp_sim_push *push, const struct adp_sim_push_conn *conn, int64_t mono_ns, bool *lose)
{
    *lose = false;
    int64_t until_ns = stall_of(&push->all[conn->channel], mono_ns, lose);
    if (conn->account != ADP_SIM_NONE)
        until_ns = ls_max_i64(until_ns,
            stall_of(&push->accounts[conn->account].scopes[conn->channel], mono_ns, lose));
    return until_ns;
}

bool adp_sim_push_login_refused(
    struct adp_sim_push *push, uint32_t account, enum adp_sim_channel channel)
{
    bool refused = push->all[channel].refuse || push->accounts[account].scopes[channel].refuse;
    if (refused)
        push->fired[ADP_SIM_PUSH_REFUSE]++;
    return refused;
}

bool adp_sim_push_refuses(struct adp_sim_push *push)
{
    adp_sim_push_lock(push);
    bool refuses =
        push->all[ADP_SIM_CHANNEL_ORDER].refuse && push->all[ADP_SIM_CHANNEL_MARKET].refuse;
    if (refuses)
        push->fired[ADP_SIM_PUSH_REFUSE]++;
    adp_sim_push_unlock(push, false);
    return refuses;
}

int64_t adp_sim_push_restart_ns(struct adp_sim_push *push)
{
    adp_sim_push_lock(push);
    int64_t restart_ns = push->restart_ns;
    push->restart_ns = 0;
    if (restart_ns > 0) {
        /* What the server knew is gone with it. */
        for (uint32_t i = 0; i < push->account_count; i++) {
            memset(push->accounts[i].tokens, 0, sizeof(push->accounts[i].tokens));
            push->accounts[i].market_session = false;
        }
        push->counts.restarts++;
        push->fired[ADP_SIM_PUSH_RESTART]++;
    }
    adp_sim_push_unlock(push, false);
    return restart_ns;
}

/* ---- setting one
 * -------------------------------------------------------------------------------------------------
 */

/* One fault as it was asked for. */
struct wish {
    enum adp_sim_push_fault_kind kind;
    uint32_t account; /* ADP_SIM_NONE: all */
    bool channel[ADP_SIM_CHANNEL_COUNT];
    uint32_t count;
    int64_t delay_ns, for_ns; /* for_ns: INT64_MAX until cleared */
    bool on, lose, reset;
    enum adp_sim_token_answer answer;
};

static bool is_frame_fault(enum adp_sim_push_fault_kind kind)
{
    return kind >= ADP_SIM_PUSH_FRAME_FAULT_FIRST && kind <= ADP_SIM_PUSH_FRAME_FAULT_LAST;
}

static bool read_number(const json_t *fault, const char *key, int64_t absent, int64_t max,
    int64_t *out, char *error, size_t bytes)
{
    const json_t *value = json_object_get(fault, key);
    *out = value == NULL ? absent : json_integer_value(value);
    if (value == NULL || (json_is_integer(value) && *out >= 0 && *out <= max))
        return true;
    snprintf(error, bytes, "%s: must be a whole number from 0 to %lld", key, (long long)max);
    return false;
}

static bool read_channel(const json_t *fault, struct wish *wish, char *error, size_t bytes)
{
    const json_t *value = json_object_get(fault, "channel");
    const char *word = json_string_value(value);
    if (value == NULL) {
        wish->channel[ADP_SIM_CHANNEL_ORDER] = wish->channel[ADP_SIM_CHANNEL_MARKET] = true;
        wish->channel[ADP_SIM_CHANNEL_WEBHOOK] = wish->kind == ADP_SIM_PUSH_CLEAR;
        return true;
    }
    for (int i = 0; word != NULL && i < ADP_SIM_CHANNEL_COUNT; i++)
        wish->channel[i] = strcmp(word, channels[i]) == 0;
    bool hook = wish->channel[ADP_SIM_CHANNEL_WEBHOOK];
    bool for_hooks = wish->kind == ADP_SIM_PUSH_DROP || wish->kind == ADP_SIM_PUSH_DUPLICATE ||
                     wish->kind == ADP_SIM_PUSH_DELAY || wish->kind == ADP_SIM_PUSH_GARBAGE ||
                     wish->kind == ADP_SIM_PUSH_CLEAR;
    if (hook && !for_hooks) {
        snprintf(error, bytes, "channel: webhooks know drop, duplicate, delay and garbage");
        return false;
    }
    if (hook || wish->channel[ADP_SIM_CHANNEL_ORDER] || wish->channel[ADP_SIM_CHANNEL_MARKET])
        return true;
    snprintf(error, bytes, "channel: must be order, market or webhook");
    return false;
}

static bool known_fields(const json_t *fault, char *error, size_t bytes)
{
    static const char *const known[] = {"fault", "account", "channel", "count", "delay_ms",
        "for_ms", "on", "lose", "how", "answer"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)fault, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < LS_COUNT_OF(known); i++)
            found = found || strcmp(known[i], key) == 0;
        if (!found) {
            snprintf(error, bytes, "%.60s: is not a field of a fault", key);
            return false;
        }
    }
    return true;
}

static bool read_kind(const json_t *fault, struct wish *wish, char *error, size_t bytes)
{
    const char *word = json_string_value(json_object_get(fault, "fault"));
    wish->kind = ADP_SIM_PUSH_FAULT_COUNT;
    for (int i = 0; word != NULL && i < ADP_SIM_PUSH_FAULT_COUNT; i++) {
        if (strcmp(word, names[i]) == 0)
            wish->kind = (enum adp_sim_push_fault_kind)i;
    }
    if (wish->kind == ADP_SIM_PUSH_FAULT_COUNT)
        snprintf(error, bytes,
            "fault: must be one of no_token refuse cut stall restart drop duplicate reorder delay "
            "garbage half clear");
    return wish->kind != ADP_SIM_PUSH_FAULT_COUNT;
}

static bool read_wish(const struct adp_sim_push *push, const json_t *fault, struct wish *wish,
    char *error, size_t bytes)
{
    int64_t count, delay_ms, for_ms;
    const char *id = json_string_value(json_object_get(fault, "account"));
    const json_t *how = json_object_get(fault, "how");
    const json_t *answer = json_object_get(fault, "answer");

    *wish = (struct wish){.account = ADP_SIM_NONE, .reset = true};
    if (!known_fields(fault, error, bytes) || !read_kind(fault, wish, error, bytes) ||
        !read_channel(fault, wish, error, bytes) ||
        !read_number(fault, "count", 1, UINT32_MAX, &count, error, bytes) ||
        !read_number(fault, "delay_ms", 100, 3600000, &delay_ms, error, bytes) ||
        !read_number(fault, "for_ms", -1, 3600000, &for_ms, error, bytes))
        return false;
    wish->count = (uint32_t)count;
    wish->delay_ns = delay_ms * LS_NS_PER_MS;
    wish->for_ns = for_ms < 0 ? INT64_MAX : for_ms * LS_NS_PER_MS;
    wish->on = !json_is_false(json_object_get(fault, "on"));
    wish->lose = json_is_true(json_object_get(fault, "lose"));
    if (json_object_get(fault, "account") != NULL) {
        wish->account = id == NULL ? ADP_SIM_NONE : adp_sim_book_find_account(push->book, id);
        if (wish->account == ADP_SIM_NONE) {
            snprintf(error, bytes, "account: there is no \"%.31s\"", id == NULL ? "?" : id);
            return false;
        }
    }
    if (how != NULL) {
        const char *word = json_string_value(how);
        wish->reset = word != NULL && strcmp(word, "reset") == 0;
        if (!wish->reset && (word == NULL || strcmp(word, "close") != 0)) {
            snprintf(error, bytes, "how: must be reset or close");
            return false;
        }
    }
    if (wish->kind == ADP_SIM_PUSH_TOKEN) {
        const char *word = answer == NULL ? "empty" : json_string_value(answer);
        wish->answer = word == NULL ? ADP_SIM_TOKEN_ANSWER_COUNT : adp_sim_token_answer_of(word);
        if (wish->answer == ADP_SIM_TOKEN_ANSWER_COUNT) {
            snprintf(error, bytes, "answer: must be good, empty, html or 404");
            return false;
        }
    }
    if (wish->kind == ADP_SIM_PUSH_RESTART && wish->account != ADP_SIM_NONE) {
        snprintf(error, bytes, "account: a restart is of the whole server");
        return false;
    }
    return true;
}

static void cut(struct adp_sim_push *push, const struct wish *wish)
{
    for (struct adp_sim_push_conn *conn = push->conns; conn != NULL; conn = conn->next) {
        if (!wish->channel[conn->channel] ||
            (wish->account != ADP_SIM_NONE && conn->account != wish->account))
            continue;
        push->counts.frames_lost += conn->frame_count + (conn->held != NULL);
        adp_sim_push_drop_frames(conn);
        adp_sim_push_end(conn, wish->reset ? ADP_SIM_PUSH_RESET : ADP_SIM_PUSH_END);
        push->fired[ADP_SIM_PUSH_CUT]++;
    }
}

static void clear(struct adp_sim_push *push, const struct wish *wish)
{
    for (int channel = 0; channel < ADP_SIM_CHANNEL_COUNT; channel++) {
        if (!wish->channel[channel])
            continue;
        for (uint32_t i = 0; i < push->account_count; i++) {
            if (wish->account == ADP_SIM_NONE || wish->account == i)
                push->accounts[i].scopes[channel] = (struct adp_sim_push_scope){0};
        }
        if (wish->account == ADP_SIM_NONE)
            push->all[channel] = (struct adp_sim_push_scope){0};
    }
    /* Frames that a stall held back are due. */
    for (struct adp_sim_push_conn *conn = push->conns; conn != NULL; conn = conn->next)
        conn->has_work = true;
}

static void apply(struct adp_sim_push *push, const struct wish *wish, int64_t mono_ns)
{
    push->asked[wish->kind]++;
    if (wish->kind == ADP_SIM_PUSH_TOKEN) {
        for (uint32_t i = 0; i < push->account_count; i++) {
            if (wish->account == ADP_SIM_NONE || wish->account == i)
                push->accounts[i].token_answer = wish->answer;
        }
        return;
    }
    if (wish->kind == ADP_SIM_PUSH_CUT) {
        cut(push, wish);
        return;
    }
    if (wish->kind == ADP_SIM_PUSH_CLEAR) {
        clear(push, wish);
        return;
    }
    if (wish->kind == ADP_SIM_PUSH_RESTART) {
        push->restart_ns =
            wish->for_ns == INT64_MAX ? 100 * LS_NS_PER_MS : ls_max_i64(1, wish->for_ns);
        return;
    }
    for (int channel = 0; channel < ADP_SIM_CHANNEL_COUNT; channel++) {
        struct adp_sim_push_scope *scope = wish->account == ADP_SIM_NONE
                                               ? &push->all[channel]
                                               : &push->accounts[wish->account].scopes[channel];
        if (!wish->channel[channel])
            continue;
        if (wish->kind == ADP_SIM_PUSH_REFUSE) {
            scope->refuse = wish->on;
        } else if (wish->kind == ADP_SIM_PUSH_STALL) {
            scope->lose = wish->lose;
            scope->stall_until_ns =
                wish->for_ns > INT64_MAX - mono_ns ? INT64_MAX : mono_ns + wish->for_ns;
            push->fired[ADP_SIM_PUSH_STALL]++;
        } else {
            LS_CHECK(is_frame_fault(wish->kind));
            scope->left[wish->kind] = wish->count;
            scope->delay_ns = wish->delay_ns;
        }
    }
}

bool adp_sim_push_fault(
    struct adp_sim_push *push, const json_t *fault, char *error, size_t error_bytes)
{
    struct wish wish;
    if (!read_wish(push, fault, &wish, error, error_bytes))
        return false;
    adp_sim_push_lock(push);
    apply(push, &wish, adp_sim_mono_ns());
    adp_sim_push_unlock(push, true);
    return true;
}

/* ---- the account of it
 * ---------------------------------------------------------------------------------------------
 */

static void put_count(struct adp_sim_text *out, const char *key, uint64_t value)
{
    adp_sim_text_printf(out, ",\"%s\":%llu", key, (unsigned long long)value);
}

static void put_counts(struct adp_sim_text *out, const struct adp_sim_push_counts *counts)
{
    adp_sim_text_printf(out, ",\"counts\":{\"changes\":%llu", (unsigned long long)counts->changes);
    put_count(out, "changes_without_socket", counts->changes_without_socket);
    put_count(out, "tokens_issued", counts->tokens_issued);
    put_count(out, "tokens_withheld", counts->tokens_withheld);
    put_count(out, "opened", counts->opened);
    put_count(out, "closed", counts->closed);
    put_count(out, "logins", counts->logins);
    put_count(out, "logins_refused", counts->logins_refused);
    put_count(out, "heartbeats", counts->heartbeats);
    put_count(out, "heartbeats_missed", counts->heartbeats_missed);
    put_count(out, "messages_bad", counts->messages_bad);
    put_count(out, "frames_queued", counts->frames_queued);
    put_count(out, "frames_sent", counts->frames_sent);
    put_count(out, "frames_lost", counts->frames_lost);
    put_count(out, "subscriptions", counts->subscriptions);
    put_count(out, "restarts", counts->restarts);
    adp_sim_text_put(out, "}");
}

static void put_conns(struct adp_sim_push *push, struct adp_sim_text *out, int64_t mono_ns)
{
    const char *separator = "";
    adp_sim_text_put(out, ",\"connections\":[");
    for (const struct adp_sim_push_conn *conn = push->conns; conn != NULL; conn = conn->next) {
        bool lose;
        adp_sim_text_printf(
            out, "%s{\"channel\":\"%s\",\"account\":", separator, channels[conn->channel]);
        adp_sim_text_quote(out, conn->account == ADP_SIM_NONE
                                    ? ""
                                    : adp_sim_book_account(push->book, conn->account)->id);
        put_count(out, "frames_sent", conn->frames_sent);
        put_count(out, "frames_waiting", conn->frame_count + (conn->held != NULL));
        put_count(out, "subscriptions", conn->subscription_count);
        adp_sim_text_printf(out, ",\"open_ms\":%lld,\"stalled\":%s}",
            (long long)((mono_ns - conn->opened_ns) / LS_NS_PER_MS),
            adp_sim_push_stalled_until(push, conn, mono_ns, &lose) != 0 ? "true" : "false");
        separator = ",";
    }
    adp_sim_text_put(out, "]");
}

static void put_accounts(struct adp_sim_push *push, struct adp_sim_text *out)
{
    static const char *const answers[] = {"good", "empty", "html", "404"};
    const char *separator = "";
    adp_sim_text_put(out, ",\"accounts\":[");
    for (uint32_t i = 0; i < push->account_count; i++) {
        const struct adp_sim_push_account *row = &push->accounts[i];
        uint32_t hooks = 0;
        for (int k = 0; k < ADP_SIM_PUSH_HOOKS; k++)
            hooks += row->hooks[k] != NULL;
        if (hooks == 0 && row->token_answer == ADP_SIM_TOKEN_GOOD)
            continue; /* only what is not usual is listed */
        adp_sim_text_printf(out, "%s{\"account\":", separator);
        adp_sim_text_quote(out, adp_sim_book_account(push->book, i)->id);
        adp_sim_text_printf(
            out, ",\"token_answer\":\"%s\",\"webhooks\":[", answers[row->token_answer]);
        hooks = 0;
        for (int k = 0; k < ADP_SIM_PUSH_HOOKS; k++) {
            if (row->hooks[k] == NULL)
                continue;
            adp_sim_text_put(out, hooks++ == 0 ? "" : ",");
            adp_sim_text_quote(out, row->hooks[k]);
        }
        adp_sim_text_put(out, "]}");
        separator = ",";
    }
    adp_sim_text_put(out, "]");
}

void adp_sim_push_write(struct adp_sim_push *push, uint16_t port, struct adp_sim_text *out)
{
    adp_sim_push_lock(push);
    adp_sim_text_printf(out,
        "{\"feed_port\":%u,\"heartbeat_ms\":%lld,\"open\":{\"order\":%u,\"market\":%u}", port,
        (long long)(push->config.heartbeat_ns / LS_NS_PER_MS), push->open[ADP_SIM_CHANNEL_ORDER],
        push->open[ADP_SIM_CHANNEL_MARKET]);
    put_counts(out, &push->counts);
    adp_sim_text_put(out, ",\"faults\":{");
    for (int i = 0; i < ADP_SIM_PUSH_FAULT_COUNT; i++)
        adp_sim_text_printf(out, "%s\"%s\":{\"asked\":%llu,\"fired\":%llu}", i == 0 ? "" : ",",
            names[i], (unsigned long long)push->asked[i], (unsigned long long)push->fired[i]);
    adp_sim_text_put(out, "}");
    put_accounts(push, out);
    put_conns(push, out, adp_sim_mono_ns());
    if (push->hooks != NULL) {
        struct adp_sim_hooks_counts counts = adp_sim_hooks_counts(push->hooks);
        adp_sim_text_printf(
            out, ",\"webhooks\":{\"queued\":%llu", (unsigned long long)counts.queued);
        put_count(out, "delivered", counts.delivered);
        put_count(out, "failed", counts.failed);
        put_count(out, "dropped", counts.dropped);
        adp_sim_text_put(out, "}");
    }
    adp_sim_text_put(out, "}\n");
    adp_sim_push_unlock(push, false);
}
