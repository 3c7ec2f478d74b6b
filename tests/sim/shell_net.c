/* The shell's connections: lanes and their requests through the real HTTP/2 machine, what the
 * kernel takes of them, and outcomes. */
#include <stdio.h>
#include <string.h>

#include "engine/core/outcome.h"
#include "engine/net/hpack.h"
#include "ipc/tag.h"
#include "tests/sim/sim.h"

#define BODY_ESTIMATE     420u
#define HEADERS_ESTIMATE  220u
#define PING_EVERY_NS     LS_NS_PER_S
#define PING_DEADLINE_NS  (3 * LS_NS_PER_S)
#define RECEIVE_BYTES     8192u
#define REQUESTS_PER_LIFE (SIM_REQUESTS - 8u)

static const struct adp_dialect *dialect(void)
{
    return adp_dialect_find("alice-blue");
}

/* ---- outcomes -------------------------------------------------------------------------------- */

static void outcome_take(struct sim *sim, uint32_t child, uint32_t request_no,
    enum ipc_action action, const struct ipc_outcome *outcome)
{
    struct ipc_fact_reply fact;
    struct ipc_fact_alarm alarm;
    bool has_alarm = false;
    if (eng_decide_reply(sim->shell.core, child, request_no, action, outcome, sim_mono(sim),
            sim_mono(sim), &fact, &alarm, &has_alarm) != IPC_OK)
        sim_fail(sim, "the core does not know child %u of an outcome", child);
    sim_note(sim, "outcome of %s request %u: %s %s %s", fact.tag, request_no,
        ipc_outcome_class_name((enum ipc_outcome_class)outcome->outcome),
        ipc_evidence_name((enum ipc_evidence)outcome->evidence), outcome->text);
    (void)sim_shell_append(sim, IPC_FACT_REPLY, &fact, sizeof(fact), 1);
    if (has_alarm)
        (void)sim_shell_append(sim, IPC_FACT_ALARM, &alarm, sizeof(alarm), 1);
}

static void request_over(
    struct sim_connection *connection, uint32_t stream_id, const struct sim_request **out)
{
    for (uint32_t i = connection->request_count; i-- > 0;) {
        if (connection->requests[i].stream_id == stream_id) {
            connection->requests[i].is_over = 1;
            *out = &connection->requests[i];
            return;
        }
    }
}

struct sink_context {
    struct sim *sim;
    struct sim_connection *connection;
};

static void on_reply(const struct eng_h2_reply *reply, void *context)
{
    struct sink_context *sink = context;
    const struct sim_request *request = NULL;
    enum ipc_action action = (enum ipc_action)(reply->request_no >> 30);
    struct ipc_outcome outcome;
    dialect()->decode_reply(action, reply->http_status, reply->body, &outcome);
    outcome.http_status = (uint16_t)reply->http_status;
    outcome.stream_id = reply->stream_id;
    sink->sim->figures.replies++;
    request_over(sink->connection, reply->stream_id, &request);
    if (request == NULL || !request->was_handed)
        sim_fail(sink->sim, "a reply to a request that had not left (stream %u)", reply->stream_id);
    outcome_take(sink->sim, reply->child, reply->request_no & 0x3fffffffu, action, &outcome);
}

/* The class of a request without a reply (ORDER-SAFETY 3.3). */
static enum ipc_outcome_class loss_class(
    const struct sim *sim, const struct eng_h2_loss *loss, uint32_t broker)
{
    uint32_t flags = sim->shell.adopted->brokers[broker].flags;
    return eng_loss_class(loss->evidence, loss->h2_error, (flags & IPC_BROKER_TRUST_GOAWAY) != 0,
        (flags & IPC_BROKER_TRUST_REFUSED_STREAM) != 0);
}

