/* push.c: accounts, tokens, webhooks; order changes and prices on their way to connections. */
#include "adapters/sim/push_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

static const char *const token_answers[ADP_SIM_TOKEN_ANSWER_COUNT] = {
    "good", "empty", "html", "404"};

enum adp_sim_token_answer adp_sim_token_answer_of(const char *word)
{
    for (int i = 0; i < ADP_SIM_TOKEN_ANSWER_COUNT; i++) {
        if (strcmp(word, token_answers[i]) == 0)
            return (enum adp_sim_token_answer)i;
    }
    return ADP_SIM_TOKEN_ANSWER_COUNT;
}

void adp_sim_push_lock(struct adp_sim_push *push)
{
    pthread_mutex_lock(&push->lock);
}

void adp_sim_push_unlock(struct adp_sim_push *push, bool wake)
{
    void (*fn)(void *) = wake ? push->wake : NULL;
    void *context = push->wake_context;
    pthread_mutex_unlock(&push->lock);
    if (fn != NULL)
        fn(context);
}

static struct adp_sim_push_account *account_at(struct adp_sim_push *push, uint32_t account)
{
    LS_CHECK(account < push->account_count);
    return &push->accounts[account];
}

/* ---- changes of the book, told by the main thread
 * ----------------------------------------------------------------
 */

static void post_hooks(struct adp_sim_push *push, uint32_t account, const struct adp_sim_text *body)
{
    const struct adp_sim_push_account *row = account_at(push, account);
    const char *bytes = body->bytes;
    size_t count = body->length;
    int64_t delay_ns = 0;
    enum adp_sim_push_fault_kind fate =
        adp_sim_push_frame_fate(push, account, ADP_SIM_CHANNEL_WEBHOOK, &delay_ns);
    if (fate == ADP_SIM_PUSH_DROP)
        return;
    if (fate == ADP_SIM_PUSH_GARBAGE) {
        bytes = adp_sim_push_garbage;
        count = strlen(bytes);
    }
    for (int i = 0; i < ADP_SIM_PUSH_HOOKS; i++) {
        if (row->hooks[i] == NULL || push->hooks == NULL)
            continue;
        for (int times = fate == ADP_SIM_PUSH_DUPLICATE ? 2 : 1; times > 0; times--)
            adp_sim_hooks_post(
                push->hooks, row->hooks[i], bytes, count, adp_sim_mono_ns() + delay_ns);
    }
}

static bool has_hooks(const struct adp_sim_push_account *row)
{
    for (int i = 0; i < ADP_SIM_PUSH_HOOKS; i++) {
        if (row->hooks[i] != NULL)
            return true;
    }
    return false;
}

static void on_order(void *context, uint32_t order, enum adp_sim_report report, uint32_t trade)
{
    struct adp_sim_push *push = context;
    uint32_t account = adp_sim_book_order(push->book, order)->origin.account;
    struct adp_sim_text text = {0};
    bool sent = false;

    adp_sim_push_lock(push);
    push->counts.changes++;
    for (struct adp_sim_push_conn *conn = push->conns; conn != NULL; conn = conn->next) {
        if (conn->channel != ADP_SIM_CHANNEL_ORDER || conn->account != account)
            continue;
        if (!sent)
            adp_sim_put_order_frame(&text, push->book, order, report, trade);
        adp_sim_push_queue(push, conn, &text, true, adp_sim_mono_ns());
        sent = true;
    }
    if (!sent)
        push->counts.changes_without_socket++;
    if (has_hooks(account_at(push, account))) {
        text.length = 0;
        adp_sim_put_webhook(&text, push->book, order, report, trade);
        post_hooks(push, account, &text);
    }
    adp_sim_push_unlock(push, sent);
    adp_sim_text_free(&text);
}

static bool send_quote(struct adp_sim_push *push, struct adp_sim_push_conn *conn,
    uint32_t instrument, struct adp_sim_text *text)
{
    bool sent = false;
    for (uint32_t i = 0; i < conn->subscription_count; i++) {
        struct adp_sim_push_subscription *row = &conn->subscriptions[i];
        if (row->instrument != instrument)
            continue;
        text->length = 0;
        if (!adp_sim_put_quote(text, adp_sim_book_instrument(push->book, instrument), row->depth,
                &row->sent, &push->quotes[instrument]))
            continue;
        row->sent = push->quotes[instrument];
        adp_sim_push_queue(push, conn, text, true, adp_sim_mono_ns());
        sent = true;
    }
    return sent;
}

