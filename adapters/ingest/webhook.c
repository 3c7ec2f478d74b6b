#include "adapters/ingest/webhook.h"

#include "adapters/ingest/webhook_peers.h"
#include "adapters/json.h"
#include "ipc/clock.h"
#include "ipc/log.h"
#include "ipc/secret.h"

#include <errno.h>
#include <libwebsockets.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A refused body is read to its end, so that the answer arrives, but only up to this. */
#define DRAIN_BYTES_MOST (1u << 20)

/* One connection, and the request under way on it. */
struct visit {
    struct visit *next, **link; /* of all visits */
    struct lws *wsi;
    int64_t until_ns; /* it is cut then, whatever it is about */
    uint32_t account; /* that the path names; 0 = none */
    uint32_t status;  /* decided before the body: 0, or 4xx */
    size_t bytes, room;
    uint8_t *body;
};

struct adp_webhook {
    const struct adp_ingest_config *config;
    const struct adp_dialect *dialect;
    struct adp_live *live;
    struct adp_feed *feed;
    struct adp_publisher *publisher;
    struct ipc_hist *frame_to_ring;
    struct adp_hook_networks networks;
    struct adp_hook_paths paths;
    uint32_t *path_accounts; /* of each path, by the view in force; 0 = none */
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct visit *visits;
    lws_sorted_usec_list_t alarm;
    int64_t pass_ns;
    uint32_t odd_bodies;
    struct adp_webhook_counts counts;
};

static struct adp_webhook *webhook_of(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

/* Answers. */

/* One request a connection. libwebsockets 4.1 turns round for ever inside its service call over a
 * second request whose bytes came with the first, and serves nobody else; a broker's webhook has no
 * need of a lasting connection. Returns what closes it. */
static int answer(struct lws *wsi, struct adp_webhook *webhook, uint32_t status)
{
    static const char body[] = "{\"status\":\"Ok\"}";
    uint8_t memory[LWS_PRE + 512], *start = memory + LWS_PRE, *at = start,
                                   *end = memory + sizeof(memory) - 1;
    const size_t bytes = status == 200 ? sizeof(body) - 1 : 0;
    webhook->counts.requests++;
    webhook->counts.refused += status >= 400 && status < 500;
    webhook->counts.turned_back += status >= 500;
    if (lws_add_http_header_status(wsi, status, &at, end) != 0 ||
        (bytes > 0 && lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE,
                          (const uint8_t *)"application/json", 16, &at, end) != 0) ||
        (status == 405 && lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_ALLOW,
                              (const uint8_t *)"POST", 4, &at, end) != 0) ||
        lws_add_http_header_by_token(
            wsi, WSI_TOKEN_CONNECTION, (const uint8_t *)"close", 5, &at, end) != 0 ||
        lws_add_http_header_content_length(wsi, bytes, &at, end) != 0 ||
        lws_finalize_http_header(wsi, &at, end) != 0)
        return -1;
    if (bytes > 0 && at + bytes < end) { /* small enough to leave with its header */
        memcpy(at, body, bytes);
        at += bytes;
    }
    (void)lws_write(wsi, start, (size_t)(at - start), LWS_WRITE_HTTP_HEADERS);
    return -1;
}

/* One posted state. */

/* Instruments as the account's broker calls them. */
struct finder {
    const struct adp_live *live;
    uint32_t broker;
};

static uint32_t find_instrument(enum ipc_exchange exchange, struct adp_span token, void *context)
{
    const struct finder *finder = context;
    return adp_live_find_instrument_at(finder->live, finder->broker, exchange, token);
}

static void report_odd(struct adp_webhook *webhook, uint32_t account, const char *why)
{
    webhook->counts.not_understood++;
    if (webhook->odd_bodies++ % 64 == 0)
        ipc_log(IPC_LOG_ERROR,
            "account %u: a posted order is not understood (%s); %u such bodies so far", account,
            why, webhook->odd_bodies);
}

