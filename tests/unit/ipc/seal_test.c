/* seal_test.c: key files that are refused, tokens that open only where they belong, and memory
 * that does not leak them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/seal.h"

struct fixture {
    char directory[64];
    char path[96];
    struct ipc_secret_arena *arena;
};

static void make(struct fixture *f)
{
    (void)snprintf(f->directory, sizeof(f->directory), "/tmp/lockstep-seal-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    (void)snprintf(f->path, sizeof(f->path), "%s/key", f->directory);
    assert_int_equal(ipc_secret_arena_create(16384, &f->arena, NULL), IPC_OK);
}

static void drop(struct fixture *f)
{
    ipc_secret_arena_destroy(f->arena);
    (void)unlink(f->path);
    assert_int_equal(rmdir(f->directory), 0);
}

static void put(const char *path, size_t bytes, mode_t mode)
{
    char memory[64];
    memset(memory, 7, sizeof(memory));
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, memory, bytes), bytes);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static void test_key_files(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_seal_key *key = NULL;
    struct ipc_error error;
    char link_path[128];
    make(&f);
    assert_int_equal(ipc_seal_key_load(f.arena, f.path, &key, &error), IPC_NOT_FOUND);
    static const struct {
        size_t bytes;
        mode_t mode;
        enum ipc_rc rc;
        const char *sentence;
    } rows[] = {
        {32, 0400, IPC_OK, NULL},
        {32, 0600, IPC_REFUSED, "mode 0600"},
        {32, 0440, IPC_REFUSED, "mode 0440"},
        {32, 0404, IPC_REFUSED, "mode 0404"},
        {32, 0500, IPC_REFUSED, "mode 0500"},
        {32, 04400, IPC_REFUSED, "mode 4400"},
        {31, 0400, IPC_REFUSED, "31 bytes"},
        {33, 0400, IPC_REFUSED, "33 bytes"},
        {0, 0400, IPC_REFUSED, "0 bytes"},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        put(f.path, rows[i].bytes, rows[i].mode);
        enum ipc_rc rc = ipc_seal_key_load(f.arena, f.path, &key, &error);
        if (rc != rows[i].rc || (rows[i].sentence && !strstr(error.text, rows[i].sentence)))
            fail_msg("row %zu: %d %s", i, (int)rc, error.text);
    }
    assert_true(ipc_secret_holds(key, IPC_SEAL_KEY_BYTES));
    put(f.path, 32, 0400);
    (void)snprintf(link_path, sizeof(link_path), "%s/link", f.directory);
    assert_int_equal(symlink(f.path, link_path), 0);
    assert_int_equal(ipc_seal_key_load(f.arena, link_path, &key, &error), IPC_REFUSED);
    assert_non_null(strstr(error.text, "symbolic link"));
    assert_int_equal(unlink(link_path), 0);
    assert_int_equal(ipc_seal_key_load(f.arena, f.directory, &key, &error), IPC_REFUSED);
    assert_int_equal(mkfifo(link_path, 0400), 0);
    assert_int_equal(ipc_seal_key_load(f.arena, link_path, &key, &error), IPC_REFUSED);
    assert_int_equal(unlink(link_path), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(f.path, 65534, 65534), 0);
        assert_int_equal(ipc_seal_key_load(f.arena, f.path, &key, &error), IPC_REFUSED);
        assert_non_null(strstr(error.text, "65534"));
    }
    drop(&f);
}

static void test_key_create(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_seal_key *first = NULL;
    struct ipc_seal_key *again = NULL;
    struct stat found;
    make(&f);
    assert_int_equal(ipc_seal_key_create(f.path, NULL), IPC_OK);
    assert_int_equal(stat(f.path, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0400);
    assert_int_equal(ipc_seal_key_load(f.arena, f.path, &first, NULL), IPC_OK);
    /* A key that is there is never replaced: it would orphan what it sealed. */
    assert_int_equal(ipc_seal_key_create(f.path, NULL), IPC_EXISTS);
    assert_int_equal(ipc_seal_key_load(f.arena, f.path, &again, NULL), IPC_OK);
    assert_memory_equal(first, again, IPC_SEAL_KEY_BYTES);
    drop(&f); /* fails when a temporary file was left behind */
}

