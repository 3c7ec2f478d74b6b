/* switches_test.c: words, their bounds and their order against the sequence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/switches.h"
#include "tests/support/tempshm.h"

struct fixture {
    struct tempshm temporary;
    struct ipc_shm shm;
    struct ipc_switches writer;
    struct ipc_switches reader;
};

static const struct ipc_switches_shape shape = {.accounts = 20, .slots = 30, .instruments = 40};

static void make(struct fixture *f)
{
    struct ipc_error error = {{0}};
    memset(f, 0, sizeof(*f));
    tempshm_make(&f->temporary);
    assert_int_equal(ipc_shm_open(&f->shm, f->temporary.path, "switch", true, &error), IPC_OK);
    if (ipc_switches_open_writer(&f->shm, &shape, &f->writer, &error) != IPC_OK ||
        ipc_switches_open_reader(&f->shm, &f->reader, &error) != IPC_OK)
        fail_msg("%s", error.text);
}

static void drop(struct fixture *f)
{
    ipc_switches_close(&f->writer);
    ipc_switches_close(&f->reader);
    ipc_shm_close(&f->shm);
    tempshm_remove(&f->temporary);
}

/* One word set; what an order of broker 1, master 2, slot 3, instrument 4 may do. */
struct row {
    enum ipc_switch_scope scope;
    uint32_t index;
    enum ipc_switch value;
    enum ipc_rc rc;
    enum ipc_switch order;
};

static const struct row rows[] = {
    {IPC_SWITCH_GLOBAL, 0, IPC_SWITCH_RUN, IPC_OK, IPC_SWITCH_RUN},
    {IPC_SWITCH_GLOBAL, 0, IPC_SWITCH_CLOSE_ONLY, IPC_OK, IPC_SWITCH_CLOSE_ONLY},
    {IPC_SWITCH_GLOBAL, 0, IPC_SWITCH_HALT, IPC_OK, IPC_SWITCH_HALT},
    {IPC_SWITCH_GLOBAL, 1, IPC_SWITCH_HALT, IPC_BAD_INPUT, IPC_SWITCH_RUN},
    {IPC_SWITCH_BROKER, 1, IPC_SWITCH_HALT, IPC_OK, IPC_SWITCH_HALT},
    {IPC_SWITCH_BROKER, 0, IPC_SWITCH_HALT, IPC_OK, IPC_SWITCH_RUN},
    {IPC_SWITCH_BROKER, 63, IPC_SWITCH_HALT, IPC_OK, IPC_SWITCH_RUN},
    {IPC_SWITCH_BROKER, 64, IPC_SWITCH_HALT, IPC_BAD_INPUT, IPC_SWITCH_RUN},
    {IPC_SWITCH_MASTER, 2, IPC_SWITCH_CLOSE_ONLY, IPC_OK, IPC_SWITCH_CLOSE_ONLY},
    {IPC_SWITCH_MASTER, 3, IPC_SWITCH_CLOSE_ONLY, IPC_OK, IPC_SWITCH_RUN},
    {IPC_SWITCH_MASTER, 0, IPC_SWITCH_HALT, IPC_BAD_INPUT, IPC_SWITCH_RUN},
    {IPC_SWITCH_MASTER, 20, IPC_SWITCH_HALT, IPC_OK, IPC_SWITCH_RUN},
    {IPC_SWITCH_MASTER, 21, IPC_SWITCH_HALT, IPC_BAD_INPUT, IPC_SWITCH_RUN},
    {IPC_SWITCH_FOLLOWER, 3, IPC_SWITCH_HALT, IPC_OK, IPC_SWITCH_HALT},
    {IPC_SWITCH_FOLLOWER, 0, IPC_SWITCH_HALT, IPC_OK, IPC_SWITCH_RUN},
    {IPC_SWITCH_FOLLOWER, 29, IPC_SWITCH_HALT, IPC_OK, IPC_SWITCH_RUN},
    {IPC_SWITCH_FOLLOWER, 30, IPC_SWITCH_HALT, IPC_BAD_INPUT, IPC_SWITCH_RUN},
    {IPC_SWITCH_INSTRUMENT, 4, IPC_SWITCH_CLOSE_ONLY, IPC_OK, IPC_SWITCH_CLOSE_ONLY},
    {IPC_SWITCH_INSTRUMENT, 0, IPC_SWITCH_HALT, IPC_BAD_INPUT, IPC_SWITCH_RUN},
    {IPC_SWITCH_INSTRUMENT, 40, IPC_SWITCH_HALT, IPC_OK, IPC_SWITCH_RUN},
    {IPC_SWITCH_INSTRUMENT, 41, IPC_SWITCH_HALT, IPC_BAD_INPUT, IPC_SWITCH_RUN},
    {IPC_SWITCH_INSTRUMENT, UINT32_MAX, IPC_SWITCH_HALT, IPC_BAD_INPUT, IPC_SWITCH_RUN},
    {IPC_SWITCH_GLOBAL, 0, (enum ipc_switch)3, IPC_BAD_INPUT, IPC_SWITCH_RUN},
};

