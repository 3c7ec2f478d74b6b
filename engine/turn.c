#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/memory.h"
#include "engine/turn_private.h"

#define COUNTERS_EVERY_NS  (5 * LS_NS_PER_MS)
#define KEEPALIVE_EVERY_NS (100 * LS_NS_PER_MS)
#define SLEEP_MAX_NS       (20 * LS_NS_PER_MS)
#define HELD_SLEEP_NS      (50 * LS_NS_PER_US)
#define LANES_PER_TURN     256u
#define EDGE_EVENTS        256u
#define WAVE_EDGE_EVENTS   2u
#define REPLIES_WAIT_NS    LS_NS_PER_MS /* at most, while a wave is being sent */
#define CLOCK_STEP_NS      (LS_NS_PER_S / 2)
#define CLOCK_LOOK_MAX_NS  (5 * LS_NS_PER_MS)

/* Tests preload a library that traps allocations of libc on the calling thread after this call. */
__attribute__((weak)) void ls_alloc_trap_arm(void);

/* ---- start and end ----------------------------------------------------------------------------
 */

static void *zeroed(size_t count, size_t bytes)
{
    size_t whole = ls_align_up(count * bytes, 4096);
    void *memory = aligned_alloc(4096, whole > 0 ? whole : 4096);
    if (memory != NULL)
        memset(memory, 0, whole > 0 ? whole : 4096); /* also faults every page in */
    return memory;
}

enum ipc_rc eng_turn_make(
    const struct eng_turn_wiring *wiring, struct eng_turn **out, struct ipc_error *error)
{
    const struct eng_config *config = wiring->config;
    struct eng_turn *turn = zeroed(1, sizeof(*turn));
    void *track_memory = zeroed(1, eng_tracks_footprint(config->waves, config->children));
    bool has_limits = false;
    *out = NULL;
    if (turn != NULL && track_memory != NULL) {
        turn->wiring = *wiring;
        eng_tracks_init(&turn->tracks, track_memory, config->waves, config->children);
        turn->rings = zeroed(config->rings, sizeof(*turn->rings));
        turn->record = zeroed(1, TURN_EVENT_BYTES);
        turn->flights = zeroed(config->children, sizeof(*turn->flights));
        turn->held = zeroed(TURN_HELD_BATCHES, sizeof(*turn->held));
        turn->waiting = zeroed(config->connections, sizeof(struct eng_connection *));
        turn->is_waiting = zeroed(config->connections, 1);
        turn->drained_mono_ns = zeroed(config->connections, sizeof(int64_t));
        turn->reserved_streams = zeroed(config->connections, sizeof(uint32_t));
        turn->reserved_bytes = zeroed(config->connections, sizeof(uint32_t));
        turn->replies = zeroed(TURN_REPLIES_HELD, sizeof(*turn->replies));
        turn->reply_children = zeroed(TURN_REPLIES_HELD, sizeof(uint32_t));
        turn->lane_stamp = zeroed(config->accounts, sizeof(uint32_t));
        has_limits = turn_limits_make(turn, config->follower_slots) == IPC_OK &&
                     turn_books_make(turn, config->accounts) == IPC_OK &&
                     turn_positions_make(turn, config->accounts) == IPC_OK;
    }
    if (turn == NULL || track_memory == NULL || turn->rings == NULL || turn->record == NULL ||
        turn->flights == NULL || turn->held == NULL || turn->waiting == NULL ||
        turn->drained_mono_ns == NULL || turn->is_waiting == NULL ||
        turn->reserved_streams == NULL || turn->reserved_bytes == NULL || turn->replies == NULL ||
        turn->reply_children == NULL || turn->lane_stamp == NULL || !has_limits) {
        ipc_error_set(
            error, "no memory for the pinned thread: lower the limits in its configuration");
        return IPC_SYSTEM;
    }
    turn->sink = (struct eng_h2_sink){turn_on_reply, turn_on_loss, turn};
    eng_shapes_init(&turn->shapes);
    turn->frame = 1;
    *out = turn;
    return IPC_OK;
}

