#include "engine/contract_changes.h"

#include <string.h>

#include "ipc/decimal.h"
#include "ipc/log.h"

static const char *const field_names[] = {"lot", "tick", "freeze quantity"};

static void note(struct eng_contract_changes *out, const struct ipc_row_instrument *row,
    uint32_t broker, uint8_t field, int64_t old_e8, int64_t new_e8)
{
    if (old_e8 == new_e8)
        return;
    for (uint32_t i = 0; i < out->count; i++) {
        struct eng_contract_change *item = &out->items[i];
        if (item->exchange == row->exchange && item->field == field && item->broker == broker &&
            item->old_e8 == old_e8 && item->new_e8 == new_e8 &&
            memcmp(item->underlying, row->underlying, sizeof(item->underlying)) == 0) {
            item->count++;
            return;
        }
    }
    if (out->count == ENG_CONTRACT_CHANGES_MAX) {
        out->others++;
        return;
    }
    struct eng_contract_change *item = &out->items[out->count++];
    *item = (struct eng_contract_change){.exchange = row->exchange,
        .field = field,
        .broker = (uint16_t)broker,
        .count = 1,
        .example = row->instrument,
        .old_e8 = old_e8,
        .new_e8 = new_e8};
    memcpy(item->underlying, row->underlying, sizeof(item->underlying));
}

/* The numbers of a contract, from either table. */
struct numbers {
    int64_t lot_e8, tick_e8, freeze_e8;
};

static void compare(struct eng_contract_changes *out, const struct ipc_row_instrument *row,
    uint32_t broker, struct numbers before, struct numbers after)
{
    note(out, row, broker, 0, before.lot_e8, after.lot_e8);
    note(out, row, broker, 1, before.tick_e8, after.tick_e8);
    note(out, row, broker, 2, before.freeze_e8, after.freeze_e8);
}

static struct numbers of_instrument(const struct ipc_row_instrument *row)
{
    return (struct numbers){row->lot_qty_e8, row->tick_e8, row->freeze_qty_e8};
}

static struct numbers of_contract(const struct ipc_row_contract *row)
{
    return (struct numbers){row->lot_qty_e8, row->tick_e8, row->freeze_qty_e8};
}

/* A run of one instrument's rows in a table that ascends; the cursor goes on behind it. */
struct run {
    const struct ipc_row_contract *rows;
    uint32_t count;
};

static struct run take_run(
    const struct ipc_snapshot_view *view, uint32_t *cursor, uint32_t instrument)
{
    while (*cursor < view->contract_count && view->contracts[*cursor].instrument < instrument)
        ++*cursor;
    struct run run = {.rows = view->contracts + *cursor};
    while (*cursor < view->contract_count && view->contracts[*cursor].instrument == instrument) {
        ++*cursor;
        run.count++;
    }
    return run;
}

static const struct ipc_row_contract *row_of(struct run run, uint32_t broker)
{
    for (uint32_t i = 0; i < run.count; i++)
        if (run.rows[i].broker == broker)
            return &run.rows[i];
    return NULL;
}

/* What a broker had and has; without rows it is the instrument's own, with rows and none of its
 * own the broker does not know it and there is nothing to compare. */
static bool numbers_at(
    struct run run, const struct ipc_row_instrument *row, uint32_t broker, struct numbers *out)
{
    const struct ipc_row_contract *own = row_of(run, broker);
    if (own == NULL && run.count > 0)
        return false;
    *out = own != NULL ? of_contract(own) : of_instrument(row);
    return true;
}

void eng_contract_changes_find(const struct ipc_snapshot_view *before,
    const struct ipc_snapshot_view *after, struct eng_contract_changes *out)
{
    uint32_t old_cursor = 0, new_cursor = 0;
    memset(out, 0, sizeof(*out));
    const uint32_t count = before->instrument_count < after->instrument_count
                               ? before->instrument_count
                               : after->instrument_count;
    for (uint32_t i = 0; i < count; i++) {
        const struct ipc_row_instrument *old_row = &before->instruments[i];
        const struct ipc_row_instrument *new_row = &after->instruments[i];
        const struct run old_run = take_run(before, &old_cursor, i + 1);
        const struct run new_run = take_run(after, &new_cursor, i + 1);
        if (old_row->instrument == 0 || new_row->instrument == 0)
            continue;
        if (old_run.count == 0 && new_run.count == 0) {
            compare(out, new_row, UINT16_MAX, of_instrument(old_row), of_instrument(new_row));
            continue;
        }
        for (uint32_t broker = 0; broker < after->broker_count; broker++) {
            struct numbers old_numbers, new_numbers;
            if (after->brokers[broker].live && numbers_at(old_run, old_row, broker, &old_numbers) &&
                numbers_at(new_run, new_row, broker, &new_numbers))
                compare(out, new_row, broker, old_numbers, new_numbers);
        }
    }
}

void eng_contract_changes_log(
    const struct eng_contract_changes *changes, const struct ipc_snapshot_view *after)
{
    for (uint32_t i = 0; i < changes->count; i++) {
        const struct eng_contract_change *item = &changes->items[i];
        char old_text[IPC_DECIMAL_BYTES], new_text[IPC_DECIMAL_BYTES];
        ipc_decimal_format(item->old_e8, old_text);
        ipc_decimal_format(item->new_e8, new_text);
        ipc_log(IPC_LOG_WARN,
            "generation %llu changes the %s of %s %s%s%s: %s -> %s, %u contracts (%s)",
            (unsigned long long)after->generation, field_names[item->field],
            ipc_exchange_name((enum ipc_exchange)item->exchange), item->underlying,
            item->broker != UINT16_MAX ? " at " : "",
            item->broker != UINT16_MAX ? after->brokers[item->broker].name : "", old_text, new_text,
            item->count, after->instruments[item->example - 1].symbol);
    }
    if (changes->others > 0)
        ipc_log(IPC_LOG_WARN, "generation %llu changes %llu more lots, ticks or freeze quantities",
            (unsigned long long)after->generation, (unsigned long long)changes->others);
}
