#include <string.h>

#include "engine/core/breaker.h"
#include "engine/turn_private.h"
#include "ipc/tag.h"

#define RELEASES_PER_LOOK 32u
#define RELEASE_STALL_NS  LS_NS_PER_MS

/* ---- samples ----------------------------------------------------------------------------------
 */

bool turn_barred(const struct eng_turn *turn, const struct ipc_command *command)
{
    const struct ipc_row_follower *row = eng_pages_row(&turn->generation->view, command->slot);
    if (row == NULL)
        return true;
    uint8_t word =
        eng_stricter(eng_pages_batch_word(&turn->pages, row->master, command->instrument),
            eng_pages_follower_word(&turn->pages, row->broker, command->slot));
    if (command->action == IPC_ACTION_CANCEL)
        return false;
    if (eng_breaker_engine(turn->wiring.core) != IPC_REASON_NONE)
        word = eng_stricter(word, IPC_SWITCH_CLOSE_ONLY);
    return word == IPC_SWITCH_HALT || (word == IPC_SWITCH_CLOSE_ONLY && !command->is_exit);
}

static void sample_follower(struct eng_turn *turn, const struct eng_batch *batch, uint32_t at,
    struct eng_follower_sample *sample)
{
    uint32_t slot = batch->slots[at];
    const struct ipc_row_follower *row = eng_pages_row(&turn->generation->view, slot);
    if (row == NULL) {
        *sample = (struct eng_follower_sample){.switch_word = IPC_SWITCH_HALT};
        return;
    }
    eng_pages_follower(&turn->pages, row, slot, turn_can_send(turn, row->account), sample);
    if (LS_LIKELY(!eng_pages_is_mapped(batch, row)))
        return;
    uint32_t instrument = eng_batch_instrument(turn->wiring.core, batch, at);
    if (instrument != batch->instrument)
        eng_pages_mapped(&turn->pages, row, instrument, sample);
}

static void sample_batch(struct eng_turn *turn, uint32_t broker, uint32_t master,
    uint32_t instrument, struct eng_batch_sample *sample)
{
    const struct ipc_snapshot_view *view = &turn->generation->view;
    *sample = (struct eng_batch_sample){
        .generation = view->generation,
        .now_mono_ns = turn->now_mono_ns,
        .now_wall_ns = turn->now_wall_ns,
        .journal_takes_entries = eng_journal_takes_entries(turn->wiring.journal),
    };
    eng_pages_batch(&turn->pages, view, broker, master, instrument, sample);
}

/* ---- batches ----------------------------------------------------------------------------------
 */

/* The handle of a queued child, by its tag: eng_core_applied names only those that go now. */
static uint32_t child_of(
    const struct eng_turn *turn, const struct eng_track *track, const struct ipc_fact_child *fact)
{
    char tag[IPC_TAG_BYTES];
    const struct ipc_tag_parts parts = {track->order_digits, fact->follower_no, fact->action};
    ipc_tag_compose(&parts, tag);
    return eng_core_find_tag(turn->wiring.core, tag);
}

/* Counts a batch's decisions for the wave's record. */
static void track_batch(struct eng_turn *turn, struct eng_track *track,
    const struct ipc_fact_child *children, const uint32_t *handles, uint32_t count)
{
    track->record.batches++;
    for (uint32_t i = 0; i < count; i++) {
        track->visited += i == 0 || children[i].slot != children[i - 1].slot;
        switch ((enum ipc_child_kind)children[i].kind) {
        case IPC_CHILD_SKIP:
        case IPC_CHILD_FLATTEN:
            track->record.skipped++;
            break;
        case IPC_CHILD_WAIT:
            track->record.waiting++;
            break;
        case IPC_CHILD_PLACE:
        case IPC_CHILD_MODIFY:
        case IPC_CHILD_CANCEL:
            if (handles[i] != ENG_NONE)
                eng_track_open(&turn->tracks, track, handles[i], false);
            break;
        case IPC_CHILD_PLACE_QUEUED:
        case IPC_CHILD_MODIFY_QUEUED:
        case IPC_CHILD_CANCEL_QUEUED: {
            uint32_t child = child_of(turn, track, &children[i]);
            if (child != ENG_NONE)
                eng_track_open(&turn->tracks, track, child, true);
            break;
        }
        }
    }
}

