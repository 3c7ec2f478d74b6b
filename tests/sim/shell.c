/* The engine's shell as the simulated machine runs it: one turn at a time over the real core, with
 * a crash point between any two things that it does. The order of things is the engine's own:
 * facts are journaled, then applied, then bytes leave. */
#include <stdlib.h>
#include <string.h>

#include "engine/core/recover.h"
#include "tests/sim/sim.h"

void sim_shell_point(struct sim *sim)
{
    if (sim->shell.crash_in == 0 || !sim->in_turn)
        return;
    if (--sim->shell.crash_in == 0)
        longjmp(sim->crashed, 1);
}

/* ---- facts ----------------------------------------------------------------------------------- */

void sim_shell_apply(struct sim *sim, enum ipc_fact_type type, const void *payload, uint32_t bytes,
    uint32_t count, uint64_t lsn)
{
    const struct eng_frame frame = {.type = type,
        .count = count,
        .payload = payload,
        .payload_bytes = bytes,
        .lsn = lsn,
        .mono_ns = sim->journal.mono_ns,
        .wall_ns = sim->journal.wall_ns};
    if (eng_apply(sim->shell.core, &frame) != IPC_OK)
        sim_fail(sim, "the core refuses its own fact: %s, lsn %llu", ipc_fact_type_name(type),
            (unsigned long long)lsn);
}

uint64_t sim_shell_append(
    struct sim *sim, enum ipc_fact_type type, const void *payload, uint32_t bytes, uint32_t count)
{
    void *place = sim_journal_begin(&sim->journal, type, bytes);
    memcpy(place, payload, bytes);
    sim_shell_point(sim);
    uint64_t lsn = sim_journal_commit(&sim->journal, bytes, count);
    sim_check_journal(sim);
    sim_shell_point(sim);
    sim_shell_apply(sim, type, place, bytes, count, lsn);
    sim_shell_point(sim);
    return lsn;
}

/* ---- start and end --------------------------------------------------------------------------- */

static void *block(size_t bytes)
{
    void *memory = aligned_alloc(4096, ls_align_up(bytes, 4096));
    LS_CHECK(memory != NULL);
    return memory;
}

static void memory_make(struct sim *sim)
{
    struct sim_shell *shell = &sim->shell;
    const struct eng_h2_limits limits = {.plain_bytes = 16384, .stream_slots = 64};
    shell->limits = (struct eng_core_limits){.account_max = SIM_ACCOUNTS,
        .follower_slot_max = SIM_FOLLOWERS,
        .order_max = SIM_ORDERS,
        .child_max = 4096,
        .position_max = 1024,
        .master_position_max = 64,
        .wave_max = 8,
        .pace_logs = 3};
    shell->core_memory = block(eng_core_footprint(&shell->limits));
    shell->core_other_memory = block(eng_core_footprint(&shell->limits));
    shell->bodies_memory = block(eng_h2_bodies_footprint(64));
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++)
        sim->connections[i].h2_memory = block(eng_h2_footprint(&limits));
}

static void fold(struct sim *sim, struct eng_core *core)
{
    uint64_t offset = 0;
    const struct ipc_frame *frame;
    while ((frame = sim_journal_next(&sim->journal, &offset)) != NULL) {
        const struct eng_frame fact = {.type = (enum ipc_fact_type)frame->type,
            .count = frame->count,
            .payload = frame + 1,
            .payload_bytes = frame->payload_bytes,
            .lsn = frame->lsn,
            .mono_ns = frame->mono_ns,
            .wall_ns = frame->wall_ns};
        if (eng_apply(core, &fact) != IPC_OK)
            sim_fail(sim, "recovery cannot fold %s, lsn %llu", ipc_fact_type_name(fact.type),
                (unsigned long long)frame->lsn);
    }
}

static void policies_make(struct sim *sim)
{
    const struct adp_capabilities *can = &adp_dialect_find("alice-blue")->capabilities;
    for (uint32_t i = 0; i < SIM_BROKERS; i++) {
        const struct ipc_row_broker *row = &sim->published.brokers[i];
        sim->shell.policies[i] = (struct eng_broker_policy){
            .orders_per_second =
                row->orders_per_second ? row->orders_per_second : can->orders_per_second,
            .modifications_max = can->modifications_max,
            .refuses_market = can->refuses_market,
            .idempotency = sim->brokers[i].character.idempotency,
            .book_by_tag = sim->brokers[i].character.book_by_tag,
            .book_lag_ns = sim->brokers[i].character.book_lag_ns,
            .dedupe_window_ns = 24 * 3600 * LS_NS_PER_S};
    }
}

