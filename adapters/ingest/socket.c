/* socket.c: the loop, deadlines, and the way to a connection. */
#include "adapters/ingest/socket.h"

#include "adapters/ingest/socket_private.h"
#include "ipc/clock.h"
#include "ipc/log.h"
#include "ipc/secret.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_MS   10000u
#define MESSAGE_MOST 65536u
#define SEND_MOST    65536u

/* A connection that was told to close and does not is cut after this. */
#define LINGER_S     2

const char *adp_socket_end_name(enum adp_socket_end_kind kind)
{
    switch (kind) {
#define X(name, value, text)                                                                       \
    case name:                                                                                     \
        return text;
        ADP_SOCKET_END_LIST(X)
#undef X
    }
    return "unknown";
}

/* The library's own complaints are of use to developers only; what matters comes as `ended`. */
static void keep_log(int level, const char *line)
{
    (void)level;
    ipc_log(IPC_LOG_DEBUG, "libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

/* The alarm bounds the sleep. lws_service runs what is ripe before it sleeps, and then sleeps until
 * the next thing it knows: an alarm that was ripe already must leave one behind. */
static void on_alarm(lws_sorted_usec_list_t *alarm)
{
    struct adp_sockets *sockets =
        (struct adp_sockets *)(void *)((char *)alarm - offsetof(struct adp_sockets, alarm));
    lws_sul_schedule(sockets->context, 0, alarm, on_alarm, 1000);
}

static void take_resolved(void *context);

enum ipc_rc adp_sockets_open(struct adp_sockets **sockets, struct ipc_error *error)
{
    /* lws_create_vhost reads these, and there is no option that forbids it. */
    static const char *const proxies[] = {"http_proxy", "https_proxy", "all_proxy", "socks_proxy"};
    /* The library's own pings, which would end a connection by its default after five minutes, are
     * pushed out of the way: the loop has its own. */
    static const lws_retry_bo_t no_pings = {
        .secs_since_valid_ping = 50000, .secs_since_valid_hangup = 60000};
    struct adp_sockets *made = calloc(1, sizeof(*made));
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
        .gid = -1,
        .uid = -1,
        .retry_and_idle_policy = &no_pings,
    };
    LS_CHECK(made != NULL);
    *sockets = NULL;
    for (size_t i = 0; i < LS_COUNT_OF(proxies); i++)
        (void)unsetenv(proxies[i]);
    lws_set_log_level(LLL_ERR | LLL_WARN, keep_log);
    made->context = lws_create_context(&info);
    if (made->context == NULL) {
        ipc_error_set(error, "libwebsockets cannot start");
        adp_sockets_close(made);
        return IPC_SYSTEM;
    }
    info.vhost_name = "watches";
    info.protocols = socket_protocols;
    made->watch_vhost = lws_create_vhost(made->context, &info);
    if (made->watch_vhost == NULL) {
        ipc_error_set(error, "libwebsockets cannot make a vhost");
        adp_sockets_close(made);
        return IPC_SYSTEM;
    }
    enum ipc_rc rc = adp_resolver_open(&made->resolver, error);
    if (rc == IPC_OK)
        rc = adp_sockets_watch(made, adp_resolver_fd(made->resolver), take_resolved, made, error);
    if (rc != IPC_OK) {
        adp_sockets_close(made);
        return rc;
    }
    *sockets = made;
    return IPC_OK;
}

static void clear_texts(struct adp_socket *socket)
{
    while (socket->first_text != NULL) {
        struct socket_text *text = socket->first_text;
        socket->first_text = text->next;
        ipc_secret_wipe(text->memory, LWS_PRE + text->bytes);
        free(text);
    }
    socket->last_text = &socket->first_text;
    socket->text_bytes = 0;
}

static void release(struct adp_socket *socket)
{
    clear_texts(socket);
    free(socket->message);
    free(socket);
}

void adp_sockets_close(struct adp_sockets *sockets)
{
    if (sockets == NULL)
        return;
    sockets->is_closing = true;
    adp_resolver_close(sockets->resolver);
    for (struct adp_socket *socket = sockets->first; socket != NULL; socket = socket->next)
        socket->wsi = NULL; /* nobody is told of what follows */
    if (sockets->context != NULL)
        lws_context_destroy(sockets->context);
    while (sockets->first != NULL) {
        struct adp_socket *socket = sockets->first;
        sockets->first = socket->next;
        release(socket);
    }
    for (uint32_t i = 0; i < SOCKET_VHOSTS; i++)
        SSL_CTX_free(sockets->vhosts[i].tls);
    free(sockets);
}

enum ipc_rc adp_sockets_watch(struct adp_sockets *sockets, int fd, void (*ready)(void *context),
    void *context, struct ipc_error *error)
{
    for (uint32_t i = 0; i < SOCKET_WATCHES; i++) {
        struct socket_watch *watch = &sockets->watches[i];
        if (watch->ready != NULL)
            continue;
        const lws_sock_file_fd_type copy = {.filefd = dup(fd)};
        if (copy.filefd < 0) {
            ipc_error_set(error, "descriptor %d cannot be duplicated: %s", fd, strerror(errno));
            return IPC_SYSTEM;
        }
        struct lws *wsi = lws_adopt_descriptor_vhost(
            sockets->watch_vhost, LWS_ADOPT_RAW_FILE_DESC, copy, SOCKET_WATCH_PROTOCOL, NULL);
        if (wsi == NULL) {
            ipc_error_set(error, "libwebsockets does not take descriptor %d", fd);
            return IPC_SYSTEM;
        }
        *watch = (struct socket_watch){.fd = copy.filefd, .ready = ready, .context = context};
        lws_set_opaque_user_data(wsi, watch);
        return IPC_OK;
    }
    ipc_error_set(error, "more than %u descriptors are watched", SOCKET_WATCHES);
    return IPC_SYSTEM;
}

/* Sockets. */

struct adp_socket *adp_socket_new(
    struct adp_sockets *sockets, const struct adp_socket_calls *calls, void *context)
{
    struct adp_socket *socket = calloc(1, sizeof(*socket));
    LS_CHECK(socket != NULL && calls != NULL);
    socket->sockets = sockets;
    socket->calls = calls;
    socket->context = context;
    socket->last_text = &socket->first_text;
    socket->next = sockets->first;
    sockets->first = socket;
    return socket;
}

/* Takes the connection from its socket; libwebsockets closes it in its own time, and cuts it when
 * the peer lets it wait. */
static void detach(struct adp_socket *socket)
{
    struct lws *wsi = socket->wsi;
    if (wsi == NULL)
        return;
    socket->wsi = NULL;
    lws_set_wsi_user(wsi, NULL);
    if (socket->state == SOCKET_OPEN) {
        (void)lws_callback_on_writable(wsi); /* sends the close frame */
        lws_set_timeout(wsi, PENDING_TIMEOUT_CLOSE_SEND, LINGER_S);
    } else {
        lws_set_timeout(wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
    }
}

void socket_finish(struct adp_socket *socket, enum adp_socket_end_kind kind, const char *text)
{
    const bool is_dying = kind == ADP_SOCKET_END_PEER || kind == ADP_SOCKET_END_REFUSED ||
                          kind == ADP_SOCKET_END_UNREACHED;
    if (socket->state == SOCKET_IDLE || socket->state == SOCKET_ENDING)
        return;
    if (is_dying && socket->wsi != NULL) { /* libwebsockets is closing it already */
        lws_set_wsi_user(socket->wsi, NULL);
        socket->wsi = NULL;
    }
    detach(socket);
    socket->end.was_open = socket->state == SOCKET_OPEN;
    socket->end.kind =
        kind == ADP_SOCKET_END_PEER && !socket->end.was_open ? ADP_SOCKET_END_UNREACHED : kind;
    if (text != NULL)
        (void)snprintf(socket->end.text, sizeof(socket->end.text), "%s", text);
    socket->state = SOCKET_ENDING;
    socket->ticket = 0;
    socket->has_message = false;
    socket->wants_ping = false;
    clear_texts(socket);
    socket->sockets->has_work = true;
}

void adp_socket_free(struct adp_socket *socket)
{
    if (socket == NULL)
        return;
    detach(socket);
    clear_texts(socket);
    socket->state = SOCKET_IDLE;
    socket->is_gone = true;
    socket->sockets->has_work = true;
}

void adp_socket_close(struct adp_socket *socket)
{
    socket_finish(socket, ADP_SOCKET_END_OURS, "");
}

bool adp_socket_is_idle(const struct adp_socket *socket)
{
    return socket->state == SOCKET_IDLE;
}

bool adp_socket_is_open(const struct adp_socket *socket)
{
    return socket->state == SOCKET_OPEN;
}

int64_t adp_socket_heard_mono_ns(const struct adp_socket *socket)
{
    return socket->heard_ns;
}

enum ipc_rc adp_socket_send(struct adp_socket *socket, const char *text, size_t bytes)
{
    if (socket->state != SOCKET_OPEN)
        return IPC_EMPTY;
    if (bytes > socket->rules.send_bytes_max - socket->text_bytes) {
        socket_finish(socket, ADP_SOCKET_END_CHOKED, "");
        return IPC_FULL;
    }
    struct socket_text *queued = malloc(sizeof(*queued) + LWS_PRE + bytes);
    LS_CHECK(queued != NULL);
    queued->next = NULL;
    queued->bytes = bytes;
    memcpy(queued->memory + LWS_PRE, text, bytes);
    *socket->last_text = queued;
    socket->last_text = &queued->next;
    socket->text_bytes += bytes;
    (void)lws_callback_on_writable(socket->wsi);
    return IPC_OK;
}

/* TLS: one vhost and one context per file of anchors. */

static SSL_CTX *make_tls(const char *ca_file, struct ipc_error *error)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    LS_CHECK(tls != NULL);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    const bool is_good =
        SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) == 1 &&
        (ca_file[0] != '\0' ? SSL_CTX_load_verify_locations(tls, ca_file, NULL) == 1
                            : SSL_CTX_set_default_verify_paths(tls) == 1);
    if (is_good)
        return tls;
    ipc_error_set(error, "the trust anchors %s cannot be loaded: is it a PEM file of certificates?",
        ca_file[0] != '\0' ? ca_file : "of the system");
    SSL_CTX_free(tls);
    return NULL;
}

