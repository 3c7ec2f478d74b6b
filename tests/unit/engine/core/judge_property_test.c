/* Lives of a follower: a master who opens, adds, reduces, reverses and goes flat, fill by fill, and
 * one follower judged at each of them. What must hold whatever happens is checked after every
 * event; sizes are compared with a model that keeps whole fractions and no state but sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "engine/core/pipeline/fold.h"
#include "ipc/prng.h"

#define LIVES  3000
#define EVENTS 40

struct life {
    struct ipc_prng prng;
    struct ipc_row_follower row;
    struct ipc_row_policy policy;
    struct eng_case_shared shared;
    struct eng_case judged;
    struct eng_verdict verdict;
    int64_t master;         /* units, signed */
    int64_t base_m, base_f; /* naive: of the run of reductions, 0 = none */
    uint64_t seed;
    int at;
};

#define EXPECT(life, condition)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("seed %llu, event %d: %s", (unsigned long long)(life)->seed, (life)->at,      \
                #condition);                                                                       \
    } while (0)

static int sign(int64_t value)
{
    return (value > 0) - (value < 0);
}

static int64_t magnitude(int64_t value)
{
    return value < 0 ? -value : value;
}

static void be_born(struct life *life, uint64_t seed)
{
    static const int64_t lots[] = {LS_E8, LS_E8, 65 * LS_E8, 25 * LS_E8, LS_E8 / 100};
    *life = (struct life){.seed = seed};
    ipc_prng_seed(&life->prng, seed);
    life->row = (struct ipc_row_follower){.follower_no = 1,
        .mode = ipc_prng_chance(&life->prng, 1, 5) ? IPC_MODE_FIXED_QUANTITY : IPC_MODE_FIXED_RATIO,
        .flags = IPC_FOLLOWER_ENABLED | IPC_FOLLOWER_ALLOW_SHORT,
        .ratio_e8 = 1 + (int64_t)ipc_prng_below(&life->prng, 3 * LS_E8),
        .fixed_qty_e8 = LS_E8 * (int64_t)ipc_prng_below(&life->prng, 300)};
    if (ipc_prng_chance(&life->prng, 1, 3))
        life->row.max_position_e8 = LS_E8 * (int64_t)(1 + ipc_prng_below(&life->prng, 900));
    if (ipc_prng_chance(&life->prng, 1, 4))
        life->row.max_qty_e8 = LS_E8 * (int64_t)(1 + ipc_prng_below(&life->prng, 300));
    if (ipc_prng_chance(&life->prng, 1, 3))
        life->policy.flags |= IPC_POLICY_CARRY;
    if (ipc_prng_chance(&life->prng, 1, 4))
        life->policy.flags |= IPC_POLICY_REVERSE;
    life->shared = (struct eng_case_shared){.occasion = ENG_ON_FILL,
        .type = IPC_TYPE_MARKET,
        .size_kind = ENG_SIZE_QTY,
        .lot_e8 = lots[ipc_prng_below(&life->prng, LS_COUNT_OF(lots))],
        .instrument = 1,
        .minute = 600};
    life->judged.shared = &life->shared;
    life->judged.follower = (struct eng_case_follower){
        .row = &life->row, .policy = &life->policy, .session_valid = 1, .symbol_allowed = 1};
}

/* --- what always holds --------------------------------------------------------------------------
 */

static void check(struct life *life, int64_t held_before)
{
    const struct eng_case_follower *follower = &life->judged.follower;
    int way = life->policy.flags & IPC_POLICY_REVERSE ? -1 : 1;
    int64_t held = follower->held_e8;
    EXPECT(life, held == 0 || sign(held) == way * sign(life->master));
    if (life->row.max_position_e8 != 0 && magnitude(held) > magnitude(held_before))
        EXPECT(life, magnitude(held) <= life->row.max_position_e8);
    for (uint32_t i = 0; i < life->verdict.leg_count; i++) {
        const struct eng_leg *leg = &life->verdict.legs[i];
        EXPECT(life, leg->qty_e8 > 0);
        if (leg->flags & ENG_LEG_CLOSE) {
            EXPECT(life, leg->flags & ENG_LEG_REDUCE_ONLY);
            EXPECT(life, leg->qty_e8 <= magnitude(held_before));
        } else {
            EXPECT(life, leg->qty_e8 % life->shared.lot_e8 == 0);
            EXPECT(life, life->row.max_qty_e8 == 0 || leg->qty_e8 <= life->row.max_qty_e8);
        }
    }
}

