/* snapshot_world.h: a valid snapshot of any size, for the tests of ipc/snapshot.h to publish and
 * to damage. */
#ifndef LS_TEST_SNAPSHOT_WORLD_H
#define LS_TEST_SNAPSHOT_WORLD_H

#include "ipc/snapshot.h"

#define WORLD_MASTERS     2u
#define WORLD_INSTRUMENTS 6u

struct world {
    struct ipc_snapshot_image image;
    void *memory;
    void *scratch;
    uint64_t scratch_bytes;
};

/* Two brokers, two masters, two policies (the second with two tiers), a symbol map of two lines,
 * contracts of instrument 4 at both brokers, two sessions of NSE and one of NFO; `followers`
 * followers (half of each master's), room for `room` followers; token_row_bytes 0 = no token table.
 * Ends the process when memory is short. */
void world_make(struct world *world, uint32_t followers, uint32_t room, uint32_t token_row_bytes);

/* An empty image of the same capacity, for a reader. */
void world_make_empty(struct world *world, const struct ipc_snapshot_shape *capacity);

void world_free(struct world *world);

/* Fills the tables for `followers` followers, inside the capacity. */
void world_fill(struct world *world, uint32_t followers);

struct ipc_row_cluster *world_cluster(struct world *world);
struct ipc_row_broker *world_broker(struct world *world, uint32_t i);
struct ipc_row_account *world_account(struct world *world, uint32_t account);
struct ipc_row_instrument *world_instrument(struct world *world, uint32_t instrument);
struct ipc_row_follower *world_follower(struct world *world, uint32_t slot);
struct ipc_row_master *world_master(struct world *world, uint32_t i);
uint32_t *world_slot(struct world *world, uint32_t i);
struct ipc_row_list *world_list(struct world *world, uint32_t i);
uint32_t *world_item(struct world *world, uint32_t i);
struct ipc_row_policy *world_policy(struct world *world, uint32_t i);
struct ipc_row_list *world_map(struct world *world, uint32_t i);
struct ipc_row_map_item *world_map_item(struct world *world, uint32_t i);
struct ipc_row_contract *world_contract(struct world *world, uint32_t i);
struct ipc_row_session *world_session(struct world *world, uint32_t i);

/* ipc_snapshot_validate over the world. */
enum ipc_rc world_validate(struct world *world, struct ipc_error *error);

/* Same shape and same rows. */
bool world_equal(const struct ipc_snapshot_image *a, const struct ipc_snapshot_image *b);

#endif
