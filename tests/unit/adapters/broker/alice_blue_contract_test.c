#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "adapters/broker/contract.h"
#include "ipc/prng.h"
#include "tests/unit/adapters/test_data.h"

#define FORMAT adp_contract_format_find("alice-blue")
#define HEADER                                                                                     \
    "Exch,Exchange Segment,Symbol,Token,Instrument Type,Option Type,Strike Price,"                 \
    "Instrument Name,Formatted Ins Name,Trading Symbol,Expiry Date,Lot Size,Tick Size"

/* Reads one line under a header. */
static enum adp_rc read_under(const char *header, const char *line, struct adp_contract *out,
    struct adp_contract_problem *problem)
{
    struct adp_contract_layout layout;
    assert_int_equal(FORMAT->header(test_span(header), &layout, problem), ADP_OK);
    return FORMAT->row(&layout, test_span(line), out, problem);
}

/* Every line of a sample; returns how many, and calls `each`. */
static uint32_t read_sample(
    const char *name, void (*each)(const struct adp_contract *contract, uint32_t line))
{
    struct adp_span file = test_data_read(name), rest = file, line;
    struct adp_contract_layout layout;
    struct adp_contract_problem problem = {""};
    uint32_t count = 0, number = 1;
    assert_true(adp_contract_next_line(&rest, true, &line));
    assert_int_equal(FORMAT->header(line, &layout, &problem), ADP_OK);
    while (adp_contract_next_line(&rest, false, &line)) {
        struct adp_contract contract;
        number++;
        if (FORMAT->row(&layout, line, &contract, &problem) != ADP_OK)
            fail_msg("%s:%u: %s", name, number, problem.text);
        each(&contract, number);
        count++;
    }
    free((void *)file.bytes);
    return count;
}

static uint32_t futures, options, on_index;

static void count_kind(const struct adp_contract *contract, uint32_t line)
{
    (void)line;
    futures += contract->row.kind == IPC_KIND_FUTURE;
    options += contract->row.kind == IPC_KIND_OPTION;
    on_index += contract->on_index;
}

static void nfo_row(const struct adp_contract *contract, uint32_t line)
{
    const struct ipc_row_instrument *row = &contract->row;
    count_kind(contract, line);
    if (line == 2) { /* NFO,nse_fo,NIFTY,35000,FUTIDX,XX,-1,...,NIFTY26SEP24F,2024-09-26,25,0.05 */
        assert_int_equal(row->exchange, IPC_EXCHANGE_NFO);
        assert_int_equal(row->kind, IPC_KIND_FUTURE);
        assert_int_equal(row->right, 0);
        assert_int_equal(row->strike_e8, 0);
        assert_int_equal(row->expiry_yyyymmdd, 20240926);
        assert_int_equal(row->lot_qty_e8, 25 * LS_E8);
        assert_int_equal(row->tick_e8, 5000000);
        assert_string_equal(row->token, "35000");
        assert_string_equal(row->symbol, "NIFTY26SEP24F");
        assert_string_equal(row->underlying, "NIFTY");
        assert_true(contract->on_index);
    }
    if (line == 301) { /* ...,38024,OPTSTK,PE,3000,...,LALPATHLAB25JUL24P3000,2024-07-25,300,0.05 */
        assert_int_equal(row->kind, IPC_KIND_OPTION);
        assert_int_equal(row->right, 'P');
        assert_int_equal(row->strike_e8, 3000 * LS_E8);
        assert_string_equal(row->symbol, "LALPATHLAB25JUL24P3000");
        assert_false(contract->on_index);
    }
}

static void bfo_row(const struct adp_contract *contract, uint32_t line)
{
    const struct ipc_row_instrument *row = &contract->row;
    count_kind(contract, line);
    assert_int_equal(row->exchange, IPC_EXCHANGE_BFO);
    if (line == 2) { /* the two name columns change places in this file */
        assert_string_equal(row->symbol, "ABB24AUG7800CE");
        assert_int_equal(row->lot_qty_e8, 125 * LS_E8);
        assert_int_equal(row->expiry_yyyymmdd, 20240808);
    }
    if (strcmp(row->symbol, "ABFRL24AUG212.5CE") == 0)
        assert_int_equal(row->strike_e8, INT64_C(21250000000));
}