void eng_turn_free(struct eng_turn *turn)
{
    if (turn == NULL)
        return;
    if (turn->pool != NULL)
        eng_pool_free(turn->pool);
    if (turn->edge != NULL)
        eng_edge_close(turn->edge);
    free(turn->tracks.waves);
    free(turn->rings);
    free(turn->record);
    free(turn->flights);
    free(turn->held);
    free(turn->waiting);
    free(turn->is_waiting);
    free(turn->drained_mono_ns);
    free(turn->reserved_streams);
    free(turn->reserved_bytes);
    free(turn->replies);
    free(turn->reply_children);
    free(turn->lane_stamp);
    turn_limits_free(turn);
    turn_books_free(turn);
    turn_positions_free(turn);
    free(turn);
}

const char *eng_turn_failure(const struct eng_turn *turn)
{
    return turn->failure;
}

static enum ipc_rc turn_open(struct eng_turn *turn, struct ipc_error *error)
{
    const struct eng_config *config = turn->wiring.config;
    if (config->pinned_cpu >= 0) {
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        CPU_SET((size_t)config->pinned_cpu, &cpus);
        if (pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus) != 0) {
            ipc_error_set(
                error, "cpu.pinned: this process may not run on processor %d", config->pinned_cpu);
            return IPC_SYSTEM;
        }
    }
    uint32_t buffers = 8;
    while (buffers < 2 * config->connections && buffers < 2048)
        buffers *= 2;
    struct eng_edge_config edge = {
        .kind = (enum eng_edge_kind)config->io,
        .sockets = config->connections,
        .receive_buffers = buffers,
        .receive_buffer_bytes = 8192,
    };
    enum ipc_rc rc = eng_edge_open(&edge, &turn->edge, error);
    if (rc != IPC_OK)
        return rc;
    rc = eng_edge_watch(turn->edge, config->connections, turn->wiring.wake->fifo_fd);
    if (rc != IPC_OK) {
        ipc_error_set(error, "the shard's FIFO cannot be watched (%s)", ipc_rc_text(rc));
        return rc;
    }
    struct eng_pool_config pool = {
        .connections = config->connections,
        .lanes = turn->wiring.lanes,
        .accounts = config->accounts,
        .seed = (uint64_t)ipc_clock_wall_ns(),
    };
    return eng_pool_make(&pool, turn->edge, &turn->pool, error);
}

/* ---- facts ------------------------------------------------------------------------------------
 */

void turn_note(struct eng_turn *turn, enum eng_note_kind kind, enum ipc_log_level level,
    const int64_t *numbers, uint32_t count, const char *text)
{
    struct eng_note note = {.kind = (uint8_t)kind, .level = (uint8_t)level};
    LS_CHECK(count <= LS_COUNT_OF(note.number));
    if (count > 0)
        memcpy(note.number, numbers, count * sizeof(*numbers));
    strncpy(note.text, text, sizeof(note.text) - 1);
    if (!ipc_queue_offer(&turn->wiring.link->notes, &note))
        ipc_metric_add(turn->wiring.telemetry->notes_dropped, 1);
}

void turn_apply(struct eng_turn *turn, enum ipc_fact_type type, const void *payload, uint32_t bytes,
    uint32_t count, uint64_t lsn)
{
    struct eng_frame frame = {
        .type = type,
        .count = count,
        .payload = payload,
        .payload_bytes = bytes,
        .lsn = lsn,
        .mono_ns = turn->now_mono_ns,
        .wall_ns = turn->now_wall_ns,
    };
    LS_CHECK(eng_apply(turn->wiring.core, &frame) == IPC_OK);
}

uint64_t turn_append(struct eng_turn *turn, enum ipc_fact_type type, const void *payload,
    uint32_t bytes, uint32_t count)
{
    uint64_t lsn = eng_journal_append(turn->wiring.journal, type, payload, bytes, count);
    if (lsn != 0)
        turn_apply(turn, type, payload, bytes, count, lsn);
    return lsn;
}

