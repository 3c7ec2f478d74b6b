/* The brokers: nghttp2's server sessions before the simulator's own API and book, and what goes
 * wrong between a request that arrived and the answer that should have left. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/tag.h"
#include "tests/sim/sim.h"

static struct sim_call *call_of(nghttp2_session *session, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(session, stream);
}

struct session_user {
    struct sim *sim;
    struct sim_connection *connection;
};

/* ---- a request as it arrives ----------------------------------------------------------------- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct session_user *user = user_data;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct sim_broker *broker = &user->sim->brokers[user->connection->broker];
    struct sim_call *call = calloc(1, sizeof(*call));
    LS_CHECK(call != NULL);
    call->connection = user->connection;
    call->run_ns = call->answer_ns = SIM_NEVER;
    call->call.stream = frame->hd.stream_id;
    call->call.connection = user->connection->number;
    call->next = broker->calls;
    broker->calls = call;
    return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call);
}

static void take(char *out, size_t room, const uint8_t *value, size_t bytes)
{
    if (bytes >= room)
        bytes = room - 1;
    memcpy(out, value, bytes);
    out[bytes] = '\0';
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags, void *user_data)
{
    struct sim_call *call = call_of(session, frame->hd.stream_id);
    (void)flags, (void)user_data;
    if (call == NULL)
        return 0;
    if (name_bytes == 5 && memcmp(name, ":path", 5) == 0)
        take(call->call.path, sizeof(call->call.path), value, value_bytes);
    else if (name_bytes == 7 && memcmp(name, ":method", 7) == 0)
        take(call->call.method, sizeof(call->call.method), value, value_bytes);
    else if (name_bytes == 13 && memcmp(name, "authorization", 13) == 0) {
        free(call->call.authorization);
        call->call.authorization = strndup((const char *)value, value_bytes);
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
    size_t count, void *user_data)
{
    struct sim_call *call = call_of(session, stream);
    (void)flags, (void)user_data;
    if (call != NULL)
        adp_sim_text_add(&call->call.body, (const char *)bytes, count);
    return 0;
}

/* What the request is, the same in every run of its world: its tag, action and number. */
static uint64_t site_of(const struct sim_call *call)
{
    const struct sim_connection *connection = call->connection;
    for (uint32_t i = connection->request_count; i-- > 0;) {
        const struct sim_request *request = &connection->requests[i];
        if (request->stream_id == (uint32_t)call->call.stream)
            return sim_site(
                ipc_tag_hash(request->tag), (uint64_t)request->action << 32 | request->request_no);
    }
    return 0;
}

static enum sim_fault draw_fate(struct sim *sim, const struct sim_character *is, uint64_t site)
{
    for (uint32_t kind = SIM_FAULT_LOSE_REPLY; kind <= SIM_FAULT_GOAWAY; kind++) {
        if (sim_fault(sim, (enum sim_fault)kind, site, is->odds[kind], 1000))
            return (enum sim_fault)kind;
    }
    return SIM_FAULT_NONE;
}

static void tag_of(struct sim_call *call)
{
    const char *key = "\"orderTag\":\"";
    const char *at = call->call.body.bytes == NULL ? NULL : strstr(call->call.body.bytes, key);
    if (at == NULL)
        return;
    at += strlen(key);
    size_t bytes = strcspn(at, "\"");
    take(call->tag, sizeof(call->tag), (const uint8_t *)at, bytes);
}

static void request_whole(struct sim *sim, struct sim_call *call)
{
    struct sim_broker *broker = &sim->brokers[call->connection->broker];
    const struct sim_character *is = &broker->character;
    sim->figures.arrivals++;
    tag_of(call);
    call->site = site_of(call);
    call->fate = (uint8_t)draw_fate(sim, is, call->site);
    call->lies = call->fate == SIM_FAULT_GOAWAY && sim_fault_between(sim, 0, 2) == 0;
    call->run_ns = sim->now_ns + sim_character_takes(sim, is);
    if (sim_fault(sim, SIM_FAULT_LATE_ACCEPT, call->site, is->odds[SIM_FAULT_LATE_ACCEPT], 1000))
        call->run_ns = sim->now_ns + sim_fault_between(sim, LS_NS_PER_S, 8 * LS_NS_PER_S);
    sim_note(sim, "broker %u has a request on %llu/%d %s%s %s", call->connection->broker,
        (unsigned long long)call->connection->number, call->call.stream,
        call->call.path + strlen(ADP_SIM_API_PREFIX), call->tag,
        sim_fault_name((enum sim_fault)call->fate));
    if (call->tag[0] != '\0')
        sim_check_arrival(sim, call);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct session_user *user = user_data;
    if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
        !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    struct sim_call *call = call_of(session, frame->hd.stream_id);
    if (call != NULL && call->run_ns == SIM_NEVER)
        request_whole(user->sim, call);
    return 0;
}

