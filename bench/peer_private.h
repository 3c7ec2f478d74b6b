/* peer_private.h: a connection of the peer; peer.c has sockets and TLS, peer_h2.c the frames. */
#ifndef LS_BENCH_PEER_PRIVATE_H
#define LS_BENCH_PEER_PRIVATE_H

#include "bench/peer.h"

#include <openssl/ssl.h>

#define PEER_INPUT_BYTES  (64u << 10)
#define PEER_OUTPUT_BYTES (256u << 10)

struct peer_connection {
    int fd;
    uint32_t number;
    SSL *ssl;
    bool is_open; /* handshake complete */
    bool has_preface, is_warm, wants_write;
    uint32_t input_count, output_count;
    uint32_t window_used;  /* DATA bytes since the last WINDOW_UPDATE */
    uint32_t order_stream; /* newest request with a body */
    uint8_t input[PEER_INPUT_BYTES], output[PEER_OUTPUT_BYTES];
};

/* peer_h2_receive eats the complete frames of connection->input and appends the answers to
 * connection->output.
 *   returns  false when the client broke the protocol, or sent what no client of ours does */
LS_MUST_USE bool peer_h2_receive(struct peer_connection *connection, struct bench_peer_page *page);

#endif