/* One batch: samples, decision straight into the journal's frame, commit, apply, requests. Returns
 * the followers decided; *stuck when the journal has no room. */
static uint32_t batch_run(struct eng_turn *turn, const struct eng_batch *batch, bool *stuck)
{
    struct eng_core *core = turn->wiring.core;
    struct eng_follower_sample samples[IPC_BATCH_CHILDREN_MAX];
    turn_clock_read(turn); /* ages are judged by the time of this batch, not of the turn */
    uint64_t start_tsc = ipc_clock_tsc();
    uint8_t *payload = eng_journal_begin(turn->wiring.journal, IPC_FACT_BATCH, IPC_BATCH_BYTES_MAX);
    *stuck = payload == NULL;
    if (payload == NULL)
        return 0;
    struct eng_batch_sample sample;
    const struct ipc_row_follower *first =
        batch->slot_count > 0 ? eng_pages_row(&turn->generation->view, batch->slots[0]) : NULL;
    sample_batch(
        turn, first != NULL ? first->broker : 0, batch->master, batch->instrument, &sample);
    turn_reserve_reset(turn);
    turn->room_is_short = false;
    struct eng_batch part;
    for (uint32_t i = 0; i < batch->slot_count; i++) {
        sample_follower(turn, batch, i, &samples[i]);
        if (turn->room_is_short && batch->wave != 0) {
            /* Not queued, where it would wait for others: it begins the wave's next batch. */
            part = *batch;
            part.slot_count = i;
            batch = &part;
        }
    }

    struct ipc_fact_batch *fact = (struct ipc_fact_batch *)payload;
    struct ipc_fact_child *children = (struct ipc_fact_child *)(payload + sizeof(*fact));
    uint32_t count = eng_decide_batch(core, batch, &sample, samples, fact, children);
    if (count == 0)
        return 0; /* nothing to settle after all: the frame is never completed */
    uint32_t bytes = ipc_fact_batch_bytes(fact);
    uint64_t decided_tsc = ipc_clock_tsc();
    ipc_hist_record(turn->wiring.telemetry->stage_decide,
        ipc_clock_ticks_to_ns(&turn->wiring.clock, decided_tsc - start_tsc));

    struct eng_track *track = eng_track_find(&turn->tracks, batch->wave);
    if (track != NULL)
        track->record.decide_ns +=
            ipc_clock_ticks_to_ns(&turn->wiring.clock, decided_tsc - start_tsc);
    const uint32_t *handles = NULL;
#ifdef LS_PLANT_SEND_BEFORE_JOURNAL
    /* The planted bug: the orders leave while their frame is still incomplete. */
    uint64_t lsn = eng_journal_last_lsn(turn->wiring.journal) + 1;
    turn_apply(turn, IPC_FACT_BATCH, payload, bytes, count, lsn);
    uint32_t applied = eng_core_applied(core, &handles);
    if (track != NULL && !batch->ends_wave)
        track_batch(turn, track, children, handles, applied);
    turn_dispatch(turn, lsn, track, handles, applied, decided_tsc);
    LS_CHECK(eng_journal_commit(turn->wiring.journal, bytes, count) == lsn);
#else
    uint64_t lsn = eng_journal_commit(turn->wiring.journal, bytes, count);
    turn_apply(turn, IPC_FACT_BATCH, payload, bytes, count, lsn);
    uint32_t applied = eng_core_applied(core, &handles);
    if (track != NULL && !batch->ends_wave)
        track_batch(turn, track, children, handles, applied);
    turn_dispatch(turn, lsn, track, handles, applied, decided_tsc);
#endif
    if (track != NULL) {
        track->all_visited = batch->ends_wave || track->visited >= track->record.followers;
        turn_wave_end(turn, track);
    }
    return count;
}

/* ---- queues -----------------------------------------------------------------------------------
 */

/* One queued order: decided, journaled and applied before the next is looked at, because each call
 * counts in the pacing of the next. Returns false when the journal has no room. */
