/* lockstepctl snapshot, sub, token and reasons, the program itself, on an instance without engines:
 * what each verb leaves in the snapshot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "control/snapshot_file.h"
#include "tests/support/tempshm.h"

#define EXAMPLE LS_TEST_SOURCE_DIR "/conf/snapshot.example.json"

static struct tempshm temporary;
static char output[256 * 1024];

/* Runs a shell line with $CTL; its output to `output`; returns its exit code. */
static int run(const char *line)
{
    char command[2048];
    snprintf(command, sizeof command,
        "export LOCKSTEP_SHM_DIR=%s; CTL='%s/lockstepctl --instance v --key %s/key'; (%s) 2>&1",
        temporary.path, LS_BIN_DIR, temporary.path, line);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t got = fread(output, 1, sizeof output - 1, pipe);
    output[got] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void check(const char *line, int code, const char *wanted)
{
    int got = run(line);
    if (got != code || strstr(output, wanted) == NULL)
        fail_msg("%s: exit %d, '%s' wanted:\n%s", line, got, wanted, output);
}

/* The live image; freed by the caller. */
static void *live_take(struct ipc_snapshot_image *image, struct ipc_snapshot_view *view)
{
    struct ipc_shm shm;
    struct ipc_error error;
    void *memory;
    assert_int_equal(ipc_shm_open(&shm, temporary.path, "v", false, &error), IPC_OK);
    assert_int_equal(ctl_snapshot_read_live(&shm, image, &memory, &error), IPC_OK);
    ipc_shm_close(&shm);
    ipc_snapshot_view_of(image, view);
    return memory;
}

static uint64_t generation(void)
{
    struct ipc_snapshot_image image;
    struct ipc_snapshot_view view;
    free(live_take(&image, &view));
    return image.generation;
}

static int setup(void **state)
{
    (void)state;
    tempshm_make(&temporary);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tempshm_remove(&temporary);
    return 0;
}

static void test_publish_and_show(void **state)
{
    (void)state;
    check("$CTL snapshot publish --check " EXAMPLE, 0, "it would be published: 2 followers");
    check("$CTL snapshot show", 1, ""); /* nothing was: there is no instance yet */
    check("$CTL snapshot publish " EXAMPLE, 0, "generation 1 published");
    check("$CTL snapshot show --json > $LOCKSTEP_SHM_DIR/shown && "
          "$CTL snapshot publish $LOCKSTEP_SHM_DIR/shown",
        0, "generation 1 published (0 of");
    check("$CTL snapshot publish --check $LOCKSTEP_SHM_DIR/shown", 0, "nothing was");
    check("sed 's/\"max_slices\":20/\"max_slices\":2.5/' $LOCKSTEP_SHM_DIR/shown | "
          "$CTL snapshot publish --check -",
        1, "it would be refused: standard input:");
    check("sed 's/\"max_slices\":20/\"max_slices\":2.5/' $LOCKSTEP_SHM_DIR/shown | "
          "$CTL snapshot publish -",
        1, "subscriptions[0].caps.max_slices: must be a whole number");
    assert_int_equal(generation(), 1);
}

static void test_sub(void **state)
{
    (void)state;
    struct ipc_snapshot_image image;
    struct ipc_snapshot_view view;
    check("$CTL sub 1", 0, "\"max_daily_loss\":50000");
    check("$CTL sub 1 pause", 0, "generation 2 published (1 of");
    check("$CTL sub 1", 0, "\"paused\":true");
    check("$CTL sub 1 resume", 0, "generation 3 published");
    check("$CTL sub 9 pause", 1, "there is no follower number '9'");
    check("$CTL sub 1 fly", 2, "'fly' is not pause, resume, disable, enable or end");
    check("$CTL sub 1 pause --keep", 2, "--flatten and --keep belong to 'end'");
    check("$CTL sub 2 end", 1, "publish with --override if that is meant");
    check("$CTL sub 2 end --override", 0, "generation 4 published");
    check("$CTL sub 2", 0, "\"at_end\":\"flatten\""); /* as its flatten_on_unfollow said */
    void *memory = live_take(&image, &view);
    const struct ipc_row_follower *row = &view.followers[1];
    assert_int_equal(row->flags, IPC_FOLLOWER_RETIRED);
    assert_int_equal(view.masters[0].count, 2); /* still reached by exits */
    assert_int_equal(view.map_items[view.maps[row->map - 1].first].to, 3);
    free(memory);
    check("$CTL sub 2 end --keep", 0, "generation 5 published");
    check("$CTL sub 2", 0, "\"at_end\":\"keep_close_only\"");
    check("$CTL sub 2 resume", 1, "follower 2 has ended");
    memory = live_take(&image, &view);
    row = &view.followers[1];
    assert_int_equal(view.policies[row->policy - 1].flags & IPC_POLICY_END_FLATTENS, 0);
    assert_true(view.policies[row->policy - 1].flags & IPC_POLICY_CARRY); /* the rest stays */
    free(memory);
    /* What was changed by hand stands in what is shown. */
    check("$CTL snapshot show --json > $LOCKSTEP_SHM_DIR/shown && "
          "$CTL snapshot publish $LOCKSTEP_SHM_DIR/shown",
        0, "generation 5 published (0 of");
    /* A document that names it starts it anew, in another incarnation. */
    check("$CTL snapshot publish --override " EXAMPLE, 0, "generation 6 published");
    memory = live_take(&image, &view);
    assert_int_equal(view.followers[1].incarnation, 2);
    assert_true(view.followers[1].flags & IPC_FOLLOWER_ENABLED);
    free(memory);
}

/* A new token changes the account and its token, and no other table. */
static void test_token_keeps_the_tables(void **state)
{
    (void)state;
    struct ipc_snapshot_image before, after;
    struct ipc_snapshot_view view;
    void *first = live_take(&before, &view);
    check("printf another-token | $CTL token set F0002", 0, "published");
    void *second = live_take(&after, &view);
    assert_int_equal(view.accounts[2].token_version, 3);
    for (uint32_t t = 0; t < IPC_TABLE_COUNT; t++) {
        assert_int_equal(before.shape.rows[t], after.shape.rows[t]);
        size_t bytes = (size_t)before.shape.rows[t] * ipc_table_row_bytes((enum ipc_table)t, 0);
        if (t != IPC_TABLE_ACCOUNTS && t != IPC_TABLE_TOKENS && bytes > 0)
            assert_memory_equal(before.rows[t], after.rows[t], bytes);
    }
    free(first);
    free(second);
}

static void test_reasons(void **state)
{
    (void)state;
    check("$CTL reasons SUB_LOT", 0, "the quantity is below one lot");
    check("$CTL reasons --json", 0, "{\"code\":2,\"name\":\"SUB_LOT\",\"means\":\"the quantity");
    check("$CTL reasons NO_SUCH", 1, "there is no reason 'NO_SUCH'");
    check("$CTL reasons A B", 2, "takes one NAME or none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_publish_and_show),
        cmocka_unit_test(test_sub),
        cmocka_unit_test(test_token_keeps_the_tables),
        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
