/* poll.c: which account is read when, and what its replies mean. */
#include "adapters/ingest/poll_private.h"

#include "ipc/clock.h"
#include "ipc/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define PAGE_RETRY_NS (10 * LS_NS_PER_S)

/* A pause of an account's reads beyond this is a gap that its engines are told of. */
#define GAP_NS        (30 * LS_NS_PER_S)

/* libcurl in the loop: its descriptors are in an epoll set, which the loop watches. */

static int on_descriptor(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
    struct adp_poll *poll = context;
    struct epoll_event event = {.data.fd = fd};
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(poll->epoll, EPOLL_CTL_DEL, fd, NULL);
        (void)curl_multi_assign(poll->multi, fd, NULL);
        return 0;
    }
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        event.events |= EPOLLIN;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        event.events |= EPOLLOUT;
    if (epoll_ctl(poll->epoll, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0 &&
        epoll_ctl(poll->epoll, known != NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) != 0)
        return -1;
    (void)curl_multi_assign(poll->multi, fd, poll);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct adp_poll *poll = context;
    (void)multi;
    poll->timer_ns =
        timeout_ms < 0 ? INT64_MAX : ipc_clock_mono_ns() + (int64_t)timeout_ms * LS_NS_PER_MS;
    return 0;
}

static void take_finished(struct adp_poll *poll);

