/* curl_peer.c: the orders by libcurl's multi interface over HTTP/2, as its documentation advises:
 * multiplexing on, CURLOPT_PIPEWAIT so that transfers share connections, easy handles reused, a
 * bound of connections per host, curl_multi_poll for the replies. */
#include "bench/peers/wave.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct transfer {
    CURL *easy;
    struct curl_slist *headers;
    uint32_t reply_bytes;
    char reply[512];
};

struct peer {
    struct wave wave;
    CURLM *multi;
    struct transfer *transfers;
    char url[96];
};

static size_t on_reply(char *bytes, size_t size, size_t count, void *user)
{
    struct transfer *transfer = user;
    size_t total = size * count;
    if (transfer->reply_bytes + total <= sizeof transfer->reply) {
        memcpy(transfer->reply + transfer->reply_bytes, bytes, total);
        transfer->reply_bytes += (uint32_t)total;
    }
    return total;
}

static const char *send_all(void *context)
{
    struct peer *peer = context;
    uint32_t answered = 0, accepted = 0;
    for (uint32_t i = 0; i < peer->wave.count; i++) {
        peer->transfers[i].reply_bytes = 0;
        if (curl_multi_add_handle(peer->multi, peer->transfers[i].easy) != CURLM_OK)
            return "a transfer could not be added";
    }
    const int64_t until = wave_now_ns() + INT64_C(20000000000);
    while (answered < peer->wave.count) {
        int running = 0, left = 0;
        if (curl_multi_perform(peer->multi, &running) != CURLM_OK)
            return "curl_multi_perform failed";
        for (CURLMsg *message; (message = curl_multi_info_read(peer->multi, &left)) != NULL;) {
            struct transfer *transfer = NULL;
            long status = 0;
            if (message->msg != CURLMSG_DONE)
                continue;
            (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
            (void)curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
            answered++;
            accepted += message->data.result == CURLE_OK && status == 200 && transfer != NULL &&
                        wave_order_accepted(transfer->reply, transfer->reply_bytes);
            (void)curl_multi_remove_handle(peer->multi, message->easy_handle);
        }
        if (wave_now_ns() > until)
            return "not every order was answered in 20 s";
        if (answered < peer->wave.count &&
            curl_multi_poll(peer->multi, NULL, 0, 100, NULL) != CURLM_OK)
            return "curl_multi_poll failed";
    }
    return accepted == answered ? NULL : "an order was not accepted";
}

static int prepare(struct peer *peer, struct transfer *transfer, uint32_t order)
{
    char authorization[4200];
    (void)snprintf(
        authorization, sizeof authorization, "Authorization: %s", peer->wave.tokens[order]);
    transfer->easy = curl_easy_init();
    transfer->headers = curl_slist_append(NULL, "Content-Type: application/json");
    transfer->headers = curl_slist_append(transfer->headers, "Accept: application/json");
    transfer->headers = curl_slist_append(transfer->headers, authorization);
    CURL *easy = transfer->easy;
    return easy == NULL || transfer->headers == NULL ||
           curl_easy_setopt(easy, CURLOPT_URL, peer->url) != CURLE_OK ||
           curl_easy_setopt(easy, CURLOPT_CAINFO, peer->wave.ca_file) != CURLE_OK ||
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS) != CURLE_OK ||
           curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L) != CURLE_OK ||
           curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") != CURLE_OK ||
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
           curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers) != CURLE_OK ||
           curl_easy_setopt(easy, CURLOPT_POSTFIELDS, peer->wave.bodies[order]) != CURLE_OK ||
           curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)peer->wave.body_bytes[order]) !=
               CURLE_OK ||
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_reply) != CURLE_OK ||
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer) != CURLE_OK ||
           curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer) != CURLE_OK;
}

int main(int argc, char **argv)
{
    struct peer peer = {0};
    wave_read_arguments(&peer.wave, argc, argv);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || (peer.multi = curl_multi_init()) == NULL)
        return 2;
    (void)snprintf(peer.url, sizeof peer.url,
        "https://localhost:%u/open-api/od/v1/orders/placeorder", peer.wave.port);
    (void)curl_multi_setopt(peer.multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    (void)curl_multi_setopt(peer.multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)peer.wave.connections);
    (void)curl_multi_setopt(peer.multi, CURLMOPT_MAX_CONCURRENT_STREAMS, 1000L);
    peer.transfers = calloc(peer.wave.count, sizeof *peer.transfers);
    for (uint32_t i = 0; i < peer.wave.count; i++) {
        if (peer.transfers == NULL || prepare(&peer, &peer.transfers[i], i) != 0) {
            (void)fprintf(stderr, "libcurl refuses an option\n");
            return 2;
        }
    }
    return wave_serve(send_all, &peer);
}
