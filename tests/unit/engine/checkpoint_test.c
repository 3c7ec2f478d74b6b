/* engine/checkpoint, engine/checkpointer: recovery with a checkpoint and without gives the same
 * bytes, and a checkpoint that is not right costs nothing but time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/checkpointer.h"
#include "engine/days.h"
#include "tests/support/journal_world.h"
#include "tests/support/story.h"

#define FOLLOWERS 24

/* A day of one master and his followers, as frames; and the journal that they are written to. */
struct tale {
    struct story story;
    struct world core;
    struct journal_world disk;
    struct ipc_prng prng;
    uint64_t written; /* lsn of the last frame that is in the journal */
};

static uint64_t roll(struct tale *story, uint64_t bound)
{
    return ipc_prng_below(&story->prng, bound);
}

static void act(struct tale *story)
{
    story_act(&story->story, &story->core, &story->prng);
}

static void story_make(struct tale *story, uint64_t seed)
{
    memset(story, 0, sizeof *story);
    ipc_prng_seed(&story->prng, seed);
    world_open(&story->core, FOLLOWERS);
    journal_world_make(&story->disk);
    assert_int_equal(
        eng_journal_open(&story->disk.config, &story->disk.journal, &story->disk.error), IPC_OK);
    struct eng_journal_start start = {.segment_no = 1, .next_lsn = 1};
    assert_int_equal(eng_journal_start(story->disk.journal, &start, &story->disk.error), IPC_OK);
}

static void story_end(struct tale *story)
{
    journal_world_remove(&story->disk);
    world_close(&story->core);
}

static void frame_write(struct tale *story, enum ipc_fact_type type, const void *payload,
    uint32_t bytes, uint32_t count)
{
    struct eng_journal *journal = story->disk.journal;
    uint64_t lsn = eng_journal_append(journal, type, payload, bytes, count);
    if (lsn == 0) {
        assert_true(eng_scribe_round(journal));
        lsn = eng_journal_append(journal, type, payload, bytes, count);
    }
    assert_int_equal(lsn, ++story->written);
}

/* Writes what the world's own journal has beyond, durably. The world leaves lsns out where it
 * numbers an event; a fact that changes nothing stands there. */
static void story_write(struct tale *story)
{
    for (struct world_frame *at = story->core.first; at != NULL; at = at->next) {
        const struct eng_frame *frame = &at->frame;
        if (frame->lsn <= story->written)
            continue;
        eng_journal_clock(story->disk.journal, frame->mono_ns, frame->wall_ns);
        while (story->written + 1 < frame->lsn)
            frame_write(story, IPC_FACT_ALARM, &story_filler, sizeof story_filler, 1);
        frame_write(story, frame->type, frame->payload, frame->payload_bytes, frame->count);
    }
    assert_true(eng_scribe_round(story->disk.journal));
}

static struct eng_checkpointer_config settings_of(const struct tale *story)
{
    return (struct eng_checkpointer_config){
        .limits = story->core.limits, .core = story->core.config, .cpu = -1};
}

static uint64_t checkpoint_make(struct tale *story)
{
    struct eng_checkpointer_config settings = settings_of(story);
    struct ipc_error error = {{0}};
    uint64_t lsn = 0;
    enum ipc_rc rc =
        eng_checkpoint_make(&story->disk.config, &settings, story->written, NULL, &lsn, &error);
    if (rc != IPC_OK)
        print_error("%s\n", error.text);
    assert_int_equal(rc, IPC_OK);
    return lsn;
}

/* What a start would fold. */
struct image {
    void *memory;
    struct eng_recovery_core keeper;
    struct eng_recovery_result result;
    struct ipc_error error;
    enum ipc_rc rc;
    uint64_t hash;
};

static void image_make(const struct tale *story, bool with_checkpoints,
    const struct eng_core_limits *limits, struct image *out)
{
    memset(out, 0, sizeof *out);
    const struct eng_journal_config *config = &story->disk.config;
    size_t bytes = eng_core_footprint(limits);
    out->memory = aligned_alloc(4096, bytes);
    assert_non_null(out->memory);
    memset(out->memory, 0x5a, bytes); /* whatever was there must not matter */
    out->keeper = (struct eng_recovery_core){.limits = *limits, .config = story->core.config};
    out->keeper.core = eng_core_init(out->memory, limits, &story->core.config);
    struct ipc_journal_reader_options options = {.memory_directory = config->memory_directory,
        .disk_directory = config->disk_directory,
        .take_complete = true};
    memcpy(options.boot_id, config->boot_id, sizeof options.boot_id);
    struct eng_recovery_fold fold = with_checkpoints ? eng_recovery_fold_restored(&out->keeper)
                                                     : eng_recovery_fold_core(out->keeper.core);
    out->rc = eng_recovery_read(&options, &fold, &out->result, &out->error);
    if (out->rc == IPC_OK)
        out->hash = eng_core_hash(out->keeper.core);
}

