#include "adapters/ingest/config.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The file as libcyaml reads it: a field that the file lacks stays NULL. */
struct raw_config {
    char *instance, *producer, *key_file, *log_level;
    bool *memory_lock;
    uint32_t *ring_slots, *held_events, *account_cells;
    uint32_t *poll_master_ms, *poll_follower_ms, *funds_ms;
    uint32_t *parallel_requests, *backoff_max_ms;
    uint32_t *feed_book_ms, *feed_heartbeat_ms, *feed_ping_ms, *feed_silence_ms;
    uint32_t *feed_absent_most, *feed_failed_most, *feed_retry_s, *feed_connects_per_second;
    uint32_t *market, *market_instruments_max, *market_held_s, *price_cells;
    char *market_account, *market_socket, *market_instruments;
    char *hook_address, *hook_certificate, *hook_private_key, *hook_paths, *hook_allow;
    char *hook_url, *hook_register;
    uint32_t *hook_port, *hook_body_bytes_max, *hook_connections_max, *hook_idle_s;
};

#define FLAGS       (CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER)
#define U32(member) CYAML_FIELD_UINT_PTR(#member, FLAGS, struct raw_config, member)
#define TEXT(member, most)                                                                         \
    CYAML_FIELD_STRING_PTR(#member, FLAGS, struct raw_config, member, 1, most)

static const cyaml_schema_field_t fields[] = {
    TEXT(instance, IPC_INSTANCE_BYTES - 1),
    TEXT(producer, IPC_RING_PRODUCER_BYTES - 1),
    TEXT(key_file, 255),
    TEXT(log_level, 5),
    CYAML_FIELD_BOOL_PTR("memory_lock", FLAGS, struct raw_config, memory_lock),
    U32(ring_slots),
    U32(held_events),
    U32(account_cells),
    U32(poll_master_ms),
    U32(poll_follower_ms),
    U32(funds_ms),
    U32(parallel_requests),
    U32(backoff_max_ms),
    U32(feed_book_ms),
    U32(feed_heartbeat_ms),
    U32(feed_ping_ms),
    U32(feed_silence_ms),
    U32(feed_absent_most),
    U32(feed_failed_most),
    U32(feed_retry_s),
    U32(feed_connects_per_second),
    U32(market),
    U32(market_instruments_max),
    U32(market_held_s),
    U32(price_cells),
    TEXT(market_account, 31),
    TEXT(market_socket, 127),
    TEXT(market_instruments, 2047),
    TEXT(hook_address, 63),
    U32(hook_port),
    TEXT(hook_certificate, 255),
    TEXT(hook_private_key, 255),
    TEXT(hook_paths, 255),
    TEXT(hook_allow, 511),
    U32(hook_body_bytes_max),
    U32(hook_connections_max),
    U32(hook_idle_s),
    TEXT(hook_url, 255),
    TEXT(hook_register, 127),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_config, fields)};

void adp_ingest_config_defaults(struct adp_ingest_config *config)
{
    *config = (struct adp_ingest_config){
        .instance = "main",
        .ring_slots = IPC_RING_SLOTS_DEFAULT,
        .held_events = 16384,
        .account_cells = 4096,
        .poll_master_ms = 1000,
        .poll_follower_ms = 2000,
        .funds_ms = 20000,
        .parallel_requests = 64,
        .backoff_max_ms = 30000,
        .feed_book_ms = 10000,
        .feed_heartbeat_ms = 50000,
        .feed_ping_ms = 10000,
        .feed_silence_ms = 25000,
        .feed_absent_most = 3,
        .feed_failed_most = 20,
        .feed_retry_s = 300,
        .feed_connects_per_second = 10,
        .market = 1,
        .market_instruments_max = 3000,
        .market_held_s = 600,
        .price_cells = 131072,
        .hook_address = "127.0.0.1",
        .hook_port = 8441,
        .hook_allow = "127.0.0.1",
        .hook_body_bytes_max = 16384,
        .hook_connections_max = 256,
        .hook_idle_s = 10,
        .log_level = IPC_LOG_INFO,
    };
}

/* The last complaint of libcyaml names field and line; its log callback keeps it. */
static void keep_complaint(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    struct ipc_error *complaint = context;
    char text[sizeof(complaint->text)];
    if (level < CYAML_LOG_ERROR)
        return;
    (void)vsnprintf(text, sizeof(text), format, arguments);
    text[strcspn(text, "\n")] = '\0';
    if (complaint->text[0] == '\0')
        (void)snprintf(complaint->text, sizeof(complaint->text), "%s", text);
    else if (strstr(text, "line:") != NULL) /* the backtrace: where it was */
        (void)snprintf(complaint->text + strlen(complaint->text),
            sizeof(complaint->text) - strlen(complaint->text), "; %s", text);
}

