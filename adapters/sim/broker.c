#include "adapters/sim/broker.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BOOK_TIMER_NS LS_NS_PER_MS

static const char html_page[] =
    "<!DOCTYPE html><html><head><title>Error</title></head><body><center><h1>The web server "
    "reported an error</h1></center><hr><center>cloudflare</center></body></html>";
static const char garbage[] = "{\"status\":\"Ok\",\"result\":[{\"brokerOrderId\":2505\x01\xff{]}";

/* ---- latency and time
 * ------------------------------------------------------------------------------------------- */

static int64_t sample_latency(struct adp_sim_broker *broker)
{
    const struct adp_sim_latency *latency = &broker->latency;
    if (latency->mean_ns <= latency->min_ns)
        return latency->min_ns;
    double uniform = ((double)(adp_sim_prng_next(&broker->prng) >> 11) + 1.0) / 9007199254740993.0;
    double spread = -log(uniform) * (double)(latency->mean_ns - latency->min_ns);
    double ceiling = 20.0 * (double)latency->mean_ns;
    return latency->min_ns + (int64_t)(spread > ceiling ? ceiling : spread);
}

struct tick {
    struct adp_sim_broker *broker;
};

static void advance_book(void *context)
{
    struct tick *tick = context;
    adp_sim_book_advance(tick->broker->book, adp_sim_mono_ns(), adp_sim_wall_ns());
    adp_sim_net_after(tick->broker->net, BOOK_TIMER_NS, advance_book, tick);
}

/* ---- faults on connections
 * -------------------------------------------------------------------------------------- */

struct restore {
    struct adp_sim_broker *broker;
    uint64_t connection;
    enum adp_sim_fault_kind kind;
    struct adp_sim_settings_change settings;
};

static void restore(void *context)
{
    struct restore *later = context;
    if (later->kind == ADP_SIM_FAULT_SETTINGS)
        adp_sim_net_settings(later->broker->net, later->connection, &later->settings);
    else if (later->kind == ADP_SIM_FAULT_FREEZE)
        adp_sim_net_freeze(later->broker->net, later->connection, false);
    else
        adp_sim_net_no_ping(later->broker->net, later->connection, false);
    free(later);
}

static void restore_after(struct adp_sim_broker *broker, const struct adp_sim_fault *fault,
    uint64_t connection, const struct adp_sim_settings_change *before)
{
    if (fault->restore_ns < 0)
        return;
    struct restore *later = malloc(sizeof(*later));
    LS_CHECK(later != NULL);
    *later = (struct restore){.broker = broker, .connection = connection, .kind = fault->kind};
    if (before != NULL)
        later->settings = *before;
    adp_sim_net_after(broker->net, fault->restore_ns, restore, later);
}

static void change_settings(
    struct adp_sim_broker *broker, const struct adp_sim_fault *fault, uint64_t connection)
{
    const struct adp_sim_h2_settings *usual = adp_sim_net_usual_settings(broker->net);
    struct adp_sim_settings_change change = {
        fault->header_table_bytes, fault->initial_window_bytes, fault->max_concurrent_streams};
    struct adp_sim_settings_change back = {
        change.header_table_bytes == UINT32_MAX ? UINT32_MAX : usual->header_table_bytes,
        change.initial_window_bytes == UINT32_MAX ? UINT32_MAX : usual->initial_window_bytes,
        change.max_concurrent_streams == UINT32_MAX ? UINT32_MAX : usual->max_concurrent_streams};
    adp_sim_net_settings(broker->net, connection, &change);
    restore_after(broker, fault, connection, &back);
}

