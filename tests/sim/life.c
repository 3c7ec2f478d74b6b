/* The life of one world: steps in which masters, markets, machines and people do something, then
 * healing, and the end. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define HEAL_STEPS    700u
#define HEAL_SHORT    200u /* of them are short, the others ten times as long */
#define EVENTS_A_STEP 60u

/* Something that people or machines do at this step. */
static bool happens(struct sim *sim, enum sim_fault kind, uint32_t hits, uint32_t of)
{
    uint32_t calm = sim->is_calm ? 2 : 1; /* there it is rarer */
    if (!sim_fault(sim, kind, sim->step, hits, of * calm))
        return false;
    sim_stream(sim, SIM_STREAM_PEOPLE + kind);
    return true;
}

/* The wall clock is set; from half a second on the shell takes no entries until someone has looked.
 */
static void clock_step(struct sim *sim)
{
    int64_t step_ns = sim_chance(sim, 1, 2) ? sim_between(sim, -LS_NS_PER_S, LS_NS_PER_S)
                                            : sim_between(sim, -1800, 1800) * LS_NS_PER_S;
    sim->wall_step_ns += step_ns;
    if (step_ns >= LS_NS_PER_S / 2 || step_ns <= -LS_NS_PER_S / 2)
        sim->shell.is_stepped = true;
    sim_note(sim, "the wall clock is set by %lld ms", (long long)(step_ns / LS_NS_PER_MS));
}

static void machine_trouble(struct sim *sim)
{
    struct sim_shell *shell = &sim->shell;
    if (sim->can_crash && shell->crash_in == 0 && happens(sim, SIM_FAULT_CRASH, 1, 18))
        shell->crash_in = 1 + sim_below(sim, sim_chance(sim, 1, 2) ? 12 : 200);
    if (!sim->is_calm && happens(sim, SIM_FAULT_PAUSE, 1, 200))
        shell->paused_until_ns =
            sim->now_ns + sim_between(sim, 0, (sim_chance(sim, 1, 4) ? 40 : 10) * LS_NS_PER_S);
    if (!sim->is_calm && happens(sim, SIM_FAULT_CLOCK, 1, 400))
        clock_step(sim);
    if (sim->step % 20 == 0)
        shell->is_stepped = false;
    if (happens(sim, SIM_FAULT_DISK, 1, 270))
        sim->takes_entries = false;
    else if (sim->step % 18 == 0)
        sim->takes_entries = true;
}

static void trouble(struct sim *sim)
{
    uint32_t busy = sim->is_restless ? 9 : 1;
    machine_trouble(sim);
    if (happens(sim, SIM_FAULT_FLIP, busy, 18))
        sim_world_flip(sim);
    if (happens(sim, SIM_FAULT_PUBLISH, busy, 54))
        sim_world_publish(sim);
    if (happens(sim, SIM_FAULT_RESCAN, 1, 72))
        sim_masters_rescan(sim, 1 + sim_below(sim, sim->master_count), false);
    if (sim->owners_trade && happens(sim, SIM_FAULT_OWNER, 1, 20))
        sim_owner_act(sim);
    if (happens(sim, SIM_FAULT_OPERATOR, 1, 180))
        sim_operator_act(sim);
    sim_stream(sim, SIM_STREAM_PEOPLE);
    if (sim_chance(sim, 2, 9))
        sim_broker_trouble(sim);
}

static void act(struct sim *sim)
{
    sim_stream(sim, SIM_STREAM_MASTERS);
    uint32_t what = sim_below(sim, 10);
    if (what < 4)
        sim_masters_act(sim);
    sim_stream(sim, SIM_STREAM_MARKET);
    if (what >= 4 && what < 6)
        sim_world_price(sim);
    sim_stream(sim, SIM_STREAM_FILLS);
    if (what >= 6 && what < 8)
        sim_broker_fill(sim);
    sim_stream(sim, SIM_STREAM_POLL);
    if (sim_chance(sim, 1, 4))
        sim_feed_poll(sim, false);
    trouble(sim);
    sim_stream(sim, SIM_STREAM_ENGINE);
    sim_journal_sync(&sim->journal, &sim->prng, false);
}

