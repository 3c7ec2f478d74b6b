#include "control/instruments_freeze.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/instruments_file.h"
#include "ipc/decimal.h"
#include "ipc/snapshot_rules.h"

#define FILE_BYTES_MAX (16u << 20)

void ctl_freeze_init(struct ctl_freeze *freeze)
{
    memset(freeze, 0, sizeof(*freeze));
    ctl_name_map_init(&freeze->names, 512);
}

void ctl_freeze_free(struct ctl_freeze *freeze)
{
    ctl_name_map_free(&freeze->names);
    free(freeze->items);
}

static struct ctl_freeze_item *find_item(
    const struct ctl_freeze *freeze, enum ipc_exchange exchange, const char *underlying)
{
    char name[64];
    snprintf(name, sizeof(name), "%s:%s", ipc_exchange_name(exchange), underlying);
    const uint32_t at = ctl_name_map_get(&freeze->names, name);
    return at >= CTL_NAME_TWICE ? NULL : &freeze->items[at];
}

static struct ctl_freeze_item *item_of(
    struct ctl_freeze *freeze, enum ipc_exchange exchange, const char *underlying)
{
    struct ctl_freeze_item *item = find_item(freeze, exchange, underlying);
    if (item != NULL)
        return item;
    if (freeze->item_count == freeze->item_room) {
        freeze->item_room = freeze->item_room == 0 ? 512 : freeze->item_room * 2;
        freeze->items = realloc(freeze->items, freeze->item_room * sizeof(*freeze->items));
        LS_CHECK(freeze->items != NULL);
    }
    char name[64];
    snprintf(name, sizeof(name), "%s:%s", ipc_exchange_name(exchange), underlying);
    LS_CHECK(ctl_name_map_put(&freeze->names, name, freeze->item_count));
    freeze->items[freeze->item_count] = (struct ctl_freeze_item){0};
    return &freeze->items[freeze->item_count++];
}

/* "BFO:rest" gives BFO and rest; without a known exchange in front it is NFO's. */
static const char *take_exchange(const char *spec, enum ipc_exchange *exchange)
{
    const char *colon = strchr(spec, ':');
    if (colon != NULL && ipc_exchange_parse(spec, (size_t)(colon - spec), exchange))
        return colon + 1;
    *exchange = IPC_EXCHANGE_NFO;
    return spec;
}

/* ---- files ----------------------------------------------------------------------------------- */

struct freeze_file {
    struct ctl_freeze *freeze;
    const char *path;
    enum ipc_exchange exchange;
    uint32_t line;
    uint8_t symbol, qty, from, to; /* fields, or ADP_CONTRACT_ABSENT */
    struct ipc_error *error;
};

static enum ipc_rc refuse(const struct freeze_file *file, const char *problem)
{
    ipc_error_set(file->error, "%s:%u: %s", file->path, file->line, problem);
    return IPC_BAD_INPUT;
}

static enum ipc_rc read_header(struct freeze_file *file, const struct adp_span *fields, int count)
{
    file->symbol = file->qty = file->from = file->to = ADP_CONTRACT_ABSENT;
    for (int i = 0; i < count; i++) {
        if (adp_contract_word(fields[i], "SYMBOL"))
            file->symbol = (uint8_t)i;
        else if (adp_contract_word(fields[i], "VOL_FRZ_QTY") ||
                 adp_contract_word(fields[i], "QUANTITY_FREEZE_LIMIT"))
            file->qty = (uint8_t)i;
        else if (adp_contract_word(fields[i], "FROM"))
            file->from = (uint8_t)i;
        else if (adp_contract_word(fields[i], "UP_TO"))
            file->to = (uint8_t)i;
    }
    const bool bands = file->from != ADP_CONTRACT_ABSENT && file->to != ADP_CONTRACT_ABSENT;
    if (file->qty == ADP_CONTRACT_ABSENT || bands == (file->symbol != ADP_CONTRACT_ABSENT))
        return refuse(file, "the header is neither SYMBOL, VOL_FRZ_QTY nor FROM, UP_TO, "
                            "QUANTITY_FREEZE_LIMIT");
    return IPC_OK;
}

static bool whole_e8(struct adp_span field, int64_t *out_e8)
{
    uint64_t units;
    if (ipc_decimal_parse_whole((const char *)field.bytes, field.count,
            (uint64_t)(IPC_QTY_E8_MAX / LS_E8), &units) != IPC_OK)
        return false;
    *out_e8 = (int64_t)units * LS_E8;
    return true;
}