void turn_alarm(struct eng_turn *turn, const struct ipc_fact_alarm *alarm)
{
    int64_t numbers[] = {alarm->alarm, alarm->account};
    ipc_metric_add(turn->wiring.telemetry->alarms, 1);
    turn_note(turn, ENG_NOTE_ALARM, IPC_LOG_WARN, numbers, LS_COUNT_OF(numbers), alarm->text);
    /* With a full journal the log line and the counter are what is left of it. */
    uint64_t ignored = turn_append(turn, IPC_FACT_ALARM, alarm, sizeof(*alarm), 1);
    (void)ignored;
}

/* ---- generations and lanes --------------------------------------------------------------------
 */

static void answer(struct eng_turn *turn, const struct eng_to_porter *message)
{
    /* The queue holds every object that exists. */
    LS_CHECK(ipc_queue_offer(&turn->wiring.link->to_porter, message));
}

/* A broker that moved gets new connections: its accounts leave their lanes, which drain, and
 * lanes_walk puts them on new ones. */
static void brokers_moved(struct eng_turn *turn, const struct eng_generation *next)
{
    const struct eng_generation *old = turn->generation;
    bool moved[ENG_BROKERS_MAX] = {false};
    bool any = false;
    if (old == NULL)
        return;
    for (uint32_t i = 0; i < ENG_BROKERS_MAX; i++) {
        if (old->brokers[i].dialect == NULL)
            continue;
        const struct ipc_row_broker *a = &old->view.brokers[i];
        const struct ipc_row_broker *b =
            i < next->view.broker_count ? &next->view.brokers[i] : NULL;
        moved[i] = b == NULL || !b->live || a->port != b->port ||
                   memcmp(a->host, b->host, sizeof(a->host)) != 0 ||
                   memcmp(a->authority, b->authority, sizeof(a->authority)) != 0 ||
                   memcmp(a->ca_file, b->ca_file, sizeof(a->ca_file)) != 0;
        any |= moved[i];
    }
    for (uint32_t i = 0; any && i < old->lane_count; i++) {
        const struct eng_lane_plan *plan = &old->lanes[i];
        if (!moved[plan->key.broker])
            continue;
        eng_pool_account(turn->pool, plan->account, ENG_POOL_NO_LANE);
        turn->lane_stamp[plan->account - 1] = 0;
    }
}

static void generation_take(struct eng_turn *turn, const struct eng_generation *generation)
{
    struct ipc_fact_adopt fact;
    struct ipc_error error = {{0}};
    struct eng_to_porter message = {.kind = ENG_TO_PORTER_REFUSED, .generation = generation};
    enum ipc_rc rc = eng_decide_adopt(
        turn->wiring.core, &generation->view, generation->content_hash, &fact, &error);
    if (rc == IPC_OK && turn_append(turn, IPC_FACT_ADOPT, &fact, sizeof(fact), 1) == 0) {
        ipc_error_set(&error, "the journal has no room; publish again when the disk has caught up");
        rc = IPC_FULL;
    }
    if (rc != IPC_OK) {
        (void)snprintf(message.text, sizeof(message.text), "%.199s", error.text);
        answer(turn, &message);
        return;
    }
    eng_core_adopt(turn->wiring.core, &generation->view, generation->policies);
    brokers_moved(turn, generation);
    turn->generation = generation;
    turn->generation_count++;
    turn->lane_next = turn->lane_sweep = 0;
    for (uint16_t i = 0; i < ENG_BROKERS_MAX; i++)
        if (generation->brokers[i].dialect != NULL)
            eng_pool_broker(turn->pool, i, &generation->brokers[i].pool);
    eng_shapes_forget(&turn->shapes);
    ipc_engine_set_adopted(turn->wiring.page, generation->view.generation);
    int64_t numbers[] = {(int64_t)generation->view.generation, generation->stats.enabled_followers,
        generation->stats.followers};
    turn_note(turn, ENG_NOTE_ADOPTED, IPC_LOG_INFO, numbers, LS_COUNT_OF(numbers), "");
    message.kind = ENG_TO_PORTER_TAKEN;
    answer(turn, &message);
}

