/* net_world.c: see net_world.h. */
#include "tests/unit/engine/net/net_world.h"
#include "ipc/clock.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[128];

const char *world_directory(void)
{
    if (directory[0] == '\0') {
        snprintf(directory, sizeof directory, "/tmp/lockstep-net-XXXXXX");
        LS_CHECK(mkdtemp(directory) != NULL);
    }
    return directory;
}

void world_end(void)
{
    if (directory[0] == '\0')
        return;
    DIR *entries = opendir(directory);
    const struct dirent *entry;
    while (entries != NULL && (entry = readdir(entries)) != NULL)
        unlinkat(dirfd(entries), entry->d_name, 0);
    if (entries != NULL)
        closedir(entries);
    rmdir(directory);
    directory[0] = '\0';
}

const char *world_path(const char *name, const char *suffix)
{
    static char paths[8][300];
    static uint32_t next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s%s", world_directory(), name, suffix);
    return path;
}

static EVP_PKEY *read_key(const char *name)
{
    FILE *file = fopen(world_path(name, ".key"), "r");
    LS_CHECK(file != NULL);
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    LS_CHECK(key != NULL);
    return key;
}

static X509 *read_certificate(const char *name)
{
    FILE *file = fopen(world_path(name, ".crt"), "r");
    LS_CHECK(file != NULL);
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    LS_CHECK(certificate != NULL);
    return certificate;
}

