#include <string.h>

#include "engine/core/outcome.h"
#include "engine/turn_private.h"

/* ---- outcomes become facts --------------------------------------------------------------------
 */

static void frame_commit(struct eng_turn *turn, uint32_t first, uint32_t count);

/* The request of this flight is over. */
static void flight_close(struct eng_turn *turn, struct turn_flight *flight)
{
    if (!flight->open)
        return;
    flight->open = 0;
    LS_CHECK(turn->requests_open > 0);
    turn->requests_open--;
}

/* outcome_add makes the REPLY fact of one outcome; it is journaled with the others of this turn. */
static void outcome_add(struct eng_turn *turn, uint32_t child, uint32_t request_no,
    enum ipc_action action, const struct ipc_outcome *outcome, int64_t parsed_mono_ns)
{
    struct turn_flight *flight = &turn->flights[child];
    struct ipc_fact_alarm alarm;
    bool has_alarm = false;
    /* An outcome is decided over the state that holds all earlier ones of the same child. */
    if (flight->frame == turn->frame || turn->reply_count == TURN_REPLIES_HELD)
        turn_replies_commit(turn);
    if (turn->reply_count == TURN_REPLIES_HELD) {
        /* The journal has had no room for thousands of outcomes: this one is found at the broker's
         * book after the restart that a person will have to make. */
        ipc_metric_add(turn->wiring.telemetry->requests_lost, 1);
        return;
    }
    enum ipc_rc rc = eng_decide_reply(turn->wiring.core, child, request_no, action, outcome,
        flight->accepted_mono_ns, parsed_mono_ns, &turn->replies[turn->reply_count], &alarm,
        &has_alarm);
    LS_CHECK(rc == IPC_OK);
    turn->reply_children[turn->reply_count++] = child;
    flight->frame = turn->frame;
    if (request_no == flight->request_no)
        flight_close(turn, flight);
    if (has_alarm && turn->alarm_count < LS_COUNT_OF(turn->alarms))
        turn->alarms[turn->alarm_count++] = alarm;
}

void turn_replies_commit(struct eng_turn *turn)
{
    uint32_t done = 0;
    while (done < turn->reply_count) {
        uint32_t count = turn->reply_count - done;
        if (count > TURN_REPLIES_PER_FRAME)
            count = TURN_REPLIES_PER_FRAME;
        uint32_t bytes = (uint32_t)(count * sizeof(*turn->replies));
        if (turn_append(turn, IPC_FACT_REPLY, &turn->replies[done], bytes, count) == 0)
            break; /* no room: what is left waits for the next turn */
        frame_commit(turn, done, count);
        done += count;
    }
    if (done == 0)
        return;
    turn->reply_count -= done;
    memmove(turn->replies, turn->replies + done, turn->reply_count * sizeof(*turn->replies));
    memmove(turn->reply_children, turn->reply_children + done,
        turn->reply_count * sizeof(*turn->reply_children));
    if (turn->reply_count == 0)
        turn->frame++;
    turn->work += done;
    for (uint32_t i = 0; i < turn->alarm_count; i++)
        turn_alarm(turn, &turn->alarms[i]);
    turn->alarm_count = 0;
}

/* After a frame is applied: waves learn their outcomes. A child that goes to a queue again keeps
 * its wave open. */
static void frame_commit(struct eng_turn *turn, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        const struct ipc_fact_reply *fact = &turn->replies[i];
        enum ipc_outcome_class outcome = (enum ipc_outcome_class)fact->outcome.outcome;
        struct eng_child_view child;
        if (outcome != IPC_OUTCOME_ACKED && outcome != IPC_OUTCOME_REJECTED &&
            eng_core_child(turn->wiring.core, turn->reply_children[i], &child) && child.is_queued)
            continue;
        struct eng_track *track = eng_track_outcome(
            &turn->tracks, turn->reply_children[i], outcome, fact->parsed_mono_ns);
        if (track != NULL)
            turn_wave_end(turn, track);
    }
}

/* ---- from connections -------------------------------------------------------------------------
 */

