/* money_world.h: a core whose children are filled by hand, for tests of the money fold and of
 * limits: no orders, no waves, only what money.c and limits.c read. */
#ifndef LS_TEST_MONEY_WORLD_H
#define LS_TEST_MONEY_WORLD_H

#include "engine/core/limits_private.h"

#define MONEY_SLOTS     4u
#define MONEY_POSITIONS 16u
#define MONEY_CHILDREN  4096u
#define MONEY_MASTER    1u
#define MONEY_DAY       20260105u

struct money_world {
    void *memory;
    struct eng_core *core;
    struct ipc_snapshot_view view;
    struct ipc_row_cluster cluster;
    struct ipc_row_broker broker;
    struct ipc_row_account accounts[MONEY_SLOTS + 1]; /* [0] the master's */
    struct ipc_row_follower followers[MONEY_SLOTS];
    struct ipc_row_policy policies[MONEY_SLOTS];
    int64_t now_mono_ns;
    /* what the shell would sample */
    struct eng_limits_sample sample;
    int64_t prices_e8[8]; /* by instrument */
    struct ipc_fact_limit facts[ENG_LIMITS_FACTS_MAX];
};

void money_world_open(struct money_world *world, uint32_t lot_max);
void money_world_close(struct money_world *world);
/* Policies or rows changed: as a new generation. */
void money_world_adopt(struct money_world *world);

/* A LIMIT fact, applied. */
void money_world_fact(struct money_world *world, const struct ipc_fact_limit *fact);
void money_world_day(struct money_world *world, uint32_t day, uint32_t session_day);

/* A child of the follower in `slot` (number slot + 1); its handle. */
uint32_t money_world_child(struct money_world *world, uint32_t slot, uint32_t instrument,
    enum ipc_side side, bool is_exit, int64_t qty, int64_t price_e8);
void money_world_state(struct money_world *world, uint32_t child, enum eng_state state);
/* The cumulative fill rises to `filled` at this average. */
void money_world_fill(
    struct money_world *world, uint32_t child, int64_t filled_e8, int64_t average_e8);
/* Child and fill at once: whole quantity, one price. */
void money_world_trade(struct money_world *world, uint32_t slot, uint32_t instrument,
    enum ipc_side side, int64_t qty, int64_t price_e8);

/* Judges one follower with world->sample and prices; facts are in world->facts, not applied. */
uint32_t money_world_judge(struct money_world *world, uint32_t slot);
/* Judges and applies until nothing more comes; the word that has tripped. */
uint32_t money_world_settle(struct money_world *world, uint32_t slot);

struct eng_figures money_world_figures(const struct money_world *world, uint32_t slot);

#endif