/* The engine's turn, or its death. */
static void turn(struct sim *sim)
{
    struct sim_shell *shell = &sim->shell;
    if (setjmp(sim->crashed) != 0) {
        sim->in_turn = false;
        sim_shell_kill(
            sim, sim->can_lose_power && sim_fault(sim, SIM_FAULT_POWER, sim->step, 1, 3));
        return;
    }
    if (!shell->lives) {
        if (shell->restart_ns > sim->now_ns)
            return;
        sim_shell_start(sim);
        if (sim_chance(sim, 1, 2))
            sim_check_replay(sim);
    }
    if (shell->paused_until_ns <= sim->now_ns)
        sim_shell_turn(sim);
    sim_check_books(sim);
    if (!shell->lives)
        return;
    sim_check_counters(sim);
    if (sim_chance(sim, 1, 16))
        eng_core_verify(shell->core);
    if (sim_chance(sim, 1, 150))
        sim_check_replay(sim);
}

static int64_t step_length(struct sim *sim)
{
    uint32_t roll = sim_below(sim, 60);
    if (sim->is_calm)
        return sim_between(sim, 20 * LS_NS_PER_MS, 2 * LS_NS_PER_S);
    if (roll < 42)
        return sim_between(sim, LS_NS_PER_US, 2 * LS_NS_PER_MS);
    if (roll < 58)
        return sim_between(sim, 0, 60 * LS_NS_PER_MS);
    return sim_between(sim, 0, roll == 58 ? LS_NS_PER_S : 6 * LS_NS_PER_S);
}

/* Time goes on; whatever is due on the way happens at its time. */
static void advance(struct sim *sim, int64_t length_ns)
{
    int64_t until = sim->now_ns + length_ns;
    for (uint32_t events = 0; events < EVENTS_A_STEP; events++) {
        int64_t next = ls_min_i64(sim_net_due(sim), sim_broker_due(sim));
        next = ls_min_i64(next, ls_min_i64(sim_feed_due(sim), sim_shell_due(sim)));
        next = ls_min_i64(next, sim_books_due(sim));
        if (events + 1 == EVENTS_A_STEP)
            next = until;
        sim->now_ns = ls_min_i64(ls_max_i64(next, sim->now_ns + 20 * LS_NS_PER_US), until);
        sim_feed_step(sim);
        sim_feed_room(sim);
        sim_net_up(sim);
        sim_broker_step(sim);
        sim_books_step(sim);
        turn(sim);
        sim_net_sweep(sim);
        if (sim->now_ns >= until)
            return;
    }
}

/* Without further faults everything comes to its end. */
static void heal(struct sim *sim)
{
    char why[256] = "";
    bool is_flat = false;
    sim_world_heal(sim);
    for (uint32_t i = 0; i < sim->order_count; i++) {
        struct ipc_event *state = &sim->orders[i].state;
        if (!ipc_status_final((enum ipc_status)state->status)) {
            state->status = IPC_STATUS_CANCELLED;
            state->version = sim->version = ls_max_i64(sim->version + 1, sim_wall(sim));
        }
        sim->orders[i].changed_ns = sim->now_ns;
    }
    for (uint32_t i = 0; i < HEAL_STEPS; i++) {
        sim->step++;
        sim_stream(sim, SIM_STREAM_ENGINE);
        if (i % 50 == 0) {
            for (uint32_t account = 1; account <= sim->master_count; account++)
                sim_masters_rescan(sim, account, false);
        }
        if (i % 10 == 0)
            sim_feed_poll(sim, true);
        sim_world_price(sim);
        if (i % 5 == 0)
            sim_broker_fill_exits(sim);
        sim_journal_sync(&sim->journal, &sim->prng, true);
        advance(sim, (i < HEAL_SHORT ? 50 : 500) * LS_NS_PER_MS);
        if (i <= 20 || i % 10 != 9 || !sim->shell.lives ||
            !sim_check_settled(sim, why, sizeof(why)))
            continue;
        if (is_flat) {
            sim_positions_flat(sim);
            return;
        }
        is_flat = true;
        sim_positions_begin_flat(sim);
        sim_masters_flat(sim);
        i = 0;
    }
    sim_fail(sim, "liveness: %s, %u s after the last fault", why,
        HEAL_SHORT / 20 + (HEAL_STEPS - HEAL_SHORT) / 2);
}

