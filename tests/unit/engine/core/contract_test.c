#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/core/contract.h"
#include "ipc/prng.h"

#include <stdio.h>
#include <string.h>

#define INSTRUMENTS 8
#define BROKERS     5

struct market {
    struct ipc_row_instrument instruments[INSTRUMENTS];
    struct ipc_row_contract contracts[INSTRUMENTS * ENG_CONTRACT_BROKERS];
    struct ipc_snapshot_view view;
};

static void market_make(struct market *market)
{
    memset(market, 0, sizeof *market);
    for (uint32_t i = 0; i < INSTRUMENTS; i++) {
        struct ipc_row_instrument *row = &market->instruments[i];
        row->instrument = i + 1;
        row->lot_qty_e8 = (int64_t)(i + 1) * LS_E8;
        row->tick_e8 = 5000000;
        row->freeze_qty_e8 = 1800 * LS_E8;
        snprintf(row->token, sizeof row->token, "%u", 100 + i);
        snprintf(row->symbol, sizeof row->symbol, "S%u", i);
    }
    market->view.instruments = market->instruments;
    market->view.instrument_count = INSTRUMENTS;
    market->view.contracts = market->contracts;
}

static void add(struct market *market, uint32_t instrument, uint32_t broker, uint64_t identity,
    int64_t lot, uint16_t flags)
{
    struct ipc_row_contract *row = &market->contracts[market->view.contract_count++];
    *row = (struct ipc_row_contract){.instrument = instrument,
        .broker = (uint16_t)broker,
        .identity = identity,
        .flags = flags,
        .lot_qty_e8 = lot * LS_E8,
        .tick_e8 = 1000000,
        .freeze_qty_e8 = 900 * LS_E8};
    snprintf(row->token, sizeof row->token, "%u", 1000 * instrument + broker);
    snprintf(row->symbol, sizeof row->symbol, "S%u@%u", instrument, broker);
}

static void without_rows_every_broker_is_alike(void **state)
{
    (void)state;
    struct market market;
    struct eng_contracts contracts;
    struct eng_contract at;
    market_make(&market);
    eng_contracts_of(&market.view, 3, &contracts);
    assert_true(eng_contract_at(&contracts, 63, &at));
    assert_int_equal(at.lot_qty_e8, 3 * LS_E8);
    assert_int_equal(at.tick_e8, 5000000);
    assert_int_equal(at.freeze_qty_e8, 1800 * LS_E8);
    assert_string_equal(at.token, "102");
    assert_string_equal(at.symbol, "S2");
    assert_int_equal(eng_contract_bars(&contracts, 0, 63, false), IPC_REASON_NONE);

    /* Not in the snapshot: no number makes it known. */
    const uint32_t unknown[] = {0, INSTRUMENTS + 1, UINT32_MAX};
    for (size_t i = 0; i < LS_COUNT_OF(unknown); i++) {
        eng_contracts_of(&market.view, unknown[i], &contracts);
        assert_false(eng_contract_at(&contracts, 0, &at));
        for (int is_exit = 0; is_exit < 2; is_exit++)
            assert_int_equal(
                eng_contract_bars(&contracts, 0, 0, is_exit), IPC_REASON_INSTRUMENT_UNKNOWN);
    }
    market.instruments[4].instrument = 0; /* a row that is not in use */
    eng_contracts_of(&market.view, 5, &contracts);
    assert_false(eng_contract_at(&contracts, 0, &at));
}

static void the_guard_is_this_table(void **state)
{
    (void)state;
    struct market market;
    market_make(&market);
    /* 2: brokers 0 and 1 agree, 2 has another lot, 3 has it no more, 4 never had it.
     * 4: gone everywhere. 5: gone, and 0 and 1 disagree. */
    add(&market, 2, 0, 77, 65, 0);
    add(&market, 2, 1, 77, 65, 0);
    add(&market, 2, 2, 78, 75, 0);
    add(&market, 2, 3, 77, 65, IPC_CONTRACT_GONE);
    add(&market, 5, 0, 1, 10, 0);
    add(&market, 5, 1, 2, 20, 0);
    market.instruments[3].flags = IPC_INSTRUMENT_GONE;
    market.instruments[4].flags = IPC_INSTRUMENT_GONE;
    static const struct {
        uint32_t instrument, master, follower;
        enum ipc_reason entry, leave;
    } rows[] = {
        {1, 0, 4, IPC_REASON_NONE, IPC_REASON_NONE},
        {2, 0, 0, IPC_REASON_NONE, IPC_REASON_NONE},
        {2, 0, 1, IPC_REASON_NONE, IPC_REASON_NONE},
        {2, 0, 2, IPC_REASON_INSTRUMENT_MISMATCH, IPC_REASON_NONE},
        {2, 2, 0, IPC_REASON_INSTRUMENT_MISMATCH, IPC_REASON_NONE},
        {2, 0, 3, IPC_REASON_INSTRUMENT_UNKNOWN, IPC_REASON_NONE},
        {2, 0, 4, IPC_REASON_INSTRUMENT_UNKNOWN, IPC_REASON_INSTRUMENT_UNKNOWN},
        {2, 4, 0, IPC_REASON_INSTRUMENT_MISMATCH, IPC_REASON_NONE},
        {2, 0, 64, IPC_REASON_INSTRUMENT_UNKNOWN, IPC_REASON_INSTRUMENT_UNKNOWN},
        {2, 64, 0, IPC_REASON_INSTRUMENT_MISMATCH, IPC_REASON_NONE},
        {2, 3, 0, IPC_REASON_NONE, IPC_REASON_NONE}, /* the master trades it: its file is behind */
        {4, 0, 0, IPC_REASON_INSTRUMENT_UNKNOWN, IPC_REASON_NONE},
        {5, 0, 1, IPC_REASON_INSTRUMENT_UNKNOWN, IPC_REASON_NONE},
    };
    for (size_t i = 0; i < LS_COUNT_OF(rows); i++) {
        struct eng_contracts contracts;
        eng_contracts_of(&market.view, rows[i].instrument, &contracts);
        if (eng_contract_bars(&contracts, rows[i].master, rows[i].follower, false) !=
                rows[i].entry ||
            eng_contract_bars(&contracts, rows[i].master, rows[i].follower, true) != rows[i].leave)
            fail_msg("row %zu", i);
    }
}