/* Accounts are put on lanes a part per turn, so that a large generation holds up no order; an
 * account without a lane has its orders queued meanwhile. */
static void lanes_walk(struct eng_turn *turn)
{
    const struct eng_generation *generation = turn->generation;
    if (generation == NULL || turn->lane_sweep >= turn->wiring.config->accounts)
        return;
    uint32_t todo = LANES_PER_TURN;
    for (; todo > 0 && turn->lane_next < generation->lane_count; todo--, turn->lane_next++) {
        const struct eng_lane_plan *plan = &generation->lanes[turn->lane_next];
        eng_pool_account(turn->pool, plan->account, eng_pool_lane(turn->pool, &plan->key));
        turn->lane_stamp[plan->account - 1] = turn->generation_count;
    }
    if (turn->lane_next < generation->lane_count)
        return;
    for (todo *= 16; todo > 0 && turn->lane_sweep < turn->wiring.config->accounts;
         todo--, turn->lane_sweep++) {
        uint32_t *stamp = &turn->lane_stamp[turn->lane_sweep];
        if (*stamp == 0 || *stamp == turn->generation_count)
            continue;
        eng_pool_account(turn->pool, turn->lane_sweep + 1, ENG_POOL_NO_LANE);
        *stamp = 0;
    }
}

/* ---- messages ---------------------------------------------------------------------------------
 */

static void ring_back(struct eng_turn *turn, uint32_t index)
{
    if (turn->rings[index].consumer == NULL)
        return;
    turn->rings[index].consumer = NULL;
    struct eng_to_porter message = {.kind = ENG_TO_PORTER_RING, .index = index};
    answer(turn, &message);
}

static void messages_take(struct eng_turn *turn)
{
    struct eng_to_turn message;
    for (uint32_t i = 0; i < 64 && ipc_queue_poll(&turn->wiring.link->to_turn, &message); i++) {
        turn->work++;
        switch (message.kind) {
        case ENG_TO_TURN_ATTACH:
            eng_pool_attach(turn->pool, message.connection, turn->now_mono_ns);
            break;
        case ENG_TO_TURN_FAILED:
            eng_pool_failed(turn->pool, message.lane, message.member, turn->now_mono_ns);
            break;
        case ENG_TO_TURN_GENERATION:
            generation_take(turn, message.generation);
            break;
        case ENG_TO_TURN_RING:
            LS_CHECK(message.index < turn->wiring.config->rings &&
                     turn->rings[message.index].consumer == NULL);
            turn->rings[message.index] =
                (struct turn_ring){.consumer = message.ring, .ring_class = message.ring_class};
            if (message.index >= turn->ring_places)
                turn->ring_places = message.index + 1;
            break;
        case ENG_TO_TURN_RING_GONE:
            ring_back(turn, message.index);
            break;
        case ENG_TO_TURN_PRICES:
            turn->pages.prices[message.index] = message.prices;
            break;
        case ENG_TO_TURN_MONEY:
            turn->pages.money[message.index] = message.accounts;
            break;
        case ENG_TO_TURN_SWITCHES:
            turn->pages.switches = message.switches;
            turn->pages.has_switches = message.switches.sequence != NULL;
            break;
        case ENG_TO_TURN_PAGES:
            turn->pages_known = true;
            break;
        case ENG_TO_TURN_BOOK:
            turn_books_came(turn, message.book);
            break;
        case ENG_TO_TURN_HALT:
            turn->pages.halt_word = (uint8_t)message.index;
            break;
        case ENG_TO_TURN_STOP:
            turn->stopping = true;
            ipc_engine_set_state(turn->wiring.page, IPC_ENGINE_STOPPING);
            break;
        }
    }
}

/* ---- timers and counters ----------------------------------------------------------------------
 */

static void wants_tell(struct eng_turn *turn)
{
    struct eng_to_porter message = {.kind = ENG_TO_PORTER_WANT};
    /* Room is kept for answers and retired connections, which cannot wait. */
    while (ipc_queue_room(&turn->wiring.link->to_porter) > turn->wiring.config->connections + 128 &&
           eng_pool_want(turn->pool, turn->now_mono_ns, &message.want)) {
        answer(turn, &message);
        turn->work++;
    }
}