static int on_stream_close(
    nghttp2_session *session, int32_t stream, uint32_t error_code, void *user_data)
{
    struct sim_call *call = call_of(session, stream);
    (void)error_code, (void)user_data;
    if (call != NULL) {
        (void)nghttp2_session_set_stream_user_data(session, stream, NULL);
        call->connection = NULL; /* what was taken runs all the same */
    }
    return 0;
}

void sim_broker_session(struct sim *sim, struct sim_connection *connection)
{
    const struct sim_character *is = &sim->brokers[connection->broker].character;
    if (sim->callbacks == NULL) {
        LS_CHECK(nghttp2_session_callbacks_new(&sim->callbacks) == 0);
        nghttp2_session_callbacks_set_on_begin_headers_callback(sim->callbacks, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(sim->callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(sim->callbacks, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(sim->callbacks, on_frame);
        nghttp2_session_callbacks_set_on_stream_close_callback(sim->callbacks, on_stream_close);
    }
    LS_CHECK(nghttp2_session_server_new(&connection->server, sim->callbacks, NULL) == 0);
    nghttp2_settings_entry entries[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, is->max_streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, is->window_bytes},
        {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, is->table_bytes}};
    LS_CHECK(nghttp2_submit_settings(
                 connection->server, NGHTTP2_FLAG_NONE, entries, LS_COUNT_OF(entries)) == 0);
}

void sim_broker_receive(
    struct sim *sim, struct sim_connection *connection, const uint8_t *bytes, size_t count)
{
    struct session_user user = {sim, connection};
    nghttp2_session_set_user_data(connection->server, &user);
    ssize_t used = nghttp2_session_mem_recv(connection->server, bytes, count);
    if (used != (ssize_t)count)
        sim_fail(sim, "nghttp2 refused what the engine's HTTP/2 machine sent: %s",
            used < 0 ? nghttp2_strerror((int)used) : "cut short");
}

/* ---- running and answering ------------------------------------------------------------------- */

static void answer_text(struct sim_call *call, int status, const char *text)
{
    call->call.status = status;
    call->call.content_type = "application/json";
    call->call.answer.length = 0;
    adp_sim_text_put(&call->call.answer, text);
}

static void note_definite(struct sim *sim, struct sim_call *call)
{
    struct sim_tag *tag = call->tag[0] == '\0' ? NULL : sim_tag_find(sim, call->tag);
    if (tag != NULL)
        tag->last_definite = 1;
}

/* A broker that enforces ids answers a repeated one with the first order. */
static bool answer_again(const struct sim_broker *broker, uint32_t account, struct sim_call *call)
{
    char text[256];
    for (uint32_t i = 0; call->tag[0] != '\0' && i < adp_sim_book_order_count(broker->book); i++) {
        const struct adp_sim_order *order = adp_sim_book_order(broker->book, i);
        if (order->refusal != 0 || order->origin.account != account ||
            strcmp(order->terms.tag, call->tag) != 0)
            continue;
        snprintf(text, sizeof(text),
            "{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[{\"requestTime\":\"21-Nov-2026 "
            "10:00:00\",\"brokerOrderId\":\"%s\"}]}",
            order->broker_order_id);
        answer_text(call, 200, text);
        return true;
    }
    return false;
}

static void execute(struct sim *sim, struct sim_broker *broker, struct sim_call *call)
{
    bool method_ok = false;
    call->call.mono_ns = sim->now_ns;
    call->call.wall_ns = sim_wall(sim);
    enum adp_sim_path path = adp_sim_api_path(&call->call, &method_ok);
    if (path == ADP_SIM_PATH_UNKNOWN || !method_ok)
        sim_fail(sim, "a request for a path that no broker has: %s", call->call.path);
    const char *token = call->call.authorization == NULL ? "" : call->call.authorization;
    if (strncmp(token, "Bearer ", 7) != 0)
        sim_fail(sim, "a request without credentials");
    uint32_t account = adp_sim_members_find(&broker->members, token + 7);
    if (account == ADP_SIM_NONE || broker->members.rows[account].expired) {
        adp_sim_api_error(&broker->api, &call->call, 401, 87);
        note_definite(sim, call);
        return;
    }
    if (broker->character.idempotency == ADP_IDEMPOTENCY_ENFORCED &&
        answer_again(broker, account, call))
        return;
    adp_sim_api_run(&broker->api, &call->call, path, account, 0, NULL);
}

static ssize_t read_answer(nghttp2_session *session, int32_t stream, uint8_t *out, size_t room,
    uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
    struct sim_call *call = source->ptr;
    (void)session, (void)stream, (void)user_data;
    size_t count = call->call.answer.length - call->call.sent;
    if (count > room)
        count = room;
    if (count > 0)
        memcpy(out, call->call.answer.bytes + call->call.sent, count);
    call->call.sent += count;
    if (call->call.sent == call->call.answer.length)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)count;
}

static void answer(struct sim_call *call)
{
    char status[16];
    call->is_over = 1;
    if (call->connection == NULL || call->connection->server == NULL)
        return;
    snprintf(status, sizeof(status), "%d", call->call.status);
    nghttp2_nv headers[] = {
        {(uint8_t *)(uintptr_t) ":status", (uint8_t *)status, 7, strlen(status), 0},
        {(uint8_t *)(uintptr_t) "content-type", (uint8_t *)(uintptr_t) "application/json", 12, 16,
            0},
    };
    nghttp2_data_provider provider = {.source.ptr = call, .read_callback = read_answer};
    (void)nghttp2_submit_response(
        call->connection->server, call->call.stream, headers, LS_COUNT_OF(headers), &provider);
}

static void rst_stream(struct sim *sim, struct sim_call *call)
{
    static const uint32_t codes[] = {
        NGHTTP2_REFUSED_STREAM, NGHTTP2_INTERNAL_ERROR, NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM};
    call->is_over = 1;
    if (call->connection != NULL && call->connection->server != NULL)
        (void)nghttp2_submit_rst_stream(call->connection->server, NGHTTP2_FLAG_NONE,
            call->call.stream, codes[sim_below(sim, LS_COUNT_OF(codes))]);
}

static void reset(struct sim *sim, struct sim_call *call)
{
    call->is_over = 1;
    if (call->connection != NULL)
        sim_net_server_gone(sim, call->connection, true);
}

static void go_away(struct sim *sim, struct sim_connection *connection, bool lies)
{
    if (connection == NULL || connection->server == NULL)
        return;
    int32_t last = nghttp2_session_get_last_proc_stream_id(connection->server);
    /* Some say that requests were not processed which were. */
    if (lies && last > 2 && !sim->brokers[connection->broker].character.trusts_goaway)
        last -= 2 * (int32_t)sim_between(sim, 1, last / 2);
    (void)nghttp2_submit_goaway(connection->server, NGHTTP2_FLAG_NONE, last < 0 ? 0 : last,
        sim_chance(sim, 1, 3) ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_NO_ERROR, NULL, 0);
    if (connection->server_ends_ns == SIM_NEVER && sim_chance(sim, 1, 2))
        connection->server_ends_ns = sim->now_ns + sim_between(sim, 0, 2 * LS_NS_PER_S);
}

static void expire(struct sim_broker *broker, const struct sim_call *call)
{
    const char *token = call->call.authorization == NULL ? "" : call->call.authorization;
    if (strncmp(token, "Bearer ", 7) != 0)
        return;
    uint32_t account = adp_sim_members_find(&broker->members, token + 7);
    if (account != ADP_SIM_NONE)
        broker->members.rows[account].expired = true;
}

/* What the broker does when it gets to the request. */
static void run(struct sim *sim, struct sim_broker *broker, struct sim_call *call)
{
    static const char *const proxies[] = {"<html><body>503 Service Unavailable</body></html>", "",
        "{\"status\":\"Not_ok\",\"message\":\"Internal error\"}", "{\"status\":\"Ok\""};
    static const int statuses[] = {500, 502, 503, 504, 408};
    const struct sim_character *is = &broker->character;
    call->has_run = 1;
    switch (call->fate) {
    case SIM_FAULT_LOSE_REQUEST:
        call->is_over = 1;
        return;
    case SIM_FAULT_RESET_BEFORE:
        reset(sim, call);
        return;
    case SIM_FAULT_REFUSED_BEFORE:
        rst_stream(sim, call);
        return;
    case SIM_FAULT_ERROR_BEFORE:
        answer_text(call, statuses[sim_below(sim, LS_COUNT_OF(statuses))],
            proxies[sim_below(sim, LS_COUNT_OF(proxies))]);
        break;
    case SIM_FAULT_LIMITED:
        answer_text(call, 429, "{\"status\":\"Not_ok\",\"message\":\"Too many requests\"}");
        note_definite(sim, call);
        break;
    case SIM_FAULT_EXPIRE:
        expire(broker, call);
        execute(sim, broker, call);
        break;
    default:
        execute(sim, broker, call);
        break;
    }
    sim_check_books(sim);
    call->answer_ns = sim->now_ns + sim_character_takes(sim, is);
    if (sim_fault(sim, SIM_FAULT_LATE_REPLY, call->site, is->odds[SIM_FAULT_LATE_REPLY], 1000))
        call->answer_ns = sim->now_ns + sim_fault_between(sim, LS_NS_PER_S, 9 * LS_NS_PER_S);
}

static void finish(struct sim *sim, struct sim_call *call)
{
    static const char *const garbage[] = {"{\"status\":\"Ok\",\"result\":[", "null", "[[[[[[[[",
        "{\"status\":\"Ok\",\"message\":\"Success\",\"result\":[]}",
        "{\"status\":\"Ok\",\"status\":\"Not_ok\"}", "\xff\xfe\x00"};
    switch (call->fate) {
    case SIM_FAULT_LOSE_REPLY:
        call->is_over = 1;
        return;
    case SIM_FAULT_RESET_AFTER:
        reset(sim, call);
        return;
    case SIM_FAULT_REFUSED_AFTER:
        rst_stream(sim, call);
        return;
    case SIM_FAULT_ERROR_AFTER:
        answer_text(call, 502, "<html>bad gateway</html>");
        break;
    case SIM_FAULT_LIMITED_AFTER:
        answer_text(call, 429, "<html>Too many requests</html>");
        break;
    case SIM_FAULT_GARBAGE:
        answer_text(call, 200, garbage[sim_below(sim, LS_COUNT_OF(garbage))]);
        break;
    case SIM_FAULT_GOAWAY:
        go_away(sim, call->connection, call->lies);
        break;
    default:
        break;
    }
    answer(call);
}

/* ---- a step ---------------------------------------------------------------------------------- */

static void say(struct sim *sim, struct sim_connection *connection)
{
    struct session_user user = {sim, connection};
    const int64_t latency = sim->brokers[connection->broker].character.latency_ns;
    nghttp2_session_set_user_data(connection->server, &user);
    for (;;) {
        const uint8_t *bytes = NULL;
        ssize_t count = nghttp2_session_mem_send(connection->server, &bytes);
        if (count <= 0)
            break;
        sim_pipe_put(sim, &connection->down, bytes, (size_t)count, latency);
    }
    if (!nghttp2_session_want_read(connection->server) &&
        !nghttp2_session_want_write(connection->server))
        sim_net_server_gone(sim, connection, false);
}

static void call_free(struct sim_call *call)
{
    free(call->call.authorization);
    adp_sim_text_free(&call->call.body);
    adp_sim_text_free(&call->call.answer);
    free(call);
}

static void calls_step(struct sim *sim, struct sim_broker *broker)
{
    for (struct sim_call *call = broker->calls; call != NULL; call = call->next) {
        if (!call->has_run && call->run_ns <= sim->now_ns)
            run(sim, broker, call);
        if (call->has_run && !call->is_over && call->answer_ns <= sim->now_ns)
            finish(sim, call);
    }
    struct sim_call **at = &broker->calls;
    while (*at != NULL) {
        struct sim_call *call = *at;
        bool never_whole = call->run_ns == SIM_NEVER;
        if (call->connection == NULL && (call->is_over || never_whole)) {
            *at = call->next;
            call_free(call);
        } else {
            at = &call->next;
        }
    }
}

void sim_broker_step(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_BROKERS; i++) {
        calls_step(sim, &sim->brokers[i]);
        adp_sim_book_advance(sim->brokers[i].book, sim->now_ns, sim_wall(sim));
    }
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        struct sim_connection *connection = &sim->connections[i];
        if (connection->number == 0 || connection->server == NULL)
            continue;
        if (connection->server_ends_ns <= sim->now_ns)
            sim_net_server_gone(sim, connection, true);
        else
            say(sim, connection);
    }
    sim_check_books(sim);
}

