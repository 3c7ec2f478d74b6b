#include <string.h>

#include "engine/blocks.h"
#include "engine/net/hpack.h"
#include "engine/turn_private.h"

/* ---- admission --------------------------------------------------------------------------------
 */

void turn_reserve_reset(struct eng_turn *turn)
{
    /* Only connections of the last batch have anything set; they are in `waiting` or drained. */
    for (uint32_t i = 0; i < turn->reserved_count; i++) {
        turn->reserved_streams[turn->reserved[i]] = 0;
        turn->reserved_bytes[turn->reserved[i]] = 0;
    }
    turn->reserved_count = 0;
    for (uint32_t i = 0; i < turn->kept_count; i++)
        eng_pool_unreserve(turn->pool, turn->kept[i]);
    turn->kept_count = 0;
}

/* An order of this account waits for the disk: its connection stays kept for it. */
static void reserve_hold(struct eng_turn *turn, uint32_t account)
{
    for (uint32_t i = 0; i < turn->kept_count; i++) {
        if (turn->kept[i] == account) {
            turn->kept[i] = turn->kept[--turn->kept_count];
            return;
        }
    }
}

bool turn_can_send(struct eng_turn *turn, uint32_t account)
{
    if (account == 0 || account > turn->generation->view.account_count)
        return false;
    const struct eng_auth *auth = &turn->generation->auths[account - 1];
    if (auth->count == 0)
        return false;
    const struct eng_connection *connection = eng_pool_serve(turn->pool, account);
    if (connection == NULL)
        return false;
    uint32_t broker = turn->generation->view.accounts[account - 1].broker;
    const struct eng_request_block *block =
        &turn->generation->brokers[broker].requests[ADP_REQUEST_PLACE];
    uint32_t *streams = &turn->reserved_streams[connection->handle];
    uint32_t *bytes = &turn->reserved_bytes[connection->handle];
    uint32_t headers = eng_blocks_bytes(block, auth, connection->h1 != NULL);
    uint32_t body = turn->shapes.body_bytes;
    uint32_t whole = headers + ENG_HPACK_LENGTH_BYTES_MAX + body + 2 * ENG_H2_FRAME_BYTES;
    /* What the batch has already given to this connection is not in it yet. */
    uint32_t bodies = (*streams + 1) * body;
    if (*bytes != 0 &&
        eng_connection_output(connection).count + *bytes + whole + ENG_H2_CONTROL_RESERVE_BYTES >
            ENG_CONNECTION_PLAIN_BYTES) {
        /* Only this batch fills it: what leaves with the batch makes room for the next one. */
        turn->room_is_short = true;
        return false;
    }
    if (*streams >= eng_connection_free_streams(connection) ||
        eng_pool_is_reserved(turn->pool, connection) ||
        eng_connection_can_send(connection, headers, block->list_bytes + auth->list_bytes,
            bodies < ENG_H2_BODY_MAX ? bodies : ENG_H2_BODY_MAX) != ENG_H2_ADMITTED) {
        turn->wants_replies = true;
        return false;
    }
    if (*streams == 0)
        turn->reserved[turn->reserved_count++] = connection->handle;
    *streams += 1;
    *bytes += whole;
    if (connection->h1 != NULL) {
        eng_pool_reserve(turn->pool, connection, account);
        turn->kept[turn->kept_count++] = account;
    }
    return true;
}

/* ---- one request ------------------------------------------------------------------------------
 */

static enum adp_request_kind request_kind(enum ipc_action action)
{
    switch (action) {
    case IPC_ACTION_PLACE:
        return ADP_REQUEST_PLACE;
    case IPC_ACTION_MODIFY:
        return ADP_REQUEST_MODIFY;
    case IPC_ACTION_CANCEL:
        return ADP_REQUEST_CANCEL;
    }
    return ADP_REQUEST_PLACE;
}

/* ---- one order --------------------------------------------------------------------------------
 */

