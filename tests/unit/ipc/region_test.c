/* Objects in shared memory: making, attaching, replacing, owning, listing. Attacks and damage are
 * in region_attack_test.c. */
#include "ipc/journal_format.h"
#include "ipc/region.h"
#include "ipc/region_private.h"
#include "tests/support/tempshm.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

struct world {
    struct tempshm temporary;
    struct ipc_shm shm;
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    tempshm_make(&world->temporary);
    struct ipc_error error = {.text = ""};
    if (ipc_shm_open(&world->shm, world->temporary.path, "t1", true, &error) != IPC_OK)
        fail_msg("%s", error.text);
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

static const struct ipc_region_spec spec = {.name = "thing.0",
    .kind = IPC_REGION_OTHER,
    .layout_hash = 0x1234,
    .body_bytes = 10000,
    .flags = IPC_REGION_WRITE};

static void fill_with(void *body, void *context)
{
    memset(body, *(const int *)context, 10000);
}

static void make(const struct world *world, int byte, struct ipc_region *region)
{
    struct ipc_error error = {.text = ""};
    if (ipc_region_create(&world->shm, &spec, fill_with, &byte, region, &error) != IPC_OK)
        fail_msg("%s", error.text);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "0", "main", "shard-1", "a_b", "0123456789abcdef"};
    static const char *const bad[] = {"", "-a", "_a", ".", "..", "a/b", "A", "a b", "a.b", "a\n",
        "a\xff", "é", "012345678901234567890123456789012" /* 33 */};
    for (size_t i = 0; i < LS_COUNT_OF(good); i++)
        assert_true(ipc_instance_name_valid(good[i]));
    for (size_t i = 0; i < LS_COUNT_OF(bad); i++)
        assert_false(ipc_instance_name_valid(bad[i]));
    assert_true(ipc_region_name_valid("ring.alice-blue.0.orders"));
    assert_false(ipc_region_name_valid(".new.thing"));
    assert_false(ipc_region_name_valid("a/../b"));
    assert_true(ipc_instance_name_valid("01234567890123456789012345678901"));
}