static bool release_one(struct eng_turn *turn, const struct eng_candidate *candidate, uint64_t *lsn,
    uint32_t *handle, bool *is_done)
{
    struct eng_core *core = turn->wiring.core;
    struct ipc_fact_release *fact =
        eng_journal_begin(turn->wiring.journal, IPC_FACT_RELEASE, sizeof(*fact));
    *handle = ENG_NONE;
    *is_done = false;
    if (fact == NULL)
        return false;
    struct eng_batch_sample batch_sample;
    sample_batch(turn, candidate->broker, candidate->master, candidate->instrument, &batch_sample);
    const struct eng_follower_sample sample = {
        .switch_word = eng_stricter(batch_sample.switch_word,
            eng_pages_follower_word(&turn->pages, candidate->broker, candidate->slot)),
        .can_send = turn_can_send(turn, candidate->account),
    };
    if (!eng_decide_release(core, candidate, &batch_sample, &sample, fact))
        return true;
    bool ends = fact->kind == IPC_CHILD_SKIP;
    *is_done = true;
    *lsn = eng_journal_commit(turn->wiring.journal, sizeof(*fact), 1);
    turn_apply(turn, IPC_FACT_RELEASE, fact, sizeof(*fact), 1, *lsn);
    const uint32_t *handles = NULL;
    LS_CHECK(eng_core_applied(core, &handles) == 1);
    *handle = handles[0];
    if (ends) {
        struct eng_track *track = eng_track_outcome(
            &turn->tracks, candidate->child, (enum ipc_outcome_class)0, turn->now_mono_ns);
        if (track != NULL)
            turn_wave_end(turn, track);
    }
    return true;
}

/* Queued orders that may go or end now; those that go leave together. */
static uint32_t releases_run(struct eng_turn *turn)
{
    struct eng_candidate candidates[RELEASES_PER_LOOK];
    uint32_t handles[RELEASES_PER_LOOK];
    if (turn->now_mono_ns < turn->release_stalled_mono_ns)
        return 0;
    uint32_t found = eng_release_next(turn->wiring.core, turn->now_mono_ns, turn->now_wall_ns,
        &turn->release_cursor, candidates, RELEASES_PER_LOOK);
    if (found == 0)
        return 0;
    uint64_t start_tsc = ipc_clock_tsc();
    uint64_t lsn = 0;
    uint32_t count = 0, done = 0;
    turn_clock_read(turn);
    turn_reserve_reset(turn);
    for (uint32_t i = 0; i < found; i++) {
        bool is_done = false;
        if (!release_one(turn, &candidates[i], &lsn, &handles[count], &is_done))
            break;
        done += is_done;
        count += handles[count] != ENG_NONE;
    }
    if (count > 0)
        turn_dispatch(turn, lsn, NULL, handles, count, start_tsc);
    /* None of them could go: no connection has room. Looking at the queues again is pointless until
     * a reply or a connection has come (turn_once ends the stall), or an age limit passes. */
    if (done == 0)
        turn->release_stalled_mono_ns = turn->now_mono_ns + RELEASE_STALL_NS;
    return done;
}

/* ---- the step ---------------------------------------------------------------------------------
 */

void turn_waves_step(struct eng_turn *turn)
{
    const struct eng_config *config = turn->wiring.config;
    struct eng_core *core = turn->wiring.core;
    struct eng_batch batch;
    uint32_t orders = 0;
    bool stuck = false;
    /* What an earlier life began is not decided before the switches are there: without them all is
     * halted, and a queued order would end for a switch that nobody threw. */
    if (turn->generation == NULL || (!turn->pages_known && !turn->stopping))
        return;
    int64_t until = turn->now_mono_ns + (int64_t)config->turn_budget_us * LS_NS_PER_US;
    /* Settles and queues first: these children are older than what the waves would add, and what
     * they hold up is an amendment or a cancel. */
    while (orders < config->orders_per_look && turn->held_count < TURN_HELD_BATCHES / 2 && !stuck &&
           eng_settle_next(core, &batch)) {
        uint32_t count = batch_run(turn, &batch, &stuck);
        orders += count;
        if (count == 0)
            break;
    }
    if (turn->held_count < TURN_HELD_BATCHES / 2)
        orders += releases_run(turn);
    turn->wave_open = false;
    while (turn->held_count < TURN_HELD_BATCHES / 2 && !stuck && eng_wave_next(core, &batch)) {
        if (orders >= config->orders_per_look || turn->now_mono_ns >= until) {
            turn->wave_open = true;
            break;
        }
        orders += batch_run(turn, &batch, &stuck);
        turn_clock_read(turn);
    }
    turn->work += orders;
}