static uint32_t push(struct adp_webhook *webhook, uint32_t account, const struct ipc_event *order)
{
    struct ipc_error error = {.text = ""};
    unsigned news = 0;
    const int64_t now = ipc_clock_mono_ns();
    const struct adp_feed_times times = {
        .read_mono_ns = webhook->pass_ns,
        .read_wall_ns = ipc_clock_wall_ns() - (now - webhook->pass_ns),
    };
    const enum ipc_rc rc =
        adp_feed_push(webhook->feed, account, &times, ADP_PUSH_WITHOUT_BOOK, order, &news, &error);
    if ((news & ADP_PUSH_PUBLISHED) != 0) {
        if (webhook->frame_to_ring != NULL)
            ipc_hist_record(webhook->frame_to_ring, ipc_clock_mono_ns() - webhook->pass_ns);
        (void)adp_publisher_flush(webhook->publisher, now);
    }
    if (rc == IPC_FULL)
        return 503;
    if (rc == IPC_BAD_INPUT)
        report_odd(webhook, account, error.text);
    if (rc == IPC_STALE && webhook->counts.undated++ % 64 == 0)
        ipc_log(IPC_LOG_WARN,
            "account %u: a posted order has no time, so nobody can say how old it is; it is left "
            "to feed and book",
            account);
    webhook->counts.states += rc == IPC_OK;
    return rc == IPC_NOT_FOUND ? 404 : 200;
}

/* A body that is JSON but no order that this build knows is answered 200: it came from the broker,
 * which would only send it again. */
static uint32_t take_body(struct adp_webhook *webhook, const struct visit *visit)
{
    const struct adp_span body = {visit->body, visit->bytes};
    const struct ipc_row_account *row = adp_live_account(webhook->live, visit->account);
    struct ipc_event order;
    if (row == NULL)
        return 404;
    if (adp_json_check(body) != ADP_OK || adp_span_trim(body).bytes[0] != '{')
        return 400;
    if (webhook->dialect->push != NULL && !webhook->dialect->push->is_of(body, row->login)) {
        ipc_log(IPC_LOG_ERROR, "account %u (%s): its path got an order of another account",
            row->account, row->login);
        return 403;
    }
    struct finder finder = {webhook->live, row->broker};
    const enum adp_rc rc = webhook->dialect->decode_push(body, find_instrument, &finder, &order);
    if (rc == ADP_NOTHING)
        return 400;
    if (rc != ADP_OK) {
        report_odd(webhook, visit->account, "a word or number in it is not known to this build");
        return 200;
    }
    return push(webhook, visit->account, &order);
}

/* Requests. */

static void end_request(struct visit *visit)
{
    free(visit->body);
    visit->body = NULL;
    visit->bytes = visit->room = 0;
    visit->account = visit->status = 0;
}

static void forget(struct adp_webhook *webhook, struct visit *visit)
{
    if (visit == NULL)
        return;
    *visit->link = visit->next;
    if (visit->next != NULL)
        visit->next->link = visit->link;
    webhook->counts.connections--;
    free(visit->body);
    free(visit);
}

static int64_t deadline_of(const struct adp_webhook *webhook)
{
    return ipc_clock_mono_ns() + (int64_t)webhook->config->hook_idle_s * LS_NS_PER_S;
}

static void begin_visit(struct adp_webhook *webhook, struct lws *wsi)
{
    struct visit *visit = calloc(1, sizeof(*visit));
    LS_CHECK(visit != NULL);
    visit->wsi = wsi;
    visit->until_ns = deadline_of(webhook);
    visit->next = webhook->visits;
    visit->link = &webhook->visits;
    if (visit->next != NULL)
        visit->next->link = &visit->next;
    webhook->visits = visit;
    webhook->counts.connections++;
    lws_set_opaque_user_data(wsi, visit);
}