static void take_text(const char *from, char *out, size_t out_bytes)
{
    if (from != NULL)
        (void)snprintf(out, out_bytes, "%s", from);
}

static void take_number(const uint32_t *from, uint32_t *out)
{
    if (from != NULL)
        *out = *from;
}

static enum ipc_rc take(
    const struct raw_config *raw, struct adp_ingest_config *config, struct ipc_error *error)
{
    take_text(raw->instance, config->instance, sizeof(config->instance));
    take_text(raw->producer, config->producer, sizeof(config->producer));
    take_text(raw->key_file, config->key_file, sizeof(config->key_file));
    take_number(raw->ring_slots, &config->ring_slots);
    take_number(raw->held_events, &config->held_events);
    take_number(raw->account_cells, &config->account_cells);
    take_number(raw->poll_master_ms, &config->poll_master_ms);
    take_number(raw->poll_follower_ms, &config->poll_follower_ms);
    take_number(raw->funds_ms, &config->funds_ms);
    take_number(raw->parallel_requests, &config->parallel_requests);
    take_number(raw->backoff_max_ms, &config->backoff_max_ms);
    take_number(raw->feed_book_ms, &config->feed_book_ms);
    take_number(raw->feed_heartbeat_ms, &config->feed_heartbeat_ms);
    take_number(raw->feed_ping_ms, &config->feed_ping_ms);
    take_number(raw->feed_silence_ms, &config->feed_silence_ms);
    take_number(raw->feed_absent_most, &config->feed_absent_most);
    take_number(raw->feed_failed_most, &config->feed_failed_most);
    take_number(raw->feed_retry_s, &config->feed_retry_s);
    take_number(raw->feed_connects_per_second, &config->feed_connects_per_second);
    take_number(raw->market, &config->market);
    take_number(raw->market_instruments_max, &config->market_instruments_max);
    take_number(raw->market_held_s, &config->market_held_s);
    take_number(raw->price_cells, &config->price_cells);
    take_text(raw->market_account, config->market_account, sizeof(config->market_account));
    take_text(raw->market_socket, config->market_socket, sizeof(config->market_socket));
    take_text(
        raw->market_instruments, config->market_instruments, sizeof(config->market_instruments));
    take_text(raw->hook_address, config->hook_address, sizeof(config->hook_address));
    take_number(raw->hook_port, &config->hook_port);
    take_text(raw->hook_certificate, config->hook_certificate, sizeof(config->hook_certificate));
    take_text(raw->hook_private_key, config->hook_private_key, sizeof(config->hook_private_key));
    take_text(raw->hook_paths, config->hook_paths, sizeof(config->hook_paths));
    take_text(raw->hook_allow, config->hook_allow, sizeof(config->hook_allow));
    take_number(raw->hook_body_bytes_max, &config->hook_body_bytes_max);
    take_number(raw->hook_connections_max, &config->hook_connections_max);
    take_number(raw->hook_idle_s, &config->hook_idle_s);
    take_text(raw->hook_url, config->hook_url, sizeof(config->hook_url));
    take_text(raw->hook_register, config->hook_register, sizeof(config->hook_register));
    if (raw->memory_lock != NULL)
        config->memory_lock = *raw->memory_lock;
    if (raw->log_level != NULL && !ipc_log_level_parse(raw->log_level, &config->log_level)) {
        ipc_error_set(error, "log_level: '%s' is not error, warn, info or debug", raw->log_level);
        return IPC_BAD_INPUT;
    }
    return IPC_OK;
}

enum ipc_rc adp_ingest_config_load(
    struct adp_ingest_config *config, const char *path, struct ipc_error *error)
{
    struct ipc_error complaint = {.text = ""};
    const cyaml_config_t how = {
        .log_fn = keep_complaint,
        .log_ctx = &complaint,
        .mem_fn = cyaml_mem,
        .log_level = CYAML_LOG_ERROR,
    };
    struct raw_config *raw = NULL;
    if (access(path, R_OK) != 0) {
        ipc_error_set(error, "%s cannot be read: %s", path, strerror(errno));
        return IPC_SYSTEM;
    }
    const cyaml_err_t rc = cyaml_load_file(path, &how, &schema, (cyaml_data_t **)&raw, NULL);
    if (rc != CYAML_OK) {
        ipc_error_set(
            error, "%s: %s", path, complaint.text[0] != '\0' ? complaint.text : cyaml_strerror(rc));
        return IPC_BAD_INPUT;
    }
    struct adp_ingest_config changed = *config;
    const enum ipc_rc taken = raw == NULL ? IPC_OK : take(raw, &changed, error);
    if (taken == IPC_OK)
        *config = changed;
    cyaml_free(&how, &schema, raw, 0);
    return taken;
}