void sim_shell_adopt(struct sim *sim)
{
    struct sim_shell *shell = &sim->shell;
    struct sim_rows *next = shell->adopted == &shell->own[0] ? &shell->own[1] : &shell->own[0];
    struct ipc_fact_adopt fact;
    struct ipc_error error;
    if (shell->adopted != NULL && shell->adopted->view.generation == sim->published.view.generation)
        return;
    *next = sim->published;
    sim_rows_bind(next);
    if (eng_decide_adopt(shell->core, &next->view, 7, &fact, &error) != IPC_OK)
        sim_fail(sim, "the core refuses a generation: %s", error.text);
    (void)sim_shell_append(sim, IPC_FACT_ADOPT, &fact, sizeof(fact), 1);
    eng_core_adopt(shell->core, &next->view, shell->policies);
    shell->adopted = next;
    sim_note(sim, "engine adopts %llu", (unsigned long long)fact.generation);
}

void sim_shell_start(struct sim *sim)
{
    struct sim_shell *shell = &sim->shell;
    struct ipc_fact_open open;
    if (shell->core_memory == NULL)
        memory_make(sim);
    policies_make(sim);
    shell->core = eng_core_init(shell->core_memory, &shell->limits, &shell->config);
    eng_h2_bodies_init(&shell->bodies, shell->bodies_memory, 64);
    sim->in_turn = true;
    shell->adopted = NULL;
    shell->release_cursor = 0;
    shell->held_count = 0;
    shell->lane_count = 0;
    shell->seen = sim->switches;
    sim->journal.mono_ns = sim_mono(sim);
    sim->journal.wall_ns = sim_wall(sim);
    bool is_new = sim->journal.used == 0;
    fold(sim, shell->core);
    memset(&open, 0, sizeof(open));
    memcpy(open.cluster_id, SIM_CLUSTER, sizeof(SIM_CLUSTER));
    eng_core_recovered(shell->core, &open);
    open.same_boot = is_new || !shell->is_other_boot;
    (void)sim_shell_append(sim, IPC_FACT_OPEN, &open, sizeof(open), 1);
    shell->is_other_boot = false;
    sim_shell_adopt(sim);
    sim->in_turn = false;
    shell->lives = true;
    sim_note(sim, "engine starts after lsn %llu, %u in flight, %s boot",
        (unsigned long long)open.previous_lsn, open.unknown_children,
        open.same_boot ? "same" : "another");
}

void sim_shell_kill(struct sim *sim, bool power)
{
    struct sim_shell *shell = &sim->shell;
    shell->lives = false;
    shell->crash_in = 0;
    sim_books_forget(sim);
    shell->restart_ns =
        sim->now_ns +
        sim_between(sim, 0, sim_chance(sim, 1, 4) ? 8 * LS_NS_PER_S : 200 * LS_NS_PER_MS);
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        struct sim_connection *connection = &sim->connections[i];
        if (connection->number == 0 || !connection->client_lives)
            continue;
        if (connection->h2 != NULL)
            eng_h2_free(connection->h2);
        connection->h2 = NULL;
        /* The kernel goes on sending what it was given; a machine without power does not. */
        sim_net_client_gone(sim, connection, power || sim_chance(sim, 1, 4));
    }
    sim->figures.crashes++;
    if (!power) {
        (void)sim_journal_recover(&sim->journal, &sim->prng, false);
        sim_check_crash(sim, false);
        sim_note(sim, "the engine's process dies");
        return;
    }
    sim->figures.boots++;
    uint64_t lost = sim_journal_recover(&sim->journal, &sim->prng, true);
    sim_check_crash(sim, true);
    shell->is_other_boot = true;
    sim->boot_ns = sim->now_ns;
    sim->feed.ring_first = sim->feed.ring_count = 0;
    sim->feed.pending_count = 0;
    /* With power's tier nothing that was sent can be lost. */
    if (lost > 0 && !shell->is_power_tier)
        sim->judge.lost_tail = true;
    sim_note(sim, "the power fails, %llu frames are lost", (unsigned long long)lost);
    for (uint32_t account = 1; account <= sim->master_count; account++)
        sim_masters_rescan(sim, account, true);
    sim_feed_poll(sim, true);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void events_take(struct sim *sim)
{
    struct sim_feed *feed = &sim->feed;
    struct eng_event_facts facts;
    uint32_t most = 1 + sim_below(sim, sim->shell.is_slow ? 2 : 40);
    for (; feed->ring_count > 0 && most > 0; most--) {
        const struct ipc_event *event = &feed->ring[feed->ring_first];
        eng_step_event(sim->shell.core, event, 1, feed->ring_sequence + 1, sim_mono(sim), &facts);
        if (facts.retry_later)
            return;
        for (uint32_t i = 0; i < facts.count; i++) {
            if (facts.fact[i].type == IPC_FACT_ALARM)
                sim_note(sim, "alarm %u: %s", facts.fact[i].alarm.alarm, facts.fact[i].alarm.text);
            (void)sim_shell_append(
                sim, facts.fact[i].type, &facts.fact[i].event, facts.fact[i].bytes, 1);
        }
        sim->figures.events++;
        /* The cursor moves after the fact: a crash in between delivers the event again. */
        sim_shell_point(sim);
        feed->ring_first = (feed->ring_first + 1) % SIM_FEED;
        feed->ring_count--;
        feed->ring_sequence++;
    }
}

