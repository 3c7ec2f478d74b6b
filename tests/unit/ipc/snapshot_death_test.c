/* snapshot_death_test.c: publishers that are killed, by signal at random moments and after single
 * instructions, while a reader copies. What is read is the old generation or the new one, whole;
 * the next publisher continues from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/clock.h"
#include "ipc/prng.h"
#include "ipc/snapshot_private.h"
#include "snapshot_world.h"
#include "tests/support/stepkill.h"
#include "tests/support/tempshm.h"

#define ROOM 20000u /* more than a file made for 10 followers holds */

struct fixture {
    struct tempshm temporary;
    struct ipc_shm shm;
    struct world world; /* what this process publishes */
    struct world copy;
};

static void make(struct fixture *f, uint32_t room)
{
    memset(f, 0, sizeof(*f));
    tempshm_make(&f->temporary);
    assert_int_equal(ipc_shm_open(&f->shm, f->temporary.path, "snap", true, NULL), IPC_OK);
    world_make(&f->world, 10, room, 64);
    world_make_empty(&f->copy, &f->world.image.capacity);
}

static void drop(struct fixture *f)
{
    world_free(&f->world);
    world_free(&f->copy);
    ipc_shm_close(&f->shm);
    tempshm_remove(&f->temporary);
}

/* A generation whose every table says the same number: any mixture shows. */
static void write_number(struct world *world, uint32_t number)
{
    uint32_t followers = world->image.shape.rows[IPC_TABLE_FOLLOWERS];
    world_cluster(world)->guard_fraction_e8 = number;
    world_broker(world, 0)->reply_timeout_ms = number;
    world_account(world, 1)->poll_interval_ms = number;
    memcpy(world->image.rows[IPC_TABLE_TOKENS], &number, sizeof(number));
    world_instrument(world, 1)->freeze_qty_e8 = number * LS_E8;
    for (uint32_t slot = 0; slot < followers; slot += 400)
        world_follower(world, slot)->max_age_limit_ms = number;
    world_follower(world, followers - 1)->max_age_limit_ms = number;
}

/* The number, checked in every place. */
static uint32_t read_number(struct world *world)
{
    uint32_t number = (uint32_t)world_cluster(world)->guard_fraction_e8;
    uint32_t followers = world->image.shape.rows[IPC_TABLE_FOLLOWERS];
    uint32_t token;
    memcpy(&token, world->image.rows[IPC_TABLE_TOKENS], sizeof(token));
    assert_int_equal(world_broker(world, 0)->reply_timeout_ms, number);
    assert_int_equal(world_account(world, 1)->poll_interval_ms, number);
    assert_int_equal(token, number);
    assert_int_equal(world_instrument(world, 1)->freeze_qty_e8, number * LS_E8);
    for (uint32_t slot = 0; slot < followers; slot += 400)
        assert_int_equal(world_follower(world, slot)->max_age_limit_ms, number);
    assert_int_equal(world_follower(world, followers - 1)->max_age_limit_ms, number);
    assert_int_equal(world_validate(world, NULL), IPC_OK);
    return number;
}

/* A publisher: number after number, now and then many more or fewer followers, so that files are
 * replaced too. Ends when it is killed. */
static void publish_forever(struct fixture *f, uint64_t seed)
{
    struct ipc_prng prng;
    struct ipc_snapshot_writer *writer = NULL;
    ipc_prng_seed(&prng, seed);
    if (ipc_snapshot_writer_open(&f->shm, &writer, NULL) != IPC_OK)
        _exit(3);
    uint32_t number = (uint32_t)ipc_snapshot_writer_current(writer);
    for (;;) {
        if (ipc_prng_chance(&prng, 1, 6))
            world_fill(&f->world, ipc_prng_chance(&prng, 1, 4) ? ROOM : 10);
        /* As many as generations, so that numbers rise over all publishers. */
        write_number(&f->world, ++number);
        if (ipc_snapshot_writer_publish(writer, &f->world.image, 0, 1, NULL) != IPC_OK)
            _exit(4);
    }
}

