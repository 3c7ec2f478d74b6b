/* Contract files: what is written is read back, real excerpts are read, wrong rows are named. */
#include "adapters/sim/contracts.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/contracts-test.XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct adp_sim_book *make_book(void)
{
    return adp_sim_book_create(&(struct adp_sim_book_config){.seed = 1});
}

static const struct adp_sim_instrument *find(
    const struct adp_sim_book *book, enum adp_sim_exchange exchange, const char *symbol)
{
    uint32_t index = adp_sim_book_find_symbol(book, exchange, symbol);
    if (index == ADP_SIM_NONE)
        fail_msg("%s is missing", symbol);
    return adp_sim_book_instrument(book, index);
}

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void copy(const char *sample, const char *name)
{
    static char text[1 << 20];
    char path[1024];
    snprintf(path, sizeof(path), LS_TEST_DATA "/alice-blue/%s", sample);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        fail_msg("cannot open %s", path);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    put(name, text);
}

static void what_is_written_is_read(void **state)
{
    struct adp_sim_error error;
    struct adp_sim_book *book = make_book();
    (void)state;
    assert_true(adp_sim_contracts_write(folder, adp_sim_days_of(2026, 8, 12), &error));
    int64_t count = adp_sim_contracts_load(book, folder, &error);
    assert_true(count > 300);
    assert_int_equal(adp_sim_book_instrument_count(book), count);

    const struct adp_sim_instrument *share = find(book, ADP_SIM_NSE, "RELIANCE-EQ");
    assert_int_equal(share->kind, ADP_SIM_EQUITY);
    assert_int_equal(share->token, 2885);
    assert_int_equal(share->lot_units, 1);
    assert_int_equal(share->freeze_units, 0);
    assert_true(share->last_e8 > 0);
    const struct adp_sim_instrument *future = find(book, ADP_SIM_NFO, "NIFTY25AUG26F");
    assert_int_equal(future->kind, ADP_SIM_FUTURE);
    assert_int_equal(future->lot_units, 65);
    assert_int_equal(future->freeze_units, 1800);
    assert_string_equal(future->expiry, "2026-08-25"); /* the month's last Tuesday */
    assert_int_equal(find(book, ADP_SIM_NFO, "BANKNIFTY25AUG26F")->lot_units, 30);
    assert_int_equal(find(book, ADP_SIM_BFO, "SENSEX26AUGFUT")->lot_units, 20);
    const struct adp_sim_instrument *option = find(book, ADP_SIM_NFO, "NIFTY18AUG26C24600");
    assert_int_equal(option->kind, ADP_SIM_OPTION);
    assert_true(option->call);
    assert_int_equal(option->strike_e8, 24600 * LS_E8);
    assert_int_equal(find(book, ADP_SIM_NSE, "NIFTY 50")->kind, ADP_SIM_INDEX);
    for (uint32_t i = 0; i < adp_sim_book_instrument_count(book); i++) {
        const struct adp_sim_instrument *one = adp_sim_book_instrument(book, i);
        assert_true(one->last_e8 > 0);
        assert_true(one->kind == ADP_SIM_INDEX || one->last_e8 % one->tick_e8 == 0);
        assert_true(one->expiry[0] == '\0' || strcmp(one->expiry, "2026-08-12") >= 0);
    }
    adp_sim_book_destroy(book);
}

static void expiries_are_never_past(void **state)
{
    (void)state;
    for (int64_t days = adp_sim_days_of(2026, 12, 20); days < adp_sim_days_of(2027, 1, 10);
         days++) {
        struct adp_sim_error error;
        struct adp_sim_book *book = make_book();
        char today[32];
        struct adp_sim_civil date = adp_sim_date_of(days);
        snprintf(today, sizeof(today), "%04d-%02d-%02d", date.year, date.month, date.day);
        assert_true(adp_sim_contracts_write(folder, days, &error));
        if (adp_sim_contracts_load(book, folder, &error) < 0)
            fail_msg("%s: %s", today, error.text);
        for (uint32_t i = 0; i < adp_sim_book_instrument_count(book); i++) {
            const struct adp_sim_instrument *one = adp_sim_book_instrument(book, i);
            assert_true(one->expiry[0] == '\0' || strcmp(one->expiry, today) >= 0);
        }
        adp_sim_book_destroy(book);
    }
}