/* Two folds are the same when every byte of the block is, but for the addresses of its own parts:
 * those are as far from the block's start. */
static void images_equal(const struct image *a, const struct image *b)
{
    const uint64_t *left = a->memory, *right = b->memory;
    uint64_t distance = (uint64_t)(uintptr_t)a->memory - (uint64_t)(uintptr_t)b->memory;
    size_t words = eng_core_footprint(&a->keeper.limits) / sizeof *left;
    for (size_t i = 0; i < words; i++)
        if (left[i] != right[i] && left[i] - right[i] != distance)
            fail_msg("word %zu of the block differs: %llx and %llx", i, (unsigned long long)left[i],
                (unsigned long long)right[i]);
    assert_int_equal(a->hash, b->hash);
}

static void image_free(struct image *image)
{
    free(image->memory);
}

static void test_with_and_without_are_the_same_bytes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct tale story;
        print_message("seed %llu\n", (unsigned long long)seed);
        story_make(&story, seed);
        uint64_t made = 0;
        for (int step = 0; step < 40; step++) {
            act(&story);
            if (roll(&story, 6) != 0)
                continue;
            story_write(&story);
            made = checkpoint_make(&story);
            assert_int_equal(made, story.written);
        }
        story_write(&story);
        assert_true(made > 0);
        struct image with, without;
        image_make(&story, true, &story.core.limits, &with);
        image_make(&story, false, &story.core.limits, &without);
        assert_int_equal(with.rc, IPC_OK);
        assert_int_equal(without.rc, IPC_OK);
        assert_int_equal(with.result.checkpoint_lsn, made);
        assert_int_equal(with.result.frames, story.written - made);
        assert_int_equal(without.result.frames, story.written);
        images_equal(&with, &without);
        assert_int_equal(with.hash, eng_core_hash(story.core.core)); /* and it is the live state */
        eng_core_verify(with.keeper.core);
        image_free(&with);
        image_free(&without);
        story_end(&story);
    }
}

static uint64_t file_size(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return (uint64_t)status.st_size;
}

static void path_of(const struct tale *story, uint64_t lsn, char out[256])
{
    char name[ENG_CHECKPOINT_NAME_BYTES];
    snprintf(name, sizeof name, ENG_CHECKPOINT_NAME_FORMAT, (unsigned long long)lsn);
    snprintf(out, 256, "%s/journal.0/%s", story->disk.disk, name);
}

/* Expects a start to begin with the checkpoint `lsn` (0 = none), and to end in the same state. */
static void expect_begins(const struct tale *story, uint64_t lsn, const struct image *right)
{
    struct image image;
    image_make(story, true, &story->core.limits, &image);
    assert_int_equal(image.rc, IPC_OK);
    assert_int_equal(image.result.checkpoint_lsn, lsn);
    images_equal(&image, right);
    image_free(&image);
}

