#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/instruments_merge.h"
#include "ipc/prng.h"

#define TODAY   20260901u
#define BROKERS 3
#define SYMBOLS 12

/* ---- a world of tables ----------------------------------------------------------------------- */

struct tables {
    struct ipc_row_broker brokers[BROKERS];
    struct ipc_row_instrument instruments[256];
    struct ipc_row_contract contracts[1024];
    struct ipc_snapshot_view view;
    struct ctl_freeze freeze;
};

static void tables_make(struct tables *tables, uint32_t brokers)
{
    memset(tables, 0, sizeof(*tables));
    for (uint32_t i = 0; i < brokers; i++)
        tables->brokers[i].live = 1;
    tables->view.brokers = tables->brokers;
    tables->view.broker_count = brokers;
    tables->view.instruments = tables->instruments;
    tables->view.contracts = tables->contracts;
    ctl_freeze_init(&tables->freeze);
}

/* One run of import: sets per broker, NULL = not imported. Tables are replaced when it passes. */
static enum ipc_rc import(struct tables *tables, struct ctl_contract_set *const sets[BROKERS],
    struct ctl_contract_set *every, bool override, struct ctl_merge *kept, struct ipc_error *error)
{
    struct ctl_merge merge;
    ctl_merge_init(&merge, &tables->view, &tables->freeze, TODAY, override);
    enum ipc_rc rc = every != NULL ? ctl_merge_add(&merge, CTL_EVERY_BROKER, every, error) : IPC_OK;
    for (int b = 0; b < BROKERS && rc == IPC_OK; b++)
        if (sets != NULL && sets[b] != NULL)
            rc = ctl_merge_add(&merge, b, sets[b], error);
    if (rc == IPC_OK) {
        ctl_merge_finish(&merge);
        assert_true(merge.instruments.count <= LS_COUNT_OF(tables->instruments));
        assert_true(merge.contracts.count <= LS_COUNT_OF(tables->contracts));
        if (merge.instruments.count > 0)
            memcpy(tables->instruments, merge.instruments.at,
                merge.instruments.count * sizeof(tables->instruments[0]));
        if (merge.contracts.count > 0)
            memcpy(tables->contracts, merge.contracts.at,
                merge.contracts.count * sizeof(tables->contracts[0]));
        tables->view.instrument_count = merge.instruments.count;
        tables->view.contract_count = merge.contracts.count;
    }
    if (kept != NULL)
        *kept = merge;
    else
        ctl_merge_free(&merge);
    return rc;
}

/* ---- sets ------------------------------------------------------------------------------------ */

struct listed {
    char name;         /* the underlying; 'A' ... */
    int32_t lot, tick; /* units; hundredths */
    uint32_t token;
    uint32_t expiry;
};

static void add_line(struct ctl_contract_set *set, const struct listed *listed)
{
    struct ctl_contract_line line = {.line = set->count + 2};
    struct ipc_row_instrument *row = &line.contract.row;
    row->exchange = IPC_EXCHANGE_NFO;
    row->kind = IPC_KIND_FUTURE;
    row->lot_qty_e8 = listed->lot * LS_E8;
    row->tick_e8 = listed->tick * (LS_E8 / 100);
    row->expiry_yyyymmdd = listed->expiry;
    row->underlying[0] = listed->name;
    snprintf(row->token, sizeof(row->token), "%u", listed->token);
    snprintf(row->symbol, sizeof(row->symbol), "%cFUT", listed->name);
    if (set->file_count == 0)
        set->files[set->file_count++] = (struct ctl_contract_file){.path = "t.csv"};
    if (set->count == set->room) {
        set->room = set->room == 0 ? 64 : set->room * 2;
        set->lines = realloc(set->lines, set->room * sizeof(*set->lines));
    }
    set->lines[set->count++] = line;
}

static struct ctl_contract_set *make_set(const struct listed *listed, uint32_t count)
{
    struct ctl_contract_set *set = malloc(sizeof(*set));
    assert_non_null(set);
    ctl_contract_set_init(set);
    for (uint32_t i = 0; i < count; i++)
        add_line(set, &listed[i]);
    return set;
}

