/* poll_http.c: one request of one account through libcurl. */
#include "adapters/ingest/poll_private.h"

#include "ipc/clock.h"
#include "ipc/log.h"

#include <string.h>

#define SET(easy, option, value) LS_CHECK(curl_easy_setopt(easy, option, value) == CURLE_OK)

/* NULL when the account's source address cannot be used. */
static CURL *make_easy(const struct ipc_row_broker *broker, struct poll_account *account)
{
    CURL *easy = curl_easy_init();
    LS_CHECK(easy != NULL);
    if (!adp_https_route(easy, broker, &account->row, NULL, &account->connect_to)) {
        curl_easy_cleanup(easy);
        curl_slist_free_all(account->connect_to);
        account->connect_to = NULL;
        return NULL;
    }
    SET(easy, CURLOPT_PRIVATE, account);
    SET(easy, CURLOPT_PIPEWAIT, 1L);
    SET(easy, CURLOPT_TIMEOUT_MS,
        broker->reply_timeout_ms == 0 ? 10000L : 2L * (long)broker->reply_timeout_ms);
    SET(easy, CURLOPT_HTTPHEADER, &account->header);
    SET(easy, CURLOPT_HTTPGET, 1L);
    SET(easy, CURLOPT_WRITEFUNCTION, adp_https_body_take);
    SET(easy, CURLOPT_WRITEDATA, &account->body);
    return easy;
}

static const struct adp_request *request_of(
    const struct adp_dialect *dialect, const struct poll_account *account, enum poll_kind kind)
{
    if (kind == POLL_ASK)
        return account->question;
    return kind == POLL_BOOK ? &dialect->requests[ADP_REQUEST_BOOK] : &dialect->funds;
}

bool poll_http_start(struct adp_poll *poll, struct poll_account *account, enum poll_kind kind)
{
    const struct ipc_row_broker *broker = &adp_live_view(poll->live)->brokers[account->broker];
    const struct adp_request *request = request_of(poll->dialect, account, kind);
    LS_CHECK(!account->is_under_way && account->authorization != NULL);
    LS_CHECK(strcmp(request->method, "GET") == 0); /* never an order from here */
    if (account->easy == NULL)
        account->easy = make_easy(broker, account);
    if (account->easy == NULL) {
        ipc_log(
            IPC_LOG_ERROR, "account %u: its source address cannot be used", account->row.account);
        return false;
    }
    adp_https_url(account->easy, broker, request->path);
    account->kind = (uint8_t)kind;
    account->body.count = 0;
    account->body.is_too_long = false;
    account->body.most = POLL_BODY_BYTES_MAX;
    account->sent_mono_ns = ipc_clock_mono_ns();
    if (curl_multi_add_handle(poll->multi, account->easy) != CURLM_OK) {
        ipc_log(IPC_LOG_ERROR, "libcurl refused a request to %s", request->path);
        return false;
    }
    account->is_under_way = true;
    poll->under_way++;
    return true;
}

void poll_http_forget(struct adp_poll *poll, struct poll_account *account)
{
    if (account->is_under_way) {
        (void)curl_multi_remove_handle(poll->multi, account->easy);
        account->is_under_way = false;
        poll->under_way--;
    }
    if (account->easy != NULL)
        curl_easy_cleanup(account->easy);
    curl_slist_free_all(account->connect_to);
    account->easy = NULL;
    account->connect_to = NULL;
}