static void index_row(const struct adp_contract *contract, uint32_t line)
{
    assert_int_equal(contract->row.kind, IPC_KIND_INDEX);
    if (line == 2) {
        assert_string_equal(contract->row.symbol, "NIFTY 50");
        assert_string_equal(contract->row.token, "26000");
        assert_int_equal(contract->row.exchange, IPC_EXCHANGE_NSE);
    }
}

static void samples_are_read_whole(void **state)
{
    (void)state;
    assert_int_equal(read_sample("alice-blue/contract-master-NFO-excerpt.csv", nfo_row), 300);
    assert_int_equal(futures, 150);
    assert_int_equal(options, 150);
    assert_int_equal(on_index, 113);
    futures = options = on_index = 0;
    assert_int_equal(read_sample("alice-blue/contract-master-BFO-excerpt.csv", bfo_row), 250);
    assert_int_equal(futures, 6);
    assert_int_equal(options, 244);
    assert_int_equal(on_index, 0);
    assert_int_equal(read_sample("alice-blue/contract-master-INDICES.csv", index_row), 114);
}

/* ---- any order of columns -------------------------------------------------------------------- */

static const char *const names[] = {"Exch", "Exchange Segment", "Symbol", "Token",
    "Instrument Type", "Option Type", "Strike Price", "Instrument Name", "Formatted Ins Name",
    "Trading Symbol", "Expiry Date", "Lot Size", "Tick Size", "Group Name", "pdc"};
static const char *const values[] = {"NFO", "nse_fo", "M&M", "35123", "OPTSTK", "PE", "2912.5",
    "MAHINDRA, AND \"MAHINDRA\"", "", "M&M25JUL24P2912.5", "2024-07-25", "350", "0.05", "XX", "1"};
#define COLUMNS LS_COUNT_OF(names)

static size_t put(char *out, const char *text, bool quoted, bool spaced)
{
    size_t used = 0;
    if (spaced)
        out[used++] = ' ';
    if (quoted)
        out[used++] = '"';
    for (; *text != '\0'; text++) {
        if (quoted && *text == '"')
            out[used++] = '"';
        out[used++] = *text;
    }
    if (quoted)
        out[used++] = '"';
    if (spaced)
        out[used++] = '\t';
    return used;
}