static enum ipc_rc read_line(struct freeze_file *file, const struct adp_span *fields, int count)
{
    struct ctl_freeze *freeze = file->freeze;
    const bool bands = file->symbol == ADP_CONTRACT_ABSENT;
    const uint8_t used[] = {file->qty, bands ? file->from : file->symbol, bands ? file->to : 0};
    for (size_t i = 0; i < LS_COUNT_OF(used); i++)
        if (used[i] >= count)
            return refuse(file, "the line ends before its last column");
    int64_t qty_e8;
    if (!whole_e8(fields[file->qty], &qty_e8) || qty_e8 == 0)
        return refuse(file, "the freeze quantity is not a whole number above 0");
    if (!bands) {
        char symbol[25] = "";
        const struct adp_span field = fields[file->symbol];
        if (field.count == 0 || field.count >= sizeof(symbol))
            return refuse(file, "the symbol is empty or too long");
        memcpy(symbol, field.bytes, field.count);
        struct ctl_freeze_item *item = item_of(freeze, file->exchange, symbol);
        if (item->qty_e8 != 0 && item->qty_e8 != qty_e8)
            return refuse(file, "the symbol was there before, with another quantity");
        freeze->listed += item->qty_e8 == 0;
        item->qty_e8 = qty_e8;
        return IPC_OK;
    }
    if (freeze->band_count == CTL_FREEZE_BANDS)
        return refuse(file, "more than 64 bands");
    struct ctl_freeze_band *band = &freeze->bands[freeze->band_count];
    *band = (struct ctl_freeze_band){.exchange = (uint8_t)file->exchange, .qty_e8 = qty_e8};
    if (!whole_e8(fields[file->from], &band->from_e8) ||
        !whole_e8(fields[file->to], &band->to_e8) || band->to_e8 < band->from_e8)
        return refuse(file, "the band is not two whole numbers that ascend");
    freeze->band_count++;
    return IPC_OK;
}

enum ipc_rc ctl_freeze_read(struct ctl_freeze *freeze, const char *spec, struct ipc_error *error)
{
    struct freeze_file file = {.freeze = freeze, .error = error};
    file.path = take_exchange(spec, &file.exchange);
    struct adp_span text;
    if (ctl_text_read(file.path, FILE_BYTES_MAX, &text, error) != IPC_OK)
        return IPC_BAD_INPUT;
    struct adp_span rest = text, line, fields[ADP_CONTRACT_FIELDS_MAX];
    struct adp_contract_problem problem;
    char scratch[1024];
    bool header = false;
    enum ipc_rc rc = IPC_OK;
    while (rc == IPC_OK && adp_contract_next_line(&rest, file.line == 0, &line)) {
        file.line++;
        const int count = line.count > sizeof(scratch)
                              ? (int)adp_contract_refuse(&problem, "the line", line, "is too long")
                              : adp_contract_split(line, fields, scratch, &problem);
        if (count < 0)
            rc = refuse(&file, problem.text);
        else if (count > 0 && !header)
            rc = read_header(&file, fields, count), header = true;
        else if (count > 0)
            rc = read_line(&file, fields, count);
    }
    if (rc == IPC_OK && !header)
        rc = refuse(&file, "the file is empty");
    ctl_text_free(text);
    return rc;
}

enum ipc_rc ctl_freeze_level(struct ctl_freeze *freeze, const char *spec, struct ipc_error *error)
{
    enum ipc_exchange exchange;
    const char *name = take_exchange(spec, &exchange), *equals = strchr(name, '=');
    char underlying[24] = "";
    int64_t level_e8;
    if (equals == NULL || equals == name || (size_t)(equals - name) >= sizeof(underlying) ||
        ipc_decimal_parse(equals + 1, strlen(equals + 1), &level_e8) != IPC_OK || level_e8 < 1) {
        ipc_error_set(error, "--level takes INDEX=LEVEL, as NIFTY=24615.5, not '%s'", spec);
        return IPC_BAD_INPUT;
    }
    memcpy(underlying, name, (size_t)(equals - name));
    item_of(freeze, exchange, underlying)->level_e8 = level_e8;
    return IPC_OK;
}

int64_t ctl_freeze_qty_e8(const struct ctl_freeze *freeze, const struct adp_contract *contract)
{
    const struct ipc_row_instrument *row = &contract->row;
    if (row->kind != IPC_KIND_FUTURE && row->kind != IPC_KIND_OPTION)
        return 0;
    const struct ctl_freeze_item *item =
        find_item(freeze, (enum ipc_exchange)row->exchange, row->underlying);
    if (item == NULL)
        return 0;
    int64_t qty_e8 = item->qty_e8;
    if (!contract->on_index || item->level_e8 == 0)
        return qty_e8;
    for (uint32_t i = 0; i < freeze->band_count; i++) {
        const struct ctl_freeze_band *band = &freeze->bands[i];
        if (band->exchange == row->exchange && item->level_e8 >= band->from_e8 &&
            item->level_e8 < band->to_e8 + LS_E8 && (qty_e8 == 0 || band->qty_e8 < qty_e8))
            qty_e8 = band->qty_e8;
    }
    return qty_e8;
}
