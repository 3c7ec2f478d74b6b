/* The engine's passes outside of the waves: money limits, and positions that are to become flat. */
#include <string.h>

#include "engine/core/flatten.h"
#include "engine/core/limits.h"
#include "tests/sim/sim.h"

static void append(struct sim *sim, const struct ipc_fact_limit *fact)
{
    (void)sim_shell_append(sim, IPC_FACT_LIMIT, fact, sizeof(*fact), 1);
    sim_note(sim, "limit fact: %s %s of %u", ipc_limit_act_name((enum ipc_limit_act)fact->act),
        fact->kind == 0 ? "" : ipc_limit_kind_name((enum ipc_limit_kind)fact->kind),
        fact->follower_no);
    sim->figures.trips += fact->act == IPC_LIMIT_ACT_TRIP;
}

static void clock_run(struct sim *sim)
{
    struct eng_market_times times;
    struct ipc_fact_limit fact;
    eng_market_times_at(&sim->shell.adopted->view, sim_wall(sim), &times);
    while (eng_limits_clock(sim->shell.core, &times, &fact))
        append(sim, &fact);
}

static void judge(struct sim *sim, uint32_t slot)
{
    struct eng_core *core = sim->shell.core;
    struct eng_limits_walk walk;
    uint32_t instrument;
    eng_limits_begin(core, slot, &walk);
    while ((instrument = eng_limits_next(&walk)) != 0)
        eng_limits_price(&walk,
            sim->price_ns[instrument - 1] > sim->boot_ns ? sim->price_e8[instrument - 1] : 0);
    struct eng_limits_sample sample = {.now_mono_ns = sim_mono(sim), .keep_peak = true};
    if (sim->capital_ns[slot] > sim->boot_ns) {
        sample.equity_e8 = sample.equity_high_e8 = sim->capital_e8[slot];
        sample.equity_mono_ns = sim_mono(sim) - (sim->now_ns - sim->capital_ns[slot]);
    }
    sample.master_equity_e8 = sample.master_high_e8 = SIM_MASTER_EQUITY_E8;
    sample.master_equity_mono_ns = sim_mono(sim);
    struct ipc_fact_limit facts[ENG_LIMITS_FACTS_MAX];
    uint32_t count = eng_limits_decide(&walk, &sample, facts);
    for (uint32_t i = 0; i < count; i++)
        append(sim, &facts[i]);
}

static void flatten(struct sim *sim)
{
    struct eng_core *core = sim->shell.core;
    struct eng_flatten found;
    uint32_t cursor = 0;
    for (uint32_t i = 0; i < 8 && eng_flatten_next(core, &cursor, 64, sim_mono(sim), &found); i++) {
        struct ipc_fact_event fact;
        struct ipc_fact_alarm alarm;
        bool has_alarm = false;
        const struct ipc_row_follower *row = &sim->shell.adopted->followers[found.slot];
        uint8_t word = sim->shell.halt_word ? IPC_SWITCH_HALT
                                            : sim_switch_word(&sim->switches, found.master,
                                                  found.instrument, found.slot, row->broker);
        if (eng_flatten_decide(
                core, &found, word, sim_mono(sim), sim_wall(sim), &fact, &alarm, &has_alarm)) {
            (void)sim_shell_append(sim, IPC_FACT_EVENT, &fact, sizeof(fact), 1);
            sim->figures.flattens++;
            sim_note(sim, "flattening of %u of %u: act %llu", found.slot, found.instrument,
                (unsigned long long)fact.ring_sequence);
        }
        if (has_alarm)
            (void)sim_shell_append(sim, IPC_FACT_ALARM, &alarm, sizeof(alarm), 1);
    }
}

void sim_shell_limits(struct sim *sim)
{
    struct eng_core *core = sim->shell.core;
    struct ipc_fact_limit fact;
    uint32_t count = eng_limits_count(core);
    if (count != 0)
        clock_run(sim);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = eng_limits_slot(core, i);
        judge(sim, slot);
        if (eng_flatten_want(core, slot, &fact))
            append(sim, &fact);
    }
    if (eng_flatten_open(core) != 0)
        flatten(sim);
}
