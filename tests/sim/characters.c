/* What brokers are like. Each world draws one for each of its brokers: the ways in which it goes
 * wrong, how often, and how long it takes. */
#include <string.h>

#include "tests/sim/sim.h"

struct odd {
    uint8_t kind;
    uint16_t of_thousand;
};

#define ODDS_MAX 6u

static const struct {
    const char *name;
    struct odd odds[ODDS_MAX];
} characters[] = {
    {"good", {{0, 0}}},
    {"forgetful", {{SIM_FAULT_LOSE_REPLY, 120}, {SIM_FAULT_LATE_REPLY, 60}}},
    {"deaf", {{SIM_FAULT_LOSE_REQUEST, 100}, {SIM_FAULT_LOSE_REPLY, 20}}},
    {"late", {{SIM_FAULT_LATE_ACCEPT, 120}, {SIM_FAULT_LATE_REPLY, 120}}},
    {"cutting", {{SIM_FAULT_RESET_BEFORE, 60}, {SIM_FAULT_RESET_AFTER, 60}, {SIM_FAULT_RESET, 60}}},
    {"refusing", {{SIM_FAULT_REFUSED_BEFORE, 60}, {SIM_FAULT_REFUSED_AFTER, 60}}},
    {"failing", {{SIM_FAULT_ERROR_BEFORE, 80}, {SIM_FAULT_ERROR_AFTER, 80}}},
    {"garbled", {{SIM_FAULT_GARBAGE, 120}, {SIM_FAULT_ERROR_AFTER, 20}}},
    {"limiting", {{SIM_FAULT_LIMITED, 150}, {SIM_FAULT_LIMITED_AFTER, 40}}},
    {"leaving", {{SIM_FAULT_GOAWAY, 80}, {SIM_FAULT_SHUT_DOWN, 80}}},
    {"narrow", {{SIM_FAULT_SETTINGS, 150}, {SIM_FAULT_STALL, 150}, {SIM_FAULT_HALF_OPEN, 60}}},
    {"expiring", {{SIM_FAULT_EXPIRE, 40}}},
};

/* What goes wrong with answers about the book is drawn apart from what goes wrong with orders. */
static void book_draw(struct sim *sim, struct sim_character *is)
{
    static const int64_t lags_ms[] = {0, 0, 200, 1000, 2000};
    is->book_lag_ns = lags_ms[sim_below(sim, LS_COUNT_OF(lags_ms))] * LS_NS_PER_MS;
    is->has_complete_book = sim_chance(sim, 7, 8);
    is->book_by_tag = sim_chance(sim, 1, 4);
    is->idempotency = sim_chance(sim, 1, 4) ? ADP_IDEMPOTENCY_ENFORCED : ADP_IDEMPOTENCY_TAG_ONLY;
    is->odds[SIM_FAULT_BOOK_OLD] = is->book_lag_ns == 0 ? 0 : 500; /* a replica, or it flips */
    if (sim_chance(sim, 1, 2))
        return;
    is->odds[SIM_FAULT_BOOK_LOST] = (uint16_t)sim_below(sim, 150);
    is->odds[SIM_FAULT_BOOK_ERROR] = (uint16_t)sim_below(sim, 200);
    is->odds[SIM_FAULT_BOOK_EMPTY] = (uint16_t)sim_below(sim, 200);
    is->odds[SIM_FAULT_BOOK_CUT] = (uint16_t)sim_below(sim, 200);
}

/* Some of everything. */
static void mixed_draw(struct sim *sim, struct sim_character *is)
{
    is->name = "mixed";
    for (uint32_t kind = SIM_FAULT_LOSE_REPLY; kind <= SIM_FAULT_RESET; kind++)
        is->odds[kind] = sim_chance(sim, 1, 3) ? 0 : (uint16_t)sim_below(sim, 41);
    is->odds[SIM_FAULT_EXPIRE] /= 4;
}

void sim_character_draw(struct sim *sim, struct sim_character *is)
{
    static const uint32_t streams[] = {1, 3, 10, 100, 100};
    static const uint32_t windows[] = {400, 2000, 65535, 65535, 1u << 20};
    *is = (struct sim_character){
        .name = "good",
        .latency_ns = sim_between(sim, 20 * LS_NS_PER_US, 20 * LS_NS_PER_MS),
        .far_ns = sim_between(sim, 50 * LS_NS_PER_US, 60 * LS_NS_PER_MS),
        .tail_ns = sim_chance(sim, 1, 4) ? sim_between(sim, 0, LS_NS_PER_S) : 0,
        .max_streams = streams[sim_below(sim, LS_COUNT_OF(streams))],
        .window_bytes = windows[sim_below(sim, LS_COUNT_OF(windows))],
        .table_bytes = sim_chance(sim, 1, 2) ? 0 : 4096,
        .trusts_goaway = sim_chance(sim, 1, 2),
        .has_complete_book = true,
        .idempotency = ADP_IDEMPOTENCY_TAG_ONLY,
    };
    if (sim->is_calm)
        return;
    book_draw(sim, is);
    if (sim_chance(sim, 1, 3)) {
        mixed_draw(sim, is);
        return;
    }
    uint32_t drawn = sim_below(sim, LS_COUNT_OF(characters));
    is->name = characters[drawn].name;
    for (uint32_t i = 0; i < ODDS_MAX; i++)
        is->odds[characters[drawn].odds[i].kind] = characters[drawn].odds[i].of_thousand;
}

void sim_character_heal(struct sim_character *is)
{
    *is = (struct sim_character){.name = is->name,
        .latency_ns = LS_NS_PER_MS,
        .far_ns = LS_NS_PER_MS,
        .max_streams = 100,
        .window_bytes = 65535,
        .trusts_goaway = is->trusts_goaway,
        .book_lag_ns = is->book_lag_ns,
        .has_complete_book = is->has_complete_book,
        .book_by_tag = is->book_by_tag,
        .idempotency = is->idempotency};
}

int64_t sim_character_takes(struct sim *sim, const struct sim_character *is)
{
    if (is->tail_ns != 0 && sim_chance(sim, 1, 20))
        return sim_between(sim, 0, is->tail_ns);
    return sim_between(sim, 0, is->far_ns);
}
