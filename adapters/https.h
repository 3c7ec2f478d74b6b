/* https.h: what every HTTPS call to a broker's API is told, whoever makes it with libcurl: ingest's
 * polls, its market sessions, and the engine's porter.
 *
 * What always holds: https only, certificates and names verified (with the broker's own anchors
 * where its row names them), TLS 1.2 or later, no early data, no redirects, no proxy of the
 * environment, no cookies, no signals, from the account's registered source address or not at all.
 *
 * Threads: each handle is its caller's. Allocates. */
#ifndef LS_ADAPTERS_HTTPS_H
#define LS_ADAPTERS_HTTPS_H

#include "adapters/span.h"
#include "ipc/rows.h"

#include <curl/curl.h>
#include <sys/socket.h>

/* adp_https_route says how the handle reaches the broker and from where; whatever name certificate
 * and :authority carry, the connection goes to the row's host and port.
 *   easy        fresh, or used for the same broker and account before
 *   address     where the row's host is, when the caller knows it: libcurl then asks no name
 *               server; NULL = libcurl finds out
 *   connect_to  set to a list that libcurl uses until the handle is cleaned up; then the caller
 *               frees it with curl_slist_free_all
 *   returns     false when the account's source address cannot be used: no request may leave */
LS_MUST_USE bool adp_https_route(CURL *easy, const struct ipc_row_broker *broker,
    const struct ipc_row_account *account, const struct sockaddr_storage *address,
    struct curl_slist **connect_to);

/* adp_https_url sets the handle's URL.
 *   path  of a request, without the broker's base path */
void adp_https_url(CURL *easy, const struct ipc_row_broker *broker, const char *path);

/* A body as it arrives: grows to `most`, and ends the transfer beyond it. Zero = empty. */
struct adp_https_body {
    uint8_t *bytes;
    size_t count, room, most;
    bool is_too_long;
};

/* adp_https_body_take is libcurl's CURLOPT_WRITEFUNCTION with a body as CURLOPT_WRITEDATA. */
size_t adp_https_body_take(char *bytes, size_t size, size_t count, void *body);
/* adp_https_body_free gives the memory back; `most` stays. */
void adp_https_body_free(struct adp_https_body *body);

#endif
