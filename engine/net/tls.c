/* tls.c: OpenSSL over spans. */
#include "engine/net/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct eng_tls_context {
    SSL_CTX *ssl;
    char broker[64];
    char host[128];
    bool host_is_address;
    uint16_t alpn;                                /* as ipc_row_broker's */
    SSL_SESSION *sessions[ENG_TLS_SESSIONS_KEPT]; /* each is used once; newest last */
    uint32_t session_count;
};

static BIO_METHOD *span_method;
static pthread_once_t span_method_once = PTHREAD_ONCE_INIT;

static int span_write(BIO *bio, const char *bytes, int count)
{
    struct eng_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (count <= 0)
        return 0;
    if ((uint32_t)count > tls->out_capacity - tls->out_tail) {
        BIO_set_retry_write(bio);
        return -1;
    }
    memcpy(tls->out + tls->out_tail, bytes, (size_t)count);
    tls->out_tail += (uint32_t)count;
    return count;
}

static int span_read(BIO *bio, char *bytes, int count)
{
    struct eng_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (tls->in_count == 0 || count <= 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    const size_t take = tls->in_count < (size_t)count ? tls->in_count : (size_t)count;
    memcpy(bytes, tls->in, take);
    tls->in += take;
    tls->in_count -= take;
    return (int)take;
}

static long span_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int span_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static void make_span_method(void)
{
    span_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "span");
    LS_CHECK(span_method != NULL);
    BIO_meth_set_write(span_method, span_write);
    BIO_meth_set_read(span_method, span_read);
    BIO_meth_set_ctrl(span_method, span_control);
    BIO_meth_set_create(span_method, span_create);
}

/* Called by OpenSSL for each ticket. Kept while the porter owns the connection; 0 = not kept. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct eng_tls *tls = SSL_get_app_data(ssl);
    tls->has_ticket = true;
    if (!tls->keep_sessions)
        return 0;
    struct eng_tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if (context->session_count == ENG_TLS_SESSIONS_KEPT) {
        SSL_SESSION_free(context->sessions[0]);
        context->session_count--;
        memmove(context->sessions, context->sessions + 1,
            context->session_count * sizeof context->sessions[0]);
    }
    context->sessions[context->session_count++] = session;
    return 1;
}

static bool set_rules(struct eng_tls_context *context)
{
    SSL_CTX *ssl = context->ssl;
    X509_VERIFY_PARAM *verify = SSL_CTX_get0_param(ssl);
    /* A name counts where a CA has vouched for it as a name: a subject's CN is a text. */
    X509_VERIFY_PARAM_set_hostflags(
        verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    const int named = context->host_is_address
                          ? X509_VERIFY_PARAM_set1_ip_asc(verify, context->host)
                          : X509_VERIFY_PARAM_set1_host(verify, context->host, 0);
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ssl, keep_session);
    SSL_CTX_set_app_data(ssl, context);
    return named == 1 && SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
           SSL_CTX_set_ciphersuites(ssl, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                         "TLS_CHACHA20_POLY1305_SHA256") == 1 &&
           SSL_CTX_set_max_send_fragment(ssl, ENG_TLS_RECORD_BYTES) == 1;
}

void eng_tls_context_offer(struct eng_tls_context *context, uint16_t alpn)
{
    static const unsigned char names[] = "\x02h2\x08http/1.1";
    LS_CHECK(alpn <= 2);
    const unsigned char *first = alpn == 2 ? names + 3 : names;
    const unsigned int bytes = alpn == 0 ? 12 : alpn == 1 ? 3 : 9;
    context->alpn = alpn;
    LS_CHECK(SSL_CTX_set_alpn_protos(context->ssl, first, bytes) == 0);
}