static void waiting_add(struct eng_turn *turn, struct eng_connection *connection)
{
    if (turn->is_waiting[connection->handle])
        return;
    turn->is_waiting[connection->handle] = 1;
    turn->waiting[turn->waiting_count++] = connection;
}

static void request_count(struct eng_turn *turn, enum ipc_action action)
{
    struct eng_telemetry *telemetry = turn->wiring.telemetry;
    switch (action) {
    case IPC_ACTION_PLACE:
        ipc_metric_add(telemetry->requests_place, 1);
        return;
    case IPC_ACTION_MODIFY:
        ipc_metric_add(telemetry->requests_modify, 1);
        return;
    case IPC_ACTION_CANCEL:
        ipc_metric_add(telemetry->requests_cancel, 1);
        return;
    }
}

/* Puts one request into its account's connection. False: no byte of it will leave. */
static bool request_make(struct eng_turn *turn, const struct ipc_command *command,
    struct eng_connection *connection, uint32_t broker)
{
    const struct eng_generation *generation = turn->generation;
    const struct eng_broker_terms *terms = &generation->brokers[broker];
    const struct adp_dialect *dialect = terms->dialect;
    const struct eng_auth *auth = &generation->auths[command->account - 1];
    enum ipc_action action = (enum ipc_action)command->action;
    const struct eng_request_block *block = &terms->requests[request_kind(action)];
    struct eng_shape *shape = eng_shapes_of(&turn->shapes, dialect, command);
    struct eng_blocks_parts parts;
    uint8_t body[ENG_SHAPE_BODY_BYTES];
    int body_bytes = 0;
    if (shape == NULL || auth->count == 0 || block->count == 0)
        return false;
    if (block->has_body) {
        body_bytes = eng_shape_body(shape, command,
            generation->view.accounts[command->account - 1].login, body, sizeof(body));
        if (body_bytes <= 0)
            return false;
    }
    if (eng_blocks_parts(block, auth, connection->h1 != NULL, command->broker_order_id, &parts) !=
        IPC_OK)
        return false;
    const struct eng_h2_request request = {
        .parts = parts.parts,
        .part_count = parts.count,
        .body_bytes = (uint32_t)body_bytes,
        .body = body,
        .child = command->child,
        .request_no = turn_cookie(command->request_no, action),
        .account = command->account,
        .reply_by_mono_ns = turn->now_mono_ns + terms->reply_timeout_ns,
        .leave_by_mono_ns = command->deadline_mono_ns,
    };
    return eng_pool_request(turn->pool, connection, &request, turn->now_mono_ns) == ENG_H2_ADMITTED;
}

/* How a frame's orders leave. */
enum leave {
    LEAVE_AT_ONCE,   /* decided a moment ago */
    LEAVE_RECHECKED, /* the decision is older than this turn: switches and age once more */
    LEAVE_REDUCING,  /* and the disk will never have the frame: exits and cancels only */
};

/* Makes one child's request. */
static void order_send(struct eng_turn *turn, uint32_t child, enum leave leave)
{
    struct ipc_command command;
    if (eng_core_command(turn->wiring.core, child, &command) != IPC_OK) {
        /* Its follower left the snapshot since the decision. */
        turn_not_sent(turn, child, command.request_no, (enum ipc_action)command.action);
        return;
    }
    enum ipc_action action = (enum ipc_action)command.action;
    uint32_t broker = turn->generation->view.accounts[command.account - 1].broker;
    struct eng_connection *connection = eng_pool_serve(turn->pool, command.account);
    if (connection == NULL || turn->generation->brokers[broker].dialect == NULL ||
        (leave != LEAVE_AT_ONCE &&
            (turn_barred(turn, &command) || command.deadline_mono_ns <= turn->now_mono_ns)) ||
        (leave == LEAVE_REDUCING && !command.is_exit) ||
        !request_make(turn, &command, connection, broker)) {
        eng_pool_unreserve(turn->pool, command.account);
        turn_not_sent(turn, child, command.request_no, action);
        return;
    }
    struct turn_flight *flight = &turn->flights[child];
    if (!flight->open) {
        flight->open = 1;
        turn->requests_open++;
    }
    flight->accepted_mono_ns = 0;
    flight->request_no = command.request_no;
    flight->broker = (uint8_t)broker;
    request_count(turn, action);
    waiting_add(turn, connection);
    if (turn->sent_count < TURN_SENT_MAX) {
        turn->sent[turn->sent_count].child = child;
        turn->sent[turn->sent_count].connection = connection->handle;
        turn->sent_count++;
    }
}

