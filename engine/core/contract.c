#include "engine/core/contract.h"

#include <string.h>

/* The first row of the table that is not below the instrument. */
static uint32_t first_of(const struct ipc_snapshot_view *view, uint32_t instrument)
{
    uint32_t low = 0, high = view->contract_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (view->contracts[middle].instrument < instrument)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void eng_contracts_of(
    const struct ipc_snapshot_view *view, uint32_t instrument, struct eng_contracts *out)
{
    out->instrument = NULL;
    out->rows = NULL;
    out->count = 0;
    if (instrument == 0 || instrument > view->instrument_count ||
        view->instruments[instrument - 1].instrument != instrument)
        return;
    out->instrument = &view->instruments[instrument - 1];
    if (LS_LIKELY(view->contract_count == 0))
        return;
    uint32_t first = first_of(view, instrument);
    out->rows = view->contracts + first;
    while (
        first + out->count < view->contract_count && out->rows[out->count].instrument == instrument)
        out->count++;
    if (out->count == 0)
        return;
    /* The view was validated: broker numbers are below 64, each once. */
    LS_CHECK(out->count <= ENG_CONTRACT_BROKERS);
    memset(out->place, 0, sizeof out->place);
    for (uint32_t i = 0; i < out->count; i++)
        out->place[out->rows[i].broker % ENG_CONTRACT_BROKERS] = (uint8_t)(i + 1);
}

static const struct ipc_row_contract *row_at(const struct eng_contracts *contracts, uint32_t broker)
{
    if (broker >= ENG_CONTRACT_BROKERS || contracts->place[broker] == 0)
        return NULL;
    return &contracts->rows[contracts->place[broker] - 1];
}

bool eng_contract_at(
    const struct eng_contracts *contracts, uint32_t broker, struct eng_contract *out)
{
    const struct ipc_row_instrument *instrument = contracts->instrument;
    if (instrument == NULL)
        return false;
    bool gone = (instrument->flags & IPC_INSTRUMENT_GONE) != 0;
    if (LS_LIKELY(contracts->count == 0)) {
        *out = (struct eng_contract){.lot_qty_e8 = instrument->lot_qty_e8,
            .tick_e8 = instrument->tick_e8,
            .freeze_qty_e8 = instrument->freeze_qty_e8,
            .token = instrument->token,
            .symbol = instrument->symbol,
            .gone = gone};
        return true;
    }
    const struct ipc_row_contract *row = row_at(contracts, broker);
    if (row == NULL)
        return false;
    *out = (struct eng_contract){.lot_qty_e8 = row->lot_qty_e8,
        .tick_e8 = row->tick_e8,
        .freeze_qty_e8 = row->freeze_qty_e8,
        .token = row->token,
        .symbol = row->symbol,
        .gone = gone || (row->flags & IPC_CONTRACT_GONE)};
    return true;
}

int64_t eng_contract_freeze_e8(const struct eng_contracts *contracts)
{
    int64_t freeze_e8 = 0;
    if (contracts->instrument == NULL)
        return 0;
    if (contracts->count == 0)
        return contracts->instrument->freeze_qty_e8;
    for (uint32_t i = 0; i < contracts->count; i++) {
        int64_t own_e8 = contracts->rows[i].freeze_qty_e8;
        if (own_e8 != 0 && (freeze_e8 == 0 || own_e8 < freeze_e8))
            freeze_e8 = own_e8;
    }
    return freeze_e8;
}

enum ipc_reason eng_contract_bars(
    const struct eng_contracts *contracts, uint32_t master, uint32_t follower, bool is_exit)
{
    if (contracts->instrument == NULL)
        return IPC_REASON_INSTRUMENT_UNKNOWN;
    const struct ipc_row_contract *theirs = NULL;
    if (LS_UNLIKELY(contracts->count > 0)) {
        theirs = row_at(contracts, follower);
        if (theirs == NULL)
            return IPC_REASON_INSTRUMENT_UNKNOWN;
    }
    if (is_exit)
        return IPC_REASON_NONE;
    if ((contracts->instrument->flags & IPC_INSTRUMENT_GONE) ||
        (theirs != NULL && (theirs->flags & IPC_CONTRACT_GONE)))
        return IPC_REASON_INSTRUMENT_UNKNOWN;
    if (theirs == NULL)
        return IPC_REASON_NONE;
    const struct ipc_row_contract *masters = row_at(contracts, master);
    if (masters == NULL || masters->identity != theirs->identity)
        return IPC_REASON_INSTRUMENT_MISMATCH;
    return IPC_REASON_NONE;
}
