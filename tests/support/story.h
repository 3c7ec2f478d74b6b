/* story.h: a master's random day with his followers, as frames of the real core, for tests of what
 * reads a journal. */
#ifndef LS_TEST_STORY_H
#define LS_TEST_STORY_H

#include "ipc/prng.h"
#include "tests/unit/engine/core/core_world.h"

/* What a story remembers; zeros at its beginning. */
struct story {
    struct ipc_event recent[16]; /* orders, to amend and to cancel */
    uint32_t followers;          /* that the world began with */
};

/* story_act lets the master and the brokers do something: an order, an amendment or a cancel; waves
 * and releases; answers of every kind; fills; a generation with a follower more or fewer under a
 * running wave; now and then a restart. Everything is in the world's list of frames. */
void story_act(struct story *story, struct world *world, struct ipc_prng *prng);

/* story_filler is a fact that changes nothing, for the lsns that the world leaves out where it
 * numbers an event. */
extern const struct ipc_fact_alarm story_filler;

#endif