static void on_price(void *context, uint32_t instrument, int64_t wall_ns)
{
    struct adp_sim_push *push = context;
    const struct adp_sim_instrument *row = adp_sim_book_instrument(push->book, instrument);
    struct adp_sim_text text = {0};
    bool sent = false;

    adp_sim_push_lock(push);
    LS_CHECK(instrument < push->instrument_count);
    adp_sim_quote_update(
        &push->quotes[instrument], row, row->last_e8, row->liquidity_units, wall_ns);
    for (struct adp_sim_push_conn *conn = push->conns; conn != NULL; conn = conn->next)
        sent = send_quote(push, conn, instrument, &text) || sent;
    adp_sim_push_unlock(push, sent);
    adp_sim_text_free(&text);
}

/* A quote ticks once, however many are subscribed to it. */
void adp_sim_push_tick(struct adp_sim_push *push, int64_t wall_ns)
{
    struct adp_sim_text text = {0};
    bool sent = false;
    adp_sim_push_lock(push);
    for (const struct adp_sim_push_conn *conn = push->conns; conn != NULL; conn = conn->next) {
        for (uint32_t i = 0; i < conn->subscription_count; i++) {
            struct adp_sim_quote *quote = &push->quotes[conn->subscriptions[i].instrument];
            if (quote->last_e8 == 0 || quote->ticked_wall_ns == wall_ns)
                continue;
            quote->ticked_wall_ns = wall_ns;
            quote->volume_units += quote->last_units;
            quote->time_s = wall_ns / LS_NS_PER_S;
        }
    }
    for (struct adp_sim_push_conn *conn = push->conns; conn != NULL; conn = conn->next) {
        for (uint32_t i = 0; i < conn->subscription_count; i++)
            sent = send_quote(push, conn, conn->subscriptions[i].instrument, &text) || sent;
    }
    adp_sim_push_unlock(push, sent);
    adp_sim_text_free(&text);
}

/* ---- life
 * -------------------------------------------------------------------------------------------------------
 */

struct adp_sim_push *adp_sim_push_create(struct adp_sim_book *book,
    const struct adp_sim_push_config *config, struct adp_sim_hooks *hooks)
{
    struct adp_sim_push *push = calloc(1, sizeof(*push));
    LS_CHECK(push != NULL && config->heartbeat_ns > 0);
    pthread_mutex_init(&push->lock, NULL);
    push->book = book;
    push->config = *config;
    push->hooks = hooks;
    push->prng.state = config->seed;
    push->account_count = adp_sim_book_account_count(book);
    push->accounts = calloc(push->account_count + 1, sizeof(*push->accounts));
    push->instrument_count = adp_sim_book_instrument_count(book);
    push->quotes = calloc(push->instrument_count + 1, sizeof(*push->quotes));
    LS_CHECK(push->accounts != NULL && push->quotes != NULL);
    int64_t wall_ns = adp_sim_wall_ns();
    for (uint32_t i = 0; i < push->instrument_count; i++) {
        const struct adp_sim_instrument *row = adp_sim_book_instrument(book, i);
        if (row->last_e8 > 0)
            adp_sim_quote_update(
                &push->quotes[i], row, row->last_e8, row->liquidity_units, wall_ns);
    }
    adp_sim_book_set_watch(
        book, &(struct adp_sim_book_watch){.order = on_order, .price = on_price, .context = push});
    return push;
}

void adp_sim_push_destroy(struct adp_sim_push *push)
{
    if (push == NULL)
        return;
    LS_CHECK(push->conns == NULL);
    adp_sim_book_set_watch(push->book, &(struct adp_sim_book_watch){0});
    for (uint32_t i = 0; i < push->account_count; i++) {
        for (int k = 0; k < ADP_SIM_PUSH_HOOKS; k++)
            free(push->accounts[i].hooks[k]);
    }
    pthread_mutex_destroy(&push->lock);
    free(push->accounts);
    free(push->quotes);
    free(push);
}

/* ---- sessions and tokens
 * ------------------------------------------------------------------------------------------
 */

static void hex_of_sha256(const char *text, size_t count, char out[65])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)text, count, digest);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static void end_account(struct adp_sim_push *push, uint32_t account, enum adp_sim_channel channel)
{
    for (struct adp_sim_push_conn *conn = push->conns; conn != NULL; conn = conn->next) {
        if (conn->account == account && conn->channel == channel)
            adp_sim_push_end(conn, ADP_SIM_PUSH_END);
    }
}