static void on_loss(const struct eng_h2_loss *loss, void *context)
{
    struct sink_context *sink = context;
    const struct sim_request *request = NULL;
    const struct ipc_outcome outcome = {
        .outcome = (uint8_t)loss_class(sink->sim, loss, sink->connection->broker),
        .evidence = (uint8_t)loss->evidence,
        .stream_id = loss->stream_id,
        .h2_error = loss->h2_error,
    };
    sink->sim->figures.losses++;
    request_over(sink->connection, loss->stream_id, &request);
    if (request == NULL)
        sim_fail(sink->sim, "a loss of a request that nobody made (stream %u)", loss->stream_id);
    if (loss->evidence == IPC_EVIDENCE_NO_BYTES && request->was_handed)
        sim_fail(sink->sim, "%s: NO_BYTES, but its bytes had left", request->tag);
    outcome_take(sink->sim, loss->child, loss->request_no & 0x3fffffffu,
        (enum ipc_action)(loss->request_no >> 30), &outcome);
}

static void not_sent(struct sim *sim, uint32_t child, uint32_t request_no, enum ipc_action action)
{
    const struct ipc_outcome outcome = {
        .outcome = IPC_OUTCOME_NOT_SENT, .evidence = IPC_EVIDENCE_NO_BYTES};
    outcome_take(sim, child, request_no, action, &outcome);
}

/* ---- lanes ----------------------------------------------------------------------------------- */

static void connection_end(
    struct sim *sim, struct sim_connection *connection, enum ipc_evidence evidence)
{
    struct sink_context context = {sim, connection};
    const struct eng_h2_sink sink = {on_reply, on_loss, &context};
    sim_note(sim, "engine ends %llu: %s", (unsigned long long)connection->number,
        ipc_evidence_name(evidence));
    eng_h2_end(connection->h2, evidence, connection->handed, &sink);
    eng_h2_free(connection->h2);
    connection->h2 = NULL;
    for (uint32_t i = 0; i < sim->shell.lane_count; i++) {
        if (sim->shell.lanes[i].connection == connection) {
            sim->shell.lanes[i].connection = NULL;
            sim->shell.lanes[i].connect_ns = sim->now_ns + sim_between(sim, 0, 50 * LS_NS_PER_MS);
        }
    }
    sim_net_client_gone(sim, connection, sim_chance(sim, 1, 2));
}

static void lanes_make(struct sim *sim)
{
    struct sim_shell *shell = &sim->shell;
    uint32_t count = 0;
    for (uint32_t i = SIM_MASTERS; i < SIM_MASTERS + sim->follower_count; i++) {
        const struct ipc_row_account *row = &shell->adopted->accounts[i];
        if (row->lanes == IPC_LANES_OWN)
            shell->lanes[count++] = (struct sim_lane){.broker = row->broker, .account = i + 1};
    }
    for (uint32_t broker = 0; broker < SIM_BROKERS; broker++) {
        for (uint32_t member = 0; member < 2; member++)
            shell->lanes[count++] = (struct sim_lane){.broker = broker};
    }
    LS_CHECK(count <= SIM_LANES);
    shell->lane_count = count;
    for (uint32_t i = 0; i < SIM_ACCOUNTS; i++)
        shell->member_of[i] = UINT32_MAX;
}

void sim_shell_lanes(struct sim *sim)
{
    const struct eng_h2_limits limits = {.plain_bytes = 16384, .stream_slots = 64};
    if (sim->shell.lane_count == 0)
        lanes_make(sim);
    for (uint32_t i = 0; i < sim->shell.lane_count; i++) {
        struct sim_lane *lane = &sim->shell.lanes[i];
        /* A connection that takes no more is replaced before it ends. */
        if (lane->connection != NULL && (eng_h2_draining(lane->connection->h2) ||
                                            lane->connection->request_count >= REQUESTS_PER_LIFE))
            lane->connection = NULL;
        if (lane->connection != NULL || lane->connect_ns > sim->now_ns)
            continue;
        struct sim_connection *connection = sim_net_open(sim, lane->broker, lane->account);
        if (connection == NULL)
            return;
        connection->h2 = eng_h2_init(connection->h2_memory, &limits, &sim->shell.bodies);
        LS_CHECK(connection->h2 != NULL);
        lane->connection = connection;
        sim_shell_point(sim);
    }
}

