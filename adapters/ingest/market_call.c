#include "adapters/ingest/market_call.h"

#include <arpa/inet.h>
#include <curl/curl.h>
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
    char reply[REPLY_BYTES_MAX];
    size_t reply_bytes;
    bool reply_too_long;
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
    free(caller);
}

bool adp_market_caller_is_idle(const struct adp_market_caller *caller)
{
    return caller->easy == NULL;
}

static size_t take_reply(char *bytes, size_t size, size_t count, void *context)
{
    struct adp_market_caller *caller = context;
    const size_t more = size * count;
    if (more > sizeof(caller->reply) - caller->reply_bytes) {
        caller->reply_too_long = true;
        return 0; /* ends the transfer */
    }
    memcpy(caller->reply + caller->reply_bytes, bytes, more);
    caller->reply_bytes += more;
    return more;
}

#define SET(option, value) LS_CHECK(curl_easy_setopt(caller->easy, option, value) == CURLE_OK)

/* Where it goes: the row's host and port, whatever name the certificate carries; and from which of
 * our addresses. */
static void set_route(struct adp_market_caller *caller, const struct ipc_row_broker *broker,
    const struct ipc_row_account *account, const char *path)
{
    char line[256], url[512], address[INET6_ADDRSTRLEN], source[INET6_ADDRSTRLEN + 8];
    const bool is_ipv6 = strchr(broker->host, ':') != NULL && broker->host[0] != '[';
    (void)snprintf(line, sizeof(line), "::%s%s%s:%u", is_ipv6 ? "[" : "", broker->host,
        is_ipv6 ? "]" : "", broker->port);
    caller->connect_to = curl_slist_append(NULL, line);
    SET(CURLOPT_CONNECT_TO, caller->connect_to);
    if (broker->authority[0] != '\0')
        (void)snprintf(
            url, sizeof(url), "https://%s%s%s", broker->authority, broker->base_path, path);
    else
        (void)snprintf(url, sizeof(url), "https://%s:%u%s%s", broker->host, broker->port,
            broker->base_path, path);
    SET(CURLOPT_URL, url);
    if (account->source_family == 0 ||
        inet_ntop(account->source_family == 6 ? AF_INET6 : AF_INET, account->source_address,
            address, sizeof(address)) == NULL)
        return;
    (void)snprintf(source, sizeof(source), "host!%s", address);
    SET(CURLOPT_INTERFACE, source);
    SET(CURLOPT_IPRESOLVE,
        account->source_family == 6 ? (long)CURL_IPRESOLVE_V6 : (long)CURL_IPRESOLVE_V4);
}

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
    caller->reply_bytes = 0;
    caller->reply_too_long = false;
    caller->called = called;
    caller->context = context;
    set_route(caller, broker, account, path);
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (broker->ca_file[0] != '\0') {
        SET(CURLOPT_CAINFO, broker->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    SET(CURLOPT_HTTP_VERSION,
        broker->alpn == 2 ? (long)CURL_HTTP_VERSION_1_1 : (long)CURL_HTTP_VERSION_2TLS);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    SET(CURLOPT_TIMEOUT_MS, 10000L);
    SET(CURLOPT_ACCEPT_ENCODING, NULL);
    SET(CURLOPT_USERAGENT, "lockstep");
    SET(CURLOPT_HTTPHEADER, &caller->headers[0]);
    if (body != NULL)
        SET(CURLOPT_COPYPOSTFIELDS, body);
    else
        SET(CURLOPT_HTTPGET, 1L);
    SET(CURLOPT_WRITEFUNCTION, take_reply);
    SET(CURLOPT_WRITEDATA, caller);
    if (curl_multi_add_handle(caller->multi, caller->easy) == CURLM_OK)
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
    const char *why = caller->reply_too_long ? "the reply is too long" : curl_easy_strerror(code);
    const uint32_t http_status = code == CURLE_OK ? (uint32_t)status : 0;
    adp_market_caller_stop(caller);
    caller->called(http_status,
        (struct adp_span){(const uint8_t *)caller->reply, caller->reply_bytes}, why,
        caller->context);
    return 0;
}
