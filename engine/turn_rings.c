#include <string.h>

#include "engine/turn_private.h"

#define ROOM_FOR_EVENTS 8192u /* payload bytes that one event's facts need at most, generously */
#define SAY_EVERY_NS    LS_NS_PER_S

/* A record that cannot be used: an alarm fact, at most one a second, and a counter for each. */
static void event_refuse(struct eng_turn *turn, const struct turn_ring *ring, uint32_t index,
    enum ipc_alarm alarm_kind, const char *sentence)
{
    ipc_metric_add(turn->wiring.telemetry->ring_bad_records, 1);
    if (turn->said_event_mono_ns != 0 &&
        turn->now_mono_ns - turn->said_event_mono_ns < SAY_EVERY_NS)
        return;
    turn->said_event_mono_ns = turn->now_mono_ns;
    struct ipc_fact_alarm alarm = {.alarm = (uint32_t)alarm_kind, .account = ring->event.account};
    strncpy(alarm.text, sentence, sizeof(alarm.text) - 1);
    int64_t numbers[] = {index, (int64_t)ring->sequence};
    turn_note(turn, ENG_NOTE_EVENT_REFUSED, IPC_LOG_ERROR, numbers, LS_COUNT_OF(numbers), sentence);
    turn_alarm(turn, &alarm);
}

/* What a person asks of the shell alone: nothing of it is state. */
static bool shell_acts(struct eng_turn *turn, const struct ipc_event *event)
{
    if (event->reserved == IPC_OPERATOR_POSITIONS)
        turn_positions_want(turn, event->account, event->broker_order_id);
    else if (event->reserved == IPC_OPERATOR_POSITIONS_ALL)
        turn_positions_want_all(turn, event->broker_order_id);
    else
        return false;
    return true;
}

/* The facts of one event, journaled and applied in order. Returns false when it must be tried again
 * later; its slots stay taken then. */
static bool event_take(struct eng_turn *turn, struct turn_ring *ring, uint32_t index)
{
    struct eng_event_facts facts;
    int64_t read_mono_ns = ipc_clock_mono_ns();
    if (ring->event.kind == IPC_EVENT_OPERATOR && shell_acts(turn, &ring->event))
        return true;
    eng_step_event(
        turn->wiring.core, &ring->event, (uint8_t)index, ring->sequence, read_mono_ns, &facts);
    if (facts.count == 0) {
        if (!facts.retry_later)
            ipc_metric_add(turn->wiring.telemetry->duplicates, 1);
        return !facts.retry_later;
    }
    for (uint32_t i = 0; i < facts.count; i++) {
        if (facts.fact[i].type == IPC_FACT_ALARM) {
            turn_alarm(turn, &facts.fact[i].alarm);
            continue;
        }
        uint64_t lsn =
            turn_append(turn, facts.fact[i].type, &facts.fact[i].event, facts.fact[i].bytes, 1);
        /* Room was asked for before: a full journal here is a bug of the room's arithmetic. */
        LS_CHECK(lsn != 0);
        if (facts.fact[i].type == IPC_FACT_EVENT && facts.fact[i].event.wave != 0)
            eng_track_begin(&turn->tracks, &facts.fact[i].event, lsn, read_mono_ns);
    }
    if (ring->event.published_mono_ns > 0)
        ipc_hist_record(
            turn->wiring.telemetry->ring_hop, read_mono_ns - ring->event.published_mono_ns);
    return true;
}

enum step { STEP_EMPTY, STEP_TAKEN, STEP_LATER, STEP_BROKEN };

static enum step ring_step(struct eng_turn *turn, struct turn_ring *ring, uint32_t index)
{
    struct ipc_error error = {{0}};
    if (!ring->is_pending) {
        size_t bytes = 0;
        enum ipc_rc rc =
            ipc_ring_poll(ring->consumer, turn->record, TURN_EVENT_BYTES, &bytes, &ring->sequence);
        if (rc == IPC_EMPTY)
            return STEP_EMPTY;
        if (rc == IPC_BAD_CRC) {
            /* What it said is lost: the account's feed has a gap until its book is read again. */
            event_refuse(turn, ring, index, IPC_ALARM_FEED_GAP,
                "a record was damaged and dropped: its producer must publish the book again");
            return STEP_TAKEN;
        }
        if (rc != IPC_OK)
            return STEP_BROKEN;
        ipc_metric_add(turn->wiring.telemetry->ring_records, 1);
        if (bytes != sizeof(ring->event)) {
            event_refuse(turn, ring, index, IPC_ALARM_BAD_EVENT, "a record of another size");
            return STEP_TAKEN;
        }
        memcpy(&ring->event, turn->record, sizeof(ring->event));
        if (ipc_event_check(&ring->event, &error) != IPC_OK) {
            error.text[75] = '\0';
            event_refuse(turn, ring, index, IPC_ALARM_BAD_EVENT, error.text);
            return STEP_TAKEN;
        }
        ring->is_pending = true;
    }
    if (!event_take(turn, ring, index))
        return STEP_LATER;
    ring->is_pending = false;
    return STEP_TAKEN;
}

void turn_rings_poll(struct eng_turn *turn, enum ipc_ring_class ring_class, uint32_t max)
{
    /* While it stops, the engine takes no new events, and none before it has the pages to decide
     * them with: they stay in their rings. */
    if (turn->stopping || turn->ring_places == 0 || turn->generation == NULL || !turn->pages_known)
        return;
    uint32_t taken = 0, quiet = 0;
    uint32_t index = turn->ring_next % turn->ring_places;
    while (taken < max && quiet < turn->ring_places) {
        struct turn_ring *ring = &turn->rings[index];
        enum step step = STEP_EMPTY;
        if (ring->consumer != NULL && ring->ring_class == ring_class) {
            if (eng_journal_room(turn->wiring.journal) < ROOM_FOR_EVENTS) {
                ipc_metric_add(turn->wiring.telemetry->ring_deferred, 1);
                return;
            }
            step = ring_step(turn, ring, index);
        }
        if (step == STEP_TAKEN) {
            /* Its facts are journaled: the slots may go. */
            ipc_ring_release(ring->consumer);
            taken++;
            quiet = 0;
        } else {
            quiet++;
        }
        if (step == STEP_LATER)
            ipc_metric_add(turn->wiring.telemetry->ring_deferred, 1);
        if (step == STEP_BROKEN) {
            struct eng_to_porter message = {.kind = ENG_TO_PORTER_RING, .index = index};
            ring->consumer = NULL;
            LS_CHECK(ipc_queue_offer(&turn->wiring.link->to_porter, &message));
        }
        index = (index + 1) % turn->ring_places;
    }
    turn->ring_next = index;
    turn->work += taken;
}

bool turn_rings_ready(const struct eng_turn *turn)
{
    if (turn->generation == NULL || turn->stopping || !turn->pages_known)
        return false;
    for (uint32_t i = 0; i < turn->ring_places; i++)
        if (turn->rings[i].consumer != NULL &&
            (turn->rings[i].is_pending || ipc_ring_is_ready(turn->rings[i].consumer)))
            return true;
    return false;
}
