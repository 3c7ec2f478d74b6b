/* track.h: waves in progress as people will see them: how many orders left when, how many replies
 * are still out, and where the time went. Kept beside the core and never read by it: dropping a
 * record here changes no order.
 *
 * A wave is finished when all its followers were decided and every request it made, also those that
 * left later from a queue, has its outcome. Pinned thread only; all memory is given at start. */
#ifndef LS_ENGINE_TRACK_H
#define LS_ENGINE_TRACK_H

#include "ipc/command.h"
#include "ipc/fact.h"
#include "ipc/waves.h"

#define ENG_TRACK_POINTS                                                                           \
    64 /* of the curve "so many accepted until then", from which the median is */

struct eng_track {
    struct ipc_wave_record record;
    uint64_t order_digits; /* of the tags of its children */
    uint32_t open;         /* queued, or sent and unanswered */
    uint32_t visited;      /* followers decided */
    uint8_t in_use, all_visited;
    uint8_t point_shift; /* every 2^shift-th accepted batch makes a point */
    uint8_t reserved8;
    uint32_t point_count, accepted_batches;
    struct {
        uint32_t accepted; /* orders accepted up to then */
        int64_t at_ns;     /* since the event was published */
    } points[ENG_TRACK_POINTS];
};

struct eng_tracks {
    struct eng_track *waves; /* by wave number modulo count */
    uint32_t *wave_of_child; /* by child handle; low word of the wave number, 0 = none */
    uint32_t mask, child_max;
    uint64_t dropped; /* waves whose place was taken by a later one */
};

/* eng_tracks_footprint: bytes for `wave_max` waves and `child_max` children, 64-byte aligned. */
size_t eng_tracks_footprint(uint32_t wave_max, uint32_t child_max);
void eng_tracks_init(
    struct eng_tracks *tracks, void *memory, uint32_t wave_max, uint32_t child_max);

/* eng_track_begin opens a wave at its EVENT fact; read_mono_ns is when it left the ring. */
void eng_track_begin(struct eng_tracks *tracks, const struct ipc_fact_event *fact, uint64_t lsn,
    int64_t read_mono_ns);

/* eng_track_find returns the wave in progress with this number, NULL when it is not (any more). */
struct eng_track *eng_track_find(struct eng_tracks *tracks, uint64_t wave);

/* eng_track_of returns the wave that a child's present request belongs to, NULL when none. */
struct eng_track *eng_track_of(struct eng_tracks *tracks, uint32_t child);

/* eng_track_open counts a request of `child` that was decided by the wave, queued or about to go.
 */
void eng_track_open(
    struct eng_tracks *tracks, struct eng_track *track, uint32_t child, bool is_queued);

/* eng_track_accepted: the kernel took the last byte of `orders` requests of the wave. */
void eng_track_accepted(struct eng_track *track, uint32_t orders, int64_t now_mono_ns);

/* eng_track_outcome: a request of the child has its outcome, or ended in its queue (outcome 0). */
struct eng_track *eng_track_outcome(
    struct eng_tracks *tracks, uint32_t child, enum ipc_outcome_class outcome, int64_t now_mono_ns);

/* eng_track_finish: when the wave is finished, completes the record, frees the place and returns
 * true; the record stays valid until the next call of anything here. */
LS_MUST_USE bool eng_track_finish(
    struct eng_track *track, int64_t now_wall_ns, const struct ipc_wave_record **record);

#endif
