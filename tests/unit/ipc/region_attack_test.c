/* What somebody else may have put there: links, other owners, other modes, cut files, and headers
 * that are wrong in each of their fields. Every one is refused, and the sentence says why. */
#include "ipc/journal_format.h"
#include "ipc/region.h"
#include "tests/support/tempshm.h"

#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define OTHER_USER 65534u

struct world {
    struct tempshm temporary;
    struct ipc_shm shm;
    char file[160];
};

static const struct ipc_region_spec spec = {.name = "thing.0",
    .kind = IPC_REGION_OTHER,
    .layout_hash = 0x1234,
    .body_bytes = 10000,
    .flags = IPC_REGION_WRITE};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    tempshm_make(&world->temporary);
    assert_int_equal(ipc_shm_open(&world->shm, world->temporary.path, "t1", true, NULL), IPC_OK);
    snprintf(world->file, sizeof world->file, "%s/lockstep.t1/thing.0", world->temporary.path);
    struct ipc_region region;
    assert_int_equal(ipc_region_create(&world->shm, &spec, NULL, NULL, &region, NULL), IPC_OK);
    ipc_region_detach(&region);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    ipc_shm_close(&world->shm);
    tempshm_remove(&world->temporary);
    free(world);
    return 0;
}

static void refused(const struct world *world, enum ipc_rc rc, const char *word)
{
    struct ipc_region region;
    struct ipc_error error = {.text = ""};
    enum ipc_rc got = ipc_region_attach(&world->shm, &spec, &region, &error);
    if (got != rc || strstr(error.text, word) == NULL)
        fail_msg(
            "wanted %s with '%s', got %s: %s", ipc_rc_text(rc), word, ipc_rc_text(got), error.text);
    assert_int_equal(region.fd, -1);
    assert_null(region.mapping);
    struct ipc_region_info info;
    assert_int_equal(ipc_region_inspect(&world->shm, spec.name, &info, NULL), IPC_OK);
}

static void test_symbolic_link_in_place_of_a_file(void **state)
{
    struct world *world = *state;
    char elsewhere[200];
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", world->temporary.path);
    assert_int_equal(rename(world->file, elsewhere), 0);
    assert_int_equal(symlink(elsewhere, world->file), 0);
    refused(world, IPC_REFUSED, "symbolic link");
    /* Making does not follow it either. */
    struct ipc_region region;
    assert_int_equal(ipc_region_create(&world->shm, &spec, NULL, NULL, &region, NULL), IPC_EXISTS);
}

static void test_second_name_of_a_file(void **state)
{
    struct world *world = *state;
    char second[200];
    snprintf(second, sizeof second, "%s/second", world->temporary.path);
    assert_int_equal(link(world->file, second), 0);
    refused(world, IPC_REFUSED, "names instead of one");
}

