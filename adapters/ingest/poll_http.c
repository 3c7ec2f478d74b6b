/* poll_http.c: one request of one account through libcurl. */
#include "adapters/ingest/poll_private.h"

#include "ipc/clock.h"
#include "ipc/log.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct poll_account *account = context;
    const size_t more = size * count;
    if (more > POLL_BODY_BYTES_MAX - account->body_bytes) {
        account->body_too_long = true;
        return 0; /* ends the transfer */
    }
    if (account->body_bytes + more > account->body_room) {
        size_t room = account->body_room == 0 ? 16384 : account->body_room;
        while (room < account->body_bytes + more)
            room *= 2;
        account->body = realloc(account->body, room);
        LS_CHECK(account->body != NULL);
        account->body_room = room;
    }
    memcpy(account->body + account->body_bytes, bytes, more);
    account->body_bytes += more;
    return more;
}

#define SET(easy, option, value) LS_CHECK(curl_easy_setopt(easy, option, value) == CURLE_OK)

/* The local address of the account: its registered one, or whatever the system takes. */
static void set_source(CURL *easy, const struct ipc_row_account *row)
{
    char address[INET6_ADDRSTRLEN], option[INET6_ADDRSTRLEN + 8];
    if (row->source_family == 0)
        return;
    if (inet_ntop(row->source_family == 6 ? AF_INET6 : AF_INET, row->source_address, address,
            sizeof(address)) == NULL)
        return;
    (void)snprintf(option, sizeof(option), "host!%s", address);
    SET(easy, CURLOPT_INTERFACE, option);
    SET(easy, CURLOPT_IPRESOLVE,
        row->source_family == 6 ? (long)CURL_IPRESOLVE_V6 : (long)CURL_IPRESOLVE_V4);
}

/* Connect to the row's host and port, whatever name the certificate and :authority carry. */
static struct curl_slist *connect_to(const struct ipc_row_broker *broker)
{
    char line[256];
    const bool is_ipv6 = strchr(broker->host, ':') != NULL && broker->host[0] != '[';
    (void)snprintf(line, sizeof(line), "::%s%s%s:%u", is_ipv6 ? "[" : "", broker->host,
        is_ipv6 ? "]" : "", broker->port);
    return curl_slist_append(NULL, line);
}

static long http_version(const struct ipc_row_broker *broker)
{
    return broker->alpn == 2 ? (long)CURL_HTTP_VERSION_1_1 : (long)CURL_HTTP_VERSION_2TLS;
}

static CURL *make_easy(const struct ipc_row_broker *broker, struct poll_account *account)
{
    CURL *easy = curl_easy_init();
    LS_CHECK(easy != NULL);
    account->connect_to = connect_to(broker);
    SET(easy, CURLOPT_CONNECT_TO, account->connect_to);
    SET(easy, CURLOPT_PRIVATE, account);
    SET(easy, CURLOPT_PROTOCOLS_STR, "https");
    SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
    SET(easy, CURLOPT_PROXY, "");
    SET(easy, CURLOPT_NOPROXY, "*");
    SET(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    SET(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    SET(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (broker->ca_file[0] != '\0') {
        SET(easy, CURLOPT_CAINFO, broker->ca_file);
        SET(easy, CURLOPT_CAPATH, NULL);
    }
    SET(easy, CURLOPT_HTTP_VERSION, http_version(broker));
    SET(easy, CURLOPT_PIPEWAIT, 1L);
    SET(easy, CURLOPT_NOSIGNAL, 1L);
    SET(easy, CURLOPT_TCP_NODELAY, 1L);
    SET(easy, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    SET(easy, CURLOPT_TIMEOUT_MS,
        broker->reply_timeout_ms == 0 ? 10000L : 2L * (long)broker->reply_timeout_ms);
    SET(easy, CURLOPT_ACCEPT_ENCODING, NULL);
    SET(easy, CURLOPT_USERAGENT, "lockstep");
    SET(easy, CURLOPT_HTTPHEADER, &account->header);
    SET(easy, CURLOPT_HTTPGET, 1L);
    SET(easy, CURLOPT_WRITEFUNCTION, take_body);
    SET(easy, CURLOPT_WRITEDATA, account);
    set_source(easy, &account->row);
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
    char url[512];
    LS_CHECK(!account->is_under_way && account->authorization != NULL);
    LS_CHECK(strcmp(request->method, "GET") == 0); /* never an order from here */
    if (account->easy == NULL)
        account->easy = make_easy(broker, account);
    if (broker->authority[0] != '\0')
        (void)snprintf(url, sizeof(url), "https://%s%s%s", broker->authority, broker->base_path,
            request->path);
    else
        (void)snprintf(url, sizeof(url), "https://%s:%u%s%s", broker->host, broker->port,
            broker->base_path, request->path);
    SET(account->easy, CURLOPT_URL, url);
    account->kind = (uint8_t)kind;
    account->body_bytes = 0;
    account->body_too_long = false;
    account->sent_mono_ns = ipc_clock_mono_ns();
    if (curl_multi_add_handle(poll->multi, account->easy) != CURLM_OK) {
        ipc_log(IPC_LOG_ERROR, "libcurl refused a request to %s", url);
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