/* Bytes of the body by its header: -1 without one (a chunked body too), -2 when it is no number. */
static int64_t length_of(struct lws *wsi)
{
    char text[24];
    int64_t length = 0;
    const int count = lws_hdr_copy(wsi, text, sizeof(text), WSI_TOKEN_HTTP_CONTENT_LENGTH);
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) == 0)
        return -1;
    if (count <= 0 || count > 15)
        return -2;
    for (int i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -2;
        length = length * 10 + (text[i] - '0');
    }
    return length;
}

/* What head and path decide. */
static uint32_t judge(struct adp_webhook *webhook, struct lws *wsi, const char *path, size_t bytes,
    int64_t length, uint32_t *account)
{
    const int found = bytes > 0 && path[0] == '/'
                          ? adp_hook_paths_find(&webhook->paths, path + 1, bytes - 1)
                          : -1;
    *account = found >= 0 ? webhook->path_accounts[found] : 0;
    if (*account == 0)
        return 404;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) == 0)
        return 405;
    if (length == -1)
        return 411;
    if (length < 0)
        return 400;
    return length > webhook->config->hook_body_bytes_max ? 413 : 0;
}

static int begin(struct adp_webhook *webhook, struct lws *wsi, struct visit *visit,
    const char *path, size_t bytes)
{
    const int64_t length = length_of(wsi);
    uint32_t account = 0;
    if (visit == NULL || visit->room > 0)
        return -1;
    const uint32_t status = judge(webhook, wsi, path, bytes, length, &account);
    const bool has_body = length > 0;
    if (status != 0 && (!has_body || length > DRAIN_BYTES_MOST))
        return answer(wsi, webhook, status);
    if (!has_body)
        return answer(wsi, webhook, 400);
    visit->account = account;
    visit->status = status;
    visit->room = (size_t)length;
    if (status == 0) {
        visit->body = malloc(visit->room);
        LS_CHECK(visit->body != NULL);
    }
    return 0;
}

static int take_piece(struct visit *visit, const uint8_t *in, size_t bytes)
{
    if (visit == NULL || bytes > visit->room - visit->bytes)
        return -1;
    if (visit->body != NULL && bytes > 0)
        memcpy(visit->body + visit->bytes, in, bytes);
    visit->bytes += bytes;
    return 0;
}

static int end(struct adp_webhook *webhook, struct lws *wsi, struct visit *visit)
{
    if (visit == NULL)
        return -1;
    const uint32_t status = visit->status != 0            ? visit->status
                            : visit->bytes == visit->room ? take_body(webhook, visit)
                                                          : 400;
    end_request(visit);
    return answer(wsi, webhook, status);
}

/* Before a byte was read. */
static int admit(struct adp_webhook *webhook, int fd)
{
    struct sockaddr_storage peer;
    socklen_t bytes = sizeof(peer);
    if (getpeername(fd, (struct sockaddr *)&peer, &bytes) != 0 ||
        !adp_hook_networks_has(&webhook->networks, &peer)) {
        if (webhook->counts.strangers++ % 256 == 0)
            ipc_log(IPC_LOG_WARN, "a peer outside of hook_allow was closed, %llu so far",
                (unsigned long long)webhook->counts.strangers);
        return -1;
    }
    return webhook->counts.connections >= webhook->config->hook_connections_max ? -1 : 0;
}

static int on_http(
    struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t bytes)
{
    struct adp_webhook *webhook = webhook_of(wsi);
    struct visit *visit;
    (void)user;
    if (webhook == NULL)
        return 0;
    switch ((int)reason) {
    case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
        return admit(webhook, (int)(intptr_t)in);
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
        begin_visit(webhook, wsi);
        return 0;
    case LWS_CALLBACK_HTTP:
        return begin(webhook, wsi, lws_get_opaque_user_data(wsi), in, bytes);
    case LWS_CALLBACK_HTTP_BODY:
        return take_piece(lws_get_opaque_user_data(wsi), in, bytes);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        webhook->pass_ns = ipc_clock_mono_ns();
        return end(webhook, wsi, lws_get_opaque_user_data(wsi));
    case LWS_CALLBACK_WSI_DESTROY:
        visit = lws_get_opaque_user_data(wsi);
        lws_set_opaque_user_data(wsi, NULL);
        forget(webhook, visit);
        return 0;
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: /* no WebSocket here */
        return -1;
    default:
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "lockstep-webhook", .callback = on_http},
    {.name = NULL},
};

