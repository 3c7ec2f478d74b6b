#include "engine/track.h"

#include <string.h>

static uint32_t power_of_two_from(uint32_t value)
{
    uint32_t power = 1;
    while (power < value)
        power *= 2;
    return power;
}

size_t eng_tracks_footprint(uint32_t wave_max, uint32_t child_max)
{
    return ls_align_up((size_t)power_of_two_from(wave_max) * sizeof(struct eng_track), 64) +
           ls_align_up((size_t)child_max * sizeof(uint32_t), 64);
}

void eng_tracks_init(struct eng_tracks *tracks, void *memory, uint32_t wave_max, uint32_t child_max)
{
    uint32_t count = power_of_two_from(wave_max);
    size_t wave_bytes = ls_align_up((size_t)count * sizeof(struct eng_track), 64);
    memset(memory, 0, eng_tracks_footprint(wave_max, child_max));
    *tracks = (struct eng_tracks){
        .waves = memory,
        .wave_of_child = (uint32_t *)((uint8_t *)memory + wave_bytes),
        .mask = count - 1,
        .child_max = child_max,
    };
}

void eng_track_begin(struct eng_tracks *tracks, const struct ipc_fact_event *fact, uint64_t lsn,
    int64_t read_mono_ns)
{
    struct eng_track *track = &tracks->waves[fact->wave & tracks->mask];
    LS_CHECK(fact->wave > 0);
    if (track->in_use)
        tracks->dropped++;
    memset(track, 0, offsetof(struct eng_track, points));
    track->in_use = 1;
    track->order_digits = fact->event.order_digits;
    track->record.wave = fact->wave;
    track->record.event_lsn = lsn;
    track->record.order_key = fact->event.order_key;
    track->record.published_mono_ns = fact->event.published_mono_ns;
    track->record.read_ns = read_mono_ns - fact->event.published_mono_ns;
    track->record.master = fact->event.account;
    track->record.instrument = fact->event.instrument;
    track->record.followers = fact->follower_count;
    track->record.transition = fact->transition;
    track->record.is_exit = fact->reduces;
}

struct eng_track *eng_track_find(struct eng_tracks *tracks, uint64_t wave)
{
    struct eng_track *track = &tracks->waves[wave & tracks->mask];
    return wave != 0 && track->in_use && track->record.wave == wave ? track : NULL;
}

struct eng_track *eng_track_of(struct eng_tracks *tracks, uint32_t child)
{
    LS_CHECK(child < tracks->child_max);
    uint32_t low = tracks->wave_of_child[child];
    if (low == 0)
        return NULL;
    struct eng_track *track = &tracks->waves[low & tracks->mask];
    return track->in_use && (uint32_t)track->record.wave == low ? track : NULL;
}

void eng_track_open(
    struct eng_tracks *tracks, struct eng_track *track, uint32_t child, bool is_queued)
{
    LS_CHECK(child < tracks->child_max);
    tracks->wave_of_child[child] = (uint32_t)track->record.wave;
    track->open++;
    if (is_queued)
        track->record.queued++;
}

void eng_track_accepted(struct eng_track *track, uint32_t orders, int64_t now_mono_ns)
{
    int64_t at_ns = now_mono_ns - track->record.published_mono_ns;
    if (track->record.sent == 0 || at_ns < track->record.first_accepted_ns)
        track->record.first_accepted_ns = at_ns;
    if (track->record.sent == 0 || at_ns > track->record.last_accepted_ns)
        track->record.last_accepted_ns = at_ns;
    track->record.sent += orders;
    /* The curve keeps at most ENG_TRACK_POINTS points: when it is full every other one goes, and
     * from then on only every other batch makes one. The median is read between two points. */
    if ((track->accepted_batches++ & ((1u << track->point_shift) - 1)) != 0)
        return;
    if (track->point_count == ENG_TRACK_POINTS) {
        for (uint32_t i = 0; i < ENG_TRACK_POINTS / 2; i++)
            track->points[i] = track->points[2 * i + 1];
        track->point_count = ENG_TRACK_POINTS / 2;
        track->point_shift++;
    }
    track->points[track->point_count].accepted = track->record.sent;
    track->points[track->point_count].at_ns = at_ns;
    track->point_count++;
}

struct eng_track *eng_track_outcome(
    struct eng_tracks *tracks, uint32_t child, enum ipc_outcome_class outcome, int64_t now_mono_ns)
{
    struct eng_track *track = eng_track_of(tracks, child);
    if (track == NULL || track->open == 0)
        return NULL;
    struct ipc_wave_record *record = &track->record;
    tracks->wave_of_child[child] = 0;
    track->open--;
    if (outcome == 0) {
        record->skipped++;
        return track;
    }
    record->parsed_ns = now_mono_ns - record->published_mono_ns;
    switch (outcome) {
    case IPC_OUTCOME_ACKED:
        record->acked++;
        break;
    case IPC_OUTCOME_REJECTED:
    case IPC_OUTCOME_AUTH:
    case IPC_OUTCOME_LIMITED:
        record->rejected++;
        break;
    case IPC_OUTCOME_NOT_SENT:
        record->not_sent++;
        break;
    case IPC_OUTCOME_UNKNOWN:
        record->unknown++;
        break;
    }
    return track;
}

static int64_t median_of(const struct eng_track *track)
{
    uint32_t half = (track->record.sent + 1) / 2;
    for (uint32_t i = 0; i < track->point_count; i++)
        if (track->points[i].accepted >= half)
            return track->points[i].at_ns;
    return track->record.last_accepted_ns;
}

bool eng_track_finish(
    struct eng_track *track, int64_t now_wall_ns, const struct ipc_wave_record **record)
{
    if (!track->in_use || !track->all_visited || track->open > 0)
        return false;
    track->record.median_accepted_ns = median_of(track);
    track->record.finished_wall_ns = now_wall_ns;
    track->in_use = 0;
    *record = &track->record;
    return true;
}
