#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "engine/contract_changes.h"

#define ROWS 100

struct tables {
    struct ipc_row_broker brokers[3];
    struct ipc_row_instrument instruments[ROWS];
    struct ipc_row_contract contracts[8];
    struct ipc_snapshot_view view;
};

static void tables_make(struct tables *t)
{
    memset(t, 0, sizeof(*t));
    for (uint32_t i = 0; i < ROWS; i++) {
        struct ipc_row_instrument *row = &t->instruments[i];
        row->instrument = i + 1;
        row->exchange = IPC_EXCHANGE_NFO;
        row->lot_qty_e8 = 65 * LS_E8;
        row->tick_e8 = 5000000;
        row->freeze_qty_e8 = 1800 * LS_E8;
        snprintf(row->underlying, sizeof(row->underlying), "U%u", i / 10);
    }
    for (uint32_t i = 0; i < 3; i++)
        t->brokers[i].live = i != 1;
    t->view = (struct ipc_snapshot_view){.generation = 2,
        .brokers = t->brokers,
        .broker_count = 3,
        .instruments = t->instruments,
        .instrument_count = ROWS,
        .contracts = t->contracts};
}

static void add(struct tables *t, uint32_t instrument, uint16_t broker, int64_t lot)
{
    t->contracts[t->view.contract_count++] = (struct ipc_row_contract){.instrument = instrument,
        .broker = broker,
        .lot_qty_e8 = lot * LS_E8,
        .tick_e8 = 5000000,
        .freeze_qty_e8 = 1800 * LS_E8};
}

static struct tables before, after;
static struct eng_contract_changes changes;

static void nothing_is_told_of_what_stays(void **state)
{
    (void)state;
    tables_make(&before);
    tables_make(&after);
    /* New contracts, vanished ones, tokens and symbols are no changes of a contract. */
    after.view.instrument_count = ROWS;
    before.view.instrument_count = ROWS - 10;
    before.instruments[3].instrument = 0;
    before.instruments[3].lot_qty_e8 = 0;
    after.instruments[4].flags = IPC_INSTRUMENT_GONE;
    memcpy(after.instruments[5].token, "9", 2);
    add(&after, 7, 0, 65); /* spelled out, and the same */
    add(&after, 7, 2, 65);
    eng_contract_changes_find(&before.view, &after.view, &changes);
    assert_int_equal(changes.count, 0);
    assert_int_equal(changes.others, 0);
}

static void changes_are_grouped(void **state)
{
    (void)state;
    tables_make(&before);
    tables_make(&after);
    for (uint32_t i = 10; i < 20; i++) { /* all of U1 */
        after.instruments[i].lot_qty_e8 = 75 * LS_E8;
        after.instruments[i].freeze_qty_e8 = 1755 * LS_E8;
    }
    after.instruments[20].tick_e8 = 10000000;
    eng_contract_changes_find(&before.view, &after.view, &changes);
    assert_int_equal(changes.count, 3);
    assert_int_equal(changes.items[0].field, 0);
    assert_int_equal(changes.items[0].count, 10);
    assert_int_equal(changes.items[0].example, 11);
    assert_int_equal(changes.items[0].broker, UINT16_MAX);
    assert_int_equal(changes.items[0].old_e8, 65 * LS_E8);
    assert_int_equal(changes.items[0].new_e8, 75 * LS_E8);
    assert_string_equal(changes.items[0].underlying, "U1");
    assert_int_equal(changes.items[1].field, 2);
    assert_int_equal(changes.items[2].field, 1);
    assert_string_equal(changes.items[2].underlying, "U2");
    eng_contract_changes_log(&changes, &after.view);
}

static void each_broker_is_compared_with_itself(void **state)
{
    (void)state;
    tables_make(&before);
    tables_make(&after);
    add(&before, 9, 0, 65);
    add(&before, 9, 2, 75); /* brokers differ, and go on so: nothing changed */
    add(&after, 9, 0, 65);
    add(&after, 9, 2, 75);
    add(&after, 30, 0, 65);
    add(&after, 30, 1, 30); /* a broker that is not live */
    add(&after, 30, 2, 80); /* it said what the instrument's own row said */
    eng_contract_changes_find(&before.view, &after.view, &changes);
    assert_int_equal(changes.count, 1);
    assert_int_equal(changes.items[0].broker, 2);
    assert_int_equal(changes.items[0].example, 30);
    assert_int_equal(changes.items[0].new_e8, 80 * LS_E8);
    /* And back into the instrument's row. */
    eng_contract_changes_find(&after.view, &before.view, &changes);
    assert_int_equal(changes.count, 1);
    assert_int_equal(changes.items[0].old_e8, 80 * LS_E8);
    assert_int_equal(changes.items[0].new_e8, 65 * LS_E8);
}

static void what_does_not_fit_is_counted(void **state)
{
    (void)state;
    tables_make(&before);
    tables_make(&after);
    for (uint32_t i = 0; i < ROWS; i++)
        after.instruments[i].lot_qty_e8 = (100 + i) * LS_E8;
    eng_contract_changes_find(&before.view, &after.view, &changes);
    assert_int_equal(changes.count, ENG_CONTRACT_CHANGES_MAX);
    assert_int_equal(changes.others, ROWS - ENG_CONTRACT_CHANGES_MAX);
    eng_contract_changes_log(&changes, &after.view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_told_of_what_stays),
        cmocka_unit_test(changes_are_grouped),
        cmocka_unit_test(each_broker_is_compared_with_itself),
        cmocka_unit_test(what_does_not_fit_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
