#include "adapters/sim/faults.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *outcome;
} kinds[ADP_SIM_FAULT_COUNT] = {
#define X(name, word, outcome) [name] = {word, outcome},
    ADP_SIM_FAULT_LIST(X)
#undef X
};

static const char *const bodies[ADP_SIM_BODY_COUNT] = {
    "json", "original", "truncated", "html", "garbage", "empty"};

static const struct {
    const char *name;
    uint32_t code;
} h2_errors[] = {{"NO_ERROR", 0}, {"PROTOCOL_ERROR", 1}, {"INTERNAL_ERROR", 2},
    {"FLOW_CONTROL_ERROR", 3}, {"SETTINGS_TIMEOUT", 4}, {"STREAM_CLOSED", 5},
    {"FRAME_SIZE_ERROR", 6}, {"REFUSED_STREAM", 7}, {"CANCEL", 8}, {"COMPRESSION_ERROR", 9},
    {"CONNECT_ERROR", 10}, {"ENHANCE_YOUR_CALM", 11}, {"INADEQUATE_SECURITY", 12},
    {"HTTP_1_1_REQUIRED", 13}};

const char *adp_sim_fault_name(enum adp_sim_fault_kind kind)
{
    return kinds[kind].name;
}

const char *adp_sim_fault_outcome(enum adp_sim_fault_kind kind)
{
    return kinds[kind].outcome;
}

/* ---- reading rules
 * ---------------------------------------------------------------------------------------------- */

/* One object being read: the first thing wrong with it stays in error. */
struct reading {
    const json_t *object;
    const char *where; /* "match" or "action" */
    char *error;
    size_t error_bytes;
    bool failed;
};

static void fail(struct reading *reading, const char *key, const char *wanted)
{
    if (!reading->failed)
        snprintf(reading->error, reading->error_bytes, "%s.%s: %s", reading->where, key, wanted);
    reading->failed = true;
}

static int64_t read_int(
    struct reading *reading, const char *key, int64_t absent, int64_t min, int64_t max)
{
    const json_t *value = json_object_get(reading->object, key);
    if (value == NULL)
        return absent;
    if (!json_is_integer(value) || json_integer_value(value) < min ||
        json_integer_value(value) > max) {
        char wanted[96];
        snprintf(wanted, sizeof(wanted), "must be a whole number of %lld to %lld", (long long)min,
            (long long)max);
        fail(reading, key, wanted);
        return absent;
    }
    return json_integer_value(value);
}

static int64_t read_ms(struct reading *reading, const char *key, int64_t absent_ns)
{
    int64_t ms = read_int(reading, key, -1, 0, 3600000);
    return ms < 0 ? absent_ns : ms * LS_NS_PER_MS;
}

static bool read_bool(struct reading *reading, const char *key, bool absent)
{
    const json_t *value = json_object_get(reading->object, key);
    if (value == NULL)
        return absent;
    if (!json_is_boolean(value))
        fail(reading, key, "must be true or false");
    return json_is_true(value);
}

static const char *read_string(struct reading *reading, const char *key, size_t longest)
{
    const json_t *value = json_object_get(reading->object, key);
    if (value == NULL)
        return "";
    if (!json_is_string(value) || strlen(json_string_value(value)) > longest) {
        fail(reading, key, "must be a string of acceptable length");
        return "";
    }
    return json_string_value(value);
}

static void check_keys(struct reading *reading, const char *const *known, size_t count)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)reading->object, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < count; i++)
            found = found || strcmp(known[i], key) == 0;
        if (!found)
            fail(reading, key, "is not a field; see adapters/sim/README.md");
    }
}

static void read_where(struct reading *reading, struct adp_sim_fault *out)
{
    const char *path = read_string(reading, "path", 31);
    if (path[0] == '\0' || strcmp(path, "*") == 0) {
        out->where = ADP_SIM_WHERE_ANY;
    } else if (strcmp(path, "orders") == 0) {
        out->where = ADP_SIM_WHERE_ORDERS;
    } else if (strcmp(path, "reads") == 0) {
        out->where = ADP_SIM_WHERE_READS;
    } else if (strcmp(path, "@connect") == 0) {
        out->where = ADP_SIM_WHERE_CONNECT;
    } else if (strcmp(path, "@now") == 0) {
        out->where = ADP_SIM_WHERE_NOW;
    } else {
        out->where = ADP_SIM_WHERE_PATH;
        for (int i = 1; i < ADP_SIM_PATH_COUNT; i++) {
            if (strcmp(adp_sim_path_name((enum adp_sim_path)i), path) == 0)
                out->path = (enum adp_sim_path)i;
        }
        if (out->path == ADP_SIM_PATH_UNKNOWN)
            fail(reading, "path",
                "must be one of placeorder, modify, cancel, book, history, trades, positions, "
                "holdings, "
                "limits, orders, reads, *, @connect, @now");
    }
}