static void on_ready(void *context)
{
    struct adp_poll *poll = context;
    struct epoll_event events[64];
    int running;
    const int count = epoll_wait(poll->epoll, events, (int)LS_COUNT_OF(events), 0);
    for (int i = 0; i < count; i++) {
        const int what = ((events[i].events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                         ((events[i].events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                         ((events[i].events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
        (void)curl_multi_socket_action(poll->multi, events[i].data.fd, what, &running);
    }
    take_finished(poll);
}

enum ipc_rc adp_poll_open(const struct adp_ingest_config *config, const struct adp_dialect *dialect,
    const struct ipc_shm *shm, const struct ipc_seal_key *key, struct adp_live *live,
    struct adp_feed *feed, struct adp_sockets *sockets, struct adp_poll **poll,
    struct ipc_error *error)
{
    struct adp_poll *made = calloc(1, sizeof(*made));
    LS_CHECK(made != NULL);
    *poll = NULL;
    made->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (made->epoll < 0) {
        ipc_error_set(error, "no epoll descriptor: %s", strerror(errno));
        free(made);
        return IPC_SYSTEM;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
        (made->multi = curl_multi_init()) == NULL) {
        (void)close(made->epoll);
        free(made);
        ipc_error_set(error, "libcurl cannot start");
        return IPC_SYSTEM;
    }
    made->config = config;
    made->dialect = dialect;
    made->shm = shm;
    made->key = key;
    made->live = live;
    made->feed = feed;
    made->sockets = sockets;
    made->timer_ns = INT64_MAX;
    ipc_prng_seed(&made->prng, (uint64_t)ipc_clock_wall_ns());
    (void)curl_multi_setopt(made->multi, CURLMOPT_SOCKETFUNCTION, on_descriptor);
    (void)curl_multi_setopt(made->multi, CURLMOPT_SOCKETDATA, made);
    (void)curl_multi_setopt(made->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    (void)curl_multi_setopt(made->multi, CURLMOPT_TIMERDATA, made);
    const enum ipc_rc rc = adp_sockets_watch(sockets, made->epoll, on_ready, made, error);
    if (rc != IPC_OK) {
        adp_poll_close(made);
        return rc;
    }
    *poll = made;
    return IPC_OK;
}

void adp_poll_tell(struct adp_poll *poll, const struct adp_poll_calls *calls, void *context)
{
    poll->calls = calls;
    poll->context = context;
}

void adp_poll_close(struct adp_poll *poll)
{
    if (poll == NULL)
        return;
    for (uint32_t i = 0; i < poll->account_count; i++) {
        if (poll->accounts[i] == NULL)
            continue;
        poll_http_forget(poll, poll->accounts[i]);
        adp_https_body_free(&poll->accounts[i]->body);
        free(poll->accounts[i]);
    }
    free(poll->accounts);
    for (uint32_t broker = 0; broker < POLL_BROKERS; broker++)
        if (poll->has_page[broker])
            ipc_accounts_close(&poll->pages[broker]);
    curl_multi_cleanup(poll->multi);
    (void)close(poll->epoll);
    ipc_secret_arena_destroy(poll->secrets);
    curl_global_cleanup();
    free(poll);
}

/* Tokens. */

/* Header line "authorization: Bearer <token>" in secret memory; false with a log line when the
 * token does not open. */
static bool open_token(
    struct adp_poll *poll, struct poll_account *account, const struct ipc_snapshot_view *view)
{
    const struct ipc_row_account *row = &account->row;
    const struct adp_auth *auth = &poll->dialect->auth;
    const uint8_t *sealed = view->tokens + (size_t)(row->account - 1) * view->token_row_bytes;
    struct ipc_seal_binding binding = {
        .account = row->account, .token_version = row->token_version};
    const size_t head = strlen(auth->header) + 2 + strlen(auth->prefix);
    const size_t room = head + row->token_bytes + 1;
    size_t token_bytes = 0;
    memcpy(binding.cluster_id, view->cluster->cluster_id, sizeof(binding.cluster_id));
    account->authorization = ipc_secret_alloc(poll->secrets, room);
    if (account->authorization == NULL)
        return false;
    const enum ipc_rc rc = ipc_seal_open(poll->key, &binding, sealed, row->token_bytes,
        account->authorization + head, room - head - 1, &token_bytes);
    if (rc != IPC_OK) {
        ipc_log(IPC_LOG_ERROR,
            "account %u (%s): its token does not open (%s): was it sealed with another key?",
            row->account, row->login, ipc_rc_text(rc));
        account->authorization = NULL;
        return false;
    }
    memcpy(account->authorization, auth->header, strlen(auth->header));
    memcpy(account->authorization + strlen(auth->header), ": ", 2);
    memcpy(account->authorization + strlen(auth->header) + 2, auth->prefix, strlen(auth->prefix));
    account->authorization[head + token_bytes] = '\0';
    account->authorization_bytes = head + token_bytes;
    if (strcspn(account->authorization + head, "\r\n") != token_bytes) {
        ipc_log(IPC_LOG_ERROR, "account %u (%s): its token holds a line end or a NUL", row->account,
            row->login);
        account->authorization = NULL;
        return false;
    }
    account->header = (struct curl_slist){.data = account->authorization, .next = NULL};
    return true;
}

/* Secret memory for all tokens of a generation; the old arena goes when nothing points into it. */
static struct ipc_secret_arena *make_arena(const struct ipc_snapshot_view *view)
{
    struct ipc_secret_arena *arena = NULL;
    struct ipc_error error = {.text = ""};
    size_t bytes = 4096;
    for (uint32_t i = 0; i < view->account_count; i++)
        bytes += view->accounts[i].token_bytes + 128u;
    if (ipc_secret_arena_create(bytes, &arena, &error) != IPC_OK) {
        ipc_log(IPC_LOG_ERROR, "%s", error.text);
        return NULL;
    }
    return arena;
}

/* Generations. */

static bool is_wanted(const struct adp_poll *poll, const struct ipc_snapshot_view *view,
    const struct ipc_row_account *row)
{
    return row->account != 0 && row->roles != 0 && row->token_bytes > 0 &&
           (row->flags & IPC_ACCOUNT_DISABLED) == 0 &&
           strcmp(view->brokers[row->broker].dialect, poll->dialect->name) == 0;
}

static struct poll_account *account_at(struct adp_poll *poll, uint32_t index)
{
    if (poll->accounts[index] == NULL) {
        poll->accounts[index] = calloc(1, sizeof(struct poll_account));
        LS_CHECK(poll->accounts[index] != NULL);
    }
    return poll->accounts[index];
}

static void watch(struct adp_poll *poll, struct poll_account *account,
    const struct ipc_snapshot_view *view, const struct ipc_row_account *row)
{
    const bool is_new_token = !account->is_watched || account->token_version != row->token_version;
    account->row = *row;
    account->broker = row->broker;
    account->token_version = row->token_version;
    account->is_watched = open_token(poll, account, view);
    if (!account->is_watched || !is_new_token)
        return;
    if (account->is_paused)
        ipc_log(IPC_LOG_INFO, "account %u (%s): has a new token and is read again", row->account,
            row->login);
    account->is_paused = false;
    account->failures = 0;
    memset(account->due_mono_ns, 0, sizeof(account->due_mono_ns));
}

void adp_poll_generation(struct adp_poll *poll)
{
    const struct ipc_snapshot_view *view = adp_live_view(poll->live);
    struct ipc_secret_arena *old_secrets = poll->secrets;
    /* Handles hold the old rows, broker names and tokens: all are made anew. Connections that
     * libcurl keeps for the same host and source address are used again. */
    for (uint32_t i = 0; i < poll->account_count; i++)
        if (poll->accounts[i] != NULL)
            poll_http_forget(poll, poll->accounts[i]);
    poll->secrets = make_arena(view);
    if (view->account_count > poll->account_count) {
        poll->accounts =
            realloc(poll->accounts, view->account_count * sizeof(struct poll_account *));
        LS_CHECK(poll->accounts != NULL);
        memset(poll->accounts + poll->account_count, 0,
            (view->account_count - poll->account_count) * sizeof(struct poll_account *));
        poll->account_count = view->account_count;
    }
    poll->counts.accounts = 0;
    for (uint32_t i = 0; i < poll->account_count; i++) {
        const bool wanted = i < view->account_count && poll->secrets != NULL &&
                            is_wanted(poll, view, &view->accounts[i]);
        if (wanted)
            watch(poll, account_at(poll, i), view, &view->accounts[i]);
        else if (poll->accounts[i] != NULL)
            poll->accounts[i]->is_watched = false;
        if (poll->accounts[i] != NULL && poll->accounts[i]->is_watched)
            poll->counts.accounts++;
        if (poll->accounts[i] != NULL && poll->calls != NULL && poll->calls->watched != NULL)
            poll->calls->watched(i + 1,
                poll->accounts[i]->is_watched && !poll->accounts[i]->is_paused, poll->context);
    }
    ipc_secret_arena_destroy(old_secrets);
    /* Without this libcurl keeps four connections per request under way, and closes the rest. */
    (void)curl_multi_setopt(poll->multi, CURLMOPT_MAXCONNECTS, (long)(poll->counts.accounts + 64));
    ipc_log(IPC_LOG_INFO, "watching %u accounts at %s brokers", poll->counts.accounts,
        poll->dialect->name);
}

/* What replies mean. */

static int64_t interval_of(const struct adp_poll *poll, const struct poll_account *account)
{
    uint32_t ms = account->pace_ms;
    if (ms == 0)
        ms = account->row.poll_interval_ms;
    if (ms == 0)
        ms = (account->row.roles & IPC_ROLE_MASTER) != 0 ? poll->config->poll_master_ms
                                                         : poll->config->poll_follower_ms;
    return (int64_t)ms * LS_NS_PER_MS;
}

/* Doubles from the interval up to the limit, less up to a quarter so that accounts do not march in
 * step. */
static int64_t backoff_of(struct adp_poll *poll, const struct poll_account *account)
{
    const int64_t most = (int64_t)poll->config->backoff_max_ms * LS_NS_PER_MS;
    int64_t wait = ls_min_i64(most, ls_max_i64(interval_of(poll, account), 100 * LS_NS_PER_MS));
    for (uint32_t i = 0; i < account->failures && wait < most; i++)
        wait *= 2;
    wait = ls_min_i64(wait, most);
    return wait - (int64_t)ipc_prng_below(&poll->prng, (uint64_t)wait / 4 + 1);
}

static void fail(struct adp_poll *poll, struct poll_account *account, const char *why)
{
    const int64_t wait = backoff_of(poll, account);
    const int64_t now = ipc_clock_mono_ns();
    poll->counts.failures++;
    if (account->failures++ == 0 || account->failures % 16 == 0)
        ipc_log(IPC_LOG_WARN, "account %u (%s): %s not read (%s), %u in a row; next in %lld ms",
            account->row.account, account->row.login, account->kind == POLL_BOOK ? "book" : "funds",
            why, account->failures, (long long)(wait / LS_NS_PER_MS));
    account->due_mono_ns[account->kind] = now + wait;
    /* A broker that does not answer one call is not asked for the other meanwhile. */
    account->due_mono_ns[1 - account->kind] =
        ls_max_i64(account->due_mono_ns[1 - account->kind], now + wait / 2);
}

static void pause_account(struct adp_poll *poll, struct poll_account *account)
{
    poll->counts.failures++;
    account->is_paused = true;
    ipc_log(IPC_LOG_ERROR,
        "account %u (%s): the broker refuses its token; it is not read until it gets a new one "
        "(lockstepctl token set %s)",
        account->row.account, account->row.login, account->row.login);
    if (poll->calls != NULL && poll->calls->watched != NULL)
        poll->calls->watched(account->row.account, false, poll->context);
}

struct book_reading {
    struct adp_poll *poll;
    struct poll_account *account;
    const struct adp_feed_times *times;
    bool has_begun, is_refused;
};

static uint32_t find_instrument(enum ipc_exchange exchange, struct adp_span token, void *context)
{
    const struct book_reading *reading = context;
    return adp_live_find_instrument_at(
        reading->poll->live, reading->account->broker, exchange, token);
}

/* Rows come only after the dialect has believed the whole book. */
static void begin_book(struct book_reading *reading)
{
    if (reading->has_begun || reading->is_refused)
        return;
    reading->has_begun = adp_feed_book_begin(reading->poll->feed, reading->account->row.account,
        reading->times, reading->account->wants_whole);
    reading->is_refused = !reading->has_begun;
}

static void take_row(const struct ipc_event *order, const char *client_tag, void *context)
{
    struct book_reading *reading = context;
    begin_book(reading);
    if (reading->has_begun)
        adp_feed_book_row(reading->poll->feed, order, client_tag);
}

static enum adp_rc take_book(struct adp_poll *poll, struct poll_account *account, uint32_t status)
{
    const struct adp_span body = {account->body.bytes, account->body.count};
    const struct adp_feed_times times = {
        /* The broker took the state at some moment after the request left. */
        .read_mono_ns = account->sent_mono_ns,
        .read_wall_ns = ipc_clock_wall_ns() - (ipc_clock_mono_ns() - account->sent_mono_ns),
        .last_read_mono_ns = account->last_read_mono_ns,
        .book_lag_ns = poll->dialect->capabilities.book_lag_ns,
    };
    struct book_reading reading = {.poll = poll, .account = account, .times = &times};
    bool is_empty_code = false;
    if (account->last_read_mono_ns > 0 && times.read_mono_ns - account->last_read_mono_ns > GAP_NS)
        account->wants_whole = true;
    const enum adp_rc rc = poll->dialect->decode_book(
        status, body, find_instrument, take_row, &reading, &is_empty_code);
    if (rc != ADP_OK)
        return rc;
    begin_book(&reading); /* a book without rows is a book */
    if (reading.has_begun) {
        adp_feed_book_end(poll->feed);
        account->wants_whole = false;
        account->last_read_mono_ns = times.read_mono_ns;
        if (poll->calls != NULL && poll->calls->book != NULL)
            poll->calls->book(account->row.account, times.read_mono_ns, poll->context);
    }
    return ADP_OK;
}

/* The page of an account's broker, taken when it is free: lockstepctl may hold it. */
static struct ipc_accounts *page_of(struct adp_poll *poll, uint16_t broker)
{
    struct ipc_error error = {.text = ""};
    const int64_t now = ipc_clock_mono_ns();
    if (poll->has_page[broker])
        return &poll->pages[broker];
    if (now < poll->page_retry_mono_ns[broker])
        return NULL;
    poll->page_retry_mono_ns[broker] = now + PAGE_RETRY_NS;
    if (ipc_accounts_open_writer(poll->shm, broker, poll->config->account_cells,
            &poll->pages[broker], &error) != IPC_OK) {
        ipc_log(IPC_LOG_WARN, "money of broker %u is not written: %s", broker, error.text);
        return NULL;
    }
    poll->has_page[broker] = true;
    return &poll->pages[broker];
}

static enum adp_rc take_funds(struct adp_poll *poll, struct poll_account *account, uint32_t status)
{
    const struct adp_span body = {account->body.bytes, account->body.count};
    struct adp_funds funds;
    const enum adp_rc rc = poll->dialect->decode_funds(status, body, &funds);
    if (rc != ADP_OK)
        return rc;
    const struct ipc_account_money money = {
        .equity_e8 = funds.equity_e8,
        .cash_e8 = funds.available_e8,
        .margin_used_e8 = funds.used_e8,
        .mono_ns = account->sent_mono_ns,
    };
    struct ipc_accounts *page = page_of(poll, account->broker);
    if (page != NULL && ipc_accounts_set(page, account->row.account, &money) != IPC_OK)
        ipc_log(IPC_LOG_WARN, "account %u (%s): its money does not fit the page",
            account->row.account, account->row.login);
    return ADP_OK;
}

static void give_answer(struct adp_poll *poll, struct poll_account *account, CURLcode code)
{
    long status = 0;
    if (code == CURLE_OK)
        (void)curl_easy_getinfo(account->easy, CURLINFO_RESPONSE_CODE, &status);
    const struct adp_span body = {account->body.bytes, account->body.count};
    account->question = NULL;
    if (poll->calls != NULL && poll->calls->answer != NULL)
        poll->calls->answer(account->row.account, (uint32_t)status, body,
            account->body.is_too_long ? "the reply is too long" : curl_easy_strerror(code),
            poll->context);
    ipc_secret_wipe(account->body.bytes, account->body.count); /* it may hold a token */
    account->body.count = 0;
}

static void finish(struct adp_poll *poll, struct poll_account *account, CURLcode code)
{
    long status = 0;
    char why[128];
    poll->counts.requests++;
    if (account->kind == POLL_ASK) {
        give_answer(poll, account, code);
        return;
    }
    if (code != CURLE_OK) {
        (void)snprintf(why, sizeof(why), "%s",
            account->body.is_too_long ? "the reply is too long" : curl_easy_strerror(code));
        fail(poll, account, why);
        return;
    }
    (void)curl_easy_getinfo(account->easy, CURLINFO_RESPONSE_CODE, &status);
    const enum adp_rc rc = account->kind == POLL_BOOK ? take_book(poll, account, (uint32_t)status)
                                                      : take_funds(poll, account, (uint32_t)status);
    const int64_t now = ipc_clock_mono_ns();
    if (rc == ADP_AUTH) {
        pause_account(poll, account);
        return;
    }
    if (rc != ADP_OK) {
        (void)snprintf(why, sizeof(why), "HTTP %ld with a reply that cannot be believed", status);
        fail(poll, account, why);
        return;
    }
    if (account->failures > 0)
        ipc_log(IPC_LOG_INFO, "account %u (%s): is read again after %u failures",
            account->row.account, account->row.login, account->failures);
    account->failures = 0;
    if (account->kind == POLL_BOOK) {
        int64_t pause = interval_of(poll, account);
        if (!adp_feed_is_settled(poll->feed, account->row.account))
            pause = ls_min_i64(pause, poll->dialect->capabilities.book_lag_ns + POLL_SETTLE_NS);
        if (account->wants_book)
            pause = ls_min_i64(pause, POLL_HURRY_NS);
        /* From the request's start: the interval is the lag's bound. */
        account->due_mono_ns[POLL_BOOK] = ls_max_i64(account->sent_mono_ns + pause, now);
        account->wants_book = false;
    } else
        account->due_mono_ns[POLL_FUNDS] = now + (int64_t)poll->config->funds_ms * LS_NS_PER_MS;
}

/* The loop. */

/* Starts one kind for one role group; returns the earliest time at which more is due. */
static int64_t start_due(struct adp_poll *poll, bool masters, int64_t now)
{
    int64_t next = INT64_MAX;
    for (uint32_t i = 0; i < poll->account_count; i++) {
        struct poll_account *account = poll->accounts[i];
        if (account == NULL || !account->is_watched || account->is_paused || account->is_under_way)
            continue;
        if (((account->row.roles & IPC_ROLE_MASTER) != 0) != masters)
            continue;
        const bool has_funds = poll->config->funds_ms > 0 && poll->dialect->decode_funds != NULL;
        const int64_t book = account->due_mono_ns[POLL_BOOK];
        const int64_t funds = has_funds ? account->due_mono_ns[POLL_FUNDS] : INT64_MAX;
        /* A question goes first; else what was due first, so that slow books do not starve the
         * funds. */
        const enum poll_kind kind = account->question != NULL ? POLL_ASK
                                    : book <= funds           ? POLL_BOOK
                                                              : POLL_FUNDS;
        const int64_t due = kind == POLL_ASK ? now : ls_min_i64(book, funds);
        if (due > now) {
            next = ls_min_i64(next, due);
            continue;
        }
        if (poll->under_way >= poll->config->parallel_requests)
            return next;
        if (poll_http_start(poll, account, kind))
            continue;
        if (kind == POLL_ASK)
            give_answer(poll, account, CURLE_FAILED_INIT);
        else
            fail(poll, account, "libcurl");
    }
    return next;
}

static void take_finished(struct adp_poll *poll)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(poll->multi, &left)) != NULL) {
        struct poll_account *account = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        const CURLcode code = message->data.result;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&account);
        LS_CHECK(account != NULL && account->is_under_way);
        (void)curl_multi_remove_handle(poll->multi, account->easy);
        account->is_under_way = false;
        poll->under_way--;
        finish(poll, account, code);
    }
}

int64_t adp_poll_step(struct adp_poll *poll)
{
    const int64_t now = ipc_clock_mono_ns();
    int running;
    const int64_t masters = start_due(poll, true, now);
    const int64_t others = start_due(poll, false, now);
    if (poll->timer_ns <= now) {
        poll->timer_ns = INT64_MAX;
        (void)curl_multi_socket_action(poll->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        take_finished(poll);
    }
    const int64_t due = ls_min_i64(ls_min_i64(masters, others), poll->timer_ns);
    return ls_max_i64(due - now, 0);
}

static struct poll_account *find(const struct adp_poll *poll, uint32_t account)
{
    if (account == 0 || account > poll->account_count || poll->accounts[account - 1] == NULL ||
        !poll->accounts[account - 1]->is_watched)
        return NULL;
    return poll->accounts[account - 1];
}

void adp_poll_ask(struct adp_poll *poll, uint32_t account, const struct adp_request *request)
{
    struct poll_account *found = find(poll, account);
    if (found != NULL)
        found->question = request;
}

void adp_poll_hurry(struct adp_poll *poll, uint32_t account, bool whole)
{
    struct poll_account *found = find(poll, account);
    if (found == NULL)
        return;
    found->wants_whole |= whole;
    if (found->is_under_way && found->kind == POLL_BOOK)
        found->wants_book = true; /* that one may have been answered before */
    else if (found->failures == 0)
        found->due_mono_ns[POLL_BOOK] = ls_min_i64(found->due_mono_ns[POLL_BOOK],
            ls_max_i64(found->last_read_mono_ns + POLL_HURRY_NS, ipc_clock_mono_ns()));
}

void adp_poll_pace(struct adp_poll *poll, uint32_t account, uint32_t interval_ms)
{
    struct poll_account *found = find(poll, account);
    if (found == NULL || found->pace_ms == interval_ms)
        return;
    found->pace_ms = interval_ms;
    /* A shorter interval counts at once; a longer one after the book that is due. */
    if (found->failures == 0)
        found->due_mono_ns[POLL_BOOK] = ls_min_i64(
            found->due_mono_ns[POLL_BOOK], found->sent_mono_ns + interval_of(poll, found));
}

const struct ipc_row_account *adp_poll_row(const struct adp_poll *poll, uint32_t account)
{
    const struct poll_account *found = find(poll, account);
    return found == NULL ? NULL : &found->row;
}

int64_t adp_poll_last_read_ns(const struct adp_poll *poll, uint32_t account)
{
    const struct poll_account *found = find(poll, account);
    return found == NULL ? 0 : found->last_read_mono_ns;
}

void adp_poll_counts(const struct adp_poll *poll, struct adp_poll_counts *out)
{
    *out = poll->counts;
    out->paused = out->failing = out->unpublished = 0;
    for (uint32_t i = 0; i < poll->account_count; i++) {
        const struct poll_account *account = poll->accounts[i];
        if (account == NULL || !account->is_watched)
            continue;
        out->paused += account->is_paused;
        out->failing += account->failures > 0;
        out->unpublished += !adp_feed_is_published(poll->feed, i + 1);
    }
}
