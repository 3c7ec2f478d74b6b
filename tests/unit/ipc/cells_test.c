/* cells_test.c: prices.h and accounts.h: bounds, beliefs, locks, and seqlocks under a writer in
 * another thread and writers that are killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/accounts.h"
#include "ipc/prices.h"
#include "ipc/seqlock.h"
#include "tests/support/tempshm.h"

struct fixture {
    struct tempshm temporary;
    struct ipc_shm shm;
};

static void make(struct fixture *f)
{
    tempshm_make(&f->temporary);
    assert_int_equal(ipc_shm_open(&f->shm, f->temporary.path, "cells", true, NULL), IPC_OK);
}

static void drop(struct fixture *f)
{
    ipc_shm_close(&f->shm);
    tempshm_remove(&f->temporary);
}

static void test_prices(void **state)
{
    (void)state;
    static const struct {
        uint32_t instrument;
        int64_t price_e8, mono_ns;
        enum ipc_rc rc;
    } rows[] = {
        {1, LS_E8, 5, IPC_OK},
        {10, 1, 1, IPC_OK},
        {10, IPC_PRICE_E8_MAX, INT64_MAX, IPC_OK},
        {0, LS_E8, 5, IPC_BAD_INPUT},
        {11, LS_E8, 5, IPC_BAD_INPUT},
        {UINT32_MAX, LS_E8, 5, IPC_BAD_INPUT},
        {1, 0, 5, IPC_BAD_INPUT},
        {1, -LS_E8, 5, IPC_BAD_INPUT},
        {1, IPC_PRICE_E8_MAX + 1, 5, IPC_BAD_INPUT},
        {1, LS_E8, 0, IPC_BAD_INPUT},
        {1, LS_E8, -1, IPC_BAD_INPUT},
    };
    struct fixture f;
    struct ipc_prices writer;
    struct ipc_prices reader;
    struct ipc_price price;
    make(&f);
    assert_int_equal(ipc_prices_open_reader(&f.shm, 3, &reader, NULL), IPC_NOT_FOUND);
    assert_int_equal(ipc_prices_get(&reader, 1, &price), IPC_EMPTY);
    assert_int_equal(ipc_prices_get(NULL, 1, &price), IPC_EMPTY);
    assert_int_equal(ipc_prices_open_writer(&f.shm, 64, 10, &writer, NULL), IPC_BAD_INPUT);
    assert_int_equal(ipc_prices_open_writer(&f.shm, 3, 0, &writer, NULL), IPC_BAD_INPUT);
    assert_int_equal(ipc_prices_open_writer(&f.shm, 3, 10, &writer, NULL), IPC_OK);
    assert_int_equal(ipc_prices_open_reader(&f.shm, 3, &reader, NULL), IPC_OK);
    for (uint32_t i = 0; i <= 11; i++)
        assert_int_equal(ipc_prices_get(&reader, i, &price), IPC_EMPTY);
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct ipc_price wanted = {.price_e8 = rows[i].price_e8, .mono_ns = rows[i].mono_ns};
        assert_int_equal(ipc_prices_set(&writer, rows[i].instrument, &wanted), rows[i].rc);
        if (rows[i].rc != IPC_OK)
            continue;
        assert_int_equal(ipc_prices_get(&reader, rows[i].instrument, &price), IPC_OK);
        assert_memory_equal(&price, &wanted, sizeof(price));
    }
    /* Neighbours were left alone. */
    assert_int_equal(ipc_prices_get(&reader, 9, &price), IPC_EMPTY);
    ipc_prices_close(&writer);
    ipc_prices_close(&reader);
    assert_int_equal(ipc_prices_get(&reader, 1, &price), IPC_EMPTY);
    drop(&f);
}