static void test_table(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        const struct row *row = &rows[i];
        uint64_t before = ipc_switch_sequence(&f.reader);
        uint64_t sequence = 0;
        enum ipc_rc rc = ipc_switches_set(&f.writer, row->scope, row->index, row->value, &sequence);
        assert_int_equal(rc, row->rc);
        assert_int_equal(ipc_switch_sequence(&f.reader), before + (rc == IPC_OK ? 1 : 0));
        assert_int_equal(ipc_switch_strictest(&f.reader, 1, 2, 3, 4), row->order);
        if (rc != IPC_OK)
            continue;
        assert_int_equal(sequence, before + 1);
        assert_int_equal(ipc_switches_get(&f.reader, row->scope, row->index), row->value);
        assert_int_equal(
            ipc_switches_set(&f.writer, row->scope, row->index, IPC_SWITCH_RUN, &sequence), IPC_OK);
    }
    drop(&f);
}

/* All combinations of the five words: the strictest counts. */
static void test_strictest(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t sequence;
    make(&f);
    for (uint32_t code = 0; code < 243; code++) {
        static const uint32_t index[5] = {0, 1, 2, 3, 4};
        uint32_t strictest = 0;
        uint32_t rest = code;
        for (uint32_t scope = 0; scope < 5; scope++, rest /= 3) {
            strictest = rest % 3 > strictest ? rest % 3 : strictest;
            assert_int_equal(ipc_switches_set(&f.writer, (enum ipc_switch_scope)scope, index[scope],
                                 (enum ipc_switch)(rest % 3), &sequence),
                IPC_OK);
        }
        assert_int_equal(ipc_switch_strictest(&f.reader, 1, 2, 3, 4), strictest);
    }
    drop(&f);
}

static void test_out_of_range_is_halt(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    assert_int_equal(ipc_switch_strictest(&f.reader, 1, 2, 3, 4), IPC_SWITCH_RUN);
    assert_int_equal(ipc_switch_strictest(&f.reader, 64, 2, 3, 4), IPC_SWITCH_HALT);
    assert_int_equal(ipc_switch_strictest(&f.reader, 1, 0, 3, 4), IPC_SWITCH_HALT);
    assert_int_equal(ipc_switch_strictest(&f.reader, 1, 21, 3, 4), IPC_SWITCH_HALT);
    assert_int_equal(ipc_switch_strictest(&f.reader, 1, 2, 30, 4), IPC_SWITCH_HALT);
    assert_int_equal(ipc_switch_strictest(&f.reader, 1, 2, UINT32_MAX, 4), IPC_SWITCH_HALT);
    assert_int_equal(ipc_switch_strictest(&f.reader, 1, 2, 3, 0), IPC_SWITCH_HALT);
    assert_int_equal(ipc_switch_strictest(&f.reader, 1, 2, 3, 41), IPC_SWITCH_HALT);
    assert_int_equal(ipc_switches_get(&f.reader, IPC_SWITCH_MASTER, 0), IPC_SWITCH_HALT);
    /* A word that nobody of ours wrote. */
    atomic_store((_Atomic uint32_t *)&f.writer.slots[3], 77);
    assert_int_equal(ipc_switch_strictest(&f.reader, 1, 2, 3, 4), IPC_SWITCH_HALT);
    drop(&f);
}