static void test_directory_has_its_mode_whatever_the_umask(void **state)
{
    struct world *world = *state;
    struct ipc_shm shm;
    mode_t old = umask(0077);
    assert_int_equal(ipc_shm_open(&shm, world->temporary.path, "masked", true, NULL), IPC_OK);
    struct ipc_region region;
    assert_int_equal(ipc_region_create(&shm, &spec, NULL, NULL, &region, NULL), IPC_OK);
    umask(old);
    struct stat status;
    assert_int_equal(fstat(shm.fd, &status), 0);
    assert_int_equal(status.st_mode & 07777, 02770);
    assert_int_equal(fstat(region.fd, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0660);
    assert_true(status.st_blocks * 512 >= status.st_size); /* its memory is there */
    ipc_region_detach(&region);
    ipc_shm_close(&shm);
}

static void test_directory_results(void **state)
{
    struct world *world = *state;
    struct ipc_shm shm;
    struct ipc_error error;
    const char *base = world->temporary.path;
    assert_int_equal(ipc_shm_open(&shm, base, "none", false, &error), IPC_NOT_FOUND);
    assert_non_null(strstr(error.text, "lockstep.none"));
    assert_int_equal(ipc_shm_open(&shm, base, "No/ne", true, &error), IPC_BAD_INPUT);
    assert_int_equal(ipc_shm_open(&shm, "/nowhere", "t1", true, &error), IPC_NOT_FOUND);
    assert_int_equal(shm.fd, -1);

    /* A maker that died between mkdir and chmod is helped out. */
    char path[128];
    snprintf(path, sizeof path, "%s/lockstep.half", base);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(ipc_shm_open(&shm, base, "half", false, &error), IPC_OK);
    struct ipc_shm inside;
    assert_int_equal(ipc_shm_open_inside(&shm, "journal.0", false, &inside, &error), IPC_NOT_FOUND);
    assert_int_equal(ipc_shm_open_inside(&shm, "journal.0", true, &inside, &error), IPC_OK);
    ipc_shm_close(&inside);
    ipc_shm_close(&shm);

    assert_int_equal(setenv(IPC_SHM_BASE_VARIABLE, base, 1), 0);
    assert_int_equal(ipc_shm_open(&shm, NULL, "half", false, &error), IPC_OK);
    assert_int_equal(strncmp(shm.path, base, strlen(base)), 0);
    ipc_shm_close(&shm);
    unsetenv(IPC_SHM_BASE_VARIABLE);
}

static void test_made_then_attached(void **state)
{
    struct world *world = *state;
    struct ipc_region made, writer, reader;
    make(world, 0x5a, &made);
    assert_int_equal(made.body_bytes, 10000);
    assert_int_equal((uintptr_t)made.body % 4096, 0);

    struct ipc_region_spec read_only = spec;
    read_only.flags = IPC_REGION_PREFAULT;
    read_only.body_bytes = 1;
    assert_int_equal(ipc_region_attach(&world->shm, &spec, &writer, NULL), IPC_OK);
    assert_int_equal(ipc_region_attach(&world->shm, &read_only, &reader, NULL), IPC_OK);
    assert_int_equal(reader.body_bytes, 10000);
    assert_int_equal(reader.generation, made.generation);
    assert_int_equal(((uint8_t *)reader.body)[9999], 0x5a);
    ((uint8_t *)writer.body)[9999] = 0x11;
    assert_int_equal(((uint8_t *)reader.body)[9999], 0x11);
    assert_int_equal(ipc_region_current(&world->shm, &reader, NULL), IPC_OK);
    ipc_region_detach(&reader);
    ipc_region_detach(&reader); /* harmless */
    ipc_region_detach(&writer);
    ipc_region_detach(&made);
}

static void test_existing_name_is_kept_or_replaced(void **state)
{
    struct world *world = *state;
    struct ipc_region first, second, third;
    struct ipc_error error;
    make(world, 1, &first);
    assert_int_equal(
        ipc_region_create(&world->shm, &spec, NULL, NULL, &second, &error), IPC_EXISTS);
    assert_int_equal(second.fd, -1);
    assert_int_equal(ipc_region_open(&world->shm, &spec, NULL, NULL, &second, &error), IPC_OK);
    assert_int_equal(second.generation, first.generation);
    assert_int_equal(((uint8_t *)second.body)[0], 1);

    struct ipc_region_spec replacing = spec;
    replacing.flags |= IPC_REGION_REPLACE;
    assert_int_equal(
        ipc_region_create(&world->shm, &replacing, NULL, NULL, &third, &error), IPC_OK);
    assert_int_not_equal(third.generation, first.generation);
    assert_int_equal(ipc_region_current(&world->shm, &first, &error), IPC_GONE);
    assert_non_null(strstr(error.text, "replaced"));
    assert_int_equal(ipc_region_current(&world->shm, &third, &error), IPC_OK);
    assert_int_equal(((uint8_t *)second.body)[0], 1); /* the old memory is still theirs */

    assert_int_equal(ipc_region_remove(&world->shm, spec.name, &error), IPC_OK);
    assert_int_equal(ipc_region_current(&world->shm, &third, &error), IPC_GONE);
    assert_non_null(strstr(error.text, "removed"));
    assert_int_equal(ipc_region_remove(&world->shm, spec.name, &error), IPC_NOT_FOUND);
    ipc_region_detach(&first);
    ipc_region_detach(&second);
    ipc_region_detach(&third);
}

static void test_bad_specs_are_refused(void **state)
{
    struct world *world = *state;
    struct ipc_region region;
    struct ipc_region_spec bad = spec;
    bad.body_bytes = 0;
    assert_int_equal(
        ipc_region_create(&world->shm, &bad, NULL, NULL, &region, NULL), IPC_BAD_INPUT);
    bad = spec;
    bad.name = "../thing";
    assert_int_equal(
        ipc_region_create(&world->shm, &bad, NULL, NULL, &region, NULL), IPC_BAD_INPUT);
    assert_int_equal(ipc_region_attach(&world->shm, &bad, &region, NULL), IPC_BAD_INPUT);
    bad = spec;
    bad.kind = (enum ipc_region_kind)0;
    assert_int_equal(
        ipc_region_create(&world->shm, &bad, NULL, NULL, &region, NULL), IPC_BAD_INPUT);
    bad = spec;
    bad.body_bytes = UINT64_MAX - 100;
    assert_int_equal(
        ipc_region_create(&world->shm, &bad, NULL, NULL, &region, NULL), IPC_BAD_INPUT);
}

/* --- children --- */

static pid_t start_child(void (*run)(void *), void *context)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        run(context);
        _exit(0);
    }
    return child;
}

