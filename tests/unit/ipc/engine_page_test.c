/* engine_page_test.c: what engines say and what publishers wait for, with engines as processes
 * that answer, refuse, sleep and die. */
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
#include "ipc/engine_page.h"
#include "tests/support/tempshm.h"

struct fixture {
    struct tempshm temporary;
    struct ipc_shm shm;
};

static void make(struct fixture *f)
{
    tempshm_make(&f->temporary);
    assert_int_equal(ipc_shm_open(&f->shm, f->temporary.path, "engines", true, NULL), IPC_OK);
}

static void drop(struct fixture *f)
{
    ipc_shm_close(&f->shm);
    tempshm_remove(&f->temporary);
}

static void test_what_is_said_is_read(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_engine_page page;
    struct ipc_engine_page second;
    struct ipc_engine_status status;
    struct ipc_error error;
    char sentence[400];
    make(&f);
    assert_int_equal(ipc_engine_look(&f.shm, 3, &status, NULL), IPC_NOT_FOUND);
    assert_int_equal(ipc_engine_look(&f.shm, 64, &status, NULL), IPC_BAD_INPUT);
    assert_int_equal(ipc_engine_page_create(&f.shm, 64, "v", &page, NULL), IPC_BAD_INPUT);
    assert_int_equal(ipc_engine_page_create(&f.shm, 3, "0.1.0 1a2b3c", &page, NULL), IPC_OK);
    assert_int_equal(ipc_engine_page_create(&f.shm, 3, "v", &second, &error), IPC_BUSY);
    assert_non_null(strstr(error.text, "shard 3"));
    assert_int_equal(ipc_engine_look(&f.shm, 3, &status, NULL), IPC_OK);
    assert_int_equal(status.shard, 3);
    assert_int_equal(status.state, IPC_ENGINE_STARTING);
    assert_int_equal(status.pid, getpid());
    assert_string_equal(status.version, "0.1.0 1a2b3c");
    assert_int_equal(status.refused_generation, 0);
    ipc_engine_heartbeat(&page, 77);
    ipc_engine_set_state(&page, IPC_ENGINE_RUNNING);
    ipc_engine_set_switch_seen(&page, 12);
    ipc_engine_set_adopted(&page, 34);
    ipc_engine_set_refused(&page, 35, "table followers, row 7: mode is not known");
    atomic_store(&page.words->asleep, 1);
    assert_int_equal(ipc_engine_look(&f.shm, 3, &status, NULL), IPC_OK);
    assert_true(status.live);
    assert_int_equal(status.state, IPC_ENGINE_RUNNING);
    assert_int_equal(status.heartbeat_mono_ns, 77);
    assert_int_equal(status.switch_seen, 12);
    assert_int_equal(status.adopted_generation, 34);
    assert_int_equal(status.refused_generation, 35);
    assert_int_equal(status.asleep, 1);
    assert_string_equal(status.refusal, "table followers, row 7: mode is not known");
    /* Long sentences are cut, control bytes replaced. */
    memset(sentence, 'x', sizeof(sentence));
    sentence[0] = '\n';
    sentence[399] = 0;
    ipc_engine_set_refused(&page, 36, sentence);
    assert_int_equal(ipc_engine_look(&f.shm, 3, &status, NULL), IPC_OK);
    assert_int_equal(strlen(status.refusal), 255);
    assert_int_equal(status.refusal[0], '?');
    /* A bell is attached to the same word, and stays attached to the next engine of the shard. */
    struct ipc_engine_bell bell;
    assert_int_equal(ipc_engine_bell_open(&f.shm, 3, &bell, NULL), IPC_OK);
    assert_int_equal(atomic_load(bell.asleep), 1);
    ipc_engine_page_close(&page);
    assert_int_equal(ipc_engine_look(&f.shm, 3, &status, NULL), IPC_OK);
    assert_false(status.live);
    assert_int_equal(ipc_engine_page_create(&f.shm, 3, "v2", &page, NULL), IPC_OK);
    assert_int_equal(atomic_load(bell.asleep), 0);
    assert_int_equal(ipc_engine_look(&f.shm, 3, &status, NULL), IPC_OK);
    assert_int_equal(status.adopted_generation, 0);
    assert_int_equal(status.refused_generation, 0);
    assert_string_equal(status.version, "v2");
    ipc_engine_bell_close(&bell);
    ipc_engine_page_close(&page);
    drop(&f);
}

/* ---- engines as processes -------------------------------------------------------------------- */

enum behaviour { ADOPTS, REFUSES, SILENT, DIES };

