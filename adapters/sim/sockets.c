#include "adapters/sim/sockets.h"

#include "adapters/sim/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <libwebsockets.h>

#define MESSAGE_BYTES_MAX 65536u

struct adp_sim_sockets {
    struct adp_sim_push *push;
    char address[64], certificate[512], key[512];
    uint16_t port, plain_port;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows; `context` may be woken only while it is held */
    pthread_cond_t changed;
    bool stop;
    struct lws_context *context; /* NULL while the server is gone */
};

/* What lws keeps for us per connection. */
struct session {
    struct adp_sim_push_conn *conn;
    struct adp_sim_text in; /* a message that came in parts */
};

/* ---- one connection, socket thread
 * -------------------------------------------------------------------------------
 */

static bool channel_of(struct lws *wsi, enum adp_sim_channel *channel)
{
    char path[128] = "";
    if (lws_hdr_copy(wsi, path, sizeof(path), WSI_TOKEN_GET_URI) <= 0)
        return false;
    *channel = strcmp(path, ADP_SIM_ORDER_SOCKET_PATH) == 0 ? ADP_SIM_CHANNEL_ORDER
                                                            : ADP_SIM_CHANNEL_MARKET;
    return *channel == ADP_SIM_CHANNEL_ORDER || strcmp(path, ADP_SIM_MARKET_SOCKET_PATH) == 0 ||
           strcmp(path, ADP_SIM_MARKET_SOCKET_PATH "/") == 0;
}

static void arm(struct adp_sim_push *push, struct lws *wsi, const struct adp_sim_push_conn *conn)
{
    int64_t left_ns = adp_sim_push_due(push, conn) - adp_sim_mono_ns();
    int64_t left_us = ls_max_i64(left_ns, 0) / LS_NS_PER_US + 1;
    lws_set_timer_usecs(wsi, ls_min_i64(left_us, 3600 * INT64_C(1000000)));
}

/* lws sends whole frames only, so these bytes go past it, straight into the TLS session. */
static bool write_past(struct lws *wsi, const void *bytes, size_t count)
{
    SSL *ssl = lws_get_ssl(wsi);
    if (ssl != NULL)
        return SSL_write(ssl, bytes, (int)count) > 0;
    return send(lws_get_socket_fd(wsi), bytes, count, MSG_NOSIGNAL) == (ssize_t)count;
}

/* The frame's header promises all of it; half of it follows. */
static void send_half(struct lws *wsi, const struct adp_sim_text *text)
{
    unsigned char header[10] = {0x81};
    size_t header_bytes = 2;
    if (text->length < 126) {
        header[1] = (unsigned char)text->length;
    } else {
        header[1] = 126;
        header[2] = (unsigned char)(text->length >> 8);
        header[3] = (unsigned char)text->length;
        header_bytes = 4;
    }
    (void)(write_past(wsi, header, header_bytes) && write_past(wsi, text->bytes, text->length / 2));
}

static int send_whole(struct lws *wsi, const struct adp_sim_text *text)
{
    unsigned char *room = malloc(LWS_PRE + text->length);
    LS_CHECK(room != NULL);
    memcpy(room + LWS_PRE, text->bytes, text->length);
    int sent = lws_write(wsi, room + LWS_PRE, text->length, LWS_WRITE_TEXT);
    free(room);
    return sent < (int)text->length ? -1 : 0;
}

/* Dissolving the TCP association sends RST at once; lws finds the connection dead and cleans up. */
static void reset(struct lws *wsi)
{
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    (void)connect(lws_get_socket_fd(wsi), &nobody, sizeof(nobody));
}

/* Does what is due, one frame a call. Returns -1 to end the connection. */
static int on_writable(struct adp_sim_push *push, struct lws *wsi, struct session *session)
{
    struct adp_sim_text text = {0};
    int status = 0;
    switch (adp_sim_push_take(push, session->conn, adp_sim_mono_ns(), &text)) {
    case ADP_SIM_PUSH_WAIT:
        arm(push, wsi, session->conn);
        break;
    case ADP_SIM_PUSH_SEND:
        status = send_whole(wsi, &text);
        lws_callback_on_writable(wsi);
        break;
    case ADP_SIM_PUSH_SEND_HALF:
        send_half(wsi, &text);
        status = -1;
        break;
    case ADP_SIM_PUSH_END:
        lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
        status = -1;
        break;
    case ADP_SIM_PUSH_RESET:
        reset(wsi);
        lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
        break;
    }
    adp_sim_text_free(&text);
    return status;
}

