/* secret_test.c: what the kernel says about secret pages, and what is left of a secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/secret.h"

static void test_alloc(void **state)
{
    (void)state;
    struct ipc_secret_arena *arena = NULL;
    assert_int_equal(ipc_secret_arena_create(100, &arena, NULL), IPC_OK);
    uint8_t *first = ipc_secret_alloc(arena, 1);
    uint8_t *second = ipc_secret_alloc(arena, 17);
    assert_int_equal((uintptr_t)first % 16, 0);
    assert_ptr_equal(second, first + 16);
    assert_null(ipc_secret_alloc(arena, 4096));
    assert_null(ipc_secret_alloc(arena, SIZE_MAX));
    assert_non_null(ipc_secret_alloc(arena, 4096 - 48));
    assert_null(ipc_secret_alloc(arena, 1));
    assert_true(ipc_secret_holds(first, 4096));
    assert_false(ipc_secret_holds(first, 4097));
    assert_false(ipc_secret_holds(first - 1, 1));
    assert_false(ipc_secret_holds(first, SIZE_MAX));
    assert_false(ipc_secret_holds(&arena, 1));
    memset(first, 0x5a, 4096);
    ipc_secret_arena_reset(arena);
    assert_ptr_equal(ipc_secret_alloc(arena, 16), first);
    for (int i = 0; i < 4096; i++)
        assert_int_equal(first[i], 0);
    struct ipc_secret_arena *other = NULL;
    assert_int_equal(ipc_secret_arena_create(4097, &other, NULL), IPC_OK);
    assert_true(ipc_secret_holds(ipc_secret_alloc(other, 8192), 8192));
    ipc_secret_arena_destroy(arena);
    assert_false(ipc_secret_holds(first, 1));
    ipc_secret_arena_destroy(other);
    ipc_secret_arena_destroy(NULL);
}

/* The flags line of the mapping that begins at an address, from /proc/self/smaps. */
static void flags_of(const void *address, char *out, size_t bytes)
{
    char line[512];
    char wanted[32];
    bool inside = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    assert_non_null(maps);
    (void)snprintf(wanted, sizeof(wanted), "%lx-", (unsigned long)(uintptr_t)address);
    out[0] = 0;
    while (fgets(line, sizeof(line), maps)) {
        if (strncmp(line, wanted, strlen(wanted)) == 0)
            inside = true;
        if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            (void)snprintf(out, bytes, "%s", line);
            break;
        }
    }
    assert_int_equal(fclose(maps), 0);
}

static void test_kernel_flags(void **state)
{
    (void)state;
    struct ipc_secret_arena *arena = NULL;
    char flags[512];
    assert_int_equal(ipc_secret_arena_create(4096, &arena, NULL), IPC_OK);
    flags_of(ipc_secret_alloc(arena, 16), flags, sizeof(flags));
    assert_non_null(strstr(flags, " lo")); /* locked */
    assert_non_null(strstr(flags, " dd")); /* not in a dump */
    assert_non_null(strstr(flags, " wf")); /* wiped in a child */
    ipc_secret_arena_destroy(arena);
}

static void test_child_sees_zeros(void **state)
{
    (void)state;
    struct ipc_secret_arena *arena = NULL;
    int status = 0;
    assert_int_equal(ipc_secret_arena_create(64, &arena, NULL), IPC_OK);
    uint8_t *secret = ipc_secret_alloc(arena, 64);
    memset(secret, 0x5a, 64);
    pid_t child = fork();
    if (child == 0) {
        uint8_t seen = 0;
        for (int i = 0; i < 64; i++)
            seen |= secret[i];
        _exit(seen == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(secret[63], 0x5a);
    ipc_secret_arena_destroy(arena);
}

/* One byte before and one behind the pages is a fault. */
static void test_guard_pages(void **state)
{
    (void)state;
    static const long offsets[] = {-1, 4096};
    struct ipc_secret_arena *arena = NULL;
    for (size_t i = 0; i < LS_COUNT_OF(offsets); i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            struct rlimit none = {0, 0};
            (void)setrlimit(RLIMIT_CORE, &none);
            (void)signal(SIGSEGV, SIG_DFL);
            if (ipc_secret_arena_create(4096, &arena, NULL) != IPC_OK)
                _exit(3);
            volatile uint8_t *secret = ipc_secret_alloc(arena, 16);
            secret[offsets[i]] = 1;
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    }
}

/* Refused locking is a sentence that says what to raise, and leaves nothing mapped. */
static void test_no_room_to_lock(void **state)
{
    (void)state;
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        struct ipc_secret_arena *arena = NULL;
        struct ipc_error error = {{0}};
        struct rlimit none = {0, 0};
        /* Root may lock beyond the limit; be somebody else. */
        if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setuid(65534) != 0))
            _exit(3);
        enum ipc_rc rc = ipc_secret_arena_create(4096, &arena, &error);
        _exit(rc == IPC_SYSTEM && !arena && strstr(error.text, "RLIMIT_MEMLOCK") ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_harden(void **state)
{
    (void)state;
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        struct rlimit core;
        if (ipc_secret_process_harden(NULL) != IPC_OK || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 ||
            getrlimit(RLIMIT_CORE, &core) != 0)
            _exit(2);
        _exit(core.rlim_cur == 0 && core.rlim_max == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_kernel_flags),
        cmocka_unit_test(test_child_sees_zeros),
        cmocka_unit_test(test_guard_pages),
        cmocka_unit_test(test_no_room_to_lock),
        cmocka_unit_test(test_harden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
