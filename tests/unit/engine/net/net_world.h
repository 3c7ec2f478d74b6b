/* net_world.h: what the tests of engine/net share: certificates, a real nghttpd, and a rig that
 * plays porter and pinned thread in one. Linked statically into each test; nothing here is fast. */
#ifndef LS_TESTS_NET_WORLD_H
#define LS_TESTS_NET_WORLD_H

#include "engine/net/connect.h"
#include "engine/net/edge.h"
#include "engine/net/hpack.h"
#include "engine/net/pool.h"

#include <sys/types.h>

/* A directory that world_end removes with all that is in it. */
const char *world_directory(void);
void world_end(void);

/* Certificates. A CA and leaves, as PEM files in the directory; `name` is the stem of the files. */
struct world_leaf {
    const char *name;   /* NAME.crt, NAME.key */
    const char *ca;     /* stem of the CA that signs, NULL = self-signed CA */
    const char *san;    /* "DNS:localhost,IP:127.0.0.1,IP:::1" */
    bool is_rsa;        /* else P-256 */
    int begins_in_days; /* relative to now */
    int ends_in_days;
    int ends_in_seconds; /* instead, when not 0 */
};
void world_certificate(const struct world_leaf *leaf);
const char *world_path(const char *name, const char *suffix); /* 8 results are kept */

/* A free TCP port of 127.0.0.1. */
uint16_t world_free_port(void);

/* nghttpd with the given extra arguments (NULL-terminated), on `address` and a free port, its log
 * in LOG.log of the directory. OPENSSL_CONF points to `openssl_conf` when not NULL. */
struct world_server {
    pid_t pid;
    uint16_t port;
    char log[256];
};
void world_serve(struct world_server *server, const char *address, const char *leaf,
    const char *log, const char *openssl_conf, const char *const *arguments);
void world_stop(struct world_server *server);

/* The log of a server as text; the caller frees it. */
char *world_log(const struct world_server *server);

/* Outcomes, in order. */
struct outcome {
    bool is_reply, late;
    uint32_t child, request_no, account, http_status, h2_error;
    enum ipc_evidence evidence;
    uint32_t body_bytes;
    char body[512]; /* start of it */
};
struct outcomes {
    struct outcome items[4096];
    uint32_t count;
};
struct eng_h2_sink outcomes_sink(struct outcomes *outcomes);
const struct outcome *outcome_of(const struct outcomes *outcomes, uint32_t child);

/* Porter and pinned thread in one thread. */
struct rig {
    struct eng_connector *connector;
    struct eng_edge *edge;
    struct eng_pool *pool;
    struct eng_tls_context *tls;
    struct sockaddr_storage address;
    socklen_t address_bytes;
    struct outcomes *outcomes;
    struct eng_h2_sink sink;
    char last_error[256];
    uint32_t failures;
    bool refuse_connects;        /* wants are answered by failed */
    int send_buffer;             /* SO_SNDBUF of attached sockets, 0 = the system's */
    void (*pinned)(bool begins); /* around what the pinned thread would do, may be NULL */
};
struct rig_options {
    enum eng_edge_kind edge;
    const char *host; /* to connect to */
    const char *name; /* TLS name */
    const char *ca_file;
    uint16_t port;
    uint16_t pool_connections;        /* 0 = 1 */
    uint32_t requests_per_connection; /* 0 = 100000 */
    uint32_t connections;             /* 0 = 16 */
    int64_t ping_deadline_ns;
    int send_buffer;
    uint16_t alpn; /* as ipc_row_broker's: 0 = h2 and http/1.1 offered, 1 = h2, 2 = http/1.1 */
};
void rig_open(struct rig *rig, const struct rig_options *options);
void rig_close(struct rig *rig);

/* One round of everything. */
void rig_pump(struct rig *rig);
/* Pumps until the condition holds; false after the time. */
typedef bool (*rig_condition_fn)(struct rig *rig, void *context);
bool rig_until(struct rig *rig, int64_t timeout_ns, rig_condition_fn holds, void *context);
bool rig_until_live(struct rig *rig, uint32_t connections);
bool rig_until_outcomes(struct rig *rig, uint32_t count);

/* eng_pool_flush on the pinned side. */
void rig_flush(struct rig *rig);

/* A POST /order with a body, to the account's connection. */
enum eng_h2_admission rig_order(
    struct rig *rig, uint32_t account, uint32_t child, const char *body, int64_t leave_by);
enum eng_h2_admission rig_get(struct rig *rig, uint32_t account, uint32_t child, const char *path);

#endif