static bool is_ready(const struct sim_lane *lane)
{
    return lane->connection != NULL && eng_h2_ready(lane->connection->h2) &&
           !eng_h2_draining(lane->connection->h2) &&
           lane->connection->request_count < REQUESTS_PER_LIFE;
}

/* The connection that serves an account; a pool member is kept as long as it is ready. */
static struct sim_connection *serve(struct sim *sim, uint32_t account)
{
    struct sim_shell *shell = &sim->shell;
    const struct ipc_row_account *row = &shell->adopted->accounts[account - 1];
    uint32_t *kept = &shell->member_of[account - 1];
    if (*kept < shell->lane_count && is_ready(&shell->lanes[*kept]))
        return shell->lanes[*kept].connection;
    for (uint32_t k = 0; k < shell->lane_count; k++) {
        uint32_t i = (k + account) % shell->lane_count;
        const struct sim_lane *lane = &shell->lanes[i];
        uint32_t wanted = row->lanes == IPC_LANES_OWN ? account : 0;
        if (lane->broker == row->broker && lane->account == wanted && is_ready(lane)) {
            *kept = i;
            return lane->connection;
        }
    }
    return NULL;
}

bool sim_shell_can_send(struct sim *sim, uint32_t account)
{
    struct sim_connection *connection = serve(sim, account);
    if (connection == NULL)
        return false;
    uint32_t *streams = &sim->shell.reserved[connection - sim->connections];
    uint32_t bodies = (*streams + 1) * BODY_ESTIMATE;
    if (*streams >= eng_h2_free_streams(connection->h2) ||
        connection->request_count + *streams >= REQUESTS_PER_LIFE ||
        eng_h2_output(connection->h2).count + (*streams + 1) * 1024u + 1024u > 16384u ||
        eng_h2_can_send(connection->h2, HEADERS_ESTIMATE, 600,
            bodies < ENG_H2_BODY_MAX ? bodies : ENG_H2_BODY_MAX) != ENG_H2_ADMITTED)
        return false;
    *streams += 1;
    return true;
}

/* ---- requests -------------------------------------------------------------------------------- */

static uint32_t headers_make(const struct sim *sim, const struct ipc_command *command,
    const struct adp_request *kind, uint8_t *memory, size_t room, uint32_t *list_bytes)
{
    struct eng_hpack pack;
    char token[48], bearer[64];
    uint64_t version = sim->shell.adopted->accounts[command->account - 1].token_version;
    sim_token(command->account, version, token, sizeof(token));
    int bytes = snprintf(bearer, sizeof(bearer), "Bearer %s", token);
    eng_hpack_begin(&pack, memory, room);
    LS_CHECK(eng_hpack_add_text(&pack, ":method", kind->method) == IPC_OK);
    LS_CHECK(eng_hpack_add_text(&pack, ":scheme", "https") == IPC_OK);
    LS_CHECK(eng_hpack_add_text(&pack, ":authority", "broker.example") == IPC_OK);
    LS_CHECK(eng_hpack_add_text(&pack, ":path", kind->path) == IPC_OK);
    LS_CHECK(eng_hpack_add_text(&pack, "content-type", kind->content_type) == IPC_OK);
    LS_CHECK(eng_hpack_add(&pack, "authorization", bearer, (size_t)bytes, true) == IPC_OK);
    *list_bytes = pack.list_bytes;
    return pack.count;
}