static void test_accounts(void **state)
{
    (void)state;
    static const struct {
        uint32_t account;
        struct ipc_account_money money;
        enum ipc_rc rc;
    } rows[] = {
        {1, {5 * LS_E8, 3 * LS_E8, 2 * LS_E8, 9}, IPC_OK},
        {5, {-5 * LS_E8, -3 * LS_E8, 0, 9}, IPC_OK},
        {5, {IPC_MONEY_E8_MAX, -IPC_MONEY_E8_MAX, IPC_MONEY_E8_MAX, 9}, IPC_OK},
        {0, {LS_E8, LS_E8, 0, 9}, IPC_BAD_INPUT},
        {6, {LS_E8, LS_E8, 0, 9}, IPC_BAD_INPUT},
        {1, {IPC_MONEY_E8_MAX + 1, LS_E8, 0, 9}, IPC_BAD_INPUT},
        {1, {LS_E8, -IPC_MONEY_E8_MAX - 1, 0, 9}, IPC_BAD_INPUT},
        {1, {LS_E8, LS_E8, -1, 9}, IPC_BAD_INPUT},
        {1, {LS_E8, LS_E8, 0, 0}, IPC_BAD_INPUT},
    };
    struct fixture f;
    struct ipc_accounts writer;
    struct ipc_accounts reader;
    struct ipc_account_money money;
    make(&f);
    assert_int_equal(ipc_accounts_open_writer(&f.shm, 0, 5, &writer, NULL), IPC_OK);
    assert_int_equal(ipc_accounts_open_reader(&f.shm, 0, &reader, NULL), IPC_OK);
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        assert_int_equal(ipc_accounts_set(&writer, rows[i].account, &rows[i].money), rows[i].rc);
        if (rows[i].rc != IPC_OK)
            continue;
        assert_int_equal(ipc_accounts_get(&reader, rows[i].account, &money), IPC_OK);
        assert_memory_equal(&money, &rows[i].money, sizeof(money));
    }
    assert_int_equal(ipc_accounts_get(&reader, 2, &money), IPC_EMPTY);
    assert_int_equal(ipc_accounts_get(&reader, 0, &money), IPC_EMPTY);
    assert_int_equal(ipc_accounts_get(&reader, 6, &money), IPC_EMPTY);
    ipc_accounts_close(&writer);
    ipc_accounts_close(&reader);
    drop(&f);
}

static void test_one_writer_per_broker(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_prices first;
    struct ipc_prices second;
    struct ipc_price price = {.price_e8 = LS_E8, .mono_ns = 1};
    struct ipc_error error;
    make(&f);
    assert_int_equal(ipc_prices_open_writer(&f.shm, 0, 10, &first, NULL), IPC_OK);
    assert_int_equal(ipc_prices_open_writer(&f.shm, 0, 10, &second, &error), IPC_BUSY);
    assert_non_null(strstr(error.text, "prices.0"));
    assert_int_equal(ipc_prices_open_writer(&f.shm, 1, 10, &second, &error), IPC_OK);
    ipc_prices_close(&second);
    assert_int_equal(ipc_prices_set(&first, 7, &price), IPC_OK);
    ipc_prices_close(&first);
    /* More cells than the page has are refused, fewer are fine; prices outlive their writer. */
    assert_int_equal(ipc_prices_open_writer(&f.shm, 0, 11, &second, &error), IPC_BAD_SIZE);
    assert_int_equal(ipc_prices_open_writer(&f.shm, 0, 5, &second, &error), IPC_OK);
    assert_int_equal(ipc_prices_get(&second, 7, &price), IPC_OK);
    assert_int_equal(price.price_e8, LS_E8);
    ipc_prices_close(&second);
    drop(&f);
}

/* A cell of another process can hold anything. */
static void test_hostile_cell(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_prices page;
    struct ipc_price price = {.price_e8 = LS_E8, .mono_ns = 1};
    make(&f);
    assert_int_equal(ipc_prices_open_writer(&f.shm, 0, 4, &page, NULL), IPC_OK);
    _Atomic uint64_t *words = (void *)page.cells; /* sequence, price, time, reserved */
    assert_int_equal(ipc_prices_set(&page, 1, &price), IPC_OK);
    atomic_store(&words[1], (uint64_t)-5);
    assert_int_equal(ipc_prices_get(&page, 1, &price), IPC_BAD_INPUT);
    atomic_store(&words[1], UINT64_C(1) << 62);
    assert_int_equal(ipc_prices_get(&page, 1, &price), IPC_BAD_INPUT);
    /* A writer that died inside a write: unknown, until the next write. */
    atomic_store(&words[0], 3);
    assert_int_equal(ipc_prices_get(&page, 1, &price), IPC_TORN);
    price = (struct ipc_price){.price_e8 = 2 * LS_E8, .mono_ns = 2};
    assert_int_equal(ipc_prices_set(&page, 1, &price), IPC_OK);
    assert_int_equal(atomic_load(&words[0]) % 2, 0);
    assert_int_equal(ipc_prices_get(&page, 1, &price), IPC_OK);
    assert_int_equal(price.price_e8, 2 * LS_E8);
    ipc_prices_close(&page);
    drop(&f);
}