static int wait_child(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void write_byte(void *at)
{
    *(volatile uint8_t *)at = 1;
}

static void test_reader_cannot_write_and_child_cannot_see(void **state)
{
    struct world *world = *state;
    struct ipc_region made;
    make(world, 1, &made);
    /* The child of a fork does not have the mapping at all. */
    int status = wait_child(start_child(write_byte, made.body));
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
    assert_int_equal(((uint8_t *)made.body)[0], 1);
    ipc_region_detach(&made);
}

struct reader_job {
    const struct world *world;
};

static void attach_and_write(void *context)
{
    const struct reader_job *job = context;
    struct ipc_region_spec read_only = spec;
    read_only.flags = 0;
    struct ipc_region region;
    if (ipc_region_attach(&job->world->shm, &read_only, &region, NULL) != IPC_OK)
        _exit(3);
    write_byte(region.body);
}

static void test_read_only_mapping_traps_a_write(void **state)
{
    struct world *world = *state;
    struct ipc_region made;
    make(world, 7, &made);
    struct reader_job job = {.world = world};
    int status = wait_child(start_child(attach_and_write, &job));
    assert_true(WIFSIGNALED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 3));
    assert_int_equal(((uint8_t *)made.body)[0], 7);
    ipc_region_detach(&made);
}

static bool mapping_has_flag(const void *address, const char *flag)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    assert_non_null(file);
    char line[512], start[32];
    snprintf(start, sizeof start, "%lx-", (unsigned long)(uintptr_t)address);
    bool inside = false, found = false;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, start, strlen(start)) == 0)
            inside = true;
        if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            found = strstr(line, flag) != NULL;
            break;
        }
    }
    fclose(file);
    return found;
}

static void test_core_files_leave_it_out_when_asked(void **state)
{
    struct world *world = *state;
    struct ipc_region region;
    struct ipc_region_spec secret = spec;
    secret.flags |= IPC_REGION_DONTDUMP;
    assert_int_equal(ipc_region_create(&world->shm, &secret, NULL, NULL, &region, NULL), IPC_OK);
    assert_true(mapping_has_flag(region.mapping, " dd"));
    assert_true(mapping_has_flag(region.mapping, " dc"));
    ipc_region_detach(&region);
    assert_int_equal(ipc_region_attach(&world->shm, &spec, &region, NULL), IPC_OK);
    assert_false(mapping_has_flag(region.mapping, " dd"));
    ipc_region_detach(&region);
}

struct holder_job {
    const struct world *world;
    int ready_fd;
};

static void hold_role(void *context)
{
    const struct holder_job *job = context;
    struct ipc_region region;
    if (ipc_region_attach(&job->world->shm, &spec, &region, NULL) != IPC_OK ||
        ipc_region_lock(&region, IPC_LOCK_WRITER) != IPC_OK)
        _exit(3);
    if (write(job->ready_fd, "r", 1) != 1)
        _exit(4);
    for (;;)
        pause();
}