static void drop_set(struct ctl_contract_set *set)
{
    if (set != NULL)
        ctl_contract_set_free(set);
    free(set);
}

/* ---- against a naive model ------------------------------------------------------------------- */

/* What one broker says of one contract. */
struct said {
    bool known, gone;
    int32_t lot, tick;
    uint32_t token;
};

struct model {
    struct said said[BROKERS][SYMBOLS];
    uint32_t ids[SYMBOLS]; /* 0 = never listed */
    uint32_t id_count;
};

static void model_import(
    struct model *model, uint32_t broker, const struct listed *listed, uint32_t count)
{
    bool seen[SYMBOLS] = {false};
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t s = (uint32_t)(listed[i].name - 'A');
        seen[s] = true;
        if (model->ids[s] == 0)
            model->ids[s] = ++model->id_count;
        model->said[broker][s] =
            (struct said){true, false, listed[i].lot, listed[i].tick, listed[i].token};
    }
    for (uint32_t s = 0; s < SYMBOLS && count > 0; s++)
        if (!seen[s] && model->said[broker][s].known)
            model->said[broker][s].gone = true;
}

/* What the tables say of a contract at a broker. */
static struct said said_by_tables(const struct tables *tables, uint32_t broker, uint32_t id)
{
    const struct ipc_row_contract *own = NULL;
    bool any = false;
    for (uint32_t i = 0; i < tables->view.contract_count; i++) {
        any = any || tables->contracts[i].instrument == id;
        if (tables->contracts[i].instrument == id && tables->contracts[i].broker == broker)
            own = &tables->contracts[i];
    }
    const struct ipc_row_instrument *row = &tables->instruments[id - 1];
    if (own != NULL)
        return (struct said){true, (own->flags & IPC_CONTRACT_GONE) != 0,
            (int32_t)(own->lot_qty_e8 / LS_E8), (int32_t)(own->tick_e8 / (LS_E8 / 100)),
            (uint32_t)strtoul(own->token, NULL, 10)};
    if (any)
        return (struct said){0};
    return (struct said){true, (row->flags & IPC_INSTRUMENT_GONE) != 0,
        (int32_t)(row->lot_qty_e8 / LS_E8), (int32_t)(row->tick_e8 / (LS_E8 / 100)),
        (uint32_t)strtoul(row->token, NULL, 10)};
}

static bool same_said(const struct said *a, const struct said *b)
{
    return a->known == b->known && (!a->known || (a->gone == b->gone && a->lot == b->lot &&
                                                     a->tick == b->tick && a->token == b->token));
}

static void compare(const struct tables *tables, const struct model *model, uint32_t brokers)
{
    assert_int_equal(tables->view.instrument_count, model->id_count);
    uint32_t contract_rows = 0;
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        const uint32_t id = model->ids[s];
        if (id == 0)
            continue;
        assert_int_equal(tables->instruments[id - 1].instrument, id);
        assert_int_equal(tables->instruments[id - 1].underlying[0], 'A' + (int)s);
        bool alike = true;
        uint32_t known = 0, listed = 0;
        for (uint32_t b = 0; b < brokers; b++) {
            const struct said got = said_by_tables(tables, b, id);
            if (!same_said(&got, &model->said[b][s]))
                fail_msg("broker %u, contract %c", b, 'A' + (int)s);
            alike = alike && same_said(&model->said[0][s], &model->said[b][s]);
            known += model->said[b][s].known;
            listed += model->said[b][s].known && !model->said[b][s].gone;
        }
        contract_rows += alike ? 0 : known;
        /* Gone is what nobody lists. */
        assert_int_equal(
            (tables->instruments[id - 1].flags & IPC_INSTRUMENT_GONE) != 0, listed == 0);
    }
    assert_int_equal(tables->view.contract_count, contract_rows);
    for (uint32_t i = 0; i < tables->view.contract_count; i++) {
        const struct ipc_row_contract *row = &tables->contracts[i];
        const struct ipc_row_instrument *base = &tables->instruments[row->instrument - 1];
        assert_true(row->identity == adp_contract_identity(base, row->lot_qty_e8, row->tick_e8));
        if (i > 0)
            assert_true(row[-1].instrument < row->instrument ||
                        (row[-1].instrument == row->instrument && row[-1].broker < row->broker));
    }
}

