/* contract_changes.h: what a new generation changes of contracts that were known: lot, tick and
 * freeze quantity. Orders that are working were sized by the old ones; people are told.
 *
 * One item per exchange, underlying, broker, field, old and new value. Porter thread. */
#ifndef LS_ENGINE_CONTRACT_CHANGES_H
#define LS_ENGINE_CONTRACT_CHANGES_H

#include "ipc/rows.h"

#define ENG_CONTRACT_CHANGES_MAX 32u

struct eng_contract_change {
    uint8_t exchange;
    uint8_t field;    /* 0 lot, 1 tick, 2 freeze quantity */
    uint16_t broker;  /* UINT16_MAX = every broker */
    uint32_t count;   /* contracts */
    uint32_t example; /* instrument id of the first */
    int64_t old_e8, new_e8;
    char underlying[24];
};

struct eng_contract_changes {
    struct eng_contract_change items[ENG_CONTRACT_CHANGES_MAX];
    uint32_t count;
    uint64_t others; /* changes that found no item free */
};

/* eng_contract_changes_find compares two validated views: O(rows). */
void eng_contract_changes_find(const struct ipc_snapshot_view *before,
    const struct ipc_snapshot_view *after, struct eng_contract_changes *out);

/* eng_contract_changes_log writes a warning per item. */
void eng_contract_changes_log(
    const struct eng_contract_changes *changes, const struct ipc_snapshot_view *after);

#endif