static bool is_address(const char *host)
{
    uint8_t address[16];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

enum ipc_rc eng_tls_context_make(const char *broker, const char *host, const char *ca_file,
    struct eng_tls_context **out, struct ipc_error *error)
{
    pthread_once(&span_method_once, make_span_method);
    if (strlen(host) == 0 || strlen(host) >= sizeof((struct eng_tls_context *)0)->host) {
        ipc_error_set(error, "broker %s: the TLS name has %zu characters; give one of [1, 127]",
            broker, strlen(host));
        return IPC_BAD_INPUT;
    }
    struct eng_tls_context *context = calloc(1, sizeof *context);
    LS_CHECK(context != NULL);
    strncpy(context->broker, broker, sizeof context->broker - 1);
    strncpy(context->host, host, sizeof context->host - 1);
    context->host_is_address = is_address(host);
    context->ssl = SSL_CTX_new(TLS_client_method());
    if (context->ssl == NULL || !set_rules(context)) {
        ipc_error_set(error, "broker %s: %s cannot be used as a TLS name; check host and authority",
            broker, host);
        eng_tls_context_free(context);
        ERR_clear_error();
        return IPC_BAD_INPUT;
    }
    const int trusted = ca_file[0] == '\0' ? SSL_CTX_set_default_verify_paths(context->ssl)
                                           : SSL_CTX_load_verify_file(context->ssl, ca_file);
    ERR_clear_error();
    if (trusted != 1) {
        ipc_error_set(error,
            "broker %s: ca_file %s has no usable certificate; give a PEM file of trusted CAs",
            broker, ca_file);
        eng_tls_context_free(context);
        return IPC_BAD_INPUT;
    }
    eng_tls_context_offer(context, 0);
    *out = context;
    return IPC_OK;
}

static void forget_sessions(struct eng_tls_context *context)
{
    for (uint32_t i = 0; i < context->session_count; i++)
        SSL_SESSION_free(context->sessions[i]);
    context->session_count = 0;
}

void eng_tls_context_free(struct eng_tls_context *context)
{
    if (context == NULL)
        return;
    forget_sessions(context);
    SSL_CTX_free(context->ssl);
    free(context);
}

/* A resumed session shows no certificate: it counts as long as the one that it began with. */
static bool has_expired(const SSL_SESSION *session)
{
    const X509 *peer = SSL_SESSION_get0_peer((SSL_SESSION *)(uintptr_t)session);
    return peer == NULL || X509_cmp_current_time(X509_get0_notAfter(peer)) <= 0;
}

bool eng_tls_begin(
    struct eng_tls *tls, struct eng_tls_context *context, uint8_t *arena, uint32_t arena_bytes)
{
    LS_CHECK(
        arena_bytes >= ENG_TLS_RECORD_BYTES + ENG_TLS_RECORD_EXTRA_BYTES + ENG_TLS_CONTROL_RESERVE);
    memset(tls, 0, offsetof(struct eng_tls, records));
    tls->out = arena;
    tls->out_capacity = arena_bytes;
    tls->keep_sessions = true;
    BIO *bio = BIO_new(span_method);
    tls->ssl = SSL_new(context->ssl);
    if (bio == NULL || tls->ssl == NULL) {
        BIO_free(bio);
        SSL_free(tls->ssl);
        tls->ssl = NULL;
        return false;
    }
    BIO_set_data(bio, tls);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_app_data(tls->ssl, tls);
    SSL_set_connect_state(tls->ssl);
    if (!context->host_is_address && SSL_set_tlsext_host_name(tls->ssl, context->host) != 1)
        return false;
    if (context->session_count != 0 && has_expired(context->sessions[context->session_count - 1]))
        forget_sessions(context);
    if (context->session_count != 0) {
        SSL_SESSION *session = context->sessions[--context->session_count];
        const int set = SSL_set_session(tls->ssl, session);
        SSL_SESSION_free(session);
        ERR_clear_error();
        (void)set; /* a session that does not fit any more only means a full handshake */
    }
    return true;
}

/* One sentence for a failed handshake: what is wrong, where, what to do. */
LS_COLD static void explain(
    const struct eng_tls *tls, const struct eng_tls_context *context, struct ipc_error *error)
{
    const long verdict = SSL_get_verify_result(tls->ssl);
    switch (verdict) {
    case X509_V_OK: {
        char reason[128];
        ERR_error_string_n(ERR_peek_last_error(), reason, sizeof reason);
        ipc_error_set(error,
            "broker %s: TLS handshake with %s failed (%s); nothing was sent; check host, port and "
            "that it speaks TLS 1.2 or 1.3",
            context->broker, context->host, reason);
        return;
    }
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        ipc_error_set(error,
            "broker %s: the certificate of %s %s; nothing was sent; check this machine's clock, "
            "then ask the broker to renew it",
            context->broker, context->host,
            verdict == X509_V_ERR_CERT_HAS_EXPIRED ? "has expired" : "is not valid yet");
        return;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        ipc_error_set(error,
            "broker %s: the certificate is for another name than %s; nothing was sent; check the "
            "broker's host and authority",
            context->broker, context->host);
        return;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        ipc_error_set(error,
            "broker %s: the certificate of %s is not signed by a CA that is trusted here (%s); "
            "nothing was sent; check the broker's ca_file",
            context->broker, context->host, X509_verify_cert_error_string(verdict));
        return;
    default:
        ipc_error_set(error,
            "broker %s: the certificate of %s is refused (%s); nothing was sent; ask the broker",
            context->broker, context->host, X509_verify_cert_error_string(verdict));
        return;
    }
}

enum eng_tls_step eng_tls_handshake(
    struct eng_tls *tls, const uint8_t **bytes, size_t *count, struct ipc_error *error)
{
    const struct eng_tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(tls->ssl));
    tls->in = *bytes;
    tls->in_count = *count;
    ERR_clear_error();
    const int rc = SSL_do_handshake(tls->ssl);
    *bytes = tls->in;
    *count = tls->in_count;
    if (rc != 1) {
        const int why = SSL_get_error(tls->ssl, rc);
        if (why == SSL_ERROR_WANT_READ)
            return ENG_TLS_WANTS_MORE;
        explain(tls, context, error);
        ERR_clear_error();
        tls->failed = true;
        return ENG_TLS_FAILED;
    }
    const unsigned char *chosen;
    unsigned int chosen_bytes;
    SSL_get0_alpn_selected(tls->ssl, &chosen, &chosen_bytes);
    /* Belt and braces: SSL_VERIFY_PEER has refused already what these would catch. */
    LS_CHECK(SSL_get_verify_result(tls->ssl) == X509_V_OK);
    LS_CHECK(SSL_get_early_data_status(tls->ssl) != SSL_EARLY_DATA_ACCEPTED);
    tls->is_h2 = chosen_bytes == 2 && memcmp(chosen, "h2", 2) == 0;
    if (!tls->is_h2 && context->alpn == 1) {
        ipc_error_set(error,
            "broker %s: %s does not offer HTTP/2 (ALPN h2); nothing was sent; check host and port, "
            "or let the broker's alpn be any",
            context->broker, context->host);
        tls->failed = true;
        return ENG_TLS_FAILED;
    }
    return ENG_TLS_DONE;
}