void turn_on_reply(const struct eng_h2_reply *reply, void *context)
{
    struct eng_turn *turn = context;
    struct eng_telemetry *telemetry = turn->wiring.telemetry;
    if (reply->child == ENG_NONE)
        return; /* of a keep-alive request: its bytes were the point */
    LS_CHECK(reply->child < turn->wiring.config->children);
    struct turn_flight *flight = &turn->flights[reply->child];
    enum ipc_action action = (enum ipc_action)(reply->request_no >> 30);
    const struct adp_dialect *dialect = turn->generation->brokers[flight->broker].dialect;
    struct ipc_outcome outcome;
    int64_t parsed_mono_ns;
    if (dialect != NULL) {
        dialect->decode_reply(action, reply->http_status, reply->body, &outcome);
    } else {
        memset(&outcome, 0, sizeof(outcome));
        outcome.outcome = IPC_OUTCOME_UNKNOWN;
        outcome.evidence = IPC_EVIDENCE_MALFORMED;
    }
    parsed_mono_ns = ipc_clock_mono_ns();
    outcome.http_status = (uint16_t)reply->http_status;
    outcome.stream_id = reply->stream_id;
    ipc_metric_add(telemetry->replies, 1);
    /* It came while later orders of the connection still wait for the socket. */
    if (flight->accepted_mono_ns == 0)
        turn_accept(turn, reply->child, parsed_mono_ns);
    else if (!reply->late)
        ipc_hist_record(telemetry->reply, parsed_mono_ns - flight->accepted_mono_ns);
    turn->work++;
    outcome_add(
        turn, reply->child, reply->request_no & 0x3fffffffu, action, &outcome, parsed_mono_ns);
}

/* The class of a request without a reply (ORDER-SAFETY 3.3): only what provably was not processed
 * is NOT_SENT. */
static enum ipc_outcome_class loss_class(
    const struct eng_turn *turn, const struct eng_h2_loss *loss, uint32_t broker)
{
    const struct eng_generation *generation = turn->generation;
    const struct adp_dialect *dialect = generation->brokers[broker].dialect;
    uint32_t flags =
        broker < generation->view.broker_count ? generation->view.brokers[broker].flags : 0;
    bool trust_refused = (flags & IPC_BROKER_TRUST_REFUSED_STREAM) != 0 ||
                         (dialect != NULL && dialect->capabilities.trust_refused_stream);
    bool trust_goaway = (flags & IPC_BROKER_TRUST_GOAWAY) != 0 ||
                        (dialect != NULL && dialect->capabilities.trust_goaway);
    return eng_loss_class(loss->evidence, loss->h2_error, trust_goaway, trust_refused);
}

void turn_on_loss(const struct eng_h2_loss *loss, void *context)
{
    struct eng_turn *turn = context;
    if (loss->child == ENG_NONE)
        return;
    LS_CHECK(loss->child < turn->wiring.config->children);
    struct turn_flight *flight = &turn->flights[loss->child];
    enum ipc_action action = (enum ipc_action)(loss->request_no >> 30);
    struct ipc_outcome outcome = {
        .outcome = (uint8_t)loss_class(turn, loss, flight->broker),
        .evidence = (uint8_t)loss->evidence,
        .stream_id = loss->stream_id,
        .h2_error = loss->h2_error,
    };
    if (loss->evidence == IPC_EVIDENCE_TIMEOUT)
        ipc_metric_add(turn->wiring.telemetry->reply_timeouts, 1);
    else
        ipc_metric_add(turn->wiring.telemetry->requests_lost, 1);
    turn->work++;
    outcome_add(
        turn, loss->child, loss->request_no & 0x3fffffffu, action, &outcome, ipc_clock_mono_ns());
}

void turn_not_sent(
    struct eng_turn *turn, uint32_t child, uint32_t request_no, enum ipc_action action)
{
    const struct ipc_outcome outcome = {
        .outcome = IPC_OUTCOME_NOT_SENT,
        .evidence = IPC_EVIDENCE_NO_BYTES,
    };
    turn->flights[child].accepted_mono_ns = 0;
    turn->flights[child].request_no = request_no;
    ipc_metric_add(turn->wiring.telemetry->requests_not_sent, 1);
    outcome_add(turn, child, request_no, action, &outcome, ipc_clock_mono_ns());
}

/* ---- waves ------------------------------------------------------------------------------------
 */

void turn_wave_end(struct eng_turn *turn, struct eng_track *track)
{
    const struct ipc_wave_record *record;
    if (!eng_track_finish(track, turn->now_wall_ns, &record))
        return;
    struct ipc_wave_record copy = *record;
    ipc_waves_put(turn->wiring.waves, &copy);
    eng_telemetry_wave(turn->wiring.telemetry, &copy);
    uint32_t placed = copy.acked + copy.rejected + copy.unknown + copy.not_sent;
    int64_t span_ns =
        copy.parsed_ns > 0 ? copy.parsed_ns : turn->now_mono_ns - copy.published_mono_ns;
    int64_t numbers[] = {placed, copy.acked, copy.skipped, copy.waiting, span_ns};
    turn_note(turn, ENG_NOTE_WAVE, copy.unknown > 0 ? IPC_LOG_WARN : IPC_LOG_INFO, numbers,
        LS_COUNT_OF(numbers), copy.unknown > 0 ? ", some with an unknown outcome" : "");
}