/* Faults that are about the connection; connection 0 means all. */
static void apply_to_connection(struct adp_sim_broker *broker, const struct adp_sim_fault *fault,
    uint64_t connection, int32_t stream)
{
    int32_t last = -1;
    if (fault->last == ADP_SIM_LAST_NUMBER)
        last = fault->last_stream;
    else if (fault->last != ADP_SIM_LAST_ALL && stream > 0)
        last = fault->last == ADP_SIM_LAST_THIS ? stream : stream - 2 > 0 ? stream - 2 : 0;

    if (fault->kind == ADP_SIM_FAULT_SETTINGS) {
        change_settings(broker, fault, connection);
    } else if (fault->kind == ADP_SIM_FAULT_GOAWAY) {
        adp_sim_net_goaway(broker->net, connection, last, fault->error_code, fault->close_ns);
    } else if (fault->kind == ADP_SIM_FAULT_NO_PING) {
        adp_sim_net_no_ping(broker->net, connection, true);
        restore_after(broker, fault, connection, NULL);
    } else if (fault->kind == ADP_SIM_FAULT_FREEZE) {
        adp_sim_net_freeze(broker->net, connection, true);
        restore_after(broker, fault, connection, NULL);
    } else if (fault->kind == ADP_SIM_FAULT_RESET) {
        adp_sim_net_reset(broker->net, connection);
    }
}

static void on_connect(struct adp_sim_conn *conn, void *context)
{
    struct adp_sim_broker *broker = context;
    uint64_t connection = adp_sim_net_number(conn);
    const struct adp_sim_fault *fault = adp_sim_faults_pick(
        &broker->faults, "", ADP_SIM_WHERE_CONNECT, ADP_SIM_PATH_UNKNOWN, connection);
    if (fault == NULL)
        return;
    broker->faults_fired[fault->kind]++;
    apply_to_connection(broker, fault, connection, 0);
}

/* A session that is over ends its sockets as well. */
static void expire(struct adp_sim_broker *broker, uint32_t account)
{
    broker->members.rows[account].expired = true;
    if (broker->api.push != NULL)
        adp_sim_push_set_session(broker->api.push, account, NULL);
}

bool adp_sim_broker_apply_now(struct adp_sim_broker *broker, const struct adp_sim_fault *fault)
{
    uint32_t account = ADP_SIM_NONE;
    if (fault->account[0] != '\0') {
        account = adp_sim_book_find_account(broker->book, fault->account);
        if (account == ADP_SIM_NONE)
            return false;
    }
    broker->faults_fired[fault->kind]++;
    if (fault->kind == ADP_SIM_FAULT_TOKEN_EXPIRED)
        expire(broker, account);
    else if (fault->kind == ADP_SIM_FAULT_BOOK_LAG)
        broker->members.rows[account].book_lag_ns = fault->delay_ns;
    else
        apply_to_connection(broker, fault, fault->connection, 0);
    return true;
}

/* ---- one request
 * ------------------------------------------------------------------------------------------------
 */

/* What is remembered of a request that is carried out late. */
struct note {
    enum adp_sim_path path;
    uint32_t account;
    bool answer;
};

static uint32_t account_of(const struct adp_sim_broker *broker, const struct adp_sim_call *call)
{
    if (strncmp(call->authorization, "Bearer ", 7) != 0)
        return ADP_SIM_NONE;
    return adp_sim_members_find(&broker->members, call->authorization + 7);
}

/* Records the orders of a request that is refused before the book sees it. */
static void refuse(struct adp_sim_broker *broker, struct adp_sim_call *call, enum adp_sim_path path,
    uint32_t account, int code, const char *outcome)
{
    if (adp_sim_path_is_order(path))
        adp_sim_api_run(&broker->api, call, path, account, code, outcome);
}

static void answer_json(struct adp_sim_call *call, int status, const char *body)
{
    call->status = status;
    call->content_type = "application/json";
    call->answer.length = 0;
    adp_sim_text_put(&call->answer, body);
}