/* Death ends ownership at once, before the parent reaps; a stop does not end it. */
static void test_ownership_ends_with_the_process_only(void **state)
{
    struct world *world = *state;
    struct ipc_region made;
    make(world, 1, &made);
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    struct holder_job job = {.world = world, .ready_fd = ends[1]};
    pid_t child = start_child(hold_role, &job);
    assert_int_equal(read(ends[0], &byte, 1), 1);

    assert_true(ipc_region_is_locked(&made, IPC_LOCK_WRITER));
    assert_false(ipc_region_is_locked(&made, IPC_LOCK_READER));
    assert_int_equal(ipc_region_lock(&made, IPC_LOCK_WRITER), IPC_BUSY);
    assert_int_equal(ipc_region_lock(&made, IPC_LOCK_READER), IPC_OK);
    assert_int_equal(ipc_region_remove(&world->shm, spec.name, NULL), IPC_BUSY);
    ipc_region_unlock(&made, IPC_LOCK_READER);

    kill(child, SIGSTOP);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WSTOPPED), 0);
    assert_int_equal(ipc_region_lock(&made, IPC_LOCK_WRITER), IPC_BUSY);

    kill(child, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    /* An unreaped zombie: its pid still exists, its lock does not. */
    assert_int_equal(kill(child, 0), 0);
    assert_int_equal(ipc_region_lock(&made, IPC_LOCK_WRITER), IPC_OK);
    wait_child(child);
    close(ends[0]);
    close(ends[1]);
    ipc_region_detach(&made);
}

struct race_job {
    const struct world *world;
    struct race_result {
        _Atomic uint32_t go;
        uint64_t generation[2];
        uint32_t inits[2];
        uint32_t index;
    } * result;
    uint32_t index;
};

static void count_init(void *body, void *context)
{
    struct race_job *job = context;
    job->result->inits[job->index]++;
    memset(body, 0x77, 10000);
}

static void race(void *context)
{
    struct race_job *job = context;
    struct ipc_region region;
    while (__atomic_load_n(&job->result->go, __ATOMIC_ACQUIRE) == 0) {
    }
    if (ipc_region_open(&job->world->shm, &spec, count_init, job, &region, NULL) != IPC_OK)
        _exit(3);
    if (((uint8_t *)region.body)[9999] != 0x77)
        _exit(4);
    job->result->generation[job->index] = region.generation;
}

static void test_two_creators_agree(void **state)
{
    struct world *world = *state;
    /* MAP_SHARED memory of the test's own, which children keep. */
    char path[128];
    snprintf(path, sizeof path, "%s/race", world->temporary.path);
    struct race_result *result =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(result != MAP_FAILED);
    for (unsigned round = 0; round < 40; round++) {
        memset((void *)result, 0, sizeof *result);
        struct race_job jobs[2] = {{.world = world, .result = result, .index = 0},
            {.world = world, .result = result, .index = 1}};
        pid_t a = start_child(race, &jobs[0]);
        pid_t b = start_child(race, &jobs[1]);
        __atomic_store_n(&result->go, 1, __ATOMIC_RELEASE);
        assert_int_equal(wait_child(a), 0);
        assert_int_equal(wait_child(b), 0);
        assert_int_equal(result->generation[0], result->generation[1]);
        assert_int_not_equal(result->generation[0], 0);
        assert_int_equal(ipc_region_remove(&world->shm, spec.name, NULL), IPC_OK);
    }
    uint32_t removed;
    assert_int_equal(ipc_region_sweep_older(&world->shm, 0, &removed, NULL), IPC_OK);
    assert_int_equal(removed, 0); /* the losers cleaned up */
    munmap((void *)result, 4096);
}

/* --- a full file system --- */

static void fill_small_mount(void *context)
{
    const struct world *world = context;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        _exit(77);
    char path[128];
    snprintf(path, sizeof path, "%s/small", world->temporary.path);
    if (mkdir(path, 0755) != 0 || mount("none", path, "tmpfs", 0, "size=256k") != 0)
        _exit(77);
    struct ipc_shm shm;
    struct ipc_region region;
    struct ipc_error error = {.text = ""};
    if (ipc_shm_open(&shm, path, "t1", true, &error) != IPC_OK)
        _exit(1);
    struct ipc_region_spec large = spec;
    large.body_bytes = 1024 * 1024;
    errno = 0;
    if (ipc_region_create(&shm, &large, NULL, NULL, &region, &error) != IPC_SYSTEM)
        _exit(2);
    if (errno != ENOSPC || strstr(error.text, "no room") == NULL)
        _exit(3);
    uint32_t removed;
    if (ipc_region_sweep_older(&shm, 0, &removed, NULL) != IPC_OK || removed != 0)
        _exit(4);
    /* What fits still works, and to its last byte. */
    if (ipc_region_create(&shm, &spec, NULL, NULL, &region, &error) != IPC_OK)
        _exit(5);
    memset(region.body, 1, region.body_bytes);
}