static bool request_make(
    struct sim *sim, const struct ipc_command *command, struct sim_connection *connection)
{
    static const enum adp_request_kind kinds[] = {
        ADP_REQUEST_PLACE, ADP_REQUEST_PLACE, ADP_REQUEST_MODIFY, ADP_REQUEST_CANCEL};
    struct adp_segments segments;
    uint8_t headers[512], body[1024];
    uint32_t list_bytes = 0;
    const struct ipc_row_broker *row = &sim->shell.adopted->brokers[connection->broker];
    if (dialect()->body(command, &segments) != ADP_OK)
        sim_fail(sim, "%s cannot be put into a body", command->tag);
    const struct adp_hole_values values = {
        .qty_e8 = command->qty_e8,
        .price_e8 = command->price_e8,
        .trigger_e8 = command->trigger_e8,
        .tag = {(const uint8_t *)command->tag, IPC_TAG_CHARACTERS},
        .order_id = {(const uint8_t *)command->broker_order_id,
            strnlen(command->broker_order_id, IPC_BROKER_ORDER_ID_BYTES)},
    };
    int body_bytes = adp_segments_fill(&segments, &values, false, body, sizeof(body));
    if (body_bytes <= 0)
        sim_fail(sim, "%s does not fit a body", command->tag);
    uint32_t count = headers_make(sim, command, &dialect()->requests[kinds[command->action]],
        headers, sizeof(headers), &list_bytes);
    const struct eng_h2_part part = {headers, count, list_bytes};
    struct sim_request *request = &connection->requests[connection->request_count];
    const struct eng_h2_request wanted = {
        .parts = &part,
        .part_count = 1,
        .body_bytes = (uint32_t)body_bytes,
        .body = body,
        .child = command->child,
        .request_no = (uint32_t)command->action << 30 | command->request_no,
        .account = command->account,
        .reply_by_mono_ns = sim_mono(sim) + row->reply_timeout_ms * LS_NS_PER_MS,
        .leave_by_mono_ns = command->deadline_mono_ns,
    };
    LS_CHECK(connection->request_count < SIM_REQUESTS);
    *request = (struct sim_request){.child = command->child,
        .request_no = command->request_no,
        .action = command->action,
        .is_exit = command->is_exit,
        .instrument = (uint8_t)command->instrument,
        .slot = (uint8_t)command->slot,
        .master = (uint8_t)sim->shell.adopted->followers[command->slot].master,
        .leave_by_mono_ns = command->deadline_mono_ns,
        .switch_sequence = sim->switches.sequence};
    memcpy(request->tag, command->tag, sizeof(request->tag));
    if (eng_h2_request(connection->h2, &wanted, &request->stream_id) != ENG_H2_ADMITTED)
        return false;
    connection->request_count++;
    sim->figures.requests++;
    return true;
}

static bool is_barred(const struct sim *sim, const struct ipc_command *command)
{
    const struct ipc_row_follower *row = &sim->shell.adopted->followers[command->slot];
    uint8_t word = sim_switch_word(
        &sim->switches, row->master, command->instrument, command->slot, row->broker);
    if (command->action == IPC_ACTION_CANCEL)
        return false;
    return sim->shell.halt_word || word == IPC_SWITCH_HALT ||
           (word == IPC_SWITCH_CLOSE_ONLY && !command->is_exit);
}

static void order_send(struct sim *sim, uint32_t child, bool is_late)
{
    struct ipc_command command;
    if (eng_core_command(sim->shell.core, child, &command) != IPC_OK) {
        not_sent(sim, child, command.request_no, (enum ipc_action)command.action);
        return;
    }
    struct sim_connection *connection = serve(sim, command.account);
    if (connection == NULL ||
        (is_late && (is_barred(sim, &command) || command.deadline_mono_ns <= sim_mono(sim))) ||
        !request_make(sim, &command, connection)) {
        not_sent(sim, child, command.request_no, (enum ipc_action)command.action);
        return;
    }
    sim_note(sim, "engine sends %s of %s%s, request %u, %s %lld of %u at %lld on %llu/%u",
        ipc_action_name((enum ipc_action)command.action), command.tag,
        command.is_exit ? " (exit)" : "", command.request_no,
        ipc_side_name((enum ipc_side)command.side), (long long)(command.qty_e8 / LS_E8),
        command.instrument, (long long)(command.price_e8 / 1000000),
        (unsigned long long)connection->number,
        connection->requests[connection->request_count - 1].stream_id);
}

