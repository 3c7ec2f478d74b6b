#include "adapters/ingest/webhook_register.h"

#include "adapters/broker/dialect.h"
#include "adapters/ingest/webhook_peers.h"
#include "ipc/secret.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLY_BYTES_MAX          65536u

#define SET(easy, option, value) LS_CHECK(curl_easy_setopt(easy, option, value) == CURLE_OK)

/* All of one call; wiped at its end. */
struct call {
    const struct ipc_row_account *row;
    const struct ipc_row_broker *broker;
    const struct adp_dialect *dialect;
    char authorization[4096 + 64];
    char url[512], target[256 + ADP_HOOK_PATH_MOST + 2], body[640];
    uint8_t reply[REPLY_BYTES_MAX];
    size_t reply_bytes;
};

static size_t take_reply(char *bytes, size_t size, size_t count, void *context)
{
    struct call *call = context;
    const size_t more = size * count;
    if (more > REPLY_BYTES_MAX - call->reply_bytes)
        return 0;
    memcpy(call->reply + call->reply_bytes, bytes, more);
    call->reply_bytes += more;
    return more;
}

static enum ipc_rc open_token(struct call *call, const struct ipc_snapshot_view *view,
    const struct ipc_seal_key *key, struct ipc_error *error)
{
    const struct ipc_row_account *row = call->row;
    const struct adp_auth *auth = &call->dialect->auth;
    struct ipc_seal_binding binding = {
        .account = row->account, .token_version = row->token_version};
    size_t bytes = 0;
    memcpy(binding.cluster_id, view->cluster->cluster_id, sizeof(binding.cluster_id));
    const int head = snprintf(
        call->authorization, sizeof(call->authorization), "%s: %s", auth->header, auth->prefix);
    LS_CHECK(head > 0);
    const size_t room = sizeof(call->authorization) - (size_t)head - 1;
    if (row->token_bytes > 0 &&
        ipc_seal_open(key, &binding,
            view->tokens + (size_t)(row->account - 1) * view->token_row_bytes, row->token_bytes,
            (uint8_t *)call->authorization + head, room, &bytes) == IPC_OK &&
        memchr(call->authorization + head, '\n', bytes) == NULL) {
        call->authorization[(size_t)head + bytes] = '\0';
        return IPC_OK;
    }
    ipc_error_set(error, "account %u (%s) has no token that opens: lockstepctl token set %s",
        row->account, row->login, row->login);
    return IPC_NOT_FOUND;
}

static enum ipc_rc prepare(struct call *call, const struct adp_ingest_config *config,
    const char *account, bool is_on, struct ipc_error *error)
{
    const struct adp_push *push = call->dialect->push;
    const struct adp_request *request = is_on ? &push->hook_on : &push->hook_off;
    const char *host =
        config->hook_register[0] != '\0' ? config->hook_register : call->broker->host;
    char secret[ADP_HOOK_PATH_MOST + 1];
    enum ipc_rc rc = adp_hook_secret_find(config->hook_paths, account, secret, error);
    if (rc == IPC_OK && secret[0] == '\0') {
        ipc_error_set(error, "%s has no line for %s", config->hook_paths, account);
        rc = IPC_NOT_FOUND;
    }
    if (rc == IPC_OK) {
        (void)snprintf(call->target, sizeof(call->target), "%s/%s", config->hook_url, secret);
        (void)snprintf(call->url, sizeof(call->url), "https://%s%s%s", host,
            config->hook_register[0] != '\0' ? "" : call->broker->base_path, request->path);
        if (push->hook_body(call->target, call->body, sizeof(call->body)) == 0) {
            ipc_error_set(error, "hook_url must be the https:// address that the broker calls");
            rc = IPC_BAD_INPUT;
        }
    }
    ipc_secret_wipe(secret, sizeof(secret));
    return rc;
}