static void test_killed_at_random(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_prng prng;
    const uint64_t seed = 7;
    struct ipc_snapshot_reader *reader = NULL;
    struct ipc_error error = {{0}};
    uint32_t last = 0;
    uint64_t copies = 0;
    uint64_t generations = 0;
    uint64_t torn = 0;
    print_message("seed %llu\n", (unsigned long long)seed);
    make(&f, ROOM);
    ipc_prng_seed(&prng, seed);
    int64_t end = ipc_clock_mono_ns() + 1500 * LS_NS_PER_MS;
    uint32_t deaths = 0;
    for (; deaths < 150 && ipc_clock_mono_ns() < end; deaths++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            publish_forever(&f, seed + deaths);
        int64_t until = ipc_clock_mono_ns() + (int64_t)ipc_prng_below(&prng, 15) * LS_NS_PER_MS + 1;
        uint64_t before = generations;
        do {
            if (!reader && ipc_snapshot_reader_open(&f.shm, &reader, &error) != IPC_OK)
                continue;
            enum ipc_rc rc = ipc_snapshot_reader_copy(reader, &f.copy.image, &error);
            if (rc == IPC_NOT_FOUND)
                continue; /* the publisher is about to make the file */
            if (rc == IPC_OK) {
                uint32_t number = read_number(&f.copy);
                assert_true(number >= last);
                generations += number != last;
                last = number;
                copies++;
            } else if (rc == IPC_TORN) {
                torn++;
            } else if (rc != IPC_EMPTY) {
                fail_msg("%d %s", (int)rc, error.text);
            }
            /* At least one generation of each publisher is seen, however slow the machine. */
        } while (
            ipc_clock_mono_ns() < (generations == before ? until + 400 * LS_NS_PER_MS : until));
        int status = 0;
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        if (!reader)
            continue;
        /* With the publisher dead nothing is torn: old or new, at once. */
        enum ipc_rc rc = ipc_snapshot_reader_copy(reader, &f.copy.image, &error);
        if (rc != IPC_OK && rc != IPC_EMPTY && rc != IPC_NOT_FOUND)
            fail_msg("after death %u: %d %s", deaths, (int)rc, error.text);
        if (rc == IPC_OK)
            last = read_number(&f.copy);
        /* Now and then from nothing, so that files are made and outgrown again. */
        if (deaths % 8 == 7 && ipc_region_remove(&f.shm, IPC_SNAPSHOT_FILE, &error) == IPC_OK)
            last = 0;
    }
    print_message("%u deaths, %llu copies, %llu generations seen, %llu torn\n", deaths,
        (unsigned long long)copies, (unsigned long long)generations, (unsigned long long)torn);
    assert_true(deaths >= 3 && copies > deaths && generations >= 3);
    ipc_snapshot_reader_close(reader);
    drop(&f);
}

/* ---- after every instruction ----------------------------------------------------------------- */

struct step_world {
    struct fixture fixture;
    struct ipc_snapshot_writer *writer; /* the child's */
    uint32_t number;                    /* in force before the child */
    uint32_t grown;                     /* followers of the child's generation */
    bool anew;                          /* each child starts on a small new file */
    uint64_t old, new;
};

static void publish_number(struct fixture *f, uint32_t number, uint32_t followers)
{
    struct ipc_snapshot_writer *writer = NULL;
    struct ipc_error error = {{0}};
    if (ipc_snapshot_writer_open(&f->shm, &writer, &error) != IPC_OK)
        fail_msg("%s", error.text);
    world_fill(&f->world, followers);
    write_number(&f->world, number);
    if (ipc_snapshot_writer_publish(writer, &f->world.image, 0, 1, &error) != IPC_OK)
        fail_msg("%s", error.text);
    ipc_snapshot_writer_close(writer);
}

__attribute__((unused)) static void step_reset(void *context)
{
    struct step_world *w = context;
    if (w->anew)
        (void)!ipc_region_remove(&w->fixture.shm, IPC_SNAPSHOT_FILE, NULL);
    publish_number(&w->fixture, ++w->number, 10);
}

