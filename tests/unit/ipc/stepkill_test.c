/* The harness must find what it is there to find: a publisher that announces before it has written
 * is caught, one that writes first is not. */
#include "tests/support/stepkill.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct shared {
    _Atomic uint32_t ready;
    uint32_t value[4];
};

struct world {
    struct shared *shared;
    uint64_t torn, ready, not_ready;
    bool saw_finish;
};

static void reset(void *context)
{
    struct world *world = context;
    memset(world->shared, 0, sizeof *world->shared);
}

__attribute__((noinline)) static void fill(struct shared *shared)
{
    for (uint32_t i = 0; i < 4; i++)
        ((volatile uint32_t *)shared->value)[i] = i + 1;
}

static void write_then_announce(void *context)
{
    struct world *world = context;
    fill(world->shared);
    atomic_store_explicit(&world->shared->ready, 1, memory_order_release);
}

static void announce_then_write(void *context)
{
    struct world *world = context;
    atomic_store_explicit(&world->shared->ready, 1, memory_order_release);
    fill(world->shared);
}

static void check(void *context, uint64_t steps, bool finished)
{
    struct world *world = context;
    (void)steps;
    world->saw_finish |= finished;
    if (atomic_load(&world->shared->ready) == 0) {
        world->not_ready++;
        return;
    }
    world->ready++;
    for (uint32_t i = 0; i < 4; i++) {
        if (world->shared->value[i] != i + 1) {
            world->torn++;
            return;
        }
    }
}

static struct world run_world_by(
    enum stepkill_end (*how)(const struct stepkill *, struct stepkill_result *),
    struct stepkill plan, struct stepkill_result *result)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    print_message("stepping through a sanitizer's instructions takes minutes: not tested\n");
    skip();
#endif
    struct world world = {.torn = 0};
    world.shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(world.shared != MAP_FAILED);
    plan.context = &world;
    plan.reset = reset;
    plan.check = check;
    enum stepkill_end end = how(&plan, result);
    munmap(world.shared, 4096);
    if (end == STEPKILL_NO_PTRACE) {
        print_message("this kernel lets nobody trace: not tested\n");
        skip();
    }
    assert_int_equal(end, STEPKILL_FINISHED);
    assert_true(world.saw_finish);
    return world;
}

static struct world run_world(struct stepkill plan, struct stepkill_result *result)
{
    return run_world_by(stepkill_run, plan, result);
}

static void test_right_order_is_clean(void **state)
{
    (void)state;
    struct stepkill_result result;
    struct world world = run_world((struct stepkill){.run = write_then_announce}, &result);
    assert_int_equal(world.torn, 0);
    assert_true(world.ready > 0);
    assert_true(world.not_ready > 5);
    assert_int_equal(world.ready + world.not_ready, result.points);
}

static void test_wrong_order_is_caught(void **state)
{
    (void)state;
    struct stepkill_result result;
    struct world world = run_world((struct stepkill){.run = announce_then_write}, &result);
    assert_true(world.torn > 3);
}

/* A walk sees at each instruction what a kill there would have left. */
static void test_walk_sees_what_kills_leave(void **state)
{
    (void)state;
    struct stepkill_result killed, walked;
    struct stepkill plan = {.run = announce_then_write};
    struct world kills = run_world_by(stepkill_run, plan, &killed);
    struct world walk = run_world_by(stepkill_walk, plan, &walked);
    assert_int_equal(walked.longest_steps, killed.longest_steps);
    assert_int_equal(walk.torn, kills.torn);
    assert_int_equal(walk.ready, kills.ready);
    plan.run = write_then_announce;
    walk = run_world_by(stepkill_walk, plan, &walked);
    assert_int_equal(walk.torn, 0);
}

static void call_kernel(void *context)
{
    struct world *world = context;
    for (uint32_t i = 0; i < 4; i++) {
        ((volatile uint32_t *)world->shared->value)[i] = i + 1;
        if (getppid() <= 0)
            abort();
    }
    atomic_store_explicit(&world->shared->ready, 1, memory_order_release);
}

static void test_steps_of_system_calls(void **state)
{
    (void)state;
    struct stepkill_result result;
    struct world world =
        run_world((struct stepkill){.run = call_kernel, .by_syscall = true}, &result);
    assert_int_equal(result.longest_steps, 8); /* entry and exit of four */
    assert_int_equal(world.torn, 0);
}

static void test_start_at_function(void **state)
{
    (void)state;
    struct stepkill_result whole, part;
    run_world((struct stepkill){.run = write_then_announce}, &whole);
    struct world world = run_world(
        (struct stepkill){.run = write_then_announce, .start_at = (const void *)(uintptr_t)fill},
        &part);
    assert_true(part.longest_steps < whole.longest_steps);
    assert_int_equal(world.torn, 0);
}

static void test_stride_takes_fewer_points(void **state)
{
    (void)state;
    struct stepkill_result every, third;
    run_world((struct stepkill){.run = write_then_announce}, &every);
    run_world((struct stepkill){.run = write_then_announce, .stride = 3}, &third);
    assert_true(third.points < every.points / 2);
}

static void nothing(void *context, uint64_t steps, bool finished)
{
    (void)context;
    (void)steps;
    (void)finished;
}

static void test_unreached_start_is_told(void **state)
{
    (void)state;
    struct shared *shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct world world = {.shared = shared};
    struct stepkill plan = {.run = write_then_announce,
        .check = nothing,
        .context = &world,
        .start_at = (const void *)(uintptr_t)reset};
    struct stepkill_result result;
    enum stepkill_end end = stepkill_run(&plan, &result);
    if (end == STEPKILL_NO_PTRACE)
        skip();
    assert_int_equal(end, STEPKILL_NEVER_STARTED);
    munmap(shared, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_order_is_clean),
        cmocka_unit_test(test_wrong_order_is_caught),
        cmocka_unit_test(test_walk_sees_what_kills_leave),
        cmocka_unit_test(test_steps_of_system_calls),
        cmocka_unit_test(test_start_at_function),
        cmocka_unit_test(test_stride_takes_fewer_points),
        cmocka_unit_test(test_unreached_start_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