static void tables_equal_a_naive_model(void **state)
{
    (void)state;
    const uint64_t seed = UINT64_C(0x1a57c0de);
    struct ipc_prng prng;
    ipc_prng_seed(&prng, seed);
    print_message("seed %llx\n", (unsigned long long)seed);
    for (int round = 0; round < 400; round++) {
        const uint32_t brokers = 1 + (uint32_t)ipc_prng_below(&prng, BROKERS);
        struct tables tables;
        struct model model = {0};
        tables_make(&tables, brokers);
        for (int step = 0; step < 12; step++) {
            struct ctl_contract_set *sets[BROKERS] = {NULL}, *every = NULL;
            const bool all = tables.view.contract_count == 0 && ipc_prng_chance(&prng, 1, 3);
            for (uint32_t b = 0; b < brokers; b++) {
                struct listed listed[SYMBOLS];
                uint32_t count = 0;
                for (uint32_t s = 0; s < SYMBOLS; s++) {
                    if (ipc_prng_chance(&prng, 1, 4))
                        continue;
                    listed[count++] = (struct listed){(char)('A' + s),
                        65 + 10 * (int32_t)ipc_prng_chance(&prng, 1, 8),
                        5 + (int32_t)ipc_prng_chance(&prng, 1, 8),
                        100 + s + 50 * (uint32_t)ipc_prng_chance(&prng, 1, 8), 20260924};
                }
                if (all) {
                    every = make_set(listed, count);
                    for (uint32_t other = 0; other < brokers; other++)
                        model_import(&model, other, listed, count);
                    break;
                }
                if (ipc_prng_chance(&prng, 1, 3))
                    continue;
                sets[b] = make_set(listed, count);
                model_import(&model, b, listed, count);
            }
            struct ipc_error error;
            assert_int_equal(import(&tables, sets, every, true, NULL, &error), IPC_OK);
            compare(&tables, &model, brokers);
            for (uint32_t b = 0; b < BROKERS; b++)
                drop_set(sets[b]);
            drop_set(every);
        }
        ctl_freeze_free(&tables.freeze);
    }
}

/* ---- single cases ---------------------------------------------------------------------------- */

static void changes_are_told_once_per_underlying(void **state)
{
    (void)state;
    struct tables tables;
    struct ipc_error error;
    tables_make(&tables, 1);
    const struct listed before[] = {
        {'A', 65, 5, 1, 20260924}, {'A', 65, 5, 2, 20261029}, {'B', 30, 5, 3, 20260924}};
    const struct listed after[] = {
        {'A', 75, 5, 1, 20260924}, {'A', 75, 5, 9, 20261029}, {'B', 30, 10, 3, 20260924}};
    struct ctl_contract_set *first = make_set(before, 3), *second = make_set(after, 3);
    assert_int_equal(import(&tables, NULL, first, false, NULL, &error), IPC_OK);
    struct ctl_merge merge;
    assert_int_equal(import(&tables, NULL, second, false, &merge, &error), IPC_OK);
    const struct ctl_change *changes = merge.changes.at;
    assert_int_equal(merge.changes.count, 2);
    assert_int_equal(changes[0].field, CTL_CHANGE_LOT);
    assert_int_equal(changes[0].old_e8, 65 * LS_E8);
    assert_int_equal(changes[0].new_e8, 75 * LS_E8);
    assert_int_equal(changes[0].contracts, 2);
    assert_int_equal(changes[0].example, 1);
    assert_int_equal(changes[1].field, CTL_CHANGE_TICK);
    assert_int_equal(merge.counts.tokens_changed, 1);
    assert_int_equal(merge.counts.added, 0);
    ctl_merge_free(&merge);
    drop_set(first);
    drop_set(second);
    ctl_freeze_free(&tables.freeze);
}