static void order_of_columns_does_not_matter(void **state)
{
    (void)state;
    const uint64_t seed = UINT64_C(0x0c01a317);
    struct ipc_prng prng;
    ipc_prng_seed(&prng, seed);
    print_message("seed %llx\n", (unsigned long long)seed);
    struct adp_contract first = {0};
    for (int round = 0; round < 5000; round++) {
        size_t order[COLUMNS];
        for (size_t i = 0; i < COLUMNS; i++) {
            const size_t j = ipc_prng_below(&prng, i + 1);
            order[i] = order[j];
            order[j] = i;
        }
        char header[512], line[512];
        size_t h = 0, l = 0;
        for (size_t i = 0; i < COLUMNS; i++) {
            const size_t c = order[i];
            const bool must = strpbrk(values[c], ",\"") != NULL;
            if (i > 0)
                header[h++] = ',', line[l++] = ',';
            h += put(
                header + h, names[c], ipc_prng_chance(&prng, 1, 3), ipc_prng_chance(&prng, 1, 3));
            l += put(line + l, values[c], must || ipc_prng_chance(&prng, 1, 3),
                ipc_prng_chance(&prng, 1, 3));
        }
        header[h] = line[l] = '\0';
        if (ipc_prng_chance(&prng, 1, 2))
            for (size_t i = 0; i < h; i++)
                if (header[i] >= 'A' && header[i] <= 'Z')
                    header[i] = (char)(header[i] + 32);
        struct adp_contract contract;
        struct adp_contract_problem problem = {""};
        if (read_under(header, line, &contract, &problem) != ADP_OK)
            fail_msg("round %d: %s: %s", round, line, problem.text);
        if (round == 0)
            first = contract;
        assert_memory_equal(&contract, &first, sizeof(first));
    }
    assert_int_equal(first.row.strike_e8, INT64_C(291250000000));
    assert_string_equal(first.row.symbol, "M&M25JUL24P2912.5");
    assert_string_equal(first.row.underlying, "M&M");
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void bad_rows_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line, *problem;
    } rows[] = {
        {"XYZ,nse_fo,A,1,FUTSTK,XX,-1,A,A,AF,2024-09-26,25,0.05", "Exch 'XYZ' is not"},
        {",nse_fo,A,1,FUTSTK,XX,-1,A,A,AF,2024-09-26,25,0.05", "Exch '' is not"},
        {"NFO,bse_fo,A,1,FUTSTK,XX,-1,A,A,AF,2024-09-26,25,0.05", "Exchange Segment 'bse_fo'"},
        {"NFO,nse_fo,,1,FUTSTK,XX,-1,A,A,AF,2024-09-26,25,0.05", "Symbol '' is empty"},
        {"NFO,nse_fo,A,,FUTSTK,XX,-1,A,A,AF,2024-09-26,25,0.05", "Token '' is empty"},
        {"NFO,nse_fo,A,12x,FUTSTK,XX,-1,A,A,AF,2024-09-26,25,0.05", "Token '12x' is not digits"},
        {"NFO,nse_fo,A,1234567890123456,FUTSTK,XX,-1,A,A,AF,2024-09-26,25,0.05", "too long"},
        {"NFO,nse_fo,A,1,OPTSTK,XX,-1,A,A,AF,2024-09-26,25,0.05", "Option Type 'XX' of an option"},
        {"NFO,nse_fo,A,1,FUTSTK,CE,100,A,A,AF,2024-09-26,25,0.05", "Option Type 'CE' of a future"},
        {"NFO,nse_fo,A,1,FUTSTK,XX,100,A,A,AF,2024-09-26,25,0.05", "Strike Price '100' of a"},
        {"NFO,nse_fo,A,1,OPTSTK,CA,100,A,A,AF,2024-09-26,25,0.05", "Option Type 'CA' is not"},
        {"NFO,nse_fo,A,1,OPTSTK,CE,-1,A,A,AF,2024-09-26,25,0.05", "Strike Price '-1' is not above"},
        {"NFO,nse_fo,A,1,OPTSTK,CE,0,A,A,AF,2024-09-26,25,0.05", "Strike Price '0' is not above"},
        {"NFO,nse_fo,A,1,OPTSTK,CE,,A,A,AF,2024-09-26,25,0.05", "Strike Price '' is not a number"},
        {"NFO,nse_fo,A,1,OPTSTK,CE,1e3,A,A,AF,2024-09-26,25,0.05", "Strike Price '1e3' is not a"},
        {"NFO,nse_fo,A,1,OPTSTK,CE,0.123456789,A,A,AF,2024-09-26,25,0.05", "held exactly"},
        {"NFO,nse_fo,A,1,OPTSTK,CE,99999999999,A,A,AF,2024-09-26,25,0.05", "Strike Price"},
        {"NFO,nse_fo,A,1,FUTSTK,XX,-1,A,A,AF,26-09-2024,25,0.05", "Expiry Date '26-09-2024'"},
        {"NFO,nse_fo,A,1,FUTSTK,XX,-1,A,A,AF,2024-02-30,25,0.05", "not a date of the calendar"},
        {"NFO,nse_fo,A,1,FUTSTK,XX,-1,A,A,AF,2023-02-29,25,0.05", "not a date of the calendar"},
        {"NFO,nse_fo,A,1,FUTSTK,XX,-1,A,A,AF,2024-1x-01,25,0.05", "not a date of the calendar"},
        {"NFO,nse_fo,A,1,FUTSTK,XX,-1,A,A,AF,,25,0.05", "Expiry Date '' is missing"},
        {"NSE,nse_cm,A,1,,,,A,A,A-EQ,2024-09-26,1,0.05", "of a row of a cash exchange"},
        {"NSE,nse_cm,A,1,,CE,5,A,A,A-EQ,,1,0.05", "of a row that has no expiry"},
        {"NFO,nse_fo,A,1,FUTSTK,XX,-1,A,A,,2024-09-26,25,0.05", "Trading Symbol '' is empty"},
        {"NFO,nse_fo,A,1,FUTSTK,XX,-1,A,A,A<b>,2024-09-26,25,0.05", "no symbol has"},
        {"NFO,nse_fo,A,1,FUTSTK,XX,-1,A,A,A\x01,2024-09-26,25,0.05", "'A?' has a character"},
        {"NFO,nse_fo,A,1,FUTSTK,XX,-1,A,A,AF,2024-09-26,0,0.05", "Lot Size '0' is not above 0"},
        {"NFO,nse_fo,A,1,FUTSTK,XX,-1,A,A,AF,2024-09-26,-25,0.05", "Lot Size '-25' is not above"},
        {"NFO,nse_fo,A,1,FUTSTK,XX,-1,A,A,AF,2024-09-26,2.5,0.05", "Lot Size '2.5' is not whole"},
        {"NFO,nse_fo,A,1,FUTSTK,XX,-1,A,A,AF,2024-09-26,1e9,0.05", "Lot Size '1e9' is not a"},
        {"NFO,nse_fo,A,1,FUTSTK,XX,-1,A,A,AF,2024-09-26,99999999,0.05", "or absurd"},
        {"NFO,nse_fo,A,1,FUTSTK,XX,-1,A,A,AF,2024-09-26,25,0", "Tick Size '0' is not above 0"},
        {"NFO,nse_fo,A,1,FUTSTK,XX,-1,A,A,AF,2024-09-26,25,", "Tick Size '' is not a number"},
        {"NFO,nse_fo,A,1,FUTSTK,XX,-1,A,A,AF,2024-09-26,25", "ends before its last column"},
        {"NFO", "ends before its last column"},
        {"NFO,nse_fo,\"A,1,FUTSTK,XX,-1,A,A,AF,2024-09-26,25,0.05", "a quote that does not end"},
        {"NFO,nse_fo,\"A\"B,1,FUTSTK,XX,-1,A,A,AF,2024-09-26,25,0.05", "a quote that does not"},
        {",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,", "more than 32 fields"},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct adp_contract contract;
        struct adp_contract_problem problem = {""};
        if (read_under(HEADER, rows[i].line, &contract, &problem) != ADP_MALFORMED ||
            strstr(problem.text, rows[i].problem) == NULL)
            fail_msg("row %zu: %s: '%s'", i, rows[i].line, problem.text);
    }
}