/* ---- what left --------------------------------------------------------------------------------
 */

static bool drained(const struct eng_connection *connection)
{
    size_t cipher = 0;
    (void)eng_tls_pending(&connection->tls, &cipher);
    return cipher == 0 && eng_connection_output(connection).count == 0;
}

/* Orders of connections that are drained count as accepted when their connection's last byte was
 * taken; the others stay listed. */
static void sent_settle(struct eng_turn *turn)
{
    uint32_t kept = 0, connection = 0, orders = 0;
    struct eng_track *track = NULL;
    for (uint32_t i = 0; i < turn->sent_count; i++) {
        uint32_t child = turn->sent[i].child;
        if (turn->is_waiting[turn->sent[i].connection]) {
            turn->sent[kept++] = turn->sent[i];
            continue;
        }
        struct eng_track *of = eng_track_of(&turn->tracks, child);
        if (of != track || turn->sent[i].connection != connection) {
            if (track != NULL)
                eng_track_accepted(track, orders, turn->drained_mono_ns[connection]);
            track = of;
            connection = turn->sent[i].connection;
            orders = 0;
        }
        turn->flights[child].accepted_mono_ns = turn->drained_mono_ns[connection];
        orders++;
    }
    if (track != NULL)
        eng_track_accepted(track, orders, turn->drained_mono_ns[connection]);
    turn->sent_count = kept;
}

void turn_accept(struct eng_turn *turn, uint32_t child, int64_t now_mono_ns)
{
    for (uint32_t i = 0; i < turn->sent_count; i++) {
        if (turn->sent[i].child != child)
            continue;
        struct eng_track *track = eng_track_of(&turn->tracks, child);
        if (track != NULL)
            eng_track_accepted(track, 1, now_mono_ns);
        turn->sent[i] = turn->sent[--turn->sent_count];
        break;
    }
    turn->flights[child].accepted_mono_ns = now_mono_ns;
}

void turn_waiting_check(struct eng_turn *turn)
{
    if (turn->waiting_count == 0)
        return;
    uint32_t kept = 0;
    int64_t now_mono_ns = ipc_clock_mono_ns();
    uint64_t now_tsc = ipc_clock_tsc();
    for (uint32_t i = 0; i < turn->waiting_count; i++) {
        struct eng_connection *connection = turn->waiting[i];
        if (!connection->ended && !drained(connection)) {
            turn->waiting[kept++] = connection;
            continue;
        }
        turn->is_waiting[connection->handle] = 0;
        turn->drained_mono_ns[connection->handle] =
            now_mono_ns -
            ipc_clock_ticks_to_ns(&turn->wiring.clock, now_tsc - connection->handed_tsc);
    }
    if (kept != turn->waiting_count && turn->sent_count > 0)
        sent_settle(turn);
    turn->waiting_count = kept;
}

void turn_waiting_drop(struct eng_turn *turn, const struct eng_connection *connection)
{
    for (uint32_t i = 0; i < turn->waiting_count; i++) {
        if (turn->waiting[i] == connection) {
            turn->waiting[i] = turn->waiting[--turn->waiting_count];
            turn->is_waiting[connection->handle] = 0;
            return;
        }
    }
}