/* ---- samples --------------------------------------------------------------------------------- */

static uint8_t batch_word(const struct sim *sim, uint32_t master, uint32_t instrument)
{
    uint8_t word = sim_switch_word(&sim->switches, master, instrument, UINT32_MAX, UINT32_MAX);
    return sim->shell.halt_word ? IPC_SWITCH_HALT : word;
}

static struct eng_batch_sample sample_batch(
    const struct sim *sim, uint32_t master, uint32_t instrument)
{
    struct eng_batch_sample sample = {
        .generation = sim->shell.adopted->view.generation,
        .switch_sequence = sim->switches.sequence,
        .now_mono_ns = sim_mono(sim),
        .now_wall_ns = sim_wall(sim),
        .switch_word = batch_word(sim, master, instrument),
        .journal_takes_entries = sim->takes_entries && !sim->shell.is_stepped,
    };
    if (instrument != 0 && sim->price_ns[instrument - 1] > sim->boot_ns) {
        sample.price_e8 = sim->price_e8[instrument - 1];
        sample.price_mono_ns = sim_mono(sim) - (sim->now_ns - sim->price_ns[instrument - 1]);
    }
    sample.master_equity_e8 = sample.master_balance_e8 = SIM_MASTER_EQUITY_E8;
    sample.master_free_e8 = SIM_MASTER_EQUITY_E8 / 2;
    sample.master_capital_mono_ns = sample.now_mono_ns;
    return sample;
}

static uint8_t follower_word(const struct sim *sim, uint32_t slot, uint32_t broker)
{
    uint8_t word = sim->switches.slots[slot];
    uint8_t other = sim->switches.brokers[broker];
    return word > other ? word : other;
}

/* What a follower trades in place of the batch's instrument has a price and a word of its own. */
static void sample_mapped(
    const struct sim *sim, uint32_t instrument, struct eng_follower_sample *sample)
{
    uint8_t word = sim->switches.instruments[instrument - 1];
    sample->instrument = instrument;
    sample->switch_word = word > sample->switch_word ? word : sample->switch_word;
    if (sim->price_ns[instrument - 1] > sim->boot_ns) {
        sample->price_e8 = sim->price_e8[instrument - 1];
        sample->price_mono_ns = sim_mono(sim) - (sim->now_ns - sim->price_ns[instrument - 1]);
    }
}

static struct eng_follower_sample sample_follower(
    struct sim *sim, const struct eng_batch *batch, uint32_t at)
{
    uint32_t slot = batch->slots[at];
    const struct ipc_row_follower *row = &sim->shell.adopted->followers[slot];
    struct eng_follower_sample sample = {
        .switch_word = follower_word(sim, slot, row->broker),
        .can_send = row->account != 0 && sim_shell_can_send(sim, row->account),
    };
    bool asks = (row->mode != IPC_MODE_FIXED_RATIO && row->mode != IPC_MODE_FIXED_QUANTITY) ||
                row->policy != 0;
    if (asks && sim->capital_ns[slot] > sim->boot_ns) {
        sample.capital_e8 = sample.balance_e8 = sim->capital_e8[slot];
        sample.free_e8 = sim->capital_e8[slot] / 2;
        sample.capital_mono_ns = sim_mono(sim) - (sim->now_ns - sim->capital_ns[slot]);
    }
    if (row->map != 0 || batch->is_exit || batch->wave == 0) {
        uint32_t instrument = eng_batch_instrument(sim->shell.core, batch, at);
        if (instrument != batch->instrument && instrument != 0)
            sample_mapped(sim, instrument, &sample);
    }
    return sample;
}

