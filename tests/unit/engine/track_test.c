/* engine/track: against a naive model that keeps every accepted time. The seed is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "engine/track.h"
#include "ipc/prng.h"

#define WAVES    16u
#define CHILDREN 4096u

static struct eng_tracks make(void **memory)
{
    struct eng_tracks tracks;
    *memory = aligned_alloc(64, eng_tracks_footprint(WAVES, CHILDREN));
    assert_non_null(*memory);
    eng_tracks_init(&tracks, *memory, WAVES, CHILDREN);
    return tracks;
}

static struct eng_track *begin(struct eng_tracks *tracks, uint64_t wave, uint32_t followers)
{
    struct ipc_fact_event fact = {.wave = wave, .follower_count = followers};
    fact.event.published_mono_ns = 1000;
    fact.event.order_digits = 77;
    eng_track_begin(tracks, &fact, 5, 1500);
    return eng_track_find(tracks, wave);
}

static void test_states(void **state)
{
    (void)state;
    void *memory;
    struct eng_tracks tracks = make(&memory);
    const struct ipc_wave_record *record;
    assert_null(eng_track_find(&tracks, 0));
    assert_null(eng_track_find(&tracks, 1));
    struct eng_track *track = begin(&tracks, 1, 5);
    assert_non_null(track);
    assert_int_equal(track->record.read_ns, 500);
    eng_track_open(&tracks, track, 7, false);
    eng_track_open(&tracks, track, 8, false);
    eng_track_open(&tracks, track, 9, true);
    eng_track_open(&tracks, track, 10, false);
    assert_ptr_equal(eng_track_of(&tracks, 7), track);
    assert_null(eng_track_of(&tracks, 11));
    eng_track_accepted(track, 2, 2000);
    eng_track_accepted(track, 1, 3000);
    track->all_visited = 1;
    assert_false(eng_track_finish(track, 1, &record));
    assert_ptr_equal(eng_track_outcome(&tracks, 7, IPC_OUTCOME_ACKED, 4000), track);
    assert_null(eng_track_outcome(&tracks, 7, IPC_OUTCOME_ACKED, 4000)); /* once */
    assert_ptr_equal(eng_track_outcome(&tracks, 8, IPC_OUTCOME_REJECTED, 5000), track);
    assert_ptr_equal(eng_track_outcome(&tracks, 9, (enum ipc_outcome_class)0, 6000), track);
    assert_false(eng_track_finish(track, 1, &record));
    assert_ptr_equal(eng_track_outcome(&tracks, 10, IPC_OUTCOME_UNKNOWN, 7000), track);
    assert_true(eng_track_finish(track, 99, &record));
    assert_int_equal(record->acked, 1);
    assert_int_equal(record->rejected, 1);
    assert_int_equal(record->unknown, 1);
    assert_int_equal(record->skipped, 1);
    assert_int_equal(record->queued, 1);
    assert_int_equal(record->sent, 3);
    assert_int_equal(record->first_accepted_ns, 1000);
    assert_int_equal(record->median_accepted_ns, 1000);
    assert_int_equal(record->last_accepted_ns, 2000);
    assert_int_equal(record->parsed_ns, 6000);
    assert_int_equal(record->finished_wall_ns, 99);
    assert_null(eng_track_find(&tracks, 1));
    assert_false(eng_track_finish(track, 1, &record));
    free(memory);
}

static void test_overwritten(void **state)
{
    (void)state;
    void *memory;
    struct eng_tracks tracks = make(&memory);
    struct eng_track *track = begin(&tracks, 3, 1);
    eng_track_open(&tracks, track, 1, false);
    (void)begin(&tracks, 3 + WAVES, 1);
    assert_int_equal(tracks.dropped, 1);
    assert_null(eng_track_find(&tracks, 3));
    assert_null(eng_track_of(&tracks, 1));
    assert_null(eng_track_outcome(&tracks, 1, IPC_OUTCOME_ACKED, 1));
    assert_non_null(eng_track_find(&tracks, 3 + WAVES));
    free(memory);
}

/* The median is read from at most 64 points of the curve: with many batches it may be late by the
 * distance of two points, never early. */
static void test_median_against_model(void **state)
{
    (void)state;
    const uint64_t seed = 20261121;
    struct ipc_prng prng;
    void *memory;
    struct eng_tracks tracks = make(&memory);
    print_message("seed %llu\n", (unsigned long long)seed);
    ipc_prng_seed(&prng, seed);
    for (uint64_t wave = 1; wave <= 400; wave++) {
        static int64_t times[CHILDREN];
        const struct ipc_wave_record *record;
        struct eng_track *track = begin(&tracks, wave, 1);
        uint32_t batches = 1 + (uint32_t)(ipc_prng_next(&prng) % 500), sent = 0;
        int64_t now = 1000;
        for (uint32_t i = 0; i < batches; i++) {
            uint32_t orders = 1 + (uint32_t)(ipc_prng_next(&prng) % 8);
            now += 1 + (int64_t)(ipc_prng_next(&prng) % 100);
            for (uint32_t k = 0; k < orders; k++)
                times[sent++] = now - 1000;
            eng_track_accepted(track, orders, now);
        }
        track->all_visited = 1;
        assert_true(eng_track_finish(track, 1, &record));
        assert_int_equal(record->sent, sent);
        assert_int_equal(record->first_accepted_ns, times[0]);
        assert_int_equal(record->last_accepted_ns, times[sent - 1]);
        int64_t exact = times[(sent + 1) / 2 - 1];
        uint32_t late = (sent + 1) / 2 - 1 + 8 * (batches / (ENG_TRACK_POINTS / 2) + 1);
        int64_t latest = times[late < sent ? late : sent - 1];
        assert_true(record->median_accepted_ns >= exact);
        assert_true(record->median_accepted_ns <= latest);
        if (batches <= ENG_TRACK_POINTS)
            assert_int_equal(record->median_accepted_ns, exact);
    }
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_overwritten),
        cmocka_unit_test(test_median_against_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