static void test_not_a_regular_file(void **state)
{
    struct world *world = *state;
    assert_int_equal(unlink(world->file), 0);
    assert_int_equal(mkfifo(world->file, 0660), 0);
    assert_int_equal(chmod(world->file, 0660), 0);
    refused(world, IPC_REFUSED, "regular file"); /* and does not wait for its other end */
    assert_int_equal(unlink(world->file), 0);
    assert_int_equal(mkdir(world->file, 0770), 0);
    refused(world, IPC_REFUSED, "regular file");
    assert_int_equal(rmdir(world->file), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", world->file);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    refused(world, IPC_REFUSED, "regular file");
    close(fd);
}

static void test_wrong_modes(void **state)
{
    struct world *world = *state;
    static const mode_t modes[] = {0666, 0664, 0600, 0640, 0661, 04660};
    for (size_t i = 0; i < LS_COUNT_OF(modes); i++) {
        assert_int_equal(chmod(world->file, modes[i]), 0);
        refused(world, IPC_REFUSED, "mode");
    }
    assert_int_equal(chmod(world->file, 0660), 0);
    struct ipc_region region;
    assert_int_equal(ipc_region_attach(&world->shm, &spec, &region, NULL), IPC_OK);
    ipc_region_detach(&region);
}

static void test_file_of_another_user(void **state)
{
    struct world *world = *state;
    if (geteuid() != 0) {
        print_message("giving a file away needs root: not tested\n");
        skip();
    }
    assert_int_equal(chown(world->file, OTHER_USER, OTHER_USER), 0);
    refused(world, IPC_REFUSED, "belongs to user 65534");
    /* Of another user, but of the directory's group: another process of the service. */
    assert_int_equal(chown(world->file, OTHER_USER, getegid()), 0);
    struct ipc_region region;
    assert_int_equal(ipc_region_attach(&world->shm, &spec, &region, NULL), IPC_OK);
    ipc_region_detach(&region);
}

static void test_directory_of_another_user_or_mode(void **state)
{
    struct world *world = *state;
    char path[160];
    struct ipc_shm shm;
    struct ipc_error error;
    snprintf(path, sizeof path, "%s/lockstep.t1", world->temporary.path);
    assert_int_equal(chmod(path, 02777), 0);
    assert_int_equal(ipc_shm_open(&shm, world->temporary.path, "t1", true, &error), IPC_REFUSED);
    assert_non_null(strstr(error.text, "mode 2777"));
    assert_int_equal(chmod(path, 02770), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, OTHER_USER, OTHER_USER), 0);
        assert_int_equal(chmod(path, 02770), 0);
        assert_int_equal(
            ipc_shm_open(&shm, world->temporary.path, "t1", true, &error), IPC_REFUSED);
        assert_non_null(strstr(error.text, "somebody else took the name"));
    }
    char link_path[160];
    snprintf(link_path, sizeof link_path, "%s/lockstep.linked", world->temporary.path);
    assert_int_equal(symlink(path, link_path), 0);
    assert_int_equal(
        ipc_shm_open(&shm, world->temporary.path, "linked", true, &error), IPC_REFUSED);
    assert_int_equal(shm.fd, -1);
}

/* The stranger himself: another user, no group of ours, tries what the file system lets him. */
static void stranger(const struct world *world)
{
    if (setgid(OTHER_USER) != 0 || setuid(OTHER_USER) != 0)
        _exit(77);
    char path[200];
    snprintf(path, sizeof path, "%s/lockstep.t1/new", world->temporary.path);
    if (open(world->file, O_RDONLY | O_CLOEXEC) >= 0)
        _exit(1);
    if (open(world->file, O_RDWR | O_CLOEXEC) >= 0)
        _exit(2);
    if (truncate(world->file, 0) == 0)
        _exit(3);
    if (symlink("/etc/passwd", path) == 0)
        _exit(4);
    if (unlink(world->file) == 0)
        _exit(5);
    struct ipc_shm shm;
    struct ipc_error error;
    enum ipc_rc rc = ipc_shm_open(&shm, world->temporary.path, "t1", false, &error);
    if (rc != IPC_REFUSED && rc != IPC_SYSTEM)
        _exit(6);
    _exit(0);
}

static void test_stranger_gets_nothing(void **state)
{
    struct world *world = *state;
    if (geteuid() != 0) {
        print_message("becoming another user needs root: not tested\n");
        skip();
    }
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (setgroups(0, NULL) != 0)
            _exit(77);
        stranger(world);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct ipc_region region;
    assert_int_equal(ipc_region_attach(&world->shm, &spec, &region, NULL), IPC_OK);
    ipc_region_detach(&region);
}

static void test_cut_and_grown_files(void **state)
{
    struct world *world = *state;
    struct ipc_region region;
    assert_int_equal(ipc_region_attach(&world->shm, &spec, &region, NULL), IPC_OK);
    assert_int_equal(truncate(world->file, 8192), 0);
    struct ipc_error error;
    assert_int_equal(ipc_region_current(&world->shm, &region, &error), IPC_GONE);
    assert_non_null(strstr(error.text, "cut"));
    refused(world, IPC_BAD_SIZE, "cut or grew");
    assert_int_equal(truncate(world->file, 65536), 0);
    refused(world, IPC_BAD_SIZE, "cut or grew");
    assert_int_equal(truncate(world->file, 100), 0);
    refused(world, IPC_BAD_MAGIC, "magic");
    assert_int_equal(truncate(world->file, 0), 0);
    refused(world, IPC_BAD_MAGIC, "magic");
    ipc_region_detach(&region);
}