void sim_shell_dispatch(struct sim *sim, uint64_t lsn, const uint32_t *children, uint32_t count)
{
    struct sim_shell *shell = &sim->shell;
    uint32_t copy[IPC_BATCH_CHILDREN_MAX];
    LS_CHECK(count <= LS_COUNT_OF(copy));
    memcpy(
        copy, children, count * sizeof(*copy)); /* outcomes of the first may come before the last */
    bool waits = shell->is_power_tier && (shell->held_count > 0 || lsn > sim->journal.durable_lsn);
    for (uint32_t i = 0; i < count; i++) {
        if (copy[i] == ENG_NONE)
            continue;
        if (waits) {
            LS_CHECK(shell->held_count < SIM_HELD);
            shell->held[shell->held_count++] = (struct sim_held){lsn, copy[i]};
            continue;
        }
        order_send(sim, copy[i], false);
        sim_shell_point(sim);
        if (sim_chance(sim, 1, 4))
            sim_shell_flush(sim);
    }
    if (!waits && sim_chance(sim, 3, 4))
        sim_shell_flush(sim);
}

void sim_shell_held(struct sim *sim)
{
    struct sim_shell *shell = &sim->shell;
    uint32_t done = 0;
    while (done < shell->held_count && shell->held[done].lsn <= sim->journal.durable_lsn) {
        order_send(sim, shell->held[done].child, true);
        done++;
        sim_shell_point(sim);
    }
    shell->held_count -= done;
    memmove(shell->held, shell->held + done, shell->held_count * sizeof(*shell->held));
}

/* ---- bytes out ------------------------------------------------------------------------------- */

static struct sim_request *request_of(struct sim_connection *connection, uint32_t stream_id)
{
    for (uint32_t i = connection->request_count; i-- > 0;) {
        if (connection->requests[i].stream_id == stream_id)
            return &connection->requests[i];
    }
    return NULL;
}

/* Reads frame headers out of what the kernel takes, without the machine's help. */
static void judge_bytes(
    struct sim *sim, struct sim_connection *connection, const uint8_t *bytes, size_t count)
{
    for (size_t at = 0; at < count;) {
        if (connection->preface_left > 0) {
            connection->preface_left--;
            at++;
            continue;
        }
        if (connection->frame_left > 0) {
            size_t skip = count - at < connection->frame_left ? count - at : connection->frame_left;
            connection->frame_left -= (uint32_t)skip;
            at += skip;
            continue;
        }
        connection->frame_header[connection->header_have++] = bytes[at++];
        if (connection->header_have < 9)
            continue;
        const uint8_t *h = connection->frame_header;
        connection->header_have = 0;
        connection->frame_left = (uint32_t)h[0] << 16 | (uint32_t)h[1] << 8 | h[2];
        uint32_t stream_id =
            ((uint32_t)h[5] << 24 | (uint32_t)h[6] << 16 | (uint32_t)h[7] << 8 | h[8]) &
            0x7fffffffu;
        if (h[3] != NGHTTP2_HEADERS)
            continue;
        struct sim_request *request = request_of(connection, stream_id);
        if (request == NULL)
            sim_fail(sim, "HEADERS left for a request that nobody made (stream %u)", stream_id);
        sim_check_handed(sim, connection, request);
        request->was_handed = 1;
    }
}

/* Sealed bytes of an aged entry that the kernel did not take: the connection ends with them. */
static bool has_stale_bytes(const struct sim *sim, const struct sim_connection *connection)
{
    if (connection->sealed_count == 0)
        return false;
    for (uint32_t i = connection->request_count; i-- > 0;) {
        const struct sim_request *request = &connection->requests[i];
        if (!request->was_handed && !request->is_over && request->leave_by_mono_ns <= sim_mono(sim))
            return true;
    }
    return false;
}