static struct lws_vhost *vhost_of(
    struct adp_sockets *sockets, const char *ca_file, struct ipc_error *error)
{
    struct socket_vhost *entry = NULL;
    for (uint32_t i = 0; i < SOCKET_VHOSTS && entry == NULL; i++)
        if (sockets->vhosts[i].vhost == NULL || strcmp(sockets->vhosts[i].ca_file, ca_file) == 0)
            entry = &sockets->vhosts[i];
    if (entry == NULL) {
        ipc_error_set(error, "more than %u files of trust anchors", SOCKET_VHOSTS);
        return NULL;
    }
    if (entry->vhost != NULL)
        return entry->vhost;
    SSL_CTX *tls = make_tls(ca_file, error);
    if (tls == NULL)
        return NULL;
    const struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = socket_protocols,
        .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
        .provided_client_ssl_ctx = tls,
        .vhost_name = ca_file[0] != '\0' ? ca_file : "system",
    };
    entry->vhost = lws_create_vhost(sockets->context, &info);
    if (entry->vhost == NULL) {
        SSL_CTX_free(tls);
        ipc_error_set(error, "libwebsockets cannot make a vhost for %s", info.vhost_name);
        return NULL;
    }
    entry->tls = tls;
    (void)snprintf(entry->ca_file, sizeof(entry->ca_file), "%s", ca_file);
    return entry->vhost;
}