static void what_a_broker_says_is_used(void **state)
{
    (void)state;
    struct market market;
    struct eng_contracts contracts;
    struct eng_contract at;
    market_make(&market);
    add(&market, 2, 0, 77, 65, 0);
    add(&market, 2, 63, 77, 75, IPC_CONTRACT_GONE);
    eng_contracts_of(&market.view, 2, &contracts);
    assert_true(eng_contract_at(&contracts, 63, &at));
    assert_int_equal(at.lot_qty_e8, 75 * LS_E8);
    assert_int_equal(at.tick_e8, 1000000);
    assert_int_equal(at.freeze_qty_e8, 900 * LS_E8);
    assert_string_equal(at.token, "2063");
    assert_string_equal(at.symbol, "S2@63");
    assert_true(at.gone);
    assert_true(eng_contract_at(&contracts, 0, &at));
    assert_false(at.gone);
    at.lot_qty_e8 = 1;
    assert_false(eng_contract_at(&contracts, 1, &at));
    assert_int_equal(at.lot_qty_e8, 1); /* left alone */
}

static void the_smallest_freeze_quantity_fits_everywhere(void **state)
{
    (void)state;
    struct market market;
    struct eng_contracts contracts;
    market_make(&market);
    add(&market, 2, 0, 77, 65, 0);
    add(&market, 2, 1, 77, 65, 0);
    add(&market, 2, 2, 77, 65, 0);
    market.contracts[0].freeze_qty_e8 = 0; /* not known there */
    market.contracts[2].freeze_qty_e8 = 600 * LS_E8;
    eng_contracts_of(&market.view, 2, &contracts);
    assert_int_equal(eng_contract_freeze_e8(&contracts), 600 * LS_E8);
    eng_contracts_of(&market.view, 3, &contracts);
    assert_int_equal(eng_contract_freeze_e8(&contracts), 1800 * LS_E8);
    eng_contracts_of(&market.view, 0, &contracts);
    assert_int_equal(eng_contract_freeze_e8(&contracts), 0);
}

/* Random tables against a scan of all rows. */
static void lookups_equal_a_scan(void **state)
{
    (void)state;
    const uint64_t seed = UINT64_C(0x5eed0c0ff1ce);
    struct ipc_prng prng;
    ipc_prng_seed(&prng, seed);
    print_message("seed %llx\n", (unsigned long long)seed);
    for (int round = 0; round < 2000; round++) {
        struct market market;
        market_make(&market);
        for (uint32_t i = 1; i <= INSTRUMENTS; i++) {
            if (ipc_prng_chance(&prng, 1, 2))
                continue;
            for (uint32_t b = 0; b < BROKERS; b++)
                if (ipc_prng_chance(&prng, 1, 2))
                    add(&market, i, b, ipc_prng_below(&prng, 3), 1,
                        ipc_prng_chance(&prng, 1, 4) ? IPC_CONTRACT_GONE : 0);
        }
        for (uint32_t i = 1; i <= INSTRUMENTS; i++) {
            struct eng_contracts contracts;
            eng_contracts_of(&market.view, i, &contracts);
            for (uint32_t m = 0; m < BROKERS; m++)
                for (uint32_t f = 0; f < BROKERS; f++) {
                    const struct ipc_row_contract *mine = NULL, *theirs = NULL;
                    bool any = false;
                    for (uint32_t k = 0; k < market.view.contract_count; k++) {
                        const struct ipc_row_contract *row = &market.contracts[k];
                        if (row->instrument != i)
                            continue;
                        any = true;
                        mine = row->broker == m ? row : mine;
                        theirs = row->broker == f ? row : theirs;
                    }
                    enum ipc_reason want = !any ? IPC_REASON_NONE
                                           : theirs == NULL || theirs->flags != 0
                                               ? IPC_REASON_INSTRUMENT_UNKNOWN
                                           : mine == NULL || mine->identity != theirs->identity
                                               ? IPC_REASON_INSTRUMENT_MISMATCH
                                               : IPC_REASON_NONE;
                    assert_int_equal(eng_contract_bars(&contracts, m, f, false), want);
                    assert_int_equal(eng_contract_bars(&contracts, m, f, true),
                        any && theirs == NULL ? IPC_REASON_INSTRUMENT_UNKNOWN : IPC_REASON_NONE);
                    struct eng_contract at;
                    bool known = eng_contract_at(&contracts, f, &at);
                    assert_int_equal(known, !any || theirs != NULL);
                    if (known && any)
                        assert_ptr_equal(at.token, theirs->token);
                }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_rows_every_broker_is_alike),
        cmocka_unit_test(the_guard_is_this_table),
        cmocka_unit_test(what_a_broker_says_is_used),
        cmocka_unit_test(the_smallest_freeze_quantity_fits_everywhere),
        cmocka_unit_test(lookups_equal_a_scan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