static void add_extension(X509 *certificate, X509 *issuer, int kind, const char *text)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, text);
    LS_CHECK(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

void world_certificate(const struct world_leaf *leaf)
{
    static long serial = 1;
    EVP_PKEY *key = leaf->is_rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    LS_CHECK(key != NULL && certificate != NULL);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), leaf->begins_in_days * 86400L - 3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate),
        leaf->ends_in_seconds != 0 ? leaf->ends_in_seconds : leaf->ends_in_days * 86400L);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
        (const unsigned char *)leaf->name, -1, -1, 0);
    X509 *issuer = leaf->ca == NULL ? certificate : read_certificate(leaf->ca);
    EVP_PKEY *issuer_key = leaf->ca == NULL ? key : read_key(leaf->ca);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    add_extension(certificate, issuer, NID_basic_constraints,
        leaf->ca == NULL ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (leaf->san != NULL)
        add_extension(certificate, issuer, NID_subject_alt_name, leaf->san);
    LS_CHECK(X509_sign(certificate, issuer_key, EVP_sha256()) > 0);
    FILE *file = fopen(world_path(leaf->name, ".crt"), "w");
    LS_CHECK(file != NULL && PEM_write_X509(file, certificate) == 1);
    fclose(file);
    file = fopen(world_path(leaf->name, ".key"), "w");
    LS_CHECK(file != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(file);
    if (leaf->ca != NULL) {
        X509_free(issuer);
        EVP_PKEY_free(issuer_key);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
}

uint16_t world_free_port(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    LS_CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
             getsockname(fd, (struct sockaddr *)&address, &bytes) == 0);
    close(fd);
    return ntohs(address.sin_port);
}

static bool answers(const char *address, uint16_t port)
{
    struct sockaddr_storage peer;
    socklen_t bytes;
    LS_CHECK(eng_connect_resolve("test", address, port, 0, &peer, &bytes, NULL) == IPC_OK);
    const int fd = socket(peer.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool does = connect(fd, (const struct sockaddr *)&peer, bytes) == 0;
    close(fd);
    return does;
}

static void run_server(const struct world_server *server, const char *address, const char *leaf,
    const char *openssl_conf, const char *const *arguments)
{
    char port[8], listen_at[80];
    snprintf(port, sizeof port, "%u", server->port);
    snprintf(listen_at, sizeof listen_at, "--address=%s", address);
    const char *argv[24] = {"nghttpd", listen_at};
    uint32_t count = 2;
    for (; arguments != NULL && *arguments != NULL; arguments++)
        argv[count++] = *arguments;
    argv[count++] = port;
    argv[count++] = world_path(leaf, ".key");
    argv[count++] = world_path(leaf, ".crt");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (openssl_conf != NULL)
        setenv("OPENSSL_CONF", openssl_conf, 1);
    unsetenv("LD_PRELOAD");
    const int log = open(server->log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(log, 1);
    dup2(log, 2);
    execvp("nghttpd", (char *const *)(uintptr_t)argv);
    _exit(127);
}

void world_serve(struct world_server *server, const char *address, const char *leaf,
    const char *log, const char *openssl_conf, const char *const *arguments)
{
    for (int attempt = 0; attempt < 5; attempt++) {
        server->port = world_free_port();
        snprintf(server->log, sizeof server->log, "%s", world_path(log, ".log"));
        server->pid = fork();
        LS_CHECK(server->pid >= 0);
        if (server->pid == 0)
            run_server(server, address, leaf, openssl_conf, arguments);
        for (int i = 0; i < 200; i++) {
            if (answers(address, server->port))
                return;
            if (waitpid(server->pid, NULL, WNOHANG) == server->pid)
                break; /* another process took the port */
            usleep(10000);
        }
    }
    ls_check_failed(
        "nghttpd does not start; is the package nghttp2-server installed?", __FILE__, __LINE__);
}

void world_stop(struct world_server *server)
{
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

char *world_log(const struct world_server *server)
{
    FILE *file = fopen(server->log, "r");
    LS_CHECK(file != NULL);
    fseek(file, 0, SEEK_END);
    const long bytes = ftell(file);
    rewind(file);
    char *text = calloc(1, (size_t)bytes + 1);
    LS_CHECK(text != NULL && fread(text, 1, (size_t)bytes, file) == (size_t)bytes);
    fclose(file);
    return text;
}

static void note_reply(const struct eng_h2_reply *reply, void *context)
{
    struct outcomes *outcomes = context;
    LS_CHECK(outcomes->count < LS_COUNT_OF(outcomes->items));
    struct outcome *item = &outcomes->items[outcomes->count++];
    *item = (struct outcome){
        .is_reply = true,
        .late = reply->late,
        .child = reply->child,
        .request_no = reply->request_no,
        .account = reply->account,
        .http_status = reply->http_status,
        .body_bytes = (uint32_t)reply->body.count,
    };
    if (reply->body.count != 0)
        memcpy(item->body, reply->body.bytes,
            reply->body.count < sizeof item->body - 1 ? reply->body.count : sizeof item->body - 1);
}

static void note_loss(const struct eng_h2_loss *loss, void *context)
{
    struct outcomes *outcomes = context;
    LS_CHECK(outcomes->count < LS_COUNT_OF(outcomes->items));
    outcomes->items[outcomes->count++] = (struct outcome){
        .child = loss->child,
        .request_no = loss->request_no,
        .account = loss->account,
        .h2_error = loss->h2_error,
        .evidence = loss->evidence,
    };
}

struct eng_h2_sink outcomes_sink(struct outcomes *outcomes)
{
    return (struct eng_h2_sink){.reply = note_reply, .loss = note_loss, .context = outcomes};
}

const struct outcome *outcome_of(const struct outcomes *outcomes, uint32_t child)
{
    for (uint32_t i = 0; i < outcomes->count; i++) {
        if (outcomes->items[i].child == child)
            return &outcomes->items[i];
    }
    return NULL;
}

void rig_open(struct rig *rig, const struct rig_options *options)
{
    memset(rig, 0, sizeof *rig);
    struct ipc_error error;
    const uint32_t connections = options->connections == 0 ? 16 : options->connections;
    rig->outcomes = calloc(1, sizeof *rig->outcomes);
    rig->sink = outcomes_sink(rig->outcomes);
    rig->send_buffer = options->send_buffer;
    const struct eng_connector_config connector = {
        .connections = connections, .attempts = connections, .timeout_ns = 2 * LS_NS_PER_S};
    LS_CHECK(eng_connector_make(&connector, &rig->connector, &error) == IPC_OK);
    const struct eng_edge_config edge = {.kind = options->edge,
        .sockets = connections,
        .receive_buffers = 64,
        .receive_buffer_bytes = 4096};
    LS_CHECK(eng_edge_open(&edge, &rig->edge, &error) == IPC_OK);
    const struct eng_pool_config pool = {.connections = connections,
        .lanes = 64,
        .accounts = 1024,
        .seed = 7,
        .ping_deadline_ns = options->ping_deadline_ns};
    LS_CHECK(eng_pool_make(&pool, rig->edge, &rig->pool, &error) == IPC_OK);
    const struct eng_pool_broker broker = {
        .requests_per_connection =
            options->requests_per_connection == 0 ? 100000 : options->requests_per_connection,
        .connects_per_second = 1000,
        .ping_interval_ns = 100 * LS_NS_PER_MS,
        .pool_connections = options->pool_connections == 0 ? 1 : options->pool_connections,
    };
    eng_pool_broker(rig->pool, 0, &broker);
    const enum ipc_rc made = eng_tls_context_make("test-broker", options->name,
        options->ca_file == NULL ? "" : options->ca_file, &rig->tls, &error);
    if (made != IPC_OK)
        fprintf(stderr, "%s\n", error.text);
    LS_CHECK(made == IPC_OK);
    eng_tls_context_offer(rig->tls, options->alpn);
    LS_CHECK(eng_connect_resolve("test-broker", options->host, options->port, 0, &rig->address,
                 &rig->address_bytes, &error) == IPC_OK);
}

void rig_close(struct rig *rig)
{
    eng_pool_shut(rig->pool, &rig->sink);
    for (int i = 0; i < 200; i++) {
        rig_pump(rig);
        struct eng_pool_figures figures;
        eng_pool_figures(rig->pool, &figures);
        if (figures.live + figures.draining == 0)
            break;
        eng_edge_wait(rig->edge, LS_NS_PER_MS);
    }
    eng_pool_free(rig->pool);
    eng_edge_close(rig->edge);
    eng_connector_free(rig->connector);
    eng_tls_context_free(rig->tls);
    free(rig->outcomes);
}

static void pinned(const struct rig *rig, bool begins)
{
    if (rig->pinned != NULL)
        rig->pinned(begins);
}

void rig_flush(struct rig *rig)
{
    pinned(rig, true);
    eng_pool_flush(rig->pool, 4096, ipc_clock_mono_ns(), &rig->sink);
    pinned(rig, false);
}

static bool next_want(struct rig *rig, int64_t now, struct eng_pool_want *want)
{
    pinned(rig, true);
    const bool is_wanted = eng_pool_want(rig->pool, now, want);
    pinned(rig, false);
    return is_wanted;
}

static void answer_wants(struct rig *rig, int64_t now)
{
    struct eng_pool_want want;
    while (next_want(rig, now, &want)) {
        struct eng_connect_target target = {
            .broker = "test-broker",
            .context = rig->tls,
            .address = rig->address,
            .address_bytes = rig->address_bytes,
            .source_family = want.key.source_family,
            .lane = want.lane,
            .member = want.member,
        };
        memcpy(target.source_address, want.key.source_address, sizeof target.source_address);
        struct ipc_error error = {.text = "refused by the test"};
        if (rig->refuse_connects ||
            eng_connect_start(rig->connector, &target, now, &error) != IPC_OK) {
            rig->failures++;
            snprintf(rig->last_error, sizeof rig->last_error, "%s", error.text);
            eng_pool_failed(rig->pool, want.lane, want.member, now);
        }
    }
}

void rig_pump(struct rig *rig)
{
    const int64_t now = ipc_clock_mono_ns();
    answer_wants(rig, now);
    struct eng_connect_result results[8];
    const uint32_t count = eng_connect_run(rig->connector, now, 0, results, 8);
    for (uint32_t i = 0; i < count; i++) {
        if (results[i].connection != NULL) {
            if (rig->send_buffer != 0)
                setsockopt(results[i].connection->fd, SOL_SOCKET, SO_SNDBUF, &rig->send_buffer,
                    sizeof rig->send_buffer);
            pinned(rig, true);
            eng_pool_attach(rig->pool, results[i].connection, now);
            pinned(rig, false);
            continue;
        }
        rig->failures++;
        snprintf(rig->last_error, sizeof rig->last_error, "%s", results[i].error.text);
        eng_pool_failed(rig->pool, results[i].lane, results[i].member, now);
    }
    pinned(rig, true);
    eng_pool_turn(rig->pool, 64, now, &rig->sink, NULL);
    pinned(rig, false);
    struct eng_connection *connection;
    while (eng_pool_retired(rig->pool, &connection))
        eng_connector_recycle(rig->connector, connection);
}

bool rig_until(struct rig *rig, int64_t timeout_ns, rig_condition_fn holds, void *context)
{
    const int64_t until = ipc_clock_mono_ns() + timeout_ns;
    for (;;) {
        rig_pump(rig);
        if (holds(rig, context))
            return true;
        if (ipc_clock_mono_ns() >= until)
            return false;
        eng_edge_wait(rig->edge, LS_NS_PER_MS / 2);
    }
}

static bool has_live(struct rig *rig, void *context)
{
    struct eng_pool_figures figures;
    eng_pool_figures(rig->pool, &figures);
    return figures.live >= *(uint32_t *)context;
}

bool rig_until_live(struct rig *rig, uint32_t connections)
{
    return rig_until(rig, 3 * LS_NS_PER_S, has_live, &connections);
}

static bool has_outcomes(struct rig *rig, void *context)
{
    return rig->outcomes->count >= *(uint32_t *)context;
}

bool rig_until_outcomes(struct rig *rig, uint32_t count)
{
    return rig_until(rig, 5 * LS_NS_PER_S, has_outcomes, &count);
}

static enum eng_h2_admission request(struct rig *rig, uint32_t account, uint32_t child,
    const char *method, const char *path, const char *body, int64_t leave_by)
{
    uint8_t prefix_bytes[512], auth_bytes[2048];
    struct eng_hpack prefix, auth;
    char token[64];
    eng_hpack_begin(&prefix, prefix_bytes, sizeof prefix_bytes);
    eng_hpack_begin(&auth, auth_bytes, sizeof auth_bytes);
    const int token_bytes = snprintf(token, sizeof token, "Bearer token-of-account-%u", account);
    LS_CHECK(eng_hpack_add_text(&prefix, ":method", method) == IPC_OK &&
             eng_hpack_add_text(&prefix, ":scheme", "https") == IPC_OK &&
             eng_hpack_add_text(&prefix, ":authority", "localhost") == IPC_OK &&
             eng_hpack_add_text(&prefix, ":path", path) == IPC_OK &&
             eng_hpack_add_text(&prefix, "content-type", "application/json") == IPC_OK &&
             eng_hpack_add_text(&prefix, "user-agent", "lockstep") == IPC_OK &&
             eng_hpack_add(&auth, "authorization", token, (size_t)token_bytes, true) == IPC_OK);
    const struct eng_h2_part parts[] = {
        {prefix.bytes, prefix.count, prefix.list_bytes}, {auth.bytes, auth.count, auth.list_bytes}};
    const int64_t now = ipc_clock_mono_ns();
    char line[256], field[160];
    const int line_bytes = snprintf(line, sizeof line,
        "%s %s HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n", method, path);
    const int field_bytes = snprintf(field, sizeof field, "authorization: %s\r\n", token);
    const struct eng_h2_part texts[] = {
        {(const uint8_t *)line, (uint32_t)line_bytes, 0},
        {(const uint8_t *)field, (uint32_t)field_bytes, 0},
    };
    struct eng_h2_request request = {
        .parts = parts,
        .part_count = 2,
        .body = (const uint8_t *)body,
        .body_bytes = body == NULL ? 0 : (uint32_t)strlen(body),
        .child = child,
        .request_no = child ^ 0x5a5a,
        .account = account,
        .reply_by_mono_ns = now + 5 * LS_NS_PER_S,
        .leave_by_mono_ns = leave_by,
    };
    pinned(rig, true);
    struct eng_connection *connection = eng_pool_serve(rig->pool, account);
    if (connection != NULL && connection->h1 != NULL)
        request.parts = texts;
    const enum eng_h2_admission admission =
        connection == NULL ? ENG_H2_SHUT : eng_pool_request(rig->pool, connection, &request, now);
    pinned(rig, false);
    return admission;
}

enum eng_h2_admission rig_order(
    struct rig *rig, uint32_t account, uint32_t child, const char *body, int64_t leave_by)
{
    return request(rig, account, child, "POST", "/order", body, leave_by);
}

enum eng_h2_admission rig_get(struct rig *rig, uint32_t account, uint32_t child, const char *path)
{
    return request(rig, account, child, "GET", path, NULL, INT64_MAX);
}