static void bad_headers_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *header, *problem;
    } rows[] = {
        {"", "'Exch' is missing"},
        {"exch,symbol", "'Token' is missing"},
        {"Exch,Symbol,Token,Lot Size", "'Exchange Segment' is missing"},
        {"Exch,Symbol,Token,Trading Symbol", "'Exchange Segment' is missing"},
        {HEADER ",Token", "'Token' is there twice"},
        {"Exch;Symbol;Token", "'Exch' is missing"},
        {"Exch,\"Symbol", "a quote that does not end"},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct adp_contract_layout layout;
        struct adp_contract_problem problem = {""};
        if (FORMAT->header(test_span(rows[i].header), &layout, &problem) != ADP_MALFORMED ||
            strstr(problem.text, rows[i].problem) == NULL)
            fail_msg("header %zu: %s", i, problem.text);
    }
}

static void lines_end_as_they_like(void **state)
{
    (void)state;
    static const char text[] = "\xef\xbb\xbf"
                               "a\r\n\n  \nb\n\r\nc";
    static const char *const want[] = {"a", "", "  ", "b", "", "c"};
    struct adp_span rest = test_span(text), line;
    size_t count = 0;
    while (adp_contract_next_line(&rest, count == 0, &line)) {
        assert_true(count < LS_COUNT_OF(want));
        assert_int_equal(line.count, strlen(want[count]));
        assert_memory_equal(line.bytes, want[count], line.count);
        count++;
    }
    assert_int_equal(count, LS_COUNT_OF(want));
    struct adp_span fields[ADP_CONTRACT_FIELDS_MAX];
    struct adp_contract_problem problem;
    char scratch[8];
    assert_int_equal(adp_contract_split(test_span(" \t "), fields, scratch, &problem), 0);
    assert_int_equal(adp_contract_split(test_span("a,,b,"), fields, scratch, &problem), 4);
}