static void connection_flush(struct sim *sim, struct sim_connection *connection)
{
    const int64_t latency = sim->brokers[connection->broker].character.latency_ns;
    struct sink_context context = {sim, connection};
    const struct eng_h2_sink sink = {on_reply, on_loss, &context};
    bool is_stalled = connection->stalled_until_ns > sim->now_ns;
    eng_h2_expire(connection->h2, sim_mono(sim), &sink);
    for (;;) {
        if (connection->sealed_count == 0) {
            struct adp_span plain = eng_h2_output(connection->h2);
            size_t count = plain.count < 4096 ? plain.count : 4096;
            if (count == 0)
                return;
            if (sim_chance(sim, 1, 8))
                count = (size_t)sim_between(sim, 1, (int64_t)count);
            memcpy(connection->sealed, plain.bytes, count);
            connection->sealed_count = (uint32_t)count;
            eng_h2_output_taken(connection->h2, count);
            sim_shell_point(sim);
        }
        uint32_t room = is_stalled ? connection->stalled_room : connection->sealed_count;
        if (room > connection->sealed_count)
            room = connection->sealed_count;
        if (is_stalled)
            connection->stalled_room -= room;
        if (room > 0) {
            if (has_stale_bytes(sim, connection)) {
                connection_end(sim, connection, IPC_EVIDENCE_STALE_BYTES);
                return;
            }
            judge_bytes(sim, connection, connection->sealed, room);
            sim_pipe_put(sim, &connection->up, connection->sealed, room, latency);
            connection->handed += room;
            connection->sealed_count -= room;
            memmove(connection->sealed, connection->sealed + room, connection->sealed_count);
            sim_shell_point(sim);
        }
        if (connection->sealed_count > 0)
            return;
    }
}

void sim_shell_flush(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        struct sim_connection *connection = &sim->connections[i];
        if (connection->number != 0 && connection->client_lives)
            connection_flush(sim, connection);
    }
}

bool sim_shell_backlog(const struct sim *sim)
{
    if (sim->shell.held_count > 0)
        return true;
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        const struct sim_connection *connection = &sim->connections[i];
        if (connection->number != 0 && connection->client_lives &&
            (connection->sealed_count > 0 || eng_h2_output(connection->h2).count > 0))
            return true;
    }
    return false;
}

/* ---- bytes in -------------------------------------------------------------------------------- */

static void connection_receive(struct sim *sim, struct sim_connection *connection)
{
    struct sink_context context = {sim, connection};
    const struct eng_h2_sink sink = {on_reply, on_loss, &context};
    uint8_t bytes[RECEIVE_BYTES];
    for (;;) {
        bool ended = false;
        size_t count = sim_net_down(sim, connection, bytes, sizeof(bytes), &ended);
        if (count > 0 && !eng_h2_receive(connection->h2, bytes, count, sim_mono(sim), &sink)) {
            sim_fail(sim, "the HTTP/2 machine refuses what nghttp2 sent: %s (%u)",
                eng_h2_error_text(connection->h2), eng_h2_error(connection->h2));
        }
        sim_shell_point(sim);
        if (ended) {
            connection_end(sim, connection, IPC_EVIDENCE_RESET);
            return;
        }
        if (count == 0)
            break;
    }
    /* A drained connection that nobody waits for is closed in order. */
    if (eng_h2_draining(connection->h2) && eng_h2_open_streams(connection->h2) == 0)
        connection_end(sim, connection, IPC_EVIDENCE_RESET);
}

void sim_shell_receive(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        struct sim_connection *connection = &sim->connections[i];
        if (connection->number != 0 && connection->client_lives)
            connection_receive(sim, connection);
    }
}

void sim_shell_expire(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        struct sim_connection *connection = &sim->connections[i];
        if (connection->number == 0 || !connection->client_lives)
            continue;
        struct sink_context context = {sim, connection};
        const struct eng_h2_sink sink = {on_reply, on_loss, &context};
        eng_h2_expire(connection->h2, sim_mono(sim), &sink);
        int64_t sent = eng_h2_ping_sent(connection->h2);
        if (sent != SIM_NEVER && sim_mono(sim) - sent > PING_DEADLINE_NS)
            connection_end(sim, connection, IPC_EVIDENCE_RESET);
        else if (eng_h2_ready(connection->h2) && sim->now_ns % PING_EVERY_NS < PING_EVERY_NS / 8)
            (void)eng_h2_ping(connection->h2, sim_mono(sim));
    }
}
