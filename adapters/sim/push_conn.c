/* push_conn.c: one connection of the push side: what it says, what it is sent, when it ends. */
#include "adapters/sim/push_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

/* ---- frames
 * ------------------------------------------------------------------------------------------------------
 */

static struct adp_sim_push_frame *make_frame(const char *bytes, size_t count, int64_t due_ns)
{
    struct adp_sim_push_frame *frame = malloc(sizeof(*frame) + count);
    LS_CHECK(frame != NULL);
    *frame = (struct adp_sim_push_frame){.due_ns = due_ns, .length = count};
    memcpy(frame->bytes, bytes, count);
    return frame;
}

/* A later frame never leaves before an earlier one, whatever its own due time. */
static void append(
    struct adp_sim_push *push, struct adp_sim_push_conn *conn, struct adp_sim_push_frame *frame)
{
    if (conn->frame_count == ADP_SIM_PUSH_FRAMES_MAX) {
        push->counts.frames_lost++;
        free(frame);
        return;
    }
    frame->next = NULL;
    if (conn->last == NULL) {
        conn->first = frame;
    } else {
        frame->due_ns = ls_max_i64(frame->due_ns, conn->last->due_ns);
        conn->last->next = frame;
    }
    conn->last = frame;
    conn->frame_count++;
    push->counts.frames_queued++;
}

static void release_held(struct adp_sim_push *push, struct adp_sim_push_conn *conn)
{
    struct adp_sim_push_frame *held = conn->held;
    conn->held = NULL;
    if (held != NULL)
        append(push, conn, held);
}

void adp_sim_push_queue(struct adp_sim_push *push, struct adp_sim_push_conn *conn,
    const struct adp_sim_text *text, bool is_update, int64_t mono_ns)
{
    enum adp_sim_push_fault_kind fate = ADP_SIM_PUSH_FAULT_COUNT;
    int64_t due_ns = mono_ns, delay_ns = 0;
    bool lose = false;

    if (is_update && conn->ending != ADP_SIM_PUSH_WAIT)
        return;
    conn->has_work = true;
    if (is_update && adp_sim_push_stalled_until(push, conn, mono_ns, &lose) != 0 && lose) {
        push->counts.frames_lost++;
        return;
    }
    if (is_update)
        fate = adp_sim_push_frame_fate(push, conn->account, conn->channel, &delay_ns);
    if (fate == ADP_SIM_PUSH_DROP) {
        push->counts.frames_lost++;
        return;
    }
    if (fate == ADP_SIM_PUSH_DELAY)
        due_ns += delay_ns;
    if (fate == ADP_SIM_PUSH_GARBAGE)
        append(push, conn, make_frame(adp_sim_push_garbage, strlen(adp_sim_push_garbage), due_ns));
    struct adp_sim_push_frame *frame = make_frame(text->bytes, text->length, due_ns);
    frame->half = fate == ADP_SIM_PUSH_HALF;
    if (fate == ADP_SIM_PUSH_REORDER && conn->held == NULL) {
        frame->due_ns = mono_ns + ADP_SIM_PUSH_REORDER_NS;
        conn->held = frame;
        return;
    }
    append(push, conn, frame);
    if (fate == ADP_SIM_PUSH_DUPLICATE)
        append(push, conn, make_frame(text->bytes, text->length, due_ns));
    if (conn->held != NULL) {
        conn->held->due_ns = mono_ns;
        release_held(push, conn);
    }
}

void adp_sim_push_drop_frames(struct adp_sim_push_conn *conn)
{
    while (conn->first != NULL) {
        struct adp_sim_push_frame *frame = conn->first;
        conn->first = frame->next;
        free(frame);
    }
    free(conn->held);
    conn->held = conn->last = NULL;
    conn->frame_count = 0;
}

void adp_sim_push_end(struct adp_sim_push_conn *conn, enum adp_sim_push_act how)
{
    if (conn->ending != ADP_SIM_PUSH_RESET)
        conn->ending = how;
    conn->has_work = true;
}

static void say(
    struct adp_sim_push *push, struct adp_sim_push_conn *conn, const char *text, int64_t mono_ns)
{
    struct adp_sim_text copy = {0};
    adp_sim_text_put(&copy, text);
    adp_sim_push_queue(push, conn, &copy, false, mono_ns);
    adp_sim_text_free(&copy);
}

/* ---- order socket
 * ------------------------------------------------------------------------------------------------
 */

static const char *text_of(const json_t *message, const char *key)
{
    const char *text = json_string_value(json_object_get(message, key));
    return text == NULL ? "" : text;
}

