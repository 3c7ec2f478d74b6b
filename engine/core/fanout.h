/* fanout.h: waves: which event's turn it is, and which of its followers come next.
 *
 * A wave is made by applying an EVENT fact and ends when all followers that the fact counted are
 * decided. Each follower remembers the newest wave that decided it; a later wave of the same master
 * takes a follower only after every earlier one has. So nothing overtakes at one follower, and
 * nobody is decided twice even when the list changes under a wave: then it goes over the new list,
 * takes who was not reached, and ends with a marker that counts those who are gone. */
#ifndef LS_ENGINE_CORE_FANOUT_H
#define LS_ENGINE_CORE_FANOUT_H

#include "engine/core/core_private.h"

/* eng_followers_of counts the followers of a master in this shard; *first gets the index of the
 * run in view->master_slots. */
uint32_t eng_followers_of(const struct eng_core *core, uint32_t master, uint32_t *first);

/* eng_wave_start makes the wave `number` (> every earlier one); the caller has checked the room. */
void eng_wave_start(struct eng_core *core, uint64_t number, uint32_t order, uint32_t master,
    enum ipc_transition transition, bool is_exit, uint32_t follower_count);

/* eng_wave_by_number returns an unfinished wave, NULL when there is none of that number. */
struct eng_wave *eng_wave_by_number(const struct eng_core *core, uint64_t number);

static inline uint32_t eng_wave_remaining(const struct eng_wave *wave)
{
    return wave->follower_count > wave->decided ? wave->follower_count - wave->decided : 0;
}

/* eng_waves_adopted notes that a copy of this order came from a broker's book: unfinished waves of
 * the order look for copies at each follower from here on. Part of apply. */
void eng_waves_adopted(struct eng_core *core, uint32_t order);
/* eng_wave_decided notes one follower of the wave; eng_wave_batch_done the end of its batch (which
 * may end the wave); eng_wave_close the end marker. Part of apply. */
void eng_wave_decided(struct eng_core *core, struct eng_wave *wave);
void eng_wave_batch_done(struct eng_core *core, struct eng_wave *wave);
void eng_wave_close(struct eng_core *core, struct eng_wave *wave);

/* eng_follow_order returns the reduction in whose name a due position is followed up: the newest of
 * its run that was not given up unfilled; its newest when all were. */
uint32_t eng_follow_order(const struct eng_core *core, uint32_t position);

/* eng_waves_open_end: another generation came into force; unfinished waves end by a marker. */
void eng_waves_open_end(struct eng_core *core);

#endif
