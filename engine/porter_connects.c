#include <stdio.h>
#include <string.h>

#include "engine/porter_private.h"

#define RESOLVE_KEEP_NS   (60 * LS_NS_PER_S)
#define SAY_AGAIN_NS      (10 * LS_NS_PER_S)
#define RESULTS_PER_ROUND 64u
#define USER_TIMEOUT_MS   2000u

static uint32_t family_index(uint8_t family)
{
    return family == 4 ? 1 : family == 6 ? 2 : 0;
}

/* The name that the certificate must be for: the authority without its port, else the host. */
static void tls_name(const struct ipc_row_broker *row, char *out, size_t out_bytes)
{
    const char *from = row->authority[0] != '\0' ? row->authority : row->host;
    (void)snprintf(out, out_bytes, "%s", from);
    if (row->authority[0] == '\0')
        return;
    if (out[0] == '[') {
        char *end = strchr(out, ']');
        if (end != NULL)
            *end = '\0';
        memmove(out, out + 1, strlen(out));
        return;
    }
    char *colon = strrchr(out, ':');
    if (colon != NULL && strchr(out, ':') == colon)
        *colon = '\0';
}

static void failure_say(
    struct eng_porter *porter, struct porter_broker *broker, const char *sentence, int64_t now_ns)
{
    ipc_metric_add(porter->wiring.telemetry->connect_failures, 1);
    if (strcmp(broker->last_failure, sentence) == 0 &&
        now_ns - broker->last_failure_mono_ns < SAY_AGAIN_NS) {
        broker->failures_unsaid++;
        return;
    }
    if (broker->failures_unsaid > 0)
        ipc_log(IPC_LOG_WARN, "broker '%s': the last failure happened %u more times", broker->name,
            broker->failures_unsaid);
    (void)snprintf(broker->last_failure, sizeof(broker->last_failure), "%s", sentence);
    broker->last_failure_mono_ns = now_ns;
    broker->failures_unsaid = 0;
    ipc_log(IPC_LOG_WARN, "%s", sentence);
}

static void context_retire(struct eng_porter *porter, struct porter_broker *broker)
{
    /* Sessions of attempts in progress still use it: freed when there are none. */
    if (broker->context != NULL) {
        if (porter->old_context_count == PORTER_OLD_CONTEXTS_MAX)
            return; /* keeps the old one in use: the row's change waits for the sweep */
        porter->old_contexts[porter->old_context_count++] = broker->context;
    }
    broker->context = NULL;
    broker->context_failed = false;
}

void porter_brokers_changed(struct eng_porter *porter)
{
    const struct ipc_snapshot_view *view = &porter->generation->view;
    for (uint32_t i = 0; i < ENG_BROKERS_MAX; i++) {
        static const struct ipc_row_broker none;
        const struct ipc_row_broker *row = i < view->broker_count ? &view->brokers[i] : &none;
        struct porter_broker *broker = &porter->brokers[i];
        if (strcmp(broker->host, row->host) == 0 && broker->port == row->port &&
            strcmp(broker->authority, row->authority) == 0 &&
            strcmp(broker->ca_file, row->ca_file) == 0 && strcmp(broker->name, row->name) == 0 &&
            broker->alpn == row->alpn)
            continue;
        context_retire(porter, broker);
        memset(broker->addresses, 0, sizeof(broker->addresses));
        memcpy(broker->host, row->host, sizeof(broker->host));
        memcpy(broker->authority, row->authority, sizeof(broker->authority));
        memcpy(broker->ca_file, row->ca_file, sizeof(broker->ca_file));
        memcpy(broker->name, row->name, sizeof(broker->name));
        broker->port = row->port;
        broker->alpn = row->alpn;
    }
}

void porter_contexts_sweep(struct eng_porter *porter)
{
    if (porter->old_context_count == 0 || eng_connector_in_progress(porter->connector) > 0)
        return;
    for (uint32_t i = 0; i < porter->old_context_count; i++)
        eng_tls_context_free(porter->old_contexts[i]);
    porter->old_context_count = 0;
}