/* Takes an unused token of the user; it is used up then. */
static bool take_token(struct adp_sim_push *push, uint32_t account, const char *token)
{
    struct adp_sim_push_account *row = &push->accounts[account];
    for (int i = 0; i < ADP_SIM_PUSH_TOKENS; i++) {
        if (row->tokens[i][0] != '\0' && strcmp(row->tokens[i], token) == 0) {
            row->tokens[i][0] = '\0';
            return true;
        }
    }
    return false;
}

static void logged_in(
    struct adp_sim_push *push, struct adp_sim_push_conn *conn, uint32_t account, int64_t mono_ns)
{
    conn->account = account;
    conn->heard_ns = mono_ns;
    push->counts.logins++;
}

static void refuse_login(
    struct adp_sim_push *push, struct adp_sim_push_conn *conn, const char *text, int64_t mono_ns)
{
    push->counts.logins_refused++;
    say(push, conn, text, mono_ns);
    adp_sim_push_end(conn, ADP_SIM_PUSH_END);
}

static void hear_order(struct adp_sim_push *push, struct adp_sim_push_conn *conn,
    const json_t *message, int64_t mono_ns)
{
    const char *user = text_of(message, "userId");
    if (conn->account == ADP_SIM_NONE) {
        uint32_t account = adp_sim_book_find_account(push->book, user);
        if (account == ADP_SIM_NONE ||
            adp_sim_push_login_refused(push, account, ADP_SIM_CHANNEL_ORDER) ||
            !take_token(push, account, text_of(message, "orderToken"))) {
            refuse_login(
                push, conn, "{\"status\":\"Not_ok\",\"message\":\"Invalid token\"}", mono_ns);
            return;
        }
        logged_in(push, conn, account, mono_ns);
        say(push, conn, "{\"status\":\"Ok\"}", mono_ns);
        return;
    }
    if (strcmp(text_of(message, "heartbeat"), "h") == 0 &&
        strcmp(user, adp_sim_book_account(push->book, conn->account)->id) == 0) {
        conn->heard_ns = mono_ns;
        push->counts.heartbeats++;
        return;
    }
    push->counts.messages_bad++;
}

/* ---- market data
 * -------------------------------------------------------------------------------------------------
 */

static void market_login(struct adp_sim_push *push, struct adp_sim_push_conn *conn,
    const json_t *message, int64_t mono_ns)
{
    const char *user = text_of(message, "uid");
    const char *given = text_of(message, "susertoken");
    char id[32] = "";
    size_t length = strlen(user);
    uint32_t account = ADP_SIM_NONE;
    bool is_ck = push->config.market_ack_is_ck;

    if (length > 4 && length - 4 < sizeof(id) && strcmp(user + length - 4, "_API") == 0) {
        memcpy(id, user, length - 4);
        account = adp_sim_book_find_account(push->book, id);
    }
    const struct adp_sim_push_account *row =
        account == ADP_SIM_NONE ? NULL : &push->accounts[account];
    if (row == NULL || strcmp(text_of(message, "t"), "c") != 0 ||
        strcmp(text_of(message, "actid"), user) != 0 || !row->market_session ||
        row->session_hash[0] == '\0' || strlen(given) != 64 ||
        CRYPTO_memcmp(given, row->session_hash, 64) != 0 ||
        adp_sim_push_login_refused(push, account, ADP_SIM_CHANNEL_MARKET)) {
        refuse_login(push, conn,
            is_ck ? "{\"t\":\"ck\",\"s\":\"NOT_OK\"}" : "{\"t\":\"cf\",\"k\":\"NOT_OK\"}", mono_ns);
        return;
    }
    logged_in(push, conn, account, mono_ns);
    say(push, conn, is_ck ? "{\"t\":\"ck\",\"s\":\"OK\"}" : "{\"t\":\"cf\",\"k\":\"OK\"}", mono_ns);
}

static struct adp_sim_push_subscription *find_subscription(
    const struct adp_sim_push_conn *conn, uint32_t instrument, bool depth)
{
    for (uint32_t i = 0; i < conn->subscription_count; i++) {
        if (conn->subscriptions[i].instrument == instrument &&
            conn->subscriptions[i].depth == depth)
            return &conn->subscriptions[i];
    }
    return NULL;
}