static void retired_tell(struct eng_turn *turn)
{
    struct eng_to_porter message = {.kind = ENG_TO_PORTER_RETIRED};
    while (eng_pool_retired(turn->pool, &message.connection)) {
        const struct eng_lane_key *key = eng_pool_lane_key(turn->pool, message.connection->lane);
        int64_t numbers[] = {key != NULL ? key->broker : -1, key != NULL ? key->account : 0,
            message.connection->error_code, 0};
        turn_waiting_drop(turn, message.connection);
        if (message.connection->ended)
            ipc_metric_add(turn->wiring.telemetry->connections_lost, 1);
        if (message.connection->ended && !turn->stopping)
            turn_note(turn, ENG_NOTE_LOST, IPC_LOG_WARN, numbers, LS_COUNT_OF(numbers),
                message.connection->error_code != 0
                    ? strerrordesc_np((int)message.connection->error_code)
                    : "closed");
        answer(turn, &message);
        turn->work++;
    }
}

static void counters_set(struct eng_turn *turn)
{
    struct eng_telemetry *telemetry = turn->wiring.telemetry;
    struct eng_pool_figures figures;
    uint64_t lag = 0, attached = 0;
    eng_telemetry_core(telemetry, turn->wiring.core, turn->wiring.journal);
    eng_pool_figures(turn->pool, &figures);
    for (uint32_t i = 0; i < turn->ring_places; i++) {
        if (turn->rings[i].consumer == NULL)
            continue;
        attached++;
        lag += ipc_ring_lag(turn->rings[i].consumer);
        ipc_ring_consumer_heartbeat(turn->rings[i].consumer, turn->now_mono_ns);
    }
    ipc_metric_set(telemetry->turns, (int64_t)turn->turns);
    ipc_metric_set(telemetry->connections_ready, figures.live);
    ipc_metric_set(telemetry->requests_open, (int64_t)turn->requests_open);
    ipc_metric_set(telemetry->tls_records, (int64_t)figures.records);
    ipc_metric_set(telemetry->sends, (int64_t)figures.sends);
    ipc_metric_set(telemetry->sealed_bytes, (int64_t)figures.cipher_bytes);
    ipc_metric_set(telemetry->rings_attached, (int64_t)attached);
    ipc_metric_set(telemetry->ring_lag, (int64_t)lag);
    ipc_metric_set(telemetry->sealed_waiting, turn->waiting_count);
    ipc_metric_set(telemetry->waves_dropped, (int64_t)turn->tracks.dropped);
}

/* A step of wall against monotonic time makes ages and trading days doubtful: entries stop until a
 * named person has looked (ORDER-SAFETY 3.7). A slew stays far below the limit between two looks. */
static void clock_watch(struct eng_turn *turn)
{
    int64_t before_ns = ipc_clock_mono_ns();
    int64_t wall_ns = ipc_clock_wall_ns();
    int64_t after_ns = ipc_clock_mono_ns();
    if (after_ns - before_ns > CLOCK_LOOK_MAX_NS)
        return; /* interrupted between the two clocks: this look proves nothing */
    int64_t offset_ns = wall_ns - before_ns;
    int64_t step_ns = offset_ns - turn->clock_offset_ns;
    bool is_first = turn->clock_offset_ns == 0;
    turn->clock_offset_ns = offset_ns;
    if (is_first || (step_ns < CLOCK_STEP_NS && step_ns > -CLOCK_STEP_NS))
        return;
    turn_guards_clock(turn, step_ns);
}

static void timers_run(struct eng_turn *turn)
{
    struct ipc_fact_alarm alarm;
    if (eng_journal_alarm(turn->wiring.journal, &alarm))
        turn_alarm(turn, &alarm);
    if (turn->now_mono_ns >= turn->keepalive_mono_ns) {
        turn->keepalive_mono_ns = turn->now_mono_ns + KEEPALIVE_EVERY_NS;
        turn_keepalive(turn);
    }
    if (turn->now_mono_ns >= turn->counters_mono_ns) {
        turn->counters_mono_ns = turn->now_mono_ns + COUNTERS_EVERY_NS;
        clock_watch(turn);
        counters_set(turn);
    }
}