/* Connecting. */

enum ipc_rc adp_socket_connect(struct adp_socket *socket, const struct adp_socket_target *target,
    const struct adp_socket_rules *rules, struct ipc_error *error)
{
    LS_CHECK(socket->state == SOCKET_IDLE && !socket->is_gone);
    if (target->host[0] == '\0' || target->port == 0 || target->path[0] != '/') {
        ipc_error_set(error, "a WebSocket needs host, port and a path that begins with '/'");
        return IPC_BAD_INPUT;
    }
    if (vhost_of(socket->sockets, target->ca_file, error) == NULL)
        return IPC_BAD_INPUT;
    socket->target = *target;
    socket->rules = *rules;
    if (rules->connect_ms == 0)
        socket->rules.connect_ms = CONNECT_MS;
    if (rules->message_bytes_max == 0)
        socket->rules.message_bytes_max = MESSAGE_MOST;
    if (rules->send_bytes_max == 0)
        socket->rules.send_bytes_max = SEND_MOST;
    memset(&socket->end, 0, sizeof(socket->end));
    socket->connect_until_ns =
        ipc_clock_mono_ns() + (int64_t)socket->rules.connect_ms * LS_NS_PER_MS;
    socket->state = SOCKET_RESOLVING;
    socket->sockets->has_work = true;
    /* An address asks nobody; the look begins its connection. */
    socket->ticket = adp_address_is_number(target->host)
                         ? 0
                         : adp_resolver_ask(socket->sockets->resolver, target->host,
                               target->source_family, socket->turn);
    return IPC_OK;
}