/* What the resolver has found meanwhile. */
static void answers_take(struct eng_porter *porter, int64_t now_mono_ns)
{
    struct eng_resolver_answer answer;
    while (eng_resolver_take(porter->resolver, &answer)) {
        const uint32_t number = answer.question.cookie;
        struct porter_broker *broker = &porter->brokers[number];
        if (strcmp(broker->host, answer.question.host) != 0 || broker->port != answer.question.port)
            continue; /* the row has changed since */
        const uint32_t family = family_index(answer.question.family);
        broker->addresses[family].asked = false;
        if (answer.rc != IPC_OK) {
            broker->addresses[family].failed = true;
            (void)snprintf(broker->addresses[family].failure,
                sizeof(broker->addresses[family].failure), "%.250s", answer.error.text);
            continue;
        }
        broker->addresses[family].address = answer.address;
        broker->addresses[family].bytes = answer.address_bytes;
        broker->addresses[family].resolved_mono_ns = now_mono_ns;
    }
}

const struct sockaddr_storage *porter_address(
    const struct eng_porter *porter, uint16_t number, uint8_t source_family)
{
    const uint32_t family = family_index(source_family);
    return porter->brokers[number].addresses[family].resolved_mono_ns != 0
               ? &porter->brokers[number].addresses[family].address
               : NULL;
}

enum ipc_rc porter_address_find(struct eng_porter *porter, uint16_t number, uint8_t source_family,
    int64_t now_mono_ns, struct ipc_error *error)
{
    struct porter_broker *broker = &porter->brokers[number];
    const uint32_t family = family_index(source_family);
    const int64_t resolved_mono_ns = broker->addresses[family].resolved_mono_ns;
    const bool is_known = resolved_mono_ns != 0;
    if (is_known && now_mono_ns - resolved_mono_ns <= RESOLVE_KEEP_NS)
        return IPC_OK;
    if (eng_resolve_numeric(broker->host, broker->port, source_family,
            &broker->addresses[family].address, &broker->addresses[family].bytes) == IPC_OK) {
        broker->addresses[family].resolved_mono_ns = now_mono_ns;
        return IPC_OK;
    }
    if (broker->addresses[family].failed) {
        broker->addresses[family].failed = false;
        if (!is_known) {
            ipc_error_set(error, "%s", broker->addresses[family].failure);
            return IPC_NOT_FOUND;
        }
        /* It answered once: the old address is better than none, and is asked for again later. */
        failure_say(porter, broker, broker->addresses[family].failure, now_mono_ns);
        broker->addresses[family].resolved_mono_ns = now_mono_ns;
        return IPC_OK;
    }
    if (!broker->addresses[family].asked) {
        struct eng_resolver_question question = {
            .port = broker->port, .family = source_family, .cookie = number};
        (void)snprintf(question.broker, sizeof(question.broker), "%s", broker->name);
        (void)snprintf(question.host, sizeof(question.host), "%s", broker->host);
        broker->addresses[family].asked = eng_resolver_ask(porter->resolver, &question) == IPC_OK;
    }
    return is_known ? IPC_OK : IPC_EMPTY;
}

static enum ipc_rc target_make(struct eng_porter *porter, const struct eng_pool_want *want,
    int64_t now_mono_ns, struct eng_connect_target *target, struct ipc_error *error)
{
    struct porter_broker *broker = &porter->brokers[want->key.broker];
    const struct ipc_row_broker *row = NULL;
    if (porter->generation != NULL && want->key.broker < porter->generation->view.broker_count)
        row = &porter->generation->view.brokers[want->key.broker];
    if (row == NULL || !row->live) {
        ipc_error_set(error, "broker %u is not in the snapshot any more", want->key.broker);
        return IPC_REFUSED;
    }
    if (broker->context == NULL && !broker->context_failed) {
        char name[128];
        tls_name(row, name, sizeof(name));
        enum ipc_rc rc =
            eng_tls_context_make(broker->name, name, row->ca_file, &broker->context, error);
        if (rc != IPC_OK) {
            broker->context = NULL;
            broker->context_failed = true;
            return rc;
        }
        eng_tls_context_offer(broker->context, row->alpn);
    }
    if (broker->context == NULL) {
        ipc_error_set(error, "%.250s", broker->last_failure);
        return IPC_REFUSED;
    }
    const uint32_t family = family_index(want->key.source_family);
    enum ipc_rc rc =
        porter_address_find(porter, want->key.broker, want->key.source_family, now_mono_ns, error);
    if (rc != IPC_OK)
        return rc;
    *target = (struct eng_connect_target){
        .broker = broker->name,
        .context = broker->context,
        .address = broker->addresses[family].address,
        .address_bytes = broker->addresses[family].bytes,
        .source_family = want->key.source_family,
        .user_timeout_ms = USER_TIMEOUT_MS,
        .lane = want->lane,
        .member = want->member,
    };
    memcpy(target->source_address, want->key.source_address, sizeof(target->source_address));
    return IPC_OK;
}

