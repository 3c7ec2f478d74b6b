#include "ipc/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static void test_clocks_go_forward(void **state)
{
    (void)state;
    int64_t last_ns = ipc_clock_mono_ns();
    assert_true(last_ns > 0);
    for (unsigned i = 0; i < 10000; i++) {
        int64_t now_ns = ipc_clock_mono_ns();
        assert_true(now_ns >= last_ns);
        last_ns = now_ns;
    }
    assert_true(ipc_clock_wall_ns() > INT64_C(1700000000) * LS_NS_PER_S);
}

/* The machine may take us off the processor between readings, so the bound on how far the two
 * clocks may differ is wide and the tightest of several tries counts. */
static void test_tsc_follows_the_monotonic_clock(void **state)
{
    (void)state;
    struct ipc_clock clock;
    ipc_clock_calibrate(&clock, 20 * LS_NS_PER_MS);
    if (!clock.is_invariant) {
        print_message("the TSC of this processor is not invariant: not tested\n");
        skip();
    }
    usleep(20000);
    int64_t best_ns = INT64_MAX;
    for (unsigned i = 0; i < 100; i++) {
        int64_t tsc_ns = ipc_clock_tsc_to_mono_ns(&clock, ipc_clock_tsc());
        int64_t difference_ns = ipc_clock_mono_ns() - tsc_ns;
        if (difference_ns < 0)
            difference_ns = -difference_ns;
        best_ns = ls_min_i64(best_ns, difference_ns);
    }
    assert_true(best_ns < 50 * LS_NS_PER_US);
}

static void test_ticks_convert_without_overflow(void **state)
{
    (void)state;
    struct ipc_clock clock = {.ns_per_tick_q32 = UINT64_C(1) << 31}; /* half a ns per tick */
    assert_int_equal(ipc_clock_ticks_to_ns(&clock, 0), 0);
    assert_int_equal(ipc_clock_ticks_to_ns(&clock, 10), 5);
    assert_int_equal(ipc_clock_ticks_to_ns(&clock, UINT64_C(1) << 62), INT64_C(1) << 61);
}

static void test_boot_id_is_stable_and_set(void **state)
{
    (void)state;
    uint8_t first[16] = {0}, second[16] = {0}, zero[16] = {0};
    assert_int_equal(ipc_clock_boot_id(first), IPC_OK);
    assert_int_equal(ipc_clock_boot_id(second), IPC_OK);
    assert_memory_equal(first, second, sizeof first);
    assert_memory_not_equal(first, zero, sizeof first);
}

/* A process is named by pid and start; a zombie is not alive, and neither is a reaped child. */
static void test_process_start_tells_the_dead(void **state)
{
    (void)state;
    uint64_t own, again;
    assert_int_equal(ipc_process_start(getpid(), &own), IPC_OK);
    assert_int_equal(ipc_process_start(getpid(), &again), IPC_OK);
    assert_int_equal(own, again);
    assert_true(own > 0);
    assert_int_equal(ipc_process_start(0, &again), IPC_NOT_FOUND);
    assert_int_equal(ipc_process_start(-1, &again), IPC_NOT_FOUND);

    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* The parentheses would lead a careless parser astray. */
        prctl(PR_SET_NAME, "a) R 1 2 (b", 0, 0, 0);
        for (;;)
            pause();
    }
    uint64_t start;
    assert_int_equal(ipc_process_start(child, &start), IPC_OK);
    assert_true(start >= own);
    kill(child, SIGKILL);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(ipc_process_start(child, &start), IPC_NOT_FOUND); /* a zombie */
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(ipc_process_start(child, &start), IPC_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clocks_go_forward),
        cmocka_unit_test(test_tsc_follows_the_monotonic_clock),
        cmocka_unit_test(test_ticks_convert_without_overflow),
        cmocka_unit_test(test_boot_id_is_stable_and_set),
        cmocka_unit_test(test_process_start_tells_the_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