static void test_round_trip(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_seal_key *key = NULL;
    struct ipc_seal_binding binding = {.cluster_id = "test", .account = 7, .token_version = 3};
    static uint8_t token[IPC_SEAL_PLAIN_MAX];
    static uint8_t sealed[2][IPC_SEAL_PLAIN_MAX + IPC_SEAL_OVERHEAD_BYTES];
    size_t sealed_bytes = 0;
    size_t bytes = 0;
    make(&f);
    assert_int_equal(ipc_seal_key_create(f.path, NULL), IPC_OK);
    assert_int_equal(ipc_seal_key_load(f.arena, f.path, &key, NULL), IPC_OK);
    uint8_t *plain = ipc_secret_alloc(f.arena, IPC_SEAL_PLAIN_MAX);
    assert_non_null(plain);
    for (size_t i = 0; i < sizeof(token); i++)
        token[i] = (uint8_t)(i * 31 + 5);
    static const size_t lengths[] = {1, 15, 16, 64, 1100, IPC_SEAL_PLAIN_MAX};
    for (size_t i = 0; i < LS_COUNT_OF(lengths); i++) {
        size_t length = lengths[i];
        for (int j = 0; j < 2; j++) {
            assert_int_equal(
                ipc_seal(key, &binding, token, length, sealed[j], sizeof(sealed[j]), &sealed_bytes),
                IPC_OK);
            assert_int_equal(sealed_bytes, length + IPC_SEAL_OVERHEAD_BYTES);
        }
        /* Twice the same token is two nonces and two ciphertexts. */
        assert_memory_not_equal(sealed[0] + 4, sealed[1] + 4, 12);
        if (length >= 15)
            assert_memory_not_equal(sealed[0] + 16, sealed[1] + 16, length);
        assert_int_equal(ipc_seal_open(key, &binding, sealed[1], sealed_bytes, plain,
                             IPC_SEAL_PLAIN_MAX, &bytes),
            IPC_OK);
        assert_int_equal(bytes, length);
        assert_memory_equal(plain, token, length);
    }
    assert_int_equal(
        ipc_seal(key, &binding, token, 0, sealed[0], 100, &sealed_bytes), IPC_BAD_INPUT);
    assert_int_equal(
        ipc_seal(key, &binding, token, 10, sealed[0], 41, &sealed_bytes), IPC_TOO_LONG);
    assert_int_equal(ipc_seal(key, &binding, token, 10, sealed[0], 42, &sealed_bytes), IPC_OK);
    assert_int_equal(
        ipc_seal_open(key, &binding, sealed[0], sealed_bytes, plain, 9, &bytes), IPC_TOO_LONG);
    drop(&f);
}

/* Nothing but the very bytes, key and binding opens; what fails leaves no plaintext. */
static void test_not_authentic(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_seal_key *key = NULL;
    struct ipc_seal_key *other = NULL;
    const struct ipc_seal_binding binding = {
        .cluster_id = "test", .account = 7, .token_version = 3};
    uint8_t sealed[20 + IPC_SEAL_OVERHEAD_BYTES];
    size_t sealed_bytes = 0;
    size_t bytes = 0;
    make(&f);
    assert_int_equal(ipc_seal_key_create(f.path, NULL), IPC_OK);
    assert_int_equal(ipc_seal_key_load(f.arena, f.path, &key, NULL), IPC_OK);
    assert_int_equal(unlink(f.path), 0);
    assert_int_equal(ipc_seal_key_create(f.path, NULL), IPC_OK);
    assert_int_equal(ipc_seal_key_load(f.arena, f.path, &other, NULL), IPC_OK);
    uint8_t *plain = ipc_secret_alloc(f.arena, 64);
    assert_int_equal(
        ipc_seal(key, &binding, "canary-canary-canary", 20, sealed, sizeof(sealed), &sealed_bytes),
        IPC_OK);
    static const uint8_t zeros[20];
    for (size_t bit = 0; bit < sealed_bytes * 8; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        enum ipc_rc rc = ipc_seal_open(key, &binding, sealed, sealed_bytes, plain, 64, &bytes);
        assert_int_equal(rc, bit < 32 ? IPC_BAD_LAYOUT : IPC_BAD_CRC);
        assert_memory_equal(plain, zeros, sizeof(zeros));
        sealed[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    for (size_t cut = 0; cut < sealed_bytes; cut++) {
        enum ipc_rc rc = ipc_seal_open(key, &binding, sealed, cut, plain, 64, &bytes);
        assert_int_equal(rc, cut <= IPC_SEAL_OVERHEAD_BYTES ? IPC_BAD_LAYOUT : IPC_BAD_CRC);
    }
    struct ipc_seal_binding moved = binding;
    moved.account = 8;
    assert_int_equal(
        ipc_seal_open(key, &moved, sealed, sealed_bytes, plain, 64, &bytes), IPC_BAD_CRC);
    moved = binding;
    moved.token_version = 4;
    assert_int_equal(
        ipc_seal_open(key, &moved, sealed, sealed_bytes, plain, 64, &bytes), IPC_BAD_CRC);
    moved = binding;
    moved.cluster_id[5] = 'x';
    assert_int_equal(
        ipc_seal_open(key, &moved, sealed, sealed_bytes, plain, 64, &bytes), IPC_BAD_CRC);
    assert_int_equal(
        ipc_seal_open(other, &binding, sealed, sealed_bytes, plain, 64, &bytes), IPC_BAD_CRC);
    assert_memory_equal(plain, zeros, sizeof(zeros));
    assert_int_equal(ipc_seal_open(key, &binding, sealed, sealed_bytes, plain, 64, &bytes), IPC_OK);
    assert_memory_equal(plain, "canary-canary-canary", 20);
    drop(&f);
}

/* Opening into ordinary memory is a bug, and stops the process before a byte is written. */
static void test_only_into_secret_memory(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_seal_key *key = NULL;
    struct ipc_seal_binding binding = {.cluster_id = "test", .account = 7, .token_version = 3};
    uint8_t sealed[64];
    size_t sealed_bytes = 0;
    int status = 0;
    make(&f);
    assert_int_equal(ipc_seal_key_create(f.path, NULL), IPC_OK);
    assert_int_equal(ipc_seal_key_load(f.arena, f.path, &key, NULL), IPC_OK);
    assert_int_equal(
        ipc_seal(key, &binding, "token", 5, sealed, sizeof(sealed), &sealed_bytes), IPC_OK);
    pid_t child = fork();
    if (child == 0) {
        uint8_t plain[64];
        size_t bytes;
        struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)close(2);
        (void)!ipc_seal_open(key, &binding, sealed, sealed_bytes, plain, sizeof(plain), &bytes);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    drop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_files),
        cmocka_unit_test(test_key_create),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_not_authentic),
        cmocka_unit_test(test_only_into_secret_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