/* ---- a writing thread ------------------------------------------------------------------------ */

struct race {
    struct ipc_accounts *writer;
    _Atomic bool stop;
};

/* Money whose fields all say the same number. */
static struct ipc_account_money money_of(int64_t number)
{
    return (struct ipc_account_money){
        .equity_e8 = number, .cash_e8 = -number, .margin_used_e8 = 2 * number, .mono_ns = number};
}

static void *write_money(void *context)
{
    struct race *race = context;
    for (int64_t number = 1; !atomic_load_explicit(&race->stop, memory_order_relaxed); number++) {
        struct ipc_account_money money = money_of(number);
        if (ipc_accounts_set(race->writer, 3, &money) != IPC_OK)
            abort();
        if (number % 64 == 0)
            usleep(1); /* so that readers get a turn on few cores */
    }
    return NULL;
}

static void test_thread_race(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_accounts writer;
    struct ipc_accounts reader;
    pthread_t thread;
    make(&f);
    assert_int_equal(ipc_accounts_open_writer(&f.shm, 0, 5, &writer, NULL), IPC_OK);
    assert_int_equal(ipc_accounts_open_reader(&f.shm, 0, &reader, NULL), IPC_OK);
    struct race race = {.writer = &writer};
    assert_int_equal(pthread_create(&thread, NULL, write_money, &race), 0);
    uint64_t whole = 0;
    uint64_t torn = 0;
    int64_t last = 0;
    while (whole < 100000) {
        struct ipc_account_money money;
        enum ipc_rc rc = ipc_accounts_get(&reader, 3, &money);
        if (rc == IPC_TORN || rc == IPC_EMPTY) {
            torn++;
            continue;
        }
        assert_int_equal(rc, IPC_OK);
        struct ipc_account_money wanted = money_of(money.mono_ns);
        assert_memory_equal(&money, &wanted, sizeof(money));
        assert_true(money.mono_ns >= last);
        last = money.mono_ns;
        whole++;
    }
    atomic_store(&race.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    print_message("%llu whole, %llu unknown, newest %lld\n", (unsigned long long)whole,
        (unsigned long long)torn, (long long)last);
    ipc_accounts_close(&writer);
    ipc_accounts_close(&reader);
    drop(&f);
}

/* ---- writers that are killed ----------------------------------------------------------------- */

static void test_killed_writers(void **state)
{
    (void)state;
    struct fixture f;
    struct ipc_accounts reader;
    struct ipc_accounts setup;
    make(&f);
    assert_int_equal(ipc_accounts_open_writer(&f.shm, 0, 5, &setup, NULL), IPC_OK);
    ipc_accounts_close(&setup);
    assert_int_equal(ipc_accounts_open_reader(&f.shm, 0, &reader, NULL), IPC_OK);
    uint32_t unknown = 0;
    for (uint32_t round = 0; round < 60; round++) {
        pid_t child = fork();
        if (child == 0) {
            struct ipc_accounts page;
            if (ipc_accounts_open_writer(&f.shm, 0, 5, &page, NULL) != IPC_OK)
                _exit(3);
            for (int64_t number = 1;; number++) {
                struct ipc_account_money money = money_of(number);
                if (ipc_accounts_set(&page, 3, &money) != IPC_OK)
                    _exit(4);
            }
        }
        int status = 0;
        struct ipc_account_money money;
        usleep(1000 + round * 37);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        enum ipc_rc rc = ipc_accounts_get(&reader, 3, &money);
        if (rc == IPC_OK) {
            struct ipc_account_money wanted = money_of(money.mono_ns);
            assert_memory_equal(&money, &wanted, sizeof(money));
        } else {
            assert_true(rc == IPC_TORN || rc == IPC_EMPTY);
            unknown++;
        }
    }
    print_message("60 writers killed, %u inside a write\n", unknown);
    ipc_accounts_close(&reader);
    drop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prices),
        cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_one_writer_per_broker),
        cmocka_unit_test(test_hostile_cell),
        cmocka_unit_test(test_thread_race),
        cmocka_unit_test(test_killed_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