int64_t eng_tls_seal(struct eng_tls *tls, const uint8_t *plain, size_t count, uint32_t record_bytes,
    uint64_t plain_sealed)
{
    LS_CHECK(record_bytes >= 1 && record_bytes <= ENG_TLS_RECORD_BYTES);
    if (LS_UNLIKELY(tls->failed))
        return -1;
    if (tls->out_head != 0) {
        memmove(tls->out, tls->out + tls->out_head, tls->out_tail - tls->out_head);
        tls->out_base += tls->out_head;
        tls->out_tail -= tls->out_head;
        tls->out_head = 0;
    }
    size_t done = 0;
    while (done < count && tls->record_count < ENG_TLS_RECORDS_MAX) {
        const size_t take = count - done < record_bytes ? count - done : record_bytes;
        if (tls->out_tail + take + ENG_TLS_RECORD_EXTRA_BYTES + ENG_TLS_CONTROL_RESERVE >
            tls->out_capacity)
            break;
        struct eng_tls_record *record =
            &tls->records[(tls->record_first + tls->record_count) % ENG_TLS_RECORDS_MAX];
        record->cipher_start = tls->out_base + tls->out_tail;
        record->plain_end = plain_sealed + done + take;
        size_t written = 0;
        if (LS_UNLIKELY(
                SSL_write_ex(tls->ssl, plain + done, take, &written) != 1 || written != take)) {
            ERR_clear_error();
            tls->failed = true;
            return -1;
        }
        tls->record_count++;
        done += take;
    }
    return (int64_t)done;
}

void eng_tls_hand_over(struct eng_tls *tls)
{
    tls->keep_sessions = false;
}

void eng_tls_feed(struct eng_tls *tls, const uint8_t *bytes, size_t count)
{
    tls->in = bytes;
    tls->in_count = count;
}

int64_t eng_tls_open(struct eng_tls *tls, uint8_t *out, size_t out_bytes)
{
    if (LS_UNLIKELY(tls->failed))
        return -1;
    size_t got = 0;
    /* A record without application data (a ticket, a key update) makes SSL_read stop with
     * WANT_READ although more lies in the span: go on while bytes are consumed. */
    for (;;) {
        const size_t before = tls->in_count;
        if (LS_LIKELY(SSL_read_ex(tls->ssl, out, out_bytes, &got) == 1))
            return (int64_t)got;
        const int why = SSL_get_error(tls->ssl, 0);
        if (why != SSL_ERROR_WANT_READ) {
            ERR_clear_error();
            tls->closed = why == SSL_ERROR_ZERO_RETURN;
            tls->failed = true;
            return -1;
        }
        if (tls->in_count == 0 || tls->in_count == before)
            return 0;
    }
}

const uint8_t *eng_tls_pending(const struct eng_tls *tls, size_t *count)
{
    *count = tls->out_tail - tls->out_head;
    return tls->out + tls->out_head;
}

/* Records whose first byte lies before `cipher` may have reached the kernel. */
static void note_handed(struct eng_tls *tls, uint64_t cipher)
{
    while (tls->record_count != 0 && tls->records[tls->record_first].cipher_start < cipher) {
        tls->plain_handed = tls->records[tls->record_first].plain_end;
        tls->record_first = (tls->record_first + 1) % ENG_TLS_RECORDS_MAX;
        tls->record_count--;
    }
}

void eng_tls_handed(struct eng_tls *tls, size_t bytes)
{
    LS_CHECK(bytes <= tls->out_tail - tls->out_head);
    tls->out_head += (uint32_t)bytes;
    note_handed(tls, tls->out_base + tls->out_head);
    if (tls->out_head == tls->out_tail) {
        tls->out_base += tls->out_head;
        tls->out_head = tls->out_tail = 0;
    }
}

void eng_tls_attempted(struct eng_tls *tls, size_t bytes)
{
    LS_CHECK(bytes <= tls->out_tail - tls->out_head);
    note_handed(tls, tls->out_base + tls->out_head + bytes);
}

void eng_tls_end(struct eng_tls *tls)
{
    SSL_free(tls->ssl); /* frees the BIO too */
    tls->ssl = NULL;
    tls->failed = true;
}