/* The naive close: floor(F0 x D / M0) in all since the base, everything when the master is flat. */
static void check_close(struct life *life, int64_t master_before, int64_t held_before)
{
    int64_t held = magnitude(life->judged.follower.held_e8), left = magnitude(life->master);
    if (left == 0 || sign(life->master) != sign(master_before)) {
        EXPECT(life, life->verdict.leg_count == 0 || left != 0 || held == 0);
        life->base_m = 0;
        return;
    }
    if (life->base_m == 0) {
        life->base_m = magnitude(master_before);
        life->base_f = magnitude(held_before);
    }
    __int128 gone = (__int128)life->base_f * (life->base_m - left) / life->base_m;
    int64_t closed = (int64_t)(gone / life->shared.lot_e8 * life->shared.lot_e8);
    EXPECT(life, held == life->base_f - closed);
}

/* --- one order, fill by fill --------------------------------------------------------------------
 */

static void fill(struct life *life, int64_t units, int64_t *opened, bool more)
{
    struct eng_case_shared *shared = &life->shared;
    int64_t before = life->master, held_before = life->judged.follower.held_e8;
    life->master += shared->side == IPC_SIDE_BUY ? units : -units;
    bool reduces = before != 0 && (sign(life->master) != sign(before) ||
                                      magnitude(life->master) < magnitude(before));
    if (!reduces)
        *opened += units;
    else if (sign(life->master) == -sign(before))
        *opened += magnitude(life->master);
    shared->before_e8 = before * LS_E8;
    shared->after_e8 = life->master * LS_E8;
    shared->qty_e8 = *opened * LS_E8;
    eng_judge(&life->judged, &life->verdict, NULL);
    eng_fold_filled(&life->judged.follower, &life->verdict, more);
    check(life, held_before);
    if (reduces)
        check_close(life, before * LS_E8 / LS_E8, held_before);
    else
        life->base_m = 0;
    if (!more || !ipc_prng_chance(&life->prng, 1, 3))
        return;
    /* The same again: late, repeated. */
    held_before = life->judged.follower.held_e8;
    eng_judge(&life->judged, &life->verdict, NULL);
    if (reduces && *opened != 0)
        return; /* a repeated reversal has no base any more: orders are joined before that */
    if (reduces && life->master == 0)
        return; /* nothing is held that could be closed */
    EXPECT(life, life->verdict.leg_count == 0);
}

static void order(struct life *life)
{
    struct eng_case_shared *shared = &life->shared;
    int64_t held = magnitude(life->master), opened = 0;
    bool closes = held != 0 && ipc_prng_chance(&life->prng, 3, 5);
    int64_t units = 1 + (int64_t)ipc_prng_below(&life->prng, 400);
    if (closes && ipc_prng_chance(&life->prng, 1, 3))
        units = held; /* flat */
    else if (closes && ipc_prng_chance(&life->prng, 1, 6))
        units = held + units; /* and beyond */
    else if (closes && units > held)
        units = held;
    bool buys = held == 0 ? ipc_prng_chance(&life->prng, 1, 2) : (life->master > 0) != closes;
    shared->side = buys ? IPC_SIDE_BUY : IPC_SIDE_SELL;
    life->row.flags &= (uint8_t)~IPC_FOLLOWER_PAUSED;
    if (ipc_prng_chance(&life->prng, 1, 6))
        life->row.flags |= IPC_FOLLOWER_PAUSED; /* entries meanwhile are dropped */
    while (units > 0) {
        int64_t part = 1 + (int64_t)ipc_prng_below(&life->prng, (uint64_t)units);
        units -= part;
        fill(life, part, &opened, units > 0);
    }
}

static void lives_keep_the_rules(void **state)
{
    (void)state;
    const uint64_t first = 20260400;
    for (uint64_t seed = first; seed < first + LIVES; seed++) {
        struct life life;
        be_born(&life, seed);
        for (life.at = 0; life.at < EVENTS; life.at++)
            order(&life);
        /* The end of every life: the master goes flat, and so does the follower. */
        if (life.master != 0) {
            int64_t opened = 0;
            life.shared.side = life.master > 0 ? IPC_SIDE_SELL : IPC_SIDE_BUY;
            fill(&life, magnitude(life.master), &opened, false);
        }
        EXPECT(&life, life.judged.follower.held_e8 == 0);
    }
    print_message("lives from seed %llu on: %d\n", (unsigned long long)first, LIVES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lives_keep_the_rules)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
