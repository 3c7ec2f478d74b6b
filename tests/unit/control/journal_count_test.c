/* control/journal_count: what it counts from facts alone is what the engine's own fold counts; and
 * facts that cannot be are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "control/journal_count.h"
#include "ipc/tag.h"
#include "tests/support/journal_facts.h"
#include "tests/support/story.h"

static void frame_take(struct ctl_journal_count *count, uint64_t lsn, enum ipc_fact_type type,
    const void *payload, uint32_t bytes, uint32_t elements)
{
    struct ipc_frame frame = {
        .lsn = lsn, .type = (uint16_t)type, .payload_bytes = bytes, .count = elements};
    uint8_t *both = malloc(sizeof frame + bytes); /* as the reader gives it: one behind the other */
    assert_non_null(both);
    memcpy(both, &frame, sizeof frame);
    memcpy(both + sizeof frame, payload, bytes);
    ctl_journal_count_take(count, (const struct ipc_frame *)both, both + sizeof frame, false);
    free(both);
}

/* The engine's states, as the counts have them. */
static const uint8_t stand_of[ENG_STATE_COUNT] = {
    [ENG_STATE_INTENT] = CTL_STAND_QUEUED,
    [ENG_STATE_SENDING] = CTL_STAND_SENDING,
    [ENG_STATE_ACKED] = CTL_STAND_WORKING,
    [ENG_STATE_OPEN] = CTL_STAND_WORKING,
    [ENG_STATE_PARTIAL] = CTL_STAND_WORKING,
    [ENG_STATE_FILLED] = CTL_STAND_FILLED,
    [ENG_STATE_CANCELLED] = CTL_STAND_CANCELLED,
    [ENG_STATE_EXPIRED] = CTL_STAND_EXPIRED,
    [ENG_STATE_EXCH_REJECTED] = CTL_STAND_REJECTED,
    [ENG_STATE_REJECTED] = CTL_STAND_REJECTED,
    [ENG_STATE_NOT_SENT] = CTL_STAND_NOT_SENT,
    [ENG_STATE_UNKNOWN] = CTL_STAND_UNKNOWN,
    [ENG_STATE_RECONCILING] = CTL_STAND_UNKNOWN,
    [ENG_STATE_ADOPTED] = CTL_STAND_WORKING,
    [ENG_STATE_NOT_PLACED] = CTL_STAND_NOT_PLACED,
    [ENG_STATE_MISSED] = CTL_STAND_MISSED,
    [ENG_STATE_UNRESOLVED] = CTL_STAND_UNRESOLVED,
    [ENG_STATE_SKIPPED] = CTL_STAND_SKIPPED,
};

static void day_check(const struct world *world)
{
    const struct eng_core_counters *wanted = eng_core_counters(world->core);
    uint64_t stands[CTL_STAND_COUNT] = {0}, lsn = 0;
    struct ctl_journal_counts counts;
    struct ctl_journal_count *count = ctl_journal_count_make();
    for (const struct world_frame *at = world->first; at != NULL; at = at->next) {
        while (lsn + 1 < at->frame.lsn)
            frame_take(count, ++lsn, IPC_FACT_ALARM, &story_filler, sizeof story_filler, 1);
        frame_take(count, ++lsn, at->frame.type, at->frame.payload, at->frame.payload_bytes,
            at->frame.count);
    }
    ctl_journal_count_end(count, &counts);
    for (uint64_t i = 0; i < counts.differences && i < CTL_DIFFERENCES_KEPT; i++)
        print_error("lsn %llu: %s\n", (unsigned long long)counts.kept[i].lsn, counts.kept[i].text);
    assert_int_equal(counts.differences, 0);
    assert_int_equal(counts.events, wanted->events);
    assert_int_equal(counts.updates, wanted->updates);
    assert_int_equal(counts.waves, wanted->waves);
    assert_int_equal(counts.expected, wanted->expected);
    assert_int_equal(counts.remaining, wanted->remaining);
    assert_int_equal(counts.skipped, wanted->skipped);
    assert_int_equal(counts.vanished, wanted->vanished);
    assert_int_equal(counts.extra, wanted->extra);
    assert_int_equal(counts.placed + counts.extra, wanted->placed);
    assert_int_equal(counts.acts, wanted->acts);
    for (int state = 0; state < ENG_STATE_COUNT; state++)
        stands[stand_of[state]] += wanted->children_by_state[state];
    for (int stand = 1; stand < CTL_STAND_COUNT; stand++) {
        if (counts.stands[stand] != stands[stand])
            print_error("%s\n", ctl_stand_name((enum ctl_stand)stand));
        assert_int_equal(counts.stands[stand], stands[stand]);
    }
    assert_int_equal(counts.terminal + counts.open, wanted->placed);
    ctl_journal_count_free(count);
}

static void test_counts_as_the_engine(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct world world;
        struct ipc_prng prng;
        struct story story = {0};
        print_message("seed %llu\n", (unsigned long long)seed);
        ipc_prng_seed(&prng, seed);
        world_open(&world, 20);
        for (int step = 0; step < 60; step++)
            story_act(&story, &world, &prng);
        day_check(&world);
        world_close(&world);
    }
}

/* One order, one batch of two followers; what comes then is the case's. */
struct scene {
    struct ctl_journal_count *count;
    struct ipc_fact_batch_room batch;
    uint64_t lsn;
};

static void scene_take(
    struct scene *scene, enum ipc_fact_type type, const void *payload, uint32_t bytes)
{
    frame_take(scene->count, ++scene->lsn, type, payload, bytes, 1);
}

