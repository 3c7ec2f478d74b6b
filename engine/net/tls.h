/* tls.h: TLS of one broker (context, porter) and of one connection (session, either thread).
 *
 * What always holds: the peer's chain and its name or address are verified, TLS 1.2 with AEAD
 * suites and forward secrecy, or 1.3; ALPN chooses among what the broker's row allows; no early
 * data, no renegotiation, no compression; a session is resumed only while the certificate that it
 * began with is valid. Bytes come from spans and go into the connection's cipher arena through a
 * BIO of ours: nothing here touches a socket.
 *
 * Threads: a context belongs to the porter. A session belongs to one thread at a time; session
 * tickets that arrive after the handover are read and dropped. On the pinned thread OpenSSL draws
 * on the pool of memory.h. */
#ifndef LS_ENGINE_NET_TLS_H
#define LS_ENGINE_NET_TLS_H

#include "ipc/base.h"
#include "ipc/rc.h"

#include <openssl/ssl.h>

#define ENG_TLS_RECORD_BYTES       4096u /* largest plain bytes of a record we send */
#define ENG_TLS_RECORD_EXTRA_BYTES 64u   /* header, nonce, type, tag: at most, either version */
#define ENG_TLS_CONTROL_RESERVE    512u  /* of the cipher arena: alerts, key updates */
#define ENG_TLS_SESSIONS_KEPT      8u

struct eng_tls_context; /* of one broker */

/* eng_tls_context_make
 *   broker   its name, for sentences
 *   host     DNS name or address that the certificate must be for
 *   ca_file  trust anchors, "" = the system's
 *   returns  IPC_OK, or IPC_BAD_INPUT with one sentence in *error
 *   thread   the porter; allocates */
LS_MUST_USE enum ipc_rc eng_tls_context_make(const char *broker, const char *host,
    const char *ca_file, struct eng_tls_context **context, struct ipc_error *error);
void eng_tls_context_free(struct eng_tls_context *context);

/* eng_tls_context_offer says what ALPN offers: ipc_row_broker's `alpn`, 0 = h2 and http/1.1 (as
 * made), 1 = h2 only, 2 = http/1.1 only. A server that chooses nothing means http/1.1. */
void eng_tls_context_offer(struct eng_tls_context *context, uint16_t alpn);

/* Records sealed and not yet handed over whole: where their plain bytes start. */
#define ENG_TLS_RECORDS_MAX 32u
struct eng_tls_record {
    uint64_t plain_end;    /* plain bytes given away once this record is */
    uint64_t cipher_start; /* its first byte among all cipher bytes of the connection */
};

/* One session. Fields are this module's, and connection.c's. */
struct eng_tls {
    SSL *ssl;
    const uint8_t *in; /* span being read */
    size_t in_count;
    uint8_t *out; /* cipher arena */
    uint32_t out_capacity, out_head, out_tail;
    uint64_t out_base;     /* cipher offset of out[0] */
    uint64_t plain_handed; /* plain bytes of which some cipher byte may have reached the kernel */
    uint32_t record_first, record_count;
    bool keep_sessions; /* tickets are kept for later connections: with the porter only */
    bool failed;        /* a fatal error or alert: nothing more can be read or sealed */
    bool is_h2;         /* ALPN chose h2, else it is HTTP/1.1 */
    bool closed;        /* the peer said close_notify: the end of its bytes is real */
    bool has_ticket;    /* a session to resume came: what TLS 1.3 sends first of all */
    struct eng_tls_record records[ENG_TLS_RECORDS_MAX];
};

/* eng_tls_begin starts a client session into the caller's cipher arena.
 *   returns  false when OpenSSL has no memory
 *   thread   the porter */
LS_MUST_USE bool eng_tls_begin(
    struct eng_tls *tls, struct eng_tls_context *context, uint8_t *arena, uint32_t arena_bytes);

enum eng_tls_step {
    ENG_TLS_WANTS_MORE = 0, /* send what is in the arena, come back with bytes of the peer */
    ENG_TLS_DONE = 1,       /* verified, protocol chosen (is_h2) */
    ENG_TLS_FAILED = -1,    /* one sentence in *error; nothing of a request has left */
};

/* eng_tls_handshake goes on with the handshake; bytes not consumed stay the caller's.
 *   *bytes, *count  peer's bytes, advanced past what was read
 *   thread          the porter */
LS_MUST_USE enum eng_tls_step eng_tls_handshake(
    struct eng_tls *tls, const uint8_t **bytes, size_t *count, struct ipc_error *error);

/* eng_tls_seal makes records of at most record_bytes (<= ENG_TLS_RECORD_BYTES) into the arena while
 * there is room for them.
 *   plain_sealed  plain bytes given away before these, for the record list
 *   returns       plain bytes sealed, [0, count]; negative when the session failed */
int64_t eng_tls_seal(struct eng_tls *tls, const uint8_t *plain, size_t count, uint32_t record_bytes,
    uint64_t plain_sealed);

/* eng_tls_hand_over is called once by the thread that takes the session over from the porter. */
void eng_tls_hand_over(struct eng_tls *tls);

/* eng_tls_feed names the peer's bytes, eng_tls_open reads plain bytes out of them.
 *   returns  plain bytes written to out; 0 when more cipher bytes are needed; -1 when the session
 *            ended or failed (close_notify, alert, forged record) */
void eng_tls_feed(struct eng_tls *tls, const uint8_t *bytes, size_t count);
int64_t eng_tls_open(struct eng_tls *tls, uint8_t *out, size_t out_bytes);

/* eng_tls_pending returns the cipher bytes to be sent; eng_tls_handed says how many were accepted
 * by the kernel and drops them, eng_tls_attempted that the next `bytes` may have been. */
const uint8_t *eng_tls_pending(const struct eng_tls *tls, size_t *count);
void eng_tls_handed(struct eng_tls *tls, size_t bytes);
void eng_tls_attempted(struct eng_tls *tls, size_t bytes);

/* eng_tls_end frees the session (no close_notify is waited for). Porter, or any thread that may
 * free. */
void eng_tls_end(struct eng_tls *tls);

#endif