static void subscribe(struct adp_sim_push *push, struct adp_sim_push_conn *conn,
    uint32_t instrument, bool depth, int64_t mono_ns)
{
    struct adp_sim_push_subscription *row = find_subscription(conn, instrument, depth);
    struct adp_sim_text text = {0};
    if (row == NULL) {
        if (conn->subscription_count == ADP_SIM_PUSH_SUBSCRIBE_MAX)
            return;
        if (conn->subscription_count == conn->subscription_capacity) {
            conn->subscription_capacity =
                conn->subscription_capacity == 0 ? 16 : conn->subscription_capacity * 2;
            conn->subscriptions = realloc(
                conn->subscriptions, conn->subscription_capacity * sizeof(*conn->subscriptions));
            LS_CHECK(conn->subscriptions != NULL);
        }
        row = &conn->subscriptions[conn->subscription_count++];
        *row = (struct adp_sim_push_subscription){.instrument = instrument, .depth = depth};
        push->counts.subscriptions++;
    }
    row->sent = push->quotes[instrument];
    LS_CHECK(adp_sim_put_quote(
        &text, adp_sim_book_instrument(push->book, instrument), depth, NULL, &row->sent));
    adp_sim_push_queue(push, conn, &text, false, mono_ns);
    adp_sim_text_free(&text);
}

static void unsubscribe(struct adp_sim_push_conn *conn, uint32_t instrument, bool depth)
{
    struct adp_sim_push_subscription *row = find_subscription(conn, instrument, depth);
    if (row != NULL)
        *row = conn->subscriptions[--conn->subscription_count];
}

/* "NFO|54957": an instrument, or ADP_SIM_NONE. Instruments do not change once the program serves.
 */
static uint32_t read_instrument(const struct adp_sim_push *push, const char *text, size_t count)
{
    char copy[32], word[8];
    unsigned token = 0;
    int used = 0;
    if (count >= sizeof(copy))
        return ADP_SIM_NONE;
    memcpy(copy, text, count);
    copy[count] = '\0';
    if (sscanf(copy, "%7[A-Z]|%9u%n", word, &token, &used) != 2 || copy[used] != '\0')
        return ADP_SIM_NONE;
    enum adp_sim_exchange exchange = adp_sim_exchange_of(word);
    return exchange == 0 ? ADP_SIM_NONE : adp_sim_book_find_instrument(push->book, exchange, token);
}

/* "NFO|54957#MCX|239484": unknown instruments are left out, as there is no documented answer. */
static void hear_list(struct adp_sim_push *push, struct adp_sim_push_conn *conn, const char *list,
    bool add, bool depth, int64_t mono_ns)
{
    while (*list != '\0') {
        size_t count = strcspn(list, "#");
        uint32_t instrument = read_instrument(push, list, count);
        if (instrument == ADP_SIM_NONE)
            push->counts.messages_bad++;
        else if (add)
            subscribe(push, conn, instrument, depth, mono_ns);
        else
            unsubscribe(conn, instrument, depth);
        list += count + (list[count] == '#');
    }
}

static void hear_market(struct adp_sim_push *push, struct adp_sim_push_conn *conn,
    const json_t *message, int64_t mono_ns)
{
    const char *type = text_of(message, "t");
    if (conn->account == ADP_SIM_NONE) {
        market_login(push, conn, message, mono_ns);
    } else if (strcmp(type, "h") == 0) {
        conn->heard_ns = mono_ns;
        push->counts.heartbeats++;
    } else if (strcmp(type, "t") == 0 || strcmp(type, "d") == 0) {
        hear_list(push, conn, text_of(message, "k"), true, type[0] == 'd', mono_ns);
    } else if (strcmp(type, "u") == 0 || strcmp(type, "ud") == 0) {
        hear_list(push, conn, text_of(message, "k"), false, type[1] == 'd', mono_ns);
    } else {
        push->counts.messages_bad++;
    }
}

/* ---- the socket thread's functions
 * -------------------------------------------------------------------------------
 */

struct adp_sim_push_conn *adp_sim_push_open(
    struct adp_sim_push *push, enum adp_sim_channel channel, void *transport, int64_t mono_ns)
{
    struct adp_sim_push_conn *conn = calloc(1, sizeof(*conn));
    LS_CHECK(conn != NULL && channel < ADP_SIM_CHANNEL_WEBHOOK);
    conn->transport = transport;
    conn->channel = channel;
    conn->account = ADP_SIM_NONE;
    conn->opened_ns = conn->heard_ns = mono_ns;
    adp_sim_push_lock(push);
    conn->next = push->conns;
    if (push->conns != NULL)
        push->conns->previous = conn;
    push->conns = conn;
    push->open[channel]++;
    push->counts.opened++;
    adp_sim_push_unlock(push, false);
    return conn;
}