static void world_reset(struct sim *sim, const struct sim_options *options, uint64_t seed)
{
    /* Large memory is kept from one world to the next. */
    struct sim_connection *connections = sim->connections;
    struct sim_shell shell = sim->shell;
    struct sim_journal journal = sim->journal;
    struct sim_feed feed = sim->feed;
    struct sim_tag *tags = sim->judge.tags;
    struct sim_faults *faults = sim->faults;
    struct sim_answers *answers = sim->answers;
    struct ipc_event *rows[SIM_ACCOUNTS];
    for (uint32_t i = 0; i < SIM_ACCOUNTS; i++)
        rows[i] = sim->questions[i].rows;
    nghttp2_session_callbacks *callbacks = sim->callbacks;
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        struct sim_connection *connection = &connections[i];
        if (connection->number != 0 && connection->client_lives && connection->h2 != NULL)
            eng_h2_free(connection->h2);
        if (connection->server != NULL)
            nghttp2_session_del(connection->server);
        connection->h2 = NULL;
        connection->server = NULL;
        connection->number = 0;
    }
    if (sim->brokers[0].book != NULL)
        sim_broker_free(sim);
    memset(sim, 0, sizeof(*sim));
    sim->connections = connections;
    sim->shell.core_memory = shell.core_memory;
    sim->shell.core_other_memory = shell.core_other_memory;
    sim->shell.bodies_memory = shell.bodies_memory;
    sim->shell.limits = shell.limits;
    sim->journal = journal;
    for (uint32_t i = 0; i < SIM_BROKERS; i++) {
        sim->feed.published[i] = feed.published[i];
        sim->feed.published_capacity[i] = feed.published_capacity[i];
        if (feed.published[i] != NULL)
            memset(
                feed.published[i], 0, feed.published_capacity[i] * sizeof(**sim->feed.published));
    }
    sim->judge.tags = tags;
    sim->faults = faults;
    faults->count = 0;
    sim->answers = answers;
    for (uint32_t i = 0; i < SIM_ACCOUNTS; i++) {
        sim->questions[i].rows = rows[i];
        answers[i].count = 0;
    }
    sim->callbacks = callbacks;
    sim->options = options;
    sim->seed = seed;
    sim_stream(sim, SIM_STREAM_WORLD);
    sim_journal_reset(&sim->journal, ipc_prng_next(&sim->prng));
    sim_check_begin(sim);
}

bool sim_live(struct sim *sim, const struct sim_options *options, uint64_t seed)
{
    world_reset(sim, options, seed);
    if (setjmp(sim->failed) != 0)
        return false;
    sim_world_make(sim);
    sim_shell_start(sim);
    for (uint32_t account = 1; account <= sim->master_count; account++)
        sim_masters_rescan(sim, account, false);
    while (sim->step < options->steps) {
        sim->step++;
        act(sim);
        advance(sim, step_length(sim));
    }
    sim->figures.steps = sim->step;
    heal(sim);
    sim->figures.seconds = (uint64_t)(sim->now_ns / LS_NS_PER_S);
    sim_check_end(sim);
    const struct eng_core_counters *counters = eng_core_counters(sim->shell.core);
    for (uint32_t i = 0; i < IPC_REASON_COUNT && options->verbose; i++) {
        if (counters->skips_by_reason[i] != 0)
            sim_note(sim, "skipped %s: %llu", ipc_reason_name((enum ipc_reason)i),
                (unsigned long long)counters->skips_by_reason[i]);
    }
    return true;
}

struct sim *sim_make(void)
{
    struct sim *sim = calloc(1, sizeof(*sim));
    LS_CHECK(sim != NULL);
    sim->connections = calloc(SIM_CONNECTIONS, sizeof(*sim->connections));
    sim->judge.tags = calloc(SIM_TAGS, sizeof(*sim->judge.tags));
    sim->faults = calloc(1, sizeof(*sim->faults));
    sim->answers = calloc(SIM_ACCOUNTS, sizeof(*sim->answers));
    LS_CHECK(sim->connections != NULL && sim->judge.tags != NULL && sim->faults != NULL);
    LS_CHECK(sim->answers != NULL);
    for (uint32_t i = 0; i < SIM_ACCOUNTS; i++) {
        sim->questions[i].rows = calloc(SIM_BOOK_ROWS, sizeof(*sim->questions[i].rows));
        LS_CHECK(sim->questions[i].rows != NULL);
    }
    sim_journal_open(&sim->journal, 0);
    return sim;
}
