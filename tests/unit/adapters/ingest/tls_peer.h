/* tls_peer.h: a TLS server inside a test, one thread per connection, that does exactly what the
 * test's script says: HTTP/1.1 answers, WebSocket frames, or nothing at all. Shares no code with
 * what is tested: OpenSSL and bytes. */
#ifndef LS_TESTS_INGEST_TLS_PEER_H
#define LS_TESTS_INGEST_TLS_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_peer;
struct tls_connection; /* of one client, inside the script */

/* The script of one connection: called after the handshake; the connection ends when it returns. */
typedef void (*tls_peer_fn)(struct tls_connection *connection, void *context);

/* tls_peer_start listens at a free port of 127.0.0.1. The certificate is for "localhost" and
 * 127.0.0.1, of a CA of its own. Never NULL. */
struct tls_peer *tls_peer_start(tls_peer_fn script, void *context);
void tls_peer_stop(struct tls_peer *peer); /* cuts what is open, waits for the threads */
uint16_t tls_peer_port(const struct tls_peer *peer);
const char *tls_peer_ca(const struct tls_peer *peer);          /* file of the CA's certificate */
const char *tls_peer_certificate(const struct tls_peer *peer); /* files of its own certificate, */
const char *tls_peer_key(const struct tls_peer *peer);         /* and its key */
const char *tls_peer_other_ca(const struct tls_peer *peer);    /* of another CA */
uint32_t tls_peer_connections(const struct tls_peer *peer);    /* handshakes that were done */

/* tls_read_request reads one HTTP request's head and body (Content-Length).
 *   returns  bytes of the head, 0 at the end of the connection */
size_t tls_read_request(struct tls_connection *connection, char *out, size_t room);
bool tls_write(struct tls_connection *connection, const void *bytes, size_t count);
/* tls_reply writes a whole HTTP/1.1 reply with Content-Length. */
bool tls_reply(
    struct tls_connection *connection, int status, const char *content_type, const char *body);
/* tls_peer_address returns the client's address as text. */
const char *tls_client_address(const struct tls_connection *connection);

/* ws_accept answers the upgrade of a request that tls_read_request read. */
bool ws_accept(struct tls_connection *connection, const char *request);
/* ws_send writes one frame (server side: no mask); opcode 0..15. */
bool ws_send(struct tls_connection *connection, uint8_t opcode, bool is_last, const void *bytes,
    size_t count);
/* ws_receive reads one frame, unmasked and NUL-terminated; control frames too.
 *   returns  the opcode, -1 after `wait_ms` without a byte, -2 at the end of the connection */
int ws_receive(struct tls_connection *connection, char *out, size_t room, int wait_ms);

/* tls_cut closes the TCP connection with a reset, without any TLS goodbye. */
void tls_cut(struct tls_connection *connection);

#endif