/* The server. */

static void on_alarm(lws_sorted_usec_list_t *alarm)
{
    struct adp_webhook *webhook =
        (struct adp_webhook *)(void *)((char *)alarm - offsetof(struct adp_webhook, alarm));
    /* lws_service runs what is ripe before it sleeps: something must be left to wake it. */
    lws_sul_schedule(webhook->context, 0, alarm, on_alarm, 1000);
}

static void keep_log(int level, const char *line)
{
    (void)level;
    ipc_log(IPC_LOG_DEBUG, "libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

static enum ipc_rc check_tls(const struct adp_ingest_config *config, struct ipc_error *error)
{
    if ((config->hook_certificate[0] == '\0') != (config->hook_private_key[0] == '\0')) {
        ipc_error_set(error, "hook_certificate and hook_private_key go together");
        return IPC_BAD_INPUT;
    }
    if (config->hook_certificate[0] == '\0')
        return IPC_OK;
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    LS_CHECK(tls != NULL);
    const bool is_good =
        SSL_CTX_use_certificate_chain_file(tls, config->hook_certificate) == 1 &&
        SSL_CTX_use_PrivateKey_file(tls, config->hook_private_key, SSL_FILETYPE_PEM) == 1 &&
        SSL_CTX_check_private_key(tls) == 1;
    SSL_CTX_free(tls);
    if (is_good)
        return IPC_OK;
    ipc_error_set(error, "hook_certificate %s and hook_private_key %s are no pair of PEM files",
        config->hook_certificate, config->hook_private_key);
    return IPC_BAD_INPUT;
}

static enum ipc_rc serve(struct adp_webhook *webhook, struct ipc_error *error)
{
    const struct adp_ingest_config *config = webhook->config;
    const bool is_tls = config->hook_certificate[0] != '\0';
    const struct lws_context_creation_info info = {
        .port = config->hook_port == 0 ? -1 : (int)config->hook_port,
        .iface = config->hook_address,
        .protocols = protocols,
        .user = webhook,
        .gid = -1,
        .uid = -1,
        .options = is_tls ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0,
        .ssl_cert_filepath = is_tls ? config->hook_certificate : NULL,
        .ssl_private_key_filepath = is_tls ? config->hook_private_key : NULL,
        .ssl_options_set = SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1,
        .alpn = "http/1.1",
        .timeout_secs = config->hook_idle_s,
        .keepalive_timeout = (int)config->hook_idle_s,
        .max_http_header_data = 4096,
        .max_http_header_pool = (unsigned short)config->hook_connections_max,
    };
    struct lws_context_creation_info made = info;
    if (config->hook_port == 0)
        made.port = 0;
    lws_set_log_level(LLL_ERR | LLL_WARN, keep_log);
    made.options |= LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    webhook->context = lws_create_context(&made);
    if (webhook->context != NULL)
        webhook->vhost = lws_create_vhost(webhook->context, &made);
    if (webhook->vhost != NULL && lws_get_vhost_listen_port(webhook->vhost) > 0)
        return IPC_OK;
    ipc_error_set(error,
        "the webhook cannot listen at %s port %u: is the address of this machine and the port "
        "free?",
        config->hook_address, config->hook_port);
    return IPC_SYSTEM;
}

enum ipc_rc adp_webhook_validate(
    const struct adp_ingest_config *config, uint32_t *paths, struct ipc_error *error)
{
    struct adp_hook_networks networks;
    struct adp_hook_paths read = {.count = 0};
    *paths = 0;
    enum ipc_rc rc = adp_hook_networks_parse(config->hook_allow, &networks, error);
    if (rc == IPC_OK)
        rc = adp_hook_paths_load(config->hook_paths, &read, error);
    if (rc != IPC_OK)
        return rc;
    *paths = read.count;
    adp_hook_paths_free(&read);
    return check_tls(config, error);
}

enum ipc_rc adp_webhook_open(const struct adp_ingest_config *config,
    const struct adp_dialect *dialect, struct adp_live *live, struct adp_feed *feed,
    struct adp_publisher *publisher, struct ipc_hist *frame_to_ring, struct adp_webhook **webhook,
    struct ipc_error *error)
{
    struct adp_webhook *made = calloc(1, sizeof(*made));
    LS_CHECK(made != NULL && dialect->decode_push != NULL);
    *webhook = NULL;
    made->config = config;
    made->dialect = dialect;
    made->live = live;
    made->feed = feed;
    made->publisher = publisher;
    made->frame_to_ring = frame_to_ring;
    enum ipc_rc rc = adp_hook_networks_parse(config->hook_allow, &made->networks, error);
    if (rc == IPC_OK)
        rc = adp_hook_paths_load(config->hook_paths, &made->paths, error);
    if (rc == IPC_OK)
        rc = check_tls(config, error);
    if (rc == IPC_OK)
        rc = serve(made, error);
    if (rc != IPC_OK) {
        adp_webhook_close(made);
        return rc;
    }
    made->path_accounts = calloc(made->paths.count, sizeof(*made->path_accounts));
    LS_CHECK(made->path_accounts != NULL);
    ipc_log(IPC_LOG_INFO, "webhook: %u paths at %s port %u, %s", made->paths.count,
        config->hook_address, adp_webhook_port(made),
        config->hook_certificate[0] != '\0' ? "TLS" : "plain HTTP: put a TLS proxy before it");
    *webhook = made;
    return IPC_OK;
}

void adp_webhook_close(struct adp_webhook *webhook)
{
    if (webhook == NULL)
        return;
    if (webhook->context != NULL)
        lws_context_destroy(webhook->context);
    while (webhook->visits != NULL)
        forget(webhook, webhook->visits);
    adp_hook_paths_free(&webhook->paths);
    free(webhook->path_accounts);
    free(webhook);
}

uint16_t adp_webhook_port(const struct adp_webhook *webhook)
{
    return (uint16_t)lws_get_vhost_listen_port(webhook->vhost);
}

void adp_webhook_generation(struct adp_webhook *webhook)
{
    for (uint32_t i = 0; i < webhook->paths.count; i++) {
        char name[sizeof(webhook->paths.paths[i].account)];
        memcpy(name, webhook->paths.paths[i].account, sizeof(name));
        char *at = strchr(name, '@');
        if (at != NULL)
            *at = '\0';
        webhook->path_accounts[i] = 0;
        if (adp_live_find_account(webhook->live, name, at != NULL ? at + 1 : "",
                &webhook->path_accounts[i]) != IPC_OK) {
            webhook->path_accounts[i] = 0;
            ipc_log(IPC_LOG_WARN,
                "webhook: %s is no account of this snapshot, or several brokers have it "
                "(LOGIN@BROKER); its path answers 404",
                webhook->paths.paths[i].account);
        }
    }
}

void adp_webhook_wait(struct adp_webhook *webhook, int64_t wait_ns)
{
    lws_sul_schedule(
        webhook->context, 0, &webhook->alarm, on_alarm, ls_max_i64(wait_ns, 0) / LS_NS_PER_US + 1);
    (void)lws_service(webhook->context, 0);
    lws_sul_schedule(webhook->context, 0, &webhook->alarm, on_alarm, LWS_SET_TIMER_USEC_CANCEL);
    const int64_t now = ipc_clock_mono_ns();
    for (struct visit *visit = webhook->visits; visit != NULL; visit = visit->next)
        if (now >= visit->until_ns)
            lws_set_timeout(visit->wsi, PENDING_TIMEOUT_HTTP_CONTENT, LWS_TO_KILL_ASYNC);
}

void adp_webhook_counts(const struct adp_webhook *webhook, struct adp_webhook_counts *out)
{
    *out = webhook->counts;
}