void adp_sim_push_set_session(struct adp_sim_push *push, uint32_t account, const char *session)
{
    adp_sim_push_lock(push);
    struct adp_sim_push_account *row = account_at(push, account);
    char once[65];
    row->session_hash[0] = '\0';
    row->market_session = false;
    memset(row->tokens, 0, sizeof(row->tokens));
    if (session != NULL) {
        hex_of_sha256(session, strlen(session), once);
        hex_of_sha256(once, 64, row->session_hash);
        explicit_bzero(once, sizeof(once));
    }
    end_account(push, account, ADP_SIM_CHANNEL_ORDER);
    end_account(push, account, ADP_SIM_CHANNEL_MARKET);
    adp_sim_push_unlock(push, true);
}

enum adp_sim_token_answer adp_sim_push_order_token(
    struct adp_sim_push *push, uint32_t account, char out[ADP_SIM_ORDER_TOKEN_HEX + 1])
{
    char digits[ADP_SIM_ORDER_TOKEN_HEX + 16];
    out[0] = '\0';
    adp_sim_push_lock(push);
    struct adp_sim_push_account *row = account_at(push, account);
    enum adp_sim_token_answer answer = row->token_answer;
    if (answer != ADP_SIM_TOKEN_GOOD) {
        push->fired[ADP_SIM_PUSH_TOKEN]++;
        push->counts.tokens_withheld++;
    } else {
        for (int i = 0; i < ADP_SIM_ORDER_TOKEN_HEX; i += 16)
            snprintf(digits + i, sizeof(digits) - (size_t)i, "%016llx",
                (unsigned long long)adp_sim_prng_next(&push->prng));
        memcpy(out, digits, ADP_SIM_ORDER_TOKEN_HEX);
        out[ADP_SIM_ORDER_TOKEN_HEX] = '\0';
        memcpy(row->tokens[row->token_next], out, sizeof(row->tokens[0]));
        row->token_next = (row->token_next + 1) % ADP_SIM_PUSH_TOKENS;
        push->counts.tokens_issued++;
    }
    adp_sim_push_unlock(push, false);
    return answer;
}

void adp_sim_push_set_token_answer(
    struct adp_sim_push *push, uint32_t account, enum adp_sim_token_answer answer)
{
    adp_sim_push_lock(push);
    account_at(push, account)->token_answer = answer;
    adp_sim_push_unlock(push, false);
}

void adp_sim_push_market_session(struct adp_sim_push *push, uint32_t account, bool begin)
{
    adp_sim_push_lock(push);
    account_at(push, account)->market_session = begin;
    if (!begin)
        end_account(push, account, ADP_SIM_CHANNEL_MARKET);
    adp_sim_push_unlock(push, !begin);
}

/* ---- webhooks
 * ----------------------------------------------------------------------------------------------------
 */

bool adp_sim_push_subscribe(struct adp_sim_push *push, uint32_t account, const char *url)
{
    int free_place = -1;
    bool known = false;
    if (strlen(url) >= ADP_SIM_PUSH_URL_BYTES ||
        (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0))
        return false;
    adp_sim_push_lock(push);
    struct adp_sim_push_account *row = account_at(push, account);
    for (int i = ADP_SIM_PUSH_HOOKS - 1; i >= 0; i--) {
        if (row->hooks[i] == NULL)
            free_place = i;
        else
            known = known || strcmp(row->hooks[i], url) == 0;
    }
    if (!known && free_place >= 0) {
        row->hooks[free_place] = strdup(url);
        LS_CHECK(row->hooks[free_place] != NULL);
    }
    adp_sim_push_unlock(push, false);
    return known || free_place >= 0;
}

bool adp_sim_push_unsubscribe(struct adp_sim_push *push, uint32_t account, const char *url)
{
    bool found = false;
    adp_sim_push_lock(push);
    struct adp_sim_push_account *row = account_at(push, account);
    for (int i = 0; i < ADP_SIM_PUSH_HOOKS; i++) {
        if (row->hooks[i] != NULL && strcmp(row->hooks[i], url) == 0) {
            free(row->hooks[i]);
            row->hooks[i] = NULL;
            found = true;
        }
    }
    adp_sim_push_unlock(push, false);
    return found;
}