static void scene_make(struct scene *scene)
{
    memset(scene, 0, sizeof *scene);
    scene->count = ctl_journal_count_make();
    struct ipc_fact_event event = {.wave = 1, .follower_count = 2};
    event.event.kind = IPC_EVENT_ORDER;
    event.event.order_key.word[0] = 5;
    event.event.order_digits = 77;
    scene_take(scene, IPC_FACT_EVENT, &event, sizeof event);
    scene->batch.batch = (struct ipc_fact_batch){.wave = 1,
        .event_lsn = 1,
        .order_key = event.event.order_key,
        .side = IPC_SIDE_BUY,
        .type = IPC_TYPE_LIMIT,
        .product = IPC_PRODUCT_MIS,
        .validity = IPC_VALIDITY_DAY,
        .child_count = 2};
    for (uint32_t i = 0; i < 2; i++)
        scene->batch.children[i] = (struct ipc_fact_child){
            .follower_no = i + 1, .slot = i, .kind = IPC_CHILD_PLACE, .qty_e8 = LS_E8};
}

static void scene_batch(struct scene *scene)
{
    scene_take(scene, IPC_FACT_BATCH, &scene->batch, ipc_fact_batch_bytes(&scene->batch.batch));
}

static void scene_reply(struct scene *scene, uint32_t follower_no, uint8_t outcome)
{
    struct ipc_fact_reply reply = {.action = IPC_ACTION_PLACE};
    reply.outcome.outcome = outcome;
    ipc_tag_compose(&(struct ipc_tag_parts){77, follower_no, 0}, reply.tag);
    scene_take(scene, IPC_FACT_REPLY, &reply, sizeof reply);
}

static void scene_release(struct scene *scene, uint32_t follower_no)
{
    struct ipc_fact_release release = {.kind = IPC_CHILD_PLACE, .qty_e8 = LS_E8};
    ipc_tag_compose(&(struct ipc_tag_parts){77, follower_no, 0}, release.tag);
    scene_take(scene, IPC_FACT_RELEASE, &release, sizeof release);
}

static void scene_end(struct scene *scene, const char *wanted)
{
    struct ctl_journal_counts counts;
    ctl_journal_count_end(scene->count, &counts);
    if (wanted == NULL) {
        assert_int_equal(counts.differences, 0);
    } else {
        assert_true(counts.differences > 0);
        if (strstr(counts.kept[0].text, wanted) == NULL)
            fail_msg("'%s' does not say '%s'", counts.kept[0].text, wanted);
        assert_int_equal(counts.kept[0].lsn, scene->lsn);
    }
    ctl_journal_count_free(scene->count);
}

static void test_what_cannot_be_is_told(void **state)
{
    (void)state;
    struct scene scene;

    scene_make(&scene); /* a follower decided twice */
    scene.batch.children[1].follower_no = 1;
    scene.batch.batch.child_count = 1;
    scene_batch(&scene);
    scene_batch(&scene);
    scene_end(&scene, "twice");

    scene_make(&scene); /* more followers than the event has */
    scene_batch(&scene);
    scene.batch.batch.child_count = 1;
    scene.batch.children[0].follower_no = 9;
    scene_batch(&scene);
    scene_end(&scene, "more followers");

    scene_make(&scene); /* sent again without proof */
    scene_batch(&scene);
    scene_reply(&scene, 1, IPC_OUTCOME_UNKNOWN);
    scene_release(&scene, 1);
    scene_end(&scene, "released while its order is unknown");

    scene_make(&scene); /* with proof it may */
    scene_batch(&scene);
    scene_reply(&scene, 1, IPC_OUTCOME_NOT_SENT);
    scene_release(&scene, 1);
    scene_reply(&scene, 1, IPC_OUTCOME_ACKED);
    scene_reply(&scene, 2, IPC_OUTCOME_REJECTED);
    scene_end(&scene, NULL);

    scene_make(&scene); /* an outcome of nobody's order: its intent is lost */
    scene_batch(&scene);
    scene_reply(&scene, 8, IPC_OUTCOME_ACKED);
    scene_end(&scene, "never decided");

    scene_make(&scene); /* a wave that no event began */
    scene.batch.batch.wave = 3;
    scene_batch(&scene);
    scene_end(&scene, "no event began");

    scene_make(&scene); /* an event lost: its order is not known */
    scene.batch.batch.wave = 0;
    scene.batch.batch.order_key.word[0] = 6;
    scene_batch(&scene);
    scene_end(&scene, "no event showed");

    scene_make(&scene); /* sizes of another frame */
    scene.batch.batch.wide_count = 2;
    frame_take(
        scene.count, ++scene.lsn, IPC_FACT_BATCH, &scene.batch, sizeof scene.batch.batch + 64, 1);
    scene_end(&scene, "sizes");
}

/* Any bytes whatever are counted or passed over. */
static void test_noise(void **state)
{
    (void)state;
    struct ipc_prng prng;
    struct ctl_journal_counts counts;
    struct ctl_journal_count *count = ctl_journal_count_make();
    uint64_t payload[400];
    ipc_prng_seed(&prng, 3);
    for (uint64_t lsn = 1; lsn < 20000; lsn++) {
        for (size_t i = 0; i < LS_COUNT_OF(payload); i++)
            payload[i] = ipc_prng_next(&prng) & (ipc_prng_below(&prng, 2) ? 0xff : UINT64_MAX);
        frame_take(count, lsn, (enum ipc_fact_type)ipc_prng_below(&prng, 20), payload,
            (uint32_t)ipc_prng_below(&prng, sizeof payload), (uint32_t)ipc_prng_below(&prng, 100));
    }
    ctl_journal_count_end(count, &counts);
    ctl_journal_count_free(count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_as_the_engine),
        cmocka_unit_test(test_what_cannot_be_is_told),
        cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