static void begin(struct adp_socket *socket, const char *address)
{
    const struct adp_socket_target *target = &socket->target;
    struct ipc_error error = {.text = ""};
    char source[INET6_ADDRSTRLEN] = "", authority[160];
    const char *name = target->authority[0] != '\0' ? target->authority : target->host;
    if (target->source_family != 0)
        (void)inet_ntop(target->source_family == 6 ? AF_INET6 : AF_INET, target->source_address,
            source, sizeof(source));
    (void)snprintf(authority, sizeof(authority), "%s", name);
    const struct lws_client_connect_info info = {
        .context = socket->sockets->context,
        .address = address,
        .port = target->port,
        .ssl_connection = LCCSCF_USE_SSL | LCCSCF_HTTP_NO_FOLLOW_REDIRECT,
        .path = target->path,
        .host = authority,
        .ietf_version_or_minus_one = -1,
        .userdata = socket,
        .vhost = vhost_of(socket->sockets, target->ca_file, &error),
        .pwsi = &socket->wsi,
        .iface = source[0] != '\0' ? source : NULL,
        .local_protocol_name = SOCKET_PROTOCOL,
        .alpn = "http/1.1",
    };
    LS_CHECK(info.vhost != NULL); /* adp_socket_connect has made it */
    socket->state = SOCKET_CONNECTING;
    if (lws_client_connect_via_info(&info) == NULL && socket->state == SOCKET_CONNECTING) {
        socket->wsi = NULL;
        socket->turn++;
        socket_finish(socket, ADP_SOCKET_END_UNREACHED, "the connection cannot begin");
    }
}

static void take_resolved(void *context)
{
    struct adp_sockets *sockets = context;
    struct adp_resolved answer;
    while (adp_resolver_take(sockets->resolver, &answer)) {
        for (struct adp_socket *socket = sockets->first; socket != NULL; socket = socket->next) {
            if (socket->state != SOCKET_RESOLVING || socket->ticket != answer.ticket)
                continue;
            if (answer.address[0] != '\0')
                begin(socket, answer.address);
            else
                socket_finish(socket, ADP_SOCKET_END_UNREACHED, answer.why);
            break;
        }
    }
}

/* Deadlines. */

static int64_t after(int64_t from_ns, uint32_t ms)
{
    return ms == 0 ? INT64_MAX : from_ns + (int64_t)ms * LS_NS_PER_MS;
}