int64_t sim_broker_due(const struct sim *sim)
{
    int64_t due = SIM_NEVER;
    for (uint32_t i = 0; i < SIM_BROKERS; i++) {
        for (const struct sim_call *call = sim->brokers[i].calls; call != NULL; call = call->next) {
            if (!call->has_run)
                due = ls_min_i64(due, call->run_ns);
            else if (!call->is_over)
                due = ls_min_i64(due, call->answer_ns);
        }
        due = ls_min_i64(due, adp_sim_book_next_due(sim->brokers[i].book));
    }
    return due;
}

void sim_broker_forget(struct sim *sim, struct sim_connection *connection)
{
    struct sim_broker *broker = &sim->brokers[connection->broker];
    for (struct sim_call *call = broker->calls; call != NULL; call = call->next) {
        if (call->connection == connection)
            call->connection = NULL;
    }
}

/* ---- of itself ------------------------------------------------------------------------------- */

static void settings_change(struct sim *sim, struct sim_connection *connection)
{
    static const uint32_t streams[] = {0, 1, 2, 8, 100};
    static const uint32_t windows[] = {0, 100, 1000, 65535, 1u << 20};
    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams[sim_below(sim, LS_COUNT_OF(streams))]},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, windows[sim_below(sim, LS_COUNT_OF(windows))]},
        {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, sim_chance(sim, 1, 2) ? 0 : 4096}};
    (void)nghttp2_submit_settings(
        connection->server, NGHTTP2_FLAG_NONE, entries, LS_COUNT_OF(entries));
    sim_note(sim, "broker changes settings of %llu: streams %u, window %u",
        (unsigned long long)connection->number, entries[0].value, entries[1].value);
}