static void test_one_writer(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_switches second;
    struct ipc_error error;
    struct ipc_switches_shape larger = {.accounts = 21, .slots = 30, .instruments = 40};
    uint64_t sequence;
    make(&f);
    assert_int_equal(ipc_switches_open_writer(&f.shm, &shape, &second, &error), IPC_BUSY);
    assert_int_equal(
        ipc_switches_set(&f.writer, IPC_SWITCH_MASTER, 2, IPC_SWITCH_HALT, &sequence), IPC_OK);
    ipc_switches_close(&f.writer);
    assert_int_equal(ipc_switches_open_writer(&f.shm, &larger, &second, &error), IPC_BAD_SIZE);
    assert_non_null(strstr(error.text, "20 accounts"));
    /* A refused open let go of the lock, and words outlive their writers. */
    assert_int_equal(ipc_switches_open_writer(&f.shm, &shape, &f.writer, &error), IPC_OK);
    assert_int_equal(ipc_switches_get(&f.writer, IPC_SWITCH_MASTER, 2), IPC_SWITCH_HALT);
    assert_true(ipc_switch_sequence(&f.reader) > sequence);
    drop(&f);
}

/* A killed writer leaves every word old or new, and its successor's sequence is above any that was
 * seen. */
static void test_killed_writer(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    ipc_switches_close(&f.writer);
    uint64_t last = ipc_switch_sequence(&f.reader);
    for (uint32_t round = 0; round < 20; round++) {
        pid_t child = fork();
        if (child == 0) {
            struct ipc_switches page;
            uint64_t sequence;
            if (ipc_switches_open_writer(&f.shm, &shape, &page, NULL) != IPC_OK)
                _exit(3);
            for (uint32_t i = 0;; i++) {
                if (ipc_switches_set(&page, IPC_SWITCH_FOLLOWER, i % 30, (enum ipc_switch)(i % 3),
                        &sequence) != IPC_OK)
                    _exit(4);
            }
        }
        int status = 0;
        /* Until it has begun, and then some. */
        while (ipc_switch_sequence(&f.reader) < last + 2)
            usleep(100);
        usleep(round * 100);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        for (uint32_t slot = 0; slot < 30; slot++)
            assert_true(
                ipc_switch_valid((uint32_t)ipc_switches_get(&f.reader, IPC_SWITCH_FOLLOWER, slot)));
        uint64_t seen = ipc_switch_sequence(&f.reader);
        assert_true(seen > last);
        last = seen;
    }
    drop(&f);
}

/* A reader that has sequence n sees at least change n. Change n writes n into the words in turn:
 * word (n % 8) gets (n / 8) % 3, so a missed change shows. */
struct race {
    struct ipc_switches *writer;
    uint64_t base;
    uint32_t changes;
};

static enum ipc_switch value_of(uint64_t change)
{
    return (enum ipc_switch)(change / 8 % 3);
}

static void *change_words(void *context)
{
    struct race *race = context;
    for (uint64_t change = 1; change <= race->changes; change++) {
        uint64_t sequence;
        if (ipc_switches_set(race->writer, IPC_SWITCH_FOLLOWER, (uint32_t)(change % 8),
                value_of(change), &sequence) != IPC_OK ||
            sequence != race->base + change)
            abort();
    }
    return NULL;
}

static void test_sequence_covers_words(void **state)
{
    (void)state;
    struct fixture f;
    pthread_t thread;
    make(&f);
    struct race race = {
        .writer = &f.writer, .base = ipc_switch_sequence(&f.reader), .changes = 200000};
    assert_int_equal(pthread_create(&thread, NULL, change_words, &race), 0);
    uint64_t looks = 0;
    for (uint64_t seen = 0; seen < race.changes; looks++) {
        seen = ipc_switch_sequence(&f.reader) - race.base;
        if (seen == 0)
            continue;
        uint32_t word =
            (uint32_t)ipc_switches_get(&f.reader, IPC_SWITCH_FOLLOWER, (uint32_t)(seen % 8));
        uint64_t after = ipc_switch_sequence(&f.reader) - race.base;
        /* Unless the word was due again meanwhile, it is that of the last change. */
        if (after + 1 < seen + 8)
            assert_int_equal(word, value_of(seen));
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(looks > 0);
    drop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_strictest),
        cmocka_unit_test(test_out_of_range_is_halt),
        cmocka_unit_test(test_one_writer),
        cmocka_unit_test(test_killed_writer),
        cmocka_unit_test(test_sequence_covers_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