static int on_receive(struct adp_sim_push *push, struct lws *wsi, struct session *session,
    const char *bytes, size_t count)
{
    if (session->in.length + count > MESSAGE_BYTES_MAX)
        return -1;
    adp_sim_text_add(&session->in, bytes, count);
    if (lws_remaining_packet_payload(wsi) > 0 || !lws_is_final_fragment(wsi))
        return 0;
    adp_sim_push_receive(
        push, session->conn, session->in.bytes, session->in.length, adp_sim_mono_ns());
    session->in.length = 0;
    lws_callback_on_writable(wsi);
    return 0;
}

/* Connections that the main thread gave something to do. */
static void on_wake(struct adp_sim_push *push)
{
    void *transport;
    while ((transport = adp_sim_push_work(push)) != NULL)
        lws_callback_on_writable(transport);
}

static int callback(
    struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t count)
{
    struct adp_sim_sockets *sockets = lws_context_user(lws_get_context(wsi));
    struct session *session = user;
    enum adp_sim_channel channel;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum" /* lws has a hundred reasons */
    switch (reason) {
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        return !channel_of(wsi, &channel) || adp_sim_push_refuses(sockets->push) ? -1 : 0;
    case LWS_CALLBACK_ESTABLISHED:
        if (!channel_of(wsi, &channel))
            return -1;
        session->conn = adp_sim_push_open(sockets->push, channel, wsi, adp_sim_mono_ns());
        arm(sockets->push, wsi, session->conn);
        return 0;
    case LWS_CALLBACK_RECEIVE:
        return on_receive(sockets->push, wsi, session, in, count);
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return session->conn == NULL ? 0 : on_writable(sockets->push, wsi, session);
    case LWS_CALLBACK_TIMER:
        lws_callback_on_writable(wsi);
        return 0;
    case LWS_CALLBACK_CLOSED:
        if (session->conn != NULL)
            adp_sim_push_close(sockets->push, session->conn);
        session->conn = NULL;
        adp_sim_text_free(&session->in);
        return 0;
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
        on_wake(sockets->push);
        return 0;
    default:
        return 0;
    }
#pragma GCC diagnostic pop
}

/* ---- the thread
 * --------------------------------------------------------------------------------------------------
 */

static void keep_complaint(int level, const char *line)
{
    if (level == LLL_ERR)
        adp_sim_log(ADP_SIM_WARN, "feed: %.*s", (int)strcspn(line, "\n"), line);
}

/* Two virtual hosts, told apart by their ports: the one that clients reach, with TLS, and the one
 * behind the broker port's relay. Ports are kept once they are known. */
static struct lws_context *make_context(struct adp_sim_sockets *sockets)
{
    static const struct lws_protocols protocols[] = {
        {"default", callback, sizeof(struct session), 4096, 0, NULL, 0},
        {NULL, NULL, 0, 0, 0, NULL, 0},
    };
    struct lws_context_creation_info info = {.port = sockets->port,
        .iface = sockets->address,
        .protocols = protocols,
        .vhost_name = "tls",
        .gid = -1,
        .uid = -1,
        .ssl_cert_filepath = sockets->certificate,
        .ssl_private_key_filepath = sockets->key,
        .alpn = "http/1.1",
        .user = sockets,
        .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_EXPLICIT_VHOSTS};
    struct lws_context *context = lws_create_context(&info);
    if (context == NULL)
        return NULL;
    struct lws_vhost *tls = lws_create_vhost(context, &info);
    info.port = sockets->plain_port;
    info.iface = "127.0.0.1";
    info.vhost_name = "plain";
    info.ssl_cert_filepath = info.ssl_private_key_filepath = NULL;
    info.alpn = NULL;
    struct lws_vhost *plain = tls == NULL ? NULL : lws_create_vhost(context, &info);
    if (plain == NULL) {
        lws_context_destroy(context);
        return NULL;
    }
    sockets->port = (uint16_t)lws_get_vhost_listen_port(tls);
    sockets->plain_port = (uint16_t)lws_get_vhost_listen_port(plain);
    return context;
}

