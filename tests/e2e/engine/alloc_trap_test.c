/* The trap itself: armed, it must stop each call of the allocator on its thread, and no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

void ls_alloc_trap_arm(void);

static void *volatile kept;

static void call_malloc(void)
{
    kept = malloc(10);
}
static void call_calloc(void)
{
    kept = calloc(1, 10);
}
static void call_realloc(void)
{
    kept = realloc(kept, 100);
}
static void call_free(void)
{
    free(kept);
}
static void call_aligned(void)
{
    kept = aligned_alloc(64, 64);
}
static void call_posix(void)
{
    void *memory = NULL;
    kept = posix_memalign(&memory, 64, 64) == 0 ? memory : NULL;
}
static void call_nothing(void)
{
}
static void *other_thread(void *context)
{
    kept = malloc(10);
    free(kept);
    return context;
}

static int outcome_of(void (*call)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);
        (void)dup2(null, STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL); /* the test framework catches it */
        kept = malloc(5);
        ls_alloc_trap_arm();
        call();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void test_each_call(void **state)
{
    (void)state;
    assert_int_equal(outcome_of(call_malloc), SIGABRT);
    assert_int_equal(outcome_of(call_calloc), SIGABRT);
    assert_int_equal(outcome_of(call_realloc), SIGABRT);
    assert_int_equal(outcome_of(call_free), SIGABRT);
    assert_int_equal(outcome_of(call_aligned), SIGABRT);
    assert_int_equal(outcome_of(call_posix), SIGABRT);
    assert_int_equal(outcome_of(call_nothing), 0);
}

static void *arm_and_wait(void *context)
{
    ls_alloc_trap_arm();
    return context;
}

static void test_other_threads_go_on(void **state)
{
    (void)state;
    pthread_t armed, other;
    assert_int_equal(pthread_create(&armed, NULL, arm_and_wait, NULL), 0);
    assert_int_equal(pthread_create(&other, NULL, other_thread, NULL), 0);
    assert_int_equal(pthread_join(armed, NULL), 0);
    assert_int_equal(pthread_join(other, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_call),
        cmocka_unit_test(test_other_threads_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