static void read_match(struct reading *reading, struct adp_sim_fault *out)
{
    static const char *const known[] = {
        "account", "path", "connection", "nth", "every", "times", "probability"};
    check_keys(reading, known, LS_COUNT_OF(known));
    snprintf(out->account, sizeof(out->account), "%s", read_string(reading, "account", 31));
    read_where(reading, out);
    out->connection = (uint64_t)read_int(reading, "connection", 0, 0, INT64_MAX);
    out->nth = (uint64_t)read_int(reading, "nth", 0, 1, INT64_MAX);
    out->every = (uint64_t)read_int(reading, "every", 0, 1, INT64_MAX);
    out->times = (uint64_t)read_int(reading, "times", 0, 1, INT64_MAX);
    out->probability_ppm = 1000000;
    const json_t *probability = json_object_get(reading->object, "probability");
    if (probability != NULL) {
        double value = json_number_value(probability);
        if (!json_is_number(probability) || !(value >= 0 && value <= 1))
            fail(reading, "probability", "must be a number of 0 to 1");
        else
            out->probability_ppm = (uint32_t)(value * 1000000 + 0.5);
    }
}

static void read_error_code(struct reading *reading, struct adp_sim_fault *out)
{
    const json_t *value = json_object_get(reading->object, "code");
    if (json_is_string(value)) {
        for (size_t i = 0; i < LS_COUNT_OF(h2_errors); i++) {
            if (strcmp(h2_errors[i].name, json_string_value(value)) == 0) {
                out->error_code = h2_errors[i].code;
                return;
            }
        }
        fail(reading, "code", "is not the name of an HTTP/2 error, such as REFUSED_STREAM");
        return;
    }
    out->error_code = (uint32_t)read_int(
        reading, "code", out->kind == ADP_SIM_FAULT_RST_STREAM ? 2 : 0, 0, UINT32_MAX);
}

static void read_last_stream(struct reading *reading, struct adp_sim_fault *out)
{
    const json_t *value = json_object_get(reading->object, "last_stream");
    const char *word = json_string_value(value);
    if (value == NULL || (word != NULL && strcmp(word, "this") == 0))
        out->last = ADP_SIM_LAST_THIS;
    else if (word != NULL && strcmp(word, "before") == 0)
        out->last = ADP_SIM_LAST_BEFORE;
    else if (word != NULL && strcmp(word, "all") == 0)
        out->last = ADP_SIM_LAST_ALL;
    else if (json_is_integer(value)) {
        out->last = ADP_SIM_LAST_NUMBER;
        out->last_stream = (int32_t)read_int(reading, "last_stream", 0, 0, INT32_MAX);
    } else {
        fail(reading, "last_stream", "must be \"this\", \"before\", \"all\" or a stream number");
    }
}

static void read_reply(struct reading *reading, struct adp_sim_fault *out)
{
    const char *body = read_string(reading, "body", 15);
    out->status = (int)read_int(
        reading, "status", out->kind == ADP_SIM_FAULT_TOKEN_EXPIRED ? 401 : 500, 200, 599);
    out->body = ADP_SIM_BODY_COUNT;
    for (int i = 0; i < ADP_SIM_BODY_COUNT; i++) {
        if (strcmp(body[0] == '\0' ? "json" : body, bodies[i]) == 0)
            out->body = (enum adp_sim_fault_body)i;
    }
    if (out->body == ADP_SIM_BODY_COUNT)
        fail(reading, "body", "must be one of json, original, truncated, html, garbage, empty");
    snprintf(out->location, sizeof(out->location), "%s", read_string(reading, "location", 127));
    out->retry_after_s = (uint32_t)read_int(reading, "retry_after_s", 0, 0, 86400);
}

