#include "engine/config.h"

#include <cyaml/cyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/config_controls.h"

/* The file as libcyaml reads it: a field that the file lacks stays NULL. Decimal numbers arrive as
 * text and are scaled here, so that no float is involved. */
struct raw_band {
    char *below;
    char *percent;
    char *distance;
};

struct raw_cpu {
    int32_t *pinned, *porter, *scribe;
};

struct raw_journal {
    char *directory;
    uint32_t *segment_kib;
    uint32_t *segments;
    uint32_t *checkpoint_kib;
    uint32_t *checkpoint_s;
};

struct raw_limits {
    uint32_t *follower_slots, *accounts, *brokers, *instruments, *masters;
    uint32_t *master_orders, *children, *positions, *master_positions, *waves, *connections, *rings;
    uint32_t *token_row_bytes;
};

struct raw_pacing {
    uint32_t *exit_share, *guard_ms, *exit_price_max_age_ms;
};

struct raw_turn {
    uint32_t *replies, *events, *updates, *orders_per_look, *budget_us;
};

struct raw_books {
    uint32_t *per_broker, *deadline_ms;
};

struct raw_protection {
    struct raw_band *equity;
    uint32_t equity_count;
    struct raw_band *options;
    uint32_t options_count;
};

struct raw_config {
    char *instance;
    uint32_t *shard;
    struct raw_cpu *cpu;
    int *idle;
    uint32_t *spin_us;
    int *io;
    int *tier;
    char *key_file;
    char *halt_file;
    bool *memory_lock;
    struct raw_journal *journal;
    struct raw_limits *limits;
    struct raw_pacing *pacing;
    struct raw_turn *turn;
    struct raw_books *books;
    struct raw_protection *protection;
    struct eng_raw_controls *controls;
};