/* An exchange gives an expired contract's token to another. */
static void a_token_goes_on_an_id_stays(void **state)
{
    (void)state;
    struct tables tables;
    struct ipc_error error;
    struct ctl_merge merge;
    tables_make(&tables, 1);
    const struct listed before[] = {{'A', 65, 5, 7, 20260827}, {'B', 65, 5, 8, 20260924}};
    const struct listed after[] = {{'C', 30, 5, 7, 20260924}, {'B', 65, 5, 8, 20260924}};
    struct ctl_contract_set *first = make_set(before, 2), *second = make_set(after, 2);
    assert_int_equal(import(&tables, NULL, first, false, NULL, &error), IPC_OK);
    assert_int_equal(import(&tables, NULL, second, false, &merge, &error), IPC_OK);
    assert_int_equal(merge.counts.expired, 1);
    assert_int_equal(merge.counts.vanished, 0);
    assert_int_equal(merge.counts.added, 1);
    assert_int_equal(tables.view.instrument_count, 3);
    assert_int_equal(tables.instruments[0].flags, IPC_INSTRUMENT_GONE);
    assert_string_equal(tables.instruments[0].token, "7");
    assert_string_equal(tables.instruments[2].token, "7");
    assert_int_equal(tables.instruments[2].underlying[0], 'C');
    ctl_merge_free(&merge);
    drop_set(first);
    drop_set(second);
    ctl_freeze_free(&tables.freeze);
}

static void a_cut_off_file_is_refused(void **state)
{
    (void)state;
    struct tables tables;
    struct ipc_error error;
    tables_make(&tables, 1);
    struct listed listed[100];
    for (uint32_t i = 0; i < 100; i++)
        listed[i] = (struct listed){'A', 65, 5, i + 1, 20260901 + i % 28 + 100 * (i / 28)};
    struct ctl_contract_set *whole = make_set(listed, 100), *half = make_set(listed, 50);
    struct ctl_contract_set *cut = make_set(listed, 49);
    assert_int_equal(import(&tables, NULL, whole, false, NULL, &error), IPC_OK);
    const struct tables before = tables;
    assert_int_equal(import(&tables, NULL, cut, false, NULL, &error), IPC_REFUSED);
    assert_non_null(strstr(error.text, "51 of the 100 contracts that NFO still lists"));
    assert_memory_equal(tables.instruments, before.instruments, sizeof(before.instruments));
    assert_int_equal(import(&tables, NULL, cut, true, NULL, &error), IPC_OK);
    tables = before;
    assert_int_equal(import(&tables, NULL, half, false, NULL, &error), IPC_OK);
    drop_set(whole);
    drop_set(half);
    drop_set(cut);
    ctl_freeze_free(&tables.freeze);
}

static void files_of_everybody_need_brokers_that_agree(void **state)
{
    (void)state;
    struct tables tables;
    struct ipc_error error;
    tables_make(&tables, 2);
    const struct listed a[] = {{'A', 65, 5, 7, 20260924}}, b[] = {{'A', 75, 5, 7, 20260924}};
    struct ctl_contract_set *sets[BROKERS] = {make_set(a, 1), make_set(b, 1), NULL};
    struct ctl_merge merge;
    assert_int_equal(import(&tables, sets, NULL, false, &merge, &error), IPC_OK);
    assert_int_equal(merge.counts.differing, 1);
    assert_int_equal(tables.view.contract_count, 2);
    assert_true(tables.contracts[0].identity != tables.contracts[1].identity);
    ctl_merge_free(&merge);
    assert_int_equal(import(&tables, NULL, sets[0], false, NULL, &error), IPC_BAD_INPUT);
    assert_non_null(strstr(error.text, "--broker"));
    /* Once they agree again, one file may speak for both. */
    struct ctl_contract_set *agreed[BROKERS] = {NULL, sets[0], NULL};
    assert_int_equal(import(&tables, agreed, NULL, false, NULL, &error), IPC_OK);
    assert_int_equal(tables.view.contract_count, 0);
    assert_int_equal(import(&tables, NULL, sets[0], false, NULL, &error), IPC_OK);
    drop_set(sets[0]);
    drop_set(sets[1]);
    ctl_freeze_free(&tables.freeze);
}

/* ---- freeze ---------------------------------------------------------------------------------- */