static void read_action(struct reading *reading, struct adp_sim_fault *out)
{
    static const char *const known[] = {"kind", "accept", "answer", "sticky", "delay_ms",
        "restore_after_ms", "close_after_ms", "status", "body", "location", "retry_after_s", "code",
        "last_stream", "header_table_size", "initial_window_size", "max_concurrent_streams",
        "bytes", "every_ms"};
    const char *kind = read_string(reading, "kind", 31);
    bool found = false;

    check_keys(reading, known, LS_COUNT_OF(known));
    for (int i = 1; i < ADP_SIM_FAULT_COUNT; i++) {
        if (strcmp(kinds[i].name, kind) == 0) {
            out->kind = (enum adp_sim_fault_kind)i;
            found = true;
        }
    }
    if (!found)
        fail(reading, "kind", "is not a fault; see adapters/sim/README.md for their names");
    /* A reply of the broker's own error says by itself that nothing was done; the silent faults did
     * the work. */
    bool accepts = out->kind != ADP_SIM_FAULT_REPLY && out->kind != ADP_SIM_FAULT_TOKEN_EXPIRED;
    read_last_stream(reading, out);
    if (out->kind == ADP_SIM_FAULT_GOAWAY && out->last == ADP_SIM_LAST_BEFORE)
        accepts = false;
    out->accept = read_bool(reading, "accept", accepts);
    out->answer = read_bool(reading, "answer", false);
    out->sticky = read_bool(reading, "sticky", false);
    out->delay_ns = read_ms(reading, "delay_ms", 0);
    out->restore_ns = read_ms(reading, "restore_after_ms", -1);
    out->close_ns = read_ms(reading, "close_after_ms", -1);
    read_reply(reading, out);
    read_error_code(reading, out);
    out->header_table_bytes =
        (uint32_t)read_int(reading, "header_table_size", UINT32_MAX, 0, 1 << 20);
    out->initial_window_bytes =
        (uint32_t)read_int(reading, "initial_window_size", UINT32_MAX, 0, INT32_MAX);
    out->max_concurrent_streams =
        (uint32_t)read_int(reading, "max_concurrent_streams", UINT32_MAX, 0, INT32_MAX);
    out->drip_bytes = (uint32_t)read_int(reading, "bytes", 1, 1, 1 << 20);
    out->drip_every_ns = read_ms(reading, "every_ms", 100 * LS_NS_PER_MS);
    if (out->kind == ADP_SIM_FAULT_DRIP && out->drip_every_ns == 0)
        fail(reading, "every_ms", "must be at least 1");
}

bool adp_sim_fault_parse(
    const json_t *rule, struct adp_sim_fault *out, char *error, size_t error_bytes)
{
    static const char *const known[] = {"match", "action"};
    struct reading whole = {
        .object = rule, .where = "rule", .error = error, .error_bytes = error_bytes};
    struct reading match = whole, action = whole;

    memset(out, 0, sizeof(*out));
    if (!json_is_object(rule)) {
        snprintf(error, error_bytes, "a rule must be an object with \"match\" and \"action\"");
        return false;
    }
    check_keys(&whole, known, LS_COUNT_OF(known));
    match.object = json_object_get(rule, "match");
    match.where = "match";
    action.object = json_object_get(rule, "action");
    action.where = "action";
    if (!whole.failed && match.object != NULL && !json_is_object(match.object))
        fail(&whole, "match", "must be an object");
    if (!whole.failed && !json_is_object(action.object))
        fail(&whole, "action", "must be an object");
    if (whole.failed)
        return false;
    read_match(&match, out);
    if (match.failed)
        return false;
    read_action(&action, out);
    if (action.failed)
        return false;
    bool on_connection = out->kind == ADP_SIM_FAULT_SETTINGS || out->kind == ADP_SIM_FAULT_GOAWAY ||
                         out->kind == ADP_SIM_FAULT_NO_PING || out->kind == ADP_SIM_FAULT_FREEZE ||
                         out->kind == ADP_SIM_FAULT_RESET;
    bool about_account =
        out->kind == ADP_SIM_FAULT_TOKEN_EXPIRED || out->kind == ADP_SIM_FAULT_BOOK_LAG;
    if (out->where == ADP_SIM_WHERE_CONNECT && !on_connection) {
        fail(&match, "path", "@connect goes with settings, goaway, no_ping, freeze and reset only");
        return false;
    }
    if (out->where == ADP_SIM_WHERE_NOW && !on_connection &&
        !(about_account && out->account[0] != '\0')) {
        fail(&match, "path",
            "@now goes with settings, goaway, no_ping, freeze and reset, and, with an account, "
            "with "
            "token_expired and book_lag");
        return false;
    }
    return true;
}