/* The broker's own checks and work. refusal: of a fault that keeps the broker from accepting. */
static void run(struct adp_sim_broker *broker, struct adp_sim_call *call, enum adp_sim_path path,
    uint32_t account, const char *outcome)
{
    if (account == ADP_SIM_NONE || broker->members.rows[account].expired) {
        broker->unauthorized++;
        refuse(broker, call, path, account, 87, outcome);
        adp_sim_api_error(&broker->api, call, 401, 87);
        return;
    }
    if (!adp_sim_path_is_order(path)) {
        if (!adp_sim_members_take_read(&broker->members, account, call->wall_ns)) {
            broker->rate_limited++;
            call->retry_after_s = 60;
            answer_json(call, 429, "{\"status\":\"Not_ok\",\"message\":\"Too many requests\"}");
            return;
        }
        adp_sim_api_run(&broker->api, call, path, account, 0, outcome);
        return;
    }
    if (!adp_sim_members_may_order(&broker->members, account, call->address_text)) {
        broker->address_refused++;
        refuse(broker, call, path, account, ADP_SIM_CODE_ADDRESS, outcome);
        adp_sim_api_error(&broker->api, call, 200, ADP_SIM_CODE_ADDRESS);
        return;
    }
    uint32_t calls = 1;
    enum adp_sim_exchange exchange = adp_sim_api_exchange(&broker->api, call, path, &calls);
    if (!adp_sim_members_take_orders(&broker->members, account, exchange, calls, call->wall_ns)) {
        broker->rate_limited++;
        refuse(broker, call, path, account, ADP_SIM_CODE_RATE, outcome);
        call->retry_after_s = 1;
        answer_json(call, 429, "{\"status\":\"Not_ok\",\"message\":\"Too many requests\"}");
        return;
    }
    if (broker->members.rows[account].read_only) {
        refuse(broker, call, path, account, 86, outcome);
        adp_sim_api_error(&broker->api, call, 200, 86);
        return;
    }
    adp_sim_api_run(&broker->api, call, path, account, 0, outcome);
}

static void scripted_reply(
    struct adp_sim_broker *broker, struct adp_sim_call *call, const struct adp_sim_fault *fault)
{
    int status = fault->status;
    memcpy(call->location, fault->location, sizeof(call->location));
    call->retry_after_s = fault->retry_after_s;
    if (fault->body == ADP_SIM_BODY_JSON && status == 429)
        answer_json(call, 429, "{\"status\":\"Not_ok\",\"message\":\"Too many requests\"}");
    else if (fault->body == ADP_SIM_BODY_JSON)
        adp_sim_api_error(&broker->api, call, status, 3);
    else if (fault->body == ADP_SIM_BODY_HTML)
        answer_json(call, status, html_page);
    else if (fault->body == ADP_SIM_BODY_GARBAGE)
        answer_json(call, status, garbage);
    else if (fault->body == ADP_SIM_BODY_EMPTY)
        answer_json(call, status, "");
    else if (fault->body == ADP_SIM_BODY_TRUNCATED)
        call->answer.length /= 2;
    if (fault->body == ADP_SIM_BODY_HTML)
        call->content_type = "text/html; charset=UTF-8";
    call->status = status;
}

/* Carries out a fault on a request whose answer, if it was accepted, stands in the call. */
static void then(struct adp_sim_broker *broker, struct adp_sim_call *call,
    const struct adp_sim_fault *fault, uint32_t account)
{
    switch (fault->kind) {
    case ADP_SIM_FAULT_DELAY:
        call->delay_ns += fault->delay_ns;
        break;
    case ADP_SIM_FAULT_DROP_REPLY:
        call->then = ADP_SIM_THEN_NEVER;
        break;
    case ADP_SIM_FAULT_RESET:
        call->then = ADP_SIM_THEN_RESET;
        call->delay_ns += fault->delay_ns;
        break;
    case ADP_SIM_FAULT_REPLY:
        scripted_reply(broker, call, fault);
        call->delay_ns += fault->delay_ns;
        break;
    case ADP_SIM_FAULT_RST_STREAM:
        call->then = ADP_SIM_THEN_RST_STREAM;
        call->error_code = fault->error_code;
        call->delay_ns += fault->delay_ns;
        break;
    case ADP_SIM_FAULT_DRIP:
        call->drip_bytes = fault->drip_bytes;
        call->drip_every_ns = fault->drip_every_ns;
        break;
    case ADP_SIM_FAULT_TOKEN_EXPIRED:
        if (fault->sticky && account != ADP_SIM_NONE)
            expire(broker, account);
        adp_sim_api_error(&broker->api, call, fault->status, 87);
        break;
    case ADP_SIM_FAULT_BOOK_LAG:
        if (account != ADP_SIM_NONE)
            broker->members.rows[account].book_lag_ns = fault->delay_ns;
        break;
    case ADP_SIM_FAULT_GOAWAY:
        apply_to_connection(broker, fault, call->connection, call->stream);
        if (!fault->accept)
            call->then = ADP_SIM_THEN_NEVER;
        break;
    case ADP_SIM_FAULT_SETTINGS:
    case ADP_SIM_FAULT_NO_PING:
    case ADP_SIM_FAULT_FREEZE:
        apply_to_connection(broker, fault, call->connection, call->stream);
        break;
    case ADP_SIM_FAULT_LATE_ACCEPT:
    case ADP_SIM_FAULT_NONE:
    case ADP_SIM_FAULT_COUNT:
        break;
    }
}