static void look_open(struct adp_socket *socket, int64_t now)
{
    const struct adp_socket_rules *rules = &socket->rules;
    if (now >= after(socket->heard_ns, rules->silence_ms)) {
        socket_finish(socket, ADP_SOCKET_END_SILENT, "");
        return;
    }
    if (now >= after(ls_max_i64(socket->heard_ns, socket->pinged_ns), rules->ping_ms)) {
        socket->pinged_ns = now;
        socket->wants_ping = true;
        (void)lws_callback_on_writable(socket->wsi);
    }
    if (rules->heartbeat_ms != 0 && now >= socket->beat_ns) {
        socket->beat_ns = now + (int64_t)rules->heartbeat_ms * LS_NS_PER_MS;
        if (socket->calls->beat != NULL)
            socket->calls->beat(socket, socket->context);
    }
}

/* Does what is due; returns when the socket's next deadline is. */
static int64_t look(struct adp_socket *socket, int64_t now)
{
    if (socket->state == SOCKET_RESOLVING && socket->ticket == 0) {
        if (adp_address_is_number(socket->target.host))
            begin(socket, socket->target.host);
        else /* the resolver's queue was full */
            socket_finish(socket, ADP_SOCKET_END_UNREACHED, "too many names wait");
    }
    if ((socket->state == SOCKET_RESOLVING || socket->state == SOCKET_CONNECTING) &&
        now >= socket->connect_until_ns) {
        socket->turn++;
        socket_finish(socket, ADP_SOCKET_END_TIMEOUT, "");
    }
    if (socket->state == SOCKET_OPEN)
        look_open(socket, now);
    if (socket->state == SOCKET_ENDING) {
        const struct adp_socket_end end = socket->end;
        socket->state = SOCKET_IDLE;
        if (socket->calls->ended != NULL)
            socket->calls->ended(socket, &end, socket->context);
    }
    const struct adp_socket_rules *rules = &socket->rules;
    if (socket->state == SOCKET_OPEN)
        return ls_min_i64(
            ls_min_i64(after(socket->heard_ns, rules->silence_ms),
                after(ls_max_i64(socket->heard_ns, socket->pinged_ns), rules->ping_ms)),
            rules->heartbeat_ms == 0 ? INT64_MAX : socket->beat_ns);
    return socket->state == SOCKET_IDLE ? INT64_MAX : socket->connect_until_ns;
}

/* Looks at every socket, and frees those that are gone. */
static void look_at_all(struct adp_sockets *sockets)
{
    const int64_t now = ipc_clock_mono_ns();
    if (!sockets->has_work && now < sockets->alarm_ns)
        return;
    sockets->has_work = false;
    sockets->alarm_ns = INT64_MAX;
    for (struct adp_socket *socket = sockets->first; socket != NULL; socket = socket->next)
        if (!socket->is_gone)
            sockets->alarm_ns = ls_min_i64(sockets->alarm_ns, look(socket, now));
    for (struct adp_socket **at = &sockets->first; *at != NULL;) {
        struct adp_socket *socket = *at;
        if (!socket->is_gone) {
            at = &socket->next;
            continue;
        }
        *at = socket->next;
        release(socket);
    }
}

void adp_sockets_wait(struct adp_sockets *sockets, int64_t wait_ns)
{
    look_at_all(sockets);
    const int64_t now = ipc_clock_mono_ns();
    const int64_t until = ls_min_i64(ls_max_i64(wait_ns, 0), sockets->alarm_ns - now);
    const bool is_look = sockets->has_work || until <= 0;
    sockets->pass_ns = 0;
    if (!is_look)
        lws_sul_schedule(sockets->context, 0, &sockets->alarm, on_alarm, until / LS_NS_PER_US + 1);
    (void)lws_service(sockets->context, is_look ? -1 : 0);
    lws_sul_schedule(sockets->context, 0, &sockets->alarm, on_alarm, LWS_SET_TIMER_USEC_CANCEL);
    look_at_all(sockets);
}