static void rewrite(const struct world *world, void (*change)(struct ipc_region_header *))
{
    struct ipc_region_header header;
    int fd = open(world->file, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &header, sizeof header, 0), sizeof header);
    change(&header);
    assert_int_equal(pwrite(fd, &header, sizeof header, 0), sizeof header);
    close(fd);
}

static void seal(struct ipc_region_header *header)
{
    header->crc = ipc_crc32c(0, header, offsetof(struct ipc_region_header, crc));
}

#define CHANGE(name, statement)                                                                    \
    static void change_##name(struct ipc_region_header *header)                                    \
    {                                                                                              \
        statement;                                                                                 \
        seal(header);                                                                              \
    }
CHANGE(magic, header->magic ^= 1)
CHANGE(endian, header->magic = __builtin_bswap64(header->magic))
CHANGE(abi, header->abi++)
CHANGE(kind, header->kind = IPC_REGION_RING)
CHANGE(unknown_kind, header->kind = 999)
CHANGE(layout, header->layout_hash++)
CHANGE(total, header->total_bytes += 4096)
CHANGE(body_large, header->body_bytes = header->total_bytes)
CHANGE(body_huge, header->body_bytes = UINT64_MAX)
CHANGE(body_zero, header->body_bytes = 0)
CHANGE(body_small, header->body_bytes = 9999)
CHANGE(name, strcpy(header->name, "other.0"))
CHANGE(name_endless, memset(header->name, 'a', sizeof header->name))

static void change_unsealed(struct ipc_region_header *header)
{
    header->generation ^= 1;
}

static void test_each_header_field(void **state)
{
    struct world *world = *state;
    static const struct {
        void (*change)(struct ipc_region_header *);
        enum ipc_rc rc;
        const char *word;
    } rows[] = {
        {change_magic, IPC_BAD_MAGIC, "magic"},
        {change_endian, IPC_BAD_MAGIC, "byte order"},
        {change_abi, IPC_BAD_ABI, "ABI"},
        {change_kind, IPC_BAD_LAYOUT, "kind 'ring'"},
        {change_unknown_kind, IPC_BAD_LAYOUT, "kind '?'"},
        {change_layout, IPC_BAD_LAYOUT, "layout"},
        {change_total, IPC_BAD_SIZE, "header says"},
        {change_body_large, IPC_BAD_SIZE, "impossible"},
        {change_body_huge, IPC_BAD_SIZE, "impossible"},
        {change_body_zero, IPC_BAD_SIZE, "impossible"},
        {change_body_small, IPC_BAD_SIZE, "holds 9999"},
        {change_name, IPC_REFUSED, "was made as 'other.0'"},
        {change_name_endless, IPC_REFUSED, "was made as"},
        {change_unsealed, IPC_BAD_CRC, "checksum"},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct ipc_region region;
        assert_int_equal(ipc_region_remove(&world->shm, spec.name, NULL), IPC_OK);
        assert_int_equal(ipc_region_create(&world->shm, &spec, NULL, NULL, &region, NULL), IPC_OK);
        ipc_region_detach(&region);
        rewrite(world, rows[i].change);
        refused(world, rows[i].rc, rows[i].word);
    }
}

static void change_generation(struct ipc_region_header *header)
{
    header->generation ^= 1;
    seal(header);
}

/* Same name, same inode, made anew in place. */
static void test_generation_tells_a_reused_inode(void **state)
{
    struct world *world = *state;
    struct ipc_region region;
    assert_int_equal(ipc_region_attach(&world->shm, &spec, &region, NULL), IPC_OK);
    rewrite(world, change_generation);
    struct ipc_error error;
    assert_int_equal(ipc_region_current(&world->shm, &region, &error), IPC_GONE);
    assert_non_null(strstr(error.text, "made anew"));
    ipc_region_detach(&region);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_symbolic_link_in_place_of_a_file),
        TEST(test_second_name_of_a_file),
        TEST(test_not_a_regular_file),
        TEST(test_wrong_modes),
        TEST(test_file_of_another_user),
        TEST(test_directory_of_another_user_or_mode),
        TEST(test_stranger_gets_nothing),
        TEST(test_cut_and_grown_files),
        TEST(test_each_header_field),
        TEST(test_generation_tells_a_reused_inode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