static CURLcode post(struct call *call, const struct adp_ingest_config *config, long *status)
{
    struct curl_slist header = {.data = call->authorization, .next = NULL};
    struct curl_slist type = {.data = (char[]){"content-type: application/json"}, .next = &header};
    struct curl_slist *route = NULL;
    char source[INET6_ADDRSTRLEN], option[INET6_ADDRSTRLEN + 8], line[256];
    CURL *easy = curl_easy_init();
    LS_CHECK(easy != NULL);
    SET(easy, CURLOPT_URL, call->url);
    SET(easy, CURLOPT_PROTOCOLS_STR, "https");
    SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
    SET(easy, CURLOPT_PROXY, "");
    SET(easy, CURLOPT_NOPROXY, "*");
    SET(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    SET(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    SET(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (call->broker->ca_file[0] != '\0') {
        SET(easy, CURLOPT_CAINFO, call->broker->ca_file);
        SET(easy, CURLOPT_CAPATH, NULL);
    }
    if (config->hook_register[0] == '\0') { /* the broker's own host: as its row says */
        (void)snprintf(line, sizeof(line), "::%s:%u", call->broker->host, call->broker->port);
        route = curl_slist_append(NULL, line);
        SET(easy, CURLOPT_CONNECT_TO, route);
    }
    if (call->row->source_family != 0 &&
        inet_ntop(call->row->source_family == 6 ? AF_INET6 : AF_INET, call->row->source_address,
            source, sizeof(source)) != NULL) {
        (void)snprintf(option, sizeof(option), "host!%s", source);
        SET(easy, CURLOPT_INTERFACE, option);
    }
    SET(easy, CURLOPT_NOSIGNAL, 1L);
    SET(easy, CURLOPT_TIMEOUT_MS, 15000L);
    SET(easy, CURLOPT_HTTPHEADER, &type);
    SET(easy, CURLOPT_POSTFIELDS, call->body);
    SET(easy, CURLOPT_WRITEFUNCTION, take_reply);
    SET(easy, CURLOPT_WRITEDATA, call);
    const CURLcode code = curl_easy_perform(easy);
    if (code == CURLE_OK)
        (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, status);
    curl_easy_cleanup(easy);
    curl_slist_free_all(route);
    return code;
}

static enum ipc_rc make_call(struct call *call, const struct adp_ingest_config *config,
    const struct adp_live *live, const struct ipc_seal_key *key, const char *account, bool is_on,
    struct ipc_error *error)
{
    long status = 0;
    enum ipc_rc rc = open_token(call, adp_live_view(live), key, error);
    if (rc == IPC_OK)
        rc = prepare(call, config, account, is_on, error);
    if (rc != IPC_OK)
        return rc;
    const CURLcode code = post(call, config, &status);
    if (code != CURLE_OK) {
        ipc_error_set(error, "the broker does not answer: %s", curl_easy_strerror(code));
        return IPC_SYSTEM;
    }
    const struct adp_span reply = {call->reply, call->reply_bytes};
    if (call->dialect->push->decode_hook((uint32_t)status, reply) == ADP_OK)
        return IPC_OK;
    ipc_error_set(error, "the broker refuses it: HTTP %ld", status);
    return IPC_REFUSED;
}

enum ipc_rc adp_webhook_register(const struct adp_ingest_config *config,
    const struct adp_live *live, const struct ipc_seal_key *key, const char *account, bool is_on,
    struct ipc_error *error)
{
    char name[2 * IPC_NAME_BYTES + 2];
    uint32_t number = 0;
    const struct ipc_snapshot_view *view = adp_live_view(live);
    (void)snprintf(name, sizeof(name), "%s", account);
    char *at = strchr(name, '@');
    if (at != NULL)
        *at = '\0';
    if (view == NULL ||
        adp_live_find_account(live, name, at != NULL ? at + 1 : "", &number) != IPC_OK) {
        ipc_error_set(error, "%s is no account of the snapshot, or of several brokers", account);
        return IPC_NOT_FOUND;
    }
    struct call *call = calloc(1, sizeof(*call));
    LS_CHECK(call != NULL && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    call->row = adp_live_account(live, number);
    call->broker = &view->brokers[call->row->broker];
    call->dialect = adp_dialect_find(call->broker->dialect);
    enum ipc_rc rc = IPC_BAD_INPUT;
    if (call->dialect == NULL || call->dialect->push == NULL ||
        call->dialect->push->hook_on.path == NULL)
        ipc_error_set(error, "broker %s has no webhook", call->broker->name);
    else
        rc = make_call(call, config, live, key, account, is_on, error);
    ipc_secret_wipe(call, sizeof(*call));
    free(call);
    curl_global_cleanup();
    return rc;
}