static void test_full_file_system_is_an_error_not_a_signal(void **state)
{
    struct world *world = *state;
    if (geteuid() != 0) {
        print_message("mounting a small tmpfs needs root: not tested\n");
        skip();
    }
    int status = wait_child(start_child(fill_small_mount, world));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("this environment does not let us mount a tmpfs: not tested\n");
        skip();
    }
    assert_int_equal(status, 0);
}

/* --- listing --- */

struct seen {
    unsigned entries, temporary, ours;
    struct ipc_region_info info;
};

static bool see(const struct ipc_region_info *info, void *context)
{
    struct seen *seen = context;
    seen->entries++;
    seen->temporary += info->is_temporary;
    if (strcmp(info->name, spec.name) == 0) {
        seen->ours++;
        seen->info = *info;
    }
    return true;
}

static void test_listing_tells_what_is_there(void **state)
{
    struct world *world = *state;
    struct ipc_region region;
    make(world, 1, &region);
    assert_int_equal(ipc_region_lock(&region, IPC_LOCK_READER), IPC_OK);
    int fd = openat(world->shm.fd, ".new.thing.0.left", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);

    struct seen seen = {.entries = 0};
    assert_int_equal(ipc_region_list(&world->shm, see, &seen, NULL), IPC_OK);
    assert_int_equal(seen.entries, 2);
    assert_int_equal(seen.temporary, 1);
    assert_int_equal(seen.ours, 1);
    assert_true(seen.info.has_header);
    assert_true(seen.info.creator_alive);
    assert_int_equal(seen.info.header.creator_pid, getpid());
    assert_int_equal(seen.info.header.kind, IPC_REGION_OTHER);
    assert_int_equal(seen.info.locks_held, 1u << IPC_LOCK_READER);
    assert_int_equal(seen.info.file_bytes, 4096 + 12288);
    assert_string_equal(seen.info.problem, "");

    /* Young leftovers may have a maker that has not locked yet. */
    uint32_t removed;
    assert_int_equal(ipc_region_sweep(&world->shm, &removed, NULL), IPC_OK);
    assert_int_equal(removed, 0);
    assert_int_equal(ipc_region_sweep_older(&world->shm, 0, &removed, NULL), IPC_OK);
    assert_int_equal(removed, 1);
    ipc_region_detach(&region);
    struct ipc_region_info info;
    assert_int_equal(ipc_region_inspect(&world->shm, "nothing", &info, NULL), IPC_NOT_FOUND);
    assert_int_equal(ipc_region_inspect(&world->shm, "../x", &info, NULL), IPC_NOT_FOUND);
}

/* A pid that was given to another process is not the creator. */
static void test_reused_pid_is_not_the_creator(void **state)
{
    struct world *world = *state;
    struct ipc_region region;
    make(world, 1, &region);
    struct ipc_region_header *header = region.mapping;
    header->creator_start++;
    header->crc = ipc_crc32c(0, header, offsetof(struct ipc_region_header, crc));
    struct ipc_region_info info;
    assert_int_equal(ipc_region_inspect(&world->shm, spec.name, &info, NULL), IPC_OK);
    assert_true(info.has_header);
    assert_false(info.creator_alive);
    ipc_region_detach(&region);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_names),
        TEST(test_directory_has_its_mode_whatever_the_umask),
        TEST(test_directory_results),
        TEST(test_made_then_attached),
        TEST(test_existing_name_is_kept_or_replaced),
        TEST(test_bad_specs_are_refused),
        TEST(test_reader_cannot_write_and_child_cannot_see),
        TEST(test_read_only_mapping_traps_a_write),
        TEST(test_core_files_leave_it_out_when_asked),
        TEST(test_ownership_ends_with_the_process_only),
        TEST(test_two_creators_agree),
        TEST(test_full_file_system_is_an_error_not_a_signal),
        TEST(test_listing_tells_what_is_there),
        TEST(test_reused_pid_is_not_the_creator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