void sim_broker_trouble(struct sim *sim)
{
    struct sim_connection *connection = &sim->connections[sim_below(sim, SIM_CONNECTIONS)];
    if (connection->number == 0 || connection->server == NULL)
        return;
    const struct sim_character *is = &sim->brokers[connection->broker].character;
    enum sim_fault kind = SIM_FAULT_SETTINGS;
    while (!sim_fault(sim, kind, sim->step, is->odds[kind], 1000)) {
        if (kind++ == SIM_FAULT_RESET)
            return;
    }
    if (kind == SIM_FAULT_SETTINGS) {
        settings_change(sim, connection);
        return;
    }
    sim_note(
        sim, "broker: %s of %llu", sim_fault_name(kind), (unsigned long long)connection->number);
    if (kind == SIM_FAULT_SHUT_DOWN)
        go_away(sim, connection, sim_chance(sim, 1, 2));
    else if (kind == SIM_FAULT_HALF_OPEN)
        connection->up.is_black = connection->down.is_black = true;
    else if (kind == SIM_FAULT_RESET)
        sim_net_server_gone(sim, connection, true);
    if (kind != SIM_FAULT_STALL)
        return;
    connection->stalled_until_ns = sim->now_ns + sim_fault_between(sim, 0, 4 * LS_NS_PER_S);
    connection->stalled_room = sim_below(sim, 600);
}