static enum ipc_rc read_text(
    struct ctl_freeze *freeze, const char *exchange, const char *text, struct ipc_error *error)
{
    char path[] = "/tmp/lockstep-freeze-XXXXXX", spec[64];
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    snprintf(spec, sizeof(spec), "%s%s", exchange, path);
    const enum ipc_rc rc = ctl_freeze_read(freeze, spec, error);
    unlink(path);
    return rc;
}

static struct adp_contract option_on(const char *underlying, enum ipc_exchange exchange, bool index)
{
    struct adp_contract contract = {.on_index = index};
    contract.row.exchange = (uint8_t)exchange;
    contract.row.kind = IPC_KIND_OPTION;
    snprintf(contract.row.underlying, sizeof(contract.row.underlying), "%s", underlying);
    return contract;
}

static void samples_of_the_exchange_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *underlying, *level;
        enum ipc_exchange exchange;
        bool index;
        int64_t units;
    } rows[] = {
        {"NIFTY", NULL, IPC_EXCHANGE_NFO, true, 1800},
        {"BANKNIFTY", NULL, IPC_EXCHANGE_NFO, true, 600},
        {"YESBANK", NULL, IPC_EXCHANGE_NFO, false, 933000},
        {"ZYDUSLIFE", NULL, IPC_EXCHANGE_NFO, false, 27000},
        {"NIFTY", NULL, IPC_EXCHANGE_BFO, true, 0}, /* another exchange's list says nothing */
        {"SENSEX", NULL, IPC_EXCHANGE_BFO, true, 0}, {"OTHERIDX", NULL, IPC_EXCHANGE_NFO, true, 0},
        {"NIFTY", "NIFTY=27500.95", IPC_EXCHANGE_NFO, true, 1800}, /* up to and with 27500 */
        {"NIFTY", "NIFTY=27501", IPC_EXCHANGE_NFO, true, 1200},
        {"NIFTY", "NIFTY=9000", IPC_EXCHANGE_NFO, true, 1800}, /* the smaller of 1800 and 4200 */
        {"OTHERIDX", "OTHERIDX=0.5", IPC_EXCHANGE_NFO, true, 8500},
        {"OTHERIDX", "OTHERIDX=55001", IPC_EXCHANGE_NFO, true, 600},
        {"YESBANK", "YESBANK=60000", IPC_EXCHANGE_NFO, false, 933000}, /* a share has no level */
    };
    struct ipc_error error;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct ctl_freeze freeze;
        ctl_freeze_init(&freeze);
        assert_int_equal(
            ctl_freeze_read(&freeze, LS_TEST_DATA "/alice-blue/qtyfreeze.csv", &error), IPC_OK);
        assert_int_equal(freeze.listed, 213);
        assert_int_equal(ctl_freeze_read(&freeze,
                             "NFO:" LS_TEST_DATA "/alice-blue/quantity_freeze_ranges.csv", &error),
            IPC_OK);
        assert_int_equal(freeze.band_count, 8);
        if (rows[i].level != NULL)
            assert_int_equal(ctl_freeze_level(&freeze, rows[i].level, &error), IPC_OK);
        const struct adp_contract contract =
            option_on(rows[i].underlying, rows[i].exchange, rows[i].index);
        if (ctl_freeze_qty_e8(&freeze, &contract) != rows[i].units * LS_E8)
            fail_msg("row %zu", i);
        ctl_freeze_free(&freeze);
    }
}