/* ---- identity -------------------------------------------------------------------------------- */

static void identity_has_eight_parts(void **state)
{
    (void)state;
    struct ipc_row_instrument row = {.exchange = IPC_EXCHANGE_NFO,
        .kind = IPC_KIND_OPTION,
        .right = 'C',
        .strike_e8 = 100 * LS_E8,
        .expiry_yyyymmdd = 20260924,
        .token = "1",
        .symbol = "A",
        .underlying = "NIFTY"};
    const int64_t lot = 65 * LS_E8, tick = 5000000;
    const uint64_t identity = adp_contract_identity(&row, lot, tick);
    struct ipc_row_instrument other[6];
    for (size_t i = 0; i < LS_COUNT_OF(other); i++)
        other[i] = row;
    other[0].exchange = IPC_EXCHANGE_BFO;
    other[1].kind = IPC_KIND_FUTURE; /* another segment or none: it is not the same contract */
    other[2].right = 'P';
    other[3].strike_e8++;
    other[4].expiry_yyyymmdd = 20260925;
    memcpy(other[5].underlying, "NIFTYX", 7);
    for (size_t i = 0; i < LS_COUNT_OF(other); i++) {
        assert_false(adp_contract_same(&row, &other[i]));
        assert_true(adp_contract_key(&row) != adp_contract_key(&other[i]));
        assert_true(adp_contract_identity(&other[i], lot, tick) != identity);
    }
    assert_true(adp_contract_identity(&row, lot + 1, tick) != identity);
    assert_true(adp_contract_identity(&row, lot, tick + 1) != identity);
    assert_true(adp_contract_identity(&row, tick, lot) != identity);
    /* What each broker calls it is not part of what it is. */
    memcpy(row.token, "99", 3);
    memcpy(row.symbol, "B", 2);
    row.freeze_qty_e8 = 5;
    row.instrument = 77;
    assert_true(adp_contract_identity(&row, lot, tick) == identity);
}

static void series_is_part_of_a_share(void **state)
{
    (void)state;
    static const char header[] = "Exch,Exchange Segment,Group Name,Symbol,Token,Instrument Type,"
                                 "Option Type,Strike Price,Trading Symbol,Expiry Date,Lot Size,"
                                 "Tick Size";
    static const struct {
        const char *line, *underlying;
    } rows[] = {
        {"NSE,nse_cm,EQ,ABC,22,,,,ABC-EQ,,1,0.05", "ABC"},
        {"NSE,nse_cm,BE,ABC,23,,,,ABC-BE,,1,0.05", "ABC-BE"},
        {"NSE,nse_cm,,ABC,24,,XX,-1,ABC,,1,0.05", "ABC"},
        {"BSE,bse_cm,A,ABC,500410,,,,ABC,,1,0.05", "ABC"}, /* its group changes month by month */
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct adp_contract contract;
        struct adp_contract_problem problem = {""};
        if (read_under(header, rows[i].line, &contract, &problem) != ADP_OK)
            fail_msg("row %zu: %s", i, problem.text);
        assert_int_equal(contract.row.kind, IPC_KIND_CASH);
        assert_string_equal(contract.row.underlying, rows[i].underlying);
    }
    assert_null(adp_contract_format_find("no-such-dialect"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_read_whole),
        cmocka_unit_test(order_of_columns_does_not_matter),
        cmocka_unit_test(bad_rows_are_refused),
        cmocka_unit_test(bad_headers_are_refused),
        cmocka_unit_test(lines_end_as_they_like),
        cmocka_unit_test(identity_has_eight_parts),
        cmocka_unit_test(series_is_part_of_a_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