static void begin_late(struct adp_sim_call *call, enum adp_sim_path path, uint32_t account,
    const struct adp_sim_fault *fault)
{
    struct note *note = malloc(sizeof(*note));
    LS_CHECK(note != NULL);
    *note = (struct note){.path = path, .account = account, .answer = fault->answer};
    call->note = note;
    call->then = ADP_SIM_THEN_RUN_AGAIN;
    call->delay_ns = fault->delay_ns;
}

static void finish_late(struct adp_sim_broker *broker, struct adp_sim_call *call)
{
    struct note note = *(struct note *)call->note;
    free(call->note);
    call->note = NULL;
    call->then = note.answer ? ADP_SIM_THEN_ANSWER : ADP_SIM_THEN_NEVER;
    run(broker, call, note.path, note.account, adp_sim_fault_outcome(ADP_SIM_FAULT_LATE_ACCEPT));
}

void adp_sim_broker_call(struct adp_sim_call *call, void *context)
{
    struct adp_sim_broker *broker = context;
    if (call->note != NULL) {
        finish_late(broker, call);
        return;
    }
    bool method_ok;
    enum adp_sim_path path = adp_sim_api_path(call, &method_ok);
    broker->requests_by_path[path]++;
    if (path == ADP_SIM_PATH_UNKNOWN || !method_ok) {
        answer_json(call, path == ADP_SIM_PATH_UNKNOWN ? 404 : 405,
            path == ADP_SIM_PATH_UNKNOWN ? "{\"status\":404,\"error\":\"Not Found\"}"
                                         : "{\"status\":405,\"error\":\"Method Not Allowed\"}");
        return;
    }
    uint32_t account = account_of(broker, call);
    call->delay_ns = sample_latency(broker);
    const struct adp_sim_fault *fault = adp_sim_faults_pick(&broker->faults,
        account == ADP_SIM_NONE ? "" : adp_sim_book_account(broker->book, account)->id,
        ADP_SIM_WHERE_PATH, path, call->connection);
    if (fault == NULL) {
        run(broker, call, path, account, NULL);
        return;
    }
    broker->faults_fired[fault->kind]++;
    if (fault->kind == ADP_SIM_FAULT_LATE_ACCEPT) {
        begin_late(call, path, account, fault);
        return;
    }
    const char *outcome = adp_sim_fault_outcome(fault->kind);
    if (fault->accept) {
        run(broker, call, path, account, outcome);
    } else {
        refuse(broker, call, path, account, ADP_SIM_CODE_FAULT, outcome);
        adp_sim_api_error(&broker->api, call, 500, 3);
    }
    then(broker, call, fault, account);
}

void adp_sim_broker_start(struct adp_sim_broker *broker)
{
    adp_sim_net_on_connect(broker->net, on_connect, broker);
    if (adp_sim_book_has_latency(broker->book)) {
        struct tick *tick = malloc(sizeof(*tick));
        LS_CHECK(tick != NULL);
        tick->broker = broker;
        adp_sim_net_after(broker->net, BOOK_TIMER_NS, advance_book, tick);
    }
}