static void failed_tell(struct eng_porter *porter, uint32_t lane, uint32_t member)
{
    struct eng_to_turn message = {.kind = ENG_TO_TURN_FAILED, .lane = lane, .member = member};
    LS_CHECK(porter_tell(porter, &message));
}

void porter_want_refuse(struct eng_porter *porter, const struct eng_pool_want *want)
{
    failed_tell(porter, want->lane, want->member);
}

/* Returns IPC_OK when the want is answered or under way; IPC_FULL when the connector is full,
 * IPC_EMPTY while the broker's address is being asked for: the want stays. */
static enum ipc_rc want_start(
    struct eng_porter *porter, const struct eng_pool_want *want, int64_t now_mono_ns)
{
    struct eng_connect_target target;
    struct ipc_error error = {{0}};
    porter->lane_broker[want->lane] = want->key.broker;
    enum ipc_rc rc = target_make(porter, want, now_mono_ns, &target, &error);
    if (rc == IPC_OK)
        rc = eng_connect_start(porter->connector, &target, now_mono_ns, &error);
    if (rc == IPC_FULL || rc == IPC_EMPTY)
        return rc;
    ipc_metric_add(porter->wiring.telemetry->connects, 1);
    if (rc != IPC_OK) {
        failure_say(porter, &porter->brokers[want->key.broker], error.text, now_mono_ns);
        failed_tell(porter, want->lane, want->member);
    }
    return IPC_OK;
}

uint32_t porter_connects_run(struct eng_porter *porter, int64_t now_mono_ns)
{
    struct eng_connect_result results[RESULTS_PER_ROUND];
    uint32_t kept = 0, started = 0;
    answers_take(porter, now_mono_ns);
    /* Each start may fail at once and be answered: room for that, and for attached ones, first. A
     * want that must wait does not hold up those behind it, which may be of another broker. */
    bool is_full = false;
    for (uint32_t i = 0; i < porter->want_count; i++) {
        enum ipc_rc rc = IPC_FULL;
        is_full |= ipc_queue_room(&porter->wiring.link->to_turn) <=
                   porter->wiring.config->connections + 64;
        if (!is_full)
            rc = want_start(porter, &porter->wants[i], now_mono_ns);
        is_full |= rc == IPC_FULL;
        if (rc == IPC_OK)
            started++;
        else
            porter->wants[kept++] = porter->wants[i];
    }
    porter->want_count = kept;
    uint32_t count = eng_connect_run(porter->connector, now_mono_ns, 0, results, RESULTS_PER_ROUND);
    for (uint32_t i = 0; i < count; i++) {
        const struct eng_connect_result *result = &results[i];
        if (result->connection == NULL) {
            failure_say(porter, &porter->brokers[porter->lane_broker[result->lane]],
                result->error.text, now_mono_ns);
            failed_tell(porter, result->lane, result->member);
            continue;
        }
        struct eng_to_turn message = {
            .kind = ENG_TO_TURN_ATTACH,
            .connection = result->connection,
            .lane = result->lane,
            .member = result->member,
        };
        LS_CHECK(porter_tell(porter, &message));
        porter->handed++;
    }
    return started + count;
}