void adp_sim_push_close(struct adp_sim_push *push, struct adp_sim_push_conn *conn)
{
    adp_sim_push_lock(push);
    if (conn->previous == NULL)
        push->conns = conn->next;
    else
        conn->previous->next = conn->next;
    if (conn->next != NULL)
        conn->next->previous = conn->previous;
    push->open[conn->channel]--;
    push->counts.closed++;
    push->counts.frames_lost += conn->frame_count + (conn->held != NULL);
    adp_sim_push_unlock(push, false);
    adp_sim_push_drop_frames(conn);
    free(conn->subscriptions);
    free(conn);
}

void adp_sim_push_receive(struct adp_sim_push *push, struct adp_sim_push_conn *conn,
    const char *bytes, size_t count, int64_t mono_ns)
{
    json_t *message = json_loadb(bytes, count, JSON_REJECT_DUPLICATES, NULL);
    adp_sim_push_lock(push);
    if (!json_is_object(message))
        push->counts.messages_bad++;
    else if (conn->ending != ADP_SIM_PUSH_WAIT)
        ; /* nothing it says counts any more */
    else if (conn->channel == ADP_SIM_CHANNEL_ORDER)
        hear_order(push, conn, message, mono_ns);
    else
        hear_market(push, conn, message, mono_ns);
    adp_sim_push_unlock(push, false);
    json_decref(message);
}

enum adp_sim_push_act adp_sim_push_take(struct adp_sim_push *push, struct adp_sim_push_conn *conn,
    int64_t mono_ns, struct adp_sim_text *out)
{
    enum adp_sim_push_act act = ADP_SIM_PUSH_WAIT;
    struct adp_sim_push_frame *frame;
    bool lose;

    out->length = 0;
    adp_sim_push_lock(push);
    if (conn->held != NULL && conn->held->due_ns <= mono_ns)
        release_held(push, conn);
    if (conn->ending == ADP_SIM_PUSH_RESET) {
        act = ADP_SIM_PUSH_RESET;
    } else if (mono_ns - conn->heard_ns >= push->config.heartbeat_ns &&
               conn->ending == ADP_SIM_PUSH_WAIT) {
        push->counts.heartbeats_missed++;
        adp_sim_push_end(conn, ADP_SIM_PUSH_END);
        act = ADP_SIM_PUSH_END;
    } else if (adp_sim_push_stalled_until(push, conn, mono_ns, &lose) != 0) {
        act = ADP_SIM_PUSH_WAIT;
    } else if ((frame = conn->first) != NULL && frame->due_ns <= mono_ns) {
        act = frame->half ? ADP_SIM_PUSH_SEND_HALF : ADP_SIM_PUSH_SEND;
        adp_sim_text_add(out, frame->bytes, frame->length);
        conn->first = frame->next;
        if (conn->first == NULL)
            conn->last = NULL;
        conn->frame_count--;
        conn->frames_sent++;
        push->counts.frames_sent++;
        free(frame);
    } else if (conn->first == NULL && conn->ending == ADP_SIM_PUSH_END) {
        act = ADP_SIM_PUSH_END;
    }
    adp_sim_push_unlock(push, false);
    return act;
}

int64_t adp_sim_push_due(struct adp_sim_push *push, const struct adp_sim_push_conn *conn)
{
    adp_sim_push_lock(push);
    int64_t due_ns = conn->heard_ns + push->config.heartbeat_ns, mono_ns = adp_sim_mono_ns();
    bool lose;
    int64_t stalled_ns = adp_sim_push_stalled_until(push, conn, mono_ns, &lose);
    if (conn->first != NULL || conn->ending != ADP_SIM_PUSH_WAIT) {
        int64_t next_ns = conn->first == NULL ? mono_ns : conn->first->due_ns;
        due_ns = ls_min_i64(due_ns, ls_max_i64(next_ns, stalled_ns));
    }
    if (conn->held != NULL)
        due_ns = ls_min_i64(due_ns, conn->held->due_ns);
    adp_sim_push_unlock(push, false);
    return due_ns;
}

void *adp_sim_push_work(struct adp_sim_push *push)
{
    void *transport = NULL;
    adp_sim_push_lock(push);
    for (struct adp_sim_push_conn *conn = push->conns; conn != NULL; conn = conn->next) {
        if (conn->has_work) {
            conn->has_work = false;
            transport = conn->transport;
            break;
        }
    }
    adp_sim_push_unlock(push, false);
    return transport;
}

void adp_sim_push_on_wake(struct adp_sim_push *push, void (*wake)(void *context), void *context)
{
    adp_sim_push_lock(push);
    push->wake = wake;
    push->wake_context = context;
    adp_sim_push_unlock(push, false);
}