#define OPTIONAL (CYAML_FLAG_OPTIONAL)
#define U32(structure, member)                                                                     \
    CYAML_FIELD_UINT_PTR(#member, OPTIONAL | CYAML_FLAG_POINTER, structure, member)
#define I32(structure, member)                                                                     \
    CYAML_FIELD_INT_PTR(#member, OPTIONAL | CYAML_FLAG_POINTER, structure, member)
#define TEXT(structure, member, min, max)                                                          \
    CYAML_FIELD_STRING_PTR(#member, OPTIONAL | CYAML_FLAG_POINTER, structure, member, min, max)
#define CHOICE(structure, member, names)                                                           \
    CYAML_FIELD_ENUM_PTR(#member, OPTIONAL | CYAML_FLAG_POINTER | CYAML_FLAG_STRICT, structure,    \
        member, names, (uint32_t)LS_COUNT_OF(names))
#define PART(structure, member, fields)                                                            \
    CYAML_FIELD_MAPPING_PTR(#member, OPTIONAL | CYAML_FLAG_POINTER, structure, member, fields)

static const cyaml_strval_t idle_names[] = {
    {"auto", ENG_IDLE_AUTO},
    {"spin", ENG_IDLE_SPIN},
    {"adaptive", ENG_IDLE_ADAPTIVE},
};
static const cyaml_strval_t io_names[] = {
    {"auto", ENG_IO_AUTO},
    {"uring", ENG_IO_URING},
    {"epoll", ENG_IO_EPOLL},
};
static const cyaml_strval_t tier_names[] = {
    {"process", ENG_TIER_PROCESS},
    {"power", ENG_TIER_POWER},
};

static const cyaml_schema_field_t band_fields[] = {
    TEXT(struct raw_band, below, 1, 24),
    TEXT(struct raw_band, percent, 1, 24),
    TEXT(struct raw_band, distance, 1, 24),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t band_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_band, band_fields),
};

static const cyaml_schema_field_t cpu_fields[] = {
    I32(struct raw_cpu, pinned),
    I32(struct raw_cpu, porter),
    I32(struct raw_cpu, scribe),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t journal_fields[] = {
    TEXT(struct raw_journal, directory, 1, 200),
    U32(struct raw_journal, segment_kib),
    U32(struct raw_journal, segments),
    U32(struct raw_journal, checkpoint_kib),
    U32(struct raw_journal, checkpoint_s),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t limits_fields[] = {
    U32(struct raw_limits, follower_slots),
    U32(struct raw_limits, accounts),
    U32(struct raw_limits, brokers),
    U32(struct raw_limits, instruments),
    U32(struct raw_limits, masters),
    U32(struct raw_limits, master_orders),
    U32(struct raw_limits, children),
    U32(struct raw_limits, positions),
    U32(struct raw_limits, master_positions),
    U32(struct raw_limits, token_row_bytes),
    U32(struct raw_limits, waves),
    U32(struct raw_limits, connections),
    U32(struct raw_limits, rings),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t pacing_fields[] = {
    U32(struct raw_pacing, exit_share),
    U32(struct raw_pacing, guard_ms),
    U32(struct raw_pacing, exit_price_max_age_ms),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t turn_fields[] = {
    U32(struct raw_turn, replies),
    U32(struct raw_turn, events),
    U32(struct raw_turn, updates),
    U32(struct raw_turn, orders_per_look),
    U32(struct raw_turn, budget_us),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t books_fields[] = {
    U32(struct raw_books, per_broker),
    U32(struct raw_books, deadline_ms),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t protection_fields[] = {
    CYAML_FIELD_SEQUENCE("equity", OPTIONAL | CYAML_FLAG_POINTER, struct raw_protection, equity,
        &band_value, 1, ENG_BANDS_MAX),
    CYAML_FIELD_SEQUENCE("options", OPTIONAL | CYAML_FLAG_POINTER, struct raw_protection, options,
        &band_value, 1, ENG_BANDS_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t config_fields[] = {
    TEXT(struct raw_config, instance, 1, 31),
    U32(struct raw_config, shard),
    PART(struct raw_config, cpu, cpu_fields),
    CHOICE(struct raw_config, idle, idle_names),
    U32(struct raw_config, spin_us),
    CHOICE(struct raw_config, io, io_names),
    CHOICE(struct raw_config, tier, tier_names),
    TEXT(struct raw_config, key_file, 1, 255),
    TEXT(struct raw_config, halt_file, 1, 255),
    CYAML_FIELD_BOOL_PTR(
        "memory_lock", OPTIONAL | CYAML_FLAG_POINTER, struct raw_config, memory_lock),
    PART(struct raw_config, journal, journal_fields),
    PART(struct raw_config, limits, limits_fields),
    PART(struct raw_config, pacing, pacing_fields),
    PART(struct raw_config, turn, turn_fields),
    PART(struct raw_config, books, books_fields),
    PART(struct raw_config, protection, protection_fields),
    PART(struct raw_config, controls, eng_raw_controls_fields),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t config_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_config, config_fields),
};

/* Market-price protection as the exchange's grid is published (brokers' sheet in conf/README). */
static const struct eng_band equity_default[] = {
    {100 * LS_E8, LS_E8 * 2 / 100, 0},
    {500 * LS_E8, LS_E8 / 100, 0},
    {INT64_MAX, LS_E8 / 200, 0},
};
static const struct eng_band option_default[] = {
    {1 * LS_E8, 0, LS_E8 / 10},
    {10 * LS_E8, LS_E8 * 5 / 100, 0},
    {100 * LS_E8, LS_E8 * 3 / 100, 0},
    {500 * LS_E8, LS_E8 * 2 / 100, 0},
    {INT64_MAX, LS_E8 / 100, 0},
};

void eng_config_defaults(struct eng_config *config)
{
    *config = (struct eng_config){
        .instance = "main",
        .pinned_cpu = -1,
        .porter_cpu = -1,
        .scribe_cpu = -1,
        .spin_us = 50,
        .journal_directory = "/var/lib/lockstep/journal",
        .journal_segment_bytes = 16u << 20,
        .journal_segments = 4,
        .checkpoint_kib = 64u << 10,
        .checkpoint_s = 600,
        .follower_slots = 4096,
        .accounts = 4096,
        .brokers = 64,
        .instruments = 16384,
        .masters = 256,
        .master_orders = 16384,
        .children = 262144,
        .positions = 65536,
        .master_positions = 4096,
        .token_row_bytes = 2048,
        .waves = 1024,
        .connections = 4096,
        .rings = 64,
        .exit_share = 2,
        .pace_guard_ms = 50,
        .exit_price_max_age_ms = 5000,
        .replies_per_turn = 512,
        .events_per_turn = 64,
        .updates_per_turn = 64,
        .orders_per_look = 64,
        .turn_budget_us = 50,
        .books_per_broker = 8,
        .books_deadline_ms = 10000,
        .equity_band_count = (uint32_t)LS_COUNT_OF(equity_default),
        .option_band_count = (uint32_t)LS_COUNT_OF(option_default),
    };
    memcpy(config->equity_bands, equity_default, sizeof(equity_default));
    memcpy(config->option_bands, option_default, sizeof(option_default));
    eng_config_controls_defaults(&config->controls);
}

/* decimal_e8 reads "0.5" as 50,000,000; at most 9 digits before and 8 behind the point. */
static bool decimal_e8(const char *text, int64_t *out)
{
    int64_t whole = 0, fraction = 0, scale = LS_E8;
    int digits = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        whole = whole * 10 + (*text - '0');
        if (++digits > 9)
            return false;
    }
    if (digits == 0)
        return false;
    if (*text == '.') {
        text++;
        for (digits = 0; *text >= '0' && *text <= '9'; text++) {
            if (++digits > 8)
                return false;
            scale /= 10;
            fraction += (*text - '0') * scale;
        }
        if (digits == 0)
            return false;
    }
    if (*text != '\0')
        return false;
    *out = whole * LS_E8 + fraction;
    return true;
}

static enum ipc_rc bands_take(const char *name, const struct raw_band *raw, uint32_t count,
    struct eng_band *out, uint32_t *out_count, struct ipc_error *error)
{
    int64_t previous_e8 = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct eng_band band = {INT64_MAX, 0, 0};
        if (raw[i].below != NULL && !decimal_e8(raw[i].below, &band.below_e8)) {
            ipc_error_set(error, "protection.%s[%u].below: '%s' is not a decimal number", name, i,
                raw[i].below);
            return IPC_BAD_INPUT;
        }
        if ((raw[i].percent == NULL) == (raw[i].distance == NULL)) {
            ipc_error_set(error, "protection.%s[%u]: give either percent or distance", name, i);
            return IPC_BAD_INPUT;
        }
        int64_t number_e8 = 0;
        const char *text = raw[i].percent != NULL ? raw[i].percent : raw[i].distance;
        if (!decimal_e8(text, &number_e8) || number_e8 <= 0 ||
            (raw[i].percent != NULL && number_e8 > 20 * LS_E8)) {
            ipc_error_set(error,
                "protection.%s[%u]: '%s' is not a positive decimal number (percent: at most 20)",
                name, i, text);
            return IPC_BAD_INPUT;
        }
        if (raw[i].percent != NULL)
            band.fraction_e8 = number_e8 / 100;
        else
            band.amount_e8 = number_e8;
        if (band.below_e8 <= previous_e8) {
            ipc_error_set(
                error, "protection.%s[%u].below must be above the step before it", name, i);
            return IPC_BAD_INPUT;
        }
        previous_e8 = band.below_e8;
        out[i] = band;
    }
    if (count > 0 && previous_e8 != INT64_MAX) {
        ipc_error_set(
            error, "protection.%s: the last step must have no 'below': it covers the rest", name);
        return IPC_BAD_INPUT;
    }
    if (count > 0)
        *out_count = count;
    return IPC_OK;
}

static void text_take(char *out, size_t out_bytes, const char *text)
{
    if (text != NULL)
        (void)snprintf(out, out_bytes, "%s", text);
}

#define TAKE(to, from)                                                                             \
    do {                                                                                           \
        if ((from) != NULL)                                                                        \
            (to) = *(from);                                                                        \
    } while (0)

static void limits_take(struct eng_config *config, const struct raw_limits *raw)
{
    TAKE(config->follower_slots, raw->follower_slots);
    TAKE(config->accounts, raw->accounts);
    TAKE(config->brokers, raw->brokers);
    TAKE(config->instruments, raw->instruments);
    TAKE(config->masters, raw->masters);
    TAKE(config->master_orders, raw->master_orders);
    TAKE(config->children, raw->children);
    TAKE(config->positions, raw->positions);
    TAKE(config->master_positions, raw->master_positions);
    TAKE(config->token_row_bytes, raw->token_row_bytes);
    TAKE(config->waves, raw->waves);
    TAKE(config->connections, raw->connections);
    TAKE(config->rings, raw->rings);
}

static enum ipc_rc raw_take(
    struct eng_config *config, const struct raw_config *raw, struct ipc_error *error)
{
    text_take(config->instance, sizeof(config->instance), raw->instance);
    text_take(config->key_file, sizeof(config->key_file), raw->key_file);
    text_take(config->halt_file, sizeof(config->halt_file), raw->halt_file);
    TAKE(config->shard, raw->shard);
    TAKE(config->spin_us, raw->spin_us);
    if (raw->idle != NULL)
        config->idle = (enum eng_idle) * raw->idle;
    if (raw->io != NULL)
        config->io = (enum eng_io) * raw->io;
    if (raw->tier != NULL)
        config->tier = (enum eng_tier) * raw->tier;
    if (raw->memory_lock != NULL)
        config->memory_lock = *raw->memory_lock ? 1 : 0;
    if (raw->cpu != NULL) {
        TAKE(config->pinned_cpu, raw->cpu->pinned);
        TAKE(config->porter_cpu, raw->cpu->porter);
        TAKE(config->scribe_cpu, raw->cpu->scribe);
    }
    if (raw->journal != NULL) {
        text_take(
            config->journal_directory, sizeof(config->journal_directory), raw->journal->directory);
        TAKE(config->journal_segments, raw->journal->segments);
        TAKE(config->checkpoint_kib, raw->journal->checkpoint_kib);
        TAKE(config->checkpoint_s, raw->journal->checkpoint_s);
        if (raw->journal->segment_kib != NULL) {
            if (*raw->journal->segment_kib > 1u << 20) {
                ipc_error_set(error, "journal.segment_kib: at most 1048576 (1 GiB)");
                return IPC_BAD_INPUT;
            }
            config->journal_segment_bytes = *raw->journal->segment_kib * 1024u;
        }
    }
    if (raw->limits != NULL)
        limits_take(config, raw->limits);
    if (raw->pacing != NULL) {
        TAKE(config->exit_share, raw->pacing->exit_share);
        TAKE(config->pace_guard_ms, raw->pacing->guard_ms);
        TAKE(config->exit_price_max_age_ms, raw->pacing->exit_price_max_age_ms);
    }
    if (raw->turn != NULL) {
        TAKE(config->replies_per_turn, raw->turn->replies);
        TAKE(config->events_per_turn, raw->turn->events);
        TAKE(config->updates_per_turn, raw->turn->updates);
        TAKE(config->orders_per_look, raw->turn->orders_per_look);
        TAKE(config->turn_budget_us, raw->turn->budget_us);
    }
    if (raw->books != NULL) {
        TAKE(config->books_per_broker, raw->books->per_broker);
        TAKE(config->books_deadline_ms, raw->books->deadline_ms);
    }
    if (raw->controls != NULL &&
        eng_config_controls_take(&config->controls, raw->controls, error) != IPC_OK)
        return IPC_BAD_INPUT;
    if (raw->protection != NULL) {
        enum ipc_rc rc = bands_take("equity", raw->protection->equity,
            raw->protection->equity_count, config->equity_bands, &config->equity_band_count, error);
        if (rc != IPC_OK)
            return rc;
        return bands_take("options", raw->protection->options, raw->protection->options_count,
            config->option_bands, &config->option_band_count, error);
    }
    return IPC_OK;
}

/* libcyaml reports by log lines: the error first, then a backtrace of fields with line numbers.
 * They are joined to one sentence. */
struct log_lines {
    char text[200];
    size_t bytes;
};

static void log_line(cyaml_log_t level, void *context, const char *format, va_list args)
    LS_PRINTF(3, 0);
static void log_line(cyaml_log_t level, void *context, const char *format, va_list args)
{
    struct log_lines *lines = context;
    if (level < CYAML_LOG_ERROR)
        return;
    char line[160];
    (void)vsnprintf(line, sizeof(line), format, args);
    const char *from = strncmp(line, "Load: ", 6) == 0 ? line + 6 : line;
    while (*from == ' ')
        from++;
    if (strncmp(from, "Backtrace", 9) == 0)
        return;
    if (lines->bytes > 0 && lines->bytes + 2 < sizeof(lines->text)) {
        memcpy(lines->text + lines->bytes, ", ", 3);
        lines->bytes += 2;
    }
    while (*from != '\0' && *from != '\n' && lines->bytes + 1 < sizeof(lines->text))
        lines->text[lines->bytes++] = *from++;
    lines->text[lines->bytes] = '\0';
}

enum ipc_rc eng_config_load(struct eng_config *config, const char *path, struct ipc_error *error)
{
    struct log_lines lines = {.bytes = 0};
    const cyaml_config_t settings = {
        .log_fn = log_line,
        .log_ctx = &lines,
        .mem_fn = cyaml_mem,
        .log_level = CYAML_LOG_ERROR,
        .flags = CYAML_CFG_DEFAULT,
    };
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode)) {
        ipc_error_set(error, "configuration %s cannot be read: it is not a file (%m)", path);
        return IPC_SYSTEM;
    }
    struct raw_config *raw = NULL;
    cyaml_err_t result =
        cyaml_load_file(path, &settings, &config_value, (cyaml_data_t **)&raw, NULL);
    if (result == CYAML_ERR_FILE_OPEN) {
        ipc_error_set(error, "configuration %s cannot be read: %m", path);
        return IPC_SYSTEM;
    }
    if (result != CYAML_OK) {
        ipc_error_set(error, "configuration %s: %s (%s)", path, cyaml_strerror(result),
            lines.bytes > 0 ? lines.text : "no detail");
        return IPC_BAD_INPUT;
    }
    /* An empty file is a file without fields: all defaults. */
    struct eng_config draft = *config;
    struct ipc_error inner = {{0}};
    enum ipc_rc rc = raw != NULL ? raw_take(&draft, raw, &inner) : IPC_OK;
    (void)cyaml_free(&settings, &config_value, raw, 0);
    if (rc != IPC_OK) {
        ipc_error_set(error, "configuration %s: %.150s", path, inner.text);
        return rc;
    }
    *config = draft;
    return IPC_OK;
}

struct bound {
    const char *name;
    uint32_t value, low, high;
};

enum ipc_rc eng_config_finish(struct eng_config *config, uint32_t cores, struct ipc_error *error)
{
    LS_CHECK(cores > 0);
    for (const char *c = config->instance; *c != '\0'; c++) {
        if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '-')) {
            ipc_error_set(error, "instance '%s': use lower-case letters, digits and '-' only",
                config->instance);
            return IPC_BAD_INPUT;
        }
    }
    if (config->key_file[0] == '\0') {
        config->key_is_default = true;
        (void)snprintf(
            config->key_file, sizeof(config->key_file), "/etc/lockstep/%s.key", config->instance);
    }
    const struct bound bounds[] = {
        {"instance (length)", (uint32_t)strlen(config->instance), 1, 31},
        {"shard", config->shard, 0, ENG_SHARD_MAX - 1},
        {"cpu.pinned + 1", (uint32_t)(config->pinned_cpu + 1), 0, 1024},
        {"cpu.porter + 1", (uint32_t)(config->porter_cpu + 1), 0, 1024},
        {"cpu.scribe + 1", (uint32_t)(config->scribe_cpu + 1), 0, 1024},
        {"spin_us", config->spin_us, 0, 1000000},
        {"journal.segment_kib", config->journal_segment_bytes / 1024, 256, 1u << 20},
        {"journal.segments", config->journal_segments, 3, 64},
        {"journal.checkpoint_kib", config->checkpoint_kib, 64, 1u << 30},
        {"journal.checkpoint_s", config->checkpoint_s, 1, 86400},
        {"limits.follower_slots", config->follower_slots, 1, 1u << 21},
        {"limits.accounts", config->accounts, 1, 1u << 21},
        {"limits.brokers", config->brokers, 1, 64},
        {"limits.instruments", config->instruments, 1, 1u << 20},
        {"limits.masters", config->masters, 1, 1u << 16},
        {"limits.master_orders", config->master_orders, 16, 1u << 20},
        {"limits.children", config->children, 64, 1u << 25},
        {"limits.positions", config->positions, 16, 1u << 25},
        {"limits.master_positions", config->master_positions, 16, 1u << 20},
        {"limits.token_row_bytes", config->token_row_bytes, 64, 8192},
        {"limits.waves", config->waves, 2, 4096},
        {"limits.connections", config->connections, 1, 1u << 20},
        {"limits.rings", config->rings, 1, 1024},
        {"pacing.exit_share", config->exit_share, 1, 9},
        {"pacing.guard_ms", config->pace_guard_ms, 1, 1000},
        {"pacing.exit_price_max_age_ms", config->exit_price_max_age_ms, 1, 600000},
        {"turn.replies", config->replies_per_turn, 1, 4096},
        {"turn.events", config->events_per_turn, 1, 4096},
        {"turn.updates", config->updates_per_turn, 1, 4096},
        {"turn.orders_per_look", config->orders_per_look, 4, 4096},
        {"turn.budget_us", config->turn_budget_us, 1, 100000},
        {"books.per_broker", config->books_per_broker, 1, 64},
        {"books.deadline_ms", config->books_deadline_ms, 100, 25000},
    };
    for (size_t i = 0; i < LS_COUNT_OF(bounds); i++) {
        if (bounds[i].value < bounds[i].low || bounds[i].value > bounds[i].high) {
            ipc_error_set(error, "%s is %u, but must be between %u and %u", bounds[i].name,
                bounds[i].value, bounds[i].low, bounds[i].high);
            return IPC_BAD_INPUT;
        }
    }
    if (config->token_row_bytes % 8 != 0) {
        ipc_error_set(error, "limits.token_row_bytes must be a multiple of 8");
        return IPC_BAD_INPUT;
    }
    if (config->journal_segment_bytes % 4096 != 0) {
        ipc_error_set(error, "journal.segment_kib must be a multiple of 4");
        return IPC_BAD_INPUT;
    }
    if (config->idle == ENG_IDLE_AUTO)
        config->idle = cores < 4 || config->pinned_cpu < 0 ? ENG_IDLE_ADAPTIVE : ENG_IDLE_SPIN;
    return IPC_OK;
}

static const char *strval_name(const cyaml_strval_t *names, size_t count, int64_t value)
{
    for (size_t i = 0; i < count; i++)
        if (names[i].val == value)
            return names[i].str;
    return "?";
}

const char *eng_idle_name(enum eng_idle idle)
{
    return strval_name(idle_names, LS_COUNT_OF(idle_names), idle);
}

const char *eng_io_name(enum eng_io io)
{
    return strval_name(io_names, LS_COUNT_OF(io_names), io);
}

const char *eng_tier_name(enum eng_tier tier)
{
    return strval_name(tier_names, LS_COUNT_OF(tier_names), tier);
}

bool eng_io_parse(const char *text, enum eng_io *out)
{
    for (size_t i = 0; i < LS_COUNT_OF(io_names); i++) {
        if (strcmp(text, io_names[i].str) == 0) {
            *out = (enum eng_io)io_names[i].val;
            return true;
        }
    }
    return false;
}

void eng_config_core(
    const struct eng_config *config, struct eng_core_limits *limits, struct eng_core_config *core)
{
    *limits = (struct eng_core_limits){
        .account_max = config->accounts,
        .follower_slot_max = config->follower_slots,
        .order_max = config->master_orders,
        .child_max = config->children,
        .position_max = config->positions,
        .master_position_max = config->master_positions,
        .wave_max = config->waves,
        .pace_logs = 2,
    };
    *core = (struct eng_core_config){
        .shard = config->shard,
        .pace_guard_ms = config->pace_guard_ms,
        .exit_share = config->exit_share,
        .exit_price_max_age_ms = config->exit_price_max_age_ms,
        .cash_band_count = config->equity_band_count,
        .option_band_count = config->option_band_count,
        .controls = config->controls,
    };
    memcpy(core->cash_bands, config->equity_bands, sizeof(core->cash_bands));
    memcpy(core->option_bands, config->option_bands, sizeof(core->option_bands));
}
