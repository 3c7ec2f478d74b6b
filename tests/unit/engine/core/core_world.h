/* core_world.h: a small world around the real core: rows in plain memory, a clock that stands still
 * until it is moved, a journal that is a list of frames, a broker that is what the test says.
 *
 * Every BATCH is decided twice: as live, and again from its own stored facts; both must give equal
 * bytes. Every PLACE that leaves is counted by tag; a second one of a tag is allowed only after the
 * test proved the first unsent. */
#ifndef LS_TEST_CORE_WORLD_H
#define LS_TEST_CORE_WORLD_H

#include "engine/core/step.h"

#define WORLD_FOLLOWERS   64
#define WORLD_INSTRUMENTS 4
#define WORLD_MASTERS     2
#define WORLD_ACCOUNTS    (WORLD_MASTERS + WORLD_FOLLOWERS)
#define WORLD_COMMANDS    65536

struct world_frame {
    struct eng_frame frame;
    struct world_frame *next;
};

struct world {
    struct eng_core_limits limits;
    struct eng_core_config config;
    void *memory;
    struct eng_core *core;

    /* rows; change them and call world_adopt */
    struct ipc_row_cluster cluster;
    struct ipc_row_broker brokers[2];
    struct ipc_row_account accounts[WORLD_ACCOUNTS];
    struct ipc_row_instrument instruments[WORLD_INSTRUMENTS];
    struct ipc_row_follower followers[WORLD_FOLLOWERS];
    struct ipc_row_master masters[WORLD_MASTERS];
    uint32_t master_slots[WORLD_FOLLOWERS];
    struct ipc_row_list lists[2];
    uint32_t list_items[4];
    struct eng_broker_policy policies[2];
    struct ipc_snapshot_view view;

    /* samples */
    int64_t now_mono_ns, now_wall_ns;
    int64_t price_e8, price_mono_ns;
    int64_t mapped_price_e8; /* of whatever another instrument a follower trades */
    int64_t capital_e8[WORLD_FOLLOWERS], capital_mono_ns[WORLD_FOLLOWERS];
    int64_t margin_used_e8[WORLD_FOLLOWERS]; /* free margin = capital less this */
    int64_t master_capital_e8, master_capital_mono_ns; /* equity, and balance the same */
    uint8_t word, follower_word[WORLD_FOLLOWERS], cannot_send[WORLD_FOLLOWERS];
    bool journal_full;

    /* journal */
    struct world_frame *first, *last;
    uint64_t lsn;
    uint64_t frame_count;

    /* what left, oldest first */
    struct ipc_command *commands;
    uint32_t command_count;
    uint32_t release_cursor;
    int64_t version;        /* for events that do not set one */
    uint64_t order_counter; /* for keys */

    /* called for every batch before it is applied, when set */
    void (*on_batch)(struct world *world, const struct eng_batch *batch,
        const struct eng_batch_sample *sample, const struct eng_follower_sample *samples,
        const struct ipc_fact_batch *fact, const struct ipc_fact_child *children, void *context);
    void *context;
};

/* world_open: `followers` slots of master 1, all FIXED_RATIO 1, enabled, short allowed, broker 0
 * (takes market orders); instrument 1 cash lot 1 tick 0.05, 2 option lot 65, 3 future lot 30, 4
 * cash with freeze 1,800. Pacing is off. Adopts generation 1. */
void world_open(struct world *world, uint32_t followers);
void world_close(struct world *world);
/* world_adopt raises the generation and adopts the rows as they are. */
void world_adopt(struct world *world);

/* world_apply journals one frame and applies it; it must be accepted. */
void world_apply(struct world *world, enum ipc_fact_type type, const void *payload, uint32_t bytes,
    uint32_t count);

/* world_order makes an event of master 1: a new LIMIT DAY order of instrument 1, MIS, OPEN. */
struct ipc_event world_order(
    struct world *world, enum ipc_side side, int64_t units, int64_t price_e8);
/* world_event steps it and applies the facts.
 *   returns  number of facts */
uint32_t world_event(struct world *world, struct ipc_event *event);
/* world_waves runs waves and settling until nothing is left.
 *   returns  commands that left */
uint32_t world_waves(struct world *world);
/* world_wave_step runs one batch; false when there is none. */
bool world_wave_step(struct world *world);
/* world_release lets queued children go or end, once round.
 *   returns  commands that left */
uint32_t world_release(struct world *world);

/* world_reply answers a command; id NULL = none. */
void world_reply(struct world *world, const struct ipc_command *command,
    enum ipc_outcome_class outcome, enum ipc_evidence evidence, const char *id);
/* world_ack answers with an accepted id made of the child's handle. */
void world_ack(struct world *world, const struct ipc_command *command);
/* world_update publishes the follower's order as seen at its broker.
 *   returns  number of facts */
uint32_t world_update(struct world *world, uint32_t child, enum ipc_status status,
    int64_t filled_units, int64_t average_e8);

/* world_child returns the view of the newest child of a follower slot, state NONE when none. */
struct eng_child_view world_child(const struct world *world, uint32_t slot);
/* world_last_fact: kind and reason of the newest decision for a slot. */
struct ipc_fact_child world_last_fact(const struct world *world, uint32_t slot);

/* world_restart folds the journal into a fresh core without a view, compares the hashes, applies an
 * OPEN fact and adopts; the world goes on with the new core. */
void world_restart(struct world *world, bool same_boot);
/* world_reconcile answers every question about an order book that is due: with what the children of
 * the account are known to be, and a stranger's order beside them.
 *   returns  questions */
uint32_t world_reconcile(struct world *world);
/* world_check compares the state with the fold of the journal and walks all invariants. */
void world_check(const struct world *world);

#endif
