#include "tests/sim/faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define SITE_BITS 40

static const char *const names[SIM_FAULT_COUNT] = {
#define X(name, text) [SIM_FAULT_##name] = (text),
    SIM_FAULT_LIST(X)
#undef X
};

const char *sim_fault_name(enum sim_fault kind)
{
    return kind > SIM_FAULT_NONE && kind < SIM_FAULT_COUNT ? names[kind] : "";
}

static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

uint64_t sim_site(uint64_t a, uint64_t b)
{
    return mix(mix(a) + b) & ((UINT64_C(1) << SITE_BITS) - 1);
}

void sim_stream(struct sim *sim, uint32_t stream)
{
    ipc_prng_seed(&sim->prng, mix(mix(sim->seed) + sim->step) + stream);
}

static bool is_replayed(const struct sim_replay *replay, enum sim_fault kind, uint64_t site)
{
    for (uint32_t i = 0; i < replay->count; i++) {
        if (replay->list[i].kind == kind && replay->list[i].site == site)
            return true;
    }
    return false;
}

bool sim_fault(struct sim *sim, enum sim_fault kind, uint64_t site, uint32_t hits, uint32_t of)
{
    struct sim_faults *faults = sim->faults;
    const struct sim_replay *replay = &sim->options->replay;
    if (hits == 0 || sim->is_healing)
        return false;
    ipc_prng_seed(&faults->prng, mix(mix(sim->seed) + site) + kind);
    if (!ipc_prng_chance(&faults->prng, hits, of) ||
        (replay->is_set && !is_replayed(replay, kind, site)))
        return false;
    if (faults->count < SIM_FIRED_MAX)
        faults->fired[faults->count] =
            (struct sim_fired){.site = site, .step = (uint32_t)sim->step, .kind = (uint8_t)kind};
    faults->count++;
    sim->figures.by_kind[kind]++;
    sim->figures.faults++;
    return true;
}

int64_t sim_fault_between(struct sim *sim, int64_t low, int64_t high)
{
    return low + (int64_t)ipc_prng_below(&sim->faults->prng, (uint64_t)(high - low) + 1);
}

/* ---- lists in words -------------------------------------------------------------------------- */

static enum sim_fault kind_of(const char *name, size_t bytes)
{
    for (uint32_t kind = 1; kind < SIM_FAULT_COUNT; kind++) {
        if (strlen(names[kind]) == bytes && memcmp(names[kind], name, bytes) == 0)
            return (enum sim_fault)kind;
    }
    return SIM_FAULT_NONE;
}

bool sim_replay_read(const char *text, struct sim_replay *out, char *error, size_t error_bytes)
{
    *out = (struct sim_replay){.is_set = true};
    if (strcmp(text, "none") == 0)
        return true;
    out->list = calloc(strlen(text) / 2 + 1, sizeof(*out->list));
    LS_CHECK(out->list != NULL);
    for (const char *at = text;; at++) {
        size_t bytes = strcspn(at, "@,");
        enum sim_fault kind = kind_of(at, bytes);
        char *end = NULL;
        if (kind == SIM_FAULT_NONE || at[bytes] != '@') {
            snprintf(error, error_bytes, "'%.*s' is not kind@site with one of the kinds of faults",
                (int)strcspn(at, ","), at);
            return false;
        }
        unsigned long long site = strtoull(at + bytes + 1, &end, 0);
        if (end == at + bytes + 1 || (*end != ',' && *end != '\0')) {
            snprintf(
                error, error_bytes, "'%.*s' has no number as its site", (int)strcspn(at, ","), at);
            return false;
        }
        out->list[out->count++] = (struct sim_fired){.kind = (uint8_t)kind, .site = site};
        if (*end == '\0')
            return true;
        at = end;
    }
}

void sim_replay_print(const struct sim_fired *list, uint32_t count)
{
    if (count == 0)
        fputs("none", stdout);
    for (uint32_t i = 0; i < count; i++)
        printf(list[i].site == list[i].step ? "%s%s@%llu" : "%s%s@0x%llx", i == 0 ? "" : ",",
            names[list[i].kind], (unsigned long long)list[i].site);
}