/* switch_seen says "nothing decided under older words can still reach the kernel". */
static void switch_seen_publish(struct eng_turn *turn)
{
    if (!turn->pages.has_switches) {
        ipc_metric_add(turn->wiring.telemetry->switch_unread, 1);
        return;
    }
    if (turn->waiting_count == 0 && turn->held_count == 0)
        ipc_engine_set_switch_seen(turn->wiring.page, turn->pages.switch_sequence);
}

/* ---- the loop ---------------------------------------------------------------------------------
 */

void turn_clock_read(struct eng_turn *turn)
{
    turn->now_mono_ns = ipc_clock_mono_ns();
    turn->now_wall_ns = ipc_clock_wall_ns();
    eng_journal_clock(turn->wiring.journal, turn->now_mono_ns, turn->now_wall_ns);
}

static void turn_once(struct eng_turn *turn)
{
    const struct eng_config *config = turn->wiring.config;
    turn->turns++;
    turn->work = 0;
    turn_clock_read(turn);
    turn->began_mono_ns = turn->now_mono_ns;
    ipc_engine_heartbeat(turn->wiring.page, turn->now_mono_ns);
    if (turn->pages.has_switches)
        turn->pages.switch_sequence = ipc_switch_sequence(&turn->pages.switches);
    messages_take(turn);

    /* Outcomes that found no room in the journal go first; while many wait, sockets are not read,
     * so that the peer is held up and nothing is lost. */
    turn_replies_commit(turn);
    bool woken = false;
    bool replies_wait = turn->wave_open && !turn->wants_replies && turn->waiting_count == 0 &&
                        turn->now_mono_ns - turn->replies_mono_ns < REPLIES_WAIT_NS;
    if (turn->reply_count < TURN_REPLIES_HELD / 2 && !replies_wait) {
        turn->wants_replies = false;
        turn->replies_mono_ns = turn->now_mono_ns;
        uint32_t events =
            config->replies_per_turn < EDGE_EVENTS ? config->replies_per_turn : EDGE_EVENTS;
        /* A peer that is as fast as we are answers the wave's first orders while its last ones are
         * still to be sent: those go first, a few sockets at a time are read meanwhile. */
        if (turn->wave_open && events > WAVE_EDGE_EVENTS)
            events = WAVE_EDGE_EVENTS;
        turn->work += eng_pool_turn(turn->pool, events, turn->now_mono_ns, &turn->sink, &woken);
    }
    turn_replies_commit(turn);
    if (turn->work > 0)
        turn->release_stalled_mono_ns = 0;
    turn_waiting_check(turn);
    turn_held_go(turn);

    turn_guards_step(turn);
    turn_rings_poll(turn, IPC_RING_ORDERS, config->events_per_turn);
    turn_waves_step(turn);
    turn_rings_poll(turn, IPC_RING_UPDATES, config->updates_per_turn);
    turn_limits_step(turn);
    turn_day_step(turn);
    turn_flatten_step(turn);
    turn_books_step(turn);

    retired_tell(turn);
    lanes_walk(turn);
    wants_tell(turn);
    timers_run(turn);
    /* Whatever a timer or a peer's frame put into a connection leaves now. */
    turn_flush(turn, ENG_TLS_RECORD_BYTES, NULL);
    turn_replies_commit(turn);
    switch_seen_publish(turn);
}

/* Everything that could be waiting for us. */
static bool anything_ready(struct eng_turn *turn)
{
    return !ipc_queue_empty(&turn->wiring.link->to_turn) || turn_rings_ready(turn) ||
           turn->held_count > 0 || turn->reply_count > 0 || turn_books_ready(turn) ||
           (turn->pages.has_switches &&
               ipc_switch_sequence(&turn->pages.switches) != turn->pages.switch_sequence);
}