/* An engine that answers after delay_ms and then lives until it is killed. */
static pid_t engine(struct fixture *f, uint32_t shard, enum behaviour behaviour, uint32_t delay_ms)
{
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0) {
        close(ready[1]);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        return child;
    }
    struct ipc_engine_page page;
    if (ipc_engine_page_create(&f->shm, shard, "test", &page, NULL) != IPC_OK)
        _exit(3);
    ipc_engine_set_state(&page, IPC_ENGINE_RUNNING);
    if (write(ready[1], "r", 1) != 1)
        _exit(4);
    usleep(delay_ms * 1000);
    switch (behaviour) {
    case ADOPTS:
        ipc_engine_set_adopted(&page, 5);
        ipc_engine_set_switch_seen(&page, 9);
        break;
    case REFUSES:
        ipc_engine_set_refused(&page, 5, "too many followers");
        break;
    case SILENT:
        break;
    case DIES:
        (void)raise(SIGKILL);
        break;
    }
    for (;;)
        pause();
}

static void end(pid_t child)
{
    (void)kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void test_waiting_for_adoption(void **state)
{
    (void)state;
    static const struct {
        enum behaviour shard[2];
        enum ipc_rc rc;
        enum ipc_engine_answer answer[2];
    } rows[] = {
        {{ADOPTS, ADOPTS}, IPC_OK, {IPC_ENGINE_DONE, IPC_ENGINE_DONE}},
        {{ADOPTS, REFUSES}, IPC_REFUSED, {IPC_ENGINE_DONE, IPC_ENGINE_REFUSED}},
        {{DIES, ADOPTS}, IPC_OK, {IPC_ENGINE_DIED, IPC_ENGINE_DONE}},
        {{REFUSES, DIES}, IPC_REFUSED, {IPC_ENGINE_REFUSED, IPC_ENGINE_DIED}},
        {{ADOPTS, SILENT}, IPC_STALE, {IPC_ENGINE_DONE, IPC_ENGINE_PENDING}},
    };
    struct fixture f;
    struct ipc_engine_wait wait;
    make(&f);
    /* Nobody there: nobody to wait for. */
    assert_int_equal(ipc_engine_wait_adopted(&f.shm, 5, LS_NS_PER_S, &wait), IPC_OK);
    assert_int_equal(wait.engine_count, 0);
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        pid_t first = engine(&f, 0, rows[i].shard[0], 20);
        pid_t second = engine(&f, 7, rows[i].shard[1], 40);
        assert_int_equal(ipc_engine_wait_adopted(&f.shm, 5, 300 * LS_NS_PER_MS, &wait), rows[i].rc);
        assert_int_equal(wait.engine_count, 2);
        assert_int_equal(wait.status[0].shard, 0);
        assert_int_equal(wait.status[1].shard, 7);
        assert_int_equal(wait.answer[0], rows[i].answer[0]);
        assert_int_equal(wait.answer[1], rows[i].answer[1]);
        if (wait.answer[1] == IPC_ENGINE_REFUSED)
            assert_string_equal(wait.status[1].refusal, "too many followers");
        end(first);
        end(second);
    }
    struct ipc_engine_status all[4];
    assert_int_equal(ipc_engine_list(&f.shm, true, all, 4), 0);
    assert_int_equal(ipc_engine_list(&f.shm, false, all, 4), 2);
    assert_int_equal(ipc_engine_list(&f.shm, false, all, 1), 1);
    drop(&f);
}

static void test_waiting_for_switches(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_engine_wait wait;
    make(&f);
    pid_t first = engine(&f, 0, ADOPTS, 10);
    pid_t second = engine(&f, 1, ADOPTS, 30);
    int64_t start = ipc_clock_mono_ns();
    assert_int_equal(ipc_engine_wait_switch(&f.shm, 9, 5 * LS_NS_PER_S, &wait), IPC_OK);
    assert_true(ipc_clock_mono_ns() - start < 4 * LS_NS_PER_S);
    assert_true(wait.status[0].switch_seen >= 9 && wait.status[1].switch_seen >= 9);
    /* The next sequence nobody has seen. */
    assert_int_equal(ipc_engine_wait_switch(&f.shm, 10, 50 * LS_NS_PER_MS, &wait), IPC_STALE);
    assert_int_equal(wait.answer[0], IPC_ENGINE_PENDING);
    end(first);
    end(second);
    drop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_said_is_read),
        cmocka_unit_test(test_waiting_for_adoption),
        cmocka_unit_test(test_waiting_for_switches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