__attribute__((unused)) static void step_prepare(void *context)
{
    struct step_world *w = context;
    if (ipc_snapshot_writer_open(&w->fixture.shm, &w->writer, NULL) != IPC_OK)
        _exit(3);
    world_fill(&w->fixture.world, w->grown);
    write_number(&w->fixture.world, w->number + 1);
}

__attribute__((unused)) static void step_run(void *context)
{
    struct step_world *w = context;
    if (ipc_snapshot_writer_publish(w->writer, &w->fixture.world.image, 0, 1, NULL) != IPC_OK)
        _exit(4);
}

static uint32_t step_look(struct step_world *w, uint64_t steps, bool finished)
{
    struct ipc_snapshot_reader *reader = NULL;
    struct ipc_error error = {{0}};
    assert_int_equal(ipc_snapshot_reader_open(&w->fixture.shm, &reader, &error), IPC_OK);
    enum ipc_rc rc = ipc_snapshot_reader_copy(reader, &w->fixture.copy.image, &error);
    if (rc != IPC_OK)
        fail_msg("after %llu steps: %s", (unsigned long long)steps, error.text);
    uint32_t number = read_number(&w->fixture.copy);
    assert_true(number == w->number || number == w->number + 1);
    if (finished)
        assert_int_equal(number, w->number + 1);
    if (number == w->number)
        w->old++;
    else
        w->new ++;
    ipc_snapshot_reader_close(reader);
    return number;
}

/* The child is dead: the next reset publishes on top of what it left. */
__attribute__((unused)) static void step_check_dead(void *context, uint64_t steps, bool finished)
{
    struct step_world *w = context;
    w->number = step_look(w, steps, finished);
}

/* The child lives on and is only held. */
__attribute__((unused)) static void step_check_held(void *context, uint64_t steps, bool finished)
{
    struct step_world *w = context;
    (void)step_look(w, steps, finished);
}

static void step_through(const struct stepkill *how, bool walk, uint32_t grown)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    /* The steps would be the sanitizer's, ten times as many. */
    (void)how;
    (void)walk;
    (void)grown;
    skip();
#else
    struct step_world w = {.grown = grown, .anew = grown > 10};
    make(&w.fixture, ROOM);
    struct stepkill plan = *how;
    plan.reset = step_reset;
    plan.prepare = step_prepare;
    plan.run = step_run;
    plan.check = walk ? step_check_held : step_check_dead;
    plan.context = &w;
    struct stepkill_result result = {0};
    enum stepkill_end end = walk ? stepkill_walk(&plan, &result) : stepkill_run(&plan, &result);
    print_message("%llu points of %llu steps: old %llu, new %llu\n",
        (unsigned long long)result.points, (unsigned long long)result.longest_steps,
        (unsigned long long)w.old, (unsigned long long)w.new);
    drop(&w.fixture);
    if (end == STEPKILL_NO_PTRACE)
        skip();
    assert_int_equal(end, STEPKILL_FINISHED);
    assert_true(w.old > 0 && w.new > 0);
#endif
}

/* A reader copies after every single instruction, from the first word of the first chunk over
 * directory and generation to the end. */
static void test_read_after_every_instruction(void **state)
{
    (void)state;
    struct stepkill how = {.start_at = (const void *)ipc_snapshot_store_words};
    step_through(&how, true, 10);
}

/* Killed there, and another publisher goes on from what is left. Steps are quadratic, so with a
 * stride; LS_STEP_STRIDE=1 in the environment is every instruction. */
static void test_killed_inside_the_stores(void **state)
{
    (void)state;
    const char *wanted = getenv("LS_STEP_STRIDE");
    struct stepkill how = {.start_at = (const void *)ipc_snapshot_store_words,
        .stride = wanted ? strtoull(wanted, NULL, 10) : 2503};
    step_through(&how, false, 10);
}

/* The file is replaced by a larger one: killed before and after each system call. */
static void test_killed_while_growing(void **state)
{
    (void)state;
    struct stepkill how = {.by_syscall = true};
    step_through(&how, false, ROOM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_at_random),
        cmocka_unit_test(test_read_after_every_instruction),
        cmocka_unit_test(test_killed_inside_the_stores),
        cmocka_unit_test(test_killed_while_growing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