void turn_flush(struct eng_turn *turn, uint32_t record_bytes, struct eng_track *track)
{
    struct eng_telemetry *telemetry = turn->wiring.telemetry;
    const struct eng_pool_figures *totals = eng_pool_totals(turn->pool);
    /* Read again: after a pause of this machine in mid-turn, what is too old by now is withdrawn
     * before it is sealed. */
    int64_t now_mono_ns = ipc_clock_mono_ns();
    if (track == NULL) {
        (void)eng_pool_flush(turn->pool, record_bytes, now_mono_ns, &turn->sink);
        turn_waiting_check(turn);
        return;
    }
    uint64_t ticks = totals->send_ticks, sends = totals->sends, records = totals->records;
    uint64_t bytes = totals->cipher_bytes;
    uint64_t start_tsc = ipc_clock_tsc();
    (void)eng_pool_flush(turn->pool, record_bytes, now_mono_ns, &turn->sink);
    uint64_t end_tsc = ipc_clock_tsc();
    turn_waiting_check(turn);
    uint64_t send_ticks = totals->send_ticks - ticks;
    uint64_t seal_ticks = end_tsc - start_tsc > send_ticks ? end_tsc - start_tsc - send_ticks : 0;
    int64_t send_ns = ipc_clock_ticks_to_ns(&turn->wiring.clock, send_ticks);
    int64_t seal_ns = ipc_clock_ticks_to_ns(&turn->wiring.clock, seal_ticks);
    ipc_hist_record(telemetry->stage_seal, seal_ns);
    ipc_hist_record(telemetry->stage_send, send_ns);
    track->record.seal_ns += seal_ns;
    track->record.send_ns += send_ns;
    track->record.sends += (uint32_t)(totals->sends - sends);
    track->record.records += (uint32_t)(totals->records - records);
    track->record.bytes += totals->cipher_bytes - bytes;
}

/* ---- one frame's orders -----------------------------------------------------------------------
 */

/* Small records while the ramp begins: the first orders can be decrypted as soon as they arrive.
 * Smaller ones than this cost more to seal than they bring. */
static uint32_t record_bytes_for(uint32_t orders)
{
    return orders <= 8 ? 2048 : ENG_TLS_RECORD_BYTES;
}

static void frame_send(struct eng_turn *turn, struct eng_track *track, const uint32_t *children,
    uint32_t count, enum leave leave, uint64_t journal_tsc)
{
    struct eng_telemetry *telemetry = turn->wiring.telemetry;
    uint64_t start_tsc = ipc_clock_tsc();
    uint32_t orders = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (children[i] == ENG_NONE)
            continue;
        order_send(turn, children[i], leave);
        orders++;
    }
    int64_t encode_ns = ipc_clock_ticks_to_ns(&turn->wiring.clock, ipc_clock_tsc() - start_tsc);
    if (track != NULL) {
        track->record.encode_ns += encode_ns;
        if (journal_tsc != 0) {
            int64_t journal_ns =
                ipc_clock_ticks_to_ns(&turn->wiring.clock, start_tsc - journal_tsc);
            track->record.journal_ns += journal_ns;
            ipc_hist_record(telemetry->stage_journal, journal_ns);
        }
    }
    if (orders == 0)
        return;
    ipc_hist_record(telemetry->stage_encode, encode_ns);
    turn_flush(turn, record_bytes_for(orders), track);
}

/* Tier power after a disk error: nothing becomes durable any more, and what reduces goes on from
 * memory alone. */
static bool disk_is_lost(const struct eng_turn *turn)
{
    enum ipc_journal_state state = eng_journal_state(turn->wiring.journal);
    return state == IPC_JOURNAL_STATE_DISK_FAILED || state == IPC_JOURNAL_STATE_DAMAGED;
}