/* ---- picking
 * ----------------------------------------------------------------------------------------------------
 */

bool adp_sim_faults_add(struct adp_sim_faults *faults, const struct adp_sim_fault *rule)
{
    if (faults->count == ADP_SIM_RULES_MAX)
        return false;
    struct adp_sim_fault *added = &faults->rules[faults->count];
    *added = *rule;
    added->seen = added->fired = 0;
    added->prng.state = faults->seed * UINT64_C(0x2545f4914f6cdd1d) + faults->count + 1;
    faults->count++;
    return true;
}

static bool matches(const struct adp_sim_fault *rule, const char *account,
    enum adp_sim_fault_where where, enum adp_sim_path path, uint64_t connection)
{
    if (rule->account[0] != '\0' && strcmp(rule->account, account) != 0)
        return false;
    if (rule->connection != 0 && rule->connection != connection)
        return false;
    if ((where == ADP_SIM_WHERE_CONNECT) != (rule->where == ADP_SIM_WHERE_CONNECT))
        return false;
    switch (rule->where) {
    case ADP_SIM_WHERE_ANY:
    case ADP_SIM_WHERE_CONNECT:
        return true;
    case ADP_SIM_WHERE_ORDERS:
        return adp_sim_path_is_order(path);
    case ADP_SIM_WHERE_READS:
        return path != ADP_SIM_PATH_UNKNOWN && !adp_sim_path_is_order(path);
    case ADP_SIM_WHERE_PATH:
        return rule->path == path;
    case ADP_SIM_WHERE_NOW:
        return false;
    }
    return false;
}

const struct adp_sim_fault *adp_sim_faults_pick(struct adp_sim_faults *faults, const char *account,
    enum adp_sim_fault_where where, enum adp_sim_path path, uint64_t connection)
{
    struct adp_sim_fault *picked = NULL;
    for (uint32_t i = 0; i < faults->count; i++) {
        struct adp_sim_fault *rule = &faults->rules[i];
        if (!matches(rule, account, where, path, connection))
            continue;
        /* Every matching rule counts the request, whichever fires, so that rules do not shift each
         * other. */
        rule->seen++;
        bool fires = (rule->nth == 0 || rule->seen == rule->nth) &&
                     (rule->every == 0 || rule->seen % rule->every == 0) &&
                     (rule->times == 0 || rule->fired < rule->times);
        if (rule->probability_ppm < 1000000 &&
            adp_sim_prng_below(&rule->prng, 1000000) >= rule->probability_ppm)
            fires = false;
        if (fires && picked == NULL) {
            rule->fired++;
            picked = rule;
        }
    }
    return picked;
}

void adp_sim_faults_write(const struct adp_sim_faults *faults, struct adp_sim_text *out)
{
    adp_sim_text_printf(out, "{\"seed\":%llu,\"rules\":[", (unsigned long long)faults->seed);
    for (uint32_t i = 0; i < faults->count; i++) {
        const struct adp_sim_fault *rule = &faults->rules[i];
        static const char *const wheres[] = {"*", "orders", "reads", "", "@connect", "@now"};
        const char *path =
            rule->where == ADP_SIM_WHERE_PATH ? adp_sim_path_name(rule->path) : wheres[rule->where];
        adp_sim_text_printf(out,
            "%s{\"kind\":\"%s\",\"path\":\"%s\",\"account\":", i == 0 ? "" : ",",
            kinds[rule->kind].name, path);
        adp_sim_text_quote(out, rule->account);
        adp_sim_text_printf(out,
            ",\"nth\":%llu,\"every\":%llu,\"times\":%llu,\"probability_ppm\":%u,\"accept\":%s,"
            "\"seen\":%llu,\"fired\":%llu}",
            (unsigned long long)rule->nth, (unsigned long long)rule->every,
            (unsigned long long)rule->times, rule->probability_ppm, rule->accept ? "true" : "false",
            (unsigned long long)rule->seen, (unsigned long long)rule->fired);
    }
    adp_sim_text_put(out, "]}");
}