static enum ipc_rc in_range(
    const char *field, uint32_t value, uint32_t least, uint32_t most, struct ipc_error *error)
{
    if (value >= least && value <= most)
        return IPC_OK;
    ipc_error_set(error, "%s is %u; it must be in [%u, %u]", field, value, least, most);
    return IPC_BAD_INPUT;
}

enum ipc_rc adp_ingest_config_finish(
    struct adp_ingest_config *config, const char *subcommand, struct ipc_error *error)
{
    const struct {
        const char *field;
        uint32_t value, least, most;
    } ranges[] = {
        {"ring_slots", config->ring_slots, 8, IPC_RING_SLOTS_MAX},
        {"held_events", config->held_events, 16, 1u << 20},
        {"account_cells", config->account_cells, 1, 1u << 20},
        {"poll_master_ms", config->poll_master_ms, 10, 600000},
        {"poll_follower_ms", config->poll_follower_ms, 10, 600000},
        {"parallel_requests", config->parallel_requests, 1, 4096},
        {"backoff_max_ms", config->backoff_max_ms, 100, 600000},
        {"feed_book_ms", config->feed_book_ms, 100, 600000},
        {"feed_heartbeat_ms", config->feed_heartbeat_ms, 100, 59000},
        {"feed_ping_ms", config->feed_ping_ms, 50, 59000},
        {"feed_silence_ms", config->feed_silence_ms, 100, 600000},
        {"feed_absent_most", config->feed_absent_most, 1, 1000},
        {"feed_failed_most", config->feed_failed_most, 1, 100000},
        {"feed_retry_s", config->feed_retry_s, 1, 86400},
        {"feed_connects_per_second", config->feed_connects_per_second, 1, 1000},
        {"market", config->market, 0, 1},
        {"market_instruments_max", config->market_instruments_max, 1, 100000},
        {"market_held_s", config->market_held_s, 0, 86400},
        {"price_cells", config->price_cells, 1, 1u << 20},
        {"hook_port", config->hook_port, 0, 65535},
        {"hook_body_bytes_max", config->hook_body_bytes_max, 1024, 1u << 20},
        {"hook_connections_max", config->hook_connections_max, 1, 4096},
        {"hook_idle_s", config->hook_idle_s, 1, 600},
    };
    for (size_t i = 0; i < LS_COUNT_OF(ranges); i++) {
        const enum ipc_rc rc =
            in_range(ranges[i].field, ranges[i].value, ranges[i].least, ranges[i].most, error);
        if (rc != IPC_OK)
            return rc;
    }
    if (config->feed_silence_ms <= config->feed_ping_ms) {
        ipc_error_set(error,
            "feed_silence_ms is %u; it must be above feed_ping_ms (%u), whose answers it waits for",
            config->feed_silence_ms, config->feed_ping_ms);
        return IPC_BAD_INPUT;
    }
    if (!ls_is_power_of_two(config->ring_slots)) {
        ipc_error_set(error, "ring_slots is %u; it must be a power of two", config->ring_slots);
        return IPC_BAD_INPUT;
    }
    if (config->producer[0] == '\0')
        (void)snprintf(config->producer, sizeof(config->producer), "%s", subcommand);
    if (config->key_file[0] == '\0')
        (void)snprintf(
            config->key_file, sizeof(config->key_file), "/etc/lockstep/%s.key", config->instance);
    if (!ipc_instance_name_valid(config->instance)) {
        ipc_error_set(
            error, "instance '%s': use [a-z0-9_-], at most 32 characters", config->instance);
        return IPC_BAD_INPUT;
    }
    char name[IPC_REGION_NAME_BYTES];
    struct ipc_ring_name ring = {.shard = 0, .ring_class = IPC_RING_ORDERS};
    memcpy(ring.producer, config->producer, sizeof(ring.producer));
    if (ipc_ring_format_name(&ring, name) != IPC_OK) {
        ipc_error_set(
            error, "producer '%s': use [a-z0-9_-], at most 24 characters", config->producer);
        return IPC_BAD_INPUT;
    }
    return IPC_OK;
}