void turn_dispatch(struct eng_turn *turn, uint64_t lsn, struct eng_track *track,
    const uint32_t *children, uint32_t count, uint64_t decide_tsc)
{
    LS_CHECK(count <= IPC_BATCH_CHILDREN_MAX);
    enum leave leave = LEAVE_AT_ONCE;
#ifndef LS_PLANT_SEND_BEFORE_JOURNAL
    bool is_durable = eng_journal_is_durable(turn->wiring.journal, lsn);
    if (LS_UNLIKELY(!is_durable && disk_is_lost(turn)))
        leave = LEAVE_REDUCING;
    if (turn->held_count > 0 || (!is_durable && leave != LEAVE_REDUCING)) {
        /* Tier power: the orders leave when the disk has their frame, in the order of frames. */
        uint32_t orders = 0;
        for (uint32_t i = 0; i < count; i++)
            orders += children[i] != ENG_NONE;
        if (orders == 0)
            return;
        LS_CHECK(turn->held_count < TURN_HELD_BATCHES);
        struct turn_held *held =
            &turn->held[(turn->held_first + turn->held_count++) % TURN_HELD_BATCHES];
        held->lsn = lsn;
        held->wave = track != NULL ? track->record.wave : 0;
        held->count = count;
        for (uint32_t i = 0; turn->kept_count > 0 && i < count; i++) {
            struct ipc_command command;
            if (children[i] != ENG_NONE &&
                eng_core_command(turn->wiring.core, children[i], &command) == IPC_OK)
                reserve_hold(turn, command.account);
        }
        memcpy(held->children, children, count * sizeof(*children));
        ipc_metric_add(turn->wiring.telemetry->power_waits, 1);
        return;
    }
#else
    (void)lsn;
#endif
    frame_send(turn, track, children, count, leave, decide_tsc);
}

void turn_held_go(struct eng_turn *turn)
{
    while (turn->held_count > 0) {
        struct turn_held *held = &turn->held[turn->held_first];
        enum leave leave = LEAVE_RECHECKED;
        if (!eng_journal_is_durable(turn->wiring.journal, held->lsn)) {
            if (!disk_is_lost(turn))
                return;
            leave = LEAVE_REDUCING;
        }
        turn->held_first = (turn->held_first + 1) % TURN_HELD_BATCHES;
        turn->held_count--;
        turn->work++;
        frame_send(
            turn, eng_track_find(&turn->tracks, held->wave), held->children, held->count, leave, 0);
    }
}

/* ---- keep-alive -------------------------------------------------------------------------------
 */

void turn_keepalive(struct eng_turn *turn)
{
    const struct eng_generation *generation = turn->generation;
    if (generation == NULL || turn->stopping)
        return;
    turn_reserve_reset(turn); /* what the last batch set aside and did not use */
    for (uint16_t broker = 0; broker < ENG_BROKERS_MAX; broker++) {
        const struct eng_broker_terms *terms = &generation->brokers[broker];
        const struct eng_request_block *block = &terms->requests[ADP_REQUEST_KEEPALIVE];
        struct eng_connection *connection;
        uint32_t account = 0;
        if (terms->dialect == NULL || block->count == 0 || block->has_path_hole)
            continue;
        while (eng_pool_keepalive(turn->pool, broker, terms->keepalive_idle_ns, turn->now_mono_ns,
            &connection, &account)) {
            const struct eng_auth *auth = account != 0 && account <= generation->view.account_count
                                              ? &generation->auths[account - 1]
                                              : NULL;
            if (auth == NULL || auth->count == 0)
                continue;
            struct eng_blocks_parts parts;
            if (eng_blocks_parts(block, auth, connection->h1 != NULL, NULL, &parts) != IPC_OK)
                continue;
            const struct eng_h2_request request = {
                .parts = parts.parts,
                .part_count = parts.count,
                .child = ENG_NONE,
                .account = account,
                .reply_by_mono_ns = turn->now_mono_ns + terms->reply_timeout_ns,
                .leave_by_mono_ns = INT64_MAX,
            };
            if (eng_pool_is_reserved(turn->pool, connection))
                continue;
            /* Not admitted: the connection is busy, which keeps it alive as well. */
            enum eng_h2_admission ignored =
                eng_pool_request(turn->pool, connection, &request, turn->now_mono_ns);
            (void)ignored;
        }
    }
}
