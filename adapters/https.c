#include "adapters/https.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SET(easy, option, value) LS_CHECK(curl_easy_setopt(easy, option, value) == CURLE_OK)

/* The local address of the account: its registered one, or whatever the system takes. */
static bool set_source(CURL *easy, const struct ipc_row_account *row)
{
    char address[INET6_ADDRSTRLEN], option[INET6_ADDRSTRLEN + 8];
    if (row->source_family == 0)
        return true;
    if (inet_ntop(row->source_family == 6 ? AF_INET6 : AF_INET, row->source_address, address,
            sizeof(address)) == NULL)
        return false;
    (void)snprintf(option, sizeof(option), "host!%s", address);
    SET(easy, CURLOPT_INTERFACE, option);
    SET(easy, CURLOPT_IPRESOLVE,
        row->source_family == 6 ? (long)CURL_IPRESOLVE_V6 : (long)CURL_IPRESOLVE_V4);
    return true;
}

static bool host_of(const struct ipc_row_broker *broker, const struct sockaddr_storage *address,
    char *out, size_t out_bytes)
{
    if (address == NULL)
        return snprintf(out, out_bytes, "%s", broker->host) > 0;
    if (address->ss_family == AF_INET6)
        return inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, out,
                   (socklen_t)out_bytes) != NULL;
    return inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, out,
               (socklen_t)out_bytes) != NULL;
}

static struct curl_slist *connect_list(
    const struct ipc_row_broker *broker, const struct sockaddr_storage *address)
{
    char host[128], line[256];
    LS_CHECK(host_of(broker, address, host, sizeof(host)));
    const bool is_ipv6 = strchr(host, ':') != NULL && host[0] != '[';
    (void)snprintf(line, sizeof(line), "::%s%s%s:%u", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "",
        broker->port);
    return curl_slist_append(NULL, line);
}

bool adp_https_route(CURL *easy, const struct ipc_row_broker *broker,
    const struct ipc_row_account *account, const struct sockaddr_storage *address,
    struct curl_slist **connect_to)
{
    *connect_to = connect_list(broker, address);
    LS_CHECK(*connect_to != NULL);
    SET(easy, CURLOPT_CONNECT_TO, *connect_to);
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
    SET(easy, CURLOPT_HTTP_VERSION,
        broker->alpn == 2 ? (long)CURL_HTTP_VERSION_1_1 : (long)CURL_HTTP_VERSION_2TLS);
    SET(easy, CURLOPT_NOSIGNAL, 1L);
    SET(easy, CURLOPT_TCP_NODELAY, 1L);
    SET(easy, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    SET(easy, CURLOPT_ACCEPT_ENCODING, NULL);
    SET(easy, CURLOPT_USERAGENT, "lockstep");
    return set_source(easy, account);
}

void adp_https_url(CURL *easy, const struct ipc_row_broker *broker, const char *path)
{
    char url[512];
    int bytes;
    if (broker->authority[0] != '\0')
        bytes = snprintf(
            url, sizeof(url), "https://%s%s%s", broker->authority, broker->base_path, path);
    else
        bytes = snprintf(url, sizeof(url), "https://%s:%u%s%s", broker->host, broker->port,
            broker->base_path, path);
    LS_CHECK(bytes > 0 && (size_t)bytes < sizeof(url));
    SET(easy, CURLOPT_URL, url);
}

size_t adp_https_body_take(char *bytes, size_t size, size_t count, void *context)
{
    struct adp_https_body *body = context;
    const size_t more = size * count;
    if (more > body->most - body->count) {
        body->is_too_long = true;
        return 0; /* ends the transfer */
    }
    if (body->count + more > body->room) {
        size_t room = body->room == 0 ? 16384 : body->room;
        while (room < body->count + more)
            room *= 2;
        uint8_t *grown = realloc(body->bytes, room);
        LS_CHECK(grown != NULL);
        body->bytes = grown;
        body->room = room;
    }
    if (more > 0) /* of nothing, there may be no memory yet */
        memcpy(body->bytes + body->count, bytes, more);
    body->count += more;
    return more;
}

void adp_https_body_free(struct adp_https_body *body)
{
    free(body->bytes);
    body->bytes = NULL;
    body->count = body->room = 0;
    body->is_too_long = false;
}