void sim_broker_fill(struct sim *sim)
{
    struct adp_sim_book *book = sim->brokers[sim_below(sim, SIM_BROKERS)].book;
    uint32_t count = adp_sim_book_order_count(book);
    if (count == 0)
        return;
    for (uint32_t tries = 0; tries < 4; tries++) {
        uint32_t index = sim_chance(sim, 2, 3) && count > 16 ? count - 1 - sim_below(sim, 16)
                                                             : sim_below(sim, count);
        const struct adp_sim_order *order = adp_sim_book_order(book, index);
        if (order->status != ADP_SIM_OPEN)
            continue;
        int64_t left = order->terms.units - order->filled_units;
        int64_t lot = adp_sim_book_instrument(book, order->terms.instrument)->lot_units;
        int64_t units =
            left > lot && sim_chance(sim, 1, 2) ? lot * sim_between(sim, 1, left / lot) : left;
        (void)adp_sim_book_fill(book, index, units, 0, sim_wall(sim));
        return;
    }
}

void sim_broker_fill_exits(struct sim *sim)
{
    for (uint32_t broker = 0; broker < SIM_BROKERS; broker++) {
        struct adp_sim_book *book = sim->brokers[broker].book;
        for (uint32_t i = 0; i < adp_sim_book_order_count(book); i++) {
            const struct adp_sim_order *order = adp_sim_book_order(book, i);
            const struct sim_tag *tag = sim_tag_find(sim, order->terms.tag);
            if (order->status == ADP_SIM_OPEN && tag != NULL && tag->is_exit)
                (void)adp_sim_book_fill(
                    book, i, order->terms.units - order->filled_units, 0, sim_wall(sim));
        }
    }
}

void sim_broker_free(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_BROKERS; i++) {
        struct sim_broker *broker = &sim->brokers[i];
        while (broker->calls != NULL) {
            struct sim_call *call = broker->calls;
            broker->calls = call->next;
            call_free(call);
        }
        adp_sim_book_destroy(broker->book);
        adp_sim_members_free(&broker->members);
        memset(broker, 0, sizeof(*broker));
    }
}