static void the_brokers_own_files_are_read(void **state)
{
    struct adp_sim_error error;
    struct adp_sim_book *book = make_book();
    (void)state;
    copy("contract-master-NFO-excerpt.csv", "NFO.csv");
    copy("contract-master-BFO-excerpt.csv", "BFO.csv"); /* two columns swapped, one more */
    copy("contract-master-INDICES.csv", "INDICES.csv"); /* three columns in lower case */
    copy("qtyfreeze.csv", "qtyfreeze.csv");
    if (adp_sim_contracts_load(book, folder, &error) < 0)
        fail_msg("%s", error.text);
    assert_int_equal(find(book, ADP_SIM_NFO, "NIFTY26SEP24F")->token, 35000);
    assert_int_equal(find(book, ADP_SIM_NFO, "NIFTY26SEP24F")->freeze_units, 1800);
    const struct adp_sim_instrument *option = find(book, ADP_SIM_BFO, "ABB24AUG7800CE");
    assert_string_equal(option->name, "ABB 08AUG24 7800 CE");
    assert_int_equal(option->strike_e8, 7800 * LS_E8);
    assert_int_equal(find(book, ADP_SIM_NSE, "NIFTY BANK")->token, 26009);
    adp_sim_book_destroy(book);
}

static void wrong_rows_are_named(void **state)
{
    static const char header[] =
        "Exch,Exchange Segment,Group Name,Symbol,Token,Instrument Type,Option Type,Strike Price,"
        "Instrument Name,Formatted Ins Name,Trading Symbol,Expiry Date,Lot Size,Tick Size\n";
    static const struct {
        const char *row, *named;
    } rows[] = {
        {"XXX,nse_cm,EQ,A,1,,,,A,A,A-EQ,,1,0.05", "column Exch"},
        {"NSE,nse_cm,EQ,A,x,,,,A,A,A-EQ,,1,0.05", "column Token"},
        {"NSE,nse_cm,EQ,A,1,,,,A,A,,,1,0.05", "column Trading Symbol"},
        {"NSE,nse_cm,EQ,A,1,,,,A,A,A-EQ,,0,0.05", "column Lot Size"},
        {"NSE,nse_cm,EQ,A,1,,,,A,A,A-EQ,,1,0", "column Tick Size"},
        {"NFO,nse_fo,,A,1,,XY,5,A,A,A-EQ,,1,0.05", "column Option Type"},
        {"NFO,nse_fo,,A,1,,CE,,A,A,A-EQ,,1,0.05", "column Strike Price"},
        {"NSE,nse_cm,EQ,A,1", "column Trading Symbol"},
        {"NSE,nse_cm,EQ,A,7,,,,A,A,A-EQ,,1,0.05\nNSE,nse_cm,EQ,B,7,,,,B,B,B-EQ,,1,0.05", "line 3"},
    };
    (void)state;
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct adp_sim_error error = {.text = ""};
        struct adp_sim_book *book = make_book();
        char text[1024];
        snprintf(text, sizeof(text), "%s%s\n", header, rows[i].row);
        put("NSE.csv", text);
        if (adp_sim_contracts_load(book, folder, &error) >= 0 ||
            strstr(error.text, rows[i].named) == NULL)
            fail_msg("%s: \"%s\"", rows[i].row, error.text);
        adp_sim_book_destroy(book);
    }
}

static void an_empty_folder_is_refused(void **state)
{
    struct adp_sim_error error;
    struct adp_sim_book *book = make_book();
    (void)state;
    assert_int_equal(adp_sim_contracts_load(book, folder, &error), -1);
    assert_non_null(strstr(error.text, "--write-contracts"));
    adp_sim_book_destroy(book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(expiries_are_never_past, setup, teardown),
        cmocka_unit_test_setup_teardown(the_brokers_own_files_are_read, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_rows_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_folder_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