static void idle(struct eng_turn *turn)
{
    const struct eng_config *config = turn->wiring.config;
    int64_t now = turn->now_mono_ns;
    if (turn->work > 0) {
        turn->busy_mono_ns = ipc_clock_mono_ns();
        ipc_hist_record(turn->wiring.telemetry->turn, turn->busy_mono_ns - turn->began_mono_ns);
        return;
    }
    if (config->idle == ENG_IDLE_SPIN ||
        now - turn->busy_mono_ns < (int64_t)config->spin_us * LS_NS_PER_US) {
        __builtin_ia32_pause();
        return;
    }
    if (turn->held_count > 0) {
        /* The disk has to be waited for: its thread may need this processor. */
        eng_edge_wait(turn->edge, HELD_SLEEP_NS);
        return;
    }
    int64_t release_due = eng_release_due(turn->wiring.core, now, turn->now_wall_ns);
    release_due = ls_max_i64(release_due, turn->release_stalled_mono_ns);
    int64_t due = ls_min_i64(eng_pool_next_due(turn->pool), release_due);
    due = ls_min_i64(due, now + SLEEP_MAX_NS);
    if (due <= now)
        return;
    ipc_wake_announce(turn->wiring.wake);
    if (anything_ready(turn)) {
        ipc_wake_cancel(turn->wiring.wake);
        return;
    }
    ipc_metric_add(turn->wiring.telemetry->sleeps, 1);
    eng_edge_wait(turn->edge, due - now);
    ipc_wake_cancel(turn->wiring.wake);
}

/* After STOP: waves that were begun are decided, requests that left get their outcome (their
 * time-outs bound the wait). What is queued stays in the journal for the next start. */
static bool finished(struct eng_turn *turn)
{
    struct eng_batch batch;
    return turn->stopping && turn->held_count == 0 && turn->reply_count == 0 &&
           turn->requests_open == 0 && turn->waiting_count == 0 &&
           !eng_wave_next(turn->wiring.core, &batch);
}

static void connections_shut(struct eng_turn *turn)
{
    eng_pool_shut(turn->pool, &turn->sink);
    turn_replies_commit(turn);
    int64_t until = turn->now_mono_ns + 2 * LS_NS_PER_S;
    struct eng_pool_figures figures;
    do {
        turn_clock_read(turn);
        uint32_t events =
            eng_pool_turn(turn->pool, EDGE_EVENTS, turn->now_mono_ns, &turn->sink, &(bool){false});
        turn_flush(turn, ENG_TLS_RECORD_BYTES, NULL);
        retired_tell(turn);
        eng_pool_figures(turn->pool, &figures);
        if (events == 0)
            eng_edge_wait(turn->edge, LS_NS_PER_MS);
    } while (figures.live + figures.draining > 0 && turn->now_mono_ns < until);
    retired_tell(turn);
    turn_books_end(turn);
}

void *eng_turn_run(void *context)
{
    struct eng_turn *turn = context;
    struct ipc_error error = {{0}};
    (void)pthread_setname_np(pthread_self(), "ls-pinned");
    struct eng_memory *library =
        eng_memory_init(turn->wiring.library_memory, turn->wiring.library_bytes);
    enum ipc_rc rc = turn_open(turn, &error);
    if (rc == IPC_OK) {
        eng_memory_enter(library);
        turn_clock_read(turn);
        if (ls_alloc_trap_arm != NULL)
            ls_alloc_trap_arm();
        ipc_engine_set_state(turn->wiring.page, IPC_ENGINE_RUNNING);
        do {
            turn_once(turn);
            idle(turn);
        } while (!finished(turn));
        connections_shut(turn);
        counters_set(turn);
        int64_t numbers[] = {(int64_t)turn->turns};
        turn_note(turn, ENG_NOTE_STOPPED, IPC_LOG_INFO, numbers, 1, "");
        ipc_engine_set_state(turn->wiring.page, IPC_ENGINE_STOPPED);
    } else {
        (void)snprintf(turn->failure, sizeof(turn->failure), "%.199s", error.text);
    }
    struct eng_to_porter message = {.kind = ENG_TO_PORTER_STOPPED};
    answer(turn, &message);
    return NULL;
}
