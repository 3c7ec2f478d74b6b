#include "adapters/instruments.h"

#include <stdlib.h>
#include <string.h>

/* By (exchange, text): open addressing, a power of two, at most half full. */
struct entry {
    uint32_t instrument; /* 0 = free */
    uint32_t contract;   /* 1 + row of the contract table; 0 = the instrument's own row */
    bool is_symbol;
};

struct adp_instruments {
    const struct ipc_snapshot_view *view;
    struct entry *entries;
    uint64_t entry_mask;
    uint8_t *differs; /* by instrument: it has rows in the contract table */
};

static uint64_t hash_of(uint32_t exchange, const uint8_t *bytes, size_t count)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ exchange;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}

static const char *text_of(
    const struct ipc_snapshot_view *view, const struct entry *entry, size_t *count)
{
    const struct ipc_row_instrument *row = &view->instruments[entry->instrument - 1];
    const struct ipc_row_contract *own =
        entry->contract != 0 ? &view->contracts[entry->contract - 1] : NULL;
    const char *symbol = own != NULL ? own->symbol : row->symbol;
    const char *token = own != NULL ? own->token : row->token;
    *count = entry->is_symbol ? strnlen(symbol, sizeof(row->symbol))
                              : strnlen(token, sizeof(row->token));
    return entry->is_symbol ? symbol : token;
}

static void add_entries(struct adp_instruments *index, uint32_t instrument, uint32_t contract)
{
    for (int is_symbol = 0; is_symbol < 2; is_symbol++) {
        const struct entry entry = {instrument, contract, is_symbol != 0};
        size_t count;
        const char *text = text_of(index->view, &entry, &count);
        if (count == 0)
            continue;
        uint64_t at = hash_of(
            index->view->instruments[instrument - 1].exchange, (const uint8_t *)text, count);
        while (index->entries[at & index->entry_mask].instrument != 0)
            at++;
        index->entries[at & index->entry_mask] = entry;
    }
}

/* What is listed goes in before what is gone: the first that is met counts. */
static void index_part(struct adp_instruments *index, bool gone)
{
    const struct ipc_snapshot_view *view = index->view;
    for (uint32_t i = 0; i < view->instrument_count; i++) {
        const struct ipc_row_instrument *row = &view->instruments[i];
        if (row->instrument != 0 && ((row->flags & IPC_INSTRUMENT_GONE) != 0) == gone)
            add_entries(index, row->instrument, 0);
    }
    for (uint32_t i = 0; i < view->contract_count; i++)
        if (((view->contracts[i].flags & IPC_CONTRACT_GONE) != 0) == gone)
            add_entries(index, view->contracts[i].instrument, i + 1);
}

struct adp_instruments *adp_instruments_build(const struct ipc_snapshot_view *view)
{
    struct adp_instruments *index = calloc(1, sizeof(*index));
    uint64_t size = 16;
    LS_CHECK(index != NULL);
    while (size < 4ull * view->instrument_count + 4ull * view->contract_count)
        size *= 2;
    index->view = view;
    index->entries = calloc(size, sizeof(*index->entries));
    index->differs = calloc((size_t)view->instrument_count + 1, 1);
    LS_CHECK(index->entries != NULL && index->differs != NULL);
    index->entry_mask = size - 1;
    for (uint32_t i = 0; i < view->contract_count; i++)
        index->differs[view->contracts[i].instrument] = 1;
    index_part(index, false);
    index_part(index, true);
    return index;
}

void adp_instruments_free(struct adp_instruments *index)
{
    if (index == NULL)
        return;
    free(index->entries);
    free(index->differs);
    free(index);
}

/* An entry counts at a broker when it is what this broker calls the instrument. */
static bool counts_at(
    const struct adp_instruments *index, const struct entry *entry, uint32_t broker)
{
    if (entry->contract != 0)
        return index->view->contracts[entry->contract - 1].broker == broker;
    return broker == ADP_ANY_BROKER || !index->differs[entry->instrument];
}

uint32_t adp_instruments_find(const struct adp_instruments *index, uint32_t broker,
    enum ipc_exchange exchange, struct adp_span text)
{
    uint32_t by_symbol = 0;
    if (text.count == 0)
        return 0;
    for (uint64_t at = hash_of((uint32_t)exchange, text.bytes, text.count);; at++) {
        const struct entry *entry = &index->entries[at & index->entry_mask];
        if (entry->instrument == 0)
            return by_symbol;
        size_t count;
        const char *name = text_of(index->view, entry, &count);
        if (index->view->instruments[entry->instrument - 1].exchange != exchange ||
            count != text.count || memcmp(name, text.bytes, count) != 0 ||
            !counts_at(index, entry, broker))
            continue;
        if (!entry->is_symbol)
            return entry->instrument; /* the token goes first */
        if (by_symbol == 0)
            by_symbol = entry->instrument;
    }
}