/* ---- waves ----------------------------------------------------------------------------------- */

/* An amended copy of a follower with a policy is sized from figures that its frame does not keep.
 */
static bool reads_more(
    const struct sim *sim, const struct ipc_fact_batch *fact, const struct ipc_fact_child *children)
{
    for (uint32_t i = 0; i < fact->child_count; i++) {
        const struct ipc_row_follower *row = &sim->shell.adopted->followers[children[i].slot];
        if ((fact->transition != IPC_TRANSITION_NEW || fact->switch_word != IPC_SWITCH_RUN ||
                children[i].reason == IPC_REASON_KILL_SWITCH) &&
            children[i].follower_no != 0 &&
            (row->policy != 0 || row->mode > IPC_MODE_FIXED_QUANTITY))
            return true;
    }
    return false;
}

/* The stored decision, decided again from its own samples, must be the same bytes. */
static void decide_again(
    struct sim *sim, const struct ipc_fact_batch *fact, const struct ipc_fact_child *children)
{
    struct ipc_fact_batch_room again;
    struct eng_batch stored;
    struct eng_batch_sample sample;
    struct eng_follower_sample samples[IPC_BATCH_CHILDREN_MAX];
    if (reads_more(sim, fact, children))
        return;
    if (eng_recover_batch(sim->shell.core, fact, children, sim_mono(sim), sim_wall(sim), &stored,
            &sample, samples) != IPC_OK)
        sim_fail(sim,
            "a stored decision cannot be made again: wave %llu, %s, %u of subscription %u",
            (unsigned long long)fact->wave,
            ipc_transition_name((enum ipc_transition)fact->transition), children[0].follower_no,
            children[0].incarnation);
    uint32_t count =
        eng_decide_batch(sim->shell.core, &stored, &sample, samples, &again.batch, again.children);
    sim->figures.redecided++;
    if (count != fact->child_count || memcmp(&again.batch, fact, sizeof(*fact)) != 0)
        sim_fail(
            sim, "deciding wave %llu again gives another batch", (unsigned long long)fact->wave);
    for (uint32_t i = 0; i < count; i++) {
        if (memcmp(&again.children[i], &children[i], sizeof(children[i])) != 0)
            sim_fail(sim, "deciding wave %llu again: slot %u was kind %u reason %s, is %u %s",
                (unsigned long long)fact->wave, children[i].slot, children[i].kind,
                ipc_reason_name((enum ipc_reason)children[i].reason), again.children[i].kind,
                ipc_reason_name((enum ipc_reason)again.children[i].reason));
    }
    if (memcmp(ipc_fact_batch_wides(&again.batch), ipc_fact_batch_wides(fact),
            fact->wide_count * sizeof(struct ipc_fact_wide)) != 0)
        sim_fail(sim, "deciding wave %llu again gives other wide children",
            (unsigned long long)fact->wave);
}

static bool batch_run(struct sim *sim, const struct eng_batch *batch)
{
    struct eng_core *core = sim->shell.core;
    struct eng_follower_sample samples[IPC_BATCH_CHILDREN_MAX];
    const uint32_t *handles = NULL;
    struct eng_batch_sample sample = sample_batch(sim, batch->master, batch->instrument);
    memset(sim->shell.reserved, 0, sizeof(sim->shell.reserved));
    for (uint32_t i = 0; i < batch->slot_count; i++)
        samples[i] = sample_follower(sim, batch, i);
    struct ipc_fact_batch *fact =
        sim_journal_begin(&sim->journal, IPC_FACT_BATCH, IPC_BATCH_BYTES_MAX);
    struct ipc_fact_child *children = (struct ipc_fact_child *)(fact + 1);
    uint32_t count = eng_decide_batch(core, batch, &sample, samples, fact, children);
    sim_shell_point(sim);
    if (count == 0)
        return false;
    decide_again(sim, fact, children);
    uint32_t bytes = ipc_fact_batch_bytes(fact);
#ifdef LS_PLANT_SEND_BEFORE_JOURNAL
    /* The planted bug: the orders leave while their frame is still incomplete. */
    uint64_t lsn = sim->journal.next_lsn;
    sim_shell_apply(sim, IPC_FACT_BATCH, fact, bytes, count, lsn);
    uint32_t applied = eng_core_applied(core, &handles);
    sim_shell_dispatch(sim, 0, handles, applied);
    sim_shell_point(sim);
    LS_CHECK(sim_journal_commit(&sim->journal, bytes, count) == lsn);
    sim_check_journal(sim);
#else
    uint64_t lsn = sim_journal_commit(&sim->journal, bytes, count);
    sim_check_journal(sim);
    sim_shell_point(sim);
    sim_shell_apply(sim, IPC_FACT_BATCH, fact, bytes, count, lsn);
    uint32_t applied = eng_core_applied(core, &handles);
    LS_CHECK(applied == count);
    sim_shell_point(sim);
    sim_shell_dispatch(sim, lsn, handles, applied);
#endif
    return true;
}