static void test_damage_is_passed_over(void **state)
{
    (void)state;
    struct tale story;
    struct image right;
    uint64_t made[3];
    story_make(&story, 7);
    for (int i = 0; i < 3; i++) {
        for (int step = 0; step < 5; step++)
            act(&story);
        story_write(&story);
        made[i] = checkpoint_make(&story);
    }
    act(&story);
    story_write(&story);
    image_make(&story, false, &story.core.limits, &right);

    char newest[256], older[256];
    path_of(&story, made[2], newest);
    path_of(&story, made[1], older);
    assert_int_not_equal(access(older, F_OK), -1);
    char oldest[256];
    path_of(&story, made[0], oldest);
    assert_int_equal(access(oldest, F_OK), -1); /* two are kept */
    expect_begins(&story, made[2], &right);

    uint64_t bytes = file_size(newest);
    assert_int_equal(chmod(newest, 0640), 0);
    int fd = open(newest, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    /* A bit anywhere that says something: the header's fields, the runs' heads, their pages. */
    for (int round = 0; round < 60; round++) {
        uint64_t at = round < 20 ? roll(&story, 312) : 4096 + roll(&story, bytes - 4096);
        uint8_t byte, bad;
        assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
        bad = (uint8_t)(byte ^ (1u << roll(&story, 8)));
        assert_int_equal(pwrite(fd, &bad, 1, (off_t)at), 1);
        expect_begins(&story, made[1], &right);
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    }
    expect_begins(&story, made[2], &right);
    /* Torn: any length but its own. */
    static const uint64_t shares[] = {0, 1, 40, 50, 99};
    char copy[300];
    snprintf(copy, sizeof copy, "%s.copy", newest);
    assert_int_equal(rename(newest, copy), 0);
    for (size_t i = 0; i < LS_COUNT_OF(shares); i++) {
        char command[800];
        snprintf(command, sizeof command, "head -c %llu '%s' > '%s'",
            (unsigned long long)(bytes * shares[i] / 100), copy, newest);
        assert_int_equal(system(command), 0);
        expect_begins(&story, made[1], &right);
    }
    close(fd);
    /* Both: every fact is folded. */
    assert_int_equal(truncate(newest, 100), 0);
    assert_int_equal(chmod(older, 0640), 0);
    assert_int_equal(truncate(older, (off_t)file_size(older) - 1), 0);
    expect_begins(&story, 0, &right);
    image_free(&right);
    story_end(&story);
}

static void test_other_limits_fold_the_facts(void **state)
{
    (void)state;
    struct tale story;
    struct image image;
    story_make(&story, 8);
    for (int step = 0; step < 8; step++)
        act(&story);
    story_write(&story);
    (void)checkpoint_make(&story);
    struct eng_core_limits limits = story.core.limits;
    limits.order_max += 100;
    image_make(&story, true, &limits, &image);
    assert_int_equal(image.rc, IPC_OK);
    assert_int_equal(image.result.checkpoint_lsn, 0);
    assert_int_equal(image.result.checkpoints_refused, 1);
    assert_int_equal(image.hash, eng_core_hash(story.core.core));
    image_free(&image);
    story_end(&story);
}

/* The same lsn, another story: the checkpoint does not belong to this journal. */
static void test_checkpoint_of_another_journal(void **state)
{
    (void)state;
    struct tale one, other;
    struct image right;
    story_make(&one, 9);
    story_make(&other, 10);
    for (int step = 0; step < 6; step++) {
        act(&one);
        act(&other);
    }
    story_write(&one);
    story_write(&other);
    if (one.written > other.written) {
        struct tale swap = one;
        one = other;
        other = swap;
    }
    uint64_t made = checkpoint_make(&one);
    char from[256], to[256], command[600];
    path_of(&one, made, from);
    path_of(&other, made, to);
    snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
    image_make(&other, false, &other.core.limits, &right);
    expect_begins(&other, 0, &right);
    image_free(&right);
    story_end(&one);
    story_end(&other);
}

/* The facts before the checkpoint's are gone from the disk; those after it are enough. */
static void test_covered_files_are_not_needed(void **state)
{
    (void)state;
    struct tale story;
    struct image image;
    char path[JOURNAL_PATH_BYTES];
    story_make(&story, 11);
    while (story.disk.journal->segment_no < 5) {
        act(&story);
        story_write(&story);
    }
    uint64_t made = checkpoint_make(&story);
    for (int step = 0; step < 3; step++)
        act(&story);
    story_write(&story);
    journal_world_path(&story.disk, true, 1, path);
    assert_int_equal(unlink(path), 0);
    image_make(&story, true, &story.core.limits, &image);
    assert_int_equal(image.rc, IPC_OK);
    assert_int_equal(image.result.checkpoint_lsn, made);
    assert_int_equal(image.hash, eng_core_hash(story.core.core));
    image_free(&image);
    image_make(&story, false, &story.core.limits, &image);
    assert_int_equal(image.rc, IPC_GONE); /* and without it that is told, not passed over */
    image_free(&image);
    story_end(&story);
}

static void test_a_full_disk_leaves_nothing_behind(void **state)
{
    (void)state;
    struct ipc_error error = {{0}};
    static _Alignas(4096) uint8_t block[8192];
    struct eng_checkpoint_about about = {.lsn = 5, .block_bytes = sizeof block};
    struct tempshm shm;
    tempshm_make(&shm);
    int fd = open(shm.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    block[5000] = 1;
    assert_int_equal(eng_checkpoint_write(fd, &about, block, &error), IPC_OK);
    /* A directory where the unfinished file would be: it cannot be made. */
    assert_int_equal(mkdirat(fd, "checkpoint.unfinished", 0700), 0);
    about.lsn = 6;
    assert_int_equal(eng_checkpoint_write(fd, &about, block, &error), IPC_SYSTEM);
    assert_non_null(strstr(error.text, "lsn 6"));
    uint64_t lsns[4];
    assert_int_equal(eng_checkpoint_list(fd, lsns, 4), 1);
    assert_int_equal(lsns[0], 5);
    assert_int_equal(eng_checkpoint_look(fd, 6, &about), IPC_NOT_FOUND);
    close(fd);
    tempshm_remove(&shm);
}

/* The thread: a checkpoint appears when enough has become durable, and when a day began. */
static void test_thread(void **state)
{
    (void)state;
    struct tale story;
    struct eng_checkpointer *checkpointer;
    struct eng_recovery_result recovered = {0};
    struct ipc_error error = {{0}};
    uint64_t lsns[4] = {0};
    story_make(&story, 12);
    struct eng_checkpointer_config settings = settings_of(&story);
    settings.every_bytes = 4096;
    settings.every_s = 1000;
    assert_int_equal(
        eng_checkpointer_start(story.disk.journal, &settings, &recovered, &checkpointer, &error),
        IPC_OK);
    int fd = story.disk.journal->disk_fd;
    for (int step = 0; step < 4; step++)
        act(&story);
    story_write(&story);
    for (int i = 0; i < 100 && eng_checkpoint_list(fd, lsns, 4) == 0; i++)
        usleep(50000);
    assert_int_equal(lsns[0], story.written);
    eng_checkpointer_stop(checkpointer);
    settings.every_bytes = UINT64_MAX;
    recovered.checkpoint_lsn = lsns[0];
    assert_int_equal(
        eng_checkpointer_start(story.disk.journal, &settings, &recovered, &checkpointer, &error),
        IPC_OK);
    act(&story);
    story_write(&story);
    eng_journal_mark_day(story.disk.journal, story.written, 20260105);
    for (int i = 0; i < 100 && lsns[0] != story.written; i++) {
        usleep(50000);
        (void)eng_checkpoint_list(fd, lsns, 4);
    }
    assert_int_equal(lsns[0], story.written);
    eng_checkpointer_stop(checkpointer);
    story_end(&story);
}

/* Files below a number become read-only, each with a line that is chained to the one before. */
static void test_days_are_sealed(void **state)
{
    (void)state;
    struct tempshm shm;
    struct ipc_error error = {{0}};
    struct stat status;
    uint32_t sealed;
    char text[2000] = "", command[600];
    tempshm_make(&shm);
    int fd = open(shm.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (uint64_t no = 1; no <= 3; no++) {
        char name[IPC_SEGMENT_NAME_BYTES];
        ipc_segment_name(no, name);
        int file = openat(fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0660);
        assert_int_equal(write(file, name, 5 + no), 5 + no);
        close(file);
    }
    assert_int_equal(eng_days_seal(fd, 3, 20260105, &sealed, &error), IPC_OK);
    assert_int_equal(sealed, 2);
    assert_int_equal(eng_days_seal(fd, 3, 20260105, &sealed, &error), IPC_OK);
    assert_int_equal(sealed, 0);
    assert_int_equal(fstatat(fd, "segment.0000000002", &status, 0), 0);
    assert_int_equal(status.st_mode & 0777, 0400);
    assert_int_equal(fstatat(fd, "segment.0000000003", &status, 0), 0);
    assert_int_equal(status.st_mode & 0777, 0660 & ~022);
    /* Anybody can check it with the tools of the system. */
    snprintf(command, sizeof command,
        "cd '%s' && awk '{print $4 \"  \" $2}' days | sha256sum -c --quiet && chain=%064d && "
        "while read -r day name bytes sum next; do "
        "chain=$(printf '%%s %%s %%s %%s %%s' $chain $day $name $bytes $sum | sha256sum | cut -d' "
        "' -f1); "
        "[ $chain = $next ] || exit 1; done < days",
        shm.path, 0);
    assert_int_equal(system(command), 0);
    int days = openat(fd, "days", O_RDONLY | O_CLOEXEC);
    assert_true(read(days, text, sizeof text - 1) > 0);
    assert_int_equal(strncmp(text, "20260105 segment.0000000001 6 ", 30), 0);
    close(days);
    close(fd);
    tempshm_remove(&shm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_with_and_without_are_the_same_bytes),
        cmocka_unit_test(test_damage_is_passed_over),
        cmocka_unit_test(test_other_limits_fold_the_facts),
        cmocka_unit_test(test_checkpoint_of_another_journal),
        cmocka_unit_test(test_covered_files_are_not_needed),
        cmocka_unit_test(test_a_full_disk_leaves_nothing_behind),
        cmocka_unit_test(test_thread),
        cmocka_unit_test(test_days_are_sealed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
