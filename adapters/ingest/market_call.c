#include "adapters/ingest/market_call.h"

#include "adapters/https.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLY_BYTES_MAX (1u << 20)
#define HEADER_ROOM     64u

/* A session is opened now and then: looking every few milliseconds while a request is on its way
 * costs less than a place in the loop's descriptors. */
#define LOOK_NS         (5 * LS_NS_PER_MS)

struct adp_market_caller {
    CURLM *multi;
    CURL *easy; /* NULL = idle */
    struct curl_slist *connect_to;
    struct curl_slist headers[2]; /* the first points at the authorization */
    char content_type[40];
    struct adp_https_body reply;
    adp_market_called_fn called;
    void *context;
};

struct adp_market_caller *adp_market_caller_open(void)
{
    struct adp_market_caller *caller = calloc(1, sizeof(*caller));
    LS_CHECK(caller != NULL);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(caller);
        return NULL;
    }
    caller->multi = curl_multi_init();
    if (caller->multi == NULL) {
        curl_global_cleanup();
        free(caller);
        return NULL;
    }
    (void)snprintf(
        caller->content_type, sizeof(caller->content_type), "content-type: application/json");
    return caller;
}

void adp_market_caller_stop(struct adp_market_caller *caller)
{
    if (caller->easy == NULL)
        return;
    (void)curl_multi_remove_handle(caller->multi, caller->easy);
    curl_easy_cleanup(caller->easy);
    curl_slist_free_all(caller->connect_to);
    caller->easy = NULL;
    caller->connect_to = NULL;
}

void adp_market_caller_close(struct adp_market_caller *caller)
{
    if (caller == NULL)
        return;
    adp_market_caller_stop(caller);
    (void)curl_multi_cleanup(caller->multi);
    curl_global_cleanup();
    adp_https_body_free(&caller->reply);
    free(caller);
}

bool adp_market_caller_is_idle(const struct adp_market_caller *caller)
{
    return caller->easy == NULL;
}

#define SET(option, value) LS_CHECK(curl_easy_setopt(caller->easy, option, value) == CURLE_OK)

/* ---- tokens ---------------------------------------------------------------------------------- */

bool adp_market_token_make(struct adp_market_token *token, struct ipc_error *error)
{
    *token = (struct adp_market_token){.header = NULL};
    return ipc_secret_arena_create(
               IPC_SEAL_PLAIN_MAX + HEADER_ROOM + 4096, &token->secrets, error) == IPC_OK;
}

void adp_market_token_free(struct adp_market_token *token)
{
    ipc_secret_arena_destroy(token->secrets);
    token->secrets = NULL;
    token->header = NULL;
}

void adp_market_token_forget(struct adp_market_token *token)
{
    ipc_secret_arena_reset(token->secrets);
    token->header = NULL;
}

bool adp_market_token_open(struct adp_market_token *token, const struct ipc_seal_key *key,
    const struct adp_auth *auth, const struct ipc_snapshot_view *view,
    const struct ipc_row_account *row)
{
    struct ipc_seal_binding binding = {
        .account = row->account, .token_version = row->token_version};
    const size_t room = HEADER_ROOM + row->token_bytes + 1;
    memcpy(binding.cluster_id, view->cluster->cluster_id, sizeof(binding.cluster_id));
    adp_market_token_forget(token);
    token->at = strlen(auth->header) + 2 + strlen(auth->prefix);
    LS_CHECK(token->at < HEADER_ROOM);
    token->header = ipc_secret_alloc(token->secrets, room);
    if (token->header == NULL ||
        ipc_seal_open(key, &binding,
            view->tokens + (size_t)(row->account - 1) * view->token_row_bytes, row->token_bytes,
            token->header + token->at, room - token->at - 1, &token->bytes) != IPC_OK) {
        adp_market_token_forget(token);
        return false;
    }
    memcpy(token->header, auth->header, strlen(auth->header));
    memcpy(token->header + strlen(auth->header), ": ", 2);
    memcpy(token->header + strlen(auth->header) + 2, auth->prefix, strlen(auth->prefix));
    token->header[token->at + token->bytes] = '\0';
    if (strcspn(token->header + token->at, "\r\n") == token->bytes)
        return true;
    adp_market_token_forget(token);
    return false;
}

/* ---- calls ----------------------------------------------------------------------------------- */

bool adp_market_caller_start(struct adp_market_caller *caller, const struct ipc_row_broker *broker,
    const struct ipc_row_account *account, const char *path, char *authorization, const char *body,
    adp_market_called_fn called, void *context)
{
    LS_CHECK(caller->easy == NULL);
    LS_CHECK(strstr(path, "/orders") == NULL); /* never an order from here */
    caller->easy = curl_easy_init();
    if (caller->easy == NULL)
        return false;
    caller->headers[0] = (struct curl_slist){authorization, &caller->headers[1]};
    caller->headers[1] = (struct curl_slist){caller->content_type, NULL};
    caller->reply.count = 0;
    caller->reply.is_too_long = false;
    caller->reply.most = REPLY_BYTES_MAX;
    caller->called = called;
    caller->context = context;
    adp_https_url(caller->easy, broker, path);
    const bool is_routed =
        adp_https_route(caller->easy, broker, account, NULL, &caller->connect_to);
    SET(CURLOPT_TIMEOUT_MS, 10000L);
    SET(CURLOPT_HTTPHEADER, &caller->headers[0]);
    if (body != NULL)
        SET(CURLOPT_COPYPOSTFIELDS, body);
    else
        SET(CURLOPT_HTTPGET, 1L);
    SET(CURLOPT_WRITEFUNCTION, adp_https_body_take);
    SET(CURLOPT_WRITEDATA, &caller->reply);
    if (is_routed && curl_multi_add_handle(caller->multi, caller->easy) == CURLM_OK)
        return true;
    curl_easy_cleanup(caller->easy);
    curl_slist_free_all(caller->connect_to);
    caller->easy = NULL;
    caller->connect_to = NULL;
    return false;
}

int64_t adp_market_caller_step(struct adp_market_caller *caller)
{
    int running, left;
    if (caller->easy == NULL)
        return INT64_MAX;
    (void)curl_multi_perform(caller->multi, &running);
    const CURLMsg *message = curl_multi_info_read(caller->multi, &left);
    if (message == NULL || message->msg != CURLMSG_DONE)
        return LOOK_NS;
    const CURLcode code = message->data.result;
    long status = 0;
    (void)curl_easy_getinfo(caller->easy, CURLINFO_RESPONSE_CODE, &status);
    const char *why =
        caller->reply.is_too_long ? "the reply is too long" : curl_easy_strerror(code);
    const uint32_t http_status = code == CURLE_OK ? (uint32_t)status : 0;
    adp_market_caller_stop(caller);
    caller->called(http_status, (struct adp_span){caller->reply.bytes, caller->reply.count}, why,
        caller->context);
    return 0;
}