static void bad_freeze_lists_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *problem;
    } rows[] = {
        {"", ": the file is empty"},
        {"SYMBOL,QTY\nA,1\n", ":1: the header is neither"},
        {"SYMBOL,FROM,UP_TO,VOL_FRZ_QTY\n", ":1: the header is neither"},
        {"SYMBOL,VOL_FRZ_QTY\nA\n", ":2: the line ends before"},
        {"SYMBOL,VOL_FRZ_QTY\n\nA,0\n", ":3: the freeze quantity is not"},
        {"SYMBOL,VOL_FRZ_QTY\nA,1.5\n", ":2: the freeze quantity is not"},
        {"SYMBOL,VOL_FRZ_QTY\nA,-1\n", ":2: the freeze quantity is not"},
        {"SYMBOL,VOL_FRZ_QTY\n,100\n", ":2: the symbol is empty"},
        {"SYMBOL,VOL_FRZ_QTY\nA,100\nA,100\nA,200\n", ":4: the symbol was there before"},
        {"FROM,UP_TO,QUANTITY_FREEZE_LIMIT\n10,5,100\n", ":2: the band is not two"},
        {"FROM,UP_TO,QUANTITY_FREEZE_LIMIT\n1x,5,100\n", ":2: the band is not two"},
    };
    struct ipc_error error;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct ctl_freeze freeze;
        ctl_freeze_init(&freeze);
        if (read_text(&freeze, "", rows[i].text, &error) != IPC_BAD_INPUT ||
            strstr(error.text, rows[i].problem) == NULL)
            fail_msg("row %zu: %s", i, error.text);
        ctl_freeze_free(&freeze);
    }
    struct ctl_freeze freeze;
    ctl_freeze_init(&freeze);
    assert_int_equal(ctl_freeze_read(&freeze, "/nowhere/at/all", &error), IPC_BAD_INPUT);
    static const char *const levels[] = {"NIFTY", "=1", "NIFTY=", "NIFTY=0", "NIFTY=x"};
    for (size_t i = 0; i < LS_COUNT_OF(levels); i++)
        assert_int_equal(ctl_freeze_level(&freeze, levels[i], &error), IPC_BAD_INPUT);
    ctl_freeze_free(&freeze);
}

static void a_forgotten_list_takes_no_limit_away(void **state)
{
    (void)state;
    struct tables tables;
    struct ipc_error error;
    tables_make(&tables, 1);
    const struct listed before[] = {{'A', 65, 5, 1, 20260924}, {'B', 30, 5, 2, 20260924}};
    const struct listed after[] = {
        {'A', 65, 5, 1, 20260924}, {'A', 65, 5, 3, 20261029}, {'B', 30, 5, 2, 20260924}};
    struct ctl_contract_set *first = make_set(before, 2), *second = make_set(after, 3);
    assert_int_equal(
        read_text(&tables.freeze, "NFO:", "SYMBOL,VOL_FRZ_QTY\nA ,1800 \n", &error), IPC_OK);
    assert_int_equal(import(&tables, NULL, first, false, NULL, &error), IPC_OK);
    assert_int_equal(tables.instruments[0].freeze_qty_e8, 1800 * LS_E8);
    assert_int_equal(tables.instruments[1].freeze_qty_e8, 0);
    ctl_freeze_free(&tables.freeze);
    ctl_freeze_init(&tables.freeze);
    struct ctl_merge merge;
    assert_int_equal(import(&tables, NULL, second, false, &merge, &error), IPC_OK);
    assert_int_equal(merge.changes.count, 0);
    assert_int_equal(merge.counts.without_freeze, 1);
    assert_int_equal(tables.instruments[0].freeze_qty_e8, 1800 * LS_E8);
    assert_int_equal(tables.instruments[2].freeze_qty_e8, 1800 * LS_E8); /* its underlying's */
    ctl_merge_free(&merge);
    /* A list below the lot cannot be right. */
    assert_int_equal(read_text(&tables.freeze, "", "SYMBOL,VOL_FRZ_QTY\nA,64\n", &error), IPC_OK);
    assert_int_equal(import(&tables, NULL, second, false, NULL, &error), IPC_BAD_INPUT);
    assert_non_null(strstr(error.text, "below its lot of 65"));
    drop_set(first);
    drop_set(second);
    ctl_freeze_free(&tables.freeze);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_equal_a_naive_model),
        cmocka_unit_test(changes_are_told_once_per_underlying),
        cmocka_unit_test(a_token_goes_on_an_id_stays),
        cmocka_unit_test(a_cut_off_file_is_refused),
        cmocka_unit_test(files_of_everybody_need_brokers_that_agree),
        cmocka_unit_test(samples_of_the_exchange_are_read),
        cmocka_unit_test(bad_freeze_lists_are_refused),
        cmocka_unit_test(a_forgotten_list_takes_no_limit_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