static void releases_run(struct sim *sim)
{
    struct sim_shell *shell = &sim->shell;
    struct eng_candidate candidates[16];
    uint32_t found = eng_release_next(shell->core, sim_mono(sim), sim_wall(sim),
        &shell->release_cursor, candidates, LS_COUNT_OF(candidates));
    memset(shell->reserved, 0, sizeof(shell->reserved));
    for (uint32_t i = 0; i < found; i++) {
        const struct eng_candidate *candidate = &candidates[i];
        struct eng_batch_sample sample =
            sample_batch(sim, candidate->master, candidate->instrument);
        uint8_t word = follower_word(sim, candidate->slot, candidate->broker);
        const struct eng_follower_sample follower = {
            .switch_word = word > sample.switch_word ? word : sample.switch_word,
            .can_send = candidate->account != 0 && sim_shell_can_send(sim, candidate->account),
        };
        struct ipc_fact_release *fact =
            sim_journal_begin(&sim->journal, IPC_FACT_RELEASE, sizeof(*fact));
        if (!eng_decide_release(shell->core, candidate, &sample, &follower, fact))
            continue;
        sim_shell_point(sim);
        uint64_t lsn = sim_journal_commit(&sim->journal, sizeof(*fact), 1);
        sim_check_journal(sim);
        sim_shell_point(sim);
        sim_shell_apply(sim, IPC_FACT_RELEASE, fact, sizeof(*fact), 1, lsn);
        const uint32_t *handles = NULL;
        LS_CHECK(eng_core_applied(shell->core, &handles) == 1);
        sim_shell_point(sim);
        sim_shell_dispatch(sim, lsn, handles, 1);
    }
}

static void waves_run(struct sim *sim)
{
    struct eng_core *core = sim->shell.core;
    struct eng_batch batch;
    uint32_t budget = 1 + sim_below(sim, sim->is_healing ? 64 : sim->shell.is_slow ? 1 : 8);
    while (budget > 0 && eng_settle_next(core, &batch) && batch_run(sim, &batch))
        budget--;
    releases_run(sim);
    while (budget > 0 && eng_wave_next(core, &batch)) {
        budget--;
        if (!batch_run(sim, &batch))
            break;
    }
}

/* ---- the turn -------------------------------------------------------------------------------- */

void sim_shell_turn(struct sim *sim)
{
    struct sim_shell *shell = &sim->shell;
    sim->figures.turns++;
    sim->journal.mono_ns = sim_mono(sim);
    sim->journal.wall_ns = sim_wall(sim);
    sim->in_turn = true;
    if (!sim_shell_backlog(sim))
        shell->seen = sim->switches;
    sim_shell_adopt(sim);
    sim_shell_lanes(sim);
    sim_shell_receive(sim);
    sim_shell_expire(sim);
    events_take(sim);
    sim_shell_held(sim);
    sim_shell_books(sim);
    sim_shell_guards(sim);
    if (sim_chance(sim, 1, sim->is_healing ? 2 : 8))
        sim_shell_limits(sim);
    waves_run(sim);
    sim_shell_flush(sim);
    sim->in_turn = false;
}

int64_t sim_shell_due(const struct sim *sim)
{
    const struct sim_shell *shell = &sim->shell;
    if (!shell->lives)
        return shell->restart_ns;
    int64_t due = eng_release_due(shell->core, sim_mono(sim), sim_wall(sim));
    due = ls_min_i64(due, eng_recon_due(shell->core, sim_mono(sim), sim_wall(sim)));
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        const struct sim_connection *connection = &sim->connections[i];
        if (connection->number != 0 && connection->client_lives)
            due = ls_min_i64(due, eng_h2_next_due(connection->h2));
    }
    if (due == SIM_NEVER)
        return due;
    return ls_max_i64(due - sim_mono(sim) + sim->now_ns, sim->now_ns);
}