static void wake(void *context)
{
    struct adp_sim_sockets *sockets = context;
    pthread_mutex_lock(&sockets->lock);
    if (sockets->context != NULL)
        lws_cancel_service(sockets->context);
    pthread_mutex_unlock(&sockets->lock);
}

/* Sleeps, locked, until the time is over or the thread is to stop. */
static void stay_away(struct adp_sim_sockets *sockets, int64_t for_ns)
{
    int64_t until_ns = adp_sim_mono_ns() + for_ns;
    struct timespec until = {.tv_sec = until_ns / LS_NS_PER_S, .tv_nsec = until_ns % LS_NS_PER_S};
    while (!sockets->stop && adp_sim_mono_ns() < until_ns)
        pthread_cond_timedwait(&sockets->changed, &sockets->lock, &until);
}

static void end_context(struct adp_sim_sockets *sockets)
{
    struct lws_context *context = sockets->context;
    sockets->context = NULL;
    pthread_mutex_unlock(&sockets->lock);
    lws_context_destroy(context); /* closes every connection through the callback */
    pthread_mutex_lock(&sockets->lock);
}

static void *serve(void *argument)
{
    struct adp_sim_sockets *sockets = argument;
    pthread_mutex_lock(&sockets->lock);
    while (!sockets->stop) {
        struct lws_context *context = sockets->context;
        if (context == NULL) {
            /* The port can be taken for a moment; the broker's own server would try again too. */
            sockets->context = make_context(sockets);
            if (sockets->context == NULL)
                stay_away(sockets, 100 * LS_NS_PER_MS);
            continue;
        }
        pthread_mutex_unlock(&sockets->lock);
        int status = lws_service(context, 0);
        int64_t away_ns = adp_sim_push_restart_ns(sockets->push);
        pthread_mutex_lock(&sockets->lock);
        if (status < 0 || away_ns > 0) {
            end_context(sockets);
            stay_away(sockets, away_ns);
        }
    }
    if (sockets->context != NULL)
        end_context(sockets);
    pthread_mutex_unlock(&sockets->lock);
    return NULL;
}

struct adp_sim_sockets *adp_sim_sockets_start(struct adp_sim_push *push, const char *address,
    uint16_t *port, uint16_t *plain, const char *certificate, const char *key,
    struct adp_sim_error *error)
{
    struct adp_sim_sockets *sockets = calloc(1, sizeof(*sockets));
    pthread_condattr_t monotonic;
    sigset_t all, before;
    LS_CHECK(sockets != NULL);
    sockets->push = push;
    sockets->port = *port;
    snprintf(sockets->address, sizeof(sockets->address), "%s", address);
    snprintf(sockets->certificate, sizeof(sockets->certificate), "%s", certificate);
    snprintf(sockets->key, sizeof(sockets->key), "%s", key);
    pthread_mutex_init(&sockets->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&sockets->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    lws_set_log_level(LLL_ERR, keep_complaint);
    sockets->context = make_context(sockets);
    if (sockets->context == NULL) {
        snprintf(error->text, sizeof(error->text),
            "feed: cannot listen on %.64s port %u with %.200s; choose another feed.port (0 takes a "
            "free one)",
            address, (unsigned)*port, certificate);
        pthread_cond_destroy(&sockets->changed);
        pthread_mutex_destroy(&sockets->lock);
        free(sockets);
        return NULL;
    }
    *port = sockets->port;
    *plain = sockets->plain_port;
    adp_sim_push_on_wake(push, wake, sockets);
    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    LS_CHECK(pthread_create(&sockets->thread, NULL, serve, sockets) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return sockets;
}

void adp_sim_sockets_stop(struct adp_sim_sockets *sockets)
{
    if (sockets == NULL)
        return;
    adp_sim_push_on_wake(sockets->push, NULL, NULL);
    pthread_mutex_lock(&sockets->lock);
    sockets->stop = true;
    if (sockets->context != NULL)
        lws_cancel_service(sockets->context);
    pthread_cond_signal(&sockets->changed);
    pthread_mutex_unlock(&sockets->lock);
    pthread_join(sockets->thread, NULL);
    pthread_cond_destroy(&sockets->changed);
    pthread_mutex_destroy(&sockets->lock);
    free(sockets);
}
